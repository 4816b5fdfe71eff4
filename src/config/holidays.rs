//! Holidays, from the configuration and from calendar files (iCalendar, RFC 5545).
//!
//! # What it is for
//! Nobody types the public holidays of ten years by hand: governments and calendar programs give them away as `.ics` files. All
//! this desk wants of one is which days are no business days, so an all-day event is a holiday, whatever else it says: calendars
//! of public holidays mark them as free time (`TRANSP:TRANSPARENT`) as often as not. A cancelled event is none. An event with
//! a time of day is none either, and is told of: whoever named a calendar of meetings wants to know.
//!
//! The lines are taken apart here, strictly and with their numbers: a holiday that is silently lost makes a promise a day
//! too short, one that nobody has makes it a day too long. How events repeat is left to the `rrule` crate.
//!
//! # Invariants
//! * What is not understood is an error, never a guess.
//! * Every size is bounded: the file, the length of an event, the years, the number of days.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};
use rrule::RRuleSet;

use crate::config::Reading;
use crate::config::section::Section;
use crate::domain::calendar::Calendar;

/// A calendar of a century of holidays has a tenth of that.
const LARGEST: u64 = 1_000_000;
/// A holiday does not last longer.
const LONGEST: i32 = 366;
/// What comes before is no concern of a report that comes in now ...
const FIRST: Date = date(2000, 1, 1);
/// ... and what repeats for ever has to end somewhere.
const LAST: Date = date(2060, 12, 31);
/// How often the events of one file take place at most, since their beginning: every second day from [`FIRST`] to [`LAST`].
const MOST: usize = 11_000;

impl Reading<'_> {
    /// The days that `[policy]` takes out of the business days.
    pub(super) fn holidays(&mut self, section: &Section<'_>, zone: Option<&TimeZone>) -> BTreeSet<Date> {
        let problems = section.problems();
        let mut holidays = BTreeSet::new();
        for holiday in section.texts("holidays") {
            holidays.extend(holiday.and_then(problems, |text| {
                text.parse::<Date>().map_err(|_| format!("“{text}” is no date, such as “2026-12-25”"))
            }));
        }
        for file in section.texts("holidays_ics") {
            let key = file.key.clone();
            let path = self.path(&file.value);
            if let Some(found) = file.and_then(problems, |_| read(&path)) {
                self.warnings.extend(found.warning(&path).map(|warning| format!("{key}: {warning}")));
                holidays.extend(found.days);
            }
        }
        if let (Some(zone), Some(last)) = (zone, holidays.last()) {
            let today = Calendar { zone: zone.clone(), holidays: BTreeSet::new() }.date(self.now);
            if *last <= today {
                self.warnings.push(format!(
                    "{}: no holiday is ahead, the last was {last}: what is due by business days may come too early",
                    section.key("holidays")
                ));
            }
        }
        holidays
    }
}

/// What a calendar file holds.
#[derive(Debug, Default, PartialEq)]
struct Found {
    days: BTreeSet<Date>,
    /// The first event that has a time of day: its line and its name.
    timed: Option<(usize, String)>,
    /// How many have one.
    how_many: usize,
}

impl Found {
    fn warning(&self, path: &Path) -> Option<String> {
        let path = path.display();
        match (&self.timed, self.how_many) {
            (Some((line, name)), 1) => {
                Some(format!("{path}:{line}: “{name}” has a time of day, so it is no holiday"))
            }
            (Some((line, name)), many) => Some(format!(
                "{path}:{line}: “{name}” has a time of day, so it is no holiday; {many} events are like that"
            )),
            (None, _) if self.days.is_empty() => {
                let (first, last) = (FIRST.year(), LAST.year());
                Some(format!("{path} has no all-day event in the years {first} to {last}"))
            }
            (None, _) => None,
        }
    }
}

fn read(path: &Path) -> Result<Found, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(named)?;
    file.take(LARGEST.saturating_add(1)).read_to_end(&mut bytes).map_err(named)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > LARGEST) {
        return Err(format!("{}: larger than 1 MB: is it a calendar of holidays?", path.display()));
    }
    parse(&bytes).map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))
}

