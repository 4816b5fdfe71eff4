//! The desk's keys and those of others, as a person handles them: `psirtd key …`.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use psirtd::clock::Clock;
use psirtd::keyring;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{err, key, out, psirtd};
use crate::servers::desk::{deliver, delivered, parts, report};
use crate::support::daemon::{Daemon, await_socket, private_dir, tail};
use crate::support::desk::{Desk, pgp_mime};
use crate::support::gpg::Gpg;
use crate::support::program::Kind;
use crate::support::wait_until;

const SOON: Duration = Duration::from_secs(30);
const PASSPHRASE: &str = "correct horse";
const USER: &str = "Example Project Security <security@example.org>";

/// A desk as `psirtd init` makes it, with Maildirs for doors; and GnuPG, which holds the desk's public keys.
struct House {
    dir: TempDir,
    gpg: Gpg,
}

impl House {
    fn new() -> House {
        let dir = private_dir("house");
        let made = psirtd(dir.path(), &["init", "--dir", "desk"]);
        assert!(made.status.success(), "{}", err(&made));
        let house = House { dir, gpg: Gpg::new() };
        let config = fs::read_to_string(house.at("psirtd.toml")).unwrap();
        let (desk, doors) = config.split_once("\n[inbox.imap]\n").unwrap();
        let (_, people) = doors.split_once("# The promises").unwrap();
        let doors = "\n[inbox.maildir]\npath = \"inbox\"\n[outbox.maildir]\npath = \"outbox\"\n\n";
        fs::write(house.at("psirtd.toml"), format!("{desk}{doors}# The promises{people}")).unwrap();
        fs::write(house.at("people/ada.asc"), key("Ada", "ada@example.org")).unwrap();
        house
    }

