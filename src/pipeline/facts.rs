//! What is known when a decision is made: gathered from the index, as the inputs before this one left it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::backoff::LETTERS;
use crate::domain::case::{Case, CaseId, CaseMail};
use crate::domain::concern::{self, COLLECTED, Concern, Silence};
use crate::domain::decide::{Facts, Sighting};
use crate::domain::distributor::Roster;
use crate::domain::intake::{Kind, Sort, judge};
use crate::domain::letter::{LetterKind, Waiting};
use crate::domain::message::{Digest, Mailbox, Message};
use crate::domain::posting::Posting;
use crate::domain::reminder::{self, Warning};
use crate::domain::thread;
use crate::domain::unanswered::{self, Agenda, MOST, OLD};
use crate::keyring;
use crate::pipeline::Pipeline;
use crate::pipeline::distributors::roster_of;
use crate::pipeline::orders::signature_used;
use crate::store::index::{Draft, IndexError, Lookup};

/// Mails of more bytes are not compared.
const MAX_COMPARED: u64 = 256 * 1024;
/// Nor are more mails of the same Message-ID.
const MOST_COMPARED: usize = 3;

/// The mails of a batch that were decided upon so far.
pub(super) type Batch = BTreeMap<Digest, Arc<Message>>;

/// The desk's letters that a mail names.
#[derive(Debug, Default)]
struct Named {
    /// A server says that it came back, was read, or was complained about.
    returned: Option<Posting>,
    /// The mail is in the thread of a letter that belongs to no case.
    answers_the_desk: bool,
    /// It is in the thread of a relay.
    answers_a_relay: bool,
    /// It is in the thread of a copy of a notice.
    answers_a_notice: bool,
}

