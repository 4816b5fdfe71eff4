//! What follows from an attempt to deliver a letter, or from a person's word about it.

use jiff::{SignedDuration, Timestamp};

use crate::domain::backoff::LETTERS;
use crate::domain::deadline::{Because, Deadline, after};
use crate::domain::decide::{Decision, Facts, Released, mail, team};
use crate::domain::event::{Event, What};
use crate::domain::letter::LetterKind;
use crate::domain::notice::Step;
use crate::domain::policy::Policy;
use crate::domain::posting::{BOUNCED, GIVE_UP_AFTER, LetterState, Outcome, Posting};

/// See [`super::decide`]. The outcome of a letter that a person has stopped meanwhile is recorded all the same when it went
/// out: history cannot be refused.
pub(super) fn decide(
    facts: &Facts,
    posting: &Posting,
    outcome: &Outcome,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let letter = posting.id.clone();
    let what = match outcome {
        // the server was slow to tell that it took what has come back by now
        _ if posting.state == LetterState::Returned
            && posting.last_reply.as_ref().is_some_and(|reply| reply.starts_with(BOUNCED)) =>
        {
            return Decision::default();
        }
        Outcome::Accepted(reply) => What::LetterSent { letter, reply: reply.clone() },
        _ if posting.state == LetterState::Held => return Decision::default(),
        Outcome::Permanent(reply) => What::LetterReturned { letter, reply: reply.clone() },
        Outcome::Transient(reply) => {
            let wait = LETTERS.wait(posting.attempts.saturating_add(1), facts.jitter);
            let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
            let next_attempt = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
            if next_attempt.duration_since(posting.queued_at) > GIVE_UP_AFTER {
                let reply = format!(
                    "given up after {} attempts in five days; last: {reply}",
                    posting.attempts.saturating_add(1)
                );
                What::LetterReturned { letter, reply }
            } else {
                What::LetterDeferred { letter, reply: reply.clone(), next_attempt }
            }
        }
    };
    let mut decision = only(posting, what, now);
    if matches!(outcome, Outcome::Accepted(_)) && posting.state != LetterState::Sent {
        decision.events.extend(begun(facts, posting, policy, now));
    }
    decision
}

/// The clock that an answer begins when it has left.
fn begun(facts: &Facts, posting: &Posting, policy: &Policy, now: Timestamp) -> Option<Event> {
    let case = facts.case.as_ref()?;
    let answer = case.answers.iter().find(|answer| answer.letter.as_ref() == Some(&posting.id))?;
    let deadline = Deadline { letter: Some(posting.id.clone()), ..after(answer.topic, case, policy, now)? };
    let what = What::ClockStarted { deadline, because: Because::Written };
    Some(Event { at: now, case: Some(case.id.clone()), what })
}

/// A person stops a letter that has not left yet.
pub(super) fn hold(posting: &Posting, reason: &str, now: Timestamp) -> Decision {
    match posting.state {
        LetterState::Active | LetterState::Deferred => {
            let what = What::LetterStopped { letter: posting.id.clone(), reason: reason.to_owned() };
            only(posting, what, now)
        }
        LetterState::Held | LetterState::Sent | LetterState::Returned => Decision::default(),
    }
}

/// A person lets a letter go: sealed ones get their turn, unsealed ones are written again.
pub(super) fn release(
    facts: &Facts,
    released: &Released,
    by: &str,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let Released { posting, about, text, .. } = released;
    if posting.state == LetterState::Sent || released.barred().is_some() {
        return Decision::default();
    }
    if let Some(copy) = posting.copy.as_ref().filter(|_| posting.bytes.is_none()) {
        // it is written like the others, when its turn comes
        let letter = posting.id.number().unwrap_or_default();
        let step = Step::Repeated { notice: copy.notice, member: copy.member.clone(), letter };
        return only(posting, What::Distribution { step: Box::new(step), by: by.to_owned() }, now);
    }
    if posting.bytes.is_some() {
        let what = What::LetterReleased { letter: posting.id.clone(), by: by.to_owned() };
        return only(posting, what, now);
    }
    let letter = facts.case.as_ref().and_then(|case| match (posting.kind, about) {
        (LetterKind::Note, _) => team::note_again(case, posting, text.as_deref(), policy),
        (_, Some(about)) => mail::write_again(facts, case, posting, about, text.as_deref(), policy, now),
        _ => None,
    });
    Decision { events: Vec::new(), letters: letter.into_iter().collect() }
}

