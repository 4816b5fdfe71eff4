//! Submission over lettre: `send_raw`, one recipient a transaction, a few connections kept open.
//!
//! # Invariants
//! * TLS as configured, never less; the server must prove its name.
//! * A permanent refusal counts only when it is about the letter: a server that cannot be logged in to refuses every letter,
//!   and none is given up for that.
//!
//! # Standards
//! RFC 5321 §4.2.1 (4yz, 5yz), RFC 6409, RFC 8314, RFC 4954.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls as LettreTls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::domain::letter::Outcome;
use crate::domain::message::Mailbox;
use crate::tls::Tls;

/// How long the server may take for one answer (RFC 5321 §4.5.3.2 allows ten minutes for the last).
const PATIENCE: Duration = Duration::from_secs(600);
/// A kept connection that is not used is closed after this.
const KEEP: Duration = Duration::from_secs(60);
const CONNECTIONS: u32 = 4;

/// How to reach the submission server.
#[derive(Clone)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// When TLS begins.
    pub tls: Tls,
    /// Certificates trusted besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// User and password.
    pub login: Option<(String, Zeroizing<String>)>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // no password, no user
        write!(f, "smtp {}:{}", self.host, self.port)
    }
}

/// A way to the submission server.
pub(super) struct Submission {
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Submission {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let tls = match settings.tls {
            Tls::None => LettreTls::None,
            Tls::Implicit => LettreTls::Wrapper(parameters(settings)?),
            Tls::StartTls => LettreTls::Required(parameters(settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .hello_name(ClientId::default())
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS).idle_timeout(KEEP));
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
        }
        Ok(Self { transport: builder.build() })
    }

    /// One letter, one recipient, one transaction.
    pub(super) async fn send(&self, from: &Mailbox, to: &Mailbox, bytes: &[u8]) -> Outcome {
        let envelope = match envelope(from, to) {
            Ok(envelope) => envelope,
            Err(why) => return Outcome::Permanent(why),
        };
        match self.transport.send_raw(&envelope, bytes).await {
            Ok(response) => Outcome::Accepted(said(u16::from(response.code()), response.message())),
            Err(error) if error.is_permanent() => {
                let words = words(&error);
                match self.transport.test_connection().await {
                    Ok(true) => Outcome::Permanent(words),
                    _ => Outcome::Transient(format!("the server takes no letters: {words}")),
                }
            }
            Err(error) => Outcome::Transient(words(&error)),
        }
    }
}

/// Connects, logs in and leaves again, for `psirtd check --online`.
pub async fn try_login(settings: &Settings) -> Result<(), String> {
    const CHECK: Duration = Duration::from_secs(30);
    let submission = Submission::new(settings)?;
    let server = format!("{}:{}", settings.host, settings.port);
    match tokio::time::timeout(CHECK, submission.transport.test_connection()).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(format!("{server}: the server does not answer as it should")),
        Ok(Err(error)) => Err(format!("{server}: {}", words(&error))),
        Err(_) => Err(format!("{server}: no answer for {} s", CHECK.as_secs())),
    }
}

fn parameters(settings: &Settings) -> Result<TlsParameters, String> {
    let mut builder =
        TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::Default);
    for authority in &settings.authorities {
        let certificate = Certificate::from_der(authority.to_vec()).map_err(|error| error.to_string())?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| error.to_string())
}

fn envelope(from: &Mailbox, to: &Mailbox) -> Result<Envelope, String> {
    let address = |mailbox: &Mailbox| {
        mailbox
            .address
            .parse::<Address>()
            .map_err(|error| format!("{} cannot be written to: {error}", mailbox.address))
    };
    Envelope::new(Some(address(from)?), vec![address(to)?]).map_err(|error| error.to_string())
}

fn said<'a>(code: u16, lines: impl Iterator<Item = &'a str>) -> String {
    let text: Vec<&str> = lines.collect();
    format!("{code} {}", text.join(" ")).chars().filter(|c| !c.is_control()).take(300).collect()
}

/// The server's words, or the system's.
fn words(error: &lettre::transport::smtp::Error) -> String {
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    match error.status() {
        Some(code) => said(u16::from(code), std::iter::once(cause.as_str())),
        None if error.source().is_some() => said_without_code(&format!("{error}")),
        None => said_without_code(&cause),
    }
}

fn said_without_code(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
