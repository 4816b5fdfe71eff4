//! Real mails written by others, and what is expected of each.
//!
//! The mails are not part of this project: they lie where `PSIRTD_MAIL_CORPUS` says, or beside the project in `shared/mail`.
//! Without them these tests say so and pass. `manifest.tsv` gives each row's expectations as tokens; `known` lists the few
//! that do not hold, each with its reason, and an exception that is no longer needed fails as well.
//!
//! | module | shows |
//! |---|---|
//! | `tokens` | what a mail is said to be |
//! | `openpgp` | the same for OpenPGP blobs, put into mails; and that bombs cost little |
//! | `house` | all of them through the daemon: stored, one case a thread, nothing decrypted in the clear |
//! | `known` | what does not hold |
//! | `laws` | what holds for every mail, shown on mails written for it |
//! | `forms` | the forms in which programs and servers bring OpenPGP, shown on mails written for it |

// tests measure how long a mail takes
#![allow(clippy::disallowed_methods)]

mod forms;
mod headers;
mod house;
mod known;
mod laws;
mod openpgp;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use psirtd::domain::intake::{Intake, judge};
use psirtd::domain::message::{Mailbox, Message};
use psirtd::domain::policy::Policy;
use psirtd::domain::report;
use psirtd::keyring::{self, Keyring};
use psirtd::open::{open, open_header};
use sequoia_openpgp::serialize::SerializeInto;
use zeroize::Zeroizing;

/// No mail may take longer, in an unoptimised build on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// The checks that hold for every row, unless the manifest is wrong about it.
const REQUIRED: [&str; 7] = [
    ALIVE,
    STORED,
    tokens::DECRYPT,
    tokens::FLAGGED,
    tokens::NOT_GOOD,
    tokens::NO_ANSWER,
    tokens::NO_ANSWER_HARD,
];
const ALIVE: &str = "alive";
const STORED: &str = "stored";

/// A line of the manifest.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) file: String,
    /// Whose tests it comes from.
    pub(crate) group: String,
    pub(crate) category: String,
    expectations: Vec<String>,
    /// Nothing in the mail's header tells that a machine wrote it.
    hard: bool,
}

impl Row {
    /// An OpenPGP blob, not a mail.
    fn is_blob(&self) -> bool {
        self.file.starts_with("raw/")
    }

    /// One of its expectations has these words.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.expectations.iter().any(|token| token.contains(words))
    }

    fn read(&self, corpus: &Path) -> Vec<u8> {
        std::fs::read(corpus.join(&self.file)).unwrap()
    }

    /// The row as a mail.
    fn mail(&self, corpus: &Path) -> Vec<u8> {
        let bytes = self.read(corpus);
        if self.is_blob() { openpgp::as_ciphertext(&bytes) } else { bytes }
    }
}

/// One expectation and whether it holds.
struct Check {
    name: &'static str,
    holds: bool,
    found: String,
}

/// All that was found out about a row.
#[derive(Default)]
struct Verdict {
    checks: Vec<Check>,
    /// Expectations that nobody looks at.
    unjudged: Vec<String>,
}

