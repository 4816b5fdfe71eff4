//! How bad a vulnerability is: a CVSS vector, and the score that follows from it (P-11).
//!
//! # Invariants
//! * The vector is the truth and is kept; the score is computed from it each time, and never kept beside it.
//! * Whoever types a vector hears in one line what is wrong with it. What is in the journal is history: a vector that nobody can read any
//!   more has no score, and breaks nothing.
//!
//! # Standards
//! FIRST's specifications of CVSS 3.0, 3.1 and 4.0. The arithmetic is the crate cvss-rs'. Of the grammar it lets through what the
//! specifications forbid (a metric twice, those of 4.0 in any order), which is looked for here.

use std::fmt;
use std::str::FromStr;

use cvss_rs::v3::CvssV3;
use cvss_rs::v4_0::CvssV4;
use serde::{Deserialize, Serialize};

/// A longer text is no vector. Bytes.
const MOST: usize = 1000;
/// The metrics of 3.0 and 3.1 in the order in which they are written; the first so many are mandatory.
const V3: [&str; 22] = [
    "AV", "AC", "PR", "UI", "S", "C", "I", "A", "E", "RL", "RC", "CR", "IR", "AR", "MAV", "MAC", "MPR",
    "MUI", "MS", "MC", "MI", "MA",
];
const V3_BASE: usize = 8;
const V3_TEMPORAL: usize = 11;
/// The same of 4.0.
const V4: [&str; 32] = [
    "AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA", "E", "CR", "IR", "AR", "MAV", "MAC",
    "MAT", "MPR", "MUI", "MVC", "MVI", "MVA", "MSC", "MSI", "MSA", "S", "AU", "R", "V", "RE", "U",
];
const V4_BASE: usize = 11;

/// A CVSS vector in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Severity(String);

/// What a score is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// 0.0
    None,
    /// 0.1 to 3.9
    Low,
    /// 4.0 to 6.9
    Medium,
    /// 7.0 to 8.9
    High,
    /// 9.0 to 10.0
    Critical,
}

impl Band {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl Severity {
    /// Reads a vector of version 3.0, 3.1 or 4.0. The error is for whoever typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "a vector begins with CVSS:3.1/ or CVSS:4.0/";
        if text.len() > MOST {
            return Err(format!("no vector has more than {MOST} characters"));
        }
        let upper = text.trim().to_ascii_uppercase();
        let rest = upper.strip_prefix("CVSS:").ok_or(WANTED)?;
        let (version, metrics) = rest.split_once('/').ok_or(WANTED)?;
        let (names, base) = match version {
            "3.0" | "3.1" => (V3.as_slice(), V3_BASE),
            "4.0" => (V4.as_slice(), V4_BASE),
            other => return Err(format!("CVSS version {other} is not read here: 3.0, 3.1 and 4.0 are")),
        };
        let mut placed: Vec<(usize, String)> = Vec::new();
        for metric in metrics.split('/') {
            let (name, value) =
                metric.split_once(':').ok_or_else(|| format!("“{metric}” is no metric, such as AV:N"))?;
            let place = names.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| format!("CVSS {version} has no metric “{name}”"))?;
            if placed.iter().any(|(known, _)| *known == place) {
                return Err(format!("metric {name} is there twice"));
            }
            placed.push((place, format!("{name}:{}", as_written(name, value))));
        }
        if version == "4.0" && !placed.is_sorted_by_key(|(place, _)| *place) {
            return Err("the metrics of CVSS 4.0 have an order: AV, AC, AT, PR, UI, VC, VI, VA, SC, SI, SA, then others".to_owned());
        }
        placed.sort();
        let is_there = |place: usize| placed.iter().any(|(known, _)| *known == place);
        let missing: Vec<&str> = names
            .iter()
            .take(base)
            .enumerate()
            .filter(|(place, _)| !is_there(*place))
            .map(|(_, name)| *name)
            .collect();
        if !missing.is_empty() {
            return Err(format!("without {} there is no score", missing.join(", ")));
        }
        let metrics: Vec<String> = placed.into_iter().map(|(_, metric)| metric).collect();
        let severity = Self(format!("CVSS:{version}/{}", metrics.join("/")));
        severity.computed().map(|_| severity)
    }

    /// The vector.
    pub fn vector(&self) -> &str {
        &self.0
    }

    /// The score, 0.0 to 10.0, of all metrics that are given: the environmental one if there are any of those, else the temporal, else
    /// the base score. None of a vector that cannot be read any more.
    pub fn score(&self) -> Option<f64> {
        self.computed().ok()
    }

    /// What the score is called.
    pub fn band(&self) -> Band {
        match self.score().unwrap_or_default() {
            score if score >= 9.0 => Band::Critical,
            score if score >= 7.0 => Band::High,
            score if score >= 4.0 => Band::Medium,
            score if score > 0.0 => Band::Low,
            _ => Band::None,
        }
    }

    /// `3.1`
    pub fn version(&self) -> &str {
        self.0.strip_prefix("CVSS:").and_then(|rest| rest.split('/').next()).unwrap_or_default()
    }

    /// Metrics that stand at or behind this place say something.
    fn says(&self, names: &[&str], from: usize, to: usize) -> bool {
        let mut metrics = self.0.split('/').skip(1).filter_map(|metric| metric.split_once(':'));
        metrics.any(|(name, value)| {
            let place = names.iter().position(|known| *known == name);
            value != "X" && place.is_some_and(|place| (from..to).contains(&place))
        })
    }

    fn computed(&self) -> Result<f64, String> {
        let unreadable = |error: cvss_rs::ParseError| error.to_string();
        let score = match self.version() {
            "4.0" => CvssV4::from_str(&self.0).map_err(unreadable)?.calculated_full_score(),
            _ => {
                let cvss = CvssV3::from_str(&self.0).map_err(unreadable)?;
                if self.says(&V3, V3_TEMPORAL, V3.len()) {
                    cvss.calculated_environmental_score()
                } else if self.says(&V3, V3_BASE, V3_TEMPORAL) {
                    cvss.calculated_temporal_score()
                } else {
                    cvss.calculated_base_score()
                }
            }
        };
        score.ok_or_else(|| "there is no score for it".to_owned())
    }
}

