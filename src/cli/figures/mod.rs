//! `psirtd figures`: how the desk keeps its word, as a table and as a picture.
//!
//! # What it is for
//! Both are drawn from the same [`Figures`], which the daemon answers as JSON; what is counted how, is written there
//! ([`crate::domain::figures`]). The picture is meant for a report that a team publishes: it names no case.
//!
//! # Invariants
//! * No figure without the number of cases behind it.
//! * The table fits 80 columns.
//! * Durations are rounded down: nothing is called longer than it was.

mod canvas;
pub mod svg;

use std::path::Path;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::{Failure, print};
use crate::domain::figures::{ENOUGH, Figures, Kept, Measure};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// `psirtd figures`: `answer` is what the daemon says.
pub(super) fn show(answer: &Value, picture: Option<&Path>, json: bool) -> Result<(), Failure> {
    let figures: Figures = serde_json::from_value(answer.get("figures").cloned().unwrap_or_default())
        .map_err(Failure::because)?;
    let said = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let zone = TimeZone::get(said("zone")).unwrap_or(TimeZone::UTC);
    if let Some(file) = picture {
        let picture = svg::svg(&figures, &svg::Frame { desk: said("desk"), zone: &zone });
        let failed = |error| Failure::Failed(format!("--svg {}: {error}", file.display()));
        std::fs::write(file, picture).map_err(failed)?;
    }
    if json {
        return print(&serde_json::to_string_pretty(&figures).map_err(Failure::because)?);
    }
    print(&table(&figures, &zone))
}

