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

mod section;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::config::section::{Found, Problems, Section};
use crate::domain::calendar::{Calendar, Term};
use crate::domain::intake::is_address;
use crate::domain::message::Mailbox;
use crate::domain::policy::{Person, Policy, Role};
use crate::keyring::{self, Keyring};
use crate::seal::Letterhead;
use crate::seal::template::Templates;
use crate::tls::{self, Tls};
use crate::{inbox, outbox};

/// Certificates and the desk's key are warned of when they expire within this.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(60 * 24);

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
    /// What is not wrong, but worth a person's attention.
    pub warnings: Vec<String>,
}

/// Why there is no desk: one line an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Reads a configuration and everything it names. `now` decides whether keys are valid.
    pub fn load(path: &Path, now: Timestamp) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(vec![format!(
                "{}: {error}; “psirtd init --dir DIR” makes a new desk",
                path.display()
            )])
        })?;
        Self::parse(&text, path, now)
    }

    fn parse(text: &str, path: &Path, now: Timestamp) -> Result<Self, ConfigError> {
        let problems = Problems::new(path, text);
        let (table, errors) = toml::de::DeTable::parse_recoverable(text);
        for error in &errors {
            problems.at(error.span().map_or(0, |span| span.start), "", error.message());
        }
        let read = if errors.is_empty() {
            let reading =
                Reading { folder: path.parent().unwrap_or(Path::new("")), now, warnings: Vec::new() };
            reading.root(Section::root(&table, &problems))
        } else {
            None
        };
        let errors = problems.into_lines();
        match read {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigError(errors)),
        }
    }
}

/// The reading of one file.
struct Reading<'p> {
    /// Relative paths are relative to the file.
    folder: &'p Path,
    now: Timestamp,
    warnings: Vec<String>,
}

/// What the `[desk]` section gives.
struct Desk {
    mailbox: Option<Mailbox>,
    case_prefix: Option<String>,
    zone: Option<TimeZone>,
    state: Option<PathBuf>,
    templates: Option<Templates>,
}

