//! Corners of lists, digests and status letters that careful readers found, each a test of its own.
//!
//! The stories themselves are in `own_lists`, `unanswered` and `status`.

use crate::support::desk::Desk;
use psirtd::control::Question;
use std::time::Duration;
const BEHIND: &str = "[inbox]\nown_lists = [\"security@example.org\"]\n";
const LIST: &str = "Precedence: list\nList-ID: <security.example.org>\nTo: security@example.org\n";

#[test]
fn too_large_through_a_rewriting_list() {
    let desk = Desk::builder().toml(BEHIND).open();
    desk.receives_header(&format!("{LIST}From: \"'Rita' via Security\" <security@example.org>\nReply-To: rita@example.net\nMessage-ID: <r-1@example.net>\n\n"), 100_000_000);
    let told = desk.told(&["From", "Answer", "Noticed"]);
    assert!(told.starts_with("acknowledgement to rita@example.net"), "{told}");
}

#[test]
fn autocrypt_through_a_rewriting_list() {
    let desk = Desk::builder().toml(BEHIND).open();
    let key = desk.autocrypt_key("nora@example.net");
    let outside = format!(
        "{LIST}Autocrypt: addr=nora@example.net; keydata={key}\nFrom: \"'Nora' via Security\" <security@example.org>\nReply-To: nora@example.net\nMessage-ID: <n-1@example.net>\n"
    );
    desk.receives(&desk.encrypted_mail_to(
        &outside,
        "Content-Type: text/plain\n\nA heap overflow.\n",
        "security@example.org",
        "nora@example.net",
    ));
    let told = desk.told(&["From", "Answer", "Signature", "Signed"]);
    assert!(told.starts_with("acknowledgement to nora@example.net (encrypted)"), "{told}");
}

