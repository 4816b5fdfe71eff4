//! The core: the written process as pure functions over values.
//!
//! # What it is for
//! Everything psirtd *decides* is decided here: what a mail is, to which case it belongs, what is owed by when, who gets
//! which letter under which protection. A rule of the process that is hard to test is in the wrong room.
//!
//! # Invariants
//! * No input or output, no clock, no randomness, no logging, no async, no cryptography. `now` is an argument.
//!   `tests/architecture.rs` fails when a forbidden word appears in this folder.
//! * Imports nothing of the crate but itself. Every other room may use its vocabulary.
//! * Total: no input, however hostile, makes a function of this folder panic or refuse.
//! * [`decide::decide`] is the only place where events and letters are made; [`case::Case::apply`] the only one where
//!   a case changes.

pub mod advisory;
pub mod application;
pub mod backoff;
pub mod calendar;
pub mod case;
pub mod command;
pub mod concern;
pub mod deadline;
pub mod decide;
pub mod distributor;
pub mod embargo;
pub mod event;
pub mod exposure;
pub mod figures;
pub mod intake;
pub mod letter;
pub mod limit;
pub mod mark;
pub mod message;
pub mod notice;
pub mod own_list;
pub mod phase;
pub mod policy;
pub mod posting;
pub mod recipient;
pub mod reminder;
pub mod report;
pub mod severity;
pub mod signature;
pub mod thread;
pub mod tlp;
pub mod trust;
pub mod unanswered;
pub mod weakness;
