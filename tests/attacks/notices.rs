//! Ways to have something of the distributors' list go to somebody who may not have it, go by one person alone, go twice, or go never.
//!
//! Acme, Bolt and Core are on the list, Ada and Otto coordinate, and Rita has reported [`CASE`].

use std::sync::Arc;

use jiff::Timestamp;
use psirtd::control::Question;
use psirtd::domain::command::order;
use psirtd::domain::decide::{Facts, Input, Ordered, decide};
use psirtd::domain::distributor::{Member, MemberId, Roster, State};
use psirtd::domain::event::What;
use psirtd::domain::message::{Digest, Mailbox, Message};
use psirtd::domain::notice::{Pending, Proposal};
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::signature::{Signature, Standing, Verified};
use serde_json::Value;

use crate::stories::replies::{CASE, List, Mail};
use crate::support::desk::Letter;

const OTHER: &str = "\
From: Bob <bob@example.net>
To: security@example.org
Subject: Another overflow
Message-ID: <b-1@example.net>

The parser of masks does the same.
";

/// What a coordinator is answered.
#[track_caller]
fn answered(letters: &[Letter]) -> String {
    let results = letters.iter().find(|letter| letter.kind == "results").expect("an answer");
    results.text().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn hears(list: &List, who: &str, body: &str) -> String {
    list.says(who, body);
    answered(&list.desk.letters())
}

/// To whom a copy of a notice went, and under which Message-ID.
fn copies(letters: &[Letter]) -> Vec<(String, String)> {
    let copies = letters.iter().filter(|letter| letter.kind == "notice");
    copies.map(|copy| (copy.to.clone(), copy.header("Message-ID").unwrap().to_owned())).collect()
}

fn to(letters: &[Letter]) -> Vec<String> {
    copies(letters).into_iter().map(|(to, _)| to).collect()
}

fn on_the_line(list: &List, line: &str, text: Option<&str>) -> Result<String, String> {
    let (line, text) = (line.to_owned(), text.map(str::to_owned));
    let told = list.desk.tries(&Question::Do { case: None, line, text, attachments: Vec::new() })?;
    Ok(told.as_str().unwrap().to_owned())
}

/// Another organisation takes the name of one that was removed.
fn another_acme(list: &List, key: &str) {
    let armored = list.desk.exported(key);
    on_the_line(list, "members add acme psirt@acme-two.example Another Acme", Some(&armored)).unwrap();
}

fn anothers_key(list: &List) -> String {
    list.desk.makes_a_key("Another Acme <psirt@acme-two.example>")
}

#[test]
fn whoever_takes_the_name_of_a_member_that_was_removed_is_told_nothing_of_before() {
    let (list, _) = List::noticed();
    let key = anothers_key(&list);
    // an update waits for its approval, and acme is among those who would get it
    hears(&list, "ada", "!update\n\nThe masks, too.\n");
    hears(&list, "ada", "!members remove acme");
    hears(&list, "otto", "!approve 3");
    list.desk.clock_to("2026-11-23T18:00:00Z");
    another_acme(&list, &key);
    list.desk.letters();
    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    assert_eq!(to(&letters), ["bolt-security@bolt.example", "core-security@core.example"]);
    assert!(answered(&letters).contains("acme (it has joined the list since"), "{}", answered(&letters));
    hears(&list, "ada", "!update\n\nAnd the sprites.\n");
    list.says("otto", "!approve 4");
    assert_eq!(to(&list.desk.letters()), ["bolt-security@bolt.example", "core-security@core.example"]);
    // by name, and by two persons, it may know
    hears(&list, "ada", "!release-to acme");
    list.says("otto", "!approve 5");
    let letters = list.desk.letters();
    assert_eq!(to(&letters), vec!["psirt@acme-two.example"; 3]);
}

#[test]
fn what_was_stopped_for_a_removed_member_does_not_go_to_another_one_of_its_name() {
    let list = List::open();
    let key = anothers_key(&list);
    hears(&list, "ada", "!notice\n\nThe length field of a tile is trusted.\n");
    // the copy for acme cannot be sealed, and waits
    let desk = &list.desk;
    let fingerprint = member(&list, "acme")["key"]["fingerprint"].as_str().unwrap().to_owned();
    let approve = desk.orders("otto", CASE, "!approve 1");
    let drop = desk.orders("ada", CASE, &format!("!members drop-certificate acme {fingerprint}"));
    desk.receives_together(&[&approve, &drop]);
    desk.letters();
    assert_eq!(list.copies()[0], "1 acme held");
    hears(&list, "ada", "!members remove acme");
    hears(&list, "otto", "!approve 2");
    desk.clock_to("2026-11-23T18:00:00Z");
    another_acme(&list, &key);
    desk.letters();
    let told = hears(&list, "ada", "!release EX-2026-0001-N1.1");
    assert!(told.contains("acme has joined since: release the case to it"), "{told}");
    assert_eq!(to(&desk.letters()), [""; 0]);
}

fn member(list: &List, id: &str) -> Value {
    let all = list.desk.ask(&Question::Members { id: None });
    all.as_array().unwrap().iter().find(|member| member["id"] == id).unwrap().clone()
}

#[test]
fn a_copy_that_is_released_twice_goes_once() {
    let list = List::open();
    hears(&list, "ada", "!notice\n\nThe length field of a tile is trusted.\n");
    let desk = &list.desk;
    let fingerprint = member(&list, "acme")["key"]["fingerprint"].as_str().unwrap().to_owned();
    let armored = desk.exported(&fingerprint);
    let approve = desk.orders("otto", CASE, "!approve 1");
    let drop = desk.orders("ada", CASE, &format!("!members drop-certificate acme {fingerprint}"));
    desk.receives_together(&[&approve, &drop]);
    assert_eq!(to(&desk.letters()), ["bolt-security@bolt.example", "core-security@core.example"]);
    assert_eq!(list.copies()[0], "1 acme held");
    on_the_line(&list, "members certificate acme", Some(&armored)).unwrap();
    let letter = "EX-2026-0001-N1.1";
    let one = desk.orders("ada", CASE, &format!("!release {letter}\n!release {letter}"));
    let other = desk.orders("otto", CASE, &format!("!release {letter}"));
    desk.receives_together(&[&one, &other]);
    let letters = desk.letters();
    assert_eq!(to(&letters), ["acme-security@acme.example"], "{:?}", copies(&letters));
    assert_eq!(list.copies()[0], "1 acme accepted");
}

#[test]
fn whoever_was_left_out_when_its_turn_came_can_be_told_later() {
    let list = List::open();
    hears(&list, "ada", "!notice\n\nThe length field of a tile is trusted.\n");
    let desk = &list.desk;
    let approve = desk.orders("otto", CASE, "!approve 1");
    let suspend = desk.orders("ada", CASE, "!members suspend acme");
    desk.receives_together(&[&approve, &suspend]);
    desk.letters();
    let case = list.case();
    assert_eq!(case["notices"][0]["left_out"][0]["member"], "acme");
    assert_eq!(case["notices"][0]["unwritten"], 0);
    hears(&list, "ada", "!members resume acme");
    hears(&list, "ada", "!release-to acme");
    list.says("otto", "!approve 2");
    assert_eq!(to(&desk.letters()), ["acme-security@acme.example"]);
    let told = hears(&list, "ada", "!release-to acme");
    assert!(told.contains("is released to acme already"), "{told}");
    let case = list.case();
    assert_eq!(case["notices"][0]["left_out"].as_array().unwrap().len(), 0);
    assert_eq!(case["notices"][0]["unwritten"], 0);
}

#[test]
fn a_notice_that_waited_too_long_for_its_approval_does_not_go() {
    let list = List::open();
    hears(&list, "ada", "!embargo 2026-12-01 15:00");
    hears(&list, "ada", "!embargo agree");
    hears(&list, "ada", "!notice\n\nThe length field of a tile is trusted.\n");
    list.desk.clock_to("2026-11-30T18:00:00Z");
    list.desk.letters();
    let told = hears(&list, "otto", "!approve 1");
    assert!(told.contains("the embargo ends too soon by now"), "{told}");
    assert_eq!(list.case()["notices"].as_array().unwrap().len(), 0);
    // a person may want it all the same; but not when the embargo is over
    hears(&list, "ada", "!withdraw 1");
    hears(&list, "ada", "!notice anyway\n\nThe length field of a tile is trusted.\n");
    list.desk.clock_to("2026-12-02T18:00:00Z");
    list.desk.letters();
    let told = hears(&list, "otto", "!approve 2");
    assert!(told.contains("the embargo ends too soon by now"), "{told}");
}

/// Whoever has the machine has no key of the team: that is one pair of eyes, and no signature.
#[test]
fn what_is_typed_in_the_shell_needs_two_signatures() {
    let list = List::open();
    let told = list.desk.writes(CASE, "notice", "The length field of a tile is trusted.");
    assert!(told.contains("nothing goes before two coordinators say !approve 1"), "{told}");
    let letters = list.desk.letters();
    let shown: Vec<&Letter> = letters.iter().filter(|letter| letter.kind == "proposal").collect();
    assert_eq!(shown.len(), 2, "ada and otto");
    for letter in shown {
        let text = letter.text().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("operator proposes, and nothing was done yet"), "{text}");
        assert!(text.contains("nobody has signed it"), "{text}");
        assert!(text.contains("two coordinators send a signed mail"), "{text}");
    }
    let told = hears(&list, "ada", "!approve 1\n!approve 1");
    assert!(told.contains("proposal 1 stands twice in this mail"), "{told}");
    let told = hears(&list, "ada", "!approve 1");
    assert!(told.contains("nothing goes before another coordinator says !approve 1, too"), "{told}");
    list.desk.restarts();
    assert_eq!(list.case()["proposals"][0]["first_approval"], "ada@example.org");
    let told = hears(&list, "ada", "!approve 1");
    assert!(told.contains("you have approved it already"), "{told}");
    let refused = list.desk.is_told(CASE, "approve 1", None).unwrap_err();
    assert!(refused.contains("the command line signs nothing"), "{refused}");
    assert_eq!(list.case()["notices"].as_array().unwrap().len(), 0);
    list.says("otto", "!approve 1");
    assert_eq!(to(&list.desk.letters()).len(), 3);
    let by = serde_json::json!(["operator", "ada@example.org", "otto@example.org"]);
    assert_eq!(list.case()["notices"][0]["by"], by);
    assert!(list.case()["timeline"].to_string().contains("proposal 1: the first of two approvals"));
}

