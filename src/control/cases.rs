//! Cases as JSON: what `psirtd cases` and `psirtd case` show.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::control::bracketed;
use crate::domain::advisory::Line;
use crate::domain::case::Case;
use crate::domain::deadline::Deadline;
use crate::domain::intake::Sort;
use crate::domain::phase::Priority;
use crate::domain::policy::Policy;
use crate::domain::severity::Band;
use crate::domain::signature::Standing;

/// A case as a line of `psirtd cases --json`.
pub(super) fn case_json(case: &Case, policy: &Policy, now: Timestamp) -> Value {
    let deadlines: Vec<Value> =
        case.deadlines.iter().map(|deadline| deadline_json(deadline, case, policy, now)).collect();
    let reporters: Vec<&str> = case.reporters().map(|reporter| reporter.address.as_str()).collect();
    let shared_with: Vec<&str> = case.shared_with.iter().map(|one| one.address.as_str()).collect();
    let mut shown = json!({
        "id": case.id,
        "phase": case.phase.word(),
        "subject": case.subject,
        "reporter": case.reporter.as_ref().map(|reporter| &reporter.address),
        "owner": case.owner.as_ref().map(|owner| &owner.address),
        "priority": case.priority.map(Priority::word),
        "received_at": case.received_at,
        "acknowledged_at": case.acknowledged_at,
        "not_acknowledged": case.not_acknowledged,
        "missing": case.missing,
        "hints": case.hints,
        "merged_into": case.merged_into,
        "rejected_as": case.rejected_as.as_ref().map(ToString::to_string),
        "snoozed_until": case.snoozed_until.filter(|until| now < *until),
        "waiting_since": case.waiting_since,
        "public_since": case.embargo.public_since(),
        "shared_with": shared_with,
        "reporters": reporters,
        "mails": case.mails.len(),
        "deadlines": deadlines,
    });
    if let (Some(shown), Value::Object(found)) = (shown.as_object_mut(), advisory_json(case, policy)) {
        shown.extend(found);
    }
    shown
}

fn deadline_json(deadline: &Deadline, case: &Case, policy: &Policy, now: Timestamp) -> Value {
    let (since, due) = (deadline.since(case), deadline.due(case));
    let standing = deadline.standing(case, now);
    json!({
        "kind": deadline.kind.word(),
        "since": since,
        "due": due,
        "state": standing.word(),
        "met_at": standing.met_at(),
        "elapsed": policy.calendar.elapsed_percent(since, due, now),
    })
}

fn advisory_json(case: &Case, policy: &Policy) -> Value {
    let advisory = &case.advisory;
    let lines = advisory.lines(&policy.supported);
    let is_open = |line: &&Line| line.version.is_none() && !line.exception;
    let unfixed: Vec<&str> = lines.iter().filter(is_open).map(|line| line.line.as_str()).collect();
    let fixed: Vec<Value> = lines
        .iter()
        .filter(|line| !is_open(line))
        .map(|line| json!({ "line": line.line, "version": line.version, "exception": line.exception }))
        .collect();
    let severity = advisory.severity.as_ref().map(|severity| {
        json!({ "vector": severity.vector(), "score": severity.score(), "band": severity.band().map(Band::word),
                "version": severity.version() })
    });
    // a report that nobody has accepted has nothing to be fixed
    let decided = !case.phase.is_undecided();
    json!({
        "severity": severity,
        "cwe": advisory.cwe,
        "cve": advisory.cve,
        "affected": advisory.affected,
        "fixed": fixed,
        "fixed_versions": advisory.fixed,
        "unfixed": if decided { unfixed } else { Vec::new() },
        "workaround": advisory.workaround.is_some(),
        "credits": advisory.credits,
    })
}

/// The embargo, and what was said to the end of it that stands, or stood.
fn embargo_json(case: &Case, policy: &Policy) -> Value {
    let agreement = case.embargo.last_agreement();
    let consents = agreement.map(|known| known.answers()).unwrap_or_default();
    let consents: Vec<Value> = consents
        .into_iter()
        .map(|it| json!({ "who": it.party.name(), "agrees": it.agrees, "at": it.at, "mail": it.mail }))
        .collect();
    let revisions: Vec<Value> = agreement
        .iter()
        .flat_map(|known| &known.revisions)
        .map(|it| json!({ "from": it.from, "to": it.to, "reason": it.reason, "at": it.at, "by": it.by }))
        .collect();
    json!({
        "state": case.embargo.word(),
        "until": agreement.map(|known| known.until),
        "desk_time": agreement.map(|known| policy.calendar.line(known.until)),
        "consents": consents,
        "revisions": revisions,
    })
}

pub(super) fn whole_case_json(case: &Case, policy: &Policy, now: Timestamp) -> Value {
    let mut whole = case_json(case, policy, now);
    let mails: Vec<Value> = case
        .mails
        .iter()
        .map(|mail| {
            let from = mail.from.as_ref().map(|from| &from.address);
            let message_id = bracketed(mail.message_id.as_deref());
            json!({ "mail": mail.mail, "at": mail.at, "kind": mail.kind.word(), "from": from,
                    "message_id": message_id, "problem": mail.problem, "encrypted": mail.encryption,
                    "signature": mail.signature, "verdict": mail.verdict, "signer": mail.signer,
                    "standing": mail.standing.map(Standing::word), "sort": mail.sort.map(Sort::word), "trust": mail.trust,
                    "doubt": mail.doubt, "pending": mail.pending })
        })
        .collect();
    let letters: Vec<Value> = case
        .letters
        .iter()
        .map(|letter| {
            json!({ "id": letter.id, "kind": letter.kind.word(), "to": letter.to.address, "state": letter.state.word(),
                    "attempts": letter.attempts, "last_reply": letter.last_reply, "message_id": bracketed(letter.message_id.as_deref()) })
        })
        .collect();
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("embargo".to_owned(), embargo_json(case, policy));
        fields.insert("timeline".to_owned(), json!(case.timeline));
        fields.insert("mail_list".to_owned(), mails.into());
        fields.insert("letters".to_owned(), letters.into());
    }
    whole
}
