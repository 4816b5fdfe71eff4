//! What follows from a mail of a case by a member of the distributors' list.
//!
//! # What it is for
//! P-13, P-22, P-25. Members answer what they were sent: that they have it, that they agree, what they found, that something got out.
//!
//! # Invariants
//! * Under a member's address anybody can write. A mail is a member's when a certificate that the member holds has signed it, to this
//!   desk, for the first time, and when the case is released to that member; else it is a stranger's, and moves nothing.
//! * It goes to the coordinators and the owner: who is on the list is not even the maintainers' business. It goes to no other member and
//!   not to the reporter, moves no clock of the reporter, and is answered by nobody but a person.
//! * Words count at the beginning of what the member says itself, each on a line of its own. What is quoted, HTML, and what a machine
//!   wrote say nothing.
//! * “received” confirms the notice that the mail answers, and no other.

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::decide::{Facts, consent, mail};
use crate::domain::distributor::{Member, MemberId, State};
use crate::domain::embargo::Party;
use crate::domain::event::{Event, What};
use crate::domain::intake::{Intake, Kind};
use crate::domain::letter::{Body, Letter, LetterId, Protection};
use crate::domain::message::{Mailbox, Message};
use crate::domain::notice::Step;
use crate::domain::policy::Policy;
use crate::domain::posting::Posting;
use crate::domain::signature::{Signature, Verified};
use crate::domain::thread;

/// A mail of a case under the address of a member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ByMember {
    /// Whose address it is.
    pub(super) member: MemberId,
    /// Why it is not the member's mail, or not one that counts; none when it is shown to be.
    pub(super) doubt: Option<String>,
    /// The member reported the case itself, and writes as its reporter, too.
    pub(super) reported: bool,
    /// It says that something got out.
    pub(super) leak: bool,
    /// What follows.
    pub(super) events: Vec<Event>,
    /// For the relay.
    pub(super) notes: Vec<String>,
}

/// A line by which a member says something to the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Received,
    Leak,
}

impl ByMember {
    /// Its author takes part in the case.
    pub(super) fn takes_part(&self) -> bool {
        self.doubt.is_none()
    }

    /// It is for the coordinators and the owner alone.
    pub(super) fn is_for_few(&self) -> bool {
        !self.reported
    }

    /// What the mail is to the case.
    pub(super) fn occasion(&self) -> Option<String> {
        match (&self.doubt, self.leak) {
            (None, true) => Some(format!("LEAK REPORTED BY MEMBER {}", self.member)),
            (None, false) if !self.reported => Some(format!("mail of the distributor {}", self.member)),
            _ => None,
        }
    }

    /// What a person should see first.
    pub(super) fn hint(&self) -> Option<String> {
        let unverified = if self.doubt.is_some() { ", UNVERIFIED" } else { "" };
        self.leak.then(|| {
            format!(
                "LEAK REPORTED BY MEMBER {}{unverified}: decide with !leak ends or !leak stands",
                self.member
            )
        })
    }
}

/// How a mail stands to the list, when its author's address is a member's; and what follows from that.
pub(super) fn by_member(
    facts: &Facts,
    message: &Message,
    intake: &Intake,
    policy: &Policy,
    now: Timestamp,
) -> Option<ByMember> {
    let (case, roster, author) = (facts.case.as_ref()?, facts.roster.as_ref()?, message.author()?);
    // the team writes as the team; whoever only asks to join is no member
    let member = roster.of_address(author).filter(|_| policy.person(&author.address).is_none())?;
    let reported = case.reporters().any(|one| one.identity() == author.identity());
    let shown = shown(facts, case, member, message, policy);
    if member.state == State::Applied || (reported && shown.is_err()) {
        return None;
    }
    let own = if intake.kind == Kind::Reply { own_lines(&message.text) } else { Vec::new() };
    let (words, rest) = words(&own);
    let mut by_member = ByMember {
        member: member.id.clone(),
        doubt: None,
        reported,
        leak: words.contains(&Word::Leak),
        events: Vec::new(),
        notes: Vec::new(),
    };
    match shown {
        Err(why) => {
            by_member.notes.push(format!("under the address of the distributor {}: {why}", member.id));
            by_member.doubt = Some(why);
        }
        Ok(verified) if intake.kind == Kind::Reply => {
            let proven = Proven { case, member, message, verified, now };
            by_member.follows(facts, proven, (&words, &rest), policy);
        }
        Ok(_) => {}
    }
    Some(by_member)
}

/// A mail of a case that was shown to be a member's when it came.
pub(super) fn again(case: &Case, message: &Message) -> Option<ByMember> {
    let reply = case.reply(&message.digest)?;
    let author = message.author();
    let reported =
        case.reporters().any(|one| author.is_some_and(|author| one.identity() == author.identity()));
    let (member, leak) = (reply.member.clone(), reply.leak);
    Some(ByMember { member, doubt: None, reported, leak, events: Vec::new(), notes: Vec::new() })
}

