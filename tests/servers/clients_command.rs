//! A team that works on cases in its mail programs: mutt and neomutt themselves, and Thunderbird's forms.
//!
//! Rita's report comes encrypted, over real Postfix. Ada opens the relay that lies in her mailbox with her own key, and answers it
//! with lines that begin with `!`, above or below what the program quotes. Rita must get Ada's text and nothing else of her mail;
//! Ada must get a letter about it that her program opens; Ben, who coordinates with her, hears what goes out; and nobody else does.

use super::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, count, holds, keys, message_id, parts};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::mutt::{Mutt, Protection, Words};
use crate::support::postfix::Postfix;
use crate::support::program::{Kind, Program};
use crate::support::rnp::Rnp;
use crate::support::thunderbird::{self, Body, Letter};
use crate::support::wait_until;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::cell::Cell;
use std::fmt::Write as _;

const MAX: &str = "max@example.org";
const TEAM: &str = "\n[[person]]\nname = \"max\"\naddress = \"max@example.org\"\nroles = [\"maintainer\"]\ncert = \"max.asc\"\n";
/// What Rita wants nobody on the way to read, in the subject and in the text.
const SECRET: &str = "Heap overflow in the tile parser";
const TEXT: &str = "A crafted tile writes behind its buffer.";
/// What Ada writes to her.
const PLAN: &str = "We build your example tonight.\n\nOn Thursday you hear what we found.";
/// What mutt must have for subjects to be signed.
const PROTECTS: &str = "set crypt_protected_headers_write=yes";
/// What mutt must have for an encrypted mail to be answered in the clear.
const CLEAR: &str = "set crypt_replyencrypt=no";

/// A running desk with Ada, Ben and Max, and Rita's GnuPG.
struct Office {
    desk: Desk,
    smtp: Postfix,
    imap: Dovecot,
    rita: Gpg,
    reports: Cell<usize>,
}

impl Office {
    /// `ada`: her certificate, if it is not the one of the other tests.
    fn new(ada: Option<&[u8]>) -> Office {
        let imap = Dovecot::start();
        let smtp = Postfix::start(&imap, &[DESK, ADA, BEN, MAX, RITA]);
        let desk = Desk::new(&Plan { more: TEAM, ..Plan::of(&imap, &smtp) });
        let rita = Gpg::new();
        rita.generate(&format!("Rita <{RITA}>"));
        rita.import(&keys().desk_public);
        let max = Gpg::new();
        max.generate(&format!("max <{MAX}>"));
        desk.write("max.asc", &max.export_public(MAX));
        ada.iter().for_each(|ada| desk.write("ada.asc", ada));
        desk.start();
        Office { desk, smtp, imap, rita, reports: Cell::new(0) }
    }

    /// The mails that arrive for somebody while this is done, so many of them.
    #[track_caller]
    fn gets(&self, who: &str, many: usize, sends: impl FnOnce()) -> Vec<Vec<u8>> {
        let known = self.imap.mails(who, "INBOX");
        let before = known.len();
        sends();
        wait_until(&format!("{who} has {many} mails more"), SOON, || {
            count(&self.imap, who, "INBOX") >= before + many
        });
        self.settles();
        assert_eq!(count(&self.imap, who, "INBOX"), before + many, "{who} has more than that");
        // by name: mails of one moment have no order
        let new = self.imap.mails(who, "INBOX").into_iter().filter(|mail| !known.contains(mail));
        new.map(|(_, raw)| raw).collect()
    }

    /// Everything that was to be read was read, and everything that was to be sent lies where it belongs.
    #[track_caller]
    fn settles(&self) {
        wait_until("every mail is read", SOON, || count(&self.imap, DESK, "INBOX") == 0);
        self.desk.await_letters();
        wait_until("no mail is on its way", SOON, || self.smtp.is_idle());
    }

    /// Rita reports; returns the case and the relay that Ada gets.
    #[track_caller]
    fn reported(&self) -> (String, Vec<u8>) {
        self.reports.set(self.reports.get() + 1);
        let inside = format!(
            "Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"\r\nSubject: {SECRET}\r\n\r\n{TEXT}\r\n"
        );
        let key = STANDARD.encode(self.rita.command(&["--export", RITA]));
        let key = key.as_bytes().chunks(72).fold(String::new(), |mut folded, line| {
            write!(folded, "\r\n {}", std::str::from_utf8(line).unwrap()).unwrap();
            folded
        });
        let ciphertext = String::from_utf8(self.rita.encrypt_sign(inside.as_bytes(), DESK, RITA)).unwrap();
        let mail = format!(
            "From: Rita <{RITA}>\r\nTo: {DESK}\r\nSubject: ...\r\nDate: Fri, 20 Nov 2026 15:00:00 +0000\r\n\
             Message-ID: {}\r\nAutocrypt: addr={RITA}; keydata={key}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"b\"\r\n\r\n\
             --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
             --b\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b--\r\n",
            message_id(),
            ciphertext.replace('\n', "\r\n")
        );
        let mut relays = self.gets(ADA, 1, || self.smtp.hand_in(RITA, DESK, mail.as_bytes()));
        self.desk.await_cases(self.reports.get());
        (self.desk.case_id(self.reports.get()), relays.remove(0))
    }

