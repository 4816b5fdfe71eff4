//! The append-only journal: the truth.
//!
//! # What it is for
//! A file of committed batches. A batch is what one commit writes: one frame, one write, one fsync. Replaying all batches
//! rebuilds everything psirtd knows. Its form is in `journal/frame.rs`; what came before it is brought into it at start
//! (`store/older.rs`).
//!
//! # Invariants
//! * A frame that ends the file incomplete or wrong was never acknowledged to anybody, unless the index or the mark beside the
//!   journal say that it was: it is cut off at start, kept aside as `journal.torn-SECONDS`, and said so. If they do, nothing is
//!   cut, and psirtd does not start.
//! * A wrong frame with a right one behind it is damage: it is named by its number, nothing is skipped, psirtd does not start.
//! * After a failed write the file is cut back to what was good; when even that fails, or an fsync fails, nothing more is
//!   accepted until a restart.
//! * Whoever reads beside the writer reads up to the last batch that was acknowledged.
//!
//! # Fatal
//! Damage in the middle; a format of another version; a data key that is not this journal's.

mod frame;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::crash;
use crate::domain::event::Event;
use crate::domain::message::{Digest, Position};
use crate::store::folder_synced;
use crate::store::journal::frame::{CLEAR, Format, SEALED, length};
use crate::store::vault::Vault;

/// One committed input: what happened, and which mail it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 1, without gaps.
    pub seq: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// The mail that was taken in, if one was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub receipt: Option<Receipt>,
    /// What happened.
    pub events: Vec<Event>,
}

/// Proof that a mail was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Where it lay on the server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<Position>,
    /// Of its bytes as received.
    pub digest: Digest,
    /// Of what stays the same when a mail is delivered twice on different ways: Message-ID, From, Date and body.
    pub twin: Digest,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("journal {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Not a journal, or one of another version.
    #[error(
        "journal {0}: not a journal of format 1 or 2; it was written by another version of psirtd, or is no journal; nothing was changed"
    )]
    Format(PathBuf),
    /// Damage in the middle.
    #[error(
        "journal {path}: the batch after record {after} (byte {offset}) is damaged, and intact batches follow it; restore the \
         state directory from a backup: psirtd store restore"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The last intact record.
        after: u64,
        /// Where the damage begins.
        offset: u64,
    },
    /// The chain is right, the seal is not.
    #[error(
        "journal {path}: the batch after record {after} cannot be opened with this data key: one of the two is from elsewhere; \
         restore the state directory from a backup: psirtd store restore"
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The last record that could be read.
        after: u64,
    },
    /// The chain and the seal are right, and this version does not know what it says.
    #[error(
        "journal {path}: what follows record {after} was written by a newer psirtd, and this one does not know what it means; \
         nothing was changed: run the newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The last record that could be read.
        after: u64,
    },
    /// It has lost what was committed.
    #[error(
        "journal {path}: the batch after record {last} is damaged or cut off, but record {seen} was committed; restore the state \
         directory from a backup: psirtd store restore"
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// Its last record.
        last: u64,
        /// The last record that is known to have been committed.
        seen: u64,
    },
    /// Another process has it open, whatever became of the lock.
    #[error("journal {0}: another psirtd is writing to it")]
    InUse(PathBuf),
    /// It is of format 1, and not whole.
    #[error(
        "journal {path}: of format 1, and what stands behind byte {byte} is no batch; it is not brought over: if that was never \
         finished (the last start of the version before would have said so), cut it off with “truncate -s {byte}”, else restore a \
         backup"
    )]
    NotWhole {
        /// The file.
        path: PathBuf,
        /// The end of its last batch.
        byte: u64,
    },
    /// An earlier write failed in a way that leaves the file's state unknown.
    #[error("journal: closed after an earlier error, restart psirtd: {0}")]
    Closed(String),
}

/// What was found when the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The number of the last record.
    pub last: u64,
    /// Bytes of an unfinished batch that were cut off.
    pub torn: u64,
}

/// A place between two batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Bytes before it.
    pub byte: u64,
    /// The number of the last record before it; 0 at the beginning.
    pub last: u64,
    /// The digest of the chain up to it.
    pub digest: [u8; 32],
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    pages: Pages,
    file: File,
    mark: Option<File>,
    end: Place,
    closed: Option<String>,
}

