//! An opened mail as plain facts.
//!
//! # What it is for
//! [`Message`] is what `open` makes of the bytes that arrived and what every decision is made from. Opening never fails:
//! what could not be read is a fact here ([`Message::problem`], [`Message::problems`]), not an error.
//!
//! # Invariants
//! * Text in this module is display-safe: no control characters but line ends and tabs, no bidirectional controls.
//!
//! # Standards
//! RFC 5322 (mailboxes, Message-ID), RFC 3834 (marks of automatic mail), RFC 3156 (OpenPGP in mail).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::signature::{Certificate, Signature, Source, Standing};
use crate::domain::trust::Trace;

/// An opened mail.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// SHA-256 over the bytes as received.
    pub digest: Digest,
    /// Size in bytes as received; for a mail that was not fetched, as the server says.
    pub size: u64,
    /// The mailboxes of From. Anything but exactly one is suspicious.
    pub from: Vec<Mailbox>,
    /// From as it came, when one of the desk's own lists had rewritten it and `from` is the author again.
    pub rewritten_from: Option<Mailbox>,
    /// `Reply-To`.
    pub reply_to: Vec<Mailbox>,
    /// `X-Original-From`, which Google Groups writes.
    pub original_from: Vec<Mailbox>,
    /// Whom it was sent to, as far as the header shows (`To`, `Cc`, `Delivered-To` and the like), in lower case; the protected
    /// `To` and `Cc` alone when there are any.
    pub recipients: Vec<String>,
    /// The subject; the protected one when the mail carried it inside the encryption or the signature.
    pub subject: Option<String>,
    /// The subject came out of an encrypted part, and does not stand outside as well.
    pub subject_is_secret: bool,
    /// The subject, when it stands inside a good signature: its author's word, unlike `subject`, which anybody may have written.
    pub signed_subject: Option<String>,
    /// Whom the mail was written to, as its author says inside a good signature.
    pub signed_recipients: Option<Vec<String>>,
    /// `Message-ID` without angle brackets, as it stands outside, like all ids that answers and the journal name.
    pub message_id: Option<String>,
    /// `In-Reply-To`, then `References`, without angle brackets, nearest parent first.
    pub parents: Vec<String>,
    /// The ids of `References` in the order of the header, for the `References` of an answer.
    pub references: Vec<String>,
    /// A digest of the `Message-ID` of the protected header: what was encrypted leads to the thread, and nowhere else.
    pub protected_id: Option<Digest>,
    /// The parents that the protected header names; when there are any, or when it says that there are none, those outside do
    /// not count.
    pub protected_parents: Option<Vec<String>>,
    /// What the `Date` field says.
    pub date: Option<Timestamp>,
    /// What the envelope's sender was, as far as the mail shows it.
    pub return_path: ReturnPath,
    /// Traces of machines in the header.
    pub marks: Marks,
    /// What the servers on its way wrote, from the top.
    pub trace: Vec<Trace>,
    /// Which letter it says came back, when it is a server's word about one.
    pub returned: Option<Returned>,
    /// How much of the mail was OpenPGP-encrypted.
    pub encryption: Encryption,
    /// Opened with a secret key the desk holds, integrity checked.
    pub decrypted: bool,
    /// Why it, or its encrypted part, could not be opened.
    pub problem: Option<String>,
    /// What its OpenPGP signature is worth.
    pub signature: Signature,
    /// The readable text, decrypted, as it is shown to the team.
    pub text: String,
    /// Some of it was HTML: what was quoted there cannot be told from what was not.
    pub reads_html: bool,
    /// Everything that is not the readable text.
    pub attachments: Vec<Attachment>,
    /// Certificates the mail itself offers, as they came; whose they are is not checked yet.
    pub offered_certs: Vec<(Source, Vec<u8>)>,
    /// The certificate for the author that can be encrypted to now: the one the desk holds, or else one that the mail offers.
    pub reporter_cert: Option<(Standing, Certificate)>,
    /// The certificate that the desk remembers for the author, with what the mail says anew of it.
    pub renewed_cert: Option<Certificate>,
    /// A certificate that the mail offers for its author, while the desk holds another. It replaces nothing by itself.
    pub other_cert: Option<Certificate>,
    /// The ciphertexts that were opened.
    pub ciphertexts: Vec<Ciphertext>,
    /// Everything odd that was noticed, each in one line.
    pub problems: Vec<String>,
    /// Nobody looked at more than its header: what it would say of encryption and signature is not known.
    pub unread: bool,
    /// Set when the mail could not be kept whole: it lies on the server, and a person has to look there.
    pub not_fetched: bool,
}

impl Message {
    /// The one author, if there is exactly one.
    pub fn author(&self) -> Option<&Mailbox> {
        match self.from.as_slice() {
            [author] => Some(author),
            _ => None,
        }
    }

    /// The ids that lead to the mail's thread, nearest parent first.
    pub fn thread(&self) -> &[String] {
        self.protected_parents.as_deref().unwrap_or(&self.parents)
    }

    /// All that was encrypted is by the author of the mail, as good signatures inside say.
    pub fn wrote_what_was_encrypted(&self) -> bool {
        !self.ciphertexts.is_empty() && self.ciphertexts.iter().all(|ciphertext| ciphertext.by_author)
    }

    /// The mail was meant to be read by the desk alone.
    pub fn came_encrypted(&self) -> bool {
        self.encryption != Encryption::None
    }

    /// The team cannot read (all of) it as it is.
    pub fn is_unreadable(&self) -> bool {
        self.problem.is_some()
    }
}

