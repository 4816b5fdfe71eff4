//! What the fuzz targets have in common: a desk that never changes, and the laws that hold for every mail.
//!
//! # Keys
//! `keys/` holds two secret keys made for this and for nothing else; everybody knows them. The targets know the reporter's
//! public part only; the secret one is there so that more seeds can be signed.
//!
//! # Panics
//! libFuzzer's hook aborts at every panic, before anybody can catch it. That is wanted, except for panics of Sequoia, which
//! psirtd catches where it calls it. [`start`] lets those pass and says where each of them was; one that is not caught there
//! makes `open` say that psirtd itself failed, which [`check`] refuses.

use std::collections::BTreeSet;
use std::panic::PanicHookInfo;
use std::sync::{LazyLock, Mutex};

use jiff::Timestamp;
use psirtd::domain::message::{Encryption, Message, ReturnPath};
use psirtd::domain::signature::Signature;
use psirtd::keyring::Keyring;

const DESK: &[u8] = include_bytes!("../keys/desk.key.asc");
const REPORTER: &[u8] = include_bytes!("../keys/reporter.key.asc");

/// The libraries whose panics psirtd catches, by the names of their folders.
const GUARDED: [&str; 2] = ["/sequoia-openpgp-", "/buffered-reader-"];

/// The desk's secret key and the reporter's certificate.
pub static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let mut keyring = Keyring::new();
    keyring.add_secret_keys(DESK, None).expect("the desk's key");
    keyring.add_certificates(REPORTER, None).expect("the reporter's certificate");
    keyring
});

/// The time at which every mail is opened; the keys are valid then.
pub static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2026-12-01T00:00:00Z".parse().expect("a time"));

/// Before the first input: lets panics of [`GUARDED`] libraries pass, and reads the keys.
pub fn start() {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if !GUARDED.iter().any(|library| place.contains(library)) {
            abort(panic);
        }
        if SEEN.lock().is_ok_and(|mut seen| seen.insert(place.clone())) {
            eprintln!("a panic to be caught: {place}");
        }
    }));
    LazyLock::force(&KEYRING);
    LazyLock::force(&NOW);
}

/// The laws of an opened mail.
pub fn check(message: &Message) {
    assert!(!message.problem.as_ref().is_some_and(|why| why.contains("psirtd itself")), "{message:?}");

    assert!(message.text.chars().all(is_shown), "{:?}", message.text);
    for line in lines(message) {
        assert!(line.chars().all(|c| is_shown(c) && c != '\n'), "{line:?}");
    }

    assert!(!message.decrypted || message.encryption != Encryption::None, "{message:?}");
    assert!(!message.subject_is_secret || message.decrypted, "{message:?}");
    assert!(message.reporter_cert.is_none() || message.author().is_some(), "{message:?}");
    if let Signature::Good(by) = &message.signature {
        let author = message.author().expect("an author who signed");
        let held = KEYRING.held_for(&author.address);
        assert!(held.iter().any(|(_, cert)| cert.fingerprint().to_hex() == by.fingerprint()), "{message:?}");
    }
    assert!(message.attachments.iter().all(|file| file.name.as_deref() != Some("")), "{message:?}");
}

/// What must stay on one line.
fn lines(message: &Message) -> impl Iterator<Item = &str> {
    let signature = match &message.signature {
        Signature::Bad { why, .. } => Some(why.as_str()),
        _ => None,
    };
    let path = match &message.return_path {
        ReturnPath::Address(address) => Some(address.as_str()),
        ReturnPath::Unknown | ReturnPath::Null => None,
    };
    let marks = &message.marks;
    let names = message.from.iter().filter_map(|from| from.name.as_deref());
    let addresses = message.from.iter().map(|from| from.address.as_str());
    let ids = message.message_id.iter().chain(&message.parents).chain(&message.references);
    let said = [&marks.auto_submitted, &marks.precedence, &marks.suppress, &marks.report, &marks.report_part];
    let back = message.returned.iter().flat_map(|told| {
        let one = told.recipient.iter().chain(&told.status).chain(&told.diagnostic).chain(&told.by);
        one.chain(&told.envelope_ids).chain(&told.message_ids)
    });
    let others =
        message.reply_to.iter().chain(&message.original_from).map(|mailbox| mailbox.address.as_str());
    let marked = said.into_iter().flatten().chain(&marks.list).chain(&marks.robots).chain(&marks.list_ids);
    let marked = marked.chain(&message.recipients).chain(back);
    let types = message.attachments.iter().map(|file| file.media_type.as_str());
    let files = message.attachments.iter().filter_map(|file| file.name.as_deref());
    let sentences = message.subject.iter().chain(&message.problem).chain(&message.problems);
    names
        .chain(addresses)
        .chain(others)
        .chain(ids.chain(marked).chain(sentences).map(String::as_str))
        .chain(types)
        .chain(files)
        .chain(message.signature.signer())
        .chain(signature)
        .chain(path)
}

/// Neither a control character but tab and line end, nor one that turns text round.
fn is_shown(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !turns && (!c.is_control() || matches!(c, '\n' | '\t'))
}
