//! What a bounce, a read receipt or a complaint says about a letter of ours.
//!
//! # What it is for
//! [`returned`] finds out which letter such a mail is about, by the ids that it gives back, and what became of it: in reports
//! made for machines first, then in the mail that was sent back, and in plain text only when those say nothing.
//!
//! # Invariants
//! * Never fails, and reads a bounded part of the mail, whatever that holds.
//! * Every text that leaves this file is display-safe, on one line and of limited length.
//! * It proves nothing: anybody can write such a mail, and whoever forwards a letter or quotes its header gives back its id just
//!   as a mail server does. Whether a machine wrote the mail is for its marks to say, and whose the ids are for the journal.
//!
//! # Standards
//! RFC 3464 and 6533 (delivery status), 3461 §4 (xtext), 3463 (status codes), 8098 (receipts), 5965 (complaints), 6522.

mod prose;

use std::borrow::Cow;

use mail_parser::{HeaderName, Message};

use crate::domain::message::{Action, Returned};
use crate::open::header::clean_line;
use crate::open::mime;

/// No more parts of a kind are looked at, and of each no more than its beginning. Bytes.
const MAX_PARTS: usize = 10;
const MAX_PART: usize = 64 * 1024;
/// No more recipients of one report.
const MAX_RECIPIENTS: usize = 50;
/// No more ids of a kind are gathered; RFC 5322 lets a line, and so an id, be this long.
const MAX_IDS: usize = 20;
const MAX_ID: usize = 900;
/// Other texts are cut here: no address (RFC 5321) and no envelope's id (RFC 3461) is longer. Characters.
const MAX_LINE: usize = 300;

/// A field of the outer header in which Exim, Gmail and others name who did not get the letter.
const FAILED: HeaderName<'static> = HeaderName::Other(Cow::Borrowed("X-Failed-Recipients"));

/// Reads it; `None` when nothing of the kind is in the mail. The mail may have been parsed under the veil.
pub(super) fn returned(parsed: &Message<'_>, raw: &[u8]) -> Option<Returned> {
    let mut found = Returned::default();
    reports(parsed, raw, &mut found);
    for mail in mails(parsed, raw) {
        // the header; some servers begin with empty lines
        groups(mail.trim_start()).first().into_iter().for_each(|header| ids(header, &mut found));
    }
    if let Some(failed) = parsed.header_raw(FAILED).filter(|_| found.action.is_none()) {
        found.action = Some(Action::Failed);
        found.recipient = found.recipient.or_else(|| address(failed.split(',').next()?));
    }
    if found.status.is_none() && found.diagnostic.is_none() && prose::is_from_server(parsed) {
        prose::words(parsed, raw, &mut found);
    }
    if found.message_ids.is_empty() {
        quoted(parsed, raw, &mut found);
    }
    (found != Returned::default()).then_some(found)
}

/// How to read the groups of a report.
fn reader(media_type: &str) -> Option<fn(&Group) -> Option<Returned>> {
    match media_type {
        "message/delivery-status" | "message/global-delivery-status" => Some(delivery),
        "message/disposition-notification" | "message/global-disposition-notification" => Some(receipt),
        "message/feedback-report" => Some(complaint),
        _ => None,
    }
}

/// Which of the fields are about the whole mail and which about one recipient, their names tell better than their order does:
/// some servers write no empty line between them, and some write several.
fn reports(parsed: &Message<'_>, raw: &[u8], found: &mut Returned) {
    let reports = parsed.parts.iter().filter_map(|part| Some((part, reader(&mime::media_type(part))?)));
    for (part, read) in reports.take(MAX_PARTS) {
        let mut recipients = 0_usize;
        for group in groups(&beginning(&mime::bytes_of(part, raw))) {
            ids(&group, found);
            if let Some(id) = group.get("original-envelope-id") {
                push(&mut found.envelope_ids, line(&xtext(id)));
                push(&mut found.envelope_ids, line(id));
            }
            found.by = found.by.take().or_else(|| host(group.get("reporting-mta")?));
            let Some(fate) = read(&group).filter(|fate| *fate != Returned::default()) else { continue };
            recipients = recipients.saturating_add(1);
            let rank = |one: &Returned| (one.action, one.recipient.is_some());
            if recipients <= MAX_RECIPIENTS && (rank(found) == (None, false) || rank(&fate) > rank(found)) {
                (found.recipient, found.action) = (fate.recipient, fate.action);
                (found.status, found.diagnostic) = (fate.status, fate.diagnostic);
            }
        }
    }
}

