//! What people of the team write in the thread of a case, and who of them reads what.
//!
//! # Invariants
//! * A mail of the reporter goes to the coordinators, the owner, and the maintainers with whom the case is shared. What the team writes
//!   to itself goes to the coordinators and the owner.
//! * Whoever is not in the configuration any more gets nothing, whatever the case says.
//! * A member's own mail to the reporter, with the desk in Cc, is the human answer, and stops clocks, when it is shown who wrote it: by
//!   a signature that was not used before, or by the desk's border. Otherwise it is relayed, and says so.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::command::{Class, Topic};
use crate::domain::deadline::{Because, after};
use crate::domain::decide::Facts;
use crate::domain::decide::letters::{Team, answer_to, note_to};
use crate::domain::decide::mail::{Taken, taken_again, writing_desk, wrote_it};
use crate::domain::decide::notices::lines;
use crate::domain::embargo::{Agreed, Embargo};
use crate::domain::event::{OPERATOR, What};
use crate::domain::intake::Kind;
use crate::domain::letter::{Answer, Letter, LetterId, Note};
use crate::domain::message::{Encryption, Mailbox, Message, identity};
use crate::domain::phase::Phase;
use crate::domain::policy::Policy;
use crate::domain::posting::Posting;
use crate::domain::signature::Signature;
use crate::domain::thread;
use crate::domain::trust::Verdict;

/// Those who read what the reporter writes.
pub(super) fn readers<'p>(case: &'p Case, policy: &'p Policy) -> impl Iterator<Item = &'p Mailbox> {
    with_insiders(case.insiders().collect(), policy)
}

/// Those who read what the team writes.
pub(super) fn note_readers<'p>(case: &'p Case, policy: &'p Policy) -> impl Iterator<Item = &'p Mailbox> {
    with_insiders(case.owner.iter().collect(), policy)
}

/// The coordinators, and these, as far as they are of the team; each once.
fn with_insiders<'p>(insiders: Vec<&Mailbox>, policy: &'p Policy) -> impl Iterator<Item = &'p Mailbox> {
    let known =
        insiders.into_iter().filter_map(|one| policy.person(&one.address)).map(|person| &person.mailbox);
    let mut once: Vec<&Mailbox> = policy.coordinators().map(|person| &person.mailbox).collect();
    for one in known {
        if !once.iter().any(|known| known.canonical() == one.canonical()) {
            once.push(one);
        }
    }
    once.into_iter()
}

/// What a mail in the thread of a case is when its author is of the team. Whoever reported the case himself writes as its reporter.
pub(super) fn of_the_team(case: &Case, taken: &Taken<'_>, policy: &Policy) -> Option<Team> {
    let message = taken.message;
    let author = message.author()?;
    let reported_it = case.reporters().any(|reporter| reporter.identity() == author.identity());
    policy.person(&author.address).filter(|_| !reported_it && taken.intake.kind == Kind::Reply)?;
    let signed = matches!(&message.signature, Signature::Good(verified) if verified.is_named());
    // what was said before is not said again by whoever sends it again
    if taken.used || (!signed && taken.intake.trust.verdict != Verdict::Pass) {
        return Some(Team::Unproven);
    }
    let recipients = message.signed_recipients.as_ref().unwrap_or(&message.recipients);
    let to_reporter = case.reporters().any(|one| recipients.iter().any(|to| identity(to) == one.identity()));
    Some(if to_reporter { Team::Answer } else { Team::Note })
}

/// The subject of a member's mail stands in the clear, and that of the case came encrypted. Most mail programs take the one from the
/// other. What the case's subject is nobody knows here: it is not kept. So any words count.
pub(super) fn shows_subject(case: &Case, message: &Message, policy: &Policy) -> bool {
    let of_the_team = message.author().is_some_and(|author| policy.person(&author.address).is_some());
    let came_secret =
        case.subject.is_none() && case.mails.iter().any(|mail| mail.encryption != Encryption::None);
    let says_something = message.subject.as_deref().is_some_and(thread::says_something);
    of_the_team && came_secret && !message.subject_is_secret && says_something
}

/// What a mail in the thread of a case moves there.
pub(super) fn followed<'a>(
    case: &'a Case,
    taken: &Taken<'_>,
    policy: &'a Policy,
    now: Timestamp,
) -> impl Iterator<Item = What> + use<> {
    let by = taken.message.author().map_or_else(String::new, |author| author.address.clone());
    let signatures = match &taken.message.signature {
        Signature::Good(verified) => verified.ids().cloned().collect(),
        _ => Vec::new(),
    };
    let clock = |because| {
        after(Topic::Reply, case, policy, now).map(|deadline| What::ClockStarted { deadline, because })
    };
    let writes = |reporter: &Mailbox| {
        taken.message.author().is_some_and(|author| author.identity() == reporter.identity())
    };
    let what: Vec<Option<What>> = match of_the_team(case, taken, policy) {
        Some(Team::Answer) => {
            let triaged = What::PhaseChanged { phase: Phase::Triaged, class: None, by: by.clone() };
            vec![
                Some(What::Answered { topic: Topic::Reply, by, letter: None, text: None, signatures }),
                Some(triaged).filter(|_| case.phase == Phase::Received),
                clock(Because::Written),
            ]
        }
        Some(Team::Note) => vec![Some(What::NoteWritten { text: None, by })],
        // the answer that was waited for: the next word is the desk's
        None if case.waiting_since.is_some() && taken.is_an_answer() && case.reporters().any(writes) => {
            vec![clock(Because::Answered)]
        }
        Some(Team::Unproven) | None => Vec::new(),
    };
    what.into_iter().flatten()
}

