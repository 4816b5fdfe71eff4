//! `psirtd members`: the distributors' list.
//!
//! # Invariants
//! * What can be said by mail, too, is handed over in the same words, and says the same.
//! * Who is on the list is shown here and nowhere else.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use crate::cli::page::notices;
use crate::cli::show::{self, items, text};
use crate::cli::style::{self, MARGIN, Sheet, Span, Tone};
use crate::cli::{Failure, Global, listing, print, read_text};
use crate::clock::Clock;
use crate::control::Question;
use crate::domain::command::order;
use crate::pipeline::roll::SHOWN_ALONE;

/// No list is larger: the daemon takes no larger question. Bytes.
const MOST_LIST: u64 = 24 << 20;
/// The width of a name before a fact.
const NAME: usize = 16;
/// So many digits of a fingerprint tell a key from the others of a list.
const DIGITS: usize = 16;

/// What can be done with the list.
#[derive(Debug, Subcommand)]
pub(super) enum MembersCommand {
    /// Everybody on it, and who wants to be: state, key, policy, leaks
    #[command(after_help = "Example:\n  psirtd members list\n  psirtd members list --json | jq '.[].id'")]
    List,
    /// One member: criteria, vouch, certificates, history
    #[command(after_help = "Example:\n  psirtd members show acme-linux")]
    Show {
        /// Its name
        member: String,
    },
    /// Put an organisation on it, by your own word
    #[command(
        after_help = "Example:\n  psirtd members add acme-linux security@acme.example \"Acme Linux\" --text acme.asc"
    )]
    Add {
        /// Its name here: small letters, digits and hyphens
        member: String,
        /// Its role address
        address: String,
        /// What it calls itself
        organisation: Vec<String>,
        /// A file with its OpenPGP certificate, armored, or “-”
        #[arg(long, value_name = "FILE")]
        text: PathBuf,
    },
    /// Accept an application; whatever is open is told, and nothing done
    #[command(after_help = "Example:\n  psirtd members approve acme-linux")]
    Approve {
        /// Its name
        member: String,
    },
    /// Refuse an application; the text, a reason, goes to the organisation
    #[command(after_help = "Example:\n  psirtd members refuse acme-linux --text reason.txt")]
    Refuse {
        /// Its name
        member: String,
        /// A file with the reason, or “-”
        #[arg(long, value_name = "FILE")]
        text: Option<PathBuf>,
    },
    /// You looked at a criterion of an application
    #[command(after_help = "Example:\n  psirtd members review acme-linux 3 met")]
    Review {
        /// Its name
        member: String,
        /// Which, counted from 1
        criterion: String,
        /// met | unmet
        met: String,
    },
    /// It gets nothing for now; what was still to leave is stopped
    #[command(after_help = "Example:\n  psirtd members suspend acme-linux --text reason.txt")]
    Suspend {
        /// Its name
        member: String,
        /// A file with the reason, which is kept, or “-”
        #[arg(long, value_name = "FILE")]
        text: Option<PathBuf>,
    },
    /// It is active again; what was stopped waits in the outbox
    #[command(after_help = "Example:\n  psirtd members resume acme-linux")]
    Resume {
        /// Its name
        member: String,
    },
    /// Take it off for good; with four eyes on, two coordinators have to approve
    #[command(after_help = "Example:\n  psirtd members remove acme-linux --text reason.txt")]
    Remove {
        /// Its name
        member: String,
        /// A file with the reason, which is kept, or “-”
        #[arg(long, value_name = "FILE")]
        text: Option<PathBuf>,
    },
    /// Its addresses from now on; notices go to the first
    #[command(
        after_help = "Example:\n  psirtd members address acme-linux security@acme.example psirt@acme.example"
    )]
    Address {
        /// Its name
        member: String,
        /// These
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// A certificate more, or a newer form of one
    #[command(after_help = "Example:\n  psirtd members certificate acme-linux --text acme.asc")]
    Certificate {
        /// Its name
        member: String,
        /// A file with it, armored, or “-”
        #[arg(long, value_name = "FILE")]
        text: PathBuf,
    },
    /// A certificate less
    #[command(after_help = "Example:\n  psirtd members drop-certificate acme-linux 89ABCDEF01234567")]
    DropCertificate {
        /// Its name
        member: String,
        /// Its fingerprint, or the end of it
        #[arg(required = true)]
        fingerprint: Vec<String>,
    },
    /// Its time zone: instants are told in it, too
    #[command(after_help = "Example:\n  psirtd members zone acme-linux Europe/Berlin")]
    Zone {
        /// Its name
        member: String,
        /// An IANA name
        zone: String,
    },
    /// It meets the criteria still, and accepts the embargo policy in force
    #[command(after_help = "Example:\n  psirtd members attest acme-linux")]
    Attest {
        /// Its name
        member: String,
    },
    /// Print the list as JSON, with all certificates: `import` takes it
    #[command(after_help = "Example:\n  psirtd members export > members.json")]
    Export,
    /// Put those in a file on the list, or bring addresses, certificates and names up to date: all of them, or none
    #[command(
        after_help = "The file is a JSON array, as “export” prints it; “id”, “addresses” and “certificates” are enough:\n  \
                      [{\"id\": \"acme-linux\", \"addresses\": [\"security@acme.example\"], \"certificates\": [\"-----BEGIN PGP …\"]}]\n\n\
                      Example:\n  psirtd members import members.json"
    )]
    Import {
        /// The file, or “-”
        file: PathBuf,
    },
}

