//! A mail that psirtd dies of, again and again: it must not keep the others out for ever.

use super::desk::{Desk, RITA, SOON, encrypted_report, keys, parts, report};
use crate::support::gpg::Gpg;
use crate::support::{name_in_the_note, wait_until};
use psirtd::open::digest;
use std::fs;

const WHY: &str = "unopened: psirtd died 3 times while it opened it; it is kept as received";

/// A report that takes a while to be opened: it unpacks to tens of megabytes, as much as a mail of its size may.
fn heavy(gpg: &Gpg) -> Vec<u8> {
    let report = encrypted_report(gpg, "paul@example.com", "", &"All of it matters.\r\n".repeat(3_000_000));
    let report = String::from_utf8(report).unwrap();
    let (header, entity) = report.split_once("MIME-Version: 1.0\r\n").unwrap();
    let unread = "unread\r\n".repeat(400_000);
    format!(
        "{header}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n--outer\r\n{entity}\r\n\
         --outer\r\nContent-Type: application/octet-stream\r\n\r\n{unread}\r\n--outer--\r\n"
    )
    .into_bytes()
}

/// Three times psirtd is killed while it opens one mail. At the fourth start the mail is recorded by its header, the
/// coordinator is told, and the mails beside it are recorded as ever.
#[test]
fn a_mail_that_kills_psirtd_is_recorded_unopened() {
    let gpg = Gpg::new();
    gpg.import(&keys().coordinators[0].0);
    gpg.import(&keys().desk_public);
    let desk = Desk::on_maildirs(&["ada"], "");
    let note = desk.state().join("opening");
    let poison = heavy(&gpg);
    // the desk has a key and a store
    desk.start();
    desk.await_log("psirtd is up");
    desk.stop();
    let name = name_in_the_note(&desk.config(), &poison);
    let digest = digest(&poison);
    let noted = || fs::read_to_string(&note).unwrap_or_default();
    desk.deliver("1-poison", &poison);
    for deaths in 1..=3 {
        desk.start();
        wait_until("it is being opened", SOON, || noted() == format!("{deaths} {name}\n"));
        desk.kill();
        // somebody writes meanwhile
        desk.deliver(
            &format!("{deaths}-report"),
            &report(RITA, "An ordinary report", &format!("Report {deaths}.")),
        );
        assert_eq!(noted(), format!("{deaths} {name}\n"), "it was killed while it opened it");
    }

    desk.start();
    desk.await_cases(4);
    desk.await_letters();
    assert_eq!(noted(), "");
    desk.await_log("psirtd died while it opened this mail: it is recorded unopened");
    let cases = desk.cases();
    let of = |reporter: &str| {
        let mine = cases.iter().filter(|case| case["reporter"] == reporter);
        mine.map(|case| desk.case(case["id"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let poisoned = of("paul@example.com");
    assert_eq!(poisoned.len(), 1);
    assert_eq!(poisoned[0]["mail_list"][0]["problem"], WHY);
    assert_eq!(poisoned[0]["mail_list"][0]["mail"], digest.as_str());
    assert!(poisoned[0]["acknowledged_at"].is_string(), "{}", poisoned[0]);
    let others = of(RITA);
    assert_eq!(others.len(), 3);
    for case in &others {
        assert_eq!(case["mail_list"][0]["problem"], serde_json::Value::Null);
        assert!(case["acknowledged_at"].is_string(), "{case}");
    }

    // Ada reads it; the mail itself goes with it, as it was received
    let relay = poisoned[0]["letters"].as_array().unwrap().iter().find(|letter| letter["kind"] == "relay");
    let file = format!("{}.eml", relay.unwrap()["id"].as_str().unwrap());
    let (_, raw) = desk.delivered().into_iter().find(|(name, _)| *name == file).unwrap();
    let text = String::from_utf8(gpg.decrypt(&parts(&raw)[1]).plaintext).unwrap().replace("=\r\n", "");
    assert!(text.contains("unopened: psirtd died 3 times while it"), "{text}");
    assert!(!text.contains("All of it matters"), "nothing of it was unpacked");

    desk.stop();
    desk.start();
    desk.await_log("psirtd is up");
    assert_eq!(desk.cases().len(), 4, "and that was all");
    desk.stop();
    let (code, _, complaint) = desk.says(&["journal", "verify"]);
    assert_eq!(code, 0, "{complaint}");
    assert_eq!(noted(), "");
}
