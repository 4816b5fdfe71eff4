//! What follows from the certificates that come with a mail, or are looked up for its author.
//!
//! # Invariants
//! * What is remembered first is in use; another one is remembered beside it, and a person decides.

use jiff::Timestamp;

use crate::domain::decide::{Decision, Facts};
use crate::domain::event::{Event, What};
use crate::domain::message::{Mailbox, Message};
use crate::domain::signature::{Certificate, Signature, Standing};

/// A certificate was looked up: it is remembered; what it says of the mail counts when the desk holds no other for its author.
pub(super) fn found(facts: &Facts, message: &Message, certificate: &Certificate, now: Timestamp) -> Decision {
    let (Some(case), Some(author)) = (&facts.case, message.author()) else { return Decision::default() };
    let event = |what| Event { at: now, case: Some(case.id.clone()), what };
    let in_use = facts.remembered.first().is_none_or(|first| first.fingerprint == certificate.fingerprint);
    let mut events = Vec::new();
    if !facts.remembered.iter().any(|known| known.same_as(certificate)) {
        let (address, certificate) = (author.canonical(), certificate.clone());
        events.push(event(What::CertificateSeen { address, certificate, in_use }));
    }
    if in_use && !matches!(message.signature, Signature::None | Signature::UnknownKey { .. }) {
        events.push(event(What::SignatureChecked {
            mail: message.digest.clone(),
            signature: message.signature.word().to_owned(),
            verdict: message.signature.verdict().to_owned(),
            signer: message.signature.signer().map(str::to_owned),
            standing: message.signature.standing(),
        }));
    }
    Decision { events, letters: Vec::new() }
}

/// What is remembered of the certificates that the mail offers for its author. The first that is remembered is in use: beside a
/// pinned one none is.
pub(super) fn certificates(message: &Message, remembered: &[Certificate]) -> impl Iterator<Item = What> {
    let address = message.author().map(Mailbox::canonical).unwrap_or_default();
    let first = remembered.first().map(|first| first.fingerprint.clone());
    let is_new = |it: &Certificate| !remembered.iter().any(|known| known.fingerprint == it.fingerprint);
    let offered = message
        .reporter_cert
        .iter()
        .filter(move |(standing, certificate)| *standing == Standing::Offered && is_new(certificate));
    let further = message.other_cert.iter().filter(|_| !remembered.is_empty());
    let seen = message.renewed_cert.iter().chain(offered.map(|(_, certificate)| certificate)).chain(further);
    let seen = seen.filter(|it| !remembered.iter().any(|known| known.same_as(it)));
    seen.map(move |certificate| What::CertificateSeen {
        address: address.clone(),
        certificate: certificate.clone(),
        in_use: first.as_ref().is_none_or(|first| *first == certificate.fingerprint),
    })
}
