//! How far each copy of a notice has come: what happened to it, when, in the server's words.
//!
//! # Invariants
//! * `accepted` says that the next server took it; `confirmed` that the member says so, signed. Nothing else means that it arrived.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::notice::Notice;
use crate::domain::posting::{BOUNCED, LetterState, Posting};

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its turn is still to come.
    Queued,
    /// Tried, not taken, tried again later.
    Deferred,
    /// Waits for a person.
    Held,
    /// The next server took it.
    Accepted,
    /// Refused, given up, or come back.
    Bounced,
    /// The member says, signed, that it is there.
    Confirmed,
}

impl Standing {
    /// Of a copy.
    pub fn of(posting: &Posting) -> Self {
        match posting.state {
            _ if posting.confirmed_at.is_some() => Self::Confirmed,
            LetterState::Active => Self::Queued,
            LetterState::Deferred => Self::Deferred,
            LetterState::Held => Self::Held,
            LetterState::Sent => Self::Accepted,
            LetterState::Returned => Self::Bounced,
        }
    }

    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Accepted => "accepted",
            Self::Bounced => "bounced",
            Self::Confirmed => "confirmed",
        }
    }

    /// A person may have to do something.
    fn needs_an_eye(self) -> bool {
        matches!(self, Self::Deferred | Self::Held | Self::Bounced)
    }
}

/// Since when a copy stands where it stands.
pub fn since(posting: &Posting) -> Timestamp {
    posting.confirmed_at.or(posting.moved_at).unwrap_or(posting.queued_at)
}

/// The copies of one notice, in order.
pub fn of_notice<'p>(notice: &Notice, copies: &'p [Posting]) -> impl Iterator<Item = &'p Posting> {
    let number = notice.number;
    copies.iter().filter(move |posting| posting.copy.as_ref().is_some_and(|copy| copy.notice == number))
}

/// How many copies stand where.
pub fn counted<'p>(copies: impl Iterator<Item = &'p Posting>) -> BTreeMap<Standing, usize> {
    let mut counted = BTreeMap::new();
    for posting in copies {
        let count: &mut usize = counted.entry(Standing::of(posting)).or_default();
        *count = count.saturating_add(1);
    }
    counted
}

/// All notices of a case and how far their copies have come, as text. No more than `most` members are named for each: those first who
/// need an eye, and no others unless there is room for all.
pub fn page(case: &Case, copies: &[Posting], most: usize) -> String {
    if case.notices.is_empty() {
        return "nothing was sent to the distributors".to_owned();
    }
    let mut page = Vec::new();
    for notice in &case.notices {
        let of_it: Vec<&Posting> = of_notice(notice, copies).collect();
        let counted = counted(of_it.iter().copied());
        let counts = counted.iter().map(|(standing, count)| format!("{count} {}", standing.word()));
        let mut counts: Vec<String> = counts.collect();
        let unwritten = notice.unwritten(of_it.len());
        if unwritten > 0 {
            counts.push(format!("{unwritten} not written yet"));
        }
        let at = notice.at.strftime("%Y-%m-%d %H:%M UTC");
        page.push(format!(
            "{} {} ({}), {at}: {}",
            notice.content.sort.word(),
            notice.number,
            notice.content.tlp,
            counts.join(", ")
        ));
        let listed = of_it.iter().filter(|copy| most == usize::MAX || Standing::of(copy).needs_an_eye());
        let listed: Vec<&&Posting> = listed.collect();
        page.extend(listed.iter().take(most).map(|copy| line(copy)));
        let left_out = notice.left_out.iter().take(most);
        page.extend(left_out.map(|(member, why)| format!("    {member}  not sent: {why}")));
        let more =
            listed.len().saturating_sub(most).saturating_add(notice.left_out.len().saturating_sub(most));
        if more > 0 {
            page.push(format!("    and {more} more: psirtd case {}", case.id));
        }
    }
    page.join("\n")
}

fn line(posting: &Posting) -> String {
    let member = posting.copy.as_ref().map_or("", |copy| copy.member.as_str());
    let at = since(posting).strftime("%Y-%m-%d %H:%M UTC");
    let said = posting.last_reply.as_deref().map(|said| said.trim_start_matches(BOUNCED));
    let said = said.map_or_else(String::new, |said| format!("  {said}"));
    format!("    {member}  {} {at}{said}", Standing::of(posting).word())
}
