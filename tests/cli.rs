//! The commands of a person, run as a person runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use psirtd::clock::Clock;
use psirtd::domain::message::Mailbox;
use psirtd::keyring;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::daemon::await_socket;
use crate::support::desk::Desk;
use crate::support::dovecot::Dovecot;
use crate::support::postfix::Postfix;
use crate::support::{case_ids, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_psirtd");

fn project(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(project(file)).unwrap()
}

pub(crate) fn psirtd(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .current_dir(dir)
        .env_remove("PSIRTD_CONFIG")
        .env_remove("RUST_LOG")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The secret key of somebody, armored.
pub(crate) fn key(name: &str, address: &str) -> String {
    let mailbox = Mailbox { name: Some(name.to_owned()), address: address.to_owned() };
    keyring::generate(&mailbox, Clock::System.now(), false).unwrap().to_string()
}

/// The certificate of somebody, armored.
fn certificate(address: &str) -> String {
    let cert = keyring::certificates(key("Security", address).as_bytes()).unwrap().remove(0);
    keyring::armored(&cert.strip_secret_key_material()).unwrap()
}

/// A desk whose keys are there, with this configuration.
fn desk(config: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["people", "credentials", "reporters", "templates"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("desk.key.asc"), key("Desk", "security@example.org")).unwrap();
    for name in ["ada", "coordinator", "maintainer"] {
        fs::write(dir.path().join(format!("people/{name}.asc")), key(name, &format!("{name}@example.org")))
            .unwrap();
    }
    for name in ["imap", "smtp", "desk-key"] {
        fs::write(dir.path().join("credentials").join(name), "secret\n").unwrap();
    }
    fs::write(dir.path().join("psirtd.toml"), config).unwrap();
    dir
}

fn check(dir: &TempDir) -> Output {
    Command::new(PROGRAM)
        .args(["--config", "psirtd.toml", "check"])
        .current_dir(dir.path())
        .env("CREDENTIALS_DIRECTORY", dir.path().join("credentials"))
        .output()
        .unwrap()
}

const MAILDIR_DESK: &str = r#"
[desk]
name = "Example Project Security"
address = "security@example.org"
case_prefix = "EX"
key = "desk.key.asc"
state = "state"

[inbox.maildir]
path = "inbox"

[outbox.maildir]
path = "outbox"

[[person]]
name = "Ada"
address = "ada@example.org"
roles = ["coordinator"]
cert = "people/ada.asc"
"#;

#[test]
fn the_demo_shows_the_main_job() {
    let dir = tempfile::tempdir().unwrap();
    let demo = psirtd(dir.path(), &["demo", "--dir", "desk"]);
    let shown = out(&demo);
    assert!(demo.status.success(), "{shown}{}", err(&demo));
    for told in [
        "recorded as report, in the clear, signature: none",
        "recorded as report, encrypted, signature: good",
        "recorded as reply",
        "recorded as bounce",
        "recorded as automatic",
        "acknowledgement DEMO-",
        "relay DEMO-",
    ] {
        assert!(shown.contains(told), "{told}\n{shown}");
    }
    let table: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("CASE ")).collect();
    assert!(table[1].contains("rita@example.net") && table[2].contains("sam@example.com"), "{shown}");
    let letters = fs::read_dir(dir.path().join("desk/outbox/new")).unwrap().count();
    assert_eq!(letters, 5, "two acknowledgements, three relays");
    assert!(shown.contains("desk/outbox/new"), "it says where they lie");
}

/// A running daemon that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Follows the README to the letter, in an empty directory, with real servers where it says `imap.example.org`.
#[test]
fn every_command_of_the_readme_works() {
    let dovecot = Dovecot::start();
    let users = ["security@example.org", "ada@example.org", "rita@example.net", "scanner@example.net"];
    let postfix = Postfix::start(&dovecot, &users);
    let place = tempfile::tempdir().unwrap();
    let desk = place.path().join("desk");
    let readme = read("README.md");
    let shell = readme.split("```sh\n").skip(1).flat_map(|block| block.split("```").next().unwrap().lines());
    let commands: Vec<Vec<&str>> = shell.map(|line| words(line).into_iter().skip(1).collect()).collect();
    assert!(commands.len() >= 12, "the README has lost its commands");
    let report = "From: Rita <rita@example.net>\nTo: security@example.org\nSubject: Overflow\nMessage-ID: <r@example.net>\n\nA report.\n";
    fs::write(place.path().join("report.eml"), report).unwrap();
    fs::write(place.path().join("plan.txt"), "We build your example tonight.\n").unwrap();
    fs::write(place.path().join("acme.asc"), certificate("security@acme.example")).unwrap();
    fs::write(place.path().join("notice.txt"), "A tile of more than 4 GB overflows.\n").unwrap();
    fs::write(place.path().join("fix.patch"), "--- a/tile.c\n+++ b/tile.c\n").unwrap();
    let wednesday = wednesday_in_two_weeks();
    let mut daemon = None;
    let mut follow_up = String::new();
    // the README's cases are this year's
    let mut case = "EX-2026-".to_owned();
    for command in commands {
        let command: Vec<String> = command.iter().map(|word| word.replace("EX-2026-", &case)).collect();
        let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
        let said = command.join(" ");
        if let Some(mail) = command.iter_mut().find(|word| **word == "4f0a9c2b61de") {
            *mail = &follow_up;
        }
        if let Some(date) = command.iter_mut().find(|word| **word == "2026-12-15") {
            *date = &wednesday;
        }
        if command.last() == Some(&"run") {
            let log = fs::File::create(place.path().join("log")).unwrap();
            let child =
                Command::new(PROGRAM).args(&command).current_dir(place.path()).stderr(log).spawn().unwrap();
            daemon = Some(Running(child));
            dovecot.deliver("security@example.org", "INBOX", report.as_bytes());
            wait_until("the report is acknowledged", Duration::from_secs(20), || {
                dovecot.mails("rita@example.net", "INBOX").len() == 1
                    && dovecot.mails("ada@example.org", "INBOX").len() == 1
            });
            let first = case_ids(asked(place.path(), &["cases"]).as_array().unwrap())(1);
            follow_up = more_mails(&dovecot, place.path(), &first);
            case = first.replace("-0001", "-");
            continue;
        }
        if command.contains(&"restore") {
            // the machine is lost
            daemon = daemon.map(|running| {
                drop(running);
                fs::remove_dir_all(desk.join("state")).unwrap();
                Running(Command::new("true").spawn().unwrap())
            });
        }
        let output = psirtd(place.path(), &command);
        assert!(output.status.success(), "psirtd {said}\n{}{}", out(&output), err(&output));
        match command.as_slice() {
            ["init", ..] => edit_as_the_readme_says(&desk, &dovecot, &postfix),
            [.., "key", "export"] => {
                assert!(out(&output).starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"))
            }
            [.., "cases"] => assert!(out(&output).contains(&format!("{case}0001")), "{}", out(&output)),
            [.., "plan", "--text", _] => {
                assert_eq!(out(&output), "plan to the reporter, rita@example.net\n");
                wait_until("the reporter hears of it", Duration::from_secs(20), || {
                    dovecot.mails("rita@example.net", "INBOX").len() >= 2
                })
            }
            [.., "fixed", _, _, _] => assert!(out(&output).contains("the case is fixed"), "{}", out(&output)),
            [.., "figures", "--since", _] => assert!(out(&output).contains("plan"), "{}", out(&output)),
            [.., "outbox", "release", _] => {
                wait_until("the scanner is answered", Duration::from_secs(20), || {
                    dovecot.mails("scanner@example.net", "INBOX").len() == 1
                })
            }
            [.., "merge", _] => {
                assert_eq!(out(&output), format!("case {case}0003 is part of case {case}0001 now\n"))
            }
            [.., "members"] => assert!(out(&output).contains("acme-linux  active"), "{}", out(&output)),
            [.., "notice", "TLP:AMBER", "--text", _, "--attach", _] => {
                assert!(
                    out(&output).starts_with("proposal 1: TLP:AMBER notice to 1 member;"),
                    "{}",
                    out(&output)
                )
            }
            [.., "exposure", _] => assert!(out(&output).contains("0 members might know"), "{}", out(&output)),
            [.., "members", "export"] => assert!(out(&output).contains("BEGIN PGP"), "{}", out(&output)),
            [.., "split", _] => assert_eq!(out(&output), format!("the mail is case {case}0004 now\n")),
            ["explain", ..] => assert!(out(&output).contains("\"answer\":true"), "{}", out(&output)),
            _ => {}
        }
    }
    assert!(daemon.is_some(), "the README no longer lets it run");
}

/// What the README's desk answers to programs.
fn asked(place: &Path, command: &[&str]) -> Value {
    let asked = psirtd(place, &[&["--config", "desk/psirtd.toml", "--json"], command].concat());
    serde_json::from_slice(&asked.stdout).unwrap()
}

/// What the README speaks of: a scanner's report, which is not answered, another report of Rita's, and a mail of hers about the `first`
/// case. Returns the number of the last.
fn more_mails(dovecot: &Dovecot, place: &Path, first: &str) -> String {
    let ask = |command: &[&str]| asked(place, command);
    let deliver = |from: &str, id: u8, field: &str| {
        let mail = format!(
            "From: {from}\nSubject: Overflow\nMessage-ID: <r{id}@example.net>\n{field}\n\nMail {id}.\n"
        );
        dovecot.deliver("security@example.org", "INBOX", mail.as_bytes());
    };
    for (from, field) in [
        ("scanner@example.net", "Auto-Submitted: auto-generated"),
        ("rita@example.net", "To: security@example.org"),
    ] {
        let cases = ask(&["cases"]).as_array().unwrap().len();
        deliver(from, cases as u8, field);
        wait_until("another case", Duration::from_secs(20), || {
            ask(&["cases"]).as_array().unwrap().len() > cases
        });
    }
    deliver("rita@example.net", 9, "In-Reply-To: <r@example.net>");
    wait_until("a follow-up", Duration::from_secs(20), || ask(&["case", first])["mails"] == 2);
    ask(&["case", first])["mail_list"][1]["mail"].as_str().unwrap()[..12].to_owned()
}

/// A day on which an embargo may end, whenever this runs.
fn wednesday_in_two_weeks() -> String {
    let earliest = Clock::System.now().to_zoned(jiff::tz::TimeZone::UTC).date() + jiff::ToSpan::days(14);
    let mut days = earliest.series(jiff::ToSpan::days(1));
    days.find(|day| day.weekday() == jiff::civil::Weekday::Wednesday).unwrap().to_string()
}

/// The words of a shell's line, as far as the README goes: texts in double quotes are one word.
fn words(line: &str) -> Vec<&str> {
    let pieces = line.split('"').enumerate();
    pieces
        .flat_map(|(n, piece)| if n % 2 == 1 { vec![piece] } else { piece.split_whitespace().collect() })
        .collect()
}

fn edit_as_the_readme_says(desk: &Path, dovecot: &Dovecot, postfix: &Postfix) {
    let config = desk.join("psirtd.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text
        .replace("host      = \"imap.example.org\"", "host      = \"localhost\"")
        .replace("host     = \"smtp.example.org\"", "host     = \"localhost\"")
        .replace("port      = 993", &format!("port      = {}", dovecot.imaps_port))
        .replace("port     = 465", &format!("port     = {}", postfix.submissions_port))
        .replace("# ca      =", "ca      =")
        .replace("# ca     =", "ca     =");
    fs::write(config, text).unwrap();
    fs::copy(dovecot.ca_file(), desk.join("ca.pem")).unwrap();
    fs::write(desk.join("imap.password"), "secret\n").unwrap();
    fs::write(desk.join("smtp.password"), "secret\n").unwrap();
    fs::write(desk.join("people/ada.asc"), key("Ada", "ada@example.org")).unwrap();
}

#[test]
fn init_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(psirtd(dir.path(), &["init", "--dir", "desk"]).status.success());
    let before = fs::read(dir.path().join("desk/desk.key.asc")).unwrap();
    let again = psirtd(dir.path(), &["init", "--dir", "desk"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("nothing is overwritten"), "{}", err(&again));
    assert_eq!(fs::read(dir.path().join("desk/desk.key.asc")).unwrap(), before);
}

#[test]
fn init_makes_the_desk_of_that_name_and_address() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["init", "--dir", "desk", "--address", "psirt@example.com", "--name", "Other Project"];
    assert!(psirtd(dir.path(), &arguments).status.success());
    let text = fs::read_to_string(dir.path().join("desk/psirtd.toml")).unwrap();
    assert!(text.contains("name        = \"Other Project\"\naddress     = \"psirt@example.com\""), "{text}");
    let shown = out(&psirtd(dir.path(), &["--config", "desk/psirtd.toml", "key", "show"]));
    assert!(shown.contains("psirt@example.com"), "{shown}");
    let hostile = psirtd(dir.path(), &["init", "--dir", "other", "--name", "a\"\nkey = \"b"]);
    assert_eq!(hostile.status.code(), Some(2));
}

#[test]
fn init_keeps_its_secrets_to_the_owner() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    assert!(psirtd(dir.path(), &["init", "--dir", "desk"]).status.success());
    let mode =
        |file: &str| fs::metadata(dir.path().join("desk").join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("desk.key.asc"), mode("state"), mode("psirtd.toml")), (0o600, 0o700, 0o600));
}

