//! Who is reminded of what is owed, and when; and what stops a clock.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use serde_json::Value;

const CASE: &str = "EX-2026-0001";
/// Friday, 20 November 2026, 15:00 at the desk: first response and plan are due on Wednesday, the 25th, 23:59:59.
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

A crafted tile makes the parser write behind its buffer.
";
/// Of 81 hours of business time half are over on Tuesday at 07:30, four fifths on Wednesday at 07:48, all at midnight.
const HALF: &str = "2026-11-24T15:30:00Z";
const MOST: &str = "2026-11-25T15:48:00Z";
const OVER: &str = "2026-11-26T08:00:00Z";

fn reported(desk: Desk) -> Desk {
    desk.receives(REPORT);
    desk.letters();
    desk
}

fn two_coordinators() -> Desk {
    reported(Desk::builder().otto().open())
}

/// The reminders since last asked, by reader; other letters are passed over.
fn reminded(desk: &Desk) -> Vec<String> {
    let reminders = desk.letters().into_iter().filter(|letter| letter.kind == "reminder");
    reminders.map(|letter| letter.to.split('@').next().unwrap().to_owned()).collect()
}

/// How a clock of the case stands.
fn clock(desk: &Desk, kind: &str) -> String {
    let case = desk.ask(&Question::Case(CASE.to_owned()));
    let clocks = case["deadlines"].as_array().unwrap().clone();
    let found = clocks.iter().find(|clock| clock["kind"] == kind).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

#[test]
fn the_owner_first_then_all_coordinators_then_the_escalation_address() {
    let policy = "escalation = \"nora@example.net\"";
    let desk = Desk::builder().otto().policy(policy).open();
    desk.receives(REPORT);
    desk.does(CASE, "take otto");
    desk.letters();
    desk.clock_to(HALF);
    assert_eq!(reminded(&desk), ["otto"]);
    desk.clock_to(MOST);
    assert_eq!(reminded(&desk), ["otto", "ada"]);
    desk.clock_to(OVER);
    let letters: Vec<Letter> = desk.letters().into_iter().filter(|letter| letter.kind != "digest").collect();
    let told: Vec<String> =
        letters.iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
    // of Nora the desk has no certificate: she hears that something is broken, and no more
    assert_eq!(
        told,
        ["reminder to otto@example.org", "reminder to ada@example.org", "warning to nora@example.net"]
    );
    let nora = &letters[2];
    assert!(!nora.encrypted && !String::from_utf8_lossy(&nora.raw).contains("EX-2026"), "{}", nora.text());
    insta::assert_snapshot!(nora.text(), @"
    The desk needs a person:

      * promises that are broken: 2, that soon will be: 0 (psirtd cases)

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check
    ");
    insta::assert_snapshot!(format!("{}\n\n{}", letters[0].protected("Subject").unwrap(), letters[0].text()), @"
    [Example Project Security] 2 late

    EX-2026-0001  first-response  LATE
        was due:  Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        wanted:   a person's first answer to the reporter
        owner:    otto@example.org

    EX-2026-0001  plan  LATE
        was due:  Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        wanted:   the plan to investigate, to the reporter
        owner:    otto@example.org

    A signed mail with [CASE] in its subject and !take, !reply or !plan in its
    first line will do; so will psirtd do CASE COMMAND. !snooze 3 business days
    stops reminders of what is not late yet, and moves no promise.
    ");
    // each once, however often it is looked at, and whether psirtd was started anew
    desk.clock_to("2026-11-26T08:15:00Z");
    desk.restarts();
    desk.clock_to("2026-11-26T08:30:00Z");
    assert_eq!(desk.snapshot(), "no letters");
}

#[test]
fn a_long_sleep_loses_nothing_and_repeats_nothing() {
    let desk = two_coordinators();
    desk.steps_aside();
    desk.set_clock("2026-11-27T20:00:00Z".parse().unwrap());
    desk.comes_back();
    desk.clock_to("2026-11-27T20:00:00Z");
    // the breach, once, and not what was before it
    assert_eq!(reminded(&desk), ["ada", "otto"]);
    desk.clock_to("2026-11-27T21:00:00Z");
    assert_eq!(reminded(&desk), [""; 0]);
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_repeats_nothing() {
    let desk = two_coordinators();
    // the machine's clock is a year ahead for a moment
    desk.clock_to("2027-11-24T15:30:00Z");
    assert_eq!(reminded(&desk), ["ada", "otto"], "what is broken by that clock is told");
    desk.clock_to(HALF);
    assert_eq!(reminded(&desk), ["ada", "otto"], "half is told when it comes");
    // and back by half an hour
    desk.clock_to("2026-11-24T15:00:00Z");
    assert_eq!(reminded(&desk), [""; 0]);
    desk.clock_to(HALF);
    assert_eq!(reminded(&desk), [""; 0]);
    desk.clock_to(MOST);
    assert_eq!(reminded(&desk), ["ada", "otto"]);
    desk.clock_to(OVER);
    assert_eq!(reminded(&desk), ["ada", "otto"], "the breach, now that it is one");
    desk.clock_to("2026-11-26T09:00:00Z");
    assert_eq!(reminded(&desk), [""; 0]);
}

#[test]
fn what_is_ahead_comes_once_a_day_and_what_is_broken_at_once() {
    let desk = two_coordinators();
    desk.does(CASE, "take ada");
    desk.letters();
    // another case, an hour later: its half is reached half an hour after that of the first
    desk.set_clock("2026-11-21T00:00:00Z".parse().unwrap());
    desk.receives(&REPORT.replace("r-1@", "r-2@"));
    desk.does("EX-2026-0002", "take ada");
    desk.letters();
    desk.clock_to(HALF);
    assert_eq!(reminded(&desk), ["ada"]);
    desk.clock_to("2026-11-24T17:30:00Z");
    assert_eq!(reminded(&desk), [""; 0], "tomorrow is early enough");
    desk.clock_to("2026-11-25T08:30:00Z");
    let letters: Vec<Letter> =
        desk.letters().into_iter().filter(|letter| letter.kind == "reminder").collect();
    assert_eq!(letters.len(), 1, "the next day, all together");
    assert!(letters[0].text().contains("EX-2026-0002") && !letters[0].text().contains("EX-2026-0001"));
    desk.clock_to(MOST);
    assert_eq!(reminded(&desk), ["otto"], "Ada has had hers today");
    desk.clock_to(OVER);
    assert_eq!(reminded(&desk), ["ada", "otto"]);
}

#[test]
fn a_snoozed_case_is_silent_until_something_is_broken() {
    let desk = two_coordinators();
    let told = desk.does(CASE, "snooze 5 business days");
    insta::assert_snapshot!(told, @"no reminders until Fri, 27 Nov 2026 23:59 PST (2026-11-28 07:59 UTC); what is promised stays promised");
    desk.clock_to(MOST);
    assert_eq!(reminded(&desk), [""; 0]);
    desk.clock_to(OVER);
    assert_eq!(reminded(&desk), ["ada", "otto"]);
    assert!(desk.is_told(CASE, "snooze 2026-11-01", None).unwrap_err().contains("that time is over"));
}

/// Whoever left the team is told nothing, even as an owner.
#[test]
fn an_owner_who_left_is_told_nothing() {
    let desk = two_coordinators();
    desk.does(CASE, "take ada");
    desk.letters();
    desk.otto_is_alone();
    desk.restarts();
    desk.clock_to(HALF);
    assert_eq!(reminded(&desk), ["otto"], "nobody owns it any more");
    desk.receives(&REPORT.replace("r-1@", "r-2@").replace("\n\n", "\nIn-Reply-To: <r-1@example.net>\n\n"));
    let told: Vec<String> =
        desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
    assert_eq!(told, ["relay to otto@example.org"]);
}

#[test]
fn a_case_keeps_the_terms_that_it_came_under() {
    let desk = two_coordinators();
    desk.policy_becomes(
        "first_response = \"1 business day\"\nplan = \"1 business day\"\nstatus_update = \"1 business day\"",
    );
    desk.restarts();
    let due = |case: &str, kind: &str| {
        let case = desk.ask(&Question::Case(case.to_owned()));
        let clocks = case["deadlines"].as_array().unwrap().clone();
        clocks
            .iter()
            .find(|clock| clock["kind"] == kind)
            .map(|clock| clock["due"].as_str().unwrap().to_owned())
    };
    desk.receives(&REPORT.replace("r-1@", "r-2@"));
    assert_eq!(due(CASE, "plan").as_deref(), Some("2026-11-26T07:59:59Z"));
    assert_eq!(due("EX-2026-0002", "plan").as_deref(), Some("2026-11-24T07:59:59Z"));
    // a clock that begins later, too
    desk.writes(CASE, "reply", "We look into it.");
    desk.writes("EX-2026-0002", "reply", "We look into it.");
    assert_eq!(due(CASE, "status-update").as_deref(), Some("2026-11-28T07:59:59Z"));
    assert_eq!(due("EX-2026-0002", "status-update").as_deref(), Some("2026-11-24T07:59:59Z"));
}

/// A bounce of the server of a letter's reader.
fn bounce(letter: &Letter) -> String {
    let id = letter.header("Message-ID").unwrap().trim_matches(['<', '>']);
    format!(
        "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: security@example.org\n\
         Subject: Undelivered Mail Returned to Sender\nMessage-ID: <back@mx.example.net>\nAuto-Submitted: auto-replied\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n\
         --b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\
         Original-Envelope-Id: {id}\n\nFinal-Recipient: rfc822; rita@example.net\nAction: failed\nStatus: 5.1.1\n--b--\n"
    )
}

#[test]
fn an_answer_that_comes_back_has_stopped_nothing() {
    let desk = two_coordinators();
    assert_eq!(clock(&desk, "first-response"), "running", "an acknowledgement is no answer");
    desk.writes(CASE, "plan", "We build your example tonight.");
    let answer = desk.letters().remove(0);
    assert_eq!((clock(&desk, "first-response"), clock(&desk, "plan")), ("met".to_owned(), "met".to_owned()));
    desk.set_clock("2026-11-21T00:00:00Z".parse().unwrap());
    desk.receives(&bounce(&answer));
    desk.clock_to("2026-11-21T00:00:00Z");
    assert_eq!(
        (clock(&desk, "first-response"), clock(&desk, "plan")),
        ("running".to_owned(), "running".to_owned())
    );
    let told: Vec<String> =
        desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
    assert_eq!(told, ["warning to ada@example.org", "warning to otto@example.org"], "and a person is told");
    // figures are honest
    let figures = desk.ask(&Question::Figures { since: None })["figures"].clone();
    let answers =
        figures["measures"].as_array().unwrap().iter().find(|one| one["step"] == "answer").unwrap().clone();
    assert_eq!(answers["count"], 0, "{figures}");
}

#[test]
fn an_answer_that_is_held_stops_nothing_until_it_leaves() {
    let desk = Desk::builder().otto().open();
    // Nora's certificate is not known to the desk: she signs with it, and does not send it
    let outside = "From: Nora <nora@example.net>\nTo: security@example.org\nSubject: ...\nMessage-ID: <n-1@example.net>\n";
    desk.receives(
        &desk.encrypted_mail(outside, "Content-Type: text/plain\n\nThe parser writes behind its buffer.\n"),
    );
    desk.letters();
    let said = desk.writes(CASE, "reply", "We look into it.");
    assert_eq!(
        said,
        "answer to the reporter, nora@example.net\nletter EX-2026-0001.4 is HELD: no certificate for nora@example.net (psirtd outbox)"
    );
    assert_eq!(clock(&desk, "first-response"), "running");
    desk.clock_to("2026-11-20T23:00:00Z");
    let told: Vec<String> =
        desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
    let without_notes: Vec<&String> = told.iter().filter(|letter| !letter.starts_with("note")).collect();
    assert_eq!(
        without_notes,
        ["warning to ada@example.org", "warning to otto@example.org"],
        "never in the clear"
    );
    let letters = desk.ask(&Question::Outbox);
    let held = |letter: &&Value| letter["kind"] == "answer";
    let held = letters.as_array().unwrap().iter().find(held).unwrap().clone();
    assert_eq!(held["state"], "held");
    // she sends her certificate
    let key = desk.exported("nora@example.net");
    desk.receives(&format!(
        "From: Nora <nora@example.net>\nTo: security@example.org\nMessage-ID: <n-2@example.net>\nIn-Reply-To: <n-1@example.net>\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"m\"\n\n--m\n\nMy key.\n--m\n\
         Content-Type: application/pgp-keys\n\n{key}\n--m--\n"
    ));
    desk.letters();
    let id = held["id"].as_str().unwrap();
    assert_eq!(desk.does(CASE, &format!("release {id}")), format!("letter {id} is released"));
    let answer = desk.letter();
    assert!(answer.encrypted && answer.text().starts_with("We look into it."), "{}", answer.text());
    assert_eq!(clock(&desk, "first-response"), "met");
}
