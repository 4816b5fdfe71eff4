//! The MIME tree under limits.
//!
//! # What it is for
//! Bounds what a hostile mail can cost *before* a parser sees it, and turns the tree into leaves that the rest can use:
//! readable text, attachments, and the OpenPGP structures that `open` follows.
//!
//! # Invariants
//! * Size, header size, number of parts and depth are limited; what lies beyond a limit is not lost (the mail is kept as
//!   received), it is only not taken apart, and [`Message::problems`](crate::domain::message::Message) says so.
//! * Attachments keep their bytes: only the transfer encoding is undone, never a charset.
//!
//! # Standards
//! RFC 2045–2049, RFC 2231, by mail-parser; RFC 3676 (flowed text); RFC 1847 and RFC 3156 §§2, 5 for the raw bytes of a signed part.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::open::{armor, veil};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::html::html_to_text;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType};

/// Of a header, no more is read than this.
pub(super) const MAX_HEADER: usize = 256 * 1024;
/// A mail with more parts is not taken apart.
const MAX_PARTS: usize = 500;
/// More declared boundaries than this are an attack or a report about one.
const MAX_BOUNDARIES: usize = 100;
/// The headers of all parts together, for the time that parsing them takes grows with the square of their length.
const MAX_PART_HEADERS: usize = 1024 * 1024;
/// Parts nested deeper are not taken apart.
pub(super) const MAX_DEPTH: usize = 16;

/// Parses what is used here and nothing else. Dates are left alone: mail-parser 0.11 takes a zone of one or two letters
/// ("UT", "Z") for three, and so loses the field in the next line, which may be From.
pub(super) fn parser() -> MessageParser {
    MessageParser::new()
        .with_mime_headers()
        .with_address_headers()
        .with_message_ids()
        .header_text(HeaderName::Subject)
}

/// Why a mail must not be given to the parser whole; `None` when it may.
pub(super) fn beyond_limits(raw: &[u8]) -> Option<String> {
    let header = header_section(raw).len();
    if header > MAX_HEADER {
        return Some(format!("its header is {header} bytes long, the limit is {MAX_HEADER}"));
    }
    let boundaries = boundaries(raw);
    if boundaries.plain.len() > MAX_BOUNDARIES {
        return Some(format!("it declares more than {MAX_BOUNDARIES} boundaries"));
    }
    let (mut parts, mut headers, mut in_header) = (0_usize, 0_usize, false);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if boundaries.delimit(line) {
            parts = parts.saturating_add(1);
            in_header = true;
        } else if in_header {
            headers = headers.saturating_add(line.len());
            in_header = !line.trim_ascii().is_empty();
        }
        if parts > MAX_PARTS {
            return Some(format!("it has more than {MAX_PARTS} parts"));
        }
        if headers > MAX_PART_HEADERS {
            return Some(format!("the headers of its parts are longer than {MAX_PART_HEADERS} bytes"));
        }
    }
    None
}

/// The header with its empty line; the whole mail when there is none.
pub(super) fn header_section(raw: &[u8]) -> &[u8] {
    let mut length = 0_usize;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        length = length.saturating_add(line.len());
        if line == b"\n" || line == b"\r\n" {
            break;
        }
    }
    raw.get(..length).unwrap_or(raw)
}

/// The fields of a header that say how the body is to be read, without white space, which may change on the way.
pub(super) fn content_fields(raw: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut in_field = false;
    for line in header_section(raw).split(|byte| *byte == b'\n') {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            in_field = line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
        }
        if in_field {
            fields.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
    }
    fields
}

/// The lines of a mail that ends them with CR alone, as old Macs did and as some archives still hold them, ended with LF.
pub(super) fn with_lines(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'\n') || !raw.contains(&b'\r') {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect())
}

