//! Sealing at rest: what lies on the disk tells nothing but sizes and times.
//!
//! # What it is for
//! One data key a desk, made when its state directory is. Everything in the directory is sealed with it: the journal's batches, mails,
//! letters, the values of the index; and names that would tell something (digests, addresses, Message-IDs) are keyed hashes.
//! The data key itself lies there only as an OpenPGP message to the desk's certificate, `data-key.asc`. Whoever holds the desk's key
//! can open everything, with psirtd or without it (`docs/recovery.md`).
//!
//! ```text
//! data-key.asc, opened:            sealed bytes:
//!   psirtd data key 1                ciphertext, tag 16, nonce 12
//!   for      FINGERPRINT             (AES-256-GCM; what the bytes are and where they belong
//!   contents 64 hexadecimal digits    is authenticated with them)
//!   names    64 hexadecimal digits
//! ```
//!
//! # Invariants
//! * Nonces are drawn at random: NIST SP 800-38D allows 2^32 of them under one key, ten years of a hundred a second.
//! * What is opened has been sealed by this desk, as this kind of thing, under this name; anything else is damage.
//! * A new desk key wraps the data key anew; nothing else is rewritten.
//! * The key's digits are zeroed when they are not needed any more.
//!
//! # Standards
//! NIST SP 800-38D (AES-GCM), RFC 2104 (HMAC-SHA-256), by ring: rustls brings it anyway, and `openssl` can undo it by hand.
//!
//! # Fatal
//! A data key that the desk's keys do not open, or that none of them has signed; one that is missing where there is a journal.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

use crate::chance;
use crate::domain::message::Digest;
use crate::store::folder_synced;

/// The file of the wrapped data key.
pub const FILE: &str = "data-key.asc";
const FIRST_LINE: &str = "psirtd data key 1";

/// Whoever holds the desk's keys: wraps and unwraps the data key.
pub trait Custodian {
    /// The fingerprint of the key that wraps now.
    fn desk(&self) -> Result<String, String>;
    /// An OpenPGP message to the desk, signed by it.
    fn wrap(&self, text: &[u8]) -> Result<Vec<u8>, String>;
    /// What is in a message that any of the desk's keys opens, and one of them has signed.
    fn unwrap(&self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// Why the data key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file system said no.
    #[error("data key {0}: {1}")]
    Io(PathBuf, io::Error),
    /// It is gone.
    #[error(
        "data key {0}: it is missing, and without it nothing here can be opened; restore it from a backup"
    )]
    Missing(PathBuf),
    /// The desk's key does not open it.
    #[error("data key {0}: {1}")]
    Closed(PathBuf, String),
    /// Another version wrote it.
    #[error("data key {0}: not in the form of this version; it was written by another version of psirtd")]
    Format(PathBuf),
    /// The desk's key cannot be used.
    #[error("data key {0}: it cannot be wrapped for the desk's key: {1}")]
    Unwrappable(PathBuf, String),
}

/// For whom the data key is wrapped, after it was opened.
#[derive(Debug)]
pub enum Wrapping {
    /// For the desk's key, as before.
    Kept,
    /// For the desk's key, which is a new one.
    Anew,
    /// For the key before it: its fingerprint, and why it is still so.
    StillFor(String, VaultError),
}

/// The data key, ready for use. Clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

struct Keys {
    contents: LessSafeKey,
    names: hmac::Key,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the data key of a state directory; makes one where `new` says that nothing is sealed yet. One that was wrapped for
    /// another desk key is wrapped for this one.
    pub fn open(dir: &Path, custodian: &dyn Custodian, new: bool) -> Result<(Self, Wrapping), VaultError> {
        let path = dir.join(FILE);
        if new && !path.exists() {
            let key = DataKey::drawn();
            key.write(&path, custodian)?;
            return Ok((Self::of(&path, &key)?, Wrapping::Kept));
        }
        let (wrapped_for, key) = DataKey::unwrap(&path, custodian)?;
        let vault = Self::of(&path, &key)?;
        if custodian.desk().is_ok_and(|desk| desk == wrapped_for) {
            return Ok((vault, Wrapping::Kept));
        }
        let wrapping = match key.write(&path, custodian) {
            Ok(()) => Wrapping::Anew,
            Err(error) => Wrapping::StillFor(wrapped_for, error),
        };
        Ok((vault, wrapping))
    }

