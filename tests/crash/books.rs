//! The comparison at the end: what was delivered to the desk, what psirtd says it has, what others got from it.

use super::post::{FOLDERS, Post, Sent};
use crate::servers::desk::{ADA, BEN, DESK, Desk, count};
use crate::support::dovecot::Dovecot;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields the servers on the way write.
const WAY: [&str; 4] = ["received:", "return-path:", "delivered-to:", "x-original-to:"];

/// A mail in somebody's mailbox.
struct Got {
    message_id: String,
    in_reply_to: Option<String>,
    /// Without what the servers wrote.
    bytes: String,
}

pub struct Books<'p> {
    post: &'p Post<'p>,
    /// As `psirtd cases --all` and `psirtd case` say.
    cases: Vec<Value>,
    /// As `psirtd outbox` says.
    letters: Vec<Value>,
    /// The mailboxes of everybody the desk writes to.
    mailboxes: BTreeMap<&'static str, Vec<Got>>,
    left: usize,
}

/// Letters that arrived more than once, which may happen; by kind.
#[derive(Default)]
pub struct Doubles {
    letters: BTreeMap<String, (u64, u64)>,
}

impl Doubles {
    pub fn lines(&self) -> Vec<(String, u64)> {
        let both = |(kind, (sent, twice)): (&String, &(u64, u64))| {
            [(kind.clone(), *sent), (format!("of these arrived more than once ({kind})"), *twice)]
        };
        self.letters.iter().flat_map(both).collect()
    }
}

