//! People sort out what came in: two cases that are one, a mail that is in the wrong one.

use std::fs;

use crate::cli::{err, out, psirtd};
use crate::support::case_ids;
use crate::support::desk::Desk;
use psirtd::clock::Clock;
use psirtd::control::Question;
use serde_json::{Value, json};

/// A mail of somebody; `parent` is the id that it answers.
fn mail(from: &str, id: &str, parent: &str, text: &str) -> String {
    let parent = if parent.is_empty() { String::new() } else { format!("In-Reply-To: <{parent}>\n") };
    format!(
        "From: {from}\nTo: security@example.org\nSubject: About {id}\nMessage-ID: <{id}>\n{parent}\n{text}\n"
    )
}

/// The id of a case of the desk whose clock begins in 2026, as all do but `desk_of_today`.
fn id(number: u32) -> String {
    format!("EX-2026-000{number}")
}

fn case(desk: &Desk, number: u32) -> Value {
    desk.ask(&Question::Case(id(number)))
}

/// Merges the first into the second; what a person is told.
fn merge(desk: &Desk, from: u32, into: u32) -> Result<String, String> {
    desk.is_told(&id(from), &format!("merge {}", id(into)), None)
}

fn split(desk: &Desk, number: u32, mail: &str) -> Result<String, String> {
    desk.is_told(&id(number), &format!("split {mail}"), None)
}

fn release(desk: &Desk, letter: &str) -> Result<Value, String> {
    desk.tries(&Question::Release(letter.to_owned()))
}

/// The Message-IDs of a case's mails.
fn mails(desk: &Desk, number: u32) -> Vec<String> {
    mails_of(desk, &id(number))
}

fn mails_of(desk: &Desk, id: &str) -> Vec<String> {
    let case = desk.ask(&Question::Case(id.to_owned()));
    let ids = case["mail_list"].as_array().unwrap().iter().map(|mail| mail["message_id"].as_str().unwrap());
    ids.map(|id| id.trim_matches(['<', '>']).to_owned()).collect()
}

/// The digest of a mail of a case.
fn digest(desk: &Desk, number: u32, mail: usize) -> String {
    case(desk, number)["mail_list"][mail]["mail"].as_str().unwrap().to_owned()
}

/// What each deadline of a case is, and when.
fn deadlines(case: &Value) -> Vec<(String, String)> {
    let text = |deadline: &Value, field: &str| deadline[field].as_str().unwrap().to_owned();
    let deadlines = case["deadlines"].as_array().unwrap().iter();
    deadlines.map(|deadline| (text(deadline, "kind"), text(deadline, "due"))).collect()
}

/// Everything that a person can ask about cases and letters.
fn everything(desk: &Desk) -> Value {
    let cases: Vec<Value> = desk
        .cases()
        .iter()
        .map(|case| desk.ask(&Question::Case(case["id"].as_str().unwrap().to_owned())))
        .collect();
    json!({ "cases": cases, "letters": desk.ask(&Question::Outbox) })
}

/// A restart, and a restart without the index: it is made anew from the journal.
fn assert_lasting(desk: &Desk) {
    let before = everything(desk);
    desk.restarts();
    assert_eq!(everything(desk), before, "after a restart");
    desk.steps_aside();
    fs::remove_dir_all(desk.state().join("index")).unwrap();
    desk.comes_back();
    assert_eq!(everything(desk), before, "with an index made anew");
}

/// Each letter since last asked as its name, its kind and its reader.
fn sent(desk: &Desk) -> Vec<String> {
    desk.letters().iter().map(|letter| format!("{} {} to {}", letter.id, letter.kind, letter.to)).collect()
}

const RITA: &str = "rita@example.net";
const NORA: &str = "nora@example.net";