#[test]
fn every_command_has_help_with_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let help = out(&psirtd(dir.path(), &["--help"]));
    for command in [
        "demo", "init", "check", "run", "explain", "cases", "do", "case", "exposure", "members", "outbox",
        "journal", "store", "key",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in the help\n{help}");
        let own = out(&psirtd(dir.path(), &[command, "--help"]));
        assert!(own.contains("Example:\n  psirtd "), "{command}\n{own}");
    }
    let members = out(&psirtd(dir.path(), &["members", "--help"]));
    let words = members.lines().skip_while(|line| *line != "Commands:").skip(1);
    let words = words.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let words: Vec<&str> = words.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(words.contains(&"list") && words.contains(&"import"), "{members}");
    for word in words.into_iter().filter(|word| *word != "help") {
        let own = out(&psirtd(dir.path(), &["members", word, "--help"]));
        assert!(own.contains(&format!("Example:\n  psirtd members {word}")), "{word}\n{own}");
    }
}

#[test]
fn the_shipped_configurations_are_right() {
    for file in ["config/psirtd.toml", "config/tanzu-community-edition.toml"] {
        let dir = desk(&read(file).replace("/var/lib/psirtd", "state"));
        let checked = check(&dir);
        assert!(checked.status.success(), "{file}\n{}{}", out(&checked), err(&checked));
        assert!(out(&checked).contains("ok    desk key"), "{}", out(&checked));
    }
}

