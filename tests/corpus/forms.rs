//! The forms in which mail programs and servers bring OpenPGP, shown on mails written for them.

use std::fmt::Write as _;
use std::io::Write as _;

use psirtd::domain::message::{Encryption, Mailbox, Message};
use psirtd::domain::signature::Signature;
use psirtd::keyring::{self, Keyring, armored};
use sequoia_openpgp::Cert;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::serialize::stream::{
    Armorer, Encryptor, LiteralWriter, Message as Writer, Recipient, Signer,
};

use crate::corpus::laws::Desk;
use crate::corpus::now;

const RITA: &str = "rita@example.net";

/// A desk, and Rita with a key that the desk holds.
struct Pair {
    desk: Desk,
    rita: Keyring,
}

impl Pair {
    fn new() -> Self {
        let mut desk = Desk::new();
        let secret = keyring::generate(&Mailbox::bare(RITA), now(), false).unwrap();
        let mut rita = Keyring::new();
        rita.add_secret_keys(secret.as_bytes(), None).unwrap();
        desk.keyring.add_certificates(secret.as_bytes(), None).unwrap();
        Self { desk, rita }
    }

    fn cert(&self) -> Cert {
        self.rita.desk().unwrap().clone().strip_secret_key_material()
    }

    /// A detached signature by Rita.
    fn sign(&self, bytes: &[u8]) -> String {
        let mut sink = Vec::new();
        let armor = Armorer::new(Writer::new(&mut sink)).kind(Kind::Signature).build().unwrap();
        let pair = self.rita.signer(now()).unwrap();
        let signer = Signer::new(armor, pair).unwrap().detached();
        let mut signer = signer.creation_time(keyring::system_time(now())).build().unwrap();
        signer.write_all(bytes).unwrap();
        signer.finalize().unwrap();
        String::from_utf8(sink).unwrap()
    }

    /// An entity with Rita's signature (RFC 3156 §5).
    fn signed(&self, entity: &str) -> String {
        let signature = self.sign(entity.trim_end_matches('\n').replace('\n', "\r\n").as_bytes());
        let entity = entity.trim_end_matches('\n');
        format!(
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=s\n\n\
             --s\n{entity}\n--s\nContent-Type: application/pgp-signature\n\n{signature}\n--s--\n"
        )
    }

    /// An entity encrypted to the desk.
    fn encrypted(&self, entity: &str) -> String {
        let mail = self.desk.mail("multipart/encrypted", "", entity, "");
        mail.split_once("Subject: ...\n").unwrap().1.to_owned()
    }

    /// The entity as a mail by Rita.
    fn open(&self, entity: &str) -> Message {
        self.desk.open(&format!("From: {RITA}\nSubject: ...\n{entity}"))
    }

    /// Armor that ends with padding, as two thirds of all do.
    fn padded(&self, text: &str) -> String {
        let texts = (0..).map(|more| format!("{text}{}", "!".repeat(more)));
        let mut blocks = texts.map(|text| self.desk.encrypt(&text));
        blocks.find(|block| block.contains("=\n")).unwrap()
    }
}

/// A multipart/mixed of parts that each begin with their header.
fn mixed(parts: &[&str]) -> String {
    let mut mail = "Content-Type: multipart/mixed; boundary=m\n\n".to_owned();
    for part in parts {
        write!(mail, "--m\n{part}\n").unwrap();
    }
    mail + "--m--\n"
}

fn file(name: &str, bytes: &str) -> String {
    format!(
        "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename={name}\n\n{bytes}"
    )
}

fn good(message: &Message) -> bool {
    matches!(message.signature, Signature::Good(_))
}

#[test]
fn armor_is_read_whatever_encoding_is_declared() {
    let pair = Pair::new();
    let block = pair.padded("secret words");
    for (encoding, body) in [
        ("7bit", block.clone()),
        ("quoted-printable", block.clone()),
        ("base64", block.clone()),
        ("quoted-printable", block.replace('=', "=3D")),
    ] {
        let header = format!("Content-Transfer-Encoding: {encoding}\n\n");
        let inline = pair.open(&format!("Content-Type: text/plain\n{header}{body}"));
        assert!(inline.text.starts_with("secret words"), "{encoding}: {inline:?}");
        assert_eq!(inline.encryption, Encryption::Whole);
        let mime = pair.open(&format!(
            "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=e\n\n\
             --e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\
             --e\nContent-Type: application/octet-stream\n{header}{body}\n--e--\n"
        ));
        assert!(mime.text.starts_with("secret words"), "{encoding}: {mime:?}");
    }
}

