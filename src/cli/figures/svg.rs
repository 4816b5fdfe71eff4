//! The figures as a picture for a report.
//!
//! # How to read it
//! One line for each step, every case on it: a dot in time, a diamond late, hollow while it still waits. All lines share one
//! scale, on which each mark is a few times the one before, for an acknowledgement takes seconds and a disclosure months.
//! What a promise allows is shaded: up to the shortest one that was given, and paler up to the longest, since business days
//! differ by the clock.
//!
//! # Invariants
//! * It names no case: it may be published.
//! * Everything it shows is also in its description, for those who hear it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::figures::canvas::{Anchor, Canvas, GOOD, HAIR, IDLE, INK, LATE, Look, SOFT, WITHIN};
use crate::cli::figures::{DAY, HOUR, MINUTE, cases, duration, left_out, share};
use crate::domain::figures::{ENOUGH, Figures, Kept, Measure, Point};

const WIDTH: f64 = 800.0;
/// Where words begin and numbers end.
const LEFT: f64 = 32.0;
const RIGHT: f64 = 768.0;
/// Where the cases are drawn.
const PLOT: (f64, f64) = (206.0, 644.0);
/// The height of a line of cases, and of the strip in it.
const ROW: f64 = 74.0;
const STRIP: f64 = 34.0;
/// The height of a bar and of its row.
const BAR: f64 = 16.0;
const BAR_ROW: f64 = 36.0;

/// Sizes of text.
const NAME: Look = Look::of(13.0, INK).bold();
const PLAIN: Look = Look::of(11.5, INK);
const SMALL: Look = Look::of(10.5, SOFT);

/// Marks of the scale: each is a few times the one before. Nobody tells three seconds from ten in a report.
const MARKS: [(i64, &str); 11] = [
    (10, "≤ 10 s"),
    (MINUTE, "1 min"),
    (10 * MINUTE, "10 min"),
    (HOUR, "1 h"),
    (6 * HOUR, "6 h"),
    (DAY, "1 d"),
    (3 * DAY, "3 d"),
    (10 * DAY, "10 d"),
    (30 * DAY, "30 d"),
    (100 * DAY, "100 d"),
    (365 * DAY, "1 y"),
];

/// What the figures do not know of the desk.
#[derive(Debug, Clone)]
pub struct Frame<'f> {
    /// The desk's name.
    pub desk: &'f str,
    /// In which dates are meant.
    pub zone: &'f TimeZone,
}

/// Draws them.
pub fn svg(figures: &Figures, frame: &Frame<'_>) -> String {
    let mut canvas = Canvas::default();
    let mut y = header(&mut canvas, figures, frame);
    y = times(&mut canvas, figures, y);
    y = promises(&mut canvas, figures, y);
    y = open(&mut canvas, figures, frame, y);
    y = footer(&mut canvas, figures, frame, y);
    let title = format!("{}: how security reports were handled, {}", frame.desk, period(figures, frame.zone));
    canvas.finish((WIDTH, y), &title, &description(figures))
}

fn header(canvas: &mut Canvas, figures: &Figures, frame: &Frame<'_>) -> f64 {
    // a long name becomes small rather than run into the number
    let size = (1050.0 / frame.desk.chars().count().max(1) as f64).clamp(9.0, 22.0);
    canvas.text((LEFT, 46.0), Look::of(size, INK).bold(), frame.desk);
    let line = format!("How security reports were handled, {}", period(figures, frame.zone));
    canvas.text((LEFT, 69.0), Look::of(13.5, SOFT), &line);
    canvas.text((RIGHT, 46.0), Look::of(22.0, INK).bold().at(Anchor::End), &figures.cases.to_string());
    let unit = if figures.cases == 1 { "report" } else { "reports" };
    canvas.text((RIGHT, 69.0), Look::of(13.5, SOFT).at(Anchor::End), unit);
    93.0
}

/// A heading over a line.
fn section(canvas: &mut Canvas, y: f64, title: &str, remark: &str) -> f64 {
    canvas.line((LEFT, y), (RIGHT, y), INK, 1.0, "");
    canvas.text((LEFT, y + 22.0), Look::of(14.5, INK).bold(), title);
    canvas.text((RIGHT, y + 22.0), SMALL.at(Anchor::End), remark);
    y + 36.0
}

