//! Scores held against another implementation: Red Hat's `cvss` for Python, on vectors drawn at random.
//!
//! Where that package is not there, this says so and does nothing else (`pip install cvss`). The seed is fixed, so that a run can be
//! repeated; `PSIRTD_CVSS_SEED` lets chance fall differently.

use std::io::Write;
use std::process::{Command, Stdio};

use psirtd::domain::severity::Severity;

/// Of each version.
const VECTORS: usize = 5000;

/// One line a vector, its overall score, as the specification of its version calls it.
const PYTHON: &str = r#"
import sys
from cvss import CVSS3, CVSS4
for line in sys.stdin:
    vector = line.strip()
    if vector.startswith("CVSS:4"):
        print(CVSS4(vector).base_score)
    else:
        base, temporal, environmental = CVSS3(vector).scores()
        names = {metric.split(":")[0] for metric in vector.split("/")[1:] if not metric.endswith(":X")}
        if names & {"CR", "IR", "AR", "MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA"}:
            print(environmental)
        elif names & {"E", "RL", "RC"}:
            print(temporal)
        else:
            print(base)
"#;

/// Metrics and their values; the first so many are always there.
const V3: &str = "AV:NALP AC:LH PR:NLH UI:NR S:UC C:NLH I:NLH A:NLH E:XUPFH RL:XOTWU RC:XURC CR:XLMH IR:XLMH AR:XLMH MAV:XNALP \
                  MAC:XLH MPR:XNLH MUI:XNR MS:XUC MC:XNLH MI:XNLH MA:XNLH";
const V4: &str = "AV:NALP AC:LH AT:NP PR:NLH UI:NPA VC:HLN VI:HLN VA:HLN SC:HLN SI:HLN SA:HLN E:XAPU CR:XHML IR:XHML AR:XHML \
                  MAV:XNALP MAC:XLH MAT:XNP MPR:XNLH MUI:XNPA MVC:XHLN MVI:XHLN MVA:XHLN MSC:XHLN MSI:XSHLN MSA:XSHLN S:XNP \
                  AU:XNY R:XAUI V:XDC RE:XLMH U:XCGAR";

/// A small generator of its own, so that nothing but the seed decides (Numerical Recipes' constants).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % most
    }
}

fn vector(version: &str, metrics: &str, base: usize, chance: &mut Chance) -> String {
    // a third with base metrics only, a third with threat or temporal ones, a third with everything
    let end = [base, base + if version == "4.0" { 1 } else { 3 }, usize::MAX][chance.below(3)];
    let mut vector = format!("CVSS:{version}");
    for (place, metric) in metrics.split_whitespace().enumerate().take(end) {
        let (name, values) = metric.split_once(':').unwrap();
        if place >= base && chance.below(2) == 0 {
            continue;
        }
        let value = &values[chance.below(values.len())..][..1];
        let value = match (name, value) {
            ("U", "C") => "Clear",
            ("U", "G") => "Green",
            ("U", "A") => "Amber",
            ("U", "R") => "Red",
            _ => value,
        };
        vector += &format!("/{name}:{value}");
    }
    vector
}

fn has_the_package() -> bool {
    let asked = Command::new("python3").args(["-c", "import cvss"]).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

#[test]
fn scores_are_those_of_another_implementation() {
    if !has_the_package() {
        eprintln!("skipped: python3 has no package cvss (pip install cvss)");
        return;
    }
    let seed =
        std::env::var("PSIRTD_CVSS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_128);
    let mut chance = Chance(seed);
    let mut vectors = Vec::new();
    for (version, metrics, base) in [("3.0", V3, 8), ("3.1", V3, 8), ("4.0", V4, 11)] {
        vectors.extend((0..VECTORS).map(|_| vector(version, metrics, base, &mut chance)));
    }
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let mut asks = python.stdin.take().unwrap();
    let lines = vectors.join("\n") + "\n";
    let asking = std::thread::spawn(move || asks.write_all(lines.as_bytes()));
    let answered = python.wait_with_output().unwrap();
    asking.join().unwrap().unwrap();
    let answered = String::from_utf8(answered.stdout).unwrap();
    let theirs: Vec<&str> = answered.lines().collect();
    assert_eq!(theirs.len(), vectors.len());
    let differs = |(vector, theirs): (&String, &&str)| {
        let ours = Severity::parse(vector).unwrap_or_else(|why| panic!("{vector}: {why}"));
        let ours = format!("{:.1}", ours.score().unwrap());
        (ours != *theirs).then(|| format!("{vector}: {ours}, theirs {theirs}"))
    };
    let different: Vec<String> = vectors.iter().zip(&theirs).filter_map(differs).collect();
    eprintln!("{} vectors, seed {seed}, {} differ", vectors.len(), different.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
}
