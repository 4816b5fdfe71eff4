//! The written process as values: every number and name of it is configuration, every shape is code.

pub mod distributors;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{Calendar, Term};
use crate::domain::deadline::Terms;
use crate::domain::limit::Limits;
use crate::domain::message::{Mailbox, identity};
use crate::domain::policy::distributors::Distributors;
use crate::domain::report::patterns::Patterns;
use crate::domain::trust::Border;

/// The desk and its promises, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The desk's own mailbox.
    pub desk: Mailbox,
    /// The start of every case id.
    pub case_prefix: String,
    /// Business days and time zone.
    pub calendar: Calendar,
    /// What is promised; a case keeps those in force when its report came.
    pub terms: Terms,
    /// P-16: the supported releases.
    pub supported: Vec<String>,
    /// P-4: where bugs without security impact go.
    pub public_tracker: Option<String>,
    /// The page of the written process.
    pub process: Option<String>,
    /// The security team and the maintainers.
    pub people: Vec<Person>,
    /// P-13 … P-22: the distributors' list.
    pub distributors: Distributors,
    /// The mailing lists through which the desk gets its mail, by address or `List-Id`.
    pub own_lists: Vec<String>,
    /// The desk reads mail to `local+anything@domain`, too: letters are answered, and come back, under an address of their own.
    pub plus_address: bool,
    /// Mail that a filter condemned is relayed like any other; if not, the digest alone tells of it.
    pub relay_junk: bool,
    /// Whose word about senders counts.
    pub border: Option<Border>,
    /// How many automatic answers go out.
    pub limits: Limits,
    /// Who is told, too, when a promise is broken.
    pub escalation: Option<Mailbox>,
    /// A signed command is no older than this when it arrives.
    pub command_age: SignedDuration,
    /// When the daily digest is due, at the desk.
    pub digest: Time,
    /// A door that has not worked for so long is silent, and people are told.
    pub silence: SignedDuration,
    /// What shows what a report says.
    pub patterns: Arc<Patterns>,
}

impl Policy {
    /// A desk with the terms of the example process, in UTC, and nobody behind it.
    pub fn new(desk: Mailbox) -> Self {
        Self {
            desk,
            case_prefix: "SEC".to_owned(),
            calendar: Calendar { zone: TimeZone::UTC, holidays: BTreeSet::new() },
            terms: Terms {
                first_response: Term::BusinessDays(3),
                plan: Term::BusinessDays(3),
                status_update: Term::BusinessDays(5),
                need_info: Term::BusinessDays(10),
                disclosure: Term::BusinessDays(14),
            },
            supported: Vec::new(),
            public_tracker: None,
            process: None,
            people: Vec::new(),
            distributors: Distributors::default(),
            own_lists: Vec::new(),
            plus_address: false,
            relay_junk: true,
            border: None,
            limits: Limits::default(),
            escalation: None,
            command_age: SignedDuration::from_hours(24),
            digest: Time::constant(9, 0, 0, 0),
            silence: SignedDuration::from_mins(15),
            patterns: Patterns::english(),
        }
    }

    /// Who gets every report at once (P-2).
    pub fn coordinators(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|person| person.roles.contains(&Role::Coordinator))
    }

    /// What a person sends to distributors, and what is named in [`Distributors::four_eyes`], needs two signatures.
    pub fn four_eyes(&self) -> bool {
        self.distributors.four_eyes.unwrap_or_else(|| self.coordinators().count() >= 2)
    }

    /// Those with whom a coordinator may share a case.
    pub fn maintainers(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|person| !person.is(Role::Coordinator))
    }

    /// Mail from this address is our own.
    pub fn is_own(&self, address: &str) -> bool {
        let address = identity(address);
        address == self.desk.identity()
            || self.distributors.address.as_deref().is_some_and(|list| identity(list) == address)
            || self.own_lists.iter().any(|own| list_id(own) == list_id(&address))
    }

    /// The person of the team with this address, or a tagged form of it.
    pub fn person(&self, address: &str) -> Option<&Person> {
        let address = identity(address);
        self.people.iter().find(|person| person.mailbox.identity() == address)
    }

    /// It is the address of a coordinator, or a tagged form of it.
    pub fn is_coordinator(&self, address: &str) -> bool {
        self.person(address).is_some_and(|person| person.is(Role::Coordinator))
    }

    /// The year of a case id: the civil year at the desk.
    pub fn year(&self, now: Timestamp) -> i16 {
        self.calendar.date(now).year()
    }
}

/// The id of a list that is named by its address or its id.
pub fn list_id(named: &str) -> String {
    named.trim().trim_start_matches('<').trim_end_matches('>').replace('@', ".").to_lowercase()
}

/// A member of the security team or a maintainer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name and address.
    pub mailbox: Mailbox,
    /// What they may see and do.
    pub roles: Vec<Role>,
}

impl Person {
    /// Whether they have a role.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a person is to the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Gets every report, answers for it.
    Coordinator,
    /// Has committer and release permissions; gets what a coordinator shares.
    Maintainer,
}
