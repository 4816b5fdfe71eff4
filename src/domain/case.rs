//! The case: one report and everything that follows from it.
//!
//! # Invariants
//! * A case is nothing but the fold of its events: [`Case::apply`] cannot refuse history.
//! * It is made of orthogonal parts (phase, assessment, embargo, deadlines, letters), not of one long enumeration.

mod distribution;
pub(super) mod timeline;
mod work;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::advisory::Advisory;
use crate::domain::command::{Class, Topic};
use crate::domain::deadline::{Deadline, Terms};
use crate::domain::distributor::MemberId;
use crate::domain::embargo::Embargo;
use crate::domain::event::{Event, What};
use crate::domain::intake::{FOLLOW_UP, Kind, Sort};
use crate::domain::letter::{LetterId, LetterKind};
use crate::domain::message::{Digest, Encryption, Mailbox};
use crate::domain::notice::{Notice, Released, Reply};
use crate::domain::phase::{Phase, Priority};
use crate::domain::posting::{BOUNCED, LetterState};
use crate::domain::report::{Hint, Item};
use crate::domain::signature::Standing;
use crate::domain::trust::Trust;

/// `PREFIX-YEAR-NNNN`: at least four digits, counted from 1 every year.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseId(String);

impl CaseId {
    /// The `number`th case of a year.
    pub fn new(prefix: &str, year: i16, number: u32) -> Self {
        Self(format!("{prefix}-{year:04}-{number:04}"))
    }

    /// As a person typed it; whether there is such a case is another question.
    pub fn typed(text: &str) -> Self {
        Self(text.trim().to_uppercase())
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One report and everything that follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: CaseId,
    /// Where it stands.
    pub phase: Phase,
    /// The report's subject; none when it was protected by encryption.
    pub subject: Option<String>,
    /// Who reported.
    pub reporter: Option<Mailbox>,
    /// Who reported the same: the reporters of cases that were merged into this one.
    #[serde(default)]
    pub further_reporters: Vec<Mailbox>,
    /// The case that goes on in its place.
    #[serde(default)]
    pub merged_into: Option<CaseId>,
    /// When the report reached the mailbox.
    pub received_at: Timestamp,
    /// When the acknowledgement left the house.
    pub acknowledged_at: Option<Timestamp>,
    /// Why no acknowledgement was written.
    pub not_acknowledged: Option<String>,
    /// What was promised.
    pub deadlines: Vec<Deadline>,
    /// Clocks that began anew, because what was due was done.
    #[serde(default)]
    pub past: Vec<Past>,
    /// The terms that it was opened with; a case of an earlier version has none.
    #[serde(default)]
    pub terms: Option<Terms>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<Mailbox>,
    /// The maintainers with whom it is shared (P-2).
    #[serde(default)]
    pub shared_with: Vec<Mailbox>,
    /// How urgent it is, when a person said so.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// What was found out about the vulnerability.
    #[serde(default)]
    pub advisory: Advisory,
    /// Whether the matter is confidential.
    #[serde(default)]
    pub embargo: Embargo,
    /// What was sent to the distributors, in order.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// The members who may know of it.
    #[serde(default)]
    pub released: Vec<Released>,
    /// What got out: when, through whom, who says so.
    #[serde(default)]
    pub leaks: Vec<(Timestamp, Option<MemberId>, String)>,
    /// Its mails that are shown to be of members of the distributors' list.
    #[serde(default)]
    pub replies: Vec<Reply>,
    /// As what it was rejected.
    #[serde(default)]
    pub rejected_as: Option<Class>,
    /// What people of the team wrote to the reporter.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// The files of internal notes, and who wrote them.
    #[serde(default)]
    pub notes: Vec<(Digest, String)>,
    /// The reporter was asked something then, and has not answered yet.
    #[serde(default)]
    pub waiting_since: Option<Timestamp>,
    /// Nobody is reminded of it before.
    #[serde(default)]
    pub snoozed_until: Option<Timestamp>,
    /// When it reached each phase, in order.
    #[serde(default)]
    pub milestones: Vec<(Phase, Timestamp)>,
    /// What the report lacks.
    pub missing: Vec<Item>,
    /// What a person should see first.
    #[serde(default)]
    pub hints: Vec<Hint>,
    /// Its mails, in order of receipt.
    pub mails: Vec<CaseMail>,
    /// Its letters, in order of writing.
    pub letters: Vec<CaseLetter>,
    /// What happened, in a person's words.
    pub timeline: Vec<Entry>,
}

/// A mail of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseMail {
    /// The file it lies in.
    pub mail: Digest,
    /// When it was recorded.
    pub at: Timestamp,
    /// What it is.
    pub kind: Kind,
    /// Which machine wrote it, if one did.
    #[serde(default)]
    pub sort: Option<Sort>,
    /// Its author.
    pub from: Option<Mailbox>,
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// A digest of the Message-ID in its protected header.
    #[serde(default)]
    pub protected_id: Option<Digest>,
    /// Its size in bytes; that of the file is smaller when it was too large to be fetched.
    #[serde(default)]
    pub size: u64,
    /// Why it could not be opened.
    pub problem: Option<String>,
    /// How much of it was encrypted.
    #[serde(default)]
    pub encryption: Encryption,
    /// The short word of its signature's verdict.
    #[serde(default)]
    pub signature: String,
    /// The verdict's own word.
    #[serde(default)]
    pub verdict: String,
    /// Who signed.
    #[serde(default)]
    pub signer: Option<String>,
    /// How the desk came to the certificate that a good signature is by.
    #[serde(default)]
    pub standing: Option<Standing>,
    /// What its server says about its sender.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// Words that may mean that a machine wrote it.
    #[serde(default)]
    pub doubt: Option<String>,
    /// Its author takes no part in the case: unverified, and without effect.
    #[serde(default)]
    pub pending: bool,
}

