//! To which case a mail belongs, and what its author may move there.
//!
//! # What it is for
//! A mail finds its case by ids, never by its subject: by the Message-IDs of its thread, or by a token in the address it was sent
//! to. A token is what is random in the Message-ID of one of the desk's letters, so that only the letter's readers know it:
//! `psirtd.TOKEN@example.org` is the letter, `security+TOKEN@example.org` the address under which it is answered.
//!
//! # Invariants
//! * Whoever leads to a case without being a participant of it (its reporter, the team) is *pending*: a person sees the mail as
//!   unverified; it moves nothing, and nothing of the case is sent to its author.
//! * Of a mail whose header is protected the inner ids and recipients count, not the outer ones.
//!
//! # Standards
//! RFC 5322 §3.6.4, RFC 5233 (subaddresses).

use crate::domain::case::{Case, CaseMail};
use crate::domain::intake::Kind;
use crate::domain::message::{Mailbox, Message, canonical};
use crate::domain::policy::Policy;
use crate::domain::trust::{Trust, Verdict};

/// How the Message-IDs of the desk's letters begin.
pub const OWN_ID: &str = "psirtd.";
/// Hexadecimal digits of a token: 128 bits.
const TOKEN: usize = 32;
/// More of a request than this word is no request.
const STATUS: &str = "status";
/// But for so many lines of so many characters: a greeting, a name.
const FEW_LINES: usize = 3;
const SHORT_LINE: usize = 40;

/// The Message-ID of a letter with this token.
pub fn message_id(token: &str, desk: &Mailbox) -> String {
    format!("{OWN_ID}{token}@{}", desk.domain().unwrap_or_else(|| "localhost".to_owned()))
}

/// The address under which a letter with this Message-ID is answered.
pub fn address_of(message_id: &str, desk: &Mailbox) -> Option<String> {
    let token = message_id.strip_prefix(OWN_ID)?.split('@').next().filter(|token| is_token(token))?;
    let (local, domain) = desk.address.rsplit_once('@')?;
    Some(format!("{local}+{token}@{domain}"))
}

/// The ids that lead to a mail's case: those of the addresses it was sent to, then its thread, nearest parent first.
pub fn ids(message: &Message, desk: &Mailbox) -> Vec<String> {
    let addressed = message.recipients.iter().filter_map(|address| token(address, desk));
    addressed.map(|token| message_id(&token, desk)).chain(message.thread().iter().cloned()).collect()
}

