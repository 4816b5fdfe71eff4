//! Submission over lettre: one recipient a transaction, a few connections kept open.
//!
//! lettre speaks SMTP; the sockets are psirtd's own, because two things cannot be told to lettre's: to send without delay,
//! and to read nothing beyond the answer to STARTTLS.
//!
//! # Invariants
//! * TLS as configured, never less; the server must prove its name. What was sent in the clear is never taken for an answer
//!   under TLS.
//! * A permanent refusal counts only when it is about the letter: a server that cannot be logged in to, or that does not like
//!   the desk as a sender, refuses every letter, and none is given up for that.
//! * A refused login is not tried again for every letter: providers lock accounts for that.
//! * What a server offers and then does not understand (RFC 3461) is done without.
//!
//! # Standards
//! RFC 5321 §4.2.1 (4yz, 5yz), RFC 6409, RFC 8314, RFC 4954, RFC 3207 §6.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter, RcptParameter};
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::Sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::crash;
use crate::domain::message::Mailbox;
use crate::domain::posting::Outcome;
use crate::outbox::{Attempt, MayLeave, Service};
use crate::tls::{self, Tls};

/// How long a letter may take (RFC 5321 §4.5.3.2 allows ten minutes for the server's last answer).
pub const PATIENCE: Duration = Duration::from_secs(600);
/// After a refused login, no letter tries another for so long.
const LOGIN_PAUSE: Duration = Duration::from_secs(60);
/// A goodbye is not waited for longer than this.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whoever only asks whether the server is there waits no longer.
const CHECK: Duration = Duration::from_secs(30);

/// Authentication required, too weak, wrong, encryption needed for it.
const LOGIN_CODES: [u16; 4] = [530, 534, 535, 538];
/// Wrong, not implemented, not recognized: RFC 5321 §4.1.1.11, of parameters.
const PARAMETER_CODES: [u16; 3] = [501, 504, 555];

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
    /// How long a letter may take.
    pub patience: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // no password, no user
        write!(f, "smtp {}:{}", self.host, self.port)
    }
}

/// A connection, and whether its server tells what becomes of a letter as it is asked to (RFC 3461).
struct Connection {
    smtp: AsyncSmtpConnection,
    reports: bool,
}

/// A way to the submission server.
pub(super) struct Submission {
    settings: Settings,
    implicit: Arc<ClientConfig>,
    start: TlsParameters,
    /// Connections that wait for the next letter.
    kept: Mutex<Vec<Connection>>,
    /// The last login was refused: with these words, and it is not tried before that.
    refused: Mutex<Option<(String, Pin<Box<Sleep>>)>>,
}

