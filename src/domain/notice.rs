//! What the desk sends to the distributors' list, and what it takes to send it.
//!
//! # What it is for
//! P-13, P-21, P-22. A person writes a [`Proposal`]; it is shown to another one, and carried out when that one approves it (four eyes);
//! of what is typed in the shell, when two do.
//! What is carried out is a [`Notice`]: one letter a member, each named by a [`CopyOf`].
//!
//! # Invariants
//! * A proposal is carried out as it was shown, or not at all; whoever has joined the list since is not among its recipients.
//! * Who has been sent anything of a case is `released`; nobody else on the list hears of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::case::CaseId;
use crate::domain::distributor::MemberId;
use crate::domain::embargo::Reason;
use crate::domain::event::OPERATOR;
use crate::domain::letter::LetterId;
use crate::domain::message::Digest;
use crate::domain::policy::Policy;
use crate::domain::tlp::Tlp;

/// What a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// The first word of a vulnerability, to every active member.
    Notice,
    /// More of it, to those who had the notice.
    Update,
    /// What a member wrote, to the others who had the notice.
    Shared,
    /// The embargo's instant: proposed, agreed or changed.
    Embargo,
    /// The embargo is over.
    Over,
}

impl Sort {
    /// As people, `--json` and templates read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Update => "update",
            Self::Shared => "shared",
            Self::Embargo => "embargo",
            Self::Over => "over",
        }
    }
}

/// Something attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, for display.
    pub name: Option<String>,
    /// Its media type.
    pub media_type: String,
    /// The file it lies in.
    pub file: Digest,
    /// Bytes.
    pub size: u64,
}

/// What goes to members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// What it is.
    pub sort: Sort,
    /// How far it may travel.
    pub tlp: Tlp,
    /// The file of its text; none of one whose words are the desk's own.
    #[serde(default)]
    pub text: Option<Digest>,
    /// What is attached.
    #[serde(default)]
    pub files: Vec<File>,
    /// Who is named as the author of the text; of what a member wrote alone.
    #[serde(default)]
    pub author: Option<String>,
    /// The end of the embargo that it speaks of.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Where the public reads of it, when the embargo is over.
    #[serde(default)]
    pub place: Option<String>,
}

/// What a person wants done, which needs another one's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "proposal", rename_all = "kebab-case")]
pub enum Proposal {
    /// To send something to these members.
    Notice {
        /// What.
        content: Content,
        /// To whom.
        to: Vec<MemberId>,
        /// Who would get it, and cannot; and why.
        left_out: Vec<(MemberId, String)>,
    },
    /// To let a member that has joined since know of the case: it gets what the others were sent.
    Release {
        /// Who.
        member: MemberId,
    },
    /// To change the end of the embargo.
    Embargo {
        /// Until then.
        until: Timestamp,
        /// Why (P-15).
        reason: Reason,
        /// The file of what goes to the reporter beside it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<Digest>,
    },
    /// To end it: everything is public.
    Lift {
        /// The file of what goes to the reporter beside it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<Digest>,
    },
    /// To take a member off the list for good.
    Remove {
        /// Who.
        member: MemberId,
        /// Why.
        why: Option<String>,
    },
    /// To warn a member of a leak that is laid to it.
    Warn {
        /// Who.
        member: MemberId,
        /// The file of what is known of the leak.
        text: Option<Digest>,
    },
}

impl Proposal {
    /// It sends something about a case to members.
    pub fn goes_to_many(&self) -> bool {
        matches!(self, Self::Notice { .. } | Self::Release { .. } | Self::Embargo { .. } | Self::Lift { .. })
    }