impl CaseMail {
    fn recorded(event: &Event) -> Option<Self> {
        let What::MailRecorded {
            mail,
            kind,
            sort,
            from,
            message_id,
            protected_id,
            size,
            problem,
            encryption,
            signature,
            verdict,
            signer,
            standing,
            trust,
            doubt,
            pending,
            ..
        } = &event.what
        else {
            return None;
        };
        Some(Self {
            mail: mail.clone(),
            at: event.at,
            kind: *kind,
            from: from.clone(),
            message_id: message_id.clone(),
            protected_id: protected_id.clone(),
            size: *size,
            problem: problem.clone(),
            encryption: *encryption,
            signature: signature.clone(),
            verdict: verdict.clone(),
            signer: signer.clone(),
            standing: *standing,
            sort: *sort,
            trust: trust.clone(),
            doubt: doubt.clone(),
            pending: *pending,
        })
    }
}

/// A letter of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseLetter {
    /// Its name.
    pub id: LetterId,
    /// Its kind.
    pub kind: LetterKind,
    /// To whom.
    pub to: Mailbox,
    /// Where it stands.
    pub state: LetterState,
    /// Attempts so far.
    pub attempts: u32,
    /// Its own Message-ID; none as long as it is not sealed.
    pub message_id: Option<String>,
    /// A rule keeps it back, unless a person wants it sent.
    #[serde(default)]
    pub withheld: bool,
    /// The mail it is about.
    #[serde(default)]
    pub about: Option<Digest>,
    /// When the next server took it.
    #[serde(default)]
    pub sent_at: Option<Timestamp>,
    /// The last words of the server, or the reason it is held.
    #[serde(default)]
    pub last_reply: Option<String>,
}

/// A clock that was met, and began anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// What was due.
    pub deadline: Deadline,
    /// When it was done.
    pub met_at: Timestamp,
    /// By which letter.
    pub letter: Option<LetterId>,
}

/// What a person of the team wrote to the reporter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub by: String,
    /// What about.
    pub topic: Topic,
    /// The letter; none when that person's own mail went to the reporter.
    pub letter: Option<LetterId>,
    /// The file of the text.
    pub text: Option<Digest>,
}

/// A line of a case's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
    /// Who did it: an address, or `psirtd`.
    pub who: String,
    /// It tells who is on the distributors' list, which is for the coordinators alone.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub for_coordinators: bool,
}

