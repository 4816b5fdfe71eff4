//! What follows from a mail, from a delivery, from a person's word, from the time: events and letters.
//!
//! # Invariants
//! * [`decide`] is total, deterministic and silent.
//! * It is the only place that makes events and letters.
//! * One acknowledgement a case, never for a mail that a rule of `intake` forbids to answer unless a person releases it.
//! * A letter that carries anything of a report is encrypted.

mod certificates;
mod command;
mod consent;
mod delivery;
mod desk;
mod joining;
mod letters;
mod mail;
mod notices;
mod replies;
mod sorting;
mod team;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::case::{Case, CaseId};
use crate::domain::command::order::{Misread, Order};
use crate::domain::concern::Concern;
use crate::domain::distributor::{Member, MemberId, Roster};
use crate::domain::event::{Event, OPERATOR, What};
use crate::domain::letter::Letter;
use crate::domain::limit::Answered;
use crate::domain::message::{Attachment, Digest, Mailbox, Message};
use crate::domain::notice::{File, Notice, Pending};
use crate::domain::policy::Policy;
use crate::domain::posting::{Outcome, Posting};
use crate::domain::reminder::Warning;
use crate::domain::signature::Certificate;
use crate::domain::unanswered::Agenda;

/// What is known when a decision is made.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The case that the mail's ids lead to, or that a letter belongs to.
    pub case: Option<Case>,
    /// The mail of that case of which this one is a copy, when nothing else leads there.
    pub copy_of: Option<Digest>,
    /// The case that the mail's subject names, if there is one.
    pub named: Option<CaseId>,
    /// The letter that the mail says came back, or answers by itself.
    pub returned: Option<Posting>,
    /// The mail answers a letter that belongs to no case.
    pub answers_the_desk: bool,
    /// The mail answers a relay, of whatever case.
    pub answers_a_relay: bool,
    /// The mail answers a copy of a notice.
    pub answers_a_notice: bool,
    /// The mail carries the Message-ID of one of the desk's own letters, and its address.
    pub own_letter: bool,
    /// Certificates that the desk remembers for the mail's author; the first is in use.
    pub remembered: Vec<Certificate>,
    /// The first mail that brought each of this mail's ciphertexts, if it is not the first itself; and whether a good signature of
    /// this mail's author lies inside.
    pub sightings: Vec<(Sighting, bool)>,
    /// A good signature of the mail was that of an earlier one, which gave commands or answered a reporter.
    pub signature_used: bool,
    /// Automatic answers written so far.
    pub answered: Answered,
    /// The number the next case of this year would get, counted from 1.
    pub next_number: u32,
    /// A random number in 0..=1, drawn by the caller.
    pub jitter: f64,
    /// What the coordinators were not told yet.
    pub concerns: Vec<Concern>,
    /// What the daily digest is made of, when its time has come.
    pub unanswered: Agenda,
    /// What somebody must be reminded of, and was not told yet.
    pub warnings: Vec<Warning>,
    /// Who was told today of what is ahead, by their canonical address.
    pub reminded_today: Vec<String>,
    /// People of the team who can be written to encrypted, by their canonical address.
    pub reachable: Vec<String>,
    /// What the mail, or the command line, tells the desk to do.
    pub ordered: Option<Box<Ordered>>,
    /// Letters of the desk so far that belong to no case.
    pub desk_letters: u32,
    /// The distributors' list, when the mail may have to do with it; of keys, those of whoever the mail is by or about.
    pub roster: Option<Arc<Roster>>,
    /// Words that nobody can guess, drawn by the caller.
    pub token: String,
    /// The certificates that the mail offers, when it may have to do with the list.
    pub offered: Vec<Offered>,
    /// The copies of the case's notices, when the mail is of one of its members.
    pub copies: Vec<Posting>,
    /// Letters whose turn may be further away than any wait.
    pub far_off: Vec<Posting>,
}

/// A certificate that a mail offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its fingerprint, if it can be read at all.
    pub fingerprint: String,
    /// The certificate, if it is its author's as far as it says, and can be encrypted to; or why it cannot be taken.
    pub certificate: Result<Certificate, String>,
}

/// What a person tells the desk to do, and what has to be known to do it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ordered {
    /// What was said.
    pub order: Result<Order, Misread>,
    /// The file of its text.
    pub text: Option<Digest>,
    /// The signature of the mail has been used.
    pub used: bool,
    /// The case that is named.
    pub case: Option<Case>,
    /// Other cases that are named.
    pub others: Vec<Case>,
    /// The case that goes on in the place of the first of them.
    pub goes_on: Option<Case>,
    /// The open cases, when they are asked for.
    pub open: Vec<Case>,
    /// The mails of the case, opened, when they are needed.
    pub mails: Vec<Arc<Message>>,
    /// So many mails of the case are not among them.
    pub left_out: usize,
    /// The latest mail of each reporter, opened.
    pub latest: Vec<Arc<Message>>,
    /// The letters that are named.
    pub letters: Vec<Named>,
    /// The first mails that brought the ciphertexts of each of these mails.
    pub sightings: BTreeMap<Digest, Vec<(Sighting, bool)>>,
    /// The distributors' list, when it has to do with it.
    pub roster: Option<Arc<Roster>>,
    /// The proposals that are named.
    pub pending: Vec<Pending>,
    /// What people wrote for them, by the file it lies in.
    pub texts: BTreeMap<Digest, String>,
    /// What each mail that is named to be shared says, and the file that it will lie in.
    pub shared: BTreeMap<Digest, (Digest, String)>,
    /// Proposals made so far.
    pub proposals: u32,
    /// What is attached, and the files it will lie in.
    pub attachments: Vec<(File, Attachment)>,
    /// The certificates in the text, and of each: until when it can be encrypted to (none: without end), or why it cannot.
    pub certificates: Vec<(Certificate, Result<Option<Timestamp>, String>)>,
    /// Certificates that can be no member's, and whose they are: the desk's, and those of its people.
    pub ours: Vec<(String, String)>,
    /// The members in the text, as `members export` writes them; or what is wrong with it.
    pub imported: Option<Result<Vec<Member>, String>>,
    /// The time zone that is named; none when there is no such one.
    pub zone: Option<TimeZone>,
    /// The copies of the case's notices; and, when a member is named, those to it that are under way, of any case.
    pub copies: Vec<Posting>,
}

