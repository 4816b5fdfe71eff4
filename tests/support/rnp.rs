//! RNP, the OpenPGP of Thunderbird, as the other side of OpenPGP mail; see `program`.

use super::program::{Form, Found, Home, Kind, Program, name_and_version, path};
use std::fs::File;
use std::process::{Command, Output, Stdio};

pub struct Rnp {
    home: Home,
}

impl Rnp {
    pub fn new() -> Rnp {
        Rnp { home: Home::new("rnp") }
    }

    /// Runs `rnp` or `rnpkeys` in this home.
    fn run(&self, program: &str, arguments: &[&str], input: Stdio) -> Output {
        Command::new(program)
            .args(["--homedir", path(self.home.path()), "--password", "", "--notty"])
            .args(arguments)
            .stdin(input)
            .output()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"))
    }

    fn must(&self, program: &str, arguments: &[&str], input: Stdio) -> Vec<u8> {
        let output = self.run(program, arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
        output.stdout
    }

    /// What it makes of data, with these options.
    fn made(&self, options: &[&str], data: &[u8]) -> Vec<u8> {
        let file = self.home.file(data);
        self.must("rnp", &[options, &["--output", "-", path(&file)]].concat(), Stdio::null())
    }

    /// A detached signature with this hash, armored.
    pub fn sign_by(&self, data: &[u8], by: &str, hash: &str) -> Vec<u8> {
        self.made(&["--sign", "--detach", "--armor", "--hash", hash, "--userid", by], data)
    }

    /// The key id of an address, in capitals.
    pub fn key_id(&self, address: &str) -> String {
        // "pub   255/EdDSA 86f58a1a2d55eea5 2026-11-22 [SC]"
        let listed = self.must("rnpkeys", &["--list-keys", address], Stdio::null());
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find(|line| line.starts_with("pub ")).expect("a key");
        line.split_whitespace().nth(2).expect("its id").to_uppercase()
    }

    fn found(&self, arguments: &[&str]) -> Found {
        let output = self.run("rnp", arguments, Stdio::null());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // "Good signature made Sun Nov 22 16:47:56 2026", and in the next line that is not a remark from within
        // "using EdDSA key 86f58a1a2d55eea5"
        let mut lines = said.lines().filter(|line| !line.starts_with('['));
        let good = lines.find(|line| line.starts_with("Good signature made "));
        let key = good.and_then(|_| lines.next()?.strip_prefix("using ")?.rsplit(' ').next());
        let good_signature_by = key.filter(|_| output.status.success()).map(str::to_uppercase);
        Found { plaintext: output.stdout, good_signature_by, said }
    }
}

impl Program for Rnp {
    fn name(&self) -> String {
        name_and_version("rnp", &self.must("rnp", &["--version"], Stdio::null()))
    }

    fn make_key(&self, address: &str, kind: Kind) {
        let user = format!("<{address}>");
        let generate = ["--generate-key", "--userid", &user];
        match kind {
            Kind::Curve25519 => {
                // only its menu offers it: EDDSA + X25519
                let choice = File::open(self.home.file(b"22\n")).unwrap();
                self.must("rnpkeys", &[&generate[..], &["--expert"]].concat(), choice.into());
            }
            Kind::Rsa3072 => {
                self.must("rnpkeys", &[&generate[..], &["--numbits", "3072"]].concat(), Stdio::null());
            }
        }
    }

    fn certificate(&self, address: &str) -> Vec<u8> {
        self.must("rnpkeys", &["--export-key", address], Stdio::null())
    }

    fn take_certificate(&self, _address: &str, certificate: &[u8]) {
        let file = self.home.file(certificate);
        self.must("rnpkeys", &["--import-keys", path(&file)], Stdio::null());
    }

    fn write(&self, plaintext: &[u8], to: &str, by: Option<&str>, form: Form) -> Vec<u8> {
        let mut options = vec!["--encrypt", "--recipient", to];
        if let Some(by) = by {
            options.extend(["--sign", "--userid", by]);
        }
        if form == Form::Armored {
            options.push("--armor");
        }
        self.made(&options, plaintext)
    }

    fn sign(&self, data: &[u8], by: &str) -> Vec<u8> {
        self.sign_by(data, by, "SHA512")
    }

    fn clear_sign(&self, text: &str, by: &str) -> String {
        String::from_utf8(self.made(&["--clearsign", "--userid", by], text.as_bytes())).unwrap()
    }

    fn read(&self, message: &[u8]) -> Found {
        let file = self.home.file(message);
        self.found(&["--decrypt", "--output", "-", path(&file)])
    }

    fn check(&self, signed: &[u8], signature: &[u8]) -> Found {
        let (signed, signature) = (self.home.file(signed), self.home.file(signature));
        self.found(&["--verify", "--source", path(&signed), path(&signature)])
    }
}
