//! The daemon in the test's own process: its waits can be made short, and its clock is turned by hand.
//!
//! ```ignore
//! let desk = Desk::new(&Plan::scripted(imap.port, smtp.port));
//! let inside = Inside::start(&desk, Clock::System, brief);
//! desk.await_cases(1);                                       // it answers as the process would
//! ```

use super::desk::{Desk, SOON};
use crate::support::daemon::await_socket;
use crate::support::log::Log;
use crate::support::wait_until;
use psirtd::clock::Clock;
use psirtd::config::Config;
use psirtd::daemon::Daemon;
use psirtd::domain::backoff::Backoff;
use psirtd::inbox::{self, Door};
use psirtd::outbox;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Level;

pub struct Inside {
    runtime: Runtime,
    log: Log,
    enough: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<bool>>,
}

/// Waits of a fraction of a second; but a letter, which takes several answers, is waited for as long as it takes.
pub fn brief(config: &mut Config) {
    let backoff = Backoff { first: Duration::from_millis(20), cap: Duration::from_millis(100) };
    let wait = Duration::from_millis(400);
    if let Door::Imap(settings) = &mut config.inbox.door {
        *settings.waits = inbox::imap::connection::Waits {
            answer: wait,
            mail: wait,
            connect: wait,
            later: Duration::from_millis(100),
            connections: backoff,
            logins: backoff,
        };
    }
    if let outbox::Settings::Smtp(settings) = &mut config.outbox {
        settings.patience = SOON;
    }
}

/// Waits as in earnest.
pub fn as_ever(_: &mut Config) {}

impl Inside {
    pub fn start(desk: &Desk, clock: Clock, change: impl FnOnce(&mut Config)) -> Inside {
        let log = Log::default();
        let lines = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_ansi(false);
        let lines = tracing::Dispatch::new(lines.with_writer(log.clone()).finish());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            // the doors are tasks of their own: what they log is found by the thread they run on
            .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&lines)))
            .build()
            .unwrap();
        let mut config = Config::load(&desk.config(), clock.now()).unwrap();
        change(&mut config);
        let mut daemon = {
            let _in_runtime = runtime.enter();
            Daemon::open(config, clock).unwrap()
        };
        let (enough, stop) = oneshot::channel::<()>();
        let served = runtime.spawn(async move {
            daemon.open_doors();
            daemon.serve(async { drop(stop.await) }).await.is_ok()
        });
        await_socket(&psirtd::control::socket(&desk.state()));
        Inside { runtime, log, enough: Some(enough), served: Some(served) }
    }

    pub fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    #[track_caller]
    pub fn await_log(&self, text: &str) {
        wait_until(&format!("the log has {text:?}"), SOON, || self.log().contains(text));
    }

    /// Ends it in good order.
    pub fn stop(mut self) {
        drop(self.enough.take());
        let served = self.served.take().unwrap();
        assert!(self.runtime.block_on(served).unwrap(), "psirtd ended badly");
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.enough.take());
        if let Some(served) = self.served.take() {
            let _ended = self.runtime.block_on(served);
        }
        if std::thread::panicking() {
            eprintln!("--- psirtd's log\n{}", self.log());
        }
    }
}
