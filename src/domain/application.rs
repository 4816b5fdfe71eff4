//! What an organisation that wants to join the list has shown, and what is still open.
//!
//! # What it is for
//! P-19, P-20. A coordinator approves an application, and nothing else makes a member of an applicant.
//!
//! # Invariants
//! * Whatever is open is told at once.

use jiff::Timestamp;

use crate::domain::distributor::Member;
use crate::domain::policy::distributors::{CriterionKind, Distributors};

/// What is open before the organisation can be approved, a line each. `key` is what the roster says of its certificates.
pub fn lacks(member: &Member, policy: &Distributors, key: &Result<Option<Timestamp>, String>) -> Vec<String> {
    let mut lacks = Vec::new();
    for (criterion, number) in policy.criteria.iter().zip(1_usize..) {
        let said = member.criteria.iter().find(|said| said.number == number);
        match (criterion.kind, said) {
            (CriterionKind::Evidence, None) => lacks.push(format!("criterion {number} is not answered")),
            (CriterionKind::Evidence, Some(said))
                if matches!(said.reviewed, Some((_, false))) || said.evidence.trim().is_empty() =>
            {
                lacks.push(format!("criterion {number} is not met, as a person found"));
            }
            (CriterionKind::Vouch, _) => match &member.vouch {
                None => lacks.push("nobody has vouched for it".to_owned()),
                Some(vouch) if vouch.policy != policy.policy => lacks.push(format!(
                    "the vouch is for version {} of the embargo policy, not {}",
                    vouch.policy, policy.policy
                )),
                Some(_) => {}
            },
            (CriterionKind::Evidence | CriterionKind::Acceptance, _) => {}
        }
    }
    match &member.accepted {
        Some((version, _)) if *version == policy.policy => {}
        Some((version, _)) => lacks.push(format!(
            "it has accepted version {version} of the embargo policy, and {} is in force",
            policy.policy
        )),
        None => lacks.push("it has not accepted the embargo policy".to_owned()),
    }
    match key {
        _ if !member.certificates.iter().any(|one| member.holds(&one.fingerprint)) => {
            lacks.push("it has not shown that it holds the key of a certificate".to_owned());
        }
        Err(why) => lacks.push(format!("it cannot be written to encrypted: {why}")),
        Ok(_) => {}
    }
    lacks
}
