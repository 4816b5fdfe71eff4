//! Who is told of which clock, and when.
//!
//! # What it is for
//! A promise is broken because nobody looked. So at half of its time the owner of a case hears of it, at four fifths all
//! coordinators, and when it is over the escalation address, too.
//!
//! # Invariants
//! * A warning is a function of what is owed and the time. Its key names the reader, the clock, the instant and the stage: what was
//!   told is not told again; what was slept through is told once, at the stage that is reached. What was told at a time that has not
//!   come yet ([`told`]) was told by a clock that was wrong, and is told when it is true.
//! * Half and four fifths are of the business time: a weekend brings nobody nearer to a breach.
//! * What is ahead is told to a person once a day at most, all together; what is broken at once.
//! * A snoozed case is silent until something is broken.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::calendar::Calendar;
use crate::domain::case::{Case, CaseId};
use crate::domain::deadline::{Deadline, DeadlineKind, Standing};
use crate::domain::letter::Owed;
use crate::domain::message::{Mailbox, canonical};
use crate::domain::policy::Policy;

/// What a case owes, as the index keeps it: the time is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Which case.
    pub case: CaseId,
    /// Who answers for it.
    pub owner: Option<Mailbox>,
    /// Nobody is reminded of it before, unless something is broken.
    pub snoozed_until: Option<Timestamp>,
    /// What is owed, since when, and by when.
    pub clocks: Vec<(DeadlineKind, Timestamp, Timestamp)>,
}

/// How near it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Half of the time is over.
    Half,
    /// Four fifths are.
    Most,
    /// All of it is.
    Broken,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Half, Self::Most, Self::Broken];

    fn percent(self) -> u8 {
        match self {
            Self::Half => 50,
            Self::Most => 80,
            Self::Broken => 100,
        }
    }
}

/// Something to tell one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// To whom.
    pub to: Mailbox,
    /// Names it.
    pub key: String,
    /// How near it is.
    pub stage: Stage,
    /// What.
    pub owed: Owed,
}

impl Running {
    /// What a case owes; `None` when it owes nothing.
    pub fn of(case: &Case) -> Option<Self> {
        let owed = |deadline: &&Deadline| deadline.standing(case, Timestamp::MIN) == Standing::Running;
        let clocks = case.deadlines.iter().filter(owed);
        let clocks: Vec<_> =
            clocks.map(|deadline| (deadline.kind, deadline.since(case), deadline.due(case))).collect();
        let (id, owner) = (case.id.clone(), case.owner.clone());
        (!clocks.is_empty()).then_some(Self { case: id, owner, snoozed_until: case.snoozed_until, clocks })
    }

    /// Each thing owed, as letters tell it.
    pub fn owed<'a>(
        &'a self,
        calendar: &'a Calendar,
        now: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Owed)> + 'a {
        self.clocks.iter().map(move |(kind, since, due)| {
            let late = now > *due;
            let owed = Owed {
                case: self.case.to_string(),
                kind: kind.word(),
                wanted: kind.wanted(),
                due: calendar.line(*due),
                late,
                percent: if late { 100 } else { calendar.elapsed_percent(*since, *due, now) },
                owner: self.owner.as_ref().map(|owner| owner.address.clone()),
            };
            (*due, owed)
        })
    }
}

/// Whether what was told then counts now. Small corrections of a clock repeat nothing.
pub fn told(at: Timestamp, now: Timestamp) -> bool {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    at.duration_since(now) < DAY
}

/// All warnings that stand now, told or not.
pub fn standing(running: &Running, policy: &Policy, now: Timestamp) -> Vec<Warning> {
    let snoozed = running.snoozed_until.is_some_and(|until| now < until);
    let mut warnings = Vec::new();
    for ((kind, ..), (due, owed)) in running.clocks.iter().zip(running.owed(&policy.calendar, now)) {
        let reached = |stage: &&Stage| {
            if owed.late { true } else { owed.percent >= stage.percent() && **stage != Stage::Broken }
        };
        let Some(stage) = Stage::ALL.iter().rev().find(reached).copied() else { continue };
        if snoozed && stage != Stage::Broken {
            continue;
        }
        for to in readers(running, *kind, stage, policy) {
            let address = canonical(&to.address);
            let key = format!("{address}/{}/{}/{due}/{}", running.case, kind.word(), stage.percent());
            warnings.push(Warning { to: to.clone(), key, stage, owed: owed.clone() });
        }
    }
    warnings
}

/// The owner first, then all coordinators, then the escalation address.
fn readers<'p>(
    running: &'p Running,
    kind: DeadlineKind,
    stage: Stage,
    policy: &'p Policy,
) -> Vec<&'p Mailbox> {
    // whoever has left the team is told nothing any more
    let owner =
        running.owner.as_ref().and_then(|owner| policy.person(&owner.address)).map(|person| &person.mailbox);
    let mut readers: Vec<&Mailbox> = owner.into_iter().collect();
    // that a reporter is silent is no breach of the desk's
    let only_the_owner = stage == Stage::Half || kind == DeadlineKind::NeedInfo;
    if readers.is_empty() || !only_the_owner {
        readers.extend(policy.coordinators().map(|person| &person.mailbox));
    }
    if stage == Stage::Broken && kind != DeadlineKind::NeedInfo {
        readers.extend(&policy.escalation);
    }
    let mut once: Vec<&Mailbox> = Vec::new();
    for reader in readers {
        if !once.iter().any(|known| known.canonical() == reader.canonical()) {
            once.push(reader);
        }
    }
    once
}
