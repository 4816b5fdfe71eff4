//! What keeps the desk's secrets: its key as the keeper of the store's data key, and a process that leaves no image of itself.
//!
//! # What it is for
//! The store seals everything with one data key, and leaves it to a [`Custodian`] to keep that. Here it is kept as OpenPGP keeps
//! things: encrypted to the desk's certificate, and signed by the desk, in a message that `gpg --decrypt` opens as well.
//!
//! # Invariants
//! * Only what one of the desk's keys has signed is taken for a data key: whoever can write to the disk, but has no key, cannot
//!   slip in a store of their own.
//! * A clock that was set back keeps nobody out: the signature is dated as the key that made it.

use jiff::Timestamp;
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use zeroize::Zeroizing;

use crate::keyring::{KeyError, Keyring};
use crate::open::open_own;
use crate::seal::pgp::sign_and_encrypt;
use crate::store::vault::Custodian;

/// Lets the kernel write no image of this process, neither into a file nor for a collector of crashes, and nobody but root look into
/// it. Says what the system refused.
pub fn stay_in_memory() -> Result<(), String> {
    // what is written is nobody else's business either
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let refused = |error: rustix::io::Errno| format!("core dumps could not be turned off: {error}");
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refused)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)?;
    Ok(())
}

/// All keys of the desk, at a time.
#[derive(Debug)]
pub struct DeskKeys<'k> {
    /// The keys.
    pub keyring: &'k Keyring,
    /// The time.
    pub now: Timestamp,
}

impl Custodian for DeskKeys<'_> {
    fn desk(&self) -> Result<String, String> {
        let none = || KeyError::None("the desk".to_owned()).to_string();
        self.keyring.desk().map(|desk| desk.fingerprint().to_hex()).ok_or_else(none)
    }

    fn wrap(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let said = |error: KeyError| error.to_string();
        let desk = self.keyring.desk().ok_or_else(|| said(KeyError::None("the desk".to_owned())))?;
        let signed_at = self.keyring.signs_since(self.now).map_err(said)?;
        let signer = self.keyring.signer(self.now).map_err(said)?;
        sign_and_encrypt(text, signer, std::slice::from_ref(desk), self.now, signed_at)
    }

    fn unwrap(&self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        open_own(message, self.keyring, self.now)
    }
}
