//! The desk as an oracle: Mallory has a ciphertext that Sam sent, and sends it as her own ("Re: What's up Johnny?").
//!
//! She gets no answer to it, the team hears where it was seen before, and the text does not travel a second time under her name.

use super::SECRET;
use super::packets::{self, MARKER_TAG, PADDING_TAG, PKESK_TAG, SEIP_TAG, dearmored, frame};
use crate::support::desk::{Desk, Letter, pgp_mime};
use sequoia_openpgp::types::SymmetricAlgorithm;

const SUBJECT: &str = "Tokens can be guessed";

fn outside(from: &str, number: usize) -> String {
    let (_, domain) = from.trim_end_matches('>').rsplit_once('@').unwrap();
    format!("From: {from}\nTo: security@example.org\nSubject: ...\nMessage-ID: <m-{number}@{domain}>")
}

const SAM: &str = "Sam Secret <sam@example.com>";
const NORA: &str = "Nora Newcomer <nora@example.net>";

/// Sam's report, encrypted and signed by his GnuPG.
fn report(desk: &Desk) -> String {
    // GnuPG packs what it encrypts: something that stays long
    let proof: String = (1_u32..200).map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761))).collect();
    let inside = format!(
        "Content-Type: text/plain; protected-headers=\"v1\"; hp=\"cipher\"\nSubject: {SUBJECT}\n\n{SECRET}\n{proof}"
    );
    desk.encrypted_mail(&outside(SAM, 1), &inside)
}

/// His report has arrived, and was answered; what he sent, as bytes.
fn desk_with_report() -> (Desk, Vec<u8>) {
    let desk = Desk::new();
    let mail = report(&desk);
    desk.receives(&mail);
    assert_eq!(desk.letters().len(), 2);
    (desk, dearmored(&mail))
}

/// What Mallory's mail makes the desk write: no answer, and a relay that tells where the ciphertext was seen.
#[track_caller]
fn assert_caught(letters: &[Letter], attack: &str) {
    let kinds: Vec<String> =
        letters.iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
    assert_eq!(kinds, ["relay to ada@example.org"], "{attack}");
    let relay = letters[0].text();
    for told in ["same ciphertext", "EX-2026-0001", "sam@example.com"] {
        assert!(relay.contains(told), "{attack}: {told} is not in\n{relay}");
    }
    for hidden in [SECRET, SUBJECT] {
        assert!(!String::from_utf8_lossy(letters[0].entity()).contains(hidden), "{attack}: {relay}");
    }
    for (name, bytes) in letters[0].attachments() {
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{attack}: in {name}");
    }
}

/// Each of these mails comes from Mallory, a stranger to the desk, and opens a case of her own.
fn mallory_sends(mail_with: impl Fn(&[u8]) -> String, attack: &str) {
    let (desk, ciphertext) = desk_with_report();
    desk.receives(&mail_with(&ciphertext));
    assert_eq!(desk.cases().len(), 2, "{attack}: it is a case all the same");
    assert_caught(&desk.letters(), attack);
}

fn pgp_mime_from_mallory(message: &[u8]) -> String {
    pgp_mime(&outside(super::MALLORY, 2), &packets::armored(message))
}

#[test]
fn replayed_ciphertext() {
    mallory_sends(pgp_mime_from_mallory, "as it was");
}

/// Nora's certificate is in the mail, so that the answer would be encrypted to it.
#[test]
fn replayed_ciphertext_with_a_key_for_the_answer() {
    let (desk, ciphertext) = desk_with_report();
    let key = desk.autocrypt_key("nora@example.net");
    let head = format!("Autocrypt: addr=nora@example.net; keydata={key}\n{}", outside(NORA, 2));
    desk.receives(&pgp_mime(&head, &packets::armored(&ciphertext)));
    assert_caught(&desk.letters(), "from Nora");
}

