//! `psirtd demo`: the main job on an embedded default, no server needed.
//!
//! # What it is for
//! Makes a desk of its own (keys, configuration, a local Maildir in, a local Maildir out), runs the *same daemon* as production
//! on it, lets real reports arrive, and shows what happens as it happens. What is left behind can be looked at with every
//! other command.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use crate::cli::runtime;
use crate::cli::show::case_table;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{self, Question};
use crate::daemon::Daemon;
use crate::domain::event::{Event, What};
use crate::domain::message::{Encryption, Mailbox};
use crate::domain::posting::Posting;
use crate::keyring::{self, Keyring};
use crate::pipeline::Handle;
use crate::seal::pgp::sign_and_encrypt;

/// A demo that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A mail of the demo, and what to say about it.
struct Scene {
    file: &'static str,
    told: &'static str,
    raw: String,
}

/// Runs the demo in a new folder.
pub(super) fn run(dir: Option<PathBuf>, clock: Clock) -> Result<(), String> {
    let dir = folder(dir).map_err(|error| format!("no folder for the demo: {error}"))?;
    let now = clock.now();
    let sam = Mailbox { name: Some("Sam Secret".to_owned()), address: "sam@example.com".to_owned() };
    let sam_key = keyring::generate(&sam, now, false).map_err(|error| error.to_string())?;
    make_desk(&dir, now, &sam_key).map_err(|error| format!("{}: {error}", dir.display()))?;
    let config = Config::load(&dir.join("psirtd.toml"), now).map_err(|error| error.to_string())?;
    let scenes = scenes(&config, &sam_key, now)?;
    println!("A desk of its own in {}\n", dir.display());
    runtime().map_err(|error| error.to_string())?.block_on(play(&dir, config, clock, scenes))?;
    println!(
        "\nThe letters lie in {dir}/outbox/new: acknowledgements are signed, relays are encrypted to Ada.\n\
         Read one:            less {dir}/outbox/new/DEMO-{year}-0001.1.eml\n\
         Read one as Ada:     psirtd explain --key {dir}/people/ada.key.asc {dir}/outbox/new/DEMO-{year}-0001.2.eml\n\
         Look at a case:      psirtd --config {dir}/psirtd.toml case DEMO-{year}-0001\n\
         Go on with the desk: psirtd --config {dir}/psirtd.toml run   (put mails into {dir}/inbox/new)",
        dir = dir.display(),
        year = now.strftime("%Y"),
    );
    Ok(())
}

fn folder(dir: Option<PathBuf>) -> io::Result<PathBuf> {
    match dir {
        Some(dir) if dir.exists() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} exists", dir.display())))
        }
        Some(dir) => std::fs::create_dir_all(&dir).and_then(|()| dir.canonicalize()),
        None => Ok(tempfile::Builder::new().prefix("psirtd-demo-").tempdir()?.keep()),
    }
}

/// Keys, certificates, configuration.
fn make_desk(dir: &Path, now: Timestamp, sam_key: &str) -> io::Result<()> {
    let key = |name: &str, address: &str| {
        let mailbox = Mailbox { name: Some(name.to_owned()), address: address.to_owned() };
        keyring::generate(&mailbox, now, false).map_err(io::Error::other)
    };
    for folder in ["people", "reporters"] {
        std::fs::create_dir_all(dir.join(folder))?;
    }
    std::fs::write(
        dir.join("desk.key.asc"),
        key("Demo Project Security", "security@example.org")?.as_bytes(),
    )?;
    // a real desk has only Ada's certificate; the demo keeps her key, so that you can read what she gets
    std::fs::write(dir.join("people/ada.key.asc"), key("Ada Coordinator", "ada@example.org")?.as_bytes())?;
    std::fs::write(dir.join("reporters/sam.asc"), public(sam_key)?)?;
    std::fs::write(dir.join("psirtd.toml"), include_str!("psirtd.toml"))
}

/// The certificate of a secret key.
fn public(key: &str) -> io::Result<String> {
    let mut keyring = Keyring::new();
    keyring.add_secret_keys(key.as_bytes(), None).map_err(io::Error::other)?;
    keyring.desk_armored().map_err(io::Error::other)
}

fn scenes(config: &Config, sam_key: &Zeroizing<String>, now: Timestamp) -> Result<Vec<Scene>, String> {
    let date = now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
    let dated = |text: &str| text.replace("{{date}}", &date);
    let mut sam = Keyring::new();
    sam.add_secret_keys(sam_key.as_bytes(), None).map_err(|error| error.to_string())?;
    let desk = config.keyring.desk().ok_or("the demo desk has no key")?;
    let signer = sam.signer(now).map_err(|error| error.to_string())?;
    let inner = include_str!("encrypted.eml").replace('\n', "\r\n");
    let ciphertext = sign_and_encrypt(inner.as_bytes(), signer, std::slice::from_ref(desk), now, now)?;
    let encrypted = dated(include_str!("encrypted-outside.eml"))
        .replace("{{ciphertext}}", &String::from_utf8_lossy(&ciphertext));
    Ok(vec![
        Scene {
            file: "1",
            told: "Rita reports in plain text, with an attachment",
            raw: dated(include_str!("plain.eml")),
        },
        Scene {
            file: "2",
            told: "Sam reports with PGP/MIME, encrypted and signed, his subject hidden",
            raw: encrypted,
        },
        Scene {
            file: "3",
            told: "Rita adds something in the same thread",
            raw: dated(include_str!("follow-up.eml")),
        },
        Scene {
            file: "4",
            told: "A bounce comes back from somewhere",
            raw: dated(include_str!("bounce.eml")),
        },
        Scene { file: "5", told: "Vera is out of office", raw: dated(include_str!("out-of-office.eml")) },
    ])
}

