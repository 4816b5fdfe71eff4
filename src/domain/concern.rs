//! What the coordinators must be told of the desk itself: keys that expire, letters that wait for a person.
//!
//! # Invariants
//! * A concern is a function of the state and the time; its key names it, so that it is told once.
//! * Certificates are warned of 60, 30 and 7 days before they expire, and when they have expired.
//! * Letters that are held or came back are told of at once; those that follow within an hour are told of together. What a rule
//!   keeps back is no concern: the digest lists it.
//! * A limit that stops the answers to everybody is told of once, as long as it lasts.

use jiff::{SignedDuration, Timestamp};

use crate::domain::letter::{LetterKind, LetterState, Posting};
use crate::domain::limit::{Answered, Limits};

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
    let left = expires.duration_since(now);
    let stage =
        STAGES.iter().rev().find(|days| left <= SignedDuration::from_hours(days.saturating_mul(24)))?;
    let text =
        format!("the certificate {fingerprint} of {whose} expires on {}", expires.strftime("%Y-%m-%d"));
    Some(Concern { key: format!("expires/{fingerprint}/{expires}/{stage}"), text, public: true })
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
    let text = format!("the {} {} to {} {what}: {why}", posting.kind.word(), posting.id, posting.to.address);
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
