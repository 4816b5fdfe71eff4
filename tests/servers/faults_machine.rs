//! What the machine does to psirtd: a full disk, a disk that cannot be written to, another owner, another version, names that do not
//! resolve, a clock that jumps. What needs a privilege that is missing says so and is left out.

use super::desk::{Desk, Plan, RITA, SOON, report};
use super::scripted;
use crate::support::daemon::{Daemon, signal};
use crate::support::desk::Desk as Story;
use crate::support::{free_port, happens, wait_until};
use psirtd::control::{self, Question};
use psirtd::pipeline::Recorded;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Runs a command; false, with a word about it, when the machine does not let us.
fn allowed(command: &[&str]) -> bool {
    let done =
        Command::new(command[0]).args(&command[1..]).output().is_ok_and(|output| output.status.success());
    if !done {
        println!("left out: this machine does not allow {command:?}");
    }
    done
}

/// A mount that does not outlive the test.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A desk on Maildirs with one mail after the other, of which each must be one case and one acknowledgement in the end.
struct Patient {
    desk: Desk,
    mails: usize,
}

impl Patient {
    fn new() -> Patient {
        Patient { desk: Desk::on_maildirs(&[], ""), mails: 0 }
    }

    /// A mail arrives; returns when psirtd has done something about it: recorded it, refused to, or ended.
    fn receives(&mut self) {
        let refusals = || self.desk.log().matches("nothing of this batch was recorded").count();
        let before = refusals();
        self.mails += 1;
        let name = format!("m{}", self.mails);
        let from = format!("rita{}@example.net", self.mails);
        self.desk.deliver(&name, &report(&from, "A report", &"It crashes. ".repeat(500)));
        let inbox = self.desk.dir().join("inbox/new").join(name);
        wait_until("psirtd has tried", SOON, || {
            refusals() > before || self.desk.ended().is_some() || !inbox.exists()
        });
    }

    /// The fault is over. A daemon that ended, or still ends of it, is started again, as systemd does. Returns how it went on.
    #[track_caller]
    fn recovers(&self, what: &str) -> &'static str {
        let before = self.desk.pid();
        let outbox = || {
            // a daemon that ends does not answer
            let answer = control::ask(&self.desk.state(), &Question::Outbox);
            let answer = answer.and_then(Result::ok).unwrap_or_default();
            answer.as_array().cloned().unwrap_or_default()
        };
        let sent = |letters: &[Value]| letters.iter().filter(|letter| letter["state"] == "sent").count();
        wait_until(&format!("{what}: {} are answered", self.mails), SOON, || {
            if let Some(code) = self.desk.ended() {
                assert_eq!(code, 1, "{what}");
                self.desk.start();
            }
            // a letter that could not be read, or put where letters go, waits for a minute
            let letters = outbox();
            for letter in letters.iter().filter(|letter| letter["state"] == "deferred") {
                let id = letter["id"].as_str().unwrap().to_owned();
                let _gone_meanwhile = control::ask(&self.desk.state(), &Question::Release(id));
            }
            sent(&letters) == self.mails
        });
        self.desk.await_cases(self.mails);
        assert_eq!(self.desk.delivered().len(), self.mails, "{what}: one acknowledgement each");
        if self.desk.pid() == before { "without a restart" } else { "started again" }
    }

    #[track_caller]
    fn ends_well(self) {
        self.desk.stop();
        let (code, said, complaint) = self.desk.says(&["journal", "verify"]);
        assert_eq!(code, 0, "{said}{complaint}");
        let log = self.desk.log();
        assert!(!log.contains("a bug in psirtd") && !log.contains("It crashes"), "{log}");
        self.desk.start();
        assert_eq!(self.desk.cases().len(), self.mails);
    }
}

