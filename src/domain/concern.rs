//! What the coordinators must be told of the desk itself: keys that expire, letters that wait for a person, doors that are silent.
//!
//! # Invariants
//! * A concern is a function of the state and the time; its key names it, so that it is told once.
//! * Certificates are warned of 60, 30 and 7 days before they expire, and when they have expired.
//! * Letters that are held or came back are told of at once; those that follow within an hour are told of together. What a rule
//!   keeps back is no concern: the digest lists it.
//! * A limit that stops the answers to everybody is told of once, as long as it lasts.
//! * A door that is silent is told of when it becomes silent, and again after each further day; never twice on one date (UTC),
//!   even if it worked in between or psirtd was started again.
//! * Nobody who applies is forgotten: coordinators are told again after each further term.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::domain::calendar::Calendar;
use crate::domain::distributor::{Member, MemberId, State};
use crate::domain::letter::LetterKind;
use crate::domain::limit::{Answered, Limits};
use crate::domain::posting::{LetterState, Posting};

/// Days before the expiry of a certificate at which it is warned of.
const STAGES: [i64; 3] = [60, 30, 7];
const LETTER: &str = "letter/";
/// Letters are not told of more often.
pub const COLLECTED: SignedDuration = SignedDuration::from_hours(1);

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// Names it: what was told is not told again.
    pub key: String,
    /// One line.
    pub text: String,
    /// It names no case and no letter, so that it may be told in the clear to whoever has no certificate.
    pub public: bool,
}

/// A certificate on which the desk depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// "the desk", or the address it is held for.
    pub whose: String,
    /// Its fingerprint, if there is one.
    pub fingerprint: String,
    /// When it expires, if it does.
    pub expires: Option<Timestamp>,
    /// Why it cannot be used now.
    pub unusable: Option<String>,
}

/// A way in or out of the house.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// A folder of the mailbox; without a name, a local Maildir.
    Inbox(Option<String>),
    /// All letters leave by it.
    Outbox,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inbox(Some(folder)) => write!(f, "inbox {folder}"),
            Self::Inbox(None) => f.write_str("inbox"),
            Self::Outbox => f.write_str("outbox"),
        }
    }
}

/// A door that has not worked for longer than it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Which.
    pub door: Door,
    /// It should have worked since then.
    pub since: Timestamp,
    /// What it said of itself last, on one line and without addresses; a door that hangs says nothing.
    pub why: Option<String>,
}

/// What is to be said of a certificate now.
pub fn of_certificate(validity: &Validity, now: Timestamp) -> Option<Concern> {
    let Validity { whose, fingerprint, expires, unusable } = validity;
    if let Some(why) = unusable {
        let text = match fingerprint.as_str() {
            "" => format!("letters to {whose} are held: there is no certificate to encrypt them to"),
            _ => format!("the certificate {fingerprint} of {whose} cannot be used: {why}"),
        };
        return Some(Concern { key: format!("unusable/{whose}/{fingerprint}"), text, public: true });
    }
    let expires = (*expires)?;
    let stage = stage(expires, now)?;
    let text =
        format!("the certificate {fingerprint} of {whose} expires on {}", expires.strftime("%Y-%m-%d"));
    Some(Concern { key: format!("expires/{fingerprint}/{expires}/{stage}"), text, public: true })
}

/// What is to be said of a member of the distributors' list now: nothing is sent to it that cannot be encrypted to it. `key` is until
/// when it can be (none: without end), or why it cannot. Whoever may read the line on the way is not told who is on the list.
pub fn of_members_key(
    member: &MemberId,
    key: &Result<Option<Timestamp>, String>,
    now: Timestamp,
) -> Option<Concern> {
    let (key, text) = match key {
        Ok(None) => return None,
        Ok(Some(until)) => {
            let stage = stage(*until, now)?;
            let text = format!(
                "the key of the member {member} expires on {}: without a newer one it gets nothing then",
                until.strftime("%Y-%m-%d")
            );
            (format!("member-expires/{member}/{until}/{stage}"), text)
        }
        Err(why) => (
            format!("member-unusable/{member}/{why}"),
            format!("the member {member} gets nothing, for it cannot be written to encrypted: {why}"),
        ),
    };
    Some(Concern { key, text, public: false })
}

