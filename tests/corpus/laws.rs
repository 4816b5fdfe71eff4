//! Laws that hold for every mail, shown on mails written for them.

use std::io::Write;
use std::time::Instant;

use proptest::prelude::*;
use psirtd::domain::message::{Encryption, Mailbox, Message};
use psirtd::keyring::{self, Keyring};
use psirtd::open::{open, twin};
use sequoia_openpgp::Cert;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message as Writer, Recipient};

use crate::corpus::{LIMIT, now};

const PLAIN: &str = "Return-Path: <rita@example.net>\r\nReceived: from a by b; Mon, 1 Jun 2026 00:00:00 +0000\r\n\
    From: =?utf-8?Q?R=C3=ADta?= <rita@example.net>\r\nTo: security@example.org\r\nMessage-ID: <1@example.net>\r\n\
    Subject: =?iso-8859-1?B?6Q==?= =?utf-8?Q?_hole?=\r\nDate: Mon, 1 Jun 2026 00:00:00 Z\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nA h=C3=B6le.\r\n--b\r\nContent-Type: application/octet-stream;\r\n \
    name*0*=utf-8''p%6f; name*1=c.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b\r\n\
    Content-Type: message/rfc822\r\n\r\nFrom: x@example.com\r\n\r\ninner\r\n--b--\r\n";

const SIGNED: &str = "From: rita@example.net\nSubject: x\nContent-Type: multipart/signed; micalg=pgp-sha512;\n \
    protocol=\"application/pgp-signature\"; boundary=s\n\n--s\nContent-Type: text/plain; protected-headers=v1\nSubject: y\n\n\
    text\n--s\nContent-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n\n\
    iHUEABYKAB0WIQTrhbtfozp14V6UTmPyMVUMT0fjjgUCaaaaaAAKCRDyMVUMT0fj\n-----END PGP SIGNATURE-----\n--s--\n";

/// A desk with a key, and what encrypts to it.
pub(super) struct Desk {
    pub(super) keyring: Keyring,
}

impl Desk {
    pub(super) fn new() -> Self {
        let secret = keyring::generate(&Mailbox::bare("security@example.org"), now(), false).unwrap();
        let mut keyring = Keyring::new();
        keyring.add_secret_keys(secret.as_bytes(), None).unwrap();
        Self { keyring }
    }

    pub(super) fn encrypt(&self, text: &str) -> String {
        let desk: &Cert = self.keyring.desk().unwrap();
        let policy = keyring::policy(now());
        let keys = keyring::encryption_keys(desk, &policy, now()).unwrap();
        let mut sink = Vec::new();
        let armor = Armorer::new(Writer::new(&mut sink)).kind(Kind::Message).build().unwrap();
        let encryptor =
            Encryptor::for_recipients(armor, keys.into_iter().map(Recipient::from)).build().unwrap();
        let mut literal = LiteralWriter::new(encryptor).build().unwrap();
        literal.write_all(text.as_bytes()).unwrap();
        literal.finalize().unwrap();
        String::from_utf8(sink).unwrap()
    }

    /// The two parts of RFC 3156 under the multipart type given, with `around` as further parts.
    pub(super) fn mail(&self, media_type: &str, before: &str, text: &str, after: &str) -> String {
        format!(
            "From: rita@example.net\nSubject: ...\nContent-Type: {media_type}; boundary=e; \
             protocol=\"application/pgp-encrypted\"\n\n{before}--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\
             --e\nContent-Type: application/octet-stream\n\n{}\n{after}--e--\n",
            self.encrypt(text)
        )
    }

    pub(super) fn open(&self, mail: &str) -> Message {
        open(mail.as_bytes(), &self.keyring, now())
    }
}

const SECRET: &str = "Content-Type: text/plain; protected-headers=v1\nSubject: the hole\n\nsecret words\n";

fn written(desk: &Desk) -> Vec<String> {
    let inline = format!("From: rita@example.net\n\nhello\n{}bye\n", desk.encrypt("inline secret"));
    vec![PLAIN.to_owned(), SIGNED.to_owned(), desk.mail("multipart/encrypted", "", SECRET, ""), inline]
}