/// An armor may have any lines, comments and checksum, or be none.
#[test]
fn replayed_ciphertext_in_another_armor() {
    let with_comment = |ciphertext: &[u8]| {
        let armor = packets::armored(ciphertext);
        let (frame, rest) = armor.split_once("\n\n").unwrap();
        let (body, end) = rest.split_once("\n=").unwrap();
        let digits = body.replace('\n', "");
        let lines: Vec<&str> =
            (0..digits.len()).step_by(40).map(|at| &digits[at..digits.len().min(at + 40)]).collect();
        let end = &end[end.find('\n').unwrap()..];
        pgp_mime(&outside(super::MALLORY, 2), &format!("{frame}\nComment: mine\n\n{}{end}", lines.join("\n")))
    };
    mallory_sends(with_comment, "other lines, a comment, no checksum");
    let inline = |ciphertext: &[u8]| {
        format!(
            "{}\n\nHello, what does this mean?\n\n{}\n",
            outside(super::MALLORY, 2),
            packets::armored(ciphertext)
        )
    };
    mallory_sends(inline, "in the text");
    let file = |ciphertext: &[u8]| {
        let head = outside(super::MALLORY, 2);
        let file = format!(
            "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"report.txt.gpg\"\n\
             Content-Transfer-Encoding: base64\n\n{}",
            packets::base64(ciphertext)
        );
        format!("{head}\n{}", super::multipart("mixed", "outer", &["\nHello, what does this mean?\n", &file]))
    };
    mallory_sends(file, "as a binary file");
    let forwarded = |ciphertext: &[u8]| {
        let inner = pgp_mime(&outside(SAM, 3), &packets::armored(ciphertext));
        let forwarded = format!("Content-Type: message/rfc822\n\n{inner}");
        format!(
            "{}\n{}",
            outside(super::MALLORY, 2),
            super::multipart("mixed", "outer", &["\nHello.\n", &forwarded])
        )
    };
    mallory_sends(forwarded, "forwarded");
}

/// The same packets with lengths written in another way.
#[test]
fn replayed_ciphertext_in_other_frames() {
    let all = |frame: fn(u8, &[u8]) -> Vec<u8>| {
        move |ciphertext: &[u8]| {
            let packets = packets::split(ciphertext).into_iter();
            pgp_mime_from_mallory(&packets.flat_map(|(tag, body)| frame(tag, &body)).collect::<Vec<u8>>())
        }
    };
    mallory_sends(all(frame), "five octets");
    // tag 18 has no old format
    mallory_sends(
        all(|tag, body| if tag < 16 { packets::old_frame(tag, body) } else { frame(tag, body) }),
        "old format",
    );
    mallory_sends(
        all(|tag, body| if tag == SEIP_TAG { packets::pieces(tag, body, 4) } else { frame(tag, body) }),
        "in pieces",
    );
}

/// Packets that mean nothing, before and between.
#[test]
fn replayed_ciphertext_with_packets_added() {
    let marker = || frame(MARKER_TAG, b"PGP");
    for (added, attack) in [(marker(), "marker"), (frame(PADDING_TAG, &[7; 40]), "padding")] {
        for at in [0, 1] {
            let add = |ciphertext: &[u8]| {
                let mut packets: Vec<Vec<u8>> =
                    packets::split(ciphertext).iter().map(|(tag, body)| frame(*tag, body)).collect();
                packets.insert(at, added.clone());
                pgp_mime_from_mallory(&packets.concat())
            };
            mallory_sends(add, &format!("{attack} at {at}"));
        }
    }
}

/// Further recipients, and the same one written in another way.
#[test]
fn replayed_ciphertext_with_other_session_keys() {
    let stranger =
        || packets::pkesk(&packets::session_key(), SymmetricAlgorithm::AES256, &super::people().stranger);
    mallory_sends(|ciphertext| pgp_mime_from_mallory(&[&stranger(), ciphertext].concat()), "one more");
    let twice = |ciphertext: &[u8]| {
        let ours = frame(PKESK_TAG, &packets::body_of(ciphertext, PKESK_TAG));
        pgp_mime_from_mallory(&[&ours, &stranger(), ciphertext].concat())
    };
    mallory_sends(twice, "twice");
    let hidden = |ciphertext: &[u8]| {
        let mut body = packets::body_of(ciphertext, PKESK_TAG);
        body[1..9].fill(0);
        pgp_mime_from_mallory(&packets::with_body(ciphertext, PKESK_TAG, &body))
    };
    mallory_sends(hidden, "to a hidden recipient");
}