/// The journal as those see it who read it. Clones look at the same file.
#[derive(Debug, Clone)]
pub struct Pages {
    path: PathBuf,
    vault: Vault,
    /// Up to here it was acknowledged by the writer, if there is one.
    end: Option<Arc<AtomicU64>>,
}

/// Some records, one behind the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// They; none at the end.
    pub records: Vec<Record>,
    /// The place behind them.
    pub behind: Place,
    /// Bytes behind the last batch that are none, when nobody is writing.
    pub unfinished: u64,
}

impl Journal {
    /// Opens or creates the journal; `replay` sees every batch and the place behind it. `seen` is a record that is known to have
    /// been committed: a journal that ends before it is refused as it is.
    pub fn open(
        path: &Path,
        vault: &Vault,
        now: Timestamp,
        seen: u64,
        mut replay: impl FnMut(&[Record], &Place),
    ) -> Result<(Self, Found), JournalError> {
        let io = |error| JournalError::Io { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(path).map_err(io)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(JournalError::InUse(path.to_owned()));
        }
        let seen = seen.max(marked(path));
        let holds = |last| holds(path, last, seen);
        if file.metadata().map_err(io)?.len() < length(SEALED.first_line) {
            holds(0)?;
            begin(path, &mut file).map_err(io)?;
        }
        let mut batches = Batches::sealed(path, vault)?;
        while let Some(records) = batches.next()? {
            replay(&records, &batches.place);
        }
        let (end, torn) = (batches.place.clone(), batches.rest());
        holds(end.last)?;
        if torn > 0 {
            keep_aside(path, end.byte, now).map_err(io)?;
            file.set_len(end.byte).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        let found = Found { last: end.last, torn };
        let acknowledged = Some(Arc::new(AtomicU64::new(end.byte)));
        let pages = Pages { path: path.to_owned(), vault: vault.clone(), end: acknowledged };
        // without a mark an unfinished end is told from damage by the index alone
        let mark =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(mark_of(path)).ok();
        Ok((Self { pages, file, mark, end, closed: None }, found))
    }

    /// Where it ends.
    pub fn end(&self) -> &Place {
        &self.end
    }

    /// To read it beside the writer.
    pub fn pages(&self) -> Pages {
        self.pages.clone()
    }

    /// Appends one batch and waits until it is on the disk. Numbers the records.
    pub fn append(&mut self, records: &mut [Record]) -> Result<(), JournalError> {
        if let Some(why) = &self.closed {
            return Err(JournalError::Closed(why.clone()));
        }
        for (record, seq) in records.iter_mut().zip(self.end.last.saturating_add(1)..) {
            record.seq = seq;
        }
        let path = &self.pages.path;
        let io = |error| JournalError::Io { path: path.clone(), error };
        let payload = serde_json::to_vec(records).map_err(|error| io(error.into()))?;
        let payload = self.pages.vault.seal(&belongs(&self.end), payload).map_err(io)?;
        let (frame, behind) = SEALED.frame(&self.end, records.len(), &payload).map_err(io)?;
        if let Err(error) = crash::write_all("journal half written", &mut self.file, &frame) {
            // the disk may be full: cut back, so that the next batch finds a clean end
            if let Err(worse) = self.file.set_len(self.end.byte) {
                self.closed = Some(worse.to_string());
            }
            return Err(JournalError::Io { path: path.clone(), error });
        }
        crash::point("journal written");
        if let Err(error) = self.file.sync_data() {
            // after a failed fsync nobody knows what is on the disk
            self.closed = Some(error.to_string());
            return Err(JournalError::Io { path: path.clone(), error });
        }
        crash::point("journal synced");
        self.end = behind;
        if let Some(acknowledged) = &self.pages.end {
            acknowledged.store(self.end.byte, Ordering::Release);
        }
        if let Some(mark) = &self.mark {
            // it only ever helps; the next one says more
            let _unmarked = mark.write_all_at(format!("{:020}\n", self.end.last).as_bytes(), 0);
        }
        Ok(())
    }
}

impl Pages {
    /// A journal that nobody writes to, as it is.
    pub(super) fn of(path: &Path, vault: &Vault) -> Self {
        Self { path: path.to_owned(), vault: vault.clone(), end: None }
    }

