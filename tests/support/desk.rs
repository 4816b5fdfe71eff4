//! A desk of its own for a story: the real daemon without doors, a clock turned by hand, the real outbox.
//!
//! ```ignore
//! let desk = Desk::new();
//! desk.receives("From: Rita <rita@example.net>\n...");      // returns when it is recorded, and all letters due are out
//! insta::assert_snapshot!(desk.snapshot(), @"...");          // every letter since the last look, as its reader reads it
//! desk.clock_to("2026-11-24T09:00:00Z");                     // sends what became due
//! desk.ask(&Question::Outbox);                               // what `psirtd outbox --json` would say
//! ```
//!
//! `letters` reads what goes out; `post` hands the same over unread, for those who answer every letter, whatever it says.
//!
//! It is Friday, 20 November 2026, 15:00 in Los Angeles, and stays so until `clock_to`. The desk is security@example.org,
//! its coordinator is Ada <ada@example.org>, and it holds a certificate of Sam <sam@example.com>, who reports encrypted.
//! Rita <rita@example.net> has no key; Nora <nora@example.net> has one that the desk does not know.
//!
//! What goes out is read by GnuPG, never by psirtd: it holds everybody's secret key but the desk's.

use super::gpg::Gpg;
use crate::support::log::Log;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use psirtd::clock::Clock;
use psirtd::config::Config;
use psirtd::control::{self, Question};
use psirtd::custody::DeskKeys;
use psirtd::daemon::Daemon;
use psirtd::domain::concern::Silence;
use psirtd::domain::distributor::{Change, Member, MemberId, State};
use psirtd::domain::event::{Event, What};
use psirtd::domain::message::{Mailbox, Position};
use psirtd::domain::signature::{Certificate, Source};
use psirtd::keyring;
use psirtd::lookup;
use psirtd::outbox;
use psirtd::pipeline::{Arrival, Recorded};
use psirtd::store::index::Draft;
use psirtd::store::{self, Commit};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Level;
use tracing::instrument::WithSubscriber;

/// Friday, 20 November 2026, 15:00 in Los Angeles.
const START: &str = "2026-11-20T23:00:00Z";
const DESK: &str = "security@example.org";
/// Everybody who has a key, made a month before.
const PEOPLE: [&str; 6] = [
    "Example Project Security <security@example.org>",
    "Ada Coordinator <ada@example.org>",
    "Otto Coordinator <otto@example.org>",
    "Max Maintainer <max@example.org>",
    "Sam Secret <sam@example.com>",
    "Nora Newcomer <nora@example.net>",
];

/// How a desk is set up; `Desk::new()` is the plain one.
pub struct Builder {
    address: String,
    start: String,
    time_zone: String,
    policy: String,
    toml: String,
    desk: String,
    coordinators: Vec<(String, bool)>,
    maintainer: bool,
}

impl Builder {
    /// When the story begins.
    pub fn start(mut self, at: &str) -> Self {
        self.start = at.to_owned();
        self
    }

    /// The same local part at another domain: another desk with the same team.
    pub fn domain(mut self, domain: &str) -> Self {
        self.address = format!("security@{domain}");
        self
    }

    /// Where the desk is.
    pub fn time_zone(mut self, zone: &str) -> Self {
        self.time_zone = zone.to_owned();
        self
    }

    /// Further lines of the `[desk]` section.
    pub fn desk(mut self, lines: &str) -> Self {
        self.desk = lines.to_owned();
        self
    }

    /// Further sections of the configuration.
    pub fn toml(mut self, sections: &str) -> Self {
        self.toml = sections.to_owned();
        self
    }

    /// Lines of the `[policy]` section.
    pub fn policy(mut self, lines: &str) -> Self {
        self.policy = lines.to_owned();
        self
    }

    /// A further coordinator, Otto, of whom the desk has no certificate.
    pub fn otto_without_certificate(mut self) -> Self {
        self.coordinators.push(("otto".to_owned(), false));
        self
    }

    /// A maintainer, Max.
    pub fn max(mut self) -> Self {
        self.maintainer = true;
        self
    }

    /// A further coordinator, Otto.
    pub fn otto(mut self) -> Self {
        self.coordinators.push(("otto".to_owned(), true));
        self
    }

