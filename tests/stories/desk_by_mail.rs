//! A report on its way to the fix: once by signed mail alone, once on the command line.

use crate::support::desk::Desk;
use psirtd::control::Question;
use serde_json::{Value, json};

const CASE: &str = "EX-2026-0001";
const VECTOR: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

A crafted tile makes the parser write behind its buffer.
";
const ANSWER: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Re: Heap overflow in the tile parser
Message-ID: <r-2@example.net>
In-Reply-To: <r-1@example.net>

It was version 0.11.4.
";

/// How a person tells the desk what to do.
type Says<'s> = &'s dyn Fn(&Desk, &str, Option<&str>);

/// A desk with two coordinators and a maintainer, and Rita's report on Friday, 20 November, 15:00.
fn desk() -> Desk {
    let desk = Desk::builder().otto().max().policy("supported = [\"0.12\", \"0.11\", \"0.10\"]").open();
    desk.receives(REPORT);
    assert_eq!(told(&desk), ["acknowledgement to rita", "relay to ada", "relay to otto"]);
    desk
}

/// Each letter since last asked as its kind and its reader.
fn told(desk: &Desk) -> Vec<String> {
    let reader = |to: &str| to.split('@').next().unwrap().to_owned();
    desk.letters().iter().map(|letter| format!("{} to {}", letter.kind, reader(&letter.to))).collect()
}

fn case(desk: &Desk) -> Value {
    desk.ask(&Question::Case(CASE.to_owned()))
}

/// Each clock of the case, when it is due at the desk, and how it stands.
fn clocks(desk: &Desk) -> Vec<String> {
    let case = case(desk);
    let clocks = case["deadlines"].as_array().unwrap().iter();
    let text = |clock: &Value, field: &str| clock[field].as_str().unwrap().to_owned();
    clocks
        .map(|clock| format!("{} {} {}", text(clock, "kind"), text(clock, "due"), text(clock, "state")))
        .collect()
}

/// What Ada hears of what she says herself, and of what the operator does.
const HEARS: [&str; 2] = ["results to ada", "note to ada"];

