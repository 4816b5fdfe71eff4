//! OpenPGP blobs of other projects' tests, some of them attacks: as the ciphertext of a mail, as a file in one, and those that
//! are text as the text of one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use psirtd::domain::message::Message;
use psirtd::domain::signature::Signature;
use psirtd::keyring::Keyring;
use psirtd::open::open;
use serde_json::Value;

use crate::corpus::tokens::{NOT_GOOD, quoted};
use crate::corpus::{ALIVE, Check, LIMIT, Row, Verdict, add_key, crashed, now, squeezed};

/// What the program may use in all, in KiB of address space; its own code and libraries take about 100 MB of it.
const MEMORY: u32 = 400_000;
/// Who sends the blobs, and is the owner of whatever key they are signed with.
pub(super) const AUTHOR: &str = "rita@example.net";

/// A blob in its two frames.
struct Framed {
    ciphertext: Message,
    file: Message,
    /// The blob as text, for a cleartext signature.
    text: Message,
}

impl Framed {
    fn all(&self) -> [&Message; 3] {
        [&self.ciphertext, &self.file, &self.text]
    }
}

pub(super) fn check(corpus: &Path, row: &Row) -> Verdict {
    let blob = row.read(corpus);
    let described = description(corpus, row);
    let keyring = keyring(corpus, row, described.as_ref());
    let start = Instant::now();
    let framed = catch_unwind(AssertUnwindSafe(|| Framed {
        ciphertext: open(&as_ciphertext(&blob), &keyring, now()),
        file: open(&as_file(&blob), &keyring, now()),
        text: open(&as_text(&blob), &keyring, now()),
    }));
    let took = start.elapsed();
    let Ok(framed) = framed else { return crashed() };
    let mut verdict = Verdict::default();
    verdict.checks.push(Check { name: ALIVE, holds: took < LIMIT, found: format!("{took:?}") });
    for token in &row.expectations {
        match judged(token, &framed, described.as_ref()) {
            Some(check) => verdict.checks.push(check),
            None if is_metadata(token) => {}
            None => verdict.unjudged.push(token.clone()),
        }
    }
    if row.says("bounded time+memory") {
        verdict.checks.push(bounded(&blob));
    }
    if ["must not", "must fail", "reject"].iter().any(|words| row.says(words)) {
        verdict.checks.push(shows_nothing(row, &framed));
    }
    verdict
}

/// Said again by a file beside it, or by what is judged for every row.
fn is_metadata(token: &str) -> bool {
    let known =
        ["type=", "key=", "store raw", "bounded", "must not", "gpg 2.2 rejects: must not", "metadata"];
    known.iter().any(|known| token.starts_with(known))
        || ["BADMDC", "no integrity", "reject"].iter().any(|known| token.starts_with(known))
}

fn judged(token: &str, framed: &Framed, described: Option<&Value>) -> Option<Check> {
    let check = |name, holds, found| Some(Check { name, holds, found });
    let signature = &framed.ciphertext.signature;
    let found = || format!("{token}: {signature:?} {:?}", framed.ciphertext.problems);
    let good = matches!(signature, Signature::Good(_));
    if let Some(size) = token.strip_prefix("decrypts to ").and_then(|rest| rest.split(' ').next()) {
        let (size, words) = (size.parse::<usize>().unwrap(), quoted(token).unwrap());
        return check("blob opened", opened(framed, &words, size), why(framed));
    }
    if let (true, Some(text)) = (token.starts_with("text="), described) {
        let text = text["textcontent"].as_str().unwrap();
        return check("blob opened", opened(framed, text, text.len()), why(framed));
    }
    if let (true, Some(described)) = (token.starts_with("verify="), described) {
        let wanted = described["verifyKey"].is_string();
        return check(if wanted { "blob signed" } else { NOT_GOOD }, good == wanted, found());
    }
    if token.ends_with("=> verified") {
        return check("blob signed", good, found());
    }
    if token.ends_with("=> no verifier") || token == "literal/unsigned" {
        return check(NOT_GOOD, framed.all().iter().all(|seen| !is_good(seen)), found());
    }
    if let Some(key) = token.strip_prefix("sig=good:") {
        let by = signature.signer().unwrap_or_default();
        return check("blob signed", good && by.ends_with(key), found());
    }
    if token.starts_with("sig=bad") {
        let signature = &framed.text.signature;
        return check("bad", signature.word() == "bad", format!("{token}: {signature:?}"));
    }
    None
}

