//! How many automatic answers go out, at most.
//!
//! # What it is for
//! A responder without any mark of a machine answers each letter with a new mail; somebody with a list of forged senders makes
//! the desk write to all of them. Both end here. What is over the limit is a case all the same: its acknowledgement waits for a
//! person.
//!
//! # Invariants
//! * Addresses are counted without their tags ([`crate::domain::message::identity`]), days and hours in UTC.
//! * What a person released is counted, too.
//!
//! # Standards
//! RFC 3834 §2: a responder limits its answers, to one address and altogether.

/// The limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Answers to one address a day.
    pub per_address_per_day: u32,
    /// Answers to one domain an hour.
    pub per_domain_per_hour: u32,
    /// Answers an hour, in all.
    pub per_hour: u32,
    /// Answers a day, in all: then no more go out before the next day.
    pub per_day: u32,
    /// Mails of one author a day that are relayed to the team at once; further ones are held. (A help desk behind a coordinator's
    /// address answers each relay under an address of its own.)
    pub relayed_per_author_per_day: u32,
}

impl Default for Limits {
    /// Far more than a desk needs, far less than a flood.
    fn default() -> Self {
        Self {
            per_address_per_day: 100,
            per_domain_per_hour: 300,
            per_hour: 600,
            per_day: 2000,
            relayed_per_author_per_day: 200,
        }
    }
}

/// The answers so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// To the author's address, today.
    pub address_today: u32,
    /// To addresses of the author's domain, this hour.
    pub domain_this_hour: u32,
    /// In all, this hour.
    pub this_hour: u32,
    /// In all, today.
    pub today: u32,
    /// No answers, but mails: those of the author so far today.
    pub mails_today: u32,
}

/// A limit that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// In a few words.
    pub why: String,
    /// It stops the answers to everybody: a person must be told.
    pub all: bool,
}

impl Limits {
    /// The limit that forbids one more answer, if there is one.
    pub fn exceeded(&self, so_far: &Answered) -> Option<Exceeded> {
        let limits = [
            (so_far.today, self.per_day, "answers today", true),
            (so_far.this_hour, self.per_hour, "answers within this hour", true),
            (
                so_far.domain_this_hour,
                self.per_domain_per_hour,
                "answers to this domain within this hour",
                false,
            ),
            (so_far.address_today, self.per_address_per_day, "answers to this address today", false),
        ];
        let (_, limit, what, all) = limits.iter().find(|(count, limit, ..)| count >= limit)?;
        let what = if *limit == 1 { what.replacen("answers", "answer", 1) } else { (*what).to_owned() };
        Some(Exceeded { why: format!("limit: {limit} {what}"), all: *all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_stops_everything_is_named_first() {
        let limits = Limits {
            per_address_per_day: 1,
            per_domain_per_hour: 2,
            per_hour: 3,
            per_day: 4,
            ..Limits::default()
        };
        let so_far = |count| Answered {
            address_today: count,
            domain_this_hour: count,
            this_hour: count,
            today: count,
            mails_today: 0,
        };
        let why = |count| limits.exceeded(&so_far(count)).map(|exceeded| (exceeded.why, exceeded.all));
        let said = |why: &str, all| Some((why.to_owned(), all));
        assert_eq!(why(0), None);
        assert_eq!(why(1), said("limit: 1 answer to this address today", false));
        assert_eq!(why(2), said("limit: 2 answers to this domain within this hour", false));
        assert_eq!(why(3), said("limit: 3 answers within this hour", true));
        assert_eq!(why(4), said("limit: 4 answers today", true));
    }
}
