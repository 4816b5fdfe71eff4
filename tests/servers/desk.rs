//! A desk of its own: keys, configuration, and `psirtd run` as a process.
//!
//! ```ignore
//! let desk = Desk::new(&Plan::of(&imap, &smtp));
//! desk.start();
//! imap.deliver(DESK, "INBOX", &report(RITA, "Heap overflow", "details"));
//! desk.await_cases(1);
//! ```
//!
//! Keys are made by GnuPG, once for all tests. Dropping a desk kills its daemon; a failing test shows the daemon's log.

use crate::support::daemon::{await_socket, signal};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::postfix::Postfix;
use crate::support::{case_ids, happens, wait_until};
use psirtd::control::{self, Question};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

pub const DESK: &str = "security@example.org";
pub const ADA: &str = "ada@example.org";
pub const BEN: &str = "ben@example.org";
pub const RITA: &str = "rita@example.net";
/// Another desk, and who is behind it.
pub const NEIGHBOUR: &str = "security@example.net";
pub const CARLA: &str = "carla@example.net";
pub const DAN: &str = "dan@example.net";
/// Everybody whose mail Postfix delivers in most tests.
pub const USERS: [&str; 4] = [DESK, ADA, BEN, RITA];

/// Longer than anything here takes, even on a busy machine, and even when psirtd has to help itself: what it was not told of it asks for
/// after a minute, and a letter that was put off is tried again by then.
pub const SOON: Duration = Duration::from_secs(180);
/// The daemon ends within ten seconds of SIGTERM; on a busy machine it may take a while to be seen.
const ENDED: Duration = Duration::from_secs(30);

/// The keys of a desk and its coordinators, as GnuPG made them.
pub struct Keys {
    pub desk_secret: Vec<u8>,
    pub desk_public: Vec<u8>,
    pub desk_fingerprint: String,
    pub coordinators: [(Vec<u8>, Vec<u8>); 2],
}

impl Keys {
    fn new(desk: &str) -> Keys {
        let gpg = Gpg::new();
        let team = team(desk);
        let desk_fingerprint = gpg.generate(&format!("Example Security <{desk}>"));
        team.iter().for_each(|(name, address)| drop(gpg.generate(&format!("{name} <{address}>"))));
        Keys {
            desk_secret: gpg.export_secret(desk),
            desk_public: gpg.export_public(desk),
            desk_fingerprint,
            coordinators: team.map(|(_, who)| (gpg.export_secret(who), gpg.export_public(who))),
        }
    }
}

pub fn keys() -> &'static Keys {
    keys_of(DESK)
}

fn keys_of(desk: &str) -> &'static Keys {
    static KEYS: [OnceLock<Keys>; 2] = [const { OnceLock::new() }; 2];
    KEYS[usize::from(desk == NEIGHBOUR)].get_or_init(|| Keys::new(desk))
}

/// The coordinators of a desk: name and address.
fn team(desk: &str) -> [(&'static str, &'static str); 2] {
    if desk == NEIGHBOUR { [("carla", CARLA), ("dan", DAN)] } else { [("ada", ADA), ("ben", BEN)] }
}

/// A server as the configuration names it.
#[derive(Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub tls: &'static str,
    pub ca: Option<PathBuf>,
    pub password: Option<&'static str>,
}

/// What a desk's configuration says.
#[derive(Clone)]
pub struct Plan {
    /// Its address: `DESK` or `NEIGHBOUR`.
    pub desk: &'static str,
    pub imap: Server,
    pub smtp: Server,
    pub folders: Vec<&'static str>,
    pub processed: Option<&'static str>,
    pub poll: &'static str,
    pub max_size: Option<&'static str>,
    /// The folder of the provider's filter.
    pub junk: Option<&'static str>,
    pub relay_junk: bool,
    pub plus_address: bool,
    pub coordinators: bool,
    /// Further sections.
    pub more: &'static str,
}

impl Plan {
    /// STARTTLS to both.
    pub fn of(imap: &Dovecot, smtp: &Postfix) -> Plan {
        let server = |port| Server {
            host: "127.0.0.1".to_owned(),
            port,
            tls: "starttls",
            ca: Some(imap.ca_file()),
            password: Some("secret"),
        };
        Plan { imap: server(imap.imap_port), smtp: server(smtp.submission_port), ..Plan::scripted(0, 0) }
    }

    /// No TLS, no login to SMTP, nobody to relay to.
    pub fn scripted(imap: u16, smtp: u16) -> Plan {
        let server =
            |port, password| Server { host: "127.0.0.1".to_owned(), port, tls: "none", ca: None, password };
        Plan {
            desk: DESK,
            imap: server(imap, Some("secret")),
            smtp: server(smtp, None),
            folders: vec!["INBOX"],
            processed: Some("Processed"),
            poll: "60s",
            max_size: None,
            junk: None,
            relay_junk: true,
            plus_address: false,
            coordinators: imap == 0,
            more: "",
        }
    }

