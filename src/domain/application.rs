//! What an organisation says that wants to join the distributors' list, what a member says that vouches for it, and what is lacking.
//!
//! # What it is for
//! P-19, P-20. A request is read the way people write one: an organisation's name, and numbered answers to the criteria. Nothing here
//! decides that a criterion is met: that is a person's.
//!
//! # Invariants
//! * Total: whatever a mail says, something limited comes out ([`MOST_EVIDENCE`], [`MOST_NAME`], no more answers than criteria).
//! * Whoever only repeats the criteria has answered none of them.
//! * Two organisations are two when nothing that can be compared says that they are one: neither member, domain, name nor certificate.
//! * [`lacks`] is empty for nobody of whom anything is open: whoever approves asks it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use psl::Psl;

use crate::domain::command::order::own_lines;
use crate::domain::distributor::{Criterion, Member, MemberId};
use crate::domain::message::{Mailbox, Message};
use crate::domain::policy::distributors::{CriterionKind, Distributors};

/// Characters that are kept of what is said to one criterion.
pub const MOST_EVIDENCE: usize = 2000;
/// Characters of an organisation's name.
pub const MOST_NAME: usize = 100;
/// How the words begin that are to be given back.
pub const TOKEN: &str = "keyproof-";
/// Characters of it that a coordinator is shown at once.
const GLANCE: usize = 200;
/// Before a criterion that is repeated there may stand so many words ("missing:").
const BEFORE: usize = 3;
/// Words that say which legal form an organisation has, not which organisation it is.
const FORMS: [&str; 18] = [
    "gmbh",
    "ag",
    "ug",
    "kg",
    "se",
    "inc",
    "incorporated",
    "corp",
    "corporation",
    "llc",
    "ltd",
    "limited",
    "plc",
    "sa",
    "sas",
    "bv",
    "the",
    "ev",
];

/// A request to join, as it is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// What the organisation calls itself; else its author's name, or the domain.
    pub organisation: String,
    /// What it says to the criteria, in their order.
    pub criteria: Vec<Criterion>,
    /// The criteria to which it has to say something, and does not.
    pub missing: Vec<usize>,
}

/// A member's word for another organisation, as it stands in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouching {
    /// For whom.
    pub member: MemberId,
    /// Under which version of the embargo policy.
    pub policy: String,
}

/// How an organisation stands to one of the criteria.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It says something to it.
    Answered,
    /// It does not.
    Missing,
    /// A person looked at it: it is met.
    Met,
    /// A person looked at it: it is not met.
    NotMet,
    /// The request is the acceptance.
    Accepted,
    /// A member of another organisation vouches.
    Vouched,
    /// Nobody does yet.
    NotVouched,
}

impl Standing {
    /// In a few words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered; a person looks at it",
            Self::Missing => "MISSING: please say how you meet it",
            Self::Met => "met",
            Self::NotMet => "NOT met, as far as we see: please say more",
            Self::Accepted => "met: your request is the acceptance",
            Self::Vouched => "met: somebody has vouched for you",
            Self::NotVouched => "MISSING: somebody has to vouch for you, see below",
        }
    }
}

/// Reads a request to join.
pub fn read(message: &Message, policy: &Distributors) -> Application {
    let criteria = answers(&message.text, policy);
    let wanted = policy.criteria.iter().zip(1_usize..);
    let wanted = wanted.filter(|(criterion, _)| criterion.kind == CriterionKind::Evidence);
    let open = wanted.filter(|(_, number)| !criteria.iter().any(|answer| answer.number == *number));
    let missing = open.map(|(_, number)| number).collect();
    Application { organisation: organisation(message), criteria, missing }
}

