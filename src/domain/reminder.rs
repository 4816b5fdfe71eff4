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
//! * A snoozed case is silent until something is broken, or its embargo ends.
//! * The end of an embargo is told a week and a day ahead, when it comes, and once a day when it is over and nobody has lifted it. Who
//!   moves it begins anew.

use jiff::civil::Date;
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
    /// The embargo that stands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub embargo: Option<Ending>,
}

/// The end of an embargo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The instant.
    pub until: Timestamp,
    /// Since when it is this one.
    pub set_at: Timestamp,
    /// The team has decided.
    pub agreed: bool,
}

/// How near the end of an embargo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearing {
    /// A week ahead.
    Week,
    /// A day ahead.
    Day,
    /// It has come.
    Now,
    /// It is over, and nobody has lifted it; on that day at the desk.
    Over(Date),
}

/// After the end there is so much time to publish and to lift.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

impl Nearing {
    fn word(self) -> String {
        match self {
            Self::Week => "week".to_owned(),
            Self::Day => "day".to_owned(),
            Self::Now => "now".to_owned(),
            Self::Over(date) => date.to_string(),
        }
    }

    /// As a reminder tells it.
    fn told(self) -> &'static str {
        match self {
            Self::Week => "ends in a week, or less",
            Self::Day => "ends in a day, or less",
            Self::Now => "ENDS NOW",
            Self::Over(_) => "LATE: over, and not lifted",
        }
    }
}

impl Ending {
    /// How near it is; what had passed when it was set is not told.
    fn nearing(&self, policy: &Policy, now: Timestamp) -> Option<Nearing> {
        let calendar = &policy.calendar;
        if now >= self.over_from() {
            // once a day, and not before people are at work
            let (first, here) = (calendar.date(self.over_from()), now.to_zoned(calendar.zone.clone()));
            let today = here.date() == first || here.time() >= policy.digest;
            return today.then_some(Nearing::Over(here.date()));
        }
        let ahead = |days: i64| {
            let wait = SignedDuration::from_hours(days.saturating_mul(24));
            self.until.saturating_sub(wait).unwrap_or(Timestamp::MIN)
        };
        let stages = [(Nearing::Now, self.until), (Nearing::Day, ahead(1)), (Nearing::Week, ahead(7))];
        let reached = stages.into_iter().find(|(_, at)| now >= *at);
        reached.filter(|(_, at)| *at >= self.set_at).map(|(stage, _)| stage)
    }

    fn over_from(&self) -> Timestamp {
        self.until.saturating_add(GRACE).unwrap_or(Timestamp::MAX)
    }

    fn owed(&self, running: &Running, calendar: &Calendar, now: Timestamp) -> Owed {
        let late = now >= self.over_from();
        Owed {
            case: running.case.to_string(),
            kind: "embargo",
            wanted: match (self.agreed, late) {
                (true, _) => "the publication, and !embargo lift",
                (false, false) => "the team's decision: !embargo agree, or another end",
                (false, true) => "another end, or !embargo lift: it was never agreed",
            },
            due: calendar.line(self.until),
            late,
            percent: if late { 100 } else { calendar.elapsed_percent(self.set_at, self.until, now) },
            owner: running.owner.as_ref().map(|owner| owner.address.clone()),
            nearing: None,
        }
    }
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
    /// It does not wait for what is told tomorrow.
    pub at_once: bool,
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
        let agreement = case.embargo.agreement().filter(|_| case.is_open());
        let embargo = agreement.map(|known| Ending {
            until: known.until,
            set_at: known.set_at(),
            agreed: known.is_agreed(),
        });
        let something = !clocks.is_empty() || embargo.is_some();
        something.then_some(Self { case: id, owner, snoozed_until: case.snoozed_until, clocks, embargo })
    }

    /// Each thing owed, as letters tell it.
    pub fn owed<'a>(
        &'a self,
        calendar: &'a Calendar,
        now: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Owed)> + 'a {
        let embargo = self.embargo.iter().map(move |ending| (ending.until, ending.owed(self, calendar, now)));
        self.promised(calendar, now).chain(embargo)
    }

    fn promised<'a>(
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
                nearing: None,
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
    for ((kind, ..), (due, owed)) in running.clocks.iter().zip(running.promised(&policy.calendar, now)) {
        let reached = |stage: &&Stage| {
            if owed.late { true } else { owed.percent >= stage.percent() && **stage != Stage::Broken }
        };
        let Some(stage) = Stage::ALL.iter().rev().find(reached).copied() else { continue };
        if snoozed && stage != Stage::Broken {
            continue;
        }
        // that a reporter is silent is no breach of the desk's
        let all = stage != Stage::Half && *kind != DeadlineKind::NeedInfo;
        for to in readers(running, all, all && stage == Stage::Broken, policy) {
            let address = canonical(&to.address);
            let key = format!("{address}/{}/{}/{due}/{}", running.case, kind.word(), stage.percent());
            let at_once = stage == Stage::Broken;
            warnings.push(Warning { to: to.clone(), key, stage, at_once, owed: owed.clone() });
        }
    }
    warnings.extend(ending(running, snoozed, policy, now));
    warnings
}

