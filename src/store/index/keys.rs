//! The keys of the index: a room and a keyed hash.
//!
//! # Invariants
//! * A key tells its room, and a time where entries are kept in order of time; whatever else it is made of (ids, addresses,
//!   digests) shows only to whoever has the data key, and a guess cannot be held against it.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::case::CaseId;
use crate::domain::distributor::MemberId;
use crate::domain::letter::LetterId;
use crate::domain::message::{Digest, Mailbox, Position, canonical, identity};
use crate::store::vault::Vault;

fn from(room: &str, at: Timestamp) -> String {
    // before 1970 nothing is due
    format!("{room}/{:020}", at.as_millisecond().max(0))
}

/// Makes keys.
#[derive(Debug, Clone)]
pub struct Keys(Vault);

impl Keys {
    pub(super) fn new(vault: &Vault) -> Self {
        Self(vault.clone())
    }

    fn key(&self, room: &str, name: &str) -> Vec<u8> {
        format!("{room}/{}", self.0.name(&format!("{room} {name}"))).into_bytes()
    }

    /// In the order of time, and among those of the same time in that of their place.
    fn timed(&self, room: &str, at: Timestamp, place: &str, name: &str) -> Vec<u8> {
        let name = self.0.name(&format!("{room} {name}"));
        format!("{}/{place}/{name}", from(room, at)).into_bytes()
    }

    pub(super) fn case(&self, id: &CaseId) -> Vec<u8> {
        self.key("case", id.as_str())
    }

    pub(super) fn letter(&self, id: &LetterId) -> Vec<u8> {
        self.key("letter", id.as_str())
    }

    /// By Message-ID, its case.
    pub(super) fn thread(&self, message_id: &str) -> Vec<u8> {
        self.protected_thread(&Digest::from_bytes(&Sha256::digest(message_id)))
    }

    /// The same by the digest, which is all that is known of a Message-ID that was encrypted.
    pub(super) fn protected_thread(&self, id: &Digest) -> Vec<u8> {
        self.key("thread", id.as_str())
    }

    /// By Message-ID, the letter.
    pub(super) fn post(&self, message_id: &str) -> Vec<u8> {
        self.key("post", message_id)
    }

    pub(super) fn certificates(&self, address: &str) -> Vec<u8> {
        self.key("certificates", &canonical(address))
    }

    pub(super) fn ciphertext(&self, ciphertext: &Digest) -> Vec<u8> {
        self.key("ciphertext", ciphertext.as_str())
    }

    pub(super) fn mail(&self, digest: &Digest) -> Vec<u8> {
        self.key("mail", digest.as_str())
    }

    pub(super) fn twin(&self, twin: &Digest) -> Vec<u8> {
        self.key("twin", twin.as_str())
    }

    pub(super) fn position(&self, position: &Position) -> Vec<u8> {
        self.key("position", &position.0)
    }

    /// The counter of a year's cases.
    pub(super) fn number(&self, year: i16) -> Vec<u8> {
        self.key("number", &year.to_string())
    }

    pub(super) fn told(&self, concern: &str) -> Vec<u8> {
        self.key("told", concern)
    }

    /// What a person was reminded of.
    pub(super) fn reminded(&self, warning: &str) -> Vec<u8> {
        self.key("reminded", warning)
    }

    /// When a person was last told what is ahead.
    pub(super) fn reminded_at(&self, address: &str) -> Vec<u8> {
        self.key("reminded-at", &canonical(address))
    }

    /// A signature that is used up.
    pub(super) fn signature(&self, signature: &Digest) -> Vec<u8> {
        self.key("signature", signature.as_str())
    }

    /// What a case owes.
    pub(super) fn running(&self, id: &CaseId) -> Vec<u8> {
        self.key("running", id.as_str())
    }

    /// A letter that waits for a person, and that no rule keeps back.
    pub(super) fn held(&self, letter: &LetterId) -> Vec<u8> {
        self.key("held", letter.as_str())
    }

    /// A letter that waits for a person who was not told yet.
    pub(super) fn untold(&self, letter: &str) -> Vec<u8> {
        self.key("untold", letter)
    }

    /// A member of the distributors' list.
    pub(super) fn member(&self, member: &MemberId) -> Vec<u8> {
        self.key("member", member.as_str())
    }

    /// By one of its addresses, the member.
    pub(super) fn member_of(&self, address: &Mailbox) -> Vec<u8> {
        self.key("member-of", &address.identity())
    }

    /// A proposal that waits for another person's word.
    pub(super) fn proposal(&self, number: u32) -> Vec<u8> {
        self.key("proposal", &number.to_string())
    }

    /// Copies of a notice that are not written yet.
    pub(super) fn fan_out(&self, case: &CaseId, notice: u32) -> Vec<u8> {
        self.key("fan-out", &format!("{case} {notice}"))
    }

    /// The room of the copies of a case's notices.
    pub(super) fn copies(&self, case: &CaseId) -> String {
        format!("copy/{}", self.0.name(&format!("copy {case}")))
    }

    /// The room of the letters of a member that are still to leave.
    pub(super) fn leaving(&self, member: &MemberId) -> String {
        format!("leaving/{}", self.0.name(&format!("leaving {member}")))
    }

    /// A letter in such a room.
    pub(super) fn within(&self, room: &str, letter: &LetterId) -> Vec<u8> {
        format!("{room}/{}", self.0.name(&format!("{room} {letter}"))).into_bytes()
    }

    /// Of letters whose turn comes at the same time, that of the earlier case comes first: its number shows, its name does not.
    pub(super) fn due(&self, at: Timestamp, id: &LetterId) -> Vec<u8> {
        let case = id.series().rsplit('-').next().and_then(|number| number.parse::<u32>().ok());
        let place = format!("{:010}/{:010}", case.unwrap_or_default(), id.number().unwrap_or_default());
        self.timed("due", at, &place, id.as_str())
    }

    /// No letter whose turn comes then or later has a smaller key.
    pub(super) fn due_from(at: Timestamp) -> Vec<u8> {
        from("due", at).into_bytes()
    }

    pub(super) fn unanswered(&self, at: Timestamp, mail: &Digest) -> Vec<u8> {
        self.timed("unanswered", at, "", mail.as_str())
    }

    /// The counters of an answer: its address and day, its domain and hour, the hour, the day.
    pub(super) fn answered(&self, address: Option<&Mailbox>, at: Timestamp) -> [Option<Vec<u8>>; 4] {
        let (day, hour) = (at.strftime("%Y-%m-%d"), at.strftime("%Y-%m-%dT%H"));
        let counter = |when: &dyn std::fmt::Display, whose: &str| {
            format!("answered/{when}/{}", self.0.name(&format!("answered {whose}"))).into_bytes()
        };
        let domain = address.and_then(Mailbox::domain);
        [
            address.map(|address| counter(&day, &identity(&address.address))),
            domain.map(|domain| counter(&hour, &format!("@{domain}"))),
            Some(counter(&hour, "all")),
            Some(counter(&day, "all")),
        ]
    }

    /// The counter of an author's mails on a day.
    pub(super) fn mails(&self, author: &Mailbox, at: Timestamp) -> Vec<u8> {
        let name = self.0.name(&format!("mails {}", identity(&author.address)));
        format!("mails/{}/{name}", at.strftime("%Y-%m-%d")).into_bytes()
    }
}
