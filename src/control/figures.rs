//! What is measured of each case for the figures.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::case::Case;
use crate::domain::command::{Class, Topic};
use crate::domain::deadline::{Deadline, DeadlineKind};
use crate::domain::figures::{LeftOut, Measured, Promised, figures};
use crate::domain::letter::LetterKind;
use crate::domain::phase::Phase;
use crate::domain::policy::Policy;
use crate::domain::posting::LetterState;

/// The figures of these cases, and whose they are.
pub(super) fn figures_json(
    cases: &[Case],
    policy: &Policy,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Value {
    let (left_out, counted): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| why_not(case).is_some());
    let left_out: Vec<LeftOut> = left_out
        .into_iter()
        .filter_map(|case| Some(LeftOut { received_at: case.received_at, why: why_not(case)?.to_owned() }))
        .collect();
    let measured: Vec<Measured> = counted.into_iter().map(|case| measured(case, now)).collect();
    let zone = policy.calendar.zone.iana_name().unwrap_or("UTC");
    let desk = policy.desk.name.as_ref().unwrap_or(&policy.desk.address);
    json!({ "desk": desk, "zone": zone, "figures": figures(&measured, &left_out, since, now) })
}

/// Why a case says nothing about how the desk works.
fn why_not(case: &Case) -> Option<&'static str> {
    match (&case.merged_into, &case.rejected_as) {
        (Some(_), _) => Some("merged"),
        (None, Some(Class::Spam)) => Some("spam"),
        _ => None,
    }
}

fn measured(case: &Case, now: Timestamp) -> Measured {
    let first = |topics: &[Topic]| {
        let answers = case.arrived_answers().filter(|(topic, _)| topics.contains(topic));
        answers.map(|(_, at)| at).min()
    };
    let came_back = |letter: &crate::domain::case::CaseLetter| {
        letter.kind == LetterKind::Acknowledgement && letter.state == LetterState::Returned
    };
    Measured {
        id: case.id.to_string(),
        phase: case.phase.word().to_owned(),
        open: case.is_open(),
        received_at: case.received_at,
        acknowledged_at: case.acknowledged_at,
        bounced: case.acknowledged_at.is_none() && case.letters.iter().any(came_back),
        answered_at: first(&Topic::CONVERSATION),
        planned_at: first(&[Topic::Plan]),
        fixed_at: case.reached(Phase::Fixed),
        disclosed_at: case.reached(Phase::Disclosed),
        promises: promises(case, now),
    }
}

/// What was promised, each time.
fn promises(case: &Case, now: Timestamp) -> Vec<Promised> {
    let ended_at = case.milestones.iter().rev().find(|(phase, _)| !phase.is_open()).map(|(_, at)| *at);
    let promised = |deadline: &Deadline, met_at: Option<Timestamp>| Promised {
        kind: deadline.kind.word().to_owned(),
        due: deadline.due(case),
        met_at,
        withdrawn_at: if case.is_open() { None } else { ended_at },
    };
    let past = case.past.iter().map(|past| promised(&past.deadline, Some(past.met_at)));
    let now_running = case.deadlines.iter().filter_map(|deadline| {
        let standing = deadline.standing(case, now);
        let waits = deadline.kind == DeadlineKind::StatusUpdate && case.waiting_since.is_some();
        let ours = deadline.kind != DeadlineKind::NeedInfo && !waits;
        ours.then(|| promised(deadline, standing.met_at()))
    });
    past.chain(now_running).collect()
}
