//! Laws of the distributors' list: who may know, from when on nobody may, and that two persons stand behind what leaves the house.
//!
//! The core and the index, without a disk for mails and without a key. Who may know is written here a second time, in other words than
//! there: as the history of what was said.

use crate::laws_of_commands::report;
use crate::servers::desk::keys;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use psirtd::custody::DeskKeys;
use psirtd::domain::case::{Case, CaseId};
use psirtd::domain::command::order;
use psirtd::domain::decide::{Copies, Decision, Facts, Input, Ordered, Turn, decide, obey};
use psirtd::domain::distributor::{Change, Member, MemberId, Roster, State};
use psirtd::domain::embargo;
use psirtd::domain::event::{Event, What};
use psirtd::domain::letter::{Body, Letter, LetterId, LetterKind};
use psirtd::domain::message::{Digest, Mailbox, Message};
use psirtd::domain::notice::{Sort, Step};
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::posting::{LetterState, Posting};
use psirtd::domain::signature::{Certificate, Signature, Source, Standing, Verified};
use psirtd::keyring::Keyring;
use psirtd::store::index::{Draft, Index, Lookup};
use psirtd::store::journal::Record;
use psirtd::store::vault::Vault;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

const CASE: &str = "EX-2026-0001";
const ADA: &str = "ada@example.org";
const OTTO: &str = "otto@example.org";
const MAX: &str = "max@example.org";
const RITA: &str = "rita@example.net";
const MEMBERS: [&str; 4] = ["acme", "bolt", "core", "dune"];

fn start() -> Timestamp {
    "2026-11-23T17:00:00Z".parse().unwrap()
}

fn policy(four_eyes: bool) -> Policy {
    let person = |address: &str, role| Person { mailbox: Mailbox::bare(address), roles: vec![role] };
    let mut policy = Policy::new(Mailbox::bare("security@example.org"));
    policy.case_prefix = "EX".to_owned();
    policy.people =
        vec![person(ADA, Role::Coordinator), person(OTTO, Role::Coordinator), person(MAX, Role::Maintainer)];
    policy.distributors.address = Some("distributors@example.org".to_owned());
    policy.distributors.four_eyes = Some(four_eyes);
    policy
}

/// An index without anything in it; what happens is kept in a draft, in memory.
pub fn index() -> &'static Index {
    static INDEX: OnceLock<(TempDir, Index)> = OnceLock::new();
    let (_, index) = INDEX.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let mut keyring = Keyring::new();
        keyring.add_secret_keys(&keys().desk_secret, None).unwrap();
        let now = psirtd::clock::Clock::System.now();
        let (vault, _) = Vault::open(dir.path(), &DeskKeys { keyring: &keyring, now }, true).unwrap();
        let index = Index::open(&dir.path().join("index"), &vault).unwrap();
        (dir, index)
    });
    index
}

