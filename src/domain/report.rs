//! What a report says, and what it lacks (P-6).
//!
//! The written process proposes five things that a report should hold. The rules here are words to look for: explainable,
//! and generous, because asking for what is already there annoys a person who is helping. They only decide what the
//! acknowledgement asks for, once; never whether there is a case.

use serde::{Deserialize, Serialize};

use crate::domain::message::{Attachment, Message};

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

    /// The words that show that a report speaks of it.
    fn signs(self) -> &'static [&'static str] {
        match self {
            Self::Identity => &[
                "my name is",
                "i am ",
                "i'm ",
                "regards",
                "affiliation",
                "researcher",
                "on behalf of",
                "we are",
                "team at",
                "team of",
                "university",
                "gmbh",
                "inc.",
                "ltd",
                "cheers",
                "sincerely",
                "thanks,",
                "--\n",
                "-- \n",
            ],
            Self::Steps => &[
                "steps to reproduce",
                "to reproduce",
                "reproduc",
                "proof of concept",
                "proof-of-concept",
                "poc",
                "exploit",
                "step 1",
                "1. ",
                "1) ",
                "curl ",
                "$ ",
                "run the following",
                "payload",
                "```",
                "screenshot",
                "logs",
            ],
            Self::Effects => &[
                "impact",
                "effect",
                "allows",
                "attacker",
                "leads to",
                "leak",
                "crash",
                "denial of service",
                "execute",
                "execution",
                "overflow",
                "bypass",
                "disclos",
                "escalat",
                "injection",
                "corrupt",
                "read arbitrary",
                "takeover",
            ],
            Self::Surface => &[
                "attack surface",
                "exposed",
                "remote",
                "network",
                "unauthenticated",
                "authenticated",
                "default configuration",
                "internet",
                "reachable",
                "user interaction",
                "privileges required",
                "affects",
                "affected",
                "local user",
                "attack vector",
                "untrusted",
            ],
            Self::OtherProjects => &[
                "depend",
                "library",
                "upstream",
                "downstream",
                "other project",
                "third party",
                "third-party",
                "package",
                "in conjunction",
                "together with",
                "plugin",
                "no other",
                "kernel",
                "version of",
            ],
        }
    }
}

/// What the report does not speak of. Of a report nobody can read yet nothing is said to be missing.
pub fn missing(message: &Message) -> Vec<Item> {
    if message.is_unreadable() || message.not_fetched {
        return Vec::new();
    }
    let text = message.text.to_lowercase();
    Item::ALL.into_iter().filter(|item| !is_there(*item, message, &text)).collect()
}

fn is_there(item: Item, message: &Message, text: &str) -> bool {
    let named =
        || message.author().is_some_and(|author| author.name.as_ref().is_some_and(|name| name.contains(' ')));
    let attached = || message.attachments.iter().any(may_show_steps);
    match item {
        Item::Identity if named() => true,
        Item::Steps if attached() => true,
        _ => item.signs().iter().any(|sign| begins_a_word(text, sign)),
    }
}

/// "poc" is no sign in "epoch", nor "inc." in "async.".
fn begins_a_word(text: &str, sign: &str) -> bool {
    let inside = |at: usize| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        sign.starts_with(char::is_alphanumeric) && before.is_some_and(char::is_alphanumeric)
    };
    text.match_indices(sign).any(|(at, _)| !inside(at))
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
    use crate::domain::message::Mailbox;

    fn lacks(text: &str) -> Vec<&'static str> {
        let message = Message {
            from: vec![Mailbox::bare("rita@example.net")],
            text: text.to_owned(),
            ..Message::default()
        };
        missing(&message).into_iter().map(Item::word).collect()
    }

    #[test]
    fn an_empty_report_lacks_everything() {
        assert_eq!(lacks(""), ["identity", "steps", "effects", "surface", "other-projects"]);
    }

    #[test]
    fn a_good_report_lacks_nothing() {
        let text = "I am Rita of Example University. Steps to reproduce: run the following. An unauthenticated attacker on \
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
            missing(&message).contains(&Item::Steps)
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
    fn an_unreadable_report_is_not_blamed() {
        let message = Message { problem: Some("no secret key".to_owned()), ..Message::default() };
        assert_eq!(missing(&message), []);
    }
}
