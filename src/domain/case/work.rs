//! What people of the team do with a case, and what that does to its clocks.

use jiff::Timestamp;

use crate::domain::case::{Answer, Case, Past};
use crate::domain::deadline::{Because, Deadline, DeadlineKind};
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
            What::ClockStarted { deadline, because } => self.start(deadline, *because, event.at),
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
            What::BecamePublic { place, .. } => self.embargo.break_at(event.at, place.clone()),
            _ => {}
        }
    }

    /// A clock begins. One of its kind that ran is over; what it was about is done when the team has written.
    fn start(&mut self, deadline: &Deadline, because: Because, at: Timestamp) {
        match (deadline.kind, because) {
            (DeadlineKind::NeedInfo, _) => self.waiting_since = Some(at),
            (_, Because::Answered | Because::Reopened) => self.waiting_since = None,
            // whoever writes again while an answer is waited for still waits
            (_, Because::Written) => {}
        }
        let is_paused = self.waiting_since.is_some();
        let written_at =
            self.answers.iter().find(|answer| answer.letter.is_some() && answer.letter == deadline.letter);
        let written_at = written_at.map(|answer| answer.at);
        let Some(known) = self.deadlines.iter_mut().find(|known| known.kind == deadline.kind) else {
            self.deadlines.push(deadline.clone());
            return;
        };
        // another letter of the same answer, to another reporter, has begun it
        let same_answer = known.since.is_some_and(|since| written_at.is_some_and(|written| since >= written));
        if same_answer && known.letter.is_some() {
            return;
        }
        let before = std::mem::replace(known, deadline.clone());
        if deadline.kind == DeadlineKind::StatusUpdate && because == Because::Written && !is_paused {
            self.past.push(Past { deadline: before, met_at: at, letter: deadline.letter.clone() });
        }
    }

    /// A letter came back: the clocks that it began did not begin, and what it had met is owed again.
    pub(super) fn take_back(&mut self, letter: &LetterId) {
        let begun = |deadline: &Deadline| deadline.letter.as_ref() == Some(letter);
        if self.deadlines.iter().any(|it| it.kind == DeadlineKind::NeedInfo && begun(it)) {
            self.waiting_since = None;
        }
        let before = self.deadlines.len();
        self.deadlines.retain(|deadline| !begun(deadline));
        if self.deadlines.len() == before {
            return;
        }
        let met = self.past.iter().position(|past| past.letter.as_ref() == Some(letter));
        if let Some(met) = met {
            let past = self.past.remove(met);
            self.deadlines.push(past.deadline);
        }
    }

    /// What was promised to either reporter is promised, and what only one of them has had, the other is still owed.
    pub(super) fn absorb_clocks(&mut self, other: &Self, at: Timestamp) {
        let met = |case: &Self, deadline: &Deadline| deadline.standing(case, at).met_at();
        for theirs in &other.deadlines {
            let theirs_met = met(other, theirs).is_some();
            let place = self.deadlines.iter().position(|ours| ours.kind == theirs.kind);
            let ours = place.and_then(|place| self.deadlines.get(place)).cloned();
            let ours_met = ours.as_ref().and_then(|ours| met(self, ours));
            match (ours, ours_met) {
                // whose answer is waited for is another case's affair
                (None, _) if theirs.kind == DeadlineKind::StatusUpdate => self.deadlines.push(theirs.clone()),
                (None, _) => {}
                (Some(_), None) if theirs_met => {}
                (Some(ours), None) => {
                    let due = ours.due.min(theirs.due);
                    self.deadlines.iter_mut().filter(|it| it.kind == theirs.kind).for_each(|it| it.due = due);
                }
                (Some(_), Some(_)) if theirs_met || theirs.kind == DeadlineKind::Disclosure => {}
                (Some(ours), Some(met_at)) => {
                    self.past.push(Past { deadline: ours, met_at, letter: None });
                    let owed =
                        Deadline { since: Some(theirs.since(other)), after: Some(at), ..theirs.clone() };
                    self.deadlines
                        .iter_mut()
                        .filter(|it| it.kind == theirs.kind)
                        .for_each(|it| *it = owed.clone());
                }
            }
        }
    }
}
