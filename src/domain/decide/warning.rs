//! What the coordinators are told of the desk itself.

use jiff::Timestamp;

use crate::domain::concern::COLLECTED;
use crate::domain::decide::{Decision, Facts};
use crate::domain::event::{Event, What};
use crate::domain::letter::{Body, Letter, LetterId, Protection};
use crate::domain::policy::{Person, Policy};

/// See [`super::decide`]. One letter a coordinator tells everything there is to tell. Who cannot be written to encrypted hears
/// only what may be read on the way: that, above all, is why nothing else reaches them.
pub(super) fn decide(facts: &Facts, policy: &Policy, now: Timestamp) -> Decision {
    let just_told = facts.told_at.is_some_and(|at| now.duration_since(at) < COLLECTED);
    let due: Vec<_> = facts.concerns.iter().filter(|concern| concern.public || !just_told).collect();
    if due.is_empty() || policy.coordinators().next().is_none() {
        return Decision::default();
    }
    let mut number = facts.desk_letters;
    let mut letter = |to: &Person| {
        let reachable = facts.reachable.contains(&to.mailbox.canonical());
        let told = due.iter().filter(|concern| concern.public || reachable);
        let lines: Vec<String> = told.map(|concern| concern.text.clone()).collect();
        number = number.saturating_add(1);
        (!lines.is_empty()).then(|| Letter {
            id: LetterId::of_desk(&policy.case_prefix, number),
            to: to.mailbox.clone(),
            protection: if reachable { Protection::Encrypted } else { Protection::Signed },
            in_reply_to: None,
            references: Vec::new(),
            body: Body::Warning(lines),
        })
    };
    let letters = policy.coordinators().filter_map(&mut letter).collect();
    let told = What::Told { concerns: due.iter().map(|concern| concern.key.clone()).collect() };
    Decision { events: vec![Event { at: now, case: None, what: told }], letters }
}
