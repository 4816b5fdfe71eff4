//! What follows when a person tells the desk what to do, by signed mail or on the command line.
//!
//! # Invariants
//! * Whoever says it must be allowed to (`command::authority`): of a mail of whose author nobody is sure nothing is carried out.
//! * All commands of a mail are carried out, or none: the first that cannot be takes back those before it.
//! * A signature is used up by the first mail that it is right in, whatever becomes of its commands.
//! * The answer goes to the person of the configuration, encrypted, never to whoever wrote.

mod glance;
mod work;

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::command::authority::{self, Actor, Authorized};
use crate::domain::command::order::{self, Order};
use crate::domain::decide::command::work::{Done, Worker};
use crate::domain::decide::mail::Taken;
use crate::domain::decide::{Decision, Facts, Ordered, mail, team};
use crate::domain::event::{Event, OPERATOR, What};
use crate::domain::letter::{Body, Letter, LetterId, LetterKind, Protection, Results};
use crate::domain::message::Message;
use crate::domain::policy::{Person, Policy};

/// So many mails a day under the name of one person are answered of which nobody knows whether that person wrote them.
const DOUBTFUL: u32 = 20;
/// Who did what nobody knows who did.
const UNVERIFIED: &str = "unverified";

/// What came of a mail's commands.
struct Outcome {
    case: Option<Case>,
    /// Carried out; or why not.
    done: Result<Done, Vec<String>>,
    /// Nobody knows who gave them.
    doubt: Option<String>,
    by: String,
    signature: Option<crate::domain::message::Digest>,
}

/// By mail. `taken` is how the mail stands to what is known.
pub(super) fn by_mail(
    facts: &Facts,
    ordered: &Ordered,
    taken: &Taken<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let message = taken.message;
    let outcome = outcome(facts, ordered, message, taken.received_at, policy, now);
    let person = message.author().and_then(|author| policy.person(&author.address));
    let case = outcome.case.as_ref().or(facts.case.as_ref());
    let id = case.map(|case| case.id.clone());
    let commanded = What::Commanded {
        by: outcome.by.clone(),
        commands: order::words(&ordered.order),
        signature: outcome.signature.clone(),
        mail: Some(message.digest.clone()),
        refused: outcome.done.as_ref().err().map(|wrong| wrong.join("; ")),
    };
    let mut recorded = mail::recorded(message, taken, policy);
    if let (Some(doubt), What::MailRecorded { pending, why_no_answer, .. }) = (&outcome.doubt, &mut recorded)
    {
        *pending = true;
        *why_no_answer = Some(format!("a command that was refused: {doubt}"));
    }
    let event = |what| Event { at: now, case: id.clone(), what };
    let mut decision = Decision { events: vec![event(recorded), event(commanded)], letters: Vec::new() };
    let mut next = case.map_or(0, |case| case.letters.len());
    if let Ok(done) = &outcome.done {
        decision.events.extend(done.events.iter().cloned());
        decision.letters.extend(done.letters.iter().cloned());
        next = done.next;
    }
    if let (Some(doubt), Some(case)) = (&outcome.doubt, case) {
        let why = format!("REFUSED as commands: {doubt}");
        decision.letters.extend(team::relays_to_others(facts, taken, case, &why, policy));
        next = next.saturating_add(decision.letters.len());
    }
    let results = person.filter(|person| is_answered(facts, person, &outcome, policy));
    decision.letters.extend(results.map(|person| {
        let letter_id = match &id {
            Some(case) => LetterId::new(case, next.saturating_add(1)),
            None => LetterId::of_desk(&policy.case_prefix, facts.desk_letters.saturating_add(1)),
        };
        let shown = case.is_some_and(|case| team::shows_subject(case, message, policy));
        results_letter(letter_id, person, message, case, &ordered.order, &outcome, shown)
    }));
    decision
}

