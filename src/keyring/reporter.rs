//! Which certificate an author is answered with.
//!
//! # Invariants
//! * What stands higher is never replaced by what stands lower: a pinned certificate wins over a remembered one, and that over
//!   one that a mail offers. One that cannot be used makes no room for another.
//! * The same certificate may come again with newer signatures of its own (a later expiry, a revocation): those are taken in.
//! * Of a certificate that came by mail, only the user ids of the one address are kept, without what others certified: a
//!   flooded certificate stays small.

use jiff::Timestamp;
use openpgp::cert::amalgamation::UserIDAmalgamation;
use openpgp::crypto::SessionKey;
use openpgp::packet::Signature;
use openpgp::packet::signature::subpacket::{Subpacket, SubpacketTag, SubpacketValue};
use openpgp::parse::Parse;
use openpgp::{Cert, KeyID, Packet};
use sequoia_openpgp as openpgp;

use crate::domain::decide::Offered;
use crate::domain::message::{Mailbox, canonical};
use crate::domain::signature::{Certificate, Source, Standing};
use crate::keyring::{self, Keyring};

/// A larger certificate is not remembered. Bytes, armored.
const MAX_CERTIFICATE: usize = 32 * 1024;
/// No more certificates of one mail are looked at for the distributors' list.
const MOST_OFFERED: usize = 8;

/// What an author is answered with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// The certificate that can be encrypted to now.
    pub certificate: Option<(Standing, Certificate)>,
    /// The certificate that the desk remembers, with what the mail says anew of it: a later expiry, or that it is revoked.
    pub renewed: Option<Certificate>,
    /// One that was offered, while the desk holds another.
    pub other: Option<Certificate>,
}

/// Chooses among what the desk holds for the author and what the mail offers.
pub fn choose(keyring: &Keyring, author: &Mailbox, offered: &[(Source, Vec<u8>)], now: Timestamp) -> Choice {
    let offered = copies(offered, &author.address);
    let held = keyring.held_for(&author.address);
    let mut choice = Choice::default();
    for (standing, held) in &held {
        let mut cert = (*held).clone();
        let newer = offered.iter().find(|(_, new)| new.fingerprint() == cert.fingerprint());
        if let Some((source, newer)) = newer.filter(|_| *standing != Standing::Pinned) {
            // only its own signatures can change what it says
            cert = cert.merge_public(newer.clone()).unwrap_or_else(|_| (*held).clone());
            if cert != **held {
                choice.renewed = described(*source, &cert);
            }
        }
        if choice.certificate.is_none() && can_be_encrypted_to(&cert, now) {
            let source = newer.map_or(Source::Attached, |(source, _)| *source);
            choice.certificate = described(source, &cert).map(|certificate| (*standing, certificate));
        }
    }
    for (source, cert) in &offered {
        if held.iter().any(|(_, known)| known.fingerprint() == cert.fingerprint()) {
            continue;
        }
        if !held.is_empty() {
            choice.other = choice.other.or_else(|| described(*source, cert));
        } else if choice.certificate.is_none() && can_be_encrypted_to(cert, now) {
            choice.certificate = described(*source, cert).map(|certificate| (Standing::Offered, certificate));
        }
    }
    choice
}

/// What each certificate that a mail offers is worth as one of its author's, whatever the desk remembers of him: the certificate, or why it
/// cannot be taken.
pub fn offered(
    keyring: &Keyring,
    author: &Mailbox,
    offered: &[(Source, Vec<u8>)],
    now: Timestamp,
) -> Vec<Offered> {
    let address = canonical(&author.address);
    let mut all: Vec<Offered> = Vec::new();
    for (source, bytes) in offered.iter().take(MOST_OFFERED) {
        let Ok(cert) = Cert::from_bytes(bytes) else {
            let certificate = Err("it cannot be read".to_owned());
            all.push(Offered { fingerprint: "(unknown)".to_owned(), certificate });
            continue;
        };
        let fingerprint = cert.fingerprint().to_hex();
        let certificate = own(keyring, &address, *source, &cert, now);
        let known = all.iter_mut().find(|known| known.fingerprint == fingerprint);
        match (known, *source) {
            // attached by a person, and added by the program as well
            (Some(known), Source::Attached) if certificate.is_ok() => known.certificate = certificate,
            (Some(_), _) => {}
            (None, _) => all.push(Offered { fingerprint, certificate }),
        }
    }
    all
}

