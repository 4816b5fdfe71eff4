//! Copies of the state directory, made while psirtd runs. `backup/restoring.rs` brings them back.
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
//! * A good copy is never overwritten by what may be damaged: a mail or letter that is not as long as its copy is named, and a data
//!   key that is not as it was is laid beside the one before it.
//!
//! # Fatal
//! A journal that is damaged: the older backup stays as it is.

pub mod restoring;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::store::journal::{self, JournalError, Place};
use crate::store::vault::VaultError;
use crate::store::{LETTERS, MAILS, StoreError, folder_synced, gone, journal_file, mail, vault};

/// The data key as it was in backups before: so many of them are kept.
const KEYS_BEFORE: u32 = 99;
/// Says what it is, of when, and how far it goes.
const NOTE: &str = "backup";
const FIRST_LINE: &str = "psirtd backup 1";
const JOURNAL: &str = "journal";
/// Of a file that is being written.
const UNFINISHED: &str = ".part";

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
    /// Files that are not as they are in the backup, which keeps its own.
    pub differ: Vec<String>,
}

/// Why there is no backup, or nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system said no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// The archive cannot be written or read.
    #[error("archive: {0}")]
    Archive(String),
    /// There is something else in the folder.
    #[error("{0}: it is not empty, and holds no backup of this desk; name an empty folder")]
    Other(PathBuf),
    /// It would be lost with what it is a copy of.
    #[error("{0}: it is inside the state directory; a backup belongs elsewhere")]
    Inside(PathBuf),
    /// It is no backup, or one of another version.
    #[error("{0}: it holds no backup of this version: {1}")]
    NoBackup(PathBuf, String),
    /// There is a desk already.
    #[error(
        "state directory {0}: there is a desk in it already; nothing was changed; move the whole directory away first"
    )]
    Occupied(PathBuf),
    /// Nobody here can open it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The journal cannot be copied.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The state directory cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    New,
    Known,
    /// It is there, and not the same.
    Differs,
}

/// What a backup is written to.
trait Shelf {
    /// Takes so many bytes under a name.
    fn put(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<Put, BackupError>;

    /// Waits until everything is on the disk.
    fn is_there(&self) -> Result<(), BackupError> {
        Ok(())
    }
}

/// Copies a state directory into a folder, which is made where there is none.
pub fn into_folder(state: &Path, folder: &Path, now: Timestamp) -> Result<Copied, BackupError> {
    let io = |error| BackupError::Io(folder.to_owned(), error);
    let end = journal_end(state)?;
    let inside = fs::canonicalize(folder).ok().zip(fs::canonicalize(state).ok());
    if folder.starts_with(state) || inside.is_some_and(|(folder, state)| folder.starts_with(state)) {
        return Err(BackupError::Inside(folder.to_owned()));
    }
    if folder.exists() && !is_of_the_same_desk(state, folder).map_err(io)? {
        return Err(BackupError::Other(folder.to_owned()));
    }
    for folder in [folder.to_owned(), folder.join(MAILS), folder.join(LETTERS)] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| BackupError::Io(folder, error))?;
    }
    copy(state, &end, now, &mut Folder { path: folder.to_owned() })
}

/// Copies a state directory into a tar archive.
pub fn into_archive(state: &Path, archive: impl Write, now: Timestamp) -> Result<Copied, BackupError> {
    let end = journal_end(state)?;
    let mut shelf = Archive { tar: tar::Builder::new(archive), now };
    let copied = copy(state, &end, now, &mut shelf)?;
    shelf.tar.into_inner().and_then(|mut archive| archive.flush()).map_err(of_the_archive)?;
    Ok(copied)
}

/// The names of the data keys of backups before.
fn keys_before() -> impl Iterator<Item = String> {
    (1..=KEYS_BEFORE).map(|number| format!("data-key.{number}.asc"))
}

fn journal_end(state: &Path) -> Result<Place, BackupError> {
    let journal = journal_file(state);
    if !journal.exists() {
        return Err(StoreError::Nothing(state.to_owned()).into());
    }
    Ok(journal::end(&journal)?)
}

/// What is in the folder is a backup of this desk, or the beginning of one.
fn is_of_the_same_desk(state: &Path, folder: &Path) -> io::Result<bool> {
    let mut begun = true;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = [MAILS, LETTERS, NOTE, JOURNAL, vault::FILE].contains(&name.as_str());
        let known = known || keys_before().any(|key| key == name);
        begun &= known || name.ends_with(UNFINISHED);
    }
    let theirs = journal_file(folder);
    if !theirs.exists() {
        return Ok(begun);
    }
    let same = plain_file(&theirs).is_ok() && plain_file(&folder.join(NOTE)).is_ok();
    let end = journal::end(&theirs);
    Ok(same && end.is_ok_and(|end| journal::contains(&journal_file(state), &end).unwrap_or(false)))
}

