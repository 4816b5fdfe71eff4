//! What each room costs on a report of 5 kB, beside the raw Sequoia call that it cannot beat.
//!
//! `make bench`. Quote medians and ratios: machines differ, and shared ones are noisy. The commit is to the disk of the
//! temporary directory; set `TMPDIR` to measure another.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, missing_docs)]

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use divan::{Bencher, black_box};
use jiff::Timestamp;
use openpgp::cert::CipherSuite;
use openpgp::parse::Parse;
use openpgp::parse::stream::{DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message as Outgoing, Signer};
use openpgp::{Cert, KeyHandle};
use psirtd::clock::Clock;
use psirtd::custody::DeskKeys;
use psirtd::domain::decide::{Decision, Facts, Input, decide};
use psirtd::domain::letter::{Letter, LetterKind};
use psirtd::domain::message::{Mailbox, Message};
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::keyring::Keyring;
use psirtd::open::{digest, open};
use psirtd::pipeline::{Arrival, Pipeline};
use psirtd::seal::pgp::sign_and_encrypt;
use psirtd::seal::template::Templates;
use psirtd::seal::{Letterhead, seal};
use psirtd::store::{self, Commit, Notices, Reader, Writer};
use sequoia_openpgp as openpgp;

fn main() {
    divan::main();
}

const SUITES: [CipherSuite; 2] = [CipherSuite::Cv25519, CipherSuite::RSA4k];

/// Keys of one kind: the desk's, the reporter's, a coordinator's.
struct Desk {
    desk: Cert,
    reporter: Cert,
    coordinator: Cert,
    keyring: Keyring,
}

fn now() -> Timestamp {
    Clock::System.now()
}

fn policy() -> Policy {
    let ada = Mailbox { name: Some("Ada".to_owned()), address: "ada@example.org".to_owned() };
    let people = vec![Person { mailbox: ada, roles: vec![Role::Coordinator] }];
    Policy { people, ..Policy::new(Mailbox::bare("security@example.org")) }
}

impl Desk {
    fn new(suite: CipherSuite) -> Self {
        let generate = |user: &str| {
            let builder = openpgp::cert::CertBuilder::general_purpose(Some(user)).set_cipher_suite(suite);
            let features = openpgp::types::Features::empty().set_seipdv1();
            builder.set_features(features).unwrap().generate().unwrap().0
        };
        let desk = generate("<security@example.org>");
        let reporter = generate("<rita@example.net>");
        let coordinator = generate("<ada@example.org>");
        let mut keyring = Keyring::new();
        keyring.add_secret_keys(&desk.as_tsk().to_vec().unwrap(), None).unwrap();
        keyring.add_certificates(&reporter.to_vec().unwrap(), None).unwrap();
        keyring.add_certificates(&coordinator.to_vec().unwrap(), None).unwrap();
        Self { desk, reporter, coordinator, keyring }
    }

    fn encrypted_report(&self) -> Vec<u8> {
        let payload = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{}", text());
        let mut rita = Keyring::new();
        rita.add_secret_keys(&self.reporter.as_tsk().to_vec().unwrap(), None).unwrap();
        let ciphertext = sign_and_encrypt(
            payload.as_bytes(),
            rita.signer(now()).unwrap(),
            std::slice::from_ref(&self.desk),
            now(),
            now(),
        )
        .unwrap();
        let mut mail = format!(
            "From: Rita Reporter <rita@example.net>\r\nTo: security@example.org\r\nSubject: ...\r\nMessage-ID: <{}@example.net>\r\n\
             Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n\
             Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n",
            digest(&ciphertext)
        )
        .into_bytes();
        mail.extend(ciphertext);
        mail.extend(b"\r\n--b--\r\n");
        mail
    }

    fn letterhead() -> Letterhead {
        Letterhead {
            desk: Mailbox::bare("security@example.org"),
            templates: Templates::new("en", |_| Ok(None)).unwrap(),
            plus_address: false,
        }
    }

    fn decided(&self) -> Decision {
        let message = Arc::new(open(&self.encrypted_report(), &self.keyring, now()));
        assert!(message.decrypted);
        decided(&message)
    }

