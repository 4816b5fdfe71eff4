//! What servers refuse, and how they break.

use super::desk::{DESK, Desk, Plan, RITA, SOON, USERS, count, report};
use super::scripted;
use crate::support::dovecot::Dovecot;
use crate::support::faulty::tag_of;
use crate::support::postfix::Postfix;
use crate::support::{free_port, listener, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn a_wrong_imap_password_is_said_and_mended_without_a_restart() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    imap.set_password("changed");
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    imap.deliver(DESK, "INBOX", &report(RITA, "Waiting", "It crashes."));
    desk.start();
    desk.await_log("the server refused the login");
    assert!(desk.log().contains("check user and password"), "it says what to do");
    assert!(!desk.log().contains("secret"), "no password in the log");
    assert!(desk.cases().is_empty(), "it still answers");
    imap.set_password("secret");
    desk.await_cases(1);
    desk.serves(&imap);
}

#[test]
fn a_wrong_smtp_password_returns_no_letter() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let mut plan = Plan::of(&imap, &smtp);
    plan.smtp.password = Some("wrong");
    let desk = Desk::new(&plan);
    desk.start();
    imap.deliver(DESK, "INBOX", &report(RITA, "A report", "It crashes."));
    desk.await_cases(1);
    desk.await_letters();
    for letter in desk.outbox() {
        assert_eq!(letter["state"], "deferred", "{letter}");
        assert!(letter["last_reply"].as_str().unwrap().contains("535"), "{letter}");
    }
    assert!(!desk.log().contains("wrong"), "no password in the log");
    // put right, the letter goes out with the next attempt
    desk.stop();
    plan.smtp.password = Some("secret");
    desk.rewrite(&plan);
    desk.start();
    let id = desk.letter("acknowledgement", RITA)["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.says(&["outbox", "retry", &id]).0, 0);
    wait_until("the acknowledgement is there", SOON, || count(&imap, RITA, "INBOX") == 1);
}

#[test]
fn no_imap_server_is_waited_for() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    imap.stop();
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    desk.start();
    desk.await_log("is it up, are host and port right?");
    imap.start_again();
    desk.serves(&imap);
}

#[test]
fn an_imap_server_that_cannot_prove_its_name_sees_no_login() {
    for (name, trusted, words) in
        [("mail.example.org", true, "not valid for name"), ("127.0.0.1", false, "UnknownIssuer")]
    {
        let imap = Dovecot::builder().certificate_for(name).start();
        for (word, port) in [("starttls", imap.imap_port), ("implicit", imap.imaps_port)] {
            let mut plan = Plan::scripted(port, free_port());
            plan.imap.tls = word;
            plan.imap.ca = trusted.then(|| imap.ca_file());
            let desk = Desk::new(&plan);
            let (code, said, complaint) = desk.says(&["check", "--online"]);
            assert_eq!(code, 1);
            assert!(said.contains("FAIL  inbox") && said.contains("TLS failed"), "{said}");
            assert!(said.contains(words), "{word}: {said}");
            assert_eq!(complaint, "psirtd: failed: inbox, outbox\n");
            desk.start();
            desk.await_log("TLS failed");
            assert!(desk.cases().is_empty(), "it still answers");
        }
        assert!(!imap.log().contains("Login:"), "{}", imap.log());
        assert!(!imap.log().contains("auth failed"), "{}", imap.log());
    }
}

