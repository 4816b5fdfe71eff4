//! What a person does with the distributors' list.
//!
//! # What it is for
//! P-18 … P-20. A coordinator's word alone makes an organisation a member, suspends it, takes it off.
//!
//! # Invariants
//! * The list itself is in no answer: a mail shows the one member that it names, the command line has `psirtd members`.
//! * No two organisations of the list share an address or a certificate, and none of them is the desk or one of its people.
//! * Whoever is suspended or removed gets nothing from that instant on: what was still to leave is stopped with it.
//! * Whoever was removed comes back by a new application, or when a person puts it on the list again; no other way.

mod import;
mod page;

use jiff::{SignedDuration, Timestamp};

use crate::domain::application::lacks;
use crate::domain::case::CaseId;
use crate::domain::command::authority::Actor;
use crate::domain::command::members::Members;
use crate::domain::decide::command::proposals::Preview;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::decide::joining;
use crate::domain::distributor::{Change, Member, MemberId, State};
use crate::domain::event::{Event, What};
use crate::domain::intake::is_address;
use crate::domain::letter::{LetterState, Posting};
use crate::domain::message::Mailbox;
use crate::domain::notice::Proposal;
use crate::domain::policy::Policy;
use crate::domain::policy::distributors::CriterionKind;
use crate::domain::signature::Certificate;

/// No organisation has more addresses.
pub(super) const MOST_ADDRESSES: usize = 10;
/// Fewer digits of a fingerprint name no certificate.
const FEWEST_DIGITS: usize = 16;

