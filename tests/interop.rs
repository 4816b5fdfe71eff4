//! Letters to and from other OpenPGP programs, of the versions that people have: GnuPG, `sq` and RNP of Debian 12.
//!
//! Every program writes mails in every form that mail programs use, psirtd opens them; psirtd answers and relays them, and
//! the program reads the letters. All of it with keys of either kind on both sides. The table of what was tried is printed:
//! `cargo test --test psirtd interop -- --nocapture`.
//!
//! Here it is now, not a time of the story's: `sq` reads with the clock of the machine.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::thread;

use jiff::SignedDuration;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use openpgp::cert::Preferences;
use openpgp::parse::Parse;
use psirtd::clock::Clock;
use psirtd::domain::decide::{Facts, Input, decide};
use psirtd::domain::letter::{LetterKind, Protection};
use psirtd::domain::message::{Encryption, Mailbox, Message};
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::signature::Signature;
use psirtd::keyring::{self, Keyring};
use psirtd::open::open;
use psirtd::seal::template::Templates;
use psirtd::seal::{Letterhead, seal};
use sequoia_openpgp as openpgp;
use serde_json::{Value, json};

use crate::cli;
use crate::support::desk::{parts, pgp_mime};
use crate::support::gpg::Gpg;
use crate::support::program::{Form, Kind, Program};
use crate::support::rnp::Rnp;
use crate::support::sq::Sq;

const PROGRAMS: [fn() -> Box<dyn Program>; 3] =
    [|| Box::new(Gpg::new()), || Box::new(Sq::new()), || Box::new(Rnp::new())];
const KINDS: [Kind; 2] = [Kind::Curve25519, Kind::Rsa3072];

/// The coordinator's address; the program's own key is held for it, too.
const CORA: &str = "cora@example.org";
const PASSPHRASE: &str = "correct horse";

const SUBJECT: &str = "Session tokens are predictable";
/// What a cleartext signature has to escape, and what a mail has to encode.
const TEXT: &str =
    "Grüße!\n- the tokens are made from the clock\nFrom there, one can guess them.\n\n-- \nPat";
/// The same, as a signed part of a mail must be: in 7 bits, without white space at the end of a line.
const ENTITY: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Content-Transfer-Encoding: quoted-printable
Subject: Session tokens are predictable

Gr=C3=BC=C3=9Fe!
- the tokens are made from the clock
=46rom there, one can guess them.

--=20
Pat";

/// How a mail is written.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Shape {
    SignedEncrypted,
    Signed,
    EncryptedOnly,
    Nested,
    Inline,
    Cleartext,
    FileSigned,
    File,
}

const SHAPES: [Shape; 8] = [
    Shape::SignedEncrypted,
    Shape::Signed,
    Shape::EncryptedOnly,
    Shape::Nested,
    Shape::Inline,
    Shape::Cleartext,
    Shape::FileSigned,
    Shape::File,
];

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::SignedEncrypted => "PGP/MIME, signed inside encrypted",
            Self::Signed => "PGP/MIME, signed",
            Self::EncryptedOnly => "PGP/MIME, encrypted",
            Self::Nested => "PGP/MIME, signed, then encrypted",
            Self::Inline => "inline, signed and encrypted",
            Self::Cleartext => "inline, cleartext signature",
            Self::FileSigned => "file .pgp, signed and encrypted",
            Self::File => "file .gpg, encrypted",
        }
    }

    /// What psirtd must say of it: how much was encrypted, the word of the signature.
    fn expected(self) -> (Encryption, &'static str) {
        match self {
            Self::SignedEncrypted | Self::Nested | Self::Inline => (Encryption::Whole, "good"),
            Self::EncryptedOnly => (Encryption::Whole, "none"),
            Self::Signed | Self::Cleartext => (Encryption::None, "good"),
            Self::FileSigned => (Encryption::Part, "partial"),
            Self::File => (Encryption::Part, "none"),
        }
    }
}

