//! A mailbox server that breaks, hangs, refuses or lies at every step, and comes to its senses afterwards. Whatever it does: each
//! mail is one case with one acknowledgement, and is put away.

use super::desk::{DESK, Desk, Plan, RITA, SOON, count, encrypted_report, keys, report};
use super::inside::{Inside, as_ever, brief};
use super::scripted;
use crate::support::dovecot::Dovecot;
use crate::support::faulty::{Conversation, tag_of};
use crate::support::gpg::Gpg;
use crate::support::{listener, wait_until};
use psirtd::clock::Clock;
use psirtd::domain::backoff::Backoff;
use psirtd::inbox::Door;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The conversation about a mail, step by step; "" is the greeting.
const STEPS: [&str; 9] =
    ["", "LOGIN", "CAPABILITY", "SELECT", "RFC822.SIZE", "BODY.PEEK[]", "UID MOVE", "IDLE", "DONE"];

type Fault = fn(&mut Conversation, &str);

/// A server does this once at every step, one step after the other, and is well in between. Returns what psirtd logged.
fn once_at_every_step(fault: Fault) -> String {
    let folder = scripted::folder(&[report(RITA, "One", "It crashes."), report(RITA, "Two", "It crashes.")]);
    let step = Arc::new(AtomicUsize::new(0));
    let (at, inside) = (step.clone(), folder.clone());
    let (imap, bell) = scripted::imap(folder.clone(), move |conversation, _, line| {
        let now = at.load(Ordering::SeqCst);
        let Some(next) = STEPS.get(now) else { return false };
        // the goodbye to IDLE comes after news
        if *next == "DONE" && line.contains("IDLE") {
            at.fetch_add(1, Ordering::SeqCst);
            let mut folder = inside.lock().unwrap();
            folder.mails.push((3, report(RITA, "Three", "It crashes.")));
            drop(folder);
            conversation.line("+ idling");
            conversation.line("* 1 EXISTS");
            conversation.expect("DONE");
            fault(conversation, line);
            return true;
        }
        let hit = if next.is_empty() { line.is_empty() } else { line.contains(next) };
        if hit {
            at.fetch_add(1, Ordering::SeqCst);
            fault(conversation, line);
        }
        hit
    });
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    let inside = Inside::start(&desk, Clock::System, brief);
    wait_until("every step went wrong once", SOON, || {
        // a refusal leaves psirtd where news find it
        let _heard = bell.send(());
        step.load(Ordering::SeqCst) == STEPS.len()
    });
    wait_until("all are moved", SOON, || {
        let _heard = bell.send(());
        folder.lock().unwrap().moved == [1, 2, 3]
    });
    desk.await_cases(3);
    wait_until("all are answered", SOON, || letters.lock().unwrap().len() == 3);
    desk.await_letters();
    assert_eq!(letters.lock().unwrap().len(), 3);
    let log = inside.log();
    inside.stop();
    assert_eq!(desk.says(&["journal", "verify"]).0, 0);
    assert!(!log.contains(RITA) && !log.contains("secret") && !log.contains("crashes"), "{log}");
    log
}

#[test]
fn goodbye_at_every_step() {
    let log = once_at_every_step(|conversation, _| {
        conversation.line("* BYE for no reason");
        conversation.close();
    });
    assert!(log.matches("inbox: not connected").count() >= STEPS.len(), "{log}");
    assert!(log.contains("the server said goodbye: for no reason"), "at the greeting: {log}");
    assert!(log.contains("said=\"for no reason\""), "later: {log}");
}

#[test]
fn goodbye_until_later_at_every_step() {
    let log = once_at_every_step(|conversation, _| {
        conversation.line("* BYE [UNAVAILABLE] going down for maintenance");
        conversation.close();
    });
    assert!(log.matches("the server asks for patience").count() >= STEPS.len(), "{log}");
    assert!(log.contains("going down for maintenance"), "{log}");
}

