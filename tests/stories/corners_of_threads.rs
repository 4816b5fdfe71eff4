//! Corners of threads, copies and returned letters that careful readers found, each a test of its own.
//!
//! The stories themselves are in `threads`, `sorting`, `status` and `returned`.

use crate::support::desk::Desk;
use psirtd::control::Question;

const REPORT: &str = "From: rita@example.net\nTo: security@example.org\nMessage-ID: <r-1@example.net>\n";

fn sent(desk: &Desk) -> Vec<String> {
    desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect()
}

#[test]
fn a_stranger_gets_no_acknowledgement_of_somebody_elses_case() {
    let desk = Desk::new();
    desk.receives(&format!("List-Id: <devel.lists.example.net>\n{REPORT}\nA heap overflow.\n"));
    let mallory = "From: mallory@example.com\nMessage-ID: <m-1@example.com>\n";
    desk.receives(&format!("{mallory}In-Reply-To: <r-1@example.net>\n\nHello?\n"));
    assert_eq!(sent(&desk), ["relay to ada@example.org"; 2]);
    desk.receives(&format!("{mallory}\nHello?\n\nMallory\n"));
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    let sent = sent(&desk);
    assert!(!sent.contains(&"acknowledgement to mallory@example.com".to_owned()), "{sent:?} {case:#}");
}

#[test]
fn a_copy_with_a_footer_in_the_same_batch() {
    let desk = Desk::new();
    let report = format!("{REPORT}\nA heap overflow.\n");
    desk.receives_together(&[&report, &format!("{report}\n-- \nA footer.\n")]);
    assert_eq!(desk.cases().len(), 2, "the first case is of the mail that kept the desk busy");
}

#[test]
fn copies_with_two_footers() {
    let desk = Desk::new();
    let report = format!("{REPORT}\nA heap overflow.\n");
    desk.receives(&format!("{report}\n-- \nOne list.\n"));
    desk.receives(&report);
    desk.receives(&format!("{report}\n-- \nAnother list.\n"));
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn an_acknowledgement_of_a_mail_that_was_split_off_goes_out_once() {
    let desk = Desk::new();
    desk.receives(&format!("List-Id: <devel.lists.example.net>\n{REPORT}\nA heap overflow.\n"));
    desk.receives(
        "From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nMore.\n",
    );
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    let mail = case["mail_list"][0]["mail"].as_str().unwrap()[..12].to_owned();
    desk.does("EX-2026-0001", &format!("split {mail}"));
    let _ = sent(&desk);
    let one = desk.tries(&Question::Release("EX-2026-0001.1".to_owned()));
    let two = desk.tries(&Question::Release("EX-2026-0002.1".to_owned()));
    let letters = desk.letters();
    let told: Vec<_> = letters.iter().map(|l| l.text()).collect();
    let acks = letters
        .iter()
        .filter(|l| l.kind == "acknowledgement" && l.header("In-Reply-To") == Some("<r-1@example.net>"))
        .count();
    assert_eq!(acks, 1, "{one:?} {two:?} {told:#?}");
}

#[test]
fn a_delayed_relay_of_a_merged_case_is_not_relayed() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    desk.receives("From: sam@example.com\nMessage-ID: <s-2@example.com>\n\nThe same heap overflow.\n");
    let letters = desk.letters();
    let relay = letters.iter().find(|l| l.id.starts_with("EX-2026-0002") && l.kind == "relay").unwrap();
    let id = relay.header("Message-ID").unwrap().to_owned();
    let dsn = |n: u32| {
        format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nSubject: Delayed\nMessage-ID: <d-{n}@mx.example.com>\nAuto-Submitted: auto-replied\nIn-Reply-To: {id}\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nDelayed.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1\n--b--\n"
        )
    };
    desk.receives(&dsn(1));
    assert_eq!(sent(&desk), [""; 0], "before the merge");
    desk.does("EX-2026-0002", "merge EX-2026-0001");
    desk.receives(&dsn(2));
    assert_eq!(sent(&desk), [""; 0], "after the merge");
}

#[test]
fn a_status_request_with_more_than_that() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let _ = sent(&desk);
    desk.receives("From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nStatus\n\nI have found out that version 2 is affected, too. Here is how to reproduce it.\n");
    assert_eq!(sent(&desk), ["relay to ada@example.org"]);
}