#[test]
fn two_who_approve_in_one_moment_are_two() {
    let list = List::open();
    list.desk.writes(CASE, "notice", "The length field of a tile is trusted.");
    list.desk.letters();
    let [ada, otto] = ["ada", "otto"].map(|who| list.desk.orders(who, CASE, "!approve 1"));
    list.desk.receives_together(&[&ada, &otto]);
    assert_eq!(to(&list.desk.letters()).len(), 3);
}

/// It is about no case, and shown with the member.
#[test]
fn a_removal_that_the_shell_proposes_waits_for_two() {
    let list = List::open();
    on_the_line(&list, "members remove acme", None).unwrap();
    let needed = |list: &List| member(list, "acme")["proposals"][0]["approvals_needed"].clone();
    assert_eq!(needed(&list), 2);
    let says = |who: &str| {
        list.desk.receives(&list.desk.orders(who, CASE, "!approve 1"));
        answered(&list.desk.letters())
    };
    says("otto");
    assert_eq!(needed(&list), 1);
    assert_eq!(member(&list, "acme")["proposals"][0]["first_approval"], "otto@example.org");
    assert_eq!(member(&list, "acme")["state"], "active");
    says("ada");
    assert_eq!(member(&list, "acme")["state"], "removed");
    assert_eq!(member(&list, "acme")["proposals"].as_array().unwrap().len(), 0);
}

