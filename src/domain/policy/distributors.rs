//! The written process of the distributors' list as values (P-13 … P-15, P-18 … P-22).

use jiff::civil::Weekday;

use crate::domain::calendar::Term;

/// The list, and what holds on it. The numbers are those of the example process, or safe where it is silent.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributors {
    /// Where requests to join are sent.
    pub address: Option<String>,
    /// The version of the embargo policy in force.
    pub policy: String,
    /// Where it can be read.
    pub policy_page: Option<String>,
    /// What an organisation must meet, in order.
    pub criteria: Vec<Criterion>,
    /// Words by which the local part of a role address is known.
    pub roles: Vec<String>,
    /// Domains of which no address is an organisation's.
    pub personal_domains: Vec<String>,
    /// The longest embargo, in days from the receipt of the report.
    pub most_days: u32,
    /// It never ends on these days, nor on a holiday.
    pub not_on: Vec<Weekday>,
    /// Members hear of it at least so long before it ends.
    pub at_least: Option<Term>,
    /// And no earlier than that.
    pub at_most: Option<Term>,
    /// What goes to members, a change of an embargo that is agreed, its lift and a removal need the signatures of two coordinators; but
    /// what everybody may know by now is told at once (`public`, `leak ends`). Unset: when there are two coordinators.
    pub four_eyes: Option<bool>,
    /// Members attest again after so many days; never, if unset.
    pub attest_days: Option<u32>,
    /// Coordinators are reminded of an application after so many days.
    pub remind_days: u32,
    /// What is asked of those who get a notice.
    pub asks: Vec<String>,
    /// The places of a sentence that is put into each copy, with the words that may stand there; none: copies are not marked.
    pub marks: Vec<Vec<String>>,
}

/// One of the criteria.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// In the words of the process.
    pub text: String,
    /// How the desk knows that it is met.
    pub kind: CriterionKind,
}

/// How the desk knows that a criterion is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CriterionKind {
    /// The organisation says how, and a person looks at it.
    Evidence,
    /// The request itself is the acceptance of the embargo policy.
    Acceptance,
    /// A member of another organisation vouches.
    Vouch,
}

impl Default for Distributors {
    fn default() -> Self {
        let evidence = |text: &str| Criterion { text: text.to_owned(), kind: CriterionKind::Evidence };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            address: None,
            policy: "1".to_owned(),
            policy_page: None,
            criteria: vec![
                evidence("Be an active distributor of the project."),
                evidence("Have a user base that is not limited to your own organization."),
                evidence(
                    "Have a publicly verifiable track record up to the present day of fixing security issues.",
                ),
                evidence("Not be a downstream or rebuild of another distributor."),
                evidence("Be a participant and active contributor in the community."),
                Criterion {
                    text: "Accept the Embargo Policy.".to_owned(),
                    kind: CriterionKind::Acceptance,
                },
                Criterion {
                    text: "Have someone who is already on the list vouch for the person requesting membership on behalf of your \
                           distribution."
                        .to_owned(),
                    kind: CriterionKind::Vouch,
                },
            ],
            roles: words(&[
                "security", "psirt", "csirt", "cert", "sirt", "secteam", "secalert", "vuln", "vulnerability",
                "distro", "distros", "packagers", "release",
            ]),
            personal_domains: words(&[
                "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com",
                "me.com", "gmx.de", "gmx.net", "web.de", "proton.me", "protonmail.com", "qq.com", "163.com", "mail.ru",
                "aol.com",
            ]),
            most_days: 90,
            not_on: vec![Weekday::Friday, Weekday::Saturday, Weekday::Sunday],
            at_least: Some(Term::Days(3)),
            at_most: Some(Term::Days(30)),
            four_eyes: None,
            attest_days: Some(365),
            remind_days: 14,
            asks: words(&[
                "Confirm that you have it: answer, signed, with the word “received”.",
                "When a date is named, say whether you agree: answer, signed, with the word “agree” or “disagree”.",
                "Plan your update, test the fix, and tell us what you find.",
            ]),
            marks: Vec::new(),
        }
    }
}
