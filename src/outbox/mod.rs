//! The door out: due letters, one recipient a transaction, the outcome of each.
//!
//! # Invariants
//! * Makes no decision: sends the bytes the store has, reports what the server said. Retry times, giving up and holding are
//!   the core's.
//! * What was stopped does not leave, even if its turn had come before that: whether it may is asked when the server waits for its bytes.
//! * What the server said is recorded before the letter could be sent again, and no letter is under way twice.
//! * Level-triggered: looks for what is due whenever it is woken and whenever something becomes due; a lost wake-up costs
//!   nothing but time.

pub mod maildir;
pub mod smtp;

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::crash;
use crate::domain::backoff::Backoff;
use crate::domain::letter::LetterId;
use crate::domain::message::Mailbox;
use crate::domain::posting::{Outcome, Posting};
use crate::domain::thread;
use crate::health::Pulse;
use crate::inbox::stopped;
use crate::pipeline::{Handle, Refused};

/// Letters on their way to the server at the same time.
const AT_ONCE: usize = 4;
/// The same with those whose outcome waits to be recorded, behind the mails of a backlog. After SIGKILL so many are sent again.
const UNDER_WAY: usize = 16;
/// A letter that is under way for so long hangs: it is waited for, but does not keep the others from their turn.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// So many letters may hang beside those that move. Each holds a connection.
const MOST_HANGING: usize = 48;
/// Without any wake-up, the outbox is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// While the server takes no letters, and none is due soon, it is asked whether it would: a letter that was deferred for two hours
/// is no reason to call a server silent that works again. A wrong password is not tried more often than that.
const PROBES: Backoff = Backoff { first: LOOK_EVERY, cap: Duration::from_secs(5 * 60) };
/// When the store does not take an outcome, it is offered again after this.
const OFFER_AGAIN: Duration = Duration::from_secs(2);

/// Which door.
#[derive(Debug, Clone)]
pub enum Settings {
    /// A submission server.
    Smtp(smtp::Settings),
    /// A local Maildir.
    Maildir(maildir::Settings),
}

enum Carrier {
    Smtp(Box<smtp::Submission>),
    Maildir(maildir::Settings),
}

impl Carrier {
    fn new(settings: Settings) -> Result<Self, String> {
        Ok(match settings {
            Settings::Smtp(settings) => Self::Smtp(Box::new(smtp::Submission::new(&settings)?)),
            Settings::Maildir(settings) => Self::Maildir(settings),
        })
    }

    /// Can it be reached, and logged in to?
    async fn probe(&self, pulse: &Pulse) -> bool {
        let Self::Smtp(submission) = self else { return true };
        let probed = submission.probe().await;
        match &probed {
            Ok(()) => {
                pulse.worked();
                pulse.rests();
            }
            Err(why) => pulse.failed(&format!("the server takes no letters: {why}")),
        }
        probed.is_ok()
    }

    /// There is nothing to send for now.
    async fn rest(&self) {
        if let Self::Smtp(submission) = self {
            submission.rest().await;
        }
    }
}

/// What came of an attempt: for the letter, and for all of them.
struct Attempt(Outcome, Service);

/// Says, at the last moment, whether a letter may still leave.
type MayLeave<'a> = dyn Fn() -> bool + Sync + 'a;

/// What an attempt says of the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// The letter was taken, or refused for its own sake.
    Works,
    /// No letter would have left.
    Fails,
    /// The server cannot be reached, secured, or logged in to: it can be asked whether that has changed.
    Closed,
    /// It did not come to that.
    Untried,
}

/// The envelope's sender.
#[derive(Debug, Clone)]
pub struct Sender {
    /// The desk.
    pub desk: Mailbox,
    /// A letter of a case has an address of its own: a bounce that names nothing else comes back to it.
    pub plus_address: bool,
}

impl Sender {
    fn of(&self, posting: &Posting) -> Mailbox {
        let id = posting.message_id.as_ref().filter(|_| self.plus_address && posting.case.is_some());
        let own = id.and_then(|id| thread::address_of(id, &self.desk));
        own.map_or_else(|| self.desk.clone(), Mailbox::bare)
    }
}

/// Letters on their way to the server. One whose server hangs makes room for the next.
#[derive(Default)]
struct Lanes {
    moving: BTreeSet<LetterId>,
    hanging: BTreeSet<LetterId>,
    /// Each letter's, when it has been under way for too long to be waited for alone.
    alarms: FuturesUnordered<Pin<Box<dyn Future<Output = LetterId> + Send>>>,
}

impl Lanes {
    fn begin(&mut self, letter: LetterId) {
        self.moving.insert(letter.clone());
        self.alarms.push(Box::pin(async move {
            tokio::time::sleep(HANGS_AFTER).await;
            letter
        }));
    }

    /// It has been under way for that long; it may have come to something meanwhile.
    fn alarm(&mut self, letter: LetterId) {
        if self.moving.contains(&letter) && self.hanging.len() < MOST_HANGING {
            self.moving.remove(&letter);
            self.hanging.insert(letter);
        }
    }

    fn end(&mut self, letter: &LetterId) {
        self.moving.remove(letter);
        self.hanging.remove(letter);
    }

    /// `unrecorded`: so many letters are on their way, or their outcome waits to be recorded.
    fn have_room(&self, unrecorded: usize) -> bool {
        self.moving.len() < AT_ONCE && unrecorded < UNDER_WAY.saturating_add(self.hanging.len())
    }
}

