//! How the desk keeps its word, in figures.
//!
//! # What it is for
//! A team that publishes its process is asked how well it keeps it. This counts that from the cases: how long it took to
//! each step, which promises were kept, what is open.
//!
//! # How it counts
//! * A case is chosen by when it was received: from `since` on. What is open is counted whenever it was received, for an old
//!   case is not less open.
//! * Times are by the clock, nights and weekends included: what the reporter lived through. What ended before it began (a
//!   mail's date may be wrong) took no time.
//! * An acknowledgement that bounced is none.
//! * A case that has not come to a step has no time, and a quick median may hide that. So beside the times stand the cases
//!   that still wait for the step, and for how long, and those that ended without it.
//! * The median is the middle, or half way between the two in the middle. The 90th percentile is the smallest time that nine
//!   of ten cases did not exceed; of fewer than ten cases it would be the worst one under a better name, and there is none.
//! * A promise is kept when it was met by its due time, and broken when that passed before: also when nobody has met it yet,
//!   and when it was withdrawn only afterwards. It is running before. Withdrawn in time it is neither.
//!
//! # Invariants
//! * Each promise of a chosen case is in exactly one of kept, broken, running and withdrawn.
//! * The order of the cases changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From so many cases on there is a 90th percentile.
pub const ENOUGH: usize = 10;

/// The phases of a case, in the order of the process.
const PHASES: [&str; 9] =
    ["received", "triaged", "accepted", "fixing", "fixed", "disclosed", "reopened", "closed", "rejected"];
/// The promises, in the order in which they fall due.
const PROMISES: [&str; 4] = ["first-response", "plan", "status-update", "disclosure"];

/// What is measured of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Its name.
    pub id: String,
    /// Its phase's word.
    pub phase: String,
    /// It has not ended.
    pub open: bool,
    /// When the report reached the mailbox.
    pub received_at: Timestamp,
    /// When the acknowledgement left the house.
    pub acknowledged_at: Option<Timestamp>,
    /// It came back, and no other one went after it: nobody was told, and `acknowledged_at` does not count.
    pub bounced: bool,
    /// When a person first answered.
    pub answered_at: Option<Timestamp>,
    /// When a person sent the plan.
    pub planned_at: Option<Timestamp>,
    /// When every supported version was fixed.
    pub fixed_at: Option<Timestamp>,
    /// When it was made public.
    pub disclosed_at: Option<Timestamp>,
    /// What was promised; several may be of one kind.
    pub promises: Vec<Promised>,
}

/// One promise of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promised {
    /// Which, as `psirtd case` calls it.
    pub kind: String,
    /// By when.
    pub due: Timestamp,
    /// When a person did it.
    pub met_at: Option<Timestamp>,
    /// When it ceased to be owed without having been met.
    pub withdrawn_at: Option<Timestamp>,
}

/// A case that is not measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// When it was received.
    pub received_at: Timestamp,
    /// Why: “spam”, “merged”.
    pub why: String,
}

/// The figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// The cases received from then on; all when none.
    pub since: Option<Timestamp>,
    /// When the first of them was received.
    pub first: Option<Timestamp>,
    /// When this was counted.
    pub now: Timestamp,
    /// How many were measured.
    pub cases: usize,
    /// How many were received before, and count only where it says what is open.
    pub earlier: usize,
    /// How many acknowledgements came back.
    pub bounced: usize,
    /// Not measured, by reason.
    pub left_out: Vec<Reason>,
    /// How long it took.
    pub measures: Vec<Measure>,
    /// What became of the promises.
    pub promises: Vec<Kept>,
    /// The open cases, whenever received.
    pub open: Vec<Standing>,
}

/// How many cases were left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// How many.
    pub cases: usize,
}

/// How long it took from the report to one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// `acknowledgement`, `answer`, `plan`, `fix`, `disclosure`
    pub step: String,
    /// How many cases came to it.
    pub count: usize,
    /// The middle.
    pub median_seconds: Option<i64>,
    /// Nine of ten were not slower; none of fewer than ten cases.
    pub p90_seconds: Option<i64>,
    /// The slowest.
    pub worst_seconds: Option<i64>,
    /// How many open cases have not come to it yet.
    pub waiting: usize,
    /// Since when the first of them was received.
    pub longest_wait_seconds: Option<i64>,
    /// How many cases ended without it.
    pub never: usize,
    /// From the report to the due time of the matching promise: the shortest and the longest, when there is any.
    pub promised_seconds: Option<(i64, i64)>,
    /// The cases that came to it, the quickest first.
    pub reached: Vec<Point>,
    /// The cases that wait for it, the youngest first.
    pub waits: Vec<Point>,
}

