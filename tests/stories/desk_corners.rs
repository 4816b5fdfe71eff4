//! The desk where it is odd: two things at once, the wrong order, machines and strangers in between. Each was a bug once.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use serde_json::Value;

const CASE: &str = "EX-2026-0001";

fn mail(from: &str, id: &str, parent: &str, text: &str) -> String {
    let parent = if parent.is_empty() { String::new() } else { format!("In-Reply-To: <{parent}>\n") };
    format!(
        "From: {from}\nTo: security@example.org\nSubject: About {id}\nMessage-ID: <{id}>\n{parent}\n{text}\n"
    )
}

const RITA: &str = "rita@example.net";
const NORA: &str = "nora@example.net";

/// Rita has reported.
fn reported() -> Desk {
    let desk = Desk::builder().otto().max().open();
    desk.receives(&mail(RITA, "r-1@example.net", "", "A heap overflow."));
    desk.letters();
    desk
}

fn case(desk: &Desk, id: &str) -> Value {
    desk.ask(&Question::Case(id.to_owned()))
}

fn clock(desk: &Desk, id: &str, kind: &str) -> String {
    let case = case(desk, id);
    let clocks = case["deadlines"].as_array().unwrap();
    let found = clocks.iter().find(|clock| clock["kind"] == kind);
    found.map_or("none".to_owned(), |clock| clock["state"].as_str().unwrap().to_owned())
}

fn told(desk: &Desk) -> Vec<String> {
    let reader = |to: &str| to.split('@').next().unwrap().to_owned();
    desk.letters()
        .iter()
        .map(|letter| format!("{} {} to {}", letter.id, letter.kind, reader(&letter.to)))
        .collect()
}

fn bounce(letter: &Letter) -> String {
    let id = letter.header("Message-ID").unwrap().trim_matches(['<', '>']);
    format!(
        "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: security@example.org\n\
         Subject: Undelivered Mail Returned to Sender\nMessage-ID: <back-{id}>\nAuto-Submitted: auto-replied\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n\
         --b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\
         Original-Envelope-Id: {id}\n\nFinal-Recipient: rfc822; rita@example.net\nAction: failed\nStatus: 5.1.1\n--b--\n"
    )
}

#[test]
fn two_mails_split_off_at_once_are_two_cases() {
    let desk = reported();
    for number in [2, 3] {
        desk.receives(&mail(RITA, &format!("r-{number}@example.net"), "r-1@example.net", "Something else."));
    }
    desk.letters();
    let mails = case(&desk, CASE)["mail_list"].clone();
    let digest = |place: usize| mails[place]["mail"].as_str().unwrap()[..12].to_owned();
    desk.receives(&desk.orders("ada", CASE, &format!("!split {}\n!split {}\n", digest(1), digest(2))));
    assert_eq!(
        told(&desk),
        [
            "EX-2026-0001.8 results to ada",
            "EX-2026-0002.2 relay to ada",
            "EX-2026-0002.3 relay to otto",
            "EX-2026-0003.2 relay to ada",
            "EX-2026-0003.3 relay to otto"
        ]
    );
    for id in ["EX-2026-0002", "EX-2026-0003"] {
        assert_eq!(case(&desk, id)["mails"], 1);
    }
}

#[test]
fn what_is_left_after_a_split_must_tell_of_the_matter() {
    let desk = reported();
    desk.receives(&desk.orders("ada", CASE, "!take\n"));
    let report = case(&desk, CASE)["mail_list"][0]["mail"].as_str().unwrap().to_owned();
    let refused = desk.is_told(CASE, &format!("split {report}"), None).unwrap_err();
    assert!(refused.contains("only mail of case EX-2026-0001 that tells of the matter"), "{refused}");
    assert_eq!(case(&desk, CASE)["reporter"], RITA);
}

#[test]
fn a_vacation_note_is_no_answer_to_a_question() {
    let desk = reported();
    desk.writes(CASE, "need-info", "Which version is it?");
    assert_eq!(clock(&desk, CASE, "need-info"), "running");
    desk.receives(
        &mail(RITA, "v-1@example.net", "r-1@example.net", "I am away.")
            .replace("Subject", "Auto-Submitted: auto-replied\nSubject"),
    );
    assert_eq!(clock(&desk, CASE, "need-info"), "running");
    desk.receives(&mail(RITA, "s-1@example.net", "r-1@example.net", "status"));
    assert_eq!(clock(&desk, CASE, "need-info"), "running");
    let status = desk.letters().into_iter().find(|letter| letter.kind == "status").unwrap();
    assert!(status.text().contains("wait for your answer"), "{}", status.text());
    desk.receives(&mail(RITA, "r-2@example.net", "r-1@example.net", "0.12.1"));
    assert_eq!(
        (clock(&desk, CASE, "need-info"), clock(&desk, CASE, "status-update")),
        ("ended".to_owned(), "running".to_owned())
    );
}

