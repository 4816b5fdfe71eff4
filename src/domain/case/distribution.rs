//! What a case knows of the distributors: what was sent to them, who of them may know, what got out.

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::distributor::MemberId;
use crate::domain::notice::{Released, Step};

impl Case {
    /// A step on the way to the distributors.
    pub(super) fn distribute(&mut self, step: &Step, by: &str, at: Timestamp) {
        match step {
            Step::Begun { notice, to } => {
                self.notices.push(notice.clone());
                to.iter().for_each(|member| self.release_to(member, at));
            }
            Step::Repeated { member, .. } => self.release_to(member, at),
            Step::Leaked { member, ends, .. } => {
                self.leaks.push((at, member.clone(), by.to_owned()));
                if *ends {
                    self.embargo.break_at(at, None);
                }
            }
            Step::Proposed { .. }
            | Step::Approved { .. }
            | Step::Withdrawn { .. }
            | Step::LeftOut { .. }
            | Step::Confirmed { .. } => {}
        }
    }

    /// The member may know of it.
    pub fn is_released_to(&self, member: &MemberId) -> bool {
        self.released.iter().any(|released| released.member == *member)
    }

    fn release_to(&mut self, member: &MemberId, at: Timestamp) {
        if !self.is_released_to(member) {
            self.released.push(Released { member: member.clone(), at });
        }
    }

    /// Whoever may know of another case, which goes on as this one, may know of this one.
    pub(super) fn absorb_released(&mut self, other: &Self) {
        for released in &other.released {
            self.release_to(&released.member, released.at);
        }
    }
}