    /// What Rita reads in an encrypted letter of the desk: its header, and its text.
    #[track_caller]
    fn read_by_rita(&self, letter: &[u8]) -> (String, String) {
        let opened = self.rita.decrypt(&parts(letter)[1]);
        assert_eq!(opened.good_signature_by().as_ref(), Some(&keys().desk_fingerprint), "{}", opened.status);
        let plaintext = String::from_utf8(opened.plaintext).unwrap().replace("\r\n", "\n");
        let (head, body) = plaintext.split_once("\n\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Ada's mail had its plan carried out: Rita has it, and what Ada gets is returned.
    #[track_caller]
    fn plans(&self, case: &str, what: &str, sends: impl FnOnce()) -> Vec<u8> {
        let others = [BEN, MAX].map(|who| count(&self.imap, who, "INBOX"));
        let mut results = Vec::new();
        let letters = self.gets(RITA, 1, || results = self.gets(ADA, 1, sends));
        let known = self.desk.case(case);
        assert_eq!(known["owner"], ADA, "{what}: {known:#}");
        assert_eq!(clock(&known, "plan"), "met", "{what}");
        assert_eq!(clock(&known, "first-response"), "met", "{what}");
        let (head, text) = self.read_by_rita(&letters[0]);
        assert!(head.contains(&format!("Subject: Re: [{case}] {SECRET}\n")), "{what}: {head}");
        assert_eq!(text, format!("{PLAN}\n\n--\nExample Security\n{DESK}\n"), "{what}");
        // the other coordinator reads what goes out; a maintainer does not
        let others = [others[0] + 1, others[1]];
        assert_eq!([BEN, MAX].map(|who| count(&self.imap, who, "INBOX")), others, "{what}");
        results.remove(0)
    }

    /// No letter to Rita tells who is behind the desk, neither outside nor inside.
    #[track_caller]
    fn keeps_its_members_to_itself(&self) {
        let letters = self.imap.mails(RITA, "INBOX");
        assert!(!letters.is_empty());
        for (_, raw) in letters.iter().filter(|(_, raw)| !is_adas(raw)) {
            let mut all = raw.clone();
            if holds(raw, "multipart/encrypted") {
                all.extend(self.rita.decrypt(&parts(raw)[1]).plaintext);
            }
            for name in ["ada@", "ben@", "max@", "!plan", "!take"] {
                assert!(!holds(&all, name), "{name}: {}", String::from_utf8_lossy(&all));
            }
        }
    }
}

/// Ada wrote that herself, without the desk.
fn is_adas(raw: &[u8]) -> bool {
    raw.starts_with(format!("Return-Path: <{ADA}>").as_bytes())
}

fn clock(case: &Value, kind: &str) -> String {
    let clocks = case["deadlines"].as_array().unwrap();
    let clock = clocks.iter().find(|clock| clock["kind"] == kind).expect("that clock");
    clock["state"].as_str().unwrap().to_owned()
}

fn timeline(case: &Value) -> String {
    case["timeline"].to_string()
}

fn adas_gpg() -> Gpg {
    let gpg = Gpg::new();
    gpg.import(&keys().coordinators[0].0);
    gpg.import(&keys().desk_public);
    gpg
}

/// The commands and their text, above what is quoted.
fn above(case_line: &str) -> String {
    format!("{case_line}!take\n!plan\n\n{PLAN}\n\n")
}

fn plans_in(program: &'static str) {
    let (office, gpg) = (Office::new(None), adas_gpg());
    for (protection, below, protects) in [
        (Protection::Encrypted, false, true),
        (Protection::Encrypted, true, false),
        (Protection::Signed, false, false),
        (Protection::Signed, true, true),
    ] {
        let what = format!("{program} {protection:?} below: {below} protects: {protects}");
        let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
        if protects {
            mutt.set(PROTECTS);
        }
        if protection == Protection::Signed {
            mutt.set(CLEAR);
        }
        let (case, relay) = office.reported();
        let case_line = if protects { String::new() } else { format!("!case {case}\n") };
        let said = above(&case_line);
        let under = format!("\n{said}-- \nAda\n");
        let words =
            if below { Words { above: "", below: &under } } else { Words { above: &said, below: "" } };
        let results = office.plans(&case, &what, || mutt.replies(&relay, words, protection));
        let screen = mutt.shows(&results);
        assert!(screen.contains(&format!("Done in case {case}:")), "{what}: {screen}");
        assert!(screen.contains("We build your example tonight."), "{what}: {screen}");
        if program == "mutt" {
            println!("--- {what}\n{}", String::from_utf8_lossy(&gpg.decrypt(&parts(&results)[1]).plaintext));
        }
    }
    office.keeps_its_members_to_itself();
}

#[test]
fn a_plan_by_a_reply_in_mutt() {
    plans_in("mutt");
}

#[test]
fn a_plan_by_a_reply_in_neomutt() {
    plans_in("neomutt");
}

/// As Thunderbird quotes.
fn quoted(text: &str) -> String {
    let mut quoted = "On 11/28/26 15:00, Example Security wrote:\n".to_owned();
    for line in text.lines() {
        let blank = if line.is_empty() { "" } else { " " };
        writeln!(quoted, ">{blank}{line}").unwrap();
    }
    quoted
}

#[test]
fn a_plan_by_a_reply_in_thunderbirds_forms() {
    let rnp = Rnp::new();
    rnp.make_key(ADA, Kind::Curve25519);
    rnp.take_certificate(DESK, &keys().desk_public);
    let office = Office::new(Some(&rnp.certificate(ADA)));
    for (body, encrypted, below) in [
        (Body::Plain, true, false),
        (Body::Plain, false, true),
        (Body::Html, true, true),
        (Body::Html, false, false),
    ] {
        let what = format!("{body:?} encrypted: {encrypted} below: {below}");
        let (case, relay) = office.reported();
        let armored = parts(&relay).remove(1);
        let start = armored.windows(10).position(|at| at == b"-----BEGIN").unwrap();
        let opened = rnp.read(&armored[start..]);
        let plaintext = String::from_utf8(opened.plaintext).expect(&opened.said).replace("\r\n", "\n");
        let quotation = quoted(plaintext.split_once("\n\n").unwrap().1);
        assert!(quotation.contains(&format!("\n> {TEXT}\n")), "{quotation}");
        let said = above("");
        let text = if below { format!("{quotation}\n{said}") } else { format!("{said}{quotation}") };
        let outside = String::from_utf8(relay).unwrap();
        let id = outside.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
        let subject = format!("Re: [{case}] {SECRET}");
        let letter =
            Letter { from: ADA, to: DESK, subject: &subject, references: Some(id), text: &text, body };
        let mail = if encrypted {
            thunderbird::encrypted(&rnp, &letter)
        } else {
            thunderbird::signed(&rnp, &letter)
        };
        let results = office.plans(&case, &what, || office.smtp.hand_in(ADA, DESK, &mail));
        let results = parts(&results).remove(1);
        let start = results.windows(10).position(|at| at == b"-----BEGIN").unwrap();
        let opened = rnp.read(&results[start..]);
        assert!(holds(&opened.plaintext, &format!("Done in case {case}:")), "{what}: {}", opened.said);
    }
    office.keeps_its_members_to_itself();
}

/// A subject that is not signed anybody may have put there: it names no case.
#[test]
fn without_a_signed_case_nothing_is_done_and_ada_hears_how() {
    let (office, gpg) = (Office::new(None), adas_gpg());
    let (case, relay) = office.reported();
    for program in ["mutt", "neomutt"] {
        let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
        let before = office.desk.case(&case);
        let others = [RITA, BEN, MAX].map(|who| count(&office.imap, who, "INBOX"));
        // signed within one second, the same words have the same signature, and the second mail would be a repetition
        let said = format!("{}I write in {program}.\n", above(""));
        let words = Words { above: &said, below: "" };
        let results = office.gets(ADA, 1, || mutt.replies(&relay, words, Protection::Encrypted));
        let screen = mutt.shows(&results[0]);
        assert!(screen.contains("Nothing was done of what you said:"), "{screen}");
        assert!(
            screen.contains("no case is named in what is signed: put a line !case CASE first"),
            "{screen}"
        );
        let after = office.desk.case(&case);
        for fact in ["owner", "phase", "deadlines"] {
            assert_eq!(after[fact], before[fact], "{fact}");
        }
        assert_eq!([RITA, BEN, MAX].map(|who| count(&office.imap, who, "INBOX")), others);
    }
}

/// mutt takes the subject of a relay from inside, and puts it outside of the answer, unless it is told not to; of a mail that is only
/// signed it always stands outside. The desk can no more than say so: to the author, and to whoever gets the mail as a note.
#[test]
fn a_secret_subject_that_an_answer_shows_is_told() {
    let (office, gpg) = (Office::new(None), adas_gpg());
    let ben = Gpg::new();
    ben.import(&keys().coordinators[1].0);
    let (case, relay) = office.reported();
    for program in ["mutt", "neomutt"] {
        for (protection, settings, shows) in [
            (Protection::Encrypted, "", true),
            (Protection::Encrypted, PROTECTS, false),
            (Protection::Signed, PROTECTS, true),
        ] {
            let what = format!("{program} {protection:?} {settings}");
            let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
            mutt.set(settings);
            if protection == Protection::Signed {
                mutt.set(CLEAR);
            }
            let case_line = if settings.is_empty() { format!("!case {case}\n") } else { String::new() };
            let said = format!("{case_line}!priority high\n\n");
            let words = Words { above: &said, below: "" };
            let results = office.gets(ADA, 1, || mutt.replies(&relay, words, protection));
            let (_, answer) = office.imap.mails(DESK, "Processed").pop().unwrap();
            assert_eq!(holds(&answer, SECRET), shows, "{what}");
            let results = String::from_utf8(gpg.decrypt(&parts(&results[0])[1]).plaintext).unwrap();
            assert!(results.contains(&format!("Done in case {case}:")), "{what}: {results}");
            let told = results.contains("The subject of your mail stood in the clear");
            assert_eq!(told, shows, "{what}: {results}");

            let words = Words { above: "I know that code.\n\n", below: "" };
            let notes = office.gets(BEN, 1, || mutt.replies(&relay, words, protection));
            let note = String::from_utf8(ben.decrypt(&parts(&notes[0])[1]).plaintext).unwrap();
            assert!(note.contains("I know that code."), "{what}: {note}");
            assert_eq!(note.contains("its subject stood in the clear"), shows, "{what}: {note}");
        }
    }
}

/// A reply to a relay that gives no command is the team's; one to Rita, with the desk in Cc, is the answer that was owed.
#[test]
fn a_note_stays_inside_and_a_reply_to_all_is_the_answer() {
    let (office, gpg) = (Office::new(None), adas_gpg());
    for program in ["mutt", "neomutt"] {
        let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
        let (case, relay) = office.reported();
        let others = [ADA, RITA, MAX].map(|who| count(&office.imap, who, "INBOX"));
        let words = Words { above: "I know that code.\n\n", below: "" };
        let notes = office.gets(BEN, 1, || mutt.replies(&relay, words, Protection::Encrypted));
        let ben = Gpg::new();
        ben.import(&keys().coordinators[1].0);
        let opened = ben.decrypt(&parts(&notes[0])[1]);
        let note = String::from_utf8(opened.plaintext).unwrap();
        assert!(note.contains("I know that code."), "{}{note}", opened.status);
        assert_eq!([ADA, RITA, MAX].map(|who| count(&office.imap, who, "INBOX")), others, "{program}");
        let known = office.desk.case(&case);
        assert!(timeline(&known).contains("internal note"), "{known:#}");
        assert_eq!(clock(&known, "first-response"), "running");
    }
    office.keeps_its_members_to_itself();

    for program in ["mutt", "neomutt"] {
        let mutt = Mutt::new(program, &gpg, ADA, &office.smtp);
        // Rita has written to Ada, too: otherwise Ada has no address of hers
        let mail = format!(
            "From: Rita <{RITA}>\r\nTo: {DESK}\r\nCc: {ADA}\r\nSubject: Another one\r\n\
             Date: Fri, 20 Nov 2026 15:00:00 +0000\r\nMessage-ID: {}\r\n\r\n{TEXT}\r\n",
            message_id()
        );
        office.gets(ADA, 1, || office.smtp.hand_in(RITA, DESK, mail.as_bytes()));
        office.reports.set(office.reports.get() + 1);
        let case = office.desk.case_id(office.reports.get());
        assert_eq!(clock(&office.desk.case(&case), "first-response"), "running");
        let words = Words { above: "Thank you, we look into it.\n\n", below: "" };
        let got = office.gets(RITA, 1, || {
            mutt.replies_to_all(mail.as_bytes(), words, Protection::Signed);
            wait_until("the desk has it", SOON, || {
                clock(&office.desk.case(&case), "first-response") == "met"
            });
        });
        assert!(is_adas(&got[0]), "{}", String::from_utf8_lossy(&got[0]));
        let known = office.desk.case(&case);
        assert!(
            timeline(&known).contains("answer to the reporter, by a mail of their own"),
            "{program}: {known:#}"
        );
    }
    office.keeps_its_members_to_itself();
}
