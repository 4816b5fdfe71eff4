//! The corridor that walks everything through the house; the only one who writes.
//!
//! # What it is for
//! receipt? → open → facts → decide → seal → commit → answer. The doors hand their input to a [`Handle`] and hear back when
//! it is durable.
//!
//! # Invariants
//! * One thread decides and commits, in the order of arrival. Opening and sealing run on as many threads as the machine has:
//!   they are pure functions.
//! * What waits together is committed together: one fsync for a whole batch.
//! * An answer to a door means: it is on the disk.
//! * A mail that makes opening panic is recorded as unopened, and the queue goes on.
//!
//! # Fatal
//! An fsync that failed. Nobody knows then what is on the disk; psirtd stops, and finds out at the next start.

mod deciding;
mod distributors;
mod facts;
mod joining;
mod opening;
mod orders;
mod person;
mod restored;
pub mod roll;
mod step;
mod workers;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tracing::{error, warn};

use crate::clock::Clock;
use crate::domain::case::CaseId;
use crate::domain::concern::Silence;
use crate::domain::event::{Event, What};
use crate::domain::letter::{Letter, LetterId, LetterKind};
use crate::domain::message::{Attachment, Digest, Mailbox, Message, Position};
use crate::domain::policy::Policy;
use crate::domain::posting::Outcome;
use crate::domain::signature::Certificate;
use crate::domain::thread;
use crate::health::Health;
use crate::keyring::Keyring;
use crate::open;
use crate::pipeline::facts::Batch;
use crate::pipeline::step::{Reply, Step, posted};
use crate::pipeline::workers::in_parallel;
use crate::seal::{Held, Letterhead, seal};
use crate::store::index::{IndexError, Lookup};
use crate::store::journal::JournalError;
use crate::store::{Commit, CommitError, Reader, Writer};
use crate::{chance, crash, telemetry};

/// Inputs that may wait before a door has to. What a letter came to stands behind so many mails of a backlog, at most.
const WAITING: usize = 16;
/// No more inputs than this are committed together.
const MAX_BATCH: usize = 64;
/// No more bytes than this are worked on at once: mails, and what they may unpack to.
const MAX_BATCH_BYTES: u64 = 128 << 20;

/// A mail as a door hands it over.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The bytes as received; for a mail that is too large, its header.
    pub raw: Vec<u8>,
    /// Where it lies.
    pub position: Option<Position>,
    /// When it reached the mailbox.
    pub received_at: Timestamp,
    /// Its whole size, when it is too large to be fetched.
    pub too_large: Option<u64>,
    /// It lay in the folder for junk, or the server says that it is.
    pub junk: bool,
    /// It lay among recorded mail, and this desk, restored from a backup, may not know it.
    pub recorded_before: bool,
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is new and recorded.
    New,
    /// It was known already.
    Known,
}

/// A person's word about a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxCommand {
    /// Stop it.
    Hold(LetterId),
    /// Let it go; write it anew if it has no bytes yet.
    Release(LetterId),
}

/// A command about a case, as it was typed on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The case; none of a command that is about no case.
    pub case: Option<CaseId>,
    /// The command and what follows it on its line.
    pub line: String,
    /// Its text.
    pub text: Option<String>,
    /// What is attached.
    pub attachments: Vec<Attachment>,
}

/// A person's word about a certificate: use this one for the address from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The address it is held for.
    pub address: String,
    /// The certificate's fingerprint, in hexadecimal.
    pub fingerprint: String,
}

/// A certificate that was looked up for the author of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The case of the mail.
    pub case: CaseId,
    /// The file of the mail.
    pub mail: Digest,
    /// Its author.
    pub author: Mailbox,
    /// The certificate.
    pub certificate: Certificate,
}

/// Why an input was not taken. It may be handed over again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It could not be recorded.
    #[error("not recorded, will be tried again: {0}")]
    Unrecorded(String),
    /// The pipeline is gone.
    #[error("psirtd is stopping")]
    Stopping,
    /// There is no such letter, or it cannot be done to it.
    #[error("{0}")]
    Impossible(String),
}