#[test]
fn every_mail_is_what_it_is_said_to_be() {
    let Some(corpus) = corpus() else { return };
    let rows = rows(&corpus);
    let verdicts = verdicts(&corpus, &rows);
    print_table(&rows, &verdicts);
    let failures = failures(&rows, &verdicts);
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// What is wrong is found: a corpus of our own, with a manifest that is wrong about the second half of it.
#[test]
fn an_expectation_that_does_not_hold_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mail = |id: &str, more: &str| {
        let mail =
            format!("From: rita@example.net\nMessage-ID: <{id}@example.net>\nSubject: {id}\n{more}\nwords\n");
        std::fs::write(dir.path().join(id), mail).unwrap();
    };
    ["first", "other", "wrong"].iter().for_each(|id| mail(id, "Date: Mon, 1 Jun 2026 08:00:00 +0000\n"));
    mail("reply", "Date: Mon, 1 Jun 2026 09:00:00 +0000\nIn-Reply-To: <first@example.net>\n");
    let manifest = "file\tsource\tlicence\tcategory\texpectation\tnote\n\
        reply\tgroup/x\t\tright\tstore; thread=one; from=rita@example.net\t\n\
        first\tgroup/x\t\tright\tstore; thread=one; ack=ok; subj=\"first\"; text \"words\"; sig=none; no-plaintext-leak \"words\"\t\n\
        other\tgroup/x\t\tright\tthread=two; decrypt@1 plain~\"words\"; decrypt-optional; sig=expired-key; crypto-valid-by:00; ack=any\t\n\
        wrong\tgroup/x\t\twrong\tthread=two; no-auto-reply; class=bounce; decrypt@1 plain~\"words\"; no-decrypt@1; sig=good:00; \
        sig=unknown-key; subject-protected=\"a; b\"; from=x@example.net; text \"more\"; no-plaintext-leak \"Auto-Submitted\"; what?\t\n";
    std::fs::write(dir.path().join("manifest.tsv"), manifest).unwrap();
    let rows = rows(dir.path());
    let verdicts = verdicts(dir.path(), &rows);
    let broken = |at: usize| -> BTreeSet<&str> {
        verdicts[at].checks.iter().filter(|check| !check.holds).map(|check| check.name).collect()
    };
    assert_eq!((broken(0), broken(1)), (BTreeSet::new(), BTreeSet::new()));
    // a thread is broken for all its mails; what is optional was neither opened nor flagged
    assert_eq!(broken(2), BTreeSet::from(["thread", "decrypt or flag"]));
    let all = [
        "thread",
        "no answer",
        "kind",
        "decrypt",
        "flagged",
        "good",
        "unknown key",
        "subject",
        "from",
        "text",
        "no leak",
    ];
    assert_eq!(broken(3), BTreeSet::from(all));
    assert_eq!(verdicts[3].unjudged, ["what?"]);
}

fn verdicts(corpus: &Path, rows: &[Row]) -> Vec<Verdict> {
    let verdicts: Vec<Mutex<Verdict>> = rows.iter().map(|_| Mutex::default()).collect();
    in_threads(rows, |at, row| {
        let verdict = if row.is_blob() { openpgp::check(corpus, row) } else { check(corpus, row) };
        *verdicts[at].lock().unwrap() = verdict;
    });
    let mut verdicts: Vec<Verdict> =
        verdicts.into_iter().map(|verdict| verdict.into_inner().unwrap()).collect();
    house::walk(corpus, rows, &mut verdicts);
    verdicts
}

/// What does not hold without a known reason, and the reasons that nothing needs.
fn failures(rows: &[Row], verdicts: &[Verdict]) -> Vec<String> {
    let mut failures = Vec::new();
    let mut unused: BTreeSet<(&str, &str)> =
        known::EXCEPTIONS.iter().map(|exception| (exception.file, exception.check)).collect();
    for (row, verdict) in rows.iter().zip(verdicts) {
        for check in verdict.checks.iter().filter(|check| !check.holds) {
            match known::exception(&row.file, check.name) {
                Some(exception) => {
                    unused.remove(&(exception.file, exception.check));
                    if REQUIRED.contains(&check.name) && !exception.manifest_is_wrong {
                        failures.push(format!("{}: {}: no exception is allowed here", row.file, check.name));
                    }
                }
                None => failures.push(format!("{}: {}: {}", row.file, check.name, check.found)),
            }
        }
    }
    let unused = unused.iter().map(|(file, check)| format!("{file}: {check}: exception no longer needed"));
    failures.extend(unused);
    failures
}

