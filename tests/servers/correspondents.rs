//! Who answers letters by machine, for real: Dovecot's Sieve as a reporter's mailbox, and another psirtd. Every exchange ends, and
//! its letters are counted when nothing is on its way any more.

use super::desk::{ADA, BEN, CARLA, DAN, DESK, Desk, NEIGHBOUR, Plan, RITA, SOON, count, message_id, report};
use crate::support::dovecot::{self, Dovecot};
use crate::support::postfix::{self, Postfix};
use crate::support::wait_until;
use serde_json::Value;
use std::collections::BTreeMap;

const VERA: &str = "vera@example.net";
/// Mail to this address reaches Vera.
const ALIAS: &str = "v.ation@example.net";

const USERS: [&str; 8] = [DESK, ADA, BEN, RITA, VERA, NEIGHBOUR, CARLA, DAN];

/// What removes the marks of machines: nothing; a gateway in front of Vera's script; every server, from every mail; both.
const WAYS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// The desk, and somebody with a script. `gateway`, `servers`: these remove the marks of machines.
fn town_of(user: &str, script: &str, (gateway, servers): (bool, bool)) -> Town {
    let mut imap = Dovecot::builder().sieve(user, script);
    let mut smtp = Postfix::builder().alias(ALIAS, VERA);
    if gateway {
        imap = imap.behind_a_gateway();
    }
    if servers {
        smtp = smtp.without_marks();
    }
    Town::new(imap, smtp)
}

fn town_of_vera(script: &str, way: (bool, bool)) -> Town {
    town_of(VERA, script, way)
}

/// Mail servers, and the desks that write to each other over them.
struct Town {
    desks: Vec<(&'static str, Desk)>, // before the servers: dropped in this order
    smtp: Postfix,
    imap: Dovecot,
}

impl Town {
    /// With the desk security@example.org.
    fn new(imap: dovecot::Builder, smtp: postfix::Builder) -> Town {
        Town::without_desk(imap, smtp).and(|plan| plan)
    }

    fn without_desk(imap: dovecot::Builder, smtp: postfix::Builder) -> Town {
        let imap = imap.start();
        let smtp = smtp.start(&imap, &USERS);
        Town { desks: Vec::new(), smtp, imap }
    }

    /// A further desk, and how it is set up.
    fn and(mut self, change: impl FnOnce(Plan) -> Plan) -> Town {
        let plan = change(Plan::of(&self.imap, &self.smtp));
        let desk = Desk::new(&plan);
        desk.start();
        self.desks.push((plan.desk, desk));
        self
    }

    /// A mail is handed in, and everything that follows from it has happened.
    #[track_caller]
    fn sends(&self, from: &str, to: &str, mail: &[u8]) {
        self.smtp.hand_in(from, to, mail);
        wait_until("everything is quiet", SOON * 2, || self.is_quiet());
    }

    /// Somebody reports to the first desk.
    #[track_caller]
    fn reports(&self, from: &str) {
        let mail = String::from_utf8(report(from, "Heap overflow", "It crashes.")).unwrap();
        let (_return_path, mail) = mail.split_once("\r\n").unwrap();
        self.sends(from, DESK, mail.as_bytes());
    }

    /// No mail waits at Postfix or in a desk's INBOX, no letter in an outbox, and none of them was on its way from one of these
    /// places to another meanwhile: it would have been counted.
    fn is_quiet(&self) -> bool {
        let before = self.counted();
        let idle = |(address, desk): &(&str, Desk)| {
            let outbox = desk.outbox();
            let any = |key: &str, value: &str| outbox.iter().any(|letter| letter[key] == value);
            // what came back is told, a moment later
            let told = !any("state", "returned") || any("kind", "warning");
            count(&self.imap, address, "INBOX") == 0 && !any("state", "active") && told
        };
        self.smtp.is_idle() && self.desks.iter().all(idle) && before == self.counted()
    }

    /// The mails of everybody, and the letters of every desk.
    fn counted(&self) -> (Vec<usize>, Vec<Vec<Value>>) {
        let of = |user: &&str| ["INBOX", "Processed"].map(|folder| count(&self.imap, user, folder));
        let mails = USERS.iter().flat_map(of).collect();
        (mails, self.desks.iter().map(|(_, desk)| desk.outbox()).collect())
    }

    /// How many mails lie in somebody's INBOX.
    fn has(&self, user: &str) -> usize {
        count(&self.imap, user, "INBOX")
    }

