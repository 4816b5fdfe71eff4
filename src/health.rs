//! What the doors say of themselves: when they worked last, and why they do not.
//!
//! # What it is for
//! Silence is a fault: nobody misses a report that was never fetched. Every folder of the inbox, and the outbox, has a [`Pulse`],
//! with which it says that it worked, or why it failed. [`Health::examine`] finds those that have not worked for too long; the log,
//! systemd's status, `psirtd check --online` and the warnings to the coordinators all speak from here.
//!
//! # Invariants
//! * Time counts, not errors: a door that hangs is as silent as one that fails.
//! * A folder owes work all the time, at least once per `poll`. The outbox owes it while letters are under way, or after it has
//!   failed; with nothing to send it is not silent.
//! * What is said is one line without addresses.
//! * A clock that jumps, or a machine that slept, makes no door silent: each gets its time again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::domain::concern::{Door, Silence};
use crate::telemetry::without_addresses;

/// Doors are examined at least this often.
const MOST_TICK: Duration = Duration::from_secs(60);
const LEAST_TICK: Duration = Duration::from_millis(100);
/// A clock that goes wrong by less has not jumped: the machine may be busy.
const JUMP: SignedDuration = SignedDuration::from_secs(60);
/// Of a reason no more is told. Characters.
const MOST_SAID: usize = 200;

/// How all doors are. Clones share it.
#[derive(Debug, Clone)]
pub struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    silence: SignedDuration,
    doors: Mutex<Doors>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Doors {
    states: BTreeMap<Door, State>,
    examined: Option<Timestamp>,
}

/// How one door is.
#[derive(Debug)]
struct State {
    /// It is silent when it owes work for longer.
    patience: SignedDuration,
    worked_at: Option<Timestamp>,
    /// It owes work since then.
    owes_since: Option<Timestamp>,
    /// Why the last attempt failed.
    why: Option<String>,
    silent: bool,
}

/// With this a door says how it is.
#[derive(Debug, Clone)]
pub struct Pulse {
    door: Door,
    health: Health,
}

impl Health {
    /// Nobody is silent yet.
    pub fn new(clock: Clock, silence: SignedDuration) -> Self {
        Self(Arc::new(Shared { clock, silence, doors: Mutex::default(), changed: Notify::new() }))
    }

    /// A folder, or a Maildir, that is looked at this often: it owes work from now on.
    pub fn inbox(&self, folder: Option<&str>, poll: Duration) -> Pulse {
        // a look takes its time: what is looked at every 29 minutes may be late by some
        let poll = SignedDuration::try_from(poll.mul_f64(1.5)).unwrap_or(SignedDuration::MAX);
        let door = Door::Inbox(folder.map(str::to_owned));
        self.door(door, self.0.silence.max(poll), Some(self.0.clock.now()))
    }

    /// The outbox: it owes nothing yet.
    pub fn outbox(&self) -> Pulse {
        self.door(Door::Outbox, self.0.silence, None)
    }

    fn door(&self, door: Door, patience: SignedDuration, owes_since: Option<Timestamp>) -> Pulse {
        let state = State { patience, worked_at: None, owes_since, why: None, silent: false };
        self.doors().states.insert(door.clone(), state);
        self.0.changed.notify_one();
        Pulse { door, health: self.clone() }
    }

    /// How long to wait before the doors are examined again.
    pub fn tick(&self) -> Duration {
        let tenth = Duration::try_from(self.0.silence).unwrap_or(MOST_TICK).mul_f64(0.1);
        tenth.clamp(LEAST_TICK, MOST_TICK)
    }

    /// The doors that are silent now. `slept` is how long the caller has waited since it asked before.
    pub fn examine(&self, slept: Duration) -> Vec<Silence> {
        let now = self.0.clock.now();
        let mut doors = self.doors();
        doors.forgive_a_jump(now, slept);
        let mut silences = Vec::new();
        for (door, state) in &mut doors.states {
            let Some(since) = state.owes_since else { continue };
            if !state.silent && now.duration_since(since) > state.patience {
                state.silent = true;
                let why = state.why.as_deref().unwrap_or("it neither works nor says why");
                error!(%door, %since, why, "silence: a door does not work; it is tried again; see “psirtd check --online”");
                self.0.changed.notify_one();
            }
            if state.silent {
                silences.push(Silence { door: door.clone(), since, why: state.why.clone() });
            }
        }
        silences
    }

