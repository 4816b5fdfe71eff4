//! The way from older forms of the state directory into this one.
//!
//! | form | what it was |
//! |---|---|
//! | journal 1 | journal, mails and letters in the clear, `mail/DIGEST.eml` |
//! | journal 2 | everything sealed with the data key |
//!
//! # Invariants
//! * Files are sealed first, then the new journal takes the place of the old one in one step, then what lies in the clear is
//!   removed. Killed anywhere on the way, it begins again at the next start and loses nothing.
//! * A journal that is damaged, or not whole, is not brought over: it is named, and stays as it is.
//!
//! What was removed may still be found on the disk by whoever looks for it: a file system does not wipe. Whoever needs to be sure
//! moves the state directory to a new disk and destroys the old one.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::domain::message::Digest;
use crate::store::journal::{self, Batches, Journal, JournalError};
use crate::store::mail::MailFiles;
use crate::store::vault::Vault;
use crate::store::{OPENING, StoreError, folder_synced, gone, journal_file};

/// Of a mail in the clear.
const CLEAR: &str = "eml";

/// Brings the state directory into this version's form. Says so when there was anything to do.
pub(super) fn bring_over(
    dir: &Path,
    vault: &Vault,
    folders: [&MailFiles; 2],
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let journal = journal_file(dir);
    let io = |error| StoreError::Io(dir.to_owned(), error);
    let is_older = journal::is_of_format_1(&journal);
    if is_older {
        for files in folders {
            seal_all(files).map_err(io)?;
        }
        rewrite(&journal, vault, now)?;
    }
    let mut removed = 0_usize;
    for files in folders {
        removed = removed.saturating_add(remove_clear(files).map_err(io)?);
    }
    if is_older || removed > 0 {
        // what of that form was in use or set aside shows everything
        for entry in fs::read_dir(dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("index") && path.is_dir() {
                fs::remove_dir_all(path).map_err(io)?;
            } else if name.starts_with("journal.torn-") || name == OPENING {
                fs::remove_file(path).map_err(io)?;
            }
        }
    }
    Ok(is_older.then(|| {
        format!("state: it was in the clear; the journal and its mails and letters are sealed now ({removed} files)")
    }))
}

/// Mails and letters in the clear, and their digests.
fn in_the_clear(files: &MailFiles) -> io::Result<Vec<(Digest, std::path::PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(files.folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == CLEAR) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.extend(serde_json::from_value(name.into()).ok().map(|digest| (digest, path)));
        }
    }
    Ok(found)
}

fn seal_all(files: &MailFiles) -> io::Result<()> {
    for (digest, path) in in_the_clear(files)? {
        if !files.path(&digest).exists() {
            files.write(vec![(digest, fs::read(path)?)])?;
        }
    }
    Ok(())
}

/// Those that are sealed.
fn remove_clear(files: &MailFiles) -> io::Result<usize> {
    let mut removed = 0_usize;
    for (digest, path) in in_the_clear(files)? {
        if files.path(&digest).exists() {
            fs::remove_file(path)?;
            removed = removed.saturating_add(1);
        }
    }
    Ok(removed)
}

