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

use crate::domain::application::{OnRoster, lacks};
use crate::domain::case::CaseId;
use crate::domain::command::authority::Actor;
use crate::domain::command::members::Members;
use crate::domain::decide::command::proposals::Preview;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::decide::joining;
use crate::domain::distributor::{Change, Member, MemberId, State};
use crate::domain::event::{Event, What};
use crate::domain::intake::is_address;
use crate::domain::letter::LetterKind;
use crate::domain::message::Mailbox;
use crate::domain::notice::Proposal;
use crate::domain::policy::Policy;
use crate::domain::policy::distributors::CriterionKind;
use crate::domain::posting::{LetterState, Posting};
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
        let stopped = self.stop_letters(&member.id, "is removed");
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
            addresses: vec![address],
            proven: vec![(certificate.fingerprint.clone(), self.now)],
            certificates: vec![certificate],
            // what it let leak is not forgotten
            strikes: known.map_or_else(Vec::new, |known| known.strikes),
            attest_by: attest_by(self.policy, self.now),
            ..Member::new(id.clone(), organisation.unwrap_or(id.as_str()).to_owned(), State::Active, self.now)
        };
        self.changes(&member, None, Change::Added { known: Box::new(member.clone()) });
        let version = &self.policy.distributors.policy;
        Ok(format!(
            "{id} is on the list; it has not accepted the embargo policy (version {version}): members attest {id}, when it has"
        ))
    }

    fn approve_member(&mut self, id: &MemberId) -> Told {
        let member = self.applicant(id)?;
        let voucher = member.vouch.as_ref().and_then(|vouch| self.member(&vouch.by).ok());
        let roster = OnRoster::of(&member, voucher.as_ref(), self.key_of(&member));
        let mut open = lacks(&member, &self.policy.distributors, &roster);
        for address in &member.addresses {
            open.extend(self.free_address(&address.address, id).err());
        }
        for certificate in member.proven_certificates() {
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
        let stopped = self.stop_letters(id, "is suspended");
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
            let hint =
                if member.state == State::Applied { format!(": members refuse {id}") } else { String::new() };
            return Err(format!("{id} is {}{hint}", member.state.word()));
        }
        let same = |proposal: &Proposal| matches!(proposal, Proposal::Remove { member, .. } if member == id);
        if let Some(pending) = self.ordered.pending.iter().find(|pending| same(&pending.proposal)) {
            return Err(format!("proposal {} says so already", pending.number));
        }
        let mut lines =
            vec![format!("{}, {} since {}", member.organisation, member.state.word(), day(member.since))];
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
        // what is sealed to it can be read with it, whoever has it by now
        let stopped = self.stop_letters(id, "has lost the certificate that it may be sealed to");
        let told = format!("the certificate {fingerprint} is {id}'s no more{last}{stopped}");
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
        changed.or_else(known).cloned().ok_or_else(|| id.unknown())
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
        let mut ours = self.ordered.ours.iter();
        if let Some((fingerprint, whose)) = ours.find(|(ours, _)| *ours == certificate.fingerprint) {
            return Some(format!("the certificate {fingerprint} is {whose}'s"));
        }
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
    fn stop_letters(&mut self, id: &MemberId, why: &str) -> String {
        // what another step of the same batch writes is not sealed yet, and would get its turn
        let may_leave = |posting: &&Posting| match posting.state {
            LetterState::Active | LetterState::Deferred => true,
            LetterState::Held => posting.bytes.is_none(),
            LetterState::Sent | LetterState::Returned => false,
        };
        let member = self.member(id).ok();
        let theirs = |posting: &&Posting| match &posting.copy {
            Some(copy) => copy.member == *id,
            None => {
                posting.kind == LetterKind::Membership
                    && member.as_ref().is_some_and(|member| member.has_address(&posting.to))
            }
        };
        let stopped: Vec<&Posting> = self.ordered.copies.iter().filter(theirs).filter(may_leave).collect();
        for posting in &stopped {
            let reason = format!("{id} {why}");
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::command::order;
    use crate::domain::decide::tests::policy;
    use crate::domain::decide::{Decision, Facts, Ordered, obey};
    use crate::domain::distributor::{Criterion, Roster, Strike, Vouch};
    use crate::domain::letter::{Body, LetterId};
    use crate::domain::message::Digest;
    use crate::domain::notice::{CopyOf, Step};
    use crate::domain::policy::{Person, Role};
    use crate::domain::signature::Source;

    fn now() -> Timestamp {
        "2026-11-20T23:00:00Z".parse().unwrap()
    }

    fn certificate(fingerprint: &str) -> Certificate {
        let armored = format!("armored {fingerprint}");
        Certificate { fingerprint: fingerprint.repeat(20), source: Source::Roster, armored }
    }

    fn member(id: &str, state: State) -> Member {
        let own = certificate(&id.chars().take(2).collect::<String>().to_uppercase());
        Member {
            addresses: vec![Mailbox::bare(format!("security@{id}.example"))],
            proven: vec![(own.fingerprint.clone(), now())],
            certificates: vec![own],
            accepted: Some(("1".to_owned(), now())),
            ..Member::new(MemberId::typed(id).unwrap(), id.to_uppercase(), state, now())
        }
    }

    /// One that lacks nothing.
    fn applicant(id: &str) -> Member {
        let criterion = |number| Criterion { number, evidence: "Since 1999.".to_owned(), reviewed: None };
        let vouch = Vouch {
            by: MemberId::typed("acme").unwrap(),
            policy: "1".to_owned(),
            at: now(),
            mail: Digest::from_bytes(&[1]),
        };
        Member {
            criteria: (1..=5).map(criterion).collect(),
            vouch: Some(vouch),
            ..member(id, State::Applied)
        }
    }

    fn roster() -> Roster {
        let mut gamma = member("gamma", State::Removed);
        let case = CaseId::new("EX", 2026, 1);
        gamma.strikes.push(Strike { case, at: now(), by: "ada@example.org".to_owned() });
        let members =
            vec![member("acme", State::Active), member("beta", State::Suspended), applicant("delta"), gamma];
        let keys = members.iter().map(|member| (member.id.clone(), Ok(None))).collect();
        Roster { members, keys }
    }

    struct Said {
        line: &'static str,
        text: Option<&'static str>,
        certificates: Vec<(Certificate, Result<Option<Timestamp>, String>)>,
        copies: Vec<Posting>,
        imported: Option<Result<Vec<Member>, String>>,
        roster: Roster,
        policy: Policy,
    }

    fn said(line: &'static str) -> Said {
        let (certificates, copies) = (Vec::new(), Vec::new());
        Said { line, text: None, certificates, copies, imported: None, roster: roster(), policy: policy() }
    }

    impl Said {
        fn text(self, text: &'static str) -> Self {
            Self { text: Some(text), ..self }
        }

        fn with(self, certificate: Certificate) -> Self {
            Self { certificates: vec![(certificate, Ok(None))], ..self.text("a certificate") }
        }

        fn done(self) -> Result<(Decision, String), String> {
            let order = order::typed(None, self.line, self.text.map(str::to_owned));
            let ordered = Ordered {
                roster: Some(Arc::new(self.roster)),
                certificates: self.certificates,
                copies: self.copies,
                imported: self.imported,
                zone: TimeZone::get("Europe/Berlin").ok(),
                ..Ordered::new(order, None)
            };
            let facts = Facts { ordered: Some(Box::new(ordered)), ..Facts::default() };
            obey(&facts, &self.policy, now())
        }

        fn told(self) -> String {
            self.done().map_or_else(|why| format!("NOT: {why}"), |(_, told)| told)
        }

        /// The one member that it changes, as it is then.
        fn after(self) -> Member {
            let before = self.roster.clone();
            let (decision, _) = self.done().unwrap();
            let of_a_member = |event: &&Event| matches!(event.what, What::Member { .. });
            let first = decision.events.iter().find(of_a_member).unwrap();
            let What::Member { member: id, .. } = &first.what else { unreachable!() };
            let is_its_own =
                |event: &&Event| matches!(&event.what, What::Member { member, .. } if member == id);
            let known = before.get(id).cloned();
            let rest = decision.events.iter().filter(is_its_own).skip(usize::from(known.is_none()));
            let mut member = known.unwrap_or_else(|| Member::begin(first).unwrap());
            rest.for_each(|event| member.apply(event));
            member
        }
    }

    #[test]
    fn a_person_puts_an_organisation_on_the_list() {
        let add = || said("members add epsilon Security@Epsilon.example Epsilon OS").with(certificate("EE"));
        let told = add().told();
        assert!(told.starts_with("epsilon is on the list; it has not accepted the embargo policy"), "{told}");
        let epsilon = add().after();
        assert_eq!((epsilon.state, epsilon.organisation.as_str()), (State::Active, "Epsilon OS"));
        assert!(epsilon.holds(&certificate("EE").fingerprint) && epsilon.accepted.is_none());
        assert_eq!(epsilon.attest_by, "2027-11-20T23:00:00Z".parse().ok());
        assert_eq!(epsilon.history, [(now(), "put on the list".to_owned(), "operator".to_owned())]);
    }

    #[test]
    fn nobody_gets_on_the_list_as_somebody_else() {
        let told = |line| said(line).with(certificate("EE")).told();
        for (line, why) in [
            ("members add acme x@y.example", "acme is on the list already: it is active"),
            ("members add beta x@y.example", "beta is on the list already: it is suspended"),
            ("members add delta x@y.example", "delta has applied: members approve delta"),
            ("members add new security+x@ACME.example", "is an address of acme"),
            ("members add new security@delta.example", "is an address of delta"),
            ("members add new security@example.org", "is the desk's own address"),
            ("members add new ada@example.org", "is an address of the team"),
            ("members add new nobody", "is no address"),
            ("members address beta a@b.example security@acme.example", "is an address of acme"),
            ("members zone acme Mars/Olympus", "is no IANA time zone"),
            ("members certificate gamma", "gamma was removed"),
        ] {
            let told = if line.contains(" zone ") { said(line).told() } else { told(line) };
            let told = if line.contains(" address ") { said(line).told() } else { told };
            assert!(told.starts_with("NOT: ") && told.contains(why), "{line}: {told}");
        }
        let with =
            |certificates| Said { certificates, ..said("members add new x@y.example").text("x") }.told();
        assert!(with(Vec::new()).contains("no OpenPGP certificate in the text"));
        let two = vec![(certificate("EE"), Ok(None)), (certificate("FF"), Ok(None))];
        assert!(with(two).contains("there are 2 certificates"));
        let expired = with(vec![(certificate("EE"), Err("it expired on 2026-11-01".to_owned()))]);
        assert!(expired.contains("cannot be used: it expired"), "{expired}");
        assert!(with(vec![(certificate("AC"), Ok(None))]).contains("is acme's"));
        // what a removed one had is free
        let told = said("members add new security@gamma.example").with(certificate("GA")).told();
        assert!(told.starts_with("new is on the list"), "{told}");
    }

    #[test]
    fn a_removed_one_that_is_put_on_again_keeps_its_leaks() {
        let gamma = said("members add gamma security@gamma.example").with(certificate("EE")).after();
        assert_eq!((gamma.state, gamma.strikes.len()), (State::Active, 1));
    }

    #[test]
    fn whatever_is_open_is_told_at_once() {
        assert!(said("members approve delta").told().starts_with("delta is on the list"));
        let mut bare = roster();
        let delta = &mut bare.members[2];
        (delta.vouch, delta.accepted) = (None, Some(("0".to_owned(), now())));
        delta.criteria.retain(|it| it.number != 2);
        delta.proven.clear();
        delta.addresses = vec![Mailbox::bare("security@acme.example")];
        let told = Said { roster: bare, ..said("members approve delta") }.told();
        for open in [
            "criterion 2 is not answered",
            "nobody has vouched",
            "version 0 of the embargo policy",
            "holds the key",
            "is an address of acme",
        ] {
            assert!(told.contains(open), "{open}: {told}");
        }
        assert!(said("members approve acme").told().contains("acme has not applied: it is active"));
    }

    #[test]
    fn a_vouch_of_one_that_has_left_the_list_since_does_not_count() {
        for state in [State::Suspended, State::Removed, State::Applied] {
            let mut since = roster();
            since.members[0].state = state;
            let told = Said { roster: since, ..said("members approve delta") }.told();
            assert_eq!(
                told, "NOT: delta is not approved: acme, which vouched for it, has left the list since",
                "{state:?}"
            );
        }
    }

    #[test]
    fn an_approved_one_keeps_what_it_has_proven_and_hears_of_it() {
        let mut before = roster();
        before.members[2].certificates.push(certificate("FF"));
        let delta = Said { roster: before, ..said("members approve delta") }.after();
        let own: Vec<&str> = delta.certificates.iter().map(|it| it.fingerprint.as_str()).collect();
        assert_eq!(own, ["DE".repeat(20)]);
        let (decision, _) = said("members approve delta").done().unwrap();
        let Body::Membership(_, letter) = &decision.letters[0].body else { panic!("{decision:?}") };
        assert_eq!(
            (letter.topic, decision.letters[0].to.address.as_str()),
            ("approved", "security@delta.example")
        );
        let (decision, told) = said("members refuse delta").text("You rebuild acme.").done().unwrap();
        let Body::Membership(_, letter) = &decision.letters[0].body else { panic!("{decision:?}") };
        assert_eq!((letter.topic, letter.text.as_deref()), ("refused", Some("You rebuild acme.")));
        assert_eq!(told, "the application of delta is refused");
    }

    #[test]
    fn a_person_looks_at_what_is_said_to_the_criteria() {
        let delta = said("members review delta 3 unmet").after();
        assert_eq!(delta.criteria[2].reviewed, Some(("operator".to_owned(), false)));
        for (line, why) in [
            ("members review delta 6 met", "by the request itself"),
            ("members review delta 7 met", "a member's signed word"),
            ("members review delta 8 met", "there is no criterion 8: there are 7"),
            ("members review acme 1 met", "acme has not applied"),
        ] {
            assert!(said(line).told().contains(why), "{line}: {}", said(line).told());
        }
    }

    fn copy(number: u32, to: &str, state: LetterState, bytes: bool) -> Posting {
        let case = CaseId::new("EX", 2026, 1);
        let what = What::LetterQueued {
            letter: LetterId::of_notice(&case, 1, number),
            kind: LetterKind::Notice,
            to: Mailbox::bare(format!("security@{to}.example")),
            message_id: "x@example.org".to_owned(),
            bytes: Digest::from_bytes(&[1]),
            mail: None,
            text: None,
            copy: Some(CopyOf { notice: 1, member: MemberId::typed(to).unwrap() }),
        };
        let mut posting = Posting::begin(&Event { at: now(), case: Some(case), what }).unwrap();
        posting.state = state;
        posting.bytes = posting.bytes.filter(|_| bytes);
        posting
    }

    #[test]
    fn what_is_still_to_leave_to_a_suspended_member_is_stopped() {
        let copies = || {
            vec![
                copy(1, "acme", LetterState::Active, true),
                copy(2, "acme", LetterState::Deferred, true),
                // another step of the same batch has just written it
                copy(3, "acme", LetterState::Held, false),
                copy(4, "acme", LetterState::Held, true),
                copy(5, "acme", LetterState::Sent, true),
                copy(6, "beta", LetterState::Active, true),
            ]
        };
        for (line, state) in [("members suspend acme", "suspended"), ("members remove acme", "removed")] {
            let (decision, told) = Said { copies: copies(), ..said(line) }.done().unwrap();
            assert_eq!(told, format!("acme is {state}; 3 letters to it are stopped"));
            let stopped = decision.events.iter().filter_map(|event| match &event.what {
                What::LetterStopped { letter, reason } => Some(format!("{letter}: {reason}")),
                _ => None,
            });
            let expected = [1, 2, 3].map(|number| format!("EX-2026-0001-N1.{number}: acme is {state}"));
            assert_eq!(stopped.collect::<Vec<_>>(), expected);
        }
        // what is sealed to a certificate that is given up can be read by whoever has its key
        let line = "members drop-certificate acme ACACACACACACACACACAC";
        let (decision, told) = Said { copies: copies(), ..said(line) }.done().unwrap();
        assert!(told.ends_with("gets nothing; 3 letters to it are stopped"), "{told}");
        let stopped = |event: &&Event| matches!(event.what, What::LetterStopped { .. });
        assert_eq!(decision.events.iter().filter(stopped).count(), 3);
        assert!(said("members suspend beta").told().contains("beta is suspended"));
        assert!(said("members resume acme").told().contains("acme is active"));
        assert_eq!(said("members resume beta").after().state, State::Active);
    }

    #[test]
    fn a_removal_waits_for_another_coordinator() {
        let mut two = policy();
        let otto = Mailbox::bare("otto@example.org");
        two.people.push(Person { mailbox: otto, roles: vec![Role::Coordinator] });
        let remove = || Said { policy: two.clone(), ..said("members remove acme") }.text("It leaks.");
        let (decision, told) = remove().done().unwrap();
        assert!(told.starts_with("proposal 1: remove acme from the list"), "{told}");
        assert_eq!(decision.letters.len(), 2, "both coordinators see it");
        let step = decision.events.iter().find_map(|event| match &event.what {
            What::Distribution { step, .. } => Some(step.as_ref().clone()),
            _ => None,
        });
        let why = Some("It leaks.".to_owned());
        let proposal = Proposal::Remove { member: MemberId::typed("acme").unwrap(), why };
        assert_eq!(step, Some(Step::Proposed { number: 1, proposal }));
        assert!(!decision.events.iter().any(|event| matches!(event.what, What::Member { .. })));
    }

    #[test]
    fn addresses_certificates_and_what_else_is_known() {
        let acme =
            said("members address acme psirt@acme.example security@acme.example PSIRT@acme.example").after();
        let addresses: Vec<&str> = acme.addresses.iter().map(|it| it.address.as_str()).collect();
        assert_eq!(addresses, ["psirt@acme.example", "security@acme.example"]);
        let acme = said("members certificate acme").with(certificate("EE")).after();
        assert_eq!(acme.certificates.len(), 2);
        let told = said("members drop-certificate acme ACACACACACACACAC").told();
        assert!(told.ends_with("it has none now, and gets nothing"), "{told}");
        assert!(said("members drop-certificate acme ACAC").told().contains("at least the last 16 digits"));
        assert_eq!(said("members zone acme europe/berlin").after().zone.as_deref(), Some("Europe/Berlin"));
        let acme = said("members attest acme").after();
        assert_eq!(acme.accepted, Some(("1".to_owned(), now())));
        assert_eq!(acme.attest_by, "2027-11-20T23:00:00Z".parse().ok());
        assert!(said("members attest nobody").told().contains("there is no member nobody"));
        assert!(said("members list").told().contains("psirtd members list"));
    }

    #[test]
    fn a_file_is_taken_in_whole_or_not_at_all() {
        let import =
            |members: Vec<Member>| Said { imported: Some(Ok(members)), ..said("members import").text("x") };
        let mut acme = member("acme", State::Removed);
        acme.addresses = vec![Mailbox::bare("psirt@acme.example")];
        acme.certificates = vec![certificate("EE")];
        acme.proven = vec![(certificate("EE").fingerprint, now())];
        let file = || vec![acme.clone(), member("zeta", State::Active), member("beta", State::Suspended)];
        assert_eq!(
            import(file()).told(),
            "members: 1 new, 1 changed, 1 as they were\nacme stays active (the file says removed)"
        );
        let after = import(file()).after();
        assert_eq!((after.state, after.addresses[0].address.as_str()), (State::Active, "psirt@acme.example"));
        assert!(after.holds(&certificate("EE").fingerprint) && !after.holds(&certificate("AC").fingerprint));
        // a removed one stays so
        let (decision, told) = import(vec![member("gamma", State::Active)]).done().unwrap();
        assert!(told.contains("gamma stays removed") && decision == Decision::default(), "{told}");

        let mut eta = member("eta", State::Active);
        eta.addresses.push(Mailbox::bare("ada@example.org"));
        eta.certificates.push(certificate("DE"));
        let mut theta = member("theta", State::Active);
        theta.addresses = vec![Mailbox::bare("security@eta.example")];
        assert_eq!(
            import(vec![eta, member("zeta", State::Active), theta, member("zeta", State::Active)]).told(),
            "NOT: nothing is imported:\n\
             [0] eta: ada@example.org is an address of the team\n\
             [0] eta: the certificate DEDEDEDEDEDEDEDEDEDEDEDEDEDEDEDEDEDEDEDE is that of delta\n\
             [2] theta: the address security@eta.example is that of eta at [0]\n\
             [3] zeta: it stands in the file twice, at [1], too"
        );
    }
}