/// The end of the embargo, to everybody who has to do with it.
fn ending(running: &Running, snoozed: bool, policy: &Policy, now: Timestamp) -> Vec<Warning> {
    let nearing = running.embargo.as_ref().and_then(|ending| Some((ending, ending.nearing(policy, now)?)));
    let Some((ending, nearing)) = nearing.filter(|(_, nearing)| !snoozed || *nearing >= Nearing::Now) else {
        return Vec::new();
    };
    let over = matches!(nearing, Nearing::Over(_));
    let stage = if over { Stage::Broken } else { Stage::Most };
    let owed = Owed { nearing: Some(nearing.told()), ..ending.owed(running, &policy.calendar, now) };
    let warning = |to: &Mailbox| {
        let (address, case) = (canonical(&to.address), &running.case);
        // who moves it back is reminded anew, too
        let (until, set_at) = (ending.until, ending.set_at);
        let key = format!("{address}/{case}/embargo/{until}/{set_at}/{}", nearing.word());
        Warning { to: to.clone(), key, stage, at_once: true, owed: owed.clone() }
    };
    readers(running, true, over, policy).into_iter().map(warning).collect()
}

/// The owner first, then all coordinators, if it concerns them or there is no owner, then the escalation address.
fn readers<'p>(running: &'p Running, all: bool, escalate: bool, policy: &'p Policy) -> Vec<&'p Mailbox> {
    // whoever has left the team is told nothing any more
    let owner =
        running.owner.as_ref().and_then(|owner| policy.person(&owner.address)).map(|person| &person.mailbox);
    let mut readers: Vec<&Mailbox> = owner.into_iter().collect();
    if readers.is_empty() || all {
        readers.extend(policy.coordinators().map(|person| &person.mailbox));
    }
    if escalate {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::decide::tests;

    /// Ada and Otto; Nora hears of what is broken.
    fn policy() -> Policy {
        let mut policy = tests::policy();
        let mut otto = policy.people.first().unwrap().clone();
        otto.mailbox = Mailbox::bare("otto@example.org");
        policy.people.push(otto);
        policy.escalation = Some(Mailbox::bare("nora@example.net"));
        policy
    }

    /// Proposed on 1 December; it ends on Tuesday, 15 December, 15:00 UTC, which is 07:00 at the desk.
    fn running() -> Running {
        Running {
            case: CaseId::new("EX", 2026, 1),
            owner: Some(Mailbox::bare("otto@example.org")),
            snoozed_until: None,
            clocks: Vec::new(),
            embargo: Some(Ending {
                until: "2026-12-15T15:00:00Z".parse().unwrap(),
                set_at: "2026-12-01T12:00:00Z".parse().unwrap(),
                agreed: true,
            }),
        }
    }

    fn told(running: &Running, at: &str) -> (Vec<String>, Option<&'static str>) {
        let warnings = standing(running, &policy(), at.parse().unwrap());
        let nearing = warnings.first().and_then(|warning| warning.owed.nearing);
        assert!(warnings.iter().all(|warning| warning.at_once && warning.owed.nearing == nearing));
        (warnings.into_iter().map(|warning| warning.to.local_part().to_owned()).collect(), nearing)
    }

    #[test]
    fn the_end_of_an_embargo_nears() {
        let running = running();
        let both = || vec!["otto".to_owned(), "ada".to_owned()];
        let all = || vec!["otto".to_owned(), "ada".to_owned(), "nora".to_owned()];
        let table = [
            ("2026-12-08T14:59:59Z", vec![], None),
            ("2026-12-08T15:00:00Z", both(), Some("ends in a week, or less")),
            ("2026-12-14T14:59:59Z", both(), Some("ends in a week, or less")),
            ("2026-12-14T15:00:00Z", both(), Some("ends in a day, or less")),
            ("2026-12-15T14:59:59Z", both(), Some("ends in a day, or less")),
            ("2026-12-15T15:00:00Z", both(), Some("ENDS NOW")),
            ("2026-12-15T15:59:59Z", both(), Some("ENDS NOW")),
            ("2026-12-15T16:00:00Z", all(), Some("LATE: over, and not lifted")),
            // nobody is woken: the next day begins at nine
            ("2026-12-16T08:00:00Z", vec![], None),
            ("2026-12-16T17:00:00Z", all(), Some("LATE: over, and not lifted")),
        ];
        for (at, readers, nearing) in table {
            assert_eq!(told(&running, at), (readers, nearing), "{at}");
        }
    }

    #[test]
    fn what_had_passed_when_it_was_set_is_not_told() {
        let mut late = running();
        late.embargo.iter_mut().for_each(|it| it.set_at = "2026-12-12T12:00:00Z".parse().unwrap());
        assert_eq!(told(&late, "2026-12-12T12:00:00Z").1, None);
        assert_eq!(told(&late, "2026-12-14T15:00:00Z").1, Some("ends in a day, or less"));
    }

    #[test]
    fn a_snoozed_case_hears_of_the_end_itself() {
        let snoozed = Running { snoozed_until: Some(Timestamp::MAX), ..running() };
        assert_eq!(told(&snoozed, "2026-12-14T15:00:00Z").1, None);
        assert_eq!(told(&snoozed, "2026-12-15T15:00:00Z").1, Some("ENDS NOW"));
    }

    proptest! {
        /// However often it is looked, and whatever was slept through: each stage is told once, in order; when it is over, once a day
        /// at most; and who moves it begins anew.
        #[test]
        fn each_reader_hears_of_each_stage_once(mut looks in proptest::collection::vec(0_i64..86_400 * 30, 1..200)) {
            looks.sort_unstable();
            let (policy, running) = (policy(), running());
            let begin: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
            let mut keys: Vec<String> = Vec::new();
            let (mut stages, mut days) = (Vec::new(), Vec::new());
            for look in looks {
                let now = begin + SignedDuration::from_secs(look);
                let new: Vec<Warning> = standing(&running, &policy, now)
                    .into_iter()
                    .filter(|it| it.to.address == "ada@example.org" && !keys.contains(&it.key))
                    .collect();
                prop_assert!(new.len() <= 1);
                for warning in new {
                    let stage = warning.owed.nearing.unwrap();
                    if stage == "LATE: over, and not lifted" {
                        days.push(policy.calendar.date(now));
                    } else {
                        stages.push(stage);
                    }
                    keys.push(warning.key);
                }
            }
            let order = ["ends in a week, or less", "ends in a day, or less", "ENDS NOW"];
            let told: Vec<&str> = order.into_iter().filter(|stage| stages.contains(stage)).collect();
            prop_assert_eq!(&stages, &told);
            let mut once = days.clone();
            once.dedup();
            prop_assert_eq!(days, once);
            // the same instant, set anew
            let mut moved = running;
            moved.embargo.iter_mut().for_each(|it| it.set_at = begin + SignedDuration::from_secs(60));
            let again = standing(&moved, &policy, "2026-12-14T15:00:00Z".parse().unwrap());
            prop_assert!(again.iter().all(|it| !keys.contains(&it.key)) && !again.is_empty());
        }
    }
}
