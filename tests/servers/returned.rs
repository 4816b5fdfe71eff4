//! Letters that come back, and the addresses under which they do.

use super::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, USERS, count, message_id, report};
use super::scripted::{self, Letters};
use crate::support::dovecot::Dovecot;
use crate::support::faulty::{Conversation, FaultyImap, FaultySmtp};
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Postfix takes mail to this address, and later finds nobody there.
const GONE: &str = "once@example.net";

/// The beginning of every acknowledgement's text.
const TEXT: &str = "thank you for writing to";

/// The token of a letter: what is random in its Message-ID.
fn token(letter: &Value) -> String {
    let id = letter["message_id"].as_str().unwrap();
    let token = id.strip_prefix("<psirtd.").unwrap().strip_suffix("@example.org>").unwrap();
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    token.to_owned()
}

/// A field of a mail's header, unfolded.
fn field(mail: &str, name: &str) -> String {
    let header = mail.split("\n\n").next().unwrap().replace("\n\t", " ").replace("\n ", " ");
    let field = header.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    field.unwrap_or_else(|| panic!("no {name}\n{mail}"))
}

/// What the desk has put away, oldest first, with LF.
fn processed(imap: &Dovecot) -> Vec<String> {
    let text = |raw: Vec<u8>| String::from_utf8(raw).unwrap().replace("\r\n", "\n");
    imap.mails(DESK, "Processed").into_iter().map(|(_, raw)| text(raw)).collect()
}

/// The events of one kind in the journal.
fn events(desk: &Desk, name: &str) -> Vec<Value> {
    let (code, journal, complaint) = desk.says(&["journal", "export"]);
    assert_eq!(code, 0, "{complaint}");
    let records = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events = records.flat_map(|record| record["events"].as_array().unwrap().clone());
    events.filter(|event| event["event"] == name).collect()
}

/// Whom the desk has warned.
fn warned(desk: &Desk) -> Vec<String> {
    let warnings = desk.outbox().into_iter().filter(|letter| letter["kind"] == "warning");
    let mut warned: Vec<String> = warnings.map(|letter| letter["to"].as_str().unwrap().to_owned()).collect();
    warned.sort();
    warned
}

/// A real bounce of an acknowledgement; `plus`: of one that has an address of its own.
fn bounced(plus: bool) {
    let imap = Dovecot::start();
    let smtp = Postfix::builder().alias(GONE, "nobody@example.net").start(&imap, &USERS);
    let desk = Desk::new(&Plan { plus_address: plus, ..Plan::of(&imap, &smtp) });
    desk.start();
    smtp.hand_in(GONE, DESK, &report(GONE, "Heap overflow", "It crashes."));
    wait_until("it has come back", SOON, || count(&imap, DESK, "Processed") == 2);
    wait_until("both are warned", SOON, || warned(&desk) == [ADA, BEN]);
    desk.await_letters();

    let letter = desk.letter("acknowledgement", GONE);
    assert_eq!(letter["state"], "returned", "{letter}");
    let token = token(&letter);
    let sender = if plus { format!("security+{token}@example.org") } else { DESK.to_owned() };
    let (_, sent, _) = desk.says(&["outbox", "show", letter["id"].as_str().unwrap()]);
    assert!(sent.contains(TEXT), "the acknowledgement begins as it always does: {sent}");

    let bounce = processed(&imap).remove(1);
    assert!(field(&bounce, "From").contains("MAILER-DAEMON@mx.example.org"), "{bounce}");
    assert_eq!((field(&bounce, "To"), field(&bounce, "Return-Path")), (sender.clone(), "<>".to_owned()));
    let status = bounce.split("Content-Type: message/delivery-status").nth(1).expect("a status");
    let named = format!("\nOriginal-Envelope-Id: psirtd.{token}@example.org\n");
    assert!(status.contains(&named), "{named}{status}");
    // of the letter it has the header alone
    assert!(bounce.contains("\nContent-Type: text/rfc822-headers"), "{bounce}");
    let id = desk.case_id(1);
    assert!(bounce.contains(&format!("\nSubject: Auto: [{id}] we have your report\n")), "{bounce}");
    assert!(!bounce.contains(TEXT) && !bounce.contains("BEGIN PGP"), "{bounce}");

    let last_reply = letter["last_reply"].as_str().unwrap();
    assert!(last_reply.starts_with("bounced: ") && last_reply.contains("nobody@example.net"), "{letter}");
    let case = desk.case(&id);
    assert_eq!((desk.cases().len(), &case["mails"]), (1, &2.into()), "{case}");
    assert_eq!(case["mail_list"][1]["kind"], "bounce");

    // the same word for a second time
    let again = bounce.replace("\nMessage-Id: <", "\nMessage-Id: <again.");
    assert_ne!(again, bounce);
    let (_return_path, again) = again.split_once("\n").unwrap();
    smtp.hand_in("", &sender, again.replace('\n', "\r\n").as_bytes());
    wait_until("it is put away", SOON, || count(&imap, DESK, "Processed") == 3);
    desk.serves(&imap);
    assert_eq!(events(&desk, "mail-recorded").len(), 4, "every mail is recorded");
    assert_eq!(events(&desk, "letter-returned").len(), 1);
    assert_eq!((warned(&desk), events(&desk, "told").len()), (vec![ADA.to_owned(), BEN.to_owned()], 1));
}