/// Does it.
pub(super) fn run(global: &Global, command: MembersCommand, clock: Clock) -> Result<(), Failure> {
    let ask = |member| global.ask(Question::Members { id: member }, clock.clone());
    let (words, file): (Vec<String>, Option<PathBuf>) = match command {
        MembersCommand::List => {
            let members = ask(None)?;
            return match global.json {
                true => print(&show::pretty(&without(&members, &["history"], &["armored"]))),
                false => print(&table(&members, style::width(), style::coloured())),
            };
        }
        MembersCommand::Show { member } => {
            let found = ask(Some(member))?;
            let member = items(&found).next().cloned().unwrap_or_default();
            return match global.json {
                true => print(&show::pretty(&member)),
                false => print(&page(&member, style::width(), style::coloured())),
            };
        }
        MembersCommand::Export => {
            let members = ask(None)?;
            return print(&show::pretty(&without(&members, &SHOWN_ALONE, &["expires", "problem"])));
        }
        MembersCommand::Import { file } => (vec!["import".to_owned()], Some(file)),
        MembersCommand::Add { member, address, organisation, text } => {
            let words = ["add".to_owned(), member, address].into_iter().chain(organisation);
            (words.collect(), Some(text))
        }
        MembersCommand::Approve { member } => (vec!["approve".to_owned(), member], None),
        MembersCommand::Refuse { member, text } => (vec!["refuse".to_owned(), member], text),
        MembersCommand::Review { member, criterion, met } => {
            (vec!["review".to_owned(), member, criterion, met], None)
        }
        MembersCommand::Suspend { member, text } => (vec!["suspend".to_owned(), member], text),
        MembersCommand::Resume { member } => (vec!["resume".to_owned(), member], None),
        MembersCommand::Remove { member, text } => (vec!["remove".to_owned(), member], text),
        MembersCommand::Address { member, addresses } => {
            (["address".to_owned(), member].into_iter().chain(addresses).collect(), None)
        }
        MembersCommand::Certificate { member, text } => (vec!["certificate".to_owned(), member], Some(text)),
        MembersCommand::DropCertificate { member, fingerprint } => {
            (["drop-certificate".to_owned(), member].into_iter().chain(fingerprint).collect(), None)
        }
        MembersCommand::Zone { member, zone } => (vec!["zone".to_owned(), member, zone], None),
        MembersCommand::Attest { member } => (vec!["attest".to_owned(), member], None),
    };
    // only what an organisation calls itself is more than a word
    let named = if words.first().is_some_and(|word| word == "add") { 3 } else { words.len() };
    let is_no_word = |word: &&String| word.is_empty() || word.contains(char::is_whitespace);
    if let Some(wrong) = words.iter().take(named).find(is_no_word) {
        return Err(Failure::Usage(format!("“{wrong}” is not understood: it has to be one word")));
    }
    let text = file.map(|file| read_text(&file, MOST_LIST)).transpose()?;
    does(global, &format!("members {}", words.join(" ")), text, clock)
}

