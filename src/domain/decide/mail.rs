//! What follows from a mail: a case or a line in one, an acknowledgement, a relay a coordinator.
//!
//! # Invariants
//! * One acknowledgement a case. Where a rule takes it away, it waits for a person's word, who may release it.
//! * A mail is not relayed to its own author, and not without end: what looks like a loop is held.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::case::{Case, CaseId, CaseLetter};
use crate::domain::deadline::{DeadlineKind, promised};
use crate::domain::decide::consent::Said;
use crate::domain::decide::joining::{self, Joined};
use crate::domain::decide::letters::WritingDesk;
use crate::domain::decide::replies::{self, ByMember};
use crate::domain::decide::{Decision, Facts, Sighting, certificates, command, consent, team};
use crate::domain::event::{Event, What};
use crate::domain::intake::{ANSWERS_THE_DESK, FOLLOW_UP, Intake, Kind, Sort, TAKEN_OUT, judge};
use crate::domain::letter::{Letter, LetterKind};
use crate::domain::message::{Action, Mailbox, Message};
use crate::domain::policy::{Person, Policy};
use crate::domain::posting::{BOUNCED, LetterState, Posting};
use crate::domain::report;
use crate::domain::thread;
use crate::domain::trust::Verdict;

/// So many mails of one author to one case within [`A_WHILE`] are taken for a loop: further ones are not relayed, but held.
const MANY: usize = 30;
const A_WHILE: SignedDuration = SignedDuration::from_hours(1);
/// Whoever is known to have written it himself may write so many times as much.
const PROVEN: u32 = 5;

/// Why a mail gets no answer that a desk has recorded, of whose work only a backup is left.
const RECORDED_BEFORE: &str = "recorded before this desk was restored, and perhaps answered";

/// A mail, and how it stands to what is known.
pub(super) struct Taken<'a> {
    pub(super) message: &'a Arc<Message>,
    pub(super) received_at: Timestamp,
    pub(super) intake: Intake,
    /// Its author takes part in the case, if it leads to one.
    pub(super) takes_part: bool,
    /// Its ids lead to the case, but its author takes no part in it.
    pub(super) pending: bool,
    /// It asks where its case stands, and may hear it.
    asks_status: bool,
    /// Its signature is that of an earlier mail, which counted.
    pub(super) used: bool,
    /// Somebody else sent its ciphertext before.
    pub(super) replayed: Option<&'a Sighting>,
    /// What it says of the embargo.
    pub(super) said: Said,
    /// Its author's address is that of a member of the distributors' list.
    pub(super) by_member: Option<ByMember>,
}

impl Taken<'_> {
    /// A person of the case wrote something; not a machine, and not only the word “status”.
    pub(super) fn is_an_answer(&self) -> bool {
        self.intake.kind == Kind::Reply && !self.pending && !thread::asks_for_status(self.message)
    }
}

/// What else is known of a mail when letters about it are written.
struct Related<'a> {
    /// A server told what became of a letter, and that is recorded.
    told: bool,
    /// What it has to do with the distributors' list.
    joined: &'a Joined,
}

/// See [`super::decide`].
pub(super) fn decide(
    facts: &Facts,
    message: &Arc<Message>,
    received_at: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let mut taken = taken(facts, message, received_at, policy, now);
    if let Some(ordered) = facts.ordered.as_ref().filter(|_| taken.intake.kind == Kind::Command) {
        return command::by_mail(facts, ordered, &taken, policy, now);
    }
    let mut decision = Decision::default();
    let mut case = facts.case.clone();
    if taken.intake.opens_case {
        let opened = opened(facts, &taken, policy, now);
        case = Case::open(&opened);
        decision.events.push(opened);
    }
    let joined = case.as_ref().map(|case| joining::joined(facts, &taken, case, policy, now));
    let joined = joined.unwrap_or_default();
    joined.heeded(&mut taken);
    let id = case.as_ref().map(|case| case.id.clone()).or_else(|| facts.returned.as_ref()?.case.clone());
    let what = recorded(message, &taken, policy);
    decision.events.push(Event { at: now, case: id, what });
    let told = says_it_failed(facts, &taken);
    decision
        .events
        .extend(facts.returned.as_ref().filter(|_| told).and_then(|it| returned(it, message, now)));
    let Some(case) = case else { return decision };
    if let Some(known) = &facts.case {
        let followed = team::followed(known, &taken, policy, now);
        let followed = followed.chain(taken.said.events.iter().cloned());
        decision.events.extend(followed.map(|what| Event { at: now, case: Some(known.id.clone()), what }));
        decision.events.extend(taken.by_member.iter().flat_map(|it| it.events.iter().cloned()));
    }
    let remember = taken.intake.why_no_answer.is_none() || (facts.case.is_some() && taken.takes_part);
    if taken.replayed.is_none() && remember {
        let seen = certificates::certificates(message, &facts.remembered);
        decision.events.extend(seen.map(|what| Event { at: now, case: Some(case.id.clone()), what }));
    }
    let events = joined.events.iter().cloned();
    decision.events.extend(events.map(|what| Event { at: now, case: Some(case.id.clone()), what }));
    write(facts, &taken, &case, &Related { told, joined: &joined }, policy, now, &mut decision);
    decision
}