/// Rita has reported on Friday, Nora the same on Monday; all letters have gone out.
fn two_reports() -> Desk {
    let desk = Desk::new();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    desk.clock_to("2026-11-23T20:00:00Z");
    desk.receives(&mail(NORA, "n-1@example.net", "", "The tile parser crashes."));
    assert_eq!(sent(&desk).len(), 4);
    desk
}

#[test]
fn two_cases_that_are_one() {
    let desk = two_reports();
    let (first, second) = (case(&desk, 1), case(&desk, 2));
    assert_ne!(deadlines(&first), deadlines(&second), "there is something to choose between");
    // the later one goes on, all the same
    assert_eq!(merge(&desk, 1, 2).unwrap(), "case EX-2026-0001 is part of case EX-2026-0002 now");
    assert_eq!(sent(&desk), [""; 0], "nobody is written to");
    let both = case(&desk, 2);
    assert_eq!(deadlines(&both), deadlines(&first), "the earlier promise counts");
    assert_eq!((&both["reporter"], &both["reporters"]), (&json!(NORA), &json!([NORA, RITA])));
    assert_eq!(mails(&desk, 2), ["r-1@example.net", "n-1@example.net"], "in the order they came");
    assert_eq!(case(&desk, 1)["merged_into"], "EX-2026-0002");
    let last = |case: &Value| case["timeline"].as_array().unwrap().last().unwrap().clone();
    let (one, two) = (last(&case(&desk, 1)), last(&both));
    assert_eq!((&one["what"], &one["who"]), (&json!("merged into case EX-2026-0002"), &json!("operator")));
    assert_eq!(two["what"], "case EX-2026-0001 merged into this one");

    // both go on writing in their threads, and neither is a stranger
    desk.receives(&mail(RITA, "r-2@example.net", "r-1@example.net", "Version 2, too."));
    desk.receives(&mail(NORA, "n-2@example.net", "n-1@example.net", "And version 3."));
    desk.receives(&mail(RITA, "r-3@example.net", "n-2@example.net", "I know her."));
    assert_eq!(
        mails(&desk, 2),
        ["r-1@example.net", "n-1@example.net", "r-2@example.net", "n-2@example.net", "r-3@example.net"]
    );
    assert_eq!(mails(&desk, 1), ["r-1@example.net"]);
    let letters = desk.letters();
    assert_eq!(letters.len(), 3);
    for letter in letters {
        let text = letter.text();
        assert!(text.starts_with("follow-up in case EX-2026-0002\n"), "{text}");
    }
    assert_lasting(&desk);
    desk.receives(&mail(RITA, "r-4@example.net", "r-1@example.net", "After the restart."));
    assert_eq!(mails(&desk, 2).len(), 6);
}

/// What the acknowledgement of the case that ended is answered with leads to the one that goes on; a stranger stays one.
#[test]
fn the_letters_of_a_merged_case_lead_to_the_one_that_goes_on() {
    let desk = Desk::builder().desk("plus_address = true").open();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    desk.receives(&mail(NORA, "n-1@example.net", "", "The tile parser crashes."));
    let letters = desk.letters();
    let acknowledgement = letters.iter().find(|letter| letter.to == NORA).unwrap();
    merge(&desk, 2, 1).unwrap();
    let to = acknowledgement.header("Reply-To").unwrap();
    let thread = acknowledgement.header("Message-ID").unwrap();
    desk.receives(&format!("From: {NORA}\nTo: {to}\nMessage-ID: <n-2@example.net>\n\nBy its address.\n"));
    desk.receives(&format!(
        "From: {NORA}\nMessage-ID: <n-3@example.net>\nIn-Reply-To: {thread}\n\nBy its id.\n"
    ));
    desk.receives(&mail("mallory@example.com", "m-1@example.com", "n-1@example.net", "Hello."));
    let case = case(&desk, 1);
    let mails = case["mail_list"].as_array().unwrap().iter();
    let pending: Vec<(&Value, &Value)> = mails.map(|mail| (&mail["from"], &mail["pending"])).collect();
    let taking_part = |who: &'static str| (json!(who), json!(false));
    let expected = [
        taking_part(RITA),
        taking_part(NORA),
        taking_part(NORA),
        taking_part(NORA),
        (json!("mallory@example.com"), json!(true)),
    ];
    assert_eq!(pending, expected.iter().map(|(from, pending)| (from, pending)).collect::<Vec<_>>());
}