#[test]
fn the_word_of_somebody_who_has_left_the_team_is_no_second_word() {
    let person = |address: &str| Person { mailbox: Mailbox::bare(address), roles: vec![Role::Coordinator] };
    let now: Timestamp = "2026-11-20T23:00:00Z".parse().unwrap();
    let mut policy = Policy::new(Mailbox::bare("security@example.org"));
    policy.people = vec![person("otto@example.org"), person("zoe@example.org")];
    let approved = |by: &str, first_approval: Option<&str>| {
        let first_approval = first_approval.map(str::to_owned);
        let proposal = Proposal::Remove { member: MemberId::typed("acme").unwrap(), why: None };
        let pending = Pending { number: 1, case: None, proposal, by: by.to_owned(), at: now, first_approval };
        let text = "!approve 1\n".to_owned();
        let ordered = Ordered {
            pending: vec![pending],
            proposals: 1,
            roster: Some(Arc::new(Roster { members: vec![acme(now)], ..Roster::default() })),
            ..Ordered::new(order::read(&text, None, "EX"), None)
        };
        let verified = Verified::mint("F".to_owned(), Standing::Pinned, now, Digest::from_bytes(&[1]), true);
        let from = vec![Mailbox::bare("Otto+desk@example.org")];
        let message = Message { from, text, signature: Signature::Good(verified), ..Message::default() };
        let facts = Facts { ordered: Some(Box::new(ordered)), ..Facts::default() };
        let input = Input::Mail { message: Arc::new(message), received_at: now };
        let steps =
            decide(&facts, &input, &policy, now).events.into_iter().filter_map(|event| match event.what {
                What::Distribution { step, .. } => Some(step.word()),
                What::Member { change, .. } => Some(change.word()),
                _ => None,
            });
        steps.collect::<Vec<_>>()
    };
    let (done, first) = (vec!["approved", "removed"], vec!["first-approval"]);
    assert_eq!(approved("zoe@example.org", None), done);
    let none: Vec<&str> = Vec::new();
    assert_eq!(approved("ada@example.org", None), none, "ada has left the team");
    assert_eq!(approved("otto@example.org", None), none, "the same person");
    assert_eq!(approved("otto+phone@example.org", None), none, "the same person under a tagged address");
    // what is typed in the shell nobody signed: two of the team have to
    assert_eq!(approved("operator", None), first);
    assert_eq!(approved("operator", Some("zoe@example.org")), done);
    assert_eq!(approved("operator", Some("otto@example.org")), none, "the same person twice");
    assert_eq!(
        approved("operator", Some("ada@example.org")),
        first,
        "ada has left the team: her yes does not count"
    );
}