impl Submission {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            implicit: tls::client(&settings.authorities)?,
            start: parameters(settings)?,
            settings: settings.clone(),
            kept: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// One letter, one recipient, one transaction. Its id names the envelope. None when `may_leave` says, before the bytes go, that it
    /// may not any more.
    pub(super) async fn send(
        &self,
        from: &Mailbox,
        to: &Mailbox,
        id: &str,
        bytes: &[u8],
        may_leave: &MayLeave<'_>,
    ) -> Option<Attempt> {
        let envelope = match envelope(from, to) {
            Ok(envelope) => envelope,
            Err(why) => return Some(Attempt(Outcome::Permanent(why), Service::Untried)),
        };
        let patience = self.settings.patience;
        match tokio::time::timeout(patience, self.transact(&envelope, id, bytes, may_leave)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let why = format!("not done after {} s", patience.as_secs());
                Some(Attempt(Outcome::Transient(why), Service::Fails))
            }
        }
    }

    async fn transact(
        &self,
        envelope: &Envelope,
        id: &str,
        bytes: &[u8],
        may_leave: &MayLeave<'_>,
    ) -> Option<Attempt> {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(why) => {
                let why = format!("the server takes no letters: {why}");
                return Some(Attempt(Outcome::Transient(why), Service::Closed));
            }
        };
        if !is_ascii(envelope) && !connection.smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
            self.kept.lock().await.push(connection);
            let why = "the address is not ASCII, and the server takes no such address (no SMTPUTF8)";
            return Some(Attempt(Outcome::Permanent(why.to_owned()), Service::Works));
        }
        crash::point("before the letter is sent");
        let sent = connection.send(envelope, id, bytes, may_leave).await;
        if sent.is_err() {
            // whatever was begun, it does not go on
            connection.smtp.abort().await;
        }
        let service = sent.as_ref().map_or_else(Refusal::blames, |_| Service::Works);
        let outcome = match sent {
            // the server waits for a text, and would take a goodbye for its beginning: the line is cut
            Ok(None) => return None,
            Ok(Some(response)) => {
                crash::point("accepted, not recorded");
                self.kept.lock().await.push(connection);
                Outcome::Accepted(said(u16::from(response.code()), response.message()))
            }
            // RFC 4954 §6: it is about the login, and so about every letter
            Err(Refusal(_, error)) if is_one_of(&LOGIN_CODES, &error) => {
                Outcome::Transient(format!("the server takes no letters: {}", words(&error)))
            }
            Err(Refusal(Step::Sender, error)) if error.is_permanent() => {
                Outcome::Transient(format!("the server does not take the desk's address: {}", words(&error)))
            }
            Err(Refusal(_, error)) if error.is_permanent() => Outcome::Permanent(words(&error)),
            Err(Refusal(_, error)) => Outcome::Transient(words(&error)),
        };
        Some(Attempt(outcome, service))
    }

    /// Closes the connections that are kept: there was nothing to send for a while.
    pub(super) async fn rest(&self) {
        for mut connection in std::mem::take(&mut *self.kept.lock().await) {
            // a server that does not say goodbye is no problem
            let _goodbye = tokio::time::timeout(GOODBYE, connection.smtp.quit()).await;
        }
    }

    /// Connects, logs in and leaves again.
    pub(super) async fn probe(&self) -> Result<(), String> {
        match tokio::time::timeout(CHECK, self.connect()).await {
            Ok(connected) => {
                let _goodbye = tokio::time::timeout(GOODBYE, connected?.smtp.quit()).await;
                Ok(())
            }
            Err(_) => Err(format!("no answer for {} s", CHECK.as_secs())),
        }
    }

    /// One that was kept and still lives, or a new one.
    async fn connection(&self) -> Result<Connection, String> {
        loop {
            let kept = self.kept.lock().await.pop();
            let Some(mut kept) = kept else { return self.connect().await };
            if kept.smtp.test_connected().await {
                return Ok(kept);
            }
        }
    }

    /// One login at a time, and none soon after one that was refused.
    async fn log_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        credentials: &Credentials,
    ) -> Result<(), String> {
        let mut refused = self.refused.lock().await;
        if let Some((why, pause)) = refused.as_mut()
            && pause.as_mut().now_or_never().is_none()
        {
            return Err(format!("{why} (the login is not tried again within a minute)"));
        }
        *refused = None;
        let logged_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await;
        logged_in.map(|_| ()).map_err(|error| {
            if error.is_permanent() {
                *refused = Some((words(&error), Box::pin(tokio::time::sleep(LOGIN_PAUSE))));
            }
            words(&error)
        })
    }

    /// Connects, secures the connection, logs in.
    async fn connect(&self) -> Result<Connection, String> {
        let Settings { host, port, tls, login, .. } = &self.settings;
        let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| said_plainly(&error))?;
        // the end of a letter is a packet of its own: delayed, it would wait 40 ms for the server to confirm the one before
        tcp.set_nodelay(true).map_err(|error| said_plainly(&error))?;
        let wire = match tls {
            Tls::None => Wire::Open(tcp),
            Tls::StartTls => Wire::Careful { tcp, asked: false },
            Tls::Implicit => {
                let name = ServerName::try_from(host.clone()).map_err(|error| said_plainly(&error))?;
                let secured = TlsConnector::from(Arc::clone(&self.implicit)).connect(name, tcp);
                Wire::Secured(Box::new(secured.await.map_err(|error| said_plainly(&error))?))
            }
        };
        let hello = ClientId::default();
        let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &hello)
            .await
            .map_err(|error| words(&error))?;
        if *tls == Tls::StartTls {
            connection.starttls(self.start.clone(), &hello).await.map_err(|error| words(&error))?;
        }
        if let Some((user, password)) = login {
            let credentials = Credentials::new(user.clone(), password.to_string());
            if let Err(why) = self.log_in(&mut connection, &credentials).await {
                connection.abort().await;
                return Err(why);
            }
        }
        // lettre keeps only what it makes use of itself
        let offered = connection.command(Ehlo::new(hello)).await.map_err(|error| words(&error))?;
        let reports = offered.message().any(|line| line.trim().eq_ignore_ascii_case("DSN"));
        Ok(Connection { smtp: connection, reports })
    }
}

/// What the server did not like, and what it said.
struct Refusal(Step, Error);

/// How far a transaction went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The desk itself, which is the same for every letter.
    Sender,
    Recipient,
    Text,
}

impl Refusal {
    /// Was this letter refused for its own sake, or does the server take none?
    fn blames(&self) -> Service {
        let Self(step, error) = self;
        let Some(code) = error.status().map(u16::from) else { return Service::Fails };
        let own = match step {
            Step::Sender => false,
            // RFC 5321 §3.8: 421 ends the session, whatever it answers
            Step::Recipient => code != 421,
            Step::Text => error.is_permanent(),
        };
        if own && !LOGIN_CODES.contains(&code) { Service::Works } else { Service::Fails }
    }
}