fn does(global: &Global, line: &str, text: Option<String>, clock: Clock) -> Result<(), Failure> {
    order::typed(None, line, text.clone()).map_err(|misread| Failure::Usage(misread.wrong.join("; ")))?;
    let question = Question::Do { case: None, line: line.to_owned(), text, attachments: Vec::new() };
    show::done(&global.ask(question, clock)?, global.json)
}

/// Members without these fields, and their certificates without those.
fn without(members: &Value, fields: &[&str], of_certificates: &[&str]) -> Value {
    let mut members = members.clone();
    for member in members.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        fields.iter().for_each(|field| drop(member.remove(*field)));
        let certificates = member.get_mut("certificates").and_then(Value::as_array_mut);
        for certificate in certificates.into_iter().flatten().filter_map(Value::as_object_mut) {
            of_certificates.iter().for_each(|field| drop(certificate.remove(*field)));
        }
    }
    members
}

/// A line for each member, and below it who that is.
fn table(members: &Value, width: usize, styled: bool) -> String {
    if items(members).next().is_none() {
        return "nobody is on the list".to_owned();
    }
    let heads = ["MEMBER", "STATE", "KEY UNTIL", "POLICY", "LEAKS", "ATTESTS BY"];
    let mut rows = vec![heads.map(|head| (Tone::Quiet, head.to_owned()))];
    rows.extend(items(members).map(row));
    let notes = std::iter::once(Vec::new()).chain(items(members).map(notes));
    listing::drawn(&rows, notes, width, styled)
}

fn row(member: &Value) -> [Span; 6] {
    let plain = |text: &str| (Tone::Plain, show::or_dash(text));
    let state = text(member, "state");
    let key = match (text(&member["key"], "problem"), text(&member["key"], "expires")) {
        ("", "") => plain("no end"),
        ("", expires) => plain(day(expires)),
        _ => (Tone::Alarm, "UNUSABLE".to_owned()),
    };
    let strikes = items(&member["strikes"]).count();
    [
        (Tone::Strong, text(member, "id").to_owned()),
        (tone(state), state.to_owned()),
        key,
        plain(text(member, "policy")),
        (if strikes > 0 { Tone::Near } else { Tone::Plain }, strikes.to_string()),
        plain(day(text(member, "attest_by"))),
    ]
}

/// Who a member is, and by which key it is written to, or why it cannot be.
fn notes(member: &Value) -> Vec<Span> {
    let key = &member["key"];
    let fingerprint = text(key, "fingerprint");
    let digits = fingerprint.get(fingerprint.len().saturating_sub(DIGITS)..).unwrap_or(fingerprint);
    let address = items(&member["addresses"]).next().and_then(Value::as_str).unwrap_or_default();
    let notes = [
        (Tone::Plain, text(member, "organisation")),
        (Tone::Plain, address),
        (Tone::Quiet, digits),
        (Tone::Alarm, text(key, "problem")),
    ];
    notes
        .into_iter()
        .filter(|(_, note)| !note.is_empty())
        .map(|(tone, note)| (tone, note.to_owned()))
        .collect()
}

fn tone(state: &str) -> Tone {
    match state {
        "active" => Tone::Good,
        "applied" => Tone::Soon,
        _ => Tone::Near,
    }
}