#[test]
fn armor_in_html_keeps_its_lines() {
    let pair = Pair::new();
    let block = pair.desk.encrypt("secret words");
    let lines: Vec<&str> = block.lines().collect();
    let wrap = |before: &str, empty: &str, after: &str| -> String {
        let line = |line: &&str| format!("{before}{}{after}", if line.is_empty() { empty } else { line });
        lines.iter().map(line).collect()
    };
    for (name, html) in [
        ("pre", format!("<pre>\n{block}</pre>")),
        ("pre with entities", format!("<pre>\n{}</pre>", block.replace('+', "&#43;").replace('=', "&#61;"))),
        ("in a text", format!("<p>Dear all,</p>\n{}<p>Rita</p>", wrap("", "", "<br>"))),
        ("br", wrap("", "", "<br>\n")),
        ("one line", wrap("", "", "<br>")),
        ("paragraphs", wrap("<p>", "", "</p>\n")),
        ("nbsp", wrap("<div>", "&nbsp;", "</div>\n")),
        ("nbsp and br", wrap("<div>", "&nbsp;", "</div><br>\n")),
    ] {
        let message = pair.open(&format!("Content-Type: text/html\n\n<html><body>{html}</body></html>\n"));
        assert!(message.decrypted && message.text.contains("secret words"), "{name}: {message:?}");
    }
    let nbsp = block.replacen("\n\n", "\n\u{a0}\n", 1);
    let message = pair.open(&format!("Content-Type: text/plain; charset=utf-8\n\n{nbsp}"));
    assert_eq!(message.text, "secret words");
}

/// So Proton's bridge delivers what Exchange breaks up.
#[test]
fn a_text_that_says_it_is_empty_is_no_text() {
    let pair = Pair::new();
    let secret = "Content-Type: text/plain; protected-headers=v1\nSubject: the hole\n\nsecret words\n";
    for (text, whole) in [("Empty Message", true), ("", true), ("Read this!", false)] {
        let before = format!("--e\nContent-Type: text/plain\n\n{text}\n");
        let message = pair.desk.open(&pair.desk.mail("multipart/mixed", &before, secret, ""));
        assert_eq!(message.encryption == Encryption::Whole, whole, "{text}");
        assert_eq!(message.subject.as_deref() == Some("the hole"), whole, "{text}");
        assert!(message.text.contains("secret words"), "{message:?}");
    }
}

/// So a group of Google's adds its footer: text beside the ciphertext, which anybody could have added.
#[test]
fn a_footer_beside_the_ciphertext_stays_outside() {
    let pair = Pair::new();
    let inner =
        pair.encrypted("Content-Type: text/plain; protected-headers=v1\nSubject: x\n\nsecret words\n");
    let footer = "Content-Type: text/plain\n\nTo unsubscribe";
    for parts in [[footer, inner.as_str()], [inner.as_str(), footer]] {
        let message = pair.open(&mixed(&parts));
        assert_eq!((message.encryption, message.subject.as_deref()), (Encryption::Part, Some("...")));
        let framed = "[decrypted part]\nsecret words\n\n[end of the decrypted part]";
        assert!(message.decrypted && message.text.contains(framed), "{}", message.text);
    }
}

#[test]
fn a_ciphertext_is_opened_in_frames_that_are_not_quite_right() {
    let pair = Pair::new();
    let secret = "Content-Type: text/plain; protected-headers=v1\nSubject: the hole\n\nsecret words\n";
    let (entity, bare) = (pair.desk.encrypt(secret), pair.desk.encrypt("secret words"));
    for (frame, subject) in [
        (format!("Content-Type: application/pgp-encrypted\n\n{entity}"), "the hole"),
        (format!("Content-Type: application/octet-stream\n\n{entity}"), "the hole"),
        (format!("Content-Type: application/pgp; format=text; x-action=encrypt\n\n{bare}"), "..."),
    ] {
        let message = pair.open(&frame);
        assert_eq!((message.text.trim(), message.encryption), ("secret words", Encryption::Whole), "{frame}");
        assert_eq!((message.subject.as_deref(), message.attachments.len()), (Some(subject), 0));
    }
    let footer = "--e\nContent-Type: text/plain\n\nTo unsubscribe\n";
    let message = pair.desk.open(&pair.desk.mail("multipart/encrypted", "", secret, footer));
    let framed = "[decrypted part]\nsecret words\n\n[end of the decrypted part]\nTo unsubscribe";
    assert_eq!((message.text.trim(), message.encryption, message.problem), (framed, Encryption::Part, None));
}