/// How the writing thread ended.
pub type Ended = oneshot::Receiver<Result<(), JournalError>>;

type Answer<T> = oneshot::Sender<Result<T, Refused>>;

enum Work {
    Mail(Box<Arrival>, Answer<Recorded>),
    Delivery(LetterId, Outcome, Answer<()>),
    Command(OutboxCommand, Answer<String>),
    Accept(Accept, Answer<String>),
    Order(Box<Given>, Answer<String>),
    Found(Box<Found>, Answer<()>),
    /// Copies of a notice that are not written yet.
    Copies,
    Look(Vec<Silence>, Option<Answer<()>>),
    Unreadable,
    Ping(Answer<()>),
}

/// How the doors reach the pipeline. When the last handle is dropped, it finishes what it has and ends.
#[derive(Debug, Clone)]
pub struct Handle {
    work: mpsc::Sender<Work>,
    reader: Reader,
    policy: Arc<Policy>,
    health: Health,
    stirred: Arc<Notify>,
    happened: broadcast::Sender<Arc<Vec<Event>>>,
}

impl Handle {
    /// Hands over a mail; returns when it is durable.
    pub async fn submit(&self, arrival: Arrival) -> Result<Recorded, Refused> {
        self.hand_over(arrival).await?.await
    }

    /// The same in two steps, for many mails: when the first is over, the mail has its place in the queue; the second says when it is
    /// durable.
    pub async fn hand_over(
        &self,
        arrival: Arrival,
    ) -> Result<impl Future<Output = Result<Recorded, Refused>> + use<>, Refused> {
        self.put(|answer| Work::Mail(Box::new(arrival), answer)).await
    }

    /// Reports what came of an attempt to deliver a letter; returns when it is durable.
    pub async fn delivered(&self, letter: LetterId, outcome: Outcome) -> Result<(), Refused> {
        self.ask(|answer| Work::Delivery(letter, outcome, answer)).await
    }

    /// Carries out a person's word about a letter; returns what was done.
    pub async fn command(&self, command: OutboxCommand) -> Result<String, Refused> {
        self.ask(|answer| Work::Command(command, answer)).await
    }

    /// Lets a certificate that was seen for an address be used from now on; returns what was done.
    pub async fn accept(&self, accept: Accept) -> Result<String, Refused> {
        self.ask(|answer| Work::Accept(accept, answer)).await
    }

    /// Carries out a command about a case; returns what was done.
    pub async fn give(&self, given: Given) -> Result<String, Refused> {
        self.ask(|answer| Work::Order(Box::new(given), answer)).await
    }

    /// Takes in a certificate that was looked up.
    pub async fn found(&self, found: Found) -> Result<(), Refused> {
        self.ask(|answer| Work::Found(Box::new(found), answer)).await
    }

    /// Looks whether the coordinators must be told something of the desk itself, and tells them: of these doors, too.
    pub async fn look(&self, silent: Vec<Silence>) -> Result<(), Refused> {
        self.ask(|answer| Work::Look(silent, Some(answer))).await
    }

    /// Returns when everything handed over before has been worked off: the sign of life for the watchdog.
    pub async fn ping(&self) -> Result<(), Refused> {
        self.ask(Work::Ping).await
    }

    /// Whoever finds that the index cannot be read says so: psirtd ends, and makes it anew at the next start.
    pub async fn cannot_read(&self) {
        // a pipeline that is gone knows already
        let _gone = self.work.send(Work::Unreadable).await;
    }

    /// Answers questions.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The written process.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the doors say of themselves.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Its turn has come, or is still to come: nobody has stopped it since.
    pub fn may_leave(&self, letter: &LetterId) -> bool {
        let as_it_stands = self.reader.index.posting(letter);
        as_it_stands.is_ok_and(|posting| posting.is_some_and(|posting| posting.is_under_way()))
    }

