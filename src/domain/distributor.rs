//! The distributors' list: organisations that hear of a vulnerability before the public, and why they may.
//!
//! # What it is for
//! P-18 … P-20. A [`Member`] is an organisation, never a person. It begins as an application or is put there by a person, and becomes
//! active by a coordinator's word alone.
//!
//! # Invariants
//! * A member is the fold of its events: [`Member::apply`] cannot refuse history.
//! * Nothing is sent to a member that is not active, or has no certificate that can be encrypted to.
//! * Who is on the list is nobody's business but the coordinators', and never stands in a mail.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::case::CaseId;
use crate::domain::event::{Event, What};
use crate::domain::message::{Digest, Mailbox};
use crate::domain::signature::{Certificate, Standing};

/// The name of a member: small letters, digits and hyphens, as people type it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(String);

impl MemberId {
    /// Characters of a name, at most.
    pub const MOST: usize = 40;

    /// As a person typed it.
    pub fn typed(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ends = text.starts_with('-') || text.ends_with('-');
        match !text.is_empty() && text.len() <= Self::MOST && text.chars().all(fits) && !ends {
            true => Ok(Self(text)),
            false => Err(format!(
                "“{text}” cannot name a member: small letters, digits and hyphens, {} at most",
                Self::MOST
            )),
        }
    }

    /// What is said when nobody has that name.
    pub fn unknown(&self) -> String {
        format!("there is no member {self}: “psirtd members” lists them")
    }

    /// Made of an organisation's name: `Acme Linux GmbH` is `acme-linux-gmbh`. None when nothing of the name is left.
    pub fn of(organisation: &str) -> Option<Self> {
        let mut name = String::new();
        for c in organisation.to_lowercase().chars() {
            match c.is_ascii_alphanumeric() {
                true => name.push(c),
                false if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                false => {}
            }
            if name.len() >= Self::MOST {
                break;
            }
        }
        Self::typed(name.trim_matches('-')).ok()
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an organisation stands to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has asked to join.
    Applied,
    /// It gets what is sent to the list.
    Active,
    /// It gets nothing for now.
    Suspended,
    /// It gets nothing any more, or its application was refused.
    Removed,
}

impl State {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }
}

/// An organisation on the list, or one that wants to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub id: MemberId,
    /// What it calls itself.
    pub organisation: String,
    /// Its role addresses; notices go to the first.
    pub addresses: Vec<Mailbox>,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    /// How it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Its time zone, an IANA name.
    #[serde(default)]
    pub zone: Option<String>,
    /// The case of its application, and when it came.
    #[serde(default)]
    pub application: Option<(CaseId, Timestamp)>,
    /// How it says it meets the criteria.
    #[serde(default)]
    pub criteria: Vec<Criterion>,
    /// Who vouched for it.
    #[serde(default)]
    pub vouch: Option<Vouch>,
    /// The version of the embargo policy that it accepted, and when.
    #[serde(default)]
    pub accepted: Option<(String, Timestamp)>,
    /// The proof of a key that is under way.
    #[serde(default)]
    pub challenge: Option<Challenge>,
    /// Fingerprints of which it showed that it holds the secret key, or that a person put there.
    #[serde(default)]
    pub proven: Vec<(String, Timestamp)>,
    /// What it let leak.
    #[serde(default)]
    pub strikes: Vec<Strike>,
    /// It says again that it meets the criteria and accepts the policy by then.
    #[serde(default)]
    pub attest_by: Option<Timestamp>,
    /// What happened, in a person's words, and who did it.
    #[serde(default)]
    pub history: Vec<(Timestamp, String, String)>,
    /// When it came on the list again, after it had been removed or had applied; none of one that was there from the beginning. What
    /// another one of its name was told before is not its business.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub joined: Option<Timestamp>,
}

/// One of the criteria, and what the organisation says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Criterion {
    /// Which, counted from 1.
    pub number: usize,
    /// In its words.
    pub evidence: String,
    /// A person looked at it: who, and whether it is met.
    #[serde(default)]
    pub reviewed: Option<(String, bool)>,
}

/// A member's word for another organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouch {
    /// Whose word.
    pub by: MemberId,
    /// The version of the embargo policy it was given under.
    pub policy: String,
    /// When.
    pub at: Timestamp,
    /// The mail.
    pub mail: Digest,
}

/// What only whoever holds the secret key can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The certificate that it was encrypted to.
    pub fingerprint: String,
    /// The words to give back.
    pub token: String,
    /// When it was sent.
    pub at: Timestamp,
}

