//! What mailboxes can do, cannot do, and lie about.

use super::desk::{DESK, Desk, Plan, RITA, SOON, USERS, count, flags, report};
use super::scripted::{self, body};
use crate::support::dovecot::Dovecot;
use crate::support::faulty::tag_of;
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn servers() -> (Dovecot, Postfix) {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    (imap, smtp)
}

#[test]
fn starttls_and_implicit_tls_on_both_doors() {
    let (imap, smtp) = servers();
    for (word, imap_port, smtp_port) in [
        ("starttls", imap.imap_port, smtp.submission_port),
        ("implicit", imap.imaps_port, smtp.submissions_port),
    ] {
        let mut plan = Plan::of(&imap, &smtp);
        (plan.imap.tls, plan.imap.port) = (word, imap_port);
        (plan.smtp.tls, plan.smtp.port) = (word, smtp_port);
        let desk = Desk::new(&plan);
        let (code, said, _) = desk.says(&["check", "--online"]);
        assert_eq!(code, 0, "{word}: {said}");
        desk.start();
        desk.serves(&imap);
        wait_until("it is put away", SOON, || count(&imap, DESK, "INBOX") == 0);
        desk.stop();
    }
    assert_eq!((count(&imap, DESK, "Processed"), count(&imap, RITA, "INBOX")), (2, 2));
    assert!(imap.log().lines().filter(|line| line.contains("Login:")).all(|line| line.contains(", TLS")));
}

#[test]
fn several_folders_and_the_same_mail_in_two_of_them() {
    let (imap, smtp) = servers();
    let mut plan = Plan::of(&imap, &smtp);
    plan.folders = vec!["INBOX", "Junk", "Archive"];
    let desk = Desk::new(&plan);
    desk.start();
    let twice = report(RITA, "Twice", "It crashes.");
    imap.deliver(DESK, "INBOX", &twice);
    imap.deliver(DESK, "Junk", &report(RITA, "Condemned", "It crashes."));
    imap.deliver(DESK, "Archive", &twice);
    wait_until("all is put away", SOON, || count(&imap, DESK, "Processed") == 3);
    desk.await_cases(2);
    for folder in plan.folders {
        // a move is a copy first
        wait_until(&format!("{folder} is empty"), SOON, || count(&imap, DESK, folder) == 0);
    }
}

#[test]
fn without_move_nobody_elses_deletions_are_expunged() {
    let imap = Dovecot::builder().without_move().start();
    let smtp = Postfix::start(&imap, &USERS);
    let mut plan = Plan::of(&imap, &smtp);
    plan.max_size = Some("1 MB");
    let desk = Desk::new(&plan);
    desk.start();
    // a mail that psirtd leaves where it is, and that a person marks \Deleted
    imap.deliver(DESK, "INBOX", &report(RITA, "Large", &"0123456789\r\n".repeat(100_000)));
    wait_until("it is flagged", SOON, || flags(&imap, "INBOX") == ["F"]);
    let (path, _) = imap.mails(DESK, "INBOX").remove(0);
    let deleted = format!("{}T", path.to_str().unwrap());
    std::fs::rename(path, deleted).unwrap();
    desk.serves(&imap);
    wait_until("the report is put away", SOON, || count(&imap, DESK, "Processed") == 1);
    wait_until("the report is expunged", SOON, || count(&imap, DESK, "INBOX") == 1);
    assert_eq!(flags(&imap, "INBOX"), ["FT"], "the deleted one is still there");
    assert!(!flags(&imap, "Processed")[0].contains('T'));
}

