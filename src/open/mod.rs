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
//! RFC 5322, 2045–2049, 3156, 9580; RFC 9788 and its older form for the protected subject.

pub mod header;
mod mime;
mod pgp;

use jiff::Timestamp;
use mail_parser::{MessageParser, MessagePart, MimeHeaders, PartType};
use openpgp::parse::Parse;
use sequoia_openpgp as openpgp;
use sha2::{Digest as _, Sha256};

use crate::domain::message::{Attachment, Digest, Encryption, Message, Signature};
use crate::keyring::{self, Keyring};
use crate::open::header::{clean, clean_line};

/// Encryption and signatures wrapped in each other are followed this far.
const MAX_LAYERS: usize = 4;
/// More text than this is shown as an attachment.
const MAX_TEXT: usize = 256 * 1024;
/// Larger attached keys are not looked at.
const MAX_OFFERED_CERT: usize = 64 * 1024;
const ARMORED_MESSAGE: &str = "-----BEGIN PGP MESSAGE-----";
const ARMORED_MESSAGE_END: &str = "-----END PGP MESSAGE-----";
const CLEARTEXT_SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const CLEARTEXT_SIGNED_END: &str = "-----END PGP SIGNATURE-----";
const ARMORED_KEY: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Opens a mail as received.
pub fn open(raw: &[u8], keyring: &Keyring, now: Timestamp) -> Message {
    let mut opening = Opening { keyring, now, message: closed(raw), body: Vec::new() };
    if raw.trim_ascii().is_empty() {
        opening.message.problems.push("the mail is empty".to_owned());
        return opening.message;
    }
    if let Some(limit) = mime::beyond_limits(raw) {
        opening.message.problem = Some(format!("not taken apart: {limit}"));
        opening.header_only(raw);
    } else {
        opening.mail(raw);
    }
    opening.finish()
}

/// What is known of a mail whose body was not fetched, from its header.
pub fn open_header(header: &[u8], size: u64, keyring: &Keyring, now: Timestamp) -> Message {
    let mut opening = Opening { keyring, now, message: closed(header), body: Vec::new() };
    opening.message.size = size;
    opening.message.not_fetched = true;
    opening.message.problem = Some(format!("not fetched: {size} bytes are more than the limit"));
    opening.header_only(header);
    opening.finish()
}

