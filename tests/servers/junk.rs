//! What the provider's filter took for spam: it lies in a folder of its own, or bears a keyword. A report may be among it.

use super::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, USERS, count, flags, report};
use crate::support::dovecot::Dovecot;
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

const JUNK: &str = "Junk";
/// Whose reports the filter does not like.
const SAM: &str = "sam@example.net";
const WHY: &str = "marked as junk";

struct House {
    desk: Desk, // before the servers: dropped in this order
    _smtp: Postfix,
    imap: Dovecot,
}

/// A running desk that reads the folder for junk, too. It looks often: Dovecot does not always tell a client that begins to idle
/// of a mail that is handed in at this very moment.
fn house(change: impl FnOnce(Plan) -> Plan) -> House {
    let imap = Dovecot::start();
    // all that is made at a first visit: two first visits at once are too much for Dovecot's locks
    let mut client = Client::new(&imap);
    client.says("a SELECT Junk\r\nb CREATE Processed\r\nc SELECT INBOX", "c OK");
    let smtp = Postfix::start(&imap, &[&USERS[..], &[SAM]].concat());
    let desk = Desk::new(&change(Plan { junk: Some(JUNK), poll: "1s", ..Plan::of(&imap, &smtp) }));
    desk.start();
    House { desk, _smtp: smtp, imap }
}

impl House {
    fn condemns(&self, mail: &[u8]) {
        self.imap.deliver(DESK, JUNK, mail);
    }

    fn has(&self, user: &str, mails: usize) {
        wait_until(&format!("{user} has {mails}"), SOON, || count(&self.imap, user, "INBOX") == mails);
    }

    /// How many mails the desk has in INBOX, in the folder for junk, and put away.
    fn folders(&self) -> [usize; 3] {
        ["INBOX", JUNK, "Processed"].map(|folder| count(&self.imap, DESK, folder))
    }

    /// The one case of a reporter.
    #[track_caller]
    fn case_of(&self, reporter: &str) -> Value {
        let mut cases = self.desk.cases();
        cases.retain(|case| case["reporter"] == reporter);
        assert_eq!(cases.len(), 1, "{reporter}: {cases:?}");
        self.desk.case(cases[0]["id"].as_str().unwrap())
    }

    fn releases(&self, letter: &Value) -> (i32, String, String) {
        self.desk.says(&["outbox", "release", letter["id"].as_str().unwrap()])
    }
}

/// The letters of a case: kind, to whom, state.
fn letters(case: &Value) -> Vec<String> {
    let text = |letter: &Value, key: &str| letter[key].as_str().unwrap().to_owned();
    let letters = case["letters"].as_array().unwrap().iter();
    letters.map(|letter| ["kind", "to", "state"].map(|key| text(letter, key)).join(" ")).collect()
}

fn as_junk_is(reporter: &str) -> [String; 3] {
    [format!("acknowledgement {reporter} held"), format!("relay {ADA} sent"), format!("relay {BEN} sent")]
}

/// A mail program of somebody else who reads the mailbox.
struct Client {
    stream: TcpStream,
    said: BufReader<TcpStream>,
}

impl Client {
    fn new(imap: &Dovecot) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", imap.imap_port)).unwrap();
        let said = BufReader::new(stream.try_clone().unwrap());
        let mut client = Client { stream, said };
        client.says(&format!("a LOGIN {DESK} secret"), "a OK");
        client
    }

    /// Sends a line and waits for the beginning of the answer.
    fn says(&mut self, line: &str, answer: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        while !said.starts_with(answer) {
            said.clear();
            assert!(self.said.read_line(&mut said).unwrap() > 0, "no {answer} to {line}");
        }
    }
}

/// Hands a mail in over IMAP, with these flags from the start.
fn append(imap: &Dovecot, folder: &str, flags: &str, mail: &[u8]) {
    let mut client = Client::new(imap);
    client.says(&format!("b APPEND {folder} ({flags}) {{{}}}", mail.len()), "+");
    client.says(std::str::from_utf8(mail).unwrap(), "b OK");
}

#[test]
fn a_report_in_the_folder_for_junk_is_a_case_that_waits_for_a_persons_word() {
    let house = house(|plan| plan);
    let House { desk, imap, .. } = &house;
    house.condemns(&report(SAM, "Heap overflow", "It crashes."));
    desk.await_cases(1);
    desk.await_letters();
    let case = house.case_of(SAM);
    assert_eq!(case["mail_list"][0]["kind"], "junk");
    assert_eq!((&case["not_acknowledged"], &case["acknowledged_at"]), (&WHY.into(), &Value::Null));
    assert_eq!(letters(&case), as_junk_is(SAM));
    house.has(ADA, 1);
    house.has(BEN, 1);
    wait_until("it is marked", SOON, || flags(imap, JUNK) == ["S"]);
    assert_eq!(house.folders(), [0, 1, 0]);

    // what follows is seen in both folders, so that the old mail was seen, too
    desk.stop();
    desk.start();
    desk.serves(imap);
    house.condemns(&report("other@example.net", "Another one", "It crashes."));
    desk.await_cases(3);
    wait_until("it is marked, too", SOON, || flags(imap, JUNK) == ["S", "S"]);
    assert_eq!(house.folders(), [0, 2, 1]);
    assert_eq!(letters(&house.case_of(SAM)), as_junk_is(SAM));
    assert_eq!(count(imap, SAM, "INBOX"), 0, "nobody has answered");

    // a person's “unread” is no reason either
    desk.stop();
    for (path, _) in imap.mails(DESK, JUNK) {
        std::fs::rename(&path, path.to_str().unwrap().trim_end_matches('S')).unwrap();
    }
    desk.start();
    desk.serves(imap);
    wait_until("they are marked again", SOON, || flags(imap, JUNK) == ["S", "S"]);
    assert_eq!((desk.cases().len(), house.folders()), (4, [0, 2, 2]));
}

