//! Nothing that was encrypted is written anywhere in the clear: not on the disk, not in a log, not in a letter.
//!
//! A canary, a word that occurs nowhere else, is in the subject, the text, the attachments and their names. The real daemon
//! takes it in, as a process of its own and with every log it can write. Then every byte it has left behind is searched,
//! also as base64, quoted-printable and hexadecimal digits; and GnuPG shows that the canary did come through, to those who
//! may read it.

use crate::support::daemon::Daemon;
use crate::support::desk::{Desk, Letter, member_address};
use crate::support::wait_until;
use psirtd::clock::Clock;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const CANARY: &str = "Zeisig-4711-Zitronengirlitz";
const PSIRTD: &str = env!("CARGO_BIN_EXE_psirtd");

/// What a mail looks like from outside, when nothing of it may be seen.
fn outside(from: &str, number: usize) -> String {
    let to = if number == 2 { "In-Reply-To: <mail-1@example.com>\n" } else { "" };
    format!(
        "From: {from}\nTo: security@example.org\nSubject: ...\n{to}Message-ID: <mail-{number}@example.com>"
    )
}

const SAM: &str = "Sam Secret <sam@example.com>";
const NORA: &str = "Nora Newcomer <nora@example.net>";

/// What is encrypted: ordinary mails, and such as make the desk complain about what it finds.
fn insides() -> Vec<String> {
    let header = format!("protected-headers=\"v1\"; hp=\"cipher\"\nSubject: {CANARY}\nX-Canary: {CANARY}");
    let text = format!("{CANARY} in the text. An attacker can crash it. Steps to reproduce: {CANARY}.\n");
    let base64 = base64_of(&text).replace("\r\n", "\n");
    let boundaries: String =
        (0..120).map(|n| format!("Content-Type: multipart/mixed; boundary=\"{CANARY}{n}\"\n")).collect();
    vec![
        format!("Content-Type: text/plain; {header}\n\n{text}"),
        // a follow-up of the first, with an attachment
        format!(
            "Content-Type: multipart/mixed; boundary=b; {header}\n\n--b\n\n{text}\n--b\n\
             Content-Type: application/x-{CANARY}; name=\"{CANARY}.txt\"\n\
             Content-Disposition: attachment; filename=\"../{CANARY}.txt\"\n\n{text}\n--b\n\
             Content-Type: text/plain\nContent-Disposition: attachment; filename=\"=?utf-8?Q?{CANARY}=0D=0Ax?=\"\n\
             Content-Transfer-Encoding: base64\n\n{base64}\n--b--\n"
        ),
        format!("Content-Type: text/html; {header}\n\n<title>{CANARY}</title><p>{text}</p>\n"),
        // more boundaries than the desk takes apart
        format!("{boundaries}\n{text}"),
        // a signature that is none, a key that is none
        format!(
            "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b; {header}\n\n--b\n\n{text}\n\
             --b\nContent-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n\n{CANARY}\n\
             -----END PGP SIGNATURE-----\n--b--\n"
        ),
        format!(
            "Content-Type: multipart/mixed; boundary=b; {header}\n\n--b\n\n{text}\n--b\n\
             Content-Type: application/pgp-keys; name=\"{CANARY}.asc\"\n\n\
             -----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{CANARY}\n-----END PGP PUBLIC KEY BLOCK-----\n--b--\n"
        ),
        // a mail in the mail, encrypted to nobody we know, and a list's mail
        format!(
            "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b; {header}\n\n--b\n\
             Content-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n\n-----BEGIN PGP MESSAGE-----\n\n{CANARY}\n\
             -----END PGP MESSAGE-----\n--b--\n"
        ),
        format!("List-Id: <{CANARY}>\nAuto-Submitted: {CANARY}\nFrom: {CANARY}\nSubject: {CANARY}\n\n{text}"),
        text,
    ]
}

