//! The words of each letter: compiled in, overridable from the configuration.
//!
//! # What it is for
//! A template is a text file whose first line is `Subject: …`, then an empty line, then the body (minijinja's syntax, a dialect
//! of Jinja2). A file of the same name in `desk.templates` replaces the one compiled in.
//!
//! # Invariants
//! * A template that does not parse, or that names a fact there is not, is found when the configuration is read.
//! * The acknowledgement's facts hold nothing of the report: a template cannot quote what it is not given.

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::domain::letter::LetterKind;

const KINDS: [LetterKind; 12] = [
    LetterKind::Acknowledgement,
    LetterKind::Relay,
    LetterKind::Warning,
    LetterKind::Status,
    LetterKind::Digest,
    LetterKind::Answer,
    LetterKind::Note,
    LetterKind::Results,
    LetterKind::Reminder,
    LetterKind::Notice,
    LetterKind::Proposal,
    LetterKind::Membership,
];

/// The sets compiled in. What a language lacks (the letters to the team) is English.
const COMPILED_IN: [(&str, LetterKind, &str); 15] = [
    ("en", LetterKind::Acknowledgement, include_str!("../../config/templates/en/acknowledgement.txt")),
    ("en", LetterKind::Relay, include_str!("../../config/templates/en/relay.txt")),
    ("en", LetterKind::Warning, include_str!("../../config/templates/en/warning.txt")),
    ("en", LetterKind::Status, include_str!("../../config/templates/en/status.txt")),
    ("en", LetterKind::Digest, include_str!("../../config/templates/en/digest.txt")),
    ("en", LetterKind::Answer, include_str!("../../config/templates/en/answer.txt")),
    ("en", LetterKind::Note, include_str!("../../config/templates/en/note.txt")),
    ("en", LetterKind::Results, include_str!("../../config/templates/en/results.txt")),
    ("en", LetterKind::Reminder, include_str!("../../config/templates/en/reminder.txt")),
    ("en", LetterKind::Notice, include_str!("../../config/templates/en/notice.txt")),
    ("en", LetterKind::Proposal, include_str!("../../config/templates/en/proposal.txt")),
    ("en", LetterKind::Membership, include_str!("../../config/templates/en/membership.txt")),
    ("de", LetterKind::Answer, include_str!("../../config/templates/de/answer.txt")),
    ("de", LetterKind::Acknowledgement, include_str!("../../config/templates/de/acknowledgement.txt")),
    ("de", LetterKind::Status, include_str!("../../config/templates/de/status.txt")),
];

/// The widest line that every mail program shows as one.
const WIDTH: usize = 76;

/// The languages that letters can be written in.
pub const LANGUAGES: [&str; 2] = ["en", "de"];

fn compiled_in(language: &str, kind: LetterKind) -> &'static str {
    let of = |language: &str| {
        COMPILED_IN
            .iter()
            .find(|(in_language, of, _)| *in_language == language && *of == kind)
            .map(|(.., text)| *text)
    };
    of(language).or_else(|| of("en")).unwrap_or_default()
}

/// All templates, parsed and tried.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

/// A letter in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub subject: String,
    /// Lines ended by LF; but for what is always encrypted, without white space before it.
    pub body: String,
}

