//! What a person wants: letters stopped or let go, certificates accepted, cases sorted out.
//!
//! # Invariants
//! * Whether it can be done is the core's to say; what the person hears names what is wrong, and what to do.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::decide::{Decision, Facts, Input, decide};
use crate::domain::message::Message;
use crate::pipeline::step::Step;
use crate::pipeline::{Accept, OutboxCommand, Pipeline, Refused, Sorting};
use crate::store::index::{Draft, IndexError, Lookup};

/// What follows, and what the person hears.
type Wanted = Result<(Option<Step>, Result<String, Refused>), IndexError>;

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
                (Input::Release { posting: Box::new(posting), about }, format!("letter {id} is released"))
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

    /// `message` is the mail that is taken out.
    pub(super) fn sort(
        &self,
        draft: &Draft<'_>,
        sorting: Sorting,
        message: Option<Arc<Message>>,
        now: Timestamp,
    ) -> Wanted {
        match sorting {
            Sorting::Merge(from, into) => self.merge(draft, &from, &into, now),
            Sorting::Split { case, mail } => self.split(draft, &case, &mail, message, now),
        }
    }

    fn merge(&self, draft: &Draft<'_>, from: &CaseId, into: &CaseId, now: Timestamp) -> Wanted {
        let Some(case) = draft.case(from)? else { return impossible(format!("there is no case {from}")) };
        let Some(goes_on) = draft.followed(into.clone())? else {
            return impossible(format!("there is no case {into}"));
        };
        if let Some(other) = &case.merged_into {
            return impossible(format!("case {from} was merged into {other} before"));
        }
        if goes_on.id == case.id {
            return impossible(match from == into {
                true => format!("case {from} cannot be merged into itself"),
                false => format!("case {into} is part of case {from} already"),
            });
        }
        let done = format!("case {from} is part of case {} now", goes_on.id);
        let facts = self.facts_of_case(draft, case, None, now)?;
        let decision = decide(&facts, &Input::Merge { into: goes_on.id }, &self.policy, now);
        Ok((Some(decision.into()), Ok(done)))
    }

    fn split(
        &self,
        draft: &Draft<'_>,
        id: &CaseId,
        mail: &str,
        message: Option<Arc<Message>>,
        now: Timestamp,
    ) -> Wanted {
        let Some(case) = draft.case(id)? else { return impossible(format!("there is no case {id}")) };
        if let Some(other) = &case.merged_into {
            return impossible(format!("case {id} was merged into {other}: take the mail out of that one"));
        }
        let Some(message) = message else {
            let why = format!("case {id} has no mail {mail}, or several: see “psirtd case {id}”");
            return impossible(why);
        };
        if case.mails.len() < 2 {
            return impossible(format!("it is the only mail of case {id}"));
        }
        let facts = self.facts_of_case(draft, case, Some(&message), now)?;
        let decision = decide(&facts, &Input::Split { message }, &self.policy, now);
        match opened(&decision) {
            Some(new) => Ok((Some(decision.into()), Ok(format!("the mail is case {new} now")))),
            None => impossible(format!("mail {mail} cannot be taken out of case {id}")),
        }
    }
}

fn opened(decision: &Decision) -> Option<CaseId> {
    decision.events.iter().find_map(Case::open).map(|case| case.id)
}

fn impossible(why: String) -> Wanted {
    Ok((None, Err(Refused::Impossible(why))))
}
