//! `psirtd case ID`: a case on a page one likes to read.
//!
//! First what it is and how it stands, then what is owed by when, then mails and letters, and how it came to this.
//!
//! # Invariants
//! * What is not known is not shown: every field of the answer may be missing.
//! * Whatever a person copies (ids, digests, addresses, commands) stands there whole; a mail's number is the beginning of its
//!   digest that `psirtd do ID split` takes.
//! * Who looks only at what is coloured sees what needs a person: what is overdue, mails that nobody vouches for, letters that
//!   did not leave.

pub(super) mod notices;

use jiff::Timestamp;
use serde_json::Value;

use crate::cli::show::{items, text, words};
use crate::cli::style::{MARGIN, Sheet, Span, Tone, minute, relative};

/// The names on the left.
const NAME: usize = 16;
/// Where what is said about them begins: the grid of the whole page.
const FACTS: usize = NAME + MARGIN;
/// A minute, and two blanks.
const TIME: usize = 19;
/// So much of a digest names a mail.
const SHORT: usize = 12;

/// The page of a case.
pub(crate) fn page_text(case: &Value, now: Timestamp, width: usize, styled: bool) -> String {
    let mut sheet = Sheet::new(width, styled);
    title(&mut sheet, case);
    for (name, fact) in facts(case, now).into_iter().filter(|(_, fact)| !is_blank(fact)) {
        sheet.item(FACTS, &[((Tone::Quiet, name.to_owned()), NAME)], &fact);
    }
    deadlines(&mut sheet, &case["deadlines"], now);
    mails(&mut sheet, &case["mail_list"]);
    letters(&mut sheet, &case["letters"]);
    notices::proposals(&mut sheet, &case["proposals"]);
    notices::notices(&mut sheet, &case["notices"]);
    timeline(&mut sheet, &case["timeline"]);
    sheet.text()
}

fn title(sheet: &mut Sheet, case: &Value) {
    let (class, priority) = (text(case, "rejected_as"), text(case, "priority"));
    let phase = if case["merged_into"].is_null() { text(case, "phase") } else { "merged" };
    let mut line = vec![(Tone::Strong, text(case, "id").to_owned()), (Tone::Plain, format!("· {phase}"))];
    if !class.is_empty() {
        line.push((Tone::Plain, format!("as {class}")));
    }
    if !priority.is_empty() {
        line.push((Tone::Quiet, "·".to_owned()));
        line.push((priority_tone(priority), format!("{priority} priority")));
    }
    sheet.hung(0, &[], &line);
    match text(case, "subject") {
        "" => sheet.hung(
            0,
            &[],
            &[(Tone::Quiet, "(no subject, or it came encrypted: see the relay)".to_owned())],
        ),
        subject => sheet.hung(0, &[], &[(Tone::Strong, subject.to_owned())]),
    }
    sheet.gap();
}

pub(super) fn priority_tone(priority: &str) -> Tone {
    match priority {
        "critical" => Tone::Alarm,
        "high" => Tone::Near,
        _ => Tone::Plain,
    }
}

/// The facts in the order in which a coordinator asks for them.
fn facts(case: &Value, now: Timestamp) -> Vec<(&'static str, Vec<Span>)> {
    let plain = |text: String| vec![(Tone::Plain, text)];
    let since = |key: &str, tone: Tone| match text(case, key) {
        "" => Vec::new(),
        at => vec![(tone, minute(at))],
    };
    let owner = match text(case, "owner") {
        "" => vec![(Tone::Soon, "nobody".to_owned())],
        owner => plain(owner.to_owned()),
    };
    let reporters = match words(&case["reporters"]) {
        none if none.is_empty() => text(case, "reporter").to_owned(),
        reporters => reporters,
    };
    let reporters = if reporters.is_empty() { "unknown".to_owned() } else { reporters };
    let snoozed = match text(case, "snoozed_until") {
        "" => Vec::new(),
        at => vec![(
            Tone::Quiet,
            [minute(at), relative(at, now).map_or_else(String::new, |in_time| format!(", {in_time}"))]
                .concat(),
        )],
    };
    let workaround = if case["workaround"] == true { "there is one" } else { "" };
    vec![
        ("owner", owner),
        ("reporter", plain(reporters)),
        ("received", since("received_at", Tone::Plain)),
        ("acknowledged", acknowledged(case)),
        ("waits since", waits(case)),
        ("snoozed until", snoozed),
        ("embargo", embargo(&case["embargo"], now)),
        ("its end", answers(&case["embargo"])),
        ("public since", since("public_since", Tone::Alarm)),
        ("merged into", plain(text(case, "merged_into").to_owned())),
        ("lacks", plain(words(&case["missing"]))),
        ("hints", plain(words(&case["hints"]))),
        ("severity", severity(&case["severity"])),
        ("weakness", plain(words(&case["cwe"]))),
        ("CVE", plain(words(&case["cve"]))),
        ("affected", plain(words(&case["affected"]))),
        ("fixed in", plain(fixed(case))),
        ("not yet fixed", vec![(Tone::Soon, words(&case["unfixed"]))]),
        ("workaround", plain(workaround.to_owned())),
        ("credits", plain(words(&case["credits"]))),
        ("shared with", plain(words(&case["shared_with"]))),
    ]
}

