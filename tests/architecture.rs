//! The house stands as it was drawn: who may know whom, what the core must not touch, how large a room may grow.
//!
//! The compiler lets any file of a crate use any other. These tests read the source instead, and fail with file and line.
//! They look at the code that ships: comments, texts in quotes and `#[cfg(test)]` modules do not count.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// All arrows of the house: the room on the left may use what the path on the right names, and everything below it.
/// A room may always use itself. Whoever adds an arrow adds it here, and says in the commit why it is needed.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &["clock", "config", "control", "custody", "daemon", "domain", "inbox", "keyring", "open", "outbox"],
    ),
    // the demo among them plays its reporters, too
    ("cli", &["pipeline", "progress", "seal::pgp::sign_and_encrypt", "store", "telemetry"]),
    (
        "daemon",
        &[
            "clock",
            "config",
            "control",
            "custody",
            "health",
            "inbox",
            "lookup",
            "outbox",
            "pipeline",
            "scheduler",
            "store",
        ],
    ),
    ("scheduler", &["domain::concern", "inbox::stopped", "pipeline"]),
    // it knows no door: each of them says how it is
    ("health", &["clock", "domain::concern", "telemetry::without_addresses"]),
    // each door owns its settings, the configuration composes them
    ("config", &["domain", "inbox", "keyring", "outbox", "seal::Letterhead", "seal::template", "tls"]),
    ("control", &["clock", "domain", "inbox::stopped", "pipeline", "store"]),
    // the desk's key keeps the data key of the store, which knows no keys
    ("custody", &["keyring", "open::open_own", "seal::pgp::sign_and_encrypt", "store::vault"]),
    ("inbox", &["chance", "clock", "domain", "health", "pipeline", "progress::Backlog"]),
    ("inbox", &["store::index::Lookup", "store::index::Restored", "telemetry::without_addresses", "tls"]),
    ("outbox", &["clock", "domain", "health", "inbox::stopped", "pipeline", "tls"]),
    ("pipeline", &["chance", "clock", "domain", "health", "keyring", "open", "seal", "store", "telemetry"]),
    ("telemetry", &["domain", "progress::Lines"]),
    ("seal", &["domain", "keyring", "open::header::clean_line", "open::mime::with_crlf"]),
    ("lookup", &["clock", "domain", "inbox::stopped", "keyring", "pipeline", "tls"]),
    ("open", &["domain", "keyring"]),
    ("keyring", &["domain"]),
    // it draws keys and nonces
    ("store", &["chance", "domain"]),
    // where tests may let the process die
    ("inbox", &["crash"]),
    ("outbox", &["crash"]),
    ("pipeline", &["crash"]),
    ("store", &["crash"]),
    // domain, chance, clock, crash, progress and tls know nobody
];

/// The core is pure: no files, no network, no time, no chance, no logs, no waiting, no keys.
const FORBIDDEN_PATHS: [&str; 4] = ["std::fs", "std::net", "std::env", "std::io"];
const FORBIDDEN_WORDS: [&str; 16] = [
    "tokio",
    "async",
    "await",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
    "rand",
    "tracing",
    "println",
    "eprintln",
    "print",
    "eprint",
    "sequoia_openpgp",
    "openpgp",
];

/// A file that has more lines, tests not counted, is two rooms. The aim is 500.
const MOST_LINES: usize = 620;

