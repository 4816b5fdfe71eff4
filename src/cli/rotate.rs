//! `psirtd key rotate`: a new desk key. The old one still opens what was encrypted to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::cli::{Failure, print};
use crate::config::{Config, DeskKey};
use crate::custody::DeskKeys;
use crate::keyring::{self, Successor};
use crate::store::vault::wrap_anew;

/// Puts the old key into the folder of old keys, then a new one in its place. Killed in between, it leaves the desk as it was.
pub(super) fn rotate(config: &Path, json: bool, now: Timestamp) -> Result<(), Failure> {
    let desk = Config::desk_key(config, now)?;
    let DeskKey { file, old_keys, passphrase, mailbox, keyring } = &desk;
    // a link stays a link
    let linked = std::fs::canonicalize(file).ok().filter(|_| file.is_symlink());
    let file = linked.as_ref().unwrap_or(file);
    let failed = |path: &Path, error: io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    let old = keyring.desk().map(|old| old.fingerprint().to_hex()).unwrap_or_default();
    let Successor { secret, fingerprint: new, certified } =
        keyring::successor(keyring, mailbox, passphrase.as_ref(), now).map_err(Failure::because)?;

    let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| failed(file, error))?);
    let owner = std::fs::metadata(file).map_err(|error| failed(file, error))?;
    // whoever may read the key may enter the folder of the old ones
    let enter = owner.mode() | (owner.mode() & 0o444) >> 2;
    let folder = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(old_keys);
    folder.and_then(|()| give(old_keys, &owner, enter)).map_err(|error| failed(old_keys, error))?;
    let kept = old_keys.join(format!("{old}.asc"));
    written(&kept, &bytes, &owner).map_err(|error| failed(&kept, error))?;
    let fresh = file.with_extension("new");
    written(&fresh, secret.as_bytes(), &owner)
        .and_then(|()| std::fs::rename(&fresh, file))
        .and_then(|()| folder_synced(file))
        .map_err(|error| failed(&fresh, error))?;

    let wrapped = wrap(config, now);
    if json {
        let done = serde_json::json!({ "fingerprint": new, "old": old, "old_key": kept.display().to_string(),
                                       "data_key_wrapped": wrapped.is_ok() });
        return print(&done.to_string());
    }
    let signature = match certified {
        true => "the new one carries its signature",
        false => "its primary key is not here, so that it could not sign the new one",
    };
    let data_key = match wrapped {
        Ok(()) => "The store's data key is wrapped for the new one.".to_owned(),
        Err(why) => format!("psirtd wraps the store's data key for the new one when it starts ({why})."),
    };
    print(&format!(
        "The desk's new key is {new}.\nThe old one, {old}, is kept in {} and still opens; {signature}.\n{data_key}\n\
         Now: restart psirtd, then publish the new key (psirtd key export) wherever the old one is found.",
        kept.display()
    ))
}

/// Wraps the data key of the store for the key that is the desk's now; the one before it still opens older backups.
fn wrap(config: &Path, now: Timestamp) -> Result<(), String> {
    let state = Config::glance(config).map_err(|error| error.to_string())?.state;
    let desk = Config::desk_key(config, now).map_err(|error| error.to_string())?;
    wrap_anew(&state, &DeskKeys { keyring: &desk.keyring, now }).map_err(|error| error.to_string())
}

/// Writes a file of the same owner and mode whole, or not at all.
fn written(path: &Path, bytes: &[u8], owner: &std::fs::Metadata) -> io::Result<()> {
    let part = path.with_extension("part");
    // what was left by one that was killed need not be private
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    give(&part, owner, owner.mode())?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    folder_synced(path)
}

fn give(path: &Path, owner: &std::fs::Metadata, mode: u32) -> io::Result<()> {
    let mine = std::fs::metadata(path)?;
    if (mine.uid(), mine.gid()) != (owner.uid(), owner.gid()) {
        chown(path, Some(owner.uid()), Some(owner.gid()))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o777))
}

fn folder_synced(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
