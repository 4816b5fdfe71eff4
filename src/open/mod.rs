//! The room where a mail is opened: bytes in, facts out.
//!
//! # What it is for
//! [`open`] undoes MIME and OpenPGP and gathers what a decision and a letter need. It knows nothing of cases.
//!
//! # Invariants
//! * Never fails. Undecryptable, malformed, truncated, too deep: each is a fact in the [`Message`].
//! * A pure function of bytes, keys and time: no input or output, no logging.
//! * Decrypted text is never put beside the text around the ciphertext without saying which is which.
//! * [`Message::problem`] is for the team, never for the sender.
//!
//! # Standards
//! RFC 5322, 2045–2049, 3156, 9580; RFC 9788 and its older form for protected headers; Autocrypt level 1.

pub mod armor;
mod authentication;
pub mod header;
pub mod mime;
mod parts;
mod pgp;
mod returned;
mod veil;

use std::panic::AssertUnwindSafe;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::domain::message::{Attachment, Digest, Mailbox, Message};
use crate::domain::own_list;
use crate::domain::policy::Policy;
use crate::domain::signature::{Signature, Standing};
use crate::keyring::{self, Keyring};
use crate::open::header::{Protection, clean, clean_line};

/// More text than this is shown as an attachment.
const MAX_TEXT: usize = 256 * 1024;

/// How the labels begin that divide decrypted and forwarded text from the text around it.
const LABELS: [&str; 4] = ["decrypted part", "inline OpenPGP block", "forwarded mail", "end of the"];

/// A mail may unpack to this, and to [`MAX_RATIO`] times its size, but never to more than [`MAX_UNPACKED`], all its OpenPGP
/// messages together. Compression makes a thousand times as much of it for whoever wants to.
const FREE_UNPACKED: u64 = 1024 * 1024;
const MAX_RATIO: u64 = 30;
const MAX_UNPACKED: u64 = 64 * 1024 * 1024;
/// No more OpenPGP messages of one mail are opened, and no more forwarded mails looked into, however they are nested.
const MAX_OPENED: usize = 32;
const MAX_FORWARDED: usize = 64;

/// How the problem of a mail begins that psirtd died of, and will not open again.
pub const UNOPENED: &str = "unopened: ";

/// What a mail of this size may unpack to. Bytes.
pub fn unpacks_to(size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    size.saturating_mul(MAX_RATIO).saturating_add(FREE_UNPACKED).min(MAX_UNPACKED)
}

/// Opens a mail as received. A parser that panics is a bug, and a fact of the mail: what its header says is still known.
pub fn open(raw: &[u8], keyring: &Keyring, now: Timestamp) -> Message {
    open_by(raw, None, keyring, now)
}

/// The same for a mail whose From one of the desk's own lists had rewritten: its author is this one (see [`author`]).
pub fn open_by(raw: &[u8], author: Option<&Mailbox>, keyring: &Keyring, now: Timestamp) -> Message {
    const WHY: &str = "psirtd itself failed to open it; it is kept as received";
    let unread = || Message { problem: Some(WHY.to_owned()), unread: true, ..closed(raw) };
    let guarded = |work: &dyn Fn() -> Message| std::panic::catch_unwind(AssertUnwindSafe(work)).ok();
    guarded(&|| open_and_compare(raw, author, keyring, now))
        .or_else(|| guarded(&|| from_header(raw, WHY, author, keyring, now)))
        .unwrap_or_else(unread)
}

/// Opens a mail; one that is signed by the certificate it offers itself is opened again, to see whether the signature is right.
fn open_and_compare(raw: &[u8], author: Option<&Mailbox>, keyring: &Keyring, now: Timestamp) -> Message {
    let message = open_unguarded(raw, author, keyring, now);
    match (message.author(), &message.signature, &message.reporter_cert) {
        (Some(by), Signature::UnknownKey { .. }, Some((standing @ Standing::Offered, certificate))) => {
            open_unguarded(raw, author, &keyring.beside(&by.address, [(*standing, certificate)]), now)
        }
        _ => message,
    }
}

fn open_unguarded(raw: &[u8], author: Option<&Mailbox>, keyring: &Keyring, now: Timestamp) -> Message {
    let mut opening = Opening { author, ..Opening::of(raw, keyring, now, Room::of(raw.len())) };
    if raw.trim_ascii().is_empty() {
        opening.message.problems.push("the mail is empty".to_owned());
        return opening.message;
    }
    let raw = mime::with_lines(raw);
    if let Some(limit) = mime::beyond_limits(&raw) {
        opening.message.problem = Some(format!("not taken apart: {limit}"));
        opening.header_only(&raw);
    } else {
        opening.mail(&raw, Place { whole: true, secret: false, depth: 0, layers: 0 });
    }
    opening.conclude()
}