/// From the report to the fix. `say` is how Ada says it; what she hears about it is not among the letters told.
fn from_report_to_fix(desk: &Desk, say: Says<'_>) {
    let said = |line: &str, text: Option<&str>| {
        say(desk, line, text);
        told(desk)
            .into_iter()
            .filter(|letter| !HEARS.contains(&letter.as_str()))
            .filter(|letter| !(text.is_some() && line != "note" && letter == "note to otto"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        clocks(desk),
        [
            "first-response 2026-11-26T07:59:59Z running",
            "plan 2026-11-26T07:59:59Z running",
            "disclosure 2026-12-11T07:59:59Z running"
        ]
    );

    // half of the business time is over on Tuesday morning; nobody owns the case, so all coordinators hear of it
    desk.clock_to("2026-11-24T15:29:00Z");
    assert_eq!(told(desk), [""; 0]);
    desk.clock_to("2026-11-24T15:30:00Z");
    assert_eq!(told(desk), ["reminder to ada", "reminder to otto"]);

    assert_eq!(said("take ada@example.org", None), [""; 0]);
    assert_eq!(said("need-info", Some("Which version is it?")), ["answer to rita"]);
    // the first answer has left, and the next word is Rita's
    assert_eq!(
        clocks(desk),
        [
            "first-response 2026-11-26T07:59:59Z met",
            "plan 2026-11-26T07:59:59Z running",
            "disclosure 2026-12-11T07:59:59Z running",
            "need-info 2026-12-09T07:59:59Z running"
        ]
    );
    desk.clock_to("2026-11-25T18:00:00Z");
    // four fifths of the plan's time are over: now Otto hears of it, too
    assert_eq!(told(desk), ["digest to ada", "digest to otto", "reminder to ada", "reminder to otto"]);
    desk.receives(ANSWER);
    assert_eq!(told(desk), ["relay to ada", "relay to otto"]);
    assert_eq!(
        clocks(desk)[3..],
        ["need-info 2026-12-09T07:59:59Z ended", "status-update 2026-12-03T07:59:59Z running"]
    );

    // the plan is broken by the time it comes
    desk.clock_to("2026-11-26T08:00:00Z");
    assert_eq!(told(desk), ["reminder to ada", "reminder to otto"]);
    assert_eq!(said("plan", Some("We build your example on Monday.")), ["answer to rita"]);
    assert_eq!(clocks(desk)[1], "plan 2026-11-26T07:59:59Z late");
    assert_eq!(
        clocks(desk)[4],
        "status-update 2026-12-04T07:59:59Z running",
        "five business days from Thursday"
    );

    assert_eq!(said("note", Some("It is the length field.")), ["note to otto"]);
    assert_eq!(said("accept", Some("It is a vulnerability. Thank you.")), ["answer to rita"]);
    assert_eq!(said("share", None), ["relay to max", "relay to max"]);
    assert_eq!(said(&format!("severity {VECTOR} tell"), None), ["answer to rita"]);
    for line in [
        "cwe CWE-787",
        "cve CVE-2026-12345",
        "affects 0.12 0.11",
        "credit Rita Reporter",
        "priority high",
        "fixing",
    ] {
        assert_eq!(said(line, None), [""; 0], "{line}");
    }
    assert_eq!(said("workaround", Some("Turn the tile cache off.")), [""; 0]);
    assert_eq!(said("fixed 0.12.3", None), [""; 0]);
    assert_eq!((&case(desk)["phase"], &case(desk)["unfixed"]), (&json!("fixing"), &json!(["0.11"])));
    assert_eq!(said("fixed except 0.11", Some("It ends in December.")), [""; 0]);

    let case = case(desk);
    assert_eq!(case["phase"], "fixed");
    assert_eq!((&case["owner"], &case["priority"]), (&json!("ada@example.org"), &json!("high")));
    assert_eq!(
        case["severity"],
        json!({ "vector": VECTOR, "score": 9.8, "band": "critical", "version": "3.1" })
    );
    assert_eq!((&case["cwe"], &case["cve"]), (&json!(["CWE-787"]), &json!(["CVE-2026-12345"])));
    assert_eq!(
        case["fixed"],
        json!([
            { "line": "0.12", "version": "0.12.3", "exception": false },
            { "line": "0.11", "version": null, "exception": true }
        ])
    );
    assert_eq!(
        (&case["credits"], &case["shared_with"]),
        (&json!(["Rita Reporter"]), &json!(["max@example.org"]))
    );

    // silence towards the reporter is a breach, too. From Thursday, 00:00, to the next Thursday's end are six business days: half of
    // them are over when Tuesday begins, four fifths on Wednesday evening
    let mut warned = Vec::new();
    for at in ["2026-11-30T20:00:00Z", "2026-12-02T20:00:00Z", "2026-12-03T20:00:00Z", "2026-12-04T08:00:00Z"]
    {
        desk.clock_to(at);
        warned
            .push(told(desk).into_iter().filter(|letter| letter.starts_with("reminder")).collect::<Vec<_>>());
    }
    let both = || vec!["reminder to ada", "reminder to otto"];
    assert_eq!(warned, [vec![], vec!["reminder to ada"], both(), both()]);
    // public before the advisory: the publication is due now
    assert_eq!(
        said("public https://example.com/blog", None),
        ["note to otto", "note to max", "answer to rita"]
    );
    let public = self::case(desk);
    assert_eq!(public["phase"], "disclosed");
    assert_eq!(said("close", None), [""; 0]);
    assert_eq!(self::case(desk)["phase"], "closed");
    assert!(
        clocks(desk).iter().all(|clock| !clock.ends_with("running") && !clock.ends_with("overdue")),
        "{:?}",
        clocks(desk)
    );
}

/// The events of the case that say what the team did, without who and when, and without what a mail is and a letter to the team.
fn journal(desk: &Desk) -> Vec<Value> {
    let mut events = Vec::new();
    let mut place = None;
    loop {
        let page = desk.ask(&Question::Records(place));
        let records = page["records"].as_array().unwrap().clone();
        if records.is_empty() {
            return events;
        }
        for event in records.iter().flat_map(|record| record["events"].as_array().unwrap()) {
            let mut event = event.clone();
            let fields = event.as_object_mut().unwrap();
            let of_the_team = |fields: &serde_json::Map<String, Value>| {
                let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
                ["results", "reminder", "digest"].contains(&kind)
            };
            let of_a_command = fields["event"] == "mail-recorded" && fields["kind"] == "command";
            let of_a_letter = fields.contains_key("letter");
            if of_the_team(fields) || of_a_command || (of_a_letter && fields["event"] != "answered") {
                continue;
            }
            for field in ["at", "by", "signature", "mail", "digest", "letter", "to"] {
                fields.remove(field);
            }
            // letters to the team count among those of the case
            fields.get_mut("deadline").and_then(Value::as_object_mut).map(|clock| clock.remove("letter"));
            events.push(event);
        }
        place = Some(serde_json::from_value(page["place"].clone()).unwrap());
    }
}

fn by_mail(desk: &Desk, line: &str, text: Option<&str>) {
    let line = if line == "take ada@example.org" { "take" } else { line };
    let body = format!("!{line}\n\n{}\n-- \nAda\n", text.unwrap_or_default());
    desk.receives(&desk.orders("ada", CASE, &body));
}

fn on_the_command_line(desk: &Desk, line: &str, text: Option<&str>) {
    desk.is_told(CASE, line, text).unwrap();
}

#[test]
fn a_report_through_to_the_fix_by_mail_and_on_the_command_line() {
    let (mails, line) = (desk(), desk());
    from_report_to_fix(&mails, &by_mail);
    from_report_to_fix(&line, &on_the_command_line);
    let (by_mail, by_hand) = (journal(&mails), journal(&line));
    assert!(by_hand.len() > 30, "{}", by_hand.len());
    assert_eq!(by_mail, by_hand, "the same happened");
    // and it is the same after the index was made anew
    for desk in [&mails, &line] {
        let before = case(desk);
        desk.steps_aside();
        std::fs::remove_dir_all(desk.state().join("index")).unwrap();
        desk.comes_back();
        assert_eq!(case(desk), before);
    }
}
