//! Who agrees to the end of the embargo: what reporters and members answer to it, signed.
//!
//! # Invariants
//! * An answer counts when it is its author's own first line, when the author's own certificate signed it, after the instant was
//!   proposed or moved, and for the first time. Everything else is shown to the team, and counts for nothing.
//! * Nobody's silence is a yes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::case::Case;
use crate::domain::decide::mail::Taken;
use crate::domain::embargo::{Agreement, Consent, Party, Step};
use crate::domain::event::What;
use crate::domain::message::{Digest, Mailbox, Message};
use crate::domain::policy::Policy;
use crate::domain::signature::{Signature, Verified};

/// What a mail says of the embargo.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Said {
    /// To be journaled.
    pub(super) events: Vec<What>,
    /// For the relay.
    pub(super) note: Option<String>,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// Yes, or no; to what it names.
    Answer { agrees: bool, named: String },
    /// It begins like an answer, and goes on.
    Unclear,
}

/// What a reporter of the case says. Whether the mail is of a person of the case is known.
pub(super) fn of_reporter(case: &Case, taken: &Taken<'_>, policy: &Policy, now: Timestamp) -> Said {
    let author = taken.message.author();
    let same = |one: &&Mailbox| author.is_some_and(|author| author.identity() == one.identity());
    let reporter = case.reporters().find(same).filter(|_| taken.is_an_answer() && taken.replayed.is_none());
    let Some(reporter) = reporter else { return Said::default() };
    let party = Party::Reporter(reporter.address.clone());
    // a good signature is by a certificate that is held for this very address
    let text = &taken.message.text;
    consent(case, party, |_| true, text, (taken.message, taken.used), policy, now)
}

/// What `party` says in a mail of the case, in `text`: all of it, or what stands below other words. `holds`: the certificate with that fingerprint is the party's own. With the mail comes
/// whether its signature has been used.
pub(super) fn consent(
    case: &Case,
    party: Party,
    holds: impl Fn(&str) -> bool,
    text: &str,
    (message, used): (&Message, bool),
    policy: &Policy,
    now: Timestamp,
) -> Said {
    let (Some(agreement), Some(line)) = (case.embargo.agreement(), line(text)) else {
        return Said::default();
    };
    let agrees = match understood(&line, agreement, message, policy) {
        Ok(agrees) => agrees,
        Err(why) => return not_counted(&why),
    };
    let says = if agrees { "agrees" } else { "does NOT agree" };
    let verified = match shown(message, used, agreement, policy).and_then(|verified| {
        let own = holds(verified.fingerprint());
        own.then_some(verified).ok_or_else(|| "it is signed by somebody else's certificate".to_owned())
    }) {
        Ok(verified) => verified,
        Err(why) => return not_counted(&format!("it says “{}”, but {why}", word(agrees))),
    };
    let signatures: Vec<Digest> = verified.ids().cloned().collect();
    let until = agreement.until;
    let note = format!("{says} to the end of the embargo, {}: recorded", policy.calendar.line(until));
    let by = message.author().map_or_else(String::new, |author| author.address.clone());
    let consent = Consent { party, until, agrees, at: now, mail: message.digest.clone() };
    let step = Step::Consented { consent, signatures };
    Said { events: vec![What::Embargo { step, by }], note: Some(note) }
}

fn not_counted(why: &str) -> Said {
    Said { events: Vec::new(), note: Some(format!("an answer to the embargo? {why}: not counted")) }
}

fn word(agrees: bool) -> &'static str {
    if agrees { "agree" } else { "disagree" }
}

/// Yes or no, to the instant that stands.
fn understood(
    line: &Line,
    agreement: &Agreement,
    message: &Message,
    policy: &Policy,
) -> Result<bool, String> {
    let Line::Answer { agrees, named } = line else {
        return Err("its first line says more than “agree” or “disagree”".to_owned());
    };
    if message.reads_html {
        return Err("in HTML what is quoted cannot be told from what is said".to_owned());
    }
    if named.is_empty() || names(named, agreement.until, &policy.calendar.zone) {
        return Ok(*agrees);
    }
    let until = policy.calendar.line(agreement.until);
    Err(format!("it says “{}” to {named}, and the embargo ends {until}", word(*agrees)))
}

/// The words name that instant, or its day, in UTC or at the desk.
fn names(words: &str, until: Timestamp, zone: &TimeZone) -> bool {
    [TimeZone::UTC, zone.clone()].into_iter().any(|zone| {
        let there = until.to_zoned(zone);
        ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M %Z"]
            .iter()
            .any(|form| there.strftime(form).to_string().eq_ignore_ascii_case(words))
    })
}

