//! The door to a mailbox on a server: connect, authenticate, select, IDLE, fetch, mark, move.
//!
//! # What it is for
//! One task and one connection a folder. Each scans the folder for what is not recorded, hands it over, marks or moves what
//! is, and then waits for news with IDLE, at most as long as `poll` says.
//!
//! # Invariants
//! * `BODY.PEEK[]`, and the size asked first. Nothing is expunged but what psirtd itself copied, by UID.
//! * What was recorded but not marked (a crash, a server that said NO) is found by the next scan and only marked. A refused
//!   mark holds nothing up.
//! * A mail counts as taken in when it is recorded, never because the server ended its answer: one that goes down in the
//!   middle ends it early.
//! * After any error the connection is dropped and a new one made, with growing, jittered waits.
//! * Every wait for the server has an end. A server that asks for patience gets it.
//! * A desk that was brought back from a backup looks once through the folder of recorded mail: what was recorded after the backup
//!   was made is there, and nowhere else.
//!
//! # Standards
//! RFC 3501/9051, 2177 (IDLE), 4315 (UIDPLUS), 6851 (MOVE), 8314 (TLS), by async-imap.

pub mod connection;
mod listed;
mod patience;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_imap::Session;
use async_imap::types::{Capabilities, Flag};
use futures_util::{FutureExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};
use zeroize::Zeroizing;

use crate::chance;
use crate::clock::Clock;
use crate::crash;
use crate::domain::message::Position;
use crate::health::Pulse;
use crate::inbox::cursor::{Cursor, Oddity};
use crate::inbox::imap::connection::{
    Stream, Trouble, WAITS, Waits, connect, for_a_mail, named, patiently, waits,
};
use crate::inbox::imap::listed::{Listed, batches, is_junk, uid_set};
use crate::inbox::imap::patience::{Ear, later};
use crate::inbox::stopped;
use crate::pipeline::{Arrival, Handle, Refused};
use crate::progress::Backlog;
use crate::store::index::{Lookup, Restored};
use crate::telemetry::without_addresses;
use crate::tls::Tls;

/// Everything in the folder is looked at again this often.
const FULL_SCAN: SignedDuration = SignedDuration::from_mins(15);
/// What is fetched of a mail that is too large: so much of its header as is read, for all of the mail may be header.
const LARGE_MAIL: &str = "(UID BODY.PEEK[HEADER]<0.262144>)";

/// How to reach the mailbox.
#[derive(Clone)]
pub struct Settings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// When TLS begins.
    pub tls: Tls,
    /// Certificates trusted besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Login name.
    pub user: String,
    /// Password.
    pub password: Zeroizing<String>,
    /// Folders to take mail from.
    pub folders: Vec<String>,
    /// The folder into which the provider's filter puts what it condemned: read like the others, but nothing of it is answered or
    /// moved.
    pub junk: Option<String>,
    /// Where recorded mail is moved; none to mark it only.
    pub processed: Option<String>,
    /// How often to look when nothing is heard.
    pub poll: Duration,
    /// How long it is waited for.
    pub waits: Box<Waits>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // no password, no user
        write!(f, "imap {}:{}", self.host, self.port)
    }
}

/// Takes mail in from every folder until `stop` turns true.
pub(super) async fn run(
    settings: Settings,
    max_size: u64,
    pipeline: Handle,
    clock: Clock,
    stop: watch::Receiver<bool>,
) {
    let mut folders = tokio::task::JoinSet::new();
    // an unreadable index is the pipeline's to complain about
    let restored = pipeline.reader().index.restored().ok().flatten();
    let recorded = settings.processed.iter().filter(|_| restored.is_some());
    for name in settings.folders.iter().chain(&settings.junk).chain(recorded).cloned() {
        let folder = Folder {
            is_junk: settings.junk.as_ref() == Some(&name),
            looks_back: settings.processed.as_ref() == Some(&name),
            restored,
            only_marks: true,
            pulse: pipeline.health().inbox(Some(&name), settings.poll),
            settings: settings.clone(),
            name,
            max_size,
            pipeline: pipeline.clone(),
            clock: clock.clone(),
            cursor: Cursor::default(),
            scanned: None,
            done: BTreeSet::new(),
            failures: 0,
            ear: Ear::for_mails_of(max_size),
        };
        folders.spawn(WAITS.scope(*settings.waits, folder.watch(stop.clone())));
    }
    while folders.join_next().await.is_some() {}
}

