//! What a mail is, and whether it deserves an automatic answer. Two decisions, never one.
//!
//! # Invariants
//! * A rule that takes away the answer never takes away the case: only a mail that *answers or reports on a mail somebody
//!   sent* (bounce, vacation, receipt, complaint) opens none; nor does a command of the team, which is answered by what comes of it.
//! * A missing `Return-Path` is unknown, not null.
//! * Words alone (a subject like "Undelivered Mail") take away the answer at most, never the case: a report may speak of
//!   bounces. They make a mail doubtful, and a person is told which words did.
//! * What one of the desk's own lists wrote into a mail says nothing about its author (`own_list`).
//!
//! # Standards
//! RFC 3834 §2 (psirtd is a *service responder*: mail to the desk's address is a request to a service, so the answer goes to
//! From, and this page documents it), RFC 5230 §4.6 (list fields, robot addresses), RFC 3464, RFC 8098, RFC 5965.

pub mod words;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::command::order;
use crate::domain::intake::words::Found;
use crate::domain::message::{Action, Mailbox, Marks, Message, ReturnPath, canonical};
use crate::domain::own_list;
use crate::domain::policy::Policy;
use crate::domain::trust::{self, Trust, Verdict};

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
    /// A member of the team tells the desk what to do.
    Command,
    /// Somebody asks to join the distributors' list.
    Membership,
    /// Written by a machine; [`Sort`] says which.
    Automatic,
    /// A server's word about a mail that did not arrive.
    Bounce,
    /// Came through a mailing list that is not the desk's.
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
            Self::Command => "command",
            Self::Membership => "membership",
            Self::Automatic => "automatic",
            Self::Bounce => "bounce",
            Self::List => "list",
            Self::Junk => "junk",
        }
    }
}

/// Which machine wrote an automatic mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Somebody is not there.
    Vacation,
    /// A ticket system or a tracker.
    Ticket,
    /// A mail was read, or thrown away unread.
    Receipt,
    /// A reader took one of the desk's letters for junk.
    Complaint,
    /// Anything else that nobody asked for.
    Notification,
}

impl Sort {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vacation => "vacation",
            Self::Ticket => "ticket",
            Self::Receipt => "receipt",
            Self::Complaint => "complaint",
            Self::Notification => "notification",
        }
    }
}

/// The two decisions about a mail, and what they rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    /// What it is.
    pub kind: Kind,
    /// Which machine wrote it, if it is automatic.
    pub sort: Option<Sort>,
    /// It may become a case.
    pub opens_case: bool,
    /// It exists only because somebody sent a mail: a bounce, a vacation, a receipt, a complaint.
    pub answers_a_mail: bool,
    /// Why no automatic answer goes out; none when one may.
    pub why_no_answer: Option<String>,
    /// Words that may mean that a machine wrote it, where nothing else says so.
    pub doubt: Option<Doubt>,
    /// What the mail's own server says about its sender.
    pub trust: Trust,
}

/// Words that a machine may have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What it reads like.
    pub what: &'static str,
    /// The language and the words.
    found: String,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it reads like {} ({})", self.what, self.found)
    }
}

/// Judges a mail. `in_thread`: its ids lead to a case.
pub fn judge(message: &Message, policy: &Policy, in_thread: bool) -> Intake {
    let seen = Seen::new(message, policy, in_thread);
    let answers_a_mail = seen.answers_a_mail();
    let kind = seen.kind(answers_a_mail);
    let mut why_no_answer = seen.why_no_answer(kind);
    if kind == Kind::Reply {
        why_no_answer = why_no_answer.or_else(|| Some(FOLLOW_UP.to_owned()));
    }
    Intake {
        kind,
        sort: (kind == Kind::Automatic).then(|| seen.sort()),
        opens_case: !in_thread && !answers_a_mail && kind != Kind::Command,
        answers_a_mail,
        why_no_answer,
        doubt: seen.doubt(),
        trust: seen.trust,
    }
}

/// Why a mail of a case is not acknowledged: that is no loss.
pub const FOLLOW_UP: &str = "follow-up of a case";
/// Nor is this: a list of what was not answered would answer it.
pub const ANSWERS_THE_DESK: &str = "a machine's answer to the team's letters";
/// Nor this: a person of the team hears what became of it.
pub const COMMAND: &str = "a command";
/// How the reason begins when a person took the mail out of its case: nobody knows what its author has heard.
pub const TAKEN_OUT: &str = "taken out of case";

/// A mail under the rules of the desk.
struct Seen<'m> {
    message: &'m Message,
    policy: &'m Policy,
    in_thread: bool,
    /// Without those that an own list made.
    marks: Cow<'m, Marks>,
    /// What its words alone say.
    words: Option<Found>,
    trust: Trust,
}