impl<'p> Books<'p> {
    /// Asks the running daemon, and looks into the mailboxes.
    pub fn open(desk: &Desk, imap: &Dovecot, post: &'p Post<'p>) -> Books<'p> {
        let asked = |arguments: &[&str]| -> Value {
            let (code, said, complaint) = desk.says(&[arguments, &["--json"]].concat());
            assert_eq!(code, 0, "{arguments:?}: {complaint}");
            serde_json::from_str(&said).unwrap()
        };
        let list = |value: Value| value.as_array().unwrap().clone();
        let case = |case: Value| asked(&["case", text(&case, "id")]);
        let correspondents = [&[ADA, BEN], &super::post::REPORTERS[..]].concat();
        let mailbox = |who| (who, imap.mails(who, "INBOX").iter().map(|(_, raw)| Got::read(raw)).collect());
        Books {
            post,
            cases: list(asked(&["cases", "--all"])).into_iter().map(case).collect(),
            letters: list(asked(&["outbox"])),
            mailboxes: correspondents.into_iter().map(mailbox).collect(),
            left: FOLDERS.iter().map(|folder| count(imap, DESK, folder)).sum(),
        }
    }

    /// Nothing is lost, nothing is there twice.
    pub fn compare(&self) -> Doubles {
        assert_eq!(self.left, 0, "mails that were not put away");
        self.each_mail_is_in_one_case();
        self.each_report_is_acknowledged_once();
        self.each_mail_is_relayed_once();
        let doubles = self.each_letter_arrived();
        for (who, mailbox) in &self.mailboxes {
            let mut copies: BTreeMap<&str, &Got> = BTreeMap::new();
            for got in mailbox {
                let first = copies.entry(got.message_id.as_str()).or_insert(got);
                assert_eq!(first.bytes, got.bytes, "two forms of one letter to {who}");
            }
        }
        doubles
    }

    /// Asked again, psirtd says the same.
    pub fn must_be_the_same(&self, again: &Books<'_>) {
        for (before, after) in self.cases.iter().zip(&again.cases) {
            assert_eq!(before, after);
        }
        assert_eq!(self.cases.len(), again.cases.len());
        assert_eq!(self.letters, again.letters);
    }

    fn each_mail_is_in_one_case(&self) {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in &self.cases {
            assert!(case["acknowledged_at"].is_string(), "{case}");
            for mail in case["mail_list"].as_array().unwrap() {
                places.entry(text(mail, "message_id")).or_default().push(text(case, "id"));
            }
        }
        for sent in &self.post.sent {
            let found = places.get(sent.message_id.as_str()).map_or(&[][..], Vec::as_slice);
            assert_eq!(found.len(), 1, "{} is in {found:?}", sent.message_id);
            let thread = sent.follows.as_ref().map_or(found, |report| &places[report.as_str()]);
            assert_eq!(found, thread, "{} is in the case of what it answers", sent.message_id);
        }
        assert_eq!(places.len(), self.post.sent.len(), "there are mails that nobody sent");
        let reports = self.reports().count();
        assert_eq!(self.cases.len(), reports, "cases, reports");
    }

    fn reports(&self) -> impl Iterator<Item = &Sent> {
        self.post.sent.iter().filter(|sent| sent.follows.is_none())
    }

    /// From the reporters' side: an answer to each report, and never two different ones.
    fn each_report_is_acknowledged_once(&self) {
        let mut answers: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for (who, mailbox) in &self.mailboxes {
            for got in mailbox.iter().filter(|_| ![ADA, BEN].contains(who)) {
                let about = got.in_reply_to.as_deref().expect("an answer");
                answers.entry((who, about)).or_default().insert(&got.message_id);
            }
        }
        for report in self.reports() {
            let key = (report.from, report.message_id.as_str());
            let ids = answers.remove(&key).unwrap_or_default();
            assert_eq!(ids.len(), 1, "answers to {key:?}: {ids:?}");
        }
        assert!(answers.is_empty(), "answers to what was no report: {answers:?}");
    }

    /// From the coordinators' side: as many different relays of a case as it has mails.
    fn each_mail_is_relayed_once(&self) {
        for who in [ADA, BEN] {
            let got: BTreeSet<&str> = self.mailboxes[who].iter().map(|got| got.message_id.as_str()).collect();
            for case in &self.cases {
                let letters = case["letters"].as_array().unwrap();
                let relays = letters.iter().filter(|letter| text(letter, "kind") == "relay");
                let relays: Vec<&Value> = relays.filter(|letter| text(letter, "to") == who).collect();
                let arrived = relays.iter().filter(|letter| got.contains(text(letter, "message_id"))).count();
                let mails = case["mail_list"].as_array().unwrap().len();
                assert_eq!((relays.len(), arrived), (mails, mails), "relays of {case} to {who}");
            }
        }
    }

    /// Whatever psirtd says it sent has arrived, and nothing arrived of which it does not know.
    fn each_letter_arrived(&self) -> Doubles {
        let mut doubles = Doubles::default();
        let mut known: BTreeSet<(&str, &str)> = BTreeSet::new();
        for letter in &self.letters {
            let (to, id) = (text(letter, "to"), text(letter, "message_id"));
            assert!(known.insert((to, id)), "two letters with one Message-ID: {letter}");
            assert_eq!(letter["state"], "sent", "{letter}");
            let copies = self.mailboxes[to].iter().filter(|got| got.message_id == id).count();
            assert!(copies > 0, "it never arrived: {letter}");
            let (sent, twice) = doubles.letters.entry(text(letter, "kind").to_owned()).or_default();
            *sent += 1;
            *twice += u64::from(copies > 1);
        }
        for (who, mailbox) in &self.mailboxes {
            for got in mailbox {
                let id = &got.message_id;
                assert!(
                    known.contains(&(*who, id.as_str())),
                    "psirtd does not know that it sent {id} to {who}"
                );
            }
        }
        doubles
    }
}

impl Got {
    fn read(raw: &[u8]) -> Got {
        let mail = String::from_utf8(raw.to_vec()).unwrap().replace("\r\n", "\n");
        let (header, body) = mail.split_once("\n\n").unwrap();
        let mut fields: Vec<String> = Vec::new();
        for line in header.lines() {
            match fields.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
                Some(field) => *field += &format!("\n{line}"),
                None => fields.push(line.to_owned()),
            }
        }
        fields.retain(|field| !WAY.iter().any(|way| field.to_lowercase().starts_with(way)));
        let field = |name: &str| {
            let mut values = fields.iter().filter_map(|field| field.strip_prefix(name)?.strip_prefix(":"));
            values.next().map(|value| value.trim().to_owned())
        };
        Got {
            message_id: field("Message-ID").expect("a Message-ID"),
            in_reply_to: field("In-Reply-To"),
            bytes: format!("{}\n\n{body}", fields.join("\n")),
        }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}
