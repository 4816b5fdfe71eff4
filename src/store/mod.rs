//! The room where everything is recorded: journal, mail files, index.
//!
//! # What it is for
//! [`Writer::commit`] makes inputs durable, many with one fsync; [`Reader`] answers questions. What is committed survives
//! SIGKILL and power loss; what is not committed never happened.
//!
//! ```text
//! data-key.asc     the data key, wrapped for the desk        vault.rs
//! journal          the truth                                 journal.rs
//! mail/ letters/   one sealed file each                      mail.rs
//! index/           made from the journal                     index.rs
//! opening          what is being opened                      suspects.rs
//! lock             who is at work
//! ```
//!
//! # Invariants
//! * Order of writes: mail files and letters, then the journal, then the index.
//! * Everything is sealed with the data key, or tells nothing.
//! * One process owns the state directory; the second is refused and told who the first is.
//! * An index that is behind is caught up; one that cannot be opened, or knows another history, is moved aside and rebuilt.
//!
//! # Fatal
//! A damaged journal; a data key that the desk's key does not open; a state directory in use; a disk that cannot be written to at
//! start.

pub mod backup;
pub mod check;
pub mod index;
pub mod journal;
pub mod mail;
mod older;
pub mod suspects;
pub mod vault;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::crash;
use crate::domain::event::Event;
use crate::domain::message::Digest;
use crate::store::backup::restoring;
use crate::store::index::{Draft, Index, IndexError};
use crate::store::journal::{Journal, JournalError, Pages, Receipt, Record};
use crate::store::mail::MailFiles;
use crate::store::suspects::Suspects;
use crate::store::vault::{Custodian, Vault, VaultError, Wrapping};

const MAILS: &str = "mail";
const LETTERS: &str = "letters";
const INDEX: &str = "index";
const OPENING: &str = "opening";
const DAMAGED: &str = "index.damaged-";
const COMPARED: &str = "index.compared-";
const CONDEMNED: &str = "index.condemned";
/// Damaged indexes are kept for whoever wants to know why, but not for ever.
const MOST_DAMAGED: usize = 2;
/// A store in use is tried again this often, with a breath in between: a second in all.
const PATIENCE: u32 = 20;
const BREATH: Duration = Duration::from_millis(50);

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("state directory {0}: {1}")]
    Io(PathBuf, io::Error),
    /// Another psirtd is at work.
    #[error("state directory {0} is in use by another psirtd ({1})")]
    InUse(PathBuf, String),
    /// psirtd has not run there yet.
    #[error("state directory {0}: there is no journal yet; psirtd has not run here")]
    Nothing(PathBuf),
    /// A backup was being brought back.
    #[error(
        "state directory {0}: a backup was being brought back into it, and that was cut off; do it again: psirtd store restore"
    )]
    HalfRestored(PathBuf),
    /// An earlier version wrote it.
    #[error("state directory {0}: an earlier version of psirtd wrote it; psirtd run brings it over")]
    Older(PathBuf),
    /// What seals everything cannot be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The journal is unusable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The index is unusable even after it was rebuilt.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Why a commit did not happen. Nothing of it is kept, and it may be tried again; but for the index, see there.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Mails or letters could not be written.
    #[error("mail files: {0}")]
    Mail(#[from] io::Error),
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The index could not be read or written. What is in the journal is safe, the index is caught up at the next start.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// One input to be made durable.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The mail taken in, if one was.
    pub receipt: Option<Receipt>,
    /// Its bytes, unless they are there already.
    pub mail: Option<Vec<u8>>,
    /// What happened.
    pub events: Vec<Event>,
    /// Letters as sealed.
    pub letters: Vec<(Digest, Vec<u8>)>,
}

/// What was noticed when the store was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notices(pub Vec<String>);

/// The one who writes.
#[derive(Debug)]
pub struct Writer {
    journal: Journal,
    reader: Reader,
    /// Mails during whose opening the process died.
    pub suspects: Suspects,
    dir: PathBuf,
    _lock: File,
}

