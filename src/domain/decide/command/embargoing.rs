//! What a person does with the embargo of a case.
//!
//! # Invariants
//! * What is agreed is moved, and lifted, by two persons, where four eyes are wanted; and whatever leaves towards members for it.
//! * Whoever is concerned hears of each step: the team by a note, each reporter by a letter, the members who know of the case by a
//!   notice.
//! * The team decides (P-14). Who agreed, who did not and who has not answered is told with it.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::domain::case::Case;
use crate::domain::command::Topic;
use crate::domain::command::authority::Actor;
use crate::domain::command::distributing::Embargoing;
use crate::domain::command::{Command, order};
use crate::domain::decide::command::proposals::Preview;
use crate::domain::decide::command::work::{Told, Worker, named};
use crate::domain::decide::notices::lines;
use crate::domain::decide::team;
use crate::domain::distributor::MemberId;
use crate::domain::embargo::limits::{self, Limits};
use crate::domain::embargo::{Agreement, Embargo, Party, Reason, Step};
use crate::domain::event::What;
use crate::domain::message::{Digest, Mailbox};
use crate::domain::notice::{Content, Proposal, Sort, members};
use crate::domain::phase::Phase;
use crate::domain::tlp::Tlp;

impl Worker<'_> {
    pub(super) fn embargo(&mut self, case: &Case, embargoing: &Embargoing, text: Option<&str>) -> Told {
        if let Some(since) = case.embargo.public_since() {
            return Err(format!("the embargo is over since {}", self.policy.calendar.line(since)));
        }
        match embargoing {
            Embargoing::Until { at, zone, reason } => {
                let until = self.instant(*at, zone.as_deref())?;
                self.embargo_until(case, until, *reason, text)
            }
            Embargoing::Agree => self.agree(case, text),
            Embargoing::Lift => self.propose_lift(case, text),
        }
    }

    fn propose_lift(&mut self, case: &Case, text: Option<&str>) -> Told {
        let lines = match case.embargo.agreement() {
            Some(agreement) => {
                self.ends(agreement.until).iter().map(|end| format!("its end: {end}")).collect()
            }
            None => Vec::new(),
        };
        let mut warnings = Vec::new();
        match case.embargo.agreement() {
            None => warnings.push("no end of it was ever agreed".to_owned()),
            Some(known) if !known.is_agreed() => {
                warnings.push("its end is proposed, and not agreed".to_owned());
            }
            Some(known) if known.until > self.now => {
                warnings.push("its end has not come yet".to_owned());
            }
            Some(_) => {}
        }
        if case.phase != Phase::Fixed {
            warnings.push(format!("the case is {}, not fixed", case.phase.word()));
        }
        let alone = !self.policy.four_eyes();
        let noted: String = warnings.iter().filter(|_| alone).map(|warning| format!("; {warning}")).collect();
        let preview = self.embargo_preview(case, lines, warnings, text);
        let told = self.propose(Proposal::Lift { text: self.file_of(text) }, preview)?;
        Ok(format!("{told}{noted}"))
    }

    /// The instant that is meant; the error says why it is none.
    fn instant(&self, at: DateTime, zone: Option<&str>) -> Result<Timestamp, String> {
        let is_one = |command: &&Command| matches!(command, Command::Embargo(Embargoing::Until { .. }));
        let order = self.ordered.order.as_ref().ok();
        if order.is_some_and(|order: &order::Order| order.commands.iter().filter(is_one).count() > 1) {
            return Err("a case has one end of its embargo: name one in a mail".to_owned());
        }
        match (zone, &self.ordered.zone) {
            (None, _) => limits::instant(at, &self.policy.calendar.zone),
            (Some(_), Some(zone)) => limits::instant(at, zone),
            (Some(zone), None) => Err(format!(
                "“{zone}” is no time zone: write UTC, or a name like Europe/Berlin, or nothing for the desk's"
            )),
        }
    }

    fn embargo_until(
        &mut self,
        case: &Case,
        until: Timestamp,
        reason: Option<Reason>,
        text: Option<&str>,
    ) -> Told {
        let known = case.embargo.agreement();
        if known.is_some_and(|known| known.until == until) {
            return Err("that is its end already".to_owned());
        }
        let limits = self.limits(case);
        let objections = limits.objections(until);
        if !objections.is_empty() {
            return Err(objections.join("; "));
        }
        let notice_from = limits.notice_from(until);
        let wait = notice_from.map_or_else(String::new, |from| {
            format!("; members may have a notice from {} on", self.policy.calendar.line(from))
        });
        match (known.filter(|known| known.is_agreed()), reason) {
            (Some(known), Some(reason)) => {
                let mut lines: Vec<String> =
                    self.ends(until).into_iter().map(|line| format!("new end: {line}")).collect();
                lines.extend(self.ends(known.until).into_iter().map(|line| format!("was: {line}")));
                lines.push(format!("because {}", reason.told()));
                let preview = self.embargo_preview(case, lines, Vec::new(), text);
                let text = self.file_of(text);
                let told = self.propose(Proposal::Embargo { until, reason, text }, preview)?;
                Ok(format!("{told}{wait}"))
            }
            (Some(_), None) => {
                let reasons = Reason::ALL.map(|reason| format!("{} ({})", reason.word(), reason.told()));
                Err(format!(
                    "its end is agreed: to move it, say why, with “because REASON”: {}",
                    reasons.join(", ")
                ))
            }
            (None, Some(_)) => Err("nothing is agreed yet: what is proposed needs no reason".to_owned()),
            (None, None) => {
                self.steps(Step::Proposed { until }, &[self.by.name()]);
                let heard = self.team_and_reporter_hear(Topic::Embargo, self.written(text)?, None)?;
                let members = self.members_asked(until)?;
                let ends = self.ends(until).join(" = ");
                Ok(format!("embargo proposed: it ends {ends}; {heard}{members}{wait}"))
            }
        }
    }

    /// The team decides.
    fn agree(&mut self, case: &Case, text: Option<&str>) -> Told {
        let Some(known) = case.embargo.agreement() else {
            return Err("nothing is proposed yet: embargo DATE TIME [ZONE]".to_owned());
        };
        if known.is_agreed() {
            return Err("it is agreed already".to_owned());
        }
        if known.until <= self.now {
            return Err("what is proposed is over by now: propose another end first".to_owned());
        }
        self.steps(Step::Agreed, &[self.by.name()]);
        let heard = self.team_and_reporter_hear(Topic::Embargo, self.written(text)?, None)?;
        let members = self.members_asked(known.until)?;
        let ends = self.ends(known.until).join(" = ");
        let voices = voices(case, known, self.by == Actor::Operator);
        Ok(format!("embargo agreed: it ends {ends}; {voices}; {heard}{members}"))
    }

    /// What was agreed is moved.
    pub(super) fn move_embargo(
        &mut self,
        until: Timestamp,
        reason: Reason,
        text: Option<&Digest>,
        by: Vec<String>,
    ) -> Told {
        let case = self.case()?.clone();
        let Some(known) = case.embargo.agreement().filter(|known| known.is_agreed()) else {
            return Err(format!("there is no agreed end any more: the embargo is {}", case.embargo.word()));
        };
        if known.until == until {
            return Err("that is its end already".to_owned());
        }
        // it may have waited
        let objections = self.limits(&case).objections(until);
        if !objections.is_empty() {
            return Err(objections.join("; "));
        }
        self.steps(Step::Revised { until, reason }, &by);
        let heard = self.team_and_reporter_hear(Topic::Embargo, self.proposed(text)?, None)?;
        let members = self.tell_members(Sort::Embargo, Some(until), None, by);
        Ok(format!("embargo moved: it ends {}; {heard}{members}", self.ends(until).join(" = ")))
    }

    /// It is over as agreed.
    pub(super) fn lift_embargo(&mut self, text: Option<&Digest>, by: Vec<String>) -> Told {
        let case = self.case()?.clone();
        if let Some(since) = case.embargo.public_since() {
            return Err(format!("the embargo is over since {}", self.policy.calendar.line(since)));
        }
        self.steps(Step::Lifted, &by);
        let told = self.everybody_hears(Topic::Embargo, self.proposed(text)?, None, by)?;
        Ok(format!("embargo lifted; {told}"))
    }

    /// The embargo is over: a case that is fixed is public by that, and everybody concerned hears of it at once, members included.
    /// What they get has no free text: nobody has to look at it first.
    pub(super) fn everybody_hears_that_it_is_over(
        &mut self,
        topic: Topic,
        text: Option<&str>,
        by: Vec<String>,
    ) -> Told {
        let written = self.written(text)?;
        self.everybody_hears(topic, written, None, by)
    }

    /// The same, with what coordinators and owner alone hear of how that came: in the same note, and its file.
    pub(super) fn everybody_hears_of_a_leak(&mut self, how: (String, Digest)) -> Told {
        let by = vec![self.by.name()];
        self.everybody_hears(Topic::Public, None, Some(how), by)
    }

    fn everybody_hears(
        &mut self,
        topic: Topic,
        written: Option<(String, Digest)>,
        how: Option<(String, Digest)>,
        by: Vec<String>,
    ) -> Told {
        if self.case()?.phase == Phase::Fixed {
            self.does(What::PhaseChanged { phase: Phase::Disclosed, class: None, by: self.by.name() });
        }
        let heard = self.team_and_reporter_hear(topic, written, how)?;
        let place = match &self.case()?.embargo {
            Embargo::Broken { place, .. } => place.clone(),
            _ => None,
        };
        let members = self.tell_members(Sort::Over, None, place.as_deref(), by);
        Ok(format!("{heard}{members}"))
    }

    fn steps(&mut self, step: Step, by: &[String]) {
        self.does(What::Embargo { step, by: by.join(", ") });
        self.triage();
    }

    /// The team by a note, each reporter by a letter. There may be no reporter to tell, but no text is lost.
    fn team_and_reporter_hear(
        &mut self,
        topic: Topic,
        written: Option<(String, Digest)>,
        how: Option<(String, Digest)>,
    ) -> Told {
        let case = self.case()?.clone();
        let readers = self.others(team::readers(&case, self.policy));
        let stands = team::embargo_note(&case, self.policy).unwrap_or_default();
        let note = self.note_of(&stands, None, false);
        if let Some((how, file)) = how {
            let inner: Vec<String> = team::note_readers(&case, self.policy).map(Mailbox::canonical).collect();
            let hears_how = |reader: &Mailbox| inner.contains(&reader.canonical());
            let (inner, others): (Vec<Mailbox>, Vec<Mailbox>) = readers.iter().cloned().partition(hears_how);
            let note_of_how = self.note_of(&format!("{stands}\n\n{how}"), Some(file), false);
            self.write_note(&case, &inner, &note_of_how);
            self.write_note(&case, &others, &note);
        } else {
            self.write_note(&case, &readers, &note);
        }
        let has_text = written.is_some();
        let written = written.as_ref().map(|(text, file)| (text.as_str(), file.clone()));
        let told = match self.answer_with(topic, written, None) {
            Err(why) if !has_text => why,
            told => told?,
        };
        Ok(format!("{told}; told: {}", named(&readers)))
    }

    /// What the person wrote, and its file.
    fn written(&self, text: Option<&str>) -> Result<Option<(String, Digest)>, String> {
        let written = |text: &str| Ok((text.to_owned(), self.text_file(Some(text))?));
        text.map(written).transpose()
    }

    fn file_of(&self, text: Option<&str>) -> Option<Digest> {
        self.ordered.text.clone().filter(|_| text.is_some())
    }

    /// What the person wrote who proposed it.
    fn proposed(&self, file: Option<&Digest>) -> Result<Option<(String, Digest)>, String> {
        let Some(file) = file else { return Ok(None) };
        let own = self.ordered.order.as_ref().ok().and_then(|order| order.text.as_ref());
        let own = own.filter(|_| self.ordered.text.as_ref() == Some(file));
        match own.or_else(|| self.ordered.texts.get(file)) {
            Some(text) => Ok(Some((text.clone(), file.clone()))),
            None => Err("the text that goes with it cannot be read: propose it anew".to_owned()),
        }
    }

    /// The end of an embargo, in UTC and at the desk.
    fn ends(&self, until: Timestamp) -> Vec<String> {
        lines(until, &self.policy.calendar, None)
    }

    fn limits(&self, case: &Case) -> Limits<'_> {
        Limits {
            list: &self.policy.distributors,
            calendar: &self.policy.calendar,
            received_at: case.received_at,
            noticed: !case.notices.is_empty(),
            now: self.now,
        }
    }

    fn embargo_preview(
        &self,
        case: &Case,
        mut lines: Vec<String>,
        mut warnings: Vec<String>,
        text: Option<&str>,
    ) -> Preview {
        let (to, left_out) = self.members_who_know();
        if let Some(known) = case.embargo.agreement() {
            lines.push(format!("to the end that stands: {}", voices(case, known, false)));
        }
        if !to.is_empty() {
            lines.push("what the members get are the desk's own words".to_owned());
        }
        if !left_out.is_empty() {
            warnings.push(format!("members who know of it and cannot be told: {}", left_out.len()));
        }
        let to_reporter = text.map(str::to_owned);
        Preview { recipients: to.len(), lines, warnings, to_reporter, ..Preview::default() }
    }

    /// The members who know of the case, and can be told; and those who cannot.
    fn members_who_know(&self) -> (Vec<MemberId>, Vec<(MemberId, String)>) {
        let (mut to, mut left_out) = (Vec::new(), Vec::new());
        let Some(case) = &self.case else { return (to, left_out) };
        for released in &case.released {
            let id = &released.member;
            let roster = self.ordered.roster.as_ref();
            let why = match roster.and_then(|roster| Some((roster, roster.get(id)?))) {
                None => Some("it is not on the list".to_owned()),
                Some((_, member)) if !member.is_active() => Some(format!("it is {}", member.state.word())),
                Some((_, member)) if !case.is_released_to(member) => {
                    Some("it has joined the list again since".to_owned())
                }
                Some((roster, _)) => roster.key(id).err(),
            };
            match why {
                None => to.push(id.clone()),
                Some(why) => left_out.push((id.clone(), why)),
            }
        }
        (to, left_out)
    }

    /// A first end of the embargo, to members that know of the case already: as everything that goes to them, when another person
    /// approves.
    fn members_asked(&mut self, until: Timestamp) -> Result<String, String> {
        let (to, left_out) = self.members_who_know();
        if to.is_empty() || !self.policy.four_eyes() {
            return Ok(self.tell_members(Sort::Embargo, Some(until), None, vec![self.by.name()]));
        }
        let case = self.case()?.clone();
        let preview = self.embargo_preview(&case, self.ends(until), Vec::new(), None);
        let content = content(Sort::Embargo, Some(until), None);
        let told = self.propose(Proposal::Notice { content, to, left_out }, preview)?;
        Ok(format!("; {told}"))
    }

    /// The members who know of the case get a notice in the desk's own words.
    fn tell_members(
        &mut self,
        sort: Sort,
        until: Option<Timestamp>,
        place: Option<&str>,
        by: Vec<String>,
    ) -> String {
        let (to, left_out) = self.members_who_know();
        match (to.is_empty(), left_out.is_empty()) {
            (true, true) => return String::new(),
            (true, false) => return format!("; no member can be told ({} know of it)", left_out.len()),
            (false, _) => {}
        }
        match self.begin_notice(&content(sort, until, place), &to, &left_out, self.now, by) {
            Ok(told) => format!("; {told}"),
            Err(why) => format!("; the members are NOT told: {why}"),
        }
    }
}

