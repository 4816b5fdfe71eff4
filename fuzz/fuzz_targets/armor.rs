//! The finder of OpenPGP blocks in a text: it loses no line, and puts none out of order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use psirtd::open::armor::{Piece, pieces};
use psirtd_fuzz::start;

fuzz_target!(init: start(), |text: &str| {
    let pieces = pieces(text);
    let joined: String = pieces.iter().map(written).collect();
    assert_eq!(lines(&joined), lines(text));

    let mut rest = text;
    for piece in &pieces {
        // a message's lines lose the white space around them, so only the others stand in the text as they are
        if let Piece::Text(piece) | Piece::Signed(piece) = piece {
            let at = rest.find(piece.as_str()).expect("a piece of the text");
            rest = &rest[at + piece.len()..];
        }
    }
});

fn written(piece: &Piece) -> &str {
    match piece {
        Piece::Text(text) | Piece::Message(text) | Piece::Signed(text) => text,
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect()
}
