//! A letter's way through the outbox, in Postfix' words: active, deferred, held, sent, returned.
//!
//! # Invariants
//! * A posting is the fold of its letter's events: [`Posting::apply`] cannot refuse history.
//! * A letter that has bytes keeps them, and its Message-ID: a retry sends what was sent before.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::case::CaseId;
use crate::domain::event::{Event, What};
use crate::domain::letter::{LetterId, LetterKind};
use crate::domain::message::{Digest, Mailbox};
use crate::domain::notice::{CopyOf, Step};

/// A letter is given up this long after it was queued (RFC 5321 §4.5.4.1).
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(5 * 24);

/// How the last words of a letter begin that was accepted, and came back later.
pub const BOUNCED: &str = "bounced: ";

/// Where a letter stands. Postfix' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterState {
    /// Its turn has come.
    Active,
    /// Tried, not accepted, tried again later.
    Deferred,
    /// Waits for a person.
    Held,
    /// The next server has it.
    Sent,
    /// Refused for good, or given up.
    Returned,
}

impl LetterState {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Returned => "returned",
        }
    }
}

/// A letter on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Posting {
    /// Its name.
    pub id: LetterId,
    /// The case it belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<CaseId>,
    /// Its kind.
    pub kind: LetterKind,
    /// Its reader.
    pub to: Mailbox,
    /// Where it stands.
    pub state: LetterState,
    /// When it was written.
    pub queued_at: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next; none when only a person can move it.
    pub next_attempt: Option<Timestamp>,
    /// The last words of the server, or the reason it is held.
    pub last_reply: Option<String>,
    /// Its own Message-ID; none as long as it is not sealed.
    pub message_id: Option<String>,
    /// The file its bytes lie in; none as long as it is not sealed.
    pub bytes: Option<Digest>,
    /// The mail it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub about: Option<Digest>,
    /// The file of the text that a person wrote for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<Digest>,
    /// A rule keeps it back, unless a person wants it sent.
    #[serde(default)]
    pub withheld: bool,
    /// Which copy of a notice it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub copy: Option<CopyOf>,
    /// Since when it stands where it stands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub moved_at: Option<Timestamp>,
    /// When the next server took it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent_at: Option<Timestamp>,
    /// When its reader said, signed, that it is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmed_at: Option<Timestamp>,
}

impl Posting {
    /// The posting that an event begins; `None` for every other event.
    pub fn begin(event: &Event) -> Option<Self> {
        let (id, kind, to, mail, text, copy) = match &event.what {
            What::LetterQueued { letter, kind, to, mail, text, copy, .. }
            | What::LetterHeld { letter, kind, to, mail, text, copy, .. } => {
                (letter, kind, to, mail, text, copy)
            }
            _ => return None,
        };
        let mut posting = Self {
            id: id.clone(),
            case: event.case.clone(),
            kind: *kind,
            to: to.clone(),
            state: LetterState::Held,
            queued_at: event.at,
            attempts: 0,
            next_attempt: None,
            last_reply: None,
            message_id: None,
            bytes: None,
            about: mail.clone(),
            text: text.clone(),
            withheld: false,
            copy: copy.clone(),
            moved_at: None,
            sent_at: None,
            confirmed_at: None,
        };
        posting.apply(event);
        Some(posting)
    }

    /// Lets one more event of this letter become history.
    pub fn apply(&mut self, event: &Event) {
        let reply = match &event.what {
            What::CaseOpened { .. }
            | What::MailRecorded { .. }
            | What::CertificateSeen { .. }
            | What::SignatureChecked { .. }
            | What::CertificateAccepted { .. }
            | What::CaseMerged { .. }
            | What::MailMoved { .. }
            | What::Digested { .. }
            | What::Restored { .. }
            | What::Told { .. }
            | What::Commanded { .. }
            | What::OwnerSet { .. }
            | What::NoteWritten { .. }
            | What::Answered { .. }
            | What::ClockStarted { .. }
            | What::PhaseChanged { .. }
            | What::Shared { .. }
            | What::Assessed { .. }
            | What::PrioritySet { .. }
            | What::Snoozed { .. }
            | What::BecamePublic { .. }
            | What::Reminded { .. }
            | What::Member { .. }
            | What::Embargo { .. } => return,
            What::Distribution { step, .. } => {
                if matches!(step.as_ref(), Step::Confirmed { letter, .. } if *letter == self.id) {
                    self.confirmed_at = Some(event.at);
                }
                return;
            }
            What::LetterQueued { message_id, bytes, .. } => {
                self.queued_at = event.at;
                self.message_id = Some(message_id.clone());
                self.bytes = Some(bytes.clone());
                self.withheld = false;
                self.turn(LetterState::Active, Some(event.at));
                None
            }
            What::LetterHeld { reason, withheld, .. } => {
                self.withheld = *withheld;
                self.turn(LetterState::Held, None);
                Some(reason)
            }
            What::LetterStopped { reason, .. } => {
                self.turn(LetterState::Held, None);
                Some(reason)
            }
            What::LetterSent { reply, .. } => {
                self.attempts = self.attempts.saturating_add(1);
                self.turn(LetterState::Sent, None);
                self.sent_at = Some(event.at);
                Some(reply)
            }
            What::LetterDeferred { reply, next_attempt, .. } => {
                self.attempts = self.attempts.saturating_add(1);
                self.turn(LetterState::Deferred, Some(*next_attempt));
                Some(reply)
            }
            What::LetterReturned { reply, .. } => {
                // what comes back later is no attempt
                if !reply.starts_with(BOUNCED) {
                    self.attempts = self.attempts.saturating_add(1);
                }
                self.turn(LetterState::Returned, None);
                Some(reply)
            }
            What::LetterReleased { .. } => {
                self.queued_at = event.at;
                self.turn(LetterState::Active, Some(event.at));
                None
            }
        };
        self.last_reply = reply.cloned();
        self.moved_at = Some(event.at);
    }

    /// Its turn is still to come, without a person.
    pub fn is_under_way(&self) -> bool {
        self.next_attempt.is_some()
    }

    fn turn(&mut self, state: LetterState, next_attempt: Option<Timestamp>) {
        self.state = state;
        self.next_attempt = next_attempt;
    }
}

/// What the next server, or the way to it, said about one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted, with the server's words.
    Accepted(String),
    /// Not now.
    Transient(String),
    /// Never.
    Permanent(String),
}
