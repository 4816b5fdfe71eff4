//! Many small things: packets, keys, parts. Each costs little, and all of them together must not stop the desk.

use super::bombs::explained;
use super::packets::{self, LITERAL_TAG, MARKER_TAG, ONE_PASS_TAG, PADDING_TAG, SIGNATURE_TAG, by, frame, literal};
use super::{MALLORY, SAM, SECRET, header, mail_around, mixed, multipart, new_key, now, people};
use psirtd::keyring;
use sequoia_openpgp as openpgp;

use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::UserID;
use openpgp::serialize::MarshalInto;
use openpgp::types::{HashAlgorithm, SignatureType, SymmetricAlgorithm};
use openpgp::{Cert, Packet};

const MANY: usize = 100_000;

fn text() -> String {
    format!("Content-Type: text/plain\r\n\r\n{SECRET}\r\n")
}

#[test]
fn marker_packets() {
    for flood in [frame(MARKER_TAG, b"PGP"), frame(PADDING_TAG, b"x"), vec![0xC0 | MARKER_TAG, 3, b'P', b'G', b'P']] {
        let flood = flood.repeat(MANY);
        let mut ciphertext = packets::to_desk(&literal(&text()));
        ciphertext.splice(..0, flood.iter().copied());
        explained("markers before", &mail_around(SAM, &ciphertext));
        explained("markers inside", &mail_around(SAM, &packets::to_desk(&[&flood[..], &literal(&text())].concat())));
        explained("markers alone", &mail_around(SAM, &flood));
    }
}

#[test]
fn session_key_packets() {
    let key = packets::session_key();
    let message = packets::seip(&key, &packets::with_digest(&literal(&text())));
    let ours = packets::pkesk(&key, SymmetricAlgorithm::AES256, &people().desk);
    let theirs = packets::pkesk(&key, SymmetricAlgorithm::AES256, &people().stranger);
    let wrong = packets::pkesk(&packets::session_key(), SymmetricAlgorithm::AES256, &people().desk);
    for (flood, name) in [(&theirs, "for others"), (&wrong, "for the desk, and wrong"), (&ours, "for the desk")] {
        let seen = explained(
            &format!("session keys {name}"),
            &mail_around(SAM, &[&flood.repeat(MANY)[..], &ours, &message].concat()),
        );
        assert_eq!(seen["decrypted"], false, "{name}");
    }
}

#[test]
fn signature_packets() {
    let signed = by(&people().sam).message(&text());
    let [one_pass, content, signature] = &packets::split(&signed)[..] else { panic!("three packets") };
    let (one_pass, content, signature) =
        (frame(ONE_PASS_TAG, &one_pass.1), frame(LITERAL_TAG, &content.1), frame(SIGNATURE_TAG, &signature.1));
    let (one_passes, signatures) = (one_pass.repeat(MANY), signature.repeat(MANY));
    for (name, message) in [
        ("signatures before", [&signatures[..], &content].concat()),
        ("signatures behind", [&one_pass[..], &content, &signatures].concat()),
        ("one-pass signatures", [&one_passes[..], &content].concat()),
        ("both", [&one_passes[..], &content, &signatures].concat()),
    ] {
        explained(name, &mail_around(SAM, &message));
        explained(&format!("{name}, encrypted"), &mail_around(SAM, &packets::to_desk(&message)));
    }
    explained("detached signatures", &format!("{}\n{}", header(SAM), packets::signed_entity(&text().replace('\r', ""), &signatures)));
}

