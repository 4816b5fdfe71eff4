//! Doors that do not work for a while, and who hears of it.

use super::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, Server, USERS, count, keys, parts, report};
use super::scripted;
use crate::support::dovecot::Dovecot;
use crate::support::faulty::{FaultyImap, FaultySmtp};
use crate::support::gpg::Gpg;
use crate::support::postfix::Postfix;
use crate::support::{happens, wait_until};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Waits between attempts grow, and a door is looked at again only after the last of them.
const IN_A_WHILE: Duration = Duration::from_secs(200);
/// Long enough for a busy machine to look at a folder every second, and to send a letter.
const SILENCE: &str = "\n[policy]\nsilence = \"10 seconds\"\n";

fn plan(imap: &Dovecot, smtp: &Postfix) -> Plan {
    Plan { poll: "1s", more: SILENCE, ..Plan::of(imap, smtp) }
}

/// What `check --online` says of the running daemon, a line a door, and its exit code.
fn checked(desk: &Desk) -> (i32, Vec<String>) {
    let (code, said, complaint) = desk.says(&["check", "--online"]);
    let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = said.lines().map(plain).filter(|line| line.contains(" daemon")).collect();
    // cron sends what stands there
    let named = |line: &&String| {
        complaint.contains(line.split(" not working").next().unwrap().trim_start_matches("FAIL "))
    };
    assert!(
        lines.iter().filter(|line| line.starts_with("FAIL")).all(|line| named(&line)),
        "{said}{complaint}"
    );
    (code, lines)
}

const WELL: [&str; 2] = ["ok daemon: inbox INBOX working", "ok daemon: outbox working"];

fn warnings(desk: &Desk) -> Vec<serde_json::Value> {
    desk.outbox().into_iter().filter(|letter| letter["kind"] == "warning").collect()
}

/// Waits for so many warnings in the mailbox of a coordinator, who can read them, and nobody else; their lines.
#[track_caller]
fn await_warnings(imap: &Dovecot, who: &str, number: usize) -> Vec<Vec<String>> {
    let gpg = Gpg::new();
    gpg.import(&keys().coordinators[usize::from(who == BEN)].0);
    gpg.import(&keys().desk_public);
    let mut warned = Vec::new();
    wait_until(&format!("{who} has {number} warnings"), SOON, || {
        let opened = imap.mails(who, "INBOX").into_iter().map(|(_, raw)| {
            assert!(String::from_utf8_lossy(&raw).contains("multipart/encrypted"));
            let opened = gpg.decrypt(&parts(&raw)[1]);
            assert_eq!(opened.good_signature_by().as_ref(), Some(&keys().desk_fingerprint));
            String::from_utf8(opened.plaintext).unwrap().replace("=\r\n", "").replace("\r\n", "\n")
        });
        let lines = |text: String| {
            text.lines().filter_map(|line| line.strip_prefix("  * ")).map(str::to_owned).collect()
        };
        warned = opened.filter(|text| text.contains("The desk needs a person")).map(lines).collect();
        warned.len() >= number
    });
    warned
}

/// The one line of the one warning in that mailbox.
#[track_caller]
fn warned_once(imap: &Dovecot, who: &str) -> String {
    let mut warned = await_warnings(imap, who, 1).concat();
    assert_eq!(warned.len(), 1, "{warned:?}");
    warned.remove(0)
}