/// One of two ciphertexts in the mail is Sam's: the other one does not cover for it.
#[test]
fn replayed_ciphertext_behind_a_fresh_one() {
    let (desk, ciphertext) = desk_with_report();
    let fresh = desk.encrypted_mail(&outside(NORA, 9), "Content-Type: text/plain\n\nHello.\n");
    let part = |message: &[u8]| format!("\n{}", packets::armored(message));
    let parts = [part(&dearmored(&fresh)), part(&ciphertext)];
    let body = super::multipart("mixed", "outer", &[&parts[0], &parts[1]]);
    desk.receives(&format!("{}\n{body}", outside(super::MALLORY, 2)));
    assert_caught(&desk.letters(), "behind a fresh one");
}

/// In the thread of a case of her own, where nothing is acknowledged any more; and in the thread of Sam's case.
#[test]
fn replayed_ciphertext_in_a_thread() {
    for parent in ["m-5@example.net", "m-1@example.com"] {
        let (desk, ciphertext) = desk_with_report();
        desk.receives(&format!("{}\n\nA heap overflow.\n", outside(super::MALLORY, 5)));
        desk.letters();
        let head = format!("In-Reply-To: <{parent}>\n{}", outside(super::MALLORY, 6));
        desk.receives(&pgp_mime(&head, &packets::armored(&ciphertext)));
        assert_caught(&desk.letters(), parent);
    }
}

/// The desk was restarted in between: it is known all the same.
#[test]
fn replayed_ciphertext_after_a_restart() {
    let (desk, ciphertext) = desk_with_report();
    desk.restarts();
    desk.receives(&pgp_mime_from_mallory(&ciphertext));
    assert_caught(&desk.letters(), "after a restart");
}

/// Both mails come in one batch, and are decided upon together.
#[test]
fn replayed_ciphertext_at_the_same_time() {
    let desk = Desk::new();
    let mail = report(&desk);
    let hers = pgp_mime_from_mallory(&dearmored(&mail));
    desk.receives_together(&[&mail, &hers]);
    let letters = desk.letters();
    assert!(!letters.iter().any(|letter| letter.to == "mallory@example.net"));
    let relays = letters.iter().filter(|letter| letter.kind == "relay");
    let telling = relays.filter(|letter| letter.text().contains(SECRET)).count();
    assert_eq!(telling, 1, "Sam's own");
}

/// Sam sends his report again, because nobody answered: no attack.
#[test]
fn the_author_sends_it_again() {
    let (desk, ciphertext) = desk_with_report();
    desk.receives(&pgp_mime(&outside(SAM, 7), &packets::armored(&ciphertext)));
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
    assert!(relay.contains(SECRET), "{relay}");
    assert!(!relay.contains("REPLAYED"), "{relay}");
}

/// Two people send the same words: each is a ciphertext of its own.
#[test]
fn the_same_words_are_no_replay() {
    let (desk, _) = desk_with_report();
    desk.receives(
        &desk.encrypted_mail(&outside(NORA, 2), &format!("Content-Type: text/plain\n\n{SECRET}\n")),
    );
    let letters = desk.letters();
    assert_eq!(letters.len(), 2);
    assert!(letters[1].text().contains(SECRET));
}

/// Mallory was faster: her mail with Sam's ciphertext came first. His own, with his signature, is not held back for that.
#[test]
fn a_faster_thief_does_not_silence_the_author() {
    let desk = Desk::new();
    let mail = report(&desk);
    desk.receives(&pgp_mime_from_mallory(&dearmored(&mail)));
    desk.letters();
    desk.receives(&mail);
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
    assert!(relay.contains(SECRET) && relay.contains("good"), "{relay}");
}