/// Bytes that are an entity with a header of its own.
pub(super) fn starts_with_mime_header(bytes: &[u8]) -> bool {
    [&b"content-"[..], b"mime-version:"]
        .iter()
        .any(|name| bytes.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// What may separate the parts of a mail: a superset of what does.
#[derive(Default)]
struct Boundaries {
    plain: BTreeSet<Vec<u8>>,
    /// One is written in a way that only a parser can read: every line with two dashes may be a delimiter.
    obscure: bool,
}

impl Boundaries {
    fn delimit(&self, line: &[u8]) -> bool {
        let Some(rest) = line.strip_prefix(b"--") else { return false };
        self.obscure || self.plain.iter().any(|boundary| rest.starts_with(boundary))
    }
}

/// Everything that follows a `boundary=`, wherever it stands.
fn boundaries(raw: &[u8]) -> Boundaries {
    const NAME: &[u8] = b"boundary";
    let mut found = Boundaries::default();
    let mut rest = raw;
    while let Some(at) = find_ignoring_case(rest, NAME) {
        rest = rest.get(at.saturating_add(NAME.len())..).unwrap_or_default();
        let value = match rest.trim_ascii_start() {
            [b'=', value @ ..] => value.trim_ascii_start(),
            // a comment, or the percent signs and pieces of RFC 2231
            [b'(' | b'*', ..] => {
                found.obscure = true;
                continue;
            }
            _ => continue,
        };
        let (value, quoted) = value.strip_prefix(b"\"").map_or((value, false), |value| (value, true));
        let end = |byte: &u8| match quoted {
            true => *byte == b'"',
            false => byte.is_ascii_whitespace() || *byte == b';',
        };
        let value: Vec<u8> = value.iter().copied().take(200).take_while(|byte| !end(byte)).collect();
        let readable = |byte: &u8| !matches!(*byte, b'\\' | b'(' | b'\r' | b'\n');
        found.obscure |= value.is_empty() || !value.iter().all(readable);
        found.plain.insert(value);
        if found.plain.len() > MAX_BOUNDARIES {
            break;
        }
    }
    found
}

fn find_ignoring_case(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

/// The media type in lower case.
pub(super) fn media_type(part: &MessagePart<'_>) -> String {
    part.content_type().map_or_else(
        || "text/plain".to_owned(),
        |content_type| {
            let subtype = content_type.subtype().unwrap_or("plain");
            veil::lifted(&format!("{}/{subtype}", content_type.ctype()).to_ascii_lowercase()).into_owned()
        },
    )
}

/// A parameter of the content type.
pub(super) fn parameter<'p>(part: &'p MessagePart<'_>, name: &str) -> Option<&'p str> {
    part.content_type().and_then(|content_type| content_type.attribute(name))
}

/// The sender wants it saved, not shown.
pub(super) fn is_attachment(part: &MessagePart<'_>) -> bool {
    part.content_disposition().is_some_and(|disposition| disposition.is_attachment())
}

/// The readable text of a text part; of an HTML part, its text.
pub(super) fn text_of<'p>(part: &'p MessagePart<'_>, raw: &'p [u8]) -> Option<Cow<'p, str>> {
    match &part.body {
        PartType::Text(_) if is_mislabelled(part, raw) => Some(String::from_utf8_lossy(body(part, raw))),
        PartType::Text(text) => Some(veil::lifted(text)),
        PartType::Html(html) => Some(html_to_text(&veil::lifted(html)).into()),
        _ => None,
    }
}

/// The bytes of a leaf, transfer encoding undone, charset untouched.
pub(super) fn bytes_of(part: &MessagePart<'_>, raw: &[u8]) -> Vec<u8> {
    if matches!(part.body, PartType::Multipart(_)) {
        return Vec::new();
    }
    let body = body(part, raw);
    let decoded = match part.encoding {
        _ if is_mislabelled(part, raw) => None,
        Encoding::None => None,
        Encoding::QuotedPrintable => quoted_printable_decode(body),
        Encoding::Base64 => base64_decode(body),
    };
    decoded.unwrap_or_else(|| body.to_vec())
}

/// It declares a transfer encoding that nobody applied, and undoing it would break the armor in it.
fn is_mislabelled(part: &MessagePart<'_>, raw: &[u8]) -> bool {
    !matches!(part.encoding, Encoding::None) && armor::is_bare(body(part, raw))
}

/// A mail wrapped into the payload, which its author did not forward (RFC 9788).
pub(super) fn is_wrapper(part: &MessagePart<'_>) -> bool {
    media_type(part) == "message/rfc822"
        && parameter(part, "forwarded").is_some_and(|forwarded| forwarded.eq_ignore_ascii_case("no"))
}

/// The first part of a payload repeats its protected header, as mail programs before RFC 9788 did.
pub(super) fn is_display(
    parsed: &Message<'_>,
    payload: &MessagePart<'_>,
    parts: &[&MessagePart<'_>],
) -> bool {
    std::ptr::eq(payload, parsed.root_part())
        && parts.len() > 1
        && parts.first().is_some_and(|first| {
            matches!(media_type(first).as_str(), "text/plain" | "text/rfc822-headers")
                && parameter(first, "protected-headers").is_some()
        })
}

/// The readable text of a part, without what only old mail programs are shown, which is left out of what was `secret` alone.
pub(super) fn shown_text<'p>(part: &'p MessagePart<'_>, raw: &'p [u8], secret: bool) -> Option<Cow<'p, str>> {
    let legacy = secret && parameter(part, "hp-legacy-display") == Some("1");
    match &part.body {
        PartType::Html(html) if legacy => {
            Some(html_to_text(&without_legacy_display_html(&veil::lifted(html))).into())
        }
        _ => {
            let text = text_of(part, raw)?;
            let text = if is_flowed(part) && !text.contains(armor::FRAME) {
                let delete = parameter(part, "delsp").is_some_and(|value| value.eq_ignore_ascii_case("yes"));
                unflowed(&text, delete).into()
            } else {
                text
            };
            Some(if legacy { without_legacy_display(&text).to_owned().into() } else { text })
        }
    }
}