/// One case of a measure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// From the report to the step, or to now.
    pub seconds: i64,
    /// The matching promise was broken.
    pub late: bool,
    /// Which case.
    pub case: String,
}

/// What became of the promises of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Which promise.
    pub kind: String,
    /// Met in time.
    pub kept: usize,
    /// Met late, or not met and due.
    pub broken: usize,
    /// How many of the broken ones nobody has met yet.
    pub still_owed: usize,
    /// Not due yet.
    pub running: usize,
    /// Ceased to be owed before it was due.
    pub withdrawn: usize,
    /// How late the latest of the broken ones was, or is.
    pub worst_delay_seconds: Option<i64>,
}

/// The open cases of one phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The phase.
    pub phase: String,
    /// How many.
    pub cases: usize,
    /// How long ago the oldest of them was received.
    pub oldest_seconds: i64,
    /// Which one that is.
    pub oldest: String,
}

/// What one promise has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Kept,
    /// So many seconds late.
    Broken {
        delay: i64,
        still_owed: bool,
    },
    Running,
    Withdrawn,
}

/// A step of the process that is measured.
struct Step {
    word: &'static str,
    at: fn(&Measured) -> Option<Timestamp>,
    /// The promise that speaks of it.
    promise: Option<&'static str>,
}

const STEPS: [Step; 5] = [
    Step {
        word: "acknowledgement",
        at: |case| case.acknowledged_at.filter(|_| !case.bounced),
        promise: None,
    },
    Step { word: "answer", at: |case| case.answered_at, promise: Some("first-response") },
    Step { word: "plan", at: |case| case.planned_at, promise: Some("plan") },
    Step { word: "fix", at: |case| case.fixed_at, promise: None },
    Step { word: "disclosure", at: |case| case.disclosed_at, promise: Some("disclosure") },
];

/// Counts.
pub fn figures(
    cases: &[Measured],
    left_out: &[LeftOut],
    since: Option<Timestamp>,
    now: Timestamp,
) -> Figures {
    let chosen = |received_at: Timestamp| since.is_none_or(|since| received_at >= since);
    let measured: Vec<&Measured> = cases.iter().filter(|case| chosen(case.received_at)).collect();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for left in left_out.iter().filter(|left| chosen(left.received_at)) {
        count(reasons.entry(&left.why).or_default());
    }
    Figures {
        since,
        first: measured.iter().map(|case| case.received_at).min(),
        now,
        cases: measured.len(),
        earlier: cases.len().saturating_sub(measured.len()),
        bounced: measured.iter().filter(|case| case.bounced).count(),
        left_out: reasons.into_iter().map(|(why, cases)| Reason { why: why.to_owned(), cases }).collect(),
        measures: STEPS.iter().map(|step| measure(step, &measured, now)).collect(),
        promises: kept(&measured, now),
        open: standing(cases, now),
    }
}

fn measure(step: &Step, cases: &[&Measured], now: Timestamp) -> Measure {
    let (mut reached, mut waits, mut never) = (Vec::new(), Vec::new(), 0);
    let mut terms: Vec<i64> = Vec::new();
    for case in cases {
        let promises = || case.promises.iter().filter(|promise| Some(promise.kind.as_str()) == step.promise);
        terms.extend(promises().map(|promise| seconds(case.received_at, promise.due)));
        let late = promises().any(|promise| matches!(outcome(promise, now), Outcome::Broken { .. }));
        let point = |at| Point { seconds: seconds(case.received_at, at), late, case: case.id.clone() };
        match (step.at)(case) {
            Some(at) => reached.push(point(at)),
            None if case.open => waits.push(point(now)),
            None => count(&mut never),
        }
    }
    reached.sort();
    waits.sort();
    let times: Vec<i64> = reached.iter().map(|point| point.seconds).collect();
    Measure {
        step: step.word.to_owned(),
        count: times.len(),
        median_seconds: median(&times),
        p90_seconds: p90(&times),
        worst_seconds: times.last().copied(),
        waiting: waits.len(),
        longest_wait_seconds: waits.last().map(|point| point.seconds),
        never,
        promised_seconds: terms.iter().min().copied().zip(terms.iter().max().copied()),
        reached,
        waits,
    }
}

/// Of times in order.
fn median(times: &[i64]) -> Option<i64> {
    let middle = times.len().checked_div(2)?;
    let upper = *times.get(middle)?;
    if times.len().is_multiple_of(2) {
        let lower = *times.get(middle.checked_sub(1)?)?;
        return Some(lower.midpoint(upper));
    }
    Some(upper)
}