/// A key in a few words.
fn key(key: &Value) -> String {
    let how = match (text(key, "problem"), text(key, "expires")) {
        ("", "") => "no end".to_owned(),
        ("", expires) => format!("until {}", day(expires)),
        (problem, _) => format!("UNUSABLE: {problem}"),
    };
    format!("{}, {how},", text(key, "fingerprint"))
}

/// The day of an instant, in UTC.
fn day(at: &str) -> &str {
    at.split('T').next().unwrap_or_default()
}

/// One member.
fn page(member: &Value, width: usize, styled: bool) -> String {
    let mut sheet = Sheet::new(width, styled);
    let state = text(member, "state");
    let head = [(Tone::Strong, text(member, "id").to_owned()), (tone(state), format!("· {state}"))];
    sheet.hung(0, &[], &head);
    sheet.gap();
    let plain = |text: String| vec![(Tone::Plain, text)];
    let mut fact = |name: &str, value: Vec<Span>| {
        if value.iter().any(|(_, text)| !text.is_empty()) {
            sheet.item(MARGIN.saturating_add(NAME), &[((Tone::Quiet, name.to_owned()), NAME)], &value);
        }
    };
    fact("organisation", plain(text(member, "organisation").to_owned()));
    fact("since", plain(style::minute(text(member, "since"))));
    fact("addresses", plain(show::words(&member["addresses"])));
    fact("time zone", plain(text(member, "zone").to_owned()));
    for certificate in items(&member["certificates"]) {
        let usable = certificate["problem"].is_null();
        let proven = match day(text(certificate, "proven_at")) {
            "" => (Tone::Near, "not proven".to_owned()),
            since => (Tone::Quiet, format!("its own since {since}")),
        };
        let tone = if usable { Tone::Plain } else { Tone::Alarm };
        fact("certificate", vec![(tone, key(certificate)), proven]);
    }
    if items(&member["certificates"]).next().is_none() {
        fact("certificate", vec![(Tone::Alarm, "none: it gets nothing".to_owned())]);
    }
    fact(
        "embargo policy",
        match text(member, "policy") {
            "" => vec![(Tone::Soon, "not accepted".to_owned())],
            version => plain(format!("version {version}, accepted {}", day(text(member, "accepted_at")))),
        },
    );
    if let Some(by) = member["vouch"].get("by").and_then(Value::as_str) {
        let (at, policy) = (day(text(&member["vouch"], "at")), text(&member["vouch"], "policy"));
        fact("vouched for", plain(format!("by {by}, {at}, policy {policy}")));
    }
    fact("attests by", plain(day(text(member, "attest_by")).to_owned()));
    fact("application", plain(text(&member["application"], "case").to_owned()));
    for strike in items(&member["strikes"]) {
        let told = format!("case {}, {}", text(strike, "case"), day(text(strike, "at")));
        fact("leak", vec![(Tone::Alarm, told), (Tone::Quiet, format!("said {}", text(strike, "by")))]);
    }
    notices::proposals(&mut sheet, &member["proposals"]);
    criteria(&mut sheet, &member["criteria"]);
    if items(&member["history"]).next().is_some() {
        sheet.heading("History");
    }
    for entry in items(&member["history"]) {
        let line = [
            (Tone::Plain, text(entry, "what").to_owned()),
            (Tone::Quiet, format!("– {}", text(entry, "who"))),
        ];
        let at = style::minute(text(entry, "at"));
        sheet.item(MARGIN.saturating_add(20), &[((Tone::Quiet, at), 20)], &line);
    }
    sheet.text()
}

fn criteria(sheet: &mut Sheet, criteria: &Value) {
    if items(criteria).next().is_some() {
        sheet.heading("What it says to the criteria");
    }
    for said in items(criteria) {
        let reviewed = match (said["met"].as_bool(), text(said, "reviewed_by")) {
            (Some(true), who) => (Tone::Good, format!("– met, says {who}")),
            (Some(false), who) => (Tone::Alarm, format!("– NOT met, says {who}")),
            (None, _) => (Tone::Soon, "– nobody has looked at it yet".to_owned()),
        };
        let number = said["number"].to_string();
        let line = [(Tone::Plain, text(said, "evidence").to_owned()), reviewed];
        sheet.item(MARGIN.saturating_add(4), &[((Tone::Strong, number), 4)], &line);
    }
}

