//! What the pages for a person have in common: colours, the terminal's width, lines that are wrapped or shortened.
//!
//! # Invariants
//! * Colours only say again what the words say: a page without them loses nothing.
//! * Lines break between words, never inside one: ids, digests and addresses can be copied whole, even
//!   when they are wider than the page.
//! * Texts are made display-safe here once more: whatever the answer holds, a terminal is not steered by it.
//!
//! # Standards
//! <https://no-color.org>, <https://bixense.com/clicolors/>; widths as in Unicode's annex 11.

use anstyle::{Ansi256Color, AnsiColor, Color, Style};
use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::open::header::clean_line;

/// Without a terminal.
const PIPED: usize = 80;
/// Narrower pages break every line, wider ones are tiring to read.
const NARROWEST: usize = 60;
const WIDEST: usize = 110;

/// What lies below a heading is moved by this much.
pub(super) const MARGIN: usize = 2;

/// How a word is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As text.
    Plain,
    /// The page's and its sections' names.
    Strong,
    /// What is there for those who look for it.
    Quiet,
    /// Done.
    Good,
    /// Half of the time is over.
    Soon,
    /// Most of the time is over, or a person should look.
    Near,
    /// Too late, or gone wrong.
    Alarm,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Quiet => Style::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Soon => colour(AnsiColor::Yellow),
            // between yellow and red; the sixteen colours have nothing there
            Self::Near => Style::new().fg_color(Some(Color::Ansi256(Ansi256Color(208)))),
            Self::Alarm => colour(AnsiColor::Red).bold(),
        }
    }

    fn paint(self, text: &str, styled: bool) -> String {
        if styled && self != Self::Plain {
            let style = self.style();
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// Whether standard output wants colours.
pub(super) fn coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// How wide a page on standard output is.
pub(super) fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    terminal.map_or(PIPED, |(width, _)| usize::from(width.0).clamp(NARROWEST, WIDEST))
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text and how it is said.
pub(super) type Span = (Tone, String);

/// A page as it is being written.
#[derive(Debug)]
pub(super) struct Sheet {
    width: usize,
    styled: bool,
    out: String,
}

impl Sheet {
    pub(super) fn new(width: usize, styled: bool) -> Self {
        Self { width, styled, out: String::new() }
    }

    /// The page without the end of its last line.
    pub(super) fn text(self) -> String {
        self.out.trim_end_matches('\n').to_owned()
    }

    pub(super) fn gap(&mut self) {
        self.out.push('\n');
    }

    pub(super) fn heading(&mut self, name: &str) {
        self.gap();
        self.hung(0, &[], &[(Tone::Strong, name.to_owned())]);
    }

    /// Cells of these widths, then a text that is wrapped to the right of `indent`. A cell that is wider than it should be
    /// moves what follows, and is not cut. Nothing at all makes no line.
    pub(super) fn hung(&mut self, indent: usize, cells: &[(Span, usize)], text: &[Span]) {
        self.line(0, indent, cells, text);
    }

    /// The same below a heading.
    pub(super) fn item(&mut self, indent: usize, cells: &[(Span, usize)], text: &[Span]) {
        self.line(MARGIN, indent, cells, text);
    }

    fn line(&mut self, margin: usize, indent: usize, cells: &[(Span, usize)], text: &[Span]) {
        let cells: Vec<(Tone, String, usize)> =
            cells.iter().map(|((tone, cell), width)| (*tone, clean_line(cell), *width)).collect();
        if cells.iter().all(|(_, cell, _)| cell.is_empty())
            && text.iter().all(|(_, text)| text.trim().is_empty())
        {
            return;
        }
        let mut column = margin;
        self.blank(margin);
        for (tone, cell, width) in cells {
            let taken = columns(&cell);
            self.out.push_str(&tone.paint(&cell, self.styled));
            let blank = width.saturating_sub(taken).max(usize::from(taken > 0));
            self.blank(blank);
            column = column.saturating_add(taken).saturating_add(blank);
        }
        let room = self.width.saturating_sub(indent).max(1);
        let lines = broken(text, room, self.width.saturating_sub(column.max(indent)));
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                self.end_line();
                column = 0;
            }
            if !line.is_empty() {
                self.blank(indent.saturating_sub(column));
            }
            self.words(line);
        }
        self.end_line();
    }

    /// Words of the same tone are painted as one.
    fn words(&mut self, line: &[Word]) {
        for run in line.chunk_by(|one, next| one.tone == next.tone) {
            let mut text = String::new();
            for (number, word) in run.iter().enumerate() {
                let between = if word.glued { "" } else { " " };
                if number > 0 {
                    text.push_str(between);
                } else {
                    self.out.push_str(between);
                }
                text.push_str(&word.text);
            }
            let tone = run.first().map_or(Tone::Plain, |word| word.tone);
            self.out.push_str(&tone.paint(&text, self.styled));
        }
    }

    fn blank(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    fn end_line(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        self.out.push('\n');
    }
}

#[derive(Debug, Clone)]
struct Word {
    tone: Tone,
    text: String,
    /// No blank stands before it.
    glued: bool,
}

/// The lines of a text; the first has other room than the rest.
fn broken(text: &[Span], room: usize, first: usize) -> Vec<Vec<Word>> {
    let mut lines = Vec::new();
    let mut line: Vec<Word> = Vec::new();
    let mut taken = 0_usize;
    for mut word in text.iter().flat_map(|(tone, text)| words(*tone, text, room)) {
        let blank = usize::from(!word.glued && !line.is_empty());
        let wanted = taken.saturating_add(blank).saturating_add(columns(&word.text));
        let here = if lines.is_empty() { first } else { room };
        let begins = line.is_empty() && (!lines.is_empty() || first >= room);
        if wanted > here && !begins && columns(&word.text) > 0 {
            lines.push(std::mem::take(&mut line));
            taken = columns(&word.text);
            word.glued = true;
        } else {
            word.glued |= line.is_empty();
            taken = wanted;
        }
        line.push(word);
    }
    lines.push(line);
    lines
}

/// The words of a text. One that has no blanks because its script has none is broken between wide characters; what may be an
/// address is not.
fn words(tone: Tone, text: &str, room: usize) -> Vec<Word> {
    let mut words = Vec::new();
    for whole in clean_line(text).split(' ').filter(|word| !word.is_empty()) {
        let wide = |c: char| c.width().is_some_and(|columns| columns > 1);
        if columns(whole) <= room || whole.contains('@') || !whole.contains(wide) {
            words.push(Word { tone, text: whole.to_owned(), glued: false });
            continue;
        }
        let mut glued = false;
        let mut piece = String::new();
        for c in whole.chars() {
            if wide(c) && !piece.is_empty() {
                words.push(Word { tone, text: std::mem::take(&mut piece), glued });
                glued = true;
            }
            piece.push(c);
        }
        words.push(Word { tone, text: piece, glued });
    }
    words
}

/// A text in at most so many columns: what lies in its middle is left out, for both ends of an address tell it from others.
pub(super) fn shortened(text: &str, room: usize) -> String {
    let text = clean_line(text);
    if columns(&text) <= room {
        return text;
    }
    let left = room.saturating_sub(1);
    let tail = left / 2;
    let mut head = String::new();
    for c in text.chars() {
        head.push(c);
        // as a whole: some characters are wider beside others
        if columns(&head) > left.saturating_sub(tail) {
            head.pop();
            break;
        }
    }
    let mut end = "";
    for (at, c) in text.char_indices().rev() {
        let longer = text.get(at..).unwrap_or_default();
        if columns(longer) > tail {
            break;
        }
        // a mark goes with the letter before it
        if c.width() != Some(0) {
            end = longer;
        }
    }
    format!("{head}…{end}")
}

/// `2026-11-20 23:00Z` of an RFC 3339 time.
pub(super) fn minute(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| at.strftime("%Y-%m-%d %H:%MZ").to_string())
}