/// A disk of its own for the state, on which there is room for one page more each time, until there is room for all.
#[test]
fn a_disk_that_is_full_after_any_page() {
    let mut patient = Patient::new();
    let state = patient.desk.state();
    fs::create_dir(&state).unwrap();
    let path = state.to_str().unwrap();
    if !allowed(&["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "none", path]) {
        return;
    }
    let _mount = Mount(state.clone());
    patient.desk.start();
    patient.receives();
    patient.recovers("room for all");
    let filler = state.join("filler");
    let mut told = BTreeMap::new();
    for room in (0..11).chain([16, 32]) {
        fill(&filler, room * 4096);
        patient.receives();
        fs::remove_file(&filler).unwrap();
        *told.entry(patient.recovers(&format!("room for {room} pages"))).or_insert(0) += 1;
    }
    println!("a full disk: {told:?}");
    assert!(patient.desk.log().contains("No space left on device"), "the log says why");
    patient.ends_well();
}

#[test]
fn a_disk_that_is_full_at_the_start() {
    let desk = Desk::on_maildirs(&[], "");
    let state = desk.state();
    fs::create_dir(&state).unwrap();
    let path = state.to_str().unwrap();
    if !allowed(&["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "none", path]) {
        return;
    }
    let _mount = Mount(state.clone());
    let filler = state.join("filler");
    fill(&filler, 0);
    let complaint = refused(&desk);
    assert!(complaint.contains(path) && complaint.contains("No space left on device"), "{complaint}");
    fs::remove_file(&filler).unwrap();
    desk.start();
    assert!(desk.cases().is_empty());
}

/// Leaves so many bytes on a file system.
fn fill(file: &Path, room: u64) {
    let mut filler = fs::File::create(file).unwrap();
    let chunk = vec![0; 1 << 16];
    while filler.write_all(&chunk).is_ok() {}
    while filler.write_all(&[0; 4096]).is_ok() {}
    let length = filler.metadata().unwrap().len() / 4096 * 4096;
    filler.set_len(length.saturating_sub(room)).unwrap();
}

/// Each call that makes something durable fails once, the first time, the second time, … that a thread makes it.
#[test]
fn a_disk_that_fails_at_any_call() {
    let mut patient = Patient::new();
    patient.desk.start();
    patient.receives();
    patient.recovers("before");
    let mut told = BTreeMap::new();
    for (call, error, most) in [
        ("fdatasync", "ENOSPC", 3),
        ("fsync", "EIO", 3),
        ("rename", "ENOSPC", 2),
        ("openat", "ENOSPC", 3),
        ("ftruncate", "EIO", 1),
        ("pwrite64", "ENOSPC", 2),
        ("sync_file_range", "EIO", 2),
    ] {
        for number in 1..=most {
            let pid = patient.desk.pid();
            let inject = format!("inject={call}:error={error}:when={number}");
            let (trace, pid_text) = (format!("trace={call}"), pid.to_string());
            let log = patient.desk.dir().join("strace.log");
            let command =
                ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "-p", &pid_text];
            let strace = Daemon::start(&command, &log);
            if !happens(Duration::from_secs(5), || traced(pid)) {
                println!("left out: no tracing here: {}", fs::read_to_string(log).unwrap_or_default());
                return;
            }
            patient.receives();
            signal("TERM", strace.pid());
            drop(strace);
            *told.entry((call, patient.recovers(&format!("{call} number {number}")))).or_insert(0) += 1;
        }
    }
    println!("a failing disk: {told:?}");
    for why in ["No space left on device", "Input/output error"] {
        assert!(patient.desk.log().contains(why), "the log says why: {why}");
    }
    patient.ends_well();
}

/// Is every thread of a process traced?
fn traced(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().all(|task| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    })
}

/// A desk that has one case, and is down.
fn desk_with_a_case() -> Desk {
    let mut patient = Patient::new();
    patient.desk.start();
    patient.receives();
    patient.recovers("");
    patient.desk.stop();
    patient.desk
}

