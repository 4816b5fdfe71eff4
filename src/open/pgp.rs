//! Decrypt and verify. The only place that mints [`Verified`].
//!
//! # What it is for
//! Two questions about bytes: what do they say when they are opened with the desk's keys, and who signed them.
//!
//! # Invariants
//! * No plaintext leaves before the integrity of the whole ciphertext is shown: everything is read to the end first, and an
//!   error anywhere means nothing at all.
//! * Passwords are never tried (a mail that wants one is not for the desk's key), encryption without integrity is refused.
//! * The plaintext is bounded by the caller; recipients, signatures, layers of compression and packets are bounded here.
//! * A signature is good only by a certificate held for the author's address, over the whole message, and not when it was
//!   written to somebody else. The *lack* of an error means nothing. Further signatures change nothing about a good one.
//!
//! # Standards
//! RFC 9580 (and 4880), RFC 3156; Sequoia's standard policy at the time given.

use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use openpgp::cert::amalgamation::ValidAmalgamation;
use openpgp::crypto::SessionKey;
use openpgp::packet::{PKESK, SKESK, Tag};
use openpgp::parse::stream::{
    DecryptionHelper, DecryptorBuilder, DetachedVerifierBuilder, MessageLayer, MessageStructure,
    VerificationError, VerificationHelper, VerificationResult, VerifierBuilder,
};
use openpgp::parse::{PacketParser, Parse};
use openpgp::policy::{HashAlgoSecurity, StandardPolicy};
use openpgp::types::{HashAlgorithm, RevocationStatus, SymmetricAlgorithm};
use openpgp::{Cert, Fingerprint, KeyHandle};
use sequoia_openpgp as openpgp;

use sha2::{Digest as _, Sha256};

use crate::domain::message::{Digest, Mailbox};
use crate::domain::signature::{Fault, Signature, Standing, Verified};
use crate::keyring::{self, Keyring};

/// No more session-key packets than this are looked at.
const MAX_RECIPIENTS: usize = 32;
/// And of those that hide their recipient, for each is tried with every key.
const MAX_HIDDEN: usize = 8;
/// A message with more signatures is signed by nobody.
const MAX_SIGNATURES: usize = 16;
/// Compression in compression is followed this far.
const MAX_COMPRESSIONS: usize = 4;
/// A message of more packets is a flood.
const MAX_PACKETS: usize = 1000;
/// Opened, but told.
#[allow(deprecated)]
const OLD_CIPHERS: [SymmetricAlgorithm; 3] =
    [SymmetricAlgorithm::TripleDES, SymmetricAlgorithm::CAST5, SymmetricAlgorithm::Blowfish];
/// A detached signature is smaller. Bytes.
const MAX_DETACHED: usize = 128 * 1024;

/// What was inside.
pub(super) struct Opened {
    /// The plaintext, complete, integrity checked.
    pub(super) plaintext: Vec<u8>,
    /// It was encrypted; an OpenPGP message may also be signed or compressed only. What identifies the ciphertext: a digest
    /// of its session key, which nobody can change who cannot open it.
    pub(super) ciphertext: Option<Digest>,
    /// What its signatures are worth, before anybody asked for the author.
    pub(super) verdicts: Vec<Verdict>,
    /// It was encrypted with a cipher that nobody should use any more.
    pub(super) old_cipher: Option<String>,
}

/// The outcome of checking a signature, before it is held against the author and the place of the signature.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// By a certificate of the keyring.
    Checked {
        /// Its fingerprint.
        fingerprint: String,
        /// When it was made.
        at: Timestamp,
        /// See [`Verified::id`].
        id: Digest,
        /// See [`Verified::is_lapsed`].
        lapsed: bool,
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
        /// What is wrong.
        fault: Fault,
        /// In a few words.
        why: String,
    },
}

impl Verdict {
    pub(super) fn malformed(why: String) -> Self {
        Self::Bad { signer: None, fault: Fault::Malformed, why }
    }