fn acme(now: Timestamp) -> Member {
    Member {
        id: MemberId::typed("acme").unwrap(),
        organisation: "Acme".to_owned(),
        addresses: vec![Mailbox::bare("security@acme.example")],
        certificates: Vec::new(),
        proven: Vec::new(),
        state: State::Active,
        since: now,
        zone: None,
        application: None,
        criteria: Vec::new(),
        vouch: None,
        accepted: None,
        challenge: None,
        strikes: Vec::new(),
        attest_by: None,
        history: Vec::new(),
        joined: None,
    }
}

#[test]
fn an_embargo_of_which_members_know_is_not_lost_by_merging() {
    let (list, _) = List::noticed();
    let desk = &list.desk;
    hears(&list, "ada", "!embargo 2026-12-01 15:00");
    hears(&list, "otto", "!approve 2");
    hears(&list, "ada", "!embargo agree");
    hears(&list, "otto", "!approve 3");
    desk.receives(OTHER);
    desk.does("EX-2026-0002", "embargo 2026-12-03 15:00");
    let refused = desk.is_told(CASE, "merge EX-2026-0002", None).unwrap_err();
    assert!(refused.contains("ends at another time"), "{refused}");
    // what has become public beside it ends nothing in passing
    desk.does("EX-2026-0002", "public");
    for (one, other) in [(CASE, "EX-2026-0002"), ("EX-2026-0002", CASE)] {
        let refused = desk.is_told(one, &format!("merge {other}"), None).unwrap_err();
        assert!(refused.contains("members who know of case EX-2026-0001 were not told so"), "{refused}");
    }
}

