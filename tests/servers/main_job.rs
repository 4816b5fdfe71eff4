//! The main job: a hundred mails.

use super::desk::{
    ADA, BEN, DESK, Desk, Plan, SOON, count, encrypted_report, holds, keys, message_id, parts, report,
};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use std::time::Instant;

const REPORTERS: [&str; 5] =
    ["r0@example.net", "r1@example.net", "r2@example.net", "r3@example.net", "r4@example.net"];

fn canary(number: usize) -> String {
    format!("canary{number:03}hatched")
}

/// A server's word that a mail of the desk did not arrive.
fn bounce(number: usize) -> Vec<u8> {
    format!(
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: {DESK}\r\nSubject: Undelivered\r\n\
         Message-ID: {}\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\n\r\nNo such user. {}\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; x@example.net\r\n\
         Action: failed\r\nStatus: 5.1.1\r\n--b--\r\n",
        message_id(),
        canary(number)
    )
    .into_bytes()
}

/// Mail `number` of a hundred: even ones plain, odd ones encrypted, every tenth automatic.
fn mail(gpg: &Gpg, number: usize) -> Vec<u8> {
    let from = REPORTERS[number % REPORTERS.len()];
    let text = format!("A report with steps to reproduce. {}", canary(number));
    match (number % 2, number % 20) {
        (0, 0) => bounce(number),
        (0, _) => report(from, "A report", &text),
        (_, 1) => encrypted_report(gpg, from, "Auto-Submitted: auto-replied\r\n", &text),
        _ => encrypted_report(gpg, from, "", &text),
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_hundred_mails_become_ninety_cases_acknowledged_and_relayed() {
    let gpg = Gpg::new();
    gpg.import(&keys().desk_public);
    keys().coordinators.iter().for_each(|(secret, _)| gpg.import(secret));
    let imap = Dovecot::start();
    let users = [&[DESK, ADA, BEN], &REPORTERS[..]].concat();
    let smtp = Postfix::start(&imap, &users);
    let mails: Vec<Vec<u8>> = (0..100).map(|number| mail(&gpg, number)).collect();
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    desk.start();
    desk.await_log("inbox: connected");

    let began = Instant::now();
    for raw in &mails {
        imap.deliver(DESK, "INBOX", raw);
    }
    let acknowledgements = || REPORTERS.iter().map(|who| count(&imap, who, "INBOX")).sum::<usize>();
    wait_until("everybody has their mail", SOON, || {
        acknowledgements() >= 90 && count(&imap, ADA, "INBOX") >= 90 && count(&imap, BEN, "INBOX") >= 90
    });
    let letters_took = began.elapsed();
    wait_until("every mail is put away", SOON, || count(&imap, DESK, "Processed") >= 100);
    println!(
        "main job: 100 mails, 270 letters delivered after {letters_took:.2?}, all put away after {:.2?}, \
         peak memory {} MiB",
        began.elapsed(),
        desk.peak_memory()
    );

    desk.await_letters();
    let (code, cases, _) = desk.says(&["cases", "--json"]);
    let cases: Vec<serde_json::Value> = serde_json::from_str(&cases).unwrap();
    assert_eq!((code, cases.len()), (0, 90));
    assert!(cases.iter().all(|case| case["acknowledged_at"].is_string()));
    assert!(desk.outbox().iter().all(|letter| letter["state"] == "sent"));
    assert_eq!((count(&imap, DESK, "INBOX"), count(&imap, DESK, "Processed")), (0, 100));
    let (code, verified, complaint) = desk.says(&["journal", "verify"]);
    assert_eq!(code, 0, "{complaint}");
    assert!(verified.contains("chain intact"), "{verified}");

    // nothing that a report says is readable in any letter
    let mut acknowledgements = Vec::new();
    for who in REPORTERS {
        let got = imap.mails(who, "INBOX");
        acknowledgements.extend(got.into_iter().map(|(_, raw)| raw));
    }
    assert_eq!(acknowledgements.len(), 90);
    let relays = [ADA, BEN].map(|who| imap.mails(who, "INBOX"));
    assert_eq!(relays.each_ref().map(Vec::len), [90, 90]);
    let delivered = acknowledgements.iter().chain(relays.iter().flatten().map(|(_, raw)| raw));
    for raw in delivered {
        assert!(!holds(raw, "canary"), "in the clear: {}", String::from_utf8_lossy(raw));
    }
    let log = desk.log();
    assert!(!log.contains("canary") && !log.contains("example.net"), "the log tells too much");

    for raw in acknowledgements.iter().step_by(9) {
        let parts = parts(raw);
        let signature = &parts[1][parts[1].windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4..];
        let verified = gpg.verify(&parts[0], signature);
        assert_eq!(verified.good_signature_by().as_ref(), Some(&keys().desk_fingerprint));
    }
    for relays in &relays {
        for (_, raw) in relays.iter().step_by(18) {
            let opened = gpg.decrypt(&parts(raw)[1]);
            assert!(opened.encrypted_with_mdc_or_aead(), "{}", opened.status);
            assert_eq!(opened.good_signature_by().as_ref(), Some(&keys().desk_fingerprint));
            assert!(holds(&opened.plaintext, "canary"), "the relay has the report");
        }
    }
    desk.stop();
}
