//! docs/letters.md names what templates may speak of, all of it and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use psirtd::domain::letter::LetterKind;
use psirtd::seal::template::sample;
use serde_json::Value;

/// Variables of a letter, `lines.at` for the `at` of each of `lines`, and their types.
type Variables = BTreeMap<String, &'static str>;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Every kind has a template in English: its name is the kind's.
fn kinds() -> Vec<LetterKind> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/templates/en");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned());
    let kinds: Vec<LetterKind> = names.map(|name| serde_json::from_value(name.into()).unwrap()).collect();
    assert!(kinds.len() >= 5, "{kinds:?}");
    kinds
}

/// The variables of a value that is there, in all its parts.
fn given(value: &Value, name: &str, variables: &mut Variables) {
    let kind = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                given(value, &format!("{name}{dot}{field}"), variables);
            }
            return;
        }
        Value::Array(items) => match items.first().expect("a list with something in it") {
            item @ Value::Object(_) => return given(item, name, variables),
            Value::Array(_) => "list of lists",
            _ => "list of text",
        },
        Value::Bool(_) => "yes or no",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Null => panic!("{name}: a sample has everything"),
    };
    variables.insert(name.to_owned(), kind);
}

/// The rows of a section's table: variable, type, meaning, when absent.
fn rows<'p>(page: &'p str, section: &str) -> Vec<[&'p str; 4]> {
    let start = format!("\n## {section}\n");
    let (_, text) = page.split_once(&start).unwrap_or_else(|| panic!("no section {section}"));
    let text = text.split("\n## ").next().unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("not four cells: {line}"))
    })
    .collect()
}

/// The variables that a section names.
fn named(page: &str, section: &str, before: &str, variables: &mut Variables) {
    const TYPES: [&str; 5] = ["text", "number", "yes or no", "list of text", "list of lists"];
    for [variable, kind, meaning, absent] in rows(page, section) {
        let name = format!("{before}{}", variable.trim_matches('`'));
        assert!(!meaning.is_empty() && !absent.is_empty(), "{section}: {name}");
        if let Some((_, link)) = kind.split_once("](#") {
            named(page, link.trim_end_matches(')'), &format!("{name}."), variables);
            continue;
        }
        let kind = TYPES.iter().find(|known| **known == kind);
        let kind = kind.unwrap_or_else(|| panic!("{section}: no such type: {kind:?} of {name}"));
        assert!(variables.insert(name.clone(), kind).is_none(), "{section}: {name} is there twice");
    }
}

#[test]
fn the_page_names_every_variable_of_every_letter() {
    let page = read("docs/letters.md");
    for kind in kinds() {
        let (mut there, mut told) = (Variables::new(), Variables::new());
        given(&serde_json::to_value(sample(kind)).unwrap(), "", &mut there);
        named(&page, kind.word(), "", &mut told);
        assert_eq!(told, there, "{}", kind.word());
        assert!(
            page.contains(&format!("\n| [{0}](#{0}) |", kind.word())),
            "{}: in the overview",
            kind.word()
        );
    }
}

/// Whoever looks for how to replace a letter finds its file's name.
#[test]
fn the_page_names_every_file() {
    let page = read("docs/letters.md");
    let configuration = read("config/psirtd.toml");
    for kind in kinds() {
        let file = format!("{}.txt", kind.word());
        assert!(page.contains(&format!("`{file}`")) && configuration.contains(&file), "{file}");
    }
}

/// The reader of the page is itself held against a page.
#[test]
fn the_reader_of_the_page_reads() {
    let page = "\n## a\n\n| variable | type | meaning | when absent |\n|---|---|---|---|\n\
                | `x` | text | `|` is no end | never |\n| `y` | list of [b](#b) | b | empty |\n\n\
                ## b\n\n| `z` | number | z | 0 |\n";
    let mut told = Variables::new();
    named(page, "a", "", &mut told);
    assert_eq!(told, Variables::from([("x".to_owned(), "text"), ("y.z".to_owned(), "number")]));
}
