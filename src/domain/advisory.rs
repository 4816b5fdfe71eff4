//! What the team finds out about a vulnerability, as far as others will be told one day.
//!
//! # What it is for
//! Severity, weakness, CVE, what is affected, what fixes it, what helps meanwhile, who is thanked (P-10, P-11, P-16). It is the
//! part of a case that is independent of how far the case has come.
//!
//! # Invariants
//! * The CVSS vector is the truth; the score is computed from it whenever it is shown.
//! * A supported line that nobody has called unaffected counts as affected: a case is `fixed` only when each of these has a
//!   version that fixes it, or an exception that was stated with its reason (P-16).

use serde::{Deserialize, Serialize};

use crate::domain::message::Digest;
use crate::domain::severity::Severity;
use crate::domain::weakness::{Cve, Cwe};

/// What is known so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// How bad it is.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// What kind of mistake it is.
    #[serde(default)]
    pub cwe: Vec<Cwe>,
    /// Its public names; private until it is published.
    #[serde(default)]
    pub cve: Vec<Cve>,
    /// The affected lines, when somebody has said which.
    #[serde(default)]
    pub affected: Option<Vec<String>>,
    /// The versions that fix it.
    #[serde(default)]
    pub fixed: Vec<String>,
    /// Affected lines that get no fix, and the file of the reason.
    #[serde(default)]
    pub exceptions: Vec<(String, Digest)>,
    /// The file of the text that says what helps until there is a fix.
    #[serde(default)]
    pub workaround: Option<Digest>,
    /// Who is thanked.
    #[serde(default)]
    pub credits: Vec<String>,
}

/// A step of finding out; each replaces what was known, but for versions, exceptions and credits, which add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The severity.
    Severity(Severity),
    /// The weaknesses.
    Cwe(Vec<Cwe>),
    /// The CVE ids.
    Cve(Vec<Cve>),
    /// The affected lines.
    Affected(Vec<String>),
    /// Further versions that fix it.
    Fixed(Vec<String>),
    /// A line that gets no fix, and the file of the reason.
    Exception {
        /// The line.
        line: String,
        /// Why.
        reason: Digest,
    },
    /// The file of the text.
    Workaround(Digest),
    /// Who is thanked, too.
    Credit(String),
    /// Nobody is thanked, after all.
    NoCredit,
}

/// How an affected line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `0.12`
    pub line: String,
    /// The version of it that fixes the matter.
    pub version: Option<String>,
    /// It gets none, and why is stated.
    pub exception: bool,
}

impl Advisory {
    /// Takes in what was found.
    pub fn learn(&mut self, finding: &Finding) {
        match finding {
            Finding::Severity(severity) => self.severity = Some(severity.clone()),
            Finding::Cwe(ids) => self.cwe.clone_from(ids),
            Finding::Cve(ids) => self.cve.clone_from(ids),
            Finding::Affected(lines) => self.affected = Some(lines.clone()),
            Finding::Fixed(versions) => {
                let new = versions.iter().filter(|version| !self.fixed.contains(version));
                let new: Vec<String> = new.cloned().collect();
                self.fixed.extend(new);
            }
            Finding::Exception { line, reason } => {
                self.exceptions.retain(|(known, _)| known != line);
                self.exceptions.push((line.clone(), reason.clone()));
            }
            Finding::Workaround(text) => self.workaround = Some(text.clone()),
            Finding::Credit(who) => {
                if !self.credits.contains(who) {
                    self.credits.push(who.clone());
                }
            }
            Finding::NoCredit => self.credits.clear(),
        }
    }

    /// Takes over what another one knows and this one does not.
    pub fn fill_from(&mut self, other: &Self) {
        fn fill<T: Clone>(mine: &mut Vec<T>, theirs: &[T]) {
            if mine.is_empty() {
                mine.extend_from_slice(theirs);
            }
        }
        self.severity = self.severity.take().or_else(|| other.severity.clone());
        self.affected = self.affected.take().or_else(|| other.affected.clone());
        self.workaround = self.workaround.take().or_else(|| other.workaround.clone());
        fill(&mut self.cwe, &other.cwe);
        fill(&mut self.cve, &other.cve);
        fill(&mut self.fixed, &other.fixed);
        fill(&mut self.exceptions, &other.exceptions);
        fill(&mut self.credits, &other.credits);
    }

