//! What a server says when it wants to be left alone for a while, and for how long.
//!
//! # What it is for
//! Providers limit connections, commands and bytes, and say so in a goodbye or a refusal. Whoever comes back at once makes it
//! worse. async-imap keeps neither a goodbye nor the refusal of a FETCH, so an [`Ear`] on the connection hears them.
//!
//! The ear knows literals, and so it also refuses one that is larger than any mail asked for, before there is memory for it.
//!
//! # Invariants
//! * Nothing of a mail is taken for the server's word: a literal is skipped by the length that the server gave it.
//! * Whatever is suggested, nobody waits longer than an hour.
//!
//! # Standards
//! RFC 5530 (`UNAVAILABLE`, `INUSE`, `LIMIT`), RFC 9208 (`OVERQUOTA`); the rest is what large providers say.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No server is left alone longer than this.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// So much of a line is looked at; behind it there may be the length of a literal.
const HEAD: usize = 300;
const TAIL: usize = 24;

/// Codes that say "later" of whatever was asked; `THROTTLED` is of everything.
const LATER_CODES: [&str; 5] = ["UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA", "THROTTLED"];
/// Words that say that it is too much.
const TOO_MUCH: [&str; 8] = [
    "throttl",
    "too many",
    "backoff",
    "rate limit",
    "bandwidth limit",
    "again later",
    "temporarily unavailable",
    "server unavailable",
];

/// A request to come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Later {
    /// When the server says when.
    suggested: Option<Duration>,
    /// It is about everything psirtd asks for, not about what it asked for last.
    pub throttled: bool,
}

impl Later {
    /// How long it is left alone: as long as it suggests, and at least so long.
    pub(super) fn wait(&self, least: Duration) -> Duration {
        self.suggested.unwrap_or_default().min(LONGEST).max(least)
    }
}

/// Does a server that says this want to be left alone?
pub(super) fn later(words: &str) -> Option<Later> {
    let lower = words.to_lowercase();
    let code = words.split_once('[').and_then(|(_, rest)| rest.split([']', ' ']).next()).unwrap_or_default();
    let coded = LATER_CODES.iter().any(|known| code.eq_ignore_ascii_case(known));
    let throttled =
        code.eq_ignore_ascii_case("THROTTLED") || TOO_MUCH.iter().any(|words| lower.contains(words));
    (coded || throttled).then(|| Later { suggested: suggested(&lower), throttled })
}

/// The first number with a unit of time behind it: `92415 milliseconds`, `30s`, `5 minutes`.
fn suggested(lower: &str) -> Option<Duration> {
    let mut rest = lower;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (_, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (number, behind) = from.split_at(end);
        let unit = behind.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let milliseconds: u64 = match unit {
            "ms" | "msec" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "secs" | "second" | "seconds" => 1000,
            "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            _ => 0,
        };
        if milliseconds > 0 {
            let number = number.parse::<u64>().unwrap_or(u64::MAX);
            return Some(Duration::from_millis(number.saturating_mul(milliseconds)));
        }
        rest = behind;
    }
    None
}

/// Hears goodbyes and refusals on a connection. Clones share what they heard.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    heard: Arc<Mutex<Heard>>,
    /// No literal is larger.
    most: u64,
}

#[derive(Debug, Default)]
struct Heard {
    /// The server's last refusal, or its goodbye.
    refusal: Option<String>,
    head: Vec<u8>,
    tail: Vec<u8>,
    /// So much of a literal is still to come.
    literal: u64,
    /// The largest that was announced.
    largest: u64,
    /// The line goes on behind a literal: what stands there is no status.
    goes_on: bool,
}

impl Ear {
    /// For mails of so many bytes. (A server may be wrong about a size, but not so much.)
    pub(super) fn for_mails_of(size: u64) -> Self {
        Self { heard: Arc::default(), most: size.saturating_mul(2).saturating_add(1 << 20) }
    }

    /// Hears what is read from a connection, which begins now.
    pub(super) fn on<W>(&self, wire: W) -> Listening<W> {
        *self.heard() = Heard::default();
        Listening { wire, ear: self.clone() }
    }

    /// The words with which the server refused what was asked last, or said goodbye.
    pub(super) fn refusal(&self) -> Option<String> {
        self.heard().refusal.clone()
    }

    /// The refusal has been dealt with.
    pub(super) fn forget(&self) {
        self.heard().refusal = None;
    }

    fn hear(&self, bytes: &[u8]) -> io::Result<()> {
        let mut heard = self.heard();
        heard.hear(bytes);
        if heard.largest <= self.most {
            return Ok(());
        }
        let what = format!("the server announced {} bytes at once, more than any mail has", heard.largest);
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.literal > 0 {
                let length = usize::try_from(self.literal).unwrap_or(usize::MAX).min(bytes.len());
                self.literal = self.literal.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
                (_, bytes) = bytes.split_at(length);
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (some, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end.saturating_add(1)));
            let room = HEAD.saturating_sub(self.head.len());
            self.head.extend(some.iter().take(room));
            self.tail.extend(some.iter().skip(some.len().saturating_sub(TAIL)));
            let surplus = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..surplus);
            bytes = rest;
            if end.is_some() {
                self.line();
            }
        }
    }

    fn line(&mut self) {
        let (head, tail) = (std::mem::take(&mut self.head), std::mem::take(&mut self.tail));
        self.literal = literal(&tail);
        if !std::mem::replace(&mut self.goes_on, self.literal > 0) {
            let line = String::from_utf8_lossy(&head);
            let mut words = line.trim_end().splitn(3, ' ');
            let (tag, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let text = words.next().unwrap_or_default();
            let status = status.to_ascii_uppercase();
            match (tag, status.as_str()) {
                ("*", "BYE" | "BAD") => self.refusal = Some(clean(text)),
                ("*" | "+", _) => {}
                (_, "NO" | "BAD") => self.refusal = Some(clean(text)),
                (_, "OK") => self.refusal = None,
                _ => {}
            }
            // words for people have no literals, whatever they end with
            if ["OK", "NO", "BAD", "BYE"].contains(&status.as_str()) {
                (self.literal, self.goes_on) = (0, false);
            }
        }
        self.largest = self.largest.max(self.literal);
    }
}

