//! Answers as tables, or as the JSON they are drawn from.

use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use sequoia_openpgp::Cert;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::{Failure, print};
use crate::keyring;

/// `psirtd cases`
pub(super) fn cases(cases: &Value, all: bool, json: bool) -> Result<(), Failure> {
    let shown: Value = items(cases).filter(|case| all || case["merged_into"].is_null()).cloned().collect();
    if json {
        return print(&pretty(&shown));
    }
    print(&case_table(&shown))
}

/// The table of cases.
pub(super) fn case_table(cases: &Value) -> String {
    let mut table = table(&["CASE", "PHASE", "OWNER", "REPORTER", "ACKNOWLEDGED", "MAILS", "NEXT DEADLINE"]);
    for case in items(cases) {
        let acknowledged = match (text(case, "acknowledged_at"), text(case, "not_acknowledged")) {
            ("", "") => "not yet".to_owned(),
            ("", why) => format!("no: {why}"),
            (at, _) => minute(at),
        };
        let goes_on = case["merged_into"].as_str();
        let phase =
            goes_on.map_or_else(|| text(case, "phase").to_owned(), |into| format!("merged into {into}"));
        let next = items(&case["deadlines"]).filter(|_| goes_on.is_none());
        let next = next.min_by_key(|deadline| text(deadline, "due").to_owned());
        let next = next.map_or_else(String::new, |deadline| {
            let overdue = if text(deadline, "state") == "overdue" { " OVERDUE" } else { "" };
            format!("{} {}{overdue}", text(deadline, "kind"), minute(text(deadline, "due")))
        });
        table.add_row([
            text(case, "id").to_owned(),
            phase,
            or_dash(text(case, "owner")),
            or_dash(text(case, "reporter")),
            acknowledged,
            case["mails"].to_string(),
            next,
        ]);
    }
    if table.is_empty() { "no cases".to_owned() } else { table.to_string() }
}

/// `psirtd case ID`
pub(super) fn case(case: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&pretty(case));
    }
    let mut facts = table(&["CASE", text(case, "id")]);
    for (name, value) in [
        ("phase", text(case, "phase").to_owned()),
        (
            "subject",
            case["subject"].as_str().unwrap_or("(none, or it came encrypted: see the relay)").to_owned(),
        ),
        ("reporter", or_dash(&words(&case["reporters"]))),
        ("owner", or_dash(text(case, "owner"))),
        ("received", minute(text(case, "received_at"))),
        ("acknowledged", or_dash(&minute(text(case, "acknowledged_at")))),
        ("not acknowledged", or_dash(text(case, "not_acknowledged"))),
        ("lacks", or_dash(&words(&case["missing"]))),
        ("hints", or_dash(&words(&case["hints"]))),
        ("merged into", or_dash(text(case, "merged_into"))),
    ] {
        facts.add_row([name.to_owned(), value]);
    }
    let mut deadlines = table(&["DEADLINE", "DUE", "STATE"]);
    for deadline in items(&case["deadlines"]) {
        deadlines.add_row([
            text(deadline, "kind").to_owned(),
            minute(text(deadline, "due")),
            text(deadline, "state").to_owned(),
        ]);
    }
    let mut mails =
        table(&["MAIL", "RECORDED", "KIND", "FROM", "SENDER", "ENCRYPTED", "SIGNATURE", "PROBLEM"]);
    for mail in items(&case["mail_list"]) {
        let digest: String = text(mail, "mail").chars().take(12).collect();
        mails.add_row([
            digest,
            minute(text(mail, "at")),
            [text(mail, "kind"), text(mail, "sort")].join(" ").trim().to_owned(),
            or_dash(text(mail, "from")),
            if mail["pending"] == true {
                "UNVERIFIED".to_owned()
            } else {
                or_dash(text(&mail["trust"], "verdict"))
            },
            text(mail, "encrypted").to_owned(),
            [text(mail, "verdict"), text(mail, "standing")].join(" ").trim().to_owned(),
            or_dash(text(mail, "problem")),
        ]);
    }
    let mut letters = table(&["LETTER", "KIND", "TO", "STATE", "ATTEMPTS"]);
    for letter in items(&case["letters"]) {
        letters.add_row([
            text(letter, "id").to_owned(),
            text(letter, "kind").to_owned(),
            text(letter, "to").to_owned(),
            text(letter, "state").to_owned(),
            letter["attempts"].to_string(),
        ]);
    }
    let mut timeline = table(&["TIME", "WHAT", "WHO"]);
    for entry in items(&case["timeline"]) {
        timeline.add_row([
            minute(text(entry, "at")),
            text(entry, "what").to_owned(),
            text(entry, "who").to_owned(),
        ]);
    }
    let tables = [facts, deadlines, mails, letters, timeline];
    print(&tables.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
}

