//! The sled index: cases, threads, receipts, letters, due times. Rebuildable.
//!
//! # What it is for
//! Answers questions fast. Everything in it is folded from the journal's records by [`Draft::fold`]; losing it loses nothing.
//!
//! # Invariants
//! * One record's changes and the number of that record are written together: the index is never half a record.
//! * Nothing but [`Draft::fold`] changes it. The same records give the same index, live or rebuilt.
//! * Values are sealed, each for its key; keys tell nothing (`index/keys.rs`).
//! * A sum over all entries is kept with them and checked at start: what a database lost or changed in silence is noticed before
//!   anything is decided by it.

mod fold;
mod keys;
mod sum;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use crate::domain::case::{Case, CaseId};
use crate::domain::decide::Sighting;
use crate::domain::distributor::{Member, MemberId};
use crate::domain::letter::LetterId;
use crate::domain::limit::Answered;
use crate::domain::message::{Digest, Mailbox, Position};
use crate::domain::notice::{FanOut, Pending};
use crate::domain::posting::Posting;
use crate::domain::reminder::Running;
use crate::domain::signature::Certificate;
use crate::domain::unanswered::Unanswered;
use crate::store::index::keys::Keys;
use crate::store::index::sum::Sum;
use crate::store::journal::{Place, Receipt};
use crate::store::vault::Vault;
use crate::store::{BREATH, PATIENCE};

// these three are read before anything is trusted, and lie in the clear
const SEEN: &[u8] = b"meta/seen";
const FORM: &[u8] = b"meta/form";
const SUM: &[u8] = b"meta/sum";
/// Counted up when the same records give another index: an older one is rebuilt.
const THIS_FORM: u32 = 7;
const TOLD_AT: &[u8] = b"meta/told-at";
const DESK_LETTERS: &[u8] = b"meta/desk-letters";
const RESTORED: &[u8] = b"meta/restored";
const DIGESTED_AT: &[u8] = b"meta/digested-at";
const PROPOSALS: &[u8] = b"meta/proposals";
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
    /// An entry was changed, or is of another desk.
    #[error("index: an entry cannot be opened")]
    Damaged,
    /// Entries were lost or changed.
    #[error("index: entries are missing or damaged")]
    Incomplete,
}

impl IndexError {
    /// It is the database that is wrong, not the disk it lies on, nor who else has it open.
    pub(super) fn is_damage(&self) -> bool {
        use std::io::ErrorKind as Kind;
        let Self::Sled(sled::Error::Io(error)) = self else { return true };
        let of_the_disk =
            [Kind::StorageFull, Kind::QuotaExceeded, Kind::ReadOnlyFilesystem, Kind::PermissionDenied];
        !of_the_disk.contains(&error.kind()) && !is_in_use(error)
    }
}

/// Between these two a desk worked of which nothing is left but what it did to its mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Restored {
    /// The backup was made.
    pub backup: Timestamp,
    /// It was brought back.
    pub at: Timestamp,
}

impl Restored {
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    /// A mail came while that desk worked. Clocks differ: a day earlier counts, and so much later.
    pub fn may_have_recorded(&self, received_at: Timestamp, later: SignedDuration) -> bool {
        received_at.duration_since(self.at) < later && self.backup.duration_since(received_at) < Self::DAY
    }

    /// The same of a mail that lies among recorded ones: a day later counts, too.
    pub fn has_recorded(&self, received_at: Timestamp) -> bool {
        self.may_have_recorded(received_at, Self::DAY)
    }
}

/// Something that looks keys up: the index itself, or the index with changes on top that are not committed yet.
pub trait Lookup {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;

    /// What makes the keys.
    fn keys(&self) -> &Keys;

    /// A value, read.
    fn entry<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, IndexError> {
        self.get(key)?.map(|value| serde_json::from_slice(&value).map_err(IndexError::from)).transpose()
    }

    /// A case.
    fn case(&self, id: &CaseId) -> Result<Option<Case>, IndexError> {
        self.entry(&self.keys().case(id))
    }

    /// A letter.
    fn posting(&self, id: &LetterId) -> Result<Option<Posting>, IndexError> {
        self.entry(&self.keys().letter(id))
    }