/// A case for a mail that was recorded before. Its acknowledgement waits for a person's word, `why` is said to the team.
pub(super) fn anew(
    facts: &Facts,
    message: &Arc<Message>,
    received_at: Timestamp,
    why: &str,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let alone = Facts { case: None, sightings: facts.sightings.clone(), ..Facts::default() };
    let mut taken = taken(&alone, message, received_at, policy, now);
    taken.intake.opens_case = true;
    taken.intake.why_no_answer.get_or_insert(why.to_owned());
    let opened = opened(facts, &taken, policy, now);
    let Some(case) = Case::open(&opened) else { return Decision::default() };
    let recorded = Event { at: now, case: Some(case.id.clone()), what: recorded(message, &taken, policy) };
    let mut decision = Decision { events: vec![opened, recorded], letters: Vec::new() };
    let related = Related { told: false, joined: &Joined::default() };
    write(&alone, &taken, &case, &related, policy, now, &mut decision);
    decision
}

/// What the mail is, in the light of what is known.
fn taken<'a>(
    facts: &'a Facts,
    message: &'a Arc<Message>,
    received_at: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> Taken<'a> {
    let mut intake = judge(message, policy, facts.case.is_some());
    let replayed = replayed(facts, message);
    let by_member = replies::by_member(facts, message, &intake, policy, now);
    let of_a_member = by_member.as_ref().is_some_and(|it| it.is_for_few());
    let takes_part =
        facts.case.as_ref().is_none_or(|case| thread::takes_part(case, message, &intake.trust, policy))
            || by_member.as_ref().is_some_and(ByMember::takes_part);
    // a server's word about one of our letters: only who has the letter can name it
    let of_a_server = facts.returned.is_some();
    let follow_up = intake.kind == Kind::Reply && intake.why_no_answer.as_deref() == Some(FOLLOW_UP);
    let of_the_team = message.author().is_some_and(|author| policy.person(&author.address).is_some());
    let a_reporter = takes_part && !of_the_team && !of_a_member;
    let mut asks_status = follow_up && a_reporter && replayed.is_none() && thread::asks_for_status(message);
    if facts.copy_of.is_some() && follow_up {
        asks_status = false;
        // seen by itself: a request for membership, say, is none the less one
        let by_itself = || {
            let seen = judge(message, policy, false);
            seen.why_no_answer.is_none() && seen.kind != Kind::Membership
        };
        if takes_part && deserved_by_a_copy(facts, message, now) && by_itself() {
            // the same report on another way, on which nothing speaks against an answer
            intake.why_no_answer = None;
        }
    }
    if facts.own_letter {
        // an alias, a list, somebody's forwarding brought it back
        intake.opens_case = false;
        intake.why_no_answer = Some("a letter of our own".to_owned());
    } else if facts.case.is_none()
        && intake.answers_a_mail
        && (facts.answers_the_desk || of_the_team || facts.returned.is_some())
    {
        intake.why_no_answer = Some(ANSWERS_THE_DESK.to_owned());
    } else if facts.answers_the_desk && of_the_team && intake.opens_case {
        intake.opens_case = false;
        intake.why_no_answer.get_or_insert("it answers a letter about the desk itself".to_owned());
    }
    if message.marks.recorded_before {
        // what was lost with the disk may have been answered
        asks_status = false;
        intake.why_no_answer.get_or_insert(RECORDED_BEFORE.to_owned());
    }
    if replayed.is_some() {
        // an answer, or a question about it, would tell a stranger that the ciphertext means something
        intake.why_no_answer = Some("somebody else's ciphertext".to_owned());
    }
    if intake.why_no_answer.is_none() || asks_status {
        let exceeded = policy.limits.exceeded(&facts.answered).map(|exceeded| exceeded.why);
        asks_status = asks_status && exceeded.is_none();
        intake.why_no_answer = exceeded.or(intake.why_no_answer);
    }
    let pending = !takes_part && !of_a_server && !facts.own_letter;
    let (used, said) = (facts.signature_used, Said::default());
    let mut taken = Taken {
        message,
        received_at,
        intake,
        takes_part,
        pending,
        asks_status,
        replayed,
        used,
        said,
        by_member,
    };
    if let Some(case) = &facts.case {
        taken.said = consent::of_reporter(case, &taken, policy, now);
    }
    taken
}