#[test]
fn arrows_run_one_way() {
    let mut wrong = String::new();
    let mut used = BTreeSet::new();
    for file in sources() {
        for (line, path) in file.paths_from("crate").into_iter().chain(file.paths_from("psirtd")) {
            let to = path.split("::").next().unwrap();
            if to == file.room || (file.room == "lib" || to.is_empty()) {
                continue;
            }
            let allowed = allowed(&file.room, &path);
            if allowed.is_empty() {
                writeln!(wrong, "src/{}:{line}: {} must not know {path}", file.name, file.room).unwrap();
            }
            used.extend(allowed);
        }
        for line in file.roundabout() {
            writeln!(wrong, "src/{}:{line}: write `crate::`, not `super::`, for another room", file.name)
                .unwrap();
        }
    }
    for (from, targets) in ARROWS {
        for to in targets.iter().filter(|to| !used.contains(&(*from, **to))) {
            writeln!(wrong, "ARROWS: nobody uses {from} -> {to}: take it out of the table").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn no_arrow_of_the_table_is_written_twice() {
    let mut seen = BTreeSet::new();
    for (from, targets) in ARROWS {
        for to in *targets {
            assert!(seen.insert((from, to)), "{from} -> {to}");
        }
    }
}

#[test]
fn the_core_is_pure() {
    let mut wrong = String::new();
    let mut looked_at = 0;
    for file in sources().into_iter().filter(|file| file.room == "domain") {
        looked_at += 1;
        for (line, path) in file.paths_from("std") {
            let path = format!("std::{path}");
            for forbidden in FORBIDDEN_PATHS.iter().chain(&FORBIDDEN_WORDS) {
                if is_below(&path, forbidden) || path.ends_with(&format!("::{forbidden}")) {
                    writeln!(wrong, "src/{}:{line}: {path}", file.name).unwrap();
                }
            }
        }
        for (number, line) in (1..).zip(file.code.lines()) {
            for word in FORBIDDEN_WORDS.iter().filter(|word| has_word(line, word)) {
                writeln!(wrong, "src/{}:{number}: {word}", file.name).unwrap();
            }
        }
    }
    assert!(looked_at > 10, "only {looked_at} files of the domain were found");
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// “Good” is said in one place, after a certificate has been held against the author.
#[test]
fn verified_is_minted_in_one_place() {
    let mut minting: Vec<String> = Vec::new();
    for file in sources() {
        for (number, line) in (1..).zip(file.code.lines()) {
            if has_word(line, "mint") && !line.contains("fn mint(") {
                minting.push(format!("src/{}:{number}", file.name));
            }
        }
    }
    let elsewhere: Vec<&String> =
        minting.iter().filter(|place| !place.starts_with("src/open/pgp.rs:")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert!(!minting.is_empty(), "nobody mints `Verified` any more: this test looks for the wrong word");
}

/// Look-ups that connect to the machine itself are for tests: nothing that ships asks for one.
#[test]
fn no_look_up_reaches_the_machine_itself() {
    for file in sources().into_iter().filter(|file| file.room != "lookup") {
        for (number, line) in (1..).zip(file.code.lines()) {
            assert!(!has_word(line, "Loopback"), "src/{}:{number}", file.name);
        }
    }
}

#[test]
fn no_room_is_too_large() {
    let long: Vec<(String, usize)> = sources()
        .into_iter()
        .map(|file| (file.name, file.lines))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines: {long:?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources() {
        let first = file.text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.len() > "//! ".len(), "src/{}: {first:?}", file.name);
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = manifest.split("[lints.rust]").nth(1).expect("a table of lints");
    let lints = lints.split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line.trim() == "unsafe_code = \"forbid\""), "{lints}");
}

/// The reader of this file is itself held against known text: a blind test would pass forever.
#[test]
fn the_reader_reads() {
    let text = r##"//! crate::no::comment
use crate::open::{self, header::{clean, clean_line as tidy}, Message as M};
use crate::{inbox, outbox::*};
use std::{fs::File, fmt};
fn f<'a>(x: &'a str) -> char { /* crate::no */ let _ = "crate::no"; let _ = r#"crate::no "quoted""#; '"' }
fn g() { crate::store::index::open::<u8>() }
#[cfg(test)]
mod tests {
    use crate::no;
}
fn after() -> crate::clock::Clock {}
"##;
    let file = Source::new("seal/mod.rs".to_owned(), text.to_owned());
    let found: Vec<String> =
        file.paths_from("crate").into_iter().map(|(line, path)| format!("{line} {path}")).collect();
    assert_eq!(
        found,
        [
            "2 open",
            "2 open::header::clean",
            "2 open::header::clean_line",
            "2 open::Message",
            "3 inbox",
            "3 outbox",
            "6 store::index::open",
            "11 clock::Clock"
        ]
    );
    assert_eq!(file.paths_from("std"), [(4, "fs::File".to_owned()), (4, "fmt".to_owned())]);
    assert_eq!((file.room.as_str(), file.lines), ("seal", 7));
    assert!(has_word("let x = rand ::f()", "rand") && !has_word("operand random", "rand"));
}

fn allowed(from: &str, path: &str) -> Vec<(&'static str, &'static str)> {
    let rows = ARROWS.iter().filter(|(room, _)| *room == from);
    let arrows = rows.flat_map(|(room, targets)| targets.iter().map(|to| (*room, *to)));
    arrows.filter(|(_, to)| is_below(path, to)).collect()
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_a_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !part_of_a_word(line[..at].chars().next_back())
            && !part_of_a_word(line[at + word.len()..].chars().next())
    })
}

/// A file of `src`.
struct Source {
    /// Relative to `src`.
    name: String,
    /// The top module it belongs to.
    room: String,
    text: String,
    /// Comments, texts and test modules blanked; every line is where it was.
    code: String,
    /// Lines outside test modules.
    lines: usize,
}

impl Source {
    fn new(name: String, text: String) -> Source {
        let room = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let mut code = String::new();
        let (mut in_tests, mut lines) = (false, 0);
        let blanked = blank(&text);
        let blanked: Vec<&str> = blanked.lines().collect();
        for (number, line) in blanked.iter().enumerate() {
            let next = blanked.get(number + 1).copied().unwrap_or_default();
            let opens_module = has_word(next, "mod") && next.ends_with('{') && !next.starts_with(' ');
            if *line == "#[cfg(test)]" && opens_module {
                in_tests = true;
            }
            if !in_tests {
                code.push_str(line);
                lines += 1;
            }
            code.push('\n');
            if in_tests && *line == "}" {
                in_tests = false;
            }
        }
        Source { name, room, text, code, lines }
    }

    /// Every path that begins with this name, without it, and its line; lists in braces are taken apart.
    fn paths_from(&self, start: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices(start) {
            let before = self.code[..at].chars().next_back();
            let rest = &self.code[at + start.len()..];
            let alone = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            if let Some(rest) = rest.strip_prefix("::").filter(|_| alone) {
                let line = self.code[..at].matches('\n').count() + 1;
                let mut paths = Vec::new();
                tree(rest, "", &mut paths);
                found.extend(paths.into_iter().map(|path| (line, path)));
            }
        }
        found
    }

    /// Lines of a top file in which `super::` means the crate.
    fn roundabout(&self) -> Vec<usize> {
        let top =
            !self.name.contains('/') || self.name.matches('/').count() == 1 && self.name.ends_with("/mod.rs");
        let lines = (1..).zip(self.code.lines());
        lines.filter(|(_, line)| top && line.contains("super::")).map(|(number, _)| number).collect()
    }
}

/// Reads one path or tree of `use`; returns what follows it.
fn tree<'t>(text: &'t str, prefix: &str, paths: &mut Vec<String>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, prefix, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if more.trim_start().starts_with('}') => return after_brace(more),
                Some(more) => rest = more,
                None => return after_brace(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = match (name, prefix) {
        ("self" | "", _) => prefix.to_owned(),
        (_, "") => name.to_owned(),
        _ => format!("{prefix}::{name}"),
    };
    match rest.strip_prefix("::") {
        Some(more) if !more.starts_with('<') => tree(more, &path, paths),
        _ => {
            paths.push(path);
            let rest = rest.strip_prefix('*').unwrap_or(rest);
            match rest.trim_start().strip_prefix("as ") {
                Some(renamed) => renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
                None => rest,
            }
        }
    }
}

fn after_brace(text: &str) -> &str {
    text.trim_start().strip_prefix('}').unwrap_or(text)
}

/// Comments and what stands in quotes become blanks.
fn blank(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_name = out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let hidden = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            quoted(rest)
        } else if c == 'r' && !after_name && rest[1..].trim_start_matches('#').starts_with('"') {
            let fence = rest[1..].len() - rest[1..].trim_start_matches('#').len();
            let end = format!("\"{}", "#".repeat(fence));
            rest[fence + 2..].find(&end).map_or(rest.len(), |at| fence + 2 + at + end.len())
        } else if c == '\'' {
            character(rest)
        } else {
            0
        };
        if hidden == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..hidden].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[hidden..];
        }
    }
    out.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character in quotes; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 3)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join("src"), &mut found);
    found.sort();
    assert!(found.len() > 30, "only {} files in src", found.len());
    let src = root().join("src");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
            Source::new(name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