fn times(canvas: &mut Canvas, figures: &Figures, y: f64) -> f64 {
    let top = section(canvas, y, "From the report to …", "by the clock, nights and weekends included");
    if figures.cases == 0 {
        canvas.text((LEFT, top + 18.0), PLAIN, "No report was received in this time.");
        return top + 44.0;
    }
    let scale = Scale::of(figures);
    let rows = top + 4.0;
    let bottom = figures.measures.iter().fold(rows, |y, _| y + ROW);
    for (seconds, mark) in scale.marks() {
        let x = scale.x(seconds);
        canvas.line((x, rows), (x, bottom), HAIR, 1.0, "");
        canvas.text((x, bottom + 15.0), SMALL.at(Anchor::Middle), mark);
    }
    let mut y = rows;
    for measure in &figures.measures {
        strip(canvas, measure, &scale, y);
        y += ROW;
    }
    legend(canvas, y + 40.0);
    y + 64.0
}

/// One step: its name, its cases, its numbers.
fn strip(canvas: &mut Canvas, measure: &Measure, scale: &Scale, y: f64) {
    let middle = y + 42.0;
    canvas.text((LEFT, middle - 9.0), NAME, title(&measure.step));
    canvas.text((LEFT, middle + 7.0), SMALL, &came(measure));
    canvas.text((LEFT, middle + 21.0), SMALL, &missing(measure));
    if let Some((shortest, longest)) = measure.promised_seconds {
        promised(canvas, scale, (shortest, longest), middle);
    }
    canvas.line((PLOT.0, middle), (PLOT.1, middle), IDLE, 1.0, "");
    swarm(canvas, scale, measure, middle);
    if let Some(median) = measure.median_seconds {
        let x = scale.x(median);
        // across the cases it is thin, for it must not hide the very case that is the median
        canvas.line((x, middle - STRIP / 2.0), (x, middle + STRIP / 2.0), INK, 1.0, "");
        for end in [middle - STRIP / 2.0 - 3.0, middle + STRIP / 2.0 - 4.0] {
            canvas.line((x, end), (x, end + 7.0), INK, 3.0, "");
        }
    }
    numbers(canvas, measure, middle);
}

fn promised(canvas: &mut Canvas, scale: &Scale, (shortest, longest): (i64, i64), middle: f64) {
    let (near, far) = (scale.x(shortest), scale.x(longest));
    let top = middle - STRIP / 2.0 - 1.0;
    canvas.rect((PLOT.0, top), (near - PLOT.0, STRIP + 2.0), WITHIN);
    canvas.rect((near, top), (far - near, STRIP + 2.0), "#f7fafd");
    for x in [near, far] {
        canvas.line((x, top), (x, top + STRIP + 2.0), GOOD, 1.0, "3 3");
    }
    let words = if duration(shortest) == duration(longest) {
        format!("promised within {}", duration(shortest))
    } else {
        format!("promised within {} to {}", duration(shortest), duration(longest))
    };
    // above the line, where it does not leave the plot
    let look = Look { color: GOOD, ..SMALL }.at(Anchor::End);
    canvas.text((far.max(PLOT.0 + 190.0), top - 4.0), look, &words);
}

/// Every case; those of about the same time above and below each other.
fn swarm(canvas: &mut Canvas, scale: &Scale, measure: &Measure, middle: f64) {
    let reached = measure.reached.iter().map(|point| (point, false));
    let waits = measure.waits.iter().map(|point| (point, true));
    let mut columns: BTreeMap<i64, Vec<(&Point, bool)>> = BTreeMap::new();
    for (point, hollow) in reached.chain(waits) {
        // a dot is six wide
        let column = (scale.x(point.seconds) / 6.0).round() as i64;
        columns.entry(column).or_default().push((point, hollow));
    }
    let fullest = columns.values().map(Vec::len).max().unwrap_or(1) as f64;
    for points in columns.into_values() {
        let number = points.len() as f64;
        // where dots must overlap, a fuller column is still the higher one; by the root, lest few look like one
        let room = (STRIP - 6.0) * (number / fullest).sqrt();
        let step = (room / (number - 1.0).max(1.0)).min(6.0);
        let x = points.iter().map(|(point, _)| scale.x(point.seconds)).sum::<f64>() / number;
        let mut y = middle - step * (number - 1.0) / 2.0;
        for (point, hollow) in points {
            canvas.case((x, y), point.late, hollow);
            y += step;
        }
    }
}

