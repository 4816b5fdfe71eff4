//! A mail during whose opening psirtd died before. `servers/poison.rs` kills the real daemon; here the note is written by hand.

use crate::support::desk::{Desk, Letter};
use crate::support::name_in_the_note;
use psirtd::control::Question;
use serde_json::Value;
use std::fs;

const POISON: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow
Message-ID: <r-1@example.net>
Content-Type: text/plain

A heap overflow in the parser.
";

fn name(desk: &Desk, mail: &str) -> String {
    name_in_the_note(&desk.dir().join("psirtd.toml"), mail.replace('\n', "\r\n").as_bytes())
}

/// The desk starts anew and finds this note.
fn finds(desk: &Desk, note: &str) {
    desk.steps_aside();
    fs::write(desk.state().join("opening"), note).unwrap();
    desk.comes_back();
}

/// The note as it stands.
fn noted(desk: &Desk) -> String {
    fs::read_to_string(desk.state().join("opening")).unwrap()
}

fn case(desk: &Desk, id: &str) -> Value {
    desk.ask(&Question::Case(id.to_owned()))
}

/// What the case knows of its first mail.
fn known(desk: &Desk, id: &str) -> String {
    let case = case(desk, id);
    let mail = &case["mail_list"][0];
    let fields = [&case["subject"], &case["reporter"], &mail["from"], &mail["message_id"], &mail["problem"]];
    fields.map(Value::to_string).join("\n")
}

/// What Ada reads of the mail: what it says of itself, and why there is no more.
fn told(relay: &Letter) -> String {
    let text = relay.text();
    let fields = ["From:", "Subject:", "Not opened:", "("];
    let told = text.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
    told.filter(|line| !line.contains("names no author")).collect::<Vec<_>>().join("\n")
}

/// Once or twice may be an accident: it is opened as ever.
#[test]
fn twice_is_no_proof() {
    for deaths in [1, 2] {
        let desk = Desk::new();
        finds(&desk, &format!("{deaths} {}\n", name(&desk, POISON)));
        desk.receives(POISON);
        assert_eq!(noted(&desk), "");
        let letters = desk.letters();
        assert_eq!(letters.len(), 2);
        assert!(letters[1].text().contains("A heap overflow in the parser."), "{}", letters[1].text());
        assert_eq!(case(&desk, "EX-2026-0001")["mail_list"][0]["problem"], Value::Null);
    }
}