/// A line a category, then every row that is not as expected, what is required, and what was not looked at.
fn print_table(rows: &[Row], verdicts: &[Verdict]) {
    let mut categories: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut checks: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut unjudged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut named = Vec::new();
    for (row, verdict) in rows.iter().zip(verdicts) {
        let held = verdict.checks.iter().all(|check| check.holds);
        let entry = categories.entry(&row.category).or_default();
        *entry = (entry.0 + 1, entry.1 + usize::from(held));
        for check in &verdict.checks {
            let entry = checks.entry(check.name).or_default();
            *entry = (entry.0 + 1, entry.1 + usize::from(check.holds));
        }
        for check in verdict.checks.iter().filter(|check| !check.holds) {
            let reason =
                known::exception(&row.file, check.name).map_or("NO REASON KNOWN", |known| known.reason);
            named.push(format!("{}: {}: {reason}", row.file, check.name));
        }
        for token in &verdict.unjudged {
            unjudged.entry(token).or_default().push(&row.file);
        }
    }
    let line = |name: &str, (all, held): (usize, usize)| {
        println!("{name:<24} {all:>5} {held:>12} {:>5}", all - held);
    };
    println!("{:<24} {:>5} {:>12} {:>5}", "category", "rows", "as expected", "not");
    categories.iter().for_each(|(category, count)| line(category, *count));
    line("all", categories.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1)));
    println!("\n{:<24} {:>5} {:>12} {:>5}", "expectation", "rows", "as expected", "not");
    for (name, count) in &checks {
        let required = if REQUIRED.contains(name) { " *" } else { "" };
        line(&format!("{name}{required}"), *count);
    }
    println!("* required\n\n{} expectations do not hold:", named.len());
    named.iter().for_each(|line| println!("  {line}"));
    println!("\n{} expectations are not judged:", unjudged.values().map(Vec::len).sum::<usize>());
    unjudged.iter().for_each(|(token, files)| println!("  {token}: {}", files.join(", ")));
}

/// What each mail is said to be, against what psirtd takes it for; and how many of them are answered. Printed; the expectations
/// themselves are judged above.
#[test]
fn which_kinds_are_taken_for_which() {
    let Some(corpus) = corpus() else { return };
    let mut table: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for row in rows(&corpus).iter().filter(|row| !row.is_blob()) {
        let said = row.expectations.iter().find_map(|token| token.strip_prefix("class="));
        let said = said.map_or_else(
            || {
                if row.says("no-auto-reply") {
                    format!("({})", row.category)
                } else {
                    "a person's".to_owned()
                }
            },
            str::to_owned,
        );
        let hard = if row.hard { ", hard" } else { "" };
        let seen = seen(&row.read(&corpus), &keyring(&corpus, &row.group));
        let sort = seen.intake.sort.map_or_else(String::new, |sort| format!(" {}", sort.word()));
        let kind = format!("{}{sort}", seen.intake.kind.word());
        let entry = table.entry((format!("{said}{hard}"), kind)).or_default();
        entry.0 += 1;
        entry.1 += usize::from(seen.intake.why_no_answer.is_none());
    }
    println!("{:<32} {:<24} {:>5} {:>9}", "said to be", "taken for", "mails", "answered");
    for ((said, kind), (mails, answered)) in &table {
        println!("{said:<32} {kind:<24} {mails:>5} {answered:>9}");
    }
    let answered = |(_, answered): &&(usize, usize)| *answered > 0;
    let of_machines = table.iter().filter(|((said, _), _)| said != "a person's" && !said.ends_with("hard"));
    assert_eq!(of_machines.map(|(_, counts)| counts).filter(answered).count(), 0);
}

/// What the acknowledgement would ask a person for; printed, not judged.
#[test]
fn what_ordinary_mails_are_said_to_lack() {
    let Some(corpus) = corpus() else { return };
    let mut lacks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut mails = 0;
    for row in rows(&corpus).iter().filter(|row| row.category == "ordinary") {
        let message = open(&row.read(&corpus), &Keyring::new(), now());
        mails += 1;
        for item in report::read(&message, &policy()).missing {
            *lacks.entry(item.word()).or_default() += 1;
        }
    }
    println!("of {mails} ordinary mails lack: {lacks:?}");
}

