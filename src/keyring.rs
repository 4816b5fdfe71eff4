//! The desk's secret key; the certificates of the team and of others.
//!
//! # What it is for
//! The only room that knows which key belongs to whom. Keys are parsed and unlocked once, at start, and kept.
//!
//! # Invariants
//! * The first secret key signs; every secret key opens.
//! * A certificate is *held for* addresses: those the configuration names, or those of its user ids. What arrives by mail is
//!   never added here; what the desk remembers of an author is laid beside it for one mail ([`Keyring::beside`]), and counts
//!   only where the configuration says nothing of the address.
//! * Whether a certificate may be used is asked anew, with the time, at every use: expired, revoked or weak ones are refused
//!   with the reason.
//!
//! # Standards
//! RFC 9580, by Sequoia and its standard policy at the time given.

mod reporter;
mod secret;

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use openpgp::cert::amalgamation::key::ValidErasedKeyAmalgamation;
use openpgp::cert::amalgamation::{UserIDAmalgamation, ValidAmalgamation};
use openpgp::cert::{CertParser, Preferences};
use openpgp::crypto::KeyPair;
use openpgp::packet::Signature;
use openpgp::packet::key::{PublicParts, SecretParts};
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::{Serialize, SerializeInto};
use openpgp::types::{Features, RevocationStatus};
use openpgp::{Cert, KeyHandle, armor};
use sequoia_openpgp as openpgp;
use zeroize::Zeroizing;

use crate::domain::concern::Validity;
use crate::domain::message::{Mailbox, canonical};
use crate::domain::signature::{Certificate, Standing};
use crate::keyring::reporter::minimal;
pub use crate::keyring::reporter::{Choice, choose, described, merged, offered, rebuilt};
use crate::keyring::secret::unlock;
pub use crate::keyring::secret::{Successor, generate, successor};

/// Why a key or a certificate cannot be used. The text is for people and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no OpenPGP certificate.
    #[error("no OpenPGP certificate in it: {0}")]
    NotACertificate(String),
    /// A public key where the secret one is needed.
    #[error("it holds only the public key {0}, but the secret key is needed")]
    NoSecret(String),
    /// The passphrase is missing or wrong.
    #[error("its secret key {0} is protected: {1}")]
    Locked(String, &'static str),
    /// Expired, revoked, too weak.
    #[error("{0} cannot be used: {1}")]
    Unusable(String, String),
    /// No certificate at all.
    #[error("no certificate for {0}")]
    None(String),
}

/// All keys of the desk. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: Arc<Vec<Cert>>,
    held: Arc<Vec<Held>>,
    /// What is known of the author of the mail at hand.
    beside: Vec<Held>,
}

/// A certificate and whom it is held for.
#[derive(Debug, Clone)]
struct Held {
    cert: Cert,
    standing: Standing,
    /// The configuration says so of this address; the others are what the certificate says of itself.
    named: Option<String>,
    addresses: Vec<String>,
}

impl Keyring {
    /// A keyring without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds secret keys, unlocked with the passphrase where one is needed. Their certificates are held for their own user
    /// ids. The first key ever added is the desk's signing key.
    pub fn add_secret_keys(
        &mut self,
        bytes: &[u8],
        passphrase: Option<&Zeroizing<String>>,
    ) -> Result<(), KeyError> {
        for cert in certificates(bytes)? {
            let fingerprint = cert.fingerprint().to_hex();
            if !cert.is_tsk() {
                return Err(KeyError::NoSecret(fingerprint));
            }
            let unlocked = unlock(cert, passphrase)?;
            Arc::make_mut(&mut self.held).push(Held {
                standing: Standing::Pinned,
                named: None,
                addresses: user_addresses(&unlocked),
                cert: unlocked.clone().strip_secret_key_material(),
            });
            Arc::make_mut(&mut self.keys).push(unlocked);
        }
        Ok(())
    }

    /// Adds certificates, each held for the addresses of its user ids, and for `address` too if one is given.
    pub fn add_certificates(&mut self, bytes: &[u8], address: Option<&str>) -> Result<(), KeyError> {
        for cert in certificates(bytes)? {
            let cert = cert.strip_secret_key_material();
            let mut addresses = user_addresses(&cert);
            addresses.extend(address.map(canonical));
            let standing = Standing::Pinned;
            Arc::make_mut(&mut self.held).push(Held {
                cert,
                standing,
                named: address.map(canonical),
                addresses,
            });
        }
        Ok(())
    }

