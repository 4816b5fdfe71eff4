//! The configuration: TOML in, a validated [`Config`] out, or every error at once.
//!
//! # What it is for
//! One file describes one desk. Reading it also reads the key files, certificates, templates and secrets it names, so that
//! whatever is wrong shows before anything is done.
//!
//! # Invariants
//! * Unknown keys are errors. Every error names file, line and key.
//! * Secrets come from files that the configuration names (systemd credentials, a path) or from the environment, never from
//!   the configuration itself; no error message holds one.
//! * Without TLS only loopback addresses are accepted.

mod distributors;
mod doors;
mod holidays;
mod intake;
mod section;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::config::section::{Problems, Section};
use crate::domain::calendar::{Calendar, Term};
use crate::domain::concern::of_certificate;
use crate::domain::deadline::Terms;
use crate::domain::intake::is_address;
use crate::domain::message::Mailbox;
use crate::domain::policy::distributors::Distributors;
use crate::domain::policy::{Person, Policy, Role};
use crate::keyring::{self, Keyring};
use crate::seal::Letterhead;
use crate::seal::template::{LANGUAGES, Templates};
use crate::{inbox, outbox};

/// A desk, ready to be opened.
#[derive(Debug)]
pub struct Config {
    /// The written process.
    pub policy: Policy,
    /// All keys.
    pub keyring: Keyring,
    /// What all letters have in common.
    pub letterhead: Letterhead,
    /// The state directory.
    pub state: PathBuf,
    /// The door in.
    pub inbox: inbox::Settings,
    /// The door out.
    pub outbox: outbox::Settings,
    /// Certificates of reporters are looked up in the Web Key Directories of their domains.
    pub look_up: bool,
    /// What is not wrong, but worth a person's attention.
    pub warnings: Vec<String>,
}

/// What can be known of a desk without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// The state directory.
    pub state: PathBuf,
    /// The file of the desk's key.
    pub key: PathBuf,
}

/// What it takes to replace the desk's key.
#[derive(Debug)]
pub struct DeskKey {
    /// Its file.
    pub file: PathBuf,
    /// The folder of the keys before it.
    pub old_keys: PathBuf,
    /// What protects it.
    pub passphrase: Option<Zeroizing<String>>,
    /// Whose it is.
    pub mailbox: Mailbox,
    /// All keys.
    pub keyring: Keyring,
}

/// Why there is no desk: one line an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads a configuration and everything it names. `now` decides whether keys are valid.
    pub fn load(path: &Path, now: Timestamp) -> Result<Self, ConfigError> {
        reading(path, now, |mut reading, root| reading.root(root))
    }

    /// Reads the policy and the keys, not the doors: `explain` needs no password of a server.
    pub fn without_doors(path: &Path, now: Timestamp) -> Result<(Policy, Keyring), ConfigError> {
        let house =
            reading(path, now, |mut reading, root| reading.house(&root, root.section("inbox").as_ref()))?;
        Ok((house.policy, house.keyring))
    }

    /// Reads what it takes to replace the desk's key.
    pub fn desk_key(path: &Path, now: Timestamp) -> Result<DeskKey, ConfigError> {
        let House { keyring, letterhead, key, old_keys, passphrase, .. } =
            reading(path, now, |mut reading, root| reading.house(&root, root.section("inbox").as_ref()))?;
        Ok(DeskKey { file: key, old_keys, passphrase, mailbox: letterhead.desk, keyring })
    }

    /// Reads as much as it takes to find the running daemon and the desk's public key: no secret is needed for that, and an
    /// operator's shell has none of systemd's credentials.
    pub fn glance(path: &Path) -> Result<Glance, ConfigError> {
        parsed(path, |root| {
            let desk = root.section("desk");
            let here = path.parent().unwrap_or(Path::new(""));
            let named =
                |key: &str| desk.as_ref().and_then(|desk| desk.text(key)).map(|found| here.join(found.value));
            let (state, key) = (named("state"), named("key"));
            for (key, found) in [("state", &state), ("key", &key)] {
                if found.is_none() {
                    root.missing(&format!("desk.{key}"), &format!("{key} = \"…\" under [desk]"));
                }
            }
            Some(Glance { state: state?, key: key? })
        })
    }
}

