//! The commands a person types.
//!
//! # Exit codes
//! 0 done; 1 it failed (one line on standard error says what, and what to do); 2 the configuration or the command line is
//! wrong.
//!
//! # Invariants
//! * Answers go to standard output, everything else to standard error.
//! * Every reading command has `--json`; the tables are drawn from the same JSON.

mod demo;
mod explain;
mod exposure;
pub mod figures;
mod listing;
mod members;
mod page;
mod pages;
mod rotate;
mod setup;
mod show;
mod store;
mod style;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;
use tracing::warn;

use crate::cli::members::MembersCommand;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::control::{self, Question};
use crate::custody::stay_in_memory;
use crate::daemon::{self, Daemon};
use crate::domain::case::CaseId;
use crate::domain::command::Command as Said;
use crate::domain::command::distributing::Distribute;
use crate::domain::command::order;
use crate::domain::message::Mailbox;
use crate::{progress, telemetry};

/// The daemon in front of your security@ mailbox.
#[derive(Debug, Parser)]
#[command(name = "psirtd", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The configuration
    #[arg(
        long,
        global = true,
        env = "PSIRTD_CONFIG",
        default_value = "/etc/psirtd/psirtd.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// Say more (twice: still more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job on an embedded default: own keys, a local Maildir in, a local Maildir out, real reports
    #[command(after_help = "Example:\n  psirtd demo --dir /tmp/desk")]
    Demo {
        /// Where the desk is made; must not exist. Default: a new folder below the system's temporary one
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Make a new desk: commented psirtd.toml, a fresh OpenPGP desk key, state directory
    #[command(
        after_help = "Example:\n  psirtd init --dir /etc/psirtd --address security@example.org --name \"Example Project Security\""
    )]
    Init {
        /// Where; nothing in it is overwritten
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The desk's address, for the configuration and the key
        #[arg(long, default_value = "security@example.org")]
        address: String,
        /// The desk's name, for the configuration and the key
        #[arg(long, default_value = "Example Project Security")]
        name: String,
    },
    /// Check configuration, keys, expiry and calendars
    #[command(after_help = "Example:\n  psirtd check --online")]
    Check {
        /// Log in to IMAP and SMTP, too, and ask the running daemon whether one of its doors is silent
        #[arg(long)]
        online: bool,
    },
    /// Run the daemon
    #[command(after_help = "Example:\n  psirtd --config /etc/psirtd/psirtd.toml run")]
    Run,
    /// Show what psirtd sees in a mail and what a fresh desk would do, which knows no other mail; sends and records nothing
    #[command(
        after_help = "Example:\n  psirtd explain --key desk.key.asc report.eml\n  psirtd explain --json - < report.eml"
    )]
    Explain(explain::Explain),
    /// List the open cases, the most urgent first
    #[command(after_help = "Example:\n  psirtd cases\n  psirtd cases --json | jq '.[].id'")]
    Cases {
        /// Those that are closed, rejected or merged into others, too
        #[arg(long)]
        all: bool,
    },
    /// Work on a case: the same commands as by signed mail
    #[command(
        after_help = "Example:\n  psirtd do EX-2026-0001 take ada@example.org\n  psirtd do EX-2026-0001 reply --text answer.txt\n  \
                      psirtd do EX-2026-0001 fixed 0.12.3 0.11.9\n  \
                      psirtd do EX-2026-0001 embargo 2026-12-15 15:00 UTC\n  \
                      psirtd do EX-2026-0001 notice TLP:AMBER --text notice.txt --attach fix.patch\n  \
                      psirtd do EX-2026-0001 help"
    )]
    Do {
        /// The case, or “-” for a command that is about none: “do - withdraw 3”
        id: String,
        /// A command and what follows it; “help” lists them
        #[arg(required = true, num_args = 1.., value_name = "COMMAND")]
        command: Vec<String>,
        /// A file with the command's text, or “-” for standard input
        #[arg(long, value_name = "FILE")]
        text: Option<PathBuf>,
        /// A file that goes along, of “notice” and “update”; again for each further one
        #[arg(long, value_name = "FILE")]
        attach: Vec<PathBuf>,
    },
    /// Show one case: facts, timeline, deadlines, mails, letters
    #[command(after_help = "Example:\n  psirtd case EX-2026-0001")]
    Case {
        /// The case
        id: String,
    },
    /// Who of the distributors had been sent what of a case: what you must know when something has leaked
    #[command(
        after_help = "Example:\n  psirtd exposure EX-2026-0001\n  psirtd exposure EX-2026-0001 --at 2026-12-01T14:30:00Z"
    )]
    Exposure {
        /// The case
        id: String,
        /// As of then, a time with its offset (RFC 3339). Default: now
        #[arg(long, value_name = "TIME", value_parser = exposure::time)]
        at: Option<Timestamp>,
    },
    /// How the desk keeps its word: times to answer, plan and fix, promises kept, open cases
    #[command(
        after_help = "Example:\n  psirtd figures --since 2026-01-01\n  psirtd figures --since 2026-01-01 --svg figures.svg"
    )]
    Figures {
        /// Of the cases received since that day
        #[arg(long, value_name = "DATE")]
        since: Option<Date>,
        /// Draw a picture into this file, too
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// The distributors' list: who hears of a vulnerability before the public
    #[command(
        after_help = "Example:\n  psirtd members\n  psirtd members add acme-linux security@acme.example \"Acme Linux\" --text acme.asc\n  \
                      psirtd members export > members.json"
    )]
    Members {
        #[command(subcommand)]
        command: Option<MembersCommand>,
    },
    /// Letters: list, show, hold, release, retry
    #[command(after_help = "Example:\n  psirtd outbox\n  psirtd outbox release EX-2026-0001.2")]
    Outbox {
        #[command(subcommand)]
        command: Option<OutboxCommand>,
    },
    /// The journal: check its chain, print it as JSON lines
    #[command(after_help = "Example:\n  psirtd journal verify\n  psirtd journal export | jq .events")]
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// The state directory: back it up, bring it back, check it, make its index anew
    #[command(
        after_help = "Example:\n  psirtd store backup /mnt/backup/psirtd\n  psirtd store backup - | ssh backup 'cat > psirtd.tar'\n  \
                      psirtd store restore /mnt/backup/psirtd"
    )]
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Keys: the desk's own, and what is remembered of others'
    #[command(
        after_help = "Example:\n  psirtd key show\n  psirtd key export > security.asc\n  psirtd key seen rita@example.net"
    )]
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// All letters and where they stand
    List,
    /// One letter as it was, or will be, sent
    Show {
        /// The letter
        id: String,
    },
    /// Stop a letter that has not left yet
    Hold {
        /// The letter
        id: String,
    },
    /// Let a held or returned letter go; one that could not be sealed is written anew
    Release {
        /// The letter
        id: String,
    },
    /// Try a deferred letter now
    Retry {
        /// The letter
        id: String,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum JournalCommand {
    /// Check the chain and that every mail and letter it names is there
    Verify,
    /// Print every record as a line of JSON
    Export,
}

#[derive(Debug, Clone, Subcommand)]
enum StoreCommand {
    /// Copy it, while psirtd runs, too: into a folder (again into the same one: only what is new), or as a tar archive to
    /// standard output. The copy is sealed; the desk's key is not in it
    Backup {
        /// A folder, or “-”
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Bring a backup back into an empty state directory
    Restore {
        /// The folder, or “-” for an archive on standard input
        #[arg(value_name = "DIR")]
        from: PathBuf,
    },
    /// Check the journal, every mail and letter, and that the index says the same
    Check,
    /// Make the index anew from the journal; not while psirtd runs
    Rebuild,
}

#[derive(Debug, Clone, Subcommand)]
enum KeyCommand {
    /// Fingerprint, user ids and expiry
    Show,
    /// The public key, armored
    Export,
    /// A new key takes the place of the desk's; the old one still opens what was encrypted to it
    Rotate,
    /// The certificates that came by mail for an address: the first is used
    Seen {
        /// The address
        address: String,
    },
    /// Use another one of them from now on: compare its fingerprint with its owner first
    Accept {
        /// The address
        address: String,
        /// The fingerprint
        fingerprint: String,
    },
}

/// Why a command failed, and with which exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Exit code 2: the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// Exit code 2.
    #[error("{0}")]
    Configuration(#[from] ConfigError),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) | Self::Configuration(_) => 2,
        }
    }

    fn because(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let quiet = !matches!(cli.command, Command::Run);
    telemetry::set_up(cli.global.verbose, quiet);
    if let Err(why) = stay_in_memory() {
        warn!("{why}; see that none is written elsewhere (systemd: LimitCORE=0)");
    }
    let clock = Clock::System;
    let Global { json, .. } = cli.global;
    match cli.command {
        Command::Demo { dir } => demo::run(dir, clock).map_err(Failure::Failed),
        Command::Init { dir, address, name } => {
            setup::init(&dir, &Mailbox { name: Some(name), address }, clock.now())
        }
        Command::Check { online } => setup::check(&cli.global, online, clock.now()),
        Command::Run => {
            let config = cli.global.load(&clock)?;
            own_state(&config.state)?;
            progress::show();
            runtime()?.block_on(daemon::run(config, clock)).map_err(Failure::because)
        }
        Command::Explain(explain) => explain.run(&cli.global, clock.now()),
        Command::Cases { all } => {
            let now = clock.now();
            show::cases(&cli.global.ask(Question::Cases, clock)?, all, json, now)
        }
        Command::Do { id, command, text, attach } => {
            let text = text.map(|file| text_of(&file)).transpose()?;
            let (case, line) = (Some(id).filter(|id| id != "-"), command.join(" "));
            let order = order::typed(case.as_deref().map(CaseId::typed).as_ref(), &line, text.clone())
                .map_err(|misread| Failure::Usage(misread.wrong.join("; ")))?;
            let takes_files = |it: &Said| matches!(it, Said::Distribute(Distribute::Notice { .. }));
            if !attach.is_empty() && !order.commands.iter().any(takes_files) {
                return Err(Failure::Usage("only “notice” and “update” take files (--attach)".to_owned()));
            }
            let question = Question::Do { case, line, text, attachments: members::attached(&attach)? };
            show::done(&cli.global.ask(question, clock)?, json)
        }
        Command::Members { command } => {
            members::run(&cli.global, command.unwrap_or(MembersCommand::List), clock)
        }
        Command::Case { id } => {
            let now = clock.now();
            show::case(&cli.global.ask(Question::Case(id), clock)?, json, now)
        }
        Command::Exposure { id, at } => {
            if let Some(later) = at.filter(|at| *at > clock.now()) {
                return Err(Failure::Usage(format!("--at {later} is still to come: leave it out, for now")));
            }
            let question = Question::Exposure { case: id, at };
            exposure::show(&cli.global.ask(question, clock)?, json)
        }
        Command::Figures { since, svg } => {
            figures::show(&cli.global.ask(Question::Figures { since }, clock)?, svg.as_deref(), json)
        }
        Command::Outbox { command } => match command.unwrap_or(OutboxCommand::List) {
            OutboxCommand::List => show::outbox(&cli.global.ask(Question::Outbox, clock)?, json),
            OutboxCommand::Show { id } => show::letter(&cli.global.ask(Question::Letter(id), clock)?, json),
            OutboxCommand::Hold { id } => show::done(&cli.global.ask(Question::Hold(id), clock)?, json),
            OutboxCommand::Release { id } => show::done(&cli.global.ask(Question::Release(id), clock)?, json),
            OutboxCommand::Retry { id } => retry(&cli.global, id, clock),
        },
        Command::Journal { command } => pages::run(&cli.global, command, &clock),
        Command::Store { command } => match command {
            StoreCommand::Backup { to } => store::backup(&cli.global, &to, &clock),
            StoreCommand::Restore { from } => store::restore(&cli.global, &from, &clock),
            StoreCommand::Check => store::check(&cli.global, &clock),
            StoreCommand::Rebuild => store::rebuild(&cli.global, &clock),
        },
        Command::Key { command } => key(&cli.global, command, clock),
    }
}

/// The text of a command: a file, or standard input. A text is a mail's, not a disk's.
fn text_of(file: &Path) -> Result<String, Failure> {
    read_text(file, 512 * 1024)
}

fn read_text(file: &Path, most: u64) -> Result<String, Failure> {
    use std::io::Read;
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(most).read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    if u64::try_from(read.map_err(failed)?).unwrap_or(u64::MAX) >= most {
        return Err(Failure::Failed(format!("{}: larger than {most} bytes", file.display())));
    }
    Ok(text)
}

/// What waits for a person is not let go by whoever only wants to hurry it.
fn retry(global: &Global, id: String, clock: Clock) -> Result<(), Failure> {
    let letter = global.ask(Question::Letter(id.clone()), clock.clone())?;
    if show::text(&letter, "state") == "held" {
        let (id, why) = (show::text(&letter, "id"), show::text(&letter, "last_reply"));
        let why = format!("letter {id} is held: {why}; to let it go: psirtd outbox release {id}");
        return Err(Failure::Failed(why));
    }
    show::done(&global.ask(Question::Release(id), clock)?, global.json)
}

fn key(global: &Global, command: KeyCommand, clock: Clock) -> Result<(), Failure> {
    let file = || Ok::<_, Failure>(Config::glance(&global.config)?.key);
    match command {
        KeyCommand::Show => show::key(&file()?, global.json, clock.now()),
        KeyCommand::Export => show::exported(&file()?, global.json),
        KeyCommand::Rotate => rotate::rotate(&global.config, global.json, clock.now()),
        KeyCommand::Seen { address } => show::seen(&global.ask(Question::Seen(address), clock)?, global.json),
        KeyCommand::Accept { address, fingerprint } => {
            show::done(&global.ask(Question::Accept { address, fingerprint }, clock)?, global.json)
        }
    }
}

impl Global {
    fn load(&self, clock: &Clock) -> Result<Config, Failure> {
        Ok(Config::load(&self.config, clock.now())?)
    }

    /// Asks the running daemon, or opens the store when none runs.
    fn ask(&self, question: Question, clock: Clock) -> Result<serde_json::Value, Failure> {
        let state = Config::glance(&self.config)?.state;
        if let Some(answer) = control::ask(&state, &question) {
            return answer.map_err(Failure::Failed);
        }
        own_state(&state)?;
        let config = self.load(&clock)?;
        let now = clock.now();
        runtime()?.block_on(async {
            let daemon = Daemon::open(config, clock).map_err(Failure::because)?;
            let answer = control::answer(&question, daemon.pipeline(), now).await;
            daemon.close().await.map_err(Failure::because)?;
            answer.map_err(Failure::Failed)
        })
    }
}

/// Files that root leaves in the state directory of another user keep the daemon from starting.
fn own_state(state: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt;
    let ours = rustix::process::geteuid().as_raw();
    match std::fs::metadata(state).map(|metadata| metadata.uid()) {
        Ok(theirs) if theirs != ours => Err(Failure::Failed(format!(
            "{} belongs to user {theirs}: run this as that user (sudo -u '#{theirs}')",
            state.display()
        ))),
        _ => Ok(()),
    }
}

/// Async lives only at the doors; two threads are plenty for them.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::because)
}

/// Prints lines; a reader that has heard enough (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::because(error)),
        _ => Ok(()),
    }
}