    /// The one member that it is about.
    pub fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Release { member } | Self::Remove { member, .. } | Self::Warn { member, .. } => {
                Some(member)
            }
            Self::Notice { .. } | Self::Embargo { .. } | Self::Lift { .. } => None,
        }
    }

    /// In a few words.
    pub fn told(&self) -> String {
        match self {
            Self::Notice { content, to, .. } => {
                let what =
                    if content.sort == Sort::Shared { "mail of a member" } else { content.sort.word() };
                format!("{} {what} to {}", content.tlp, members(to.len()))
            }
            Self::Release { member } => format!("release the case to {member}"),
            Self::Embargo { until, reason, .. } => {
                format!("move the embargo to {}: {}", until.strftime("%Y-%m-%d %H:%M UTC"), reason.told())
            }
            Self::Lift { .. } => "lift the embargo".to_owned(),
            Self::Remove { member, .. } => format!("remove {member} from the list"),
            Self::Warn { member, .. } => format!("warn {member} of a leak"),
        }
    }
}

/// So many of them.
pub fn members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

/// A proposal that waits for another person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its number, counted from 1.
    pub number: u32,
    /// The case that it is about.
    pub case: Option<CaseId>,
    /// What.
    pub proposal: Proposal,
    /// Who wants it: an address of the team, or `operator`.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Who has said yes to what the operator wants, when that needs two.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_approval: Option<String>,
}

impl Pending {
    /// So many coordinators have yet to say yes. With four eyes on two sign: whoever proposes by mail and one who approves, or two who
    /// approve what is typed in the shell. The yes of somebody who has left the team does not count.
    pub fn approvals_needed(&self, policy: &Policy) -> usize {
        let is_of_the_team = |name: &String| policy.is_coordinator(name);
        match (policy.four_eyes(), self.by == OPERATOR) {
            (true, true) if !self.first_approval.as_ref().is_some_and(is_of_the_team) => 2,
            _ => 1,
        }
    }
}

/// What was sent to members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Which of the case, counted from 1.
    pub number: u32,
    /// What.
    pub content: Content,
    /// When a person let it go.
    pub at: Timestamp,
    /// Who wanted it, and who approved it.
    pub by: Vec<String>,
    /// To so many.
    pub recipients: usize,
    /// Who would have got it, and could not; and why. Whoever is let know of it later is none of them any more.
    #[serde(default)]
    pub left_out: Vec<(MemberId, String)>,
    /// Of the recipients so many were left out when their turn came.
    #[serde(default)]
    pub missed: usize,
    /// The words by which the copies differ, as the configuration had them then.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub marks: Vec<Vec<String>>,
}

impl Notice {
    /// So many of its recipients have no letter yet; `written`: so many letters are written.
    pub fn unwritten(&self, written: usize) -> usize {
        self.recipients.saturating_sub(self.missed).saturating_sub(written)
    }

    /// The member would have got it, and could not.
    pub fn left_out(&self, member: &MemberId) -> bool {
        self.left_out.iter().any(|(left_out, _)| left_out == member)
    }
}

/// Which copy a letter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyOf {
    /// Of which notice of the case.
    pub notice: u32,
    /// Whose.
    pub member: MemberId,
}

/// A member that knows of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Which.
    pub member: MemberId,
    /// Since when a person wants it to know.
    pub at: Timestamp,
    /// When a person said so the last time, if more than once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub again: Option<Timestamp>,
}

/// A mail of a case that is shown to be of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The mail.
    pub mail: Digest,
    /// Whose.
    pub member: MemberId,
    /// It reports a leak.
    #[serde(default)]
    pub leak: bool,
}

/// Copies that are not sealed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOut {
    /// The case.
    pub case: CaseId,
    /// Which notice of it.
    pub notice: u32,
    /// Who is still to get a letter, and the number of that letter among those of the notice.
    pub left: Vec<(MemberId, u32)>,
}