    /// What it means for the mail: `whole` says whether it covers all of it, `author` whose certificate it has to be.
    fn hold_against(self, author: Option<&Mailbox>, whole: bool, keyring: &Keyring) -> Signature {
        match self {
            Self::Unknown { signer } => Signature::UnknownKey { signer },
            Self::Bad { signer, fault, why } => Signature::Bad { signer, fault, why },
            Self::Checked { fingerprint, .. } if !whole => Signature::Partial { signer: Some(fingerprint) },
            Self::Checked { fingerprint, at, id, lapsed } => {
                let held = author.map(|author| keyring.held_for(&author.address)).unwrap_or_default();
                let by = held.iter().find(|(_, cert)| cert.fingerprint().to_hex() == fingerprint);
                match by.map(|(standing, _)| *standing) {
                    Some(Standing::Offered) => Signature::Offered { signer: fingerprint },
                    Some(standing) => {
                        let named = author.is_some_and(|by| keyring.names(&by.address, &fingerprint));
                        let verified = Verified::mint(fingerprint, standing, at, id, named);
                        Signature::Good(verified.by_a_lapsed_key(lapsed))
                    }
                    None => Signature::OtherAddress { signer: fingerprint },
                }
            }
        }
    }
}

/// What all signatures of one layer mean together: a good one is good beside any others; else the worst speaks.
pub(super) fn weigh(
    verdicts: Vec<Verdict>,
    author: Option<&Mailbox>,
    whole: bool,
    keyring: &Keyring,
) -> Signature {
    let weight = |signature: &Signature| match signature {
        Signature::Good(_) => 0,
        Signature::Bad { .. } => 1,
        Signature::OtherAddress { .. } | Signature::Partial { .. } => 2,
        Signature::Offered { .. } => 3,
        Signature::UnknownKey { .. } => 4,
        Signature::None => 5,
    };
    let signatures = verdicts.into_iter().map(|verdict| verdict.hold_against(author, whole, keyring));
    let signatures: Vec<Signature> = signatures.collect();
    let good = signatures.iter().filter_map(|signature| match signature {
        Signature::Good(verified) => Some(verified.id().clone()),
        _ => None,
    });
    let further: Vec<Digest> = good.skip(1).collect();
    match signatures.into_iter().min_by_key(weight).unwrap_or_default() {
        Signature::Good(verified) => Signature::Good(verified.beside(further)),
        other => other,
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
        builder.with_policy(&policy, tolerant(now), helper).map_err(|error| problem(&error))?;
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
    let Helper { ciphertext, verdicts, old_cipher, .. } = helper;
    Ok(Opened { plaintext, ciphertext, verdicts, old_cipher })
}

/// Checks a detached signature.
pub(super) fn verify_detached(
    signed: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Vec<Verdict> {
    if signature.len() > MAX_DETACHED {
        return vec![Verdict::malformed(format!("it is {} bytes long", signature.len()))];
    }
    let policy = policy(now);
    let check = || {
        let builder = DetachedVerifierBuilder::from_bytes(signature)?;
        let helper = Helper::new(keyring, now);
        let mut verifier = builder.with_policy(&policy, tolerant(now), helper)?;
        verifier.verify_bytes(signed)?;
        Ok(verifier.into_helper().verdicts)
    };
    match guarded(check) {
        Some(checked) => {
            checked.unwrap_or_else(|error: openpgp::anyhow::Error| vec![Verdict::malformed(cause(&error))])
        }
        None => vec![Verdict::malformed("damaged".to_owned())],
    }
}

/// The text of a cleartext-signed message and what its signatures are worth.
pub(super) fn verify_cleartext(text: &[u8], keyring: &Keyring, now: Timestamp) -> Result<Opened, String> {
    let policy = policy(now);
    let check = || {
        let builder = VerifierBuilder::from_bytes(text)?;
        let helper = Helper::new(keyring, now);
        let mut verifier = builder.with_policy(&policy, tolerant(now), helper)?;
        // the text is no longer than what it was made of
        let mut plaintext = Vec::new();
        (&mut verifier).take(u64::try_from(text.len()).unwrap_or(u64::MAX)).read_to_end(&mut plaintext)?;
        let verdicts = verifier.into_helper().verdicts;
        Ok(Opened { plaintext, ciphertext: None, verdicts, old_cipher: None })
    };
    match guarded(check) {
        Some(checked) => checked.map_err(|error: openpgp::anyhow::Error| cause(&error)),
        None => Err("damaged".to_owned()),
    }
}

/// The standard policy, but self-signatures of certificates may be over SHA-1, as those of most keys made before 2015 are.
/// Forging one needs a second preimage, which nobody can compute; a signature over a mail must still resist collisions. And
/// what old programs encrypted with old ciphers is opened, if its integrity is protected: refusing it would protect nobody.
fn policy(now: Timestamp) -> StandardPolicy<'static> {
    let mut policy = keyring::policy(now);
    policy.accept_hash_property(HashAlgorithm::SHA1, HashAlgoSecurity::SecondPreImageResistance);
    OLD_CIPHERS.into_iter().for_each(|cipher| policy.accept_symmetric_algo(cipher));
    policy
}

/// Clocks differ: a signature may be from a little later than now. (Sequoia is as patient when it is given no time.)
fn tolerant(now: Timestamp) -> SystemTime {
    keyring::system_time(now.saturating_add(SignedDuration::from_mins(30)).unwrap_or(now))
}

/// One word for all failures that an attacker could tell apart by trying.
fn problem(error: &openpgp::anyhow::Error) -> String {
    let known = known(error);
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
    #[error("encrypted to more than {MAX_RECIPIENTS} keys, or to more than {MAX_HIDDEN} hidden ones")]
    TooManyRecipients,
    #[error(
        "not taken apart: more than {MAX_PACKETS} packets, {MAX_SIGNATURES} signatures or {MAX_COMPRESSIONS} compressions"
    )]
    Flood,
}

