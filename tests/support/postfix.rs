//! A real Postfix (SMTP) in a temporary directory, on ports of its own, as root.
//!
//! ```ignore
//! let imap = Dovecot::start();
//! let smtp = Postfix::start(&imap, &["security@example.org", "reporter@example.net"]);
//! // ... mail to these is now seen by imap.mails("security@example.org", "INBOX")
//! ```
//!
//! `submission_port` wants STARTTLS and then AUTH, `submissions_port` is the same with TLS from the start; both ask that
//! Dovecot about passwords (keep it alive). `mx_port` takes mail from anyone, as another organisation would hand it in.
//! The certificate is for `localhost` and `127.0.0.1`, by that Dovecot's authority.
//!
//! Recipients: those in `users` are delivered into that Dovecot's Maildirs, by `dovecot-lda` where that Dovecot has a Sieve script for
//! them, some of them with further addresses (`Postfix::builder().alias(…)`); `@bounce.test` gets 550, `@defer.test` 450,
//! everybody else 550, all at RCPT. Nothing ever leaves this machine.

use super::daemon::{self, Daemon};
use super::{dovecot::Dovecot, free_port, sieve::Sieve};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// The fields by which a machine says that it is one.
const MARKS: [&str; 3] = ["Auto-Submitted", "X-Auto-Response-Suppress", "Precedence"];
/// The fields by which a mail says which it answers.
const THREADS: [&str; 2] = ["In-Reply-To", "References"];

#[derive(Default)]
pub struct Builder {
    aliases: Vec<(String, String)>,
    removed: Vec<&'static str>,
}

impl Builder {
    /// Mail to this address goes to that user, who has the same domain.
    pub fn alias(mut self, address: &str, user: &str) -> Self {
        self.aliases.push((address.to_owned(), user.to_owned()));
        self
    }

    /// The marks of machines are removed from every mail.
    pub fn without_marks(mut self) -> Self {
        self.removed.extend(MARKS);
        self
    }

    /// Which mail a mail answers is removed from the header of every mail; what is signed stays as it is.
    pub fn without_threads(mut self) -> Self {
        self.removed.extend(THREADS);
        self
    }

    pub fn start(self, imap: &Dovecot, users: &[&str]) -> Postfix {
        Postfix::started(&self, imap, users)
    }
}

pub struct Postfix {
    pub submission_port: u16,
    pub submissions_port: u16,
    pub mx_port: u16,
    daemon: Mutex<Option<Daemon>>,
    dir: TempDir,
}

impl Postfix {
    pub fn start(imap: &Dovecot, users: &[&str]) -> Postfix {
        Postfix::builder().start(imap, users)
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    fn started(options: &Builder, imap: &Dovecot, users: &[&str]) -> Postfix {
        let dir = daemon::private_dir("smtp");
        let server = Postfix {
            submission_port: free_port(),
            submissions_port: free_port(),
            mx_port: imap.scripted().map_or_else(free_port, |sieve| sieve.submission_port),
            daemon: Mutex::new(None),
            dir,
        };
        server.write_configuration(options, imap, users);
        server.make_queue();
        server.start_again();
        server
    }

    /// Ends the server; its mail stays.
    pub fn stop(&self) {
        *self.daemon.lock().unwrap() = None;
    }

    /// Starts the server that `stop` ended, with the same queue, ports and certificate.
    pub fn start_again(&self) {
        let etc = self.dir().join("etc");
        let master = ["/usr/lib/postfix/sbin/master", "-c", etc.to_str().unwrap()];
        *self.daemon.lock().unwrap() = Some(Daemon::start(&master, &self.dir().join("start.log")));
        daemon::await_greeting("Postfix", self.submission_port, &self.log_file());
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What Postfix has logged so far (a line may come a moment after what it tells about).
    pub fn mail_log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Hands a mail in at the mx port, as another organisation's server does; panics when it is refused.
    #[track_caller]
    pub fn hand_in(&self, from: &str, to: &str, raw: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.mx_port)).unwrap();
        let mut said = BufReader::new(stream.try_clone().unwrap());
        let mut expect = |code: &str| {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{line}");
        };
        expect("220");
        let (from, to) = (format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"));
        for (command, code) in [("HELO there", "250"), (&from, "250"), (&to, "250"), ("DATA", "354")] {
            write!(stream, "{command}\r\n").unwrap();
            expect(code);
        }
        assert!(!raw.windows(3).any(|line| line == b"\n.\r"), "no line is a dot");
        stream.write_all(&[raw, b"\r\n.\r\n"].concat()).unwrap();
        expect("250");
    }

    /// Nothing is on its way: no mail waits to be delivered, or delivered again.
    pub fn is_idle(&self) -> bool {
        let queues =
            ["maildrop", "incoming", "active", "deferred"].map(|name| self.dir().join("queue").join(name));
        // a mail that makes another one is still in a queue behind, which was looked at before, when that one appears in front
        (0..2).all(|_| queues.iter().all(|queue| holds_no_file(queue)))
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("log/mail.log")
    }

    fn write_configuration(&self, options: &Builder, imap: &Dovecot, users: &[&str]) {
        let etc = self.dir().join("etc");
        for name in ["etc", "log", "data"] {
            fs::create_dir(self.dir().join(name)).unwrap();
        }
        chown(self.dir().join("data"), Some(daemon::account("postfix").0), None).unwrap();
        let identity = imap.authority().issue(&["localhost", "127.0.0.1"]);
        fs::write(etc.join("server.pem"), identity.cert_pem).unwrap();
        fs::write(etc.join("server.key"), identity.key_pem).unwrap();
        // virtual(8) wants its users listed; the slash means a Maildir
        let table = |lines: &mut dyn Iterator<Item = String>| lines.collect::<String>();
        let maildirs = table(&mut users.iter().map(|user| format!("{user} {user}/\n")));
        fs::write(etc.join("users"), maildirs).unwrap();
        let aliases = table(&mut options.aliases.iter().map(|(alias, user)| format!("{alias} {user}\n")));
        fs::write(etc.join("aliases"), aliases).unwrap();
        let checks = table(&mut options.removed.iter().map(|field| format!("/^{field}:/ IGNORE\n")));
        fs::write(etc.join("header_checks"), checks).unwrap();
        let filtered = imap.scripted().map_or_else(String::new, Sieve::transports);
        fs::write(etc.join("transports"), filtered).unwrap();
        let domains: BTreeSet<&str> = users.iter().filter_map(|user| user.rsplit('@').next()).collect();
        let domains: Vec<&str> = domains.into_iter().collect();
        fs::write(etc.join("main.cf"), main_cf(self.dir(), imap, &domains)).unwrap();
        fs::write(etc.join("master.cf"), self.master_cf(imap)).unwrap();
        // a configuration younger than about a second is read again and again, which would cost two or three
        for entry in fs::read_dir(etc).unwrap().flatten() {
            let file = fs::File::options().write(true).open(entry.path()).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - Duration::from_secs(600)).unwrap();
        }
    }