/// What came back: mails, or their headers alone.
fn mails<'a>(parsed: &'a Message<'a>, raw: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    let mails = parsed.parts.iter().filter(|part| is_mail(&mime::media_type(part)));
    mails.take(MAX_PARTS).map(|part| beginning(&mime::bytes_of(part, raw)))
}

fn is_mail(media_type: &str) -> bool {
    let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
    matches!(kind, "message" | "text")
        && matches!(subtype, "rfc822" | "rfc822-headers" | "global" | "global-headers")
}

/// The ids in a header or a report. Some servers give a mail another id on its way, and note the first one.
fn ids(group: &Group, found: &mut Returned) {
    let original = group.0.iter().filter(|(name, _)| name.ends_with("original-message-id"));
    let values = group.get("message-id").into_iter().chain(original.map(|(_, value)| value.as_str()));
    values.for_each(|value| push(&mut found.message_ids, id(value)));
}

/// Lines that look like fields of a header, in what came back and in the text.
fn quoted(parsed: &Message<'_>, raw: &[u8], found: &mut Returned) {
    let own = parsed.message_id().and_then(id);
    let bracketed = |value: &str| id(value).filter(|_| value.starts_with('<') && value.contains('>'));
    for text in mails(parsed, raw).chain(texts(parsed, raw)) {
        let mut lines = text.lines().map(|line| line.trim_start_matches(['>', '|', ' ', '\t'])).peekable();
        while let Some(line) = lines.next() {
            let id = match field(line) {
                // a long id stands in the next line
                Some((name, "")) if name == "message-id" => lines.peek().copied().and_then(bracketed),
                Some((name, value)) if name == "message-id" => bracketed(value),
                _ => None,
            };
            push(&mut found.message_ids, id.filter(|id| Some(id) != own.as_ref()));
        }
    }
}

/// The fields about one recipient (RFC 3464 §2.3).
fn delivery(group: &Group) -> Option<Returned> {
    let diagnostic = group.get("diagnostic-code").and_then(|value| line(untyped(value)));
    let status = group.get("status").and_then(status).or_else(|| status(diagnostic.as_deref()?));
    let action =
        group.get("action").and_then(Action::of).or_else(|| match status.as_deref()?.chars().next()? {
            '2' => Some(Action::Delivered),
            '4' => Some(Action::Delayed),
            _ => Some(Action::Failed),
        });
    Some(Returned { recipient: group.recipient(), action, status, diagnostic, ..Returned::default() })
}

/// A receipt (RFC 8098 §3.2). What a machine deletes unread, as Dovecot does with what it rejects, reached nobody.
fn receipt(group: &Group) -> Option<Returned> {
    let disposition = group.get("disposition")?;
    let lower = disposition.to_ascii_lowercase();
    let (mode, kind) = lower.split_once(';').unwrap_or_default();
    let action = match kind.split(['/', '(', ',']).next().unwrap_or_default().trim() {
        "deleted" if mode.contains("automatic-action") => Some(Action::Failed),
        "displayed" | "deleted" | "dispatched" | "processed" => Some(Action::Delivered),
        _ => None,
    };
    let why = ["failure", "error", "warning"].into_iter().find_map(|name| group.get(name));
    let (recipient, diagnostic) = (group.recipient(), line(why.unwrap_or(disposition)));
    Some(Returned { recipient, action, diagnostic, ..Returned::default() })
}

/// A complaint (RFC 5965 §3). That somebody complained does not say what happened to the letter before.
fn complaint(group: &Group) -> Option<Returned> {
    let recipient = group.get("original-rcpt-to").and_then(address);
    Some(Returned { recipient, diagnostic: group.get("feedback-type").and_then(line), ..Returned::default() })
}

impl Action {
    fn of(value: &str) -> Option<Self> {
        match value.trim_start().get(..4)?.to_ascii_lowercase().as_str() {
            "fail" | "expi" => Some(Self::Failed),
            "dela" => Some(Self::Delayed),
            "rela" => Some(Self::Relayed),
            "expa" => Some(Self::Expanded),
            "deli" => Some(Self::Delivered),
            _ => None,
        }
    }
}

