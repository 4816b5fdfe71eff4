//! Who of the distributors had been sent what, as JSON: what `psirtd exposure` shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::case::Case;
use crate::domain::exposure::{self, Exposed, Sent};
use crate::domain::posting::Posting;

/// The ledger of a case as of a time.
pub(super) fn exposure_json(case: &Case, copies: &[Posting], at: Timestamp) -> Value {
    let ledger = exposure::ledger(case, copies, at);
    let leaks = case.leaks.iter().filter(|(leaked, ..)| *leaked <= at);
    let leaks = leaks.map(|(at, member, by)| json!({ "at": at, "member": member, "by": by }));
    json!({
        "case": case.id,
        "at": at,
        "told": exposure::counted(&ledger),
        "leaks": leaks.collect::<Vec<_>>(),
        "members": ledger.iter().map(member_json).collect::<Vec<_>>(),
    })
}

fn member_json(exposed: &Exposed<'_>) -> Value {
    let sent: Vec<Value> = exposed.copies.iter().map(sent_json).collect();
    json!({ "member": exposed.member, "released_at": exposed.since, "notices": sent })
}

fn sent_json(sent: &Sent<'_>) -> Value {
    json!({
        "number": sent.notice.number,
        "kind": sent.notice.content.sort.word(),
        "tlp": sent.notice.content.tlp.word(),
        "letter": sent.posting.map(|posting| &posting.id),
        "to": sent.posting.map(|posting| &posting.to.address),
        "state": sent.reached.word(),
        "accepted_at": sent.accepted_at(),
        "returned_at": sent.returned_at(),
        "confirmed_at": sent.confirmed_at(),
        "last_reply": sent.reply(),
    })
}