/// Parses a file and everything it names; the result, or every error.
fn reading<T>(
    path: &Path,
    now: Timestamp,
    read: impl FnOnce(Reading<'_>, Section<'_>) -> Option<T>,
) -> Result<T, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    parsed(path, |root| read(Reading { folder, now, warnings: Vec::new() }, root))
}

/// Parses a file and lets `read` take it apart; the result, or every error.
fn parsed<T>(path: &Path, read: impl FnOnce(Section<'_>) -> Option<T>) -> Result<T, ConfigError> {
    let text = text_of(path)?;
    let problems = Problems::new(path, &text);
    let (table, errors) = toml::de::DeTable::parse_recoverable(&text);
    for error in &errors {
        problems.at(error.span().map_or(0, |span| span.start), "", error.message());
    }
    let found = if errors.is_empty() { read(Section::root(&table, &problems)) } else { None };
    let errors = problems.into_lines();
    found.filter(|_| errors.is_empty()).ok_or(ConfigError(errors))
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        ConfigError(vec![format!("{}: {error}; “psirtd init --dir DIR” makes a new desk", path.display())])
    })
}

/// The reading of one file.
struct Reading<'p> {
    /// Relative paths are relative to the file.
    folder: &'p Path,
    now: Timestamp,
    warnings: Vec<String>,
}

/// Everything but the doors.
struct House {
    policy: Policy,
    keyring: Keyring,
    letterhead: Letterhead,
    state: PathBuf,
    key: PathBuf,
    old_keys: PathBuf,
    passphrase: Option<Zeroizing<String>>,
    look_up: bool,
}

/// What the `[desk]` section gives.
struct Desk {
    mailbox: Option<Mailbox>,
    case_prefix: Option<String>,
    zone: Option<TimeZone>,
    state: Option<PathBuf>,
    key: Option<PathBuf>,
    old_keys: PathBuf,
    passphrase: Option<Zeroizing<String>>,
    look_up: bool,
    plus_address: bool,
    templates: Option<Templates>,
}

