//! A letter comes back, was read, or was taken for junk: what servers and mail programs write about the desk's letters.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use serde_json::Value;

const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

A crafted tile makes the parser write behind its buffer.
";

/// A desk with Rita's report, her acknowledgement, and Ada's relay.
fn desk_with_letters() -> (Desk, Letter, Letter) {
    let desk = Desk::builder().desk("plus_address = true").open();
    desk.receives(REPORT);
    let mut letters = desk.letters();
    let relay = letters.remove(1);
    (desk, letters.remove(0), relay)
}

/// A letter's Message-ID as its envelope bears it.
fn envelope_id(letter: &Letter) -> String {
    letter.header("Message-ID").unwrap().trim_matches(['<', '>']).to_owned()
}

/// The address that it is answered, and comes back, under.
fn address(letter: &Letter) -> String {
    letter.header("Reply-To").unwrap().rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
}

/// The header of what came back, as most servers return it.
fn header_of(letter: &Letter) -> String {
    let ids = format!("Message-ID: {}", letter.header("Message-ID").unwrap());
    format!("\nContent-Type: text/rfc822-headers\n\nFrom: security@example.org\nSubject: ...\n{ids}\n")
}

/// A report of a server about somebody's letter, with `parts` behind the words for people. `to` is where it goes.
fn report(number: u32, to: &str, kind: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--b{part}\n")).collect();
    format!(
        "Return-Path: <>\nFrom: Mail Delivery System <MAILER-DAEMON@mx.example.com>\nTo: {to}\n\
         Subject: Undelivered Mail Returned to Sender\nMessage-ID: <back-{number}@mx.example.com>\nAuto-Submitted: auto-replied\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type={kind}; boundary=\"b\"\n\n\
         --b\n\nThis is the mail system at host mx.example.com.\n{parts}--b--\n"
    )
}

/// What happened to a letter: the fields about the whole of it, then those about its reader.
fn delivery(about: &str, action: &str) -> String {
    let (status, words) = match action {
        "failed" => ("5.1.1", "550 5.1.1 No such user"),
        "delayed" => ("4.4.1", "451 4.4.1 no answer from host"),
        _ => ("2.0.0", "250 2.0.0 Ok"),
    };
    format!(
        "\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n{about}\n\
         Final-Recipient: rfc822; somebody@example.net\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {words}\n"
    )
}

const DESK: &str = "security@example.org";

/// A letter that could not be delivered, as its envelope's id tells.
fn bounce(number: u32, letter: &Letter) -> String {
    let about = format!("Original-Envelope-Id: {}\n", envelope_id(letter));
    report(number, DESK, "delivery-status", &[&delivery(&about, "failed")])
}

/// Where a letter stands, and the last words about it.
fn state(desk: &Desk, letter: &str) -> (String, String) {
    let outbox = desk.ask(&Question::Outbox);
    let found = outbox.as_array().unwrap().iter().find(|one| one["id"] == letter).unwrap().clone();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("last_reply"))
}

fn case(desk: &Desk) -> Value {
    desk.ask(&Question::Case("EX-2026-0001".to_owned()))
}

/// What each mail of the case is, and which machine wrote it.
fn kinds(desk: &Desk) -> Vec<String> {
    let case = case(desk);
    let mails = case["mail_list"].as_array().unwrap().iter();
    mails
        .map(|mail| {
            let text = |field: &str| mail[field].as_str().unwrap_or_default();
            format!("{} {}", text("kind"), text("sort")).trim_end().to_owned()
        })
        .collect()
}

/// Each letter since last asked as its kind and its reader, after the moment in which warnings are written.
fn sent(desk: &Desk) -> Vec<String> {
    desk.clock_to(&(desk.now() + jiff::SignedDuration::from_secs(1)).to_string());
    desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect()
}

const BOUNCED: &str = "bounced: 550 5.1.1 No such user (mx.example.com)";