/// Thunderbird and others break long lines for old mail programs, and say so.
fn is_flowed(part: &MessagePart<'_>) -> bool {
    media_type(part) == "text/plain"
        && parameter(part, "format").is_some_and(|format| format.eq_ignore_ascii_case("flowed"))
}

/// A text as it was typed before its long lines were broken (RFC 3676): a blank at the end of a line says that the line goes
/// on, one at the beginning only protects what follows. `delete` says that the blank at the end is not part of the text.
fn unflowed(text: &str, delete: bool) -> String {
    let mut typed = String::with_capacity(text.len());
    // how deep the line is quoted that goes on
    let mut goes_on = None;
    for line in text.split_inclusive('\n') {
        let (line, is_ended) = line.strip_suffix('\n').map_or((line, false), |line| (line, true));
        let line = line.strip_suffix('\r').unwrap_or(line);
        let words = line.trim_start_matches('>');
        let depth = line.len().saturating_sub(words.len());
        let words = words.strip_prefix(' ').unwrap_or(words);
        let is_separator = words == "-- ";
        if let Some(before) = goes_on
            && (before != depth || is_separator)
        {
            typed.push('\n');
            goes_on = None;
        }
        if goes_on.is_none() {
            typed.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !words.is_empty() {
                typed.push(' ');
            }
        }
        goes_on = (is_ended && words.ends_with(' ') && !is_separator).then_some(depth);
        let deleted = words.strip_suffix(' ').filter(|_| delete && goes_on.is_some());
        typed.push_str(deleted.unwrap_or(words));
        if is_ended && goes_on.is_none() {
            typed.push('\n');
        }
    }
    typed
}

/// A text without what repeats its protected header for old mail programs (RFC 9788): all up to the first empty line.
fn without_legacy_display(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line.trim().is_empty() {
            return rest;
        }
        // whoever declares it without writing it loses nothing
        if !line.starts_with([' ', '\t']) && !line.contains(':') {
            break;
        }
    }
    text
}

/// The same for HTML, where it has an element of its own.
fn without_legacy_display_html(html: &str) -> String {
    const CLASS: &str = "class=\"header-protection-legacy-display\"";
    const END: &str = "</div>";
    let cut = || {
        let class = html.find(CLASS)?;
        let start = html.get(..class)?.rfind("<div")?;
        let rest = html.get(class..)?;
        let after = rest.get(rest.find(END)?.saturating_add(END.len())..)?;
        Some(format!("{}{after}", html.get(..start)?))
    };
    cut().unwrap_or_else(|| html.to_owned())
}

fn body<'r>(part: &MessagePart<'_>, raw: &'r [u8]) -> &'r [u8] {
    range(raw, part.offset_body, part.offset_end)
}

/// The part as it stands in the mail, header and body: what a detached signature covers.
pub(super) fn entity<'r>(part: &MessagePart<'_>, raw: &'r [u8]) -> &'r [u8] {
    range(raw, part.offset_header, part.offset_end)
}

fn range(raw: &[u8], start: u32, end: u32) -> &[u8] {
    let index = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
    raw.get(index(start)..index(end).min(raw.len())).unwrap_or_default()
}

