//! Business days in a time zone, with holidays.
//!
//! # What it is for
//! The written process counts in business days (P-3, P-9, P-14). A business day is Monday to Friday in the desk's time zone
//! and not a holiday of the configuration. The day on which something happens is not counted; what is due "within 3
//! business days" is due at the end of the third.
//!
//! # Invariants
//! Civil dates and instants are different types; daylight saving is crossed in civil time only.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// No calendar counts further than this many days ahead.
const HORIZON: u32 = 3660;

/// The desk's business days.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    /// The desk's time zone.
    pub zone: TimeZone,
    /// Days that are no business days.
    pub holidays: BTreeSet<Date>,
}

impl Calendar {
    /// Monday to Friday, and no holiday.
    pub fn is_business_day(&self, date: Date) -> bool {
        !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&date)
    }

    /// The civil date of an instant at the desk.
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    /// An instant as a letter tells it.
    pub fn moment(&self, at: Timestamp) -> Moment {
        let here = at.to_zoned(self.zone.clone());
        Moment {
            weekday: here.weekday().to_monday_one_offset(),
            day: here.day(),
            month: here.month(),
            year: here.year(),
            time: here.strftime("%H:%M").to_string(),
            zone: here.strftime("%Z").to_string(),
            utc: at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        }
    }

    /// An instant on one line, for the team: "Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)".
    pub fn line(&self, at: Timestamp) -> String {
        let here = at.to_zoned(self.zone.clone()).strftime("%a, %d %b %Y %H:%M %Z").to_string();
        if here.ends_with("UTC") {
            return here;
        }
        format!("{here} ({})", at.strftime("%Y-%m-%d %H:%M UTC"))
    }

    /// When what has to happen within `term` from `start` is due.
    pub fn due(&self, start: Timestamp, term: Term) -> Timestamp {
        match term {
            Term::Hours(hours) => {
                start.saturating_add(SignedDuration::from_hours(hours.into())).unwrap_or(Timestamp::MAX)
            }
            Term::Days(days) => self.end_of(self.count(self.date(start), days, |_| true)),
            Term::BusinessDays(days) => {
                self.end_of(self.count(self.date(start), days, |date| self.is_business_day(date)))
            }
        }
    }

    /// The `days`th day after `from` that counts.
    fn count(&self, from: Date, days: u32, counts: impl Fn(Date) -> bool) -> Date {
        let mut date = from;
        let mut left = days;
        for _ in 0..HORIZON {
            if left == 0 {
                break;
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
            if counts(date) {
                left = left.saturating_sub(1);
            }
        }
        date
    }

    /// The instant at which `percent` of the business time between `start` and `due` is over: `start` for 0, `due` for 100
    /// and more. Business time is the time of business days, from midnight to midnight at the desk. Where there is none, or
    /// more days than any calendar counts, it is all the time there is.
    pub fn point(&self, start: Timestamp, due: Timestamp, percent: u8) -> Timestamp {
        if percent == 0 && start < due {
            return start;
        }
        if percent >= 100 || start >= due {
            return due;
        }
        let spans = self.business_time(start, due);
        // the share is over at the first nanosecond that makes it whole
        let share = length(&spans).saturating_mul(percent.into());
        let mut left = share.saturating_add(99).checked_div(100).unwrap_or(0);
        for (from, to) in spans {
            let long = nanoseconds(from, to);
            if left <= long {
                let more = SignedDuration::from_nanos_i128(left);
                return from.saturating_add(more).map_or(to, |at| at.min(to));
            }
            left = left.saturating_sub(long);
        }
        due
    }

    /// How much of the business time between `start` and `due` is over at `now`, of a hundred, rounded down. The counterpart
    /// of [`Calendar::point`].
    pub fn elapsed_percent(&self, start: Timestamp, due: Timestamp, now: Timestamp) -> u8 {
        if now >= due {
            return 100;
        }
        if now <= start {
            return 0;
        }
        let spans = self.business_time(start, due);
        let all = length(&spans);
        let over = spans
            .iter()
            .fold(0_i128, |sum, (from, to)| sum.saturating_add(nanoseconds(*from, now.clamp(*from, *to))));
        let percent = over.saturating_mul(100).checked_div(all).unwrap_or(100);
        u8::try_from(percent.clamp(0, 100)).unwrap_or(100)
    }

    /// The business days between two instants, each from when to when; all the time between them when there is none.
    fn business_time(&self, start: Timestamp, due: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut spans = Vec::new();
        let whole = i64::from(HORIZON).saturating_mul(24);
        if due.duration_since(start).as_hours() < whole {
            let last = self.date(due);
            let days = std::iter::successors(Some(self.date(start)), |date| date.tomorrow().ok());
            for date in days.take_while(|date| *date <= last).filter(|date| self.is_business_day(*date)) {
                let from = self.start_of(date).max(start);
                let to = date.tomorrow().map_or(Timestamp::MAX, |next| self.start_of(next)).min(due);
                if from < to {
                    spans.push((from, to));
                }
            }
        }
        if spans.is_empty() {
            spans.push((start, due));
        }
        spans
    }

    /// The first instant of a day at the desk. Where the clock is put forward at midnight, that is not midnight.
    fn start_of(&self, date: Date) -> Timestamp {
        date.to_zoned(self.zone.clone()).map_or(Timestamp::MAX, |at| at.timestamp())
    }

    /// The first instant of a day at the desk.
    pub fn begin_of(&self, date: Date) -> Timestamp {
        date.to_zoned(self.zone.clone()).map_or(Timestamp::MAX, |at| at.timestamp())
    }

    /// The last second of a day at the desk. It is found from the next day: where the clock is put back at midnight, 23:59:59
    /// comes twice.
    fn end_of(&self, date: Date) -> Timestamp {
        let next = date.tomorrow().map_or(Timestamp::MAX, |next| self.start_of(next));
        next.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(next)
    }
}

