//! Questions about the journal: its records, page by page, and whether the files they name are there.
//!
//! # Invariants
//! * A page is bounded: a large journal is asked for page by page, each answer naming the place where the next begins.
//! * Without a daemon the journal is read as it is; nothing is cut, rebuilt or changed.

use serde_json::{Value, json};

use crate::domain::event::What;
use crate::store::journal::{Page, Place, Record};
use crate::store::{Archive, StoreError};

/// Records in a page that is shown.
const SHOWN: usize = 1000;
/// Records in a page whose files are read.
const CHECKED: usize = 500;

/// The records behind a place: `{records, place, unfinished}`; the last page has no records.
pub fn records(archive: &Archive, from: Option<Place>) -> Result<Value, StoreError> {
    let Page { records, behind, unfinished } = archive.pages.read(from, SHOWN)?;
    Ok(json!({ "records": records, "place": behind, "unfinished": unfinished }))
}

/// The same, checked: `{checked, unreadable, place, unfinished}`.
pub fn checked(archive: &Archive, from: Option<Place>) -> Result<Value, StoreError> {
    let Page { records, behind, unfinished } = archive.pages.read(from, CHECKED)?;
    let unreadable: Vec<String> = records.iter().flat_map(|record| unreadable(record, archive)).collect();
    Ok(
        json!({ "checked": records.len(), "unreadable": unreadable, "place": behind, "unfinished": unfinished }),
    )
}

/// What cannot be read of the files that a record names.
fn unreadable(record: &Record, archive: &Archive) -> Vec<String> {
    let read = record.events.iter().flat_map(|event| {
        let file = match &event.what {
            What::MailRecorded { mail, .. } => Some(archive.mails.read(mail)),
            What::LetterQueued { bytes, .. } => Some(archive.letters.read(bytes)),
            _ => None,
        };
        file.into_iter().chain(event.what.texts().into_iter().map(|text| archive.letters.read(text)))
    });
    read.filter_map(|read| Some(format!("record {}: {}", record.seq, read.err()?))).collect()
}