/// Line ends as RFC 3156 §5 wants them signed: CRLF. A Maildir keeps LF.
pub fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(bytes.len().saturating_add(bytes.len() / 32));
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) if !text.ends_with(b"\r") => {
                canonical.extend_from_slice(text);
                canonical.extend_from_slice(b"\r\n");
            }
            _ => canonical.extend_from_slice(line),
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_at_the_empty_line() {
        assert_eq!(header_section(b"A: b\r\n\r\nbody"), b"A: b\r\n\r\n");
        assert_eq!(header_section(b"A: b\n\nbody"), b"A: b\n\n");
        assert_eq!(header_section(b"no end"), b"no end");
        assert_eq!(header_section(b""), b"");
    }

    #[test]
    fn what_old_mail_programs_are_shown_ends_at_the_first_empty_line() {
        assert_eq!(without_legacy_display("Subject: a\r\n b\r\n\r\ntext\n\nmore"), "text\n\nmore");
        for text in ["Dear all\n\ntext", "Subject: a", ""] {
            assert_eq!(without_legacy_display(text), text);
        }
        let html = "<p><div class=\"header-protection-legacy-display\"><pre>Subject: a</pre></div>text</p>";
        assert_eq!(without_legacy_display_html(html), "<p>text</p>");
        assert_eq!(without_legacy_display_html("<div>a</div>"), "<div>a</div>");
    }

    #[test]
    fn a_flowed_text_is_as_it_was_typed() {
        for (flowed, typed) in [
            ("!note one \r\ntwo\r\n!take\r\n", "!note one two\n!take\n"),
            ("  a blank\n From here\n >no quote\n", " a blank\nFrom here\n>no quote\n"),
            ("> one \n> two\n>> three \n> four\n>\n", "> one two\n>> three \n> four\n>\n"),
            ("> > one \n> > two\n", "> > one > two\n"),
            ("one \n-- \nAda \nLovelace ", "one \n-- \nAda Lovelace "),
            ("", ""),
        ] {
            assert_eq!(unflowed(flowed, false), typed, "{flowed:?}");
        }
        assert_eq!(unflowed("one \ntwo  \nthree", true), "onetwo three");
    }

    #[test]
    fn lines_of_an_old_mac() {
        assert_eq!(*with_lines(b"A: b\r\rc"), *b"A: b\n\nc");
        assert_eq!(*with_lines(b"A: b\r\n\r\nc\r"), *b"A: b\r\n\r\nc\r");
    }

    #[test]
    fn an_endless_line_is_beyond_the_header_limit() {
        assert!(beyond_limits(&vec![b'a'; MAX_HEADER + 1]).unwrap().contains("header"));
    }

    #[test]
    fn too_many_parts() {
        let mut mail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
        mail.extend(b"--b\r\n\r\nx\r\n".repeat(MAX_PARTS + 1));
        assert_eq!(beyond_limits(&mail).unwrap(), "it has more than 500 parts");
        assert_eq!(beyond_limits(&mail[..1000]), None);
    }

    #[test]
    fn a_boundary_behind_a_comment_does_not_hide_parts() {
        for hidden in [
            "boundary(c)=b",
            "boundary*=utf-8''%62",
            "boundary=(c)b",
            "boundary=\"\\b\"",
            "boundary \r\n  = b",
        ] {
            let mut mail = format!("Content-Type: multipart/mixed; {hidden}\r\n\r\n").into_bytes();
            mail.extend(b"--b\r\n\r\nx\r\n".repeat(MAX_PARTS + 1));
            assert_eq!(beyond_limits(&mail).unwrap(), "it has more than 500 parts", "{hidden}");
        }
    }

    #[test]
    fn the_header_of_a_part_is_limited_too() {
        let mut mail =
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain".to_vec();
        mail.extend((0..100_000).flat_map(|n| format!(";\r\n a*{n}*=%41").into_bytes()));
        mail.extend(b"\r\n\r\nbody\r\n--b--\r\n");
        assert!(beyond_limits(&mail).unwrap().contains("headers of its parts"));
    }

    #[test]
    fn a_patch_is_not_mistaken_for_parts() {
        let mut mail = b"Content-Type: text/plain\r\n\r\n".to_vec();
        mail.extend(b"-- removed line\n".repeat(10_000));
        assert_eq!(beyond_limits(&mail), None);
    }

    #[test]
    fn too_many_boundaries() {
        let mail: String =
            (0..200).map(|n| format!("Content-Type: multipart/mixed; BOUNDARY=\"b{n}\"\r\n")).collect();
        assert!(beyond_limits(mail.as_bytes()).unwrap().contains("boundaries"));
    }
}
