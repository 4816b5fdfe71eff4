//! What people of the team tell the desk to do with a case: one grammar for mail, the command line and the control socket.
//!
//! # What it is for
//! [`Command::parse`] reads one line. [`order`] finds such lines in a mail; [`authority`] says whether their author may give them;
//! `decide::command` carries them out.
//!
//! # Invariants
//! * [`grammar::GRAMMAR`] has a row for every command, and nothing else is a command: `help` is printed from it.
//! * What is not understood is an error that says how to say it right; nothing is guessed.

pub mod authority;
pub mod distributing;
pub mod grammar;
pub mod members;
pub mod order;

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::advisory::version;
use crate::domain::calendar::Term;
use crate::domain::case::CaseId;
use crate::domain::command::distributing::{Distribute, Embargoing};
use crate::domain::command::grammar::{GRAMMAR, Row, Text, row_of};
use crate::domain::command::members::Members;
use crate::domain::distributor::MemberId;
use crate::domain::letter::LetterId;
use crate::domain::phase::Priority;
use crate::domain::policy::Role;
use crate::domain::severity::Severity;
use crate::domain::weakness::{Cve, Cwe};

/// A longer line is no command. Characters.
const MOST: usize = 1200;

/// What a person tells the desk.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// What can be said.
    Help,
    /// The open cases.
    List,
    /// The case at a glance.
    Show,
    /// Somebody answers for the case; whoever says it, unless it names another one.
    Take(Option<String>),
    /// A note for the team.
    Note,
    /// To the reporter.
    Reply,
    /// A question to the reporter, whose answer is waited for.
    NeedInfo,
    /// The plan to investigate, to the reporter (P-3).
    Plan,
    /// It is a vulnerability.
    Accept,
    /// It is nothing for this desk; the reason goes to the reporter (P-8).
    Reject(Class),
    /// Maintainers get the case (P-2): these, or all.
    Share(Vec<String>),
    /// How bad it is (P-11).
    Severity {
        /// The vector.
        severity: Severity,
        /// The reporter hears it, too.
        tell: bool,
    },
    /// What kind of mistake it is.
    Cwe(Vec<Cwe>),
    /// Its public name.
    Cve(Vec<Cve>),
    /// Which lines are affected.
    Affects(Affects),
    /// The fix is being worked on.
    Fixing,
    /// These versions fix it (P-16).
    Fixed(Vec<String>),
    /// This line gets no fix.
    NoFix(String),
    /// What helps meanwhile (P-10).
    Workaround,
    /// Who is thanked; nobody.
    Credit(Option<String>),
    /// The matter is publicly known (P-5).
    Public(Option<String>),
    /// It is about the same as another case, which goes on.
    Merge(CaseId),
    /// A mail of it is about something else.
    Split(String),
    /// How urgent it is.
    Priority(Priority),
    /// No reminders for a while.
    Snooze(Snooze),
    /// Nothing is left to do.
    Close,
    /// It is looked at again.
    Reopen,
    /// A held letter goes.
    Release(LetterId),
    /// Until when it is embargoed.
    Embargo(Embargoing),
    /// Something about the distributors.
    Distribute(Distribute),
    /// What another person proposes is done.
    Approve(u32),
    /// It is not done.
    Withdraw(u32),
    /// Something about the distributors' list.
    Members(Members),
}

/// As what a report is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It is none.
    NotAVulnerability,
    /// A mistake without an impact on security (P-4).
    NotSecurity,
    /// A lack of safe defaults (P-24).
    InsecureDefault,
    /// In a version that is not supported any more.
    UnsupportedVersion,
    /// Known already.
    Duplicate(CaseId),
    /// In another project (P-7).
    Upstream(Option<String>),
    /// Nobody's report; nothing goes to its author.
    Spam,
}

impl Class {
    /// As people type it; also what templates ask for.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotAVulnerability => "not-a-vulnerability",
            Self::NotSecurity => "not-security",
            Self::InsecureDefault => "insecure-default",
            Self::UnsupportedVersion => "unsupported-version",
            Self::Duplicate(_) => "duplicate",
            Self::Upstream(_) => "upstream",
            Self::Spam => "spam",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(case) => write!(f, "duplicate of {case}"),
            Self::Upstream(Some(project)) => write!(f, "upstream ({project})"),
            other => f.write_str(other.word()),
        }
    }
}

