//! `psirtd cases`: a line for each case, the most urgent first, and below it what is out of order.
//!
//! # Invariants
//! * A line is never wider than the page. Ids are whole; addresses lose their middle first, `psirtd case` shows them whole.
//! * What is as it should be is not told: an acknowledged case has no second line.
//! * The order and the choice of words are of the table alone: the JSON stays as it came.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::page::{is_owed, order, priority_tone, told_due, urgency};
use crate::cli::show::{items, text};
use crate::cli::style::{MARGIN, Sheet, Span, Tone, columns, day, shortened};

const GAP: usize = 2;
/// An address in fewer columns tells nothing.
const SHORTEST: usize = 8;

/// Whether somebody still has to do something about a case.
pub(super) fn is_open(case: &Value) -> bool {
    case["merged_into"].is_null() && !matches!(text(case, "phase"), "closed" | "rejected")
}

/// The table of cases.
pub(super) fn table(cases: &Value, now: Timestamp, width: usize, styled: bool) -> String {
    let mut cases: Vec<&Value> = items(cases).collect();
    if cases.is_empty() {
        return "no cases".to_owned();
    }
    // those that are over last, those to which nothing is owed before them
    cases.sort_by_cached_key(|case| {
        let next = next(case).map(order);
        (!is_open(case), next.is_none(), next)
    });
    let names = Names::of(&cases);
    let head = ["CASE", "PHASE", "OWNER", "REPORTER", "NEXT", "DUE"];
    let mut rows = vec![head.map(|name| (Tone::Quiet, name.to_owned()))];
    rows.extend(cases.iter().map(|case| row(case, &names, now)));
    let notes = std::iter::once(Vec::new()).chain(cases.iter().map(|case| notes(case, now)));
    drawn(&rows, notes, width, styled)
}

/// Rows under each other, and what is noted below each. Of a page too narrow the third and the fourth column give way.
pub(super) fn drawn(
    rows: &[[Span; 6]],
    notes: impl Iterator<Item = Vec<Span>>,
    width: usize,
    styled: bool,
) -> String {
    let (widths, id_alone) = fitting(rows, width);
    let indent = if id_alone { MARGIN } else { widths.first().map_or(0, |id| id.saturating_add(GAP)) };
    let mut sheet = Sheet::new(width, styled);
    for (row, notes) in rows.iter().zip(notes) {
        let cells: Vec<(Span, usize)> = row
            .iter()
            .zip(widths)
            .map(|((tone, cell), width)| ((*tone, shortened(cell, width)), width.saturating_add(GAP)))
            .collect();
        match cells.split_first() {
            Some((id, rest)) if id_alone => {
                sheet.hung(0, std::slice::from_ref(id), &[]);
                sheet.item(0, rest, &[]);
            }
            _ => sheet.hung(0, &cells, &[]),
        }
        let room = width.saturating_sub(indent);
        let notes = notes.into_iter().map(|(tone, note)| (tone, shortened(&note, room)));
        let parted = notes.flat_map(|note| [(Tone::Quiet, "·".to_owned()), note]).skip(1);
        sheet.hung(indent, &[], &parted.collect::<Vec<_>>());
    }
    sheet.text()
}

/// What is to be done next.
fn next(case: &Value) -> Option<&Value> {
    let owed = items(&case["deadlines"]).filter(|deadline| is_owed(deadline) && is_open(case));
    owed.min_by_key(|deadline| order(deadline))
}

fn row(case: &Value, names: &Names, now: Timestamp) -> [Span; 6] {
    let phase = if case["merged_into"].is_null() { text(case, "phase") } else { "merged" };
    let owner = match text(case, "owner") {
        "" if is_open(case) => (Tone::Soon, "nobody".to_owned()),
        "" => (Tone::Quiet, "-".to_owned()),
        owner => (Tone::Plain, names.name(owner)),
    };
    let reporter = match text(case, "reporter") {
        "" => (Tone::Quiet, "unknown".to_owned()),
        reporter => (Tone::Plain, reporter.to_owned()),
    };
    let (kind, due) = match next(case) {
        None => ((Tone::Quiet, "-".to_owned()), (Tone::Quiet, String::new())),
        Some(deadline) => {
            let tone = urgency(deadline, now);
            ((tone, text(deadline, "kind").to_owned()), (tone, told_due(deadline, now)))
        }
    };
    let id = if is_open(case) { Tone::Strong } else { Tone::Quiet };
    [(id, text(case, "id").to_owned()), (Tone::Plain, phase.to_owned()), owner, reporter, kind, due]
}

