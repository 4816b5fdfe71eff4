//! How bad a vulnerability is: a CVSS vector, and the score that follows from it (P-11).
//!
//! # Invariants
//! * The vector is the truth and is kept; the score is computed from it each time, and never kept beside it.
//! * Whoever types a vector hears in one line what is wrong with it. What is in the journal is history: a vector that nobody can read any
//!   more has no score, and breaks nothing.
//!
//! # Standards
//! FIRST's specifications of CVSS 3.0, 3.1 and 4.0. The arithmetic is the crate cvss-rs'. Of the grammar it lets through what the
//! specifications forbid (a metric twice, those of 4.0 in any order, `AV:X` in 3.1, `SC:S` in 4.0), which is looked for here.

use std::fmt;
use std::str::FromStr;

use cvss_rs::v3::CvssV3;
use cvss_rs::v4_0::CvssV4;
use serde::{Deserialize, Serialize};

/// A longer text is no vector. Bytes.
const MOST: usize = 1000;
/// The metrics of 3.0 and 3.1 and their values, in the order in which they are written; the first so many are mandatory.
const V3: [(&str, &str); 22] = [
    ("AV", "N A L P"),
    ("AC", "L H"),
    ("PR", "N L H"),
    ("UI", "N R"),
    ("S", "U C"),
    ("C", "H L N"),
    ("I", "H L N"),
    ("A", "H L N"),
    ("E", "X H F P U"),
    ("RL", "X U W T O"),
    ("RC", "X C R U"),
    ("CR", "X H M L"),
    ("IR", "X H M L"),
    ("AR", "X H M L"),
    ("MAV", "X N A L P"),
    ("MAC", "X L H"),
    ("MPR", "X N L H"),
    ("MUI", "X N R"),
    ("MS", "X U C"),
    ("MC", "X H L N"),
    ("MI", "X H L N"),
    ("MA", "X H L N"),
];
const V3_BASE: usize = 8;
const V3_TEMPORAL: usize = 11;
/// The same of 4.0. Those behind the environmental ones do not count.
const V4: [(&str, &str); 32] = [
    ("AV", "N A L P"),
    ("AC", "L H"),
    ("AT", "N P"),
    ("PR", "N L H"),
    ("UI", "N P A"),
    ("VC", "H L N"),
    ("VI", "H L N"),
    ("VA", "H L N"),
    ("SC", "H L N"),
    ("SI", "H L N"),
    ("SA", "H L N"),
    ("E", "X A P U"),
    ("CR", "X H M L"),
    ("IR", "X H M L"),
    ("AR", "X H M L"),
    ("MAV", "X N A L P"),
    ("MAC", "X L H"),
    ("MAT", "X N P"),
    ("MPR", "X N L H"),
    ("MUI", "X N P A"),
    ("MVC", "X H L N"),
    ("MVI", "X H L N"),
    ("MVA", "X H L N"),
    ("MSC", "X H L N"),
    ("MSI", "X S H L N"),
    ("MSA", "X S H L N"),
    ("S", "X N P"),
    ("AU", "X N Y"),
    ("R", "X A U I"),
    ("V", "X D C"),
    ("RE", "X L M H"),
    ("U", "X Clear Green Amber Red"),
];
const V4_BASE: usize = 11;
const V4_THREAT: usize = 12;
const V4_ENVIRONMENTAL: usize = 26;

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
    fn of(score: f64) -> Self {
        match score {
            score if score >= 9.0 => Self::Critical,
            score if score >= 7.0 => Self::High,
            score if score >= 4.0 => Self::Medium,
            score if score > 0.0 => Self::Low,
            _ => Self::None,
        }
    }

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
        // errors repeat what was typed: nothing of it may break the line or hide
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a vector has letters, digits, “:”, “.” and “/”, and nothing else".to_owned());
        }
        let (version, metrics) = rest.split_once('/').ok_or(WANTED)?;
        let (known, base) = match version {
            "3.0" | "3.1" => (V3.as_slice(), V3_BASE),
            "4.0" => (V4.as_slice(), V4_BASE),
            other => return Err(format!("CVSS version {other} is not read here: 3.0, 3.1 and 4.0 are")),
        };
        let mut placed: Vec<(usize, String)> = Vec::new();
        for metric in metrics.split('/') {
            let (name, value) =
                metric.split_once(':').ok_or_else(|| format!("“{metric}” is no metric, such as AV:N"))?;
            let (place, (name, values)) = known
                .iter()
                .enumerate()
                .find(|(_, (known, _))| *known == name)
                .ok_or_else(|| format!("CVSS {version} has no metric “{name}”"))?;
            if placed.iter().any(|(taken, _)| *taken == place) {
                return Err(format!("metric {name} is there twice"));
            }
            let value =
                values.split(' ').find(|known| known.eq_ignore_ascii_case(value)).ok_or_else(|| {
                    format!("{name} of CVSS {version} is one of {}, not “{value}”", values.replace(' ', ", "))
                })?;
            placed.push((place, format!("{name}:{value}")));
        }
        if version == "4.0" && !placed.is_sorted_by_key(|(place, _)| *place) {
            return Err("the metrics of CVSS 4.0 have an order: AV, AC, AT, PR, UI, VC, VI, VA, SC, SI, SA, then others".to_owned());
        }
        placed.sort();
        let is_there = |place: usize| placed.iter().any(|(taken, _)| *taken == place);
        let missing: Vec<&str> = known
            .iter()
            .take(base)
            .enumerate()
            .filter(|(place, _)| !is_there(*place))
            .map(|(_, (name, _))| *name)
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

    /// What the score is called. Without a score there is no name: nobody knows that it is harmless.
    pub fn band(&self) -> Option<Band> {
        self.score().map(Band::of)
    }

    /// `3.1`
    pub fn version(&self) -> &str {
        self.0.strip_prefix("CVSS:").and_then(|rest| rest.split('/').next()).unwrap_or_default()
    }

    /// Which metrics a score of 4.0 counts: `CVSS-B`, `CVSS-BT`, `CVSS-BE` or `CVSS-BTE`. The specification wants it named wherever
    /// such a score is told; the other versions have no names for it.
    pub fn nomenclature(&self) -> Option<&'static str> {
        if self.version() != "4.0" || self.score().is_none() {
            return None;
        }
        let threat = self.says(&V4, V4_BASE, V4_THREAT);
        let environmental = self.says(&V4, V4_THREAT, V4_ENVIRONMENTAL);
        Some(match (threat, environmental) {
            (false, false) => "CVSS-B",
            (true, false) => "CVSS-BT",
            (false, true) => "CVSS-BE",
            (true, true) => "CVSS-BTE",
        })
    }

    /// A metric that stands from one place to before the other says something.
    fn says(&self, known: &[(&str, &str)], from: usize, to: usize) -> bool {
        let mut metrics = self.0.split('/').skip(1).filter_map(|metric| metric.split_once(':'));
        metrics.any(|(name, value)| {
            let place = known.iter().position(|(known, _)| *known == name);
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

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.score() {
            Some(score) => write!(f, "{score:.1} {} ({})", Band::of(score).word(), self.0),
            None => f.write_str(&self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Vectors and scores as FIRST's documents of examples have them; those with further metrics as Red Hat's `cvss` computes them.
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
            // the versions differ in nothing but this: 3.1 counts a changed impact otherwise
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H/MPR:L", "9.0 critical"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H/MPR:L", "9.1 critical"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H/E:P/RL:O/RC:R", "8.3 high"),
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
            (format!("CVSS:3.1/{base}/E:Q"), "E of CVSS 3.1 is one of X, H, F, P, U, not “Q”"),
            (format!("CVSS:3.1/{base}/E:U:U"), "not “U:U”"),
            (format!("CVSS:3.1/{base} and more"), "nothing else"),
            (format!("CVSS:3.1/{base}\n/E:U"), "nothing else"),
            ("AV:N/AC:L/Au:N/C:P/I:P/A:P".to_owned(), "begins with"),
            ("CVSS:3.1/AV:N/AC:L".to_owned(), "without PR, UI, S, C, I, A"),
            ("CVSS:4.0/AC:L/AV:N/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N".to_owned(), "have an order"),
            (format!("CVSS:3.1/{base}{}", "/E:X".repeat(1000)), "more than"),
        ] {
            let error = Severity::parse(&vector).unwrap_err();
            assert!(error.contains(why), "{vector}: {error}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    /// The crate lets these through, and computes some score.
    #[test]
    fn values_that_only_other_metrics_have() {
        for (base, metric) in [
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:X"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "C:X"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "SC:S"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "SA:S"),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/MSC:H", "MSC:S"),
        ] {
            let (name, _) = metric.split_once(':').unwrap();
            let vector = base.replace(&format!("/{name}:N"), &format!("/{metric}"));
            let vector = vector.replace(&format!("/{name}:H"), &format!("/{metric}"));
            assert!(vector.contains(metric));
            assert!(Severity(vector.clone()).score().is_some(), "no longer so: {vector}");
            let error = Severity::parse(&vector).unwrap_err();
            assert!(error.contains(&format!("{name} of CVSS")), "{vector}: {error}");
        }
    }

    #[test]
    fn scores_of_4_0_have_a_name() {
        let base = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H";
        for (more, name) in [
            ("", "CVSS-B"),
            ("/E:X/CR:X", "CVSS-B"),
            ("/S:P/U:Red", "CVSS-B"),
            ("/E:P", "CVSS-BT"),
            ("/MSA:S", "CVSS-BE"),
            ("/E:P/CR:L/S:P", "CVSS-BTE"),
        ] {
            assert_eq!(
                Severity::parse(&format!("{base}{more}")).unwrap().nomenclature(),
                Some(name),
                "{more}"
            );
        }
        let older = Severity::parse("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H").unwrap();
        assert_eq!((older.nomenclature(), older.version()), (None, "3.1"));
    }

    #[test]
    fn what_nobody_can_read_any_more_breaks_nothing() {
        let severity: Severity = serde_json::from_str("\"CVSS:9.9/Z:Z\"").unwrap();
        assert_eq!((severity.score(), severity.band(), severity.nomenclature()), (None, None, None));
        assert_eq!(severity.to_string(), "CVSS:9.9/Z:Z");
        assert_eq!(serde_json::to_string(&severity).unwrap(), "\"CVSS:9.9/Z:Z\"");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), near in "CVSS:[34]\\.[01]/[A-Z:/\n]{0,60}") {
            for text in [&text, &near, &format!("CVSS:3.1/{text}")] {
                if let Err(why) = Severity::parse(text) {
                    prop_assert!(!why.contains(char::is_control) && why.len() <= 2 * MOST, "{:?}", why);
                }
            }
        }

        /// Any values of any metrics, in whatever case they are typed.
        #[test]
        fn scores_lie_between_0_and_10(
            version in prop::sample::select(vec!["3.0", "3.1", "4.0"]),
            chances in prop::collection::vec(any::<(bool, prop::sample::Index)>(), 32),
        ) {
            let (known, base) = if version == "4.0" { (V4.as_slice(), V4_BASE) } else { (V3.as_slice(), V3_BASE) };
            let mut vector = format!("CVSS:{version}");
            for (place, ((name, values), (given, chance))) in known.iter().zip(chances).enumerate() {
                let values: Vec<&str> = values.split(' ').collect();
                if given || place < base {
                    vector += &format!("/{name}:{}", chance.get(&values));
                }
            }
            let severity = Severity::parse(&vector.to_lowercase()).unwrap();
            prop_assert_eq!(severity.vector(), &vector);
            let score = severity.score().unwrap();
            prop_assert!((0.0..=10.0).contains(&score));
            prop_assert_eq!(format!("{score:.1}").parse::<f64>().unwrap(), score, "one decimal");
        }

        #[test]
        fn metrics_in_another_order_are_the_same_vector(mut metrics in Just(vec!["AV:N", "AC:L", "PR:N", "UI:R", "S:C", "C:L", "I:L", "A:N", "E:P", "CR:H"]).prop_shuffle()) {
            let shuffled = Severity::parse(&format!("CVSS:3.1/{}", metrics.join("/"))).unwrap();
            metrics.sort_by_key(|metric| V3.iter().position(|(name, _)| metric.starts_with(&format!("{name}:"))));
            prop_assert_eq!(shuffled.vector(), format!("CVSS:3.1/{}", metrics.join("/")));
            prop_assert_eq!(&Severity::parse(shuffled.vector()).unwrap(), &shuffled);
        }
    }
}