#[test]
fn a_keyword_condemns_a_mail_of_the_inbox() {
    let house = house(|plan| plan);
    let keywords = ["$Junk", "$Phishing", "$JUNK \\Flagged", "Junk", "$NotJunk", "NonJunk", "\\Seen"];
    for (number, keyword) in (1..).zip(keywords) {
        let sender = format!("{}@example.net", number);
        append(&house.imap, "INBOX", keyword, &report(&sender, "A report", "It crashes."));
        house.desk.await_cases(number);
        wait_until("it is put away", SOON, || house.folders() == [0, 0, number]);
        house.desk.await_letters();
        let case = house.case_of(&sender);
        // the others are answered, and nobody is there
        let kind = if number <= 4 { "junk" } else { "report" };
        assert_eq!(
            (&case["mail_list"][0]["kind"], case["not_acknowledged"] == WHY),
            (&kind.into(), number <= 4),
            "{keyword}"
        );
        assert_eq!(letters(&case) == as_junk_is(&sender), number <= 4, "{keyword}: {:?}", letters(&case));
    }
}

#[test]
fn a_released_acknowledgement_goes_out_once() {
    let house = house(|plan| plan);
    let House { desk, imap, .. } = &house;
    append(imap, "INBOX", "$Phishing", &report(SAM, "Heap overflow", "It crashes."));
    desk.await_cases(1);
    house.has(ADA, 1);
    let held = desk.letter("acknowledgement", SAM);
    assert_eq!((&held["state"], &held["withheld"]), (&"held".into(), &true.into()));
    assert_eq!(held["last_reply"], format!("not acknowledged: {WHY}"));

    let id = held["id"].as_str().unwrap();
    assert_eq!(house.releases(&held), (0, format!("letter {id} is released\n"), String::new()));
    house.has(SAM, 1);
    wait_until("the desk knows", SOON, || desk.letter("acknowledgement", SAM)["state"] == "sent");
    let case = house.case_of(SAM);
    assert!(case["acknowledged_at"].is_string(), "{case}");
    let (_, arrived) = imap.mails(SAM, "INBOX").remove(0);
    let arrived = String::from_utf8(arrived).unwrap();
    let subject = format!("Subject: Auto: [{}] we have your report", desk.case_id(1));
    for words in [&subject, "Auto-Submitted: auto-replied"] {
        assert!(arrived.contains(words), "{words}\n{arrived}");
    }

    let (code, said, complaint) = house.releases(&held);
    assert_eq!((code, said.as_str()), (1, ""));
    assert_eq!(complaint, format!("psirtd: nothing to do for letter {id}: it is sent\n"));
    desk.serves(imap);
    assert_eq!(count(imap, SAM, "INBOX"), 1);
}

/// “Junk” is a name that providers choose, and change.
#[test]
fn a_missing_folder_is_named_and_stops_nothing() {
    let house = house(|plan| Plan { junk: Some("Spam"), ..plan });
    let House { desk, imap, .. } = &house;
    desk.await_log("the server refused to select the folder");
    desk.serves(imap);
    let (code, said, complaint) = desk.says(&["check", "--online"]);
    assert_eq!((code, complaint.as_str()), (1, "psirtd: failed: inbox\n"));
    assert!(said.contains("logged in, but there is no folder Spam\n"), "{said}");
    // once it is there, nobody needs to restart anything
    imap.deliver(DESK, "Spam", &report(SAM, "Heap overflow", "It crashes."));
    desk.await_cases(2);
    assert_eq!(house.case_of(SAM)["not_acknowledged"], WHY);
    assert_eq!(desk.says(&["check", "--online"]).0, 0);
}

#[test]
fn the_same_mail_in_both_folders_is_one_case() {
    let house = house(|plan| plan);
    let House { desk, imap, .. } = &house;
    let liked = report(RITA, "First in INBOX", "It crashes.");
    imap.deliver(DESK, "INBOX", &liked);
    desk.await_cases(1);
    house.has(RITA, 1);
    house.condemns(&liked);
    wait_until("it is marked", SOON, || flags(imap, JUNK) == ["S"]);

    let condemned = report(SAM, "First in Junk", "It crashes.");
    house.condemns(&condemned);
    desk.await_cases(2);
    imap.deliver(DESK, "INBOX", &condemned);
    wait_until("it is put away", SOON, || house.folders() == [0, 2, 2]);
    wait_until("both are marked", SOON, || flags(imap, JUNK) == ["S", "S"]);

    desk.await_letters();
    assert_eq!(desk.cases().len(), 2);
    for reporter in [RITA, SAM] {
        let case = house.case_of(reporter);
        assert_eq!((&case["mails"], letters(&case).len()), (&1.into(), 3), "{case}");
    }
    assert_eq!(count(imap, RITA, "INBOX"), 1);
}

#[test]
fn without_relay_junk_the_coordinators_get_no_mail_of_it() {
    let house = house(|plan| Plan { relay_junk: false, ..plan });
    let House { desk, imap, .. } = &house;
    house.condemns(&report(SAM, "Heap overflow", "It crashes."));
    append(imap, "INBOX", "$Junk", &report("other@example.net", "Another one", "It crashes."));
    desk.await_cases(2);
    for reporter in [SAM, "other@example.net"] {
        assert_eq!(letters(&house.case_of(reporter)), [format!("acknowledgement {reporter} held")]);
    }
    wait_until("they are put where they belong", SOON, || house.folders() == [0, 1, 1]);
    // of an ordinary report they do
    desk.serves(imap);
    house.has(ADA, 1);
    house.has(BEN, 1);
}
