//! One command after the other, each on the case as the ones before it left it.

use jiff::Timestamp;

use crate::domain::advisory::{Finding, belongs};
use crate::domain::case::{Case, CaseId, CaseMail};
use crate::domain::command::authority::{Actor, Authorized};
use crate::domain::command::grammar::help;
use crate::domain::command::{Affects, Command, Snooze, Topic};
use crate::domain::deadline::{Because, Deadline, DeadlineKind};
use crate::domain::decide::command::glance;
use crate::domain::decide::{Decision, Facts, Named, Ordered, delivery, sorting, team};
use crate::domain::distributor::Member;
use crate::domain::event::{Event, What};
use crate::domain::letter::{Letter, LetterId};
use crate::domain::message::{Digest, Mailbox};
use crate::domain::phase::Phase;
use crate::domain::policy::{Person, Policy, Role};
use crate::domain::thread;

/// What was done.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    pub(super) events: Vec<Event>,
    pub(super) letters: Vec<Letter>,
    /// For the person, a line a command.
    pub(super) lines: Vec<String>,
    /// What goes to the reporter, word for word.
    pub(super) sent: Option<String>,
    /// What was asked for.
    pub(super) page: Option<String>,
    /// Letters of the case so far.
    pub(super) next: usize,
    /// Letters of the desk so far that belong to no case.
    pub(super) desk_letters: u32,
    /// Proposals made so far.
    pub(super) proposals: u32,
    /// Those of which this mail has said something: a word for each is enough.
    pub(super) spoken_of: Vec<u32>,
    /// Members of the distributors' list, as this mail has left them so far.
    pub(super) members: Vec<Member>,
}

/// What can be told the person.
pub(super) type Told = Result<String, String>;