fn content(sort: Sort, until: Option<Timestamp>, place: Option<&str>) -> Content {
    Content {
        sort,
        // what is over is everybody's to tell
        tlp: if sort == Sort::Over { Tlp::Clear } else { Tlp::default() },
        text: None,
        files: Vec::new(),
        author: None,
        until,
        place: place.map(str::to_owned),
    }
}

/// Who agrees, who does not, who has not answered; members by their names, or counted.
pub(super) fn voices(case: &Case, known: &Agreement, by_name: bool) -> String {
    let answers = known.answers();
    let said = |agrees: bool| {
        let parties = answers.iter().filter(|consent| consent.agrees == agrees).map(|consent| &consent.party);
        parties.collect::<Vec<_>>()
    };
    let reporters = case.reporters().map(|reporter: &Mailbox| Party::Reporter(reporter.address.clone()));
    let members = case.released.iter().map(|released| Party::Member(released.member.clone()));
    let everybody: Vec<Party> = reporters.chain(members).collect();
    let silent = everybody.iter().filter(|party| !answers.iter().any(|consent| consent.party == **party));
    let silent: Vec<&Party> = silent.collect();
    let groups = [(said(true), "agreed"), (said(false), "did NOT agree"), (silent, "no answer yet")];
    let told = groups.iter().filter(|(parties, _)| !parties.is_empty());
    let told = told.map(|(parties, what)| format!("{what}: {}", listed(parties, by_name)));
    let told: Vec<String> = told.collect();
    if told.is_empty() { "there is nobody to ask".to_owned() } else { told.join("; ") }
}

