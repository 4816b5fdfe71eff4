//! What follows when a person tells the desk what to do, by signed mail or on the command line.
//!
//! # Invariants
//! * Whoever says it must be allowed to (`command::authority`): of a mail of whose author nobody is sure nothing is carried out.
//! * All commands of a mail are carried out, or none: the first that cannot be takes back those before it.
//! * A signature is used up by the first mail that it is right in, whatever becomes of its commands.
//! * The answer goes to the person of the configuration, encrypted, never to whoever wrote.

mod distributing;
mod embargoing;
mod glance;
mod leaks;
mod members;
mod proposals;
mod work;
mod writing;

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::command::Command;
use crate::domain::command::authority::{self, Actor, Authorized};
use crate::domain::command::distributing::Distribute;
use crate::domain::command::order::{self, Order};
use crate::domain::decide::command::work::{Done, Worker};
use crate::domain::decide::mail::Taken;
use crate::domain::decide::{Decision, Facts, Ordered, mail, team};
use crate::domain::event::{Event, OPERATOR, What};
use crate::domain::letter::{Body, Letter, LetterId, LetterKind, Protection, Results};
use crate::domain::message::{Attachment, Digest, Message};
use crate::domain::notice::File;
use crate::domain::policy::{Person, Policy};
use crate::domain::signature::Signature;

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
    /// Those that are used up.
    signatures: Vec<Digest>,
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
        signature: outcome.signatures.first().cloned(),
        further: outcome.signatures.iter().skip(1).cloned().collect(),
        mail: Some(message.digest.clone()),
        // what is wrong with a command may repeat what the person wrote, which only that person is told
        refused: outcome.done.is_err().then(|| {
            outcome.doubt.clone().unwrap_or_else(|| match &ordered.order {
                Ok(_) => "it cannot be done, or not by them".to_owned(),
                Err(_) => "not understood".to_owned(),
            })
        }),
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
    let mut desk_letters = facts.desk_letters;
    if let Ok(done) = &outcome.done {
        desk_letters = desk_letters.max(done.desk_letters);
        decision.events.extend(done.events.iter().cloned());
        decision.letters.extend(done.letters.iter().cloned());
        // what names no case has counted none of its letters
        next = next.max(done.next);
    }
    if let (Some(doubt), Some(case)) = (&outcome.doubt, case) {
        let why = format!("REFUSED as commands: {doubt}");
        let relays = team::relays_to_others(facts, taken, case, &why, policy);
        next = next.saturating_add(relays.len());
        match mail::looks_like_a_loop(facts, taken, case, policy, now) {
            None => decision.letters.extend(relays),
            Some(why) => {
                decision.events.extend(relays.into_iter().map(|relay| mail::held(relay, &why, false, now)))
            }
        }
    }
    let results = person.filter(|person| is_answered(facts, person, &outcome));
    decision.letters.extend(results.map(|person| {
        // a mail may be in the thread of a case that its author does not know of
        let case = case.filter(|case| Actor::Person(person).may_see(case));
        let letter_id = match case {
            Some(case) => LetterId::new(&case.id, next.saturating_add(1)),
            None => LetterId::of_desk(&policy.case_prefix, desk_letters.saturating_add(1)),
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
        further: Vec::new(),
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
                // what is refused now is not done when it comes again at a better time
                signatures: match &message.signature {
                    Signature::Good(verified) if verified.is_named() => verified.ids().cloned().collect(),
                    _ => Vec::new(),
                },
            };
        }
    };
    let case = ordered.case.as_ref();
    let done = match &ordered.order {
        Ok(order) if order.text.is_some() && !takes_files(order) && !files(message).is_empty() => {
            Err(vec![format!(
                "its attachments ({}) would not go along with the text, so nothing was done: an answer without commands takes them to \
             the team; for the reporter, put what is in them into the text",
                files(message).join(", ")
            )])
        }
        Ok(order) => author
            .authorize(order.clone(), case)
            .and_then(|authorized| carried_out(facts, ordered, &authorized, policy, now)),
        Err(misread) => Err(misread.wrong.clone()),
    };
    // what somebody may not see is not shown to have been written to
    let case = case.filter(|case| author.actor().may_see(case)).cloned();
    Outcome { case, done, doubt: None, by: author.actor().name(), signatures: author.signatures() }
}

/// What a person attached; not what mail programs do by themselves.
fn files(message: &Message) -> Vec<&str> {
    let files = message.attachments.iter().filter(|file| !by_itself(file));
    files.map(|file| file.name.as_deref().unwrap_or("one without a name")).collect()
}

/// What mail programs attach by themselves: keys, signatures, another form of the text, a logo.
fn by_itself(file: &Attachment) -> bool {
    let name = file.name.as_deref().unwrap_or_default();
    file.media_type.starts_with("application/pgp-")
        || file.media_type.starts_with("image/")
        || name == "body.html"
        || name.starts_with("OpenPGP_")
}

/// What a person attached, with the files that it will lie in.
pub(super) fn files_of_a_person(attached: &[(File, Attachment)]) -> Vec<(&File, &Attachment)> {
    let files = attached.iter().filter(|(_, attachment)| !by_itself(attachment));
    files.map(|(file, attachment)| (file, attachment)).collect()
}

/// The text goes out with what is attached.
fn takes_files(order: &Order) -> bool {
    let taker = order.taker.and_then(|place| order.commands.get(place));
    matches!(taker, Some(Command::Distribute(Distribute::Notice { .. })))
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

/// A person hears what became of their commands, unless others may read it. Of what is not shown to be theirs they do not hear without
/// end; and whoever sends that to no end does not keep them from hearing of their own.
fn is_answered(facts: &Facts, person: &Person, outcome: &Outcome) -> bool {
    let too_many = outcome.doubt.is_some() && facts.answered.mails_today >= DOUBTFUL;
    !too_many && facts.reachable.contains(&person.mailbox.canonical())
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