    /// The case that one of these Message-IDs belongs to; the first that leads anywhere wins.
    fn thread<'a>(
        &self,
        message_ids: impl IntoIterator<Item = &'a String>,
    ) -> Result<Option<CaseId>, IndexError> {
        for id in message_ids {
            if let Some(case) = self.entry(&self.keys().thread(id))? {
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
        Ok(self.entry::<u32>(&self.keys().number(year))?.unwrap_or(0).saturating_add(1))
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
        let [to_address, to_domain, this_hour, today] = self.keys().answered(address, at);
        let mails_today = count(address.map(|author| self.keys().mails(author, at)))?;
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
        let id: Option<LetterId> = self.entry(&self.keys().post(message_id))?;
        id.map_or(Ok(None), |id| self.posting(&id))
    }

    /// The certificates that the desk remembers for an address; the first is in use.
    fn certificates(&self, address: &str) -> Result<Vec<Certificate>, IndexError> {
        Ok(self.entry(&self.keys().certificates(address))?.unwrap_or_default())
    }

    /// The mail that brought a ciphertext first.
    fn ciphertext(&self, ciphertext: &Digest) -> Result<Option<Sighting>, IndexError> {
        self.entry(&self.keys().ciphertext(ciphertext))
    }

    /// Were the coordinators told of this concern?
    fn told(&self, concern: &str) -> Result<bool, IndexError> {
        Ok(self.get(&self.keys().told(concern))?.is_some())
    }

    /// When they were last told of letters that are held.
    fn told_at(&self) -> Result<Option<Timestamp>, IndexError> {
        self.entry(TOLD_AT)
    }

    /// When the last digest was written.
    fn digested_at(&self) -> Result<Option<Timestamp>, IndexError> {
        self.entry(DIGESTED_AT)
    }

    /// When somebody was reminded of this.
    fn reminded(&self, warning: &str) -> Result<Option<Timestamp>, IndexError> {
        self.entry(&self.keys().reminded(warning))
    }

    /// When somebody was last told what is ahead.
    fn reminded_at(&self, address: &str) -> Result<Option<Timestamp>, IndexError> {
        self.entry(&self.keys().reminded_at(address))
    }

    /// Has a command been given with this signature?
    fn used(&self, signature: &Digest) -> Result<bool, IndexError> {
        Ok(self.get(&self.keys().signature(signature))?.is_some())
    }

    /// When the store was last brought back, if it was, and of when the backup is.
    fn restored(&self) -> Result<Option<Restored>, IndexError> {
        self.entry(RESTORED)
    }

    /// The member of the distributors' list of that name.
    fn member(&self, id: &MemberId) -> Result<Option<Member>, IndexError> {
        self.entry(&self.keys().member(id))
    }

    /// The member with that address.
    fn member_of(&self, address: &Mailbox) -> Result<Option<Member>, IndexError> {
        let id: Option<MemberId> = self.entry(&self.keys().member_of(address))?;
        id.map_or(Ok(None), |id| self.member(&id))
    }

    /// The proposal of that number, if it waits for another person's word.
    fn proposal(&self, number: u32) -> Result<Option<Pending>, IndexError> {
        self.entry(&self.keys().proposal(number))
    }

    /// How many proposals were made.
    fn proposals(&self) -> Result<u32, IndexError> {
        Ok(self.entry(PROPOSALS)?.unwrap_or(0))
    }

    /// How many letters of the desk belong to no case.
    fn desk_letters(&self) -> Result<u32, IndexError> {
        Ok(self.entry(DESK_LETTERS)?.unwrap_or(0))
    }

    /// Has the mail at this place been taken in?
    fn knows_position(&self, position: &Position) -> Result<bool, IndexError> {
        Ok(self.get(&self.keys().position(position))?.is_some())
    }

    /// Has a mail of these bytes, or its twin, been taken in?
    fn knows_mail(&self, receipt: &Receipt) -> Result<bool, IndexError> {
        Ok(self.get(&self.keys().mail(&receipt.digest))?.is_some()
            || self.get(&self.keys().twin(&receipt.twin))?.is_some())
    }
}

/// The index on disk.
#[derive(Debug, Clone)]
pub struct Index {
    tree: sled::Db,
    vault: Vault,
    keys: Keys,
    /// Of all entries but itself.
    sum: Arc<Mutex<Sum>>,
}

impl Lookup for Index {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.tree.get(key)?.map(|sealed| self.opened(key, &sealed)).transpose()
    }

    fn keys(&self) -> &Keys {
        &self.keys
    }
}

