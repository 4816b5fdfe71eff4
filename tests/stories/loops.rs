//! Ten minutes with somebody who answers every letter within a second, by machine. Whatever the answers look like, they end, and
//! no mail is lost.

use crate::support::desk::Desk;
use jiff::{SignedDuration, Timestamp};
use psirtd::control::Question;
use std::collections::BTreeMap;

const ADA: &str = "ada@example.org";
const OTTO: &str = "otto@example.org";
const VERA: &str = "vera@example.net";
const DESK: &str = "security@example.org";
const NEIGHBOUR: &str = "security@example.com";

/// A letter as it travels.
struct Post {
    to: String,
    message_id: String,
    text: String,
}

impl Post {
    fn new(raw: Vec<u8>) -> Post {
        let text = String::from_utf8(raw).unwrap();
        let field = |name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
        };
        Post { to: field("To: "), message_id: field("Message-ID: "), text: text.replace("\r\n", "\n") }
    }

    /// Without these fields, outside and inside.
    fn without(&self, fields: &[&str]) -> String {
        let mut removed = false;
        let kept = self.text.split_inclusive('\n').filter(|line| {
            let continues = line.starts_with([' ', '\t']);
            removed = if continues { removed } else { fields.iter().any(|field| line.starts_with(field)) };
            !removed
        });
        kept.collect()
    }
}

/// The desk's letters that were sent: how many, of which kind, to whom.
fn sent(desk: &Desk) -> BTreeMap<String, usize> {
    let outbox = desk.ask(&Question::Outbox);
    let mut letters = BTreeMap::new();
    for letter in outbox.as_array().unwrap().iter().filter(|letter| letter["state"] == "sent") {
        let text = |name: &str| letter[name].as_str().unwrap();
        *letters.entry(format!("{} to {}", text("kind"), text("to"))).or_default() += 1;
    }
    letters
}

fn count(desk: &Desk, letters: &str) -> usize {
    sent(desk).get(letters).copied().unwrap_or(0)
}

/// A line for each kind of letter.
fn told(desk: &Desk) -> Vec<String> {
    sent(desk).iter().map(|(letters, count)| format!("{count} {letters}")).collect()
}

/// What a report brings about when every letter that goes out is answered with these mails a second later. Returns how many mails
/// the desk got. More letters than `at_most` are an exchange that does not end.
#[track_caller]
fn ten_minutes(
    desk: &Desk,
    report: &str,
    at_most: usize,
    mut answers: impl FnMut(&Post) -> Option<String>,
) -> usize {
    let mut arriving = vec![report.to_owned()];
    let (mut mails, mut letters) = (0, 0);
    each_second(&[desk], |second| {
        for mail in arriving.drain(..) {
            desk.receives(&mail);
            mails += 1;
        }
        let post = desk.post();
        letters += post.len();
        assert!(
            letters <= at_most,
            "{letters} letters for {mails} mails, after {second} s: {:?}",
            told(desk)
        );
        arriving.extend(post.into_iter().filter_map(|raw| answers(&Post::new(raw))));
    });
    assert!(arriving.is_empty(), "still answering: {:?}", told(desk));
    mails
}

/// Ten minutes go by for these desks, second by second.
fn each_second(desks: &[&Desk], mut happens: impl FnMut(i64)) {
    let start = desks[0].now();
    for second in 0..600 {
        for desk in desks {
            turn(desk, start + SignedDuration::from_secs(second));
        }
        happens(second);
    }
}

fn turn(desk: &Desk, at: Timestamp) {
    desk.clock_to(&at.to_string());
}

/// Somebody who answers with fresh mails that nothing gives away.
fn thanks(from: &str, number: usize) -> String {
    format!(
        "From: {from}\nTo: {DESK}\nSubject: Thank you for your mail\nMessage-ID: <thanks-{number}.{from}>\n\n\
         It has reached me.\n"
    )
}

/// Somebody who answers in the thread, as a person would.
fn reply(from: &str, number: usize, letter: &Post) -> String {
    format!(
        "From: {from}\nTo: {DESK}\nSubject: Re: your mail\nMessage-ID: <reply-{number}.{from}>\n\
         In-Reply-To: <{id}>\nReferences: <{id}>\n\nIt has reached me.\n",
        id = letter.message_id
    )
}

fn report_of(author: &str) -> String {
    format!(
        "From: {author}\nTo: {DESK}\nSubject: Heap overflow\nMessage-ID: <report-1.{author}>\n\nIt crashes.\n"
    )
}