#[test]
fn nothing_encrypted_is_left_in_the_clear() {
    let desk = Desk::builder().start(&Clock::System.now().to_string()).otto_without_certificate().open();
    let mut mails = Vec::new();
    for (number, inside) in (1..).zip(insides()) {
        mails.push(desk.encrypted_mail(&outside(SAM, number), &inside));
        mails.push(desk.encrypted_mail(&outside(NORA, number + 100), &inside));
    }
    let inline = mails[0].clone();
    let armor = &inline[inline.find("-----BEGIN PGP").unwrap()..inline.find("--pgp--").unwrap()];
    mails.push(format!("{}\n\nBefore the block.\n\n{armor}\nAfter the block.\n", outside(SAM, 200)));

    // one changed on its way: what was decrypted before that showed is no fact of the mail
    let digits = armor.rfind("\n-----END").unwrap() - 40;
    let changed = if armor.as_bytes()[digits] == b'A' { "B" } else { "A" };
    let damaged = format!("{}{changed}{}", &armor[..digits], &armor[digits + 1..]);
    mails.push(format!("{}\n\n{damaged}\n", outside(SAM, 201)));

    desk.steps_aside();
    let (log, said) = run(&desk, "trace", &mails);
    assert!(log.contains("letter sent") && log.contains("could not be sealed"), "{log}");

    let found = places(desk.dir(), CANARY);
    assert!(found.is_empty(), "{found:?}");
    assert!(!shows(said.as_bytes(), CANARY), "{said}");

    // it did come through
    desk.set_clock(Clock::System.now());
    desk.comes_back();
    let letters = desk.letters();
    let (relays, acknowledgements): (Vec<&Letter>, Vec<&Letter>) =
        letters.iter().partition(|letter| letter.kind == "relay");
    assert_eq!(relays.len(), mails.len(), "one for Ada each");
    for relay in relays {
        assert!(relay.encrypted && relay.to == "ada@example.org");
        let unopened = relay.text().contains("encrypted, and the desk could not open it");
        assert_eq!(shows(relay.entity(), CANARY), !unopened, "{}", relay.text());
    }
    assert!(acknowledgements.len() > mails.len() / 2, "{}", acknowledgements.len());
    for acknowledgement in acknowledgements {
        assert!(!shows(acknowledgement.entity(), CANARY), "{}", acknowledgement.text());
    }
}

/// A report in the clear is sealed as it came. Whoever has the state directory and no key finds nothing of it, nor who wrote it, nor
/// which letters were written to whom; nor does any log say so, and the acknowledgement quotes none of it.
#[test]
fn a_plain_report_is_in_no_log_and_nowhere_on_the_disk() {
    let (subject, text) = (format!("{CANARY}-subject"), format!("{CANARY}-text"));
    let desk = Desk::builder().start(&Clock::System.now().to_string()).open();
    let mail = |number: u32, more: &str| {
        format!(
            "From: Rita Reporter <rita@example.net>\nSubject: {subject} {number}\nMessage-ID: <r-{number}@example.net>\n{more}\
             Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{text}\n--b\n\
             Content-Type: application/pdf; name=\"{text}.pdf\"\nContent-Disposition: attachment\n\n{text}\n--b--\n"
        )
    };
    let mails = [mail(1, ""), mail(2, "In-Reply-To: <r-1@example.net>\n"), mail(3, "")];
    desk.steps_aside();
    let (log, _) = run(&desk, "info", &mails);
    assert!(log.contains("case opened") && log.contains("letter sent"), "{log}");
    for secret in [CANARY, "rita@", "Rita", "ada@", "r-1@example.net"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }

    let known = [
        "rita@example.net",
        "Rita Reporter",
        "<r-1@example.net>",
        "r-2@example.net",
        &desk.first_case(),
        "ada@example.org",
        "Ada Example",
        // what the letters and the journal are written in
        "BEGIN PGP SIGNATURE",
        "multipart/mixed",
        "acknowledgement",
    ];
    for secret in [CANARY, subject.as_str(), &text].into_iter().chain(known) {
        let found = places(&desk.state(), secret);
        assert!(found.is_empty(), "{secret}: {found:?}");
    }
    // and the digest of a mail, which whoever has guessed the mail could look for
    let digest = psirtd::open::digest(mails[0].as_bytes()).to_string();
    assert!(places(&desk.state(), &digest).is_empty());

    desk.set_clock(Clock::System.now());
    desk.comes_back();
    let letters = desk.letters();
    assert_eq!(letters.len(), 5, "two acknowledgements, three relays");
    for letter in letters {
        assert_eq!(shows(letter.entity(), CANARY), letter.kind == "relay", "{}", letter.text());
    }
}