    /// Whole batches behind a place, or from the beginning, until there are so many records or the end is reached.
    pub fn read(&self, from: Option<Place>, most: usize) -> Result<Page, JournalError> {
        let mut batches = Batches::sealed(&self.path, &self.vault)?;
        if let Some(place) = from {
            batches.go_to(place)?;
        }
        if let Some(acknowledged) = &self.end {
            batches.end = acknowledged.load(Ordering::Acquire);
        }
        let mut records = Vec::new();
        let mut unfinished = 0;
        while records.len() < most {
            match batches.next() {
                Ok(Some(more)) => records.extend(more),
                // what is intact is read; the next page begins with the damage
                Err(_) if !records.is_empty() => break,
                Err(error) => return Err(error),
                Ok(None) if !records.is_empty() => break,
                Ok(None) => {
                    unfinished = self.unfinished(&batches)?;
                    break;
                }
            }
        }
        Ok(Page { records, behind: batches.place, unfinished })
    }

    /// Shows every record, page by page. Returns the last page, which has none.
    pub fn turn(&self, mut look: impl FnMut(&Record)) -> Result<Page, JournalError> {
        const AT_A_TIME: usize = 1000;
        let mut page = self.read(None, AT_A_TIME)?;
        while !page.records.is_empty() {
            page.records.iter().for_each(&mut look);
            page = self.read(Some(page.behind), AT_A_TIME)?;
        }
        Ok(page)
    }

    /// Bytes behind the last batch that may be an unfinished one: what is known to have been committed is none.
    fn unfinished(&self, batches: &Batches) -> Result<u64, JournalError> {
        let rest = batches.rest();
        if self.end.is_none() {
            batches.hold(0)?;
        } else if rest > 0 {
            return Err(batches.damaged());
        }
        Ok(rest)
    }
}

/// The batches of a file, one after the other.
#[derive(Debug)]
pub(super) struct Batches {
    path: PathBuf,
    format: Format,
    /// None: they lie in the clear.
    vault: Option<Vault>,
    reader: BufReader<File>,
    place: Place,
    end: u64,
    /// This record is known to have been committed.
    seen: u64,
}

impl Batches {
    fn open(path: &Path, format: Format, vault: Option<Vault>) -> Result<Self, JournalError> {
        let io = |error| JournalError::Io { path: path.to_owned(), error };
        // before the length: a writer may be at work, and the mark comes last
        let seen = marked(path);
        let file = File::open(path).map_err(io)?;
        let end = file.metadata().map_err(io)?.len();
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut line = vec![0; format.first_line.len()];
        if reader.read_exact(&mut line).is_err() || line != format.first_line {
            return Err(JournalError::Format(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), format, vault, reader, place: format.beginning(), end, seen })
    }

    /// A journal of this version.
    pub(super) fn sealed(path: &Path, vault: &Vault) -> Result<Self, JournalError> {
        Self::open(path, SEALED, Some(vault.clone()))
    }

    /// A journal of format 1.
    pub(super) fn of_format_1(path: &Path) -> Result<Self, JournalError> {
        Self::open(path, CLEAR, None)
    }

    fn io(&self, error: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), error }
    }

    fn go_to(&mut self, place: Place) -> Result<(), JournalError> {
        self.reader.seek(SeekFrom::Start(place.byte)).map_err(|error| self.io(error))?;
        self.place = place;
        Ok(())
    }

    /// At the end: what the mark says was committed is there, and this record.
    pub(super) fn hold(&self, seen: u64) -> Result<(), JournalError> {
        holds(&self.path, self.place.last, self.seen.max(seen))
    }

    /// Behind the last batch that was read.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Bytes behind the last batch that was read.
    pub(super) fn rest(&self) -> u64 {
        self.end.saturating_sub(self.place.byte)
    }

    fn damaged(&self) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), after: self.place.last, offset: self.place.byte }
    }

    /// The next frame; none at the end, or before what may be an unfinished batch.
    fn frame(&mut self) -> Result<Option<(Vec<u8>, Place)>, JournalError> {
        let next = self.format.next(&mut self.reader, &self.place, self.end);
        let next = next.map_err(|error| self.io(error))?;
        if next.is_none() && self.rest() > 0 {
            let follows = self.format.is_intact_after(&self.path, self.place.byte, self.end);
            if follows.map_err(|error| self.io(error))? {
                return Err(self.damaged());
            }
        }
        Ok(next)
    }

    /// Goes on to the next batch without a look into it; says whether there is one.
    pub(super) fn skip(&mut self) -> Result<bool, JournalError> {
        let next = self.frame()?;
        let found = next.is_some();
        self.place = next.map_or_else(|| self.place.clone(), |(_, behind)| behind);
        Ok(found)
    }

    /// The next batch.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Record>>, JournalError> {
        let Some((payload, behind)) = self.frame()? else { return Ok(None) };
        let sealed = || JournalError::Sealed { path: self.path.clone(), after: self.place.last };
        let payload = match &self.vault {
            Some(vault) => vault.open_sealed(&belongs(&self.place), payload).ok_or_else(sealed)?,
            None => payload,
        };
        // the chain and the seal are right: nobody changed it
        let unknown = |_| JournalError::Newer { path: self.path.clone(), after: self.place.last };
        let records = serde_json::from_slice(&payload).map_err(unknown)?;
        self.place = behind;
        Ok(Some(records))
    }
}