    /// Wakes up when letters may be due. A wake-up is a hint, not a promise.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// What is committed from now on, for those who show it to a person.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Vec<Event>>> {
        self.happened.subscribe()
    }

    async fn ask<T>(&self, work: impl FnOnce(Answer<T>) -> Work) -> Result<T, Refused> {
        self.put(work).await?.await
    }

    async fn put<T, W: FnOnce(Answer<T>) -> Work>(
        &self,
        work: W,
    ) -> Result<impl Future<Output = Result<T, Refused>> + use<T, W>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.work.send(work(answer)).await.map_err(|_| Refused::Stopping)?;
        Ok(async { answered.await.map_err(|_| Refused::Stopping)? })
    }
}

/// Everything the pipeline works with.
#[derive(Debug)]
pub struct Pipeline {
    /// The one who writes.
    pub writer: Writer,
    /// The one who answers.
    pub reader: Reader,
    /// All keys.
    pub keyring: Keyring,
    /// What all letters have in common.
    pub letterhead: Letterhead,
    /// The written process.
    pub policy: Policy,
    /// The time.
    pub clock: Clock,
}

impl Pipeline {
    /// Starts the one writing thread. It ends when the last handle is gone; an error, or a sender that was dropped because the
    /// thread panicked, is fatal.
    pub fn start(self) -> std::io::Result<(Handle, Ended)> {
        let (work, waiting) = mpsc::channel(WAITING);
        let stirred = Arc::new(Notify::new());
        let (happened, _) = broadcast::channel(1024);
        let handle = Handle {
            work,
            reader: self.reader.clone(),
            policy: Arc::new(self.policy.clone()),
            health: Health::new(self.clock.clone(), self.policy.silence),
            stirred: Arc::clone(&stirred),
            happened: happened.clone(),
        };
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("pipeline".to_owned()).spawn(move || {
            // when nobody waits for the end, nobody wants to know how it was
            let _unheard = end.send(self.run(waiting, &stirred, &happened));
        })?;
        Ok((handle, ended))
    }