/// A message that does not end where it should is cut off.
fn is_armored(message: &[u8]) -> bool {
    let text = message.trim_ascii();
    text.starts_with(b"-----BEGIN PGP MESSAGE-----") && text.ends_with(b"-----END PGP MESSAGE-----")
}

/// Opens a file that is one: nothing that leads elsewhere, or never ends.
fn plain_file(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")),
    }
}

fn of_the_archive(error: io::Error) -> BackupError {
    BackupError::Archive(printable(&error.to_string()))
}

/// What is told of something that may come from anywhere.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn copy(state: &Path, end: &Place, now: Timestamp, shelf: &mut dyn Shelf) -> Result<Copied, BackupError> {
    let mut copied = Copied { at: now, last: end.last, files: 0, known: 0, differ: Vec::new() };
    let put = |shelf: &mut dyn Shelf, name: &str, most: u64| {
        let path = state.join(name);
        let io = |error| BackupError::Io(path.clone(), error);
        let file = plain_file(&path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len().min(most);
        shelf.put(name, size, &mut file.take(size))
    };
    for room in [MAILS, LETTERS] {
        let path = state.join(room);
        for file in sealed_files(&path).map_err(|error| BackupError::Io(path, error))? {
            let name = format!("{room}/{file}");
            let put = put(shelf, &name, u64::MAX)?;
            copied.files = copied.files.saturating_add(1);
            copied.known = copied.known.saturating_add(u64::from(put != Put::New));
            copied.differ.extend((put == Put::Differs).then_some(name));
        }
    }
    shelf.is_there()?;
    if put(shelf, vault::FILE, u64::MAX)? == Put::Differs {
        copied.differ.push(vault::FILE.to_owned());
    }
    put(shelf, JOURNAL, end.byte)?;
    let note = format!("{FIRST_LINE}\nat {now}\nlast record {}\n", end.last);
    shelf.put(NOTE, u64::try_from(note.len()).unwrap_or(u64::MAX), &mut note.as_bytes())?;
    shelf.is_there()?;
    Ok(copied)
}

/// Complete mails or letters, by the names of their files.
fn sealed_files(folder: &Path) -> io::Result<BTreeSet<String>> {
    let folder = match fs::read_dir(folder) {
        // whoever copies a backup may leave out what is empty
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        folder => folder?,
    };
    let names = folder.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
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
    fn put(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<Put, BackupError> {
        let path = self.path.join(name);
        let io = |error| BackupError::Io(path.clone(), error);
        // mails and letters never change, and are whole when they have this name
        if is_sealed_file(name.rsplit('/').next().unwrap_or(name))
            && let Ok(known) = fs::symlink_metadata(&path)
        {
            return Ok(if known.len() == size { Put::Known } else { Put::Differs });
        }
        if name == vault::FILE && path.exists() {
            const MOST: u64 = 1 << 20;
            let mut key = Vec::new();
            bytes.take(MOST).read_to_end(&mut key).map_err(io)?;
            let before = fs::read(&path).map_err(io)?;
            if before == key {
                return Ok(Put::Known);
            }
            if !is_armored(&key) {
                return Ok(Put::Differs);
            }
            let copies: Vec<PathBuf> = keys_before().map(|name| self.path.join(name)).collect();
            let known = copies.iter().any(|copy| fs::read(copy).is_ok_and(|copy| copy == before));
            if let Some(free) = copies.iter().find(|copy| !copy.exists()).filter(|_| !known) {
                written(free, &mut before.as_slice()).map_err(io)?;
            }
            return written(&path, &mut key.as_slice()).map(|()| Put::New).map_err(io);
        }
        written(&path, bytes).map(|()| Put::New).map_err(io)
    }

    fn is_there(&self) -> Result<(), BackupError> {
        for folder in [self.path.join(MAILS), self.path.join(LETTERS), self.path.clone()] {
            folder_synced(&folder).map_err(|error| BackupError::Io(folder, error))?;
        }
        Ok(())
    }
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    now: Timestamp,
}

impl<W: Write> Shelf for Archive<W> {
    fn put(&mut self, name: &str, size: u64, bytes: &mut dyn Read) -> Result<Put, BackupError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now.as_second()).unwrap_or_default());
        self.tar.append_data(&mut header, name, bytes).map_err(of_the_archive)?;
        Ok(Put::New)
    }
}