/// What a batch is sealed as: the one behind this place.
fn belongs(before: &Place) -> Vec<u8> {
    [b"journal ".as_slice(), &before.last.to_be_bytes(), &before.digest].concat()
}

/// Refuses a journal that ends before a record that was committed.
fn holds(path: &Path, last: u64, seen: u64) -> Result<(), JournalError> {
    if last < seen { Err(JournalError::Lost { path: path.to_owned(), last, seen }) } else { Ok(()) }
}

/// Is this a journal in the clear, of format 1?
pub(super) fn is_of_format_1(path: &Path) -> bool {
    let mut line = vec![0; CLEAR.first_line.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut line)).is_ok() && line == CLEAR.first_line
}

/// Holds nothing yet.
pub(super) fn is_new(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |file| file.len() < length(SEALED.first_line))
}

/// Where a journal ends, as far as its chain is complete; a writer may be appending to it. Needs no key.
pub(super) fn end(path: &Path) -> Result<Place, JournalError> {
    let mut batches = Batches::open(path, SEALED, None)?;
    while batches.skip()? {}
    batches.hold(0)?;
    Ok(batches.place)
}

/// Is this place one of the journal's?
pub(super) fn contains(path: &Path, place: &Place) -> Result<bool, JournalError> {
    let mut batches = Batches::open(path, SEALED, None)?;
    while batches.place.byte < place.byte && batches.skip()? {}
    Ok(batches.place == *place)
}

fn begin(path: &Path, file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(SEALED.first_line)?;
    file.sync_all()?;
    match path.parent() {
        Some(parent) => folder_synced(parent),
        None => Ok(()),
    }
}

/// Beside the journal: the number of the last record that was committed. Not synced: it tells an unfinished batch from a damaged one
/// after the process has died, and the machine has not.
pub(super) fn mark_of(path: &Path) -> PathBuf {
    let mut mark = path.to_owned();
    mark.as_mut_os_string().push(".mark");
    mark
}

fn marked(path: &Path) -> u64 {
    std::fs::read_to_string(mark_of(path)).ok().and_then(|mark| mark.trim().parse().ok()).unwrap_or(0)
}

