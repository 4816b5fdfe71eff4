//! The doors' part of the configuration: servers, Maildirs, and the secrets that open them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use zeroize::Zeroizing;

use crate::config::section::{Found, Section};
use crate::config::{Reading, read};
use crate::tls::{self, Tls};
use crate::{inbox, outbox};

impl Reading<'_> {
    pub(super) fn inbox(
        &mut self,
        root: &Section<'_>,
        section: Option<Section<'_>>,
    ) -> Option<inbox::Settings> {
        let Some(section) = section else {
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

    pub(super) fn outbox(&mut self, root: &Section<'_>) -> Option<outbox::Settings> {
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
                if folders.iter().any(|folder| same_folder(folder, &name)) {
                    Err("it is one of the folders that mail is read from")
                } else {
                    Ok(name)
                }
            })
        });
        let junk = section.text("junk").and_then(|found| {
            found.and_then(problems, |name| {
                let taken = folders.iter().chain(&processed).any(|folder| same_folder(folder, &name));
                if taken { Err("it is one of folders, or processed") } else { Ok(name) }
            })
        });
        let poll = match section.text("poll") {
            Some(poll) => poll.and_then(problems, |text| duration(&text, POLL)),
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
            junk,
            processed,
            poll: poll?,
            waits: Box::default(),
        })
    }

    fn smtp(&mut self, section: Section<'_>) -> Option<outbox::smtp::Settings> {
        let server = self.server(&section, 465, 587);
        section.finish();
        let Server { host, port, tls, authorities, login } = server?;
        Some(outbox::smtp::Settings { host, port, tls, authorities, login, patience: outbox::smtp::PATIENCE })
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

    /// `{ credential = NAME }`, `{ file = PATH }` or `{ env = NAME }`.
    pub(super) fn secret(&self, section: &Section<'_>, key: &str) -> Option<Zeroizing<String>> {
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
}

/// What both doors to servers have.
struct Server {
    host: String,
    port: u16,
    tls: Tls,
    authorities: Vec<rustls::pki_types::CertificateDer<'static>>,
    login: Option<(String, Zeroizing<String>)>,
}

/// RFC 3501 §5.1: INBOX in any case is the same folder; of other names it is wiser to think so.
fn same_folder(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn megabytes(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("MB").or_else(|| text.strip_suffix("MiB")).map(str::trim);
    let number =
        number.and_then(|number| number.parse::<u64>().ok()).filter(|number| (1..=512).contains(number));
    number.map(|number| number << 20).ok_or_else(|| format!("“{text}”: write “50 MB”; between 1 and 512"))
}

/// A duration between two others, and how a person is told so.
pub(super) type Between = (u64, u64, &'static str);
const POLL: Between = (1, 29 * 60, "“60s” or “5m”; between 1s and 29m");

pub(super) fn duration(text: &str, (least, most, words): Between) -> Result<Duration, String> {
    let duration: Result<SignedDuration, _> = text.parse();
    let duration = duration.ok().and_then(|duration| Duration::try_from(duration).ok());
    let reasonable = duration
        .filter(|duration| (Duration::from_secs(least)..=Duration::from_secs(most)).contains(duration));
    reasonable.ok_or_else(|| format!("“{text}”: write {words}"))
}

fn secret_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