/// What is attached to a command is no larger together: the daemon takes no larger question. Bytes.
const MOST_ATTACHED: u64 = 16 << 20;

/// What is attached to a command: files, each with its media type by the end of its name.
pub(super) fn attached(files: &[PathBuf]) -> Result<Vec<crate::control::Attached>, Failure> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use std::io::Read as _;
    let mut left = MOST_ATTACHED;
    let attach = |file: &PathBuf| {
        let failed = |why: String| Failure::Failed(format!("--attach {}: {why}", file.display()));
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(file);
        let read = opened.and_then(|file| file.take(left.saturating_add(1)).read_to_end(&mut bytes));
        let read = read.map_err(|error| failed(error.to_string()))?;
        left = u64::try_from(read).ok().and_then(|size| left.checked_sub(size)).ok_or_else(|| {
            failed(format!("more than {} MiB together: let members fetch it elsewhere", MOST_ATTACHED >> 20))
        })?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        let media_type = media_type(file).to_owned();
        Ok(crate::control::Attached { name, media_type, base64: BASE64_STANDARD.encode(bytes) })
    };
    files.iter().map(attach).collect()
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("patch" | "diff") => "text/x-patch",
        _ => "application/octet-stream",
    }
}

/// What `psirtd check` says of the list, when the daemon can be asked.
pub(super) fn concerns(members: &Value, soon: &str, marks: usize) -> Vec<String> {
    let active: Vec<&Value> = items(members).filter(|member| text(member, "state") == "active").collect();
    let mut concerns: Vec<String> = active
        .iter()
        .filter_map(|member| {
            let (id, of) = (text(member, "id"), &member["key"]);
            match (text(of, "problem"), text(of, "expires")) {
                ("", "") => None,
                ("", expires) if expires < soon => {
                    Some(format!("the key of the member {id} expires on {}", day(expires)))
                }
                ("", _) => None,
                (problem, _) => Some(format!("the member {id} gets nothing: {problem}")),
            }
        })
        .collect();
    if marks > 0 && marks < active.len() {
        concerns.push(format!(
            "distributors.marks: {marks} different sentences for {} members, so that copies cannot be told apart",
            active.len()
        ));
    }
    concerns
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members() -> Value {
        let member = |id: &str, fields: Value| {
            let mut member = json!({
                "id": id, "organisation": "Acme Linux", "state": "active", "since": "2026-11-20T23:00:00Z",
                "addresses": [format!("security@{id}.example")], "zone": null, "policy": "1",
                "accepted_at": "2026-11-20T23:00:00Z", "strikes": [], "criteria": [], "vouch": null,
                "attest_by": "2027-11-20T23:00:00Z", "application": null,
                "key": { "fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567", "expires": "2029-11-20T23:00:00Z",
                         "problem": null },
                "certificates": [{ "fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567", "expires": "2029-11-20T23:00:00Z",
                         "problem": null, "proven_at": "2026-11-20T23:00:00Z", "armored": "x" }],
                "history": [{ "at": "2026-11-20T23:00:00Z", "what": "put on the list", "who": "ada@example.org" }],
            });
            member.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            member
        };
        let expired = json!({ "fingerprint": "FEDCBA9876543210FEDCBA9876543210FEDCBA98", "expires": null,
                              "problem": "it expired on 2026-11-01" });
        let soon = json!({ "fingerprint": "FEDCBA9876543210FEDCBA9876543210FEDCBA98",
                           "expires": "2026-12-24T00:00:00Z", "problem": null });
        let strike =
            json!([{ "case": "EX-2026-0001", "at": "2026-11-20T23:00:00Z", "by": "ada@example.org" }]);
        json!([
            member("acme-linux", json!({})),
            member("beta", json!({ "organisation": "Beta\u{1b}[31m OS", "key": soon, "strikes": strike })),
            member(
                "gamma",
                json!({ "state": "suspended", "key": expired, "policy": null, "attest_by": null })
            ),
            member(
                "delta",
                json!({ "state": "applied", "key": { "fingerprint": null, "expires": null,
                "problem": "it has no certificate" }, "certificates": [],
                "criteria": [{ "number": 1, "evidence": "Since 1999.", "reviewed_by": "ada@example.org", "met": true },
                             { "number": 2, "evidence": "Many.", "reviewed_by": null, "met": null }] })
            ),
        ])
    }

    #[test]
    fn the_list_as_a_table() {
        insta::assert_snapshot!(table(&members(), 80, false), @"
        MEMBER      STATE      KEY UNTIL   POLICY  LEAKS  ATTESTS BY
        acme-linux  active     2029-11-20  1       0      2027-11-20
                    Acme Linux · security@acme-linux.example · 89ABCDEF01234567
        beta        active     2026-12-24  1       1      2027-11-20
                    Beta[31m OS · security@beta.example · 76543210FEDCBA98
        gamma       suspended  UNUSABLE    -       0      -
                    Acme Linux · security@gamma.example · 76543210FEDCBA98 · it expired
                    on 2026-11-01
        delta       applied    UNUSABLE    1       0      2027-11-20
                    Acme Linux · security@delta.example · it has no certificate
        ");
        assert_eq!(table(&json!([]), 80, false), "nobody is on the list");
    }

    #[test]
    fn the_list_is_as_wide_as_the_page() {
        let mut members = members();
        members[0]["id"] = json!("a".repeat(40));
        members[0]["policy"] = json!("version of 2026-01-01 ".repeat(9));
        members[0]["organisation"] = json!("a very long name ".repeat(9));
        for width in [60, 80, 110] {
            let table = table(&members, width, false);
            assert!(table.lines().all(|line| style::columns(line) <= width), "{table}");
            assert!(table.contains(&"a".repeat(40)), "{table}");
        }
    }

    #[test]
    fn a_member_at_a_glance() {
        let members = members();
        insta::assert_snapshot!(page(&members[3], 80, false), @"
        delta · applied

          organisation    Acme Linux
          since           2026-11-20 23:00Z
          addresses       security@delta.example
          certificate     none: it gets nothing
          embargo policy  version 1, accepted 2026-11-20
          attests by      2027-11-20

        What it says to the criteria
          1   Since 1999. – met, says ada@example.org
          2   Many. – nobody has looked at it yet

        History
          2026-11-20 23:00Z   put on the list – ada@example.org
        ");
        let told = page(&members[1], 80, false).split_whitespace().collect::<Vec<_>>().join(" ");
        for line in ["case EX-2026-0001, 2026-11-20 said ada@example.org", "its own since 2026-11-20"] {
            assert!(told.contains(line), "{line}\n{told}");
        }
    }

    #[test]
    fn what_goes_out_says_nothing_of_the_day() {
        let out = without(&members(), &SHOWN_ALONE, &["expires", "problem"]).to_string();
        for field in ["\"key\"", "history", "application", "expires", "problem"] {
            assert!(!out.contains(field), "{field} in {out}");
        }
        assert!(out.contains("\"armored\":\"x\""), "{out}");
    }

    #[test]
    fn what_a_check_says_of_the_list() {
        let concerns = concerns(&members(), "2027-01-19T23:00:00Z", 1).join("\n");
        insta::assert_snapshot!(concerns, @"
        the key of the member beta expires on 2026-12-24
        distributors.marks: 1 different sentences for 2 members, so that copies cannot be told apart
        ");
    }

    #[test]
    fn patches_are_patches() {
        assert_eq!(media_type(Path::new("a/fix.patch")), "text/x-patch");
        assert_eq!(media_type(Path::new("fix.diff")), "text/x-patch");
        assert_eq!(media_type(Path::new("fix.tar.gz")), "application/octet-stream");
    }
}
