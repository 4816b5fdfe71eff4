//! The names under which others know a mistake: CWE ids, CVE ids.
//!
//! # Standards
//! MITRE's CWE; the CVE record format 5 (`^CVE-\d{4}-\d{4,19}$`, `^CWE-[1-9]\d*$`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error repeats no more bytes of what was typed.
const MOST_SHOWN: usize = 60;

/// A kind of mistake: `CWE-787`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cwe(String);

/// The public name of a vulnerability: `CVE-2026-12345`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cve(String);

impl Cwe {
    /// As people type it: `CWE-787`, `cwe-787`, `787`. The error is for them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let number = upper.strip_prefix("CWE-").unwrap_or(&upper);
        let digits = (1..=7).contains(&number.len()) && is_number(number) && !number.starts_with('0');
        match digits {
            true => Ok(Self(format!("CWE-{number}"))),
            false => Err(format!("{} is no CWE id, such as CWE-787", shown(text))),
        }
    }
}

impl Cve {
    /// As people type it. The error is for them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let parts = upper.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
        let right = |(year, number): &(&str, &str)| {
            year.len() == 4 && is_number(year) && (4..=19).contains(&number.len()) && is_number(number)
        };
        match parts.filter(right) {
            Some((year, number)) => Ok(Self(format!("CVE-{year}-{number}"))),
            None => Err(format!("{} is no CVE id, such as CVE-2026-12345", shown(text))),
        }
    }
}

/// What was typed, as an error repeats it: not when it is long, or would break the line or hide.
fn shown(text: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || c.is_ascii_graphic();
    match text.len() <= MOST_SHOWN && text.chars().all(harmless) {
        true => format!("“{text}”"),
        false => "this".to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Cwe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Cve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_as_people_type_them() {
        for (typed, id) in [("CWE-79", "CWE-79"), ("cwe-787", "CWE-787"), (" 22 ", "CWE-22")] {
            assert_eq!(Cwe::parse(typed).unwrap().to_string(), id);
        }
        for typed in ["", "CWE-", "CWE-0", "CWE-079", "CWE-12345678", "CWE-7x", "CWE-７９"] {
            assert!(Cwe::parse(typed).is_err(), "{typed}");
        }
        assert_eq!(Cve::parse("cve-2026-12345").unwrap().to_string(), "CVE-2026-12345");
        for typed in [
            "",
            "CVE-26-1234",
            "CVE-2026-123",
            "2026-1234",
            "CVE-2026-12345678901234567890",
            "CVE-2026-1234-5",
        ] {
            assert!(Cve::parse(typed).is_err(), "{typed}");
        }
    }
    #[test]
    fn an_error_repeats_what_was_typed_only_when_it_is_short() {
        assert_eq!(Cwe::parse("CWE-7x").unwrap_err(), "“CWE-7x” is no CWE id, such as CWE-787");
        assert_eq!(Cwe::parse(&"9".repeat(100_000)).unwrap_err(), "this is no CWE id, such as CWE-787");
        assert_eq!(Cve::parse("CVE-1\n2").unwrap_err(), "this is no CVE id, such as CVE-2026-12345");
    }

    #[test]
    fn ids_are_kept_as_texts() {
        let id = Cve::parse("CVE-2026-12345").unwrap();
        let kept = serde_json::to_string(&id).unwrap();
        assert_eq!(kept, "\"CVE-2026-12345\"");
        assert_eq!(serde_json::from_str::<Cve>(&kept).unwrap(), id);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), near in "(?i)(CWE|CVE)?-?[0-9]{0,8}-?[0-9]{0,20}") {
            for text in [&text, &near] {
                if let Ok(id) = Cwe::parse(text) {
                    prop_assert_eq!(Cwe::parse(&id.to_string()).unwrap(), id);
                }
                if let Ok(id) = Cve::parse(text) {
                    prop_assert_eq!(Cve::parse(&id.to_string()).unwrap(), id);
                }
            }
        }
    }
}
