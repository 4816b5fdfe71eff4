//! What the team and the reporter read while a case is worked on, letter by letter.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;

const CASE: &str = "EX-2026-0001";
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

A crafted tile makes the parser write behind its buffer.
";
const POLICY: &str = "supported = [\"0.12\", \"0.11\"]\npublic_tracker = \"https://example.org/issues\"\n\
                      process = \"https://example.org/SECURITY.md\"";

fn reported() -> Desk {
    reported_at(Desk::builder().otto().max().policy(POLICY).open())
}

fn reported_at(desk: Desk) -> Desk {
    desk.receives(REPORT);
    desk.letters();
    desk
}

/// Subject and text, as its reader sees them.
fn read(letter: &Letter) -> String {
    format!(
        "{} to {}\nSubject: {}\n\n{}",
        letter.kind,
        letter.to,
        letter.protected("Subject").unwrap(),
        letter.text()
    )
}

/// Each letter since last asked as its kind and its reader.
fn told(desk: &Desk) -> Vec<String> {
    let reader = |to: &str| to.split('@').next().unwrap().to_owned();
    desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, reader(&letter.to))).collect()
}

#[test]
fn a_plan_by_mail() {
    let desk = reported();
    let body = "!take\n!plan\n\nWe build your example tonight.\n\nOn Friday the desk wrote:\n> Hint: priority\n-- \nAda Example\n";
    desk.receives(&desk.orders("ada", CASE, body));
    let letters = desk.letters();
    assert_eq!(letters.len(), 3);
    // to Rita nothing of what Ada quoted, nor her name
    insta::assert_snapshot!(desk.shown(&letters[0]), @r#"
    ======== answer EX-2026-0001.4 to rita@example.net, signed
    From: "Example Project Security" <security@example.org>
    To: <rita@example.net>
    Subject: Re: [EX-2026-0001] Heap overflow in the tile parser
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <r-1@example.net>
    References: <r-1@example.net>
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/signed; micalg="pgp-sha512"; protocol="application/pgp-signature"; boundary="boundary-1"
    -------- signed:
    From: "Example Project Security" <security@example.org>
    To: <rita@example.net>
    Subject: Re: [EX-2026-0001] Heap overflow in the tile parser
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <r-1@example.net>
    References: <r-1@example.net>
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="clear"
    Content-Transfer-Encoding: 7bit

    We build your example tonight.

    --
    Example Project Security
    security@example.org
    "#);
    // the other coordinator knows that it is answered
    insta::assert_snapshot!(read(&letters[1]), @"
    note to otto@example.org
    Subject: [EX-2026-0001] Heap overflow in the tile parser

    ada@example.org writes to the reporter of case EX-2026-0001

    For you to know: it goes to the reporter as it stands here.

    ------------------------------------------------------ the note ------

    We build your example tonight.
    ");
    insta::assert_snapshot!(read(&letters[2]), @"
    results to ada@example.org
    Subject: [EX-2026-0001] done: take, plan

    Done in case EX-2026-0001:

      * ada@example.org answers for case EX-2026-0001
      * plan to the reporter, rita@example.net

    ---------------------------------------- this goes to the reporter ------

    We build your example tonight.
    ");
    assert!(letters[1].encrypted && letters[2].encrypted);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_done() {
    let desk = reported();
    let before = desk.cases();
    let body = "!take\n!severty CVSS:3.1/AV:N\n!reject\n!fixed\n\nSorry.\n";
    desk.receives(&desk.orders("ada", CASE, body));
    insta::assert_snapshot!(read(&desk.letter()), @"
    results to ada@example.org
    Subject: [EX-2026-0001] NOT done: take, severty, reject, fixed

    Nothing was done of what you said:

      * !severty CVSS:3.1/AV:N: “severty” is no command; “help” lists them
      * !reject: as what?; say it like this: reject upstream libtile
      * !fixed: which?; say it like this: fixed 0.12.3 0.11.9

    !help lists what can be said.
    ");
    let mut after = desk.cases();
    assert_eq!((&after[0]["phase"], &after[0]["owner"]), (&before[0]["phase"], &before[0]["owner"]));
    after[0]["mails"] = 1.into();
    assert_eq!(after, before);
    // the second of two cannot be done: neither is
    desk.receives(&desk.orders("ada", CASE, "!take\n!reopen\n"));
    insta::assert_snapshot!(read(&desk.letter()), @"
    results to ada@example.org
    Subject: [EX-2026-0001] NOT done: take, reopen

    Nothing was done of what you said:

      * !reopen: case EX-2026-0001 is open: it is triaged; nothing was done of what stands before it

    !help lists what can be said.
    ");
    assert_eq!(desk.cases()[0]["owner"], serde_json::Value::Null);
}

#[test]
fn an_internal_note_is_for_the_team() {
    let desk = Desk::builder().otto().max().policy(POLICY).open();
    desk.receives(REPORT);
    let relay = desk.letters().into_iter().find(|letter| letter.to == "otto@example.org").unwrap();
    desk.does(CASE, "share");
    desk.does(CASE, "take ada");
    desk.letters();
    desk.receives(&desk.orders("ada", CASE, "!note\n\nIt is the length field.\n"));
    let letters = desk.letters();
    insta::assert_snapshot!(read(&letters[0]), @"
    note to otto@example.org
    Subject: [EX-2026-0001] Heap overflow in the tile parser

    Internal note in case EX-2026-0001, by ada@example.org

    Nothing of it goes to the reporter. To answer the team, answer this mail; to
    write to the reporter, begin your signed mail with a line !reply.

    ------------------------------------------------------ the note ------

    It is the length field.
    ");
    assert_eq!(letters.len(), 2, "Otto, and the result to Ada; not Max, not Rita");
    // an answer to a relay without a command is one, too
    let thread = format!("In-Reply-To: {}\nSubject: ...", relay.header("Message-ID").unwrap());
    desk.receives(&desk.orders("otto", CASE, "Yes, in version 2 of it.\n").replacen(
        "Subject: ...",
        &thread,
        1,
    ));
    let letter = desk.letter();
    assert_eq!(letter.to, "ada@example.org");
    insta::assert_snapshot!(letter.text().lines().next().unwrap(), @"internal note in case EX-2026-0001");
    // a maintainer's goes to the coordinators
    desk.receives(&desk.orders("max", CASE, "!note\n\nI have a patch.\n"));
    assert_eq!(told(&desk), ["note to ada", "note to otto", "results to max"]);
    // what a coordinator has to say to the maintainers goes with the case
    desk.receives(&desk.orders("ada", CASE, "!share\n\nPlease review it by Friday.\n"));
    assert_eq!(told(&desk), ["note to max", "results to ada"]);
}

#[test]
fn a_members_own_mail_to_the_reporter_is_the_human_answer() {
    let desk = reported();
    let mail = |from: &str, number: u32, signed: bool| {
        let header = format!(
            "; protected-headers=\"v1\"\nFrom: {from}@example.org\nTo: rita@example.net\nCc: security@example.org\nSubject: Re: x"
        );
        let mail = if signed {
            desk.signed_orders(
                &format!("{from}@example.org"),
                &format!("{from}@example.org"),
                &header,
                "We look into it.\n",
            )
        } else {
            format!(
                "From: {from}@example.org\nTo: rita@example.net\nCc: security@example.org\nSubject: x\nMessage-ID: <o-{number}@example.org>\n\nWe look into it.\n"
            )
        };
        mail.replacen(
            "To: security@example.org\n",
            "To: rita@example.net\nCc: security@example.org\nIn-Reply-To: <r-1@example.net>\n",
            1,
        )
        .replacen(
            "Subject: x\nMessage-ID",
            "In-Reply-To: <r-1@example.net>\nSubject: x\nMessage-ID",
            1,
        )
    };
    let met = || desk.cases()[0]["deadlines"][0]["state"].as_str().unwrap().to_owned();
    // anybody may write that
    desk.receives(&mail("ada", 1, false));
    insta::assert_snapshot!(desk.letter().text().lines().next().unwrap(), @"mail under the name of a member of the team (not signed) in case EX-2026-0001");
    assert_eq!(met(), "running");
    desk.receives(&mail("ada", 2, true));
    insta::assert_snapshot!(desk.letter().text().lines().next().unwrap(), @"answer to the reporter, by a member of the team, in case EX-2026-0001");
    assert_eq!(met(), "met");
    let case = desk.ask(&Question::Case(CASE.to_owned()));
    let timeline = case["timeline"].as_array().unwrap();
    let answered = timeline
        .iter()
        .find(|line| line["what"] == "answer to the reporter, by a mail of their own")
        .unwrap();
    assert_eq!(answered["who"], "ada@example.org");
    assert_eq!(case["phase"], "triaged");
}

#[test]
fn a_rejection_gives_its_reason() {
    for (class, also) in [
        ("not-a-vulnerability", ""),
        ("not-security", "https://example.org/issues"),
        ("insecure-default", "https://example.org/SECURITY.md"),
        ("unsupported-version", "0.12, 0.11"),
        ("upstream libtile", "It concerns libtile"),
    ] {
        let desk = reported();
        let refused = desk.is_told(CASE, &format!("reject {class}"), None).unwrap_err();
        assert!(refused.contains("needs a text"), "{refused}");
        assert_eq!(desk.cases()[0]["phase"], "received");
        desk.writes(CASE, &format!("reject {class}"), "It is not, because of this.");
        let letter = desk.letters().remove(0);
        assert!(
            letter.text().starts_with("It is not, because of this.\n") && letter.text().contains(also),
            "{class}: {}",
            letter.text()
        );
        assert_eq!(letter.header("Auto-Submitted"), None, "a person wrote it");
        assert_eq!(
            (&desk.cases()[0]["phase"], &desk.cases()[0]["deadlines"][1]["state"]),
            (&"rejected".into(), &"met".into())
        );
    }
    // another case must not show
    let desk = reported();
    desk.receives(&REPORT.replace("r-1@", "r-2@").replace("rita@example.net>\nTo", "nora@example.net>\nTo"));
    desk.letters();
    assert!(
        desk.is_told("EX-2026-0002", "reject duplicate EX-2026-0009", Some("x"))
            .unwrap_err()
            .contains("no other case")
    );
    desk.writes("EX-2026-0002", "reject duplicate EX-2026-0001", "We know it already.");
    assert!(!String::from_utf8(desk.letters().remove(0).raw).unwrap().contains("EX-2026-0001"));
    // nobody writes to a spammer
    let desk = reported();
    desk.writes(CASE, "reject spam", "Sells pills.");
    assert_eq!(told(&desk), [""; 0]);
    assert_eq!(desk.cases()[0]["rejected_as"], "spam");
}

#[test]
fn in_german() {
    let desk = reported_at(Desk::builder().desk("language = \"de\"").policy(POLICY).open());
    desk.writes(CASE, "reject not-security", "Die Eingabe kommt vom Benutzer selbst.");
    insta::assert_snapshot!(read(&desk.letters()[0]), @"
    answer to rita@example.net
    Subject: Re: [EX-2026-0001] Heap overflow in the tile parser

    Die Eingabe kommt vom Benutzer selbst.

    Fehler ohne Folgen für die Sicherheit werden öffentlich geführt und sind
    dort willkommen: https://example.org/issues

    --
    Example Project Security
    security@example.org
    ");
}

#[test]
fn closed_and_reopened() {
    let desk = reported();
    desk.writes(CASE, "reply", "Thank you.");
    assert_eq!(desk.does(CASE, "close"), "case EX-2026-0001 is closed");
    assert!(desk.is_told(CASE, "accept", None).unwrap_err().contains("is closed: reopen it first"));
    assert!(desk.is_told(CASE, "close", None).is_err());
    desk.letters();
    // what its reporter writes then is not lost
    desk.receives(&REPORT.replace("r-1@", "r-2@").replace("\n\n", "\nIn-Reply-To: <r-1@example.net>\n\n"));
    assert_eq!(told(&desk), ["relay to ada", "relay to otto"]);
    assert_eq!(desk.does(CASE, "reopen"), "case EX-2026-0001 is reopened");
    let clocks = desk.cases()[0]["deadlines"].as_array().unwrap().clone();
    let update = clocks.iter().find(|clock| clock["kind"] == "status-update").unwrap();
    assert_eq!((&update["state"], &update["due"]), (&"running".into(), &"2026-11-28T07:59:59Z".into()));
    assert!(desk.does(CASE, "accept").contains("is accepted"));
}

#[test]
fn the_list_the_case_and_the_words() {
    let desk = reported();
    desk.does(CASE, "take ada");
    desk.letters();
    desk.receives(&desk.orders("ada", CASE, "!show\n!list\n"));
    insta::assert_snapshot!(read(&desk.letter()), @"
    results to ada@example.org
    Subject: [EX-2026-0001] done: show, list

    Done in case EX-2026-0001:

      * the case at a glance
      * the open cases

    EX-2026-0001  triaged
    subject        Heap overflow in the tile parser
    reporter       rita@example.net
    owner          ada@example.org
    received       Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    first-response Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC) running
    plan           Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC) running
    disclosure     Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC) running
    mails          1

    2026-11-20 23:00Z  case opened (rita@example.net)
    2026-11-20 23:00Z  report recorded (rita@example.net)
    2026-11-20 23:00Z  taken by ada@example.org (operator)
    2026-11-20 23:00Z  triaged (operator)

    EX-2026-0001  triaged, ada@example.org
        first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
    ");
    desk.receives(&desk.orders("ada", "nothing", "!help\n"));
    let help = desk.letter();
    assert!(help.text().contains("\n!fixed VERSION...|except LINE"), "{}", help.text());
    // to a maintainer a case that is not shared does not exist
    desk.receives(&desk.orders("max", CASE, "!show\n"));
    let unshared = read(&desk.letter());
    desk.receives(&desk.orders("max", "EX-2026-0009", "!show\n"));
    assert_eq!(unshared.replace("0001", "0009"), read(&desk.letter()));
    desk.receives(&desk.orders("max", CASE, "!list\n"));
    assert!(desk.letter().text().contains("no case is open"));
}

#[test]
fn a_day_with_everything() {
    let desk = reported();
    desk.receives("From: Nora <nora@example.net>\nTo: security@example.org\nSubject: Scan\nMessage-ID: <s-1@example.net>\nAuto-Submitted: auto-generated\n\nFinding.\n");
    desk.letters();
    // Wednesday, 09:00 at the desk: first response and plan are due today
    desk.clock_to("2026-11-25T17:00:00Z");
    let letters = desk.letters();
    let digest = letters.iter().find(|letter| letter.kind == "digest").unwrap();
    insta::assert_snapshot!(read(digest), @"
    digest to ada@example.org
    Subject: [Example Project Security] 4 due today, 1 not answered

    Due today:

    EX-2026-0001  first-response, by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    EX-2026-0001  plan, by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    EX-2026-0002  first-response, by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    EX-2026-0002  plan, by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it

    These mails got no automatic answer since the last list. Is there a report
    among them? Then its author may have heard nothing yet.

    2026-11-20 23:00Z  EX-2026-0002  automatic, notification
        From:    nora@example.net
        Subject: Scan
        Why:     auto-submitted: auto-generated
        Answer:  psirtd outbox release EX-2026-0002.1
    ");
    desk.clock_to("2026-11-26T17:00:00Z");
    let letters = desk.letters();
    let digest = letters.iter().find(|letter| letter.kind == "digest").unwrap();
    insta::assert_snapshot!(read(digest), @"
    digest to ada@example.org
    Subject: [Example Project Security] 4 late

    Late:

    EX-2026-0001  first-response, due Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    EX-2026-0001  plan, due Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    EX-2026-0002  first-response, due Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    EX-2026-0002  plan, due Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
        nobody answers for it
    ");
    assert!(digest.encrypted);
}