impl Index {
    /// Opens or creates it. A database that cannot be opened, or has lost something, is an error, never a panic.
    pub fn open(path: &Path, vault: &Vault) -> Result<Self, IndexError> {
        let config = sled::Config::new().path(path).cache_capacity(64 << 20).flush_every_ms(Some(1000));
        let open = AssertUnwindSafe(|| {
            let tree = patiently(|| config.open())?;
            let sum = Sum::of(&tree)?;
            Ok::<_, IndexError>((tree, sum))
        });
        let (tree, sum) = std::panic::catch_unwind(open).map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            IndexError::Panicked(text.unwrap_or_default().lines().next().unwrap_or_default().to_owned())
        })??;
        let index =
            Self { tree, vault: vault.clone(), keys: Keys::new(vault), sum: Arc::new(Mutex::new(sum)) };
        index.seen()?;
        let expected = index.tree.get(SUM)?;
        let is_whole = expected.map_or(index.tree.is_empty(), |expected| expected == sum.as_bytes());
        if is_whole { Ok(index) } else { Err(IndexError::Incomplete) }
    }

    fn opened(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, IndexError> {
        self.vault.open_sealed(&belongs(key), sealed.to_vec()).ok_or(IndexError::Damaged)
    }

    fn in_the_clear<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, IndexError> {
        Ok(self.tree.get(key)?.map(|value| serde_json::from_slice(&value)).transpose()?)
    }

    /// How far it has come. An index in another form than this version's has to be made anew.
    pub fn seen(&self) -> Result<Option<Place>, IndexError> {
        match self.in_the_clear::<u32>(FORM)? {
            Some(THIS_FORM) => self.in_the_clear(SEEN),
            None if self.tree.is_empty() => Ok(None),
            _ => Err(IndexError::OtherVersion(
                self.in_the_clear::<SeenBefore>(SEEN)?.map_or(0, |seen| seen.seq),
            )),
        }
    }

    /// Takes over a draft and how far it has come with it, in one step.
    pub fn take_over(&self, draft: Draft<'_>, seen: &Place) -> Result<(), IndexError> {
        // the sum is only ever replaced as a whole
        let mut kept = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = *kept;
        let mut batch = sled::Batch::default();
        let mut change = |key: Vec<u8>, value: Option<Vec<u8>>| {
            sum.without(&key, self.tree.get(&key)?.as_deref());
            sum.with(&key, value.as_deref());
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
            Ok::<_, IndexError>(())
        };
        for (key, value) in draft.changes {
            let sealed = value.map(|value| self.vault.seal(&belongs(&key), value));
            change(key, sealed.transpose().map_err(sled::Error::Io)?)?;
        }
        change(SEEN.to_vec(), Some(serde_json::to_vec(seen)?))?;
        change(FORM.to_vec(), Some(serde_json::to_vec(&THIS_FORM)?))?;
        batch.insert(SUM, sum.as_bytes().as_slice());
        self.tree.apply_batch(batch)?;
        *kept = sum;
        Ok(())
    }

    /// Waits until it is on the disk.
    pub fn flush(&self) -> Result<(), IndexError> {
        self.tree.flush()?;
        Ok(())
    }

    /// Every case, in order of its id.
    pub fn cases(&self) -> Result<Vec<Case>, IndexError> {
        let mut cases: Vec<Case> = self.all("case")?;
        cases.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        Ok(cases)
    }

    /// Every letter, in order of its id.
    pub fn postings(&self) -> Result<Vec<Posting>, IndexError> {
        let mut postings: Vec<Posting> = self.all("letter")?;
        postings.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        Ok(postings)
    }

    /// Up to `most` letters whose turn has come, the longest waiting first, and when the next one's turn comes.
    pub fn due(&self, now: Timestamp, most: usize) -> Result<(Vec<Posting>, Option<Timestamp>), IndexError> {
        let mut due = Vec::new();
        for entry in self.tree.scan_prefix(b"due/") {
            let (key, value) = entry?;
            let (at, id): (Timestamp, LetterId) = serde_json::from_slice(&self.opened(&key, &value)?)?;
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

    /// Letters whose turn comes at a time or later.
    pub fn due_from(&self, at: Timestamp) -> Result<Vec<Posting>, IndexError> {
        let from = keys::Keys::due_from(at);
        let entries = self
            .tree
            .range(from..)
            .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(b"due/")));
        let mut due = Vec::new();
        for entry in entries {
            let (key, value) = entry?;
            let (_, id): (Timestamp, LetterId) = serde_json::from_slice(&self.opened(&key, &value)?)?;
            due.extend(self.posting(&id)?);
        }
        Ok(due)
    }

    /// Says whether another index, of the same data key, knows the same.
    pub fn knows_the_same_as(&self, other: &Self) -> Result<bool, IndexError> {
        let mut others = other.entries();
        for mine in self.entries() {
            let others = others.next().transpose()?;
            if others.as_ref() != Some(&mine?) {
                return Ok(false);
            }
        }
        Ok(others.next().is_none())
    }

    /// Opened, in the order of their keys, but for the sum, which is over sealed ones.
    fn entries(&self) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), IndexError>> {
        self.tree.iter().filter(|entry| !entry.as_ref().is_ok_and(|(key, _)| *key == SUM)).map(|entry| {
            let (key, value) = entry?;
            let in_the_clear = *key == *SEEN || *key == *FORM;
            let value = if in_the_clear { value.to_vec() } else { self.opened(&key, &value)? };
            Ok((key.to_vec(), value))
        })
    }

    fn all<T: DeserializeOwned>(&self, room: &str) -> Result<Vec<T>, IndexError> {
        let of_room = self.tree.scan_prefix(format!("{room}/"));
        of_room
            .map(|entry| {
                let (key, value) = entry?;
                Ok(serde_json::from_slice(&self.opened(&key, &value)?)?)
            })
            .collect()
    }
}

