//! A submission server that refuses, hangs or disappears at every step. No letter is lost; none is given up for what is not about
//! it; what goes out again is what went out before, byte by byte.

use super::desk::{Desk, Plan, RITA, SOON, report};
use super::inside::{Inside, as_ever, brief};
use super::scripted;
use crate::support::faulty::{Conversation, FaultyImap, FaultySmtp};
use crate::support::wait_until;
use psirtd::clock::Clock;
use psirtd::config::Config;
use psirtd::control::{self, Question};
use psirtd::outbox;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A desk with one report and its acknowledgement, in front of a submission server that has a fault until it is mended.
struct House {
    desk: Desk,
    inside: Inside,
    letters: scripted::Letters,
    smtp: FaultySmtp,
    mended: Arc<AtomicBool>,
    /// Nobody rings; dropped before the server that waits for it.
    _bell: scripted::Bell,
    _imap: FaultyImap,
}

/// `fault` sees what the client says, as a hook of `scripted::smtp` does, until the server is mended.
fn house(fault: impl Fn(&mut Conversation, &str) -> bool + Send + Sync + 'static) -> House {
    with(|_| {}, fault)
}

fn with(
    change: impl FnOnce(&mut Plan),
    fault: impl Fn(&mut Conversation, &str) -> bool + Send + Sync + 'static,
) -> House {
    with_waits(brief, change, fault)
}

fn with_waits(
    waits: impl FnOnce(&mut Config),
    change: impl FnOnce(&mut Plan),
    fault: impl Fn(&mut Conversation, &str) -> bool + Send + Sync + 'static,
) -> House {
    let folder = scripted::folder(&[report(RITA, "A report", "It crashes.")]);
    let (imap, bell) = scripted::imap(folder, |_, _, _| false);
    let mended = Arc::new(AtomicBool::new(false));
    let well = mended.clone();
    let (smtp, letters) = scripted::smtp(move |conversation, _, line| {
        !well.load(Ordering::SeqCst) && fault(conversation, line)
    });
    let mut plan = Plan::scripted(imap.port, smtp.port);
    change(&mut plan);
    let desk = Desk::new(&plan);
    let inside = Inside::start(&desk, Clock::System, waits);
    desk.await_cases(1);
    House { desk, inside, letters, smtp, mended, _bell: bell, _imap: imap }
}

impl House {
    /// The acknowledgement, after that many attempts.
    #[track_caller]
    fn after(&self, attempts: u64) -> Value {
        let tried = |letter: &Value| letter["attempts"].as_u64() >= Some(attempts);
        wait_until("it was tried", SOON, || self.desk.outbox().iter().any(tried));
        self.desk.letter("acknowledgement", RITA)
    }

    fn try_again(&self) {
        let id = self.desk.letter("acknowledgement", RITA)["id"].as_str().unwrap().to_owned();
        control::ask(&self.desk.state(), &Question::Release(id)).unwrap().unwrap();
    }

    /// The server is well again: the letter goes out, as it was sealed in the beginning. Returns all that the server got.
    #[track_caller]
    fn recovers(self) -> Vec<(String, String)> {
        let before = self.desk.letter("acknowledgement", RITA);
        let shown = |desk: &Desk| {
            let id = before["id"].as_str().unwrap().to_owned();
            control::ask(&desk.state(), &Question::Letter(id)).unwrap().unwrap()["mail"].clone()
        };
        let sealed = shown(&self.desk);
        self.mended.store(true, Ordering::SeqCst);
        if before["state"] != "sent" {
            self.try_again();
        }
        wait_until("it is sent", SOON, || self.desk.letter("acknowledgement", RITA)["state"] == "sent");
        let after = self.desk.letter("acknowledgement", RITA);
        assert_eq!(after["message_id"], before["message_id"], "the same letter");
        assert_eq!(shown(&self.desk), sealed, "byte by byte");
        let House { desk, inside, letters, .. } = self;
        let log = inside.log();
        assert!(!log.contains(RITA) && !log.contains("crashes"), "{log}");
        inside.stop();
        assert_eq!(desk.says(&["journal", "verify"]).0, 0);
        let letters = letters.lock().unwrap().clone();
        let sealed = sealed.as_str().unwrap().replace("\r\n", "\n");
        for (recipient, text) in &letters {
            assert_eq!((recipient.as_str(), text.trim_end()), (RITA, sealed.trim_end()), "byte by byte");
        }
        letters
    }
}

/// The verbs of one letter's conversation; "" is the greeting, "." the end of its text.
const STEPS: [&str; 6] = ["", "EHLO", "MAIL", "RCPT", "DATA", "."];

fn is_at(step: &str, line: &str) -> bool {
    if step.len() < 2 { line == step } else { line.starts_with(step) }
}

