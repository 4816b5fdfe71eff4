//! Configurations and mails that are wrong. After each mail the desk is still well, and the mail is not lost.

use super::desk::{DESK, Desk, Plan, RITA, SOON, USERS, count, message_id, report};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use std::fs;

/// A desk whose servers do not matter.
fn desk() -> Desk {
    Desk::new(&Plan::scripted(1, 1))
}

/// The line of the configuration that has this text, as error messages name it.
fn place(desk: &Desk, text: &str) -> String {
    let config = desk.config();
    let line = fs::read_to_string(&config).unwrap().lines().position(|line| line.contains(text)).unwrap();
    format!("{}:{}:", config.display(), line + 1)
}

/// `run` and `check` both refuse that configuration; returns the lines of the complaint.
fn refused(desk: &Desk) -> Vec<String> {
    let (code, said, complaint) = desk.says(&["run"]);
    assert_eq!((code, said.as_str()), (2, ""), "{complaint}");
    assert_eq!(desk.says(&["check"]), (code, said, complaint.clone()), "check says the same");
    assert!(!desk.dir().join("state").exists(), "nothing was begun");
    complaint.trim_start_matches("psirtd: ").lines().map(str::to_owned).collect()
}

fn edit(desk: &Desk, from: &str, to: &str) {
    let text = fs::read_to_string(desk.config()).unwrap();
    assert!(text.contains(from));
    desk.write("psirtd.toml", text.replace(from, to).as_bytes());
}

/// A key for the desk that expired years ago.
fn expired_key() -> Vec<u8> {
    let gpg = Gpg::new();
    let user = format!("Old <{DESK}>");
    let key = ["--quick-generate-key", &user, "ed25519", "cert,sign", "2d"];
    gpg.command(&[&["--faked-system-time", "20200101T000000!"], &key[..]].concat());
    gpg.export_secret(DESK)
}

#[test]
fn an_unknown_key() {
    let desk = desk();
    edit(&desk, "case_prefix", "case_prefiks");
    let complaint = refused(&desk);
    assert_eq!(complaint.len(), 1, "{complaint:?}");
    let place = place(&desk, "case_prefiks");
    assert!(complaint[0].starts_with(&format!("{place} desk.case_prefiks: unknown key")), "{complaint:?}");
}

#[test]
fn a_key_file_that_is_missing() {
    let desk = desk();
    edit(&desk, "desk.key.asc", "nowhere.asc");
    let complaint = refused(&desk);
    assert_eq!(complaint.len(), 1, "{complaint:?}");
    assert!(complaint[0].starts_with(&place(&desk, "nowhere.asc")), "{complaint:?}");
    assert!(complaint[0].contains("desk.key:") && complaint[0].contains("nowhere.asc: No such file"));
}

#[test]
fn a_desk_key_that_has_expired() {
    let desk = desk();
    desk.write("desk.key.asc", &expired_key());
    let complaint = refused(&desk);
    assert_eq!(complaint.len(), 1, "{complaint:?}");
    assert!(complaint[0].starts_with(&place(&desk, "desk.key.asc")), "{complaint:?}");
    assert!(complaint[0].contains("expired on 2020-01-03"), "{complaint:?}");
    assert!(complaint[0].contains("gpg --quick-set-expire"), "it says what to do: {complaint:?}");
}

#[test]
fn all_errors_of_a_configuration_at_once() {
    let desk = desk();
    desk.write("desk.key.asc", &expired_key());
    edit(&desk, "case_prefix", "case_prefiks");
    edit(&desk, "poll = \"60s\"", "poll = \"soon\"");
    edit(&desk, "imap.password", "nowhere.password");
    let complaint = refused(&desk);
    let wrong = ["case_prefiks", "desk.key.asc", "nowhere.password", "poll"];
    assert_eq!(complaint.len(), wrong.len(), "{complaint:#?}");
    for (complaint, text) in complaint.iter().zip(wrong) {
        assert!(complaint.starts_with(&place(&desk, text)), "{text}: {complaint}");
    }
}

/// A user without a password would be no login at all; the complaint stands where the mistake is, and is not repeated.
#[test]
fn half_a_login() {
    let desk = desk();
    edit(&desk, "[outbox.smtp]", "[outbox.smtp]\nuser = \"security@example.org\"");
    edit(&desk, "password = { file = \"imap.password\" }", "");
    let complaint = refused(&desk);
    assert_eq!(complaint.len(), 2, "{complaint:#?}");
    for (complaint, door) in complaint.iter().zip(["inbox.imap", "outbox.smtp"]) {
        let place = place(&desk, &format!("[{door}]"));
        assert!(complaint.starts_with(&format!("{place} {door}.password: missing;")), "{complaint}");
    }
}