    /// The same keys, and beside them certificates that are not pinned, each held for one address. What cannot be read is
    /// left out.
    pub fn beside<'a>(
        &self,
        address: &str,
        certificates: impl IntoIterator<Item = (Standing, &'a Certificate)>,
    ) -> Self {
        let held = certificates.into_iter().filter_map(|(standing, certificate)| {
            let cert = Cert::from_bytes(certificate.armored.as_bytes()).ok()?;
            Some(Held { cert, standing, named: None, addresses: vec![canonical(address)] })
        });
        Self { beside: held.collect(), ..self.clone() }
    }

    /// The desk's key.
    pub fn desk(&self) -> Option<&Cert> {
        self.keys.first()
    }

    /// Every secret key, the desk's first.
    pub fn secret_keys(&self) -> &[Cert] {
        &self.keys
    }

    /// The certificates held for an address, and how the desk came to them: those that the configuration names for it; or else
    /// those it holds that say so of themselves, as anybody's certificate can; or else what the desk remembers.
    pub fn held_for(&self, address: &str) -> Vec<(Standing, &Cert)> {
        let said_of = canonical(address);
        let said = |held: &&Held| held.addresses.contains(&said_of);
        let mut found: Vec<&Held> = self.named(address).collect();
        if found.is_empty() {
            found.extend(self.held.iter().filter(said));
        }
        if found.is_empty() {
            found.extend(self.beside.iter().filter(said));
        }
        found.into_iter().map(|held| (held.standing, &held.cert)).collect()
    }

    /// The certificates that the configuration names for this very address, as it does for the people of the team.
    pub fn named_for(&self, address: &str) -> impl Iterator<Item = &Cert> {
        self.named(address).map(|held| &held.cert)
    }

    fn named(&self, address: &str) -> impl Iterator<Item = &Held> {
        let address = canonical(address);
        self.held.iter().filter(move |held| held.named.as_ref() == Some(&address))
    }

    /// The configuration names this certificate for this very address.
    pub fn names(&self, address: &str, fingerprint: &str) -> bool {
        self.named_for(address).any(|cert| cert.fingerprint().to_hex() == fingerprint)
    }

    /// The configuration holds a certificate for the address: nothing that comes by mail or from a directory counts.
    pub fn pins(&self, address: &str) -> bool {
        self.held_for(address).iter().any(|(standing, _)| *standing == Standing::Pinned)
    }

    /// The certificates that a signature's issuer may mean.
    pub fn by_handle(&self, handle: &KeyHandle) -> impl Iterator<Item = &Cert> {
        self.held
            .iter()
            .chain(&self.beside)
            .map(|held| &held.cert)
            .filter(move |cert| cert.keys().any(|key| key.key().key_handle().aliases(handle)))
    }

    /// The pair that signs letters: the desk's signing key, valid now.
    pub fn signer(&self, now: Timestamp) -> Result<KeyPair, KeyError> {
        self.signing_key(now, |key| key.key().clone().into_keypair().map_err(|error| error.to_string()))
    }

    /// Since when the key that signs now could have signed.
    pub fn signs_since(&self, now: Timestamp) -> Result<Timestamp, KeyError> {
        self.signing_key(now, |key| {
            let bound = key.binding_signature().signature_creation_time();
            let cert = key.valid_cert().primary_key().binding_signature().signature_creation_time();
            let since = [bound, cert, Some(key.key().creation_time())].into_iter().flatten().max();
            since.and_then(timestamp).ok_or_else(|| "it has no date".to_owned())
        })
    }

