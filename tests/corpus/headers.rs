//! Headers inside the encryption or the signature: whose word counts, on mails written for it.

use psirtd::domain::message::{Mailbox, Message};
use psirtd::keyring::{self, Keyring};

use crate::corpus::laws::Desk;
use crate::corpus::now;

/// A mail of Rita's, encrypted to the desk: one header outside, one inside.
fn opened(outside: &str, mark: &str, inside: &str) -> Message {
    let desk = Desk::new();
    let entity = format!("Content-Type: text/plain; {mark}\n{inside}\n\nsecret words\n");
    let mail = desk.mail("multipart/encrypted", "", &entity, "");
    let (_, body) = mail.split_once("Subject: ...\n").unwrap();
    desk.open(&format!("{outside}\n{body}"))
}

const OUTSIDE: &str = "\
From: rita@example.net
Subject: ...
Message-ID: <outside@example.net>
In-Reply-To: <psirtd.outside@example.org>
References: <psirtd.outside@example.org>";

/// RFC 9788: a field that is only outside was not written by the author. Somebody who catches her mail may try to make it a
/// reply to another case.
#[test]
fn what_is_only_outside_does_not_count() {
    let message = opened(
        OUTSIDE,
        "hp=cipher",
        "From: rita@example.net\nSubject: the hole\nMessage-ID: <in@example.net>",
    );
    assert_eq!(message.thread(), [""; 0]);
    // what was encrypted does not go into an answer
    assert_eq!(message.message_id.as_deref(), Some("outside@example.net"));
    assert!(message.protected_id.is_some());
    assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("the hole"), true));
}

/// The older form copies what its program likes, and often only the subject.
#[test]
fn with_the_older_form_the_thread_outside_counts_until_there_is_one_inside() {
    let older = "protected-headers=\"v1\"";
    let message = opened(OUTSIDE, older, "Subject: the hole");
    assert_eq!(message.thread(), ["psirtd.outside@example.org"]);
    assert_eq!(message.message_id.as_deref(), Some("outside@example.net"));
    let message = opened(OUTSIDE, older, "Subject: the hole\nIn-Reply-To: <psirtd.inside@example.org>");
    assert_eq!(message.thread(), ["psirtd.inside@example.org"]);
}

/// Without a mark a header inside is no header of the mail.
#[test]
fn what_is_inside_without_a_mark_does_not_count() {
    let message =
        opened(OUTSIDE, "charset=utf-8", "Subject: the hole\nIn-Reply-To: <psirtd.inside@example.org>");
    assert_eq!(message.thread(), ["psirtd.outside@example.org"]);
    assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("..."), false));
}

/// A subject that stands outside as well is no secret.
#[test]
fn a_subject_that_everybody_saw_is_no_secret() {
    let outside = OUTSIDE.replace("Subject: ...", "Subject: the hole");
    let message = opened(&outside, "hp=cipher", "From: rita@example.net\nSubject: the hole");
    assert_eq!((message.subject.as_deref(), message.subject_is_secret), (Some("the hole"), false));
}

/// The certificate is offered inside, where nobody on the way saw it.
#[test]
fn an_autocrypt_field_inside_counts() {
    let secret = keyring::generate(&Mailbox::bare("rita@example.net"), now(), false).unwrap();
    let mut rita = Keyring::new();
    rita.add_secret_keys(secret.as_bytes(), None).unwrap();
    let data = rita.desk_autocrypt("rita@example.net").unwrap();
    let data = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, data);
    let field = format!("Autocrypt: addr=rita@example.net; keydata={data}");
    let message = opened(OUTSIDE, "hp=cipher", &format!("Subject: the hole\n{field}"));
    let (_, certificate) = message.reporter_cert.unwrap();
    assert_eq!(certificate.fingerprint, rita.desk().unwrap().fingerprint().to_hex());
}
