//! What a mail is, and whether it deserves an automatic answer. Two decisions, never one.
//!
//! # Invariants
//! * A rule that takes away the answer never takes away the case: only a mail that *answers or reports on a mail somebody
//!   sent* (bounce, vacation, receipt, complaint) opens none.
//! * A missing `Return-Path` is unknown, not null.
//! * Words alone (a subject like "Undelivered Mail") take away the answer at most, never the case: a report may speak of bounces.
//!
//! # Standards
//! RFC 3834 §2 (psirtd is a *service responder*: mail to the desk's address is a request to a service, so the answer goes to
//! From, and this page documents it), RFC 5230 §4.6 (list fields, robot addresses), RFC 3464, RFC 8098, RFC 5965.

use serde::{Deserialize, Serialize};

use crate::domain::message::{Mailbox, Message, ReturnPath};
use crate::domain::policy::Policy;

/// A mail that passed more servers than this is in a loop.
const MAX_HOPS: usize = 50;

/// What a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A new report.
    Report,
    /// A mail in the thread of a case.
    Reply,
    /// Written by a machine: vacation, notification, receipt.
    Automatic,
    /// A server's word about a mail that did not arrive.
    Bounce,
    /// Came through a mailing list.
    List,
    /// A filter in front of the mailbox condemned it.
    Junk,
}

impl Kind {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Reply => "reply",
            Self::Automatic => "automatic",
            Self::Bounce => "bounce",
            Self::List => "list",
            Self::Junk => "junk",
        }
    }
}

/// The two decisions about a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    /// What it is.
    pub kind: Kind,
    /// It may become a case.
    pub opens_case: bool,
    /// It exists only because somebody sent a mail: a bounce, a vacation, a receipt, a complaint.
    pub answers_a_mail: bool,
    /// Why no automatic answer goes out; none when one may.
    pub why_no_answer: Option<String>,
}

/// Judges a mail. `in_thread`: its Message-ID chain leads to a case.
pub fn judge(message: &Message, policy: &Policy, in_thread: bool) -> Intake {
    let answers_a_mail = answers_a_mail(message, in_thread);
    let mut why_no_answer = why_no_answer(message, policy);
    let kind = if is_bounce(message) || reads_like_a_bounce(message) {
        Kind::Bounce
    } else if answers_a_mail
        || reads_like_an_automatic_reply(message)
        || message.marks.auto_submitted.as_deref().is_some_and(|value| value != "no")
    {
        Kind::Automatic
    } else if in_thread {
        why_no_answer = why_no_answer.or_else(|| Some("follow-up of a case".to_owned()));
        Kind::Reply
    } else if message.marks.junk {
        Kind::Junk
    } else if !message.marks.list.is_empty() {
        Kind::List
    } else if message.marks.precedence.as_deref().is_some_and(is_robot_precedence)
        || !message.marks.robots.is_empty()
        || message.return_path == ReturnPath::Null
    {
        Kind::Automatic
    } else {
        Kind::Report
    };
    Intake { kind, opens_case: !in_thread && !answers_a_mail, answers_a_mail, why_no_answer }
}

/// The first rule that forbids an automatic answer, in a few words.
fn why_no_answer(message: &Message, policy: &Policy) -> Option<String> {
    let marks = &message.marks;
    if message.return_path == ReturnPath::Null {
        return Some("null return-path".to_owned());
    }
    if let Some(value) = marks.auto_submitted.as_deref().filter(|value| *value != "no") {
        return Some(format!("auto-submitted: {value}"));
    }
    if let Some(report) = &marks.report {
        return Some(format!("multipart/report: {report}"));
    }
    if let Some(field) = marks.list.first() {
        return Some(field.clone());
    }
    if let Some(value) = marks.precedence.as_deref().filter(|value| is_robot_precedence(value)) {
        return Some(format!("precedence: {value}"));
    }
    if let Some(value) = marks.suppress.as_deref().filter(|value| suppresses(value)) {
        return Some(format!("x-auto-response-suppress: {value}"));
    }
    if let Some(field) = marks.robots.first() {
        return Some(field.clone());
    }
    if marks.junk {
        return Some("marked as junk".to_owned());
    }
    if marks.hops > MAX_HOPS {
        return Some(format!("{} hops: a mail loop", marks.hops));
    }
    if reads_like_a_bounce(message) {
        return Some("reads like a bounce".to_owned());
    }
    if reads_like_an_automatic_reply(message) {
        return Some("reads like an automatic reply".to_owned());
    }
    why_no_answer_to(message, policy)
}

