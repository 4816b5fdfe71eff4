//! Many small things: packets, keys, parts. Each costs little, and all of them together must not stop the desk.

use super::bombs::{explained, weighed};
use super::packets::{
    self, LITERAL_TAG, MARKER_TAG, ONE_PASS_TAG, PADDING_TAG, SIGNATURE_TAG, by, frame, literal,
};
use super::{MALLORY, SAM, SECRET, header, mail_around, mixed, multipart, now, people};
use psirtd::keyring;
use sequoia_openpgp as openpgp;

use openpgp::Packet;
use openpgp::packet::UserID;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::serialize::MarshalInto;
use openpgp::types::{HashAlgorithm, SignatureType, SymmetricAlgorithm};

const MANY: usize = 100_000;

fn text() -> String {
    format!("Content-Type: text/plain\r\n\r\n{SECRET}\r\n")
}

#[test]
fn marker_packets() {
    for flood in
        [frame(MARKER_TAG, b"PGP"), frame(PADDING_TAG, b"x"), vec![0xC0 | MARKER_TAG, 3, b'P', b'G', b'P']]
    {
        let flood = flood.repeat(MANY);
        let mut ciphertext = packets::to_desk(&literal(&text()));
        ciphertext.splice(..0, flood.iter().copied());
        explained("markers before", &mail_around(SAM, &ciphertext));
        explained(
            "markers inside",
            &mail_around(SAM, &packets::to_desk(&[&flood[..], &literal(&text())].concat())),
        );
        explained("markers alone", &mail_around(SAM, &flood));
    }
}

/// Of each mail what it cost, when that was too much.
#[track_caller]
fn assert_cheap(mails: &[(&str, String)]) {
    let dear: Vec<String> = mails.iter().filter_map(|(name, mail)| weighed(name, mail).err()).collect();
    assert!(dear.is_empty(), "{dear:#?}");
}

#[test]
fn session_key_packets() {
    let key = packets::session_key();
    let message = packets::seip(&key, &packets::with_digest(&literal(&text())));
    let ours = packets::pkesk(&key, SymmetricAlgorithm::AES256, &people().desk);
    let theirs = packets::pkesk(&key, SymmetricAlgorithm::AES256, &people().stranger);
    let wrong = packets::pkesk(&packets::session_key(), SymmetricAlgorithm::AES256, &people().desk);
    let unheard_of = [0xC0 | packets::PKESK_TAG, 1, 99];
    let password = [&[0xC0 | packets::SKESK_TAG, 13, 4, 9, 3, 8][..], &[7; 9]].concat();
    let mail = |flood: &[u8]| mail_around(SAM, &[&flood.repeat(MANY)[..], &ours, &message].concat());
    assert_cheap(&[
        ("session keys for others", mail(&theirs)),
        ("session keys for the desk, and wrong", mail(&wrong)),
        ("session keys for the desk", mail(&ours)),
        ("session keys of an unknown version", mail(&unheard_of)),
        ("session keys for passwords", mail(&password)),
    ]);
}