impl Entry {
    fn new(at: Timestamp, what: String, who: String) -> Self {
        Self { at, what, who, for_coordinators: false }
    }
}

impl Case {
    /// The case that an opening event opens; `None` for every other event.
    pub fn open(event: &Event) -> Option<Self> {
        let (Some(id), What::CaseOpened { subject, reporter, received_at, deadlines, missing, hints, terms }) =
            (&event.case, &event.what)
        else {
            return None;
        };
        let who = reporter.as_ref().map_or_else(|| "unknown".to_owned(), |reporter| reporter.address.clone());
        Some(Self {
            id: id.clone(),
            phase: Phase::Received,
            subject: subject.clone(),
            reporter: reporter.clone(),
            received_at: *received_at,
            acknowledged_at: None,
            not_acknowledged: None,
            deadlines: deadlines.clone(),
            past: Vec::new(),
            terms: *terms,
            owner: None,
            shared_with: Vec::new(),
            priority: None,
            advisory: Advisory::default(),
            embargo: Embargo::None,
            notices: Vec::new(),
            released: Vec::new(),
            leaks: Vec::new(),
            replies: Vec::new(),
            rejected_as: None,
            answers: Vec::new(),
            notes: Vec::new(),
            waiting_since: None,
            snoozed_until: None,
            milestones: vec![(Phase::Received, event.at)],
            missing: missing.clone(),
            hints: hints.clone(),
            further_reporters: Vec::new(),
            merged_into: None,
            mails: Vec::new(),
            letters: Vec::new(),
            timeline: vec![Entry::new(event.at, "case opened".to_owned(), who)],
        })
    }

    /// Lets one more event of this case become history.
    pub fn apply(&mut self, event: &Event) {
        match &event.what {
            What::CaseOpened { .. }
            | What::CertificateSeen { .. }
            | What::CertificateAccepted { .. }
            | What::Digested { .. }
            | What::Restored { .. }
            | What::Told { .. }
            | What::Reminded { .. }
            | What::Commanded { .. } => {}
            What::NoteWritten { .. }
            | What::OwnerSet { .. }
            | What::Answered { .. }
            | What::ClockStarted { .. }
            | What::PhaseChanged { .. }
            | What::Shared { .. }
            | What::Assessed { .. }
            | What::PrioritySet { .. }
            | What::Snoozed { .. }
            | What::BecamePublic { .. } => self.work(event),
            What::Member { .. } => {}
            What::Embargo { step, by } => self.embargo.apply(step, by, event.at),
            What::Distribution { step, by } => self.distribute(step, by, event.at),
            // the copies of a notice are counted by themselves: there may be a thousand
            What::LetterQueued { copy: Some(_), .. } | What::LetterHeld { copy: Some(_), .. } => return,
            what if what.letter().is_some_and(LetterId::is_copy) => return,
            What::MailRecorded { why_no_answer, .. } => {
                if self.mails.is_empty() {
                    self.not_acknowledged = why_no_answer.clone().filter(|why| why != FOLLOW_UP);
                }
                self.mails.extend(CaseMail::recorded(event));
            }
            What::CaseMerged { into, .. } => self.merged_into = Some(into.clone()),
            What::MailMoved { mail, reporter, .. } => self.lose(mail, reporter.as_ref()),
            What::SignatureChecked { mail, signature, verdict, signer, standing } => {
                if let Some(mail) = self.mails.iter_mut().find(|known| known.mail == *mail) {
                    mail.signature.clone_from(signature);
                    mail.verdict.clone_from(verdict);
                    mail.signer.clone_from(signer);
                    mail.standing = *standing;
                }
            }
            What::LetterQueued { letter, kind, to, message_id, mail, .. } => {
                let state = LetterState::Active;
                self.put_letter(letter, *kind, to, state, Some(message_id.clone()), mail.as_ref());
            }
            What::LetterHeld { letter, kind, to, withheld, mail, reason, .. } => {
                self.put_letter(letter, *kind, to, LetterState::Held, None, mail.as_ref());
                let held = self.letters.iter_mut().filter(|known| known.id == *letter);
                held.for_each(|known| known.withheld = *withheld);
                self.said(letter, reason);
            }
            What::LetterSent { letter, reply } => {
                self.said(letter, reply);
                let sent = self.letters.iter_mut().filter(|known| known.id == *letter);
                sent.for_each(|known| known.sent_at = Some(event.at));
                if self.move_letter(letter, LetterState::Sent, 1) == Some(LetterKind::Acknowledgement)
                    && self.acknowledged_at.is_none()
                {
                    self.acknowledged_at = Some(event.at);
                    self.not_acknowledged = None;
                }
            }
            What::LetterDeferred { letter, reply, .. } => {
                self.said(letter, reply);
                self.move_letter(letter, LetterState::Deferred, 1);
            }
            What::LetterReturned { letter, reply } => {
                self.said(letter, reply);
                self.take_back(letter);
                let attempts = u32::from(!reply.starts_with(BOUNCED));
                if self.move_letter(letter, LetterState::Returned, attempts)
                    == Some(LetterKind::Acknowledgement)
                {
                    // whoever did not get it was not told
                    self.acknowledged_at = None;
                    self.not_acknowledged = Some(reply.clone());
                }
            }
            What::LetterStopped { letter, reason } => {
                self.said(letter, reason);
                self.move_letter(letter, LetterState::Held, 0);
            }
            What::LetterReleased { letter, .. } => {
                self.move_letter(letter, LetterState::Active, 0);
            }
        }
        if let Some((what, who)) = self.tell(event) {
            let for_coordinators = self.tells_the_list(event);
            self.timeline.push(Entry { for_coordinators, ..Entry::new(event.at, what, who) });
        }
    }