impl Connection {
    /// One transaction; none, if the letter may not leave any more when the server would take its bytes.
    async fn send(
        &mut self,
        envelope: &Envelope,
        id: &str,
        bytes: &[u8],
        may_leave: &MayLeave<'_>,
    ) -> Result<Option<Response>, Refusal> {
        let of_the_text = |error| Refusal(Step::Text, error);
        match self.begin(envelope, id).await {
            Err(Refusal(_, error)) if self.reports && is_one_of(&PARAMETER_CODES, &error) => {
                self.reports = false;
                self.smtp.command(Rset).await.map_err(of_the_text)?;
                self.begin(envelope, id).await?;
            }
            begun => begun?,
        }
        self.smtp.command(Data).await.map_err(of_the_text)?;
        if !may_leave() {
            return Ok(None);
        }
        self.smtp.message(bytes).await.map(Some).map_err(of_the_text)
    }

    /// Its envelope. What does not arrive comes back as its header alone, under the letter's id.
    async fn begin(&mut self, envelope: &Envelope, id: &str) -> Result<(), Refusal> {
        let other = |keyword: &str, value: &str| (keyword.to_owned(), Some(value.to_owned()));
        let mut of_mail = Vec::new();
        let mut of_recipient = Vec::new();
        if !is_ascii(envelope) {
            of_mail.push(MailParameter::SmtpUtfEight);
        }
        if self.reports {
            for (keyword, value) in [other("RET", "HDRS"), other("ENVID", id)] {
                of_mail.push(MailParameter::Other { keyword, value });
            }
            let (keyword, value) = other("NOTIFY", "FAILURE");
            of_recipient.push(RcptParameter::Other { keyword, value });
        }
        let from = Mail::new(envelope.from().cloned(), of_mail);
        self.smtp.command(from).await.map_err(|error| Refusal(Step::Sender, error))?;
        for to in envelope.to() {
            let to = Rcpt::new(to.clone(), of_recipient.clone());
            self.smtp.command(to).await.map_err(|error| Refusal(Step::Recipient, error))?;
        }
        Ok(())
    }
}

fn is_one_of(codes: &[u16], error: &Error) -> bool {
    error.status().is_some_and(|code| codes.contains(&u16::from(code)))
}

/// Connects, logs in and leaves again, for `psirtd check --online`.
pub async fn try_login(settings: &Settings) -> Result<(), String> {
    let server = format!("{}:{}", settings.host, settings.port);
    Submission::new(settings)?.probe().await.map_err(|why| format!("{server}: {why}"))
}

/// The way the bytes go.
#[derive(Debug)]
enum Wire {
    /// In the clear for good, or under lettre's TLS.
    Open(TcpStream),
    /// Before STARTTLS is answered: handed out byte by byte, so that lettre keeps nothing of what stands behind the answer.
    /// Whoever put it there meets the TLS handshake.
    Careful {
        tcp: TcpStream,
        asked: bool,
    },
    Secured(Box<TlsStream<TcpStream>>),
    /// Only while it changes.
    Closed,
}

impl Wire {
    fn tcp(&self) -> io::Result<&TcpStream> {
        match self {
            Self::Open(tcp) | Self::Careful { tcp, .. } => Ok(tcp),
            Self::Secured(tls) => Ok(tls.get_ref().0),
            Self::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp()?.peer_addr()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let answered = match wire {
            Self::Open(tcp) => return Pin::new(tcp).poll_read(context, buffer),
            Self::Secured(tls) => return Pin::new(tls).poll_read(context, buffer),
            Self::Closed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Careful { tcp, asked } => {
                let mut byte = [0; 1];
                let mut one = ReadBuf::new(&mut byte);
                ready!(Pin::new(tcp).poll_read(context, &mut one))?;
                buffer.put_slice(one.filled());
                *asked && one.filled() == b"\n"
            }
        };
        if answered && let Self::Careful { tcp, .. } = std::mem::replace(wire, Self::Closed) {
            *wire = Self::Open(tcp);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Open(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Careful { tcp, asked } => {
                *asked |= bytes.starts_with(b"STARTTLS");
                Pin::new(tcp).poll_write(context, bytes)
            }
            Self::Secured(tls) => Pin::new(tls).poll_write(context, bytes),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Open(tcp) | Self::Careful { tcp, .. } => Pin::new(tcp).poll_flush(context),
            Self::Secured(tls) => Pin::new(tls).poll_flush(context),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Open(tcp) | Self::Careful { tcp, .. } => Pin::new(tcp).poll_shutdown(context),
            Self::Secured(tls) => Pin::new(tls).poll_shutdown(context),
            Self::Closed => Poll::Ready(Ok(())),
        }
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

fn is_ascii(envelope: &Envelope) -> bool {
    envelope.from().into_iter().chain(envelope.to()).all(|address| AsRef::<str>::as_ref(address).is_ascii())
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

fn said_plainly(error: &impl fmt::Display) -> String {
    said_without_code(&error.to_string())
}

fn said_without_code(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