/// A mail of a case, to a reader who has not had it.
pub(super) fn relay_again(
    facts: &Facts,
    case: &Case,
    message: &Arc<Message>,
    to: &Mailbox,
    id: LetterId,
    policy: &Policy,
) -> Letter {
    let taken = taken_again(facts, case, message, policy);
    let mut desk = writing_desk(facts, &taken, case, policy);
    Letter { id, ..desk.relay(to, taken.received_at) }
}

/// A mail, to everybody of the team but its author, with a remark.
pub(super) fn relays_to_others(
    facts: &Facts,
    taken: &Taken<'_>,
    case: &Case,
    why: &str,
    policy: &Policy,
) -> Vec<Letter> {
    let mut desk = writing_desk(facts, taken, case, policy);
    desk.pending = true;
    desk.team = None;
    desk.notes.push(why.to_owned());
    let is_author =
        |reader: &Mailbox| taken.message.author().is_some_and(|author| wrote_it(author, reader, policy));
    let readers = policy.coordinators().map(|person| &person.mailbox).filter(|reader| !is_author(reader));
    readers.map(|reader| desk.relay(reader, taken.received_at)).collect()
}

/// What an answer to the reporter says beside its text.
pub(super) fn answer_body(case: &Case, message: &Message, class: Option<&Class>, policy: &Policy) -> Answer {
    Answer {
        topic: Topic::Reply.word(),
        text: None,
        file: None,
        // whoever sent somebody else's ciphertext must not learn what is in it
        subject: message
            .subject
            .clone()
            .filter(|_| !message.subject_is_secret || message.wrote_what_was_encrypted()),
        class: class.map(Class::word),
        upstream: class.and_then(|class| match class {
            Class::Upstream(project) => project.clone(),
            _ => None,
        }),
        public_tracker: policy.public_tracker.clone(),
        process: policy.process.clone(),
        supported: policy.supported.clone(),
        severity: case.advisory.severity.as_ref().map(ToString::to_string),
        place: match &case.embargo {
            Embargo::Broken { place, .. } => place.clone(),
            Embargo::None | Embargo::Until(_) | Embargo::Lifted { .. } => None,
        },
        embargo: case.embargo.standing(&policy.calendar),
    }
}

/// An answer that was held, written again.
pub(super) fn answer_again(
    case: &Case,
    posting: &Posting,
    message: &Arc<Message>,
    text: Option<&str>,
    policy: &Policy,
) -> Option<Letter> {
    let answer = case.answers.iter().find(|answer| answer.letter.as_ref() == Some(&posting.id))?;
    // a text that cannot be read is not left out
    if text.is_none() && posting.text.is_some() {
        return None;
    }
    let body = Answer {
        topic: answer.topic.word(),
        text: text.map(str::to_owned),
        file: posting.text.clone(),
        ..answer_body(case, message, case.rejected_as.as_ref(), policy)
    };
    answer_to(case, message, posting.id.clone(), body)
}

/// A note that was held, written again.
pub(super) fn note_again(
    case: &Case,
    posting: &Posting,
    text: Option<&str>,
    policy: &Policy,
) -> Option<Letter> {
    let (file, subject) = (posting.text.clone(), case.subject.clone());
    let note = match (&file, text) {
        (Some(file), Some(text)) => {
            let noted = case.notes.iter().find(|(text, _)| text == file).map(|(_, by)| by);
            let answered = case.answers.iter().find(|answer| answer.text.as_ref() == Some(file));
            let by = noted.or(answered.map(|answer| &answer.by))?.clone();
            Note { by, text: text.to_owned(), sent: noted.is_none(), file: posting.text.clone(), subject }
        }
        // a text that cannot be read is not left out
        (Some(_), None) => return None,
        (None, _) if case.owner.as_ref().is_some_and(|owner| owner.canonical() == posting.to.canonical()) => {
            Note { by: OPERATOR.to_owned(), text: TAKEN.to_owned(), sent: false, file: None, subject }
        }
        (None, _) => {
            let text = embargo_note(case, policy)?;
            Note { by: OPERATOR.to_owned(), text, sent: false, file: None, subject }
        }
    };
    Some(note_to(case, &posting.to, posting.id.clone(), note))
}

/// What a new owner hears.
pub(super) const TAKEN: &str = "You answer for this case now.";

/// What the team hears of the embargo, as it stands.
pub(super) fn embargo_note(case: &Case, policy: &Policy) -> Option<String> {
    let agreement = match &case.embargo {
        Embargo::None => return None,
        Embargo::Broken { place, .. } => {
            let place = place.as_ref().map_or_else(String::new, |place| format!("\n{place}"));
            return Some(format!(
                "The matter is publicly known. The embargo is over, and the publication is due now.{place}"
            ));
        }
        Embargo::Lifted { .. } => {
            return Some("The embargo is lifted. Everything may be published, and is due now.".to_owned());
        }
        Embargo::Until(agreement) => agreement,
    };
    let stands = match (agreement.state, agreement.revisions.last().and_then(|last| last.reason)) {
        (Agreed::Proposed, _) => {
            "An end of the embargo is proposed; the team has not decided yet.".to_owned()
        }
        (Agreed::Agreed, _) => "The team has decided when the embargo ends.".to_owned(),
        (Agreed::Revised, None) => "The end of the embargo was moved.".to_owned(),
        (Agreed::Revised, Some(reason)) => format!("The end of the embargo was moved: {}.", reason.told()),
    };
    let lines = lines(agreement.until, &policy.calendar, None);
    Some(format!("{stands}\n\n    {}", lines.join("\n    ")))
}