/// Two desks, each the other's correspondent, after somebody has reported to the first as if he were the second. A letter reaches
/// the other desk as `travels` leaves it. Returns how many letters passed between them, either way.
fn two_desks(toml: &str, at_most: usize, travels: impl Fn(&Post) -> String) -> (Desk, Desk, [usize; 2]) {
    let one = Desk::builder().toml(toml).open();
    let other = Desk::builder().domain("example.com").toml(toml).open();
    let mut arriving = [vec![report_of(NEIGHBOUR)], Vec::new()];
    let mut passed = [0, 0];
    each_second(&[&one, &other], |_| {
        for (place, (desk, reader)) in [(&one, NEIGHBOUR), (&other, DESK)].into_iter().enumerate() {
            for mail in std::mem::take(&mut arriving[place]) {
                desk.receives(&mail);
            }
            let post = desk.post().into_iter().map(Post::new).filter(|letter| letter.to == reader);
            let mails: Vec<String> = post.map(|letter| travels(&letter)).collect();
            passed[place] += mails.len();
            assert!(passed[place] <= at_most, "{passed:?} letters");
            arriving[1 - place].extend(mails);
        }
    });
    assert!(arriving.iter().all(Vec::is_empty), "still writing to each other");
    (one, other, passed)
}

const MARKS: [&str; 2] = ["Auto-Submitted: ", "X-Auto-Response-Suppress: "];
const THREAD: [&str; 3] = ["In-Reply-To: ", "References: ", "Message-ID: "];

#[test]
fn two_desks_exchange_one_letter() {
    let (one, other, passed) = two_desks("", 10, |letter| letter.text.clone());
    assert_eq!(passed, [1, 0]);
    assert_eq!(told(&one), ["1 acknowledgement to security@example.com", "1 relay to ada@example.org"]);
    assert_eq!(told(&other), [""; 0]);
    assert_eq!((one.cases().len(), other.cases().len()), (1, 0));
}

#[test]
fn two_desks_whose_letters_lose_their_marks_exchange_two() {
    let (one, other, passed) = two_desks("", 10, |letter| letter.without(&MARKS));
    assert_eq!(passed, [1, 1]);
    assert_eq!(told(&one), ["1 acknowledgement to security@example.com", "2 relay to ada@example.org"]);
    assert_eq!(told(&other), ["1 acknowledgement to security@example.org", "1 relay to ada@example.org"]);
    assert_eq!((one.cases().len(), other.cases().len()), (1, 1));
}

/// An answer in the thread is a follow-up, and a responder that tells what it is is none.
#[test]
fn a_reporter_who_answers_in_the_thread_is_answered_once() {
    let desk = Desk::new();
    let mut number = 0;
    let mails = ten_minutes(&desk, &report_of(VERA), 10, |letter| {
        number += 1;
        (letter.to == VERA).then(|| reply(VERA, number, letter))
    });
    assert_eq!(mails, 2);
    assert_eq!(told(&desk), ["1 acknowledgement to vera@example.net", "2 relay to ada@example.org"]);
}

/// A responder answers each acknowledgement with a fresh mail, of which this is the author: it gets so many acknowledgements and no
/// more, and every mail of it is a case that the coordinator is told of.
#[track_caller]
fn assert_limited(limits: &str, most: usize, author: impl Fn(usize) -> String) {
    let desk = Desk::builder().toml(limits).open();
    let mut number = 0;
    let mails = ten_minutes(&desk, &report_of(&author(0)), 3 * most + 20, |letter| {
        let answered = letter.to != ADA;
        number += usize::from(answered);
        answered.then(|| thanks(&author(number), number))
    });
    let acknowledged = sent(&desk).into_iter().filter(|(letter, _)| letter.starts_with("acknowledgement"));
    assert_eq!(acknowledged.map(|(_, count)| count).sum::<usize>(), most, "{limits}");
    assert_eq!((mails, desk.cases().len()), (most + 1, most + 1), "{limits}");
    assert_eq!(count(&desk, "relay to ada@example.org"), most + 1, "{limits}");
}

#[test]
fn a_responder_that_nothing_gives_away_meets_the_limit_of_its_address() {
    assert_limited("[limits]\nper_address_per_day = 5\n", 5, |_| VERA.to_owned());
}

#[test]
fn a_responder_that_nothing_gives_away_meets_the_limit_of_a_desk_that_set_none() {
    assert_limited("", 100, |_| VERA.to_owned());
}

#[test]
fn a_responder_with_a_new_tag_each_time_is_one_address() {
    assert_limited("[limits]\nper_address_per_day = 5\n", 5, |number| format!("vera+{number}@example.net"));
}