/// A leak that a person laid to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Of what.
    pub case: CaseId,
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
}

/// What happens to a member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// It asks to join; the event's case is its application.
    Applied {
        /// What it calls itself.
        organisation: String,
        /// Its role addresses.
        addresses: Vec<Mailbox>,
        /// What it says to the criteria.
        criteria: Vec<Criterion>,
        /// The version of the embargo policy that was in force: a request is its acceptance (P-20).
        policy: String,
    },
    /// It says more to the criteria.
    Answered {
        /// What.
        criteria: Vec<Criterion>,
    },
    /// It offers a certificate, and is asked to show that it holds the key.
    Challenged {
        /// The certificate.
        certificate: Certificate,
        /// The words to give back.
        token: String,
    },
    /// It has shown it.
    Proven {
        /// The certificate.
        fingerprint: String,
        /// The mail.
        mail: Digest,
        /// The signatures that are used up by that.
        signatures: Vec<Digest>,
    },
    /// A member of another organisation vouches for it.
    Vouched {
        /// Whose word.
        vouch: Vouch,
        /// The signatures that are used up by that.
        signatures: Vec<Digest>,
    },
    /// A person looked at a criterion.
    Reviewed {
        /// Which, counted from 1.
        criterion: usize,
        /// It is met.
        met: bool,
    },
    /// A person put it on the list.
    Added {
        /// Everything that is known of it.
        known: Box<Member>,
    },
    /// A person brought what is known of it up to date from a file, or put it on the list that way.
    Imported {
        /// Everything that is known of it now.
        known: Box<Member>,
    },
    /// A person accepts the application.
    Approved {
        /// It attests again by then.
        attest_by: Option<Timestamp>,
    },
    /// It gets nothing for now.
    Suspended {
        /// Why.
        #[serde(default)]
        why: Option<String>,
    },
    /// It gets what is sent again.
    Resumed,
    /// It gets nothing any more; its application is refused.
    Removed {
        /// Why.
        #[serde(default)]
        why: Option<String>,
    },
    /// Its addresses are these from now on.
    Addresses {
        /// These.
        addresses: Vec<Mailbox>,
    },
    /// A certificate more, or a newer form of one that is known; a person says that it is the member's.
    Certificate {
        /// Which.
        certificate: Certificate,
    },
    /// A certificate less.
    CertificateDropped {
        /// Which.
        fingerprint: String,
    },
    /// Its time zone.
    Zone {
        /// An IANA name.
        zone: String,
    },
    /// A leak is laid to it; the event's case is what leaked.
    Struck,
    /// It has attested again, and accepts this version of the policy.
    Attested {
        /// The version.
        policy: String,
        /// The next time is by then.
        attest_by: Option<Timestamp>,
    },
}

impl Member {
    /// An organisation of which nothing is known but what it is called, and how it stands since when.
    pub fn new(id: MemberId, organisation: String, state: State, since: Timestamp) -> Self {
        Self {
            id,
            organisation,
            addresses: Vec::new(),
            certificates: Vec::new(),
            state,
            since,
            zone: None,
            application: None,
            criteria: Vec::new(),
            vouch: None,
            accepted: None,
            challenge: None,
            proven: Vec::new(),
            strikes: Vec::new(),
            attest_by: None,
            history: Vec::new(),
            joined: None,
        }
    }

    /// The member that an event begins; `None` for every other event.
    pub fn begin(event: &Event) -> Option<Self> {
        let What::Member { member, change, by } = &event.what else { return None };
        let mut begun = match change.as_ref() {
            Change::Applied { organisation, addresses, criteria, policy } => Self {
                addresses: addresses.clone(),
                application: event.case.clone().map(|case| (case, event.at)),
                criteria: criteria.clone(),
                accepted: Some((policy.clone(), event.at)),
                ..Self::new(member.clone(), organisation.clone(), State::Applied, event.at)
            },
            Change::Added { known } | Change::Imported { known } => known.as_ref().clone(),
            _ => return None,
        };
        begun.tell(event.at, change, by);
        Some(begun)
    }

