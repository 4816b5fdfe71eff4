//! The form of the journal's file: its first line, then frames, each chained to the one before it.
//!
//! ```text
//! "psirtd journal 2\n"
//! frame: "PJ02"  length u32  first seq u64  records u32  previous digest 32  digest 32  payload
//! ```
//! Numbers are big-endian. The digest is SHA-256 over first seq, records, previous digest and payload; the first frame's previous
//! digest is that of the file's first line. The payload is a JSON array of records, sealed with the data key, and belongs to the
//! number and the previous digest of its frame. (Format 1 was the same with "PJ01" and the JSON in the clear.)
//!
//! # Invariants
//! * A length is believed only as far as the file reaches, and never beyond [`MAX_PAYLOAD`].
//! * The chain can be checked without the data key; what it chains can be read only with it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::store::journal::Place;

/// No batch is larger; a length beyond it is damage, not a reason to allocate.
pub(super) const MAX_PAYLOAD: u32 = 256 * 1024 * 1024;
const MAGIC: usize = 4;
const HEAD: usize = MAGIC + 4 + 8 + 4 + 32 + 32;
/// No more bytes are hashed in search of a frame.
const MOST_HASHED: u64 = 4 * MAX_PAYLOAD as u64;
/// How much of a file is searched at a time.
const PAGE: usize = 1 << 20;

/// A version of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) first_line: &'static [u8],
    magic: &'static [u8; MAGIC],
}

/// The payloads lie in the clear.
pub(super) const CLEAR: Format = Format { first_line: b"psirtd journal 1\n", magic: b"PJ01" };
/// The payloads are sealed.
pub(super) const SEALED: Format = Format { first_line: b"psirtd journal 2\n", magic: b"PJ02" };

impl Format {
    /// The place before the first frame.
    pub(super) fn beginning(&self) -> Place {
        Place { byte: length(self.first_line), last: 0, digest: Sha256::digest(self.first_line).into() }
    }

    /// A frame behind a place: its bytes, and the place behind it.
    pub(super) fn frame(
        &self,
        before: &Place,
        records: usize,
        payload: &[u8],
    ) -> io::Result<(Vec<u8>, Place)> {
        let too_large = || io::Error::new(io::ErrorKind::InvalidInput, "the batch is too large");
        let records = u32::try_from(records).map_err(|_| too_large())?;
        let size = u32::try_from(payload.len()).ok().filter(|size| *size <= MAX_PAYLOAD);
        let size = size.ok_or_else(too_large)?;
        let first = before.last.saturating_add(1);
        let digest: [u8; 32] =
            chained(first, records, &before.digest).chain_update(payload).finalize().into();
        let mut frame = Vec::with_capacity(HEAD.saturating_add(payload.len()));
        frame.extend_from_slice(self.magic);
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(&first.to_be_bytes());
        frame.extend_from_slice(&records.to_be_bytes());
        frame.extend_from_slice(&before.digest);
        frame.extend_from_slice(&digest);
        frame.extend_from_slice(payload);
        let behind = Place {
            byte: before.byte.saturating_add(length(&frame)),
            last: before.last.saturating_add(u64::from(records)),
            digest,
        };
        Ok((frame, behind))
    }

    /// The frame behind a place, if it is right: its payload, and the place behind it. The reader stands there, and nothing
    /// beyond byte `end` is read.
    pub(super) fn next(
        &self,
        reader: &mut impl Read,
        before: &Place,
        end: u64,
    ) -> io::Result<Option<(Vec<u8>, Place)>> {
        let left = end.saturating_sub(before.byte);
        let mut head = [0; HEAD];
        if left < length(&head) {
            return Ok(None);
        }
        reader.read_exact(&mut head)?;
        let Some(head) = Head::parse(&head, self.magic) else { return Ok(None) };
        let whole = head.whole();
        let follows = head.previous == before.digest && head.first == before.last.saturating_add(1);
        if head.length > MAX_PAYLOAD || whole > left || !follows {
            return Ok(None);
        }
        let mut payload = vec![0; usize::try_from(head.length).unwrap_or(usize::MAX)];
        reader.read_exact(&mut payload)?;
        let digest: [u8; 32] = head.chained().chain_update(&payload).finalize().into();
        let behind = Place {
            byte: before.byte.saturating_add(whole),
            last: before.last.saturating_add(u64::from(head.records)),
            digest,
        };
        Ok((digest == head.digest).then_some((payload, behind)))
    }

