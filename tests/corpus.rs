//! Real mails written by others, and what is expected of each.
//!
//! The mails are not part of this project: they lie where `PSIRTD_TEST_MAIL` says, or beside the project in `shared/mail`.
//! Without them these tests say so and pass. `manifest.tsv` gives each mail's expectations as tokens; `known` lists the few
//! that do not hold, each with its reason, and an exception that is no longer needed fails as well.

// tests measure how long a mail takes
#![allow(clippy::disallowed_methods)]

mod known;
mod laws;
mod openpgp;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use psirtd::domain::intake::{Intake, judge};
use psirtd::domain::message::{Mailbox, Message};
use psirtd::domain::policy::Policy;
use psirtd::domain::report;
use psirtd::domain::signature::Signature;
use psirtd::keyring::Keyring;
use psirtd::open::open;
use zeroize::Zeroizing;

/// No mail may take longer, in an unoptimised build on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// A line of the manifest.
#[derive(Debug)]
struct Row {
    file: String,
    group: String,
    category: String,
    expectations: Vec<String>,
    hard: bool,
}

/// One expectation and whether it holds.
struct Check {
    name: &'static str,
    holds: bool,
    found: String,
}

#[test]
fn every_mail_is_what_it_is_said_to_be() {
    let Some(corpus) = corpus() else { return };
    let rows: Vec<Row> = rows(&corpus).into_iter().filter(|row| row.file.starts_with("mail/")).collect();
    let results = Mutex::new(Vec::new());
    in_threads(&rows, |row| {
        let checks = check(&corpus, row);
        results.lock().unwrap().push((row, checks));
    });
    let mut score: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> =
        known::EXCEPTIONS.iter().map(|exception| (exception.file, exception.check)).collect();
    for (row, checks) in results.into_inner().unwrap() {
        let mut broken = BTreeSet::new();
        for check in checks {
            let entry = score.entry((&row.category, check.name)).or_default();
            entry.0 += usize::from(check.holds);
            entry.1 += 1;
            if !check.holds {
                broken.insert(check.name);
                if !known::is_known(&row.file, check.name) {
                    failures.push(format!("{}: {}: {}", row.file, check.name, check.found));
                }
            }
        }
        unused.retain(|(file, check)| !(row.file.ends_with(file) && broken.contains(check)));
    }
    failures
        .extend(unused.iter().map(|(file, check)| format!("{file}: {check}: exception no longer needed")));
    print_score(&score);
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// What the acknowledgement would ask a person for; printed, not judged.
#[test]
fn what_ordinary_mails_are_said_to_lack() {
    let Some(corpus) = corpus() else { return };
    let mut lacks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut mails = 0;
    for row in rows(&corpus).iter().filter(|row| row.category == "ordinary") {
        let message = open(&std::fs::read(corpus.join(&row.file)).unwrap(), &Keyring::new(), now());
        mails += 1;
        for item in report::missing(&message) {
            *lacks.entry(item.word()).or_default() += 1;
        }
    }
    println!("of {mails} ordinary mails lack: {lacks:?}");
}

fn check(corpus: &Path, row: &Row) -> Vec<Check> {
    let raw = std::fs::read(corpus.join(&row.file)).unwrap();
    let keyring = keyring(corpus, &row.group);
    let start = Instant::now();
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let lf = without_cr(&raw);
        let crlf = with_cr(&lf);
        (seen(&raw, &keyring), seen(&lf, &keyring), seen(&crlf, &keyring))
    }));
    let took = start.elapsed();
    let Ok((as_is, lf, crlf)) = opened else {
        return vec![Check { name: "alive", holds: false, found: "panic".to_owned() }];
    };
    let mut checks = vec![
        Check { name: "alive", holds: took < LIMIT, found: format!("{took:?}") },
        Check {
            name: "line ends",
            holds: lf.facts() == crlf.facts(),
            found: format!("{:?}\n   and {:?}", lf.facts(), crlf.facts()),
        },
    ];
    checks.extend(row.expectations.iter().filter_map(|token| judged(token, row, &as_is)));
    checks
}