/// The mail is a copy of the one that opened the case, whose acknowledgement a rule keeps back, or to whose author none could be
/// written. What a person keeps back stays there.
fn deserved_by_a_copy(facts: &Facts, message: &Message, now: Timestamp) -> bool {
    let (Some(case), Some(copy_of)) = (&facts.case, &facts.copy_of) else { return false };
    let opened_it = acknowledgement_of(case).and_then(|letter| letter.about.as_ref()).map_or_else(
        || case.mails.first().is_some_and(|first| first.mail == *copy_of),
        |about| about == copy_of,
    );
    // nobody is promised what is past
    let in_time = case
        .deadlines
        .iter()
        .all(|deadline| deadline.kind != DeadlineKind::FirstResponse || deadline.due > now);
    let to_the_author = |letter: &CaseLetter| {
        message.author().is_some_and(|author| author.canonical() == letter.to.canonical())
    };
    let of_a_person_or_the_day = |why: &String| {
        // nor does another way tell whether it was answered
        why.starts_with(TAKEN_OUT) || why.starts_with("limit:") || why == RECORDED_BEFORE
    };
    let by_a_rule = case.not_acknowledged.as_ref().is_some_and(|why| !of_a_person_or_the_day(why));
    opened_it
        && in_time
        && by_a_rule
        && acknowledgement_of(case).is_none_or(|waiting| waiting.withheld && to_the_author(waiting))
}

pub(super) fn writing_desk<'a>(
    facts: &Facts,
    taken: &'a Taken<'_>,
    case: &'a Case,
    policy: &'a Policy,
) -> WritingDesk<'a> {
    WritingDesk {
        case,
        message: taken.message,
        policy,
        intake: &taken.intake,
        pending: taken.pending,
        team: facts.case.as_ref().and_then(|case| team::of_the_team(case, taken, policy)),
        by_member: taken.by_member.as_ref(),
        notes: noticed(facts, taken, policy),
        form: Vec::new(),
        occasion: None,
        withheld: taken.replayed.is_some(),
        release: None,
        status: None,
        next: case.letters.len(),
    }
}

/// The letters about a mail of a case.
fn write(
    facts: &Facts,
    taken: &Taken<'_>,
    case: &Case,
    related: &Related<'_>,
    policy: &Policy,
    now: Timestamp,
    decision: &mut Decision,
) {
    let Taken { message, received_at, intake, .. } = taken;
    let Related { told, joined } = related;
    let mut desk = writing_desk(facts, taken, case, policy);
    desk.form.clone_from(&joined.form);
    desk.occasion = joined.occasion;
    let waiting = acknowledgement_of(case).filter(|letter| letter.state == LetterState::Held);
    if joined.answer.is_some() {
        let id = desk.next_id();
        decision.letters.extend(joined.letter(id, &case.id, message));
    } else if (intake.opens_case || facts.copy_of.is_some()) && intake.why_no_answer.is_none() {
        let id = waiting.map_or_else(|| desk.next_id(), |waiting| waiting.id.clone());
        decision.letters.extend(desk.acknowledgement(id));
    } else if intake.opens_case
        && let Some(why) = &intake.why_no_answer
    {
        decision.events.extend(withhold(&mut desk, why, now));
    } else if taken.asks_status {
        let id = desk.next_id();
        decision.letters.extend(desk.status(id.clone(), now));
        desk.status = Some(id);
    }
    if facts.own_letter || *told || !deserves_a_relay(facts, taken, policy) {
        return;
    }
    let looks_like_a_loop = looks_like_a_loop(facts, taken, case, policy, now);
    // what the team writes is the coordinators' and the owner's, as every note; and so is what members write
    let for_few = desk.team.is_some() || taken.by_member.as_ref().is_some_and(|it| it.is_for_few());
    let readers: Vec<&Mailbox> = if for_few {
        team::note_readers(case, policy).collect()
    } else {
        team::readers(case, policy).collect()
    };
    for reader in readers {
        if message.author().is_some_and(|author| wrote_it(author, reader, policy)) {
            continue;
        }
        let relay = desk.relay(reader, *received_at);
        match &looks_like_a_loop {
            None => decision.letters.push(relay),
            Some(why) => decision.events.push(held(relay, why, false, now)),
        }
    }
    let alarming = taken.by_member.as_ref().filter(|it| it.leak && it.takes_part());
    if let Some(by_member) = alarming.filter(|_| looks_like_a_loop.is_none()) {
        decision.letters.extend(replies::alarm(case, by_member, facts.desk_letters, policy));
    }
}

