//! A desk that was brought back from a backup takes note of that, before anything else.
//!
//! # Invariants
//! * The note beside the store goes only when it is in the journal. Taken twice, it leaves out more numbers, and nothing else.
//! * Whatever the clocks said, then or now: the time that is lost is rather taken for longer than it was.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::domain::decide::{Input, decide};
use crate::domain::event::{Event, What};
use crate::domain::posting::Posting;
use crate::pipeline::Pipeline;
use crate::store::{Commit, CommitError, StoreError};

/// Cases that the lost desk may have opened after its last backup, and each day since: their numbers stay theirs.
const LEFT_OUT: u32 = 1000;
const LEFT_OUT_A_DAY: u32 = 100;

impl Pipeline {
    /// If the store was brought back, and nobody has taken note of that. Letters that waited then may have been sent since: a
    /// person decides. Says what was done.
    pub fn take_note_of_backup(&mut self) -> Result<Option<String>, StoreError> {
        let io = |error| StoreError::Io(PathBuf::from("restored"), error);
        let Some(at) = self.writer.restored().map_err(io)? else { return Ok(None) };
        let now = self.clock.now();
        let mut last = at;
        self.reader.archive.pages.turn(|record| last = record.at)?;
        let (backup, until) = (at.min(now).min(last), at.max(now).max(last));
        let what = What::Restored {
            backup,
            until,
            left_out: left_out(backup, now),
            years: self.years([at, now, backup]),
        };
        let mut events = vec![Event { at: now, case: None, what }];
        let mut held = 0_u32;
        for posting in self.reader.index.postings()?.into_iter().filter(Posting::is_under_way) {
            let reason = format!("it waited when the backup of {at} was made, and may have been sent since");
            let facts = self.facts_of_letter(&self.writer.draft(), &posting, None)?;
            let input = Input::Hold { posting: Box::new(posting), reason };
            events.extend(decide(&facts, &input, &self.policy, now).events);
            held = held.saturating_add(1);
        }
        let commit = Commit { events, ..Commit::default() };
        self.writer.commit(vec![commit], now).map_err(|error| match error {
            CommitError::Mail(error) => io(error),
            CommitError::Journal(error) => error.into(),
            CommitError::Index(error) => error.into(),
        })?;
        self.writer.restored_is_noted().map_err(io)?;
        Ok(Some(match held {
            0 => "No letter was waiting.".to_owned(),
            _ => format!(
                "Letters that were waiting: {held}; they are held, because they may have been sent since."
            ),
        }))
    }

    /// The years of the desk in which these times are.
    fn years(&self, times: [Timestamp; 3]) -> Vec<i16> {
        BTreeSet::from(times.map(|time| self.policy.year(time))).into_iter().collect()
    }
}

/// How many numbers of cases are left out.
fn left_out(backup: Timestamp, now: Timestamp) -> u32 {
    let days = u32::try_from(now.duration_since(backup).as_hours() / 24).unwrap_or(u32::MAX);
    LEFT_OUT.saturating_add(LEFT_OUT_A_DAY.saturating_mul(days))
}
