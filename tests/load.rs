//! A backlog: many mails that wait when psirtd starts, from a real Dovecot, answered through a real Postfix.
//!
//! `make test` runs a short form, `make load` the long one: `PSIRTD_LOAD_MAILS` says how many mails, and a table says what they
//! cost. Nothing here asserts a time that a busy machine would break, but for the ten seconds within which psirtd has to end.
//! All figures are taken from the journal, so that looking at them costs the desk nothing.

use crate::servers::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, count, keys, program, report};
use crate::servers::scripted;
use crate::support::daemon::signal;
use crate::support::dovecot::Dovecot;
use crate::support::postfix::Postfix;
use crate::support::{happens, happens_every, wait_until};
use jiff::{SignedDuration, Timestamp};
use psirtd::clock::Clock;
use psirtd::keyring;
use sequoia_openpgp::Cert;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::serialize::stream::{Armorer, Encryptor, LiteralWriter, Message as Writer, Recipient};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const REPORTERS: usize = 40;
/// So many mails come while the backlog is taken in.
const MEANWHILE: usize = 20;
/// A backlog takes as long as the machine is busy.
const LONG: Duration = Duration::from_secs(3600);
/// What the daemon may need at most, whatever waits for it: ten megabytes of a mail are a hundred while it is relayed. MiB.
const MEMORY: u64 = 400;

const LIMITS: &str = "\n[limits]\nper_address_per_day = 1000000\nper_domain_per_hour = 1000000\nper_hour = 1000000\n\
    per_day = 1000000\nrelayed_per_author_per_day = 1000000\n";

fn reporter(number: usize) -> String {
    format!("r{}@example.net", number % REPORTERS)
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Plain,
    Encrypted,
    /// A machine's: recorded, and no case.
    Machine,
    /// Ten megabytes.
    Large,
}

/// A fifth is encrypted, a twentieth written by machines, one of two thousand large; the 150th, so that there is always one.
fn sort(number: usize) -> Sort {
    match number {
        _ if number % 2000 == 150 => Sort::Large,
        _ if number % 5 == 1 => Sort::Encrypted,
        _ if number % 20 == 4 => Sort::Machine,
        _ => Sort::Plain,
    }
}

/// Between 2 and 30 kB of words, different in every mail.
fn words(number: usize) -> String {
    let mut text = String::new();
    let size = 2_000 + (number * 7919) % 28_000;
    while text.len() < size {
        let line = number * 31 + text.len();
        writeln!(text, "Step {line}: the server of the example project answers {line:x} and crashes.\r")
            .unwrap();
    }
    text
}

fn message_id(number: usize) -> String {
    format!("load.{number:06}@example.net")
}

/// Makes the mails. The encrypted ones are made by Sequoia, which takes a hundredth of GnuPG's time.
struct Author {
    desk: Cert,
}

impl Author {
    fn new() -> Author {
        Author { desk: keyring::certificate(&keys().desk_public).unwrap() }
    }

    fn encrypted(&self, text: &str) -> String {
        let now = Clock::System.now();
        let policy = keyring::policy(now);
        let keys = keyring::encryption_keys(&self.desk, &policy, now).unwrap();
        let mut sink = Vec::new();
        let armor = Armorer::new(Writer::new(&mut sink)).kind(Kind::Message).build().unwrap();
        let encryptor =
            Encryptor::for_recipients(armor, keys.into_iter().map(Recipient::from)).build().unwrap();
        let mut literal = LiteralWriter::new(encryptor).build().unwrap();
        write!(literal, "Content-Type: text/plain\r\n\r\n{text}").unwrap();
        literal.finalize().unwrap();
        String::from_utf8(sink).unwrap()
    }

