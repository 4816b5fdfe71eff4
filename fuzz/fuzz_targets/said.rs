//! What the text of a mail says to the desk: an order of the team, a request to join the distributors' list, a vouch.

#![no_main]

use libfuzzer_sys::fuzz_target;
use psirtd::domain::application::{self, MOST_EVIDENCE, MOST_NAME};
use psirtd::domain::command::order::read;
use psirtd::domain::message::{Mailbox, Message};
use psirtd::domain::policy::distributors::Distributors;
use psirtd_fuzz::start;

const SUBJECT: &str = "Re: [EX-2026-0001] Heap overflow";

fuzz_target!(init: start(), |text: &str| {
    let order = read(text, Some(SUBJECT), "EX");
    match &order {
        // what goes to somebody else stands in the mail, line by line
        Ok(order) => {
            assert!(!order.commands.is_empty());
            let mut rest = text.lines().map(str::trim_end);
            for line in order.text.iter().flat_map(|text| text.lines()) {
                assert!(rest.any(|known| known.ends_with(line.trim_end())), "{line:?} stands nowhere");
            }
            assert!(order.taker.is_none_or(|place| place < order.commands.len()));
        }
        Err(misread) => assert!(!misread.wrong.is_empty()),
    }

    let from = vec![Mailbox::bare("security@acme.example")];
    let message = Message { text: text.to_owned(), from, ..Message::default() };
    let application = application::read(&message, &Distributors::default());
    assert!(application.organisation.chars().count() <= MOST_NAME);
    assert!(!application.organisation.trim().is_empty());
    for answer in &application.criteria {
        assert!(answer.evidence.chars().count() <= MOST_EVIDENCE);
        assert!(!application.missing.contains(&answer.number) || answer.evidence.is_empty());
    }
    if let Some(vouching) = application::vouching(text) {
        assert!(text.to_lowercase().contains("vouch"));
        assert!(text.to_lowercase().contains(vouching.member.as_str()));
    }
    for word in application::given_back(text) {
        assert!(text.to_ascii_lowercase().contains(&word));
    }
});