/// Fields that stand together: their names in lower case, and their values, unfolded.
#[derive(Default)]
struct Group(Vec<(String, String)>);

impl Group {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The address that was written to before the one that it became, unless only that one is an address.
    fn recipient(&self) -> Option<String> {
        let named = ["original-recipient", "final-recipient"].map(|name| self.get(name).and_then(address));
        let best = named.iter().flatten().find(|address| address.contains('@')).cloned();
        best.or_else(|| named.into_iter().flatten().next())
    }
}

/// The groups of a text. A second recipient begins another group, with an empty line before it or without.
fn groups(text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut group = Group::default();
    for line in text.lines() {
        let folded = line.starts_with([' ', '\t']);
        let named = field(line).filter(|_| !folded);
        let second = named.as_ref().filter(|(name, _)| name == "final-recipient");
        let again = second.is_some_and(|(name, _)| group.get(name).is_some());
        if (line.is_empty() || again) && !group.0.is_empty() {
            groups.push(std::mem::take(&mut group));
        }
        if let Some((name, value)) = named {
            group.0.push((name, value.to_owned()));
        } else if let Some((_, value)) = group.0.last_mut().filter(|_| folded) {
            value.push(' ');
            value.push_str(line.trim());
        }
    }
    groups.push(group);
    groups
}

/// The name of a field, in lower case, and its value; of a folded one, its beginning.
fn field(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    let is_name = !name.is_empty() && name.len() < 80 && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| (name.to_ascii_lowercase(), value.trim()))
}

/// The beginning of a part, as text.
fn beginning(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..MAX_PART).unwrap_or(bytes)).into_owned()
}

/// The texts of a mail, which may stand in a file beside another text.
fn texts<'a>(parsed: &'a Message<'a>, raw: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    let parts = parsed.parts.iter().filter(|part| part.is_text() && !is_mail(&mime::media_type(part)));
    let texts = parts.take(MAX_PARTS).filter_map(|part| mime::text_of(part, raw));
    texts.map(|text| beginning(text.as_bytes()))
}

/// The first status code (RFC 3463) in a text.
fn status(text: &str) -> Option<String> {
    let number = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    words.find_map(|word| {
        let word = word.trim_end_matches('.');
        let (class, rest) = word.split_once('.').unwrap_or_default();
        let (subject, detail) = rest.split_once('.')?;
        (matches!(class, "2" | "4" | "5") && number(subject) && number(detail)).then(|| word.to_owned())
    })
}

/// What follows the type in `smtp; 550 No such user`.
fn untyped(value: &str) -> &str {
    match value.split_once(';') {
        Some((kind, rest)) if !kind.trim().contains([' ', '@', '<', '"']) => rest.trim(),
        _ => value,
    }
}

/// An address with or without its type, comment and angle brackets; RFC 6533 §3 writes what is not ASCII as `\x{…}`.
fn address(value: &str) -> Option<String> {
    let is_utf8 = value.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("utf-8"));
    let bare = untyped(value).split(" (").next()?.trim().trim_start_matches('<').trim_end_matches('>');
    if is_utf8 { line(&unitext(bare)) } else { line(bare) }
}

/// The host in `dns; mail.example.com (192.0.2.1)`.
fn host(value: &str) -> Option<String> {
    line(untyped(value).split([' ', '(', '[']).next()?)
}

/// A Message-ID without its angle brackets, in the form in which those of a header are kept.
fn id(value: &str) -> Option<String> {
    let inner = value.split_once('<').map_or(value, |(_, after)| after.split('>').next().unwrap_or_default());
    let id = inner.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).take(MAX_ID);
    Some(id.collect::<String>()).filter(|id| id.contains('@'))
}