struct Helper<'k> {
    keyring: &'k Keyring,
    now: Timestamp,
    ciphertext: Option<Digest>,
    verdicts: Vec<Verdict>,
    old_cipher: Option<String>,
    packets: usize,
    signatures: usize,
    compressions: usize,
}

impl<'k> Helper<'k> {
    fn new(keyring: &'k Keyring, now: Timestamp) -> Self {
        let (packets, signatures, compressions) = (0, 0, 0);
        let (ciphertext, verdicts, old_cipher) = (None, Vec::new(), None);
        Self { keyring, now, ciphertext, verdicts, old_cipher, packets, signatures, compressions }
    }

    /// It names recipients, and the desk is none of them.
    fn is_for_others(&self, signature: &openpgp::packet::Signature) -> bool {
        let ours = |id: &Fingerprint| self.keyring.secret_keys().iter().any(|key| key.fingerprint() == *id);
        let mut recipients = signature.intended_recipients().peekable();
        recipients.peek().is_some() && !recipients.any(ours)
    }

    /// The key cannot sign any more what it could sign then.
    fn has_lapsed(&self, cert: &Cert, key: &Fingerprint) -> bool {
        let (policy, now) = (policy(self.now), keyring::system_time(self.now));
        let mut valid = cert.keys().with_policy(&policy, now).alive().revoked(false).for_signing();
        let lives = cert.with_policy(&policy, now).is_ok_and(|cert| {
            cert.alive().is_ok() && !matches!(cert.revocation_status(), RevocationStatus::Revoked(_))
        });
        !lives || !valid.any(|known| known.key().fingerprint() == *key)
    }

    fn judge(&self, result: VerificationResult<'_>) -> Verdict {
        match result {
            Ok(good) if self.is_for_others(good.sig) => Verdict::Bad {
                signer: Some(good.ka.cert().fingerprint().to_hex()),
                fault: Fault::NotForUs,
                why: "it was written to somebody else".to_owned(),
            },
            Ok(good) => {
                let at = good.sig.signature_creation_time().and_then(|at| Timestamp::try_from(at).ok());
                let fingerprint = good.ka.cert().fingerprint().to_hex();
                Verdict::Checked {
                    at: at.unwrap_or(Timestamp::UNIX_EPOCH),
                    id: signature_id(&fingerprint, good.sig),
                    lapsed: self.has_lapsed(good.ka.cert(), &good.ka.key().fingerprint()),
                    fingerprint,
                }
            }
            Err(error) => rejected(&error),
        }
    }
}

/// Over the digest that was signed, which covers the text and the signed part of the signature (its time among it). The rest of
/// a signature anybody can change, and it stays right.
fn signature_id(fingerprint: &str, signature: &openpgp::packet::Signature) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"signature ");
    hash.update(fingerprint);
    hash.update([0]);
    hash.update(signature.computed_digest().unwrap_or_default());
    Digest::from_bytes(&hash.finalize())
}