/// Of times in order: the nearest rank.
fn p90(times: &[i64]) -> Option<i64> {
    let rank = times.len().saturating_mul(9).div_ceil(10);
    times.get(rank.checked_sub(1)?).filter(|_| times.len() >= ENOUGH).copied()
}

fn kept(cases: &[&Measured], now: Timestamp) -> Vec<Kept> {
    let mut kinds: BTreeMap<(usize, &str), Kept> = BTreeMap::new();
    for promise in cases.iter().flat_map(|case| &case.promises) {
        let place = place(&PROMISES, &promise.kind);
        let entry = kinds.entry((place, &promise.kind)).or_insert_with(|| Kept {
            kind: promise.kind.clone(),
            kept: 0,
            broken: 0,
            still_owed: 0,
            running: 0,
            withdrawn: 0,
            worst_delay_seconds: None,
        });
        match outcome(promise, now) {
            Outcome::Kept => count(&mut entry.kept),
            Outcome::Broken { delay, still_owed } => {
                count(&mut entry.broken);
                if still_owed {
                    count(&mut entry.still_owed);
                }
                entry.worst_delay_seconds = entry.worst_delay_seconds.max(Some(delay));
            }
            Outcome::Running => count(&mut entry.running),
            Outcome::Withdrawn => count(&mut entry.withdrawn),
        }
    }
    kinds.into_values().collect()
}

fn outcome(promise: &Promised, now: Timestamp) -> Outcome {
    let broken = |at, still_owed| Outcome::Broken { delay: seconds(promise.due, at), still_owed };
    match (promise.met_at, promise.withdrawn_at) {
        (Some(at), _) if at <= promise.due => Outcome::Kept,
        (Some(at), _) => broken(at, false),
        (None, Some(at)) if at <= promise.due => Outcome::Withdrawn,
        (None, Some(at)) => broken(at, false),
        (None, None) if now <= promise.due => Outcome::Running,
        (None, None) => broken(now, true),
    }
}

fn standing(cases: &[Measured], now: Timestamp) -> Vec<Standing> {
    let mut phases: BTreeMap<(usize, &str), Vec<&Measured>> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.open) {
        phases.entry((place(&PHASES, &case.phase), &case.phase)).or_default().push(case);
    }
    let line = |((_, phase), cases): ((usize, &str), Vec<&Measured>)| {
        let oldest = cases.iter().min_by_key(|case| (case.received_at, &case.id))?;
        Some(Standing {
            phase: phase.to_owned(),
            cases: cases.len(),
            oldest_seconds: seconds(oldest.received_at, now),
            oldest: oldest.id.clone(),
        })
    };
    phases.into_iter().filter_map(line).collect()
}

/// Where a word stands in an order; words that it does not know come last.
fn place(order: &[&str], word: &str) -> usize {
    order.iter().position(|known| *known == word).unwrap_or(order.len())
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs().max(0)
}