/// What each refusal at each step does to the letter: only a 5xx about the letter itself returns it.
#[test]
fn every_refusal_at_every_step() {
    let codes = ["421 closing", "450 busy", "451 oops", "452 full", "550 no", "552 too big", "554 never"];
    let codes = codes.map(|code| {
        let (number, text) = code.split_once(' ').unwrap();
        format!("{number} {}.0.0 {text}", &number[..1])
    });
    for step in STEPS {
        // one house a step: each code is tried in turn
        let now = Arc::new(AtomicUsize::new(0));
        let (at, said) = (now.clone(), codes.clone());
        let house = house(move |conversation, line| {
            let hit = is_at(step, line) || (step.is_empty() && line == "EHLO");
            if hit {
                let code = &said[at.load(Ordering::SeqCst)];
                conversation.line(code);
                if step.is_empty() || code.starts_with("421") {
                    conversation.close();
                }
            }
            hit
        });
        for (index, code) in codes.iter().enumerate() {
            let letter = house.after(1 + index as u64);
            let permanent = code.starts_with('5') && ["RCPT", "DATA", "."].contains(&step);
            let state = if permanent { "returned" } else { "deferred" };
            assert_eq!(letter["state"], state, "{code} at {step:?}: {letter}");
            let reply = letter["last_reply"].as_str().unwrap();
            assert!(reply.contains(&code[..3]), "{code} at {step:?}: {reply}");
            assert!(permanent || letter["next_attempt"].is_string(), "it is tried again: {letter}");
            if index + 1 < codes.len() {
                now.store(index + 1, Ordering::SeqCst);
                house.try_again();
            }
        }
        let letters = house.recovers();
        let complete = if step == "." { codes.len() + 1 } else { 1 };
        assert_eq!(letters.len(), complete, "at {step:?}");
    }
}

/// The same before a letter is begun, where everything is about the server: TLS and login.
#[test]
fn every_refusal_of_starttls_and_of_the_login() {
    for (step, tls) in [("STARTTLS", "starttls"), ("AUTH", "none")] {
        for code in ["421 closing", "454 not now", "501 what", "535 wrong", "550 no", "554 never"] {
            let house = with(
                |plan| {
                    plan.smtp.tls = tls;
                    plan.smtp.password = Some("secret");
                },
                move |conversation, line| {
                    if line.starts_with("EHLO") {
                        conversation.line("250-scripted");
                        conversation.line("250-STARTTLS");
                        conversation.line("250 AUTH PLAIN");
                        return true;
                    }
                    let hit = line.starts_with(step);
                    if hit {
                        conversation.line(code);
                    }
                    hit
                },
            );
            let letter = house.after(1);
            assert_eq!(letter["state"], "deferred", "{code} to {step}: {letter}");
            let reply = letter["last_reply"].as_str().unwrap();
            assert!(reply.contains("takes no letters") && reply.contains(&code[..3]), "{reply}");
            assert!(house.letters.lock().unwrap().is_empty());
            let said = house.smtp.transcript().into_iter().filter(|line| line.contains(" C: "));
            let verbs: Vec<String> =
                said.map(|line| line.split([' ', ':']).nth(3).unwrap().to_owned()).collect();
            let nothing_else = ["EHLO", "QUIT", step];
            assert!(verbs.iter().all(|verb| nothing_else.contains(&verb.as_str())), "{verbs:?}");
        }
    }
}

/// Many letters are one login: an account that is tried again and again is locked.
#[test]
fn a_refused_login_is_not_tried_again_for_every_letter() {
    let mails: Vec<Vec<u8>> = (0..8).map(|n| report(RITA, &format!("Report {n}"), "It crashes.")).collect();
    let (imap, bell) = scripted::imap(scripted::folder(&mails), |_, _, _| false);
    let (smtp, letters) = scripted::smtp(|conversation, _, line| {
        match line.split(' ').next().unwrap() {
            "EHLO" => {
                conversation.line("250-scripted");
                conversation.line("250 AUTH PLAIN");
            }
            "AUTH" => conversation.line("535 5.7.8 wrong"),
            _ => return false,
        }
        true
    });
    let mut plan = Plan::scripted(imap.port, smtp.port);
    plan.smtp.password = Some("secret");
    let desk = Desk::new(&plan);
    let inside = Inside::start(&desk, Clock::System, as_ever);
    desk.await_cases(mails.len());
    wait_until("all were tried", SOON, || desk.outbox().iter().all(|letter| letter["state"] == "deferred"));
    for letter in desk.outbox() {
        assert!(letter["last_reply"].as_str().unwrap().contains("535 5.7.8 wrong"), "{letter}");
    }
    assert_eq!(smtp.transcript().iter().filter(|line| line.contains("C: AUTH")).count(), 1);
    assert!(letters.lock().unwrap().is_empty());
    inside.stop();
    drop(bell);
}

