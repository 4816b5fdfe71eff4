//! The door for questions: the certificates a domain publishes for one of its addresses, by Web Key Directory.
//!
//! # What it is for
//! A report is signed by a key that nobody here holds. [`look_up`] asks the web server of the reporter's own domain for the
//! certificate. The caller ([`door`]) decides whether to ask at all, for the question tells that domain that somebody here
//! writes to the address, and the caller decides whether what is found may be used: it may be expired or revoked.
//!
//! # Invariants
//! A stranger chooses the domain, so a stranger steers this request and writes its answer.
//! * HTTPS on port 443 only, to public addresses only. When one address of a host is not public, none is connected to; and
//!   the address that was looked at is the one connected to: no second resolution can give another one.
//! * No redirect is followed, no proxy is used, nothing about the desk is sent: no cookie, no version.
//! * Time, size, headers, certificates and packets are capped. One timeout spans all of it.
//! * The direct method is for domains whose `openpgpkey` host does not exist. Where it exists, its answer is the answer.
//! * What is returned is rebuilt: keys, the user ids of exactly this address, and what the certificate's own key says of
//!   them. An answer with secret keys in it is refused whole: what everybody can read protects nobody.
//! * Neither the server nor the domain's owner can put text into an error but a host name.
//!
//! # Standards
//! draft-koch-openpgp-webkey-service, with the URLs by Sequoia; RFC 9112 by hyper, RFC 9525 by rustls, UTS 46 by idna;
//! the registries of special-purpose addresses (RFC 6890).

mod address;
mod answer;
pub mod door;
mod network;
mod request;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use sequoia_net::wkd::Variant;
use sequoia_openpgp::Cert;

use crate::lookup::address::Address;
use crate::lookup::network::Host;

/// How to ask.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The whole look-up, from the first name to the last byte, may take so long.
    pub timeout: Duration,
    /// A longer answer is refused.
    pub max_bytes: usize,
    /// Whom to connect to.
    pub reach: Reach,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), max_bytes: 256 << 10, reach: Reach::Public }
    }
}

/// Whom a look-up may connect to.
#[derive(Debug, Clone, Default)]
pub enum Reach {
    /// Whoever has a public address, as the system resolves it.
    #[default]
    Public,
    /// The machine itself, for tests. No key of a configuration leads here.
    Loopback(Loopback),
}

/// A small Internet on loopback, for tests. The rules are those of [`Reach::Public`], with loopback addresses in the place
/// of public ones.
#[derive(Debug, Clone, Default)]
pub struct Loopback {
    /// The hosts that exist, and where they listen; no address at all is a resolver that fails.
    pub hosts: BTreeMap<String, Vec<SocketAddr>>,
    /// Who vouches for them besides the system's authorities.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// At least one certificate, without secrets, with no user id but those of the address.
    pub certs: Vec<Cert>,
    /// Where.
    pub url: String,
}

/// Why nothing was found. One line, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nobody was asked: such an address has no directory.
    #[error("no directory can be asked for this address: {0}")]
    Address(&'static str),
    /// The domain has neither host, so nobody can be asked.
    #[error("neither openpgpkey.{0} nor {0} has an address")]
    NoHost(String),
    /// There is no directory, or not this address in it.
    #[error("the domain publishes no certificate for this address")]
    Unpublished,
    /// The resolver failed, which is not the same as a host that does not exist.
    #[error("{0} could not be resolved")]
    Unresolved(String),
    /// The name leads into a network where no look-up may go.
    #[error("{0} leads to {1}, which is no public address")]
    NotPublic(String, IpAddr),
    /// No address answered.
    #[error("{0} cannot be connected to: {1}")]
    Unreachable(String, std::io::ErrorKind),
    /// No TLS, or a certificate for somebody else.
    #[error("{0} cannot prove that it is {0}: {1}")]
    Tls(String, &'static str),
    /// What it says is no HTTP, or broke off, or has too many headers.
    #[error("{0} gave no answer: {1}")]
    Http(String, &'static str),
    /// It points elsewhere. Nobody goes there.
    #[error("{0} redirects elsewhere, which is not followed")]
    Redirect(String),
    /// Neither yes nor no.
    #[error("{0} answered with status {1}")]
    Status(String, u16),
    /// More bytes than allowed.
    #[error("{0} answered with more than {1} bytes")]
    TooLarge(String, usize),
    /// It took too long.
    #[error("the look-up was not over within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// What was published cannot be read.
    #[error("what {0} publishes is no OpenPGP certificate")]
    NotACertificate(String),
    /// No certificate in it is for this address.
    #[error("what {0} publishes is for other addresses")]
    OtherAddress(String),
    /// A secret key lies open on the web.
    #[error("{0} publishes a secret key, which protects nothing any more")]
    Secret(String),
    /// This machine cannot ask.
    #[error("no look-up is possible: {0}")]
    Broken(String),
}

impl LookupError {
    /// The same question may get another answer before long.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Status(_, status) => *status >= 500 || *status == 429,
            Self::Unresolved(_)
            | Self::Unreachable(..)
            | Self::Tls(..)
            | Self::Http(..)
            | Self::Timeout(_)
            | Self::Broken(_) => true,
            _ => false,
        }
    }
}

/// Asks the domain of an address for the certificates of this address.
pub async fn look_up(address: &str, settings: &Settings) -> Result<Found, LookupError> {
    let wanted = Address::parse(address).map_err(LookupError::Address)?;
    match tokio::time::timeout(settings.timeout, ask(wanted, settings)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(LookupError::Timeout(settings.timeout)),
    }
}

async fn ask(wanted: Address, settings: &Settings) -> Result<Found, LookupError> {
    let (method, host) = match network::find(wanted.host(Variant::Advanced), &settings.reach).await? {
        Some(host) => (Variant::Advanced, host),
        None => match network::find(wanted.host(Variant::Direct), &settings.reach).await? {
            Some(host) => (Variant::Direct, host),
            None => return Err(LookupError::NoHost(wanted.host(Variant::Direct))),
        },
    };
    let url = wanted.url(method)?;
    let bytes = fetch(&host, &url, settings).await?;
    // signatures are checked there, which is not for the thread that serves the doors
    let certs = in_background(move || answer::certificates(&bytes, &wanted, host.name())).await??;
    Ok(Found { certs, url })
}

async fn fetch(host: &Host, url: &str, settings: &Settings) -> Result<Vec<u8>, LookupError> {
    let stream = network::connect(host, &settings.reach).await?;
    request::get(stream, host.name(), url, settings.max_bytes).await
}

/// Runs what would hold up a door elsewhere.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LookupError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LookupError::Broken(error.to_string()))
}