fn acknowledged(case: &Value) -> Vec<Span> {
    match (text(case, "acknowledged_at"), text(case, "not_acknowledged")) {
        ("", "") => vec![(Tone::Soon, "not yet".to_owned())],
        ("", why) => vec![(Tone::Near, format!("no: {why}"))],
        (at, _) => vec![(Tone::Plain, minute(at))],
    }
}

fn waits(case: &Value) -> Vec<Span> {
    match text(case, "waiting_since") {
        "" => Vec::new(),
        at => vec![(Tone::Plain, minute(at)), (Tone::Quiet, "for the reporter's answer".to_owned())],
    }
}

/// How far the embargo is agreed, and when it ends.
fn embargo(embargo: &Value, now: Timestamp) -> Vec<Span> {
    let (state, until) = (text(embargo, "state"), text(embargo, "until"));
    let stands = matches!(state, "proposed" | "agreed" | "revised");
    if state.is_empty() || state == "none" {
        return Vec::new();
    }
    if !stands {
        return vec![(Tone::Plain, state.to_owned())];
    }
    let over = until.parse::<Timestamp>().is_ok_and(|until| until <= now);
    let tone = match state {
        _ if over => Tone::Alarm,
        "proposed" => Tone::Soon,
        _ => Tone::Plain,
    };
    let near = relative(until, now).map_or_else(String::new, |near| format!(", {near}"));
    let over = if over { "OVER, and not lifted:" } else { "until" };
    let moved = match items(&embargo["revisions"]).count() {
        0 => String::new(),
        1 => "moved once".to_owned(),
        times => format!("moved {times} times"),
    };
    listed([
        (tone, format!("{state}, {over} {}{near}", minute(until))),
        // UTC, which follows in parentheses, stands before it
        (Tone::Quiet, text(embargo, "desk_time").split(" (").next().unwrap_or_default().to_owned()),
        (Tone::Quiet, moved),
    ])
}

/// Who agrees to the end of the embargo, and who does not.
fn answers(embargo: &Value) -> Vec<Span> {
    let said = items(&embargo["consents"]).map(|consent| {
        let (says, tone) = match consent["agrees"] == true {
            true => ("agreed to by", Tone::Good),
            false => ("NOT agreed to by", Tone::Near),
        };
        (tone, format!("{says} {}", text(consent, "who")))
    });
    let mut said: Vec<Span> = said.collect();
    let last = said.len().saturating_sub(1);
    said.iter_mut().take(last).for_each(|(_, text)| text.push(','));
    said
}

fn severity(severity: &Value) -> Vec<Span> {
    let score = severity["score"].as_f64().map_or_else(String::new, |score| format!("{score:.1}"));
    let band = text(severity, "band");
    let tone = match band.to_lowercase().as_str() {
        "critical" => Tone::Alarm,
        "high" => Tone::Near,
        _ => Tone::Plain,
    };
    vec![(tone, format!("{score} {band}")), (Tone::Quiet, text(severity, "vector").to_owned())]
}