#[test]
fn silence_for_ever_at_every_step_of_a_letter() {
    for step in STEPS {
        let impatient = |config: &mut Config| {
            brief(config);
            let outbox::Settings::Smtp(settings) = &mut config.outbox else { panic!() };
            settings.patience = Duration::from_secs(2);
        };
        let silent = move |conversation: &mut Conversation, line: &str| {
            let hit = is_at(step, line);
            if hit {
                loop {
                    conversation.read_line();
                }
            }
            hit
        };
        let house = with_waits(impatient, |_| {}, silent);
        let letter = house.after(1);
        assert_eq!(letter["state"], "deferred", "at {step:?}: {letter}");
        assert!(letter["last_reply"].as_str().unwrap().contains("not done after"), "{letter}");
        assert_eq!(house.recovers().len(), if step == "." { 2 } else { 1 }, "at {step:?}");
    }
}

#[test]
fn a_connection_that_is_gone_at_every_step_of_a_letter() {
    for step in STEPS {
        let house = house(move |conversation, line| {
            let hit = is_at(step, line);
            if hit {
                conversation.close();
            }
            hit
        });
        assert_eq!(house.after(1)["state"], "deferred", "at {step:?}");
        // only after the whole text the server may have it: then it gets it twice, and can tell by the Message-ID
        assert_eq!(house.recovers().len(), if step == "." { 2 } else { 1 }, "at {step:?}");
    }
}

/// The 250 counts, whatever comes after it.
#[test]
fn a_connection_that_is_gone_after_the_250_repeats_nothing() {
    let house = house(|conversation, line| {
        if line == "." {
            conversation.line("250 2.0.0 queued");
            conversation.close();
        }
        line == "."
    });
    assert_eq!(house.after(1)["state"], "sent");
    assert_eq!(house.recovers().len(), 1);
}

/// A server that offers to tell what becomes of a letter (DSN), and does not understand when it is asked to.
#[test]
fn what_is_offered_and_not_understood_is_done_without() {
    for (step, code) in
        [("MAIL", "501 5.5.4"), ("MAIL", "555 5.5.4"), ("RCPT", "501 5.5.4"), ("RCPT", "504 5.5.4")]
    {
        let house = house(move |conversation, line| {
            if line.starts_with("EHLO") {
                conversation.line("250-scripted");
                conversation.line("250 DSN");
                return true;
            }
            let hit = line.starts_with(step) && (line.contains("RET=") || line.contains("NOTIFY="));
            if hit {
                conversation.line(&format!("{code} Unsupported option"));
            }
            hit
        });
        assert_eq!(house.after(1)["state"], "sent", "{code} to {step}, at the first attempt");
        assert_eq!(house.recovers().len(), 1);
    }
}

/// A recipient who is wrong with and without parameters is wrong.
#[test]
fn a_wrong_address_is_not_blamed_on_the_parameters() {
    let house = house(|conversation, line| {
        if line.starts_with("EHLO") {
            conversation.line("250-scripted");
            conversation.line("250 DSN");
            return true;
        }
        if line.starts_with("RCPT") {
            conversation.line("501 5.1.3 Bad recipient address syntax");
        }
        line.starts_with("RCPT")
    });
    let letter = house.after(1);
    assert_eq!(letter["state"], "returned", "{letter}");
    assert_eq!(house.smtp.transcript().iter().filter(|line| line.contains("C: RCPT")).count(), 2);
}

/// A letter is stopped when the server has everything but its bytes: they do not go. Later, when a person lets it go, they do.
#[test]
fn a_letter_that_is_stopped_at_the_last_moment_does_not_leave() {
    let (asked, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (seen, go) = (asked.clone(), stopped.clone());
    let house = with_waits(
        as_ever,
        |_| {},
        move |_, line| {
            if is_at("DATA", line) {
                seen.store(true, Ordering::SeqCst);
                wait_until("it is stopped", SOON, || go.load(Ordering::SeqCst));
            }
            false
        },
    );
    wait_until("the server is asked to take its bytes", SOON, || asked.load(Ordering::SeqCst));
    let id = house.desk.letter("acknowledgement", RITA)["id"].as_str().unwrap().to_owned();
    control::ask(&house.desk.state(), &Question::Hold(id)).unwrap().unwrap();
    stopped.store(true, Ordering::SeqCst);
    wait_until("it is given up", SOON, || house.inside.log().contains("a letter was stopped before it left"));
    let letter = house.desk.letter("acknowledgement", RITA);
    assert_eq!((letter["state"].as_str(), letter["attempts"].as_u64()), (Some("held"), Some(0)));
    assert!(house.letters.lock().unwrap().is_empty(), "nothing of it has left");
    assert_eq!(house.recovers().len(), 1, "and it leaves once");
}
