//! The letters about one mail of a case: acknowledgement, relay, status; and what people of the team write.
//!
//! # Invariants
//! * The acknowledgement and the status go to the author's From address and hold nothing of what he wrote.
//! * A relay is always encrypted.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseMail};
use crate::domain::deadline::{Deadline, DeadlineKind, Standing};
use crate::domain::decide::replies::ByMember;
use crate::domain::intake::{Intake, Kind};
use crate::domain::letter::{
    Acknowledgement, Answer, Body, Letter, LetterId, LetterKind, Note, Occasion, Promise, Protection, Relay,
    Status,
};
use crate::domain::message::{Encryption, Mailbox, Message};
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
    /// Its author is of the team: what the mail is then.
    pub(super) team: Option<Team>,
    /// Its author's address is a member's of the distributors' list: what the mail is then.
    pub(super) by_member: Option<&'a ByMember>,
    /// What was noticed about the mail in the light of others.
    pub(super) notes: Vec<String>,
    /// The filled form of an application, and what became of it: for coordinators alone.
    pub(super) form: Vec<String>,
    /// What the mail is to the case, where it is no report's.
    pub(super) occasion: Option<&'static str>,
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
        let (within, within_unit) = self.policy.terms.first_response.parts();
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
        let standing = |deadline: &Deadline| deadline.standing(self.case, now);
        let mut promises: Vec<&Deadline> = self.case.deadlines.iter().collect();
        // what is waited for of the reporter is no promise
        promises.retain(|deadline| deadline.kind != DeadlineKind::NeedInfo);
        promises.sort_by_key(|deadline| deadline.due(self.case));
        let told = |wanted: Standing| {
            let first = promises.iter().find(|deadline| standing(deadline) == wanted)?;
            let due = self.policy.calendar.moment(first.due(self.case));
            Some(Promise { what: first.kind.word(), due })
        };
        let body = Status {
            phase: self.case.phase.word(),
            waiting: self.case.waiting_since.is_some(),
            late: told(Standing::Overdue),
            next: told(Standing::Running),
        };
        self.answer(id, Body::Status(self.occasion(), body))
    }

    /// An answer to the mail's author, in the mail's thread, encrypted when the mail was and its author's certificate is known.
    fn answer(&self, id: LetterId, body: Body) -> Option<Letter> {
        let encrypt = self.message.came_encrypted() && self.message.reporter_cert.is_some();
        let protection = if encrypt { Protection::Encrypted } else { Protection::Signed };
        in_thread_of(self.message, id, protection, body)
    }

    /// To one person of the team; always encrypted. It threads with that person's earlier relays of the case, and shows
    /// nobody on the way which mail it is about.
    pub(super) fn relay(&mut self, to: &Mailbox, received_at: Timestamp) -> Letter {
        let calendar = &self.policy.calendar;
        let earlier = relays_before(self.case, to);
        let first = self.case.mails.first().is_none_or(|mail| mail.mail == self.message.digest);
        // what a report says is read once, and not what somebody else's ciphertext says
        let reading = match first && !self.withheld && self.intake.kind != Kind::Membership {
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
            occasion: self.occasion_of(first),
            kind: format!("{}{sort}", self.intake.kind.word()),
            pending: self.pending,
            trust: self.policy.border.is_some().then(|| self.intake.trust.why.clone()),
            hints: self.by_member.and_then(ByMember::hint).into_iter().chain(hints).collect(),
            versions: versions.collect(),
            received: calendar.line(received_at),
            deadlines: self
                .case
                .deadlines
                .iter()
                .filter(|deadline| deadline.standing(self.case, Timestamp::MIN) == Standing::Running)
                .map(|deadline| (deadline.kind.word().to_owned(), calendar.line(deadline.due(self.case))))
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
            form: match self.policy.coordinators().any(|one| one.mailbox.canonical() == to.canonical()) {
                true => self.form.clone(),
                false => Vec::new(),
            },
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

    /// What the mail is to the case.
    fn occasion_of(&self, first: bool) -> String {
        if let Some(occasion) = self.occasion {
            return occasion.to_owned();
        }
        if let Some(occasion) = self.by_member.filter(|_| !first).and_then(ByMember::occasion) {
            return occasion;
        }
        let occasion = match self.team {
            _ if first => "new report",
            None => "follow-up",
            Some(Team::Note) => "internal note",
            Some(Team::Answer) => "answer to the reporter, by a member of the team,",
            Some(Team::Unproven) => "mail under the name of a member of the team (not signed)",
        };
        occasion.to_owned()
    }
}

/// What a mail of a member of the team is to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Team {
    /// For the team.
    Note,
    /// It went to the reporter, too.
    Answer,
    /// Anybody may have written it.
    Unproven,
}

/// The relays of a case to a reader: what further letters to that reader thread with.
fn relays_before(case: &Case, to: &Mailbox) -> Vec<String> {
    case.letters_to(to, LetterKind::Relay).filter_map(|letter| letter.message_id.clone()).collect()
}

/// A letter to the mail's author, in the mail's thread.
pub(super) fn in_thread_of(
    message: &Message,
    id: LetterId,
    protection: Protection,
    body: Body,
) -> Option<Letter> {
    // without the name: the desk signs nothing that a stranger wrote
    let to = Mailbox::bare(message.author()?.address.clone());
    let mut references = message.references.clone();
    if references.is_empty() {
        references.extend(message.parents.first().cloned());
    }
    references.extend(message.message_id.clone());
    // the thread's beginning and its end: an answer is small, whatever it answers
    let middle = references.len().saturating_sub(MAX_REFERENCES);
    references.drain(1.min(middle)..middle.saturating_add(1.min(middle)));
    Some(Letter { id, to, protection, in_reply_to: message.message_id.clone(), references, body })
}

/// What a person writes to the reporter, in the thread of the reporter's latest mail. What came encrypted is answered encrypted, or
/// not at all. What came in the clear is answered in the clear, unless the reporter is known to use OpenPGP.
pub(super) fn answer_to(case: &Case, latest: &Arc<Message>, id: LetterId, body: Answer) -> Option<Letter> {
    let author = latest.author()?;
    let by_author = |mail: &&CaseMail| {
        mail.from.as_ref().is_some_and(|from| from.identity() == author.identity()) && !mail.pending
    };
    let came_encrypted = latest.came_encrypted()
        || case.mails.iter().filter(by_author).any(|mail| mail.encryption != Encryption::None);
    let used = latest.reporter_cert.as_ref().is_some_and(|(standing, certificate)| {
        *standing == crate::domain::signature::Standing::Pinned
            || latest.signature.signer() == Some(certificate.fingerprint.as_str())
    });
    let protection = if came_encrypted || used { Protection::Encrypted } else { Protection::Signed };
    let occasion = Occasion { case: case.id.clone(), about: Arc::clone(latest) };
    in_thread_of(latest, id, protection, Body::Answer(occasion, Box::new(body)))
}

/// What a person writes to another one of the team.
pub(super) fn note_to(case: &Case, to: &Mailbox, id: LetterId, note: Note) -> Letter {
    let references = relays_before(case, to);
    Letter {
        id,
        to: to.clone(),
        protection: Protection::Encrypted,
        in_reply_to: references.last().cloned(),
        references,
        body: Body::Note(case.id.clone(), Box::new(note)),
    }
}