#[test]
fn mails_that_are_only_marked_are_not_taken_in_again() {
    let (imap, smtp) = servers();
    let mut plan = Plan::of(&imap, &smtp);
    plan.processed = None;
    let desk = Desk::new(&plan);
    desk.start();
    desk.serves(&imap);
    wait_until("it is marked", SOON, || flags(&imap, "INBOX") == ["S"]);
    desk.stop();
    // a person's “unread” is no reason either
    let (path, _) = imap.mails(DESK, "INBOX").remove(0);
    std::fs::rename(&path, path.to_str().unwrap().trim_end_matches('S')).unwrap();
    desk.start();
    desk.serves(&imap);
    assert_eq!((desk.cases().len(), count(&imap, RITA, "INBOX")), (2, 2));
    assert_eq!(count(&imap, DESK, "INBOX"), 2);
}

#[test]
fn a_server_without_idle_is_asked() {
    let imap = Dovecot::builder().without_idle().start();
    let smtp = Postfix::start(&imap, &USERS);
    let mut plan = Plan::of(&imap, &smtp);
    plan.poll = "1s";
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_log("how=\"poll\"");
    desk.serves(&imap);
    desk.serves(&imap);
}

#[test]
fn another_uidvalidity_makes_no_second_case() {
    let (imap, smtp) = servers();
    let mut plan = Plan::of(&imap, &smtp);
    plan.processed = None;
    let desk = Desk::new(&plan);
    desk.start();
    desk.serves(&imap);
    imap.change_uidvalidity(DESK, "INBOX");
    desk.await_log("UIDVALIDITY changed");
    desk.serves(&imap);
    desk.stop();
    imap.change_uidvalidity(DESK, "INBOX");
    desk.start();
    desk.serves(&imap);
    assert_eq!((desk.cases().len(), count(&imap, RITA, "INBOX")), (3, 3));
}

#[test]
fn a_server_that_is_started_again_is_found_again() {
    let (imap, smtp) = servers();
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    desk.start();
    desk.serves(&imap);
    imap.stop();
    desk.await_log("inbox: not connected");
    imap.start_again();
    desk.serves(&imap);
    imap.kill_connections(DESK);
    desk.serves(&imap);
}

#[test]
fn a_second_daemon_is_refused_and_told_which_is_the_first() {
    let (imap, _bell) = scripted::imap(scripted::folder(&[]), |_, _, _| false);
    let (smtp, _) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    let (code, _, complaint) = desk.says(&["run"]);
    assert_eq!(code, 1);
    assert!(complaint.contains(&format!("process {}", desk.pid())), "{complaint}");
    assert_eq!(complaint.lines().filter(|line| line.starts_with("psirtd:")).count(), 1, "{complaint}");
    assert!(desk.cases().is_empty(), "the first still answers");
}

#[test]
fn a_uidnext_that_lies_costs_nothing() {
    let folder = scripted::folder(&[report(RITA, "One", "It crashes.")]);
    let inside = folder.clone();
    let (imap, _bell) = scripted::imap(folder.clone(), move |conversation, connection, line| {
        let mut folder = inside.lock().unwrap();
        if connection == 1 && line.contains("IDLE") {
            // the next SELECT shows another mail, and a UIDNEXT below the one before
            folder.mails.push((2, report(RITA, "Two", "It crashes.")));
            folder.next = 1;
            conversation.close();
            return true;
        }
        if connection == 2 && line.contains("IDLE") {
            folder.mails.push((3, report(RITA, "Three", "It crashes.")));
            folder.next = 4_000_000_000;
            conversation.close();
            return true;
        }
        false
    });
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let mut plan = Plan::scripted(imap.port, smtp.port);
    plan.processed = None;
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_log("UIDNEXT went backwards");
    desk.await_cases(3);
    wait_until("three are marked", SOON, || {
        let mut seen = folder.lock().unwrap().seen.clone();
        seen.sort_unstable();
        seen.dedup();
        seen == [1, 2, 3]
    });
    wait_until("three are answered", SOON, || letters.lock().unwrap().len() == 3);
    assert_eq!(desk.cases().len(), 3);
}

