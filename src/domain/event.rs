//! What happened: the only thing that is journaled.
//!
//! # Invariants
//! * An event is history. It cannot be refused by whoever applies it, and its written form never changes meaning: variants
//!   and fields may be added, never renamed.
//! * No text of a report is in an event but its subject; never an attachment, never decrypted text. What people of the team write
//!   is not in it either: it lies in a file, which the event names. (What an organisation says of itself, so that it stands on the
//!   distributors' list, is no report: the list is made of such events.)
//! * What a person did says who: an address of the team, or [`OPERATOR`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::advisory::Finding;
use crate::domain::case::CaseId;
use crate::domain::command::{Class, Topic};
use crate::domain::deadline::{Because, Deadline, Terms};
use crate::domain::distributor::{Change, MemberId};
use crate::domain::embargo;
use crate::domain::intake::{Kind, Sort};
use crate::domain::letter::{LetterId, LetterKind};
use crate::domain::message::{Digest, Encryption, Mailbox};
use crate::domain::notice::{self, CopyOf};
use crate::domain::phase::{Phase, Priority};
use crate::domain::report::{Hint, Item};
use crate::domain::signature::{Certificate, Standing};
use crate::domain::trust::Trust;

/// Whoever works on the command line.
pub const OPERATOR: &str = "operator";

