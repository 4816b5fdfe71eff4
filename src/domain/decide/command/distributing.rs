//! What a person tells the distributors: the first word of a vulnerability, more of it, and who of them has what.
//!
//! # Invariants
//! * Nothing goes to members before it was shown and approved (`proposals`).
//! * Who gets nothing, and why, and whose certificate expires soon, is told before it goes.
//! * The list of members is never in a mail: `status` counts by mail, and names on the command line; of those by whose name a person has
//!   to do something, some are named.

use jiff::{SignedDuration, Timestamp};

use crate::domain::case::Case;
use crate::domain::command::authority::Actor;
use crate::domain::command::distributing::Distribute;
use crate::domain::decide::command::files_of_a_person;
use crate::domain::decide::command::proposals::Preview;
use crate::domain::decide::command::work::{Told, Worker};
use crate::domain::decide::notices::lines;
use crate::domain::distributor::{Member, MemberId, Roster};
use crate::domain::event::What;
use crate::domain::mark;
use crate::domain::notice::{Content, File, Notice, Proposal, Sort, Step, members};
use crate::domain::posting::Posting;
use crate::domain::recipient;
use crate::domain::tlp::Tlp;

/// A certificate that expires within so many days is told of.
pub(super) const SOON: SignedDuration = SignedDuration::from_hours(60 * 24);
/// No more members are named in a mail than these: the list is not in it.
const NAMED: usize = 10;
/// What is attached to a notice is no larger: base64 and armor make almost twice as much of it. Bytes.
const MOST_ATTACHED: u64 = 12 << 20;

