//! OpenPGP blobs of other projects' tests, some of them attacks, as the ciphertext of a mail and as a file in one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::corpus::{LIMIT, corpus, in_threads, keyring, now, rows};
use psirtd::open::open;

/// What the program may use in all, in KiB of address space; its own code and libraries take about 100 MB of it.
const MEMORY: u32 = 400_000;

/// Without integrity protection, or with a broken one: nothing of it may be shown.
const FORGED: [&str; 4] = [
    "gopenpgp--message_badmdc",
    "rnp--message.txt.enc-no-mdc",
    "rnp--message_mdc_8k_cut1.pgp",
    "enc-aead-ocb-malf",
];

#[test]
fn no_blob_panics_or_stalls() {
    let Some(corpus) = corpus() else { return };
    let rows: Vec<_> = rows(&corpus)
        .into_iter()
        .filter(|row| row.file.starts_with("raw/") && !row.file.ends_with(".json"))
        .collect();
    let failures = Mutex::new(Vec::new());
    let score = Mutex::new(BTreeMap::<String, (usize, usize)>::new());
    in_threads(&rows, |row| {
        let blob = std::fs::read(corpus.join(&row.file)).unwrap();
        let keyring = keyring(&corpus, &row.group);
        let fail = |why: String| failures.lock().unwrap().push(format!("{}: {why}", row.file));
        for mail in [as_ciphertext(&blob), as_file(&blob)] {
            let start = Instant::now();
            let Ok(message) = catch_unwind(AssertUnwindSafe(|| open(&mail, &keyring, now()))) else {
                fail("panic".to_owned());
                continue;
            };
            if start.elapsed() > LIMIT {
                fail(format!("took {:?}", start.elapsed()));
            }
            let forged = FORGED.iter().any(|end| row.file.ends_with(end));
            if forged && (message.decrypted || (message.problem.is_none() && message.problems.is_empty())) {
                fail(format!("opened: {:?}", message.text));
            }
            let mut score = score.lock().unwrap();
            let entry = score.entry(row.category.clone()).or_default();
            *entry = (entry.0 + usize::from(message.decrypted), entry.1 + 1);
        }
    });
    println!("decrypted, of each category: {:?}", score.into_inner().unwrap());
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_bomb_costs_little() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().unwrap();
    for row in rows(&corpus).iter().filter(|row| row.category == "openpgp-bomb") {
        let blob = std::fs::read(corpus.join(&row.file)).unwrap();
        for (frame, mail) in [("ciphertext", as_ciphertext(&blob)), ("file", as_file(&blob))] {
            let path = dir.path().join("mail.eml");
            std::fs::write(&path, mail).unwrap();
            let start = Instant::now();
            let limited = format!("ulimit -v {MEMORY} && exec \"$@\"");
            let output = Command::new("sh")
                .args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_psirtd"), "explain", "--json"])
                .arg(&path)
                .output()
                .unwrap();
            let took = start.elapsed();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} as {frame}: {} {said}", row.file, output.status);
            assert!(took < Duration::from_secs(20), "{} as {frame}: {took:?}", row.file);
        }
    }
}

fn as_ciphertext(blob: &[u8]) -> Vec<u8> {
    framed(
        "multipart/encrypted; protocol=\"application/pgp-encrypted\"",
        "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
        "Content-Type: application/octet-stream",
        blob,
    )
}

fn as_file(blob: &[u8]) -> Vec<u8> {
    framed(
        "multipart/mixed",
        "Content-Type: text/plain\r\n\r\nsee the file",
        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=poc.pgp",
        blob,
    )
}

fn framed(media_type: &str, first: &str, second: &str, blob: &[u8]) -> Vec<u8> {
    let mut mail = format!(
        "From: Rita <rita@example.net>\r\nTo: security@example.org\r\nSubject: a blob\r\nMIME-Version: 1.0\r\n\
         Content-Type: {media_type}; boundary=\"frame-7f3a\"\r\n\r\n--frame-7f3a\r\n{first}\r\n--frame-7f3a\r\n{second}\r\n\r\n"
    )
    .into_bytes();
    mail.extend_from_slice(blob);
    mail.extend_from_slice(b"\r\n--frame-7f3a--\r\n");
    mail
}