    pub fn open(self) -> Desk {
        let dir = tempfile::Builder::new().prefix("desk").tempdir_in("/tmp").unwrap();
        let gpg = Gpg::new();
        let mut people = BTreeMap::new();
        for folder in ["people", "reporters"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let start: Timestamp = self.start.parse().unwrap();
        let born = start - SignedDuration::from_hours(31 * 24);
        for mailbox in PEOPLE {
            let (name, address) = mailbox.trim_end_matches('>').split_once(" <").unwrap();
            let address = if address == DESK { self.address.as_str() } else { address };
            let mailbox = Mailbox { name: Some(name.to_owned()), address: address.to_owned() };
            let secret = keyring::generate(&mailbox, born, false).unwrap();
            let mut one = keyring::Keyring::new();
            one.add_secret_keys(secret.as_bytes(), None).unwrap();
            let public = one.desk_armored().unwrap();
            let cert = one.desk().unwrap();
            let subkeys = cert.keys().subkeys().map(|key| key.key().fingerprint().to_hex()).collect();
            let person = Person {
                fingerprint: cert.fingerprint().to_hex(),
                spaced: cert.fingerprint().to_spaced_hex(),
                subkeys,
            };
            let first = address.split('@').next().unwrap();
            match first {
                "security" => {
                    fs::write(dir.path().join("desk.key.asc"), secret.as_bytes()).unwrap();
                    gpg.import(public.as_bytes());
                }
                _ => gpg.import(secret.as_bytes()),
            }
            match first {
                "ada" | "otto" | "max" => {
                    fs::write(dir.path().join(format!("people/{first}.asc")), &public).unwrap()
                }
                "sam" => fs::write(dir.path().join("reporters/sam.asc"), &public).unwrap(),
                _ => {}
            }
            people.insert(first.to_owned(), person);
        }
        let desk = Desk {
            house: RefCell::new(None),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
            clock: Clock::manual(start),
            gpg,
            people,
            further_keys: RefCell::default(),
            setup: RefCell::new(self),
            seen: RefCell::default(),
            names: RefCell::default(),
            arrivals: Cell::new(0),
            orders: Cell::new(0),
            dir,
        };
        desk.starts();
        desk
    }
}

struct Person {
    fingerprint: String,
    spaced: String,
    subkeys: Vec<String>,
}

/// The running daemon and its door out.
struct House {
    daemon: Daemon,
    outbox: outbox::Settings,
}

pub struct Desk {
    house: RefCell<Option<House>>, // before the directory: dropped in this order
    runtime: Runtime,
    clock: Clock,
    gpg: Gpg,
    people: BTreeMap<String, Person>,
    /// Subkeys of keys that were made later, and the first part of their address.
    further_keys: RefCell<Vec<(String, String)>>,
    setup: RefCell<Builder>,
    /// Letters looked at, by the name of their file.
    seen: RefCell<BTreeSet<PathBuf>>,
    /// What is random in letters, and the word it is shown as.
    names: RefCell<Vec<(String, String)>>,
    arrivals: Cell<usize>,
    orders: Cell<usize>,
    dir: TempDir,
}

/// The door for questions of a desk.
pub struct Lookups<'d> {
    desk: &'d Desk,
    stop: watch::Sender<bool>,
    log: Log,
    door: JoinHandle<()>,
}

impl Lookups<'_> {
    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap()
    }

    /// Closes it; an open question is not waited for.
    pub fn close(self) {
        self.stop.send(true).unwrap();
        self.desk.runtime.block_on(self.door).unwrap();
    }
}

/// A letter as its reader's mail program would show it.
pub struct Letter {
    /// `EX-2026-0001.1`.
    pub id: String,
    /// The address in To.
    pub to: String,
    /// `acknowledgement` or `relay`.
    pub kind: String,
    /// Only the reader can read it.
    pub encrypted: bool,
    /// The key ids it is encrypted to.
    keys: Vec<String>,
    /// The header outside, unfolded, as it travels.
    pub outside: String,
    /// What is signed: protected header, empty line, body.
    pub inside: String,
    /// The same, as it travels inside.
    entity: String,
    /// The whole mail, as bytes.
    pub raw: Vec<u8>,
}

impl Letter {
    /// The value of a field outside.
    pub fn header(&self, name: &str) -> Option<&str> {
        field(&self.outside, name)
    }

    /// The value of a field inside the signature.
    pub fn protected(&self, name: &str) -> Option<&str> {
        field(&self.inside, name)
    }

    /// The key ids it is encrypted to.
    pub fn encrypted_to(&self) -> &[String] {
        &self.keys
    }

    /// The text, decoded.
    pub fn text(&self) -> String {
        let mail = mail_parser::MessageParser::default().parse(self.entity.as_bytes()).unwrap();
        mail.body_text(0).unwrap().replace("\r\n", "\n")
    }

    /// What is signed, byte for byte.
    pub fn entity(&self) -> &[u8] {
        self.entity.as_bytes()
    }

    /// Decoded names and bytes of all attachments.
    pub fn attachments(&self) -> Vec<(String, Vec<u8>)> {
        use mail_parser::MimeHeaders;
        let mail = mail_parser::MessageParser::default().parse(self.entity.as_bytes()).unwrap();
        mail.attachments()
            .map(|part| (part.attachment_name().unwrap_or_default().to_owned(), part.contents().to_vec()))
            .collect()
    }
}

fn field<'t>(entity: &'t str, name: &str) -> Option<&'t str> {
    let header = entity.split("\n\n").next().unwrap();
    header.lines().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