/// The length of the literal that a line announces: `… {17}` or `… {17+}`.
fn literal(tail: &[u8]) -> u64 {
    let tail = String::from_utf8_lossy(tail);
    let announced =
        tail.trim_end_matches(['\r', '\n']).strip_suffix('}').and_then(|tail| tail.rsplit_once('{'));
    announced.and_then(|(_, number)| number.trim_end_matches('+').parse().ok()).unwrap_or(0)
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A connection somebody listens to.
#[derive(Debug)]
pub(super) struct Listening<W> {
    wire: W,
    ear: Ear,
}

impl<W: AsyncRead + Unpin> AsyncRead for Listening<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..) {
            self.ear.hear(bytes)?;
        }
        read
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Listening<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_providers_say_when_it_is_too_much() {
        let table = [
            ("[UNAVAILABLE] Temporary authentication failure.", 60, false),
            ("[INUSE] Mailbox in use", 60, false),
            ("[LIMIT] Enough for now", 60, false),
            ("[OVERQUOTA] Account exceeded its quota", 60, false),
            ("[OVERQUOTA] Account exceeded command or bandwidth limits.", 60, true),
            ("[THROTTLED] Slow down", 60, true),
            ("Request is throttled. Suggested Backoff Time: 92415 milliseconds", 92, true),
            ("Request is throttled. Suggested Backoff Time: 5000 milliseconds", 60, true),
            (
                "Request is throttled. Suggested Backoff Time: 999999999999999999999999 milliseconds",
                3600,
                true,
            ),
            ("[ALERT] Too many simultaneous connections. (Failure)", 60, true),
            ("Server Unavailable. 15", 60, true),
            ("Please try again later, in 5 minutes", 300, true),
            ("rate limit exceeded (4 of 4 connections), retry in 2h", 3600, true),
        ];
        for (words, seconds, throttled) in table {
            let asked = later(words).unwrap_or_else(|| panic!("{words}"));
            let wait = asked.wait(Duration::from_secs(60));
            assert_eq!((wait.as_secs(), asked.throttled), (seconds, throttled), "{words}");
        }
    }

    #[test]
    fn other_refusals_are_no_request_for_patience() {
        for words in [
            "[AUTHENTICATIONFAILED] Authentication failed.",
            "[TRYCREATE] Mailbox doesn't exist: Processed",
            "[NONEXISTENT] Unknown Mailbox: INBOX",
            "Logging out",
            "",
            "[",
        ] {
            assert_eq!(later(words), None, "{words}");
        }
    }

    fn heard(chunks: &[&[u8]]) -> Option<String> {
        let ear = Ear::for_mails_of(1000);
        chunks.iter().for_each(|chunk| ear.hear(chunk).unwrap());
        ear.refusal()
    }

    #[test]
    fn goodbyes_and_refusals_are_heard_and_a_later_ok_settles_them() {
        assert_eq!(heard(&[b"* BYE [UNAVAILABLE] going down\r\n"]).unwrap(), "[UNAVAILABLE] going down");
        assert_eq!(heard(&[b"A0001 N", b"O [LIMIT] e", b"nough\r", b"\n"]).unwrap(), "[LIMIT] enough");
        assert_eq!(heard(&[b"A0001 NO x\r\nA0002 OK done\r\n"]), None);
        assert_eq!(heard(&[b"* OK no literal {9}\r\n* BYE now\r\n"]).unwrap(), "now");
        assert_eq!(heard(&[b"* NO [OVERQUOTA] a warning\r\n* 3 EXISTS\r\n+ idling\r\n"]), None);
    }

    #[test]
    fn a_literal_larger_than_any_mail_is_refused() {
        let announced = |size: u64| {
            let line = format!("* 1 FETCH (BODY[] {{{size}}}\r\n");
            Ear::for_mails_of(50 << 20).hear(line.as_bytes())
        };
        assert!(announced(100 << 20).is_ok());
        assert!(announced(400_000_000).unwrap_err().to_string().contains("400000000 bytes"));
    }

    /// A reporter may write what a server says; a mail is a literal, and is not listened to.
    #[test]
    fn a_mail_is_not_taken_for_the_server() {
        let mail = "A0001 NO [THROTTLED]\r\n* BYE [UNAVAILABLE] a lie {9999}\r\n";
        let all =
            format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{mail} FLAGS ())\r\nA0004 NO real\r\n", mail.len());
        for size in 1..all.len() {
            let chunks: Vec<&[u8]> = all.as_bytes().chunks(size).collect();
            assert_eq!(heard(&chunks).unwrap(), "real", "in chunks of {size}");
            let without = all.replace("A0004 NO real\r\n", "");
            assert_eq!(heard(&without.as_bytes().chunks(size).collect::<Vec<_>>()), None, "{size}");
        }
    }
}
