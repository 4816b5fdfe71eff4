//! What follows when an organisation asks to join the distributors' list, shows that it holds its key, and when a member vouches for it.
//!
//! # What it is for
//! P-19, P-20. The applicant hears what is understood and what is missing, the coordinators see the form as it stands now. A coordinator
//! approves: nothing here puts anybody on the list.
//!
//! # Invariants
//! * The words of a challenge leave the house only encrypted to the certificate that they are to prove, and count only when they come
//!   back in the applicant's own words, signed by that very certificate, for the first time.
//! * A vouch counts once, of an active member, signed now by a certificate that it has shown to hold, for another organisation that waits,
//!   under the version of the policy in force. Why another one does not count is told to the coordinators and kept in the case; the one
//!   who vouches is not told who else is on the list.
//! * An answer that others may read holds the criteria and nothing of the mail. What came encrypted is told only to whoever signed it
//!   inside.
//! * An answer goes out where an acknowledgement might, and is counted with them. Whoever is suspended or removed hears nothing.

mod vouching;

use jiff::Timestamp;

use crate::domain::application::{self, OnRoster, Standing, TOKEN};
use crate::domain::case::{Case, CaseId};
use crate::domain::command::authority::is_fresh;
use crate::domain::decide::mail::Taken;
use crate::domain::decide::{Facts, letters};
use crate::domain::distributor::{Change, Member, MemberId, Roster, State};
use crate::domain::event::{Event, What};
use crate::domain::intake::{FOLLOW_UP, Kind, is_address};
use crate::domain::letter::{Body, Letter, LetterId, Membership, Protection};
use crate::domain::message::{Mailbox, Message};
use crate::domain::policy::Policy;
use crate::domain::signature::{Certificate, Signature, Source, Verified};
use crate::domain::trust::Verdict;

/// Why a request is not answered by itself.
pub(super) const A_PERSON: &str = "a request for membership: a person answers";
/// Why neither is what a member writes to the list's address.
const OF_A_MEMBER: &str = "a mail of a member of the list: a person answers";
/// No more organisations wait at the same time: what comes then is a case, and a person's.
const MOST_WAITING: usize = 200;
/// Organisations of one name are numbered so far.
const MOST_ALIKE: usize = 99;
/// Who does what follows by itself.
const BY: &str = "psirtd";
/// Fewer characters can be guessed.
const SHORTEST_TOKEN: usize = 32;

/// What a mail has to do with joining the list.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// What happens.
    pub(super) events: Vec<What>,
    /// What its author hears by itself.
    pub(super) answer: Option<(Mailbox, Membership)>,
    /// What the coordinators see of it.
    pub(super) form: Vec<String>,
    /// What the mail is to its case.
    pub(super) occasion: Option<&'static str>,
    /// Why nothing is answered by itself.
    pub(super) why_no_answer: Option<&'static str>,
    /// Its author takes no part in the case, and has a reason to be there.
    pub(super) belongs: bool,
}

impl Joined {
    fn noted(why: impl Into<String>) -> Self {
        Self { form: vec![why.into()], ..Self::default() }
    }

    fn left_to_a_person(why: String) -> Self {
        Self { why_no_answer: Some(A_PERSON), ..Self::noted(why) }
    }

    /// What it means for the mail.
    pub(super) fn heeded(&self, taken: &mut Taken<'_>) {
        if let Some(why) = self.why_no_answer {
            taken.intake.why_no_answer.get_or_insert_with(|| why.to_owned());
        }
        taken.pending = taken.pending && !self.belongs;
    }

    /// A letter to the mail's author, in the mail's thread.
    pub(super) fn letter(&self, id: LetterId, case: &CaseId, message: &Message) -> Option<Letter> {
        let (to, body) = self.answer.clone()?;
        let protection =
            if body.certificates.is_empty() { Protection::Signed } else { Protection::Encrypted };
        let body = Body::Membership(Some(case.clone()), Box::new(body));
        let letter = letters::in_thread_of(message, id, protection, body)?;
        Some(Letter { to, ..letter })
    }
}

