//! What people sort out: cases that are one, a mail in the wrong one.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::case::{Case, CaseId};
use crate::domain::decide::{Decision, Input, decide};
use crate::domain::message::Message;
use crate::pipeline::step::Step;
use crate::pipeline::{Pipeline, Refused, Sorting};
use crate::store::index::{Draft, IndexError, Lookup};

/// What follows, and what the person hears.
type Sorted = Result<(Option<Step>, Result<String, Refused>), IndexError>;

impl Pipeline {
    /// `message` is the mail that is taken out.
    pub(super) fn sort(
        &self,
        draft: &Draft<'_>,
        sorting: Sorting,
        message: Option<Arc<Message>>,
        now: Timestamp,
    ) -> Sorted {
        match sorting {
            Sorting::Merge(from, into) => self.merge(draft, &from, &into, now),
            Sorting::Split { case, mail } => self.split(draft, &case, &mail, message, now),
        }
    }

    fn merge(&self, draft: &Draft<'_>, from: &CaseId, into: &CaseId, now: Timestamp) -> Sorted {
        let Some(case) = draft.case(from)? else { return impossible(format!("there is no case {from}")) };
        let Some(goes_on) = draft.followed(into.clone())? else {
            return impossible(format!("there is no case {into}"));
        };
        if let Some(other) = &case.merged_into {
            return impossible(format!("case {from} was merged into {other} before"));
        }
        if goes_on.id == case.id {
            return impossible(format!("case {from} cannot be merged into itself"));
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
    ) -> Sorted {
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

fn impossible(why: String) -> Sorted {
    Ok((None, Err(Refused::Impossible(why))))
}