impl Worker<'_> {
    pub(super) fn members(&mut self, members: &Members, text: Option<&str>) -> Told {
        let why = text.map(first_line);
        match members {
            Members::List | Members::Export => Err(match self.by {
                Actor::Operator => "the list is shown by: psirtd members list, psirtd members export",
                Actor::Person(_) => "the list of members is never in a mail: psirtd members list",
            }
            .to_owned()),
            Members::Import if self.by != Actor::Operator => {
                Err("the list of members is never in a mail: psirtd members import FILE".to_owned())
            }
            Members::Import => self.import_members(),
            Members::Show(member) => {
                let member = self.member(member)?;
                let key = self.key_of(&member);
                let page = page::page(&member, &key, self.policy);
                Ok(self.shows(page, "the member at a glance"))
            }
            Members::Add { member, address, organisation } => {
                self.add_member(member, address, organisation.as_deref())
            }
            Members::Approve(member) => self.approve_member(member),
            Members::Refuse(member) => self.refuse_member(member, text, why),
            Members::Review { member, criterion, met } => self.review_member(member, *criterion, *met),
            Members::Suspend(member) => self.suspend_member(member, why),
            Members::Resume(member) => self.resume_member(member),
            Members::Remove(member) => self.propose_removal(member, why),
            Members::Addresses(member, addresses) => self.address_member(member, addresses),
            Members::Certificate(member) => self.give_certificate(member),
            Members::DropCertificate(member, fingerprint) => self.drop_certificate(member, fingerprint),
            Members::Zone(member, zone) => self.zone_member(member, zone),
            Members::Attest(member) => self.attest_member(member),
        }
    }

    pub(super) fn remove_member(&mut self, member: &MemberId, why: Option<&str>) -> Told {
        let member = self.member(member)?;
        if !matches!(member.state, State::Active | State::Suspended) {
            return Err(format!("{} is {}", member.id, member.state.word()));
        }
        let stopped = self.stop_letters(&member.id, State::Removed);
        self.changes(&member, None, Change::Removed { why: why.map(str::to_owned) });
        Ok(format!("{} is removed{stopped}", member.id))
    }

    fn add_member(&mut self, id: &MemberId, address: &str, organisation: Option<&str>) -> Told {
        let known = self.member(id).ok();
        match known.as_ref().map(|known| known.state) {
            Some(State::Applied) => {
                return Err(format!("{id} has applied: members approve {id}, or members refuse {id}"));
            }
            Some(state @ (State::Active | State::Suspended)) => {
                return Err(format!("{id} is on the list already: it is {}", state.word()));
            }
            Some(State::Removed) | None => {}
        }
        let address = self.free_address(address, id)?;
        let certificate = self.free_certificate(id)?;
        let member = Member {
            id: id.clone(),
            organisation: organisation.unwrap_or(id.as_str()).to_owned(),
            addresses: vec![address],
            proven: vec![(certificate.fingerprint.clone(), self.now)],
            certificates: vec![certificate],
            state: State::Active,
            since: self.now,
            zone: None,
            application: None,
            criteria: Vec::new(),
            vouch: None,
            accepted: None,
            challenge: None,
            // what it let leak is not forgotten
            strikes: known.map_or_else(Vec::new, |known| known.strikes),
            attest_by: attest_by(self.policy, self.now),
            history: Vec::new(),
        };
        self.changes(&member, None, Change::Added { known: Box::new(member.clone()) });
        let version = &self.policy.distributors.policy;
        Ok(format!(
            "{id} is on the list; it has not accepted the embargo policy (version {version}): members attest {id}, when it has"
        ))
    }

    fn approve_member(&mut self, id: &MemberId) -> Told {
        let member = self.applicant(id)?;
        let mut open = lacks(&member, &self.policy.distributors, &self.key_of(&member));
        for address in &member.addresses {
            open.extend(self.free_address(&address.address, id).err());
        }
        for certificate in member.certificates.iter().filter(|it| member.holds(&it.fingerprint)) {
            open.extend(self.taken_certificate(certificate, id));
        }
        if !open.is_empty() {
            return Err(format!("{id} is not approved: {}", open.join("; ")));
        }
        let attest_by = attest_by(self.policy, self.now);
        let case = member.application.as_ref().map(|(case, _)| case.clone());
        let member = self.changes(&member, case, Change::Approved { attest_by });
        let told = self.tell_applicant("approved", &member, None);
        Ok(format!("{id} is on the list{told}"))
    }

    fn refuse_member(&mut self, id: &MemberId, text: Option<&str>, why: Option<String>) -> Told {
        let member = self.applicant(id)?;
        let told = self.tell_applicant("refused", &member, text);
        let case = member.application.as_ref().map(|(case, _)| case.clone());
        self.changes(&member, case, Change::Removed { why });
        Ok(format!("the application of {id} is refused{told}"))
    }

    /// What became of its application, to the organisation.
    fn tell_applicant(&mut self, topic: &'static str, member: &Member, text: Option<&str>) -> String {
        let case = member.application.as_ref().map(|(case, _)| case.clone());
        let known = case.filter(|case| self.case.as_ref().is_some_and(|known| known.id == *case));
        // the letters of a case that is not named here cannot be counted: then it is one of the desk's
        let id = self.letter_id(known.as_ref());
        let text = text.map(str::to_owned);
        match joining::letter(topic, member, known.as_ref(), id, Vec::new(), text, self.policy) {
            Some(letter) => {
                self.done.letters.push(letter);
                String::new()
            }
            None => "; it has shown no key, so nothing is written to it: tell it yourself".to_owned(),
        }
    }

    fn review_member(&mut self, id: &MemberId, criterion: usize, met: bool) -> Told {
        let member = self.applicant(id)?;
        let criteria = &self.policy.distributors.criteria;
        let kind = criterion.checked_sub(1).and_then(|place| criteria.get(place)).map(|it| it.kind);
        match kind {
            None => return Err(format!("there is no criterion {criterion}: there are {}", criteria.len())),
            Some(CriterionKind::Acceptance) => {
                return Err(format!("criterion {criterion} is met by the request itself"));
            }
            Some(CriterionKind::Vouch) => {
                return Err(format!("criterion {criterion} is met by a member's signed word alone"));
            }
            Some(CriterionKind::Evidence) => {}
        }
        if !member.criteria.iter().any(|said| said.number == criterion) {
            return Err(format!("{id} has not said how it meets criterion {criterion}"));
        }
        let case = member.application.as_ref().map(|(case, _)| case.clone());
        self.changes(&member, case, Change::Reviewed { criterion, met });
        Ok(format!("criterion {criterion} of {id} is {}", if met { "met" } else { "NOT met" }))
    }

    fn suspend_member(&mut self, id: &MemberId, why: Option<String>) -> Told {
        let member = self.member(id)?;
        if !member.is_active() {
            return Err(format!("{id} is {}", member.state.word()));
        }
        let stopped = self.stop_letters(id, State::Suspended);
        self.changes(&member, None, Change::Suspended { why });
        Ok(format!("{id} is suspended{stopped}"))
    }

    fn resume_member(&mut self, id: &MemberId) -> Told {
        let member = self.member(id)?;
        if member.state != State::Suspended {
            return Err(format!("{id} is {}", member.state.word()));
        }
        self.changes(&member, None, Change::Resumed);
        let key = self.key_of(&member).err();
        let key = key.map_or_else(String::new, |why| format!("; it cannot be written to: {why}"));
        Ok(format!("{id} is active again; letters that were stopped wait for your word: psirtd outbox{key}"))
    }

    fn propose_removal(&mut self, id: &MemberId, why: Option<String>) -> Told {
        let member = self.member(id)?;
        if !matches!(member.state, State::Active | State::Suspended) {
            let hint = if member.state == State::Applied { format!(": members refuse {id}") } else { String::new() };
            return Err(format!("{id} is {}{hint}", member.state.word()));
        }
        let same = |proposal: &Proposal| matches!(proposal, Proposal::Remove { member, .. } if member == id);
        if let Some(pending) = self.ordered.pending.iter().find(|pending| same(&pending.proposal)) {
            return Err(format!("proposal {} says so already", pending.number));
        }
        let mut lines = vec![format!("{}, {} since {}", member.organisation, member.state.word(), day(member.since))];
        lines.extend(why.iter().map(|why| format!("why: {why}")));
        lines.push("it gets nothing any more, and comes back by a new application alone".to_owned());
        let struck = member.strikes.len();
        if struck > 0 {
            lines.push(format!("leaks that are laid to it: {struck}"));
        }
        let preview = Preview { lines, ..Preview::default() };
        self.propose(Proposal::Remove { member: id.clone(), why }, preview)
    }

    fn address_member(&mut self, id: &MemberId, addresses: &[String]) -> Told {
        let member = self.on_the_list(id)?;
        if addresses.len() > MOST_ADDRESSES {
            return Err(format!("more than {MOST_ADDRESSES} addresses"));
        }
        let mut free: Vec<Mailbox> = Vec::new();
        for address in addresses {
            let address = self.free_address(address, id)?;
            if !free.iter().any(|known| known.identity() == address.identity()) {
                free.push(address);
            }
        }
        let told: Vec<&str> = free.iter().map(|one| one.address.as_str()).collect();
        let told = format!("notices to {id} go to {}", told.join(", its mails may come from "));
        self.changes(&member, None, Change::Addresses { addresses: free });
        Ok(told)
    }

    fn give_certificate(&mut self, id: &MemberId) -> Told {
        let member = self.on_the_list(id)?;
        let certificate = self.free_certificate(id)?;
        let told = format!("{id} has the certificate {}", certificate.fingerprint);
        self.changes(&member, None, Change::Certificate { certificate });
        Ok(told)
    }

    fn drop_certificate(&mut self, id: &MemberId, fingerprint: &str) -> Told {
        let member = self.member(id)?;
        let named = |known: &&Certificate| known.fingerprint.ends_with(fingerprint);
        let mut named = member.certificates.iter().filter(named);
        let one = named.next().filter(|_| named.next().is_none() && fingerprint.len() >= FEWEST_DIGITS);
        let Some(one) = one else {
            return Err(format!(
                "{id} has no certificate {fingerprint}: members show {id} says which (at least the last {FEWEST_DIGITS} digits)"
            ));
        };
        let fingerprint = one.fingerprint.clone();
        let last = if member.certificates.len() == 1 { "; it has none now, and gets nothing" } else { "" };
        let told = format!("the certificate {fingerprint} is {id}'s no more{last}");
        self.changes(&member, None, Change::CertificateDropped { fingerprint });
        Ok(told)
    }

    fn zone_member(&mut self, id: &MemberId, zone: &str) -> Told {
        let member = self.on_the_list(id)?;
        let known = self.ordered.zone.as_ref().and_then(|zone| zone.iana_name());
        let Some(known) = known.filter(|known| known.eq_ignore_ascii_case(zone)) else {
            return Err(format!("“{zone}” is no IANA time zone, such as “Europe/Berlin” (one in a mail)"));
        };
        let told = format!("instants are told {id} in {known}, too");
        self.changes(&member, None, Change::Zone { zone: known.to_owned() });
        Ok(told)
    }

    fn attest_member(&mut self, id: &MemberId) -> Told {
        let member = self.on_the_list(id)?;
        if member.state == State::Applied {
            return Err(format!("{id} has applied, and is not on the list yet"));
        }
        let policy = self.policy.distributors.policy.clone();
        let attest_by = attest_by(self.policy, self.now);
        let next = attest_by.map_or_else(String::new, |by| format!("; it attests again by {}", day(by)));
        let told = format!("{id} accepts embargo policy {policy}, and meets the criteria{next}");
        self.changes(&member, None, Change::Attested { policy, attest_by });
        Ok(told)
    }

    /// A member, as this mail has left it so far.
    fn member(&self, id: &MemberId) -> Result<Member, String> {
        let changed = self.done.members.iter().find(|member| member.id == *id);
        let known = || self.ordered.roster.as_ref().and_then(|roster| roster.get(id));
        changed.or_else(known).cloned().ok_or_else(|| format!("there is no member {id}"))
    }

    fn applicant(&self, id: &MemberId) -> Result<Member, String> {
        let member = self.member(id)?;
        match member.state {
            State::Applied => Ok(member),
            state => Err(format!("{id} has not applied: it is {}", state.word())),
        }
    }

    fn on_the_list(&self, id: &MemberId) -> Result<Member, String> {
        let member = self.member(id)?;
        match member.state {
            State::Removed => {
                Err(format!("{id} was removed: it comes back by a new application, or by members add"))
            }
            _ => Ok(member),
        }
    }

    /// Everybody, as this mail has left them so far.
    fn all_members(&self) -> impl Iterator<Item = &Member> {
        let known = self.ordered.roster.iter().flat_map(|roster| &roster.members);
        let changed = |id: &MemberId| self.done.members.iter().any(|member| member.id == *id);
        known.filter(move |member| !changed(&member.id)).chain(&self.done.members)
    }

    /// Until when it can be written to encrypted, or why it cannot. Of what this mail itself has changed nothing is said.
    fn key_of(&self, member: &Member) -> Result<Option<Timestamp>, String> {
        match &self.ordered.roster {
            Some(roster) => roster.key(&member.id),
            None => Err("nothing is known of its certificates".to_owned()),
        }
    }

    /// An address that may be that member's.
    fn free_address(&self, address: &str, id: &MemberId) -> Result<Mailbox, String> {
        let mailbox = Mailbox::bare(address.trim());
        not_ours(&mailbox, self.policy)?;
        match self.all_members().find(|other| others(other, id) && other.has_address(&mailbox)) {
            Some(other) => Err(format!("{address} is an address of {}", other.id)),
            None => Ok(mailbox),
        }
    }

    /// The one certificate in the text, if it may be that member's.
    fn free_certificate(&self, id: &MemberId) -> Result<Certificate, String> {
        let (certificate, good) = match self.ordered.certificates.as_slice() {
            [only] => only,
            [] => return Err("there is no OpenPGP certificate in the text: put it there, armored".to_owned()),
            several => {
                return Err(format!("there are {} certificates in the text: one, please", several.len()));
            }
        };
        if let Err(why) = good {
            return Err(format!("the certificate {} cannot be used: {why}", certificate.fingerprint));
        }
        match self.taken_certificate(certificate, id) {
            Some(why) => Err(why),
            None => Ok(certificate.clone()),
        }
    }

    fn taken_certificate(&self, certificate: &Certificate, id: &MemberId) -> Option<String> {
        let has = |other: &&Member| others(other, id) && has_certificate(other, &certificate.fingerprint);
        let other = self.all_members().find(has)?;
        Some(format!("the certificate {} is {}'s", certificate.fingerprint, other.id))
    }

    /// Something happens to a member; how it stands then.
    fn changes(&mut self, member: &Member, case: Option<CaseId>, change: Change) -> Member {
        let what = What::Member { member: member.id.clone(), change: Box::new(change), by: self.by.name() };
        let event = Event { at: self.now, case, what };
        let after = match self.member(&member.id) {
            Ok(mut known) => {
                known.apply(&event);
                known
            }
            Err(_) => Member::begin(&event).unwrap_or_else(|| member.clone()),
        };
        self.done.members.retain(|known| known.id != after.id);
        self.done.members.push(after.clone());
        let own = self.case.as_mut().filter(|own| event.case.as_ref() == Some(&own.id));
        own.into_iter().for_each(|own| own.apply(&event));
        self.done.events.push(event);
        after
    }

    /// What is still to leave to a member is stopped.
    fn stop_letters(&mut self, id: &MemberId, state: State) -> String {
        // what another step of the same batch writes is not sealed yet, and would get its turn
        let may_leave = |posting: &&Posting| match posting.state {
            LetterState::Active | LetterState::Deferred => true,
            LetterState::Held => posting.bytes.is_none(),
            LetterState::Sent | LetterState::Returned => false,
        };
        let theirs = |posting: &&Posting| posting.copy.as_ref().is_some_and(|copy| copy.member == *id);
        let stopped: Vec<&Posting> = self.ordered.copies.iter().filter(theirs).filter(may_leave).collect();
        for posting in &stopped {
            let reason = format!("{id} is {}", state.word());
            let what = What::LetterStopped { letter: posting.id.clone(), reason };
            self.done.events.push(Event { at: self.now, case: posting.case.clone(), what });
        }
        match stopped.len() {
            0 => String::new(),
            1 => "; a letter to it is stopped".to_owned(),
            several => format!("; {several} letters to it are stopped"),
        }
    }
}

/// Neither the desk's nor one of its people's.
pub(super) fn not_ours(mailbox: &Mailbox, policy: &Policy) -> Result<(), String> {
    let address = &mailbox.address;
    if !is_address(address) {
        return Err(format!("“{address}” is no address"));
    }
    if policy.is_own(address) {
        return Err(format!("{address} is the desk's own address"));
    }
    match policy.person(address) {
        Some(_) => Err(format!("{address} is an address of the team")),
        None => Ok(()),
    }
}

/// Another one that is on the list, or wants to be.
fn others(other: &Member, id: &MemberId) -> bool {
    other.id != *id && other.state != State::Removed
}

fn has_certificate(member: &Member, fingerprint: &str) -> bool {
    member.certificates.iter().any(|known| known.fingerprint == fingerprint)
}

/// When whoever says now that it meets the criteria says so again.
fn attest_by(policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let days = policy.distributors.attest_days?;
    let term = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    now.checked_add(term).ok()
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