/// What the desk encrypted to itself, and signed. Bytes.
pub fn open_own(message: &[u8], keyring: &Keyring, now: Timestamp) -> Result<Zeroizing<Vec<u8>>, String> {
    const ROOM: u64 = 64 * 1024;
    let opened = pgp::decrypt(message, keyring, now, &mut ROOM.clone()).map_err(|why| {
        format!("{why}; the desk's key opens it, or the one before that: is it in the folder of old keys?")
    })?;
    let plaintext = Zeroizing::new(opened.plaintext);
    let is_ours = |by: &str| keyring.secret_keys().iter().any(|key| key.fingerprint().to_hex() == by);
    let signed = opened
        .verdicts
        .iter()
        .any(|verdict| matches!(verdict, pgp::Verdict::Checked { fingerprint, .. } if is_ours(fingerprint)));
    if signed {
        Ok(plaintext)
    } else {
        Err("none of the desk's keys has signed it: somebody else made it; restore it from a backup"
            .to_owned())
    }
}

/// What is known of a mail whose body was not fetched, from its header.
pub fn open_header(
    header: &[u8],
    size: u64,
    author: Option<&Mailbox>,
    keyring: &Keyring,
    now: Timestamp,
) -> Message {
    let why = format!("not fetched: {size} bytes are more than the limit");
    Message { size, not_fetched: true, ..from_header(header, &why, author, keyring, now) }
}

/// A mail that psirtd died of so many times, while it opened it.
pub fn unopened(deaths: u32) -> String {
    format!("{UNOPENED}psirtd died {deaths} times while it opened it; it is kept as received")
}

/// A mail that is not opened, for this reason: of its header only what is harmless, or nothing at all.
pub fn closed_for(
    raw: &[u8],
    why: &str,
    with_header: bool,
    author: Option<&Mailbox>,
    keyring: &Keyring,
    now: Timestamp,
) -> Message {
    if with_header {
        from_header(raw, why, author, keyring, now)
    } else {
        Message { problem: Some(why.to_owned()), unread: true, ..closed(raw) }
    }
}

/// What is known of a mail that could not be opened, from its header.
fn from_header(
    raw: &[u8],
    why: &str,
    author: Option<&Mailbox>,
    keyring: &Keyring,
    now: Timestamp,
) -> Message {
    let mut opening = Opening { author, ..Opening::of(raw, keyring, now, Room::of(0)) };
    opening.message.problem = Some(why.to_owned());
    opening.message.unread = true;
    opening.header_only(raw);
    opening.conclude()
}

/// SHA-256 of the bytes as received.
pub fn digest(raw: &[u8]) -> Digest {
    Digest::from_bytes(&Sha256::digest(raw))
}

fn closed(raw: &[u8]) -> Message {
    Message { digest: digest(raw), size: u64::try_from(raw.len()).unwrap_or(u64::MAX), ..Message::default() }
}

/// A mail being opened.
struct Opening<'k> {
    keyring: &'k Keyring,
    now: Timestamp,
    /// Who wrote it, when an own list put its address in his place.
    author: Option<&'k Mailbox>,
    message: Message,
    /// The subject that everybody on the way could read.
    outside: Option<String>,
    /// The pieces of readable text, in order.
    body: Vec<String>,
    room: Room,
}

/// What may still be opened of a mail, in all its layers together.
#[derive(Clone, Copy)]
struct Room {
    /// Bytes that OpenPGP messages may unpack to.
    bytes: u64,
    /// OpenPGP messages.
    messages: usize,
    /// Forwarded mails.
    mails: usize,
}

impl Room {
    fn of(size: usize) -> Self {
        Self { bytes: unpacks_to(size), messages: MAX_OPENED, mails: MAX_FORWARDED }
    }
}

/// Where a part stands.
#[derive(Clone, Copy)]
struct Place {
    /// The part is all there is at its layer, and so is that layer in the one around it.
    whole: bool,
    /// It came out of an encrypted part.
    secret: bool,
    depth: usize,
    layers: usize,
}