fn numbers(canvas: &mut Canvas, measure: &Measure, middle: f64) {
    let mut lines: Vec<(&str, String)> = Vec::new();
    match (measure.median_seconds, measure.worst_seconds) {
        (Some(median), Some(worst)) if measure.count > 1 => {
            lines.push(("median", duration(median)));
            lines.extend(measure.p90_seconds.map(|p90| ("90 %", duration(p90))));
            lines.push(("worst", duration(worst)));
        }
        (Some(only), _) => lines.push(("only", duration(only))),
        _ => {}
    }
    let mut y = middle - 9.0 + if lines.len() < 3 { 8.0 } else { 0.0 };
    for (name, value) in lines {
        canvas.text((PLOT.1 + 20.0, y), SMALL, name);
        canvas.text((RIGHT, y), PLAIN.at(Anchor::End), &value);
        y += 15.0;
    }
}

/// `38 of 41 cases`
fn came(measure: &Measure) -> String {
    let all = measure.count.saturating_add(measure.waiting).saturating_add(measure.never);
    format!("{} of {}", measure.count, cases(all))
}

/// `2 wait · 3 ended without`
fn missing(measure: &Measure) -> String {
    let mut words = Vec::new();
    match measure.waiting {
        0 => {}
        1 => words.push("1 waits".to_owned()),
        number => words.push(format!("{number} wait")),
    }
    if measure.never > 0 {
        words.push(format!("{} ended without", measure.never));
    }
    words.join(" · ")
}

fn legend(canvas: &mut Canvas, y: f64) {
    let mut x = PLOT.0;
    for (late, hollow, words, width) in [
        (false, false, "a case", 62.0),
        (true, false, "later than promised", 132.0),
        (false, true, "still waits", 84.0),
        (true, true, "still waits, overdue", 136.0),
    ] {
        canvas.case((x, y - 3.5), late, hollow);
        canvas.text((x + 9.0, y), SMALL, words);
        x += width;
    }
    canvas.line((x, y - 10.0), (x, y + 2.0), INK, 3.0, "");
    canvas.text((x + 8.0, y), SMALL, "median");
}

fn promises(canvas: &mut Canvas, figures: &Figures, y: f64) -> f64 {
    let remark = "of those whose time has come";
    let mut y = section(canvas, y, "Promises kept", remark);
    if figures.promises.is_empty() {
        canvas.text((LEFT, y + 18.0), PLAIN, "Nothing was promised.");
        return y + 44.0;
    }
    for kept in &figures.promises {
        bar(canvas, kept, y);
        y += BAR_ROW;
    }
    let mut x = PLOT.0;
    for (color, words, width) in [
        (GOOD, "kept", 62.0),
        (LATE, "broken: late, or due and not met", 200.0),
        (IDLE, "still running", 0.0),
    ] {
        canvas.rect((x, y + 4.0), (9.0, 9.0), color);
        canvas.text((x + 14.0, y + 12.5), SMALL, words);
        x += width;
    }
    y + 40.0
}

/// One kind of promise.
fn bar(canvas: &mut Canvas, kept: &Kept, y: f64) {
    canvas.text((LEFT, y + 13.0), NAME, title(&kept.kind));
    let parts = [(kept.kept, GOOD, "#ffffff"), (kept.broken, LATE, "#ffffff"), (kept.running, IDLE, INK)];
    let all: f64 = parts.iter().map(|(number, ..)| *number as f64).sum();
    let mut x = PLOT.0;
    for (number, color, ink) in parts.into_iter().filter(|(number, ..)| *number > 0) {
        let width = (PLOT.1 - PLOT.0) * number as f64 / all;
        canvas.rect((x, y + 1.0), ((width - 1.0).max(1.0), BAR), color);
        let words = number.to_string();
        if width > 8.0 + 7.0 * words.len() as f64 {
            let look = Look { color: ink, ..PLAIN }.at(Anchor::Middle);
            canvas.text((x + width / 2.0, y + 13.0), look, &words);
        }
        x += width;
    }
    let ended = kept.kept.saturating_add(kept.broken);
    let (big, small) = match share(kept) {
        Some(share) => (share, format!("{} of {ended}", kept.kept)),
        None => ("-".to_owned(), "none due".to_owned()),
    };
    canvas.text((PLOT.1 + 20.0, y + 13.0), SMALL, &small);
    canvas.text((RIGHT, y + 13.0), PLAIN.bold().at(Anchor::End), &big);
    if kept.withdrawn > 0 {
        canvas.text((LEFT, y + 26.0), SMALL, &format!("{} withdrawn in time", kept.withdrawn));
    }
}