    /// Who reported it, the first one first.
    pub fn reporters(&self) -> impl Iterator<Item = &Mailbox> {
        self.reporter.iter().chain(&self.further_reporters)
    }

    /// Somebody still has to do something for it.
    pub fn is_open(&self) -> bool {
        self.phase.is_open() && self.merged_into.is_none()
    }

    /// When it reached a phase; for what can be taken back, since it was looked at again, and as long as it has not gone back.
    pub fn reached(&self, phase: Phase) -> Option<Timestamp> {
        let when = |milestones: &[(Phase, Timestamp)]| {
            milestones.iter().rev().find(|(known, _)| *known == phase).map(|(_, at)| *at)
        };
        // what is public stays public
        if phase == Phase::Disclosed {
            return self.milestones.iter().find(|(known, _)| *known == phase).map(|(_, at)| *at);
        }
        let reopened = self.milestones.iter().rposition(|(known, _)| *known == Phase::Reopened);
        let since = self.milestones.get(reopened.unwrap_or_default()..).unwrap_or_default();
        let place = |phase: Phase| Phase::ALL.iter().position(|known| *known == phase);
        let passed = self.phase == Phase::Closed || place(self.phase) >= place(phase);
        when(since).filter(|_| passed)
    }

    /// What people of the team wrote to the reporter and the next server took, and when: what is held, waits, or came back is not
    /// among it.
    pub fn arrived_answers(&self) -> impl Iterator<Item = (Topic, Timestamp)> {
        self.answers.iter().filter_map(|answer| {
            let Some(id) = &answer.letter else { return Some((answer.topic, answer.at)) };
            let letter = self.letters.iter().find(|letter| letter.id == *id)?;
            let sent = letter.sent_at.filter(|_| letter.state == LetterState::Sent);
            sent.map(|at| (answer.topic, at))
        })
    }

    /// The reporter has it, or will have it without a person's doing.
    pub fn is_under_way(&self, answer: &Answer) -> bool {
        let waits = |letter: &CaseLetter| matches!(letter.state, LetterState::Held | LetterState::Returned);
        let letter = answer.letter.as_ref();
        letter.is_none_or(|id| self.letters.iter().any(|letter| letter.id == *id && !waits(letter)))
    }

