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
use crate::domain::letter::{BOUNCED, LetterState, Posting};
use crate::domain::notice::Notice;

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
        "{} members might know of it, and {} of them had been sent something",
        ledger.len(),
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
