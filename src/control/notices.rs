//! What the distributors were sent, as JSON: for `psirtd case`.

use serde_json::{Value, json};

use crate::control::bracketed;
use crate::domain::case::Case;
use crate::domain::distributor::MemberId;
use crate::domain::mark;
use crate::domain::notice::{Notice, Pending};
use crate::domain::policy::Policy;
use crate::domain::posting::Posting;
use crate::domain::recipient::{self, Standing};

/// The notices of a case, each with its copies.
pub(super) fn notices_json(case: &Case, copies: &[Posting]) -> Value {
    case.notices.iter().map(|notice| notice_json(notice, copies)).collect()
}

fn notice_json(notice: &Notice, copies: &[Posting]) -> Value {
    let counted = recipient::counted(recipient::of_notice(notice, copies));
    let states: serde_json::Map<String, Value> =
        counted.iter().map(|(standing, count)| (standing.word().to_owned(), (*count).into())).collect();
    let recipients: Vec<Value> =
        recipient::of_notice(notice, copies).map(|posting| copy_json(notice, posting)).collect();
    let left_out: Vec<Value> =
        notice.left_out.iter().map(|(member, why)| json!({ "member": member, "why": why })).collect();
    json!({
        "number": notice.number,
        "kind": notice.content.sort.word(),
        "tlp": notice.content.tlp.word(),
        "at": notice.at,
        "by": notice.by,
        "members": notice.recipients,
        "unwritten": notice.unwritten(recipients.len()),
        "attachments": notice.content.files.iter().map(|file| &file.name).collect::<Vec<_>>(),
        "states": states,
        "recipients": recipients,
        "left_out": left_out,
    })
}

fn copy_json(notice: &Notice, posting: &Posting) -> Value {
    let member = posting.copy.as_ref().map(|copy| &copy.member).map(MemberId::as_str);
    json!({
        "member": member,
        "letter": posting.id,
        "to": posting.to.address,
        "state": Standing::of(posting).word(),
        "since": recipient::since(posting),
        "queued_at": posting.queued_at,
        "sent_at": posting.sent_at,
        "confirmed_at": posting.confirmed_at,
        "attempts": posting.attempts,
        "next_attempt": posting.next_attempt,
        "last_reply": posting.last_reply,
        "mark": mark::of(&notice.marks, posting.id.number().unwrap_or_default()),
        "message_id": bracketed(posting.message_id.as_deref()),
    })
}

/// Proposals that wait for another person's word.
pub(super) fn proposals_json<'p>(pending: impl Iterator<Item = &'p Pending>, policy: &Policy) -> Value {
    let of_one = |pending: &Pending| {
        let Pending { number, proposal, by, at, first_approval, .. } = pending;
        let needed = pending.approvals_needed(policy);
        json!({
            "number": number, "what": proposal.told(), "by": by, "at": at, "first_approval": first_approval,
            "approvals_needed": needed,
        })
    };
    pending.map(of_one).collect()
}
