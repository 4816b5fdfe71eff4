//! A letter that cannot go out waits, and stays what it is.

use crate::support::desk::Desk;
use psirtd::control::Question;
use serde_json::Value;
use std::fs;

const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
Subject: Heap overflow
Message-ID: <r-1@example.net>

A heap overflow.
";

/// The outbox as a person sees it, a letter a line.
fn outbox(desk: &Desk) -> String {
    let letters = desk.ask(&Question::Outbox);
    let line = |letter: &Value| {
        let text = |field: &str| letter[field].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} to {}: {} after {} attempts: {}",
            text("id"),
            text("kind"),
            text("to"),
            text("state"),
            letter["attempts"],
            text("last_reply").replace(desk.dir().to_str().unwrap(), "DESK")
        )
    };
    letters.as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The desk has no certificate of Otto. His relay is held and never sent in the clear; Ada and Rita do not wait for him.
/// Then the configuration gets his certificate, and a person releases the letter.
#[test]
fn a_coordinator_without_a_certificate() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.receives(REPORT);
    let letters = desk.letters();
    let relays: Vec<_> = letters.iter().filter(|letter| letter.kind != "warning").collect();
    assert_eq!(
        relays.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(),
        ["rita@example.net", "ada@example.org"]
    );
    // Ada is told everything; Otto, who can only be written to in the clear, that he has no certificate
    let warning =
        |to: &str| letters.iter().find(|letter| letter.kind == "warning" && letter.to == to).unwrap();
    insta::assert_snapshot!(warning("ada@example.org").text(), @"
    The desk needs a person:

      * letters to otto@example.org are held: there is no certificate to encrypt them to
      * the relay EX-2026-0001.3 to otto@example.org is held: no certificate for otto@example.org

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check
    ");
    insta::assert_snapshot!(warning("otto@example.org").text(), @"
    The desk needs a person:

      * letters to otto@example.org are held: there is no certificate to encrypt them to

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check
    ");
    assert!(warning("ada@example.org").encrypted && !warning("otto@example.org").encrypted);
    insta::assert_snapshot!(outbox(&desk), @"
    EX-2026-0001.1 acknowledgement to rita@example.net: sent after 1 attempts: delivered for rita@example.net into DESK/outbox/new/EX-2026-0001.1.eml
    EX-2026-0001.2 relay to ada@example.org: sent after 1 attempts: delivered for ada@example.org into DESK/outbox/new/EX-2026-0001.2.eml
    EX-2026-0001.3 relay to otto@example.org: held after 0 attempts: no certificate for otto@example.org
    EX-DESK.1 warning to ada@example.org: sent after 1 attempts: delivered for ada@example.org into DESK/outbox/new/EX-DESK.1.eml
    EX-DESK.2 warning to otto@example.org: sent after 1 attempts: delivered for otto@example.org into DESK/outbox/new/EX-DESK.2.eml
    ");

    // released too early, it is held again, for the same reason
    let told = desk.tries(&Question::Release("EX-2026-0001.3".to_owned())).unwrap_err();
    assert_eq!(told, "letter EX-2026-0001.3 is still held: no certificate for otto@example.org");
    assert_eq!(desk.outgoing(), "no letters");
    let still = outbox(&desk);
    insta::assert_snapshot!(still.lines().find(|line| line.contains("relay to otto")).unwrap(), @"EX-2026-0001.3 relay to otto@example.org: held after 0 attempts: no certificate for otto@example.org");

    desk.gets_ottos_certificate();
    desk.clock_to("2026-11-21T10:00:00Z");
    desk.restarts();
    assert_eq!(desk.outgoing(), "no letters", "a restart alone releases nothing");
    desk.ask(&Question::Release("EX-2026-0001.3".to_owned()));
    let letter = desk.letter();
    assert_eq!(
        (letter.to.as_str(), letter.kind.as_str(), letter.encrypted),
        ("otto@example.org", "relay", true)
    );
    assert_eq!(letter.text(), relays[1].text(), "Otto reads what Ada read");
    insta::assert_snapshot!(outbox(&desk), @"
    EX-2026-0001.1 acknowledgement to rita@example.net: sent after 1 attempts: delivered for rita@example.net into DESK/outbox/new/EX-2026-0001.1.eml
    EX-2026-0001.2 relay to ada@example.org: sent after 1 attempts: delivered for ada@example.org into DESK/outbox/new/EX-2026-0001.2.eml
    EX-2026-0001.3 relay to otto@example.org: sent after 1 attempts: delivered for otto@example.org into DESK/outbox/new/EX-2026-0001.3.eml
    EX-DESK.1 warning to ada@example.org: sent after 1 attempts: delivered for ada@example.org into DESK/outbox/new/EX-DESK.1.eml
    EX-DESK.2 warning to otto@example.org: sent after 1 attempts: delivered for otto@example.org into DESK/outbox/new/EX-DESK.2.eml
    ");
}

/// The folder of the outbox cannot be written to. The letters are deferred, and go out as they were sealed.
#[test]
fn a_refused_letter_goes_out_later_as_it_was() {
    let desk = Desk::new();
    fs::write(desk.outbox(), "a file where a folder should be").unwrap();
    desk.receives(REPORT);
    insta::assert_snapshot!(outbox(&desk), @r"
    EX-2026-0001.1 acknowledgement to rita@example.net: deferred after 1 attempts: DESK/outbox: Not a directory (os error 20)
    EX-2026-0001.2 relay to ada@example.org: deferred after 1 attempts: DESK/outbox: Not a directory (os error 20)
    ");
    let sealed = |id: &str| desk.ask(&Question::Letter(id.to_owned()));
    let before = [sealed("EX-2026-0001.1"), sealed("EX-2026-0001.2")];

    // half a minute later is too early; two minutes later it is tried again, in vain
    desk.clock_to("2026-11-20T23:00:30Z");
    assert_eq!(sealed("EX-2026-0001.1")["attempts"], 1);
    desk.clock_to("2026-11-20T23:02:00Z");
    assert_eq!(sealed("EX-2026-0001.1")["attempts"], 2);

    fs::remove_file(desk.outbox()).unwrap();
    desk.restarts();
    desk.clock_to("2026-11-20T23:30:00Z");
    insta::assert_snapshot!(outbox(&desk), @r"
    EX-2026-0001.1 acknowledgement to rita@example.net: sent after 3 attempts: delivered for rita@example.net into DESK/outbox/new/EX-2026-0001.1.eml
    EX-2026-0001.2 relay to ada@example.org: sent after 3 attempts: delivered for ada@example.org into DESK/outbox/new/EX-2026-0001.2.eml
    ");
    let letters = desk.letters();
    assert_eq!(letters.len(), 2);
    for (letter, before) in letters.iter().zip(&before) {
        assert_eq!(letter.header("Message-ID"), before["message_id"].as_str());
        assert_eq!(String::from_utf8(letter.raw.clone()).unwrap(), before["mail"].as_str().unwrap());
        assert_eq!(letter.header("Date"), Some("Fri, 20 Nov 2026 23:00:00 +0000"));
    }
}

/// Five days in vain: the letter is returned to the desk, and a person may still release it.
#[test]
fn a_letter_is_given_up_after_five_days() {
    let desk = Desk::new();
    fs::write(desk.outbox(), "a file where a folder should be").unwrap();
    desk.receives(REPORT);
    desk.clock_to("2026-11-23T23:00:00Z");
    desk.clock_to("2026-11-25T22:59:00Z");
    let of_the_case = |line: &&str| line.starts_with("EX-2026");
    insta::assert_snapshot!(outbox(&desk).lines().filter(of_the_case).collect::<Vec<_>>().join("\n"), @r"
    EX-2026-0001.1 acknowledgement to rita@example.net: returned after 3 attempts: given up after 3 attempts in five days; last: DESK/outbox: Not a directory (os error 20)
    EX-2026-0001.2 relay to ada@example.org: returned after 3 attempts: given up after 3 attempts in five days; last: DESK/outbox: Not a directory (os error 20)
    ");
    fs::remove_file(desk.outbox()).unwrap();
    desk.clock_to("2026-11-30T22:00:00Z");
    let came_back = "the acknowledgement EX-2026-0001.1 to rita@example.net came back: given up";
    let told = desk.letters().iter().filter(|letter| letter.text().contains(came_back)).count();
    assert_eq!(told, 1, "Ada hears of it once");
    desk.clock_to("2026-11-30T23:00:00Z");
    assert_eq!(desk.outgoing(), "no letters");
    desk.ask(&Question::Release("EX-2026-0001.1".to_owned()));
    insta::assert_snapshot!(desk.outgoing(), @"acknowledgement to rita@example.net (signed; <letter-1>; answers <r-1@example.net>): Auto: [EX-2026-0001] we have your report");
}

/// A person stops a letter in time, and lets it go later.
#[test]
fn held_by_a_person() {
    let desk = Desk::new();
    fs::write(desk.outbox(), "a file where a folder should be").unwrap();
    desk.receives(REPORT);
    desk.ask(&Question::Hold("ex-2026-0001.1".to_owned()));
    fs::remove_file(desk.outbox()).unwrap();
    desk.clock_to("2026-11-20T23:30:00Z");
    insta::assert_snapshot!(desk.outgoing(), @"relay to ada@example.org (encrypted; <letter-1>; answers nothing): [EX-2026-0001] Heap overflow");
    insta::assert_snapshot!(outbox(&desk), @r"
    EX-2026-0001.1 acknowledgement to rita@example.net: held after 1 attempts: stopped by the operator
    EX-2026-0001.2 relay to ada@example.org: sent after 2 attempts: delivered for ada@example.org into DESK/outbox/new/EX-2026-0001.2.eml
    ");
    desk.ask(&Question::Release("ex-2026-0001.1".to_owned()));
    insta::assert_snapshot!(desk.outgoing(), @"acknowledgement to rita@example.net (signed; <letter-2>; answers <r-1@example.net>): Auto: [EX-2026-0001] we have your report");
}
