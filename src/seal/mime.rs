//! Headers and the MIME tree of a letter.
//!
//! # Invariants
//! * Everything is 7-bit with CRLF, so that nothing on the way has a reason to change signed bytes (RFC 3156 §3).
//! * The header is protected: a copy lies inside the signature, or inside the encryption with `[...]` as the only subject
//!   outside (RFC 9788, and its older form for readers that know that one).
//!
//! # Standards
//! RFC 5322, 2045–2049, 2231, 3156, 3834, 9788; Autocrypt level 1. mail-builder writes the fields and encodes the parts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};

use crate::domain::message::{Attachment, Mailbox};
use crate::open::mime::with_crlf;

/// The subject outside an encrypted letter.
const NO_SUBJECT: &str = "[...]";

/// The fields of a letter.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    pub(super) from: &'a Mailbox,
    pub(super) to: &'a Mailbox,
    pub(super) subject: &'a str,
    pub(super) date: Timestamp,
    pub(super) message_id: &'a str,
    pub(super) in_reply_to: Option<&'a str>,
    pub(super) references: &'a [String],
    /// Where answers go, unless to From.
    pub(super) reply_to: Option<&'a Mailbox>,
    /// The desk's certificate, for an `Autocrypt` field.
    pub(super) autocrypt: Option<&'a [u8]>,
    /// RFC 3834: `auto-replied` on answers, `auto-generated` on what answers nothing; none on what a person wrote.
    pub(super) auto_submitted: Option<&'a str>,
}

/// How a payload's header is marked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum HeaderProtection {
    /// Signed only.
    Clear,
    /// Encrypted: what stands outside is noted inside.
    Cipher,
}

type Field<'a> = (&'static str, HeaderType<'a>);

impl<'a> Fields<'a> {
    /// The fields in order; `subject` is the one given here.
    fn list(&'a self, subject: &'a str) -> Vec<Field<'a>> {
        let mailbox =
            |mailbox: &'a Mailbox| Address::new_address(mailbox.name.as_deref(), mailbox.address.as_str());
        let mut fields: Vec<Field<'a>> = vec![
            ("From", mailbox(self.from).into()),
            ("To", mailbox(self.to).into()),
            ("Subject", Text::new(subject).into()),
            ("Date", Date::new(self.date.as_second()).into()),
            ("Message-ID", MessageId::new(self.message_id).into()),
        ];
        fields.extend(self.in_reply_to.map(|id| ("In-Reply-To", MessageId::new(id).into())));
        if !self.references.is_empty() {
            fields
                .push(("References", MessageId::new_list(self.references.iter().map(String::as_str)).into()));
        }
        fields.extend(self.reply_to.map(|to| ("Reply-To", mailbox(to).into())));
        fields.extend(self.auto_submitted.map(|how| ("Auto-Submitted", Raw::new(how).into())));
        fields
    }
}

/// The payload: the letter's text and its attachments, with the protected header.
pub(super) fn payload(
    fields: &Fields<'_>,
    text: &str,
    attachments: &[&Attachment],
    protection: HeaderProtection,
) -> Vec<u8> {
    let mark = |content_type: ContentType<'static>| {
        let hp = if protection == HeaderProtection::Cipher { "cipher" } else { "clear" };
        content_type.attribute("protected-headers", "v1").attribute("hp", hp)
    };
    let plain = || ContentType::new("text/plain").attribute("charset", "utf-8");
    let mut part = if attachments.is_empty() {
        MimePart::new(mark(plain()), text)
    } else {
        let mut parts = vec![MimePart::new(plain(), text)];
        parts.extend(attachments.iter().copied().map(attached));
        MimePart::new(mark(ContentType::new("multipart/mixed")), parts)
    };
    let mut headers: Vec<(std::borrow::Cow<'_, str>, HeaderType<'_>)> =
        fields.list(fields.subject).into_iter().map(|(name, value)| (name.into(), value)).collect();
    if protection == HeaderProtection::Cipher {
        for (name, value) in fields.list(NO_SUBJECT) {
            headers.push(("HP-Outer".into(), Raw::new(format!("{name}: {}", unfolded(&value))).into()));
        }
    }
    headers.append(&mut part.headers);
    part.headers = headers;
    written(part)
}

