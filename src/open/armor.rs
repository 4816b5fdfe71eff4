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
const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

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

/// Takes HTML with a message in it apart; nothing when there is none. Programs put each line of the armor into an element, or
/// trust in the lines of the source, so each of both ends a line here.
pub(super) fn pieces_of_html(html: &str) -> Vec<Piece> {
    if !html.contains(MESSAGE) {
        return Vec::new();
    }
    let mut pieces = pieces(&html_to_text(&with_breaks(html)));
    if !pieces.iter().any(|piece| matches!(piece, Piece::Message(_))) {
        return Vec::new();
    }
    for piece in &mut pieces {
        if let Piece::Message(block) = piece {
            *block = without_blank_lines(block);
        }
    }
    pieces
}

/// HTML whose line ends and blocks are breaks.
fn with_breaks(html: &str) -> String {
    const BLOCKS: [&str; 6] = ["div", "p", "pre", "tr", "li", "blockquote"];
    const BREAK: &str = "<br>";
    let mut broken = String::with_capacity(html.len());
    for (at, chunk) in html.split('<').enumerate() {
        let (tag, text) = match chunk.split_once('>') {
            Some((tag, text)) if at > 0 => (Some(tag), text),
            _ => (None, chunk),
        };
        if let Some(tag) = tag {
            broken.extend(["<", tag, ">"]);
            let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
            if BLOCKS.iter().any(|block| name.eq_ignore_ascii_case(block)) {
                broken.push_str(BREAK);
            }
        } else if at > 0 {
            broken.push('<');
        }
        broken.push_str(&text.replace('\n', BREAK));
    }
    broken
}

/// Armor with no empty line but the one after its header, which may be lost among others.
fn without_blank_lines(block: &str) -> String {
    let mut lines = block.lines().filter(|line| !line.is_empty());
    let mut whole: Vec<&str> = lines.next().into_iter().collect();
    let mut lines = lines.peekable();
    while let Some(field) = lines.next_if(|line| line.contains(": ")) {
        whole.push(field);
    }
    whole.push("");
    whole.extend(lines);
    whole.join("\n") + "\n"
}

/// What the bytes of a file hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// An OpenPGP message.
    Message,
    /// A certificate.
    Key,
    /// A detached signature.
    Signature,
    /// Something else.
    Other,
}

/// Armor tells by its first line; binary OpenPGP by its first packet (RFC 9580 §4.2), but only in a file that is `named` so.
pub(super) fn content(bytes: &[u8], named: bool) -> Content {
    let start = bytes.trim_ascii_start();
    let framed = [(MESSAGE, Content::Message), (KEY, Content::Key), (SIGNATURE, Content::Signature)];
    if let Some((_, content)) = framed.iter().find(|(frame, _)| start.starts_with(frame.as_bytes())) {
        return *content;
    }
    let packet = match bytes.first() {
        Some(byte) if named && *byte >= 0xc0 => byte & 0x3f,
        Some(byte) if named && *byte >= 0x80 => (byte >> 2) & 0x0f,
        _ => return Content::Other,
    };
    match packet {
        1 | 3 | 4 | 8 | 18 => Content::Message,
        2 => Content::Signature,
        6 => Content::Key,
        _ => Content::Other,
    }
}

/// Armor that is not in quoted-printable, whatever its part declares. There, neither padding nor a checksum could stand at the
/// end as they do here, for both begin with the escape.
pub(super) fn is_bare(body: &[u8]) -> bool {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let mut block = lines.skip_while(|line| *line != MESSAGE.as_bytes());
    let last = block.by_ref().take_while(|line| *line != MESSAGE_END.as_bytes()).last();
    last.is_some_and(|line| line.ends_with(b"=") || (line.starts_with(b"=") && line.len() == 5))
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

    #[test]
    fn only_armor_that_nobody_encoded_is_bare() {
        let block = |end: &str| format!("text\r\n{MESSAGE}\r\n\r\nabc\r\n{end}\r\n{MESSAGE_END}\r\n");
        for (end, bare) in
            [("ab==\r\n=abcd", true), ("abc=", true), ("ab=3D=3D\r\n=3Dabcd", false), ("abcd", false)]
        {
            assert_eq!(is_bare(block(end).as_bytes()), bare, "{end}");
        }
        assert!(!is_bare(b"a=\n=abcd\n"));
    }

    #[test]
    fn a_file_is_what_it_holds() {
        let armored = |frame: &str| content(format!("\r\n{frame}\n").as_bytes(), false);
        assert_eq!(
            [MESSAGE, KEY, SIGNATURE].map(armored),
            [Content::Message, Content::Key, Content::Signature]
        );
        let binary = |byte: u8| content(&[byte, 0], true);
        assert_eq!(
            [0x85, 0xc1, 0x99, 0xc6, 0x88, 0xc2, 0x50].map(binary),
            [
                Content::Message,
                Content::Message,
                Content::Key,
                Content::Key,
                Content::Signature,
                Content::Signature,
                Content::Other
            ]
        );
        assert_eq!(content(&[0x85], false), Content::Other);
    }
}
