//! Places at which a test may let the process die.
//!
//! # What it is for
//! What SIGKILL does between any two steps on the way of a mail shows only when it comes exactly there. In a debug build the
//! variable `PSIRTD_DIE_AT="journal synced:3"` lets psirtd kill itself when it passes that point for the third time: as
//! hard as the kernel does, nothing is flushed or dropped. `make crash` does so a thousand times.
//!
//! # Invariants
//! * In a release build a point does nothing, whatever the environment says.
//! * Each of [`POINTS`] is one place in the source, so that its name says where the process died.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// All points, in the order in which a mail passes them.
pub const POINTS: [&str; 17] = [
    // inbox
    "fetched",
    "recorded, not marked",
    "marked",
    // pipeline
    "opened",
    "decided",
    "sealed",
    "answered",
    // store
    "mail file half written",
    "mail files written",
    "letters written",
    "journal half written",
    "journal written",
    "journal synced",
    "index written",
    // outbox
    "before the letter is sent",
    "accepted, not recorded",
    "outcome recorded",
];

/// Where to die, and how many times it is passed until then.
struct Fate {
    name: String,
    left: AtomicU32,
}

impl Fate {
    /// `NAME:TIMES`
    fn parse(text: &str) -> Option<Self> {
        let (name, times) = text.rsplit_once(':')?;
        Some(Self { name: name.to_owned(), left: AtomicU32::new(times.parse().ok()?) })
    }

    fn is_met(&self, name: &str) -> bool {
        self.name == name && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// The process may die here.
pub fn point(name: &str) {
    if is_the_end(name) {
        die();
    }
}

/// Writes everything; the process may die when half of it is written.
pub fn write_all(name: &str, file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if is_the_end(name) {
        let (half, _) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        die();
    }
    file.write_all(bytes)
}

fn is_the_end(name: &str) -> bool {
    static FATE: OnceLock<Option<Fate>> = OnceLock::new();
    let asked = || std::env::var("PSIRTD_DIE_AT").ok().and_then(|text| Fate::parse(&text));
    cfg!(debug_assertions) && FATE.get_or_init(asked).as_ref().is_some_and(|fate| fate.is_met(name))
}

fn die() {
    // SIGKILL to oneself is always allowed, and nothing runs after it
    let _dead = kill_process(getpid(), Signal::KILL);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The names of all points below a folder.
    fn names(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, found);
            } else if !path.ends_with("crash.rs") {
                let text = fs::read_to_string(&path).unwrap();
                for call in text.split("crash::").skip(1) {
                    let (function, rest) = call.split_once('(').expect("a call");
                    assert!(["point", "write_all"].contains(&function), "{}: {function}", path.display());
                    let quoted = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"'));
                    found.push(quoted.expect("a name").0.to_owned());
                }
            }
        }
    }

    #[test]
    fn each_point_is_one_place_in_the_source() {
        let mut found = Vec::new();
        names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.sort();
        let mut known = POINTS.to_vec();
        known.sort_unstable();
        assert_eq!(found, known);
    }

    #[test]
    fn the_end_comes_once_and_at_its_place_only() {
        let fate = Fate::parse("recorded, not marked:2").unwrap();
        let passed = ["marked", "recorded, not marked", "recorded, not marked", "recorded, not marked"];
        assert_eq!(passed.map(|name| fate.is_met(name)), [false, false, true, false]);
        assert!(Fate::parse("marked").is_none() && Fate::parse("marked:x").is_none());
    }
}