/// `2026-11-20`, where the hour does not matter.
pub(super) fn day(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// `in 2 d 4 h`, `3 h late`; nothing of what is no time.
pub(super) fn relative(due: &str, now: Timestamp) -> Option<String> {
    let left = due.parse::<Timestamp>().ok()?.duration_since(now);
    let span = span(left.as_secs().unsigned_abs());
    Some(match (left.is_negative(), span.is_empty()) {
        (_, true) => "now".to_owned(),
        (true, false) => format!("{span} late"),
        (false, false) => format!("in {span}"),
    })
}

/// The nearer, the more exactly.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => String::new(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours @ ..3, 1..) => format!("{hours} h {minutes} min"),
        (0, hours, _) => format!("{hours} h"),
        (days @ ..10, 1.., _) => format!("{days} d {hours} h"),
        (days, _, _) => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_a_person_would() {
        let now: Timestamp = "2026-11-28T12:00:30Z".parse().unwrap();
        let told = |due: &str| relative(due, now).unwrap_or_default();
        assert_eq!(told("2026-11-30T16:40:00Z"), "in 2 d 4 h");
        assert_eq!(told("2026-11-28T09:00:00Z"), "3 h late");
        assert_eq!(told("2026-11-28T13:10:30Z"), "in 1 h 10 min");
        assert_eq!(told("2026-11-28T11:59:00Z"), "1 min late");
        assert_eq!(told("2026-11-28T12:01:00Z"), "now");
        assert_eq!(told("2026-11-14T11:00:00Z"), "14 d late");
        assert_eq!(told("2026-11-26T12:00:30Z"), "2 d late");
        assert_eq!(told("soon"), "");
    }

    #[test]
    fn what_is_shortened_keeps_both_ends() {
        assert_eq!(shortened("rita@example.net", 16), "rita@example.net");
        assert_eq!(shortened("rita@example.net", 11), "rita@…e.net");
        assert_eq!(shortened("汉字汉字汉字汉字", 8), "汉字…字");
        assert_eq!(shortened("abe\u{301}cde\u{301}f", 5), "ab…e\u{301}f");
        for room in 0..20 {
            for text in [
                "❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}❤\u{fe0f}",
                "👩\u{200d}🔬👩\u{200d}🔬👩\u{200d}🔬",
                "汉字汉字汉字汉字汉字汉字",
            ] {
                assert!(columns(&shortened(text, room)) <= room.max(1), "{text} {room}");
            }
        }
    }

    #[test]
    fn lines_break_between_words_only() {
        let page = |text: &str| {
            let mut sheet = Sheet::new(20, false);
            sheet.hung(4, &[((Tone::Plain, "ab".to_owned()), 4)], &[(Tone::Plain, text.to_owned())]);
            sheet.text()
        };
        assert_eq!(page("one two three four five"), "ab  one two three\n    four five");
        assert_eq!(page("an-address-that-is-long@example.net"), "ab  an-address-that-is-long@example.net");
        assert_eq!(page("汉字汉字汉字汉字汉字汉字"), "ab  汉字汉字汉字汉字\n    汉字汉字");
        assert_eq!(page("a\u{1b}[31mb\r\nc"), "ab  a[31mb c");
        assert_eq!(page(""), "ab");
    }
}
