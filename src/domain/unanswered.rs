//! What was not answered, and when the coordinators hear of it.
//!
//! # What it is for
//! A rule that takes away the answer is right most of the time. So that no report is lost in the rest, once a day every
//! coordinator gets a list of the mails that nobody answered: those that opened a case, with the command that sends the
//! acknowledgement after all, and those that opened none.
//!
//! # Invariants
//! * A mail is in one digest: the next one after it was recorded.
//! * A digest names cases and subjects, so it is encrypted; who cannot be written to encrypted gets none.
//! * A day on which everything was answered has no digest.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::case::{Case, CaseId};
use crate::domain::event::{Event, What};
use crate::domain::intake::{ANSWERS_THE_DESK, COMMAND, FOLLOW_UP, TAKEN_OUT};
use crate::domain::letter::{Daily, LetterKind};
use crate::domain::message::{Digest, Mailbox};
use crate::domain::policy::Policy;
use crate::domain::posting::LetterState;

/// A digest lists no more mails than this; the next one goes on.
pub const MOST: usize = 500;
/// What is older is not listed any more: a desk that has run without digests would get those of its whole history.
pub const OLD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A mail that nobody answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The mail.
    pub mail: Digest,
    /// When it was recorded.
    pub at: Timestamp,
    /// Its case, if it has one.
    pub case: Option<CaseId>,
    /// What it is.
    pub kind: String,
    /// Its author.
    pub from: Option<Mailbox>,
    /// Its subject, unless that was protected.
    pub subject: Option<String>,
    /// Why.
    pub why: String,
    /// Its author takes no part in its case.
    pub pending: bool,
}

/// What a digest is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agenda {
    /// Its hour has come.
    pub is_due: bool,
    /// What it tells.
    pub daily: Daily,
    /// The mails that it lists, and those of which nobody need be told any more.
    pub covered: Vec<Digest>,
}

/// A line of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When the mail was recorded, in UTC.
    pub at: String,
    /// Its case.
    pub case: Option<String>,
    /// What it is.
    pub kind: String,
    /// Its author's address.
    pub from: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Why it was not answered.
    pub why: String,
    /// The acknowledgement that a person may release.
    pub release: Option<String>,
}

impl Unanswered {
    /// What the record of a mail says about it; `None` when it was answered, or need not be.
    pub fn recorded(event: &Event) -> Option<Self> {
        let What::MailRecorded { mail, kind, sort, subject, from, why_no_answer, pending, .. } = &event.what
        else {
            return None;
        };
        let told = |why: &String| why == FOLLOW_UP || why == ANSWERS_THE_DESK || why == COMMAND;
        let why = why_no_answer.as_ref().filter(|why| *pending || !told(why))?;
        let sort = sort.map_or_else(String::new, |sort| format!(", {}", sort.word()));
        Some(Self {
            mail: mail.clone(),
            at: event.at,
            case: event.case.clone(),
            kind: format!("{}{sort}", kind.word()),
            from: from.clone(),
            subject: subject.clone(),
            pending: *pending,
            why: if *pending {
                "unverified: its author takes no part in the case".to_owned()
            } else {
                why.clone()
            },
        })
    }

    /// As the digest tells it; `None` when somebody has seen to it meanwhile. `case` is the mail's case.
    pub fn line(&self, case: Option<&Case>) -> Option<Line> {
        // people have looked at what they sorted out
        let sorted_out =
            self.why.starts_with(TAKEN_OUT) || case.is_some_and(|case| case.merged_into.is_some());
        if sorted_out && !self.pending {
            return None;
        }
        let mut letters = case.into_iter().flat_map(|case| &case.letters);
        let letter = letters.find(|letter| letter.kind == LetterKind::Acknowledgement);
        let opened_it = letter.and_then(|letter| letter.about.as_ref()).map_or_else(
            || case.and_then(|case| case.mails.first()).is_some_and(|first| first.mail == self.mail),
            |about| *about == self.mail,
        );
        let release = match letter {
            Some(letter) if opened_it && letter.state != LetterState::Held => return None,
            Some(letter) if opened_it => Some(letter.id.to_string()),
            // a bounce or a vacation note of a case was told when it came
            _ if case.is_some() && !opened_it && !self.pending => return None,
            _ => None,
        };
        Some(Line {
            at: self.at.strftime("%Y-%m-%d %H:%MZ").to_string(),
            case: self.case.as_ref().map(ToString::to_string),
            kind: self.kind.clone(),
            from: self.from.as_ref().map(|from| from.address.clone()),
            subject: self.subject.clone(),
            why: self.why.clone(),
            release,
        })
    }
}

/// Is it time for a digest? It is when the desk's hour has come since this time: the last digest, or what would be in the first one.
pub fn is_due(policy: &Policy, since: Timestamp, now: Timestamp) -> bool {
    let zone = &policy.calendar.zone;
    let hour =
        |date: Date| date.to_datetime(policy.digest).to_zoned(zone.clone()).map(|hour| hour.timestamp());
    let today = policy.calendar.date(now);
    let last = [Ok(today), today.yesterday()]
        .into_iter()
        .flatten()
        .filter_map(|date| hour(date).ok())
        .find(|at| *at <= now);
    last.is_some_and(|last| since < last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::policy;

    #[test]
    fn a_digest_is_due_at_the_desks_hour() {
        // 09:00 in Los Angeles is 17:00 UTC
        let due = |oldest: &str, now: &str| is_due(&policy(), oldest.parse().unwrap(), now.parse().unwrap());
        assert!(due("2026-11-20T23:00:00Z", "2026-11-21T17:00:00Z"));
        assert!(!due("2026-11-20T23:00:00Z", "2026-11-21T16:59:59Z"));
        assert!(!due("2026-11-20T17:00:00Z", "2026-11-20T23:00:00Z"));
        assert!(due("2026-11-18T17:00:00Z", "2026-11-21T08:00:00Z"), "psirtd did not run at the hour");
    }
}