impl Templates {
    /// The templates of a language that are compiled in, with `read(name)` asked first for each (`acknowledgement.txt`, `relay.txt`).
    pub fn new(
        language: &str,
        mut read: impl FnMut(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, Vec<String>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("fold", fold);
        let mut errors = Vec::new();
        for kind in KINDS {
            let name = file_name(kind);
            let text = match read(&name) {
                Ok(text) => text.unwrap_or_else(|| compiled_in(language, kind).to_owned()),
                Err(error) => {
                    errors.push(format!("template {name}: {error}"));
                    continue;
                }
            };
            if let Err(error) = environment.add_template_owned(name.clone(), text) {
                errors.push(format!("template {name}: {error}"));
            }
        }
        let templates = Self { environment };
        if errors.is_empty() {
            errors.extend(KINDS.iter().filter_map(|kind| templates.render(*kind, &sample(*kind)).err()));
        }
        if errors.is_empty() { Ok(templates) } else { Err(errors) }
    }

    /// Puts the facts into words.
    pub fn render(&self, kind: LetterKind, facts: &Value) -> Result<Words, String> {
        let name = file_name(kind);
        let broken = |error: minijinja::Error| format!("template {name}: {error}");
        let text = self.environment.get_template(&name).map_err(broken)?.render(facts).map_err(broken)?;
        let text: &str = text.trim_start();
        let (first, body) = text.split_once('\n').unwrap_or((text, ""));
        let subject = first
            .strip_prefix("Subject:")
            .ok_or_else(|| format!("template {name}: its first line is not “Subject: …”"))?;
        // white space at a line's end may be lost on the way, and the signature with it; what is encrypted is safe, and in a
        // patch it counts
        let as_it_is = matches!(
            kind,
            LetterKind::Relay
                | LetterKind::Note
                | LetterKind::Results
                | LetterKind::Notice
                | LetterKind::Proposal
        );
        let end = |line| if as_it_is { line } else { str::trim_end(line) };
        let mut body: String = body.lines().map(end).collect::<Vec<_>>().join("\n").trim().to_owned();
        body.push('\n');
        Ok(Words { subject: subject.trim().to_owned(), body })
    }
}

/// Lines of at most [`WIDTH`] characters, where there is a space to break them at. The first stands behind `indent` characters of the
/// template; what is broken off is indented as far.
fn fold(text: &str, indent: usize) -> String {
    let broken = text.lines().enumerate().map(|(at, line)| {
        let indented: String = line.chars().take_while(|c| *c == ' ').collect();
        let mut folded = indented.clone();
        let mut column = indented.chars().count().saturating_add(if at == 0 { indent } else { 0 });
        for (at, word) in line.trim_start_matches(' ').split(' ').enumerate() {
            let width = word.chars().count();
            if at > 0 && column.saturating_add(width) < WIDTH {
                folded.push(' ');
                column = column.saturating_add(1);
            } else if at > 0 {
                folded.push('\n');
                folded.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            }
            folded.push_str(word);
            column = column.saturating_add(width);
        }
        folded
    });
    broken.collect::<Vec<_>>().join("\n")
}

fn file_name(kind: LetterKind) -> String {
    format!("{}.txt", kind.word())
}

/// Every fact a template may name, so that a wrong name shows at once.
pub fn sample(kind: LetterKind) -> Value {
    let desk = context! { name => "Example", address => "security@example.org" };
    let moment = context! {
        weekday => 5, day => 2, month => 1, year => 2026, time => "23:59", zone => "PST", utc => "2026-01-03 07:59 UTC",
    };
    let owed = context! {
        case => "EX-2026-0001", kind => "plan", wanted => "x", due => "then", late => false, percent => 50, owner => "a@example.org",
        nearing => "x",
    };
    match kind {
        LetterKind::Acknowledgement => context! {
            desk, case => "EX-2026-0001", within => 3, within_unit => "business days",
            first_response => moment.clone(), plan => moment,
            missing => ["identity", "steps", "effects", "surface", "other-projects"],
            unreadable => false, too_large => false, came_in_clear => true,
            public_tracker => "https://example.org/issues", process => "https://example.org/SECURITY.md",
            key => context! { fingerprint => "0123", armored => "-----BEGIN" },
        },
        LetterKind::Status => context! {
            desk, case => "EX-2026-0001", phase => "received", waiting => false,
            late => context! { what => "first-response", due => moment.clone() }, next => context! { what => "plan", due => moment },
        },
        LetterKind::Warning => context! { desk, concerns => ["x"] },
        LetterKind::Digest => context! {
            desk, more => 1, late => [owed.clone()], today => [owed],
            held => [context! { letter => "EX-2026-0001.2", kind => "relay", to => "a@example.net", why => "x" }],
            // one line with everything, and one with as little as there may be
            lines => [
                context! {
                    at => "2026-01-02 10:00Z", case => "EX-2026-0001", kind => "junk", from => "a@example.net", subject => "x",
                    why => "x", release => "EX-2026-0001.1",
                },
                context! {
                    at => "2026-01-02 10:00Z", case => "EX-2026-0001", kind => "junk", from => (), subject => (), why => "x",
                    release => (),
                },
            ],
        },
        LetterKind::Reminder => context! { desk, clocks => [owed], more => 1 },
        LetterKind::Answer => context! {
            desk, case => "EX-2026-0001", topic => "reply", text => "x", subject => "x", class => "upstream", upstream => "x",
            public_tracker => "https://example.org/issues", process => "https://example.org/SECURITY.md",
            supported => ["0.12"], severity => "7.5 high (CVSS:3.1/...)", place => "https://example.com",
            embargo => context! { state => "revised", until => moment, date => "2026-01-03", reason => "not-tested" },
        },
        LetterKind::Note => {
            context! { desk, case => "EX-2026-0001", by => "a@example.org", sent => false, text => "x", subject => "x" }
        }
        LetterKind::Results => context! {
            desk, case => "EX-2026-0001", refused => false, doubtful => false, commands => ["take"], lines => ["x"],
            sent => "x", page => "x", shown => false,
        },
        LetterKind::Notice => context! {
            desk, case => "EX-2026-0001", sort => "notice", tlp => "TLP:AMBER", number => 1, text => "x", attachments => ["x"],
            author => "x", embargo => "agreed", reason => "x", place => "x", asks => ["x"], policy => "1",
            policy_page => "x", marked => true, until => ["x"], mark => "x",
        },
        LetterKind::Proposal => context! {
            desk, case => "EX-2026-0001", number => 1, by => "x", what => "x", own => false, four_eyes => true, unsigned => false,
            recipients => 5, warnings => ["x"], text => "x", to_reporter => "x", lines => ["x"], attachments => ["x"],
        },
        LetterKind::Membership => context! {
            desk, case => "EX-2026-0001", topic => "application", organisation => "x", member => "x", token => "x",
            asks_key => true, lines => ["x"], text => "x", policy => "1", policy_page => "x", automatic => true, marked => true,
        },
        LetterKind::Relay => context! {
            desk, case => "EX-2026-0001", occasion => "new report", pending => false, kind => "report", from => "a@example.net",
            trust => "x", received => "now", hints => ["x"], versions => ["x"], release => "EX-2026-0001.1",
            status => "EX-2026-0001.1", subject => "x", encryption => "x", signature => "x", signer => "x",
            certificate => "x", problem => "x", problems => ["x"],
            form => ["x"], why_no_answer => "x", missing => ["identity"], deadlines => [["plan", "then"]], attachments => ["x"], text => "x",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_compiled_in_are_right() {
        for language in LANGUAGES {
            Templates::new(language, |_| Ok(None)).unwrap();
        }
    }

    #[test]
    fn lines_are_folded_where_there_is_a_space() {
        let words = "word ".repeat(20);
        let folded = fold(words.trim(), 4);
        // 4 in the template, and 14 words of 4 with a space between: 73; the next would make it 78
        assert_eq!(folded, format!("{}\n    {}", ["word"; 14].join(" "), ["word"; 6].join(" ")));
        let just = "x".repeat(35);
        assert_eq!(fold(&format!("{just} {just}x"), 4), format!("{just} {just}x"), "76 characters");
        assert_eq!(fold(&format!("{just} {just}xx"), 4), format!("{just}\n    {just}xx"));
        let address = format!("https://example.org/{}", "x".repeat(80));
        assert_eq!(fold(&format!("see {address}"), 2), format!("see\n  {address}"), "no word is broken");
        assert_eq!(fold("a  b\n    c\n\nd", 4), "a  b\n    c\n\nd", "what fits is as it was");
    }

    #[test]
    fn a_wrong_template_is_found_when_it_is_read() {
        let with = |text: &str| {
            let text = text.to_owned();
            Templates::new("en", move |name| Ok((name == "relay.txt").then(|| text.clone())))
                .unwrap_err()
                .join("\n")
        };
        assert!(with("Subject: x\n\n{{ case ").contains("relay.txt"));
        assert!(with("Subject: x\n\n{{ reporter_name }}").contains("undefined"));
        assert!(with("Hello").contains("first line"));
    }
}