    fn run(
        mut self,
        mut waiting: mpsc::Receiver<Work>,
        stirred: &Notify,
        happened: &broadcast::Sender<Arc<Vec<Event>>>,
    ) -> Result<(), JournalError> {
        // those that a stop left over are written first
        let mut copies = true;
        loop {
            let next = match copies {
                false => waiting.blocking_recv(),
                // whatever waits comes between two handfuls of copies
                true => match waiting.try_recv() {
                    Ok(work) => Some(work),
                    Err(TryRecvError::Empty) => Some(Work::Copies),
                    Err(TryRecvError::Disconnected) => None,
                },
            };
            let Some(first) = next else { break };
            let mut bytes = size(&first);
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
                let Ok(next) = waiting.try_recv() else { break };
                bytes = bytes.saturating_add(size(&next));
                batch.push(next);
            }
            if copies && !batch.iter().any(|work| matches!(work, Work::Copies)) {
                batch.push(Work::Copies);
            }
            let looked = batch.iter().any(|work| matches!(work, Work::Look(..)));
            let mut events = self.batch(batch)?;
            // what could not be recorded is tried again at the next look, not at once
            copies = (looked || !events.is_empty()) && self.copies_are_left()?;
            if events.iter().any(|event| needs_a_look(&event.what)) {
                events.extend(self.batch(vec![Work::Look(Vec::new(), None)])?);
            }
            if !events.is_empty() {
                stirred.notify_one();
                // nobody may be watching
                let _watchers = happened.send(Arc::new(events));
            }
        }
        if let Err(error) = self.writer.flush() {
            warn!(%error, "index not flushed; it is caught up at the next start");
        }
        Ok(())
    }

    /// Works off a batch; returns what happened. Only a journal that is closed for good is an error.
    fn batch(&mut self, batch: Vec<Work>) -> Result<Vec<Event>, JournalError> {
        let now = self.clock.now();
        let opened = self.open_all(&batch, now);
        crash::point("opened");
        let decided = self.decide_all(batch, opened, now);
        let (steps, answers) = match decided {
            Ok(decided) => decided,
            Err(error) => return Err(self.condemn(&error)),
        };
        crash::point("decided");
        let commits = self.seal_all(steps, now);
        crash::point("sealed");
        let events: Vec<Event> = commits.iter().flat_map(|commit| commit.events.clone()).collect();
        match self.writer.commit(commits, now) {
            Ok(()) => {
                events.iter().for_each(telemetry::tell);
                answers.into_iter().for_each(|answer| answer.durable(&events));
                crash::point("answered");
                Ok(events)
            }
            Err(CommitError::Journal(closed @ JournalError::Closed(_))) => Err(closed),
            // the journal has it: it happened, and the index learns of it at the next start
            Err(CommitError::Index(error)) => Err(self.condemn(&error)),
            Err(error) => {
                error!(%error, "nothing of this batch was recorded; it is tried again");
                answers.into_iter().for_each(|answer| answer.refused(&error.to_string()));
                Ok(Vec::new())
            }
        }
    }

    /// An index that cannot be read or written is rebuilt at the next start, which is now.
    fn condemn(&self, error: &IndexError) -> JournalError {
        error!(%error, "the index is unusable; it is rebuilt from the journal at the next start");
        if let Err(error) = self.writer.condemn_index() {
            warn!(%error, "the index could not be marked for rebuilding: remove it by hand");
        }
        JournalError::Closed(error.to_string())
    }

    /// Decides, one input after the other, each seeing what the ones before it did.
    fn decide_all(
        &self,
        batch: Vec<Work>,
        opened: Vec<Option<Arc<Message>>>,
        now: Timestamp,
    ) -> Result<(Vec<Step>, Vec<Reply>), IndexError> {
        let mut draft = self.writer.draft();
        let mut mails = Batch::new();
        let mut steps = Vec::new();
        let mut replies = Vec::new();
        for (work, message) in batch.into_iter().zip(opened) {
            let (step, reply) = match (work, message) {
                (Work::Mail(arrival, answer), Some(message)) => {
                    let (step, recorded) = self.mail(&draft, *arrival, message, &mut mails, now)?;
                    (step, Reply::Mail(answer, recorded))
                }
                (Work::Delivery(id, outcome, answer), _) => {
                    (self.delivery(&draft, &id, outcome, now)?, Reply::Unit(answer))
                }
                (Work::Command(command, answer), about) => {
                    let (OutboxCommand::Hold(id) | OutboxCommand::Release(id)) = &command;
                    let (step, done) = self.command(&draft, &command, about, now)?;
                    (step, Reply::Text(answer, id.clone(), done))
                }
                (Work::Accept(accept, answer), _) => {
                    let (step, done) = self.accept(&draft, accept, now)?;
                    (step, Reply::Word(answer, done))
                }
                (Work::Order(given, answer), _) => {
                    let (step, done) = self.give(&draft, *given, &mails, now)?;
                    let letters = step.iter().flat_map(|step| &step.letters).map(|letter| letter.id.clone());
                    let letters = letters.collect();
                    (step, Reply::Done(answer, letters, done))
                }
                (Work::Found(found, answer), message) => {
                    (self.found(&draft, *found, message, now)?, Reply::Unit(answer))
                }
                (Work::Look(silent, answer), _) => {
                    // somebody waits for the answer when it is the clock that asks
                    let step = self.look(&draft, &silent, answer.is_some(), now)?;
                    (step, answer.map_or(Reply::None, Reply::Unit))
                }
                (Work::Copies, _) => (self.copies(&draft, now)?, Reply::None),
                (Work::Unreadable, _) => return Err(IndexError::Incomplete),
                (Work::Ping(answer), _) => (None, Reply::Unit(answer)),
                (Work::Mail(_, answer), None) => (None, Reply::Mail(answer, Err(Refused::Stopping))),
            };
            if let Some(step) = step {
                draft.fold(&step.record(now))?;
                steps.push(step);
            }
            replies.push(reply);
        }
        Ok((steps, replies))
    }

    /// Seals every letter of a batch on all threads, and makes the commits.
    fn seal_all(&self, steps: Vec<Step>, now: Timestamp) -> Vec<Commit> {
        let letters: Vec<&Letter> = steps.iter().flat_map(|step| &step.letters).collect();
        let mut sealed = in_parallel(&letters, |letter| {
            let message_id = self.message_id();
            let sealing =
                AssertUnwindSafe(|| seal(letter, &message_id, &self.letterhead, &self.keyring, now));
            // one letter must not stop the queue, at this start and at every other
            let sealed = std::panic::catch_unwind(sealing)
                .unwrap_or_else(|_| Err(Held("psirtd itself failed to write it".to_owned())));
            posted(letter, message_id, sealed, now)
        })
        .into_iter();
        steps
            .into_iter()
            .map(|step| {
                let mut events = step.events;
                let mut letters = step.texts;
                for (event, bytes) in sealed.by_ref().take(step.letters.len()) {
                    events.push(event);
                    letters.extend(bytes);
                }
                forget_what_nobody_was_told(&mut events);
                Commit { receipt: step.receipt, mail: step.mail, events, letters }
            })
            .collect()
    }

    /// A new Message-ID: 128 random bits that only the participants of the thread come to know.
    fn message_id(&self) -> String {
        let token: String = chance::bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        thread::message_id(&token, &self.letterhead.desk)
    }
}