fn own(
    keyring: &Keyring,
    address: &str,
    source: Source,
    cert: &Cert,
    now: Timestamp,
) -> Result<Certificate, String> {
    let same = |held: &&keyring::Held| held.cert.fingerprint() == cert.fingerprint();
    let mut held = keyring.held.iter().filter(same).peekable();
    let is_theirs = |held: &keyring::Held| held.addresses.iter().any(|known| known == address);
    if held.peek().is_some() && !held.any(is_theirs) {
        return Err("the configuration holds it for somebody else".to_owned());
    }
    let minimal =
        minimal(cert, address).ok_or_else(|| format!("none of its user ids is that of {address}"))?;
    if keyring.pins(address)
        && !keyring.held_for(address).iter().any(|(_, known)| known.fingerprint() == cert.fingerprint())
    {
        return Err(format!("the configuration holds another one for {address}"));
    }
    if !can_be_encrypted_to(&minimal, now) {
        return Err("it cannot be encrypted to".to_owned());
    }
    described(source, &minimal).ok_or_else(|| "it is too large".to_owned())
}

/// The certificates that a mail offers for an address, several copies of one put together.
fn copies(offered: &[(Source, Vec<u8>)], address: &str) -> Vec<(Source, Cert)> {
    let mut copies: Vec<(Source, Cert)> = Vec::new();
    for (source, bytes) in offered {
        let read = Cert::from_bytes(bytes).ok();
        let Some(cert) = read.and_then(|cert| minimal(&cert, address)) else { continue };
        match copies.iter_mut().find(|(_, known)| known.fingerprint() == cert.fingerprint()) {
            Some((_, known)) => *known = known.clone().merge_public(cert).unwrap_or_else(|_| known.clone()),
            None => copies.push((*source, cert)),
        }
    }
    copies
}

/// A certificate with the user ids of one address only. None when it has no such user id.
pub(super) fn minimal(cert: &Cert, address: &str) -> Option<Cert> {
    let address = canonical(address);
    let cert = rebuilt(cert, |user| {
        user.userid().email().ok().flatten().is_some_and(|email| canonical(email) == address)
    })?;
    keyring::user_addresses(&cert).contains(&address).then_some(cert)
}

/// A certificate made anew of its keys, some of its user ids, and what its own key verifiably says of them: neither secrets nor
/// photographs, nothing that others certified, and no signature that is only said to be its own. None when no user id is left.
pub fn rebuilt(cert: &Cert, is_for: impl Fn(&UserIDAmalgamation<'_>) -> bool) -> Option<Cert> {
    let cert = cert
        .clone()
        .strip_secret_key_material()
        .retain_userids(|user| is_for(&user))
        .retain_user_attributes(|_| false);
    cert.userids().next()?;
    let primary = cert.primary_key();
    let mut packets = vec![Packet::from(primary.key().clone())];
    let issuer = cert.keyid();
    packets.extend(signatures(&issuer, primary.self_signatures(), primary.self_revocations()));
    // what it does not say of itself, anybody may have added
    for user in cert.userids() {
        let said = signatures(&issuer, user.self_signatures(), user.self_revocations());
        if !said.is_empty() {
            packets.push(Packet::from(user.userid().clone()));
            packets.extend(said);
        }
    }
    for subkey in cert.keys().subkeys() {
        let said = signatures(&issuer, subkey.self_signatures(), subkey.self_revocations());
        if !said.is_empty() {
            packets.push(Packet::from(subkey.key().clone()));
            packets.extend(said);
        }
    }
    Cert::from_packets(packets.into_iter()).ok()
}

fn signatures<'a>(
    issuer: &KeyID,
    bindings: impl Iterator<Item = &'a Signature>,
    revocations: impl Iterator<Item = &'a Signature>,
) -> Vec<Packet> {
    bindings.chain(revocations).cloned().map(|signature| Packet::from(bare(signature, issuer))).collect()
}