/// A mail that is shown to be a member's.
#[derive(Clone, Copy)]
struct Proven<'m> {
    case: &'m Case,
    member: &'m Member,
    message: &'m Message,
    verified: &'m Verified,
    now: Timestamp,
}

impl Proven<'_> {
    /// A step of the case that the notice was sent for, or else of the one that goes on.
    fn event(&self, of: Option<&CaseId>, step: Step) -> Event {
        let by = self.message.author().map_or_else(String::new, |author| author.address.clone());
        let what = What::Distribution { step: Box::new(step), by };
        Event { at: self.now, case: Some(of.unwrap_or(&self.case.id).clone()), what }
    }
}

impl ByMember {
    /// What follows from a person's mail: what it says at its beginning, and what stands behind that.
    fn follows(
        &mut self,
        facts: &Facts,
        proven: Proven<'_>,
        (words, rest): (&[Word], &[&str]),
        policy: &Policy,
    ) {
        let Proven { case, member, message, verified, now } = proven;
        let (id, mail) = (&member.id, &message.digest);
        let signatures = verified.ids().cloned().collect();
        let replied = Step::Replied { member: id.clone(), mail: mail.clone(), signatures };
        self.events.push(proven.event(None, replied));
        if self.leak {
            let reported = Step::LeakReported { member: id.clone(), mail: mail.clone() };
            self.events.push(proven.event(None, reported));
        }
        if let Some(why) = says_nothing(message) {
            let told = format!("its first line is not counted: {why}");
            self.notes.extend(Some(told).filter(|_| !words.is_empty()));
            return;
        }
        if words.contains(&Word::Received) {
            match confirmed(facts, message, id, verified, policy) {
                Ok(copies) => {
                    for copy in copies {
                        let letter = copy.id.clone();
                        let step = Step::Confirmed { letter, member: id.clone(), mail: mail.clone() };
                        self.events.push(proven.event(copy.case.as_ref(), step));
                        self.notes.push(format!("it confirms {}", copy.id));
                    }
                }
                Err(why) => self.notes.push(format!("it says “received”, but {why}: not counted")),
            }
        }
        // consents are what the line says that follows the words above: `agree`, or `disagree`
        let party = Party::Member(member.id.clone());
        let holds = |fingerprint: &str| member.holds(fingerprint);
        let mail = (message, facts.signature_used);
        let said = consent::consent(case, party, holds, &rest.join("\n"), mail, policy, now);
        let of_case = |what| Event { at: now, case: Some(case.id.clone()), what };
        self.events.extend(said.events.into_iter().map(of_case));
        self.notes.extend(said.note);
    }
}

/// The signature that shows that the member wrote the mail, which it may; why there is none.
fn shown<'m>(
    facts: &Facts,
    case: &Case,
    member: &Member,
    message: &'m Message,
    policy: &Policy,
) -> Result<&'m Verified, String> {
    if !member.is_active() {
        return Err(format!("it is {}", member.state.word()));
    }
    if !case.is_released_to(member) {
        return Err("this case is not released to it".to_owned());
    }
    let verified = match &message.signature {
        Signature::Good(verified) if member.holds(verified.fingerprint()) => verified,
        Signature::Good(_)
        | Signature::OtherAddress { .. }
        | Signature::Offered { .. }
        | Signature::UnknownKey { .. } => {
            return Err("signed by a certificate that is not its own".to_owned());
        }
        Signature::None => return Err("not signed".to_owned()),
        other => return Err(format!("its signature is worth nothing ({})", other.verdict())),
    };
    let is_ours = |address: &String| policy.is_own(address);
    // whoever has a key that was given up can write into a signature that it was made before
    let why = if mail::replayed(facts, message).is_some() {
        "it brings somebody else's ciphertext"
    } else if verified.is_lapsed() {
        "its key is expired or revoked meanwhile"
    } else if facts.signature_used {
        "its signature has been used: a mail that was sent again"
    } else if message.signed_recipients.as_ref().is_some_and(|to| !to.iter().any(is_ours)) {
        "it was written to somebody else than this desk"
    } else {
        return Ok(verified);
    };
    Err(why.to_owned())
}

/// Why the words of a mail are not counted, whoever wrote it.
fn says_nothing(message: &Message) -> Option<&'static str> {
    if message.reads_html {
        Some("in HTML what is quoted cannot be told from what is said")
    } else if message.marks.recorded_before {
        Some("the mail came before this desk was restored from a backup, and may have been counted then")
    } else {
        None
    }
}

