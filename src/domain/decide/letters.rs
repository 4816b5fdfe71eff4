//! The letters about one mail of a case: acknowledgement, relay, status.
//!
//! # Invariants
//! * The acknowledgement and the status go to the author's From address and hold nothing of what he wrote.
//! * A relay is always encrypted.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::deadline::{Deadline, DeadlineKind};
use crate::domain::intake::Intake;
use crate::domain::letter::{
    Acknowledgement, Body, Letter, LetterId, LetterKind, Occasion, Promise, Protection, Relay, Status,
};
use crate::domain::message::{Mailbox, Message};
use crate::domain::policy::Policy;
use crate::domain::report;
use crate::domain::signature::Signature;

/// An answer names no more ids of its thread than this.
const MAX_REFERENCES: usize = 20;

/// Where the letters about one mail are written.
pub(super) struct WritingDesk<'a> {
    pub(super) case: &'a Case,
    pub(super) message: &'a Arc<Message>,
    pub(super) policy: &'a Policy,
    pub(super) intake: &'a Intake,
    /// The mail's author takes no part in the case.
    pub(super) pending: bool,
    /// What was noticed about the mail in the light of others.
    pub(super) notes: Vec<String>,
    /// What it says is not repeated.
    pub(super) withheld: bool,
    /// The acknowledgement that waits for a person's word.
    pub(super) release: Option<LetterId>,
    /// The letter that tells the author where the case stands.
    pub(super) status: Option<LetterId>,
    /// Letters of the case so far.
    pub(super) next: usize,
}

impl WritingDesk<'_> {
    pub(super) fn next_id(&mut self) -> LetterId {
        self.next = self.next.saturating_add(1);
        LetterId::new(&self.case.id, self.next)
    }

    fn occasion(&self) -> Occasion {
        Occasion { case: self.case.id.clone(), about: Arc::clone(self.message) }
    }

    /// The acknowledgement under this name. To the From address, never to Reply-To (RFC 3834 §4). None when From is not one
    /// address.
    pub(super) fn acknowledgement(&self, id: LetterId) -> Option<Letter> {
        let encrypt = self.message.came_encrypted() && self.message.reporter_cert.is_some();
        // what a report lacks tells what it says: of one that was encrypted, only its author may hear it, for a stranger may
        // have sent somebody else's ciphertext
        let tell = !self.message.came_encrypted()
            || (encrypt
                && matches!(self.message.signature, Signature::Good(_))
                && self.message.wrote_what_was_encrypted());
        let due = |kind| {
            let deadline = self.case.deadlines.iter().find(|deadline: &&Deadline| deadline.kind == kind);
            self.policy.calendar.moment(deadline.map_or(self.case.received_at, |deadline| deadline.due))
        };
        let (within, within_unit) = self.policy.first_response.parts();
        let body = Acknowledgement {
            first_response: due(DeadlineKind::FirstResponse),
            plan: due(DeadlineKind::Plan),
            within,
            within_unit,
            missing: if tell { self.case.missing.clone() } else { Vec::new() },
            unreadable: self.message.is_unreadable(),
            too_large: self.message.not_fetched,
            came_in_clear: !self.message.came_encrypted(),
            public_tracker: self.policy.public_tracker.clone(),
            process: self.policy.process.clone(),
        };
        self.answer(id, Body::Acknowledgement(self.occasion(), body))
    }

    /// Where the case stands, and what is promised next.
    pub(super) fn status(&self, id: LetterId, now: Timestamp) -> Option<Letter> {
        let mut promises: Vec<&Deadline> = self.case.deadlines.iter().collect();
        promises.sort_by_key(|deadline| deadline.due);
        let told = |deadline: &Deadline| Promise {
            what: deadline.kind.word(),
            due: self.policy.calendar.moment(deadline.due),
        };
        let (late, ahead): (Vec<&Deadline>, Vec<&Deadline>) =
            promises.into_iter().partition(|deadline| deadline.due < now);
        let body = Status {
            phase: self.case.phase.word(),
            late: late.first().map(|deadline| told(deadline)),
            next: ahead.first().map(|deadline| told(deadline)),
        };
        self.answer(id, Body::Status(self.occasion(), body))
    }

    /// An answer to the mail's author, in the mail's thread, encrypted when the mail was and its author's certificate is known.
    fn answer(&self, id: LetterId, body: Body) -> Option<Letter> {
        // without the name: the desk signs nothing that a stranger wrote
        let to = Mailbox::bare(self.message.author()?.address.clone());
        let encrypt = self.message.came_encrypted() && self.message.reporter_cert.is_some();
        let mut references = self.message.references.clone();
        if references.is_empty() {
            references.extend(self.message.parents.first().cloned());
        }
        references.extend(self.message.message_id.clone());
        // the thread's beginning and its end: an answer is small, whatever it answers
        let middle = references.len().saturating_sub(MAX_REFERENCES);
        references.drain(1.min(middle)..middle.saturating_add(1.min(middle)));
        Some(Letter {
            id,
            to,
            protection: if encrypt { Protection::Encrypted } else { Protection::Signed },
            in_reply_to: self.message.message_id.clone(),
            references,
            body,
        })
    }

    /// To one person of the team; always encrypted. It threads with that person's earlier relays of the case, and shows
    /// nobody on the way which mail it is about.
    pub(super) fn relay(&mut self, to: &Mailbox, received_at: Timestamp) -> Letter {
        let calendar = &self.policy.calendar;
        let earlier: Vec<String> = self
            .case
            .letters_to(to, LetterKind::Relay)
            .filter_map(|letter| letter.message_id.clone())
            .collect();
        let first = self.case.mails.first().is_none_or(|mail| mail.mail == self.message.digest);
        // what a report says is read once, and not what somebody else's ciphertext says
        let reading = match first && !self.withheld {
            true => report::read(self.message, self.policy),
            false => report::Reading::default(),
        };
        let sort = self.intake.sort.map_or_else(String::new, |sort| format!(" ({})", sort.word()));
        let said = |supported| if supported { "supported" } else { "not supported" };
        let hints = reading.hints.iter().map(|(hint, words)| format!("{} ({words})", hint.word()));
        let versions = reading
            .versions
            .iter()
            .map(|version| format!("{} ({})", version.number, said(version.supported)));
        let body = Relay {
            occasion: if first { "new report" } else { "follow-up" }.to_owned(),
            kind: format!("{}{sort}", self.intake.kind.word()),
            pending: self.pending,
            trust: self.policy.border.is_some().then(|| self.intake.trust.why.clone()),
            hints: hints.collect(),
            versions: versions.collect(),
            received: calendar.line(received_at),
            deadlines: self
                .case
                .deadlines
                .iter()
                .map(|deadline| (deadline.kind.word().to_owned(), calendar.line(deadline.due)))
                .collect(),
            missing: self.case.missing.clone(),
            why_no_answer: self.intake.why_no_answer.clone().filter(|_| self.status.is_none()),
            status: self.status.as_ref().map(ToString::to_string),
            release: self.release.as_ref().map(ToString::to_string),
            notes: self
                .intake
                .doubt
                .iter()
                .map(ToString::to_string)
                .chain(self.notes.iter().cloned())
                .collect(),
            withheld: self.withheld,
        };
        Letter {
            id: self.next_id(),
            to: to.clone(),
            protection: Protection::Encrypted,
            in_reply_to: earlier.last().cloned(),
            references: earlier,
            body: Body::Relay(self.occasion(), body),
        }
    }
}