/// `multipart/signed` around a payload.
pub(super) fn signed(fields: &Fields<'_>, payload: &[u8], signature: &[u8], micalg: &'static str) -> Vec<u8> {
    let content_type = ContentType::new("multipart/signed")
        .attribute("micalg", micalg)
        .attribute("protocol", "application/pgp-signature");
    let signature = MimePart::new(
        ContentType::new("application/pgp-signature").attribute("name", "signature.asc"),
        with_crlf(signature),
    )
    .transfer_encoding("7bit");
    outside(fields, fields.subject, content_type, vec![MimePart::raw(payload), signature])
}

/// `multipart/encrypted` around a ciphertext.
pub(super) fn encrypted(fields: &Fields<'_>, ciphertext: Vec<u8>) -> Vec<u8> {
    let armored = with_crlf(&ciphertext);
    drop(ciphertext);
    let content_type =
        ContentType::new("multipart/encrypted").attribute("protocol", "application/pgp-encrypted");
    let version = MimePart::new(ContentType::new("application/pgp-encrypted"), "Version: 1\r\n".as_bytes())
        .transfer_encoding("7bit");
    let octets = MimePart::new(
        ContentType::new("application/octet-stream").attribute("name", "encrypted.asc"),
        armored,
    )
    .transfer_encoding("7bit");
    outside(fields, NO_SUBJECT, content_type, vec![version, octets])
}

fn outside(
    fields: &Fields<'_>,
    subject: &str,
    content_type: ContentType<'static>,
    parts: Vec<MimePart<'_>>,
) -> Vec<u8> {
    let mut headers: Vec<_> =
        fields.list(subject).into_iter().map(|(name, value)| (name.into(), value)).collect();
    // not “All”: a bounce of this letter must come back
    headers.push(("X-Auto-Response-Suppress".into(), Raw::new("DR, RN, NRN, OOF, AutoReply").into()));
    headers.extend(autocrypt(fields).map(|value| ("Autocrypt".into(), Raw::new(value).into())));
    headers.push(("MIME-Version".into(), Raw::new("1.0").into()));
    headers.push(("Content-Type".into(), content_type.into()));
    written(MimePart { headers, contents: BodyPart::Multipart(parts) })
}

/// The value of an `Autocrypt` field (level 1), folded. It belongs outside: programs look for it there.
fn autocrypt(fields: &Fields<'_>) -> Option<String> {
    let data = BASE64_STANDARD.encode(fields.autocrypt?);
    let mut value = format!("addr={}; keydata=", fields.from.address);
    for (place, character) in data.char_indices() {
        if place % 70 == 0 {
            value.push(' ');
        }
        value.push(character);
    }
    Some(value)
}

/// Opaque to the reader's mail program: nothing of a report is rendered or run by being looked at, and no text is touched
/// on the way. Only pictures keep their type. The name is the sender's, as
/// far as it is one.
fn attached(attachment: &Attachment) -> MimePart<'_> {
    let inert = matches!(attachment.media_type.as_str(), "image/png" | "image/jpeg" | "image/gif");
    let media_type = if inert { attachment.media_type.as_str() } else { "application/octet-stream" };
    let name = harmless(attachment.name.as_deref().unwrap_or_default());
    let content_type = ContentType::new(media_type).attribute("name", name.clone());
    MimePart::new(content_type, attachment.bytes.as_slice()).attachment(name)
}

/// A name for a file in the folder it is saved to: no path, not hidden. The relay's text shows what the sender wrote.
fn harmless(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = last.trim_start_matches(['.', ' ', '~', '-']).trim_end();
    if name.is_empty() { "attachment".to_owned() } else { name.to_owned() }
}

fn unfolded(value: &HeaderType<'_>) -> String {
    use mail_builder::headers::Header;
    let mut bytes = Vec::new();
    value.write_header(&mut bytes, 0);
    String::from_utf8_lossy(&bytes)
        .split("\r\n")
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

fn written(part: MimePart<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    part.write_part(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_leads_nowhere() {
        for (sent, header) in [
            ("crash.tile", "crash.tile"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\autoexec.bat", "autoexec.bat"),
            (".bashrc", "bashrc"),
            ("~/x", "x"),
            ("..", "attachment"),
            ("a/", "attachment"),
            ("", "attachment"),
        ] {
            assert_eq!(harmless(sent), header, "{sent}");
        }
    }

    #[test]
    fn armor_gets_the_line_ends_of_mail() {
        assert_eq!(with_crlf(b"a\n\nb\r\nc"), b"a\r\n\r\nb\r\nc");
    }
}