/// Which warning of what ends then is due, in days before.
fn stage(ends: Timestamp, now: Timestamp) -> Option<i64> {
    let left = ends.duration_since(now);
    STAGES.into_iter().rev().find(|days| left <= SignedDuration::from_hours(days.saturating_mul(24)))
}

/// What is to be said of a letter that waits for a person. A warning that cannot be sent causes no other.
pub fn of_letter(posting: &Posting) -> Option<Concern> {
    let what = match posting.state {
        LetterState::Held if posting.bytes.is_none() && !posting.withheld => "is held",
        LetterState::Returned => "came back",
        _ => return None,
    };
    // a digest that could not be written is written again
    let repeated = posting.kind == LetterKind::Digest && posting.state == LetterState::Held;
    if posting.kind == LetterKind::Warning || repeated {
        return None;
    }
    let why = posting.last_reply.as_deref().unwrap_or("nobody knows why");
    let member = posting.copy.as_ref().map_or_else(String::new, |copy| format!("{}, ", copy.member));
    let text =
        format!("the {} {} to {member}{} {what}: {why}", posting.kind.word(), posting.id, posting.to.address);
    // a letter that a person released may come back again
    let key = format!("{LETTER}{}/{} {}", posting.id, posting.state.word(), posting.queued_at);
    Some(Concern { key, text, public: false })
}

/// What is to be said when no automatic answer goes out any more.
pub fn of_limits(limits: &Limits, answered: &Answered, now: Timestamp) -> Option<Concern> {
    let exceeded = limits.exceeded(answered).filter(|exceeded| exceeded.all)?;
    let text =
        format!("automatic answers have stopped ({}); acknowledgements wait: psirtd outbox", exceeded.why);
    let key = format!("limit/{}/{}", exceeded.why, now.strftime("%Y-%m-%d"));
    Some(Concern { key, text, public: true })
}

/// What is to be said of a door that is silent.
pub fn of_silence(silence: &Silence, calendar: &Calendar, now: Timestamp) -> Concern {
    const DAY: i64 = 24 * 60 * 60;
    let Silence { door, since, why } = silence;
    let why = why.as_deref().unwrap_or("it neither works nor says why");
    let end = if why.ends_with(['.', '?', '!']) { "" } else { "." };
    let waits = match door {
        Door::Inbox(_) => "mail that arrives there is not seen meanwhile",
        Door::Outbox => "letters wait meanwhile, as this one did",
    };
    let text = format!(
        "the {door} has not worked since {}: {why}{end} psirtd goes on trying; {waits}. More: psirtd check --online",
        calendar.line(*since)
    );
    let whole_days = now.duration_since(*since).as_secs().max(0).div_euclid(DAY);
    let day = SignedDuration::from_secs(whole_days.saturating_mul(DAY));
    let day = since.saturating_add(day).unwrap_or(now).strftime("%Y-%m-%d");
    Concern { key: format!("silence/{door}/{day}"), text, public: true }
}

/// What is to be said of an organisation that waits for a decision so many days, or of a member that has to attest again: once when it is
/// near, and again and again when it is over.
pub fn of_member(member: &Member, remind_days: u32, now: Timestamp) -> Option<Concern> {
    const AHEAD: i64 = 30;
    let days = |since: Timestamp| now.duration_since(since).as_hours().div_euclid(24);
    let every = i64::from(remind_days.max(1));
    let Member { id, .. } = member;
    match member.state {
        State::Applied => {
            let (case, since) = member.application.as_ref()?;
            let waits = days(*since);
            let period = waits.div_euclid(every);
            let text = format!(
                "{id} has waited {waits} days for a decision on its application, case {case}: psirtd members show {id}; then psirtd \
                 members approve {id}, or refuse {id}"
            );
            let key = format!("application/{id}/{since}/{period}");
            (period > 0).then_some(Concern { key, text, public: false })
        }
        State::Active => {
            let by = member.attest_by?;
            let over = days(by);
            let date = by.strftime("%Y-%m-%d");
            let (stage, what) = match over {
                ..0 if over < -AHEAD => return None,
                ..0 => ("ahead".to_owned(), "has to attest again by"),
                _ => (over.div_euclid(every).to_string(), "should have attested again by"),
            };
            let text = format!("{id} {what} {date}: when it has, psirtd members attest {id}");
            Some(Concern { key: format!("attest/{id}/{by}/{stage}"), text, public: false })
        }
        State::Suspended | State::Removed => None,
    }
}