    fn letter(&self, kind: LetterKind) -> Letter {
        self.decided().letters.into_iter().find(|letter| letter.kind() == kind).unwrap()
    }
}

fn decided(message: &Arc<Message>) -> Decision {
    let input = Input::Mail { message: Arc::clone(message), received_at: now() };
    decide(&Facts { next_number: 1, ..Facts::default() }, &input, &policy(), now())
}

/// 5 kB of report.
fn text() -> String {
    "A crafted tile makes the parser write behind its buffer, and an attacker can crash it.\r\n".repeat(57)
}

fn plain_report() -> Vec<u8> {
    format!(
        "From: Rita Reporter <rita@example.net>\r\nTo: security@example.org\r\nSubject: Heap overflow\r\n\
         Message-ID: <plain@example.net>\r\n\r\n{}",
        text()
    )
    .into_bytes()
}

#[divan::bench]
fn open_plain(bencher: Bencher) {
    let (mail, keyring) = (plain_report(), Keyring::new());
    bencher.bench(|| open(black_box(&mail), &keyring, now()));
}

#[divan::bench(args = SUITES)]
fn open_encrypted(bencher: Bencher, suite: CipherSuite) {
    let desk = Desk::new(suite);
    let mail = desk.encrypted_report();
    bencher.bench(|| open(black_box(&mail), &desk.keyring, now()));
}

/// The floor of `open_encrypted`: Sequoia decrypts and verifies the same message, with the right keys at hand.
#[divan::bench(args = SUITES)]
fn raw_decrypt_verify(bencher: Bencher, suite: CipherSuite) {
    struct Helper<'d>(&'d Desk);
    impl VerificationHelper for Helper<'_> {
        fn get_certs(&mut self, _: &[KeyHandle]) -> openpgp::Result<Vec<Cert>> {
            Ok(vec![self.0.reporter.clone()])
        }
        fn check(&mut self, _: MessageStructure<'_>) -> openpgp::Result<()> {
            Ok(())
        }
    }
    impl DecryptionHelper for Helper<'_> {
        fn decrypt(
            &mut self,
            pkesks: &[openpgp::packet::PKESK],
            _: &[openpgp::packet::SKESK],
            algorithm: Option<openpgp::types::SymmetricAlgorithm>,
            decrypt: &mut dyn FnMut(
                Option<openpgp::types::SymmetricAlgorithm>,
                &openpgp::crypto::SessionKey,
            ) -> bool,
        ) -> openpgp::Result<Option<Cert>> {
            let policy = StandardPolicy::new();
            for key in self.0.desk.keys().with_policy(&policy, None).for_transport_encryption().secret() {
                let mut pair = key.key().clone().into_keypair()?;
                for pkesk in pkesks {
                    if pkesk
                        .decrypt(&mut pair, algorithm)
                        .is_some_and(|(algorithm, key)| decrypt(algorithm, &key))
                    {
                        return Ok(None);
                    }
                }
            }
            Err(openpgp::anyhow::anyhow!("no key"))
        }
    }
    let desk = Desk::new(suite);
    let mail = desk.encrypted_report();
    let begin = mail.windows(10).position(|window| window == b"-----BEGIN").unwrap();
    let ciphertext = mail.get(begin..).unwrap();
    let policy = StandardPolicy::new();
    bencher.bench(|| {
        let builder = DecryptorBuilder::from_bytes(black_box(ciphertext)).unwrap();
        let mut plaintext = Vec::new();
        builder.with_policy(&policy, None, Helper(&desk)).unwrap().read_to_end(&mut plaintext).unwrap();
        plaintext
    });
}

#[divan::bench]
fn decide_report(bencher: Bencher) {
    let desk = Desk::new(CipherSuite::Cv25519);
    let message = Arc::new(open(&desk.encrypted_report(), &desk.keyring, now()));
    bencher.bench(|| decided(black_box(&message)));
}

#[divan::bench(args = SUITES)]
fn seal_acknowledgement(bencher: Bencher, suite: CipherSuite) {
    seal_one(bencher, suite, LetterKind::Acknowledgement);
}

