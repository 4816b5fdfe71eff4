//! A sum over all entries of the index.
//!
//! # What it is for
//! sled finds much of the damage that a disk does, and not all: after a power cut it may go on without its latest pages. A sum that
//! is written together with the entries tells at start whether they are all there, each as it was.
//!
//! # Invariants
//! * It does not depend on the order of the entries, and changes with each of them without a look at the others.
//! * It is against accidents, not against people: those cannot make entries without the data key.

use sha2::{Digest as _, Sha256};

use crate::store::index::{IndexError, SUM};

/// The SHA-256 of every entry, added up without carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum([u8; 32]);

impl Sum {
    /// Of everything in a database but the sum that is kept there.
    pub(super) fn of(tree: &sled::Tree) -> Result<Self, IndexError> {
        let mut sum = Self::default();
        for entry in tree {
            let (key, value) = entry?;
            if *key != *SUM {
                sum.with(&key, Some(&value));
            }
        }
        Ok(sum)
    }

    /// Adds an entry, if there is one.
    pub(super) fn with(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some(value) = value else { return };
        let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
        let entry = Sha256::new().chain_update(length.to_be_bytes()).chain_update(key).chain_update(value);
        for (sum, byte) in self.0.iter_mut().zip(entry.finalize()) {
            *sum ^= byte;
        }
    }

    /// Takes an entry away, if there was one.
    pub(super) fn without(&mut self, key: &[u8], value: Option<&[u8]>) {
        // what is added twice is gone
        self.with(key, value);
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
