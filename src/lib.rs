//! psirtd: the daemon in front of an open-source project's `security@` mailbox.
//!
//! # Bird's-eye view
//! A mail enters at one door ([`inbox`]), is opened in one room ([`open`]), is decided upon by one pure function
//! ([`domain::decide`]), is made ready for the post in one room ([`seal`]), is recorded in one room ([`store`]), and leaves by
//! one door ([`outbox`]). [`pipeline`] is the corridor that walks it through; it is the only one who writes.
//!
//! ```text
//!                        people: cli --- control
//!                                          |
//!   mailbox --- inbox --->  pipeline (one thread, in order of arrival)  ---> outbox --- submission server
//!                            |       |        |        |
//!                          open -> decide -> seal -> store: mail files, journal, index
//!                            \_______ keyring ______/
//! ```
//!
//! [`config`] describes a desk, [`daemon`] builds the house from it and locks up, [`clock`] is the only one who knows the time.
//! [`custody`] lets the desk's key keep the key that seals the store. [`lookup`] is a door for one question: which certificate does
//! a domain publish for one of its addresses? [`scheduler`] says from
//! time to time that time has passed. [`health`] is where the doors say that they work, and where it is found out that one is silent.
//! [`progress`] shows how far a backlog is taken in. [`crash`] lets tests kill the process on the way.
//!
//! # Invariants
//! Each is kept by a type or watched by a test (`tests/architecture.rs`, `tests/leak.rs`, `tests/stories/`).
//!
//! 1. The core ([`domain`]) does no input or output, reads no clock, draws no random number, logs nothing, awaits nothing.
//! 2. Arrows run one way; nothing is re-exported.
//! 3. Opening never fails: what cannot be opened is a fact in the [`domain::message::Message`].
//! 4. Seal before commit: a letter is its final bytes, or held for a person, before anything is recorded. A letter that should
//!    be encrypted never goes out in the clear.
//! 5. Commit before mark: a mail is marked or moved on the server only after it is on the disk here.
//! 6. The journal is the truth, the sled index can be rebuilt from it.
//! 7. What lies in the state directory is sealed with a data key that only the desk's key opens. No decrypted text is on disk, in a
//!    log, or in a letter to someone who is not entitled to it.
//! 8. Nothing is dropped. One bad mail never stops the queue.
//! 9. Intake and answer are two decisions.
//! 10. Async lives only at the doors.
//!
//! # The trip of one report
//! 1. `inbox::imap` wakes from IDLE, lists what is new by UID and size, fetches it with `BODY.PEEK[]`, and hands an
//!    [`pipeline::Arrival`] over.
//! 2. A worker opens it: `open::open(bytes, keyring, now) -> Message`, the keyring being the desk's keys and what the desk
//!    remembers of the author.
//! 3. The pipeline looks for a receipt (place on the server, digest of the bytes, digest of its twin). Known mail stops here.
//! 4. The thread (its Message-ID chain, or a token in the address it was sent to), the letter that it says came back, what is
//!    remembered of the author, the answers so far, and whether a ciphertext came before, are the [`domain::decide::Facts`].
//! 5. [`domain::decide::decide`] asks [`domain::intake`] what the mail is and whether it deserves an answer, and returns events and
//!    letters: a case, an acknowledgement (or one that waits for a person's word), a relay for each coordinator.
//! 6. A worker seals each letter (`seal::seal`), or it becomes held, with the reason.
//! 7. One commit for everything that waited together: mail files, letters, the journal's fsync, then the index.
//! 8. The inbox hears that it is durable, and marks or moves the mail; the outbox is woken.
//! 9. `outbox::smtp` sends the sealed bytes; what the server said comes back as another input to the same `decide`.
//!
//! | it dies | after the restart |
//! |---|---|
//! | before the journal's fsync | the mail is still unmarked: everything is done again, nothing had left the house |
//! | after the fsync, before the index | the index is caught up from the journal |
//! | while it opens a mail, again and again | the mail is opened alone, and after three deaths recorded unopened |
//! | after the commit, before the mark | the receipt is found: only mark |
//! | after the SMTP 250, before it is recorded | the same bytes with the same Message-ID go out again |
//!
//! # The trip of one notice to the distributors
//! 1. A coordinator's signed `!notice` becomes a proposal (`decide/command/proposals.rs`): every coordinator is shown what would go, to
//!    how many, and who would get nothing and why.
//! 2. Another coordinator's signed `!approve` (two, if it was typed in the shell) is the [`domain::notice::Step::Begun`] of it, with the
//!    members it goes to.
//! 3. The pipeline writes the copies a handful at a time (`pipeline/distributors.rs`), with everything else in between: who is still active
//!    is looked at again, each copy is sealed for its member alone, and committed like any letter. What a stop leaves over is in the index.
//! 4. What becomes of each copy stays with it: a copy is a letter of the notice, and changes nothing in the case
//!    ([`domain::letter::LetterId::is_copy`]), for there may be a thousand.
//!
//! # Libraries, and why
//! mail-parser reads and mail-builder writes MIME; Sequoia does OpenPGP; async-imap and lettre speak to servers; rustls secures
//! the connections; hyper asks web servers, and leaves to `lookup` whom to connect to and when to stop; sled holds the index;
//! jiff knows calendars and zones; minijinja renders letters. Taking TOML apart by hand (`config/section.rs`) and the journal's
//! frames (`store/journal.rs`) are our own: no library gives every error of a file with its line, and the journal's format is
//! what psirtd promises.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod crash;
pub mod custody;
pub mod daemon;
pub mod domain;
pub mod health;
pub mod inbox;
pub mod keyring;
pub mod lookup;
pub mod open;
pub mod outbox;
pub mod pipeline;
pub mod progress;
pub mod scheduler;
pub mod seal;
pub mod store;
pub mod telemetry;
pub mod tls;
