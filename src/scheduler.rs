//! The clock on the wall: says from time to time that it is time to look.
//!
//! # What it is for
//! Some things happen because time goes by, not because mail arrives: keys expire, letters wait for a person, a door has not
//! worked for too long. What follows from them is decided by the pipeline; whoever wakes it up too often does no harm.

use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use crate::domain::concern::Door;
use crate::inbox::stopped;
use crate::pipeline::Handle;

/// A person waits no longer than this to be told.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// Wakes the pipeline up until `stop` turns true.
pub async fn run(pipeline: Handle, mut stop: watch::Receiver<bool>) {
    let tick = pipeline.health().tick();
    let mut told_of: Vec<Door> = Vec::new();
    let (mut slept, mut since_look) = (Duration::ZERO, EVERY);
    while !*stop.borrow() {
        let silent = pipeline.health().examine(slept);
        let doors: Vec<Door> = silent.iter().map(|silence| silence.door.clone()).collect();
        if since_look >= EVERY || doors.iter().any(|door| !told_of.contains(door)) {
            since_look = Duration::ZERO;
            if let Err(error) = pipeline.look(silent).await {
                error!(%error, "scheduler: nobody could be told what needs a person");
            }
        }
        told_of = doors;
        tokio::select! {
            () = tokio::time::sleep(tick) => {}
            () = stopped(&mut stop) => {}
        }
        slept = tick;
        since_look = since_look.saturating_add(tick);
    }
}
