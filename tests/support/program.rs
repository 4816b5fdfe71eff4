//! An OpenPGP program other than psirtd, whichever it is: `gpg::Gpg`, `sq::Sq` or `rnp::Rnp`.
//!
//! ```ignore
//! let program: Box<dyn Program> = Box::new(Rnp::new());
//! program.make_key("ada@example.net", Kind::Rsa3072);
//! program.take_certificate("security@example.org", &their_certificate);
//! let ciphertext = program.write(b"text", "security@example.org", Some("ada@example.net"), Form::Armored);
//! let found = program.read(&answer);
//! assert_eq!(found.good_signature_by, Some(their_fingerprint));
//! ```
//!
//! Keys have no passphrase and are named by address. `read` and `check` do not fail on bad input: what they return must be
//! looked at. Everything else panics when the program fails, or is not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// What a key is made of: one that signs, and one that is encrypted to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// Ed25519 and X25519, as version 4 keys have them.
    Curve25519,
    Rsa3072,
}

/// How an OpenPGP message travels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Form {
    Armored,
    Binary,
}

/// What a program says of something it read.
pub struct Found {
    /// Empty when there is none.
    pub plaintext: Vec<u8>,
    /// Who made a good signature: fingerprint or key id, in capitals, of the key or of the subkey.
    pub good_signature_by: Option<String>,
    /// Its own words, for a message about a failure.
    pub said: String,
}

pub trait Program {
    /// Name and version, as it says itself.
    fn name(&self) -> String;
    /// Makes a key for an address.
    fn make_key(&self, address: &str, kind: Kind);
    /// The certificate of a key that it made, armored.
    fn certificate(&self, address: &str) -> Vec<u8>;
    /// Takes in the certificate of an address.
    fn take_certificate(&self, address: &str, certificate: &[u8]);
    /// A message encrypted to an address, signed inside by another, or by nobody.
    fn write(&self, plaintext: &[u8], to: &str, by: Option<&str>, form: Form) -> Vec<u8>;
    /// A detached signature (SHA-512), armored.
    fn sign(&self, data: &[u8], by: &str) -> Vec<u8>;
    /// A cleartext-signed text.
    fn clear_sign(&self, text: &str, by: &str) -> String;
    /// Decrypts a message and checks the signature inside.
    fn read(&self, message: &[u8]) -> Found;
    /// Checks a detached signature.
    fn check(&self, signed: &[u8], signature: &[u8]) -> Found;
}

/// A temporary directory for a program's keys and for what it is given to read: a file cannot block, as a pipe can.
pub struct Home {
    dir: TempDir,
    count: AtomicU64,
}

impl Home {
    /// In /tmp: the path must be short, because of sockets in it. Nobody else may look into it, or GnuPG says so, and mutt takes
    /// what GnuPG says for an error.
    pub fn new(prefix: &str) -> Home {
        let private = fs::Permissions::from_mode(0o700);
        let mut dir = tempfile::Builder::new();
        let dir = dir.prefix(prefix).permissions(private).tempdir_in("/tmp").expect("a temporary directory");
        Home { dir, count: AtomicU64::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A new file with this content.
    pub fn file(&self, content: &[u8]) -> PathBuf {
        let file = self.path().join(format!("input{}", self.count.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, content).unwrap();
        file
    }
}

/// A path as an argument.
pub fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// `sq 0.27.0` of what a program says when it is asked for its version.
pub(super) fn name_and_version(program: &str, said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    format!("{program} {}", version.unwrap_or("of an unknown version"))
}
