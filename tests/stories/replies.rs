//! Members of the distributors' list answer what they were sent. What they write is the coordinators', and moves only what they may move.

use crate::support::desk::{Builder, Desk, Letter, member_address};
use psirtd::control::Question;
use psirtd::domain::distributor::Change;
use serde_json::Value;
use std::cell::Cell;

pub const CASE: &str = "EX-2026-0001";
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

A crafted tile makes the parser write behind its buffer.
";

/// A desk with two coordinators and a maintainer, three members, Rita's report, and a notice that all three have.
pub struct List {
    pub desk: Desk,
    mails: Cell<usize>,
}

/// What a mail of a member looks like.
#[derive(Clone, Copy)]
pub struct Mail<'m> {
    /// Under whose address.
    pub from: &'m str,
    /// By whose key, if it is signed.
    pub signer: Option<&'m str>,
    /// What it answers.
    pub parents: &'m str,
    pub text: &'m str,
}

impl List {
    pub fn open() -> List {
        List::of(Desk::builder().otto().max())
    }

    pub fn of(desk: Builder) -> List {
        List::with(desk, "")
    }

    /// With further lines of the `[distributors]` section.
    pub fn with(desk: Builder, lines: &str) -> List {
        let list = format!("[distributors]\naddress = \"distributors@example.org\"\n{lines}");
        let desk = desk.toml(&list).open();
        desk.have_joined(&["acme", "bolt", "core"]);
        desk.receives(REPORT);
        desk.letters();
        List { desk, mails: Cell::new(0) }
    }

    /// The same, with the notice and each member's copy of it.
    pub fn noticed() -> (List, Vec<Letter>) {
        let list = List::open();
        list.says("ada", "!notice TLP:AMBER\n\nThe length field of a tile is trusted.\n");
        list.says("otto", "!approve 1");
        let letters = list.desk.letters();
        let copies: Vec<Letter> = letters.into_iter().filter(|letter| letter.kind == "notice").collect();
        let readers: Vec<&str> = copies.iter().map(|copy| copy.to.split('@').next().unwrap()).collect();
        assert_eq!(readers, ["acme-security", "bolt-security", "core-security"]);
        (list, copies)
    }

    pub fn says(&self, who: &str, body: &str) {
        self.desk.receives(&self.desk.orders(who, CASE, body));
    }

    /// What a member writes about a letter that it has.
    pub fn answers(&self, from: &str, letter: &Letter, text: &str) {
        let parents = letter.header("Message-ID").unwrap();
        self.receives(&Mail { from, signer: Some(from), parents, text });
    }

    pub fn receives(&self, mail: &Mail<'_>) {
        self.desk.receives(&self.written(mail));
    }

    pub fn written(&self, mail: &Mail<'_>) -> String {
        let Mail { from, signer, parents, text } = mail;
        self.mails.set(self.mails.get() + 1);
        let number = self.mails.get();
        let outside = format!(
            "From: {}\nTo: security@example.org\nSubject: Re: ...\nMessage-ID: <m-{number}@{from}.example>\nIn-Reply-To: {parents}\n",
            member_address(from)
        );
        let Some(signer) = signer else { return format!("{outside}\n{text}\n") };
        let inside = format!("Content-Type: text/plain; charset=utf-8\n\n{text}\n");
        let signer = if signer.contains('@') { (*signer).to_owned() } else { member_address(signer) };
        self.desk.encrypted_mail_to(&outside, &inside, "security@example.org", &signer)
    }

    /// Letters since last asked, each as its kind and reader.
    pub fn told(&self) -> Vec<String> {
        self.desk.letters().iter().map(named).collect()
    }

    pub fn case(&self) -> Value {
        self.desk.ask(&Question::Case(CASE.to_owned()))
    }

