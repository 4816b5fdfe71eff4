//! Copies of the state directory, made while psirtd runs, and brought back.
//!
//! # What it is for
//! A backup is what a new machine needs, beside the configuration and the desk's key: the journal up to a batch, every mail and
//! letter that it names, and the wrapped data key. It is a folder of the same layout as the state directory, or the same as a tar
//! archive. The index is not in it: it is built anew.
//!
//! # Invariants
//! * It needs no key and no word of the daemon: everything is ciphertext already. The journal only grows, and a file is there before
//!   the journal names it; so the journal's end is looked for first, and the files are copied after.
//! * A folder that holds an older backup of the same desk is brought up to date; what is there already is not copied again. Cut
//!   off on the way, it is still the older backup.
//! * Bringing it back overwrites nothing: where there is a journal, nobody needs one. The journal is written last.
//! * What has another name than a backup's files have is refused: an archive may come from anywhere.
//!
//! # Fatal
//! A journal that is damaged: the older backup stays as it is.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::store::journal::{self, JournalError, Place};
use crate::store::{LETTERS, MAILS, StoreError, journal_file, lock, mail, private_folder, vault};

/// Says what it is, of when, and how far it goes.
const NOTE: &str = "backup";
const FIRST_LINE: &str = "psirtd backup 1";
const JOURNAL: &str = "journal";

/// What was copied, or brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// When the backup was made.
    pub at: Timestamp,
    /// The last record in it.
    pub last: u64,
    /// Mails and letters in it.
    pub files: u64,
    /// How many of them were there already.
    pub known: u64,
}

/// Why there is no backup, or nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system said no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// The archive cannot be written or read.
    #[error("archive: {0}")]
    Archive(#[from] io::Error),
    /// There is something else in the folder.
    #[error("{0}: it is not empty, and holds no backup of this desk; name an empty folder")]
    Other(PathBuf),
    /// It is no backup, or one of another version.
    #[error("{0}: it holds no backup of this version: {1}")]
    NoBackup(PathBuf, String),
    /// There is a desk already.
    #[error("state directory {0}: there is a journal already; nothing was changed; move it away first")]
    Occupied(PathBuf),
    /// The journal cannot be copied.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state directory cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a backup is written to.
trait Shelf {
    /// Takes so many bytes under a name; false when it has them already.
    fn put(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<bool, BackupError>;
}

/// Copies a state directory into a folder, which is made where there is none.
pub fn into_folder(state: &Path, folder: &Path, now: Timestamp) -> Result<Copied, BackupError> {
    let io = |error| BackupError::Io(folder.to_owned(), error);
    let end = journal_end(state)?;
    let empty = !folder.exists() || fs::read_dir(folder).map_err(io)?.next().is_none();
    if !empty && !is_of_the_same_desk(state, folder) {
        return Err(BackupError::Other(folder.to_owned()));
    }
    for folder in [folder.to_owned(), folder.join(MAILS), folder.join(LETTERS)] {
        private_folder(&folder).map_err(|error| BackupError::Io(folder, error))?;
    }
    let copied = copy(state, &end, now, &mut Folder { path: folder.to_owned() })?;
    for folder in [folder.join(MAILS), folder.join(LETTERS), folder.to_owned()] {
        File::open(&folder).and_then(|it| it.sync_all()).map_err(|error| BackupError::Io(folder, error))?;
    }
    Ok(copied)
}

/// Copies a state directory into a tar archive.
pub fn into_archive(state: &Path, archive: impl Write, now: Timestamp) -> Result<Copied, BackupError> {
    let end = journal_end(state)?;
    let mut shelf = Archive { tar: tar::Builder::new(archive), now };
    let copied = copy(state, &end, now, &mut shelf)?;
    shelf.tar.into_inner()?.flush()?;
    Ok(copied)
}

/// Brings a backup in a folder back into an empty state directory.
pub fn from_folder(folder: &Path, state: &Path) -> Result<Copied, BackupError> {
    let mut restored = Restored::begin(state, folder)?;
    let io = |path: &Path, error| BackupError::Io(path.to_owned(), error);
    let mut names = vec![NOTE.to_owned(), vault::FILE.to_owned(), JOURNAL.to_owned()];
    for room in [MAILS, LETTERS] {
        let path = folder.join(room);
        names.extend(
            sealed_files(&path)
                .map_err(|error| io(&path, error))?
                .iter()
                .map(|file| format!("{room}/{file}")),
        );
    }
    for name in names {
        let path = folder.join(&name);
        let mut file = File::open(&path).map_err(|error| io(&path, error))?;
        restored.take(&name, &mut file)?;
    }
    restored.finish()
}

/// Brings a backup in a tar archive back into an empty state directory.
pub fn from_archive(archive: impl Read, state: &Path) -> Result<Copied, BackupError> {
    let mut restored = Restored::begin(state, Path::new("archive"))?;
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        restored.take(&name, &mut entry)?;
    }
    restored.finish()
}

fn journal_end(state: &Path) -> Result<Place, BackupError> {
    let journal = journal_file(state);
    if !journal.exists() {
        return Err(StoreError::Nothing(state.to_owned()).into());
    }
    Ok(journal::end(&journal)?)
}

/// The journal in the folder is the beginning of this one.
fn is_of_the_same_desk(state: &Path, folder: &Path) -> bool {
    let theirs = journal::end(&journal_file(folder));
    folder.join(NOTE).is_file()
        && theirs.is_ok_and(|theirs| journal::contains(&journal_file(state), &theirs).unwrap_or(false))
}

fn copy(state: &Path, end: &Place, now: Timestamp, shelf: &mut dyn Shelf) -> Result<Copied, BackupError> {
    let mut copied = Copied { at: now, last: end.last, files: 0, known: 0 };
    let mut put = |name: &str, most: u64| {
        let path = state.join(name);
        let io = |error| BackupError::Io(path.clone(), error);
        let file = File::open(&path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len().min(most);
        shelf.put(name, size, &mut file.take(size))
    };
    for room in [MAILS, LETTERS] {
        let path = state.join(room);
        for file in sealed_files(&path).map_err(|error| BackupError::Io(path, error))? {
            let new = put(&format!("{room}/{file}"), u64::MAX)?;
            copied.files = copied.files.saturating_add(1);
            copied.known = copied.known.saturating_add(u64::from(!new));
        }
    }
    put(vault::FILE, u64::MAX)?;
    put(JOURNAL, end.byte)?;
    let note = format!("{FIRST_LINE}\nat {now}\nlast record {}\n", end.last);
    shelf.put(NOTE, u64::try_from(note.len()).unwrap_or(u64::MAX), &mut note.as_bytes())?;
    Ok(copied)
}

/// Complete mails or letters, by the names of their files.
fn sealed_files(folder: &Path) -> io::Result<BTreeSet<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| name.as_ref().map_or(true, |name| is_sealed_file(name))).collect()
}