/// The one who answers questions. Clones look at the same store.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The index.
    pub index: Index,
    /// What it is made of.
    pub archive: Archive,
}

/// What is kept, but for the index.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The journal.
    pub pages: Pages,
    /// Mails as received.
    pub mails: MailFiles,
    /// Letters as sealed.
    pub letters: MailFiles,
}

impl Archive {
    /// Looks at a state directory in which nobody works, without changing anything.
    pub fn open(dir: &Path, custodian: &dyn Custodian) -> Result<Self, StoreError> {
        let journal = sealed_journal(dir)?;
        let vault = Vault::look(dir, custodian)?;
        Ok(Self {
            pages: Pages::of(&journal, &vault),
            mails: MailFiles::at(&dir.join(MAILS), &vault),
            letters: MailFiles::at(&dir.join(LETTERS), &vault),
        })
    }
}

/// Opens the store in a directory, and creates it where there is none. The custodian opens the data key.
pub fn open(
    dir: &Path,
    custodian: &dyn Custodian,
    now: Timestamp,
) -> Result<(Writer, Reader, Notices), StoreError> {
    let io = |error| StoreError::Io(dir.to_owned(), error);
    private_folder(dir).map_err(io)?;
    let lock = lock(dir)?;
    restoring::settle(dir)?;
    let mut notices = Vec::new();
    let (vault, wrapping) = Vault::open(dir, custodian, holds_nothing_sealed(dir))?;
    match wrapping {
        Wrapping::Kept => {}
        Wrapping::Anew => notices.push("data key: wrapped for the desk's new key".to_owned()),
        Wrapping::StillFor(old, why) => {
            notices.push(format!("{why}; the key before it, {old}, is still needed"))
        }
    }
    // left by a comparison that was killed
    for compared in starting_with(dir, COMPARED).map_err(io)? {
        fs::remove_dir_all(compared).map_err(io)?;
    }
    let mails = MailFiles::open(&dir.join(MAILS), &vault).map_err(io)?;
    let letters = MailFiles::open(&dir.join(LETTERS), &vault).map_err(io)?;
    notices.extend(older::bring_over(dir, &vault, [&mails, &letters], now)?);
    let condemned = dir.join(CONDEMNED);
    if condemned.exists() {
        notices.push("index: it was unusable when psirtd stopped; it is rebuilt from the journal".to_owned());
        set_aside(dir, now).and_then(|()| fs::remove_file(&condemned)).map_err(io)?;
    }
    let (index, journal) = match open_index(dir, &vault, now, 0, &mut notices) {
        Ok(both) => both,
        Err(StoreError::Index(error @ IndexError::OtherVersion(seen))) => {
            notices.push(format!("{error}; it is rebuilt from the journal"));
            fs::remove_dir_all(dir.join(INDEX)).map_err(io)?;
            open_index(dir, &vault, now, seen, &mut notices)?
        }
        Err(StoreError::Index(error)) if !error.is_damage() => return Err(error.into()),
        Err(StoreError::Index(error)) => {
            notices.push(format!("{error}; it is rebuilt from the journal"));
            set_aside(dir, now).map_err(io)?;
            open_index(dir, &vault, now, 0, &mut notices)?
        }
        Err(error) => return Err(error),
    };
    let reader = Reader { index, archive: Archive { pages: journal.pages(), mails, letters } };
    let suspects = Suspects::open(&dir.join(OPENING), &vault).map_err(io)?;
    Ok((
        Writer { journal, reader: reader.clone(), suspects, dir: dir.to_owned(), _lock: lock },
        reader,
        Notices(notices),
    ))
}

/// Nothing was ever written there, or by an earlier version, and it was not brought over yet.
pub fn holds_nothing_sealed(dir: &Path) -> bool {
    sealed_journal(dir).is_err()
}