/// Every line of releases with the version that fixes it; of a desk that names no lines, the versions.
fn fixed(case: &Value) -> String {
    if items(&case["fixed"]).next().is_none() {
        return words(&case["fixed_versions"]);
    }
    let named = items(&case["fixed"]).filter(|fix| !text(fix, "line").is_empty());
    let told = named.map(|fix| {
        let (line, version) = (text(fix, "line"), text(fix, "version"));
        match (version, fix["exception"] == true) {
            ("", true) => format!("{line}: none, by exception"),
            ("", false) => format!("{line}: no version yet"),
            (version, true) => format!("{version} (line {line}, by exception)"),
            (version, false) => format!("{version} (line {line})"),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Whether a promise is still to be kept.
pub(super) fn is_owed(deadline: &Value) -> bool {
    matches!(text(deadline, "state"), "running" | "overdue")
}

/// What comes first: the time, not its spelling.
pub(super) fn order(deadline: &Value) -> (bool, Option<Timestamp>) {
    let due = text(deadline, "due").parse().ok();
    (due.is_none(), due)
}

/// How near it is.
pub(super) fn urgency(deadline: &Value, now: Timestamp) -> Tone {
    let over = text(deadline, "due").parse::<Timestamp>().is_ok_and(|due| due < now);
    match (text(deadline, "state"), deadline["elapsed"].as_u64().unwrap_or_default()) {
        ("overdue", _) => Tone::Alarm,
        ("running", _) if over => Tone::Alarm,
        ("running", 80..) => Tone::Near,
        ("running", 50..) => Tone::Soon,
        ("running", _) => Tone::Plain,
        ("met", _) => Tone::Good,
        _ => Tone::Quiet,
    }
}

/// How long there is, or has been, to keep it.
pub(super) fn told_due(deadline: &Value, now: Timestamp) -> String {
    relative(text(deadline, "due"), now).unwrap_or_default()
}

fn deadlines(sheet: &mut Sheet, deadlines: &Value, now: Timestamp) {
    let mut deadlines: Vec<&Value> = items(deadlines).collect();
    if deadlines.is_empty() {
        return;
    }
    deadlines.sort_by_key(|deadline| (!is_owed(deadline), order(deadline)));
    sheet.heading("Owed");
    for deadline in deadlines {
        let tone = urgency(deadline, now);
        let (state, due, met) = (text(deadline, "state"), text(deadline, "due"), text(deadline, "met_at"));
        let at = if met.is_empty() { String::new() } else { format!(" {}", minute(met)) };
        let told = match (state, deadline["elapsed"].as_u64()) {
            ("running", Some(elapsed)) if tone != Tone::Alarm => {
                format!("{}, {elapsed} % of the time is over", told_due(deadline, now))
            }
            ("running", _) => told_due(deadline, now),
            ("overdue", _) => format!("OVERDUE, {}", told_due(deadline, now)),
            ("late", _) => format!("met too late{at}"),
            (other, _) => format!("{other}{at}"),
        };
        let quiet = if is_owed(deadline) { Tone::Plain } else { Tone::Quiet };
        let cells = [((quiet, text(deadline, "kind").to_owned()), NAME), ((quiet, minute(due)), TIME)];
        sheet.item(FACTS + TIME, &cells, &[(tone, told)]);
    }
}

fn mails(sheet: &mut Sheet, mails: &Value) {
    if items(mails).next().is_none() {
        return;
    }
    sheet.heading("Mails");
    for mail in items(mails) {
        let digest: String = text(mail, "mail").chars().take(SHORT).collect();
        let mut line = vec![(Tone::Plain, [text(mail, "kind"), text(mail, "sort")].join(" "))];
        if !text(mail, "from").is_empty() {
            line.push((Tone::Plain, format!("from {}", text(mail, "from"))));
        }
        if mail["pending"] == true {
            line.push((Tone::Alarm, "UNVERIFIED".to_owned()));
        }
        let cells = [((Tone::Strong, digest), NAME), ((Tone::Quiet, minute(text(mail, "at"))), TIME)];
        sheet.item(FACTS, &cells, &line);
        for detail in [seals(mail), doubts(mail)].into_iter().filter(|detail| !is_blank(detail)) {
            sheet.hung(FACTS, &[], &detail);
        }
    }
}

/// How a mail came, and who vouches for it.
fn seals(mail: &Value) -> Vec<Span> {
    let encrypted = match text(mail, "encrypted") {
        "" => "",
        "none" => "in the clear",
        "whole" => "encrypted",
        "part" => "partly encrypted",
        other => other,
    };
    let verdict = text(mail, "verdict");
    let standing = text(mail, "standing");
    let signature = match (verdict, standing) {
        ("", _) => String::new(),
        ("none", _) => "not signed".to_owned(),
        (verdict, "") => format!("signature {verdict}"),
        (verdict, standing) => format!("signature {verdict} ({standing})"),
    };
    let signed = match verdict {
        "good" => Tone::Good,
        "broken" | "expired" | "revoked-key" | "refused" | "not-for-us" | "malformed" => Tone::Alarm,
        _ => Tone::Quiet,
    };
    let (sender, vouched) = match text(&mail["trust"], "verdict") {
        "pass" => ("its domain vouches for it", Tone::Quiet),
        "fail" => ("its domain DISOWNS it", Tone::Alarm),
        _ => ("", Tone::Quiet),
    };
    let said = [(Tone::Quiet, encrypted.to_owned()), (signed, signature), (vouched, sender.to_owned())];
    listed(said)
}

/// What is wrong with a mail.
fn doubts(mail: &Value) -> Vec<Span> {
    let problem = match text(mail, "problem") {
        "" => String::new(),
        problem => format!("not opened: {problem}"),
    };
    listed([(Tone::Near, problem), (Tone::Near, text(mail, "doubt").to_owned())])
}

/// What there is of it, with commas between.
fn listed<const N: usize>(spans: [Span; N]) -> Vec<Span> {
    let mut listed: Vec<Span> = spans.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    let last = listed.len().saturating_sub(1);
    for (_, text) in listed.iter_mut().take(last) {
        text.push(',');
    }
    listed
}

fn letters(sheet: &mut Sheet, letters: &Value) {
    if items(letters).next().is_none() {
        return;
    }
    sheet.heading("Letters");
    for letter in items(letters) {
        let (id, state, reply) = (text(letter, "id"), text(letter, "state"), text(letter, "last_reply"));
        let (tone, command) = match state {
            "sent" => (Tone::Good, ""),
            "held" => (Tone::Near, "release"),
            "deferred" => (Tone::Soon, "retry"),
            "returned" => (Tone::Alarm, "release"),
            _ => (Tone::Plain, ""),
        };
        let attempts = match letter["attempts"].as_u64() {
            Some(attempts @ 2..) => format!(", {attempts} attempts"),
            _ => String::new(),
        };
        let fate = vec![
            (tone, format!("{state}{attempts}:")),
            (Tone::Plain, format!("{} to {}", text(letter, "kind"), text(letter, "to"))),
        ];
        sheet.item(FACTS, &[((Tone::Strong, id.to_owned()), NAME)], &fate);
        if !command.is_empty() {
            sheet.hung(FACTS, &[], &[(Tone::Plain, reply.to_owned())]);
            // on a line of its own: it is there to be copied
            sheet.hung(FACTS, &[], &[(Tone::Quiet, format!("→ psirtd outbox {command} {id}"))]);
        }
    }
}

fn timeline(sheet: &mut Sheet, timeline: &Value) {
    if items(timeline).next().is_none() {
        return;
    }
    sheet.heading("Timeline");
    // a letter on its way is no news, and stands above; one that is held, or came back, is
    let on_its_way = |what: &str| what.ends_with(" queued") || what.contains(" sent: ");
    let is_news = |entry: &&Value| text(entry, "who") != "psirtd" || !on_its_way(text(entry, "what"));
    for entry in items(timeline).filter(is_news) {
        let at = minute(text(entry, "at"));
        let mut line = vec![(Tone::Plain, text(entry, "what").to_owned())];
        if !text(entry, "who").is_empty() {
            line.push((Tone::Quiet, format!("– {}", text(entry, "who"))));
        }
        sheet.item(TIME + MARGIN, &[((Tone::Quiet, at), TIME)], &line);
    }
}

fn is_blank(spans: &[Span]) -> bool {
    spans.iter().all(|(_, text)| text.trim().is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::style::columns;

    pub(in crate::cli) fn now() -> Timestamp {
        "2026-11-28T15:00:00Z".parse().unwrap()
    }

    /// What a desk answers that knows the fields of the first version only.
    pub(in crate::cli) fn fresh() -> Value {
        json!({
            "id": "EX-2026-0003", "phase": "received", "subject": "Overflow", "reporter": "rita@example.net",
            "owner": null, "received_at": "2026-11-28T14:20:00Z", "acknowledged_at": null, "not_acknowledged": null,
            "missing": ["steps"], "hints": [], "merged_into": null, "reporters": ["rita@example.net"], "mails": 1,
            "deadlines": [{ "kind": "first-response", "due": "2026-12-02T23:00:00Z", "state": "running" }],
            "timeline": [
                { "at": "2026-11-28T14:20:00Z", "what": "case opened", "who": "psirtd" },
                { "at": "2026-11-28T14:20:00Z", "what": "report recorded", "who": "rita@example.net" },
            ],
            "mail_list": [{
                "mail": "4f0a9c2b61de4f0a9c2b61de4f0a9c2b61de4f0a9c2b61de4f0a9c2b61de4f0a", "at": "2026-11-28T14:20:00Z",
                "kind": "report", "from": "rita@example.net", "message_id": "<r@example.net>", "problem": null,
                "encrypted": "none", "signature": "none", "verdict": "none", "signer": null, "standing": null, "sort": null,
                "trust": null, "doubt": null, "pending": false,
            }],
            "letters": [{
                "id": "EX-2026-0003.1", "kind": "acknowledgement", "to": "rita@example.net", "state": "active",
                "attempts": 0, "message_id": null,
            }],
        })
    }

    pub(in crate::cli) fn rich() -> Value {
        let mail = |digit: &str, rest: Value| {
            let mut mail =
                json!({ "mail": digit.repeat(64), "at": "2026-11-12T09:12:00Z", "kind": "report" });
            mail.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            mail
        };
        json!({
            "id": "EX-2026-0001", "phase": "fixing", "subject": "Heap overflow in the tile parser when a zoom level is negative",
            "reporter": "rita@example.net", "reporters": ["rita@example.net", "nora@example.org"],
            "owner": "ada@example.org", "priority": "critical", "received_at": "2026-11-12T09:12:00Z",
            "acknowledged_at": "2026-11-12T09:12:04Z", "not_acknowledged": null, "missing": ["versions"],
            "hints": ["remote code execution"], "merged_into": null, "rejected_as": null,
            "snoozed_until": "2026-11-30T09:00:00Z", "waiting_since": "2026-11-27T10:00:00Z",
            "public_since": "2026-11-26T18:30:00Z", "shared_with": ["distributors@example.org"],
            "severity": { "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "score": 9.8, "band": "critical", "version": "3.1" },
            "cwe": ["CWE-122"], "cve": ["CVE-2026-41234"], "affected": ["0.12", "0.11", "0.10"],
            "fixed": [{ "line": "0.12", "version": "0.12.4", "exception": false }, { "line": "0.10", "version": null, "exception": true }],
            "unfixed": ["0.11"], "workaround": true, "credits": ["Rita Example", "Nora"], "mails": 3,
            "deadlines": [
                { "kind": "first-response", "due": "2026-11-17T09:12:00Z", "state": "met", "met_at": "2026-11-12T15:00:00Z", "elapsed": 100 },
                { "kind": "plan", "due": "2026-11-17T23:00:00Z", "state": "late", "met_at": "2026-11-18T10:00:00Z", "elapsed": 100 },
                { "kind": "disclosure", "due": "2026-12-02T23:00:00Z", "state": "running", "met_at": null, "elapsed": 83 },
                { "kind": "status-update", "due": "2026-11-28T12:00:00Z", "state": "overdue", "met_at": null, "elapsed": 100 },
                { "kind": "need-info", "due": "2026-12-04T10:00:00Z", "state": "paused", "met_at": null, "elapsed": 10 },
            ],
            "mail_list": [
                mail("4f", json!({ "from": "rita@example.net", "encrypted": "whole", "signature": "good", "verdict": "good",
                    "standing": "pinned", "trust": { "verdict": "pass" }, "pending": false })),
                mail("0a", json!({ "kind": "reply", "from": "rita@example.net", "encrypted": "none", "verdict": "none",
                    "trust": { "verdict": "fail" }, "doubt": "it answers no letter of this case", "pending": true })),
                mail("9c", json!({ "sort": "scanner", "from": null, "encrypted": "whole", "verdict": "",
                    "problem": "no secret key for this message" })),
            ],
            "letters": [
                { "id": "EX-2026-0001.1", "kind": "acknowledgement", "to": "rita@example.net", "state": "sent", "attempts": 1 },
                { "id": "EX-2026-0001.2", "kind": "relay", "to": "ada@example.org", "state": "held", "attempts": 0,
                    "last_reply": "no certificate for ada@example.org" },
                { "id": "EX-2026-0001.3", "kind": "relay", "to": "ben@example.org", "state": "deferred", "attempts": 4,
                    "last_reply": "451 4.7.1 Greylisting in action, please come back later" },
                { "id": "EX-2026-0001.4", "kind": "status", "to": "nora@example.org", "state": "returned", "attempts": 1,
                    "last_reply": "550 5.1.1 User unknown" },
            ],
            "timeline": [
                { "at": "2026-11-12T09:12:00Z", "what": "case opened", "who": "psirtd" },
                { "at": "2026-11-12T09:12:04Z", "what": "acknowledgement EX-2026-0001.1 to rita@example.net sent: 250 2.0.0 Ok: queued as 4WfQ1x2kXyz", "who": "psirtd" },
                { "at": "2026-11-12T15:00:00Z", "what": "accepted", "who": "ada@example.org" },
            ],
        })
    }

    pub(in crate::cli) fn hostile() -> Value {
        let long = format!("{}@{}.example.net", "a".repeat(90), "b".repeat(97));
        assert_eq!(long.len(), 200);
        json!({
            "id": "EX-2026-0002", "phase": "triaged", "owner": "名字很长的负责人名字很长的负责人@例子.example",
            "subject": format!("{} Z\u{342}\u{301}\u{356}a\u{30a}lgo \u{1b}[31mred\u{1b}[0m\r\nBcc: x", "汉字".repeat(40)),
            "reporter": long, "reporters": [long, "", "👩\u{200d}🔬@example.net"], "received_at": "yesterday", "priority": "",
            "acknowledged_at": "", "not_acknowledged": format!("limit: {}", "多".repeat(50)), "missing": [""], "hints": null,
            "severity": { "vector": null }, "fixed": [{}], "shared_with": "nobody", "mails": -1,
            "deadlines": [{ "kind": "plan", "due": "never", "state": "running" }, {}],
            "mail_list": [{ "mail": "", "from": long, "doubt": "x".repeat(100), "pending": "yes" }, null],
            "letters": [{ "id": "EX-2026-0002.1000000", "kind": "relay", "to": long, "state": "held", "attempts": 99 }],
            "timeline": [{ "at": "", "what": "", "who": "" }, { "at": "2026-11-12T09:12:00Z", "what": long, "who": long }],
        })
    }

    #[test]
    fn a_fresh_case() {
        insta::assert_snapshot!(page_text(&fresh(), now(), 80, false), @"
        EX-2026-0003 · received
        Overflow

          owner           nobody
          reporter        rita@example.net
          received        2026-11-28 14:20Z
          acknowledged    not yet
          lacks           steps

        Owed
          first-response  2026-12-02 23:00Z  in 4 d 8 h

        Mails
          4f0a9c2b61de    2026-11-28 14:20Z  report from rita@example.net
                          in the clear, not signed

        Letters
          EX-2026-0003.1  active: acknowledgement to rita@example.net

        Timeline
          2026-11-28 14:20Z  case opened – psirtd
          2026-11-28 14:20Z  report recorded – rita@example.net
        ");
    }

    #[test]
    fn a_case_with_everything() {
        insta::assert_snapshot!(page_text(&rich(), now(), 80, false), @"
        EX-2026-0001 · fixing · critical priority
        Heap overflow in the tile parser when a zoom level is negative

          owner           ada@example.org
          reporter        rita@example.net, nora@example.org
          received        2026-11-12 09:12Z
          acknowledged    2026-11-12 09:12Z
          waits since     2026-11-27 10:00Z for the reporter's answer
          snoozed until   2026-11-30 09:00Z, in 1 d 18 h
          public since    2026-11-26 18:30Z
          lacks           versions
          hints           remote code execution
          severity        9.8 critical CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H
          weakness        CWE-122
          CVE             CVE-2026-41234
          affected        0.12, 0.11, 0.10
          fixed in        0.12.4 (line 0.12), 0.10: none, by exception
          not yet fixed   0.11
          workaround      there is one
          credits         Rita Example, Nora
          shared with     distributors@example.org

        Owed
          status-update   2026-11-28 12:00Z  OVERDUE, 3 h late
          disclosure      2026-12-02 23:00Z  in 4 d 8 h, 83 % of the time is over
          first-response  2026-11-17 09:12Z  met 2026-11-12 15:00Z
          plan            2026-11-17 23:00Z  met too late 2026-11-18 10:00Z
          need-info       2026-12-04 10:00Z  paused

        Mails
          4f4f4f4f4f4f    2026-11-12 09:12Z  report from rita@example.net
                          encrypted, signature good (pinned), its domain vouches for it
          0a0a0a0a0a0a    2026-11-12 09:12Z  reply from rita@example.net UNVERIFIED
                          in the clear, not signed, its domain DISOWNS it
                          it answers no letter of this case
          9c9c9c9c9c9c    2026-11-12 09:12Z  report scanner
                          encrypted
                          not opened: no secret key for this message

        Letters
          EX-2026-0001.1  sent: acknowledgement to rita@example.net
          EX-2026-0001.2  held: relay to ada@example.org
                          no certificate for ada@example.org
                          → psirtd outbox release EX-2026-0001.2
          EX-2026-0001.3  deferred, 4 attempts: relay to ben@example.org
                          451 4.7.1 Greylisting in action, please come back later
                          → psirtd outbox retry EX-2026-0001.3
          EX-2026-0001.4  returned: status to nora@example.org
                          550 5.1.1 User unknown
                          → psirtd outbox release EX-2026-0001.4

        Timeline
          2026-11-12 09:12Z  case opened – psirtd
          2026-11-12 15:00Z  accepted – ada@example.org
        ");
    }

    #[test]
    fn an_embargo_that_stands_and_one_that_is_overdue() {
        let embargo = |state: &str, until: &str| {
            let mut case = fresh();
            case["embargo"] = json!({
                "state": state, "until": until, "desk_time": "Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC)",
                "consents": [{ "who": "rita@example.net", "agrees": true }, { "who": "acme-linux", "agrees": false }],
                "revisions": [{ "reason": "not-tested" }],
            });
            let page = page_text(&case, now(), 80, false);
            let told: Vec<&str> = page.lines().skip_while(|line| !line.contains("  embargo")).collect();
            let told: Vec<&str> = told.into_iter().take_while(|line| !line.contains("  lacks")).collect();
            told.join("\n")
        };
        insta::assert_snapshot!(embargo("revised", "2026-12-15T15:00:00Z"), @"
        embargo         revised, until 2026-12-15 15:00Z, in 17 d, Tue, 15 Dec 2026
                        07:00 PST, moved once
        its end         agreed to by rita@example.net, NOT agreed to by acme-linux
        ");
        insta::assert_snapshot!(embargo("agreed", "2026-11-28T12:00:00Z"), @"
        embargo         agreed, OVER, and not lifted: 2026-11-28 12:00Z, 3 h late,
                        Tue, 15 Dec 2026 07:00 PST, moved once
        its end         agreed to by rita@example.net, NOT agreed to by acme-linux
        ");
        insta::assert_snapshot!(embargo("lifted", "2026-11-28T12:00:00Z"), @"
        embargo         lifted
        its end         agreed to by rita@example.net, NOT agreed to by acme-linux
        ");
        assert_eq!(embargo("none", ""), "");
    }

    #[test]
    fn a_hostile_case() {
        insta::assert_snapshot!(page_text(&hostile(), now(), 80, false), @"
        EX-2026-0002 · triaged
        汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字
        汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字
        Z͖͂́ålgo [31mred[0m Bcc: x

          owner           名字很长的负责人名字很长的负责人@例子.example
          reporter        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example.net,
                          👩‍🔬@example.net
          received        yesterday
          acknowledged    no: limit: 多多多多多多多多多多多多多多多多多多多多多多多多多
                          多多多多多多多多多多多多多多多多多多多多多多多多多

        Owed
          plan            never

        Mails
                                             from
                          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example.net
                          xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

        Letters
          EX-2026-0002.1000000 held, 99 attempts: relay to
                          aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example.net
                          → psirtd outbox release EX-2026-0002.1000000

        Timeline
          2026-11-12 09:12Z  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example.net
                             –
                             aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.example.net
        ");
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        let styled = page_text(&rich(), now(), 80, true);
        assert_eq!(anstream::adapter::strip_str(&styled).to_string(), page_text(&rich(), now(), 80, false));
        insta::assert_snapshot!(styled.replace('\u{1b}', "␛"), @"
        ␛[1mEX-2026-0001␛[0m · fixing ␛[2m·␛[0m ␛[1m␛[31mcritical priority␛[0m
        ␛[1mHeap overflow in the tile parser when a zoom level is negative␛[0m

          ␛[2mowner␛[0m           ada@example.org
          ␛[2mreporter␛[0m        rita@example.net, nora@example.org
          ␛[2mreceived␛[0m        2026-11-12 09:12Z
          ␛[2macknowledged␛[0m    2026-11-12 09:12Z
          ␛[2mwaits since␛[0m     2026-11-27 10:00Z ␛[2mfor the reporter's answer␛[0m
          ␛[2msnoozed until␛[0m   ␛[2m2026-11-30 09:00Z, in 1 d 18 h␛[0m
          ␛[2mpublic since␛[0m    ␛[1m␛[31m2026-11-26 18:30Z␛[0m
          ␛[2mlacks␛[0m           versions
          ␛[2mhints␛[0m           remote code execution
          ␛[2mseverity␛[0m        ␛[1m␛[31m9.8 critical␛[0m ␛[2mCVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H␛[0m
          ␛[2mweakness␛[0m        CWE-122
          ␛[2mCVE␛[0m             CVE-2026-41234
          ␛[2maffected␛[0m        0.12, 0.11, 0.10
          ␛[2mfixed in␛[0m        0.12.4 (line 0.12), 0.10: none, by exception
          ␛[2mnot yet fixed␛[0m   ␛[33m0.11␛[0m
          ␛[2mworkaround␛[0m      there is one
          ␛[2mcredits␛[0m         Rita Example, Nora
          ␛[2mshared with␛[0m     distributors@example.org

        ␛[1mOwed␛[0m
          status-update   2026-11-28 12:00Z  ␛[1m␛[31mOVERDUE, 3 h late␛[0m
          disclosure      2026-12-02 23:00Z  ␛[38;5;208min 4 d 8 h, 83 % of the time is over␛[0m
          ␛[2mfirst-response␛[0m  ␛[2m2026-11-17 09:12Z␛[0m  ␛[32mmet 2026-11-12 15:00Z␛[0m
          ␛[2mplan␛[0m            ␛[2m2026-11-17 23:00Z␛[0m  ␛[2mmet too late 2026-11-18 10:00Z␛[0m
          ␛[2mneed-info␛[0m       ␛[2m2026-12-04 10:00Z␛[0m  ␛[2mpaused␛[0m

        ␛[1mMails␛[0m
          ␛[1m4f4f4f4f4f4f␛[0m    ␛[2m2026-11-12 09:12Z␛[0m  report from rita@example.net
                          ␛[2mencrypted,␛[0m ␛[32msignature good (pinned),␛[0m ␛[2mits domain vouches for it␛[0m
          ␛[1m0a0a0a0a0a0a␛[0m    ␛[2m2026-11-12 09:12Z␛[0m  reply from rita@example.net ␛[1m␛[31mUNVERIFIED␛[0m
                          ␛[2min the clear, not signed,␛[0m ␛[1m␛[31mits domain DISOWNS it␛[0m
                          ␛[38;5;208mit answers no letter of this case␛[0m
          ␛[1m9c9c9c9c9c9c␛[0m    ␛[2m2026-11-12 09:12Z␛[0m  report scanner
                          ␛[2mencrypted␛[0m
                          ␛[38;5;208mnot opened: no secret key for this message␛[0m

        ␛[1mLetters␛[0m
          ␛[1mEX-2026-0001.1␛[0m  ␛[32msent:␛[0m acknowledgement to rita@example.net
          ␛[1mEX-2026-0001.2␛[0m  ␛[38;5;208mheld:␛[0m relay to ada@example.org
                          no certificate for ada@example.org
                          ␛[2m→ psirtd outbox release EX-2026-0001.2␛[0m
          ␛[1mEX-2026-0001.3␛[0m  ␛[33mdeferred, 4 attempts:␛[0m relay to ben@example.org
                          451 4.7.1 Greylisting in action, please come back later
                          ␛[2m→ psirtd outbox retry EX-2026-0001.3␛[0m
          ␛[1mEX-2026-0001.4␛[0m  ␛[1m␛[31mreturned:␛[0m status to nora@example.org
                          550 5.1.1 User unknown
                          ␛[2m→ psirtd outbox release EX-2026-0001.4␛[0m

        ␛[1mTimeline␛[0m
          ␛[2m2026-11-12 09:12Z␛[0m  case opened ␛[2m– psirtd␛[0m
          ␛[2m2026-11-12 15:00Z␛[0m  accepted ␛[2m– ada@example.org␛[0m
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_page_unless_a_word_is() {
        for width in [60, 80, 110] {
            for case in [fresh(), rich(), hostile()] {
                for line in page_text(&case, now(), width, false).lines().filter(|line| columns(line) > width)
                {
                    let last = line.split_whitespace().last().unwrap();
                    assert!(columns(last) > width - TIME - MARGIN, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_page_of_nothing() {
        insta::assert_snapshot!(page_text(&Value::Null, now(), 80, false), @"
        ·
        (no subject, or it came encrypted: see the relay)

          owner           nobody
          reporter        unknown
          acknowledged    not yet
        ");
    }
}
