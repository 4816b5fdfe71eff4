//! Questions about the distributors' list.
//!
//! # Invariants
//! * Only whoever has the machine hears who is on it.

use jiff::Timestamp;
use serde_json::Value;

use crate::control::NoAnswer;
use crate::domain::distributor::{Member, MemberId};
use crate::pipeline::{Handle, roll};
use crate::store::index::{Draft, Lookup};

/// All members, or the one that is named: an array.
pub(super) async fn members(
    named: Option<&str>,
    pipeline: &Handle,
    now: Timestamp,
) -> Result<Value, NoAnswer> {
    let index = &pipeline.reader().index;
    let members: Vec<Member> = match named {
        None => Draft::new(index).members()?,
        Some(named) => {
            let id = MemberId::typed(named)?;
            vec![index.member(&id)?.ok_or_else(|| id.unknown())?]
        }
    };
    // certificates are looked at one by one
    let shown = tokio::task::spawn_blocking(move || roll::shown(&members, now)).await;
    Ok(shown.map_err(|error| error.to_string())?.into())
}
