//! To which case a mail belongs: strangers in a thread, answers by way of an address of their own, copies of one mail.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use psirtd::pipeline::Recorded;
use serde_json::Value;

const RITA: &str = "Rita Reporter <rita@example.net>";
const MALLORY: &str = "Mallory <mallory@example.com>";
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <tile-1@example.net>

A crafted tile makes the parser write behind its buffer.
";

/// A desk that reads mail to `security+anything@example.org`, too.
fn plus_desk() -> Desk {
    Desk::builder().desk("plus_address = true").open()
}

/// A mail with these further fields of its header, each ending its line.
fn mail(from: &str, id: &str, fields: &str, text: &str) -> String {
    let to = if fields.contains("To: security") { "" } else { "To: security@example.org\n" };
    format!("From: {from}\n{to}Subject: Re: the parser\nMessage-ID: <{id}>\n{fields}\n{text}\n")
}

fn case(desk: &Desk, number: u32) -> Value {
    desk.ask(&Question::Case(format!("EX-2026-000{number}")))
}

/// How many mails each case has.
fn mails(desk: &Desk) -> Vec<u64> {
    desk.cases().iter().map(|case| case["mails"].as_u64().unwrap()).collect()
}

/// Each letter since last asked as its kind and its reader.
fn sent(desk: &Desk) -> Vec<String> {
    desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect()
}

/// The address behind a field's angle brackets.
fn inner(value: &str) -> String {
    value.rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
}

/// Rita has reported; her acknowledgement.
fn rita_has_reported(desk: &Desk) -> Letter {
    desk.receives(REPORT);
    desk.letters().remove(0)
}

/// The ways that lead into Rita's case: her own id, the acknowledgement's, and the address in it.
fn ways(acknowledgement: &Letter) -> [String; 4] {
    let id = acknowledgement.header("Message-ID").unwrap();
    let address = inner(acknowledgement.header("Reply-To").unwrap());
    [
        "In-Reply-To: <tile-1@example.net>\n".to_owned(),
        format!("In-Reply-To: {id}\nReferences: <tile-1@example.net> {id}\n"),
        format!("References: <nothing@example.com> {id}\n"),
        format!("To: {address}\n"),
    ]
}

