//! Facts, then the decision: what follows from a mail, a delivery, a certificate that was found, the time that goes by.
//!
//! # Invariants
//! * A mail that is known stops here: its new place is remembered, and nothing else follows, unless it came on a better way.
//! * What is decided is the core's; here is gathered what it has to know.

use std::sync::Arc;

use jiff::Timestamp;

use crate::chance;
use crate::domain::case::Case;
use crate::domain::concern::Silence;
use crate::domain::decide::{Decision, Facts, Input, decide};
use crate::domain::letter::{Letter, LetterId, LetterKind};
use crate::domain::message::Message;
use crate::domain::posting::Outcome;
use crate::domain::signature::{Certificate, Standing};
use crate::keyring;
use crate::open;
use crate::pipeline::facts::Batch;
use crate::pipeline::orders::text_of;
use crate::pipeline::step::Step;
use crate::pipeline::{Arrival, Found, Pipeline, Recorded, Refused};
use crate::store::index::{Draft, IndexError, Lookup};
use crate::store::journal::Receipt;

impl Pipeline {
    pub(super) fn mail(
        &self,
        draft: &Draft<'_>,
        arrival: Arrival,
        message: Arc<Message>,
        mails: &mut Batch,
        now: Timestamp,
    ) -> Result<(Option<Step>, Result<Recorded, Refused>), IndexError> {
        let twin = open::twin(&arrival.raw, &message);
        let receipt = Receipt { position: arrival.position, digest: message.digest.clone(), twin };
        if draft.knows_mail(&receipt)? {
            // remember the new place, so that it is not fetched again
            let new_place = match &receipt.position {
                Some(position) => !draft.knows_position(position)?,
                None => false,
            };
            let answer = self.late_answer(draft, arrival.received_at, &message, mails, now)?;
            let news = new_place || answer.is_some();
            let step = news.then(|| Step {
                receipt: Some(receipt),
                letters: answer.into_iter().collect(),
                ..Step::default()
            });
            return Ok((step, Ok(Recorded::Known)));
        }
        let facts = self.facts_of_mail(draft, &message, mails, now)?;
        mails.insert(message.digest.clone(), Arc::clone(&message));
        let message = up_to_date(message, &facts.remembered);
        let received_at = arrival.received_at.min(now);
        let decision = decide(&facts, &Input::Mail { message, received_at }, &self.policy, now);
        let texts = facts.ordered.as_ref().map_or_else(Vec::new, |ordered| text_of(ordered));
        Ok((
            Some(Step {
                receipt: Some(receipt),
                mail: Some(arrival.raw),
                ..Step::from(decision).with_texts(texts)
            }),
            Ok(Recorded::New),
        ))
    }

    /// The acknowledgement of a known mail that a rule kept back for the way on which it came, and that has come on a better one now:
    /// a person took it out of the junk, say.
    fn late_answer(
        &self,
        draft: &Draft<'_>,
        received_at: Timestamp,
        message: &Arc<Message>,
        mails: &Batch,
        now: Timestamp,
    ) -> Result<Option<Letter>, IndexError> {
        let case = draft.case_of(&message.message_id)?;
        // a mail that the digest alone is to tell of is not answered before somebody has heard of it
        let waits = |case: &Case| {
            let letters = &case.letters;
            letters.iter().any(|it| it.withheld) && letters.iter().any(|it| it.kind == LetterKind::Relay)
        };
        if !case.as_ref().is_some_and(waits) {
            return Ok(None);
        }
        let facts = self.facts_of_mail(draft, message, mails, now)?;
        if facts.copy_of.is_none() {
            return Ok(None);
        }
        let input = Input::Mail { message: Arc::clone(message), received_at: received_at.min(now) };
        let letters = decide(&facts, &input, &self.policy, now).letters;
        Ok(letters.into_iter().find(|letter| letter.kind() == LetterKind::Acknowledgement))
    }

    pub(super) fn delivery(
        &self,
        draft: &Draft<'_>,
        id: &LetterId,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Option<Step>, IndexError> {
        let Some(posting) = draft.posting(id)? else { return Ok(None) };
        // an answer that has left begins the next clock of its case
        let case = posting.case.as_ref().filter(|_| posting.kind == LetterKind::Answer);
        let case = case.map_or(Ok(None), |id| draft.followed(id.clone()))?;
        let facts = Facts { jitter: chance::fraction(), case, ..Facts::default() };
        let input = Input::Delivery { posting: Box::new(posting), outcome };
        Ok(Some(decide(&facts, &input, &self.policy, now).into()))
    }

    pub(super) fn found(
        &self,
        draft: &Draft<'_>,
        found: Found,
        message: Option<Arc<Message>>,
        now: Timestamp,
    ) -> Result<Option<Step>, IndexError> {
        let Some(message) = message else { return Ok(None) };
        // what the configuration names for an address is not even accompanied by what a web server says
        if self.keyring.pins(&found.author.address) {
            return Ok(None);
        }
        let remembered = draft.certificates(&found.author.address)?;
        let facts = Facts { case: draft.case(&found.case)?, remembered, ..Facts::default() };
        let known = remembered_of(&facts.remembered, &found.certificate);
        let certificate =
            known.map_or(found.certificate.clone(), |known| keyring::merged(known, &found.certificate));
        let input = Input::Found { message, certificate };
        let decision = decide(&facts, &input, &self.policy, now);
        Ok((decision != Decision::default()).then(|| decision.into()))
    }

    pub(super) fn look(
        &self,
        draft: &Draft<'_>,
        silent: &[Silence],
        timed: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, IndexError> {
        let facts = self.facts_of_desk(draft, silent, timed, now)?;
        let decision = decide(&facts, &Input::Look, &self.policy, now);
        Ok((decision != Decision::default()).then(|| decision.into()))
    }
}

/// Another mail of the same batch may have brought the certificate that this one brings.
fn up_to_date(message: Arc<Message>, remembered: &[Certificate]) -> Arc<Message> {
    let offered = message.reporter_cert.as_ref().filter(|(standing, _)| *standing == Standing::Offered);
    let newer = message.renewed_cert.as_ref().or(offered.map(|(_, certificate)| certificate));
    let known = newer.and_then(|newer| remembered_of(remembered, newer).map(|known| (known, newer)));
    match known.map(|(known, newer)| keyring::merged(known, newer)) {
        Some(both) => Arc::new(Message { renewed_cert: Some(both), ..Message::clone(&message) }),
        None => message,
    }
}

fn remembered_of<'c>(remembered: &'c [Certificate], of: &Certificate) -> Option<&'c Certificate> {
    remembered.iter().find(|known| known.fingerprint == of.fingerprint)
}
