//! What to say, to whom, under which protection.
//!
//! # What it is for
//! [`Letter`] is a decision: its kind, its reader, its facts. The words are `seal/template.rs`, the bytes are `seal`.
//! What becomes of it is [`posting`](crate::domain::posting).
//!
//! # Invariants
//! * [`Protection::Encrypted`] is never weakened: a letter that cannot be encrypted is held.
//! * A letter has exactly one reader.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::calendar::Moment;
use crate::domain::case::CaseId;
use crate::domain::embargo::Standing;
use crate::domain::message::{Attachment, Digest, Mailbox, Message};
use crate::domain::notice::CopyOf;
use crate::domain::report::Item;
use crate::domain::signature::Certificate;
use crate::domain::tlp::Tlp;
use crate::domain::unanswered::Line;

/// `CASE.n`: the nth letter of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LetterId(String);

impl LetterId {
    /// The `number`th letter of a case, counted from 1.
    pub fn new(case: &CaseId, number: usize) -> Self {
        Self(format!("{case}.{number}"))
    }

    /// The `number`th copy of a notice of a case, counted from 1.
    pub fn of_notice(case: &CaseId, notice: u32, number: u32) -> Self {
        Self(format!("{case}-N{notice}.{number}"))
    }

    /// The `number`th letter of the desk that belongs to no case, counted from 1.
    pub fn of_desk(case_prefix: &str, number: u32) -> Self {
        Self(format!("{case_prefix}-DESK.{number}"))
    }

    /// The case, or the desk, whose letters it is counted among.
    pub fn series(&self) -> &str {
        self.0.rsplit_once('.').map_or(self.0.as_str(), |(series, _)| series)
    }

    /// Which of them it is, counted from 1.
    pub fn number(&self) -> Option<u32> {
        self.0.rsplit_once('.').and_then(|(_, number)| number.parse().ok())
    }

    /// It is a copy of a notice.
    pub fn is_copy(&self) -> bool {
        self.series().rsplit_once("-N").is_some_and(|(_, notice)| notice.parse::<u32>().is_ok())
    }

    /// As a person typed it.
    pub fn typed(text: &str) -> Self {
        Self(text.trim().to_uppercase())
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterKind {
    /// "We have your report", to its author.
    Acknowledgement,
    /// A mail of a case, to one person of the team.
    Relay,
    /// What a coordinator must know of the desk itself: letters that wait, keys that expire.
    Warning,
    /// Where the case stands, to a participant who asked.
    Status,
    /// What was not answered, is due, late or held since the last one, to a coordinator.
    Digest,
    /// What a person of the team writes to the reporter.
    Answer,
    /// What a person of the team writes to others of the team.
    Note,
    /// What became of a person's commands, to that person.
    Results,
    /// What runs out, or is late, to a person of the team.
    Reminder,
    /// A copy of what goes to the distributors, to one member.
    Notice,
    /// What would be sent or done when it is approved, to a coordinator.
    Proposal,
    /// About its membership, to a member or to who wants to be one.
    Membership,
}

impl LetterKind {
    /// As people and `--json` read it; also the name of its template.
    pub fn word(self) -> &'static str {
        match self {
            Self::Acknowledgement => "acknowledgement",
            Self::Relay => "relay",
            Self::Warning => "warning",
            Self::Status => "status",
            Self::Digest => "digest",
            Self::Answer => "answer",
            Self::Note => "note",
            Self::Results => "results",
            Self::Reminder => "reminder",
            Self::Notice => "notice",
            Self::Proposal => "proposal",
            Self::Membership => "membership",
        }
    }
}

/// How a letter is protected. Every letter is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Readable by everyone on the way.
    Signed,
    /// Signed, and readable by its reader alone.
    Encrypted,
}

/// A letter before it has words.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// Its one reader.
    pub to: Mailbox,
    /// How it must be protected.
    pub protection: Protection,
    /// The Message-ID it answers.
    pub in_reply_to: Option<String>,
    /// The thread it belongs to, oldest first.
    pub references: Vec<String>,
    /// What it says.
    pub body: Body,
}

