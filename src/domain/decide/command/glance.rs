//! A case, and all of them, as plain text that fits into a mail.

use jiff::Timestamp;

use crate::domain::case::{Case, Entry};
use crate::domain::command::authority::Actor;
use crate::domain::deadline::{Deadline, Standing};
use crate::domain::decide::command::embargoing;
use crate::domain::embargo::Embargo;
use crate::domain::policy::Policy;

/// The last lines of the timeline.
const LATEST: usize = 20;
/// No list is longer.
const MOST: usize = 200;

/// One case.
pub(super) fn page(case: &Case, by: Actor<'_>, policy: &Policy, now: Timestamp) -> String {
    let calendar = &policy.calendar;
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let mut lines = vec![format!("{}  {}", case.id, case.phase.word())];
    let mut fact = |name: &str, value: String| lines.push(format!("{name:<14} {}", or_none(value)));
    fact("subject", case.subject.clone().unwrap_or_else(|| "(protected)".to_owned()));
    fact("reporter", case.reporters().map(|one| one.address.as_str()).collect::<Vec<_>>().join(", "));
    fact("owner", case.owner.as_ref().map_or_else(String::new, |owner| owner.address.clone()));
    fact("received", calendar.line(case.received_at));
    if let Some(into) = &case.merged_into {
        fact("merged into", into.to_string());
    }
    if let Some(class) = &case.rejected_as {
        fact("rejected as", class.to_string());
    }
    if case.embargo != Embargo::None {
        let ends = case.embargo.last_agreement();
        let ends = ends.map_or_else(String::new, |known| format!(", {}", calendar.line(known.until)));
        fact("embargo", format!("{}{ends}", case.embargo.word()));
    }
    if let Some(known) = case.embargo.agreement() {
        fact("its end", embargoing::voices(case, known, false));
    }
    if let Some(priority) = case.priority {
        fact("priority", priority.word().to_owned());
    }
    if let Some(severity) = &case.advisory.severity {
        fact("severity", severity.to_string());
    }
    let ids = case
        .advisory
        .cwe
        .iter()
        .map(ToString::to_string)
        .chain(case.advisory.cve.iter().map(ToString::to_string));
    let ids: Vec<String> = ids.collect();
    if !ids.is_empty() {
        fact("ids", ids.join(", "));
    }
    // a report that nobody has accepted has nothing to be fixed
    let lines_to_fix =
        if case.phase.is_undecided() { Vec::new() } else { case.advisory.lines(&policy.supported) };
    for line in lines_to_fix {
        let stands = match (&line.version, line.exception) {
            (Some(version), _) => format!("fixed in {version}"),
            (None, true) => "no fix, with a reason".to_owned(),
            (None, false) => "not fixed".to_owned(),
        };
        fact(&format!("line {}", line.line), stands);
    }
    for deadline in &case.deadlines {
        fact(
            deadline.kind.word(),
            format!("{} {}", calendar.line(deadline.due(case)), deadline.standing(case, now).word()),
        );
    }
    fact("mails", case.mails.len().to_string());
    lines.push(String::new());
    // a letter on its way is no news; one that is held, or came back, is
    let is_news = |entry: &&Entry| !(entry.what.ends_with(" queued") || entry.what.contains(" sent: "));
    let is_theirs = |entry: &&Entry| by.is_coordinator() || !entry.for_coordinators;
    let timeline: Vec<&Entry> = case.timeline.iter().filter(is_news).filter(is_theirs).collect();
    let skipped = timeline.len().saturating_sub(LATEST);
    if skipped > 0 {
        lines.push(format!("({skipped} lines before)"));
    }
    for entry in timeline.into_iter().skip(skipped) {
        lines.push(format!("{}  {} ({})", entry.at.strftime("%Y-%m-%d %H:%MZ"), entry.what, entry.who));
    }
    lines.join("\n")
}

/// The open cases that somebody may see, the most urgent first.
pub(super) fn list(cases: &[Case], by: Actor<'_>, policy: &Policy, now: Timestamp) -> String {
    let next = |case: &Case| {
        let owed = |deadline: &&Deadline| deadline.standing(case, now).is_owed();
        case.deadlines.iter().filter(owed).min_by_key(|deadline| deadline.due(case)).cloned()
    };
    let mut seen: Vec<(Option<Timestamp>, &Case)> = cases
        .iter()
        .filter(|case| case.is_open() && by.may_see(case))
        .map(|case| (next(case).map(|deadline| deadline.due(case)), case))
        .collect();
    seen.sort_by_key(|(due, case)| (due.unwrap_or(Timestamp::MAX), case.id.to_string()));
    let mut lines: Vec<String> = Vec::new();
    for (_, case) in seen.iter().take(MOST) {
        let owner = case.owner.as_ref().map_or("nobody", |owner| owner.address.as_str());
        let due = next(case).map_or_else(
            || "nothing is owed".to_owned(),
            |deadline| {
                let late = if deadline.standing(case, now) == Standing::Overdue { "LATE: " } else { "" };
                format!("{late}{} by {}", deadline.kind.word(), policy.calendar.line(deadline.due(case)))
            },
        );
        lines.push(format!("{}  {}, {owner}\n    {due}", case.id, case.phase.word()));
    }
    match seen.len().saturating_sub(MOST) {
        _ if seen.is_empty() => "no case is open".to_owned(),
        0 => lines.join("\n"),
        more => format!("{}\nand {more} more: psirtd cases", lines.join("\n")),
    }
}
