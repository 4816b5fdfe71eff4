//! How a record becomes part of the index.
//!
//! # Invariants
//! * The same records give the same index, live or rebuilt: nothing here asks for the time, for chance or for a file.
//! * What is kept of strangers is bounded.

mod distributors;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::domain::case::{Case, CaseId};
use crate::domain::concern::{letter_of, of_letter};
use crate::domain::decide::Sighting;
use crate::domain::event::{Event, What};
use crate::domain::intake::Kind;
use crate::domain::letter::LetterKind;
use crate::domain::message::Digest;
use crate::domain::posting::{LetterState, Posting};
use crate::domain::reminder::Running;
use crate::domain::signature::Certificate;
use crate::domain::trust::Verdict;
use crate::domain::unanswered::Unanswered;
use crate::store::index::fold::distributors::is_about_a_copy;
use crate::store::index::{
    DESK_LETTERS, DIGESTED_AT, Draft, IndexError, Lookup, RESTORED, Restored, TOLD_AT,
};
use crate::store::journal::Record;

/// No more certificates of one address are remembered. At least two.
const MAX_CERTIFICATES: usize = 4;

impl Draft<'_> {
    fn put<T: Serialize>(&mut self, key: Vec<u8>, value: &T) -> Result<(), IndexError> {
        self.changes.insert(key, Some(serde_json::to_vec(value)?));
        Ok(())
    }

    /// Lets a record become part of it.
    pub fn fold(&mut self, record: &Record) -> Result<(), IndexError> {
        if let Some(receipt) = &record.receipt {
            if let Some(position) = &receipt.position {
                self.put(self.keys().position(position), &())?;
            }
            self.put(self.keys().mail(&receipt.digest), &())?;
            // what became no case (a forwarder made it look like a machine's) must not swallow the mail itself
            if record.events.iter().any(|event| event.case.is_some()) {
                self.put(self.keys().twin(&receipt.twin), &())?;
            }
        }
        record.events.iter().try_for_each(|event| self.fold_event(event))
    }

    fn fold_event(&mut self, event: &Event) -> Result<(), IndexError> {
        self.fold_letter(event)?;
        self.fold_desk(event)?;
        self.fold_sorting(event)?;
        self.fold_member(event)?;
        let Some(id) = &event.case else { return Ok(()) };
        // what becomes of the copies of a notice changes nothing in the case: there may be a thousand
        if is_about_a_copy(event) {
            return self.fold_thread(event, id);
        }
        let case = match self.case(id)? {
            Some(mut case) => {
                case.apply(event);
                Some(case)
            }
            None => Case::open(event),
        };
        if let Some(case) = case {
            self.put_case(&case)?;
        }
        if let What::MailRecorded { protected_id: Some(protected), .. } = &event.what {
            let thread = self.keys().protected_thread(protected);
            if self.get(&thread)?.is_none() {
                self.put(thread, id)?;
            }
        }
        if matches!(event.what, What::CaseOpened { .. }) {
            self.number(id)?;
        }
        self.fold_thread(event, id)?;
        self.fold_answer(event)
    }

    /// The first case that knew a Message-ID keeps it.
    fn fold_thread(&mut self, event: &Event, id: &CaseId) -> Result<(), IndexError> {
        match &event.what {
            What::MailRecorded { message_id: Some(message_id), .. }
            | What::LetterQueued { message_id, .. }
                if self.get(&self.keys().thread(message_id))?.is_none() =>
            {
                self.put(self.keys().thread(message_id), id)
            }
            _ => Ok(()),
        }
    }

    /// A case, and what it owes.
    fn put_case(&mut self, case: &Case) -> Result<(), IndexError> {
        let running = self.keys().running(&case.id);
        match Running::of(case) {
            Some(owed) => self.put(running, &owed)?,
            None => drop(self.changes.insert(running, None)),
        }
        self.put(self.keys().case(&case.id), case)
    }

    /// Counts automatic answers; those that a rule keeps back are none.
    fn fold_answer(&mut self, event: &Event) -> Result<(), IndexError> {
        let (What::LetterQueued { kind, to, .. } | What::LetterHeld { kind, to, withheld: false, .. }) =
            &event.what
        else {
            return Ok(());
        };
        if matches!(kind, LetterKind::Acknowledgement | LetterKind::Status | LetterKind::Membership) {
            for key in self.keys().answered(Some(to), event.at).into_iter().flatten() {
                let answered = self.entry::<u32>(&key)?.unwrap_or(0).saturating_add(1);
                self.put(key, &answered)?;
            }
        }
        Ok(())
    }

    /// What people sorted out: threads lead elsewhere, a case knows what another one knew.
    fn fold_sorting(&mut self, event: &Event) -> Result<(), IndexError> {
        match &event.what {
            What::CaseMerged { into, by } => {
                let from = event.case.as_ref().map_or(Ok(None), |id| self.case(id))?;
                if let (Some(from), Some(mut goes_on)) = (from, self.case(into)?) {
                    goes_on.absorb(&from, event.at, by);
                    self.put_case(&goes_on)?;
                }
            }
            What::MailMoved { message_id, protected_id, to, .. } => {
                let ids = message_id.iter().map(|id| self.keys().thread(id));
                let protected = protected_id.iter().map(|id| self.keys().protected_thread(id));
                let ids: Vec<_> = ids.chain(protected).collect();
                for id in ids {
                    // an id that leads elsewhere is another case's
                    let leads: Option<CaseId> = self.entry(&id)?;
                    let here = leads.map_or(Ok(None), |leads| self.followed(leads))?;
                    if here.map(|here| here.id) == event.case {
                        self.put(id, to)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What the desk remembers beside its cases.
    fn fold_desk(&mut self, event: &Event) -> Result<(), IndexError> {
        match &event.what {
            What::MailRecorded { mail, from, ciphertexts, kind, trust, .. } => {
                // what is called forged, or junk, says nothing about the one whose name it bears
                let forged = trust.as_ref().is_some_and(|trust| trust.verdict == Verdict::Fail);
                if let Some(author) = from.as_ref().filter(|_| !forged && *kind != Kind::Junk) {
                    let counter = self.keys().mails(author, event.at);
                    let mails = self.entry::<u32>(&counter)?.unwrap_or(0).saturating_add(1);
                    self.put(counter, &mails)?;
                }
                if let Some(unanswered) = Unanswered::recorded(event) {
                    self.put(self.keys().unanswered(event.at, mail), &unanswered)?;
                }
                let sighting = Sighting { mail: mail.clone(), case: event.case.clone(), from: from.clone() };
                for ciphertext in ciphertexts {
                    if self.ciphertext(ciphertext)?.is_none() {
                        self.put(self.keys().ciphertext(ciphertext), &sighting)?;
                    }
                }
            }
            What::CertificateSeen { address, certificate, .. } => {
                let mut known = self.certificates(address)?;
                let same = |known: &&mut Certificate| known.fingerprint == certificate.fingerprint;
                if let Some(older) = known.iter_mut().find(same) {
                    *older = certificate.clone();
                } else {
                    // strangers must not fill the places: the oldest that nobody uses makes room
                    if known.len() >= MAX_CERTIFICATES {
                        known.remove(1);
                    }
                    known.push(certificate.clone());
                }
                self.put(self.keys().certificates(address), &known)?;
            }
            What::CertificateAccepted { address, fingerprint } => {
                let mut known = self.certificates(address)?;
                known.sort_by_key(|certificate| certificate.fingerprint != *fingerprint);
                self.put(self.keys().certificates(address), &known)?;
            }
            What::LetterQueued { letter, message_id, .. } => {
                self.put(self.keys().post(message_id), letter)?
            }
            What::Restored { backup, until, left_out, years } => {
                // what an earlier restoration has not found yet is still looked for
                let earlier = self.restored()?.map_or(*backup, |earlier| earlier.backup.min(*backup));
                self.put(RESTORED.to_vec(), &Restored { backup: earlier, at: *until })?;
                for year in years {
                    let lost = self.next_number(*year)?.saturating_sub(1).saturating_add(*left_out);
                    self.put(self.keys().number(*year), &lost)?;
                }
            }
            What::Answered { signatures, .. } => {
                for signature in signatures {
                    self.put(self.keys().signature(signature), &event.at)?;
                }
            }
            What::Embargo { step, .. } => {
                for signature in step.signatures() {
                    self.put(self.keys().signature(signature), &event.at)?;
                }
            }
            What::Commanded { signature, further, .. } => {
                for signature in signature.iter().chain(further) {
                    self.put(self.keys().signature(signature), &event.at)?;
                }
            }
            What::Reminded { to, warnings, ahead } => {
                for warning in warnings {
                    self.put(self.keys().reminded(warning), &event.at)?;
                }
                if *ahead {
                    self.put(self.keys().reminded_at(to), &event.at)?;
                }
            }
            What::Digested { mails } => {
                self.put(DIGESTED_AT.to_vec(), &event.at)?;
                let listed: BTreeSet<&Digest> = mails.iter().collect();
                for told in self.unanswered()?.iter().filter(|told| listed.contains(&told.mail)) {
                    let key = self.keys().unanswered(told.at, &told.mail);
                    self.changes.insert(key, None);
                }
            }
            What::Told { concerns } => {
                for concern in concerns {
                    self.put(self.keys().told(concern), &event.at)?;
                }
                let letters: Vec<&str> = concerns.iter().filter_map(|concern| letter_of(concern)).collect();
                for letter in &letters {
                    let key = self.keys().untold(letter);
                    self.changes.insert(key, None);
                }
                if !letters.is_empty() {
                    self.changes.insert(TOLD_AT.to_vec(), Some(serde_json::to_vec(&event.at)?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fold_letter(&mut self, event: &Event) -> Result<(), IndexError> {
        let Some(id) = event.what.letter() else { return Ok(()) };
        let before = self.posting(id)?;
        if before.is_none() && event.case.is_none() {
            let letters = self.desk_letters()?.max(id.number().unwrap_or_default());
            self.put(DESK_LETTERS.to_vec(), &letters)?;
        }
        if let Some(at) = before.as_ref().and_then(|posting| posting.next_attempt) {
            let key = self.keys().due(at, id);
            self.changes.insert(key, None);
        }
        let after = match before {
            Some(mut posting) => {
                posting.apply(event);
                Some(posting)
            }
            None => Posting::begin(event),
        };
        if let Some(posting) = after {
            if let Some(at) = posting.next_attempt {
                self.put(self.keys().due(at, id), &(at, id))?;
            }
            let untold = self.keys().untold(id.as_str());
            match of_letter(&posting) {
                Some(_) => self.put(untold, id)?,
                None => drop(self.changes.insert(untold, None)),
            }
            self.fold_copy(&posting)?;
            let held = self.keys().held(id);
            match posting.state == LetterState::Held && !posting.withheld {
                true => self.put(held, id)?,
                false => drop(self.changes.insert(held, None)),
            }
            self.put(self.keys().letter(id), &posting)?;
        }
        Ok(())
    }

    /// `PREFIX-YEAR-NNNN` moves the year's counter.
    fn number(&mut self, id: &CaseId) -> Result<(), IndexError> {
        let mut parts = id.as_str().rsplitn(3, '-');
        let (Some(number), Some(year)) = (parts.next(), parts.next()) else { return Ok(()) };
        let (Ok(number), Ok(year)) = (number.parse::<u32>(), year.parse::<i16>()) else { return Ok(()) };
        let highest = self.next_number(year)?.saturating_sub(1).max(number);
        self.put(self.keys().number(year), &highest)
    }
}
