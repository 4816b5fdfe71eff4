//! Phrases that show what a report speaks of: one file a language, compiled in or the operator's own.
//!
//! # The form of a phrase
//! Found whatever its case, and whatever white space separates its words. It begins and ends with a word; `*` at its end leaves
//! the end of the last word open, `^` at its beginning asks for the beginning of a line. Nothing else is special: a phrase can be
//! read, and shown to whoever asks why.
//!
//! # Invariants
//! Looking for phrases takes time in proportion to the text, and remembers nothing of it but the phrase found.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use memchr::memmem;
use serde::Deserialize;

use crate::domain::report::Item;

/// A negation stands so many words before what it negates, at most.
const NEAR: usize = 4;
/// The end of a letter is a line of so many characters at most, and its signature has so many lines.
const SHORT: usize = 60;
const SIGNATURE: usize = 6;

/// What a phrase can speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// One of the five things of a report.
    Item(Item),
    /// Confidentiality, privilege or integrity are lost (P-23).
    Priority,
    /// The service stops (P-23).
    Availability,
    /// It is publicly known (P-5).
    Public,
    /// It is no matter of security (P-4).
    NotSecurity,
    /// A default is not safe (P-24).
    SafeDefaults,
    /// The letter ends: a name follows.
    SignOff,
    /// What follows is not so.
    Negation,
}

/// All phrases of a desk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    phrases: BTreeMap<Topic, Vec<Phrase>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Phrase {
    /// As it is written in the file.
    written: String,
    /// Lower case, one space between words.
    words: String,
    /// It stands at the beginning of a line.
    begins_a_line: bool,
    /// The last word may go on.
    open: bool,
}

/// A file of phrases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    language: String,
    identity: Vec<String>,
    steps: Vec<String>,
    effects: Vec<String>,
    surface: Vec<String>,
    other_projects: Vec<String>,
    priority: Vec<String>,
    availability: Vec<String>,
    public: Vec<String>,
    not_security: Vec<String>,
    safe_defaults: Vec<String>,
    sign_offs: Vec<String>,
    negations: Vec<String>,
}

/// The files compiled in, by the name the configuration gives them.
pub const COMPILED_IN: [(&str, &str); 4] = [
    ("en", include_str!("../../../config/patterns/en.toml")),
    ("de", include_str!("../../../config/patterns/de.toml")),
    ("fr", include_str!("../../../config/patterns/fr.toml")),
    ("es", include_str!("../../../config/patterns/es.toml")),
];

impl Patterns {
    /// Those every desk begins with.
    pub fn english() -> Arc<Self> {
        static ENGLISH: LazyLock<Arc<Patterns>> = LazyLock::new(|| {
            let text = COMPILED_IN.iter().find(|(name, _)| *name == "en").map_or("", |(_, text)| text);
            let mut patterns = Patterns::default();
            // a test reads every file that is compiled in
            let _none = patterns.add(text);
            Arc::new(patterns)
        });
        Arc::clone(&ENGLISH)
    }

    /// Adds the phrases of a file.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if file.language.trim().is_empty() {
            return Err("it names no language".to_owned());
        }
        for (topic, phrases) in file.topics() {
            for written in phrases {
                let phrase = Phrase::new(&written).ok_or(format!("“{written}” is no phrase"))?;
                self.phrases.entry(topic).or_default().push(phrase);
            }
        }
        Ok(())
    }

    /// The first phrase about a topic that stands in a text.
    pub(super) fn find(&self, topic: Topic, text: &Text) -> Option<&str> {
        let phrases = self.phrases.get(&topic)?;
        let found = phrases.iter().find(|phrase| phrase.is_in(text, &|_| true));
        found.map(|phrase| phrase.written.as_str())
    }

    /// The same, but not right behind a word that turns it into its opposite.
    pub(super) fn find_said(&self, topic: Topic, text: &Text) -> Option<&str> {
        let phrases = self.phrases.get(&topic)?;
        let negations = self.phrases.get(&Topic::Negation).map(Vec::as_slice).unwrap_or_default();
        let negates = |word: &str| negations.iter().any(|negation| negation.words == word);
        let is_said = |before: &str| !before.split_whitespace().rev().take(NEAR).any(negates);
        let found = phrases.iter().find(|phrase| phrase.is_in(text, &is_said));
        found.map(|phrase| phrase.written.as_str())
    }

    /// A name of two words or more in the lines after the end of the letter.
    pub(super) fn signature(&self, text: &str) -> Option<String> {
        let sign_offs = self.phrases.get(&Topic::SignOff)?;
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let ends = |line: &&str| {
            let line = Text::new(line);
            sign_offs.iter().any(|phrase| phrase.is_in(&line, &|_| true))
        };
        // the last words of a letter are its end
        let at = lines.iter().rposition(|line| line.chars().count() <= SHORT && ends(line))?;
        let after = lines.get(at..)?.iter().take(SIGNATURE);
        after.copied().find(|line| is_name(line)).map(str::to_owned)
    }
}