    /// Each affected line, and what fixes it. Lines that are affected but not supported need no fix.
    pub fn lines(&self, supported: &[String]) -> Vec<Line> {
        let affected = |line: &&String| self.affected.as_ref().is_none_or(|affected| affected.contains(line));
        let stands = |line: &String| Line {
            line: line.clone(),
            version: self.fixed.iter().rev().find(|version| belongs(version, line)).cloned(),
            exception: self.exceptions.iter().any(|(known, _)| known == line),
        };
        supported.iter().filter(affected).map(stands).collect()
    }

    /// Each supported affected line has a version, or a stated exception (P-16). A desk that names no supported lines is content with
    /// one version.
    pub fn is_fixed(&self, supported: &[String]) -> bool {
        let lines = self.lines(supported);
        let without_lines = supported.is_empty() && !self.fixed.is_empty();
        let all = lines.iter().all(|line| line.version.is_some() || line.exception);
        without_lines || (!supported.is_empty() && all)
    }
}

/// A version is one of a line: `0.12.3`, or `0.12-rc1`, of `0.12`; not `0.120`.
pub fn belongs(version: &str, line: &str) -> bool {
    version.strip_prefix(line).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+', '_']))
}

/// A version, or a line of versions, as people write them: `v0.12.3` is `0.12.3`. The error is for whoever typed it.
pub fn version(text: &str) -> Result<String, String> {
    const MOST: usize = 60;
    let bare = text.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let bare = bare.unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+_~:".contains(c);
    match !bare.is_empty() && bare.len() <= MOST && bare.chars().all(plain) {
        true => Ok(bare.to_owned()),
        false => Err(format!("“{text}” is no version, such as 0.12.3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(affected: Option<&[&str]>, fixed: &[&str], exceptions: &[&str]) -> Advisory {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Advisory {
            affected: affected.map(owned),
            fixed: owned(fixed),
            exceptions: owned(exceptions).into_iter().map(|line| (line, Digest::default())).collect(),
            ..Advisory::default()
        }
    }

    /// P-16.
    #[test]
    fn fixed_is_complete_when_each_supported_affected_line_is() {
        let supported = ["0.12", "0.11", "0.1"].map(str::to_owned);
        for (affected, fixed, exceptions, complete) in [
            // nobody said what is affected: everything that is supported
            (None, &["0.12.3", "0.11.9"][..], &[][..], false),
            (None, &["0.12.3", "0.11.9", "0.1.7"], &[], true),
            (None, &["0.12.3", "0.11.9"], &["0.1"], true),
            (Some(&["0.12", "0.11"][..]), &["0.12.3", "0.11.9"], &[], true),
            // 0.11.9 is no version of 0.1
            (Some(&["0.1"]), &["0.11.9"], &[], false),
            (Some(&["0.1"]), &["0.1-p1"], &[], true),
            // a line that is affected and not supported needs none
            (Some(&["0.9"]), &[], &[], true),
            (Some(&["0.12"]), &["0.12"], &[], true),
            (Some(&["0.12"]), &[], &["0.11"], false),
        ] {
            let advisory = known(affected, fixed, exceptions);
            assert_eq!(advisory.is_fixed(&supported), complete, "{affected:?} {fixed:?} {exceptions:?}");
        }
        assert!(known(None, &["1.2"], &[]).is_fixed(&[]));
        assert!(!known(None, &[], &[]).is_fixed(&[]));
    }

    #[test]
    fn versions_as_people_write_them() {
        for (typed, read) in
            [("v0.12.3", "0.12.3"), ("0.12", "0.12"), ("1:2.0~rc1-1", "1:2.0~rc1-1"), ("vnext", "vnext")]
        {
            assert_eq!(version(typed).as_deref(), Ok(read));
        }
        for typed in ["", "0.12, 0.11", "<0.12", "0.12\u{202e}", &"1".repeat(61)] {
            assert!(version(typed).is_err(), "{typed}");
        }
    }
}
