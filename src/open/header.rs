//! What the header of a mail says, as facts.
//!
//! # Invariants
//! * Every text that leaves this file is display-safe ([`clean`]): decoded words cannot smuggle line ends, control or
//!   bidirectional characters into a letter, a log or a terminal.
//! * A header is read from its first bytes only (`mime::MAX_HEADER`), so that a mail of one endless line costs nothing.
//!
//! # Standards
//! RFC 5322, RFC 2047, RFC 2369, RFC 3834, RFC 5322 obsolete syntax as mail-parser accepts it; Autocrypt level 1.

use jiff::Timestamp;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::{Address, DateTime, HeaderName, HeaderValue, MimeHeaders};
use sha2::{Digest as _, Sha256};

use crate::domain::message::{Digest, Mailbox, Marks, Message, ReturnPath, canonical};
use crate::domain::signature::Source;
use crate::open::{mime, veil};

/// No more ids of a thread are followed than this.
const MAX_IDS: usize = 200;
/// No more mailboxes of From are looked at than this.
const MAX_MAILBOXES: usize = 100;
/// Autocrypt level 1: a larger header is no Autocrypt header.
const MAX_AUTOCRYPT: usize = 10 * 1024;

/// How an OpenPGP payload protects the header of its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// `protected-headers="v1"`: the fields inside are the author's; what is only outside may be, too.
    Older,
    /// RFC 9788: what is only outside was not written by the author.
    Full,
}

/// Reads the header into the message. `author` is who wrote it, when an own list put its address in his place.
pub(super) fn read(parsed: &mail_parser::Message<'_>, author: Option<&Mailbox>, message: &mut Message) {
    message.from = mailboxes(parsed.header_values(HeaderName::From));
    if let Some(author) = author {
        let from = std::mem::replace(&mut message.from, vec![author.clone()]);
        message.rewritten_from = from.into_iter().next();
    }
    message.reply_to = mailboxes(parsed.header_values(HeaderName::ReplyTo));
    message.original_from = original_from(parsed);
    message.recipients = recipients(parsed);
    message.subject = subject(parsed);
    message.message_id = message_id(parsed);
    (message.references, message.parents) = thread(parsed);
    message.date = parsed.header_raw(HeaderName::Date).and_then(date);
    message.return_path = return_path(parsed);
    message.marks = marks(parsed);
    message.offered_certs.extend(autocrypt(parsed, &message.from).map(|cert| (Source::Autocrypt, cert)));
    if message.from.len() > 1 {
        message.problems.push(format!("From names {} mailboxes", message.from.len()));
    }
    for (name, singleton) in
        [("From", HeaderName::From), ("Subject", HeaderName::Subject), ("Message-ID", HeaderName::MessageId)]
    {
        if parsed.header_values(singleton).count() > 1 {
            message.problems.push(format!("more than one {name} field"));
        }
    }
}

/// Reads the header inside an OpenPGP payload into the message; `secret` says that it was encrypted, `outside` is the subject
/// that everybody on the way could read.
pub(super) fn read_protected(
    parsed: &mail_parser::Message<'_>,
    protection: Protection,
    secret: bool,
    outside: Option<&String>,
    message: &mut Message,
) {
    let full = protection == Protection::Full;
    let subject = subject(parsed);
    // only what lies inside the signature itself: a signed part may lie in an encrypted one that somebody else made
    let signed = message.signature.is_good();
    if signed {
        message.signed_subject.clone_from(&subject);
    }
    if full || subject.is_some() {
        message.subject_is_secret = secret && subject.is_some() && subject.as_ref() != outside;
        message.subject = subject;
    }
    let id = message_id(parsed).map(|id| Digest::from_bytes(&Sha256::digest(id)));
    message.protected_id = id.or_else(|| message.protected_id.take());
    let says_thread = [HeaderName::InReplyTo, HeaderName::References]
        .into_iter()
        .any(|name| parsed.header_values(name).next().is_some());
    if full || says_thread {
        message.protected_parents = Some(thread(parsed).1);
    }
    let addressed = to_and_cc(parsed);
    if signed {
        message.signed_recipients = Some(addressed.clone()).filter(|addressed| !addressed.is_empty());
    }
    if full || !addressed.is_empty() {
        message.recipients = addressed;
    }
    message.date = parsed.header_raw(HeaderName::Date).and_then(date).or(message.date);
    let from = mailboxes(parsed.header_values(HeaderName::From));
    let names = |mailboxes: &[Mailbox]| mailboxes.iter().map(Mailbox::canonical).collect::<Vec<_>>();
    if !from.is_empty() && names(&from) != names(&message.from) {
        let inner = from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        message.problems.push(format!("the protected From is another one: {inner}"));
    }
    message.offered_certs.extend(autocrypt(parsed, &message.from).map(|cert| (Source::Autocrypt, cert)));
}