/// One thing that happened, to one case or to none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The case it belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub case: Option<CaseId>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of things that happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A case was opened for a report.
    CaseOpened {
        /// The report's subject.
        subject: Option<String>,
        /// Who reported; none when From does not name exactly one mailbox.
        reporter: Option<Mailbox>,
        /// When the mail reached the mailbox.
        received_at: Timestamp,
        /// What was promised.
        deadlines: Vec<Deadline>,
        /// What the report lacks.
        missing: Vec<Item>,
        /// What a person should see first.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        hints: Vec<Hint>,
        /// The terms in force, by which later deadlines of the case are counted, too.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        terms: Option<Terms>,
    },
    /// A mail was taken in.
    MailRecorded {
        /// The file it lies in.
        mail: Digest,
        /// What it is.
        kind: Kind,
        /// Which machine wrote it, if one did.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        sort: Option<Sort>,
        /// Its subject, unless that was protected by encryption.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        subject: Option<String>,
        /// Its one author.
        from: Option<Mailbox>,
        /// Its Message-ID.
        message_id: Option<String>,
        /// A digest of the Message-ID in its protected header.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        protected_id: Option<Digest>,
        /// Size in bytes.
        size: u64,
        /// Was it encrypted.
        encryption: Encryption,
        /// The word of the signature's verdict.
        signature: String,
        /// The verdict's own word.
        #[serde(default)]
        verdict: String,
        /// Who signed, as far as the signature names somebody.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        signer: Option<String>,
        /// How the desk came to the certificate that a good signature is by.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        standing: Option<Standing>,
        /// What identifies the ciphertexts that were opened.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        ciphertexts: Vec<Digest>,
        /// Why it could not be opened.
        problem: Option<String>,
        /// Why no automatic answer goes out.
        why_no_answer: Option<String>,
        /// Words that may mean that a machine wrote it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        doubt: Option<String>,
        /// What the mail's own server says about its sender.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        trust: Option<Trust>,
        /// It leads to the case, but its author takes no part in it: unverified, and without effect.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        pending: bool,
    },
    /// A person found that a case is about the same as another one.
    CaseMerged {
        /// The case that goes on.
        into: CaseId,
        /// Who found it.
        #[serde(default = "operator")]
        by: String,
    },
    /// A person took a mail out of a case, because it is about something else.
    MailMoved {
        /// The mail.
        mail: Digest,
        /// Its Message-ID.
        message_id: Option<String>,
        /// A digest of the Message-ID in its protected header.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        protected_id: Option<Digest>,
        /// The case it opened.
        to: CaseId,
        /// Who reported what is left; the author of the first mail that is left, if it does not say.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reporter: Option<Mailbox>,
        /// Who found it.
        #[serde(default = "operator")]
        by: String,
    },
    /// The store was brought back from a backup. What happened after it was made is lost.
    Restored {
        /// When the backup was made.
        backup: Timestamp,
        /// When it was brought back, or later: clocks may be wrong.
        until: Timestamp,
        /// Numbers of cases that are left out in each of these years: whoever heard of one of them must not meet another case.
        left_out: u32,
        /// The years.
        years: Vec<i16>,
    },
    /// A certificate for an address was seen for the first time, or with newer signatures of its own.
    CertificateSeen {
        /// Whose.
        address: String,
        /// The certificate.
        certificate: Certificate,
        /// It is used from now on; if not, the desk holds another, and a person decides.
        in_use: bool,
    },
    /// A signature was checked again with a certificate that was looked up meanwhile.
    SignatureChecked {
        /// The mail it is in.
        mail: Digest,
        /// The word of the verdict.
        signature: String,
        /// The verdict's own word.
        verdict: String,
        /// Who signed.
        signer: Option<String>,
        /// How the desk came to the certificate.
        standing: Option<Standing>,
    },
    /// A person lets another certificate be used for an address.
    CertificateAccepted {
        /// Whose.
        address: String,
        /// Which.
        fingerprint: String,
    },
    /// The coordinators were told.
    Told {
        /// The keys of what they were told.
        concerns: Vec<String>,
    },
    /// The coordinators were told what was not answered.
    Digested {
        /// These mails.
        mails: Vec<Digest>,
    },
    /// A letter is sealed and waits for its turn.
    LetterQueued {
        /// Which.
        letter: LetterId,
        /// Its kind.
        kind: LetterKind,
        /// To whom.
        to: Mailbox,
        /// Its own Message-ID.
        message_id: String,
        /// The file its bytes lie in.
        bytes: Digest,
        /// The mail it is about.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mail: Option<Digest>,
        /// The file of the text that a person wrote for it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<Digest>,
        /// Which copy of a notice it is.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        copy: Option<CopyOf>,
    },
    /// A letter could not be sealed and waits for a person.
    LetterHeld {
        /// Which.
        letter: LetterId,
        /// Its kind.
        kind: LetterKind,
        /// To whom.
        to: Mailbox,
        /// Why.
        reason: String,
        /// The mail it is about, so that it can be written again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mail: Option<Digest>,
        /// It could be written: a rule says that it is not sent unless a person wants it.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        withheld: bool,
        /// The file of the text that a person wrote for it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<Digest>,
        /// Which copy of a notice it is.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        copy: Option<CopyOf>,
    },
    /// The next server took responsibility for a letter.
    LetterSent {
        /// Which.
        letter: LetterId,
        /// The server's words.
        reply: String,
    },
    /// A letter did not go out this time.
    LetterDeferred {
        /// Which.
        letter: LetterId,
        /// The server's or the system's words.
        reply: String,
        /// When it is tried again.
        next_attempt: Timestamp,
    },
    /// A letter will never go out by itself: refused for good, or given up.
    LetterReturned {
        /// Which.
        letter: LetterId,
        /// The server's words, or why it was given up.
        reply: String,
    },
    /// A person stopped a letter.
    LetterStopped {
        /// Which.
        letter: LetterId,
        /// Why, as the person or the command says.
        reason: String,
    },
    /// A person lets a stopped or returned letter go, or asks for an attempt now.
    LetterReleased {
        /// Which.
        letter: LetterId,
        /// Who.
        #[serde(default = "operator")]
        by: String,
    },
    /// A person gave commands; what came of them is in the events beside this one.
    Commanded {
        /// Who.
        by: String,
        /// The commands' words, without their texts.
        commands: Vec<String>,
        /// What identifies the signature, which is used up by that; the command line needs none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        signature: Option<Digest>,
        /// The same of further signatures of the same author beside it.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        further: Vec<Digest>,
        /// The mail they are in.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mail: Option<Digest>,
        /// Why none of them was carried out.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        refused: Option<String>,
    },
    /// A case has an owner from now on.
    OwnerSet {
        /// Who answers for it.
        owner: Mailbox,
        /// Who said so.
        by: String,
    },
    /// Something was noted for the team.
    NoteWritten {
        /// The file of the text; none when it is the text of a mail.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<Digest>,
        /// Who wrote it.
        by: String,
    },
    /// A person wrote to the reporter.
    Answered {
        /// What about.
        topic: Topic,
        /// Who.
        by: String,
        /// The letter; none when that person's own mail went to the reporter.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        letter: Option<LetterId>,
        /// The file of the text.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        text: Option<Digest>,
        /// What identifies the signatures of that person's own mail, which are used up by that.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        signatures: Vec<Digest>,
    },
    /// A clock of a case begins, or begins anew.
    ClockStarted {
        /// What is due by when.
        deadline: Deadline,
        /// Why.
        because: Because,
    },
    /// A case came further, or back.
    PhaseChanged {
        /// Where it stands now.
        phase: Phase,
        /// As what it is rejected.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        class: Option<Class>,
        /// Who says so.
        by: String,
    },
    /// A case is shared with maintainers (P-2).
    Shared {
        /// With whom, besides those who had it before.
        with: Vec<Mailbox>,
        /// Who says so.
        by: String,
    },
    /// Something was found out about the vulnerability.
    Assessed {
        /// What.
        finding: Finding,
        /// Who says so.
        by: String,
    },
    /// A case is more or less urgent than others.
    PrioritySet {
        /// How urgent.
        priority: Priority,
        /// Who says so.
        by: String,
    },
    /// Nobody is reminded of a case for a while. What is promised stays promised.
    Snoozed {
        /// Until then.
        until: Timestamp,
        /// Who says so.
        by: String,
    },
    /// The matter of a case is publicly known (P-5).
    BecamePublic {
        /// Where it stands.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        place: Option<String>,
        /// Who says so.
        by: String,
    },
    /// Somebody was told of clocks that run out.
    Reminded {
        /// Who.
        to: String,
        /// The keys of what they were told.
        warnings: Vec<String>,
        /// Nothing among them was broken yet: no further such letter goes to them today.
        #[serde(default)]
        ahead: bool,
    },
    /// Something happens to an organisation of the distributors' list, or to one that wants to join.
    Member {
        /// Which.
        member: MemberId,
        /// What.
        #[serde(flatten)]
        change: Box<Change>,
        /// Who did it: an address, or `psirtd`.
        by: String,
    },
    /// Something happens to the embargo of a case.
    Embargo {
        /// What.
        #[serde(flatten)]
        step: embargo::Step,
        /// Who did it.
        by: String,
    },
    /// A step on the way to the distributors.
    Distribution {
        /// What.
        #[serde(flatten)]
        step: Box<notice::Step>,
        /// Who did it.
        by: String,
    },
}