/// The acknowledgement came back: Ada is warned once, and needs no relay besides.
#[track_caller]
fn assert_returned(desk: &Desk, reply: &str, how: &str) {
    desk.clock_to("2026-11-20T23:00:01Z");
    assert_eq!(state(desk, "EX-2026-0001.1"), ("returned".to_owned(), reply.to_owned()), "{how}");
    let warning = desk.letter();
    assert_eq!(
        (warning.kind.as_str(), warning.to.as_str(), warning.encrypted),
        ("warning", "ada@example.org", true)
    );
    let told = format!("the acknowledgement EX-2026-0001.1 to rita@example.net came back: {reply}");
    assert!(warning.text().contains(&told), "{how}: {}", warning.text());
    assert_eq!(kinds(desk), ["report", "bounce"], "{how}");
    assert_eq!(case(desk)["mail_list"][1]["pending"], false, "{how}");
    assert_eq!(case(desk)["letters"][0]["state"], "returned", "{how}");
    let line = format!("acknowledgement EX-2026-0001.1 to rita@example.net returned: {reply}");
    assert!(case(desk)["timeline"].as_array().unwrap().iter().any(|entry| entry["what"] == line), "{how}");
    assert_eq!(desk.cases().len(), 1, "{how}");
    assert_eq!(sent(desk), [""; 0], "{how}");
}

#[test]
fn by_the_id_of_its_envelope() {
    let (desk, acknowledgement, _) = desk_with_letters();
    desk.receives(&bounce(1, &acknowledgement));
    assert_returned(&desk, BOUNCED, "Original-Envelope-Id");
}

#[test]
fn by_the_header_that_came_back() {
    let (desk, acknowledgement, _) = desk_with_letters();
    let back = header_of(&acknowledgement);
    desk.receives(&report(1, DESK, "delivery-status", &[&delivery("", "failed"), &back]));
    assert_returned(&desk, BOUNCED, "text/rfc822-headers");
    // the whole letter, from a server that calls nothing by its name
    let (desk, acknowledgement, _) = desk_with_letters();
    let whole = String::from_utf8(acknowledgement.raw.clone()).unwrap().replace("\r\n", "\n");
    let back = format!("\nContent-Type: message/rfc822\n\n{whole}");
    desk.receives(&report(1, DESK, "delivery-status", &[&delivery("", "failed"), &back]));
    assert_returned(&desk, BOUNCED, "message/rfc822");
}

/// It says nothing of the letter but comes to the address that the letter was sent under.
#[test]
fn by_the_address_it_comes_to() {
    for noted in [false, true] {
        let (desk, acknowledgement, _) = desk_with_letters();
        let address = address(&acknowledgement);
        let to = if noted { "undisclosed-recipients:;".to_owned() } else { address.clone() };
        let mut mail = report(1, &to, "delivery-status", &[&delivery("", "failed")]);
        if noted {
            mail = format!("Delivered-To: {address}\n{mail}");
        }
        desk.receives(&mail);
        assert_returned(&desk, BOUNCED, &to);
    }
}

/// qmail has its own form, older than RFC 3464.
#[test]
fn in_a_form_for_people() {
    let (desk, acknowledgement, _) = desk_with_letters();
    desk.receives(&format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nTo: {DESK}\nSubject: failure notice\nMessage-ID: <q@mx.example.com>\n\n\
         Hi. This is the qmail-send program at mx.example.com.\nI'm afraid I wasn't able to deliver your message to the following \
         addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n<rita@example.net>:\n\
         Sorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n\
         Return-Path: <security@example.org>\nMessage-ID: {}\nSubject: Auto: we have your report\n\nHello,\n",
        acknowledgement.header("Message-ID").unwrap()
    ));
    assert_returned(&desk, "bounced: Sorry, no mailbox here by that name. (#5.1.1)", "qmail");
}

/// A person may try it again.
#[test]
fn a_letter_that_came_back_is_released() {
    let (desk, acknowledgement, _) = desk_with_letters();
    desk.receives(&bounce(1, &acknowledgement));
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
    desk.ask(&Question::Release("EX-2026-0001.1".to_owned()));
    // the very same letter: where letters lie in this test, it lies over the first
    assert_eq!(state(&desk, "EX-2026-0001.1").0, "sent");
    assert_eq!(case(&desk)["letters"].as_array().unwrap().len(), 2, "no new one");
}