impl Desk {
    pub fn new() -> Desk {
        Desk::builder().open()
    }

    pub fn builder() -> Builder {
        Builder {
            address: DESK.to_owned(),
            start: START.to_owned(),
            time_zone: "America/Los_Angeles".to_owned(),
            policy: String::new(),
            toml: String::new(),
            desk: String::new(),
            coordinators: vec![("ada".to_owned(), true)],
            maintainer: false,
        }
    }

    /// The folder with configuration, keys, state and outbox.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// The Maildir into which letters are delivered.
    pub fn outbox(&self) -> PathBuf {
        self.dir().join("outbox")
    }

    /// From the next start on the desk has Otto's certificate.
    pub fn gets_ottos_certificate(&self) {
        for (name, has_cert) in &mut self.setup.borrow_mut().coordinators {
            *has_cert = *has_cert || name == "otto";
        }
    }

    /// Ends the daemon and starts it anew on the same state, with the configuration read again.
    pub fn restarts(&self) {
        self.steps_aside();
        self.comes_back();
    }

    /// Ends the daemon, so that another process can run the desk.
    pub fn steps_aside(&self) {
        let house = self.house.take().unwrap();
        self.runtime.block_on(house.daemon.close()).unwrap();
    }

    /// After `steps_aside`.
    pub fn comes_back(&self) {
        self.starts();
        self.settle();
    }

    fn starts(&self) {
        let file = self.dir().join("psirtd.toml");
        fs::write(&file, configuration(&self.setup.borrow())).unwrap();
        let config = Config::load(&file, self.clock.now()).unwrap();
        let outbox = config.outbox.clone();
        let _in_runtime = self.runtime.enter();
        let daemon = Daemon::open(config, self.clock.clone()).unwrap();
        *self.house.borrow_mut() = Some(House { daemon, outbox });
    }

