//! What members wrote, what got out, and who may know of a case besides.

use crate::domain::case::Case;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::distributor::MemberId;
use crate::domain::message::Digest;

impl Worker<'_> {
    pub(super) fn share_with_members(&mut self, _case: &Case, _mail: &str, _named: bool) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn propose_release(&mut self, _case: &Case, _member: &MemberId) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn release_to_member(&mut self, _member: &MemberId) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn leak(
        &mut self,
        _case: &Case,
        _ends: bool,
        _member: Option<&MemberId>,
        _text: Option<&str>,
    ) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn warn_member(&mut self, _member: &MemberId, _text: Option<&Digest>) -> Told {
        Err("not there yet".to_owned())
    }
}
