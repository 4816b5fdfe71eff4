//! What is known when a decision is made: gathered from the index, as the inputs before this one left it.

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::concern::{self, COLLECTED, Concern};
use crate::domain::decide::{Facts, Sighting};
use crate::domain::letter::Posting;
use crate::domain::message::{Mailbox, Message};
use crate::keyring;
use crate::pipeline::Pipeline;
use crate::store::index::{Draft, IndexError, Lookup};

impl Pipeline {
    pub(super) fn facts_of_mail(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        now: Timestamp,
    ) -> Result<Facts, IndexError> {
        let author = message.author();
        let ours = author.is_some_and(|author| self.policy.is_own(&author.address));
        Ok(Facts {
            case: case(draft, draft.thread(message.thread())?)?,
            answered_today: author.map_or(Ok(0), |author| draft.answered_on(author, now))?,
            remembered: author.map_or(Ok(Vec::new()), |author| draft.certificates(&author.address))?,
            sightings: sightings(draft, message)?,
            own_letter: ours && is_own_letter(draft, message.message_id.as_ref())?,
            next_number: draft.next_number(self.policy.year(now))?,
            ..Facts::default()
        })
    }

    /// `about` is the mail that it is about, when it has no bytes yet.
    pub(super) fn facts_of_letter(
        &self,
        draft: &Draft<'_>,
        posting: &Posting,
        about: Option<&Message>,
    ) -> Result<Facts, IndexError> {
        Ok(Facts {
            case: case(draft, posting.case.clone())?,
            sightings: about.map_or(Ok(Vec::new()), |about| sightings(draft, about))?,
            ..Facts::default()
        })
    }

    pub(super) fn facts_of_desk(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Facts, IndexError> {
        let told_at = draft.told_at()?;
        let just_told = told_at.is_some_and(|at| now.duration_since(at) < COLLECTED);
        let mut concerns: Vec<Concern> = keyring::validities(&self.keyring, self.people(), now)
            .iter()
            .filter_map(|validity| concern::of_certificate(validity, now))
            .collect();
        // as it was before this batch: in a batch, what is not sealed yet is held
        if !just_told {
            concerns.extend(self.writer.draft().held()?.iter().filter_map(concern::of_letter));
        }
        let mut untold = Vec::new();
        for concern in concerns {
            if !draft.told(&concern.key)? {
                untold.push(concern);
            }
        }
        let reachable = self.policy.coordinators().map(|person| &person.mailbox);
        let reachable = reachable.filter(|mailbox| keyring::encryptable(&self.keyring, mailbox, now).is_ok());
        Ok(Facts {
            concerns: untold,
            reachable: reachable.map(Mailbox::canonical).collect(),
            desk_letters: draft.desk_letters()?,
            ..Facts::default()
        })
    }

    fn people(&self) -> impl Iterator<Item = &Mailbox> {
        self.policy.people.iter().map(|person| &person.mailbox)
    }
}

/// The first mail with each of these ciphertexts, unless that is this mail.
fn sightings(draft: &Draft<'_>, message: &Message) -> Result<Vec<(Sighting, bool)>, IndexError> {
    let mut sightings = Vec::new();
    for ciphertext in &message.ciphertexts {
        let seen = draft.ciphertext(&ciphertext.id)?.filter(|seen| seen.mail != message.digest);
        sightings.extend(seen.map(|seen| (seen, ciphertext.by_author)));
    }
    Ok(sightings)
}

/// Is this the Message-ID of a letter? Those of reports are known, too, and to whoever wrote them.
fn is_own_letter(draft: &Draft<'_>, message_id: Option<&String>) -> Result<bool, IndexError> {
    if message_id.map_or(Ok(false), |id| draft.knows_own(id))? {
        return Ok(true);
    }
    let case = case(draft, draft.thread(message_id)?)?;
    Ok(case.is_some_and(|case| case.letters.iter().any(|letter| letter.message_id.as_ref() == message_id)))
}

fn case(draft: &Draft<'_>, id: Option<CaseId>) -> Result<Option<Case>, IndexError> {
    id.map_or(Ok(None), |id| draft.case(&id))
}