/// The example shows every key there is: what the parser says it knows is in the file.
#[test]
fn the_example_configuration_shows_every_key() {
    let example = read("config/psirtd.toml");
    let sections = [
        "desk",
        "inbox",
        "inbox.imap",
        "inbox.authentication",
        "outbox",
        "outbox.smtp",
        "policy",
        "limits",
        "report",
        "distributors",
    ];
    let mut wrong = MAILDIR_DESK
        .replace("[inbox.maildir]\npath = \"inbox\"", "")
        .replace("[outbox.maildir]\npath = \"outbox\"", "");
    wrong = wrong.replace("[desk]\n", "[desk]\nzzz = 1\n").replace("[[person]]\n", "[[person]]\nzzz = 1\n");
    for section in sections.iter().skip(1) {
        wrong.push_str(&format!("\n[{section}]\nzzz = 1\n"));
    }
    let dir = desk(&wrong);
    let said = err(&check(&dir));
    for section in sections.iter().copied().chain(["person[1]"]) {
        let line =
            said.lines().find(|line| line.contains(&format!(" {section}.zzz: unknown key; known here: ")));
        let line = line.unwrap_or_else(|| panic!("no word about {section}.zzz in\n{said}"));
        for key in line.rsplit(": ").next().unwrap().split(", ") {
            let shown = example.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ']);
                line.starts_with(&format!("{key} "))
                    || line.starts_with(&format!("{key}="))
                    || line.contains(&format!(".{key}]"))
            });
            assert!(shown, "{section}.{key} is not in the example");
        }
    }
}

