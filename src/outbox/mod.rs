//! The door out: due letters, one recipient a transaction, the outcome of each.
//!
//! # Invariants
//! * Makes no decision: sends the bytes the store has, reports what the server said. Retry times, giving up and holding are
//!   the core's.
//! * What the server said is recorded before the letter could be sent again, and no letter is under way twice.
//! * Level-triggered: looks for what is due whenever it is woken and whenever something becomes due; a lost wake-up costs
//!   nothing but time.

pub mod maildir;
pub mod smtp;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::domain::letter::{LetterId, Outcome, Posting};
use crate::domain::message::Mailbox;
use crate::domain::thread;
use crate::inbox::stopped;
use crate::pipeline::{Handle, Refused};

/// Letters under way at the same time.
const AT_ONCE: usize = 4;
/// Without any wake-up, the outbox is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
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
    /// There is nothing to send for now.
    async fn rest(&self) {
        if let Self::Smtp(submission) = self {
            submission.rest().await;
        }
    }
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

/// Sends letters until `stop` turns true; letters under way are finished.
pub async fn run(
    settings: Settings,
    sender: Sender,
    pipeline: Handle,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) {
    let carrier = match settings {
        Settings::Smtp(settings) => match smtp::Submission::new(&settings) {
            Ok(submission) => Carrier::Smtp(Box::new(submission)),
            Err(error) => {
                error!(%error, "outbox: cannot be opened");
                return;
            }
        },
        Settings::Maildir(settings) => Carrier::Maildir(settings),
    };
    let mut under_way = FuturesUnordered::new();
    let mut names = BTreeSet::new();
    while !*stop.borrow() {
        let now = clock.now();
        // those under way are due, too, until their outcome is recorded
        let most = AT_ONCE.saturating_add(names.len());
        let (due, next) = match pipeline.reader().index.due(now, most) {
            Ok(found) => found,
            Err(error) => {
                error!(%error, "outbox: the index cannot be read");
                // who writes it meets the same, and ends psirtd so that it is rebuilt: now, not with the next mail
                let _ended = pipeline.look().await;
                (Vec::new(), None)
            }
        };
        for posting in due {
            if names.len() < AT_ONCE && names.insert(posting.id.clone()) {
                under_way.push(deliver(&carrier, &sender, &pipeline, posting));
            }
        }
        let until_next = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        tokio::select! {
            Some((done, recorded)) = under_way.next() => {
                names.remove(&done);
                if !recorded {
                    // nothing can be recorded any more: the letter would be due, and sent, again and again
                    return stopped(&mut stop).await;
                }
            }
            () = pipeline.stirred() => {}
            () = tokio::time::sleep(until_next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)) => {
                if names.is_empty() {
                    carrier.rest().await;
                }
            }
            () = stopped(&mut stop) => {}
        }
    }
    while under_way.next().await.is_some() {}
    carrier.rest().await;
}

/// One attempt; says whether its outcome is recorded.
async fn deliver(
    carrier: &Carrier,
    sender: &Sender,
    pipeline: &Handle,
    posting: Posting,
) -> (LetterId, bool) {
    let outcome = attempt(carrier, sender, pipeline, &posting).await;
    let recorded = record(pipeline, &posting, outcome).await;
    (posting.id, recorded)
}

async fn attempt(carrier: &Carrier, sender: &Sender, pipeline: &Handle, posting: &Posting) -> Outcome {
    let Some(digest) = &posting.bytes else {
        return Outcome::Permanent("the letter has no bytes".to_owned());
    };
    let bytes = match pipeline.reader().letters.read(digest) {
        Ok(bytes) => bytes,
        Err(error) => {
            let why = format!("the letter's file cannot be read: {error}");
            let gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData);
            return if gone { Outcome::Permanent(why) } else { Outcome::Transient(why) };
        }
    };
    match carrier {
        Carrier::Smtp(submission) => {
            let id = posting.message_id.as_deref().unwrap_or_default();
            submission.send(&sender.of(posting), &posting.to, id, &bytes).await
        }
        Carrier::Maildir(maildir) => maildir::deliver(maildir, &posting.to, posting.id.as_str(), &bytes),
    }
}

/// Offers an outcome to the store until it is taken: sending the letter again instead would be worse. False when the store
/// is gone.
async fn record(pipeline: &Handle, posting: &Posting, outcome: Outcome) -> bool {
    loop {
        match pipeline.delivered(posting.id.clone(), outcome.clone()).await {
            Ok(()) => return true,
            Err(Refused::Stopping) => {
                info!(letter = %posting.id, "outbox: psirtd stopped before an outcome was recorded; it is sent again");
                return false;
            }
            Err(error) => {
                warn!(letter = %posting.id, %error, "outbox: an outcome could not be recorded");
                tokio::time::sleep(OFFER_AGAIN).await;
            }
        }
    }
}
