//! What happened to a case, in a person's words.

use crate::domain::advisory::Finding;
use crate::domain::case::Case;
use crate::domain::event::{Event, OPERATOR, What};
use crate::domain::letter::LetterId;
use crate::domain::signature::{Certificate, Standing};

impl Case {
    /// The timeline's words for an event.
    pub(super) fn tell(&self, event: &Event) -> Option<(String, String)> {
        let named = |letter: &LetterId| {
            self.letters.iter().find(|known| known.id == *letter).map_or_else(
                || format!("letter {letter}"),
                |known| format!("{} {letter} to {}", known.kind.word(), known.to.address),
            )
        };
        let (what, who) = match &event.what {
            What::CaseOpened { .. }
            | What::Told { .. }
            | What::Digested { .. }
            | What::Restored { .. }
            | What::Reminded { .. }
            | What::ClockStarted { .. }
            // each copy of a notice has its own story
            | What::LetterQueued { copy: Some(_), .. }
            | What::LetterHeld { copy: Some(_), .. }
            // what came of the commands is told by itself
            | What::Commanded { refused: None, .. } => return None,
            What::Commanded { by, commands, refused: Some(why), .. } => {
                (format!("REFUSED {}: {why}", commands.join(", ")), by.as_str())
            }
            What::CaseMerged { into, by } => (format!("merged into case {into}"), by.as_str()),
            What::MailMoved { mail, to, by, .. } => {
                let mail: String = mail.as_str().chars().take(12).collect();
                (format!("mail {mail} taken out: case {to}"), by.as_str())
            }
            What::OwnerSet { owner, by } => (format!("taken by {}", owner.address), by.as_str()),
            What::NoteWritten { by, .. } => ("internal note".to_owned(), by.as_str()),
            What::Answered { topic, by, letter, .. } => {
                let how = letter.as_ref().map_or("by a mail of their own".to_owned(), |id| format!("in letter {id}"));
                (format!("{} to the reporter, {how}", topic.told()), by.as_str())
            }
            What::PhaseChanged { phase, class, by } => {
                let class = class.as_ref().map_or_else(String::new, |class| format!(" as {class}"));
                (format!("{}{class}", phase.word()), by.as_str())
            }
            What::Shared { with, by } => {
                let with: Vec<&str> = with.iter().map(|one| one.address.as_str()).collect();
                (format!("shared with {}", with.join(", ")), by.as_str())
            }
            What::Assessed { finding, by } => (told(finding), by.as_str()),
            What::PrioritySet { priority, by } => (format!("priority {}", priority.word()), by.as_str()),
            What::Snoozed { until, by } => {
                (format!("no reminders until {}", until.strftime("%Y-%m-%d %H:%MZ")), by.as_str())
            }
            What::BecamePublic { place, by } => {
                let place = place.as_ref().map_or_else(String::new, |place| format!(": {place}"));
                (format!("PUBLICLY KNOWN{place}"), by.as_str())
            }
            What::Member { member, change, by } => (format!("{member}: {}", change.told()), by.as_str()),
            What::Embargo { step, by } => (step.told(), by.as_str()),
            What::Distribution { step, by } => (step.told()?, by.as_str()),
            What::CertificateSeen { address, certificate, in_use } => {
                let Certificate { fingerprint, source, .. } = certificate;
                let use_it = match in_use {
                    true => "remembered".to_owned(),
                    false => format!(
                        "NOT used, the desk holds another (psirtd key accept {address} {fingerprint})"
                    ),
                };
                (
                    format!("certificate {fingerprint} of {address} from the {}: {use_it}", source.told()),
                    "psirtd",
                )
            }
            What::SignatureChecked { signature, standing, .. } => {
                let standing = standing.map_or("", Standing::word);
                (format!("signature checked again: {signature} ({standing})"), "psirtd")
            }
            What::CertificateAccepted { address, fingerprint } => {
                (format!("certificate {fingerprint} of {address} accepted"), OPERATOR)
            }
            What::MailRecorded { kind, from, problem, pending, .. } => {
                let problem =
                    problem.as_ref().map_or_else(String::new, |problem| format!(", not opened: {problem}"));
                let who = from.as_ref().map_or("unknown", |from| from.address.as_str());
                let pending = if *pending { "UNVERIFIED " } else { "" };
                (format!("{pending}{} recorded{problem}", kind.word()), who)
            }
            What::LetterQueued { letter, .. } => (format!("{} queued", named(letter)), "psirtd"),
            What::LetterHeld { letter, reason, withheld, .. } => {
                let held = if *withheld { "not sent" } else { "held" };
                (format!("{} {held}: {reason}", named(letter)), "psirtd")
            }
            What::LetterSent { letter, reply } => (format!("{} sent: {reply}", named(letter)), "psirtd"),
            What::LetterDeferred { letter, reply, .. } => {
                (format!("{} deferred: {reply}", named(letter)), "psirtd")
            }
            What::LetterReturned { letter, reply } => {
                (format!("{} returned: {reply}", named(letter)), "psirtd")
            }
            What::LetterStopped { letter, reason } => {
                (format!("{} held: {reason}", named(letter)), OPERATOR)
            }
            What::LetterReleased { letter, by } => (format!("{} released", named(letter)), by.as_str()),
        };
        Some((what, who.to_owned()))
    }
}

/// A step of finding out.
pub(in crate::domain) fn told(finding: &Finding) -> String {
    let ids = |ids: &[String]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
    match finding {
        Finding::Severity(severity) => format!("severity {severity}"),
        Finding::Cwe(all) => ids(&all.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Finding::Cve(all) => ids(&all.iter().map(ToString::to_string).collect::<Vec<_>>()),
        Finding::Affected(lines) => format!("affects {}", ids(lines)),
        Finding::Fixed(versions) => format!("fixed in {}", ids(versions)),
        Finding::Exception { line, .. } => format!("no fix in {line}, with a reason"),
        Finding::Workaround(_) => "workaround written".to_owned(),
        Finding::Credit(who) => format!("credit to {who}"),
        Finding::NoCredit => "credit to nobody".to_owned(),
    }
}