/// What a mail says to the criteria: numbered, each going on until the next number.
pub fn answers(text: &str, policy: &Distributors) -> Vec<Criterion> {
    let mut said: BTreeMap<usize, String> = BTreeMap::new();
    let mut current: Option<(usize, String)> = None;
    let close = |current: Option<(usize, String)>, said: &mut BTreeMap<usize, String>| {
        let Some((number, text)) = current else { return };
        let evidence = evidence(&text, number, policy);
        if !evidence.is_empty() {
            said.entry(number).or_insert(evidence);
        }
    };
    for line in own_lines(text) {
        // a list within an answer counts anew what is answered already
        let begins = numbered(line).filter(|(number, _)| {
            let place = current.as_ref().map_or(0, |(current, _)| *current);
            *number >= 1
                && *number <= policy.criteria.len()
                && (*number > place || !said.contains_key(number))
        });
        match (begins, &mut current) {
            (Some((number, rest)), _) => close(current.replace((number, rest.to_owned())), &mut said),
            (None, Some((_, text))) if text.len() < MOST_EVIDENCE.saturating_mul(4) => {
                text.push('\n');
                text.push_str(line);
            }
            (None, _) => {}
        }
    }
    close(current, &mut said);
    said.into_iter().map(|(number, evidence)| Criterion { number, evidence, reviewed: None }).collect()
}

/// `1. …`, `1) …`, `#1 …`, `Criterion 1: …`; the number, and what follows on the line.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start();
    if line.len().saturating_sub(text.len()) > 3 {
        return None;
    }
    let word = "criterion";
    let head = text.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word));
    let named = head.and_then(|head| text.get(head.len()..)).map(str::trim_start);
    let rest = named.unwrap_or(text);
    let hash = rest.strip_prefix('#');
    let rest = hash.unwrap_or(rest);
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.get(..rest.len().saturating_sub(after.len()))?;
    let number = digits.parse::<usize>().ok().filter(|_| digits.len() <= 2)?;
    let marked = named.is_some() || hash.is_some();
    match after.chars().next() {
        Some(mark @ ('.' | ')' | ':')) => {
            let said = after.strip_prefix(mark)?;
            // "1.5 million users" begins nothing
            (said.is_empty() || said.starts_with(char::is_whitespace)).then_some((number, said))
        }
        Some(c) if marked && !c.is_alphanumeric() => Some((number, after)),
        None if marked => Some((number, after)),
        _ => None,
    }
}

/// What is said, without the criterion itself where it is repeated; nothing when nothing else is said.
fn evidence(text: &str, number: usize, policy: &Distributors) -> String {
    let asked = number.checked_sub(1).and_then(|place| policy.criteria.get(place));
    let said = asked.map_or(text, |asked| without(text, &asked.text));
    let said = said.trim().trim_start_matches([':', '-', '–', '—', '.']).trim_start();
    let only = words(said);
    let only: Vec<&str> = only.iter().map(|(word, _)| word.as_str()).collect();
    let repeats = policy.criteria.iter().any(|criterion| {
        words(&criterion.text).iter().map(|(word, _)| word.as_str()).eq(only.iter().copied())
    });
    match only.is_empty() || repeats {
        true => String::new(),
        false => said.chars().take(MOST_EVIDENCE).collect::<String>().trim_end().to_owned(),
    }
}

/// What follows the words of the question, when it is repeated first.
fn without<'t>(text: &'t str, question: &str) -> &'t str {
    let (said, asked) = (words(text), words(question));
    let repeated = (0..=BEFORE).find_map(|start| {
        let here = said.iter().skip(start).map(|(word, _)| word);
        let same = !asked.is_empty() && asked.iter().map(|(word, _)| word).eq(here.take(asked.len()));
        same.then(|| said.get(start.saturating_add(asked.len()).saturating_sub(1))).flatten()
    });
    repeated.and_then(|(_, end)| text.get(*end..)).unwrap_or(text)
}

/// The words of a text in small letters, each with the place where it ends.
fn words(text: &str) -> Vec<(String, usize)> {
    let mut words: Vec<(String, usize)> = Vec::new();
    let mut within = false;
    for (at, c) in text.char_indices() {
        let end = at.saturating_add(c.len_utf8());
        match (c.is_alphanumeric(), words.last_mut().filter(|_| within)) {
            (true, Some((word, known))) => {
                word.extend(c.to_lowercase());
                *known = end;
            }
            (true, None) => words.push((c.to_lowercase().collect(), end)),
            (false, _) => {}
        }
        within = c.is_alphanumeric();
    }
    words
}