impl VerificationHelper for Helper<'_> {
    /// Sees every packet before it is taken apart further.
    fn inspect(&mut self, parser: &PacketParser<'_>) -> openpgp::Result<()> {
        self.packets = self.packets.saturating_add(1);
        let counter = match parser.packet.tag() {
            Tag::Signature => Some(&mut self.signatures),
            Tag::CompressedData => Some(&mut self.compressions),
            _ => None,
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        let flooded = self.packets > MAX_PACKETS
            || self.signatures > MAX_SIGNATURES
            || self.compressions > MAX_COMPRESSIONS;
        if flooded { Err(Refusal::Flood.into()) } else { Ok(()) }
    }

    fn get_certs(&mut self, ids: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
        let known = ids.iter().take(MAX_SIGNATURES).flat_map(|id| self.keyring.by_handle(id));
        Ok(known.cloned().collect())
    }

    /// Never refuses: the verdict is a fact, not a reason to lose the mail.
    fn check(&mut self, structure: MessageStructure<'_>) -> openpgp::Result<()> {
        for layer in structure {
            match layer {
                MessageLayer::SignatureGroup { results } => {
                    let judged: Vec<Verdict> = results.into_iter().map(|result| self.judge(result)).collect();
                    self.verdicts.extend(judged);
                }
                // what is signed outside is a ciphertext: whoever signed it need not know what it says
                MessageLayer::Encryption { sym_algo, .. } => {
                    self.verdicts.clear();
                    self.old_cipher = OLD_CIPHERS.contains(&sym_algo).then(|| sym_algo.to_string());
                }
                MessageLayer::Compression { .. } => {}
            }
        }
        Ok(())
    }
}

fn rejected(error: &VerificationError<'_>) -> Verdict {
    let issuer = |sig: &openpgp::packet::Signature| sig.get_issuers().first().map(KeyHandle::to_hex);
    let bad = |sig, fault, error: &openpgp::anyhow::Error| Verdict::Bad {
        signer: issuer(sig),
        fault: timely(error).unwrap_or(fault),
        why: cause(error),
    };
    match error {
        VerificationError::MissingKey { sig } => Verdict::Unknown { signer: issuer(sig) },
        VerificationError::UnboundKey { sig, error, .. } => bad(sig, Fault::Refused, error),
        VerificationError::BadKey { sig, ka, error } => {
            let revoked = |status: RevocationStatus<'_>| matches!(status, RevocationStatus::Revoked(_));
            let either = revoked(ka.valid_cert().revocation_status()) || revoked(ka.revocation_status());
            bad(sig, if either { Fault::Revoked } else { Fault::Refused }, error)
        }
        VerificationError::BadSignature { sig, error, .. } => {
            let refused =
                known(error).is_some_and(|known| matches!(known, openpgp::Error::PolicyViolation(..)));
            bad(sig, if refused { Fault::Refused } else { Fault::Broken }, error)
        }
        VerificationError::MalformedSignature { sig, error } => bad(sig, Fault::Malformed, error),
        _ => Verdict::malformed("a signature of an unknown form".to_owned()),
    }
}

/// Expired, or from the future.
fn timely(error: &openpgp::anyhow::Error) -> Option<Fault> {
    match known(error)? {
        openpgp::Error::Expired(_) | openpgp::Error::NotYetLive(_) => Some(Fault::Expired),
        _ => None,
    }
}

fn known(error: &openpgp::anyhow::Error) -> Option<&openpgp::Error> {
    error.chain().find_map(|cause| cause.downcast_ref::<openpgp::Error>())
}

impl DecryptionHelper for Helper<'_> {
    fn decrypt(
        &mut self,
        pkesks: &[PKESK],
        skesks: &[SKESK],
        algorithm: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> openpgp::Result<Option<Cert>> {
        let hidden = pkesks.iter().filter(|pkesk| pkesk.recipient().is_none()).count();
        if pkesks.len() > MAX_RECIPIENTS || hidden > MAX_HIDDEN {
            return Err(Refusal::TooManyRecipients.into());
        }
        for cert in self.keyring.secret_keys() {
            // old and expired keys, and those that should not have been encrypted to, still open what was
            let keys = cert.keys().unencrypted_secret().filter(|key| key.key().pk_algo().for_encryption());
            for key in keys {
                let handle = key.key().key_handle();
                let Ok(mut pair) = key.key().clone().into_keypair() else { continue };
                let mine =
                    pkesks.iter().filter(|pkesk| pkesk.recipient().is_none_or(|id| id.aliases(&handle)));
                for pkesk in mine {
                    let Some((algorithm, key)) = pkesk.decrypt(&mut pair, algorithm) else { continue };
                    if decrypt(algorithm, &key) {
                        self.ciphertext = Some(identified(&key));
                        return Ok(None);
                    }
                }
            }
        }
        Err(if pkesks.is_empty() && !skesks.is_empty() { Refusal::Password } else { Refusal::NoKey }.into())
    }
}

/// The session key is drawn anew for every message. Its digest tells nothing of it.
fn identified(key: &SessionKey) -> Digest {
    let hash = Sha256::new().chain_update("psirtd session key\0").chain_update(key);
    Digest::from_bytes(&hash.finalize())
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