    /// The same with a key that GnuPG made and protected.
    fn locked() -> House {
        let house = House::new();
        let made = house.gpg.generate_with(USER, Kind::Curve25519, PASSPHRASE);
        house.takes(&house.gpg.export_protected(&made, PASSPHRASE));
        fs::write(house.at("desk.passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        house.edit(
            "# passphrase = { credential = \"desk-key\" }",
            "passphrase = { file = \"desk.passphrase\" }",
        );
        house
    }

    /// Another secret key for the desk, in the place of its own.
    fn takes(&self, secret: &[u8]) {
        fs::write(self.at("desk.key.asc"), secret).unwrap();
    }

    fn edit(&self, old: &str, new: &str) {
        let config = fs::read_to_string(self.at("psirtd.toml")).unwrap();
        assert!(config.contains(old), "{old}");
        fs::write(self.at("psirtd.toml"), config.replace(old, new)).unwrap();
    }

    fn at(&self, file: &str) -> PathBuf {
        self.dir.path().join("desk").join(file)
    }

    /// Exit code, standard output, standard error.
    fn says(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = ["--config", "desk/psirtd.toml"];
        let output = psirtd(self.dir.path(), &[&config, arguments].concat());
        (output.status.code().unwrap(), out(&output), err(&output))
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let (code, said, complaint) = self.says(arguments);
        assert_eq!((code, complaint.as_str()), (0, ""), "psirtd {arguments:?}: {said}");
        said
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.does(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// The fingerprint that `key show` names; GnuPG has the key from now on.
    #[track_caller]
    fn shown(&self) -> String {
        self.gpg.import(self.does(&["key", "export"]).as_bytes());
        self.json(&["key", "show"])["fingerprint"].as_str().unwrap().to_owned()
    }

    /// A mail that GnuPG encrypts to this key, opened by `explain`.
    #[track_caller]
    fn opens(&self, fingerprint: &str) {
        let text = format!("It overflows. This was encrypted to {fingerprint}.");
        let inside = format!("Content-Type: text/plain\r\n\r\n{text}\r\n");
        let ciphertext = String::from_utf8(self.gpg.encrypt(inside.as_bytes(), fingerprint)).unwrap();
        let header = "From: Rita <rita@example.net>\nSubject: ...\nMessage-ID: <e@example.net>";
        fs::write(self.at("encrypted.eml"), pgp_mime(header, &ciphertext)).unwrap();
        let seen = self.json(&["explain", "desk/encrypted.eml"]);
        assert_eq!((&seen["decrypted"], &seen["problem"]), (&true.into(), &Value::Null), "{seen}");
        assert_eq!(seen["text"].as_str().unwrap().trim(), text);
    }

    /// Runs the daemon until a report is acknowledged; GnuPG's words about the signature of the acknowledgement.
    #[track_caller]
    fn signs(&self) -> String {
        // not by their place: a letter about the desk itself lies behind those about its cases
        let before = delivered(&self.at("outbox"));
        let (config, log) = (self.at("psirtd.toml"), self.at("log"));
        let daemon =
            Daemon::start(&[env!("CARGO_BIN_EXE_psirtd"), "--config", config.to_str().unwrap(), "run"], &log);
        deliver(
            &self.at("inbox"),
            &format!("report-{}", before.len()),
            &report("rita@example.net", "Overflow", "It crashes."),
        );
        let mut found = None;
        wait_until("it is acknowledged", SOON, || {
            let letters = delivered(&self.at("outbox"));
            let mut new = letters.into_iter().filter(|letter| !before.contains(letter));
            found = new.find(|(_, raw)| {
                String::from_utf8_lossy(raw)
                    .lines()
                    .any(|line| line.starts_with("To: ") && line.contains("rita@"))
            });
            found.is_some()
        });
        drop(daemon);
        let Some((_, raw)) = found else { panic!("{}", tail(&log)) };
        let parts = parts(&raw);
        let signature = parts[1].windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        self.gpg.verify(&parts[0], &parts[1][signature..]).status
    }

    /// Every file of the desk, and who may do what with it.
    fn files(&self) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.at("")];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::metadata(&path).unwrap();
                let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
                folders.extend(path.is_dir().then(|| path.clone()));
                found.insert(path, (metadata.mode(), metadata.uid(), content));
            }
        }
        found
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Whether GnuPG finds the good signature of one key on the user id of another.
fn certifies(gpg: &Gpg, old: &str, new: &str) -> bool {
    let listed = String::from_utf8(gpg.command(&["--with-colons", "--check-sigs", new])).unwrap();
    listed.lines().map(|line| line.split(':').collect::<Vec<_>>()).any(|fields| {
        fields.first() == Some(&"sig")
            && fields.get(1) == Some(&"!")
            && fields.get(4).is_some_and(|id| old.ends_with(id))
    })
}

/// What a rotation promises, whatever protects the keys.
#[track_caller]
fn rotates(house: &House) -> (String, String) {
    let old = house.shown();
    let secret = fs::read(house.at("desk.key.asc")).unwrap();
    let done = house.json(&["key", "rotate"]);
    let new = house.shown();
    let kept = format!("old-keys/{old}.asc");
    assert_ne!(new, old);
    let kept_at = format!("desk/{kept}");
    assert_eq!(done, json!({ "fingerprint": new, "old": old, "old_key": kept_at, "data_key_wrapped": true }));
    assert_eq!(fs::read(house.at(&kept)).unwrap(), secret, "the old key is kept as it was");
    assert_eq!(
        (mode(&house.at("old-keys")), mode(&house.at(&kept)), mode(&house.at("desk.key.asc"))),
        (0o700, 0o600, 0o600)
    );
    assert!(certifies(&house.gpg, &old, &new), "{old} certifies {new}");
    house.opens(&old);
    house.opens(&new);
    let checked = house.json(&["check"]);
    assert_eq!((&checked["ok"], &checked["warnings"]), (&true.into(), &json!([])), "{checked}");
    assert!(checked["checks"][1]["detail"].as_str().unwrap().starts_with(&new), "{checked}");
    (old, new)
}

/// A new key takes the place of the old one, and then another one of that.
#[test]
fn a_key_is_rotated_and_rotated_again() {
    let house = House::new();
    let (first, second) = rotates(&house);
    let verified = house.signs();
    assert!(
        verified.lines().any(|line| line.starts_with("VALIDSIG") && line.ends_with(&second)),
        "{verified}"
    );

    let (_, third) = rotates(&house);
    assert_eq!(fs::read_dir(house.at("old-keys")).unwrap().count(), 2);
    house.opens(&first);
    assert!(!certifies(&house.gpg, &first, &third), "each by the one before it");
    let verified = house.signs();
    assert!(
        verified.lines().any(|line| line.starts_with("VALIDSIG") && line.ends_with(&third)),
        "{verified}"
    );
}

/// What the person reads.
#[test]
fn a_rotation_says_what_to_do_next() {
    let house = House::new();
    let old = house.shown();
    let said = house.does(&["key", "rotate"]);
    let new = house.shown();
    let said = said.replace(&old, "[old]").replace(&new, "[new]");
    insta::assert_snapshot!(said, @"
    The desk's new key is [new].
    The old one, [old], is kept in desk/old-keys/[old].asc and still opens; the new one carries its signature.
    The store's data key is wrapped for the new one.
    Now: restart psirtd, then publish the new key (psirtd key export) wherever the old one is found.
    ");
    let left: Vec<_> = house.files().into_keys().map(|path| path.file_name().unwrap().to_owned()).collect();
    let unfinished =
        |name: &std::ffi::OsString| [".new", ".part"].iter().any(|end| name.to_str().unwrap().ends_with(end));
    assert!(!left.iter().any(unfinished), "{left:?}");
}

/// The new key has the passphrase of the old one, for psirtd and for GnuPG.
#[test]
fn a_protected_key_is_rotated_and_stays_protected() {
    let house = House::locked();
    let (_, second) = rotates(&house);
    assert!(house.signs().lines().any(|line| line.starts_with("VALIDSIG") && line.ends_with(&second)));
    rotates(&house);

    let secret = fs::read(house.at("desk.key.asc")).unwrap();
    let cert = keyring::certificate(&secret).unwrap();
    assert_eq!(cert.keys().secret().count(), cert.keys().count());
    assert!(cert.keys().secret().all(|key| key.key().secret().is_encrypted()), "no part of it is open");
    let gpg = Gpg::new();
    gpg.import(&secret);
    let text = house.at("text");
    fs::write(&text, "hello").unwrap();
    let sign = ["--passphrase", PASSPHRASE, "--output", "-", "--detach-sign", text.to_str().unwrap()];
    assert!(!gpg.command(&sign).is_empty());
}

/// Without the passphrase nothing is changed, and one line says why.
#[test]
fn a_wrong_or_missing_passphrase_changes_nothing() {
    let house = House::locked();
    let fingerprint = house.shown();
    let named = "passphrase = { file = \"desk.passphrase\" }";
    let line = |what: &str| {
        format!(
            "psirtd: desk/psirtd.toml:14: desk.key: desk/desk.key.asc: its secret key {fingerprint} is protected: {what}\n"
        )
    };
    fs::write(house.at("desk.passphrase"), "wrong\n").unwrap();
    let before = house.files();
    assert_eq!(house.says(&["key", "rotate"]), (2, String::new(), line("the passphrase is wrong")));
    assert_eq!(house.files(), before);

    house.edit(named, "");
    let before = house.files();
    assert_eq!(
        house.says(&["key", "rotate"]),
        (2, String::new(), line("give its passphrase in the configuration"))
    );
    assert_eq!(house.files(), before);
}

/// Where the old key cannot be kept, it is not replaced.
#[test]
fn a_key_that_cannot_be_kept_is_not_replaced() {
    let house = House::new();
    let old = house.shown();
    // in the way of the file, for root too
    let obstacle = house.at(&format!("old-keys/{old}.asc"));
    DirBuilder::new().mode(0o700).create(house.at("old-keys")).unwrap();
    fs::create_dir(&obstacle).unwrap();
    let secret = fs::read(house.at("desk.key.asc")).unwrap();
    let (code, said, complaint) = house.says(&["key", "rotate"]);
    assert_eq!((code, said.as_str(), complaint.lines().count()), (1, "", 1), "{complaint}");
    assert!(complaint.starts_with(&format!("psirtd: desk/old-keys/{old}.asc: ")), "{complaint}");
    assert_eq!((fs::read(house.at("desk.key.asc")).unwrap(), house.shown()), (secret, old.clone()));
    house.opens(&old);

    fs::remove_dir(obstacle).unwrap();
    rotates(&house);
}

/// A file where the folder should be.
#[test]
fn a_file_in_the_place_of_the_folder_changes_nothing() {
    let house = House::new();
    fs::write(house.at("old-keys"), "a file").unwrap();
    let before = house.files();
    let (code, said, complaint) = house.says(&["key", "rotate"]);
    assert_eq!(house.files(), before);
    assert_eq!((code, said.as_str(), complaint.lines().count()), (2, "", 1), "{complaint}");
    assert!(complaint.contains("desk.old_keys: desk/old-keys: Not a directory"), "{complaint}");
}

/// The new key cannot be written: the old one stays in its place, and beside it, and both are one.
#[test]
fn a_key_that_cannot_be_written_leaves_the_old_one() {
    let house = House::new();
    let old = house.shown();
    let obstacle = house.at("desk.key.new");
    fs::create_dir(&obstacle).unwrap();
    let secret = fs::read(house.at("desk.key.asc")).unwrap();
    let (code, said, complaint) = house.says(&["key", "rotate"]);
    assert_eq!((code, said.as_str(), complaint.lines().count()), (1, "", 1), "{complaint}");
    assert!(complaint.starts_with("psirtd: desk/desk.key.new: "), "{complaint}");
    assert_eq!((fs::read(house.at("desk.key.asc")).unwrap(), house.shown()), (secret, old.clone()));
    assert_eq!(house.json(&["check"])["warnings"], json!([]));
    house.opens(&old);

    fs::remove_dir(obstacle).unwrap();
    rotates(&house);
}

/// It was killed while it wrote. The desk is as it was, and the next rotation succeeds.
#[test]
fn a_rotation_that_was_killed_leaves_the_desk_as_it_was() {
    let house = House::new();
    let old = house.shown();
    let secret = fs::read(house.at("desk.key.asc")).unwrap();
    DirBuilder::new().mode(0o700).create(house.at("old-keys")).unwrap();
    for half in [&secret[..0], &secret[..secret.len() / 2], &secret] {
        for unfinished in [format!("old-keys/{old}.part"), "desk.key.part".to_owned()] {
            fs::write(house.at(&unfinished), half).unwrap();
            house.does(&["check"]);
            house.opens(&old);
        }
    }
    rotates(&house);
}

/// Root rotates the key of the daemon's user, who must be able to read what becomes of it.
#[test]
fn the_files_keep_their_owner() {
    let house = House::new();
    let (nobody, nogroup) = (65534, 65534);
    if chown(house.at("desk.key.asc"), Some(nobody), Some(nogroup)).is_err() {
        return; // only root can give files away
    }
    let (old, _) = rotates(&house);
    for file in ["desk.key.asc".to_owned(), "old-keys".to_owned(), format!("old-keys/{old}.asc")] {
        let metadata = fs::metadata(house.at(&file)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (nobody, nogroup), "{file}");
    }
}

/// The folder of old keys that the configuration names.
#[test]
fn the_old_keys_lie_where_the_configuration_says() {
    let house = House::new();
    let old = house.shown();
    house.edit("# old_keys  = \"old-keys\"", "old_keys  = \"attic/keys\"");
    fs::create_dir_all(house.at("attic/keys")).unwrap();
    let done = house.json(&["key", "rotate"]);
    assert_eq!(done["old_key"], format!("desk/attic/keys/{old}.asc"));
    assert!(!house.at("old-keys").exists());
    house.shown();
    house.opens(&old);
}

/// Only the subkeys lie on the desk's machine: the primary key is in a safe. They open and sign; a new key cannot be certified.
#[test]
fn the_primary_key_is_in_a_safe() {
    let house = House::new();
    let old = house.gpg.generate(USER);
    house.gpg.command(&["--quick-add-key", &old, "ed25519", "sign", "never"]);
    let subkeys = house.gpg.command(&["--armor", "--export-secret-subkeys", &old]);
    house.takes(&subkeys);
    let checked = house.json(&["check"]);
    assert_eq!((&checked["ok"], &checked["warnings"]), (&true.into(), &json!([])), "{checked}");
    assert_eq!(house.shown(), old);
    house.opens(&old);
    let verified = house.signs();
    let valid =
        verified.lines().find(|line| line.starts_with("VALIDSIG ")).unwrap_or_else(|| panic!("{verified}"));
    let fields: Vec<&str> = valid.split(' ').collect();
    assert_eq!(fields.last(), Some(&old.as_str()));
    assert_ne!(fields[1], old, "by the subkey");

    let said = house.does(&["key", "rotate"]);
    let new = house.shown();
    assert_ne!(new, old);
    assert!(!said.contains("carries its signature"), "nobody could sign it: {said}");
    assert!(!certifies(&house.gpg, &old, &new));
    assert_eq!(fs::read(house.at(&format!("old-keys/{old}.asc"))).unwrap(), subkeys);
    house.opens(&old);
    house.opens(&new);
    assert!(house.signs().lines().any(|line| line.starts_with("VALIDSIG") && line.ends_with(&new)));
}

const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Subject: Session tokens are predictable

The session tokens are made from the clock: remote attackers can guess them.
";

/// Nora's certificate came with her first mail, another one with a second mail. A person looks at both and takes the second:
/// first beside the running daemon, then without one.
#[test]
fn certificates_that_were_seen_are_shown_and_accepted() {
    let desk = Desk::builder().start(&Clock::System.now().to_string()).open();
    let mail = |id: &str, key: &str| {
        let field = desk.autocrypt_key(key);
        let header = format!(
            "Autocrypt: addr=nora@example.net; keydata={field}\nFrom: Nora Newcomer <nora@example.net>\nMessage-ID: <{id}@example.net>"
        );
        desk.encrypted_mail_to(&header, INSIDE, "security@example.org", key)
    };
    desk.receives(&mail("n-1", "nora@example.net"));
    let second = desk.makes_a_key("Nora Newcomer <nora@example.net>");
    desk.receives(&mail("n-2", &second));
    desk.steps_aside();
    let says = |arguments: &[&str]| {
        let output = psirtd(desk.dir(), &[&["--config", "psirtd.toml", "key"], arguments].concat());
        (output.status.code().unwrap(), out(&output), err(&output))
    };
    let seen = || {
        let (code, said, complaint) = says(&["seen", "nora@example.net", "--json"]);
        assert_eq!((code, complaint.as_str()), (0, ""));
        serde_json::from_str::<Value>(&said).unwrap()
    };
    let table = |address: &str| {
        let (code, said, complaint) = says(&["seen", address]);
        assert_eq!((code, complaint.as_str()), (0, ""));
        desk.redacted(&said).replace(&second, "[the second one]").replace("  ", " ")
    };

    let certificates = seen();
    assert_eq!(certificates.as_array().unwrap().len(), 2);
    let first = certificates[0]["fingerprint"].as_str().unwrap().to_owned();
    for (certificate, fingerprint, in_use) in
        [(&certificates[0], &first, true), (&certificates[1], &second, false)]
    {
        let fields: Vec<&String> = certificate.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["certificate", "fingerprint", "in_use", "source"]);
        assert_eq!(
            (&certificate["fingerprint"], &certificate["source"], &certificate["in_use"]),
            (&json!(fingerprint), &json!("Autocrypt field"), &json!(in_use))
        );
        let armored = certificate["certificate"].as_str().unwrap();
        let cert = keyring::certificate(armored.as_bytes()).unwrap();
        assert_eq!(&cert.fingerprint().to_hex(), fingerprint);
    }
    let shown = table("nora@example.net");
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["FINGERPRINT", "FROM", "USED"]);
    assert_eq!(rows[1][rows[1].len() - 3..], ["Autocrypt", "field", "yes"], "{shown}");
    assert!(rows[2].join(" ") == "[the second one] Autocrypt field no", "{shown}");
    assert_eq!(table("Nora@Example.net"), shown, "however it is written");
    assert_eq!(table("nobody@example.net"), "no certificate was seen\n");
    assert_eq!(says(&["seen", "nobody@example.net", "--json"]), (0, "[]\n".to_owned(), String::new()));

