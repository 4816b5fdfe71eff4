//! Which certificates are looked up, and when.
//!
//! A mail of a case that is signed by a key nobody here holds makes the desk ask the directory of its author's domain, after
//! the mail is recorded and answered. Domains learn by it that somebody here got a mail: it is off unless the configuration
//! turns it on.
//!
//! # Invariants
//! * One question at a time, none about an address that was asked about within an hour: a flood of mails asks little.
//! * Only the certificate that made the signature is taken. What becomes of it, the pipeline decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{broadcast, watch};
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::domain::case::CaseId;
use crate::domain::event::{Event, What};
use crate::domain::intake::Kind;
use crate::domain::message::{Digest, Mailbox};
use crate::domain::signature::Source;
use crate::inbox::stopped;
use crate::keyring;
use crate::lookup::{Settings, look_up};
use crate::pipeline::{Found, Handle};

/// An address is not asked about more often.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// No more addresses are remembered as asked about; then nothing is looked up until the oldest are forgotten.
const MOST: usize = 1000;

/// A signature whose certificate is wanted.
struct Wanted {
    case: CaseId,
    mail: Digest,
    author: Mailbox,
    signer: String,
}

/// Looks certificates up until `stop` turns true.
pub async fn run(settings: Settings, pipeline: Handle, clock: Clock, mut stop: watch::Receiver<bool>) {
    let mut happened = pipeline.watch();
    let mut asked: BTreeMap<String, Timestamp> = BTreeMap::new();
    while !*stop.borrow() {
        let events = tokio::select! {
            heard = happened.recv() => match heard {
                Ok(events) => events,
                // what was missed is not looked up; the author's next mail is
                Err(broadcast::error::RecvError::Lagged(_)) => Arc::default(),
                Err(broadcast::error::RecvError::Closed) => {
                    stopped(&mut stop).await;
                    return;
                }
            },
            () = stopped(&mut stop) => return,
        };
        for wanted in events.iter().filter_map(wanted) {
            let now = clock.now();
            asked.retain(|_, at| now.duration_since(*at) < AGAIN);
            if asked.len() >= MOST || asked.contains_key(&wanted.author.canonical()) {
                continue;
            }
            asked.insert(wanted.author.canonical(), now);
            tokio::select! {
                () = ask(&settings, &pipeline, wanted) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }
}

fn wanted(event: &Event) -> Option<Wanted> {
    match (&event.case, &event.what) {
        (
            Some(case),
            What::MailRecorded { mail, from: Some(from), verdict, signer: Some(signer), kind, .. },
        ) if verdict == "unknown-key" && matches!(kind, Kind::Report | Kind::Reply) => Some(Wanted {
            case: case.clone(),
            mail: mail.clone(),
            author: from.clone(),
            signer: signer.clone(),
        }),
        _ => None,
    }
}

async fn ask(settings: &Settings, pipeline: &Handle, wanted: Wanted) {
    let found = match look_up(&wanted.author.address, settings).await {
        Ok(found) => found,
        Err(error) => {
            // the error names the domain, and nothing of the author
            info!(mail = %wanted.mail, %error, "no certificate looked up");
            return;
        }
    };
    let made_it = found.certs.iter().find(|cert| keyring::has_key(cert, &wanted.signer));
    let Some(certificate) = made_it.and_then(|cert| keyring::described(Source::Directory, cert)) else {
        debug!(mail = %wanted.mail, "the directory holds another certificate than the one that signed");
        return;
    };
    let found = Found { case: wanted.case, mail: wanted.mail, author: wanted.author, certificate };
    if let Err(error) = pipeline.found(found).await {
        warn!(%error, "a certificate that was looked up is not remembered");
    }
}
