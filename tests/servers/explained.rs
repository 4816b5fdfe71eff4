//! What `explain` says of a mail is what the daemon records of it: fifty mails of the corpus through a real mailbox.
//!
//! Each source of encrypted mails has a desk whose key is one of its own; the desk of the first one takes a spread over all
//! categories as well. Skipped when there is no corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use psirtd::clock::Clock;
use psirtd::domain::message::{Digest, Message};
use psirtd::keyring::{self, Keyring};
use psirtd::open::{open, twin};
use serde_json::{Value, json};

use super::desk::{ADA, DESK, Desk, Plan, SOON, count};
use crate::corpus::{Row, corpus, rows};
use crate::support::dovecot::Dovecot;
use crate::support::wait_until;

const MAILS: usize = 50;
/// OpenPGP mails of each source.
const OPENPGP: usize = 10;

/// A source's secret key and what comes to the desk that has it.
struct Source {
    keys: PathBuf,
    key: PathBuf,
    mails: Vec<PathBuf>,
}

#[test]
fn the_daemon_records_what_explain_says() {
    let Some(corpus) = corpus() else { return };
    let sources = sources(&corpus, &rows(&corpus));
    assert_eq!(sources.iter().map(|source| source.mails.len()).sum::<usize>(), MAILS);
    let mut differences = Vec::new();
    let mut facts = BTreeMap::<String, usize>::new();
    for source in &sources {
        for (mail, explained, recorded) in both(source) {
            if explained != recorded {
                differences
                    .push(format!("{}\n  explained {explained}\n  recorded  {recorded}", mail.display()));
            }
            let fact = format!(
                "{} encrypted={} signature={}",
                recorded["kind"], recorded["encrypted"], recorded["signature"]
            );
            *facts.entry(fact).or_default() += 1;
        }
    }
    for (fact, mails) in facts {
        println!("{mails:>3} {fact}");
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

/// What `explain` says of each mail, and what the daemon makes of it when it comes by IMAP.
fn both(source: &Source) -> Vec<(&Path, Value, Value)> {
    let imap = Dovecot::start();
    let desk = desk(&imap, source);
    for mail in &source.mails {
        imap.deliver(DESK, "INBOX", &fs::read(mail).unwrap());
    }
    desk.start();
    wait_until("all is put away", SOON, || count(&imap, DESK, "Processed") == source.mails.len());
    let recorded = recorded(&desk);
    desk.stop();

    let mut arguments = vec!["explain", "--json"];
    arguments.extend(source.mails.iter().map(|mail| mail.to_str().unwrap()));
    let (code, said, complaint) = desk.says(&arguments);
    assert_eq!(code, 0, "{complaint}");
    let explained = said.lines().map(|line| explained(&serde_json::from_str(line).unwrap()));
    let mails = source.mails.iter().map(PathBuf::as_path);
    mails
        .zip(explained)
        .zip(recorded)
        .map(|((mail, explained), recorded)| (mail, explained, recorded))
        .collect()
}

/// The facts of a line of `explain --json`.
fn explained(seen: &Value) -> Value {
    let letters = seen["letters"].as_array().unwrap().iter();
    let letters = letters.map(|letter| json!([letter["kind"], letter["to"]]));
    json!({
        "kind": seen["kind"],
        "encrypted": seen["encrypted"],
        "signature": seen["signature"],
        "problem": seen["problem"],
        "why_no_answer": seen["why_no_answer"],
        "opens_case": seen["opens_case"],
        "letters": letters.collect::<Vec<_>>(),
    })
}

/// The facts of each mail in the journal, in the order in which they lay in the mailbox; and its case agrees.
fn recorded(desk: &Desk) -> Vec<Value> {
    let (code, journal, complaint) = desk.says(&["journal", "export"]);
    assert_eq!(code, 0, "{complaint}");
    let mut by_uid = BTreeMap::new();
    for line in journal.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let events = record["events"].as_array().unwrap();
        let Some(mail) = events.iter().find(|event| event["event"] == "mail-recorded") else { continue };
        let position = record["receipt"]["position"].as_str().unwrap();
        let uid: u32 = position.rsplit('=').next().unwrap().parse().unwrap();
        let letters = events.iter().filter(|event| event["letter"].is_string() && event["withheld"] != true);
        let letters = letters.map(|letter| json!([letter["kind"], letter["to"]["address"]]));
        let facts = json!({
            "kind": mail["kind"],
            "encrypted": mail["encryption"],
            "signature": mail["signature"],
            "problem": mail["problem"],
            "why_no_answer": mail["why_no_answer"],
            "opens_case": mail["case"].is_string(),
            "letters": letters.collect::<Vec<_>>(),
        });
        if let Some(id) = mail["case"].as_str() {
            agrees(&desk.case(id), &facts);
        }
        by_uid.insert(uid, facts);
    }
    by_uid.into_values().collect()
}

/// `psirtd case ID --json` tells the same.
fn agrees(case: &Value, facts: &Value) {
    let mail = &case["mail_list"][0];
    assert_eq!((&mail["kind"], &mail["problem"]), (&facts["kind"], &facts["problem"]), "{case}");
    // those that a rule keeps back are not sent
    let letters = case["letters"].as_array().unwrap().iter().filter(|letter| letter["state"] != "held");
    let letters: Vec<&Value> = letters.collect();
    assert_eq!(letters.len(), facts["letters"].as_array().unwrap().len(), "{case}");
    let acknowledged = letters.iter().any(|letter| letter["kind"] == "acknowledgement");
    assert_eq!(acknowledged, facts["why_no_answer"].is_null(), "{case}");
}

/// A desk with the source's key and certificates, which tells Ada of everything and keeps its letters in a Maildir.
fn desk(imap: &Dovecot, source: &Source) -> Desk {
    let desk = Desk::new(&Plan::scripted(imap.imap_port, 0));
    desk.write("desk.key.asc", &fs::read(&source.key).unwrap());
    fs::create_dir(desk.dir().join("certs")).unwrap();
    for entry in fs::read_dir(&source.keys).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("pub-") {
            desk.write(&format!("certs/{name}"), &fs::read(source.keys.join(&name)).unwrap());
        }
    }
    let toml = format!(
        "[desk]\nname = \"Desk\"\naddress = \"{DESK}\"\ncase_prefix = \"EX\"\nkey = \"desk.key.asc\"\ncerts = \"certs\"\n\
         state = \"state\"\n[inbox.imap]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"{DESK}\"\n\
         password = {{ file = \"imap.password\" }}\nfolders = [\"INBOX\"]\nprocessed = \"Processed\"\n\
         [outbox.maildir]\npath = \"outbox\"\n\
         [[person]]\nname = \"Ada\"\naddress = \"{ADA}\"\nroles = [\"coordinator\"]\ncert = \"ada.asc\"\n",
        imap.imap_port
    );
    desk.write("psirtd.toml", toml.as_bytes());
    desk
}

