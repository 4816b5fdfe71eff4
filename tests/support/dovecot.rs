//! A real Dovecot (IMAP) in a temporary directory, on ports of its own, as root; mail belongs to `nobody`.
//!
//! ```ignore
//! let imap = Dovecot::start();                                    // or Dovecot::builder().without_move().start()
//! imap.deliver("security@example.org", "INBOX", b"Subject: hello\r\n\r\n...");
//! assert_eq!(imap.mails("security@example.org", "Archive").len(), 1);
//! ```
//!
//! Any user name is good, with the password `secret` (PLAIN or LOGIN) until `set_password`. `imap_port` speaks plain text
//! and STARTTLS, `imaps_port` TLS from the start, `sasl_port` is for Postfix. The certificate is for `localhost` and
//! `127.0.0.1`, by the private authority in `ca_file()`. Every user has the folders INBOX, Archive, Sent, Drafts, Junk and
//! Trash; mail lies in Maildirs, `mail_dir()/USER` for INBOX and `mail_dir()/USER/FOLDER` for the others.
//!
//! With `sieve(user, script)` that user's mail is filtered by a real Sieve script (module `sieve`); Postfix pipes it to `dovecot-lda`.
//!
//! Good to know: a refused login takes Dovecot half a second, whatever is configured, and news of a mail reach a client
//! in IDLE after as long. `without_move` only takes the
//! word out of CAPABILITY; the command itself would still work.