/// What the organisation calls itself.
fn organisation(message: &Message) -> String {
    const NAMES: [&str; 4] = ["organisation", "organization", "company", "distribution"];
    let named = own_lines(&message.text).into_iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_name = NAMES.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
        Some(brief(value, MOST_NAME)).filter(|value| is_name && !value.is_empty())
    });
    let author = message.author();
    let of_author = || author.and_then(|author| author.name.as_deref()).map(|name| brief(name, MOST_NAME));
    named.or_else(|| of_author().filter(|name| !name.is_empty())).unwrap_or_else(|| domain_of(author))
}

/// The domain of an author, who names no organisation.
pub fn domain_of(author: Option<&Mailbox>) -> String {
    author.and_then(Mailbox::domain).map_or_else(|| "unknown".to_owned(), |domain| brief(&domain, MOST_NAME))
}

/// On one line, and no longer than that.
fn brief(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(most).collect();
    cut.trim_end().to_owned()
}

/// A vouch: `vouch MEMBER-ID POLICY-VERSION` is the first line of what the author wrote.
pub fn vouching(text: &str) -> Option<Vouching> {
    let own = own_lines(text);
    let first = own.iter().map(|line| line.trim()).find(|line| !line.is_empty())?;
    let mut words = first.strip_prefix('!').unwrap_or(first).split_whitespace();
    let (word, member, policy) = (words.next()?, words.next()?, words.next()?);
    let is_all = word.eq_ignore_ascii_case("vouch") && words.next().is_none();
    let member = MemberId::typed(member).ok().filter(|_| is_all)?;
    Some(Vouching { member, policy: brief(policy, MOST_NAME) })
}

/// The words of challenges that the author of a text gives back, in small letters.
pub fn given_back(text: &str) -> Vec<String> {
    let own = own_lines(text);
    let all = own.iter().flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
    let tokens = all.map(str::to_ascii_lowercase).filter(|word| word.starts_with(TOKEN));
    tokens.map(|token| token.trim_end_matches('-').to_owned()).take(8).collect()
}

/// The address is a role's, not a person's; if not, why not.
pub fn is_role(address: &Mailbox, policy: &Distributors) -> Result<(), String> {
    let domain = address.domain().unwrap_or_default();
    let personal = |known: &String| domain == *known || domain.ends_with(&format!(".{known}"));
    if policy.personal_domains.iter().any(personal) {
        return Err(format!("personal address: {domain} gives addresses to everybody"));
    }
    let local = address.local_part();
    let mut words = local.split(|c: char| !c.is_ascii_alphanumeric());
    match words.any(|word| policy.roles.iter().any(|role| role.eq_ignore_ascii_case(word))) {
        true => Ok(()),
        false => Err("personal address: nothing in it says that a role reads it".to_owned()),
    }
}

/// These two are different organisations; if not, why not.
pub fn are_different(one: &Member, other: &Member) -> Result<(), String> {
    if one.id == other.id {
        return Err("it is the same organisation".to_owned());
    }
    let domains = |member: &Member| -> Vec<String> {
        // a domain in its own script and in ASCII is one
        let ascii = |domain: String| idna::domain_to_ascii(&domain).unwrap_or(domain);
        let domains = member.addresses.iter().filter_map(Mailbox::domain).map(ascii);
        domains.map(|domain| registrable(&domain)).collect()
    };
    if let Some(same) = domains(one).iter().find(|domain| domains(other).contains(domain)) {
        return Err(format!("it is of the same domain, {same}"));
    }
    if same_name(&one.organisation, &other.organisation) {
        return Err("it is of an organisation of the same name".to_owned());
    }
    let same = |certificate: &str| other.certificates.iter().any(|known| known.fingerprint == certificate);
    match one.certificates.iter().any(|certificate| same(&certificate.fingerprint)) {
        true => Err("it has the same certificate".to_owned()),
        false => Ok(()),
    }
}

/// Two names that differ in their legal form, or in how they are written, are one.
pub fn same_name(one: &str, other: &str) -> bool {
    let plain = |name: &str| {
        let all = words(name);
        let kept = all.iter().map(|(word, _)| word.as_str()).filter(|word| !FORMS.contains(word));
        let kept: String = kept.collect();
        // a name of which nothing else is left
        if kept.is_empty() { all.into_iter().map(|(word, _)| word).collect() } else { kept }
    };
    plain(one) == plain(other)
}

