//! The known attacks on OpenPGP mail, each made here, each shown to fail.
//!
//! | module | attacks on |
//! |---|---|
//! | `integrity` | what protects a ciphertext against change |
//! | `posing` | the word "encrypted" |
//! | `spoofing` | the place of a signature in a mail |
//! | `signers` | the word "good": whose signature it is, and what it is worth |
//! | `replay` | the desk as somebody who decrypts for others |
//! | `leaks` | decrypted text on its way out |
//! | `bombs` | time and memory, with few bytes |
//! | `floods` | time and memory, with many packets, keys and parts |
//! | `seen_through` | what a second look found |
//! | `forged_commands` | the team's word: commands that nobody of it gave |
//! | `list` | the distributors' list: how to get on it without a right to |
//! | `notices` | what goes to the list: to whom it may not, by one person alone, twice or never |
//!
//! `packets` makes what no honest program writes. `docs/mistakes-of-others.md` says where each attack comes from.
//!
//! It is Friday, 20 November 2026. The desk holds the certificates of Sam <sam@example.com> and of Mallory
//! <mallory@example.net>, who once reported something. What she must not read or appear to have written says [`SECRET`].

mod bombs;
mod floods;
mod forged_commands;
mod integrity;
mod leaks;
mod list;
mod notices;
mod packets;
mod posing;
mod replay;
mod seen_through;
mod signers;
mod spoofing;

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use psirtd::domain::message::{Mailbox, Message};
use psirtd::keyring::{self, Keyring};
use psirtd::open::open;
use sequoia_openpgp::Cert;

use crate::support::desk::pgp_mime;

/// Sam's words.
const SECRET: &str = "the session tokens are made from the clock";
/// Their mailboxes.
const SAM: &str = "Sam Secret <sam@example.com>";
const MALLORY: &str = "Mallory <mallory@example.net>";

/// Everybody, with their secret keys.
struct People {
    desk: Cert,
    sam: Cert,
    mallory: Cert,
    /// Whose certificate the desk has never seen.
    stranger: Cert,
}

fn people() -> &'static People {
    static PEOPLE: OnceLock<People> = OnceLock::new();
    PEOPLE.get_or_init(|| People {
        desk: new_key("security@example.org"),
        sam: new_key("sam@example.com"),
        mallory: new_key("mallory@example.net"),
        stranger: new_key("stranger@example.net"),
    })
}

fn new_key(address: &str) -> Cert {
    let born = now() - SignedDuration::from_hours(31 * 24);
    let secret = keyring::generate(&Mailbox::bare(address), born, false).unwrap();
    keyring::certificates(secret.as_bytes()).unwrap().remove(0)
}

fn now() -> Timestamp {
    "2026-11-20T23:00:00Z".parse().unwrap()
}

/// The desk's keyring with these certificates.
fn keyring_with(certs: &[&Cert]) -> Keyring {
    let mut keyring = Keyring::new();
    keyring.add_secret_keys(packets::secret_of(&people().desk).as_bytes(), None).unwrap();
    for cert in certs {
        keyring.add_certificates(keyring::armored(cert).unwrap().as_bytes(), None).unwrap();
    }
    keyring
}

/// What the desk makes of a mail, written here with LF.
fn opened(mail: &str) -> Message {
    opened_with(mail, &[&people().sam, &people().mallory])
}

/// The same, when it holds these certificates.
fn opened_with(mail: &str, certs: &[&Cert]) -> Message {
    open(mail.replace('\n', "\r\n").as_bytes(), &keyring_with(certs), now())
}

/// The header of a mail to the desk.
fn header(from: &str) -> String {
    format!(
        "From: {from}\nTo: security@example.org\nSubject: A report\nMessage-ID: <m-1@example.net>\nMIME-Version: 1.0"
    )
}

/// A PGP/MIME mail around an OpenPGP message.
fn mail_around(from: &str, message: &[u8]) -> String {
    pgp_mime(&header(from), &packets::armored(message))
}

/// A `multipart/mixed` of parts, each with its header.
fn mixed(from: &str, parts: &[&str]) -> String {
    format!("{}\n{}", header(from), multipart("mixed", "outer", parts))
}

/// A multipart entity.
fn multipart(subtype: &str, boundary: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\n\n{parts}--{boundary}--\n")
}

/// Something of it is anywhere in what the desk knows of the mail.
fn shows(message: &Message, words: &str) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    format!("{message:?}").contains(words) || message.attachments.iter().any(|file| holds(&file.bytes))
}

/// Not opened, said so, and nothing of it shown.
#[track_caller]
fn assert_closed(message: &Message, attack: &str) {
    assert!(!message.decrypted, "{attack}: {}", message.text);
    assert!(message.problem.is_some(), "{attack}: {:?}", message.problems);
    assert!(!shows(message, SECRET), "{attack}: {message:?}");
    assert_eq!(message.signature.word(), "none", "{attack}");
}