impl Worker<'_> {
    pub(super) fn distribute(&mut self, case: &Case, distribute: &Distribute, text: Option<&str>) -> Told {
        match distribute {
            Distribute::Notice { update, tlp, anyway } => self.notice(case, *update, *tlp, *anyway, text),
            Distribute::Status => Ok(self.status(case)),
            Distribute::Share { mail, named } => self.share_with_members(case, mail, *named),
            Distribute::Release(member) => self.propose_release(case, member),
            Distribute::Leak { ends, member } => self.leak(case, *ends, member.as_ref(), text),
        }
    }

    fn notice(&mut self, case: &Case, update: bool, tlp: Tlp, anyway: bool, text: Option<&str>) -> Told {
        let noticed = case.notices.iter().any(|notice| notice.content.sort == Sort::Notice);
        match (update, noticed) {
            (false, true) => return Err("the members have had the notice: say !update".to_owned()),
            (true, false) => {
                return Err("the members have had no notice of this case: say !notice".to_owned());
            }
            (false, false) if case.embargo.public_since().is_some() => {
                return Err("the matter is public: there is nothing to embargo".to_owned());
            }
            _ => {}
        }
        let (too_soon, until) = self.in_time(case);
        if let Some(why) = too_soon.filter(|_| !anyway && !update) {
            return Err(format!("{why}; move the embargo, or say !notice anyway"));
        }
        let text_file = self.text_file(text)?;
        let attached = files_of_a_person(&self.ordered.attachments);
        let size = attached.iter().map(|(file, _)| file.size).fold(0, u64::saturating_add);
        if size > MOST_ATTACHED {
            let most = MOST_ATTACHED >> 20;
            return Err(format!("what is attached is larger than {most} MiB, which many servers refuse"));
        }
        let sort = if update { Sort::Update } else { Sort::Notice };
        let files: Vec<File> = attached.iter().map(|(file, _)| (*file).clone()).collect();
        let content = Content { sort, tlp, text: Some(text_file), files, author: None, until, place: None };
        let roster = self.roster()?.clone();
        let wanted = |member: &&Member| !update || case.is_released_to(member);
        let (to, left_out) = reachable(&roster, roster.active().filter(wanted));
        if to.is_empty() {
            return Err(match left_out.as_slice() {
                [] => "there is nobody to whom it could go: the list has no active member".to_owned(),
                left_out => format!("nobody of them can be written to: {}", named(left_out)),
            });
        }
        let mut preview = self.preview(&roster, &to, &left_out);
        preview.warnings.extend(self.not_bound(&roster, &to));
        preview.warnings.extend(tlp.frees().map(|whom| {
            format!("{tlp} lets {whom} have it, while it is embargoed: {} is the usual label", Tlp::default())
        }));
        preview.lines = vec![tlp.to_string()];
        preview.lines.extend(until.map_or_else(
            || vec!["no date of disclosure is agreed".to_owned()],
            |until| {
                let at = lines(until, &self.policy.calendar, None).join(" = ");
                vec![format!("embargo {} until {at}", case.embargo.word())]
            },
        ));
        preview.lines.extend(mark::of(&self.policy.distributors.marks, 1).map(|sentence| {
            format!("each copy has a sentence by which it is known, such as “{sentence}”, and says so")
        }));
        preview.text = text.map(str::to_owned);
        preview.attachments = attached.into_iter().map(|(_, attachment)| attachment.clone()).collect();
        self.propose(Proposal::Notice { content, to, left_out }, preview)
    }

    /// Who of them has not accepted the embargo policy in force, if anybody.
    fn not_bound(&self, roster: &Roster, to: &[MemberId]) -> Option<String> {
        let version = &self.policy.distributors.policy;
        let has = |member: &Member| match &member.accepted {
            Some((accepted, _)) if accepted == version => None,
            Some((accepted, _)) => Some(format!("version {accepted}")),
            None => Some("none".to_owned()),
        };
        let not_bound: Vec<(MemberId, String)> =
            to.iter().filter_map(|id| Some((id.clone(), has(roster.get(id)?)?))).collect();
        (!not_bound.is_empty())
            .then(|| format!("embargo policy {version} is not accepted by {}", named(&not_bound)))
    }

    /// Why a notice would come too early or too late, if it would; and when the embargo ends.
    fn in_time(&self, case: &Case) -> (Option<String>, Option<Timestamp>) {
        let Some(agreement) = case.embargo.agreement() else { return (None, None) };
        let (calendar, list) = (&self.policy.calendar, &self.policy.distributors);
        let until = agreement.until;
        let after = |term| calendar.due(self.now, term);
        let least = list.at_least.filter(|term| after(*term) > until);
        let most = list.at_most.filter(|term| after(*term) < until);
        let told = |term: crate::domain::calendar::Term| {
            let (number, of) = term.parts();
            format!("{number} {of}")
        };
        let why = least
            .map(|term| {
                format!("the embargo ends sooner than {} from now, and that is the least", told(term))
            })
            .or(most.map(|term| {
                format!("the embargo ends later than {} from now, and that is the most", told(term))
            }));
        (why, Some(until))
    }

    /// The distributors' list.
    pub(super) fn roster(&self) -> Result<&Roster, String> {
        self.ordered.roster.as_deref().ok_or_else(|| "the distributors' list cannot be read".to_owned())
    }

    /// What a person should know before something goes to these members.
    pub(super) fn preview(
        &self,
        roster: &Roster,
        to: &[MemberId],
        left_out: &[(MemberId, String)],
    ) -> Preview {
        let mut warnings = Vec::new();
        if !left_out.is_empty() {
            warnings.push(format!("{} get nothing: {}", left_out.len(), named(left_out)));
        }
        let soon = self.now.saturating_add(SOON).unwrap_or(Timestamp::MAX);
        let expiring = to.iter().filter_map(|id| {
            let end = roster.key(id).ok().flatten().filter(|end| *end < soon)?;
            Some((id.clone(), format!("its certificate expires on {}", end.strftime("%Y-%m-%d"))))
        });
        let expiring: Vec<(MemberId, String)> = expiring.collect();
        if !expiring.is_empty() {
            warnings.push(format!("certificates that expire soon: {}", named(&expiring)));
        }
        let marks = &self.policy.distributors.marks;
        if !marks.is_empty() && mark::different(marks) < to.len() {
            warnings.push(format!(
                "the configured sentence can be said in {} ways only: some copies will be alike",
                mark::different(marks)
            ));
        }
        Preview { recipients: to.len(), warnings, ..Preview::default() }
    }

    /// A notice goes to these members, as far as they are still active, have been on the list since it was proposed, and can be written
    /// to.
    pub(super) fn begin_notice(
        &mut self,
        content: &Content,
        to: &[MemberId],
        left_out: &[(MemberId, String)],
        proposed_at: Timestamp,
        by: Vec<String>,
    ) -> Told {
        let case = self.case()?.clone();
        self.still_true(&case, content)?;
        let mut left_out = left_out.to_vec();
        let mut now_to = Vec::new();
        for id in to {
            let roster = self.roster()?;
            let member = roster.get(id);
            let why = match member {
                None => Some("it is not on the list any more".to_owned()),
                Some(member) if !member.is_active() => Some(format!("it is {}", member.state.word())),
                Some(member) if !member.has_been_since(proposed_at) => {
                    Some("it has joined the list since that was proposed".to_owned())
                }
                Some(_) => roster.key(id).err(),
            };
            match why {
                None => now_to.push(id.clone()),
                Some(why) => left_out.push((id.clone(), why)),
            }
        }
        let number = u32::try_from(case.notices.len()).unwrap_or(u32::MAX).saturating_add(1);
        let notice = Notice {
            number,
            content: content.clone(),
            at: self.now,
            by,
            recipients: now_to.len(),
            left_out: left_out.clone(),
            missed: 0,
            // what everybody hears needs no mark
            marks: if content.sort == Sort::Over {
                Vec::new()
            } else {
                self.policy.distributors.marks.clone()
            },
        };
        let told = format!("{} {number} goes to {}", content.sort.word(), members(now_to.len()));
        let step = Step::Begun { notice, to: now_to };
        self.does(What::Distribution { step: Box::new(step), by: self.by.name() });
        Ok(match left_out.as_slice() {
            [] => told,
            left_out => format!("{told}; {} get nothing: {}", left_out.len(), named(left_out)),
        })
    }

    /// What was shown is still so.
    fn still_true(&self, case: &Case, content: &Content) -> Result<(), String> {
        let until = case.embargo.agreement().map(|agreement| agreement.until);
        if content.sort == Sort::Embargo && content.until != until {
            return Err("the embargo has changed since that was proposed: withdraw it".to_owned());
        }
        if matches!(content.sort, Sort::Notice | Sort::Update) {
            if content.sort == Sort::Notice && case.embargo.public_since().is_some() {
                return Err("the matter has become public since it was proposed".to_owned());
            }
            if case.embargo.public_since().is_none() && until != content.until {
                return Err(
                    "the embargo was moved since it was proposed: withdraw it, and say it anew".to_owned()
                );
            }
        }
        let noticed = case.notices.iter().any(|notice| notice.content.sort == Sort::Notice);
        if content.sort == Sort::Notice && noticed {
            return Err("the members have had another notice of this case meanwhile: say !update".to_owned());
        }
        Ok(())
    }

    /// The copies of the case's notices, without what else is known of a member that is named.
    pub(super) fn copies_of(&self, case: &Case) -> Vec<Posting> {
        let of_it = |posting: &&Posting| posting.case.as_ref() == Some(&case.id);
        self.ordered.copies.iter().filter(of_it).cloned().collect()
    }

    fn status(&mut self, case: &Case) -> String {
        let with_names = self.by == Actor::Operator;
        let page = recipient::page(case, &self.copies_of(case), if with_names { usize::MAX } else { NAMED });
        self.shows(page, "who has what")
    }
}

