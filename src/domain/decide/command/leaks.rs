//! What members wrote, who may know of a case besides, and what got out.
//!
//! # Invariants
//! * What a member wrote goes to others by the word of two coordinators, without a name unless they say so; a text that tells by itself
//!   whose it is does not go unnamed.
//! * A member that joins later gets nothing of a case before it is released to it, by name.
//! * A leak is recorded at once, with the fate of the embargo; what follows for a member is proposed, and another one decides.
//! * How many had been sent what is told by number; who they are is not in a mail.

use std::sync::Arc;

use crate::domain::application;
use crate::domain::case::Case;
use crate::domain::decide::command::distributing::reachable;
use crate::domain::decide::command::proposals::Preview;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::decide::{joining, team};
use crate::domain::distributor::{Change, Member, MemberId, State};
use crate::domain::event::What;
use crate::domain::exposure;
use crate::domain::message::{Digest, Message};
use crate::domain::notice::{Content, Notice, Proposal, Sort, Step};
use crate::domain::tlp::Tlp;

/// Names of fewer characters are found in too many texts that do not mean them.
const SHORTEST: usize = 3;

impl Worker<'_> {
    pub(super) fn share_with_members(&mut self, case: &Case, mail: &str, by_name: bool) -> Told {
        let message = self.mail_named(case, mail)?;
        let reply = case.reply(&message.digest);
        let reply = reply.ok_or_else(|| format!("mail {mail} is not shown to be of a member of the list"))?;
        let roster = self.roster()?.clone();
        let author =
            roster.get(&reply.member).ok_or_else(|| format!("{} is not on the list", reply.member))?;
        let Some((file, text)) = self.ordered.shared.get(&message.digest) else {
            return Err(format!("mail {mail} cannot be read"));
        };
        if text.trim().is_empty() {
            return Err(format!("mail {mail} has no text that could be shared"));
        }
        if let Some(word) = telling(text, author, &message).filter(|_| !by_name) {
            return Err(format!(
                "the mail tells by itself who wrote it (“{word}”): ask its author, and say !share-with-members {mail} named; or write what \
                 the others have to know as an !update"
            ));
        }
        let others = roster.active().filter(|it| case.is_released_to(it) && it.id != author.id);
        let (to, left_out) = reachable(&roster, others);
        if to.is_empty() {
            return Err("there is no other member that has the case and can be written to".to_owned());
        }
        let passed_on =
            |notice: &&Notice| matches!(notice.content.sort, Sort::Notice | Sort::Update | Sort::Shared);
        let tlp =
            case.notices.iter().filter(passed_on).map(|notice| notice.content.tlp).min().unwrap_or_default();
        let content = Content {
            sort: Sort::Shared,
            tlp,
            text: Some(file.clone()),
            files: Vec::new(),
            author: by_name.then(|| author.organisation.clone()),
            until: case.embargo.agreement().map(|agreement| agreement.until),
            place: None,
        };
        let mut preview = self.preview(&roster, &to, &left_out);
        preview.lines = vec![tlp.to_string(), format!("a mail of {}, which does not get it", author.id)];
        preview.lines.push(match by_name {
            true => format!("named as its author: {}", author.organisation),
            false => "its author is not named".to_owned(),
        });
        if !by_name {
            preview
                .warnings
                .push("the text itself may tell who wrote it: read it with that in mind".to_owned());
        }
        let narrower = Tlp::ALL.into_iter().find(|label| text.to_uppercase().contains(label.word()));
        if let Some(label) = narrower.filter(|label| *label < tlp) {
            preview.warnings.push(format!("its author wrote {label} into it, and it would go out as {tlp}"));
        }
        if !message.attachments.is_empty() {
            let count = message.attachments.len();
            preview.warnings.push(format!("what is attached to the mail ({count}) does not go along"));
        }
        preview.text = Some(text.clone());
        self.propose(Proposal::Notice { content, to, left_out }, preview)
    }

    /// The one mail of the case whose digest begins like that, opened.
    fn mail_named(&self, case: &Case, mail: &str) -> Result<Arc<Message>, String> {
        let of_case = |message: &&Arc<Message>| {
            message.digest.as_str().starts_with(mail) && case.mails.iter().any(|it| it.mail == message.digest)
        };
        let mut found = self.ordered.mails.iter().filter(of_case);
        match (found.next(), found.next()) {
            (Some(message), None) => Ok(Arc::clone(message)),
            (Some(_), Some(_)) => Err(format!("several mails begin with {mail}: write more of the digest")),
            (None, _) => Err(format!("there is no mail {mail} in case {}", case.id)),
        }
    }

    pub(super) fn propose_release(&mut self, case: &Case, member: &MemberId) -> Told {
        self.may_be_released(case, member)?;
        let roster = self.roster()?.clone();
        let mut preview = self.preview(&roster, std::slice::from_ref(member), &[]);
        let named = roster.get(member);
        preview.lines = named
            .into_iter()
            .flat_map(|member| unheard(case, member))
            .map(|notice| {
                let at = self.policy.calendar.line(notice.at);
                format!(
                    "{} {} ({}), first sent {at}",
                    notice.content.sort.word(),
                    notice.number,
                    notice.content.tlp
                )
            })
            .collect();
        self.propose(Proposal::Release { member: member.clone() }, preview)
    }

    /// Why it cannot get what the others were sent, if it cannot.
    fn may_be_released(&self, case: &Case, id: &MemberId) -> Result<(), String> {
        let roster = self.roster()?;
        let member = roster.get(id).ok_or_else(|| id.unknown())?;
        if !member.is_active() {
            return Err(format!("{id} is {}", member.state.word()));
        }
        if case.embargo.public_since().is_some() {
            return Err("the matter is public: there is nothing to release".to_owned());
        }
        if repeated(case).next().is_none() {
            return Err(
                "the members have had no notice of this case: !notice goes to this one, too".to_owned()
            );
        }
        if unheard(case, member).next().is_none() {
            return Err(format!("case {} is released to {id} already", case.id));
        }
        roster.key(id).map(|_| ()).map_err(|why| format!("{id} cannot be written to: {why}"))
    }

    pub(super) fn release_to_member(&mut self, member: &MemberId) -> Told {
        let case = self.case()?.clone();
        self.may_be_released(&case, member)?;
        let known = self.roster()?.get(member).cloned();
        let mut count: usize = 0;
        for notice in known.iter().flat_map(|known| unheard(&case, known)) {
            // copies are counted from 1, those of members that joined later go on behind the others
            let letter = u32::try_from(notice.recipients).unwrap_or(u32::MAX).saturating_add(1);
            let step = Step::Repeated { notice: notice.number, member: member.clone(), letter };
            self.does(What::Distribution { step: Box::new(step), by: self.by.name() });
            count = count.saturating_add(1);
        }
        Ok(format!("case {} is released to {member}, which gets {count} notices", case.id))
    }

    pub(super) fn leak(
        &mut self,
        case: &Case,
        ends: bool,
        through: Option<&MemberId>,
        text: Option<&str>,
    ) -> Told {
        let file = self.text_file(text)?;
        if ends && case.embargo.public_since().is_some() {
            return Err("the embargo is over already: say !leak stands".to_owned());
        }
        let strikes = through.map(|member| self.strikes(case, member)).transpose()?;
        let until_now = exposure::counted(&exposure::ledger(case, &self.copies_of(case), self.now));
        let mail = case.replies.iter().rev().find(|reply| reply.leak).map(|reply| reply.mail.clone());
        let step = Step::Leaked { member: through.cloned(), text: Some(file.clone()), mail, ends };
        let told = step.told().unwrap_or_default();
        self.does(What::Distribution { step: Box::new(step), by: self.by.name() });
        self.does(What::NoteWritten { text: Some(file.clone()), by: self.by.name() });
        let text = text.unwrap_or_default();
        // what the text says of the leak is the team's
        let note = format!("{told}\n\n{text}");
        let mut lines = vec![told, format!("until now {until_now} (by name: psirtd exposure {})", case.id)];
        if ends {
            lines.push(self.everybody_hears_of_a_leak((note, file.clone()))?);
        } else {
            let readers = self.others(team::note_readers(case, self.policy));
            let note = self.note_of(&note, Some(file.clone()), false);
            self.write_note(case, &readers, &note);
        }
        if let (Some(member), Some(before)) = (through, strikes) {
            lines.push(self.strike(case, member, before, text, file)?);
        }
        Ok(lines.join("; "))
    }

    /// How many leaks are laid to the member so far; why none can be, of this case.
    fn strikes(&self, case: &Case, id: &MemberId) -> Result<usize, String> {
        let member = self.roster()?.get(id).ok_or_else(|| id.unknown())?;
        if !case.was_released_to(id) {
            return Err(format!("{id} was sent nothing of case {}: nothing can have leaked there", case.id));
        }
        let by_this_mail = self.done.events.iter().filter(|event| {
            matches!(&event.what, What::Member { member, change, .. } if member == id && **change == Change::Struck)
        });
        Ok(member.strikes.len().saturating_add(by_this_mail.count()))
    }

    /// A leak is laid to a member: the first time it is to be warned, then to be removed (P-22).
    fn strike(&mut self, case: &Case, id: &MemberId, before: usize, text: &str, file: Digest) -> Told {
        let (change, by) = (Box::new(Change::Struck), self.by.name());
        self.does(What::Member { member: id.clone(), change, by });
        let roster = self.roster()?.clone();
        let Some(member) = roster.get(id) else { return Err(id.unknown()) };
        let earlier = member.strikes.iter().map(|strike| {
            format!("a leak of case {} was laid to it on {}", strike.case, strike.at.strftime("%Y-%m-%d"))
        });
        let mut preview = Preview { lines: earlier.collect(), ..Preview::default() };
        match (before, member.state) {
            (_, State::Removed | State::Applied) => Ok(format!("{id} is {}", member.state.word())),
            (0, State::Suspended) => {
                Ok(format!("{id} is suspended, and gets no warning: nothing is sent to it"))
            }
            (0, State::Active) => {
                preview.recipients = 1;
                preview
                    .lines
                    .push(format!("a warning to {id}: what is said here, and what the policy says of leaks"));
                let unwritable = roster.key(id).err();
                preview.warnings.extend(unwritable.map(|why| format!("{id} cannot be written to: {why}")));
                preview.text = Some(text.to_owned());
                self.propose(Proposal::Warn { member: id.clone(), text: Some(file) }, preview)
            }
            _ => {
                let why = Some(format!("a leak of case {}, and not the first", case.id));
                preview.lines.push(format!("{id} gets nothing any more"));
                self.propose(Proposal::Remove { member: id.clone(), why }, preview)
            }
        }
    }

    pub(super) fn warn_member(&mut self, id: &MemberId, text: Option<&Digest>) -> Told {
        let case = self.case()?.clone();
        let text = text.map(|file| self.text_in(file)).transpose()?;
        let roster = self.roster()?.clone();
        let member = roster.get(id).ok_or_else(|| id.unknown())?;
        if !member.is_active() {
            return Err(format!("{id} is {}: nothing is sent to it", member.state.word()));
        }
        let letter_id = self.letter_id(Some(&case.id));
        let letter =
            joining::letter("warning", member, Some(&case.id), letter_id, Vec::new(), text, self.policy);
        let letter = letter.ok_or_else(|| format!("{id} has no address, or no certificate"))?;
        self.done.letters.push(letter);
        Ok(format!("{id} is warned"))
    }

    /// What lies in the file that a proposal names; it may be the text of this very order.
    fn text_in(&self, file: &Digest) -> Result<String, String> {
        let own = self.ordered.order.as_ref().ok().and_then(|order| order.text.as_ref());
        let own = own.filter(|_| self.ordered.text.as_ref() == Some(file));
        let text = self.ordered.texts.get(file).or(own).cloned();
        text.ok_or_else(|| "its text cannot be read".to_owned())
    }
}