impl<'m> Seen<'m> {
    fn new(message: &'m Message, policy: &'m Policy, in_thread: bool) -> Self {
        let marks = if own_list::came_through(message, policy) {
            let precedence = message.marks.precedence.clone();
            let precedence = precedence.filter(|value| !matches!(value.as_str(), "list" | "bulk"));
            Cow::Owned(Marks { list: Vec::new(), precedence, ..message.marks.clone() })
        } else {
            Cow::Borrowed(&message.marks)
        };
        let domain = message.author().and_then(Mailbox::domain);
        let judged =
            |domain: Option<String>| trust::judge(&message.trace, domain.as_deref(), policy.border.as_ref());
        // the list's address may be forged, too
        let outside = message.rewritten_from.as_ref().map(|from| judged(from.domain()));
        let trust = outside.filter(|trust| trust.verdict == Verdict::Fail).unwrap_or_else(|| judged(domain));
        let words = words::read(message.subject.as_deref(), &message.text);
        Self { message, policy, in_thread, marks, words, trust }
    }

    fn kind(&self, answers_a_mail: bool) -> Kind {
        let marks = &self.marks;
        if self.is_bounce() || self.reads_like_a_bounce() {
            Kind::Bounce
        } else if answers_a_mail || self.reads_like_an_automatic_reply() || self.auto() != "no" {
            Kind::Automatic
        } else if self.is_command() {
            Kind::Command
        } else if self.in_thread {
            Kind::Reply
        } else if is_to_the_list(self.message, self.policy) {
            Kind::Membership
        } else if marks.junk {
            Kind::Junk
        } else if !marks.list.is_empty() {
            Kind::List
        } else if marks.precedence.as_deref().is_some_and(is_robot_precedence)
            || !marks.robots.is_empty()
            || marks.ticket.is_some()
            || self.message.return_path == ReturnPath::Null
        {
            Kind::Automatic
        } else {
            Kind::Report
        }
    }

    fn sort(&self) -> Sort {
        let marks = &self.marks;
        let found = self.words.as_ref().map(|found| found.sort);
        match (self.report(), found) {
            (Some("disposition-notification"), _) => Sort::Receipt,
            (Some("feedback-report"), _) => Sort::Complaint,
            (_, Some(words::Sort::Receipt)) => Sort::Ticket,
            _ if marks.ticket.is_some() => Sort::Ticket,
            (_, Some(words::Sort::Absence)) => Sort::Vacation,
            _ if self.auto() == "auto-replied" || marks.precedence.as_deref() == Some("auto_reply") => {
                Sort::Vacation
            }
            _ if marks.robots.iter().any(|field| is_of_a_responder(field)) => Sort::Vacation,
            _ => Sort::Notification,
        }
    }

