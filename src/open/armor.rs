//! OpenPGP blocks in plain text.
//!
//! # Invariants
//! * A block begins and ends with a line of its own. A quoted one (`> -----BEGIN …`) or one in the middle of a sentence is text.
//! * Every line of the text is in exactly one piece, in order.
//!
//! # Standards
//! RFC 9580 §§6.2 (armor), 7 (cleartext signatures).

use mail_parser::decoders::html::html_to_text;

/// How every block begins.
pub(super) const FRAME: &str = "-----BEGIN PGP ";
const MESSAGE: &str = "-----BEGIN PGP MESSAGE-----";
const MESSAGE_END: &str = "-----END PGP MESSAGE-----";
const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNED_END: &str = "-----END PGP SIGNATURE-----";
const KEY: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// No more blocks of one text are opened than this; the rest is shown as it is.
const MAX_BLOCKS: usize = 16;

/// A stretch of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Outside every block.
    Text(String),
    /// An armored message with its frame.
    Message(String),
    /// A cleartext-signed message with its frame.
    Signed(String),
}

impl Piece {
    /// Nothing to read in it.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }

    /// The same, when it was found in HTML.
    pub(super) fn without_markup(self) -> Self {
        match self {
            Self::Text(html) => Self::Text(html_to_text(&html)),
            block => block,
        }
    }
}

/// Takes a text apart. A block without an end reaches to the end of the text.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut current = Piece::Text(String::new());
    let mut blocks = 0_usize;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let opens = match bare {
            MESSAGE => Some(Piece::Message(String::new())),
            SIGNED => Some(Piece::Signed(String::new())),
            _ => None,
        };
        if let (Piece::Text(_), Some(block)) = (&current, opens)
            && blocks < MAX_BLOCKS
        {
            blocks = blocks.saturating_add(1);
            pieces.push(std::mem::replace(&mut current, block));
        }
        let closes = match &mut current {
            Piece::Text(text) => {
                text.push_str(line);
                false
            }
            // white space around a line of armor means nothing, and some programs add it
            Piece::Message(block) => {
                block.push_str(bare);
                block.push('\n');
                bare == MESSAGE_END
            }
            Piece::Signed(block) => {
                block.push_str(line);
                bare == SIGNED_END
            }
        };
        if closes {
            pieces.push(std::mem::replace(&mut current, Piece::Text(String::new())));
        }
    }
    pieces.push(current);
    pieces.retain(|piece| !piece.is_blank());
    pieces
}

/// Bytes that are one armored message.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(MESSAGE.as_bytes())
}

/// Bytes that are an armored certificate.
pub(super) fn is_key(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_alone_is_the_only_piece() {
        let text = format!("\n {MESSAGE}\n\n  abc\n{MESSAGE_END}\n\n");
        assert_eq!(pieces(&text), [Piece::Message(format!("{MESSAGE}\n\nabc\n{MESSAGE_END}\n"))]);
    }

    #[test]
    fn what_stands_around_a_block_stays_outside() {
        let text = format!("before\n{SIGNED}\n x\n{SIGNED_END}\nafter\n{MESSAGE}\nno end");
        assert_eq!(
            pieces(&text),
            [
                Piece::Text("before\n".to_owned()),
                Piece::Signed(format!("{SIGNED}\n x\n{SIGNED_END}\n")),
                Piece::Text("after\n".to_owned()),
                Piece::Message(format!("{MESSAGE}\nno end\n")),
            ]
        );
    }

    #[test]
    fn a_quoted_block_is_text() {
        let text = format!("> {MESSAGE}\n> abc\nsee {MESSAGE}\n");
        assert_eq!(pieces(&text), [Piece::Text(text)]);
    }

    #[test]
    fn a_thousand_blocks_are_not_all_opened() {
        let text = format!("{MESSAGE}\n{MESSAGE_END}\n").repeat(1000);
        assert_eq!(pieces(&text).len(), MAX_BLOCKS + 1);
    }
}