    /// Where servers of a test run: they end with the desk.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Opens the door for questions on this Internet. It is closed before the daemon ends.
    pub fn looks_up(&self, settings: lookup::Settings) -> Lookups<'_> {
        let (stop, stopped) = watch::channel(false);
        let pipeline = self.with(|house| house.daemon.pipeline().clone());
        let log = Log::default();
        let door = lookup::door::run(settings, pipeline, self.clock.clone(), stopped);
        let lines = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_ansi(false);
        let door = door.with_subscriber(lines.with_writer(log.clone()).finish());
        Lookups { desk: self, stop, log, door: self.runtime.spawn(door) }
    }

    /// A mail arrives now, as text with LF. Returns when it is recorded and no letter is due any more.
    pub fn receives(&self, mail: &str) -> Recorded {
        self.receives_bytes(mail.replace('\n', "\r\n").as_bytes())
    }

    pub fn receives_bytes(&self, mail: &[u8]) -> Recorded {
        self.takes_in(self.arrival(mail))
    }

    /// A mail arrives in the folder where the provider puts what it takes for spam.
    pub fn receives_junk(&self, mail: &str) -> Recorded {
        let arrival = self.arrival(mail.replace('\n', "\r\n").as_bytes());
        self.takes_in(Arrival { junk: true, ..arrival })
    }

    /// A mail arrives that a desk has recorded whose disk is lost, and of which only a backup is left.
    pub fn receives_again_after_a_restore(&self, mail: &str) -> Recorded {
        let arrival = self.arrival(mail.replace('\n', "\r\n").as_bytes());
        self.takes_in(Arrival { recorded_before: true, ..arrival })
    }

    /// A mail arrives that has lain in the mailbox since then.
    pub fn receives_late(&self, mail: &str, received_at: Timestamp) -> Recorded {
        let arrival = self.arrival(mail.replace('\n', "\r\n").as_bytes());
        self.takes_in(Arrival { received_at, ..arrival })
    }

    /// A mail of so many bytes arrives, of which nothing but this header is fetched.
    pub fn receives_header(&self, header: &str, size: u64) -> Recorded {
        let arrival = self.arrival(header.replace('\n', "\r\n").as_bytes());
        self.takes_in(Arrival { too_large: Some(size), ..arrival })
    }

    fn arrival(&self, mail: &[u8]) -> Arrival {
        self.arrivals.set(self.arrivals.get() + 1);
        Arrival {
            raw: mail.to_vec(),
            position: Some(Position(format!("INBOX;1;{}", self.arrivals.get()))),
            received_at: self.clock.now(),
            too_large: None,
            junk: false,
            recorded_before: false,
        }
    }

    fn takes_in(&self, arrival: Arrival) -> Recorded {
        let recorded =
            self.with(|house| self.runtime.block_on(house.daemon.pipeline().submit(arrival)).unwrap());
        self.settle();
        recorded
    }

    /// Hands mails over at the same time, behind one that keeps the pipeline busy: they are decided and committed together.
    pub fn receives_together(&self, mails: &[&str]) {
        let busy = format!(
            "From: busy@example.net\nMessage-ID: <busy@example.net>\n\n{}",
            "x y z\n".repeat(500_000)
        );
        let mails = std::iter::once(busy.as_str()).chain(mails.iter().copied());
        let arrivals = mails.map(|mail| self.arrival(mail.replace('\n', "\r\n").as_bytes()));
        let arrivals: Vec<Arrival> = arrivals.collect();
        self.with(|house| {
            let pipeline = house.daemon.pipeline();
            let submitted = arrivals.into_iter().map(|arrival| pipeline.submit(arrival));
            let recorded = self.runtime.block_on(futures_util::future::join_all(submitted));
            assert!(recorded.iter().all(Result::is_ok), "{recorded:?}");
        });
        self.settle();
    }

    /// Turns the clock, looks who must be warned, and sends what became due.
    pub fn clock_to(&self, at: &str) {
        self.silent_at(at, &[]);
    }

    /// The same, while these doors do not work.
    pub fn silent_at(&self, at: &str, silent: &[Silence]) {
        self.set_clock(at.parse().unwrap());
        self.with(|house| self.runtime.block_on(house.daemon.pipeline().look(silent.to_vec())).unwrap());
        self.settle();
    }

    pub fn set_clock(&self, at: Timestamp) {
        self.clock.set(at);
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks as `psirtd … --json` does; then sends what became due by it.
    pub fn ask(&self, question: &Question) -> Value {
        self.tries(question).unwrap()
    }

    /// The same, where the answer may be an error.
    pub fn tries(&self, question: &Question) -> Result<Value, String> {
        let answer = self.with(|house| {
            self.runtime.block_on(control::answer(question, house.daemon.pipeline(), self.clock.now()))
        });
        self.settle();
        answer
    }

    /// `psirtd do CASE COMMAND`: what the operator hears.
    pub fn is_told(&self, case: &str, line: &str, text: Option<&str>) -> Result<String, String> {
        let (case, line, text) = (case.to_owned(), line.to_owned(), text.map(str::to_owned));
        let told = self.tries(&Question::Do { case: Some(case), line, text, attachments: Vec::new() })?;
        Ok(told.as_str().unwrap().to_owned())
    }

    /// The same, of what can be done.
    #[track_caller]
    pub fn does(&self, case: &str, line: &str) -> String {
        self.is_told(case, line, None).unwrap()
    }

    /// The same, with a text.
    #[track_caller]
    pub fn writes(&self, case: &str, line: &str, text: &str) -> String {
        self.is_told(case, line, Some(text)).unwrap()
    }

    /// The id of the first case that is opened today: its year is the one where the desk is.
    pub fn first_case(&self) -> String {
        let zone = TimeZone::get(&self.setup.borrow().time_zone).unwrap();
        format!("EX-{}-0001", self.now().to_zoned(zone).year())
    }

    /// What `Question::Cases` says, a case a line.
    pub fn cases(&self) -> Vec<Value> {
        self.ask(&Question::Cases).as_array().unwrap().clone()
    }

    /// Opens the door out until nothing is due. A letter that was not accepted is due later, by the desk's clock.
    fn settle(&self) {
        self.with(|house| {
            self.runtime.block_on(async {
                let pipeline = house.daemon.pipeline();
                let mut happening = pipeline.watch();
                let (stop, stopped) = watch::channel(false);
                let desk = Mailbox::bare(self.setup.borrow().address.clone());
                let desk = outbox::Sender { desk, plus_address: false };
                let door =
                    outbox::run(house.outbox.clone(), desk, pipeline.clone(), self.clock.clone(), stopped);
                let door = tokio::spawn(door);
                let index = &pipeline.reader().index;
                // copies of a notice are written behind whatever made them
                let are_left = || !Draft::new(index).fan_outs().unwrap().is_empty();
                while are_left() || !index.due(self.clock.now(), 1).unwrap().0.is_empty() {
                    happening.recv().await.unwrap();
                }
                stop.send(true).unwrap();
                door.await.unwrap();
            });
        });
    }

    fn with<T>(&self, work: impl FnOnce(&House) -> T) -> T {
        work(self.house.borrow().as_ref().expect("a running daemon"))
    }

    /// The letters delivered since last asked, in the order they were written.
    pub fn letters(&self) -> Vec<Letter> {
        self.new_files().iter().map(|file| self.read(file)).collect()
    }

    fn new_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = match fs::read_dir(self.outbox().join("new")) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        };
        files.retain(|file| !self.seen.borrow().contains(file));
        files.sort_by_key(|file| file.to_str().map(|name| (name.len(), name.to_owned())));
        self.seen.borrow_mut().extend(files.iter().cloned());
        files
    }

    /// The letters delivered since last asked as bytes, in the order they were written: nobody reads them.
    pub fn post(&self) -> Vec<Vec<u8>> {
        self.new_files().iter().map(|file| fs::read(file).unwrap()).collect()
    }

    /// The one letter delivered since last asked.
    #[track_caller]
    pub fn letter(&self) -> Letter {
        let mut letters = self.letters();
        let told: Vec<String> =
            letters.iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
        assert_eq!(letters.len(), 1, "{told:?}");
        letters.remove(0)
    }

    /// Reads a letter as its reader does, with GnuPG; panics when it is not signed by the desk, or not for one reader alone.
    fn read(&self, file: &Path) -> Letter {
        let raw = fs::read(file).unwrap();
        let text = String::from_utf8(raw.clone()).expect("a letter is 7-bit");
        assert!(text.is_ascii(), "a letter is 7-bit");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a letter has CRLF only");
        let id = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        let outside = unfolded(header);
        let to = field(&outside, "To").unwrap();
        let to = to.rsplit('<').next().unwrap().trim_end_matches('>').to_owned();
        let content_type = field(&outside, "Content-Type").unwrap().to_owned();
        let parts = parts(body, &content_type);
        let gpg = self.gpg_now();
        let encrypted = content_type.starts_with("multipart/encrypted");
        let mut keys = Vec::new();
        let (inside, signer) = if encrypted {
            assert_eq!(parts.len(), 2);
            assert!(parts[0].contains("Version: 1"), "{}", parts[0]);
            let ciphertext = parts[1].split_once("\r\n\r\n").unwrap().1;
            let opened = gpg.decrypt(ciphertext.as_bytes());
            assert!(opened.encrypted_with_mdc_or_aead(), "{}", opened.status);
            let lines = opened.status.lines().filter_map(|line| line.strip_prefix("ENC_TO "));
            keys = lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
            let readers: Vec<String> = keys.iter().map(|key| self.whose(key)).collect();
            assert_eq!(
                readers,
                [to.split('@').next().unwrap()],
                "encrypted to its reader and to nobody else"
            );
            (String::from_utf8(opened.plaintext.clone()).unwrap(), opened.good_signature_by())
        } else {
            assert!(content_type.starts_with("multipart/signed"), "{content_type}");
            assert_eq!(parts.len(), 2);
            let signature = parts[1].split_once("\r\n\r\n").unwrap().1;
            let verified = gpg.verify(parts[0].as_bytes(), signature.as_bytes());
            (parts[0].to_owned(), verified.good_signature_by())
        };
        assert_eq!(signer.as_ref(), Some(&self.people["security"].fingerprint), "{id}: signed by the desk");
        let (header, body) = inside.split_once("\r\n\r\n").unwrap();
        let entity = inside.clone();
        let inside = format!("{}\n\n{}", unfolded(header), body.replace("\r\n", "\n"));
        let asked = self.ask(&Question::Letter(id.clone()));
        let kind = asked["kind"].as_str().unwrap().to_owned();
        Letter { id, to, kind, encrypted, keys, outside, inside, entity, raw }
    }

    fn whose(&self, key: &str) -> String {
        let known =
            self.people.iter().find(|(_, person)| person.subkeys.iter().any(|subkey| subkey.ends_with(key)));
        let further = self.further_keys.borrow();
        let further = further.iter().find(|(subkey, _)| subkey.ends_with(key)).map(|(_, name)| name.clone());
        known.map(|(name, _)| name.clone()).or(further).unwrap_or_else(|| "nobody we know".to_owned())
    }

    /// The letters since last asked as text: what is random in them is named, the rest is as it travels.
    pub fn snapshot(&self) -> String {
        let letters: Vec<String> = self.letters().iter().map(|letter| self.shown(letter)).collect();
        if letters.is_empty() { "no letters".to_owned() } else { letters.join("\n") }
    }

    /// The letters since last asked, a line each; below a relay the lines of its head that have these names.
    pub fn told(&self, names: &[&str]) -> String {
        let mut told = String::new();
        for letter in self.letters() {
            let protection = if letter.encrypted { "encrypted" } else { "signed" };
            told += &format!("{} to {} ({protection})\n", letter.kind, letter.to);
            let text = letter.text();
            let head = text.split("------ the mail").next().filter(|_| letter.kind == "relay");
            let mut named = false;
            for line in head.unwrap_or_default().lines() {
                // what goes on on the next line is indented
                named = if line.starts_with(' ') { named } else { names.iter().any(|n| line.starts_with(n)) };
                told += &if named { format!("    {line}\n") } else { String::new() };
            }
        }
        if told.is_empty() { "no letters".to_owned() } else { self.redacted(&told) }
    }

    /// The letters since last asked, a line each.
    pub fn outgoing(&self) -> String {
        let line = |letter: &Letter| {
            let protection = if letter.encrypted { "encrypted" } else { "signed" };
            let answers = letter.header("In-Reply-To").unwrap_or("nothing");
            let subject = letter.protected("Subject").unwrap();
            format!(
                "{} to {} ({protection}; {}; answers {answers}): {subject}",
                letter.kind,
                letter.to,
                letter.header("Message-ID").unwrap()
            )
        };
        let lines: Vec<String> = self.letters().iter().map(line).collect();
        if lines.is_empty() { "no letters".to_owned() } else { self.redacted(&lines.join("\n")) }
    }

    /// A letter as text, see `snapshot`.
    pub fn shown(&self, letter: &Letter) -> String {
        let protection = if letter.encrypted { "encrypted and signed" } else { "signed" };
        let text = format!(
            "======== {} {} to {}, {protection}\n{}\n-------- {protection}:\n{}",
            letter.kind,
            letter.id,
            letter.to,
            letter.outside,
            readable(&letter.entity)
        );
        self.redacted(&text).trim_end().to_owned() + "\n"
    }

    /// Names what is random: Message-IDs, boundaries, fingerprints, keys.
    pub fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut names = self.names.borrow_mut();
        for (start, end, word) in [("<psirtd.", ">", "letter"), ("boundary=\"", "\"", "boundary")] {
            let found: Vec<String> = between(&text, start, end).map(str::to_owned).collect();
            for random in found {
                if !names.iter().any(|(known, _)| *known == random) {
                    let number = names.iter().filter(|(_, name)| name.starts_with(word)).count() + 1;
                    names.push((random, format!("{word}-{number}")));
                }
            }
        }
        for (random, name) in names.iter() {
            let random_id = format!("psirtd.{random}");
            let shown = if name.starts_with("letter") {
                (random_id, name.clone())
            } else {
                (random.clone(), name.clone())
            };
            text = text.replace(&shown.0, &shown.1);
        }
        for (name, person) in &self.people {
            let shown = format!("[fingerprint of {name}]");
            text = text.replace(&person.fingerprint, &shown).replace(&person.spaced, &shown);
            for subkey in &person.subkeys {
                text = text.replace(subkey, &format!("[fingerprint of a subkey of {name}]"));
            }
        }
        for (start, end, shown) in [
            (
                "-----BEGIN PGP PUBLIC KEY BLOCK-----",
                "-----END PGP PUBLIC KEY BLOCK-----",
                "[public key of the desk]",
            ),
            ("-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----", "[ciphertext]"),
            ("keydata=", "\nMIME-Version", "keydata=[public key of the desk]\nMIME-Version"),
        ] {
            while let Some((before, rest)) = text.split_once(start) {
                let Some((_, after)) = rest.split_once(end) else { break };
                if rest.starts_with('[') {
                    break;
                }
                text = format!("{before}{shown}{after}");
            }
        }
        text
    }

    /// The text of a mail from a person to the desk, encrypted and signed as PGP/MIME: `inside` is what is encrypted.
    pub fn encrypted_mail(&self, outside: &str, inside: &str) -> String {
        let from = field(outside, "From").unwrap();
        let from = from.rsplit('<').next().unwrap().trim_end_matches('>');
        self.encrypted_mail_to(outside, inside, "security@example.org", from)
    }

    /// The same, to the key of anybody.
    pub fn encrypted_mail_to(&self, outside: &str, inside: &str, to: &str, signer: &str) -> String {
        let inside = inside.replace('\n', "\r\n");
        let ciphertext = self.gpg_now().encrypt_sign(inside.as_bytes(), to, signer);
        pgp_mime(outside, &String::from_utf8(ciphertext).unwrap())
    }

    /// The certificate of a person as an Autocrypt field holds it: base64.
    pub fn autocrypt_key(&self, address: &str) -> String {
        let armored = String::from_utf8(self.gpg.export_public(address)).unwrap();
        let body = armored.lines().skip_while(|line| !line.is_empty());
        body.take_while(|line| !line.starts_with('=')).collect()
    }

    /// Somebody makes himself a key, which says that it is anybody's; returns its fingerprint. GnuPG has it from now on.
    pub fn makes_a_key(&self, name_and_address: &str) -> String {
        let (name, address) = name_and_address.trim_end_matches('>').split_once(" <").unwrap();
        let mailbox = Mailbox { name: Some(name.to_owned()), address: address.to_owned() };
        let secret = keyring::generate(&mailbox, self.now(), true).unwrap();
        self.gpg.import(secret.as_bytes());
        let cert = keyring::certificate(secret.as_bytes()).unwrap();
        let first = address.split('@').next().unwrap();
        let subkeys = cert.keys().subkeys().map(|key| (key.key().fingerprint().to_hex(), first.to_owned()));
        self.further_keys.borrow_mut().extend(subkeys);
        cert.fingerprint().to_hex()
    }

    /// The certificate that the configuration names for a person, replaced: it counts from the next start.
    pub fn replaces_certificate(&self, person: &str, key: &str) {
        fs::write(self.dir().join(format!("people/{person}.asc")), self.gpg.export_public(key)).unwrap();
    }

    /// Somebody renews a key: GnuPG has it with a later expiry from now on.
    pub fn renews(&self, address: &str) {
        let fingerprint = &self.people[address.split('@').next().unwrap()].fingerprint;
        self.gpg_does(&["--quick-set-expire", fingerprint, "3y"]);
    }

    /// A mail of somebody of the team about a case, encrypted and signed, its subject protected: `!` lines, a text.
    pub fn orders(&self, from: &str, case: &str, body: &str) -> String {
        let number = self.orders.get() + 1;
        self.orders.set(number);
        let outside = format!(
            "From: {from}@example.org\nTo: security@example.org\nSubject: ...\nMessage-ID: <order-{number}@example.org>\n"
        );
        let inside = format!(
            "Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"\nFrom: {from}@example.org\n\
             To: security@example.org\nSubject: Re: [{case}] order {number}\n\n{body}"
        );
        self.encrypted_mail(&outside, &inside)
    }

    /// The same in the clear, signed by whom you like.
    pub fn signed_orders(&self, from: &str, signer: &str, header: &str, body: &str) -> String {
        let number = self.orders.get() + 1;
        self.orders.set(number);
        let entity = format!("Content-Type: text/plain; charset=utf-8{header}\n\n{body}");
        let signature = self.signature_over(&entity, signer);
        format!(
            "From: {from}\nTo: security@example.org\nSubject: order {number}\nMessage-ID: <order-{number}@example.org>\n\
             MIME-Version: 1.0\nContent-Type: multipart/signed; micalg=pgp-sha512; \
             protocol=\"application/pgp-signature\"; boundary=\"signed\"\n\n--signed\n{entity}\n--signed\n\
             Content-Type: application/pgp-signature\n\n{signature}\n--signed--\n"
        )
    }

    /// A detached signature over an entity as it travels, with CRLF.
    pub fn signature_over(&self, entity: &str, signer: &str) -> String {
        let file = self.dir().join("to-sign");
        fs::write(&file, entity.replace('\n', "\r\n")).unwrap();
        self.gpg_does(&["--armor", "-u", signer, "-o", "-", "--detach-sign", file.to_str().unwrap()])
    }

    fn gpg_does(&self, arguments: &[&str]) -> String {
        let time = self.clock.now().strftime("%Y%m%dT%H%M%S").to_string();
        let mut gpg = std::process::Command::new("gpg");
        gpg.arg("--homedir").arg(self.gpg.home()).args(["--batch", "--faked-system-time", &time]);
        let done = gpg.args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// The certificate of a person, armored.
    pub fn exported(&self, address: &str) -> String {
        String::from_utf8(self.gpg.export_public(address)).unwrap()
    }

    /// The secret key of a person, in the hands of whoever stole it.
    pub fn secret_key(&self, address: &str) -> sequoia_openpgp::Cert {
        let armored = self.gpg_does(&["--armor", "--export-secret-keys", address]);
        keyring::certificates(armored.as_bytes()).unwrap().remove(0)
    }

    /// The certificate that the configuration names for a person, with what became of it: it counts from the next start.
    pub fn learns_of(&self, person: &str, cert: &sequoia_openpgp::Cert) {
        let armored = keyring::armored(cert).unwrap();
        fs::write(self.dir().join(format!("people/{person}.asc")), armored).unwrap();
    }

    /// This happened before, and stands in the journal.
    pub fn remembers(&self, events: Vec<Event>) {
        self.steps_aside();
        let config = Config::load(&self.dir().join("psirtd.toml"), self.now()).unwrap();
        let keys = DeskKeys { keyring: &config.keyring, now: self.now() };
        let (mut writer, ..) = store::open(&config.state, &keys, self.now()).unwrap();
        writer.commit(vec![Commit { events, ..Commit::default() }], self.now()).unwrap();
        drop(writer);
        self.comes_back();
    }

    /// From the next start on the coordinators stand in the other order.
    pub fn coordinators_swap(&self) {
        self.setup.borrow_mut().coordinators.reverse();
    }

    /// From the next start on the `[policy]` section has these lines.
    pub fn policy_becomes(&self, lines: &str) {
        self.setup.borrow_mut().policy = lines.to_owned();
    }

    /// From the next start on Otto is the only coordinator.
    pub fn otto_is_alone(&self) {
        self.setup.borrow_mut().coordinators.retain(|(name, _)| name == "otto");
    }

    /// The public key of a person, armored.
    pub fn public(&self, key: &str) -> Vec<u8> {
        self.gpg.export_public(key)
    }

    /// Organisations join the distributors' list, each with a fresh key for `acme-security@acme.example`, which GnuPG has from now on.
    pub fn have_joined(&self, names: &[&str]) {
        let now = self.now();
        let events = names.iter().map(|name| {
            let address = member_address(name);
            let fingerprint = self.makes_a_key(&format!("{name} <{address}>"));
            let (source, armored) = (Source::Roster, self.exported(&address));
            let known = Member {
                addresses: vec![Mailbox::bare(address)],
                certificates: vec![Certificate { fingerprint: fingerprint.clone(), source, armored }],
                proven: vec![(fingerprint, now)],
                accepted: Some(("1".to_owned(), now)),
                ..Member::new(
                    MemberId::typed(name).unwrap(),
                    format!("{}{} Linux", name[..1].to_uppercase(), &name[1..]),
                    State::Active,
                    now,
                )
            };
            (*name, Change::Added { known: Box::new(known) })
        });
        let events: Vec<(&str, Change)> = events.collect();
        self.members_become(events);
    }

    /// The same happens to members as if an operator said so.
    pub fn members_become<'n>(&self, changes: impl IntoIterator<Item = (&'n str, Change)>) {
        let now = self.now();
        let events = changes.into_iter().map(|(name, change)| {
            let (member, by) = (MemberId::typed(name).unwrap(), "operator".to_owned());
            Event { at: now, case: None, what: What::Member { member, change: Box::new(change), by } }
        });
        self.remembers(events.collect());
    }

    fn gpg_now(&self) -> &Gpg {
        self.gpg.set_time(&self.clock.now().strftime("%Y%m%dT%H%M%S").to_string());
        &self.gpg
    }
}

