//! Until when what a case is about is known to those alone who have to know, and who agreed to that.
//!
//! # What it is for
//! P-14, P-15, P-5. An instant is proposed, its reporter and the distributors who know of the case consent or do not, and the team
//! decides. It is moved for one of the reasons of the process, and ends by a person's word: lifted as agreed, or broken, because the
//! matter is known or has leaked.
//!
//! # Invariants
//! * It ends at an instant, the same for everybody; zones are for display.
//! * At most one is in force, and what is over does not begin again.
//! * A consent is to an instant: when that is moved, it is asked for anew.

pub mod limits;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{Calendar, Moment};
use crate::domain::distributor::MemberId;
use crate::domain::message::Digest;

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Embargo {
    /// Nothing is agreed, and everything is confidential.
    #[default]
    None,
    /// There is an instant, at least a proposed one.
    Until(Box<Agreement>),
    /// It was lifted: everything is public.
    Lifted {
        /// Since then.
        since: Timestamp,
        /// What had been agreed.
        agreement: Option<Box<Agreement>>,
    },
    /// The matter is publicly known.
    Broken {
        /// Since a person said so.
        since: Timestamp,
        /// Where it stands, as that person says.
        place: Option<String>,
        /// What had been agreed.
        #[serde(default)]
        agreement: Option<Box<Agreement>>,
    },
}

/// An instant, and who agreed to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The instant.
    pub until: Timestamp,
    /// How far it is agreed.
    pub state: Agreed,
    /// Who proposed it first.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How it was moved, in order.
    #[serde(default)]
    pub revisions: Vec<Revision>,
    /// What was answered to it, in order; what is said of an earlier instant counts no more.
    #[serde(default)]
    pub consents: Vec<Consent>,
}

/// How far an instant is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Agreed {
    /// The team proposes it.
    Proposed,
    /// The team has decided (P-14: it has the final say).
    Agreed,
    /// The team has decided, and moved it since.
    Revised,
}

/// A move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
    /// Why; a proposal is changed without a reason.
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

/// Why an agreed instant is moved (P-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The bug or the fix is not understood.
    NotUnderstood,
    /// The fix is not well tested.
    NotTested,
    /// The distributors need it.
    Distributors,
    /// It can be earlier: everything is ready.
    Ready,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotUnderstood, Self::NotTested, Self::Distributors, Self::Ready];

    /// As people type it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotUnderstood => "not-understood",
            Self::NotTested => "not-tested",
            Self::Distributors => "distributors",
            Self::Ready => "ready",
        }
    }

    /// In a person's words.
    pub fn told(self) -> &'static str {
        match self {
            Self::NotUnderstood => "the bug or the fix is not yet fully understood",
            Self::NotTested => "the solution is not well tested yet",
            Self::Distributors => "the distributors need the time",
            Self::Ready => "everything is ready earlier",
        }
    }
}

/// Who answers to an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// Who reported the case, by address.
    Reporter(String),
    /// A member of the distributors' list.
    Member(MemberId),
}

impl Party {
    /// As the team knows it.
    pub fn name(&self) -> &str {
        match self {
            Self::Reporter(address) => address.as_str(),
            Self::Member(member) => member.as_str(),
        }
    }
}

/// A signed answer to an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Whose.
    pub party: Party,
    /// To which instant.
    pub until: Timestamp,
    /// Yes or no.
    pub agrees: bool,
    /// When.
    pub at: Timestamp,
    /// In which mail.
    pub mail: Digest,
}

/// How it stands, for a letter to the reporter: the words are the template's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// `proposed`, `agreed`, `revised`, `lifted` and so on.
    pub state: &'static str,
    /// When it ends.
    pub until: Option<Moment>,
    /// The date of that in UTC, as an answer may name it.
    pub date: Option<String>,
    /// Why it was moved, as people type it.
    pub reason: Option<&'static str>,
}

/// What happens to an embargo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// An instant is proposed, or another one in its place.
    Proposed {
        /// The instant.
        until: Timestamp,
    },
    /// The team decides.
    Agreed,
    /// The team moves what was agreed.
    Revised {
        /// The instant.
        until: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// A party answers, signed.
    Consented {
        /// The answer.
        consent: Consent,
        /// The signatures that are used up by that.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        signatures: Vec<Digest>,
    },
    /// It is over.
    Lifted,
}

impl Embargo {
    /// Since when the matter is publicly known, if it is.
    pub fn public_since(&self) -> Option<Timestamp> {
        match self {
            Self::None | Self::Until(_) => None,
            Self::Lifted { since, .. } | Self::Broken { since, .. } => Some(*since),
        }
    }

    /// The instant and who agreed to it, as long as it stands.
    pub fn agreement(&self) -> Option<&Agreement> {
        match self {
            Self::Until(agreement) => Some(agreement),
            _ => None,
        }
    }

