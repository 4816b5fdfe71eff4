//! Everything back without psirtd: `docs/recovery.md`, its commands and its program.
//!
//! A real desk takes mails in and stops. What lies in its state directory is opened by GnuPG, OpenSSL and Python alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::cli::{err, out};
use crate::servers::desk::{Desk, RITA, SOON, encrypted_report, keys, report};
use crate::support::daemon::run;
use crate::support::gpg::Gpg;
use crate::support::program::{Home, Kind};
use crate::support::wait_until;

const PASSPHRASE: &str = "correct horse";

/// A page or a program of `docs`.
fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// A desk that answers, and what it has received.
struct Received {
    desk: Desk,
    mails: Vec<Vec<u8>>,
}

impl Received {
    fn new() -> Received {
        Received::at(Desk::on_maildirs(&["ada"], ""))
    }

    fn at(desk: Desk) -> Received {
        desk.start();
        Received { desk, mails: Vec::new() }
    }

    /// It becomes a case, and every letter about it is out.
    fn takes(&mut self, mail: Vec<u8>) {
        let number = self.mails.len() + 1;
        self.desk.deliver(&format!("mail-{number}"), &mail);
        self.mails.push(mail);
        wait_until("it is a case", SOON, || self.desk.cases().len() == number);
        self.desk.await_letters();
    }

    fn rotates(&self) {
        self.desk.stop();
        let (code, said, complaint) = self.desk.says(&["key", "rotate"]);
        assert_eq!(code, 0, "{said}{complaint}");
        self.desk.start();
    }

    fn letters(&self) -> BTreeSet<Vec<u8>> {
        self.desk.delivered().into_iter().map(|(_, letter)| letter).collect()
    }

    /// psirtd is gone: a folder with what `docs/recovery.md` asks for, and nothing else.
    fn rescued(&self) -> Home {
        let home = Home::new("rescue");
        let state = home.path().join("state");
        fs::create_dir(&state).unwrap();
        let kept = ["data-key.asc", "journal", "mail", "letters"].map(|name| self.desk.state().join(name));
        let old_keys = self.desk.dir().join("old-keys");
        let copied = |files: Vec<&Path>, to: &Path| {
            let files = files.iter().map(|file| file.to_str().unwrap());
            run(&[&["cp", "-a"][..], &files.collect::<Vec<_>>(), &[to.to_str().unwrap()]].concat());
        };
        copied(kept.iter().map(PathBuf::as_path).collect(), &state);
        let program = docs("recover.py");
        copied(vec![&self.desk.dir().join("desk.key.asc"), &program], home.path());
        if old_keys.exists() {
            copied(vec![&old_keys], home.path());
        }
        home
    }
}

/// GnuPG with the desk's key.
fn keyring(home: &Home) -> Gpg {
    let gpg = Gpg::new();
    gpg.import(&fs::read(home.path().join("desk.key.asc")).unwrap());
    gpg
}

/// The program, with what is in a keyring.
fn recovers(home: &Home, gpg: &Gpg) -> Output {
    let mut command = Command::new("python3");
    command.args(["recover.py", "state", "recovered"]).current_dir(home.path());
    command.env("GNUPGHOME", gpg.home()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output().unwrap()
}

/// What is in a recovered folder; each file is named by its digest, and nobody else may read it.
fn recovered(home: &Home, folder: &str) -> BTreeSet<Vec<u8>> {
    let folder = home.path().join("recovered").join(folder);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let file = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("{}.eml", sha256(&bytes)));
        assert_eq!(mode(&path), 0o600);
        bytes
    };
    fs::read_dir(folder).unwrap().map(|entry| file(entry.unwrap().path())).collect()
}