/// The same, for reasons that lie in the author's address.
fn why_no_answer_to(message: &Message, policy: &Policy) -> Option<String> {
    let Some(author) = message.author() else {
        return Some(format!("From names {} mailboxes", message.from.len()));
    };
    if !is_address(&author.address) {
        return Some("From is no address that can be answered".to_owned());
    }
    if policy.is_own(&author.address) {
        return Some("from the desk itself".to_owned());
    }
    let local = author.local_part();
    is_robot(&local).then(|| format!("robot address: {local}"))
}

/// `local@domain`, and nothing that could end a line or an address early.
pub fn is_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = |text: &str| {
        !text.is_empty()
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"@".contains(c))
    };
    address.len() <= 254
        && plain(local)
        && plain(domain)
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

/// RFC 5230 §4.6: addresses behind which no person reads.
fn is_robot(local: &str) -> bool {
    const NAMES: [&str; 8] =
        ["mailerdaemon", "postmaster", "listserv", "majordomo", "noreply", "donotreply", "bounce", "bounces"];
    // no-reply, no_reply, post_master
    let bare: String = local.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    NAMES.contains(&bare.as_str())
        || local.starts_with("owner-")
        || local.starts_with("bounce-")
        || local.starts_with("bounces-")
        || local.starts_with("bounce+")
        || local.starts_with("bounces+")
        || local.starts_with("noreply-")
        || local.starts_with("noreply+")
        || local.starts_with("no-reply-")
        || local.starts_with("no-reply+")
        || ["-request", "-owner", "-bounces", "-bounce", "-noreply", "-no-reply"]
            .iter()
            .any(|end| local.ends_with(end))
}

fn is_robot_precedence(value: &str) -> bool {
    matches!(value, "bulk" | "junk" | "list" | "auto_reply")
}

fn suppresses(value: &str) -> bool {
    value.split(',').any(|word| matches!(word.trim(), "all" | "oof" | "autoreply"))
}

/// A server's word about a mail, by what only servers write.
fn is_bounce(message: &Message) -> bool {
    let local = message.author().map(Mailbox::local_part).unwrap_or_default();
    let daemon = matches!(local.as_str(), "mailer-daemon" | "mailerdaemon");
    let null = message.return_path == ReturnPath::Null;
    let robots = &message.marks.robots;
    message.marks.report.as_deref() == Some("delivery-status")
        || robots.iter().any(|field| field == "x-failed-recipients")
        || daemon
        || (local == "postmaster" && (null || announces_failure(message)))
        || (null && (announces_failure(message) || (is_robot(&local) && carries_a_mail(message))))
}

/// The same, by its words: servers that send bounces under a person's address, with a sender that could be answered.
fn reads_like_a_bounce(message: &Message) -> bool {
    announces_failure(message) && (carries_a_mail(message) || tells_of_failure(&message.text))
}

/// The subject that servers give their bounces. An answer to one ("Re: Undelivered Mail") is a person's.
fn announces_failure(message: &Message) -> bool {
    const BEGINNINGS: [&str; 11] = [
        "undeliver",
        "delivery status notification",
        "delivery failure",
        "delivery notification",
        "delivery report",
        "failure notice",
        "mail delivery",
        "mail system error",
        "non-delivery",
        "returned mail",
        "there was an error sending your mail",
    ];
    const PLACES: [&str; 2] = ["could not be delivered", "returned to sender"];
    let subject = message.subject.as_deref().unwrap_or_default().to_lowercase();
    BEGINNINGS.iter().any(|words| subject.starts_with(words))
        || (!subject.starts_with("re:") && PLACES.iter().any(|words| subject.contains(words)))
}

fn carries_a_mail(message: &Message) -> bool {
    let is_mail = |media_type: &str| {
        matches!(media_type, "message/rfc822" | "text/rfc822-headers" | "message/delivery-status")
    };
    message.attachments.iter().any(|attachment| is_mail(&attachment.media_type))
}

/// What servers write into their bounces.
fn tells_of_failure(text: &str) -> bool {
    const WORDS: [&str; 9] = [
        "could not be delivered",
        "couldn't be delivered",
        "not been delivered",
        "was not delivered",
        "undeliverable",
        "unable to deliver",
        "wasn't able to deliver",
        "delivery has failed",
        "user unknown",
    ];
    let text = text.to_lowercase();
    WORDS.iter().any(|words| text.contains(words))
}

