//! What a case owes, by when.
//!
//! # Invariants
//! * A deadline is computed once, when the case is opened, under the policy in force then, and kept with the case.
//! * An automatic letter meets no deadline (P-3): only a person does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::policy::Policy;

/// One promise of the written process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// Which promise.
    pub kind: DeadlineKind,
    /// When it is due.
    pub due: Timestamp,
}

/// The promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadlineKind {
    /// A person starts the conversation (P-9).
    FirstResponse,
    /// A person sends the plan to investigate (P-3).
    Plan,
    /// The target of the public disclosure (P-14).
    Disclosure,
}

impl DeadlineKind {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::FirstResponse => "first-response",
            Self::Plan => "plan",
            Self::Disclosure => "disclosure",
        }
    }
}

impl Deadline {
    /// `running` until it is due, `overdue` after.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if now > self.due { "overdue" } else { "running" }
    }
}

/// What a report received at `received_at` is promised.
pub fn promised(policy: &Policy, received_at: Timestamp) -> Vec<Deadline> {
    [
        (DeadlineKind::FirstResponse, policy.first_response),
        (DeadlineKind::Plan, policy.plan),
        (DeadlineKind::Disclosure, policy.disclosure),
    ]
    .into_iter()
    .map(|(kind, term)| Deadline { kind, due: policy.calendar.due(received_at, term) })
    .collect()
}
