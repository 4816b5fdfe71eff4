//! Decrypt and verify. The only place that mints [`Verified`].
//!
//! # What it is for
//! Two questions about bytes: what do they say when they are opened with the desk's keys, and who signed them.
//!
//! # Invariants
//! * No plaintext leaves before the integrity of the whole ciphertext is shown: everything is read to the end first, and an
//!   error anywhere means nothing at all.
//! * Passwords are never tried (a mail that wants one is not for the desk's key), encryption without integrity is refused.
//! * The plaintext is bounded by the caller, so is the number of recipients looked at ([`MAX_RECIPIENTS`]).
//! * A signature is good only by a certificate held for the author's address. The *lack* of an error means nothing.
//!
//! # Standards
//! RFC 9580 (and 4880), RFC 3156; Sequoia's standard policy at the time given.

use std::io::Read;
use std::panic::AssertUnwindSafe;

use jiff::Timestamp;
use openpgp::cert::amalgamation::ValidateAmalgamation;
use openpgp::crypto::SessionKey;
use openpgp::packet::{PKESK, SKESK};
use openpgp::parse::Parse;
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, DetachedVerifierBuilder, MessageLayer, MessageStructure,
    VerificationError, VerificationHelper, VerifierBuilder,
};
use openpgp::policy::{HashAlgoSecurity, StandardPolicy};
use openpgp::types::{HashAlgorithm, SymmetricAlgorithm};
use openpgp::{Cert, KeyHandle};
use sequoia_openpgp as openpgp;

use crate::domain::message::{Mailbox, Signature, Verified};
use crate::keyring::{self, Keyring};

/// No more session-key packets than this are looked at.
const MAX_RECIPIENTS: usize = 32;

/// What was inside.
pub(super) struct Opened {
    /// The plaintext, complete, integrity checked.
    pub(super) plaintext: Vec<u8>,
    /// It was encrypted; an OpenPGP message may also be signed or compressed only.
    pub(super) encrypted: bool,
    /// What its signature is worth, before anybody asked for the author.
    pub(super) verdict: Verdict,
}

/// The outcome of checking signatures, before it is held against the author and the place of the signature.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// No signature.
    None,
    /// By a certificate of the keyring.
    Checked {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// By a key nobody knows.
    Unknown {
        /// As the signature names it.
        signer: Option<String>,
    },
    /// Wrong or refused.
    Bad {
        /// As the signature names it.
        signer: Option<String>,
        /// In a few words.
        why: String,
    },
}

impl Verdict {
    /// What it means for the mail: `whole` says whether it covers all of it, `author` whose certificate it has to be.
    pub(super) fn hold_against(self, author: Option<&Mailbox>, whole: bool, keyring: &Keyring) -> Signature {
        match self {
            Self::None => Signature::None,
            Self::Unknown { signer } => Signature::UnknownKey { signer },
            Self::Bad { signer, why } => Signature::Bad { signer, why },
            Self::Checked { fingerprint } if !whole => Signature::Partial { signer: Some(fingerprint) },
            Self::Checked { fingerprint } => {
                let held = author.is_some_and(|author| {
                    keyring.held_for(&author.address).any(|cert| cert.fingerprint().to_hex() == fingerprint)
                });
                if held {
                    Signature::Good(Verified::mint(fingerprint))
                } else {
                    Signature::UnknownKey { signer: Some(fingerprint) }
                }
            }
        }
    }
}

/// Opens an OpenPGP message with any secret key of the keyring. `room` is what it may unpack to, in bytes, and becomes what is
/// left of it. The error is one line for the team; it must never reach the sender, who could learn from it.
pub(super) fn decrypt(
    ciphertext: &[u8],
    keyring: &Keyring,
    now: Timestamp,
    room: &mut u64,
) -> Result<Opened, String> {
    guarded(|| read_to_end(ciphertext, keyring, now, room))
        .unwrap_or_else(|| Err("damaged: it ends too early".to_owned()))
}

/// Sequoia 2.4.2 panics on a ciphertext that ends within its first block. (`catch_unwind` around the whole mail would lose the
/// rest of it.)
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

