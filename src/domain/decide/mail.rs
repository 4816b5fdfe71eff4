//! What follows from a mail: a case or a line in one, an acknowledgement, a relay a coordinator.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::deadline::{Deadline, DeadlineKind, promised};
use crate::domain::decide::{Decision, Facts, Sighting};
use crate::domain::event::{Event, What};
use crate::domain::intake::{Intake, judge};
use crate::domain::letter::{
    Acknowledgement, Body, Letter, LetterId, LetterKind, Occasion, Protection, Relay,
};
use crate::domain::message::{Mailbox, Message};
use crate::domain::policy::Policy;
use crate::domain::report;
use crate::domain::signature::{Certificate, Signature, Standing};

/// An answer names no more ids of its thread than this.
const MAX_REFERENCES: usize = 20;

/// An address that got so many acknowledgements in a day is taken for a machine that answers each with a new mail, and bears no
/// mark of one. Its mails become cases all the same.
const MAX_ANSWERS_A_DAY: u32 = 1000;

/// See [`super::decide`].
pub(super) fn decide(
    facts: &Facts,
    message: &Arc<Message>,
    received_at: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let mut intake = judge(message, policy, facts.case.is_some());
    if facts.own_letter {
        // an alias, a list, somebody's forwarding brought it back
        intake.opens_case = false;
        intake.why_no_answer = Some("a letter of our own".to_owned());
    }
    let replayed = replayed(facts, message);
    if replayed.is_some() {
        // an answer, or a question about it, would tell a stranger that the ciphertext means something
        intake.why_no_answer = Some("somebody else's ciphertext".to_owned());
    }
    if intake.why_no_answer.is_none() && facts.answered_today >= MAX_ANSWERS_A_DAY {
        intake.why_no_answer =
            Some(format!("{MAX_ANSWERS_A_DAY} acknowledgements to this address today: a loop?"));
    }
    let mut decision = Decision::default();
    let mut case = facts.case.clone();
    if intake.opens_case {
        let id = CaseId::new(&policy.case_prefix, policy.year(now), facts.next_number);
        let what = opened(message, received_at, replayed.is_none(), policy);
        let opened = Event { at: now, case: Some(id), what };
        case = Case::open(&opened);
        decision.events.push(opened);
    }
    decision.events.push(Event {
        at: now,
        case: case.as_ref().map(|case| case.id.clone()),
        what: recorded(message, &intake),
    });
    let Some(case) = case else { return decision };
    if replayed.is_none() && (intake.why_no_answer.is_none() || facts.case.is_some()) {
        let seen = certificates(message, &facts.remembered);
        decision.events.extend(seen.map(|what| Event { at: now, case: Some(case.id.clone()), what }));
    }

    let notes = noticed(facts, replayed);
    let withheld = replayed.is_some();
    let next = case.letters.len();
    let mut desk = WritingDesk { case: &case, message, policy, intake: &intake, notes, withheld, next };
    if intake.opens_case && intake.why_no_answer.is_none() {
        decision.letters.extend(desk.acknowledgement());
    }
    let would_circle =
        (intake.answers_a_mail && answers_a_relay(message, &case)) || is_machine_of(message, &policy.desk);
    if !facts.own_letter && !would_circle {
        let readers = policy.coordinators().filter(|person| !is_machine_of(message, &person.mailbox));
        decision.letters.extend(readers.map(|person| desk.relay(&person.mailbox, received_at)));
    }
    decision
}

/// A certificate was looked up: it is remembered; what it says of the mail counts when the desk holds no other for its author.
pub(super) fn found(facts: &Facts, message: &Message, certificate: &Certificate, now: Timestamp) -> Decision {
    let (Some(case), Some(author)) = (&facts.case, message.author()) else { return Decision::default() };
    let event = |what| Event { at: now, case: Some(case.id.clone()), what };
    let in_use = facts.remembered.first().is_none_or(|first| first.fingerprint == certificate.fingerprint);
    let mut events = Vec::new();
    if !facts.remembered.iter().any(|known| known.same_as(certificate)) {
        let (address, certificate) = (author.canonical(), certificate.clone());
        events.push(event(What::CertificateSeen { address, certificate, in_use }));
    }
    if in_use && !matches!(message.signature, Signature::None | Signature::UnknownKey { .. }) {
        events.push(event(What::SignatureChecked {
            mail: message.digest.clone(),
            signature: message.signature.word().to_owned(),
            verdict: message.signature.verdict().to_owned(),
            signer: message.signature.signer().map(str::to_owned),
            standing: message.signature.standing(),
        }));
    }
    Decision { events, letters: Vec::new() }
}

/// The mail brings a ciphertext that came from somebody else before: whoever sent it need not be able to read it.
fn replayed<'f>(facts: &'f Facts, message: &Message) -> Option<&'f Sighting> {
    let author = message.author().map(Mailbox::canonical);
    let same =
        |sighting: &Sighting| author.is_some() && sighting.from.as_ref().map(Mailbox::canonical) == author;
    // a thief may have been faster than the author, whose signature inside says that it is his
    let foreign = |(sighting, by_author): &&(Sighting, bool)| !by_author && !same(sighting);
    facts.sightings.iter().find(foreign).map(|(sighting, _)| sighting)
}

