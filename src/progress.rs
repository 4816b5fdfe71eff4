//! A backlog on its way in: told in the log now and then, and shown as a bar to whoever runs psirtd on a terminal.
//!
//! # Invariants
//! * Without [`show`], or where standard error is no terminal, nothing is drawn: not one escape sequence.
//! * Lines of the log go through [`Lines`], which takes the bars away and puts them back: neither tears the other.
//! * Counts only: nothing of a mail.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use jiff::{SignedDuration, Timestamp};
use tracing::info;

/// So few are no backlog.
const FEW: usize = 100;
/// The log tells of every tenth, and of every minute.
const PARTS: usize = 10;
const LONG: SignedDuration = SignedDuration::from_mins(1);

/// The bars of all folders, one below the other. Like the log, there is one for the process.
static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));

/// Shows bars from now on, where somebody can see them.
pub fn show() {
    let draws = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    if io::stderr().is_terminal() && draws {
        BARS.set_draw_target(ProgressDrawTarget::stderr());
    }
}

/// Standard error for lines of the log.
#[derive(Debug, Clone, Copy)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Many mails that waited in a folder.
#[derive(Debug)]
pub struct Backlog {
    folder: String,
    mails: usize,
    taken: usize,
    began: Timestamp,
    /// How many were taken in, and when, when the log was told last.
    told: (usize, Timestamp),
    bar: ProgressBar,
}

impl Backlog {
    /// Begins to tell of one, if it is one.
    pub fn of(folder: &str, mails: usize, now: Timestamp) -> Option<Self> {
        if mails <= FEW {
            return None;
        }
        info!(folder, mails, "inbox: taking in a backlog");
        let bar = ProgressBar::new(u64::try_from(mails).unwrap_or(u64::MAX));
        let bar = BARS.add(bar.with_style(style()).with_prefix(folder.to_owned()));
        bar.tick();
        Some(Self { folder: folder.to_owned(), mails, taken: 0, began: now, told: (0, now), bar })
    }

    /// So many more are taken in.
    pub fn taken(&mut self, mails: usize, now: Timestamp) {
        self.taken = self.taken.saturating_add(mails);
        self.bar.set_position(u64::try_from(self.taken).unwrap_or(u64::MAX));
        let Self { taken, mails, folder, told: (before, at), .. } = self;
        if taken >= mails {
            let seconds = now.duration_since(self.began).as_secs();
            info!(folder, seconds, "inbox: backlog: all {mails} taken in");
        } else if taken.saturating_sub(*before) >= mails.div_ceil(PARTS) || now.duration_since(*at) >= LONG {
            info!(folder, "inbox: backlog: {taken} of {mails} taken in");
            self.told = (*taken, now);
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        BARS.remove(&self.bar);
    }
}

fn style() -> ProgressStyle {
    // before the first mails there is nothing to reckon with
    let pace = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        if state.pos() > 0 {
            // what cannot be written cannot be shown
            let _shown =
                write!(out, ", {:.0} a second, {} left", state.per_sec(), HumanDuration(state.eta()));
        }
    };
    ProgressStyle::with_template("{prefix}: [{bar:30}] {pos} of {len} mails{pace}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("pace", pace)
}
