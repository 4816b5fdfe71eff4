//! The mails as received and the letters as sealed: one file each, named by digest.
//!
//! # Invariants
//! * A file is complete or not there: written under another name, synced, renamed, and its folder synced.
//! * A file is written before the journal names it. A file that no record names does no harm.
//! * What is read is checked against its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::crash;
use crate::domain::message::Digest;

/// Files by digest in one folder.
#[derive(Debug, Clone)]
pub struct MailFiles {
    dir: PathBuf,
}

impl MailFiles {
    /// Opens or creates the folder and removes what an interrupted write left there.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// Looks at a folder without touching it.
    pub fn open_existing(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The file of a digest.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{digest}.eml"))
    }

    /// Writes files and waits until they are on the disk, several at a time: the disk serves many syncs like one.
    pub fn write(&self, files: &[(Digest, &[u8])]) -> io::Result<()> {
        const AT_A_TIME: usize = 8;
        for some in files.chunks(AT_A_TIME) {
            match some {
                [(digest, bytes)] => self.write_one(digest, bytes)?,
                several => std::thread::scope(|scope| {
                    let writing: Vec<_> = several
                        .iter()
                        .map(|(digest, bytes)| scope.spawn(|| self.write_one(digest, bytes)))
                        .collect();
                    writing.into_iter().try_for_each(|one| {
                        one.join().unwrap_or_else(|_| Err(io::Error::other("a writing thread panicked")))
                    })
                })?,
            }
        }
        if files.is_empty() { Ok(()) } else { File::open(&self.dir)?.sync_all() }
    }

    fn write_one(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let unfinished = path.with_extension("tmp");
        let mut file = File::create(&unfinished)?;
        crash::write_all("mail file half written", &mut file, bytes)?;
        file.sync_data()?;
        fs::rename(unfinished, path)
    }

    /// The bytes behind a digest.
    pub fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        let bytes = fs::read(self.path(digest))?;
        if Digest::from_bytes(&Sha256::digest(&bytes)) == *digest {
            Ok(bytes)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{digest}.eml is damaged: its digest is another"),
            ))
        }
    }
}
