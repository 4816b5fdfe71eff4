//! What only looks encrypted to the desk: no cipher, no key of the desk, a password, a password that costs a gigabyte.

use super::packets::{self, SKESK_TAG, by, frame, literal, pkesk, session_key};
use super::{MALLORY, SAM, SECRET, assert_closed, mail_around, opened, people, shows};
use psirtd::domain::message::Encryption;
use sequoia_openpgp as openpgp;

use openpgp::Packet;
use openpgp::crypto::{Password, SessionKey};
use openpgp::packet::SKESK;
use openpgp::packet::skesk::SKESK4;
use openpgp::serialize::MarshalInto;
use openpgp::types::{CompressionAlgorithm, SymmetricAlgorithm};
use std::time::{Duration, Instant};

/// The whole mail is a text packet in the frame of an encrypted one. Everybody on the way could read and change it.
#[test]
fn literal_packet_posing_as_encrypted() {
    let text = format!("Content-Type: text/plain\n\n{SECRET}\n");
    let literal = literal(&text);
    for content in [
        literal.clone(),
        packets::compressed(CompressionAlgorithm::Zip, &literal),
        [packets::frame(packets::MARKER_TAG, b"PGP"), literal].concat(),
    ] {
        let armored = packets::armored(&content);
        let file = format!("Content-Disposition: attachment; filename=a.txt.pgp\n\n{armored}");
        for mail in [
            mail_around(MALLORY, &content),
            format!("{}\n\n{armored}", super::header(MALLORY)),
            super::mixed(MALLORY, &["\nsee the file", &file]),
        ] {
            let message = opened(&mail);
            assert_eq!(
                (message.encryption, message.decrypted),
                (Encryption::None, false),
                "{:?}",
                message.problem
            );
            assert_eq!(message.signature.word(), "none");
        }
    }
}

/// The same, signed: the signature is what it is, and nothing was encrypted.
#[test]
fn signed_message_in_multipart_encrypted() {
    let message =
        opened(&mail_around(SAM, &by(&people().sam).message("Content-Type: text/plain\n\nHello.\n")));
    assert_eq!((message.encryption, message.decrypted), (Encryption::None, false));
    assert_eq!(message.signature.word(), "good");
    let forged =
        opened(&mail_around(SAM, &by(&people().mallory).message("Content-Type: text/plain\n\nHello.\n")));
    assert_eq!((forged.encryption, forged.signature.word()), (Encryption::None, "unknown-key"));
}

/// A subject in such a frame is not secret, and no better than the one outside unless it is signed.
#[test]
fn protected_subject_of_what_was_not_encrypted() {
    let text = format!("Content-Type: text/plain; protected-headers=\"v1\"\nSubject: {SECRET}\n\nHello.\n");
    let message = opened(&mail_around(MALLORY, &literal(&text)));
    assert!(!message.subject_is_secret);
    assert_eq!(message.subject.as_deref(), Some("A report"));
}

/// The session key is the desk's, its cipher is number 0: none. A library that takes it at its word "decrypts" plain text.
#[test]
fn null_cipher() {
    let (text, desk) = (literal(&format!("Content-Type: text/plain\n\n{SECRET}\n")), &people().desk);
    for key in [session_key(), SessionKey::from(Vec::new()), SessionKey::from(vec![0; 32])] {
        let session = pkesk(&key, SymmetricAlgorithm::Unencrypted, desk);
        for plain in [packets::with_digest(&text), text.clone(), [&[0; 18][..], &text].concat()] {
            let version_1 = [&[1], &plain[..]].concat();
            let version_2 = [&[2, 0, 2, 6], &[0; 32][..], &plain].concat();
            for packet in [
                frame(packets::SEIP_TAG, &version_1),
                frame(packets::SEIP_TAG, &version_2),
                frame(packets::SED_TAG, &plain),
                frame(packets::COMPRESSED_TAG, &[&[0], &text[..]].concat()),
            ] {
                let message = opened(&mail_around(MALLORY, &[&session[..], &packet].concat()));
                // it is enclosed as it came, in its armor
                assert!(!message.decrypted && !message.text.contains(SECRET), "{:?}", message.text);
                assert!(message.problem.is_some());
            }
        }
    }
}

/// The right session key under a wrong cipher, and under ciphers that nobody should use any more.
#[test]
fn cipher_that_the_session_key_does_not_name() {
    let (key, text) = (session_key(), literal(SECRET));
    let packet = packets::seip(&key, &packets::with_digest(&text));
    for algorithm in
        [SymmetricAlgorithm::Camellia256, SymmetricAlgorithm::Twofish, SymmetricAlgorithm::Private(100)]
    {
        let session = pkesk(&key, algorithm, &people().desk);
        assert_closed(
            &opened(&mail_around(SAM, &[session, packet.clone()].concat())),
            &algorithm.to_string(),
        );
    }
}

