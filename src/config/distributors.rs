//! `[distributors]`: the early-disclosure list, and what holds on it (P-13 … P-15, P-18 … P-22).
//!
//! # Invariants
//! * What is left out is as the example process has it, or safe where that is silent.
//! * Four eyes that nobody can have are an error: nothing would ever be approved.

use std::collections::BTreeSet;

use jiff::civil::Weekday;

use crate::config::Reading;
use crate::config::section::{Item, Section};
use crate::domain::calendar::Term;
use crate::domain::message::Mailbox;
use crate::domain::policy::distributors::{Criterion, CriterionKind, Distributors};
use crate::domain::policy::{Person, Role};
use crate::keyring::Keyring;

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl Reading<'_> {
    /// The list, of that team.
    pub(super) fn distributors(
        &mut self,
        section: Section<'_>,
        (people, keyring): (&[Person], &Keyring),
        plus_address: bool,
    ) -> Distributors {
        let standard = Distributors::default();
        let problems = section.problems();
        let address = self.address(&section, "address", true);
        let policy = section.text("policy").and_then(|it| it.and_then(problems, line));
        let policy_page = section.text("policy_page").and_then(|it| it.and_then(problems, line));
        let criteria = section.has("criteria").then(|| criteria(&section));
        let most_days = section.text("most").and_then(|it| it.and_then(problems, |text| days(&text)));
        let not_on = section.has("not_on").then(|| weekdays(&section));
        let at_least = term(&section, "at_least", standard.at_least);
        let at_most = term(&section, "at_most", standard.at_most);
        if let (Some(least), Some(most)) = (at_least, at_most)
            && hours(least) > hours(most)
        {
            section
                .wrong("at_least", &format!("{least} is more than at_most, {most}: no date would be right"));
        }
        let four_eyes = self.four_eyes(&section, people, keyring);
        let attest_days = match section.text("attest") {
            Some(never) if never.value == "never" => None,
            Some(term) => term.and_then(problems, |text| days(&text)).or(standard.attest_days),
            None => standard.attest_days,
        };
        let remind_days = section.text("remind").and_then(|it| it.and_then(problems, |text| days(&text)));
        let words = |key: &str| {
            let all = section.texts(key).into_iter().filter_map(|it| it.and_then(problems, line));
            section.has(key).then(|| all.collect::<Vec<String>>())
        };
        let lower = |words: Vec<String>| words.iter().map(|word| word.to_lowercase()).collect();
        let roles = words("roles").map(lower);
        let personal_domains = words("personal_domains").map(lower);
        let asks = words("asks");
        let marks = marks(&section);
        section.finish();
        if !plus_address {
            self.warnings.push(
                "distributors: without desk.plus_address a bounce of a notice cannot name its member"
                    .to_owned(),
            );
        }
        Distributors {
            address,
            policy: policy.unwrap_or(standard.policy),
            policy_page,
            criteria: criteria.unwrap_or(standard.criteria),
            roles: roles.unwrap_or(standard.roles),
            personal_domains: personal_domains.unwrap_or(standard.personal_domains),
            most_days: most_days.unwrap_or(standard.most_days),
            not_on: not_on.unwrap_or(standard.not_on),
            at_least,
            at_most,
            four_eyes,
            attest_days,
            remind_days: remind_days.unwrap_or(standard.remind_days),
            asks: asks.unwrap_or(standard.asks),
            marks,
        }
    }

    /// Whether two have to sign, if the section says so. Those who cannot are told of.
    fn four_eyes(&mut self, section: &Section<'_>, people: &[Person], keyring: &Keyring) -> Option<bool> {
        let four_eyes = section.flag("four_eyes");
        let coordinators = people.iter().filter(|person| person.is(Role::Coordinator));
        let coordinators: Vec<&Mailbox> = coordinators.map(|person| &person.mailbox).collect();
        let (apart, all) = (sign_apart(&coordinators, keyring), coordinators.len());
        if four_eyes == Some(true) && apart < 2 {
            let why = "it takes two [[person]]s with the role coordinator, each with a cert of their own: nobody could approve what the \
                       only one proposes";
            section.wrong("four_eyes", why);
        } else if four_eyes.unwrap_or(all >= 2) && apart < all {
            let why = if apart < 2 { "nothing can be approved" } else { "one key can sign for two of them" };
            self.warnings.push(format!(
                "distributors: two have to sign, and {apart} of {all} coordinators can sign apart from the others, by a cert of their own: {why}"
            ));
        }
        four_eyes
    }
}