/// The same by a signer whose certificate the desk holds: each of them could be checked, and that takes its time.
#[test]
#[allow(clippy::disallowed_methods)] // it is the time that counts
fn signatures_that_can_be_checked() {
    let signature = by(&people().sam).detached(text().as_bytes());
    let mail = format!("{}\n{}", header(SAM), packets::signed_entity(&text().replace('\r', ""), &signature.repeat(MANY / 10)));
    let start = std::time::Instant::now();
    super::opened(&mail);
    let took = start.elapsed();
    println!("{} signatures of a known signer: {took:.1?}", MANY / 10);
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

#[test]
fn tiny_chunks() {
    let body = [b"b\0\0\0\0\0", "x".repeat(1_000_600).as_bytes()].concat();
    let chunks = packets::pieces(LITERAL_TAG, &body, 0);
    assert!(chunks.len() > 2_000_000);
    explained("a million chunks", &mail_around(SAM, &chunks));
    explained("a million chunks, encrypted", &mail_around(SAM, &packets::to_desk(&chunks)));
    let empty = [&[0xC0 | LITERAL_TAG, 0xE0 | 9][..], &[b'b'; 512], &[0xE0, b'x'].repeat(MANY)].concat();
    explained("chunks without an end", &mail_around(SAM, &packets::to_desk(&empty)));
}

/// A certificate with so many third-party certifications that programs take minutes to read it.
fn flooded_by_certifications(count: usize) -> Cert {
    let (cert, other) = (new_key("mallory@example.net"), &people().stranger);
    let user = cert.userids().next().unwrap().userid().clone();
    let mut pair = packets::primary_pair(other);
    let certify = |pair: &mut openpgp::crypto::KeyPair| {
        let kind = SignatureType::GenericCertification;
        user.certify(pair, &cert, kind, HashAlgorithm::SHA512, keyring::system_time(now())).unwrap()
    };
    // made once: another random octet in the part that is not signed makes another certification of it
    let made = certify(&mut pair);
    let notation = |number: usize| {
        let mut signature = made.clone();
        let value = openpgp::packet::signature::subpacket::SubpacketValue::Unknown {
            tag: openpgp::packet::signature::subpacket::SubpacketTag::Private(100),
            body: number.to_be_bytes().to_vec(),
        };
        let subpacket = openpgp::packet::signature::subpacket::Subpacket::new(value, false).unwrap();
        signature.unhashed_area_mut().add(subpacket).unwrap();
        signature
    };
    let packets: Vec<Packet> = cert.clone().into_packets().collect();
    let at = packets.iter().position(|packet| matches!(packet, Packet::UserID(_))).unwrap() + 2;
    let (head, tail) = packets.split_at(at);
    let flood = (0..count).map(|number| Packet::from(notation(number)));
    let all = head.iter().cloned().chain(flood).chain(tail.iter().cloned());
    Cert::from_packets(all).unwrap()
}

fn flooded_by_user_ids(count: usize) -> Cert {
    let cert = new_key("mallory@example.net");
    let mut pair = packets::primary_pair(&cert);
    let packets = (0..count).flat_map(|number| {
        let user = UserID::from(format!("Mallory <mallory-{number}@example.net>"));
        let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
            .set_signature_creation_time(keyring::system_time(now()))
            .unwrap();
        let binding = user.bind(&mut pair, &cert, binding).unwrap();
        [Packet::from(user), binding.into()]
    });
    let packets: Vec<Packet> = packets.collect();
    cert.clone().insert_packets(packets).unwrap().0
}

/// As what Autocrypt carries, and as a file.
fn mails_with(cert: &Cert) -> [String; 2] {
    let bytes = MarshalInto::to_vec(cert).unwrap();
    let data = packets::base64(&bytes).replace('\n', "\n ");
    let autocrypt = format!("Autocrypt: addr=mallory@example.net; keydata=\n {}\n{}\n\nHello.\n", data.trim_end(), header(MALLORY));
    let file = format!("Content-Type: application/pgp-keys\n\n{}", packets::armored_key(&bytes));
    [autocrypt, mixed(MALLORY, &["\nHello.\n", &file])]
}

#[test]
fn key_flooded_by_certifications() {
    let cert = flooded_by_certifications(20_000);
    let [autocrypt, file] = mails_with(&cert);
    let seen = explained("20,000 certifications in Autocrypt", &autocrypt);
    assert_eq!(seen["from"], "mallory@example.net", "what is in the header is still known");
    let seen = explained("20,000 certifications in a file", &file);
    assert_eq!(seen["text"].as_str().unwrap().trim(), "Hello.");
}

#[test]
fn key_flooded_by_user_ids() {
    let [autocrypt, file] = mails_with(&flooded_by_user_ids(5_000));
    let seen = explained("5,000 user ids in Autocrypt", &autocrypt);
    assert_eq!(seen["from"], "mallory@example.net");
    explained("5,000 user ids in a file", &file);
}

/// Each as large as a key may be, and as many of them as a mail may have parts.
#[test]
fn many_large_keys() {
    let large = [flooded_by_certifications(180), flooded_by_user_ids(180)];
    for cert in &large {
        let key = format!("Content-Type: application/pgp-keys\n\n{}", packets::armored_key(&MarshalInto::to_vec(cert).unwrap()));
        assert!(key.len() > 30_000 && key.len() < 64 * 1024, "{}", key.len());
        explained("400 large keys", &mixed(MALLORY, &vec![key.as_str(); 400]));
    }
}

/// In the innermost is a ciphertext for the desk.
#[test]
fn mails_in_mails() {
    let ciphertext = mail_around(SAM, &packets::to_desk(&literal(&text())));
    for depth in [3, 100, 20_000] {
        let mail = format!("{}\n{}{ciphertext}", header(MALLORY), "Content-Type: message/rfc822\n\n".repeat(depth));
        let seen = explained(&format!("{depth} mails in mails"), &mail);
        assert_eq!(seen["decrypted"], depth < 10, "{}", seen["text"]);
        assert_ne!(seen["signature"], "good");
        let wrapped = format!("{}\n{}{ciphertext}", header(MALLORY), "Content-Type: message/rfc822\nFrom: x@example.net\n\n".repeat(depth));
        explained(&format!("{depth} whole mails in mails"), &wrapped);
    }
}

#[test]
fn multiparts_in_multiparts() {
    let ciphertext = mail_around(SAM, &packets::to_desk(&literal(&text())));
    let ciphertext = &ciphertext[ciphertext.find("Content-Type").unwrap()..];
    for depth in [3, 15, 90, 20_000] {
        let opening = |number: usize| format!("Content-Type: multipart/mixed; boundary=\"b{number}\"\n\n--b{number}\n");
        let closing = |number: usize| format!("\n--b{number}--\n");
        let nested: String = (0..depth).map(opening).chain([ciphertext.to_owned()]).chain((0..depth).rev().map(closing)).collect();
        let seen = explained(&format!("{depth} multiparts"), &format!("{}\n{nested}", header(SAM)));
        assert_eq!(seen["decrypted"], depth < 15, "{depth}: {}", seen["problem"]);
        let same = "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(depth) + ciphertext;
        explained(&format!("{depth} multiparts with one boundary"), &format!("{}\n{same}", header(SAM)));
    }
}

/// Encryption in encryption, signatures in signatures.
#[test]
fn layers_in_layers() {
    let mut encrypted = packets::to_desk(&literal(&text()));
    let mut signed = text().replace('\r', "");
    for _ in 0..30 {
        let entity = crate::support::desk::pgp_mime("X: x", &packets::armored(&encrypted)).replacen("X: x\n", "", 1);
        encrypted = packets::to_desk(&literal(&entity.replace('\n', "\r\n")));
        signed = multipart("mixed", "m", &[&packets::by(&people().sam).entity(&signed)]);
    }
    let seen = explained("31 encryptions", &mail_around(SAM, &encrypted));
    assert!(seen["problems"].to_string().contains("nested"), "{}", seen["problems"]);
    explained("30 signatures", &format!("{}\n{signed}", header(SAM)));
    let packets = (0..30).fold(literal(&text()), |inner, _| packets::to_desk(&inner));
    explained("30 encryptions in one message", &mail_around(SAM, &packets));
}
