//! What a person does with the embargo of a case.

use jiff::Timestamp;

use crate::domain::case::Case;
use crate::domain::command::distributing::Embargoing;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::embargo::Reason;

impl Worker<'_> {
    pub(super) fn embargo(&mut self, _case: &Case, _embargoing: &Embargoing, _text: Option<&str>) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn move_embargo(&mut self, _until: Timestamp, _reason: Reason) -> Told {
        Err("not there yet".to_owned())
    }

    pub(super) fn lift_embargo(&mut self, _by: Vec<String>) -> Told {
        Err("not there yet".to_owned())
    }
}