    /// What a desk has taken in, in that order: kind, author, case, and why there was no answer. Nothing was left in the mailbox,
    /// nothing was lost.
    #[track_caller]
    fn recorded(&self, desk: usize) -> Vec<String> {
        let (address, desk) = &self.desks[desk];
        let (code, journal, complaint) = desk.says(&["journal", "export"]);
        assert_eq!(code, 0, "{complaint}");
        let records = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events = records.flat_map(|record| record["events"].as_array().unwrap().clone());
        let mails: Vec<Value> = events.filter(|event| event["event"] == "mail-recorded").collect();
        assert_eq!(count(&self.imap, address, "Processed"), mails.len(), "every mail is recorded once");
        mails.iter().map(told).collect()
    }

    /// How many letters of which kind a desk sent to whom, and how many came back. None is held, but for those that a rule
    /// keeps back.
    #[track_caller]
    fn letters(&self, desk: usize) -> Vec<String> {
        let mut letters = BTreeMap::<String, usize>::new();
        for letter in self.desks[desk].1.outbox().iter().filter(|letter| letter["withheld"] == false) {
            let came_back = if letter["state"] == "returned" { " came back" } else { "" };
            assert!(letter["state"] == "sent" || !came_back.is_empty(), "{letter}");
            let letter = format!("{} to {}{came_back}", text(&letter["kind"]), text(&letter["to"]));
            *letters.entry(letter).or_default() += 1;
        }
        letters.iter().map(|(what, count)| format!("{count} {what}")).collect()
    }

