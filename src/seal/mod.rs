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

use crate::domain::letter::{Acknowledgement, Body, Letter, LetterKind, Protection, Relay};
use crate::domain::message::{Attachment, Encryption, Mailbox, Message, Signature};
use crate::keyring::{self, Keyring};
use crate::open::header::clean_line;
use crate::open::offered_certs;
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
    let fields = Fields {
        from: &letterhead.desk,
        to: &letter.to,
        subject: &subject,
        date: now,
        message_id,
        in_reply_to: letter.in_reply_to.as_deref(),
        references: &letter.references,
        auto_submitted: match letter.kind() {
            LetterKind::Acknowledgement => "auto-replied",
            LetterKind::Relay => "auto-generated",
        },
    };
    let bytes = match letter.protection {
        Protection::Signed => {
            let payload = mime::payload(&fields, &words.body, &[], HeaderProtection::Clear);
            let signature = pgp::detached(&payload, signer, now).map_err(Held)?;
            mime::signed(&fields, &payload, &signature, pgp::MICALG)
        }
        Protection::Encrypted => {
            let offered = match letter.kind() {
                LetterKind::Acknowledgement => offered_certs(&letter.about),
                LetterKind::Relay => Vec::new(),
            };
            let to = keyring::encryptable(keyring, &offered, &letter.to, now)
                .map_err(|error| Held(error.to_string()))?;
            let payload = mime::payload(&fields, &words.body, &enclosed(letter), HeaderProtection::Cipher);
            let ciphertext = pgp::sign_and_encrypt(&payload, signer, to, now).map_err(Held)?;
            mime::encrypted(&fields, &ciphertext)
        }
    };
    Ok(Sealed { bytes })
}

/// What the template may speak of.
fn facts(letter: &Letter, letterhead: &Letterhead, keyring: &Keyring) -> Result<Value, Held> {
    let desk = context! { name => letterhead.desk.name.clone(), address => letterhead.desk.address.clone() };
    Ok(match &letter.body {
        Body::Acknowledgement(body) => {
            let key = keyring.desk_armored().map_err(|error| Held(error.to_string()))?;
            let fingerprint = keyring.desk().map(|desk| desk.fingerprint().to_spaced_hex());
            let armored = (key.len() <= MAX_KEY_IN_TEXT).then_some(key);
            let key = context! { fingerprint, armored };
            acknowledgement_facts(letter, body, &context! { desk, key })
        }
        Body::Relay(body) => relay_facts(letter, body, &desk),
    })
}

fn acknowledgement_facts(letter: &Letter, body: &Acknowledgement, common: &Value) -> Value {
    let day = |date: jiff::civil::Date| date.strftime("%A, %-d %B %Y").to_string();
    context! {
        case => letter.case.as_str(),
        first_response => day(body.first_response),
        plan => day(body.plan),
        ..merge_maps([common.clone(), Value::from(Serde(body.clone()))])
    }
}

fn relay_facts(letter: &Letter, body: &Relay, desk: &Value) -> Value {
    let about = &letter.about;
    let (enclosed, named) = enclosed_and_named(about);
    let attachments: Vec<String> =
        enclosed.iter().map(|attachment| describe(attachment, "")).chain(named).collect();
    context! {
        desk => desk.clone(),
        case => letter.case.as_str(),
        from => about.from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        subject => about.subject.as_deref().map(clean_line),
        encryption => encryption(about),
        signature => signature(&about.signature),
        problem => about.problem.clone(),
        problems => about.problems.clone(),
        text => about.text.clone(),
        attachments,
        ..Value::from(Serde(body.clone()))
    }
}

fn encryption(message: &Message) -> &'static str {
    match (message.encryption, message.decrypted) {
        (Encryption::None, _) => "none: the mail came in the clear",
        (Encryption::Whole, true) => "the whole mail was encrypted to the desk",
        (Encryption::Whole, false) => "encrypted, and the desk could not open it",
        (Encryption::Part, true) => "a part was encrypted; the text around it was not",
        (Encryption::Part, false) => "a part is encrypted, and the desk could not open it",
    }
}

fn signature(signature: &Signature) -> String {
    let by = |signer: &Option<String>| signer.as_deref().unwrap_or("an unnamed key").to_owned();
    match signature {
        Signature::None => "none".to_owned(),
        Signature::Good(verified) => format!("good, by {}, over the whole mail", verified.fingerprint()),
        Signature::UnknownKey { signer } => format!("by a key not held for this sender: {}", by(signer)),
        Signature::Bad { signer, why } => format!("BAD ({why}), by {}", by(signer)),
        Signature::Partial { signer } => format!("over a part of the mail only, by {}", by(signer)),
    }
}

/// What goes into the relay: the attachments, up to a size that servers take.
fn enclosed(letter: &Letter) -> Vec<Attachment> {
    match letter.kind() {
        LetterKind::Acknowledgement => Vec::new(),
        LetterKind::Relay => enclosed_and_named(&letter.about).0.into_iter().cloned().collect(),
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
