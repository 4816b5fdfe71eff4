//! `psirtd exposure CASE`: who of the distributors had been sent what, as of a time. The list is named here, and never in a mail.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::print;
use crate::cli::show::{items, pretty, text};
use crate::cli::style::minute;

/// Shows it.
pub(super) fn show(ledger: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&pretty(ledger));
    }
    print(&page(ledger))
}

fn page(ledger: &Value) -> String {
    let (case, at) = (text(ledger, "case"), minute(text(ledger, "at")));
    let mut lines = vec![format!("{case}, as of {at}: {}", text(ledger, "told"))];
    for leak in items(&ledger["leaks"]) {
        let through = match text(leak, "member") {
            "" => String::new(),
            member => format!(" through {member}"),
        };
        lines.push(format!("LEAK{through}, recorded {} by {}", minute(text(leak, "at")), text(leak, "by")));
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["MEMBER", "MAY KNOW SINCE", "NOTICE", "STATE", "ACCEPTED", "CAME BACK", "CONFIRMED"]);
    for member in items(&ledger["members"]) {
        let (name, since) = (text(member, "member"), minute(text(member, "released_at")));
        if items(&member["notices"]).next().is_none() {
            table.add_row([name, &since, "-", "-", "-", "-", "-"]);
        }
        for notice in items(&member["notices"]) {
            let number = notice["number"].as_u64().unwrap_or_default();
            let time = |field: &str| match text(notice, field) {
                "" => "-".to_owned(),
                at => minute(at),
            };
            table.add_row([
                name.to_owned(),
                since.clone(),
                format!("{} {number}, {}", text(notice, "kind"), text(notice, "tlp")),
                text(notice, "state").to_owned(),
                time("accepted_at"),
                time("returned_at"),
                time("confirmed_at"),
            ]);
        }
    }
    if !table.is_empty() {
        lines.extend([String::new(), table.to_string()]);
    }
    lines.join("\n")
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
        let page: Vec<String> =
            page(&ledger).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            page,
            [
                "EX-2026-0001, as of 2026-12-01 12:00Z: 2 members might know of it",
                "LEAK through core, recorded 2026-12-01 11:30Z by ada@example.org",
                "",
                "MEMBER MAY KNOW SINCE NOTICE STATE ACCEPTED CAME BACK CONFIRMED",
                "acme 2026-12-01 10:00Z notice 1, TLP:AMBER confirmed 2026-12-01 10:05Z - 2026-12-01 11:00Z",
                "core 2026-12-01 10:00Z notice 1, TLP:AMBER waiting - - -",
            ]
        );
    }
}
