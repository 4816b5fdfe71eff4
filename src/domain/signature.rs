//! What the OpenPGP signature of a mail is worth, and how the desk came to the certificate that says so.
//!
//! # Invariants
//! * [`Verified`] is minted only by `open/pgp.rs`. The *lack* of an error never means "valid".
//! * Every outcome has its own word ([`Signature::verdict`]). [`Signature::word`] is the short form that scripts rely on.
//!
//! # Standards
//! RFC 9580; "first use" is what SSH calls trust on first use.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::message::Digest;

/// What the OpenPGP signature of a mail is worth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Signature {
    /// There is none.
    #[default]
    None,
    /// By a certificate held for the From address, over the whole message.
    Good(Verified),
    /// Right, by the certificate that this very mail offers for its author: what anybody can do under any name.
    Offered {
        /// Fingerprint of the certificate.
        signer: String,
    },
    /// Right, by a certificate that is held for somebody else.
    OtherAddress {
        /// Fingerprint of the certificate.
        signer: String,
    },
    /// By a key the desk does not hold.
    UnknownKey {
        /// Fingerprint or key id as the signature names it.
        signer: Option<String>,
    },
    /// Not right.
    Bad {
        /// Fingerprint or key id as the signature names it.
        signer: Option<String>,
        /// What is wrong with it.
        fault: Fault,
        /// The same in a few words.
        why: String,
    },
    /// Right, but over a part of the mail only.
    Partial {
        /// Fingerprint of the key that signed that part.
        signer: Option<String>,
    },
}

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not fit what it is said to sign.
    Broken,
    /// It, or its key, was not valid any more, or not yet.
    Expired,
    /// Its key is revoked.
    Revoked,
    /// Its key or its hash is too weak, or its key may not sign.
    Refused,
    /// It was written to somebody else: the mail was passed on in its author's name.
    NotForUs,
    /// It cannot be read.
    Malformed,
}

impl Signature {
    /// A known certificate of the author signed the whole mail.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }

    /// The short word of the verdict: `none`, `good`, `unknown-key`, `bad` or `partial`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Good(_) => "good",
            Self::Offered { .. } | Self::OtherAddress { .. } | Self::UnknownKey { .. } => "unknown-key",
            Self::Bad { .. } => "bad",
            Self::Partial { .. } => "partial",
        }
    }

    /// The verdict's own word.
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Good(_) => "good",
            Self::Offered { .. } => "offered-key",
            Self::OtherAddress { .. } => "other-address",
            Self::UnknownKey { .. } => "unknown-key",
            Self::Bad { fault, .. } => match fault {
                Fault::Broken => "broken",
                Fault::Expired => "expired",
                Fault::Revoked => "revoked-key",
                Fault::Refused => "refused",
                Fault::NotForUs => "not-for-us",
                Fault::Malformed => "malformed",
            },
            Self::Partial { .. } => "partial",
        }
    }

    /// Fingerprint (or key id) of whoever signed, if the signature names one.
    pub fn signer(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Good(verified) => Some(verified.fingerprint()),
            Self::Offered { signer } | Self::OtherAddress { signer } => Some(signer),
            Self::UnknownKey { signer } | Self::Bad { signer, .. } | Self::Partial { signer } => {
                signer.as_deref()
            }
        }
    }

    /// How the desk came to the certificate that a good signature is by.
    pub fn standing(&self) -> Option<Standing> {
        match self {
            Self::Good(verified) => Some(verified.standing()),
            Self::Offered { .. } => Some(Standing::Offered),
            _ => None,
        }
    }
}

/// How the desk came to a certificate. What stands higher is not replaced by what stands lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// This mail brings it along.
    Offered,
    /// It was found in the Web Key Directory of the address' domain.
    LookedUp,
    /// An earlier mail brought it along, and the desk remembers it.
    Seen,
    /// The configuration names it.
    Pinned,
}

impl Standing {
    /// As `--json` prints it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::LookedUp => "looked-up",
            Self::Seen => "seen",
            Self::Pinned => "pinned",
        }
    }
}

/// Proof that a signature was checked, by which certificate, over the whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    fingerprint: String,
    standing: Standing,
    signed_at: Timestamp,
    id: Digest,
    further: Vec<Digest>,
    named: bool,
    lapsed: bool,
}

impl Verified {
    /// Called by `open/pgp.rs` alone, right after the check (`tests/architecture.rs` watches over it).
    pub fn mint(
        fingerprint: String,
        standing: Standing,
        signed_at: Timestamp,
        id: Digest,
        named: bool,
    ) -> Self {
        Self { fingerprint, standing, signed_at, id, further: Vec::new(), named, lapsed: false }
    }

    /// These signatures are as good, and stand beside it.
    pub fn beside(self, further: Vec<Digest>) -> Self {
        Self { further, ..self }
    }

    /// The key was valid when it signed, by its own word, and is not any more.
    pub fn by_a_lapsed_key(self, lapsed: bool) -> Self {
        Self { lapsed, ..self }
    }

    /// See [`Self::by_a_lapsed_key`].
    pub fn is_lapsed(&self) -> bool {
        self.lapsed
    }

    /// What identifies each good signature of the mail: whoever takes one away has not made another mail.
    pub fn ids(&self) -> impl Iterator<Item = &Digest> {
        std::iter::once(&self.id).chain(&self.further)
    }

    /// The certificate's fingerprint, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How the desk came to the certificate.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// When the signature was made, by its own word.
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// What identifies the signature, whatever was done to the mail around it, or to what of it is not signed itself: a digest
    /// of what was signed, when, and by which certificate.
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// The configuration names this very certificate for this very address. (Anybody's certificate can say of itself whose it is.)
    pub fn is_named(&self) -> bool {
        self.named
    }
}

/// Where a certificate came from that a mail, or a directory, brought to the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The `Autocrypt` field.
    Autocrypt,
    /// An attached key.
    Attached,
    /// The Web Key Directory of the address' domain.
    Directory,
    /// A person put it on the distributors' list, or it was proven there.
    Roster,
}

impl Source {
    /// As people read it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Autocrypt => "Autocrypt field",
            Self::Attached => "attached key",
            Self::Directory => "Web Key Directory",
            Self::Roster => "distributors' list",
        }
    }

    /// What a certificate of this source is to the desk once it is remembered.
    pub fn standing(self) -> Standing {
        match self {
            Self::Autocrypt | Self::Attached => Standing::Seen,
            Self::Directory => Standing::LookedUp,
            Self::Roster => Standing::Pinned,
        }
    }
}

/// A certificate for an address that is not pinned: offered by a mail, found in a directory, or remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its fingerprint, in hexadecimal.
    pub fingerprint: String,
    /// Where it came from.
    pub source: Source,
    /// The certificate itself, with the user ids of the one address only; armored.
    pub armored: String,
}

impl Certificate {
    /// It says nothing else, wherever it came from.
    pub fn same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.armored == other.armored
    }
}
