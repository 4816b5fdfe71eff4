//! Hides mails in a mail from the parser.
//!
//! # What it is for
//! mail-parser 0.11 takes a mail in a mail apart, and the mail in that one, without a limit, and forgets them by recursion: a
//! hundred thousand of them, a few megabytes, overflow the stack, which ends the whole process. What it does not know for a
//! mail it leaves alone. `open` looks into forwarded mails itself, each under all limits.
//!
//! # Invariants
//! * The length stays, so that places in the veiled bytes are places in the mail. Bytes are always taken from the mail itself.
//! * What is read from veiled bytes as text is shown with the veil lifted.

use std::borrow::Cow;

/// Stands for the last letter of a veiled word. Text never holds it: it is a control character.
const VEIL: u8 = 1;
/// What makes the parser see a mail in a part (`message/rfc822`, `message/global`), or in each child (`multipart/digest`).
const WORDS: [&str; 3] = ["rfc822", "global", "digest"];

/// The mail without the words for mails in it, wherever they may be the second half of a media type.
pub(super) fn drawn(raw: &[u8]) -> Cow<'_, [u8]> {
    let mut veiled = Cow::Borrowed(raw);
    // what is neither a slash nor a comment's end before a word is no media type
    let mut may_follow = false;
    let mut at = 0_usize;
    while let Some(byte) = raw.get(at) {
        let word = may_follow
            .then(|| raw.get(at..at.saturating_add(6)))
            .flatten()
            .is_some_and(|text| WORDS.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes())));
        if word && let Some(last) = veiled.to_mut().get_mut(at.saturating_add(5)) {
            *last = VEIL;
        }
        may_follow = matches!(*byte, b'/' | b')') || (may_follow && byte.is_ascii_whitespace());
        at = at.saturating_add(1);
    }
    veiled
}

/// The same text, readable again.
pub(super) fn lifted(text: &str) -> Cow<'_, str> {
    if !text.contains(char::from(VEIL)) {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(text.len());
    for c in text.chars() {
        let stem = whole.len().checked_sub(5).and_then(|from| whole.get(from..)).unwrap_or_default();
        let hidden = (c == char::from(VEIL)).then(|| {
            WORDS.iter().find_map(|word| {
                let (start, last) = word.split_at_checked(5)?;
                start.eq_ignore_ascii_case(stem).then(|| last.chars().next()).flatten()
            })
        });
        let upper = stem.ends_with(|last: char| last.is_ascii_uppercase());
        whole.push(match hidden.flatten() {
            Some(letter) if upper => letter.to_ascii_uppercase(),
            Some(letter) => letter,
            None => c,
        });
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_mails_are_veiled_and_text_comes_back() {
        let text = "Content-Type: message/rfc822\nx: MESSAGE / (c)\r\n RFC822\ny: multipart/Digest, /GLOBAL, RFC822 text/plain";
        let veiled = String::from_utf8(drawn(text.as_bytes()).into_owned()).unwrap();
        assert_eq!((veiled.len(), veiled.matches('\u{1}').count()), (text.len(), 4));
        assert_eq!(lifted(&veiled), text);
    }
}