#[test]
fn a_mail_may_end_anywhere() {
    let desk = Desk::new();
    for mail in written(&desk) {
        for end in 0..mail.len() {
            open(&mail.as_bytes()[..end], &desk.keyring, now());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_opened(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        open(&bytes, &Keyring::new(), now());
    }

    #[test]
    fn any_header_is_opened(value in "[ -~\\n\\t\u{80}-\u{ff}]{0,200}", name in "(From|To|Subject|Date|References|Content-Type|Received|Autocrypt)") {
        open(format!("{name}: {value}\n\ntext").as_bytes(), &Keyring::new(), now());
    }

    #[test]
    fn any_byte_may_be_another(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 32)) {
        let desk = Desk::new();
        for mail in written(&desk) {
            for (place, byte) in &places {
                let mut bytes = mail.clone().into_bytes();
                let place = place.index(bytes.len());
                bytes[place] = *byte;
                let message = open(&bytes, &desk.keyring, now());
                prop_assert!(message.text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            }
        }
    }

    #[test]
    fn the_way_it_came_makes_no_other_mail(hops in proptest::collection::vec("[a-z0-9 .;:]{0,60}", 0..5)) {
        let keyring = Keyring::new();
        let trace: String = hops.iter().map(|hop| format!("Received: {hop}\r\n")).collect();
        let other = format!("Delivered-To: s@example.org\r\n{trace}{PLAIN}");
        let (a, b) = (open(PLAIN.as_bytes(), &keyring, now()), open(other.as_bytes(), &keyring, now()));
        prop_assert_eq!(twin(PLAIN.as_bytes(), &a), twin(other.as_bytes(), &b));
        prop_assert_ne!(&a.digest, &b.digest);
        let changed = PLAIN.replace("h=C3=B6le", "mole");
        let c = open(changed.as_bytes(), &keyring, now());
        prop_assert_ne!(twin(PLAIN.as_bytes(), &a), twin(changed.as_bytes(), &c));
    }
}

/// Shapes that cost a careless parser its stack or its afternoon.
#[test]
fn hostile_shapes_cost_little() {
    let deep = |n: usize| -> String {
        (0..n).map(|n| format!("Content-Type: multipart/mixed; boundary=\"b{n}\"\n\n--b{n}\n")).collect()
    };
    let shapes = [
        ("nested multiparts", deep(90)),
        ("nested mails", "Content-Type: message/rfc822\n\n".repeat(20_000)),
        ("nested mails, folded", "content-type:\n MESSAGE/\n\tRFC822;a=b\n\n".repeat(20_000)),
        (
            "nested digests",
            format!(
                "Content-Type: multipart/digest; boundary=d\n\n--d\nContent-Transfer-Encoding: \
          quoted-printable\n\n{}",
                "Content-Type: message/global\n\n".repeat(20_000)
            ),
        ),
        (
            "nested mails, encoded",
            format!(
                "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n{}",
                "Content-Type: message/rfc=\n822\n\n".repeat(20_000)
            ),
        ),
        ("one line", format!("Subject: {}\n\nx", "=?utf-8?q?a?= ".repeat(15_000))),
        ("comments", format!("From: {}\n\nx", "(".repeat(200_000))),
        ("addresses", format!("From: {}\n\nx", "a@b,".repeat(50_000))),
        ("references", format!("References: {}\n\nx", "<a@b>".repeat(40_000))),
        ("tags", format!("Content-Type: text/html\n\n{}", "<".repeat(2_000_000))),
        ("entities", format!("Content-Type: text/html\n\n{}", "&#".repeat(1_000_000))),
        ("parameters", format!("Content-Type: text/plain{}\n\nx", "; a*0*=x".repeat(20_000))),
        (
            "armor",
            format!(
                "From: a@b\n\n{}",
                "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n".repeat(20_000)
            ),
        ),
        ("dashes", format!("Content-Type: multipart/mixed; boundary=-\n\n{}", "-".repeat(2_000_000))),
        ("lines", format!("From: a@b\n\n{}", "\n".repeat(3_000_000))),
        (
            "armor in tags",
            format!("Content-Type: text/html\n\n-----BEGIN PGP MESSAGE-----{}", "<p>\n".repeat(500_000)),
        ),
        (
            "wrapped mails",
            format!(
                "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\n\n--b\n{}\n--b\n\nx\n--b--\n",
                "Content-Type: message/rfc822; forwarded=no\n\n".repeat(20_000)
            ),
        ),
        (
            "signed files",
            format!(
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=a\n\n{}\n{}",
                "0123456789abcdef".repeat(500_000),
                format!(
                    "--b\nContent-Disposition: attachment; filename=a.asc\n\n{}\n",
                    SIGNED.split_once("pgp-signature\n\n").unwrap().1.trim_end_matches("--s--\n")
                )
                .repeat(400)
            ),
        ),
        (
            "quoted-printable",
            format!("Content-Transfer-Encoding: quoted-printable\n\n{}", "=\n=".repeat(500_000)),
        ),
    ];
    for (name, mail) in shapes {
        let start = Instant::now();
        open(mail.as_bytes(), &Keyring::new(), now());
        let took = start.elapsed();
        println!("{name}: {took:?}");
        assert!(took < LIMIT, "{name}: {took:?}");
    }
}

#[test]
fn a_whole_encrypted_mail_brings_its_own_subject() {
    let desk = Desk::new();
    let message = desk.open(&desk.mail("multipart/encrypted", "", SECRET, ""));
    assert_eq!(message.text.trim(), "secret words");
    assert_eq!((message.encryption, message.decrypted), (Encryption::Whole, true));
    assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("the hole"), true));
}