/// What a letter to the reporter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Whatever a person writes.
    Reply,
    /// A question.
    NeedInfo,
    /// The plan to investigate.
    Plan,
    /// It is a vulnerability.
    Accept,
    /// It is nothing for this desk.
    Reject,
    /// How bad it is.
    Severity,
    /// The matter is publicly known.
    Public,
    /// Until when it is confidential: proposed, agreed, moved, over.
    Embargo,
}

impl Topic {
    /// Those in which a person speaks to the reporter about the report (P-9).
    pub const CONVERSATION: [Self; 7] =
        [Self::Reply, Self::NeedInfo, Self::Plan, Self::Accept, Self::Reject, Self::Severity, Self::Public];

    /// What templates ask for.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::NeedInfo => "need-info",
            Self::Plan => "plan",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Severity => "severity",
            Self::Public => "public",
            Self::Embargo => "embargo",
        }
    }

    /// As a timeline tells it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Reply => "answer",
            Self::NeedInfo => "question",
            Self::Plan => "plan",
            Self::Accept => "acceptance",
            Self::Reject => "rejection",
            Self::Severity => "severity",
            Self::Public => "word that it is public",
            Self::Embargo => "word of the embargo",
        }
    }
}

/// Which lines are affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affects {
    /// All that are supported.
    All,
    /// None that is supported.
    None,
    /// These.
    Lines(Vec<String>),
}

/// For how long nobody is reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snooze {
    /// For a while.
    For(Term),
    /// Until that day begins at the desk.
    Until(Date),
}

impl Command {
    /// Reads one line, without the `!`. The error says how to say it right.
    pub fn parse(line: &str) -> Result<Self, String> {
        if line.chars().count() > MOST {
            return Err(format!("a line of more than {MOST} characters is no command"));
        }
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or_default().to_lowercase();
        let arguments: Vec<&str> = words.collect();
        let Some(row) = row_of(&word).filter(|row| row.word != "case") else {
            return Err(match word.as_str() {
                "case" => "“case” stands in a line of its own, once".to_owned(),
                _ => format!("“{word}” is no command; “help” lists them{}", close_to(&word)),
            });
        };
        Self::with(row.word, &arguments).map_err(|why| {
            let why = if why.is_empty() { String::new() } else { format!("{why}; ") };
            format!("{why}say it like this: {}", Self::example_of(row, &arguments))
        })
    }