/// A desk and its secret key.
struct Desk {
    kind: Kind,
    address: String,
    secret: Vec<u8>,
}

impl Desk {
    /// With the key that psirtd makes, or one that GnuPG makes.
    fn new(kind: Kind) -> Desk {
        let address = format!("security@{kind:?}.example.org").to_lowercase();
        let secret = match kind {
            Kind::Curve25519 => {
                let made = keyring::generate(&Mailbox::bare(&address), Clock::System.now(), true).unwrap();
                made.as_bytes().to_vec()
            }
            Kind::Rsa3072 => {
                let gpg = Gpg::new();
                gpg.make_key(&address, kind);
                gpg.export_secret(&address)
            }
        };
        Desk { kind, address, secret }
    }

    fn certificate(&self) -> String {
        let mut keyring = Keyring::new();
        keyring.add_secret_keys(&self.secret, None).unwrap();
        keyring.desk_armored().unwrap()
    }

    fn is_signer(&self, key: Option<&str>) -> bool {
        let cert = keyring::certificates(&self.secret).unwrap().remove(0);
        key.is_some_and(|key| cert.keys().any(|mine| mine.key().fingerprint().to_hex().ends_with(key)))
    }
}

/// A program's key and a desk that know each other.
struct Pair<'a> {
    program: &'a dyn Program,
    pat: String,
    certificate: Vec<u8>,
    desk: &'a Desk,
    keyring: Keyring,
}