    fn mail(&self, number: usize) -> Vec<u8> {
        let from = reporter(number);
        let header = format!(
            "Return-Path: <{from}>\r\nFrom: R <{from}>\r\nTo: {DESK}\r\nSubject: Report {number:06}\r\n\
             Date: Fri, 20 Nov 2026 15:00:00 +0000\r\nMessage-ID: <{}>\r\nMIME-Version: 1.0\r\n",
            message_id(number)
        );
        let text = words(number);
        let rest = match sort(number) {
            Sort::Plain => format!("\r\n{text}"),
            Sort::Machine => format!("Auto-Submitted: auto-replied\r\n\r\n{text}"),
            Sort::Encrypted => format!(
                "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"b\"\r\n\r\n\
                 --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
                 --b\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b--\r\n",
                self.encrypted(&text)
            ),
            Sort::Large => format!(
                "Content-Type: multipart/mixed; boundary=\"m\"\r\n\r\n--m\r\n\r\n{text}\r\n--m\r\n\
                 Content-Type: application/octet-stream; name=\"core\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\
                 --m--\r\n",
                "U3RhY2tUcmFjZVN0YWNrVHJhY2VTdGFja1RyYWNlU3RhY2tUcmFjZVN0YWNr\r\n".repeat(160_000)
            ),
        };
        [header, rest].concat().into_bytes()
    }
}

/// The servers, a desk that is not started yet, and the mails that wait for it.
struct Backlog {
    imap: Dovecot,
    _smtp: Postfix,
    desk: Desk,
    author: Author,
    mails: usize,
}

impl Backlog {
    fn of(mails: usize) -> Backlog {
        let imap = Dovecot::start();
        let reporters: Vec<String> = (0..REPORTERS).map(reporter).collect();
        let users: Vec<&str> =
            [DESK, ADA, BEN].into_iter().chain(reporters.iter().map(String::as_str)).collect();
        let smtp = Postfix::start(&imap, &users);
        let desk = Desk::new(&Plan { more: LIMITS, ..Plan::of(&imap, &smtp) });
        let mut backlog = Backlog { imap, _smtp: smtp, desk, author: Author::new(), mails: 0 };
        backlog.grow(mails);
        backlog
    }

    fn grow(&mut self, mails: usize) {
        for number in self.mails..self.mails + mails {
            self.imap.deliver(DESK, "INBOX", &self.author.mail(number));
        }
        self.mails += mails;
    }

    fn cases(&self) -> usize {
        (0..self.mails).filter(|number| sort(*number) != Sort::Machine).count()
    }

    /// Everybody has what they are owed, and nobody anything twice.
    #[track_caller]
    fn await_letters(&self) {
        let cases = self.cases();
        let acknowledgements =
            || (0..REPORTERS).map(|number| count(&self.imap, &reporter(number), "INBOX")).sum();
        let arrived =
            || [count(&self.imap, ADA, "INBOX"), count(&self.imap, BEN, "INBOX"), acknowledgements()];
        let all = || arrived().iter().all(|arrived| *arrived >= cases);
        assert!(happens_every(Duration::from_millis(200), LONG, all), "{cases} cases, but {:?}", arrived());
        self.desk.await_letters();
        assert_eq!(arrived(), [cases; 3], "relays to Ada, relays to Ben, acknowledgements");
        wait_until("every mail is put away", LONG, || count(&self.imap, DESK, "Processed") >= self.mails);
        assert_eq!(count(&self.imap, DESK, "INBOX"), 0);
    }
}

/// What the journal says of a run.
#[derive(Default)]
struct History {
    /// When each mail was recorded, by its number, in the order of the journal.
    recorded: Vec<(usize, Timestamp)>,
    /// The cases by the numbers of their mails.
    cases: BTreeMap<usize, String>,
    /// When each letter left, in the order of the journal.
    sent: Vec<Timestamp>,
}

impl History {
    fn of(desk: &Desk) -> History {
        let (code, journal, complaint) = desk.says(&["journal", "export"]);
        assert_eq!(code, 0, "{complaint}");
        let mut history = History::default();
        for record in journal.lines() {
            let record: Value = serde_json::from_str(record).unwrap();
            for event in record["events"].as_array().unwrap() {
                history.read(event);
            }
        }
        history
    }

    fn read(&mut self, event: &Value) {
        let at = event["at"].as_str().unwrap().parse().unwrap();
        match event["event"].as_str().unwrap() {
            "mail-recorded" => {
                let id = event["message_id"].as_str().unwrap();
                let number: usize = id.split(['.', '@']).nth(1).unwrap().parse().unwrap();
                self.recorded.push((number, at));
                if let Some(case) = event["case"].as_str() {
                    let twice = self.cases.insert(number, case.to_owned());
                    assert_eq!(twice, None, "mail {number} is two cases");
                }
            }
            "letter-sent" => self.sent.push(at),
            _ => {}
        }
    }