#[test]
fn silence_for_ever_at_every_step() {
    let log = once_at_every_step(|conversation, _| {
        loop {
            conversation.read_line();
        }
    });
    assert!(log.matches("inbox: not connected").count() >= STEPS.len(), "{log}");
    assert!(log.contains("no greeting") && log.contains("no answer"), "{log}");
}

/// A line that never ends, a byte at a time: no wait begins anew with a byte.
#[test]
fn one_byte_after_the_other_at_every_step() {
    let log = once_at_every_step(|conversation, _| {
        loop {
            conversation.raw(b"*");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(log.matches("inbox: not connected").count() >= STEPS.len(), "{log}");
}

#[test]
fn rubbish_at_every_step() {
    let log = once_at_every_step(|conversation, _| {
        conversation.raw(b"\0\xff)(}{ rita@example.net It crashes.\r\n* 1 FETCH (((\r\n");
        conversation.close();
    });
    assert!(log.contains("the server sent what is no answer in IMAP"), "{log}");
}

/// NO to everything: what cannot be done without is tried again, what can is done without.
#[test]
fn no_at_every_step() {
    let log = once_at_every_step(|conversation, line| {
        conversation.line(&format!(
            "{} NO not now, rita@example.net",
            if line.is_empty() { "*" } else { tag_of(line) }
        ));
    });
    for what in ["refused the login", "to select the folder", "to list its mails", "recorded, but not marked"]
    {
        assert!(log.contains(what), "{what}: {log}");
    }
}

#[test]
fn bad_without_a_word_at_every_step() {
    let log = once_at_every_step(|conversation, line| {
        if line.is_empty() {
            conversation.line("* BAD");
            return conversation.close();
        }
        conversation.line(&format!("{} BAD", tag_of(line)));
    });
    assert!(log.contains("more than the IMAP library could bear"), "{log}");
}

#[test]
fn literals_of_every_wrong_size() {
    let step = AtomicUsize::new(0);
    // what is announced; the mail itself has 195 bytes
    const SIZES: [&str; 8] =
        ["10", "0", "5000", "400000000", "4294967295", "4294967296", "-1", "99999999999999999999"];
    let mail = report(RITA, "One", "It crashes.");
    let folder = scripted::folder(std::slice::from_ref(&mail));
    let (imap, _bell) = scripted::imap(folder.clone(), move |conversation, _, line| {
        let size =
            line.contains("BODY.PEEK[]").then(|| SIZES.get(step.fetch_add(1, Ordering::SeqCst))).flatten();
        if let Some(size) = size {
            conversation.raw(format!("* 1 FETCH (UID 1 BODY[] {{{size}}}\r\n").as_bytes());
            conversation.raw(&mail);
            conversation.line(")");
            conversation.line(&format!("{} OK done", tag_of(line)));
        }
        size.is_some()
    });
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    let inside = Inside::start(&desk, Clock::System, brief);
    wait_until("it is moved", SOON, || folder.lock().unwrap().moved == [1]);
    desk.await_cases(1);
    wait_until("it is answered", SOON, || letters.lock().unwrap().len() == 1);
    let id = desk.cases()[0]["id"].as_str().unwrap().to_owned();
    let case = desk.case(&id);
    assert_eq!(case["mail_list"].as_array().unwrap().len(), 1, "the whole mail, once: {case}");
    assert_eq!(case["subject"], "One");
    let log = inside.log();
    assert!(log.matches("inbox: not connected").count() >= SIZES.len() - 1, "{log}");
    assert!(log.contains("announced 400000000 bytes at once"), "before there is memory for it: {log}");
    assert!(!log.contains("crashes") && !log.contains(RITA), "{log}");
}

/// What providers say when it is too much, where they say it. The server is not asked again within the minute, or within what it
/// suggests; the log says so.
#[test]
fn try_again_later_is_obeyed() {
    let table: [(&str, &str, u64); 8] = [
        ("", "* BYE [UNAVAILABLE] Temporarily down", 60),
        ("LOGIN", "TAG NO [ALERT] Too many simultaneous connections. (Failure)", 60),
        ("LOGIN", "TAG NO [UNAVAILABLE] Temporary authentication failure", 60),
        ("SELECT", "TAG NO [INUSE] Mailbox in use", 60),
        ("RFC822.SIZE", "TAG BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92),
        ("BODY.PEEK[]", "TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits.", 60),
        ("UID MOVE", "TAG NO [THROTTLED] Slow down, in 5 minutes", 300),
        ("IDLE", "* BYE [LIMIT] Enough for today, back in 99 hours", 3600),
    ];
    for (step, words, least) in table {
        let folder = scripted::folder(&[report(RITA, "One", "It crashes.")]);
        let (imap, _bell) = scripted::imap(folder, move |conversation, _, line| {
            let hit = if step.is_empty() { line.is_empty() } else { line.contains(step) };
            if hit {
                conversation.line(&words.replace("TAG", tag_of(line)));
                if words.starts_with("* BYE") {
                    conversation.close();
                }
            }
            hit
        });
        let (smtp, _) = scripted::smtp(|_, _, _| false);
        let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
        let inside = Inside::start(&desk, Clock::System, as_ever);
        inside.await_log("the server asks for patience");
        let log = inside.log();
        let waits = waits(&log);
        assert_eq!(waits.len(), 1, "{words}: {log}");
        assert!(waits[0] >= least as f64 && waits[0] <= 3600.0, "{words}: {waits:?}");
        assert_eq!(imap.connections(), 1, "{words}");
        inside.stop();
    }
}

/// The waits of the log, in seconds.
fn waits(log: &str) -> Vec<f64> {
    let lines = log.lines().filter_map(|line| line.split("again_in=").nth(1));
    let seconds = |text: &str| {
        let text = text.split(' ').next().unwrap();
        match text.strip_suffix("ms") {
            Some(number) => number.parse::<f64>().unwrap() / 1000.0,
            None => text.trim_end_matches('s').parse().unwrap(),
        }
    };
    lines.map(seconds).collect()
}

/// An account that is tried again and again is locked. The attempts become rare, and when the password is right again, the
/// mail is there.
#[test]
fn a_password_that_was_changed_and_changed_back() {
    let imap = Dovecot::start();
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let mut plan = Plan::scripted(imap.imap_port, smtp.port);
    plan.imap.tls = "starttls";
    plan.imap.ca = Some(imap.ca_file());
    let desk = Desk::new(&plan);
    let inside = Inside::start(&desk, Clock::System, |config| {
        brief(config);
        let Door::Imap(settings) = &mut config.inbox.door else { panic!() };
        settings.waits.answer = SOON;
        settings.waits.logins = Backoff { first: Duration::from_millis(10), cap: SOON };
    });
    inside.await_log("inbox: connected");
    imap.set_password("changed");
    imap.deliver(DESK, "INBOX", &report(RITA, "Meanwhile", "It crashes."));
    imap.kill_connections(DESK);
    wait_until("four logins were refused", SOON, || inside.log().matches("refused the login").count() >= 4);
    let log = inside.log();
    assert!(!log.contains("secret") && log.contains("check user and password"), "{log}");
    let waits =
        waits(&log.lines().filter(|line| line.contains("refused the login")).collect::<Vec<_>>().join("\n"));
    assert!(waits.windows(2).all(|two| two[1] > two[0]), "it does not hammer: {waits:?}");
    assert!(desk.cases().len() <= 1);
    imap.set_password("secret");
    desk.await_cases(1);
    wait_until("it is put away", SOON, || count(&imap, DESK, "Processed") == 1);
    wait_until("it is answered", SOON, || letters.lock().unwrap().len() == 1);
}

/// Somebody on the way to a server, who cuts the next connection after so many bytes of one side.
struct Scissors {
    port: u16,
    /// Bytes of the server, of the client, until the next connection is cut.
    next: Arc<Mutex<Option<[usize; 2]>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Scissors {
    fn before(server: u16) -> Scissors {
        let listener = listener();
        let port = listener.local_addr().unwrap().port();
        let scissors = Scissors { port, next: Arc::default(), open: Arc::default() };
        let (next, open) = (scissors.next.clone(), scissors.open.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let limits = next.lock().unwrap().take().unwrap_or([usize::MAX; 2]);
                *open.lock().unwrap() = vec![client.try_clone().unwrap(), server.try_clone().unwrap()];
                for (from, to, limit) in [(&server, &client, limits[0]), (&client, &server, limits[1])] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || pass(from, to, limit));
                }
            }
        });
        scissors
    }

    /// Cuts what is open, and the next connection after so many bytes.
    fn cut(&self, after: [usize; 2]) {
        *self.next.lock().unwrap() = Some(after);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn has_cut(&self) -> bool {
        self.next.lock().unwrap().is_none()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, limit: usize) {
    let mut left = limit;
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let passed = length.min(left);
        if to.write_all(&buffer[..passed]).is_err() {
            break;
        }
        left -= passed;
        if left == 0 {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// One plain and one encrypted mail, of a reporter of their own.
fn two_mails(gpg: &Gpg, imap: &Dovecot, number: usize) {
    let from = format!("r{number}@r{number}.example.net");
    imap.deliver(DESK, "INBOX", &report(&from, "Plain", "It crashes."));
    imap.deliver(DESK, "INBOX", &encrypted_report(gpg, &from, "", "It crashes."));
}

/// Real Dovecot. Each time the next connection is cut after some more bytes, up to the whole conversation about two mails; the one
/// after it is let through.
#[test]
fn a_connection_cut_at_any_byte() {
    const OF_THE_SERVER: usize = 45;
    const OF_THE_CLIENT: usize = 25;
    let gpg = Gpg::new();
    gpg.import(&keys().desk_public);
    let imap = Dovecot::start();
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let scissors = Scissors::before(imap.imap_port);
    let desk = Desk::new(&Plan::scripted(scissors.port, smtp.port));
    let inside = Inside::start(&desk, Clock::System, |config| {
        brief(config);
        let Door::Imap(settings) = &mut config.inbox.door else { panic!() };
        settings.waits.answer = SOON;
        settings.waits.mail = SOON;
        settings.waits.connections.cap = Duration::from_millis(20);
    });
    inside.await_log("inbox: connected");
    // greeting to the answer to MOVE are about 3,500 bytes of the server, about 420 of psirtd
    let positions = (0..OF_THE_SERVER).map(|n| [1 + n * 83, usize::MAX]);
    let positions = positions.chain((0..OF_THE_CLIENT).map(|n| [usize::MAX, 1 + n * 17]));
    for (number, after) in positions.enumerate() {
        two_mails(&gpg, &imap, number);
        scissors.cut(after);
        let done = 2 * (number + 1);
        wait_until(&format!("cut after {after:?}: {done} are put away"), SOON, || {
            scissors.has_cut() && count(&imap, DESK, "INBOX") == 0 && count(&imap, DESK, "Processed") == done
        });
    }
    let all = 2 * (OF_THE_SERVER + OF_THE_CLIENT);
    desk.await_cases(all);
    wait_until("all are answered", SOON, || letters.lock().unwrap().len() == all);
    desk.await_letters();
    let mut ids: Vec<String> = letters.lock().unwrap().iter().map(|(_, text)| message_id(text)).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "one acknowledgement each");
    inside.stop();
    let (code, said, complaint) = desk.says(&["journal", "verify"]);
    assert_eq!(code, 0, "{said}{complaint}");
}

fn message_id(text: &str) -> String {
    let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:")).unwrap();
    line.to_owned()
}