/// A ciphertext that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// What identifies it, however it is framed: a digest of its session key.
    pub id: Digest,
    /// A good signature of the mail's author lies inside: it is his own, whoever else sent it before.
    pub by_author: bool,
}

/// SHA-256 in lower-case hexadecimal: the name under which a mail or a letter is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// From 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The hexadecimal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a mail lies on its server; equal positions mean the same mail (RFC 3501: UIDs are never reused under one
/// UIDVALIDITY).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub String);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A display name and an address (RFC 5322 `mailbox`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The display name, if there is one. Never trusted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// `local-part@domain`.
    pub address: String,
}

impl Mailbox {
    /// An address without a name.
    pub fn bare(address: impl Into<String>) -> Self {
        Self { name: None, address: address.into() }
    }

    /// The form in which addresses are compared: lower case. (RFC 5321 lets a local part be case-sensitive; no mail
    /// system in use makes two people of `Ada@` and `ada@`.)
    pub fn canonical(&self) -> String {
        canonical(&self.address)
    }

    /// The address behind the tags that mail systems put into it: `prvs=1234=rita+x@example.net` is `rita@example.net`. Limits
    /// count it, and the desk knows itself by it; letters go to the address as it stands.
    pub fn identity(&self) -> String {
        identity(&self.address)
    }

    /// The part after the last `@`, in lower case; none of an address without one.
    pub fn domain(&self) -> Option<String> {
        let address = self.canonical();
        address.rsplit_once('@').map(|(_, domain)| domain.to_owned())
    }

    /// The part before the last `@`, in lower case; of an address without one (`MAILER-DAEMON`), all of it.
    pub fn local_part(&self) -> String {
        let address = self.canonical();
        address.rsplit_once('@').map_or_else(|| address.clone(), |(local, _)| local.to_owned())
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => f.write_str(&self.address),
        }
    }
}

/// See [`Mailbox::canonical`].
pub fn canonical(address: &str) -> String {
    address.trim().to_lowercase()
}

/// See [`Mailbox::identity`].
pub fn identity(address: &str) -> String {
    let address = canonical(address);
    let Some((local, domain)) = address.rsplit_once('@') else { return address };
    // BATV: prvs=KDDDSSSSSS=local
    let bare = local.strip_prefix("prvs=").and_then(|rest| rest.split_once('=')).map(|(_, local)| local);
    let local = bare.filter(|bare| !bare.is_empty()).unwrap_or(local);
    // a telephone's number begins with the sign that begins a tag elsewhere
    let untagged = local.split_once('+').map(|(local, _)| local).filter(|local| !local.is_empty());
    format!("{}@{domain}", untagged.unwrap_or(local))
}

/// The envelope's sender as the final delivery wrote it into `Return-Path`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReturnPath {
    /// No such field: nobody knows.
    #[default]
    Unknown,
    /// `<>`: the sender wants no answer (RFC 5321 §4.5.5).
    Null,
    /// An address.
    Address(String),
}

/// What the header says about the machine that may have written the mail (RFC 3834, 2369, 2919, 3462 and usage).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// `Auto-Submitted` without comments and parameters, lower case.
    pub auto_submitted: Option<String>,
    /// `Precedence`, lower case.
    pub precedence: Option<String>,
    /// Names of the `List-*` fields present, lower case.
    pub list: Vec<String>,
    /// The ids in `List-Id`, lower case.
    pub list_ids: Vec<String>,
    /// The name of a field that only ticket systems and trackers write, lower case.
    pub ticket: Option<String>,
    /// `report-type` of a `multipart/report`, lower case ("" when it names none).
    pub report: Option<String>,
    /// What a part reports that stands in another mail than a `multipart/report`.
    pub report_part: Option<String>,
    /// `X-Auto-Response-Suppress`, lower case.
    pub suppress: Option<String>,
    /// Names of other fields that only machines write, lower case.
    pub robots: Vec<String>,
    /// A spam filter in front of the mailbox condemned it.
    pub junk: bool,
    /// It lay among the mail that a desk has recorded, and a restored one does not know it.
    pub recorded_before: bool,
    /// Number of `Received` fields.
    pub hops: usize,
}

/// How much of a mail is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Nothing.
    #[default]
    None,
    /// The whole body.
    Whole,
    /// A part, beside unprotected text.
    Part,
}

/// A part of a mail that is not its readable text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The name the sender gave it, for display only.
    pub name: Option<String>,
    /// `type/subtype` as the sender says.
    pub media_type: String,
    /// The decoded bytes.
    pub bytes: Vec<u8>,
}

/// What a mail says about a letter of ours that came back, was read, or was complained about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// The ids of the letter's envelope; one that decoding changes in both forms, for some servers decode it themselves.
    pub envelope_ids: Vec<String>,
    /// The Message-IDs of what came back, without angle brackets, nearest first.
    pub message_ids: Vec<String>,
    /// To whom it was sent; of several, the first of those whom it fared worst with.
    pub recipient: Option<String>,
    /// What happened to it; of several recipients, the worst.
    pub action: Option<Action>,
    /// The status code of that recipient: `5.1.1`.
    pub status: Option<String>,
    /// Why, in the words of the server, of the receipt (its disposition) or of the complaint (its type). One line.
    pub diagnostic: Option<String>,
    /// The host that reports it.
    pub by: Option<String>,
}

/// What happened to a letter, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is in the mailbox.
    Delivered,
    /// It went to the members of a list.
    Expanded,
    /// It went on to a server that does not report.
    Relayed,
    /// It is not delivered yet.
    Delayed,
    /// It will never be delivered.
    Failed,
}
