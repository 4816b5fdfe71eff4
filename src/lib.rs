//! lib
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod domain;
pub mod inbox;
pub mod keyring;
pub mod open;
pub mod outbox;
pub mod pipeline;
pub mod seal;
pub mod store;
pub mod telemetry;
pub mod tls;