impl Ordered {
    /// What was said, and the file of its text; nothing else is known yet.
    pub fn new(order: Result<Order, Misread>, text: Option<Digest>) -> Ordered {
        Ordered {
            order,
            text,
            used: false,
            case: None,
            others: Vec::new(),
            goes_on: None,
            open: Vec::new(),
            mails: Vec::new(),
            left_out: 0,
            latest: Vec::new(),
            letters: Vec::new(),
            sightings: BTreeMap::new(),
            roster: None,
            pending: Vec::new(),
            texts: BTreeMap::new(),
            shared: BTreeMap::new(),
            proposals: 0,
            attachments: Vec::new(),
            certificates: Vec::new(),
            ours: Vec::new(),
            imported: None,
            zone: None,
            copies: Vec::new(),
        }
    }
}

/// Copies of a notice that are still to be written, and what they are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// The case.
    pub case: Case,
    /// The notice.
    pub notice: Notice,
    /// What the person wrote; an error when the file cannot be read.
    pub text: Result<Option<String>, String>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// Whose turn it is.
    pub to: Vec<Turn>,
}

/// A member that a copy is to be written to.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Which.
    pub id: MemberId,
    /// What is known of it now.
    pub member: Option<Member>,
    /// Its time zone, if it named one that there is.
    pub zone: Option<TimeZone>,
    /// The number of the letter among the copies.
    pub letter: u32,
    /// The Message-IDs of what it was sent of the case before, in order.
    pub earlier: Vec<String>,
    /// It may have been sent: the desk was restored from a backup that knows nothing of it.
    pub perhaps_sent: bool,
}

/// A letter that is named, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The letter.
    pub released: Released,
    /// Its case.
    pub case: Option<Case>,
    /// The case that goes on in the place of that one.
    pub goes_on: Option<CaseId>,
}

/// A letter that a person lets go, and what it is written from when it has no bytes yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Released {
    /// The letter.
    pub posting: Box<Posting>,
    /// The mail it is about, opened again.
    pub about: Option<Arc<Message>>,
    /// The text that a person wrote for it.
    pub text: Option<String>,
    /// The member that it goes to, when it is a copy of a notice.
    pub member: Option<Box<Member>>,
}

impl Released {
    /// Why nobody may let it go: what goes to the list goes to active members alone.
    pub fn barred(&self) -> Option<String> {
        let copy = self.posting.copy.as_ref()?;
        match &self.member {
            Some(member) if member.is_active() && !member.has_been_since(self.posting.queued_at) => {
                Some(format!("{} has joined since: release the case to it", member.id))
            }
            Some(member) if member.is_active() => None,
            Some(member) => Some(format!("{} is {}: nothing goes to it", member.id, member.state.word())),
            None => Some(format!("{} is not on the list", copy.member)),
        }
    }
}

/// Where a ciphertext was seen for the first time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// That mail.
    pub mail: Digest,
    /// The case of that mail.
    pub case: Option<CaseId>,
    /// Its author.
    pub from: Option<Mailbox>,
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
    Release(Released),
    /// A certificate was looked up for the author of a mail that it signed.
    Found {
        /// The mail, opened again with the certificate.
        message: Arc<Message>,
        /// The certificate.
        certificate: Certificate,
    },
    /// Copies of a notice are to be written.
    Copies(Box<Copies>),
    /// Time to look whether the coordinators must be told something.
    Look,
    /// A person accepts a certificate that was seen for an address.
    Accept {
        /// Whose.
        address: String,
        /// Its fingerprint.
        fingerprint: String,
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
        Input::Delivery { posting, outcome } => delivery::decide(facts, posting, outcome, policy, now),
        Input::Hold { posting, reason } => delivery::hold(posting, reason, now),
        Input::Release(released) => delivery::release(facts, released, OPERATOR, policy, now),
        Input::Found { message, certificate } => certificates::found(facts, message, certificate, now),
        Input::Copies(copies) => notices::copies(copies, policy, now),
        Input::Look => desk::decide(facts, policy, now),
        Input::Accept { address, fingerprint } => {
            let (address, fingerprint) = (address.clone(), fingerprint.clone());
            let what = What::CertificateAccepted { address, fingerprint };
            Decision { events: vec![Event { at: now, case: None, what }], letters: Vec::new() }
        }
    }
}

/// Carries out what the command line says ([`Facts::ordered`]); what follows, and what the person hears. The error says why nothing
/// does.
pub fn obey(facts: &Facts, policy: &Policy, now: Timestamp) -> Result<(Decision, String), String> {
    match &facts.ordered {
        Some(ordered) => command::by_operator(facts, ordered, policy, now),
        None => Err("nothing was said".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::tz::TimeZone;

    use super::*;
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
