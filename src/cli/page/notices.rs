//! What the distributors were sent, and what waits for an approval: a part of a case's page.

use serde_json::Value;

use crate::cli::page::{FACTS, NAME};
use crate::cli::show::{items, text, words};
use crate::cli::style::{MARGIN, Sheet, Span, Tone, columns, minute};

/// A longer name of a member moves what follows. Columns.
const LONGEST: usize = 24;
/// The width of a state.
const STATE: usize = 12;

/// Proposals that wait, of a case or of a member.
pub(in crate::cli) fn proposals(sheet: &mut Sheet, proposals: &Value) {
    if items(proposals).next().is_none() {
        return;
    }
    sheet.heading("Waits for approval");
    for proposal in items(proposals) {
        let number = proposal["number"].as_u64().unwrap_or_default();
        let first = proposal["first_approval"].as_str();
        let approved = match (proposal["approvals_needed"].as_u64(), first) {
            (Some(2), _) => "– needs two approvals".to_owned(),
            (_, Some(by)) => format!("– approved by {by}, needs one more"),
            _ => String::new(),
        };
        let line = [
            (Tone::Soon, text(proposal, "what").to_owned()),
            (Tone::Quiet, format!("– {}, {}", text(proposal, "by"), minute(text(proposal, "at")))),
            (Tone::Plain, approved),
        ];
        sheet.item(FACTS, &[((Tone::Strong, format!("!approve {number}")), NAME)], &line);
    }
}

/// Notices, and how far each member's copy has come.
pub(super) fn notices(sheet: &mut Sheet, notices: &Value) {
    if items(notices).next().is_none() {
        return;
    }
    sheet.heading("Distributors");
    for notice in items(notices) {
        let number = notice["number"].as_u64().unwrap_or_default();
        let name = format!("{} {number}", text(notice, "kind"));
        let by = words(&notice["by"]);
        let line = [
            (Tone::Plain, text(notice, "tlp").to_owned()),
            (Tone::Plain, format!("{}:", minute(text(notice, "at")))),
            (Tone::Plain, counts(notice)),
            (Tone::Quiet, format!("– {by}")),
        ];
        sheet.item(FACTS, &[((Tone::Strong, name), NAME)], &line);
        let names = ["recipients", "left_out"].into_iter().flat_map(|those| items(&notice[those]));
        let widest = names.map(|member| columns(text(member, "member"))).max().unwrap_or_default();
        // as wide as the facts at least, so that short names stand below them
        let member = widest.min(LONGEST).saturating_add(2).max(NAME);
        for copy in items(&notice["recipients"]) {
            recipient(sheet, copy, member);
        }
        for left_out in items(&notice["left_out"]) {
            let why = [(Tone::Plain, text(left_out, "why").to_owned())];
            member_line(sheet, text(left_out, "member"), member, (Tone::Near, "not sent"), &why);
        }
    }
}

/// "3 accepted, 1 bounced".
fn counts(notice: &Value) -> String {
    let states = notice["states"].as_object();
    let states = states.into_iter().flatten();
    let mut counts: Vec<String> = states.map(|(state, count)| format!("{count} {state}")).collect();
    match notice["unwritten"].as_u64() {
        Some(unwritten @ 1..) => counts.push(format!("{unwritten} not written yet")),
        _ if counts.is_empty() => counts.push("to nobody".to_owned()),
        _ => {}
    }
    counts.join(", ")
}

/// A member, how it stands, and more of that. Where the latter begins.
fn member_line(
    sheet: &mut Sheet,
    name: &str,
    width: usize,
    (tone, state): (Tone, &str),
    more: &[Span],
) -> usize {
    let cells = [((Tone::Plain, name.to_owned()), width), ((tone, state.to_owned()), STATE)];
    let indent = MARGIN.saturating_add(width).saturating_add(STATE);
    sheet.item(indent, &cells, more);
    indent
}

fn recipient(sheet: &mut Sheet, copy: &Value, width: usize) {
    let state = text(copy, "state");
    let (tone, command) = match state {
        "confirmed" | "accepted" => (Tone::Good, ""),
        "deferred" => (Tone::Soon, ""),
        "held" => (Tone::Near, "release"),
        "bounced" => (Tone::Alarm, "release"),
        _ => (Tone::Plain, ""),
    };
    // what a server says when all is well is in “psirtd outbox”
    let reply = if tone == Tone::Good { "" } else { text(copy, "last_reply") };
    let more = [(Tone::Quiet, minute(text(copy, "since"))), (Tone::Quiet, reply.to_owned())];
    let indent = member_line(sheet, text(copy, "member"), width, (tone, state), &more);
    if !command.is_empty() {
        let id = text(copy, "letter");
        sheet.hung(indent, &[], &[(Tone::Quiet, format!("→ psirtd outbox {command} {id}"))]);
    }
}
