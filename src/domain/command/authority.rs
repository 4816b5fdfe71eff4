//! Who may tell the desk what to do.
//!
//! # Invariants
//! * [`Authorized`] is minted here alone: by a person of the configuration who has signed the whole mail, with the certificate that the
//!   configuration names for that person, to this desk, a short while ago, for the first time; or by whoever works on the command line
//!   of the machine. And only when that person may say each of the commands, of the case that is named.
//! * What authenticates a domain (DMARC) authenticates no person.
//! * To a maintainer a case that is not shared with them does not exist.
//!
//! # Standards
//! RFC 9580 (when a signature was made is a part of what is signed); RFC 9788 (whom a mail was written to).

use jiff::{SignedDuration, Timestamp};

use crate::domain::case::{Case, CaseId};
use crate::domain::command::Command;
use crate::domain::command::order::Order;
use crate::domain::event::OPERATOR;
use crate::domain::message::{Digest, Mailbox, Message};
use crate::domain::policy::{Person, Policy, Role};
use crate::domain::signature::{Signature, Standing, Verified};

/// Clocks differ: a signature may be from so much later than the mail that it is in.
const AHEAD: SignedDuration = SignedDuration::from_mins(30);

/// Somebody whose word counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Actor<'p> {
    /// Whoever works on the command line: he has the machine.
    Operator,
    /// A person of the configuration.
    Person(&'p Person),
}

impl<'p> Actor<'p> {
    /// As events name them.
    pub fn name(self) -> String {
        match self {
            Self::Operator => OPERATOR.to_owned(),
            Self::Person(person) => person.mailbox.address.clone(),
        }
    }

    /// The person, if it is one.
    pub fn person(self) -> Option<&'p Person> {
        match self {
            Self::Operator => None,
            Self::Person(person) => Some(person),
        }
    }

    /// May see every case, and say everything.
    pub fn is_coordinator(self) -> bool {
        self.person().is_none_or(|person| person.is(Role::Coordinator))
    }

    /// May see this case.
    pub fn may_see(self, case: &Case) -> bool {
        let is_insider = |mailbox: &Mailbox| case.insiders().any(|one| one.identity() == mailbox.identity());
        self.is_coordinator() || self.person().is_some_and(|person| is_insider(&person.mailbox))
    }
}

/// Why a mail's commands are not carried out, whatever they are: nobody knows that their author wrote it, now, to this desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In a few words.
    pub why: String,
    /// The signature was used before.
    pub replayed: bool,
}

/// The author of a mail, of whom it is shown that he wrote it now, to this desk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Author<'a> {
    person: &'a Person,
    verified: &'a Verified,
}

/// What is to be done, by somebody who may say so.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorized<'p> {
    by: Actor<'p>,
    order: Order,
    signature: Option<Digest>,
}

/// Who wrote the mail. `used`: its signature has been used.
pub fn author<'a>(
    message: &'a Message,
    received_at: Timestamp,
    used: bool,
    policy: &'a Policy,
) -> Result<Author<'a>, Refusal> {
    let refused = |why: &str| Err(Refusal { why: why.to_owned(), replayed: false });
    let Some(person) = message.author().and_then(|author| policy.person(&author.address)) else {
        return refused("its author is nobody of the team");
    };
    let verified = match &message.signature {
        Signature::Good(verified) if verified.is_named() && verified.standing() == Standing::Pinned => {
            verified
        }
        Signature::Good(_) => {
            return refused(
                "it is signed by a certificate that the configuration does not name for its author",
            );
        }
        Signature::None => return refused("it is not signed"),
        Signature::Partial { .. } => return refused("its signature is not over the whole mail"),
        Signature::OtherAddress { .. } => return refused("it is signed by somebody else than its author"),
        Signature::Offered { .. } | Signature::UnknownKey { .. } => {
            return refused("it is signed by a key that the configuration does not name for its author");
        }
        Signature::Bad { why, .. } => return refused(&format!("its signature is not valid: {why}")),
    };
    is_fresh(verified, message, received_at, used, policy)?;
    Ok(Author { person, verified })
}

