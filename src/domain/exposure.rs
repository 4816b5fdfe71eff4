//! Who of the distributors had been sent what of a case, as of a time: the first question when something has leaked (P-22).
//!
//! # Invariants
//! * It is read from what happened: the members who may know, and the postings of their copies. Nothing is entered by hand.
//! * What a server accepted has left the house, whatever became of it later; what was confirmed has arrived. What was refused, held, still
//!   waits or was never written has not left.
//! * As of a time, what happened later did not happen. A posting remembers when it was taken, came back and was confirmed, and not that it
//!   was held before it left: it counts as waiting then.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::distributor::MemberId;
use crate::domain::notice::{Notice, members};
use crate::domain::posting::{BOUNCED, LetterState, Posting};

/// How far a copy had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// There was no such copy, or not yet.
    Unwritten,
    /// Its turn was still to come.
    Waiting,
    /// It waited for a person.
    Held,
    /// The next server did not take it.
    Refused,
    /// The next server took it.
    Accepted,
    /// The next server took it, and it came back.
    Bounced,
    /// The member says, signed, that it is there.
    Confirmed,
}

impl Reached {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unwritten => "not written",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Accepted => "accepted",
            Self::Bounced => "bounced",
            Self::Confirmed => "confirmed",
        }
    }

    /// It has left the house.
    pub fn is_out(self) -> bool {
        matches!(self, Self::Accepted | Self::Bounced | Self::Confirmed)
    }
}

/// A member, and what it had been sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposed<'c> {
    /// Which.
    pub member: &'c MemberId,
    /// Since when it might know.
    pub since: Timestamp,
    /// What was meant for it, in order.
    pub copies: Vec<Sent<'c>>,
}

/// A notice, and how far a member's copy of it had come.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent<'c> {
    /// Which notice.
    pub notice: &'c Notice,
    /// The copy, as it stands now; none of one that was never written.
    pub posting: Option<&'c Posting>,
    /// How far it had come.
    pub reached: Reached,
}

impl Sent<'_> {
    /// When the next server took it.
    pub fn accepted_at(&self) -> Option<Timestamp> {
        self.posting.filter(|_| self.reached.is_out()).and_then(|posting| posting.sent_at)
    }

    /// When it was refused, or came back.
    pub fn returned_at(&self) -> Option<Timestamp> {
        let returned = matches!(self.reached, Reached::Refused | Reached::Bounced);
        self.posting.filter(|_| returned).and_then(|posting| posting.moved_at)
    }

    /// When the member confirmed it.
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        self.posting.filter(|_| self.reached == Reached::Confirmed).and_then(|posting| posting.confirmed_at)
    }

    /// The server's last words, if they were said by then.
    pub fn reply(&self) -> Option<&str> {
        let settled = self.reached != Reached::Waiting && self.reached != Reached::Unwritten;
        let reply = self.posting.filter(|_| settled).and_then(|posting| posting.last_reply.as_deref());
        reply.map(|reply| reply.trim_start_matches(BOUNCED))
    }
}

/// Everybody who might know of the case by `at`, and what they had been sent, in the order in which they were let know.
pub fn ledger<'c>(case: &'c Case, copies: &'c [Posting], at: Timestamp) -> Vec<Exposed<'c>> {
    let released = case.released.iter().filter(|released| released.at <= at);
    let exposed = released.map(|released| {
        let member = &released.member;
        let sent = case.notices.iter().filter(|notice| notice.at <= at).flat_map(|notice| {
            let own = copies.iter().filter(|posting| is_copy(posting, notice, member));
            let own =
                own.map(|posting| Sent { notice, posting: Some(posting), reached: reached(posting, at) });
            let mut own: Vec<Sent<'_>> = own.collect();
            // what was sent before it might know was not meant for it
            if own.is_empty() && notice.at >= released.at {
                own.push(Sent { notice, posting: None, reached: Reached::Unwritten });
            }
            own
        });
        Exposed { member, since: released.at, copies: sent.collect() }
    });
    exposed.collect()
}

fn is_copy(posting: &Posting, notice: &Notice, member: &MemberId) -> bool {
    posting.copy.as_ref().is_some_and(|copy| copy.notice == notice.number && copy.member == *member)
}

