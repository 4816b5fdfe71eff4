//! A daemon that does not outlive the test.
//!
//! `Daemon::start(&["dovecot", "-F", ...], log)` runs it under a small shell, the guard, which waits on a pipe from this
//! process. When the `Daemon` is dropped, or this process ends in whatever way (a panic, a timeout, SIGKILL), the pipe
//! closes and the guard ends the daemon with all its children. `drop` returns when the last of them is gone.
//! The rest are small things every server needs: `account`, `group`, `run`, `tail`, `private_dir`, `await_greeting`.

use super::{happens, wait_until};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Runs its arguments in the background, says their process id, and at the end of its input terminates the process groups
/// of the daemon and of itself (a daemon either stays in the guard's group or leads one of its own).
/// The trap keeps the guard alive for the wait, and unlike '' is not inherited.
const GUARD: &str = r#"
log=$1; shift
trap : TERM
"$@" </dev/null >>"$log" 2>&1 &
echo $!
read -r end
kill -s TERM -- -$! 2>/dev/null
kill -s TERM -- -$$
wait $!
"#;

pub struct Daemon {
    guard: Child,
    pid: u32,
}

impl Daemon {
    /// Starts a command that stays in the foreground (or leads its own process group); its output goes to `log`.
    pub fn start(command: &[&str], log: &Path) -> Daemon {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(log)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut line = String::new();
        let mut said = BufReader::new(guard.stdout.take().expect("the guard's output"));
        said.read_line(&mut line).expect("the guard says the process id");
        Daemon { guard, pid: line.trim().parse().expect("a process id") }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The daemon and its children, without the guard.
    fn processes(&self) -> Vec<u32> {
        let groups = [self.guard.id(), self.pid];
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // pid (name) state parent group session ...; the name may contain anything
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let group = fields.get(2).and_then(|group| group.parse().ok()).unwrap_or(0);
            let zombie = fields.first() == Some(&"Z");
            if groups.contains(&group) && !zombie && pid != self.guard.id() {
                found.push(pid);
            }
        }
        found
    }

    fn gone(&self, within: Duration) -> bool {
        happens(within, || self.processes().is_empty())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if !self.gone(Duration::from_secs(5)) {
            for pid in self.processes() {
                signal("KILL", pid);
            }
            self.gone(Duration::from_secs(5));
        }
        let _ = self.guard.wait();
    }
}

/// Sends a signal; a process that is gone already is fine.
pub fn signal(name: &str, pid: u32) {
    let kill = format!("kill -{name} {pid} 2>/dev/null");
    let _ = Command::new("sh").args(["-c", &kill]).status();
}

/// Runs a command to its end; panics, with what it said, when it fails.
#[track_caller]
pub fn run<S: AsRef<OsStr>>(command: &[S]) -> Output {
    let output = Command::new(command[0].as_ref())
        .args(&command[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{:?} does not start: {error}", command[0].as_ref()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {}\n{said}", command[0].as_ref(), output.status);
    output
}

/// User and group id of an account.
pub fn account(name: &str) -> (u32, u32) {
    let fields = line_of("/etc/passwd", name);
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

/// The id of a group.
pub fn group(name: &str) -> u32 {
    line_of("/etc/group", name)[2].parse().unwrap()
}

fn line_of(file: &str, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| line.split(':').map(String::from).collect::<Vec<_>>());
    lines.into_iter().find(|fields| fields[0] == name).unwrap_or_else(|| panic!("no {name} in {file}"))
}

/// A temporary directory other users can read. In /tmp whatever TMPDIR says: sockets want short paths, and the servers'
/// users must be able to get there.
pub fn private_dir(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").expect("a temporary directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// The last lines of a file, for a message about a failure.
pub fn tail(file: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Waits until the server on that port has sent its first line.
#[track_caller]
pub fn await_greeting(what: &str, port: u16, log: &Path) {
    let greeted = || {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).is_ok() && !line.is_empty()
    };
    if !happens(Duration::from_secs(60), greeted) {
        panic!("{what} does not answer on port {port}:\n{}", tail(log));
    }
}

/// Waits until somebody listens on a socket: its path is there a moment before.
#[track_caller]
pub fn await_socket(path: &Path) {
    let listens = || UnixStream::connect(path).is_ok();
    wait_until(&format!("somebody listens on {}", path.display()), Duration::from_secs(60), listens);
}