impl Pipeline {
    pub(super) fn facts_of_mail(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Facts, IndexError> {
        let author = message.author();
        let ours = author.is_some_and(|author| self.policy.is_own(&author.address));
        let ids = thread::ids(message, &self.policy.desk);
        let by_thread = draft.thread(&ids)?;
        let copied = if by_thread.is_none() { self.copied(draft, message, batch, now)? } else { None };
        let Named { returned, answers_the_desk, answers_a_relay, answers_a_notice } =
            self.letters_named(draft, message, &ids)?;
        let case = match by_thread.clone().or_else(|| returned.as_ref()?.case.clone()) {
            Some(id) => draft.followed(id)?,
            None => None,
        };
        let (case, copy_of) = match (case, copied) {
            (Some(case), _) => (Some(case), None),
            (None, Some((case, copy_of))) => (Some(case), Some(copy_of)),
            (None, None) => (None, None),
        };
        let (roster, copies) = self.of_a_member(draft, message, by_thread, now)?;
        let named = thread::named(message, &self.policy).map(|id| CaseId::typed(&id));
        let named = named.map_or(Ok(None), |id| draft.case(&id))?;
        let mut facts = Facts {
            case,
            copy_of,
            named: named.map(|case| case.id),
            returned,
            answers_the_desk,
            answers_a_relay,
            answers_a_notice,
            roster,
            copies,
            answered: draft.answered(author, now)?,
            remembered: author.map_or(Ok(Vec::new()), |author| draft.certificates(&author.address))?,
            sightings: sightings(draft, message)?,
            signature_used: signature_used(draft, message)?,
            own_letter: ours && is_own_letter(draft, message.message_id.as_ref())?,
            next_number: draft.next_number(self.policy.year(now))?,
            desk_letters: draft.desk_letters()?,
            reachable: self.reachable_author(message, now),
            ordered: self.ordered_by(draft, message, batch, now)?,
            ..Facts::default()
        };
        self.facts_of_list(draft, message, &mut facts, now)?;
        Ok(facts)
    }

    /// When a mail in the thread of a case bears a member's address: what the list says of that member, and its copies of what was sent
    /// of the case. Nobody else's are looked at: anybody may write under such an address.
    fn of_a_member(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        by_thread: Option<CaseId>,
        now: Timestamp,
    ) -> Result<(Option<Arc<Roster>>, Vec<Posting>), IndexError> {
        let (Some(author), Some(id)) = (message.author(), by_thread) else { return Ok((None, Vec::new())) };
        let Some(member) = draft.member_of(author)? else { return Ok((None, Vec::new())) };
        let of_it = |posting: &Posting| posting.copy.as_ref().is_some_and(|copy| copy.member == member.id);
        let mut copies = if message.signature.is_good() { draft.copies(&id)? } else { Vec::new() };
        copies.retain(of_it);
        Ok((Some(Arc::new(roster_of(vec![member], |_| true, now))), copies))
    }

    /// `about` is the mail that it is about, when it has no bytes yet.
    pub(super) fn facts_of_letter(
        &self,
        draft: &Draft<'_>,
        posting: &Posting,
        about: Option<&Message>,
    ) -> Result<Facts, IndexError> {
        Ok(Facts {
            case: posting.case.as_ref().map_or(Ok(None), |id| draft.case(id))?,
            sightings: about.map_or(Ok(Vec::new()), |about| sightings(draft, about))?,
            ..Facts::default()
        })
    }

    pub(super) fn facts_of_desk(
        &self,
        draft: &Draft<'_>,
        silent: &[Silence],
        timed: bool,
        now: Timestamp,
    ) -> Result<Facts, IndexError> {
        let told_at = draft.told_at()?;
        let just_told = told_at.is_some_and(|at| now.duration_since(at).abs() < COLLECTED);
        let mut concerns: Vec<Concern> = keyring::validities(&self.keyring, self.people(), now)
            .iter()
            .filter_map(|validity| concern::of_certificate(validity, now))
            .collect();
        concerns.extend(concern::of_limits(&self.policy.limits, &draft.answered(None, now)?, now));
        if timed {
            // of a thousand certificates each is looked at
            let roster = self.roster(draft, now)?;
            let active = roster
                .active()
                .map(|member| concern::of_members_key(&member.id, &roster.key(&member.id), now));
            concerns.extend(active.flatten());
        }
        concerns.extend(silent.iter().map(|door| concern::of_silence(door, &self.policy.calendar, now)));
        // as it was before this batch: in a batch, what is not sealed yet is held
        let before = self.writer.draft();
        if !just_told {
            concerns.extend(before.untold()?.iter().filter_map(concern::of_letter));
        }
        if timed {
            concerns.extend(self.concerns_of_list(draft, now)?);
        }
        let mut untold = Vec::new();
        for concern in concerns {
            if !draft.told(&concern.key)? {
                untold.push(concern);
            }
        }
        let (warnings, reminded_today) = if timed { self.warnings(draft, now)? } else { Default::default() };
        let unanswered = if timed { self.agenda(&before, now)? } else { Agenda::default() };
        let reachable = self.people().chain(&self.policy.escalation);
        let reachable = reachable.filter(|mailbox| keyring::encryptable(&self.keyring, mailbox, now).is_ok());
        Ok(Facts {
            concerns: untold,
            unanswered,
            warnings,
            reminded_today,
            reachable: reachable.map(Mailbox::canonical).collect(),
            desk_letters: draft.desk_letters()?,
            far_off: self.far_off(draft, now)?,
            ..Facts::default()
        })
    }

    /// Letters whose turn is further away than any wait, this batch included. The others, which may be many, are not looked at.
    fn far_off(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Vec<Posting>, IndexError> {
        let longest = now.saturating_add(LETTERS.cap).unwrap_or(Timestamp::MAX);
        let letters = self.reader.index.due_from(longest)?;
        let letters = letters.iter().filter_map(|letter| draft.posting(&letter.id).transpose());
        letters.filter(|letter| letter.as_ref().map_or(true, Posting::is_under_way)).collect()
    }

    /// What somebody has to be reminded of, and who was told of what is ahead today.
    fn warnings(&self, draft: &Draft<'_>, now: Timestamp) -> Result<(Vec<Warning>, Vec<String>), IndexError> {
        let mut warnings = Vec::new();
        let mut today = BTreeSet::new();
        for running in draft.running()? {
            for warning in reminder::standing(&running, &self.policy, now) {
                if draft.reminded(&warning.key)?.is_some_and(|at| reminder::told(at, now)) {
                    continue;
                }
                let address = warning.to.canonical();
                let date = |at| self.policy.calendar.date(at);
                if draft.reminded_at(&address)?.is_some_and(|at| date(at) == date(now)) {
                    today.insert(address);
                }
                warnings.push(warning);
            }
        }
        Ok((warnings, today.into_iter().collect()))
    }

    /// What the digest tells, if its time has come: the desk's hour, since the first thing that it would tell.
    fn agenda(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Agenda, IndexError> {
        let mut agenda = Agenda::default();
        // by a clock that is right
        let last = draft.digested_at()?.filter(|at| reminder::told(*at, now));
        if last.is_some_and(|last| !unanswered::is_due(&self.policy, last, now)) {
            return Ok(agenda);
        }
        let calendar = &self.policy.calendar;
        let mut first: Vec<Timestamp> = Vec::new();
        for mail in draft.unanswered()? {
            first.push(mail.at);
            let case = mail.case.as_ref().map_or(Ok(None), |id| draft.case(id))?;
            let line = mail.line(case.as_ref()).filter(|_| now.duration_since(mail.at) < OLD);
            match line {
                Some(_) if agenda.daily.lines.len() >= MOST => {
                    agenda.daily.more = agenda.daily.more.saturating_add(1);
                }
                line => {
                    agenda.daily.lines.extend(line);
                    agenda.covered.push(mail.mail);
                }
            }
        }
        let running = draft.running()?;
        let mut owed: Vec<_> = running.iter().flat_map(|running| running.owed(calendar, now)).collect();
        owed.sort_by_key(|(due, owed)| (*due, owed.case.clone()));
        for (due, owed) in owed {
            let today = calendar.date(due) == calendar.date(now);
            if owed.late && agenda.daily.late.len() < MOST {
                first.push(due);
                agenda.daily.late.push(owed);
            } else if !owed.late && today && agenda.daily.today.len() < MOST {
                first.push(calendar.begin_of(calendar.date(due)));
                agenda.daily.today.push(owed);
            }
        }
        for posting in draft.held()?.into_iter().take(MOST) {
            first.push(posting.queued_at);
            agenda.daily.held.push(Waiting {
                letter: posting.id.to_string(),
                kind: posting.kind.word(),
                to: posting.to.address,
                why: posting.last_reply.unwrap_or_default(),
            });
        }
        let first = first.into_iter().min();
        agenda.is_due = first.is_some_and(|first| unanswered::is_due(&self.policy, first, now));
        Ok(agenda)
    }

    /// The letters that the mail names.
    fn letters_named(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        ids: &[String],
    ) -> Result<Named, IndexError> {
        if message.returned.is_none() && ids.is_empty() {
            return Ok(Named::default());
        }
        let letter = |id: &String| draft.letter_with(id).transpose();
        let parents = ids.iter().filter_map(letter).collect::<Result<Vec<_>, _>>()?;
        let mut named = Named {
            answers_the_desk: parents.iter().any(|letter| letter.case.is_none()),
            answers_a_relay: parents.iter().any(|letter| letter.kind == LetterKind::Relay),
            answers_a_notice: parents.iter().any(|letter| letter.kind == LetterKind::Notice),
            returned: None,
        };
        // a person who forwards a letter gives its id back, too
        let intake = judge(message, &self.policy, false);
        let of_a_server = intake.answers_a_mail
            && (intake.kind == Kind::Bounce || matches!(intake.sort, Some(Sort::Receipt | Sort::Complaint)));
        if of_a_server {
            let told = message.returned.iter();
            let mut told = told.flat_map(|told| told.envelope_ids.iter().chain(&told.message_ids));
            named.returned = told.find_map(letter).transpose()?.or_else(|| parents.into_iter().next());
        }
        Ok(named)
    }

    /// The case that has a mail of the same author under the same Message-ID with the same text, and that mail: this one is a copy
    /// of it that a list's footer, say, has changed. The id alone proves nothing: whoever knows it could hide a report behind
    /// another one.
    fn copied(
        &self,
        draft: &Draft<'_>,
        message: &Message,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Option<(Case, Digest)>, IndexError> {
        let (Some(id), Some(author)) = (&message.message_id, message.author()) else { return Ok(None) };
        let Some(case) = draft.case_of([id])? else { return Ok(None) };
        let same = |mail: &&CaseMail| {
            let same_author = mail.from.as_ref().is_some_and(|from| from.canonical() == author.canonical());
            // to open a large one again for everybody who names it would be too much
            let small = mail.size.max(message.size) <= MAX_COMPARED;
            same_author && small && mail.message_id.as_ref() == Some(id)
        };
        let mut known = case.mails.iter().filter(same).take(MOST_COMPARED).map(|mail| mail.mail.clone());
        let is_copy_of = |digest: &Digest| {
            let mail = batch.get(digest).cloned().or_else(|| self.kept(&case.id, digest, now));
            mail.is_some_and(|mail| is_within(&mail.text, &message.text))
        };
        let copied = known.find(is_copy_of);
        Ok(copied.map(|digest| (case, digest)))
    }

    fn people(&self) -> impl Iterator<Item = &Mailbox> {
        self.policy.people.iter().map(|person| &person.mailbox)
    }
}

/// One text is the other one, with more before or after it.
fn is_within(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (one, other) = (plain(one), plain(other));
    !one.is_empty() && !other.is_empty() && (one.contains(&other) || other.contains(&one))
}

/// The first mail with each of these ciphertexts, unless that is this mail.
pub(super) fn sightings(draft: &Draft<'_>, message: &Message) -> Result<Vec<(Sighting, bool)>, IndexError> {
    let mut sightings = Vec::new();
    for ciphertext in &message.ciphertexts {
        let seen = draft.ciphertext(&ciphertext.id)?.filter(|seen| seen.mail != message.digest);
        sightings.extend(seen.map(|seen| (seen, ciphertext.by_author)));
    }
    Ok(sightings)
}

/// Is this the Message-ID of a letter? Those of reports are known, too, and to whoever wrote them.
fn is_own_letter(draft: &Draft<'_>, message_id: Option<&String>) -> Result<bool, IndexError> {
    Ok(message_id.map_or(Ok(None), |id| draft.letter_with(id))?.is_some())
}