/// A letter about its membership to an organisation that has shown that it holds a key. None when it has no address, or no such key:
/// nothing of it is for everybody.
pub(super) fn letter(
    topic: &'static str,
    member: &Member,
    case: Option<&CaseId>,
    id: LetterId,
    lines: Vec<String>,
    text: Option<String>,
    policy: &Policy,
) -> Option<Letter> {
    let to = member.addresses.first()?;
    let certificates = proven(member);
    if certificates.is_empty() {
        return None;
    }
    let body = Membership { certificates, text, ..body(topic, Some(member), lines, policy) };
    Some(Letter {
        id,
        to: Mailbox::bare(to.address.clone()),
        protection: Protection::Encrypted,
        in_reply_to: None,
        references: Vec::new(),
        body: Body::Membership(case.cloned(), Box::new(body)),
    })
}

fn body(topic: &'static str, member: Option<&Member>, lines: Vec<String>, policy: &Policy) -> Membership {
    Membership {
        topic,
        organisation: member.map_or_else(String::new, |member| member.organisation.clone()),
        member: member.map_or_else(String::new, |member| member.id.to_string()),
        token: None,
        asks_key: false,
        lines,
        text: None,
        policy: policy.distributors.policy.clone(),
        policy_page: policy.distributors.policy_page.clone(),
        marked: !policy.distributors.marks.is_empty(),
        certificates: Vec::new(),
        automatic: false,
    }
}

/// The certificates of which it has shown that it holds the key.
fn proven(member: &Member) -> Vec<Certificate> {
    member.proven_certificates().cloned().collect()
}

/// See the head of this file.
pub(super) fn joined(
    facts: &Facts,
    taken: &Taken<'_>,
    case: &Case,
    policy: &Policy,
    now: Timestamp,
) -> Joined {
    let kind = taken.intake.kind;
    if facts.own_letter || !matches!(kind, Kind::Report | Kind::Reply | Kind::Membership | Kind::Junk) {
        return Joined::default();
    }
    let none = Roster::default();
    let roster = facts.roster.as_deref().unwrap_or(&none);
    let at = At { facts, taken, roster, case, policy, now };
    let author = taken.message.author();
    let member = author.and_then(|author| roster.of_address(author));
    match (application::vouching(&taken.message.text), author, member) {
        (Some(vouching), Some(author), Some(voucher)) => at.vouch(author, voucher, &vouching),
        (Some(_), ..) => Joined {
            why_no_answer: (kind == Kind::Membership).then_some(A_PERSON),
            ..Joined::noted("a vouch by somebody who is not on the list: it counts for nothing")
        },
        (None, Some(author), member) if kind == Kind::Membership && taken.intake.opens_case => {
            at.apply(author, member)
        }
        (None, Some(author), Some(member))
            if kind == Kind::Reply
                && taken.takes_part
                && member.state == State::Applied
                && at.is_case_of(member) =>
        {
            at.follows(author, member)
        }
        (None, None, _) if kind == Kind::Membership => {
            Joined { why_no_answer: Some(A_PERSON), ..Joined::default() }
        }
        _ => Joined::default(),
    }
}

/// A mail, and everything that is known.
struct At<'a> {
    facts: &'a Facts,
    taken: &'a Taken<'a>,
    roster: &'a Roster,
    case: &'a Case,
    policy: &'a Policy,
    now: Timestamp,
}

