//! How long to wait before trying again: exponential, capped, jittered.
//!
//! Pure arithmetic with the random number as an argument, so that a table test can hold it. Used for letters that a server
//! deferred and for connections that broke.

use std::time::Duration;

/// The shape of a series of waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

/// Letters: a minute, two, four … two hours. (RFC 5321 §4.5.4.1 asks for 30 minutes for relays that try every host of the
/// net; psirtd tries one submission server, its own.)
pub const LETTERS: Backoff =
    Backoff { first: Duration::from_secs(60), cap: Duration::from_secs(2 * 60 * 60) };

/// Connections to the mailbox: a second, two, four … five minutes.
pub const CONNECTIONS: Backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_secs(5 * 60) };

/// Refused logins: five seconds, ten, twenty … half an hour. Providers lock accounts that are tried too often.
pub const LOGINS: Backoff = Backoff { first: Duration::from_secs(5), cap: Duration::from_secs(30 * 60) };

impl Backoff {
    /// The wait before attempt number `failures` + 1. `jitter` in 0..=1 spreads it over 75 to 125 % of the exponential
    /// value, so that many letters that failed together do not come back together. Never above the cap.
    pub fn wait(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let exponential =
            self.first.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.cap);
        let spread = 0.75 + 0.5 * jitter.clamp(0.0, 1.0);
        exponential.mul_f64(spread).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let minutes = |failures| LETTERS.wait(failures, 0.5).as_secs() / 60;
        assert_eq!((1..=10).map(minutes).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 120, 120, 120]);
    }

    /// Five failures in ten minutes ban an address with fail2ban, ten in half an hour lock many accounts for as long.
    #[test]
    fn refused_logins_become_rare() {
        let waits: Vec<u64> = (1..=12).map(|failures| LOGINS.wait(failures, 0.5).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]);
    }

    #[test]
    fn jitter_spreads_and_nothing_overflows() {
        assert_eq!(LETTERS.wait(1, 0.0), Duration::from_secs(45));
        assert_eq!(LETTERS.wait(1, 1.0), Duration::from_secs(75));
        assert_eq!(LETTERS.wait(u32::MAX, 1.0), LETTERS.cap);
        assert_eq!(LETTERS.wait(0, 0.5), Duration::from_secs(60));
    }
}