/// What a coordinator should know of a case beyond its line.
fn notes(case: &Value, now: Timestamp) -> Vec<Span> {
    if let Some(into) = case["merged_into"].as_str() {
        return vec![(Tone::Quiet, format!("merged into {into}"))];
    }
    if !is_open(case) {
        let class = text(case, "rejected_as");
        let noted = (!class.is_empty()).then(|| (Tone::Quiet, format!("rejected as {class}")));
        return noted.into_iter().collect();
    }
    let mut notes = Vec::new();
    if let priority @ ("critical" | "high") = text(case, "priority") {
        notes.push((priority_tone(priority), format!("{priority} priority")));
    }
    match (text(case, "acknowledged_at"), text(case, "not_acknowledged")) {
        ("", "") => notes.push((Tone::Soon, "not acknowledged yet".to_owned())),
        ("", why) => notes.push((Tone::Near, format!("not acknowledged: {why}"))),
        _ => {}
    }
    if let Some(at) = case["waiting_since"].as_str() {
        notes.push((Tone::Quiet, format!("reporter asked {}", day(at))));
    }
    let snoozed = text(case, "snoozed_until");
    if snoozed.parse::<Timestamp>().is_ok_and(|until| until > now) {
        notes.push((Tone::Quiet, format!("snoozed until {}", day(snoozed))));
    }
    if let Some(at) = case["public_since"].as_str() {
        notes.push((Tone::Alarm, format!("public since {}", day(at))));
    }
    notes
}

/// How owners are called: those of one desk are told apart by the part before the `@`, unless two share it.
struct Names {
    short: bool,
}

impl Names {
    fn of(cases: &[&Value]) -> Self {
        let owners: BTreeSet<&str> = cases.iter().map(|case| text(case, "owner")).collect();
        let short: BTreeSet<&str> = owners.iter().map(|owner| local(owner)).collect();
        Self { short: owners.len() == short.len() && !short.contains("nobody") }
    }

    fn name(&self, owner: &str) -> String {
        if self.short { local(owner) } else { owner }.to_owned()
    }
}

fn local(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(local, _)| local)
}