impl At<'_> {
    fn message(&self) -> &Message {
        self.taken.message
    }

    fn event(&self, id: &MemberId, change: Change, by: &str) -> Event {
        let what = What::Member { member: id.clone(), change: Box::new(change), by: by.to_owned() };
        Event { at: self.now, case: Some(self.case.id.clone()), what }
    }

    /// An automatic answer may go out.
    fn may_answer(&self, belongs: bool) -> bool {
        let taken = self.taken;
        match taken.intake.why_no_answer.as_deref() {
            None => true,
            Some(FOLLOW_UP) => {
                let exceeded = self.policy.limits.exceeded(&self.facts.answered).is_some();
                (taken.takes_part || belongs)
                    && taken.replayed.is_none()
                    && !exceeded
                    && !self.message().marks.recorded_before
            }
            Some(_) => false,
        }
    }

    /// The mail's author knows what it says: nobody has sent on what somebody else encrypted.
    fn is_their_own(&self) -> bool {
        let message = self.message();
        let signed_inside = matches!(message.signature, Signature::Good(_) | Signature::Offered { .. });
        !message.came_encrypted() || signed_inside || message.wrote_what_was_encrypted()
    }

    /// The mail's case is that of this member's application.
    fn is_case_of(&self, member: &Member) -> bool {
        let by = |from: &Mailbox| member.has_address(from);
        let named = member.application.as_ref().is_some_and(|(id, _)| *id == self.case.id);
        let asked = |from: Option<&Mailbox>| from.is_some_and(by);
        // it may have become part of another case
        named || self.case.mails.iter().any(|it| it.kind == Kind::Membership && asked(it.from.as_ref()))
    }

    /// A request to join.
    fn apply(&self, author: &Mailbox, known: Option<&Member>) -> Joined {
        if let Some(otherwise) = self.is_no_application(author, known) {
            return otherwise;
        }
        let read = application::read(self.message(), &self.policy.distributors);
        // what was encrypted names nobody, unless its author shows that he knows it
        let domain = application::domain_of(Some(author));
        let organisation = if self.is_their_own() { read.organisation } else { domain };
        let (id, mut remarks) = self.name(&organisation, author, known);
        let Some(id) = id else {
            return Joined::left_to_a_person("no name could be found for it".to_owned());
        };
        let change = Change::Applied {
            organisation,
            addresses: vec![Mailbox::bare(author.address.clone())],
            criteria: read.criteria,
            policy: self.policy.distributors.policy.clone(),
        };
        let applied = self.event(&id, change, &author.address);
        let begun = match known {
            Some(member) => {
                let mut again = member.clone();
                again.apply(&applied);
                Some(again)
            }
            None => Member::begin(&applied),
        };
        let Some(mut member) = begun else { return Joined::default() };
        let mut events = vec![applied.what];
        let offer = self.offered(&member, &mut remarks);
        self.challenge(offer, &mut member, &mut events, &mut remarks);
        let answer = self.may_answer(false).then(|| self.answer(author, &member, &remarks));
        let form = self.form(&member, remarks);
        let occasion = Some("request to join the distributors' list");
        Joined { events, answer, form, occasion, ..Joined::default() }
    }

    /// What it is instead: nothing that can be read, no organisation's, or that of one that is known.
    fn is_no_application(&self, author: &Mailbox, known: Option<&Member>) -> Option<Joined> {
        let message = self.message();
        if message.is_unreadable() || message.not_fetched || message.unread {
            // its author hears that by the acknowledgement
            return Some(Joined::noted("it could not be read: no application was made of it"));
        }
        if self.facts.roster.is_none() {
            return Some(Joined { why_no_answer: Some(A_PERSON), ..Joined::default() });
        }
        if let Some(why) = self.why_no_application(author) {
            return Some(Joined::left_to_a_person(format!("no application was made of it: {why}")));
        }
        let member = known.filter(|member| member.state != State::Removed)?;
        if member.state == State::Applied {
            let case = member.application.as_ref();
            let case = case.map_or_else(String::new, |(case, _)| format!(", case {case}"));
            let why = format!("{} has applied already{case}: merge it, if it belongs there", member.id);
            return Some(Joined::left_to_a_person(why));
        }
        let why = format!("its author is a member, {} ({})", member.id, member.state.word());
        Some(Joined { why_no_answer: Some(OF_A_MEMBER), ..Joined::noted(why) })
    }

    /// Why no organisation is put down for it.
    fn why_no_application(&self, author: &Mailbox) -> Option<String> {
        let (message, trust) = (self.message(), &self.taken.intake.trust);
        let waiting = self.roster.members.iter().filter(|member| member.state == State::Applied).count();
        if self.policy.is_own(&author.address) || !is_address(&author.address) {
            return Some("its author's address is none that can be answered".to_owned());
        }
        if self.policy.person(&author.address).is_some() {
            return Some("its author is of the team".to_owned());
        }
        if message.marks.junk {
            return Some("it is marked as junk".to_owned());
        }
        if trust.verdict == Verdict::Fail && !message.signature.is_good() {
            return Some(trust.why.clone());
        }
        if self.taken.replayed.is_some() {
            return Some("it brings somebody else's ciphertext".to_owned());
        }
        (waiting >= MOST_WAITING).then(|| format!("{waiting} organisations wait already"))
    }

    /// A name that nobody on the list has, unless it is the author's own, who was removed and asks again; and what a person has to know.
    fn name(
        &self,
        organisation: &str,
        author: &Mailbox,
        known: Option<&Member>,
    ) -> (Option<MemberId>, Vec<String>) {
        let mut remarks = Vec::new();
        let others = self.roster.members.iter().filter(|other| !other.has_address(author));
        let alike = others.filter(|other| application::same_name(&other.organisation, organisation));
        remarks.extend(alike.map(|other| {
            format!("IT CLAIMS THE NAME of {} ({}), under another address", other.id, other.state.word())
        }));
        if let Some(member) = known {
            let when = member.since.strftime("%Y-%m-%d");
            remarks.push(format!(
                "it was removed, or refused, on {when}, and asks again; strikes: {}",
                member.strikes.len()
            ));
            return (Some(member.id.clone()), remarks);
        }
        let domain = application::domain_of(Some(author));
        // whoever claims a name that the own domain does not bear is not to learn from a number behind it that somebody has it
        let bears = |id: &MemberId| application::bears(&domain, id);
        let first = MemberId::of(organisation).filter(bears).or_else(|| MemberId::of(&domain));
        let first = first.map_or_else(|| "applicant".to_owned(), |first| first.to_string());
        let numbered = (2..=MOST_ALIKE).filter_map(|number| {
            let room = MemberId::MOST.saturating_sub(3);
            let stem: String = first.chars().take(room).collect();
            MemberId::typed(&format!("{}-{number}", stem.trim_end_matches('-'))).ok()
        });
        let mut names = MemberId::typed(&first).into_iter().chain(numbered);
        let free = names.find(|name| self.roster.get(name).is_none());
        // a hundred of one name: the case's own is nobody else's
        (free.or_else(|| MemberId::of(self.case.id.as_str())), remarks)
    }

    /// The certificate that the mail offers, if it can be taken; what cannot is remarked on.
    fn offered(&self, member: &Member, remarks: &mut Vec<String>) -> Option<Certificate> {
        let message = self.message();
        let mut usable: Vec<&Certificate> = Vec::new();
        for offered in &self.facts.offered {
            match &offered.certificate {
                Ok(certificate) => usable.push(certificate),
                Err(why) => remarks.push(format!("{NOT_TAKEN} {}: {why}", offered.fingerprint)),
            }
        }
        let nothing_offered = self.facts.offered.is_empty() && member.certificates.is_empty();
        let held = message.reporter_cert.as_ref().filter(|_| nothing_offered);
        usable.extend(held.map(|(_, certificate)| certificate));
        // what a person attached, before what a program adds by itself
        usable.sort_by_key(|certificate| certificate.source != Source::Attached);
        let of_another = |certificate: &Certificate| {
            self.roster.members.iter().find(|other| {
                let same = |known: &Certificate| known.fingerprint == certificate.fingerprint;
                other.id != member.id && other.certificates.iter().any(same)
            })
        };
        usable.retain(|certificate| match of_another(certificate) {
            Some(other) => {
                let whose = format!("it is that of {} ({})", other.id, other.state.word());
                remarks.push(format!("{NOT_TAKEN} {}: {whose}", certificate.fingerprint));
                false
            }
            None => true,
        });
        usable.first().map(|certificate| (*certificate).clone())
    }

    /// A certificate is to be proven; not if it is, or if its challenge is under way.
    fn challenge(
        &self,
        offer: Option<Certificate>,
        member: &mut Member,
        events: &mut Vec<What>,
        remarks: &mut Vec<String>,
    ) {
        let Some(certificate) = offer.filter(|offer| !member.holds(&offer.fingerprint)) else { return };
        let pending =
            |pending: &crate::domain::distributor::Challenge| pending.fingerprint == certificate.fingerprint;
        if member.challenge.as_ref().is_some_and(pending) {
            return;
        }
        let signed = match &self.message().signature {
            Signature::Good(verified) => member.holds(verified.fingerprint()),
            _ => false,
        };
        if !proven(member).is_empty() && !signed {
            remarks.push(format!(
                "{NOT_TAKEN} {}: it holds a proven one, and this mail is not signed by that",
                certificate.fingerprint
            ));
            return;
        }
        if self.facts.token.len() < SHORTEST_TOKEN || !self.may_answer(false) {
            remarks.push(format!(
                "no proof was asked for of key {}: nothing may be answered",
                certificate.fingerprint
            ));
            return;
        }
        if let Some(before) = &member.challenge {
            remarks.push(format!("before it, key {} was offered, and never proven", before.fingerprint));
        }
        let token = format!("{TOKEN}{}", self.facts.token.to_ascii_lowercase());
        let event = self.event(&member.id, Change::Challenged { certificate, token }, BY);
        member.apply(&event);
        events.push(event.what);
    }

    /// A later mail of an applicant.
    fn follows(&self, author: &Mailbox, known: &Member) -> Joined {
        let mut member = known.clone();
        let mut events = Vec::new();
        let mut remarks = Vec::new();
        let message = self.message();
        if message.is_unreadable() || self.taken.replayed.is_some() {
            return Joined { form: self.form(&member, remarks), ..Joined::default() };
        }
        let tried = match self.proof(&member) {
            None => false,
            Some(Ok(change)) => {
                let event = self.event(&member.id, change, &author.address);
                member.apply(&event);
                events.push(event.what);
                true
            }
            Some(Err(why)) => {
                remarks.push(format!("THE KEY IS NOT PROVEN: {why}"));
                true
            }
        };
        let said = application::answers(&message.text, &self.policy.distributors);
        let is_new = |answer: &crate::domain::distributor::Criterion| {
            let same = |it: &&crate::domain::distributor::Criterion| it.number == answer.number;
            member.criteria.iter().find(same).is_none_or(|known| known.evidence != answer.evidence)
        };
        let criteria: Vec<_> = said.into_iter().filter(is_new).collect();
        if !criteria.is_empty() {
            let event = self.event(&member.id, Change::Answered { criteria }, &author.address);
            member.apply(&event);
            events.push(event.what);
        }
        let offer = self.offered(&member, &mut remarks);
        // whoever attaches the key again has not got the words
        let pending = member.challenge.as_ref().map(|pending| pending.fingerprint.clone());
        let again = offer.as_ref().is_some_and(|offer| {
            offer.source == Source::Attached && pending.as_ref() == Some(&offer.fingerprint)
        });
        self.challenge(offer, &mut member, &mut events, &mut remarks);
        let news = !events.is_empty() || (again && !tried);
        let answer = (news && self.may_answer(false)).then(|| self.answer(author, &member, &remarks));
        Joined { events, answer, form: self.form(&member, remarks), ..Joined::default() }
    }

    /// The words of a challenge come back: the proof, or why it is none. None when no such words are in what the author wrote.
    fn proof(&self, member: &Member) -> Option<Result<Change, String>> {
        let message = self.message();
        let given = application::given_back(&message.text);
        if given.is_empty() {
            return None;
        }
        let Some(challenge) = &member.challenge else {
            return Some(Err("there is no challenge under way".to_owned()));
        };
        let is_given = |token: &String| given.contains(token);
        if !is_given(&challenge.token) {
            let mut others = self.roster.members.iter().filter(|other| other.id != member.id);
            let other = others.any(|other| other.challenge.as_ref().is_some_and(|it| is_given(&it.token)));
            let whose = if other {
                "those of somebody else's challenge"
            } else {
                "those of an older challenge, or of none"
            };
            return Some(Err(format!("the words are {whose}")));
        }
        if message.reads_html {
            return Some(Err(
                "in HTML what is quoted cannot be told from what is not: plain text is wanted".to_owned()
            ));
        }
        Some(self.signed_by(|fingerprint| fingerprint == challenge.fingerprint).map(|verified| {
            Change::Proven {
                fingerprint: challenge.fingerprint.clone(),
                mail: message.digest.clone(),
                signatures: verified.ids().cloned().collect(),
            }
        }))
    }

    /// The mail is signed now, to this desk, for the first time, by one of these certificates; if not, why not.
    fn signed_by(&self, counts: impl Fn(&str) -> bool) -> Result<&Verified, String> {
        let message = self.message();
        let why = match &message.signature {
            Signature::Good(verified) if counts(verified.fingerprint()) => {
                let fresh = is_fresh(verified, message, self.taken.received_at, self.taken.used, self.policy);
                return fresh.map(|()| verified).map_err(|refusal| refusal.why);
            }
            Signature::None => "it is not signed".to_owned(),
            Signature::Partial { .. } => "its signature is not over the whole mail".to_owned(),
            Signature::Bad { why, .. } => format!("its signature is not valid: {why}"),
            Signature::Good(_) | Signature::Offered { .. } => {
                "it is signed by another certificate than the one that is proven, or asked for".to_owned()
            }
            Signature::OtherAddress { .. } => "it is signed by somebody else than its author".to_owned(),
            Signature::UnknownKey { .. } => "it is signed by a key that is not its author's".to_owned(),
        };
        Err(why)
    }

    /// What an applicant hears: criterion by criterion.
    fn answer(&self, author: &Mailbox, member: &Member, remarks: &[String]) -> (Mailbox, Membership) {
        let challenged = member.challenge.as_ref().and_then(|challenge| {
            let mut known = member.certificates.iter();
            let certificate = known.find(|it| it.fingerprint == challenge.fingerprint)?;
            Some((certificate.clone(), challenge.token.clone()))
        });
        let (certificates, token) = match challenged {
            Some((certificate, token)) => (vec![certificate], Some(token)),
            None => (proven(member), None),
        };
        let secret = !certificates.is_empty();
        let tell = if secret { self.is_their_own() } else { !self.message().came_encrypted() };
        let policy = &self.policy.distributors;
        let points = application::points(member, policy).map(|(number, text, standing)| {
            let told =
                tell || matches!(standing, Standing::Accepted | Standing::Vouched | Standing::NotVouched);
            let standing = if told { standing.word() } else { "a person looks at it" };
            format!("({number}) {text}\n    {standing}")
        });
        let mut lines: Vec<String> = points.collect();
        if let Some(Err(why)) = member.addresses.first().map(|address| application::is_role(address, policy))
        {
            lines.push(format!("Your address: {why}.\n    NEEDED: the list is for organisations; please write from a role address"));
        }
        if remarks.iter().any(|remark| remark.starts_with(NOT_TAKEN)) {
            lines.push("A certificate that came along was not taken: it is not one of this address alone, cannot be encrypted to,\n    or your mail is not signed by the one before it".to_owned());
        }
        if secret && token.is_none() {
            lines.push("Your OpenPGP key\n    met: you have shown that you hold it".to_owned());
        }
        let named = secret.then_some(member);
        let body = body("application", named, lines, self.policy);
        let body = Membership { token, asks_key: !secret, certificates, automatic: true, ..body };
        // without the name: the desk signs nothing that a stranger wrote
        (Mailbox::bare(author.address.clone()), body)
    }

    /// The form as it stands after this mail.
    fn form(&self, member: &Member, remarks: Vec<String>) -> Vec<String> {
        let proven_now = self.roster.get(&member.id).is_none_or(|before| before.proven != member.proven);
        let key = match proven_now && !proven(member).is_empty() {
            // it was tried when it was offered
            true => Ok(None),
            false => self.roster.key(&member.id),
        };
        let voucher = member.vouch.as_ref().and_then(|vouch| self.roster.get(&vouch.by));
        let on_roster = OnRoster::of(member, voucher, key);
        let form = application::form(member, &self.policy.distributors, &on_roster);
        remarks.into_iter().chain(form).collect()
    }
}

/// How the remark on a certificate begins that is not taken.
const NOT_TAKEN: &str = "NOT TAKEN, certificate";
