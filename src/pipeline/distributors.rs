//! What has to be known of the distributors' list, and the copies of a notice, a handful at a time.
//!
//! # Invariants
//! * A notice to a thousand members does not stand in the way of a report: between two handfuls of copies everything else has its turn.
//! * A copy is sealed and committed like any letter; after a stop the rest is written, and nothing twice.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sequoia_openpgp::Cert;

use crate::domain::command::Command;
use crate::domain::command::distributing::Embargoing;
use crate::domain::command::members::Members;
use crate::domain::decide::{Copies, Decision, Facts, Input, Ordered, Turn, decide};
use crate::domain::distributor::{Member, MemberId, Roster};
use crate::domain::letter::{LetterId, LetterKind};
use crate::domain::message::{Attachment, Digest};
use crate::domain::notice::{FanOut, File, Notice, Proposal};
use crate::domain::posting::Posting;
use crate::domain::signature::{Certificate, Source};
use crate::keyring;
use crate::open;
use crate::pipeline::step::Step;
use crate::pipeline::workers::in_parallel;
use crate::pipeline::{Pipeline, roll};
use crate::store::index::{Draft, IndexError, Lookup};
use crate::store::journal::JournalError;

/// Copies that are sealed and committed together, at most.
const HANDFUL: usize = 32;
/// Together they are no larger than this, as far as one of them allows. Bytes.
const MOST_BYTES: usize = 32 << 20;

impl Pipeline {
    /// Copies of a notice are still to be written.
    pub(super) fn copies_are_left(&self) -> Result<bool, JournalError> {
        let left = self.writer.draft().fan_outs();
        left.map(|left| !left.is_empty()).map_err(|error| self.condemn(&error))
    }

