//! The names under which others know a mistake: CWE ids, CVE ids.
//!
//! # Standards
//! MITRE's CWE; the CVE record format 5 (`^CVE-\d{4}-\d{4,19}$`, `^CWE-[1-9]\d*$`).

use std::fmt;

use serde::{Deserialize, Serialize};

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
        let upper = text.trim().to_uppercase();
        let number = upper.strip_prefix("CWE-").unwrap_or(&upper);
        let digits = (1..=7).contains(&number.len()) && is_number(number) && !number.starts_with('0');
        match digits {
            true => Ok(Self(format!("CWE-{number}"))),
            false => Err(format!("“{text}” is no CWE id, such as CWE-787")),
        }
    }
}

impl Cve {
    /// As people type it. The error is for them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_uppercase();
        let parts = upper.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
        let right = |(year, number): &(&str, &str)| {
            year.len() == 4 && is_number(year) && (4..=19).contains(&number.len()) && is_number(number)
        };
        match parts.filter(right) {
            Some((year, number)) => Ok(Self(format!("CVE-{year}-{number}"))),
            None => Err(format!("“{text}” is no CVE id, such as CVE-2026-12345")),
        }
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
}