    fn toml(&self) -> String {
        let mut toml = format!(
            "[desk]\nname = \"Example Security\"\naddress = \"{}\"\ncase_prefix = \"EX\"\n\
             key = \"desk.key.asc\"\nstate = \"state\"\nplus_address = {}\n\n[inbox]\nrelay_junk = {}\n",
            self.desk, self.plus_address, self.relay_junk
        );
        if let Some(max_size) = self.max_size {
            writeln!(toml, "max_size = \"{max_size}\"").unwrap();
        }
        toml += &self.server("inbox.imap", "imap", &self.imap);
        write!(toml, "folders = {:?}\npoll = \"{}\"\n", self.folders, self.poll).unwrap();
        if let Some(processed) = self.processed {
            writeln!(toml, "processed = \"{processed}\"").unwrap();
        }
        if let Some(junk) = self.junk {
            writeln!(toml, "junk = \"{junk}\"").unwrap();
        }
        toml += &self.server("outbox.smtp", "smtp", &self.smtp);
        for (name, address) in team(self.desk).iter().filter(|_| self.coordinators) {
            write!(
                toml,
                "\n[[person]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"coordinator\"]\n\
                 cert = \"{name}.asc\"\n"
            )
            .unwrap();
        }
        toml + self.more
    }

    fn server(&self, section: &str, short: &str, server: &Server) -> String {
        let mut toml = format!(
            "\n[{section}]\nhost = \"{}\"\nport = {}\ntls = \"{}\"\n",
            server.host, server.port, server.tls
        );
        if let Some(ca) = &server.ca {
            writeln!(toml, "ca = \"{}\"", ca.display()).unwrap();
        }
        if server.password.is_some() {
            write!(toml, "user = \"{}\"\npassword = {{ file = \"{short}.password\" }}\n", self.desk).unwrap();
        }
        toml
    }
}

pub struct Desk {
    process: Mutex<Option<Child>>,
    log: Arc<Mutex<String>>,
    /// Writes the log, as long as the daemon says something.
    writer: Mutex<Option<JoinHandle<()>>>,
    dir: TempDir,
}

impl Desk {
    pub fn new(plan: &Plan) -> Desk {
        let dir = tempfile::Builder::new().prefix("desk").tempdir_in("/tmp").unwrap();
        let desk = Desk { process: Mutex::new(None), log: Arc::default(), writer: Mutex::new(None), dir };
        let keys = keys_of(plan.desk);
        desk.write("desk.key.asc", &keys.desk_secret);
        for ((_, public), (name, _)) in keys.coordinators.iter().zip(team(plan.desk)) {
            desk.write(&format!("{name}.asc"), public);
        }
        desk.rewrite(plan);
        desk
    }

    /// A desk on Maildirs, `inbox` and `outbox` in its folder, with these coordinators; `more` are lines of `[desk]`.
    pub fn on_maildirs(coordinators: &[&str], more: &str) -> Desk {
        let desk = Desk::new(&Plan::scripted(0, 0));
        desk.rewrite_on_maildirs(coordinators, more);
        desk
    }

    /// The same for the same state. Who has no file `NAME.asc` in the folder has no certificate.
    pub fn rewrite_on_maildirs(&self, coordinators: &[&str], more: &str) {
        let mut toml = format!(
            "[desk]\nname = \"Example Security\"\naddress = \"{DESK}\"\ncase_prefix = \"EX\"\nkey = \"desk.key.asc\"\n\
             state = \"state\"\n{more}\n[inbox.maildir]\npath = \"inbox\"\n[outbox.maildir]\npath = \"outbox\"\n"
        );
        for name in coordinators {
            let cert = format!("{name}.asc");
            let there = self.dir().join(&cert).exists();
            let cert = if there { format!("cert = \"{cert}\"\n") } else { String::new() };
            write!(
                toml,
                "[[person]]\nname = \"{name}\"\naddress = \"{name}@example.org\"\nroles = [\"coordinator\"]\n{cert}"
            )
            .unwrap();
        }
        self.write("psirtd.toml", toml.as_bytes());
    }

    /// Delivers a mail into the Maildir `inbox`, before or after the daemon has made it.
    pub fn deliver(&self, name: &str, mail: &[u8]) {
        deliver(&self.dir().join("inbox"), name, mail);
    }

    /// The letters in the Maildir `outbox`: name of the file, and bytes.
    pub fn delivered(&self) -> Vec<(String, Vec<u8>)> {
        delivered(&self.dir().join("outbox"))
    }