#[divan::bench(args = SUITES)]
fn seal_relay(bencher: Bencher, suite: CipherSuite) {
    seal_one(bencher, suite, LetterKind::Relay);
}

fn seal_one(bencher: Bencher, suite: CipherSuite, kind: LetterKind) {
    let desk = Desk::new(suite);
    let (letter, letterhead) = (desk.letter(kind), Desk::letterhead());
    bencher.bench(|| seal(black_box(&letter), "id@example.org", &letterhead, &desk.keyring, now()).unwrap());
}

/// The floor of the sealing: Sequoia signs and encrypts the same 5 kB to one certificate.
#[divan::bench(args = SUITES)]
fn raw_sign_encrypt(bencher: Bencher, suite: CipherSuite) {
    let desk = Desk::new(suite);
    let policy = StandardPolicy::new();
    let text = text();
    let signing =
        desk.desk.keys().with_policy(&policy, None).for_signing().secret().next().unwrap().key().clone();
    bencher.bench(|| {
        let mut sink = Vec::new();
        let recipients = desk.coordinator.keys().with_policy(&policy, None).for_transport_encryption();
        let message = Armorer::new(Outgoing::new(&mut sink)).build().unwrap();
        let message = Encryptor::for_recipients(message, recipients).build().unwrap();
        let message = Signer::new(message, signing.clone().into_keypair().unwrap()).unwrap().build().unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        message.write_all(black_box(text.as_bytes())).unwrap();
        message.finalize().unwrap();
        sink
    });
}

fn opened(dir: &Path, keyring: &Keyring) -> (Writer, Reader, Notices) {
    store::open(&dir.join("state"), &DeskKeys { keyring, now: now() }, now()).unwrap()
}

/// Mail file, two letters, journal, index: everything on the disk.
#[divan::bench(args = [1, 16])]
fn commit(bencher: Bencher, batch: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader, _) = opened(dir.path(), &Desk::new(CipherSuite::Cv25519).keyring);
    let mut count = 0_u64;
    let mut one = || {
        count += 1;
        let bytes = |what: &str| format!("{what} {count} {}", text()).into_bytes();
        let mail = bytes("mail");
        let receipt = store::journal::Receipt { position: None, digest: digest(&mail), twin: digest(&mail) };
        let letters = ["ack", "relay"].map(bytes).into_iter().map(|bytes| (digest(&bytes), bytes)).collect();
        Commit { receipt: Some(receipt), mail: Some(mail), events: Vec::new(), letters }
    };
    bencher
        .with_inputs(|| (0..batch).map(|_| one()).collect::<Vec<_>>())
        .bench_local_values(|commits| writer.commit(commits, now()).unwrap());
}

/// From the door to the durable case: open, decide, seal two letters, commit; 32 reports handed over at once.
#[divan::bench(args = SUITES, sample_count = 20)]
fn whole_pipeline_32_reports(bencher: Bencher, suite: CipherSuite) {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::new(suite);
    let (writer, reader, _) = opened(dir.path(), &desk.keyring);
    let reports = Desk { keyring: Keyring::new(), ..Desk::new(CipherSuite::Cv25519) };
    let reports = Desk { desk: desk.desk.clone(), ..reports };
    let pipeline = Pipeline {
        writer,
        reader,
        keyring: desk.keyring,
        letterhead: Desk::letterhead(),
        policy: policy(),
        clock: Clock::System,
    };
    let (handle, _ended) = pipeline.start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher
        .with_inputs(|| {
            let arrival = |_| Arrival {
                raw: reports.encrypted_report(),
                position: None,
                received_at: now(),
                too_large: None,
                junk: false,
                recorded_before: false,
            };
            (0..32).map(arrival).collect::<Vec<_>>()
        })
        .bench_local_values(|arrivals| {
            runtime.block_on(async {
                let submitted = arrivals.into_iter().map(|arrival| handle.submit(arrival));
                for recorded in futures_util::future::join_all(submitted).await {
                    recorded.unwrap();
                }
            });
        });
}
