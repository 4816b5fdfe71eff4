//! Whether what a case is about is still known to those alone who have to know.
//!
//! # What it is for
//! P-5: a matter that is publicly known has no embargo any more, and its publication is due now. What is agreed before that (a date,
//! who consented) is not here yet: until a person says otherwise everything is confidential.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Embargo {
    /// Nothing is agreed, and everything is confidential.
    #[default]
    None,
    /// The matter is publicly known.
    Broken {
        /// Since a person said so.
        since: Timestamp,
        /// Where it stands, as that person says.
        place: Option<String>,
    },
}

impl Embargo {
    /// Since when the matter is publicly known, if it is.
    pub fn public_since(&self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Broken { since, .. } => Some(*since),
        }
    }
}
