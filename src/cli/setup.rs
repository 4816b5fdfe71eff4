//! `psirtd init` and `psirtd check`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cli::members::concerns;
use crate::cli::{Failure, Global, print, runtime, show};
use crate::config::{Config, ConfigError};
use crate::control::{self, Question};
use crate::custody::DeskKeys;
use crate::domain::intake::is_address;
use crate::domain::mark;
use crate::domain::message::Mailbox;
use crate::store::holds_nothing_sealed;
use crate::store::vault::{Vault, VaultError, try_out};
use crate::{inbox, keyring, outbox};

const EXAMPLE: &str = include_str!("../../config/psirtd.toml");

/// Makes a new desk. Nothing is overwritten.
pub(super) fn init(dir: &Path, desk: &Mailbox, now: Timestamp) -> Result<(), Failure> {
    let name = desk.name.as_deref().unwrap_or_default();
    // both go into a TOML text and a user id as they are
    if !is_address(&desk.address) || name.chars().any(|c| c.is_control() || "\"\\<>".contains(c)) {
        return Err(ConfigError(vec![format!("“{desk}” is no name and address for a desk")]).into());
    }
    let failed = |path: &Path, error: io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    for folder in [dir.to_owned(), dir.join("people"), dir.join("state")] {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| failed(&folder, error))?;
    }
    let (config, key) = (dir.join("psirtd.toml"), dir.join("desk.key.asc"));
    for path in [&config, &key] {
        if path.exists() {
            return Err(Failure::Failed(format!(
                "{} exists already; nothing is overwritten",
                path.display()
            )));
        }
    }
    let secret = keyring::generate(desk, now, true).map_err(Failure::because)?;
    private_file(&key, secret.as_bytes()).map_err(|error| failed(&key, error))?;
    let quoted = |text: &str| format!("\"{text}\"");
    let text = EXAMPLE
        .replace("\"Example Project Security\"", &quoted(name))
        .replacen(
            "address     = \"security@example.org\"",
            &format!("address     = {}", quoted(&desk.address)),
            1,
        )
        .replace("state       = \"/var/lib/psirtd\"", "state       = \"state\"")
        .replace("{ credential = \"imap\" }", "{ file = \"imap.password\" }")
        .replace("{ credential = \"smtp\" }", "{ file = \"smtp.password\" }");
    private_file(&config, text.as_bytes()).map_err(|error| failed(&config, error))?;
    print(&format!(
        "A new desk in {}:\n  psirtd.toml     edit servers, time zone, people\n  desk.key.asc    the desk's secret key, for \
         {desk}: keep a copy in a safe place\n  people/         your team's certificates go here\n  state/          \
         everything psirtd will know\nPut the passwords into imap.password and smtp.password (mode 0600), then: psirtd \
         --config {} check --online",
        dir.display(),
        config.display()
    ))
}

fn private_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// One thing that was checked.
struct Checked {
    what: String,
    outcome: Result<String, String>,
}

/// Checks a desk. Warnings do not fail.
pub(super) fn check(global: &Global, online: bool, now: Timestamp) -> Result<(), Failure> {
    let mut config = Config::load(&global.config, now)?;
    let list = members(&config, now);
    let mut checked = vec![
        Checked { what: "configuration".to_owned(), outcome: Ok(global.config.display().to_string()) },
        desk_key(&config, now),
        calendar(&config, now),
        Checked { what: "state".to_owned(), outcome: writable(&config.state) },
        data_key(&config, now),
    ];
    if let Some((detail, concerns)) = list {
        checked.push(Checked { what: "distributors".to_owned(), outcome: Ok(detail) });
        config.warnings.extend(concerns);
    }
    let mut doors = None;
    if online {
        checked.extend(runtime()?.block_on(log_in(&config)));
        let (daemon, told) = running(&config.state);
        checked.extend(daemon);
        doors = told;
    }
    let failed: Vec<&str> =
        checked.iter().filter(|one| one.outcome.is_err()).map(|one| one.what.as_str()).collect();
    if global.json {
        let checks: Vec<Value> = checked
            .iter()
            .map(|one| json!({ "what": one.what, "ok": one.outcome.is_ok(), "detail": one.outcome.as_ref().unwrap_or_else(|error| error) }))
            .collect();
        print(
            &json!({ "ok": failed.is_empty(), "checks": checks, "warnings": config.warnings, "doors": doors })
                .to_string(),
        )?;
    } else {
        let width = checked.iter().map(|one| one.what.chars().count()).max().unwrap_or_default();
        for one in &checked {
            print(&match &one.outcome {
                Ok(detail) => format!("ok    {:<width$}  {detail}", one.what),
                Err(error) => format!("FAIL  {:<width$}  {error}", one.what),
            })?;
        }
        for warning in &config.warnings {
            print(&format!("warn  {warning}"))?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Failed(format!("failed: {}", failed.join(", ")))) }
}