/// The figures for a terminal; dates as in `zone`.
pub fn table(figures: &Figures, zone: &TimeZone) -> String {
    let mut parts = vec![heading(figures, zone)];
    parts.push(measures(figures));
    parts.push(notes(figures));
    if !figures.promises.is_empty() {
        parts.push(promises(figures));
    }
    parts.push(open(figures));
    parts.join("\n\n").lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A duration as people say it: `2 d 3 h`, `5 min 10 s`; from ten of a unit on, in that unit alone: `18 d`, `12 h`.
pub fn duration(seconds: i64) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")];
    let mut words: Vec<String> = Vec::new();
    let mut rest = seconds.max(0);
    for (length, unit) in units {
        let number = rest.checked_div(length).unwrap_or_default();
        rest = rest.checked_rem(length).unwrap_or_default();
        if number > 0 {
            words.push(format!("{number} {unit}"));
        } else if !words.is_empty() {
            break;
        }
        if words.len() == 2 || number >= 10 {
            break;
        }
    }
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

/// Which cases: `41 cases received 2026-01-01 to 2026-11-28`.
fn heading(figures: &Figures, zone: &TimeZone) -> String {
    let period = match figures.since.or(figures.first) {
        Some(from) => format!("{} to {}", date(from, zone), date(figures.now, zone)),
        None => format!("until {}", date(figures.now, zone)),
    };
    let mut lines = vec![format!("{} received {period}", cases(figures.cases))];
    lines.extend(left_out(figures).map(|left| format!("left out: {left}")));
    if figures.earlier > 0 {
        let earlier = cases(figures.earlier);
        lines.push(format!("received earlier: {earlier}, counted only where it says what is open"));
    }
    lines.join("\n")
}

/// `12 spam, 3 merged`
fn left_out(figures: &Figures) -> Option<String> {
    let words: Vec<String> =
        figures.left_out.iter().map(|left| format!("{} {}", left.cases, left.why)).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn measures(figures: &Figures) -> String {
    let mut table = right(&["TIME TO", "CASES", "MEDIAN", "90 %", "WORST", "WAITING", "LONGEST", "NEVER"]);
    for measure in &figures.measures {
        table.add_row([
            measure.step.clone(),
            measure.count.to_string(),
            or_dash(measure.median_seconds),
            or_dash(measure.p90_seconds),
            or_dash(measure.worst_seconds),
            measure.waiting.to_string(),
            or_dash(measure.longest_wait_seconds),
            measure.never.to_string(),
        ]);
    }
    table.to_string()
}

/// What one must know in order not to misread the times.
fn notes(figures: &Figures) -> String {
    let mut lines = vec![
        "By the clock, nights and weekends included. WAITING: open and not there yet,".to_owned(),
        "LONGEST: the longest wait among them. NEVER: ended without it.".to_owned(),
    ];
    if figures.measures.iter().any(few) {
        lines.push(format!("No 90th percentile of fewer than {ENOUGH} cases: look at the worst."));
    }
    if figures.bounced > 0 {
        lines.push(format!("Acknowledgements that bounced do not count as such: {}.", figures.bounced));
    }
    lines.join("\n")
}

/// Cases came to it, but too few for a percentile.
fn few(measure: &Measure) -> bool {
    (1..ENOUGH).contains(&measure.count)
}

fn promises(figures: &Figures) -> String {
    let mut table =
        right(&["PROMISE", "KEPT", "SHARE", "BROKEN", "OWED", "LATE UP TO", "RUNNING", "WITHDRAWN"]);
    for kept in &figures.promises {
        table.add_row([
            kept.kind.clone(),
            kept.kept.to_string(),
            share(kept).unwrap_or_else(|| "-".to_owned()),
            kept.broken.to_string(),
            kept.still_owed.to_string(),
            or_dash(kept.worst_delay_seconds),
            kept.running.to_string(),
            kept.withdrawn.to_string(),
        ]);
    }
    format!(
        "{table}\n\nBROKEN: met late, or due and not met; OWED: how many of them still are not.\n\
         SHARE: kept, of those kept or broken."
    )
}

/// Of the promises whose time has come, how many per cent were kept; 100 only when all were.
fn share(kept: &Kept) -> Option<String> {
    let ended = kept.kept.saturating_add(kept.broken);
    kept.kept.saturating_mul(100).checked_div(ended).map(|share| format!("{share} %"))
}

fn open(figures: &Figures) -> String {
    if figures.open.is_empty() {
        return "no case is open".to_owned();
    }
    let mut table = right(&["OPEN", "CASES", "OLDEST", "THAT IS"]);
    for standing in &figures.open {
        table.add_row([
            standing.phase.clone(),
            standing.cases.to_string(),
            or_dash(Some(standing.oldest_seconds)),
            standing.oldest.clone(),
        ]);
    }
    table.to_string()
}

/// A duration for a cell, where 80 columns leave no room for “min”.
fn or_dash(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| duration(seconds).replace("min", "m"))
}

/// A table whose numbers stand one below the other.
fn right(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `1 case`, `2 cases`
fn cases(number: usize) -> String {
    format!("{number} case{}", if number == 1 { "" } else { "s" })
}

fn date(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::figures::{LeftOut, Measured, Promised, figures};
    use jiff::SignedDuration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn case(id: &str, received_at: Timestamp) -> Measured {
        Measured {
            id: id.to_owned(),
            phase: "received".to_owned(),
            open: true,
            received_at,
            acknowledged_at: None,
            bounced: false,
            answered_at: None,
            planned_at: None,
            fixed_at: None,
            disclosed_at: None,
            promises: Vec::new(),
        }
    }

    fn promise(kind: &str, due: &str, met: Option<&str>, withdrawn: Option<&str>) -> Promised {
        Promised { kind: kind.to_owned(), due: at(due), met_at: met.map(at), withdrawn_at: withdrawn.map(at) }
    }

    /// No case at all.
    pub(super) fn nobody() -> Figures {
        figures(&[], &[], None, at("2026-04-11T09:00:00Z"))
    }

    /// One that went well, one that did not, one that was rejected, one from last year.
    pub(super) fn few_cases() -> Figures {
        let well = Measured {
            phase: "closed".to_owned(),
            open: false,
            acknowledged_at: Some(at("2026-03-02T09:00:30Z")),
            answered_at: Some(at("2026-03-03T11:00:00Z")),
            planned_at: Some(at("2026-03-04T11:00:00Z")),
            fixed_at: Some(at("2026-03-22T09:00:00Z")),
            disclosed_at: Some(at("2026-04-01T09:00:00Z")),
            promises: vec![
                promise("first-response", "2026-03-05T23:59:59Z", Some("2026-03-03T11:00:00Z"), None),
                promise("plan", "2026-03-05T23:59:59Z", Some("2026-03-04T11:00:00Z"), None),
                promise("disclosure", "2026-05-31T09:00:00Z", Some("2026-04-01T09:00:00Z"), None),
            ],
            ..case("EX-2026-0001", at("2026-03-02T09:00:00Z"))
        };
        let badly = Measured {
            phase: "triaged".to_owned(),
            acknowledged_at: Some(at("2026-04-01T09:00:20Z")),
            bounced: true,
            answered_at: Some(at("2026-04-06T09:00:00Z")),
            promises: vec![
                promise("first-response", "2026-04-05T09:00:00Z", Some("2026-04-06T09:00:00Z"), None),
                promise("plan", "2026-04-05T09:00:00Z", None, None),
                promise("disclosure", "2026-06-30T09:00:00Z", None, None),
            ],
            ..case("EX-2026-0002", at("2026-04-01T09:00:00Z"))
        };
        let rejected = Measured {
            phase: "rejected".to_owned(),
            open: false,
            acknowledged_at: Some(at("2026-04-08T09:01:30Z")),
            answered_at: Some(at("2026-04-08T12:00:00Z")),
            promises: vec![
                promise("first-response", "2026-04-13T23:59:59Z", Some("2026-04-08T12:00:00Z"), None),
                promise("plan", "2026-04-13T23:59:59Z", None, Some("2026-04-08T12:00:00Z")),
            ],
            ..case("EX-2026-0003", at("2026-04-08T09:00:00Z"))
        };
        let old = Measured { phase: "fixing".to_owned(), ..case("EX-2025-0007", at("2025-12-02T09:00:00Z")) };
        let left = |why: &str| LeftOut { received_at: at("2026-03-03T09:00:00Z"), why: why.to_owned() };
        figures(
            &[well, badly, rejected, old],
            &[left("spam"), left("merged"), left("merged")],
            Some(at("2026-01-01T00:00:00Z")),
            at("2026-04-11T09:00:00Z"),
        )
    }

    /// Many, everything as wide as it gets.
    pub(super) fn crowd() -> Figures {
        let now = at("2026-12-31T00:00:00Z");
        let long = SignedDuration::from_secs(9 * DAY + 23 * HOUR);
        let odd = SignedDuration::from_secs(9 * HOUR + 59 * MINUTE);
        let cases: Vec<Measured> = (0..300_i64)
            .map(|number| {
                let received = now - long - SignedDuration::from_hours(number % 7);
                let reached = (number % 3 > 0).then(|| received + if number % 2 == 0 { long } else { odd });
                Measured {
                    phase: "disclosed".to_owned(),
                    acknowledged_at: reached,
                    answered_at: reached,
                    planned_at: reached,
                    fixed_at: reached,
                    disclosed_at: reached,
                    promises: ["first-response", "plan", "status-update", "disclosure"]
                        .map(|kind| Promised {
                            kind: kind.to_owned(),
                            due: received + odd,
                            met_at: reached,
                            withdrawn_at: None,
                        })
                        .to_vec(),
                    ..case(&format!("EX-2026-{number:04}"), received)
                }
            })
            .collect();
        figures(&cases, &[], None, now)
    }

    #[test]
    fn durations_are_read_by_people() {
        for (seconds, expected) in [
            (-5, "0 s"),
            (0, "0 s"),
            (9, "9 s"),
            (59, "59 s"),
            (60, "1 min"),
            (599, "9 min 59 s"),
            (600, "10 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (3605, "1 h"),
            (35_999, "9 h 59 min"),
            (86_399, "23 h"),
            (183_600, "2 d 3 h"),
            (863_999, "9 d 23 h"),
            (864_000, "10 d"),
            (36_892_800, "427 d"),
        ] {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_share_is_whole_only_when_all_were_kept() {
        let row = |kept, broken| Kept {
            kind: "plan".to_owned(),
            kept,
            broken,
            still_owed: 0,
            running: 7,
            withdrawn: 7,
            worst_delay_seconds: None,
        };
        for (kept, broken, expected) in [
            (0, 0, None),
            (3, 0, Some("100 %")),
            (999, 1, Some("99 %")),
            (1, 2, Some("33 %")),
            (0, 1, Some("0 %")),
        ] {
            assert_eq!(share(&row(kept, broken)).as_deref(), expected, "{kept} kept, {broken} broken");
        }
    }

    #[test]
    fn what_the_table_says() {
        insta::assert_snapshot!(table(&few_cases(), &TimeZone::UTC), @r"
        3 cases received 2026-01-01 to 2026-04-11
        left out: 2 merged, 1 spam
        received earlier: 1 case, counted only where it says what is open

         TIME TO          CASES   MEDIAN  90 %     WORST  WAITING  LONGEST  NEVER
         acknowledgement      2      1 m     -  1 m 30 s        1     10 d      0
         answer               3  1 d 2 h     -       5 d        0        -      0
         plan                 1  2 d 2 h     -   2 d 2 h        1     10 d      1
         fix                  1     20 d     -      20 d        1     10 d      1
         disclosure           1     30 d     -      30 d        1     10 d      1

        By the clock, nights and weekends included. WAITING: open and not there yet,
        LONGEST: the longest wait among them. NEVER: ended without it.
        No 90th percentile of fewer than 10 cases: look at the worst.
        Acknowledgements that bounced do not count as such: 1.

         PROMISE         KEPT  SHARE  BROKEN  OWED  LATE UP TO  RUNNING  WITHDRAWN
         first-response     2   66 %       1     0         1 d        0          0
         plan               1   50 %       1     1         6 d        0          1
         disclosure         1  100 %       0     0           -        1          0

        BROKEN: met late, or due and not met; OWED: how many of them still are not.
        SHARE: kept, of those kept or broken.

         OPEN     CASES  OLDEST       THAT IS
         triaged      1    10 d  EX-2026-0002
         fixing       1   130 d  EX-2025-0007
        ");
        insta::assert_snapshot!(table(&nobody(), &TimeZone::UTC), @r"
        0 cases received until 2026-04-11

         TIME TO          CASES  MEDIAN  90 %  WORST  WAITING  LONGEST  NEVER
         acknowledgement      0       -     -      -        0        -      0
         answer               0       -     -      -        0        -      0
         plan                 0       -     -      -        0        -      0
         fix                  0       -     -      -        0        -      0
         disclosure           0       -     -      -        0        -      0

        By the clock, nights and weekends included. WAITING: open and not there yet,
        LONGEST: the longest wait among them. NEVER: ended without it.

        no case is open
        ");
    }

    #[test]
    fn the_table_fits_the_terminal() {
        for figures in [nobody(), few_cases(), crowd()] {
            for line in table(&figures, &TimeZone::UTC).lines() {
                assert!(line.chars().count() <= 80, "{} wide: {line}", line.chars().count());
            }
        }
    }

    /// The command line gets the figures as JSON.
    #[test]
    fn json_draws_the_same() {
        let json = serde_json::to_string(&few_cases()).unwrap();
        let read: Figures = serde_json::from_str(&json).unwrap();
        assert_eq!(table(&read, &TimeZone::UTC), table(&few_cases(), &TimeZone::UTC));
    }

    #[test]
    fn dates_are_those_of_the_desk() {
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        assert!(table(&few_cases(), &zone).starts_with("3 cases received 2025-12-31 to 2026-04-11"));
    }
}