fn records(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn journal(home: &Home) -> Vec<Value> {
    records(&fs::read_to_string(home.path().join("recovered/journal.jsonl")).unwrap())
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A report with every byte there is, and too large for a pipe.
fn with_all_bytes() -> Vec<u8> {
    let mut mail = report(RITA, "All bytes", "They follow.");
    mail.extend((0..=255).cycle().take(300_000));
    mail
}

fn events(record: &Value) -> impl Iterator<Item = &Value> {
    record["events"].as_array().unwrap().iter()
}

/// The digest that the event of this kind and number names.
fn digest_of(records: &[Value], kind: &str, name: &str, number: usize) -> String {
    let event = records.iter().flat_map(events).filter(|event| event["event"] == kind).nth(number);
    event.unwrap()[name].as_str().unwrap().to_owned()
}

/// The sealed file of a digest, as `docs/recovery.md` says.
fn file_of(gpg: &Gpg, state: &Path, folder: &str, digest: &str) -> PathBuf {
    let opened = gpg.decrypt(&fs::read(state.join("data-key.asc")).unwrap()).plaintext;
    let opened = String::from_utf8(opened).unwrap();
    let names = opened.lines().find_map(|line| line.strip_prefix("names ")).unwrap().trim();
    let text = gpg.home().join("text");
    fs::write(&text, format!("file {digest}")).unwrap();
    let key = format!("hexkey:{names}");
    let hashed =
        run(&["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", &key, text.to_str().unwrap()]);
    let name = out(&hashed).trim().rsplit(' ').next().unwrap().to_owned();
    state.join(folder).join(format!("{name}.sealed"))
}

/// Flips a bit of a batch, and makes its digest right again. Returns its first and its last record.
fn rechained(journal: &Path, number: usize) -> (u64, u64) {
    const HEAD: usize = 84;
    let mut bytes = fs::read(journal).unwrap();
    let is_batch = |at: &usize| bytes[*at..].starts_with(b"PJ02");
    let at = (0..bytes.len()).filter(is_batch).nth(number).unwrap();
    let number_at = |from: usize, to: usize| {
        bytes[at + from..at + to].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (length, first, count) = (number_at(4, 8) as usize, number_at(8, 16), number_at(16, 20));
    bytes[at + HEAD] ^= 1;
    let chained = [&bytes[at + 8..at + 52], &bytes[at + HEAD..at + HEAD + length]].concat();
    bytes[at + 52..at + HEAD].copy_from_slice(&Sha256::digest(chained));
    fs::write(journal, bytes).unwrap();
    (first, first + count - 1)
}

/// Every command of the page, as it stands there, in one shell. The key was rotated, and the oldest report is encrypted to the old one.
#[test]
fn the_commands_of_the_page_bring_everything_back() {
    let mut received = Received::new();
    let rita = Gpg::new();
    rita.import(&keys().desk_public);
    received.takes(encrypted_report(&rita, RITA, "", "The secret is out."));
    received.takes(report(RITA, "Überlauf", "It crashes."));
    received.takes(with_all_bytes());
    received.rotates();
    received.takes(report(RITA, "After the rotation", "It still crashes."));
    received.desk.stop();
    let (code, exported, complaint) = received.desk.says(&["journal", "export"]);
    assert_eq!(code, 0, "{complaint}");
    let home = received.rescued();

    let page = fs::read_to_string(docs("recovery.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    // what comes last on the page needs the keyring that is forgotten above it
    let (forgets, by_hand) = blocks.iter().partition::<Vec<&str>, _>(|block| block.starts_with("gpgconf"));
    let read = format!("gpg --decrypt recovered/mail/{}.eml > report.txt\n", sha256(&received.mails[0]));
    let script = [by_hand.concat(), read, forgets.concat()].concat();
    let shell = Command::new("sh").args(["-eu", "-c", &script]).current_dir(home.path()).output().unwrap();
    assert!(shell.status.success(), "{script}\n{}{}", out(&shell), err(&shell));

    let said = out(&shell);
    let letters = received.letters();
    let (mails, written) = (received.mails.len(), letters.len());
    assert!(
        said.contains(&format!(" records, {mails} mails, {written} letters; everything is there\n")),
        "{said}"
    );
    assert_eq!(recovered(&home, "mail"), received.mails.iter().cloned().collect());
    assert_eq!((recovered(&home, "letters"), written), (letters, 2 * mails));
    assert_eq!(journal(&home), records(&exported));
    let report = fs::read_to_string(home.path().join("report.txt")).unwrap();
    assert!(report.contains("The secret is out."), "{report}");

    // by hand: the newest mail, and the name of its file
    assert_eq!(&fs::read(home.path().join("one.eml")).unwrap(), received.mails.last().unwrap());
    let name = said.lines().last().unwrap().rsplit(' ').next().unwrap();
    assert!(home.path().join(format!("state/mail/{name}.sealed")).exists(), "{said}");
    for forgotten in ["gnupg", "data-key.txt"] {
        assert!(!home.path().join(forgotten).exists(), "{forgotten}");
    }
}

/// gpg asks for the passphrase; here its configuration answers.
#[test]
fn a_key_with_a_passphrase_recovers_everything() {
    let maker = Gpg::new();
    let key = maker.generate_with("Example Security <security@example.org>", Kind::Curve25519, PASSPHRASE);
    let desk = Desk::on_maildirs(&["ada"], "passphrase = { file = \"desk.passphrase\" }\n");
    desk.write("desk.key.asc", &maker.export_protected(&key, PASSPHRASE));
    desk.write("desk.passphrase", PASSPHRASE.as_bytes());
    let mut received = Received::at(desk);
    received.takes(report(RITA, "Overflow", "It crashes."));
    received.desk.stop();
    let home = received.rescued();
    let gpg = keyring(&home);

    let asked = recovers(&home, &gpg);
    assert_eq!(asked.status.code(), Some(1), "without the passphrase");
    assert!(err(&asked).contains("gpg cannot open state/data-key.asc"), "{}", err(&asked));
    fs::write(gpg.home().join("passphrase"), PASSPHRASE).unwrap();
    let answers = format!("pinentry-mode loopback\npassphrase-file {}/passphrase\n", gpg.home().display());
    fs::write(gpg.home().join("gpg.conf"), answers).unwrap();
    let done = recovers(&home, &gpg);
    assert!(done.status.success(), "{}{}", out(&done), err(&done));
    assert_eq!(recovered(&home, "mail"), received.mails.iter().cloned().collect());
    assert_eq!(recovered(&home, "letters"), received.letters());
}

#[test]
fn another_key_recovers_nothing() {
    let mut received = Received::new();
    received.takes(report(RITA, "Overflow", "It crashes."));
    received.desk.stop();
    let home = received.rescued();
    let gpg = Gpg::new();
    gpg.generate("Example Security <security@example.org>");
    let done = recovers(&home, &gpg);
    assert_eq!((done.status.code(), out(&done).as_str()), (Some(1), ""));
    let said = "recover.py: gpg cannot open state/data-key.asc; is the desk's secret key in its keyring?";
    assert_eq!(err(&done).lines().last(), Some(said));
    assert!(!home.path().join("recovered").exists());
}

/// Whoever has the desk's certificate can make a data key that opens with the desk's key, and a store of their own under it.
#[test]
fn a_data_key_that_the_desk_has_not_signed_is_named() {
    let mut received = Received::new();
    received.takes(report(RITA, "Overflow", "It crashes."));
    received.desk.stop();
    let home = received.rescued();
    let gpg = keyring(&home);
    let opened = gpg.decrypt(&fs::read(home.path().join("state/data-key.asc")).unwrap());
    let mallory = Gpg::new();
    mallory.import(&keys().desk_public);
    mallory.generate("Mallory <mallory@example.net>");
    let signed = mallory.encrypt_sign(&opened.plaintext, &keys().desk_fingerprint, "mallory@example.net");
    for forged in [mallory.encrypt(&opened.plaintext, &keys().desk_fingerprint), signed] {
        fs::write(home.path().join("state/data-key.asc"), forged).unwrap();
        let done = recovers(&home, &gpg);
        assert_eq!(done.status.code(), Some(1));
        assert!(err(&done).contains("data-key.asc: none of the desk's keys has signed it"), "{}", err(&done));
        fs::remove_dir_all(home.path().join("recovered")).unwrap();
    }
}

/// What is damaged has a line of its own; everything else comes back, the mails of lost records too.
#[test]
fn damage_is_named_and_the_rest_comes_back() {
    let mut received = Received::new();
    for number in 1..=4 {
        received.takes(report(RITA, &format!("Report {number}"), "It crashes."));
    }
    received.desk.stop();
    let exported = records(&received.desk.says(&["journal", "export"]).1);
    let home = received.rescued();
    let gpg = keyring(&home);
    let state = home.path().join("state");

    let mail = digest_of(&exported, "mail-recorded", "mail", 3);
    let letter = digest_of(&exported, "letter-queued", "bytes", 0);
    let (mail_file, letter_file) =
        (file_of(&gpg, &state, "mail", &mail), file_of(&gpg, &state, "letters", &letter));
    flip(&mail_file, 100);
    fs::remove_file(&letter_file).unwrap();
    // the fourth batch: whoever can write to the disk can chain what he likes, and cannot seal it
    let journal_file = state.join("journal");
    let lost = rechained(&journal_file, 3);
    let done = recovers(&home, &gpg);
    let said = err(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    let named = |path: &Path| path.strip_prefix(&state).unwrap().display().to_string();
    let seq = |kind: &str, name: &str, digest: &str| {
        let names =
            |record: &&Value| events(record).any(|event| event["event"] == kind && event[name] == *digest);
        exported.iter().find(names).unwrap()["seq"].as_u64().unwrap()
    };
    for line in [
        format!("{}: damaged (record {}: {mail})", named(&mail_file), seq("mail-recorded", "mail", &mail)),
        format!(
            "{}: No such file or directory (record {}: {letter})",
            named(&letter_file),
            seq("letter-queued", "bytes", &letter)
        ),
        format!("records {} to {} are lost", lost.0, lost.1),
    ] {
        assert!(
            said.lines().any(|said| said.starts_with("recover.py: ") && said.ends_with(&line)),
            "{line}\n{said}"
        );
    }
    assert_eq!(said.lines().filter(|line| line.starts_with("recover.py")).count(), 3, "{said}");
    let is_lost = |record: &Value| (lost.0..=lost.1).contains(&record["seq"].as_u64().unwrap());
    let kept: Vec<Value> = exported.iter().filter(|record| !is_lost(record)).cloned().collect();
    assert_eq!(journal(&home), kept);
    let others =
        |all: BTreeSet<Vec<u8>>, digest: &str| all.into_iter().filter(|one| sha256(one) != digest).collect();
    let expected: BTreeSet<_> = others(received.mails.iter().cloned().collect(), &mail);
    assert_eq!((recovered(&home, "mail"), expected.len()), (expected, 3));
    let expected: BTreeSet<_> = others(received.letters(), &letter);
    assert_eq!(recovered(&home, "letters"), expected);
}

/// The end of the journal: with its mark it is known whether something was committed there.
#[test]
fn a_journal_that_is_cut_off_is_told_from_one_that_was_never_finished() {
    let mut received = Received::new();
    received.takes(report(RITA, "Overflow", "It crashes."));
    received.desk.stop();
    let exported = records(&received.desk.says(&["journal", "export"]).1);
    let last = exported.len();
    let home = received.rescued();
    let gpg = keyring(&home);
    let (journal_file, mark) = (home.path().join("state/journal"), home.path().join("state/journal.mark"));
    let whole = fs::read(&journal_file).unwrap();
    let says = || {
        let done = recovers(&home, &gpg);
        let kept = journal(&home).len();
        fs::remove_dir_all(home.path().join("recovered")).unwrap();
        (done.status.code().unwrap(), kept, out(&done) + &err(&done))
    };

    fs::write(&journal_file, [&whole[..], b"PJ02\0\0"].concat()).unwrap();
    let (code, kept, said) = says();
    assert!(code == 1 && kept == last && said.contains("damaged, or were never finished"), "{said}");
    fs::write(&mark, format!("{last:020}\n")).unwrap();
    let (code, kept, said) = says();
    assert!(code == 0 && kept == last && said.contains("never finished; that loses nothing"), "{said}");
    fs::write(&journal_file, &whole[..whole.len() - 1]).unwrap();
    let (code, kept, said) = says();
    assert!(code == 1 && kept < last && said.contains(&format!("to {last} are lost")), "{said}");
    fs::remove_file(&journal_file).unwrap();
    let (code, kept, said) = says();
    assert!(code == 1 && kept == 0 && said.contains("journal: missing"), "{said}");
    assert!(said.contains("0 records, 1 mails, 2 letters"), "mails and letters do not need it: {said}");
}