fn desk_key(config: &Config, now: Timestamp) -> Checked {
    let fingerprint = config.keyring.desk().map(|desk| desk.fingerprint().to_hex()).unwrap_or_default();
    let expires = config
        .keyring
        .desk_expires(now)
        .map_or_else(|| "never".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
    Checked { what: "desk key".to_owned(), outcome: Ok(format!("{fingerprint}, expires {expires}")) }
}

/// The distributors' list in a line, and what the running daemon says of its members. A desk without a list has no such line.
fn members(config: &Config, now: Timestamp) -> Option<(String, Vec<String>)> {
    const SOON: SignedDuration = SignedDuration::from_hours(60 * 24);
    let list = &config.policy.distributors;
    let eyes = if config.policy.four_eyes() { "two coordinators sign" } else { "any coordinator approves" };
    let detail = format!("embargo policy {}, {eyes} what a notice says", list.policy);
    let answer = control::ask(&config.state, &Question::Members { id: None });
    let nobody = !matches!(&answer, Some(Ok(members)) if show::items(members).next().is_some());
    if list.address.is_none() && nobody {
        return None;
    }
    let members = match answer {
        Some(Ok(members)) => members,
        Some(Err(why)) => {
            return Some((format!("{detail}; the daemon does not tell its members: {why}"), Vec::new()));
        }
        None => {
            return Some((
                format!("{detail}; its members' keys are looked at while psirtd runs"),
                Vec::new(),
            ));
        }
    };
    let marks = if list.marks.is_empty() { 0 } else { mark::different(&list.marks) };
    let soon = now.saturating_add(SOON).unwrap_or(now).to_string();
    let count = |state| show::items(&members).filter(|member| show::text(member, "state") == state).count();
    let counted =
        format!("{} active, {} suspended, {} applied", count("active"), count("suspended"), count("applied"));
    Some((format!("{detail}; {counted}"), concerns(&members, &soon, marks)))
}

/// What seals the store: better known before the daemon is stopped.
fn data_key(config: &Config, now: Timestamp) -> Checked {
    let keys = DeskKeys { keyring: &config.keyring, now };
    let outcome = match Vault::look(&config.state, &keys) {
        Ok(_) => Ok("the desk's keys open it".to_owned()),
        Err(VaultError::Missing(_)) if holds_nothing_sealed(&config.state) => {
            Ok("there is none yet: it is made when psirtd starts".to_owned())
        }
        Err(error) => Err(error.to_string()),
    };
    let outcome = try_out(&keys)
        .map_err(|why| format!("the desk's key cannot keep the store's data key: {why}"))
        .and(outcome);
    Checked { what: "data key".to_owned(), outcome }
}

/// What a report that comes in now would be promised: the quickest way to see a wrong time zone or holiday.
fn calendar(config: &Config, now: Timestamp) -> Checked {
    let calendar = &config.policy.calendar;
    let due = calendar.date(calendar.due(now, config.policy.terms.first_response));
    let zone = calendar.zone.iana_name().unwrap_or("UTC");
    let ahead = calendar.holidays.iter().filter(|day| **day > calendar.date(now)).count();
    let holidays = match calendar.holidays.last() {
        Some(last) if ahead > 0 => {
            format!("{ahead} holiday{} ahead, the last on {last}", if ahead == 1 { "" } else { "s" })
        }
        _ => "no holiday ahead".to_owned(),
    };
    let detail = format!("a report now is answered by {} ({zone}, {holidays})", due.strftime("%a %Y-%m-%d"));
    Checked { what: "calendar".to_owned(), outcome: Ok(detail) }
}

fn writable(state: &Path) -> Result<String, String> {
    // the last ancestor of a relative path is the empty one: the folder psirtd runs in
    let here = |path| if path == Path::new("") { Path::new(".") } else { path };
    let existing = state.ancestors().map(here).find(|path| path.exists()).unwrap_or(state);
    match tempfile::Builder::new().prefix(".psirtd-check").tempfile_in(existing) {
        Ok(_) => Ok(state.display().to_string()),
        Err(error) => Err(format!("{} cannot be written to: {error}", existing.display())),
    }
}

/// What the running daemon says of its doors, and as it says it.
fn running(state: &Path) -> (Vec<Checked>, Option<Value>) {
    let daemon = |outcome| vec![Checked { what: "daemon".to_owned(), outcome }];
    let doors = match control::ask(state, &Question::Health) {
        None => return (daemon(Ok("none runs on this state".to_owned())), None),
        Some(Err(error)) => return (daemon(Err(error)), None),
        Some(Ok(doors)) => doors,
    };
    let door = |door: &Value| {
        let how = show::text(door, "state").to_owned();
        let silent = door.get("silent") == Some(&Value::Bool(true));
        let what = format!("daemon: {}", show::text(door, "door"));
        Checked { what, outcome: if silent { Err(how) } else { Ok(how) } }
    };
    (doors.as_array().into_iter().flatten().map(door).collect(), Some(doors))
}

async fn log_in(config: &Config) -> Vec<Checked> {
    let imap = match &config.inbox.door {
        inbox::Door::Imap(settings) => match inbox::imap::try_login(settings).await {
            Ok(missing) if missing.is_empty() => {
                Ok(format!("{settings:?}: logged in, every folder is there"))
            }
            Ok(missing) => {
                Err(format!("{settings:?}: logged in, but there is no folder {}", missing.join(", ")))
            }
            Err(trouble) => Err(trouble.to_string()),
        },
        inbox::Door::Maildir(maildir) => writable(&maildir.path),
    };
    let smtp = match &config.outbox {
        outbox::Settings::Smtp(settings) => {
            outbox::smtp::try_login(settings).await.map(|()| format!("{settings:?}: logged in"))
        }
        outbox::Settings::Maildir(maildir) => writable(&maildir.path),
    };
    vec![
        Checked { what: "inbox".to_owned(), outcome: imap },
        Checked { what: "outbox".to_owned(), outcome: smtp },
    ]
}
