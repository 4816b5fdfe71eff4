//! The embedded outbox: letters into a local Maildir, where a person can read them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::domain::message::Mailbox;
use crate::domain::posting::Outcome;
use crate::outbox::{Attempt, Service};

/// Where the Maildir is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder with `new`, `cur` and `tmp`; created where it is missing.
    pub path: PathBuf,
}

/// Delivers one letter. The file's name is the letter's, so that a retry replaces it.
pub(super) fn deliver(settings: &Settings, to: &Mailbox, letter: &str, bytes: &[u8]) -> Attempt {
    match write(&settings.path, letter, bytes) {
        Ok(path) => {
            let said = format!("delivered for {} into {}", to.address, path.display());
            Attempt(Outcome::Accepted(said), Service::Works)
        }
        Err(error) => {
            Attempt(Outcome::Transient(format!("{}: {error}", settings.path.display())), Service::Fails)
        }
    }
}

fn write(maildir: &Path, letter: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    for folder in ["tmp", "cur", "new"] {
        std::fs::create_dir_all(maildir.join(folder))?;
    }
    let name = format!("{letter}.eml");
    let unfinished = maildir.join("tmp").join(&name);
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let delivered = maildir.join("new").join(&name);
    std::fs::rename(unfinished, &delivered)?;
    Ok(delivered)
}
