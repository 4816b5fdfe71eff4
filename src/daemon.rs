//! Builds the house from the configuration, supervises the doors, and locks up.
//!
//! # What it is for
//! [`Daemon::open`] opens the store and starts the pipeline; [`Daemon::open_doors`] lets mail in and letters out; and
//! [`Daemon::serve`] stays until it is told to stop. The demo and the tests use the same three.
//!
//! # Invariants
//! * On SIGTERM or SIGINT no more mail is taken in, letters under way are finished, what was handed over is recorded: within ten
//!   seconds. SIGKILL is always safe.
//! * systemd hears READY when the doors are open, a sign of life only when the pipeline answers, and in one line of status how
//!   each door is, as soon as that changes.
//!
//! # Fatal
//! A pipeline that ended (its disk failed), a door that broke. systemd starts psirtd again.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::config::Config;
use crate::custody::DeskKeys;
use crate::health::Health;
use crate::pipeline::{Ended, Handle, Pipeline};
use crate::store::{self, StoreError};
use crate::{control, inbox, lookup, outbox, scheduler};

/// The time that letters under way have to be finished.
const DRAIN: Duration = Duration::from_secs(6);
/// And then, for what was handed over to be recorded. Of the ten seconds that are promised two are left for the store and the process to end.
const LAST_COMMIT: Duration = Duration::from_secs(2);

/// Why the daemon could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no thread, no signal handler.
    #[error("the system refused: {0}")]
    Io(#[from] std::io::Error),
    /// The pipeline or a door ended while it was needed.
    #[error("stopped, because it cannot go on: {0}")]
    Ended(String),
}

/// A running house.
#[derive(Debug)]
pub struct Daemon {
    pipeline: Handle,
    restored: Option<String>,
    ended: Ended,
    doors: JoinSet<()>,
    stop: watch::Sender<bool>,
    clock: Clock,
    inbox: inbox::Settings,
    outbox: outbox::Settings,
    sender: outbox::Sender,
    state: PathBuf,
    look_up: bool,
}

impl Daemon {
    /// Opens the store and starts the pipeline; the doors stay closed.
    pub fn open(config: Config, clock: Clock) -> Result<Self, DaemonError> {
        let Config { policy, keyring, letterhead, state, inbox, outbox, look_up, .. } = config;
        let now = clock.now();
        let (writer, reader, notices) = store::open(&state, &DeskKeys { keyring: &keyring, now }, now)?;
        for notice in &notices.0 {
            warn!("{notice}");
        }
        let sender = outbox::Sender { desk: policy.desk.clone(), plus_address: policy.plus_address };
        let mut pipeline = Pipeline { writer, reader, keyring, letterhead, policy, clock: clock.clone() };
        let restored = pipeline.take_note_of_backup()?;
        if let Some(done) = &restored {
            warn!("this desk was brought back from a backup: {done}");
        }
        let (pipeline, ended) = pipeline.start()?;
        let (stop, _) = watch::channel(false);
        Ok(Self {
            pipeline,
            restored,
            ended,
            doors: JoinSet::new(),
            stop,
            clock,
            inbox,
            outbox,
            sender,
            state,
            look_up,
        })
    }

    /// What was done because the desk was brought back from a backup, if it was, and nobody had taken note of that.
    pub fn restored(&self) -> Option<&str> {
        self.restored.as_deref()
    }

    /// How to reach the pipeline.
    pub fn pipeline(&self) -> &Handle {
        &self.pipeline
    }

    /// Opens inbox, outbox and control.
    pub fn open_doors(&mut self) {
        let stop = || self.stop.subscribe();
        let (pipeline, clock) = (&self.pipeline, &self.clock);
        self.doors.spawn(inbox::run(self.inbox.clone(), pipeline.clone(), clock.clone(), stop()));
        self.doors.spawn(outbox::run(
            self.outbox.clone(),
            self.sender.clone(),
            pipeline.clone(),
            clock.clone(),
            stop(),
        ));
        self.doors.spawn(scheduler::run(pipeline.clone(), stop()));
        if self.look_up {
            let settings = lookup::Settings::default();
            self.doors.spawn(lookup::door::run(settings, pipeline.clone(), clock.clone(), stop()));
        }
        self.doors.spawn(control::serve(self.state.clone(), pipeline.clone(), clock.clone(), stop()));
    }