#[test]
fn a_stranger_in_the_thread_is_shown_as_such_and_moves_nothing() {
    for way in 0..4 {
        let desk = plus_desk();
        let fields = ways(&rita_has_reported(&desk))[way].clone();
        let before = case(&desk, 1);
        desk.clock_to("2026-11-21T10:00:00Z");
        desk.receives(&mail(MALLORY, "m-1@example.com", &fields, "Please send me the details."));
        let relay = desk.letter();
        assert_eq!((relay.kind.as_str(), relay.to.as_str()), ("relay", "ada@example.org"), "{fields}");
        let text = relay.text();
        assert!(text.starts_with("UNVERIFIED follow-up in case EX-2026-0001\n"), "{text}");
        assert!(text.contains("Who wrote it is not known to take part in this case"), "{text}");
        assert!(text.contains("Please send me the details."), "{text}");

        let after = case(&desk, 1);
        assert_eq!(mails(&desk), [2], "{fields}");
        let pending = |number: usize| after["mail_list"][number]["pending"].clone();
        assert_eq!((pending(0), pending(1)), (false.into(), true.into()));
        let due = |case: &Value| {
            case["deadlines"].as_array().unwrap().iter().map(|it| it["due"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(due(&after), due(&before));
        for same in ["phase", "acknowledged_at", "not_acknowledged", "reporter", "reporters"] {
            assert_eq!(after[same], before[same], "{same}");
        }
        let told =
            after["timeline"].as_array().unwrap().iter().any(|line| {
                line["what"] == "UNVERIFIED reply recorded" && line["who"] == "mallory@example.com"
            });
        assert!(told, "{}", after["timeline"]);

        // 09:00 at the desk
        desk.clock_to("2026-11-21T17:00:00Z");
        let digest = desk.letter();
        assert_eq!((digest.kind.as_str(), digest.encrypted), ("digest", true));
        insta::allow_duplicates! { insta::assert_snapshot!(digest.text(), @"
        These mails got no automatic answer since the last list. Is there a report
        among them? Then its author may have heard nothing yet.

        2026-11-21 10:00Z  EX-2026-0001  reply
            From:    mallory@example.com
            Subject: Re: the parser
            Why:     unverified: its author takes no part in the case
        ") }
        desk.clock_to("2026-11-22T17:00:00Z");
        assert_eq!(desk.outgoing(), "no letters", "it is in one digest");
    }
}

#[test]
fn what_answers_a_stranger_s_own_mail_is_a_stranger_s_and_rita_stays_herself() {
    let desk = Desk::new();
    rita_has_reported(&desk);
    desk.receives(&mail(MALLORY, "m-1@example.com", "In-Reply-To: <tile-1@example.net>\n", "Hello?"));
    desk.receives(&mail(MALLORY, "m-2@example.com", "In-Reply-To: <m-1@example.com>\n", "Hello??"));
    desk.receives(&mail(RITA, "tile-2@example.net", "In-Reply-To: <m-1@example.com>\n", "Who are you?"));
    let case = case(&desk, 1);
    let pending: Vec<&Value> =
        case["mail_list"].as_array().unwrap().iter().map(|mail| &mail["pending"]).collect();
    assert_eq!(pending, [false, true, true, false]);
    assert_eq!(sent(&desk), ["relay to ada@example.org"; 3]);
}

/// Neither with nor without his words would a stranger learn where the case stands.
#[test]
fn a_stranger_hears_no_status() {
    let desk = plus_desk();
    let ways = ways(&rita_has_reported(&desk));
    for (number, way) in ways.iter().enumerate() {
        desk.receives(&mail(MALLORY, &format!("m-{number}@example.com"), way, "status"));
        let relay = desk.letter();
        assert_eq!(relay.to, "ada@example.org");
        assert!(relay.text().starts_with("UNVERIFIED"), "{}", relay.text());
    }
}

/// Nora's certificate comes with every mail of hers; the desk learns it from a case of her own, not from one of Rita's.
#[test]
fn a_stranger_s_certificate_is_not_remembered() {
    let desk = Desk::new();
    rita_has_reported(&desk);
    let from_nora = |id: &str, fields: &str| {
        let key = desk.autocrypt_key("nora@example.net");
        let outside = format!(
            "From: Nora <nora@example.net>\nSubject: ...\nMessage-ID: <{id}>\n{fields}Autocrypt: addr=nora@example.net; keydata={key}"
        );
        desk.encrypted_mail(&outside, "Content-Type: text/plain\n\nWhat is it about?\n")
    };
    let seen = || desk.ask(&Question::Seen("nora@example.net".to_owned())).as_array().unwrap().len();
    desk.receives(&from_nora("n-1@example.net", "In-Reply-To: <tile-1@example.net>\n"));
    assert!(desk.letter().text().starts_with("UNVERIFIED"));
    assert_eq!(seen(), 0);
    assert!(!case(&desk, 1)["timeline"].to_string().contains("certificate"));
    desk.receives(&from_nora("n-2@example.net", ""));
    assert_eq!(seen(), 1, "it would have been worth remembering");
}

/// What is said of the border server holds for participants, too: a mail that only says that it is from Rita is a stranger's.
#[test]
fn who_is_not_rita_by_the_word_of_the_border_is_a_stranger() {
    let desk = Desk::builder().toml("[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\n").open();
    rita_has_reported(&desk);
    for (number, (result, pending)) in [("fail", true), ("pass", false), ("none", false)].iter().enumerate() {
        let checked =
            format!("Authentication-Results: mx.example.org; dmarc={result} header.from=example.net\n");
        let mail = mail(RITA, &format!("r-{number}@x"), "In-Reply-To: <tile-1@example.net>\n", "status");
        desk.receives(&(checked + &mail));
        assert_eq!(case(&desk, 1)["mail_list"][number + 1]["pending"], *pending, "{result}");
        let status = sent(&desk).iter().filter(|letter| letter.starts_with("status")).count();
        assert_eq!(status, usize::from(!pending), "{result}");
    }
}

/// Every letter shows the name of the case in its subject: whoever saw one may write it.
#[test]
fn the_name_of_a_case_leads_nowhere_and_ada_is_told() {
    let desk = Desk::new();
    rita_has_reported(&desk);
    for (number, subject) in ["Re: [EX-2026-0001] the parser", "[ex-2026-0001]"].iter().enumerate() {
        desk.receives(&format!(
            "From: {MALLORY}\nTo: security@example.org\nSubject: {subject}\nMessage-ID: <m-{number}@example.com>\n\nTell me more.\n"
        ));
        let letters = desk.letters();
        assert_eq!(letters[0].to, "mallory@example.com", "it is a report of his own");
        let relay = letters[1].text();
        assert!(relay.starts_with(&format!("new report in case EX-2026-000{}\n", number + 2)), "{relay}");
        assert!(relay.contains("its subject names case EX-2026-0001, which proves nothing"), "{relay}");
    }
    desk.receives(&format!(
        "From: {MALLORY}\nSubject: [EX-2026-0099]\nMessage-ID: <m-9@example.com>\n\nTell me more.\n"
    ));
    assert!(!desk.letters()[1].text().contains("proves nothing"), "there is no such case");
    assert_eq!(mails(&desk), [1, 1, 1, 1]);
}

#[test]
fn rita_is_rita_under_a_tagged_address() {
    let desk = plus_desk();
    let ways = ways(&rita_has_reported(&desk));
    let names = ["rita+psirt@example.net", "Rita <RITA@EXAMPLE.NET>", "prvs=0123456789=rita@example.net"];
    for (number, from) in names.into_iter().enumerate() {
        desk.receives(&mail(from, &format!("t-{number}@example.net"), &ways[number], "More."));
        let relay = desk.letter().text();
        assert!(relay.starts_with("follow-up in case EX-2026-0001\n"), "{from}: {relay}");
        assert_eq!(case(&desk, 1)["mail_list"][number + 1]["pending"], false, "{from}");
    }
    assert_eq!(mails(&desk), [4]);
}

#[test]
fn a_coordinator_in_the_thread_is_no_stranger() {
    let desk = Desk::builder().otto().open();
    desk.receives(REPORT);
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.to == "ada@example.org").unwrap();
    let fields = format!("In-Reply-To: {}\n", relay.header("Message-ID").unwrap());
    desk.receives(&mail("Ada <ada@example.org>", "ada-1@example.org", &fields, "I take it."));
    let relay = desk.letter();
    assert_eq!(relay.to, "otto@example.org", "Ada knows what she wrote");
    let head = "mail under the name of a member of the team (not signed) in case EX-2026-0001\n";
    assert!(relay.text().starts_with(head), "{}", relay.text());
    assert_eq!(case(&desk, 1)["mail_list"][1]["pending"], false);
}

const SAM: &str = "Sam Secret <sam@example.com>";

/// A mail of Sam that is encrypted whole, with further fields outside and inside.
fn encrypted(desk: &Desk, id: &str, outside: &str, hp: &str, inside: &str) -> String {
    let to = if outside.contains("To: security") { "" } else { "To: security@example.org\n" };
    let outside = format!("From: {SAM}\n{to}Subject: ...\nMessage-ID: <{id}>\n{outside}");
    let inside = format!(
        "Content-Type: text/plain; protected-headers=\"v1\"{hp}\nSubject: Tokens {id}\n{inside}\nWhat {id} says.\n"
    );
    desk.encrypted_mail(&outside, &inside)
}

const CIPHER: &str = "; hp=\"cipher\"";

/// What stands outside was readable, and could be changed, on the way.
#[test]
fn of_a_protected_header_the_inner_thread_counts() {
    let desk = Desk::new();
    desk.receives(&encrypted(&desk, "s-1@example.com", "", CIPHER, ""));
    desk.receives(&encrypted(&desk, "s-2@example.com", "", CIPHER, ""));
    assert_eq!(mails(&desk), [1, 1]);
    let (to_one, to_two) = ("In-Reply-To: <s-1@example.com>\n", "In-Reply-To: <s-2@example.com>\n");
    desk.receives(&encrypted(&desk, "s-3@example.com", "", CIPHER, to_one));
    assert_eq!(mails(&desk), [2, 1], "inside alone");
    desk.receives(&encrypted(&desk, "s-4@example.com", to_one, CIPHER, to_two));
    assert_eq!(mails(&desk), [2, 2], "inside, and another outside");
    desk.receives(&encrypted(&desk, "s-5@example.com", to_one, CIPHER, ""));
    assert_eq!(mails(&desk), [2, 2, 1], "outside alone");
    desk.receives(&encrypted(&desk, "s-6@example.com", "References: <s-2@example.com>\n", "", to_one));
    assert_eq!(mails(&desk), [3, 2, 1], "the older form, inside and outside");
    desk.receives(&encrypted(&desk, "s-7@example.com", to_two, "", ""));
    assert_eq!(mails(&desk), [3, 3, 1], "the older form, which need not repeat the thread");
}

/// The id in the protected header is the one that its author knows his mail by.
#[test]
fn the_inner_message_id_leads_to_the_case() {
    let desk = Desk::new();
    desk.receives(&encrypted(&desk, "outer@example.com", "", CIPHER, "Message-ID: <inner@example.com>\n"));
    for (number, parent) in ["inner", "outer"].into_iter().enumerate() {
        let parent = format!("In-Reply-To: <{parent}@example.com>\n");
        desk.receives(&encrypted(&desk, &format!("s-{number}@example.com"), "", CIPHER, &parent));
    }
    assert_eq!(mails(&desk), [3]);
}

#[test]
fn of_a_protected_header_the_inner_recipients_count() {
    let desk = plus_desk();
    desk.receives(&encrypted(&desk, "s-1@example.com", "", CIPHER, ""));
    let address = inner(desk.letters()[0].protected("Reply-To").unwrap());
    let (token, bare) = (format!("To: {address}\n"), "To: security@example.org\n");
    desk.receives(&encrypted(&desk, "s-2@example.com", "", CIPHER, &token));
    assert_eq!(mails(&desk), [2], "inside alone");
    desk.receives(&encrypted(&desk, "s-3@example.com", &token, CIPHER, bare));
    assert_eq!(mails(&desk), [2, 1], "outside, and another inside");
    desk.receives(&encrypted(&desk, "s-4@example.com", &token, CIPHER, ""));
    assert_eq!(mails(&desk), [2, 1, 1], "outside alone");
}

/// So that an answer finds its case even when the mail program leaves out the thread.
#[test]
fn letters_are_answered_under_an_address_of_their_own() {
    let desk = plus_desk();
    desk.receives(REPORT);
    let letters = desk.letters();
    for letter in &letters {
        let token = letter.header("Message-ID").unwrap();
        let token = token.strip_prefix("<psirtd.").unwrap().strip_suffix("@example.org>").unwrap();
        assert_eq!((token.len(), token.chars().all(|c| c.is_ascii_hexdigit())), (32, true), "{token}");
        let address = format!("\"Example Project Security\" <security+{token}@example.org>");
        assert_eq!(letter.header("Reply-To"), Some(address.as_str()), "{}", letter.kind);
        assert_eq!(letter.protected("Reply-To"), Some(address.as_str()), "{}", letter.kind);
    }
    let addresses: Vec<String> =
        letters.iter().map(|letter| inner(letter.header("Reply-To").unwrap())).collect();
    assert_ne!(addresses[0], addresses[1], "what one reader knows says nothing of another's letter");
    // written in capitals, beside another one, as a server on the way noted it
    let fields = [
        format!("To: {}\n", addresses[0].to_uppercase()),
        format!("To: security@example.org, Otto <otto@example.net>\nCc: <{}>\n", addresses[0]),
        format!("Delivered-To: {}\n", addresses[0]),
    ];
    for (number, fields) in fields.iter().enumerate() {
        desk.receives(&mail(RITA, &format!("plus-{number}@example.net"), fields, &format!("{number}.")));
        assert_eq!(mails(&desk), [number as u64 + 2], "{fields}");
        assert_eq!(sent(&desk), ["relay to ada@example.org"], "{fields}");
    }
    desk.restarts();
    let fields = format!("To: {}\n", addresses[1]);
    desk.receives(&mail("ada@example.org", "ada-1@example.org", &fields, "For the record."));
    assert_eq!(mails(&desk), [5]);
    assert_eq!(case(&desk, 1)["mail_list"][4]["pending"], false);
}

#[test]
fn a_desk_that_reads_one_address_names_no_other() {
    let desk = Desk::new();
    desk.receives(REPORT);
    for letter in desk.letters() {
        assert_eq!(
            (letter.header("Reply-To"), letter.protected("Reply-To")),
            (None, None),
            "{}",
            letter.kind
        );
    }
}

#[test]
fn only_a_token_of_the_desk_leads_to_a_case() {
    let desk = plus_desk();
    let address = inner(rita_has_reported(&desk).header("Reply-To").unwrap());
    let (local, _) = address.split_once('@').unwrap();
    let token = local.strip_prefix("security+").unwrap();
    let (half, other) = (&token[..16], "0123456789abcdef0123456789abcdef");
    let strange = [
        format!("security+{other}@example.org"),
        format!("security+{half}@example.org"),
        format!("security+{token}0@example.org"),
        format!("security+x+{token}@example.org"),
        "security+EX-2026-0001@example.org".to_owned(),
        format!("{local}@example.com"),
        format!("{local}@mail.example.org"),
        format!("other+{token}@example.org"),
    ];
    for (number, to) in strange.iter().enumerate() {
        let fields = format!("To: security@example.org, {to}\n");
        desk.receives(&mail(RITA, &format!("r-{number}@example.net"), &fields, &format!("Hole {number}.")));
        assert_eq!(desk.cases().len(), number + 2, "{to}");
    }
    assert_eq!(case(&desk, 1)["mails"], 1);
}

/// Rita has two cases. An address that she wrote to is a clearer word than the thread her program has kept.
#[test]
fn the_token_of_another_case_leads_to_that_case() {
    let desk = plus_desk();
    rita_has_reported(&desk);
    desk.receives(&mail(RITA, "css-1@example.net", "", "Another hole, in the style sheets."));
    let address = inner(desk.letters()[0].header("Reply-To").unwrap());
    desk.receives(&mail(RITA, "css-2@example.net", &format!("To: {address}\n"), "Of the second."));
    assert_eq!(mails(&desk), [1, 2]);
    let both = format!("To: {address}\nIn-Reply-To: <tile-1@example.net>\n");
    desk.receives(&mail(RITA, "css-3@example.net", &both, "Of the second, too."));
    assert_eq!(mails(&desk), [1, 3]);
}

/// To and Cc, a second folder, a server that delivers again: the way is another one, the mail is the same.
#[test]
fn one_mail_on_several_ways_is_one_mail() {
    let desk = Desk::new();
    let ways = [
        "",
        "Delivered-To: security@example.org\n",
        "Received: from a by b; Fri, 20 Nov 2026 22:59:00 +0000\nReturn-Path: <rita@example.net>\n",
        "X-Original-To: psirt@example.org\n",
    ];
    for (number, way) in ways.iter().enumerate() {
        let recorded = desk.receives(&format!("{way}{REPORT}"));
        assert_eq!(recorded, if number == 0 { Recorded::New } else { Recorded::Known }, "{way}");
    }
    desk.restarts();
    assert_eq!(desk.receives(REPORT), Recorded::Known);
    assert_eq!(sent(&desk), ["acknowledgement to rita@example.net", "relay to ada@example.org"]);
    assert_eq!(mails(&desk), [1]);
}

#[test]
fn one_mail_on_two_ways_at_once_is_one_mail() {
    let desk = Desk::new();
    desk.receives_together(&[REPORT, &format!("Delivered-To: x@example.org\n{REPORT}"), REPORT]);
    let of_rita = sent(&desk).into_iter().filter(|letter| letter.contains("rita")).count();
    assert_eq!(
        (of_rita, mails(&desk)),
        (1, vec![1, 1]),
        "the first case is of the mail that kept the desk busy"
    );
}

const FOOTER: &str = "\n-- \nSent through a list of the house.\n";

#[test]
fn a_copy_with_a_footer_is_told_as_what_it_is() {
    let desk = Desk::new();
    desk.receives(REPORT);
    assert_eq!(sent(&desk).len(), 2);
    desk.receives(&format!("{REPORT}{FOOTER}"));
    let relay = desk.letter();
    assert_eq!(relay.to, "ada@example.org", "she is not acknowledged twice");
    assert!(relay.text().contains("a copy of a mail of this case, changed on its way"), "{}", relay.text());
    assert_eq!((mails(&desk), case(&desk, 1)["mail_list"][1]["pending"].clone()), (vec![2], false.into()));
}

/// The copy through a list comes first, and deserves no answer; the one that Rita sent to the desk itself does. It is one case.
#[test]
fn the_copy_that_may_be_answered_is() {
    let desk = Desk::new();
    desk.receives(&format!("List-Id: <team.lists.example.net>\n{REPORT}{FOOTER}"));
    assert_eq!(sent(&desk), ["relay to ada@example.org"]);
    assert_eq!(case(&desk, 1)["not_acknowledged"], "list-id");
    desk.receives(REPORT);
    assert_eq!(sent(&desk), ["acknowledgement to rita@example.net", "relay to ada@example.org"]);
    let after = case(&desk, 1);
    assert!(after["acknowledged_at"].is_string() && after["not_acknowledged"].is_null());
    assert_eq!((after["letters"][0]["id"].as_str(), mails(&desk)), (Some("EX-2026-0001.1"), vec![2]));
    desk.receives(&format!("{REPORT}{FOOTER}To leave it, write to the house.\n"));
    assert_eq!(sent(&desk), ["relay to ada@example.org"]);
}

/// An id alone proves nothing: nothing may hide behind one that is known.
#[test]
fn another_text_or_another_author_under_the_same_id_is_another_case() {
    let desk = Desk::new();
    rita_has_reported(&desk);
    desk.receives(&mail(RITA, "tile-1@example.net", "", "Session tokens can be guessed."));
    assert_eq!(sent(&desk), ["acknowledgement to rita@example.net", "relay to ada@example.org"]);
    desk.receives(&REPORT.replace(RITA, MALLORY));
    assert_eq!(sent(&desk), ["acknowledgement to mallory@example.com", "relay to ada@example.org"]);
    assert_eq!(mails(&desk), [1, 1, 1]);
}

/// What is random in a letter's id is in no letter to anybody else.
#[test]
fn a_reader_learns_no_token_but_that_of_his_letter() {
    let desk = Desk::builder().desk("plus_address = true").otto().open();
    desk.receives(REPORT);
    let letters = desk.letters();
    for letter in &letters {
        for other in letters.iter().filter(|other| other.id != letter.id) {
            let id = other.header("Message-ID").unwrap();
            let token = id.trim_start_matches("<psirtd.").split('@').next().unwrap();
            let seen = format!("{}{}", letter.outside, letter.inside);
            assert!(!seen.contains(token), "{} in {}", other.id, letter.id);
        }
    }
}
