//! What is not answered: junk, machines, mail over the limit. It waits for a person, and once a day the coordinators read of it.

use crate::support::desk::Desk;
use psirtd::control::Question;

/// What these stories look at in a relay.
const NAMES: [&str; 4] = ["From:", "Kind:", "Noticed:", "Answer:"];

/// 09:00 in Los Angeles on the day after, and on the next one.
const NEXT_MORNING: &str = "2026-11-21T17:00:00Z";
const MORNING_AFTER: &str = "2026-11-22T17:00:00Z";

/// Rita's report with a field more.
fn report(field: &str) -> String {
    format!(
        "{field}From: Rita Reporter <rita@example.net>\nTo: security@example.org\nSubject: Heap overflow\n\
         Message-ID: <r-1@example.net>\n\nA crafted tile makes the parser write behind its buffer.\n"
    )
}

/// What a scanner found: a case, which nobody answers.
fn scan(number: usize) -> String {
    format!(
        "From: Scanner <scan@example.net>\nTo: security@example.org\nSubject: Finding {number}\n\
         Message-ID: <scan-{number}@example.net>\nAuto-Submitted: auto-generated\n\nFinding {number}: a heap overflow.\n"
    )
}

/// Somebody is away: no case.
fn vacation(number: usize) -> String {
    format!(
        "From: Vera Vacation <vera-{number}@example.net>\nTo: security@example.org\nSubject: Out of office\n\
         Message-ID: <vacation-{number}@example.net>\nAuto-Submitted: auto-replied\n\nI am away until Monday.\n"
    )
}

fn release(desk: &Desk, letter: &str) -> Result<serde_json::Value, String> {
    desk.tries(&Question::Release(letter.to_owned()))
}

/// The text of the one letter that went out, a digest to Ada that nobody else can read.
#[track_caller]
fn digest(desk: &Desk) -> String {
    let letter = desk.letter();
    assert_eq!(
        (letter.kind.as_str(), letter.to.as_str(), letter.encrypted),
        ("digest", "ada@example.org", true)
    );
    format!("Subject: {}\n\n{}", letter.protected("Subject").unwrap(), letter.text())
}

/// What Ada is told of a mail that a filter condemned.
const JUNK: &str = "\
relay to ada@example.org (encrypted)
    From:        Rita Reporter <rita@example.net>
    Kind:        junk
    Answer:      none was sent (marked as junk)
                 to answer From: psirtd outbox release EX-2026-0001.1
";

#[test]
fn a_filter_says_that_it_is_junk() {
    for field in [
        "X-Spam-Flag: YES\n",
        "X-Spam-Status: Yes, score=7.1 required=5.0 tests=BAYES_99\n",
        "X-MS-Exchange-Organization-SCL: 6\n",
        "X-Forefront-Antispam-Report: CIP:192.0.2.7;CTRY:;LANG:en;SCL:5;SRV:;IPV:NLI;SFV:SPM;H:mail.example.net;CAT:SPM\n",
    ] {
        let desk = Desk::new();
        desk.receives(&report(field));
        assert_eq!((desk.told(&NAMES).as_str(), desk.cases().len()), (JUNK, 1), "{field}");
        release(&desk, "EX-2026-0001.1").unwrap();
        assert_eq!(desk.told(&NAMES), "acknowledgement to rita@example.net (signed)\n", "{field}");
    }
}

#[test]
fn a_filter_says_that_it_is_not_junk() {
    for field in [
        "X-Spam-Flag: NO\n",
        "X-Spam-Status: No, score=-1.9 required=5.0\n",
        "X-MS-Exchange-Organization-SCL: -1\n",
        "X-Forefront-Antispam-Report: CIP:192.0.2.7;SCL:1;SFV:NSPM;CAT:NONE\n",
    ] {
        let desk = Desk::new();
        desk.receives(&report(field));
        assert_eq!(desk.letters()[0].kind, "acknowledgement", "{field}");
    }
}

