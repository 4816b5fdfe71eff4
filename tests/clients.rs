//! Mails of real mail programs, as they arrive: mutt and neomutt themselves, and Thunderbird's forms.
//!
//! Somebody of the team writes to the desk, through real Postfix into real Dovecot, and psirtd opens what lies there: is the
//! signature good, and over the whole mail, is the text as it was typed, and is the subject inside the signature? What each
//! program does with its own settings is what the desk must expect of people who never changed them.

use psirtd::clock::Clock;
use psirtd::domain::message::{Encryption, Message};
use psirtd::domain::signature::Standing;
use psirtd::keyring::Keyring;
use psirtd::open::open;

use crate::servers::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, USERS, count, keys, report};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::mutt::{Mutt, Protection, Words};
use crate::support::postfix::Postfix;
use crate::support::program::{Kind, Program};
use crate::support::rnp::Rnp;
use crate::support::thunderbird::{self, Body, Letter};
use crate::support::wait_until;

const SUBJECT: &str = "[EX-2026-0001] taken";
/// What a team has to set in mutt and neomutt if subjects are to be signed.
const PROTECTS: &str = "set crypt_protected_headers_write=yes";
/// What mail programs and servers like to change.
const TYPED: &str = "!take\n!note Ask upstream about the release date.\n\n\
    This is one paragraph that is much longer than a line of a mail should be, so that a program which makes flowed text \
    of it has to break it somewhere, and puts a blank before the break.\n \
    This line begins with a blank.\nFrom here on it is only text. Grüße!\n";

/// A desk's mailbox, without the daemon, and Ada's keys.
struct Office {
    smtp: Postfix,
    imap: Dovecot,
}

impl Office {
    fn new() -> Office {
        let imap = Dovecot::start();
        Office { smtp: Postfix::start(&imap, &USERS), imap }
    }

    /// The mail that arrives next when this is done.
    #[track_caller]
    fn gets(&self, sends: impl FnOnce()) -> Vec<u8> {
        let before = count(&self.imap, DESK, "INBOX");
        sends();
        wait_until("the mail is there", SOON, || count(&self.imap, DESK, "INBOX") > before);
        self.imap.mails(DESK, "INBOX").pop().unwrap().1
    }
}

/// Ada's GnuPG, with her own key and the desk's certificate.
fn adas_gpg() -> Gpg {
    let gpg = Gpg::new();
    gpg.import(&keys().coordinators[0].0);
    gpg.import(&keys().desk_public);
    gpg
}

/// Opens a mail of Ada's as the desk does that has her certificate from its configuration.
fn opened(raw: &[u8], ada: &[u8]) -> Message {
    let mut keyring = Keyring::new();
    keyring.add_secret_keys(&keys().desk_secret, None).unwrap();
    keyring.add_certificates(ada, None).unwrap();
    open(raw, &keyring, Clock::System.now())
}

/// A good signature over all of it, by a certificate of the configuration.
#[track_caller]
fn is_good(message: &Message, what: &str) {
    assert_eq!(message.problems, Vec::<String>::new(), "{what}");
    assert_eq!(message.signature.verdict(), "good", "{what}");
    assert_eq!(message.signature.standing(), Some(Standing::Pinned), "{what}");
}

/// The subject that was signed: the one that is read when another stands outside.
fn signed_subject(raw: &[u8], ada: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap();
    let lines = head.lines().map(|line| if line.starts_with("Subject: ") { "Subject: forged" } else { line });
    let forged = format!("{}\n\n{body}", lines.collect::<Vec<_>>().join("\n"));
    opened(forged.as_bytes(), ada).subject.filter(|subject| subject != "forged")
}

/// Both programs, all forms. As they are set, neither protects the subject, not even in an encrypted mail, where it stands
/// outside for everybody to read: a command in such a mail must name its case in the text.
#[test]
fn what_mutt_and_neomutt_sign_arrives_as_it_was_typed() {
    let (office, gpg) = (Office::new(), adas_gpg());
    let ada = &keys().coordinators[0].1;
    for (program, setting) in ["mutt", "neomutt"]
        .into_iter()
        .flat_map(|program| ["", PROTECTS, "set text_flowed=yes"].map(|setting| (program, setting)))
    {
        let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
        mutt.set(setting);
        for protection in [Protection::None, Protection::Signed, Protection::Encrypted, Protection::Inline] {
            // neither makes both
            if protection == Protection::Inline && setting == "set text_flowed=yes" {
                continue;
            }
            let what = format!("{program} {protection:?} {setting}");
            let raw = office.gets(|| mutt.writes(DESK, SUBJECT, TYPED, protection));
            let message = opened(&raw, ada);
            let encryption =
                if protection == Protection::Encrypted { Encryption::Whole } else { Encryption::None };
            assert_eq!(message.encryption, encryption, "{what}");
            if protection == Protection::None {
                assert_eq!(message.signature.verdict(), "none", "{what}");
            } else {
                is_good(&message, &what);
            }
            if protection == Protection::Inline {
                // a cleartext signature has no last line end
                assert_eq!(message.text, TYPED.trim_end(), "{what}");
            } else {
                assert_eq!(message.text, TYPED, "{what}");
            }
            let mime = [Protection::Signed, Protection::Encrypted].contains(&protection);
            let subject = (setting == PROTECTS && mime).then_some(SUBJECT);
            assert_eq!(signed_subject(&raw, ada).as_deref(), subject, "{what}");
            assert_eq!(message.subject.as_deref(), Some(SUBJECT), "{what}");
            assert!(message.attachments.is_empty(), "{what}");
        }
    }
}