/// What people of the team write, and what somebody writes in their name: each text is for its readers, and for nobody who has the disk.
#[test]
fn the_texts_of_commands_are_sealed() {
    let desk = Desk::builder().start(&Clock::System.now().to_string()).otto().max().open();
    let case = desk.first_case();
    let report =
        "From: Rita <rita@example.net>\nSubject: Overflow\nMessage-ID: <r-1@example.net>\n\nIt crashes.\n";
    let forged = format!(
        "From: Ada <ada@example.org>\nTo: security@example.org\nSubject: x\nMessage-ID: <f-1@example.org>\n\
         In-Reply-To: <r-1@example.net>\n\n!case {case}\n!reply\n\n{CANARY} forged\n"
    );
    let mails = [
        report.to_owned(),
        desk.orders("ada", &case, &format!("!note\n\n{CANARY} noted\n")),
        desk.orders("ada", &case, &format!("!need-info\n\n{CANARY} asked\n")),
        desk.orders("ada", &case, &format!("!workaround\n\n{CANARY} helps\n")),
        desk.orders("ada", &case, &format!("!reply\n!{CANARY}\n\n{CANARY} misread\n")),
        desk.orders("max", &case, &format!("!note\n\n{CANARY} refused\n")),
        forged,
    ];
    desk.steps_aside();
    let (log, said) = run(&desk, "trace", &mails);
    assert!(!shows(log.as_bytes(), CANARY), "{log}");
    assert!(said.contains("REFUSED reply"), "{said}");

    desk.set_clock(Clock::System.now());
    desk.comes_back();
    desk.writes(&case, "note", &format!("{CANARY} typed"));
    desk.writes(&case, "reject not-security", &format!("{CANARY} rejected"));
    let letters = desk.letters();
    desk.steps_aside();
    let found = places(&desk.state(), CANARY);
    assert!(found.is_empty(), "{found:?}");

    // each came through to those who may read it, and to them alone
    let read = |words: &str| {
        let with = letters.iter().filter(|letter| letter.text().contains(words));
        let mut readers: Vec<&str> = with.map(|letter| letter.to.split('@').next().unwrap()).collect();
        readers.sort_unstable();
        readers.join(" ")
    };
    let words = ["noted", "asked", "helps", "misread", "refused", "forged", "typed", "rejected"];
    let readers = words.map(|word| read(&format!("{CANARY} {word}")));
    assert_eq!(readers, ["otto", "ada otto rita", "", "", "", "otto", "ada otto", "ada otto rita"]);
}