#[test]
fn who_had_been_sent_what_is_counted_right_beside_other_commands() {
    let list = List::open();
    hears(&list, "ada", "!notice\n\nThe length field of a tile is trusted.\n");
    let desk = &list.desk;
    // the copy for acme cannot be sealed, and is still to leave
    let fingerprint = member(&list, "acme")["key"]["fingerprint"].as_str().unwrap().to_owned();
    let approve = desk.orders("otto", CASE, "!approve 1");
    let drop = desk.orders("ada", CASE, &format!("!members drop-certificate acme {fingerprint}"));
    desk.receives_together(&[&approve, &drop]);
    desk.letters();
    let counted = "3 members might know of it, and 2 of them had been sent something";
    let alone = hears(&list, "ada", "!leak stands\n\nA tweet.\n");
    assert!(alone.contains(counted), "{alone}");
    let beside = hears(&list, "ada", "!members suspend acme\n!leak stands\n\nA tweet.\n");
    assert!(beside.contains(counted), "{beside}");
}

/// Whoever asks to join under somebody's address does not become that somebody by it.
#[test]
fn a_request_to_join_brings_no_key_for_an_address_whose_key_is_known() {
    let list = List::open();
    let desk = &list.desk;
    let outside = "From: Nora Newcomer <nora@example.net>\nTo: security@example.org\nSubject: ...\nMessage-ID: <n-1@example.net>\n";
    let inside = "Content-Type: text/plain\n\nThe parser of masks does the same.\n";
    let key = desk.autocrypt_key("nora@example.net");
    let outside = format!("{outside}Autocrypt: addr=nora@example.net; keydata={key}\n");
    desk.receives(&desk.encrypted_mail_to(&outside, inside, "security@example.org", "nora@example.net"));
    desk.does("EX-2026-0002", "embargo 2026-12-03 15:00");
    desk.clock_to("2026-11-23T18:00:00Z");
    desk.letters();
    let own = desk.exported("nora@example.net");
    let forged = desk.makes_a_key("Mallory <nora@example.net>");
    assert_ne!(own, desk.exported(&forged));
    let attached = desk.exported(&forged);
    desk.receives(&format!(
        "From: nora@example.net\nTo: distributors@example.org\nSubject: We would like to join\nMessage-ID: <x-1@example.net>\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nOrganisation: Nora\n\n1. a\n\n--b\n\
         Content-Type: application/pgp-keys; name=\"key.asc\"\nContent-Disposition: attachment; filename=\"key.asc\"\n\n{attached}\n--b--\n"
    ));
    desk.letters();
    let mail = |id: &str, signer: &str| {
        let outside = format!(
            "From: Nora Newcomer <nora@example.net>\nTo: security@example.org\nSubject: ...\nMessage-ID: <{id}@example.net>\nIn-Reply-To: <n-1@example.net>\n"
        );
        let inside = "Content-Type: text/plain\n\nagree\n";
        desk.encrypted_mail_to(&outside, inside, "security@example.org", signer)
    };
    let consents = || desk.ask(&Question::Case("EX-2026-0002".to_owned()))["embargo"]["consents"].to_string();
    let before = consents();
    desk.receives(&mail("x-2", &forged));
    assert_eq!(consents(), before, "a stranger's key speaks for Nora");
    desk.receives(&mail("n-2", "nora@example.net"));
    assert_ne!(consents(), before, "her own does");
}