/// The role address of a member of the distributors' list.
pub fn member_address(name: &str) -> String {
    format!("{name}-security@{name}.example")
}

/// A PGP/MIME mail around a ciphertext.
pub fn pgp_mime(outside: &str, ciphertext: &str) -> String {
    format!(
        "{}
MIME-Version: 1.0
Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"pgp\"

--pgp
Content-Type: application/pgp-encrypted

Version: 1
--pgp
Content-Type: application/octet-stream; name=\"encrypted.asc\"

{ciphertext}
--pgp--
",
        outside.trim_end()
    )
}

fn configuration(setup: &Builder) -> String {
    let mut text = format!(
        r#"[desk]
name        = "Example Project Security"
address     = "{}"
case_prefix = "EX"
time_zone   = "{}"
key         = "desk.key.asc"
state       = "state"
certs       = "reporters"
{}

[inbox.maildir]
path = "inbox"

[outbox.maildir]
path = "outbox"

[policy]
{}

{}
"#,
        setup.address, setup.time_zone, setup.desk, setup.policy, setup.toml
    );
    for (name, has_cert) in &setup.coordinators {
        let cert = if *has_cert { format!("cert = \"people/{name}.asc\"\n") } else { String::new() };
        let title = name[..1].to_uppercase() + &name[1..];
        text += &format!(
            "\n[[person]]\nname = \"{title} Coordinator\"\naddress = \"{name}@example.org\"\nroles = [\"coordinator\"]\n{cert}"
        );
    }
    if setup.maintainer {
        text += "\n[[person]]\nname = \"Max Maintainer\"\naddress = \"max@example.org\"\nroles = [\"maintainer\"]\ncert = \"people/max.asc\"\n";
    }
    text
}

