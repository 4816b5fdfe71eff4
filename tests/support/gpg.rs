//! GnuPG in a home of its own, as the other side of OpenPGP mail.
//!
//! ```ignore
//! let gpg = Gpg::new();
//! let fingerprint = gpg.generate("Ada <ada@example.net>");
//! gpg.import(&their_public_key);
//! let mail = gpg.encrypt_sign(b"text", "security@example.org", "ada@example.net");
//! let got = gpg.decrypt(&answer);
//! assert_eq!(got.good_signature_by(), Some(their_fingerprint));
//! ```
//!
//! Keys have no passphrase and do not expire, and every key is trusted. The network is never asked.
//! Keys are named by address or fingerprint. What `decrypt` and `verify` return holds GnuPG's status lines
//! (see doc/DETAILS of GnuPG) and must be looked at: they do not fail on bad input.

use super::daemon::{self, Daemon};
use super::program::{Form, Found, Home, Kind, Program, name_and_version, path};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

pub struct Gpg {
    agent: Option<Daemon>,
    time: Mutex<Option<String>>,
    home: Home,
}

/// What `decrypt` found.
pub struct Decrypted {
    pub plaintext: Vec<u8>,
    pub status: String,
}

/// What `verify` found.
pub struct Verified {
    pub status: String,
}

struct Outcome {
    stdout: Vec<u8>,
    status: String,
    complaint: String,
    success: bool,
}

impl Gpg {
    pub fn new() -> Gpg {
        let home = Home::new("gpg");
        let path = home.path().to_str().unwrap();
        let agent = ["gpg-agent", "--homedir", path, "--disable-scdaemon", "--no-detach", "--daemon"];
        let agent = Daemon::start(&agent, &home.path().join("agent.log"));
        let socket = daemon::run(&["gpgconf", "--homedir", path, "--list-dirs", "agent-socket"]).stdout;
        daemon::await_socket(Path::new(String::from_utf8(socket).unwrap().trim()));
        Gpg { agent: Some(agent), time: Mutex::default(), home }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// From now on gpg believes it is this time (`20261120T230000`, UTC), and that time stands still.
    pub fn set_time(&self, time: &str) {
        *self.time.lock().unwrap() = Some(format!("{time}!"));
    }

    /// Takes in public or secret keys, armored or not.
    pub fn import(&self, keys: &[u8]) {
        let file = self.home.file(keys);
        self.must(&["--import", path(&file)]);
    }

    /// Makes a key for "Name <address>" (ed25519, with a cv25519 subkey for encryption); returns its fingerprint.
    pub fn generate(&self, name_and_address: &str) -> String {
        self.generate_with(name_and_address, Kind::Curve25519, "")
    }

    /// The same for any kind of key, protected by a passphrase if it is not empty.
    pub fn generate_with(&self, name_and_address: &str, kind: Kind, passphrase: &str) -> String {
        let (signs, encrypts) = match kind {
            Kind::Curve25519 => ("ed25519", "cv25519"),
            Kind::Rsa3072 => ("rsa3072", "rsa3072"),
        };
        let with = ["--passphrase", passphrase];
        let generate = ["--quick-generate-key", name_and_address, signs, "cert,sign", "never"];
        let made = self.must(&[&with[..], &generate].concat());
        let line = made.status.lines().find(|line| line.starts_with("KEY_CREATED ")).expect("a new key");
        let fingerprint = line.split(' ').nth(2).expect("its fingerprint").to_owned();
        self.must(&[&with[..], &["--quick-add-key", &fingerprint, encrypts, "encr", "never"]].concat());
        fingerprint
    }

    /// The secret key, armored.
    pub fn export_secret(&self, key: &str) -> Vec<u8> {
        self.export(&["--export-secret-keys"], key)
    }

    /// The secret key, armored; it stays protected by its passphrase.
    pub fn export_protected(&self, key: &str, passphrase: &str) -> Vec<u8> {
        self.export(&["--passphrase", passphrase, "--export-secret-keys"], key)
    }

    /// The public key, armored.
    pub fn export_public(&self, key: &str) -> Vec<u8> {
        self.export(&["--export"], key)
    }

    fn export(&self, what: &[&str], key: &str) -> Vec<u8> {
        let exported = self.must(&[&["--armor"], what, &[key]].concat()).stdout;
        assert!(!exported.is_empty(), "no key of {key} to export");
        exported
    }

    /// Decrypts a message and checks the signature inside.
    pub fn decrypt(&self, message: &[u8]) -> Decrypted {
        let file = self.home.file(message);
        let done = self.gpg(&["--decrypt", path(&file)]);
        Decrypted { plaintext: done.stdout, status: done.status }
    }

    /// Checks a detached signature.
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> Verified {
        let (signed, signature) = (self.home.file(signed), self.home.file(signature));
        let done = self.gpg(&["--verify", path(&signature), path(&signed)]);
        Verified { status: done.status }
    }

    /// A message to one recipient, signed inside; armored.
    pub fn encrypt_sign(&self, plaintext: &[u8], recipient: &str, signer: &str) -> Vec<u8> {
        self.write(plaintext, recipient, Some(signer), Form::Armored)
    }

    /// A message to one recipient, without a signature; armored.
    pub fn encrypt(&self, plaintext: &[u8], recipient: &str) -> Vec<u8> {
        self.write(plaintext, recipient, None, Form::Armored)
    }

    /// A detached signature (SHA-512); armored.
    pub fn detach_sign(&self, data: &[u8], signer: &str) -> Vec<u8> {
        let file = self.home.file(data);
        let by = ["--digest-algo", "SHA512", "--local-user", signer];
        self.must(&[&by[..], &["--armor", "--output", "-", "--detach-sign", path(&file)]].concat()).stdout
    }

    /// Runs gpg in this home, with any arguments; returns its output, and panics when it fails.
    pub fn command(&self, arguments: &[&str]) -> Vec<u8> {
        self.must(arguments).stdout
    }

    fn must(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.gpg(arguments);
        assert!(outcome.success, "gpg {arguments:?}: {}{}", outcome.status, outcome.complaint);
        outcome
    }

    fn gpg(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home()).args(["--batch", "--yes", "--no-tty", "--no-autostart"]);
        command.args(["--disable-dirmngr", "--no-auto-key-locate", "--no-auto-key-retrieve"]);
        command.args(["--trust-model", "always", "--pinentry-mode", "loopback", "--passphrase", ""]);
        if let Some(time) = &*self.time.lock().unwrap() {
            command.args(["--faked-system-time", time]);
        }
        command.args(["--status-fd", "2"]).args(arguments);
        let output = command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output().expect("gpg starts");
        let (mut status, mut complaint) = (String::new(), String::new());
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            let (text, line) = match line.strip_prefix("[GNUPG:] ") {
                Some(line) => (&mut status, line),
                None => (&mut complaint, line),
            };
            text.push_str(line);
            text.push('\n');
        }
        Outcome { stdout: output.stdout, status, complaint, success: output.status.success() }
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let gpgconf = |arguments: &[&str]| {
            let _ = Command::new("gpgconf").arg("--homedir").arg(self.home()).args(arguments).output();
        };
        gpgconf(&["--kill", "all"]);
        gpgconf(&["--remove-socketdir"]);
        self.agent = None;
    }
}