/// What the relay says of ciphertexts that came before.
fn noticed(facts: &Facts, replayed: Option<&Sighting>) -> Vec<String> {
    let seen = replayed.or(facts.sightings.first().map(|(sighting, _)| sighting));
    seen.map(|sighting| told(sighting, replayed.is_some())).into_iter().collect()
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

/// What is remembered of the certificates that the mail offers for its author. The first that is remembered is in use: beside a
/// pinned one none is.
fn certificates(message: &Message, remembered: &[Certificate]) -> impl Iterator<Item = What> {
    let address = message.author().map(Mailbox::canonical).unwrap_or_default();
    let first = remembered.first().map(|first| first.fingerprint.clone());
    let is_new = |it: &Certificate| !remembered.iter().any(|known| known.fingerprint == it.fingerprint);
    let offered = message
        .reporter_cert
        .iter()
        .filter(move |(standing, certificate)| *standing == Standing::Offered && is_new(certificate));
    let further = message.other_cert.iter().filter(|_| !remembered.is_empty());
    let seen = message.renewed_cert.iter().chain(offered.map(|(_, certificate)| certificate)).chain(further);
    let seen = seen.filter(|it| !remembered.iter().any(|known| known.same_as(it)));
    seen.map(move |certificate| What::CertificateSeen {
        address: address.clone(),
        certificate: certificate.clone(),
        in_use: first.as_ref().is_none_or(|first| *first == certificate.fingerprint),
    })
}

/// A relay that bounces, or finds its reader out of office, must not cause a relay: that would go on for ever.
fn answers_a_relay(message: &Message, case: &Case) -> bool {
    let mut relays = case.letters.iter().filter(|letter| letter.kind == LetterKind::Relay);
    relays.any(|relay| relay.message_id.as_ref().is_some_and(|id| message.thread().contains(id)))
}

/// Written by a machine under this address: a letter to it would cause the next one. (A server on the way gave our own letter
/// another Message-ID; the coordinator is a desk like this one.)
fn is_machine_of(message: &Message, mailbox: &Mailbox) -> bool {
    message.marks.auto_submitted.as_deref().is_some_and(|value| value != "no")
        && message.author().is_some_and(|author| author.canonical() == mailbox.canonical())
}

/// The letter `posting` stands for, written again from the mail it is about (it was held before it had bytes).
pub(super) fn write_again(
    facts: &Facts,
    case: &Case,
    id: &LetterId,
    kind: LetterKind,
    to: &Mailbox,
    message: &Arc<Message>,
    policy: &Policy,
) -> Option<Letter> {
    let first = case.mails.first().is_some_and(|mail| mail.mail == message.digest);
    let intake = judge(message, policy, !first);
    let received =
        case.mails.iter().find(|mail| mail.mail == message.digest).map_or(case.received_at, |mail| mail.at);
    let received = if first { case.received_at } else { received };
    // a replay, like everything else that was noticed, is in the first relay; here the mail only must not be repeated
    let replayed = replayed(facts, message);
    let (withheld, notes) = (replayed.is_some(), noticed(facts, replayed));
    let mut desk = WritingDesk { case, message, policy, intake: &intake, notes, withheld, next: 0 };
    let letter = match kind {
        LetterKind::Acknowledgement => desk.acknowledgement()?,
        LetterKind::Relay => desk.relay(to, received),
        LetterKind::Warning => return None,
    };
    Some(Letter { id: id.clone(), ..letter })
}

fn opened(message: &Message, received_at: Timestamp, is_the_authors: bool, policy: &Policy) -> What {
    What::CaseOpened {
        // a subject that was encrypted is decrypted text: it goes to the team's relay, not to the disk
        subject: if message.subject_is_secret { None } else { message.subject.clone() },
        reporter: message.author().cloned(),
        received_at,
        deadlines: promised(policy, received_at),
        missing: if is_the_authors { report::missing(message) } else { Vec::new() },
    }
}

fn recorded(message: &Message, intake: &Intake) -> What {
    What::MailRecorded {
        mail: message.digest.clone(),
        kind: intake.kind,
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
    }
}

/// Where the letters about one mail are written.
struct WritingDesk<'a> {
    case: &'a Case,
    message: &'a Arc<Message>,
    policy: &'a Policy,
    intake: &'a Intake,
    /// What was noticed about the mail in the light of others.
    notes: Vec<String>,
    /// What it says is not repeated.
    withheld: bool,
    next: usize,
}