/// Those of these members that can be written to, and why the others cannot.
pub(super) fn reachable<'m>(
    roster: &Roster,
    members: impl Iterator<Item = &'m Member>,
) -> (Vec<MemberId>, Vec<(MemberId, String)>) {
    let mut to = Vec::new();
    let mut left_out = Vec::new();
    for member in members {
        match roster.key(&member.id) {
            Ok(_) => to.push(member.id.clone()),
            Err(why) => left_out.push((member.id.clone(), why)),
        }
    }
    (to, left_out)
}

/// Some members, each with what is to be said of it.
fn named(members: &[(MemberId, String)]) -> String {
    let first = members.iter().take(NAMED).map(|(id, why)| format!("{id} ({why})"));
    let first = first.collect::<Vec<_>>().join(", ");
    match members.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first}, and {more} more (psirtd members list)"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::domain::case::CaseId;
    use crate::domain::command::order::typed;
    use crate::domain::decide::tests::policy;
    use crate::domain::decide::{Decision, Facts, Ordered, obey};
    use crate::domain::distributor::State;
    use crate::domain::embargo;
    use crate::domain::event::Event;
    use crate::domain::message::{Attachment, Digest, Mailbox};
    use crate::domain::policy::{Person, Policy, Role};

    const NOW: &str = "2026-11-23T17:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn member(id: &str, state: State) -> Member {
        Member {
            addresses: vec![Mailbox::bare(format!("security@{id}.example"))],
            ..Member::new(MemberId::typed(id).unwrap(), id.to_owned(), state, now())
        }
    }

    /// Acme is well, Bolt has no certificate, the one of Core expires soon, Dune is suspended.
    fn roster() -> Arc<Roster> {
        let well = member("acme", State::Active);
        let members = vec![
            well,
            member("bolt", State::Active),
            member("core", State::Active),
            member("dune", State::Suspended),
        ];
        let id = |name: &str| MemberId::typed(name).unwrap();
        let keys = BTreeMap::from([
            (id("acme"), Ok(None)),
            (id("core"), Ok(Some("2026-12-24T00:00:00Z".parse().unwrap()))),
            (id("dune"), Ok(None)),
        ]);
        Arc::new(Roster { members, keys })
    }

    fn case(until: Option<&str>) -> Case {
        let what = What::CaseOpened {
            subject: None,
            reporter: Some(Mailbox::bare("rita@example.net")),
            received_at: now(),
            deadlines: Vec::new(),
            missing: Vec::new(),
            hints: Vec::new(),
            terms: None,
        };
        let id = CaseId::new("EX", 2026, 1);
        let mut case = Case::open(&Event { at: now(), case: Some(id.clone()), what }).unwrap();
        if let Some(until) = until {
            let step = embargo::Step::Proposed { until: until.parse().unwrap() };
            let what = What::Embargo { step, by: "ada@example.org".to_owned() };
            case.apply(&Event { at: now(), case: Some(id), what });
        }
        case
    }

    fn two_coordinators() -> Policy {
        let mut policy = policy();
        policy
            .people
            .push(Person { mailbox: Mailbox::bare("otto@example.org"), roles: vec![Role::Coordinator] });
        policy
    }

    fn says(case: &Case, line: &str, policy: &Policy) -> Result<(Decision, String), String> {
        let text = Some("It overflows.".to_owned());
        let attachment = Attachment {
            name: Some("fix.patch".to_owned()),
            media_type: "text/x-patch".to_owned(),
            bytes: vec![b'x'; 10],
        };
        let file = File {
            name: attachment.name.clone(),
            media_type: attachment.media_type.clone(),
            file: Digest::from_bytes(&[8]),
            size: 10,
        };
        let ordered = Ordered {
            case: Some(case.clone()),
            roster: Some(roster()),
            attachments: vec![(file, attachment)],
            ..Ordered::new(typed(Some(&case.id), line, text), Some(Digest::from_bytes(&[7])))
        };
        let facts = Facts { ordered: Some(Box::new(ordered)), ..Facts::default() };
        obey(&facts, policy, now())
    }

    #[test]
    fn who_gets_nothing_and_whose_certificate_expires_is_told_before_it_goes() {
        let (decision, told) = says(&case(None), "notice", &two_coordinators()).unwrap();
        assert!(
            told.starts_with(
                "proposal 1: TLP:AMBER notice to 2 members; nothing goes before two coordinators say"
            ),
            "{told}"
        );
        assert!(told.contains("1 get nothing: bolt (it has no certificate)"), "{told}");
        assert!(
            told.contains("certificates that expire soon: core (its certificate expires on 2026-12-24)"),
            "{told}"
        );
        assert_eq!(decision.letters.len(), 2, "both coordinators see it");
        let begun =
            |event: &Event| matches!(&event.what, What::Distribution { step, .. } if step.word() == "begun");
        assert!(!decision.events.iter().any(begun));
    }

    #[test]
    fn a_notice_keeps_to_the_times_of_the_process_unless_a_person_wants_it_anyway() {
        for (until, why) in
            [("2026-11-25T17:00:00Z", "sooner than 3 days"), ("2027-01-20T17:00:00Z", "later than 30 days")]
        {
            let case = case(Some(until));
            let refused = says(&case, "notice", &two_coordinators()).unwrap_err();
            assert!(refused.contains(why), "{refused}");
            assert!(says(&case, "notice TLP:RED anyway", &two_coordinators()).is_ok());
        }
        assert!(says(&case(Some("2026-12-08T17:00:00Z")), "notice", &two_coordinators()).is_ok());
    }

    #[test]
    fn an_update_follows_a_notice_and_a_public_matter_is_no_news() {
        let refused = says(&case(None), "update", &two_coordinators()).unwrap_err();
        assert!(refused.contains("say !notice"), "{refused}");
        let mut public = case(None);
        let what = What::BecamePublic { place: None, by: "ada@example.org".to_owned() };
        public.apply(&Event { at: now(), case: Some(public.id.clone()), what });
        let refused = says(&public, "notice", &two_coordinators()).unwrap_err();
        assert!(refused.contains("the matter is public"), "{refused}");
    }

    #[test]
    fn with_one_coordinator_it_is_shown_all_the_same() {
        let (decision, told) = says(&case(None), "notice", &policy()).unwrap();
        assert!(told.contains("nothing goes before a coordinator says !approve 1"), "{told}");
        assert_eq!(decision.letters.len(), 1);
    }
}