#[test]
fn a_real_bounce_names_the_letter_and_holds_nothing_of_its_text() {
    bounced(false);
}

#[test]
fn a_real_bounce_comes_to_the_address_of_the_letter() {
    bounced(true);
}

/// A desk with a report of that author, between a mailbox and an SMTP server that answers as the hook says.
struct Scene {
    desk: Desk, // before the servers: dropped in this order
    smtp: FaultySmtp,
    letters: Letters,
    _imap: FaultyImap,
}

fn scene(
    author: &str,
    change: impl FnOnce(Plan) -> Plan,
    hook: impl Fn(&mut Conversation, usize, &str) -> bool + Send + Sync + 'static,
) -> Scene {
    let (imap, _bell) =
        scripted::imap(scripted::folder(&[report(author, "A report", "It crashes.")]), |_, _, _| false);
    let (smtp, letters) = scripted::smtp(hook);
    let desk = Desk::new(&change(Plan::scripted(imap.port, smtp.port)));
    desk.start();
    desk.await_cases(1);
    desk.await_letters();
    Scene { desk, smtp, letters, _imap: imap }
}

impl Scene {
    /// What the client said, a connection after the other, but for the letters.
    fn commands(&self) -> Vec<String> {
        let transcript = self.smtp.transcript();
        let said = transcript.iter().filter_map(|line| line.split_once(" C: "));
        let mut commands = Vec::new();
        let mut in_data = false;
        for (_, line) in said {
            if !in_data {
                commands.push(line.to_owned());
            }
            in_data = if in_data { line != "." } else { line == "DATA" };
        }
        commands
    }
}

/// Answers EHLO with these extensions.
fn offers(extensions: &'static [&'static str]) -> impl Fn(&mut Conversation, usize, &str) -> bool {
    move |conversation, _, line| {
        let is_hello = line.starts_with("EHLO");
        if is_hello {
            let lines = [&["scripted"], extensions].concat();
            for (number, line) in (1..).zip(&lines) {
                let bar = if number == lines.len() { ' ' } else { '-' };
                conversation.line(&format!("250{bar}{line}"));
            }
        }
        is_hello
    }
}

#[test]
fn a_server_that_reports_is_asked_to_byte_by_byte() {
    for (extensions, plus) in [(&["DSN"][..], false), (&["PIPELINING", "dsn", "SIZE 1000000"], true)] {
        let scene = scene(RITA, |plan| Plan { plus_address: plus, ..plan }, offers(extensions));
        let letter = scene.desk.letter("acknowledgement", RITA);
        assert_eq!(letter["state"], "sent", "{letter}");
        let token = token(&letter);
        let sender = if plus { format!("security+{token}@example.org") } else { DESK.to_owned() };
        assert_eq!(
            scene.commands()[2..],
            [
                format!("MAIL FROM:<{sender}> RET=HDRS ENVID=psirtd.{token}@example.org"),
                format!("RCPT TO:<{RITA}> NOTIFY=FAILURE"),
                "DATA".to_owned()
            ]
        );
    }
}

