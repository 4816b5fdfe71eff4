//! Letters to an organisation about its membership.

use crate::domain::case::CaseId;
use crate::domain::distributor::Member;
use crate::domain::letter::{Body, Letter, LetterId, Membership, Protection};
use crate::domain::message::Mailbox;
use crate::domain::policy::Policy;

/// A letter about its membership to an organisation that has shown that it holds a key. None when it has no address, or no such key:
/// nothing of it is for everybody.
pub(super) fn letter(
    topic: &'static str,
    member: &Member,
    case: Option<&CaseId>,
    id: LetterId,
    lines: Vec<String>,
    text: Option<String>,
    policy: &Policy,
) -> Option<Letter> {
    let to = member.addresses.first()?;
    let held = member.certificates.iter().filter(|certificate| member.holds(&certificate.fingerprint));
    let certificates: Vec<_> = held.cloned().collect();
    if certificates.is_empty() {
        return None;
    }
    let body = Membership {
        topic,
        organisation: member.organisation.clone(),
        member: member.id.to_string(),
        token: None,
        lines,
        text,
        policy: policy.distributors.policy.clone(),
        policy_page: policy.distributors.policy_page.clone(),
        certificates,
        automatic: false,
    };
    Some(Letter {
        id,
        to: Mailbox::bare(to.address.clone()),
        protection: Protection::Encrypted,
        in_reply_to: None,
        references: Vec::new(),
        body: Body::Membership(case.cloned(), Box::new(body)),
    })
}