impl File {
    fn topics(self) -> [(Topic, Vec<String>); 12] {
        [
            (Topic::Item(Item::Identity), self.identity),
            (Topic::Item(Item::Steps), self.steps),
            (Topic::Item(Item::Effects), self.effects),
            (Topic::Item(Item::Surface), self.surface),
            (Topic::Item(Item::OtherProjects), self.other_projects),
            (Topic::Priority, self.priority),
            (Topic::Availability, self.availability),
            (Topic::Public, self.public),
            (Topic::NotSecurity, self.not_security),
            (Topic::SafeDefaults, self.safe_defaults),
            (Topic::SignOff, self.sign_offs),
            (Topic::Negation, self.negations),
        ]
    }
}

impl Phrase {
    fn new(written: &str) -> Option<Self> {
        let begins_a_line = written.starts_with('^');
        let rest = written.strip_prefix('^').unwrap_or(written);
        let open = rest.ends_with('*');
        let words = folded(rest.strip_suffix('*').unwrap_or(rest));
        (!words.is_empty()).then(|| Self { written: written.to_owned(), words, begins_a_line, open })
    }

    /// Is it there, behind a text that `fits`?
    fn is_in(&self, text: &Text, fits: &dyn Fn(&str) -> bool) -> bool {
        if self.begins_a_line {
            return text.lines.iter().any(|line| {
                let rest = line.strip_prefix(self.words.as_str());
                rest.is_some_and(|rest| self.ends_well(rest))
            });
        }
        // most of what a decision costs is spent here
        memmem::find_iter(text.whole.as_bytes(), &self.words).any(|at| {
            let before = text.whole.get(..at).and_then(|before| before.chars().next_back());
            let after = text.whole.get(at.saturating_add(self.words.len())..).unwrap_or_default();
            let begins_well = !(goes_on(self.words.chars().next()) && goes_on(before));
            begins_well && self.ends_well(after) && fits(text.whole.get(..at).unwrap_or_default())
        })
    }

    /// The last word of it is the whole word.
    fn ends_well(&self, after: &str) -> bool {
        self.open || !(goes_on(self.words.chars().next_back()) && goes_on(after.chars().next()))
    }
}

/// "Rita Q. Reporter", "Annika Lindqvist, Example Security": each word begins with a capital.
fn is_name(line: &str) -> bool {
    let name = line.split([',', '|', '(', '<']).next().unwrap_or_default();
    let words: Vec<&str> =
        name.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).collect();
    let capital = |word: &&&str| word.chars().next().is_some_and(char::is_uppercase);
    let letters = name.chars().all(|c| c.is_alphabetic() || c.is_whitespace() || "-.'’/&".contains(c));
    (2..=6).contains(&words.len()) && letters && words.iter().filter(capital).count() >= 2
}

/// A word goes on with this.
fn goes_on(character: Option<char>) -> bool {
    character.is_some_and(char::is_alphanumeric)
}

/// A text, ready to be searched.
#[derive(Debug)]
pub(super) struct Text {
    whole: String,
    lines: Vec<String>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(folded).filter(|line| !line.is_empty()).collect();
        Self { whole: lines.join(" "), lines }
    }
}

/// Lower case, plain apostrophes, one space between words.
fn folded(text: &str) -> String {
    let plain = text.to_lowercase().replace(['’', '‘'], "'");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(phrase: &str, text: &str) -> bool {
        Phrase::new(phrase).unwrap().is_in(&Text::new(text), &|_| true)
    }

    #[test]
    fn a_phrase_is_made_of_words() {
        assert!(finds("poc", "See the PoC."));
        assert!(!finds("poc", "an epoch"));
        assert!(!finds("poc", "pocket"));
        assert!(finds("reproduc*", "Reproduction:"));
        assert!(finds("steps to reproduce", "Steps\n   to  reproduce"));
        assert!(finds("i'm a", "I’m a student"));
        assert!(finds("```", "```sh"));
    }

    #[test]
    fn a_line_begins_with_it() {
        assert!(finds("^1.", "First:\n  1. Upload"));
        assert!(!finds("^1.", "version 1.2"));
        assert!(finds("^$", "$ curl x"));
        assert!(finds("^regards", "Regards,\nRita"));
        assert!(!finds("^regards", "as regards the parser"));
    }

    #[test]
    fn every_file_that_is_compiled_in_can_be_read() {
        for (name, text) in COMPILED_IN {
            let mut patterns = Patterns::default();
            patterns.add(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(patterns.phrases.len(), 12, "{name}");
        }
    }

    #[test]
    fn a_wrong_file_is_told() {
        let add = |text: &str| Patterns::default().add(text).unwrap_err();
        assert!(add("language = \"x\"\nsteps = 1\n").contains("expected"));
        assert!(add("language = \"x\"\nstep = []\n").contains("unknown field"));
        assert_eq!(add("steps = []"), "it names no language");
        assert_eq!(add("language = \"x\"\nsteps = [\" *\"]"), "“ *” is no phrase");
    }
}
