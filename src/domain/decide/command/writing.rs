//! Commands that write to somebody: to the reporter, to the team, to maintainers who have not had the case.
//!
//! # Invariants
//! * What is written to the reporter goes to every reporter of the case, each in the thread of their own latest mail.
//! * The other coordinators and the owner know what the reporter is written.

use std::sync::Arc;

use crate::domain::case::Case;
use crate::domain::command::authority::Actor;
use crate::domain::command::{Class, Topic};
use crate::domain::decide::command::work::{Told, Worker, named, person_named};
use crate::domain::decide::letters::{answer_to, note_to};
use crate::domain::decide::{Facts, team};
use crate::domain::event::What;
use crate::domain::letter::{Answer, LetterId, Note, Protection};
use crate::domain::message::{Digest, Mailbox, Message};
use crate::domain::phase::Phase;
use crate::domain::policy::{Person, Role};
use crate::domain::thread;

impl Worker<'_> {
    pub(super) fn note(&mut self, case: &Case, text: Option<&str>) -> Told {
        let file = self.text_file(text)?;
        self.does(What::NoteWritten { text: Some(file.clone()), by: self.by.name() });
        let readers = self.others(team::note_readers(case, self.policy));
        let note = self.note_of(text.unwrap_or_default(), Some(file), false);
        self.write_note(case, &readers, &note);
        Ok(format!("noted, for {}", named(&readers)))
    }

    /// Without whoever says it.
    pub(super) fn others<'m>(&self, readers: impl Iterator<Item = &'m Mailbox>) -> Vec<Mailbox> {
        let own = self.by.person().map(|person| person.mailbox.canonical());
        readers.filter(|reader| Some(reader.canonical()) != own).cloned().collect()
    }

    pub(super) fn note_of(&self, text: &str, file: Option<Digest>, sent: bool) -> Note {
        Note { by: self.by.name(), text: text.to_owned(), sent, file, subject: None }
    }

    pub(super) fn write_note(&mut self, case: &Case, readers: &[Mailbox], note: &Note) {
        for reader in readers {
            let id = self.next_id(&case.id);
            let note = Note { subject: case.subject.clone(), ..note.clone() };
            self.done.letters.push(note_to(case, reader, id, note));
        }
    }

    /// A letter to each reporter.
    pub(super) fn answer(&mut self, topic: Topic, text: Option<&str>, class: Option<&Class>) -> Told {
        let file = self.ordered.text.clone().filter(|_| text.is_some());
        self.answer_with(topic, text.zip(file), class)
    }

    /// The same, with a text and the file that it lies in.
    pub(super) fn answer_with(
        &mut self,
        topic: Topic,
        written: Option<(&str, Digest)>,
        class: Option<&Class>,
    ) -> Told {
        let case = self.case()?.clone();
        if self.ordered.latest.is_empty() {
            return Err("there is nobody to write to: no reporter of this case has an address, or their mail cannot be read".to_owned());
        }
        let (text, file) = written.unzip();
        let (mut to, mut held) = (Vec::new(), Vec::new());
        for message in &self.ordered.latest {
            let body = Answer {
                topic: topic.word(),
                text: text.map(str::to_owned),
                file: file.clone(),
                ..self.answer_body(&case, message, class)
            };
            let id = self.next_id(&case.id);
            let Some(letter) = answer_to(&case, message, id.clone(), body) else {
                self.done.next = self.done.next.saturating_sub(1);
                continue;
            };
            // it is sealed later; that it cannot be shows now
            let unsealable = letter.protection == Protection::Encrypted && message.reporter_cert.is_none();
            // whoever types it hears it when it is sealed
            if unsealable && self.by != Actor::Operator {
                held.push(letter.id.to_string());
            }
            to.push(letter.to.clone());
            self.done.letters.push(letter);
            let by = self.by.name();
            let text = file.clone();
            self.does(What::Answered { topic, by, letter: Some(id), text, signatures: Vec::new() });
        }
        if to.is_empty() {
            return Err("there is nobody to write to".to_owned());
        }
        self.triage();
        if let Some(text) = text {
            self.done.sent = Some(text.to_owned());
            // or another one answers, too
            let readers = self.others(team::note_readers(&case, self.policy));
            let note = self.note_of(text, file, true);
            self.write_note(&case, &readers, &note);
        }
        let held = match held.as_slice() {
            [] => String::new(),
            held => format!(
                "; HELD, for there is no certificate to encrypt it to: release {} when there is one",
                held.join(", ")
            ),
        };
        Ok(format!("{} to the reporter, {}{held}", topic.told(), named(&to)))
    }

    pub(super) fn answer_body(&self, case: &Case, message: &Arc<Message>, class: Option<&Class>) -> Answer {
        team::answer_body(case, message, class, self.policy)
    }

    pub(super) fn reject(&mut self, case: &Case, class: &Class, text: Option<&str>) -> Told {
        if let Class::Duplicate(other) = class
            && (*other == case.id || !self.ordered.others.iter().any(|known| known.id == *other))
        {
            return Err(format!("there is no other case {other}"));
        }
        if !case.phase.may_become(Phase::Rejected) {
            return Err(format!("a case that is {} is not rejected any more: close it", case.phase.word()));
        }
        let file = self.text_file(text)?;
        let told = match class {
            // whoever answers it tells its author that the address is read
            Class::Spam => {
                self.does(What::NoteWritten { text: Some(file), by: self.by.name() });
                "nothing goes to its author".to_owned()
            }
            _ => self.answer(Topic::Reject, text, Some(class))?,
        };
        let (phase, class_, by) = (Phase::Rejected, Some(class.clone()), self.by.name());
        self.does(What::PhaseChanged { phase, class: class_, by });
        Ok(format!("case {} is rejected as {class}; {told}", case.id))
    }

    pub(super) fn share(&mut self, case: &Case, with: &[String], text: Option<&str>) -> Told {
        let people: Vec<&Person> = match with {
            [] => self.policy.maintainers().collect(),
            names => names.iter().map(|name| person_named(self.policy, name)).collect::<Result<_, _>>()?,
        };
        if let Some(person) = people.iter().find(|person| person.is(Role::Coordinator)) {
            return Err(format!("{} is a coordinator, and has it", person.mailbox.address));
        }
        if people.is_empty() {
            return Err("the configuration names no maintainer".to_owned());
        }
        let new: Vec<Mailbox> = people
            .iter()
            .filter(|person| !Actor::Person(person).may_see(case))
            .map(|person| person.mailbox.clone())
            .collect();
        if new.is_empty() && text.is_none() {
            return Ok("they have it already".to_owned());
        }
        if !new.is_empty() {
            self.does(What::Shared { with: new.clone(), by: self.by.name() });
            self.triage();
            new.iter().for_each(|reader| self.relay_all(case, reader));
        }
        if let Some(text) = text {
            let file = self.text_file(Some(text))?;
            self.does(What::NoteWritten { text: Some(file.clone()), by: self.by.name() });
            let readers: Vec<Mailbox> = people.iter().map(|person| person.mailbox.clone()).collect();
            let note = self.note_of(text, Some(file), false);
            self.write_note(case, &readers, &note);
        }
        let all: Vec<Mailbox> = people.iter().map(|person| person.mailbox.clone()).collect();
        Ok(format!("shared with {}{}", named(&all), self.left_out()))
    }

    /// What has come so far, to somebody who has not had it.
    pub(super) fn relay_all(&mut self, case: &Case, reader: &Mailbox) {
        let theirs = |message: &&Arc<Message>| {
            let known = case.mails.iter().find(|mail| mail.mail == message.digest);
            known.is_some_and(|mail| thread::tells_of_it(case, mail, self.policy))
        };
        for message in self.ordered.mails.iter().filter(theirs) {
            let id = LetterId::new(&case.id, self.done.next.saturating_add(1));
            let letter =
                team::relay_again(&self.facts_about(message), case, message, reader, id, self.policy);
            self.done.letters.push(letter);
            self.done.next = self.done.next.saturating_add(1);
        }
    }

    /// What is known of a mail of the case by itself: not what is known of the mail that the command came in.
    pub(super) fn facts_about(&self, message: &Message) -> Facts {
        Facts {
            case: self.case.clone(),
            sightings: self.ordered.sightings.get(&message.digest).cloned().unwrap_or_default(),
            next_number: self.next_number,
            ..Facts::default()
        }
    }

    /// What a new reader does not get.
    pub(super) fn left_out(&self) -> String {
        match self.ordered.left_out {
            0 => String::new(),
            some => format!("; {some} mails could not be enclosed: psirtd case shows them"),
        }
    }

    pub(super) fn public(&mut self, case: &Case, place: Option<&str>, text: Option<&str>) -> Told {
        if case.embargo.public_since().is_some() {
            return Err("that is known: the case says so already".to_owned());
        }
        self.does(What::BecamePublic { place: place.map(str::to_owned), by: self.by.name() });
        let by = vec![self.by.name()];
        let told = self.everybody_hears_that_it_is_over(Topic::Public, text, by)?;
        Ok(format!("the embargo is over, the publication is due now; {told}"))
    }
}
