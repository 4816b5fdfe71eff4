//! The sled index: cases, threads, receipts, letters, due times. Rebuildable.
//!
//! # What it is for
//! Answers questions fast. Everything in it is folded from the journal's records by [`Draft::fold`]; losing it loses nothing.
//!
//! # Invariants
//! * One record's changes and the number of that record are written together: the index is never half a record.
//! * Nothing but [`Draft::fold`] changes it. The same records give the same index, live or rebuilt.
//! * Keys made of addresses or Message-IDs are digests.

mod fold;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::domain::case::{Case, CaseId};
use crate::domain::decide::Sighting;
use crate::domain::letter::{LetterId, Posting};
use crate::domain::limit::Answered;
use crate::domain::message::{Digest, Mailbox, Position, canonical, identity};
use crate::domain::signature::Certificate;
use crate::domain::unanswered::Unanswered;
use crate::store::journal::Receipt;

const SEEN: &[u8] = b"meta/seen";
const FORM: &[u8] = b"meta/form";
/// Counted up when the same records give another index: an older one is rebuilt.
const THIS_FORM: u32 = 4;
const TOLD_AT: &[u8] = b"meta/told-at";
const DESK_LETTERS: &[u8] = b"meta/desk-letters";
/// Cases merged into cases that were merged are followed so far.
const MOST_MERGES: usize = 50;

/// What went wrong with the index. It can always be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// sled said no.
    #[error("index: {0}")]
    Sled(#[from] sled::Error),
    /// An entry is not what it should be.
    #[error("index: an entry cannot be read: {0}")]
    Entry(#[from] serde_json::Error),
    /// It belongs to another journal.
    #[error("index: it has seen record {0} of another history")]
    OtherHistory(u64),
    /// Another version of psirtd folded it.
    #[error("index: it was made by another version of psirtd, up to record {0}")]
    OtherVersion(u64),
    /// sled gave up.
    #[error("index: the database panicked: {0}")]
    Panicked(String),
}

/// The last record the index has seen, and the chain's digest after its batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    /// The record's number.
    pub seq: u64,
    /// The chain's digest.
    pub digest: Vec<u8>,
}

/// Something that looks keys up: the index itself, or the index with changes on top that are not committed yet.
pub trait Lookup {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;

    /// A value, read.
    fn entry<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, IndexError> {
        self.get(key)?.map(|value| serde_json::from_slice(&value).map_err(IndexError::from)).transpose()
    }

    /// A case.
    fn case(&self, id: &CaseId) -> Result<Option<Case>, IndexError> {
        self.entry(&key("case", id.as_str()))
    }

    /// A letter.
    fn posting(&self, id: &LetterId) -> Result<Option<Posting>, IndexError> {
        self.entry(&key("letter", id.as_str()))
    }

    /// The case that one of these Message-IDs belongs to; the first that leads anywhere wins.
    fn thread<'a>(
        &self,
        message_ids: impl IntoIterator<Item = &'a String>,
    ) -> Result<Option<CaseId>, IndexError> {
        for id in message_ids {
            if let Some(case) = self.entry(&thread_key(id))? {
                return Ok(Some(case));
            }
        }
        Ok(None)
    }

    /// The case that goes on in the place of the one that one of these Message-IDs belongs to.
    fn case_of<'a>(
        &self,
        message_ids: impl IntoIterator<Item = &'a String>,
    ) -> Result<Option<Case>, IndexError> {
        self.thread(message_ids)?.map_or(Ok(None), |id| self.followed(id))
    }

    /// The number the next case of a year gets, counted from 1.
    fn next_number(&self, year: i16) -> Result<u32, IndexError> {
        Ok(self.entry::<u32>(&key("number", &year.to_string()))?.unwrap_or(0).saturating_add(1))
    }

    /// The case that goes on in the place of this one: itself, unless it was merged.
    fn followed(&self, id: CaseId) -> Result<Option<Case>, IndexError> {
        let mut case = self.case(&id)?;
        for _ in 0..MOST_MERGES {
            match case.as_ref().and_then(|case| case.merged_into.clone()) {
                Some(into) => case = self.case(&into)?,
                None => break,
            }
        }
        Ok(case)
    }

    /// How many automatic answers went to an address, to its domain, and in all, in the day and the hour of a time (UTC).
    fn answered(&self, address: Option<&Mailbox>, at: Timestamp) -> Result<Answered, IndexError> {
        let count = |key: Option<Vec<u8>>| match key {
            Some(key) => Ok::<u32, IndexError>(self.entry(&key)?.unwrap_or(0)),
            None => Ok(0),
        };
        let [to_address, to_domain, this_hour, today] = answered_keys(address, at);
        let mails_today = count(address.map(|author| mails_key(author, at)))?;
        Ok(Answered {
            address_today: count(to_address)?,
            domain_this_hour: count(to_domain)?,
            this_hour: count(this_hour)?,
            today: count(today)?,
            mails_today,
        })
    }

    /// The letter with this Message-ID.
    fn letter_with(&self, message_id: &str) -> Result<Option<Posting>, IndexError> {
        let id: Option<LetterId> = self.entry(&post_key(message_id))?;
        id.map_or(Ok(None), |id| self.posting(&id))
    }

    /// The certificates that the desk remembers for an address; the first is in use.
    fn certificates(&self, address: &str) -> Result<Vec<Certificate>, IndexError> {
        Ok(self.entry(&certificates_key(address))?.unwrap_or_default())
    }

    /// The mail that brought a ciphertext first.
    fn ciphertext(&self, ciphertext: &Digest) -> Result<Option<Sighting>, IndexError> {
        self.entry(&key("ciphertext", ciphertext.as_str()))
    }

    /// Were the coordinators told of this concern?
    fn told(&self, concern: &str) -> Result<bool, IndexError> {
        Ok(self.get(&told_key(concern))?.is_some())
    }

    /// When they were last told of letters that are held.
    fn told_at(&self) -> Result<Option<Timestamp>, IndexError> {
        self.entry(TOLD_AT)
    }

    /// How many letters of the desk belong to no case.
    fn desk_letters(&self) -> Result<u32, IndexError> {
        Ok(self.entry(DESK_LETTERS)?.unwrap_or(0))
    }

    /// Has the mail at this place been taken in?
    fn knows_position(&self, position: &Position) -> Result<bool, IndexError> {
        Ok(self.get(&position_key(position))?.is_some())
    }

    /// Has a mail of these bytes, or its twin, been taken in?
    fn knows_mail(&self, receipt: &Receipt) -> Result<bool, IndexError> {
        Ok(self.get(&key("mail", receipt.digest.as_str()))?.is_some()
            || self.get(&key("twin", receipt.twin.as_str()))?.is_some())
    }
}