/// The same batches, sealed.
fn rewrite(journal: &Path, vault: &Vault, now: Timestamp) -> Result<(), StoreError> {
    let io = |error| StoreError::Io(journal.to_owned(), error);
    let sealed = journal.with_extension("sealing");
    let mark = journal::mark_of(&sealed);
    gone(fs::remove_file(&sealed)).map_err(io)?;
    gone(fs::remove_file(&mark)).map_err(io)?;
    let (mut new, _) = Journal::open(&sealed, vault, now, 0, |_, _| {})?;
    let mut old = Batches::of_format_1(journal)?;
    while let Some(mut records) = old.next()? {
        new.append(&mut records)?;
    }
    if old.rest() > 0 {
        return Err(JournalError::NotWhole { path: journal.to_owned(), byte: old.place().byte }.into());
    }
    drop(new);
    gone(fs::remove_file(&mark)).map_err(io)?;
    fs::rename(&sealed, journal).map_err(io)?;
    journal.parent().map_or(Ok(()), folder_synced).map_err(io)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::store::journal::tests::in_the_clear;
    use crate::store::tests::{all, closed, committed, now};
    use crate::store::vault::tests::Open;
    use crate::store::{Commit, Notices, open};

    const SECRET: &str = "rita@example.net";

    /// A state directory as version 0.1.0 left it: three reports, an index, one that was set aside.
    fn of_format_1() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["mail", "letters", "index", "index.damaged-7"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("index.damaged-7/conf"), SECRET).unwrap();
        fs::write(dir.path().join("index/conf"), SECRET).unwrap();
        fs::write(dir.path().join("journal.torn-7"), SECRET).unwrap();
        fs::write(dir.path().join("opening"), format!("1 {}\n", crate::open::digest(b"report 3"))).unwrap();
        let (commits, knew) = committed();
        for Commit { receipt, mail, letters, .. } in &commits {
            let mail = receipt.iter().map(|receipt| &receipt.digest).zip(mail);
            mail.for_each(|(digest, mail)| {
                fs::write(dir.path().join(format!("mail/{digest}.eml")), mail).unwrap()
            });
            let letter = |(digest, letter): &(Digest, Vec<u8>)| {
                fs::write(dir.path().join(format!("letters/{digest}.eml")), letter).unwrap();
            };
            letters.iter().for_each(letter);
        }
        fs::write(journal_file(dir.path()), in_the_clear(commits, now())).unwrap();
        (dir, knew)
    }

    fn opened(dir: &Path) -> (String, Notices) {
        let (_writer, reader, notices) = open(dir, &Open("A"), now()).unwrap();
        let digest = crate::open::digest(b"report 3");
        assert_eq!(reader.archive.mails.read(&digest).unwrap(), b"report 3");
        (all(&reader), notices)
    }

    fn lies_in_the_clear(dir: &Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(lies_in_the_clear(&path));
            } else {
                let bytes = fs::read(&path).unwrap();
                let shows = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
                let digest = crate::open::digest(b"report 3").to_string();
                if shows(SECRET) || shows("report 3") || shows("letter 3") || shows(&digest) {
                    found.push(path);
                }
            }
        }
        found
    }

    #[test]
    fn a_state_directory_in_the_clear_is_sealed_and_knows_the_same() {
        let (dir, knew) = of_format_1();
        assert_eq!(
            lies_in_the_clear(dir.path()).len(),
            7,
            "journal, a torn end, two indexes, a mail, a letter, what was being opened"
        );
        let (knows, notices) = opened(dir.path());
        assert_eq!(knows, knew);
        assert!(
            notices.0[0].contains("it was in the clear") && notices.0[0].contains("(6 files)"),
            "{notices:?}"
        );
        assert_eq!(lies_in_the_clear(dir.path()), Vec::<std::path::PathBuf>::new());
        assert_eq!(opened(dir.path()), (knew, Notices::default()), "once");
    }

    #[test]
    fn killed_on_the_way_it_begins_again() {
        for killed_after in 0..3 {
            let (dir, knew) = of_format_1();
            let (clear, _) = of_format_1();
            drop(opened(dir.path()));
            // what was not done when it was killed
            let back = |file: &str| {
                fs::copy(clear.path().join(file), dir.path().join(file)).unwrap();
            };
            for folder in ["mail", "letters"] {
                for entry in fs::read_dir(clear.path().join(folder)).unwrap() {
                    back(&format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()));
                }
            }
            if killed_after < 2 {
                back("journal");
                let mark = fs::read(dir.path().join("journal.mark")).unwrap_or_else(|_| b"2\n".to_vec());
                fs::write(dir.path().join("journal.sealing"), "psirtd journal 2\nhalf of it").unwrap();
                fs::write(dir.path().join("journal.sealing.mark"), mark).unwrap();
            }
            if killed_after < 1 {
                for entry in fs::read_dir(dir.path().join("mail")).unwrap().map(|entry| entry.unwrap().path())
                {
                    if entry.extension().unwrap() == "sealed" {
                        fs::remove_file(entry).unwrap();
                    }
                }
            }
            assert_eq!(opened(dir.path()).0, knew, "killed after step {killed_after}");
            assert_eq!(lies_in_the_clear(dir.path()), Vec::<std::path::PathBuf>::new());
        }
    }

    #[test]
    fn what_is_not_whole_is_not_brought_over() {
        let (dir, knew) = of_format_1();
        let journal = journal_file(dir.path());
        let whole = fs::read(&journal).unwrap();
        fs::OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"PJ01 torn").unwrap();
        let refused = |dir: &Path, why: &str| {
            let before = fs::read(journal_file(dir)).unwrap();
            let error = open(dir, &Open("A"), now()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(fs::read(journal_file(dir)).unwrap(), before);
        };
        refused(dir.path(), &format!("truncate -s {}", whole.len()));
        fs::write(&journal, &whole).unwrap();
        assert_eq!(opened(dir.path()).0, knew);
        // a bit in the middle, in the last batch, and a journal that only says that it is of format 1
        for (at, why) in [(200, "the batch after record 0"), (whole.len() - 9, "what stands behind byte")] {
            let (dir, _) = of_format_1();
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(journal_file(dir.path()), &damaged).unwrap();
            refused(dir.path(), why);
        }
        let (dir, _) = closed();
        let sealed = fs::read(journal_file(dir.path())).unwrap();
        fs::write(journal_file(dir.path()), [CLEAR_LINE, &sealed[CLEAR_LINE.len()..]].concat()).unwrap();
        fs::remove_file(dir.path().join("journal.mark")).unwrap();
        refused(dir.path(), "what stands behind byte 17 is no batch");
    }

    const CLEAR_LINE: &[u8] = b"psirtd journal 1\n";
}
