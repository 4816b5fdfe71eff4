//! What psirtd holds in memory stays there: no core dump, and no look into it for whoever runs as the same user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use psirtd::control;

use crate::servers::desk::{Desk, SOON};
use crate::support::daemon::{account, await_socket, run, signal};
use crate::support::wait_until;

/// A process that is gone with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Runs a program in a folder, and lets it write core dumps as large as it likes. What a shell starts in the background does not
    /// heed SIGQUIT, and may be these tests.
    fn start(folder: &Path, user: Option<(u32, u32)>, program: &[&str]) -> Running {
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -c unlimited; exec env --default-signal=QUIT \"$@\"", "sh"])
            .args(program)
            .current_dir(folder);
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    fn psirtd(desk: &Desk, folder: &Path, user: Option<(u32, u32)>) -> Running {
        let config = desk.config();
        let program = [env!("CARGO_BIN_EXE_psirtd"), "--config", config.to_str().unwrap(), "run"];
        let running = Running::start(folder, user, &program);
        await_socket(&control::socket(&desk.state()));
        wait_until("it has made its folders", SOON, || desk.dir().join("inbox/new").exists());
        running
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.0.id().to_string()).join(file)
    }

    /// Kills it; whether the kernel wrote a core dump, wherever to.
    fn dumps_core(mut self, by: &str) -> bool {
        let mut ended = None;
        // Rust's runtime takes the first SIGSEGV for an overflow of the stack, sees that it was none, and waits for the next
        wait_until("it is killed", SOON, || {
            signal(by, self.0.id());
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        let status = ended.unwrap();
        assert!(status.signal().is_some(), "{status}");
        status.core_dumped()
    }
}

/// How a process of the same user sees another one's memory map: its words when it may not.
fn looked_at(running: &Running, (user, group): (u32, u32)) -> Result<(), String> {
    let mut cat = Command::new("cat");
    let cat = cat.arg(running.proc("maps")).arg(running.proc("environ")).uid(user).gid(group);
    let output = cat.env("LC_ALL", "C").output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}

#[test]
fn a_killed_daemon_leaves_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    for by in ["ABRT", "SEGV", "QUIT"] {
        let control = Running::start(folder.path(), None, &["sleep", "1000"]);
        wait_until("sleep runs", SOON, || fs::read_to_string(control.proc("comm")).unwrap() == "sleep\n");
        if !control.dumps_core(by) {
            eprintln!("this machine writes no core dumps (see /proc/sys/kernel/core_pattern)");
        }
        for file in fs::read_dir(folder.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }

        let desk = Desk::on_maildirs(&["ada"], "");
        let daemon = Running::psirtd(&desk, folder.path(), None);
        let limits = fs::read_to_string(daemon.proc("limits")).unwrap();
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
        assert_eq!(limit.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"], "soft and hard");
        let before = names(desk.dir());
        assert!(!daemon.dumps_core(by), "SIG{by}");
        assert_eq!(names(folder.path()), [""; 0], "SIG{by}");
        assert_eq!(names(desk.dir()), before, "SIG{by}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// psirtd runs as a user of its own; another program of that user (a script, a shell) cannot read its memory.
#[test]
fn nobody_but_root_looks_into_the_daemon() {
    let nobody = account("nobody");
    let desk = Desk::on_maildirs(&["ada"], "");
    let owner = format!("{}:{}", nobody.0, nobody.1);
    run(&["chown", "-R", &owner, desk.dir().to_str().unwrap()]);
    let control = Running::start(desk.dir(), Some(nobody), &["sleep", "1000"]);
    wait_until("sleep runs", SOON, || fs::read_to_string(control.proc("comm")).unwrap() == "sleep\n");
    assert_eq!(looked_at(&control, nobody), Ok(()), "otherwise this test shows nothing");

    let daemon = Running::psirtd(&desk, desk.dir(), Some(nobody));
    let status = fs::read_to_string(daemon.proc("status")).unwrap();
    assert!(status.contains(&format!("\nUid:\t{0}\t{0}\t{0}\t{0}\n", nobody.0)), "{status}");
    let denied = looked_at(&daemon, nobody).unwrap_err();
    assert_eq!(denied.matches("Permission denied").count(), 2, "{denied}");
    assert_eq!(fs::metadata(daemon.proc("mem")).unwrap().uid(), 0, "root's");
}
