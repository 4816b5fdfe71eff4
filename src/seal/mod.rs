//! The room where a letter is made ready for the post: a decision in, final bytes out.
//!
//! # What it is for
//! [`seal`] puts a letter into words, into MIME, under the desk's signature and under its reader's key. What comes out is
//! sent as it is, as often as it takes.
//!
//! # Invariants
//! * A letter that must be encrypted is encrypted or [`Held`]. There is no third way.
//! * Held before commit: a missing, expired or revoked certificate shows when the letter is written, not when it is sent.
//! * Whatever comes from a report goes through `header::clean_line` before it becomes part of a header.
//!
//! # Standards
//! RFC 3156, 3834 §§3–5, 5322, 9788.

mod mime;
pub mod pgp;
pub mod template;

use jiff::Timestamp;
use minijinja::value::{Serde, merge_maps};
use minijinja::{Value, context};
use sequoia_openpgp::Cert;

use crate::domain::letter::{
    Answer, Body, Letter, LetterKind, NoticeContent, NoticeCopy, Occasion, Protection, Relay,
};
use crate::domain::message::{Attachment, Encryption, Mailbox, Message};
use crate::domain::signature::{Signature, Standing};
use crate::domain::thread;
use crate::keyring::{self, KeyError, Keyring};
use crate::open::header::clean_line;
use crate::seal::mime::{Fields, HeaderProtection};
use crate::seal::template::Templates;

/// What does not fit is named instead of enclosed. Base64 and armor make almost twice as much of it, and many servers refuse
/// mails of more than 25 MB.
const MAX_ENCLOSED: usize = 12 * 1024 * 1024;
/// A larger desk key is named by its fingerprint only: an acknowledgement stays within a few kilobytes (RFC 3834 §2).
const MAX_KEY_IN_TEXT: usize = 2 * 1024;

/// What every letter of this desk has in common.
#[derive(Debug)]
pub struct Letterhead {
    /// The desk's mailbox.
    pub desk: Mailbox,
    /// The words.
    pub templates: Templates,
    /// Letters of a case are answered under an address of their own.
    pub plus_address: bool,
}

/// A letter ready for the post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The whole mail.
    pub bytes: Vec<u8>,
}

/// A letter that waits for a person, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held(pub String);