/// How many of them can sign by a certificate that the configuration names for them, and for no other one before.
fn sign_apart(coordinators: &[&Mailbox], keyring: &Keyring) -> usize {
    let (mut known, mut taken) = (BTreeSet::new(), BTreeSet::new());
    let apart = coordinators.iter().filter(|mailbox| {
        let mut named = keyring.named_for(&mailbox.address);
        named.any(|cert| taken.insert(cert.fingerprint())) && known.insert(mailbox.identity())
    });
    apart.count()
}

fn criteria(section: &Section<'_>) -> Vec<Criterion> {
    let mut criteria = Vec::new();
    for item in section.items("criteria") {
        match item {
            Item::Text(text) => {
                let text = text.and_then(section.problems(), line);
                criteria.extend(text.map(|text| Criterion { text, kind: CriterionKind::Evidence }));
            }
            Item::Table(table) => {
                let text = table.text("text").map(|it| it.and_then(table.problems(), line));
                if text.is_none() {
                    table.missing("text", "text = \"Accept the Embargo Policy.\"");
                }
                let kind = match table.text("kind") {
                    None => Some(CriterionKind::Evidence),
                    Some(kind) => kind.and_then(table.problems(), |word| match word.as_str() {
                        "evidence" => Ok(CriterionKind::Evidence),
                        "acceptance" => Ok(CriterionKind::Acceptance),
                        "vouch" => Ok(CriterionKind::Vouch),
                        other => Err(format!("“{other}” is not evidence, acceptance or vouch")),
                    }),
                };
                table.finish();
                criteria.extend(text.flatten().zip(kind).map(|(text, kind)| Criterion { text, kind }));
            }
            Item::List(place, _) | Item::Other(place) => {
                let expected = "expected a text in quotes, or { text = \"…\", kind = \"evidence\" }";
                section.problems().at(place, &section.key("criteria"), expected);
            }
        }
    }
    criteria
}

fn weekdays(section: &Section<'_>) -> Vec<Weekday> {
    let day = |text: String| {
        let found = DAYS.iter().find(|(name, _)| *name == text.to_lowercase()).map(|(_, day)| *day);
        found.ok_or_else(|| format!("“{text}” is no day of the week, such as “friday”"))
    };
    let days: Vec<Weekday> = section
        .texts("not_on")
        .into_iter()
        .filter_map(|text| text.and_then(section.problems(), day))
        .collect();
    if DAYS.iter().all(|(_, day)| days.contains(day)) {
        section.wrong("not_on", "on every day of the week? No embargo could end");
    }
    days
}

/// The places of a sentence, each with the words that may stand there.
fn marks(section: &Section<'_>) -> Vec<Vec<String>> {
    let (problems, key) = (section.problems(), section.key("marks"));
    let mut marks = Vec::new();
    for item in section.items("marks") {
        let (place, words) = match item {
            Item::List(place, words) => (place, words),
            Item::Text(found) => (found.place, Vec::new()),
            Item::Table(table) => (table.place, Vec::new()),
            Item::Other(place) => (place, Vec::new()),
        };
        if words.is_empty() {
            problems.at(
                place,
                &key,
                "each place of the sentence is a list of the words that may stand there",
            );
        }
        let mut known: Vec<String> = Vec::new();
        for word in words.into_iter().filter_map(|word| word.and_then(problems, line)) {
            if known.contains(&word) {
                problems.at(
                    place,
                    &key,
                    format!("“{word}” stands twice in one place: copies would be the same"),
                );
            }
            known.push(word);
        }
        marks.push(known);
    }
    marks
}

/// A term, or none by the word.
fn term(section: &Section<'_>, key: &str, standard: Option<Term>) -> Option<Term> {
    match section.text(key) {
        Some(none) if none.value == "none" => None,
        Some(term) => term.and_then(section.problems(), |text| text.parse::<Term>()),
        None => standard,
    }
}

fn hours(term: Term) -> u32 {
    match term {
        Term::Hours(hours) => hours,
        Term::Days(days) | Term::BusinessDays(days) => days.saturating_mul(24),
    }
}

fn days(text: &str) -> Result<u32, String> {
    match text.parse::<Term>() {
        Ok(Term::Days(days)) => Ok(days),
        Ok(_) => Err(format!("“{text}”: in days, please, such as “90 days”")),
        Err(why) => Err(why),
    }
}

fn line(text: String) -> Result<String, String> {
    match text.trim().is_empty() || text.contains(char::is_control) {
        false => Ok(text),
        true => Err("one line of text is expected".to_owned()),
    }
}
