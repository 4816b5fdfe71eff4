//! The mails that arrive while psirtd is being killed, and which they were.

use super::chance::Chance;
use crate::servers::desk::{DESK, count, encrypted_report, keys, report};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use std::fs;
use std::time::Duration;

pub const REPORTERS: [&str; 6] = [
    "r0@example.net",
    "r1@example.net",
    "r2@example.net",
    "r3@example.net",
    "r4@example.com",
    "r5@example.com",
];
/// The folders the desk reads.
pub const FOLDERS: [&str; 2] = ["INBOX", "Other"];

/// A mail that was delivered to the desk.
pub struct Sent {
    /// In brackets.
    pub message_id: String,
    pub from: &'static str,
    /// The report it belongs to; none for a report.
    pub follows: Option<String>,
    encrypted: bool,
    /// It lay in one folder only, in which the mails of a thread stay in order.
    in_order: bool,
}

pub struct Post<'d> {
    imap: &'d Dovecot,
    gpg: Gpg,
    chance: Chance,
    pub sent: Vec<Sent>,
    pub copied_back: u64,
}

/// How many mails the desk has not put away yet.
pub fn waiting(imap: &Dovecot) -> usize {
    FOLDERS.iter().map(|folder| count(imap, DESK, folder)).sum()
}

impl<'d> Post<'d> {
    pub fn new(imap: &'d Dovecot, chance: Chance) -> Post<'d> {
        let gpg = Gpg::new();
        gpg.import(&keys().desk_public);
        Post { imap, gpg, chance, sent: Vec::new(), copied_back: 0 }
    }

    /// A mail into each folder, so that it is there.
    pub fn opens(&mut self) {
        FOLDERS.iter().for_each(|folder| self.report(&[folder]));
    }

    /// How long until the next one comes.
    pub fn pause(&mut self) -> Duration {
        Duration::from_millis(200 + self.chance.below(1000))
    }

    /// One more mail, of any kind.
    pub fn deliver(&mut self) {
        match self.chance.below(20) {
            0..11 => self.report(&["INBOX"]),
            11 => self.report(&["Other"]),
            12 | 13 => self.report(&FOLDERS),
            14..17 => self.follow_up(),
            _ => self.copies_one_back(),
        }
    }

    /// How many were of a kind: reports, follow-ups, encrypted, in two folders.
    pub fn kinds(&self) -> [(&'static str, usize); 4] {
        let number = |of: &dyn Fn(&Sent) -> bool| self.sent.iter().filter(|sent| of(sent)).count();
        [
            ("reports", number(&|sent| sent.follows.is_none())),
            ("follow-ups", number(&|sent| sent.follows.is_some())),
            ("of these encrypted", number(&|sent| sent.encrypted)),
            ("of these not in INBOX alone", number(&|sent| !sent.in_order)),
        ]
    }

    fn report(&mut self, folders: &[&str]) {
        let from = *self.chance.one_of(&REPORTERS);
        self.mail(from, folders, None);
    }

    /// Something to add to an earlier report.
    fn follow_up(&mut self) {
        let reports: Vec<&Sent> =
            self.sent.iter().filter(|sent| sent.follows.is_none() && sent.in_order).collect();
        if reports.is_empty() {
            return self.report(&["INBOX"]);
        }
        let about = self.chance.one_of(&reports);
        let (from, thread) = (about.from, about.message_id.clone());
        self.mail(from, &["INBOX"], Some(thread));
    }

    fn mail(&mut self, from: &'static str, folders: &[&str], follows: Option<String>) {
        let encrypted = self.chance.one_in(3);
        let text = format!("Steps to reproduce number {}: feed it the file.", self.sent.len());
        let mail = if encrypted {
            encrypted_report(&self.gpg, from, "", &text)
        } else {
            report(from, "A crash in the parser", &text)
        };
        let mut mail = String::from_utf8(mail).unwrap();
        if let Some(thread) = &follows {
            mail = mail.replacen("Message-ID: ", &format!("In-Reply-To: {thread}\r\nMessage-ID: "), 1);
        }
        let (_, rest) = mail.split_once("Message-ID: ").unwrap();
        let message_id = rest.split_once("\r\n").unwrap().0.to_owned();
        let in_order = folders == ["INBOX"];
        self.sent.push(Sent { message_id, from, follows, encrypted, in_order });
        for (number, folder) in folders.iter().enumerate() {
            // a second way brings another trace
            let trace = format!(
                "Received: from way{number}.example.net by mx.example.org; Fri, 20 Nov 2026 15:00:01 +0000\r\n"
            );
            self.imap.deliver(DESK, folder, [trace.as_bytes(), mail.as_bytes()].concat().as_slice());
        }
    }

    /// A mail that was put away lies in the inbox again.
    fn copies_one_back(&mut self) {
        let put_away = self.imap.mail_dir().join(DESK).join("Processed");
        let entries = ["new", "cur"].map(|part| fs::read_dir(put_away.join(part)));
        let files: Vec<_> =
            entries.into_iter().flatten().flatten().flatten().map(|entry| entry.path()).collect();
        let file = if files.is_empty() { None } else { Some(self.chance.one_of(&files)) };
        // it may be renamed meanwhile: then it is not this one
        let Some(mail) = file.and_then(|file| fs::read(file).ok()) else { return self.report(&["INBOX"]) };
        let folder = self.chance.one_of(&FOLDERS);
        self.imap.deliver(DESK, folder, &mail);
        self.copied_back += 1;
    }
}