#[test]
fn what_was_proposed_of_an_embargo_that_was_moved_since_is_not_done() {
    let list = List::open();
    hears(&list, "ada", "!embargo 2026-12-08 15:00");
    hears(&list, "ada", "!embargo agree");
    hears(&list, "ada", "!embargo lift");
    hears(&list, "ada", "!embargo 2026-12-10 15:00 because not-tested");
    list.desk.clock_to("2026-11-23T18:00:00Z");
    list.desk.letters();
    let told = hears(&list, "otto", "!approve 2");
    assert!(told.contains("embargo moved"), "{told}");
    let told = hears(&list, "otto", "!approve 1");
    assert!(told.contains("the embargo was moved since it was proposed"), "{told}");
    assert_eq!(list.case()["embargo"]["state"], "revised");
}

/// A maintainer who has the case is not told by its timeline whose house a server's word, or an unsigned mail, is from.
#[test]
fn a_maintainer_does_not_learn_who_is_on_the_list_from_the_timeline() {
    let (list, copies) = List::noticed();
    list.says("ada", "!share");
    let parents = copies[0].header("Message-ID").unwrap();
    list.receives(&Mail { from: "acme", signer: None, parents, text: "I am out of office." });
    let (desk, id) = (&list.desk, parents.trim_matches(['<', '>']));
    desk.receives(&format!(
        "From: MAILER-DAEMON@bolt.example\nTo: security@example.org\nSubject: Undelivered\nMessage-ID: <bounce-1@bolt.example>\n\
         MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n--b\n\
         Content-Type: text/plain\n\nIt failed.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.bolt.example\n\n\
         Final-Recipient: rfc822; x@bolt.example\nAction: failed\nStatus: 5.1.1\n\n--b\nContent-Type: text/rfc822-headers\n\n\
         Message-ID: <{id}>\n--b--\n"
    ));
    desk.letters();
    list.says("max", "!show");
    let told = desk.letters().iter().find(|letter| letter.kind == "results").unwrap().text();
    for name in ["acme", "bolt", "core"] {
        assert!(!told.to_lowercase().contains(name), "{name}\n{told}");
    }
    list.says("ada", "!show");
    let told = desk.letters().iter().find(|letter| letter.kind == "results").unwrap().text();
    assert!(
        told.contains("mailer-daemon@bolt.example") || told.contains("MAILER-DAEMON@bolt.example"),
        "{told}"
    );
}

/// Whoever claims the name of an organisation is not told by the name of the application whether that one is on the list.
#[test]
fn an_applicant_does_not_learn_who_is_on_the_list_from_its_own_name() {
    let asks = |others: &[&str]| {
        let list = List::open();
        let desk = &list.desk;
        desk.have_joined(others);
        let key = desk.makes_a_key("Curious <security@curious.example>");
        let key = desk.exported(&key);
        desk.receives(&format!(
            "From: security@curious.example\nTo: distributors@example.org\nSubject: We would like to join\nMessage-ID: <c-1@curious.example>\n\
             MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nOrganisation: Debby\n\n1. a\n\n--b\n\
             Content-Type: application/pgp-keys; name=\"key.asc\"\nContent-Disposition: attachment; filename=\"key.asc\"\n\n{key}\n--b--\n"
        ));
        let letters = desk.letters();
        let text = letters.iter().find(|letter| letter.kind == "membership").unwrap().text();
        text.lines().find(|line| line.contains("Name of your application")).unwrap().to_owned()
    };
    assert_eq!(asks(&["debby"]), asks(&[]));
}
