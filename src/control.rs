//! The unix socket over which a person's commands and questions reach the daemon.
//!
//! # What it is for
//! The store has one process. `psirtd cases` and its kin ask the running daemon; when none runs, they open the store
//! themselves and ask the same [`answer`].
//!
//! # The protocol
//! One connection, one question as a line of JSON, one answer as a line of JSON: `{"ok": …}` or `{"error": "…"}`.
//!
//! # Invariants
//! * The socket lies in the state directory, which only its owner can enter, and is readable by its owner alone.
//! * Files are read on other threads than those that keep the doors open.
//! * A question is at most `MAX_QUESTION` bytes and has `PATIENCE` to arrive; the answer, to be read.

mod cases;
mod exposure;
mod figures;
mod members;
mod notices;
pub mod pages;

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, error};

use crate::clock::Clock;
use crate::control::cases::{case_json, whole_case_json};
use crate::control::exposure::exposure_json;
use crate::control::figures::figures_json;
use crate::control::members::members;
use crate::control::notices::{notices_json, proposals_json};
use crate::domain::case::CaseId;
use crate::domain::letter::LetterId;
use crate::domain::message::Attachment;
use crate::domain::posting::Posting;
use crate::domain::signature::Certificate;
use crate::inbox::stopped;
use crate::pipeline::{Accept, Given, Handle, OutboxCommand, Refused};
use crate::store::index::{Draft, IndexError, Lookup};
use crate::store::journal::Place;
use crate::store::{Archive, StoreError};

/// No question is longer: commands bring what is attached to them. Bytes.
const MAX_QUESTION: u64 = 32 << 20;
/// A question that does not arrive is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A system that gives no more connections is asked again after this.
const BREATH: Duration = Duration::from_millis(200);
/// An answer of the daemon is waited for so long.
const ANSWER: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// How the doors are.
    Health,
    /// All cases.
    Cases,
    /// One case.
    Case(String),
    /// Who of the distributors had been sent what of a case.
    Exposure {
        /// The case.
        case: String,
        /// As of then; now, if it does not say.
        #[serde(default)]
        at: Option<Timestamp>,
    },
    /// All letters.
    Outbox,
    /// One letter as sealed.
    Letter(String),
    /// Stop a letter.
    Hold(String),
    /// Let a letter go, or try it now.
    Release(String),
    /// A command about a case.
    Do {
        /// The case; none of a command that is about no case.
        #[serde(default)]
        case: Option<String>,
        /// The command and what follows it on its line.
        line: String,
        /// Its text.
        #[serde(default)]
        text: Option<String>,
        /// What is attached.
        #[serde(default)]
        attachments: Vec<Attached>,
    },
    /// How the desk keeps its word.
    Figures {
        /// Of the cases received since that day began at the desk.
        #[serde(default)]
        since: Option<Date>,
    },
    /// The distributors' list.
    Members {
        /// One member of it.
        #[serde(default)]
        id: Option<String>,
    },
    /// The certificates that the desk remembers for an address.
    Seen(String),
    /// Use another one of them.
    Accept {
        /// Whose.
        address: String,
        /// Which.
        fingerprint: String,
    },
    /// The journal's records behind a place.
    Records(Option<Place>),
    /// The same, whether the files they name can be read.
    Checked(Option<Place>),
    /// How far the index has come.
    Index,
}

/// Something that is attached to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes, in base64.
    pub base64: String,
}

impl Attached {
    fn opened(&self) -> Result<Attachment, String> {
        let bytes =
            BASE64_STANDARD.decode(&self.base64).map_err(|error| format!("{}: {error}", self.name))?;
        Ok(Attachment { name: Some(self.name.clone()), media_type: self.media_type.clone(), bytes })
    }
}

/// Why there is no answer.
enum NoAnswer {
    /// In words for the person.
    Said(String),
    /// The index cannot be read.
    Unread(IndexError),
}

impl From<String> for NoAnswer {
    fn from(said: String) -> Self {
        Self::Said(said)
    }
}

impl From<IndexError> for NoAnswer {
    fn from(error: IndexError) -> Self {
        Self::Unread(error)
    }
}

