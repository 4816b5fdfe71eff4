//! Sign, and encrypt to one reader. Sequoia does it; this file says how.
//!
//! # Invariants
//! * Signatures are SHA-512, made at the time given by the desk's signing key.
//! * An encrypted letter is signed inside, names its intended recipient (RFC 9580 §5.2.3.36), and is not compressed.
//! * Which container is used (SEIPDv1 or v2) follows what the reader's certificate says it can read.

use std::io::Write;

use jiff::Timestamp;
use openpgp::Cert;
use openpgp::crypto::KeyPair;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Recipient, Signer};
use openpgp::types::HashAlgorithm;
use sequoia_openpgp as openpgp;

use crate::keyring;

/// The `micalg` of RFC 3156 for [`detached`].
pub(super) const MICALG: &str = "pgp-sha512";

/// Bytes of a text that are encrypted at once.
const AT_ONCE: usize = 1 << 16;

/// An armored detached signature.
pub(super) fn detached(entity: &[u8], signer: KeyPair, now: Timestamp) -> Result<Vec<u8>, String> {
    let sign = || -> openpgp::Result<Vec<u8>> {
        let mut sink = Vec::new();
        let message = Armorer::new(Message::new(&mut sink)).kind(openpgp::armor::Kind::Signature).build()?;
        let signer = Signer::new(message, signer)?.hash_algo(HashAlgorithm::SHA512)?;
        let mut message = signer.creation_time(keyring::system_time(now)).detached().build()?;
        message.write_all(entity)?;
        message.finalize()?;
        Ok(sink)
    };
    sign().map_err(|error| format!("it could not be signed: {error}"))
}

/// Signs, dated as told, and encrypts to the encryption keys of one reader's certificates that are valid now; armored. (The demo's reporter
/// writes with it, too.)
pub fn sign_and_encrypt(
    entity: &[u8],
    signer: KeyPair,
    to: &[Cert],
    now: Timestamp,
    signed_at: Timestamp,
) -> Result<Vec<u8>, String> {
    let policy = keyring::policy(now);
    let keys = to.iter().map(|cert| keyring::encryption_keys(cert, &policy, now));
    let keys: Vec<_> = keys.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let encrypt = || -> openpgp::Result<Vec<u8>> {
        let mut sink = Vec::new();
        let message = Armorer::new(Message::new(&mut sink)).kind(openpgp::armor::Kind::Message).build()?;
        let message = Encryptor::for_recipients(message, keys.into_iter().map(Recipient::from)).build()?;
        let signer = Signer::new(message, signer)?.hash_algo(HashAlgorithm::SHA512)?;
        let signer = signer.creation_time(keyring::system_time(signed_at));
        let message = to.iter().fold(signer, |signer, cert| signer.add_intended_recipient(cert)).build()?;
        let mut message = LiteralWriter::new(message).build()?;
        // each layer makes a copy of what it gets at once
        entity.chunks(AT_ONCE).try_for_each(|some| message.write_all(some))?;
        message.finalize()?;
        Ok(sink)
    };
    encrypt().map_err(|error| format!("it could not be encrypted: {error}"))
}
