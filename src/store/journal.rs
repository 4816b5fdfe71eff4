//! The append-only journal: the truth.
//!
//! # What it is for
//! A file of committed batches. A batch is what one commit writes: one frame, one write, one fsync. Replaying all batches
//! rebuilds everything psirtd knows.
//!
//! ```text
//! "psirtd journal 1\n"
//! frame: "PJ01"  length u32  first seq u64  records u32  previous digest 32  digest 32  payload (JSON array of records)
//! ```
//! Numbers are big-endian. The digest is SHA-256 over first seq, records, previous digest and payload, so every frame is
//! chained to the one before it; the first one's previous digest is that of the file's first line.
//!
//! # Invariants
//! * A frame that ends the file incomplete or wrong was never acknowledged to anybody, unless the index has seen it: it is cut
//!   off at start, kept aside as `journal.torn-SECONDS`, and said so. If the index has seen it, nothing is cut, and psirtd does
//!   not start.
//! * A wrong frame with a right one behind it is damage: it is named by its number, nothing is skipped, psirtd does not start.
//! * After a failed write the file is cut back to what was good; when even that fails, or an fsync fails, nothing more is
//!   accepted until a restart.
//!
//! # Fatal
//! Damage in the middle; a format of another version.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::crash;
use crate::domain::event::Event;
use crate::domain::message::{Digest, Position};

const FIRST_LINE: &[u8] = b"psirtd journal 1\n";
const MAGIC: &[u8; 4] = b"PJ01";
const HEAD: usize = 4 + 4 + 8 + 4 + 32 + 32;
/// No batch is larger; a length beyond it is damage, not a reason to allocate.
const MAX_PAYLOAD: u32 = 256 * 1024 * 1024;

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
        "journal {0}: not a journal of format 1; it was written by another version of psirtd, or is no journal"
    )]
    Format(PathBuf),
    /// Damage in the middle.
    #[error(
        "journal {path}: the batch after record {after} (byte {offset}) is damaged, and intact batches follow it; restore the \
         state directory from a backup"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The last intact record.
        after: u64,
        /// Where the damage begins.
        offset: u64,
    },
    /// It has lost what was committed.
    #[error(
        "journal {path}: it ends at record {last}, but record {seen} was committed: something cut or replaced it; restore the \
         state directory from a backup"
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// Its last record.
        last: u64,
        /// The last record that the index has seen.
        seen: u64,
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

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    end: u64,
    last: u64,
    digest: [u8; 32],
    closed: Option<String>,
}