/// On the command line. What the person hears comes with it.
pub(super) fn by_operator(
    facts: &Facts,
    ordered: &Ordered,
    policy: &Policy,
    now: Timestamp,
) -> Result<(Decision, String), String> {
    let order = ordered.order.as_ref().map_err(|misread| misread.wrong.join("; "))?;
    let case = ordered.case.as_ref();
    let done = authority::operator(order.clone(), case)
        .and_then(|authorized| carried_out(facts, ordered, &authorized, policy, now))
        .map_err(|wrong| wrong.join("; "))?;
    let about = case.map(|case| case.id.clone());
    let what = What::Commanded {
        by: OPERATOR.to_owned(),
        commands: order::words(&ordered.order),
        signature: None,
        mail: None,
        refused: None,
    };
    let said = done.page.unwrap_or_else(|| done.lines.join("\n"));
    let only_asked = done.events.is_empty() && done.letters.is_empty();
    let mut events = if only_asked { Vec::new() } else { vec![Event { at: now, case: about, what }] };
    events.extend(done.events);
    Ok((Decision { events, letters: done.letters }, said))
}

fn outcome(
    facts: &Facts,
    ordered: &Ordered,
    message: &Message,
    received_at: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> Outcome {
    let author = match authority::author(message, received_at, ordered.used, policy) {
        Ok(author) => author,
        Err(refusal) => {
            let done = Err(vec![refusal.why.clone()]);
            return Outcome {
                case: None,
                done,
                doubt: Some(refusal.why),
                by: UNVERIFIED.to_owned(),
                signature: None,
            };
        }
    };
    let case = ordered.case.as_ref();
    let done = match &ordered.order {
        Ok(order) => author
            .authorize(order.clone(), case)
            .and_then(|authorized| carried_out(facts, ordered, &authorized, policy, now)),
        Err(misread) => Err(misread.wrong.clone()),
    };
    // what somebody may not see is not shown to have been written to
    let case = case.filter(|case| author.actor().may_see(case)).cloned();
    Outcome { case, done, doubt: None, by: author.actor().name(), signature: Some(author.signature()) }
}

fn carried_out(
    facts: &Facts,
    ordered: &Ordered,
    authorized: &Authorized<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Done, Vec<String>> {
    let order = authorized.order();
    let mut worker = Worker::new(facts, ordered, authorized, policy, now);
    for (place, command) in order.commands.iter().enumerate() {
        let text = order.text.as_deref().filter(|_| order.taker == Some(place));
        let line = worker.carry_out(command, text).map_err(|why| {
            let before = if place == 0 { "" } else { "; nothing was done of what stands before it" };
            match authorized.by() {
                Actor::Person(_) => vec![format!("!{}: {why}{before}", command.word())],
                Actor::Operator => vec![why],
            }
        })?;
        worker.done.lines.push(line);
    }
    Ok(worker.done)
}

/// A person hears what became of their commands, unless there is no end of it, or nobody else may read it.
fn is_answered(facts: &Facts, person: &Person, outcome: &Outcome, policy: &Policy) -> bool {
    let most = match outcome.doubt {
        Some(_) => DOUBTFUL,
        None => policy.limits.relayed_per_author_per_day,
    };
    facts.answered.mails_today < most && facts.reachable.contains(&person.mailbox.canonical())
}

fn results_letter(
    id: LetterId,
    person: &Person,
    message: &Arc<Message>,
    case: Option<&Case>,
    order: &Result<Order, order::Misread>,
    outcome: &Outcome,
    shown: bool,
) -> Letter {
    let refused = outcome.done.is_err();
    let body = match &outcome.done {
        Ok(done) => {
            let (lines, sent, page) = (done.lines.clone(), done.sent.clone(), done.page.clone());
            Results { lines, sent, page, ..Results::default() }
        }
        Err(wrong) => Results { lines: wrong.clone(), ..Results::default() },
    };
    let about: Option<CaseId> = case.map(|case| case.id.clone());
    let earlier = case.into_iter().flat_map(|case| case.letters_to(&person.mailbox, LetterKind::Relay));
    let mut references: Vec<String> = earlier.filter_map(|letter| letter.message_id.clone()).collect();
    references.extend(message.message_id.clone());
    let doubtful = outcome.doubt.is_some();
    // whoever may not have written it has nothing to learn
    let shown = shown && !doubtful;
    let body = Results { refused, doubtful, shown, commands: order::words(order), ..body };
    Letter {
        id,
        to: person.mailbox.clone(),
        protection: Protection::Encrypted,
        in_reply_to: message.message_id.clone(),
        references,
        body: Body::Results(about, Box::new(body)),
    }
}