/// What is wrong, and in which line of the calendar.
type Wrong = (usize, String);

fn parse(bytes: &[u8]) -> Result<Found, Wrong> {
    let events = events(bytes)?;
    // an event that stands for one time of a repeated one takes its place
    let mut replaced = BTreeSet::new();
    for event in &events {
        if let Some(line) = event.get("RECURRENCE-ID") {
            if line.param("RANGE").is_some() {
                return Err(event.wrong(line, "a change of this and all future times is not understood"));
            }
            replaced.insert((event.uid(), event.day(line, &line.value)?));
        }
    }
    let mut found = Found::default();
    let mut times = 0_usize;
    for event in events.iter().filter(|event| !event.is_cancelled()) {
        let start = event.get("DTSTART").ok_or_else(|| event.wrong_here("there is no DTSTART"))?;
        if !start.is_date() {
            found.timed.get_or_insert_with(|| (event.line, event.name()));
            found.how_many = found.how_many.saturating_add(1);
            continue;
        }
        let start = event.day(start, &start.value)?;
        let long = event.length(start)?;
        let mut starts = event.starts(start, &mut times)?;
        if event.get("RECURRENCE-ID").is_none() {
            starts.retain(|day| !replaced.contains(&(event.uid(), *day)));
        }
        for start in starts {
            let days = (0..long).filter_map(|later| start.checked_add(later.days()).ok());
            found.days.extend(days.filter(|day| (FIRST..=LAST).contains(day)));
        }
    }
    Ok(found)
}

/// The lines of one event, without those of its alarms.
struct Event {
    line: usize,
    lines: Vec<Line>,
}

