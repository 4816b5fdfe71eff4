//! `sq`, the program of Sequoia PGP, as the other side of OpenPGP mail; see `program`.
//!
//! It keeps nothing by itself: every key and certificate is a file of its home, named by address.

use super::daemon;
use super::program::{Form, Found, Home, Kind, Program, name_and_version, path};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub struct Sq {
    home: Home,
}

impl Sq {
    pub fn new() -> Sq {
        Sq { home: Home::new("sq") }
    }

    fn key(&self, address: &str) -> PathBuf {
        self.home.path().join(format!("{address}.key"))
    }

    fn cert(&self, address: &str) -> PathBuf {
        self.home.path().join(format!("{address}.cert"))
    }

    /// An option for every file of the home with this extension.
    fn each(&self, option: &str, extension: &str) -> Vec<String> {
        let files = fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.extension() == Some(OsStr::new(extension)))
            .flat_map(|file| [option.to_owned(), path(&file).to_owned()])
            .collect()
    }

    fn must(&self, arguments: &[&str]) -> Vec<u8> {
        daemon::run(&[&["sq"], arguments].concat()).stdout
    }

    /// Reads something, with every certificate at hand.
    fn found(&self, command: &str, arguments: &[String]) -> Found {
        let output = Command::new("sq")
            .args([command, "--signatures", "0"])
            .args(self.each("--signer-cert", "cert"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("sq starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good = said.lines().filter_map(|line| line.trim().strip_prefix("Good signature from ")).next();
        let good_signature_by = good.filter(|_| output.status.success()).map(str::to_owned);
        Found { plaintext: output.stdout, good_signature_by, said }
    }
}

impl Program for Sq {
    fn name(&self) -> String {
        name_and_version("sq", &self.must(&["--version"]))
    }

    fn make_key(&self, address: &str, kind: Kind) {
        let suite = match kind {
            Kind::Curve25519 => "cv25519",
            Kind::Rsa3072 => "rsa3k",
        };
        let (user, key) = (format!("<{address}>"), self.key(address));
        self.must(&["key", "generate", "--userid", &user, "--cipher-suite", suite, "--export", path(&key)]);
        self.must(&["key", "extract-cert", "--output", path(&self.cert(address)), path(&key)]);
    }

    fn certificate(&self, address: &str) -> Vec<u8> {
        fs::read(self.cert(address)).unwrap()
    }

    fn take_certificate(&self, address: &str, certificate: &[u8]) {
        fs::write(self.cert(address), certificate).unwrap();
    }

    fn write(&self, plaintext: &[u8], to: &str, by: Option<&str>, form: Form) -> Vec<u8> {
        let (file, to, by) = (self.home.file(plaintext), self.cert(to), by.map(|by| self.key(by)));
        let mut arguments = vec!["encrypt", "--recipient-cert", path(&to)];
        if let Some(by) = &by {
            arguments.extend(["--signer-key", path(by)]);
        }
        if form == Form::Binary {
            arguments.push("--binary");
        }
        arguments.push(path(&file));
        self.must(&arguments)
    }

    fn sign(&self, data: &[u8], by: &str) -> Vec<u8> {
        let (file, by) = (self.home.file(data), self.key(by));
        self.must(&["sign", "--detached", "--signer-key", path(&by), path(&file)])
    }

    fn clear_sign(&self, text: &str, by: &str) -> String {
        let (file, by) = (self.home.file(text.as_bytes()), self.key(by));
        let signed = self.must(&["sign", "--cleartext-signature", "--signer-key", path(&by), path(&file)]);
        String::from_utf8(signed).unwrap()
    }

    fn read(&self, message: &[u8]) -> Found {
        let mut arguments = self.each("--recipient-key", "key");
        arguments.push(path(&self.home.file(message)).to_owned());
        self.found("decrypt", &arguments)
    }

    fn check(&self, signed: &[u8], signature: &[u8]) -> Found {
        let (signed, signature) = (self.home.file(signed), self.home.file(signature));
        self.found("verify", &["--detached", path(&signature), path(&signed)].map(str::to_owned))
    }
}
