//! An IMAP server with one folder and an SMTP server, which answer properly until a test's hook answers instead.

use crate::support::faulty::{Conversation, FaultyImap, FaultySmtp, tag_of};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// The one folder.
pub struct Folder {
    pub validity: u32,
    pub next: u32,
    pub mails: Vec<(u32, Vec<u8>)>,
    pub seen: Vec<u32>,
    pub moved: Vec<u32>,
}

pub type Shared = Arc<Mutex<Folder>>;

/// A folder with these mails, under the UIDs 1, 2, 3, …
pub fn folder(mails: &[Vec<u8>]) -> Shared {
    let mails: Vec<(u32, Vec<u8>)> = (1..).zip(mails.iter().cloned()).collect();
    let next = mails.len() as u32 + 1;
    Arc::new(Mutex::new(Folder { validity: 7, next, mails, seen: Vec::new(), moved: Vec::new() }))
}

/// Wakes a client that idles.
pub type Bell = Sender<()>;

/// Starts the server. `hook` sees every command first, with the number of the connection, and "" before the greeting; when it
/// returns true, the command is answered. IDLE is announced; a client in IDLE hears of EXISTS when the bell rings (one bell, first come).
pub fn imap(
    folder: Shared,
    hook: impl Fn(&mut Conversation, usize, &str) -> bool + Send + Sync + 'static,
) -> (FaultyImap, Bell) {
    let (bell, rung) = channel();
    let rung = Mutex::new(rung);
    let server = FaultyImap::start(move |conversation, connection| {
        if !hook(conversation, connection, "") {
            conversation.line("* OK ready");
        }
        loop {
            let line = conversation.read_line();
            if !hook(conversation, connection, &line) {
                answer(conversation, &folder, &rung, &line);
            }
        }
    });
    (server, bell)
}

fn answer(conversation: &mut Conversation, folder: &Shared, rung: &Mutex<Receiver<()>>, line: &str) {
    let tag = tag_of(line).to_owned();
    let words: Vec<String> = line.split(' ').skip(1).map(str::to_uppercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CAPABILITY", ..] => conversation.line("* CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS"),
        ["SELECT" | "EXAMINE", ..] => {
            let (count, validity, next) = {
                let folder = folder.lock().unwrap();
                (folder.mails.len(), folder.validity, folder.next)
            };
            conversation.line(&format!("* {count} EXISTS"));
            conversation.line(&format!("* OK [UIDVALIDITY {validity}] valid"));
            conversation.line(&format!("* OK [UIDNEXT {next}] next"));
        }
        ["UID", "FETCH", set, what @ ..] => fetch(conversation, folder, set, &what.join(" ")),
        ["UID", "MOVE", set, ..] => {
            let mut folder = folder.lock().unwrap();
            let (gone, stay) = folder.mails.drain(..).partition(|(uid, _)| in_set(set, *uid));
            folder.mails = stay;
            let gone: Vec<(u32, Vec<u8>)> = gone;
            folder.moved.extend(gone.iter().map(|(uid, _)| *uid));
        }
        ["UID", "STORE", set, ..] => {
            let mut folder = folder.lock().unwrap();
            let marked: Vec<u32> =
                folder.mails.iter().map(|(uid, _)| *uid).filter(|uid| in_set(set, *uid)).collect();
            folder.seen.extend(marked);
        }
        ["IDLE"] => {
            conversation.line("+ idling");
            // a test that ends drops the bell
            if rung.lock().unwrap().recv().is_ok() {
                let count = folder.lock().unwrap().mails.len();
                conversation.line(&format!("* {count} EXISTS"));
            }
            conversation.expect("DONE");
        }
        _ => {}
    }
    conversation.line(&format!("{tag} OK done"));
}

fn fetch(conversation: &mut Conversation, folder: &Shared, set: &str, what: &str) {
    let (mails, seen) = {
        let folder = folder.lock().unwrap();
        (folder.mails.clone(), folder.seen.clone())
    };
    for (number, (uid, raw)) in (1..).zip(mails).filter(|(_, (uid, _))| in_set(set, *uid)) {
        let flags = if seen.contains(&uid) { "\\Seen" } else { "" };
        if what.contains("BODY.PEEK[]") {
            body(conversation, number, uid, &raw);
        } else {
            conversation
                .line(&format!("* {number} FETCH (UID {uid} FLAGS ({flags}) RFC822.SIZE {})", raw.len()));
        }
    }
}

/// One mail as an answer to FETCH.
pub fn body(conversation: &mut Conversation, number: u32, uid: u32, raw: &[u8]) {
    conversation.raw(format!("* {number} FETCH (UID {uid} BODY[] {{{}}}\r\n", raw.len()).as_bytes());
    conversation.raw(raw);
    conversation.line(")");
}

fn in_set(set: &str, uid: u32) -> bool {
    set.split(',').any(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let first: u32 = first.parse().unwrap();
        if last == "*" { uid >= first } else { (first..=last.parse().unwrap()).contains(&uid) }
    })
}

/// Starts an SMTP server that takes everything. `hook` sees every command first, "" before the greeting, and `.` when a letter's text has ended; when
/// it returns true, the command is answered. The letters taken, with their recipients, are in the list.
pub fn smtp(
    hook: impl Fn(&mut Conversation, usize, &str) -> bool + Send + Sync + 'static,
) -> (FaultySmtp, Letters) {
    let letters = Letters::default();
    let taken = letters.clone();
    let server = FaultySmtp::start(move |conversation, connection| {
        if !hook(conversation, connection, "") {
            conversation.line("220 ready");
        }
        let mut recipient = String::new();
        loop {
            let line = conversation.read_line();
            if hook(conversation, connection, &line) {
                continue;
            }
            match line.split([' ', ':']).next().unwrap_or("").to_uppercase().as_str() {
                "EHLO" => conversation.line("250 scripted"),
                "RCPT" => {
                    recipient = line.split(['<', '>']).nth(1).unwrap_or("").to_owned();
                    conversation.line("250 ok");
                }
                "DATA" => {
                    conversation.line("354 go on");
                    let text = conversation.read_data().join("\n");
                    taken.lock().unwrap().push((recipient.clone(), text));
                    if !hook(conversation, connection, ".") {
                        conversation.line("250 2.0.0 queued");
                    }
                }
                "QUIT" => {
                    conversation.line("221 bye");
                    return;
                }
                _ => conversation.line("250 ok"),
            }
        }
    });
    (server, letters)
}

/// Recipient and text of every letter whose text came to its end.
pub type Letters = Arc<Mutex<Vec<(String, String)>>>;
