//! `psirtd explain`: what psirtd sees in a mail and what it would do.
//!
//! Opens and decides with the same code as the daemon, as for a first mail of a fresh desk; seals, sends and records nothing.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::{Failure, Global, print};
use crate::config::Config;
use crate::control::bracketed;
use crate::domain::decide::{Facts, Input, decide};
use crate::domain::event::What;
use crate::domain::intake::{Intake, Kind, Sort, judge};
use crate::domain::letter::Protection;
use crate::domain::message::{Mailbox, Message};
use crate::domain::policy::Policy;
use crate::domain::report::{Hint, Item, read as read_report};
use crate::domain::signature::Standing;
use crate::keyring::Keyring;
use crate::open::{hidden_author, open_by};

/// Arguments.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A further secret key to open with; a file with one or several, or a folder
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// A further certificate, held for the addresses of its user ids; a file with one or several, or a folder
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// The mails; "-" is standard input
    #[arg(required = true, value_name = "MAIL")]
    mails: Vec<PathBuf>,
}

impl Explain {
    pub(super) fn run(&self, global: &Global, now: Timestamp) -> Result<(), Failure> {
        let (policy, mut keyring) = desk(global, now)?;
        for key in &self.key {
            each_file(key, &mut |path, bytes| {
                keyring.add_secret_keys(bytes, None).map_err(|error| format!("{}: {error}", path.display()))
            })?;
        }
        for cert in &self.cert {
            each_file(cert, &mut |path, bytes| {
                keyring.add_certificates(bytes, None).map_err(|error| format!("{}: {error}", path.display()))
            })?;
        }
        let mut unread = Vec::new();
        for path in &self.mails {
            match read(path) {
                Ok(raw) => {
                    let hidden = hidden_author(&raw, &policy);
                    let message = open_by(&raw, hidden.as_ref(), &keyring, now);
                    let seen = explained(path, message, &policy, now);
                    print(&if global.json { seen.to_string() } else { sheet(&seen) })?;
                }
                Err(error) => unread.push(error),
            }
        }
        if unread.is_empty() { Ok(()) } else { Err(Failure::Failed(unread.join("\n"))) }
    }
}

/// The desk of the configuration, or a bare one when there is none at the default place.
fn desk(global: &Global, now: Timestamp) -> Result<(Policy, Keyring), Failure> {
    let asked_for = global.config != Path::new("/etc/psirtd/psirtd.toml") || global.config.exists();
    if asked_for {
        return Ok(Config::without_doors(&global.config, now)?);
    }
    let policy = Policy::new(Mailbox::bare("security@localhost"));
    Ok((policy, Keyring::new()))
}

/// What is done with each key file.
type Take<'t> = &'t mut dyn FnMut(&Path, &[u8]) -> Result<(), String>;