#[test]
fn all_errors_are_told_at_once_with_file_line_and_key() {
    let wrong = r#"[desk]
name = "Example"
address = "not an address"
case_prefix = "lower"
time_zone = "Mars/Olympus"
key = "missing.asc"
colour = "blue"

[inbox.imap]
host = "imap.example.org"
tls = "none"
user = "x"
password = { file = "no-such-password" }
poll = "soon"

[outbox.smtp]
port = 99999

[policy]
plan = "three days"
holidays = ["2026-13-01"]

[[person]]
name = "Ada"
address = "ada@example.org"
roles = ["boss"]
"#;
    let dir = desk(wrong);
    let checked = check(&dir);
    assert_eq!(checked.status.code(), Some(2));
    let said = err(&checked);
    for expected in [
        "psirtd.toml:1: desk.state: missing",
        "psirtd.toml:3: desk.address: “not an address” is no address",
        "psirtd.toml:4: desk.case_prefix: “lower”",
        "psirtd.toml:5: desk.time_zone: “Mars/Olympus” is no IANA time zone",
        "psirtd.toml:6: desk.key: missing.asc: No such file",
        "psirtd.toml:7: desk.colour: unknown key",
        "psirtd.toml:11: inbox.imap.tls: “none” is for loopback addresses only",
        "psirtd.toml:13: inbox.imap.password.file: no-such-password: No such file",
        "psirtd.toml:14: inbox.imap.poll: “soon”",
        "outbox.smtp.host: missing",
        "psirtd.toml:17: outbox.smtp.port: no port number",
        "psirtd.toml:20: policy.plan: “three days” is no term",
        "psirtd.toml:21: policy.holidays: “2026-13-01” is no date",
        "psirtd.toml:26: person[1].roles: “boss” is no role",
    ] {
        assert!(said.contains(expected), "{expected}\n--- in ---\n{said}");
    }
}

/// Holidays from calendar files: `check` counts those that are ahead, and tells of what is none.
#[test]
fn holidays_come_from_calendar_files() {
    let ics = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Christmas\r\nDTSTART;VALUE=DATE:20201225\r\n\
               DTEND;VALUE=DATE:20201227\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:Stand-up\r\n\
               DTSTART:20261127T090000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let dir = desk(&format!("{MAILDIR_DESK}\n[policy]\nholidays_ics = [\"bank.ics\"]\n"));
    let missing = check(&dir);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("policy.holidays_ics: bank.ics: No such file"), "{}", err(&missing));

    let write = |text: &str| fs::write(dir.path().join("bank.ics"), text).unwrap();
    write(ics);
    let said = out(&check(&dir));
    assert!(said.contains(" holidays ahead, the last on 2060-12-26)"), "{said}");
    let told = "warn  policy.holidays_ics: bank.ics:8: “Stand-up” has a time of day, so it is no holiday";
    assert!(said.contains(told), "{said}");

    write(&ics.replace("RRULE:FREQ=YEARLY", "RRULE:FREQ=YEARLY;COUNT=2"));
    let said = out(&check(&dir));
    assert!(said.contains("no holiday ahead)"), "{said}");
    let told = "warn  policy.holidays: no holiday is ahead, the last was 2021-12-26";
    assert!(said.contains(told), "{said}");

    write(&ics.replace("FREQ=YEARLY", "FREQ=EASTER"));
    let said = err(&check(&dir));
    assert!(said.contains("policy.holidays_ics: bank.ics:6: “Christmas”: RRULE: "), "{said}");

    write(&format!("{ics}{}", "\r\n".repeat(500_000)));
    let said = err(&check(&dir));
    assert!(said.contains("policy.holidays_ics: bank.ics: larger than 1 MB"), "{said}");
}