    /// Every mail is recorded once and in the order of arrival, and so are the numbers of the cases.
    #[track_caller]
    fn assert_complete(&self, backlog: &Backlog) {
        let numbers: Vec<usize> = self.recorded.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..backlog.mails).collect::<Vec<_>>(), "each once, in the order of arrival");
        let expected: Vec<usize> =
            numbers.into_iter().filter(|number| sort(*number) != Sort::Machine).collect();
        assert_eq!(self.cases.keys().copied().collect::<Vec<_>>(), expected);
        let in_order = self.cases.values().zip(1..);
        let wrong = in_order.filter(|(case, place)| case.rsplit('-').next().unwrap().parse() != Ok(*place));
        assert_eq!(wrong.collect::<Vec<_>>(), [], "cases are numbered in the order of arrival");
    }
}

/// How many a second, in each tenth.
fn rates(times: &[Timestamp]) -> Vec<f64> {
    let tenth = times.len() / 10;
    let rate = |part: usize| {
        let (first, last) = (times[part * tenth], times[((part + 1) * tenth).min(times.len() - 1)]);
        tenth as f64 / last.duration_since(first).as_secs_f64().max(0.001)
    };
    (0..10).map(rate).collect()
}

fn shown(rates: &[f64]) -> String {
    rates.iter().map(|rate| format!("{rate:6.0}")).collect()
}

fn machine_load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn print_table(history: &History, backlog: &Backlog, before: &str, memory: u64) {
    let recorded: Vec<Timestamp> = history.recorded.iter().map(|(_, at)| *at).collect();
    let seconds = |times: &[Timestamp]| times[times.len() - 1].duration_since(recorded[0]).as_secs_f64();
    println!(
        "load: {} mails, {} cases, {} letters\n\
         load: recorded within {:.1} s, all letters sent after {:.1} s\n\
         load: mails a second, by tenths   {}\n\
         load: letters a second, by tenths {}\n\
         load: peak memory {memory} MiB, machine load {before} before, {} after",
        backlog.mails,
        history.cases.len(),
        history.sent.len(),
        seconds(&recorded),
        seconds(&history.sent),
        shown(&rates(&recorded)),
        shown(&rates(&history.sent)),
        machine_load()
    );
}

#[test]
fn a_backlog_drains_in_the_order_of_arrival_and_so_does_what_comes_meanwhile() {
    let mails = std::env::var("PSIRTD_LOAD_MAILS").map_or(300, |mails| mails.parse().unwrap());
    let mut backlog = Backlog::of(mails - MEANWHILE);
    let before = machine_load();
    backlog.desk.start_saying(&["run"]);
    backlog.desk.await_log("mail recorded");
    backlog.grow(MEANWHILE);
    backlog.await_letters();
    assert_told(&backlog.desk.log(), mails - MEANWHILE);
    let memory = backlog.desk.peak_memory();
    let history = History::of(&backlog.desk);
    print_table(&history, &backlog, &before, memory);
    history.assert_complete(&backlog);
    assert_eq!(history.sent.len(), 3 * backlog.cases());
    assert!(memory < MEMORY, "{memory} MiB");
    backlog.desk.stop();
}

/// The log says how far it is, now and then, and without a bar.
#[track_caller]
fn assert_told(log: &str, mails: usize) {
    let told = log.matches(&format!(" of {mails} taken in")).count();
    assert!((1..=200).contains(&told), "told {told} times");
    assert!(log.contains(&format!("inbox: backlog: all {mails} taken in")));
    assert!(!log.contains(['\x1b', '\r']), "no terminal, no escape sequences");
}