/// sled lets go of its files a moment after its last owner did.
fn patiently(open: impl Fn() -> sled::Result<sled::Db>) -> sled::Result<sled::Db> {
    let in_use = |error: &sled::Error| matches!(error, sled::Error::Io(error) if is_in_use(error));
    for _ in 0..PATIENCE {
        match open() {
            Err(error) if in_use(&error) => std::thread::sleep(BREATH),
            other => return other,
        }
    }
    open()
}

/// sled says so in words only.
fn is_in_use(error: &std::io::Error) -> bool {
    error.to_string().contains("acquire lock")
}

/// How far an index of an earlier form had come.
#[derive(serde::Deserialize)]
struct SeenBefore {
    seq: u64,
}

/// What a value is sealed as.
fn belongs(key: &[u8]) -> Vec<u8> {
    [b"index ".as_slice(), key].concat()
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

    fn keys(&self) -> &Keys {
        &self.index.keys
    }
}

impl<'i> Draft<'i> {
    /// No changes yet.
    pub fn new(index: &'i Index) -> Self {
        Self { index, changes: BTreeMap::new() }
    }

    /// The letters that wait for a person who was not told yet.
    pub fn untold(&self) -> Result<Vec<Posting>, IndexError> {
        let mut ids: Vec<LetterId> = self.room("untold")?;
        ids.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        ids.iter().filter_map(|id| self.posting(id).transpose()).collect()
    }

    /// What cases owe, in the order of their ids.
    pub fn running(&self) -> Result<Vec<Running>, IndexError> {
        let mut running: Vec<Running> = self.room("running")?;
        running.sort_by(|one, other| one.case.as_str().cmp(other.case.as_str()));
        Ok(running)
    }

    /// The letters that wait for a person, in the order of their ids.
    pub fn held(&self) -> Result<Vec<Posting>, IndexError> {
        let mut ids: Vec<LetterId> = self.room("held")?;
        ids.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        ids.iter().filter_map(|id| self.posting(id).transpose()).collect()
    }

    /// Everybody on the distributors' list, in the order of their names.
    pub fn members(&self) -> Result<Vec<Member>, IndexError> {
        let mut members: Vec<Member> = self.room("member")?;
        members.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(members)
    }

    /// The proposals that wait for another person's word, in the order of their numbers.
    pub fn pending(&self) -> Result<Vec<Pending>, IndexError> {
        let mut pending: Vec<Pending> = self.room("proposal")?;
        pending.sort_by_key(|pending| pending.number);
        Ok(pending)
    }

    /// Notices of which copies are not written yet.
    pub fn fan_outs(&self) -> Result<Vec<FanOut>, IndexError> {
        let mut all: Vec<FanOut> = self.room("fan-out")?;
        all.sort_by(|one, other| (&one.case, one.notice).cmp(&(&other.case, other.notice)));
        Ok(all)
    }

    /// The copies of a case's notices, in the order of their ids.
    pub fn copies(&self, case: &CaseId) -> Result<Vec<Posting>, IndexError> {
        self.letters_in(&self.keys().copies(case))
    }

    /// The letters of a member that are still to leave.
    pub fn leaving(&self, member: &MemberId) -> Result<Vec<Posting>, IndexError> {
        self.letters_in(&self.keys().leaving(member))
    }

    fn letters_in(&self, room: &str) -> Result<Vec<Posting>, IndexError> {
        let ids: Vec<LetterId> = self.room(room)?;
        let letters = ids.iter().filter_map(|id| self.posting(id).transpose());
        let mut letters: Vec<Posting> = letters.collect::<Result<_, _>>()?;
        letters.sort_by_key(|posting| (posting.id.series().to_owned(), posting.id.number()));
        Ok(letters)
    }

