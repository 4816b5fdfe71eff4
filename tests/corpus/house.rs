//! Every mail through the daemon's pipeline, one after the other, at a desk that holds all keys: it is stored byte for byte, a
//! thread is one case, what must not be answered is not answered, and no letter tells what was decrypted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use psirtd::clock::Clock;
use psirtd::config::Config;
use psirtd::custody::DeskKeys;
use psirtd::daemon::Daemon;
use psirtd::domain::event::{Event, What};
use psirtd::domain::letter::LetterKind;
use psirtd::domain::message::{Digest, Mailbox, Position};
use psirtd::keyring::{self, Keyring};
use psirtd::open::{self, digest};
use psirtd::pipeline::Arrival;
use psirtd::store::Archive;
use psirtd::store::journal::Record;

use crate::corpus::tokens::{NO_ANSWER, quoted};
use crate::corpus::{Check, Row, STORED, Verdict, add_keys, now};

/// Shorter words that were decrypted may be in every letter.
const TELLING: usize = 16;

pub(super) fn walk(corpus: &Path, rows: &[Row], verdicts: &mut [Verdict]) {
    let mails: Vec<Vec<u8>> = rows.iter().map(|row| row.mail(corpus)).collect();
    for some in without_twins(&mails) {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let desk = desk(dir.path(), corpus, some.iter().map(|at| &rows[*at]));
        let keyring = desk.keyring.clone();
        take_in(desk, &in_order(rows, &mails, &some));
        let keys = DeskKeys { keyring: &keyring, now: now() };
        judge(&Archive::open(&dir.path().join("state"), &keys).unwrap(), rows, &mails, &some, verdicts);
    }
}

/// The rows for one desk, for the next one, and so on: a desk keeps one copy of a mail that was delivered on different ways.
fn without_twins(mails: &[Vec<u8>]) -> Vec<Vec<usize>> {
    let mut desks: Vec<(BTreeSet<Digest>, Vec<usize>)> = Vec::new();
    for (at, mail) in mails.iter().enumerate() {
        let twin = open::twin(mail, &open::open(mail, &Keyring::new(), now()));
        let free = desks.iter().position(|(known, _)| !known.contains(&twin));
        let desk = free.unwrap_or_else(|| {
            desks.push(Default::default());
            desks.len() - 1
        });
        desks[desk].0.insert(twin);
        desks[desk].1.push(at);
    }
    desks.into_iter().map(|(_, rows)| rows).collect()
}

fn judge(archive: &Archive, rows: &[Row], mails: &[Vec<u8>], some: &[usize], verdicts: &mut [Verdict]) {
    let recorded = Recorded::read(archive);
    let digests: BTreeMap<usize, Digest> = some.iter().map(|at| (*at, digest(&mails[*at]))).collect();
    let threads = threads(rows, &digests, &recorded);
    for (at, digest) in &digests {
        let (row, verdict) = (&rows[*at], &mut verdicts[*at]);
        let mut check = |name, holds, found| verdict.checks.push(Check { name, holds, found });
        let kept = archive.mails.read(digest).is_ok_and(|kept| kept == mails[*at]);
        check(STORED, kept && recorded.cases.contains_key(digest), format!("kept: {kept}"));
        if row.says("no-auto-reply") && !row.hard {
            let answered = recorded.answered.contains(digest);
            check(NO_ANSWER, !answered, "an acknowledgement was written".to_owned());
        }
        if let Some(thread) = thread(row) {
            let cases = &threads[thread];
            check("thread", cases.len() == 1 && !cases.contains(&None), format!("{thread}: {cases:?}"));
        }
        for token in &row.expectations {
            let named = token.starts_with("no-plaintext-leak");
            let decrypted = token.starts_with("decrypt") && token.contains("plain~");
            let words = quoted(token).filter(|words| named || (decrypted && words.len() >= TELLING));
            if let Some(words) = words {
                let told = recorded.letters.iter().any(|letter| letter.contains(&words));
                check("no leak", !told, words);
            }
        }
    }
}