#[test]
fn who_reported_the_same_hears_the_status_of_the_case_that_goes_on() {
    let desk = two_reports();
    merge(&desk, 2, 1).unwrap();
    desk.receives(&mail(NORA, "n-2@example.net", "n-1@example.net", "status"));
    let letters = desk.letters();
    let status = letters.iter().find(|letter| letter.kind == "status").unwrap();
    assert_eq!(status.to, NORA);
    assert!(status.text().contains("the status of case EX-2026-0001."), "{}", status.text());
    // Rita's promise: 3 business days from Friday
    assert!(status.text().contains("Wednesday, 25 November 2026, 23:59 PST"), "{}", status.text());
}

#[test]
fn a_merge_that_makes_no_sense_is_refused() {
    let desk = two_reports();
    desk.receives(&mail(RITA, "r-9@example.net", "", "Something else."));
    let before = everything(&desk);
    assert_eq!(merge(&desk, 1, 1).unwrap_err(), "case EX-2026-0001 cannot be merged into itself");
    assert_eq!(merge(&desk, 1, 9).unwrap_err(), "there is no case EX-2026-0009");
    assert_eq!(merge(&desk, 9, 1).unwrap_err(), "there is no case EX-2026-0009");
    assert_eq!(everything(&desk), before);

    merge(&desk, 1, 2).unwrap();
    let before = everything(&desk);
    for into in [2, 3] {
        assert_eq!(
            merge(&desk, 1, into).unwrap_err(),
            "case EX-2026-0001 was merged into EX-2026-0002: say it of that one"
        );
    }
    assert_eq!(
        merge(&desk, 2, 1).unwrap_err(),
        "case EX-2026-0001 is part of case EX-2026-0002 already",
        "a circle"
    );
    assert_eq!(everything(&desk), before);

    // into the merged one: it is followed
    assert_eq!(merge(&desk, 3, 1).unwrap(), "case EX-2026-0003 is part of case EX-2026-0002 now");
    assert_eq!(mails(&desk, 2), ["r-1@example.net", "n-1@example.net", "r-9@example.net"]);
    assert_eq!(case(&desk, 2)["reporters"], json!([NORA, RITA]), "nobody stands there twice");
    assert_eq!(
        merge(&desk, 2, 3).unwrap_err(),
        "case EX-2026-0003 is part of case EX-2026-0002 already",
        "a longer one"
    );
    assert_lasting(&desk);
}

/// The end of a chain of cases knows everything, and each thread of them leads there.
#[test]
fn a_chain_of_merges_is_followed() {
    let desk = Desk::new();
    for number in 1..=4 {
        desk.receives(&mail(RITA, &format!("r-{number}@example.net"), "", &format!("Hole {number}.")));
    }
    for number in 1..=3 {
        merge(&desk, number, number + 1).unwrap();
    }
    for number in 1..=4 {
        let (id, parent) = (format!("more-{number}@example.net"), format!("r-{number}@example.net"));
        desk.receives(&mail(RITA, &id, &parent, &format!("More of {number}.")));
    }
    assert_eq!(mails(&desk, 4).len(), 8);
    assert_eq!(case(&desk, 4)["reporters"], json!([RITA]));
    assert_lasting(&desk);
}

