//! The data key of the store: wrapped for the desk's key and signed by it, and wrapped anew when that key changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::err;
use crate::servers::desk::{ADA, Desk, RITA, SOON, keys, report};
use crate::support::gpg::Gpg;
use crate::support::wait_until;

const NEW: &str = "Example Security <security@example.org>";

/// A desk with a mail and its letters; it does not run.
fn desk() -> Desk {
    let desk = Desk::on_maildirs(&["ada"], "");
    desk.start();
    desk.deliver("mail", &report(RITA, "Overflow", "It crashes."));
    wait_until("it is a case", SOON, || desk.cases().len() == 1);
    desk.await_letters();
    desk.stop();
    desk
}

fn data_key(desk: &Desk) -> Vec<u8> {
    fs::read(desk.state().join("data-key.asc")).unwrap()
}

/// Everything in the state directory, but who is at work there.
fn files(desk: &Desk) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![desk.state()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                let bytes = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(desk.state()).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

/// The names of files that are not the same.
fn changed(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let names: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

fn changed_outside_the_index(
    before: &BTreeMap<PathBuf, Vec<u8>>,
    after: &BTreeMap<PathBuf, Vec<u8>>,
) -> Vec<PathBuf> {
    changed(before, after).into_iter().filter(|name| !name.starts_with("index")).collect()
}

/// What GnuPG with this key alone finds in a message, and who signed it.
fn opened_with(secret: &[u8], message: &[u8]) -> (String, Option<String>) {
    let gpg = Gpg::new();
    gpg.import(secret);
    let opened = gpg.decrypt(message);
    (String::from_utf8(opened.plaintext.clone()).unwrap(), opened.good_signature_by())
}

fn secret(text: &str) -> Vec<&str> {
    text.lines().filter(|line| ["contents ", "names "].iter().any(|name| line.starts_with(name))).collect()
}

/// Exit code and standard error of a daemon that should not stay; one that does is ended after a while.
fn starts(desk: &Desk) -> (i32, String) {
    let mut command = Command::new("timeout");
    command.args(["20", env!("CARGO_BIN_EXE_psirtd"), "--config"]).arg(desk.config()).arg("run");
    let output = command.env_remove("RUST_LOG").env_remove("JOURNAL_STREAM").output().unwrap();
    (output.status.code().unwrap(), err(&output))
}

/// The desk does not start: exit code 1, one line that says this, and nothing is changed.
#[track_caller]
fn refused(desk: &Desk, why: &str) {
    let before = files(desk);
    let (code, complaint) = starts(desk);
    assert_eq!(code, 1, "{complaint}");
    assert!(complaint.starts_with("psirtd: data key ") && complaint.contains(why), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert_eq!(changed(&before, &files(desk)), Vec::<PathBuf>::new());
    let (code, _, complaint) = desk.says(&["journal", "verify"]);
    assert!(code == 1 && complaint.contains(why), "{complaint}");
}

/// Nothing is sealed anew, and whoever has only the old key is locked out of what is on the disk now.
#[test]
fn a_rotation_wraps_the_data_key_anew_and_touches_nothing_else() {
    let desk = desk();
    let (before, old_message) = (files(&desk), data_key(&desk));
    let (code, said, complaint) = desk.says(&["--json", "key", "rotate"]);
    assert_eq!(code, 0, "{complaint}");
    let new: serde_json::Value = serde_json::from_str(&said).unwrap();
    let new = new["fingerprint"].as_str().unwrap();
    assert_eq!(changed(&before, &files(&desk)), [Path::new("data-key.asc")]);

    let (was, signer) = opened_with(&keys().desk_secret, &old_message);
    assert_eq!(signer.as_deref(), Some(keys().desk_fingerprint.as_str()));
    let new_secret = fs::read(desk.dir().join("desk.key.asc")).unwrap();
    let (is, signer) = opened_with(&new_secret, &data_key(&desk));
    assert_eq!(signer.as_deref(), Some(new));
    assert!(is.starts_with(&format!("psirtd data key 1\nfor      {new}\n")), "whom it is for");
    assert!(secret(&is) == secret(&was) && secret(&is).len() == 2, "the same key");
    assert_eq!(opened_with(&keys().desk_secret, &data_key(&desk)), (String::new(), None));

    fs::remove_dir_all(desk.dir().join("old-keys")).unwrap();
    desk.start();
    assert_eq!(desk.cases().len(), 1);
    desk.stop();
    let (code, said, complaint) = desk.says(&["journal", "verify"]);
    assert!(code == 0 && said.contains("every mail and letter there"), "{said}{complaint}");
}

/// A person puts another key in the place of the desk's, and the old one into the folder of old keys.
#[test]
fn a_rotation_by_hand_is_wrapped_at_the_next_start_and_said() {
    let desk = desk();
    let before = files(&desk);
    let gpg = Gpg::new();
    let new = gpg.generate(NEW);
    fs::create_dir(desk.dir().join("old-keys")).unwrap();
    fs::rename(desk.dir().join("desk.key.asc"), desk.dir().join("old-keys/old.asc")).unwrap();
    desk.write("desk.key.asc", &gpg.export_secret(&new));
    desk.start();
    desk.await_log("data key: wrapped for the desk's new key");
    desk.stop();
    let (opened, signer) = opened_with(&gpg.export_secret(&new), &data_key(&desk));
    assert_eq!((signer.as_deref(), secret(&opened).len()), (Some(new.as_str()), 2));
    assert_eq!(changed_outside_the_index(&before, &files(&desk)), [Path::new("data-key.asc")]);

    fs::remove_dir_all(desk.dir().join("old-keys")).unwrap();
    desk.start();
    assert_eq!(desk.cases().len(), 1);
    assert_eq!(desk.log().matches("data key: wrapped").count(), 1, "once");
}

#[test]
fn a_desk_whose_old_key_was_not_kept_does_not_start() {
    let desk = desk();
    let gpg = Gpg::new();
    let new = gpg.generate(NEW);
    desk.write("desk.key.asc", &gpg.export_secret(&new));
    refused(&desk, "the desk's key opens it, or the one before that: is it in the folder of old keys?");
}

/// Whoever can write to the disk and has the desk's certificate could make a data key of his own, and a store under it.
#[test]
fn a_data_key_that_the_desk_has_not_signed_is_refused() {
    let desk = desk();
    let (text, _) = opened_with(&keys().desk_secret, &data_key(&desk));
    let gpg = Gpg::new();
    gpg.import(&keys().desk_public);
    gpg.import(&keys().coordinators[0].0);
    gpg.generate("Mallory <mallory@example.net>");
    let to = &keys().desk_fingerprint;
    let forged = [
        gpg.encrypt(text.as_bytes(), to),
        gpg.encrypt_sign(text.as_bytes(), to, "mallory@example.net"),
        // whom the desk knows
        gpg.encrypt_sign(text.as_bytes(), to, ADA),
    ];
    for message in forged {
        fs::write(desk.state().join("data-key.asc"), message).unwrap();
        refused(&desk, "none of the desk's keys has signed it");
    }
    // in the clear, or in part
    for (message, why) in [(text.as_bytes(), "data-key.asc: "), (b"", "data-key.asc: ")] {
        fs::write(desk.state().join("data-key.asc"), message).unwrap();
        refused(&desk, why);
    }
    fs::remove_file(desk.state().join("data-key.asc")).unwrap();
    refused(&desk, "it is missing, and without it nothing here can be opened");
}

/// Signed by the desk, but for another store. (sled touches the index when it is opened; the index stays where it is.)
#[test]
fn the_data_key_of_another_store_of_the_same_desk_is_refused() {
    let (one, other) = (desk(), desk());
    let right = data_key(&one);
    fs::write(one.state().join("data-key.asc"), data_key(&other)).unwrap();
    let before = files(&one);
    let (code, complaint) = starts(&one);
    assert_eq!((code, complaint.lines().count()), (1, 1), "{complaint}");
    let why = "cannot be opened with this data key: one of the two is from elsewhere";
    assert!(complaint.contains(why), "{complaint}");
    assert_eq!(changed_outside_the_index(&before, &files(&one)), Vec::<PathBuf>::new());

    fs::write(one.state().join("data-key.asc"), right).unwrap();
    one.start();
    assert_eq!(one.cases().len(), 1);
    assert!(!one.log().contains("index"), "{}", one.log());
}