/// Answers that nobody asked for, in between those that somebody did.
#[test]
fn a_server_that_says_more_than_it_was_asked_is_understood() {
    let mails = [report(RITA, "One", "It crashes."), report(RITA, "Two", "It crashes.")];
    let folder = scripted::folder(&mails);
    let (imap, bell) = scripted::imap(folder.clone(), move |conversation, _, line| {
        if line.contains("UID FETCH") && line.contains("BODY.PEEK[]") {
            conversation.line("* 7 FETCH (FLAGS (\\Seen))");
            conversation.line("* 5 EXPUNGE");
            body(conversation, 2, 2, &mails[1]);
            conversation.line("* OK still here");
            body(conversation, 9, 99, b"Subject: never listed\r\n\r\nnever asked for\r\n");
            body(conversation, 1, 1, &mails[0]);
            body(conversation, 1, 1, &mails[0]);
            conversation.line(&format!("{} OK done", tag_of(line)));
            return true;
        }
        false
    });
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    wait_until("both are moved", SOON, || folder.lock().unwrap().moved.len() == 2);
    wait_until("both are answered", SOON, || letters.lock().unwrap().len() == 2);
    bell.send(()).unwrap();
    desk.await_cases(2);
    assert_eq!(folder.lock().unwrap().moved, [1, 2]);
}

/// A server that lists a mail but does not hand it out (NO such bytes, a broken index) may do so later.
#[test]
fn a_mail_whose_bytes_were_withheld_is_asked_for_again() {
    let folder = scripted::folder(&[report(RITA, "One", "It crashes.")]);
    let withheld = AtomicUsize::new(0);
    let (imap, bell) = scripted::imap(folder.clone(), move |conversation, _, line| {
        let body = line.contains("BODY.PEEK[]");
        if body && withheld.fetch_add(1, Ordering::SeqCst) == 0 {
            conversation.line(&format!("{} OK nothing to see", tag_of(line)));
            return true;
        }
        false
    });
    let (smtp, _) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    bell.send(()).unwrap();
    desk.await_cases(1);
    wait_until("it is moved", SOON, || folder.lock().unwrap().moved == [1]);
}

/// While a FETCH runs, the server may tell of flags that another client has set (RFC 9051 §7.5.2).
#[test]
fn flags_told_during_a_fetch_do_not_hide_how_large_a_mail_is() {
    let folder = scripted::folder(&[report(RITA, "Large", &"0123456789\r\n".repeat(100_000))]);
    let whole = std::sync::Arc::new(AtomicBool::new(false));
    let asked = whole.clone();
    let (imap, _bell) = scripted::imap(folder.clone(), move |conversation, _, line| {
        if line.contains("RFC822.SIZE") {
            conversation.line("* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 1200200)");
            conversation.line("* 1 FETCH (UID 1 FLAGS (\\Answered))");
            conversation.line(&format!("{} OK done", tag_of(line)));
            return true;
        }
        if line.contains("BODY.PEEK[HEADER]") {
            let header = "Subject: Large\r\nFrom: rita@example.net\r\n\r\n";
            assert!(line.contains("[HEADER]<0."), "as much of it as is read: {line}");
            conversation.line(&format!("* 1 FETCH (UID 1 BODY[HEADER]<0> {{{}}}", header.len()));
            conversation.raw(header.as_bytes());
            conversation.line(")");
            conversation.line(&format!("{} OK done", tag_of(line)));
            return true;
        }
        if line.contains("BODY.PEEK[]") {
            asked.store(true, Ordering::SeqCst);
        }
        false
    });
    let (smtp, _) = scripted::smtp(|_, _, _| false);
    let mut plan = Plan::scripted(imap.port, smtp.port);
    plan.max_size = Some("1 MB");
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_cases(1);
    assert!(!whole.load(Ordering::SeqCst), "the whole mail was fetched");
    wait_until("it is flagged", SOON, || folder.lock().unwrap().seen == [1]);
    assert!(folder.lock().unwrap().moved.is_empty());
}
