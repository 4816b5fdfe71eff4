//! Mails in the forms that Thunderbird writes, signed and encrypted by RNP, which is its OpenPGP.
//!
//! ```ignore
//! let letter = Letter { from: "ada@example.org", to: "security@example.org", subject: "[EX-2026-0001]", references: None,
//!     text: "!take\n", body: Body::Plain };
//! let mail = signed(&rnp, &letter);       // or encrypted(&rnp, &letter)
//! ```
//!
//! No Thunderbird runs without a screen, so this composes what it would. The frames, their fields and the order of these are
//! those of real mails of 2023 and 2025; no real mail was at hand for the form with HTML:
//!
//! * signed: `multipart/signed`, in it a `multipart/mixed; protected-headers="v1"` with copies of From, To, Message-ID, Subject,
//!   References and In-Reply-To, in that a `multipart/mixed` of the text and the attached key;
//! * encrypted: the same `multipart/signed` as the plaintext of a message that is not signed itself; the subject stands only
//!   inside, `...` outside;
//! * the text is `format=flowed` in base64: lines are broken before column 72, with a blank at the end; a line that begins with a
//!   blank or "From " gets another blank in front. HTML is quoted-printable, beside that text.

use super::program::{Form, Program};
use super::rnp::Rnp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Body {
    Plain,
    /// `multipart/alternative`, as the editor for HTML sends it.
    Html,
}

pub struct Letter<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub subject: &'a str,
    /// The Message-ID, with brackets, of the mail that is answered.
    pub references: Option<&'a str>,
    pub text: &'a str,
    pub body: Body,
}

/// A signed mail with the key attached.
pub fn signed(rnp: &Rnp, letter: &Letter<'_>) -> Vec<u8> {
    let id = message_id(letter);
    format!("{}Subject: {}\r\n{}", head(letter, &id), letter.subject, signed_entity(rnp, letter, &id, false))
        .into_bytes()
}

/// The same, encrypted.
pub fn encrypted(rnp: &Rnp, letter: &Letter<'_>) -> Vec<u8> {
    let id = message_id(letter);
    let inside = signed_entity(rnp, letter, &id, true);
    let armored = rnp.write(inside.as_bytes(), letter.to, None, Form::Armored);
    let armored = crlf(&String::from_utf8(armored).unwrap());
    let outer = boundary();
    format!(
        "{head}Subject: ...\r\n\
         Content-Type: multipart/encrypted;\r\n protocol=\"application/pgp-encrypted\";\r\n boundary=\"{outer}\"\r\n\r\n\
         This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n\
         --{outer}\r\nContent-Type: application/pgp-encrypted\r\nContent-Description: PGP/MIME version identification\r\n\r\n\
         Version: 1\r\n\r\n\
         --{outer}\r\nContent-Type: application/octet-stream; name=\"encrypted.asc\"\r\n\
         Content-Description: OpenPGP encrypted message\r\nContent-Disposition: inline; filename=\"encrypted.asc\"\r\n\r\n\
         {armored}\r\n--{outer}--\r\n",
        head = head(letter, &id),
    )
    .into_bytes()
}

/// `Content-Type: multipart/signed` and its body. A subject that is secret comes first.
fn signed_entity(rnp: &Rnp, letter: &Letter<'_>, id: &str, is_secret: bool) -> String {
    let (outer, middle, inner) = (boundary(), boundary(), boundary());
    let key = crlf(&String::from_utf8(rnp.certificate(letter.from)).unwrap()).replace('=', "=3D");
    let threads = letter
        .references
        .map_or_else(String::new, |mail| format!("References: {mail}\r\nIn-Reply-To: {mail}\r\n"));
    let subject = format!("Subject: {}\r\n", letter.subject);
    let (first, last) = if is_secret { (subject.as_str(), "") } else { ("", subject.as_str()) };
    let name = format!("OpenPGP_0x{}.asc", rnp.key_id(letter.from));
    let payload = format!(
        "Content-Type: multipart/mixed; boundary=\"{middle}\";\r\n protected-headers=\"v1\"\r\n\
         {first}From: Ada Lovelace <{from}>\r\nTo: {to}\r\nMessage-ID: {id}\r\n{last}{threads}\r\n\
         --{middle}\r\nContent-Type: multipart/mixed; boundary=\"{inner}\"\r\n\r\n\
         --{inner}\r\n{body}\
         --{inner}\r\nContent-Type: application/pgp-keys; name=\"{name}\"\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Description: OpenPGP public key\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n\
         {key}\r\n--{inner}--\r\n\r\n--{middle}--\r\n",
        from = letter.from,
        to = letter.to,
        body = body(letter),
    );
    let signature = rnp.sign_by(payload.as_bytes(), letter.from, "SHA256");
    let signature = crlf(&String::from_utf8(signature).unwrap());
    format!(
        "Content-Type: multipart/signed; micalg=pgp-sha256;\r\n protocol=\"application/pgp-signature\";\r\n \
         boundary=\"{outer}\"\r\n\r\n\
         This is an OpenPGP/MIME signed message (RFC 4880 and 3156)\r\n\
         --{outer}\r\n{payload}\r\n\
         --{outer}\r\nContent-Type: application/pgp-signature; name=\"OpenPGP_signature.asc\"\r\n\
         Content-Description: OpenPGP digital signature\r\n\
         Content-Disposition: attachment; filename=\"OpenPGP_signature.asc\"\r\n\r\n\
         {signature}\r\n--{outer}--\r\n"
    )
}

