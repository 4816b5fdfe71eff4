//! The mails as received and the letters as sealed: one file each, sealed once more, named by a keyed hash of their digest.
//!
//! # Invariants
//! * A file is complete or not there: written under another name, synced, renamed, and its folder synced.
//! * A file is written before the journal names it. A file that no record names does no harm.
//! * What is read is checked against its digest.
//! * What is written is sealed in its place: a mail is not held in memory twice.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::crash;
use crate::domain::message::Digest;
use crate::store::folder_synced;
use crate::store::vault::Vault;

/// Of a file that is complete.
pub(super) const COMPLETE: &str = "sealed";
const UNFINISHED: &str = "tmp";

/// Files by digest in one folder.
#[derive(Debug, Clone)]
pub struct MailFiles {
    dir: PathBuf,
    vault: Vault,
}

impl MailFiles {
    /// Opens or creates the folder and removes what an interrupted write left there.
    pub fn open(dir: &Path, vault: &Vault) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self::at(dir, vault))
    }

    /// Looks at a folder without touching it.
    pub(super) fn at(dir: &Path, vault: &Vault) -> Self {
        Self { dir: dir.to_owned(), vault: vault.clone() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.dir
    }

    /// The file of a digest.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}.{COMPLETE}", self.name(digest)))
    }

    fn name(&self, digest: &Digest) -> Digest {
        self.vault.name(&format!("file {digest}"))
    }

    /// What a file is sealed as. A mail of the desk's own that comes back is a letter and a mail: both folders hold the same.
    fn belongs(&self, digest: &Digest) -> Vec<u8> {
        format!("file {}", self.name(digest)).into_bytes()
    }

    /// Writes files and waits until they are on the disk, several at a time: the disk serves many syncs like one.
    pub fn write(&self, files: Vec<(Digest, Vec<u8>)>) -> io::Result<()> {
        const AT_A_TIME: usize = 8;
        if files.is_empty() {
            return Ok(());
        }
        // two of one name would be written over each other: the same text may come twice in a batch
        let mut known = BTreeSet::new();
        let mut files = files.into_iter().filter(|(digest, _)| known.insert(digest.clone()));
        loop {
            let some: Vec<(Digest, Vec<u8>)> = files.by_ref().take(AT_A_TIME).collect();
            if some.is_empty() {
                return folder_synced(&self.dir);
            }
            std::thread::scope(|scope| {
                let mut some = some.into_iter();
                // one of them is written by this thread
                let mine = some.next();
                let writing: Vec<_> =
                    some.map(|(digest, bytes)| scope.spawn(move || self.write_one(&digest, bytes))).collect();
                let mine = mine.map_or(Ok(()), |(digest, bytes)| self.write_one(&digest, bytes));
                writing.into_iter().fold(mine, |before, one| {
                    let panicked = |_| Err(io::Error::other("a writing thread panicked"));
                    before.and(one.join().unwrap_or_else(panicked))
                })
            })?;
        }
    }

    fn write_one(&self, digest: &Digest, bytes: Vec<u8>) -> io::Result<()> {
        let sealed = self.vault.seal(&self.belongs(digest), bytes)?;
        let path = self.path(digest);
        let unfinished = path.with_extension(UNFINISHED);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        crash::write_all("mail file half written", &mut file, &sealed)?;
        file.sync_data()?;
        fs::rename(unfinished, path)
    }

    /// The bytes behind a digest.
    pub fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let path = self.path(digest);
        let sealed = fs::read(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        let opened = self.vault.open_sealed(&self.belongs(digest), sealed);
        opened.filter(|bytes| Digest::from_bytes(&Sha256::digest(bytes)) == *digest).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::vault::tests::vault;

    #[test]
    fn a_file_that_comes_twice_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = MailFiles::open(&dir.path().join("mail"), &vault()).unwrap();
        let digest = Digest::from_bytes(&Sha256::digest(b"a text"));
        for _ in 0..20 {
            files.write(vec![(digest.clone(), b"a text".to_vec()); 16]).unwrap();
            assert_eq!(files.read(&digest).unwrap(), b"a text");
        }
    }

    #[test]
    fn a_damaged_file_and_one_of_another_mail_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let files = MailFiles::open(dir.path(), &vault()).unwrap();
        let digest = |text: &str| Digest::from_bytes(&Sha256::digest(text));
        let (one, two) = (digest("one"), digest("two"));
        files.write(vec![(one.clone(), b"one".to_vec()), (two.clone(), b"two".to_vec())]).unwrap();
        assert_eq!(
            (files.read(&one).unwrap(), files.read(&two).unwrap()),
            (b"one".to_vec(), b"two".to_vec())
        );
        let names = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!names(files.path(&one)).contains(one.as_str()), "the digest of a mail can be guessed");
        fs::copy(files.path(&two), files.path(&one)).unwrap();
        assert_eq!(files.read(&one).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::write(files.path(&two), b"").unwrap();
        assert_eq!(files.read(&two).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(files.read(&digest("three")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
