//! The mails of a batch, opened: with the desk's keys and with what the desk remembers of their authors.
//!
//! Opening is a pure function, so that a batch can be spread over all threads. A mail during whose opening psirtd has died before
//! is opened alone, and after a few times not at all (`store/suspects.rs`).

use std::sync::Arc;

use jiff::Timestamp;
use tracing::{error, warn};

use crate::domain::case::{CaseId, CaseMail};
use crate::domain::distributor::Member;
use crate::domain::message::{Digest, Message};
use crate::domain::signature::Standing;
use crate::open;
use crate::pipeline::workers::in_parallel;
use crate::pipeline::{Arrival, Found, OutboxCommand, Pipeline, Work};
use crate::store::index::Lookup;
use crate::store::suspects::{ENOUGH, Suspects};

impl Pipeline {
    /// Opens the mails of a batch on all threads: whether a mail is known shows only in what it says.
    /// What psirtd may have died of is opened afterwards, one after the other.
    pub(super) fn open_all(&mut self, batch: &[Work], now: Timestamp) -> Vec<Option<Arc<Message>>> {
        let names = in_parallel(batch, |work| match work {
            Work::Mail(arrival, _) => Some(open::digest(&arrival.raw)),
            _ => None,
        });
        let work: Vec<(&Work, Option<&Digest>)> =
            batch.iter().zip(names.iter().map(Option::as_ref)).collect();
        let is_suspect = |pipeline: &Self, name: &Digest| pipeline.writer.suspects.deaths(name) > 0;
        let fresh: Vec<&Digest> = names.iter().flatten().filter(|name| !is_suspect(self, name)).collect();
        self.note(|suspects| suspects.opening(fresh.iter().copied()));
        let mut opened = in_parallel(&work, |(work, name)| match work {
            Work::Mail(..) if name.is_some_and(|name| is_suspect(self, name)) => None,
            Work::Mail(arrival, _) => Some(Arc::new(self.open_arrival(arrival, now))),
            Work::Command(OutboxCommand::Release(id), _) => self.about(id, now),
            Work::Found(found, _) => self.open_again(found, now),
            Work::Delivery(..)
            | Work::Command(..)
            | Work::Accept(..)
            | Work::Order(..)
            | Work::Copies
            | Work::Look(..)
            | Work::Unreadable
            | Work::Ping(_) => None,
        });
        self.note(|suspects| suspects.survived(fresh.iter().copied()));
        for ((work, name), opened) in work.into_iter().zip(&mut opened) {
            if let (Work::Mail(arrival, _), Some(name), None) = (work, name, &opened) {
                *opened = Some(Arc::new(self.open_suspect(arrival, name, now)));
            }
        }
        opened
    }

    /// A mail that was being opened when psirtd died: after a few times only its header is looked at, then nothing of it.
    fn open_suspect(&mut self, arrival: &Arrival, name: &Digest, now: Timestamp) -> Message {
        let deaths = self.writer.suspects.deaths(name);
        self.note(|suspects| suspects.opening(std::iter::once(name)));
        let message = if deaths >= ENOUGH {
            error!(mail = %name, deaths, "psirtd died while it opened this mail: it is recorded unopened");
            let author = open::hidden_author(&arrival.raw, &self.policy);
            let why = open::unopened(deaths);
            open::closed_for(&arrival.raw, &why, deaths == ENOUGH, author.as_ref(), &self.keyring, now)
        } else {
            self.open_arrival(arrival, now)
        };
        self.note(|suspects| suspects.survived(std::iter::once(name)));
        message
    }

    /// Without the note a mail that ends the process would end it again; that alone is no reason to stop.
    fn note(&mut self, write: impl FnOnce(&mut Suspects) -> std::io::Result<()>) {
        if let Err(error) = write(&mut self.writer.suspects) {
            warn!(%error, "it could not be noted which mails are being opened");
        }
    }

    /// A mail as a door handed it over.
    fn open_arrival(&self, arrival: &Arrival, now: Timestamp) -> Message {
        let mut message = self.open_one(&arrival.raw, arrival.too_large, now);
        message.marks.junk |= arrival.junk;
        message.marks.recorded_before = arrival.recorded_before;
        message
    }

    /// Opens a mail with the desk's keys and what the desk remembers of its author.
    fn open_one(&self, raw: &[u8], too_large: Option<u64>, now: Timestamp) -> Message {
        let author = open::author(raw, &self.policy);
        let remembered = author.as_ref().and_then(|(author, _)| {
            let certificates = self.reader.index.certificates(&author.address).ok()?;
            let in_use = certificates.first().map(|certificate| (certificate.source.standing(), certificate));
            // what the distributors' list says of a member's address comes before what the desk remembers; what somebody says who
            // only wants to be on it, and may be anybody, counts where nothing else is remembered
            let member = self.reader.index.member_of(author).ok()?;
            let known = in_use.is_some();
            let listed = member.iter().flat_map(Member::signs_with);
            let listed = listed.filter(move |(standing, _)| !known || *standing == Standing::Pinned);
            Some(self.keyring.beside(&author.address, listed.chain(in_use)))
        });
        let hidden = author.as_ref().filter(|(_, is_hidden)| *is_hidden).map(|(author, _)| author);
        let keyring = remembered.as_ref().unwrap_or(&self.keyring);
        match too_large {
            Some(size) => open::open_header(raw, size, hidden, keyring, now),
            None => open::open_by(raw, hidden, keyring, now),
        }
    }

    /// The mail that a certificate was looked up for, opened with it.
    fn open_again(&self, found: &Found, now: Timestamp) -> Option<Arc<Message>> {
        let raw = self.reader.archive.mails.read(&found.mail).ok()?;
        let looked_up = [(Standing::LookedUp, &found.certificate)];
        let keyring = self.keyring.beside(&found.author.address, looked_up);
        Some(Arc::new(open::open_by(&raw, open::hidden_author(&raw, &self.policy).as_ref(), &keyring, now)))
    }

    /// A mail of a case, opened again.
    pub(super) fn kept(&self, case: &CaseId, mail: &Digest, now: Timestamp) -> Option<Arc<Message>> {
        let case = self.reader.index.case(case).ok().flatten()?;
        self.kept_as(case.mails.iter().find(|known| known.mail == *mail), mail, now)
    }

    /// The same, where it is known what the case says of it.
    pub(super) fn kept_as<'m>(
        &self,
        known: impl Into<Option<&'m CaseMail>>,
        mail: &Digest,
        now: Timestamp,
    ) -> Option<Arc<Message>> {
        let raw = self.reader.archive.mails.read(mail).ok()?;
        let known = known.into();
        let problem = known.and_then(|known| Some((known.problem.as_ref()?, known.from.is_some())));
        if let Some((why, with_header)) = problem.filter(|(why, _)| why.starts_with(open::UNOPENED)) {
            let author = open::hidden_author(&raw, &self.policy);
            let closed = open::closed_for(&raw, why, with_header, author.as_ref(), &self.keyring, now);
            return Some(Arc::new(closed));
        }
        let size = known.map(|mail| mail.size);
        let kept = u64::try_from(raw.len()).unwrap_or(u64::MAX);
        Some(Arc::new(self.open_one(&raw, size.filter(|size| *size > kept), now)))
    }
}
