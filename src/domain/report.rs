//! What a report says, and what it lacks (P-6); and hints at how it should be looked at (P-4, P-5, P-16, P-23, P-24).
//!
//! The written process proposes five things that a report should hold. The rules here are phrases to look for: explainable, and
//! generous, because asking for what is already there annoys a person who is helping. They decide what the acknowledgement asks
//! for, once; never whether there is a case, who hears of it, or when. A hint is a word to the person who decides.

pub mod patterns;
pub mod versions;

use serde::{Deserialize, Serialize};

use crate::domain::message::{Attachment, Message};
use crate::domain::policy::Policy;
use crate::domain::report::patterns::{Text, Topic};
use crate::domain::report::versions::Version;

/// Of a longer text the rest is not read for what it speaks of: a log, mostly. Characters.
const MAX_READ: usize = 64 * 1024;

/// The five things of P-6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// Name and affiliation.
    Identity,
    /// Steps to reproduce: proof of concept, screenshots, logs.
    Steps,
    /// Effects, and the hardware and software configuration.
    Effects,
    /// How usage is affected: the attack surface.
    Surface,
    /// Other projects or dependencies involved.
    OtherProjects,
}

impl Item {
    /// All of them, in the order of the written process.
    pub const ALL: [Self; 5] =
        [Self::Identity, Self::Steps, Self::Effects, Self::Surface, Self::OtherProjects];

    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Steps => "steps",
            Self::Effects => "effects",
            Self::Surface => "surface",
            Self::OtherProjects => "other-projects",
        }
    }
}

/// A word to the person who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// Confidentiality, privilege or integrity seem to be lost: the highest priority (P-23).
    Priority,
    /// The service seems to be stopped: serious, too (P-23).
    Availability,
    /// It seems to be publicly known: at once (P-5).
    Public,
    /// It reads like no matter of security: the public tracker (P-4).
    NotSecurity,
    /// It reads like a lack of safe defaults, which is not acted on (P-24).
    SafeDefaults,
    /// Every version it names is none that is supported (P-16).
    Unsupported,
}

impl Hint {
    /// As people and `--json` read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Availability => "availability",
            Self::Public => "public",
            Self::NotSecurity => "not-security",
            Self::SafeDefaults => "safe-defaults",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A report as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// What it speaks of, and the words that show it.
    pub present: Vec<(Item, String)>,
    /// What it does not speak of. Of a report nobody can read yet nothing is said to be missing.
    pub missing: Vec<Item>,
    /// Hints, and the words that gave them.
    pub hints: Vec<(Hint, String)>,
    /// The versions it names.
    pub versions: Vec<Version>,
}

impl Reading {
    /// The hints without the words of the report.
    pub fn hints(&self) -> Vec<Hint> {
        self.hints.iter().map(|(hint, _)| *hint).collect()
    }
}

/// Reads a report.
pub fn read(message: &Message, policy: &Policy) -> Reading {
    if message.is_unreadable() || message.not_fetched {
        return Reading::default();
    }
    let subject = message.subject.as_deref().unwrap_or_default();
    let beginning: String = message.text.chars().take(MAX_READ).collect();
    let text = Text::new(&format!("{subject}\n{beginning}"));
    let found = |topic| policy.patterns.find(topic, &text).map(str::to_owned);
    let mut reading =
        Reading { versions: versions::named(&beginning, subject, &policy.supported), ..Reading::default() };
    for item in Item::ALL {
        let signed = || policy.patterns.signature(&beginning).filter(|_| item == Item::Identity);
        match beside_the_text(item, message).or_else(signed).or_else(|| found(Topic::Item(item))) {
            Some(words) => reading.present.push((item, words)),
            None => reading.missing.push(item),
        }
    }
    for (hint, topic) in [
        (Hint::Public, Topic::Public),
        (Hint::Priority, Topic::Priority),
        (Hint::Availability, Topic::Availability),
        (Hint::SafeDefaults, Topic::SafeDefaults),
        (Hint::NotSecurity, Topic::NotSecurity),
    ] {
        let said = policy.patterns.find_said(topic, &text).map(str::to_owned);
        // what loses confidentiality is looked at first anyway
        let said = said.filter(|_| hint != Hint::Availability || !reading.hints().contains(&Hint::Priority));
        reading.hints.extend(said.map(|words| (hint, words)));
    }
    if !reading.versions.is_empty() && reading.versions.iter().all(|version| !version.supported) {
        let named: Vec<&str> = reading.versions.iter().map(|version| version.number.as_str()).collect();
        reading.hints.push((Hint::Unsupported, named.join(", ")));
    }
    reading
}

