//! The copies of a notice: one letter a member, each written when its turn comes.
//!
//! # Invariants
//! * What is written is what was approved; to whom, is looked at again: whoever is not active any more, or may not know of the case,
//!   gets nothing.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::calendar::Calendar;
use crate::domain::case::Case;
use crate::domain::decide::{Copies, Decision, Turn};
use crate::domain::distributor::Member;
use crate::domain::embargo::Embargo;
use crate::domain::event::{Event, What};
use crate::domain::letter::{Body, Letter, LetterId, NoticeContent, NoticeCopy, Protection};
use crate::domain::mark;
use crate::domain::message::Mailbox;
use crate::domain::notice::{CopyOf, Notice, Sort, Step};
use crate::domain::policy::Policy;

/// See [`super::decide`].
pub(super) fn copies(copies: &Copies, policy: &Policy, now: Timestamp) -> Decision {
    let Copies { case, notice, text, attachments, to } = copies;
    let mut decision = Decision::default();
    let text = match text {
        Ok(text) => text.clone(),
        Err(why) => {
            let left_out = to.iter().map(|turn| left_out(case, notice, turn, why, now));
            decision.events.extend(left_out);
            return decision;
        }
    };
    let content = Arc::new(NoticeContent {
        sort: notice.content.sort.word(),
        tlp: notice.content.tlp,
        number: notice.number,
        text,
        attachments: attachments.clone(),
        author: notice.content.author.clone(),
        embargo: case.embargo.word(),
        reason: match &case.embargo {
            Embargo::Until(agreement) => {
                agreement.revisions.last().and_then(|last| last.reason).map(|reason| reason.told())
            }
            _ => None,
        },
        place: notice.content.place.clone(),
        asks: if notice.content.sort == Sort::Over { Vec::new() } else { policy.distributors.asks.clone() },
        policy: (policy.distributors.policy.clone(), policy.distributors.policy_page.clone()),
        marked: !notice.marks.is_empty(),
    });
    for turn in to {
        match reader(case, turn) {
            Ok(member) => decision.letters.push(copy(case, notice, turn, member, &content, policy)),
            Err(why) => decision.events.push(left_out(case, notice, turn, &why, now)),
        }
    }
    decision
}

/// The member, if it may have it now.
fn reader<'t>(case: &Case, turn: &'t Turn) -> Result<&'t Member, String> {
    let Some(member) = &turn.member else { return Err("it is not on the list".to_owned()) };
    if !member.is_active() {
        return Err(format!("it is {}", member.state.word()));
    }
    if !case.is_released_to(member) {
        return Err("the case is not released to it".to_owned());
    }
    if member.addresses.is_empty() {
        return Err("it has no address".to_owned());
    }
    Ok(member)
}

fn left_out(case: &Case, notice: &Notice, turn: &Turn, why: &str, now: Timestamp) -> Event {
    let step = Step::LeftOut { notice: notice.number, member: turn.id.clone(), why: why.to_owned() };
    let what = What::Distribution { step: Box::new(step), by: "psirtd".to_owned() };
    Event { at: now, case: Some(case.id.clone()), what }
}

fn copy(
    case: &Case,
    notice: &Notice,
    turn: &Turn,
    member: &Member,
    content: &Arc<NoticeContent>,
    policy: &Policy,
) -> Letter {
    // whoever hears of it late hears of the instant that stands
    let until = case.embargo.agreement().map(|agreement| agreement.until).or(notice.content.until);
    let until = until.map_or_else(Vec::new, |until| lines(until, &policy.calendar, turn.zone.as_ref()));
    let body = NoticeCopy {
        copy: CopyOf { notice: notice.number, member: member.id.clone() },
        content: Arc::clone(content),
        // what nobody has proven is nobody's
        certificates: member
            .certificates
            .iter()
            .filter(|it| member.holds(&it.fingerprint))
            .cloned()
            .collect(),
        until,
        mark: mark::of(&notice.marks, turn.letter),
    };
    // without the name: who reads it at the member is the member's business
    let to = member.addresses.first().map(|first| Mailbox::bare(first.address.clone()));
    Letter {
        id: LetterId::of_notice(&case.id, notice.number, turn.letter),
        to: to.unwrap_or_else(|| Mailbox::bare("")),
        protection: Protection::Encrypted,
        in_reply_to: turn.earlier.last().cloned(),
        references: turn.earlier.clone(),
        body: Body::Notice(case.id.clone(), Box::new(body)),
    }
}

/// An instant for everybody: in UTC, at the desk, at the reader.
pub(super) fn lines(at: Timestamp, calendar: &Calendar, zone: Option<&TimeZone>) -> Vec<String> {
    let mut lines = vec![at.strftime("%A, %Y-%m-%d %H:%M UTC").to_string()];
    for zone in std::iter::once(&calendar.zone).chain(zone) {
        let line = at.to_zoned(zone.clone()).strftime("%A, %Y-%m-%d %H:%M %Z").to_string();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