    /// How that is said: of the list, each word of its own.
    fn example_of(row: &Row, arguments: &[&str]) -> &'static str {
        let word = arguments.first().copied().unwrap_or_default();
        Some(row.word)
            .filter(|word| *word == "members")
            .and_then(|_| Members::example(word))
            .unwrap_or(row.example)
    }

    fn with(word: &str, arguments: &[&str]) -> Result<Self, String> {
        let rest = arguments.join(" ");
        Ok(match word {
            "take" => Self::Take(Some(rest).filter(|rest| !rest.is_empty())),
            "share" => Self::Share(arguments.iter().map(|text| (*text).to_owned()).collect()),
            "reject" => Self::Reject(class(arguments)?),
            "severity" => severity(arguments)?,
            "cwe" => Self::Cwe(each(arguments, Cwe::parse)?),
            "cve" => Self::Cve(each(arguments, Cve::parse)?),
            "affects" => Self::Affects(match arguments {
                ["all"] => Affects::All,
                ["none"] => Affects::None,
                lines => Affects::Lines(each(lines, version)?),
            }),
            "fixed" => match arguments {
                ["except", line] => Self::NoFix(version(line)?),
                ["except", ..] => return Err("one line at a time, with its reason".to_owned()),
                versions => Self::Fixed(each(versions, version)?),
            },
            "credit" => match arguments {
                [] => return Err("whom?".to_owned()),
                ["none"] => Self::Credit(None),
                _ => Self::Credit(Some(rest)),
            },
            "public" => match arguments {
                [] => Self::Public(None),
                [place] if place.starts_with("http://") || place.starts_with("https://") => {
                    Self::Public(Some((*place).to_owned()))
                }
                _ => return Err(format!("“{rest}” is no URL")),
            },
            "merge" => Self::Merge(CaseId::typed(one(arguments, "which case?")?)),
            "split" => Self::Split(digest(one(arguments, "which mail?")?)?),
            "priority" => {
                let wanted = one(arguments, "how urgent?")?.to_lowercase();
                let found = Priority::ALL.into_iter().find(|priority| priority.word() == wanted);
                Self::Priority(found.ok_or_else(|| format!("“{wanted}” is none of them"))?)
            }
            "snooze" => match rest.parse::<Date>() {
                Ok(date) => Self::Snooze(Snooze::Until(date)),
                Err(_) => Self::Snooze(Snooze::For(rest.parse()?)),
            },
            "release" => Self::Release(LetterId::typed(one(arguments, "which letter?")?)),
            "embargo" => Self::Embargo(Embargoing::parse(arguments)?),
            "notice" | "update" => Self::Distribute(Distribute::notice(word == "update", arguments)?),
            "share-with-members" => Self::Distribute(match arguments {
                [mail] => Distribute::Share { mail: digest(mail)?, named: false },
                [mail, named] if *named == "named" => Distribute::Share { mail: digest(mail)?, named: true },
                _ => return Err("which mail?".to_owned()),
            }),
            "release-to" => {
                Self::Distribute(Distribute::Release(MemberId::typed(one(arguments, "to which member?")?)?))
            }
            "leak" => Self::Distribute(Distribute::leak(arguments)?),
            "approve" => Self::Approve(number(arguments)?),
            "withdraw" => Self::Withdraw(number(arguments)?),
            "members" => Self::Members(Members::parse(arguments)?),
            _ if !rest.is_empty() => return Err(format!("nothing follows “{word}” on its line")),
            word => Self::bare(word).ok_or_else(String::new)?,
        })
    }

    /// The commands that are a word alone.
    fn bare(word: &str) -> Option<Self> {
        Some(match word {
            "help" => Self::Help,
            "list" => Self::List,
            "show" => Self::Show,
            "note" => Self::Note,
            "reply" => Self::Reply,
            "need-info" => Self::NeedInfo,
            "plan" => Self::Plan,
            "accept" => Self::Accept,
            "fixing" => Self::Fixing,
            "workaround" => Self::Workaround,
            "close" => Self::Close,
            "reopen" => Self::Reopen,
            "status" => Self::Distribute(Distribute::Status),
            _ => return None,
        })
    }

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::List => "list",
            Self::Show => "show",
            Self::Take(_) => "take",
            Self::Note => "note",
            Self::Reply => "reply",
            Self::NeedInfo => "need-info",
            Self::Plan => "plan",
            Self::Accept => "accept",
            Self::Reject(_) => "reject",
            Self::Share(_) => "share",
            Self::Severity { .. } => "severity",
            Self::Cwe(_) => "cwe",
            Self::Cve(_) => "cve",
            Self::Affects(_) => "affects",
            Self::Fixing => "fixing",
            Self::Fixed(_) | Self::NoFix(_) => "fixed",
            Self::Workaround => "workaround",
            Self::Credit(_) => "credit",
            Self::Public(_) => "public",
            Self::Merge(_) => "merge",
            Self::Split(_) => "split",
            Self::Priority(_) => "priority",
            Self::Snooze(_) => "snooze",
            Self::Close => "close",
            Self::Reopen => "reopen",
            Self::Release(_) => "release",
            Self::Embargo(_) => "embargo",
            Self::Distribute(Distribute::Notice { update: false, .. }) => "notice",
            Self::Distribute(Distribute::Notice { update: true, .. }) => "update",
            Self::Distribute(Distribute::Share { .. }) => "share-with-members",
            Self::Distribute(Distribute::Release(_)) => "release-to",
            Self::Distribute(Distribute::Leak { .. }) => "leak",
            Self::Distribute(Distribute::Status) => "status",
            Self::Approve(_) => "approve",
            Self::Withdraw(_) => "withdraw",
            Self::Members(_) => "members",
        }
    }

    /// Whether it takes a text.
    pub fn text(&self) -> Text {
        match self {
            Self::NoFix(_) => Text::Wanted,
            Self::Fixed(_) | Self::Severity { tell: false, .. } => Text::None,
            Self::Members(members) => match members {
                Members::Add { .. } | Members::Certificate(_) | Members::Import => Text::Wanted,
                Members::Suspend(_) | Members::Remove(_) | Members::Refuse(_) => Text::Optional,
                _ => Text::None,
            },
            other => row_of(other.word()).map_or(Text::None, |row| row.text),
        }
    }

    /// Its text goes to the reporter.
    pub fn writes_to_reporter(&self) -> bool {
        match self {
            Self::Reject(class) => *class != Class::Spam,
            Self::Severity { tell, .. } => *tell,
            other => row_of(other.word()).is_some_and(|row| row.to_reporter),
        }
    }

    /// Who may say it.
    pub fn role(&self) -> Role {
        match self {
            // whatever goes to the reporter is a coordinator's word; whoever gives work to others, too
            Self::Severity { tell: true, .. } | Self::Take(Some(_)) => Role::Coordinator,
            other => row_of(other.word()).map_or(Role::Coordinator, |row| row.role),
        }
    }

    /// It is about a case.
    pub fn needs_case(&self) -> bool {
        !matches!(self, Self::Help | Self::List | Self::Members(_) | Self::Approve(_) | Self::Withdraw(_))
    }

    /// It can be said of a case that is closed or rejected.
    pub fn fits_closed(&self) -> bool {
        matches!(
            self,
            Self::Help
                | Self::List
                | Self::Show
                | Self::Note
                | Self::Reopen
                | Self::Release(_)
                | Self::Distribute(Distribute::Status | Distribute::Leak { .. })
                | Self::Approve(_)
                | Self::Withdraw(_)
                | Self::Members(_)
        )
    }
}

