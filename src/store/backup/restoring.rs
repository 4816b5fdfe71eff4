//! A backup brought back into an empty state directory.
//!
//! # Invariants
//! * Nothing is overwritten: where there is anything of a desk, nobody needs one.
//! * Everything is read and opened before it is put in place; the journal comes last, after a note that the desk was restored. Cut
//!   off on the way, there is no desk, and none is made until it was done again. What is no backup leaves nothing.
//! * What has another name than a backup's files have, or is no plain file, is refused: a backup may come from anywhere.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::store::backup::{
    BackupError, Copied, FIRST_LINE, JOURNAL, NOTE, is_sealed_file, keys_before, of_the_archive, plain_file,
    printable, sealed_files, written,
};
use crate::store::journal::{self, Pages, Place};
use crate::store::vault::{Custodian, Vault};
use crate::store::{
    CONDEMNED, INDEX, LETTERS, MAILS, OPENING, StoreError, folder_synced, gone, journal_file, lock,
    private_folder, vault,
};

/// In the state directory while a backup is brought back.
pub(super) const RESTORING: &str = "restoring";
/// In the state directory until the desk has taken note that it was brought back: when the backup was made.
pub(super) const RESTORED: &str = "restored";

/// Brings a backup in a folder back into an empty state directory. The custodian can open it.
pub fn from_folder(folder: &Path, state: &Path, custodian: &dyn Custodian) -> Result<Copied, BackupError> {
    if !folder.is_dir() {
        let why = "it is no folder; an archive comes through standard input: psirtd store restore - < FILE"
            .to_owned();
        return Err(BackupError::NoBackup(folder.to_owned(), why));
    }
    let mut restored = Restoring::begin(state, folder)?;
    let taken = take_folder(&mut restored, folder);
    restored.finish(taken, custodian)
}

fn take_folder(restored: &mut Restoring, folder: &Path) -> Result<(), BackupError> {
    let io = |path: &Path, error| BackupError::Io(path.to_owned(), error);
    let mut names = vec![NOTE.to_owned(), vault::FILE.to_owned(), JOURNAL.to_owned()];
    names.retain(|name| name != vault::FILE || folder.join(name).exists());
    names.extend(keys_before().take_while(|name| folder.join(name).exists()));
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
        let mut file = plain_file(&path).map_err(|error| io(&path, error))?;
        restored.take(&name, &mut file)?;
    }
    Ok(())
}

/// Brings a backup in a tar archive back into an empty state directory. The custodian can open it.
pub fn from_archive(
    archive: impl Read,
    state: &Path,
    custodian: &dyn Custodian,
) -> Result<Copied, BackupError> {
    let mut restored = Restoring::begin(state, Path::new("archive"))?;
    let taken = take_archive(&mut restored, archive);
    restored.finish(taken, custodian)
}

fn take_archive(restored: &mut Restoring, archive: impl Read) -> Result<(), BackupError> {
    for entry in tar::Archive::new(archive).entries().map_err(of_the_archive)? {
        let mut entry = entry.map_err(of_the_archive)?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let name =
            entry.path().map_err(of_the_archive)?.to_string_lossy().trim_start_matches("./").to_owned();
        restored.take(&name, &mut entry)?;
    }
    Ok(())
}