/// The subject is inside, whatever is set; the key is attached, and nothing else is.
#[test]
fn what_thunderbird_signs_arrives_as_it_was_typed() {
    let (office, rnp) = (Office::new(), Rnp::new());
    rnp.make_key(ADA, Kind::Curve25519);
    rnp.take_certificate(DESK, &keys().desk_public);
    let ada = rnp.certificate(ADA);
    for body in [Body::Plain, Body::Html] {
        for references in [None, Some("<relay.1@example.org>")] {
            let letter = Letter { from: ADA, to: DESK, subject: SUBJECT, references, text: TYPED, body };
            let what = format!("{body:?} {references:?}");
            let mail = thunderbird::signed(&rnp, &letter);
            let raw = office.gets(|| office.smtp.hand_in(ADA, DESK, &mail));
            let message = opened(&raw, &ada);
            is_good(&message, &what);
            assert_eq!((message.text.as_str(), message.encryption), (TYPED, Encryption::None), "{what}");
            assert_eq!(signed_subject(&raw, &ada).as_deref(), Some(SUBJECT), "{what}");
            assert_eq!(names(&message), [format!("OpenPGP_0x{}.asc", rnp.key_id(ADA))], "{what}");

            let mail = thunderbird::encrypted(&rnp, &letter);
            let raw = office.gets(|| office.smtp.hand_in(ADA, DESK, &mail));
            let message = opened(&raw, &ada);
            is_good(&message, &what);
            assert_eq!((message.text.as_str(), message.encryption), (TYPED, Encryption::Whole), "{what}");
            assert_eq!(
                (message.subject.as_deref(), message.subject_is_secret),
                (Some(SUBJECT), true),
                "{what}"
            );
            assert_eq!(names(&message), [format!("OpenPGP_0x{}.asc", rnp.key_id(ADA))], "{what}");
        }
    }
}

fn names(message: &Message) -> Vec<String> {
    message.attachments.iter().map(|file| file.name.clone().unwrap_or_default()).collect()
}

/// A report is relayed, Ada opens the relay with her own key and answers it: the program makes subject, thread and quotation.
#[test]
fn mutt_and_neomutt_answer_a_relay() {
    let (office, gpg) = (Office::new(), adas_gpg());
    let desk = Desk::new(&Plan::of(&office.imap, &office.smtp));
    desk.start();
    office.imap.deliver(DESK, "INBOX", &report(RITA, "Heap overflow", "It crashes."));
    for who in [ADA, BEN] {
        wait_until("the relay is there", SOON, || count(&office.imap, who, "INBOX") == 1);
    }
    desk.await_letters();
    let subject = &format!("Re: [{}] Heap overflow", desk.case_id(1));
    desk.stop();
    let (_, relay) = office.imap.mails(ADA, "INBOX").pop().unwrap();
    let ada = &keys().coordinators[0].1;
    let id = open(&relay, &Keyring::new(), Clock::System.now()).message_id.expect("an id");
    for (program, setting) in
        ["mutt", "neomutt"].into_iter().flat_map(|program| ["", PROTECTS].map(|setting| (program, setting)))
    {
        let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
        mutt.set(setting);
        for words in [Words { above: "!take\n\n", below: "" }, Words { above: "", below: "\n!take\n" }] {
            let raw = office.gets(|| mutt.replies(&relay, words, Protection::Encrypted));
            let message = opened(&raw, ada);
            is_good(&message, program);
            assert_eq!(message.encryption, Encryption::Whole);
            assert!(message.parents.contains(&id), "{program}: {:?}", message.parents);
            // what was secret in the relay stands outside in the answer, unless headers are protected
            let protects = setting == PROTECTS;
            assert_eq!(message.subject.as_ref(), Some(subject), "{program}");
            assert_eq!(
                signed_subject(&raw, ada).as_deref(),
                protects.then_some(subject.as_str()),
                "{program}"
            );
            assert_eq!(message.subject_is_secret, protects, "{program}");
            assert!(message.text.contains("\n> It crashes.\n"), "{program}: {}", message.text);
            assert!(message.text.starts_with(words.above), "{program}: {}", message.text);
            assert!(message.text.ends_with(words.below), "{program}: {}", message.text);
        }
    }
}