    fn signing_key<T>(
        &self,
        now: Timestamp,
        take: impl FnOnce(&ValidErasedKeyAmalgamation<'_, SecretParts>) -> Result<T, String>,
    ) -> Result<T, KeyError> {
        let desk = self.desk().ok_or_else(|| KeyError::None("the desk".to_owned()))?;
        let policy = policy(now);
        let unusable =
            |why: String| KeyError::Unusable(format!("the desk's key {}", desk.fingerprint().to_hex()), why);
        let valid = valid(desk, &policy, now).map_err(unusable)?;
        let mut keys = valid.keys().unencrypted_secret().alive().revoked(false).supported().for_signing();
        let key = keys.next().ok_or_else(|| unusable("it has no valid signing key".to_owned()))?;
        take(&key).map_err(unusable)
    }

    /// When the desk's key expires, if it does.
    pub fn desk_expires(&self, now: Timestamp) -> Option<Timestamp> {
        expires(self.desk()?, now)
    }

    /// The desk's public key as an Autocrypt field carries it: with the user ids of one address only. None when there is
    /// none, or when it is too large for such a field (level 1: 10 KiB in base64).
    pub fn desk_autocrypt(&self, address: &str) -> Option<Vec<u8>> {
        const MOST: usize = 7 * 1024;
        minimal(self.desk()?, address)?.to_vec().ok().filter(|bytes| bytes.len() <= MOST)
    }

    /// The desk's public key, armored.
    pub fn desk_armored(&self) -> Result<String, KeyError> {
        let desk = self.desk().ok_or_else(|| KeyError::None("the desk".to_owned()))?;
        armored(&desk.clone().strip_secret_key_material())
    }
}

/// A usable certificate held for an address. The error says why there is none.
pub fn encryptable<'a>(keyring: &'a Keyring, to: &Mailbox, now: Timestamp) -> Result<&'a Cert, KeyError> {
    let mut reason = KeyError::None(to.address.clone());
    for (_, cert) in keyring.held_for(&to.address) {
        match encryption_keys(cert, &policy(now), now) {
            Ok(_) => return Ok(cert),
            Err(why) => {
                reason = KeyError::Unusable(
                    format!("the certificate {} of {}", cert.fingerprint().to_hex(), to.address),
                    why,
                );
            }
        }
    }
    Err(reason)
}

/// Those of a reader's certificates that can be encrypted to. The error says why there are none.
pub fn encryptable_of(
    certificates: &[Certificate],
    address: &str,
    now: Timestamp,
) -> Result<Vec<Cert>, KeyError> {
    let mut usable = Vec::new();
    let mut reason = KeyError::None(address.to_owned());
    for known in certificates {
        let cert = match certificate(known.armored.as_bytes()) {
            Ok(cert) => cert,
            Err(why) => {
                reason = why;
                continue;
            }
        };
        match encryption_keys(&cert, &policy(now), now) {
            Ok(_) => usable.push(cert),
            Err(why) => {
                reason =
                    KeyError::Unusable(format!("the certificate {} of {address}", known.fingerprint), why);
            }
        }
    }
    if usable.is_empty() { Err(reason) } else { Ok(usable) }
}

/// Until when one of a reader's certificates can be encrypted to (none: without end), or why none can.
pub fn good_until(
    certificates: &[Certificate],
    address: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, String> {
    let usable = encryptable_of(certificates, address, now).map_err(|error| error.to_string())?;
    let ends: Option<Vec<Timestamp>> = usable.iter().map(|cert| expires(cert, now)).collect();
    Ok(ends.and_then(|ends| ends.into_iter().max()))
}

/// Until when a certificate can be encrypted to (none: without end), or why it cannot.
pub fn condition(known: &Certificate, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let cert = certificate(known.armored.as_bytes()).map_err(|error| error.to_string())?;
    encryption_keys(&cert, &policy(now), now)?;
    Ok(expires(&cert, now))
}

/// The keys of a certificate that mail is encrypted to, or why there are none.
pub fn encryption_keys<'a>(
    cert: &'a Cert,
    policy: &'a StandardPolicy<'a>,
    now: Timestamp,
) -> Result<Vec<ValidErasedKeyAmalgamation<'a, PublicParts>>, String> {
    let valid = valid(cert, policy, now)?;
    let keys: Vec<_> = valid.keys().supported().alive().revoked(false).for_transport_encryption().collect();
    if keys.is_empty() { Err("it has no valid encryption key".to_owned()) } else { Ok(keys) }
}

