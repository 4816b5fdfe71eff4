//! The law of vouches: one counts when it is the word of an active member of another organisation, for who waits, under the policy in
//! force, and for the first time; and it is used once.
//!
//! Who may vouch is written here a second time, as the history of what came. Signatures and the list are kept by the real index.

use crate::laws_of_notices::{index, member_named};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use psirtd::domain::case::CaseId;
use psirtd::domain::decide::{Decision, Facts, Input, decide};
use psirtd::domain::distributor::{Change, Member, MemberId, Roster, State};
use psirtd::domain::event::{Event, What};
use psirtd::domain::message::{Digest, Mailbox, Message};
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::signature::{Signature, Standing, Verified};
use psirtd::store::index::{Draft, Lookup};
use psirtd::store::journal::Record;
use std::collections::BTreeSet;
use std::sync::Arc;

const APPLICANTS: [&str; 3] = ["acme", "bolt", "core"];
const MEMBERS: [&str; 3] = ["xeno", "yolk", "zinc"];

fn start() -> Timestamp {
    "2026-11-23T17:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    let mut policy = Policy::new(Mailbox::bare("security@example.org"));
    policy.case_prefix = "EX".to_owned();
    policy.people =
        vec![Person { mailbox: Mailbox::bare("ada@example.org"), roles: vec![Role::Coordinator] }];
    policy.distributors.address = Some("distributors@example.org".to_owned());
    policy.distributors.policy = "2".to_owned();
    policy
}

/// A mail that vouches, or pretends to.
#[derive(Debug, Clone)]
struct Word {
    by: &'static str,
    /// Whose key made the signature; nobody's: it is not signed.
    key: Option<&'static str>,
    /// One of few, so that some come again.
    signature: u8,
    hours_ago: i64,
    for_whom: &'static str,
    policy: &'static str,
}

#[derive(Debug, Clone)]
enum Happens {
    Word(Word),
    Becomes(&'static str, State),
    AppliesAgain(&'static str),
}

fn happens() -> impl Strategy<Value = Happens> {
    let anybody = || select([&APPLICANTS[..], &MEMBERS[..]].concat());
    let honest =
        (select(MEMBERS.to_vec()), 0_u8..6, select(APPLICANTS.to_vec())).prop_map(|(by, signature, whom)| {
            Word { by, key: Some(by), signature, hours_ago: 1, for_whom: whom, policy: "2" }
        });
    let any = (anybody(), prop::option::weighted(0.8, anybody()), 0_u8..6, select(vec![1_i64, 23, 25, 200]))
        .prop_flat_map(move |(by, key, signature, hours_ago)| {
            (anybody(), select(vec!["1", "2", "2", "3"])).prop_map(move |(for_whom, policy)| Word {
                by,
                key,
                signature,
                hours_ago,
                for_whom,
                policy,
            })
        });
    prop_oneof![
        4 => honest.prop_map(Happens::Word),
        4 => any.prop_map(Happens::Word),
        2 => (select(MEMBERS.to_vec()), select(vec![State::Active, State::Suspended, State::Removed]))
            .prop_map(|(member, state)| Happens::Becomes(member, state)),
        1 => select(APPLICANTS.to_vec()).prop_map(Happens::AppliesAgain),
    ]
}

struct World {
    policy: Policy,
    draft: Draft<'static>,
    mails: u8,
    /// In other words: whoever is on the list, and may speak.
    active: BTreeSet<&'static str>,
    /// Signatures that came in a mail that was about a vouch, whatever became of it.
    seen: BTreeSet<Digest>,
    /// Those that count.
    counted: BTreeSet<Digest>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            policy: policy(),
            draft: Draft::new(index()),
            mails: 0,
            active: MEMBERS.into_iter().collect(),
            seen: BTreeSet::new(),
            counted: BTreeSet::new(),
        };
        for (place, id) in (1..).zip(APPLICANTS) {
            world.opens_a_case(place, id);
            world.member(
                id,
                Change::Added { known: Box::new(member_named(id, State::Applied)) },
                Some(place),
            );
            world.applies(id, place);
        }
        for id in MEMBERS {
            world.member(id, Change::Added { known: Box::new(member_named(id, State::Active)) }, None);
        }
        world
    }

    fn case_of(place: u32) -> CaseId {
        CaseId::new("EX", 2026, place)
    }

    fn opens_a_case(&mut self, place: u32, id: &str) {
        let what = What::CaseOpened {
            subject: None,
            reporter: Some(Mailbox::bare(format!("security@{id}.example"))),
            received_at: start(),
            deadlines: Vec::new(),
            missing: Vec::new(),
            hints: Vec::new(),
            terms: None,
        };
        self.fold(vec![Event { at: start(), case: Some(Self::case_of(place)), what }]);
    }