/// Logs in and out again, for `psirtd check --online`. Returns the names of folders that are missing.
pub async fn try_login(settings: &Settings) -> Result<Vec<String>, Trouble> {
    let (mut session, _) = connect(settings, &Ear::for_mails_of(0)).await?;
    let mut missing = Vec::new();
    for folder in settings.folders.iter().chain(&settings.junk) {
        if patiently(session.examine(folder)).await.is_err() {
            missing.push(folder.clone());
        }
    }
    // a server that does not say goodbye is no problem
    let _goodbye = patiently(session.logout()).await;
    Ok(missing)
}

/// One folder of the mailbox.
struct Folder {
    settings: Settings,
    name: String,
    /// What is in it was condemned.
    is_junk: bool,
    /// What is in it was recorded, perhaps by a desk of which only a backup is left.
    looks_back: bool,
    restored: Option<Restored>,
    /// Recorded mail stays where it is.
    only_marks: bool,
    max_size: u64,
    pipeline: Handle,
    clock: Clock,
    cursor: Cursor,
    /// When everything was last looked at.
    scanned: Option<Timestamp>,
    /// UIDs that were marked or moved by this process.
    done: BTreeSet<u32>,
    failures: u32,
    pulse: Pulse,
    /// What the server says besides its answers.
    ear: Ear,
}