    /// A handful of copies.
    pub(super) fn copies(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Option<Step>, IndexError> {
        let Some(next) = draft.fan_outs()?.into_iter().next() else { return Ok(None) };
        // a case that was merged keeps its notices, and their numbers
        let Some(owner) = draft.case(&next.case)? else { return Ok(None) };
        let Some(notice) = owner.notices.iter().find(|notice| notice.number == next.notice).cloned() else {
            return Ok(None);
        };
        let (text, attachments) = self.content(&notice);
        let size = attachments.iter().map(|it| it.bytes.len()).sum::<usize>().saturating_mul(3).max(1);
        let handful = MOST_BYTES.checked_div(size).unwrap_or(1).clamp(1, HANDFUL);
        let FanOut { left, case: id, notice: number } = next;
        // the first notice answers nothing
        let earlier = if number > 1 { draft.copies(&id)? } else { Vec::new() };
        // of one that a person lets go there is a posting, which was held
        let restored = draft.restored()?.is_some_and(|restored| notice.at <= restored.at);
        let turn = |(id, letter): (MemberId, u32)| {
            let known = draft.posting(&LetterId::of_notice(&owner.id, number, letter))?;
            let perhaps_sent = restored && known.is_none();
            let member = draft.member(&id)?;
            let zone = member.as_ref().and_then(zone_of);
            let before = |posting: &&Posting| {
                posting.copy.as_ref().is_some_and(|copy| copy.member == id && copy.notice < number)
            };
            let earlier = earlier.iter().filter(before).filter_map(|posting| posting.message_id.clone());
            let earlier = earlier.collect();
            Ok::<_, IndexError>(Turn { id, member, zone, letter, earlier, perhaps_sent })
        };
        let to = left.into_iter().take(handful).map(turn).collect::<Result<Vec<_>, _>>()?;
        let copies = Copies { case: owner, notice, text, attachments, to };
        let decision = decide(&Facts::default(), &Input::Copies(Box::new(copies)), &self.policy, now);
        Ok((decision != Decision::default()).then(|| decision.into()))
    }

    /// The text of a notice, and what is attached to it.
    fn content(&self, notice: &Notice) -> (Result<Option<String>, String>, Vec<Attachment>) {
        let read = |file: &Digest| self.reader.archive.letters.read(file).map_err(|error| error.to_string());
        let text = notice
            .content
            .text
            .as_ref()
            .map(|file| String::from_utf8(read(file)?).map_err(|error| error.to_string()));
        let attached = |file: &File| {
            Ok::<_, String>(Attachment {
                name: file.name.clone(),
                media_type: file.media_type.clone(),
                bytes: read(&file.file)?,
            })
        };
        match notice.content.files.iter().map(attached).collect::<Result<Vec<_>, _>>() {
            Ok(attachments) => (text.transpose(), attachments),
            Err(why) => (Err(format!("an attachment cannot be read: {why}")), Vec::new()),
        }
    }

    /// What commands about the distributors have to know.
    pub(super) fn distributors_of(
        &self,
        draft: &Draft<'_>,
        commands: &[Command],
        attachments: Vec<Attachment>,
        ordered: &mut Ordered,
        now: Timestamp,
    ) -> Result<(), IndexError> {
        let about = |command: &Command| {
            matches!(
                command,
                Command::Members(_)
                    | Command::Distribute(_)
                    | Command::Embargo(_)
                    | Command::Approve(_)
                    | Command::Withdraw(_)
                    | Command::Public(_)
            )
        };
        if !commands.iter().any(about) {
            return Ok(());
        }
        ordered.roster = Some(self.roster(draft, now)?);
        ordered.ours = self.own_certificates();
        ordered.proposals = draft.proposals()?;
        ordered.pending = draft.pending()?;
        ordered.attachments = attachments.into_iter().map(filed).collect();
        let text = ordered.order.as_ref().ok().and_then(|order| order.text.clone());
        for command in commands {
            match command {
                Command::Members(members) if members.wants_certificate() => {
                    let certificates =
                        text.as_deref().map(|text| certificates(text, now)).unwrap_or_default();
                    ordered.certificates.extend(certificates);
                }
                Command::Members(Members::Import) => {
                    let today = self.policy.distributors.attest_days;
                    ordered.imported = text.as_deref().map(|text| roll::read(text, today, now));
                }
                Command::Members(Members::Zone(_, zone)) => ordered.zone = TimeZone::get(zone).ok(),
                Command::Members(
                    Members::Suspend(member) | Members::Remove(member) | Members::DropCertificate(member, _),
                ) => self.leaving(draft, member, ordered)?,
                Command::Approve(number) => {
                    let proposal = draft.proposal(*number)?;
                    let case = proposal.as_ref().and_then(|pending| pending.case.clone());
                    if ordered.case.is_none() {
                        ordered.case = case.map_or(Ok(None), |id| draft.followed(id))?;
                    }
                    match proposal.map(|pending| pending.proposal) {
                        Some(Proposal::Remove { member, .. }) => self.leaving(draft, &member, ordered)?,
                        Some(
                            Proposal::Embargo { text: Some(file), .. }
                            | Proposal::Lift { text: Some(file) }
                            | Proposal::Warn { text: Some(file), .. },
                        ) => {
                            let text = self.reader.archive.letters.read(&file).ok();
                            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
                            ordered.texts.extend(text.map(|text| (file, text)));
                        }
                        _ => {}
                    }
                }
                Command::Embargo(Embargoing::Until { zone: Some(zone), .. }) => {
                    ordered.zone = TimeZone::get(zone).ok();
                }
                _ => {}
            }
        }
        if let Some(case) = &ordered.case {
            ordered.copies.retain(|posting| posting.case.as_ref() != Some(&case.id));
            ordered.copies.extend(draft.copies(&case.id)?);
        }
        Ok(())
    }

    /// What is still to leave to a member: copies, and what is written to it as a member.
    fn leaving(&self, draft: &Draft<'_>, member: &MemberId, ordered: &mut Ordered) -> Result<(), IndexError> {
        ordered.copies.extend(draft.leaving(member)?);
        let Some(known) = draft.member(member)? else { return Ok(()) };
        let due = self.reader.index.due_from(Timestamp::MIN)?;
        let to_it = |letter: &Posting| letter.kind == LetterKind::Membership && known.has_address(&letter.to);
        // as they stand by now
        for letter in due.iter().filter(|letter| to_it(letter)) {
            ordered.copies.extend(draft.posting(&letter.id)?);
        }
        Ok(())
    }

    /// The fingerprints of the desk's keys and of the team's certificates, and whose each is.
    fn own_certificates(&self) -> Vec<(String, String)> {
        let keys = self.keyring.secret_keys().iter().map(|cert| (cert, &self.policy.desk));
        let people = self.policy.people.iter().flat_map(|person| {
            let held = self.keyring.held_for(&person.mailbox.address);
            held.into_iter().map(|(_, cert)| (cert, &person.mailbox))
        });
        keys.chain(people).map(|(cert, whose)| (cert.fingerprint().to_hex(), whose.address.clone())).collect()
    }

    /// Everybody on the distributors' list, and how good their certificates are.
    pub(super) fn roster(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Arc<Roster>, IndexError> {
        self.roster_with(draft, |_| true, now)
    }

    /// Everybody on it, and how good the certificates of some of them are: to look at those of a thousand members takes a second.
    pub(super) fn roster_with(
        &self,
        draft: &Draft<'_>,
        some: impl Fn(&Member) -> bool,
        now: Timestamp,
    ) -> Result<Arc<Roster>, IndexError> {
        Ok(Arc::new(roster_of(draft.members()?, some, now)))
    }
}

/// These members, and how good their certificates are.
pub(super) fn roster_of(members: Vec<Member>, some: impl Fn(&Member) -> bool, now: Timestamp) -> Roster {
    let key = |member: &Member| {
        let address = member.addresses.first().map_or("", |first| first.address.as_str());
        let certificates: Vec<Certificate> = member.proven_certificates().cloned().collect();
        (member.id.clone(), keyring::good_until(&certificates, address, now))
    };
    let all: Vec<&Member> = members.iter().filter(|member| some(member)).collect();
    let keys = in_parallel(&all, |member| key(member)).into_iter().collect();
    Roster { members, keys }
}

/// An attachment, and the file that it will lie in.
fn filed(attachment: Attachment) -> (File, Attachment) {
    let file = File {
        name: attachment.name.clone(),
        media_type: attachment.media_type.clone(),
        file: open::digest(&attachment.bytes),
        size: u64::try_from(attachment.bytes.len()).unwrap_or(u64::MAX),
    };
    (file, attachment)
}

/// The certificates in a text, each by itself, and how good they are; none when it holds anything else.
fn certificates(text: &str, now: Timestamp) -> Vec<(Certificate, Result<Option<Timestamp>, String>)> {
    // of armored texts one behind the other only the first would be read
    const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let blocks = text.split(BEGIN).skip(1).map(|block| format!("{BEGIN}{block}"));
    let certs = blocks.flat_map(|block| keyring::certificates(block.as_bytes()).unwrap_or_default());
    let certificates = certs.filter_map(|cert| listed(&cert));
    certificates.map(|it| (it.clone(), keyring::condition(&it, now))).collect()
}

/// A certificate as the list keeps it: without secrets.
pub(super) fn listed(cert: &Cert) -> Option<Certificate> {
    let cert = cert.clone().strip_secret_key_material();
    let armored = keyring::armored(&cert).ok()?;
    Some(Certificate { fingerprint: cert.fingerprint().to_hex(), armored, source: Source::Roster })
}

/// The member's time zone, if there is such a one.
fn zone_of(member: &Member) -> Option<TimeZone> {
    member.zone.as_deref().and_then(|zone| TimeZone::get(zone).ok())
}
