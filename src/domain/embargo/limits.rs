//! When an embargo may end: what the written process says (P-14), checked, and explained with what would fit.
//!
//! # Invariants
//! * A time that a clock shows twice, or never, is nobody's time: it is not guessed which one is meant.
//! * Everything that speaks against an instant is told at once, and the nearest days on which nothing does.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

use crate::domain::calendar::{Calendar, Term};
use crate::domain::policy::distributors::Distributors;

/// No further than so many days a day that fits is looked for.
const HORIZON: usize = 1200;

/// The instant at which clocks in `zone` show this. The error says why there is none, or more than one, and what can be said instead.
pub fn instant(at: DateTime, zone: &TimeZone) -> Result<Timestamp, String> {
    let place = zone.iana_name().unwrap_or("that zone");
    let shown = at.strftime("%Y-%m-%d %H:%M");
    let beyond = |_: jiff::Error| format!("{shown} is beyond all calendars");
    let utc = |offset: Offset| offset.to_timestamp(at).map_err(beyond);
    let told = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => utc(offset),
        AmbiguousOffset::Gap { before, after } => Err(format!(
            "no clock in {place} shows {shown}: it is put forward then; name the time in UTC, {} or {}",
            told(utc(after)?),
            told(utc(before)?)
        )),
        AmbiguousOffset::Fold { before, after } => Err(format!(
            "clocks in {place} show {shown} twice, for they are put back then; name the time in UTC, {} or {}",
            told(utc(before)?),
            told(utc(after)?)
        )),
    }
}

/// What an instant is held against.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// The terms of the list.
    pub list: &'a Distributors,
    /// The desk's days.
    pub calendar: &'a Calendar,
    /// When the report came.
    pub received_at: Timestamp,
    /// The members have had a notice already.
    pub noticed: bool,
    /// Now.
    pub now: Timestamp,
}

impl Limits<'_> {
    /// Everything that speaks against that instant, and what would fit; nothing when it fits.
    pub fn objections(&self, until: Timestamp) -> Vec<String> {
        let mut objections = self.against(until);
        if !objections.is_empty() {
            objections.push(self.advice(until));
        }
        objections
    }

    /// From when a notice may go, when that is still to come: no earlier than the process says.
    pub fn notice_from(&self, until: Timestamp) -> Option<Timestamp> {
        let term = self.list.at_most.filter(|_| !self.noticed)?;
        Some(earliest(self.calendar, until, term)).filter(|from| *from > self.now)
    }

    fn against(&self, until: Timestamp) -> Vec<String> {
        let mut against = Vec::new();
        let date = self.calendar.date(until);
        let soonest = self.list.at_least.filter(|_| !self.noticed);
        let soonest = soonest.map(|term| (term, latest(self.calendar, self.now, term)));
        if until <= self.now {
            against.push(format!("that time is over: now it is {}", self.calendar.line(self.now)));
        } else if let Some((term, soonest)) = soonest.filter(|(_, soonest)| until < *soonest) {
            against.push(format!(
                "members hear of it at least {term} before, so that it ends on {} at the earliest",
                self.calendar.line(soonest)
            ));
        }
        let (first, last) = (self.calendar.date(self.received_at), self.last_day());
        if date > last {
            let after = first.until(date).map_or(0, |span| span.get_days());
            against.push(format!(
                "{} is {after} days after the report came, and {} is the most: {} is the last day",
                told(date),
                self.list.most_days,
                told(last)
            ));
        }
        if self.list.not_on.contains(&date.weekday()) {
            against.push(format!("{} is no day on which it ends: not on {}", told(date), self.days()));
        }
        if self.calendar.holidays.contains(&date) {
            against.push(format!("{} is a holiday", told(date)));
        }
        against
    }

    /// The nearest days on which nothing speaks against the same time of day.
    fn advice(&self, until: Timestamp) -> String {
        let time = until.to_zoned(self.calendar.zone.clone()).time();
        let fits = |date: &Date| {
            let at = instant(date.to_datetime(time), &self.calendar.zone);
            at.is_ok_and(|at| self.against(at).is_empty())
        };
        let (today, last) = (self.calendar.date(self.now), self.last_day());
        // beyond these there are only days that are over, or too late
        let from = self.calendar.date(until).clamp(today, last.max(today));
        let before = std::iter::successors(Some(from), |date| date.yesterday().ok());
        let after = std::iter::successors(from.tomorrow().ok(), |date| date.tomorrow().ok());
        let before = before.take(HORIZON).take_while(|date| *date >= today).find(fits);
        let after = after.take(HORIZON).take_while(|date| *date <= last).find(fits);
        match (before, after) {
            (None, None) => "no day fits at that time".to_owned(),
            (Some(one), None) | (None, Some(one)) => format!("at that time {} would fit", told(one)),
            (Some(before), Some(after)) => {
                format!("at that time {} or {} would fit", told(before), told(after))
            }
        }
    }

    fn last_day(&self) -> Date {
        self.calendar.date(self.received_at).saturating_add(days(self.list.most_days))
    }

    fn days(&self) -> String {
        let days = self.list.not_on.iter().map(|day| weekday(*day)).collect::<Vec<_>>();
        format!("{}, or a holiday", days.join(", "))
    }
}

