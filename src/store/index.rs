//! The sled index: cases, threads, receipts, letters, due times. Rebuildable.
//!
//! # What it is for
//! Answers questions fast. Everything in it is folded from the journal's records by [`Draft::fold`]; losing it loses nothing.
//!
//! # Invariants
//! * One record's changes and the number of that record are written together: the index is never half a record.
//! * Nothing but [`Draft::fold`] changes it. The same records give the same index, live or rebuilt.
//! * Keys made of addresses or Message-IDs are digests.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::domain::case::{Case, CaseId};
use crate::domain::concern::is_of_letter;
use crate::domain::decide::Sighting;
use crate::domain::event::{Event, What};
use crate::domain::letter::{LetterId, LetterKind, LetterState, Posting};
use crate::domain::message::{Digest, Mailbox, Position, canonical};
use crate::domain::signature::Certificate;
use crate::store::journal::{Receipt, Record};

const SEEN: &[u8] = b"meta/seen";
const FORM: &[u8] = b"meta/form";
/// Counted up when the same records give another index: an older one is rebuilt.
const THIS_FORM: u32 = 3;
const TOLD_AT: &[u8] = b"meta/told-at";
const DESK_LETTERS: &[u8] = b"meta/desk-letters";

/// No more certificates of one address are remembered. At least two.
const MAX_CERTIFICATES: usize = 4;

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

    /// The number the next case of a year gets, counted from 1.
    fn next_number(&self, year: i16) -> Result<u32, IndexError> {
        Ok(self.entry::<u32>(&key("number", &year.to_string()))?.unwrap_or(0).saturating_add(1))
    }

    /// How many acknowledgements were written to an address on the day (UTC) of a time.
    fn answered_on(&self, address: &Mailbox, at: Timestamp) -> Result<u32, IndexError> {
        Ok(self.entry(&answered_key(address, at))?.unwrap_or(0))
    }

    /// The certificates that the desk remembers for an address; the first is in use.
    fn certificates(&self, address: &str) -> Result<Vec<Certificate>, IndexError> {
        Ok(self.entry(&certificates_key(address))?.unwrap_or_default())
    }

    /// The mail that brought a ciphertext first.
    fn ciphertext(&self, ciphertext: &Digest) -> Result<Option<Sighting>, IndexError> {
        self.entry(&key("ciphertext", ciphertext.as_str()))
    }

    /// Is this the Message-ID of a letter of the desk that belongs to no case?
    fn knows_own(&self, message_id: &str) -> Result<bool, IndexError> {
        Ok(self.get(&own_key(message_id))?.is_some())
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
    /// Opens or creates it. A database that cannot be opened is an error, never a panic.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let config = sled::Config::new().path(path).cache_capacity(64 << 20).flush_every_ms(Some(1000));
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|panic| {
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

    /// The letters that wait for a person.
    pub fn held(&self) -> Result<Vec<Posting>, IndexError> {
        let mut held: BTreeMap<Vec<u8>, LetterId> = BTreeMap::new();
        for entry in self.index.tree.scan_prefix(b"held/") {
            let (key, value) = entry?;
            held.insert(key.to_vec(), serde_json::from_slice(&value)?);
        }
        for (key, change) in self.changes.range(b"held/".to_vec()..b"held0".to_vec()) {
            match change {
                Some(value) => drop(held.insert(key.clone(), serde_json::from_slice(value)?)),
                None => drop(held.remove(key)),
            }
        }
        held.values().filter_map(|id| self.posting(id).transpose()).collect()
    }

    fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), IndexError> {
        self.changes.insert(key, Some(serde_json::to_vec(value)?));
        Ok(())
    }

    /// Lets a record become part of it.
    pub fn fold(&mut self, record: &Record) -> Result<(), IndexError> {
        if let Some(receipt) = &record.receipt {
            if let Some(position) = &receipt.position {
                self.put(position_key(position), &())?;
            }
            self.put(key("mail", receipt.digest.as_str()), &())?;
            // what became no case (a forwarder made it look like a machine's) must not swallow the mail itself
            if record.events.iter().any(|event| event.case.is_some()) {
                self.put(key("twin", receipt.twin.as_str()), &())?;
            }
        }
        record.events.iter().try_for_each(|event| self.fold_event(event))
    }

    fn fold_event(&mut self, event: &Event) -> Result<(), IndexError> {
        self.fold_letter(event)?;
        self.fold_desk(event)?;
        let Some(id) = &event.case else { return Ok(()) };
        let case = match self.case(id)? {
            Some(mut case) => {
                case.apply(event);
                Some(case)
            }
            None => Case::open(event),
        };
        if let Some(case) = case {
            self.put(key("case", id.as_str()), &case)?;
        }
        if let What::MailRecorded { protected_id: Some(protected), .. } = &event.what {
            let thread = key("thread", protected.as_str());
            if self.get(&thread)?.is_none() {
                self.put(thread, id)?;
            }
        }
        match &event.what {
            What::CaseOpened { .. } => self.number(id)?,
            // the first case that knew an id keeps it
            What::MailRecorded { message_id: Some(message_id), .. }
            | What::LetterQueued { message_id, .. }
                if self.get(&thread_key(message_id))?.is_none() =>
            {
                self.put(thread_key(message_id), id)?;
            }
            _ => {}
        }
        if let What::LetterQueued { kind: LetterKind::Acknowledgement, to, .. }
        | What::LetterHeld { kind: LetterKind::Acknowledgement, to, .. } = &event.what
        {
            let answered = self.answered_on(to, event.at)?.saturating_add(1);
            self.put(answered_key(to, event.at), &answered)?;
        }
        Ok(())
    }

    /// What the desk remembers beside its cases.
    fn fold_desk(&mut self, event: &Event) -> Result<(), IndexError> {
        match &event.what {
            What::MailRecorded { mail, from, ciphertexts, .. } => {
                let sighting = Sighting { mail: mail.clone(), case: event.case.clone(), from: from.clone() };
                for ciphertext in ciphertexts {
                    if self.ciphertext(ciphertext)?.is_none() {
                        self.put(key("ciphertext", ciphertext.as_str()), &sighting)?;
                    }
                }
            }
            What::CertificateSeen { address, certificate, .. } => {
                let mut known = self.certificates(address)?;
                let same = |known: &&mut Certificate| known.fingerprint == certificate.fingerprint;
                if let Some(older) = known.iter_mut().find(same) {
                    *older = certificate.clone();
                } else {
                    // strangers must not fill the places: the oldest that nobody uses makes room
                    if known.len() >= MAX_CERTIFICATES {
                        known.remove(1);
                    }
                    known.push(certificate.clone());
                }
                self.put(certificates_key(address), &known)?;
            }
            What::CertificateAccepted { address, fingerprint } => {
                let mut known = self.certificates(address)?;
                known.sort_by_key(|certificate| certificate.fingerprint != *fingerprint);
                self.put(certificates_key(address), &known)?;
            }
            // the desk's own letters come back, too
            What::LetterQueued { message_id, .. } if event.case.is_none() => {
                self.put(own_key(message_id), &())?;
            }
            What::Told { concerns } => {
                for concern in concerns {
                    self.put(told_key(concern), &event.at)?;
                }
                if concerns.iter().any(|concern| is_of_letter(concern)) {
                    self.changes.insert(TOLD_AT.to_vec(), Some(serde_json::to_vec(&event.at)?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fold_letter(&mut self, event: &Event) -> Result<(), IndexError> {
        let Some(id) = event.what.letter() else { return Ok(()) };
        let before = self.posting(id)?;
        if before.is_none() && event.case.is_none() {
            let letters = self.desk_letters()?.saturating_add(1);
            self.put(DESK_LETTERS.to_vec(), &letters)?;
        }
        if let Some(at) = before.as_ref().and_then(|posting| posting.next_attempt) {
            self.changes.insert(due_key(at, id), None);
        }
        let after = match before {
            Some(mut posting) => {
                posting.apply(event);
                Some(posting)
            }
            None => Posting::begin(event),
        };
        if let Some(posting) = after {
            if let Some(at) = posting.next_attempt {
                self.put(due_key(at, id), &(at, id))?;
            }
            let held = key("held", id.as_str());
            match posting.state {
                LetterState::Held => self.put(held, id)?,
                _ => drop(self.changes.insert(held, None)),
            }
            self.put(key("letter", id.as_str()), &posting)?;
        }
        Ok(())
    }

    /// `PREFIX-YEAR-NNNN` moves the year's counter.
    fn number(&mut self, id: &CaseId) -> Result<(), IndexError> {
        let mut parts = id.as_str().rsplitn(3, '-');
        let (Some(number), Some(year)) = (parts.next(), parts.next()) else { return Ok(()) };
        let (Ok(number), Ok(year)) = (number.parse::<u32>(), year.parse::<i16>()) else { return Ok(()) };
        let highest = self.next_number(year)?.saturating_sub(1).max(number);
        self.put(key("number", &year.to_string()), &highest)
    }
}

fn key(room: &str, name: &str) -> Vec<u8> {
    format!("{room}/{name}").into_bytes()
}

fn thread_key(message_id: &str) -> Vec<u8> {
    key("thread", Digest::from_bytes(&Sha256::digest(message_id)).as_str())
}

fn own_key(message_id: &str) -> Vec<u8> {
    key("own", Digest::from_bytes(&Sha256::digest(message_id)).as_str())
}

fn certificates_key(address: &str) -> Vec<u8> {
    key("certificates", Digest::from_bytes(&Sha256::digest(canonical(address))).as_str())
}

fn told_key(concern: &str) -> Vec<u8> {
    key("told", Digest::from_bytes(&Sha256::digest(concern)).as_str())
}

fn answered_key(address: &Mailbox, at: Timestamp) -> Vec<u8> {
    let address = Digest::from_bytes(&Sha256::digest(address.canonical()));
    key("answered", &format!("{}/{address}", at.strftime("%Y-%m-%d")))
}

fn position_key(position: &Position) -> Vec<u8> {
    key("position", Digest::from_bytes(&Sha256::digest(&position.0)).as_str())
}

fn due_key(at: Timestamp, id: &LetterId) -> Vec<u8> {
    // before 1970 nothing is due
    key("due", &format!("{:020}/{id}", at.as_millisecond().max(0)))
}