/// One metric of 4.0 has values that are words.
fn as_written(name: &str, value: &str) -> String {
    match (name, value) {
        ("U", "CLEAR") => "Clear",
        ("U", "GREEN") => "Green",
        ("U", "AMBER") => "Amber",
        ("U", "RED") => "Red",
        (_, other) => other,
    }
    .to_owned()
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.score() {
            Some(score) => write!(f, "{score:.1} {} ({})", self.band().word(), self.0),
            None => f.write_str(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Vectors and scores as FIRST's documents of examples have them.
    #[test]
    fn vectors_and_their_scores() {
        for (vector, told) in [
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "6.1 medium"),
            ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", "6.4 medium"),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", "3.1 low"),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", "9.9 critical"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "7.5 high"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "9.8 critical"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "0.0 none"),
            ("CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "7.3 high"),
            ("CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "7.7 high"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "10.0 critical"),
        ] {
            let severity = Severity::parse(vector).unwrap();
            assert_eq!(severity.to_string(), format!("{told} ({vector})"));
            let typed = vector.to_lowercase();
            assert_eq!(Severity::parse(&typed).unwrap().vector(), vector, "however it is typed");
        }
    }

    #[test]
    fn what_is_wrong_with_a_vector() {
        let base = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        for (vector, why) in [
            ("high".to_owned(), "begins with"),
            (base.to_owned(), "begins with"),
            ("CVSS:2.0/AV:N".to_owned(), "version 2.0"),
            (format!("CVSS:3.1/{base}/AV:L"), "AV is there twice"),
            (format!("CVSS:3.1/{base}/XX:L"), "no metric “XX”"),
            (format!("CVSS:3.1/{base}/"), "“” is no metric"),
            (format!("CVSS:3.1/{base}/E:Q"), "Q"),
            ("CVSS:3.1/AV:N/AC:L".to_owned(), "without PR, UI, S, C, I, A"),
            ("CVSS:4.0/AC:L/AV:N/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N".to_owned(), "have an order"),
            (format!("CVSS:3.1/{base}{}", "/E:X".repeat(1000)), "more than"),
        ] {
            let error = Severity::parse(&vector).unwrap_err();
            assert!(error.contains(why), "{vector}: {error}");
        }
    }

    #[test]
    fn what_nobody_can_read_any_more_breaks_nothing() {
        let severity: Severity = serde_json::from_str("\"CVSS:9.9/Z:Z\"").unwrap();
        assert_eq!((severity.score(), severity.to_string().as_str()), (None, "CVSS:9.9/Z:Z"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = Severity::parse(&text);
            let _ = Severity::parse(&format!("CVSS:3.1/{text}"));
        }

        #[test]
        fn metrics_in_another_order_are_the_same_vector(mut metrics in Just(vec!["AV:N", "AC:L", "PR:N", "UI:R", "S:C", "C:L", "I:L", "A:N", "E:P", "CR:H"]).prop_shuffle()) {
            let shuffled = Severity::parse(&format!("CVSS:3.1/{}", metrics.join("/"))).unwrap();
            metrics.sort_by_key(|metric| V3.iter().position(|name| metric.starts_with(&format!("{name}:"))));
            prop_assert_eq!(shuffled.vector(), format!("CVSS:3.1/{}", metrics.join("/")));
            prop_assert_eq!(&Severity::parse(shuffled.vector()).unwrap(), &shuffled);
        }
    }
}
