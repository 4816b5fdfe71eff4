//! Which UIDs to look at next, by what the server says and has said before.
//!
//! # What it is for
//! UIDs ascend and are never reused under one UIDVALIDITY (RFC 9051 §2.3.1.1). A cursor remembers how far a folder has been
//! taken in, so that a scan asks only for what is new, and it decides when that memory is worth nothing.
//!
//! # Invariants
//! * Pure. A wrong answer of a server can cost a scan, never a mail: whenever something does not fit, everything is looked at
//!   again, and the store knows what is known.
//! * UIDNEXT is never trusted to be high enough or low enough; it is only evidence against the memory.

/// How far one folder has been taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    validity: Option<u32>,
    next: u32,
}

/// What a SELECT showed that a person may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// UIDVALIDITY changed: all UIDs are new.
    ValidityChanged,
    /// UIDNEXT went backwards under the same UIDVALIDITY, which no server may do.
    UidNextWentBack,
    /// The server knows no UIDVALIDITY.
    NoValidity,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { validity: None, next: 1 }
    }
}

impl Cursor {
    /// Takes note of a SELECT.
    pub fn selected(&mut self, validity: Option<u32>, uid_next: Option<u32>) -> Option<Oddity> {
        let oddity = match (self.validity, validity) {
            (_, None) => Some(Oddity::NoValidity),
            (Some(before), Some(now)) if before != now => Some(Oddity::ValidityChanged),
            (Some(_), Some(_)) if uid_next.is_some_and(|next| next < self.next) => {
                Some(Oddity::UidNextWentBack)
            }
            _ => None,
        };
        if oddity.is_some() {
            self.next = 1;
        }
        self.validity = validity;
        oddity
    }

    /// The UIDVALIDITY of the last SELECT.
    pub fn validity(&self) -> Option<u32> {
        self.validity
    }

    /// The lowest UID to ask for.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Is this UID one to look at? (`n:*` returns the last mail even when its UID is below n.)
    pub fn wants(&self, uid: u32) -> bool {
        uid >= self.next
    }

    /// Everything up to this UID is recorded and marked.
    pub fn taken(&mut self, uid: u32) {
        self.next = self.next.max(uid.saturating_add(1));
    }

    /// Something was not finished: look at everything again.
    pub fn rescan(&mut self) {
        self.next = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(validity: u32, taken: u32) -> Cursor {
        let mut cursor = Cursor::default();
        cursor.selected(Some(validity), None);
        cursor.taken(taken);
        cursor
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let mut cursor = at(7, 41);
        assert_eq!(cursor.selected(Some(7), Some(50)), None);
        assert_eq!((cursor.next(), cursor.wants(41), cursor.wants(42)), (42, false, true));
    }

    #[test]
    fn a_new_uidvalidity_means_a_new_beginning() {
        let mut cursor = at(7, 41);
        assert_eq!(cursor.selected(Some(8), Some(50)), Some(Oddity::ValidityChanged));
        assert_eq!(cursor.next(), 1);
    }

    #[test]
    fn a_server_that_lies_about_uidnext_costs_a_scan() {
        let mut cursor = at(7, 41);
        assert_eq!(cursor.selected(Some(7), Some(3)), Some(Oddity::UidNextWentBack));
        assert_eq!(cursor.next(), 1);
        cursor.taken(41);
        assert_eq!(cursor.selected(Some(7), Some(4_000_000_000)), None, "too high a UIDNEXT hides nothing");
        assert_eq!(cursor.next(), 42);
    }

    #[test]
    fn without_uidvalidity_every_select_is_a_new_beginning() {
        let mut cursor = at(7, 41);
        assert_eq!(cursor.selected(None, None), Some(Oddity::NoValidity));
        assert_eq!(cursor.next(), 1);
    }

    #[test]
    fn the_highest_uid_does_not_overflow() {
        assert_eq!(at(7, u32::MAX).next(), u32::MAX);
    }
}