fn read_to_end(
    ciphertext: &[u8],
    keyring: &Keyring,
    now: Timestamp,
    room: &mut u64,
) -> Result<Opened, String> {
    let policy = policy(now);
    let helper = Helper::new(keyring, now);
    let builder = DecryptorBuilder::from_bytes(ciphertext).map_err(|error| problem(&error))?;
    let mut decryptor =
        builder.with_policy(&policy, keyring::system_time(now), helper).map_err(|error| problem(&error))?;
    let mut plaintext = Vec::new();
    let mut limited = (&mut decryptor).take(room.saturating_add(1));
    let read = limited.read_to_end(&mut plaintext);
    // what was unpacked in vain counts as well
    let left = room.checked_sub(u64::try_from(plaintext.len()).unwrap_or(u64::MAX));
    *room = left.unwrap_or(0);
    read.map_err(|error| problem(&error.into()))?;
    if left.is_none() {
        return Err("it unpacks to more than its size allows".to_owned());
    }
    let helper = decryptor.into_helper();
    Ok(Opened { plaintext, encrypted: helper.opened, verdict: helper.verdict })
}

/// Checks a detached signature.
pub(super) fn verify_detached(signed: &[u8], signature: &[u8], keyring: &Keyring, now: Timestamp) -> Verdict {
    let policy = policy(now);
    let check = || {
        let builder = DetachedVerifierBuilder::from_bytes(signature)?;
        let helper = Helper::new(keyring, now);
        let mut verifier = builder.with_policy(&policy, keyring::system_time(now), helper)?;
        verifier.verify_bytes(signed)?;
        Ok(verifier.into_helper().verdict)
    };
    let bad = |why| Verdict::Bad { signer: None, why };
    match guarded(check) {
        Some(checked) => checked.unwrap_or_else(|error: openpgp::anyhow::Error| bad(cause(&error))),
        None => bad("damaged".to_owned()),
    }
}

/// The text of a cleartext-signed message and what its signature is worth.
pub(super) fn verify_cleartext(text: &[u8], keyring: &Keyring, now: Timestamp) -> Result<Opened, String> {
    let policy = policy(now);
    let check = || {
        let builder = VerifierBuilder::from_bytes(text)?;
        let helper = Helper::new(keyring, now);
        let mut verifier = builder.with_policy(&policy, keyring::system_time(now), helper)?;
        // the text is no longer than what it was made of
        let mut plaintext = Vec::new();
        (&mut verifier).take(u64::try_from(text.len()).unwrap_or(u64::MAX)).read_to_end(&mut plaintext)?;
        Ok(Opened { plaintext, encrypted: false, verdict: verifier.into_helper().verdict })
    };
    match guarded(check) {
        Some(checked) => checked.map_err(|error: openpgp::anyhow::Error| cause(&error)),
        None => Err("damaged".to_owned()),
    }
}

/// The standard policy, but self-signatures of certificates may be over SHA-1, as those of most keys made before 2015 are.
/// Forging one needs a second preimage, which nobody can compute; a signature over a mail must still resist collisions.
fn policy(now: Timestamp) -> StandardPolicy<'static> {
    let mut policy = keyring::policy(now);
    policy.accept_hash_property(HashAlgorithm::SHA1, HashAlgoSecurity::SecondPreImageResistance);
    policy
}

/// One word for all failures that an attacker could tell apart by trying.
fn problem(error: &openpgp::anyhow::Error) -> String {
    let known = error.chain().find_map(|cause| cause.downcast_ref::<openpgp::Error>());
    let said = error.chain().find_map(|cause| cause.downcast_ref::<Refusal>());
    match (said, known) {
        (Some(refusal), _) => refusal.to_string(),
        (None, Some(openpgp::Error::ManipulatedMessage)) => "integrity check failed".to_owned(),
        (None, Some(openpgp::Error::MissingSessionKey(_))) => Refusal::NoKey.to_string(),
        // without integrity protection, with a broken cipher, or in GnuPG's own form that RFC 9580 does not know
        (None, Some(openpgp::Error::PolicyViolation(..))) => format!("refused: {}", cause(error)),
        (None, _) => {
            let text = error.to_string();
            if text.contains("manipulated")
                || text.contains("policy rejects")
                || text.contains("Policy rejects")
            {
                "integrity check failed".to_owned()
            } else {
                format!("damaged: {}", brief(&text))
            }
        }
    }
}

