//! What one person proposes and another one approves: four eyes.
//!
//! # Invariants
//! * What is approved is done as it was shown, or not at all.
//! * With four eyes on, whoever proposes does not approve, and nobody approves without a signature: the command line has none.
//!   So two persons sign: one who proposes by mail and one who approves, or two who approve what is typed in the shell.
//! * What goes to members is shown before it goes, even where one pair of eyes is enough.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::CaseId;
use crate::domain::command::authority::Actor;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::event::{OPERATOR, What};
use crate::domain::letter::{Body, Letter, LetterId, Protection, Shown};
use crate::domain::message::{Attachment, Mailbox};
use crate::domain::notice::{Pending, Proposal, Sort, Step};
use crate::domain::policy::Person;

/// What is shown of a proposal beside its few words.
#[derive(Debug, Clone, Default)]
pub(super) struct Preview {
    /// To so many members.
    pub(super) recipients: usize,
    /// Everything else that goes along, a line each.
    pub(super) lines: Vec<String>,
    /// What a person should know before.
    pub(super) warnings: Vec<String>,
    /// The text, word for word.
    pub(super) text: Option<String>,
    /// What goes to the reporter, word for word.
    pub(super) to_reporter: Option<String>,
    /// What is attached.
    pub(super) attachments: Vec<Attachment>,
}