#[test]
fn a_question_that_comes_back_is_not_waited_for() {
    let desk = reported();
    desk.writes(CASE, "reply", "We look into it.");
    desk.set_clock("2026-11-20T23:10:00Z".parse().unwrap());
    desk.letters();
    let before = case(&desk, CASE)["deadlines"].clone();
    desk.writes(CASE, "need-info", "Which version is it?");
    let question = desk.letters().remove(0);
    assert_eq!(
        (clock(&desk, CASE, "need-info"), clock(&desk, CASE, "status-update")),
        ("running".to_owned(), "paused".to_owned())
    );
    desk.receives(&bounce(&question));
    let after = case(&desk, CASE);
    assert_eq!(after["waiting_since"], Value::Null);
    assert_eq!(after["deadlines"], before);
    // so is the first answer of all: what it began did not begin
    let desk = reported();
    desk.writes(CASE, "reply", "We look into it.");
    let answer = desk.letters().remove(0);
    desk.receives(&bounce(&answer));
    assert_eq!(
        (clock(&desk, CASE, "status-update"), clock(&desk, CASE, "first-response")),
        ("none".to_owned(), "running".to_owned())
    );
}

#[test]
fn a_rejection_that_never_left_ends_nothing() {
    let desk = reported();
    desk.writes(CASE, "reject not-a-vulnerability", "It is meant to be so.");
    let letter = desk.letters().remove(0);
    assert_eq!(clock(&desk, CASE, "plan"), "met");
    desk.receives(&bounce(&letter));
    assert_eq!(
        (clock(&desk, CASE, "plan"), clock(&desk, CASE, "first-response")),
        ("running".to_owned(), "running".to_owned())
    );
    desk.clock_to("2026-11-26T08:00:00Z");
    let reminded: Vec<String> =
        desk.letters().into_iter().filter(|it| it.kind == "reminder").map(|it| it.to).collect();
    assert_eq!(reminded, ["ada@example.org", "otto@example.org"]);
}

