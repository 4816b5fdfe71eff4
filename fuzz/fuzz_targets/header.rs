//! The header of a mail that is too large to be fetched.

#![no_main]

use libfuzzer_sys::fuzz_target;
use psirtd::open::{digest, open_header};
use psirtd_fuzz::{KEYRING, NOW, check, start};

const SIZE: u64 = 100_000_000;

fuzz_target!(init: start(), |header: &[u8]| {
    let message = open_header(header, SIZE, None, &KEYRING, *NOW);
    check(&message);
    assert_eq!((message.digest.clone(), message.size), (digest(header), SIZE));
    assert!(message.not_fetched && message.is_unreadable());
    assert!(message.text.is_empty() && message.attachments.is_empty() && !message.came_encrypted());
    assert_eq!(message, open_header(header, SIZE, None, &KEYRING, *NOW));
});
