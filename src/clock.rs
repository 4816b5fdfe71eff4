//! The only file that may ask what time it is.
//!
//! Everywhere else `now` is an argument (`.clippy.toml` forbids the rest). Tests turn the manual clock by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Where the time comes from. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock set by hand, in milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still until it is set.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    /// What time it is, in whole milliseconds: the precision with which events are kept.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn now(&self) -> Timestamp {
        let millisecond = match self {
            Self::System => Timestamp::now().as_millisecond(),
            Self::Manual(millisecond) => millisecond.load(Ordering::SeqCst),
        };
        Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MAX)
    }

    /// Sets a manual clock; the machine's clock is not ours to set.
    pub fn set(&self, to: Timestamp) {
        if let Self::Manual(millisecond) = self {
            millisecond.store(to.as_millisecond(), Ordering::SeqCst);
        }
    }
}