/// The mailbox' password was changed: the coordinators get a mail, once, and whoever asks the daemon hears it. When the password is
/// as it was, everything goes on.
#[test]
fn an_inbox_that_cannot_log_in_is_told_of_by_mail_log_and_exit_code() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let mut plan = plan(&imap, &smtp);
    // a door of Postfix that asks for no password
    plan.smtp = Server { port: smtp.mx_port, tls: "none", ca: None, password: None, ..plan.smtp };
    let desk = Desk::new(&plan);
    assert_eq!(checked(&desk), (0, vec!["ok daemon none runs on this state".to_owned()]));
    desk.start();
    desk.serves(&imap);
    assert_eq!(checked(&desk), (0, WELL.map(str::to_owned).to_vec()));

    imap.set_password("changed");
    imap.kill_connections(DESK);
    desk.await_log("silence: a door does not work");
    assert!(desk.log().contains("door=inbox INBOX"), "{}", desk.log());
    for who in [ADA, BEN] {
        let told = warned_once(&imap, who);
        assert!(told.starts_with("the inbox INBOX has not worked since "), "{told}");
        assert!(told.contains("the server refused the login"), "{told}");
        assert!(told.contains("check user and password. psirtd goes on trying"), "{told}");
        assert!(!told.contains(DESK) && !told.contains("secret"), "no user, no password: {told}");
    }
    let (code, lines) = checked(&desk);
    assert_eq!((code, lines[1].as_str()), (1, WELL[1]));
    assert!(lines[0].starts_with("FAIL daemon: inbox INBOX not working since "), "{lines:?}");
    assert!(lines[0].contains("the server refused the login"), "{lines:?}");
    let (code, said, _) = desk.says(&["check", "--online", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["ok"]), (1, &false.into()));
    let told: Vec<_> =
        said["doors"].as_array().unwrap().iter().map(|door| (&door["door"], &door["silent"])).collect();
    assert_eq!(told, [(&"inbox INBOX".into(), &true.into()), (&"outbox".into(), &false.into())]);

    // a new start is no new silence: the next warning is about another folder alone
    desk.kill();
    plan.folders.push("Lists");
    desk.rewrite(&plan);
    desk.start();
    wait_until("the other folder is told of", SOON, || warnings(&desk).len() > 2);
    desk.await_letters();
    assert_eq!(warnings(&desk).len(), 4, "two letters each for Ada and Ben");
    let told = await_warnings(&imap, ADA, 2).concat();
    let about = |folder: &str| told.iter().filter(|line| line.contains(folder)).count();
    assert_eq!((about("inbox INBOX"), about("inbox Lists"), told.len()), (1, 1, 2), "{told:?}");

    imap.set_password("secret");
    let again = "silence: a door works again door=inbox INBOX";
    wait_until("it works again", IN_A_WHILE, || desk.log().contains(again));
    imap.deliver(DESK, "INBOX", &report(RITA, "Waiting", "It crashes."));
    desk.await_cases(2);
    assert_eq!(checked(&desk).1[0], WELL[0]);
    assert!(!desk.log().contains(DESK), "{}", desk.log());
}

/// Nobody takes letters: the log says so, and who asks; the letters, a warning among them, go when the server is there again.
#[test]
fn an_outbox_that_reaches_no_server_is_told_of_by_log_and_exit_code_and_later_by_mail() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&plan(&imap, &smtp));
    desk.start();
    smtp.stop();
    imap.deliver(DESK, "INBOX", &report(RITA, "A report", "It crashes."));
    desk.await_cases(1);
    desk.await_log("silence: a door does not work");
    assert!(desk.log().contains("door=outbox"), "{}", desk.log());
    let (code, lines) = checked(&desk);
    assert_eq!((code, lines[0].as_str()), (1, WELL[0]));
    assert!(lines[1].starts_with("FAIL daemon: outbox not working since "), "{lines:?}");
    assert!(lines[1].contains("the server takes no letters"), "{lines:?}");
    wait_until("a warning waits", SOON, || {
        warnings(&desk).iter().filter(|letter| letter["state"] == "deferred").count() == 2
    });
    smtp.start_again();
    // whoever can log in now does not know yet that the letters are still there
    let (code, _, complaint) = desk.says(&["check", "--online"]);
    assert_eq!((code, complaint.as_str()), (1, "psirtd: failed: daemon: outbox\n"));
    for letter in desk.outbox() {
        let id = letter["id"].as_str().unwrap();
        assert_eq!(desk.says(&["outbox", "retry", id]).0, 0);
    }
    desk.await_log("silence: a door works again door=outbox");
    wait_until("Rita has her answer", SOON, || count(&imap, RITA, "INBOX") == 1);
    let told = warned_once(&imap, ADA);
    assert!(told.starts_with("the outbox has not worked since ") && told.contains("letters wait"), "{told}");
    assert_eq!(checked(&desk), (0, WELL.map(str::to_owned).to_vec()));
}