/// What two coordinators say to the distributors and take back, what a member answers, what is known of a leak, what an organisation
/// says of itself that wants to join: each for its readers, in no log, and for nobody who has the disk.
#[test]
fn what_goes_to_the_distributors_and_comes_from_them_is_sealed() {
    let list = "[distributors]\naddress = \"distributors@example.org\"";
    let desk = Desk::builder().start(&Clock::System.now().to_string()).otto().max().toml(list).open();
    let case = desk.first_case();
    desk.have_joined(&["acme", "bolt"]);
    let report =
        "From: Rita <rita@example.net>\nSubject: Overflow\nMessage-ID: <r-1@example.net>\n\nIt crashes.\n";
    let notice = desk.encrypted_mail(
        "From: ada@example.org\nTo: security@example.org\nSubject: ...\nMessage-ID: <n-1@example.org>\n",
        &format!(
            "Content-Type: multipart/mixed; boundary=b; protected-headers=\"v1\"\nSubject: Re: [{case}] x\n\n--b\n\n\
             !notice\n\n{CANARY} noticed\n--b\nContent-Type: text/x-diff; name=\"{CANARY}-named.patch\"\n\
             Content-Disposition: attachment\n\n+{CANARY} patched\n--b--\n"
        ),
    );
    desk.makes_a_key("Newco Security <security@newco.example>");
    let application = desk.encrypted_mail_to(
        "From: security@newco.example\nTo: distributors@example.org\nSubject: ...\nMessage-ID: <a-1@newco.example>\n",
        &format!("Content-Type: text/plain\n\nOrganisation: Newco\n\n1. {CANARY} evident\n"),
        "security@example.org",
        "security@newco.example",
    );
    let mails = [
        report.to_owned(),
        notice,
        desk.orders("otto", &case, "!approve 1\n"),
        desk.orders("ada", &case, &format!("!update\n\n{CANARY} withdrawn\n")),
        desk.orders("otto", &case, "!withdraw 2\n"),
        application,
    ];
    desk.steps_aside();
    let (first_log, first_said) = run(&desk, "trace", &mails);
    desk.set_clock(Clock::System.now());
    desk.comes_back();
    let mut letters = desk.letters();

    let copy = letters.iter().find(|letter| letter.kind == "notice" && letter.to == member_address("acme"));
    let thread = copy.unwrap().header("Message-ID").unwrap().to_owned();
    let reply = desk.encrypted_mail_to(
        &format!(
            "From: {}\nTo: security@example.org\nSubject: ...\nIn-Reply-To: {thread}\nMessage-ID: <m-1@acme.example>\n",
            member_address("acme")
        ),
        &format!("Content-Type: text/plain\n\nleak\n{CANARY} replied\n"),
        "security@example.org",
        &member_address("acme"),
    );
    let mails = [
        reply,
        desk.orders("ada", &case, &format!("!leak stands acme\n\n{CANARY} leaked\n")),
        desk.orders("otto", &case, "!approve 3\n"),
    ];
    desk.steps_aside();
    let (log, said) = run(&desk, "trace", &mails);
    // the operator is told the names of files, and that is all
    let name = format!("{CANARY}-named.patch");
    assert!(first_said.contains(&name) && said.contains(&name));
    for written in [first_log, first_said.replace(&name, ""), log, said.replace(&name, "")] {
        assert!(!shows(written.as_bytes(), CANARY), "{written}");
    }
    let found = places(&desk.state(), CANARY);
    assert!(found.is_empty(), "{found:?}");

    // each came through to those who may read it, and to them alone
    desk.set_clock(Clock::System.now());
    desk.comes_back();
    letters.extend(desk.letters());
    let readers = |words: &str| {
        let with = letters.iter().filter(|letter| shows(letter.entity(), words));
        let mut readers: Vec<&str> = with.map(|letter| letter.to.split('@').next().unwrap()).collect();
        readers.sort_unstable();
        readers.dedup();
        readers.join(" ")
    };
    let team_and_members = "acme-security ada bolt-security otto";
    for (words, who) in [
        (" noticed", team_and_members),
        (" patched", team_and_members),
        ("-named", team_and_members),
        (" withdrawn", "ada otto"),
        (" evident", "ada otto"),
        (" replied", "ada otto"),
        (" leaked", "acme-security ada otto"),
    ] {
        assert_eq!(readers(&format!("{CANARY}{words}")), who, "{words}");
    }
    let members = letters.iter().filter(|letter| letter.to.ends_with(".example"));
    for letter in members.filter(|letter| !letter.to.contains("newco")) {
        let other = if letter.to.contains("acme") { "bolt" } else { "acme" };
        assert!(letter.encrypted && !shows(letter.entity(), other), "{}", letter.text());
    }
}