impl Journal {
    /// Opens or creates the journal; `replay` sees every batch: its records, and the digest of the chain after it. `seen` is a
    /// record that is known to have been committed: a journal that ends before it is refused as it is.
    pub fn open(
        path: &Path,
        now: Timestamp,
        seen: u64,
        mut replay: impl FnMut(Vec<Record>, [u8; 32]),
    ) -> Result<(Self, Found), JournalError> {
        let io = |error| JournalError::Io { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() < length(FIRST_LINE) {
            if seen > 0 {
                return Err(JournalError::Lost { path: path.to_owned(), last: 0, seen });
            }
            begin(path, &mut file).map_err(io)?;
        }
        let read = read(path, &mut replay)?;
        if read.last < seen {
            return Err(JournalError::Lost { path: path.to_owned(), last: read.last, seen });
        }
        if read.torn > 0 {
            keep_aside(path, read.end, now).map_err(io)?;
            file.set_len(read.end).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        let found = Found { last: read.last, torn: read.torn };
        Ok((
            Self {
                path: path.to_owned(),
                file,
                end: read.end,
                last: read.last,
                digest: read.digest,
                closed: None,
            },
            found,
        ))
    }

    /// The number of the last record.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Appends one batch and waits until it is on the disk. Numbers the records. Returns the digest of the chain after it.
    pub fn append(&mut self, records: &mut [Record]) -> Result<[u8; 32], JournalError> {
        if let Some(why) = &self.closed {
            return Err(JournalError::Closed(why.clone()));
        }
        let first = self.last.saturating_add(1);
        for (record, seq) in records.iter_mut().zip(first..) {
            record.seq = seq;
        }
        let io = |error| JournalError::Io { path: self.path.clone(), error };
        let payload = serde_json::to_vec(records).map_err(|error| io(error.into()))?;
        let (frame, digest) = frame(first, records.len(), &self.digest, &payload).map_err(io)?;
        if let Err(error) = crash::write_all("journal half written", &mut self.file, &frame) {
            // the disk may be full: cut back, so that the next batch finds a clean end
            if let Err(worse) = self.file.set_len(self.end) {
                self.closed = Some(worse.to_string());
            }
            return Err(JournalError::Io { path: self.path.clone(), error });
        }
        crash::point("journal written");
        if let Err(error) = self.file.sync_data() {
            // after a failed fsync nobody knows what is on the disk
            self.closed = Some(error.to_string());
            return Err(JournalError::Io { path: self.path.clone(), error });
        }
        crash::point("journal synced");
        self.end = self.end.saturating_add(length(&frame));
        self.last = self.last.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        self.digest = digest;
        Ok(digest)
    }
}

/// Reads a journal without changing it: `replay` sees every batch. An unfinished end is reported, not cut.
pub fn verify(path: &Path, mut replay: impl FnMut(Vec<Record>, [u8; 32])) -> Result<Found, JournalError> {
    let read = read(path, &mut replay)?;
    Ok(Found { last: read.last, torn: read.torn })
}

struct Reading {
    end: u64,
    last: u64,
    torn: u64,
    digest: [u8; 32],
}

fn begin(path: &Path, file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(FIRST_LINE)?;
    file.sync_all()?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn read(path: &Path, replay: &mut impl FnMut(Vec<Record>, [u8; 32])) -> Result<Reading, JournalError> {
    let io = |error| JournalError::Io { path: path.to_owned(), error };
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut line = vec![0; FIRST_LINE.len()];
    if reader.read_exact(&mut line).is_err() || line != FIRST_LINE {
        return Err(JournalError::Format(path.to_owned()));
    }
    let mut state =
        Reading { end: length(FIRST_LINE), last: 0, torn: 0, digest: Sha256::digest(FIRST_LINE).into() };
    while state.end < size {
        let Some(Frame { records, digest, bytes }) = next_frame(&mut reader, &state, size).map_err(io)?
        else {
            if intact_frame_after(path, state.end).map_err(io)? {
                return Err(JournalError::Damaged {
                    path: path.to_owned(),
                    after: state.last,
                    offset: state.end,
                });
            }
            state.torn = size.saturating_sub(state.end);
            break;
        };
        state.end = state.end.saturating_add(bytes);
        state.last = records.last().map_or(state.last, |record| record.seq);
        state.digest = digest;
        replay(records, digest);
    }
    Ok(state)
}

/// A batch as it was read.
struct Frame {
    records: Vec<Record>,
    digest: [u8; 32],
    bytes: u64,
}

/// The frame at the reader's place, if it is right.
fn next_frame(reader: &mut impl Read, state: &Reading, size: u64) -> io::Result<Option<Frame>> {
    let left = size.saturating_sub(state.end);
    let mut head = [0; HEAD];
    if left < length(&head) {
        return Ok(None);
    }
    reader.read_exact(&mut head)?;
    let Some(head) = Head::parse(&head) else { return Ok(None) };
    let whole = u64::from(head.length).saturating_add(u64::try_from(HEAD).unwrap_or(u64::MAX));
    if head.length > MAX_PAYLOAD
        || whole > left
        || head.previous != state.digest
        || head.first != state.last.saturating_add(1)
    {
        return Ok(None);
    }
    let mut payload = vec![0; usize::try_from(head.length).unwrap_or(usize::MAX)];
    reader.read_exact(&mut payload)?;
    if digest(head.first, head.records, &head.previous, &payload) != head.digest {
        return Ok(None);
    }
    let Ok(records) = serde_json::from_slice::<Vec<Record>>(&payload) else { return Ok(None) };
    Ok(Some(Frame { records, digest: head.digest, bytes: whole }))
}

/// Is there a frame further on that is right in itself?
fn intact_frame_after(path: &Path, offset: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset.saturating_add(1)))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let mut from = 0_usize;
    while let Some(tail) = rest.get(from..) {
        let Some(at) = tail.windows(MAGIC.len()).position(|window| window == MAGIC) else { break };
        let tail = tail.get(at..).unwrap_or_default();
        let intact =
            tail.get(..HEAD).and_then(|head| Head::parse(head.try_into().ok()?)).is_some_and(|head| {
                let end = HEAD.saturating_add(usize::try_from(head.length).unwrap_or(usize::MAX));
                tail.get(HEAD..end).is_some_and(|payload| {
                    digest(head.first, head.records, &head.previous, payload) == head.digest
                })
            });
        if intact {
            return Ok(true);
        }
        from = from.saturating_add(at).saturating_add(1);
    }
    Ok(false)
}

struct Head {
    length: u32,
    first: u64,
    records: u32,
    previous: [u8; 32],
    digest: [u8; 32],
}

impl Head {
    fn parse(bytes: &[u8; HEAD]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (records, rest) = rest.split_first_chunk::<4>()?;
        let (previous, rest) = rest.split_first_chunk::<32>()?;
        let digest: &[u8; 32] = rest.first_chunk::<32>()?;
        (magic == MAGIC).then(|| Self {
            length: u32::from_be_bytes(*length),
            first: u64::from_be_bytes(*first),
            records: u32::from_be_bytes(*records),
            previous: *previous,
            digest: *digest,
        })
    }
}

fn frame(first: u64, records: usize, previous: &[u8; 32], payload: &[u8]) -> io::Result<(Vec<u8>, [u8; 32])> {
    let too_large = |_| io::Error::new(io::ErrorKind::InvalidInput, "the batch is too large");
    let records = u32::try_from(records).map_err(too_large)?;
    let size = u32::try_from(payload.len()).map_err(too_large)?;
    if size > MAX_PAYLOAD {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the batch is too large"));
    }
    let digest = digest(first, records, previous, payload);
    let mut frame = Vec::with_capacity(HEAD.saturating_add(payload.len()));
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&size.to_be_bytes());
    frame.extend_from_slice(&first.to_be_bytes());
    frame.extend_from_slice(&records.to_be_bytes());
    frame.extend_from_slice(previous);
    frame.extend_from_slice(&digest);
    frame.extend_from_slice(payload);
    Ok((frame, digest))
}

