//! Which certificate an author is answered with.
//!
//! # Invariants
//! * What stands higher is never replaced by what stands lower: a pinned certificate wins over a remembered one, and that over
//!   one that a mail offers. One that cannot be used makes no room for another.
//! * The same certificate may come again with newer signatures of its own (a later expiry, a revocation): those are taken in.
//! * Of a certificate that came by mail, only the user ids of the one address are kept, without what others certified: a
//!   flooded certificate stays small.

use jiff::Timestamp;
use openpgp::parse::Parse;
use openpgp::{Cert, Packet};
use sequoia_openpgp as openpgp;

use crate::domain::message::{Mailbox, canonical};
use crate::domain::signature::{Certificate, Source, Standing};
use crate::keyring::{self, Keyring};

/// A larger certificate is not remembered. Bytes, armored.
const MAX_CERTIFICATE: usize = 32 * 1024;

/// What an author is answered with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// The certificate that can be encrypted to now.
    pub certificate: Option<(Standing, Certificate)>,
    /// One that was offered, while the desk holds another.
    pub other: Option<Certificate>,
}

/// Chooses among what the desk holds for the author and what the mail offers.
pub fn choose(keyring: &Keyring, author: &Mailbox, offered: &[(Source, Vec<u8>)], now: Timestamp) -> Choice {
    let offered: Vec<(Source, Cert)> = offered
        .iter()
        .filter_map(|(source, bytes)| Some((*source, minimal(bytes, &author.address)?)))
        .collect();
    let held = keyring.held_for(&author.address);
    let usable = |cert: &Cert| keyring::encryption_keys(cert, &keyring::policy(now), now).is_ok();
    let mut choice = Choice::default();
    for (standing, cert) in &held {
        let renewed = offered.iter().find(|(_, new)| new.fingerprint() == cert.fingerprint());
        let (source, cert) = match renewed {
            // only its own signatures can change what it says
            Some((source, new)) if *standing != Standing::Pinned => {
                (*source, (*cert).clone().merge_public(new.clone()).unwrap_or_else(|_| (*cert).clone()))
            }
            _ => (Source::Attached, (*cert).clone()),
        };
        if choice.certificate.is_none() && usable(&cert) {
            choice.certificate = described(source, &cert).map(|certificate| (*standing, certificate));
        }
    }
    for (source, cert) in &offered {
        if held.iter().any(|(_, known)| known.fingerprint() == cert.fingerprint()) {
            continue;
        }
        if !held.is_empty() {
            choice.other = choice.other.or_else(|| described(*source, cert));
        } else if choice.certificate.is_none() && usable(cert) {
            choice.certificate = described(*source, cert).map(|certificate| (Standing::Offered, certificate));
        }
    }
    choice
}

/// A certificate with the user ids of one address only, and with no signatures but its own. None when it has no such user id.
pub fn minimal(bytes: &[u8], address: &str) -> Option<Cert> {
    let address = canonical(address);
    let cert = Cert::from_bytes(bytes).ok()?.strip_secret_key_material();
    let is_his = |user: &openpgp::packet::UserID| {
        user.email().ok().flatten().is_some_and(|email| canonical(email) == address)
    };
    let cert = cert.retain_userids(|user| is_his(user.userid())).retain_user_attributes(|_| false);
    let primary = cert.primary_key().key().key_handle();
    let kept = cert.into_packets().filter(move |packet| match packet {
        Packet::Signature(signature) => signature.get_issuers().iter().any(|issuer| issuer.aliases(&primary)),
        _ => true,
    });
    let cert = Cert::from_packets(kept).ok()?;
    keyring::user_addresses(&cert).contains(&address).then_some(cert)
}

/// As it is remembered. None when it is too large for that.
pub fn described(source: Source, cert: &Cert) -> Option<Certificate> {
    let armored = keyring::armored(cert).ok().filter(|armored| armored.len() <= MAX_CERTIFICATE)?;
    Some(Certificate { fingerprint: cert.fingerprint().to_hex(), source, armored })
}
