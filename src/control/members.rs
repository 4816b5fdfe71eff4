//! Questions about the distributors' list.
//!
//! # Invariants
//! * Only whoever has the machine hears who is on it.

use jiff::Timestamp;
use serde_json::Value;

use crate::control::NoAnswer;
use crate::control::notices::proposals_json;
use crate::domain::distributor::{Member, MemberId};
use crate::domain::policy::Policy;
use crate::pipeline::{Handle, roll};
use crate::store::index::{Draft, Lookup};

/// All members, or the one that is named: an array. Each with the proposals about it that wait.
pub(super) async fn members(
    named: Option<&str>,
    pipeline: &Handle,
    policy: &Policy,
    now: Timestamp,
) -> Result<Value, NoAnswer> {
    let index = &pipeline.reader().index;
    let draft = Draft::new(index);
    let members: Vec<Member> = match named {
        None => draft.members()?,
        Some(named) => {
            let id = MemberId::typed(named)?;
            vec![index.member(&id)?.ok_or_else(|| id.unknown())?]
        }
    };
    let pending = draft.pending()?;
    let proposals = |member: &Member| {
        let about = pending.iter().filter(|pending| pending.proposal.member() == Some(&member.id));
        proposals_json(about, policy)
    };
    let proposals: Vec<Value> = members.iter().map(proposals).collect();
    // certificates are looked at one by one
    let shown = tokio::task::spawn_blocking(move || roll::shown(&members, now)).await;
    let mut shown = shown.map_err(|error| error.to_string())?;
    for (member, proposals) in shown.iter_mut().filter_map(Value::as_object_mut).zip(proposals) {
        member.insert("proposals".to_owned(), proposals);
    }
    Ok(shown.into())
}