/// The mail was signed now, to this desk, for the first time. `used`: its signature has been used.
pub fn is_fresh(
    verified: &Verified,
    message: &Message,
    received_at: Timestamp,
    used: bool,
    policy: &Policy,
) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal { why: why.to_owned(), replayed: false });
    if used {
        return Err(Refusal {
            why: "its signature has been used: a mail that was sent again".to_owned(),
            replayed: true,
        });
    }
    // whoever has a key that was given up can write into a signature that he made it before
    if verified.is_lapsed() {
        return refused("its key is expired or revoked meanwhile");
    }
    if message.marks.recorded_before {
        return refused(
            "it came before this desk was restored from a backup, and may have been carried out then",
        );
    }
    let is_ours = |address: &String| policy.is_own(address);
    if message.signed_recipients.as_ref().is_some_and(|to| !to.iter().any(is_ours)) {
        return refused("it was written to somebody else than this desk");
    }
    let age = received_at.duration_since(verified.signed_at());
    if age > policy.command_age {
        let most = policy.command_age.as_hours();
        return refused(&format!(
            "it was signed {} hours before it arrived, and {most} is the most: sign it anew",
            age.as_hours()
        ));
    }
    if age < -AHEAD {
        return refused("it was signed in the future: is the clock of its author right?");
    }
    Ok(())
}

impl<'a> Author<'a> {
    /// Who it is.
    pub fn actor(&self) -> Actor<'a> {
        Actor::Person(self.person)
    }

    /// What identifies the signatures that are used up now.
    pub fn signatures(&self) -> Vec<Digest> {
        self.verified.ids().cloned().collect()
    }

    /// May say it of this case; if not, why not.
    pub fn authorize(&self, order: Order, case: Option<&Case>) -> Result<Authorized<'a>, Vec<String>> {
        let signature = Some(self.verified.id().clone());
        allowed(self.actor(), &order, case).map(|()| Authorized { by: self.actor(), order, signature })
    }
}

/// Whoever works on the command line may say everything that makes sense.
pub fn operator<'p>(order: Order, case: Option<&Case>) -> Result<Authorized<'p>, Vec<String>> {
    allowed(Actor::Operator, &order, case).map(|()| Authorized {
        by: Actor::Operator,
        order,
        signature: None,
    })
}

impl<'p> Authorized<'p> {
    /// Who says so.
    pub fn by(&self) -> Actor<'p> {
        self.by
    }

    /// What.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The signature that is used up by that.
    pub fn signature(&self) -> Option<&Digest> {
        self.signature.as_ref()
    }
}

fn allowed(by: Actor<'_>, order: &Order, case: Option<&Case>) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let about_a_case = order.commands.iter().any(Command::needs_case);
    match (&order.case, case) {
        (None, _) if about_a_case => wrong.push(
            match by {
                Actor::Operator => "no case is named: “-” is for a command that is about none; say psirtd do CASE COMMAND",
                Actor::Person(_) => {
                    "no case is named in what is signed: put a line !case CASE first, or let your mail program sign the subject"
                }
            }
            .to_owned(),
        ),
        (Some(id), None) if about_a_case => wrong.push(no_case(id)),
        (_, Some(case)) if about_a_case && !by.may_see(case) => wrong.push(no_case(&case.id)),
        _ => {}
    }
    let coordinators =
        order.commands.iter().filter(|it| it.role() == Role::Coordinator && !by.is_coordinator());
    wrong.extend(coordinators.map(|command| {
        let other = if matches!(command, Command::Take(_)) { " for somebody else" } else { "" };
        format!("!{}{other} is for coordinators: ask one (!note reaches them)", command.word())
    }));
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn no_case(id: &CaseId) -> String {
    format!("there is no case {id}")
}
