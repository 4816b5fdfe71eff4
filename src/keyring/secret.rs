//! Secret keys: made, replaced, unlocked, locked.
//!
//! # Invariants
//! * What is unlocked stays in memory; what is written to the disk is locked when the desk's key is.

use std::time::Duration;

use jiff::Timestamp;
use openpgp::Cert;
use openpgp::cert::CipherSuite;
use openpgp::cert::amalgamation::key::PrimaryKey;
use openpgp::crypto::Password;
use openpgp::packet::key::SecretKeyMaterial;
use openpgp::serialize::SerializeInto;
use openpgp::types::{Features, SignatureType};
use sequoia_openpgp as openpgp;
use zeroize::Zeroizing;

use crate::domain::message::Mailbox;
use crate::keyring::{KeyError, Keyring, certificate, system_time};

/// The validity of a fresh desk key.
const VALIDITY: Duration = Duration::from_secs(2 * 366 * 24 * 60 * 60);

/// A fresh Curve25519 key for a mailbox: the secret key, armored. It advertises SEIPDv1 alone, so that every implementation
/// writes to it what every implementation can read (GnuPG 2.2 reads nothing newer, and newer GnuPGs write a form of their
/// own).
pub fn generate(mailbox: &Mailbox, now: Timestamp, expires: bool) -> Result<Zeroizing<String>, KeyError> {
    let broken =
        |error: openpgp::anyhow::Error| KeyError::Unusable("a new key".to_owned(), error.to_string());
    let (cert, _) = openpgp::cert::CertBuilder::general_purpose(Some(mailbox.to_string()))
        .set_cipher_suite(CipherSuite::Cv25519)
        .set_features(Features::empty().set_seipdv1())
        .map_err(broken)?
        .set_creation_time(Some(system_time(now)))
        .set_validity_period(expires.then_some(VALIDITY))
        .generate()
        .map_err(broken)?;
    let bytes = cert.as_tsk().armored().to_vec().map_err(broken)?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| broken(error.into()))
}

/// A key that takes the place of the desk's.
pub struct Successor {
    /// The secret key, armored.
    pub secret: Zeroizing<String>,
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// It carries a signature of the key before it.
    pub certified: bool,
}

/// A fresh key that takes the place of the desk's: protected with the same passphrase, and certified by the key before it, so
/// that whoever trusts that one can trust this one.
pub fn successor(
    keyring: &Keyring,
    mailbox: &Mailbox,
    passphrase: Option<&Zeroizing<String>>,
    now: Timestamp,
) -> Result<Successor, KeyError> {
    let broken =
        |error: openpgp::anyhow::Error| KeyError::Unusable("the new key".to_owned(), error.to_string());
    let secret = generate(mailbox, now, true)?;
    let mut cert = certificate(secret.as_bytes())?;
    let mut certified = false;
    if let Some(desk) = keyring.desk()
        && let Ok(primary) = desk.primary_key().key().clone().parts_into_secret()
        // an offline primary key certifies nothing here
        && let Ok(mut old) = primary.into_keypair()
    {
        let certify = |user: openpgp::packet::UserID| {
            openpgp::packet::signature::SignatureBuilder::new(SignatureType::GenericCertification)
                .set_signature_creation_time(system_time(now))?
                .sign_userid_binding(&mut old, &cert.primary_key().key().clone(), &user)
        };
        let user = cert.userids().next().map(|user| user.userid().clone());
        if let Some(signature) = user.map(certify) {
            cert = cert.insert_packets(signature.map_err(broken)?).map_err(broken)?.0;
            certified = true;
        }
    }
    if let Some(passphrase) = passphrase {
        cert = locked(cert, passphrase).map_err(broken)?;
    }
    let fingerprint = cert.fingerprint().to_hex();
    let bytes = cert.as_tsk().armored().to_vec().map_err(broken)?;
    let armored = String::from_utf8(bytes).map_err(|error| broken(error.into()))?;
    Ok(Successor { secret: Zeroizing::new(armored), fingerprint, certified })
}

fn locked(cert: Cert, passphrase: &Zeroizing<String>) -> openpgp::Result<Cert> {
    let password = Password::from(passphrase.as_str());
    let mut packets = Vec::new();
    for key in cert.keys().secret() {
        let locked = key.key().clone().encrypt_secret(&password)?;
        packets.push(match key.primary() {
            true => openpgp::Packet::from(locked.role_into_primary()),
            false => openpgp::Packet::from(locked.role_into_subordinate()),
        });
    }
    Ok(cert.insert_packets(packets)?.0)
}

pub(super) fn unlock(cert: Cert, passphrase: Option<&Zeroizing<String>>) -> Result<Cert, KeyError> {
    let fingerprint = cert.fingerprint().to_hex();
    let mut packets = Vec::new();
    for key in cert.keys().secret() {
        if key.key().secret().is_encrypted() && !is_elsewhere(key.key().secret()) {
            let passphrase = passphrase
                .ok_or(KeyError::Locked(fingerprint.clone(), "give its passphrase in the configuration"))?;
            let password = Password::from(passphrase.as_str());
            let unlocked = key
                .key()
                .clone()
                .decrypt_secret(&password)
                .map_err(|_| KeyError::Locked(fingerprint.clone(), "the passphrase is wrong"))?;
            packets.push(if key.primary() {
                openpgp::Packet::from(unlocked.role_into_primary())
            } else {
                openpgp::Packet::from(unlocked.role_into_subordinate())
            });
        }
    }
    if packets.is_empty() {
        return Ok(cert);
    }
    let merged =
        cert.insert_packets(packets).map_err(|error| KeyError::Unusable(fingerprint, error.to_string()))?;
    Ok(merged.0)
}

/// GnuPG's mark for a secret that is kept offline or on a card: there is nothing to unlock.
fn is_elsewhere(secret: &SecretKeyMaterial) -> bool {
    matches!(secret, SecretKeyMaterial::Encrypted(encrypted) if !encrypted.s2k().is_supported())
}