fn open(canvas: &mut Canvas, figures: &Figures, frame: &Frame<'_>, y: f64) -> f64 {
    let mut y = section(canvas, y, &format!("Open on {}", day(figures.now, frame.zone)), "whenever received");
    let most = figures.open.iter().map(|standing| standing.cases).max().unwrap_or_default();
    if most == 0 {
        canvas.text((LEFT, y + 18.0), PLAIN, "No case is open.");
        return y + 44.0;
    }
    for standing in &figures.open {
        canvas.text((LEFT, y + 13.0), NAME, title(&standing.phase));
        let width = (PLOT.1 - PLOT.0 - 40.0) * standing.cases as f64 / most as f64;
        canvas.rect((PLOT.0, y + 1.0), (width.max(2.0), BAR), "#8fa3b8");
        canvas.text((PLOT.0 + width + 8.0, y + 13.0), PLAIN, &standing.cases.to_string());
        canvas.text((PLOT.1 + 20.0, y + 13.0), SMALL, "oldest");
        canvas.text((RIGHT, y + 13.0), PLAIN.at(Anchor::End), &duration(standing.oldest_seconds));
        y += BAR_ROW - 10.0;
    }
    y + 18.0
}

fn footer(canvas: &mut Canvas, figures: &Figures, frame: &Frame<'_>, y: f64) -> f64 {
    canvas.line((LEFT, y), (RIGHT, y), HAIR, 1.0, "");
    let mut y = y + 20.0;
    for line in remarks(figures) {
        canvas.text((LEFT, y), SMALL, &line);
        y += 15.0;
    }
    let drawn = format!("Counted by psirtd on {}.", day(figures.now, frame.zone));
    canvas.text((LEFT, y), SMALL, &drawn);
    y + 22.0
}

/// What one must know in order not to misread it.
fn remarks(figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    if figures.cases > 0 {
        lines.push(format!(
            "90 %: nine of ten cases were not slower; not given for fewer than {ENOUGH} cases. Durations are \
             rounded down."
        ));
    }
    lines.extend(left_out(figures).map(|left| format!("Left out: {left}.")));
    if figures.bounced > 0 {
        lines.push(format!(
            "Acknowledgements that bounced do not count as acknowledgements: {}.",
            figures.bounced
        ));
    }
    if figures.earlier > 0 {
        let earlier = cases(figures.earlier);
        lines.push(format!("Received earlier and counted only as long as open: {earlier}."));
    }
    lines
}

/// The picture in words.
fn description(figures: &Figures) -> String {
    let mut words = vec![format!("{} received.", cases(figures.cases))];
    for measure in &figures.measures {
        let mut parts = vec![format!("{}: {}", title(&measure.step), cases(measure.count))];
        parts.extend(measure.median_seconds.map(|at| format!("median {}", duration(at))));
        parts.extend(measure.p90_seconds.map(|at| format!("90th percentile {}", duration(at))));
        parts.extend(measure.worst_seconds.map(|at| format!("worst {}", duration(at))));
        let longest = measure.longest_wait_seconds.map(|at| format!(", the longest for {}", duration(at)));
        parts.push(format!("waiting {}{}", measure.waiting, longest.unwrap_or_default()));
        parts.push(format!("ended without {}", measure.never));
        words.push(format!("{}.", parts.join(", ")));
    }
    for kept in &figures.promises {
        words.push(format!(
            "Promise {}: {} kept, {} broken, {} running, {} withdrawn.",
            kept.kind, kept.kept, kept.broken, kept.running, kept.withdrawn
        ));
    }
    for standing in &figures.open {
        words.push(format!(
            "Open, {}: {}, the oldest for {}.",
            standing.phase,
            cases(standing.cases),
            duration(standing.oldest_seconds)
        ));
    }
    words.extend(remarks(figures));
    words.join(" ")
}

