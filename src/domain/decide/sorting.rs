//! What people sort out: a mail that is in the wrong case.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::decide::{Decision, Facts, mail};
use crate::domain::event::{Event, What};
use crate::domain::intake::TAKEN_OUT;
use crate::domain::message::{Digest, Message};
use crate::domain::policy::Policy;
use crate::domain::thread;

/// The mail leaves its case and opens one of its own, with the promises of the time when it came. It is acknowledged when a person
/// says so: nobody knows what its author has heard so far.
pub(super) fn split(
    facts: &Facts,
    message: &Arc<Message>,
    by: &str,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let Some(old) = &facts.case else { return Decision::default() };
    let known = old.mails.iter().find(|mail| mail.mail == message.digest);
    let Some(known) = known.filter(|_| old.mails.len() > 1) else { return Decision::default() };
    let mut decision = mail::anew(facts, message, known.at, &format!("{TAKEN_OUT} {}", old.id), policy, now);
    let new = decision.events.iter().find_map(Case::open).map(|case| case.id);
    let Some(to) = new else { return Decision::default() };
    // an id that another mail or a letter of the old case has, too, goes on leading there: anybody can write it into his mail
    let others = || old.mails.iter().filter(|mail| mail.mail != message.digest);
    let is_free = |id: &String| {
        !others().any(|mail| mail.message_id.as_ref() == Some(id))
            && !old.letters.iter().any(|letter| letter.message_id.as_ref() == Some(id))
    };
    let is_free_inside = |id: &Digest| !others().any(|mail| mail.protected_id.as_ref() == Some(id));
    let left = others().find(|mail| thread::tells_of_it(old, mail, policy));
    let reporter = left.and_then(|mail| mail.from.clone());
    let what = What::MailMoved {
        mail: message.digest.clone(),
        message_id: message.message_id.clone().filter(is_free),
        protected_id: message.protected_id.clone().filter(is_free_inside),
        to,
        reporter,
        by: by.to_owned(),
    };
    decision.events.push(Event { at: now, case: Some(old.id.clone()), what });
    decision
}