fn message_id(parsed: &mail_parser::Message<'_>) -> Option<String> {
    parsed.message_id().map(clean_id).filter(|id| !id.is_empty())
}

/// `References`; and the parents, nearest first.
fn thread(parsed: &mail_parser::Message<'_>) -> (Vec<String>, Vec<String>) {
    let references = ids(parsed.references());
    let mut parents = ids(parsed.in_reply_to());
    parents.extend(references.iter().rev().cloned());
    parents.dedup();
    (references, parents)
}

/// The subject of an entity's header, cleaned, on one line.
pub(super) fn subject(parsed: &mail_parser::Message<'_>) -> Option<String> {
    Some(clean_line(&veil::lifted(parsed.subject()?))).filter(|subject| !subject.is_empty())
}

/// A MIME entity begins with its fields or with the empty line after none; anything else is bare text, which some programs
/// encrypt as it is.
pub(super) fn is_entity(parsed: &mail_parser::Message<'_>, raw: &[u8]) -> bool {
    let known = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("content-") || matches!(name.as_str(), "mime-version" | "from" | "subject")
    };
    raw.starts_with(b"\n") || raw.starts_with(b"\r\n") || parsed.headers_raw().any(|(name, _)| known(name))
}

/// Makes text safe to show: no control characters but tab and line end, no bidirectional controls, CRLF as LF.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| {
            let bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}');
            let control = c.is_control() && !matches!(c, '\n' | '\t');
            !bidi && !control && *c != '\u{feff}'
        })
        .collect()
}

/// The same for what must stay on one line.
pub fn clean_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn date(value: &str) -> Option<Timestamp> {
    let date = DateTime::parse_rfc822(value.trim())?;
    Timestamp::from_second(date.to_timestamp()).ok()
}

fn clean_id(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).take(900).collect()
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        HeaderValue::Text(text) => vec![text.as_ref()],
        HeaderValue::TextList(list) => list.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    let ids: Vec<String> = texts.into_iter().map(clean_id).filter(|id| !id.is_empty()).collect();
    // the thread's beginning and its newest members are what leads to a case
    if ids.len() > MAX_IDS {
        ids.iter().take(1).chain(ids.iter().rev().take(MAX_IDS).rev()).cloned().collect()
    } else {
        ids
    }
}

fn mailboxes<'a>(values: impl Iterator<Item = &'a HeaderValue<'a>>) -> Vec<Mailbox> {
    values
        .filter_map(HeaderValue::as_address)
        .flat_map(Address::iter)
        .filter_map(|addr| {
            let address = clean_line(addr.address()?);
            let name = addr.name().map(clean_line).filter(|name| !name.is_empty());
            (!address.is_empty()).then_some(Mailbox { name, address })
        })
        .take(MAX_MAILBOXES)
        .collect()
}

/// `X-Original-From`, which the parser does not know for an address.
fn original_from(parsed: &mail_parser::Message<'_>) -> Vec<Mailbox> {
    let named = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("x-original-from");
    let fields = parsed.headers_raw().filter(named).map(|(_, value)| format!("From: {}\n", value.trim_end()));
    let fields: String = fields.collect();
    let read = mime::parser().parse_headers(fields.as_bytes());
    read.map(|read| mailboxes(read.header_values(HeaderName::From))).unwrap_or_default()
}

/// Whom the header names as its recipients: those its author wrote, and those the servers on the way noted.
fn recipients(parsed: &mail_parser::Message<'_>) -> Vec<String> {
    let mut recipients = to_and_cc(parsed);
    for (name, value) in parsed.headers_raw() {
        let noted = ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to"];
        if noted.iter().any(|known| name.eq_ignore_ascii_case(known)) && recipients.len() < MAX_MAILBOXES {
            let address = canonical(&clean_line(value));
            recipients.push(address.trim_start_matches('<').trim_end_matches('>').to_owned());
        }
    }
    recipients
}

fn to_and_cc(parsed: &mail_parser::Message<'_>) -> Vec<String> {
    let values = parsed.header_values(HeaderName::To).chain(parsed.header_values(HeaderName::Cc));
    mailboxes(values).iter().map(Mailbox::canonical).collect()
}