/// Fifty mails, none of which is another's copy or answer.
fn sources(corpus: &Path, rows: &[Row]) -> Vec<Source> {
    let mut spread = Spread::default();
    let mut sources = Vec::new();
    let groups: BTreeSet<&str> = rows.iter().map(|row| row.group.as_str()).collect();
    for group in groups {
        let keys = corpus.join("keys").join(group);
        let Some(key) = desk_key(&keys) else { continue };
        let openpgp = rows
            .iter()
            .filter(|row| row.group == group && ["decrypt", "sig"].iter().any(|token| row.says(token)));
        let mails: Vec<PathBuf> = openpgp.filter_map(|row| spread.take(corpus, row)).take(OPENPGP).collect();
        if !mails.is_empty() {
            sources.push(Source { keys, key, mails });
        }
    }
    let mut by_category: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.file.starts_with("mail/")).rev() {
        by_category.entry(&row.category).or_default().push(row);
    }
    // one of each category, then another one of each
    let mut left = MAILS.saturating_sub(sources.iter().map(|source| source.mails.len()).sum());
    while left > 0 && !by_category.is_empty() {
        by_category.retain(|_, rows| {
            let Some(row) = rows.pop() else { return false };
            if let Some(mail) = spread.take(corpus, row).filter(|_| left > 0) {
                sources[0].mails.push(mail);
                left -= 1;
            }
            true
        });
    }
    sources
}

/// What was taken already.
#[derive(Default)]
struct Spread {
    twins: BTreeSet<Digest>,
    ids: BTreeSet<String>,
}

impl Spread {
    fn take(&mut self, corpus: &Path, row: &Row) -> Option<PathBuf> {
        let path = corpus.join(&row.file);
        let raw = fs::read(&path).unwrap();
        let message = open(&raw, &Keyring::new(), Clock::System.now());
        let ids: Vec<String> = ids(&message).cloned().collect();
        if ids.iter().any(|id| self.ids.contains(id)) || !self.twins.insert(twin(&raw, &message)) {
            return None;
        }
        self.ids.extend(ids);
        Some(path)
    }
}

/// What may lead from one mail to another.
fn ids(message: &Message) -> impl Iterator<Item = &String> {
    message.message_id.iter().chain(&message.parents)
}

/// A secret key of a folder that a desk may have today.
fn desk_key(keys: &Path) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(keys).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let now = Clock::System.now();
    files.into_iter().find(|file| {
        let mut keyring = Keyring::new();
        let policy = keyring::policy(now);
        keyring.add_secret_keys(&fs::read(file).unwrap(), None).is_ok()
            && keyring.signer(now).is_ok()
            && keyring.desk().is_some_and(|desk| keyring::encryption_keys(desk, &policy, now).is_ok())
    })
}
