//! How far a case has come, and how urgent it is.
//!
//! # Invariants
//! * [`Phase::may_become`] is the whole lifecycle; what it does not allow leaves a case as it is.

use serde::{Deserialize, Serialize};

/// Where a case stands on its way from report to fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nobody has looked at it yet.
    Received,
    /// Somebody answers for it.
    Triaged,
    /// It is a vulnerability.
    Accepted,
    /// The fix is being worked on.
    Fixing,
    /// Each supported affected line has a fixed version, or a stated exception (P-16).
    Fixed,
    /// The public knows.
    Disclosed,
    /// Nothing is left to do.
    Closed,
    /// It is nothing for this desk; the reporter was told why (P-8).
    Rejected,
    /// It was closed or rejected, and is looked at again.
    Reopened,
}

impl Phase {
    /// All of them, in the order of the way.
    pub const ALL: [Self; 9] = [
        Self::Received,
        Self::Triaged,
        Self::Accepted,
        Self::Fixing,
        Self::Fixed,
        Self::Disclosed,
        Self::Closed,
        Self::Rejected,
        Self::Reopened,
    ];

    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Triaged => "triaged",
            Self::Accepted => "accepted",
            Self::Fixing => "fixing",
            Self::Fixed => "fixed",
            Self::Disclosed => "disclosed",
            Self::Closed => "closed",
            Self::Rejected => "rejected",
            Self::Reopened => "reopened",
        }
    }

    /// Somebody still has to do something.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Closed | Self::Rejected)
    }

    /// Nobody has decided yet what it is.
    pub fn is_undecided(self) -> bool {
        matches!(self, Self::Received | Self::Triaged | Self::Reopened)
    }

    /// The lifecycle.
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::Received => false,
            Self::Triaged => self == Self::Received,
            Self::Accepted | Self::Rejected => self.is_undecided(),
            // a fix may be begun before, and another one after a fix
            Self::Fixing => self.is_undecided() || matches!(self, Self::Accepted | Self::Fixed),
            Self::Fixed => self.is_undecided() || matches!(self, Self::Accepted | Self::Fixing),
            Self::Disclosed => self == Self::Fixed,
            Self::Closed => self.is_open(),
            Self::Reopened => !self.is_open(),
        }
    }
}

/// How urgent a case is beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before everything else.
    Critical,
    /// Before others.
    High,
    /// As most.
    Normal,
    /// After others.
    Low,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}