/// What is known of a mail that could not be opened at all.
pub fn unopened(raw: &[u8], why: &str) -> Message {
    Message { problem: Some(why.to_owned()), ..closed(raw) }
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
    message: Message,
    /// The pieces of readable text, in order.
    body: Vec<String>,
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

impl Opening<'_> {
    fn header_only(&mut self, raw: &[u8]) {
        let header = mime::header_section(raw);
        let header = header.get(..mime::MAX_HEADER.min(header.len())).unwrap_or(header);
        if let Some(parsed) = MessageParser::default().parse_headers(header) {
            header::read(&parsed, &mut self.message);
        }
    }

    fn mail(&mut self, raw: &[u8]) {
        let Some(parsed) = MessageParser::default().parse(raw) else {
            self.message.problems.push("no header: all of it is taken for text".to_owned());
            self.body.push(String::from_utf8_lossy(raw).into_owned());
            return;
        };
        header::read(&parsed, &mut self.message);
        if self.message.from.is_empty() && mime::header_section(raw).len() == raw.len() {
            self.message
                .problems
                .push("no header that a mail would have: all of it is taken for text".to_owned());
            self.body.push(String::from_utf8_lossy(raw).into_owned());
            return;
        }
        self.part(&parsed, 0, raw, Place { whole: true, secret: false, depth: 0, layers: 0 });
    }

    /// An entity that came out of an OpenPGP layer.
    fn inner(&mut self, raw: &[u8], place: Place) {
        let limit = mime::beyond_limits(raw);
        let parsed = if limit.is_none() { MessageParser::default().parse(raw) } else { None };
        let Some(parsed) = parsed else {
            self.message
                .problems
                .extend(limit.map(|limit| format!("decrypted part not taken apart: {limit}")));
            self.body.push(String::from_utf8_lossy(raw).into_owned());
            return;
        };
        let root = parsed.root_part();
        let protected = ["protected-headers", "hp"].iter().any(|name| mime::parameter(root, name).is_some());
        if protected
            && place.whole
            && let Some(subject) = header::subject(&parsed)
        {
            self.message.subject = Some(subject);
            self.message.subject_is_secret = place.secret;
        }
        self.part(&parsed, 0, raw, place);
    }

    fn part(&mut self, parsed: &mail_parser::Message<'_>, id: u32, raw: &[u8], place: Place) {
        let Some(part) = parsed.part(id) else { return };
        if place.depth > mime::MAX_DEPTH || place.layers > MAX_LAYERS {
            self.message.problems.push("nested too deep: the rest is not taken apart".to_owned());
            self.attach(
                Some("nested.eml".to_owned()),
                "application/octet-stream",
                mime::entity(part, raw).to_vec(),
            );
            return;
        }
        match &part.body {
            PartType::Multipart(children) => self.multipart(parsed, part, children, raw, place),
            _ if mime::is_attachment(part) => self.leaf(part, raw),
            PartType::Text(_) | PartType::Html(_) => self.text(part, raw, place),
            _ => self.leaf(part, raw),
        }
    }

    fn multipart(
        &mut self,
        parsed: &mail_parser::Message<'_>,
        part: &MessagePart<'_>,
        children: &[u32],
        raw: &[u8],
        place: Place,
    ) {
        let media_type = mime::media_type(part);
        let protocol = mime::parameter(part, "protocol").unwrap_or_default().to_ascii_lowercase();
        match (media_type.as_str(), children) {
            ("multipart/encrypted", [_, ciphertext]) => {
                let Some(ciphertext) = parsed.part(*ciphertext) else { return };
                self.encrypted(&mime::bytes_of(ciphertext, raw), place);
            }
            ("multipart/signed", [signed, signature]) if protocol == "application/pgp-signature" => {
                let (Some(signed), Some(signature)) = (parsed.part(*signed), parsed.part(*signature)) else {
                    return;
                };
                let entity = mime::entity(signed, raw).to_vec();
                let verdict = pgp::verify_detached(
                    &mime::with_crlf(&entity),
                    &mime::bytes_of(signature, raw),
                    self.keyring,
                    self.now,
                );
                self.signed(verdict, place);
                let layers = place.layers.saturating_add(1);
                self.inner(&entity, Place { layers, ..place.inside(true) });
            }
            ("multipart/alternative", _) => self.alternative(parsed, children, raw, place),
            _ => {
                for child in children {
                    self.part(parsed, *child, raw, place.inside(children.len() == 1));
                }
            }
        }
    }

    /// The best readable form, which is the plain one; other forms of the same are not shown.
    fn alternative(&mut self, parsed: &mail_parser::Message<'_>, children: &[u32], raw: &[u8], place: Place) {
        let plain = children.iter().find(|id| {
            parsed.part(**id).is_some_and(|part| {
                mime::media_type(part) == "text/plain"
                    && mime::text_of(part).is_some_and(|text| !text.trim().is_empty())
            })
        });
        if let Some(plain) = plain {
            self.part(parsed, *plain, raw, place.inside(true));
            let others = children.iter().filter(|id| *id != plain);
            let kept: Vec<u32> = others
                .filter(|id| parsed.part(**id).is_some_and(|part| part.is_multipart() || !part.is_text()))
                .copied()
                .collect();
            for id in kept {
                self.attachments_of(parsed, id, raw, place.depth.saturating_add(1));
            }
        } else {
            for child in children {
                self.part(parsed, *child, raw, place.inside(children.len() == 1));
            }
        }
    }

    /// The attachments in a form that is not shown (`multipart/related` beside plain text).
    fn attachments_of(&mut self, parsed: &mail_parser::Message<'_>, id: u32, raw: &[u8], depth: usize) {
        let Some(part) = parsed.part(id) else { return };
        match &part.body {
            _ if depth > mime::MAX_DEPTH => {}
            PartType::Multipart(children) => {
                children
                    .iter()
                    .for_each(|child| self.attachments_of(parsed, *child, raw, depth.saturating_add(1)));
            }
            PartType::Text(_) | PartType::Html(_) if !mime::is_attachment(part) => {}
            _ => self.leaf(part, raw),
        }
    }

    /// An OpenPGP message as a MIME part.
    fn encrypted(&mut self, ciphertext: &[u8], place: Place) {
        self.note_encryption(place);
        match pgp::decrypt(ciphertext, self.keyring, self.now) {
            Ok(opened) => {
                self.message.decrypted = true;
                self.signed(opened.verdict, place);
                let layers = place.layers.saturating_add(1);
                self.label("decrypted part", place.whole);
                self.inner(&opened.plaintext, Place { secret: true, layers, ..place.inside(true) });
                self.label("end of the decrypted part", place.whole);
            }
            Err(problem) => self.not_opened(problem, ciphertext),
        }
    }

    fn text(&mut self, part: &MessagePart<'_>, raw: &[u8], place: Place) {
        let Some(text) = mime::text_of(part) else { return };
        if let PartType::Html(_) = part.body {
            self.attach(Some("body.html".to_owned()), "application/octet-stream", mime::bytes_of(part, raw));
        }
        if text.contains(ARMORED_MESSAGE) {
            self.inline(&text, ARMORED_MESSAGE, ARMORED_MESSAGE_END, place, Self::inline_encrypted);
        } else if text.contains(CLEARTEXT_SIGNED) {
            self.inline(&text, CLEARTEXT_SIGNED, CLEARTEXT_SIGNED_END, place, Self::inline_signed);
        } else {
            self.body.push(text);
        }
    }

    /// Text with one armored block: what stands around it is shown as unprotected.
    fn inline(
        &mut self,
        text: &str,
        begin: &str,
        end: &str,
        place: Place,
        open: fn(&mut Self, block: &str, place: Place),
    ) {
        let Some((before, rest)) = text.split_once(begin) else { return };
        let (block, after) = rest.split_once(end).unwrap_or((rest, ""));
        let alone = before.trim().is_empty() && after.trim().is_empty();
        if !alone {
            self.body.push(before.trim_end().to_owned());
        }
        self.label("inline OpenPGP block", alone);
        open(self, &format!("{begin}{block}{end}\n"), place.inside(alone));
        self.label("end of the inline OpenPGP block", alone);
        if !alone {
            self.body.push(after.trim_start().to_owned());
        }
    }

    fn inline_encrypted(&mut self, block: &str, place: Place) {
        self.note_encryption(place);
        match pgp::decrypt(block.as_bytes(), self.keyring, self.now) {
            Ok(opened) => {
                self.message.decrypted = true;
                self.signed(opened.verdict, place);
                self.body.push(String::from_utf8_lossy(&opened.plaintext).into_owned());
            }
            Err(problem) => self.not_opened(problem, block.as_bytes()),
        }
    }

    fn inline_signed(&mut self, block: &str, place: Place) {
        match pgp::verify_cleartext(block.as_bytes(), self.keyring, self.now) {
            Ok(opened) => {
                self.signed(opened.verdict, place);
                self.body.push(String::from_utf8_lossy(&opened.plaintext).into_owned());
            }
            Err(why) => {
                self.signed(pgp::Verdict::Bad { signer: None, why }, place);
                self.body.push(block.to_owned());
            }
        }
    }

    fn leaf(&mut self, part: &MessagePart<'_>, raw: &[u8]) {
        let bytes = mime::bytes_of(part, raw);
        let media_type = mime::media_type(part);
        let named = part.attachment_name().map(clean_line).filter(|name| !name.is_empty());
        let looks_like_key =
            media_type == "application/pgp-keys" || bytes.trim_ascii_start().starts_with(ARMORED_KEY);
        if looks_like_key && bytes.len() <= MAX_OFFERED_CERT {
            self.message.offered_certs.push(bytes.clone());
        }
        self.attach(named, &media_type, bytes);
    }

    fn attach(&mut self, name: Option<String>, media_type: &str, bytes: Vec<u8>) {
        self.message.attachments.push(Attachment { name, media_type: clean_line(media_type), bytes });
    }

    fn label(&mut self, what: &str, alone: bool) {
        if !alone {
            self.body.push(format!("[{what}]"));
        }
    }

    fn note_encryption(&mut self, place: Place) {
        let message = &mut self.message;
        message.encryption = match (place.whole, message.encryption) {
            (true, Encryption::None) | (_, Encryption::Whole) => Encryption::Whole,
            _ => Encryption::Part,
        };
    }

    fn not_opened(&mut self, problem: String, ciphertext: &[u8]) {
        self.attach(Some("encrypted.asc".to_owned()), "application/octet-stream", ciphertext.to_vec());
        self.message.problem.get_or_insert(problem);
    }

    fn signed(&mut self, verdict: pgp::Verdict, place: Place) {
        let signature = verdict.hold_against(self.message.author(), place.whole, self.keyring);
        if let Signature::Bad { why, .. } = &signature {
            self.message.problems.push(format!("signature: {why}"));
        }
        // the innermost signature over the whole message is the author's word; a part never outranks it
        if signature != Signature::None && (place.whole || self.message.signature == Signature::None) {
            self.message.signature = signature;
        }
    }

    fn finish(mut self) -> Message {
        let text = clean(&self.body.join("\n"));
        if text.len() > MAX_TEXT {
            let shown: String = text.chars().take(MAX_TEXT / 4).collect();
            self.message.problems.push(format!(
                "text of {} bytes: its beginning is shown, all of it is in body.txt",
                text.len()
            ));
            self.attach(Some("body.txt".to_owned()), "application/octet-stream", text.into_bytes());
            self.message.text = shown;
        } else {
            self.message.text = text;
        }
        self.message.reporter_cert_known = self.message.author().is_some_and(|author| {
            let offered = offered_certs(&self.message);
            keyring::encryptable(self.keyring, &offered, author, self.now).is_ok()
        });
        self.message
    }
}

/// The certificates a mail offers, parsed; unreadable ones are none.
pub fn offered_certs(message: &Message) -> Vec<openpgp::Cert> {
    message.offered_certs.iter().filter_map(|bytes| openpgp::Cert::from_bytes(bytes).ok()).collect()
}

/// What stays the same when a mail is delivered twice on different ways (To and Cc, two folders): its Message-ID, its
/// author, its date and its body, not its trace header. A mail without a Message-ID has no twin but its copy.
pub fn twin(raw: &[u8], message: &Message) -> Digest {
    let Some(message_id) = &message.message_id else { return message.digest.clone() };
    let mut hash = Sha256::new();
    hash.update(message_id);
    hash.update([0]);
    hash.update(message.author().map_or_else(String::new, |author| author.canonical()));
    hash.update([0]);
    hash.update(message.date.map_or_else(String::new, |date| date.to_string()));
    hash.update([0]);
    hash.update(raw.get(mime::header_section(raw).len()..).unwrap_or_default());
    Digest::from_bytes(&hash.finalize())
}