    /// Is there a frame behind this byte that is right in itself? Where there are too many heads to look at, somebody put them
    /// there, and nothing is cut off. Nothing beyond byte `size` counts: somebody may be writing there.
    pub(super) fn is_intact_after(&self, path: &Path, byte: u64, size: u64) -> io::Result<bool> {
        let mut file = File::open(path)?;
        let mut at = byte.saturating_add(1);
        let mut page = vec![0; PAGE];
        let mut hashed = 0_u64;
        while at < size {
            file.seek(SeekFrom::Start(at))?;
            let read = filled(&mut file, &mut page)?;
            let searched = page.get(..read).unwrap_or_default();
            for place in memchr::memmem::find_iter(searched, self.magic) {
                let candidate = at.saturating_add(u64::try_from(place).unwrap_or(u64::MAX));
                let Some(intact) = self.is_intact(&mut file, candidate, size, &mut hashed)? else { continue };
                if intact || hashed > MOST_HASHED {
                    return Ok(true);
                }
            }
            // a mark that lies across two pages is found in the second
            let step = read.saturating_sub(MAGIC.saturating_sub(1)).max(1);
            at = at.saturating_add(u64::try_from(step).unwrap_or(u64::MAX));
            if read < PAGE {
                break;
            }
        }
        Ok(false)
    }

    /// None: there is no head of a frame.
    fn is_intact(&self, file: &mut File, at: u64, size: u64, hashed: &mut u64) -> io::Result<Option<bool>> {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; HEAD];
        if size.saturating_sub(at) < length(&head) {
            return Ok(None);
        }
        file.read_exact(&mut head)?;
        let Some(head) = Head::parse(&head, self.magic) else { return Ok(None) };
        if head.length > MAX_PAYLOAD || head.whole() > size.saturating_sub(at) {
            return Ok(None);
        }
        *hashed = hashed.saturating_add(u64::from(head.length));
        let mut hash = head.chained();
        io::copy(&mut file.take(u64::from(head.length)), &mut hash)?;
        let digest: [u8; 32] = hash.finalize().into();
        Ok(Some(digest == head.digest))
    }
}

struct Head {
    length: u32,
    first: u64,
    records: u32,
    previous: [u8; 32],
    digest: [u8; 32],
}

impl Head {
    fn parse(bytes: &[u8; HEAD], of: &[u8; MAGIC]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<MAGIC>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (records, rest) = rest.split_first_chunk::<4>()?;
        let (previous, rest) = rest.split_first_chunk::<32>()?;
        let digest: &[u8; 32] = rest.first_chunk::<32>()?;
        (magic == of).then(|| Self {
            length: u32::from_be_bytes(*length),
            first: u64::from_be_bytes(*first),
            records: u32::from_be_bytes(*records),
            previous: *previous,
            digest: *digest,
        })
    }

    fn chained(&self) -> Sha256 {
        chained(self.first, self.records, &self.previous)
    }

    /// Bytes of the whole frame.
    fn whole(&self) -> u64 {
        u64::from(self.length).saturating_add(u64::try_from(HEAD).unwrap_or(u64::MAX))
    }
}

fn chained(first: u64, records: u32, previous: &[u8; 32]) -> Sha256 {
    Sha256::new().chain_update(first.to_be_bytes()).chain_update(records.to_be_bytes()).chain_update(previous)
}

/// Reads until the page is full or the file ends.
fn filled(file: &mut File, page: &mut [u8]) -> io::Result<usize> {
    let mut read = 0_usize;
    while let Some(rest) = page.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => read = read.saturating_add(more),
        }
    }
    Ok(read)
}

pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