fn digest(first: u64, records: u32, previous: &[u8; 32], payload: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(first.to_be_bytes());
    hash.update(records.to_be_bytes());
    hash.update(previous);
    hash.update(payload);
    hash.finalize().into()
}

fn keep_aside(path: &Path, end: u64, now: Timestamp) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(end))?;
    let mut torn = Vec::new();
    file.read_to_end(&mut torn)?;
    std::fs::write(path.with_extension(format!("torn-{}", now.as_second())), torn)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
        Record { seq: 0, at: Timestamp::UNIX_EPOCH, receipt: None, events: Vec::new() }
    }

    fn written(batches: &[usize]) -> (tempfile::TempDir, PathBuf, Vec<u64>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path, Timestamp::UNIX_EPOCH, 0, |_, _| {}).unwrap();
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
        let found = Journal::open(path, Timestamp::UNIX_EPOCH, 0, |records, _| {
            seen.extend(records.iter().map(|r| r.seq))
        })?
        .1;
        Ok((seen, found))
    }

    #[test]
    fn batches_come_back_in_order() {
        let (_dir, path, _) = written(&[1, 3, 2]);
        let (seen, found) = reopened(&path).unwrap();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
        assert_eq!(found, Found { last: 6, torn: 0 });
    }

    #[test]
    fn a_torn_end_is_cut_off_kept_aside_and_appending_goes_on() {
        let (dir, path, ends) = written(&[1, 2]);
        let whole = std::fs::read(&path).unwrap();
        for cut in usize::try_from(ends[0]).unwrap() + 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (seen, found) = reopened(&path).unwrap();
            assert_eq!((seen.as_slice(), found.last), ([1].as_slice(), 1), "cut at {cut}");
            assert_eq!(found.torn, cut as u64 - ends[0]);
        }
        assert!(dir.path().join("journal.torn-0").exists());
        let (mut journal, _) = Journal::open(&path, Timestamp::UNIX_EPOCH, 0, |_, _| {}).unwrap();
        journal.append(&mut [record()]).unwrap();
        assert_eq!(reopened(&path).unwrap().0, [1, 2]);
    }

    #[test]
    fn damage_in_the_middle_is_named() {
        let (_dir, path, ends) = written(&[1, 1, 1]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[usize::try_from(ends[0]).unwrap() + HEAD + 3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = reopened(&path).unwrap_err().to_string();
        assert!(error.contains("the batch after record 1"), "{error}");
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "psirtd journal 9\nwhatever follows here").unwrap();
        assert!(matches!(reopened(&path), Err(JournalError::Format(_))));
    }

    proptest! {
        /// One flipped bit anywhere: never a panic, never a wrong record, and records before it survive.
        #[test]
        fn a_flipped_bit_is_never_read_as_truth(at in 0_usize..2000, bit in 0_u8..8) {
            let (_dir, path, _) = written(&[1, 1, 1]);
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            std::fs::write(&path, bytes).unwrap();
            if let Ok((seen, _)) = reopened(&path) {
                prop_assert!([&[] as &[u64], &[1], &[1, 2]].contains(&seen.as_slice()), "{seen:?}");
            }
        }
    }
}