#[test]
fn what_one_of_two_merged_cases_had_the_other_is_still_owed() {
    let desk = reported();
    desk.receives(&mail(NORA, "n-1@example.net", "", "The parser crashes."));
    desk.writes(CASE, "plan", "We look into it.");
    desk.does(CASE, "severity CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
    desk.letters();
    // Nora has heard nothing: that Rita has is no answer to her
    desk.does("EX-2026-0002", "public https://example.com/blog");
    let _told = desk.letters();
    desk.does("EX-2026-0002", &format!("merge {CASE}"));
    assert_eq!(case(&desk, CASE)["public_since"], "2026-11-20T23:00:00Z", "what is public stays public");
    let desk = reported();
    desk.receives(&mail(NORA, "n-1@example.net", "", "The parser crashes."));
    desk.writes(CASE, "plan", "We look into it.");
    desk.letters();
    assert_eq!(clock(&desk, CASE, "plan"), "met");
    desk.set_clock("2026-11-20T23:10:00Z".parse().unwrap());
    desk.does("EX-2026-0002", &format!("merge {CASE}"));
    assert_eq!(
        (clock(&desk, CASE, "plan"), clock(&desk, CASE, "first-response")),
        ("running".to_owned(), "running".to_owned())
    );
    desk.set_clock("2026-11-20T23:20:00Z".parse().unwrap());
    desk.writes(CASE, "plan", "We look into it.");
    let answers: Vec<String> = told(&desk).into_iter().filter(|letter| letter.contains("answer")).collect();
    assert_eq!(answers.len(), 2, "to each reporter: {answers:?}");
    assert_eq!(
        (clock(&desk, CASE, "plan"), clock(&desk, CASE, "first-response")),
        ("met".to_owned(), "met".to_owned())
    );
    // one that was answered, into one that was not: no breach out of nothing
    let desk = reported();
    desk.writes(CASE, "plan", "We look into it.");
    desk.clock_to("2026-11-30T20:00:00Z");
    desk.receives(&mail(NORA, "n-1@example.net", "", "The parser crashes."));
    desk.letters();
    desk.does(CASE, "merge EX-2026-0002");
    assert_eq!(clock(&desk, "EX-2026-0002", "plan"), "running");
}

#[test]
fn nothing_is_merged_into_a_case_that_nobody_looks_after() {
    let desk = reported();
    desk.receives(&mail(NORA, "n-1@example.net", "", "The parser crashes."));
    desk.does(CASE, "close");
    let refused = desk.is_told("EX-2026-0002", &format!("merge {CASE}"), None).unwrap_err();
    assert!(refused.contains("reopen that one first"), "{refused}");
    assert_eq!(case(&desk, "EX-2026-0002")["merged_into"], Value::Null);
}

#[test]
fn a_block_of_code_that_does_not_end_takes_nothing_along() {
    let desk = reported();
    let body = "!reply\n\nLike this:\n\n```\nfix();\n\n> Hint: priority\n> Lacks: steps\n";
    desk.receives(&desk.orders("ada", CASE, body));
    let results = desk.letter();
    assert!(
        results.text().contains("a block of code begins with ``` and does not end"),
        "{}",
        results.text()
    );
}

/// Mallory sends Rita's ciphertext again under his own name. Whatever people do with that case, nothing of it goes on.
#[test]
fn what_was_replayed_is_not_shared_nor_answered_with() {
    let desk = reported();
    let inside = "Content-Type: text/plain; protected-headers=\"v1\"\nSubject: SECRET canary\n\nThe SECRET canary sings.\n";
    let outside = |from: &str, id: &str| {
        format!("From: {from}\nTo: security@example.org\nSubject: ...\nMessage-ID: <{id}>\n")
    };
    let from_sam = desk.encrypted_mail(&outside("sam@example.com", "s-1@example.com"), inside);
    desk.receives(&from_sam);
    let replay =
        from_sam.replace("From: sam@example.com", "From: mallory@example.com").replace("s-1@", "m-1@");
    desk.receives(&replay);
    desk.letters();
    let id = "EX-2026-0003";
    desk.receives(&desk.orders("ada", id, "!share\n"));
    desk.receives(&desk.orders("ada", id, "!reply\n\nWhat is this?\n"));
    desk.does(id, "take max");
    let letters = desk.letters();
    let to = |reader: &'static str| letters.iter().filter(move |letter| letter.to.starts_with(reader));
    assert!(to("max").next().is_some());
    for letter in to("max").chain(to("mallory")) {
        assert!(!letter.inside.contains("SECRET"), "{} to {}: {}", letter.kind, letter.to, letter.inside);
    }
}

#[test]
fn a_quiet_day_does_not_move_the_digest() {
    let desk = Desk::new();
    // nothing to tell for days
    for day in ["2026-11-21", "2026-11-22", "2026-11-23"] {
        desk.clock_to(&format!("{day}T17:00:00Z"));
    }
    desk.set_clock("2026-11-23T22:00:00Z".parse().unwrap());
    desk.receives(
        &mail(RITA, "r-1@example.net", "", "A heap overflow.")
            .replace("Subject", "Auto-Submitted: auto-generated\nSubject"),
    );
    desk.letters();
    desk.clock_to("2026-11-23T22:15:00Z");
    assert_eq!(told(&desk), [""; 0], "not in the afternoon");
    desk.clock_to("2026-11-24T17:00:00Z");
    assert_eq!(told(&desk), ["EX-DESK.1 digest to ada"]);
}

#[test]
fn a_forged_command_again_and_again_is_held_in_the_end() {
    let desk = reported();
    for number in 0..40 {
        let forged = mail(
            "ada@example.org",
            &format!("x-{number}@example.com"),
            "r-1@example.net",
            &format!("!close\n{number}"),
        );
        desk.receives(&forged);
    }
    let of = |kind: &str, letters: &[Letter]| letters.iter().filter(|letter| letter.kind == kind).count();
    let letters = desk.letters();
    assert_eq!(of("results", &letters), 20, "Ada is told so often a day");
    assert!(of("relay", &letters) <= 30, "Otto: {}", of("relay", &letters));
    assert_eq!(case(&desk, CASE)["phase"], "received");
}