/// A word as a heading.
fn title(word: &str) -> &str {
    match word {
        "acknowledgement" => "Acknowledgement",
        "answer" => "A person’s answer",
        "plan" => "Plan",
        "fix" => "Fix",
        "disclosure" => "Disclosure",
        "first-response" => "First response",
        "status-update" => "Status updates",
        "received" => "Received",
        "triaged" => "Triaged",
        "accepted" => "Accepted",
        "fixing" => "Being fixed",
        "fixed" => "Fixed",
        "disclosed" => "Disclosed",
        "reopened" => "Reopened",
        other => other,
    }
}

fn period(figures: &Figures, zone: &TimeZone) -> String {
    match figures.since.or(figures.first) {
        Some(from) => format!("{} to {}", day(from, zone), day(figures.now, zone)),
        None => format!("until {}", day(figures.now, zone)),
    }
}

/// `28 November 2026`
fn day(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %B %Y").to_string()
}

/// The scale that all steps share.
struct Scale {
    first: i64,
    last: i64,
}

impl Scale {
    /// From the mark below the quickest to the one above the slowest; a promise is on it, too.
    fn of(figures: &Figures) -> Self {
        let points = figures.measures.iter().flat_map(|measure| measure.reached.iter().chain(&measure.waits));
        let promised = figures.measures.iter().filter_map(|measure| measure.promised_seconds);
        let ends: Vec<i64> =
            points.map(|point| point.seconds).chain(promised.map(|(_, longest)| longest)).collect();
        let quickest = ends.iter().min().copied().unwrap_or(HOUR);
        let slowest = ends.iter().max().copied().unwrap_or(DAY);
        let first = MARKS.iter().map(|(mark, _)| *mark).rfind(|mark| *mark <= quickest).unwrap_or(10);
        let last = MARKS.iter().map(|(mark, _)| *mark).find(|mark| *mark >= slowest && *mark > first);
        Self { first, last: last.unwrap_or_else(|| slowest.max(first.saturating_add(1))) }
    }

    fn marks(&self) -> impl Iterator<Item = (i64, &'static str)> {
        MARKS.into_iter().filter(|(mark, _)| (self.first..=self.last).contains(mark))
    }