    /// Serves until `enough` is done, or something fatal happens; then locks up.
    pub async fn serve(mut self, enough: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let watchdog = tokio::spawn(watchdog(self.pipeline.clone()));
        let status = tokio::spawn(status(self.pipeline.health().clone()));
        info!(version = env!("CARGO_PKG_VERSION"), inbox = ?self.inbox, outbox = ?self.outbox, "psirtd is up");
        notify(&[sd_notify::NotifyState::Ready]);
        let fatal = tokio::select! {
            () = enough => None,
            ended = &mut self.ended => Some(why(ended)),
            Some(door) = self.doors.join_next() => Some(match door {
                Ok(()) => "a door closed by itself".to_owned(),
                Err(error) => format!("a door broke: {error}"),
            }),
        };
        notify(&[sd_notify::NotifyState::Stopping]);
        watchdog.abort();
        status.abort();
        match fatal {
            Some(why) => Err(DaemonError::Ended(why)),
            None => self.close().await,
        }
    }

    /// Locks up: doors, then pipeline.
    pub async fn close(self) -> Result<(), DaemonError> {
        let Self { pipeline, mut ended, mut doors, stop, .. } = self;
        // without doors nobody hears it
        let _unheard = stop.send(true);
        drop(pipeline);
        let orderly = async {
            while doors.join_next().await.is_some() {}
            (&mut ended).await
        };
        let end = match tokio::time::timeout(DRAIN, orderly).await {
            Ok(end) => Some(end),
            Err(_) => {
                warn!("letters under way were cut off; they are sent again at the next start");
                doors.shutdown().await;
                tokio::time::timeout(LAST_COMMIT, ended).await.ok()
            }
        };
        match end {
            Some(Ok(Ok(()))) => {
                info!("psirtd is down");
                Ok(())
            }
            Some(end) => Err(DaemonError::Ended(why(end))),
            None => Err(DaemonError::Ended("the pipeline did not end in time".to_owned())),
        }
    }
}

/// Runs a desk until SIGTERM or SIGINT.
pub async fn run(config: Config, clock: Clock) -> Result<(), DaemonError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let warnings = config.warnings.len();
    let mut daemon = Daemon::open(config, clock)?;
    // warnings name addresses: the log only counts them, “psirtd check” shows them
    if warnings > 0 {
        warn!(warnings, "the configuration has warnings; see “psirtd check”");
    }
    daemon.open_doors();
    daemon
        .serve(async {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM: finishing what is under way"),
                _ = interrupt.recv() => info!("SIGINT: finishing what is under way"),
            }
        })
        .await
}

fn why<E: std::fmt::Display>(ended: Result<Result<(), E>, tokio::sync::oneshot::error::RecvError>) -> String {
    match ended {
        Ok(Ok(())) => "the pipeline ended".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the pipeline panicked".to_owned(),
    }
}

/// Tells systemd that psirtd lives, as long as the pipeline answers.
async fn watchdog(pipeline: Handle) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    loop {
        tokio::time::sleep(interval.div_f64(3.0)).await;
        match tokio::time::timeout(interval, pipeline.ping()).await {
            Ok(Ok(())) => notify(&[sd_notify::NotifyState::Watchdog]),
            _ => error!("the pipeline does not answer: no sign of life to the watchdog"),
        }
    }
}

/// Tells systemd how the doors are: `systemctl status` shows it.
async fn status(health: Health) {
    loop {
        notify(&[sd_notify::NotifyState::Status(&health.status())]);
        health.changed().await;
    }
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // outside systemd there is nobody to tell
    let _nobody = sd_notify::notify(states);
}
