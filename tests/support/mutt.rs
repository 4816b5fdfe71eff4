//! mutt and neomutt, as people write and answer mails with them.
//!
//! ```ignore
//! let mutt = Mutt::new("neomutt", &gpg, "ada@example.org", &smtp);
//! mutt.writes("security@example.org", "[EX-2026-0001] taken", "!take\n", Protection::Signed);
//! mutt.replies(&relay, Words { above: "!take\n", below: "" }, Protection::Encrypted);
//! ```
//!
//! Neither signs in batch mode (`mutt -s SUBJECT ADDRESS < BODY`, also with `-H`): there `crypt_autosign` counts for nothing. Keys
//! from `-e 'push y'` do not help either, for both forget them when the editor ends. So both run in a terminal, which `script`
//! makes, and their questions are answered when they are asked, by what then stands on the screen: `y` in the menu "Compose"
//! sends; keys of unknown validity are confirmed. A program that asks something else is ended after half a minute, and the test
//! fails with the screen.
//!
//! With `autoedit` and `edit_headers` nothing is asked before the editor, a small script that puts the words above and below
//! what the program quotes, and gives the file another time, lest it be taken for unchanged. The programs compare times once more,
//! of a file of their own, which is written twice within a second; they step back its time if the clock says the same second, and
//! the clock they ask is some milliseconds behind the one of files. With `abort_unmodified=no` they go on. For the same reason they
//! may find a text modified behind their back, and ask whether to look at its encoding again. GPGME works here,
//! as it does for people, and is used; but it makes no inline signature, for which the programs call `gpg` themselves, as Debian
//! sets it up (`Protection::Inline`).
//!
//! The mail goes to the `mx_port` of a private Postfix. All other settings are those of Debian, until `set` changes them.

use super::gpg::Gpg;
use super::postfix::Postfix;
use super::program::{Home, path};
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Protection {
    None,
    Signed,
    /// Signed and encrypted.
    Encrypted,
    /// A cleartext signature.
    Inline,
}

/// What somebody writes around what the program quotes.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    pub above: &'a str,
    pub below: &'a str,
}

pub struct Mutt<'a> {
    program: &'static str,
    gpg: &'a Gpg,
    smtp: &'a Postfix,
    address: String,
    settings: Mutex<String>,
    home: Home,
}

/// The head of what the program gives to the editor stays. A program that finds the time of the file unchanged forgets the text, and
/// this is done within its second.
const EDITOR: &str = r#"#!/bin/sh
sed '/^$/q' "$1" >"$1.new"
cat "$ABOVE" >>"$1.new"
[ -z "$QUOTE" ] || sed '1,/^$/d' "$1" >>"$1.new"
cat "$BELOW" >>"$1.new"
cat "$1.new" >"$1"
rm "$1.new"
touch -t 203001010000 "$1"
"#;

/// What stands on the screen, and what is typed then; each once.
type Answers = Vec<(&'static str, &'static str)>;