/// Answers a question.
pub async fn answer(question: &Question, pipeline: &Handle, now: Timestamp) -> Result<Value, String> {
    match found(question, pipeline, now).await {
        Ok(answer) => Ok(answer),
        Err(NoAnswer::Said(why)) => Err(why),
        Err(NoAnswer::Unread(error)) => {
            pipeline.cannot_read().await;
            Err(format!("{error}; it is made anew when psirtd starts again"))
        }
    }
}

async fn found(question: &Question, pipeline: &Handle, now: Timestamp) -> Result<Value, NoAnswer> {
    let (index, policy) = (&pipeline.reader().index, pipeline.policy());
    match question {
        Question::Health => Ok(pipeline.health().told()),
        Question::Cases => {
            let cases = index.cases()?;
            Ok(cases.iter().map(|case| case_json(case, policy, now)).collect())
        }
        Question::Case(id) => {
            let id = CaseId::typed(id);
            let case = index.case(&id)?.ok_or_else(|| format!("there is no case {id}"))?;
            let mut whole = whole_case_json(&case, policy, now);
            let draft = Draft::new(index);
            let (copies, pending) = (draft.copies(&case.id)?, draft.pending()?);
            if let Some(fields) = whole.as_object_mut() {
                fields.insert("notices".to_owned(), notices_json(&case, &copies));
                let of_it = pending.iter().filter(|pending| pending.case.as_ref() == Some(&case.id));
                fields.insert("proposals".to_owned(), proposals_json(of_it, policy));
            }
            Ok(whole)
        }
        Question::Exposure { case, at } => {
            let id = CaseId::typed(case);
            let case = index.case(&id)?.ok_or_else(|| format!("there is no case {id}"))?;
            Ok(exposure_json(&case, &Draft::new(index).copies(&case.id)?, at.unwrap_or(now)))
        }
        Question::Outbox => {
            let mut postings = index.postings()?;
            // the tenth letter of a case comes after the ninth
            let place = |id: &LetterId| (id.series().to_owned(), id.number());
            postings.sort_by_key(|posting| place(&posting.id));
            Ok(postings.iter().map(posting_json).collect())
        }
        Question::Letter(id) => {
            let id = LetterId::typed(id);
            let posting = index.posting(&id)?.ok_or_else(|| format!("there is no letter {id}"))?;
            let mut shown = posting_json(&posting);
            if let (Some(bytes), Some(fields)) = (&posting.bytes, shown.as_object_mut()) {
                let bytes =
                    pipeline.reader().archive.letters.read(bytes).map_err(|error| error.to_string())?;
                fields.insert("mail".to_owned(), String::from_utf8_lossy(&bytes).into());
            }
            Ok(shown)
        }
        Question::Members { id } => members(id.as_deref(), pipeline, policy, now).await,
        Question::Seen(address) => {
            let seen = index.certificates(address)?;
            Ok(seen.iter().enumerate().map(|(place, one)| certificate_json(one, place == 0)).collect())
        }
        Question::Accept { address, fingerprint } => {
            let accept = Accept { address: address.clone(), fingerprint: fingerprint.clone() };
            said(pipeline.accept(accept).await)
        }
        Question::Do { case, line, text, attachments } => {
            let attachments = attachments.iter().map(Attached::opened).collect::<Result<Vec<_>, _>>()?;
            let (case, line, text) = (case.as_deref().map(CaseId::typed), line.clone(), text.clone());
            said(pipeline.give(Given { case, line, text, attachments }).await)
        }
        Question::Figures { since } => {
            let zone = &policy.calendar.zone;
            let begin = |date: &Date| date.to_zoned(zone.clone()).map(|at| at.timestamp());
            let since = since.as_ref().map(begin).transpose().map_err(|error| error.to_string())?;
            Ok(figures_json(&index.cases()?, policy, since, now))
        }
        Question::Records(from) => page(pages::records, pipeline, from.clone()).await,
        Question::Checked(from) => page(pages::checked, pipeline, from.clone()).await,
        Question::Index => Ok(index.seen()?.map_or(0, |place| place.last).into()),
        Question::Hold(id) => said(pipeline.command(OutboxCommand::Hold(LetterId::typed(id))).await),
        Question::Release(id) => said(pipeline.command(OutboxCommand::Release(LetterId::typed(id))).await),
    }
}

