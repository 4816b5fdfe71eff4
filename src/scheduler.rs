//! The clock on the wall: says from time to time that it is time to look.
//!
//! # What it is for
//! Some things happen because time goes by, not because mail arrives: keys expire, letters wait for a person. What follows from
//! them is decided by the pipeline; whoever wakes it up too often does no harm.

use std::time::Duration;

use tokio::sync::watch;
use tracing::error;

use crate::inbox::stopped;
use crate::pipeline::Handle;

/// A person waits no longer than this to be told.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// Wakes the pipeline up until `stop` turns true.
pub async fn run(pipeline: Handle, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = pipeline.look().await {
            error!(%error, "scheduler: nobody could be told what needs a person");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stopped(&mut stop) => {}
        }
    }
}