/// Seals a letter. `message_id` is its own, drawn by the caller, without angle brackets.
pub fn seal(
    letter: &Letter,
    message_id: &str,
    letterhead: &Letterhead,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Sealed, Held> {
    let signer = keyring.signer(now).map_err(|error| Held(error.to_string()))?;
    let words =
        letterhead.templates.render(letter.kind(), &facts(letter, letterhead, keyring)?).map_err(Held)?;
    let subject = clean_line(&words.subject);
    let autocrypt = keyring.desk_autocrypt(&letterhead.desk.address);
    let reply_to = thread::address_of(message_id, &letterhead.desk)
        .filter(|_| letterhead.plus_address && letter.case().is_some())
        .map(|address| Mailbox { name: letterhead.desk.name.clone(), address });
    let fields = Fields {
        reply_to: reply_to.as_ref(),
        autocrypt: autocrypt.as_deref(),
        from: &letterhead.desk,
        to: &letter.to,
        subject: &subject,
        date: now,
        message_id,
        in_reply_to: letter.in_reply_to.as_deref(),
        references: &letter.references,
        auto_submitted: match letter.kind() {
            LetterKind::Acknowledgement | LetterKind::Status | LetterKind::Results => Some("auto-replied"),
            LetterKind::Relay | LetterKind::Warning | LetterKind::Digest | LetterKind::Reminder => {
                Some("auto-generated")
            }
            // a person wrote it (RFC 3834 §5)
            LetterKind::Answer | LetterKind::Note | LetterKind::Notice => None,
            LetterKind::Proposal => Some("auto-generated"),
            LetterKind::Membership => match &letter.body {
                Body::Membership(_, membership) if membership.automatic => Some("auto-replied"),
                _ => None,
            },
        },
    };
    let bytes = match letter.protection {
        Protection::Signed => {
            let payload = mime::payload(&fields, &words.body, &[], HeaderProtection::Clear);
            let signature = pgp::detached(&payload, signer, now).map_err(Held)?;
            mime::signed(&fields, &payload, &signature, pgp::MICALG)
        }
        Protection::Encrypted => {
            let to = recipients(letter, keyring, now)?;
            let payload = mime::payload(&fields, &words.body, &enclosed(letter), HeaderProtection::Cipher);
            let ciphertext = pgp::sign_and_encrypt(&payload, signer, &to, now, now).map_err(Held)?;
            // it may be large, and several letters are sealed at once
            drop(payload);
            mime::encrypted(&fields, ciphertext)
        }
    };
    Ok(Sealed { bytes })
}

/// The certificates of a letter's reader: all of a member's that can be encrypted to.
fn recipients(letter: &Letter, keyring: &Keyring, now: Timestamp) -> Result<Vec<Cert>, Held> {
    let certificates = match &letter.body {
        Body::Notice(_, notice) => &notice.certificates,
        Body::Membership(_, membership) => &membership.certificates,
        _ => return Ok(vec![recipient(letter, keyring, now)?]),
    };
    keyring::encryptable_of(certificates, &letter.to.address, now).map_err(|error| Held(error.to_string()))
}

/// The certificate of a letter's reader: a reporter's as the mail was answered for, anybody else's as the configuration says.
fn recipient(letter: &Letter, keyring: &Keyring, now: Timestamp) -> Result<Cert, Held> {
    let held = |error: KeyError| Held(error.to_string());
    match &letter.body {
        Body::Acknowledgement(Occasion { about, .. }, _)
        | Body::Status(Occasion { about, .. }, _)
        | Body::Answer(Occasion { about, .. }, _) => match &about.reporter_cert {
            Some((_, certificate)) => keyring::certificate(certificate.armored.as_bytes()).map_err(held),
            None => Err(held(KeyError::None(letter.to.address.clone()))),
        },
        Body::Relay(..)
        | Body::Warning(_)
        | Body::Digest(_)
        | Body::Note(..)
        | Body::Results(..)
        | Body::Reminder(..)
        | Body::Notice(..)
        | Body::Proposal(..)
        | Body::Membership(..) => keyring::encryptable(keyring, &letter.to, now).cloned().map_err(held),
    }
}

/// What the template may speak of.
fn facts(letter: &Letter, letterhead: &Letterhead, keyring: &Keyring) -> Result<Value, Held> {
    let desk = context! { name => letterhead.desk.name.clone(), address => letterhead.desk.address.clone() };
    Ok(match &letter.body {
        Body::Acknowledgement(occasion, body) => {
            let key = keyring.desk_armored().map_err(|error| Held(error.to_string()))?;
            let fingerprint = keyring.desk().map(|desk| desk.fingerprint().to_spaced_hex());
            let armored = (key.len() <= MAX_KEY_IN_TEXT).then_some(key);
            let key = context! { fingerprint, armored };
            about_a_case(occasion, Value::from(Serde(body.clone())), &context! { desk, key })
        }
        Body::Relay(occasion, body) => relay_facts(occasion, body, &desk),
        Body::Warning(concerns) => context! { desk, concerns },
        Body::Status(occasion, body) => {
            about_a_case(occasion, Value::from(Serde(body.clone())), &context! { desk })
        }
        Body::Digest(daily) => with(Value::from(Serde(daily.as_ref().clone())), &context! { desk }),
        Body::Reminder(clocks, more) => {
            context! { desk, clocks => Value::from(Serde(clocks.clone())), more => *more }
        }
        Body::Answer(occasion, body) => {
            let body = Answer { subject: body.subject.as_deref().map(clean_line), ..body.as_ref().clone() };
            about_a_case(occasion, Value::from(Serde(body)), &context! { desk })
        }
        Body::Note(case, body) => {
            with(Value::from(Serde(body.as_ref().clone())), &context! { desk, case => case.as_str() })
        }
        Body::Notice(case, body) => notice_facts(case.as_str(), body, &desk),
        Body::Proposal(case, body) => {
            let attachments: Vec<String> = body.attachments.iter().map(|it| describe(it, "")).collect();
            let case = case.as_ref().map(|case| case.as_str());
            with(Value::from(Serde(body.as_ref().clone())), &context! { desk, case, attachments })
        }
        Body::Membership(case, body) => {
            let case = case.as_ref().map(|case| case.as_str());
            with(Value::from(Serde(body.as_ref().clone())), &context! { desk, case })
        }
        Body::Results(case, body) => {
            let case = case.as_ref().map(|case| case.as_str());
            with(Value::from(Serde(body.as_ref().clone())), &context! { desk, case })
        }
    })
}

fn about_a_case(occasion: &Occasion, body: Value, common: &Value) -> Value {
    context! { case => occasion.case.as_str(), ..with(body, common) }
}

fn with(body: Value, common: &Value) -> Value {
    merge_maps([common.clone(), body])
}

fn notice_facts(case: &str, body: &NoticeCopy, desk: &Value) -> Value {
    let NoticeContent {
        sort,
        tlp,
        number,
        text,
        attachments,
        author,
        embargo,
        reason,
        place,
        asks,
        policy,
        marked,
    } = body.content.as_ref();
    context! {
        desk => desk.clone(), case, sort => *sort, tlp => tlp.word(), number => *number, text => text.clone(),
        attachments => attachments.iter().map(|it| describe(it, "")).collect::<Vec<_>>(),
        author => author.clone(), embargo => *embargo, reason => *reason, place => place.clone(), asks => asks.clone(),
        policy => policy.0.clone(), policy_page => policy.1.clone(), marked => *marked,
        until => body.until.clone(), mark => body.mark.clone(),
    }
}

fn relay_facts(occasion: &Occasion, body: &Relay, desk: &Value) -> Value {
    let about = &occasion.about;
    let (enclosed, named) = enclosed_and_named(about);
    let mut attachments: Vec<String> =
        enclosed.iter().map(|attachment| describe(attachment, "")).chain(named).collect();
    let mut subject = about.subject.as_deref().map(clean_line);
    let mut text = about.text.as_str();
    if body.withheld {
        attachments.clear();
        text = "(not repeated)";
        subject = subject.filter(|_| !about.subject_is_secret);
    }
    context! {
        desk => desk.clone(),
        case => occasion.case.as_str(),
        from => from(about),
        subject,
        encryption => encryption(about),
        signature => if about.unread { "not checked".to_owned() } else { signature(&about.signature) },
        signer => signer(&about.signature),
        certificate => certificate(about),
        problem => about.problem.clone(),
        problems => about.problems.iter().chain(&body.notes).cloned().collect::<Vec<_>>(),
        text => text.to_owned(),
        attachments,
        ..Value::from(Serde(body.clone()))
    }
}

fn from(about: &Message) -> String {
    match about.from.as_slice() {
        [] if about.unread => "not read".to_owned(),
        from => from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn encryption(message: &Message) -> &'static str {
    if message.unread {
        return "not known: nobody looked at more than the header";
    }
    match (message.encryption, message.decrypted) {
        (Encryption::None, _) => "none: the mail came in the clear",
        (Encryption::Whole, true) => "the whole mail was encrypted to the desk",
        (Encryption::Whole, false) => "encrypted, and the desk could not open it",
        (Encryption::Part, true) => "a part was encrypted; the text around it was not",
        (Encryption::Part, false) => "a part is encrypted, and the desk could not open it",
    }
}

fn signature(signature: &Signature) -> String {
    match signature {
        Signature::None => "none".to_owned(),
        Signature::Good(verified) => {
            format!("good, over the whole mail, made {}", verified.signed_at().strftime("%Y-%m-%d %H:%MZ"))
        }
        Signature::Offered { .. } => "right, by the certificate that this mail brings along".to_owned(),
        Signature::OtherAddress { .. } => "right, but by a key held for somebody else".to_owned(),
        Signature::UnknownKey { .. } => "by a key not held for this sender".to_owned(),
        Signature::Bad { why, .. } => format!("BAD: {why}"),
        Signature::Partial { .. } => "right, but over a part of the mail only".to_owned(),
    }
}

/// Who signed, and how the desk came to know.
fn signer(signature: &Signature) -> Option<String> {
    let standing = signature.standing().map_or_else(String::new, |it| format!(", {}", standing(it)));
    signature.signer().map(|signer| format!("{signer}{standing}"))
}

/// What answers are encrypted to, unless that is what the mail was signed with.
fn certificate(about: &Message) -> Option<String> {
    let (standing, certificate) = about.reporter_cert.as_ref()?;
    let other = about.signature.signer() != Some(certificate.fingerprint.as_str());
    other.then(|| format!("{}, {}", certificate.fingerprint, self::standing(*standing)))
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Pinned => "pinned",
        Standing::Seen => "seen before",
        Standing::LookedUp => "looked up",
        Standing::Offered => "first seen",
    }
}

/// What goes into the relay: the attachments, up to a size that servers take.
fn enclosed(letter: &Letter) -> Vec<&Attachment> {
    match &letter.body {
        Body::Relay(occasion, body) if !body.withheld => enclosed_and_named(&occasion.about).0,
        Body::Notice(_, notice) => notice.content.attachments.iter().collect(),
        Body::Proposal(_, shown) => shown.attachments.iter().collect(),
        _ => Vec::new(),
    }
}

/// The attachments that fit, and a line for each that does not.
fn enclosed_and_named(message: &Message) -> (Vec<&Attachment>, Vec<String>) {
    let mut room = MAX_ENCLOSED;
    let mut enclosed = Vec::new();
    let mut named = Vec::new();
    for attachment in &message.attachments {
        if attachment.bytes.len() <= room {
            room = room.saturating_sub(attachment.bytes.len());
            enclosed.push(attachment);
        } else {
            named.push(describe(
                attachment,
                &format!(": too large to enclose, kept as mail {}", message.digest),
            ));
        }
    }
    (enclosed, named)
}

fn describe(attachment: &Attachment, note: &str) -> String {
    let name = attachment.name.as_deref().unwrap_or("(unnamed)");
    format!("{name} ({}, {} bytes){note}", attachment.media_type, attachment.bytes.len())
}
