//! `psirtd store backup|restore|check|rebuild`.
//!
//! # Invariants
//! * A backup needs no secret and no daemon, and disturbs none.
//! * What changes the store (restore, rebuild) is not done while a daemon runs.

use std::io::{self, IsTerminal};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Failure, Global, own_state, pages, print, runtime};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, Question};
use crate::custody::DeskKeys;
use crate::daemon::Daemon;
use crate::store::backup::{self, Copied, restoring};
use crate::store::check::{self, IndexState};
use tracing::warn;

/// Standard input or output in the place of a folder.
const STREAM: &str = "-";

/// `psirtd store backup DIR|-`
pub(super) fn backup(global: &Global, to: &Path, clock: &Clock) -> Result<(), Failure> {
    let state = Config::glance(&global.config)?.state;
    let now = clock.now();
    if to == Path::new(STREAM) {
        let archive = io::stdout().lock();
        if archive.is_terminal() {
            let why =
                "a backup is no text for a terminal: send it into a file, psirtd store backup - > psirtd.tar";
            return Err(Failure::Failed(why.to_owned()));
        }
        let copied = backup::into_archive(&state, archive, now).map_err(Failure::because)?;
        eprintln!("psirtd: {}", said(&copied));
        return Ok(());
    }
    let copied = backup::into_folder(&state, to, now).map_err(Failure::because)?;
    if let Some(first) = copied.differ.first() {
        return Err(Failure::Failed(format!(
            "backed up, but {} files are not as they are in the backup, which keeps its own, the first: {first}; see psirtd journal \
             verify",
            copied.differ.len()
        )));
    }
    if global.json {
        return print(&told(&copied).to_string());
    }
    print(&format!(
        "{}\n{}: {} files were there already.\nIt is ciphertext: without the desk's key ({}) nobody can read it, you neither. Keep a copy of the \
         key elsewhere.",
        said(&copied),
        to.display(),
        copied.known,
        Config::glance(&global.config)?.key.display(),
    ))
}

/// `psirtd store restore DIR|-`
pub(super) fn restore(global: &Global, from: &Path, clock: &Clock) -> Result<(), Failure> {
    // whatever is wrong with the configuration shows before anything is written
    let config = global.load(clock)?;
    let state = config.state.clone();
    if state.exists() {
        own_state(&state)?;
    }
    let (keyring, now) = (config.keyring.clone(), clock.now());
    let keys = DeskKeys { keyring: &keyring, now };
    let copied = match from == Path::new(STREAM) {
        true => restoring::from_archive(io::stdin().lock(), &state, &keys),
        false => restoring::from_folder(from, &state, &keys),
    };
    let copied = copied.map_err(Failure::because)?;
    let letters = runtime()?.block_on(async {
        let daemon = Daemon::open(config, clock.clone()).map_err(Failure::because)?;
        let letters = daemon.restored().unwrap_or_default().to_owned();
        daemon.close().await.map_err(Failure::because)?;
        Ok::<_, Failure>(letters)
    })?;
    let verified = pages::verify(global, clock)?;
    if global.json {
        let mut told = told(&copied);
        if let Some(told) = told.as_object_mut() {
            told.insert("letters".to_owned(), letters.into());
        }
        return print(&told.to_string());
    }
    let owner = match rustix::process::geteuid().is_root() {
        true => " Everything there is root's: give it to the user psirtd runs as (chown -R USER:GROUP).",
        false => "",
    };
    print(&format!(
        "{}\n{}, {verified}. {letters}{owner}\nNow: psirtd check --online, then start psirtd. It looks once through the mail that was recorded since \
         the backup; what it does not know becomes a case, and is not answered by itself: psirtd outbox",
        said(&copied),
        state.display(),
    ))
}

/// `psirtd store check`
pub(super) fn check(global: &Global, clock: &Clock) -> Result<(), Failure> {
    let verified = pages::verify(global, clock)?;
    let state = Config::glance(&global.config)?.state;
    let index = match control::ask(&state, &Question::Index) {
        Some(answer) => match answer.map_err(Failure::Failed)?.as_u64() {
            Some(behind) => format!("has seen record {behind}, as far as psirtd has come"),
            None => return Err(Failure::Failed("index: psirtd cannot read it".to_owned())),
        },
        None => {
            own_state(&state)?;
            let (config, now) = (global.load(clock)?, clock.now());
            let keys = DeskKeys { keyring: &config.keyring, now };
            match check::compare(&state, &keys).map_err(Failure::because)? {
                IndexState::Same => "says the same as the journal".to_owned(),
                IndexState::Absent => "there is none, it is built at the next start".to_owned(),
                IndexState::Behind(records) => {
                    format!("{records} records behind, it is caught up at the next start")
                }
                IndexState::Different(why) => {
                    return Err(Failure::Failed(format!("{why}; it is made anew by: psirtd store rebuild")));
                }
            }
        }
    };
    if global.json {
        return print(&json!({ "journal": verified.to_string(), "index": index }).to_string());
    }
    print(&format!("ok    journal        {verified}\nok    index          {index}"))
}

/// `psirtd store rebuild`
pub(super) fn rebuild(global: &Global, clock: &Clock) -> Result<(), Failure> {
    let config = global.load(clock)?;
    own_state(&config.state)?;
    let now = clock.now();
    let keys = DeskKeys { keyring: &config.keyring, now };
    let (records, notices) = check::rebuild(&config.state, &keys, now).map_err(Failure::because)?;
    for notice in notices.0 {
        warn!("{notice}");
    }
    if global.json {
        return print(&json!({ "records": records }).to_string());
    }
    print(&format!(
        "The index is made anew from {records} records of the journal; the one before it is set aside."
    ))
}

fn said(copied: &Copied) -> String {
    let Copied { at, last, files, .. } = copied;
    format!("A backup of {at}: {last} records, {files} mails and letters.")
}

fn told(copied: &Copied) -> Value {
    let Copied { at, last, files, known, .. } = copied;
    json!({ "at": at, "records": last, "files": files, "known": known })
}
