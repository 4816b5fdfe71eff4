//! Logs: one line a fact, on standard error; and the rule of what may be in them.
//!
//! # The rule
//! At info and above a line holds case ids, letter ids, kinds, digests, sizes, folders and servers: never a subject, a text, an
//! address or a secret. What a server answered to a command is passed on [`without_addresses`]. Nothing ever logs decrypted text. What libraries log through the
//! `log` crate is not collected at all.
//!
//! Under systemd the lines carry no time and no colours: the journal has both.

use std::io::IsTerminal;

use tracing::{debug, error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::domain::case::CaseId;
use crate::domain::event::{Event, What};
use crate::progress::Lines;

/// Sets logging up. `verbosity` counts `-v`; `RUST_LOG` overrides it. `quiet` is for commands that answer on standard output.
pub fn set_up(verbosity: u8, quiet: bool) {
    let level = match (verbosity, quiet) {
        (0, true) => "psirtd=warn",
        (0, false) | (1, true) => "psirtd=info",
        _ => "psirtd=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt().with_env_filter(filter).with_writer(|| Lines).with_target(false).with_ansi(terminal);
    // a second set-up in one process (tests) keeps the first
    let _first = if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().try_init()
    } else {
        lines.try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        // a panic's message may quote the text that caused it: only its place is told
        let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        // of a damaged mail its parser may despair: that is caught where the mail is opened, and said there
        if ["sequoia-openpgp", "buffered-reader"].iter().any(|library| place.contains(library)) {
            debug!(place, "the OpenPGP library gave up on a message");
        } else if place.contains("async-imap") {
            debug!(place, "the IMAP library gave up on an answer");
        } else {
            error!(place, "a bug in psirtd: please report it");
        }
    }));
}

/// A server's words without the accounts that they name.
pub fn without_addresses(text: &str) -> String {
    text.split(' ').map(|word| if word.contains('@') { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

/// One line a fact: case ids and kinds, never subjects, texts or addresses.
pub fn tell(event: &Event) {
    let case = event.case.as_ref().map_or("none", CaseId::as_str);
    match &event.what {
        What::CaseOpened { .. } => info!(case, "case opened"),
        What::MailRecorded { mail, kind, size, problem, why_no_answer, .. } => {
            // the rule, not what it found: that may be somebody's address
            let why_no_answer =
                why_no_answer.as_deref().map(|why| why.split([':', '=']).next().unwrap_or(why));
            info!(case, kind = kind.word(), %mail, size, opened = problem.is_none(), why_no_answer, "mail recorded");
        }
        What::CertificateSeen { certificate, in_use, .. } => {
            info!(case, fingerprint = %certificate.fingerprint, in_use, "certificate seen");
        }
        What::SignatureChecked { mail, verdict, .. } => {
            info!(case, %mail, %verdict, "signature checked again")
        }
        What::CertificateAccepted { fingerprint, .. } => info!(%fingerprint, "certificate accepted"),
        What::Told { concerns } => info!(concerns = concerns.len(), "coordinators warned"),
        What::LetterQueued { letter, kind, .. } => info!(case, %letter, kind = kind.word(), "letter queued"),
        What::CaseMerged { into, .. } => info!(case, %into, "case merged"),
        What::Restored { backup, .. } => info!(%backup, "brought back from a backup"),
        What::MailMoved { mail, to, .. } => info!(case, %mail, %to, "mail taken out"),
        What::Digested { mails } => info!(mails = mails.len(), "coordinators told what was not answered"),
        What::LetterHeld { letter, kind, withheld: true, .. } => {
            info!(case, %letter, kind = kind.word(), "letter withheld: a rule says so; see “psirtd outbox”");
        }
        What::LetterHeld { letter, kind, .. } => {
            warn!(case, %letter, kind = kind.word(), "letter held: it could not be sealed; see “psirtd outbox”");
        }
        What::LetterSent { letter, .. } => info!(case, %letter, "letter sent"),
        What::LetterDeferred { letter, next_attempt, .. } => {
            warn!(case, %letter, %next_attempt, "letter deferred")
        }
        What::LetterReturned { letter, .. } => {
            error!(case, %letter, "letter returned: it will not arrive; see “psirtd outbox”")
        }
        What::LetterStopped { letter, .. } => info!(case, %letter, "letter stopped"),
        What::LetterReleased { letter, .. } => info!(case, %letter, "letter released"),
        What::Commanded { commands, refused: None, .. } => info!(case, ?commands, "commands carried out"),
        // why names addresses
        What::Commanded { commands, .. } => warn!(case, ?commands, "commands REFUSED; see “psirtd case”"),
        What::OwnerSet { .. } => info!(case, "case taken"),
        What::NoteWritten { .. } => info!(case, "note written"),
        What::Answered { topic, .. } => info!(case, topic = topic.word(), "answered"),
        What::ClockStarted { deadline, .. } => {
            info!(case, clock = deadline.kind.word(), due = %deadline.due, "clock started")
        }
        What::PhaseChanged { phase, .. } => info!(case, phase = phase.word(), "phase changed"),
        What::Shared { with, .. } => info!(case, with = with.len(), "case shared"),
        What::Assessed { .. } => info!(case, "assessed"),
        What::PrioritySet { priority, .. } => info!(case, priority = priority.word(), "priority set"),
        What::Snoozed { until, .. } => info!(case, %until, "snoozed"),
        What::BecamePublic { .. } => warn!(case, "publicly known"),
        What::Member { change, .. } => info!(case, change = change.word(), "distributors' list changed"),
        What::Embargo { step, .. } => info!(case, step = step.word(), "embargo"),
        What::Distribution { step, .. } => info!(case, step = step.word(), "distributors"),
        What::Reminded { warnings, .. } => info!(warnings = warnings.len(), "somebody reminded"),
    }
}