#[test]
fn a_server_that_does_not_report_is_not_asked_to() {
    const ALMOST: [&str; 3] = ["DSNX", "XDSN", "AUTH DSN"];
    for extensions in [&[][..], &ALMOST] {
        let scene = scene(RITA, |plan| plan, offers(extensions));
        assert_eq!(scene.desk.letter("acknowledgement", RITA)["state"], "sent");
        assert_eq!(
            scene.commands()[2..],
            [&format!("MAIL FROM:<{DESK}>"), &format!("RCPT TO:<{RITA}>"), "DATA"]
        );
    }
}

/// psirtd asks a second time what the server can do. One that minds keeps its letters waiting; none is lost or given up.
#[test]
fn a_server_that_takes_no_second_hello_defers_the_letter() {
    for answer in ["502 5.5.1 once is enough", "421 4.3.2 too many commands", "450 4.3.0 later"] {
        let minds = Arc::new(AtomicBool::new(true));
        let minding = minds.clone();
        let greeted = Mutex::new(0);
        let scene = scene(
            RITA,
            |plan| plan,
            move |conversation, connection, line| {
                if !line.starts_with("EHLO") || !minding.load(Ordering::SeqCst) {
                    return false;
                }
                let mut greeted = greeted.lock().unwrap();
                let second = *greeted == connection;
                *greeted = connection;
                if second {
                    conversation.line(answer);
                }
                second
            },
        );
        let letter = scene.desk.letter("acknowledgement", RITA);
        assert_eq!(letter["state"], "deferred", "{letter}");
        assert_eq!(letter["last_reply"], format!("the server takes no letters: {answer}"));
        assert!(letter["next_attempt"].is_string(), "{letter}");
        let hellos = scene.commands().into_iter().take_while(|line| line.starts_with("EHLO ")).count();
        assert_eq!(hellos, 2, "{answer}");
        assert!(scene.letters.lock().unwrap().is_empty());
        let (code, said, _) = scene.desk.says(&["check", "--online"]);
        assert!(code == 1 && said.contains("FAIL  outbox") && said.contains(answer), "{said}");

        minds.store(false, Ordering::SeqCst);
        let id = letter["id"].as_str().unwrap();
        assert_eq!(scene.desk.says(&["outbox", "retry", id]).0, 0);
        wait_until("it is sent", SOON, || scene.desk.letter("acknowledgement", RITA)["state"] == "sent");
        assert_eq!(scene.letters.lock().unwrap().len(), 1);
    }
}

/// A town's real mail servers, with a desk whose letters have addresses of their own.
fn at_own_addresses() -> (Desk, Postfix, Dovecot) {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&Plan { plus_address: true, ..Plan::of(&imap, &smtp) });
    desk.start();
    smtp.hand_in(RITA, DESK, &report(RITA, "Heap overflow", "It crashes."));
    wait_until("Rita and Ada have their letters", SOON, || {
        [RITA, ADA].iter().all(|who| count(&imap, who, "INBOX") == 1)
    });
    desk.await_letters();
    (desk, smtp, imap)
}

/// The one letter in somebody's INBOX: what Reply-To says, and the address in it.
fn reply_to(imap: &Dovecot, who: &str) -> (String, String) {
    let letter = String::from_utf8(imap.mails(who, "INBOX").remove(0).1).unwrap().replace("\r\n", "\n");
    let whole = field(&letter, "Reply-To");
    let address = whole.split(['<', '>']).nth(1).expect("an address").to_owned();
    (whole, address)
}

/// A mail without any field of a thread.
fn bare(from: &str, to: &str, text: &str) -> Vec<u8> {
    format!("From: {from}\r\nTo: {to}\r\nSubject: hello\r\nMessage-ID: {}\r\n\r\n{text}\r\n", message_id())
        .into_bytes()
}