/// The filter moved it to the folder for junk, or gave it the keyword.
#[test]
fn the_provider_puts_it_away_as_junk() {
    let desk = Desk::new();
    desk.receives_junk(&report(""));
    assert_eq!((desk.told(&NAMES).as_str(), desk.cases().len()), (JUNK, 1));
}

/// With `relay_junk = false` the digest alone tells of it.
#[test]
fn junk_that_is_not_relayed() {
    let desk = Desk::builder().toml("[inbox]\nrelay_junk = false\n").open();
    desk.receives_junk(&report(""));
    assert_eq!((desk.told(&NAMES).as_str(), desk.cases().len()), ("no letters", 1));
    desk.clock_to(NEXT_MORNING);
    insta::assert_snapshot!(digest(&desk), @"
    Subject: [Example Project Security] 1 not answered

    These mails got no automatic answer since the last list. Is there a report
    among them? Then its author may have heard nothing yet.

    2026-11-20 23:00Z  EX-2026-0001  junk
        From:    rita@example.net
        Subject: Heap overflow
        Why:     marked as junk
        Answer:  psirtd outbox release EX-2026-0001.1
    ");
}

/// A filter is wrong about a mail in the thread of a case: the team reads it at once.
#[test]
fn junk_in_a_thread() {
    let desk = Desk::builder().toml("[inbox]\nrelay_junk = false\n").open();
    desk.receives(&report(""));
    desk.letters();
    desk.receives_junk(
        "From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nThe steps: …\n",
    );
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        rita@example.net
        Kind:        reply
        Answer:      none was sent (marked as junk)
    ");
}

/// A day with a bit of everything.
#[test]
fn the_daily_digest() {
    let desk = Desk::new();
    desk.receives(&report(""));
    desk.receives(&scan(1));
    desk.receives(&vacation(1));
    desk.receives("From: dev@example.net\nList-Id: <dev.example.net>\nMessage-ID: <l-1@example.net>\n\nA heap overflow.\n");
    desk.receives("From: a@example.net, b@example.net\nMessage-ID: <two@example.net>\nSubject: Two of us\n\nA heap overflow.\n");
    // somebody else in Rita's thread
    desk.receives(
        "From: Mallory <mallory@example.com>\nSubject: Re: Heap overflow\nMessage-ID: <m-1@example.com>\n\
         In-Reply-To: <r-1@example.net>\n\nTell me more.\n",
    );
    // and Rita herself, who is not acknowledged again
    desk.receives("From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nThe steps: …\n");
    desk.letters();
    desk.clock_to("2026-11-21T16:59:59Z");
    assert_eq!(desk.outgoing(), "no letters", "it is not the hour");
    desk.clock_to(NEXT_MORNING);
    insta::assert_snapshot!(digest(&desk), @"
    Subject: [Example Project Security] 5 not answered

    These mails got no automatic answer since the last list. Is there a report
    among them? Then its author may have heard nothing yet.

    2026-11-20 23:00Z  EX-2026-0004  report
        From:    (nobody)
        Subject: Two of us
        Why:     From names 2 mailboxes

    2026-11-20 23:00Z  EX-2026-0001  reply
        From:    mallory@example.com
        Subject: Re: Heap overflow
        Why:     unverified: its author takes no part in the case

    2026-11-20 23:00Z  EX-2026-0003  list
        From:    dev@example.net
        Subject: (none, or protected)
        Why:     list-id
        Answer:  psirtd outbox release EX-2026-0003.1

    2026-11-20 23:00Z  EX-2026-0002  automatic, notification
        From:    scan@example.net
        Subject: Finding 1
        Why:     auto-submitted: auto-generated
        Answer:  psirtd outbox release EX-2026-0002.1

    2026-11-20 23:00Z  (no case)  automatic, vacation
        From:    vera-1@example.net
        Subject: Out of office
        Why:     auto-submitted: auto-replied
    ");
    // once
    desk.clock_to("2026-11-21T17:15:00Z");
    assert_eq!(desk.outgoing(), "no letters");
    desk.clock_to(MORNING_AFTER);
    assert_eq!(desk.outgoing(), "no letters", "a quiet day");
}

/// A subject that was encrypted is in no digest: it is not on the disk.
#[test]
fn an_encrypted_report_in_the_digest() {
    let desk = Desk::new();
    let outside = "From: Sam <sam@example.com>\nSubject: ...\nMessage-ID: <s-1@example.com>\nAuto-Submitted: auto-generated";
    let inside = "Content-Type: text/plain; protected-headers=\"v1\"; hp=\"cipher\"\nSubject: Tokens are predictable\n\nThe clock.\n";
    desk.receives(&desk.encrypted_mail(outside, inside));
    desk.letters();
    desk.clock_to(NEXT_MORNING);
    insta::assert_snapshot!(digest(&desk), @"
    Subject: [Example Project Security] 1 not answered

    These mails got no automatic answer since the last list. Is there a report
    among them? Then its author may have heard nothing yet.

    2026-11-20 23:00Z  EX-2026-0001  automatic, notification
        From:    sam@example.com
        Subject: (none, or protected)
        Why:     auto-submitted: auto-generated
        Answer:  psirtd outbox release EX-2026-0001.1
    ");
}

/// The hour is the desk's: 18:30 in Los Angeles is 02:30 of the next day in UTC.
#[test]
fn the_hour_of_the_digest() {
    let desk = Desk::builder().policy("digest = \"18:30\"").open();
    desk.receives(&scan(1));
    desk.letters();
    desk.clock_to("2026-11-21T02:29:59Z");
    assert_eq!(desk.outgoing(), "no letters");
    desk.clock_to("2026-11-21T02:30:00Z");
    assert!(digest(&desk).contains("From:    scan@example.net"));
}

#[test]
fn what_a_person_answered_is_not_in_the_digest() {
    let desk = Desk::new();
    desk.receives(&scan(1));
    desk.receives(&scan(2));
    release(&desk, "EX-2026-0001.1").unwrap();
    desk.letters();
    desk.clock_to(NEXT_MORNING);
    let digest = digest(&desk);
    assert!(!digest.contains("EX-2026-0001") && digest.contains("EX-2026-0002"), "{digest}");
}

/// A mail that comes after the digest is in the next one, and in no other.
#[test]
fn one_digest_after_the_other() {
    let desk = Desk::new();
    desk.receives(&scan(1));
    desk.letters();
    desk.clock_to(NEXT_MORNING);
    assert!(digest(&desk).contains("1 not answered"));
    desk.receives(&scan(2));
    desk.letters();
    desk.clock_to("2026-11-22T16:59:59Z");
    assert_eq!(desk.outgoing(), "no letters");
    desk.clock_to(MORNING_AFTER);
    let second = digest(&desk);
    assert!(second.contains("Finding 2") && !second.contains("Finding 1"), "{second}");
}

#[test]
fn psirtd_was_down_at_the_hour() {
    let desk = Desk::new();
    desk.receives(&scan(1));
    desk.letters();
    desk.steps_aside();
    desk.set_clock("2026-11-21T21:40:00Z".parse().unwrap());
    desk.comes_back();
    desk.clock_to("2026-11-21T21:40:01Z");
    assert!(digest(&desk).contains("1 not answered"));
    desk.clock_to(MORNING_AFTER);
    assert_eq!(desk.outgoing(), "no letters", "it was told of");
}

/// Otto cannot be written to encrypted; he is told that, and the digest waits until he can.
#[test]
fn a_coordinator_without_certificate() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.otto_is_alone();
    desk.restarts();
    desk.receives(&scan(1));
    desk.clock_to(NEXT_MORNING);
    let kinds = || desk.letters().iter().map(|letter| letter.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds(), ["warning"]);
    desk.gets_ottos_certificate();
    desk.restarts();
    desk.clock_to(MORNING_AFTER);
    let letters = desk.letters();
    let digest = letters.iter().find(|letter| letter.kind == "digest").unwrap();
    assert_eq!((digest.to.as_str(), digest.encrypted), ("otto@example.org", true));
    assert!(digest.text().contains("Subject: Finding 1"), "{}", digest.text());
}

/// If Ada can, she gets it; what Otto got none of is not kept for him.
#[test]
fn one_coordinator_of_two_can_be_written_to() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.receives(&scan(1));
    desk.letters();
    desk.clock_to(NEXT_MORNING);
    let letters = desk.letters();
    let digests = letters.iter().filter(|letter| letter.kind == "digest");
    assert_eq!(digests.map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["ada@example.org"]);
}

#[test]
fn two_coordinators_get_one_each() {
    let desk = Desk::builder().otto().open();
    desk.receives(&scan(1));
    desk.letters();
    desk.clock_to(NEXT_MORNING);
    insta::assert_snapshot!(desk.told(&[]), @"
    digest to ada@example.org (encrypted)
    digest to otto@example.org (encrypted)
    ");
}

#[test]
fn more_than_a_digest_lists() {
    let desk = Desk::new();
    let mails: Vec<String> = (0..503).map(vacation).collect();
    desk.receives_together(&mails.iter().map(String::as_str).collect::<Vec<_>>());
    desk.letters();
    desk.clock_to(NEXT_MORNING);
    let digest = digest(&desk);
    assert!(digest.starts_with("Subject: [Example Project Security] 503 not answered\n"), "{digest}");
    assert_eq!(digest.matches("Why:").count(), 500);
    assert!(digest.trim_end().ends_with("and 3 more, in the next list."), "{digest}");
}

/// The case says why nobody was answered; a person finds that it is a report after all, and says so once.
#[test]
fn a_withheld_acknowledgement_is_released_once() {
    let desk = Desk::new();
    desk.receives(&scan(1));
    assert_eq!(desk.cases()[0]["not_acknowledged"], "auto-submitted: auto-generated");
    let letter = desk.ask(&Question::Letter("EX-2026-0001.1".to_owned()));
    assert_eq!((&letter["state"], &letter["withheld"]), (&"held".into(), &true.into()));
    assert_eq!(letter["last_reply"], "not acknowledged: auto-submitted: auto-generated");
    desk.letters();
    // no coordinator is warned of what a rule keeps back
    desk.clock_to("2026-11-20T23:30:00Z");
    assert_eq!(desk.outgoing(), "no letters");

    release(&desk, "EX-2026-0001.1").unwrap();
    insta::assert_snapshot!(desk.outgoing(), @"acknowledgement to scan@example.net (signed; <letter-1>; answers <scan-1@example.net>): Auto: [EX-2026-0001] we have your report");
    insta::assert_snapshot!(release(&desk, "EX-2026-0001.1").unwrap_err(), @"nothing to do for letter EX-2026-0001.1: it is sent");
    desk.restarts();
    release(&desk, "EX-2026-0001.1").unwrap_err();
    assert_eq!(desk.outgoing(), "no letters");
    let case = &desk.cases()[0];
    assert_eq!(case["acknowledged_at"], "2026-11-20T23:30:00Z");
}

/// Nobody is answered more often than the limit says; no coordinator is warned of one who writes too much.
#[test]
fn over_the_limit_of_an_address() {
    let desk = Desk::builder().toml("[limits]\nper_address_per_day = 1\n").open();
    let again = |number: usize| {
        report("").replace("r-1@", &format!("r-{number}@")).replace("Heap", &number.to_string())
    };
    desk.receives(&again(1));
    desk.letters();
    desk.receives(&again(2));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Answer:      none was sent (limit: 1 answer to this address today)
                     to answer From: psirtd outbox release EX-2026-0002.1
    ");
    desk.clock_to("2026-11-20T23:30:00Z");
    assert_eq!(desk.outgoing(), "no letters");
    assert_eq!(desk.cases()[1]["not_acknowledged"], "limit: 1 answer to this address today");
    // a person decides
    release(&desk, "EX-2026-0002.1").unwrap();
    assert_eq!(desk.letter().kind, "acknowledgement");
    // the day ends in UTC
    desk.clock_to("2026-11-21T00:00:00Z");
    desk.receives(&again(3));
    assert_eq!(desk.letters()[0].kind, "acknowledgement");
}

/// Reports of strangers until nobody is answered any more; then the coordinators are told, once.
#[track_caller]
fn assert_breaks(limit: &str) -> Desk {
    let desk = Desk::builder().otto().toml(&format!("[limits]\n{limit} = 2\n")).open();
    for number in 1..=4 {
        desk.receives(
            &report("").replace("rita@", &format!("rita-{number}@")).replace("r-1@", &format!("r-{number}@")),
        );
    }
    let letters = desk.letters();
    let count = |kind: &str| letters.iter().filter(|letter| letter.kind == kind).count();
    assert_eq!((count("acknowledgement"), count("relay"), count("warning")), (2, 8, 2), "all are relayed");
    assert_eq!(desk.cases().len(), 4);
    let warnings = letters.iter().filter(|letter| letter.kind == "warning");
    for (warning, reader) in warnings.zip(["ada@example.org", "otto@example.org"]) {
        let text = warning.text();
        assert_eq!((warning.to.as_str(), warning.encrypted), (reader, true));
        assert!(text.contains("automatic answers have stopped (limit: 2 answers"), "{text}");
    }
    desk.clock_to("2026-11-20T23:30:00Z");
    desk.restarts();
    desk.clock_to("2026-11-20T23:45:00Z");
    assert_eq!(desk.outgoing(), "no letters", "once");
    desk
}

#[test]
fn the_hour_is_full() {
    let desk = assert_breaks("per_hour");
    desk.clock_to("2026-11-21T00:00:00Z");
    desk.receives(&report(""));
    assert_eq!(desk.letters()[0].kind, "acknowledgement", "in the next hour it goes on");
}

#[test]
fn the_day_is_full() {
    let desk = assert_breaks("per_day");
    desk.clock_to("2026-11-20T23:59:59Z");
    desk.receives(&report(""));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Answer:      none was sent (limit: 2 answers today)
                     to answer From: psirtd outbox release EX-2026-0005.1
    relay to otto@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Answer:      none was sent (limit: 2 answers today)
                     to answer From: psirtd outbox release EX-2026-0005.1
    ");
    desk.clock_to("2026-11-21T00:00:00Z");
    desk.receives(&report("").replace("r-1@", "r-6@").replace("Heap", "Stack"));
    assert_eq!(desk.letters()[0].kind, "acknowledgement", "on the next day it goes on");
    desk.clock_to(NEXT_MORNING);
    let letters = desk.letters();
    assert_eq!(letters[0].kind, "digest");
    insta::assert_snapshot!(letters[0].text(), @"
    These mails got no automatic answer since the last list. Is there a report
    among them? Then its author may have heard nothing yet.

    2026-11-20 23:00Z  EX-2026-0004  report
        From:    rita-4@example.net
        Subject: Heap overflow
        Why:     limit: 2 answers today
        Answer:  psirtd outbox release EX-2026-0004.1

    2026-11-20 23:00Z  EX-2026-0003  report
        From:    rita-3@example.net
        Subject: Heap overflow
        Why:     limit: 2 answers today
        Answer:  psirtd outbox release EX-2026-0003.1

    2026-11-20 23:59Z  EX-2026-0005  report
        From:    rita@example.net
        Subject: Heap overflow
        Why:     limit: 2 answers today
        Answer:  psirtd outbox release EX-2026-0005.1
    ");
}