/// When the backup was made from which a state directory was brought back, as long as the desk has taken no note of that.
pub(in crate::store) fn note_of(state: &Path) -> io::Result<Option<Timestamp>> {
    match fs::read_to_string(state.join(RESTORED)) {
        Ok(note) => match note.trim().parse() {
            Ok(at) => Ok(Some(at)),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{RESTORED}: {error}"))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(in crate::store) fn forget_note(state: &Path) -> io::Result<()> {
    fs::remove_file(state.join(RESTORED))?;
    folder_synced(state)
}

/// A restoration that was cut off makes no desk, unless the journal, which comes last, is in its place.
pub(in crate::store) fn settle(state: &Path) -> Result<(), StoreError> {
    let restoring = state.join(RESTORING);
    match (restoring.exists(), journal_file(state).exists()) {
        (false, _) => Ok(()),
        (true, true) => {
            fs::remove_dir_all(restoring).map_err(|error| StoreError::Io(state.to_owned(), error))
        }
        (true, false) => Err(StoreError::HalfRestored(state.to_owned())),
    }
}

/// A state directory that is being brought back.
struct Restoring {
    state: PathBuf,
    from: PathBuf,
    _lock: File,
    note: Option<(Timestamp, u64)>,
    files: u64,
}

impl Restoring {
    fn begin(state: &Path, from: &Path) -> Result<Self, BackupError> {
        let io = |error| BackupError::Io(state.to_owned(), error);
        private_folder(state).map_err(io)?;
        let lock = lock(state)?;
        let is_there = |name: &str| state.join(name).exists();
        let cut_off = is_there(RESTORING);
        if is_there(JOURNAL) || (!cut_off && [vault::FILE, MAILS, LETTERS, INDEX].into_iter().any(is_there)) {
            return Err(BackupError::Occupied(state.to_owned()));
        }
        // what was put in place before it was cut off, and what belonged to a journal that is not there any more
        for left in [RESTORING, MAILS, LETTERS] {
            gone(fs::remove_dir_all(state.join(left))).map_err(io)?;
        }
        for left in [RESTORED, OPENING, CONDEMNED] {
            gone(fs::remove_file(state.join(left))).map_err(io)?;
        }
        gone(fs::remove_file(journal::mark_of(&journal_file(state)))).map_err(io)?;
        for room in [MAILS, LETTERS] {
            let room = state.join(RESTORING).join(room);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(room).map_err(io)?;
        }
        let (state, from) = (state.to_owned(), from.to_owned());
        Ok(Self { state, from, _lock: lock, note: None, files: 0 })
    }

    fn beside(&self) -> PathBuf {
        self.state.join(RESTORING)
    }

    fn take(&mut self, name: &str, bytes: &mut dyn Read) -> Result<(), BackupError> {
        const NOTE_SIZE: u64 = 1000;
        let room = name.split_once('/').filter(|(room, _)| [MAILS, LETTERS].contains(room));
        let path = match (name, room) {
            (NOTE, _) => {
                let mut note = Vec::new();
                let read = bytes.take(NOTE_SIZE).read_to_end(&mut note);
                read.map_err(|error| BackupError::Io(self.from.clone(), error))?;
                self.note = read_note(&String::from_utf8_lossy(&note));
                return Ok(());
            }
            (vault::FILE | JOURNAL, _) => self.beside().join(name),
            _ if keys_before().any(|key| key == name) => self.beside().join(name),
            (_, Some((_, file))) if is_sealed_file(file) => {
                self.files = self.files.saturating_add(1);
                self.beside().join(name)
            }
            _ => return Err(self.refused(&format!("it has a file {:?}", printable(name)))),
        };
        written(&path, bytes).map_err(|error| BackupError::Io(path, error))
    }

    fn refused(&self, why: &str) -> BackupError {
        BackupError::NoBackup(self.from.clone(), why.to_owned())
    }

    /// Everything is looked at; only then it becomes a desk. What is no backup leaves nothing.
    fn finish(
        self,
        taken: Result<(), BackupError>,
        custodian: &dyn Custodian,
    ) -> Result<Copied, BackupError> {
        match taken.and_then(|()| self.looked_at(custodian)) {
            Ok(at_and_last) => self.put_in_place(at_and_last),
            Err(error) => {
                // if that is not possible either, the next attempt does it
                let _left = fs::remove_dir_all(self.beside());
                Err(error)
            }
        }
    }

    fn looked_at(&self, custodian: &dyn Custodian) -> Result<(Timestamp, u64), BackupError> {
        let (at, last) = self.note.ok_or_else(|| self.refused("it does not say what it is"))?;
        if !journal_file(&self.beside()).exists() {
            return Err(self.refused("the journal is missing"));
        }
        let vault = self.data_key(custodian)?;
        let end = self.read_through(&vault)?;
        if end.last < last {
            return Err(self.refused(&format!("its journal ends at record {}, not at {last}", end.last)));
        }
        Ok((at, last))
    }

    /// Step by step, the journal last.
    fn put_in_place(self, (at, last): (Timestamp, u64)) -> Result<Copied, BackupError> {
        let new = self.beside();
        let io = |error| BackupError::Io(self.state.clone(), error);
        for room in [MAILS, LETTERS] {
            folder_synced(&new.join(room)).map_err(io)?;
            fs::rename(new.join(room), self.state.join(room)).map_err(io)?;
        }
        fs::rename(new.join(vault::FILE), self.state.join(vault::FILE)).map_err(io)?;
        written(&self.state.join(RESTORED), &mut format!("{at}\n").as_bytes()).map_err(io)?;
        folder_synced(&self.state).map_err(io)?;
        fs::rename(journal_file(&new), journal_file(&self.state)).map_err(io)?;
        folder_synced(&self.state).map_err(io)?;
        fs::remove_dir_all(new).map_err(io)?;
        Ok(Copied { at, last, files: self.files, known: 0, differ: Vec::new() })
    }

    /// The data key; where it cannot be opened, one of those before it.
    fn data_key(&self, custodian: &dyn Custodian) -> Result<Vault, BackupError> {
        let new = self.beside();
        let error = match Vault::look(&new, custodian) {
            Ok(vault) => return Ok(vault),
            Err(error) => error,
        };
        for name in keys_before().filter(|name| new.join(name).exists()) {
            let put = fs::rename(new.join(name), new.join(vault::FILE));
            put.map_err(|error| BackupError::Io(self.state.clone(), error))?;
            if let Ok(vault) = Vault::look(&new, custodian) {
                return Ok(vault);
            }
        }
        Err(error.into())
    }

    /// Opens every batch. Returns where the journal ends.
    fn read_through(&self, vault: &Vault) -> Result<Place, BackupError> {
        let page = Pages::of(&journal_file(&self.beside()), vault).turn(|_| {})?;
        if page.unfinished > 0 {
            return Err(self.refused("its journal is not whole"));
        }
        Ok(page.behind)
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
