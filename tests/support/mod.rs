//! What the tests share: real servers of their own, and the tools to look at what those did.
//!
//! | module | gives |
//! |---|---|
//! | `tls` | a private certificate authority and certificates by it |
//! | `dovecot` | a real IMAP server in a temporary directory |
//! | `sieve` | Sieve scripts of its users: vacation responders, and worse |
//! | `postfix` | a real SMTP server that delivers into that IMAP server |
//! | `gpg` | GnuPG in a home of its own, as the other side of OpenPGP mail |
//! | `program` | GnuPG, `sq` (module `sq`) and RNP (module `rnp`) behind one interface |
//! | `mutt` | mutt and neomutt, which write mails and answer them |
//! | `thunderbird` | mails in Thunderbird's forms |
//! | `web` | web servers with TLS, and an Internet of them |
//! | `faulty` | hand-scripted fake servers, for faults a real server will not produce |
//! | `log` | lines of a log, kept in memory |
//! | `desk` | a desk of its own for a story: the daemon, its clock, its letters as their readers see them |
//! | `daemon` | how the servers are started, and how they are gone afterwards |
//!
//! The real servers need root (Debian: `dovecot-imapd`, `dovecot-sieve`, `postfix`, `gnupg`). Every one has its own directory
//! and its own ports, so tests may run in parallel; dropping the value ends the server, and so does the end of the test
//! process, however it comes.

#![allow(dead_code)] // no test uses all of it

pub mod daemon;
pub mod desk;
pub mod dovecot;
pub mod faulty;
pub mod gpg;
pub mod log;
pub mod mutt;
pub mod postfix;
pub mod program;
pub mod rnp;
pub mod sieve;
pub mod sq;
pub mod thunderbird;
pub mod tls;
pub mod web;

use psirtd::clock::Clock;
use psirtd::config::Config;
use psirtd::custody::DeskKeys;
use psirtd::store::vault::Vault;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Asks `f` every 10 ms until it says yes; panics with `what` when it has not after `within`.
#[track_caller]
pub fn wait_until(what: &str, within: Duration, f: impl FnMut() -> bool) {
    assert!(happens(within, f), "not within {within:?}: {what}");
}

/// The same, as an answer. Real servers take real time, so this one place of the tests' support asks for it.
pub fn happens(within: Duration, f: impl FnMut() -> bool) -> bool {
    happens_every(Duration::from_millis(10), within, f)
}

/// The same for what takes long, and is dear to ask.
pub fn happens_every(pause: Duration, within: Duration, mut f: impl FnMut() -> bool) -> bool {
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    while !f() {
        if start.elapsed() > within {
            return false;
        }
        std::thread::sleep(pause);
    }
    true
}

/// How long this thread has worked: what else the machine does meanwhile does not count.
pub fn time_at_work() -> Duration {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(worked).expect("no time before the thread began")
}

/// The ids of a desk's cases by their numbers. In them is a year, the one where the desk is: it is read in the first of these cases.
#[track_caller]
pub fn case_ids(cases: &[Value]) -> impl Fn(usize) -> String + use<> {
    let first = cases.first().and_then(|case| case["id"].as_str()).expect("a case");
    let year = first.strip_prefix("EX-").and_then(|rest| rest.split('-').next()).expect("an id");
    assert!(year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()), "{first}");
    let year = year.to_owned();
    move |number| format!("EX-{year}-{number:04}")
}

/// How a mail is named in the note of what is being opened: by a hash that only the desk can make. The desk has been started before.
pub fn name_in_the_note(config: &Path, mail: &[u8]) -> String {
    let now = Clock::System.now();
    let config = Config::load(config, now).expect("a configuration");
    let keys = DeskKeys { keyring: &config.keyring, now };
    let (vault, _) = Vault::open(&config.state, &keys, false).expect("a data key");
    vault.name(&format!("opening {}", psirtd::open::digest(mail))).to_string()
}

/// A port of 127.0.0.1 below those that the system gives to outgoing connections, which could take it before the listener does.
/// No port is given out twice in one process, so a server that is stopped for a while finds its port still free, as long as
/// every listener of the test gets its port here.
fn next_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // test processes that run at the same time begin at different places
    let offset = std::process::id().wrapping_mul(251).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
    u16::try_from(FIRST + offset % COUNT).expect("a port")
}

/// Listens on a port of its own.
pub fn listener() -> TcpListener {
    std::iter::repeat_with(|| TcpListener::bind(("127.0.0.1", next_port())))
        .find_map(Result::ok)
        .expect("endless")
}

/// A port nobody listens on, for a server that is another program.
///
/// It is asked by connecting. A listener made to try it would be inherited by a child that another test starts at this moment,
/// until the child becomes its program, and the server would find its port in use.
pub fn free_port() -> u16 {
    let nobody = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_err();
    std::iter::repeat_with(next_port).find(nobody).expect("endless")
}