#[test]
fn whoever_runs_psirtd_on_a_terminal_sees_a_bar_that_no_line_of_the_log_tears() {
    let backlog = Backlog::of(120);
    let run = format!("exec {} --config {} run", program().display(), backlog.desk.config().display());
    let mut script = Command::new("script");
    script.args(["-qec", &run, "/dev/null"]).env("TERM", "xterm").env("LINES", "24").env("COLUMNS", "120");
    script.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let mut screen = script.stdout.take().unwrap();
    let screen = std::thread::spawn(move || {
        let mut text = String::new();
        screen.read_to_string(&mut text).map(|_| text)
    });
    wait_until("all is put away", LONG, || count(&backlog.imap, DESK, "Processed") >= backlog.mails);
    let lock = std::fs::read_to_string(backlog.desk.state().join("lock")).unwrap();
    signal("TERM", lock.trim_start_matches("process ").parse().unwrap());
    assert!(happens(SOON, || script.try_wait().unwrap().is_some()));
    assert!(script.wait().unwrap().success());
    let screen = screen.join().unwrap().unwrap();
    let bars: Vec<&str> = screen.split("INBOX: [").skip(1).collect();
    assert!(
        bars.iter().any(|bar| bar.contains("100 of 120 mails, ") && bar.contains(" a second, ")),
        "{screen:?}"
    );
    // behind a bar the cursor goes back to the beginning of the line, and the line is emptied, before anything else is written
    let torn = |bar: &&&str| !bar.split_once('\r').is_some_and(|(_, after)| after.starts_with("\x1b[2K"));
    assert_eq!(bars.iter().find(torn), None);
}

impl Backlog {
    /// What the reporters got: the letters' In-Reply-To, and how often.
    fn answered(&self) -> BTreeMap<String, usize> {
        let mut answered = BTreeMap::new();
        for (_, raw) in (0..REPORTERS).flat_map(|number| self.imap.mails(&reporter(number), "INBOX")) {
            let text = String::from_utf8_lossy(&raw);
            let line = text.lines().find_map(|line| line.strip_prefix("In-Reply-To: ")).unwrap();
            *answered.entry(line.trim().to_owned()).or_default() += 1;
        }
        answered
    }
}

/// SIGTERM; the daemon ends well, and in time. Returns how long it took.
#[track_caller]
fn ends_in_time(desk: &Desk) {
    let began = Clock::System.now();
    desk.stop();
    let took = Clock::System.now().duration_since(began);
    assert!(took < SignedDuration::from_secs(10), "{took:?}");
}

#[test]
fn sigterm_in_the_middle_of_a_backlog_ends_it_in_time_and_the_rest_is_taken_in_afterwards() {
    let backlog = Backlog::of(400);
    backlog.desk.start_saying(&["run"]);
    backlog.desk.await_log("100 of 400 taken in");
    ends_in_time(&backlog.desk);
    let before = History::of(&backlog.desk).recorded.len();
    assert!((100..400).contains(&before), "{before} mails were recorded before");
    backlog.desk.start_saying(&["run"]);
    backlog.await_letters();
    History::of(&backlog.desk).assert_complete(&backlog);
    let answered = backlog.answered();
    assert_eq!((answered.len(), answered.values().max()), (backlog.cases(), Some(&1)), "each once");
    ends_in_time(&backlog.desk);
}

/// The SMTP server says nothing any more, in answer to this command, or to the end of a letter.
fn ends_while_smtp_hangs(silent_at: &'static str) {
    let hangs = Arc::new(AtomicBool::new(true));
    let still = hangs.clone();
    let (smtp, letters) = scripted::smtp(move |conversation, _, line| {
        if still.load(Ordering::SeqCst) && line.starts_with(silent_at) {
            // until the client has gone
            conversation.read_line();
        }
        false
    });
    let folder = scripted::folder(&[report(RITA, "A report", "It crashes.")]);
    let (imap, _bell) = scripted::imap(folder, |_, _, _| false);
    let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
    desk.start();
    desk.await_cases(1);
    let asked = || smtp.transcript().iter().any(|line| line.contains(&format!("C: {silent_at}")));
    wait_until("the server hangs", SOON, asked);
    ends_in_time(&desk);
    assert!(desk.log().contains("letters under way were cut off"), "{silent_at}");
    hangs.store(false, Ordering::SeqCst);
    desk.start();
    desk.await_letters();
    let sent: BTreeSet<String> = letters.lock().unwrap().iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(sent.len(), 1, "the same bytes, however often, after {silent_at}");
    ends_in_time(&desk);
}

#[test]
fn sigterm_while_smtp_hangs_ends_it_in_time_and_the_letter_goes_out_afterwards() {
    std::thread::scope(|scope| {
        for silent_at in ["EHLO", "MAIL", "DATA", "."] {
            scope.spawn(move || ends_while_smtp_hangs(silent_at));
        }
    });
}