/// The same for what the configuration says about incoming mail.
#[test]
fn all_errors_about_incoming_mail_are_told_at_once() {
    let wrong = r#"[desk]
name = "Example"
address = "security@example.org"
key = "desk.key.asc"
state = "state"
language = "xx"
plus_address = "yes"

[inbox]
own_lists = ["security@lists.example.org", "Security List", "security"]
relay_junk = 0

[inbox.authentication]
form = "rfc8601"

[inbox.imap]
host = "127.0.0.1"
tls = "none"
user = "x"
password = { file = "credentials/imap" }
junk = "INBOX"

[outbox.maildir]
path = "outbox"

[policy]
digest = "25:00"
silence = "a while"

[limits]
per_address_per_day = -1
per_domain_per_hour = 4294967296
per_hour = "many"
per_week = 1

[report]
languages = ["en", "xx"]
patterns = ["missing.toml", "people/ada.asc", "nameless.toml", "odd.toml"]
"#;
    let dir = desk(wrong);
    fs::write(dir.path().join("nameless.toml"), "steps = [\"so geht es\"]\n").unwrap();
    fs::write(dir.path().join("odd.toml"), "language = \"Latin\"\nsteps = [\"\"]\n").unwrap();
    let checked = check(&dir);
    assert_eq!((checked.status.code(), out(&checked).as_str()), (Some(2), ""));
    let said = err(&checked);
    for expected in [
        "psirtd.toml:6: desk.language: no letters in “xx” are compiled in, only in en, de; others: desk.templates",
        "psirtd.toml:7: desk.plus_address: expected true or false, found string",
        "psirtd.toml:10: inbox.own_lists: “Security List” is no list: write its address",
        "psirtd.toml:10: inbox.own_lists: “security” is no list: write its address",
        "psirtd.toml:11: inbox.relay_junk: expected true or false, found integer",
        "psirtd.toml:13: inbox.authentication.authserv_id: missing; write for example authserv_id = [\"mx.example.org\"]",
        "psirtd.toml:21: inbox.imap.junk: it is one of folders, or processed",
        "psirtd.toml:27: policy.digest: “25:00” is no time of day, such as “09:00”",
        "psirtd.toml:28: policy.silence: “a while”: write “15 minutes” or “1 hour”; between 1 second and 24 hours",
        "psirtd.toml:31: limits.per_address_per_day: expected a whole number",
        "psirtd.toml:32: limits.per_domain_per_hour: too many",
        "psirtd.toml:33: limits.per_hour: expected a whole number, found string",
        "psirtd.toml:34: limits.per_week: unknown key; known here: per_address_per_day, ",
        "psirtd.toml:37: report.languages: no phrases in “xx” are compiled in, only in en, de, fr, es; others: report.patterns",
        "psirtd.toml:38: report.patterns: missing.toml: No such file",
        "psirtd.toml:38: report.patterns: people/ada.asc: ",
        "psirtd.toml:38: report.patterns: nameless.toml: it names no language",
        "psirtd.toml:38: report.patterns: odd.toml: “” is no phrase",
    ] {
        assert_eq!(said.matches(expected).count(), 1, "{expected}\n--- in ---\n{said}");
    }
    assert_eq!(said.matches("psirtd.toml:").count(), 18, "and nothing else: {said}");
}

#[test]
fn whose_word_counts_is_said_in_one_form() {
    let section = |lines: &str| format!("{MAILDIR_DESK}\n[inbox.authentication]\n{lines}\n");
    let known = "is not rfc8601 or exchange-online";
    for (lines, why) in [
        ("", "authserv_id: missing; write for example authserv_id = [\"mx.example.org\"]"),
        ("authserv_id = []", "authserv_id: missing;"),
        ("authserv_id = \"mx.example.org\"", "authserv_id: expected a list of texts, found string"),
        ("form = \"gmail\"\nauthserv_id = [\"mx.example.org\"]", known),
        ("form = \"gmail\"", known),
        (
            "form = \"exchange-online\"\nauthserv_id = [\"mx.example.org\"]",
            "authserv_id: Exchange Online names none: leave it out",
        ),
    ] {
        let checked = check(&desk(&section(lines)));
        assert_eq!(checked.status.code(), Some(2), "{lines}: {}", out(&checked));
        assert!(err(&checked).contains(why), "{lines}: {}", err(&checked));
    }
    for lines in
        ["form = \"exchange-online\"", "authserv_id = [\"mx.example.org\"]\nreceived_by = \"mx.example.org\""]
    {
        let checked = check(&desk(&section(lines)));
        assert!(checked.status.success(), "{lines}: {}", err(&checked));
    }
}

#[test]
fn broken_toml_is_named_by_its_line() {
    let dir = desk("[desk]\nname = \"x\naddress = 3\n");
    let checked = check(&dir);
    assert_eq!(checked.status.code(), Some(2));
    assert!(err(&checked).contains("psirtd.toml:2: "), "{}", err(&checked));
}

#[test]
fn a_missing_configuration_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let cases = psirtd(dir.path(), &["--config", "nowhere.toml", "cases"]);
    assert_eq!(cases.status.code(), Some(2));
    assert!(err(&cases).contains("psirtd init --dir"), "{}", err(&cases));
}

#[test]
fn a_public_key_is_no_desk_key() {
    let dir = desk(MAILDIR_DESK);
    let public = psirtd(dir.path(), &["--config", "psirtd.toml", "key", "export"]);
    fs::write(dir.path().join("desk.key.asc"), out(&public)).unwrap();
    let checked = check(&dir);
    assert_eq!(checked.status.code(), Some(2));
    assert!(err(&checked).contains("but the secret key is needed"), "{}", err(&checked));
}

#[test]
fn a_coordinator_without_a_certificate_is_warned_of() {
    let dir = desk(&MAILDIR_DESK.replace("cert = \"people/ada.asc\"\n", ""));
    let checked = check(&dir);
    assert!(checked.status.success());
    assert!(
        out(&checked)
            .contains("warn  no certificate for ada@example.org: letters to ada@example.org are held"),
        "{}",
        out(&checked)
    );
}