fn only(posting: &Posting, what: What, now: Timestamp) -> Decision {
    Decision { events: vec![Event { at: now, case: posting.case.clone(), what }], letters: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::CaseId;
    use crate::domain::decide::tests::policy;
    use crate::domain::distributor::{Change, Member, MemberId, State};
    use crate::domain::letter::LetterId;
    use crate::domain::message::{Digest, Mailbox};
    use crate::domain::notice::CopyOf;

    fn posting() -> Posting {
        let case = CaseId::new("EX", 2026, 1);
        let what = What::LetterQueued {
            letter: LetterId::new(&case, 1),
            kind: LetterKind::Acknowledgement,
            to: Mailbox::bare("rita@example.net"),
            message_id: "x@example.org".to_owned(),
            bytes: Digest::from_bytes(&[1]),
            mail: Some(Digest::from_bytes(&[2])),
            text: None,
            copy: None,
        };
        Posting::begin(&Event { at: "2026-11-20T12:00:00Z".parse().unwrap(), case: Some(case), what })
            .unwrap()
    }

    fn attempt(posting: &mut Posting, outcome: &Outcome, now: Timestamp) {
        let facts = Facts { jitter: 0.5, ..Facts::default() };
        for event in decide(&facts, posting, outcome, &policy(), now).events {
            posting.apply(&event);
        }
    }

    #[test]
    fn a_deferred_letter_is_tried_for_five_days_and_then_returned() {
        let mut posting = posting();
        let busy = Outcome::Transient("451 busy".to_owned());
        let mut waits = Vec::new();
        while let Some(turn) = posting.next_attempt {
            attempt(&mut posting, &busy, turn);
            waits.extend(posting.next_attempt.map(|next| next.duration_since(turn).as_mins()));
        }
        assert_eq!(waits[..9], [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(posting.state, LetterState::Returned);
        assert!(
            posting
                .last_reply
                .unwrap()
                .starts_with("given up after 66 attempts in five days; last: 451 busy")
        );
    }

    #[test]
    fn accepted_and_refused() {
        let mut accepted = posting();
        let now = "2026-11-20T12:00:01Z".parse().unwrap();
        attempt(&mut accepted, &Outcome::Accepted("250 2.0.0 Ok: queued as ABC".to_owned()), now);
        assert_eq!((accepted.state, accepted.attempts, accepted.next_attempt), (LetterState::Sent, 1, None));
        let mut refused = posting();
        attempt(&mut refused, &Outcome::Permanent("550 no such user".to_owned()), now);
        assert_eq!(
            (refused.state, refused.last_reply.as_deref()),
            (LetterState::Returned, Some("550 no such user"))
        );
    }

    #[test]
    fn a_letter_stopped_while_it_was_under_way() {
        let now = "2026-11-20T12:00:01Z".parse().unwrap();
        let mut stopped = posting();
        hold(&stopped.clone(), "wrong address", now).events.iter().for_each(|event| stopped.apply(event));
        assert_eq!(stopped.state, LetterState::Held);
        attempt(&mut stopped, &Outcome::Transient("451 busy".to_owned()), now);
        assert_eq!(stopped.state, LetterState::Held, "an attempt that failed does not set it going again");
        attempt(&mut stopped, &Outcome::Accepted("250 Ok".to_owned()), now);
        assert_eq!(stopped.state, LetterState::Sent, "what left the house left the house");
    }

    #[test]
    fn a_copy_goes_to_an_active_member_alone() {
        let now = "2026-11-20T12:00:01Z".parse().unwrap();
        let id = MemberId::typed("acme").unwrap();
        let copy = Some(CopyOf { notice: 1, member: id.clone() });
        let held = Posting { state: LetterState::Held, copy, queued_at: now, ..posting() };
        let what =
            |change| What::Member { member: id.clone(), change: Box::new(change), by: "ada".to_owned() };
        let event = |change| Event { at: now, case: None, what: what(change) };
        let mut member = Member::begin(&event(Change::Applied {
            organisation: "Acme".to_owned(),
            addresses: Vec::new(),
            criteria: Vec::new(),
            policy: "1".to_owned(),
        }))
        .unwrap();
        let mut let_go = |change| {
            member.apply(&event(change));
            let member = Some(Box::new(member.clone()));
            let released = Released { posting: Box::new(held.clone()), about: None, text: None, member };
            let decision = release(&Facts::default(), &released, "ada", &policy(), now);
            (released.barred(), decision.events.len())
        };
        assert_eq!(let_go(Change::Approved { attest_by: None }), (None, 1));
        let barred = |state: &str| (Some(format!("acme is {state}: nothing goes to it")), 0);
        assert_eq!(let_go(Change::Suspended { why: None }), barred("suspended"));
        assert_eq!(let_go(Change::Resumed), (None, 1));
        assert_eq!(let_go(Change::Removed { why: None }), barred("removed"));
        // it comes back, or another one of its name: what was stopped before is not its
        let later = now + SignedDuration::from_hours(1);
        let back = Change::Added { known: Box::new(Member { state: State::Active, ..member.clone() }) };
        member.apply(&Event { at: later, ..event(back) });
        let member = Some(Box::new(member));
        let again = Released { posting: Box::new(held.clone()), about: None, text: None, member };
        assert_eq!(again.barred().as_deref(), Some("acme has joined since: release the case to it"));
        let gone = Released { posting: Box::new(held.clone()), about: None, text: None, member: None };
        assert_eq!(gone.barred().as_deref(), Some("acme is not on the list"));
    }
}