impl Place {
    fn inside(self, whole: bool) -> Self {
        Self { whole: self.whole && whole, depth: self.depth.saturating_add(1), ..self }
    }
}

impl<'k> Opening<'k> {
    fn of(raw: &[u8], keyring: &'k Keyring, now: Timestamp, room: Room) -> Self {
        Self { keyring, now, author: None, message: closed(raw), outside: None, body: Vec::new(), room }
    }

    fn header_only(&mut self, raw: &[u8]) {
        read_header(raw, self.author, &mut self.message);
        self.outside.clone_from(&self.message.subject);
    }

    fn mail(&mut self, raw: &[u8], place: Place) {
        let veiled = veil::drawn(raw);
        let Some(parsed) = mime::parser().parse(veiled.as_ref()) else {
            self.taken_for_text("no header", raw);
            return;
        };
        self.header_only(raw);
        (self.message.marks.report, self.message.marks.report_part) = header::report_types(&parsed);
        self.message.returned = returned::returned(&parsed, raw);
        if self.message.from.is_empty() && mime::header_section(raw).len() == raw.len() {
            self.taken_for_text("no header that a mail would have", raw);
            return;
        }
        self.part(&parsed, 0, raw, place);
    }

    fn taken_for_text(&mut self, why: &str, raw: &[u8]) {
        self.message.problems.push(format!("{why}: all of it is taken for text"));
        self.say(&String::from_utf8_lossy(raw));
    }

    /// An entity that came out of an OpenPGP layer. Some programs encrypt bare text, without a header.
    fn inner(&mut self, raw: &[u8], place: Place) {
        let limit = mime::beyond_limits(raw);
        let veiled = veil::drawn(raw);
        let parsed = if limit.is_none() { mime::parser().parse(veiled.as_ref()) } else { None };
        let Some(parsed) = parsed.filter(|parsed| header::is_entity(parsed, raw)) else {
            self.message
                .problems
                .extend(limit.map(|limit| format!("decrypted part not taken apart: {limit}")));
            self.say(&String::from_utf8_lossy(raw));
            return;
        };
        let root = parsed.root_part();
        let says = |name: &str| mime::parameter(root, name).is_some();
        let protection = match (says("hp"), says("protected-headers")) {
            (true, _) => Some(Protection::Full),
            (false, true) => Some(Protection::Older),
            (false, false) => None,
        };
        if let Some(protection) = protection {
            self.protected(&parsed, protection, place);
        }
        self.part(&parsed, 0, raw, place);
    }

    /// Reads a header inside an OpenPGP layer. What is neither encrypted nor signed is no better than the outer one.
    fn protected(&mut self, parsed: &mail_parser::Message<'_>, protection: Protection, place: Place) {
        let signed = !matches!(self.message.signature, Signature::None | Signature::Bad { .. });
        if place.whole && (place.secret || signed) {
            let outside = self.outside.as_ref();
            header::read_protected(parsed, protection, place.secret, outside, &mut self.message);
        }
    }

    /// Decrypts within the room that is left.
    fn decrypt(&mut self, ciphertext: &[u8]) -> Result<pgp::Opened, String> {
        let Some(left) = self.room.messages.checked_sub(1) else {
            return Err(format!("more than {MAX_OPENED} OpenPGP messages in one mail"));
        };
        self.room.messages = left;
        pgp::decrypt(ciphertext, self.keyring, self.now, &mut self.room.bytes)
    }

    fn attach(&mut self, name: Option<String>, media_type: &str, bytes: Vec<u8>) {
        self.message.attachments.push(Attachment { name, media_type: clean_line(media_type), bytes });
    }

    /// Words of the mail. A line among them that looks like one of our labels is quoted.
    fn say(&mut self, text: &str) {
        let forged = |line: &str| {
            let line = clean_line(line);
            LABELS.iter().any(|label| line.strip_prefix('[').is_some_and(|line| line.starts_with(label)))
        };
        if text.lines().any(forged) {
            let lines =
                text.lines().map(|line| if forged(line) { format!("> {line}") } else { line.to_owned() });
            self.body.push(lines.collect::<Vec<_>>().join("\n"));
        } else {
            self.body.push(text.to_owned());
        }
    }

    fn label(&mut self, what: &str, alone: bool) {
        if !alone {
            self.body.push(format!("[{what}]"));
        }
    }