/// The member's copies of the notice that the mail answers, as far as they are not confirmed yet.
fn confirmed<'f>(
    facts: &'f Facts,
    message: &Message,
    member: &MemberId,
    verified: &Verified,
    policy: &Policy,
) -> Result<Vec<&'f Posting>, String> {
    let is_its = |posting: &&Posting| posting.copy.as_ref().is_some_and(|copy| copy.member == *member);
    let with = |id: &String| facts.copies.iter().filter(is_its).find(|it| it.message_id.as_ref() == Some(id));
    let ids = thread::ids(message, &policy.desk);
    let answered = ids
        .iter()
        .find_map(with)
        .ok_or_else(|| "it answers no notice that was sent to this member".to_owned())?;
    // signatures name whole seconds
    let written = Timestamp::from_second(answered.queued_at.as_second()).unwrap_or(answered.queued_at);
    if verified.signed_at() < written {
        return Err("it was signed before that notice was written".to_owned());
    }
    let same = |posting: &&Posting| posting.id.series() == answered.id.series();
    let open = facts.copies.iter().filter(is_its).filter(same).filter(|it| it.confirmed_at.is_none());
    let open: Vec<&Posting> = open.collect();
    if open.is_empty() { Err("that notice has been confirmed before".to_owned()) } else { Ok(open) }
}

/// What the author says itself, a line each: neither what is quoted nor what stands in the signature below.
fn own_lines(text: &str) -> Vec<&str> {
    let own = text.lines().take_while(|line| line.trim_end() != "--").map(str::trim);
    own.filter(|line| !line.is_empty() && !line.starts_with('>')).collect()
}

/// The words at the beginning, and the lines behind them.
fn words<'t>(own: &[&'t str]) -> (Vec<Word>, Vec<&'t str>) {
    let mut words = Vec::new();
    let mut lines = own.iter();
    let mut rest = lines.clone();
    while let Some(line) = lines.next() {
        match word(line) {
            Some(word) => words.push(word),
            // "On Friday, Ada wrote:" introduces what is quoted
            None if words.is_empty() && line.ends_with(':') => {}
            None => break,
        }
        rest = lines.clone();
    }
    (words, rest.copied().collect())
}

fn word(line: &str) -> Option<Word> {
    let marks = |c: char| matches!(c, '.' | '!' | ',' | ';' | ':' | '"' | '“' | '”' | '*');
    match line.trim_matches(marks).trim().to_lowercase().as_str() {
        "received" => Some(Word::Received),
        "leak" => Some(Word::Leak),
        _ => None,
    }
}

/// Every coordinator hears at once that a member reports a leak, in a letter of its own beside the relay.
pub(super) fn alarm(case: &Case, by_member: &ByMember, desk_letters: u32, policy: &Policy) -> Vec<Letter> {
    let ByMember { member, .. } = by_member;
    let line = format!(
        "LEAK REPORTED by the distributor {member} in case {id}: what it says is in the relay; who had been sent what: psirtd exposure \
         {id}; decide with !leak ends or !leak stands",
        id = case.id
    );
    let letter = |(to, number): (&Mailbox, u32)| Letter {
        id: LetterId::of_desk(&policy.case_prefix, desk_letters.saturating_add(number)),
        to: to.clone(),
        protection: Protection::Encrypted,
        in_reply_to: None,
        references: Vec::new(),
        body: Body::Warning(vec![line.clone()]),
    };
    policy.coordinators().map(|person| &person.mailbox).zip(1..).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Word>, Vec<&str>) {
        let own = own_lines(text);
        let (words, rest) = words(&own);
        (words, rest)
    }

    #[test]
    fn words_stand_at_the_beginning_each_on_its_own_line() {
        use Word::{Leak, Received};
        for (text, expected, rest) in [
            ("received", vec![Received], vec![]),
            ("\n  Received.  \n\nJane, Acme security\n", vec![Received], vec!["Jane, Acme security"]),
            ("“received”\nagree\nJane", vec![Received], vec!["agree", "Jane"]),
            ("received\nleak: \nTo the press.", vec![Received, Leak], vec!["To the press."]),
            ("LEAK!\n", vec![Leak], vec![]),
            ("agree\nreceived", vec![], vec!["agree", "received"]),
            ("> received\n> leak\n", vec![], vec![]),
            ("On Friday, Ada wrote:\n> TLP:AMBER\n\nreceived", vec![Received], vec![]),
            ("received\nOn Friday, Ada wrote:\n> leak", vec![Received], vec!["On Friday, Ada wrote:"]),
            ("We received it.", vec![], vec!["We received it."]),
            ("Dear team,\nreceived", vec![], vec!["Dear team,", "received"]),
            ("-- \nreceived", vec![], vec![]),
            ("received?", vec![], vec!["received?"]),
            ("", vec![], vec![]),
        ] {
            assert_eq!(read(text), (expected, rest), "{text:?}");
        }
    }
}
