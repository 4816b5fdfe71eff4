//! What an operator wants: letters stopped or let go, certificates accepted.
//!
//! # Invariants
//! * Whether it can be done is the core's to say; what the person hears names what is wrong, and what to do.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::decide::{Decision, Facts, Input, decide};
use crate::domain::message::Message;
use crate::pipeline::step::Step;
use crate::pipeline::{Accept, OutboxCommand, Pipeline, Refused};
use crate::store::index::{Draft, IndexError, Lookup};

/// What follows, and what the person hears.
pub(super) type Wanted = Result<(Option<Step>, Result<String, Refused>), IndexError>;

impl Pipeline {
    pub(super) fn command(
        &self,
        draft: &Draft<'_>,
        command: &OutboxCommand,
        about: Option<Arc<Message>>,
        now: Timestamp,
    ) -> Wanted {
        let (OutboxCommand::Hold(id) | OutboxCommand::Release(id)) = command;
        let Some(posting) = draft.posting(id)? else { return impossible(format!("there is no letter {id}")) };
        let facts = self.facts_of_letter(draft, &posting, about.as_deref())?;
        let (state, sealed) = (posting.state.word(), posting.bytes.is_some());
        let (input, done) = match command {
            OutboxCommand::Hold(_) => {
                let reason = "stopped by the operator".to_owned();
                (Input::Hold { posting: Box::new(posting), reason }, format!("letter {id} is held"))
            }
            OutboxCommand::Release(_) => {
                let released = self.released(draft, posting, about)?;
                if let Some(why) = released.barred() {
                    return impossible(format!("letter {id} is not released: {why}"));
                }
                (Input::Release(released), format!("letter {id} is released"))
            }
        };
        let decision = decide(&facts, &input, &self.policy, now);
        if decision == Decision::default() {
            let merged = facts.case.as_ref().and_then(|case| case.merged_into.as_ref());
            let why = if sealed || matches!(command, OutboxCommand::Hold(_)) {
                format!("it is {state}")
            } else if let Some(other) = merged {
                format!("its case was merged into {other}")
            } else if facts.case.as_ref().is_some_and(|case| case.acknowledged_at.is_some()) {
                "its case is acknowledged already".to_owned()
            } else {
                "the mail it is about cannot be read".to_owned()
            };
            return impossible(format!("nothing to do for letter {id}: {why}"));
        }
        Ok((Some(decision.into()), Ok(done)))
    }

    pub(super) fn accept(&self, draft: &Draft<'_>, accept: Accept, now: Timestamp) -> Wanted {
        let Accept { address, fingerprint } = accept;
        let known = draft.certificates(&address)?;
        let wanted: String =
            fingerprint.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
        if self.keyring.pins(&address) {
            let why = format!("the configuration names the certificate of {address}: change it there");
            return impossible(why);
        }
        if !known.iter().any(|certificate| certificate.fingerprint == wanted) {
            let why =
                format!("no certificate {wanted} was seen for {address}; see “psirtd key seen {address}”");
            return impossible(why);
        }
        let done = format!("letters to {address} are encrypted to {wanted} from now on");
        let input = Input::Accept { address, fingerprint: wanted };
        Ok((Some(decide(&Facts::default(), &input, &self.policy, now).into()), Ok(done)))
    }
}

pub(super) fn impossible(why: String) -> Wanted {
    Ok((None, Err(Refused::Impossible(why))))
}
