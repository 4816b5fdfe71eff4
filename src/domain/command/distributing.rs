//! What people of the team tell the distributors, and about the embargo, as commands: `notice TLP:AMBER`, `embargo 2026-12-15 15:00`.

use jiff::civil::DateTime;

use crate::domain::distributor::MemberId;
use crate::domain::embargo::Reason;
use crate::domain::tlp::Tlp;

/// What is said about the embargo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Embargoing {
    /// It ends then: proposed, or, when one is agreed, moved.
    Until {
        /// The civil time.
        at: DateTime,
        /// Where it is that time, an IANA name or `UTC`; at the desk, if it does not say.
        zone: Option<String>,
        /// Why it is moved.
        reason: Option<Reason>,
    },
    /// The team decides for what is proposed.
    Agree,
    /// It is over as agreed.
    Lift,
}

impl Embargoing {
    /// Reads what follows the word `embargo`.
    pub fn parse(arguments: &[&str]) -> Result<Self, String> {
        match arguments {
            [] => Err("until when?".to_owned()),
            ["agree"] => Ok(Self::Agree),
            ["lift"] => Ok(Self::Lift),
            [date] => {
                Err(format!("“{date}” names no instant: a date, a time, and a zone unless it is the desk's"))
            }
            [date, time, rest @ ..] => {
                let at = format!("{date}T{time}");
                let at =
                    at.parse::<DateTime>().map_err(|_| format!("“{date} {time}” is no date and time"))?;
                let (zone, reason) = match rest {
                    [] => (None, None),
                    [.., "because"] => return Err(format!("because of what? One of {}", reasons())),
                    ["because", reason] => (None, Some(parsed(reason)?)),
                    [zone] => (Some((*zone).to_owned()), None),
                    [zone, "because", reason] => (Some((*zone).to_owned()), Some(parsed(reason)?)),
                    other => return Err(format!("“{}” is not understood", other.join(" "))),
                };
                Ok(Self::Until { at, zone, reason })
            }
        }
    }
}

fn parsed(reason: &str) -> Result<Reason, String> {
    Reason::ALL
        .into_iter()
        .find(|known| known.word() == reason)
        .ok_or_else(|| format!("“{reason}” is no reason: they are {}", reasons()))
}

fn reasons() -> String {
    Reason::ALL.map(Reason::word).join(", ")
}

/// What is said to the distributors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distribute {
    /// The first word, or more of it, to be approved.
    Notice {
        /// It is not the first word.
        update: bool,
        /// How far it may travel.
        tlp: Tlp,
        /// Even when the embargo ends sooner, or later, than the process says.
        anyway: bool,
    },
    /// What a member wrote goes to the others.
    Share {
        /// The mail, by the beginning of its digest.
        mail: String,
        /// Its author is named.
        named: bool,
    },
    /// A member that has joined since knows of the case.
    Release(MemberId),
    /// Something got out.
    Leak {
        /// The embargo is over by that.
        ends: bool,
        /// Through whom, if that is known.
        member: Option<MemberId>,
    },
    /// Who has what.
    Status,
}

impl Distribute {
    /// Reads what follows the words `notice` and `update`.
    pub fn notice(update: bool, arguments: &[&str]) -> Result<Self, String> {
        let anyway = arguments.last().is_some_and(|last| *last == "anyway");
        let rest = arguments.get(..arguments.len().saturating_sub(usize::from(anyway))).unwrap_or_default();
        let tlp = match rest {
            [] => Tlp::default(),
            [label] => Tlp::parse(label)?,
            other => return Err(format!("“{}” is not understood", other.join(" "))),
        };
        Ok(Self::Notice { update, tlp, anyway })
    }

    /// Reads what follows the word `leak`.
    pub fn leak(arguments: &[&str]) -> Result<Self, String> {
        let (fate, member) = match arguments {
            [fate] => (fate, None),
            [fate, member] => (fate, Some(MemberId::typed(member)?)),
            [] => return Err("does the embargo end by that, or does it stand?".to_owned()),
            other => return Err(format!("“{}” is not understood", other.join(" "))),
        };
        match *fate {
            "ends" => Ok(Self::Leak { ends: true, member }),
            "stands" => Ok(Self::Leak { ends: false, member }),
            other => Err(format!("“{other}” is neither “ends” nor “stands”: what becomes of the embargo?")),
        }
    }
}