/// `psirtd outbox`
pub(super) fn outbox(letters: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&pretty(letters));
    }
    let mut table = table(&["LETTER", "KIND", "TO", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "LAST WORDS"]);
    for letter in items(letters) {
        table.add_row([
            text(letter, "id").to_owned(),
            text(letter, "kind").to_owned(),
            text(letter, "to").to_owned(),
            text(letter, "state").to_owned(),
            letter["attempts"].to_string(),
            or_dash(&minute(text(letter, "next_attempt"))),
            or_dash(text(letter, "last_reply")),
        ]);
    }
    print(&if table.is_empty() { "no letters".to_owned() } else { table.to_string() })
}

/// `psirtd outbox show ID`
pub(super) fn letter(letter: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&pretty(letter));
    }
    match text(letter, "mail") {
        "" => {
            let (id, why) = (text(letter, "id"), text(letter, "last_reply"));
            print(&format!(
                "letter {id} to {} is not written before it is released: {why}",
                text(letter, "to")
            ))
        }
        mail => print(mail),
    }
}

/// A command that was carried out.
pub(super) fn done(done: &Value, json: bool) -> Result<(), Failure> {
    if json { print(&json!({ "done": done }).to_string()) } else { print(done.as_str().unwrap_or_default()) }
}

/// `psirtd key seen ADDRESS`
pub(super) fn seen(certificates: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&pretty(certificates));
    }
    let mut table = table(&["FINGERPRINT", "FROM", "USED"]);
    for certificate in items(certificates) {
        let used = if certificate["in_use"] == true { "yes" } else { "no" };
        table.add_row([text(certificate, "fingerprint"), text(certificate, "source"), used]);
    }
    print(&if table.is_empty() { "no certificate was seen".to_owned() } else { table.to_string() })
}

/// `psirtd key export`: the public part, which needs no passphrase.
pub(super) fn exported(file: &Path, json: bool) -> Result<(), Failure> {
    let armored = keyring::armored(&desk(file)?).map_err(Failure::because)?;
    if json { print(&json!({ "key": armored }).to_string()) } else { print(armored.trim_end()) }
}

/// `psirtd key show`
pub(super) fn key(file: &Path, json: bool, now: Timestamp) -> Result<(), Failure> {
    let desk = desk(file)?;
    let fingerprint = desk.fingerprint().to_hex();
    let addresses = keyring::user_addresses(&desk);
    let expires = keyring::expires(&desk, now);
    if json {
        let shown = json!({ "fingerprint": fingerprint, "addresses": addresses, "expires": expires });
        return print(&shown.to_string());
    }
    let expires = expires.map_or_else(|| "never".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
    let addresses = addresses.join(", ");
    print(&format!("fingerprint  {fingerprint}\naddresses    {addresses}\nexpires      {expires}"))
}

fn desk(file: &Path) -> Result<Cert, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", file.display()));
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| named(&error))?);
    let certs = keyring::certificates(&bytes).map_err(|error| named(&error))?;
    let desk = certs.into_iter().next().map(Cert::strip_secret_key_material);
    desk.ok_or_else(|| named(&"there is no key in it"))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    table
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn words(list: &Value) -> String {
    items(list).filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// `2026-11-20 23:00Z` of an RFC 3339 time.
fn minute(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| at.strftime("%Y-%m-%d %H:%MZ").to_string())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