#[test]
fn no_tls_on_the_way_to_another_machine() {
    let desk = desk();
    edit(&desk, "127.0.0.1", "192.0.2.1");
    let complaint = refused(&desk);
    assert_eq!(complaint.len(), 2, "both doors: {complaint:?}");
    for (complaint, key) in complaint.iter().zip(["inbox.imap.tls:", "outbox.smtp.tls:"]) {
        assert!(complaint.contains(key) && complaint.contains("loopback addresses only"), "{complaint}");
    }
}

struct House {
    imap: Dovecot,
    desk: Desk,
    _smtp: Postfix,
}

fn house() -> House {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    desk.start();
    House { imap, desk, _smtp: smtp }
}

impl House {
    /// Takes the mail in, as one case that reaches the coordinators; afterwards all is well. Returns the case.
    #[track_caller]
    fn survives(&self, what: &str, raw: &[u8]) -> serde_json::Value {
        let House { imap, desk, .. } = self;
        imap.deliver(DESK, "INBOX", raw);
        desk.await_cases(1);
        desk.await_letters();
        let case = desk.cases().remove(0);
        let relays = desk.outbox().into_iter().filter(|letter| letter["kind"] == "relay");
        assert_eq!(relays.filter(|letter| letter["state"] == "sent").count(), 2, "{what}");
        wait_until("it is put away", SOON, || count(imap, DESK, "Processed") == 1);
        assert!(imap.mails(DESK, "Processed")[0].1 == raw, "{what}: the mail is as it was");
        desk.serves(imap);
        self.well(what);
        desk.case(case["id"].as_str().unwrap())
    }

    #[track_caller]
    fn well(&self, what: &str) {
        let (code, said, complaint) = self.desk.says(&["journal", "verify"]);
        assert_eq!(code, 0, "{what}: {said}{complaint}");
        assert!(!self.desk.log().contains("a bug in psirtd"), "{what}");
        println!("{what}: peak memory {} MiB", self.desk.peak_memory());
    }
}

#[test]
fn a_mail_of_60_megabytes_is_not_fetched() {
    let house = house();
    let House { imap, desk, .. } = &house;
    let line = [&[b'x'; 998][..], b"\r\n"].concat();
    let large = [report(RITA, "Large", ""), line.repeat(60_000)].concat();
    assert!(large.len() > 60_000_000);
    imap.deliver(DESK, "INBOX", &large);
    desk.await_cases(1);
    wait_until("it is flagged", SOON, || {
        imap.mails(DESK, "INBOX").iter().any(|(path, _)| path.to_str().unwrap().ends_with(":2,F"))
    });
    assert_eq!((count(imap, DESK, "INBOX"), count(imap, DESK, "Processed")), (1, 0));
    let case = desk.cases().remove(0);
    assert_eq!(case["subject"], "Large");
    let case = desk.case(case["id"].as_str().unwrap());
    assert!(case["mail_list"][0]["problem"].as_str().unwrap().contains("more than the limit"), "{case}");
    desk.serves(imap);
    assert!(desk.peak_memory() < 300, "{} MiB", desk.peak_memory());
    house.well("a mail of 60 MB");
}

#[test]
fn an_empty_mail() {
    let case = house().survives("an empty mail", b"");
    assert!(case["acknowledged_at"].is_null(), "there is nobody to answer: {case}");
}

#[test]
fn a_mail_of_one_line_of_20_megabytes() {
    let raw = report(RITA, "One line", &"x".repeat(20_000_000));
    let case = house().survives("a line of 20 MB", &raw);
    assert!(case["acknowledged_at"].is_string(), "{case}");
}

#[test]
fn a_mail_without_from() {
    let raw = format!("Subject: Anonymous\r\nMessage-ID: {}\r\n\r\nIt crashes.\r\n", message_id());
    let case = house().survives("a mail without From", raw.as_bytes());
    assert_eq!(case["not_acknowledged"], "From names 0 mailboxes");
}

#[test]
fn a_mail_with_nul_bytes_and_8_bit_garbage() {
    let garbage: Vec<u8> =
        (0..=255).cycle().take(20_000).filter(|byte| ![b'\r', b'\n'].contains(byte)).collect();
    let mut raw = report(RITA, "Garbage \u{1}\u{7f} \u{fffd}", "");
    raw.extend(garbage.chunks(500).flat_map(|line| [line, b"\r\n"].concat()));
    let case = house().survives("NUL and 8 bit", &raw);
    assert!(case["acknowledged_at"].is_string(), "{case}");
}

#[test]
fn a_mail_of_2000_parts() {
    let part = "--b\r\nContent-Type: text/plain\r\n\r\na part\r\n";
    let raw = format!(
        "From: {RITA}\r\nSubject: Parts\r\nMessage-ID: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n{}--b--\r\n",
        message_id(),
        part.repeat(2000)
    );
    let case = house().survives("2,000 parts", raw.as_bytes());
    assert!(case["mail_list"][0]["problem"].as_str().unwrap().contains("more than 500 parts"), "{case}");
}
