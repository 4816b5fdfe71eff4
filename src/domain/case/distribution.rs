//! What a case knows of the distributors: what was sent to them, who of them may know, what got out.

use jiff::Timestamp;

use crate::domain::case::{Case, CaseLetter};
use crate::domain::distributor::{Member, MemberId};
use crate::domain::embargo::{self, Party};
use crate::domain::event::{Event, What};
use crate::domain::intake::Kind;
use crate::domain::letter::LetterKind;
use crate::domain::message::{Digest, Mailbox};
use crate::domain::notice::{Released, Reply, Step};

impl Case {
    /// A step on the way to the distributors.
    pub(super) fn distribute(&mut self, step: &Step, by: &str, at: Timestamp) {
        match step {
            Step::Begun { notice, to } => {
                self.notices.push(notice.clone());
                to.iter().for_each(|member| self.release_to(member, at));
            }
            Step::Repeated { notice, member, letter } => {
                // one recipient more, unless it is written again
                let repeated = self.notices.iter_mut().filter(|known| known.number == *notice);
                let letter = usize::try_from(*letter).unwrap_or(usize::MAX);
                repeated.for_each(|known| {
                    known.recipients = known.recipients.max(letter);
                    known.left_out.retain(|(left_out, _)| left_out != member);
                });
                self.release_to(member, at);
            }
            Step::LeftOut { notice, member, why } => {
                for known in self.notices.iter_mut().filter(|known| known.number == *notice) {
                    known.missed = known.missed.saturating_add(1);
                    known.left_out.retain(|(left_out, _)| left_out != member);
                    known.left_out.push((member.clone(), why.clone()));
                }
            }
            Step::Replied { member, mail, .. } => {
                // whose address it is was not known when the mail was recorded
                let recorded = self.timeline.iter_mut().rev().find(|entry| entry.at == at && entry.who == by);
                recorded.into_iter().for_each(|entry| entry.for_coordinators = true);
                self.replies.push(Reply { mail: mail.clone(), member: member.clone(), leak: false });
            }
            Step::LeakReported { mail, .. } => {
                self.replies.iter_mut().filter(|reply| reply.mail == *mail).for_each(|it| it.leak = true);
            }
            Step::Leaked { member, ends, .. } => {
                self.leaks.push((at, member.clone(), by.to_owned()));
                if *ends {
                    self.embargo.break_at(at, None);
                }
            }
            Step::Proposed { .. }
            | Step::FirstApproval { .. }
            | Step::Approved { .. }
            | Step::Withdrawn { .. }
            | Step::Confirmed { .. } => {}
        }
    }

    /// What the timeline says of the event names somebody who is on the list.
    pub(super) fn tells_the_list(&self, event: &Event) -> bool {
        match &event.what {
            What::Member { .. } => true,
            // a server's word, or a stranger's, about what was sent to members may be from the house of one
            What::MailRecorded { from: Some(from), kind, .. } => {
                let is_author = |known: &Mailbox| known.identity() == from.identity();
                let known = self.reporters().chain(self.insiders()).any(is_author);
                !self.notices.is_empty() && *kind != Kind::Command && !known
            }
            What::Distribution { step, .. } => !matches!(
                step.as_ref(),
                Step::Begun { .. }
                    | Step::FirstApproval { .. }
                    | Step::Approved { .. }
                    | Step::Withdrawn { .. }
                    | Step::Leaked { member: None, .. }
            ),
            What::Embargo { step: embargo::Step::Consented { consent, .. }, .. } => {
                matches!(consent.party, Party::Member(_))
            }
            what => what.letter().is_some_and(|letter| {
                let of_a_member = |known: &&CaseLetter| known.kind == LetterKind::Membership;
                self.letters.iter().filter(of_a_member).any(|known| known.id == *letter)
            }),
        }
    }

    /// The member may know of it: as it is on the list now, not another one that had its name before.
    pub fn is_released_to(&self, member: &Member) -> bool {
        let last = self.released_to(&member.id).map(|released| released.again.unwrap_or(released.at));
        last.is_some_and(|at| member.has_been_since(at))
    }

    /// A member of that name may have known of it, at whatever time.
    pub fn was_released_to(&self, member: &MemberId) -> bool {
        self.released_to(member).is_some()
    }

    fn released_to(&self, member: &MemberId) -> Option<&Released> {
        self.released.iter().find(|released| released.member == *member)
    }

    /// The mail is shown to be of a member: what is known of that.
    pub fn reply(&self, mail: &Digest) -> Option<&Reply> {
        self.replies.iter().find(|reply| reply.mail == *mail)
    }

    fn release_to(&mut self, member: &MemberId, at: Timestamp) {
        match self.released.iter_mut().find(|released| released.member == *member) {
            Some(known) => known.again = Some(known.again.unwrap_or(known.at).max(at)),
            None => self.released.push(Released { member: member.clone(), at, again: None }),
        }
    }

    /// Whoever may know of another case, which goes on as this one, may know of this one.
    pub(super) fn absorb_released(&mut self, other: &Self) {
        for released in &other.released {
            self.release_to(&released.member, released.again.unwrap_or(released.at));
        }
        let new = other.replies.iter().filter(|reply| self.reply(&reply.mail).is_none());
        let new: Vec<Reply> = new.cloned().collect();
        self.replies.extend(new);
    }
}