/// A signature without what everybody can write on it: but for the subkey's word, which some programs put there, and the
/// issuer, of which readers want one.
fn bare(mut signature: Signature, issuer: &KeyID) -> Signature {
    let embedded: Vec<Subpacket> = signature
        .unhashed_area()
        .iter()
        .filter(|subpacket| subpacket.tag() == SubpacketTag::EmbeddedSignature)
        .cloned()
        .collect();
    let issuer = Subpacket::new(SubpacketValue::Issuer(issuer.clone()), false);
    signature.unhashed_area_mut().clear();
    for subpacket in embedded.into_iter().chain(issuer) {
        // there is room for what was there, and for eight bytes
        let _fits = signature.unhashed_area_mut().add(subpacket);
    }
    signature
}

/// What is remembered of a certificate, with what a newer copy of it says of itself.
pub fn merged(known: &Certificate, newer: &Certificate) -> Certificate {
    let read = |certificate: &Certificate| Cert::from_bytes(certificate.armored.as_bytes()).ok();
    let both = read(known).zip(read(newer)).and_then(|(known, newer)| known.merge_public(newer).ok());
    both.and_then(|both| described(newer.source, &both)).unwrap_or_else(|| known.clone())
}

/// Nothing that is made by whoever likes to can be trusted to be a key: it is tried.
fn can_be_encrypted_to(cert: &Cert, now: Timestamp) -> bool {
    let policy = keyring::policy(now);
    let tried = SessionKey::from(vec![0x2a; 32]);
    keyring::encryption_keys(cert, &policy, now)
        .is_ok_and(|keys| keys.iter().all(|key| key.key().encrypt(&tried).is_ok()))
}

/// As it is remembered. None when it is too large for that.
pub fn described(source: Source, cert: &Cert) -> Option<Certificate> {
    let armored = keyring::armored(cert).ok().filter(|armored| armored.len() <= MAX_CERTIFICATE)?;
    Some(Certificate { fingerprint: cert.fingerprint().to_hex(), source, armored })
}

#[cfg(test)]
mod tests {
    use openpgp::serialize::SerializeInto;

    use super::*;
    use crate::keyring::{certificate, generate};

    /// Whoever passes a certificate on can write another issuer beside the signed one. Sequoia then names both, in any order.
    #[test]
    fn what_a_stranger_wrote_on_a_certificate_is_not_kept() {
        let now = "2026-11-20T23:00:00Z".parse().unwrap();
        let rita = Mailbox::bare("rita@example.net");
        let cert = certificate(generate(&rita, now, true).unwrap().as_bytes()).unwrap();
        let other: KeyID = "0123456789ABCDEF".parse().unwrap();
        let scribbled = cert.clone().strip_secret_key_material().into_packets().map(|packet| match packet {
            Packet::Signature(signature) => Packet::Signature(bare(signature, &other)),
            other => other,
        });
        let mut bytes = Vec::new();
        for packet in scribbled {
            bytes.extend(packet.to_vec().unwrap());
        }
        let minimal = |bytes: &[u8]| minimal(&certificate(bytes).unwrap(), &rita.address).unwrap().to_vec();
        let clean = minimal(&cert.to_vec().unwrap()).unwrap();
        for _ in 0..20 {
            assert_eq!(minimal(&bytes).unwrap(), clean);
        }
    }
}