/// It may still arrive.
#[test]
fn a_delay_changes_nothing() {
    let (desk, acknowledgement, _) = desk_with_letters();
    let before = state(&desk, "EX-2026-0001.1");
    let about = format!("Original-Envelope-Id: {}\n", envelope_id(&acknowledgement));
    for (number, action) in ["delayed", "relayed", "expanded", "delivered"].into_iter().enumerate() {
        desk.receives(&report(number as u32, DESK, "delivery-status", &[&delivery(&about, action)]));
        assert_eq!(state(&desk, "EX-2026-0001.1"), before, "{action}");
        assert!(!sent(&desk).contains(&"warning to ada@example.org".to_owned()), "{action}");
    }
    assert_eq!(kinds(&desk), ["report", "bounce", "bounce", "bounce", "bounce"]);
    assert!(case(&desk)["acknowledged_at"].is_string());
    // until it does not
    desk.receives(&bounce(9, &acknowledgement));
    assert_eq!(state(&desk, "EX-2026-0001.1").0, "returned");
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
}

/// What is said of a relay goes to nobody: that would be a relay again.
#[test]
fn a_delayed_relay_is_not_relayed() {
    let (desk, _, relay) = desk_with_letters();
    let about = format!("Original-Envelope-Id: {}\n", envelope_id(&relay));
    let back = header_of(&relay);
    for (number, to) in [DESK.to_owned(), address(&relay)].into_iter().enumerate() {
        let parts = [delivery(&about, "delayed"), back.clone()];
        let mail = report(number as u32, &to, "delivery-status", &[&parts[0], &parts[1]]);
        desk.receives(&format!("In-Reply-To: {}\n{mail}", relay.header("Message-ID").unwrap()));
        assert_eq!(sent(&desk), [""; 0], "{to}");
    }
    assert_eq!(kinds(&desk), ["report", "bounce", "bounce"]);
    assert_eq!(state(&desk, "EX-2026-0001.2").0, "sent");
}

/// What arrived is no news.
#[test]
fn a_delivery_is_not_relayed() {
    let (desk, acknowledgement, _) = desk_with_letters();
    let about = format!("Original-Envelope-Id: {}\n", envelope_id(&acknowledgement));
    for (number, action) in ["relayed", "expanded", "delivered"].into_iter().enumerate() {
        desk.receives(&report(number as u32, DESK, "delivery-status", &[&delivery(&about, action)]));
    }
    assert_eq!(sent(&desk), [""; 0]);
}

/// Servers say it more than once: one letter comes back once.
#[test]
fn a_second_word_about_it_warns_nobody_again() {
    let (desk, acknowledgement, _) = desk_with_letters();
    desk.receives(&bounce(1, &acknowledgement));
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
    for number in 2..5 {
        desk.receives(&bounce(number, &acknowledgement));
    }
    desk.clock_to("2026-11-21T02:00:00Z");
    let warnings = sent(&desk).iter().filter(|letter| letter.starts_with("warning")).count();
    assert_eq!(warnings, 0);
    assert_eq!(state(&desk, "EX-2026-0001.1").0, "returned");
}

/// Backscatter: somebody wrote to others in the desk's name. It is kept, and moves nothing.
#[test]
fn a_word_about_an_unknown_letter() {
    let (desk, _, _) = desk_with_letters();
    let outbox = desk.ask(&Question::Outbox);
    let unknown = "psirtd.00000000000000000000000000000000@example.org";
    let about = format!("Original-Envelope-Id: {unknown}\n");
    let back = format!(
        "\nContent-Type: message/rfc822\n\nFrom: {DESK}\nMessage-ID: <{unknown}>\nSubject: Cheap\n\nx\n"
    );
    let status = delivery(&about, "failed");
    desk.receives(&report(1, DESK, "delivery-status", &[&status, &back]));
    let address = "security+00000000000000000000000000000000@example.org";
    desk.receives(&report(2, address, "delivery-status", &[&delivery("", "failed")]));
    assert_eq!(desk.ask(&Question::Outbox), outbox);
    assert_eq!((sent(&desk), kinds(&desk), desk.cases().len()), (Vec::new(), vec!["report".to_owned()], 1));
    // they are in the digest: somebody may look
    desk.clock_to("2026-11-21T17:00:00Z");
    let digest = desk.letter().text();
    assert_eq!(digest.matches("(no case)  bounce").count(), 2, "{digest}");
}

