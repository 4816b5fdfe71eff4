//! How the distributors' list, proposals, and copies of notices become part of the index.

use crate::domain::distributor::{Member, MemberId};
use crate::domain::event::{Event, What};
use crate::domain::letter::LetterId;
use crate::domain::notice::{FanOut, Pending, Step};
use crate::domain::posting::{LetterState, Posting};
use crate::store::index::{Draft, IndexError, Lookup, PROPOSALS};

/// It is about one copy of a notice alone.
pub(super) fn is_about_a_copy(event: &Event) -> bool {
    match &event.what {
        What::Distribution { step, .. } => matches!(step.as_ref(), Step::Confirmed { .. }),
        what => what.letter().is_some_and(LetterId::is_copy),
    }
}

impl Draft<'_> {
    pub(super) fn fold_member(&mut self, event: &Event) -> Result<(), IndexError> {
        match &event.what {
            What::Member { member: id, change, .. } => {
                let before = self.member(id)?;
                let after = match before.clone() {
                    Some(mut member) => {
                        member.apply(event);
                        Some(member)
                    }
                    None => Member::begin(event),
                };
                if let Some(after) = after {
                    self.put_member(before.as_ref(), &after)?;
                }
                for signature in change.signatures() {
                    self.put(self.keys().signature(signature), &event.at)?;
                }
                Ok(())
            }
            What::Distribution { step, by } => self.fold_step(event, step, by),
            _ => Ok(()),
        }
    }

    fn put_member(&mut self, before: Option<&Member>, after: &Member) -> Result<(), IndexError> {
        for address in before.iter().flat_map(|before| &before.addresses) {
            let key = self.keys().member_of(address);
            // an address may have become another member's meanwhile
            if self.entry::<MemberId>(&key)?.as_ref() == Some(&after.id) {
                self.changes.insert(key, None);
            }
        }
        for address in &after.addresses {
            let key = self.keys().member_of(address);
            let other = self.member_of(address)?.filter(|other| other.id != after.id);
            // whoever is on the list keeps its address
            if !other.is_some_and(|other| other.is_active() && !after.is_active()) {
                self.put(key, &after.id)?;
            }
        }
        self.put(self.keys().member(&after.id), after)
    }

    fn fold_step(&mut self, event: &Event, step: &Step, by: &str) -> Result<(), IndexError> {
        match step {
            Step::Proposed { number, proposal } => {
                let pending = Pending {
                    number: *number,
                    case: event.case.clone(),
                    proposal: proposal.clone(),
                    by: by.to_owned(),
                    at: event.at,
                    first_approval: None,
                };
                self.put(self.keys().proposal(*number), &pending)?;
                let proposals = self.proposals()?.max(*number);
                self.put(PROPOSALS.to_vec(), &proposals)
            }
            Step::FirstApproval { number } => {
                let key = self.keys().proposal(*number);
                match self.entry::<Pending>(&key)? {
                    Some(pending) => {
                        self.put(key, &Pending { first_approval: Some(by.to_owned()), ..pending })
                    }
                    None => Ok(()),
                }
            }
            Step::Approved { number } | Step::Withdrawn { number, .. } => {
                let key = self.keys().proposal(*number);
                self.changes.insert(key, None);
                Ok(())
            }
            Step::Begun { notice, to } => {
                let left = to.iter().cloned().zip(1..).collect();
                self.fan_out(event, notice.number, left)
            }
            Step::Repeated { notice, member, letter } => {
                self.fan_out(event, *notice, vec![(member.clone(), *letter)])
            }
            Step::LeftOut { notice, member, .. } => match &event.case {
                Some(case) => {
                    let of = FanOut { case: case.clone(), notice: *notice, left: Vec::new() };
                    self.no_more_left(&of, |(left, _)| left == member)
                }
                None => Ok(()),
            },
            Step::Confirmed { letter, .. } => {
                if let Some(mut posting) = self.posting(letter)? {
                    posting.apply(event);
                    self.put(self.keys().letter(letter), &posting)?;
                }
                Ok(())
            }
            Step::Replied { signatures, .. } => {
                for signature in signatures {
                    self.put(self.keys().signature(signature), &event.at)?;
                }
                Ok(())
            }
            Step::LeakReported { .. } | Step::Leaked { .. } => Ok(()),
        }
    }

    fn fan_out(&mut self, event: &Event, notice: u32, left: Vec<(MemberId, u32)>) -> Result<(), IndexError> {
        let Some(case) = &event.case else { return Ok(()) };
        let key = self.keys().fan_out(case, notice);
        let known: Option<FanOut> = self.entry(&key)?;
        let mut all = known.map_or_else(Vec::new, |known| known.left);
        for turn in left {
            // what is written, or has its turn, is not written a second time
            let written = self.posting(&LetterId::of_notice(case, notice, turn.1))?;
            if !all.contains(&turn) && written.is_none_or(|posting| posting.bytes.is_none()) {
                all.push(turn);
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        self.put(key, &FanOut { case: case.clone(), notice, left: all })
    }

    fn no_more_left(
        &mut self,
        of: &FanOut,
        is_done: impl Fn(&(MemberId, u32)) -> bool,
    ) -> Result<(), IndexError> {
        let key = self.keys().fan_out(&of.case, of.notice);
        let Some(mut fan_out) = self.entry::<FanOut>(&key)? else { return Ok(()) };
        fan_out.left.retain(|turn| !is_done(turn));
        match fan_out.left.is_empty() {
            true => drop(self.changes.insert(key, None)),
            false => self.put(key, &fan_out)?,
        }
        Ok(())
    }

    /// A copy of a notice: it is written, it belongs to a case, it may still have to leave.
    pub(super) fn fold_copy(&mut self, posting: &Posting) -> Result<(), IndexError> {
        let (Some(copy), Some(case)) = (&posting.copy, &posting.case) else { return Ok(()) };
        let of = FanOut { case: case.clone(), notice: copy.notice, left: Vec::new() };
        // what becomes of an earlier letter to it takes nothing from a later one
        self.no_more_left(&of, |(left, letter)| {
            *left == copy.member && Some(*letter) == posting.id.number()
        })?;
        let room = self.keys().copies(case);
        self.put(self.keys().within(&room, &posting.id), &posting.id)?;
        let leaving = self.keys().leaving(&copy.member);
        let key = self.keys().within(&leaving, &posting.id);
        match posting.state {
            LetterState::Active | LetterState::Deferred | LetterState::Held => self.put(key, &posting.id)?,
            LetterState::Sent | LetterState::Returned => drop(self.changes.insert(key, None)),
        }
        Ok(())
    }
}
