//! Mails during whose opening the process died.
//!
//! # What it is for
//! A panic is caught where it happens. What ends the whole process (an overflowing stack, the kernel's out-of-memory killer, an
//! endless loop and then the watchdog) would end it again at every start, at the same mail, and nothing behind that mail would
//! ever be taken in. So the names of the mails are noted before they are opened, and struck out afterwards; what still stands
//! there at the start is suspect.
//!
//! # Invariants
//! * Suspects are opened one at a time, so that no mail is blamed for the one beside it.
//! * Nothing here is lost or decided by it: after [`ENOUGH`] deaths a mail is recorded without being opened.
//! * The note survives the death of the process, not that of the machine, which is no mail's fault. It never stands there empty
//!   while it is written again, and it is not written where no mail is opened.
//! * It names mails by keyed hashes: it lies in the clear, and whoever guesses a mail must not see that it came.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use crate::domain::message::Digest;
use crate::store::vault::Vault;

/// A mail that was being opened so many times when psirtd died is not opened again.
pub const ENOUGH: u32 = 3;

/// The note.
#[derive(Debug)]
pub struct Suspects {
    file: File,
    vault: Vault,
    /// By keyed hash.
    deaths: BTreeMap<Digest, u32>,
}

impl Suspects {
    /// Reads what stands there from the last time.
    pub fn open(path: &Path, vault: &Vault) -> io::Result<Self> {
        let left = fs::read_to_string(path).unwrap_or_default();
        let deaths = left.lines().filter_map(|line| {
            let (deaths, digest) = line.split_once(' ')?;
            Some((serde_json::from_value(digest.into()).ok()?, deaths.parse().ok()?))
        });
        let deaths = deaths.collect();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file, vault: vault.clone(), deaths })
    }

    /// How many times psirtd died while it opened this mail.
    pub fn deaths(&self, mail: &Digest) -> u32 {
        self.deaths.get(&self.name(mail)).copied().unwrap_or(0)
    }

    fn name(&self, mail: &Digest) -> Digest {
        self.vault.name(&format!("opening {mail}"))
    }

    /// Notes that these are being opened from now on.
    pub fn opening<'a>(&mut self, mails: impl Iterator<Item = &'a Digest>) -> io::Result<()> {
        let now: BTreeMap<Digest, u32> =
            mails.map(|mail| (self.name(mail), self.deaths(mail).saturating_add(1))).collect();
        if now.is_empty() {
            return Ok(());
        }
        let waiting: Vec<String> = self
            .deaths
            .iter()
            .filter(|(mail, _)| !now.contains_key(mail))
            .chain(&now)
            .map(|(mail, deaths)| format!("{deaths} {mail}\n"))
            .collect();
        self.write(&waiting.concat())
    }

    /// Strikes them out: they did no harm. The suspects that did not come up yet stay.
    pub fn survived<'a>(&mut self, mails: impl Iterator<Item = &'a Digest>) -> io::Result<()> {
        let mut mails = mails.peekable();
        if mails.peek().is_none() {
            return Ok(());
        }
        for mail in mails {
            let name = self.name(mail);
            self.deaths.remove(&name);
        }
        let left: Vec<String> =
            self.deaths.iter().map(|(mail, deaths)| format!("{deaths} {mail}\n")).collect();
        self.write(&left.concat())
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(lines.as_bytes())?;
        // last: who dies before it leaves the end of the old note, and suspects one too many instead of nobody
        self.file.set_len(lines.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::vault::tests::vault;

    #[test]
    fn who_was_being_opened_is_suspect_until_he_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opening");
        let (one, two) = (Digest::from_bytes(&[1; 32]), Digest::from_bytes(&[2; 32]));
        let mut suspects = Suspects::open(&path, &vault()).unwrap();
        suspects.opening([&one, &two].into_iter()).unwrap();
        // it dies
        let mut suspects = Suspects::open(&path, &vault()).unwrap();
        assert_eq!((suspects.deaths(&one), suspects.deaths(&two)), (1, 1));
        suspects.opening([&one].into_iter()).unwrap();
        suspects.survived([&one].into_iter()).unwrap();
        suspects.opening([&two].into_iter()).unwrap();
        // it dies again
        let suspects = Suspects::open(&path, &vault()).unwrap();
        assert_eq!((suspects.deaths(&one), suspects.deaths(&two)), (0, 2));
    }

    /// Of each batch, also of those without a mail, the note was written twice, and stood there empty in between.
    #[test]
    fn where_no_mail_is_opened_the_note_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opening");
        let mut suspects = Suspects::open(&path, &vault()).unwrap();
        fs::write(&path, "as it stands").unwrap();
        suspects.opening(std::iter::empty()).unwrap();
        suspects.survived(std::iter::empty()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "as it stands");
    }

    #[test]
    fn a_note_that_cannot_be_read_suspects_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opening");
        fs::write(&path, "x\n\n7\n-1 abc\n").unwrap();
        assert_eq!(Suspects::open(&path, &vault()).unwrap().deaths(&Digest::from_bytes(&[1; 32])), 0);
    }
}