    fn x(&self, seconds: i64) -> f64 {
        let log = |seconds: i64| (seconds.max(1) as f64).ln();
        let share = (log(seconds) - log(self.first)) / (log(self.last) - log(self.first));
        PLOT.0 + (PLOT.1 - PLOT.0) * share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::figures::tests::{crowd, few_cases, nobody};

    const HOSTILE: &str = "R&D </text><script>alert('1')</script> \u{1}\"desk\"";

    fn drawn(figures: &Figures, desk: &str) -> String {
        svg(figures, &Frame { desk, zone: &TimeZone::UTC })
    }

    /// (element, text after its tag)
    fn elements(svg: &str) -> Vec<(&str, &str)> {
        svg.split('<')
            .skip(1)
            .map(|element| {
                let (tag, text) = element.split_once('>').expect(element);
                (tag.split(' ').next().unwrap_or(tag), text.trim())
            })
            .collect()
    }

    #[test]
    fn what_the_picture_says() {
        let svg = drawn(&few_cases(), "Example Project Security");
        let words: Vec<&str> =
            elements(&svg).into_iter().map(|(_, text)| text).filter(|text| !text.is_empty()).collect();
        insta::assert_snapshot!(words.join("\n"), @r"
        Example Project Security: how security reports were handled, 1 January 2026 to 11 April 2026
        3 cases received. Acknowledgement: 2 cases, median 1 min, worst 1 min 30 s, waiting 1, the longest for 10 d, ended without 0. A person’s answer: 3 cases, median 1 d 2 h, worst 5 d, waiting 0, ended without 0. Plan: 1 case, median 2 d 2 h, worst 2 d 2 h, waiting 1, the longest for 10 d, ended without 1. Fix: 1 case, median 20 d, worst 20 d, waiting 1, the longest for 10 d, ended without 1. Disclosure: 1 case, median 30 d, worst 30 d, waiting 1, the longest for 10 d, ended without 1. Promise first-response: 2 kept, 1 broken, 0 running, 0 withdrawn. Promise plan: 1 kept, 1 broken, 0 running, 1 withdrawn. Promise disclosure: 1 kept, 0 broken, 1 running, 0 withdrawn. Open, triaged: 1 case, the oldest for 10 d. Open, fixing: 1 case, the oldest for 130 d. 90 %: nine of ten cases were not slower; not given for fewer than 10 cases. Durations are rounded down. Left out: 2 merged, 1 spam. Acknowledgements that bounced do not count as acknowledgements: 1. Received earlier and counted only as long as open: 1 case.
        Example Project Security
        How security reports were handled, 1 January 2026 to 11 April 2026
        3
        reports
        From the report to …
        by the clock, nights and weekends included
        ≤ 10 s
        1 min
        10 min
        1 h
        6 h
        1 d
        3 d
        10 d
        30 d
        100 d
        Acknowledgement
        2 of 3 cases
        1 waits
        median
        1 min
        worst
        1 min 30 s
        A person’s answer
        3 of 3 cases
        promised within 3 d 14 h to 5 d 14 h
        median
        1 d 2 h
        worst
        5 d
        Plan
        1 of 3 cases
        1 waits · 1 ended without
        promised within 3 d 14 h to 5 d 14 h
        only
        2 d 2 h
        Fix
        1 of 3 cases
        1 waits · 1 ended without
        only
        20 d
        Disclosure
        1 of 3 cases
        1 waits · 1 ended without
        promised within 90 d
        only
        30 d
        a case
        later than promised
        still waits
        still waits, overdue
        median
        Promises kept
        of those whose time has come
        First response
        2
        1
        2 of 3
        66 %
        Plan
        1
        1
        1 of 2
        50 %
        1 withdrawn in time
        Disclosure
        1
        1
        1 of 1
        100 %
        kept
        broken: late, or due and not met
        still running
        Open on 11 April 2026
        whenever received
        Triaged
        1
        oldest
        10 d
        Being fixed
        1
        oldest
        130 d
        90 %: nine of ten cases were not slower; not given for fewer than 10 cases. Durations are rounded down.
        Left out: 2 merged, 1 spam.
        Acknowledgements that bounced do not count as acknowledgements: 1.
        Received earlier and counted only as long as open: 1 case.
        Counted by psirtd on 11 April 2026.
        ");
    }

    #[test]
    fn an_empty_desk_has_a_picture() {
        let svg = drawn(&nobody(), "Example Project Security");
        for words in ["No report was received in this time.", "Nothing was promised.", "No case is open."] {
            assert!(svg.contains(words), "{svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn it_is_well_formed_and_asks_for_nothing() {
        for figures in [nobody(), few_cases(), crowd()] {
            let svg = drawn(&figures, HOSTILE);
            let mut open = Vec::new();
            for (element, _) in elements(&svg) {
                match element.strip_prefix('/') {
                    Some(closed) => assert_eq!(open.pop(), Some(closed)),
                    None if ["svg", "title", "desc", "text"].contains(&element) => open.push(element),
                    None => assert!(["rect", "line", "circle", "path"].contains(&element), "{element}"),
                }
            }
            assert!(open.is_empty(), "{open:?}");
            assert!(svg.contains("R&amp;D &lt;/text&gt;&lt;script&gt;alert(&#39;1&#39;)"), "{svg}");
            assert!(!svg.contains("href") && !svg.contains("url(") && svg.matches("http").count() == 1);
            assert!(!svg.contains("NaN") && !svg.contains("inf\"") && !svg.contains('\u{1}'));
        }
    }

    #[test]
    fn every_case_is_drawn_and_none_is_named() {
        let figures = crowd();
        let svg = drawn(&figures, "desk");
        let drawn = elements(&svg).iter().filter(|(element, _)| ["circle", "path"].contains(element)).count();
        let cases: usize = figures.measures.iter().map(|measure| measure.count + measure.waiting).sum();
        // four in the legend
        assert_eq!(drawn, cases + 4);
        assert!(!svg.contains("EX-2026-"), "{svg}");
    }

    #[test]
    fn a_later_time_is_further_to_the_right() {
        let scale = Scale { first: 10, last: 100 * DAY };
        assert_eq!((scale.x(0), scale.x(10), scale.x(1000 * DAY)), (PLOT.0, PLOT.0, PLOT.1));
        assert!(scale.x(HOUR) < scale.x(2 * HOUR) && scale.x(2 * HOUR) < scale.x(DAY));
    }
}