    /// Another configuration for the same state.
    pub fn rewrite(&self, plan: &Plan) {
        for (name, server) in [("imap", &plan.imap), ("smtp", &plan.smtp)] {
            self.write(&format!("{name}.password"), server.password.unwrap_or("").as_bytes());
        }
        self.write("psirtd.toml", plan.toml().as_bytes());
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir().join(name), bytes).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.dir().join("psirtd.toml")
    }

    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// Where the daemon tells systemd how it is.
    pub fn notify_socket(&self) -> PathBuf {
        self.dir().join("notify")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        // nobody hears it, unless a test listens there
        command.env("NOTIFY_SOCKET", self.notify_socket());
        command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").env_remove("PSIRTD_CONFIG");
        command
    }

    /// Runs a command to its end.
    pub fn psirtd(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same; returns exit code, standard output and standard error.
    pub fn says(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.psirtd(arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Starts the daemon; returns when it answers questions.
    #[track_caller]
    pub fn start(&self) {
        self.start_saying(&["-v", "-v", "run"]);
    }

    /// The same with these arguments.
    #[track_caller]
    pub fn start_saying(&self, arguments: &[&str]) {
        self.start_by(&[], arguments);
    }

    /// The same, by another program, which must become the daemon.
    #[track_caller]
    pub fn start_by(&self, program: &[&str], arguments: &[&str]) {
        let mut command = self.command(arguments);
        if let Some((first, more)) = program.split_first() {
            let psirtd = command;
            command = Command::new(first);
            command.args(more).arg(psirtd.get_program()).args(psirtd.get_args()).stdin(Stdio::null());
            command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").env_remove("PSIRTD_CONFIG");
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, log) = (child.stderr.take().unwrap(), self.log.clone());
        let writer = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&String::from_utf8_lossy(&line));
                log.push('\n');
            }
        });
        *self.writer.lock().unwrap() = Some(writer);
        *self.process.lock().unwrap() = Some(child);
        // asking earlier would open the store itself, and lock the daemon out
        await_socket(&control::socket(&self.state()));
    }

    pub fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().expect("a running daemon").id()
    }

    /// The exit code of a daemon that has ended by itself.
    pub fn ended(&self) -> Option<i32> {
        let mut process = self.process.lock().unwrap();
        process.as_mut().expect("a daemon").try_wait().unwrap().map(|status| status.code().unwrap())
    }

    /// SIGTERM; the daemon must end well.
    #[track_caller]
    pub fn stop(&self) {
        let mut child = self.process.lock().unwrap().take().expect("a running daemon");
        signal("TERM", child.id());
        let ended = happens(ENDED, || child.try_wait().unwrap().is_some());
        let _ = child.kill();
        assert!(ended, "psirtd did not end after SIGTERM");
        assert!(child.wait().unwrap().success(), "psirtd ended badly");
        self.writer.lock().unwrap().take().expect("the log of a running daemon").join().unwrap();
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&self) {
        let mut child = self.process.lock().unwrap().take().expect("a running daemon");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn await_log(&self, text: &str) {
        wait_until(&format!("the log has {text:?}"), SOON, || self.log().contains(text));
    }

    #[track_caller]
    fn ask(&self, question: &Question) -> Value {
        let answer = control::ask(&self.state(), question).expect("a running daemon");
        answer.expect("an answer")
    }

    #[track_caller]
    fn list(&self, question: &Question) -> Vec<Value> {
        self.ask(question).as_array().unwrap().clone()
    }

    pub fn cases(&self) -> Vec<Value> {
        self.list(&Question::Cases)
    }

    /// The id of the case of that number; there are cases.
    #[track_caller]
    pub fn case_id(&self, number: usize) -> String {
        case_ids(&self.cases())(number)
    }

    pub fn case(&self, id: &str) -> Value {
        self.ask(&Question::Case(id.to_owned()))
    }

    pub fn outbox(&self) -> Vec<Value> {
        self.list(&Question::Outbox)
    }

    /// Waits until there are so many cases; more are an error.
    #[track_caller]
    pub fn await_cases(&self, count: usize) {
        wait_until(&format!("{count} cases"), SOON, || self.cases().len() >= count);
        assert_eq!(self.cases().len(), count, "too many cases");
    }

    /// Waits until no letter is active.
    #[track_caller]
    pub fn await_letters(&self) {
        wait_until("every letter was tried", SOON, || {
            self.outbox().iter().all(|letter| letter["state"] != "active")
        });
    }

    /// The one letter of that kind to that address.
    #[track_caller]
    pub fn letter(&self, kind: &str, to: &str) -> Value {
        let mut letters = self.outbox();
        letters.retain(|letter| letter["kind"] == kind && letter["to"] == to);
        assert_eq!(letters.len(), 1, "one {kind} to {to}");
        letters.remove(0)
    }

    /// Delivers a report and waits until it is a case and every acknowledgement has arrived: the desk is well.
    #[track_caller]
    pub fn serves(&self, imap: &Dovecot) {
        let cases = self.cases().len();
        imap.deliver(DESK, "INBOX", &report(RITA, "An ordinary report", "It crashes."));
        self.await_cases(cases + 1);
        self.await_letters();
        let mut letters = self.outbox();
        letters.retain(|letter| letter["kind"] == "acknowledgement" && letter["to"] == RITA);
        assert!(letters.iter().all(|letter| letter["state"] == "sent"), "{letters:?}");
        wait_until("Rita has them", SOON, || count(imap, RITA, "INBOX") >= letters.len());
    }

    /// The most memory the daemon has had, in MiB.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(mut child) = process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- psirtd's log\n{}", self.log());
        }
    }
}

