//! Rita reports in plain text.

use crate::support::desk::Desk;
use psirtd::pipeline::Recorded;

const REPORT: &str = "\
Return-Path: <rita@example.net>
From: Rita Reporter <rita@example.net>
Reply-To: everybody@lists.example.net
To: security@example.org
Subject: Heap overflow in the tile parser
Date: Fri, 20 Nov 2026 22:58:00 +0000
Message-ID: <tile-1@example.net>
References: <talk-1@example.net>
Content-Type: text/plain; charset=utf-8

Hello,

a crafted tile makes the parser write behind its buffer.

Regards
Rita
";

#[test]
fn she_gets_an_acknowledgement_and_ada_gets_her_report() {
    let desk = Desk::new();
    desk.receives(REPORT);
    let letters = desk.letters();
    insta::assert_snapshot!(desk.shown(&letters[0]), @r#"
    ======== acknowledgement EX-2026-0001.1 to rita@example.net, signed
    From: "Example Project Security" <security@example.org>
    To: <rita@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <tile-1@example.net>
    References: <talk-1@example.net> <tile-1@example.net>
    Auto-Submitted: auto-replied
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/signed; micalg="pgp-sha512"; protocol="application/pgp-signature"; boundary="boundary-1"
    -------- signed:
    From: "Example Project Security" <security@example.org>
    To: <rita@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <tile-1@example.net>
    References: <talk-1@example.net> <tile-1@example.net>
    Auto-Submitted: auto-replied
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="clear"
    Content-Transfer-Encoding: 7bit

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

    To understand your report sooner, it would help us to know:

      * the steps to reproduce it (scripts, screenshots, logs help)
      * how it affects the use of the project: the attack surface
      * which other projects or dependencies are involved

    Just answer this mail. If your report says so already, there is no need to.

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    To write to us encrypted, use our OpenPGP key
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
    insta::assert_snapshot!(desk.shown(&letters[1]), @r#"
    ======== relay EX-2026-0001.2 to ada@example.org, encrypted and signed
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [...]
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-2>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="boundary-2"
    -------- encrypted and signed:
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [EX-2026-0001] Heap overflow in the tile parser
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-2>
    Auto-Submitted: auto-generated
    HP-Outer: From: "Example Project Security" <security@example.org>
    HP-Outer: To: "Ada Coordinator" <ada@example.org>
    HP-Outer: Subject: [...]
    HP-Outer: Date: Fri, 20 Nov 2026 23:00:00 +0000
    HP-Outer: Message-ID: <letter-2>
    HP-Outer: Auto-Submitted: auto-generated
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="cipher"
    Content-Transfer-Encoding: quoted-printable

    new report in case EX-2026-0001

    From:        Rita Reporter <rita@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Heap overflow in the tile parser
    Kind:        report
    Encryption:  none: the mail came in the clear
    Signature:   none
    Hint:        priority (heap overflow)
    Lacks:       steps, surface, other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    Hello,

    a crafted tile makes the parser write behind its buffer.

    Regards
    Rita
    "#);
    assert_eq!(letters.len(), 2);
}

/// What she wrote is nowhere in the answer, and it goes to her From address, whatever Reply-To says.
#[test]
fn the_acknowledgement_quotes_nothing_and_goes_to_from() {
    let desk = Desk::new();
    desk.receives(REPORT);
    let letters = desk.letters();
    let acknowledgement = String::from_utf8(letters[0].raw.clone()).unwrap().to_lowercase();
    for hers in ["heap", "overflow", "tile parser", "crafted", "buffer", "regards", "lists.example.net"] {
        assert!(!acknowledgement.contains(hers), "{hers}");
    }
    assert_eq!(letters[0].to, "rita@example.net");
    assert_eq!(letters[0].protected("To"), letters[0].header("To"));
    assert_eq!(letters[0].header("Cc").or(letters[0].header("Bcc")), None);
}

/// The same mail reaches the mailbox twice, over two servers: To and Cc, or an alias and a list.
#[test]
fn delivered_twice_is_answered_once() {
    let desk = Desk::new();
    let over = |server: &str| {
        format!("Received: from {server} by mx.example.org; Fri, 20 Nov 2026 22:59:00 +0000\n{REPORT}")
    };
    assert_eq!(desk.receives(&over("a.example.net")), Recorded::New);
    assert_eq!(desk.receives(&over("b.example.net")), Recorded::Known);
    insta::assert_snapshot!(desk.outgoing(), @r"
    acknowledgement to rita@example.net (signed; <letter-1>; answers <tile-1@example.net>): Auto: [EX-2026-0001] we have your report
    relay to ada@example.org (encrypted; <letter-2>; answers nothing): [EX-2026-0001] Heap overflow in the tile parser
    ");
    assert_eq!(desk.cases().len(), 1);
    // and once more, after a restart
    desk.restarts();
    assert_eq!(desk.receives(&over("c.example.net")), Recorded::Known);
    assert_eq!(desk.outgoing(), "no letters");
}

/// Another report under a Message-ID that was used before is not lost.
#[test]
fn a_stolen_message_id_hides_no_report() {
    let desk = Desk::new();
    desk.receives(REPORT);
    assert_eq!(desk.receives(&REPORT.replace("a crafted tile", "an empty tile")), Recorded::New);
    assert_eq!(desk.cases().len(), 2);
}

/// A case as `psirtd cases --json` shows it.
#[test]
fn the_case_is_there() {
    let desk = Desk::new();
    desk.receives(REPORT);
    let case = &desk.cases()[0];
    insta::assert_snapshot!(serde_json::to_string_pretty(case).unwrap(), @r#"
    {
      "acknowledged_at": "2026-11-20T23:00:00Z",
      "affected": null,
      "credits": [],
      "cve": [],
      "cwe": [],
      "deadlines": [
        {
          "due": "2026-11-26T07:59:59Z",
          "elapsed": 0,
          "kind": "first-response",
          "met_at": null,
          "since": "2026-11-20T23:00:00Z",
          "state": "running"
        },
        {
          "due": "2026-11-26T07:59:59Z",
          "elapsed": 0,
          "kind": "plan",
          "met_at": null,
          "since": "2026-11-20T23:00:00Z",
          "state": "running"
        },
        {
          "due": "2026-12-11T07:59:59Z",
          "elapsed": 0,
          "kind": "disclosure",
          "met_at": null,
          "since": "2026-11-20T23:00:00Z",
          "state": "running"
        }
      ],
      "fixed": [],
      "fixed_versions": [],
      "hints": [
        "priority"
      ],
      "id": "EX-2026-0001",
      "mails": 1,
      "merged_into": null,
      "missing": [
        "steps",
        "surface",
        "other-projects"
      ],
      "not_acknowledged": null,
      "owner": null,
      "phase": "received",
      "priority": null,
      "public_since": null,
      "received_at": "2026-11-20T23:00:00Z",
      "rejected_as": null,
      "reporter": "rita@example.net",
      "reporters": [
        "rita@example.net"
      ],
      "severity": null,
      "shared_with": [],
      "snoozed_until": null,
      "subject": "Heap overflow in the tile parser",
      "unfixed": [],
      "waiting_since": null,
      "workaround": false
    }
    "#);
}