    /// The same, or what was agreed before it was over.
    pub fn last_agreement(&self) -> Option<&Agreement> {
        match self {
            Self::None => None,
            Self::Until(agreement) => Some(agreement),
            Self::Lifted { agreement, .. } | Self::Broken { agreement, .. } => agreement.as_deref(),
        }
    }

    /// As people and `--json` read it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Until(agreement) => match agreement.state {
                Agreed::Proposed => "proposed",
                Agreed::Agreed => "agreed",
                Agreed::Revised => "revised",
            },
            Self::Lifted { .. } => "lifted",
            Self::Broken { .. } => "broken",
        }
    }

    /// How it stands, in parts.
    pub fn standing(&self, calendar: &Calendar) -> Standing {
        let until = self.agreement().map(|agreement| agreement.until);
        let moved = self.agreement().and_then(|agreement| agreement.revisions.last());
        Standing {
            state: self.word(),
            until: until.map(|until| calendar.moment(until)),
            date: until.map(|until| until.strftime("%Y-%m-%d").to_string()),
            reason: moved.and_then(|moved| moved.reason).map(Reason::word),
        }
    }

    /// Something happens to it. What makes no sense any more changes nothing.
    pub fn apply(&mut self, step: &Step, by: &str, at: Timestamp) {
        match (step, &mut *self) {
            (Step::Proposed { until }, Self::None) => {
                *self = Self::Until(Box::new(Agreement {
                    until: *until,
                    state: Agreed::Proposed,
                    by: by.to_owned(),
                    at,
                    revisions: Vec::new(),
                    consents: Vec::new(),
                }));
            }
            (Step::Proposed { until }, Self::Until(known)) if known.state == Agreed::Proposed => {
                known.move_to(*until, None, by, at);
            }
            (Step::Agreed, Self::Until(known)) if known.state == Agreed::Proposed => {
                known.state = Agreed::Agreed;
            }
            (Step::Revised { until, reason }, Self::Until(known)) => {
                known.move_to(*until, Some(*reason), by, at);
                known.state = Agreed::Revised;
            }
            (Step::Consented { consent, .. }, Self::Until(known)) => known.consents.push(consent.clone()),
            (Step::Lifted, Self::None) => *self = Self::Lifted { since: at, agreement: None },
            (Step::Lifted, Self::Until(known)) => {
                *self = Self::Lifted { since: at, agreement: Some(known.clone()) };
            }
            _ => {}
        }
    }

    /// The matter is known, or has leaked: what was agreed is over.
    pub fn break_at(&mut self, at: Timestamp, place: Option<String>) {
        match self {
            Self::None => *self = Self::Broken { since: at, place, agreement: None },
            Self::Until(known) => {
                *self = Self::Broken { since: at, place, agreement: Some(known.clone()) };
            }
            Self::Lifted { .. } | Self::Broken { .. } => {}
        }
    }
}

impl Agreement {
    /// Since when it is this instant: what was signed before is about another one.
    pub fn set_at(&self) -> Timestamp {
        self.revisions.last().map_or(self.at, |last| last.at)
    }

    /// The team has decided.
    pub fn is_agreed(&self) -> bool {
        self.state != Agreed::Proposed
    }

    fn move_to(&mut self, until: Timestamp, reason: Option<Reason>, by: &str, at: Timestamp) {
        self.revisions.push(Revision { from: self.until, to: until, reason, at, by: by.to_owned() });
        self.until = until;
    }

    /// What each party says of the instant that stands, the latest word of each.
    pub fn answers(&self) -> Vec<&Consent> {
        let mut answers: Vec<&Consent> = Vec::new();
        let counts = |consent: &&Consent| consent.until == self.until && consent.at >= self.set_at();
        for consent in self.consents.iter().filter(counts) {
            answers.retain(|known| known.party != consent.party);
            answers.push(consent);
        }
        answers
    }
}