/// Some by a signer whose certificate the desk holds: each of them could be checked, and that takes its time.
#[test]
fn signature_packets() {
    let signed = by(&people().sam).message(&text());
    let [one_pass, content, signature] = &packets::split(&signed)[..] else { panic!("three packets") };
    let (one_pass, content, signature) = (
        frame(ONE_PASS_TAG, &one_pass.1),
        frame(LITERAL_TAG, &content.1),
        frame(SIGNATURE_TAG, &signature.1),
    );
    let (one_passes, signatures) = (one_pass.repeat(MANY), signature.repeat(MANY));
    let before = [&signatures[..], &content].concat();
    let behind = [&one_pass[..], &content, &signatures].concat();
    let only_announced = [&one_passes[..], &content].concat();
    let both = [&one_passes[..], &content, &signatures].concat();
    let detached = packets::signed_entity(&text().replace('\r', ""), &signatures);
    assert_cheap(&[
        ("signatures before", mail_around(SAM, &before)),
        ("signatures before, encrypted", mail_around(SAM, &packets::to_desk(&before))),
        ("signatures behind", mail_around(SAM, &behind)),
        ("one-pass signatures", mail_around(SAM, &only_announced)),
        ("both", mail_around(SAM, &both)),
        ("both, encrypted", mail_around(SAM, &packets::to_desk(&both))),
        ("detached signatures", format!("{}\n{detached}", header(SAM))),
    ]);
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

/// Mallory's certificate and what is added to it, as bytes: no program here has to read it.
fn flooded(added: impl Iterator<Item = Packet>) -> Vec<u8> {
    let bytes = |packet: &Packet| MarshalInto::to_vec(packet).unwrap();
    let packets: Vec<Packet> = people().mallory.clone().strip_secret_key_material().into_packets().collect();
    // its primary key, its user id and the binding of that; then the flood; then its subkeys
    let at = packets.iter().position(|packet| matches!(packet, Packet::PublicSubkey(_))).unwrap();
    let (head, tail) = packets.split_at(at);
    let flood: Vec<u8> = added.flat_map(|packet| bytes(&packet)).collect();
    [head.iter().flat_map(bytes).collect(), flood, tail.iter().flat_map(bytes).collect()].concat()
}

/// Certifications by a stranger: so many that programs took minutes to read the key.
fn flooded_by_certifications(count: usize) -> Vec<u8> {
    let cert = &people().mallory;
    let user = cert.userids().next().unwrap().userid().clone();
    let mut pair = packets::primary_pair(&people().stranger);
    let kind = SignatureType::GenericCertification;
    let at = keyring::system_time(now());
    flooded(
        (0..count).map(|_| user.certify(&mut pair, cert, kind, HashAlgorithm::SHA512, at).unwrap().into()),
    )
}

fn flooded_by_user_ids(count: usize) -> Vec<u8> {
    let cert = &people().mallory;
    let mut pair = packets::primary_pair(cert);
    let binding = || {
        let builder = SignatureBuilder::new(SignatureType::PositiveCertification);
        builder.set_signature_creation_time(keyring::system_time(now())).unwrap()
    };
    flooded((0..count).flat_map(|number| {
        let user = UserID::from(format!("Mallory <mallory-{number}@example.net>"));
        let signature = user.bind(&mut pair, cert, binding()).unwrap();
        [Packet::from(user), signature.into()]
    }))
}

/// As what Autocrypt carries, and as a file.
fn mails_with(cert: &[u8]) -> [String; 2] {
    let data = packets::base64(cert).replace('\n', "\n ");
    let autocrypt = format!(
        "{}\nAutocrypt: addr=mallory@example.net; keydata=\n {}\n\nHello.\n",
        header(MALLORY),
        data.trim_end()
    );
    [autocrypt, mixed(MALLORY, &["\nHello.\n", &key_part(cert)])]
}

fn key_part(cert: &[u8]) -> String {
    format!("Content-Type: application/pgp-keys\n\n{}", packets::armored_key(cert))
}

#[test]
fn key_flooded_by_certifications() {
    let [autocrypt, file] = mails_with(&flooded_by_certifications(20_000));
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
    for cert in [flooded_by_certifications(200), flooded_by_user_ids(180)] {
        let key = key_part(&cert);
        assert!((30_000..64 * 1024).contains(&key.len()), "{}", key.len());
        explained("400 large keys", &mixed(MALLORY, &vec![key.as_str(); 400]));
    }
}

/// In the innermost is a ciphertext for the desk.
#[test]
fn mails_in_mails() {
    let ciphertext = mail_around(SAM, &packets::to_desk(&literal(&text())));
    for depth in [3, 100, 20_000] {
        let mail =
            format!("{}\n{}{ciphertext}", header(MALLORY), "Content-Type: message/rfc822\n\n".repeat(depth));
        let seen = explained(&format!("{depth} mails in mails"), &mail);
        assert_eq!(seen["decrypted"], depth < 10, "{}", seen["text"]);
        assert_ne!(seen["signature"], "good");
        let wrapped = format!(
            "{}\n{}{ciphertext}",
            header(MALLORY),
            "Content-Type: message/rfc822\nFrom: x@example.net\n\n".repeat(depth)
        );
        explained(&format!("{depth} whole mails in mails"), &wrapped);
    }
}

#[test]
fn multiparts_in_multiparts() {
    let ciphertext = mail_around(SAM, &packets::to_desk(&literal(&text())));
    let ciphertext = &ciphertext[ciphertext.find("Content-Type").unwrap()..];
    for depth in [3, 10, 90, 20_000] {
        let opening =
            |number: usize| format!("Content-Type: multipart/mixed; boundary=\"b{number}\"\n\n--b{number}\n");
        let closing = |number: usize| format!("\n--b{number}--\n");
        let nested: String = (0..depth)
            .map(opening)
            .chain([ciphertext.to_owned()])
            .chain((0..depth).rev().map(closing))
            .collect();
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
        let entity =
            crate::support::desk::pgp_mime("X: x", &packets::armored(&encrypted)).replacen("X: x\n", "", 1);
        encrypted = packets::to_desk(&literal(&entity.replace('\n', "\r\n")));
        signed = multipart("mixed", "m", &[&packets::by(&people().sam).entity(&signed)]);
    }
    let seen = explained("31 encryptions", &mail_around(SAM, &encrypted));
    assert!(seen["problems"].to_string().contains("nested"), "{}", seen["problems"]);
    explained("30 signatures", &format!("{}\n{signed}", header(SAM)));
    let packets = (0..30).fold(literal(&text()), |inner, _| packets::to_desk(&inner));
    explained("30 encryptions in one message", &mail_around(SAM, &packets));
}