/// The author is this coordinator: under his address, or a tagged form of it that can be no other coordinator's.
pub(super) fn wrote_it(author: &Mailbox, reader: &Mailbox, policy: &Policy) -> bool {
    let same = |one: &&Person| one.mailbox.identity() == author.identity();
    author.canonical() == reader.canonical()
        || (author.identity() == reader.identity() && policy.coordinators().filter(same).count() == 1)
}

/// The acknowledgement that a rule takes away, kept for a person's word.
fn withhold(desk: &mut WritingDesk<'_>, why: &str, now: Timestamp) -> Option<Event> {
    let id = desk.next_id();
    // a bounce that a person took out of its case is nobody's report
    let fits = |letter: &Letter| !desk.policy.is_own(&letter.to.address) && !desk.intake.answers_a_mail;
    let Some(letter) = desk.acknowledgement(id.clone()).filter(fits) else {
        // there is nobody to whom it could go
        desk.next = desk.next.saturating_sub(1);
        return None;
    };
    desk.release = Some(id);
    Some(held(letter, &format!("not acknowledged: {why}"), true, now))
}

/// A letter that is not written before a person says so.
pub(super) fn held(letter: Letter, why: &str, withheld: bool, now: Timestamp) -> Event {
    let (case, kind) = (letter.case().cloned(), letter.kind());
    let mail = letter.occasion().map(|occasion| occasion.about.digest.clone());
    let (reason, text, copy) = (why.to_owned(), letter.text().cloned(), letter.copy().cloned());
    let what =
        What::LetterHeld { letter: letter.id, kind, to: letter.to, reason, mail, withheld, text, copy };
    Event { at: now, case, what }
}

fn acknowledgement_of(case: &Case) -> Option<&CaseLetter> {
    case.letters.iter().find(|letter| letter.kind == LetterKind::Acknowledgement)
}

/// A server tells that a letter of ours did not arrive, and never will.
fn says_it_failed(facts: &Facts, taken: &Taken<'_>) -> bool {
    let action = taken.message.returned.as_ref().and_then(|told| told.action);
    // forms older than RFC 3464 name no action: they tell of failures
    let failed = action.map_or(taken.intake.kind == Kind::Bounce, |action| action == Action::Failed);
    // words alone may be a person's
    facts.returned.is_some() && failed && taken.intake.answers_a_mail
}

/// What became of the letter, in the server's words; nothing new when it came back before.
fn returned(posting: &Posting, message: &Message, now: Timestamp) -> Option<Event> {
    let told = message.returned.as_ref();
    let words = told.and_then(|told| told.diagnostic.clone().or_else(|| told.status.clone()));
    let by = told.and_then(|told| told.by.as_ref()).map_or_else(String::new, |by| format!(" ({by})"));
    let reply = format!("{BOUNCED}{}{by}", words.unwrap_or_else(|| "no reason given".to_owned()));
    let what = What::LetterReturned { letter: posting.id.clone(), reply };
    let new = posting.state != LetterState::Returned;
    new.then(|| Event { at: now, case: posting.case.clone(), what })
}