fn operator() -> String {
    OPERATOR.to_owned()
}

impl What {
    /// The letter it is about.
    pub fn letter(&self) -> Option<&LetterId> {
        match self {
            Self::CaseOpened { .. }
            | Self::MailRecorded { .. }
            | Self::CertificateSeen { .. }
            | Self::SignatureChecked { .. }
            | Self::CertificateAccepted { .. }
            | Self::CaseMerged { .. }
            | Self::MailMoved { .. }
            | Self::Digested { .. }
            | Self::Restored { .. }
            | Self::Told { .. }
            | Self::Commanded { .. }
            | Self::OwnerSet { .. }
            | Self::NoteWritten { .. }
            | Self::Answered { .. }
            | Self::ClockStarted { .. }
            | Self::PhaseChanged { .. }
            | Self::Shared { .. }
            | Self::Assessed { .. }
            | Self::PrioritySet { .. }
            | Self::Snoozed { .. }
            | Self::BecamePublic { .. }
            | Self::Reminded { .. }
            | Self::Member { .. }
            | Self::Embargo { .. }
            | Self::Distribution { .. } => None,
            Self::LetterQueued { letter, .. }
            | Self::LetterHeld { letter, .. }
            | Self::LetterSent { letter, .. }
            | Self::LetterDeferred { letter, .. }
            | Self::LetterReturned { letter, .. }
            | Self::LetterStopped { letter, .. }
            | Self::LetterReleased { letter, .. } => Some(letter),
        }
    }

    /// The files of what people wrote, which it names.
    pub fn texts(&self) -> Vec<&Digest> {
        match self {
            Self::NoteWritten { text, .. } | Self::Answered { text, .. } => text.iter().collect(),
            Self::Assessed { finding: Finding::Workaround(text), .. }
            | Self::Assessed { finding: Finding::Exception { reason: text, .. }, .. } => vec![text],
            Self::Distribution { step, .. } => step.files(),
            _ => Vec::new(),
        }
    }
}