fn class(arguments: &[&str]) -> Result<Class, String> {
    Ok(match arguments {
        ["not-a-vulnerability"] => Class::NotAVulnerability,
        ["not-security"] => Class::NotSecurity,
        ["insecure-default"] => Class::InsecureDefault,
        ["unsupported-version"] => Class::UnsupportedVersion,
        ["duplicate", case] => Class::Duplicate(CaseId::typed(case)),
        ["duplicate"] => return Err("a duplicate of which case?".to_owned()),
        ["upstream"] => Class::Upstream(None),
        ["upstream", project @ ..] => Class::Upstream(Some(project.join(" "))),
        ["spam"] => Class::Spam,
        [] => return Err("as what?".to_owned()),
        other => return Err(format!("“{}” is no class", other.join(" "))),
    })
}

fn severity(arguments: &[&str]) -> Result<Command, String> {
    let (vector, tell) = match arguments {
        [vector] => (vector, false),
        [vector, tell] if tell.eq_ignore_ascii_case("tell") => (vector, true),
        [] => return Err("which vector?".to_owned()),
        [_, rest @ ..] => return Err(format!("“{}” is not understood", rest.join(" "))),
    };
    Ok(Command::Severity { severity: Severity::parse(vector)?, tell })
}

fn one<'a>(arguments: &[&'a str], which: &str) -> Result<&'a str, String> {
    match arguments {
        [only] => Ok(only),
        [] => Err(which.to_owned()),
        _ => Err("one at a time".to_owned()),
    }
}

fn number(arguments: &[&str]) -> Result<u32, String> {
    let wanted = one(arguments, "which proposal?")?;
    wanted.parse().map_err(|_| format!("“{wanted}” is no number of a proposal"))
}

/// People put commas between things.
fn each<T>(arguments: &[&str], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let words = arguments.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty());
    let all: Vec<T> = words.map(read).collect::<Result<_, _>>()?;
    if all.is_empty() { Err("which?".to_owned()) } else { Ok(all) }
}

/// The beginning of a mail's digest.
fn digest(text: &str) -> Result<String, String> {
    let text = text.to_lowercase();
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(text),
        false => Err(format!("“{text}” is no mail: take the beginning of its digest, as the case shows it")),
    }
}