#[test]
fn a_wrong_template_is_found_by_check() {
    let dir =
        desk(&MAILDIR_DESK.replace("state = \"state\"\n", "state = \"state\"\ntemplates = \"templates\"\n"));
    fs::write(dir.path().join("templates/relay.txt"), "Subject: x\n\n{{ nobody_knows_this }}\n").unwrap();
    let checked = check(&dir);
    assert_eq!(checked.status.code(), Some(2));
    assert!(err(&checked).contains("desk.templates: template relay.txt"), "{}", err(&checked));
}

#[test]
fn without_a_daemon_the_store_is_opened_by_the_command() {
    let dir = desk(MAILDIR_DESK);
    let cases = psirtd(dir.path(), &["--config", "psirtd.toml", "cases", "--json"]);
    assert!(cases.status.success(), "{}", err(&cases));
    assert_eq!(serde_json::from_slice::<Value>(&cases.stdout).unwrap(), Value::Array(Vec::new()));
    let case = psirtd(dir.path(), &["--config", "psirtd.toml", "case", "EX-2026-0001"]);
    assert_eq!((case.status.code(), err(&case).trim()), (Some(1), "psirtd: there is no case EX-2026-0001"));
    let released = psirtd(dir.path(), &["--config", "psirtd.toml", "outbox", "release", "EX-2026-0001.1"]);
    assert_eq!(
        (released.status.code(), err(&released).trim()),
        (Some(1), "psirtd: there is no letter EX-2026-0001.1")
    );
    let verified = psirtd(dir.path(), &["--config", "psirtd.toml", "journal", "verify"]);
    assert!(out(&verified).contains("0 records, chain intact"), "{}{}", out(&verified), err(&verified));
}

/// What a person sees on a terminal, and what a program reads that is not asked.
#[test]
fn colours_are_for_terminals() {
    let desk = Desk::builder().start(&Clock::System.now().to_string()).open();
    desk.receives(
        "From: Rita <rita@example.net>\nSubject: Overflow\nMessage-ID: <r@example.net>\n\nA report.\n",
    );
    let case = &*case_ids(&desk.cases())(1);
    desk.steps_aside();
    let run = |program: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(program);
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "PSIRTD_CONFIG", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command.env("TERM", "xterm-256color").envs(variables.iter().copied());
        let output = command.args(arguments).current_dir(desk.dir()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        out(&output).replace("\r\n", "\n")
    };
    for question in [&["cases"][..], &["case", case]] {
        let arguments = [&["--config", "psirtd.toml"], question].concat();
        let piped = |variables: &[(&str, &str)]| run(PROGRAM, &arguments, variables);
        let shell = format!("stty cols 100; {PROGRAM} {}", arguments.join(" "));
        let terminal = |variables: &[(&str, &str)]| run("script", &["-qec", &shell, "/dev/null"], variables);
        let coloured = |shown: &str| shown.contains("\u{1b}[");
        let plain = piped(&[]);
        assert!(!coloured(&plain) && plain.contains(case), "{plain}");
        assert!(coloured(&piped(&[("CLICOLOR_FORCE", "1")])));
        assert_eq!(piped(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
        assert!(coloured(&terminal(&[])));
        assert!(coloured(&terminal(&[("NO_COLOR", "")])), "an empty one says nothing");
        assert!(!coloured(&terminal(&[("NO_COLOR", "1")])));
        assert!(!coloured(&terminal(&[("TERM", "dumb")])));
        assert!(!coloured(&terminal(&[("CLICOLOR", "0")])));
    }
}

/// An operator's shell has none of systemd's credentials: what needs no secret works without them.
#[test]
fn the_operator_needs_no_secrets_while_the_daemon_runs() {
    let protected = MAILDIR_DESK
        .replace("state = \"state\"", "state = \"state\"\npassphrase = { credential = \"desk-key\" }");
    let dir = desk(&protected);
    let run = |arguments: &[&str]| {
        let mut all = vec!["--config", "psirtd.toml"];
        all.extend(arguments);
        psirtd(dir.path(), &all)
    };
    let child = Command::new(PROGRAM)
        .args(["--config", "psirtd.toml", "run"])
        .current_dir(dir.path())
        .env("CREDENTIALS_DIRECTORY", dir.path().join("credentials"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Running(child);
    await_socket(&dir.path().join("state/control.sock"));
    for command in [&["cases"][..], &["outbox"], &["journal", "verify"], &["key", "show"], &["key", "export"]]
    {
        let output = run(command);
        assert!(output.status.success(), "{command:?}: {}", err(&output));
    }
    drop(daemon);
    // the doors' passwords are not there, and not needed to look at a mail
    let doors = desk(&read("config/psirtd.toml"));
    fs::write(doors.path().join("a.eml"), "From: rita@example.net\n\nA report.\n").unwrap();
    let explained = psirtd(doors.path(), &["--config", "psirtd.toml", "explain", "a.eml"]);
    assert!(explained.status.success(), "{}", err(&explained));
    let offline = run(&["cases"]);
    assert_eq!(offline.status.code(), Some(2));
    assert!(err(&offline).contains("systemd passes no credentials here"), "{}", err(&offline));
}

#[test]
fn explain_reads_standard_input_and_goes_on_after_a_missing_file() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["explain", "--json", "nowhere.eml", "-"])
        .env_remove("PSIRTD_CONFIG")
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mail = b"From: Rita <rita@example.net>\nSubject: Hello\nMessage-ID: <1@example.net>\nAuto-Submitted: auto-replied\n\nText\n";
    child.stdin.take().unwrap().write_all(mail).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("nowhere.eml: No such file"), "{}", err(&output));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "file": "-", "kind": "automatic", "answer": false, "why_no_answer": "auto-submitted: auto-replied",
        "from": "rita@example.net", "subject": "Hello", "message_id": "<1@example.net>", "encrypted": "none", "decrypted": false,
        "problem": null, "signature": "none", "signer": null, "text": "Text\n", "letters": [],
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&seen[key], value, "{key}");
    }
}