/// Is it worth a coordinator's eye at once?
fn deserves_a_relay(facts: &Facts, taken: &Taken<'_>, policy: &Policy) -> bool {
    let intake = &taken.intake;
    let told = taken.message.returned.as_ref().and_then(|returned| returned.action);
    let arrived = matches!(told, Some(Action::Delivered | Action::Relayed | Action::Expanded));
    // a person's report may have such a part, too
    let nothing_new = intake.answers_a_mail
        && ((arrived && facts.returned.is_some()) || intake.sort == Some(Sort::Receipt));
    // a relay that bounces, or finds its reader out of office, must not cause a relay: that would go on for ever. A notice finds as
    // many programs that confirm its receipt as there are members: the case has what they say, and the digest lists it
    let of_a_relay = facts.answers_a_relay
        || facts.answers_a_notice
        || facts.returned.as_ref().is_some_and(|letter| letter.kind != LetterKind::Acknowledgement);
    let would_circle = (intake.answers_a_mail && of_a_relay) || is_machine_of(taken.message, &policy.desk);
    let left_to_the_digest = intake.kind == Kind::Junk && !policy.relay_junk;
    !would_circle && !left_to_the_digest && !nothing_new
}

/// Why the mail is not relayed any more: a responder without any mark of a machine seems to answer the relays.
pub(super) fn looks_like_a_loop(
    facts: &Facts,
    taken: &Taken<'_>,
    case: &Case,
    policy: &Policy,
    now: Timestamp,
) -> Option<String> {
    let message = taken.message;
    let author = message.author()?;
    let lately = case.mails.iter().filter(|mail| {
        now.duration_since(mail.at) < A_WHILE
            && mail.from.as_ref().is_some_and(|from| from.identity() == author.identity())
    });
    if lately.count() >= MANY {
        return Some(format!("{MANY} mails of one author to one case within an hour: a loop?"));
    }
    // each may be a case of its own, and the author one whom nobody wrote to: a help desk behind a coordinator's address. Nobody
    // may use up what is there for somebody else
    let proven = taken.intake.trust.verdict == Verdict::Pass || message.signature.is_good();
    let limit = policy.limits.relayed_per_author_per_day.saturating_mul(if proven { PROVEN } else { 1 });
    if facts.answered.mails_today >= limit {
        return Some(format!("limit: {limit} mails of one author today: a loop?"));
    }
    let of_the_team = policy.person(&author.address).is_some() && facts.case.is_none();
    let many = facts.answered.mails_today >= policy.limits.per_address_per_day;
    (of_the_team && many)
        .then(|| format!("{} mails of one member today: a loop?", facts.answered.mails_today))
}

/// The mail brings a ciphertext that came from somebody else before: whoever sent it need not be able to read it.
pub(super) fn replayed<'f>(facts: &'f Facts, message: &Message) -> Option<&'f Sighting> {
    let author = message.author().map(Mailbox::canonical);
    let same =
        |sighting: &Sighting| author.is_some() && sighting.from.as_ref().map(Mailbox::canonical) == author;
    // a thief may have been faster than the author, whose signature inside says that it is his
    let foreign = |(sighting, by_author): &&(Sighting, bool)| !by_author && !same(sighting);
    facts.sightings.iter().find(foreign).map(|(sighting, _)| sighting)
}

/// What the relay says of the mail in the light of others.
fn noticed(facts: &Facts, taken: &Taken<'_>, policy: &Policy) -> Vec<String> {
    let seen = taken.replayed.or(facts.sightings.first().map(|(sighting, _)| sighting));
    let mut notes: Vec<String> =
        seen.map(|sighting| told(sighting, taken.replayed.is_some())).into_iter().collect();
    if facts.copy_of.is_some() {
        notes.push("a copy of a mail of this case, changed on its way (a list's footer?)".to_owned());
    }
    notes.extend(taken.said.note.clone());
    if taken.used {
        notes.push("its signature has been used: a mail that was sent again".to_owned());
    }
    // a subject leads to no case: anybody can write it
    let other =
        facts.named.as_ref().filter(|named| facts.case.as_ref().is_none_or(|case| case.id != **named));
    notes.extend(other.map(|named| {
        format!("its subject names case {named}, which proves nothing: psirtd do CASE merge {named}, if it belongs there")
    }));
    if facts.case.as_ref().is_some_and(|case| team::shows_subject(case, taken.message, policy)) {
        notes.push("its subject stood in the clear, and this case came encrypted: its author's mail program does not protect it".to_owned());
    }
    notes.extend(taken.by_member.iter().flat_map(|it| it.notes.iter().cloned()));
    if let Some(from) = &taken.message.rewritten_from {
        notes.push(format!("a list of the desk had written its own From: {from}"));
    }
    notes
}

