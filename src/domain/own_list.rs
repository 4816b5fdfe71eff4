//! The desk behind a mailing list of its own: a Google Group, a Mailman, a Microsoft 365 group.
//!
//! # What it is for
//! Then every report bears the list's marks (`List-Id`, `Precedence: list`), and some its address instead of the author's. The
//! configuration names the desk's own lists (`inbox.own_lists`); what they wrote into a mail is not taken for the author's doing.
//!
//! # The rules
//! 1. A mail came through an own list when it has a `List-Id`, and every one it has is of an own list. A list is named by its id
//!    (`security.lists.example.org`) or its address (`security@lists.example.org`, whose id is the same with a dot).
//! 2. Of such a mail the `List-*` fields and `Precedence: list` or `bulk` say nothing about a machine. Every other mark counts.
//! 3. From is taken back only when it is the list's or the desk's own address: then `X-Original-From` names the author, or where
//!    there is none `Reply-To`, if it names exactly one mailbox beside those of the desk and the list. (Lists write so for senders whose domain forbids
//!    others to write in its name; Google Groups gives both, Mailman `Reply-To`.)
//! 4. If neither does, the author stays the list: nobody is answered, a person looks.
//!
//! Whoever writes these fields himself gains what he would by writing From. That the list's server vouches for the list's address
//! says nothing about the author's; that somebody forged the list's address does (`trust`). So a list whose domain has no DMARC
//! lets a forger past the border that the author's own domain would stop: its domain should have one.

use crate::domain::message::{Mailbox, Message};
use crate::domain::policy::{Policy, list_id};

/// The mail came through one of the desk's own lists, and through no other.
pub fn came_through(message: &Message, policy: &Policy) -> bool {
    let ids = &message.marks.list_ids;
    !ids.is_empty() && ids.iter().all(|id| policy.own_lists.iter().any(|own| list_id(own) == *id))
}

/// The author whom an own list hides behind its address.
pub fn author(message: &Message, policy: &Policy) -> Option<Mailbox> {
    let from = message.author()?;
    if !came_through(message, policy) || !policy.is_own(&from.address) {
        return None;
    }
    let one = |mailboxes: &[Mailbox]| {
        let mut others = mailboxes.iter().filter(|mailbox| !policy.is_own(&mailbox.address));
        let first = others.next()?;
        others.all(|other| other.canonical() == first.canonical()).then(|| first.clone())
    };
    match message.original_from.is_empty() {
        true => one(&message.reply_to),
        // whoever writes two names there is not taken at another word
        false => one(&message.original_from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decide::tests::policy;
    use crate::domain::message::Marks;

    fn listed(ids: &[&str], from: &str) -> Message {
        let list_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Message {
            from: vec![Mailbox::bare(from)],
            reply_to: vec![Mailbox::bare("rita@example.net")],
            marks: Marks { list_ids, ..Marks::default() },
            ..Message::default()
        }
    }

    fn behind_a_list() -> Policy {
        Policy { own_lists: vec!["security@lists.example.org".to_owned()], ..policy() }
    }

    #[test]
    fn only_own_lists_are_seen_through() {
        let through = |ids: &[&str]| came_through(&listed(ids, "rita@example.net"), &behind_a_list());
        assert!(through(&["security.lists.example.org"]));
        assert!(!through(&["security.lists.example.org", "devel.lists.example.org"]), "another list, too");
        assert!(!through(&["devel.lists.example.org"]));
        assert!(!through(&[]));
    }

    #[test]
    fn the_author_is_taken_back_only_from_the_lists_own_address() {
        let own = ["security.lists.example.org"];
        let author = |message: &Message| author(message, &behind_a_list()).map(|author| author.address);
        let rita = Some("rita@example.net".to_owned());
        assert_eq!(author(&listed(&own, "security@lists.example.org")), rita);
        assert_eq!(author(&listed(&own, "security@example.org")), rita);
        assert_eq!(author(&listed(&own, "sam@example.com")), None, "From is somebody's");
        assert_eq!(author(&listed(&["devel.lists.example.org"], "security@example.org")), None);
        let sam = Message {
            original_from: vec![Mailbox::bare("sam@example.com")],
            ..listed(&own, "security@example.org")
        };
        assert_eq!(author(&sam).as_deref(), Some("sam@example.com"));
        let list_only = Message {
            reply_to: vec![Mailbox::bare("security@lists.example.org")],
            ..listed(&own, "security@example.org")
        };
        assert_eq!(author(&list_only), None);
    }
}