/// What shows an item without a word: a full name in From, a file that was chosen to be sent.
fn beside_the_text(item: Item, message: &Message) -> Option<String> {
    match item {
        Item::Identity => {
            let name = message.author()?.name.as_ref().filter(|name| is_of_a_person(name))?;
            Some(format!("From: {name}"))
        }
        Item::Steps => {
            let file = message.attachments.iter().find(|file| may_show_steps(file))?;
            Some(format!("attached: {}", file.name.as_deref().unwrap_or("a file")))
        }
        _ => None,
    }
}

/// Two words, and none of those under which nobody in particular writes.
fn is_of_a_person(name: &str) -> bool {
    const NOBODY: [&str; 16] = [
        "security",
        "analyst",
        "researcher",
        "hunter",
        "hacker",
        "bounty",
        "bug",
        "team",
        "support",
        "admin",
        "cyber",
        "whitehat",
        "white",
        "info",
        "anonymous",
        "pentester",
    ];
    let mut words = name.split_whitespace().map(str::to_lowercase);
    name.trim().contains(' ') && !words.any(|word| NOBODY.contains(&word.as_str()))
}

/// A file that somebody chose to send: not another form of the text, not a key or a signature that goes with every mail.
fn may_show_steps(file: &Attachment) -> bool {
    let of_the_text = matches!(file.name.as_deref(), Some("body.html" | "body.txt" | "encrypted.asc"));
    let of_the_program = ["application/pgp-", "application/pkcs7-", "application/x-pkcs7-", "text/x-vcard"];
    !of_the_text && !of_the_program.iter().any(|kind| file.media_type.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::policy;
    use crate::domain::message::Mailbox;

    fn reading(message: &Message) -> Reading {
        read(message, &policy())
    }

    fn lacks(text: &str) -> Vec<&'static str> {
        let message = Message {
            from: vec![Mailbox::bare("rita@example.net")],
            text: text.to_owned(),
            ..Message::default()
        };
        reading(&message).missing.into_iter().map(Item::word).collect()
    }

    fn hints(text: &str) -> Vec<&'static str> {
        let message = Message { text: text.to_owned(), ..Message::default() };
        reading(&message).hints().into_iter().map(Hint::word).collect()
    }

    #[test]
    fn an_empty_report_lacks_everything() {
        assert_eq!(lacks(""), ["identity", "steps", "effects", "surface", "other-projects"]);
    }

    #[test]
    fn a_good_report_lacks_nothing() {
        let text = "My name is Rita, of Example University. Steps to reproduce: run the following. An unauthenticated attacker on \
                    the network can crash the parser. The library libfoo is used together with it.";
        assert_eq!(lacks(text), Vec::<&str>::new());
    }

    #[test]
    fn a_file_may_show_steps_but_a_key_does_not() {
        let file = |name: &str, media_type: &str| Attachment {
            name: Some(name.to_owned()),
            media_type: media_type.to_owned(),
            bytes: Vec::new(),
        };
        let lacks = |file| {
            let message = Message { attachments: vec![file], ..Message::default() };
            reading(&message).missing.contains(&Item::Steps)
        };
        assert!(!lacks(file("poc.py", "text/x-python")));
        assert!(lacks(file("body.html", "application/octet-stream")));
        assert!(lacks(file("OpenPGP_0x1.asc", "application/pgp-keys")));
        assert!(lacks(file("smime.p7s", "application/pkcs7-signature")));
    }

    /// Reports begin with "Dear team"; that is the desk, not the reporter.
    #[test]
    fn signs_are_words() {
        assert_eq!(lacks("Dear team, in this epoch all blogs are async."), lacks(""));
        assert!(!lacks("See the PoC.").contains(&"steps"));
        assert!(!lacks("I work in the security team of Example").contains(&"identity"));
    }

    #[test]
    fn half_a_report() {
        assert_eq!(
            lacks("A crafted file leads to a heap overflow. PoC below."),
            ["identity", "surface", "other-projects"]
        );
    }

    #[test]
    fn hints_name_what_a_person_should_see_first() {
        assert_eq!(hints("An SQL injection; it is on Twitter already."), ["public", "priority"]);
        assert_eq!(hints("A crafted tile makes the server hang."), ["availability"]);
        assert_eq!(hints("This is a feature request."), ["not-security"]);
        assert_eq!(hints("Hello"), Vec::<&str>::new());
    }

    #[test]
    fn an_unreadable_report_is_not_blamed() {
        let message = Message { problem: Some("no secret key".to_owned()), ..Message::default() };
        assert_eq!(reading(&message), Reading::default());
    }
}
