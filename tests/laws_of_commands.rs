//! Laws of commands: who may move a case, what moves it, and that what was journaled is all there is to it.
//!
//! The pure core alone, without a disk, a key, a clock. What a decision has to be is written here a second time, in other words than
//! there.

#![allow(clippy::disallowed_methods)] // it is the time that counts

use crate::support::time_at_work;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use psirtd::domain::case::{Case, CaseId};
use psirtd::domain::command::order;
use psirtd::domain::deadline::{Standing as Clock, promised};
use psirtd::domain::decide::{Decision, Facts, Input, Ordered, decide, obey};
use psirtd::domain::event::{Event, What};
use psirtd::domain::letter::{LetterId, LetterKind};
use psirtd::domain::message::{Digest, Mailbox, Marks, Message};
use psirtd::domain::phase::Phase;
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::signature::{Fault, Signature, Standing, Verified};

const CASE: &str = "EX-2026-0001";
const ADA: &str = "ada@example.org";
const MAX: &str = "max@example.org";
const RITA: &str = "rita@example.net";

fn start() -> Timestamp {
    "2026-11-20T23:00:00Z".parse().unwrap()
}

/// Two coordinators, a maintainer, one supported line.
fn policy() -> Policy {
    let person = |address: &str, role| Person { mailbox: Mailbox::bare(address), roles: vec![role] };
    let mut policy = Policy::new(Mailbox::bare("security@example.org"));
    policy.case_prefix = "EX".to_owned();
    policy.supported = vec!["0.12".to_owned()];
    policy.people = vec![
        person(ADA, Role::Coordinator),
        person("otto@example.org", Role::Coordinator),
        person(MAX, Role::Maintainer),
    ];
    policy
}

pub(crate) fn report() -> Message {
    Message {
        digest: Digest::from_bytes(&[1]),
        from: vec![Mailbox::bare(RITA)],
        subject: Some("Heap overflow".to_owned()),
        message_id: Some("r-1@example.net".to_owned()),
        ..Message::default()
    }
}

/// The events of Rita's report.
fn opening(policy: &Policy) -> Vec<Event> {
    let message = Arc::new(report());
    let facts = Facts { next_number: 1, ..Facts::default() };
    let decision = decide(&facts, &Input::Mail { message, received_at: start() }, policy, start());
    let Decision { mut events, letters } = decision;
    events.extend(letters.iter().map(|letter| Event {
        at: start(),
        case: letter.case().cloned(),
        what: What::LetterQueued {
            letter: letter.id.clone(),
            kind: letter.kind(),
            to: letter.to.clone(),
            message_id: format!("{}@example.org", letter.id),
            bytes: Digest::from_bytes(&[9]),
            mail: letter.occasion().map(|occasion| occasion.about.digest.clone()),
            text: None,
            copy: None,
        },
    }));
    events
}

/// The case after these events.
fn folded(events: &[Event]) -> Case {
    let mut case = Case::open(&events[0]).unwrap();
    let own = events.iter().filter(|event| event.case.as_ref() == Some(&CaseId::typed(CASE)));
    own.for_each(|event| case.apply(event));
    case
}

/// All that a command may change, but what is told of it.
fn moved(case: &Case) -> String {
    let case = Case { mails: Vec::new(), letters: Vec::new(), timeline: Vec::new(), ..case.clone() };
    serde_json::to_string(&case).unwrap()
}

fn ordered(text: &str, case: Option<&Case>) -> Ordered {
    let order = order::read(text, None, "EX");
    let text = order.as_ref().ok().and_then(|order| order.text.as_ref()).map(|_| Digest::from_bytes(&[7]));
    Ordered {
        case: case.cloned(),
        open: case.cloned().into_iter().collect(),
        latest: vec![Arc::new(report())],
        ..Ordered::new(order, text)
    }
}

/// Lines, and whether a maintainer may say them: true, false; nothing of what cannot be understood.
const LINES: [(&str, Option<bool>); 10] = [
    ("take", Some(true)),
    ("fixing", Some(true)),
    ("cwe CWE-787", Some(true)),
    ("note\n\nFor the team.", Some(true)),
    ("priority high", Some(false)),
    ("reply\n\nFor Rita.", Some(false)),
    ("close", Some(false)),
    ("take otto@example.org", Some(false)),
    ("close\n!clsoe", None),
    ("reply", None),
];

