//! `psirtd exposure CASE`: who of the distributors had been sent what, as of a time. The list is named here, and never in a mail.

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::show::{items, pretty, text};
use crate::cli::style::{self, Sheet, Span, Tone, columns, minute};
use crate::cli::{Failure, print};

/// A longer name moves what follows. Columns.
const LONGEST: usize = 24;

/// Shows it.
pub(super) fn show(ledger: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&pretty(ledger));
    }
    print(&page(ledger, style::width(), style::coloured()))
}

/// An instant, as `--at` takes it.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "no time with its offset, such as 2026-12-01T14:30:00Z".to_owned())
}

fn page(ledger: &Value, width: usize, styled: bool) -> String {
    let mut sheet = Sheet::new(width, styled);
    let (case, at) = (text(ledger, "case"), minute(text(ledger, "at")));
    let told = [(Tone::Plain, text(ledger, "told").to_owned())];
    sheet.hung(2, &[((Tone::Strong, format!("{case}, as of {at}:")), 0)], &told);
    for leak in items(&ledger["leaks"]) {
        let through = match text(leak, "member") {
            "" => String::new(),
            member => format!(" through {member}"),
        };
        let recorded = format!("recorded {} by {}", minute(text(leak, "at")), text(leak, "by"));
        sheet.hung(2, &[((Tone::Alarm, format!("LEAK{through},")), 0)], &[(Tone::Plain, recorded)]);
    }
    let names = items(&ledger["members"]).map(|member| columns(text(member, "member")));
    let indent = names.max().unwrap_or_default().min(LONGEST).saturating_add(2);
    if indent > 2 {
        sheet.gap();
    }
    for member in items(&ledger["members"]) {
        let name = ((Tone::Strong, text(member, "member").to_owned()), indent);
        let since = format!("may know since {}", minute(text(member, "released_at")));
        sheet.hung(indent, &[name], &[(Tone::Plain, since)]);
        for sent in items(&member["notices"]) {
            sheet.hung(indent, &[((Tone::Plain, String::new()), indent)], &notice(sent));
        }
    }
    sheet.text()
}

/// How far a copy of a notice came.
fn notice(sent: &Value) -> Vec<Span> {
    let number = sent["number"].as_u64().unwrap_or_default();
    let state = text(sent, "state");
    let tone = match state {
        "confirmed" | "accepted" => Tone::Good,
        "bounced" => Tone::Alarm,
        _ => Tone::Soon,
    };
    let what = format!("{} {number} ({}):", text(sent, "kind"), text(sent, "tlp"));
    let times = [("accepted", "accepted_at"), ("came back", "returned_at"), ("confirmed", "confirmed_at")];
    let told = times.iter().filter_map(|(word, field)| match text(sent, field) {
        "" => None,
        at => Some(format!("{word} {}", minute(at))),
    });
    let told: Vec<String> = told.collect();
    let told = if told.is_empty() { state.to_owned() } else { told.join(", ") };
    vec![(Tone::Plain, what), (tone, told)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_a_notice_a_line() {
        let notice = |state: &str, accepted: Option<&str>, confirmed: Option<&str>| {
            json!({ "number": 1, "kind": "notice", "tlp": "TLP:AMBER", "state": state, "accepted_at": accepted,
                    "returned_at": null, "confirmed_at": confirmed })
        };
        let since = "2026-12-01T10:00:00Z";
        let ledger = json!({
            "case": "EX-2026-0001", "at": "2026-12-01T12:00:00Z", "told": "2 members might know of it",
            "leaks": [{ "at": "2026-12-01T11:30:00Z", "member": "core", "by": "ada@example.org" }],
            "members": [
                { "member": "acme", "released_at": since,
                  "notices": [notice("confirmed", Some("2026-12-01T10:05:00Z"), Some("2026-12-01T11:00:00Z"))] },
                { "member": "core", "released_at": since, "notices": [notice("waiting", None, None)] },
            ],
        });
        insta::assert_snapshot!(page(&ledger, 80, false), @"
        EX-2026-0001, as of 2026-12-01 12:00Z: 2 members might know of it
        LEAK through core, recorded 2026-12-01 11:30Z by ada@example.org

        acme  may know since 2026-12-01 10:00Z
              notice 1 (TLP:AMBER): accepted 2026-12-01 10:05Z, confirmed 2026-12-01
              11:00Z
        core  may know since 2026-12-01 10:00Z
              notice 1 (TLP:AMBER): waiting
        ");
    }
}
