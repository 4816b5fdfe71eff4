//! The door in: hands mails over; when they are recorded, marks and moves them.
//!
//! # Invariants
//! * A mail is marked or moved only after the pipeline has said that it is recorded. The server's flags are a hint for
//!   people; the store is the truth.
//! * A mail that is larger than the limit is not fetched: its header is recorded, a person is told, it stays where it lies.
//! * Whatever a server does, the door tries again, with growing, jittered waits.

pub mod cursor;
pub mod imap;
pub mod maildir;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::pipeline::Handle;

/// Which door, and what fits through it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where mail comes from.
    pub door: Door,
    /// Larger mails are not fetched. Bytes.
    pub max_size: u64,
}

/// Where mail comes from.
#[derive(Debug, Clone)]
pub enum Door {
    /// A mailbox on a server.
    Imap(imap::Settings),
    /// A local Maildir.
    Maildir(maildir::Settings),
}

/// Takes mail in until `stop` turns true.
pub async fn run(settings: Settings, pipeline: Handle, clock: Clock, stop: watch::Receiver<bool>) {
    match settings.door {
        Door::Imap(door) => imap::run(door, settings.max_size, pipeline, clock, stop).await,
        Door::Maildir(door) => maildir::run(door, settings.max_size, pipeline, stop).await,
    }
}

/// Returns when psirtd is to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // whoever could say "stop" is gone: that is a stop, too
    let _gone = stop.wait_for(|stop| *stop).await;
}