    /// Lets one more event of this member become history.
    pub fn apply(&mut self, event: &Event) {
        let What::Member { change, by, .. } = &event.what else { return };
        let at = event.at;
        match change.as_ref() {
            Change::Applied { organisation, addresses, criteria, policy } => {
                // one that was removed, or refused, asks again
                self.organisation.clone_from(organisation);
                self.addresses.clone_from(addresses);
                self.criteria.clone_from(criteria);
                self.accepted = Some((policy.clone(), at));
                self.application = event.case.clone().map(|case| (case, at));
                (self.vouch, self.challenge) = (None, None);
                self.certificates.clear();
                self.proven.clear();
                self.become_state(State::Applied, at);
            }
            Change::Answered { criteria } => {
                for answer in criteria {
                    self.criteria.retain(|known| known.number != answer.number);
                    self.criteria.push(answer.clone());
                }
                self.criteria.sort_by_key(|answer| answer.number);
            }
            Change::Challenged { certificate, token } => {
                // one that was offered before it, and never proven, makes room
                let proven = std::mem::take(&mut self.certificates).into_iter();
                self.certificates = proven.filter(|known| self.has_proven(&known.fingerprint)).collect();
                self.put(certificate);
                let (fingerprint, token) = (certificate.fingerprint.clone(), token.clone());
                self.challenge = Some(Challenge { fingerprint, token, at });
            }
            Change::Proven { fingerprint, .. } => {
                self.proven.push((fingerprint.clone(), at));
                self.challenge = None;
            }
            Change::Vouched { vouch, .. } => self.vouch = Some(vouch.clone()),
            Change::Reviewed { criterion, met } => {
                for known in self.criteria.iter_mut().filter(|known| known.number == *criterion) {
                    known.reviewed = Some((by.clone(), *met));
                }
            }
            Change::Added { known } | Change::Imported { known } => {
                let (history, joined) = (std::mem::take(&mut self.history), self.joined);
                let was_there = matches!(self.state, State::Active | State::Suspended);
                *self = known.as_ref().clone();
                self.history = history;
                self.joined = if was_there { joined } else { Some(at) };
            }
            Change::Approved { attest_by } => {
                // what nobody has proven is nobody's
                let proven = |certificate: &Certificate| {
                    self.proven.iter().any(|(fingerprint, _)| *fingerprint == certificate.fingerprint)
                };
                self.certificates = self.certificates.iter().filter(|it| proven(it)).cloned().collect();
                self.attest_by = *attest_by;
                self.joined = Some(at);
                self.become_state(State::Active, at);
            }
            Change::Suspended { .. } => self.become_state(State::Suspended, at),
            Change::Resumed => self.become_state(State::Active, at),
            Change::Removed { .. } => self.become_state(State::Removed, at),
            Change::Addresses { addresses } => self.addresses.clone_from(addresses),
            Change::Certificate { certificate } => {
                self.put(certificate);
                self.proven.push((certificate.fingerprint.clone(), at));
            }
            Change::CertificateDropped { fingerprint } => {
                self.certificates.retain(|known| known.fingerprint != *fingerprint);
                self.proven.retain(|(known, _)| known != fingerprint);
            }
            Change::Zone { zone } => self.zone = Some(zone.clone()),
            Change::Struck => {
                let case = event.case.clone();
                self.strikes.extend(case.map(|case| Strike { case, at, by: by.clone() }));
            }
            Change::Attested { policy, attest_by } => {
                self.accepted = Some((policy.clone(), at));
                self.attest_by = *attest_by;
            }
        }
        self.tell(at, change, by);
    }

    /// It gets what is sent to the list.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// It was on the list then, and has been since.
    pub fn has_been_since(&self, at: Timestamp) -> bool {
        self.joined.is_none_or(|joined| joined <= at)
    }

    /// Whether mail from that address is its own.
    pub fn has_address(&self, address: &Mailbox) -> bool {
        self.addresses.iter().any(|known| known.identity() == address.identity())
    }

    /// It has that certificate, and has shown that it holds the key, or a person says so.
    pub fn holds(&self, fingerprint: &str) -> bool {
        self.certificates.iter().any(|known| known.fingerprint == fingerprint) && self.has_proven(fingerprint)
    }

    /// Its certificates of which it has shown that it holds the key, or a person says so: what nobody has proven is nobody's.
    pub fn proven_certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter().filter(|certificate| self.has_proven(&certificate.fingerprint))
    }

    fn has_proven(&self, fingerprint: &str) -> bool {
        self.proven.iter().any(|(known, _)| known == fingerprint)
    }

    /// The certificates by which its mails are known, and what each is worth: pinned for whoever is on the list, for the key is proven
    /// or a person named it; of whoever wants to be, no more than if an earlier mail had brought it.
    pub fn signs_with(&self) -> impl Iterator<Item = (Standing, &Certificate)> {
        let standing = match self.state {
            State::Active | State::Suspended => Some(Standing::Pinned),
            State::Applied => Some(Standing::Seen),
            State::Removed => None,
        };
        self.certificates.iter().filter_map(move |certificate| {
            let counts = standing != Some(Standing::Pinned) || self.holds(&certificate.fingerprint);
            standing.filter(|_| counts).map(|standing| (standing, certificate))
        })
    }

    fn become_state(&mut self, state: State, at: Timestamp) {
        self.state = state;
        self.since = at;
    }

    fn put(&mut self, certificate: &Certificate) {
        self.certificates.retain(|known| known.fingerprint != certificate.fingerprint);
        self.certificates.push(certificate.clone());
    }

    fn tell(&mut self, at: Timestamp, change: &Change, by: &str) {
        self.history.push((at, change.told(), by.to_owned()));
    }
}