#[test]
fn an_smtp_server_that_cannot_prove_its_name_gets_no_letter() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let other = imap.authority().issue(&["mail.example.org"]);
    fs::write(smtp.dir().join("etc/server.pem"), other.cert_pem).unwrap();
    fs::write(smtp.dir().join("etc/server.key"), other.key_pem).unwrap();
    for (word, port, trusted, words) in [
        ("starttls", smtp.submission_port, true, "not valid for name"),
        ("implicit", smtp.submissions_port, true, "not valid for name"),
        ("implicit", smtp.submissions_port, false, "UnknownIssuer"),
    ] {
        let (mailbox, _bell) =
            scripted::imap(scripted::folder(&[report(RITA, "A report", "It crashes.")]), |_, _, _| false);
        let mut plan = Plan::scripted(mailbox.port, port);
        plan.smtp.tls = word;
        plan.smtp.password = Some("secret");
        plan.smtp.ca = trusted.then(|| imap.ca_file());
        let desk = Desk::new(&plan);
        desk.start();
        desk.await_cases(1);
        desk.await_letters();
        let letter = desk.letter("acknowledgement", RITA);
        assert_eq!(letter["state"], "deferred", "{letter}");
        assert!(letter["last_reply"].as_str().unwrap().contains(words), "{letter}");
        let (code, said, _) = desk.says(&["check", "--online"]);
        assert!(code == 1 && said.contains("FAIL  outbox") && said.contains(words), "{said}");
    }
    assert!(!smtp.mail_log().contains("sasl_"), "no login: {}", smtp.mail_log());
    assert_eq!(count(&imap, RITA, "INBOX"), 0);
}

#[test]
fn without_starttls_nothing_is_said_in_the_clear_to_imap() {
    let (imap, _bell) = scripted::imap(scripted::folder(&[]), |conversation, _, line| {
        if line.contains("STARTTLS") {
            conversation.line(&format!("{} BAD unknown command", tag_of(line)));
            return true;
        }
        false
    });
    let mut plan = Plan::scripted(imap.port, free_port());
    plan.imap.tls = "starttls";
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_log("the server refused STARTTLS");
    wait_until("it has tried twice", SOON, || imap.connections() > 1);
    let said: Vec<String> = imap.transcript().into_iter().filter(|line| line.contains(" C: ")).collect();
    assert!(said.iter().all(|line| line.ends_with("STARTTLS")), "{said:?}");
}

#[test]
fn without_starttls_nothing_is_said_in_the_clear_to_smtp() {
    let folder = scripted::folder(&[report(RITA, "A report", "It crashes.")]);
    let (imap, _bell) = scripted::imap(folder, |_, _, _| false);
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let mut plan = Plan::scripted(imap.port, smtp.port);
    plan.smtp.tls = "starttls";
    plan.smtp.password = Some("secret");
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_cases(1);
    desk.await_letters();
    let letter = desk.letter("acknowledgement", RITA);
    assert_eq!(letter["state"], "deferred", "{letter}");
    assert!(letter["last_reply"].as_str().unwrap().contains("STARTTLS"), "{letter}");
    let said: Vec<String> = smtp.transcript().into_iter().filter(|line| line.contains(" C: ")).collect();
    assert!(said.iter().all(|line| line.contains("EHLO") || line.contains("QUIT")), "{said:?}");
    assert!(letters.lock().unwrap().is_empty());
}

/// Somebody on the way to that server, who puts lines of their own behind its answer to STARTTLS.
fn smuggler(server: u16) -> u16 {
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = server.read(&mut buffer) {
                let mut bytes = buffer[..length].to_vec();
                if bytes.starts_with(b"220 2.0.0 Ready") {
                    bytes.extend(b"250-smuggled\r\n250 AUTH MADE-UP\r\n");
                }
                let _ = client.write_all(&bytes);
            }
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    port
}

/// Lines in the clear are not taken for answers under TLS (the EHLO after it would have been answered by the smuggler).
#[test]
fn answers_smuggled_in_behind_starttls_are_not_believed() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let mut plan = Plan::of(&imap, &smtp);
    plan.smtp.port = smuggler(smtp.submission_port);
    let desk = Desk::new(&plan);
    let (code, said, _) = desk.says(&["check", "--online"]);
    assert_eq!(code, 1);
    // it is the handshake that meets them
    assert!(said.contains("FAIL  outbox") && said.contains("corrupt message"), "{said}");
}

