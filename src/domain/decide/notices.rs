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
use crate::domain::decide::{Copies, Decision, Turn, mail};
use crate::domain::distributor::Member;
use crate::domain::embargo::Embargo;
use crate::domain::event::{Event, What};
use crate::domain::letter::{Body, Letter, LetterId, NoticeContent, NoticeCopy, Protection};
use crate::domain::mark;
use crate::domain::message::Mailbox;
use crate::domain::notice::{CopyOf, Notice, Sort, Step};
use crate::domain::policy::Policy;

/// Why a copy waits for a person after a restoration: it may be there already, under another Message-ID.
const PERHAPS_SENT: &str =
    "perhaps sent before this desk was restored from a backup: ask the member, then release it";

/// See [`super::decide`].
pub(super) fn copies(copies: &Copies, policy: &Policy, now: Timestamp) -> Decision {
    let Copies { case, notice, text, attachments, to } = copies;
    let mut decision = Decision::default();
    let (text, unread) = match text {
        Ok(text) => (text.clone(), None),
        Err(why) => (None, Some(format!("what it says cannot be read: {why}"))),
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
        let waits = turn.perhaps_sent.then(|| PERHAPS_SENT.to_owned()).or(unread.clone());
        match (reader(case, turn), waits) {
            (Ok(member), None) => decision.letters.push(copy(case, notice, turn, member, &content, policy)),
            (Ok(member), Some(why)) => {
                let letter = copy(case, notice, turn, member, &content, policy);
                decision.events.push(mail::held(letter, &why, false, now));
            }
            (Err(why), _) => decision.events.push(left_out(case, notice, turn, &why, now)),
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
        certificates: member.proven_certificates().cloned().collect(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::CaseId;
    use crate::domain::decide::tests::policy;
    use crate::domain::distributor::{MemberId, State};
    use crate::domain::notice::Content;
    use crate::domain::signature::{Certificate, Source};
    use crate::domain::tlp::Tlp;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-{time}:00:00Z").parse().unwrap()
    }

    fn member(state: State) -> Member {
        let certificate = |fingerprint: &str| Certificate {
            fingerprint: fingerprint.to_owned(),
            source: Source::Roster,
            armored: String::new(),
        };
        Member {
            id: MemberId::typed("acme").unwrap(),
            organisation: "Acme".to_owned(),
            addresses: vec![Mailbox::bare("security@acme.example")],
            certificates: vec![certificate("ITS-OWN"), certificate("NOT-PROVEN")],
            proven: vec![("ITS-OWN".to_owned(), at("20T00"))],
            state,
            since: at("20T00"),
            zone: None,
            application: None,
            criteria: Vec::new(),
            vouch: None,
            accepted: None,
            challenge: None,
            strikes: Vec::new(),
            attest_by: None,
            history: Vec::new(),
            joined: None,
        }
    }

    /// A case with a notice, on the 23rd, to these.
    fn case(to: &[&str]) -> Case {
        let id = CaseId::new("EX", 2026, 1);
        let opened = What::CaseOpened {
            subject: None,
            reporter: None,
            received_at: at("20T00"),
            deadlines: Vec::new(),
            missing: Vec::new(),
            hints: Vec::new(),
            terms: None,
        };
        let mut case = Case::open(&Event { at: at("20T00"), case: Some(id.clone()), what: opened }).unwrap();
        let content = Content {
            sort: Sort::Notice,
            tlp: Tlp::default(),
            text: None,
            files: Vec::new(),
            author: None,
            until: None,
            place: None,
        };
        let notice = Notice {
            number: 1,
            content,
            at: at("23T00"),
            by: Vec::new(),
            recipients: to.len(),
            left_out: Vec::new(),
            missed: 0,
            marks: Vec::new(),
        };
        let to = to.iter().map(|name| MemberId::typed(name).unwrap()).collect();
        let step = Box::new(Step::Begun { notice, to });
        let what = What::Distribution { step, by: "ada".to_owned() };
        case.apply(&Event { at: at("23T00"), case: Some(id), what });
        case
    }

    fn written(case: Case, member: Option<Member>) -> Decision {
        let notice = case.notices.first().unwrap().clone();
        let id = MemberId::typed("acme").unwrap();
        let turn = Turn { id, member, zone: None, letter: 1, earlier: Vec::new(), perhaps_sent: false };
        let copies = Copies { case, notice, text: Ok(None), attachments: Vec::new(), to: vec![turn] };
        super::copies(&copies, &policy(), at("24T00"))
    }

    #[track_caller]
    fn is_left_out(decision: &Decision, why: &str) {
        assert_eq!(decision.letters.len(), 0);
        let [Event { what: What::Distribution { step, .. }, .. }] = decision.events.as_slice() else {
            panic!("one event");
        };
        let left_out = matches!(step.as_ref(), Step::LeftOut { why: told, .. } if told == why);
        assert!(left_out, "{why}: {step:?}");
    }

    #[test]
    fn who_gets_a_copy_is_looked_at_again_when_its_turn_comes() {
        let decision = written(case(&["acme"]), Some(member(State::Active)));
        let [Letter { body: Body::Notice(_, copy), .. }] = decision.letters.as_slice() else {
            panic!("one copy");
        };
        let sealed_to: Vec<&str> = copy.certificates.iter().map(|it| it.fingerprint.as_str()).collect();
        assert_eq!(sealed_to, ["ITS-OWN"]);
        for state in [State::Suspended, State::Removed, State::Applied] {
            is_left_out(&written(case(&["acme"]), Some(member(state))), &format!("it is {}", state.word()));
        }
        is_left_out(&written(case(&["acme"]), None), "it is not on the list");
        let not_released = written(case(&["bolt"]), Some(member(State::Active)));
        is_left_out(&not_released, "the case is not released to it");
        // another one took its name after the notice was approved
        let another = Member { joined: Some(at("23T12")), ..member(State::Active) };
        is_left_out(&written(case(&["acme"]), Some(another)), "the case is not released to it");
        let nowhere = Member { addresses: Vec::new(), ..member(State::Active) };
        is_left_out(&written(case(&["acme"]), Some(nowhere)), "it has no address");
    }
}
