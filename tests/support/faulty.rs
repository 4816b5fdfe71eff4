//! Hand-scripted fake servers in plain text, for faults a real server will not produce.
//!
//! ```ignore
//! let imap = FaultyImap::start(|conversation, connection| {
//!     conversation.line("* OK ready");
//!     let login = conversation.expect("LOGIN");
//!     conversation.line(&format!("{} NO [UNAVAILABLE] later", tag_of(&login)));
//!     if connection > 1 { conversation.close() }
//! });
//! // ... a client connects to 127.0.0.1, imap.port ...
//! assert!(imap.transcript().iter().any(|line| line.contains("LOGIN")));
//! ```
//!
//! The script runs once for each connection, in a thread of its own; the first connection is number 1. When it returns, the
//! connection is closed. When the client goes away first, the script ends quietly there. When the client says something
//! else than expected, the connection is closed, and dropping the server fails the test.
//!
//! The transcript has all connections' lines in the order of time: `1 S: ...` is sent by the server on the first
//! connection, `2 C: ...` is said by the client on the second, `1 - ...` is an event.

use super::listener;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub type FaultyImap = FaultyServer;
pub type FaultySmtp = FaultyServer;

pub struct FaultyServer {
    pub port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ending: AtomicBool,
    transcript: Mutex<Vec<String>>,
    complaints: Mutex<Vec<String>>,
    streams: Mutex<Vec<TcpStream>>,
}

/// One client's connection, as the script sees it.
pub struct Conversation {
    number: usize,
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
    closed: bool,
}

/// Unwinds a script whose client has gone away.
struct ClientGone;

impl FaultyServer {
    pub fn start(script: impl Fn(&mut Conversation, usize) + Send + Sync + 'static) -> FaultyServer {
        let listener = listener();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let inside = shared.clone();
        let acceptor = std::thread::spawn(move || {
            let mut threads = Vec::new();
            for (index, stream) in listener.incoming().enumerate() {
                if inside.ending.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                inside.streams.lock().unwrap().push(stream.try_clone().unwrap());
                let (script, shared) = (script.clone(), inside.clone());
                threads.push(std::thread::spawn(move || serve(&*script, stream, index + 1, shared)));
            }
            for stream in inside.streams.lock().unwrap().iter() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            for thread in threads {
                let _ = thread.join();
            }
        });
        FaultyServer { port, shared, acceptor: Some(acceptor) }
    }

    /// Everything said so far.
    pub fn transcript(&self) -> Vec<String> {
        self.shared.transcript.lock().unwrap().clone()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.streams.lock().unwrap().len()
    }
}

fn serve(script: &impl Fn(&mut Conversation, usize), stream: TcpStream, number: usize, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut conversation = Conversation { number, reader: BufReader::new(stream), shared, closed: false };
    conversation.note("- connected");
    let end = catch_unwind(AssertUnwindSafe(|| script(&mut conversation, number)));
    if let Err(panic) = end
        && !panic.is::<ClientGone>()
    {
        let message = match panic.downcast::<String>() {
            Ok(message) => *message,
            Err(panic) => {
                panic.downcast::<&str>().map_or("the script panicked".to_owned(), |text| text.to_string())
            }
        };
        conversation.note(&format!("- {message}"));
        conversation.shared.complaints.lock().unwrap().push(message);
    }
    conversation.close();
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes the acceptor
        let _ = self.acceptor.take().unwrap().join();
        let complaints = self.shared.complaints.lock().unwrap().join("\n");
        let transcript = self.transcript().join("\n");
        if std::thread::panicking() {
            eprintln!("--- the fake server's transcript\n{transcript}");
        } else if !complaints.is_empty() {
            panic!("the fake server's script: {complaints}\n{transcript}");
        }
    }
}

impl Conversation {
    /// Sends a line (CR LF is added).
    pub fn line(&mut self, text: &str) {
        self.note(&format!("S: {text}"));
        self.send(format!("{text}\r\n").as_bytes());
    }

    /// Sends bytes as they are: half a line, a literal, rubbish.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.note(&format!("S: {}", bytes.escape_ascii()));
        self.send(bytes);
    }

    /// Reads the next line, which must contain that text (in upper or lower case); returns all of it, with its tag.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let line = self.read_line();
        let found = line.to_ascii_lowercase().contains(&text.to_ascii_lowercase());
        assert!(found, "expected {text:?}, but the client said {line:?}");
        line
    }

    /// Reads the next line, whatever it is, without its CR LF.
    pub fn read_line(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.reader.read_until(b'\n', &mut bytes) {
            Ok(count) if count > 0 => {}
            _ => self.client_gone(),
        }
        let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
        self.note(&format!("C: {line}"));
        line
    }

    /// Answers `TAG OK` to IMAP commands until one contains that text; returns it, unanswered. CAPABILITY is told
    /// `capabilities`. (AUTHENTICATE without an initial response must be scripted.)
    pub fn ok_until(&mut self, text: &str, capabilities: &str) -> String {
        loop {
            let line = self.read_line();
            let command = line.to_ascii_lowercase();
            if command.contains(&text.to_ascii_lowercase()) {
                return line;
            }
            if command.contains(" capability") {
                self.line(&format!("* CAPABILITY {capabilities}"));
            }
            self.line(&format!("{} OK done", tag_of(&line)));
        }
    }

    /// Reads exactly so many bytes: an IMAP literal.
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        if self.reader.read_exact(&mut bytes).is_err() {
            self.client_gone();
        }
        self.note(&format!("C: ({count} bytes)"));
        bytes
    }

    /// Reads lines up to the one with a single dot, which is not returned: what follows SMTP's DATA.
    pub fn read_data(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.read_line() {
                line if line == "." => return lines,
                line => lines.push(line),
            }
        }
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        if !self.closed {
            let _ = self.reader.get_ref().shutdown(Shutdown::Both);
            self.closed = true;
            self.note("- closed");
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.reader.get_mut().write_all(bytes).is_err() {
            self.client_gone();
        }
    }

    fn client_gone(&mut self) -> ! {
        self.note("- the client is gone");
        resume_unwind(Box::new(ClientGone)) // no message, unlike panic!
    }

    fn note(&self, what: &str) {
        self.shared.transcript.lock().unwrap().push(format!("{} {what}", self.number));
    }
}

/// The tag of an IMAP command: its first word.
pub fn tag_of(line: &str) -> &str {
    line.split(' ').next().unwrap_or("")
}