/// Sends letters until `stop` turns true; letters under way are finished.
pub async fn run(
    settings: Settings,
    sender: Sender,
    pipeline: Handle,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) {
    let carrier = match Carrier::new(settings) {
        Ok(carrier) => carrier,
        Err(error) => return error!(%error, "outbox: cannot be opened"),
    };
    let pulse = pipeline.health().outbox();
    let mut sending = FuturesUnordered::new();
    let mut recording = FuturesUnordered::new();
    let mut names = BTreeSet::new();
    let mut lanes = Lanes::default();
    let (mut closed, mut probes) = (false, 0_u32);
    while !*stop.borrow() {
        let now = clock.now();
        // those under way are due, too, until their outcome is recorded
        let most = AT_ONCE.saturating_add(names.len());
        let (due, next) = match pipeline.reader().index.due(now, most) {
            Ok(found) => found,
            Err(error) => {
                error!(%error, "outbox: the index cannot be read");
                pipeline.cannot_read().await;
                (Vec::new(), None)
            }
        };
        for posting in due {
            if lanes.have_room(names.len()) && names.insert(posting.id.clone()) {
                pulse.begins();
                lanes.begin(posting.id.clone());
                sending.push(attempt(&carrier, &sender, &pipeline, posting));
            }
        }
        let until_next = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        let look_every = PROBES.wait(probes, 0.5);
        tokio::select! {
            Some((id, attempt)) = sending.next() => {
                lanes.end(&id);
                recording.push(record(&pipeline, &pulse, id, attempt));
            }
            Some((done, service)) = recording.next() => {
                names.remove(&done);
                if names.is_empty() {
                    pulse.rests();
                }
                // nothing can be recorded any more: the letter would be due, and sent, again and again
                let Some(service) = service else { return stopped(&mut stop).await };
                closed = service == Service::Closed || (closed && service == Service::Untried);
                probes = if closed { probes } else { 0 };
            }
            Some(letter) = lanes.alarms.next() => lanes.alarm(letter),
            () = pipeline.stirred() => {}
            () = tokio::time::sleep(until_next.unwrap_or(look_every).min(look_every)) => {
                if names.is_empty() {
                    carrier.rest().await;
                    if closed && until_next.is_none_or(|next| next > look_every) {
                        tokio::select! {
                            opened = carrier.probe(&pulse) => closed = !opened,
                            () = stopped(&mut stop) => {}
                        }
                        probes = if closed { probes.saturating_add(1) } else { 0 };
                    }
                }
            }
            () = stopped(&mut stop) => {}
        }
    }
    while !(sending.is_empty() && recording.is_empty()) {
        tokio::select! {
            Some((id, attempt)) = sending.next() => recording.push(record(&pipeline, &pulse, id, attempt)),
            Some(_) = recording.next() => {}
        }
    }
    carrier.rest().await;
}

async fn attempt(
    carrier: &Carrier,
    sender: &Sender,
    pipeline: &Handle,
    posting: Posting,
) -> (LetterId, Option<Attempt>) {
    let attempt = send(carrier, sender, pipeline, &posting).await;
    (posting.id, attempt)
}

/// None when the letter may not leave any more: a person has stopped it, or its reader is suspended, since it was picked.
async fn send(carrier: &Carrier, sender: &Sender, pipeline: &Handle, posting: &Posting) -> Option<Attempt> {
    let Some(digest) = &posting.bytes else {
        return Some(Attempt(Outcome::Permanent("the letter has no bytes".to_owned()), Service::Untried));
    };
    let may_leave = || pipeline.may_leave(&posting.id);
    let bytes = match pipeline.reader().archive.letters.read(digest) {
        Ok(bytes) => bytes,
        Err(error) => {
            let why = format!("the letter's file cannot be read: {error}");
            let gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData);
            return Some(match gone {
                true => Attempt(Outcome::Permanent(why), Service::Untried),
                false => Attempt(Outcome::Transient(why), Service::Fails),
            });
        }
    };
    match carrier {
        Carrier::Smtp(submission) => {
            let id = posting.message_id.as_deref().unwrap_or_default();
            submission.send(&sender.of(posting), &posting.to, id, &bytes, &may_leave).await
        }
        Carrier::Maildir(maildir) => {
            may_leave().then(|| maildir::deliver(maildir, &posting.to, posting.id.as_str(), &bytes))
        }
    }
}

/// Offers an outcome to the store until it is taken: sending the letter again instead would be worse. Says what the attempt showed of
/// the door, or nothing when the store is gone. There is nothing to record of a letter that was stopped before it left.
async fn record(
    pipeline: &Handle,
    pulse: &Pulse,
    id: LetterId,
    attempt: Option<Attempt>,
) -> (LetterId, Option<Service>) {
    let Some(Attempt(outcome, service)) = attempt else {
        info!(letter = %id, "outbox: a letter was stopped before it left");
        return (id, Some(Service::Untried));
    };
    loop {
        match pipeline.delivered(id.clone(), outcome.clone()).await {
            Ok(()) => break,
            Err(Refused::Stopping) => {
                info!(letter = %id, "outbox: psirtd stopped before an outcome was recorded; it is sent again");
                return (id, None);
            }
            Err(error) => {
                warn!(letter = %id, %error, "outbox: an outcome could not be recorded");
                pulse.failed(&format!("what came of a letter could not be recorded: {error}"));
                tokio::time::sleep(OFFER_AGAIN).await;
            }
        }
    }
    crash::point("outcome recorded");
    // not before it is recorded: what is not recorded is done again
    match (service, outcome) {
        (Service::Works, _) => pulse.worked(),
        (Service::Untried, _) => {}
        (_, Outcome::Accepted(said) | Outcome::Transient(said) | Outcome::Permanent(said)) => {
            pulse.failed(&said);
        }
    }
    (id, Some(service))
}