/// A file must be right; of a folder, what is no key is passed over, and said so.
fn each_file(path: &Path, take: Take<'_>) -> Result<(), Failure> {
    if !path.is_dir() {
        let bytes = read(path).map_err(Failure::Failed)?;
        return take(path, &bytes).map_err(Failure::Failed);
    }
    let entries =
        std::fs::read_dir(path).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            each_file(&path, take)?;
        } else if let Err(why) = read(&path).and_then(|bytes| take(&path, &bytes)) {
            tracing::info!("passed over: {why}");
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| format!("standard input: {error}"))?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn explained(path: &Path, message: Message, policy: &Policy, now: Timestamp) -> Value {
    let message = Arc::new(message);
    let intake = judge(&message, policy, false);
    // a list that nobody is on, and a challenge of which nothing leaves
    let facts =
        Facts { next_number: 1, roster: Some(Arc::default()), token: "0".repeat(32), ..Facts::default() };
    let decision =
        decide(&facts, &Input::Mail { message: Arc::clone(&message), received_at: now }, policy, now);
    // a limit of none is a reason, too
    let why_no_answer = decision.events.iter().find_map(|event| match &event.what {
        What::MailRecorded { why_no_answer, .. } => why_no_answer.clone(),
        _ => None,
    });
    let letters: Vec<Value> = decision
        .letters
        .iter()
        .map(|letter| {
            json!({ "to": letter.to.address, "kind": letter.kind().word(), "encrypted": letter.protection == Protection::Encrypted })
        })
        .collect();
    let reading = read_report(&message, policy);
    let present: Map<String, Value> =
        reading.present.iter().map(|(item, words)| (Item::word(*item).to_owned(), json!(words))).collect();
    let hints: Map<String, Value> =
        reading.hints.iter().map(|(hint, words)| (Hint::word(*hint).to_owned(), json!(words))).collect();
    let versions: Vec<Value> = reading
        .versions
        .iter()
        .map(|version| json!({ "number": version.number, "supported": version.supported }))
        .collect();
    let attachments: Vec<Value> = message
        .attachments
        .iter()
        .map(|attachment| json!({ "name": attachment.name, "type": attachment.media_type, "size": attachment.bytes.len() }))
        .collect();
    json!({
        "file": path.display().to_string(),
        "kind": intake.kind.word(),
        "opens_case": intake.opens_case,
        "sort": intake.sort.map(Sort::word),
        "answer": why_no_answer.is_none(),
        "because": because(&message, &intake, why_no_answer.as_deref()),
        "why_no_answer": why_no_answer,
        "from": message.from.iter().map(|from| from.address.as_str()).collect::<Vec<_>>().join(", "),
        "subject": message.subject,
        "message_id": bracketed(message.message_id.as_deref()),
        "date": message.date,
        "encrypted": message.encryption,
        "decrypted": message.decrypted,
        "problem": message.problem,
        "signature": message.signature.word(),
        "verdict": message.signature.verdict(),
        "signer": message.signature.signer(),
        "standing": message.signature.standing().map(Standing::word),
        "certificate": message.reporter_cert.as_ref().map(|(_, certificate)| &certificate.fingerprint),
        "certificate_standing": message.reporter_cert.as_ref().map(|(standing, _)| standing.word()),
        "text": message.text,
        "attachments": attachments,
        "missing": reading.missing,
        "present": present,
        "hints": hints,
        "versions": versions,
        "trust": intake.trust,
        "doubt": intake.doubt.as_ref().map(ToString::to_string),
        "problems": message.problems,
        "letters": letters,
    })
}

/// Why there is an answer, or none: one line.
fn because(message: &Message, intake: &Intake, why_no_answer: Option<&str>) -> String {
    let to = message.author().map_or("nobody", |author| author.address.as_str());
    match why_no_answer {
        Some(why) if intake.opens_case => format!("a case, but no answer: {why}"),
        Some(why) => format!("neither case nor answer: {why}"),
        None if intake.kind == Kind::Membership => {
            format!("a case, and what is understood and missing, to {to}: a request to join the list")
        }
        None => format!("a case, and an acknowledgement to {to}: one author, and no sign of a machine"),
    }
}

/// The same for a person: why there is an answer or none, then everything else.
fn sheet(seen: &Value) -> String {
    let said = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![format!("{}: {}", said("file"), said("because"))];
    let apart = ["file", "because", "text"];
    for (name, value) in
        seen.as_object().into_iter().flatten().filter(|(name, _)| !apart.contains(&name.as_str()))
    {
        let text = told(value);
        if !text.is_empty() {
            lines.push(format!("{name:<20} {text}"));
        }
    }
    lines.push(format!("\n{}\n", said("text").trim_end()));
    lines.join("\n")
}

/// A value on one line; nothing for none.
fn told(value: &Value) -> String {
    let several = |texts: Vec<String>| texts.join("; ");
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => several(list.iter().map(told).collect()),
        Value::Object(fields) => {
            several(fields.iter().map(|(name, value)| format!("{name}: {}", told(value))).collect())
        }
        other => other.to_string(),
    }
}
