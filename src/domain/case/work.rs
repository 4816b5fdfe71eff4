//! What people of the team do with a case, and what that does to its clocks.

use jiff::Timestamp;

use crate::domain::case::{Answer, Case};
use crate::domain::deadline::{Deadline, DeadlineKind};
use crate::domain::embargo::Embargo;
use crate::domain::event::{Event, What};
use crate::domain::letter::LetterId;
use crate::domain::message::Mailbox;

impl Case {
    /// What people of the team did with it.
    pub(super) fn work(&mut self, event: &Event) {
        match &event.what {
            What::NoteWritten { text, by } => {
                self.notes.extend(text.clone().map(|text| (text, by.clone())));
            }
            What::OwnerSet { owner, .. } => self.owner = Some(owner.clone()),
            What::Answered { topic, by, letter, text, .. } => {
                let (by, letter, text) = (by.clone(), letter.clone(), text.clone());
                self.answers.push(Answer { at: event.at, by, topic: *topic, letter, text });
            }
            What::ClockStarted { deadline } => self.start(deadline, event.at),
            What::PhaseChanged { phase, class, .. } if self.phase.may_become(*phase) => {
                self.phase = *phase;
                self.rejected_as.clone_from(class);
                self.milestones.push((*phase, event.at));
            }
            What::Shared { with, .. } => {
                let new = with.iter().filter(|one| !self.shared_with.contains(one));
                let new: Vec<Mailbox> = new.cloned().collect();
                self.shared_with.extend(new);
            }
            What::Assessed { finding, .. } => self.advisory.learn(finding),
            What::PrioritySet { priority, .. } => self.priority = Some(*priority),
            What::Snoozed { until, .. } => self.snoozed_until = Some(*until),
            What::BecamePublic { place, .. } if self.embargo == Embargo::None => {
                self.embargo = Embargo::Broken { since: event.at, place: place.clone() };
            }
            _ => {}
        }
    }

    /// A clock begins. One of its kind that ran is over: what it was about has just been done.
    fn start(&mut self, deadline: &Deadline, at: Timestamp) {
        if deadline.kind == DeadlineKind::NeedInfo {
            self.waiting_since = Some(at);
        }
        match self.deadlines.iter_mut().find(|known| known.kind == deadline.kind) {
            Some(known) => {
                let before = std::mem::replace(known, deadline.clone());
                if deadline.kind == DeadlineKind::StatusUpdate {
                    self.past.push((before, at));
                }
            }
            None => self.deadlines.push(deadline.clone()),
        }
    }

    /// A letter came back that had met a deadline: the clock that it began did not begin.
    pub(super) fn take_back(&mut self, letter: &LetterId) {
        let sent_at = self.letters.iter().find(|known| known.id == *letter).and_then(|known| known.sent_at);
        let Some(sent_at) = sent_at else { return };
        let is_answer = self.answers.iter().any(|answer| answer.letter.as_ref() == Some(letter));
        let before = self.past.pop_if(|(_, met_at)| is_answer && *met_at == sent_at);
        if let Some((before, _)) = before {
            self.deadlines.retain(|known| known.kind != before.kind);
            self.deadlines.push(before);
        }
    }
}
