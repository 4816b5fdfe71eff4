//! A connection to the mailbox: reach it, secure it, log in, and wait for it with patience.
//!
//! # Invariants
//! * Every wait has an end.
//! * What went wrong is told without anything of a mail: a server's words are passed on, what it sent instead of IMAP is not.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_imap::error::Error as ImapError;
use async_imap::imap_proto::{Response, Status};
use async_imap::types::Capabilities;
use async_imap::{Client, Session};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::domain::backoff::{Backoff, CONNECTIONS, LOGINS};
use crate::inbox::imap::Settings;
use crate::inbox::imap::patience::Ear;
use crate::pipeline::Refused;
use crate::tls::{self, Tls};

/// How long the server is waited for, and how long it is left alone when it was in vain.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// No answer of the server is waited for longer than this.
    pub answer: Duration,
    /// A mail may take longer: at the size limit of 50 MB, 600 s are 0.7 Mbit/s.
    pub mail: Duration,
    /// A first sign of life has to come sooner.
    pub connect: Duration,
    /// A server that asks to come back later, without saying when, is left alone so long.
    pub later: Duration,
    /// After a connection that broke.
    pub connections: Backoff,
    /// After a refused login.
    pub logins: Backoff,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(120),
            mail: Duration::from_secs(600),
            connect: Duration::from_secs(30),
            later: Duration::from_secs(60),
            connections: CONNECTIONS,
            logins: LOGINS,
        }
    }
}

tokio::task_local! {
    /// Those of the folder whose task this is.
    pub(super) static WAITS: Waits;
}

/// Outside a folder's task, the usual ones.
pub(super) fn waits() -> Waits {
    WAITS.try_with(|waits| *waits).unwrap_or_default()
}

/// What went wrong, in words that say whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server cannot be reached, or does not answer.
    #[error("{0}: {1}; is it up, are host and port right?")]
    Unreachable(String, String),
    /// No trust.
    #[error("{0}: TLS failed: {1}")]
    Tls(String, String),
    /// Wrong user or password.
    #[error("the server refused the login: {0}; check user and password")]
    Login(String),
    /// The server said NO or BAD to something it should have done.
    #[error("the server refused {0}: {1}")]
    Refused(&'static str, String),
    /// The server ended it.
    #[error("the server said goodbye: {0}")]
    Goodbye(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// A mail could not be recorded.
    #[error("{0}")]
    Unrecorded(#[from] Refused),
}

impl Trouble {
    /// A refusal in the server's own words, which async-imap hands on as they are printed for debugging.
    pub(super) fn in_words(self, said: &str) -> Self {
        match self {
            Self::Login(_) => Self::Login(said.to_owned()),
            Self::Refused(what, _) => Self::Refused(what, said.to_owned()),
            other => other,
        }
    }
}

impl From<ImapError> for Trouble {
    fn from(error: ImapError) -> Self {
        match error {
            ImapError::No(text) | ImapError::Bad(text) => Self::Refused("a command", text),
            ImapError::ConnectionLost => Self::Broken("the server closed it".to_owned()),
            // async-imap packs what it could not parse into an error of this kind, and that may be a mail
            ImapError::Io(error) if error.kind() != std::io::ErrorKind::Other => {
                Self::Broken(error.to_string())
            }
            ImapError::Validate(error) => Self::Refused("a name", error.to_string()),
            _ => Self::Broken("the server sent what is no answer in IMAP".to_owned()),
        }
    }
}

pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Wire for T {}
/// The bytes of a connection, secured or not.
pub(super) type Stream = Box<dyn Wire>;

/// Connects, secures the connection, logs in. What the server says in the clear before TLS, nobody's ear is lent to.
pub(super) async fn connect(
    settings: &Settings,
    ear: &Ear,
) -> Result<(Session<Stream>, Capabilities), Trouble> {
    ear.forget();
    let server = format!("{}:{}", settings.host, settings.port);
    let unreachable = |why: String| Trouble::Unreachable(server.clone(), why);
    let tcp =
        tokio::time::timeout(waits().connect, TcpStream::connect((settings.host.as_str(), settings.port)))
            .await
            .map_err(|_| unreachable("no answer".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
    tcp.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
    let client = match settings.tls {
        Tls::Implicit => {
            let stream = ear.on(secured(settings, tcp, &server).await?);
            greeted(Client::new(Box::new(stream) as Stream)).await?
        }
        Tls::None => greeted(Client::new(Box::new(ear.on(tcp)) as Stream)).await?,
        Tls::StartTls => {
            let mut plain = greeted(Client::new(tcp)).await?;
            patiently(plain.run_command_and_check_ok("STARTTLS", None)).await.map_err(named("STARTTLS"))?;
            // whatever was sent in the clear behind the answer is dropped with the old client
            Client::new(Box::new(ear.on(secured(settings, plain.into_inner(), &server).await?)) as Stream)
        }
    };
    let login = client.login(&settings.user, settings.password.as_str());
    let mut session = match tokio::time::timeout(waits().answer, login).await {
        Ok(Ok(session)) => session,
        Ok(Err((ImapError::No(text) | ImapError::Bad(text), _))) => return Err(Trouble::Login(text)),
        Ok(Err((error, _))) => return Err(error.into()),
        Err(_) => return Err(unreachable("no answer to the login".to_owned())),
    };
    let capabilities = patiently(session.capabilities()).await?;
    match ear.refusal() {
        Some(words) => Err(Trouble::Refused("to say what it can do", words)),
        None => Ok((session, capabilities)),
    }
}

async fn secured(settings: &Settings, tcp: TcpStream, server: &str) -> Result<Stream, Trouble> {
    let failed = |why: String| Trouble::Tls(server.to_owned(), why);
    let client = tls::client(&settings.authorities).map_err(failed)?;
    let name = ServerName::try_from(settings.host.clone()).map_err(|error| failed(error.to_string()))?;
    let handshake = tokio_rustls::TlsConnector::from(client).connect(name, tcp);
    let stream = tokio::time::timeout(waits().connect, handshake)
        .await
        .map_err(|_| failed("no answer".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    Ok(Box::new(stream))
}

async fn greeted<T: Wire>(mut client: Client<T>) -> Result<Client<T>, Trouble> {
    match tokio::time::timeout(waits().connect, client.read_response()).await {
        Ok(Ok(Some(greeting))) => match greeting.parsed() {
            Response::Data { status: Status::Bye, outcome } => {
                Err(Trouble::Goodbye(outcome.information.as_deref().unwrap_or("without a reason").to_owned()))
            }
            _ => Ok(client),
        },
        Ok(Ok(None)) => Err(Trouble::Broken("the server closed it without a greeting".to_owned())),
        Ok(Err(error)) => Err(ImapError::Io(error).into()),
        Err(_) => Err(Trouble::Broken("no greeting".to_owned())),
    }
}

/// Waits for the server, but not for ever.
pub(super) async fn patiently<T, E: Into<Trouble>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    within(waits().answer, answer).await
}

/// The same for an answer that holds a whole mail, which may be large and the line slow.
pub(super) async fn for_a_mail<T, E: Into<Trouble>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    within(waits().mail, answer).await
}

async fn within<T, E: Into<Trouble>>(
    patience: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Trouble::Broken(format!("no answer for {} s", patience.as_secs()))),
    }
}

/// Says what it was that the server refused.
pub(super) fn named(what: &'static str) -> impl Fn(Trouble) -> Trouble {
    move |trouble| match trouble {
        Trouble::Refused(_, text) => Trouble::Refused(what, text),
        other => other,
    }
}
