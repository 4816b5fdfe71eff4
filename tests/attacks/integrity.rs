//! Ciphertext that was changed on its way. What protects it is missing, wrong or cut off: nothing of it may be shown.

use super::packets::{self, PKESK_TAG, SED_TAG, SEIP_TAG, frame, literal};
use super::{MALLORY, SAM, SECRET, assert_closed, mail_around, opened, people, shows};
use sequoia_openpgp::types::{CompressionAlgorithm, SymmetricAlgorithm};

/// What Sam's program encrypts.
fn entity() -> String {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{SECRET}\r\n")
}

/// A session key and its packet for the desk.
fn session() -> (sequoia_openpgp::crypto::SessionKey, Vec<u8>) {
    let key = packets::session_key();
    let packet = packets::pkesk(&key, SymmetricAlgorithm::AES256, &people().desk);
    (key, packet)
}

/// Sends it as PGP/MIME, as a block in the text and as a file.
#[track_caller]
fn assert_refused(message: &[u8], attack: &str) {
    let armored = packets::armored(message);
    let head = super::header(SAM);
    assert_closed(&opened(&mail_around(SAM, message)), attack);
    assert_closed(&opened(&format!("{head}\n\n{armored}\n")), &format!("{attack}, inline"));
    let file = format!(
        "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"poc.pgp\"\n\n{armored}"
    );
    assert_closed(&opened(&super::mixed(SAM, &["\nsee the file", &file])), &format!("{attack}, as a file"));
}

/// What the attacks below change is a message that opens as it is, so each of them could have succeeded.
#[test]
fn what_nobody_changed_is_opened() {
    let (key, session) = session();
    let content = literal(&entity());
    let whole = [session, packets::seip(&key, &packets::with_digest(&content))].concat();
    for message in [whole, packets::to_desk_in_chunks(&entity())] {
        let seen = opened(&mail_around(SAM, &message));
        assert!(seen.decrypted && seen.text.contains(SECRET), "{:?}", seen.problem);
        let reframed: Vec<u8> =
            packets::split(&message).iter().flat_map(|(tag, body)| frame(*tag, body)).collect();
        assert!(opened(&mail_around(SAM, &reframed)).decrypted, "framed anew by these tests");
    }
}

/// EFAIL's gadgets: in CFB, who knows a block of the text can make any other of it, and move the rest about.
#[test]
fn efail_cfb_gadget() {
    let (key, session) = session();
    let packed = packets::compressed(CompressionAlgorithm::Zip, &literal(&entity()));
    for content in [literal(&entity()), packed] {
        let body = packets::body_of(&packets::seip(&key, &packets::with_digest(&content)), SEIP_TAG);
        let block = |number: usize| 1 + 16 * number..17 + 16 * number;

        let mut exored = body.clone();
        for (byte, mask) in exored[block(1)].iter_mut().zip(b"<img src=evil://") {
            *byte ^= mask;
        }
        let mut swapped = body.clone();
        let (second, third) = (body[block(1)].to_vec(), body[block(2)].to_vec());
        swapped[block(1)].copy_from_slice(&third);
        swapped[block(2)].copy_from_slice(&second);
        let repeated = [&body[..block(2).end], &body[block(1).start..]].concat();
        let dropped = [&body[..block(1).start], &body[block(2).start..]].concat();
        for (body, how) in [(exored, "xor"), (swapped, "swap"), (repeated, "repeat"), (dropped, "drop")] {
            assert_refused(&[&session[..], &frame(SEIP_TAG, &body)].concat(), how);
        }
    }
}

#[test]
fn every_single_bit_of_the_ciphertext_counts() {
    let message = packets::to_desk(&literal(&entity()));
    let body = packets::body_of(&message, SEIP_TAG);
    for at in 0..body.len() {
        let mut changed = body.clone();
        changed[at] ^= 1;
        let seen = opened(&mail_around(SAM, &packets::with_body(&message, SEIP_TAG, &changed)));
        assert_closed(&seen, &format!("octet {at}"));
    }
}

#[test]
fn mdc_stripped() {
    let (key, session) = session();
    let content = literal(&entity());
    let without = packets::seip(&key, &packets::without_digest(&content));
    assert_refused(&[&session[..], &without].concat(), "never there");
    let whole = packets::with_digest(&content);
    for cut in [1, 20, 21, 22] {
        let shorter = packets::seip(&key, &whole[..whole.len() - cut]);
        assert_refused(&[&session[..], &shorter].concat(), &format!("{cut} octets cut off"));
        let body = packets::body_of(&packets::seip(&key, &whole), SEIP_TAG);
        let torn = frame(SEIP_TAG, &body[..body.len() - cut]);
        assert_refused(&[&session[..], &torn].concat(), &format!("{cut} octets torn off"));
    }
}

#[test]
fn mdc_wrong() {
    let (key, session) = session();
    let content = literal(&entity());
    let other = packets::with_digest(&literal("something else"));
    let digest = &other[other.len() - 20..];
    let mut wrong = packets::with_digest(&content);
    let at = wrong.len() - 20;
    wrong[at..].copy_from_slice(digest);
    assert_refused(&[&session[..], &packets::seip(&key, &wrong)].concat(), "digest of something else");
    wrong[at..].fill(0);
    assert_refused(&[&session[..], &packets::seip(&key, &wrong)].concat(), "zeros");
    let inner = [&content[..], &packets::with_digest(&content)[18 + content.len()..]].concat();
    let not_last = [packets::without_digest(&inner), literal("more")].concat();
    assert_refused(&[&session[..], &packets::seip(&key, &not_last)].concat(), "digest before the end");
}

