//! A backup is made while the desk works; the machine is lost; on another one the desk goes on.

use super::desk::{ADA, DESK, Desk, Plan, RITA, SOON, Server, USERS, report};
use crate::support::dovecot::Dovecot;
use crate::support::postfix::Postfix;
use crate::support::{free_port, wait_until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The acknowledgements in her mailbox, each by the mail that it answers.
fn answers(imap: &Dovecot) -> Vec<String> {
    let field = |mail: &[u8]| {
        let mail = String::from_utf8_lossy(mail).into_owned();
        mail.lines().find_map(|line| line.strip_prefix("In-Reply-To: ").map(ToOwned::to_owned))
    };
    let mut answers: Vec<String> =
        imap.mails(RITA, "INBOX").iter().filter_map(|(_, mail)| field(mail)).collect();
    answers.sort();
    answers
}

/// With or without a daemon.
fn cases(desk: &Desk) -> Vec<Value> {
    json(desk, &["cases"]).as_array().unwrap().clone()
}

fn subjects(desk: &Desk) -> Vec<String> {
    cases(desk).iter().map(|case| case["subject"].as_str().unwrap_or_default().to_owned()).collect()
}

fn json(desk: &Desk, arguments: &[&str]) -> Value {
    let (code, said, complaint) = desk.says(&[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{arguments:?}: {complaint}");
    serde_json::from_str(&said).unwrap()
}

fn says_ok(desk: &Desk, arguments: &[&str]) -> String {
    let (code, said, complaint) = desk.says(arguments);
    assert_eq!(code, 0, "{arguments:?}: {said}{complaint}");
    said + &complaint
}

/// Its state is gone, and brought back from a backup.
fn is_lost_and_restored(desk: &Desk, folder: &Path) -> String {
    desk.stop();
    fs::remove_dir_all(desk.state()).unwrap();
    says_ok(desk, &["store", "restore", folder.to_str().unwrap()])
}

/// Where recorded mail is moved away, and where it is only marked.
fn lost_and_restored(processed: Option<&'static str>) {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let plan = Plan { processed, poll: "1s", ..Plan::of(&imap, &smtp) };
    let lost = Desk::new(&plan);
    lost.start();
    let elsewhere = tempfile::tempdir().unwrap();
    let backup = elsewhere.path().join("backup");
    let deliver = |subject: &str| imap.deliver(DESK, "INBOX", &report(RITA, subject, "It crashes."));
    deliver("First");
    deliver("Second");
    wait_until("they are answered", SOON, || answers(&imap).len() == 2);
    lost.await_letters();
    let said = says_ok(&lost, &["store", "backup", backup.to_str().unwrap()]);
    assert!(said.contains("mails and letters") && said.contains("without the desk's key"), "{said}");
    // what comes after the backup is in no backup
    deliver("Third");
    wait_until("it is answered", SOON, || answers(&imap).len() == 3);
    lost.await_letters();
    lost.stop();
    let third = cases(&lost)[2]["id"].as_str().unwrap().to_owned();
    fs::remove_dir_all(lost.state()).unwrap();
    // while there is no desk, somebody writes
    deliver("Fourth");
    let known = answers(&imap).len();

    let desk = Desk::new(&plan);
    let said = says_ok(&desk, &["store", "restore", backup.to_str().unwrap()]);
    assert!(said.contains("chain intact, every mail and letter there") && said.contains("Now: "), "{said}");
    assert_eq!(subjects(&desk), ["First", "Second"]);
    desk.start();
    desk.await_cases(4);
    wait_until("the new one is answered", SOON, || answers(&imap).len() == known + 1);
    let on_their_way = || desk.outbox().iter().filter(|letter| letter["state"] == "active").count();
    wait_until("all are sent", SOON, || on_their_way() == 0);
    let answered = answers(&imap);
    let mut once = answered.clone();
    once.dedup();
    assert_eq!(answered, once, "nobody is answered twice");

    let cases = desk.cases();
    let of = |subject: &str| cases.iter().find(|case| case["subject"] == subject).unwrap();
    for (subject, acknowledged) in [("First", true), ("Second", true), ("Third", false), ("Fourth", true)] {
        assert_eq!(of(subject)["acknowledged_at"].is_string(), acknowledged, "{subject}: {}", of(subject));
    }
    // it is the team that hears of it, and may say so
    let why = of("Third")["not_acknowledged"].as_str().unwrap();
    assert!(why.contains("recorded before this desk was restored"), "{why}");
    let letters: Value = json(&desk, &["outbox"]);
    let of_third = |letter: &&Value| letter["case"] == of("Third")["id"];
    let states = letters.as_array().unwrap().iter().filter(of_third);
    let states: Vec<_> =
        states.map(|it| (it["kind"].as_str().unwrap(), it["state"].as_str().unwrap())).collect();
    assert_eq!(states, [("acknowledgement", "held"), ("relay", "sent"), ("relay", "sent")]);
    // nobody who heard of the lost case meets another one under its number
    assert!(cases.iter().all(|case| case["id"] != third.as_str()), "{third}");
    // after another start it is not looked through again
    desk.stop();
    desk.start();
    desk.await_log("psirtd is up");
    deliver("Fifth");
    desk.await_cases(5);
    says_ok(&desk, &["journal", "verify"]);
}

#[test]
fn a_lost_machine_is_replaced_where_mail_is_moved() {
    lost_and_restored(Some("Processed"));
}

#[test]
fn a_lost_machine_is_replaced_where_mail_is_marked() {
    lost_and_restored(None);
}

/// What waited when the backup was made may have gone out afterwards: a person knows, or finds out.
#[test]
fn letters_that_waited_are_held() {
    let imap = Dovecot::start();
    let smtp = Server { port: free_port(), ..Plan::scripted(0, 0).smtp };
    let plan = Plan { smtp, coordinators: false, ..Plan::of(&imap, &Postfix::start(&imap, &USERS)) };
    let desk = Desk::new(&plan);
    desk.start();
    imap.deliver(DESK, "INBOX", &report(RITA, "Waiting", "It crashes."));
    desk.await_cases(1);
    let states = |desk: &Desk| {
        let letters = json(desk, &["outbox"]);
        let state = |letter: &Value| letter["state"].as_str().unwrap().to_owned();
        letters.as_array().unwrap().iter().map(state).collect::<Vec<_>>()
    };
    wait_until("it is deferred", SOON, || states(&desk) == ["deferred"]);
    let letter = format!("{}.1", desk.case_id(1));
    let folder = desk.dir().join("backup");
    says_ok(&desk, &["store", "backup", folder.to_str().unwrap()]);
    let said = is_lost_and_restored(&desk, &folder);
    assert!(said.contains("Letters that were waiting: 1; they are held"), "{said}");
    assert_eq!(states(&desk), ["held"]);
    let released = says_ok(&desk, &["outbox", "release", &letter]);
    assert!(released.contains("is released"), "{released}");
    assert_eq!(states(&desk), ["active"]);
}

#[test]
fn a_backup_is_made_again_and_again_while_mail_comes() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let desk = Desk::new(&Plan { poll: "1s", ..Plan::of(&imap, &smtp) });
    desk.start();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("backup");
    let mut last = 0;
    for number in 0..12 {
        for more in 0..4 {
            imap.deliver(DESK, "INBOX", &report(RITA, &format!("Report {number}.{more}"), "It crashes."));
        }
        let made = json(&desk, &["store", "backup", folder.to_str().unwrap()]);
        assert!(made["records"].as_u64().unwrap() >= last, "{made}");
        last = made["records"].as_u64().unwrap();
        // it is whole at any time
        let other = Desk::new(&Plan::of(&imap, &smtp));
        let back = json(&other, &["store", "restore", folder.to_str().unwrap()]);
        assert_eq!(back["records"].as_u64().unwrap(), last);
        let said = says_ok(&other, &["store", "check"]);
        assert!(said.contains("says the same as the journal"), "{said}");
    }
    desk.await_cases(48);
}

#[test]
fn a_backup_goes_through_a_pipe_and_is_a_tar_archive() {
    let desk = Desk::on_maildirs(&["ada"], "");
    desk.start();
    desk.deliver("1", &report(RITA, "Piped", "It crashes."));
    desk.await_cases(1);
    desk.await_letters();
    let archive = desk.psirtd(&["store", "backup", "-"]);
    assert!(archive.status.success());
    let said = String::from_utf8(archive.stderr).unwrap();
    assert!(said.contains("records, 3 mails and letters"), "{said}");
    desk.stop();
    let listed = piped(Command::new("tar").args(["-t", "-f", "-"]), &archive.stdout);
    let listed = String::from_utf8(listed).unwrap();
    for file in ["backup", "data-key.asc", "journal"] {
        assert!(listed.lines().any(|line| line == file), "{listed}");
    }
    let word = |word: &str| archive.stdout.windows(word.len()).any(|window| window == word.as_bytes());
    assert!(!word("Piped") && !word(RITA) && !word(ADA), "it is ciphertext");

    fs::remove_dir_all(desk.state()).unwrap();
    let mut restore = Command::new(env!("CARGO_BIN_EXE_psirtd"));
    restore.arg("--config").arg(desk.config()).args(["store", "restore", "-"]);
    let said = String::from_utf8(piped(&mut restore, &archive.stdout)).unwrap();
    assert!(said.contains("chain intact"), "{said}");
    assert_eq!(subjects(&desk), ["Piped"]);
    // and once more: there is a desk
    let (code, _, complaint) = desk.says(&["store", "restore", desk.dir().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(complaint.contains("there is a desk in it already; nothing was changed"), "{complaint}");
}

fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn another_key_restores_nothing() {
    let desk = Desk::on_maildirs(&["ada"], "");
    desk.start();
    desk.deliver("1", &report(RITA, "Secret", "It crashes."));
    desk.await_cases(1);
    desk.stop();
    let folder = desk.dir().join("backup");
    says_ok(&desk, &["store", "backup", folder.to_str().unwrap()]);
    let stranger = Desk::on_maildirs(&[], "");
    let other = Command::new(env!("CARGO_BIN_EXE_psirtd"))
        .args(["init", "--dir"])
        .arg(stranger.dir().join("new"))
        .output();
    assert!(other.unwrap().status.success());
    fs::copy(stranger.dir().join("new/desk.key.asc"), stranger.dir().join("desk.key.asc")).unwrap();
    let (code, said, complaint) = stranger.says(&["store", "restore", folder.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(
        complaint.contains("no secret key for this message") && complaint.lines().count() == 1,
        "{complaint}"
    );
}

#[test]
fn the_index_is_checked_and_made_anew() {
    let desk = Desk::on_maildirs(&["ada"], "");
    let (code, _, complaint) = desk.says(&["store", "check"]);
    assert_eq!(code, 1);
    assert!(complaint.contains("psirtd has not run here"), "{complaint}");
    desk.start();
    for name in ["1", "2", "3"] {
        desk.deliver(name, &report(RITA, &format!("Report {name}"), "It crashes."));
    }
    desk.await_cases(3);
    desk.await_letters();
    let checked = says_ok(&desk, &["store", "check"]);
    assert!(checked.contains("ok    journal") && checked.contains("as far as psirtd has come"), "{checked}");
    let (code, _, complaint) = desk.says(&["store", "rebuild"]);
    assert_eq!(code, 1);
    assert!(complaint.contains("in use by another psirtd (process"), "{complaint}");
    desk.stop();
    let checked = says_ok(&desk, &["store", "check"]);
    assert!(checked.contains("says the same as the journal"), "{checked}");

    // the largest file of the index holds its entries
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let files = fs::read_dir(desk.state().join("index")).unwrap().map(|entry| entry.unwrap().path());
    let largest = files.filter(|path| path.is_file()).max_by_key(|path| size(path)).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 0x10;
    fs::write(&largest, bytes).unwrap();
    let (code, _, complaint) = desk.says(&["store", "check"]);
    assert_eq!(code, 1, "a flipped bit is noticed");
    assert!(complaint.contains("psirtd store rebuild"), "{complaint}");
    let rebuilt = says_ok(&desk, &["store", "rebuild"]);
    assert!(rebuilt.contains("records of the journal"), "{rebuilt}");
    assert!(says_ok(&desk, &["store", "check"]).contains("says the same as the journal"));
    assert_eq!(subjects(&desk), ["Report 1", "Report 2", "Report 3"]);
}

#[test]
fn a_damaged_mail_is_named_and_comes_back_from_a_backup() {
    let desk = Desk::on_maildirs(&["ada"], "");
    desk.start();
    desk.deliver("1", &report(RITA, "Damaged", "It crashes."));
    desk.await_cases(1);
    desk.await_letters();
    let folder = desk.dir().join("backup");
    says_ok(&desk, &["store", "backup", folder.to_str().unwrap()]);
    let mail = fs::read_dir(desk.state().join("mail")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&mail).unwrap();
    bytes[7] ^= 1;
    fs::write(&mail, bytes).unwrap();
    let (code, _, complaint) = desk.says(&["journal", "verify"]);
    assert_eq!(code, 1);
    let name = mail.file_name().unwrap().to_str().unwrap();
    assert!(complaint.contains("record ") && complaint.contains(name), "{complaint}");
    fs::copy(folder.join("mail").join(name), &mail).unwrap();
    says_ok(&desk, &["journal", "verify"]);
}

/// What a desk did with a mail that came after the backup, and what is done to its mailbox once the desk is restored. Returns how many
/// acknowledgements she has.
fn answered(imap: &Dovecot, plan: Plan, text: &str, then: impl Fn(&Desk)) -> usize {
    let lost = Desk::new(&plan);
    lost.start();
    let folder = lost.dir().join("backup");
    imap.deliver(DESK, "INBOX", &report(RITA, "First", "It crashes."));
    wait_until("it is answered", SOON, || answers(imap).len() == 1);
    lost.await_letters();
    says_ok(&lost, &["store", "backup", folder.to_str().unwrap()]);
    imap.deliver(DESK, "INBOX", &report(RITA, "Second", text));
    wait_until("it is answered", SOON, || answers(imap).len() == 2);
    lost.await_letters();
    let is_marked = || {
        let marked = |(path, _): &(std::path::PathBuf, Vec<u8>)| {
            path.to_string_lossy().rsplit(',').next().is_some_and(|flags| flags.contains(['S', 'F']))
        };
        imap.mails(DESK, "INBOX").iter().all(marked)
    };
    wait_until("it is moved or marked", SOON, is_marked);
    is_lost_and_restored(&lost, &folder);
    lost.start();
    lost.await_cases(2);
    then(&lost);
    // what is answered is answered in the order in which it came
    imap.deliver(DESK, "INBOX", &report(RITA, "Third", "It crashes."));
    let third =
        || cases(&lost).iter().any(|case| case["subject"] == "Third" && case["acknowledged_at"].is_string());
    wait_until("a new one is answered", SOON, third);
    wait_until("she has it", SOON, || answers(imap).len() >= 3);
    answers(imap).len() - 1
}

/// It stays in the inbox, flagged, whatever becomes of other mail.
#[test]
fn a_mail_that_is_too_large_is_not_answered_again() {
    let text = format!("{}\n", "y".repeat(70)).repeat(20_000);
    for processed in [Some("Processed"), None] {
        let imap = Dovecot::start();
        let smtp = Postfix::start(&imap, &USERS);
        let plan = Plan { processed, poll: "1s", max_size: Some("1 MB"), ..Plan::of(&imap, &smtp) };
        assert_eq!(answered(&imap, plan, &text, |_| {}), 2, "{processed:?}");
    }
}

#[test]
fn where_the_server_cannot_move_a_mark_counts() {
    let imap = Dovecot::builder().without_move().without_uidplus().start();
    let smtp = Postfix::start(&imap, &USERS);
    let plan = Plan { poll: "1s", ..Plan::of(&imap, &smtp) };
    assert_eq!(answered(&imap, plan, "It crashes.", |_| {}), 2);
}

#[test]
fn a_mail_that_is_put_back_into_the_inbox_is_not_answered_either() {
    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &USERS);
    let plan = Plan { poll: "1s", ..Plan::of(&imap, &smtp) };
    let put_back = |desk: &Desk| {
        let mails = imap.mails(DESK, "Processed");
        let second = mails.iter().find(|(_, mail)| String::from_utf8_lossy(mail).contains("Second")).unwrap();
        imap.deliver(DESK, "INBOX", &second.1);
        wait_until("it is put away", SOON, || imap.mails(DESK, "INBOX").is_empty());
        assert_eq!(cases(desk).len(), 2);
    };
    assert_eq!(answered(&imap, plan, "It crashes.", put_back), 2);
}

/// Numbers of cases that nobody knows any more are nobody's.
#[test]
fn a_case_gets_no_number_that_a_lost_one_may_have_had() {
    let desk = Desk::on_maildirs(&[], "");
    desk.start();
    desk.deliver("0", &report(RITA, "Kept", "It crashes."));
    desk.await_cases(1);
    let folder = desk.dir().join("backup");
    says_ok(&desk, &["store", "backup", folder.to_str().unwrap()]);
    let mail =
        |number: u32| report(&format!("r{number}@example.net"), &format!("Lost {number}"), "It crashes.");
    (1..=120).for_each(|number| desk.deliver(&number.to_string(), &mail(number)));
    desk.await_cases(121);
    let named = |desk: &Desk| {
        let name = |case: &Value| (case["id"].as_str().unwrap().to_owned(), case["subject"].to_string());
        cases(desk).iter().map(name).collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = named(&desk);
    is_lost_and_restored(&desk, &folder);
    desk.start();
    desk.await_cases(121);
    for (id, subject) in named(&desk) {
        assert!(before.get(&id).is_none_or(|known| *known == subject), "{id}: {subject}");
    }
}

/// Killed between the journal and the note, it is a restored desk all the same.
#[test]
fn a_desk_takes_note_that_it_was_restored_however_it_is_started() {
    let desk = Desk::on_maildirs(&[], "");
    desk.start();
    desk.deliver("0", &report(RITA, "Kept", "It crashes."));
    desk.await_cases(1);
    desk.await_letters();
    let folder = desk.dir().join("backup");
    says_ok(&desk, &["store", "backup", folder.to_str().unwrap()]);
    is_lost_and_restored(&desk, &folder);
    // as if it had been killed before it could take note
    let note = fs::read_to_string(folder.join("backup")).unwrap();
    let at = note.lines().find_map(|line| line.strip_prefix("at ")).unwrap();
    fs::write(desk.state().join("restored"), at).unwrap();
    desk.start();
    desk.await_log("this desk was brought back from a backup: No letter was waiting.");
    assert!(!desk.state().join("restored").exists());
    desk.stop();
    let (_, journal, _) = desk.says(&["journal", "export"]);
    assert_eq!(journal.lines().filter(|line| line.contains("\"restored\"")).count(), 2);
    // and one that was cut off earlier is no desk
    fs::create_dir(desk.state().join("restoring")).unwrap();
    fs::rename(desk.state().join("journal"), desk.state().join("restoring/journal")).unwrap();
    let (code, _, complaint) = desk.says(&["cases"]);
    assert_eq!(code, 1);
    assert!(complaint.contains("that was cut off; do it again: psirtd store restore"), "{complaint}");
}
