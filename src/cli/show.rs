//! Answers as tables, or as the JSON they are drawn from.

use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;
use sequoia_openpgp::Cert;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::style::{self, minute};
use crate::cli::{Failure, listing, page, print};
use crate::keyring;

/// `psirtd cases`
pub(super) fn cases(cases: &Value, all: bool, json: bool, now: Timestamp) -> Result<(), Failure> {
    let shown: Value = items(cases).filter(|case| all || listing::is_open(case)).cloned().collect();
    if json {
        return print(&pretty(&shown));
    }
    if !all && items(&shown).next().is_none() && items(cases).next().is_some() {
        return print("no open cases; all of them: psirtd cases --all");
    }
    print(&case_table(&shown, now))
}

/// The table of cases.
pub(super) fn case_table(cases: &Value, now: Timestamp) -> String {
    listing::table(cases, now, style::width(), style::coloured())
}

/// `psirtd case ID`
pub(super) fn case(case: &Value, json: bool, now: Timestamp) -> Result<(), Failure> {
    if json {
        return print(&pretty(case));
    }
    print(&page::page_text(case, now, style::width(), style::coloured()))
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

pub(super) fn table(header: &[&str]) -> Table {
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

pub(super) fn words(list: &Value) -> String {
    items(list).filter_map(Value::as_str).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
}

pub(super) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// As `--json` prints it.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}