/// A search that finds nothing must be one that could.
#[test]
fn the_search_finds_the_canary_in_every_dress() {
    let text = format!("before {CANARY} after");
    let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    let mut quoted = text.clone();
    quoted.insert_str(15, "=\r\n");
    let mut forms = vec![text.clone(), text.to_lowercase(), hex, quoted];
    forms.extend((0..3).map(|shift| base64_of(&text[shift..])));
    let long = base64_of(&format!("{}{text}", "x".repeat(50)));
    assert!(long.contains("\r\n"), "a form that is broken into lines");
    forms.push(long);
    for form in forms {
        assert!(shows(format!("header\n\n{form}\n").as_bytes(), CANARY), "{form}");
    }
    assert_eq!(base64_of("any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
    assert!(!shows(b"before Zeisig-4712-Zitronengirlitz after", CANARY));
}

/// Runs the desk as `psirtd run` until all mails are recorded and no letter is under way; returns its log, and what its
/// other commands say meanwhile.
fn run(desk: &Desk, level: &str, mails: &[String]) -> (String, String) {
    let config = desk.dir().join("psirtd.toml");
    let log = desk.dir().join("log");
    let rust_log = format!("RUST_LOG={level}");
    // what it writes into temporary files, if it does, lies where it is searched for
    let temporary = desk.dir().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let tmpdir = format!("TMPDIR={}", temporary.display());
    let command = ["env", &rust_log, &tmpdir, PSIRTD, "--config", config.to_str().unwrap(), "run"];
    let daemon = Daemon::start(&command, &log);
    let inbox = desk.dir().join("inbox");
    wait_until("the inbox is there", Duration::from_secs(20), || inbox.join("new").exists());
    let recorded = || fs::read_dir(inbox.join("cur")).unwrap().count();
    let before = recorded();
    for (number, mail) in (before..).zip(mails) {
        let name = format!("{number:03}");
        fs::write(inbox.join("tmp").join(&name), mail.replace('\n', "\r\n")).unwrap();
        fs::rename(inbox.join("tmp").join(&name), inbox.join("new").join(&name)).unwrap();
    }
    let ask = |arguments: &[&str]| {
        let output = Command::new(PSIRTD).arg("--config").arg(&config).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    wait_until("all mails are recorded", Duration::from_secs(60), || recorded() == before + mails.len());
    wait_until("all letters are out", Duration::from_secs(60), || {
        !ask(&["outbox", "--json"]).contains("\"active\"")
    });
    let mut said =
        ask(&["outbox"]) + &ask(&["outbox", "--json"]) + &ask(&["cases", "--json"]) + &ask(&["cases"]);
    let cases: serde_json::Value = serde_json::from_str(&ask(&["cases", "--json"])).unwrap();
    for case in cases.as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        said += &(ask(&["case", id]) + &ask(&["case", id, "--json"]));
    }
    drop(daemon);
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "no temporary file is left");
    (fs::read_to_string(log).unwrap(), said)
}

/// The files below a folder that show a word, relative to it.
fn places(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                looked_at += 1;
                let name = path.to_str().unwrap();
                if shows(&fs::read(&path).unwrap(), word) || name.contains(word) {
                    found.push(path.strip_prefix(folder).unwrap().to_owned());
                }
            }
        }
    }
    assert!(looked_at > 10, "only {looked_at} files to search");
    found
}

/// Does it hold the word, in whatever dress?
fn shows(bytes: &[u8], word: &str) -> bool {
    let lower = |text: &[u8]| text.to_ascii_lowercase();
    let without_breaks: Vec<u8> = bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    let without_soft: Vec<u8> =
        String::from_utf8_lossy(bytes).replace("=\r\n", "").replace("=\n", "").into_bytes();
    let plain = lower(word.as_bytes());
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let holds =
        |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).any(|window| window == needle);
    holds(&lower(bytes), &plain)
        || holds(&lower(&without_soft), &plain)
        || holds(&lower(&without_breaks), hex.as_bytes())
        || (0..3).any(|shift| {
            // of the first and the last group, only the bits of the word itself are known
            let encoded = base64_of(&format!("{}{word}", "x".repeat(shift)));
            let start = [0, 2, 3][shift];
            let certain = (shift + word.len()) * 8 / 6;
            holds(&without_breaks, &encoded.replace("\r\n", "").as_bytes()[start..certain])
        })
}

/// Base64 in lines of 76.
fn base64_of(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - group.len()));
        for digit in 0..4 {
            let known = digit <= group.len();
            encoded.push(if known { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) } else { '=' });
            if (encoded.len() + 2).is_multiple_of(78) {
                encoded.push_str("\r\n");
            }
        }
    }
    encoded
}