/// The subject that mail programs give an absence note; RFC 3834 wants a header too, but not all write one.
fn reads_like_an_automatic_reply(message: &Message) -> bool {
    const BEGINNINGS: [&str; 6] = [
        "automatic reply:",
        "auto reply",
        "auto-reply",
        "autoreply",
        "out of office",
        "automatische antwort:",
    ];
    let subject = message.subject.as_deref().unwrap_or_default().to_lowercase();
    BEGINNINGS.iter().any(|words| subject.starts_with(words))
}

/// It exists only because somebody sent a mail: an automatic reply, a receipt, a complaint, a bounce. What ticket systems
/// write, too (`Precedence: bulk`, in somebody's thread, from nobody), proves it only in a thread of our own.
fn answers_a_mail(message: &Message, in_thread: bool) -> bool {
    let marks = &message.marks;
    let auto = marks.auto_submitted.as_deref().unwrap_or("no");
    let robot_null = message.return_path == ReturnPath::Null && in_thread;
    let precedence = marks.precedence.as_deref().unwrap_or_default();
    let low = matches!(precedence, "bulk" | "junk" | "auto_reply") && marks.list.is_empty();
    let vacation = low && (in_thread || precedence == "auto_reply");
    // two signs: a machine's mark, and the words of an answer
    let marked = low || auto != "no" || message.return_path == ReturnPath::Null || marks.suppress.is_some();
    let worded = marked && (reads_like_an_automatic_reply(message) || reads_like_a_bounce(message));
    is_bounce(message)
        || marks.report.is_some()
        || matches!(auto, "auto-replied" | "auto-notified")
        || robot_null
        || vacation
        || worded
        || marks.robots.iter().any(|field| {
            matches!(
                field.as_str(),
                "x-autoreply"
                    | "x-autorespond"
                    | "x-auto-reply-from"
                    | "x-autoreply-from"
                    | "x-ms-exchange-inbox-rules-loop"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::policy;
    use crate::domain::message::Marks;

    fn from(address: &str) -> Message {
        Message { from: vec![Mailbox::bare(address)], ..Message::default() }
    }

    fn marked(change: impl FnOnce(&mut Marks)) -> Message {
        let mut message = from("rita@example.net");
        change(&mut message.marks);
        message
    }

    /// (mail, kind, opens a case, why no answer)
    #[test]
    fn table() {
        let list = || marked(|marks| marks.list = vec!["list-id".to_owned()]);
        let auto = |value: &str| marked(|marks| marks.auto_submitted = Some(value.to_owned()));
        let table: Vec<(&str, Message, Kind, bool, Option<&str>)> = vec![
            ("a person", from("rita@example.net"), Kind::Report, true, None),
            (
                "out of office",
                auto("auto-replied"),
                Kind::Automatic,
                false,
                Some("auto-submitted: auto-replied"),
            ),
            (
                "a scanner's report",
                auto("auto-generated"),
                Kind::Automatic,
                true,
                Some("auto-submitted: auto-generated"),
            ),
            ("said to be human", auto("no"), Kind::Report, true, None),
            ("a list", list(), Kind::List, true, Some("list-id")),
            (
                "a DSN",
                marked(|marks| marks.report = Some("delivery-status".to_owned())),
                Kind::Bounce,
                false,
                Some("multipart/report: delivery-status"),
            ),
            (
                "a read receipt",
                marked(|marks| marks.report = Some("disposition-notification".to_owned())),
                Kind::Automatic,
                false,
                Some("multipart/report: disposition-notification"),
            ),
            (
                "an absence note of an old program",
                Message {
                    subject: Some("Out of office: Heap overflow".to_owned()),
                    ..marked(|marks| marks.precedence = Some("junk".to_owned()))
                },
                Kind::Automatic,
                false,
                Some("precedence: junk"),
            ),
            (
                "words alone take the answer, never the case",
                Message {
                    subject: Some("Out of office replies leak the calendar".to_owned()),
                    ..from("rita@example.net")
                },
                Kind::Automatic,
                true,
                Some("reads like an automatic reply"),
            ),
            (
                "null return-path and nothing else",
                Message { return_path: ReturnPath::Null, ..from("rita@example.net") },
                Kind::Automatic,
                true,
                Some("null return-path"),
            ),
            (
                "null return-path from a daemon",
                Message { return_path: ReturnPath::Null, ..from("MAILER-DAEMON@mx.example.net") },
                Kind::Bounce,
                false,
                Some("null return-path"),
            ),
            (
                "bulk",
                marked(|marks| marks.precedence = Some("bulk".to_owned())),
                Kind::Automatic,
                true,
                Some("precedence: bulk"),
            ),
            (
                "no auto-response, please",
                marked(|marks| marks.suppress = Some("dr, oof".to_owned())),
                Kind::Report,
                true,
                Some("x-auto-response-suppress: dr, oof"),
            ),
            (
                "suppresses receipts only",
                marked(|marks| marks.suppress = Some("dr, rn".to_owned())),
                Kind::Report,
                true,
                None,
            ),
            (
                "a robot's address",
                from("no-reply@scanner.example"),
                Kind::Report,
                true,
                Some("robot address: no-reply"),
            ),
            ("ourselves", from("Security@Example.ORG"), Kind::Report, true, Some("from the desk itself")),
            ("nobody", Message::default(), Kind::Report, true, Some("From names 0 mailboxes")),
            ("no address", from("rita"), Kind::Report, true, Some("From is no address that can be answered")),
            ("a loop", marked(|marks| marks.hops = 51), Kind::Report, true, Some("51 hops: a mail loop")),
        ];
        for (name, message, kind, opens_case, why) in table {
            let intake = judge(&message, &policy(), false);
            assert_eq!(
                (intake.kind, intake.opens_case, intake.why_no_answer.as_deref()),
                (kind, opens_case, why),
                "{name}"
            );
        }
    }

    #[test]
    fn two_authors_get_no_answer() {
        let message = Message {
            from: vec![Mailbox::bare("a@example.net"), Mailbox::bare("b@example.net")],
            ..Message::default()
        };
        assert_eq!(
            judge(&message, &policy(), false).why_no_answer.as_deref(),
            Some("From names 2 mailboxes")
        );
    }

    /// (mail, kind, opens a case, why no answer)
    #[test]
    fn bounces_without_a_header() {
        let mail = |address: &str, subject: &str, text: &str| Message {
            subject: Some(subject.to_owned()),
            text: text.to_owned(),
            ..from(address)
        };
        let null = |message: Message| Message { return_path: ReturnPath::Null, ..message };
        let failed = "Your message could not be delivered to ada@example.org.";
        let table = [
            (
                mail("postmaster@mx.example", "Undeliverable: hello", ""),
                Kind::Bounce,
                false,
                "robot address: postmaster",
            ),
            (
                mail("postmaster@mx.example", "A hole in your parser", ""),
                Kind::Report,
                true,
                "robot address: postmaster",
            ),
            (null(mail("mx@mx.example", "failure notice", failed)), Kind::Bounce, false, "null return-path"),
            (
                mail("gateway@mx.example", "Delivery failure notification", failed),
                Kind::Bounce,
                true,
                "reads like a bounce",
            ),
            (
                mail("rita@example.net", "Delivery failure crashes the daemon", "Steps: …"),
                Kind::Report,
                true,
                "",
            ),
            (
                mail("rita@example.net", "Re: Undelivered Mail Returned to Sender", failed),
                Kind::Report,
                true,
                "",
            ),
            (
                mail("rita@example.net", "Automatic reply: hello", "I am away"),
                Kind::Automatic,
                true,
                "reads like an automatic reply",
            ),
            (
                mail("post_master@mx.example", "Re: hello", ""),
                Kind::Report,
                true,
                "robot address: post_master",
            ),
        ];
        for (message, kind, opens_case, why) in table {
            let intake = judge(&message, &policy(), false);
            let said = (intake.kind, intake.opens_case, intake.why_no_answer.unwrap_or_default());
            assert_eq!(said, (kind, opens_case, why.to_owned()), "{:?}", message.subject);
        }
    }

    #[test]
    fn a_follow_up_is_a_reply_and_not_answered_again() {
        let intake = judge(&from("rita@example.net"), &policy(), true);
        assert_eq!((intake.kind, intake.opens_case), (Kind::Reply, false));
        assert_eq!(intake.why_no_answer.as_deref(), Some("follow-up of a case"));
    }

    #[test]
    fn addresses() {
        for good in ["a@b", "rita+x@example.net", "prvs=1234=rita@example.net", "δοκιμή@παράδειγμα.gr"]
        {
            assert!(is_address(good), "{good}");
        }
        for bad in
            ["", "a", "@b", "a@", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@.b", "a@b.", "a@b@c", "\"a\"@b,c@d"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