impl Reading<'_> {
    fn root(&mut self, root: Section<'_>) -> Option<Config> {
        let inbox = root.section("inbox");
        let house = self.house(&root, inbox.as_ref());
        let inbox = self.inbox(&root, inbox);
        let outbox = self.outbox(&root);
        root.finish();
        let House { policy, keyring, letterhead, state, look_up, .. } = house?;
        let warnings = std::mem::take(&mut self.warnings);
        let (inbox, outbox) = (inbox?, outbox?);
        Some(Config { policy, keyring, letterhead, state, inbox, outbox, look_up, warnings })
    }

    /// Everything but the doors.
    fn house(&mut self, root: &Section<'_>, inbox: Option<&Section<'_>>) -> Option<House> {
        let mut keyring = Keyring::new();
        let desk = match root.section("desk") {
            Some(section) => Some(self.desk(section, &mut keyring)),
            None => {
                root.missing("desk", "[desk]");
                None
            }
        };
        let people: Vec<Person> = root
            .sections("person")
            .into_iter()
            .filter_map(|section| self.person(section, &mut keyring))
            .collect();
        if !people.iter().any(|person| person.roles.contains(&Role::Coordinator)) {
            self.warnings.push("no [[person]] is a coordinator: reports reach nobody".to_owned());
        }
        let mailboxes = people.iter().map(|person| &person.mailbox);
        for validity in keyring::validities(&keyring, mailboxes, self.now) {
            // what cannot be used was said where it is named
            let usable = validity.unusable.is_none();
            self.warnings.extend(of_certificate(&validity, self.now).filter(|_| usable).map(|it| it.text));
        }
        let policy_section = root.section("policy");
        let plus_address = desk.as_ref().is_some_and(|desk| desk.plus_address);
        let distributors = root.section("distributors");
        let distributors = distributors.map_or_else(Distributors::default, |section| {
            self.distributors(section, (&people, &keyring), plus_address)
        });
        let desk = desk?;
        for person in &people {
            if desk.mailbox.as_ref().is_some_and(|desk| desk.canonical() == person.mailbox.canonical()) {
                let why = "this is the desk's own address: its letters would come back to it";
                root.problems().at(0, "person", format!("{}: {why}", person.mailbox.address));
            }
        }
        let policy = self.policy(policy_section, &desk, people, distributors);
        let intake = self.intake(root, inbox);
        let plus_address = desk.plus_address;
        let letterhead = Letterhead { desk: desk.mailbox?, templates: desk.templates?, plus_address };
        let Desk { state, key, old_keys, passphrase, look_up, .. } = desk;
        let (policy, state, key) = (intake?.into_policy(policy?), state?, key?);
        Some(House { policy, keyring, letterhead, state, key, old_keys, passphrase, look_up })
    }

    fn desk(&mut self, desk: Section<'_>, keyring: &mut Keyring) -> Desk {
        let problems = desk.problems();
        let name = desk.text("name").map(|name| name.value);
        let address = self.address(&desk, "address", true);
        let case_prefix = match desk.text("case_prefix") {
            Some(prefix) => prefix.and_then(problems, case_prefix),
            None => Some(Policy::new(Mailbox::bare("")).case_prefix),
        };
        let zone = match desk.text("time_zone") {
            Some(zone) => zone.and_then(problems, |name| {
                TimeZone::get(&name)
                    .map_err(|_| format!("“{name}” is no IANA time zone, such as “Europe/Berlin”"))
            }),
            None => Some(TimeZone::UTC),
        };
        let passphrase = self.secret(&desk, "passphrase");
        let mut file = None;
        match desk.text("key") {
            Some(key) => {
                let (place, name) = (key.place, key.key.clone());
                file = Some(self.path(&key.value));
                let added = key
                    .and_then(problems, |file| secret_keys(&self.path(&file), passphrase.as_ref(), keyring));
                if added.is_some() {
                    self.desk_key(keyring, address.as_deref(), &mut |message| {
                        problems.at(place, &name, message)
                    });
                }
            }
            None => desk.missing("key", "key = \"desk.key.asc\""),
        }
        let old_keys = self.old_keys(&desk, passphrase.as_ref(), keyring);
        if let Some(certs) = desk.text("certs") {
            certs.and_then(problems, |folder| self.certificates(&self.path(&folder), keyring));
        }
        let look_up = desk.switch("web_key_directory");
        let plus_address = desk.switch("plus_address");
        let templates = self.templates(&desk);
        let state = desk.text("state").map(|state| self.path(&state.value));
        if state.is_none() {
            desk.missing("state", "state = \"/var/lib/psirtd\"");
        }
        desk.finish();
        let mailbox = address.map(|address| Mailbox { name, address });
        Desk {
            mailbox,
            case_prefix,
            zone,
            state,
            key: file,
            old_keys,
            passphrase,
            look_up,
            plus_address,
            templates,
        }
    }

    /// The keys before the desk's: they open what was encrypted to them. The folder need not be there.
    fn old_keys(
        &self,
        desk: &Section<'_>,
        passphrase: Option<&Zeroizing<String>>,
        keyring: &mut Keyring,
    ) -> PathBuf {
        let named = desk.text("old_keys");
        let (place, key) = named.as_ref().map_or((0, desk.key("old_keys")), |it| (it.place, it.key.clone()));
        let folder = self.path(named.as_ref().map_or("old-keys", |it| it.value.as_str()));
        if named.is_some() || folder.exists() {
            // a rotation that was killed leaves a part of a file, a person perhaps a note: neither is a key
            let is_key =
                |name: &std::ffi::OsStr| ["asc", "gpg", "pgp", "key"].iter().any(|known| name == *known);
            let whole = |file: &&PathBuf| file.extension().is_some_and(is_key);
            let read = files(&folder).and_then(|files| {
                files.iter().filter(whole).try_for_each(|file| secret_keys(file, passphrase, keyring))
            });
            if let Err(error) = read {
                desk.problems().at(place, &key, error);
            }
        }
        folder
    }

    /// The desk's key must sign and open now; it should carry the desk's address, and live for a while.
    fn desk_key(&mut self, keyring: &Keyring, address: Option<&str>, problem: &mut dyn FnMut(String)) {
        if let Err(error) = keyring.signer(self.now) {
            problem(format!("{error}; extend or replace it (gpg --quick-set-expire)"));
            return;
        }
        let Some(desk) = keyring.desk() else { return };
        if let Err(why) = keyring::encryption_keys(desk, &keyring::policy(self.now), self.now) {
            problem(format!("{}: {why}, so nobody can encrypt to the desk", desk.fingerprint().to_hex()));
        }
        if let Some(address) = address
            && !keyring::user_addresses(desk).contains(&crate::domain::message::canonical(address))
        {
            self.warnings.push(format!(
                "the desk's key has no user id with {address}: mail programs will not find it"
            ));
        }
        if keyring::advertises_more_than_seipdv1(desk, self.now) {
            self.warnings.push(
                "the desk's key asks for a newer encryption than every program can write; GnuPG 2.4 then writes a form of \
                 its own that psirtd cannot open (gpg --edit-key: setpref AES256 SHA512 ZLIB)"
                    .to_owned(),
            );
        }
    }

    fn certificates(&self, folder: &Path, keyring: &mut Keyring) -> Result<(), String> {
        files(folder)?.iter().try_for_each(|file| {
            keyring
                .add_certificates(&read(file)?, None)
                .map_err(|error| format!("{}: {error}", file.display()))
        })
    }

    fn templates(&mut self, desk: &Section<'_>) -> Option<Templates> {
        let folder = desk.text("templates");
        let (place, key) =
            folder.as_ref().map_or((0, desk.key("templates")), |found| (found.place, found.key.clone()));
        let folder = folder.map(|folder| self.path(&folder.value));
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
            let why = format!("{}: there is no such folder, the letters are psirtd's own", folder.display());
            self.warnings.push(format!("{key}: {why}"));
        }
        let language = match desk.text("language") {
            Some(language) => language.and_then(desk.problems(), |language| {
                if LANGUAGES.contains(&language.as_str()) {
                    Ok(language)
                } else {
                    let known = LANGUAGES.join(", ");
                    Err(format!(
                        "no letters in “{language}” are compiled in, only in {known}; others: desk.templates"
                    ))
                }
            })?,
            None => "en".to_owned(),
        };
        let templates = Templates::new(&language, |name| {
            let Some(file) = folder.as_ref().map(|folder| folder.join(name)) else { return Ok(None) };
            if file.exists() {
                std::fs::read_to_string(&file).map(Some).map_err(|error| error.to_string())
            } else {
                Ok(None)
            }
        });
        templates
            .map_err(|errors| errors.iter().for_each(|error| desk.problems().at(place, &key, error)))
            .ok()
    }

    fn person(&mut self, section: Section<'_>, keyring: &mut Keyring) -> Option<Person> {
        let problems = section.problems();
        let name = section.text("name").map(|name| name.value);
        let address = self.address(&section, "address", true);
        let mut roles = Vec::new();
        for role in section.texts("roles") {
            roles.extend(role.and_then(problems, |role| match role.as_str() {
                "coordinator" => Ok(Role::Coordinator),
                "maintainer" => Ok(Role::Maintainer),
                other => Err(format!("“{other}” is no role: coordinator or maintainer")),
            }));
        }
        let cert = section.text("cert");
        let has_cert = cert.is_some();
        if let Some(cert) = cert {
            cert.and_then(problems, |file| {
                let path = self.path(&file);
                let named = |error| format!("{}: {error}", path.display());
                keyring
                    .add_certificates(&read(&path)?, address.as_deref())
                    .map_err(|error| named(error.to_string()))
            });
        }
        section.finish();
        let mailbox = Mailbox { name, address: address? };
        let held_for =
            |cert: &sequoia_openpgp::Cert| keyring::user_addresses(cert).contains(&mailbox.canonical());
        match keyring::encryptable(keyring, &mailbox, self.now) {
            Ok(cert) if has_cert && !held_for(cert) => {
                let fingerprint = cert.fingerprint().to_hex();
                self.warnings.push(format!(
                    "the certificate {fingerprint} that is named for {} has no user id with that address: is it right?",
                    mailbox.address
                ));
            }
            Err(error) => self.warnings.push(format!("{error}: letters to {} are held", mailbox.address)),
            Ok(_) if !has_cert => self
                .warnings
                .push(format!("{} has no cert key, another certificate is used", mailbox.address)),
            Ok(_) => {}
        }
        Some(Person { mailbox, roles })
    }

    fn policy(
        &mut self,
        section: Option<Section<'_>>,
        desk: &Desk,
        people: Vec<Person>,
        distributors: Distributors,
    ) -> Option<Policy> {
        // the defaults do not depend on whose desk it is, which may be what is wrong
        let standard = Policy::new(Mailbox::bare(""));
        let term = |key: &str, default: Term| match section
            .as_ref()
            .and_then(|section| Some((section.text(key)?, section)))
        {
            Some((term, section)) => term.and_then(section.problems(), |text| text.parse::<Term>()),
            None => Some(default),
        };
        let first_response = term("first_response", standard.terms.first_response);
        let plan = term("plan", standard.terms.plan);
        let status_update = term("status_update", standard.terms.status_update);
        let need_info = term("need_info", standard.terms.need_info);
        let disclosure = term("disclosure", standard.terms.disclosure);
        let text =
            |key: &str| section.as_ref().and_then(|section| section.text(key)).map(|found| found.value);
        let digest = match section.as_ref().and_then(|section| Some((section.text("digest")?, section))) {
            Some((time, section)) => time.and_then(section.problems(), |text| {
                text.parse::<jiff::civil::Time>()
                    .map_err(|_| format!("“{text}” is no time of day, such as “09:00”"))
            }),
            None => Some(standard.digest),
        };
        let silence = match section.as_ref().and_then(|section| Some((section.text("silence")?, section))) {
            Some((found, section)) => found.and_then(section.problems(), |text| silence(&text)),
            None => Some(standard.silence),
        };
        let command_age =
            match section.as_ref().and_then(|section| Some((section.text("command_age")?, section))) {
                Some((found, section)) => found.and_then(section.problems(), |text| command_age(&text)),
                None => Some(standard.command_age),
            };
        let escalation = section
            .as_ref()
            .and_then(|section| self.address(section, "escalation", false))
            .map(Mailbox::bare);
        let (public_tracker, process) = (text("public_tracker"), text("process"));
        let mut supported = Vec::new();
        let mut holidays = BTreeSet::new();
        if let Some(section) = section {
            supported.extend(section.texts("supported").into_iter().map(|version| version.value));
            holidays = self.holidays(&section, desk.zone.as_ref());
            section.finish();
        }
        Some(Policy {
            desk: desk.mailbox.clone()?,
            case_prefix: desk.case_prefix.clone()?,
            calendar: Calendar { zone: desk.zone.clone()?, holidays },
            terms: Terms {
                first_response: first_response?,
                plan: plan?,
                status_update: status_update?,
                need_info: need_info?,
                disclosure: disclosure?,
            },
            command_age: command_age?,
            escalation,
            supported,
            public_tracker,
            process,
            people,
            distributors,
            plus_address: desk.plus_address,
            digest: digest?,
            silence: silence?,
            ..standard
        })
    }

    fn address(&self, section: &Section<'_>, key: &str, needed: bool) -> Option<String> {
        match section.text(key) {
            Some(address) => address.and_then(section.problems(), |text| {
                if is_address(&text) { Ok(text) } else { Err(format!("“{text}” is no address")) }
            }),
            None => {
                if needed {
                    section.missing(key, "address = \"security@example.org\"");
                }
                None
            }
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// Less than a second is no silence, and a desk that is silent for more than a day has broken its promises.
fn silence(text: &str) -> Result<SignedDuration, String> {
    const SILENCE: doors::Between =
        (1, 24 * 60 * 60, "“15 minutes” or “1 hour”; between 1 second and 24 hours");
    SignedDuration::try_from(doors::duration(text, SILENCE)?).map_err(|error| error.to_string())
}

/// A shorter time than mail may take refuses honest commands; a longer one lets somebody keep a command until it suits him.
fn command_age(text: &str) -> Result<SignedDuration, String> {
    const AGE: doors::Between = (15 * 60, 7 * 24 * 60 * 60, "“24 hours”; between 15 minutes and 168 hours");
    SignedDuration::try_from(doors::duration(text, AGE)?).map_err(|error| error.to_string())
}

fn case_prefix(prefix: String) -> Result<String, String> {
    let right = !prefix.is_empty()
        && prefix.len() <= 20
        && prefix.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        && prefix.starts_with(|c: char| c.is_ascii_uppercase());
    if right {
        Ok(prefix)
    } else {
        Err(format!("“{prefix}”: up to 20 of A-Z, 0-9 and -, beginning with a letter"))
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn secret_keys(
    path: &Path,
    passphrase: Option<&Zeroizing<String>>,
    keyring: &mut Keyring,
) -> Result<(), String> {
    let bytes = Zeroizing::new(read(path)?);
    keyring.add_secret_keys(&bytes, passphrase).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
