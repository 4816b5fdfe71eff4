//! `psirtd`: thin. Command line in, exit code out.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use psirtd::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("psirtd: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