#[test]
fn a_file_beside_its_signature_is_signed_in_part() {
    let pair = Pair::new();
    let (poc, signature) = (file("poc.py", "print(1)"), pair.sign(b"print(1)"));
    let stranger = Pair::new().sign(b"print(1)");
    for (bytes, by, word) in [
        (&poc, &signature, "partial"),
        (&file("poc.py", "print(2)"), &signature, "bad"),
        (&poc, &stranger, "unknown-key"),
        (&file("other.py", "print(1)"), &signature, "none"),
    ] {
        let message = pair.open(&mixed(&["\nsee", bytes, &file("poc.py.asc", by)]));
        assert_eq!(message.signature.word(), word, "{message:?}");
        assert_eq!((message.attachments.len(), message.problem), (2, None));
    }
}

#[test]
fn keys_and_ciphertext_are_told_from_other_files() {
    let pair = Pair::new();
    let encoded = |name: &str, bytes: &[u8]| {
        let text: String = bytes.iter().map(|byte| format!("={byte:02X}")).collect::<Vec<_>>().join("=\n");
        file(name, "").trim_end().to_owned() + "\nContent-Transfer-Encoding: quoted-printable\n\n" + &text
    };
    let cert = pair.cert();
    for key in [file("rita.asc", &armored(&cert).unwrap()), encoded("rita.gpg", &cert.to_vec().unwrap())] {
        let message = pair.open(&mixed(&["\nmy key", &key]));
        let offered: Vec<Cert> =
            message.offered_certs.iter().map(|(_, bytes)| Cert::from_bytes(bytes).unwrap()).collect();
        assert_eq!((offered, message.attachments.len()), (vec![cert.clone()], 1));
        assert_eq!((message.problem, message.problems), (None, vec![]));
    }
    let block = pair.desk.encrypt("print(1)");
    let mut binary = Vec::new();
    std::io::copy(&mut sequoia_openpgp::armor::Reader::from_bytes(block.as_bytes(), None), &mut binary)
        .unwrap();
    for name in ["poc.py.gpg", "poc.py.PGP", "poc.py.asc"] {
        let message = pair.open(&mixed(&["\nsee", &encoded(name, &binary)]));
        assert_eq!(message.attachments[0].bytes, b"print(1)", "{name}");
        let cut = pair.open(&mixed(&["\nsee", &encoded(name, &binary[..binary.len() - 4])]));
        assert!(cut.problem.is_some() && cut.attachments[0].bytes == binary[..binary.len() - 4], "{name}");
    }
    // a name proves nothing
    let message = pair.open(&mixed(&["\nsee", &file("notes.pgp", "milk, bread")]));
    assert_eq!((message.problem, message.attachments[0].bytes.as_slice()), (None, b"milk, bread".as_slice()));
}

/// RFC 3156 §6.1: the two layers one in the other, as they are nested by those who do not combine them. A signature outside is
/// over a ciphertext only, which anybody can sign.
#[test]
fn signed_in_encrypted_and_encrypted_in_signed() {
    let pair = Pair::new();
    let text = "Content-Type: text/plain; protected-headers=v1\nSubject: the hole\n\nsecret words\n";
    for (nested, word) in
        [(pair.encrypted(&pair.signed(text)), "good"), (pair.signed(&pair.encrypted(text)), "partial")]
    {
        let message = pair.open(&nested);
        assert_eq!(message.signature.word(), word, "{:?}: {:?}", message.signature, message.problems);
        assert_eq!((message.text.trim(), message.encryption), ("secret words", Encryption::Whole));
        assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("the hole"), true));
    }
}

#[test]
fn a_signature_is_one_under_any_name() {
    let pair = Pair::new();
    let signed = pair.signed("Content-Type: text/plain\n\nwords\n");
    for (protocol, part) in [
        ("application/pgp-signature", "application/octet-stream"),
        ("application/x-signature", "application/pgp-signature"),
        ("application/x-signature", "application/x-signature"),
    ] {
        let renamed = signed.replacen("application/pgp-signature", protocol, 1);
        let renamed = renamed.replace("Type: application/pgp-signature", &format!("Type: {part}"));
        let message = pair.open(&renamed);
        assert!(good(&message) && message.attachments.is_empty(), "{protocol}, {part}: {message:?}");
        let forged = pair.open(&renamed.replace("words", "lies"));
        assert_eq!(forged.signature.word(), "bad", "{protocol}, {part}");
    }
}