    /// Returns when a door is not as it was.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// All doors on one line, for systemd.
    pub fn status(&self) -> String {
        let doors = self.doors();
        let words: Vec<String> =
            doors.states.iter().map(|(door, state)| format!("{door}: {}", state.words())).collect();
        words.join("; ")
    }

    /// All doors, for `psirtd check --online`.
    pub fn told(&self) -> Value {
        let doors = self.doors();
        let told = doors.states.iter().map(|(door, state)| {
            json!({ "door": door.to_string(), "silent": state.silent, "state": state.words(), "worked_at": state.worked_at,
                    "owes_since": state.owes_since, "why": state.why })
        });
        told.collect()
    }

    fn doors(&self) -> MutexGuard<'_, Doors> {
        // nothing in here is half done when a thread panics
        self.0.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doors {
    /// What the clock has gone besides the time that was slept is nobody's silence.
    fn forgive_a_jump(&mut self, now: Timestamp, slept: Duration) {
        let Some(before) = self.examined.replace(now) else { return };
        let slept = SignedDuration::try_from(slept).unwrap_or(SignedDuration::MAX);
        let jump = now.duration_since(before).saturating_sub(slept);
        if jump.abs() < JUMP {
            return;
        }
        warn!(seconds = jump.as_secs(), "the clock has jumped, or the machine slept");
        for state in self.states.values_mut() {
            // what was set back after the clock was is right already
            let moved = |at: Timestamp| match at <= now && jump.is_negative() {
                true => at,
                false => at.saturating_add(jump).unwrap_or(now).min(now),
            };
            state.owes_since = state.owes_since.map(moved);
        }
    }
}

impl State {
    fn words(&self) -> String {
        match (&self.why, self.owes_since, self.worked_at) {
            (Some(why), Some(since), _) => format!("not working since {}: {why}", minute(since)),
            (None, Some(since), _) if self.silent => {
                format!("nothing was heard of it since {}", minute(since))
            }
            (_, _, Some(_)) => "working".to_owned(),
            (_, Some(_), None) => "has not worked yet".to_owned(),
            (_, None, None) => "nothing to do yet".to_owned(),
        }
    }
}

impl Pulse {
    /// The door has done what it was there for.
    pub fn is_done(&self) {
        self.health.doors().states.remove(&self.door);
        self.health.0.changed.notify_one();
    }

    /// There is something to do from now on.
    pub fn begins(&self) {
        self.change(|state, now| state.owes_since = state.owes_since.or(Some(now)));
    }

    /// It has worked, and still has something to do.
    pub fn worked(&self) {
        self.change(|state, now| {
            if state.silent {
                info!(door = %self.door, "silence: a door works again");
            }
            let patience = state.patience;
            let (worked_at, owes_since) = (Some(now), Some(now));
            *state = State { patience, worked_at, owes_since, why: None, silent: false };
        });
    }

    /// It has not worked.
    pub fn failed(&self, why: &str) {
        let line: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let why = without_addresses(&line).chars().take(MOST_SAID).collect();
        self.change(|state, now| {
            state.owes_since = state.owes_since.or(Some(now));
            state.why = Some(why);
        });
    }