/// Whatever breaks the first connection: the second takes the mail in, once.
fn broken_once(
    how: impl Fn(&mut crate::support::faulty::Conversation, &str) -> bool + Send + Sync + 'static,
) {
    let folder = scripted::folder(&[report(RITA, "One", "It crashes."), report(RITA, "Two", "It crashes.")]);
    let (imap, _bell) = scripted::imap(folder.clone(), move |conversation, connection, line| {
        connection == 1 && how(conversation, line)
    });
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    wait_until("both are moved", SOON, || folder.lock().unwrap().moved == [1, 2]);
    desk.await_cases(2);
    wait_until("both are answered", SOON, || letters.lock().unwrap().len() == 2);
    desk.await_letters();
    assert_eq!(letters.lock().unwrap().len(), 2);
    assert!(desk.log().contains("inbox: not connected"));
}

#[test]
fn a_goodbye_in_the_middle() {
    broken_once(|conversation, line| {
        let body = line.contains("BODY.PEEK[]");
        if body {
            conversation.line("* BYE the server goes down");
            conversation.close();
        }
        body
    });
}

#[test]
fn a_goodbye_while_idling() {
    let folder = scripted::folder(&[]);
    let inside = folder.clone();
    let (imap, _bell) = scripted::imap(folder.clone(), move |conversation, connection, line| {
        let first = connection == 1 && line.contains("IDLE");
        if first {
            inside.lock().unwrap().mails.push((1, report(RITA, "One", "It crashes.")));
            conversation.line("+ idling");
            conversation.line("* BYE idle for too long");
            conversation.close();
        }
        first
    });
    let (smtp, _) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    wait_until("it is moved", SOON, || folder.lock().unwrap().moved == [1]);
    desk.await_cases(1);
}

#[test]
fn a_connection_closed_in_the_middle_of_a_literal() {
    broken_once(|conversation, line| {
        let body = line.contains("BODY.PEEK[]");
        if body {
            conversation.raw(b"* 1 FETCH (UID 1 BODY[] {5000}\r\nFrom: half a m");
            conversation.close();
        }
        body
    });
}

#[test]
fn a_connection_closed_between_record_and_move() {
    broken_once(|conversation, line| {
        let moving = line.contains("UID MOVE");
        if moving {
            conversation.close();
        }
        moving
    });
}

/// The mail is recorded once; what comes behind it is served; the mark is made up for when the server lets it.
#[test]
fn a_refused_move_stops_neither_the_answer_nor_the_next_mail() {
    let folder = scripted::folder(&[report(RITA, "One", "It crashes.")]);
    let full = Arc::new(AtomicBool::new(true));
    let refusing = full.clone();
    let (imap, bell) = scripted::imap(folder.clone(), move |conversation, _, line| {
        let refused = line.contains("UID MOVE") && refusing.load(Ordering::SeqCst);
        if refused {
            conversation.line(&format!("{} NO [OVERQUOTA] quota exceeded", tag_of(line)));
        }
        refused
    });
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    desk.await_log("quota exceeded");
    wait_until("it is answered", SOON, || letters.lock().unwrap().len() == 1);
    folder.lock().unwrap().mails.push((2, report(RITA, "Two", "It crashes.")));
    bell.send(()).unwrap();
    desk.await_cases(2);
    wait_until("the second is answered", SOON, || letters.lock().unwrap().len() == 2);
    full.store(false, Ordering::SeqCst);
    bell.send(()).unwrap();
    wait_until("both are moved", SOON, || folder.lock().unwrap().moved == [1, 2]);
    assert_eq!((desk.cases().len(), letters.lock().unwrap().len()), (2, 2));
}

