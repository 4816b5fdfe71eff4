//! Machines write, too. None of them is answered; what may be a report becomes a case all the same.

use crate::support::desk::Desk;

/// What went out for one mail, and how many cases it opened.
fn told(mail: &str) -> String {
    let desk = Desk::new();
    desk.receives(mail);
    let cases = desk.cases();
    let why: Vec<String> = desk
        .letters()
        .iter()
        .map(|letter| {
            let text = letter.text();
            let answer = text.lines().find(|line| line.starts_with("Answer:")).unwrap_or("Answer: sent");
            format!("{} to {}; {answer}", letter.kind, letter.to)
        })
        .collect();
    format!("cases: {}; letters: {why:?}", cases.len())
}

#[test]
fn a_bounce() {
    let mail = "\
Return-Path: <>
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: security@example.org
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce-1@mx.example.com>
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"

--b

I'm sorry to have to inform you that your message could not be delivered.
--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; gone@example.com
Action: failed
--b--
";
    insta::assert_snapshot!(told(mail), @"cases: 0; letters: []");
}

/// It comes in the thread of a case, because the server quotes the acknowledgement: Ada should know that it did not arrive.
#[test]
fn a_bounce_of_the_acknowledgement() {
    let desk = Desk::new();
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n");
    let letters = desk.letters();
    desk.receives(&format!(
        "\
Return-Path: <>
From: MAILER-DAEMON@mx.example.com
To: security@example.org
Subject: Undelivered Mail Returned to Sender
In-Reply-To: {}
Auto-Submitted: auto-replied

No such user.
",
        letters[0].header("Message-ID").unwrap()
    ));
    desk.clock_to("2026-11-20T23:00:01Z");
    insta::assert_snapshot!(desk.outgoing(), @"warning to ada@example.org (encrypted; <letter-1>; answers nothing): [Example Project Security] 1 thing needs a person");
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn an_out_of_office_reply() {
    let mail = "\
From: Vera Vacation <vera@example.net>
Subject: Out of office
Message-ID: <vacation-1@example.net>
Auto-Submitted: auto-replied

I am out of the office until Monday.
";
    insta::assert_snapshot!(told(mail), @"cases: 0; letters: []");
}

#[test]
fn a_mail_through_a_list() {
    let mail = "\
From: Rita Reporter <rita@example.net>
To: developers@lists.example.net
Subject: Heap overflow
Message-ID: <list-1@example.net>
List-Id: Developers <developers.lists.example.net>

A heap overflow.
";
    insta::assert_snapshot!(told(mail), @r#"cases: 1; letters: ["relay to ada@example.org; Answer:      none was sent (list-id)"]"#);
}

#[test]
fn the_report_of_a_scanner() {
    let mail = "\
From: Scanner <scan@example.net>
Subject: 1 vulnerability found
Message-ID: <scan-1@example.net>
Auto-Submitted: auto-generated

A heap overflow.
";
    insta::assert_snapshot!(told(mail), @r#"cases: 1; letters: ["relay to ada@example.org; Answer:      none was sent (auto-submitted: auto-generated)"]"#);
}

#[test]
fn a_robot_without_a_mailbox() {
    let mail = "From: no-reply@scanner.example\nSubject: found\nMessage-ID: <s@scanner.example>\n\nA heap overflow.\n";
    insta::assert_snapshot!(told(mail), @r#"cases: 1; letters: ["relay to ada@example.org; Answer:      none was sent (robot address: no-reply)"]"#);
}

/// Two psirtd desks write to each other: their letters end it, because they say what they are.
#[test]
fn another_desk_like_this_one() {
    let desk = Desk::new();
    desk.receives("From: psirt@example.com\nMessage-ID: <p-1@example.com>\n\nA heap overflow.\n");
    let acknowledgement = desk.letters().remove(0);
    // the other desk gets ours, and answers with its own kind of acknowledgement
    let theirs =
        String::from_utf8(acknowledgement.raw).unwrap().replace("security@example.org", "psirt@example.com");
    desk.receives_bytes(theirs.replace("psirtd.", "other.").as_bytes());
    insta::assert_snapshot!(desk.outgoing(), @"relay to ada@example.org (encrypted; <letter-1>; answers <letter-2>): [EX-2026-0001] Auto: [EX-2026-0001] we have your report");
}

/// RT, which many CERTs use, writes so; so does a forwarder with the null sender.
#[test]
fn a_ticket_system_reports() {
    for marks in
        ["Precedence: bulk\nReferences: <RT-Ticket-4711@cert.example>", "Return-Path: <>\nIn-Reply-To: <x@y>"]
    {
        let mail = format!(
            "{marks}\nFrom: CERT <vulnerabilities@cert.example>\nSubject: [CERT #4711] overflow\n\
             Message-ID: <rt-{}@cert.example>\n\nA heap overflow.\n",
            marks.len()
        );
        assert!(told(&mail).starts_with("cases: 1; letters: [\"relay to ada@example.org"), "{marks}");
    }
}

/// A server on the way gave the relay another Message-ID, and the coordinator's address led back to the desk.
#[test]
fn a_relay_that_comes_back_changed_causes_no_relay() {
    let mail = "From: security@example.org\nMessage-ID: <ses-1@example.org>\nAuto-Submitted: auto-generated\n\nA relay.\n";
    assert_eq!(told(mail), "cases: 1; letters: []");
}

#[test]
fn a_coordinator_that_is_a_desk_gets_no_relay_of_its_relay() {
    let mail = "From: ada@example.org\nMessage-ID: <ada-1@example.org>\nAuto-Submitted: auto-generated\n\nA relay.\n";
    assert_eq!(told(mail), "cases: 1; letters: []");
}

#[test]
fn the_desks_address_and_the_id_of_a_report_hide_no_mail() {
    let desk = Desk::new();
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n");
    desk.receives("From: security@example.org\nMessage-ID: <r-1@example.net>\n\nAnother heap overflow.\n");
    assert_eq!(desk.cases().len(), 2);
}

/// A mail reaches the desk twice, first on a way that makes it look like a machine's answer.
#[test]
fn a_copy_that_became_no_case_does_not_swallow_the_report() {
    let desk = Desk::new();
    let report = "From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n";
    desk.receives(&format!("Auto-Submitted: auto-replied\n{report}"));
    assert_eq!(desk.cases().len(), 0);
    desk.receives(report);
    assert_eq!(desk.cases().len(), 1);
}