#[test]
fn a_status_request_in_the_subject_above_a_quoted_text() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let _ = sent(&desk);
    desk.receives("From: rita@example.net\nSubject: Status?\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\n> A heap overflow.\n");
    assert_eq!(sent(&desk)[0], "status to rita@example.net");
}

#[test]
fn a_forged_bounce_brings_no_certificate() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let key = desk.autocrypt_key("nora@example.net");
    desk.receives(&format!("From: nora@example.net\nMessage-ID: <n@example.net>\nIn-Reply-To: <r-1@example.net>\nAutocrypt: addr=nora@example.net; keydata={key}\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nx\n--b--\n"));
    assert_eq!(desk.ask(&Question::Seen("nora@example.net".to_owned())), serde_json::json!([]));
}

#[test]
fn ada_tagged_is_ada() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let _ = sent(&desk);
    desk.receives("From: ada+psirt@example.org\nMessage-ID: <a@example.org>\nIn-Reply-To: <r-1@example.net>\n\nI take it.\n");
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    assert_eq!(case["mail_list"][1]["pending"], false);
}

/// Who failed the border's check is a stranger; a desk that answers such mail does not answer it in somebody's case.
#[test]
fn a_failing_copy_is_not_acknowledged() {
    let desk = Desk::builder()
        .toml("[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\nanswer_failing = true\n")
        .open();
    let report = format!("{REPORT}\nA heap overflow.\n");
    desk.receives(&format!("List-Id: <devel.lists.example.net>\n{report}"));
    let _ = sent(&desk);
    desk.receives(&format!(
        "Authentication-Results: mx.example.org; dmarc=fail header.from=example.net\n{report}x\n"
    ));
    let letters = desk.letters();
    let told: Vec<_> = letters.iter().map(|l| l.text()).collect();
    assert!(!letters.iter().any(|l| l.kind == "acknowledgement"), "{told:#?}");
}

#[test]
fn a_letter_that_comes_back_again_after_its_release_is_told_again() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let id = desk.letters()[0].header("Message-ID").unwrap().to_owned();
    let bounce = |n: u32| {
        format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nSubject: Undelivered Mail Returned to Sender\nMessage-ID: <d-{n}@mx.example.com>\nAuto-Submitted: auto-replied\nIn-Reply-To: {id}\n\n550 5.1.1 No such user\n"
        )
    };
    desk.receives(&bounce(1));
    desk.clock_to("2026-11-20T23:00:01Z");
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
    desk.ask(&Question::Release("EX-2026-0001.1".to_owned()));
    desk.clock_to("2026-11-21T02:00:00Z");
    desk.receives(&bounce(2));
    desk.clock_to("2026-11-21T06:00:00Z");
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    assert_eq!(case["letters"][0]["state"], "returned");
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
}

#[test]
fn a_second_bounce_of_a_relay_of_a_merged_case_is_not_relayed() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    desk.receives("From: sam@example.com\nMessage-ID: <s-2@example.com>\n\nThe same heap overflow.\n");
    let letters = desk.letters();
    let relay = letters.iter().find(|l| l.id.starts_with("EX-2026-0002") && l.kind == "relay").unwrap();
    let id = relay.header("Message-ID").unwrap().to_owned();
    desk.does("EX-2026-0002", "merge EX-2026-0001");
    desk.receives(&format!("From: otto@example.net\nMessage-ID: <v@example.net>\nAuto-Submitted: auto-replied\nSubject: Out of office\nIn-Reply-To: {id}\n\nI am away.\n"));
    assert_eq!(sent(&desk), [""; 0]);
}

#[test]
fn a_broken_promise_is_told() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let _ = sent(&desk);
    desk.clock_to("2026-11-26T12:00:00Z");
    let _ = sent(&desk);
    desk.receives(
        "From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nstatus\n",
    );
    let text = desk.letters()[0].text();
    assert!(text.contains("Due:    the first answer of a person of the security team"), "{text}");
}

#[test]
fn what_a_person_stopped_is_not_sent_by_a_copy() {
    let desk = Desk::new();
    std::fs::write(desk.outbox(), "a file where a folder should be").unwrap();
    let report = format!("{REPORT}\nA heap overflow.\n");
    desk.receives(&report);
    desk.ask(&Question::Hold("EX-2026-0001.1".to_owned()));
    std::fs::remove_file(desk.outbox()).unwrap();
    desk.receives(&format!("{report}\n-- \nA footer.\n"));
    desk.clock_to("2026-11-20T23:30:00Z");
    assert!(!sent(&desk).contains(&"acknowledgement to rita@example.net".to_owned()));
}

