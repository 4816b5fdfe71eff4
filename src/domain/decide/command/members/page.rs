//! One member, as plain text that fits into a mail.

use jiff::Timestamp;

use crate::domain::decide::command::members::day;
use crate::domain::distributor::Member;
use crate::domain::policy::Policy;
use crate::domain::policy::distributors::CriterionKind;

/// The last lines of the history.
const LATEST: usize = 20;
/// Of what an organisation wrote, so many characters.
const GLANCE: usize = 400;

/// One member. `key`: until when it can be written to encrypted, or why it cannot.
pub(super) fn page(member: &Member, key: &Result<Option<Timestamp>, String>, policy: &Policy) -> String {
    let mut lines = vec![format!("{}  {} since {}", member.id, member.state.word(), day(member.since))];
    let mut fact = |name: &str, value: String| {
        let value = if value.is_empty() { "-".to_owned() } else { value };
        lines.push(format!("{name:<14} {value}"));
    };
    fact("organisation", member.organisation.clone());
    for address in &member.addresses {
        fact("address", address.address.clone());
    }
    fact("time zone", member.zone.clone().unwrap_or_default());
    for certificate in &member.certificates {
        let proven = member.proven.iter().find(|(known, _)| *known == certificate.fingerprint);
        let proven =
            proven.map_or_else(|| "not proven".to_owned(), |(_, at)| format!("its own since {}", day(*at)));
        fact("certificate", format!("{}, {proven}", certificate.fingerprint));
    }
    fact(
        "encrypted",
        match key {
            Ok(None) => "yes".to_owned(),
            Ok(Some(until)) => format!("until {}", day(*until)),
            Err(why) => format!("NO, it gets nothing: {why}"),
        },
    );
    let in_force = &policy.distributors.policy;
    fact(
        "embargo policy",
        match &member.accepted {
            Some((version, at)) if version == in_force => format!("version {version}, accepted {}", day(*at)),
            Some((version, at)) => {
                format!("version {version}, accepted {}; {in_force} is in force", day(*at))
            }
            None => format!("not accepted ({in_force} is in force)"),
        },
    );
    if let Some(vouch) = &member.vouch {
        fact("vouched for", format!("by {}, {}, policy {}", vouch.by, day(vouch.at), vouch.policy));
    }
    fact("attests by", member.attest_by.map_or_else(String::new, day));
    if let Some((case, at)) = &member.application {
        fact("application", format!("case {case}, {}", day(*at)));
    }
    for strike in &member.strikes {
        fact("leak", format!("case {}, {}, said {}", strike.case, day(strike.at), strike.by));
    }
    if !member.criteria.is_empty() {
        lines.push(String::new());
        lines.extend(criteria(member, policy));
    }
    lines.push(String::new());
    let skipped = member.history.len().saturating_sub(LATEST);
    if skipped > 0 {
        lines.push(format!("({skipped} lines before)"));
    }
    let latest = member.history.iter().skip(skipped);
    lines.extend(latest.map(|(at, what, by)| format!("{}  {what} ({by})", at.strftime("%Y-%m-%d %H:%MZ"))));
    lines.join("\n")
}

fn criteria(member: &Member, policy: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    for (criterion, number) in policy.distributors.criteria.iter().zip(1_usize..) {
        if criterion.kind != CriterionKind::Evidence {
            continue;
        }
        let said = member.criteria.iter().find(|said| said.number == number);
        let reviewed = match said.map(|said| &said.reviewed) {
            None => "not answered".to_owned(),
            Some(None) => "nobody has looked at it yet".to_owned(),
            Some(Some((who, met))) => format!("{}, says {who}", if *met { "met" } else { "NOT met" }),
        };
        lines.push(format!("{number}. {} [{reviewed}]", criterion.text));
        lines.extend(said.map(|said| format!("   {}", glance(&said.evidence))));
    }
    lines
}

/// What somebody wrote, on one line.
fn glance(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(GLANCE) {
        Some((end, _)) => format!("{} …", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