/// A mail as it was seen.
struct Seen {
    message: Message,
    intake: Intake,
}

impl Seen {
    /// What must not depend on the line ends.
    fn facts(&self) -> (&str, Option<&str>, &str, &Intake, bool, Vec<&str>) {
        let message = &self.message;
        let from = message.from.iter().map(|from| from.address.as_str()).collect();
        let signature = message.signature.word();
        (&message.text, message.subject.as_deref(), signature, &self.intake, message.decrypted, from)
    }

    fn contains(&self, words: &str) -> bool {
        let attached = self.message.attachments.iter().map(|file| String::from_utf8_lossy(&file.bytes));
        let all = std::iter::once(self.message.text.as_str().into()).chain(attached);
        let all = all.collect::<Vec<_>>().join("\n");
        let unlabelled = all.lines().filter(|line| !(line.starts_with('[') && line.ends_with(']')));
        squeezed(&unlabelled.collect::<Vec<_>>().join("\n")).contains(&squeezed(words))
    }
}

fn seen(raw: &[u8], keyring: &Keyring) -> Seen {
    let message = open(raw, keyring, now());
    let intake = judge(&message, &policy(), false);
    Seen { message, intake }
}

/// Holds a token of the manifest against what was seen; `None` for tokens that are not judged here.
fn judged(token: &str, row: &Row, seen: &Seen) -> Option<Check> {
    let message = &seen.message;
    let said = |token: &str| quoted(token).unwrap_or_default();
    let check = |name, holds, found: String| Some(Check { name, holds, found });
    let good = matches!(message.signature, Signature::Good(_));
    let signature = || format!("{token}: {:?} {:?}", message.signature, message.problems);
    let subject = || message.subject.clone().unwrap_or_default();
    match token.split_once(['=', '@', '~', ' ', ':']).map_or(token, |(name, _)| name) {
        "no-auto-reply" => {
            let name = if row.hard { "no answer (hard)" } else { "no answer" };
            let answered = seen.intake.why_no_answer.is_none();
            check(name, !answered, format!("{:?}", message.subject))
        }
        "ack" if token == "ack=ok" => {
            check("answer", seen.intake.why_no_answer.is_none(), format!("{:?}", seen.intake))
        }
        "class" => {
            let kinds: &[&str] = match token.strip_prefix("class=")? {
                "bounce" => &["bounce"],
                "auto-notification" => &["automatic", "list"],
                "report-other" => &["automatic", "bounce", "report"],
                _ => &["automatic"],
            };
            let name = if row.hard { "kind (hard)" } else { "kind" };
            check(name, kinds.contains(&seen.intake.kind.word()), format!("{token}: {:?}", seen.intake))
        }
        "decrypt" => {
            let words = said(token);
            // what begins with a header is the oracle's word for the entity, not for its text
            let is_header = ["Content-T", "From:"].iter().any(|field| words.starts_with(field));
            let found = format!("{words:?} is not in {:?} ({:?})", message.text, message.problem);
            check("decrypt", message.decrypted && (is_header || seen.contains(&words)), found)
        }
        "no-decrypt" => check(
            "no-decrypt",
            !message.decrypted && message.problem.is_some(),
            format!("{:?}", message.problem),
        ),
        "sig" if token.starts_with("sig=good") => {
            // by somebody else than From, or over a part: right, but not good
            let other = row.expectations.iter().any(|token| token.starts_with("sig-signer!=From"));
            let known = good || matches!(message.signature, Signature::Partial { .. });
            match (other, token.contains("(inner)")) {
                (true, _) => check("not good", !good, signature()),
                (false, true) => check("good inside", known, signature()),
                (false, false) => check("good", good, signature()),
            }
        }
        "sig-partial" | "sig!" => check("not good", !good, signature()),
        "sig" if token.starts_with("sig=none") || token.starts_with("sig=expired") => {
            check("not good", !good, signature())
        }
        "sig" if token.starts_with("sig=unknown") => {
            check("unknown key", message.signature.word() == "unknown-key", signature())
        }
        "subject-protected" => check("subject", same(&subject(), &said(token)), subject()),
        "subject" => check("subject", same(&subject(), &said(token)), subject()),
        "subj" => {
            let protected = message.subject_is_secret && said(token) == "...";
            check("subject", protected || same(&subject(), &said(token)), subject())
        }
        "from" => {
            let from: Vec<&str> = message.from.iter().map(|from| from.address.as_str()).collect();
            check("from", from.join(", ").eq_ignore_ascii_case(token.strip_prefix("from=")?), from.join(", "))
        }
        "text" => check("text", seen.contains(&said(token)), message.text.clone()),
        _ => None,
    }
}

