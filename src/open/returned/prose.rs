//! What became of a letter, in the words that a mail server wrote for people.
//!
//! # Invariants
//! * They are the last thing to be believed, and only in a mail that a mail server seems to have written.
//! * The copy of the letter below them is not read: its words are not the server's.
//!
//! # Standards
//! RFC 5321 §4.2 and RFC 3463 for replies and codes among the words; for the rest, the habits of servers.

use mail_parser::{HeaderName, Message};

use crate::domain::message::{Action, Returned};
use crate::open::header::clean_line;
use crate::open::returned::{FAILED, address, field, line, status, texts};

/// How servers introduce themselves in From.
const SERVERS: &str = "mailer-daemon|mail-daemon|postmaster|post_master|mail delivery s|mail administrator";
/// With which fields the copy of a letter begins that a server sends back within its text.
const COPY: &str = "received|return-path|message-id|dkim-signature";
/// What servers write when they have not given up. It counts before the others, for they also say what failed so far.
const NOT_YET: &str =
    "will be retried|will continue to try|keep trying|been delayed|been postponed|not yet been delivered";
/// What they write when they have.
const NEVER: &str = "could not be delivered|couldn't be delivered|was not delivered|not been delivered|did not reach|\
                     able to deliver|undeliverable|error delivering|permanent error|fatal error|delivery failed|\
                     failed permanently";

/// What a server wrote for people, up to where its copy of the letter begins.
pub(super) fn words(parsed: &Message<'_>, raw: &[u8], found: &mut Returned) {
    let is_copy = |line: &str| field(line).is_some_and(|(name, _)| COPY.split('|').any(|copy| copy == name));
    let named = |line: &str| address(line.trim().strip_prefix('<')?.split_once(">:")?.0);
    for text in texts(parsed, raw) {
        let lines = || text.lines().take_while(|line| !is_copy(line));
        let all = lines().collect::<Vec<_>>().join(" ");
        let reply = lines().find_map(reply);
        let action = match reply {
            _ if says(&all, NOT_YET) => Action::Delayed,
            Some(reply) if status(reply).map_or(reply.starts_with('5'), |status| status.starts_with('5')) => {
                Action::Failed
            }
            _ if says(&all, NEVER) => Action::Failed,
            _ => continue,
        };
        found.action = found.action.or(Some(action));
        found.recipient = found.recipient.take().or_else(|| lines().find_map(named));
        (found.status, found.diagnostic) = (reply.and_then(status), reply.and_then(line));
        return;
    }
}

fn says(text: &str, phrases: &str) -> bool {
    let text = clean_line(text).to_ascii_lowercase();
    phrases.split('|').any(|phrase| text.contains(phrase))
}

/// It was sent so that nobody answers, or by somebody with the name of a server.
pub(super) fn is_from_server(parsed: &Message<'_>) -> bool {
    let value = |name: HeaderName<'static>| parsed.header_raw(name).unwrap_or_default().trim();
    let failed = parsed.header_raw(FAILED).is_some();
    failed || value(HeaderName::ReturnPath) == "<>" || says(value(HeaderName::From), SERVERS)
}

/// The reply of an SMTP server in a line, to its end; the line, when a status code stands where a reply would.
fn reply(line: &str) -> Option<&str> {
    line.match_indices(['4', '5']).find_map(|(at, _)| {
        let (before, rest) = line.split_at_checked(at)?;
        // every word is read once or twice, however the line is made up
        if before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')) {
            return None;
        }
        let words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        let mut words = words.filter(|word| !word.is_empty());
        let (word, next) = (words.next()?, words.next().unwrap_or_default());
        let [code, status, coded] = [is_code(word), status(word).is_some(), status(next).is_some()];
        let before = before.trim_end();
        let said = before.is_empty() || before.ends_with([':', '[', '(', '#', '<', '>', '"', '\'']);
        let is_reply = (said && (code || status)) || (code && (coded || is_code(next)));
        is_reply.then_some(if code { rest } else { line })
    })
}

fn is_code(word: &str) -> bool {
    let digits = |second: &u8, third: &u8| b"0235".contains(second) && third.is_ascii_digit();
    matches!(word.as_bytes(), [b'4' | b'5', second, third] if digits(second, third))
}