/// What a letter says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// To the reporter.
    Acknowledgement(Occasion, Acknowledgement),
    /// To a person of the team.
    Relay(Occasion, Relay),
    /// To a coordinator: what to tell of the desk itself, a line each.
    Warning(Vec<String>),
    /// To a participant: where the case stands.
    Status(Occasion, Status),
    /// To a coordinator: what needs an eye today.
    Digest(Box<Daily>),
    /// To the reporter, by a person.
    Answer(Occasion, Box<Answer>),
    /// To a person of the team, by another one.
    Note(CaseId, Box<Note>),
    /// To whoever gave commands.
    Results(Option<CaseId>, Box<Results>),
    /// To a person of the team: clocks that run out, and how many more than are listed.
    Reminder(Vec<Owed>, usize),
    /// To a member: its copy.
    Notice(CaseId, Box<NoticeCopy>),
    /// To a coordinator.
    Proposal(Option<CaseId>, Arc<Shown>),
    /// To a member, or to who wants to be one.
    Membership(Option<CaseId>, Box<Membership>),
}

/// A member's copy of a notice.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeCopy {
    /// Which.
    pub copy: CopyOf,
    /// What it has in common with the others.
    pub content: Arc<NoticeContent>,
    /// The member's certificates: it is encrypted to all that can be.
    pub certificates: Vec<Certificate>,
    /// The end of the embargo: in UTC, at the desk, at the member.
    pub until: Vec<String>,
    /// The sentence by which this copy is known.
    pub mark: Option<String>,
}

/// What all copies of a notice have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticeContent {
    /// What it is: `notice`, `update`, `shared`, `embargo`, `over`.
    pub sort: &'static str,
    /// How far it may travel.
    pub tlp: Tlp,
    /// Which of the case.
    pub number: u32,
    /// What the person wrote.
    pub text: Option<String>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// Who is named as the author of the text.
    pub author: Option<String>,
    /// How far the embargo is agreed: `none`, `proposed`, `agreed`, `revised`, `lifted`, `broken`.
    pub embargo: &'static str,
    /// Why it was moved.
    pub reason: Option<&'static str>,
    /// Where the public reads of it.
    pub place: Option<String>,
    /// What is asked of whoever gets it.
    pub asks: Vec<String>,
    /// The version of the embargo policy, and where it can be read.
    pub policy: (String, Option<String>),
    /// The copies differ in their words.
    pub marked: bool,
}

/// What would be sent, or done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The number by which it is approved.
    pub number: u32,
    /// Who wants it.
    pub by: String,
    /// In a few words.
    pub what: String,
    /// The reader is the one who wants it, and cannot approve it.
    pub own: bool,
    /// Another person than the one who wants it has to approve.
    pub four_eyes: bool,
    /// It was typed in the shell, and nobody signed it: with four eyes on, two have to approve.
    pub unsigned: bool,
    /// To so many members.
    pub recipients: usize,
    /// What a person should know before: who gets nothing and why, which certificates expire soon.
    pub warnings: Vec<String>,
    /// The text, word for word.
    pub text: Option<String>,
    /// What goes to the reporter beside it, word for word.
    pub to_reporter: Option<String>,
    /// Everything else that goes along, a line each: label, instant, attachments.
    pub lines: Vec<String>,
    /// What is attached, which goes along with this letter, too.
    #[serde(skip)]
    pub attachments: Vec<Attachment>,
}

/// About a membership.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Membership {
    /// What about: `application`, `approved`, `refused`, `vouch`, `vouch-refused`, `warning`.
    pub topic: &'static str,
    /// What the organisation calls itself; empty in a letter that others may read.
    pub organisation: String,
    /// Its name on the list; empty in a letter that others may read.
    pub member: String,
    /// The words to give back.
    pub token: Option<String>,
    /// No certificate is known: it is asked for one.
    pub asks_key: bool,
    /// What is understood, and what is missing, a line each.
    pub lines: Vec<String>,
    /// What a person wrote.
    pub text: Option<String>,
    /// The version of the embargo policy.
    pub policy: String,
    /// Where it can be read.
    pub policy_page: Option<String>,
    /// The copies of what is sent to the list differ in their words.
    pub marked: bool,
    /// Its certificates: it is encrypted to those that can be.
    #[serde(skip)]
    pub certificates: Vec<Certificate>,
    /// Nobody wrote it: it goes out by itself.
    pub automatic: bool,
}