/// How long the desk's key and the certificates of these people are good for. Of a person only the certificate is named that
/// letters are encrypted to, or else the first one held.
pub fn validities<'a>(
    keyring: &Keyring,
    people: impl Iterator<Item = &'a Mailbox>,
    now: Timestamp,
) -> Vec<Validity> {
    let of = |whose: &str, cert: &Cert| Validity {
        whose: whose.to_owned(),
        fingerprint: cert.fingerprint().to_hex(),
        expires: expires(cert, now),
        unusable: encryption_keys(cert, &policy(now), now).err(),
    };
    // the desk signs, too
    let desk = keyring.desk().map(|desk| {
        let Validity { whose, fingerprint, expires, unusable } = of("the desk", desk);
        Validity {
            whose,
            fingerprint,
            expires: expires.into_iter().chain(signs_until(desk, now)).min(),
            unusable: unusable.or_else(|| keyring.signer(now).err().map(|error| error.to_string())),
        }
    });
    let people = people.map(|mailbox| {
        let held = keyring.held_for(&mailbox.address);
        let used = encryptable(keyring, mailbox, now).ok().or(held.first().map(|(_, cert)| *cert));
        used.map_or_else(
            || Validity {
                whose: mailbox.address.clone(),
                fingerprint: String::new(),
                expires: None,
                unusable: Some("there is none".to_owned()),
            },
            |cert| of(&mailbox.address, cert),
        )
    });
    desk.into_iter().chain(people).collect()
}

/// When the last of a certificate's signing keys expires, if all of them do.
fn signs_until(cert: &Cert, now: Timestamp) -> Option<Timestamp> {
    let policy = policy(now);
    let valid = cert.with_policy(&policy, system_time(now)).ok()?;
    last_end(valid.keys().supported().alive().revoked(false).for_signing())
}

/// When the last of some keys expires. A key without an expiry outlives all others.
fn last_end<'a>(
    keys: impl Iterator<Item = ValidErasedKeyAmalgamation<'a, PublicParts>>,
) -> Option<Timestamp> {
    let ends: Option<Vec<Timestamp>> =
        keys.map(|key| key.key_expiration_time().and_then(timestamp)).collect();
    ends?.into_iter().max()
}

/// When a certificate expires, if it does: its primary key, or the last of its keys that mail is encrypted to.
pub fn expires(cert: &Cert, now: Timestamp) -> Option<Timestamp> {
    let policy = policy(now);
    let valid = cert.with_policy(&policy, system_time(now)).ok()?;
    let primary = valid.primary_key().key_expiration_time().and_then(timestamp);
    let keys = encryption_keys(cert, &policy, now).unwrap_or_default();
    primary.into_iter().chain(last_end(keys.into_iter())).min()
}

/// Sequoia's standard policy as of a time.
pub fn policy(now: Timestamp) -> StandardPolicy<'static> {
    StandardPolicy::at(system_time(now))
}

/// Sequoia speaks in `SystemTime`.
pub fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::from(at)
}

/// A certificate's public part, armored, without comments.
pub fn armored(cert: &Cert) -> Result<String, KeyError> {
    let write = || -> openpgp::Result<String> {
        let mut writer = armor::Writer::new(Vec::new(), armor::Kind::PublicKey)?;
        cert.serialize(&mut writer)?;
        Ok(String::from_utf8(writer.finalize()?)?)
    };
    write().map_err(|error| KeyError::Unusable(cert.fingerprint().to_hex(), error.to_string()))
}

/// The addresses of a certificate's user ids: those that it signed itself, for as long as it lives, and has not revoked since.
pub fn user_addresses(cert: &Cert) -> Vec<String> {
    cert.userids()
        .filter(|user| binding(user).is_some_and(|it| it.signature_validity_period().is_none()))
        .filter_map(|user| user.userid().email().ok().flatten().map(canonical))
        .collect()
}

/// The newest signature by which a certificate says that a user id is its own, unless it has revoked that since.
pub fn binding<'a>(user: &UserIDAmalgamation<'a>) -> Option<&'a Signature> {
    let at = |signature: &Signature| signature.signature_creation_time();
    let newest = user.self_signatures().max_by_key(|signature| at(signature))?;
    (at(newest) > user.self_revocations().filter_map(at).max()).then_some(newest)
}