impl<'a> Mutt<'a> {
    /// `mutt` or `neomutt`, of somebody whose secret key, and the desk's certificate, are in that GnuPG.
    pub fn new(program: &'static str, gpg: &'a Gpg, address: &str, smtp: &'a Postfix) -> Mutt<'a> {
        let home = Home::new("mutt");
        fs::write(home.path().join("editor"), EDITOR).unwrap();
        for folder in ["new", "cur", "tmp"] {
            fs::create_dir_all(home.path().join("mail").join(folder)).unwrap();
        }
        Mutt { program, gpg, smtp, address: address.to_owned(), settings: Mutex::default(), home }
    }

    /// A line of the configuration, from now on.
    pub fn set(&self, line: &str) {
        let mut settings = self.settings.lock().unwrap();
        settings.push_str(line);
        settings.push('\n');
    }

    /// Writes a new mail and sends it.
    #[track_caller]
    pub fn writes(&self, to: &str, subject: &str, body: &str, protection: Protection) {
        let words = Words { above: body, below: "" };
        let screen = self.talk(&["-s", subject, to], words, "", protection, vec![(": Compose", "y")]);
        assert!(screen.contains("Mail sent"), "{screen}");
    }

    /// Opens a mailbox with this mail, answers it with what it quotes between these words, and sends that.
    #[track_caller]
    pub fn replies(&self, mail: &[u8], words: Words<'_>, protection: Protection) {
        let mailbox = self.home.path().join("mail");
        fs::write(mailbox.join("new/1.mail"), mail).unwrap();
        // a mail that was not opened has only the subject that stands outside
        let answers =
            vec![("Msgs:", "\r"), ("-- End of PGP/MIME", "r"), (": Compose", "y"), ("Mail sent", "xx")];
        self.talk(&["-f", path(&mailbox)], words, "yes", protection, answers);
    }

    /// Opens a mailbox with this mail, answers everybody whom it names, and sends that.
    #[track_caller]
    pub fn replies_to_all(&self, mail: &[u8], words: Words<'_>, protection: Protection) {
        let mailbox = self.home.path().join("mail");
        fs::write(mailbox.join("new/1.mail"), mail).unwrap();
        let answers = vec![("Msgs:", "g"), (": Compose", "y"), ("Mail sent", "x")];
        self.talk(&["-f", path(&mailbox)], words, "yes", protection, answers);
    }

    /// Opens a mailbox with this encrypted mail; returns what is on the screen then.
    #[track_caller]
    pub fn shows(&self, mail: &[u8]) -> String {
        let mailbox = self.home.path().join("mail");
        fs::write(mailbox.join("new/1.mail"), mail).unwrap();
        let answers = vec![("Msgs:", "\r"), ("-- End of PGP/MIME", "xx")];
        let words = Words { above: "", below: "" };
        self.talk(&["-f", path(&mailbox)], words, "", Protection::None, answers)
    }

    fn configuration(&self, protection: Protection) -> PathBuf {
        let signs = match protection {
            Protection::None => "",
            Protection::Signed => "set crypt_autosign=yes",
            Protection::Encrypted => "set crypt_autosign=yes crypt_autoencrypt=yes",
            Protection::Inline => "set crypt_autosign=yes pgp_autoinline=yes",
        };
        let gpgme = if protection == Protection::Inline { "no" } else { "yes" };
        let (address, home) = (&self.address, self.home.path().display());
        let host = address.rsplit('@').next().unwrap();
        self.home.file(
            format!(
                "set from=\"{address}\" hostname=\"{host}\" pgp_sign_as=\"{address}\" crypt_use_gpgme={gpgme}\n\
                 set smtp_url=\"smtp://127.0.0.1:{port}\" ssl_starttls=no ssl_force_tls=no\n\
                 set editor=\"sh {home}/editor\" autoedit=yes edit_headers=yes fast_reply=yes include=yes\n\
                 set folder=\"{home}/mail\" spoolfile=\"{home}/mail\" copy=no sleep_time=0\n\
                 set abort_unmodified=no\n{signs}\n{settings}",
                port = self.smtp.mx_port,
                settings = self.settings.lock().unwrap(),
            )
            .as_bytes(),
        )
    }

    /// Runs the program to its end; returns what it showed.
    #[track_caller]
    fn talk(
        &self,
        arguments: &[&str],
        words: Words<'_>,
        quote: &str,
        protection: Protection,
        mut answers: Answers,
    ) -> String {
        answers.extend([
            ("keys matching <", "\r"),
            ("eally want to use the key", "y"),
            ("Update encoding for", "y"),
        ]);
        let quoted = |argument: &&str| format!("'{argument}'");
        let arguments = arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
        let configuration = self.configuration(protection);
        let run = format!(
            "stty rows 80 cols 100; exec {} -F {} {arguments}",
            self.program,
            configuration.display()
        );
        let mut child = Command::new("timeout")
            .args(["--foreground", "30", "script", "-qefc", &run, "/dev/null"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("GNUPGHOME", self.gpg.home())
            .envs([("TERM", "xterm"), ("LANG", "C.UTF-8"), ("QUOTE", quote)])
            .env("ABOVE", self.home.file(words.above.as_bytes()))
            .env("BELOW", self.home.file(words.below.as_bytes()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("timeout and script start");
        let (mut keys, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (mut screen, mut answered, mut chunk) = (Vec::new(), 0, [0; 4096]);
        while let Ok(count @ 1..) = shown.read(&mut chunk) {
            screen.extend_from_slice(&chunk[..count]);
            // one piece of what it shows may hold several questions: each is answered, in their order
            let next = |answered: usize, answers: &Answers| {
                let new = &screen[answered..];
                let asked = answers.iter().enumerate().filter_map(|(number, (question, _))| {
                    let at = new.windows(question.len()).position(|at| at == question.as_bytes())?;
                    Some((answered + at + question.len(), number))
                });
                asked.min()
            };
            while let Some((end, number)) = next(answered, &answers) {
                answered = end;
                keys.write_all(answers.remove(number).1.as_bytes()).unwrap();
            }
        }
        let screen = String::from_utf8_lossy(&screen).into_owned();
        let ended = child.wait().unwrap();
        assert!(ended.success(), "{} {arguments}: {ended}\n{screen:?}", self.program);
        screen
    }
}