/// How long it is from one instant to another.
fn nanoseconds(from: Timestamp, to: Timestamp) -> i128 {
    to.duration_since(from).as_nanos()
}

/// How long some spans are together.
fn length(spans: &[(Timestamp, Timestamp)]) -> i128 {
    spans.iter().fold(0, |sum, (from, to)| sum.saturating_add(nanoseconds(*from, *to)))
}

/// An instant in the desk's time zone and in UTC, in parts: the words are the template's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// 1 is Monday.
    pub weekday: i8,
    /// Of the month.
    pub day: i8,
    /// 1 is January.
    pub month: i8,
    /// With four digits.
    pub year: i16,
    /// `23:59`
    pub time: String,
    /// `PST`
    pub zone: String,
    /// `2026-11-26 07:59 UTC`
    pub utc: String,
}

/// A promised time, as the configuration writes it: `3 business days`, `14 days`, `24 hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Days that count in the [`Calendar`].
    BusinessDays(u32),
    /// Calendar days.
    Days(u32),
    /// Hours by the clock.
    Hours(u32),
}

impl Term {
    /// How many, of what: "business days", "days" or "hours".
    pub fn parts(self) -> (u32, &'static str) {
        match self {
            Self::BusinessDays(number) => (number, "business days"),
            Self::Days(number) => (number, "days"),
            Self::Hours(number) => (number, "hours"),
        }
    }
}