impl<'a> Pair<'a> {
    /// Both have their keys; the program knows the desk.
    fn new(program: &'a dyn Program, pat: String, desk: &'a Desk) -> Pair<'a> {
        let certificate = program.certificate(&pat);
        let mut keyring = Keyring::new();
        keyring.add_secret_keys(&desk.secret, None).unwrap();
        keyring.add_certificates(&certificate, None).unwrap();
        keyring.add_certificates(&certificate, Some(CORA)).unwrap();
        Pair { program, pat, certificate, desk, keyring }
    }

    /// The program writes a mail, and psirtd opens it.
    fn writes(&self, shape: Shape) -> Result<String, String> {
        let raw = mail(self.program, shape, &self.pat, &self.desk.address);
        let message = open(&raw, &self.keyring, Clock::System.now());
        let (encryption, signature) = shape.expected();
        let secret = encryption != Encryption::None;
        same("problem", &message.problem, &None)?;
        same("problems", &message.problems, &Vec::new())?;
        same("encryption", &(message.encryption, message.decrypted), &(encryption, secret))?;
        same("signature", &message.signature.word(), &signature)?;
        if signature != "none" {
            let expected = primary(&self.certificate);
            same("signer", &message.signature.signer(), &Some(expected.as_str()))?;
        }
        match shape {
            Shape::FileSigned | Shape::File => {
                let files: Vec<(Option<&str>, &[u8])> = message
                    .attachments
                    .iter()
                    .map(|file| (file.name.as_deref(), file.bytes.as_slice()))
                    .collect();
                same("files", &files, &vec![(Some("poc.bin"), every_byte().as_slice())])?;
            }
            Shape::Inline | Shape::Cleartext => {
                // a program may end the last line
                same("text", &message.text.trim_end_matches('\n'), &in_lines(shape).as_str())?;
            }
            _ => {
                same("text", &message.text.as_str(), &TEXT)?;
                same("subject", &message.subject.as_deref(), &Some(SUBJECT))?;
                same("secret subject", &message.subject_is_secret, &secret)?;
            }
        }
        Ok("ok".to_owned())
    }

    /// psirtd answers and relays a mail of this shape, and the program reads both letters.
    fn reads(&self, shape: Shape) -> Result<String, String> {
        let raw = mail(self.program, shape, &self.pat, &self.desk.address);
        let now = Clock::System.now();
        let message = Arc::new(open(&raw, &self.keyring, now));
        let policy = policy(&self.desk.address);
        let facts = Facts { next_number: 1, ..Facts::default() };
        let input = Input::Mail { message: Arc::clone(&message), received_at: now };
        let letters = decide(&facts, &input, &policy, now).letters;
        let kinds: Vec<LetterKind> = letters.iter().map(|letter| letter.kind()).collect();
        same("letters", &kinds, &vec![LetterKind::Acknowledgement, LetterKind::Relay])?;
        let letterhead = Letterhead {
            desk: Mailbox::bare(&self.desk.address),
            templates: Templates::new("en", |_| Ok(None)).unwrap(),
            plus_address: false,
        };
        let mut told = Vec::new();
        for letter in &letters {
            let sealed = seal(letter, "psirtd.1@example.org", &letterhead, &self.keyring, now)
                .map_err(|held| held.0)?;
            let sealed = String::from_utf8(sealed.bytes).unwrap();
            let word = letter.kind().word();
            let case = letter.case().unwrap().to_string();
            let failed = |why: String| format!("{word}: {why}");
            let (payload, container) = match letter.protection {
                Protection::Signed => (self.verifies(&sealed).map_err(failed)?, "signed".to_owned()),
                Protection::Encrypted => self.decrypts(&sealed).map_err(failed)?,
            };
            told.push(format!("{word} {container}"));
            let protection = if message.came_encrypted() || letter.kind() == LetterKind::Relay {
                "SEIPDv"
            } else {
                "signed"
            };
            same("protection", &container.starts_with(protection), &true).map_err(failed)?;
            says(&payload, letter.kind(), &case, &message).map_err(failed)?;
        }
        Ok(format!("ok: {}", told.join(", ")))
    }

    /// What is signed of a letter; the program says that the desk did it, and that nobody changed it.
    fn verifies(&self, sealed: &str) -> Result<Vec<u8>, String> {
        let parts = frame(sealed, "multipart/signed");
        let (payload, signature) = (parts[0].as_bytes(), body(&parts[1]).as_bytes());
        let found = self.program.check(payload, signature);
        if !self.desk.is_signer(found.good_signature_by.as_deref()) {
            return Err(format!("no good signature: {}", found.said));
        }
        let changed = parts[0].replace("Hello", "Hallo");
        same(
            "changed, and still good",
            &self.program.check(changed.as_bytes(), signature).good_signature_by,
            &None,
        )?;
        Ok(payload.to_vec())
    }

    /// What is encrypted in a letter, and in which container; the program says that the desk signed it.
    fn decrypts(&self, sealed: &str) -> Result<(Vec<u8>, String), String> {
        let parts = frame(sealed, "multipart/encrypted");
        same("subject outside", &sealed.contains("\r\nSubject: [...]\r\n"), &true)?;
        let ciphertext = body(&parts[1]).as_bytes();
        let container = container(ciphertext);
        same("container", &container, &readable_container(&self.certificate))?;
        let found = self.program.read(ciphertext);
        if !self.desk.is_signer(found.good_signature_by.as_deref()) {
            return Err(format!("SEIPDv{container}, no good signature: {}", found.said));
        }
        Ok((found.plaintext, format!("SEIPDv{container}")))
    }
}

