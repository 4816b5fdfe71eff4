//! The switch of the door for questions. What the door does is in `stories/looked_up.rs`; here nobody can be asked, for the
//! domain is one that nobody has (RFC 6761), so that the door gives up before it asks.

use super::desk::{Desk, encrypted_report, keys};
use crate::support::gpg::Gpg;
use psirtd::clock::Clock;
use psirtd::config::Config;

const AUTHOR: &str = "zoe.zimmermann@directory.invalid";
const SAID: &str = "no certificate looked up";

/// Delivers a report signed by a key that nobody knows, and waits until it is answered.
fn gets_a_report(desk: &Desk) {
    let gpg = Gpg::new();
    gpg.import(&keys().desk_public);
    gpg.generate(&format!("Zoe <{AUTHOR}>"));
    let mail = String::from_utf8(encrypted_report(&gpg, AUTHOR, "", "to be replaced")).unwrap();
    let (before, rest) = mail.split_once("-----BEGIN").unwrap();
    let (_, after) = rest.split_once("-----END PGP MESSAGE-----").unwrap();
    let inside = "Content-Type: text/plain; charset=utf-8\r\n\r\nIt crashes.\r\n";
    let signed = gpg.encrypt_sign(inside.as_bytes(), super::desk::DESK, AUTHOR);
    let signed = String::from_utf8(signed).unwrap().replace('\n', "\r\n");
    desk.deliver("signed", format!("{before}{signed}{after}").as_bytes());
    desk.await_cases(1);
    desk.await_letters();
    assert_eq!(desk.case(desk.cases()[0]["id"].as_str().unwrap())["mail_list"][0]["verdict"], "unknown-key");
}

#[test]
fn a_desk_that_may_look_up_does() {
    let desk = Desk::on_maildirs(&["ada"], "web_key_directory = true");
    desk.start();
    gets_a_report(&desk);
    desk.await_log(SAID);
    let log = desk.log();
    assert!(!log.contains("zoe") && !log.contains("Zoe"), "of whom, nobody need know: {log}");
    let line = log.lines().find(|line| line.contains(SAID)).unwrap();
    assert!(line.contains("its domain is private by definition"), "{line}");
    desk.stop();
}

/// By default, and when it is turned off, nobody is asked. The daemon ends in order: a question would have been heard of.
#[test]
fn a_desk_that_may_not_look_up_does_not() {
    for more in ["", "web_key_directory = false"] {
        let desk = Desk::on_maildirs(&["ada"], more);
        desk.start();
        gets_a_report(&desk);
        desk.stop();
        let log = desk.log();
        assert!(log.contains("mail recorded") && !log.contains(SAID) && !log.contains("directory"), "{log}");
    }
}

#[test]
fn the_switch_is_true_or_false() {
    let switched = |more: &str| {
        let desk = Desk::on_maildirs(&["ada"], more);
        Config::load(&desk.config(), Clock::System.now()).map(|config| config.look_up)
    };
    let switches = ["", "web_key_directory = false", "web_key_directory = true"];
    assert_eq!(switches.map(|more| switched(more).unwrap()), [false, false, true]);
    for (value, kind) in [("\"yes\"", "string"), ("1", "integer"), ("[true]", "array")] {
        let desk = Desk::on_maildirs(&["ada"], &format!("web_key_directory = {value}"));
        let (code, said, complaint) = desk.says(&["check"]);
        let place = format!("{}:7: desk.web_key_directory: ", desk.config().display());
        assert_eq!((code, said.as_str()), (2, ""));
        assert_eq!(complaint, format!("psirtd: {place}expected true or false, found {kind}\n"));
    }
}
