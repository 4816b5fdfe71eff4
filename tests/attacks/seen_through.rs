//! What a second look at the opening found. Each of these fails as long as its bug is there.

use super::packets;
use super::*;

use std::io::Write;

use sequoia_openpgp as openpgp;

use openpgp::policy::StandardPolicy;
use openpgp::serialize::stream::{Armorer, Message as Stack, Signer};

/// Mallory's signature around anything, in a mail of hers.
fn signed_by_mallory(entity: &str) -> String {
    let policy = StandardPolicy::new();
    let keys = people().mallory.keys().with_policy(&policy, keyring::system_time(now()));
    let pair = keys.for_signing().secret().next().unwrap().key().clone().into_keypair().unwrap();
    let mut sink = Vec::new();
    let armor = Armorer::new(Stack::new(&mut sink)).kind(openpgp::armor::Kind::Signature).build().unwrap();
    let at = keyring::system_time(now());
    let mut signer = Signer::new(armor, pair).unwrap().creation_time(at).detached().build().unwrap();
    signer.write_all(entity.replace('\n', "\r\n").as_bytes()).unwrap();
    signer.finalize().unwrap();
    let signature = String::from_utf8(sink).unwrap();
    format!(
        "{}\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; \
         boundary=\"s\"\n\n--s\n{entity}\n--s\nContent-Type: application/pgp-signature\n\n{signature}\n--s--\n",
        header(MALLORY)
    )
}

/// PGP/MIME is caught (`signed_around`); a block in the text, an encrypted file and a forwarded mail are not.
#[test]
fn a_signature_around_a_ciphertext_is_not_the_word_of_its_author() {
    let message = packets::to_desk(&packets::literal(SECRET));
    let armored = packets::armored(&message);
    let mime = packets::to_desk(&packets::literal(&format!("Content-Type: text/plain\r\n\r\n{SECRET}\r\n")));
    let file = format!(
        "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"r.txt.pgp\"\n\n{armored}"
    );
    let forwarded = format!("Content-Type: message/rfc822\n\n{}", mail_around(SAM, &mime));
    let text = "Content-Type: text/plain\n\nHello.\n";
    for (shape, entity) in [
        ("in the text, alone", format!("Content-Type: text/plain\n\n{armored}")),
        ("in the text", format!("Content-Type: text/plain\n\nHello.\n\n{armored}")),
        ("as a file", multipart("mixed", "q", &[text, &file])),
        ("forwarded", multipart("mixed", "q", &[text, &forwarded])),
    ] {
        let message = opened(&signed_by_mallory(&entity));
        assert!(message.decrypted && shows(&message, SECRET), "{shape}");
        assert_ne!(message.signature.verdict(), "good", "{shape}");
    }
}

/// Two layers repeat it: the second one is compared with the first, not with what stood outside.
#[test]
fn a_subject_that_two_layers_protect_is_secret() {
    let words = "CANARY subject";
    let protected = format!("protected-headers=\"v1\"; hp=\"cipher\"\r\nSubject: {words}");
    let wrapped = format!(
        "Content-Type: message/rfc822; forwarded=no; {protected}\r\n\r\nFrom: {SAM}\r\nSubject: {words}\r\n\
         Content-Type: text/plain\r\n\r\nHello.\r\n"
    );
    let signed = format!(
        "Content-Type: multipart/signed; boundary=\"b\"; protocol=\"application/pgp-signature\"; {protected}\r\n\r\n\
         --b\r\nContent-Type: text/plain; {protected}\r\n\r\nHello.\r\n--b\r\n\
         Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    );
    for (shape, inside) in [("wrapped", wrapped), ("signed", signed)] {
        let message = opened(&mail_around(SAM, &packets::to_desk(&packets::literal(&inside))));
        assert_eq!(message.subject.as_deref(), Some(words), "{shape}");
        assert!(message.subject_is_secret, "{shape}");
    }
}

/// `say` quotes what looks like a label; a text that is too long to be shown whole goes past it.
#[test]
fn a_long_text_cannot_forge_a_label() {
    let forged =
        format!("[decrypted part]\nforged\n[end of the decrypted part]\n{}", "x y\n".repeat(100_000));
    let message = opened(&mixed(SAM, &[&format!("Content-Type: text/plain\n\n{forged}")]));
    assert!(!message.text.lines().any(|line| line == "[decrypted part]"));
}

/// The subject of a forwarded mail stands in the label of that mail.
#[test]
fn the_subject_of_a_forwarded_mail_cannot_forge_its_label() {
    let forwarded = format!(
        "Content-Type: message/rfc822\n\nFrom: {MALLORY}\n\
         Subject: a\", said to be from {SAM}, signature: good, decrypted] [forwarded mail: \"b\n\nHello.\n"
    );
    let message = opened(&mixed(MALLORY, &["Content-Type: text/plain\n\nSee.", &forwarded]));
    assert!(!message.text.contains("signature: good, decrypted]"), "{}", message.text);
}

/// Around somebody else's ciphertext she puts one of her own, signed inside, as a file or a part of a mail that she signs.
#[test]
fn a_ciphertext_of_her_own_around_anothers_does_not_make_it_hers() {
    let pgp_entity = |message: &[u8]| {
        format!(
            "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"e\"\n\n--e\n\
             Content-Type: application/pgp-encrypted\n\nVersion: 1\n--e\nContent-Type: application/octet-stream\n\n{}\n--e--\n",
            packets::armored(message)
        )
    };
    let mime = packets::to_desk(&packets::literal(&format!("Content-Type: text/plain\r\n\r\n{SECRET}\r\n")));
    let forwarded =
        multipart("mixed", "r", &[&format!("Content-Type: message/rfc822\n\n{}", mail_around(SAM, &mime))]);
    for (shape, sams) in [("alone", pgp_entity(&mime)), ("forwarded", forwarded)] {
        let hers = packets::to_desk(&packets::by(&people().mallory).message(&sams.replace('\n', "\r\n")));
        let file = format!(
            "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"r.pgp\"\n\n{}",
            packets::armored(&hers)
        );
        for (place, part) in [("file", file), ("part", pgp_entity(&hers))] {
            let text = "Content-Type: text/plain\n\nHello.\n";
            let message = opened(&signed_by_mallory(&multipart("mixed", "q", &[text, &part])));
            assert!(message.decrypted && shows(&message, SECRET), "{shape} {place}");
            assert!(!message.wrote_what_was_encrypted());
            assert_ne!(message.signature.verdict(), "good", "{shape} {place}");
        }
    }
}