/// RFC 8551 §3.1.
#[test]
fn a_mail_wrapped_to_protect_its_header_is_the_mail() {
    let pair = Pair::new();
    let wrapped = |how: &str| {
        format!("Content-Type: message/rfc822{how}\n\nFrom: {RITA}\nSubject: the hole\n\nsecret words\n")
    };
    let message = pair.open(&pair.encrypted(&wrapped("; forwarded=no")));
    assert_eq!((message.text.trim(), message.attachments.len()), ("secret words", 0));
    assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("the hole"), true));
    let message = pair.open(&pair.signed(&wrapped("; forwarded=no")));
    assert_eq!((message.text.trim(), good(&message)), ("secret words", true));
    assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("the hole"), false));
    // forwarded, or outside every layer
    for mail in [pair.encrypted(&wrapped("")), wrapped("; forwarded=no")] {
        let message = pair.open(&mail);
        assert_eq!((message.subject.as_deref(), message.attachments.len()), (Some("..."), 1), "{message:?}");
        assert!(message.text.starts_with("[forwarded mail: \"the hole\""), "{}", message.text);
    }
}

#[test]
fn what_only_old_programs_are_shown_is_left_out_of_an_encrypted_part() {
    let pair = Pair::new();
    let text = "Content-Type: text/plain; hp=cipher; hp-legacy-display=1\n\nSubject: the hole\nKeywords: a\n b\n\nwords\n";
    let html = "Content-Type: text/html; hp-legacy-display=\"1\"\n\n<html><body>\n\
        <div class=\"header-protection-legacy-display\"><pre>Subject: the hole</pre></div><p>words</p></body></html>\n";
    let display = |media_type: &str| {
        let shown = format!("Content-Type: {media_type}; protected-headers=\"v1\"\n\nSubject: the hole\n");
        mixed(&[&shown, "Content-Type: text/plain\n\nwords\n"])
    };
    let (plain, headers) = (display("text/plain"), display("text/rfc822-headers"));
    for payload in [text, html, &plain, &headers] {
        for inside in [pair.encrypted(payload), pair.encrypted(&pair.signed(payload))] {
            let message = pair.open(&inside);
            assert_eq!(message.text.trim(), "words", "{payload}");
        }
        for outside in [payload.to_owned(), pair.signed(payload)] {
            let message = pair.open(&outside);
            let all = message.text.clone()
                + &message
                    .attachments
                    .iter()
                    .map(|file| String::from_utf8_lossy(&file.bytes))
                    .collect::<String>();
            assert!(all.contains("the hole"), "{payload}: {message:?}");
        }
    }
}

/// A server returns a letter that somebody here wrote: that it cannot be read is said, what it says is not.
#[test]
fn an_encrypted_mail_that_came_back_is_flagged() {
    let pair = Pair::new();
    let stranger = Pair::new();
    let report = |original: &str| {
        format!(
            "Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\n\nNo such user.\n\
             --r\nContent-Type: message/delivery-status\n\nAction: failed\n\
             --r\nContent-Type: message/rfc822\n\nFrom: ada@example.org\n{original}\n--r--\n"
        )
    };
    let secret = "Content-Type: text/plain\n\nsecret words\n";
    let message = pair.open(&report(&stranger.encrypted(secret)));
    let why = "the mail that came back: no secret key for this message";
    assert_eq!((message.problem.as_deref(), message.encryption), (Some(why), Encryption::Part));
    for readable in [pair.encrypted(secret), secret.to_owned()] {
        let message = pair.open(&report(&readable));
        assert_eq!((message.text.trim(), message.problem), ("No such user.", None));
    }
}

/// Encrypted to several people, and in a way that tells nobody to whom (gpg --throw-keyids).
#[test]
fn several_and_hidden_recipients() {
    let desk = Desk::new();
    let policy = keyring::policy(now());
    let others: Vec<Cert> = (0..5)
        .map(|n| keyring::generate(&Mailbox::bare(format!("p{n}@example.com")), now(), false).unwrap())
        .map(|secret| keyring::certificate(secret.as_bytes()).unwrap())
        .collect();
    for hidden in [false, true] {
        let certs = others.iter().chain(desk.keyring.desk());
        let keys = certs.flat_map(|cert| keyring::encryption_keys(cert, &policy, now()).unwrap());
        let recipients = keys.map(|key| {
            let recipient = Recipient::from(key);
            if hidden { recipient.set_key_handle(None).unwrap() } else { recipient }
        });
        let mut sink = Vec::new();
        let armor = Armorer::new(Writer::new(&mut sink)).kind(Kind::Message).build().unwrap();
        let encryptor = Encryptor::for_recipients(armor, recipients).build().unwrap();
        let mut literal = LiteralWriter::new(encryptor).build().unwrap();
        literal.write_all(b"secret words").unwrap();
        literal.finalize().unwrap();
        let message = desk.open(&format!("From: {RITA}\n\n{}", String::from_utf8(sink).unwrap()));
        assert_eq!(
            (message.text.as_str(), message.decrypted),
            ("secret words", true),
            "{:?}",
            message.problem
        );
    }
}
