//! Rita goes on writing in the thread of her report.

use crate::support::desk::Desk;

const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Date: Fri, 20 Nov 2026 22:58:00 +0000
Message-ID: <tile-1@example.net>

A crafted tile makes the parser write behind its buffer.
";

#[test]
fn she_adds_something() {
    let desk = Desk::new();
    desk.receives(REPORT);
    insta::assert_snapshot!(desk.outgoing(), @r"
    acknowledgement to rita@example.net (signed; <letter-1>; answers <tile-1@example.net>): Auto: [EX-2026-0001] we have your report
    relay to ada@example.org (encrypted; <letter-2>; answers nothing): [EX-2026-0001] Heap overflow in the tile parser
    ");
    desk.clock_to("2026-11-21T10:00:00Z");
    desk.receives(
        "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Re: Heap overflow in the tile parser
Message-ID: <tile-2@example.net>
In-Reply-To: <tile-1@example.net>
References: <tile-1@example.net>

Version 0.11 is affected as well.
",
    );
    // no second acknowledgement; Ada's relay stands in one thread with the first
    insta::assert_snapshot!(desk.snapshot(), @r#"
    ======== relay EX-2026-0001.3 to ada@example.org, encrypted and signed
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [...]
    Date: Sat, 21 Nov 2026 10:00:00 +0000
    Message-ID: <letter-3>
    In-Reply-To: <letter-2>
    References: <letter-2>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="boundary-1"
    -------- encrypted and signed:
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [EX-2026-0001] Re: Heap overflow in the tile parser
    Date: Sat, 21 Nov 2026 10:00:00 +0000
    Message-ID: <letter-3>
    In-Reply-To: <letter-2>
    References: <letter-2>
    Auto-Submitted: auto-generated
    HP-Outer: From: "Example Project Security" <security@example.org>
    HP-Outer: To: "Ada Coordinator" <ada@example.org>
    HP-Outer: Subject: [...]
    HP-Outer: Date: Sat, 21 Nov 2026 10:00:00 +0000
    HP-Outer: Message-ID: <letter-3>
    HP-Outer: In-Reply-To: <letter-2>
    HP-Outer: References: <letter-2>
    HP-Outer: Auto-Submitted: auto-generated
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="cipher"
    Content-Transfer-Encoding: quoted-printable

    follow-up in case EX-2026-0001

    From:        Rita Reporter <rita@example.net>
    Received:    Sat, 21 Nov 2026 02:00 PST (2026-11-21 10:00 UTC)
    Subject:     Re: Heap overflow in the tile parser
    Kind:        reply
    Encryption:  none: the mail came in the clear
    Signature:   none
    Answer:      none was sent (follow-up of a case)
    Lacks:       steps, surface, other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    Version 0.11 is affected as well.
    "#);
    assert_eq!(desk.cases().len(), 1);
}

/// Her mail program knows only the acknowledgement.
#[test]
fn she_answers_the_acknowledgement() {
    let desk = Desk::new();
    desk.receives(REPORT);
    let acknowledgement = desk.letters().remove(0);
    let its_id = acknowledgement.header("Message-ID").unwrap();
    desk.receives(&format!(
        "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Re: {}
Message-ID: <tile-2@example.net>
In-Reply-To: {its_id}

The steps: upload the tile.
",
        acknowledgement.header("Subject").unwrap()
    ));
    insta::assert_snapshot!(desk.outgoing(), @"relay to ada@example.org (encrypted; <letter-1>; answers <letter-2>): [EX-2026-0001] Re: Auto: [EX-2026-0001] we have your report");
    assert_eq!(desk.cases().len(), 1);
    assert_eq!(desk.cases()[0]["mails"], 2);
}

/// A third mail refers to the second only; and the thread is known after a restart, too.
#[test]
fn a_long_thread() {
    let desk = Desk::new();
    desk.receives(REPORT);
    for number in 2..5 {
        desk.restarts();
        desk.receives(&format!(
            "\
From: Rita Reporter <rita@example.net>
Subject: more
Message-ID: <tile-{number}@example.net>
In-Reply-To: <tile-{}@example.net>

Number {number}.
",
            number - 1
        ));
    }
    insta::assert_snapshot!(desk.outgoing(), @r"
    acknowledgement to rita@example.net (signed; <letter-1>; answers <tile-1@example.net>): Auto: [EX-2026-0001] we have your report
    relay to ada@example.org (encrypted; <letter-2>; answers nothing): [EX-2026-0001] Heap overflow in the tile parser
    relay to ada@example.org (encrypted; <letter-3>; answers <letter-2>): [EX-2026-0001] more
    relay to ada@example.org (encrypted; <letter-4>; answers <letter-3>): [EX-2026-0001] more
    relay to ada@example.org (encrypted; <letter-5>; answers <letter-4>): [EX-2026-0001] more
    ");
    assert_eq!(desk.cases().len(), 1);
}

/// A subject that looks the same makes no thread: only Message-IDs do, which only the participants know.
#[test]
fn the_subject_alone_makes_no_thread() {
    let desk = Desk::new();
    desk.receives(REPORT);
    desk.receives(
        "\
From: Mallory <mallory@example.com>
Subject: Re: [EX-2026-0001] Heap overflow in the tile parser
Message-ID: <m-1@example.com>

Tell me more.
",
    );
    assert_eq!(desk.cases().len(), 2);
}

/// A report and two additions arrive in one batch: each mail has letters of its own, and nobody gets another's.
#[test]
fn a_report_and_its_follow_ups_at_once() {
    let desk = Desk::new();
    let follow_up = |number: u32| {
        format!(
            "From: rita@example.net\nMessage-ID: <r-{number}@example.net>\nIn-Reply-To: <r-1@example.net>\n\nAddition {number}.\n"
        )
    };
    desk.receives_together(&[
        "From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n",
        &follow_up(2),
        &follow_up(3),
    ]);
    let letters = desk.letters();
    let mut sent: Vec<String> = letters
        .iter()
        .filter(|letter| letter.id.starts_with("EX-2026-0002"))
        .map(|letter| format!("{} {} to {}", letter.id, letter.kind, letter.to))
        .collect();
    sent.sort();
    assert_eq!(
        sent,
        [
            "EX-2026-0002.1 acknowledgement to rita@example.net",
            "EX-2026-0002.2 relay to ada@example.org",
            "EX-2026-0002.3 relay to ada@example.org",
            "EX-2026-0002.4 relay to ada@example.org",
        ]
    );
    let told =
        |text: &str| letters.iter().filter(|letter| letter.encrypted && letter.text().contains(text)).count();
    assert_eq!((told("A heap overflow."), told("Addition 2."), told("Addition 3.")), (1, 1, 1));
}