impl Event {
    fn get(&self, name: &str) -> Option<&Line> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.name == name)
    }

    fn uid(&self) -> &str {
        self.get("UID").map_or("", |line| &line.value)
    }

    fn is_cancelled(&self) -> bool {
        self.get("STATUS").is_some_and(|line| line.value.eq_ignore_ascii_case("CANCELLED"))
    }

    /// What a person calls it: a message is one line.
    fn name(&self) -> String {
        let text = self.get("SUMMARY").map_or("", |line| line.value.trim());
        let text = text.replace("\\n", " ").replace("\\N", " ").replace('\\', "");
        let name: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
        if name.is_empty() { "an event without a summary".to_owned() } else { name }
    }

    fn wrong(&self, line: &Line, why: &str) -> Wrong {
        (line.number, format!("“{}”: {}: {why}", self.name(), line.name))
    }

    fn wrong_here(&self, why: &str) -> Wrong {
        (self.line, format!("“{}”: {why}", self.name()))
    }

    /// A day, of `20261225` or of what some programs write for one of an all-day event: `20261225T000000`.
    fn day(&self, line: &Line, text: &str) -> Result<Date, Wrong> {
        let day = text.split(['T', 't']).next().unwrap_or_default();
        let digits = day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit());
        let read = if digits { Date::strptime("%Y%m%d", day).ok() } else { None };
        read.ok_or_else(|| self.wrong(line, &format!("“{text}” is no day, such as “20261225”")))
    }

    fn days(&self, name: &str) -> Result<Vec<Date>, Wrong> {
        let values = self.all(name).flat_map(|line| line.value.split(',').map(move |text| (line, text)));
        values.map(|(line, text)| self.day(line, text)).collect()
    }

    /// How many days it lasts.
    fn length(&self, start: Date) -> Result<i32, Wrong> {
        let (line, long) = if let Some(line) = self.get("DTEND") {
            if !line.is_date() {
                return Err(self.wrong(line, "it begins with a day and ends with a time"));
            }
            let end = self.day(line, &line.value)?;
            // the end is the day after the last; some programs write the first day for an event of one
            (line, start.until(end).map(|span| span.get_days().max(i32::from(end == start))).ok())
        } else if let Some(line) = self.get("DURATION") {
            let span = line.value.parse::<Span>().ok();
            let days = span.map(|span| span.get_weeks().saturating_mul(7).saturating_add(span.get_days()));
            let whole = |days: &i32| span.is_some_and(|span| span.fieldwise() == whole_days(span, *days));
            (line, days.filter(whole))
        } else {
            return Ok(1);
        };
        long.filter(|days| (1..=LONGEST).contains(days))
            .ok_or_else(|| self.wrong(line, &format!("it lasts between 1 and {LONGEST} days, please")))
    }

    /// The first days of all its times.
    fn starts(&self, start: Date, times: &mut usize) -> Result<BTreeSet<Date>, Wrong> {
        let mut starts = BTreeSet::new();
        if let Some(line) = self.get("EXRULE") {
            return Err(self.wrong(line, "a rule for exceptions is not understood: write EXDATE"));
        }
        if self.get("RRULE").is_none() {
            starts.insert(start);
            *times = times.saturating_add(1);
        }
        for rule in self.all("RRULE") {
            let before = *times;
            for day in repeated(start, &self.rule(rule)?).map_err(|why| self.wrong(rule, &why))? {
                *times = times.saturating_add(1);
                if *times > MOST {
                    break;
                }
                starts.insert(day);
            }
            if *times == before {
                return Err(self.wrong(rule, "it never takes place"));
            }
        }
        let more = self.days("RDATE")?;
        *times = times.saturating_add(more.len());
        if *times > MOST {
            return Err(self.wrong_here("with it there are too many days: is it a calendar of holidays?"));
        }
        starts.extend(more);
        for day in self.days("EXDATE")? {
            starts.remove(&day);
        }
        Ok(starts)
    }

    /// A rule as `rrule` wants it: it knows no days, only instants, so all of them are midnight in UTC.
    fn rule(&self, line: &Line) -> Result<String, Wrong> {
        let mut parts = Vec::new();
        for part in line.value.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key.to_ascii_uppercase().as_str() {
                "UNTIL" => {
                    let day = self.day(line, value)?;
                    parts.push(format!("UNTIL={}", midnight(day)));
                }
                "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
                    return Err(self.wrong(line, &format!("{key} is not for all-day events")));
                }
                "FREQ" if ["HOURLY", "MINUTELY", "SECONDLY"].contains(&value) => {
                    return Err(self.wrong(line, &format!("{value} is not for all-day events")));
                }
                _ => parts.push(part.to_ascii_uppercase()),
            }
        }
        Ok(parts.join(";"))
    }
}

/// A span of so many days and nothing else, in the units of another.
fn whole_days(like: Span, days: i32) -> jiff::SpanFieldwise {
    let weeks = like.get_weeks();
    let rest = days.saturating_sub(weeks.saturating_mul(7));
    Span::new().weeks(weeks).days(rest).fieldwise()
}

fn midnight(day: Date) -> String {
    day.strftime("%Y%m%dT000000Z").to_string()
}

/// The days on which a rule lets something take place, from `start` to [`LAST`].
fn repeated(start: Date, rule: &str) -> Result<Vec<Date>, String> {
    let set: RRuleSet = format!("DTSTART:{}\nRRULE:{rule}", midnight(start))
        .parse()
        .map_err(|error: rrule::RRuleError| error.to_string())?;
    let days = set
        .limit()
        .into_iter()
        .map_while(|at| Date::strptime("%Y%m%d", at.format("%Y%m%d").to_string()).ok())
        .take_while(|day| *day <= LAST)
        .take(MOST.saturating_add(1));
    Ok(days.collect())
}

/// A line of a calendar: `NAME;PARAM=VALUE:value`.
struct Line {
    number: usize,
    name: String,
    params: Vec<(String, String)>,
    value: String,
}

impl Line {
    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A day rather than an instant. Some programs forget to say so, and mean it.
    fn is_date(&self) -> bool {
        match self.param("VALUE") {
            Some(kind) => kind.eq_ignore_ascii_case("DATE"),
            None => !self.value.contains(['T', 't']),
        }
    }

