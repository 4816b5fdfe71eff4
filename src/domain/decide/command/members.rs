//! What a person does with the distributors' list.

use crate::domain::command::members::Members;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::distributor::MemberId;

impl Worker<'_> {
    pub(super) fn members(&mut self, _members: &Members, _text: Option<&str>) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn remove_member(&mut self, _member: &MemberId, _why: Option<&str>) -> Told {
        Err("not there yet".to_owned())
    }
}