    /// Those for whom the case is no secret besides the coordinators: its owner, and the maintainers it is shared with.
    pub fn insiders(&self) -> impl Iterator<Item = &Mailbox> {
        self.owner.iter().chain(&self.shared_with)
    }

    /// The letters of a kind to an address, in order of writing: what the next one threads with.
    pub fn letters_to<'a>(
        &'a self,
        address: &'a Mailbox,
        kind: LetterKind,
    ) -> impl Iterator<Item = &'a CaseLetter> {
        let address = address.canonical();
        self.letters.iter().filter(move |letter| letter.kind == kind && letter.to.canonical() == address)
    }

    /// Takes over what another case knows, which goes on as this one; `by` says so.
    pub fn absorb(&mut self, other: &Self, at: Timestamp, by: &str) {
        for mail in &other.mails {
            if !self.mails.iter().any(|known| known.mail == mail.mail) {
                self.mails.push(mail.clone());
            }
        }
        self.mails.sort_by_key(|mail| mail.at);
        for reporter in other.reporters() {
            let known = |known: &Mailbox| known.identity() == reporter.identity();
            if !self.reporters().any(known) {
                self.further_reporters.push(reporter.clone());
            }
        }
        self.absorb_clocks(other, at);
        if self.embargo == Embargo::None || other.embargo.public_since().is_some() {
            self.embargo = other.embargo.clone();
        }
        self.advisory.fill_from(&other.advisory);
        self.absorb_released(other);
        // a letter of the other case that leaves later begins a clock of this one, and meets none
        self.answers.extend(other.answers.iter().filter(|answer| answer.letter.is_some()).cloned());
        let what = format!("case {} merged into this one", other.id);
        // whoever was in the know of either is in the know of both
        let new = other.insiders().filter(|one| !self.insiders().any(|known| known == *one));
        let new: Vec<Mailbox> = new.cloned().collect();
        self.shared_with.extend(new);
        self.timeline.push(Entry::new(at, what, by.to_owned()));
    }

    /// A mail turned out to be about something else. If it opened the case, who wrote the next one is the reporter.
    fn lose(&mut self, mail: &Digest, reporter: Option<&Mailbox>) {
        let opened_it = self.mails.first().is_some_and(|first| first.mail == *mail);
        self.mails.retain(|known| known.mail != *mail);
        if opened_it {
            let left = self.mails.iter().find(|mail| !mail.pending && mail.kind != Kind::Command);
            self.reporter = reporter.cloned().or_else(|| left.and_then(|mail| mail.from.clone()));
        }
        // who has no mail here any more takes no part
        let writes = |reporter: &Mailbox| {
            let same = |from: &Mailbox| from.identity() == reporter.identity();
            self.mails.iter().any(|mail| mail.from.as_ref().is_some_and(same))
        };
        let still: Vec<Mailbox> = self.further_reporters.iter().filter(|one| writes(one)).cloned().collect();
        self.further_reporters = still;
    }

    fn put_letter(
        &mut self,
        id: &LetterId,
        kind: LetterKind,
        to: &Mailbox,
        state: LetterState,
        message_id: Option<String>,
        about: Option<&Digest>,
    ) {
        if let Some(letter) = self.letters.iter_mut().find(|letter| letter.id == *id) {
            letter.state = state;
            letter.message_id = message_id;
            letter.withheld = false;
        } else {
            let letter = CaseLetter {
                id: id.clone(),
                kind,
                to: to.clone(),
                state,
                attempts: 0,
                message_id,
                withheld: false,
                about: about.cloned(),
                sent_at: None,
                last_reply: None,
            };
            self.letters.push(letter);
        }
    }

    fn said(&mut self, id: &LetterId, words: &str) {
        let letter = self.letters.iter_mut().filter(|letter| letter.id == *id);
        letter.for_each(|letter| letter.last_reply = Some(words.to_owned()));
    }

    fn move_letter(&mut self, id: &LetterId, state: LetterState, attempts: u32) -> Option<LetterKind> {
        let letter = self.letters.iter_mut().find(|letter| letter.id == *id)?;
        letter.state = state;
        letter.attempts = letter.attempts.saturating_add(attempts);
        Some(letter.kind)
    }
}
