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

    /// The last second of a day at the desk.
    fn end_of(&self, date: Date) -> Timestamp {
        date.at(23, 59, 59, 0).to_zoned(self.zone.clone()).map_or(Timestamp::MAX, |at| at.timestamp())
    }
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
    }
}