/// Some mail programs, and most ticket systems, keep nothing of a thread but the address they answer.
#[test]
fn an_answer_to_the_address_of_a_letter_finds_its_case() {
    let (desk, smtp, imap) = at_own_addresses();
    let id = desk.case_id(1);
    let own = |kind, to| format!("security+{}@example.org", token(&desk.letter(kind, to)));
    for (kind, reader) in [("acknowledgement", RITA), ("relay", ADA)] {
        let address = own(kind, reader);
        assert_eq!(
            reply_to(&imap, reader),
            (format!("\"Example Security\" <{address}>"), address.clone()),
            "{reader}"
        );
        let sender = format!("from=<{address}>");
        wait_until(&format!("{kind}: the envelope's sender"), SOON, || smtp.mail_log().contains(&sender));
    }
    let to_rita = reply_to(&imap, RITA).1;
    let mails = [
        (RITA, to_rita.clone(), to_rita.clone()),
        // only the envelope has it, and what Postfix notes of it
        (RITA, "undisclosed-recipients:;".to_owned(), to_rita.clone()),
        (RITA, to_rita.to_uppercase(), to_rita.to_uppercase()),
        (ADA, reply_to(&imap, ADA).1, reply_to(&imap, ADA).1),
    ];
    for (number, (from, to, recipient)) in (1..).zip(mails) {
        smtp.hand_in(from, &recipient, &bare(from, &to, "One more thing."));
        wait_until("it is put away", SOON, || count(&imap, DESK, "Processed") == number + 1);
        let case = desk.case(&id);
        assert_eq!(case["mails"], number + 1, "{to}: {case}");
        let mail = &case["mail_list"][number];
        assert_eq!((&mail["kind"], &mail["pending"]), (&"reply".into(), &false.into()), "{to}: {mail}");
    }
    // an address that nobody was told leads nowhere, and whoever was told one need not take part in the case
    let other = "security+0123456789abcdef0123456789abcdef@example.org";
    smtp.hand_in(RITA, other, &bare(RITA, other, "Something else."));
    desk.await_cases(2);
    smtp.hand_in("sam@example.net", &to_rita, &bare("sam@example.net", &to_rita, "Let me see."));
    wait_until("it is recorded", SOON, || desk.case(&id)["mails"] == 6);
    assert_eq!(desk.case(&id)["mail_list"][5]["pending"], true);
    desk.await_letters();
    assert_eq!(desk.cases().len(), 2);
    assert_eq!(count(&imap, RITA, "INBOX"), 2, "an acknowledgement a case");
}

/// An address in another script, as RFC 6531 allows it.
const GREEK: &str = "δοκιμή@example.net";

#[test]
fn an_address_that_the_server_cannot_write_to_is_told() {
    let scene = scene(GREEK, |plan| Plan { coordinators: true, ..plan }, offers(&["DSN"]));
    let desk = &scene.desk;
    let letter = desk.letter("acknowledgement", GREEK);
    assert_eq!((&letter["state"], &letter["next_attempt"]), (&"returned".into(), &Value::Null), "{letter}");
    assert_eq!(
        letter["last_reply"],
        "the address is not ASCII, and the server takes no such address (no SMTPUTF8)"
    );
    let case = desk.case(&desk.case_id(1));
    assert_eq!((&case["reporter"], &case["acknowledged_at"]), (&GREEK.into(), &Value::Null), "{case}");
    wait_until("both are warned", SOON, || warned(desk) == [ADA, BEN]);
    wait_until("every letter but that one is sent", SOON, || scene.letters.lock().unwrap().len() == 4);
    desk.await_letters();
    assert!(desk.outbox().iter().all(|it| it["state"] == "sent" || it["id"] == letter["id"]));
    assert!(!scene.commands().iter().any(|line| !line.is_ascii()), "{:?}", scene.commands());
}

#[test]
fn an_address_in_another_script_is_written_to_where_the_server_can() {
    let scene = scene(GREEK, |plan| plan, offers(&["SMTPUTF8", "8BITMIME"]));
    let letter = scene.desk.letter("acknowledgement", GREEK);
    assert_eq!(letter["state"], "sent", "{letter}");
    assert_eq!(
        scene.commands()[2..],
        [format!("MAIL FROM:<{DESK}> SMTPUTF8"), format!("RCPT TO:<{GREEK}>"), "DATA".to_owned()]
    );
}