/// The index on disk.
#[derive(Debug, Clone)]
pub struct Index {
    tree: sled::Db,
}

impl Lookup for Index {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        Ok(self.tree.get(key)?.map(|value| value.to_vec()))
    }
}

impl Index {
    /// Opens or creates it. A database that cannot be opened is an error, never a panic; nor one that cannot be read through,
    /// for sled looks at most of its pages only when somebody asks for them, and then a question finds the damage.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let config = sled::Config::new().path(path).cache_capacity(64 << 20).flush_every_ms(Some(1000));
        let whole = || {
            let tree = config.open()?;
            tree.iter().try_for_each(|entry| entry.map(drop)).map(|()| tree)
        };
        let opened = std::panic::catch_unwind(AssertUnwindSafe(whole)).map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            IndexError::Panicked(text.unwrap_or_default().lines().next().unwrap_or_default().to_owned())
        })?;
        Ok(Self { tree: opened? })
    }

    /// How far it has come. An index in another form than this version's has to be made anew.
    pub fn seen(&self) -> Result<Seen, IndexError> {
        let seen: Seen = self.entry(SEEN)?.unwrap_or_default();
        match self.entry(FORM)? {
            Some(THIS_FORM) => Ok(seen),
            None if seen.seq == 0 => Ok(seen),
            _ => Err(IndexError::OtherVersion(seen.seq)),
        }
    }

    /// Takes over a draft and how far it has come with it, in one step.
    pub fn take_over(&self, draft: Draft<'_>, seen: &Seen) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, value) in draft.changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch.insert(SEEN, serde_json::to_vec(seen)?);
        batch.insert(FORM, serde_json::to_vec(&THIS_FORM)?);
        self.tree.apply_batch(batch)?;
        Ok(())
    }

    /// Waits until it is on the disk.
    pub fn flush(&self) -> Result<(), IndexError> {
        self.tree.flush()?;
        Ok(())
    }

    /// Every case, in order of its id.
    pub fn cases(&self) -> Result<Vec<Case>, IndexError> {
        self.all("case")
    }

    /// Every letter, in order of its id.
    pub fn postings(&self) -> Result<Vec<Posting>, IndexError> {
        self.all("letter")
    }

    /// Up to `most` letters whose turn has come, the longest waiting first, and when the next one's turn comes.
    pub fn due(&self, now: Timestamp, most: usize) -> Result<(Vec<Posting>, Option<Timestamp>), IndexError> {
        let mut due = Vec::new();
        for entry in self.tree.scan_prefix(b"due/") {
            let (_, value) = entry?;
            let (at, id): (Timestamp, LetterId) = serde_json::from_slice(&value)?;
            if at > now {
                return Ok((due, Some(at)));
            }
            due.extend(self.posting(&id)?);
            if due.len() >= most {
                break;
            }
        }
        Ok((due, None))
    }

    fn all<T: DeserializeOwned>(&self, room: &str) -> Result<Vec<T>, IndexError> {
        self.tree.scan_prefix(key(room, "")).map(|entry| Ok(serde_json::from_slice(&entry?.1)?)).collect()
    }
}

/// The index with changes on top.
#[derive(Debug, Clone)]
pub struct Draft<'i> {
    index: &'i Index,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Lookup for Draft<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.index.get(key),
        }
    }
}