/// A server takes the connection and never says a word: there is no error for a long time, but there is a silence.
#[test]
fn a_server_that_never_speaks_is_silent_before_it_fails() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let mute = FaultyImap::start(|conversation, _| drop(conversation.read_line()));
    let mut plan = plan(&imap, &smtp);
    plan.imap.port = mute.port;
    plan.imap.tls = "none";
    plan.imap.ca = None;
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_log("silence: a door does not work");
    assert!(!desk.log().contains("inbox: not connected"), "it has not even failed: {}", desk.log());
    assert_eq!(mute.connections(), 1);
    let told = warned_once(&imap, ADA);
    assert!(told.contains(": it neither works nor says why. psirtd goes on trying"), "{told}");
}

/// The same on the way out: the letter is under way for minutes.
#[test]
fn a_submission_server_that_never_speaks_is_silent_before_it_fails() {
    let (imap, bell) =
        scripted::imap(scripted::folder(&[report(RITA, "A report", "It crashes.")]), |_, _, _| false);
    let mute = FaultySmtp::start(|conversation, _| drop(conversation.read_line()));
    let desk = Desk::new(&Plan { poll: "1s", more: SILENCE, ..Plan::scripted(imap.port, mute.port) });
    desk.start();
    desk.await_log("silence: a door does not work");
    assert!(desk.log().contains("door=outbox"), "{}", desk.log());
    assert_eq!(desk.letter("acknowledgement", RITA)["state"], "active", "it is still under way");
    drop(bell);
}