#[test]
fn letters_are_deferred_and_returned_as_the_server_says() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&Plan::of(&imap, &smtp));
    desk.start();
    imap.deliver(DESK, "INBOX", &report("later@defer.test", "A report", "It crashes."));
    imap.deliver(DESK, "INBOX", &report("gone@bounce.test", "A report", "It crashes."));
    desk.await_cases(2);
    desk.await_letters();
    let deferred = desk.letter("acknowledgement", "later@defer.test");
    assert_eq!(deferred["state"], "deferred");
    assert!(deferred["next_attempt"].is_string(), "{deferred}");
    assert!(deferred["last_reply"].as_str().unwrap().contains("450"), "{deferred}");
    let returned = desk.letter("acknowledgement", "gone@bounce.test");
    assert_eq!(returned["state"], "returned");
    assert!(returned["next_attempt"].is_null(), "{returned}");
    assert!(returned["last_reply"].as_str().unwrap().contains("550"), "{returned}");
    let case = desk.case(returned["case"].as_str().unwrap());
    let letters = case["letters"].as_array().unwrap();
    assert!(letters.iter().any(|letter| letter["id"] == returned["id"] && letter["state"] == "returned"));
    assert!(case["acknowledged_at"].is_null(), "{case}");
    assert!(case["timeline"].to_string().contains("550"), "the case tells of it: {}", case["timeline"]);
    assert_eq!(
        desk.outbox().iter().filter(|letter| letter["kind"] == "relay" && letter["state"] == "sent").count(),
        4
    );
    desk.serves(&imap);
}

/// The server has the letter, psirtd does not know: it goes out again, byte by byte the same.
#[test]
fn a_connection_lost_before_the_250_repeats_the_same_letter() {
    let (imap, _bell) =
        scripted::imap(scripted::folder(&[report(RITA, "A report", "It crashes.")]), |_, _, _| false);
    let ends = AtomicUsize::new(0);
    let (smtp, letters) = scripted::smtp(move |conversation, _, line| {
        let first = line == "." && ends.fetch_add(1, Ordering::SeqCst) == 0;
        if first {
            conversation.close();
        }
        first
    });
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    desk.await_cases(1);
    wait_until("it is deferred", SOON, || desk.outbox().iter().any(|letter| letter["state"] == "deferred"));
    let letter = desk.letter("acknowledgement", RITA);
    let (code, said, complaint) = desk.says(&["outbox", "retry", letter["id"].as_str().unwrap()]);
    assert_eq!(code, 0, "{said}{complaint}");
    wait_until("it is sent", SOON, || desk.letter("acknowledgement", RITA)["state"] == "sent");
    let letters = letters.lock().unwrap();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0], letters[1]);
    let message_id = format!("Message-ID: {}", letter["message_id"].as_str().unwrap());
    assert!(letters[1].1.contains(&message_id), "{}", letters[1].1);
}

#[test]
fn check_says_what_is_right_and_what_is_wrong() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let right = Plan::of(&imap, &smtp);
    let desk = Desk::new(&right);
    let (code, said, complaint) = desk.says(&["check"]);
    assert_eq!((code, complaint.as_str()), (0, ""), "{said}");
    assert!(!said.contains("inbox"), "without --online no server is asked: {said}");
    let (code, said, complaint) = desk.says(&["check", "--online"]);
    assert_eq!((code, complaint.as_str()), (0, ""), "{said}");
    for what in ["ok    configuration", "ok    desk key", "ok    state", "ok    inbox", "ok    outbox"] {
        assert!(said.contains(what), "{what}: {said}");
    }

    let mut wrong = right.clone();
    wrong.folders = vec!["INBOX", "Nowhere"];
    wrong.smtp.port = free_port();
    desk.rewrite(&wrong);
    let (code, said, complaint) = desk.says(&["check", "--online"]);
    assert_eq!((code, complaint.as_str()), (1, "psirtd: failed: inbox, outbox\n"));
    assert!(said.contains("there is no folder Nowhere"), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{}", wrong.smtp.port)) && said.contains("refused"), "{said}");

    let mut wrong = right.clone();
    wrong.imap.password = Some("wrong");
    wrong.smtp.password = Some("wrong");
    desk.rewrite(&wrong);
    let (code, said, _) = desk.says(&["check", "--online", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["ok"]), (1, &serde_json::Value::Bool(false)));
    for (what, words) in [("inbox", "check user and password"), ("outbox", "535")] {
        let check = said["checks"].as_array().unwrap().iter().find(|check| check["what"] == what).unwrap();
        assert_eq!(check["ok"], false);
        assert!(check["detail"].as_str().unwrap().contains(words), "{check}");
    }
}
