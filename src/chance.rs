//! The only file that draws random numbers.
//!
//! They go into Message-IDs and data keys, which must not be guessed, into nonces, which must not come twice, and into the
//! jitter of waits, which must not be in step.
//!
//! # Fatal
//! An operating system without randomness: psirtd aborts.

use tracing::error;

/// Random bytes from the operating system. When even that fails there is nothing to go on with.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        error!(%error, "the system has no randomness");
        std::process::abort();
    }
    bytes
}

/// A random number in 0..=1.
pub fn fraction() -> f64 {
    let [high, low] = bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}