    /// Opens it, and leaves it as it is.
    pub fn look(dir: &Path, custodian: &dyn Custodian) -> Result<Self, VaultError> {
        let path = dir.join(FILE);
        let (_, key) = DataKey::unwrap(&path, custodian)?;
        Self::of(&path, &key)
    }

    fn of(path: &Path, key: &DataKey) -> Result<Self, VaultError> {
        let contents = UnboundKey::new(&AES_256_GCM, key.contents.as_slice());
        let contents = LessSafeKey::new(contents.map_err(|_| VaultError::Format(path.to_owned()))?);
        let names = hmac::Key::new(hmac::HMAC_SHA256, key.names.as_slice());
        Ok(Self(Arc::new(Keys { contents, names })))
    }

    /// Seals bytes in their place. `what` says what they are and where they belong, and is needed to open them.
    pub fn seal(&self, what: &[u8], mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = chance::bytes();
        self.0
            .contents
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(what), &mut bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too large to be sealed"))?;
        bytes.extend_from_slice(&nonce);
        Ok(bytes)
    }

    /// Opens sealed bytes in their place. None: they are damaged, something else, or of another desk.
    pub fn open_sealed(&self, what: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = *sealed.last_chunk::<NONCE_LEN>()?;
        sealed.truncate(sealed.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.contents.open_in_place(nonce, Aad::from(what), &mut sealed).ok()?.len();
        sealed.truncate(opened);
        Some(sealed)
    }

    /// What stands on the disk for a text: always the same, and nobody without the key can tell whether a guess is right.
    pub fn name(&self, text: &str) -> Digest {
        Digest::from_bytes(hmac::sign(&self.0.names, text.as_bytes()).as_ref())
    }
}

/// Wraps the data key of a state directory for a new desk key; the custodian can open it with the one before. Nothing happens where
/// there is none yet.
pub fn wrap_anew(dir: &Path, custodian: &dyn Custodian) -> Result<(), VaultError> {
    if !dir.join(FILE).exists() {
        return Ok(());
    }
    match Vault::open(dir, custodian, false)?.1 {
        Wrapping::StillFor(_, error) => Err(error),
        Wrapping::Kept | Wrapping::Anew => Ok(()),
    }
}

/// The data key as it is kept.
struct DataKey {
    contents: Secret,
    names: Secret,
}

type Secret = Zeroizing<[u8; 32]>;

impl DataKey {
    fn drawn() -> Self {
        Self { contents: Zeroizing::new(chance::bytes()), names: Zeroizing::new(chance::bytes()) }
    }

    fn unwrap(path: &Path, custodian: &dyn Custodian) -> Result<(String, Self), VaultError> {
        let message = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VaultError::Missing(path.to_owned()),
            _ => VaultError::Io(path.to_owned(), error),
        })?;
        let text = custodian.unwrap(&message).map_err(|why| VaultError::Closed(path.to_owned(), why))?;
        Self::read(&text).ok_or_else(|| VaultError::Format(path.to_owned()))
    }

    /// Whom it is wrapped for, and itself.
    fn read(text: &[u8]) -> Option<(String, Self)> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| Some(lines.next()?.strip_prefix(name)?.trim());
        let wrapped_for = field("for ")?.to_owned();
        Some((
            wrapped_for,
            Self { contents: of_digits(field("contents ")?)?, names: of_digits(field("names ")?)? },
        ))
    }

    fn write(&self, path: &Path, custodian: &dyn Custodian) -> Result<(), VaultError> {
        let unwrappable = |why| VaultError::Unwrappable(path.to_owned(), why);
        let desk = custodian.desk().map_err(unwrappable)?;
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str(&format!("{FIRST_LINE}\nfor      {desk}\ncontents "));
        push_digits(&mut text, &self.contents);
        text.push_str("\nnames    ");
        push_digits(&mut text, &self.names);
        text.push('\n');
        let message = custodian.wrap(text.as_bytes()).map_err(unwrappable)?;
        // an encryption key that is kept elsewhere can be written to, but opens nothing here
        let opened = custodian.unwrap(&message).map_err(unwrappable)?;
        if *opened != *text.as_bytes() {
            return Err(unwrappable("what it opens is not what was wrapped".to_owned()));
        }
        replace(path, &message).map_err(|error| VaultError::Io(path.to_owned(), error))
    }
}

