//! What stands inside the encryption of a PGP/MIME mail. The fuzzer cannot encrypt; this does it for each input.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message, Recipient};
use psirtd::domain::message::Encryption;
use psirtd::keyring::{encryption_keys, policy};
use psirtd::open::open;
use psirtd_fuzz::{KEYRING, NOW, check, start};
use sequoia_openpgp as openpgp;

const HEADER: &[u8] = b"From: rita@example.net\nSubject: ...\nMessage-ID: <1@example.net>\n\
    Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"frame\"\n\n\
    --frame\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--frame\n\
    Content-Type: application/octet-stream\n\n";
const END: &[u8] = b"\n--frame--\n";

fuzz_target!(init: start(), |entity: &[u8]| {
    let mail = [HEADER, &encrypted(entity), END].concat();
    let message = open(&mail, &KEYRING, *NOW);
    check(&message);
    assert!(message.decrypted && message.encryption == Encryption::Whole, "{message:?}");
});

fn encrypted(entity: &[u8]) -> Vec<u8> {
    let policy = policy(*NOW);
    let desk = KEYRING.desk().expect("the desk's key");
    let keys = encryption_keys(desk, &policy, *NOW).expect("a key to encrypt to");
    let mut sink = Vec::new();
    let armor = Armorer::new(Message::new(&mut sink)).build().expect("armor");
    let message = Encryptor::for_recipients(armor, keys.into_iter().map(Recipient::from)).build();
    let mut literal = LiteralWriter::new(message.expect("a message")).build().expect("a literal");
    literal.write_all(entity).expect("room for it");
    literal.finalize().expect("a ciphertext");
    sink
}
