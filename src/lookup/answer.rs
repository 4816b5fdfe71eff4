//! What of an answer is kept.
//!
//! # What it is for
//! A directory may publish what it likes: keyrings, photographs, thousands of certifications, user ids of other people. A
//! certificate is rebuilt here of what is needed to write to one address, and of nothing else.
//!
//! # Invariants
//! * No secret key material: an answer that has any is refused before it is read any further.
//! * Every user id is exactly the address, certified by the certificate's own key, and not revoked since. Another certificate
//!   is not returned.
//! * Every signature is by the certificate's own key. (A revocation by somebody else named for it is lost with the others:
//!   the keyring does not heed those.)
//! * Whether keys are expired or revoked is not judged here: that depends on the time of use.
//!
//! # Standards
//! draft-koch-openpgp-webkey-service §3.1, RFC 9580 §10.1, by Sequoia.

use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::cert::amalgamation::UserIDAmalgamation;
use openpgp::cert::raw::{RawCert, RawCertParser};
use openpgp::packet::Tag;
use openpgp::parse::Parse;

use crate::keyring;
use crate::lookup::LookupError;
use crate::lookup::address::Address;

/// Somebody's new certificate, and older ones that were revoked.
const MAX_CERTS: usize = 4;
/// A certificate of more packets is no person's.
const MAX_PACKETS: usize = 1_000;

/// The certificates of an answer that are for this address, rebuilt.
pub(super) fn certificates(bytes: &[u8], wanted: &Address, host: &str) -> Result<Vec<Cert>, LookupError> {
    let unreadable = || LookupError::NotACertificate(host.to_owned());
    let raw: Vec<RawCert> = RawCertParser::from_bytes(bytes)
        .map_err(|_| unreadable())?
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable())?;
    let mut tags = raw.iter().flat_map(RawCert::packets).map(|packet| packet.tag());
    if tags.any(|tag| matches!(tag, Tag::SecretKey | Tag::SecretSubkey)) {
        return Err(LookupError::Secret(host.to_owned()));
    }
    let read: Vec<Cert> = raw
        .iter()
        .filter(|raw| raw.packets().count() <= MAX_PACKETS)
        .filter_map(|raw| Cert::try_from(raw).ok())
        .collect();
    if read.is_empty() {
        return Err(unreadable());
    }
    let kept: Vec<Cert> = read
        .iter()
        .filter_map(|cert| keyring::rebuilt(cert, |user| is_for(user, wanted)))
        .take(MAX_CERTS)
        .collect();
    if kept.is_empty() { Err(LookupError::OtherAddress(host.to_owned())) } else { Ok(kept) }
}

/// Is this user id the address, and does the certificate still say so?
fn is_for(user: &UserIDAmalgamation<'_>, wanted: &Address) -> bool {
    let address = user.userid().email().ok().flatten();
    if address.and_then(|address| Address::parse(address).ok()).as_ref() != Some(wanted) {
        return false;
    }
    keyring::binding(user).is_some()
}