impl Folder {
    async fn watch(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let trouble = tokio::select! {
                visited = AssertUnwindSafe(self.visit()).catch_unwind() => match visited {
                    Ok(Ok(())) => return,
                    Ok(Err(trouble)) => trouble,
                    // async-imap takes a BAD without a word for impossible
                    Err(_) => {
                        self.cursor.rescan();
                        Trouble::Broken("the server's answer was more than the IMAP library could bear".to_owned())
                    }
                },
                () = stopped(&mut stop) => return,
            };
            if matches!(trouble, Trouble::Unrecorded(Refused::Stopping)) {
                return;
            }
            self.failures = self.failures.saturating_add(1);
            let said = self.ear.refusal();
            let trouble = said.iter().fold(trouble, |trouble, words| trouble.in_words(words));
            let error = without_addresses(&trouble.to_string());
            let said = said.map(|words| without_addresses(&words));
            self.pulse.failed(&error);
            let (wait, asked) = self.pause(&trouble);
            let what = if asked { "inbox: the server asks for patience" } else { "inbox: not connected" };
            warn!(folder = self.name, error, said, failures = self.failures, again_in = ?wait, "{what}");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// How long the server is left alone, and whether it asked for that.
    fn pause(&self, trouble: &Trouble) -> (Duration, bool) {
        let backoff = match trouble {
            Trouble::Login(_) => waits().logins,
            _ => waits().connections,
        };
        let wait = backoff.wait(self.failures, chance::fraction());
        match self.ear.refusal().and_then(|words| later(&words)) {
            Some(later) => (wait.max(later.wait(waits().later)), true),
            None => (wait, false),
        }
    }

    /// The answer to a FETCH ends without saying how: here is its refusal, if it was one. A server that wants to be left alone
    /// is obeyed; of bodies and marks only when it speaks of everything, for one of them must not hold up the others.
    fn heed(&self, what: &'static str, of_all: bool) -> Result<(), Trouble> {
        let Some(words) = self.ear.refusal() else { return Ok(()) };
        if later(&words).is_some_and(|later| later.throttled || of_all) {
            return Err(Trouble::Refused(what, words));
        }
        let error = without_addresses(&words);
        warn!(folder = self.name, error, "inbox: the server refused {what}; tried again later");
        Ok(())
    }

    /// One connection, for as long as it lasts. It ends well only when there is nothing to wait for.
    async fn visit(&mut self) -> Result<(), Trouble> {
        let (mut session, capabilities) = connect(&self.settings, &self.ear).await?;
        self.select(&mut session).await?;
        if self.looks_back {
            if !self.take_in(&mut session, &capabilities).await? {
                return Err(Trouble::Refused("to hand out its mails", "some are missing".to_owned()));
            }
            info!(folder = self.name, "inbox: looked through the mail that was recorded since the backup");
            self.pulse.is_done();
            return Ok(());
        }
        self.prepare_processed(&mut session).await;
        let how = if capabilities.has_str("IDLE") { "IDLE" } else { "poll" };
        info!(folder = self.name, how, "inbox: connected");
        let can_move = capabilities.has_str("MOVE") || capabilities.has_str("UIDPLUS");
        self.only_marks = self.settings.processed.is_none() || !can_move || self.is_junk;
        if self.settings.processed.is_some() && !can_move {
            warn!(
                folder = self.name,
                "inbox: the server can neither MOVE nor UID EXPUNGE; recorded mail is marked as seen"
            );
        }
        loop {
            while session.unsolicited_responses.try_recv().is_ok() {}
            self.rescan_now_and_then();
            let took = self.take_in(&mut session, &capabilities).await;
            if took.is_err() {
                self.cursor.rescan();
            }
            took?;
            self.pulse.worked();
            session = self.await_news(session, &capabilities).await?;
        }
    }

    /// A UID that a server shows late, below one that is taken, is seen by the next full scan; the store knows the others.
    fn rescan_now_and_then(&mut self) {
        let now = self.clock.now();
        if self.scanned.is_none_or(|scanned| now.duration_since(scanned).abs() > FULL_SCAN) {
            self.scanned = Some(now);
            self.cursor.rescan();
        }
    }

    async fn select(&mut self, session: &mut Session<Stream>) -> Result<(), Trouble> {
        let mailbox = patiently(session.select(&self.name)).await.map_err(named("to select the folder"))?;
        let oddity = self.cursor.selected(mailbox.uid_validity, mailbox.uid_next);
        if oddity.is_some() {
            self.done.clear();
        }
        match oddity {
            Some(Oddity::ValidityChanged) => {
                warn!(folder = self.name, "inbox: UIDVALIDITY changed, the folder is read anew")
            }
            Some(Oddity::UidNextWentBack) => {
                warn!(folder = self.name, "inbox: UIDNEXT went backwards, the folder is read anew")
            }
            Some(Oddity::NoValidity) => warn!(folder = self.name, "inbox: the server knows no UIDVALIDITY"),
            None => {}
        }
        Ok(())
    }

    /// Creates the folder for recorded mail; when that fails, MOVE will say so.
    async fn prepare_processed(&self, session: &mut Session<Stream>) {
        if let Some(processed) = &self.settings.processed
            && patiently(session.create(processed)).await.is_ok()
        {
            info!(folder = processed, "inbox: created the folder for recorded mail");
        }
        // that it is there already is no refusal
        self.ear.forget();
    }

    /// Records and marks everything that is not recorded and marked; says whether nothing is left.
    async fn take_in(
        &mut self,
        session: &mut Session<Stream>,
        capabilities: &Capabilities,
    ) -> Result<bool, Trouble> {
        let listed = self.list(session).await?;
        let mut unmarked = Vec::new();
        let mut unknown = Vec::new();
        for mail in listed {
            match (self.is_known(&mail), self.done.contains(&mail.uid)) {
                (true, false) => unmarked.push(mail),
                // what a person did to a mail that was marked is the person's business
                (true, true) => self.cursor.taken(mail.uid),
                (false, _) => unknown.push(mail),
            }
        }
        let mut complete = self.marked(session, capabilities, &unmarked).await?;
        let mut backlog = Backlog::of(&self.name, unknown.len(), self.clock.now());
        for batch in batches(&unknown, self.max_size) {
            let (recorded, failed) = self.record(session, batch).await?;
            crash::point("recorded, not marked");
            complete &= self.marked(session, capabilities, &recorded).await?;
            crash::point("marked");
            if let Some(refused) = failed {
                return Err(refused.into());
            }
            // a backlog that takes long is no silence
            self.pulse.worked();
            complete &= recorded.len() == batch.len();
            batch.iter().for_each(|mail| self.cursor.taken(mail.uid));
            if let Some(backlog) = &mut backlog {
                backlog.taken(batch.len(), self.clock.now());
            }
        }
        unmarked.iter().for_each(|mail| self.cursor.taken(mail.uid));
        if !complete {
            self.cursor.rescan();
        }
        Ok(complete)
    }

    /// Marks or moves recorded mails; says whether the server did it. A refusal must not keep other mail from being taken in.
    async fn marked(
        &mut self,
        session: &mut Session<Stream>,
        capabilities: &Capabilities,
        recorded: &[Listed],
    ) -> Result<bool, Trouble> {
        match self.mark(session, capabilities, recorded).await {
            Err(refused @ Trouble::Refused(..)) => {
                let throttled =
                    self.ear.refusal().and_then(|words| later(&words)).is_some_and(|it| it.throttled);
                if throttled {
                    return Err(refused);
                }
                self.ear.forget();
                let mails = recorded.len();
                let error = without_addresses(&refused.to_string());
                warn!(folder = self.name, mails, error, "inbox: recorded, but not marked; tried again later");
                Ok(false)
            }
            other => {
                other?;
                self.done.extend(recorded.iter().map(|mail| mail.uid));
                Ok(true)
            }
        }
    }

    /// UID, size, date and flags of everything from the cursor on, in order of UID.
    async fn list(&mut self, session: &mut Session<Stream>) -> Result<Vec<Listed>, Trouble> {
        let range = format!("{}:*", self.cursor.next());
        let mut stream = patiently(session.uid_fetch(range, "(UID FLAGS INTERNALDATE RFC822.SIZE)")).await?;
        let mut listed = BTreeMap::new();
        while let Some(fetch) = patiently(stream.try_next()).await? {
            let Some(uid) = fetch.uid.filter(|uid| self.cursor.wants(*uid)) else { continue };
            // without a size it is no answer, but news of flags: it would make a large mail look small
            let Some(size) = fetch.size else { continue };
            let received_at =
                fetch.internal_date().and_then(|date| Timestamp::from_second(date.timestamp()).ok());
            let seen = fetch.flags().any(|flag| matches!(flag, Flag::Seen));
            let flagged = fetch.flags().any(|flag| matches!(flag, Flag::Flagged));
            let junk = fetch.flags().any(|flag| is_junk(&flag));
            if self.looks_back && !self.is_lost(received_at) {
                continue;
            }
            listed.insert(uid, Listed { uid, size: u64::from(size), received_at, seen, flagged, junk });
        }
        drop(stream);
        self.heed("to list its mails", true)?;
        Ok(listed.into_values().collect())
    }

    /// It came while a desk worked of which nothing is left. What does not lie among recorded mail may be new.
    fn is_lost(&self, received_at: Option<Timestamp>) -> bool {
        const CLOCKS: SignedDuration = SignedDuration::from_mins(10);
        self.restored.zip(received_at).is_some_and(|(restored, received_at)| match self.looks_back {
            true => restored.has_recorded(received_at),
            false => restored.may_have_recorded(received_at, CLOCKS),
        })
    }

    fn position(&self, uid: u32) -> Option<Position> {
        let Settings { host, user, .. } = &self.settings;
        let validity = self.cursor.validity()?;
        Some(Position(format!("imap://{user}@{host}/{};uidvalidity={validity};uid={uid}", self.name)))
    }

    fn is_known(&self, mail: &Listed) -> bool {
        // an unreadable index answers "unknown": the pipeline will say what is wrong
        self.position(mail.uid)
            .is_some_and(|position| self.pipeline.reader().index.knows_position(&position).unwrap_or(false))
    }

    /// Fetches a batch and hands it over, in order. Returns what is recorded, and why the rest is not.
    async fn record(
        &mut self,
        session: &mut Session<Stream>,
        batch: &[Listed],
    ) -> Result<(Vec<Listed>, Option<Refused>), Trouble> {
        let mut arrivals = self.fetch(session, batch).await?;
        crash::point("fetched");
        let mut handed_over = Vec::new();
        let mut failed = None;
        for mail in batch {
            // another client took it away, or the server did not hand it out: the next scan knows
            let Some(raw) = arrivals.remove(&mail.uid) else {
                warn!(folder = self.name, uid = mail.uid, "inbox: a mail was listed, but not received");
                continue;
            };
            let too_large = (mail.size > self.max_size).then_some(mail.size);
            let received_at = mail.received_at.unwrap_or_else(|| self.clock.now());
            let junk = self.is_junk || mail.junk;
            // where recorded mail is only marked, whoever reads the mailbox marks it, too
            let seen = self.only_marks && mail.seen;
            let left_there = mail.flagged && mail.size > self.max_size;
            let marked = self.looks_back || seen || left_there;
            let recorded_before = marked && self.is_lost(mail.received_at);
            let position = self.position(mail.uid);
            let arrival = Arrival { raw, position, received_at, too_large, junk, recorded_before };
            // one after the other: several that wait for a place at once would get it in any order
            match self.pipeline.hand_over(arrival).await {
                Ok(answer) => handed_over.push((mail, answer)),
                Err(refused) => {
                    failed = Some(refused);
                    break;
                }
            }
        }
        let mut recorded = Vec::new();
        for (mail, answer) in handed_over {
            match answer.await {
                Ok(_) => recorded.push(mail.clone()),
                Err(refused) => {
                    failed.get_or_insert(refused);
                }
            }
        }
        Ok((recorded, failed))
    }

    /// The bytes of a batch by UID: whole mails, or the header of one that is too large.
    async fn fetch(
        &self,
        session: &mut Session<Stream>,
        batch: &[Listed],
    ) -> Result<BTreeMap<u32, Vec<u8>>, Trouble> {
        let too_large = batch.first().is_some_and(|mail| mail.size > self.max_size);
        let query = if too_large { LARGE_MAIL } else { "(UID BODY.PEEK[])" };
        let mut fetched = BTreeMap::new();
        let mut stream = patiently(session.uid_fetch(uid_set(batch), query)).await?;
        while let Some(fetch) = for_a_mail(stream.try_next()).await? {
            let bytes = if too_large { fetch.header() } else { fetch.body() };
            if let (Some(uid), Some(bytes)) = (fetch.uid, bytes) {
                fetched.insert(uid, bytes.to_vec());
            }
        }
        drop(stream);
        self.heed("to hand out mails", false)?;
        if too_large && let Some(mail) = batch.first() {
            let (folder, size, limit) = (&self.name, mail.size, self.max_size);
            error!(
                folder,
                uid = mail.uid,
                size,
                limit,
                "inbox: a mail is larger than the limit: its header is recorded, it stays on the server"
            );
        }
        Ok(fetched)
    }

    /// Moves recorded mails away, or marks them as seen. What is too large is flagged and left for a person.
    async fn mark(
        &self,
        session: &mut Session<Stream>,
        capabilities: &Capabilities,
        recorded: &[Listed],
    ) -> Result<(), Trouble> {
        let (large, fit): (Vec<Listed>, Vec<Listed>) =
            recorded.iter().cloned().partition(|mail| mail.size > self.max_size);
        if !large.is_empty() {
            store_flag(session, &uid_set(&large), "\\Flagged").await?;
        }
        let plus = capabilities.has_str("UIDPLUS");
        match &self.settings.processed {
            _ if fit.is_empty() || self.looks_back => {}
            // the filter's owner looks for it where the filter put it
            _ if self.is_junk => mark_seen(session, fit).await?,
            Some(processed) if capabilities.has_str("MOVE") => {
                patiently(session.uid_mv(uid_set(&fit), processed))
                    .await
                    .map_err(named("to move recorded mail"))?;
            }
            Some(processed) if plus => {
                let set = uid_set(&fit);
                patiently(session.uid_copy(&set, processed)).await.map_err(named("to copy recorded mail"))?;
                store_flag(session, &set, "\\Deleted").await?;
                let expunged = patiently(session.uid_expunge(&set)).await?;
                patiently(expunged.try_collect::<Vec<_>>()).await.map_err(named("to expunge moved mail"))?;
            }
            // without UIDPLUS an EXPUNGE would take other people's deletions along: mark only
            _ => mark_seen(session, fit).await?,
        }
        Ok(())
    }

    /// Waits until the server speaks of something new, or `poll` is over.
    async fn await_news(
        &mut self,
        mut session: Session<Stream>,
        capabilities: &Capabilities,
    ) -> Result<Session<Stream>, Trouble> {
        if !capabilities.has_str("IDLE") {
            tokio::time::sleep(self.settings.poll).await;
            patiently(session.noop()).await?;
            self.failures = 0;
            return Ok(session);
        }
        // what arrived while the mails were taken in, or before the server says that it idles, is told here
        let told = session.unsolicited_responses.clone();
        let mut idle = session.idle();
        patiently(idle.init()).await?;
        self.failures = 0;
        if told.is_empty() {
            let (news, _stop) = idle.wait_with_timeout(self.settings.poll);
            // the server's "still here" starts async-imap's time anew, but not this one
            if let Ok(news) = tokio::time::timeout(self.settings.poll, news).await {
                news?;
            }
        }
        debug!(folder = self.name, "inbox: woken");
        patiently(idle.done()).await
    }
}

async fn mark_seen(session: &mut Session<Stream>, mails: Vec<Listed>) -> Result<(), Trouble> {
    let unseen: Vec<Listed> = mails.into_iter().filter(|mail| !mail.seen).collect();
    if unseen.is_empty() { Ok(()) } else { store_flag(session, &uid_set(&unseen), "\\Seen").await }
}

async fn store_flag(session: &mut Session<Stream>, set: &str, flag: &str) -> Result<(), Trouble> {
    let stream = patiently(session.uid_store(set, format!("+FLAGS.SILENT ({flag})"))).await?;
    patiently(stream.try_collect::<Vec<_>>()).await.map_err(named("to mark recorded mail"))?;
    Ok(())
}