/// The journal's file in a state directory of this version that is not new.
fn sealed_journal(dir: &Path) -> Result<PathBuf, StoreError> {
    let journal = journal_file(dir);
    if journal::is_new(&journal) {
        Err(StoreError::Nothing(dir.to_owned()))
    } else if journal::is_of_format_1(&journal) {
        Err(StoreError::Older(dir.to_owned()))
    } else {
        Ok(journal)
    }
}

/// The journal's file in a state directory.
pub fn journal_file(dir: &Path) -> PathBuf {
    dir.join("journal")
}

impl Writer {
    /// A draft of the index, to look into the future of a batch.
    pub fn draft(&self) -> Draft<'_> {
        Draft::new(&self.reader.index)
    }

    /// Makes a batch durable, in order. Afterwards all of it is there, or nothing.
    pub fn commit(&mut self, commits: Vec<Commit>, now: Timestamp) -> Result<(), CommitError> {
        let mut records = Vec::with_capacity(commits.len());
        let mut mails = Vec::new();
        let mut letters = Vec::new();
        for commit in commits {
            mails.extend(commit.receipt.as_ref().map(|receipt| receipt.digest.clone()).zip(commit.mail));
            letters.extend(commit.letters);
            records.push(Record { seq: 0, at: now, receipt: commit.receipt, events: commit.events });
        }
        if records.is_empty() {
            return Ok(());
        }
        self.reader.archive.mails.write(mails)?;
        crash::point("mail files written");
        self.reader.archive.letters.write(letters)?;
        crash::point("letters written");
        self.journal.append(&mut records)?;
        let mut draft = Draft::new(&self.reader.index);
        records.iter().try_for_each(|record| draft.fold(record))?;
        self.reader.index.take_over(draft, self.journal.end())?;
        crash::point("index written");
        Ok(())
    }

    /// When the backup was made from which the store was brought back, as long as nobody has taken note of that.
    pub fn restored(&self) -> io::Result<Option<Timestamp>> {
        restoring::note_of(&self.dir)
    }

    /// Somebody has.
    pub fn restored_is_noted(&self) -> io::Result<()> {
        restoring::forget_note(&self.dir)
    }

    /// Marks the index as unusable: the next start rebuilds it.
    pub fn condemn_index(&self) -> io::Result<()> {
        fs::write(self.dir.join(CONDEMNED), "the index is rebuilt at the next start\n")
    }

    /// Waits until the index, too, is on the disk. (The journal always is.)
    pub fn flush(&self) -> Result<(), IndexError> {
        self.reader.index.flush()
    }
}

/// Opens the index and brings it to where the journal is, which goes at least up to a record.
fn open_index(
    dir: &Path,
    vault: &Vault,
    now: Timestamp,
    at_least: u64,
    notices: &mut Vec<String>,
) -> Result<(Index, Journal), StoreError> {
    let index = Index::open(&dir.join(INDEX), vault)?;
    let seen = index.seen()?;
    let seq = seen.as_ref().map_or(0, |seen| seen.last);
    let mut error = None;
    let mut same_history = seen.is_none();
    let mut behind = 0_u64;
    let (journal, found) =
        Journal::open(&journal_file(dir), vault, now, seq.max(at_least), |records, place| {
            if place.last == seq {
                same_history = seen.as_ref() == Some(place);
            }
            if place.last <= seq || error.is_some() {
                return;
            }
            behind = behind.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
            let mut draft = Draft::new(&index);
            let folded = records.iter().try_for_each(|record| draft.fold(record));
            error = folded.and_then(|()| index.take_over(draft, place)).err();
        })?;
    if found.torn > 0 {
        notices.push(format!(
            "journal: an unfinished batch of {} bytes after record {} was cut off and kept aside; it was never acknowledged",
            found.torn, found.last
        ));
    }
    if let Some(error) = error {
        return Err(error.into());
    }
    if !same_history {
        return Err(IndexError::OtherHistory(seq).into());
    }
    if behind > 0 {
        let how = if seq > 0 { "caught up with" } else { "there was none, built from" };
        notices.push(format!("index: {how} {behind} records of the journal"));
    }
    Ok((index, journal))
}

