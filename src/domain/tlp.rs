//! How far what a mail says may travel: the Traffic Light Protocol.
//!
//! # Invariants
//! * A label is one of five, in capitals, never translated; anything else is refused, not guessed.
//!
//! # Standards
//! TLP 2.0 (FIRST, August 2022). It limits sharing; until when something is embargoed is another question.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Tlp {
    /// For the eyes of the recipients alone.
    #[serde(rename = "TLP:RED")]
    Red,
    /// For the recipients' organisation alone.
    #[serde(rename = "TLP:AMBER+STRICT")]
    AmberStrict,
    /// For the recipients' organisation and its clients, as far as they need to know.
    #[default]
    #[serde(rename = "TLP:AMBER")]
    Amber,
    /// For the community.
    #[serde(rename = "TLP:GREEN")]
    Green,
    /// For everybody.
    #[serde(rename = "TLP:CLEAR")]
    Clear,
}

impl Tlp {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 5] = [Self::Red, Self::AmberStrict, Self::Amber, Self::Green, Self::Clear];

    /// As the standard writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Red => "TLP:RED",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Amber => "TLP:AMBER",
            Self::Green => "TLP:GREEN",
            Self::Clear => "TLP:CLEAR",
        }
    }

    /// Who may have what bears the label besides the recipients' organisations and their clients, if anybody may.
    pub fn frees(self) -> Option<&'static str> {
        match self {
            Self::Red | Self::AmberStrict | Self::Amber => None,
            Self::Green => Some("the whole community"),
            Self::Clear => Some("everybody"),
        }
    }

    /// As a person types it: `TLP:AMBER`, in any case, or `amber`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let upper = text.to_uppercase();
        let name = upper.strip_prefix("TLP:").unwrap_or(&upper);
        Self::ALL.into_iter().find(|label| label.word().strip_prefix("TLP:") == Some(name)).ok_or_else(|| {
            let all = Self::ALL.map(Self::word).join(", ");
            format!("“{text}” is no label of TLP 2.0: they are {all}")
        })
    }
}

impl fmt::Display for Tlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_in_any_case_and_nothing_else_is_one() {
        for (text, label) in [
            ("TLP:AMBER+STRICT", Tlp::AmberStrict),
            ("tlp:amber", Tlp::Amber),
            ("red", Tlp::Red),
            ("Clear", Tlp::Clear),
        ] {
            assert_eq!(Tlp::parse(text), Ok(label), "{text}");
        }
        // WHITE is of TLP 1.0
        for text in ["TLP:WHITE", "TLP: AMBER", "", "amber strict"] {
            assert!(Tlp::parse(text).unwrap_err().contains("TLP:AMBER+STRICT"), "{text}");
        }
    }
}