/// The cases of each thread.
fn threads<'r>(
    rows: &'r [Row],
    digests: &BTreeMap<usize, Digest>,
    recorded: &Recorded,
) -> BTreeMap<&'r str, BTreeSet<Option<String>>> {
    let mut threads: BTreeMap<&str, BTreeSet<Option<String>>> = BTreeMap::new();
    for (at, digest) in digests {
        if let Some(thread) = thread(&rows[*at]) {
            threads.entry(thread).or_default().insert(recorded.cases.get(digest).cloned().flatten());
        }
    }
    threads
}

fn thread(row: &Row) -> Option<&str> {
    row.expectations.iter().find_map(|token| token.strip_prefix("thread="))
}

/// Threads in the order of their dates, the others as they stand in the manifest.
fn in_order<'m>(rows: &[Row], mails: &'m [Vec<u8>], some: &[usize]) -> Vec<&'m [u8]> {
    let date =
        |at: usize| thread(&rows[at]).and_then(|_| open::open(&mails[at], &Keyring::new(), now()).date);
    let mut ordered: Vec<(Option<Timestamp>, usize)> = some.iter().map(|at| (date(*at), *at)).collect();
    ordered.sort();
    ordered.into_iter().map(|(_, at)| mails[at].as_slice()).collect()
}

/// A desk with a key of its own and the keys of their sources.
fn desk<'r>(dir: &Path, corpus: &Path, rows: impl Iterator<Item = &'r Row>) -> Config {
    let secret = keyring::generate(&Mailbox::bare("security@desk.invalid"), now(), false).unwrap();
    fs::write(dir.join("desk.key.asc"), secret.as_bytes()).unwrap();
    let toml = "[desk]\nname = \"Desk\"\naddress = \"security@desk.invalid\"\ncase_prefix = \"EX\"\nkey = \"desk.key.asc\"\n\
                state = \"state\"\n[inbox.maildir]\npath = \"inbox\"\n[outbox.maildir]\npath = \"outbox\"\n";
    fs::write(dir.join("psirtd.toml"), toml).unwrap();
    let mut config = Config::load(&dir.join("psirtd.toml"), now()).unwrap();
    let groups: BTreeSet<&str> = rows.map(|row| row.group.as_str()).collect();
    groups.iter().for_each(|group| add_keys(&mut config.keyring, corpus, group, None));
    config
}

fn take_in(config: Config, mails: &[&[u8]]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let daemon = Daemon::open(config, Clock::manual(now())).unwrap();
        let submitted = mails.iter().enumerate().map(|(at, mail)| {
            daemon.pipeline().submit(Arrival {
                raw: mail.to_vec(),
                position: Some(Position(format!("INBOX;1;{at}"))),
                received_at: now(),
                too_large: None,
                junk: false,
                recorded_before: false,
            })
        });
        for recorded in futures_util::future::join_all(submitted).await {
            recorded.unwrap();
        }
        daemon.close().await.unwrap();
    });
}

/// What the journal and the letters say.
struct Recorded {
    /// The case of each mail that was recorded.
    cases: BTreeMap<Digest, Option<String>>,
    /// Mails that were acknowledged.
    answered: BTreeSet<Digest>,
    letters: Vec<String>,
}

impl Recorded {
    fn read(archive: &Archive) -> Self {
        let (mut cases, mut answered, mut letters) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let read = archive.pages.turn(|record| {
            let Record { receipt, events, .. } = record.clone();
            if let Some(receipt) = receipt {
                cases.entry(receipt.digest).or_insert(None);
            }
            for Event { case, what, .. } in events {
                if let What::LetterQueued { bytes, .. } = &what {
                    letters.push(readable(&archive.letters.read(bytes).unwrap()));
                }
                match what {
                    What::MailRecorded { mail, .. } => {
                        cases.insert(mail, case.map(|case| case.to_string()));
                    }
                    What::LetterQueued { kind: LetterKind::Acknowledgement, mail, .. } => {
                        answered.extend(mail);
                    }
                    _ => {}
                }
            }
        });
        read.unwrap();
        Self { cases, answered, letters }
    }
}

/// A letter as it travels, and as a mail program decodes it.
fn readable(raw: &[u8]) -> String {
    let decoded = open::open(raw, &Keyring::new(), now());
    format!("{}\n{:?}\n{}", String::from_utf8_lossy(raw), decoded.subject, decoded.text)
}