#[test]
fn a_redirect_by_an_exchange_rule() {
    let desk = Desk::new();
    desk.receives("X-MS-Exchange-Inbox-Rules-Loop: security@example.org\nFrom: rita@example.net\nMessage-ID: <r-1@example.net>\nSubject: Heap overflow\n\nA heap overflow.\n");
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn a_digest_before_its_hour() {
    let desk = Desk::new();
    let scan = |n: u32| {
        format!(
            "From: scan-{n}@example.net\nMessage-ID: <scan-{n}@example.net>\nAuto-Submitted: auto-generated\nSubject: found\n\nA heap overflow.\n"
        )
    };
    desk.receives(&scan(1));
    desk.ask(&Question::Release("EX-2026-0001.1".to_owned()));
    desk.clock_to("2026-11-21T17:00:00Z");
    desk.letters();
    desk.clock_to("2026-11-21T20:00:00Z");
    desk.receives(&scan(2));
    desk.letters();
    desk.clock_to("2026-11-21T20:15:00Z");
    assert_eq!(desk.told(&[]), "no letters");
}

#[test]
fn a_status_after_a_promise_was_broken() {
    let desk = Desk::new();
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nIt crashes.\n");
    desk.clock_to("2026-11-27T10:00:00Z");
    desk.letters();
    desk.receives(
        "From: rita@example.net\nMessage-ID: <r-2@example.net>\nIn-Reply-To: <r-1@example.net>\n\nstatus\n",
    );
    let status = desk.letters().remove(0).text();
    assert!(status.contains("Due:    the first answer of a person of the security team"), "{status}");
}

const PLAIN: &str = "From: Rita <rita@example.net>\nTo: security@example.org\nSubject: Heap overflow\nDate: Fri, 20 Nov 2026 22:58:00 +0000\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n";

#[test]
fn a_twin_that_must_not_be_answered_comes_first() {
    let desk = Desk::new();
    desk.receives(&format!("List-Id: <dev.example.net>\n{PLAIN}"));
    desk.receives(PLAIN);
    let told = desk.told(&["Answer"]);
    assert!(told.contains("acknowledgement to rita"), "{told}");
}

#[test]
fn the_rest_of_a_long_digest_is_told_some_time() {
    let desk = Desk::new();
    for n in 0..203 {
        desk.receives(&format!("From: vera-{n}@example.net\nMessage-ID: <v-{n}@example.net>\nAuto-Submitted: auto-replied\nSubject: away {n}\n\nAway.\n"));
    }
    let mut all = String::new();
    for day in ["2026-11-21T17:00:00Z", "2026-11-22T17:00:00Z", "2026-11-23T17:00:00Z"] {
        desk.clock_to(day);
        for letter in desk.letters() {
            all += &letter.text();
        }
    }
    assert_eq!(all.matches("Subject: away").count(), 203);
}

#[test]
fn looked_up_through_a_rewriting_list() {
    use crate::support::tls::Authority;
    use crate::support::wait_until;
    use crate::support::web::{Web, internet, ok};
    use sequoia_openpgp::{Cert, parse::Parse, serialize::SerializeInto};
    let desk = Desk::builder().toml(BEHIND).open();
    let authority = Authority::new();
    let cert = Cert::from_bytes(&desk.public("nora@example.net")).unwrap().to_vec().unwrap();
    let web = desk.runtime().block_on(Web::start(&authority, "openpgpkey.example.net", ok(&cert)));
    let door = desk.looks_up(internet(&authority, &[("openpgpkey.example.net", &[web.address])]));
    let outside = format!(
        "{LIST}From: \"'Nora' via Security\" <security@example.org>\nReply-To: nora@example.net\nMessage-ID: <n-1@example.net>\nSubject: ...\n"
    );
    desk.receives(&desk.encrypted_mail_to(
        &outside,
        "Content-Type: text/plain\n\nA heap overflow.\n",
        "security@example.org",
        "nora@example.net",
    ));
    let verdict = || desk.ask(&Question::Case("EX-2026-0001".into()))["mail_list"][0]["verdict"].clone();
    wait_until("her signature is verified", Duration::from_secs(30), || verdict() == "good");
    door.close();
    assert_eq!(web.heard().len(), 1);
    assert_eq!(desk.ask(&Question::Seen("security@example.org".into())), serde_json::json!([]));
}

/// The border says that From, the desk's own address, is forged; the fields of a list below it name Rita.
#[test]
fn a_forged_list_does_not_lift_dmarc() {
    let border = "[inbox]\nown_lists = [\"security@example.org\"]\n[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\n";
    let desk = Desk::builder().toml(border).open();
    desk.receives(PLAIN);
    desk.letters();
    let forged = format!(
        "Authentication-Results: mx.example.org; dmarc=fail header.from=example.org\n\
         Received: from evil.example by mx.example.org; Fri, 20 Nov 2026 22:59:00 +0000\n\
         {LIST}From: Security <security@example.org>\nReply-To: rita@example.net\nMessage-ID: <m-1@evil.example>\n"
    );
    desk.receives(&format!("{forged}In-Reply-To: <r-1@example.net>\n\nstatus\n"));
    desk.receives(&format!("{}\nAnother report.\n", forged.replace("m-1@", "m-2@")));
    assert!(desk.letters().iter().all(|letter| letter.kind == "relay"), "nobody but the team hears of it");
    let mail = &desk.ask(&Question::Case("EX-2026-0001".into()))["mail_list"][1];
    assert_eq!(mail["pending"], true, "{mail}");
}

#[test]
fn x_original_from_alone() {
    let desk = Desk::builder().toml(BEHIND).open();
    let mail = |reply_to: &str, id: u32| {
        format!(
            "{LIST}From: \"'Rita' via Security\" <security@example.org>\nX-Original-From: Rita Reporter <rita@example.net>\n{reply_to}Message-ID: <r-{id}@example.net>\n\nA heap overflow, {id}.\n"
        )
    };
    desk.receives(&mail("", 1));
    let alone = desk.told(&["From", "Answer"]);
    desk.receives(&mail("Reply-To: everybody@lists.example.net\n", 2));
    let beside = desk.told(&["From", "Answer"]);
    assert!(
        alone.starts_with("acknowledgement to rita@example.net")
            && beside.starts_with("acknowledgement to rita@example.net"),
        "{alone}\n{beside}"
    );
}

/// The digest alone was to tell of it: nobody is promised an answer before somebody has heard of the report.
#[test]
fn junk_that_nobody_heard_of_is_not_answered_when_it_comes_again() {
    let desk = Desk::builder().toml("[inbox]\nrelay_junk = false\n").open();
    desk.receives_junk(PLAIN);
    desk.receives(PLAIN);
    assert_eq!(desk.outgoing(), "no letters");
    desk.clock_to("2026-11-21T18:00:00Z");
    assert!(desk.letter().text().contains("psirtd outbox release EX-2026-0001.1"), "the digest tells of it");
}

/// A person takes it out of the junk in time: then its author hears what he would have heard. Months later it would be a promise of
/// what is past.
#[test]
fn junk_that_a_person_rescues_is_answered_in_time() {
    let desk = Desk::new();
    desk.receives_junk(PLAIN);
    desk.letters();
    desk.receives(PLAIN);
    insta::assert_snapshot!(desk.outgoing(), @"acknowledgement to rita@example.net (signed; <letter-1>; answers <r-1@example.net>): Auto: [EX-2026-0001] we have your report");
    desk.receives(PLAIN);
    assert_eq!(desk.outgoing(), "no letters", "once");

    let desk = Desk::new();
    desk.receives_junk(PLAIN);
    desk.clock_to("2027-03-01T18:00:00Z");
    desk.letters();
    desk.receives(PLAIN);
    assert_eq!(desk.outgoing(), "no letters", "too late");
}

/// Two aliases bring it, and each is a request for membership.
#[test]
fn a_request_for_membership_that_comes_twice_is_still_one() {
    let desk = Desk::builder().toml("[distributors]\naddress = \"distributors@example.org\"\n").open();
    let request = |to: &str| {
        format!(
            "Delivered-To: {to}\nFrom: Vera <vera@example.com>\nTo: distributors@example.org\nMessage-ID: <v-1@example.com>\n\n\
             We would like to join.\n"
        )
    };
    desk.receives(&request("one@example.org"));
    desk.receives(&request("two@example.org"));
    insta::assert_snapshot!(desk.outgoing(), @"
    membership to vera@example.com (signed; <letter-1>; answers <v-1@example.com>): Auto: [EX-2026-0001] your application to our distributors' list
    relay to ada@example.org (encrypted; <letter-2>; answers nothing): [EX-2026-0001] (no subject)
    ");
}

/// Mallory writes in Rita's name, as the border says; hers are relayed as before.
#[test]
fn forged_mails_use_up_nothing_of_the_one_whose_name_they_bear() {
    let limits = "[limits]\nrelayed_per_author_per_day = 2\n[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\n";
    let desk = Desk::builder().toml(limits).open();
    let mail = |verdict: &str, id: u32| {
        format!(
            "Authentication-Results: mx.example.org; dmarc={verdict} header.from=example.net\nFrom: rita@example.net\n\
             Message-ID: <{verdict}-{id}@example.net>\n\nA heap overflow, {id}.\n"
        )
    };
    for id in 0..5 {
        desk.receives(&mail("fail", id));
    }
    desk.letters();
    desk.receives(&mail("pass", 9));
    let kinds: Vec<String> = desk.letters().into_iter().map(|letter| letter.kind).collect();
    assert_eq!(kinds, ["acknowledgement", "relay"]);
}