/// Whole and on the disk, or as it was.
fn written(path: &Path, bytes: &mut dyn Read) -> io::Result<()> {
    let mut unfinished = path.to_owned();
    unfinished.as_mut_os_string().push(UNFINISHED);
    // what lies there may lead elsewhere
    gone(fs::remove_file(&unfinished))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    io::copy(bytes, &mut file)?;
    file.sync_data()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::restoring::{RESTORED, RESTORING, from_archive, from_folder, note_of};
    use super::*;
    use crate::store::tests::{all, closed, now, report};
    use crate::store::vault::Custodian;
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
        assert_eq!(copied, Copied { at: now(), last: 3, files: 6, known: 0, differ: Vec::new() });
        assert_eq!(from_folder(&folder, &state, &Open("A")).unwrap(), copied);
        let built = "index: there was none, built from 3 records of the journal".to_owned();
        assert_eq!(knows(&state), (knew, Notices(vec![built])));
    }

    #[test]
    fn an_archive_is_brought_back_and_is_one_for_anybody() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        let mut archive = Vec::new();
        let copied = into_archive(desk.path(), &mut archive, now()).unwrap();
        assert_eq!(
            from_archive(archive.as_slice(), &other.path().join("state"), &Open("A")).unwrap(),
            copied
        );
        assert_eq!(knows(&other.path().join("state")).0, knew);
        tar::Archive::new(archive.as_slice()).unpack(other.path().join("unpacked")).unwrap();
        from_folder(&other.path().join("unpacked"), &other.path().join("again"), &Open("A")).unwrap();
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
        from_folder(other.path(), &desk.path().join("elsewhere"), &Open("A")).unwrap();
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
        from_folder(other.path(), &desk.path().join("elsewhere"), &Open("A")).unwrap();
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
        let other = tempfile::tempdir().unwrap();
        let folder = other.path().join("backup");
        into_folder(desk.path(), &folder, now()).unwrap();
        let inside = error(into_folder(desk.path(), &desk.path().join("backup"), now()));
        assert!(inside.contains("inside the state directory"), "{inside}");
        let said = error(from_folder(&folder, another.path(), &Open("A")));
        assert!(said.contains("there is a desk in it already; nothing was changed"), "{said}");
        assert_eq!(knows(another.path()).0, knew);
        let _at_work = open(another.path(), &Open("A"), now()).unwrap();
        let said = error(from_folder(&folder, another.path(), &Open("A")));
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
            ("data-key.asc", None, "it is missing"),
            ("journal", Some("psirtd journal 2\n"), "its journal ends at record 0, not at 3"),
            ("data-key.asc", Some("psirtd data key 9\n"), "another version of psirtd"),
            ("journal", Some(""), "not a journal"),
        ] {
            let path = folder.join(file);
            let before = fs::read(&path).unwrap();
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let said = error(from_folder(&folder, &state, &Open("A")));
            assert!(said.contains(why), "{file}: {said}");
            assert!(!journal_file(&state).exists() && !state.join(RESTORING).exists());
            fs::write(&path, before).unwrap();
        }
        let said = error(from_folder(&folder.join("journal"), &state, &Open("A")));
        assert!(said.contains("psirtd store restore - < FILE"), "{said}");
        // nor is what belonged to another journal
        fs::write(state.join("journal.mark"), "999\n").unwrap();
        from_folder(&folder, &state, &Open("A")).unwrap();
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
            let said = error(from_archive(archive.as_slice(), &dir.path().join("state"), &Open("A")));
            assert!(said.contains("it has a file"), "{name}: {said}");
        }
        let dir = tempfile::tempdir().unwrap();
        let said = error(from_archive(b"no archive at all".as_slice(), dir.path(), &Open("A")));
        assert!(said.starts_with("archive: ") || said.contains("does not say what it is"), "{said}");
    }

    #[test]
    fn a_good_copy_is_not_overwritten() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        into_folder(desk.path(), other.path(), now()).unwrap();
        let key = desk.path().join(vault::FILE);
        let mail = fs::read_dir(desk.path().join(MAILS)).unwrap().next().unwrap().unwrap();
        let whole = fs::read(&key).unwrap();
        fs::write(mail.path(), "short").unwrap();
        let named = format!("mail/{}", mail.file_name().to_string_lossy());
        for damaged in [&whole[..9], b""] {
            fs::write(&key, damaged).unwrap();
            let copied = into_folder(desk.path(), other.path(), now()).unwrap();
            assert_eq!(copied.differ, [named.clone(), vault::FILE.to_owned()]);
            assert_eq!(fs::read(other.path().join(vault::FILE)).unwrap(), whole);
        }
        // what looks like a data key takes its place, and those before it are kept
        for other_key in ["1", "2", "1"] {
            let armored = format!("-----BEGIN PGP MESSAGE-----\n{other_key}\n-----END PGP MESSAGE-----\n");
            fs::write(&key, &armored).unwrap();
            into_folder(desk.path(), other.path(), now()).unwrap();
            assert_eq!(fs::read_to_string(other.path().join(vault::FILE)).unwrap(), armored);
        }
        assert_eq!(fs::read(other.path().join("data-key.1.asc")).unwrap(), whole);
        fs::remove_file(other.path().join(vault::FILE)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let state = elsewhere.path().join("state");
        from_folder(other.path(), &state, &Open("A")).unwrap();
        assert_eq!(knows(&state).0, knew);
    }

    #[test]
    fn cut_off_a_backup_is_made_again_and_the_older_one_is_one() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        // the first one was cut off
        fs::create_dir(other.path().join(MAILS)).unwrap();
        fs::write(other.path().join("journal.part"), "psirtd").unwrap();
        into_folder(desk.path(), other.path(), now()).unwrap();
        // the second one, between the journal and the note
        let note = fs::read(other.path().join(NOTE)).unwrap();
        commits_one_more(desk.path());
        into_folder(desk.path(), other.path(), now()).unwrap();
        fs::write(other.path().join(NOTE), note).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let copied = from_folder(other.path(), &elsewhere.path().join("state"), &Open("A")).unwrap();
        assert_eq!((copied.at, copied.last), (now(), 3));
        assert!(knows(&elsewhere.path().join("state")).0.len() > knew.len());
    }

    #[test]
    fn cut_off_a_restoration_makes_no_desk_and_is_done_again() {
        let (desk, knew) = closed();
        let other = tempfile::tempdir().unwrap();
        let (folder, state) = (other.path().join("backup"), other.path().join("state"));
        into_folder(desk.path(), &folder, now()).unwrap();
        for step in 0..3 {
            fs::create_dir_all(state.join(RESTORING).join(MAILS)).unwrap();
            if step > 0 {
                fs::create_dir_all(state.join(MAILS)).unwrap();
                fs::write(state.join(vault::FILE), "of a half").unwrap();
            }
            if step > 1 {
                fs::write(state.join(RESTORED), "2026-11-20T23:00:00Z\n").unwrap();
            }
            let refused = open(&state, &Open("A"), now()).unwrap_err().to_string();
            assert!(refused.contains("do it again: psirtd store restore"), "{refused}");
            from_folder(&folder, &state, &Open("A")).unwrap();
            assert_eq!(note_of(&state).unwrap(), Some(now()));
            assert_eq!(knows(&state).0, knew);
            fs::remove_dir_all(&state).unwrap();
        }
        // complete, but for what it was put together from
        from_folder(&folder, &state, &Open("A")).unwrap();
        fs::create_dir(state.join(RESTORING)).unwrap();
        assert_eq!(knows(&state).0, knew);
        assert!(!state.join(RESTORING).exists());
        fs::remove_dir_all(&state).unwrap();
        let wrong = from_folder(&folder, &state, &Nobody).unwrap_err().to_string();
        assert!(wrong.contains("nobody"), "{wrong}");
        assert!(!journal_file(&state).exists());
        from_folder(&folder, &state, &Open("A")).unwrap();
    }

    struct Nobody;

    impl Custodian for Nobody {
        fn desk(&self) -> Result<String, String> {
            Err("nobody".to_owned())
        }

        fn wrap(&self, _: &[u8]) -> Result<Vec<u8>, String> {
            Err("nobody".to_owned())
        }

        fn unwrap(&self, _: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
            Err("nobody".to_owned())
        }
    }

    #[test]
    fn what_is_no_plain_file_is_not_followed() {
        let (desk, _) = closed();
        let other = tempfile::tempdir().unwrap();
        let victim = other.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let folder = other.path().join("backup");
        into_folder(desk.path(), &folder, now()).unwrap();
        std::os::unix::fs::symlink(&victim, folder.join("backup.part")).unwrap();
        into_folder(desk.path(), &folder, now()).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        fs::remove_file(folder.join(NOTE)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join(NOTE)).unwrap();
        let said = error(from_folder(&folder, &other.path().join("state"), &Open("A")));
        assert!(said.contains("no plain file"), "{said}");
    }
}