/// The reporters by their addresses. Who is on the distributors' list stands in no mail: members are counted there.
fn listed(parties: &[&Party], by_name: bool) -> String {
    let is_named = |party: &&&Party| by_name || matches!(party, Party::Reporter(_));
    let mut named: Vec<String> =
        parties.iter().filter(is_named).map(|party| party.name().to_owned()).collect();
    match parties.len().saturating_sub(named.len()) {
        0 => {}
        count => named.push(members(count)),
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::case::CaseId;
    use crate::domain::command::order::typed;
    use crate::domain::decide::tests::policy;
    use crate::domain::decide::{Decision, Facts, Ordered, obey};
    use crate::domain::distributor::{Change, Member, Roster, State};
    use crate::domain::event::Event;
    use crate::domain::letter::LetterKind;
    use crate::domain::notice;
    use crate::domain::notice::Released;

    fn now() -> Timestamp {
        "2026-11-23T18:00:00Z".parse().unwrap()
    }

    fn member(id: &str, state: State) -> Member {
        let change = Change::Applied {
            organisation: id.to_owned(),
            addresses: vec![Mailbox::bare(format!("security@{id}.example"))],
            criteria: Vec::new(),
            policy: "1".to_owned(),
        };
        let what = What::Member {
            member: MemberId::typed(id).unwrap(),
            change: Box::new(change),
            by: "ada@example.org".to_owned(),
        };
        let applied = Member::begin(&Event { at: now(), case: None, what }).unwrap();
        Member { state, ..applied }
    }

    /// A case that three members know of: one can be told, one is suspended, one has no key.
    fn said(line: &str) -> Result<(Decision, String), String> {
        let mut policy = policy();
        policy.distributors.four_eyes = Some(true);
        let id = CaseId::new("EX", 2026, 1);
        let what = What::CaseOpened {
            subject: None,
            reporter: None,
            received_at: "2026-11-20T23:00:00Z".parse().unwrap(),
            deadlines: Vec::new(),
            missing: Vec::new(),
            hints: Vec::new(),
            terms: None,
        };
        let mut case = Case::open(&Event { at: now(), case: Some(id.clone()), what }).unwrap();
        let members = [("acme", State::Active), ("beta", State::Suspended), ("gamma", State::Active)];
        let members: Vec<Member> = members.map(|(id, state)| member(id, state)).to_vec();
        case.released = members
            .iter()
            .map(|member| Released { member: member.id.clone(), at: now(), again: None })
            .collect();
        let keys = std::iter::once((MemberId::typed("acme").unwrap(), Ok(None))).collect();
        let order = typed(Some(&id), line, None);
        let ordered = Ordered {
            case: Some(case),
            roster: Some(Arc::new(Roster { members, keys })),
            ..Ordered::new(order, None)
        };
        let facts = Facts { ordered: Some(Box::new(ordered)), ..Facts::default() };
        obey(&facts, &policy, now())
    }

    #[test]
    fn members_hear_of_a_first_end_when_another_person_approves() {
        let (decision, told) = said("embargo 2026-12-15 07:00").unwrap();
        let proposed: Vec<&Proposal> = decision
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Distribution { step, .. } => match step.as_ref() {
                    notice::Step::Proposed { proposal, .. } => Some(proposal),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let [Proposal::Notice { content, to, left_out }] = proposed.as_slice() else {
            panic!("{proposed:?}")
        };
        assert_eq!(
            (content.sort, content.until),
            (Sort::Embargo, Some("2026-12-15T15:00:00Z".parse().unwrap()))
        );
        assert_eq!(to, &[MemberId::typed("acme").unwrap()]);
        let left_out: Vec<String> = left_out.iter().map(|(member, why)| format!("{member}: {why}")).collect();
        assert_eq!(left_out, ["beta: it is suspended", "gamma: it has no certificate"]);
        assert!(told.contains("proposal 1: TLP:AMBER embargo to 1 member"), "{told}");
        // the step itself is the team's, and nobody has to approve it
        let steps = decision.events.iter().filter(|event| matches!(event.what, What::Embargo { .. }));
        assert_eq!(steps.count(), 1);
    }

    /// What is public is nobody's secret: nobody has to approve that it is said.
    #[test]
    fn members_hear_at_once_that_it_is_public() {
        let (decision, told) = said("public").unwrap();
        assert!(decision.letters.iter().all(|letter| letter.kind() != LetterKind::Proposal), "{told}");
        assert!(told.contains("goes to 1 member"), "{told}");
    }
}
