//! Mails of a folder before they are fetched: what the server says of them, and how they are asked for.
//!
//! Pure. A mail that is too large comes alone, so that nothing has to wait for it.

use async_imap::types::Flag;
use jiff::Timestamp;

/// One FETCH asks for no more mails and bytes than this.
const MAX_BATCH: usize = 100;
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// A mail of the folder, before it is fetched.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) uid: u32,
    pub(super) size: u64,
    pub(super) received_at: Option<Timestamp>,
    pub(super) seen: bool,
    pub(super) flagged: bool,
    /// The server's filter, or a person, has marked it as junk.
    pub(super) junk: bool,
}

/// RFC 9051 §2.3.2: `$Junk`, `$Phishing`; and what Thunderbird writes.
pub(super) fn is_junk(flag: &Flag<'_>) -> bool {
    let Flag::Custom(keyword) = flag else { return false };
    ["$junk", "$phishing", "junk"].iter().any(|known| keyword.eq_ignore_ascii_case(known))
}

/// Cuts a list into what one FETCH asks for. A mail that is too large comes alone.
pub(super) fn batches(mails: &[Listed], max_size: u64) -> Vec<&[Listed]> {
    let mut batches = Vec::new();
    let mut rest = mails;
    while let Some(first) = rest.first() {
        let mut bytes = 0_u64;
        let alone = first.size > max_size;
        let fits = rest.iter().take(if alone { 1 } else { MAX_BATCH }).take_while(|mail| {
            bytes = bytes.saturating_add(mail.size);
            alone || (mail.size <= max_size && (bytes <= MAX_BATCH_BYTES || bytes == mail.size))
        });
        let (batch, remaining) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = remaining;
    }
    batches
}

/// `1:3,7`
pub(super) fn uid_set(mails: &[Listed]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for mail in mails {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(mail.uid) => *last = mail.uid,
            _ => ranges.push((mail.uid, mail.uid)),
        }
    }
    let text = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}:{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mails(sizes: &[u64]) -> Vec<Listed> {
        let listed = |(size, uid): (&u64, u32)| Listed {
            uid,
            size: *size,
            received_at: None,
            seen: false,
            flagged: false,
            junk: false,
        };
        sizes.iter().zip(1..).map(listed).collect()
    }

    #[test]
    fn uid_sets_are_ranges() {
        let some: Vec<Listed> =
            mails(&[1; 9]).into_iter().filter(|mail| ![4, 6].contains(&mail.uid)).collect();
        assert_eq!(uid_set(&some), "1:3,5,7:9");
    }

    #[test]
    fn batches_are_bounded_and_large_mails_come_alone() {
        let sizes =
            |mails: &[Listed]| batches(mails, 50 << 20).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&mails(&[1000; 250])), [100, 100, 50]);
        assert_eq!(sizes(&mails(&[10 << 20, 10 << 20, 1])), [1, 2]);
        assert_eq!(sizes(&mails(&[40 << 20, 1])), [1, 1]);
        assert_eq!(sizes(&mails(&[1, 60 << 20, 60 << 20, 1])), [1, 1, 1, 1]);
        assert_eq!(sizes(&[]), Vec::<usize>::new());
    }
}