/// An entity as a person reads it: header fields as they are, texts decoded, the size of everything else.
fn readable(entity: &str) -> String {
    let (header, body) = entity.split_once("\r\n\r\n").unwrap();
    let header = unfolded(header);
    let content_type = field(&header, "Content-Type").unwrap().to_owned();
    let shown = if content_type.starts_with("multipart/") {
        let parts: Vec<String> = parts(body, &content_type).into_iter().map(readable).collect();
        parts.iter().map(|part| format!("---- part\n{}\n", part.trim_end())).collect()
    } else {
        let mail = mail_parser::MessageParser::default().parse(entity.as_bytes()).unwrap();
        match mail.root_part().body {
            mail_parser::PartType::Text(ref text) if !header.contains("attachment;") => {
                text.replace("\r\n", "\n")
            }
            _ => format!("[{} bytes]", mail.root_part().contents().len()),
        }
    };
    format!("{header}\n\n{shown}")
}

/// A header with one line a field.
fn unfolded(header: &str) -> String {
    header.replace("\r\n\t", " ").replace("\r\n ", " ").replace("\r\n", "\n")
}

/// The parts of a multipart body as they stand between the boundaries.
pub fn parts<'b>(body: &'b str, content_type: &str) -> Vec<&'b str> {
    let boundary = between(content_type, "boundary=\"", "\"").next().expect("a boundary");
    let delimiter = format!("--{boundary}");
    let (body, _) = body.rsplit_once(&format!("\r\n{delimiter}--")).expect("a last boundary");
    let (_, body) = body.split_once(&format!("{delimiter}\r\n")).expect("a first boundary");
    body.split(&format!("\r\n{delimiter}\r\n")).collect()
}

fn between<'t>(text: &'t str, start: &'t str, end: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(start).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
}