    fn parse(number: usize, bytes: &[u8]) -> Result<Self, Wrong> {
        let text = std::str::from_utf8(bytes).map_err(|_| (number, "this is not UTF-8".to_owned()))?;
        let mut quoted = false;
        // where a separator stands that is not in quotes
        let mut ends = text.char_indices().filter_map(|(at, c)| {
            quoted ^= c == '"';
            (!quoted && (c == ';' || c == ':')).then_some((at, c))
        });
        let (mut pieces, mut from) = (Vec::new(), 0);
        let colon = loop {
            let Some((at, c)) = ends.next() else { break None };
            pieces.push(text.get(from..at).unwrap_or_default());
            from = at.saturating_add(1);
            if c == ':' {
                break text.get(from..);
            }
        };
        let mut pieces = pieces.into_iter();
        let name = pieces.next().unwrap_or_default().to_ascii_uppercase();
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let Some(value) = colon.filter(|_| named) else {
            return Err((number, "this is no line of a calendar: expected NAME:VALUE".to_owned()));
        };
        let params = pieces.map(|piece| {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            (key.to_ascii_uppercase(), value.trim_matches('"').to_owned())
        });
        Ok(Self { number, name, params: params.collect(), value: value.trim_end().to_owned() })
    }
}

/// The lines of a file. Long ones are folded, perhaps within a character: the next line begins with a blank.
fn lines(bytes: &[u8]) -> Result<Vec<Line>, Wrong> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut unfolded: Vec<(usize, Vec<u8>)> = Vec::new();
    for (number, line) in (1_usize..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line, unfolded.last_mut()) {
            ([b' ' | b'\t', rest @ ..], Some((_, before))) => before.extend(rest),
            ([], _) => {}
            _ => unfolded.push((number, line.to_owned())),
        }
    }
    unfolded.iter().map(|(number, line)| Line::parse(*number, line)).collect()
}