    /// There is nothing to do any more. What failed stays failed.
    pub fn rests(&self) {
        self.change(|state, _| {
            if state.why.is_none() {
                state.owes_since = None;
                state.silent = false;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State, Timestamp)) {
        let now = self.health.0.clock.now();
        let mut doors = self.health.doors();
        let Some(state) = doors.states.get_mut(&self.door) else { return };
        let before = state.words();
        change(state, now);
        if state.words() != before {
            self.health.0.changed.notify_one();
        }
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Patient {
        clock: Clock,
        health: Health,
    }

    impl Patient {
        fn new() -> Self {
            let clock = Clock::manual("2026-11-20T12:00:00Z".parse().unwrap());
            let health = Health::new(clock.clone(), SignedDuration::from_mins(15));
            health.examine(Duration::ZERO);
            Self { clock, health }
        }

        /// So many minutes later, minute by minute: who is silent?
        fn after(&self, minutes: u32) -> Vec<String> {
            let mut silent = Vec::new();
            for _ in 0..minutes {
                self.clock.set(self.clock.now() + SignedDuration::from_mins(1));
                silent = self.health.examine(MINUTE);
            }
            silent.into_iter().map(|silence| silence.door.to_string()).collect()
        }
    }

    #[test]
    fn a_folder_that_never_worked_is_silent_after_a_quarter_of_an_hour() {
        let patient = Patient::new();
        let _inbox = patient.health.inbox(Some("INBOX"), MINUTE);
        assert!(patient.after(15).is_empty());
        assert_eq!(patient.health.status(), "inbox INBOX: has not worked yet");
        assert_eq!(patient.after(1), ["inbox INBOX"]);
        assert_eq!(
            patient.health.status(),
            "inbox INBOX: nothing was heard of it since 2026-11-20 12:00 UTC"
        );
    }

    #[test]
    fn a_door_that_worked_after_the_clock_was_set_back_is_not_silent() {
        let patient = Patient::new();
        let inbox = patient.health.inbox(Some("INBOX"), MINUTE);
        patient.after(3);
        patient.clock.set(patient.clock.now() - SignedDuration::from_hours(5));
        inbox.worked();
        assert!(patient.after(1).is_empty());
        assert!(patient.after(13).is_empty());
    }

    #[test]
    fn failing_does_not_make_it_younger_and_working_makes_it_well() {
        let patient = Patient::new();
        let inbox = patient.health.inbox(Some("INBOX"), MINUTE);
        patient.after(10);
        inbox.worked();
        for _ in 0..15 {
            inbox.failed("the server refused\r\nthe login of security@example.org");
            assert!(patient.after(1).is_empty());
        }
        let words = "not working since 2026-11-20 12:10 UTC: the server refused  the login of …";
        assert_eq!(patient.health.status(), format!("inbox INBOX: {words}"));
        assert_eq!(patient.after(1), ["inbox INBOX"]);
        assert_eq!(patient.health.told()[0]["silent"], true);
        inbox.worked();
        assert!(patient.health.examine(Duration::ZERO).is_empty());
        assert_eq!(patient.health.status(), "inbox INBOX: working");
    }

    #[test]
    fn a_long_poll_is_no_silence() {
        let patient = Patient::new();
        let inbox = patient.health.inbox(Some("INBOX"), MINUTE * 29);
        for _ in 0..5 {
            assert!(patient.after(30).is_empty());
            inbox.worked();
        }
        assert_eq!(patient.after(44), ["inbox INBOX"]);
    }

    #[test]
    fn an_outbox_with_nothing_to_send_is_not_silent() {
        let patient = Patient::new();
        let outbox = patient.health.outbox();
        assert!(patient.after(600).is_empty());
        outbox.begins();
        outbox.worked();
        outbox.rests();
        assert!(patient.after(600).is_empty());
        assert_eq!(patient.health.status(), "outbox: working");
    }

    #[test]
    fn an_outbox_that_hangs_or_has_failed_is_silent() {
        let patient = Patient::new();
        let outbox = patient.health.outbox();
        outbox.begins();
        assert_eq!(patient.after(16), ["outbox"]);
        outbox.worked();
        outbox.rests();
        assert!(patient.after(16).is_empty());
        outbox.begins();
        outbox.failed("connection refused");
        outbox.rests();
        assert_eq!(patient.after(16), ["outbox"], "its letters wait for their next turn");
    }

    #[test]
    fn a_clock_that_jumps_makes_nobody_silent_and_hides_nobody() {
        for hours in [5, -5] {
            let patient = Patient::new();
            let _inbox = patient.health.inbox(None, MINUTE);
            patient.after(10);
            patient.clock.set(patient.clock.now() + SignedDuration::from_hours(hours));
            assert!(patient.health.examine(MINUTE).is_empty(), "{hours} hours");
            let silent = (1..20).find(|_| !patient.after(1).is_empty());
            assert!(silent.is_some_and(|minutes| (4..=6).contains(&minutes)), "{hours} hours: {silent:?}");
        }
    }

    #[test]
    fn doors_are_examined_once_a_minute_or_as_often_as_a_short_silence_asks_for() {
        let tick = |silence| Health::new(Clock::System, SignedDuration::from_secs(silence)).tick();
        assert_eq!(tick(15 * 60), MINUTE);
        assert_eq!(tick(20), Duration::from_secs(2));
        assert_eq!(tick(1), LEAST_TICK);
    }
}