#[test]
fn the_systemd_unit_is_valid_and_strict() {
    let dir = tempfile::tempdir().unwrap();
    // systemd-analyze wants the program to exist
    let unit = read("systemd/psirtd.service").replace("/usr/local/bin/psirtd", PROGRAM);
    fs::write(dir.path().join("psirtd.service"), unit).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).current_dir(dir.path()).output();
        output.expect("systemd-analyze is there: .ci/packages test installs it")
    };
    let verified = analyze(&["verify", "./psirtd.service"]);
    assert!(verified.status.success() && err(&verified).is_empty(), "{}", err(&verified));
    let security = out(&analyze(&["security", "--offline=true", "--no-pager", "./psirtd.service"]));
    let level = security.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    let exposure: f64 = level.split(": ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    println!("exposure level {exposure}");
    assert!(exposure < 1.5, "{level}");
}

/// `psirtd --config psirtd.toml ...` in the folder of a desk: exit code, output, what is wrong.
fn at(dir: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = psirtd(dir.path(), &[&["--config", "psirtd.toml"], arguments].concat());
    (output.status.code().unwrap(), out(&output), err(&output))
}

#[test]
fn the_list_is_kept_on_the_command_line() {
    let one = desk(MAILDIR_DESK);
    for name in ["acme", "beta"] {
        fs::write(one.path().join(format!("{name}.asc")), certificate(&format!("security@{name}.example")))
            .unwrap();
    }
    assert_eq!(at(&one, &["members"]).1, "nobody is on the list\n");
    let add = ["members", "add", "acme", "security@acme.example", "Acme", "Linux", "--text", "acme.asc"];
    let (code, said, wrong) = at(&one, &add);
    assert_eq!((code, wrong.as_str()), (0, ""));
    assert!(said.starts_with("acme is on the list; it has not accepted the embargo policy"), "{said}");
    let add = ["members", "add", "beta", "security@beta.example", "--text", "beta.asc"];
    assert_eq!(at(&one, &add).0, 0);
    assert_eq!(at(&one, &["members", "suspend", "beta"]).1, "beta is suspended\n");
    let table = at(&one, &["members"]).1;
    let lines: Vec<&str> = table.lines().map(str::trim_start).collect();
    assert!(lines[0].starts_with("MEMBER  STATE      KEY UNTIL "), "{table}");
    assert!(lines[1].starts_with("acme    active     "), "{table}");
    assert!(lines[2].starts_with("Acme Linux · security@acme.example · "), "{table}");
    assert!(lines[3].starts_with("beta    suspended  "), "{table}");
    assert!(lines[4].starts_with("beta · security@beta.example · "), "{table}");
    let shown = at(&one, &["members", "show", "acme"]).1;
    assert!(shown.contains("Acme Linux") && shown.contains("put on the list"), "{shown}");
    let listed: Value = serde_json::from_str(&at(&one, &["--json", "members", "list"]).1).unwrap();
    assert_eq!((&listed[0]["id"], &listed[1]["state"]), (&"acme".into(), &"suspended".into()));
    assert!(listed[0]["certificates"][0]["armored"].is_null(), "a list is for the eye");

    let file = at(&one, &["members", "export"]).1;
    let other = desk(MAILDIR_DESK);
    fs::write(other.path().join("members.json"), &file).unwrap();
    let (code, said, _) = at(&other, &["members", "import", "members.json"]);
    assert_eq!((code, said.as_str()), (0, "members: 2 new, 0 changed, 0 as they were\n"));
    assert_eq!(at(&other, &["members", "export"]).1, file);

    for (arguments, code, told) in [
        (vec!["members", "show", "gamma"], 1, "there is no member gamma: “psirtd members” lists them"),
        (vec!["members", "suspend", "beta"], 1, "beta is suspended"),
        (vec!["members", "add", "a b", "x@y.example", "--text", "acme.asc"], 2, "it has to be one word"),
        (vec!["members", "add", "a_b", "x@y.example", "--text", "acme.asc"], 2, "cannot name a member"),
        (vec!["members", "add", "gamma", "x@y.example"], 2, "--text"),
        (
            vec!["members", "review", "acme", "0", "met"],
            2,
            "say it like this: members review acme-linux 3 met",
        ),
        (
            vec!["members", "add", "gamma", "x@y.example", "--text", "people/ada.asc"],
            1,
            "no OpenPGP certificate in the text",
        ),
        (vec!["members", "import", "acme.asc"], 1, "this is no JSON"),
        (vec!["members", "dance"], 2, "dance"),
        (vec!["do", "-", "approve", "3"], 1, "there is no proposal 3"),
        (vec!["do", "-", "take"], 1, "no case is named: “-” is for a command that is about none"),
        (vec!["exposure", "EX-2026-0001", "--at", "soon"], 2, "such as 2026-12-01T14:30:00Z"),
        (vec!["exposure", "EX-2026-0001", "--at", "2999-12-01T14:30:00Z"], 2, "is still to come"),
        (
            vec!["do", "EX-2026-0001", "notice", "--text", "acme.asc", "--attach", "/dev/zero"],
            1,
            "more than 16 MiB together",
        ),
        (vec!["do", "-", "members", "list"], 1, "psirtd members list"),
        (
            vec!["do", "EX-2026-0001", "take", "--attach", "acme.asc"],
            2,
            "only “notice” and “update” take files",
        ),
    ] {
        let (exit, _, wrong) = at(&one, &arguments);
        assert_eq!(exit, code, "{arguments:?}: {wrong}");
        assert!(wrong.contains(told), "{arguments:?}: {wrong}");
    }
}

