//! The only file that draws random numbers.
//!
//! They go into Message-IDs, which must not be guessed, and into the jitter of waits, which must not be in step.
//!
//! # Fatal
//! An operating system without randomness: psirtd aborts.

use tracing::error;

/// Random bytes from the operating system. When even that fails there is nothing to go on with.
pub fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        error!(%error, "the system has no randomness");
        std::process::abort();
    }
    bytes
}

/// A random number in 0..=1.
pub fn fraction() -> f64 {
    let [high, low, ..] = bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}