fn about_the_relay(kind: &str, part: &str) {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let relay = desk.letters().remove(1);
    let id = relay.header("Message-ID").unwrap().trim_matches(['<', '>']).to_owned();
    let part = part.replace("ID", &id);
    desk.receives(&format!("Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nMessage-ID: <d@mx.example.com>\nAuto-Submitted: auto-replied\nSubject: x\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n--b\n\nx\n--b\n{part}--b--\n"));
    let sent = sent(&desk);
    assert_eq!(sent, [""; 0]);
}

#[test]
fn a_delayed_relay_causes_no_relay() {
    about_the_relay(
        "delivery-status",
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\nOriginal-Envelope-Id: ID\n\nFinal-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1\n",
    );
}

#[test]
fn a_complaint_about_a_relay_causes_no_relay() {
    about_the_relay(
        "feedback-report",
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <ID>\n\nx\n",
    );
}

/// Ada's server is down for days: every four hours it says so of the letter before.
#[test]
fn delays_of_relays_do_not_circle() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    let mut letters = desk.letters();
    letters.remove(0);
    for n in 0..5 {
        let Some(relay) = letters.pop() else { return };
        let id = relay.header("Message-ID").unwrap().trim_matches(['<', '>']).to_owned();
        desk.clock_to(&(desk.now() + jiff::SignedDuration::from_hours(4)).to_string());
        desk.receives(&format!("Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nMessage-ID: <d-{n}@mx.example.com>\nAuto-Submitted: auto-replied\nSubject: Delayed Mail (still being retried)\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\nOriginal-Envelope-Id: {id}\n\nFinal-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1\n--b--\n"));
        letters = desk.letters();
        letters.retain(|l| l.kind == "relay");
    }
    panic!("still writing");
}

/// Mallory gives his mail to Sam's case the id of Rita's report; when it is taken out, the id goes on leading to her case.
#[test]
fn a_split_takes_no_id_of_a_third_case_along() {
    let desk = Desk::new();
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    desk.receives("From: sam@example.com\nMessage-ID: <s-1@example.com>\n\nAnother hole.\n");
    desk.receives(
        "From: mallory@example.com\nMessage-ID: <r-1@example.net>\nIn-Reply-To: <s-1@example.com>\n\nMine.\n",
    );
    let case = |number: u32| desk.ask(&Question::Case(format!("EX-2026-000{number}")));
    let mail = case(2)["mail_list"][1]["mail"].as_str().unwrap().to_owned();
    desk.does("EX-2026-0002", &format!("split {mail}"));
    desk.receives(
        "From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nMore.\n",
    );
    assert_eq!((case(1)["mails"].clone(), case(3)["mails"].clone()), (2.into(), 1.into()));
    assert_eq!(case(1)["mail_list"][1]["pending"], false);
}

/// Two cases were merged by mistake, and the mail is taken out again: its author hears nothing more of the other case.
#[test]
fn who_was_taken_out_of_a_case_takes_no_part_in_it() {
    let desk = Desk::new();
    desk.receives("From: sam@example.com\nMessage-ID: <s-1@example.com>\n\nAnother hole.\n");
    desk.receives(&format!("{REPORT}\nA heap overflow.\n"));
    desk.does("EX-2026-0001", "merge EX-2026-0002");
    let mails = desk.ask(&Question::Case("EX-2026-0002".to_owned()))["mail_list"].clone();
    let of_sam = mails.as_array().unwrap().iter().find(|mail| mail["from"] == "sam@example.com").unwrap();
    let mail = of_sam["mail"].as_str().unwrap().to_owned();
    desk.does("EX-2026-0002", &format!("split {mail}"));
    let acknowledged = desk.letters();
    let id = acknowledged
        .iter()
        .find(|letter| letter.to == "sam@example.com")
        .unwrap()
        .header("Message-ID")
        .unwrap();
    desk.receives(&format!(
        "From: sam@example.com\nMessage-ID: <s-2@example.com>\nIn-Reply-To: {id}\n\nstatus\n"
    ));
    assert!(desk.letters().iter().all(|letter| letter.to == "ada@example.org"));
}
