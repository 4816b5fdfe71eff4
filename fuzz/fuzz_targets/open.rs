//! A whole mail.

#![no_main]

use libfuzzer_sys::fuzz_target;
use psirtd::domain::message::{Marks, Message};
use psirtd::open::{digest, open, twin};
use psirtd_fuzz::{KEYRING, NOW, check, start};

fuzz_target!(init: start(), |mail: &[u8]| {
    let message = open(mail, &KEYRING, *NOW);
    check(&message);
    assert_eq!(message.digest, digest(mail));
    assert!(!message.not_fetched);

    // another way here makes another digest, the same twin, and changes nothing else
    let is_mail = message.author().is_some() && mail.contains(&b'\n') && mail[0].is_ascii_alphabetic();
    if is_mail {
        let moved = [b"Received: from a by b\n", mail].concat();
        let other = open(&moved, &KEYRING, *NOW);
        if message.message_id.is_some() {
            assert_eq!(twin(mail, &message), twin(&moved, &other));
        }
        let marks = Marks { hops: message.marks.hops + 1, ..message.marks.clone() };
        let trace = std::iter::once(&other.trace[0]).chain(&message.trace).take(60).cloned().collect();
        let same = Message { digest: digest(&moved), size: other.size, marks, trace, ..message };
        assert_eq!(other, same);
    }
});