fn is_sealed_file(name: &str) -> bool {
    let stem = name.strip_suffix(mail::COMPLETE).and_then(|name| name.strip_suffix('.'));
    stem.is_some_and(|stem| stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

struct Folder {
    path: PathBuf,
}

impl Shelf for Folder {
    fn put(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<bool, BackupError> {
        let path = self.path.join(name);
        // mails and letters never change; cut off, they have another name
        if is_sealed_file(name.rsplit('/').next().unwrap_or(name))
            && fs::metadata(&path).is_ok_and(|known| known.len() == size)
        {
            return Ok(false);
        }
        written(&path, bytes).map(|()| true).map_err(|error| BackupError::Io(path, error))
    }
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    now: Timestamp,
}

impl<W: Write> Shelf for Archive<W> {
    fn put(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<bool, BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now.as_second()).unwrap_or_default());
        self.tar.append_data(&mut header, name, bytes)?;
        Ok(true)
    }
}

/// A state directory that is being brought back.
struct Restored {
    state: PathBuf,
    from: PathBuf,
    _lock: File,
    note: Option<(Timestamp, u64)>,
    data_key: bool,
    journal: Option<PathBuf>,
    files: u64,
}

impl Restored {
    fn begin(state: &Path, from: &Path) -> Result<Self, BackupError> {
        let io = |error| BackupError::Io(state.to_owned(), error);
        private_folder(state).map_err(io)?;
        let lock = lock(state)?;
        if journal_file(state).exists() {
            return Err(BackupError::Occupied(state.to_owned()));
        }
        for room in [MAILS, LETTERS] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(state.join(room)).map_err(io)?;
        }
        let (note, data_key, journal, files) = (None, false, None, 0);
        Ok(Self {
            state: state.to_owned(),
            from: from.to_owned(),
            _lock: lock,
            note,
            data_key,
            journal,
            files,
        })
    }

    fn take(&mut self, name: &str, bytes: &mut dyn Read) -> Result<(), BackupError> {
        const NOTE_SIZE: u64 = 1000;
        let room = name.split_once('/').filter(|(room, _)| [MAILS, LETTERS].contains(room));
        let path = match (name, room) {
            (NOTE, _) => {
                let mut note = String::new();
                bytes.take(NOTE_SIZE).read_to_string(&mut note)?;
                self.note = read_note(&note);
                return Ok(());
            }
            (vault::FILE, _) => {
                self.data_key = true;
                self.state.join(name)
            }
            (JOURNAL, _) => {
                let path = journal_file(&self.state).with_extension("restored");
                self.journal.insert(path).clone()
            }
            (_, Some((_, file))) if is_sealed_file(file) => {
                self.files = self.files.saturating_add(1);
                self.state.join(name)
            }
            _ => return Err(self.refused(&format!("it has a file {name:?}"))),
        };
        written(&path, bytes).map_err(|error| BackupError::Io(path, error))
    }

    fn refused(&self, why: &str) -> BackupError {
        BackupError::NoBackup(self.from.clone(), why.to_owned())
    }

    /// Only now there is a desk.
    fn finish(self) -> Result<Copied, BackupError> {
        let (at, last) = self.note.ok_or_else(|| self.refused("it does not say what it is"))?;
        let journal = self.journal.as_ref().filter(|_| self.data_key);
        let journal = journal.ok_or_else(|| self.refused("the journal or the data key is missing"))?;
        let end = journal::end(journal)?;
        if end.last != last {
            return Err(self.refused(&format!("its journal ends at record {}, not at {last}", end.last)));
        }
        let io = |error| BackupError::Io(self.state.clone(), error);
        for folder in [self.state.join(MAILS), self.state.join(LETTERS)] {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
        fs::rename(journal, journal_file(&self.state)).map_err(io)?;
        File::open(&self.state).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(Copied { at, last, files: self.files, known: 0 })
    }
}

fn read_note(note: &str) -> Option<(Timestamp, u64)> {
    let mut lines = note.lines().filter(|line| !line.is_empty());
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let at = lines.next()?.strip_prefix("at ")?.parse().ok()?;
    Some((at, lines.next()?.strip_prefix("last record ")?.parse().ok()?))
}

/// Whole and on the disk, or not there.
fn written(path: &Path, bytes: &mut dyn Read) -> io::Result<()> {
    let unfinished = path.with_extension("part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    io::copy(bytes, &mut file)?;
    file.sync_data()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{all, closed, now, report};
    use crate::store::vault::tests::Open;
    use crate::store::{Notices, open};

    fn knows(state: &Path) -> (String, Notices) {
        let (_writer, reader, notices) = open(state, &Open("A"), now()).unwrap();
        let digest = crate::open::digest(b"report 3");
        assert_eq!(reader.archive.mails.read(&digest).unwrap(), b"report 3");
        (all(&reader), notices)
    }

    fn commits_one_more(state: &Path) {
        let (mut writer, _reader, _) = open(state, &Open("A"), now()).unwrap();
        writer.commit(vec![report(4)], now()).unwrap();
    }

    fn error(result: Result<Copied, BackupError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_backup_in_a_folder_is_brought_back() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        let (folder, state) = (other.path().join("backup"), other.path().join("state"));
        let copied = into_folder(desk.path(), &folder, now()).unwrap();
        assert_eq!(copied, Copied { at: now(), last: 3, files: 6, known: 0 });
        assert_eq!(from_folder(&folder, &state).unwrap(), copied);
        let built = "index: there was none, built from 3 records of the journal".to_owned();
        assert_eq!(knows(&state), (knew, Notices(vec![built])));
    }

    #[test]
    fn an_archive_is_brought_back_and_is_one_for_anybody() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        let mut archive = Vec::new();
        let copied = into_archive(desk.path(), &mut archive, now()).unwrap();
        assert_eq!(from_archive(archive.as_slice(), &other.path().join("state")).unwrap(), copied);
        assert_eq!(knows(&other.path().join("state")).0, knew);
        tar::Archive::new(archive.as_slice()).unpack(other.path().join("unpacked")).unwrap();
        from_folder(&other.path().join("unpacked"), &other.path().join("again")).unwrap();
        assert_eq!(knows(&other.path().join("again")).0, knew);
    }

    #[test]
    fn the_same_folder_is_brought_up_to_date() {
        let (desk, _) = closed();
        let other = tempfile::tempdir().unwrap();
        into_folder(desk.path(), other.path(), now()).unwrap();
        commits_one_more(desk.path());
        // the next batch is being written
        let journal = journal_file(desk.path());
        OpenOptions::new().append(true).open(&journal).unwrap().write_all(b"PJ02 half a batch").unwrap();
        let copied = into_folder(desk.path(), other.path(), now()).unwrap();
        assert_eq!((copied.last, copied.files, copied.known), (4, 8, 6));
        from_folder(other.path(), &desk.path().join("elsewhere")).unwrap();
        assert!(knows(&desk.path().join("elsewhere")).0.contains("EX-2026-0004"));
    }

    #[test]
    fn a_damaged_journal_leaves_the_older_backup_as_it_is() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        into_folder(desk.path(), other.path(), now()).unwrap();
        let mut journal = fs::read(journal_file(desk.path())).unwrap();
        journal[150] ^= 1;
        fs::write(journal_file(desk.path()), journal).unwrap();
        let said = error(into_folder(desk.path(), other.path(), now()));
        assert!(said.contains("the batch after record 0"), "{said}");
        from_folder(other.path(), &desk.path().join("elsewhere")).unwrap();
        assert_eq!(knows(&desk.path().join("elsewhere")).0, knew);
    }

    #[test]
    fn what_is_in_the_folder_is_not_mixed_up() {
        let ((desk, _), (another, _)) = (closed(), closed());
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("photo.jpg"), "x").unwrap();
        assert!(
            error(into_folder(desk.path(), other.path(), now())).contains("holds no backup of this desk")
        );
        let folder = other.path().join("backup");
        into_folder(another.path(), &folder, now()).unwrap();
        assert!(error(into_folder(desk.path(), &folder, now())).contains("holds no backup of this desk"));
        let empty = other.path().join("empty");
        fs::create_dir(&empty).unwrap();
        assert!(error(into_folder(&empty, &folder, now())).contains("psirtd has not run here"));
    }

    #[test]
    fn a_desk_is_not_overwritten() {
        let ((desk, _), (another, knew)) = (closed(), closed());
        let folder = desk.path().join("backup");
        into_folder(desk.path(), &folder, now()).unwrap();
        let said = error(from_folder(&folder, another.path()));
        assert!(said.contains("there is a journal already; nothing was changed"), "{said}");
        assert_eq!(knows(another.path()).0, knew);
        let _at_work = open(another.path(), &Open("A"), now()).unwrap();
        let said = error(from_folder(&folder, another.path()));
        assert!(said.contains("in use by another psirtd"), "{said}");
    }

    #[test]
    fn what_is_no_backup_makes_no_desk() {
        let (desk, _) = closed();
        let other = tempfile::tempdir().unwrap();
        let folder = other.path().join("backup");
        into_folder(desk.path(), &folder, now()).unwrap();
        let state = other.path().join("state");
        for (file, text, why) in [
            ("backup", Some("psirtd backup 2\n"), "does not say what it is"),
            ("backup", None, "No such file"),
            ("data-key.asc", None, "No such file"),
            ("journal", Some("psirtd journal 2\n"), "its journal ends at record 0, not at 3"),
            ("journal", Some(""), "not a journal"),
        ] {
            let path = folder.join(file);
            let before = fs::read(&path).unwrap();
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let said = error(from_folder(&folder, &state));
            assert!(said.contains(why), "{file}: {said}");
            assert!(!journal_file(&state).exists());
            fs::write(&path, before).unwrap();
        }
        // what was left of those is no obstacle
        from_folder(&folder, &state).unwrap();
    }

    #[test]
    fn an_archive_with_other_names_is_refused() {
        for name in ["psirtd.toml", "mail/x.sealed", "mail/../x", "letters/a/b.sealed", "lock"] {
            let mut tar = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            // the crate itself refuses such a name for what it writes
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, b"x".as_slice()).unwrap();
            let archive = tar.into_inner().unwrap();
            let dir = tempfile::tempdir().unwrap();
            let said = error(from_archive(archive.as_slice(), &dir.path().join("state")));
            assert!(said.contains("it has a file"), "{name}: {said}");
        }
        let dir = tempfile::tempdir().unwrap();
        let said = error(from_archive(b"no archive at all".as_slice(), dir.path()));
        assert!(said.starts_with("archive: ") || said.contains("does not say what it is"), "{said}");
    }
}