/// The letter that a concern with this key is about.
pub fn letter_of(key: &str) -> Option<&str> {
    key.strip_prefix(LETTER)?.rsplit_once('/').map(|(letter, _)| letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(days_left: i64) -> Option<String> {
        let now: Timestamp = "2026-11-20T23:00:00Z".parse().unwrap();
        let validity = Validity {
            whose: "ada@example.org".to_owned(),
            fingerprint: "0123".to_owned(),
            expires: Some(now + SignedDuration::from_hours(24 * days_left)),
            unusable: None,
        };
        of_certificate(&validity, now).map(|concern| concern.key.rsplit('/').next().unwrap().to_owned())
    }

    fn silent(door: Door, why: Option<&str>, after_hours: i64) -> Concern {
        let since: Timestamp = "2026-11-20T23:00:00Z".parse().unwrap();
        let zone = jiff::tz::TimeZone::get("America/Los_Angeles").unwrap();
        let calendar = Calendar { zone, holidays: std::collections::BTreeSet::new() };
        let silence = Silence { door, since, why: why.map(str::to_owned) };
        of_silence(&silence, &calendar, since + SignedDuration::from_hours(after_hours))
    }

    #[test]
    fn a_silence_is_told_of_once_a_day_as_long_as_it_lasts() {
        let key = |after_hours| silent(Door::Outbox, None, after_hours).key;
        assert_eq!(key(1), "silence/outbox/2026-11-20");
        assert_eq!(key(1), key(23), "midnight alone is no reason to tell it again");
        assert_eq!(key(24), "silence/outbox/2026-11-21");
        assert_eq!(key(24 * 7 + 3), "silence/outbox/2026-11-27");
        assert_eq!(key(-1), key(0), "a clock that was put back");
    }

    #[test]
    fn doors_are_silent_each_for_itself() {
        let doors = [Door::Inbox(Some("INBOX".into())), Door::Inbox(Some("Junk".into())), Door::Inbox(None)];
        let keys: Vec<String> = doors.into_iter().map(|door| silent(door, None, 1).key).collect();
        let expected =
            ["silence/inbox INBOX/2026-11-20", "silence/inbox Junk/2026-11-20", "silence/inbox/2026-11-20"];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_silence_says_which_door_since_when_why_and_what_to_do() {
        let told = silent(Door::Inbox(Some("INBOX".into())), Some("the server refused the login"), 1);
        assert_eq!(
            told.text,
            "the inbox INBOX has not worked since Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC): the server refused the \
             login. psirtd goes on trying; mail that arrives there is not seen meanwhile. More: psirtd check --online"
        );
        assert!(told.public, "whoever has no certificate must hear of it, too");
        let asks = silent(Door::Outbox, Some("is it up?"), 1).text;
        assert!(asks.contains(": is it up? psirtd goes on trying"), "{asks}");
        let hangs = silent(Door::Outbox, None, 1).text;
        assert!(hangs.contains("PST (2026-11-20 23:00 UTC): it neither works nor says why."), "{hangs}");
        assert!(hangs.contains("letters wait meanwhile"), "{hangs}");
    }

    #[test]
    fn a_member_without_a_key_is_told_of_and_not_in_the_clear() {
        let now: Timestamp = "2026-11-20T23:00:00Z".parse().unwrap();
        let acme = MemberId::typed("acme-linux").unwrap();
        let told = |key: Result<Option<Timestamp>, String>| of_members_key(&acme, &key, now);
        assert_eq!(told(Ok(None)), None);
        assert_eq!(told(Ok(Some(now + SignedDuration::from_hours(24 * 61)))), None);
        let soon = told(Ok(Some(now + SignedDuration::from_hours(24 * 59)))).unwrap();
        assert!(soon.key.ends_with("/60") && !soon.public, "{soon:?}");
        assert!(soon.text.contains("acme-linux expires on 2027-01-18"), "{}", soon.text);
        let gone = told(Err("it expired on 2026-11-01".to_owned())).unwrap();
        assert!(gone.text.contains("gets nothing") && !gone.public, "{gone:?}");
    }

    #[test]
    fn a_certificate_is_warned_of_three_times() {
        let stages: Vec<_> = [90, 61, 60, 31, 30, 8, 7, 1].map(stage).to_vec();
        let told = |days: &str| Some(days.to_owned());
        assert_eq!(
            stages,
            [None, None, told("60"), told("60"), told("30"), told("30"), told("7"), told("7")]
        );
    }
}
