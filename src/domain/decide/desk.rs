//! What people are told because time goes by: warnings about the desk itself, clocks that run out, and once a day what needs an eye.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::backoff::LETTERS;
use crate::domain::decide::{Decision, Facts};
use crate::domain::event::{Event, What};
use crate::domain::letter::{Body, Letter, LetterId, Protection};
use crate::domain::message::Mailbox;
use crate::domain::policy::{Person, Policy};
use crate::domain::posting::Posting;
use crate::domain::reminder::{Stage, Warning};
use crate::domain::unanswered::Agenda;

/// A warning has no more lines than this, and says how many there are besides.
const MOST: usize = 50;

/// See [`super::decide`].
pub(super) fn decide(facts: &Facts, policy: &Policy, now: Timestamp) -> Decision {
    let mut number = facts.desk_letters;
    let mut decision = warn(facts, policy, &mut number, now);
    let digest = digest(facts, policy, &mut number, now);
    decision.events.extend(digest.events);
    decision.letters.extend(digest.letters);
    let reminders = remind(facts, policy, &mut number, now);
    decision.events.extend(reminders.events);
    decision.letters.extend(reminders.letters);
    decision.events.extend(facts.far_off.iter().filter_map(|letter| stranded(letter, now)));
    decision
}

/// A letter whose turn is further away than any wait: the clock was ahead when it got it, and has been set back. It need not wait
/// until that time comes again.
fn stranded(letter: &Posting, now: Timestamp) -> Option<Event> {
    let longest = SignedDuration::try_from(LETTERS.cap).unwrap_or(SignedDuration::MAX);
    let wait = letter.next_attempt?.duration_since(now);
    (wait > longest).then(|| {
        let reply = "the clock has been set back; tried again now".to_owned();
        let what = What::LetterDeferred { letter: letter.id.clone(), reply, next_attempt: now };
        Event { at: now, case: letter.case.clone(), what }
    })
}

/// Clocks that run out: what is broken, or ends an embargo, at once; what is ahead once a day, all together.
fn remind(facts: &Facts, policy: &Policy, number: &mut u32, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    let mut readers: Vec<&Mailbox> = Vec::new();
    for warning in &facts.warnings {
        if !readers.iter().any(|known| known.canonical() == warning.to.canonical()) {
            readers.push(&warning.to);
        }
    }
    for to in readers {
        let address = to.canonical();
        let mine: Vec<&Warning> = facts.warnings.iter().filter(|it| it.to.canonical() == address).collect();
        let at_once = mine.iter().any(|warning| warning.at_once);
        if !at_once && facts.reminded_today.contains(&address) {
            continue;
        }
        let listed = || mine.iter().take(MOST);
        let reachable = facts.reachable.contains(&address);
        *number = number.saturating_add(1);
        let body = if reachable {
            let more = mine.len().saturating_sub(MOST);
            Body::Reminder(listed().map(|warning| warning.owed.clone()).collect(), more)
        } else {
            // which cases there are is not for everybody on the way
            let late = mine.iter().filter(|warning| warning.stage == Stage::Broken).count();
            let ahead = mine.len().saturating_sub(late);
            Body::Warning(vec![format!(
                "promises that are broken: {late}, that soon will be: {ahead} (psirtd cases)"
            )])
        };
        decision.letters.push(Letter {
            id: LetterId::of_desk(&policy.case_prefix, *number),
            to: to.clone(),
            protection: if reachable { Protection::Encrypted } else { Protection::Signed },
            in_reply_to: None,
            references: Vec::new(),
            body,
        });
        // what is not listed is counted, and stands in the list of cases
        let warnings = mine.iter().map(|warning| warning.key.clone()).collect();
        let what = What::Reminded { to: address, warnings, ahead: !at_once };
        decision.events.push(Event { at: now, case: None, what });
    }
    decision
}

/// What needs an eye today, to every coordinator who can be written to encrypted.
fn digest(facts: &Facts, policy: &Policy, number: &mut u32, now: Timestamp) -> Decision {
    let Agenda { daily, covered, is_due } = &facts.unanswered;
    let reachable = |person: &&Person| facts.reachable.contains(&person.mailbox.canonical());
    let empty = daily.is_empty();
    let nothing_to_note = empty && covered.is_empty();
    if !is_due || nothing_to_note || !(empty || policy.coordinators().any(|person| reachable(&person))) {
        return Decision::default();
    }
    let readers = policy.coordinators().filter(|person| !empty && reachable(person));
    let letters = readers.map(|person| {
        *number = number.saturating_add(1);
        Letter {
            id: LetterId::of_desk(&policy.case_prefix, *number),
            to: person.mailbox.clone(),
            protection: Protection::Encrypted,
            in_reply_to: None,
            references: Vec::new(),
            body: Body::Digest(Box::new(daily.clone())),
        }
    });
    let letters = letters.collect();
    let what = What::Digested { mails: covered.clone() };
    Decision { letters, events: vec![Event { at: now, case: None, what }] }
}

/// One letter a coordinator tells everything there is to tell. Who cannot be written to encrypted hears
/// only what may be read on the way: that, above all, is why nothing else reaches them.
fn warn(facts: &Facts, policy: &Policy, number: &mut u32, now: Timestamp) -> Decision {
    // what nobody could be told is not told
    let mut told = BTreeSet::new();
    let mut letter = |to: &Person| {
        let reachable = facts.reachable.contains(&to.mailbox.canonical());
        let concerns: Vec<_> = facts.concerns.iter().filter(|concern| concern.public || reachable).collect();
        let listed = || concerns.iter().take(MOST);
        let mut lines: Vec<String> = listed().map(|concern| concern.text.clone()).collect();
        if lines.is_empty() {
            return None;
        }
        let more = concerns.len().saturating_sub(MOST);
        if more > 0 {
            // what is not listed is told the next time
            lines.push(format!("and {more} more: psirtd outbox"));
        }
        *number = number.saturating_add(1);
        told.extend(listed().map(|concern| concern.key.clone()));
        Some(Letter {
            id: LetterId::of_desk(&policy.case_prefix, *number),
            to: to.mailbox.clone(),
            protection: if reachable { Protection::Encrypted } else { Protection::Signed },
            in_reply_to: None,
            references: Vec::new(),
            body: Body::Warning(lines),
        })
    };
    let letters: Vec<Letter> = policy.coordinators().filter_map(&mut letter).collect();
    if letters.is_empty() {
        return Decision::default();
    }
    let what = What::Told { concerns: told.into_iter().collect() };
    Decision { events: vec![Event { at: now, case: None, what }], letters }
}