pub(super) struct Worker<'a> {
    pub(super) ordered: &'a Ordered,
    pub(super) by: Actor<'a>,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
    pub(super) case: Option<Case>,
    /// The number of the next case of the year.
    pub(super) next_number: u32,
    pub(super) done: Done,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        facts: &'a Facts,
        ordered: &'a Ordered,
        authorized: &Authorized<'a>,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        let case = ordered.case.clone();
        let next = case.as_ref().map_or(0, |case| case.letters.len());
        let (desk_letters, proposals) = (facts.desk_letters, ordered.proposals);
        let done = Done { next, desk_letters, proposals, ..Done::default() };
        Self { next_number: facts.next_number, ordered, by: authorized.by(), policy, now, case, done }
    }

    pub(super) fn carry_out(&mut self, command: &Command, text: Option<&str>) -> Told {
        match command {
            Command::Help => {
                let before = if self.by == Actor::Operator { "" } else { "!" };
                Ok(self.shows(help(before), "these can be said"))
            }
            Command::List => {
                let page = glance::list(&self.ordered.open, self.by, self.policy, self.now);
                Ok(self.shows(page, "the open cases"))
            }
            Command::Members(members) => self.members(members, text),
            Command::Approve(number) => self.approve(*number),
            Command::Withdraw(number) => self.withdraw(*number, text),
            _ => self.with_case(command, text),
        }
    }

    fn with_case(&mut self, command: &Command, text: Option<&str>) -> Told {
        let case = self.case()?.clone();
        if let Some(into) = case.merged_into.as_ref().filter(|_| *command != Command::Show) {
            return Err(format!("case {} was merged into {into}: say it of that one", case.id));
        }
        if !case.is_open() && !command.fits_closed() {
            return Err(format!("case {} is {}: reopen it first", case.id, case.phase.word()));
        }
        match command {
            Command::Help
            | Command::List
            | Command::Members(_)
            | Command::Approve(_)
            | Command::Withdraw(_) => Ok(String::new()),
            Command::Embargo(embargoing) => self.embargo(&case, embargoing, text),
            Command::Distribute(distribute) => self.distribute(&case, distribute, text),
            Command::Show => {
                let page = glance::page(&case, self.by, self.policy, self.now);
                Ok(self.shows(page, "the case at a glance"))
            }
            Command::Take(person) => self.take(&case, person.as_deref()),
            Command::Note => self.note(&case, text),
            Command::Reply => self.answer(Topic::Reply, text, None),
            Command::NeedInfo => self.answer(Topic::NeedInfo, text, None),
            Command::Plan => self.answer(Topic::Plan, text, None),
            Command::Accept => self.accept(&case, text),
            Command::Reject(class) => self.reject(&case, class, text),
            Command::Share(with) => self.share(&case, with, text),
            Command::Severity { severity, tell } => {
                self.find(Finding::Severity(severity.clone()));
                match tell {
                    true => self.answer(Topic::Severity, text, None),
                    false => Ok(format!("severity {severity}")),
                }
            }
            Command::Cwe(ids) => Ok(self.find(Finding::Cwe(ids.clone()))),
            Command::Cve(ids) => Ok(self.find(Finding::Cve(ids.clone()))),
            Command::Affects(lines) => self.affects(lines),
            Command::Fixing => self.become_phase(&case, Phase::Fixing),
            Command::Fixed(versions) => self.fixed(versions),
            Command::NoFix(line) => self.no_fix(line, text),
            Command::Workaround => {
                let text = self.text_file(text)?;
                Ok(self.find(Finding::Workaround(text)))
            }
            Command::Credit(Some(who)) => Ok(self.find(Finding::Credit(who.clone()))),
            Command::Credit(None) => Ok(self.find(Finding::NoCredit)),
            Command::Public(place) => self.public(&case, place.as_deref(), text),
            Command::Merge(into) => self.merge(&case, into),
            Command::Split(mail) => self.split(&case, mail),
            Command::Priority(priority) => {
                self.does(What::PrioritySet { priority: *priority, by: self.by.name() });
                Ok(format!("priority {}", priority.word()))
            }
            Command::Snooze(snooze) => self.snooze(*snooze),
            Command::Close => self.close(&case, text),
            Command::Reopen => self.reopen(&case),
            Command::Release(letter) => self.release(&case, letter),
        }
    }

    pub(super) fn case(&self) -> Result<&Case, String> {
        self.case.as_ref().ok_or_else(|| "no case is named".to_owned())
    }

    pub(super) fn shows(&mut self, page: String, line: &str) -> String {
        let before = self.done.page.take().map_or_else(String::new, |before| format!("{before}\n\n"));
        self.done.page = Some(format!("{before}{}", page.trim_end()));
        line.to_owned()
    }

    /// Something happens to the case.
    pub(super) fn does(&mut self, what: What) {
        let Some(case) = &mut self.case else { return };
        let event = Event { at: self.now, case: Some(case.id.clone()), what };
        case.apply(&event);
        self.done.events.push(event);
    }

    /// Something happens, to the case if there is one.
    pub(super) fn happens(&mut self, what: What) {
        match &self.case {
            Some(_) => self.does(what),
            None => self.done.events.push(Event { at: self.now, case: None, what }),
        }
    }

    pub(super) fn next_id(&mut self, case: &CaseId) -> LetterId {
        self.done.next = self.done.next.saturating_add(1);
        LetterId::new(case, self.done.next)
    }

    fn find(&mut self, finding: Finding) -> String {
        let told = crate::domain::case::timeline::told(&finding);
        self.does(What::Assessed { finding, by: self.by.name() });
        told
    }

    pub(super) fn text_file(&self, text: Option<&str>) -> Result<Digest, String> {
        let file = self.ordered.text.clone().filter(|_| text.is_some());
        file.ok_or_else(|| "it needs a text".to_owned())
    }

    fn take(&mut self, case: &Case, person: Option<&str>) -> Told {
        let owner = match (person, self.by.person()) {
            (Some(named), _) => person_named(self.policy, named)?,
            (None, Some(person)) => person,
            (None, None) => return Err("who takes it? take PERSON".to_owned()),
        };
        let mailbox = &owner.mailbox;
        if case.owner.as_ref().is_some_and(|known| known.identity() == mailbox.identity()) {
            return Ok(format!("{} has it already", mailbox.address));
        }
        let knows = owner.is(Role::Coordinator) || Actor::Person(owner).may_see(case);
        self.does(What::OwnerSet { owner: mailbox.clone(), by: self.by.name() });
        self.triage();
        if !knows {
            self.relay_all(case, mailbox);
        }
        if self.by.person() != Some(owner) {
            let said = self.note_of(team::TAKEN, None, false);
            self.write_note(case, std::slice::from_ref(mailbox), &said);
        }
        Ok(format!("{} answers for case {}", mailbox.address, case.id))
    }

    /// Whoever does something with a new case has looked at it.
    pub(super) fn triage(&mut self) {
        if self.case.as_ref().is_some_and(|case| case.phase == Phase::Received) {
            self.does(What::PhaseChanged { phase: Phase::Triaged, class: None, by: self.by.name() });
        }
    }

    fn accept(&mut self, case: &Case, text: Option<&str>) -> Told {
        let mut told = self.become_phase(case, Phase::Accepted)?;
        if text.is_some() {
            told = format!("{told}; {}", self.answer(Topic::Accept, text, None)?);
        }
        Ok(told)
    }

    pub(super) fn become_phase(&mut self, case: &Case, phase: Phase) -> Told {
        if !case.phase.may_become(phase) {
            return Err(format!("a case that is {} cannot become {}", case.phase.word(), phase.word()));
        }
        self.does(What::PhaseChanged { phase, class: None, by: self.by.name() });
        Ok(format!("case {} is {}", case.id, phase.word()))
    }

    fn affects(&mut self, lines: &Affects) -> Told {
        let supported = &self.policy.supported;
        let lines = match lines {
            Affects::All => supported.clone(),
            Affects::None => Vec::new(),
            Affects::Lines(lines) => lines.clone(),
        };
        let other: Vec<&String> = lines.iter().filter(|line| !supported.contains(line)).collect();
        let note = match other.as_slice() {
            [] => String::new(),
            other if supported.is_empty() => {
                format!(" (the configuration names no supported lines: {})", joined(other))
            }
            other => format!(" (not supported: {})", joined(other)),
        };
        let told = self.find(Finding::Affected(lines));
        Ok(format!("{told}{note}{}", self.settle_fix(false)))
    }

    fn fixed(&mut self, versions: &[String]) -> Told {
        let supported = &self.policy.supported;
        let is_foreign = |version: &&String| !supported.iter().any(|line| belongs(version, line));
        let foreign: Vec<&String> = versions.iter().filter(is_foreign).collect();
        let note = match foreign.as_slice() {
            [] => String::new(),
            _ if supported.is_empty() => String::new(),
            foreign => format!(" ({} is of no supported line)", joined(foreign)),
        };
        let told = self.find(Finding::Fixed(versions.to_vec()));
        Ok(format!("{told}{note}{}", self.settle_fix(true)))
    }

    fn no_fix(&mut self, line: &str, text: Option<&str>) -> Told {
        if !self.policy.supported.iter().any(|known| known == line) {
            return Err(format!(
                "{line} is no supported line: they are {}",
                self.policy.supported.join(", ")
            ));
        }
        let reason = self.text_file(text)?;
        let told = self.find(Finding::Exception { line: line.to_owned(), reason });
        Ok(format!("{told}{}", self.settle_fix(true)))
    }

    /// A case is fixed when each supported affected line is, and not before (P-16). What is still missing is told.
    fn settle_fix(&mut self, working: bool) -> String {
        let Some(case) = &self.case else { return String::new() };
        let (phase, supported) = (case.phase, &self.policy.supported);
        let complete = case.advisory.is_fixed(supported);
        let open = case.advisory.lines(supported).into_iter();
        let open: Vec<String> =
            open.filter(|line| line.version.is_none() && !line.exception).map(|line| line.line).collect();
        let fixed_something = !case.advisory.fixed.is_empty() || !case.advisory.exceptions.is_empty();
        let public = case.embargo.public_since().is_some();
        let next = match phase {
            _ if complete && (working || (phase == Phase::Fixing && fixed_something)) => Phase::Fixed,
            Phase::Fixed if !complete => Phase::Fixing,
            _ if working => Phase::Fixing,
            _ => return String::new(),
        };
        let changes = phase.may_become(next);
        if changes {
            self.does(What::PhaseChanged { phase: next, class: None, by: self.by.name() });
        }
        if changes && next == Phase::Fixed && public {
            self.does(What::PhaseChanged { phase: Phase::Disclosed, class: None, by: self.by.name() });
        }
        match (next, open.is_empty()) {
            (Phase::Fixed, _) if !changes => String::new(),
            (Phase::Fixed, _) => "; every supported affected line is fixed: the case is fixed".to_owned(),
            (_, false) => format!(
                "; still without a version: {} (fixed VERSION, or fixed except LINE)",
                open.join(", ")
            ),
            _ => String::new(),
        }
    }

    fn merge(&mut self, case: &Case, into: &CaseId) -> Told {
        let named = self.ordered.others.iter().find(|known| known.id == *into);
        let goes_on = self.ordered.goes_on.as_ref().filter(|_| named.is_some());
        let Some(goes_on) = goes_on else { return Err(format!("there is no case {into}")) };
        if goes_on.id == case.id {
            return Err(match case.id == *into {
                true => format!("case {} cannot be merged into itself", case.id),
                false => format!("case {into} is part of case {} already", case.id),
            });
        }
        if !goes_on.is_open() {
            let (id, phase) = (&goes_on.id, goes_on.phase.word());
            return Err(format!(
                "case {id} is {phase}, and nobody would look after it: reopen that one first"
            ));
        }
        one_embargo(case, goes_on)?;
        self.does(What::CaseMerged { into: goes_on.id.clone(), by: self.by.name() });
        Ok(format!("case {} is part of case {} now", case.id, goes_on.id))
    }

    fn split(&mut self, case: &Case, mail: &str) -> Told {
        let mut named = case.mails.iter().filter(|known| known.mail.as_str().starts_with(mail));
        let one = named.next().filter(|_| named.next().is_none());
        let message = one.and_then(|one| self.ordered.mails.iter().find(|mail| mail.digest == one.mail));
        let Some(message) = message else {
            return Err(format!(
                "case {} has no mail {mail}, or several: see “psirtd case {}”",
                case.id, case.id
            ));
        };
        if case.mails.len() < 2 {
            return Err(format!("it is the only mail of case {}", case.id));
        }
        // commands and notes alone are no report
        let stays = |other: &&CaseMail| {
            other.mail != message.digest && (other.pending || thread::tells_of_it(case, other, self.policy))
        };
        if case.mails.iter().find(stays).is_none() {
            return Err(format!("it is the only mail of case {} that tells of the matter", case.id));
        }
        let facts = self.facts_about(message);
        let decision = sorting::split(&facts, message, &self.by.name(), self.policy, self.now);
        let opened = decision.events.iter().find_map(Case::open).map(|case| case.id);
        let Some(new) = opened else {
            return Err(format!("mail {mail} cannot be taken out of case {}", case.id));
        };
        self.next_number = self.next_number.saturating_add(1);
        self.take_over(decision);
        Ok(format!("the mail is case {new} now"))
    }

    fn take_over(&mut self, decision: Decision) {
        for event in decision.events {
            let case = self.case.as_mut().filter(|case| event.case.as_ref() == Some(&case.id));
            case.into_iter().for_each(|case| case.apply(&event));
            self.done.events.push(event);
        }
        self.done.letters.extend(decision.letters);
    }

    fn snooze(&mut self, snooze: Snooze) -> Told {
        let calendar = &self.policy.calendar;
        let until = match snooze {
            Snooze::For(term) => calendar.due(self.now, term),
            Snooze::Until(date) => {
                date.to_zoned(calendar.zone.clone()).map_err(|error| error.to_string())?.timestamp()
            }
        };
        if until <= self.now {
            return Err("that time is over".to_owned());
        }
        self.does(What::Snoozed { until, by: self.by.name() });
        Ok(format!("no reminders until {}; what is promised stays promised", calendar.line(until)))
    }

    fn close(&mut self, case: &Case, text: Option<&str>) -> Told {
        let unanswered =
            case.arrived_answers().next().is_none() && !case.answers.iter().any(|it| it.letter.is_some());
        if let Some(text) = text {
            self.note(case, Some(text))?;
        }
        self.does(What::PhaseChanged { phase: Phase::Closed, class: None, by: self.by.name() });
        let note = if unanswered { "; its reporter has had no answer from a person" } else { "" };
        let embargo = match case.embargo.agreement() {
            Some(_) => "; its embargo was not lifted, and nobody is reminded of it any more",
            None => "",
        };
        Ok(format!("case {} is closed{note}{embargo}", case.id))
    }

    fn reopen(&mut self, case: &Case) -> Told {
        if case.is_open() {
            return Err(format!("case {} is open: it is {}", case.id, case.phase.word()));
        }
        let told = self.become_phase(case, Phase::Reopened)?;
        let terms = case.terms.unwrap_or(self.policy.terms);
        let deadline =
            Deadline::begin(DeadlineKind::StatusUpdate, &self.policy.calendar, self.now, terms.status_update);
        self.does(What::ClockStarted { deadline, because: Because::Reopened });
        Ok(told)
    }

    fn release(&mut self, case: &Case, letter: &LetterId) -> Told {
        let named = self.ordered.letters.iter().find(|named| named.released.posting.id == *letter);
        let Some(Named { released, case: own, goes_on }) = named else {
            return Err(format!("there is no letter {letter}"));
        };
        if goes_on.as_ref() != Some(&case.id) {
            return Err(format!("letter {letter} is of another case"));
        }
        if self.done.letters.iter().any(|written| written.id == *letter) {
            return Err(format!("letter {letter} is released twice"));
        }
        if let Some(why) = released.barred() {
            return Err(format!("letter {letter} stays held: {why}"));
        }
        let about = released.about.as_ref().map(|about| self.facts_about(about));
        let own =
            if released.posting.case.as_ref() == Some(&case.id) { self.case.clone() } else { own.clone() };
        let facts = Facts { case: own, ..about.unwrap_or_default() };
        let decision = delivery::release(&facts, released, &self.by.name(), self.policy, self.now);
        if decision == Decision::default() {
            return Err(format!(
                "nothing to do for letter {letter}: it is {}",
                released.posting.state.word()
            ));
        }
        self.take_over(decision);
        Ok(format!("letter {letter} is released"))
    }
}