/// After three times only its header is read: Rita hears that it has arrived, and Ada that a person must look at it.
#[test]
fn three_times_is_enough() {
    let desk = Desk::new();
    finds(&desk, &format!("3 {}\n", name(&desk, POISON)));
    desk.receives(POISON);
    assert_eq!(noted(&desk), "");
    insta::assert_snapshot!(known(&desk, "EX-2026-0001"), @r#"
    "Heap overflow"
    "rita@example.net"
    "rita@example.net"
    "<r-1@example.net>"
    "unopened: psirtd died 3 times while it opened it; it is kept as received"
    "#);
    let letters = desk.letters();
    assert_eq!(
        letters.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(),
        ["rita@example.net", "ada@example.org"]
    );
    insta::assert_snapshot!(desk.redacted(&letters[0].text()), @"
    Hello,

    thank you for writing to Example Project Security.
    Your mail has arrived and is kept as case EX-2026-0001.

    This message was written by a machine. What happens next:

      * A person of the security team answers you within 3 business days:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * You hear how we plan to investigate, and of possible workarounds:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    Your mail is encrypted or built in a way that our desk cannot open by
    itself. It is kept as it is. Please send it again, encrypted to our key,
    which is named below.

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    To write to us encrypted, use our OpenPGP key
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    ");
    insta::assert_snapshot!(told(&letters[1]), @"
    From:        Rita Reporter <rita@example.net>
    Subject:     Heap overflow
    Not opened:  unopened: psirtd died 3 times while it opened it; it is kept as received
    (no readable text)
    ");

    // it is known now, however often it comes
    desk.receives(POISON);
    assert_eq!(desk.outgoing(), "no letters");
    assert_eq!(desk.cases().len(), 1);
}

/// It died of the header, too: nothing of the mail is read. Nobody can be answered; Ada is told.
#[test]
fn four_times_is_more_than_enough() {
    let desk = Desk::new();
    finds(&desk, &format!("4 {}\n", name(&desk, POISON)));
    desk.receives(POISON);
    assert_eq!(noted(&desk), "");
    insta::assert_snapshot!(known(&desk, "EX-2026-0001"), @r#"
    null
    null
    null
    null
    "unopened: psirtd died 4 times while it opened it; it is kept as received"
    "#);
    let letter = desk.letter();
    assert_eq!(letter.to, "ada@example.org");
    insta::assert_snapshot!(told(&letter), @"
    From:        not read
    Subject:     (none)
    Not opened:  unopened: psirtd died 4 times while it opened it; it is kept as received
    (no readable text)
    ");
    assert!(!letter.inside.contains("Heap overflow") && !letter.inside.contains("rita"), "{}", letter.inside);
}

/// Mails that were being opened beside it are not blamed, and what did not come up again is still suspected.
#[test]
fn the_mails_beside_it_are_opened() {
    let desk = Desk::new();
    let mails = [1, 2, 3].map(|n| {
        format!("From: rita@example.net\nSubject: Report {n}\nMessage-ID: <b-{n}@example.net>\n\nAn overflow, number {n}.\n")
    });
    let absent = name(&desk, "somewhere else\n");
    finds(
        &desk,
        &format!(
            "1 {}\n3 {}\n1 {absent}\n2 {}\n",
            name(&desk, &mails[0]),
            name(&desk, POISON),
            name(&desk, &mails[2])
        ),
    );
    desk.receives_together(&[&mails[0], POISON, &mails[1], &mails[2]]);
    assert_eq!(noted(&desk), format!("1 {absent}\n"));
    let problems: Vec<(String, bool)> = desk
        .cases()
        .iter()
        .filter(|one| one["reporter"] == "rita@example.net")
        .map(|one| {
            let case = case(&desk, one["id"].as_str().unwrap());
            let subject = case["subject"].as_str().unwrap().to_owned();
            (subject, case["mail_list"][0]["problem"].is_null())
        })
        .collect();
    let expected = [("Report 1", true), ("Heap overflow", false), ("Report 2", true), ("Report 3", true)];
    assert_eq!(problems, expected.map(|(subject, opened)| (subject.to_owned(), opened)));

    // it is seen after a later start
    desk.restarts();
    assert_eq!(noted(&desk), format!("1 {absent}\n"));
    desk.receives("somewhere else\n");
    assert_eq!(noted(&desk), "");
}

/// What was never looked at is not described: nobody knows whether it was encrypted.
#[test]
fn nothing_is_said_of_what_was_not_read() {
    for deaths in [3, 4] {
        let desk = Desk::new();
        let inside = "Content-Type: text/plain\n\nA heap overflow in the parser.\n";
        let outside = "From: Sam <sam@example.com>\nSubject: ...\nMessage-ID: <s-1@example.com>";
        let mail = desk.encrypted_mail(outside, inside);
        finds(&desk, &format!("{deaths} {}\n", name(&desk, &mail)));
        desk.receives(&mail);
        let letters = desk.letters();
        let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
        assert!(relay.contains(&format!("psirtd died {deaths} times")), "{relay}");
        assert!(!relay.contains("the mail came in the clear"), "{relay}");
        assert!(!relay.contains("the mail names no author"), "{relay}");
    }
}

/// A letter about it that was held is written again: from what may be read of it, for psirtd would die once more.
#[test]
fn a_held_letter_about_it_does_not_open_it() {
    let desk = Desk::builder().otto_without_certificate().open();
    finds(&desk, &format!("3 {}\n", name(&desk, POISON)));
    desk.receives(POISON);
    let letters = desk.letters();
    let to_ada = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
    desk.gets_ottos_certificate();
    desk.restarts();
    desk.letters();
    desk.ask(&Question::Release("EX-2026-0001.3".to_owned()));
    assert_eq!(desk.letter().text(), to_ada, "Otto reads what Ada read");
}