fn return_path(parsed: &mail_parser::Message<'_>) -> ReturnPath {
    match parsed.header_raw(HeaderName::ReturnPath).map(str::trim) {
        None | Some("") => ReturnPath::Unknown,
        Some(text) => match text.trim_start_matches('<').trim_end_matches('>').trim() {
            "" => ReturnPath::Null,
            address => ReturnPath::Address(clean_line(address)),
        },
    }
}

fn marks(parsed: &mail_parser::Message<'_>) -> Marks {
    let mut marks = Marks::default();
    for (name, value) in parsed.headers_raw() {
        let name = name.to_ascii_lowercase();
        let keyword = || keyword(value);
        match name.as_str() {
            "auto-submitted" => marks.auto_submitted = Some(keyword()),
            "precedence" => marks.precedence = Some(keyword()),
            "x-auto-response-suppress" => marks.suppress = Some(keyword()),
            "received" => marks.hops = marks.hops.saturating_add(1),
            "x-spam-flag" | "x-spam" | "x-spam-status" => marks.junk |= keyword().starts_with("yes"),
            "x-ms-exchange-organization-scl" => {
                marks.junk |= keyword().parse::<i8>().is_ok_and(|level| level >= 5)
            }
            "x-forefront-antispam-report" => marks.junk |= condemned_by_exchange(value),
            "list-id" => {
                marks.list_ids.extend(list_id(value));
                marks.list.push(name);
            }
            _ if is_of_ticket_system(&name) => marks.ticket = marks.ticket.take().or(Some(name)),
            "list-help" | "list-subscribe" | "list-unsubscribe" | "list-post" | "list-owner"
            | "list-archive" => {
                marks.list.push(name);
            }
            "x-autoreply"
            | "x-autorespond"
            | "x-auto-reply-from"
            | "x-autoreply-from"
            | "x-failed-recipients"
            | "x-ms-exchange-inbox-rules-loop"
            | "feedback-id" => marks.robots.push(name),
            _ => {}
        }
    }
    // list-id first: it is the most telling
    marks.list.sort_by_key(|name| name != "list-id");
    marks
}

/// The id in `List-Id: The list <list.example.org>` (RFC 2919).
fn list_id(value: &str) -> Option<String> {
    let inside = value.rsplit_once('<').and_then(|(_, rest)| rest.split('>').next()).unwrap_or(value);
    let id = clean_line(inside).to_lowercase();
    (!id.is_empty() && id.len() <= 255).then_some(id)
}

/// Exchange Online's filter calls it spam, bulk or phishing, and no rule of the reader's says otherwise.
fn condemned_by_exchange(value: &str) -> bool {
    let says = |name: &str| {
        value.split(';').filter_map(|pair| pair.trim().split_once(':')).find(|(key, _)| *key == name)
    };
    says("SFV").is_some_and(|(_, verdict)| matches!(verdict, "SPM" | "SKB" | "SKS" | "BLK"))
        || says("CAT").is_some_and(|(_, category)| {
            matches!(category, "SPM" | "HSPM" | "PHSH" | "HPHISH" | "HPHSH" | "MALW")
        })
}

/// Fields that only ticket systems, trackers and the robots of vendors write.
fn is_of_ticket_system(name: &str) -> bool {
    const NAMES: [&str; 20] = [
        "rt-ticket",
        "rt-originator",
        "x-rt-loop-prevention",
        "x-rt-original-encoding",
        "x-otrs-loop",
        "x-zammad-ticket-id",
        "x-zendesk-from-account-id",
        "x-zendesk-priority-mail",
        "x-freshdesk-ticket-id",
        "x-jira-fingerprint",
        "x-bugzilla-reason",
        "x-bugzilla-type",
        "x-redmine-project",
        "x-redmine-issue-id",
        "x-trac-version",
        "x-gitlab-project",
        "x-github-reason",
        "x-github-sender",
        "x-launchpad-bug",
        "x-sfdc-lk",
    ];
    NAMES.contains(&name)
}

/// What a `multipart/report` reports; and what a part reports outside one (bounces of some servers, or what a person attached).
pub(super) fn report_types(parsed: &mail_parser::Message<'_>) -> (Option<String>, Option<String>) {
    match report_type(parsed) {
        Some(report) => (Some(report), None),
        None => (None, reporting_part(parsed)),
    }
}

fn report_type(parsed: &mail_parser::Message<'_>) -> Option<String> {
    let root = parsed.content_type()?;
    if root.ctype().eq_ignore_ascii_case("multipart")
        && root.subtype().is_some_and(|sub| sub.eq_ignore_ascii_case("report"))
    {
        let named = root.attribute("report-type").map(|kind| clean_line(kind).to_ascii_lowercase());
        return Some(named.or_else(|| reporting_part(parsed)).unwrap_or_default());
    }
    None
}