impl FromStr for Term {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let expected = || format!("“{text}” is no term: write “3 business days”, “14 days” or “24 hours”");
        let (number, unit) = words.split_first().ok_or_else(expected)?;
        let number: u32 = number.parse().map_err(|_| expected())?;
        if number == 0 || number > 1000 {
            return Err(format!("“{text}”: between 1 and 1000, please"));
        }
        match unit {
            ["business", "day" | "days"] => Ok(Self::BusinessDays(number)),
            ["day" | "days"] => Ok(Self::Days(number)),
            ["hour" | "hours"] => Ok(Self::Hours(number)),
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self {
            Self::BusinessDays(number) => (number, "business day"),
            Self::Days(number) => (number, "day"),
            Self::Hours(number) => (number, "hour"),
        };
        write!(f, "{number} {unit}{}", if *number == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calendar(zone: &str, holidays: &[&str]) -> Calendar {
        Calendar {
            zone: TimeZone::get(zone).unwrap(),
            holidays: holidays.iter().map(|day| day.parse().unwrap()).collect(),
        }
    }

    /// (zone, holidays, received, term, due in civil time at the desk)
    #[test]
    fn due_dates() {
        let table: &[(&str, &[&str], &str, &str, &str)] = &[
            // Friday afternoon: Monday, Tuesday, Wednesday
            ("America/Los_Angeles", &[], "2026-11-20T23:00:00Z", "3 business days", "2026-11-25T23:59:59"),
            // Thanksgiving in between
            (
                "America/Los_Angeles",
                &["2026-11-26"],
                "2026-11-24T18:00:00Z",
                "3 business days",
                "2026-11-30T23:59:59",
            ),
            // already Saturday in Tokyo, still Friday in Los Angeles
            ("Asia/Tokyo", &[], "2026-11-20T23:00:00Z", "1 business day", "2026-11-23T23:59:59"),
            ("America/Los_Angeles", &[], "2026-11-20T23:00:00Z", "1 business day", "2026-11-23T23:59:59"),
            // a Sunday, across the change to summer time
            ("Europe/Berlin", &[], "2026-03-28T22:30:00Z", "1 business day", "2026-03-30T23:59:59"),
            // 23:59 on the eve of a holiday and of the new year
            ("UTC", &["2027-01-01"], "2026-12-31T23:59:00Z", "1 business day", "2027-01-04T23:59:59"),
            ("UTC", &[], "2026-11-20T12:00:00Z", "14 days", "2026-12-04T23:59:59"),
        ];
        for (zone, holidays, received, term, due) in table {
            let calendar = calendar(zone, holidays);
            let at = calendar.due(received.parse().unwrap(), term.parse().unwrap());
            assert_eq!(
                at.to_zoned(calendar.zone.clone()).datetime().to_string(),
                *due,
                "{received} + {term} in {zone}"
            );
        }
    }

    /// Cairo puts its clock back at midnight (Thursday, 29 October 2026, has two 23:59:59) and forward at midnight (Friday,
    /// 24 April 2026, begins at 01:00).
    #[test]
    fn a_day_ends_with_its_last_second() {
        let cairo = calendar("Africa/Cairo", &[]);
        for (received, due) in [
            ("2026-10-28T10:00:00Z", "2026-10-29T21:59:59Z"),
            ("2026-10-29T10:00:00Z", "2026-10-30T21:59:59Z"),
            ("2026-04-22T10:00:00Z", "2026-04-23T21:59:59Z"),
            ("2026-04-23T10:00:00Z", "2026-04-24T20:59:59Z"),
        ] {
            let at = cairo.due(received.parse().unwrap(), Term::BusinessDays(1));
            assert_eq!(at.to_string(), due, "{received}");
        }
    }

    /// (zone, holidays, start, due, percent, point)
    #[test]
    fn shares_of_business_time() {
        type Row<'t> = (&'t str, &'t [&'t str], &'t str, &'t str, u8, &'t str);
        let table: &[Row<'_>] = &[
            // two whole business days on either side of a weekend: the half is over when the weekend begins
            ("UTC", &[], "2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", 50, "2026-11-21T00:00:00Z"),
            ("UTC", &[], "2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", 75, "2026-11-24T00:00:00Z"),
            // ... with the Tuesday off, three days are left
            (
                "UTC",
                &["2026-11-24"],
                "2026-11-19T00:00:00Z",
                "2026-11-25T00:00:00Z",
                50,
                "2026-11-20T12:00:00Z",
            ),
            // from a Saturday, nothing is over before Monday
            ("UTC", &[], "2026-11-21T12:00:00Z", "2026-11-25T00:00:00Z", 50, "2026-11-24T00:00:00Z"),
            ("UTC", &[], "2026-11-21T12:00:00Z", "2026-11-25T00:00:00Z", 0, "2026-11-21T12:00:00Z"),
            // a weekend alone is counted by the clock
            ("UTC", &[], "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z", 25, "2026-11-21T12:00:00Z"),
            // due on a Sunday: the last business day is Friday, and all is over at the end
            ("UTC", &[], "2026-11-20T00:00:00Z", "2026-11-22T12:00:00Z", 99, "2026-11-20T23:45:36Z"),
            ("UTC", &[], "2026-11-20T00:00:00Z", "2026-11-22T12:00:00Z", 100, "2026-11-22T12:00:00Z"),
            // Friday, 24 April 2026, has 23 hours in Cairo, Thursday, 29 October, 25
            ("Africa/Cairo", &[], "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z", 50, "2026-04-24T09:30:00Z"),
            ("Africa/Cairo", &[], "2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z", 50, "2026-10-29T09:30:00Z"),
            // the weekend of the change is not counted, however long it is
            (
                "Europe/Berlin",
                &[],
                "2026-03-27T11:00:00Z",
                "2026-03-30T10:00:00Z",
                50,
                "2026-03-27T23:00:00Z",
            ),
            // more days than any calendar counts
            ("UTC", &[], "2000-01-01T00:00:00Z", "2020-01-01T00:00:00Z", 50, "2009-12-31T12:00:00Z"),
            // nothing between them, or less
            ("UTC", &[], "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z", 50, "2026-11-20T00:00:00Z"),
            ("UTC", &[], "2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", 0, "2026-11-19T00:00:00Z"),
        ];
        for (zone, holidays, start, due, percent, point) in table {
            let calendar = calendar(zone, holidays);
            let at = calendar.point(start.parse().unwrap(), due.parse().unwrap(), *percent);
            assert_eq!(at.to_string(), *point, "{percent} % of {start} to {due} in {zone}");
        }
    }

    /// (start, due, now, percent)
    #[test]
    fn what_is_over() {
        let calendar = calendar("UTC", &["2026-11-24"]);
        for (start, due, now, percent) in [
            ("2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", "2026-11-18T00:00:00Z", 0),
            ("2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", "2026-11-19T23:59:59Z", 33),
            ("2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", "2026-11-21T00:00:00Z", 66),
            ("2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", "2026-11-22T18:00:00Z", 66),
            ("2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", "2026-11-24T00:00:00Z", 100),
            ("2026-11-19T00:00:00Z", "2026-11-25T00:00:00Z", "2027-11-24T00:00:00Z", 100),
            ("2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-21T12:00:00Z", 25),
            ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z", 100),
            ("2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", 0),
        ] {
            let at = |text: &str| text.parse().unwrap();
            assert_eq!(calendar.elapsed_percent(at(start), at(due), at(now)), percent, "{start} {due} {now}");
        }
    }

    #[test]
    fn shares_are_total() {
        let calendar = calendar("Australia/Lord_Howe", &[]);
        let (first, last) = (Timestamp::MIN, Timestamp::MAX);
        let near =
            |at: Timestamp, days: i64| at.saturating_add(SignedDuration::from_hours(days * 24)).unwrap();
        for (start, due) in
            [(first, last), (last, first), (first, near(first, 9)), (near(last, -9), last), (last, last)]
        {
            for percent in [0, 1, 50, 99, 100, 255] {
                let point = calendar.point(start, due, percent);
                assert!(point >= start.min(due) && point <= due, "{start} {due} {percent}: {point}");
                calendar.elapsed_percent(start, due, point);
            }
        }
    }

    #[test]
    fn hours_are_hours() {
        let due =
            calendar("Europe/Berlin", &[]).due("2026-03-28T12:00:00Z".parse().unwrap(), Term::Hours(24));
        assert_eq!(due.to_string(), "2026-03-29T12:00:00Z");
    }

    #[test]
    fn terms_are_read_and_written() {
        for text in ["1 business day", "3 business days", "14 days", "24 hours"] {
            assert_eq!(text.parse::<Term>().unwrap().to_string(), text);
        }
        for text in ["", "3", "three days", "0 days", "3 weeks", "3 business", "-1 days"] {
            assert!(text.parse::<Term>().is_err(), "{text}");
        }
    }

    proptest! {
        /// A later report is never due earlier, and a due day is always a business day after the report.
        #[test]
        fn due_is_monotonic(first in 0_i64..4_000_000_000, later in 0_i64..1_000_000, days in 1_u32..30) {
            let calendar = calendar("America/New_York", &["2026-12-25", "2027-01-01"]);
            let at = |second| Timestamp::from_second(second).unwrap();
            let due = calendar.due(at(first), Term::BusinessDays(days));
            prop_assert!(due > at(first));
            prop_assert!(calendar.is_business_day(calendar.date(due)));
            prop_assert!(calendar.due(at(first + later), Term::BusinessDays(days)) >= due);
        }

        /// A share lies between start and due, a larger one never earlier; what is over at a share is that share.
        #[test]
        fn shares_and_what_is_over_agree(
            zone in prop::sample::select(vec!["Africa/Cairo", "Australia/Lord_Howe", "America/Los_Angeles", "Asia/Kathmandu"]),
            start in 1_000_000_000_i64..2_500_000_000,
            long in 1_000_i64..60_000_000,
            percent in 0_u8..=100,
            more in 0_u8..=100,
        ) {
            let calendar = calendar(zone, &["2026-12-25", "2027-01-01"]);
            let at = |second| Timestamp::from_second(second).unwrap();
            let (start, due) = (at(start), at(start + long));
            let point = calendar.point(start, due, percent);
            prop_assert!(start <= point && point <= due);
            prop_assert!(calendar.point(start, due, percent.saturating_add(more)) >= point);
            prop_assert_eq!(calendar.point(start, due, 100), due);
            let over = calendar.elapsed_percent(start, due, point);
            prop_assert!(over.abs_diff(percent) <= 1, "{} % is over at {} %", over, percent);
            let later = point.saturating_add(SignedDuration::from_secs(more.into())).unwrap();
            prop_assert!(calendar.elapsed_percent(start, due, later) >= over);
        }
    }
}
