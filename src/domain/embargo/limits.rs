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
    let beyond = |_| format!("{shown} is beyond all calendars");
    let utc = |offset: Offset| Ok::<_, String>(offset.to_timestamp(at).map_err(beyond)?);
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