fn keep_aside(path: &Path, end: u64, now: Timestamp) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(end))?;
    let mut name = path.with_extension(format!("torn-{}", now.as_second()));
    while name.exists() {
        name.as_mut_os_string().push("x");
    }
    let mut aside = OpenOptions::new().write(true).create_new(true).mode(0o600).open(name)?;
    io::copy(&mut file, &mut aside)?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::Commit;
    use crate::store::vault::tests::vault;
    use proptest::prelude::*;

    /// A journal of format 1, a batch a commit.
    pub(in crate::store) fn in_the_clear(commits: Vec<Commit>, now: Timestamp) -> Vec<u8> {
        let mut place = CLEAR.beginning();
        let mut bytes = CLEAR.first_line.to_vec();
        for Commit { receipt, events, .. } in commits {
            let records = [Record { seq: place.last + 1, at: now, receipt, events }];
            let (frame, behind) = CLEAR.frame(&place, 1, &serde_json::to_vec(&records).unwrap()).unwrap();
            bytes.extend(frame);
            place = behind;
        }
        bytes
    }

    fn record() -> Record {
        Record { seq: 0, at: Timestamp::UNIX_EPOCH, receipt: None, events: Vec::new() }
    }

    /// Frames are as long as what is in them, their head, tag and nonce.
    const AROUND: usize = 84 + 16 + 12;

    fn written(batches: &[usize]) -> (tempfile::TempDir, PathBuf, Vec<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, &vault(), Timestamp::UNIX_EPOCH, 0, |_, _| {}).unwrap();
        let ends = batches
            .iter()
            .map(|records| {
                journal.append(&mut vec![record(); *records]).unwrap();
                std::fs::metadata(&path).unwrap().len()
            })
            .collect();
        (dir, path, ends)
    }

    fn reopened(path: &Path) -> Result<(Vec<u64>, Found), JournalError> {
        let mut seen = Vec::new();
        let found = Journal::open(path, &vault(), Timestamp::UNIX_EPOCH, 0, |records, _| {
            seen.extend(records.iter().map(|r| r.seq))
        })?
        .1;
        Ok((seen, found))
    }

    fn without_mark(path: &Path) {
        std::fs::remove_file(mark_of(path)).unwrap();
    }

    #[test]
    fn batches_come_back_in_order() {
        let (_dir, path, ends) = written(&[1, 3, 2]);
        assert!(usize::try_from(ends[0]).unwrap() > SEALED.first_line.len() + AROUND);
        let (seen, found) = reopened(&path).unwrap();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
        assert_eq!(found, Found { last: 6, torn: 0 });
    }

    #[test]
    fn whoever_reads_beside_the_writer_reads_what_was_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, &vault(), Timestamp::UNIX_EPOCH, 0, |_, _| {}).unwrap();
        let pages = journal.pages();
        journal.append(&mut [record(), record()]).unwrap();
        journal.append(&mut [record()]).unwrap();
        // the next batch is being written
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"PJ02 half a batch").unwrap();
        let numbers = |page: &Page| page.records.iter().map(|record| record.seq).collect::<Vec<_>>();
        let some = pages.read(None, 1).unwrap();
        assert_eq!(numbers(&some), [1, 2], "whole batches");
        let others = pages.read(Some(some.behind), 10).unwrap();
        assert_eq!(numbers(&others), [3]);
        let behind = others.behind;
        let nothing = Page { records: Vec::new(), behind: behind.clone(), unfinished: 0 };
        assert_eq!(pages.read(Some(behind.clone()), 10).unwrap(), nothing);
        assert_eq!(Pages::of(&path, &vault()).read(Some(behind), 10).unwrap().unfinished, 17);
        assert_eq!(end(&path).unwrap(), *journal.end());
        assert!(contains(&path, journal.end()).unwrap());
        assert!(!contains(&path, &Place { last: 2, ..journal.end().clone() }).unwrap());
    }

    #[test]
    fn a_torn_end_is_cut_off_kept_aside_and_appending_goes_on() {
        let (dir, path, ends) = written(&[1, 2]);
        without_mark(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in usize::try_from(ends[0]).unwrap() + 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (seen, found) = reopened(&path).unwrap();
            assert_eq!((seen.as_slice(), found.last), ([1].as_slice(), 1), "cut at {cut}");
            assert_eq!(found.torn, cut as u64 - ends[0]);
        }
        assert!(dir.path().join("journal.torn-0").exists());
        let (mut journal, _) = Journal::open(&path, &vault(), Timestamp::UNIX_EPOCH, 0, |_, _| {}).unwrap();
        journal.append(&mut [record()]).unwrap();
        assert!(matches!(reopened(&path), Err(JournalError::InUse(_))), "nobody else writes");
        drop(journal);
        assert_eq!(reopened(&path).unwrap().0, [1, 2]);
    }

    #[test]
    fn an_end_that_was_committed_is_not_cut_off() {
        let (_dir, path, _) = written(&[1, 2]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let error = reopened(&path).unwrap_err().to_string();
        assert!(error.contains("after record 1 is damaged") && error.contains("record 3 was"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len() - 1);
        for nonsense in ["", "x", "99999999999999999999999\n"] {
            std::fs::write(mark_of(&path), nonsense).unwrap();
            std::fs::write(&path, &whole).unwrap();
            assert_eq!(reopened(&path).unwrap().0, [1, 2, 3], "{nonsense}");
        }
    }

    #[test]
    fn what_is_intact_is_read_before_what_is_lost_is_named() {
        let (_dir, path, ends) = written(&[1, 2, 1]);
        let whole = std::fs::read(&path).unwrap();
        for cut in [usize::try_from(ends[1]).unwrap(), whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let pages = Pages::of(&path, &vault());
            let page = pages.read(None, 100).unwrap();
            assert_eq!(page.records.len(), 3);
            let error = pages.read(Some(page.behind), 100).unwrap_err().to_string();
            assert!(
                error.contains("after record 3 is damaged or cut off, but record 4 was committed"),
                "{error}"
            );
            assert!(end(&path).is_err(), "nor is it backed up");
        }
    }

    #[test]
    fn damage_in_the_middle_is_named() {
        let (_dir, path, ends) = written(&[1, 1, 1]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(ends[0]).unwrap() + AROUND] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = reopened(&path).unwrap_err().to_string();
        assert!(error.contains("the batch after record 1"), "{error}");
    }

    #[test]
    fn a_batch_of_another_desk_is_named() {
        let (_dir, path, _) = written(&[1]);
        let before = Batches::open(&path, SEALED, Some(vault())).unwrap();
        let place = {
            let mut batches = before;
            batches.next().unwrap();
            batches.place
        };
        // the chain can be forged by whoever can write to the disk, the seal cannot
        let (frame, _) = SEALED.frame(&place, 1, b"[]").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&frame).unwrap();
        let error = reopened(&path).unwrap_err().to_string();
        assert!(error.contains("the batch after record 1 cannot be opened with this data key"), "{error}");
    }

    /// Somebody went back to an older psirtd: nothing is damaged, and nothing of it is passed over.
    #[test]
    fn what_a_newer_version_wrote_is_named() {
        let (_dir, path, _) = written(&[2]);
        let mut batches = Batches::sealed(&path, &vault()).unwrap();
        while batches.skip().unwrap() {}
        let place = batches.place().clone();
        let event = r#"{"at":"1970-01-01T00:00:00Z","event":"from-the-future"}"#;
        let record =
            format!(r#"[{{"seq":3,"at":"1970-01-01T00:00:00Z","receipt":null,"events":[{event}]}}]"#);
        let sealed = vault().seal(&belongs(&place), record.into_bytes()).unwrap();
        let (frame, _) = SEALED.frame(&place, 1, &sealed).unwrap();
        let whole = [std::fs::read(&path).unwrap(), frame].concat();
        std::fs::write(&path, &whole).unwrap();
        let error = reopened(&path).unwrap_err();
        assert!(matches!(error, JournalError::Newer { after: 2, .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), whole, "nothing was changed");
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "psirtd journal 9\nwhatever follows here").unwrap();
        assert!(matches!(reopened(&path), Err(JournalError::Format(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        /// One flipped bit anywhere: it is found, the record before it is named, and nothing behind it is read.
        #[test]
        fn a_flipped_bit_is_found_and_named(at in 0_usize..2000, bit in 0_u8..8, marked: bool) {
            let (_dir, path, ends) = written(&[1, 2, 1]);
            let whole = std::fs::read(&path).unwrap();
            let at = at % whole.len();
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, &bytes).unwrap();
            if !marked {
                without_mark(&path);
            }
            // records before the damaged batch
            let intact = [3, 1, 0].into_iter().zip([ends[1], ends[0], 0]).find(|(_, end)| *end <= at as u64).unwrap().0;
            let mut read = 0;
            let opened = Journal::open(&path, &vault(), Timestamp::UNIX_EPOCH, 0, |records, _| read += records.len());
            let last_batch = at as u64 >= ends[1];
            match opened {
                Err(error) => {
                    let named = format!("after record {intact} ");
                    let said = error.to_string();
                    let is_format = at < SEALED.first_line.len() && said.contains("not a journal of format");
                    prop_assert!(is_format || said.contains(&named), "{said}");
                    prop_assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
                }
                // the last batch may be an unfinished one, when nothing says that it was committed: it is cut off, and said so
                Ok((_, found)) => {
                    prop_assert!(last_batch && !marked);
                    prop_assert_eq!((found.last, found.torn), (3, ends[2] - ends[1]));
                }
            }
            prop_assert!(read as u64 <= intact);
        }
    }
}