impl Change {
    /// What kind of change it is.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "applied",
            Self::Answered { .. } => "answered",
            Self::Challenged { .. } => "challenged",
            Self::Proven { .. } => "proven",
            Self::Vouched { .. } => "vouched",
            Self::Reviewed { .. } => "reviewed",
            Self::Added { .. } => "added",
            Self::Imported { .. } => "imported",
            Self::Approved { .. } => "approved",
            Self::Suspended { .. } => "suspended",
            Self::Resumed => "resumed",
            Self::Removed { .. } => "removed",
            Self::Addresses { .. } => "addresses",
            Self::Certificate { .. } => "certificate",
            Self::CertificateDropped { .. } => "certificate-dropped",
            Self::Zone { .. } => "zone",
            Self::Struck => "struck",
            Self::Attested { .. } => "attested",
        }
    }

    /// In a person's words.
    pub fn told(&self) -> String {
        let because = |why: &Option<String>| why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        match self {
            Self::Applied { policy, .. } => format!("asks to join, and accepts embargo policy {policy}"),
            Self::Answered { criteria } => {
                let numbers: Vec<String> = criteria.iter().map(|it| it.number.to_string()).collect();
                format!("says more to criterion {}", numbers.join(", "))
            }
            Self::Challenged { certificate, .. } => {
                format!("asked to show that it holds the key {}", certificate.fingerprint)
            }
            Self::Proven { fingerprint, .. } => format!("has shown that it holds the key {fingerprint}"),
            Self::Vouched { vouch, .. } => format!("{} vouches for it, policy {}", vouch.by, vouch.policy),
            Self::Reviewed { criterion, met } => {
                format!("criterion {criterion} is {}", if *met { "met" } else { "NOT met" })
            }
            Self::Added { .. } => "put on the list".to_owned(),
            Self::Imported { .. } => "imported from a file".to_owned(),
            Self::Approved { .. } => "approved".to_owned(),
            Self::Suspended { why } => format!("suspended{}", because(why)),
            Self::Resumed => "active again".to_owned(),
            Self::Removed { why } => format!("removed{}", because(why)),
            Self::Addresses { addresses } => {
                let addresses: Vec<&str> = addresses.iter().map(|it| it.address.as_str()).collect();
                format!("addresses: {}", addresses.join(", "))
            }
            Self::Certificate { certificate } => format!("certificate {}", certificate.fingerprint),
            Self::CertificateDropped { fingerprint } => format!("certificate {fingerprint} dropped"),
            Self::Zone { zone } => format!("time zone {zone}"),
            Self::Struck => "a leak is laid to it".to_owned(),
            Self::Attested { policy, .. } => format!("has attested again, policy {policy}"),
        }
    }

    /// The signatures that are used up by it.
    pub fn signatures(&self) -> &[Digest] {
        match self {
            Self::Proven { signatures, .. } | Self::Vouched { signatures, .. } => signatures,
            _ => &[],
        }
    }
}

/// What is known of the list when a decision is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Roster {
    /// Everybody on it, and who wants to be, in the order of their names.
    pub members: Vec<Member>,
    /// Of each: until when it can be written to encrypted (none: without end), or why it cannot.
    pub keys: BTreeMap<MemberId, Result<Option<Timestamp>, String>>,
}

impl Roster {
    /// The member of that name.
    pub fn get(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == *id)
    }

    /// The member whose address it is; one that is on the list before one that is not.
    pub fn of_address(&self, address: &Mailbox) -> Option<&Member> {
        let mut all = self.members.iter().filter(|member| member.has_address(address));
        let first = all.clone().next();
        all.find(|member| member.is_active()).or(first)
    }

    /// Those that get what is sent to the list.
    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_active())
    }

    /// Until when a member can be written to encrypted, or why it cannot.
    pub fn key(&self, id: &MemberId) -> Result<Option<Timestamp>, String> {
        self.keys.get(id).cloned().unwrap_or_else(|| Err("it has no certificate".to_owned()))
    }
}