/// The signature that shows that its author wrote it, to this desk, since the instant stands; why there is none.
fn shown<'m>(
    message: &'m Message,
    used: bool,
    agreement: &Agreement,
    policy: &Policy,
) -> Result<&'m Verified, String> {
    let verified = match &message.signature {
        Signature::Good(verified) => verified,
        Signature::None => return Err("is not signed".to_owned()),
        other => return Err(format!("its signature is worth nothing ({})", other.verdict())),
    };
    let is_ours = |address: &String| policy.is_own(address);
    // signatures name whole seconds
    let since = Timestamp::from_second(agreement.set_at().as_second()).unwrap_or(agreement.set_at());
    let why = if used {
        "its signature has been used: a mail that was sent again"
    } else if verified.is_lapsed() {
        "its key is expired or revoked meanwhile"
    } else if message.marks.recorded_before {
        "it came before this desk was restored from a backup, and may have been counted then"
    } else if message.signed_recipients.as_ref().is_some_and(|to| !to.iter().any(is_ours)) {
        "it was written to somebody else than this desk"
    } else if verified.signed_at() < since {
        "it was signed before this end of the embargo was named"
    } else {
        return Ok(verified);
    };
    Err(why.to_owned())
}

/// What the first line says that is the author's own, if it is about agreeing.
fn line(text: &str) -> Option<Line> {
    let own = text.lines().take_while(|line| line.trim_end() != "--").map(str::trim);
    // "On Friday, Ada wrote:" introduces what is quoted
    let mut own = own.filter(|line| !line.is_empty() && !line.starts_with('>') && !line.ends_with(':'));
    let first = own.next()?.to_lowercase();
    let mut words = first.split_whitespace().peekable();
    words.next_if(|word| matches!(*word, "i" | "we"));
    let mut agrees = true;
    if words.next_if(|word| matches!(*word, "don't" | "don’t")).is_some() {
        agrees = false;
    } else if words.next_if(|word| *word == "do").is_some() {
        agrees = words.next_if(|word| *word == "not").is_none();
    }
    let rest: Vec<&str> = words.collect();
    let (verb, rest) = rest.split_first()?;
    let bare = |word: &str| word.trim_end_matches(['.', '!', ',', ';']).to_owned();
    let agrees = match bare(verb).as_str() {
        "agree" => agrees,
        "disagree" if agrees => false,
        _ => return None,
    };
    let rest = match rest {
        ["to" | "with", rest @ ..] => rest,
        rest => rest,
    };
    let named = bare(&rest.join(" "));
    match named.starts_with(|first: char| first.is_ascii_digit()) || named.is_empty() {
        true => Some(Line::Answer { agrees, named }),
        false => Some(Line::Unclear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_own_line_says_it_or_nothing_does() {
        let answer = |agrees, named: &str| Some(Line::Answer { agrees, named: named.to_owned() });
        let table: &[(&str, Option<Line>)] = &[
            ("agree", answer(true, "")),
            ("Agree.\n\nRita", answer(true, "")),
            ("I agree.", answer(true, "")),
            ("We agree to 2026-12-15.", answer(true, "2026-12-15")),
            ("agree 2026-12-15 15:00 UTC", answer(true, "2026-12-15 15:00 utc")),
            ("disagree", answer(false, "")),
            ("I do not agree!", answer(false, "")),
            ("I don't agree", answer(false, "")),
            ("On Friday, security@example.org wrote:\n> disagree 2026-12-15\n\nagree", answer(true, "")),
            ("> agree\n\ndisagree", answer(false, "")),
            ("agree, if you thank me", Some(Line::Unclear)),
            ("I agree with your reading of the bug", Some(Line::Unclear)),
            ("I do not disagree", None),
            ("Agreed that it is bad", None),
            ("Thank you.\n\nagree", None),
            ("> agree", None),
            ("-- \nagree", None),
            ("", None),
        ];
        for (text, said) in table {
            assert_eq!(line(text), *said, "{text}");
        }
    }

    #[test]
    fn a_day_is_named_as_it_is_in_utc_or_at_the_desk() {
        let until = "2026-12-15T03:00:00Z".parse().unwrap();
        let zone = TimeZone::get("America/Los_Angeles").unwrap();
        for right in
            ["2026-12-15", "2026-12-14", "2026-12-15 03:00", "2026-12-15 03:00 utc", "2026-12-14 19:00 pst"]
        {
            assert!(names(right, until, &zone), "{right}");
        }
        for wrong in ["2026-12-16", "2026-12-14 03:00", "2026-12-15 19:00 pst", "2026-12-15 or later"] {
            assert!(!names(wrong, until, &zone), "{wrong}");
        }
    }
}