/// What a person of the team writes to the reporter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// What about: `reply`, `need-info`, `plan`, `accept`, `reject`, `severity`, `public`, `embargo`.
    pub topic: &'static str,
    /// What the person wrote.
    pub text: Option<String>,
    /// The file that it lies in.
    #[serde(skip)]
    pub file: Option<Digest>,
    /// The report's subject.
    pub subject: Option<String>,
    /// As what it is rejected.
    pub class: Option<&'static str>,
    /// The project that it is about, of an `upstream` one.
    pub upstream: Option<String>,
    /// P-4.
    pub public_tracker: Option<String>,
    /// The page of the written process.
    pub process: Option<String>,
    /// P-16.
    pub supported: Vec<String>,
    /// How bad it is: "7.5 high (CVSS:3.1/...)".
    pub severity: Option<String>,
    /// Where the public reads of it.
    pub place: Option<String>,
    /// How the embargo stands.
    pub embargo: Standing,
}

/// What a person of the team writes to others of the team.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Note {
    /// Who, or "operator".
    pub by: String,
    /// What.
    pub text: String,
    /// It went to the reporter; the team is to know.
    pub sent: bool,
    /// The file that it lies in.
    #[serde(skip)]
    pub file: Option<Digest>,
    /// The report's subject.
    pub subject: Option<String>,
}

/// What became of commands.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Results {
    /// None of them was carried out.
    pub refused: bool,
    /// Nobody knows whether this person gave them.
    pub doubtful: bool,
    /// The commands, as they were understood.
    pub commands: Vec<String>,
    /// What was done, or what is wrong, a line each.
    pub lines: Vec<String>,
    /// What goes to the reporter, word for word.
    pub sent: Option<String>,
    /// What was asked for: a case at a glance, the list, the commands.
    pub page: Option<String>,
    /// The subject of the mail stood in the clear, and should not have.
    pub shown: bool,
}

/// A clock that runs out, or has run out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// Its case.
    pub case: String,
    /// "first-response" and the like.
    pub kind: &'static str,
    /// What has to happen.
    pub wanted: &'static str,
    /// By when, at the desk.
    pub due: String,
    /// The time is over.
    pub late: bool,
    /// How much of it is over, in percent.
    pub percent: u8,
    /// Who answers for the case.
    pub owner: Option<String>,
    /// How near it is, in words, where a share of its time says little.
    pub nearing: Option<&'static str>,
}

/// What a coordinator is told once a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Daily {
    /// What is late, the latest first.
    pub late: Vec<Owed>,
    /// What is due today.
    pub today: Vec<Owed>,
    /// Letters that wait for a person.
    pub held: Vec<Waiting>,
    /// What was not answered.
    pub lines: Vec<Line>,
    /// How much more was not answered than is listed.
    pub more: usize,
}

impl Daily {
    /// There is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.late.is_empty() && self.today.is_empty() && self.held.is_empty() && self.lines.is_empty()
    }
}

/// A letter that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Which.
    pub letter: String,
    /// Its kind.
    pub kind: &'static str,
    /// To whom.
    pub to: String,
    /// Why.
    pub why: String,
}

/// The mail that a letter is about, and its case.
#[derive(Debug, Clone, PartialEq)]
pub struct Occasion {
    /// The case.
    pub case: CaseId,
    /// The mail.
    pub about: Arc<Message>,
}

impl Letter {
    /// Its kind.
    pub fn kind(&self) -> LetterKind {
        match self.body {
            Body::Acknowledgement(..) => LetterKind::Acknowledgement,
            Body::Relay(..) => LetterKind::Relay,
            Body::Warning(_) => LetterKind::Warning,
            Body::Status(..) => LetterKind::Status,
            Body::Digest(_) => LetterKind::Digest,
            Body::Answer(..) => LetterKind::Answer,
            Body::Note(..) => LetterKind::Note,
            Body::Results(..) => LetterKind::Results,
            Body::Reminder(..) => LetterKind::Reminder,
            Body::Notice(..) => LetterKind::Notice,
            Body::Proposal(..) => LetterKind::Proposal,
            Body::Membership(..) => LetterKind::Membership,
        }
    }