/// The instant that is `term` ahead: hours by the clock; days at the same time of day at the desk.
fn latest(calendar: &Calendar, from: Timestamp, term: Term) -> Timestamp {
    match term {
        Term::Hours(_) => calendar.due(from, term),
        Term::Days(_) | Term::BusinessDays(_) => {
            same_time(calendar, from, calendar.date(calendar.due(from, term)))
        }
    }
}

/// The first instant from which it is no more than `term` to `until`.
fn earliest(calendar: &Calendar, until: Timestamp, term: Term) -> Timestamp {
    let date = calendar.date(until);
    match term {
        Term::Hours(hours) => {
            until.saturating_sub(SignedDuration::from_hours(hours.into())).unwrap_or(Timestamp::MIN)
        }
        Term::Days(days) => same_time(calendar, until, date.saturating_sub(self::days(days))),
        Term::BusinessDays(_) => {
            let earlier = std::iter::successors(Some(date), |date| date.yesterday().ok());
            let near = |from: &Date| calendar.date(calendar.due(calendar.begin_of(*from), term)) >= date;
            let first = earlier.take(HORIZON).take_while(near).last();
            same_time(calendar, until, first.unwrap_or(date))
        }
    }
}

fn days(number: u32) -> Span {
    Span::new().try_days(number).unwrap_or_else(|_| Span::new())
}

/// The time of day of an instant, on another day at the desk.
fn same_time(calendar: &Calendar, at: Timestamp, date: Date) -> Timestamp {
    let time = at.to_zoned(calendar.zone.clone()).time();
    let there = date.to_datetime(time).to_zoned(calendar.zone.clone());
    there.map_or(calendar.begin_of(date), |there| there.timestamp())
}