/// The oracle drops quotation marks and ends after a hundred characters.
fn same(subject: &str, oracle: &str) -> bool {
    let subject = squeezed(&subject.replace('"', ""));
    let oracle = squeezed(oracle);
    subject == oracle || (oracle.chars().count() >= 90 && subject.starts_with(&oracle))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn quoted(token: &str) -> Option<String> {
    let (_, rest) = token.split_once('"')?;
    Some(rest.rsplit_once('"').map_or(rest, |(inside, _)| inside).to_owned())
}

/// Where the mails are, if they are there.
fn corpus() -> Option<PathBuf> {
    let place = std::env::var_os("PSIRTD_TEST_MAIL")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/mail"), PathBuf::from);
    if place.join("manifest.tsv").exists() {
        return Some(place);
    }
    println!("skipped: no mails in {} (set PSIRTD_TEST_MAIL)", place.display());
    None
}

fn rows(corpus: &Path) -> Vec<Row> {
    let manifest = std::fs::read_to_string(corpus.join("manifest.tsv")).unwrap();
    let row = |line: &str| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default().to_owned();
        let (file, source, _, category) = (next(), next(), next(), next());
        let (expectations, note) = (next(), next());
        let group = source.split('/').next().unwrap_or_default().to_owned();
        Row { file, group, category, expectations: tokens(&expectations), hard: note.contains("HARD") }
    };
    manifest.lines().skip(1).map(row).collect()
}

/// Separated by semicolons, but not by those in quotation marks.
fn tokens(expectations: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut inside = false;
    for c in expectations.chars() {
        inside ^= c == '"';
        match c {
            ';' if !inside => tokens.push(String::new()),
            _ => tokens.last_mut().unwrap().push(c),
        }
    }
    tokens.iter().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()).collect()
}

/// All keys of a source; some are protected with the passphrases that its own tests use.
fn keyring(corpus: &Path, group: &str) -> Keyring {
    let mut keyring = Keyring::new();
    let Ok(entries) = std::fs::read_dir(corpus.join("keys").join(group)) else { return keyring };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let phrases = ["", "test", "password", "q", "test_passphrase"];
        let secret = phrases.iter().any(|phrase| {
            let phrase = Zeroizing::new((*phrase).to_owned());
            keyring.add_secret_keys(&bytes, Some(&phrase).filter(|phrase| !phrase.is_empty())).is_ok()
        });
        if !secret {
            let _ = keyring.add_certificates(&bytes, None);
        }
    }
    keyring
}

fn without_cr(raw: &[u8]) -> Vec<u8> {
    let mut lf = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte != b'\r' || bytes.peek() != Some(&&b'\n') {
            lf.push(*byte);
        }
    }
    lf
}

fn with_cr(lf: &[u8]) -> Vec<u8> {
    lf.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect()
}

fn in_threads<'a, T: Sync>(items: &'a [T], work: impl Fn(&'a T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

fn print_score(score: &BTreeMap<(&str, &str), (usize, usize)>) {
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    for ((category, check), (held, of)) in score {
        lines.entry(category).or_default().push_str(&format!("  {check} {held}/{of}"));
    }
    for (category, line) in lines {
        println!("{category:<24}{line}");
    }
}

/// The tests do not age with the keys.
fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy::new(Mailbox::bare("security@desk.invalid"))
}