    let refused = |address: &str, fingerprint: &str| {
        let line = format!(
            "psirtd: no certificate {fingerprint} was seen for {address}; see “psirtd key seen {address}”\n"
        );
        assert_eq!(says(&["accept", address, fingerprint]), (1, String::new(), line));
        assert_eq!(seen(), certificates, "nothing has changed");
    };
    refused("nora@example.net", "0123456789ABCDEF");
    refused("nora@example.net", &second[24..]);
    refused("nobody@example.net", &second);

    // beside the daemon
    let (config, log) = (desk.dir().join("psirtd.toml"), desk.dir().join("log"));
    let command = [env!("CARGO_BIN_EXE_psirtd"), "--config", config.to_str().unwrap(), "run"];
    let daemon = Daemon::start(&command, &log);
    await_socket(&psirtd::control::socket(&desk.state()));
    refused("nora@example.net", &first[1..]);
    let spaced: Vec<&str> = (0..10).map(|place| &second[place * 4..][..4]).collect();
    let done = format!("letters to nora@example.net are encrypted to {second} from now on");
    assert_eq!(
        says(&["accept", "nora@example.net", &spaced.join(" ").to_lowercase()]),
        (0, format!("{done}\n"), String::new())
    );
    assert_eq!(seen()[0]["fingerprint"], second.as_str());
    drop(daemon);

    // without one: and back again
    let first_again = says(&["accept", "nora@example.net", &first, "--json"]);
    let done = json!({ "done": format!("letters to nora@example.net are encrypted to {first} from now on") });
    assert_eq!(first_again, (0, format!("{done}\n"), String::new()));
    let used: Vec<(Value, Value)> = seen()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["fingerprint"].clone(), one["in_use"].clone()))
        .collect();
    assert_eq!(used, [(json!(first), json!(true)), (json!(second), json!(false))]);
}
