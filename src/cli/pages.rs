//! `psirtd journal verify|export`: page by page, by the running daemon, or from the file as it is when none runs.

use std::fmt;

use serde_json::{Value, json};

use crate::cli::{Failure, Global, JournalCommand, print, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, Question};
use crate::custody::DeskKeys;
use crate::store::Archive;
use crate::store::journal::Place;

/// What was found on all pages: nothing that is wrong.
#[derive(Debug, Default)]
pub(super) struct Verified {
    records: u64,
    unfinished: u64,
    unreadable: Vec<String>,
}

pub(super) fn run(global: &Global, command: JournalCommand, clock: &Clock) -> Result<(), Failure> {
    match command {
        JournalCommand::Export => turn(global, clock, Question::Records, |page| {
            show::items(&page["records"]).try_for_each(|record| print(&record.to_string()))
        }),
        JournalCommand::Verify => {
            let verified = verify(global, clock)?;
            match global.json {
                true => print(&verified.json().to_string()),
                false => print(&verified.to_string()),
            }
        }
    }
}

/// Reads all that there is.
pub(super) fn verify(global: &Global, clock: &Clock) -> Result<Verified, Failure> {
    let mut verified = Verified::default();
    turn(global, clock, Question::Checked, |page| {
        let number = |name: &str| page[name].as_u64().unwrap_or_default();
        verified.records = verified.records.saturating_add(number("checked"));
        verified.unfinished = number("unfinished");
        let unreadable = show::items(&page["unreadable"]).filter_map(Value::as_str);
        verified.unreadable.extend(unreadable.map(ToOwned::to_owned));
        Ok(())
    })?;
    match verified.unreadable.first() {
        None => Ok(verified),
        Some(first) => Err(Failure::Failed(format!(
            "{} mails or letters are missing or damaged, the first: {first}; restore them from a backup",
            verified.unreadable.len()
        ))),
    }
}

impl Verified {
    fn json(&self) -> Value {
        json!({ "records": self.records, "unfinished_bytes": self.unfinished })
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, chain intact, every mail and letter there", self.records)?;
        match self.unfinished {
            0 => Ok(()),
            bytes => write!(f, "; an unfinished batch of {bytes} bytes at its end"),
        }
    }
}

/// Looks at page after page, until one has no records.
fn turn(
    global: &Global,
    clock: &Clock,
    question: impl Fn(Option<Place>) -> Question,
    mut look: impl FnMut(&Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let state = Config::glance(&global.config)?.state;
    let mut archive = None;
    let mut place: Option<Place> = None;
    loop {
        let asked = question(place.clone());
        let page = match control::ask(&state, &asked) {
            Some(answer) => answer.map_err(Failure::Failed)?,
            None => {
                let archive = match &archive {
                    Some(archive) => archive,
                    None => archive.insert(open(global, clock)?),
                };
                match asked {
                    Question::Checked(from) => control::pages::checked(archive, from),
                    _ => control::pages::records(archive, place.clone()),
                }
                .map_err(Failure::because)?
            }
        };
        look(&page)?;
        let behind: Option<Place> =
            page.get("place").and_then(|place| serde_json::from_value(place.clone()).ok());
        if behind == place || behind.as_ref().is_none_or(|behind| behind.last == 0) {
            return Ok(());
        }
        place = behind;
    }
}

fn open(global: &Global, clock: &Clock) -> Result<Archive, Failure> {
    let now = clock.now();
    let config = global.load(clock)?;
    Archive::open(&config.state, &DeskKeys { keyring: &config.keyring, now }).map_err(Failure::because)
}