impl Worker<'_> {
    /// Something that another person has to approve, or that is done at once where one pair of eyes is enough.
    pub(super) fn propose(&mut self, proposal: Proposal, preview: Preview) -> Told {
        let always_shown = matches!(proposal, Proposal::Notice { .. } | Proposal::Release { .. });
        if !self.policy.four_eyes() && !always_shown {
            let by = vec![self.by.name()];
            return self.execute(&proposal, self.now, by);
        }
        self.done.proposals = self.done.proposals.saturating_add(1);
        let number = self.done.proposals;
        let what = proposal.told();
        let step = Step::Proposed { number, proposal };
        self.happens(What::Distribution { step: Box::new(step), by: self.by.name() });
        let own = self.by.person().map(|person| person.mailbox.canonical());
        let readers: Vec<Mailbox> = self.policy.coordinators().map(|one| one.mailbox.clone()).collect();
        for reader in &readers {
            let shown = Shown {
                number,
                by: self.by.name(),
                what: what.clone(),
                own: own.as_ref() == Some(&reader.canonical()),
                four_eyes: self.policy.four_eyes(),
                unsigned: self.by == Actor::Operator,
                recipients: preview.recipients,
                warnings: preview.warnings.clone(),
                text: preview.text.clone(),
                to_reporter: preview.to_reporter.clone(),
                lines: preview.lines.clone(),
                attachments: preview.attachments.clone(),
            };
            let case = self.case.as_ref().map(|case| case.id.clone());
            let letter = Letter {
                id: self.letter_id(case.as_ref()),
                to: reader.clone(),
                protection: Protection::Encrypted,
                in_reply_to: None,
                references: Vec::new(),
                body: Body::Proposal(case, Arc::new(shown)),
            };
            self.done.letters.push(letter);
        }
        let who = match (self.policy.four_eyes(), self.by) {
            (false, _) => "a coordinator says",
            (true, Actor::Person(_)) => "another coordinator says",
            (true, Actor::Operator) => "two coordinators say",
        };
        let warnings = preview.warnings.iter().map(|warning| format!("; {warning}"));
        let warnings: String = warnings.collect();
        Ok(format!("proposal {number}: {what}; nothing goes before {who} !approve {number}{warnings}"))
    }

    pub(super) fn approve(&mut self, number: u32) -> Told {
        let pending = self.pending(number)?.clone();
        self.may_approve(&pending)?;
        self.fits(&pending)?;
        self.still_in_time(&pending)?;
        if pending.approvals_needed(self.policy) > 1 {
            self.records(number, Step::FirstApproval { number });
            return Ok(format!(
                "proposal {number} was typed in the shell and has your signature; nothing goes before another coordinator says !approve {number}, too"
            ));
        }
        self.records(number, Step::Approved { number });
        let by = std::iter::once(pending.by).chain(pending.first_approval).chain([self.by.name()]).collect();
        let told = self.execute(&pending.proposal, pending.at, by)?;
        Ok(format!("proposal {number} approved: {told}"))
    }

    /// With four eyes on, somebody else of the team has to approve, and to sign it.
    fn may_approve(&self, pending: &Pending) -> Result<(), String> {
        let Pending { number, by, first_approval, .. } = pending;
        if !self.policy.four_eyes() {
            return Ok(());
        }
        let Actor::Person(person) = self.by else {
            return Err(format!(
                "it needs a coordinator's signed mail, with the line !approve {number}: the command line signs nothing"
            ));
        };
        if is_by(by, person) {
            return Err(format!(
                "you propose it yourself: another coordinator has to approve proposal {number}"
            ));
        }
        if by != OPERATOR && !self.policy.is_coordinator(by) {
            return Err(format!(
                "{by} is no coordinator any more: withdraw proposal {number}, and say it anew"
            ));
        }
        match first_approval.as_ref().is_some_and(|name| is_by(name, person)) {
            true => Err(format!(
                "you have approved it already: another coordinator has to approve proposal {number}, too"
            )),
            false => Ok(()),
        }
    }

    pub(super) fn withdraw(&mut self, number: u32, text: Option<&str>) -> Told {
        let pending = self.pending(number)?.clone();
        let why = text.map(|text| text.lines().next().unwrap_or_default().to_owned());
        self.records(number, Step::Withdrawn { number, why });
        Ok(format!("proposal {number} is withdrawn: {}", pending.proposal.told()))
    }

    /// This mail has said that of a proposal that waited.
    fn records(&mut self, number: u32, step: Step) {
        self.happens(What::Distribution { step: Box::new(step), by: self.by.name() });
        self.done.spoken_of.push(number);
    }

    /// The proposal, if it still waits.
    fn pending(&self, number: u32) -> Result<&Pending, String> {
        let known = self.ordered.pending.iter().find(|pending| pending.number == number);
        match known {
            Some(_) if self.done.spoken_of.contains(&number) => {
                Err(format!("proposal {number} stands twice in this mail"))
            }
            Some(pending) => Ok(pending),
            None if number <= self.done.proposals && number > 0 => {
                Err(format!("proposal {number} is settled already"))
            }
            None => Err(format!("there is no proposal {number}")),
        }
    }

    /// The proposal is about the case at hand, and that is still worked on.
    fn fits(&self, pending: &Pending) -> Result<(), String> {
        let Some(id) = &pending.case else { return Ok(()) };
        let number = pending.number;
        match &self.case {
            Some(case) if case.id != *id && case.merged_into.is_none() => {
                Err(format!("proposal {number} is about case {id}: withdraw it, or name that case"))
            }
            Some(case) if case.merged_into.is_some() || case.id != *id => Err(format!(
                "case {id} is part of another one now: withdraw proposal {number}, and say it there"
            )),
            Some(case) if !case.is_open() && pending.proposal.goes_to_many() => {
                Err(format!("case {id} is {}: reopen it first", case.phase.word()))
            }
            Some(_) => Ok(()),
            None => Err(format!("case {id} cannot be read")),
        }
    }

    /// What was in time when it was proposed may have waited too long; what was shown of the embargo is still so.
    fn still_in_time(&self, pending: &Pending) -> Result<(), String> {
        let content = match &pending.proposal {
            Proposal::Notice { content, .. } => content,
            Proposal::Embargo { .. } | Proposal::Lift { .. } => {
                let end = self.case.as_ref().and_then(|case| case.embargo.agreement());
                return match end.filter(|end| end.set_at() > pending.at) {
                    Some(_) => Err(format!(
                        "the embargo was moved since it was proposed: withdraw proposal {}, and say it anew",
                        pending.number
                    )),
                    None => Ok(()),
                };
            }
            _ => return Ok(()),
        };
        let Some(until) = content.until.filter(|_| content.sort != Sort::Update) else { return Ok(()) };
        let (calendar, least) = (&self.policy.calendar, self.policy.distributors.at_least);
        let least = least.filter(|_| content.sort == Sort::Notice);
        let fits = |at| at < until && least.is_none_or(|term| calendar.due(at, term) <= until);
        // what a person wanted to go all the same goes, until the embargo is over
        let late = (fits(pending.at) && !fits(self.now)) || (pending.at < until && until <= self.now);
        match late {
            true => Err(format!(
                "the embargo ends too soon by now: withdraw proposal {}, and move the embargo, or say it anew",
                pending.number
            )),
            false => Ok(()),
        }
    }

    /// `at`: when it was proposed.
    fn execute(&mut self, proposal: &Proposal, at: Timestamp, by: Vec<String>) -> Told {
        match proposal {
            Proposal::Notice { content, to, left_out } => self.begin_notice(content, to, left_out, at, by),
            Proposal::Release { member } => self.release_to_member(member),
            Proposal::Embargo { until, reason, text } => {
                self.move_embargo(*until, *reason, text.as_ref(), by)
            }
            Proposal::Lift { text } => self.lift_embargo(text.as_ref(), by),
            Proposal::Remove { member, why } => self.remove_member(member, why.as_deref()),
            Proposal::Warn { member, text } => self.warn_member(member, text.as_ref()),
        }
    }

    /// The name of the next letter, of a case or of the desk.
    pub(super) fn letter_id(&mut self, case: Option<&CaseId>) -> LetterId {
        if let Some(case) = case {
            return self.next_id(case);
        }
        self.done.desk_letters = self.done.desk_letters.saturating_add(1);
        LetterId::of_desk(&self.policy.case_prefix, self.done.desk_letters)
    }
}

fn is_by(name: &str, person: &Person) -> bool {
    Mailbox::bare(name).identity() == person.mailbox.identity()
}