/// Reads one or many certificates.
pub fn certificates(bytes: &[u8]) -> Result<Vec<Cert>, KeyError> {
    let parsed: Result<Vec<Cert>, _> = CertParser::from_bytes(bytes)
        .and_then(Iterator::collect)
        .map_err(|error| KeyError::NotACertificate(first_line(&error.to_string())));
    match parsed {
        Ok(certs) if certs.is_empty() => Err(KeyError::NotACertificate("it is empty".to_owned())),
        other => other,
    }
}

/// Reads one certificate.
pub fn certificate(bytes: &[u8]) -> Result<Cert, KeyError> {
    Cert::from_bytes(bytes).map_err(|error| KeyError::NotACertificate(first_line(&error.to_string())))
}

/// One of its keys is what a signature names as its issuer, a fingerprint or a key id in hexadecimal.
pub fn has_key(cert: &Cert, issuer: &str) -> bool {
    issuer
        .parse::<KeyHandle>()
        .is_ok_and(|issuer| cert.keys().any(|key| key.key().key_handle().aliases(&issuer)))
}

/// It says that it can read more than every program writes. GnuPG takes one of these marks for a wish to get its own form.
pub fn advertises_more_than_seipdv1(cert: &Cert, now: Timestamp) -> bool {
    let policy = policy(now);
    encryption_keys(cert, &policy, now).is_ok_and(|keys| {
        keys.iter()
            .any(|key| key.valid_cert().features().is_some_and(|it| it != Features::empty().set_seipdv1()))
    })
}

fn valid<'a>(
    cert: &'a Cert,
    policy: &'a StandardPolicy<'a>,
    now: Timestamp,
) -> Result<openpgp::cert::ValidCert<'a>, String> {
    let valid = cert.with_policy(policy, system_time(now)).map_err(|error| first_line(&error.to_string()))?;
    if let RevocationStatus::Revoked(_) = valid.revocation_status() {
        return Err("it is revoked".to_owned());
    }
    if let Err(error) = valid.alive() {
        let expired =
            valid.primary_key().key_expiration_time().and_then(timestamp).filter(|expiry| *expiry <= now);
        return Err(match expired {
            Some(expiry) => format!("it expired on {}", expiry.strftime("%Y-%m-%d")),
            None => first_line(&error.to_string()),
        });
    }
    Ok(valid)
}

fn timestamp(at: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(at).ok()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_calls_itself_ada_is_not_adas() {
        let now = "2026-11-20T23:00:00Z".parse().unwrap();
        let ada = Mailbox::bare("ada@example.org");
        let [theirs, hers] = [(); 2].map(|()| generate(&ada, now, true).unwrap());
        let mut keyring = Keyring::new();
        keyring.add_certificates(theirs.as_bytes(), None).unwrap();
        keyring.add_certificates(hers.as_bytes(), Some("Ada@example.org")).unwrap();
        let held: Vec<_> =
            keyring.held_for("ada@example.org").into_iter().map(|(_, cert)| cert.fingerprint()).collect();
        assert_eq!(held, [certificates(hers.as_bytes()).unwrap()[0].fingerprint()]);
    }

    #[test]
    fn what_is_encrypted_to_a_fresh_key_can_be_read_everywhere() {
        let now = "2026-11-20T23:00:00Z".parse().unwrap();
        let secret = generate(&Mailbox::bare("security@example.org"), now, true).unwrap();
        let cert = certificates(secret.as_bytes()).unwrap().remove(0);
        let policy = policy(now);
        let keys = encryption_keys(&cert, &policy, now).unwrap();
        let features = keys.iter().map(|key| key.valid_cert().features());
        assert_eq!(features.collect::<Vec<_>>(), [Some(Features::empty().set_seipdv1())]);
        assert!(!advertises_more_than_seipdv1(&cert, now));
        let (newer, _) = openpgp::cert::CertBuilder::general_purpose(Some("security@example.org"))
            .set_creation_time(Some(system_time(now)))
            .generate()
            .unwrap();
        assert!(advertises_more_than_seipdv1(&newer, now), "a wish that not everybody can fulfil is told");
    }
}
