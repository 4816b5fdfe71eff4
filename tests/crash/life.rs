//! The daemon from a start to a death, and damage to its index in between.

use super::chance::Chance;
use crate::servers::desk::{Desk, SOON};
use crate::support::daemon::signal;
use crate::support::happens;
use psirtd::control;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How a daemon ended that was not killed from outside.
#[derive(Debug, Clone, Copy)]
pub enum Death {
    /// It killed itself at the point it was told.
    AtThePoint,
    /// It gave up.
    Ended(ExitStatus),
}

pub struct Life {
    child: Child,
    log: PathBuf,
    socket: PathBuf,
    came_up: bool,
}

impl Life {
    /// Starts the daemon, which dies when it passes a point so many times.
    pub fn begin(desk: &Desk, die_at: Option<(&str, u64)>) -> Life {
        let log = desk.dir().join("life.log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_psirtd"));
        command.arg("--config").arg(desk.config()).args(["-v", "-v", "run"]);
        command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").env_remove("PSIRTD_CONFIG");
        if let Some((point, times)) = die_at {
            command.env("PSIRTD_DIE_AT", format!("{point}:{times}"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Life { child: command.spawn().unwrap(), log, socket: control::socket(&desk.state()), came_up: false }
    }

    /// Waits until it answers; false when it is dead or does not.
    pub fn comes_up(&mut self, within: Duration) -> bool {
        happens(within, || {
            self.came_up = UnixStream::connect(&self.socket).is_ok();
            self.came_up || self.is_over()
        });
        self.came_up
    }

    pub fn has_come_up(&self) -> bool {
        self.came_up
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits that long for its death.
    pub fn is_over_within(&mut self, within: Duration) -> bool {
        happens(within, || self.is_over())
    }

    /// SIGKILL; returns when it is gone. Says how, when it was already.
    pub fn kill(&mut self) -> Option<Death> {
        let ended = self.child.try_wait().unwrap();
        // a process that is gone cannot be killed, which is fine
        let _ = self.child.kill();
        self.child.wait().unwrap();
        ended.map(|status| if status.signal() == Some(9) { Death::AtThePoint } else { Death::Ended(status) })
    }

    /// SIGTERM; it must end well.
    pub fn terminate(&mut self) {
        signal("TERM", self.child.id());
        assert!(self.is_over_within(SOON), "psirtd did not end after SIGTERM:\n{}", self.log());
        assert!(self.child.wait().unwrap().success(), "psirtd ended badly:\n{}", self.log());
    }

    /// What it said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the last life's log\n{}", self.log());
        }
    }
}

/// What is done to the index while nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    Deleted,
    CutOff,
    BitFlipped,
}

/// Damages the index, if there is one.
pub fn damage_index(state: &Path, chance: &mut Chance) -> Option<Damage> {
    let index = state.join("index");
    let mut files = Vec::new();
    files_below(&index, &mut files);
    if files.is_empty() {
        return None;
    }
    let damage = *chance.one_of(&[Damage::Deleted, Damage::CutOff, Damage::BitFlipped]);
    let path = chance.one_of(&files);
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let at = chance.below(file.metadata().unwrap().len());
    match damage {
        Damage::Deleted => fs::remove_dir_all(index).unwrap(),
        Damage::CutOff => file.set_len(at).unwrap(),
        Damage::BitFlipped => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ (1 << chance.below(8))], at).unwrap();
        }
    }
    Some(damage)
}

/// All files that are not empty, in a fixed order.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        match fs::metadata(&path).unwrap() {
            metadata if metadata.is_dir() => files_below(&path, found),
            metadata if metadata.len() > 0 => found.push(path),
            _ => {}
        }
    }
    found.sort();
}