/// The header up to the subject.
fn head(letter: &Letter<'_>, id: &str) -> String {
    let threads = letter
        .references
        .map_or_else(String::new, |mail| format!("References: {mail}\r\nIn-Reply-To: {mail}\r\n"));
    format!(
        "Message-ID: {id}\r\nDate: Sat, 28 Nov 2026 15:00:00 +0100\r\nMIME-Version: 1.0\r\n\
         User-Agent: Mozilla Thunderbird\r\nContent-Language: en-US\r\nTo: {}\r\n{threads}From: Ada Lovelace <{}>\r\n",
        letter.to, letter.from
    )
}

fn body(letter: &Letter<'_>) -> String {
    let plain = format!(
        "Content-Type: text/plain; charset=UTF-8; format=flowed\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        encoded(&flowed(letter.text))
    );
    if letter.body == Body::Plain {
        return plain;
    }
    let both = boundary();
    let mut html = String::new();
    for line in letter.text.lines() {
        let line = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        writeln!(html, "    {line}<br>").unwrap();
    }
    let html = format!(
        "<!DOCTYPE html>\n<html>\n  <head>\n\n    <meta http-equiv=\"content-type\" content=\"text/html; charset=UTF-8\">\n  \
         </head>\n  <body>\n{html}  </body>\n</html>\n"
    );
    format!(
        "Content-Type: multipart/alternative;\r\n boundary=\"{both}\"\r\n\r\n\
         --{both}\r\n{plain}--{both}\r\n\
         Content-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n\
         --{both}--\r\n\r\n",
        quoted_printable(&html)
    )
}

/// Lines as Thunderbird breaks them, with CRLF. Quoted lines stay.
fn flowed(text: &str) -> String {
    const WIDTH: usize = 72;
    let mut flowed = String::new();
    for line in text.lines() {
        let stuffed = if line.starts_with(' ') || line.starts_with("From ") {
            format!(" {line}")
        } else {
            line.to_owned()
        };
        let mut width = 0;
        for word in stuffed.split_inclusive(' ') {
            let length = word.chars().count();
            if width > 0 && width + length > WIDTH && !line.starts_with('>') {
                flowed.push_str("\r\n");
                width = 0;
            }
            flowed.push_str(word);
            width += length;
        }
        flowed.push_str("\r\n");
    }
    flowed
}

fn encoded(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(72).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\r\n")
}

fn quoted_printable(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let mut width = 0;
        for byte in line.bytes() {
            let byte = match byte {
                b'=' | 0x80.. => format!("={byte:02X}"),
                _ => char::from(byte).to_string(),
            };
            if width + byte.len() > 73 {
                lines.push_str("=\r\n");
                width = 0;
            }
            width += byte.len();
            lines.push_str(&byte);
        }
        // a blank at the end would not survive
        if line.ends_with(' ') {
            lines.pop();
            lines.push_str("=20");
        }
        lines.push_str("\r\n");
    }
    lines
}

fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn number() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Twelve dashes and 24 characters.
fn boundary() -> String {
    format!("------------1TBt0IFfjz321DLd{:012}", number())
}

fn message_id(letter: &Letter<'_>) -> String {
    let host = letter.from.rsplit('@').next().unwrap();
    format!("<0b2ace38-07d9-4500-8bb7-{:012x}@{host}>", number())
}
