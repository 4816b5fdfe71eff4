//! What the coordinators are told of the desk itself.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::decide::{Decision, Facts};
use crate::domain::event::{Event, What};
use crate::domain::letter::{Body, Letter, LetterId, Protection};
use crate::domain::policy::{Person, Policy};

/// See [`super::decide`]. One letter a coordinator tells everything there is to tell. Who cannot be written to encrypted hears
/// only what may be read on the way: that, above all, is why nothing else reaches them.
pub(super) fn decide(facts: &Facts, policy: &Policy, now: Timestamp) -> Decision {
    let mut number = facts.desk_letters;
    // what nobody could be told is not told
    let mut told = BTreeSet::new();
    let mut letter = |to: &Person| {
        let reachable = facts.reachable.contains(&to.mailbox.canonical());
        let concerns: Vec<_> = facts.concerns.iter().filter(|concern| concern.public || reachable).collect();
        let lines: Vec<String> = concerns.iter().map(|concern| concern.text.clone()).collect();
        if lines.is_empty() {
            return None;
        }
        number = number.saturating_add(1);
        told.extend(concerns.iter().map(|concern| concern.key.clone()));
        Some(Letter {
            id: LetterId::of_desk(&policy.case_prefix, number),
            to: to.mailbox.clone(),
            protection: if reachable { Protection::Encrypted } else { Protection::Signed },
            in_reply_to: None,
            references: Vec::new(),
            body: Body::Warning(lines),
        })
    };
    let letters: Vec<Letter> = policy.coordinators().filter_map(&mut letter).collect();
    if letters.is_empty() {
        return Decision::default();
    }
    let what = What::Told { concerns: told.into_iter().collect() };
    Decision { events: vec![Event { at: now, case: None, what }], letters }
}