fn check(corpus: &Path, row: &Row) -> Verdict {
    let raw = row.read(corpus);
    let keyring = keyring(corpus, &row.group);
    let start = Instant::now();
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let lf = without_cr(&raw);
        let crlf = with_cr(&lf);
        (seen(&raw, &keyring), seen(&lf, &keyring), seen(&crlf, &keyring))
    }));
    let took = start.elapsed();
    let Ok((as_is, lf, crlf)) = opened else { return crashed() };
    let mut verdict = tokens::judge(row, &as_is);
    verdict.checks.push(Check { name: ALIVE, holds: took < LIMIT, found: format!("{took:?}") });
    verdict.checks.push(Check {
        name: "line ends",
        holds: lf.facts() == crlf.facts(),
        found: format!("{:?}\n   and {:?}", lf.facts(), crlf.facts()),
    });
    verdict
}

fn crashed() -> Verdict {
    let checks = vec![Check { name: ALIVE, holds: false, found: "panic".to_owned() }];
    Verdict { checks, unjudged: Vec::new() }
}

/// A mail as it was seen.
struct Seen {
    message: Message,
    /// What its header alone says.
    header: Message,
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
    let header = open_header(raw, message.size, None, keyring, now());
    Seen { message, header, intake }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the mails are, if they are there.
pub(crate) fn corpus() -> Option<PathBuf> {
    let place = std::env::var_os("PSIRTD_MAIL_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/mail"), PathBuf::from);
    if place.join("manifest.tsv").exists() {
        return Some(place);
    }
    println!("skipped: no mails in {} (set PSIRTD_MAIL_CORPUS)", place.display());
    None
}

/// All rows of the manifest.
pub(crate) fn rows(corpus: &Path) -> Vec<Row> {
    let manifest = std::fs::read_to_string(corpus.join("manifest.tsv")).unwrap();
    let row = |line: &str| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default().to_owned();
        let (file, source, _, category) = (next(), next(), next(), next());
        let (expectations, note) = (next(), next());
        // blobs bear their group in their name
        let name = file.strip_prefix("raw/").and_then(|name| name.split_once("--")).map(|(group, _)| group);
        let group = name.or(source.split('/').next()).unwrap_or_default().to_owned();
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

/// All keys of a source, read once: unlocking some takes long.
fn keyring(corpus: &Path, group: &str) -> Arc<Keyring> {
    static READ: Mutex<BTreeMap<String, Arc<Keyring>>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap();
    let keyring = read.entry(group.to_owned()).or_insert_with(|| {
        let mut keyring = Keyring::new();
        add_keys(&mut keyring, corpus, group, Some(openpgp::AUTHOR));
        Arc::new(keyring)
    });
    Arc::clone(keyring)
}

/// Adds all keys of a source, and holds its certificates for an address if one is given. Some are protected with the
/// passphrases that its own tests use.
fn add_keys(keyring: &mut Keyring, corpus: &Path, group: &str, held_for: Option<&str>) {
    let Ok(entries) = std::fs::read_dir(corpus.join("keys").join(group)) else { return };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        add_key(keyring, &std::fs::read(&file).unwrap(), held_for);
    }
}

/// Adds what a file holds, one certificate after the other: one that psirtd refuses must not cost the others.
fn add_key(keyring: &mut Keyring, bytes: &[u8], held_for: Option<&str>) {
    for cert in keyring::certificates(bytes).unwrap_or_default() {
        let phrases = ["", "test", "password", "q", "test_passphrase"];
        if cert.is_tsk() {
            let secret = cert.as_tsk().to_vec().unwrap();
            let _known = phrases.iter().any(|phrase| {
                let phrase = Zeroizing::new((*phrase).to_owned());
                keyring.add_secret_keys(&secret, Some(&phrase).filter(|phrase| !phrase.is_empty())).is_ok()
            });
        }
        if !cert.is_tsk() || held_for.is_some() {
            keyring.add_certificates(&cert.to_vec().unwrap(), held_for).unwrap();
        }
    }
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

fn in_threads<'a, T: Sync>(items: &'a [T], work: impl Fn(usize, &'a T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    work(at, item);
                }
            });
        }
    });
}

/// The tests do not age with the keys.
fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy::new(Mailbox::bare("security@desk.invalid"))
}
