//! All integration tests in one program: it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic
)]
#![allow(clippy::arithmetic_side_effects, missing_docs, unreachable_pub)]

mod support;

mod architecture;
mod attacks;
mod business_days;
mod cli;
mod clients;
mod corpus;
mod crash;
mod cvss;
mod data_key;
mod explain;
mod fanout;
mod interop;
mod keys;
mod laws;
mod laws_of_commands;
mod laws_of_notices;
mod laws_of_vouches;
mod leak;
mod load;
mod lookup;
mod memory;
mod page_of_faults;
mod page_of_letters;
mod recovery;
mod reports;
mod rotate;
mod servers;
mod stories;