/// Can this custodian open what it wraps? Asked before there is anything to lose.
pub fn try_out(custodian: &dyn Custodian) -> Result<(), String> {
    custodian.unwrap(&custodian.wrap(FIRST_LINE.as_bytes())?).map(drop)
}

fn push_digits(text: &mut String, secret: &Secret) {
    for half in secret.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.extend(char::from_digit(u32::from(half), 16));
    }
}

fn of_digits(digits: &str) -> Option<Secret> {
    let mut secret = Zeroizing::new([0; 32]);
    if digits.len() != secret.len().saturating_mul(2) {
        return None;
    }
    for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(secret)
}

/// Whole, or as it was.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix("data-key.").tempfile_in(folder)?;
    // rotated by root, it stays the daemon's
    let (mine, whose) = (file.as_file().metadata()?, fs::metadata(folder)?);
    if mine.uid() != whose.uid() {
        chown(file.path(), Some(whose.uid()), Some(whose.gid()))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    folder_synced(folder)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Keeps the key in a message that anybody can read: what OpenPGP does is tested where it is done.
    pub(crate) struct Open(pub(crate) &'static str);

    impl Custodian for Open {
        fn desk(&self) -> Result<String, String> {
            Ok(self.0.to_owned())
        }

        fn wrap(&self, text: &[u8]) -> Result<Vec<u8>, String> {
            Ok(text.to_vec())
        }

        fn unwrap(&self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
            Ok(Zeroizing::new(message.to_vec()))
        }
    }

    pub(crate) fn vault() -> Vault {
        let key = DataKey { contents: Zeroizing::new([7; 32]), names: Zeroizing::new([8; 32]) };
        Vault::of(Path::new(""), &key).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_only_as_what_it_was() {
        let vault = vault();
        let sealed = vault.seal(b"mail 1", b"a report".to_vec()).unwrap();
        assert_ne!(sealed, vault.seal(b"mail 1", b"a report".to_vec()).unwrap(), "never twice the same");
        assert_eq!(vault.open_sealed(b"mail 1", sealed.clone()).unwrap(), b"a report");
        assert_eq!(vault.open_sealed(b"mail 2", sealed.clone()), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(vault.open_sealed(b"mail 1", damaged), None, "byte {at}");
            assert_eq!(vault.open_sealed(b"mail 1", sealed[..at].to_vec()), None, "the first {at} bytes");
        }
    }

    #[test]
    fn the_data_key_is_made_once_and_wrapped_for_each_desk_key() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Vault::open(dir.path(), &Open("A"), false), Err(VaultError::Missing(_))));
        let (first, wrapping) = Vault::open(dir.path(), &Open("A"), true).unwrap();
        assert!(matches!(wrapping, Wrapping::Kept));
        let sealed = first.seal(b"x", b"text".to_vec()).unwrap();
        let (second, wrapping) = Vault::open(dir.path(), &Open("B"), true).unwrap();
        assert!(matches!(wrapping, Wrapping::Anew));
        assert_eq!(second.open_sealed(b"x", sealed).unwrap(), b"text");
        assert_eq!(first.name("rita@example.net"), second.name("rita@example.net"));
        assert!(matches!(Vault::open(dir.path(), &Open("B"), false).unwrap().1, Wrapping::Kept));
    }

    #[test]
    fn another_form_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "psirtd data key 2\n", "psirtd data key 1\nfor A\ncontents 00\nnames 00\n"] {
            fs::write(dir.path().join(FILE), text).unwrap();
            assert!(
                matches!(Vault::open(dir.path(), &Open("A"), true), Err(VaultError::Format(_))),
                "{text}"
            );
        }
    }
}