fn count(number: &mut usize) {
    *number = number.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3600;

    /// So many hours after the first report.
    fn hour(hours: i64) -> Timestamp {
        "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(hours)
    }

    fn case(id: &str, received: i64) -> Measured {
        Measured {
            id: id.to_owned(),
            phase: "received".to_owned(),
            open: true,
            received_at: hour(received),
            acknowledged_at: None,
            bounced: false,
            answered_at: None,
            planned_at: None,
            fixed_at: None,
            disclosed_at: None,
            promises: Vec::new(),
        }
    }

    fn promise(kind: &str, due: i64, met: Option<i64>, withdrawn: Option<i64>) -> Promised {
        Promised {
            kind: kind.to_owned(),
            due: hour(due),
            met_at: met.map(hour),
            withdrawn_at: withdrawn.map(hour),
        }
    }

    /// (times, median, 90th percentile)
    #[test]
    fn medians_and_percentiles() {
        let ten: Vec<i64> = (1..=10).map(|time| time * 10).collect();
        let twenty: Vec<i64> = (1..=20).collect();
        let table: &[(&[i64], Option<i64>, Option<i64>)] = &[
            (&[], None, None),
            (&[7], Some(7), None),
            (&[7, 8], Some(7), None),
            (&[1, 2, 300], Some(2), None),
            (&[1, 2, 4, 300], Some(3), None),
            (&ten, Some(55), Some(90)),
            (&ten[..9], Some(50), None),
            // rank 18 of 20
            (&twenty, Some(10), Some(18)),
            // rank 9.9, that is 10 of 11
            (&[1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 99], Some(2), Some(6)),
        ];
        for (times, middle, ninety) in table {
            assert_eq!((median(times), p90(times)), (*middle, *ninety), "{times:?}");
        }
    }

    /// (due, met, withdrawn, outcome), now being hour 100
    #[test]
    fn what_becomes_of_a_promise() {
        let broken = |hours, still_owed| Outcome::Broken { delay: hours * HOUR, still_owed };
        for (due, met, withdrawn, expected) in [
            (50, Some(50), None, Outcome::Kept),
            (50, Some(51), None, broken(1, false)),
            (50, None, None, broken(50, true)),
            (100, None, None, Outcome::Running),
            (150, None, None, Outcome::Running),
            (150, Some(90), None, Outcome::Kept),
            (50, None, Some(50), Outcome::Withdrawn),
            (150, None, Some(60), Outcome::Withdrawn),
            // to give a promise up after it was broken does not mend it
            (50, None, Some(52), broken(2, false)),
            (50, Some(49), Some(60), Outcome::Kept),
        ] {
            let found = outcome(&promise("plan", due, met, withdrawn), hour(100));
            assert_eq!(found, expected, "due {due}, met {met:?}, withdrawn {withdrawn:?}");
        }
    }

    #[test]
    fn whoever_waits_stands_beside_the_times() {
        let quick = Measured { answered_at: Some(hour(2)), ..case("A", 0) };
        let slow = Measured { answered_at: Some(hour(40)), ..case("B", 10) };
        let waits = Measured { promises: vec![promise("first-response", 90, None, None)], ..case("C", 20) };
        let young = Measured { promises: vec![promise("first-response", 170, None, None)], ..case("D", 99) };
        let ended = Measured { open: false, phase: "rejected".to_owned(), ..case("E", 30) };
        let figures = figures(&[waits, slow, ended, young, quick], &[], None, hour(100));
        let answer = &figures.measures[1];
        assert_eq!(answer.step, "answer");
        assert_eq!((answer.count, answer.waiting, answer.never), (2, 2, 1));
        assert_eq!((answer.median_seconds, answer.worst_seconds), (Some(16 * HOUR), Some(30 * HOUR)));
        assert_eq!(answer.p90_seconds, None, "two cases have none");
        assert_eq!(answer.longest_wait_seconds, Some(80 * HOUR));
        assert_eq!(answer.promised_seconds, Some((70 * HOUR, 71 * HOUR)));
        let late: Vec<(&str, bool)> = answer.waits.iter().map(|at| (at.case.as_str(), at.late)).collect();
        assert_eq!(late, [("D", false), ("C", true)]);
    }

    #[test]
    fn an_acknowledgement_that_bounced_is_none() {
        let told = Measured { acknowledged_at: Some(hour(1)), ..case("A", 0) };
        let bounced = Measured { acknowledged_at: Some(hour(1)), bounced: true, ..case("B", 0) };
        let ended = Measured { open: false, ..bounced.clone() };
        let figures = figures(&[told, bounced, ended], &[], None, hour(5));
        let acknowledgement = &figures.measures[0];
        assert_eq!((acknowledgement.count, acknowledgement.waiting, acknowledgement.never), (1, 1, 1));
        assert_eq!(figures.bounced, 2);
    }

    #[test]
    fn since_chooses_by_receipt_but_hides_no_open_case() {
        let old = Measured { promises: vec![promise("plan", 10, None, None)], ..case("OLD", 0) };
        let new = Measured { phase: "fixing".to_owned(), ..case("NEW", 50) };
        let left = |received: i64, why: &str| LeftOut { received_at: hour(received), why: why.to_owned() };
        let left_out = [left(0, "spam"), left(50, "spam"), left(60, "merged"), left(70, "spam")];
        let figures = figures(&[new, old], &left_out, Some(hour(50)), hour(100));
        assert_eq!((figures.cases, figures.earlier, figures.first), (1, 1, Some(hour(50))));
        assert_eq!(figures.promises, []);
        let left: Vec<(&str, usize)> =
            figures.left_out.iter().map(|left| (left.why.as_str(), left.cases)).collect();
        assert_eq!(left, [("merged", 1), ("spam", 2)]);
        let open: Vec<(&str, &str, i64)> = figures
            .open
            .iter()
            .map(|open| (open.phase.as_str(), open.oldest.as_str(), open.oldest_seconds))
            .collect();
        assert_eq!(open, [("received", "OLD", 100 * HOUR), ("fixing", "NEW", 50 * HOUR)]);
    }

    #[test]
    fn promises_by_kind_in_the_order_of_the_process() {
        let mut one = case("A", 0);
        one.promises = vec![
            promise("disclosure", 500, None, None),
            promise("status-update", 20, Some(30), None),
            promise("status-update", 40, Some(39), None),
            promise("status-update", 60, None, None),
            promise("first-response", 10, Some(9), None),
            promise("another", 10, None, Some(5)),
        ];
        let counted = figures(&[one], &[], None, hour(100)).promises;
        let rows: Vec<_> = counted
            .iter()
            .map(|row| (row.kind.as_str(), row.kept, row.broken, row.still_owed, row.running, row.withdrawn))
            .collect();
        assert_eq!(
            rows,
            [
                ("first-response", 1, 0, 0, 0, 0),
                ("status-update", 1, 2, 1, 0, 0),
                ("disclosure", 0, 0, 0, 1, 0),
                ("another", 0, 0, 0, 0, 1),
            ]
        );
        assert_eq!(counted[1].worst_delay_seconds, Some(40 * HOUR));
    }

    #[test]
    fn nothing_takes_less_than_no_time() {
        let early = Measured { acknowledged_at: Some(hour(-3)), ..case("A", 0) };
        assert_eq!(figures(&[early], &[], None, hour(1)).measures[0].worst_seconds, Some(0));
    }

    prop_compose! {
        fn some_promise()(
            kind in 0_usize..5,
            due in -50_i64..300,
            met in prop::option::of(-50_i64..300),
            withdrawn in prop::option::of(-50_i64..300),
        ) -> Promised {
            promise(PROMISES.get(kind).unwrap_or(&"other"), due, met, withdrawn)
        }
    }

    prop_compose! {
        fn some_case()(
            id in "[A-Z]{3}",
            phase in 0_usize..10,
            (open, bounced) in any::<(bool, bool)>(),
            received in -100_i64..200,
            steps in prop::array::uniform5(prop::option::of(-100_i64..400)),
            promises in prop::collection::vec(some_promise(), 0..6),
        ) -> Measured {
            let [acknowledged_at, answered_at, planned_at, fixed_at, disclosed_at] =
                steps.map(|at| at.map(hour));
            let phase = (*PHASES.get(phase).unwrap_or(&"elsewhere")).to_owned();
            Measured {
                phase, open, bounced, acknowledged_at, answered_at, planned_at, fixed_at, disclosed_at, promises,
                ..case(&id, received)
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost(cases in prop::collection::vec(some_case(), 0..30), since in -100_i64..200) {
            let figures = figures(&cases, &[], Some(hour(since)), hour(100));
            let chosen = || cases.iter().filter(|case| case.received_at >= hour(since));
            prop_assert_eq!(figures.cases + figures.earlier, cases.len());
            for measure in &figures.measures {
                prop_assert_eq!(measure.count + measure.waiting + measure.never, figures.cases);
                prop_assert_eq!((measure.reached.len(), measure.waits.len()), (measure.count, measure.waiting));
                let best = measure.reached.first().map(|point| point.seconds);
                prop_assert!(best <= measure.median_seconds && measure.median_seconds <= measure.worst_seconds);
                if let Some(p90) = measure.p90_seconds {
                    let within = measure.reached.iter().filter(|point| point.seconds <= p90).count();
                    prop_assert!(within * 10 >= measure.count * 9 && Some(p90) >= measure.median_seconds);
                }
            }
            let counted = |kept: &Kept| kept.kept + kept.broken + kept.running + kept.withdrawn;
            let promises: usize = chosen().map(|case| case.promises.len()).sum();
            prop_assert_eq!(figures.promises.iter().map(counted).sum::<usize>(), promises);
            for kept in &figures.promises {
                prop_assert!(kept.still_owed <= kept.broken);
                prop_assert_eq!(kept.worst_delay_seconds.is_some(), kept.broken > 0);
            }
            let open = cases.iter().filter(|case| case.open).count();
            prop_assert_eq!(figures.open.iter().map(|standing| standing.cases).sum::<usize>(), open);
        }

        #[test]
        fn the_order_of_cases_does_not_matter(
            (cases, shuffled) in prop::collection::vec(some_case(), 0..20)
                .prop_flat_map(|cases| (Just(cases.clone()), Just(cases).prop_shuffle())),
        ) {
            prop_assert_eq!(figures(&cases, &[], None, hour(100)), figures(&shuffled, &[], None, hour(100)));
        }

        #[test]
        fn json_says_all_of_it(cases in prop::collection::vec(some_case(), 0..10)) {
            let figures = figures(&cases, &[], None, hour(100));
            let json = serde_json::to_value(&figures).unwrap();
            prop_assert_eq!(serde_json::from_value::<Figures>(json).unwrap(), figures);
        }
    }
}