/// “, did you mean take?”
fn close_to(word: &str) -> String {
    let same = |row: &&Row| !word.is_empty() && (row.word.starts_with(word) || word.starts_with(row.word));
    GRAMMAR.iter().find(same).map_or_else(String::new, |row| format!("; did you mean “{}”?", row.word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::command::grammar::help;

    /// The compiler counts the commands: whoever adds one must give it a number here, and a row in the grammar.
    fn number(command: &Command) -> usize {
        match command {
            Command::Help => 0,
            Command::List => 1,
            Command::Show => 2,
            Command::Take(_) => 3,
            Command::Note => 4,
            Command::Reply => 5,
            Command::NeedInfo => 6,
            Command::Plan => 7,
            Command::Accept => 8,
            Command::Reject(_) => 9,
            Command::Share(_) => 10,
            Command::Severity { .. } => 11,
            Command::Cwe(_) => 12,
            Command::Cve(_) => 13,
            Command::Affects(_) => 14,
            Command::Fixing => 15,
            Command::Fixed(_) | Command::NoFix(_) => 16,
            Command::Workaround => 17,
            Command::Credit(_) => 18,
            Command::Public(_) => 19,
            Command::Merge(_) => 20,
            Command::Split(_) => 21,
            Command::Priority(_) => 22,
            Command::Snooze(_) => 23,
            Command::Close => 24,
            Command::Reopen => 25,
            Command::Release(_) => 26,
            Command::Embargo(_) => 27,
            Command::Distribute(Distribute::Notice { update: false, .. }) => 28,
            Command::Distribute(Distribute::Notice { update: true, .. }) => 29,
            Command::Distribute(Distribute::Release(_)) => 30,
            Command::Distribute(Distribute::Share { .. }) => 31,
            Command::Distribute(Distribute::Leak { .. }) => 32,
            Command::Distribute(Distribute::Status) => 33,
            Command::Approve(_) => 34,
            Command::Withdraw(_) => 35,
            Command::Members(_) => 36,
        }
    }

    #[test]
    fn help_names_every_command_and_every_example_is_one() {
        let commands: Vec<&Row> = GRAMMAR.iter().filter(|row| row.word != "case").collect();
        let mut numbers = BTreeSet::new();
        for row in &commands {
            let command = Command::parse(row.example).unwrap();
            assert_eq!(command.word(), row.word);
            numbers.insert(number(&command));
            let (said, named) = (help("!"), format!("\n!{}", row.word));
            assert!(format!("\n{said}").contains(&named) && said.contains(row.about), "{}", row.word);
        }
        assert_eq!(numbers, (0..commands.len()).collect::<BTreeSet<_>>(), "each command has one row");
    }

    #[test]
    fn what_is_wrong_is_said_with_how_to_say_it_right() {
        for (said, answer) in [
            ("tak", "“tak” is no command; “help” lists them; did you mean “take”?"),
            ("", "“” is no command; “help” lists them"),
            ("reject", "as what?; say it like this: reject upstream libtile"),
            ("reject nonsense", "“nonsense” is no class; say it like this: reject upstream libtile"),
            ("reject duplicate", "a duplicate of which case?; say it like this: reject upstream libtile"),
            ("close now", "nothing follows “close” on its line; say it like this: close"),
            ("priority urgent", "“urgent” is none of them; say it like this: priority high"),
            ("fixed", "which?; say it like this: fixed 0.12.3 0.11.9"),
            ("merge", "which case?; say it like this: merge EX-2026-0001"),
            (
                "split it",
                "“it” is no mail: take the beginning of its digest, as the case shows it; say it like this: split 4f0a9c2b61de",
            ),
            ("case EX-2026-0001", "“case” stands in a line of its own, once"),
            ("public somewhere", "“somewhere” is no URL; say it like this: public https://example.com/blog"),
        ] {
            assert_eq!(Command::parse(said), Err(answer.to_owned()), "{said}");
        }
    }

    #[test]
    fn commands_as_people_type_them() {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (said, command) in [
            ("Take", Command::Take(None)),
            ("take Otto Coordinator", Command::Take(Some("Otto Coordinator".to_owned()))),
            (
                "reject duplicate ex-2026-0001",
                Command::Reject(Class::Duplicate(CaseId::typed("EX-2026-0001"))),
            ),
            ("reject upstream", Command::Reject(Class::Upstream(None))),
            ("fixed v0.12.3, 0.11.9", Command::Fixed(owned(&["0.12.3", "0.11.9"]))),
            ("fixed except 0.10", Command::NoFix("0.10".to_owned())),
            ("affects none", Command::Affects(Affects::None)),
            ("credit none", Command::Credit(None)),
            ("snooze 2026-12-01", Command::Snooze(Snooze::Until("2026-12-01".parse().unwrap()))),
            ("snooze 2 days", Command::Snooze(Snooze::For(Term::Days(2)))),
        ] {
            assert_eq!(Command::parse(said), Ok(command), "{said}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_understood_or_not(line in "\\PC{0,80}") {
            let _ = Command::parse(&line);
        }

        /// Whoever mistypes a command gets no other one.
        #[test]
        fn a_word_is_a_command_or_none(word in "[a-z-]{1,12}", rest in "[a-z0-9. ]{0,20}") {
            if let Ok(command) = Command::parse(&format!("{word} {rest}")) {
                prop_assert_eq!(command.word(), word);
            }
        }
    }
}
