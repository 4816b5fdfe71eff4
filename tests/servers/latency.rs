//! How long an acknowledgement takes: figures to look at, with no assertion about time, which a busy machine would break.
//!
//! `cargo test --test psirtd servers::latency -- --nocapture --test-threads 1`

use super::desk::{DESK, Desk, Plan, RITA, SOON, USERS, count, encrypted_report, keys, report};
use super::scripted;
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use psirtd::clock::Clock;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// When a file got its present name, in milliseconds.
fn named_at(file: &Path) -> i64 {
    let metadata = std::fs::metadata(file).unwrap();
    metadata.ctime() * 1000 + metadata.ctime_nsec() / 1_000_000
}

/// Median and maximum.
fn summary(mut milliseconds: Vec<i64>) -> String {
    milliseconds.sort_unstable();
    let (count, max) = (milliseconds.len(), milliseconds[milliseconds.len() - 1]);
    format!("median {} ms, maximum {max} ms of {count}", milliseconds[count / 2])
}

/// From the rename into `new/` to the rename of the acknowledgement into the reporter's `new/`, through Dovecot's IDLE (which
/// alone takes half a second) and Postfix.
#[test]
fn from_mailbox_to_mailbox() {
    let gpg = Gpg::new();
    gpg.import(&keys().desk_public);
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    desk.start();
    desk.await_log("inbox: connected");
    let (mut plain, mut encrypted) = (Vec::new(), Vec::new());
    for number in 0..30 {
        let (raw, took) = if number % 2 == 0 {
            (report(RITA, "Plain", "It crashes."), &mut plain)
        } else {
            (encrypted_report(&gpg, RITA, "", "It crashes."), &mut encrypted)
        };
        let before = imap.mails(RITA, "INBOX");
        // a file that is there may have another name by now
        let delivered = Clock::System.now().as_millisecond();
        imap.deliver(DESK, "INBOX", &raw);
        wait_until("the acknowledgement is there", SOON, || count(&imap, RITA, "INBOX") > before.len());
        let after = imap.mails(RITA, "INBOX");
        let new = after.iter().find(|mail| !before.contains(mail)).unwrap();
        took.push(named_at(&new.0) - delivered);
    }
    println!("mailbox to mailbox, plain: {}", summary(plain));
    println!("mailbox to mailbox, encrypted: {}", summary(encrypted));
}

/// From the server's EXISTS to the last line of the acknowledgement's text, both by servers that take no time themselves.
#[test]
#[allow(clippy::disallowed_methods)]
fn from_exists_to_the_submitted_acknowledgement() {
    let gpg = Gpg::new();
    gpg.import(&keys().desk_public);
    let folder = scripted::folder(&[]);
    let (imap, bell) = scripted::imap(folder.clone(), |_, _, _| false);
    let submitted: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let clock = submitted.clone();
    let (smtp, _letters) = scripted::smtp(move |_, _, line| {
        if line == "." {
            clock.lock().unwrap().push(Instant::now());
        }
        false
    });
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    desk.await_log("inbox: connected");
    let (mut plain, mut encrypted) = (Vec::new(), Vec::new());
    for number in 0..30 {
        let (raw, took) = if number % 2 == 0 {
            (report(RITA, "Plain", "It crashes."), &mut plain)
        } else {
            (encrypted_report(&gpg, RITA, "", "It crashes."), &mut encrypted)
        };
        {
            let mut folder = folder.lock().unwrap();
            let uid = folder.next;
            folder.mails.push((uid, raw));
            folder.next += 1;
        }
        let began = Instant::now();
        bell.send(()).unwrap();
        wait_until("it is submitted", SOON, || submitted.lock().unwrap().len() > number);
        let ended = submitted.lock().unwrap()[number];
        took.push(i64::try_from(ended.duration_since(began).as_millis()).unwrap());
        wait_until("it is moved", SOON, || folder.lock().unwrap().moved.len() > number);
    }
    drop(bell);
    println!("EXISTS to submission, plain: {}", summary(plain));
    println!("EXISTS to submission, encrypted: {}", summary(encrypted));
    desk.stop();
}