#[derive(Debug, Clone)]
struct Said {
    author: &'static str,
    signature: Signature,
    /// It is by the certificate of the configuration, which is valid.
    hers: bool,
    used: bool,
    restored: bool,
    to: Option<&'static str>,
    minutes: i64,
    shared: bool,
    named: bool,
    in_thread: bool,
    line: (&'static str, Option<bool>),
    today: u32,
}

fn signature() -> impl Strategy<Value = (Signature, bool)> {
    let good = |standing, named, lapsed: bool| {
        let verified = Verified::mint("0123".to_owned(), standing, start(), Digest::from_bytes(&[8]), named);
        (Signature::Good(verified.by_a_lapsed_key(lapsed)), standing == Standing::Pinned && named && !lapsed)
    };
    let signer = || "0123".to_owned();
    let worthless = vec![
        Signature::None,
        Signature::Offered { signer: signer() },
        Signature::OtherAddress { signer: signer() },
        Signature::UnknownKey { signer: None },
        Signature::Bad { signer: None, fault: Fault::Broken, why: "broken".to_owned() },
        Signature::Partial { signer: None },
    ];
    prop_oneof![
        4 => Just(good(Standing::Pinned, true, false)),
        1 => (select(vec![Standing::Seen, Standing::LookedUp, Standing::Pinned]), any::<bool>(), any::<bool>())
            .prop_map(move |(standing, named, lapsed)| good(standing, named, lapsed)),
        1 => select(worthless).prop_map(|signature| (signature, false)),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let rarely = || prop::bool::weighted(0.1);
    let to = select(vec![None, Some("security@example.org"), Some("security@example.com")]);
    let minutes = select(vec![-60, -20, 0, 20, 600, 1439, 1440, 1441, 9000]);
    (
        (select(vec![ADA, MAX, MAX, "mallory@example.net"]), signature(), rarely(), rarely()),
        (to, minutes, any::<bool>(), prop::bool::weighted(0.8), any::<bool>()),
        (select(LINES.to_vec()), select(vec![0, 19, 20, 100_000])),
    )
        .prop_map(|((author, (signature, hers), used, restored), rest, (line, today))| {
            let (to, minutes, shared, named, in_thread) = rest;
            Said {
                author,
                signature,
                hers,
                used,
                restored,
                to,
                minutes,
                shared,
                named,
                in_thread,
                line,
                today,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Nothing moves but by a word that is somebody's of the team, now, to this desk, for the first time, who may say it.
    #[test]
    fn a_case_moves_only_by_a_word_that_counts(said in said()) {
        let policy = Policy { command_age: SignedDuration::from_hours(24), ..policy() };
        let mut events = opening(&policy);
        let by = "ada@example.org".to_owned();
        if said.shared {
            let with = vec![Mailbox::bare(MAX)];
            let case = Some(CaseId::typed(CASE));
            events.push(Event { at: start(), case, what: What::Shared { with, by } });
        }
        let before = folded(&events);
        let head = if said.named { format!("!case {CASE}\n") } else { String::new() };
        let text = format!("{head}!{}\n", said.line.0);
        let received_at = start() + SignedDuration::from_mins(said.minutes);
        let now = received_at.max(start());
        let message = Message {
            digest: Digest::from_bytes(&[2]),
            from: vec![Mailbox::bare(said.author)],
            message_id: Some("order@example.org".to_owned()),
            signature: said.signature.clone(),
            signed_recipients: said.to.map(|to| vec![to.to_owned()]),
            marks: Marks { recorded_before: said.restored, ..Marks::default() },
            text: text.clone(),
            ..Message::default()
        };
        let named = Some(&before).filter(|_| said.named);
        let facts = Facts {
            case: Some(before.clone()).filter(|_| said.in_thread),
            next_number: 2,
            reachable: vec![ADA.to_owned(), MAX.to_owned()],
            answered: psirtd::domain::limit::Answered { mails_today: said.today, ..Default::default() },
            ordered: Some(Box::new(Ordered { used: said.used, ..ordered(&text, named) })),
            ..Facts::default()
        };
        let decision = decide(&facts, &Input::Mail { message: Arc::new(message), received_at }, &policy, now);

        // in other words
        let of_the_team = said.author != "mallory@example.net";
        let on_time = (-30..=1440).contains(&said.minutes);
        let here = said.to != Some("security@example.com");
        let is_known = of_the_team && said.hers && !said.used && !said.restored && here && on_time;
        let sees = said.author == ADA || said.shared;
        let may = said.line.1.is_some_and(|maintainers| said.author == ADA || maintainers);
        let done = is_known && sees && may && said.named;

        let commanded = decision.events.iter().find_map(|event| match &event.what {
            What::Commanded { refused, signature, by, .. } => Some((refused, signature, by)),
            _ => None,
        });
        prop_assert_eq!(commanded.is_some(), of_the_team);
        let mut after = before.clone();
        decision.events.iter().filter(|event| event.case.as_ref() == Some(&before.id)).for_each(|event| after.apply(event));
        if !done {
            prop_assert_eq!(moved(&after), moved(&before));
            prop_assert!(!decision.letters.iter().any(|letter| of_the_team && letter.to.address == RITA));
        }
        let Some((refused, signature, by)) = commanded else { return Ok(()) };
        prop_assert_eq!(refused.is_none(), done, "{:?}", refused);
        prop_assert_eq!(by.as_str(), if is_known { said.author } else { "unverified" });
        prop_assert_eq!(signature.is_some(), said.signature.is_good() && commanded_by_name(&said));
        let allowed = |event: &Event| match &event.what {
            What::MailRecorded { .. } | What::Commanded { .. } => true,
            What::LetterHeld { kind, .. } => *kind == LetterKind::Relay,
            _ => done,
        };
        prop_assert!(decision.events.iter().all(allowed), "{:?}", decision.events);
        for letter in &decision.letters {
            match letter.kind() {
                LetterKind::Results => prop_assert_eq!(letter.to.address.as_str(), said.author),
                LetterKind::Relay if !done => prop_assert!(said.author != letter.to.address && letter.to.address != MAX),
                kind => prop_assert!(done, "{:?}", kind),
            }
            let hidden = said.author == MAX && !said.shared && letter.to.address == MAX;
            prop_assert!(!hidden || letter.case().is_none(), "he hears of a case that is not his");
        }
        let answered = decision.letters.iter().filter(|letter| letter.kind() == LetterKind::Results).count();
        prop_assert_eq!(answered, usize::from(is_known || said.today < 20), "nobody keeps another from hearing");
        // numbers have no gap, and none is given twice
        let own = |id: &LetterId| id.as_str().starts_with(CASE);
        let held = decision.events.iter().filter_map(|event| match &event.what {
            What::LetterHeld { letter, .. } => Some(letter.clone()),
            _ => None,
        });
        let mut numbers: Vec<LetterId> = decision.letters.iter().map(|letter| letter.id.clone()).chain(held).collect();
        numbers.retain(own);
        numbers.sort_by_key(|id| id.as_str().rsplit('.').next().unwrap().parse::<usize>().unwrap());
        let expected: Vec<LetterId> =
            (1..=numbers.len()).map(|place| LetterId::new(&before.id, before.letters.len() + place)).collect();
        prop_assert_eq!(numbers, expected);
    }

    /// What several commands do in one mail is what they do one after the other: each sees what the events before it made of the
    /// case. And the case is what its events say, however often they are read.
    #[test]
    fn a_case_is_what_its_events_say(lines in prop::collection::vec(select(vec![
        "take ada@example.org", "take max@example.org", "accept", "priority high", "priority low", "cwe CWE-787",
        "cve CVE-2026-12345", "affects all", "affects none", "fixing", "fixed 0.12.3", "credit none", "credit Rita",
        "public", "snooze 3 business days", "share", "close", "reopen", "show",
        "severity CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H tell",
    ]), 1..8)) {
        let policy = policy();
        let mut events = opening(&policy);
        let before = folded(&events);
        let together = said_by_operator(&format!("!case {CASE}\n!{}\n", lines.join("\n!")), &before, &policy);
        let mut refused = false;
        for line in &lines {
            let case = folded(&events);
            match said_by_operator(&format!("!case {CASE}\n!{line}\n"), &case, &policy) {
                Ok(decision) => {
                    events.extend(decision.events);
                    events.extend(decision.letters.iter().map(|letter| Event {
                        at: start(),
                        case: letter.case().cloned(),
                        what: What::LetterHeld {
                            letter: letter.id.clone(), kind: letter.kind(), to: letter.to.clone(), mail: None,
                            reason: "not sealed yet".to_owned(), withheld: false, text: None, copy: None,
                        },
                    }));
                }
                Err(_) => {
                    refused = true;
                    break;
                }
            }
        }
        let one_by_one = folded(&events);
        prop_assert_eq!(&folded(&events), &one_by_one);
        prop_assert_eq!(together.is_err(), refused);
        if let Ok(decision) = together {
            let mut case = before.clone();
            decision.events.iter().for_each(|event| case.apply(event));
            prop_assert_eq!(moved(&case), moved(&one_by_one));
        }
        // what a journal keeps of it is the same
        let written: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let read: Vec<Event> = written.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        prop_assert_eq!(&folded(&read), &one_by_one);
    }

    /// Time makes late what was running, never the other way round; and what was promised stays promised, whatever the configuration
    /// says by now.
    #[test]
    fn a_promise_is_kept_as_it_was_given(hours in 0_i64..2000, more in 0_i64..2000, days in 1_u8..60, line in select(vec![
        "take ada@example.org", "accept", "priority high", "fixing", "fixed 0.12.3", "close", "snooze 9 business days", "show",
    ])) {
        let given = policy();
        let events = opening(&given);
        let case = folded(&events);
        let (now, later) = (start() + SignedDuration::from_hours(hours), start() + SignedDuration::from_hours(hours + more));
        for deadline in &case.deadlines {
            prop_assert_eq!(deadline.due(&case), deadline.due);
            let (first, then) = (deadline.standing(&case, now), deadline.standing(&case, later));
            prop_assert!(first != Clock::Overdue || then == Clock::Overdue);
            prop_assert!(matches!(first, Clock::Running | Clock::Overdue));
        }
        let mut changed = policy();
        changed.terms.plan = format!("{days} days").parse().unwrap();
        changed.terms.first_response = format!("{days} days").parse().unwrap();
        changed.terms.disclosure = format!("{days} days").parse().unwrap();
        changed.calendar.zone = jiff::tz::TimeZone::get("Asia/Tokyo").unwrap();
        if days != 3 {
            prop_assert_ne!(promised(&changed, start()), promised(&given, start()));
        }
        if let Ok(decision) = said_by_operator(&format!("!case {CASE}\n!{line}\n"), &case, &changed) {
            let mut after = case.clone();
            decision.events.iter().for_each(|event| after.apply(event));
            prop_assert_eq!(&after.deadlines, &case.deadlines);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Any text is read, and in a time that grows with it alone.
    #[test]
    fn any_text_is_read_soon(pieces in prop::collection::vec(select(vec![
        "!", "!take", "!reply\n", "!case EX-2026-0001\n", ">", "> x", "\n", "\n\n", "```", "-- \n", "On Friday, x wrote:", "x", " ",
        "from: ", "-----original", "________________________", "\u{202e}", "é", "CVSS:", "!severity\n",
    ]), 1..20), times in 1_usize..4000) {
        let text = pieces.concat().repeat(times);
        let text: String = text.chars().take(256 * 1024).collect();
        let begun = time_at_work();
        let _ = order::has_commands(&text, true);
        let read = order::read(&text, Some(&text), "EX");
        prop_assert!(order::words(&read).len() <= 21);
        prop_assert!(time_at_work() - begun < std::time::Duration::from_secs(5));
        if let Ok(order) = read {
            prop_assert_eq!(order.text.is_some(), order.taker.is_some());
        }
    }
}

/// The configuration names the certificate that signed, whatever else speaks against it.
fn commanded_by_name(said: &Said) -> bool {
    matches!(&said.signature, Signature::Good(verified) if verified.is_named())
}

fn said_by_operator(text: &str, case: &Case, policy: &Policy) -> Result<Decision, String> {
    let facts =
        Facts { next_number: 2, ordered: Some(Box::new(ordered(text, Some(case)))), ..Facts::default() };
    obey(&facts, policy, start()).map(|(decision, _)| decision)
}

/// Which command makes what of a case, and out of what; everything else leaves it where it is.
#[test]
fn a_phase_follows_the_table() {
    use Phase::{Accepted, Closed, Disclosed, Fixed, Fixing, Received, Rejected, Reopened, Triaged};
    let table: [(&str, Phase, &[Phase]); 6] = [
        ("accept", Accepted, &[Received, Triaged, Reopened]),
        ("reject not-security\n\nNo impact.", Rejected, &[Received, Triaged, Reopened]),
        ("fixing", Fixing, &[Received, Triaged, Reopened, Accepted, Fixed]),
        ("fixed 0.12.3", Fixed, &[Received, Triaged, Reopened, Accepted, Fixing]),
        ("close", Closed, &[Received, Triaged, Accepted, Fixing, Fixed, Disclosed, Reopened]),
        ("reopen", Reopened, &[Closed, Rejected]),
    ];
    let policy = policy();
    for phase in Phase::ALL {
        let mut case = folded(&opening(&policy));
        case.phase = phase;
        for (line, next, from) in table {
            let text = format!("!case {CASE}\n!{line}\n");
            let mut after = case.clone();
            let decision = said_by_operator(&text, &case, &policy);
            decision.iter().flat_map(|decision| &decision.events).for_each(|event| after.apply(event));
            let wanted = if from.contains(&phase) { next } else { phase };
            assert_eq!(after.phase, wanted, "{line} when {}", phase.word());
            if decision.is_err() {
                assert_eq!(after, case, "{line} when {}", phase.word());
            }
        }
    }
}