impl Step {
    /// What kind of step it is.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proposed { .. } => "proposed",
            Self::Agreed => "agreed",
            Self::Revised { .. } => "revised",
            Self::Consented { .. } => "consented",
            Self::Lifted => "lifted",
        }
    }

    /// The signatures that are used up by it.
    pub fn signatures(&self) -> &[Digest] {
        match self {
            Self::Consented { signatures, .. } => signatures,
            _ => &[],
        }
    }

    /// In a person's words.
    pub fn told(&self) -> String {
        let utc = |at: &Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        match self {
            Self::Proposed { until } => format!("embargo proposed until {}", utc(until)),
            Self::Agreed => "embargo agreed: the team has decided".to_owned(),
            Self::Revised { until, reason } => {
                format!("embargo moved to {}: {}", utc(until), reason.told())
            }
            Self::Consented { consent, .. } => {
                let who = consent.party.name();
                let says = if consent.agrees { "agrees" } else { "does NOT agree" };
                format!("{who} {says} to {}", utc(&consent.until))
            }
            Self::Lifted => "embargo lifted".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    /// Whatever may happen to an embargo, in whatever order.
    #[derive(Debug, Clone)]
    enum Happening {
        Step(Step),
        Broken,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let party = select(vec![
            Party::Reporter("rita@example.net".to_owned()),
            Party::Reporter("sam@example.com".to_owned()),
        ]);
        let until = (1_i64..4).prop_map(|day| at(day * 86_400 * 10));
        let consent = (party, until.clone(), any::<bool>()).prop_map(|(party, until, agrees)| {
            let mail = Digest::from_bytes(&[1]);
            let consent = Consent { party, until, agrees, at: at(0), mail };
            Step::Consented { consent, signatures: Vec::new() }
        });
        prop_oneof![
            4 => until.clone().prop_map(|until| Happening::Step(Step::Proposed { until })),
            3 => Just(Happening::Step(Step::Agreed)),
            3 => until.prop_map(|until| Happening::Step(Step::Revised { until, reason: Reason::NotTested })),
            6 => consent.prop_map(Happening::Step),
            1 => Just(Happening::Step(Step::Lifted)),
            1 => Just(Happening::Broken),
        ]
    }

    fn happens(embargo: &mut Embargo, happening: &Happening, at: Timestamp) {
        match happening.clone() {
            Happening::Step(Step::Consented { consent, signatures }) => {
                let consent = Consent { at, ..consent };
                embargo.apply(&Step::Consented { consent, signatures }, "rita@example.net", at);
            }
            Happening::Step(step) => embargo.apply(&step, "ada@example.org", at),
            Happening::Broken => embargo.break_at(at, None),
        }
    }

    proptest! {
        /// Once it is over it stays as it is, and the matter is public since the first word of that.
        #[test]
        fn what_is_over_does_not_begin_again(all in proptest::collection::vec(happening(), 0..40)) {
            let mut embargo = Embargo::None;
            for (now, happening) in (1..).zip(&all) {
                let before = embargo.clone();
                happens(&mut embargo, happening, at(now));
                if before.public_since().is_some() {
                    prop_assert_eq!(&embargo, &before);
                }
                let ends = matches!(happening, Happening::Broken | Happening::Step(Step::Lifted));
                prop_assert_eq!(embargo.public_since().is_some(), ends || before.public_since().is_some());
            }
        }

        /// What is agreed is moved by `Revised` alone, which says why; and each move is kept.
        #[test]
        fn no_move_of_what_is_agreed_is_without_its_reason(all in proptest::collection::vec(happening(), 0..40)) {
            let mut embargo = Embargo::None;
            for (now, happening) in (1..).zip(&all) {
                let before = embargo.clone();
                happens(&mut embargo, happening, at(now));
                let (Some(before), Some(after)) = (before.agreement(), embargo.agreement()) else { continue };
                if before.until != after.until || before.revisions.len() != after.revisions.len() {
                    let last = after.revisions.last().unwrap();
                    prop_assert_eq!((last.from, last.to), (before.until, after.until));
                    prop_assert_eq!(after.revisions.len(), before.revisions.len() + 1);
                    prop_assert_eq!(after.set_at(), at(now));
                    prop_assert!(last.reason.is_some() || !before.is_agreed());
                }
            }
        }

        /// Of each party the latest word counts, to the instant that stands, and nothing else.
        #[test]
        fn what_was_said_of_another_instant_counts_no_more(all in proptest::collection::vec(happening(), 0..40)) {
            let mut embargo = Embargo::None;
            let mut said: Vec<&Consent> = Vec::new();
            for (now, happening) in (1..).zip(&all) {
                let moves = embargo.agreement().map(|known| known.revisions.len());
                if let (Happening::Step(Step::Consented { consent, .. }), Some(_)) = (happening, embargo.agreement()) {
                    said.push(consent);
                }
                happens(&mut embargo, happening, at(now));
                // it is asked for anew, even when it was moved back to what it had been
                if embargo.agreement().map(|known| known.revisions.len()) != moves {
                    said.clear();
                }
            }
            let Some(agreement) = embargo.agreement() else { return Ok(()) };
            let answers = agreement.answers();
            for party in ["rita@example.net", "sam@example.com"].map(|it| Party::Reporter(it.to_owned())) {
                let last = said.iter().rev().find(|one| one.party == party && one.until == agreement.until);
                let told: Vec<bool> =
                    answers.iter().filter(|one| one.party == party).map(|one| one.agrees).collect();
                prop_assert_eq!(told, last.map(|one| one.agrees).into_iter().collect::<Vec<_>>());
            }
        }
    }
}