/// The part of a domain by which organisations are told apart: what somebody registered below a registry's suffix (`co.uk`), as the
/// Public Suffix List knows them. Of a suffix itself, all of it. Names that somebody gives away below a domain of their own
/// (`github.io`, `dyndns.org`, `freedesktop.org`) are of one organisation: they cost nothing.
pub fn registrable(domain: &str) -> String {
    let domain = domain.trim_end_matches('.').to_lowercase();
    let mut suffix = psl::List.suffix(domain.as_bytes());
    while let Some(private) = suffix.filter(|suffix| suffix.typ() == Some(psl::Type::Private)) {
        let above = private.as_bytes().splitn(2, |byte| *byte == b'.').nth(1);
        suffix = above.and_then(|above| psl::List.suffix(above));
    }
    let labels = |name: &[u8]| name.split(|byte| *byte == b'.').count();
    let kept = suffix.map_or(usize::MAX, |suffix| labels(suffix.as_bytes()).saturating_add(1));
    let before = labels(domain.as_bytes()).saturating_sub(kept);
    domain.split('.').skip(before).collect::<Vec<_>>().join(".")
}

/// The name begins as the organisation's domain does: `acme-linux` at `acme.example`.
pub fn bears(domain: &str, id: &MemberId) -> bool {
    let registrable = registrable(domain);
    let label = registrable.split('.').next().and_then(MemberId::of);
    label.is_some_and(|label| {
        let rest = id.as_str().strip_prefix(label.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// How an organisation stands to each of the criteria: the number, the words of the criterion, and that.
pub fn points<'p>(
    member: &Member,
    policy: &'p Distributors,
) -> impl Iterator<Item = (usize, &'p str, Standing)> {
    let standing = |number: usize, kind| {
        let said = member.criteria.iter().find(|answer| answer.number == number);
        match (kind, said) {
            (CriterionKind::Acceptance, _) => Standing::Accepted,
            (CriterionKind::Vouch, _) if vouch_lacks(member, policy).is_none() => Standing::Vouched,
            (CriterionKind::Vouch, _) => Standing::NotVouched,
            (CriterionKind::Evidence, Some(Criterion { reviewed: Some((_, true)), .. })) => Standing::Met,
            (CriterionKind::Evidence, Some(Criterion { reviewed: Some((_, false)), .. })) => Standing::NotMet,
            (CriterionKind::Evidence, Some(answer)) if !answer.evidence.trim().is_empty() => {
                Standing::Answered
            }
            (CriterionKind::Evidence, _) => Standing::Missing,
        }
    };
    let points: Vec<_> = policy
        .criteria
        .iter()
        .zip(1_usize..)
        .map(|(criterion, number)| (number, criterion.text.as_str(), standing(number, criterion.kind)))
        .collect();
    points.into_iter()
}

fn vouch_lacks(member: &Member, policy: &Distributors) -> Option<String> {
    let Some(vouch) = &member.vouch else { return Some("nobody has vouched for it".to_owned()) };
    if vouch.by == member.id {
        return Some("it has vouched for itself".to_owned());
    }
    (vouch.policy != policy.policy).then(|| {
        format!("the vouch is for version {} of the embargo policy, not {}", vouch.policy, policy.policy)
    })
}

/// What the roster says of an applicant beside its own entry.
#[derive(Debug, Clone)]
pub struct OnRoster {
    /// Until when it can be written to encrypted (none: without end), or why it cannot.
    pub key: Result<Option<Timestamp>, String>,
    /// Whoever vouched for it is an active member, and has been on the list since.
    pub vouch_stands: bool,
}

impl OnRoster {
    /// A vouch is an active member's word, and may be weeks old: whoever gave it may have left since, and another one have its name.
    pub fn of(member: &Member, voucher: Option<&Member>, key: Result<Option<Timestamp>, String>) -> Self {
        let vouch_stands = member.vouch.as_ref().zip(voucher).is_some_and(|(vouch, voucher)| {
            voucher.id == vouch.by && voucher.is_active() && voucher.has_been_since(vouch.at)
        });
        Self { key, vouch_stands }
    }
}

/// What is open before the organisation can be approved, a line each.
pub fn lacks(member: &Member, policy: &Distributors, roster: &OnRoster) -> Vec<String> {
    let lapsed = member.vouch.as_ref().filter(|_| !roster.vouch_stands);
    let lapsed = lapsed.map(|vouch| format!("{}, which vouched for it, has left the list since", vouch.by));
    let mut lacks = Vec::new();
    for (number, _, standing) in points(member, policy) {
        match standing {
            Standing::Missing => lacks.push(format!("criterion {number} is not answered")),
            Standing::NotMet => lacks.push(format!("criterion {number} is not met, as a person found")),
            Standing::NotVouched => lacks.extend(vouch_lacks(member, policy)),
            Standing::Vouched => lacks.extend(lapsed.clone()),
            Standing::Answered | Standing::Met | Standing::Accepted => {}
        }
    }
    match &member.accepted {
        Some((version, _)) if *version == policy.policy => {}
        Some((version, _)) => lacks.push(format!(
            "it has accepted version {version} of the embargo policy, and {} is in force",
            policy.policy
        )),
        None => lacks.push("it has not accepted the embargo policy".to_owned()),
    }
    let proven = member.proven_certificates().next().is_some();
    match &roster.key {
        _ if !proven => lacks.push("it has not shown that it holds the key of a certificate".to_owned()),
        Err(why) => lacks.push(format!("it cannot be written to encrypted: {why}")),
        Ok(_) => {}
    }
    match member.addresses.first() {
        Some(first) => lacks.extend(is_role(first, policy).err()),
        None => lacks.push("it has no address".to_owned()),
    }
    lacks
}

/// The filled form, as coordinators see it: a line each.
pub fn form(member: &Member, policy: &Distributors, roster: &OnRoster) -> Vec<String> {
    let day = |at: &Timestamp| at.strftime("%Y-%m-%d").to_string();
    let mut form = vec![format!(
        "{} ({}), {} since {}",
        member.id,
        brief(&member.organisation, MOST_NAME),
        member.state.word(),
        day(&member.since)
    )];
    for (number, text, standing) in points(member, policy) {
        let said = member.criteria.iter().find(|answer| answer.number == number);
        let said = said.map_or_else(String::new, |answer| format!(" “{}”", brief(&answer.evidence, GLANCE)));
        let standing = match (standing, &member.vouch, &member.accepted) {
            (Standing::Vouched, Some(vouch), _) => {
                format!("{} vouches for it, since {}", vouch.by, day(&vouch.at))
            }
            (Standing::NotVouched, ..) => "NOBODY VOUCHES FOR IT YET".to_owned(),
            (Standing::Accepted, _, Some((version, at))) => format!("version {version}, {}", day(at)),
            (Standing::Missing, ..) => "MISSING".to_owned(),
            (Standing::NotMet, ..) => "NOT MET".to_owned(),
            (Standing::Met, ..) => "met".to_owned(),
            _ => "answered".to_owned(),
        };
        form.push(format!("{number}. {} {standing}{said}", brief(text, MOST_EVIDENCE)));
    }
    for address in &member.addresses {
        let role = is_role(address, policy).err().unwrap_or_else(|| "role address".to_owned());
        form.push(format!("{}: {role}", address.address));
    }
    for certificate in &member.certificates {
        let fingerprint = &certificate.fingerprint;
        let proven = if member.holds(fingerprint) { "proven" } else { "NOT PROVEN" };
        form.push(format!("key {fingerprint}: {proven}"));
    }
    if member.certificates.is_empty() {
        form.push("no OpenPGP certificate".to_owned());
    }
    let lacks = lacks(member, policy, roster);
    form.push(match lacks.is_empty() {
        true => format!("nothing is lacking: psirtd members approve {}", member.id),
        false => format!("lacks: {}", lacks.join("; ")),
    });
    form
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::distributor::{State, Vouch};
    use crate::domain::message::Digest;
    use crate::domain::signature::{Certificate, Source};

    fn policy() -> Distributors {
        Distributors::default()
    }

    fn mail(from: &str, text: &str) -> Message {
        let from = Mailbox { name: Some("Lena Lead".to_owned()), address: from.to_owned() };
        Message { from: vec![from], text: text.to_owned(), ..Message::default() }
    }

    fn said(text: &str) -> Vec<(usize, String)> {
        let all = answers(text, &policy());
        all.into_iter().map(|answer| (answer.number, answer.evidence)).collect()
    }

    fn says(number: usize, evidence: &str) -> (usize, String) {
        (number, evidence.to_owned())
    }

    #[test]
    fn answers_are_numbered_in_the_ways_people_do() {
        let text = "Hello,\n\n1. Acme Linux is built on it.\nSince 2011.\n\n2) 40000 users\n#3: see\n\nhttps://acme.example/security\n\
                    Criterion 4: no\n criterion 5 - yes, we send patches\n-- \n7. x\n";
        let expected = [
            says(1, "Acme Linux is built on it.\nSince 2011."),
            says(2, "40000 users"),
            says(3, "see\n\nhttps://acme.example/security"),
            says(4, "no"),
            says(5, "yes, we send patches"),
        ];
        assert_eq!(said(text), expected);
    }

    #[test]
    fn a_list_within_an_answer_is_part_of_it() {
        let text = "1. yes\n2. many\n3. These:\n1. CVE-2026-1\n2. CVE-2026-2\n1.5 million users\n9. x\n";
        let third = "These:\n1. CVE-2026-1\n2. CVE-2026-2\n1.5 million users\n9. x";
        assert_eq!(said(text), [says(1, "yes"), says(2, "many"), says(3, third)]);
        assert_eq!(said("3. c\n1. a\n"), [says(1, "a"), says(3, "c")], "in another order");
    }

    #[test]
    fn the_criteria_repeated_are_no_answers() {
        let list: Vec<String> = policy()
            .criteria
            .iter()
            .zip(1..)
            .map(|(criterion, number)| format!("{number}. {}", criterion.text))
            .collect();
        assert_eq!(said(&list.join("\n")), []);
        assert_eq!(said(&list.join("\n\n").to_uppercase()), []);
        assert_eq!(said("1. MISSING: Be an active distributor\nof the project.\n2.\n"), []);
        assert_eq!(said("2. Be an active distributor of the project."), [], "the words of another one");
        let below = "1. Be an active distributor of the project.\n\nWe are: https://acme.example\n";
        assert_eq!(said(below), [says(1, "We are: https://acme.example")]);
        let read = read(&mail("security@acme.example", &list.join("\n")), &policy());
        assert_eq!(read.missing, [1, 2, 3, 4, 5]);
        assert_eq!(said("> 1. yes\n> 2. many\n"), [], "what is quoted is nobody's");
    }

    #[test]
    fn an_organisation_is_named_or_guessed() {
        let name = |message: &Message| read(message, &policy()).organisation;
        assert_eq!(name(&mail("security@acme.example", "Organisation:  Acme  Linux \n")), "Acme Linux");
        assert_eq!(name(&mail("security@acme.example", "Company: Acme\nDistribution: x\n")), "Acme");
        assert_eq!(name(&mail("security@acme.example", "> Organisation: x\n")), "Lena Lead");
        let nameless = Message { from: vec![Mailbox::bare("security@acme.example")], ..Message::default() };
        assert_eq!(name(&nameless), "acme.example");
        assert_eq!(name(&Message::default()), "unknown");
        let long = mail("a@acme.example", &format!("Organisation: {}", "x".repeat(500)));
        assert_eq!(name(&long).chars().count(), MOST_NAME);
    }

    #[test]
    fn a_vouch_is_one_line_of_three_words() {
        let vouch =
            |text: &str| vouching(text).map(|vouching| format!("{} {}", vouching.member, vouching.policy));
        for text in
            ["vouch acme 1", "\n!Vouch  ACME   1\n\nThey are good.\n", "> vouch x 2\n\nvouch acme 1\n"]
        {
            assert_eq!(vouch(text).as_deref(), Some("acme 1"), "{text}");
        }
        for text in ["vouch acme", "vouch acme 1 2", "I vouch acme 1", "> vouch acme 1", "vouch a_b 1", ""] {
            assert_eq!(vouch(text), None, "{text}");
        }
    }

    #[test]
    fn role_addresses_are_told_from_personal_ones() {
        let is_role = |address: &str| is_role(&Mailbox::bare(address), &policy());
        for address in ["security@acme.example", "linux-security@acme.example", "PSIRT@acme.example"] {
            assert_eq!(is_role(address), Ok(()), "{address}");
        }
        for address in
            ["lena@acme.example", "insecurity@acme.example", "security@gmail.com", "security@x.gmail.com"]
        {
            assert!(is_role(address).unwrap_err().starts_with("personal address"), "{address}");
        }
    }

    fn member(id: &str, organisation: &str, address: &str) -> Member {
        let now: Timestamp = "2026-11-20T23:00:00Z".parse().unwrap();
        let certificate =
            Certificate { fingerprint: format!("F-{id}"), source: Source::Attached, armored: String::new() };
        let answer = |number| Criterion { number, evidence: "yes".to_owned(), reviewed: None };
        Member {
            addresses: vec![Mailbox::bare(address)],
            proven: vec![(certificate.fingerprint.clone(), now)],
            certificates: vec![certificate],
            criteria: (1..=5).map(answer).collect(),
            vouch: Some(Vouch {
                by: MemberId::typed("gnarl").unwrap(),
                policy: "1".to_owned(),
                at: now,
                mail: Digest::default(),
            }),
            accepted: Some(("1".to_owned(), now)),
            ..Member::new(MemberId::typed(id).unwrap(), organisation.to_owned(), State::Applied, now)
        }
    }

    #[test]
    fn organisations_are_one_when_anything_says_so() {
        let one = member("acme", "Acme Linux GmbH", "security@acme.example");
        let differs = |id: &str, name: &str, address: &str| are_different(&one, &member(id, name, address));
        assert_eq!(differs("gnarl", "Gnarl", "security@gnarl.example"), Ok(()));
        assert_eq!(
            differs("b", "Gnarl", "psirt@eu.acme.example").unwrap_err(),
            "it is of the same domain, acme.example"
        );
        assert!(differs("b", "ACME-Linux, Inc.", "security@b.example").is_err());
        assert!(differs("acme", "Gnarl", "security@b.example").is_err());
        let shared = |one: &str, other: &str| registrable(one) == registrable(other);
        assert!(shared("a.example.com", "example.com") && shared("a.b.co.uk", "b.co.uk"));
        assert!(!shared("a.co.uk", "b.co.uk") && !shared("a.example", "b.example"));
        // how many labels there are says nothing of these
        assert!(!shared("a.gob.mx", "b.gob.mx") && shared("a.b.gob.mx", "b.gob.mx"));
        assert!(
            !shared("a.kawasaki.jp", "b.kawasaki.jp") && shared("a.city.kawasaki.jp", "city.kawasaki.jp")
        );
        // whoever has one of these has as many as they like
        assert!(shared("a.dyndns.org", "b.dyndns.org") && shared("freedesktop.org", "mesa.freedesktop.org"));
        assert!(shared("a.github.io", "b.github.io") && shared("a.b.s3.amazonaws.com", "amazonaws.com"));
        assert!(shared("A.Acme.Example.", "acme.example"));
        assert_eq!(["co.uk", "localhost", ""].map(registrable), ["co.uk", "localhost", ""]);
        let same_key =
            Member { certificates: one.certificates.clone(), ..member("b", "B", "cert@b.example") };
        assert!(are_different(&one, &same_key).is_err());
    }

    #[test]
    fn whoever_lacks_nothing_can_be_approved_and_nobody_else() {
        let whole = member("acme", "Acme", "security@acme.example");
        let good = OnRoster { key: Ok(None), vouch_stands: true };
        let lacks = |member: &Member| lacks(member, &policy(), &good);
        assert_eq!(lacks(&whole), Vec::<String>::new());
        let unmet =
            Criterion { number: 2, evidence: "x".to_owned(), reviewed: Some(("ada".to_owned(), false)) };
        for (member, lacking) in [
            (
                Member { criteria: whole.criteria.iter().skip(1).cloned().collect(), ..whole.clone() },
                "criterion 1 is not answered",
            ),
            (
                Member {
                    criteria: whole
                        .criteria
                        .iter()
                        .filter(|it| it.number != 2)
                        .cloned()
                        .chain([unmet])
                        .collect(),
                    ..whole.clone()
                },
                "criterion 2 is not met, as a person found",
            ),
            (Member { vouch: None, ..whole.clone() }, "nobody has vouched for it"),
            (
                Member {
                    vouch: whole.vouch.clone().map(|vouch| Vouch { policy: "0".to_owned(), ..vouch }),
                    ..whole.clone()
                },
                "the vouch is for version 0 of the embargo policy, not 1",
            ),
            (
                Member {
                    vouch: whole.vouch.clone().map(|vouch| Vouch { by: whole.id.clone(), ..vouch }),
                    ..whole.clone()
                },
                "it has vouched for itself",
            ),
            (
                Member { accepted: Some(("0".to_owned(), whole.since)), ..whole.clone() },
                "it has accepted version 0 of the embargo policy, and 1 is in force",
            ),
            (Member { accepted: None, ..whole.clone() }, "it has not accepted the embargo policy"),
            (
                Member { proven: Vec::new(), ..whole.clone() },
                "it has not shown that it holds the key of a certificate",
            ),
            (
                Member { addresses: vec![Mailbox::bare("lena@acme.example")], ..whole.clone() },
                "personal address: nothing in it says that a role reads it",
            ),
            (Member { addresses: Vec::new(), ..whole.clone() }, "it has no address"),
        ] {
            assert_eq!(lacks(&member), [lacking]);
        }
        let expired = OnRoster { key: Err("expired".to_owned()), ..good.clone() };
        assert_eq!(super::lacks(&whole, &policy(), &expired), ["it cannot be written to encrypted: expired"]);
        assert!(form(&whole, &policy(), &good).last().unwrap().ends_with("psirtd members approve acme"));
    }

    #[test]
    fn the_form_says_that_whoever_vouched_has_left_the_list() {
        let mut whole = member("acme", "Acme", "security@acme.example");
        let vouch = whole.vouch.as_mut().unwrap();
        vouch.by = MemberId::typed("bolt").unwrap();
        let later = vouch.at + jiff::SignedDuration::from_hours(1);
        let bolt = Member { state: State::Active, ..member("bolt", "Bolt", "security@bolt.example") };
        let last = |voucher: Option<&Member>| {
            let roster = OnRoster::of(&whole, voucher, Ok(None));
            form(&whole, &policy(), &roster).pop().unwrap()
        };
        assert_eq!(last(Some(&bolt)), "nothing is lacking: psirtd members approve acme");
        let is = |state| Some(Member { state, ..bolt.clone() });
        // another one has its name
        let another = Some(Member { joined: Some(later), ..bolt.clone() });
        for voucher in [None, is(State::Applied), is(State::Suspended), is(State::Removed), another] {
            let lacks = "lacks: bolt, which vouched for it, has left the list since";
            assert_eq!(last(voucher.as_ref()), lacks, "{voucher:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_mail_says_what_is_read_is_limited(text in "(\\PC|\n|[0-9]{1,2}[.):] |#|[Cc]riterion ){0,400}", name in "\\PC{0,300}") {
            let from = Mailbox { name: Some(name), address: "security@acme.example".to_owned() };
            let message = Message { from: vec![from], text: text.clone(), ..Message::default() };
            let read = read(&message, &policy());
            prop_assert!(!read.organisation.is_empty() && read.organisation.chars().count() <= MOST_NAME);
            prop_assert!(read.criteria.iter().all(|it| (1..=7).contains(&it.number) && !it.evidence.is_empty()));
            prop_assert!(read.criteria.iter().all(|it| it.evidence.chars().count() <= MOST_EVIDENCE));
            prop_assert!(read.criteria.windows(2).all(|two| two[0].number < two[1].number));
            prop_assert!(read.missing.iter().all(|number| !read.criteria.iter().any(|it| it.number == *number)));
            let _no_panic = (vouching(&text), given_back(&text));
        }

        #[test]
        fn an_organisation_is_the_same_as_itself(name in "\\PC{0,60}") {
            prop_assert!(same_name(&name, &name.to_uppercase()) || !name.is_ascii());
        }
    }
}