    /// The first rule that forbids an automatic answer, in a few words.
    fn why_no_answer(&self, kind: Kind) -> Option<String> {
        let marks = &self.marks;
        if self.message.return_path == ReturnPath::Null {
            return Some("null return-path".to_owned());
        }
        if self.auto() != "no" {
            return Some(format!("auto-submitted: {}", self.auto()));
        }
        if let Some(report) = marks.report.as_ref().or(marks.report_part.as_ref()) {
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
        if let Some(field) = &marks.ticket {
            return Some(format!("ticket system: {field}"));
        }
        if marks.junk {
            return Some("marked as junk".to_owned());
        }
        if marks.hops > MAX_HOPS {
            return Some(format!("{} hops: a mail loop", marks.hops));
        }
        self.why_not_by_words(kind).or_else(|| self.why_not_the_author())
    }

    /// The same, for reasons that lie in what the mail says.
    fn why_not_by_words(&self, kind: Kind) -> Option<String> {
        if self.reads_like_a_bounce() {
            return Some("reads like a bounce".to_owned());
        }
        let why = match (self.words.as_ref().map(|found| found.sort), kind) {
            (Some(words::Sort::Absence), _) => "reads like an automatic reply",
            (Some(words::Sort::Receipt), _) => "reads like a help desk's receipt",
            (Some(words::Sort::Bounce), _) => "reads like a bounce",
            (None, Kind::Command) => COMMAND,
            (None, _) => return None,
        };
        Some(why.to_owned())
    }

    /// The same, for reasons that lie in the author.
    fn why_not_the_author(&self) -> Option<String> {
        let Some(author) = self.message.author() else {
            return Some(format!("From names {} mailboxes", self.message.from.len()));
        };
        if !is_address(&author.address) {
            return Some("From is no address that can be answered".to_owned());
        }
        if self.policy.is_own(&author.address) {
            return Some("from the desk itself".to_owned());
        }
        let local = author.local_part();
        if is_robot(&local) {
            return Some(format!("robot address: {local}"));
        }
        let answer_failing = self.policy.border.as_ref().is_none_or(|border| border.answer_failing);
        let failing = self.trust.verdict == Verdict::Fail && !answer_failing;
        (failing && !self.message.signature.is_good()).then(|| self.trust.why.clone())
    }

    /// The type of a report. A part of one in another mail may be what a person attached: it counts beside another sign of a
    /// machine.
    fn report(&self) -> Option<&str> {
        let local = self.message.author().map(Mailbox::local_part).unwrap_or_default();
        let machine = self.message.return_path == ReturnPath::Null
            || self.auto() != "no"
            || is_robot(&local)
            || announces_failure(self.message);
        let part = self.marks.report_part.as_deref().filter(|_| machine);
        self.marks.report.as_deref().or(part)
    }

    fn auto(&self) -> &str {
        self.marks.auto_submitted.as_deref().unwrap_or("no")
    }

    /// A member of the team begins with a line of commands. What nobody signed has to look like one, or it is a mail like any other.
    fn is_command(&self) -> bool {
        let message = self.message;
        let of_the_team =
            message.author().is_some_and(|author| self.policy.person(&author.address).is_some());
        of_the_team && order::has_commands(&message.text, message.signature.is_good())
    }

    /// Only words say that it may be a machine's.
    fn doubt(&self) -> Option<Doubt> {
        let found = self.words.as_ref()?;
        let marked = self.auto() != "no"
            || self.report().is_some()
            || !self.marks.robots.is_empty()
            || self.message.return_path == ReturnPath::Null;
        let what = match found.sort {
            words::Sort::Absence => "an absence note",
            words::Sort::Receipt => "a help desk's receipt",
            words::Sort::Bounce => "a bounce",
        };
        let Found { language, words, .. } = found;
        (!marked).then(|| Doubt { what, found: format!("{language}: “{words}”") })
    }

    /// A server's word about a mail, by what only servers write.
    fn is_bounce(&self) -> bool {
        let local = self.message.author().map(Mailbox::local_part).unwrap_or_default();
        let daemon = matches!(local.as_str(), "mailer-daemon" | "mailerdaemon");
        let null = self.message.return_path == ReturnPath::Null;
        let announced = announces_failure(self.message);
        let told = self.message.returned.as_ref().and_then(|returned| returned.action);
        let complains = self.report() == Some("feedback-report");
        let of_a_server = self.report() == Some("delivery-status")
            || self.marks.robots.iter().any(|field| field == "x-failed-recipients")
            || daemon
            || (local == "postmaster" && (null || announced))
            || (null
                && (announced
                    || told == Some(Action::Failed)
                    || (is_robot(&local) && carries_a_mail(self.message))));
        of_a_server && !complains
    }

    /// The same, by its words: servers that send bounces under a person's address, with a sender that could be answered.
    fn reads_like_a_bounce(&self) -> bool {
        announces_failure(self.message)
            && (carries_a_mail(self.message) || words::delivery_failed(&self.message.text))
    }

    /// The subject that mail programs give an absence note; RFC 3834 wants a header too, but not all write one.
    fn reads_like_an_automatic_reply(&self) -> bool {
        self.words.as_ref().is_some_and(|found| found.in_subject && found.sort != words::Sort::Bounce)
    }

    /// It exists only because somebody sent a mail: an automatic reply, a receipt, a complaint, a bounce. What ticket systems
    /// write, too (`Precedence: bulk`, in somebody's thread, from nobody), proves it only in a thread of our own.
    fn answers_a_mail(&self) -> bool {
        let marks = &self.marks;
        let null = self.message.return_path == ReturnPath::Null;
        let robot_null = null && self.in_thread;
        let precedence = marks.precedence.as_deref().unwrap_or_default();
        let low = matches!(precedence, "bulk" | "junk" | "auto_reply") && marks.list.is_empty();
        let vacation = low && (self.in_thread || precedence == "auto_reply");
        // two signs: a machine's mark, and the words of an answer
        let marked = low || self.auto() != "no" || null || marks.suppress.is_some();
        let worded = marked && (self.reads_like_an_automatic_reply() || self.reads_like_a_bounce());
        self.is_bounce()
            || self.report().is_some()
            || matches!(self.auto(), "auto-replied" | "auto-notified")
            || robot_null
            || vacation
            || worded
            || marks.robots.iter().any(|field| is_of_a_responder(field))
    }
}

/// The mail was sent to the distributors' address, and not to the desk's.
pub fn is_to_the_list(message: &Message, policy: &Policy) -> bool {
    let list = policy.distributors.address.as_deref().map(canonical);
    let to_the_desk = message.recipients.contains(&policy.desk.canonical());
    list.is_some_and(|list| message.recipients.contains(&list)) && !to_the_desk
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

/// Fields that programs write which answer for somebody who is not there.
fn is_of_a_responder(field: &str) -> bool {
    matches!(field, "x-autoreply" | "x-autorespond" | "x-auto-reply-from" | "x-autoreply-from")
}

/// The subject that servers give their bounces. An answer to one ("Re: Undelivered Mail") is a person's.
fn announces_failure(message: &Message) -> bool {
    message.subject.as_deref().is_some_and(words::announces_failure)
}

fn carries_a_mail(message: &Message) -> bool {
    let is_mail = |media_type: &str| {
        matches!(media_type, "message/rfc822" | "text/rfc822-headers" | "message/delivery-status")
    };
    message.attachments.iter().any(|attachment| is_mail(&attachment.media_type))
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
                    subject: Some("Out of office: the calendar".to_owned()),
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
                "reads like a bounce",
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
