//! What a person tells the distributors.

use crate::domain::case::Case;
use crate::domain::command::distributing::Distribute;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::distributor::MemberId;
use crate::domain::notice::Content;

impl Worker<'_> {
    pub(super) fn distribute(&mut self, case: &Case, distribute: &Distribute, text: Option<&str>) -> Told {
        match distribute {
            Distribute::Notice { .. } | Distribute::Status => Err("not there yet".to_owned()),
            Distribute::Share { mail, named } => self.share_with_members(case, mail, *named),
            Distribute::Release(member) => self.propose_release(case, member),
            Distribute::Leak { ends, member } => self.leak(case, *ends, member.as_ref(), text),
        }
    }

    /// A notice goes to these members.
    pub(super) fn begin_notice(
        &mut self,
        _content: &Content,
        _to: &[MemberId],
        _left_out: &[(MemberId, String)],
        _by: Vec<String>,
    ) -> Told {
        Err("not there yet".to_owned())
    }
}