/// The events of a file.
fn events(bytes: &[u8]) -> Result<Vec<Event>, Wrong> {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut last = 1;
    for line in lines(bytes)? {
        last = line.number;
        let value = line.value.to_ascii_uppercase();
        match line.name.as_str() {
            "BEGIN" if open.is_empty() && value != "VCALENDAR" => {
                return Err((line.number, "expected BEGIN:VCALENDAR: is it a calendar?".to_owned()));
            }
            "BEGIN" => {
                if value == "VEVENT" {
                    events.push(Event { line: line.number, lines: Vec::new() });
                }
                open.push((line.number, value));
            }
            "END" => match open.pop() {
                Some((_, begun)) if begun == value => {}
                Some((number, begun)) => {
                    return Err((
                        line.number,
                        format!("expected END:{begun}, which begins in line {number}"),
                    ));
                }
                None => return Err((line.number, "this is the end of nothing".to_owned())),
            },
            _ => match (open.last(), events.last_mut()) {
                (None, _) => {
                    return Err((line.number, "expected BEGIN:VCALENDAR: is it a calendar?".to_owned()));
                }
                (Some((_, name)), Some(event)) if name == "VEVENT" => event.lines.push(line),
                _ => {}
            },
        }
    }
    match open.pop() {
        Some((number, begun)) => Err((number, format!("{begun} begins here and does not end"))),
        None if bytes.iter().all(u8::is_ascii_whitespace) => Err((last, "this is no calendar".to_owned())),
        None => Ok(events),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A calendar with one event.
    fn event(lines: &str) -> String {
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nSUMMARY:A day\r\n{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            lines.replace('\n', "\r\n")
        )
    }

    fn days(text: &str) -> String {
        let found = parse(text.as_bytes()).unwrap();
        found.days.iter().map(Date::to_string).collect::<Vec<_>>().join(" ")
    }

    /// (lines of an event, its days)
    #[test]
    fn all_day_events_are_holidays() {
        for (lines, expected) in [
            ("DTSTART;VALUE=DATE:20261225", "2026-12-25"),
            ("DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261226", "2026-12-25"),
            ("DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227", "2026-12-25 2026-12-26"),
            ("DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261225", "2026-12-25"),
            ("DTSTART;VALUE=DATE:20261230\nDURATION:P3D", "2026-12-30 2026-12-31 2027-01-01"),
            ("DTSTART:20261225\nTRANSP:TRANSPARENT\nX-NOTE;A=\"b:c;d\":e", "2026-12-25"),
            ("DTSTART;VALUE=DATE:20261225\nSTATUS:CANCELLED", ""),
            ("DTSTART;VALUE=DATE:20261225\nBEGIN:VALARM\nDURATION:PT5M\nEND:VALARM", "2026-12-25"),
            ("DTSTART;VALUE=D\n ATE:2026\n\t1225", "2026-12-25"),
            // the fourth Thursday of November
            (
                "DTSTART;VALUE=DATE:20251127\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3",
                "2025-11-27 2026-11-26 2027-11-25",
            ),
            // the last Monday of May, until a day or a moment of it
            (
                "DTSTART;VALUE=DATE:20260525\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;UNTIL=20270531",
                "2026-05-25 2027-05-31",
            ),
            (
                "DTSTART;VALUE=DATE:20260525\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;UNTIL=20270531T000000Z",
                "2026-05-25 2027-05-31",
            ),
            (
                "DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227\nRRULE:FREQ=YEARLY;COUNT=2\nEXDATE;VALUE=DATE:20261225",
                "2027-12-25 2027-12-26",
            ),
            (
                "DTSTART;VALUE=DATE:20261225\nRDATE;VALUE=DATE:20271224,20281222\nEXDATE:20261225T000000",
                "2027-12-24 2028-12-22",
            ),
            // 29 February, and what lies outside the years
            ("DTSTART;VALUE=DATE:20520229\nRRULE:FREQ=YEARLY", "2052-02-29 2056-02-29 2060-02-29"),
            ("DTSTART;VALUE=DATE:19971225\nRRULE:FREQ=YEARLY;COUNT=4", "2000-12-25"),
            ("DTSTART;VALUE=DATE:19991231\nDTEND;VALUE=DATE:20000102", "2000-01-01"),
        ] {
            assert_eq!(days(&event(lines)), expected, "{lines}");
        }
    }

    #[test]
    fn one_time_of_a_repeated_event_is_moved_and_another_cancelled() {
        let text = "\u{feff}BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nBEGIN:STANDARD\nDTSTART:19700101T000000\nRRULE:FREQ=NONE\nEND:STANDARD\n\
                    END:VTIMEZONE\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20260704\nRRULE:FREQ=YEARLY;COUNT=3\nEND:VEVENT\n\
                    BEGIN:VEVENT\nUID:1\nRECURRENCE-ID;VALUE=DATE:20260704\nDTSTART;VALUE=DATE:20260703\nEND:VEVENT\n\
                    BEGIN:VEVENT\nUID:1\nRECURRENCE-ID;VALUE=DATE:20270704\nSTATUS:CANCELLED\nEND:VEVENT\nEND:VCALENDAR\n\
                    BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:2\nDTSTART;VALUE=DATE:20290704\nEND:VEVENT\nEND:VCALENDAR";
        assert_eq!(days(text), "2026-07-03 2028-07-04 2029-07-04");
    }

    #[test]
    fn events_with_a_time_are_told_of() {
        let found = parse(event("DTSTART;TZID=\"a:b\":20261225T100000").as_bytes()).unwrap();
        assert_eq!(
            found.warning(Path::new("h.ics")).unwrap(),
            "h.ics:3: “A day” has a time of day, so it is no holiday"
        );
        let many = Found { how_many: 5, ..found };
        assert!(many.warning(Path::new("h.ics")).unwrap().ends_with("no holiday; 5 events are like that"));
        let none = Found::default().warning(Path::new("h.ics")).unwrap();
        assert_eq!(none, "h.ics has no all-day event in the years 2000 to 2060");
    }

    /// (text, line, a part of the message)
    #[test]
    fn what_is_not_understood_is_an_error() {
        let start = "DTSTART;VALUE=DATE:20261225\n";
        for (text, line, why) in [
            (String::new(), 1, "this is no calendar"),
            ("<html>\n".to_owned(), 1, "no line of a calendar"),
            ("BEGIN:VCARD\nEND:VCARD\n".to_owned(), 1, "is it a calendar?"),
            ("X:1\n".to_owned(), 1, "is it a calendar?"),
            (
                "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n".to_owned(),
                3,
                "expected END:VEVENT, which begins in line 2",
            ),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nX:1\n".to_owned(), 2, "VEVENT begins here and does not end"),
            ("BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR".to_owned(), 3, "the end of nothing"),
            (event("hello"), 5, "expected NAME:VALUE"),
            (event("UID:1"), 3, "“A day”: there is no DTSTART"),
            (event("DTSTART;VALUE=DATE:20261325"), 5, "“A day”: DTSTART: “20261325” is no day"),
            (event("DTSTART;VALUE=DATE:2026122"), 5, "is no day"),
            (event(&format!("{start}DTEND:20261226T100000")), 6, "ends with a time"),
            (event(&format!("{start}DTEND;VALUE=DATE:20261224")), 6, "it lasts between 1 and 366 days"),
            (event(&format!("{start}DTEND;VALUE=DATE:20991224")), 6, "it lasts between 1 and 366 days"),
            (event(&format!("{start}DURATION:PT12H")), 6, "it lasts between 1 and 366 days"),
            (event(&format!("{start}DURATION:P1DT12H")), 6, "it lasts between 1 and 366 days"),
            (event(&format!("{start}RRULE:FREQ=HOURLY")), 6, "HOURLY is not for all-day events"),
            (event(&format!("{start}RRULE:FREQ=YEARLY;BYHOUR=1")), 6, "BYHOUR is not for all-day events"),
            (event(&format!("{start}RRULE:FREQ=SOMETIMES")), 6, "RRULE: "),
            (event(&format!("{start}RRULE:FREQ=YEARLY;RSCALE=HEBREW")), 6, "RRULE: "),
            (event(&format!("{start}RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")), 6, "it never takes place"),
            (event(&format!("{start}RRULE:FREQ=YEARLY;UNTIL=soon")), 6, "“soon” is no day"),
            (event(&format!("{start}EXRULE:FREQ=YEARLY")), 6, "write EXDATE"),
            (event(&format!("{start}RDATE;VALUE=PERIOD:20261225/P1D,x")), 6, "is no day"),
            (event("DTSTART;VALUE=DATE:19000101\nRRULE:FREQ=DAILY"), 3, "too many days"),
            (event(&format!("{start}RECURRENCE-ID;RANGE=THISANDFUTURE:20261225")), 6, "future times"),
        ] {
            let (at, said) = parse(text.as_bytes()).unwrap_err();
            assert!(at == line && said.contains(why), "{line}: {why}\n{at}: {said}\n{text}");
            assert!(!said.contains('\n'), "{said}");
        }
        assert_eq!(parse(b"BEGIN:VCALENDAR\nX:\xff\nEND:VCALENDAR\n").unwrap_err().1, "this is not UTF-8");
    }

    proptest::proptest! {
        /// Nothing makes it panic, and no day lies outside the years.
        #[test]
        fn any_calendar_is_read_or_refused(lines in proptest::collection::vec(
            "(DTSTART|DTEND|RDATE|EXDATE)(;VALUE=DATE)?:(19|20)[0-9]{6}|RRULE:FREQ=(YEARLY|MONTHLY);(COUNT|INTERVAL|BYMONTH|BYMONTHDAY|BYSETPOS)=-?[0-9]{1,3}|\\PC{0,20}",
            0..6,
        )) {
            if let Ok(found) = parse(event(&lines.join("\n")).as_bytes()) {
                proptest::prop_assert!(found.days.iter().all(|day| (FIRST..=LAST).contains(day)));
            }
        }
    }
}
