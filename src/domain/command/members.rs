//! What people of the team do with the distributors' list, as commands: `members suspend acme-linux`.

use crate::domain::distributor::MemberId;

/// What a person does with the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// Everybody on it; on the command line alone.
    List,
    /// The same, to be kept or imported elsewhere; on the command line alone.
    Export,
    /// What is in the text, a JSON array as `export` prints it, is put on it; on the command line alone.
    Import,
    /// One member.
    Show(MemberId),
    /// An organisation is put on it; the text is its certificate.
    Add {
        /// Its name.
        member: MemberId,
        /// Its role address.
        address: String,
        /// What it calls itself; its name, if it says nothing.
        organisation: Option<String>,
    },
    /// An application is accepted.
    Approve(MemberId),
    /// An application is refused.
    Refuse(MemberId),
    /// A person looked at a criterion.
    Review {
        /// Whose.
        member: MemberId,
        /// Which, counted from 1.
        criterion: usize,
        /// It is met.
        met: bool,
    },
    /// It gets nothing for now.
    Suspend(MemberId),
    /// It is active again.
    Resume(MemberId),
    /// It is taken off for good.
    Remove(MemberId),
    /// Its addresses are these.
    Addresses(MemberId, Vec<String>),
    /// The certificate in the text is its own, too.
    Certificate(MemberId),
    /// That certificate is its own no more.
    DropCertificate(MemberId, String),
    /// Its time zone.
    Zone(MemberId, String),
    /// It has attested again.
    Attest(MemberId),
}

/// How it is said.
const EXAMPLES: &str = "members show|approve|refuse|suspend|resume|remove|certificate|attest MEMBER, members add MEMBER ADDRESS \
                        [ORGANISATION], members review MEMBER CRITERION met|unmet, members address MEMBER ADDRESS..., members \
                        drop-certificate MEMBER FINGERPRINT, members zone MEMBER ZONE; list, export and import on the command line alone";

impl Members {
    /// Reads what follows the word `members`.
    pub fn parse(arguments: &[&str]) -> Result<Self, String> {
        let member = |text: &str| MemberId::typed(text);
        Ok(match arguments {
            ["list"] => Self::List,
            ["export"] => Self::Export,
            ["import"] => Self::Import,
            ["show", id] => Self::Show(member(id)?),
            ["add", id, address, organisation @ ..] => Self::Add {
                member: member(id)?,
                address: (*address).to_owned(),
                organisation: Some(organisation.join(" ")).filter(|name| !name.is_empty()),
            },
            ["approve", id] => Self::Approve(member(id)?),
            ["refuse", id] => Self::Refuse(member(id)?),
            ["review", id, criterion, met] => Self::Review {
                member: member(id)?,
                criterion: criterion
                    .parse()
                    .ok()
                    .filter(|number| *number > 0)
                    .ok_or_else(|| format!("“{criterion}” is no criterion: they are counted from 1"))?,
                met: match *met {
                    "met" => true,
                    "unmet" => false,
                    other => return Err(format!("“{other}” is neither “met” nor “unmet”")),
                },
            },
            ["suspend", id] => Self::Suspend(member(id)?),
            ["resume", id] => Self::Resume(member(id)?),
            ["remove", id] => Self::Remove(member(id)?),
            ["address", id, addresses @ ..] if !addresses.is_empty() => {
                Self::Addresses(member(id)?, addresses.iter().map(|text| (*text).to_owned()).collect())
            }
            ["certificate", id] => Self::Certificate(member(id)?),
            ["drop-certificate", id, fingerprint @ ..] if !fingerprint.is_empty() => {
                Self::DropCertificate(member(id)?, fingerprint.concat().to_uppercase())
            }
            ["zone", id, zone] => Self::Zone(member(id)?, (*zone).to_owned()),
            ["attest", id] => Self::Attest(member(id)?),
            [] => return Err(format!("what about them? {EXAMPLES}")),
            other => return Err(format!("“{}” is not understood: {EXAMPLES}", other.join(" "))),
        })
    }

    /// How a word that takes more than a member is said.
    pub fn example(word: &str) -> Option<&'static str> {
        Some(match word {
            "add" => "members add acme-linux security@acme.example Acme Linux",
            "review" => "members review acme-linux 3 met",
            "address" => "members address acme-linux security@acme.example psirt@acme.example",
            "drop-certificate" => "members drop-certificate acme-linux 89ABCDEF01234567",
            "zone" => "members zone acme-linux Europe/Berlin",
            _ => return None,
        })
    }

    /// The member that it is about.
    pub fn member(&self) -> Option<&MemberId> {
        match self {
            Self::List | Self::Export | Self::Import => None,
            Self::Show(member)
            | Self::Add { member, .. }
            | Self::Approve(member)
            | Self::Refuse(member)
            | Self::Review { member, .. }
            | Self::Suspend(member)
            | Self::Resume(member)
            | Self::Remove(member)
            | Self::Addresses(member, _)
            | Self::Certificate(member)
            | Self::DropCertificate(member, _)
            | Self::Zone(member, _)
            | Self::Attest(member) => Some(member),
        }
    }

    /// It tells who is on the list, which no mail does.
    pub fn tells_the_list(&self) -> bool {
        matches!(self, Self::List | Self::Export | Self::Import)
    }

    /// Its text is a certificate.
    pub fn wants_certificate(&self) -> bool {
        matches!(self, Self::Add { .. } | Self::Certificate(_))
    }
}