/// The program under test: the one that cargo built along, unless `PSIRTD_PROGRAM` names another, built for speed, say.
pub fn program() -> OsString {
    std::env::var_os("PSIRTD_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_psirtd").into())
}

/// Delivers a mail into a Maildir, which need not be there.
pub fn deliver(maildir: &Path, name: &str, mail: &[u8]) {
    for folder in ["tmp", "new"] {
        fs::create_dir_all(maildir.join(folder)).unwrap();
    }
    fs::write(maildir.join("tmp").join(name), mail).unwrap();
    fs::rename(maildir.join("tmp").join(name), maildir.join("new").join(name)).unwrap();
}

/// The mails in the folder `new` of a Maildir, by name.
pub fn delivered(maildir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(maildir.join("new")) else { return Vec::new() };
    let mut mails: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    mails.sort();
    mails
}

/// How many mails lie in a folder, without reading them.
pub fn count(imap: &Dovecot, user: &str, folder: &str) -> usize {
    let root = imap.mail_dir().join(user);
    let maildir = if folder == "INBOX" { root } else { root.join(folder) };
    let entries = ["new", "cur"].map(|part| fs::read_dir(maildir.join(part)).map_or(0, Iterator::count));
    entries.iter().sum()
}

/// The flags of every mail of a folder of the desk, as Maildir writes them.
pub fn flags(imap: &Dovecot, folder: &str) -> Vec<String> {
    let flags = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split_once(":2,").map_or(String::new(), |(_, flags)| flags.to_owned())
    };
    imap.mails(DESK, folder).iter().map(|(path, _)| flags(path)).collect()
}

/// A new Message-ID.
pub fn message_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("<report.{}@example.net>", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A plain report.
pub fn report(from: &str, subject: &str, text: &str) -> Vec<u8> {
    format!(
        "Return-Path: <{from}>\r\nFrom: Rita <{from}>\r\nTo: {DESK}\r\nSubject: {subject}\r\n\
         Date: Fri, 20 Nov 2026 15:00:00 +0000\r\nMessage-ID: {}\r\n\r\n{text}\r\n",
        message_id()
    )
    .into_bytes()
}

/// A report in PGP/MIME, encrypted to the desk by GnuPG. `more` are further header lines.
pub fn encrypted_report(gpg: &Gpg, from: &str, more: &str, text: &str) -> Vec<u8> {
    let inner = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n");
    let ciphertext = String::from_utf8(gpg.encrypt(inner.as_bytes(), DESK)).unwrap().replace('\n', "\r\n");
    format!(
        "Return-Path: <{from}>\r\nFrom: Rita <{from}>\r\nTo: {DESK}\r\nSubject: ...\r\n\
         Date: Fri, 20 Nov 2026 15:00:00 +0000\r\nMessage-ID: {}\r\n{more}MIME-Version: 1.0\r\n\
         Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
         --b\r\nContent-Type: application/octet-stream\r\n\r\n{ciphertext}\r\n--b--\r\n",
        message_id()
    )
    .into_bytes()
}

/// The parts of a multipart mail, with CRLF, as they were signed.
pub fn parts(mail: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8(mail.to_vec()).unwrap().replace("\r\n", "\n");
    let (_, from_boundary) = text.split_once("boundary=\"").expect("a multipart mail");
    let (boundary, body) = from_boundary.split_once('"').unwrap();
    let delimiter = format!("\n--{boundary}");
    let parts: Vec<&str> = body.split(&delimiter).collect();
    assert!(parts.last().unwrap().starts_with("--"), "the mail has its end");
    let inside = &parts[1..parts.len() - 1];
    inside.iter().map(|part| part[1..].replace('\n', "\r\n").into_bytes()).collect()
}

/// Does this hold that text?
pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
