//! What has to be known of the distributors' list when a mail may have to do with joining it, and of whom the coordinators are reminded.
//!
//! # Invariants
//! * The list is not read for ordinary reports: only for what was sent to its address, for what comes from an address on it, and in the
//!   case of an application.
//! * A vouch belongs to the case of the application that it names, wherever it was written; but only from an address on the list.

use jiff::Timestamp;

use crate::chance;
use crate::domain::application;
use crate::domain::case::Case;
use crate::domain::concern::{self, Concern};
use crate::domain::decide::Facts;
use crate::domain::distributor::Member;
use crate::domain::intake::{Kind, is_to_the_list};
use crate::domain::message::{Digest, Message};
use crate::keyring;
use crate::pipeline::Pipeline;
use crate::store::index::{Draft, IndexError, Lookup};

impl Pipeline {
    /// Adds to what is known of a mail what it may have to do with the list.
    pub(super) fn facts_of_list(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        facts: &mut Facts,
        now: Timestamp,
    ) -> Result<(), IndexError> {
        let Some(author) = message.author() else { return Ok(()) };
        let member = draft.member_of(author)?;
        let asked = |case: &Case| case.mails.iter().any(|mail| mail.kind == Kind::Membership);
        if member.is_none()
            && !is_to_the_list(message, &self.policy)
            && !facts.case.as_ref().is_some_and(asked)
        {
            return Ok(());
        }
        let vouching = application::vouching(&message.text).filter(|_| member.is_some() && !facts.own_letter);
        // whose form will be shown
        let concerned = |one: &Member| {
            one.has_address(author) || vouching.as_ref().is_some_and(|vouching| vouching.member == one.id)
        };
        facts.roster = Some(self.roster_with(draft, concerned, now)?);
        // 128 bits, as many as in a Message-ID
        facts.token = Digest::from_bytes(&chance::bytes::<16>()).as_str().to_owned();
        facts.offered = keyring::offered(&self.keyring, author, &message.offered_certs, now);
        let Some(vouching) = vouching else { return Ok(()) };
        let named = draft.member(&vouching.member)?;
        let application = named.and_then(|named| named.application).map(|(case, _)| case);
        facts.case = application.map_or(Ok(None), |case| draft.followed(case))?;
        facts.copy_of = None;
        Ok(())
    }

    /// Organisations that wait for a decision, and members who have to attest again.
    pub(super) fn concerns_of_list(
        &self,
        draft: &Draft<'_>,
        now: Timestamp,
    ) -> Result<Vec<Concern>, IndexError> {
        let members = draft.members()?;
        let days = self.policy.distributors.remind_days;
        Ok(members.iter().filter_map(|member| concern::of_member(member, days, now)).collect())
    }
}