/// The token in an address of the desk.
fn token(address: &str, desk: &Mailbox) -> Option<String> {
    let desk = canonical(&desk.address);
    let (local, domain) = desk.rsplit_once('@')?;
    let address = canonical(address);
    let token = address.strip_prefix(local)?.strip_prefix('+')?.strip_suffix(domain)?.strip_suffix('@')?;
    is_token(token).then(|| token.to_owned())
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The author takes part in the case: he reported it, or he is of the team; and nobody says that he is somebody else.
pub fn takes_part(case: &Case, message: &Message, trust: &Trust, policy: &Policy) -> bool {
    let Some(author) = message.author() else { return false };
    let known = case.reporters().map(Mailbox::identity).any(|identity| identity == author.identity())
        || policy.person(&author.address).is_some();
    known && (trust.verdict != Verdict::Fail || message.signature.is_good())
}

/// A mail of a case that tells of the matter: not a command, nor what the team wrote to itself, nor what a stranger slipped in, nor what
/// a member of the distributors' list wrote, which is for the coordinators.
pub fn tells_of_it(case: &Case, mail: &CaseMail, policy: &Policy) -> bool {
    let by = mail.from.as_ref();
    let reported = by.is_some_and(|by| case.reporters().any(|one| one.identity() == by.identity()));
    let of_the_team = by.is_some_and(|by| policy.person(&by.address).is_some());
    let of_a_member = case.reply(&mail.mail).is_some();
    !mail.pending && mail.kind != Kind::Command && (reported || !(of_the_team || of_a_member))
}

/// The mail asks for the status of its case, and for nothing else: the word alone is its first line, or its subject when there is
/// none; below it are a few short lines at most (a name), and what it quotes.
pub fn asks_for_status(message: &Message) -> bool {
    let is_the_word = |line: &str| {
        let line = line.trim().trim_end_matches(['?', '!', '.']).trim_end();
        line.eq_ignore_ascii_case(STATUS)
    };
    let own = message.text.lines().take_while(|line| line.trim_end() != "--").map(str::trim);
    // "On Friday, Ada wrote:" introduces what is quoted
    let mut own = own.filter(|line| !line.is_empty() && !line.starts_with('>') && !line.ends_with(':'));
    match own.next() {
        None => message.subject.as_deref().is_some_and(is_the_word),
        Some(first) => {
            let rest: Vec<&str> = own.collect();
            is_the_word(first)
                && rest.len() <= FEW_LINES
                && rest.iter().all(|line| line.chars().count() <= SHORT_LINE)
        }
    }
}

/// The case that the subject names, as every letter about a case does: `[EX-2026-0001]`. It leads nowhere; a person is told.
pub fn named(message: &Message, policy: &Policy) -> Option<String> {
    named_in(message.subject.as_deref()?, &policy.case_prefix).into_iter().next()
}

/// All cases of the desk that a subject names, each once.
pub fn named_in(subject: &str, prefix: &str) -> Vec<String> {
    let subject = subject.to_uppercase();
    let tags = subject.split('[').skip(1).filter_map(|rest| rest.split(']').next()).map(str::trim);
    let prefix = format!("{prefix}-");
    let mut named: Vec<String> = Vec::new();
    for tag in tags.filter(|tag| tag.starts_with(&prefix) && tag.len() <= 40) {
        if !named.iter().any(|known| known == tag) {
            named.push(tag.to_owned());
        }
    }
    named
}

/// A subject says something beside which case it is about and that it is an answer: "Re: [EX-2026-0001] ..." says nothing.
pub fn says_something(subject: &str) -> bool {
    let tags = |part: &str| part.split_once(']').map_or(part, |(_, rest)| rest).to_owned();
    let words: String = subject
        .split('[')
        .enumerate()
        .map(|(at, part)| if at == 0 { part.to_owned() } else { tags(part) })
        .collect();
    words.split_whitespace().any(|word| !word.ends_with(':') && word.contains(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn desk() -> Mailbox {
        Mailbox::bare("Security@example.org")
    }

    #[test]
    fn a_subject_that_only_names_its_case_says_nothing() {
        for subject in
            ["Re: [EX-2026-0001] Heap overflow", "Heap overflow", "AW: Re: [EX-2026-0001] heap", "[x"]
        {
            assert!(says_something(subject), "{subject}");
        }
        for subject in
            ["Re: [EX-2026-0001]", "[EX-2026-0001] ...", "...", "", "Re: AW: [list] [EX-2026-0001] "]
        {
            assert!(!says_something(subject), "{subject}");
        }
    }

    #[test]
    fn a_letter_is_answered_under_an_address_that_leads_back_to_it() {
        let id = message_id(TOKEN, &desk());
        let address = address_of(&id, &desk()).unwrap();
        assert_eq!(address, format!("Security+{TOKEN}@example.org"));
        let answer = Message {
            recipients: vec!["rita@example.net".to_owned(), canonical(&address)],
            parents: vec!["r1@example.net".to_owned()],
            ..Message::default()
        };
        assert_eq!(ids(&answer, &desk()), [id, "r1@example.net".to_owned()]);
    }

    #[test]
    fn nothing_else_is_a_token() {
        for address in [
            "security@example.org",
            "security+x@example.org",
            "security+0123456789abcdef0123456789abcdeg@example.org",
            "other+0123456789abcdef0123456789abcdef@example.org",
            "security+0123456789abcdef0123456789abcdef@example.com",
            "security+0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(token(address, &desk()), None, "{address}");
        }
        assert_eq!(address_of("r1@example.net", &desk()), None);
    }

    #[test]
    fn status_is_a_word_alone() {
        let asks = |subject: &str, text: &str| {
            let (subject, text) = (Some(subject.to_owned()), text.to_owned());
            asks_for_status(&Message { subject, text, ..Message::default() })
        };
        assert!(asks("Re: [EX-2026-0001]", "\nStatus?\n\n> quoted\n"));
        assert!(asks("status", ""));
        assert!(!asks("status", "Steps: …"));
        assert!(!asks("x", "The status code is 500."));
    }
}