/// In the frame of a ciphertext it is read as text, in that of a file it is a file again.
fn opened(framed: &Framed, words: &str, size: usize) -> bool {
    let read = squeezed(&framed.ciphertext.text).contains(&squeezed(words));
    let kept = framed.file.attachments.iter().any(|file| {
        let text = String::from_utf8_lossy(&file.bytes);
        file.bytes.len() == size && squeezed(&text).contains(&squeezed(words))
    });
    read && kept && framed.ciphertext.decrypted && framed.file.decrypted
}

fn why(framed: &Framed) -> String {
    let said = |seen: &Message| format!("{:?} {:?}", seen.problem, seen.problems);
    format!("{:?}; {}; {}", framed.ciphertext.text, said(&framed.ciphertext), said(&framed.file))
}

fn is_good(seen: &Message) -> bool {
    matches!(seen.signature, Signature::Good(_))
}

/// Forged, damaged or refused: it is neither opened nor good, and what was encrypted is flagged.
fn shows_nothing(row: &Row, framed: &Framed) -> Check {
    let shown = framed.all().iter().any(|seen| seen.decrypted || is_good(seen));
    let flagged = framed.ciphertext.problem.is_some();
    let holds = row.category == "openpgp-bomb" || (!shown && flagged);
    Check { name: "shows nothing", holds, found: why(framed) }
}

/// Opened by a program that has little room.
fn bounded(blob: &[u8]) -> Check {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mail.eml");
    let mut found = Vec::new();
    for mail in [as_ciphertext(blob), as_file(blob)] {
        std::fs::write(&path, mail).unwrap();
        let start = Instant::now();
        let limited = format!("ulimit -v {MEMORY} && exec \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_psirtd"), "explain", "--json"])
            .arg(&path)
            .output()
            .unwrap();
        if !output.status.success() || start.elapsed() > Duration::from_secs(20) {
            let said = String::from_utf8_lossy(&output.stderr);
            found.push(format!("{} after {:?}: {said}", output.status, start.elapsed()));
        }
    }
    Check { name: "bounded", holds: found.is_empty(), found: found.join("; ") }
}

/// What the file beside a blob of the interoperability tests says about it.
fn description(corpus: &Path, row: &Row) -> Option<Value> {
    let text = std::fs::read_to_string(corpus.join(&row.file).with_extension("json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// The keys that the description names, and no others; all keys of the source where there is none.
fn keyring(corpus: &Path, row: &Row, described: Option<&Value>) -> Arc<Keyring> {
    let Some(described) = described else { return crate::corpus::keyring(corpus, &row.group) };
    let mut keyring = Keyring::new();
    for (role, held_for) in [("decryptKey", None), ("verifyKey", Some(AUTHOR))] {
        if let Some(path) = described[role].as_str() {
            let name = path.rsplit('/').next().unwrap();
            let bytes = std::fs::read(corpus.join("keys").join(&row.group).join(name)).unwrap();
            add_key(&mut keyring, &bytes, held_for);
        }
    }
    Arc::new(keyring)
}

/// The ciphertext of PGP/MIME.
pub(super) fn as_ciphertext(blob: &[u8]) -> Vec<u8> {
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

fn as_text(blob: &[u8]) -> Vec<u8> {
    let mut mail = format!("From: Rita <{AUTHOR}>\r\nSubject: a blob\r\n\r\n").into_bytes();
    mail.extend_from_slice(blob);
    mail
}

/// As it is: what is not text is `binary` (RFC 2045 §6.2), which everything here carries.
fn framed(media_type: &str, first: &str, second: &str, blob: &[u8]) -> Vec<u8> {
    let mut mail = format!(
        "From: Rita <{AUTHOR}>\r\nTo: security@example.org\r\nSubject: a blob\r\nMIME-Version: 1.0\r\n\
         Content-Type: {media_type}; boundary=\"frame-7f3a\"\r\n\r\n--frame-7f3a\r\n{first}\r\n--frame-7f3a\r\n{second}\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n"
    )
    .into_bytes();
    mail.extend_from_slice(blob);
    mail.extend_from_slice(b"\r\n--frame-7f3a--\r\n");
    mail
}