fn told(date: Date) -> String {
    date.strftime("%A, %Y-%m-%d").to_string()
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const ZONES: [&str; 6] = [
        "UTC",
        "America/Los_Angeles",
        "Europe/Berlin",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Africa/Cairo",
    ];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn calendar(name: &str) -> Calendar {
        Calendar { zone: zone(name), holidays: std::iter::once("2026-12-24".parse().unwrap()).collect() }
    }

    /// The report came on Friday, 20 November, 15:00 in Los Angeles; now it is Monday, 23 November, 10:00 there.
    fn limits<'a>(list: &'a Distributors, calendar: &'a Calendar) -> Limits<'a> {
        Limits {
            list,
            calendar,
            received_at: "2026-11-20T23:00:00Z".parse().unwrap(),
            noticed: false,
            now: "2026-11-23T18:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_time_that_is_skipped_or_comes_twice_is_explained() {
        let said = |zone_name: &str, at: &str| instant(at.parse().unwrap(), &zone(zone_name));
        assert_eq!(said("UTC", "2026-12-15T15:00").unwrap().to_string(), "2026-12-15T15:00:00Z");
        assert_eq!(said("Europe/Berlin", "2026-12-15T15:00").unwrap().to_string(), "2026-12-15T14:00:00Z");
        assert_eq!(
            said("America/Los_Angeles", "2027-03-14T02:30").unwrap_err(),
            "no clock in America/Los_Angeles shows 2027-03-14 02:30: it is put forward then; name the time in UTC, \
             2027-03-14 09:30 UTC or 2027-03-14 10:30 UTC"
        );
        assert_eq!(
            said("Europe/Berlin", "2026-10-25T02:30").unwrap_err(),
            "clocks in Europe/Berlin show 2026-10-25 02:30 twice, for they are put back then; name the time in UTC, \
             2026-10-25 00:30 UTC or 2026-10-25 01:30 UTC"
        );
    }

    /// (until, notice has gone, everything that is said against it)
    #[test]
    fn what_speaks_against_an_instant_is_told_at_once_with_what_would_fit() {
        let table: &[(&str, bool, &[&str])] = &[
            ("2026-12-15T23:00:00Z", false, &[]),
            (
                "2026-12-18T23:00:00Z",
                false,
                &[
                    "Friday, 2026-12-18 is no day on which it ends: not on Friday, Saturday, Sunday, or a holiday",
                    "at that time Thursday, 2026-12-17 or Monday, 2026-12-21 would fit",
                ],
            ),
            // a holiday, between Wednesday and Monday
            (
                "2026-12-24T23:00:00Z",
                false,
                &[
                    "Thursday, 2026-12-24 is a holiday",
                    "at that time Wednesday, 2026-12-23 or Monday, 2026-12-28 would fit",
                ],
            ),
            (
                "2026-11-22T23:00:00Z",
                false,
                &[
                    "that time is over: now it is Mon, 23 Nov 2026 10:00 PST (2026-11-23 18:00 UTC)",
                    "Sunday, 2026-11-22 is no day on which it ends: not on Friday, Saturday, Sunday, or a holiday",
                    "at that time Thursday, 2026-11-26 would fit",
                ],
            ),
            // three days ahead is Thursday at ten
            (
                "2026-11-26T17:59:00Z",
                false,
                &[
                    "members hear of it at least 3 days before, so that it ends on Thu, 26 Nov 2026 10:00 PST \
                     (2026-11-26 18:00 UTC) at the earliest",
                    "at that time Monday, 2026-11-30 would fit",
                ],
            ),
            ("2026-11-26T18:00:00Z", false, &[]),
            ("2026-11-23T18:01:00Z", true, &[]),
            // ninety days are over with Thursday, 18 February
            ("2027-02-19T07:59:00Z", false, &[]),
            (
                "2027-02-20T18:00:00Z",
                false,
                &[
                    "Saturday, 2027-02-20 is 92 days after the report came, and 90 is the most: Thursday, 2027-02-18 is the last day",
                    "Saturday, 2027-02-20 is no day on which it ends: not on Friday, Saturday, Sunday, or a holiday",
                    "at that time Thursday, 2027-02-18 would fit",
                ],
            ),
        ];
        let (list, calendar) = (Distributors::default(), calendar("America/Los_Angeles"));
        for (until, noticed, objections) in table {
            let limits = Limits { noticed: *noticed, ..limits(&list, &calendar) };
            assert_eq!(limits.objections(until.parse().unwrap()), *objections, "{until}");
        }
        // of an old report nothing fits any more
        let old = Limits { received_at: "2026-01-01T00:00:00Z".parse().unwrap(), ..limits(&list, &calendar) };
        let told = old.objections("2026-12-15T23:00:00Z".parse().unwrap());
        assert_eq!(told.last().unwrap(), "no day fits at that time");
    }

    #[test]
    fn from_when_a_notice_may_go() {
        let calendar = calendar("America/Los_Angeles");
        let from = |term: Option<Term>, until: &str| {
            let list = Distributors { at_most: term, ..Distributors::default() };
            let from = limits(&list, &calendar).notice_from(until.parse().unwrap());
            from.map(|from| from.to_string())
        };
        let days = Some(Term::Days(30));
        // across the change to summer time: the same time of day
        assert_eq!(from(days, "2027-03-23T17:00:00Z").as_deref(), Some("2027-02-21T18:00:00Z"));
        assert_eq!(from(days, "2026-12-15T23:00:00Z"), None, "it may go now");
        assert_eq!(from(None, "2027-03-23T17:00:00Z"), None);
        assert_eq!(
            from(Some(Term::Hours(48)), "2026-12-15T23:00:00Z").as_deref(),
            Some("2026-12-13T23:00:00Z")
        );
        // three business days before a Tuesday: from Thursday on, and the days after it up to Friday count the same
        let business = Some(Term::BusinessDays(3));
        assert_eq!(from(business, "2026-12-15T23:00:00Z").as_deref(), Some("2026-12-10T23:00:00Z"));
    }

    fn any_limits() -> impl Strategy<Value = (Distributors, Calendar, Timestamp, Timestamp, bool)> {
        let weekdays = select(vec![
            vec![],
            vec![Weekday::Friday, Weekday::Saturday, Weekday::Sunday],
            vec![Weekday::Monday, Weekday::Wednesday],
        ]);
        let term =
            select(vec![None, Some(Term::Hours(30)), Some(Term::Days(3)), Some(Term::BusinessDays(4))]);
        let holidays = proptest::collection::btree_set(0_i64..140, 0..12);
        (select(ZONES.to_vec()), weekdays, term, 1_u32..120, holidays, 0_i64..86_400 * 300, any::<bool>())
            .prop_map(|(zone_name, not_on, at_least, most_days, holidays, age, noticed)| {
                let now: Timestamp = "2026-10-20T11:13:17Z".parse().unwrap();
                let first: Date = "2026-10-18".parse().unwrap();
                let holidays = holidays.into_iter();
                let holidays = holidays.map(|day| first.saturating_add(Span::new().days(day))).collect();
                let calendar = Calendar { zone: zone(zone_name), holidays };
                let list = Distributors { not_on, at_least, most_days, ..Distributors::default() };
                (list, calendar, now - SignedDuration::from_secs(age), now, noticed)
            })
    }

    proptest! {
        /// What clocks show is that instant and no other, or it is refused.
        #[test]
        fn an_instant_is_the_only_one_that_clocks_show(
            name in select(ZONES.to_vec()), day in 0_i64..730, minute in 0_i64..1440,
        ) {
            let zone = zone(name);
            let date: Date = "2026-01-01".parse().unwrap();
            let at = date.at(0, 0, 0, 0).saturating_add(Span::new().days(day).minutes(minute));
            // every offset there is on the days around it
            let noon = at.to_zoned(TimeZone::UTC).unwrap().timestamp();
            let mut shown: Vec<Timestamp> = Vec::new();
            for hours in -36..=36 {
                let near = noon + SignedDuration::from_hours(hours);
                let candidate = zone.to_offset(near).to_timestamp(at).unwrap();
                if candidate.to_zoned(zone.clone()).datetime() == at && !shown.contains(&candidate) {
                    shown.push(candidate);
                }
            }
            match (instant(at, &zone), shown.as_slice()) {
                (Ok(instant), [one]) => prop_assert_eq!(instant, *one),
                (Err(_), shown) => prop_assert_ne!(shown.len(), 1),
                (Ok(_), shown) => prop_assert!(false, "{} is shown at {:?}", at, shown),
            }
        }

        /// What is not objected to keeps every rule; what is, breaks one. The rules are written here in other words.
        #[test]
        fn nothing_is_objected_to_but_what_breaks_a_rule(
            (list, calendar, received_at, now, noticed) in any_limits(), wait in -86_400_i64..86_400 * 140,
        ) {
            let until = now + SignedDuration::from_secs(wait);
            let limits = Limits { list: &list, calendar: &calendar, received_at, noticed, now };
            let here = |at: Timestamp| at.to_zoned(calendar.zone.clone());
            let mut days = 0_i64;
            let mut date = here(received_at).date();
            while date < here(until).date() {
                date = date.tomorrow().unwrap();
                days += 1;
            }
            // the days that have to be over between
            let mut counted = 0;
            let mut day = here(now).date();
            while day < here(until).date() {
                day = day.tomorrow().unwrap();
                counted += u32::from(list.at_least != Some(Term::BusinessDays(4)) || calendar.is_business_day(day));
            }
            let later = here(until).time() >= here(now).time();
            let soon = match list.at_least.filter(|_| !noticed) {
                None => false,
                Some(Term::Hours(hours)) => wait < i64::from(hours) * 3600,
                // on the day itself it is the time of day that counts; a business day, and then a weekend, is later than the day
                Some(Term::Days(n)) => counted < n || (counted == n && !later),
                Some(Term::BusinessDays(n)) => {
                    counted < n || (counted == n && calendar.is_business_day(here(until).date()) && !later)
                }
            };
            let date = here(until).date();
            let breaks = wait <= 0
                || soon
                || days > i64::from(list.most_days)
                || list.not_on.contains(&date.weekday())
                || calendar.holidays.contains(&date);
            // where the same time of day comes twice, or not at all, on the third day, an hour more or less is no matter
            let near = list.at_least.is_some() && here(now).offset() != here(until).offset();
            prop_assume!(!near || wait > 86_400 * 12 || wait <= 0);
            prop_assert_eq!(!limits.objections(until).is_empty(), breaks, "{:?}", limits.objections(until));
        }

        /// What would fit, fits.
        #[test]
        fn what_is_said_to_fit_fits(
            (list, calendar, received_at, now, noticed) in any_limits(), wait in -86_400_i64..86_400 * 140,
        ) {
            let until = now + SignedDuration::from_secs(wait);
            let limits = Limits { list: &list, calendar: &calendar, received_at, noticed, now };
            let time = until.to_zoned(calendar.zone.clone()).time();
            let objections = limits.objections(until);
            let Some(advice) = objections.last() else { return Ok(()) };
            for date in advice.split_whitespace().filter_map(|word| word.parse::<Date>().ok()) {
                let at = instant(date.to_datetime(time), &calendar.zone).unwrap();
                prop_assert!(limits.objections(at).is_empty(), "{}: {}", advice, at);
            }
        }

        /// A notice that goes from then on is not too early, and an hour before it is.
        #[test]
        fn a_notice_waits_no_longer_than_it_must(
            name in select(ZONES.to_vec()), days in 1_u32..60, wait in 86_400_i64 * 70..86_400 * 140,
        ) {
            let list = Distributors { at_most: Some(Term::Days(days)), ..Distributors::default() };
            let calendar = calendar(name);
            let limits = limits(&list, &calendar);
            let until = limits.now + SignedDuration::from_secs(wait);
            let from = limits.notice_from(until).unwrap();
            let whole = SignedDuration::from_hours(24 * i64::from(days));
            let slack = (until.duration_since(from) - whole).abs();
            prop_assert!(slack <= SignedDuration::from_hours(1), "{}", slack);
        }
    }
}