/// A server that lets the desk in, but takes no letter of anybody, is silent; one that does not want this one letter is not.
#[test]
fn what_is_refused_for_its_own_sake_is_no_silence_of_the_outbox() {
    let (closed, letters) = (Arc::new(AtomicBool::new(false)), [report(RITA, "A report", "It crashes.")]);
    let (imap, bell) = scripted::imap(scripted::folder(&letters), |_, _, _| false);
    let inside = closed.clone();
    let (smtp, _letters) = scripted::smtp(move |conversation, _, line| {
        let full = line.starts_with("MAIL") && inside.load(Ordering::SeqCst);
        if full {
            conversation.line("452 4.3.1 Insufficient system storage");
        } else if line.starts_with("RCPT") {
            conversation.line("450 4.2.0 Greylisted");
        }
        full || line.starts_with("RCPT")
    });
    let desk = Desk::new(&Plan { poll: "1s", more: SILENCE, ..Plan::scripted(imap.port, smtp.port) });
    desk.start();
    desk.await_cases(1);
    desk.await_letters();
    let doors = |desk: &Desk| {
        let (_, said, _) = desk.says(&["check", "--online", "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["doors"].as_array().unwrap().iter().find(|door| door["door"] == "outbox").unwrap().clone()
    };
    assert_eq!(doors(&desk)["state"], "working", "the letter was refused: {:?}", desk.outbox());
    closed.store(true, Ordering::SeqCst);
    let id = desk.letter("acknowledgement", RITA)["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.says(&["outbox", "retry", &id]).0, 0);
    desk.await_log("door=outbox");
    let outbox = doors(&desk);
    assert_eq!(outbox["silent"], true, "{outbox}");
    assert!(outbox["why"].as_str().unwrap().contains("452"), "{outbox}");
    drop(bell);
}

/// The way out is closed; a letter is tried again after a minute, then later. The server itself is asked meanwhile.
#[test]
fn a_server_that_takes_letters_again_is_found_out_before_the_next_letter_is_due() {
    let (closed, letters) = (Arc::new(AtomicBool::new(true)), [report(RITA, "A report", "It crashes.")]);
    let (imap, bell) = scripted::imap(scripted::folder(&letters), |_, _, _| false);
    let inside = closed.clone();
    let (smtp, taken) = scripted::smtp(move |conversation, _, line| {
        let closed = line.starts_with("EHLO") && inside.load(Ordering::SeqCst);
        if closed {
            conversation.line("421 4.3.2 Too many connections");
        }
        closed
    });
    let desk = Desk::new(&Plan { poll: "1s", more: SILENCE, ..Plan::scripted(imap.port, smtp.port) });
    desk.start();
    desk.await_cases(1);
    // after so many failures the letter's own next turn is far away
    let attempts = |desk: &Desk| desk.letter("acknowledgement", RITA)["attempts"].as_u64().unwrap();
    for attempt in 1..=5 {
        wait_until("it was tried", SOON, || attempts(&desk) >= attempt);
        let id = desk.letter("acknowledgement", RITA)["id"].as_str().unwrap().to_owned();
        assert_eq!(desk.says(&["outbox", "retry", &id]).0, 0);
    }
    desk.await_log("door=outbox");
    closed.store(false, Ordering::SeqCst);
    wait_until("it works again", IN_A_WHILE, || {
        desk.log().contains("silence: a door works again door=outbox")
    });
    assert!(taken.lock().unwrap().is_empty(), "no letter was due");
    drop(bell);
}

/// systemd hears it as soon as it changes.
#[test]
fn the_status_line_of_systemd_is_kept_current() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&plan(&imap, &smtp));
    let socket = UnixDatagram::bind(desk.notify_socket()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    let mut hears = |what: &str, of: &dyn Fn(&str) -> bool| {
        let mut bytes = [0; 4096];
        // what comes behind it is for the next question
        let found = happens(SOON, || {
            while let Ok(count) = socket.recv(&mut bytes) {
                let told = String::from_utf8(bytes[..count].to_vec()).unwrap();
                let found = of(&told);
                heard.push(told);
                if found {
                    return true;
                }
            }
            false
        });
        assert!(found, "{what}: {heard:?}");
    };
    let is = |told: &str, status: &str| told.lines().any(|line| line == format!("STATUS={status}"));
    desk.start();
    hears("ready", &|told| told.contains("READY=1"));
    hears("working", &|told| is(told, "inbox INBOX: working; outbox: nothing to do yet"));
    desk.serves(&imap);
    hears("both work", &|told| is(told, "inbox INBOX: working; outbox: working"));
    imap.stop();
    hears("gone", &|told| {
        let status = told.lines().find_map(|line| line.strip_prefix("STATUS=")).unwrap_or_default();
        status.starts_with("inbox INBOX: not working since 20")
            && status.contains(" UTC: ")
            && status.ends_with("; outbox: working")
    });
    imap.start_again();
    hears("back", &|told| is(told, "inbox INBOX: working; outbox: working"));
    desk.stop();
}

#[test]
fn a_maildir_that_cannot_be_written_to_is_a_silent_outbox() {
    let desk = Desk::on_maildirs(&["ada"], "[policy]\nsilence = \"1s\"");
    fs::write(desk.dir().join("outbox"), "no folder").unwrap();
    desk.deliver("report", &report(RITA, "A report", "It crashes."));
    desk.start();
    desk.await_log("silence: a door does not work; it is tried again");
    let (code, lines) = checked(&desk);
    assert_eq!((code, lines[0].as_str()), (1, "ok daemon: inbox working"));
    assert!(lines[1].starts_with("FAIL daemon: outbox not working since "), "{lines:?}");
    desk.stop();
}
