//! The program as it is run, against real Dovecot and real Postfix, and against scripted servers where a real one behaves too well.
//!
//! | module | shows |
//! |---|---|
//! | `desk` | a desk's configuration and keys, and the running daemon |
//! | `scripted` | an IMAP and an SMTP server that answer properly, until a test says otherwise |
//! | `main_job` | a hundred mails: cases, acknowledgements, relays |
//! | `mailbox` | what mailboxes can do, cannot do, and lie about |
//! | `junk` | what the provider's filter took for spam |
//! | `returned` | letters that come back, and the addresses under which they do |
//! | `inside` | the daemon in the test's own process, where its waits can be made short |
//! | `faults` | what servers refuse, and how they break |
//! | `faults_imap` | a mailbox server that breaks, hangs, refuses or lies at every step |
//! | `faults_smtp` | a submission server that refuses, hangs or disappears at every step |
//! | `faults_machine` | disk, clock, names, other processes |
//! | `bad_input` | configurations and mails that are wrong |
//! | `correspondents` | responders, and another desk: an exchange of letters ends |
//! | `poison` | a mail that psirtd dies of |
//! | `warnings` | what the coordinators are told of the desk |
//! | `silence` | doors that do not work for a while |
//! | `distributors` | the distributors' list, from an application to the disclosure |
//! | `directory` | certificates that are looked up, or not, as the configuration says |
//! | `clients_command` | a team that works on cases in mutt, neomutt and Thunderbird |
//! | `explained` | fifty mails of the corpus: `explain` says what the daemon records |
//! | `latency` | how long an acknowledgement takes (printed, not asserted) |

pub mod desk;
mod inside;
pub mod scripted;

mod backup;
mod bad_input;
mod clients_command;
mod correspondents;
mod directory;
mod distributors;
mod explained;
mod faults;
mod faults_imap;
mod faults_machine;
mod faults_smtp;
mod junk;
mod latency;
mod mailbox;
mod main_job;
mod poison;
mod returned;
mod silence;
mod warnings;