/// What a person sees of a daemon that does not start: one line, and exit code 1.
#[track_caller]
fn refused(desk: &Desk) -> String {
    let (code, said, complaint) = desk.says(&["run"]);
    assert_eq!((code, said.as_str()), (1, ""), "{complaint}");
    let lines: Vec<&str> = complaint.lines().filter(|line| line.starts_with("psirtd: ")).collect();
    assert_eq!((lines.len(), complaint.lines().count()), (1, 1), "{complaint}");
    lines[0].to_owned()
}

/// Files and their bytes, but for the index and the lock.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        let path = entry.path();
        match entry.file_name().to_str().unwrap() {
            "index" | "lock" => {}
            _ if path.is_dir() => found.extend(contents(&path)),
            _ => drop(found.insert(path.clone(), fs::read(&path).unwrap_or_default())),
        }
    }
    found
}

#[test]
fn a_state_directory_that_cannot_be_written_to() {
    let desk = desk_with_a_case();
    let state = desk.state();
    let path = state.to_str().unwrap();
    if !allowed(&["mount", "--bind", path, path]) {
        return;
    }
    let mount = Mount(state.clone());
    if !allowed(&["mount", "-o", "remount,bind,ro", path]) {
        return;
    }
    let complaint = refused(&desk);
    assert!(complaint.contains(path) && complaint.contains("Read-only file system"), "{complaint}");
    drop(mount);
    desk.start();
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn a_state_directory_of_somebody_else() {
    let desk = desk_with_a_case();
    let before = contents(&desk.state());
    let nobody = 65534;
    chown(desk.state(), Some(nobody), Some(nobody)).unwrap();
    let complaint = refused(&desk);
    let words = format!("{} belongs to user {nobody}", desk.state().display());
    assert!(complaint.contains(&words) && complaint.contains("as that user"), "{complaint}");
    assert_eq!(contents(&desk.state()), before, "nothing was changed");
    chown(desk.state(), Some(0), Some(0)).unwrap();
    desk.start();
    assert_eq!(desk.cases().len(), 1);
}

/// Somebody who is not root, and may not enter.
#[test]
fn a_state_directory_that_cannot_be_entered() {
    let desk = desk_with_a_case();
    let program = desk.dir().join("psirtd");
    fs::copy(env!("CARGO_BIN_EXE_psirtd"), &program).unwrap();
    fs::set_permissions(desk.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .arg("--config")
        .arg(desk.config())
        .arg("run")
        .output()
        .unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains(desk.state().to_str().unwrap()), "{complaint}");
}

#[test]
fn a_state_directory_of_another_version() {
    let desk = desk_with_a_case();
    let journal = desk.state().join("journal");
    let ours = fs::read(&journal).unwrap();
    let first_line = ours.iter().position(|byte| *byte == b'\n').unwrap();
    fs::write(&journal, [b"psirtd journal 99", &ours[first_line..]].concat()).unwrap();
    let before = contents(&desk.state());
    let complaint = refused(&desk);
    assert!(complaint.contains(journal.to_str().unwrap()), "{complaint}");
    assert!(complaint.contains("another version"), "{complaint}");
    assert_eq!(contents(&desk.state()), before, "nothing was changed");
    fs::write(&journal, ours).unwrap();
    desk.start();
    assert_eq!(desk.cases().len(), 1);
}

#[test]
fn two_daemons_on_one_state() {
    let desk = Desk::on_maildirs(&[], "");
    desk.start();
    let complaint = refused(&desk);
    assert!(complaint.contains("in use by another psirtd"), "{complaint}");
    assert!(complaint.contains(&format!("process {}", desk.pid())), "{complaint}");
    assert!(desk.cases().is_empty(), "the first still answers");
}

/// The names of both servers do not resolve; then they do, and nobody has to start anything again. The daemon has a hosts file of
/// its own.
#[test]
fn names_that_do_not_resolve_for_a_while() {
    let (imap, _bell) =
        scripted::imap(scripted::folder(&[report(RITA, "A report", "It crashes.")]), |_, _, _| false);
    let (smtp, letters) = scripted::smtp(|_, _, _| false);
    let mut plan = Plan::scripted(imap.port, smtp.port);
    // the one name that may be spoken to without TLS
    plan.imap.host = "localhost".to_owned();
    let desk = Desk::new(&plan);
    desk.write("hosts", b"");
    desk.write("nsswitch.conf", b"hosts: files\n");
    let dir = desk.dir().display();
    let mounts = format!(
        "mount --bind {dir}/hosts /etc/hosts && mount --bind {dir}/nsswitch.conf /etc/nsswitch.conf && exec \"$@\""
    );
    if !allowed(&["unshare", "--mount", "sh", "-c", &mounts, "sh", "true"]) {
        return;
    }
    plan.smtp.host = "localhost".to_owned();
    desk.rewrite(&plan);
    let by = ["unshare", "--mount", "sh", "-c", &mounts, "sh"];
    desk.start_by(&by, &["-v", "-v", "run"]);
    desk.await_log("failed to lookup address information");
    assert!(desk.log().contains(&format!("localhost:{}", imap.port)), "it says which");
    assert!(desk.log().contains("are host and port right?"), "it says what to do");
    // one door at a time: the letter has nowhere to go either
    let (code, said, _) = desk.says(&["check", "--online"]);
    assert_eq!(code, 0, "outside its world the names are right: {said}");
    desk.write("hosts", b"127.0.0.1 localhost\n");
    desk.await_cases(1);
    wait_until("it is answered", SOON, || letters.lock().unwrap().len() == 1);
    desk.stop();
    assert_eq!(desk.says(&["journal", "verify"]).0, 0);
}

/// The mailbox is there, the submission server's name is not: letters wait.
#[test]
fn a_submission_server_whose_name_does_not_resolve() {
    let (imap, _bell) =
        scripted::imap(scripted::folder(&[report(RITA, "A report", "It crashes.")]), |_, _, _| false);
    let mut plan = Plan::scripted(imap.port, free_port());
    plan.smtp.host = "smtp.psirtd.invalid".to_owned();
    plan.smtp.tls = "starttls";
    let desk = Desk::new(&plan);
    desk.start();
    desk.await_cases(1);
    wait_until("it was tried", SOON, || desk.outbox().iter().any(|letter| letter["attempts"] == 1));
    let letter = desk.letter("acknowledgement", RITA);
    assert_eq!(letter["state"], "deferred", "{letter}");
    let reply = letter["last_reply"].as_str().unwrap();
    assert!(reply.contains("failed to lookup address information"), "{reply}");
    assert!(letter["next_attempt"].is_string());
}

const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
Subject: Heap overflow
Message-ID: <r-1@example.net>

A heap overflow.
";

/// A story in which letters cannot leave until `fs::remove_file(desk.outbox())`.
fn story_with_a_letter_that_waits(start: &str) -> Story {
    let desk = Story::builder().start(start).open();
    fs::write(desk.outbox(), "a file where a folder should be").unwrap();
    desk.receives(REPORT);
    desk
}

fn letters(desk: &Story) -> Vec<Value> {
    let letters = desk.ask(&Question::Outbox).as_array().unwrap().clone();
    letters.into_iter().filter(|letter| letter["case"].is_string()).collect()
}

#[track_caller]
fn all_are(state: &str, desk: &Story) {
    for letter in letters(desk) {
        assert_eq!(letter["state"], state, "{letter}");
    }
}

#[test]
fn a_clock_that_was_ahead_when_a_letter_was_deferred() {
    let desk = story_with_a_letter_that_waits("2026-11-20T23:00:00Z");
    all_are("deferred", &desk);
    fs::remove_file(desk.outbox()).unwrap();
    // the clock is put right, by some weeks
    desk.clock_to("2026-10-25T23:00:00Z");
    all_are("sent", &desk);
    let told = letters(&desk);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(desk.letters().iter().filter(|letter| letter.kind == "acknowledgement").count(), 1);
}

/// Coordinators hear of letters once an hour at most; an hour that lies ahead is no reason to be silent until then.
#[test]
fn a_clock_that_was_ahead_when_the_coordinators_were_told() {
    let desk = Story::builder().otto_without_certificate().open();
    desk.receives(REPORT);
    let warnings =
        || desk.letters().iter().filter(|letter| letter.kind == "warning" && letter.encrypted).count();
    assert_eq!(warnings(), 1);
    desk.clock_to("2026-10-25T23:00:00Z");
    desk.receives(&REPORT.replace("r-1", "r-2").replace("Heap", "Stack"));
    assert_eq!(warnings(), 1, "the second letter that is held is told of, too");
}

/// Set back by less than the longest wait, the clock costs that time and no more.
#[test]
fn a_clock_that_is_set_back_by_an_hour() {
    let desk = story_with_a_letter_that_waits("2026-11-20T23:00:00Z");
    fs::remove_file(desk.outbox()).unwrap();
    desk.clock_to("2026-11-20T22:00:00Z");
    all_are("deferred", &desk);
    desk.clock_to("2026-11-20T23:02:00Z");
    all_are("sent", &desk);
}

#[test]
fn a_clock_that_jumps_ahead_while_letters_wait() {
    let desk = story_with_a_letter_that_waits("2026-11-20T23:00:00Z");
    fs::remove_file(desk.outbox()).unwrap();
    desk.clock_to("2028-11-20T23:00:00Z");
    all_are("sent", &desk);
    desk.clock_to("2026-11-20T23:05:00Z");
    // what was opened in the wrong time is in its place; what comes now is a case of now
    desk.receives(&REPORT.replace("r-1", "r-2").replace("Heap", "Stack"));
    let cases = desk.cases();
    assert_eq!(cases.len(), 2);
    all_are("sent", &desk);
}

/// The retries and the promised dates know nothing of the hour that there is twice.
#[test]
fn the_night_in_which_summer_time_ends() {
    // 1:30 in Los Angeles, for the first time; at 2:00 it is 1:00 again
    let desk = story_with_a_letter_that_waits("2026-11-01T08:30:00Z");
    let next = |desk: &Story| letters(desk)[0]["next_attempt"].as_str().unwrap().to_owned();
    let first: jiff::Timestamp = next(&desk).parse().unwrap();
    let wait = first.duration_since(desk.now()).as_secs();
    assert!((45..=75).contains(&wait), "a minute: {wait}");
    desk.clock_to("2026-11-01T09:30:00Z");
    let second: jiff::Timestamp = next(&desk).parse().unwrap();
    assert!((90..=150).contains(&second.duration_since(desk.now()).as_secs()), "{second}");
    fs::remove_file(desk.outbox()).unwrap();
    desk.clock_to("2026-11-01T10:30:00Z");
    all_are("sent", &desk);
    let text = desk.letters().iter().find(|letter| letter.kind == "acknowledgement").unwrap().text();
    // three business days after a Sunday
    assert!(text.contains("Wednesday, 4 November 2026, 23:59 PST"), "{text}");
}

/// Far from every key's life a mail is a case all the same; its letters go, or wait for a person.
#[test]
fn a_clock_in_another_century() {
    for wrong in
        ["1969-07-20T20:17:00Z", "0001-01-02T00:00:00Z", "2200-01-01T00:00:00Z", "9999-12-01T00:00:00Z"]
    {
        let desk = Story::new();
        desk.clock_to(wrong);
        assert_eq!(desk.receives(REPORT), Recorded::New, "{wrong}");
        assert_eq!(desk.cases().len(), 1, "{wrong}");
        let there = letters(&desk);
        assert_eq!(there.len(), 2, "{wrong}: {there:?}");
        desk.clock_to("2026-11-20T23:30:00Z");
        for letter in letters(&desk) {
            if letter["state"] == "held" {
                desk.ask(&Question::Release(letter["id"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(desk.receives(REPORT), Recorded::Known, "{wrong}");
        all_are("sent", &desk);
        desk.restarts();
        assert_eq!(desk.cases().len(), 1, "{wrong}");
    }
}