/// The tag of the packet is not protected: rewritten to the old one, it asks for no integrity at all.
#[test]
fn seip_downgraded_to_sed() {
    let (key, session) = session();
    // from the second block on it reads the same, when the first two octets are gone
    let content = [literal("x"), literal(&entity())].concat();
    let body = packets::body_of(&packets::seip(&key, &packets::with_digest(&content)), SEIP_TAG);
    for (body, how) in [(&body[1..], "as it is"), (&body[3..], "moved"), (&body[..], "with its version")] {
        assert_refused(&[&session[..], &frame(SED_TAG, body)].concat(), how);
        assert_refused(&[&session[..], &packets::old_frame(SED_TAG, body)].concat(), how);
    }
}

#[test]
fn genuine_sed() {
    let (key, session) = session();
    for content in [
        literal(&entity()),
        packets::compressed(CompressionAlgorithm::Zip, &literal(&entity())),
        packets::by(&people().sam).message(&entity()),
    ] {
        assert_refused(&[&session[..], &packets::sed(&key, &content)].concat(), "sed");
    }
}

/// The old packet inside the new one, and beside it.
#[test]
fn sed_inside_and_beside_seip() {
    let (key, session) = session();
    let sed = packets::sed(&key, &literal(&entity()));
    assert_refused(&packets::to_desk(&[&session[..], &sed].concat()), "inside");
    let honest = packets::seip(&key, &packets::with_digest(&literal("Hello.")));
    let beside = opened(&mail_around(SAM, &[&session[..], &honest, &sed].concat()));
    assert!(!shows(&beside, SECRET), "{beside:?}");
}

/// Long enough for many chunks, so that what comes first is authentic by itself.
fn long_text() -> String {
    format!("Content-Type: text/plain\r\n\r\n{SECRET}\r\n{}", "All of it matters.\r\n".repeat(1000))
}

/// The header of the packet, before its first chunk: version, cipher, mode, size of a chunk, salt.
const HEADER: usize = 4 + 32;
/// A chunk with its tag.
const CHUNK: usize = 4096 + 16;

#[test]
fn aead_truncated() {
    let message = packets::to_desk_in_chunks(&long_text());
    let body = packets::body_of(&message, SEIP_TAG);
    assert!(body.len() > HEADER + 4 * CHUNK);
    for (kept, how) in [
        (body.len() - 16, "without the last tag"),
        (body.len() - 1, "without the last octet"),
        (HEADER + 4 * CHUNK, "without the last chunk and tag"),
        (HEADER + CHUNK, "the first chunk alone"),
        (HEADER + CHUNK + 100, "within a chunk"),
        (HEADER, "no chunk"),
        (HEADER - 1, "within the salt"),
    ] {
        assert_refused(&packets::with_body(&message, SEIP_TAG, &body[..kept]), how);
    }
    // the last chunk taken out, the last tag kept
    let end = (body.len() - HEADER - 16) / CHUNK * CHUNK + HEADER;
    let spliced = [&body[..end], &body[body.len() - 16..]].concat();
    assert_refused(&packets::with_body(&message, SEIP_TAG, &spliced), "with the last tag of the whole");
}

#[test]
fn aead_changed() {
    let message = packets::to_desk_in_chunks(&long_text());
    let body = packets::body_of(&message, SEIP_TAG);
    let last = body.len() - 1;
    for at in [1, 2, 3, 5, HEADER, HEADER + 4095, HEADER + CHUNK - 1, HEADER + 3 * CHUNK, last - 16, last] {
        let mut changed = body.clone();
        changed[at] ^= 1;
        assert_refused(&packets::with_body(&message, SEIP_TAG, &changed), &format!("octet {at}"));
    }
    let mut swapped = body.clone();
    swapped[HEADER..HEADER + 2 * CHUNK].rotate_left(CHUNK);
    assert_refused(&packets::with_body(&message, SEIP_TAG, &swapped), "chunks swapped");
    let doubled = [&body[..HEADER + CHUNK], &body[HEADER..]].concat();
    assert_refused(&packets::with_body(&message, SEIP_TAG, &doubled), "a chunk twice");
}

/// The newest form rewritten to an older one, whose session key would be the same.
#[test]
fn aead_downgraded() {
    let message = packets::to_desk_in_chunks(&long_text());
    let body = packets::body_of(&message, SEIP_TAG);
    let as_version_1 = [&[1], &body[1..]].concat();
    assert_refused(&packets::with_body(&message, SEIP_TAG, &as_version_1), "version 1");
    let session = frame(PKESK_TAG, &packets::body_of(&message, PKESK_TAG));
    assert_refused(&[&session[..], &frame(SED_TAG, &body[HEADER..])].concat(), "tag 9");
}

/// Longer than what the library keeps back until it has seen the end: it hands out the beginning unchecked.
#[test]
fn the_end_of_a_long_message_is_wrong() {
    let (key, session) = session();
    let text = format!("{}{}", entity(), "\0".repeat(28 << 20));
    let content = packets::compressed(CompressionAlgorithm::Zip, &literal(&text));
    let mut plain = packets::with_digest(&content);
    let unread = format!("Content-Type: application/octet-stream\n\n{}", "unread\n".repeat(250_000));
    let mail = |plain: &[u8]| {
        let message = packets::armored(&[&session[..], &packets::seip(&key, plain)].concat());
        super::mixed(MALLORY, &[&format!("\n{message}"), &unread])
    };
    let whole = opened(&mail(&plain));
    assert!(whole.decrypted && shows(&whole, SECRET), "{:?}", whole.problem);
    *plain.last_mut().unwrap() ^= 1;
    assert_closed(&opened(&mail(&plain)), "wrong digest at the end");
}