    /// The directories `postfix check` would make, with their owners.
    fn make_queue(&self) {
        let (owner, _) = daemon::account("postfix");
        let postdrop = daemon::group("postdrop");
        let queue = self.dir().join("queue");
        let make = |name: &str, mode: u32, owner: Option<u32>, group: Option<u32>| {
            let path = queue.join(name);
            fs::create_dir_all(&path).unwrap();
            chown(&path, owner, group).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        make("", 0o755, None, None);
        make("pid", 0o755, None, None);
        for name in [
            "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
            "saved", "trace",
        ] {
            make(name, 0o700, Some(owner), None);
        }
        make("maildrop", 0o730, Some(owner), Some(postdrop));
        make("public", 0o710, Some(owner), Some(postdrop));
    }

    fn master_cf(&self, imap: &Dovecot) -> String {
        // one session each (max_use): a kept connection to Dovecot would break when that is started again
        let authenticated = "-o smtpd_sasl_auth_enable=yes -o smtpd_tls_security_level=encrypt \
            -o smtpd_client_restrictions=permit_sasl_authenticated,reject -o max_use=1 -o syslog_name=submission";
        // no service runs in a chroot (the fifth column)
        format!(
            "127.0.0.1:{mx} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd {authenticated}
127.0.0.1:{submissions} inet n - n - - smtpd {authenticated} -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
{lda}",
            lda = imap.scripted().map_or_else(String::new, Sieve::service),
            mx = self.mx_port,
            submission = self.submission_port,
            submissions = self.submissions_port,
        )
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- the end of Postfix's log\n{}", daemon::tail(&self.log_file()));
        }
    }
}

/// The folders of a queue have folders.
fn holds_no_file(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return true };
    entries.flatten().all(|entry| {
        // what is gone by now has moved on, perhaps to where was looked already
        entry.file_type().is_ok_and(|kind| kind.is_dir()) && holds_no_file(&entry.path())
    })
}

fn main_cf(dir: &Path, imap: &Dovecot, domains: &[&str]) -> String {
    let (uid, gid) = daemon::account("nobody");
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {dir}
maillog_file = {dir}/log/mail.log
myhostname = mx.example.org
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_transport = error:5.1.1 nobody has local mail here
notify_classes =
message_size_limit = 60000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = texthash:{dir}/etc/users
recipient_delimiter = +
header_checks = regexp:{dir}/etc/header_checks
mime_header_checks =
nested_header_checks =
virtual_alias_maps = texthash:{dir}/etc/aliases
transport_maps = texthash:{dir}/etc/transports
lda_destination_recipient_limit = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
default_transport = error:5.1.2 mail to other places is not sent from here
relay_transport = $default_transport
relay_domains =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {dir}/etc/server.pem
smtpd_tls_key_file = {dir}/etc/server.key
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_relay_restrictions =
smtpd_recipient_restrictions =
  check_recipient_access inline:{{ {{bounce.test = 550 5.1.1 no such user here}}, {{defer.test = 450 4.7.1 try later}} }}
  reject_unauth_destination
relay_domains_reject_code = 550
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
in_flow_delay = 0
",
        dir = dir.display(),
        mail = imap.mail_dir().display(),
        sasl = imap.sasl_port,
        domains = domains.join(", "),
    )
}