/// What two cases say of one matter can stand in one: members who were told an end of the embargo, or know of a case that is not public,
/// do not hear otherwise in passing.
fn one_embargo(case: &Case, goes_on: &Case) -> Result<(), String> {
    let (here, there) = (case.embargo.agreement(), goes_on.embargo.agreement());
    if let (Some(here), Some(there)) = (here, there)
        && here.until != there.until
        && !case.released.is_empty()
    {
        return Err(format!(
            "members were told that the embargo of case {} ends at another time than that of case {}: move one of them first",
            case.id, goes_on.id
        ));
    }
    let public = |case: &Case| case.embargo.public_since().is_some();
    for (one, other) in [(case, goes_on), (goes_on, case)] {
        if public(one) && !public(other) && !other.released.is_empty() {
            return Err(format!(
                "case {} is public, and members who know of case {} were not told so: say it of that one first",
                one.id, other.id
            ));
        }
    }
    Ok(())
}

/// The person of the team who is named, by address, the part before its @, or name.
pub(super) fn person_named<'p>(policy: &'p Policy, named: &str) -> Result<&'p Person, String> {
    let wanted = named.trim().to_lowercase();
    let is = |person: &&Person| {
        let mailbox = &person.mailbox;
        let name = mailbox.name.as_deref().unwrap_or_default().to_lowercase();
        mailbox.canonical() == wanted || mailbox.local_part() == wanted || name == wanted
    };
    let mut found = policy.people.iter().filter(is);
    match (found.next(), found.next()) {
        (Some(person), None) => Ok(person),
        (None, _) => Err(format!("“{named}” is nobody of the team")),
        (Some(_), Some(_)) => Err(format!("“{named}” may be several of the team: write the address")),
    }
}

pub(super) fn named(people: &[Mailbox]) -> String {
    match people {
        [] => "nobody else".to_owned(),
        people => people.iter().map(|one| one.address.as_str()).collect::<Vec<_>>().join(", "),
    }
}

fn joined(texts: &[&String]) -> String {
    texts.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(", ")
}