impl<'i> Draft<'i> {
    /// No changes yet.
    pub fn new(index: &'i Index) -> Self {
        Self { index, changes: BTreeMap::new() }
    }

    /// The letters that wait for a person who was not told yet.
    pub fn untold(&self) -> Result<Vec<Posting>, IndexError> {
        let ids: Vec<LetterId> = self.room("untold")?;
        ids.iter().filter_map(|id| self.posting(id).transpose()).collect()
    }

    /// What was not answered since the last digest, in order of time.
    pub fn unanswered(&self) -> Result<Vec<Unanswered>, IndexError> {
        self.room("unanswered")
    }

    /// All entries of a room, in the order of their keys.
    fn room<T: DeserializeOwned>(&self, room: &str) -> Result<Vec<T>, IndexError> {
        let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let prefix = key(room, "");
        for entry in self.index.tree.scan_prefix(&prefix) {
            let (key, value) = entry?;
            entries.insert(key.to_vec(), value.to_vec());
        }
        for (key, change) in
            self.changes.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix))
        {
            match change {
                Some(value) => drop(entries.insert(key.clone(), value.clone())),
                None => drop(entries.remove(key)),
            }
        }
        entries.values().map(|value| Ok(serde_json::from_slice(value)?)).collect()
    }
}

fn key(room: &str, name: &str) -> Vec<u8> {
    format!("{room}/{name}").into_bytes()
}

fn thread_key(message_id: &str) -> Vec<u8> {
    key("thread", Digest::from_bytes(&Sha256::digest(message_id)).as_str())
}

fn post_key(message_id: &str) -> Vec<u8> {
    key("post", Digest::from_bytes(&Sha256::digest(message_id)).as_str())
}

fn certificates_key(address: &str) -> Vec<u8> {
    key("certificates", Digest::from_bytes(&Sha256::digest(canonical(address))).as_str())
}

fn told_key(concern: &str) -> Vec<u8> {
    key("told", Digest::from_bytes(&Sha256::digest(concern)).as_str())
}

/// The counters of an answer: its address and day, its domain and hour, the hour, the day.
fn answered_keys(address: Option<&Mailbox>, at: Timestamp) -> [Option<Vec<u8>>; 4] {
    let name = |text: &str| Digest::from_bytes(&Sha256::digest(text));
    let (day, hour) = (at.strftime("%Y-%m-%d"), at.strftime("%Y-%m-%dT%H"));
    let counter = |when: &dyn std::fmt::Display, whose: &dyn std::fmt::Display| {
        key("answered", &format!("{when}/{whose}"))
    };
    [
        address.map(|address| counter(&day, &name(&identity(&address.address)))),
        address.and_then(Mailbox::domain).map(|domain| counter(&hour, &name(&format!("@{domain}")))),
        Some(counter(&hour, &"all")),
        Some(counter(&day, &"all")),
    ]
}

/// The counter of an author's mails on a day.
fn mails_key(author: &Mailbox, at: Timestamp) -> Vec<u8> {
    let name = Digest::from_bytes(&Sha256::digest(identity(&author.address)));
    key("mails", &format!("{}/{name}", at.strftime("%Y-%m-%d")))
}

fn unanswered_key(at: Timestamp, mail: &Digest) -> Vec<u8> {
    key("unanswered", &format!("{:020}/{mail}", at.as_millisecond().max(0)))
}

fn position_key(position: &Position) -> Vec<u8> {
    key("position", Digest::from_bytes(&Sha256::digest(&position.0)).as_str())
}

fn due_key(at: Timestamp, id: &LetterId) -> Vec<u8> {
    // before 1970 nothing is due
    key("due", &format!("{:020}/{id}", at.as_millisecond().max(0)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Wherever a bit falls over, the index says so when it is opened, or answers as before.
    #[test]
    fn damage_shows_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, damaged) = (dir.path().join("whole"), dir.path().join("damaged"));
        let filled = Index::open(&whole).unwrap();
        for number in 0..2000_u32 {
            filled.tree.insert(key("case", &number.to_string()), vec![b'x'; 200]).unwrap();
        }
        drop(filled);
        // sled makes a snapshot when it is opened, and trusts it the next time
        drop(Index::open(&whole).unwrap());
        let bytes = fs::read(whole.join("db")).unwrap();
        let mut found = 0;
        for at in (0..bytes.len()).step_by(bytes.len() / 60) {
            fs::create_dir_all(damaged.join("blobs")).unwrap();
            // the snapshot, too
            for entry in fs::read_dir(&whole).unwrap().flatten().filter(|entry| entry.path().is_file()) {
                fs::copy(entry.path(), damaged.join(entry.file_name())).unwrap();
            }
            let mut bytes = bytes.clone();
            bytes[at] ^= 16;
            fs::write(damaged.join("db"), bytes).unwrap();
            match Index::open(&damaged) {
                Ok(index) => assert_eq!(index.tree.iter().map(Result::unwrap).count(), 2000, "byte {at}"),
                Err(_) => found += 1,
            }
            fs::remove_dir_all(&damaged).unwrap();
        }
        assert!(found > 0, "no damage was found at all");
    }
}
