//! The embedded inbox: a local Maildir.
//!
//! Mail is taken from `new/`, and moved to `cur/` with the flag S (seen) when it is recorded. The folder is looked at several
//! times a second; a local delivery renames a complete file into it, so whatever is there is complete. A desk that was brought
//! back from a backup looks once through `cur/`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{error, warn};

use crate::chance;
use crate::domain::backoff::CONNECTIONS;
use crate::domain::message::Position;
use crate::inbox::stopped;
use crate::pipeline::{Arrival, Handle, Refused};
use crate::store::index::{Lookup, Restored};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Of a mail that is too large, so much is read as its header.
const HEADER: u64 = 256 * 1024;

/// Where the Maildir is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder with `new`, `cur` and `tmp`; created where it is missing.
    pub path: PathBuf,
}

/// Takes mail in until `stop` turns true.
pub(super) async fn run(
    settings: Settings,
    max_size: u64,
    pipeline: Handle,
    mut stop: watch::Receiver<bool>,
) {
    let pulse = pipeline.health().inbox(None, LOOK_EVERY);
    let mut failures = 0_u32;
    // an unreadable index is the pipeline's to complain about
    let mut restored = pipeline.reader().index.restored().ok().flatten();
    loop {
        let wait = match look(&settings, max_size, &pipeline, restored).await {
            Ok(()) => {
                restored = None;
                failures = 0;
                pulse.worked();
                LOOK_EVERY
            }
            Err(Trouble::Stopping) => return,
            Err(Trouble::Tried(error)) => {
                failures = failures.saturating_add(1);
                pulse.failed(&error);
                let wait = CONNECTIONS.wait(failures, chance::fraction());
                warn!(%error, again_in = ?wait, "inbox: the Maildir could not be taken in");
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

enum Trouble {
    Stopping,
    Tried(String),
}

async fn look(
    settings: &Settings,
    max_size: u64,
    pipeline: &Handle,
    restored: Option<Restored>,
) -> Result<(), Trouble> {
    let tried = |error: io::Error| Trouble::Tried(format!("{}: {error}", settings.path.display()));
    // one file that cannot be read or moved must not keep the others out
    let mut left = Ok(());
    let waiting = waiting(&settings.path).map_err(tried)?;
    let recorded = restored.map_or(Ok(Vec::new()), |restored| recorded(&settings.path, restored));
    let recorded = recorded.map_err(tried)?.into_iter().map(|mail| (mail, true));
    for (mail, recorded_before) in recorded.chain(waiting.into_iter().map(|mail| (mail, false))) {
        let arrival = match arrival(&mail, max_size, recorded_before) {
            Ok(arrival) => arrival,
            // somebody took it away meanwhile
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                left = Err(tried(error));
                continue;
            }
        };
        if let Some(size) = arrival.too_large {
            error!(
                size,
                "inbox: a mail is larger than the limit: its header is recorded, it stays in the Maildir"
            );
        }
        match pipeline.submit(arrival).await {
            Ok(_) if recorded_before => {}
            Ok(_) => left = left.and(seen(&settings.path, &mail).map_err(tried)),
            Err(Refused::Stopping) => return Err(Trouble::Stopping),
            Err(refused) => return Err(Trouble::Tried(refused.to_string())),
        }
    }
    left
}

/// The mails in `new/`, oldest first.
fn waiting(path: &Path) -> io::Result<Vec<PathBuf>> {
    for folder in ["tmp", "cur", "new"] {
        std::fs::create_dir_all(path.join(folder))?;
    }
    Ok(mails(&path.join("new"))?.into_iter().map(|(_, path)| path).collect())
}

/// The mails in `cur/` that came while a desk worked of which nothing is left.
fn recorded(path: &Path, restored: Restored) -> io::Result<Vec<PathBuf>> {
    let lost = |when: &SystemTime| Timestamp::try_from(*when).is_ok_and(|when| restored.has_recorded(when));
    let mails = mails(&path.join("cur"))?.into_iter();
    Ok(mails.filter(|(when, _)| lost(when)).map(|(_, path)| path).collect())
}

fn mails(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut mails = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // what was taken away meanwhile has no metadata
        if let Ok(metadata) = entry.metadata()
            && metadata.is_file()
        {
            mails.push((metadata.modified()?, entry.path()));
        }
    }
    mails.sort();
    Ok(mails)
}

fn arrival(mail: &Path, max_size: u64, recorded_before: bool) -> io::Result<Arrival> {
    let file = std::fs::File::open(mail)?;
    let metadata = file.metadata()?;
    let too_large = (metadata.len() > max_size).then_some(metadata.len());
    let mut raw = Vec::new();
    file.take(too_large.map_or(max_size, |_| HEADER)).read_to_end(&mut raw)?;
    let received_at = Timestamp::try_from(metadata.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
    let name = mail.file_name().unwrap_or_default().to_string_lossy();
    let unique = name.split(':').next().unwrap_or_default();
    let position = mail.parent().map(|folder| Position(format!("maildir:{};{unique}", folder.display())));
    Ok(Arrival { raw, position, received_at, too_large, junk: false, recorded_before })
}

fn seen(path: &Path, mail: &Path) -> io::Result<()> {
    let mut name = mail.file_name().unwrap_or_default().to_owned();
    name.push(":2,S");
    std::fs::rename(mail, path.join("cur").join(name))
}