/// All programs, all keys, all forms, in both directions.
#[test]
fn every_program_writes_to_us_and_reads_our_letters() {
    let desks = &KINDS.map(Desk::new);
    let rows: Vec<Row> = thread::scope(|scope| {
        let all = PROGRAMS.map(|program| scope.spawn(move || rows(program().as_ref(), desks)));
        all.into_iter().flat_map(|rows| rows.join().unwrap()).collect()
    });
    println!("{}", table(&rows));
    let failures: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            [("writes", &row.writes), ("reads", &row.reads)].map(|(what, cell)| (row, what, cell))
        })
        .filter_map(|(row, what, cell)| Some(format!("{} {what}: {}", row.what(), cell.as_ref().err()?)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// No two clocks agree: a signature from a computer that is a minute ahead of the desk's is as good as any.
#[test]
fn a_clock_that_is_ahead_spoils_no_signature() {
    let (gpg, desk) = (Gpg::new(), Desk::new(Kind::Curve25519));
    gpg.take_certificate(&desk.address, desk.certificate().as_bytes());
    gpg.make_key("pat@example.net", Kind::Curve25519);
    let pair = Pair::new(&gpg, "pat@example.net".to_owned(), &desk);
    let ahead = Clock::System.now() + SignedDuration::from_mins(1);
    gpg.set_time(&ahead.strftime("%Y%m%dT%H%M%S").to_string());
    let shapes = [Shape::SignedEncrypted, Shape::Signed, Shape::Cleartext];
    assert_eq!(shapes.map(|shape| pair.writes(shape).err()), [None, None, None]);
}

/// The desk's key was made and exported by GnuPG and is protected by a passphrase; the real program opens with it.
#[test]
fn every_program_writes_to_a_desk_whose_key_has_a_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let gpg = Gpg::new();
    gpg.generate_with("Example Project Security <security@example.org>", Kind::Curve25519, PASSPHRASE);
    let secret = gpg.export_protected("security@example.org", PASSPHRASE);
    assert!(matches!(Keyring::new().add_secret_keys(&secret, None), Err(keyring::KeyError::Locked(..))));
    fs::write(dir.path().join("desk.key.asc"), secret).unwrap();
    fs::write(dir.path().join("passphrase"), PASSPHRASE).unwrap();
    fs::write(dir.path().join("psirtd.toml"), CONFIGURATION).unwrap();
    fs::create_dir(dir.path().join("reporters")).unwrap();
    let certificate = gpg.export_public("security@example.org");
    let (mut mails, mut expected) = (Vec::new(), Vec::new());
    for program in PROGRAMS {
        let program = program();
        let word = program.name().split(' ').next().unwrap().to_owned();
        let address = format!("{word}@example.net");
        program.make_key(&address, Kind::Curve25519);
        program.take_certificate("security@example.org", &certificate);
        let hers = program.certificate(&address);
        let raw = mail(program.as_ref(), Shape::SignedEncrypted, &address, "security@example.org");
        fs::write(dir.path().join(format!("{word}.eml")), raw).unwrap();
        fs::write(dir.path().join(format!("reporters/{word}.asc")), &hers).unwrap();
        mails.push(format!("{word}.eml"));
        expected.push(json!([address, "whole", true, null, "good", primary(&hers), SUBJECT, TEXT, [
            { "to": address, "kind": "acknowledgement", "encrypted": true },
        ]]));
    }
    let mut arguments = vec!["--config", "psirtd.toml", "explain", "--json"];
    arguments.extend(mails.iter().map(String::as_str));
    let output = cli::psirtd(dir.path(), &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let seen: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|seen| {
            let facts =
                ["from", "encrypted", "decrypted", "problem", "signature", "signer", "subject", "text"];
            facts.iter().chain(["letters"].iter()).map(|fact| seen[fact].clone()).collect()
        })
        .collect();
    assert_eq!(seen, expected);
}

const CONFIGURATION: &str = r#"
[desk]
name       = "Example Project Security"
address    = "security@example.org"
key        = "desk.key.asc"
passphrase = { file = "passphrase" }
certs      = "reporters"
state      = "state"

[inbox.maildir]
path = "inbox"

[outbox.maildir]
path = "outbox"
"#;

/// A line of the table. A cell is empty where psirtd writes nothing of the kind.
struct Row {
    program: String,
    key: Kind,
    desk: Kind,
    shape: Shape,
    writes: Result<String, String>,
    reads: Result<String, String>,
}

impl Row {
    fn what(&self) -> String {
        let (key, desk) = (format!("{:?}", self.key), format!("{:?}", self.desk));
        line([&self.program, &key, &desk, self.shape.name()])
    }
}

fn line(columns: [&str; 4]) -> String {
    let [program, key, desk, form] = columns;
    format!("{program:<12} {key:<10} {desk:<10} {form:<33}")
}

fn rows(program: &dyn Program, desks: &[Desk]) -> Vec<Row> {
    for desk in desks {
        program.take_certificate(&desk.address, desk.certificate().as_bytes());
    }
    let mut rows = Vec::new();
    for key in KINDS {
        let pat = format!("pat@{key:?}.example.net").to_lowercase();
        program.make_key(&pat, key);
        for desk in desks {
            let pair = Pair::new(program, pat.clone(), desk);
            rows.extend(SHAPES.map(|shape| Row {
                program: program.name(),
                key,
                desk: desk.kind,
                shape,
                writes: pair.writes(shape),
                reads: match shape {
                    Shape::SignedEncrypted | Shape::Signed => pair.reads(shape),
                    _ => Ok(String::new()),
                },
            }));
        }
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let mut table = line(["program", "key", "desk's key", "form"]) + " writes → psirtd, reads ← psirtd\n";
    for row in rows {
        let cells = [&row.writes, &row.reads].map(|cell| cell.as_ref().map_or("FAILED", String::as_str));
        let told = format!("{} {:<6} {}", row.what(), cells[0], cells[1]);
        writeln!(table, "{}", told.trim_end()).unwrap();
    }
    table
}

/// A mail of the program's owner to a desk.
fn mail(program: &dyn Program, shape: Shape, from: &str, to: &str) -> Vec<u8> {
    let outside = format!(
        "From: Pat <{from}>\nTo: {to}\nSubject: ...\nDate: Fri, 20 Nov 2026 22:58:00 +0000\nMessage-ID: <1@example.net>"
    );
    let text = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit";
    let encrypt = |plaintext: &str, by: Option<&str>| {
        String::from_utf8(program.write(plaintext.as_bytes(), to, by, Form::Armored)).unwrap()
    };
    let entity = ENTITY.replace('\n', "\r\n");
    let mail = match shape {
        Shape::SignedEncrypted => pgp_mime(&outside, &encrypt(&entity, Some(from))),
        Shape::EncryptedOnly => pgp_mime(&outside, &encrypt(&entity, None)),
        Shape::Signed => format!("{outside}\nMIME-Version: 1.0\n{}", signed(program, &entity, from)),
        Shape::Nested => {
            let signed = signed(program, &entity, from).replace("\r\n", "\n").replace('\n', "\r\n");
            pgp_mime(&outside, &encrypt(&signed, None))
        }
        Shape::Inline => {
            format!("{outside}\nMIME-Version: 1.0\n{text}\n\n{}", encrypt(&in_lines(shape), Some(from)))
        }
        Shape::Cleartext => {
            format!("{outside}\nMIME-Version: 1.0\n{text}\n\n{}", program.clear_sign(&in_lines(shape), from))
        }
        Shape::FileSigned | Shape::File => {
            let (by, name) =
                if shape == Shape::FileSigned { (Some(from), "poc.bin.pgp") } else { (None, "poc.bin.gpg") };
            let file = program.write(&every_byte(), to, by, Form::Binary);
            let file = MimePart::new("application/octet-stream", file).attachment(name);
            let text = MimePart::new("text/plain", "See the file.\r\n");
            let mut body = Vec::new();
            MimePart::new(ContentType::new("multipart/mixed"), vec![text, file]).write_part(&mut body);
            format!("{outside}\nMIME-Version: 1.0\n{}", String::from_utf8(body).unwrap())
        }
    };
    mail.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

/// An entity and the signature beside it.
fn signed(program: &dyn Program, entity: &str, by: &str) -> String {
    let signature = String::from_utf8(program.sign(entity.as_bytes(), by)).unwrap();
    format!(
        "Content-Type: multipart/signed; micalg=pgp-sha512; protocol=\"application/pgp-signature\"; boundary=\"signed\"

--signed
{entity}
--signed
Content-Type: application/pgp-signature; name=\"signature.asc\"

{signature}
--signed--
"
    )
}

/// The text as it is typed; a cleartext signature does not cover white space at the end of a line (RFC 9580 §7).
fn in_lines(shape: Shape) -> String {
    if shape == Shape::Cleartext { trimmed() } else { TEXT.to_owned() }
}

/// The text without white space at the end of a line.
fn trimmed() -> String {
    TEXT.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn every_byte() -> Vec<u8> {
    (0..=u8::MAX).chain(*b"\r\n\n\r end").collect()
}

/// A desk with one coordinator.
fn policy(desk: &str) -> Policy {
    let mut policy = Policy::new(Mailbox::bare(desk));
    policy.people = vec![Person { mailbox: Mailbox::bare(CORA), roles: vec![Role::Coordinator] }];
    policy
}

/// The two parts of a letter, without a byte of the frame.
fn frame(sealed: &str, media_type: &str) -> Vec<String> {
    let (header, body) = sealed.split_once("\r\n\r\n").unwrap();
    assert!(header.contains(&format!("\r\nContent-Type: {media_type};")), "{header}");
    let parts: Vec<String> = parts(body, header).into_iter().map(str::to_owned).collect();
    assert_eq!(parts.len(), 2);
    parts
}

fn body(part: &str) -> &str {
    part.split_once("\r\n\r\n").unwrap().1
}

/// The payload has the right subject inside, and says what its reader has to know.
fn says(payload: &[u8], kind: LetterKind, case: &str, about: &Message) -> Result<(), String> {
    let parsed = mail_parser::MessageParser::default().parse(payload).ok_or("no payload")?;
    let text = parsed.body_text(0).unwrap_or_default().replace("\r\n", "\n");
    let (subject, end) = match kind {
        LetterKind::Acknowledgement => (format!("Auto: [{case}] we have your report"), "\n".to_owned()),
        LetterKind::Relay => {
            let subject = about.subject.as_deref().unwrap_or_default();
            // white space at the end of a line counts, but for the last
            (format!("[{case}] {subject}"), format!("\n\n{}\n", about.text.trim()))
        }
        _ => unreachable!("no such letter is sealed here"),
    };
    same("subject inside", &parsed.subject(), &Some(subject.as_str()))?;
    same("text", &text.ends_with(&end), &true).map_err(|why| format!("{why}: {text:?}"))?;
    same("case in the text", &text.contains(case), &true)?;
    let good = kind == LetterKind::Acknowledgement || text.contains("Signature:   good, over the whole mail");
    same("signature in the text", &good, &matches!(about.signature, Signature::Good(_)))
}

/// The version of the container of a ciphertext (RFC 9580 §5.13).
fn container(ciphertext: &[u8]) -> u8 {
    let pile = openpgp::PacketPile::from_bytes(ciphertext).unwrap();
    let versions: Vec<u8> = pile
        .children()
        .filter_map(|packet| match packet {
            openpgp::Packet::SEIP(container) => Some(container.version()),
            _ => None,
        })
        .collect();
    assert_eq!(versions.len(), 1);
    versions[0]
}

/// The newest container that the owner of a certificate says to read: version 1 unless it says so of 2.
fn readable_container(certificate: &[u8]) -> u8 {
    let now = Clock::System.now();
    let cert = keyring::certificates(certificate).unwrap().remove(0);
    let policy = keyring::policy(now);
    let features = cert.with_policy(&policy, keyring::system_time(now)).unwrap().features();
    if features.is_some_and(|features| features.supports_seipdv2()) { 2 } else { 1 }
}

fn primary(certificate: &[u8]) -> String {
    keyring::certificates(certificate).unwrap()[0].fingerprint().to_hex()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}")) }
}