/// What the parts report.
fn reporting_part(parsed: &mail_parser::Message<'_>) -> Option<String> {
    parsed.parts.iter().find_map(|part| {
        let said = match mime::media_type(part).as_str() {
            "message/delivery-status" | "message/global-delivery-status" => "delivery-status",
            "message/disposition-notification" | "message/global-disposition-notification" => {
                "disposition-notification"
            }
            "message/feedback-report" => "feedback-report",
            _ => return None,
        };
        Some(said.to_owned())
    })
}

/// A field's keyword: lower case, without comments and parameters (`auto-generated; x=y (why)`).
fn keyword(value: &str) -> String {
    let mut depth = 0_u32;
    let bare: String = value
        .chars()
        .filter(|c| {
            let inside = depth > 0;
            match c {
                '(' => depth = depth.saturating_add(1),
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            !inside && *c != '('
        })
        .collect();
    let word = bare.split(';').next().unwrap_or_default();
    clean_line(word).to_lowercase().chars().take(80).collect()
}

/// The certificate of an Autocrypt header that is valid for the one author; two such headers are none.
fn autocrypt(parsed: &mail_parser::Message<'_>, from: &[Mailbox]) -> Option<Vec<u8>> {
    let [author] = from else { return None };
    let mut found = parsed
        .headers_raw()
        .filter(|(name, value)| name.eq_ignore_ascii_case("autocrypt") && value.len() <= MAX_AUTOCRYPT)
        .filter_map(|(_, value)| autocrypt_key(value, author));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The key of one such header. An attribute that is not known makes it void, unless its name begins with “_”.
fn autocrypt_key(value: &str, author: &Mailbox) -> Option<Vec<u8>> {
    let (mut addr, mut data) = (None, None);
    for pair in value.split(';').filter(|pair| !pair.trim().is_empty()) {
        let (key, value) = pair.split_once('=')?;
        match key.trim().to_ascii_lowercase().as_str() {
            "addr" => addr = Some(canonical(value)),
            "prefer-encrypt" => {}
            // an earlier draft had it
            "type" if value.trim() == "1" => {}
            "keydata" => data = Some(value.split_whitespace().collect::<String>()),
            key if key.starts_with('_') => {}
            _ => return None,
        }
    }
    if addr? == author.canonical() { base64_decode(data?.as_bytes()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_lose_comments_and_parameters() {
        assert_eq!(keyword(" Auto-Generated; owner=x (a (nested) comment)"), "auto-generated");
        assert_eq!(keyword("(vacation) auto-replied"), "auto-replied");
        assert_eq!(keyword("no"), "no");
        assert_eq!(keyword("(((("), "");
    }

    #[test]
    fn an_autocrypt_field_must_be_for_the_author_and_hold_nothing_unknown() {
        let rita = Mailbox::bare("Rita@example.net");
        let key = |value: &str| autocrypt_key(value, &rita);
        assert_eq!(
            key("addr=rita@example.net; prefer-encrypt=mutual; _x=1; keydata=\n aGVs bG8="),
            Some(b"hello".to_vec())
        );
        assert_eq!(key("addr=rita@example.net; keydata=aGVsbG8=; new=1"), None);
        assert_eq!(key("addr=sam@example.com; keydata=aGVsbG8="), None);
        assert_eq!(key("keydata=aGVsbG8="), None);
        assert_eq!(key("addr=rita@example.net"), None);
    }

    #[test]
    fn clean_text_cannot_end_a_line_or_turn_it_round() {
        assert_eq!(clean_line("a\r\nBcc: x\u{202e}y\u{0}"), "a Bcc: xy");
        assert_eq!(clean("a\r\nb\tc"), "a\nb\tc");
    }

    #[test]
    fn a_subject_has_one_line() {
        let header = "Subject: =?utf-8?B?YQ0KQmNjOiB44oCueQ==?=\n\n";
        let parsed = mime::parser().parse_headers(header).unwrap();
        assert_eq!(subject(&parsed).as_deref(), Some("a Bcc: xy"));
    }

    #[test]
    fn the_type_of_a_report_is_safe_to_show() {
        let header = "Content-Type: multipart/report; report-type=\"De\0livery\u{202e}-Status\"\n\n";
        let parsed = mime::parser().parse_headers(header).unwrap();
        assert_eq!(report_type(&parsed).as_deref(), Some("delivery-status"));
    }
}