    /// The mail it is about, unless it is about the desk itself.
    pub fn occasion(&self) -> Option<&Occasion> {
        match &self.body {
            Body::Acknowledgement(occasion, _)
            | Body::Relay(occasion, _)
            | Body::Status(occasion, _)
            | Body::Answer(occasion, _) => Some(occasion),
            Body::Warning(_)
            | Body::Digest(_)
            | Body::Note(..)
            | Body::Results(..)
            | Body::Reminder(..)
            | Body::Notice(..)
            | Body::Proposal(..)
            | Body::Membership(..) => None,
        }
    }

    /// Its case.
    pub fn case(&self) -> Option<&CaseId> {
        match &self.body {
            Body::Note(case, _) => Some(case),
            Body::Results(case, _) | Body::Proposal(case, _) | Body::Membership(case, _) => case.as_ref(),
            Body::Notice(case, _) => Some(case),
            _ => self.occasion().map(|occasion| &occasion.case),
        }
    }

    /// Which copy of a notice it is.
    pub fn copy(&self) -> Option<&CopyOf> {
        match &self.body {
            Body::Notice(_, notice) => Some(&notice.copy),
            _ => None,
        }
    }

    /// The file of the text that a person wrote for it.
    pub fn text(&self) -> Option<&Digest> {
        match &self.body {
            Body::Answer(_, answer) => answer.file.as_ref(),
            Body::Note(_, note) => note.file.as_ref(),
            _ => None,
        }
    }
}

/// The facts of an acknowledgement. Nothing of the report is among them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Acknowledgement {
    /// A person answers by then.
    pub first_response: Moment,
    /// A plan is there by then.
    pub plan: Moment,
    /// The first-response promise: how many.
    pub within: u32,
    /// Of what: "business days", "days", "hours".
    pub within_unit: &'static str,
    /// What the report lacks.
    pub missing: Vec<Item>,
    /// The report could not be read as it is: ask to send it again, encrypted to this key.
    pub unreadable: bool,
    /// The report was too large to be fetched.
    pub too_large: bool,
    /// The report came in the clear.
    pub came_in_clear: bool,
    /// P-4.
    pub public_tracker: Option<String>,
    /// The page of the written process.
    pub process: Option<String>,
}

/// The facts of a status letter, and no more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Where the case stands ("received").
    pub phase: &'static str,
    /// The reporter was asked something, and his answer is waited for.
    pub waiting: bool,
    /// The oldest promise whose time is over.
    pub late: Option<Promise>,
    /// The next one.
    pub next: Option<Promise>,
}

/// What a reporter is promised.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Promise {
    /// "first-response" and the like.
    pub what: &'static str,
    /// By when.
    pub due: Moment,
}

/// The facts of a relay, beside the mail itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relay {
    /// "new report", "follow-up" and the like.
    pub occasion: String,
    /// What the mail is ("report", "automatic: vacation").
    pub kind: String,
    /// Its author takes no part in the case.
    pub pending: bool,
    /// What the mail's server says about its sender, if it is asked.
    pub trust: Option<String>,
    /// What a person should see first, and why.
    pub hints: Vec<String>,
    /// The versions it names.
    pub versions: Vec<String>,
    /// When the mail reached the mailbox, at the desk.
    pub received: String,
    /// Deadlines with their due date at the desk.
    pub deadlines: Vec<(String, String)>,
    /// What the report lacks.
    pub missing: Vec<Item>,
    /// Why the reporter got no automatic answer.
    pub why_no_answer: Option<String>,
    /// The letter that tells the author where the case stands, because he asked.
    pub status: Option<String>,
    /// The acknowledgement that waits for a person's word.
    pub release: Option<String>,
    /// What was noticed about the mail in the light of others.
    pub notes: Vec<String>,
    /// The filled form of an application, and what became of it; for coordinators alone.
    pub form: Vec<String>,
    /// What the mail says is not repeated: somebody else's ciphertext came with it.
    pub withheld: bool,
}