/// So Exchange delivers it: an empty text, and the two parts as attachments.
#[test]
fn what_exchange_breaks_up_is_still_whole() {
    let desk = Desk::new();
    let empty = "--e\nContent-Type: text/plain\n\n\n";
    let message = desk.open(&desk.mail("multipart/mixed", empty, SECRET, ""));
    assert_eq!((message.text.trim(), message.encryption), ("secret words", Encryption::Whole));
}

/// EFAIL: an attacker frames ciphertext that is not his with his own text, and waits for it to be quoted or shown.
#[test]
fn decrypted_text_never_runs_into_the_text_around_it() {
    let desk = Desk::new();
    let before = "--e\nContent-Type: text/html\n\n<img src=\"http://example.com/?\n";
    let after = "--e\nContent-Type: text/html\n\n\">\n";
    let message = desk.open(&desk.mail("multipart/mixed", before, SECRET, after));
    assert_eq!((message.encryption, message.subject.as_deref()), (Encryption::Part, Some("...")));
    let framed = "[decrypted part]\nsecret words\n\n[end of the decrypted part]";
    assert!(message.text.contains(framed), "{}", message.text);

    let inline = format!("From: rita@example.net\n\nbefore\n{}after\n", desk.encrypt("secret words"));
    let message = desk.open(&inline);
    let framed = "before\n[inline OpenPGP block]\nsecret words\n[end of the inline OpenPGP block]\nafter";
    assert_eq!((message.text.as_str(), message.encryption), (framed, Encryption::Part));
}

#[test]
fn a_forwarded_mail_is_opened_but_lends_nothing_to_the_one_around_it() {
    let desk = Desk::new();
    let inner = desk.mail("multipart/encrypted", "", SECRET, "");
    let mail = format!(
        "From: max@example.org\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=f\n\n--f\n\nPlease see.\n--f\n\
         Content-Type: message/rfc822\n\n{inner}\n--f--\n"
    );
    let message = desk.open(&mail);
    assert_eq!(message.subject.as_deref(), Some("Fwd"));
    assert_eq!((message.encryption, message.decrypted), (Encryption::Part, true));
    let label =
        "[forwarded mail: \"the hole\", said to be from rita@example.net, signature: none, decrypted]";
    assert!(message.text.contains(&format!("Please see.\n{label}\nsecret words")), "{}", message.text);
}

