//! What a case owes, by when.
//!
//! # What it is for
//! Five clocks. Three are promised when the report arrives: the first answer of a person (P-9), the plan (P-3), the target of the
//! public disclosure (P-14). Two begin with a letter: after each answer the next word to the reporter is due (`status-update`), and a
//! question to the reporter (`need-info`) waits for an answer, during which no next word is owed.
//!
//! # Invariants
//! * When a deadline is due is computed once, when its clock begins, under the terms that the case was opened with, and kept: how a
//!   clock stands is a function of the case and the time, and no configuration moves what was promised.
//! * An automatic letter meets no deadline (P-3): only a person does, and only when the letter has left. One that comes back meets
//!   none.
//! * The public disclosure is due at once when the matter is publicly known (P-5).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{Calendar, Term};
use crate::domain::case::Case;
use crate::domain::command::{Class, Topic};
use crate::domain::letter::LetterId;
use crate::domain::phase::Phase;
use crate::domain::policy::Policy;

/// One promise of the written process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Which promise.
    pub kind: DeadlineKind,
    /// When it is due.
    pub due: Timestamp,
    /// When its clock began; with the report, if it does not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// The letter that began it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub letter: Option<LetterId>,
    /// Only what is done later meets it: who is owed it came with another case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Timestamp>,
}

/// Why a clock begins, or begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// A person of the team wrote to the reporter: that is what was due, too.
    Written,
    /// The reporter answered.
    Answered,
    /// The case is looked at again.
    Reopened,
}

/// The promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadlineKind {
    /// A person starts the conversation (P-9).
    FirstResponse,
    /// A person sends the plan to investigate (P-3).
    Plan,
    /// The reporter hears from the team again.
    StatusUpdate,
    /// The reporter answers a question; nothing that the desk owes.
    NeedInfo,
    /// The target of the public disclosure (P-14).
    Disclosure,
}

impl DeadlineKind {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstResponse => "first-response",
            Self::Plan => "plan",
            Self::StatusUpdate => "status-update",
            Self::NeedInfo => "need-info",
            Self::Disclosure => "disclosure",
        }
    }

    /// What has to happen, for the team.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::FirstResponse => "a person's first answer to the reporter",
            Self::Plan => "the plan to investigate, to the reporter",
            Self::StatusUpdate => "word to the reporter of how it goes",
            Self::NeedInfo => "the reporter's answer: ask again, or close",
            Self::Disclosure => "the public disclosure",
        }
    }
}

/// The terms that a case is opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// P-9.
    pub first_response: Term,
    /// P-3.
    pub plan: Term,
    /// After each answer, the next one.
    pub status_update: Term,
    /// How long the reporter's answer is waited for.
    pub need_info: Term,
    /// P-14, from the report.
    pub disclosure: Term,
}

/// How a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is time left.
    Running,
    /// There is none.
    Overdue,
    /// Done in time, then.
    Met(Timestamp),
    /// Done, but too late, then.
    Late(Timestamp),
    /// Nothing is owed while the reporter's answer is waited for.
    Paused,
    /// Nothing is owed any more.
    Ended,
}

impl Standing {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Overdue => "overdue",
            Self::Met(_) => "met",
            Self::Late(_) => "late",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }

    /// When it was done, if it was.
    pub fn met_at(self) -> Option<Timestamp> {
        match self {
            Self::Met(at) | Self::Late(at) => Some(at),
            _ => None,
        }
    }

    /// Somebody still has to do something.
    pub fn is_owed(self) -> bool {
        matches!(self, Self::Running | Self::Overdue)
    }
}

impl Deadline {
    /// A clock that begins now.
    pub fn begin(kind: DeadlineKind, calendar: &Calendar, now: Timestamp, term: Term) -> Self {
        Self { kind, due: calendar.due(now, term), since: Some(now), letter: None, after: None }
    }

    /// When its clock began.
    pub fn since(&self, case: &Case) -> Timestamp {
        self.since.unwrap_or(case.received_at)
    }

    /// When it is due now.
    pub fn due(&self, case: &Case) -> Timestamp {
        match (self.kind, case.embargo.public_since()) {
            (DeadlineKind::Disclosure, Some(public)) => self.due.min(public),
            _ => self.due,
        }
    }

    /// How it stands.
    pub fn standing(&self, case: &Case, now: Timestamp) -> Standing {
        let due = self.due(case);
        let waiting = case.waiting_since.is_some();
        match (self.met_at(case), self.kind) {
            (Some(at), _) if at <= due => Standing::Met(at),
            (Some(at), _) => Standing::Late(at),
            _ if !case.is_open() && !self.outlives(case) => Standing::Ended,
            (None, DeadlineKind::NeedInfo) if !waiting => Standing::Ended,
            (None, DeadlineKind::StatusUpdate) if waiting => Standing::Paused,
            (None, _) if now > due => Standing::Overdue,
            (None, _) => Standing::Running,
        }
    }

    /// A case is rejected, and its reporter has not heard why: the letter is held, on its way, or came back (P-8).
    fn outlives(&self, case: &Case) -> bool {
        let told = || case.arrived_answers().any(|(topic, _)| topic == Topic::Reject);
        case.phase == Phase::Rejected
            && case.merged_into.is_none()
            && case.rejected_as != Some(Class::Spam)
            && matches!(self.kind, DeadlineKind::FirstResponse | DeadlineKind::Plan)
            && !told()
    }

    fn met_at(&self, case: &Case) -> Option<Timestamp> {
        let first = |topics: &[Topic]| {
            let meets = |topic: &Topic| topics.contains(topic);
            let in_time = |at: &Timestamp| self.after.is_none_or(|after| *at > after);
            case.arrived_answers().filter(|(topic, _)| meets(topic)).map(|(_, at)| at).filter(in_time).min()
        };
        match self.kind {
            // the date of the embargo is no conversation
            DeadlineKind::FirstResponse => first(&Topic::CONVERSATION),
            DeadlineKind::Plan => first(&[Topic::Plan, Topic::Reject]),
            DeadlineKind::Disclosure => case.reached(Phase::Disclosed),
            // these begin anew when they are met
            DeadlineKind::StatusUpdate | DeadlineKind::NeedInfo => None,
        }
    }
}

/// What a report received at `received_at` is promised.
pub fn promised(policy: &Policy, received_at: Timestamp) -> Vec<Deadline> {
    [
        (DeadlineKind::FirstResponse, policy.terms.first_response),
        (DeadlineKind::Plan, policy.terms.plan),
        (DeadlineKind::Disclosure, policy.terms.disclosure),
    ]
    .into_iter()
    .map(|(kind, term)| {
        let due = policy.calendar.due(received_at, term);
        Deadline { kind, due, since: None, letter: None, after: None }
    })
    .collect()
}

/// The clock that an answer begins, when it has left: the next word to the reporter is due, or his answer.
pub fn after(topic: Topic, case: &Case, policy: &Policy, now: Timestamp) -> Option<Deadline> {
    let terms = case.terms.unwrap_or(policy.terms);
    let begin = |kind, term| Some(Deadline::begin(kind, &policy.calendar, now, term));
    match topic {
        _ if !case.is_open() => None,
        Topic::NeedInfo => begin(DeadlineKind::NeedInfo, terms.need_info),
        _ => begin(DeadlineKind::StatusUpdate, terms.status_update),
    }
}