async fn page(
    read: impl FnOnce(&Archive, Option<Place>) -> Result<Value, StoreError> + Send + 'static,
    pipeline: &Handle,
    from: Option<Place>,
) -> Result<Value, NoAnswer> {
    let archive = pipeline.reader().archive.clone();
    let page = tokio::task::spawn_blocking(move || read(&archive, from)).await;
    let page = page.map_err(|error| error.to_string())?;
    Ok(page.map_err(|error| error.to_string())?)
}

/// What was done, or why not, in the pipeline's words.
fn said(done: Result<String, Refused>) -> Result<Value, NoAnswer> {
    Ok(done.map(Value::from).map_err(|error| error.to_string())?)
}

/// The socket of a state directory.
pub fn socket(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Answers until `stop` turns true.
pub async fn serve(state: PathBuf, pipeline: Handle, clock: Clock, mut stop: watch::Receiver<bool>) {
    let path = socket(&state);
    let listener = match listen(&path) {
        Ok(listener) => listener,
        Err(error) => {
            error!(%error, "control: no socket; “psirtd cases” and its kin cannot ask this daemon");
            // mail goes on without it
            stopped(&mut stop).await;
            return;
        }
    };
    // they end with the door: none of them keeps the pipeline from ending
    let mut conversations = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = conversations.join_next() => continue,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (pipeline, clock) = (pipeline.clone(), clock.clone());
                conversations.spawn(async move {
                    if let Err(error) = converse(stream, &pipeline, &clock).await {
                        debug!(%error, "control: a conversation broke off");
                    }
                });
            }
            Err(error) => {
                debug!(%error, "control: not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    // a socket that stays is found dead by the next client, and removed by the next daemon
    let _stays = std::fs::remove_file(path);
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    // the store's lock says that no other daemon is there: what lies here is left over
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(stream: UnixStream, pipeline: &Handle, clock: &Clock) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(read.take(MAX_QUESTION));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) => answer(&question, pipeline, clock.now()).await,
        Err(error) => Err(format!("not understood: {error}")),
    };
    let answer = match answer {
        Ok(answer) => json!({ "ok": answer }),
        Err(error) => json!({ "error": error }),
    };
    let answer = format!("{answer}\n");
    tokio::time::timeout(PATIENCE, write.write_all(answer.as_bytes())).await??;
    write.shutdown().await
}

/// Asks the running daemon; `None` when none runs.
pub fn ask(state: &Path, question: &Question) -> Option<Result<Value, String>> {
    let path = socket(state);
    let failed = |error: io::Error| Err(format!("{}: the daemon cannot be asked: {error}", path.display()));
    match BlockingStream::connect(&path) {
        Ok(stream) => Some(exchange(&stream, question).unwrap_or_else(failed)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            None
        }
        Err(error) => Some(failed(error)),
    }
}

fn exchange(mut stream: &BlockingStream, question: &Question) -> io::Result<Result<Value, String>> {
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let question = serde_json::to_string(question)?;
    stream.write_all(format!("{question}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let mut answer: Value = serde_json::from_str(&line)?;
    Ok(match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default()),
    })
}

fn certificate_json(certificate: &Certificate, in_use: bool) -> Value {
    json!({
        "fingerprint": certificate.fingerprint,
        "source": certificate.source.told(),
        "in_use": in_use,
        "certificate": certificate.armored,
    })
}

fn posting_json(posting: &Posting) -> Value {
    json!({
        "id": posting.id,
        "case": posting.case,
        "kind": posting.kind.word(),
        "to": posting.to.address,
        "state": posting.state.word(),
        "attempts": posting.attempts,
        "queued_at": posting.queued_at,
        "next_attempt": posting.next_attempt,
        "last_reply": posting.last_reply,
        "withheld": posting.withheld,
        "message_id": bracketed(posting.message_id.as_deref()),
    })
}

/// A Message-ID as it stands in a mail.
pub fn bracketed(id: Option<&str>) -> Option<String> {
    id.map(|id| format!("<{id}>"))
}