/// The name of the case stands in every subject: whoever knows it knows no letter.
#[test]
fn a_forged_word_that_names_the_case_alone() {
    let (desk, _, _) = desk_with_letters();
    let outbox = desk.ask(&Question::Outbox);
    let about = "Original-Envelope-Id: EX-2026-0001.1\n";
    let back = "\nContent-Type: message/rfc822\n\nFrom: security@example.org\nSubject: Auto: [EX-2026-0001] we have your report\n\nHello,\n";
    let forged = report(1, DESK, "delivery-status", &[&delivery(about, "failed"), back])
        .replace("Subject: Undelivered", "Subject: [EX-2026-0001] Undelivered");
    desk.receives(&forged);
    assert_eq!(desk.ask(&Question::Outbox), outbox);
    assert_eq!((sent(&desk), kinds(&desk), desk.cases().len()), (Vec::new(), vec!["report".to_owned()], 1));
}

/// Rita's own id is no letter of the desk: her mail did not come back.
#[test]
fn a_forged_word_that_names_the_report() {
    let (desk, _, _) = desk_with_letters();
    let outbox = desk.ask(&Question::Outbox);
    let about = "Original-Envelope-Id: r-1@example.net\n";
    let back = "\nContent-Type: text/rfc822-headers\n\nMessage-ID: <r-1@example.net>\n";
    desk.receives(&report(1, DESK, "delivery-status", &[&delivery(about, "failed"), back]));
    assert_eq!(desk.ask(&Question::Outbox), outbox);
    assert_eq!(sent(&desk), [""; 0]);
}

/// Ada's mailbox is gone: every letter to her comes back, the warning about it, too.
#[test]
fn nothing_circles_when_a_coordinator_cannot_be_reached() {
    let (desk, _, relay) = desk_with_letters();
    let mut back = vec![relay];
    let mut letters = 0;
    for number in 0..50 {
        let Some(letter) = back.pop() else { break };
        desk.receives(&bounce(number, &letter));
        desk.clock_to(&(desk.now() + jiff::SignedDuration::from_hours(2)).to_string());
        let new = desk.letters();
        letters += new.len();
        back.extend(new);
    }
    assert!(back.is_empty(), "still bouncing");
    assert_eq!(state(&desk, "EX-2026-0001.2"), ("returned".to_owned(), BOUNCED.to_owned()));
    assert_eq!(state(&desk, "EX-DESK.1").0, "returned");
    assert_eq!((letters, desk.cases().len()), (1, 1), "one warning, which came back");
    assert_eq!(kinds(&desk), ["report", "bounce"]);
}

