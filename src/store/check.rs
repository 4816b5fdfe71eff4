//! The index held against the journal, and made anew; while no daemon works there.
//!
//! # Invariants
//! * Comparing changes nothing in the store. The index that it compares with lies in a temporary folder of the state directory,
//!   sealed like the other one; left there by a process that was killed, it goes at the next start.

use std::path::Path;

use jiff::Timestamp;

use crate::store::index::{Draft, Index, IndexError};
use crate::store::journal::Batches;
use crate::store::vault::{Custodian, Vault};
use crate::store::{
    COMPARED, INDEX, Notices, StoreError, journal_file, lock, open, sealed_journal, set_aside,
};

/// How an index stands to its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// It says the same.
    Same,
    /// There is none.
    Absent,
    /// It says the same as so many records before the end did.
    Behind(u64),
    /// It does not, or cannot be read.
    Different(String),
}

/// Compares the index of a store in which nobody works with one that is made anew for that.
pub fn compare(dir: &Path, custodian: &dyn Custodian) -> Result<IndexState, StoreError> {
    let _lock = lock(dir)?;
    let vault = Vault::look(dir, custodian)?;
    let path = dir.join(INDEX);
    if !path.exists() {
        return Ok(IndexState::Absent);
    }
    let seen = Index::open(&path, &vault).and_then(|index| Ok((index.seen()?, index)));
    let (seen, index) = match seen {
        Ok(both) => both,
        Err(error) => return Ok(IndexState::Different(error.to_string())),
    };
    let io = |error| StoreError::Io(dir.to_owned(), error);
    let fresh = tempfile::Builder::new().prefix(COMPARED).tempdir_in(dir).map_err(io)?;
    let anew = Index::open(&fresh.path().join(INDEX), &vault)?;
    let seen = seen.map_or(0, |seen| seen.last);
    let mut behind = 0_u64;
    let mut batches = Batches::sealed(&journal_file(dir), &vault)?;
    while let Some(records) = batches.next()? {
        let place = batches.place();
        if place.last <= seen {
            let mut draft = Draft::new(&anew);
            records.iter().try_for_each(|record| draft.fold(record))?;
            anew.take_over(draft, place)?;
        } else {
            behind = place.last.saturating_sub(seen);
        }
    }
    // what the index has seen was committed
    batches.hold(seen)?;
    Ok(match index.knows_the_same_as(&anew)? {
        true if behind > 0 => IndexState::Behind(behind),
        true => IndexState::Same,
        false => IndexState::Different("index: it says something else than the journal".to_owned()),
    })
}

/// Sets the index aside and makes it anew. Returns the number of the last record, and what was noticed.
pub fn rebuild(dir: &Path, custodian: &dyn Custodian, now: Timestamp) -> Result<(u64, Notices), StoreError> {
    {
        let _lock = lock(dir)?;
        let journal = sealed_journal(dir)?;
        // what it has seen was committed: without it, a damaged last batch would pass for an unfinished one
        let vault = Vault::look(dir, custodian)?;
        let index = dir.join(INDEX);
        let seen = match index.exists().then(|| Index::open(&index, &vault).and_then(|index| index.seen())) {
            None | Some(Ok(None)) => 0,
            Some(Ok(Some(seen))) => seen.last,
            Some(Err(IndexError::OtherVersion(seen))) => seen,
            Some(Err(error)) if error.is_damage() => 0,
            Some(Err(error)) => return Err(error.into()),
        };
        let mut batches = Batches::sealed(&journal, &vault)?;
        while batches.skip()? {}
        batches.hold(seen)?;
        set_aside(dir, now).map_err(|error| StoreError::Io(dir.to_owned(), error))?;
    }
    let (writer, _, notices) = open(dir, custodian, now)?;
    writer.flush()?;
    Ok((writer.journal.end().last, notices))
}