/// One step.
#[derive(Debug, Clone)]
enum Moved {
    /// Somebody says a line; none: on the command line.
    Says(Option<&'static str>, String),
    /// The next copies are written, so many.
    Copies(usize),
    /// What waits leaves the house.
    Leaves,
    /// A member is what it is from now on.
    Becomes(&'static str, State),
    /// A member's address writes about what it has: signed by it or by nobody, in these words.
    Writes(&'static str, bool, &'static str),
    /// Time goes by.
    Hours(i64),
}

fn step() -> impl Strategy<Value = Moved> {
    let who = select(vec![Some(ADA), Some(OTTO), Some(MAX), None]);
    let member = select(MEMBERS.to_vec());
    let line = prop_oneof![
        3 => Just("notice\n\nIt overflows.".to_owned()),
        2 => Just("update TLP:AMBER+STRICT\n\nThe fix.".to_owned()),
        3 => (1_u32..8).prop_map(|number| format!("approve {number}")),
        1 => (1_u32..8).prop_map(|number| format!("withdraw {number}")),
        1 => member.clone().prop_map(|member| format!("release-to {member}")),
        1 => Just("share".to_owned()),
        1 => Just("public".to_owned()),
        1 => member.clone().prop_map(|member| format!("leak stands {member}\n\nA tweet.")),
        1 => Just("leak ends\n\nA tweet.".to_owned()),
        1 => (10_u32..28).prop_map(|day| format!("embargo 2026-12-{day} 15:00")),
        1 => (10_u32..28).prop_map(|day| format!("embargo 2026-12-{day} 15:00 because not-tested")),
        1 => Just("embargo agree".to_owned()),
        1 => Just("embargo lift".to_owned()),
        1 => member.clone().prop_map(|member| format!("members suspend {member}")),
        1 => member.clone().prop_map(|member| format!("members remove {member}")),
        1 => Just("status".to_owned()),
        1 => Just("close".to_owned()),
        1 => Just("reopen".to_owned()),
    ];
    let state = select(vec![State::Active, State::Suspended, State::Removed]);
    prop_oneof![
        8 => (who, line).prop_map(|(who, line)| Moved::Says(who, line)),
        4 => (1_usize..4).prop_map(Moved::Copies),
        3 => Just(Moved::Leaves),
        2 => (member.clone(), any::<bool>(), select(vec!["received", "leak\nA tweet.", "status", "It does not build."]))
            .prop_map(|(member, signed, text)| Moved::Writes(member, signed, text)),
        2 => (member, state).prop_map(|(member, state)| Moved::Becomes(member, state)),
        1 => (1_i64..100).prop_map(Moved::Hours),
    ]
}

/// With four eyes on: what goes to members before the matter is public, an embargo that is moved or lifted, a removal.
fn needs_two(event: &Event) -> bool {
    match &event.what {
        What::Distribution { step, .. } => {
            matches!(step.as_ref(), Step::Begun { notice, .. } if notice.content.sort != Sort::Over)
        }
        What::Embargo { step, .. } => {
            matches!(step, embargo::Step::Revised { .. } | embargo::Step::Lifted)
        }
        What::Member { change, .. } => change.word() == "removed",
        _ => false,
    }
}

struct World {
    policy: Policy,
    draft: Draft<'static>,
    now: Timestamp,
    mails: u8,
    /// In other words: who was ever named as a recipient of the case, by a decision that was carried out.
    may_know: BTreeSet<String>,
    /// Whose signed mails are behind each proposal: who proposed, and who approved.
    signed: BTreeMap<u32, BTreeSet<&'static str>>,
    /// When a member was last put off the list, and when back on.
    off: BTreeSet<String>,
    /// Copies that have left the house: to whom.
    left: Vec<(String, LetterId)>,
}

/// An organisation with a certificate of its own.
pub fn member_named(id: &str, state: State) -> Member {
    let certificate =
        Certificate { fingerprint: format!("F{id}"), armored: id.to_owned(), source: Source::Roster };
    Member {
        id: MemberId::typed(id).unwrap(),
        organisation: id.to_owned(),
        addresses: vec![Mailbox::bare(member_address(id))],
        certificates: vec![certificate],
        state,
        since: start(),
        zone: None,
        application: None,
        criteria: Vec::new(),
        vouch: None,
        accepted: None,
        challenge: None,
        proven: vec![(format!("F{id}"), start())],
        strikes: Vec::new(),
        attest_by: None,
        history: Vec::new(),
        joined: None,
    }
}

fn member_address(id: &str) -> String {
    format!("security@{id}.example")
}

impl World {
    fn new(four_eyes: bool) -> World {
        let mut world = World {
            policy: policy(four_eyes),
            draft: Draft::new(index()),
            now: start(),
            mails: 10,
            may_know: BTreeSet::new(),
            signed: BTreeMap::new(),
            off: BTreeSet::new(),
            left: Vec::new(),
        };
        let message = Arc::new(report());
        let facts = Facts { next_number: 1, ..Facts::default() };
        let decision = decide(&facts, &Input::Mail { message, received_at: start() }, &world.policy, start());
        world.happens(decision);
        for id in MEMBERS {
            let certificate =
                Certificate { fingerprint: format!("F{id}"), armored: id.to_owned(), source: Source::Roster };
            let known = Member {
                addresses: vec![Mailbox::bare(member_address(id))],
                certificates: vec![certificate],
                proven: vec![(format!("F{id}"), start())],
                ..Member::new(MemberId::typed(id).unwrap(), id.to_owned(), State::Active, start())
            };
            world.member(id, Change::Added { known: Box::new(known) });
        }
        world
    }

    fn member(&mut self, id: &str, change: Change) {
        let (member, by) = (MemberId::typed(id).unwrap(), "operator".to_owned());
        let what = What::Member { member, change: Box::new(change), by };
        self.fold(vec![Event { at: self.now, case: None, what }]);
    }

    fn case(&self) -> Case {
        self.draft.case(&CaseId::typed(CASE)).unwrap().unwrap()
    }

    fn fold(&mut self, events: Vec<Event>) {
        // what is written is read again, as a journal does
        let written: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let events = written.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        self.draft.fold(&Record { seq: 0, at: self.now, receipt: None, events }).unwrap();
    }

    /// What follows becomes history; every letter is sealed.
    fn happens(&mut self, decision: Decision) {
        let Decision { mut events, letters } = decision;
        events.extend(letters.iter().map(|letter| self.queued(letter)));
        self.fold(events);
    }

    fn queued(&self, letter: &Letter) -> Event {
        let what = What::LetterQueued {
            letter: letter.id.clone(),
            kind: letter.kind(),
            to: letter.to.clone(),
            message_id: format!("{}@example.org", letter.id),
            bytes: Digest::from_bytes(&[9]),
            mail: letter.occasion().map(|occasion| occasion.about.digest.clone()),
            text: letter.text().cloned(),
            copy: letter.copy().cloned(),
        };
        Event { at: self.now, case: letter.case().cloned(), what }
    }

    fn roster(&self) -> Arc<Roster> {
        let members = self.draft.members().unwrap();
        let keys = members.iter().map(|member| (member.id.clone(), Ok(None))).collect();
        Arc::new(Roster { members, keys })
    }

    fn says(&mut self, who: Option<&'static str>, line: &str) -> Result<(), TestCaseError> {
        let text = format!("!case {CASE}\n!{line}\n");
        let read = order::read(&text, None, "EX");
        self.mails = self.mails.wrapping_add(1);
        let file = read.as_ref().ok().and_then(|order| order.text.as_ref());
        let file = file.map(|_| Digest::from_bytes(&[7]));
        let words: Vec<&str> = line.split_whitespace().collect();
        let copies = match words.as_slice() {
            ["members", "suspend" | "remove", member] => {
                self.draft.leaving(&MemberId::typed(member).unwrap()).unwrap()
            }
            ["approve", number] => match self.draft.proposal(number.parse().unwrap()).unwrap() {
                Some(pending) => match &pending.proposal {
                    psirtd::domain::notice::Proposal::Remove { member, .. } => {
                        self.draft.leaving(member).unwrap()
                    }
                    _ => self.draft.copies(&CaseId::typed(CASE)).unwrap(),
                },
                None => Vec::new(),
            },
            _ => self.draft.copies(&CaseId::typed(CASE)).unwrap(),
        };
        let ordered = Ordered {
            case: Some(self.case()),
            latest: vec![Arc::new(report())],
            roster: Some(self.roster()),
            pending: self.draft.pending().unwrap(),
            proposals: self.draft.proposals().unwrap(),
            copies,
            ..Ordered::new(read, file)
        };
        let facts = Facts {
            next_number: 2,
            desk_letters: self.draft.desk_letters().unwrap(),
            reachable: vec![ADA.to_owned(), OTTO.to_owned(), MAX.to_owned()],
            ordered: Some(Box::new(ordered)),
            ..Facts::default()
        };
        let decision = match who {
            None => obey(&facts, &self.policy, self.now).map(|(decision, _)| decision).unwrap_or_default(),
            Some(who) => {
                let id = Digest::from_bytes(&[1, self.mails]);
                let verified =
                    Verified::mint("0123".to_owned(), Standing::Pinned, self.now, id.clone(), true);
                let message = Message {
                    digest: id,
                    from: vec![Mailbox::bare(who)],
                    message_id: Some(format!("order{}@example.org", self.mails)),
                    signature: Signature::Good(verified),
                    text,
                    ..Message::default()
                };
                let input = Input::Mail { message: Arc::new(message), received_at: self.now };
                decide(&facts, &input, &self.policy, self.now)
            }
        };
        self.remember(who, &decision);
        self.lawful(&decision)?;
        self.happens(decision);
        Ok(())
    }

    /// What was said, in other words.
    fn remember(&mut self, who: Option<&'static str>, decision: &Decision) {
        for event in &decision.events {
            match &event.what {
                What::Distribution { step, .. } => match step.as_ref() {
                    Step::Proposed { number, .. }
                    | Step::FirstApproval { number }
                    | Step::Approved { number } => {
                        self.signed.entry(*number).or_default().extend(who);
                    }
                    Step::Begun { to, .. } => self.may_know.extend(to.iter().map(ToString::to_string)),
                    Step::Repeated { member, .. } => drop(self.may_know.insert(member.to_string())),
                    _ => {}
                },
                What::Member { member, change, .. } => match change.word() {
                    "suspended" | "removed" => drop(self.off.insert(member.to_string())),
                    "resumed" => drop(self.off.remove(member.as_str())),
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// No letter of the case is to anybody who may not know of it.
    fn lawful(&self, decision: &Decision) -> Result<(), TestCaseError> {
        let case = self.case();
        let standing = case.embargo.public_since().is_none();
        let shared: Vec<String> = case.shared_with.iter().map(|one| one.address.clone()).collect();
        let newly: Vec<String> = decision
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Shared { with, .. } => Some(with.iter().map(|one| one.address.clone())),
                _ => None,
            })
            .flatten()
            .collect();
        for letter in &decision.letters {
            let to = letter.to.address.clone();
            let member = MEMBERS.iter().find(|id| member_address(id) == to);
            if let Some(member) = member {
                prop_assert!(self.may_know.contains(*member), "{} hears of it: {:?}", member, letter.kind());
                prop_assert!(!self.off.contains(*member), "{} is off the list: {:?}", member, letter.kind());
            } else if standing && letter.case().is_some() && letter.kind() != LetterKind::Results {
                let insider = [ADA, OTTO, RITA].contains(&to.as_str())
                    || shared.contains(&to)
                    || newly.contains(&to)
                    || case.owner.as_ref().is_some_and(|owner| owner.address == to);
                prop_assert!(insider, "{} hears of it: {:?}", to, letter.kind());
            }
        }
        let begun = |event: &Event| match &event.what {
            What::Distribution { step, .. } => {
                matches!(step.as_ref(), Step::Begun { notice, .. } if notice.content.text.is_some())
                    || matches!(step.as_ref(), Step::Repeated { .. })
            }
            _ => false,
        };
        let warned =
            |letter: &Letter| matches!(&letter.body, Body::Membership(_, it) if it.topic == "warning");
        let is_for_two = self.policy.four_eyes()
            && (decision.events.iter().any(needs_two) || decision.letters.iter().any(warned));
        if is_for_two || decision.events.iter().any(begun) {
            self.two_persons(decision)?;
        }
        Ok(())
    }

    /// What a person wrote goes to members by the word of two, and both have signed; so is what else needs two.
    fn two_persons(&self, decision: &Decision) -> Result<(), TestCaseError> {
        let approved = decision.events.iter().find_map(|event| match &event.what {
            What::Distribution { step, .. } => match step.as_ref() {
                Step::Approved { number } => Some(*number),
                _ => None,
            },
            _ => None,
        });
        prop_assert!(approved.is_some(), "it goes although nobody approved it");
        let signed = &self.signed[&approved.unwrap()];
        if self.policy.four_eyes() {
            prop_assert_eq!(signed, &BTreeSet::from([ADA, OTTO]), "two signatures of the team");
        }
        Ok(())
    }

    /// What a member writes is for coordinators; only what it signed, as long as it may know, moves anything.
    fn writes(&mut self, id: &'static str, signed: bool, text: &str) -> Result<(), TestCaseError> {
        let member = self.draft.member(&MemberId::typed(id).unwrap()).unwrap().unwrap();
        let copies = self.draft.copies(&CaseId::typed(CASE)).unwrap();
        let own = |posting: &Posting| posting.copy.as_ref().is_some_and(|copy| copy.member.as_str() == id);
        let copies: Vec<Posting> = copies.into_iter().filter(own).collect();
        self.mails = self.mails.wrapping_add(1);
        let digest = Digest::from_bytes(&[2, self.mails]);
        let verified = Verified::mint(format!("F{id}"), Standing::Pinned, self.now, digest.clone(), false);
        let message = Message {
            digest: digest.clone(),
            from: vec![Mailbox::bare(member_address(id))],
            message_id: Some(format!("member{}@{id}.example", self.mails)),
            parents: copies.last().and_then(|copy| copy.message_id.clone()).into_iter().collect(),
            signature: if signed { Signature::Good(verified) } else { Signature::None },
            text: text.to_owned(),
            ..Message::default()
        };
        let keys = BTreeMap::from([(member.id.clone(), Ok(None))]);
        let facts = Facts {
            case: Some(self.case()),
            roster: Some(Arc::new(Roster { members: vec![member], keys })),
            desk_letters: self.draft.desk_letters().unwrap(),
            signature_used: self.draft.used(&digest).unwrap(),
            next_number: 2,
            copies,
            ..Facts::default()
        };
        let input = Input::Mail { message: Arc::new(message), received_at: self.now };
        let decision = decide(&facts, &input, &self.policy, self.now);
        for letter in &decision.letters {
            let to = letter.to.address.as_str();
            prop_assert!([ADA, OTTO].contains(&to), "{} hears what a member wrote", to);
        }
        let counts = signed && self.may_know.contains(id) && !self.off.contains(id);
        let moves = decision.events.iter().any(|event| matches!(event.what, What::Distribution { .. }));
        prop_assert_eq!(moves, counts, "{} {}", id, text);
        self.happens(decision);
        Ok(())
    }

    /// So many copies of the next notice are written.
    fn copies(&mut self, many: usize) -> Result<(), TestCaseError> {
        let Some(next) = self.draft.fan_outs().unwrap().into_iter().next() else { return Ok(()) };
        let case = self.case();
        let notice = case.notices.iter().find(|notice| notice.number == next.notice).cloned().unwrap();
        let turn = |(id, letter): (MemberId, u32)| Turn {
            member: self.draft.member(&id).unwrap(),
            id,
            zone: None,
            letter,
            earlier: Vec::new(),
            perhaps_sent: false,
        };
        let to = next.left.into_iter().take(many).map(turn).collect();
        let text = Ok(notice.content.text.as_ref().map(|_| "It overflows.".to_owned()));
        let copies = Copies { case, notice, text, attachments: Vec::new(), to };
        let decision = decide(&Facts::default(), &Input::Copies(Box::new(copies)), &self.policy, self.now);
        self.lawful(&Decision { events: Vec::new(), letters: decision.letters.clone() })?;
        for letter in &decision.letters {
            prop_assert!(
                self.draft.posting(&letter.id).unwrap().is_none_or(|known| known.bytes.is_none()),
                "written twice"
            );
        }
        self.happens(decision);
        Ok(())
    }

    /// Everything that waits is taken by the next server.
    fn leaves(&mut self) -> Result<(), TestCaseError> {
        let copies = self.draft.copies(&CaseId::typed(CASE)).unwrap();
        for posting in copies.into_iter().filter(|posting| posting.state == LetterState::Active) {
            let member = posting.copy.as_ref().unwrap().member.to_string();
            prop_assert!(!self.off.contains(&member), "{} is off the list, and gets {}", member, posting.id);
            prop_assert!(!self.left.iter().any(|(_, id)| *id == posting.id), "{} twice", posting.id);
            self.left.push((member, posting.id.clone()));
            let reply = "250 Ok".to_owned();
            let what = What::LetterSent { letter: posting.id.clone(), reply };
            self.fold(vec![Event { at: self.now, case: posting.case, what }]);
        }
        Ok(())
    }

    fn goes(&mut self, step: &Moved) -> Result<(), TestCaseError> {
        match step {
            Moved::Says(who, line) => self.says(*who, line),
            Moved::Copies(many) => self.copies(*many),
            Moved::Leaves => self.leaves(),
            Moved::Writes(id, signed, text) => self.writes(id, *signed, text),
            Moved::Becomes(id, State::Active) => {
                // whoever was removed does not come back by that
                let known = self.draft.member(&MemberId::typed(id).unwrap()).unwrap().unwrap();
                if known.state == State::Suspended {
                    self.member(id, Change::Resumed);
                    self.off.remove(*id);
                }
                Ok(())
            }
            Moved::Becomes(id, state) => {
                let word = if *state == State::Suspended { "suspend" } else { "remove" };
                self.says(Some(ADA), &format!("members {word} {id}"))
            }
            Moved::Hours(hours) => {
                self.now += SignedDuration::from_hours(*hours);
                Ok(())
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// While an embargo stands no letter of its case leaves the circle of those who may know; whoever is off the list gets nothing from
    /// that moment on; what a person wrote goes to members by the word of two.
    #[test]
    fn who_may_know_is_who_was_named(four_eyes in prop::bool::weighted(0.8), steps in prop::collection::vec(step(), 5..60)) {
        let mut world = World::new(four_eyes);
        for step in &steps {
            world.goes(step)?;
        }
    }
}

/// A copy that may be there already under another Message-ID, or that says nothing any more, waits for a person, and is not lost.
#[test]
fn what_may_have_been_sent_before_a_restoration_waits_for_a_person() {
    let mut world = World::new(true);
    world.says(Some(ADA), "notice\n\nIt overflows.").unwrap();
    world.says(Some(OTTO), "approve 1").unwrap();
    let case = world.case();
    let notice = case.notices[0].clone();
    let left = world.draft.fan_outs().unwrap().remove(0).left;
    assert_eq!(left.len(), MEMBERS.len());
    let to = |perhaps_sent| {
        let turn = |(id, letter): (MemberId, u32)| Turn {
            member: world.draft.member(&id).unwrap(),
            id,
            zone: None,
            letter,
            earlier: Vec::new(),
            perhaps_sent,
        };
        left.iter().cloned().map(turn).collect::<Vec<_>>()
    };
    for (perhaps_sent, text, why) in [
        (true, Ok(Some("It overflows.".to_owned())), "perhaps sent before this desk was restored"),
        (false, Err("no such file".to_owned()), "what it says cannot be read: no such file"),
    ] {
        let (case, notice, attachments) = (case.clone(), notice.clone(), Vec::new());
        let copies = Copies { case, notice, text, attachments, to: to(perhaps_sent) };
        let decision = decide(&Facts::default(), &Input::Copies(Box::new(copies)), &world.policy, world.now);
        assert_eq!(decision.letters, []);
        let held = decision.events.iter().filter(|event| match &event.what {
            What::LetterHeld { reason, copy, withheld, .. } => {
                reason.contains(why) && copy.is_some() && !withheld
            }
            _ => false,
        });
        assert_eq!(held.count(), MEMBERS.len(), "{:?}", decision.events);
    }
}

/// What becomes of an earlier letter to a member takes nothing from a later one that is still to be written.
#[test]
fn an_earlier_copy_takes_nothing_from_a_later_one() {
    let mut world = World::new(true);
    world.says(Some(ADA), "notice\n\nIt overflows.").unwrap();
    world.says(Some(OTTO), "approve 1").unwrap();
    world.copies(10).unwrap();
    let (acme, case) = (MemberId::typed("acme").unwrap(), CaseId::typed(CASE));
    let repeated = Step::Repeated { notice: 1, member: acme.clone(), letter: 5 };
    let happens = |world: &mut World, what| {
        world.fold(vec![Event { at: world.now, case: Some(case.clone()), what }]);
    };
    let repeats = |world: &mut World, step: &Step| {
        happens(world, What::Distribution { step: Box::new(step.clone()), by: ADA.to_owned() });
    };
    repeats(&mut world, &repeated);
    let first = LetterId::of_notice(&case, 1, 1);
    happens(&mut world, What::LetterReturned { letter: first.clone(), reply: "550 no".to_owned() });
    // said twice, it is written once; what has its letter already gets no second one
    repeats(&mut world, &repeated);
    repeats(&mut world, &Step::Repeated { notice: 1, member: acme.clone(), letter: 1 });
    let left: Vec<_> = world.draft.fan_outs().unwrap().into_iter().flat_map(|it| it.left).collect();
    assert_eq!(left, [(acme, 5)]);
}