    /// What was not answered since the last digest, in order of time.
    pub fn unanswered(&self) -> Result<Vec<Unanswered>, IndexError> {
        let mut unanswered: Vec<Unanswered> = self.room("unanswered")?;
        unanswered.sort_by(|one, other| (one.at, one.mail.as_str()).cmp(&(other.at, other.mail.as_str())));
        Ok(unanswered)
    }

    /// All entries of a room, in the order of their keys.
    fn room<T: DeserializeOwned>(&self, room: &str) -> Result<Vec<T>, IndexError> {
        let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let prefix = format!("{room}/").into_bytes();
        for entry in self.index.tree.scan_prefix(&prefix) {
            let (key, value) = entry?;
            entries.insert(key.to_vec(), self.index.opened(&key, &value)?);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::vault::tests::vault;

    const ENTRIES: u32 = 2000;

    /// Some entries in the order in which they were made, each with a value.
    fn filled(index: &Index) {
        let mut draft = Draft::new(index);
        for number in 0..ENTRIES {
            let key = index.keys.told(&number.to_string());
            draft.changes.insert(key, Some(serde_json::to_vec(&number).unwrap()));
        }
        let place = Place { byte: 1, last: 1, digest: [0; 32] };
        index.take_over(draft, &place).unwrap();
        index.flush().unwrap();
    }

    fn copied(from: &Path, to: &Path) {
        fs::create_dir_all(to.join("blobs")).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }

    /// Wherever a bit falls over, or the file ends, the index says so when it is opened, or answers as before.
    #[test]
    fn damage_shows_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (whole, damaged) = (dir.path().join("whole"), dir.path().join("damaged"));
        filled(&Index::open(&whole, &vault()).unwrap());
        // sled makes a snapshot when it is opened, and trusts it the next time
        drop(Index::open(&whole, &vault()).unwrap());
        let bytes = fs::read(whole.join("db")).unwrap();
        let mut found = 0;
        for at in (0..bytes.len()).step_by(bytes.len() / 60) {
            for cut in [false, true] {
                copied(&whole, &damaged);
                let mut bytes = bytes.clone();
                match cut {
                    true => bytes.truncate(at),
                    false => bytes[at] ^= 16,
                }
                fs::write(damaged.join("db"), bytes).unwrap();
                match Index::open(&damaged, &vault()) {
                    Ok(index) => {
                        let values: Vec<u32> = index.all("told").unwrap();
                        assert!(
                            values.is_empty() && index.seen().unwrap().is_none()
                                || values.len() == ENTRIES as usize,
                            "byte {at}"
                        );
                    }
                    Err(_) => found += 1,
                }
                fs::remove_dir_all(&damaged).unwrap();
            }
        }
        assert!(found > 0, "no damage was found at all");
    }

    /// What sled does not notice: entries that are gone, changed, or in each other's place.
    #[test]
    fn entries_that_are_not_as_they_were_written_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path(), &vault()).unwrap();
        filled(&index);
        let keys: Vec<Vec<u8>> = [1, 2].map(|number: u32| index.keys.told(&number.to_string())).to_vec();
        let values: Vec<sled::IVec> = keys.iter().map(|key| index.tree.get(key).unwrap().unwrap()).collect();
        let reopened = |index: Index| {
            index.flush().unwrap();
            drop(index);
            Index::open(dir.path(), &vault())
        };
        index.tree.remove(&keys[0]).unwrap();
        let error = reopened(index).unwrap_err().to_string();
        assert!(error.contains("missing or damaged"), "{error}");
        let tree = patiently(|| sled::open(dir.path())).unwrap();
        tree.insert(&keys[0], &values[1]).unwrap();
        tree.insert(&keys[1], &values[0]).unwrap();
        tree.flush().unwrap();
        drop(tree);
        assert!(matches!(Index::open(dir.path(), &vault()), Err(IndexError::Incomplete)));
        let tree = patiently(|| sled::open(dir.path())).unwrap();
        tree.insert(&keys[0], &values[0]).unwrap();
        tree.insert(&keys[1], &values[1]).unwrap();
        tree.flush().unwrap();
        drop(tree);
        let index = Index::open(dir.path(), &vault()).unwrap();
        assert_eq!(index.entry::<u32>(&keys[1]).unwrap(), Some(2));
        // a value opens only under its own key
        index.tree.insert(&keys[0], &values[1]).unwrap();
        assert!(matches!(index.get(&keys[0]), Err(IndexError::Damaged)));
    }
}