    fn not_opened(&mut self, problem: String, ciphertext: &[u8]) {
        self.attach(Some("encrypted.asc".to_owned()), "application/octet-stream", ciphertext.to_vec());
        self.message.problem.get_or_insert(problem);
    }

    fn signed(&mut self, verdicts: Vec<pgp::Verdict>, place: Place) {
        if verdicts.len() > 1 {
            self.message.problems.push(format!("{} signatures", verdicts.len()));
        }
        let signature = pgp::weigh(verdicts, self.message.author(), place.whole, self.keyring);
        if let Signature::Bad { why, .. } = &signature {
            self.message.problems.push(format!("signature: {why}"));
        }
        // the innermost signature over the whole message is the author's word; a part never outranks it
        if signature != Signature::None && (place.whole || self.message.signature == Signature::None) {
            self.message.signature = signature;
            // those of a layer around this one are not inside this one
            self.message.signed_subject = None;
            self.message.signed_recipients = None;
        }
    }

    /// Shows the beginning of a text that is too long to be read in a mail, and keeps all of it as a file.
    fn long_text(&mut self, text: &str, bytes: Vec<u8>) {
        let size = bytes.len();
        self.message
            .problems
            .push(format!("text of {size} bytes: its beginning is shown, all of it is in body.txt"));
        self.attach(Some("body.txt".to_owned()), "application/octet-stream", bytes);
        self.say(&text.chars().take(MAX_TEXT / 4).collect::<String>());
    }

    fn finish(mut self) -> Message {
        let text = clean(&std::mem::take(&mut self.body).join("\n"));
        if text.len() > MAX_TEXT {
            self.message.text = text.chars().take(MAX_TEXT / 4).collect();
            self.long_text("", text.into_bytes());
        } else {
            self.message.text = text;
        }
        self.message
    }

    /// The same for the mail that arrived, which is the one that is answered: with which certificate.
    fn conclude(self) -> Message {
        let (keyring, now) = (self.keyring, self.now);
        let mut message = self.finish();
        if let Some(author) = message.author().cloned() {
            let chosen = keyring::choose(keyring, &author, &message.offered_certs, now);
            message.reporter_cert = chosen.certificate;
            message.renewed_cert = chosen.renewed;
            if let Some(other) = &chosen.other {
                let note =
                    format!("it offers another certificate than the desk holds: {}", other.fingerprint);
                message.problems.push(note);
            }
            message.other_cert = chosen.other;
        }
        message
    }
}

/// The one author whom the header names, whose certificates are needed to open the mail; and whether an own list of the desk
/// hides him, so that he has to be named to [`open_by`].
pub fn author(raw: &[u8], policy: &Policy) -> Option<(Mailbox, bool)> {
    let read = || {
        let mut message = Message::default();
        read_header(&mime::with_lines(raw), None, &mut message);
        match own_list::author(&message, policy) {
            Some(hidden) => Some((hidden, true)),
            None => message.author().cloned().map(|author| (author, false)),
        }
    };
    std::panic::catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

/// The author whom an own list of the desk hides, for [`open_by`].
pub fn hidden_author(raw: &[u8], policy: &Policy) -> Option<Mailbox> {
    author(raw, policy).filter(|(_, is_hidden)| *is_hidden).map(|(author, _)| author)
}

fn read_header(raw: &[u8], author: Option<&Mailbox>, message: &mut Message) {
    let header = mime::header_section(raw);
    let header = header.get(..mime::MAX_HEADER.min(header.len())).unwrap_or(header);
    if let Some(parsed) = mime::parser().parse_headers(header) {
        header::read(&parsed, author, message);
        message.trace = authentication::trace(&parsed);
    }
}

/// What stays the same when a mail is delivered twice on different ways (To and Cc, two folders): its Message-ID, its
/// author, its date, its body and how that is to be read, not its trace header. A mail without a Message-ID has no twin but its copy.
pub fn twin(raw: &[u8], message: &Message) -> Digest {
    let Some(message_id) = &message.message_id else { return message.digest.clone() };
    let mut hash = Sha256::new();
    hash.update(message_id);
    hash.update([0]);
    hash.update(message.author().map_or_else(String::new, |author| author.canonical()));
    hash.update([0]);
    hash.update(message.date.map_or_else(String::new, |date| date.to_string()));
    hash.update([0]);
    hash.update(mime::content_fields(raw));
    hash.update([0]);
    hash.update(raw.get(mime::header_section(raw).len()..).unwrap_or_default());
    Digest::from_bytes(&hash.finalize())
}