impl WritingDesk<'_> {
    fn next_id(&mut self) -> LetterId {
        self.next = self.next.saturating_add(1);
        LetterId::new(&self.case.id, self.next)
    }

    fn occasion(&self) -> Occasion {
        Occasion { case: self.case.id.clone(), about: Arc::clone(self.message) }
    }

    /// To the From address, never to Reply-To (RFC 3834 §4). None when From is not one address.
    fn acknowledgement(&mut self) -> Option<Letter> {
        // without the name: the desk signs nothing that a stranger wrote
        let to = Mailbox::bare(self.message.author()?.address.clone());
        let encrypt = self.message.came_encrypted() && self.message.reporter_cert.is_some();
        // what a report lacks tells what it says: of one that was encrypted, only its author may hear it, for a stranger may
        // have sent somebody else's ciphertext
        let tell = !self.message.came_encrypted()
            || (encrypt
                && matches!(self.message.signature, Signature::Good(_))
                && self.message.wrote_what_was_encrypted());
        let calendar = &self.policy.calendar;
        let due = |kind| {
            let deadline = self.case.deadlines.iter().find(|deadline: &&Deadline| deadline.kind == kind);
            calendar.date(deadline.map_or(self.case.received_at, |deadline| deadline.due))
        };
        let body = Acknowledgement {
            first_response: due(DeadlineKind::FirstResponse),
            plan: due(DeadlineKind::Plan),
            within: self.policy.first_response.to_string(),
            zone: calendar.zone.iana_name().unwrap_or("UTC").to_owned(),
            missing: if tell { self.case.missing.clone() } else { Vec::new() },
            unreadable: self.message.is_unreadable(),
            too_large: self.message.not_fetched,
            came_in_clear: !self.message.came_encrypted(),
            public_tracker: self.policy.public_tracker.clone(),
            process: self.policy.process.clone(),
        };
        let mut references = self.message.references.clone();
        if references.is_empty() {
            references.extend(self.message.parents.first().cloned());
        }
        references.extend(self.message.message_id.clone());
        // the thread's beginning and its end: an answer is small, whatever it answers
        let middle = references.len().saturating_sub(MAX_REFERENCES);
        references.drain(1.min(middle)..middle.saturating_add(1.min(middle)));
        Some(Letter {
            id: self.next_id(),
            to,
            protection: if encrypt { Protection::Encrypted } else { Protection::Signed },
            in_reply_to: self.message.message_id.clone(),
            references,
            body: Body::Acknowledgement(self.occasion(), body),
        })
    }

    /// To one person of the team; always encrypted. It threads with that person's earlier relays of the case, and shows
    /// nobody on the way which mail it is about.
    fn relay(&mut self, to: &Mailbox, received_at: Timestamp) -> Letter {
        let zone = &self.policy.calendar.zone;
        let at_the_desk =
            |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a, %d %b %Y %H:%M %Z").to_string();
        let earlier: Vec<String> = self
            .case
            .letters_to(to, LetterKind::Relay)
            .filter_map(|letter| letter.message_id.clone())
            .collect();
        let first = self.case.mails.first().is_none_or(|mail| mail.mail == self.message.digest);
        let body = Relay {
            occasion: if first { "new report" } else { "follow-up" }.to_owned(),
            received: at_the_desk(received_at),
            deadlines: self
                .case
                .deadlines
                .iter()
                .map(|deadline| (deadline.kind.word().to_owned(), at_the_desk(deadline.due)))
                .collect(),
            missing: self.case.missing.clone(),
            why_no_answer: self.intake.why_no_answer.clone(),
            notes: self.notes.clone(),
            withheld: self.withheld,
        };
        Letter {
            id: self.next_id(),
            to: to.clone(),
            protection: Protection::Encrypted,
            in_reply_to: earlier.last().cloned(),
            references: earlier,
            body: Body::Relay(self.occasion(), body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::policy;
    use crate::domain::message::{Encryption, Marks};
    use crate::domain::signature::Source;

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
        assert_eq!(body.first_response.to_string(), "2026-11-25");
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
        let about_relay = decided(&facts, vacation_about("relay"));
        assert_eq!((about_relay.events.len(), about_relay.letters.len()), (1, 0));
        assert!(about_relay.events[0].case.is_some(), "it is on the case");
        let about_ack = decided(&facts, vacation_about("ack"));
        assert_eq!(kinds(&about_ack), [("ada@example.org".to_owned(), "relay", Protection::Encrypted)]);
    }

    /// A responder without any mark of a machine answers every acknowledgement with a new mail.
    #[test]
    fn a_loop_that_nothing_gives_away_ends() {
        let answered = |answered_today| Facts { answered_today, next_number: 1, ..Facts::default() };
        assert_eq!(decided(&answered(MAX_ANSWERS_A_DAY - 1), report()).letters.len(), 2);
        let ended = decided(&answered(MAX_ANSWERS_A_DAY), report());
        assert_eq!(kinds(&ended), [("ada@example.org".to_owned(), "relay", Protection::Encrypted)]);
        let mut case = Case::open(&ended.events[0]).unwrap();
        ended.events.iter().for_each(|event| case.apply(event));
        assert_eq!(
            case.not_acknowledged.as_deref(),
            Some("1000 acknowledgements to this address today: a loop?")
        );
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
