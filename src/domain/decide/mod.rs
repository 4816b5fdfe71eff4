//! What follows from a mail, from a delivery, from a person's word: events and letters.
//!
//! # Invariants
//! * [`decide`] is total, deterministic and silent.
//! * It is the only place that makes events and letters.
//! * One acknowledgement a case, never for a mail that a rule of `intake` forbids to answer.
//! * A letter that carries anything of a report is encrypted.

mod delivery;
mod mail;

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::event::Event;
use crate::domain::letter::{Letter, Outcome, Posting};
use crate::domain::message::Message;
use crate::domain::policy::Policy;

/// What is known when a decision is made.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The case that the mail's Message-ID chain leads to, or that a letter belongs to.
    pub case: Option<Case>,
    /// The mail carries the Message-ID of one of the desk's own letters, and its address.
    pub own_letter: bool,
    /// Acknowledgements written to the mail's author today.
    pub answered_today: u32,
    /// The number the next case of this year would get, counted from 1.
    pub next_number: u32,
    /// A random number in 0..=1, drawn by the caller.
    pub jitter: f64,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A mail was opened.
    Mail {
        /// The mail.
        message: Arc<Message>,
        /// When it reached the mailbox.
        received_at: Timestamp,
    },
    /// The way of one letter came to something.
    Delivery {
        /// The letter as it stood before.
        posting: Box<Posting>,
        /// What came of the attempt.
        outcome: Outcome,
    },
    /// A person stops a letter.
    Hold {
        /// The letter.
        posting: Box<Posting>,
        /// Why.
        reason: String,
    },
    /// A person lets a letter go, or wants another attempt now.
    Release {
        /// The letter.
        posting: Box<Posting>,
        /// The mail it is about, opened again, when the letter has no bytes yet.
        about: Option<Arc<Message>>,
    },
}

/// What follows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// To be journaled.
    pub events: Vec<Event>,
    /// To be sealed.
    pub letters: Vec<Letter>,
}

/// Decides. `now` is the time of the decision, not of the mail.
pub fn decide(facts: &Facts, input: &Input, policy: &Policy, now: Timestamp) -> Decision {
    match input {
        Input::Mail { message, received_at } => mail::decide(facts, message, *received_at, policy, now),
        Input::Delivery { posting, outcome } => delivery::decide(facts, posting, outcome, now),
        Input::Hold { posting, reason } => delivery::hold(posting, reason, now),
        Input::Release { posting, about } => delivery::release(facts, posting, about.as_ref(), policy, now),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::message::Mailbox;
    use crate::domain::policy::{Person, Role};

    /// A desk for tests: one coordinator, one maintainer.
    pub(crate) fn policy() -> Policy {
        let person = |name: &str, role| Person {
            mailbox: Mailbox {
                name: Some(name.to_owned()),
                address: format!("{}@example.org", name.to_lowercase()),
            },
            roles: vec![role],
        };
        let mut policy = Policy::new(Mailbox {
            name: Some("Example Project Security".to_owned()),
            address: "security@example.org".to_owned(),
        });
        policy.case_prefix = "EX".to_owned();
        policy.calendar.zone = TimeZone::get("America/Los_Angeles").unwrap();
        policy.people = vec![person("Ada", Role::Coordinator), person("Max", Role::Maintainer)];
        policy
    }
}