/// The same, from a server that tells it in words alone.
#[test]
fn nothing_circles_when_bounces_are_written_for_people() {
    let (desk, _, relay) = desk_with_letters();
    let mut back = vec![relay];
    let mut letters = 0;
    for number in 0..50 {
        let Some(letter) = back.pop() else { break };
        let to = letter.header("Reply-To").map_or(DESK.to_owned(), str::to_owned);
        desk.receives(&format!(
            "From: postmaster@mail.example.org\nTo: {to}\nSubject: Delivery failed\nMessage-ID: <back-{number}@mail.example.org>\n\
             In-Reply-To: {}\n\nYour message could not be delivered. 550 mailbox unavailable\n",
            letter.header("Message-ID").unwrap()
        ));
        desk.clock_to(&(desk.now() + jiff::SignedDuration::from_hours(2)).to_string());
        let new = desk.letters();
        letters += new.len();
        back.extend(new);
    }
    assert!(back.is_empty(), "still bouncing");
    assert!(letters <= 2, "{letters}");
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn a_receipt_is_no_news() {
    let (desk, acknowledgement, relay) = desk_with_letters();
    let outbox = desk.ask(&Question::Outbox);
    let receipt = |number: u32, letter: &Letter| {
        let about = format!(
            "\nContent-Type: message/disposition-notification\n\nReporting-UA: pc; Mail 1.0\n\
             Final-Recipient: rfc822; rita@example.net\nOriginal-Message-ID: {}\n\
             Disposition: manual-action/MDN-sent-manually; displayed\n",
            letter.header("Message-ID").unwrap()
        );
        report(number, DESK, "disposition-notification", &[&about])
            .replace("Undelivered Mail Returned to Sender", "Read: your mail")
            .replace("Mail Delivery System <MAILER-DAEMON@mx.example.com>", "rita@example.net")
    };
    for (number, letter) in [&acknowledgement, &relay].into_iter().enumerate() {
        desk.receives(&receipt(number as u32, letter));
    }
    assert_eq!(kinds(&desk), ["report", "automatic receipt", "automatic receipt"]);
    assert_eq!(desk.ask(&Question::Outbox), outbox);
    assert_eq!((sent(&desk), desk.cases().len()), (Vec::new(), 1));
}

/// Dovecot tells so that a filter threw the letter away: nobody will read it.
#[test]
fn what_a_machine_deleted_unread_came_back() {
    let (desk, acknowledgement, _) = desk_with_letters();
    let about = format!(
        "\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; rita@example.net\n\
         Original-Message-ID: {}\nDisposition: automatic-action/MDN-sent-automatically; deleted\n",
        acknowledgement.header("Message-ID").unwrap()
    );
    desk.receives(&report(1, DESK, "disposition-notification", &[&about]));
    assert_eq!(state(&desk, "EX-2026-0001.1").0, "returned");
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
}

/// Rita's reader took the acknowledgement for junk. It arrived; Ada hears of it.
#[test]
fn a_complaint() {
    let (desk, acknowledgement, relay) = desk_with_letters();
    let complaint = |number: u32, letter: &Letter| {
        let about = "\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: Loop/1.0\nVersion: 1\n";
        let back = format!(
            "\nContent-Type: message/rfc822\n\nFrom: {DESK}\nMessage-ID: {}\n\nHello,\n",
            letter.header("Message-ID").unwrap()
        );
        report(number, DESK, "feedback-report", &[about, &back])
            .replace("Undelivered Mail Returned to Sender", "complaint")
            .replace("MAILER-DAEMON@mx.example.com", "feedback@mx.example.com")
    };
    desk.receives(&complaint(1, &acknowledgement));
    assert_eq!(kinds(&desk), ["report", "automatic complaint"]);
    assert_eq!(state(&desk, "EX-2026-0001.1").0, "sent");
    let relayed = desk.letter();
    assert_eq!((relayed.kind.as_str(), relayed.to.as_str()), ("relay", "ada@example.org"));
    assert!(relayed.text().contains("Kind:        automatic (complaint)"), "{}", relayed.text());
    assert!(!relayed.text().contains("UNVERIFIED"), "{}", relayed.text());
    desk.receives(&complaint(2, &relay));
    assert_eq!(state(&desk, "EX-2026-0001.2").0, "sent");
    assert_eq!((kinds(&desk).len(), desk.cases().len()), (3, 1));
}

/// She encloses what the desk wrote to her. That is a report, and no server's word.
#[test]
fn a_person_who_forwards_an_acknowledgement() {
    let (desk, acknowledgement, _) = desk_with_letters();
    let whole = String::from_utf8(acknowledgement.raw.clone()).unwrap().replace("\r\n", "\n");
    for (number, subject) in ["Fwd: we have your report", "Is this really yours?"].into_iter().enumerate() {
        desk.receives(&format!(
            "From: Otto Other <otto@example.com>\nTo: {DESK}\nSubject: {subject}\nMessage-ID: <o-{number}@example.com>\n\
             MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"f\"\n\n--f\n\nI got this. What is it about? ({number})\n\
             --f\nContent-Type: message/rfc822\n\n{whole}\n--f--\n"
        ));
        assert_eq!(
            sent(&desk),
            ["acknowledgement to otto@example.com", "relay to ada@example.org"],
            "{subject}"
        );
        assert_eq!(desk.cases().len(), number + 2, "{subject}");
    }
    assert_eq!((kinds(&desk).len(), state(&desk, "EX-2026-0001.1").0.as_str()), (1, "sent"));
}

/// What came back is remembered as such, with an index made anew, too.
#[test]
fn it_lasts() {
    let (desk, acknowledgement, _) = desk_with_letters();
    desk.receives(&bounce(1, &acknowledgement));
    assert_eq!(sent(&desk), ["warning to ada@example.org"]);
    let before = (case(&desk), desk.ask(&Question::Outbox));
    desk.steps_aside();
    std::fs::remove_dir_all(desk.state().join("index")).unwrap();
    desk.comes_back();
    assert_eq!((case(&desk), desk.ask(&Question::Outbox)), before);
    desk.clock_to("2026-11-21T02:00:00Z");
    assert_eq!(desk.outgoing(), "no letters", "nor is she warned again");
}