    /// What Vera's script did, a line a mail.
    fn script_log(&self) -> String {
        self.imap.scripted().unwrap().log()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("none")
}

/// `report of rita@example.net: case 1, answered`
fn told(mail: &Value) -> String {
    let case = text(&mail["case"]).rsplit('-').next().unwrap().trim_start_matches('0');
    let answer =
        mail["why_no_answer"].as_str().map_or("answered".to_owned(), |why| format!("no answer: {why}"));
    format!("{} of {}: case {case}, {answer}", text(&mail["kind"]), text(&mail["from"]["address"]))
}

/// A mail from a person to another.
fn letter(from: &str, to: &str, text: &str) -> Vec<u8> {
    format!("From: {from}\r\nTo: {to}\r\nSubject: {text}\r\nMessage-ID: {}\r\n\r\n{text}", message_id())
        .into_bytes()
}

const AWAY: &str = r#"require "vacation"; vacation "I am away.";"#;
const ONCE: [&str; 3] =
    ["1 acknowledgement to vera@example.net", "1 relay to ada@example.org", "1 relay to ben@example.org"];
const AND_TOLD: [&str; 3] =
    ["1 acknowledgement to vera@example.net", "2 relay to ada@example.org", "2 relay to ben@example.org"];

/// Rita's mail it does answer.
#[test]
fn a_vacation_responder_leaves_an_acknowledgement_alone() {
    let town = town_of_vera(AWAY, (false, false));
    town.reports(VERA);
    assert_eq!(town.recorded(0), ["report of vera@example.net: case 1, answered"]);
    assert_eq!(town.letters(0), ONCE);
    assert!(town.script_log().contains("discarding vacation response to auto-submitted message"));
    town.sends(RITA, VERA, &letter(RITA, VERA, "Lunch?"));
    assert_eq!((town.has(VERA), town.has(RITA)), (2, 1), "the acknowledgement, and lunch; Vera is away");
    assert_eq!(town.letters(0), ONCE);
}

/// The coordinators hear of it, because it answers the acknowledgement, and that is all.
#[test]
fn a_vacation_responder_that_does_not_see_what_it_answers_is_not_answered() {
    for way in &WAYS[1..] {
        let town = town_of_vera(AWAY, *way);
        town.reports(VERA);
        assert!(town.script_log().contains("sent vacation response to <security@example.org>"));
        assert_eq!(
            town.recorded(0),
            [
                "report of vera@example.net: case 1, answered",
                "automatic of vera@example.net: case 1, no answer: null return-path"
            ]
        );
        assert_eq!((town.letters(0), town.has(VERA)), (AND_TOLD.map(str::to_owned).to_vec(), 1));
    }
}

/// It answers every mail, without a pause, in words of its own.
#[test]
fn a_vacation_responder_that_answers_everything_gets_an_acknowledgement_a_report() {
    let script = "require [\"vacation\", \"vacation-seconds\"];\n\
        vacation :seconds 0 :mime :subject \"Thank you for your mail\" text:\n\
        Content-Type: text/plain\n\nI shall read it.\n.\n;";
    let town = town_of_vera(script, (true, true));
    for _ in 0..3 {
        town.reports(VERA);
    }
    let exchange = |case| {
        [
            format!("report of vera@example.net: case {case}, answered"),
            format!("automatic of vera@example.net: case {case}, no answer: null return-path"),
        ]
    };
    assert_eq!(town.recorded(0), (1..=3).flat_map(exchange).collect::<Vec<_>>());
    assert_eq!(
        town.letters(0),
        ["3 acknowledgement to vera@example.net", "6 relay to ada@example.org", "6 relay to ben@example.org"]
    );
    assert_eq!(town.has(VERA), 3);
}

/// The acknowledgement goes to the alias, and the answer comes from there.
#[test]
fn a_report_sent_by_an_alias() {
    let script =
        format!(r#"require "vacation"; vacation :addresses "{ALIAS}" :from "{ALIAS}" "I am away.";"#);
    for way in WAYS {
        let town = town_of_vera(&script, way);
        town.reports(ALIAS);
        let mut recorded = vec!["report of v.ation@example.net: case 1, answered"];
        if way != (false, false) {
            recorded.push("automatic of v.ation@example.net: case 1, no answer: null return-path");
        }
        let relays = recorded.len();
        assert_eq!(town.recorded(0), recorded, "{way:?}");
        assert_eq!(
            town.letters(0),
            [
                "1 acknowledgement to v.ation@example.net".to_owned(),
                format!("{relays} relay to ada@example.org"),
                format!("{relays} relay to ben@example.org")
            ],
            "{way:?}"
        );
        assert_eq!(town.has(VERA), 1, "the acknowledgement");
    }
}

/// Everything that a Sieve script can send to the desk for each mail that reaches Vera: what the desk records of it, how many
/// relays there are to each coordinator, and how many mails Vera keeps.
#[test]
fn what_scripts_do_with_an_acknowledgement_causes_no_other() {
    const FORWARD: &str = r#"redirect "security@example.org";"#;
    const FORWARD_WITHOUT_IDS: &str = r#"require "editheader"; deleteheader "Message-ID"; deleteheader "References";
        deleteheader "In-Reply-To"; redirect "security@example.org";"#;
    const NOTIFY: &str = r#"require "enotify"; notify "mailto:security@example.org";"#;
    const REJECT: &str = r#"require "reject"; reject "I take no mail.";"#;
    let table = [
        (
            FORWARD,
            (false, false),
            "automatic of security@example.org: case 1, no answer: a letter of our own",
            1,
            0,
        ),
        (
            FORWARD,
            (true, true),
            "reply of security@example.org: case 1, no answer: a letter of our own",
            1,
            0,
        ),
        (
            FORWARD_WITHOUT_IDS,
            (false, false),
            "automatic of security@example.org: case 1, no answer: auto-submitted: auto-replied",
            1,
            0,
        ),
        (
            FORWARD_WITHOUT_IDS,
            (true, true),
            "reply of security@example.org: case 1, no answer: from the desk itself",
            2,
            0,
        ),
        (NOTIFY, (false, false), "", 1, 1),
        (
            NOTIFY,
            (true, false),
            "automatic of postmaster@example.net: case none, no answer: auto-submitted: auto-notified",
            1,
            1,
        ),
        (
            NOTIFY,
            (true, true),
            "report of postmaster@example.net: case 2, no answer: robot address: postmaster",
            2,
            1,
        ),
        (REJECT, (false, false), "", 1, 0),
        (
            REJECT,
            (true, false),
            "bounce of postmaster@example.net: case 1, no answer: null return-path",
            1,
            0,
        ),
        (REJECT, (true, true), "bounce of postmaster@example.net: case 1, no answer: null return-path", 1, 0),
    ];
    for (script, way, sent, relays, kept) in table {
        let town = town_of_vera(script, way);
        town.reports(VERA);
        let mut recorded = vec!["report of vera@example.net: case 1, answered"];
        recorded.extend(Some(sent).filter(|sent| !sent.is_empty()));
        assert_eq!(town.recorded(0), recorded, "{script} {way:?}");
        let mut letters = ["ada", "ben"].map(|who| format!("{relays} relay to {who}@example.org")).to_vec();
        let mut acknowledgement = ONCE[0].to_owned();
        if sent.starts_with("bounce") {
            acknowledgement.push_str(" came back");
            letters.extend(["ada", "ben"].map(|who| format!("1 warning to {who}@example.org")));
        }
        assert_eq!(town.letters(0), [vec![acknowledgement], letters].concat(), "{script} {way:?}");
        assert_eq!(town.has(VERA), kept, "{script} {way:?}");
    }
}

/// Her address leads nowhere by now: Postfix takes the acknowledgement, and later says that it could not deliver it. The
/// coordinators hear which one.
#[test]
fn a_word_that_an_acknowledgement_did_not_arrive_is_not_answered() {
    let town = Town::new(Dovecot::builder(), Postfix::builder().alias(ALIAS, "gone@example.net"));
    town.reports(ALIAS);
    let recorded = town.recorded(0);
    assert_eq!(recorded[0], "report of v.ation@example.net: case 1, answered");
    assert!(recorded[1].starts_with("bounce of MAILER-DAEMON@mx.example.org: case 1, "), "{recorded:?}");
    assert_eq!((recorded.len(), town.desks[0].1.cases().len()), (2, 1), "{recorded:?}");
    assert_eq!(
        town.letters(0),
        [
            "1 acknowledgement to v.ation@example.net came back",
            "1 relay to ada@example.org",
            "1 relay to ben@example.org",
            "1 warning to ada@example.org",
            "1 warning to ben@example.org"
        ]
    );
}

/// Ben's mailbox answers relays: in their thread, so that nobody is told.
#[test]
fn a_coordinator_is_away() {
    for way in WAYS {
        let town = town_of(BEN, AWAY, way);
        town.reports(RITA);
        let mut recorded = vec!["report of rita@example.net: case 1, answered"];
        if way != (false, false) {
            recorded.push("automatic of ben@example.org: case 1, no answer: null return-path");
        }
        assert_eq!(town.recorded(0), recorded, "{way:?}");
        assert_eq!(town.letters(0)[1..], ONCE[1..], "{way:?}");
    }
}

/// Another desk reports, by the hand of a person: it gets an acknowledgement, which says what it is.
#[test]
fn two_desks_write_to_each_other() {
    let town = Town::new(Dovecot::builder(), Postfix::builder()).and(|plan| Plan { desk: NEIGHBOUR, ..plan });
    town.reports(NEIGHBOUR);
    assert_eq!(town.recorded(0), ["report of security@example.net: case 1, answered"]);
    assert_eq!(
        town.letters(0),
        [
            "1 acknowledgement to security@example.net",
            "1 relay to ada@example.org",
            "1 relay to ben@example.org"
        ]
    );
    assert_eq!(
        town.recorded(1),
        ["automatic of security@example.org: case none, no answer: auto-submitted: auto-replied"]
    );
    assert_eq!(town.letters(1), [""; 0]);
    assert_eq!([ADA, BEN, CARLA, DAN].map(|who| town.has(who)), [1, 1, 0, 0]);
}

/// The same, where no server lets a mark pass, or not even which mail is answered: the neighbour takes the acknowledgement for a
/// report, and what it answers is a follow-up, for its thread is signed.
#[test]
fn two_desks_that_cannot_see_what_the_other_is() {
    for smtp in [Postfix::builder().without_marks(), Postfix::builder().without_marks().without_threads()] {
        let town = Town::new(Dovecot::builder(), smtp).and(|plan| Plan { desk: NEIGHBOUR, ..plan });
        town.reports(NEIGHBOUR);
        assert_eq!(
            town.recorded(0),
            [
                "report of security@example.net: case 1, answered",
                "reply of security@example.net: case 1, no answer: follow-up of a case"
            ]
        );
        assert_eq!(
            town.letters(0),
            [
                "1 acknowledgement to security@example.net",
                "2 relay to ada@example.org",
                "2 relay to ben@example.org"
            ]
        );
        assert_eq!(town.recorded(1), ["report of security@example.org: case 1, answered"]);
        assert_eq!(
            town.letters(1),
            [
                "1 acknowledgement to security@example.org",
                "1 relay to carla@example.net",
                "1 relay to dan@example.net"
            ]
        );
        assert_eq!([ADA, BEN, CARLA, DAN].map(|who| town.has(who)), [2, 2, 1, 1]);
    }
}

/// Vera's script sends a new mail in her name for every mail she gets, which is no answer to anything, and no server lets a mark
/// pass. Nothing tells it from a report.
#[test]
fn a_script_that_nothing_gives_away_meets_the_limit() {
    let script = r#"require "enotify"; notify :from "vera@example.net" :message "Thank you for your mail"
        "mailto:security@example.org";"#;
    let imap = Dovecot::builder().sieve(VERA, script).behind_a_gateway();
    let town = Town::without_desk(imap, Postfix::builder().without_marks())
        .and(|plan| Plan { more: "[limits]\nper_address_per_day = 5\n", ..plan });
    town.reports(VERA);
    assert_eq!(town.has(VERA), 5, "acknowledgements");
    let recorded = town.recorded(0);
    let every_mail_is_a_report = (1..=6).map(|case| format!("report of vera@example.net: case {case}"));
    assert!(
        recorded.iter().map(|mail| mail.split(',').next().unwrap()).eq(every_mail_is_a_report),
        "{recorded:?}"
    );
    let letters = town.desks[0].1.outbox();
    let relays = letters.iter().filter(|letter| letter["kind"] == "relay" && letter["state"] == "sent");
    assert_eq!(relays.count(), 12, "six to each coordinator");
}
