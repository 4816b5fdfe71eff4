//! Writes the few shapes of a picture as SVG.
//!
//! # What it is for
//! Five elements and their attributes do not need a library, and this one has to be right in two things: every text is
//! escaped, in attributes too, and what XML does not allow at all is left out, whatever a phase or a desk is called.
//!
//! # Invariants
//! * No scripts, no references to anything outside, no style sheet: attributes alone survive every word processor.
//! * Numbers have one decimal at most: the same figures are the same bytes.

use std::fmt::Write;

/// Dark text.
pub(super) const INK: &str = "#1f2937";
/// Text that explains.
pub(super) const SOFT: &str = "#5b6573";
/// Lines that only guide the eye.
pub(super) const HAIR: &str = "#e3e7ec";
/// In time.
pub(super) const GOOD: &str = "#2563a8";
/// Late; told from the other one by people who confuse red and green, and by its shape.
pub(super) const LATE: &str = "#c8501e";
/// Neither yet.
pub(super) const IDLE: &str = "#c3cad3";
/// Behind the times that a promise allows.
pub(super) const WITHIN: &str = "#edf4fb";

const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// At its beginning.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) color: &'static str,
    pub(super) anchor: Anchor,
}

impl Look {
    /// Running text.
    pub(super) const fn of(size: f64, color: &'static str) -> Self {
        Self { size, bold: false, color, anchor: Anchor::Start }
    }

    /// The same in bold.
    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// The same, held elsewhere.
    pub(super) const fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// A picture as it is drawn.
#[derive(Debug, Default)]
pub(super) struct Canvas(String);

impl Canvas {
    /// A rectangle.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        let (x, y, width, height, fill) = (short(x), short(y), short(width), short(height), escaped(fill));
        self.put(&format!(r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"/>"#));
    }

    /// A line; `dash` as SVG writes it, empty for none.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: &str, width: f64, dash: &str) {
        let (x1, y1, x2, y2) = (short(from.0), short(from.1), short(to.0), short(to.1));
        let (color, width, dash) = (escaped(color), short(width), escaped(dash));
        let dash = if dash.is_empty() { dash } else { format!(r#" stroke-dasharray="{dash}""#) };
        self.put(&format!(
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}" stroke-width="{width}"{dash}/>"#
        ));
    }

    /// A case: a circle in time, a diamond late; filled when the step was reached, hollow while it waits.
    pub(super) fn case(&mut self, (x, y): (f64, f64), late: bool, hollow: bool) {
        let color = if late { LATE } else { GOOD };
        let paint = if hollow {
            format!(r##"fill="#ffffff" stroke="{color}" stroke-width="1.1""##)
        } else {
            format!(r#"fill="{color}""#)
        };
        if late {
            let (left, right, top, bottom) = (short(x - 3.4), short(x + 3.4), short(y - 3.4), short(y + 3.4));
            let (x, y) = (short(x), short(y));
            self.put(&format!(r#"<path d="M{x} {top}L{right} {y}L{x} {bottom}L{left} {y}Z" {paint}/>"#));
        } else {
            let (x, y) = (short(x), short(y));
            self.put(&format!(r#"<circle cx="{x}" cy="{y}" r="2.7" {paint}/>"#));
        }
    }

    /// A text.
    pub(super) fn text(&mut self, (x, y): (f64, f64), look: Look, words: &str) {
        let (x, y, size, color, words) = (short(x), short(y), short(look.size), look.color, escaped(words));
        let weight = if look.bold { r#" font-weight="600""# } else { "" };
        let anchor = match look.anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        self.put(&format!(
            r#"<text x="{x}" y="{y}" font-size="{size}" fill="{color}"{weight}{anchor}>{words}</text>"#
        ));
    }

    /// The whole picture on white, which a dark page leaves white.
    pub(super) fn finish(self, (width, height): (f64, f64), title: &str, description: &str) -> String {
        let (width, height) = (short(width), short(height));
        let (title, description, shapes) = (escaped(title), escaped(description), self.0);
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="figures-title figures-desc" font-family="{FONT}">
<title id="figures-title">{title}</title>
<desc id="figures-desc">{description}</desc>
<rect width="100%" height="100%" fill="#ffffff"/>
{shapes}</svg>
"##
        )
    }

    fn put(&mut self, element: &str) {
        // writing to a String cannot fail
        let _ = writeln!(self.0, "{element}");
    }
}

/// A number as short as it is drawn.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as XML holds it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if character.is_control() => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_escaped() {
        for (text, expected) in [
            ("R&D <desk>", "R&amp;D &lt;desk&gt;"),
            ("\"it's\"", "&quot;it&#39;s&quot;"),
            ("a\u{1}b\nc\u{ffff}", "a b c"),
            ("Österreich 安全", "Österreich 安全"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [(3.0, "3"), (12.34, "12.3"), (-0.01, "0"), (0.25, "0.2"), (120.0, "120")] {
            assert_eq!(short(number), expected);
        }
    }
}