/// Two mails in one: Rita's second one is about something else, and so is all that follows it.
#[test]
fn a_mail_about_something_else() {
    let desk = Desk::new();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    let first = deadlines(&case(&desk, 1));
    desk.clock_to("2026-11-23T20:00:00Z");
    desk.receives(&mail(RITA, "r-2@example.net", "r-1@example.net", "By the way: tokens can be guessed."));
    desk.receives(&mail(RITA, "r-3@example.net", "r-2@example.net", "Those of the tests, too."));
    assert_eq!(sent(&desk).len(), 4);
    // a person has time for it on Thursday
    desk.clock_to("2026-11-26T20:00:00Z");
    assert_eq!(sent(&desk), ["EX-DESK.1 digest to ada@example.org", "EX-DESK.2 reminder to ada@example.org"]);
    let mail_of_it = digest(&desk, 1, 1);
    assert_eq!(split(&desk, 1, &mail_of_it[..12]).unwrap(), "the mail is case EX-2026-0002 now");
    assert_eq!(
        (mails(&desk, 1), mails(&desk, 2)),
        (
            vec!["r-1@example.net".to_owned(), "r-3@example.net".to_owned()],
            vec!["r-2@example.net".to_owned()],
        )
    );
    assert_eq!(deadlines(&case(&desk, 1)), first);
    let new = case(&desk, 2);
    // in Los Angeles, 3 business days from Monday end on Thursday, 14 on Friday, 11 December
    insta::assert_snapshot!(new["received_at"].as_str().unwrap(), @"2026-11-23T20:00:00Z");
    let due: Vec<String> = deadlines(&new).iter().map(|(kind, due)| format!("{kind} {due}")).collect();
    insta::assert_snapshot!(due.join("\n"), @"
    first-response 2026-11-27T07:59:59Z
    plan 2026-11-27T07:59:59Z
    disclosure 2026-12-12T07:59:59Z
    ");
    assert_eq!((&new["reporter"], &new["acknowledged_at"]), (&json!(RITA), &Value::Null));
    assert_eq!(new["not_acknowledged"], "taken out of case EX-2026-0001");
    let last = case(&desk, 1)["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["what"], format!("mail {} taken out: case EX-2026-0002", &mail_of_it[..12]));

    let relay = desk.letter();
    assert_eq!((relay.id.as_str(), relay.to.as_str()), ("EX-2026-0002.2", "ada@example.org"));
    let text = relay.text();
    assert!(text.starts_with("new report in case EX-2026-0002\n"), "{text}");
    assert!(text.contains("to answer From: psirtd outbox release EX-2026-0002.1"), "{text}");
    assert!(text.contains("By the way: tokens can be guessed."), "{text}");

    // its thread leads to the new case, the old one's to the old one
    desk.receives(&mail(RITA, "r-4@example.net", "r-2@example.net", "More of the tokens."));
    desk.receives(&mail(RITA, "r-5@example.net", "r-1@example.net", "More of the heap."));
    assert_eq!(mails(&desk, 2), ["r-2@example.net", "r-4@example.net"]);
    assert_eq!(mails(&desk, 1), ["r-1@example.net", "r-3@example.net", "r-5@example.net"]);
    let _relays = desk.letters();
    assert_lasting(&desk);
    desk.receives(&mail(RITA, "r-6@example.net", "r-2@example.net", "Still the tokens."));
    assert_eq!(mails(&desk, 2).len(), 3);
    let _relay = desk.letter();

    // it is acknowledged when a person says so, once, with the promises of its own time
    release(&desk, "EX-2026-0002.1").unwrap();
    let acknowledgement = desk.letter();
    assert_eq!((acknowledgement.kind.as_str(), acknowledgement.to.as_str()), ("acknowledgement", RITA));
    assert_eq!(acknowledgement.header("In-Reply-To"), Some("<r-2@example.net>"));
    assert!(acknowledgement.text().contains("EX-2026-0002"), "{}", acknowledgement.text());
    assert!(!acknowledgement.text().contains("EX-2026-0001"), "{}", acknowledgement.text());
    let again = release(&desk, "EX-2026-0002.1").unwrap_err();
    assert_eq!(again, "nothing to do for letter EX-2026-0002.1: it is sent");
    assert_eq!(sent(&desk), [""; 0]);
    assert!(case(&desk, 2)["acknowledged_at"].is_string());
}

/// A stranger had something to say after all: his mail becomes a case of his own, in which he is no stranger.
#[test]
fn a_strangers_mail_becomes_his_case() {
    let desk = Desk::new();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    desk.receives(&mail("mallory@example.com", "m-1@example.com", "r-1@example.net", "I know another one."));
    let _letters = desk.letters();
    split(&desk, 1, &digest(&desk, 1, 1)).unwrap();
    let relay = desk.letter().text();
    assert!(relay.starts_with("new report in case EX-2026-0002\n"), "{relay}");
    assert_eq!(case(&desk, 2)["mail_list"][0]["pending"], false);
    assert_eq!(case(&desk, 2)["reporter"], "mallory@example.com");
    release(&desk, "EX-2026-0002.1").unwrap();
    let acknowledgement = desk.letter();
    assert_eq!(acknowledgement.to, "mallory@example.com");
    desk.receives(&mail("mallory@example.com", "m-2@example.com", "m-1@example.com", "Here it is."));
    assert_eq!(case(&desk, 2)["mail_list"][1]["pending"], false);
    assert_eq!(case(&desk, 1)["mails"], 1);
}

#[test]
fn a_split_that_makes_no_sense_is_refused() {
    let desk = Desk::new();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    let only = digest(&desk, 1, 0);
    assert_eq!(split(&desk, 1, &only).unwrap_err(), "it is the only mail of case EX-2026-0001");
    for number in 2..=20 {
        desk.receives(&mail(
            RITA,
            &format!("r-{number}@example.net"),
            "r-1@example.net",
            &format!("{number}."),
        ));
    }
    let before = everything(&desk);
    let nowhere = |mail: &str| {
        format!("case EX-2026-0001 has no mail {mail}, or several: see “psirtd case EX-2026-0001”")
    };
    // of twenty digests two begin alike
    let digests: Vec<String> = (0..20).map(|mail| digest(&desk, 1, mail)[..1].to_owned()).collect();
    let ambiguous =
        digests.iter().find(|one| digests.iter().filter(|other| other == one).count() > 1).unwrap();
    for mail in [&"0".repeat(64), ambiguous] {
        assert_eq!(split(&desk, 1, mail).unwrap_err(), nowhere(mail));
    }
    assert!(split(&desk, 1, "").unwrap_err().starts_with("which mail?; "));
    assert!(split(&desk, 1, "not-a-digest").unwrap_err().starts_with("“not-a-digest” is no mail: "));
    assert_eq!(split(&desk, 9, &only).unwrap_err(), "there is no case EX-2026-0009");
    assert_eq!(everything(&desk), before);
    // it cannot be taken out twice
    split(&desk, 1, &only.to_uppercase()).unwrap();
    assert_eq!(split(&desk, 1, &only).unwrap_err(), nowhere(&only));
    assert_eq!(split(&desk, 2, &only).unwrap_err(), "it is the only mail of case EX-2026-0002");
    // nor out of a case that has ended
    merge(&desk, 1, 2).unwrap();
    let other = digest(&desk, 1, 0);
    assert_eq!(
        split(&desk, 1, &other).unwrap_err(),
        "case EX-2026-0001 was merged into EX-2026-0002: say it of that one"
    );
    assert_eq!(split(&desk, 2, &other).unwrap(), "the mail is case EX-2026-0003 now");
    assert_lasting(&desk);
}

/// What was merged by mistake is taken apart again.
#[test]
fn a_merged_mail_is_split_off_again() {
    let desk = two_reports();
    merge(&desk, 2, 1).unwrap();
    split(&desk, 1, &digest(&desk, 1, 1)).unwrap();
    assert_eq!(
        (mails(&desk, 1), mails(&desk, 3)),
        (vec!["r-1@example.net".to_owned()], vec!["n-1@example.net".to_owned()],)
    );
    desk.receives(&mail(NORA, "n-2@example.net", "n-1@example.net", "More."));
    assert_eq!(mails(&desk, 3), ["n-1@example.net", "n-2@example.net"]);
    assert_eq!(case(&desk, 3)["mail_list"][1]["pending"], false);
}

/// A command knows no other time than the machine's.
fn desk_of_today() -> Desk {
    Desk::builder().start(&Clock::System.now().to_string()).open()
}

/// Without a daemon, the commands open the store themselves.
#[test]
fn merged_by_a_command() {
    let desk = desk_of_today();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    desk.receives(&mail(NORA, "n-1@example.net", "", "The tile parser crashes."));
    let id = case_ids(&desk.cases());
    let (one, two) = (&*id(1), &*id(2));
    desk.steps_aside();
    let run = |arguments: &[&str]| psirtd(desk.dir(), &[&["--config", "psirtd.toml"], arguments].concat());
    let said = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", err(&output));
        out(&output).trim_end().to_owned()
    };
    let refused = run(&["do", two, "merge", two]);
    assert_eq!(
        (refused.status.code(), err(&refused).trim_end()),
        (Some(1), &*format!("psirtd: case {two} cannot be merged into itself"))
    );
    let refused = run(&["do", two, "split", "0000"]);
    assert_eq!(
        (refused.status.code(), err(&refused).trim_end()),
        (Some(1), &*format!("psirtd: case {two} has no mail 0000, or several: see “psirtd case {two}”"))
    );
    assert_eq!(
        said(&["do", &two.to_lowercase(), "merge", &one.to_lowercase()]),
        format!("case {two} is part of case {one} now")
    );
    let ids = |arguments: &[&str]| {
        let cases: Value = serde_json::from_str(&said(arguments)).unwrap();
        let ids = cases.as_array().unwrap().iter().map(|case| case["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&["cases", "--json"]), [one]);
    assert_eq!(ids(&["cases", "--all", "--json"]), [one, two]);
    let table = said(&["cases"]);
    assert!(table.contains(one) && !table.contains(two), "{table}");
    assert!(said(&["cases", "--all"]).contains(two));
    let shown = said(&["case", two]);
    let merged = shown.lines().find(|line| line.trim_start().starts_with("merged into")).unwrap();
    assert!(merged.contains(one), "{shown}");
    let shown = said(&["case", one]);
    assert!(shown.contains("rita@example.net, nora@example.net"), "{shown}");
    desk.comes_back();
    desk.receives(&mail(NORA, "n-2@example.net", "n-1@example.net", "More."));
    assert_eq!(mails_of(&desk, one).len(), 3);
}

/// The mail is named as `psirtd case` shows it.
#[test]
fn split_by_a_command() {
    let desk = desk_of_today();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    desk.receives(&mail(RITA, "r-2@example.net", "r-1@example.net", "Tokens can be guessed."));
    let _letters = desk.letters();
    let id = case_ids(&desk.cases());
    let (first, split_off) = (&*id(1), &*id(2));
    desk.steps_aside();
    let run = |arguments: &[&str]| psirtd(desk.dir(), &[&["--config", "psirtd.toml"], arguments].concat());
    let shown = out(&run(&["case", first]));
    let digest = |word: &&str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    let second = shown.split_whitespace().filter(digest).nth(1).unwrap();
    let done = run(&["do", first, "split", second, "--json"]);
    assert!(done.status.success(), "{}", err(&done));
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done, json!({ "done": format!("the mail is case {split_off} now") }));
    desk.set_clock(Clock::System.now());
    desk.comes_back();
    assert_eq!(mails_of(&desk, split_off), ["r-2@example.net"]);
    assert_eq!(sent(&desk), [format!("{split_off}.2 relay to ada@example.org")]);
}