/// What is in no letter that was sealed is told again at the next look.
fn forget_what_nobody_was_told(events: &mut Vec<Event>) {
    for told_by in [LetterKind::Warning, LetterKind::Digest] {
        let sealed =
            |event: &Event| matches!(&event.what, What::LetterQueued { kind, .. } if *kind == told_by);
        let held = |event: &Event| matches!(&event.what, What::LetterHeld { kind, .. } if *kind == told_by);
        if events.iter().any(held) && !events.iter().any(sealed) {
            error!("no coordinator can be told what needs a person; see “psirtd check” and “psirtd outbox”");
            events.retain(|event| match &event.what {
                What::Told { .. } => told_by != LetterKind::Warning,
                What::Digested { .. } => told_by != LetterKind::Digest,
                _ => !held(event),
            });
        }
    }
    // a reminder has one reader, and is written again for that one
    let unreminded = |event: &Event| match &event.what {
        What::LetterHeld { kind: LetterKind::Reminder | LetterKind::Warning, to, .. } => Some(to.canonical()),
        _ => None,
    };
    let unreminded: Vec<String> = events.iter().filter_map(unreminded).collect();
    events.retain(|event| match &event.what {
        What::Reminded { to, .. } => !unreminded.contains(to),
        What::LetterHeld { kind, .. } => *kind != LetterKind::Reminder,
        _ => true,
    });
}

/// The coordinators should hear of it now, not at the next round.
fn needs_a_look(what: &What) -> bool {
    match what {
        What::LetterHeld { withheld, reason, .. } => !withheld || reason.contains("limit: "),
        What::LetterReturned { .. } => true,
        _ => false,
    }
}

fn size(work: &Work) -> u64 {
    match work {
        Work::Mail(arrival, _) => {
            let size = arrival.raw.len();
            open::unpacks_to(size).saturating_add(u64::try_from(size).unwrap_or(u64::MAX))
        }
        Work::Delivery(..)
        | Work::Command(..)
        | Work::Accept(..)
        | Work::Order(..)
        | Work::Found(..)
        | Work::Copies
        | Work::Look(..)
        | Work::Unreadable
        | Work::Ping(_) => 0,
    }
}