/// Safe to show, on one line; `None` when nothing is left.
fn line(text: &str) -> Option<String> {
    let text: String = clean_line(text).chars().take(MAX_LINE).collect();
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

fn push(to: &mut Vec<String>, value: Option<String>) {
    to.extend(value.filter(|value| to.len() < MAX_IDS && !to.contains(value)));
}

/// RFC 3461 §4: `+` and two capital hexadecimal digits stand for a byte.
fn xtext(text: &str) -> String {
    let hex = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_lowercase());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.first_chunk().filter(|_| *first == b'+');
        let coded = digits.and_then(|[high, low]| u8::try_from((hex(*high)? << 4) | hex(*low)?).ok());
        bytes.push(coded.unwrap_or(*first));
        rest = coded.and(after.get(2..)).unwrap_or(after);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 6533 §3: `\x{E9}` stands for é.
fn unitext(text: &str) -> String {
    let mut pieces = text.split("\\x{");
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, after) = piece.split_once('}').unwrap_or(("", piece));
        let c = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        whole.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        whole.push_str(after);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::veil;
    use proptest::prelude::*;

    /// As `open` does it, and without the veil: both must say the same.
    fn read(mail: &str) -> Option<Returned> {
        let veiled = veil::drawn(mail.as_bytes());
        let found = returned(&mime::parser().parse(veiled.as_ref()).unwrap(), mail.as_bytes());
        assert_eq!(found, returned(&mime::parser().parse(mail.as_bytes()).unwrap(), mail.as_bytes()));
        found
    }

    /// A report as servers write it. Each part is its type and fields, an empty line, and its body.
    fn report(kind: &str, parts: &[&str]) -> String {
        let parts: String = parts.iter().map(|part| format!("--b\nContent-Type: {part}\n")).collect();
        format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nMessage-ID: <bounce@mx.example.net>\n\
             MIME-Version: 1.0\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n{parts}--b--\n"
        )
    }

    /// A mail of a server without a report.
    fn prose(fields: &str, text: &str) -> String {
        format!(
            "From: Mail Delivery System <Mailer-Daemon@mx.example.net>\n{fields}Message-ID: <bounce@mx.example.net>\n\n{text}"
        )
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    const LETTER: &str = "message/rfc822\n\nReceived: by a; now\nMessage-ID: <ack.1@desk.example>\nReferences: <other@x>\n\nbody";

    #[test]
    fn a_bounce_of_postfix() {
        let status = "message/delivery-status\nContent-Description: Delivery report\n\n\
            Reporting-MTA: dns; mx.example.net\nX-Postfix-Queue-ID: 1EDF\nOriginal-Envelope-Id: case-7\n\n\
            Final-Recipient: rfc822; y@example.org\nOriginal-Recipient: rfc822;x@example.org\nAction: failed\n\
            Status: 5.1.1\nRemote-MTA: dns; mx.example.org\n\
            Diagnostic-Code: smtp; 550 5.1.1 <x@example.org>:\n    user unknown\n";
        let mail =
            report("delivery-status", &["text/plain\n\nI'm sorry.\nMessage-ID: <no@x>\n", status, LETTER]);
        let expected = Returned {
            envelope_ids: vec!["case-7".to_owned()],
            message_ids: vec!["ack.1@desk.example".to_owned()],
            recipient: some("x@example.org"),
            action: Some(Action::Failed),
            status: some("5.1.1"),
            diagnostic: some("550 5.1.1 <x@example.org>: user unknown"),
            by: some("mx.example.net"),
        };
        assert_eq!(read(&mail), Some(expected.clone()));
        assert_eq!(read(&mail.replace('\n', "\r\n")), Some(expected));
    }

    #[test]
    fn of_two_recipients_the_one_that_failed() {
        let status = "message/delivery-status\n\nreporting-mta: DNS;mx.example.net (192.0.2.1)\n\n\n\
            FINAL-RECIPIENT: RFC822; good@example.org\nACTION: Delivered (to mailbox)\nSTATUS: 2.0.0 (fine)\n\n\
            Final-Recipient: rfc822; <bad@example.org> (Bad)\nAction: FAILED\nStatus: 5.2.2 (full)\n\n\
            Final-Recipient: rfc822; worse@example.org\nAction: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 550 no\n";
        let found = read(&report("delivery-status", &[status])).unwrap();
        assert_eq!((found.recipient, found.status), (some("bad@example.org"), some("5.2.2")));
        assert_eq!(
            (found.action, found.by, found.diagnostic),
            (Some(Action::Failed), some("mx.example.net"), None)
        );
        // without the empty lines
        let found = read(&report("delivery-status", &[&status.replace("\n\nFinal", "\nFinal")])).unwrap();
        assert_eq!((found.recipient, found.action), (some("bad@example.org"), Some(Action::Failed)));
    }

    #[test]
    fn a_delay() {
        let status = "message/delivery-status\n\nReporting-MTA: dns; mx.example.net\nArrival-Date: now\n\n\
            Final-Recipient: rfc822; x@example.org\nAction: delayed\nStatus: 4.4.1\nWill-Retry-Until: later\n";
        let headers = "text/rfc822-headers\n\nMessage-Id:\n <ack.2@desk.example>\nSubject: x";
        let found = read(&report("delivery-status", &[status, headers])).unwrap();
        assert_eq!((found.action, found.status), (Some(Action::Delayed), some("4.4.1")));
        assert_eq!(found.message_ids, ["ack.2@desk.example"]);
    }

    #[test]
    fn a_report_in_base64_or_quoted_printable() {
        let quoted = "message/delivery-status\nContent-Transfer-Encoding: quoted-printable\n\n\
            Final-Recipient: rfc822; x=40example.org\nAction: fai=\nled\nStatus: 5.1.1\n";
        // the same without the soft line end
        let coded = "message/delivery-status\nContent-Transfer-Encoding: base64\n\n\
            RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IHhAZXhhbXBsZS5vcmcKQWN0aW9uOiBmYWlsZWQKU3Rh\ndHVzOiA1LjEuMQo=\n";
        for part in [quoted, coded] {
            let found = read(&report("delivery-status", &[part])).unwrap();
            assert_eq!((found.recipient, found.action), (some("x@example.org"), Some(Action::Failed)));
            assert_eq!(found.status, some("5.1.1"));
        }
    }

    #[test]
    fn addresses_that_are_not_ascii() {
        let status = "message/global-delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
            Final-Recipient: utf-8; jos\\x{E9}@example.org\nAction: failed\nStatus: 5.1.1\n\
            Diagnostic-Code: smtp; 550 5.1.1 <josé@example.org>\n";
        for back in ["message/global", "message/global-headers"] {
            let back = format!("{back}\n\nMessage-ID: <ack.3@desk.example>\nTo: josé@example.org\n\nbody");
            let found = read(&report("global-delivery-status", &[status, &back])).unwrap();
            assert_eq!(found.recipient, some("josé@example.org"));
            assert_eq!(found.diagnostic, some("550 5.1.1 <josé@example.org>"));
            assert_eq!(found.message_ids, ["ack.3@desk.example"]);
        }
        assert_eq!(address("utf-8; jos\\x{110000}\\x{@x").as_deref(), Some("jos\u{fffd}\u{fffd}@x"));
    }

    #[test]
    fn a_bounce_of_exim() {
        let text = "This message was created automatically by mail delivery software.\n\nA message that you sent could \
            not be delivered to one or more of its\nrecipients. This is a permanent error.\n\n  x@example.org\n    \
            host mx.example.org [192.0.2.4]: 550 5.1.1 <x@example.org>: unknown\n\n\
            ------ This is a copy of the message, including all the headers. ------\n\n\
            Received: by a\n\t552 not this\nMessage-Id: <ack.4@desk.example>\n\nbody\n";
        let found = read(&prose("X-Failed-Recipients: x@example.org,\n  y@example.org\n", text)).unwrap();
        assert_eq!((found.recipient, found.action), (some("x@example.org"), Some(Action::Failed)));
        assert_eq!(found.status, some("5.1.1"));
        assert_eq!(found.diagnostic, some("550 5.1.1 <x@example.org>: unknown"));
        assert_eq!(found.message_ids, ["ack.4@desk.example"]);
    }

    #[test]
    fn a_bounce_of_exchange() {
        let text = "text/plain\n\nYour message\n  To: x@example.org\ndid not reach the following recipient(s):\n\n\
            x@example.org on Thu, 29 Apr 2010\n    The recipient name is not recognized\n    MSEXCH:IMS 0 (000C05A6)\n";
        let found =
            read(&report("x", &[text, LETTER]).replace("multipart/report", "multipart/mixed")).unwrap();
        assert_eq!((found.action, found.status), (Some(Action::Failed), None));
        assert_eq!(found.message_ids, ["ack.1@desk.example"]);
        // Exchange Online gives a mail another id, and all fields stand in one group
        let status = "message/delivery-status\n\nReporting-MTA: dns;x.prod.outlook.com\nFinal-Recipient: rfc822;x@example.org\n\
            Action: failed\nStatus: 5.1.10\nDiagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found\n";
        let back = "message/rfc822\n\nMessage-ID: <new@outlook.com>\nX-Microsoft-Original-Message-ID: <ack.5@desk.example>\n";
        let found = read(&report("delivery-status", &[status, back])).unwrap();
        assert_eq!(found.message_ids, ["new@outlook.com", "ack.5@desk.example"]);
        assert_eq!(found.status, some("5.1.10"));
        assert_eq!(found.diagnostic, some("550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found"));
        assert_eq!(found.by, some("x.prod.outlook.com"));
    }

    #[test]
    fn a_bounce_of_qmail() {
        let text = "Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your \
            message to the following addresses.\nThis is a permanent error; I've given up.\n\n<x@example.org>:\n\
            Sorry, I couldn't find any host named example.org. (#5.1.2)\n\n\
            --- Below this line is a copy of the message.\n\nReturn-Path: <desk@desk.example>\n\
            Received: (qmail 1)\nMessage-ID: <ack.6@desk.example>\n\nbody\n";
        let found = read(&prose("", text)).unwrap();
        assert_eq!((found.recipient, found.action), (some("x@example.org"), Some(Action::Failed)));
        assert_eq!(found.status, some("5.1.2"));
        assert_eq!(found.diagnostic, some("Sorry, I couldn't find any host named example.org. (#5.1.2)"));
        assert_eq!(found.message_ids, ["ack.6@desk.example"]);
    }

    #[test]
    fn a_receipt() {
        let receipt = |disposition: &str| {
            let part = format!(
                "message/disposition-notification\n\nReporting-UA: pc; Mail 1.0\nOriginal-Recipient: rfc822;x@example.org\n\
                 Final-Recipient: rfc822;y@example.org\nOriginal-Message-ID: <ack.7@desk.example>\nDisposition: {disposition}\n"
            );
            read(&report("disposition-notification", &["text/plain\n\nread\n", &part])).unwrap()
        };
        let found = receipt("manual-action/MDN-sent-manually; displayed");
        assert_eq!((found.action, found.recipient), (Some(Action::Delivered), some("x@example.org")));
        assert_eq!(found.message_ids, ["ack.7@desk.example"]);
        assert_eq!(found.diagnostic, some("manual-action/MDN-sent-manually; displayed"));
        assert_eq!(receipt("manual-action/MDN-sent-manually; deleted").action, Some(Action::Delivered));
        assert_eq!(
            receipt("automatic-action/MDN-sent-automatically; deleted/x").action,
            Some(Action::Failed)
        );
        assert_eq!(receipt("nonsense").action, None);
    }

    #[test]
    fn a_complaint() {
        let part = "message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: X/1\nVersion: 1\n\
            Original-Envelope-Id: case+2B7\nOriginal-Rcpt-To: <x@example.org>\nReporting-MTA: dns; mx.example.net\n";
        let found = read(&report("feedback-report", &["text/plain\n\nspam\n", part, LETTER])).unwrap();
        assert_eq!((found.action, found.diagnostic), (None, some("abuse")));
        assert_eq!((found.recipient, found.by), (some("x@example.org"), some("mx.example.net")));
        assert_eq!(found.message_ids, ["ack.1@desk.example"]);
        assert_eq!(found.envelope_ids, ["case+7", "case+2B7"]);
    }

    #[test]
    fn xtext_is_decoded() {
        assert_eq!(xtext("a+2Bb+3Dc+"), "a+b=c+");
        assert_eq!(xtext("a+2b+4"), "a+2b+4");
        assert_eq!(xtext("+C3+A9+00"), "é\0");
        let part = "message/delivery-status\n\nOriginal-Envelope-Id: a+0D+0ABcc:+20x\n";
        assert_eq!(read(&report("x", &[part])).unwrap().envelope_ids, ["a Bcc: x", "a+0D+0ABcc:+20x"]);
    }

    #[test]
    fn quoted_headers_are_the_last_resort() {
        let text = "hello\n> > Message-ID: <a@x>\n  message-id:\n  <b@x>\nMessage-Id: <bounce@mx.example.net>\n\
            Message-ID: none\nthe Message-ID: <c@x>\n";
        let found = read(&format!("From: a@b.example\n\n{text}")).unwrap();
        assert_eq!(found.message_ids, ["a@x", "b@x", "bounce@mx.example.net"]);
        assert_eq!(Returned { message_ids: Vec::new(), ..found }, Returned::default());
        // its own id is not the id of what came back
        assert_eq!(read(&prose("", text)).unwrap().message_ids, ["a@x", "b@x"]);
        let many: String = (0..100).map(|n| format!("Message-ID: <{n}@x>\n")).collect();
        assert_eq!(read(&prose("", &many)).unwrap().message_ids.len(), MAX_IDS);
    }

    #[test]
    fn what_is_nothing_of_the_kind() {
        assert_eq!(
            read("From: a@b.example\nMessage-ID: <a@b.example>\n\nYour server says\n550 5.1.1 unknown\n"),
            None
        );
        assert_eq!(
            read(&prose("", "It is 5.30 in room 550. Version 5.1.1 is out, on port:443, on 192.0.2.5.\n")),
            None
        );
        assert_eq!(read(&prose("", "")), None);
        assert_eq!(
            read(&report("delivery-status", &["message/delivery-status\n\n\n: x\nAction\n\u{1}\n"])),
            None
        );
    }

    #[test]
    fn it_is_bounded_and_safe_to_show() {
        let group = |n: usize| format!("Final-Recipient: rfc822; {n}@x\nAction: delayed\n\n");
        let status: String = (0..MAX_RECIPIENTS).map(group).collect();
        let last = "Final-Recipient: rfc822; last@x\nAction: failed\n";
        let part = format!("message/delivery-status\n\nReporting-MTA: dns; x\n\n{status}{last}");
        assert_eq!(read(&report("x", &[&part])).unwrap().recipient, some("0@x"));
        let part = format!(
            "message/delivery-status\n\nDiagnostic-Code: smtp; \u{202e}\u{7}é{}\n",
            "é".repeat(99_000)
        );
        assert_eq!(read(&report("x", &[&part])).unwrap().diagnostic, some(&"é".repeat(MAX_LINE)));
        // what a line costs grows with its length alone
        for line in [
            "4,",
            "4 ",
            "#4",
            "4.4.",
            "550 ",
            "5",
            "\\x{",
            "final-recipient:\n",
            "final-recipient:a\n",
            ":\n",
            "Message-ID:\n",
        ] {
            let line = line.repeat(200_000);
            read(&prose("", &line));
            read(&report(
                "x",
                &[&format!("message/delivery-status\n\n{line}"), &format!("message/rfc822\n\n{line}")],
            ));
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let veiled = veil::drawn(&bytes);
            if let Some(parsed) = mime::parser().parse(veiled.as_ref()) {
                returned(&parsed, &bytes);
                // nor when the bytes are not those that were parsed
                returned(&parsed, bytes.get(1..).unwrap_or_default());
            }
        }

        #[test]
        fn never_panics_inside_a_report(
            kind in proptest::sample::select(vec!["message/delivery-status", "message/rfc822", "text/plain",
                "message/disposition-notification", "message/feedback-report", "message/global-headers"]),
            body in "(([A-Za-z-]{1,9}|Status|Action|Diagnostic-Code|Original-Envelope-Id|Message-ID|Final-Recipient|Disposition)?\
                :( ?(rfc822|utf-8|smtp|dns)?;)?[ -~é\u{202e}+<>.0-9\\\\{}]{0,30}\r?\n[ \n]?){0,12}",
        ) {
            let found = read(&report("delivery-status", &[&format!("{kind}\n\n{body}")]));
            if let Some(Returned { envelope_ids, message_ids, recipient, status, diagnostic, by, .. }) = found {
                let texts = envelope_ids.into_iter().chain(message_ids);
                for text in texts.chain(recipient).chain(status).chain(diagnostic).chain(by) {
                    prop_assert!(!text.is_empty() && text.len() <= 4 * MAX_ID);
                    prop_assert_eq!(clean_line(&text), text);
                }
            }
        }
    }
}