use super::daemon::{self, Daemon};
use super::sieve::Sieve;
use super::{free_port, tls::Authority, wait_until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// What this Dovecot announces after login, but for IDLE, MOVE and UIDPLUS.
const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE SORT SORT=DISPLAY MULTIAPPEND UNSELECT CHILDREN \
    NAMESPACE LIST-EXTENDED CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN LIST-STATUS BINARY LITERAL+ SPECIAL-USE";

#[derive(Default)]
pub struct Builder {
    without_move: bool,
    without_uidplus: bool,
    without_idle: bool,
    certificate_for: Option<String>,
    scripts: Vec<(String, String)>,
    gateway: bool,
}

impl Builder {
    /// MOVE is not announced; UIDPLUS is.
    pub fn without_move(mut self) -> Self {
        self.without_move = true;
        self
    }

    /// UIDPLUS is not announced, by which mail can be moved where there is no MOVE.
    pub fn without_uidplus(mut self) -> Self {
        self.without_uidplus = true;
        self
    }

    /// IDLE is not announced.
    pub fn without_idle(mut self) -> Self {
        self.without_idle = true;
        self
    }

    /// The certificate is for this name only, instead of `localhost` and `127.0.0.1`.
    pub fn certificate_for(mut self, name: &str) -> Self {
        self.certificate_for = Some(name.to_owned());
        self
    }

    /// Mail to this user goes through this script.
    pub fn sieve(mut self, user: &str, script: &str) -> Self {
        self.scripts.push((user.to_owned(), script.to_owned()));
        self
    }

    /// Mail comes to the scripts without the marks of machines.
    pub fn behind_a_gateway(mut self) -> Self {
        self.gateway = true;
        self
    }

    pub fn start(self) -> Dovecot {
        let dir = daemon::private_dir("imap");
        let authority = Authority::new();
        let names = match &self.certificate_for {
            Some(name) => vec![name.as_str()],
            None => vec!["localhost", "127.0.0.1"],
        };
        let identity = authority.issue(&names);
        fs::write(dir.path().join("ca.pem"), authority.ca_pem()).unwrap();
        fs::write(dir.path().join("server.pem"), identity.cert_pem).unwrap();
        fs::write(dir.path().join("server.key"), identity.key_pem).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::create_dir(dir.path().join("mail")).unwrap();
        let (uid, gid) = daemon::account("nobody");
        chown(dir.path().join("mail"), Some(uid), Some(gid)).unwrap();
        let server = Dovecot {
            imap_port: free_port(),
            imaps_port: free_port(),
            sasl_port: free_port(),
            owner: (uid, gid),
            sieve: Sieve::with(dir.path(), &self.scripts, self.gateway, (uid, gid)),
            daemon: Mutex::new(None),
            authority,
            dir,
        };
        server.set_password("secret");
        fs::write(server.dir().join("check.sh"), check_script(server.dir())).unwrap();
        fs::write(server.config(), configuration(&server, &self)).unwrap();
        server.start_again();
        server
    }
}

pub struct Dovecot {
    pub imap_port: u16,
    pub imaps_port: u16,
    pub sasl_port: u16,
    owner: (u32, u32),
    sieve: Option<Sieve>,
    daemon: Mutex<Option<Daemon>>, // before the directory: dropped in this order
    authority: Authority,
    dir: TempDir,
}

impl Dovecot {
    pub fn start() -> Dovecot {
        Dovecot::builder().start()
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The certificate of the authority a client should trust.
    pub fn ca_file(&self) -> PathBuf {
        self.dir().join("ca.pem")
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The scripts, when somebody has one.
    pub fn scripted(&self) -> Option<&Sieve> {
        self.sieve.as_ref()
    }

    /// Where the users' Maildirs are.
    pub fn mail_dir(&self) -> PathBuf {
        self.dir().join("mail")
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("dovecot.log")
    }

    fn config(&self) -> PathBuf {
        self.dir().join("dovecot.conf")
    }

    /// Ends the server and waits until it is gone; mail and ports are kept for `start_again`.
    pub fn stop(&self) {
        *self.daemon.lock().unwrap() = None;
    }

    /// Starts the server that `stop` ended, with the same mail, ports and certificate.
    pub fn start_again(&self) {
        let mut daemon = self.daemon.lock().unwrap();
        if daemon.is_none() {
            let config = self.config();
            let command = ["dovecot", "-F", "-c", config.to_str().unwrap()];
            *daemon = Some(Daemon::start(&command, &self.log_file()));
            daemon::await_greeting("Dovecot", self.imap_port, &self.log_file());
        }
    }

    /// From now on this is the password of every user. Connections that are open stay.
    pub fn set_password(&self, password: &str) {
        let new = self.dir().join("password.new");
        fs::write(&new, password).unwrap();
        fs::rename(new, self.dir().join("password")).unwrap();
    }

    /// Cuts all connections of that user; returns when their processes are gone.
    pub fn kill_connections(&self, user: &str) {
        let of_user = || -> Vec<String> {
            let who = self.doveadm(&["who", "-1", user]).output().unwrap();
            let who = String::from_utf8_lossy(&who.stdout).into_owned();
            let own = who.lines().filter(|line| line.split_whitespace().next() == Some(user));
            own.map(str::to_owned).collect()
        };
        // the client may be back at once: that is another process, and another line
        let before = of_user();
        // fails when the user has no connection, which is fine
        let _ = self.doveadm(&["kick", "-f", user]).output();
        wait_until("the connections are gone", Duration::from_secs(60), || {
            of_user().iter().all(|line| !before.contains(line))
        });
    }

    /// Makes the server number that folder's mails anew, with another UIDVALIDITY. All connections are cut.
    pub fn change_uidvalidity(&self, user: &str, folder: &str) {
        let before = self.uidvalidity(user, folder);
        self.stop();
        for entry in fs::read_dir(self.folder(user, folder)).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name == "dovecot-uidlist" || name.starts_with("dovecot.index") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self.start_again();
        assert_ne!(before, self.uidvalidity(user, folder), "the UIDVALIDITY should have changed");
    }

    /// The UIDVALIDITY of a folder, as the server sees it.
    pub fn uidvalidity(&self, user: &str, folder: &str) -> u32 {
        let output =
            self.doveadm(&["-f", "flow", "mailbox", "status", "-u", user, "uidvalidity", folder]).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let number = text.trim().rsplit('=').next().and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("no UIDVALIDITY of {folder} in {text:?}"))
    }

    fn doveadm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("doveadm");
        command.arg("-c").arg(self.config()).args(arguments);
        command
    }

    /// Puts a mail into a folder, as a delivery agent does; INBOX or any other (made when it is not there).
    pub fn deliver(&self, user: &str, folder: &str, raw: &[u8]) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let maildir = self.folder(user, folder);
        for part in ["tmp", "new", "cur"] {
            self.make_dir(&maildir.join(part));
        }
        let name = format!("P{}Q{:06}.test", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let writing = maildir.join("tmp").join(&name);
        fs::File::create_new(&writing).unwrap().write_all(raw).unwrap();
        self.give_to_owner(&writing);
        // the server numbers new mails in the order of their names, which therefore begin with the time
        let written = fs::metadata(&writing).unwrap().modified().unwrap();
        let time = written.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let delivered =
            maildir.join("new").join(format!("{}.M{:06}{name}", time.as_secs(), time.subsec_micros()));
        fs::rename(writing, &delivered).unwrap();
        delivered
    }

    /// All mails of a folder, oldest first by the time of the file; none when there is no such folder.
    pub fn mails(&self, user: &str, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        // a mail may be moved or get flags, that is another file name, between listing and reading: then look again
        loop {
            if let Some(mails) = self.read_mails(&self.folder(user, folder)) {
                return mails;
            }
        }
    }

    fn read_mails(&self, maildir: &Path) -> Option<Vec<(PathBuf, Vec<u8>)>> {
        let mut found = Vec::new();
        for part in ["new", "cur"] {
            let Ok(entries) = fs::read_dir(maildir.join(part)) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                let time = fs::metadata(&path).ok()?.modified().unwrap();
                let raw = fs::read(&path).ok()?;
                found.push((time, path, raw));
            }
        }
        found.sort();
        Some(found.into_iter().map(|(_, path, raw)| (path, raw)).collect())
    }

    fn folder(&self, user: &str, folder: &str) -> PathBuf {
        let root = self.mail_dir().join(user);
        if folder.eq_ignore_ascii_case("INBOX") { root } else { root.join(folder) }
    }

    fn make_dir(&self, path: &Path) {
        if !path.exists() {
            self.make_dir(path.parent().unwrap());
            if let Err(error) = fs::create_dir(path) {
                assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{}", path.display());
                return;
            }
            self.give_to_owner(path);
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    fn give_to_owner(&self, path: &Path) {
        chown(path, Some(self.owner.0), Some(self.owner.1)).unwrap();
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- the end of Dovecot's log\n{}", daemon::tail(&self.log_file()));
        }
    }
}

/// Dovecot asks this for every login: a changed password counts at once, where a reload takes seconds and cuts connections.
/// It gets "user NUL password NUL ..." on descriptor 3, and runs the rest of its arguments when they are right.
fn check_script(dir: &Path) -> String {
    let password = dir.join("password");
    format!(
        "tr '\\0' '\\n' <&3 | {{ read -r user; read -r given; [ \"$given\" = \"$(cat {})\" ]; }} || exit 1\nexec \"$@\"\n",
        password.display()
    )
}

fn configuration(server: &Dovecot, options: &Builder) -> String {
    let dir = server.dir().display();
    let (imap, imaps, sasl) = (server.imap_port, server.imaps_port, server.sasl_port);
    let (uid, gid) = server.owner;
    let mut capability = String::new();
    if options.without_move || options.without_uidplus || options.without_idle {
        let movable = if options.without_move { "" } else { " MOVE" };
        let idle = if options.without_idle { "" } else { " IDLE" };
        let plus = if options.without_uidplus { "" } else { " UIDPLUS" };
        capability = format!("imap_capability = {CAPABILITIES}{plus}{movable}{idle}");
    }
    let filtered = server.scripted().map_or_else(String::new, Sieve::configuration);
    let mut folders = String::new();
    for name in ["Archive", "Sent", "Drafts", "Junk", "Trash"] {
        folders += &format!("  mailbox {name} {{\n    auto = create\n    special_use = \\{name}\n  }}\n");
    }
    format!(
        "base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/dovecot.log
protocols = imap
listen = 127.0.0.1
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{dir}/mail/%u:LAYOUT=fs
mail_home = {dir}/mail/%u
mail_fsync = never
mail_max_userip_connections = 0
maildir_very_dirty_syncs = no
imap_idle_notify_interval = 2 min
{capability}
ssl = yes
ssl_cert = <{dir}/server.pem
ssl_key = <{dir}/server.key
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
passdb {{
  driver = checkpassword
  args = /bin/sh {dir}/check.sh
}}
userdb {{
  driver = static
  args = allow_all_users=yes uid={uid} gid={gid} home={dir}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
{folders}}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_min_avail = 1
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {sasl}
  }}
}}
service anvil {{
  chroot =
  # without this, an address with refused logins waits longer and longer
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{filtered}"
    )
}
