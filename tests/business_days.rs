//! Business days in nasty time zones, against a table and against another library.
//!
//! No row of the table was made by psirtd: they come from numpy's business days and Python's time zones
//! (`tests/business_days.py`), and a sample of each zone was read against a calendar by hand.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use psirtd::domain::calendar::{Calendar, Term};

const TABLE: &str = include_str!("business_days.tsv");

/// The federal holidays, on the days on which they are observed.
const US: &str = "2026-01-01,2026-01-19,2026-02-16,2026-05-25,2026-06-19,2026-07-03,2026-09-07,2026-10-12,2026-11-11,\
                  2026-11-26,2026-12-25,2027-01-01,2027-01-18,2027-02-15,2027-05-31,2027-06-18,2027-07-05,2027-09-06,\
                  2027-10-11,2027-11-11,2027-11-25,2027-12-24,2027-12-31";
const BAVARIA: &str = "2026-01-01,2026-01-06,2026-04-03,2026-04-06,2026-05-01,2026-05-14,2026-05-25,2026-06-04,2026-08-15,\
                       2026-10-03,2026-11-01,2026-12-25,2026-12-26,2027-01-01,2027-01-06,2027-03-26,2027-03-29,2027-05-01,\
                       2027-05-06,2027-05-17,2027-05-27,2027-08-15,2027-10-03,2027-11-01,2027-12-25,2027-12-26";
/// With the days in lieu, and the Tuesday between two holidays of September 2026.
const JAPAN: &str = "2026-01-01,2026-01-12,2026-02-11,2026-02-23,2026-03-20,2026-04-29,2026-05-03,2026-05-04,2026-05-05,\
                     2026-05-06,2026-07-20,2026-08-11,2026-09-21,2026-09-22,2026-09-23,2026-10-12,2026-11-03,2026-11-23,\
                     2027-01-01,2027-01-11,2027-02-11,2027-02-23,2027-03-21,2027-03-22,2027-04-29,2027-05-03,2027-05-04,\
                     2027-05-05,2027-07-19,2027-08-11,2027-09-20,2027-09-23,2027-10-11,2027-11-03,2027-11-23";

fn calendar(zone: &str, holidays: &str) -> Calendar {
    let days = holidays.split(',').filter(|day| !day.is_empty());
    Calendar { zone: TimeZone::get(zone).unwrap(), holidays: days.map(|day| day.parse().unwrap()).collect() }
}

#[test]
fn due_in_every_row_of_the_table() {
    let mut wrong = String::new();
    let rows: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() >= 200, "{}", rows.len());
    for row in rows {
        let [zone, holidays, received, term, local, due] =
            row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let holidays = match holidays {
            "us" => US,
            "bavaria" => BAVARIA,
            "japan" => JAPAN,
            other => panic!("no holidays of {other}"),
        };
        let calendar = calendar(zone, holidays);
        let at = calendar.due(received.parse().unwrap(), term.parse().unwrap());
        let here = at.to_zoned(calendar.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        if at.to_string() != due || here != local {
            writeln!(wrong, "{row}\n    but {here} {at}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Zones that put the clock back and forward at midnight, by half an hour, or are 45 minutes off.
const ZONES: [&str; 12] = [
    "Africa/Cairo",
    "America/Havana",
    "America/Los_Angeles",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Chatham",
];
const CASES: usize = 20_000;

/// Needs a `python3` with numpy: `cargo test --test psirtd another_library -- --nocapture` says whether it ran.
#[test]
fn another_library_agrees() {
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    if !python(&["-c", "import numpy, zoneinfo"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no python3 with numpy here");
        return;
    }
    let mut state = 0x2026_1128_u64;
    let mut below = |limit: u64| {
        // Knuth's MMIX generator: the same cases every time
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let (mut asked, mut ours) = (String::new(), Vec::new());
    for _ in 0..CASES {
        let zone = ZONES[below(ZONES.len() as u64) as usize];
        let holidays = ["", US, BAVARIA, JAPAN][below(4) as usize];
        // half of them in the years of the holidays, half in 2007 to 2036
        let second = if below(2) == 0 {
            1_767_225_600 + below(63_072_000)
        } else {
            1_167_609_600 + below(946_684_800)
        };
        let number = 1 + below(30) as u32;
        let (term, unit) = match below(6) {
            0 => (Term::Hours(number), "hours"),
            1 => (Term::Days(number), "days"),
            _ => (Term::BusinessDays(number), "business days"),
        };
        writeln!(asked, "{zone}\t{holidays}\t{second}\t{number}\t{unit}").unwrap();
        let at = Timestamp::from_second(second as i64).unwrap();
        ours.push(calendar(zone, holidays).due(at, term).as_second());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/business_days.py");
    let mut child = python(&[script.to_str().unwrap()]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let questions = asked.clone();
    let asking = std::thread::spawn(move || stdin.write_all(questions.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    asking.join().unwrap();
    assert!(output.status.success());
    let theirs: Vec<i64> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(theirs.len(), CASES);
    let wrong: Vec<String> = asked
        .lines()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(case, (ours, theirs))| format!("{case}: {ours}, but {theirs} there"))
        .collect();
    eprintln!("{CASES} cases, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}
