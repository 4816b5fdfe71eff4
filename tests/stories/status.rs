//! Rita asks where her case stands, and hears that much and no more.

use crate::support::desk::{Desk, Letter, pgp_mime};
use psirtd::control::Question;

const RITA: &str = "Rita Reporter <rita@example.net>";
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

A crafted tile makes the parser write behind its buffer.
";

/// Rita has reported; all letters about it have gone out.
fn reported(desk: Desk) -> Desk {
    desk.receives(REPORT);
    assert_eq!(desk.letters().len(), 2);
    desk
}

/// A mail in the thread of her report.
fn mail(from: &str, number: u32, fields: &str, subject: &str, text: &str) -> String {
    format!(
        "From: {from}\nTo: security@example.org\nSubject: {subject}\nMessage-ID: <q-{number}@example.net>\n\
         In-Reply-To: <r-1@example.net>\n{fields}\n{text}"
    )
}

/// Each letter since last asked as its kind and its reader.
fn sent(desk: &Desk) -> Vec<String> {
    desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect()
}

const ASKED: [&str; 2] = ["status to rita@example.net", "relay to ada@example.org"];
const NOT_ASKED: [&str; 1] = ["relay to ada@example.org"];

#[test]
fn she_asks_in_the_thread() {
    let desk = reported(Desk::new());
    desk.clock_to("2026-11-23T20:00:00Z");
    desk.receives(&mail(RITA, 1, "", "Re: Heap overflow in the tile parser", "status\n"));
    let letters = desk.letters();
    insta::assert_snapshot!(desk.shown(&letters[0]), @r#"
    ======== status EX-2026-0001.3 to rita@example.net, signed
    From: "Example Project Security" <security@example.org>
    To: <rita@example.net>
    Subject: Auto: [EX-2026-0001] status
    Date: Mon, 23 Nov 2026 20:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <q-1@example.net>
    References: <r-1@example.net> <q-1@example.net>
    Auto-Submitted: auto-replied
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/signed; micalg="pgp-sha512"; protocol="application/pgp-signature"; boundary="boundary-1"
    -------- signed:
    From: "Example Project Security" <security@example.org>
    To: <rita@example.net>
    Subject: Auto: [EX-2026-0001] status
    Date: Mon, 23 Nov 2026 20:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <q-1@example.net>
    References: <r-1@example.net> <q-1@example.net>
    Auto-Submitted: auto-replied
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="clear"
    Content-Transfer-Encoding: 7bit

    Hello,

    you asked for the status of case EX-2026-0001. This message was written by
    a machine.

    Stage:  received; it is with the security team
    Next:   a person of the security team answers you, by
            Wednesday, 25 November 2026, 23:59 PST (2026-11-26 07:59 UTC)

    To write to the team, just answer this mail.

    --
    Example Project Security
    security@example.org
    "#);
    let text = letters[1].text();
    assert!(text.starts_with("follow-up in case EX-2026-0001\n"), "{text}");
    assert!(
        text.contains("Answer:      where the case stands (EX-2026-0001.3), as its author asked"),
        "{text}"
    );
    assert_eq!(letters.len(), 2);
}

/// Whoever reads it on the way learns nothing of the report, and neither does its wrong reader.
#[test]
fn the_letter_holds_nothing_of_the_report() {
    let desk = reported(Desk::new());
    let subject = "Re: Heap overflow in the tile parser";
    desk.receives(&mail(RITA, 1, "", subject, "Status?\n\n> A crafted tile makes the parser write.\n"));
    let letter = desk.letters().remove(0);
    let whole = format!("{}\n{}\n{}", letter.outside, letter.inside, letter.text()).to_lowercase();
    for word in ["heap", "overflow", "tile", "parser", "crafted", "buffer", "rita reporter", "steps"] {
        assert!(!whole.contains(word), "{word}: {whole}");
    }
    for word in ["ex-2026-0001", "received", "25 november 2026"] {
        assert!(whole.contains(word), "{word}: {whole}");
    }
}

#[test]
fn what_asks_for_a_status() {
    for (number, (subject, text)) in [
        ("Re: Heap overflow", "status"),
        ("Re: Heap overflow", "\n\n  STATUS?  \n"),
        ("Re: Heap overflow", "Status?\n\nOn Friday, security@example.org wrote:\n> Hello,\n> thank you\n"),
        ("Status", ""),
        ("status?", "\n\n"),
        ("Re: Heap overflow", "Status.\n-- \nRita\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let desk = reported(Desk::new());
        desk.receives(&mail(RITA, number as u32, "", subject, text));
        assert_eq!(sent(&desk), ASKED, "{subject:?} {text:?}");
    }
}

#[test]
fn what_does_not() {
    let desk = reported(Desk::new());
    for (number, (subject, text)) in [
        ("Re: Heap overflow", "The status code is 500."),
        ("Re: Heap overflow", "Status code 500.\n"),
        ("Re: Heap overflow", "What is the status of it?"),
        ("Re: Heap overflow", "Hello,\nstatus?"),
        ("Re: Heap overflow", "> status\n"),
        ("Status", "I have found another way: see below.\n"),
        ("Re: Status", ""),
        ("status of EX-2026-0001", ""),
        ("", ""),
    ]
    .into_iter()
    .enumerate()
    {
        desk.receives(&mail(RITA, number as u32, "", subject, text));
        assert_eq!(sent(&desk), NOT_ASKED, "{subject:?} {text:?}");
    }
}

#[test]
fn she_asks_at_the_address_of_the_acknowledgement() {
    let desk = Desk::builder().desk("plus_address = true").open();
    desk.receives(REPORT);
    let acknowledgement = desk.letters().remove(0);
    let to = acknowledgement.header("Reply-To").unwrap();
    desk.receives(&format!("From: {RITA}\nTo: {to}\nSubject: Status?\nMessage-ID: <q-1@example.net>\n\n"));
    let letters = desk.letters();
    assert_eq!((letters[0].kind.as_str(), letters[0].to.as_str()), ("status", "rita@example.net"));
    assert_ne!(letters[0].header("Reply-To").unwrap(), to, "it is answered under an address of its own");
    // and the answer to it is in the case
    let id = letters[0].header("Message-ID").unwrap();
    desk.receives(&format!("From: {RITA}\nMessage-ID: <q-2@example.net>\nIn-Reply-To: {id}\n\nThank you.\n"));
    assert_eq!(desk.cases()[0]["mails"], 3);
}

/// Outside a case there is no status: the word alone is a report like any other.
#[test]
fn she_asks_outside_the_thread() {
    let desk = reported(Desk::new());
    desk.receives(&format!("From: {RITA}\nSubject: status\nMessage-ID: <q-1@example.net>\n\nstatus\n"));
    assert_eq!(sent(&desk), ["acknowledgement to rita@example.net", "relay to ada@example.org"]);
    assert_eq!(desk.cases().len(), 2);
}

const INSIDE: &str = "Content-Type: text/plain; protected-headers=\"v1\"\nSubject: Tokens can be guessed\n\nTokens are made from the clock.\n";

fn from(who: &str, id: &str, fields: &str) -> String {
    format!("From: {who}\nTo: security@example.org\nSubject: ...\nMessage-ID: <{id}>\n{fields}")
}

/// The one status letter among those since last asked.
fn status(desk: &Desk) -> Letter {
    let mut letters = desk.letters();
    letters.retain(|letter| letter.kind == "status");
    assert_eq!(letters.len(), 1);
    letters.remove(0)
}

/// As she asked: who wrote encrypted is not answered in the clear, as long as there is a key.
#[test]
fn who_asks_encrypted_is_answered_encrypted() {
    let desk = Desk::new();
    let sam = "Sam Secret <sam@example.com>";
    let (thread, ask) = ("In-Reply-To: <s-1@example.com>\n", "Content-Type: text/plain\n\nstatus\n");
    desk.receives(&desk.encrypted_mail(&from(sam, "s-1@example.com", ""), INSIDE));
    let _letters = desk.letters();
    desk.receives(&desk.encrypted_mail(&from(sam, "s-2@example.com", thread), ask));
    let encrypted = status(&desk);
    assert!(encrypted.encrypted, "and to Sam alone: the desk of these tests checks that");
    assert_eq!(encrypted.header("Subject"), Some("[...]"));
    assert!(encrypted.text().contains("the status of case EX-2026-0001"), "{}", encrypted.text());
    assert!(!encrypted.text().contains("okens"), "{}", encrypted.text());
    // in the clear, though his certificate is known
    desk.receives(&format!("{}\nstatus\n", from(sam, "s-3@example.com", thread)));
    assert!(!status(&desk).encrypted);
    // encrypted, and no certificate of the author is known
    let unknown = from("nora@example.net", "n-1@example.net", "");
    desk.receives(&desk.encrypted_mail(&unknown, INSIDE));
    let _letters = desk.letters();
    let unknown = from("nora@example.net", "n-2@example.net", "In-Reply-To: <n-1@example.net>\n");
    desk.receives(&desk.encrypted_mail(&unknown, ask));
    let signed = status(&desk);
    assert!(!signed.encrypted && !signed.text().contains("okens"), "{}", signed.text());
}

/// The word stands in somebody else's ciphertext: an answer would tell what it says.
#[test]
fn a_ciphertext_of_somebody_else_asks_for_nothing() {
    let desk = reported(Desk::new());
    let sam = "Sam Secret <sam@example.com>";
    let ask = "Content-Type: text/plain\n\nstatus\n";
    desk.receives(&desk.encrypted_mail(&from(sam, "s-1@example.com", ""), INSIDE));
    let _letters = desk.letters();
    let asked = desk.encrypted_mail(&from(sam, "s-2@example.com", "In-Reply-To: <s-1@example.com>\n"), ask);
    desk.receives(&asked);
    let _status = status(&desk);
    let (start, end) = ("-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----");
    let armor = format!("{start}{}{end}\n", asked.split_once(start).unwrap().1.split_once(end).unwrap().0);
    let thread = "In-Reply-To: <r-1@example.net>\n";
    desk.receives(&pgp_mime(&from(RITA, "q-1@example.net", thread), &armor));
    assert_eq!(sent(&desk), NOT_ASKED);
}

#[test]
fn a_promise_that_was_not_kept_is_called_late() {
    let desk = reported(Desk::new());
    // two weeks after the last of them was due
    desk.clock_to("2026-12-24T12:00:00Z");
    desk.receives(&mail(RITA, 1, "", "Re: x", "status\n"));
    insta::assert_snapshot!(status(&desk).text(), @"
    Hello,

    you asked for the status of case EX-2026-0001. This message was written by
    a machine.

    Stage:  received; it is with the security team
    Due:    the first answer of a person of the security team,
            since Wednesday, 25 November 2026, 23:59 PST (2026-11-26 07:59 UTC).
            If you have not had it, we are late, and sorry.

    To write to the team, just answer this mail.

    --
    Example Project Security
    security@example.org
    ");
}

/// The team reads the case where it is.
#[test]
fn a_coordinator_gets_none() {
    let desk = Desk::builder().otto().open();
    desk.receives(REPORT);
    assert_eq!(sent(&desk).len(), 3);
    desk.receives(&mail("Ada <ada@example.org>", 1, "", "Re: x", "status\n"));
    assert_eq!(sent(&desk), ["relay to otto@example.org"]);
}

#[test]
fn a_stranger_gets_none() {
    let desk = reported(Desk::new());
    desk.receives(&mail("mallory@example.com", 1, "", "status", "status\n"));
    assert_eq!(sent(&desk), NOT_ASKED);
}

/// What machines write under her name.
#[test]
fn a_machine_gets_none() {
    for marks in [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-generated\n",
        "Precedence: bulk\n",
        "Return-Path: <>\n",
        "X-Autoreply: yes\n",
        "X-Auto-Response-Suppress: All\n",
        "List-Id: <team.lists.example.net>\n",
    ] {
        let desk = reported(Desk::new());
        let mail = mail(RITA, 1, marks, "status", "status\n");
        desk.receives(&mail);
        assert!(!sent(&desk).iter().any(|letter| letter.starts_with("status")), "{marks}");
        assert_eq!(desk.cases()[0]["mails"], 2, "{marks}");
    }
    let desk = reported(Desk::new());
    desk.receives(&mail(RITA, 1, "", "Out of office: Status", "status\n"));
    assert_eq!(sent(&desk), NOT_ASKED);
}

/// The limits are for all automatic answers together. Ada reads why there was none.
#[test]
fn the_limits_hold() {
    let desk = reported(Desk::builder().toml("[limits]\nper_address_per_day = 3\n").open());
    for number in 1..=2 {
        desk.receives(&mail(RITA, number, "", "Re: x", "status\n"));
        assert_eq!(sent(&desk), ASKED, "{number}");
    }
    for (number, author) in [(3, RITA), (4, "rita+tagged@example.net")] {
        desk.receives(&mail(author, number, "", "Re: x", "status\n"));
        let relay = desk.letter();
        assert_eq!(relay.to, "ada@example.org");
        assert!(
            relay.text().contains("none was sent (limit: 3 answers to this address today)"),
            "{}",
            relay.text()
        );
    }
    // and what she asked counts for what she reports
    desk.receives(&format!("From: {RITA}\nMessage-ID: <r-2@example.net>\n\nAnother hole.\n"));
    assert_eq!(sent(&desk), NOT_ASKED);
    desk.clock_to("2026-11-21T20:00:00Z");
    let digest = desk.letter();
    assert_eq!(
        digest.text().matches("limit: 3 answers to this address today").count(),
        1,
        "her requests were relayed when they came: {}",
        digest.text()
    );
    desk.receives(&mail(RITA, 5, "", "Re: x", "status\n"));
    assert_eq!(sent(&desk), ASKED, "the next day");
}

/// The same question on two ways is one question; a list's copy with a footer is none.
#[test]
fn a_copy_asks_nothing() {
    let desk = reported(Desk::new());
    let ask = mail(RITA, 1, "", "Re: x", "status\n");
    desk.receives(&ask);
    assert_eq!(sent(&desk), ASKED);
    desk.receives(&format!("Delivered-To: x@example.org\n{ask}"));
    assert_eq!(sent(&desk), [""; 0]);
}

/// A status is no act of a person: nothing that was promised is met by it.
#[test]
fn it_moves_nothing() {
    let desk = reported(Desk::new());
    let facts = || {
        let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
        ["phase", "deadlines", "acknowledged_at", "reporters"].map(|field| case[field].clone())
    };
    let before = facts();
    desk.receives(&mail(RITA, 1, "", "Re: x", "status\n"));
    assert_eq!(facts(), before);
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    assert_eq!(case["letters"][2]["kind"], "status");
    assert_eq!(case["letters"][2]["state"], "sent");
}
