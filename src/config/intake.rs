//! What the configuration says about incoming mail: own lists, whose word about senders counts, limits, phrases.

use std::sync::Arc;

use crate::config::section::Section;
use crate::config::{Reading, read};
use crate::domain::limit::Limits;
use crate::domain::policy::Policy;
use crate::domain::report::patterns::{COMPILED_IN, Patterns};
use crate::domain::trust::{Border, Form};

/// The part of the policy that is about incoming mail.
pub(super) struct IntakeRules {
    own_lists: Vec<String>,
    relay_junk: bool,
    border: Option<Border>,
    limits: Limits,
    patterns: Arc<Patterns>,
}

impl IntakeRules {
    pub(super) fn into_policy(self, policy: Policy) -> Policy {
        let Self { own_lists, relay_junk, border, limits, patterns } = self;
        Policy { own_lists, relay_junk, border, limits, patterns, ..policy }
    }
}

impl Reading<'_> {
    pub(super) fn intake(&mut self, root: &Section<'_>, inbox: Option<&Section<'_>>) -> Option<IntakeRules> {
        let own_lists = inbox.map(|inbox| inbox.texts("own_lists")).unwrap_or_default();
        let own_lists = own_lists.into_iter().filter_map(|list| {
            list.and_then(root.problems(), |text| match text.contains('.') && !text.contains(char::is_whitespace) {
                true => Ok(text),
                false => Err(format!(
                    "“{text}” is no list: write its address (security@lists.example.org) or its List-Id (security.lists.example.org)"
                )),
            })
        });
        let own_lists = own_lists.collect();
        let relay_junk = inbox.is_none_or(|inbox| inbox.switch_off("relay_junk"));
        let border = match inbox.and_then(|inbox| inbox.section("authentication")) {
            Some(section) => self.border(section).map(Some),
            None => Some(None),
        };
        let limits = root.section("limits").map_or_else(Limits::default, limits);
        let patterns = match root.section("report") {
            Some(section) => self.patterns(section),
            None => Some(Patterns::english()),
        };
        Some(IntakeRules { own_lists, relay_junk, border: border?, limits, patterns: patterns? })
    }

    /// Whose word about senders counts.
    fn border(&self, section: Section<'_>) -> Option<Border> {
        let ids = section.texts("authserv_id").into_iter();
        let ids: Vec<String> = ids.filter_map(|id| id.and_then(section.problems(), host)).collect();
        let form = section.text("form");
        let form = match (form.as_ref().map(|form| form.value.as_str()), ids.is_empty()) {
            (Some("exchange-online"), true) => Some(Form::ExchangeOnline),
            (Some("exchange-online"), false) => {
                section.wrong("authserv_id", "Exchange Online names none: leave it out");
                None
            }
            (None | Some("rfc8601"), false) => Some(Form::Rfc8601(ids)),
            (None | Some("rfc8601"), true) => {
                section.missing("authserv_id", "authserv_id = [\"mx.example.org\"]");
                None
            }
            (Some(other), _) => {
                section.wrong("form", &format!("“{other}” is not rfc8601 or exchange-online"));
                None
            }
        };
        let received_by = section.text("received_by").map(|by| by.and_then(section.problems(), host));
        let received_by = match received_by {
            Some(host) => Some(host?),
            None => None,
        };
        let answer_failing = section.switch("answer_failing");
        section.finish();
        Some(Border { form: form?, received_by, answer_failing })
    }

    /// The phrases that show what a report says.
    fn patterns(&self, section: Section<'_>) -> Option<Arc<Patterns>> {
        let problems = section.problems();
        let mut patterns = Patterns::default();
        let mut all_right = true;
        let languages = section.texts("languages");
        if !section.has("languages") {
            patterns = Patterns::clone(&Patterns::english());
        }
        for language in languages {
            let added = language.and_then(problems, |name| {
                let known = COMPILED_IN.iter().find(|(known, _)| *known == name);
                let (_, text) = known.ok_or_else(|| {
                    let known: Vec<&str> = COMPILED_IN.iter().map(|(name, _)| *name).collect();
                    format!(
                        "no phrases in “{name}” are compiled in, only in {}; others: report.patterns",
                        known.join(", ")
                    )
                })?;
                patterns.add(text)
            });
            all_right &= added.is_some();
        }
        for file in section.texts("patterns") {
            let added = file.and_then(problems, |file| {
                let path = self.path(&file);
                let named = |error: String| format!("{}: {error}", path.display());
                let text = String::from_utf8(read(&path)?).map_err(|_| named("not UTF-8".to_owned()))?;
                patterns.add(&text).map_err(named)
            });
            all_right &= added.is_some();
        }
        section.finish();
        all_right.then(|| Arc::new(patterns))
    }
}

/// A host's name, as servers write it into a header.
fn host(name: String) -> Result<String, String> {
    let right = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || ";()".contains(c));
    if right {
        Ok(name.to_lowercase())
    } else {
        Err(format!("“{name}” is no name, such as “mx.example.org”"))
    }
}

/// How many automatic answers go out.
fn limits(section: Section<'_>) -> Limits {
    let standard = Limits::default();
    let limit = |key: &str, default: u32| {
        let found = section.number(key);
        let found = found.and_then(|found| {
            found.and_then(section.problems(), |number| u32::try_from(number).map_err(|_| "too many"))
        });
        found.unwrap_or(default)
    };
    let limits = Limits {
        per_address_per_day: limit("per_address_per_day", standard.per_address_per_day),
        per_domain_per_hour: limit("per_domain_per_hour", standard.per_domain_per_hour),
        per_hour: limit("per_hour", standard.per_hour),
        per_day: limit("per_day", standard.per_day),
        relayed_per_author_per_day: limit("relayed_per_author_per_day", standard.relayed_per_author_per_day),
    };
    section.finish();
    limits
}