fn skesk(password: &str, key: &SessionKey) -> Vec<u8> {
    let cipher = SymmetricAlgorithm::AES256;
    let packet = SKESK4::with_password(
        cipher,
        cipher,
        openpgp::crypto::S2K::default(),
        key,
        &Password::from(password),
    )
    .unwrap();
    MarshalInto::to_vec(&Packet::from(SKESK::from(packet))).unwrap()
}

/// Whoever knows the password can read it: the empty one, a well-known one. The desk tries none.
#[test]
fn skesk_only() {
    for password in ["", "password", "psirtd"] {
        let key = session_key();
        let packet = packets::seip(&key, &packets::with_digest(&literal(SECRET)));
        let message = opened(&mail_around(SAM, &[skesk(password, &key), packet].concat()));
        assert_closed(&message, password);
        assert!(message.problem.as_ref().unwrap().contains("password"), "{:?}", message.problem);
    }
}

/// A password beside the desk's key opens nothing more, and keeps nothing closed.
#[test]
fn skesk_beside_pkesk() {
    let key = session_key();
    let packet = packets::seip(
        &key,
        &packets::with_digest(&literal(&format!("Content-Type: text/plain\n\n{SECRET}\n"))),
    );
    let ours = pkesk(&key, SymmetricAlgorithm::AES256, &people().desk);
    let not_ours = pkesk(&key, SymmetricAlgorithm::AES256, &people().stranger);
    for sessions in [[skesk("x", &key), ours.clone()], [ours, skesk("x", &key)]] {
        let message = opened(&mail_around(SAM, &[sessions.concat(), packet.clone()].concat()));
        assert!(message.decrypted && message.text.contains(SECRET), "{:?}", message.problem);
    }
    let message = opened(&mail_around(SAM, &[skesk("", &key), not_ours, packet].concat()));
    assert_closed(&message, "not for the desk");
}

/// The sender says what trying a password costs: two terabytes of memory, or a day of hashing. Nobody tries.
#[test]
#[allow(clippy::disallowed_methods)] // it is the time that counts
fn skesk_with_huge_cost() {
    let argon2 = [&[4, 9, 4], &[7; 16][..], &[255, 255, 31]].concat();
    let iterated = [&[4, 9, 3, 8], &[7; 8][..], &[255]].concat();
    let version_6 = [&[6, 22 + 3, 9, 2, 20, 4], &[7; 16][..], &[255, 255, 31], &[0; 15 + 32 + 16]].concat();
    let key = session_key();
    let packet = packets::seip(&key, &packets::with_digest(&literal(SECRET)));
    let ours = pkesk(&key, SymmetricAlgorithm::AES256, &people().desk);
    for cost in [argon2, iterated, version_6] {
        let flood = frame(SKESK_TAG, &cost).repeat(1000);
        let start = Instant::now();
        assert_closed(&opened(&mail_around(SAM, &[&flood[..], &packet].concat())), "costly passwords alone");
        let beside = opened(&mail_around(SAM, &[&flood[..], &ours, &packet].concat()));
        assert!(beside.decrypted || !shows(&beside, SECRET));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

/// The text for the desk, and the same session key for somebody else, who is named nowhere in the mail. Nothing to stop, but
/// the desk must not take a message for one of its own that only names it.
#[test]
fn message_that_only_names_the_desk() {
    let key = session_key();
    let packet = packets::seip(&key, &packets::with_digest(&literal(SECRET)));
    let theirs = packets::split(&pkesk(&key, SymmetricAlgorithm::AES256, &people().stranger)).remove(0).1;
    let ours = packets::split(&pkesk(&key, SymmetricAlgorithm::AES256, &people().desk)).remove(0).1;
    // version 3, eight octets of key id, the rest
    let renamed = [&theirs[..1], &ours[1..9], &theirs[9..]].concat();
    let wildcard = [&theirs[..1], &[0; 8], &theirs[9..]].concat();
    for session in [renamed, wildcard] {
        let message =
            opened(&mail_around(SAM, &[frame(packets::PKESK_TAG, &session), packet.clone()].concat()));
        assert_closed(&message, "somebody else's session key");
    }
    let hidden = [&ours[..1], &[0; 8], &ours[9..]].concat();
    let message = opened(&mail_around(SAM, &[frame(packets::PKESK_TAG, &hidden), packet].concat()));
    assert!(message.decrypted, "the desk is a hidden recipient: {:?}", message.problem);
}
