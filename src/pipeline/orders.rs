//! What a mail or the command line tells the desk to do: what has to be known for it, gathered before the core decides.
//!
//! # Invariants
//! * Nothing is gathered for a mail whose author is nobody of the team, or which says nothing of the kind.
//! * Mails are opened again only for commands that need what is in them.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId, CaseMail};
use crate::domain::command::distributing::Distribute;
use crate::domain::command::order::{self, Misread, Order};
use crate::domain::command::{Class, Command};
use crate::domain::decide::{Decision, Facts, Named, Ordered, Released, obey};
use crate::domain::intake::Kind;
use crate::domain::letter::LetterId;
use crate::domain::message::{Attachment, Digest, Message};
use crate::domain::posting::Posting;
use crate::domain::signature::Signature;
use crate::domain::thread;
use crate::keyring;
use crate::open;
use crate::pipeline::facts::{self, Batch};
use crate::pipeline::person::{Wanted, impossible};
use crate::pipeline::step::Step;
use crate::pipeline::{Given, Pipeline};
use crate::store::index::{Draft, IndexError, Lookup};

/// No more mails of a case are opened for whoever gets to know it late.
const MOST_MAILS: usize = 100;

impl Pipeline {
    /// What a mail tells the desk to do, if it does.
    pub(super) fn ordered_by(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Option<Box<Ordered>>, IndexError> {
        let of_the_team =
            message.author().is_some_and(|author| self.policy.person(&author.address).is_some());
        let signed = message.signature.is_good();
        if !of_the_team || !order::has_commands(&message.text, signed) {
            return Ok(None);
        }
        let order = match message.reads_html {
            false => order::read(&message.text, message.signed_subject.as_deref(), &self.policy.case_prefix),
            true => Err(Misread {
                wrong: vec![
                    "in HTML what you quote cannot be told from what you say: send it as plain text"
                        .to_owned(),
                ],
                ..Misread::default()
            }),
        };
        let used = signature_used(draft, message)?;
        // of whoever may be somebody else nothing is looked up
        let ordered = match signed {
            true => self.ordered(draft, order, message.attachments.clone(), batch, now)?,
            false => bare(order),
        };
        Ok(Some(Box::new(Ordered { used, ..ordered })))
    }

    /// The address of the mail's author, if they are of the team and can be written to encrypted.
    pub(super) fn reachable_author(&self, message: &Message, now: Timestamp) -> Vec<String> {
        let person = message.author().and_then(|author| self.policy.person(&author.address));
        let person = person.map(|person| &person.mailbox);
        let reachable = person.filter(|mailbox| keyring::encryptable(&self.keyring, mailbox, now).is_ok());
        reachable.map(|mailbox| mailbox.canonical()).into_iter().collect()
    }

    /// Carries out what was typed on the command line.
    pub(super) fn give(&self, draft: &Draft<'_>, given: Given, batch: &Batch, now: Timestamp) -> Wanted {
        let Given { case, line, text, attachments } = given;
        let order = order::typed(case.as_ref(), &line, text);
        let ordered = self.ordered(draft, order, attachments, batch, now)?;
        let texts = text_of(&ordered);
        let facts = Facts {
            case: ordered.case.clone(),
            next_number: draft.next_number(self.policy.year(now))?,
            desk_letters: draft.desk_letters()?,
            ordered: Some(Box::new(ordered)),
            ..Facts::default()
        };
        match obey(&facts, &self.policy, now) {
            Ok((decision, said)) if decision == Decision::default() => Ok((None, Ok(said))),
            Ok((decision, said)) => Ok((Some(Step::from(decision).with_texts(texts)), Ok(said))),
            Err(why) => impossible(why),
        }
    }

    fn ordered(
        &self,
        draft: &Draft<'_>,
        order: Result<Order, Misread>,
        attachments: Vec<Attachment>,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Ordered, IndexError> {
        let mut ordered = bare(order);
        let Ok(order) = &ordered.order else {
            let named = ordered.order.as_ref().err().and_then(|misread| misread.case.clone());
            ordered.case = named.map_or(Ok(None), |id| draft.case(&id))?;
            return Ok(ordered);
        };
        let commands = order.commands.clone();
        ordered.case = order.case.as_ref().map_or(Ok(None), |id| draft.case(id))?;
        for id in commands.iter().filter_map(other_case) {
            if ordered.goes_on.is_none() {
                ordered.goes_on = draft.followed(id.clone())?;
            }
            ordered.others.extend(draft.case(id)?);
        }
        if commands.contains(&Command::List) {
            ordered.open = self.reader.index.cases()?.into_iter().filter(Case::is_open).collect();
        }
        if let Some(case) = ordered.case.clone() {
            self.open_mails(&case, &commands, &mut ordered, batch, now);
        }
        self.distributors_of(draft, &commands, attachments, &mut ordered, now)?;
        // an approval may name its case by the proposal alone
        if let Some(case) = ordered.case.as_ref().filter(|_| commands.iter().any(may_write_to_reporter)) {
            let opened = |mail: &CaseMail| {
                batch.get(&mail.mail).cloned().or_else(|| self.kept_as(mail, &mail.mail, now))
            };
            ordered.latest = latest(case).filter_map(opened).collect();
        }
        for letter in commands.iter().filter_map(letter_named) {
            let Some(posting) = draft.posting(letter)? else { continue };
            let case = posting.case.as_ref().map_or(Ok(None), |id| draft.case(id))?;
            let goes_on = posting.case.clone().map_or(Ok(None), |id| draft.followed(id))?.map(|case| case.id);
            let released = self.released(draft, posting, self.about(letter, now))?;
            ordered.letters.push(Named { released, case, goes_on });
        }
        let about = ordered.letters.iter().filter_map(|letter| letter.released.about.as_ref());
        for message in ordered.mails.iter().chain(about) {
            ordered.sightings.insert(message.digest.clone(), facts::sightings(draft, message)?);
        }
        Ok(ordered)
    }

    /// Opens the mails that the commands need.
    fn open_mails(
        &self,
        case: &Case,
        commands: &[Command],
        ordered: &mut Ordered,
        batch: &Batch,
        now: Timestamp,
    ) {
        let opened =
            |mail: &CaseMail| batch.get(&mail.mail).cloned().or_else(|| self.kept_as(mail, &mail.mail, now));
        if commands.iter().any(|command| matches!(command, Command::Share(_) | Command::Take(Some(_)))) {
            let theirs: Vec<&CaseMail> =
                case.mails.iter().filter(|mail| thread::tells_of_it(case, mail, &self.policy)).collect();
            ordered.mails = theirs.iter().take(MOST_MAILS).filter_map(|mail| opened(mail)).collect();
            ordered.left_out = theirs.len().saturating_sub(ordered.mails.len());
        }
        for mail in commands.iter().filter_map(|command| match command {
            Command::Split(mail) | Command::Distribute(Distribute::Share { mail, .. }) => Some(mail),
            _ => None,
        }) {
            let named =
                case.mails.iter().filter(|known| known.mail.as_str().starts_with(mail.as_str())).take(2);
            let named = named.filter_map(opened).filter(|mail| !ordered.mails.contains(mail));
            let named: Vec<_> = named.collect();
            ordered.mails.extend(named);
        }
        if commands.iter().any(|command| matches!(command, Command::Distribute(Distribute::Share { .. }))) {
            let text = |mail: &Arc<Message>| {
                let file = open::digest(mail.text.as_bytes());
                (mail.digest.clone(), (file, mail.text.clone()))
            };
            ordered.shared = ordered.mails.iter().map(text).collect();
        }
    }

    /// A letter that is let go, and what it is written from.
    pub(super) fn released(
        &self,
        draft: &Draft<'_>,
        posting: Posting,
        about: Option<Arc<Message>>,
    ) -> Result<Released, IndexError> {
        let text = posting.text.as_ref().filter(|_| posting.bytes.is_none());
        let text = text.and_then(|file| self.reader.archive.letters.read(file).ok());
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        let member = posting.copy.as_ref().map_or(Ok(None), |copy| draft.member(&copy.member))?;
        Ok(Released { posting: Box::new(posting), about, text, member: member.map(Box::new) })
    }

    /// The mail that an unsealed letter is about, opened again; of one that was too large there is the header only.
    pub(super) fn about(&self, id: &LetterId, now: Timestamp) -> Option<Arc<Message>> {
        let posting = self.reader.index.posting(id).ok().flatten()?;
        if posting.bytes.is_some() {
            return None;
        }
        self.kept(&posting.case?, &posting.about?, now)
    }
}

/// A signature of the mail was that of an earlier one, which counted.
pub(super) fn signature_used(draft: &Draft<'_>, message: &Message) -> Result<bool, IndexError> {
    let Signature::Good(verified) = &message.signature else { return Ok(false) };
    for id in verified.ids() {
        if draft.used(id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text of an order, what is attached to it, and what mails say that it shares, as files.
pub(super) fn text_of(ordered: &Ordered) -> Vec<(Digest, Vec<u8>)> {
    let text = ordered.order.as_ref().ok().and_then(|order| order.text.as_ref());
    let text = text.map(|text| (open::digest(text.as_bytes()), text.clone().into_bytes()));
    let attached = ordered.attachments.iter().map(|(file, it)| (file.file.clone(), it.bytes.clone()));
    let shared = ordered.shared.values().map(|(file, text)| (file.clone(), text.clone().into_bytes()));
    text.into_iter().chain(attached).chain(shared).collect()
}

/// Nothing is known yet.
fn bare(order: Result<Order, Misread>) -> Ordered {
    let text = order.as_ref().ok().and_then(|order| order.text.as_ref());
    let text = text.map(|text| open::digest(text.as_bytes()));
    Ordered::new(order, text)
}

fn other_case(command: &Command) -> Option<&CaseId> {
    match command {
        Command::Merge(case) | Command::Reject(Class::Duplicate(case)) => Some(case),
        _ => None,
    }
}

/// A letter to the reporter may follow from it.
fn may_write_to_reporter(command: &Command) -> bool {
    command.writes_to_reporter()
        || matches!(command, Command::Approve(_) | Command::Distribute(Distribute::Leak { .. }))
}

fn letter_named(command: &Command) -> Option<&LetterId> {
    match command {
        Command::Release(letter) => Some(letter),
        _ => None,
    }
}

/// The latest mail of each reporter.
fn latest(case: &Case) -> impl Iterator<Item = &CaseMail> {
    case.reporters().filter_map(|reporter| {
        let by_reporter = |mail: &&CaseMail| {
            !mail.pending
                && mail.kind != Kind::Command
                && mail.from.as_ref().is_some_and(|from| from.identity() == reporter.identity())
        };
        case.mails.iter().rev().find(by_reporter)
    })
}