impl Reading<'_> {
    fn root(mut self, root: Section<'_>) -> Option<Config> {
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
        let inbox = self.inbox(&root);
        let outbox = self.outbox(&root);
        let policy_section = root.section("policy");
        let distributors = root.section("distributors").and_then(|section| {
            let address = self.address(&section, "address", true);
            section.finish();
            address
        });
        let desk = desk?;
        for person in &people {
            if desk.mailbox.as_ref().is_some_and(|desk| desk.canonical() == person.mailbox.canonical()) {
                let why = "this is the desk's own address: its letters would come back to it";
                root.problems().at(0, "person", format!("{}: {why}", person.mailbox.address));
            }
        }
        let policy = self.policy(policy_section, &desk, people, distributors);
        root.finish();
        Some(Config {
            letterhead: Letterhead { desk: desk.mailbox?, templates: desk.templates? },
            policy: policy?,
            keyring,
            state: desk.state?,
            inbox: inbox?,
            outbox: outbox?,
            warnings: self.warnings,
        })
    }

    fn desk(&mut self, desk: Section<'_>, keyring: &mut Keyring) -> Desk {
        let problems = desk.problems();
        let name = desk.text("name").map(|name| name.value);
        let address = self.address(&desk, "address", true);
        let case_prefix = match desk.text("case_prefix") {
            Some(prefix) => prefix.and_then(problems, case_prefix),
            None => Some("SEC".to_owned()),
        };
        let zone = match desk.text("time_zone") {
            Some(zone) => zone.and_then(problems, |name| {
                TimeZone::get(&name)
                    .map_err(|_| format!("“{name}” is no IANA time zone, such as “Europe/Berlin”"))
            }),
            None => Some(TimeZone::UTC),
        };
        let passphrase = self.secret(&desk, "passphrase");
        match desk.text("key") {
            Some(key) => {
                let (place, name) = (key.place, key.key.clone());
                let added = key.and_then(problems, |file| {
                    let path = self.path(&file);
                    let bytes = Zeroizing::new(read(&path)?);
                    keyring
                        .add_secret_keys(&bytes, passphrase.as_ref())
                        .map_err(|error| format!("{}: {error}", path.display()))
                });
                if added.is_some() {
                    self.desk_key(keyring, address.as_deref(), &mut |message| {
                        problems.at(place, &name, message)
                    });
                }
            }
            None => desk.missing("key", "key = \"desk.key.asc\""),
        }
        if let Some(certs) = desk.text("certs") {
            certs.and_then(problems, |folder| self.certificates(&self.path(&folder), keyring));
        }
        let templates = self.templates(&desk);
        let state = desk.text("state").map(|state| self.path(&state.value));
        if state.is_none() {
            desk.missing("state", "state = \"/var/lib/psirtd\"");
        }
        desk.finish();
        let mailbox = address.map(|address| Mailbox { name, address });
        Desk { mailbox, case_prefix, zone, state, templates }
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
        if let Some(expiry) = keyring.desk_expires(self.now)
            && expiry.duration_since(self.now) < EXPIRY_WARNING
        {
            self.warnings.push(format!("the desk's key expires on {}", expiry.strftime("%Y-%m-%d")));
        }
    }

    fn certificates(&self, folder: &Path, keyring: &mut Keyring) -> Result<(), String> {
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut files: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
        files.sort();
        files.iter().try_for_each(|file| {
            keyring
                .add_certificates(&read(file)?, None)
                .map_err(|error| format!("{}: {error}", file.display()))
        })
    }

    fn templates(&self, desk: &Section<'_>) -> Option<Templates> {
        let folder = desk.text("templates");
        let (place, key) =
            folder.as_ref().map_or((0, desk.key("templates")), |found| (found.place, found.key.clone()));
        let folder = folder.map(|folder| self.path(&folder.value));
        let templates = Templates::new(|name| {
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
        match keyring::encryptable(keyring, &[], &mailbox, self.now) {
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
        distributors: Option<String>,
    ) -> Option<Policy> {
        let term = |key: &str, default: u32| match section
            .as_ref()
            .and_then(|section| Some((section.text(key)?, section)))
        {
            Some((term, section)) => term.and_then(section.problems(), |text| text.parse::<Term>()),
            None => Some(Term::BusinessDays(default)),
        };
        let (first_response, plan, disclosure) =
            (term("first_response", 3), term("plan", 3), term("disclosure", 14));
        let text =
            |key: &str| section.as_ref().and_then(|section| section.text(key)).map(|found| found.value);
        let (public_tracker, process) = (text("public_tracker"), text("process"));
        let mut supported = Vec::new();
        let mut holidays = Vec::new();
        if let Some(section) = &section {
            supported.extend(section.texts("supported").into_iter().map(|version| version.value));
            for holiday in section.texts("holidays") {
                holidays.extend(holiday.and_then(section.problems(), |text| {
                    text.parse::<jiff::civil::Date>()
                        .map_err(|_| format!("“{text}” is no date, such as “2026-12-25”"))
                }));
            }
        }
        if let Some(section) = section {
            section.finish();
        }
        Some(Policy {
            desk: desk.mailbox.clone()?,
            case_prefix: desk.case_prefix.clone()?,
            calendar: Calendar { zone: desk.zone.clone()?, holidays },
            first_response: first_response?,
            plan: plan?,
            disclosure: disclosure?,
            supported,
            public_tracker,
            process,
            people,
            distributors,
        })
    }

    fn inbox(&mut self, root: &Section<'_>) -> Option<inbox::Settings> {
        let Some(section) = root.section("inbox") else {
            root.missing("inbox", "[inbox.imap]");
            return None;
        };
        let max_size = match section.text("max_size") {
            Some(size) => size.and_then(section.problems(), |text| megabytes(&text)),
            None => Some(50 << 20),
        };
        let (imap, maildir) = (section.section("imap"), section.section("maildir"));
        let door = match (imap, maildir) {
            (Some(imap), None) => self.imap(imap).map(inbox::Door::Imap),
            (None, Some(maildir)) => {
                self.maildir(maildir).map(|path| inbox::Door::Maildir(inbox::maildir::Settings { path }))
            }
            (None, None) => {
                section.missing("imap", "[inbox.imap]");
                None
            }
            (Some(imap), Some(maildir)) => {
                section.wrong("imap", "give either [inbox.imap] or [inbox.maildir], not both");
                drop((self.imap(imap), self.maildir(maildir)));
                None
            }
        };
        section.finish();
        Some(inbox::Settings { door: door?, max_size: max_size? })
    }

    fn outbox(&mut self, root: &Section<'_>) -> Option<outbox::Settings> {
        let Some(section) = root.section("outbox") else {
            root.missing("outbox", "[outbox.smtp]");
            return None;
        };
        let (smtp, maildir) = (section.section("smtp"), section.section("maildir"));
        let settings = match (smtp, maildir) {
            (Some(smtp), None) => self.smtp(smtp).map(outbox::Settings::Smtp),
            (None, Some(maildir)) => self
                .maildir(maildir)
                .map(|path| outbox::Settings::Maildir(outbox::maildir::Settings { path })),
            (None, None) => {
                section.missing("smtp", "[outbox.smtp]");
                None
            }
            (Some(smtp), Some(maildir)) => {
                section.wrong("smtp", "give either [outbox.smtp] or [outbox.maildir], not both");
                drop((self.smtp(smtp), self.maildir(maildir)));
                None
            }
        };
        section.finish();
        settings
    }

    fn imap(&mut self, section: Section<'_>) -> Option<inbox::imap::Settings> {
        let server = self.server(&section, 993, 143);
        let problems = section.problems();
        let mut folders: Vec<String> =
            section.texts("folders").into_iter().map(|folder| folder.value).collect();
        if folders.is_empty() {
            folders.push("INBOX".to_owned());
        }
        let processed = section.text("processed").and_then(|found| {
            found.and_then(problems, |name| {
                if folders.contains(&name) {
                    Err("it is one of the folders that mail is read from")
                } else {
                    Ok(name)
                }
            })
        });
        let poll = match section.text("poll") {
            Some(poll) => poll.and_then(problems, |text| duration(&text)),
            None => Some(Duration::from_secs(60)),
        };
        if !section.has("user") && !section.has("password") {
            section.missing("user", "user = \"security@example.org\"");
        }
        section.finish();
        let Server { host, port, tls, authorities, login } = server?;
        let (user, password) = login?;
        Some(inbox::imap::Settings {
            host,
            port,
            tls,
            authorities,
            user,
            password,
            folders,
            processed,
            poll: poll?,
        })
    }

    fn smtp(&mut self, section: Section<'_>) -> Option<outbox::smtp::Settings> {
        let server = self.server(&section, 465, 587);
        section.finish();
        let Server { host, port, tls, authorities, login } = server?;
        Some(outbox::smtp::Settings { host, port, tls, authorities, login })
    }

    fn maildir(&mut self, section: Section<'_>) -> Option<PathBuf> {
        let path = section.text("path").map(|path| self.path(&path.value));
        if path.is_none() {
            section.missing("path", "path = \"/var/mail/security\"");
        }
        section.finish();
        path
    }

    /// Host, port, TLS and login, which both doors to servers have.
    fn server(&mut self, section: &Section<'_>, implicit_port: u64, other_port: u64) -> Option<Server> {
        let problems = section.problems();
        let host = section.text("host");
        if host.is_none() {
            section.missing("host", "host = \"mail.example.org\"");
        }
        let host = host.map(|host| host.value);
        let tls = match section.text("tls") {
            Some(tls) => tls.and_then(problems, |word| match (word.as_str(), &host) {
                ("implicit", _) => Ok(Tls::Implicit),
                ("starttls", _) => Ok(Tls::StartTls),
                ("none", Some(host)) if tls::is_loopback(host) => Ok(Tls::None),
                ("none", _) => Err("“none” is for loopback addresses only: passwords and reports would cross the net in the clear".to_owned()),
                (other, _) => Err(format!("“{other}” is not implicit, starttls or none")),
            }),
            None => Some(Tls::Implicit),
        };
        let default_port = Found {
            value: if tls == Some(Tls::Implicit) { implicit_port } else { other_port },
            place: 0,
            key: section.key("port"),
        };
        let port = section.number("port").unwrap_or(default_port);
        let port = port.and_then(problems, |port| u16::try_from(port).map_err(|_| "no port number"));
        let authorities = match section.text("ca") {
            Some(ca) => ca.and_then(problems, |file| {
                let path = self.path(&file);
                tls::authorities(&read(&path)?).map_err(|error| format!("{}: {error}", path.display()))
            }),
            None => Some(Vec::new()),
        };
        let user = section.text("user").map(|user| user.value);
        let password = self.secret(section, "password");
        // half a login would be none at all
        if section.has("user") != section.has("password") {
            let key = if section.has("user") { "password" } else { "user" };
            section.wrong(key, "missing; a login has user and password");
        }
        let login = user.zip(password);
        Some(Server { host: host?, port: port?, tls: tls?, authorities: authorities?, login })
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

    /// `{ credential = NAME }`, `{ file = PATH }` or `{ env = NAME }`.
    fn secret(&self, section: &Section<'_>, key: &str) -> Option<Zeroizing<String>> {
        let source = section.section(key)?;
        let problems = source.problems();
        let (credential, file, env) = (source.text("credential"), source.text("file"), source.text("env"));
        let secret = match (credential, file, env) {
            (Some(credential), None, None) => credential.and_then(problems, |name| {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(
                    "systemd passes no credentials here; use { file = PATH } when you run psirtd by hand",
                )?;
                secret_file(&PathBuf::from(folder).join(name))
            }),
            (None, Some(file), None) => file.and_then(problems, |file| secret_file(&self.path(&file))),
            (None, None, Some(env)) => env.and_then(problems, |name| {
                std::env::var(&name).map(Zeroizing::new).map_err(|_| format!("the environment has no {name}"))
            }),
            _ => {
                section.wrong(key, "give exactly one of credential, file, env");
                None
            }
        };
        source.finish();
        secret
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// What both doors to servers have.
struct Server {
    host: String,
    port: u16,
    tls: Tls,
    authorities: Vec<rustls::pki_types::CertificateDer<'static>>,
    login: Option<(String, Zeroizing<String>)>,
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

fn megabytes(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("MB").or_else(|| text.strip_suffix("MiB")).map(str::trim);
    let number =
        number.and_then(|number| number.parse::<u64>().ok()).filter(|number| (1..=512).contains(number));
    number.map(|number| number << 20).ok_or_else(|| format!("“{text}”: write “50 MB”; between 1 and 512"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: Result<SignedDuration, _> = text.parse();
    let duration = duration.ok().and_then(|duration| Duration::try_from(duration).ok());
    let reasonable =
        duration.filter(|duration| (Duration::from_secs(1)..=Duration::from_secs(1740)).contains(duration));
    reasonable.ok_or_else(|| format!("“{text}”: write “60s” or “5m”; between 1s and 29m"))
}

fn secret_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