    fn applies(&mut self, id: &str, place: u32) {
        let change = Change::Applied {
            organisation: id.to_owned(),
            addresses: vec![Mailbox::bare(format!("security@{id}.example"))],
            criteria: Vec::new(),
            policy: "2".to_owned(),
        };
        self.member(id, change, Some(place));
    }

    fn member(&mut self, id: &str, change: Change, case: Option<u32>) {
        let (member, by) = (MemberId::typed(id).unwrap(), "operator".to_owned());
        let what = What::Member { member, change: Box::new(change), by };
        self.fold(vec![Event { at: start(), case: case.map(Self::case_of), what }]);
    }

    fn fold(&mut self, events: Vec<Event>) {
        self.draft.fold(&Record { seq: 0, at: start(), receipt: None, events }).unwrap();
    }

    fn known(&self, id: &str) -> Member {
        self.draft.member(&MemberId::typed(id).unwrap()).unwrap().unwrap()
    }

    fn comes(&mut self, word: &Word) -> Result<(), TestCaseError> {
        self.mails += 1;
        let signature = Digest::from_bytes(&[8, word.signature]);
        let address = |id: &str| Mailbox::bare(format!("security@{id}.example"));
        let signed_at = start() - SignedDuration::from_hours(word.hours_ago);
        let verdict = match word.key {
            None => Signature::None,
            Some(key) if key == word.by => {
                let key = format!("F{key}");
                Signature::Good(Verified::mint(key, Standing::Pinned, signed_at, signature.clone(), false))
            }
            Some(key) => Signature::OtherAddress { signer: format!("F{key}") },
        };
        let message = Message {
            digest: Digest::from_bytes(&[7, self.mails]),
            from: vec![address(word.by)],
            recipients: vec!["security@example.org".to_owned()],
            message_id: Some(format!("vouch{}@example.net", self.mails)),
            signature: verdict.clone(),
            text: format!("vouch {} {}\n", word.for_whom, word.policy),
            ..Message::default()
        };
        let members = self.draft.members().unwrap();
        let keys = members.iter().map(|member| (member.id.clone(), Ok(None))).collect();
        let application = self.known(word.for_whom).application.map(|(case, _)| case);
        let facts = Facts {
            case: application.map_or(Ok(None), |case| self.draft.case(&case)).unwrap(),
            roster: Some(Arc::new(Roster { members, keys })),
            token: "f".repeat(32),
            signature_used: verdict.is_good() && self.draft.used(&signature).unwrap(),
            next_number: 90 + u32::from(self.mails),
            ..Facts::default()
        };
        let before = self.known(word.for_whom);
        let input = Input::Mail { message: Arc::new(message), received_at: start() };
        let Decision { events, letters } = decide(&facts, &input, &self.policy, start());
        for letter in &letters {
            prop_assert!(
                letter.protection == psirtd::domain::letter::Protection::Encrypted
                    || letter.to.address.contains(word.by)
            );
        }
        self.fold(events);
        let after = self.known(word.for_whom);

        // in other words
        let counts = self.active.contains(word.by)
            && word.key == Some(word.by)
            && !self.seen.contains(&signature)
            && word.hours_ago <= 24
            && before.state == State::Applied
            && word.policy == "2";
        let vouched = after.vouch.is_some() && after.vouch != before.vouch;
        prop_assert_eq!(vouched, counts, "{:?}: {:?} {:?}", word, before.vouch, after.vouch);
        if counts {
            prop_assert!(self.counted.insert(signature.clone()), "a vouch is used twice");
            let vouch = after.vouch.unwrap();
            prop_assert_eq!(vouch.by.as_str(), word.by);
        }
        for other in APPLICANTS.iter().filter(|other| **other != word.for_whom) {
            prop_assert!(
                self.known(other)
                    .vouch
                    .is_none_or(|vouch| vouch.mail != Digest::from_bytes(&[7, self.mails]))
            );
        }
        if self.draft.used(&signature).unwrap() {
            self.seen.insert(signature);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_vouch_counts_once_and_for_whom_it_names(all in prop::collection::vec(happens(), 1..25)) {
        let mut world = World::new();
        for one in &all {
            match one {
                Happens::Word(word) => world.comes(word)?,
                Happens::Becomes(id, State::Active) => {
                    if world.known(id).state == State::Suspended {
                        world.member(id, Change::Resumed, None);
                        world.active.insert(*id);
                    }
                }
                Happens::Becomes(id, state) => {
                    if world.known(id).state != State::Removed {
                        let change = match state {
                            State::Suspended => Change::Suspended { why: None },
                            _ => Change::Removed { why: None },
                        };
                        world.member(id, change, None);
                        world.active.remove(id);
                    }
                }
                Happens::AppliesAgain(id) => {
                    let place = APPLICANTS.iter().position(|known| known == id).unwrap();
                    world.applies(id, u32::try_from(place).unwrap() + 1);
                }
            }
        }
    }
}