/// The relay's word about a ciphertext that was seen before.
fn told(sighting: &Sighting, replayed: bool) -> String {
    let case = sighting.case.as_ref().map_or_else(String::new, |case| format!(" in case {case}"));
    let from = sighting.from.as_ref().map_or("an unknown author", |from| from.address.as_str());
    if replayed {
        format!(
            "REPLAYED: the same ciphertext came before{case}, from {from}; whoever sent it now need not know what it says, \
             so that it is not repeated here"
        )
    } else {
        format!("the same ciphertext came before{case}, from {from}")
    }
}

/// Written by a machine under this address: a letter to it would cause the next one. (A server on the way gave our own letter
/// another Message-ID; the coordinator is a desk like this one.)
fn is_machine_of(message: &Message, mailbox: &Mailbox) -> bool {
    message.marks.auto_submitted.as_deref().is_some_and(|value| value != "no")
        && message.author().is_some_and(|author| author.canonical() == mailbox.canonical())
}

/// A mail of a case, as it stood when it came.
pub(super) fn taken_again<'a>(
    facts: &'a Facts,
    case: &Case,
    message: &'a Arc<Message>,
    policy: &Policy,
) -> Taken<'a> {
    let known = case.mails.iter().find(|mail| mail.mail == message.digest);
    let first = case.mails.first().is_some_and(|mail| mail.mail == message.digest);
    let received_at = if first { case.received_at } else { known.map_or(case.received_at, |mail| mail.at) };
    Taken {
        message,
        received_at,
        intake: judge(message, policy, !first),
        takes_part: known.is_none_or(|mail| !mail.pending),
        pending: known.is_some_and(|mail| mail.pending),
        asks_status: false,
        used: false,
        said: Said::default(),
        // a replay, like everything else that was noticed, is in the first relay; here the mail only must not be repeated
        replayed: replayed(facts, message),
        by_member: replies::again(case, message),
    }
}

/// The letter `posting` stands for, written again from the mail it is about (it was held before it had bytes), and from the text that
/// a person wrote for it.
pub(super) fn write_again(
    facts: &Facts,
    case: &Case,
    posting: &Posting,
    message: &Arc<Message>,
    text: Option<&str>,
    policy: &Policy,
    now: Timestamp,
) -> Option<Letter> {
    let Posting { id, kind, to, .. } = posting;
    let known = case.mails.iter().any(|mail| mail.mail == message.digest);
    let taken = taken_again(facts, case, message, policy);
    let mut desk = writing_desk(facts, &taken, case, policy);
    let sent = |state| matches!(state, LetterState::Active | LetterState::Deferred | LetterState::Sent);
    let another = case
        .letters
        .iter()
        .any(|letter| letter.kind == LetterKind::Acknowledgement && letter.id != *id && sent(letter.state));
    let letter = match *kind {
        // the mail may have been taken out of the case meanwhile, or the case have become part of another
        LetterKind::Acknowledgement if another || !known || case.merged_into.is_some() => {
            return None;
        }
        LetterKind::Acknowledgement => desk.acknowledgement(id.clone())?,
        LetterKind::Relay => desk.relay(to, taken.received_at),
        LetterKind::Status => desk.status(id.clone(), now)?,
        LetterKind::Answer => team::answer_again(case, posting, message, text, policy)?,
        LetterKind::Warning
        | LetterKind::Digest
        | LetterKind::Note
        | LetterKind::Results
        | LetterKind::Reminder
        | LetterKind::Notice
        | LetterKind::Proposal
        | LetterKind::Membership => return None,
    };
    Some(Letter { id: id.clone(), ..letter })
}

/// The case of a mail.
fn opened(facts: &Facts, taken: &Taken<'_>, policy: &Policy, now: Timestamp) -> Event {
    let Taken { message, received_at, .. } = taken;
    // a request to join reports nothing
    let is_the_authors = taken.replayed.is_none() && taken.intake.kind != Kind::Membership;
    let reading = if is_the_authors { report::read(message, policy) } else { report::Reading::default() };
    let what = What::CaseOpened {
        subject: clear_subject(message),
        reporter: message.author().cloned(),
        received_at: *received_at,
        deadlines: promised(policy, *received_at),
        hints: reading.hints(),
        missing: reading.missing,
        terms: Some(policy.terms),
    };
    let id = CaseId::new(&policy.case_prefix, policy.year(now), facts.next_number);
    Event { at: now, case: Some(id), what }
}