/// A step on the way to the members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// A person wants something that needs another one's word.
    Proposed {
        /// Its number.
        number: u32,
        /// What.
        proposal: Proposal,
    },
    /// A person says yes to what the operator wants; a second one has to.
    FirstApproval {
        /// Its number.
        number: u32,
    },
    /// Another person says yes; what follows is in the events beside this one.
    Approved {
        /// Its number.
        number: u32,
    },
    /// It is not done.
    Withdrawn {
        /// Its number.
        number: u32,
        /// Why.
        why: Option<String>,
    },
    /// A notice goes to these members; a letter for each follows.
    Begun {
        /// Which.
        notice: Notice,
        /// To whom.
        to: Vec<MemberId>,
    },
    /// A notice of before goes to a member that has joined since.
    Repeated {
        /// Which.
        notice: u32,
        /// To whom.
        member: MemberId,
        /// The number of the letter among those of the notice.
        letter: u32,
    },
    /// A member gets no letter after all.
    LeftOut {
        /// Of which notice.
        notice: u32,
        /// Who.
        member: MemberId,
        /// Why.
        why: String,
    },
    /// A member says, signed, that it has the notice.
    Confirmed {
        /// The letter.
        letter: LetterId,
        /// Who.
        member: MemberId,
        /// In which mail.
        mail: Digest,
    },
    /// A member wrote a mail of the case, as its own signature shows.
    Replied {
        /// Who.
        member: MemberId,
        /// The mail.
        mail: Digest,
        /// What identifies its signatures, which are used up by that.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        signatures: Vec<Digest>,
    },
    /// A member says in such a mail that something got out; what follows, a person decides.
    LeakReported {
        /// Who.
        member: MemberId,
        /// The mail.
        mail: Digest,
    },
    /// Something got out (P-22).
    Leaked {
        /// Through which member, if that is known.
        member: Option<MemberId>,
        /// The file of what is known: what, to whom, when.
        text: Option<Digest>,
        /// The mail that says so.
        mail: Option<Digest>,
        /// The embargo is over by that.
        ends: bool,
    },
}

impl Step {
    /// What kind of step it is.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Proposed { .. } => "proposed",
            Self::FirstApproval { .. } => "first-approval",
            Self::Approved { .. } => "approved",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Begun { .. } => "begun",
            Self::Repeated { .. } => "repeated",
            Self::LeftOut { .. } => "left-out",
            Self::Confirmed { .. } => "confirmed",
            Self::Replied { .. } => "replied",
            Self::LeakReported { .. } => "leak-reported",
            Self::Leaked { .. } => "leaked",
        }
    }

    /// In a person's words; nothing of what is told by itself.
    pub fn told(&self) -> Option<String> {
        Some(match self {
            Self::Proposed { number, proposal } => format!("proposal {number}: {}", proposal.told()),
            Self::FirstApproval { number } => format!("proposal {number}: the first of two approvals"),
            Self::Approved { number } => format!("proposal {number} approved"),
            Self::Withdrawn { number, why } => {
                let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                format!("proposal {number} withdrawn{why}")
            }
            Self::Begun { notice, .. } => {
                let Notice { number, content, recipients, .. } = notice;
                format!("{} {number} ({}) to {}", content.sort.word(), content.tlp, members(*recipients))
            }
            Self::Repeated { notice, member, .. } => {
                format!("notice {notice} to {member}, which has joined since")
            }
            Self::LeftOut { notice, member, why } => format!("notice {notice} not sent to {member}: {why}"),
            Self::Confirmed { .. } | Self::Replied { .. } => return None,
            Self::LeakReported { member, .. } => format!("LEAK REPORTED by {member}"),
            Self::Leaked { member, ends, .. } => {
                let through = member.as_ref().map_or_else(String::new, |member| format!(" through {member}"));
                let fate = if *ends { "the embargo is over" } else { "the embargo stands" };
                format!("LEAK{through}: {fate}")
            }
        })
    }

    /// The files that it names.
    pub fn files(&self) -> Vec<&Digest> {
        let content = match self {
            Self::Proposed { proposal: Proposal::Notice { content, .. }, .. } => content,
            Self::Begun { notice, .. } => &notice.content,
            Self::Proposed {
                proposal:
                    Proposal::Warn { text, .. } | Proposal::Embargo { text, .. } | Proposal::Lift { text },
                ..
            }
            | Self::Leaked { text, .. } => return text.iter().collect(),
            _ => return Vec::new(),
        };
        content.text.iter().chain(content.files.iter().map(|file| &file.file)).collect()
    }
}