    /// How far each copy has come: `1 acme confirmed`.
    pub fn copies(&self) -> Vec<String> {
        let case = self.case();
        let notices = case["notices"].as_array().unwrap().iter();
        let copies = notices.flat_map(|notice| {
            let of_it = notice["recipients"].as_array().unwrap().iter();
            of_it.map(|copy| {
                format!(
                    "{} {} {}",
                    notice["number"],
                    copy["member"].as_str().unwrap(),
                    copy["state"].as_str().unwrap()
                )
            })
        });
        copies.collect()
    }

    /// The relay to Ada among the letters since last asked; all of them are relays to the two coordinators.
    #[track_caller]
    fn relay_to_coordinators(&self) -> String {
        let mut letters = self.desk.letters();
        let told: Vec<String> = letters.iter().map(named).collect();
        assert_eq!(told, ["relay to ada", "relay to otto"]);
        assert!(letters.iter().all(|letter| letter.encrypted));
        letters.remove(0).text()
    }
}

pub fn named(letter: &Letter) -> String {
    format!("{} to {}", letter.kind, letter.to.split('@').next().unwrap())
}

/// The lines of a relay's head that begin like this, without the beginning.
fn noticed_in(relay: &str, name: &str) -> Vec<String> {
    let head = relay.split("------ the mail").next().unwrap();
    head.lines().filter_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned()).collect()
}

#[test]
fn a_members_mail_is_for_the_coordinators_and_the_owner_alone() {
    let (list, copies) = List::noticed();
    // Max has the case, and does not answer for it
    list.says("ada", "!share");
    list.told();
    let before = list.case()["deadlines"].clone();
    list.answers("acme", &copies[0], "The patch does not apply to 0.10.\nAcme security");
    let relay = list.relay_to_coordinators();
    assert!(relay.starts_with("mail of the distributor acme in case EX-2026-0001\n"), "{relay}");
    assert!(relay.contains("The patch does not apply to 0.10."), "{relay}");
    assert_eq!(noticed_in(&relay, "Noticed:"), [""; 0], "{relay}");
    let case = list.case();
    assert_eq!(case["deadlines"], before, "no clock of the reporter has moved");
    assert_eq!(case["mail_list"].as_array().unwrap().last().unwrap()["pending"], false);
    assert_eq!(list.copies(), ["1 acme accepted", "1 bolt accepted", "1 core accepted"]);

    // whoever owns the case has it, too
    list.says("ada", "!take max@example.org");
    list.told();
    list.answers("bolt", &copies[1], "Neither to 0.11.");
    assert_eq!(list.told(), ["relay to ada", "relay to otto", "relay to max"]);
}

#[test]
fn who_gets_a_case_later_does_not_get_what_members_wrote() {
    let (list, copies) = List::noticed();
    list.answers("acme", &copies[0], "We need a week.");
    list.told();
    list.says("ada", "!share");
    let letters = list.desk.letters();
    let to_max: Vec<&Letter> = letters.iter().filter(|letter| letter.to.starts_with("max@")).collect();
    assert_eq!(to_max.len(), 1, "Rita's report");
    assert!(to_max[0].text().contains("A crafted tile"));
}

#[test]
fn the_word_status_of_a_member_is_answered_by_nobody() {
    let (list, copies) = List::noticed();
    list.answers("acme", &copies[0], "status");
    let relay = list.relay_to_coordinators();
    assert!(!relay.contains("as its author asked"), "{relay}");
    // and of its reporter it is
    list.desk.receives(
        &REPORT
            .replace("r-1@", "r-2@")
            .replace("Message-ID", "In-Reply-To: <r-1@example.net>\nMessage-ID")
            .replace("A crafted tile makes the parser write behind its buffer.", "status"),
    );
    assert_eq!(list.told()[0], "status to rita");
}