#[test]
fn a_responder_with_a_new_address_each_time_meets_the_limit_of_its_domain() {
    assert_limited("[limits]\nper_domain_per_hour = 7\n", 7, |number| format!("vera-{number}@example.net"));
}

#[test]
fn a_responder_with_a_new_domain_each_time_meets_the_limits_of_the_desk() {
    let author = |number| format!("vera@host-{number}.example");
    assert_limited("[limits]\nper_hour = 9\n", 9, author);
    assert_limited("[limits]\nper_day = 9\n", 9, author);
}

/// Nothing says what the letters are, or what they answer.
#[test]
fn two_desks_that_see_nothing_of_each_other_meet_both_limits() {
    let limits = "[limits]\nper_address_per_day = 5\n";
    let fields = [&MARKS[..], &THREAD[..]].concat();
    let (one, other, passed) = two_desks(limits, 20, |letter| letter.without(&fields));
    assert_eq!(passed, [5, 5]);
    assert_eq!((one.cases().len(), other.cases().len()), (6, 5));
}

/// How the mailbox of a coordinator answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    InTheThread,
    Afresh,
}
use Answers::{Afresh, InTheThread};

/// Rita reports, and every letter to these coordinators is answered.
#[track_caller]
fn coordinators(desk: &Desk, who: &[&str], how: Answers, at_most: usize) -> usize {
    let mut number = 0;
    ten_minutes(desk, &report_of("rita@example.net"), at_most, |letter| {
        number += 1;
        let author = who.iter().find(|address| **address == letter.to)?;
        Some(match how {
            InTheThread => reply(author, number, letter),
            Afresh => thanks(author, number),
        })
    })
}

const FEW: &str = "[limits]\nper_address_per_day = 5\n";

#[test]
fn a_coordinator_who_answers_a_relay_gets_no_other() {
    let desk = Desk::new();
    assert_eq!(coordinators(&desk, &[ADA], InTheThread, 10), 2);
    assert_eq!(told(&desk), ["1 acknowledgement to rita@example.net", "1 relay to ada@example.org"]);
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn another_coordinator_reads_what_the_first_ones_mailbox_answers() {
    let desk = Desk::builder().otto().open();
    assert_eq!(coordinators(&desk, &[ADA], InTheThread, 10), 2);
    assert_eq!(
        told(&desk),
        [
            "1 acknowledgement to rita@example.net",
            "1 relay to ada@example.org",
            "2 relay to otto@example.org"
        ]
    );
}

/// What she sends is a report to the desk, and her mailbox answers its acknowledgement, too.
#[test]
fn a_coordinator_who_answers_afresh_meets_the_limit() {
    let desk = Desk::builder().toml(FEW).open();
    coordinators(&desk, &[ADA], Afresh, 30);
    assert!(count(&desk, "acknowledgement to ada@example.org") <= 5, "{:?}", told(&desk));
    assert_eq!(count(&desk, "relay to ada@example.org"), 1, "nobody is told what he wrote himself");
    assert_eq!(count(&desk, "acknowledgement to rita@example.net"), 1);
}

#[test]
fn two_coordinators_who_answer_each_other_in_the_thread_are_stopped() {
    let desk = Desk::builder().otto().open();
    coordinators(&desk, &[ADA, OTTO], InTheThread, 150);
    for who in ["ada", "otto"] {
        let relays = count(&desk, &format!("relay to {who}@example.org"));
        assert!((1..=31).contains(&relays), "{:?}", told(&desk));
    }
    assert_eq!(count(&desk, "acknowledgement to rita@example.net"), 1);
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn two_coordinators_who_answer_each_other_afresh_are_stopped() {
    let desk = Desk::builder().otto().toml(FEW).open();
    coordinators(&desk, &[ADA, OTTO], Afresh, 300);
    for who in ["ada", "otto"] {
        let acknowledged = count(&desk, &format!("acknowledgement to {who}@example.org"));
        assert!(acknowledged <= 5, "{:?}", told(&desk));
    }
}

/// Otto has no certificate: what is for him is held, and Ada is warned. What her mailbox answers to the warning is for Otto, too.
#[test]
fn a_coordinator_who_answers_warnings_is_not_warned_without_end() {
    for how in [InTheThread, Afresh] {
        let desk = Desk::builder().otto_without_certificate().toml(FEW).open();
        coordinators(&desk, &[ADA], how, 30);
        assert!(count(&desk, "acknowledgement to ada@example.org") <= 5, "{how:?}: {:?}", told(&desk));
        assert!(count(&desk, "warning to ada@example.org") <= 2, "{how:?}: {:?}", told(&desk));
    }
}
