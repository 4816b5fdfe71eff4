//! Reading TOML so that every error is found at once, each with its line and its key.
//!
//! serde stops at the first error and knows no line for a missing key; a person who sets up a desk wants the whole list. So the
//! `toml` crate parses, and this file takes the tables apart by name: what was never asked for is an unknown key.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The errors of one file.
#[derive(Debug)]
pub(super) struct Problems {
    file: PathBuf,
    text: String,
    found: RefCell<Vec<(usize, String)>>,
}

impl Problems {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), found: RefCell::default() }
    }

    /// Notes an error about a key at a place of the file.
    pub(super) fn at(&self, place: usize, key: &str, message: impl std::fmt::Display) {
        let before = self.text.as_bytes().get(..place).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        self.found.borrow_mut().push((line, format!("{}:{line}: {key}{message}", self.file.display())));
    }

    /// All errors in the order of their lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(line, _)| *line);
        found.into_iter().map(|(_, text)| text).collect()
    }
}

/// A value, where it stands and what it is called.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) place: usize,
    pub(super) key: String,
}

impl<T> Found<T> {
    /// Makes something of it, or notes why not.
    pub(super) fn and_then<U, E: std::fmt::Display>(
        self,
        problems: &Problems,
        make: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        make(self.value).map_err(|error| problems.at(self.place, &self.key, error)).ok()
    }
}

/// An entry of a list whose entries may be of several kinds.
pub(super) enum Item<'t> {
    /// A text.
    Text(Found<String>),
    /// A table.
    Table(Section<'t>),
    /// Where it stands; a list of texts.
    List(usize, Vec<Found<String>>),
    /// Where it stands; something else.
    Other(usize),
}

/// A table of the file.
pub(super) struct Section<'t> {
    name: String,
    table: &'t DeTable<'t>,
    pub(super) place: usize,
    asked: RefCell<BTreeSet<String>>,
    problems: &'t Problems,
}

impl<'t> Section<'t> {
    pub(super) fn root(table: &'t Spanned<DeTable<'t>>, problems: &'t Problems) -> Self {
        Self::new(String::new(), table.get_ref(), table.span(), problems)
    }

    fn new(name: String, table: &'t DeTable<'t>, span: Range<usize>, problems: &'t Problems) -> Self {
        Self { name, table, place: span.start, asked: RefCell::default(), problems }
    }

    pub(super) fn problems(&self) -> &'t Problems {
        self.problems
    }

    /// The full name of a key.
    pub(super) fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Notes that something is missing here.
    pub(super) fn missing(&self, key: &str, example: &str) {
        self.wrong(key, &format!("missing; write for example {example}"));
    }

    /// Notes what is wrong with a key, where the key stands, or the section when it has none.
    pub(super) fn wrong(&self, key: &str, message: &str) {
        let place = self.table.get(key).map_or(self.place, |value| value.span().start);
        self.problems.at(place, &self.key(key), message);
    }

    /// Is that key here, whatever its value is?
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn ask(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.table.get(key)
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Found<T>> {
        let value = self.ask(key)?;
        let found = read(value.get_ref());
        if found.is_none() {
            let kind = value.get_ref().type_str();
            self.problems.at(
                value.span().start,
                &self.key(key),
                format!("expected {expected}, found {kind}"),
            );
        }
        found.map(|found| Found { value: found, place: value.span().start, key: self.key(key) })
    }

    pub(super) fn text(&self, key: &str) -> Option<Found<String>> {
        self.typed(key, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn number(&self, key: &str) -> Option<Found<u64>> {
        self.typed(key, "a whole number", |value| {
            value.as_integer().and_then(|number| number.as_str().parse().ok())
        })
    }

    /// A switch that is off unless it is turned on.
    pub(super) fn switch(&self, key: &str) -> bool {
        self.typed(key, "true or false", DeValue::as_bool).is_some_and(|found| found.value)
    }

    /// A switch that is on unless it is turned off.
    pub(super) fn switch_off(&self, key: &str) -> bool {
        self.typed(key, "true or false", DeValue::as_bool).is_none_or(|found| found.value)
    }

    /// A switch that may be left alone.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool).map(|found| found.value)
    }

    pub(super) fn texts(&self, key: &str) -> Vec<Found<String>> {
        let list = self.typed(key, "a list of texts", DeValue::as_array);
        self.texts_of(key, list.map(|list| list.value))
    }

    /// The entries of a list, whatever they are.
    pub(super) fn items(&self, key: &str) -> Vec<Item<'t>> {
        let Some(list) = self.typed(key, "a list", DeValue::as_array) else { return Vec::new() };
        let entries = list.value.iter().zip(1_usize..);
        let item = |(entry, number): (&'t Spanned<DeValue<'t>>, usize)| match entry.get_ref() {
            DeValue::String(text) => {
                Item::Text(Found { value: text.to_string(), place: entry.span().start, key: self.key(key) })
            }
            DeValue::Table(table) => {
                let name = format!("{}[{number}]", self.key(key));
                Item::Table(Self::new(name, table, entry.span(), self.problems))
            }
            DeValue::Array(texts) => Item::List(entry.span().start, self.texts_of(key, Some(texts))),
            _ => Item::Other(entry.span().start),
        };
        entries.map(item).collect()
    }

    fn texts_of(&self, key: &str, list: Option<&'t DeArray<'t>>) -> Vec<Found<String>> {
        list.into_iter()
            .flat_map(|list| list.iter())
            .filter_map(|entry| {
                let text = entry.get_ref().as_str().map(str::to_owned);
                if text.is_none() {
                    self.problems.at(entry.span().start, &self.key(key), "expected a text in quotes");
                }
                text.map(|value| Found { value, place: entry.span().start, key: self.key(key) })
            })
            .collect()
    }

    pub(super) fn section(&self, key: &str) -> Option<Section<'t>> {
        let span = self.table.get(key).map(Spanned::span)?;
        let table = self.typed(key, "a table", DeValue::as_table)?;
        Some(Section::new(self.key(key), table.value, span, self.problems))
    }

    pub(super) fn sections(&self, key: &str) -> Vec<Section<'t>> {
        let Some(list) = self.typed(key, "tables", DeValue::as_array) else { return Vec::new() };
        list.value
            .iter()
            .zip(1_usize..)
            .filter_map(|(entry, number)| {
                let table = entry.get_ref().as_table()?;
                Some(Section::new(format!("{key}[{number}]"), table, entry.span(), self.problems))
            })
            .collect()
    }

    /// Everything has been asked for: the rest is unknown.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter().filter(|(key, _)| !asked.contains(key.get_ref().as_ref())) {
            let name = key.get_ref();
            let known = asked.iter().cloned().collect::<Vec<_>>().join(", ");
            self.problems.at(key.span().start, &self.key(name), format!("unknown key; known here: {known}"));
        }
    }
}