#[test]
fn under_a_members_address_anybody_can_write() {
    let (list, copies) = List::noticed();
    list.desk.makes_a_key("Eve <eve@example.net>");
    list.desk.have_joined(&["dune"]);
    let parents = copies[0].header("Message-ID").unwrap();
    let mail = Mail { from: "acme", signer: None, parents, text: "received" };
    let cases: [(Mail<'_>, &str); 4] = [
        (mail, "under the address of the distributor acme: not signed"),
        (
            Mail { signer: Some("bolt"), ..mail },
            "under the address of the distributor acme: signed by a certificate that is not its own",
        ),
        (
            Mail { signer: Some("eve@example.net"), ..mail },
            "under the address of the distributor acme: signed by a certificate that is not its own",
        ),
        // it is on the list, and its signature is right
        (
            Mail { from: "dune", signer: Some("dune"), ..mail },
            "under the address of the distributor dune: this case is not released to it",
        ),
    ];
    for (mail, why) in cases {
        list.receives(&mail);
        let relay = list.relay_to_coordinators();
        assert!(relay.starts_with("UNVERIFIED follow-up in case EX-2026-0001\n"), "{relay}");
        assert!(noticed_in(&relay, "Noticed:").contains(&why.to_owned()), "{relay}");
        assert_eq!(list.case()["mail_list"].as_array().unwrap().last().unwrap()["pending"], true, "{why}");
    }
    list.desk.members_become([("acme", Change::Suspended { why: None })]);
    list.answers("acme", &copies[0], "received");
    let relay = list.relay_to_coordinators();
    assert_eq!(
        noticed_in(&relay, "Noticed:"),
        ["under the address of the distributor acme: it is suspended"]
    );
    assert_eq!(list.copies(), ["1 acme accepted", "1 bolt accepted", "1 core accepted"]);
}

#[test]
fn received_confirms_the_notice_that_is_answered() {
    let (list, copies) = List::noticed();
    list.desk.clock_to("2026-11-21T08:00:00Z");
    list.says("ada", "!update\n\nHere is the fix.\n");
    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    let update = letters.iter().find(|letter| named(letter) == "notice to acme-security").unwrap();
    list.answers("acme", &copies[0], "Received.\n\n> TLP:AMBER\n");
    let relay = list.relay_to_coordinators();
    assert_eq!(noticed_in(&relay, "Noticed:"), ["it confirms EX-2026-0001-N1.1"]);
    let confirmed = |list: &List| -> Vec<String> {
        list.copies().into_iter().filter(|copy| copy.ends_with("confirmed")).collect()
    };
    assert_eq!(confirmed(&list), ["1 acme confirmed"], "not the update, which it may not have seen");
    list.answers("acme", &copies[0], "received");
    assert_eq!(
        noticed_in(&list.relay_to_coordinators(), "Noticed:"),
        ["it says “received”, but that notice has been confirmed before: not counted"]
    );
    list.answers("acme", update, "On Friday, you wrote:\n> Here is the fix.\n\nreceived\nagree\n");
    list.told();
    assert_eq!(confirmed(&list), ["1 acme confirmed", "2 acme confirmed"]);
    let times: Vec<String> = list.case()["notices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|notice| notice["recipients"][0]["confirmed_at"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(times, ["2026-11-21T08:00:00Z", "2026-11-21T08:00:00Z"]);
}

#[test]
fn what_is_no_word_of_the_member_confirms_nothing() {
    let (list, copies) = List::noticed();
    for text in [
        "> received",
        "We have received nothing so far.",
        "Thank you.\nreceived",
        "-- \nreceived",
        "received?",
    ] {
        list.answers("acme", &copies[0], text);
        assert!(!list.told().is_empty(), "it is relayed: {text}");
        assert_eq!(list.copies()[0], "1 acme accepted", "{text}");
    }
}

#[test]
fn a_confirmation_that_is_sent_again_is_nobodys() {
    let (list, copies) = List::noticed();
    let parents = copies[0].header("Message-ID").unwrap();
    let mail = list.written(&Mail { from: "acme", signer: Some("acme"), parents, text: "received" });
    list.desk.receives(&mail);
    list.told();
    assert_eq!(list.copies()[0], "1 acme confirmed");
    list.says("ada", "!update\n\nHere is the fix.\n");
    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    let update = letters.iter().find(|letter| named(letter) == "notice to acme-security").unwrap();
    // Eve puts what she has seen on its way into the thread of the update
    let again = mail.replace(parents, update.header("Message-ID").unwrap()).replace("<m-1@", "<m-99@");
    list.desk.receives(&again);
    let relay = list.relay_to_coordinators();
    assert!(relay.starts_with("UNVERIFIED"), "{relay}");
    assert!(relay.contains("its signature has been used: a mail that was sent again"), "{relay}");
    assert!(list.copies().contains(&"2 acme accepted".to_owned()), "{:?}", list.copies());
}

#[test]
fn a_machine_confirms_nothing_and_disturbs_nobody() {
    let (list, copies) = List::noticed();
    let parents = copies[0].header("Message-ID").unwrap();
    let mail =
        list.written(&Mail { from: "acme", signer: None, parents, text: "received\nI am out of office." });
    list.desk.receives(&mail.replace("Subject:", "Auto-Submitted: auto-replied\nSubject:"));
    assert_eq!(list.told(), [""; 0]);
    let signed = list.written(&Mail { from: "acme", signer: Some("acme"), parents, text: "received" });
    list.desk.receives(&signed.replace("Subject:", "Auto-Submitted: auto-replied\nSubject:"));
    assert_eq!(list.told(), [""; 0]);
    assert_eq!(list.copies()[0], "1 acme accepted");
    let case = list.case();
    let kinds: Vec<&str> =
        case["mail_list"].as_array().unwrap().iter().map(|mail| mail["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["automatic", "automatic"], "the case has them");
    assert_eq!(list.desk.cases().len(), 1);
}

#[test]
fn a_copy_that_comes_back_is_that_members_and_nobody_elses() {
    let (list, copies) = List::noticed();
    let id = copies[1].header("Message-ID").unwrap();
    list.desk.receives(&format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.bolt.example\nTo: security@example.org\nSubject: Undelivered Mail Returned to Sender\n\
         Message-ID: <back-1@mx.bolt.example>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\n\nNo.\n--b\n\
         Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.bolt.example\n\n\
         Final-Recipient: rfc822; bolt-security@bolt.example\nAction: failed\nStatus: 5.1.1\n\
         Diagnostic-Code: smtp; 550 5.1.1 No such user\n--b\nContent-Type: text/rfc822-headers\n\n\
         From: security@example.org\nSubject: ...\nMessage-ID: {id}\n--b--\n"
    ));
    assert_eq!(list.told(), [""; 0], "no relay: a warning says it");
    assert_eq!(list.copies(), ["1 acme accepted", "1 bolt bounced", "1 core accepted"]);
    assert_eq!(list.desk.cases().len(), 1);
    list.desk.clock_to("2026-11-20T23:00:01Z");
    let letters = list.desk.letters();
    let told: Vec<String> = letters.iter().map(named).collect();
    assert_eq!(told, ["warning to ada", "warning to otto"]);
    let text = letters[0].text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains(
            "the notice EX-2026-0001-N1.2 to bolt, bolt-security@bolt.example came back: bounced: 550 5.1.1 No such user"
        ),
        "{text}"
    );
    assert!(!text.contains("acme") && !text.contains("core"), "{text}");
}

#[test]
fn a_reported_leak_is_said_first_and_to_every_coordinator_at_once() {
    let (list, copies) = List::noticed();
    list.answers(
        "core",
        &copies[2],
        "leak\n\nOur bug tracker showed the patch to everybody from 14:00 to 14:20 UTC.",
    );
    let mut letters = list.desk.letters();
    letters.sort_by_key(named);
    let told: Vec<String> = letters.iter().map(named).collect();
    assert_eq!(told, ["relay to ada", "relay to otto", "warning to ada", "warning to otto"]);
    let relay = letters[0].text();
    assert!(relay.starts_with("LEAK REPORTED BY MEMBER core in case EX-2026-0001\n"), "{relay}");
    assert!(
        noticed_in(&relay, "Hint:")[0].starts_with("LEAK REPORTED BY MEMBER core: decide with"),
        "{relay}"
    );
    assert!(relay.contains("from 14:00 to 14:20 UTC"), "{relay}");
    let warning = letters[2].text();
    assert!(warning.contains("LEAK REPORTED by the distributor core in case EX-2026-0001"), "{warning}");
    assert!(letters[2].encrypted);
    let case = list.case();
    assert!(case["public_since"].is_null(), "a person decides");
    let said =
        case["timeline"].as_array().unwrap().iter().any(|entry| entry["what"] == "LEAK REPORTED by core");
    assert!(said, "{}", case["timeline"]);

    // whoever has no signature is heard as well, and believed by nobody
    list.receives(&Mail {
        from: "acme",
        signer: None,
        parents: copies[0].header("Message-ID").unwrap(),
        text: "Leak!\nAt core's.",
    });
    let relay = list.relay_to_coordinators();
    assert!(relay.starts_with("UNVERIFIED"), "{relay}");
    assert!(
        noticed_in(&relay, "Hint:")[0].starts_with("LEAK REPORTED BY MEMBER acme, UNVERIFIED"),
        "{relay}"
    );
}

#[test]
fn who_is_on_the_list_is_not_even_the_maintainers_business() {
    let (list, copies) = List::noticed();
    list.says("ada", "!share");
    list.answers("acme", &copies[0], "received");
    list.answers("core", &copies[2], "leak\n\nOur tracker.");
    list.says("ada", "!leak stands core\n\nTheir tracker.\n");
    list.says("otto", "!approve 2");
    list.told();
    let shown_to = |person: &str| {
        list.says(person, "!show");
        list.desk.letter().text()
    };
    let (ada, max) = (shown_to("ada"), shown_to("max"));
    for told in ["LEAK REPORTED by core", "LEAK through core", "core-security@core.example"] {
        assert!(ada.contains(told), "{told}: {ada}");
    }
    assert!(max.contains("notice 1 (TLP:AMBER) to 3 members"), "{max}");
    for name in ["acme", "bolt", "core"] {
        assert!(!max.contains(name), "{max}");
    }
}

#[test]
fn a_member_that_reported_the_case_is_heard_as_both() {
    let list = List::open();
    let report = list.written(&Mail {
        from: "acme",
        signer: Some("acme"),
        parents: "<none@acme.example>",
        text: "Your tile parser trusts a length.",
    });
    list.desk.receives(&report);
    list.told();
    let case = "EX-2026-0002";
    for (who, line) in
        [("ada", "!notice\n\nA length is trusted.\n"), ("otto", "!approve 1"), ("ada", "!share")]
    {
        list.desk.receives(&list.desk.orders(who, case, line));
    }
    let letters = list.desk.letters();
    let copy = letters.iter().find(|letter| named(letter) == "notice to acme-security").unwrap();
    list.answers("acme", copy, "received\nIt is in 0.10, too.");
    assert_eq!(list.told(), ["relay to ada", "relay to otto", "relay to max"], "as from any reporter");
    let asked = list.desk.ask(&Question::Case(case.to_owned()));
    assert_eq!(asked["notices"][0]["recipients"][0]["state"], "confirmed");
    list.answers("acme", copy, "status");
    assert_eq!(list.told()[0], "status to acme-security");
}

#[test]
fn a_notice_of_a_case_that_was_merged_is_confirmed_all_the_same() {
    let (list, copies) = List::noticed();
    list.desk.receives(&REPORT.replace("r-1@", "s-1@").replace("rita@", "sue@"));
    list.says("ada", "!merge EX-2026-0002");
    list.told();
    list.answers("bolt", &copies[1], "received");
    let relay = list.relay_to_coordinators();
    assert!(relay.starts_with("mail of the distributor bolt in case EX-2026-0002\n"), "{relay}");
    assert_eq!(list.copies()[1], "1 bolt confirmed");
}