/// The widths of the columns, and whether ids are so long that they take a line of their own. Where the page is too narrow the
/// longer one of owner and reporter gives way.
fn fitting(rows: &[[Span; 6]], width: usize) -> ([usize; 6], bool) {
    let mut widths = [0_usize; 6];
    for row in rows {
        for (widest, (_, cell)) in widths.iter_mut().zip(row) {
            *widest = columns(cell).max(*widest);
        }
    }
    let [id, phase, mut owner, mut reporter, kind, due] = widths;
    let fixed = [phase, kind, due].iter().fold(5 * GAP, |sum, column| sum.saturating_add(*column));
    let beside = width.saturating_sub(fixed.saturating_add(id));
    let id_alone = beside < 2 * SHORTEST;
    let room = if id_alone { width.saturating_sub(fixed) } else { beside };
    if owner.saturating_add(reporter) > room {
        owner = owner.min((room / 3).max(room.saturating_sub(reporter)));
        reporter = reporter.min(room.saturating_sub(owner));
    }
    ([id, phase, owner, reporter, kind, due], id_alone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::page::tests::{fresh, hostile, now, rich};

    fn with(mut case: Value, fields: &Value) -> Value {
        case.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        case
    }

    fn desk() -> Value {
        let over = |id: &str, fields: Value| with(with(rich(), &fields), &json!({ "id": id }));
        json!([
            over("EX-2026-0004", json!({ "phase": "closed" })),
            fresh(),
            hostile(),
            over("EX-2026-0005", json!({ "phase": "rejected", "rejected_as": "spam" })),
            over("EX-2026-0006", json!({ "merged_into": "EX-2026-0001" })),
            rich(),
            over(
                "EX-2026-0007",
                json!({ "deadlines": [], "priority": null, "waiting_since": null, "public_since": null,
                "snoozed_until": null, "phase": "disclosed" })
            ),
            with(
                fresh(),
                &json!({ "id": "EX-2026-0008", "reporter": "scanner@example.net",
                "not_acknowledged": "auto-submitted: auto-generated" })
            ),
        ])
    }

    #[test]
    fn the_most_urgent_comes_first() {
        insta::assert_snapshot!(table(&desk(), now(), 80, false), @"
        CASE          PHASE      OWNER     REPORTER           NEXT            DUE
        EX-2026-0001  fixing     ada       rita@example.net   status-update   3 h late
                      critical priority · reporter asked 2026-11-27 · snoozed until
                      2026-11-30 · public since 2026-11-26
        EX-2026-0003  received   nobody    rita@example.net   first-response  in 4 d 8 h
                      not acknowledged yet
        EX-2026-0008  received   nobody    scanner@…mple.net  first-response  in 4 d 8 h
                      not acknowledged: auto-submitted: auto-generated
        EX-2026-0002  triaged    名字…人   aaaaaaaa…mple.net  plan
                      not acknowledged: limit: 多多多多…多多多多多多多多多多多多多多多多
        EX-2026-0007  disclosed  ada       rita@example.net   -
        EX-2026-0004  closed     ada       rita@example.net   -
        EX-2026-0005  rejected   ada       rita@example.net   -
                      rejected as spam
        EX-2026-0006  merged     ada       rita@example.net   -
                      merged into EX-2026-0001
        ");
    }

    #[test]
    fn a_table_in_colours() {
        let cases = json!([rich(), fresh()]);
        let styled = table(&cases, now(), 80, true);
        assert_eq!(anstream::adapter::strip_str(&styled).to_string(), table(&cases, now(), 80, false));
        insta::assert_snapshot!(styled.replace('\u{1b}', "␛"), @"
        ␛[2mCASE␛[0m          ␛[2mPHASE␛[0m     ␛[2mOWNER␛[0m   ␛[2mREPORTER␛[0m          ␛[2mNEXT␛[0m            ␛[2mDUE␛[0m
        ␛[1mEX-2026-0001␛[0m  fixing    ada     rita@example.net  ␛[1m␛[31mstatus-update␛[0m   ␛[1m␛[31m3 h late␛[0m
                      ␛[1m␛[31mcritical priority␛[0m ␛[2m· reporter asked 2026-11-27 · snoozed until␛[0m
                      ␛[2m2026-11-30 ·␛[0m ␛[1m␛[31mpublic since 2026-11-26␛[0m
        ␛[1mEX-2026-0003␛[0m  received  ␛[33mnobody␛[0m  rita@example.net  first-response  in 4 d 8 h
                      ␛[33mnot acknowledged yet␛[0m
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_page() {
        let long =
            with(rich(), &json!({ "id": "A-PREFIX-OF-20-CHARS-2026-123456", "owner": "x".repeat(200) }));
        let mut all = desk();
        for last in [false, true] {
            if last {
                all.as_array_mut().unwrap().push(long.clone());
            }
            for width in [60, 80, 110] {
                let table = table(&all, now(), width, false);
                assert!(table.lines().all(|line| columns(line) <= width), "{table}");
                for case in items(&all) {
                    assert!(table.contains(text(case, "id")), "{table}");
                }
            }
        }
    }

    #[test]
    fn owners_are_told_apart() {
        let names = |owners: &[&str]| {
            let cases: Vec<Value> = owners.iter().map(|owner| json!({ "owner": owner })).collect();
            let names = Names::of(&cases.iter().collect::<Vec<_>>());
            owners.iter().map(|owner| names.name(owner)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&["ada@example.org", "ben@example.org", "ada@example.org"]), "ada ben ada");
        assert_eq!(names(&["ada@example.org", "ada@example.com"]), "ada@example.org ada@example.com");
        assert_eq!(names(&["nobody@example.org"]), "nobody@example.org");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(table(&json!([]), now(), 80, false), "no cases");
    }
}
