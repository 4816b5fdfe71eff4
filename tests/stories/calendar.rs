//! Promises over Thanksgiving, at a desk in Los Angeles that has the Thursday and the Friday off.

use crate::support::desk::Desk;

const HOLIDAYS: &str = "holidays = [\"2026-11-26\", \"2026-11-27\"]\npublic_tracker = \"https://example.org/issues\"\n\
                        process = \"https://example.org/SECURITY.md\"";

fn promised(received: &str) -> String {
    let desk = Desk::builder().policy(HOLIDAYS).start(received).open();
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n");
    let text = desk.letters().remove(0).text();
    let promise = text.split("answers you within ").nth(1).unwrap();
    let day = promise.split("by ").nth(1).unwrap().split(" (").next().unwrap().to_owned();
    let due: Vec<String> = desk.cases()[0]["deadlines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deadline| {
            format!("{} {}", deadline["kind"].as_str().unwrap(), deadline["due"].as_str().unwrap())
        })
        .collect();
    format!("{day}; {}", due.join(", "))
}

/// Tuesday morning: Wednesday, then Monday and Tuesday.
#[test]
fn three_business_days_over_the_holidays() {
    insta::assert_snapshot!(promised("2026-11-24T17:00:00Z"), @"
    Tuesday, 1 December 2026, 23:59 PST
       ; first-response 2026-12-02T07:59:59Z, plan 2026-12-02T07:59:59Z, disclosure 2026-12-17T07:59:59Z
    ");
}

/// Wednesday in UTC is still Tuesday evening in Los Angeles.
#[test]
fn the_day_is_that_of_the_desk() {
    insta::assert_snapshot!(promised("2026-11-25T03:00:00Z"), @"
    Tuesday, 1 December 2026, 23:59 PST
       ; first-response 2026-12-02T07:59:59Z, plan 2026-12-02T07:59:59Z, disclosure 2026-12-17T07:59:59Z
    ");
}

/// On the holiday itself.
#[test]
fn a_report_on_thanksgiving() {
    insta::assert_snapshot!(promised("2026-11-26T20:00:00Z"), @"
    Wednesday, 2 December 2026, 23:59 PST
       ; first-response 2026-12-03T07:59:59Z, plan 2026-12-03T07:59:59Z, disclosure 2026-12-18T07:59:59Z
    ");
}

/// Summer time ends on 1 November: the due time moves by an hour in UTC, and not at the desk.
#[test]
fn over_the_end_of_summer_time() {
    insta::assert_snapshot!(promised("2026-10-30T17:00:00Z"), @"
    Wednesday, 4 November 2026, 23:59 PST
       ; first-response 2026-11-05T07:59:59Z, plan 2026-11-05T07:59:59Z, disclosure 2026-11-20T07:59:59Z
    ");
}

/// A promise runs until the last second of its day.
#[test]
fn a_promise_becomes_overdue() {
    let desk = Desk::builder().policy(HOLIDAYS).start("2026-11-24T17:00:00Z").open();
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n");
    let state = || desk.cases()[0]["deadlines"][0]["state"].as_str().unwrap().to_owned();
    desk.clock_to("2026-12-02T07:59:59Z");
    assert_eq!(state(), "running");
    desk.clock_to("2026-12-02T08:00:00Z");
    assert_eq!(state(), "overdue");
}

/// The links of the written process stand in the acknowledgement.
#[test]
fn the_acknowledgement_names_the_process() {
    let desk = Desk::builder().policy(HOLIDAYS).open();
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n");
    let text = desk.letters().remove(0).text();
    assert!(text.contains("The whole process: https://example.org/SECURITY.md"), "{text}");
    assert!(text.contains("public tracker:\nhttps://example.org/issues"), "{text}");
}