/// What lies in a folder under a name that begins so.
fn starting_with(dir: &Path, beginning: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let begins =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning));
    paths.filter(|path| path.as_ref().map_or(true, begins)).collect()
}

fn set_aside(dir: &Path, now: Timestamp) -> io::Result<()> {
    let index = dir.join(INDEX);
    if !index.exists() {
        return Ok(());
    }
    let mut before = starting_with(dir, DAMAGED)?;
    before.sort();
    for path in before.iter().rev().skip(MOST_DAMAGED) {
        fs::remove_dir_all(path)?;
    }
    let mut aside = dir.join(format!("{DAMAGED}{}", now.as_second()));
    while aside.exists() {
        aside.as_mut_os_string().push("x");
    }
    fs::rename(index, aside)
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let io = |error| StoreError::Io(path.clone(), error);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    // a command that looked into the store, or a daemon that is stopping, lets go in a moment
    let mut locked = file.try_lock();
    for _ in 0..PATIENCE {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(BREATH);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            write!(file, "process {}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut who = String::new();
            let _unreadable_is_empty = file.read_to_string(&mut who);
            Err(StoreError::InUse(
                dir.to_owned(),
                if who.is_empty() { "process unknown".to_owned() } else { who },
            ))
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Waits until a folder's names are on the disk.
fn folder_synced(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// What was not there is removed, too.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a folder that only its owner can enter, and shuts one that is there already.
fn private_folder(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if fs::metadata(dir)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::case::CaseId;
    use crate::domain::decide::tests::policy;
    use crate::domain::decide::{Facts, Input, decide};
    use crate::domain::letter::{LetterId, LetterKind};
    use crate::domain::message::{Mailbox, Message, Position};
    use crate::store::index::Lookup;
    use crate::store::vault::tests::Open;

    pub(crate) fn now() -> Timestamp {
        "2026-11-20T23:00:00Z".parse().unwrap()
    }

    fn digest(text: &str) -> Digest {
        crate::open::digest(text.as_bytes())
    }

    /// A report with its letter, as the pipeline would commit it.
    pub(crate) fn report(number: u32) -> Commit {
        let raw = format!("report {number}");
        let message = Message {
            digest: digest(&raw),
            from: vec![Mailbox::bare("rita@example.net")],
            message_id: Some(format!("r{number}@example.net")),
            ..Message::default()
        };
        let input = Input::Mail { message: Arc::new(message), received_at: now() };
        let mut events =
            decide(&Facts { next_number: number, ..Facts::default() }, &input, &policy(), now()).events;
        let case = events[0].case.clone();
        let letter = format!("letter {number}");
        let what = crate::domain::event::What::LetterQueued {
            letter: LetterId::new(case.as_ref().unwrap(), 1),
            kind: LetterKind::Acknowledgement,
            to: Mailbox::bare("rita@example.net"),
            message_id: format!("l{number}@example.org"),
            bytes: digest(&letter),
            mail: Some(digest(&raw)),
            text: None,
            copy: None,
        };
        events.push(Event { at: now(), case, what });
        let position = Some(Position(format!("place {number}")));
        Commit {
            receipt: Some(Receipt { position, digest: digest(&raw), twin: digest(&raw) }),
            mail: Some(raw.into_bytes()),
            events,
            letters: vec![(digest(&letter), letter.into_bytes())],
        }
    }

    /// Everything a person could ask of the store.
    pub(crate) fn all(reader: &Reader) -> String {
        let due = reader.index.due(Timestamp::MAX, 100).unwrap();
        let thread = reader.index.thread(&["l1@example.org".to_owned()]).unwrap();
        let (cases, postings) = (reader.index.cases().unwrap(), reader.index.postings().unwrap());
        format!("{cases:#?}\n{postings:#?}\n{due:#?}\n{thread:?}\n{:?}", reader.index.next_number(2026))
    }

    /// Three reports, and what a store knows that has committed them.
    pub(crate) fn committed() -> (Vec<Commit>, String) {
        let commits: Vec<Commit> = (1..4).map(report).collect();
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        writer.commit(commits.clone(), now()).unwrap();
        (commits, all(&reader))
    }

    /// A store with three reports, closed again; and what it knew.
    pub(crate) fn closed() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, notices) = open(dir.path(), &Open("A"), now()).unwrap();
        assert_eq!(notices, Notices::default());
        writer.commit(vec![report(1), report(2)], now()).unwrap();
        writer.commit(vec![report(3)], now()).unwrap();
        let knew = all(&reader);
        writer.flush().unwrap();
        (dir, knew)
    }

    fn reopened(dir: &Path) -> (String, Vec<String>) {
        let (_writer, reader, notices) = open(dir, &Open("A"), now()).unwrap();
        (all(&reader), notices.0)
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to)
            } else {
                {
                    fs::copy(entry.path(), to).unwrap();
                }
            }
        }
    }

    #[test]
    fn what_is_committed_is_there_after_a_restart() {
        let (dir, knew) = closed();
        assert_eq!(reopened(dir.path()), (knew, Vec::new()));
        let (_writer, reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        assert_eq!(reader.archive.mails.read(&digest("report 3")).unwrap(), b"report 3");
    }

    #[test]
    fn a_lost_index_is_rebuilt_the_same() {
        let (dir, knew) = closed();
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        let notice = "index: there was none, built from 3 records of the journal".to_owned();
        assert_eq!(reopened(dir.path()), (knew, vec![notice]));
    }

    #[test]
    fn an_index_that_is_behind_is_caught_up() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        writer.commit(vec![report(1)], now()).unwrap();
        writer.flush().unwrap();
        copy(&dir.path().join("index"), &dir.path().join("old"));
        writer.commit(vec![report(2), report(3)], now()).unwrap();
        let knew = all(&_reader);
        drop((writer, _reader));
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        fs::rename(dir.path().join("old"), dir.path().join("index")).unwrap();
        assert_eq!(
            reopened(dir.path()),
            (knew, vec!["index: caught up with 2 records of the journal".to_owned()])
        );
    }

    #[test]
    fn a_damaged_index_is_moved_aside_and_rebuilt() {
        let (dir, knew) = closed();
        fs::write(dir.path().join("index/conf"), vec![0xff; 5000]).unwrap();
        let (knows, notices) = reopened(dir.path());
        assert_eq!(knows, knew);
        assert!(notices[0].ends_with("it is rebuilt from the journal"), "{notices:?}");
        assert!(dir.path().join(format!("index.damaged-{}", now().as_second())).exists());
    }

    #[test]
    fn an_index_of_another_version_is_made_anew() {
        let (dir, knew) = closed();
        let older = sled::open(dir.path().join("index")).unwrap();
        older.insert("meta/form", "4").unwrap();
        older.insert("meta/seen", r#"{"seq":3,"digest":[]}"#).unwrap();
        older.remove("meta/desk-letters").unwrap();
        drop(older);
        let (knows, notices) = reopened(dir.path());
        assert_eq!(knows, knew);
        assert!(notices[0].contains("another version of psirtd, up to record 3"), "{notices:?}");
        assert!(reopened(dir.path()).1.is_empty(), "once");
        // the journal is still held against what that index had seen
        let older = sled::open(dir.path().join("index")).unwrap();
        older.insert("meta/form", "4").unwrap();
        drop(older);
        fs::write(journal_file(dir.path()), "").unwrap();
        assert!(open(dir.path(), &Open("A"), now()).is_err());
    }

    #[test]
    fn an_index_of_another_history_is_rebuilt() {
        let (dir, _) = closed();
        let (other, knew) = closed();
        // the other desk's journal has the same number of records, written at another time
        let (mut writer, _reader, _) = open(other.path(), &Open("A"), now()).unwrap();
        writer.commit(vec![report(4)], Timestamp::UNIX_EPOCH).unwrap();
        drop((writer, _reader));
        let (mut writer, _reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        writer.commit(vec![report(4)], now()).unwrap();
        drop((writer, _reader));
        fs::remove_dir_all(other.path().join("index")).unwrap();
        copy(&dir.path().join("index"), &other.path().join("index"));
        let (knows, notices) = reopened(other.path());
        assert!(notices[0].contains("another history"), "{notices:?}");
        assert!(knows.contains("EX-2026-0004") && knows.len() > knew.len());
    }

    #[test]
    fn a_journal_that_lost_what_was_committed_is_refused_as_it_is() {
        let (dir, _) = closed();
        let journal = journal_file(dir.path());
        let whole = fs::read(&journal).unwrap();
        for rest in [0, 5, whole.len() - 1] {
            fs::write(&journal, &whole[..rest]).unwrap();
            let refused = open(dir.path(), &Open("A"), now()).unwrap_err().to_string();
            assert!(refused.contains("record 3 was committed"), "{refused}");
            assert_eq!(fs::read(&journal).unwrap(), whole[..rest], "nothing is cut");
        }
    }

    #[test]
    fn a_condemned_index_is_rebuilt_once() {
        let (dir, knew) = closed();
        let (writer, reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        writer.condemn_index().unwrap();
        drop((writer, reader));
        let (knows, notices) = reopened(dir.path());
        assert_eq!((knows, notices.len()), (knew, 2));
        assert_eq!(reopened(dir.path()).1, Vec::<String>::new());
    }

    #[test]
    fn a_state_directory_that_was_open_to_all_is_shut() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        drop(open(dir.path(), &Open("A"), now()).unwrap());
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn acknowledgements_are_counted_by_address_and_day() {
        let (dir, _) = closed();
        let (_writer, reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        let answered = |address: &str, at: &str| {
            reader.index.answered(Some(&Mailbox::bare(address)), at.parse().unwrap()).unwrap().address_today
        };
        assert_eq!(answered("Rita@example.net", "2026-11-20T01:00:00Z"), 3);
        assert_eq!(answered("rita@example.net", "2026-11-21T01:00:00Z"), 0);
        assert_eq!(answered("sam@example.com", "2026-11-20T01:00:00Z"), 0);
    }

    #[test]
    fn the_second_process_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path(), &Open("A"), now()).unwrap();
        let second = open(dir.path(), &Open("A"), now()).unwrap_err().to_string();
        assert!(
            second.contains(&format!("in use by another psirtd (process {})", std::process::id())),
            "{second}"
        );
        drop(first);
    }

    #[test]
    fn a_draft_sees_what_is_not_committed_and_the_index_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, reader, _) = open(dir.path(), &Open("A"), now()).unwrap();
        let mut draft = writer.draft();
        let commit = report(1);
        draft
            .fold(&Record { seq: 0, at: now(), receipt: commit.receipt.clone(), events: commit.events })
            .unwrap();
        let receipt = commit.receipt.unwrap();
        assert!(
            draft.knows_mail(&receipt).unwrap()
                && draft.knows_position(receipt.position.as_ref().unwrap()).unwrap()
        );
        assert_eq!(draft.next_number(2026).unwrap(), 2);
        assert_eq!(draft.thread(&["r1@example.net".to_owned()]).unwrap().unwrap().as_str(), "EX-2026-0001");
        assert!(!reader.index.knows_mail(&receipt).unwrap());
        assert_eq!(reader.index.case(&CaseId::typed("ex-2026-0001")).unwrap(), None);
    }
}