/// What a member that knows of the case late is sent: what the others were told, and how the embargo stands now.
fn repeated(case: &Case) -> impl Iterator<Item = &Notice> {
    let last = case.notices.iter().rev().find(|notice| notice.content.sort == Sort::Embargo);
    let last = last.map(|notice| notice.number);
    let told = |sort: Sort| matches!(sort, Sort::Notice | Sort::Update | Sort::Shared);
    case.notices.iter().filter(move |notice| told(notice.content.sort) || Some(notice.number) == last)
}

/// Of that, what this member was not sent: all of it; or, when it knows of the case, what it was left out of.
fn unheard<'c>(case: &'c Case, member: &'c Member) -> impl Iterator<Item = &'c Notice> {
    let knows = case.is_released_to(member);
    repeated(case).filter(move |notice| !knows || notice.left_out(&member.id))
}

/// What in the text names its author: an address, a domain, the organisation, the name in the mail's From.
fn telling(text: &str, author: &Member, message: &Message) -> Option<String> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let text = plain(text);
    let addresses = author.addresses.iter().chain(message.author());
    let mut words: Vec<String> = vec![author.organisation.clone()];
    for address in addresses {
        words.extend([address.canonical(), address.identity()]);
        // another host of the same organisation tells as much
        words.extend(address.domain().map(|domain| application::registrable(&domain)));
        words.extend(address.name.clone());
    }
    let words = words.iter().map(|word| plain(word)).filter(|word| word.chars().count() >= SHORTEST);
    words.into_iter().find(|word| text.contains(word.as_str()))
}