async fn play(dir: &Path, config: Config, clock: Clock, scenes: Vec<Scene>) -> Result<(), String> {
    let mut daemon = Daemon::open(config, clock.clone()).map_err(|error| error.to_string())?;
    let pipeline = daemon.pipeline().clone();
    let mut happening = pipeline.watch();
    daemon.open_doors();
    let showing = async {
        for scene in scenes {
            println!("{}", scene.told);
            arrive(dir, &scene).map_err(|error| format!("{}: {error}", dir.display()))?;
            tokio::time::timeout(PATIENCE, until_done(&mut happening, &pipeline))
                .await
                .map_err(|_| format!("nothing happened for {} s", PATIENCE.as_secs()))??;
            println!();
        }
        let cases = control::answer(&Question::Cases, &pipeline, clock.now()).await?;
        println!("{}", case_table(&cases, clock.now()));
        Ok(())
    };
    let shown: Result<(), String> = showing.await;
    drop(pipeline);
    daemon.close().await.map_err(|error| error.to_string())?;
    shown
}

/// Delivers a mail into the inbox as a mail server would.
fn arrive(dir: &Path, scene: &Scene) -> io::Result<()> {
    let inbox = dir.join("inbox");
    for folder in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(inbox.join(folder))?;
    }
    let unfinished = inbox.join("tmp").join(scene.file);
    std::fs::write(&unfinished, &scene.raw)?;
    std::fs::rename(unfinished, inbox.join("new").join(scene.file))
}

/// Shows what happens until a mail is recorded and no letter is under way.
async fn until_done(
    happening: &mut broadcast::Receiver<Arc<Vec<Event>>>,
    pipeline: &Handle,
) -> Result<(), String> {
    let mut recorded = false;
    loop {
        let events = happening.recv().await.map_err(|error| error.to_string())?;
        for event in events.iter() {
            println!("    {}", told(event));
            recorded = recorded || matches!(event.what, What::MailRecorded { .. });
        }
        let postings = pipeline.reader().index.postings().map_err(|error| error.to_string())?;
        if recorded && !postings.iter().any(Posting::is_under_way) {
            return Ok(());
        }
    }
}

fn told(event: &Event) -> String {
    let case = event.case.as_ref().map_or("no case", |case| case.as_str());
    match &event.what {
        What::CaseOpened { missing, .. } => {
            let lacks: Vec<&str> = missing.iter().map(|item| item.word()).collect();
            let lacks =
                if lacks.is_empty() { String::new() } else { format!(", lacks {}", lacks.join(", ")) };
            format!("{case}: case opened{lacks}")
        }
        What::MailRecorded { kind, why_no_answer, encryption, signature, .. } => {
            let answer = why_no_answer.as_ref();
            let answer = answer.map_or_else(String::new, |why| format!("; no automatic answer ({why})"));
            let encryption = match encryption {
                Encryption::None => "in the clear",
                Encryption::Whole => "encrypted",
                Encryption::Part => "encrypted in part",
            };
            format!("{case}: recorded as {}, {encryption}, signature: {signature}{answer}", kind.word())
        }
        What::CertificateSeen { address, certificate, in_use, .. } => {
            let used = if *in_use { "remembered" } else { "not used, another one is held" };
            format!("{case}: certificate {} of {address}: {used}", certificate.fingerprint)
        }
        What::SignatureChecked { verdict, .. } => format!("{case}: signature checked again: {verdict}"),
        What::CertificateAccepted { address, fingerprint } => {
            format!("{case}: certificate {fingerprint} of {address} accepted")
        }
        What::CaseMerged { into, .. } => format!("{case}: merged into {into}"),
        What::MailMoved { to, .. } => format!("{case}: a mail became case {to}"),
        What::Restored { backup, .. } => format!("brought back from a backup of {backup}"),
        What::Digested { .. } => format!("{case}: coordinators told what was not answered"),
        What::Told { concerns } => format!("{case}: coordinators warned of {}", concerns.len()),
        What::LetterQueued { letter, kind, to, .. } => {
            format!("{case}: {} {letter} sealed for {}", kind.word(), to.address)
        }
        What::LetterHeld { letter, kind, reason, withheld, .. } => {
            let held = if *withheld { "kept back" } else { "held" };
            format!("{case}: {} {letter} {held}: {reason}", kind.word())
        }
        What::LetterSent { letter, .. } => format!("{case}: letter {letter} sent"),
        What::LetterDeferred { letter, reply, .. } => format!("{case}: letter {letter} deferred: {reply}"),
        What::LetterReturned { letter, reply } => format!("{case}: letter {letter} returned: {reply}"),
        What::LetterStopped { letter, .. } => format!("{case}: letter {letter} stopped"),
        What::LetterReleased { letter, .. } => format!("{case}: letter {letter} released"),
        // nobody of the team works in the demo
        other => {
            let told = serde_json::to_value(other).unwrap_or_default();
            let name = told.get("event").and_then(serde_json::Value::as_str);
            format!("{case}: {}", name.unwrap_or_default())
        }
    }
}