/// A subject that was encrypted is decrypted text: it goes to the team's relay, not to the disk.
fn clear_subject(message: &Message) -> Option<String> {
    message.subject.clone().filter(|_| !message.subject_is_secret)
}

pub(super) fn recorded(message: &Message, taken: &Taken<'_>, policy: &Policy) -> What {
    let intake = &taken.intake;
    What::MailRecorded {
        mail: message.digest.clone(),
        kind: intake.kind,
        sort: intake.sort,
        subject: clear_subject(message),
        from: message.author().cloned(),
        message_id: message.message_id.clone(),
        protected_id: message.protected_id.clone(),
        size: message.size,
        encryption: message.encryption,
        signature: message.signature.word().to_owned(),
        verdict: message.signature.verdict().to_owned(),
        signer: message.signature.signer().map(str::to_owned),
        standing: message.signature.standing(),
        ciphertexts: message.ciphertexts.iter().map(|ciphertext| ciphertext.id.clone()).collect(),
        problem: message.problem.clone(),
        why_no_answer: intake.why_no_answer.clone(),
        // of what was encrypted no words are kept
        doubt: intake.doubt.as_ref().map(|doubt| match message.came_encrypted() {
            true => doubt.what.to_owned(),
            false => doubt.to_string(),
        }),
        trust: policy.border.is_some().then(|| intake.trust.clone()),
        pending: taken.pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::policy;
    use crate::domain::letter::{Body, Protection};
    use crate::domain::limit::Answered;
    use crate::domain::message::{Encryption, Marks};
    use crate::domain::signature::{Certificate, Source, Standing};

    fn now() -> Timestamp {
        "2026-11-20T23:00:00Z".parse().unwrap()
    }

    fn report() -> Message {
        Message {
            from: vec![Mailbox::bare("rita@example.net")],
            subject: Some("Heap overflow".to_owned()),
            message_id: Some("r1@example.net".to_owned()),
            ..Message::default()
        }
    }

    fn decided(facts: &Facts, message: Message) -> Decision {
        decide(facts, &Arc::new(message), now(), &policy(), now())
    }

    fn kinds(decision: &Decision) -> Vec<(String, &'static str, Protection)> {
        decision
            .letters
            .iter()
            .map(|letter| (letter.to.address.clone(), letter.kind().word(), letter.protection))
            .collect()
    }

    #[test]
    fn a_report_opens_a_case_is_acknowledged_and_relayed_to_coordinators_only() {
        let decision = decided(&Facts { next_number: 7, ..Facts::default() }, report());
        assert_eq!(decision.events[0].case.as_ref().unwrap().as_str(), "EX-2026-0007");
        assert_eq!(
            kinds(&decision),
            [
                ("rita@example.net".to_owned(), "acknowledgement", Protection::Signed),
                ("ada@example.org".to_owned(), "relay", Protection::Encrypted),
            ]
        );
        let Body::Acknowledgement(_, body) = &decision.letters[0].body else { panic!("an acknowledgement") };
        assert_eq!((body.first_response.day, body.first_response.time.as_str()), (25, "23:59"));
        assert_eq!(decision.letters[0].references, ["r1@example.net"]);
    }

    #[test]
    fn a_secret_subject_does_not_reach_the_journal() {
        let secret = Message { subject_is_secret: true, encryption: Encryption::Whole, ..report() };
        let decision = decided(&Facts { next_number: 1, ..Facts::default() }, secret);
        assert!(!serde_json::to_string(&decision.events).unwrap().contains("Heap overflow"));
    }

    #[test]
    fn an_encrypted_report_is_answered_encrypted_only_to_a_known_certificate() {
        let facts = Facts { next_number: 1, ..Facts::default() };
        let certificate = || {
            let (fingerprint, armored) = ("0123".to_owned(), String::new());
            Some((Standing::Pinned, Certificate { fingerprint, source: Source::Attached, armored }))
        };
        let encrypted = || Message { encryption: Encryption::Whole, decrypted: true, ..report() };
        assert_eq!(decided(&facts, encrypted()).letters[0].protection, Protection::Signed);
        let known = Message { reporter_cert: certificate(), ..encrypted() };
        assert_eq!(decided(&facts, known).letters[0].protection, Protection::Encrypted);
        let known_but_plain = Message { reporter_cert: certificate(), ..report() };
        assert_eq!(decided(&facts, known_but_plain).letters[0].protection, Protection::Signed);
    }

    #[test]
    fn a_follow_up_goes_to_the_team_and_is_not_acknowledged_again() {
        let first = decided(&Facts { next_number: 1, ..Facts::default() }, report());
        let mut case = Case::open(&first.events[0]).unwrap();
        first.events.iter().for_each(|event| case.apply(event));
        let follow_up = Message {
            message_id: Some("r2@example.net".to_owned()),
            digest: crate::domain::message::Digest::from_bytes(&[2]),
            ..report()
        };
        let decision = decided(&Facts { case: Some(case), next_number: 2, ..Facts::default() }, follow_up);
        assert_eq!(kinds(&decision), [("ada@example.org".to_owned(), "relay", Protection::Encrypted)]);
        assert_eq!(decision.events.len(), 1);
    }

    /// The case of a report whose relay has the Message-ID `relay@example.org`, and its acknowledgement `ack@example.org`.
    fn case_with_letters() -> Case {
        let first = decided(&Facts { next_number: 1, ..Facts::default() }, report());
        let mut case = Case::open(&first.events[0]).unwrap();
        for letter in &first.letters {
            let id = if letter.kind() == LetterKind::Relay { "relay" } else { "ack" };
            let what = What::LetterQueued {
                letter: letter.id.clone(),
                kind: letter.kind(),
                to: letter.to.clone(),
                message_id: format!("{id}@example.org"),
                bytes: crate::domain::message::Digest::from_bytes(&[7]),
                mail: letter.occasion().map(|occasion| occasion.about.digest.clone()),
                text: None,
                copy: None,
            };
            case.apply(&Event { at: now(), case: Some(case.id.clone()), what });
        }
        case
    }

    #[test]
    fn a_bounced_relay_causes_no_letter_but_a_bounced_acknowledgement_is_told() {
        let facts = Facts { case: Some(case_with_letters()), next_number: 2, ..Facts::default() };
        let vacation_about = |parent: &str| Message {
            marks: Marks { auto_submitted: Some("auto-replied".to_owned()), ..Marks::default() },
            parents: vec![format!("{parent}@example.org")],
            ..report()
        };
        let of_a_relay = Facts { answers_a_relay: true, ..facts.clone() };
        let about_relay = decided(&of_a_relay, vacation_about("relay"));
        assert_eq!((about_relay.events.len(), about_relay.letters.len()), (1, 0));
        assert!(about_relay.events[0].case.is_some(), "it is on the case");
        let about_ack = decided(&facts, vacation_about("ack"));
        assert_eq!(kinds(&about_ack), [("ada@example.org".to_owned(), "relay", Protection::Encrypted)]);
    }

    /// A responder without any mark of a machine answers every acknowledgement with a new mail.
    #[test]
    fn a_loop_that_nothing_gives_away_ends() {
        let answered = |address_today| Facts {
            answered: Answered { address_today, ..Answered::default() },
            next_number: 1,
            ..Facts::default()
        };
        assert_eq!(decided(&answered(99), report()).letters.len(), 2);
        let ended = decided(&answered(100), report());
        assert_eq!(kinds(&ended), [("ada@example.org".to_owned(), "relay", Protection::Encrypted)]);
        let mut case = Case::open(&ended.events[0]).unwrap();
        ended.events.iter().for_each(|event| case.apply(event));
        assert_eq!(case.not_acknowledged.as_deref(), Some("limit: 100 answers to this address today"));
        // a person may send it all the same
        assert_eq!((case.letters.len(), case.letters[0].state), (1, LetterState::Held));
    }

    #[test]
    fn a_letter_that_came_back_opens_no_case() {
        let own = decided(&Facts { own_letter: true, next_number: 2, ..Facts::default() }, report());
        assert_eq!((own.events.len(), own.letters.len()), (1, 0));
    }

    #[test]
    fn a_scanner_gets_a_case_but_no_answer_and_a_vacation_gets_neither() {
        let facts = Facts { next_number: 1, ..Facts::default() };
        let auto = |value: &str| Message {
            marks: Marks { auto_submitted: Some(value.to_owned()), ..Marks::default() },
            ..report()
        };
        assert_eq!(
            kinds(&decided(&facts, auto("auto-generated"))),
            [("ada@example.org".to_owned(), "relay", Protection::Encrypted)]
        );
        let vacation = decided(&facts, auto("auto-replied"));
        assert_eq!((vacation.events.len(), vacation.letters.len()), (1, 0));
        assert_eq!(vacation.events[0].case, None);
    }
}