/// What the helper itself refuses.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Refusal {
    #[error("no secret key for this message")]
    NoKey,
    #[error("encrypted to a password, not to a key")]
    Password,
    #[error("encrypted to more than {MAX_RECIPIENTS} keys")]
    TooManyRecipients,
}

struct Helper<'k> {
    keyring: &'k Keyring,
    now: Timestamp,
    opened: bool,
    verdict: Verdict,
}

impl<'k> Helper<'k> {
    fn new(keyring: &'k Keyring, now: Timestamp) -> Self {
        Self { keyring, now, opened: false, verdict: Verdict::None }
    }
}

impl VerificationHelper for Helper<'_> {
    fn get_certs(&mut self, ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        Ok(ids.iter().flat_map(|id| self.keyring.by_handle(id)).cloned().collect())
    }

    /// Never refuses: the verdict is a fact, not a reason to lose the mail.
    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        let results: Vec<_> = structure
            .into_iter()
            .filter_map(|layer| match layer {
                MessageLayer::SignatureGroup { results } => Some(results),
                _ => None,
            })
            .flatten()
            .collect();
        for result in results {
            let verdict = match result {
                Ok(good) => Verdict::Checked { fingerprint: good.ka.cert().fingerprint().to_hex() },
                Err(error) => rejected(&error),
            };
            // one good signature is enough; else the first word stands
            if matches!(verdict, Verdict::Checked { .. }) || self.verdict == Verdict::None {
                self.verdict = verdict;
            }
        }
        Ok(())
    }
}

fn rejected(error: &VerificationError<'_>) -> Verdict {
    let issuer = |sig: &openpgp::packet::Signature| sig.get_issuers().first().map(KeyHandle::to_hex);
    match error {
        VerificationError::MissingKey { sig } => Verdict::Unknown { signer: issuer(sig) },
        VerificationError::UnboundKey { sig, error, .. }
        | VerificationError::BadKey { sig, error, .. }
        | VerificationError::BadSignature { sig, error, .. }
        | VerificationError::MalformedSignature { sig, error } => {
            Verdict::Bad { signer: issuer(sig), why: cause(error) }
        }
        _ => Verdict::Bad { signer: None, why: "a signature of an unknown form".to_owned() },
    }
}

impl DecryptionHelper for Helper<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        skesks: &[SKESK],
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        if pkesks.len() > MAX_RECIPIENTS {
            return Err(Refusal::TooManyRecipients.into());
        }
        let policy = policy(self.now);
        for cert in self.keyring.secret_keys() {
            // old, expired keys still open what was encrypted to them
            let keys = cert.keys().secret().filter(|key| {
                key.key().pk_algo().for_encryption()
                    && key.clone().with_policy(&policy, None).map_or(true, |valid| {
                        valid.for_transport_encryption() || valid.for_storage_encryption()
                    })
            });
            for key in keys {
                let handle = key.key().key_handle();
                let Ok(mut pair) = key.key().clone().into_keypair() else { continue };
                let mine =
                    pkesks.iter().filter(|pkesk| pkesk.recipient().is_none_or(|id| id.aliases(&handle)));
                for pkesk in mine {
                    if pkesk
                        .decrypt(&mut pair, algorithm)
                        .is_some_and(|(algorithm, key)| decrypt(algorithm, &key))
                    {
                        self.opened = true;
                        return Ok(None);
                    }
                }
            }
        }
        Err(if pkesks.is_empty() && !skesks.is_empty() { Refusal::Password } else { Refusal::NoKey }.into())
    }
}

/// What lies at the bottom of an error: above it stands only where it was met.
fn cause(error: &openpgp::anyhow::Error) -> String {
    brief(&error.root_cause().to_string())
}

fn brief(text: &str) -> String {
    let line: String =
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect();
    line.trim().to_owned()
}