#[test]
fn an_encrypted_file_is_a_file_again() {
    let desk = Desk::new();
    let mail = format!(
        "From: rita@example.net\nContent-Type: multipart/mixed; boundary=f\n\n--f\n\nsee\n--f\nContent-Type: \
         application/octet-stream\nContent-Disposition: attachment; filename=poc.py.pgp\n\n{}\n--f--\n",
        desk.encrypt("print(1)")
    );
    let message = desk.open(&mail);
    let file = &message.attachments[0];
    assert_eq!((file.name.as_deref(), file.bytes.as_slice()), (Some("poc.py"), b"print(1)".as_slice()));
    assert_eq!((message.text.trim(), message.encryption), ("see", Encryption::Part));
}

#[test]
fn an_encrypted_file_that_is_named_by_its_suffix_alone_keeps_its_name() {
    let desk = Desk::new();
    let mail = format!(
        "From: rita@example.net\nContent-Type: application/octet-stream; name=.gpg\n\n{}\n",
        desk.encrypt("print(1)")
    );
    assert_eq!(desk.open(&mail).attachments[0].name.as_deref(), Some(".gpg"));
}

/// The parser is kept from taking mails in mails apart by renaming their type; nobody may see that.
#[test]
fn what_a_mail_says_about_mails_stays_as_it_is() {
    let body = "Content-Type: message/rfc822 and\nContent-Type: MESSAGE/RFC822; x=multipart/digest\n";
    let mail = format!(
        "From: rita@example.net\nContent-Type: multipart/mixed; boundary=m\n\n--m\n\n{body}\n--m\nContent-Type: \
         application/x-patch\nContent-Disposition: attachment; filename=a.patch\n\n{body}\n--m\nContent-Type: \
         message/rfc822\n\n{body}\n--m--\n"
    );
    let message = open(mail.as_bytes(), &Keyring::new(), now());
    assert!(message.text.starts_with(body), "{}", message.text);
    let types: Vec<&str> = message.attachments.iter().map(|file| file.media_type.as_str()).collect();
    assert_eq!(types, ["application/x-patch", "message/rfc822"]);
    assert!(
        message.attachments.iter().all(|file| file.bytes == body.as_bytes()),
        "{:?}",
        message.attachments
    );
}

#[test]
fn a_protected_subject_about_mails_stays_as_it_is() {
    let desk = Desk::new();
    let secret = SECRET.replace("the hole", "a hole in message/rfc822");
    let message = desk.open(&desk.mail("multipart/encrypted", "", &secret, ""));
    assert_eq!(message.subject.as_deref(), Some("a hole in message/rfc822"));
}

/// A date with a zone of one letter must not cost the field after it.
#[test]
fn the_field_after_a_short_zone_is_read() {
    for end in ["\n", "\r\n"] {
        for zone in ["UT", "Z", "GMT", "+0000"] {
            let mail = format!("Date: Mon, 1 Jun 2026 00:00:00 {zone}{end}From: rita@example.net{end}{end}x");
            let message = open(mail.as_bytes(), &Keyring::new(), now());
            assert_eq!(
                message.author().map(Mailbox::canonical).as_deref(),
                Some("rita@example.net"),
                "{mail:?}"
            );
            assert_eq!(message.date.unwrap(), now(), "{mail:?}");
        }
    }
}

#[test]
fn only_so_many_messages_of_one_mail_are_opened() {
    let desk = Desk::new();
    let block = desk.encrypt("x");
    let parts = format!("--f\nContent-Disposition: attachment; filename=a.asc\n\n{block}\n").repeat(100);
    let mail = format!("From: rita@example.net\nContent-Type: multipart/mixed; boundary=f\n\n{parts}--f--\n");
    let message = desk.open(&mail);
    assert_eq!(message.attachments.iter().filter(|file| file.bytes == b"x").count(), 32);
    assert_eq!(message.problem.as_deref(), Some("more than 32 OpenPGP messages in one mail"));
}
