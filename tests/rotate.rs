//! `psirtd key rotate` on a desk as `systemd/psirtd.service` sets it up: root's files, read by psirtd through their group.

use crate::cli;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

const CONFIG: &str = r#"
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
"#;

fn desk() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("desk.key.asc"), cli::key("Desk", "security@example.org")).unwrap();
    fs::write(dir.path().join("psirtd.toml"), CONFIG).unwrap();
    set_mode(&dir.path().join("desk.key.asc"), 0o640);
    dir
}

fn psirtd(dir: &Path, arguments: &[&str]) -> Output {
    cli::psirtd(dir, &[&["--config", "psirtd.toml"], arguments].concat())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Whoever could read the old key reads the new one; otherwise the daemon does not start any more.
#[test]
fn a_key_stays_readable_for_its_group() {
    let desk = desk();
    assert!(psirtd(desk.path(), &["key", "rotate"]).status.success());
    assert_eq!(mode(&desk.path().join("desk.key.asc")), 0o640);
    assert_eq!(mode(&desk.path().join("old-keys")), 0o750);
    for kept in fs::read_dir(desk.path().join("old-keys")).unwrap() {
        assert_eq!(mode(&kept.unwrap().path()), 0o640);
    }
}

/// What `rotate` itself leaves in the folder when it is killed while it writes there.
#[test]
fn a_desk_starts_after_a_rotation_was_cut_off() {
    let desk = desk();
    assert!(psirtd(desk.path(), &["key", "rotate"]).status.success());
    fs::write(desk.path().join("old-keys/0123.part"), "").unwrap();
    let check = psirtd(desk.path(), &["check"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

/// `O_CREAT` without `O_EXCL` keeps the mode of a file that lies there, and follows a link.
#[test]
fn what_lies_in_the_place_of_the_part_is_not_written_to() {
    let desk = desk();
    let part = desk.path().join("desk.key.part");
    fs::write(&part, "").unwrap();
    set_mode(&part, 0o644);
    assert!(psirtd(desk.path(), &["key", "rotate"]).status.success());
    assert_eq!(mode(&desk.path().join("desk.key.asc")) & 0o007, 0, "nobody else may read it");

    let elsewhere = desk.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    let _refused_or_done = psirtd(desk.path(), &["key", "rotate"]);
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");
}

/// The key is a link to where keys are kept: the link stays one.
#[test]
fn a_key_behind_a_link_is_replaced_where_it_lies() {
    let desk = desk();
    let key = desk.path().join("desk.key.asc");
    fs::create_dir(desk.path().join("keys")).unwrap();
    fs::rename(&key, desk.path().join("keys/desk.asc")).unwrap();
    std::os::unix::fs::symlink("keys/desk.asc", &key).unwrap();
    let before = fs::read(&key).unwrap();
    assert!(psirtd(desk.path(), &["key", "rotate"]).status.success());
    assert_ne!(fs::read(desk.path().join("keys/desk.asc")).unwrap(), before);
}