fn reached(posting: &Posting, at: Timestamp) -> Reached {
    let by = |time: Option<Timestamp>| time.is_some_and(|time| time <= at);
    let moved = by(posting.moved_at);
    if by(posting.confirmed_at) {
        Reached::Confirmed
    } else if by(posting.sent_at) {
        if posting.state == LetterState::Returned && moved { Reached::Bounced } else { Reached::Accepted }
    } else if posting.queued_at > at {
        Reached::Unwritten
    } else {
        match posting.state {
            LetterState::Returned if moved => Reached::Refused,
            LetterState::Held if moved => Reached::Held,
            _ => Reached::Waiting,
        }
    }
}

/// In numbers, without a name: fit for a mail.
pub fn counted(ledger: &[Exposed<'_>]) -> String {
    let is_out = |exposed: &&Exposed<'_>| exposed.copies.iter().any(|copy| copy.reached.is_out());
    let mut told = vec![format!(
        "{} might know of it, and {} of them had been sent something",
        members(ledger.len()),
        ledger.iter().filter(is_out).count()
    )];
    let mut notices: BTreeMap<u32, (&Notice, BTreeMap<Reached, usize>)> = BTreeMap::new();
    for copy in ledger.iter().flat_map(|exposed| &exposed.copies) {
        let (_, counts) = notices.entry(copy.notice.number).or_insert((copy.notice, BTreeMap::new()));
        let count = counts.entry(copy.reached).or_default();
        *count = count.saturating_add(1);
    }
    told.extend(notices.values().map(|(notice, counts)| {
        let counts = counts.iter().map(|(reached, count)| format!("{count} {}", reached.word()));
        let counts: Vec<String> = counts.collect();
        format!(
            "{} {} ({}): {}",
            notice.content.sort.word(),
            notice.number,
            notice.content.tlp,
            counts.join(", ")
        )
    }));
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::CaseId;
    use crate::domain::event::{Event, What};
    use crate::domain::letter::{LetterId, LetterKind};
    use crate::domain::message::{Digest, Mailbox};
    use crate::domain::notice::{Content, CopyOf, Sort, Step};
    use crate::domain::tlp::Tlp;

    fn at(time: &str) -> Timestamp {
        format!("2026-12-01T{time}:00Z").parse().unwrap()
    }

    fn id() -> CaseId {
        CaseId::typed("EX-2026-0001")
    }

    fn member(name: &str) -> MemberId {
        MemberId::typed(name).unwrap()
    }

    fn happens(case: &mut Case, time: &str, step: Step) {
        let what = What::Distribution { step: Box::new(step), by: "ada@example.org".to_owned() };
        case.apply(&Event { at: at(time), case: Some(id()), what });
    }

    fn notice(number: u32, time: &str, recipients: usize) -> Notice {
        let content = Content {
            sort: if number == 1 { Sort::Notice } else { Sort::Update },
            tlp: Tlp::Amber,
            text: None,
            files: Vec::new(),
            author: None,
            until: None,
            place: None,
        };
        Notice {
            number,
            content,
            at: at(time),
            by: Vec::new(),
            recipients,
            left_out: Vec::new(),
            missed: 0,
            marks: Vec::new(),
        }
    }

    /// A notice to four members at 10:00; one that joined later has it since 12:00; an update to all at 14:00.
    fn case() -> Case {
        let what = What::CaseOpened {
            subject: None,
            reporter: None,
            received_at: at("09:00"),
            deadlines: Vec::new(),
            missing: Vec::new(),
            hints: Vec::new(),
            terms: None,
        };
        let mut case = Case::open(&Event { at: at("09:00"), case: Some(id()), what }).unwrap();
        let four: Vec<MemberId> = ["acme", "bolt", "core", "dune"].map(member).to_vec();
        happens(&mut case, "10:00", Step::Begun { notice: notice(1, "10:00", 4), to: four.clone() });
        happens(&mut case, "12:00", Step::Repeated { notice: 1, member: member("elba"), letter: 5 });
        happens(&mut case, "14:00", Step::Begun { notice: notice(2, "14:00", 5), to: four });
        case
    }

    /// The `number`th copy of notice 1, and what became of it.
    fn copy(number: u32, name: &str, fate: &[(&str, What)]) -> Posting {
        let what = What::LetterQueued {
            letter: LetterId::of_notice(&id(), 1, number),
            kind: LetterKind::Notice,
            to: Mailbox::bare(format!("security@{name}.example")),
            message_id: format!("{name}@example.org"),
            bytes: Digest::from_bytes(&[1]),
            mail: None,
            text: None,
            copy: Some(CopyOf { notice: 1, member: member(name) }),
        };
        let mut posting = Posting::begin(&Event { at: at("10:01"), case: Some(id()), what }).unwrap();
        for (time, what) in fate {
            posting.apply(&Event { at: at(time), case: Some(id()), what: what.clone() });
        }
        posting
    }

    fn copies() -> Vec<Posting> {
        let letter = |number| LetterId::of_notice(&id(), 1, number);
        let sent = |number| What::LetterSent { letter: letter(number), reply: "250 Ok".to_owned() };
        let back =
            |number, words: &str| What::LetterReturned { letter: letter(number), reply: words.to_owned() };
        let step =
            Step::Confirmed { letter: letter(1), member: member("acme"), mail: Digest::from_bytes(&[2]) };
        let confirmed = What::Distribution { step: Box::new(step), by: "security@acme.example".to_owned() };
        vec![
            copy(1, "acme", &[("10:05", sent(1)), ("11:00", confirmed)]),
            copy(2, "bolt", &[("10:05", sent(2)), ("11:00", back(2, "bounced: 550 no such user"))]),
            copy(3, "core", &[("10:05", back(3, "550 refused"))]),
            copy(5, "elba", &[("12:05", sent(5))]),
        ]
    }

    fn told(time: &str) -> Vec<String> {
        let (case, copies) = (case(), copies());
        let ledger = ledger(&case, &copies, at(time));
        let copy = |copy: &Sent<'_>| format!("{} {}", copy.notice.number, copy.reached.word());
        let line = |exposed: &Exposed<'_>| {
            let copies: Vec<String> = exposed.copies.iter().map(copy).collect();
            format!("{}: {}", exposed.member, copies.join(", "))
        };
        ledger.iter().map(line).collect()
    }

    #[test]
    fn as_of_a_time_what_happened_later_did_not_happen() {
        assert_eq!(told("09:59"), [""; 0]);
        assert_eq!(
            told("10:00"),
            ["acme: 1 not written", "bolt: 1 not written", "core: 1 not written", "dune: 1 not written"]
        );
        assert_eq!(
            told("10:04"),
            ["acme: 1 waiting", "bolt: 1 waiting", "core: 1 waiting", "dune: 1 not written"]
        );
        assert_eq!(
            told("10:05"),
            ["acme: 1 accepted", "bolt: 1 accepted", "core: 1 refused", "dune: 1 not written"]
        );
        assert_eq!(
            told("11:00")[..3],
            ["acme: 1 confirmed", "bolt: 1 bounced", "core: 1 refused"],
            "what came back had left the house all the same"
        );
        assert_eq!(told("12:05")[4..], ["elba: 1 accepted"], "who joined late had it since then");
        assert_eq!(
            told("14:00"),
            [
                "acme: 1 confirmed, 2 not written",
                "bolt: 1 bounced, 2 not written",
                "core: 1 refused, 2 not written",
                "dune: 1 not written, 2 not written",
                "elba: 1 accepted, 2 not written"
            ]
        );
    }

    #[test]
    fn in_numbers_it_names_nobody() {
        let (case, copies) = (case(), copies());
        assert_eq!(
            counted(&ledger(&case, &copies, at("13:00"))),
            "5 members might know of it, and 3 of them had been sent something; notice 1 (TLP:AMBER): 1 not written, 1 refused, 1 accepted, \
             1 bounced, 1 confirmed"
        );
        assert_eq!(
            counted(&ledger(&case, &copies, at("09:00"))),
            "0 members might know of it, and 0 of them had been sent something"
        );
    }
}
