//! Logs: one line a fact, on standard error; and the rule of what may be in them.
//!
//! # The rule
//! At info and above a line holds case ids, letter ids, kinds, digests, sizes, folders and servers: never a subject, a text, an
//! address or a secret. Debug may say what a server said. Nothing ever logs decrypted text. What libraries log through the
//! `log` crate is not collected at all.
//!
//! Under systemd the lines carry no time and no colours: the journal has both.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Sets logging up. `verbosity` counts `-v`; `RUST_LOG` overrides it. `quiet` is for commands that answer on standard output.
pub fn set_up(verbosity: u8, quiet: bool) {
    let level = match (verbosity, quiet) {
        (0, true) => "psirtd=warn",
        (0, false) | (1, true) => "psirtd=info",
        _ => "psirtd=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let terminal = std::io::stderr().is_terminal();
    let lines =
        fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).with_ansi(terminal);
    // a second set-up in one process (tests) keeps the first
    let _first = if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().try_init()
    } else {
        lines.try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        // a panic's message may quote the text that caused it: only its place is told
        let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        tracing::error!(place, "a bug in psirtd: please report it");
    }));
}