#[test]
fn everything_that_is_wrong_with_the_list_is_told_at_once() {
    let wrong = r#"
[distributors]
address = "nobody"
policy = ""
criteria = ["One.", { text = "Two.", kind = "luck" }, { kind = "vouch" }, 3]
most = "90 hours"
not_on = ["someday"]
at_least = "31 days"
at_most = "3 days"
four_eyes = true
attest = "often"
remind = "14"
marks = [["a", "a"], [], "b"]
"#;
    let dir = desk(&format!("{MAILDIR_DESK}{wrong}"));
    let checked = check(&dir);
    assert_eq!(checked.status.code(), Some(2));
    let said = err(&checked);
    let first = MAILDIR_DESK.lines().count() + 2;
    for (line, told) in [
        (1, "distributors.address: “nobody” is no address"),
        (2, "distributors.policy: one line of text is expected"),
        (3, "distributors.criteria[2].kind: “luck” is not evidence, acceptance or vouch"),
        (3, "distributors.criteria[3].text: missing"),
        (3, "distributors.criteria: expected a text in quotes, or { text"),
        (4, "distributors.most: “90 hours”: in days, please"),
        (5, "distributors.not_on: “someday” is no day of the week"),
        (6, "distributors.at_least: 31 days is more than at_most, 3 days"),
        (8, "distributors.four_eyes: it takes two [[person]]s with the role coordinator"),
        (9, "distributors.attest: “often” is no term"),
        (10, "distributors.remind: “14” is no term"),
        (11, "distributors.marks: “a” stands twice in one place"),
        (11, "distributors.marks: each place of the sentence is a list"),
    ] {
        let expected = format!("psirtd.toml:{}: {told}", first + line);
        assert!(said.contains(&expected), "{expected}\n{said}");
    }
    let right = "[distributors]\naddress = \"distributors@example.org\"\nfour_eyes = false\nattest = \"never\"\nat_least = \"none\"\n";
    let checked = check(&desk(&format!("{MAILDIR_DESK}\n{right}")));
    assert!(checked.status.success(), "{}", err(&checked));
    let told = "warn  distributors: without desk.plus_address a bounce of a notice cannot name its member";
    assert!(out(&checked).contains(told), "{}", out(&checked));
}

/// Two signatures are of two persons only when each has a key of their own.
#[test]
fn coordinators_who_cannot_sign_apart_are_told_of() {
    let list = "[distributors]\naddress = \"distributors@example.org\"\n";
    let ben = |cert: &str| {
        let person = "[[person]]\naddress = \"coordinator@example.org\"\nroles = [\"coordinator\"]";
        format!("{MAILDIR_DESK}\n{person}\n{cert}\n{list}")
    };
    let told = "warn  distributors: two have to sign, and 1 of 2 coordinators can sign apart from the others, by a cert of their own: \
                nothing can be approved";
    let apart = out(&check(&desk(&ben("cert = \"people/coordinator.asc\""))));
    assert!(!apart.contains("two have to sign"), "{apart}");
    assert!(apart.contains("two coordinators sign what a notice says"), "{apart}");
    for cert in ["", "cert = \"people/ada.asc\""] {
        let checked = check(&desk(&ben(cert)));
        assert!(out(&checked).contains(told), "{}", out(&checked));
        let insisted = check(&desk(&format!("{}four_eyes = true\n", ben(cert))));
        assert_eq!(insisted.status.code(), Some(2));
        let why = "distributors.four_eyes: it takes two [[person]]s with the role coordinator, each with a cert of their own";
        assert!(err(&insisted).contains(why), "{}", err(&insisted));
        // with one pair of eyes nothing is wrong
        let alone = out(&check(&desk(&format!("{}four_eyes = false\n", ben(cert)))));
        assert!(!alone.contains("two have to sign"), "{alone}");
    }
    let third = "[[person]]\naddress = \"maintainer@example.org\"\nroles = [\"coordinator\"]\ncert = \"people/ada.asc\"\n";
    let shared = out(&check(&desk(&format!("{third}{}", ben("cert = \"people/coordinator.asc\"")))));
    let told = "2 of 3 coordinators can sign apart from the others, by a cert of their own: one key can sign for two of them";
    assert!(shared.contains(told), "{shared}");
}