impl Program for Gpg {
    fn name(&self) -> String {
        name_and_version("gpg", &self.command(&["--version"]))
    }

    fn make_key(&self, address: &str, kind: Kind) {
        self.generate_with(&format!("<{address}>"), kind, "");
    }

    fn certificate(&self, address: &str) -> Vec<u8> {
        self.export_public(address)
    }

    fn take_certificate(&self, _address: &str, certificate: &[u8]) {
        self.import(certificate);
    }

    fn write(&self, plaintext: &[u8], to: &str, by: Option<&str>, form: Form) -> Vec<u8> {
        let file = self.home.file(plaintext);
        let mut arguments = vec!["--recipient", to];
        if let Some(by) = by {
            arguments.extend(["--local-user", by, "--sign"]);
        }
        if form == Form::Armored {
            arguments.push("--armor");
        }
        arguments.extend(["--output", "-", "--encrypt", path(&file)]);
        self.command(&arguments)
    }

    fn sign(&self, data: &[u8], by: &str) -> Vec<u8> {
        self.detach_sign(data, by)
    }

    fn clear_sign(&self, text: &str, by: &str) -> String {
        let file = self.home.file(text.as_bytes());
        let signed = self.command(&["--local-user", by, "--output", "-", "--clear-sign", path(&file)]);
        String::from_utf8(signed).unwrap()
    }

    fn read(&self, message: &[u8]) -> Found {
        let opened = self.decrypt(message);
        let good_signature_by = opened.good_signature_by();
        let plaintext = if opened.encrypted_with_mdc_or_aead() { opened.plaintext } else { Vec::new() };
        Found { plaintext, good_signature_by, said: opened.status }
    }

    fn check(&self, signed: &[u8], signature: &[u8]) -> Found {
        let verified = self.verify(signed, signature);
        let good_signature_by = verified.good_signature_by();
        Found { plaintext: Vec::new(), good_signature_by, said: verified.status }
    }
}

impl Decrypted {
    /// The fingerprint of the primary key of a good signature.
    pub fn good_signature_by(&self) -> Option<String> {
        good_signature_by(&self.status)
    }

    /// Whether it was encrypted, could be decrypted, and was protected against changes.
    pub fn encrypted_with_mdc_or_aead(&self) -> bool {
        // DECRYPTION_INFO: the MDC method, the cipher, and since GnuPG 2.2.x the AEAD mode; 0 is none
        let info = self.status.lines().find_map(|line| line.strip_prefix("DECRYPTION_INFO "));
        let fields: Vec<&str> = info.unwrap_or("").split(' ').collect();
        let protected =
            [fields.first(), fields.get(2)].into_iter().flatten().any(|field| !["0", ""].contains(field));
        protected && self.status.lines().any(|line| line == "DECRYPTION_OKAY")
    }
}

impl Verified {
    /// The fingerprint of the primary key of a good signature.
    pub fn good_signature_by(&self) -> Option<String> {
        good_signature_by(&self.status)
    }
}

/// VALIDSIG alone also comes with a signature by an expired or revoked key; GOODSIG does not.
fn good_signature_by(status: &str) -> Option<String> {
    status.lines().find(|line| line.starts_with("GOODSIG "))?;
    let line = status.lines().find(|line| line.starts_with("VALIDSIG "))?;
    line.rsplit(' ').next().map(String::from)
}
