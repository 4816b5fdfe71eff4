//! Laws of the decision that hold whatever arrives, in whatever order: shown on a model of the pipeline without a disk, a key, a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use psirtd::domain::case::{Case, CaseId, CaseMail};
use psirtd::domain::command::Command;
use psirtd::domain::command::order::Order;
use psirtd::domain::concern::Concern;
use psirtd::domain::decide::{Decision, Facts, Input, Ordered, Released, Sighting, decide, obey};
use psirtd::domain::distributor::{Member, MemberId, Roster};
use psirtd::domain::event::{Event, What};
use psirtd::domain::intake::{self, Kind, Sort, words};
use psirtd::domain::letter::{Body, Daily, Letter, LetterId, LetterKind, Protection};
use psirtd::domain::limit::{Answered, Limits};
use psirtd::domain::message::{
    Action, Attachment, Ciphertext, Digest, Encryption, Mailbox, Marks, Message, ReturnPath, Returned,
};
use psirtd::domain::policy::distributors::Distributors;
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::posting::{LetterState, Outcome, Posting};
use psirtd::domain::report;
use psirtd::domain::signature::{Certificate, Signature, Source, Standing, Verified};
use psirtd::domain::thread;
use psirtd::domain::trust::{AuthenticationResults, Border, Form, MethodResult, Trace};
use psirtd::domain::unanswered::{Agenda, Line};

const DESK: &str = "security@example.org";
const TEAM: [&str; 3] = ["ada@example.org", "otto@example.org", "max@example.org"];
const OWN_LIST: &str = "team.lists.example.org";
/// In every subject and text; in no letter that is not encrypted.
const CANARY: &str = "canary";

fn start() -> Timestamp {
    "2026-11-20T23:00:00Z".parse().unwrap()
}

fn named(number: usize) -> Digest {
    Digest::from_bytes(&[u8::try_from(number % 256).unwrap(), u8::try_from(number / 256).unwrap()])
}

/// A mail before it is known which letters and mails it can name.
#[derive(Debug, Clone)]
struct Written {
    message: Message,
    /// What its thread names: one of all ids so far.
    parent: Option<Index>,
    /// A letter whose address it is sent to.
    to: Option<Index>,
    /// A letter that it says came back.
    about: Option<Index>,
    /// The mail of which it is a copy, with a footer: of its author, with its id.
    again: Option<Index>,
    /// What the border found; of use only if there is one.
    dmarc: Option<bool>,
    /// It is sent to the distributors' list, if there is one.
    to_list: bool,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Mail(Box<Written>),
    Delivery(Index, u8),
    Hold(Index),
    Release(Index),
    Merge(Index, Index),
    Split(Index, Index),
    Later(i64),
}

fn people() -> impl Strategy<Value = Vec<Mailbox>> {
    let one = select(vec![
        "rita@example.net",
        "rita@example.net",
        "rita@example.net",
        "rita@example.net",
        "Rita+tag@Example.net",
        "mallory@example.com",
        "nora@example.net",
        "ada@example.org",
        "max@example.org",
        "otto@example.org",
        DESK,
        "security+tag@example.org",
        "no-reply@example.net",
        "MAILER-DAEMON@mx.example.net",
        "MAILER-DAEMON",
        "postmaster@example.net",
        "no address",
    ]);
    prop_oneof![20 => vec(one, 1), 1 => vec(select(vec!["rita@example.net", "ada@example.org"]), 2), 1 => Just(Vec::new())]
        .prop_map(|people| people.into_iter().map(Mailbox::bare).collect())
}

fn words(these: &[&'static str]) -> impl Strategy<Value = Option<String>> + use<> {
    weighted(0.04, select(these.to_vec()).prop_map(str::to_owned))
}

fn marks() -> impl Strategy<Value = Marks> {
    let lists = select(vec![vec!["list-id"], vec!["list-id", "list-post"]]);
    let list = weighted(0.07, (lists, select(vec![OWN_LIST, "others.example.com"])));
    let report = words(&["delivery-status", "disposition-notification", "feedback-report", ""]);
    let robots = words(&["x-autoreply", "x-failed-recipients", "x-cron-env"]);
    (
        (
            words(&["auto-replied", "auto-generated", "auto-notified", "no"]),
            words(&["bulk", "list", "junk", "auto_reply"]),
        ),
        (list, report, robots, words(&["all", "oof", "dr"]), words(&["x-rt-ticket"])),
        (
            prop::bool::weighted(0.05),
            prop::bool::weighted(0.05),
            prop_oneof![9 => Just(3_usize), 1 => Just(60)],
        ),
    )
        .prop_map(|((auto_submitted, precedence), (list, report, robots, suppress, ticket), last)| {
            Marks {
                auto_submitted,
                precedence,
                list: list
                    .iter()
                    .flat_map(|(fields, _)| fields.iter().map(|field| (*field).to_owned()))
                    .collect(),
                list_ids: list.iter().map(|(_, id)| (*id).to_owned()).collect(),
                ticket,
                report,
                report_part: None,
                suppress,
                robots: robots.into_iter().collect(),
                junk: last.0,
                recorded_before: last.1,
                hops: last.2,
            }
        })
}

fn signature() -> impl Strategy<Value = Signature> {
    let good = || Verified::mint("0123".to_owned(), Standing::Seen, start(), named(9000), false);
    prop_oneof![
        6 => Just(Signature::None),
        1 => Just(Signature::Good(good())),
        1 => Just(Signature::Offered { signer: "0123".to_owned() }),
        1 => Just(Signature::UnknownKey { signer: None }),
    ]
}

/// How it was encrypted: how much, opened or not, which ciphertexts, its subject among them or not.
fn secrets() -> impl Strategy<Value = (Encryption, bool, Vec<Ciphertext>, bool)> {
    let encryption =
        prop_oneof![5 => Just(Encryption::None), 2 => Just(Encryption::Whole), 1 => Just(Encryption::Part)];
    let ciphertexts = vec((0_usize..4, any::<bool>()), 0..3);
    (encryption, any::<bool>(), ciphertexts, any::<bool>()).prop_map(|(encryption, opened, these, hidden)| {
        if encryption == Encryption::None || !opened {
            return (encryption, false, Vec::new(), false);
        }
        let ciphertext = |(id, by_author)| Ciphertext { id: named(1000 + id), by_author };
        (encryption, true, these.into_iter().map(ciphertext).collect(), hidden)
    })
}

fn certificate() -> impl Strategy<Value = Option<(Standing, Certificate)>> {
    let one =
        (select(vec!["AAAA", "BBBB"]), select(vec![Standing::Offered, Standing::Seen, Standing::Pinned]));
    weighted(
        0.3,
        one.prop_map(|(fingerprint, standing)| {
            let armored = format!("certificate {fingerprint}");
            (
                standing,
                Certificate { fingerprint: fingerprint.to_owned(), source: Source::Autocrypt, armored },
            )
        }),
    )
}

fn mail() -> impl Strategy<Value = Written> {
    let subject = select(vec![
        None,
        Some("canary"),
        Some("Re: [EX-2026-0001] canary"),
        Some("Undelivered Mail Returned to Sender: canary"),
        Some("Out of office: canary"),
        Some("status"),
    ]);
    let text = select(vec![
        "",
        "status",
        "status",
        "Status?\n> canary",
        "A canary heap overflow. Steps to reproduce: see below.",
        "The canary crashes.",
        "!merge canary",
        "I am out of the office, canary.",
        "Your message could not be delivered. 550 5.1.1 canary",
        "Organisation: canary\n\n1. The canary.\n2. Canary users: canary.",
        "4. No canary.\n\nkeyproof-00000000000000000000000000000000",
        "vouch canary 1",
    ]);
    let return_path = prop_oneof![
        12 => Just(ReturnPath::Unknown),
        1 => Just(ReturnPath::Null),
        1 => Just(ReturnPath::Address("rita@example.net".to_owned())),
    ];
    let returned = weighted(0.15, select(vec![Action::Failed, Action::Delayed, Action::Delivered]));
    let problem = words(&["not opened"]);
    let attachment = weighted(0.1, select(vec!["message/rfc822", "application/octet-stream"]));
    (
        (people(), marks(), return_path, subject, text, 0_usize..8),
        (signature(), secrets(), certificate(), problem, attachment),
        (
            (weighted(0.4, any::<Index>()), weighted(0.1, any::<Index>())),
            weighted(0.2, any::<Index>()),
            weighted(0.2, any::<Index>()),
            of(any::<bool>()),
            returned,
        ),
        (any::<bool>(), prop::bool::weighted(0.05), prop::bool::weighted(0.2)),
    )
        .prop_map(
            |(
                (from, marks, return_path, subject, text, id),
                (signature, (encryption, decrypted, ciphertexts, hidden), reporter_cert, problem, attachment),
                ((parent, again), to, about, dmarc, returned),
                (has_id, not_fetched, to_list),
            )| {
                let attachment = attachment.map(|media_type| Attachment {
                    name: Some(CANARY.to_owned()),
                    media_type: media_type.to_owned(),
                    bytes: CANARY.into(),
                });
                let returned =
                    returned.map(|action| Returned { action: Some(action), ..Returned::default() });
                let message = Message {
                    from,
                    marks,
                    return_path,
                    subject: subject.map(str::to_owned),
                    subject_is_secret: hidden && subject.is_some(),
                    message_id: has_id.then(|| format!("mail-{id}@example.net")),
                    text: text.to_owned(),
                    signature,
                    encryption,
                    decrypted,
                    ciphertexts,
                    reporter_cert,
                    problem,
                    attachments: attachment.into_iter().collect(),
                    returned,
                    not_fetched,
                    size: 100,
                    ..Message::default()
                };
                Written { message, parent, to, about, again, dmarc, to_list }
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        12 => mail().prop_map(|mail| Step::Mail(Box::new(mail))),
        4 => (index(), 0_u8..3).prop_map(|(letter, outcome)| Step::Delivery(letter, outcome)),
        1 => index().prop_map(Step::Hold),
        3 => index().prop_map(Step::Release),
        1 => (index(), index()).prop_map(|(from, into)| Step::Merge(from, into)),
        1 => (index(), index()).prop_map(|(case, mail)| Step::Split(case, mail)),
        2 => (1_i64..10_000).prop_map(Step::Later),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let border = of(any::<bool>().prop_map(|answer_failing| Border {
        form: Form::Rfc8601(vec!["mx.example.org".to_owned()]),
        received_by: None,
        answer_failing,
    }));
    let limits = select(vec![Limits::default(), Limits { per_address_per_day: 2, ..Limits::default() }]);
    (border, limits, any::<[bool; 4]>(), 0_usize..3).prop_map(
        |(border, limits, [plus, junk, own, out], coordinators)| {
            let person = |(number, address): (usize, &&str)| Person {
                mailbox: Mailbox::bare(*address),
                roles: vec![if number < coordinators { Role::Coordinator } else { Role::Maintainer }],
            };
            Policy {
                case_prefix: "EX".to_owned(),
                people: TEAM.iter().enumerate().map(person).collect(),
                border,
                limits,
                plus_address: plus,
                relay_junk: junk,
                own_lists: own.then(|| OWN_LIST.to_owned()).into_iter().collect(),
                distributors: Distributors {
                    address: out.then(|| "distributors@example.org".to_owned()),
                    ..Distributors::default()
                },
                ..Policy::new(Mailbox::bare(DESK))
            }
        },
    )
}

/// What the store would know.
struct Model {
    policy: Policy,
    now: Timestamp,
    cases: BTreeMap<CaseId, Case>,
    threads: BTreeMap<String, CaseId>,
    letters: BTreeMap<String, LetterId>,
    postings: BTreeMap<LetterId, Posting>,
    mails: BTreeMap<Digest, Arc<Message>>,
    sightings: BTreeMap<Digest, Sighting>,
    certificates: BTreeMap<String, Vec<Certificate>>,
    answered: BTreeMap<String, u32>,
    /// The distributors' list.
    members: BTreeMap<MemberId, Member>,
    /// Acknowledgements that were sealed, by case.
    acknowledged: BTreeMap<CaseId, usize>,
    count: usize,
}

impl Model {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            now: start(),
            cases: BTreeMap::new(),
            threads: BTreeMap::new(),
            letters: BTreeMap::new(),
            postings: BTreeMap::new(),
            mails: BTreeMap::new(),
            sightings: BTreeMap::new(),
            certificates: BTreeMap::new(),
            answered: BTreeMap::new(),
            members: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            count: 0,
        }
    }

    /// The mail as it arrives, and whether its domain denies it, as far as the desk asks.
    fn arriving(&mut self, written: Written) -> (Arc<Message>, bool) {
        let Written { mut message, parent, to, about, again, dmarc, to_list } = written;
        self.count += 1;
        message.digest = named(self.count);
        let known: Vec<&String> = self.threads.keys().chain(self.letters.keys()).collect();
        let letters: Vec<&String> = self.letters.keys().collect();
        let chosen = |index: Option<Index>, among: &[&String]| {
            index.filter(|_| !among.is_empty()).map(|index| (*index.get(among)).clone())
        };
        message.parents = chosen(parent, &known).into_iter().collect();
        let to = chosen(to, &letters).and_then(|id| thread::address_of(&id, &self.policy.desk));
        if message.author().is_some_and(|author| author.address == DESK) {
            // a letter of the desk that somebody's forwarding brings back
            message.message_id = chosen(about, &letters).or(message.message_id);
        }
        let earlier: Vec<&Arc<Message>> = self.mails.values().collect();
        if let Some(again) = again.filter(|_| !earlier.is_empty()) {
            let first = *again.get(&earlier);
            message.from.clone_from(&first.from);
            message.message_id.clone_from(&first.message_id);
            message.text = format!("{} -- a footer", first.text);
            message.parents.clear();
        }
        let list = self.policy.distributors.address.clone().filter(|_| to_list);
        message.recipients = vec![to.or(list).unwrap_or_else(|| DESK.to_owned())];
        if let (Some(returned), Some(id)) = (&mut message.returned, chosen(about, &letters)) {
            returned.message_ids = vec![id];
        }
        let domain = message.author().and_then(Mailbox::domain);
        let mut denied = false;
        if let (Some(passes), Some(domain)) = (dmarc, domain) {
            denied = !passes && self.policy.border.is_some();
            message.trace = vec![Trace::Results(AuthenticationResults {
                authserv_id: Some("mx.example.org".to_owned()),
                results: vec![MethodResult {
                    method: "dmarc".to_owned(),
                    result: if passes { "pass" } else { "fail" }.to_owned(),
                    properties: vec![("header.from".to_owned(), domain)],
                }],
                broken: false,
            })];
        }
        (Arc::new(message), denied)
    }

    fn followed(&self, id: &CaseId) -> Option<&Case> {
        let mut case = self.cases.get(id)?;
        while let Some(into) = &case.merged_into {
            case = &self.cases[into];
        }
        Some(case)
    }

    /// Does its author take part in the case?
    fn takes_part(&self, case: &Case, message: &Message, denied: bool) -> bool {
        let Some(author) = message.author() else { return false };
        let bare = |address: &str| {
            let address = address.to_lowercase();
            let (local, domain) = address.split_once('@').unwrap_or((&address, ""));
            format!("{}@{domain}", local.split('+').next().unwrap())
        };
        let reporters = case.reporter.iter().chain(&case.further_reporters);
        let reporter = reporters.map(|one| bare(&one.address)).any(|one| one == bare(&author.address));
        (reporter || TEAM.contains(&author.address.to_lowercase().as_str()))
            && (!denied || matches!(message.signature, Signature::Good(_)))
    }

    fn facts(&self, message: &Message) -> Facts {
        let ids = thread::ids(message, &self.policy.desk);
        let judged = intake::judge(message, &self.policy, false);
        let of_a_server = judged.answers_a_mail
            && (judged.kind == Kind::Bounce || matches!(judged.sort, Some(Sort::Receipt | Sort::Complaint)));
        let named = message.returned.iter().flat_map(|returned| &returned.message_ids);
        let posting = |id: &String| self.letters.get(id).map(|letter| self.postings[letter].clone());
        let returned = named.chain(&ids).filter(|_| of_a_server).find_map(posting);
        let by_thread = ids.iter().find_map(|id| self.threads.get(id)).cloned();
        let copied = if by_thread.is_none() { self.copied(message) } else { None };
        let case = by_thread.or_else(|| returned.as_ref()?.case.clone());
        let case = case.and_then(|id| self.followed(&id)).cloned();
        let author = message.author().map(Mailbox::identity).unwrap_or_default();
        let own = message.author().is_some_and(|author| self.policy.is_own(&author.address));
        let seen = |one: &Ciphertext| Some((self.sightings.get(&one.id)?.clone(), one.by_author));
        let (case, copy_of) = match (case, copied) {
            (None, Some((case, copied))) => (Some(case), Some(copied)),
            (case, _) => (case, None),
        };
        Facts {
            case,
            copy_of,
            named: thread::named(message, &self.policy).map(|id| CaseId::typed(&id)),
            returned,
            answers_the_desk: ids.iter().filter_map(posting).any(|letter| letter.case.is_none()),
            answers_a_relay: ids.iter().filter_map(posting).any(|letter| letter.kind == LetterKind::Relay),
            own_letter: own && message.message_id.as_ref().is_some_and(|id| self.letters.contains_key(id)),
            remembered: self.certificates.get(&author).cloned().unwrap_or_default(),
            sightings: message.ciphertexts.iter().filter_map(seen).collect(),
            answered: Answered {
                address_today: self.answered.get(&author).copied().unwrap_or_default(),
                ..Answered::default()
            },
            next_number: u32::try_from(self.cases.len()).unwrap() + 1,
            roster: self.policy.distributors.address.as_ref().map(|_| {
                let members = self.members.values().cloned().collect();
                Arc::new(Roster { members, ..Roster::default() })
            }),
            token: "0".repeat(32),
            ..Facts::default()
        }
    }

    /// The case that has a mail of the same author, id and text, and that mail.
    fn copied(&self, message: &Message) -> Option<(Case, Digest)> {
        let case = self.followed(self.threads.get(message.message_id.as_ref()?)?)?;
        let mut mails = case.mails.iter().filter_map(|mail| self.mails.get(&mail.mail));
        let same = mails.find(|mail| {
            let same_author =
                mail.author().map(Mailbox::canonical) == message.author().map(Mailbox::canonical);
            mail.message_id == message.message_id
                && same_author
                && !mail.text.is_empty()
                && message.text.contains(&mail.text)
        })?;
        Some((case.clone(), same.digest.clone()))
    }

    /// Lets what was decided become history. Every tenth letter or so cannot be sealed.
    fn happens(&mut self, decision: Decision) {
        for event in decision.events {
            self.fold(event);
        }
        for letter in decision.letters {
            self.count += 1;
            let (id, kind, to, case) =
                (letter.id.clone(), letter.kind(), letter.to.clone(), letter.case().cloned());
            let mail = letter.occasion().map(|occasion| occasion.about.digest.clone());
            let what = if self.count.is_multiple_of(11) {
                let reason = "no certificate".to_owned();
                What::LetterHeld {
                    letter: id,
                    kind,
                    to,
                    reason,
                    mail,
                    withheld: false,
                    text: None,
                    copy: None,
                }
            } else {
                let message_id = thread::message_id(&format!("{:032x}", self.count), &self.policy.desk);
                let bytes = named(self.count);
                What::LetterQueued { letter: id, kind, to, message_id, bytes, mail, text: None, copy: None }
            };
            self.fold(Event { at: self.now, case, what });
        }
    }

    fn fold(&mut self, event: Event) {
        if let Some(letter) = event.what.letter() {
            match self.postings.get_mut(letter) {
                Some(posting) => posting.apply(&event),
                None => drop(self.postings.insert(letter.clone(), Posting::begin(&event).unwrap())),
            }
        }
        if let What::CertificateSeen { address, certificate, .. } = &event.what {
            self.certificates.entry(address.clone()).or_default().push(certificate.clone());
        }
        if let What::Member { member: id, .. } = &event.what {
            match self.members.get_mut(id) {
                Some(member) => member.apply(&event),
                None => drop(self.members.insert(id.clone(), Member::begin(&event).expect("it begins"))),
            }
        }
        let Some(id) = event.case.clone() else { return };
        match &event.what {
            What::CaseMerged { into, by } => {
                let from = self.cases[&id].clone();
                self.cases.get_mut(into).unwrap().absorb(&from, event.at, by);
            }
            What::MailMoved { message_id, to, .. } => {
                self.threads.extend(message_id.iter().map(|id| (id.clone(), to.clone())));
            }
            What::MailRecorded { mail, from, message_id, ciphertexts, .. } => {
                if let Some(message_id) = message_id {
                    self.threads.entry(message_id.clone()).or_insert_with(|| id.clone());
                }
                for ciphertext in ciphertexts {
                    let (mail, from) = (mail.clone(), from.clone());
                    let sighting = || Sighting { mail, case: Some(id.clone()), from };
                    self.sightings.entry(ciphertext.clone()).or_insert_with(sighting);
                }
            }
            What::LetterQueued { letter, message_id, kind, to, .. } => {
                self.threads.insert(message_id.clone(), id.clone());
                self.letters.insert(message_id.clone(), letter.clone());
                if *kind == LetterKind::Acknowledgement {
                    *self.acknowledged.entry(id.clone()).or_default() += 1;
                }
                if matches!(kind, LetterKind::Acknowledgement | LetterKind::Status | LetterKind::Membership) {
                    *self.answered.entry(to.identity()).or_default() += 1;
                }
            }
            _ => {}
        }
        match self.cases.get_mut(&id) {
            Some(case) => case.apply(&event),
            None => drop(self.cases.insert(id, Case::open(&event).expect("its first event opens it"))),
        }
    }

    fn posting(&self, index: &Index) -> Option<Posting> {
        let postings: Vec<&Posting> = self.postings.values().collect();
        (!postings.is_empty()).then(|| (*index.get(&postings)).clone())
    }

    fn case(&self, index: &Index) -> Option<Case> {
        let cases: Vec<&Case> = self.cases.values().collect();
        (!cases.is_empty()).then(|| (*index.get(&cases)).clone())
    }

    /// The same facts and input give the same decision, and whatever it is, the laws of all letters hold.
    fn decides(&self, facts: &Facts, input: &Input) -> Result<Decision, TestCaseError> {
        let decision = decide(facts, input, &self.policy, self.now);
        prop_assert_eq!(&decide(facts, input, &self.policy, self.now), &decision);
        for letter in &decision.letters {
            self.assert_confidential(letter)?;
            let author = match (letter.kind(), input) {
                // it is about no mail, and answers one
                (LetterKind::Membership, Input::Mail { message, .. }) => message.author(),
                _ => letter.occasion().and_then(|occasion| occasion.about.author()),
            };
            let to = letter.to.canonical();
            let of_the_team = self.policy.people.iter().any(|person| person.mailbox.canonical() == to);
            prop_assert!(of_the_team || author.is_some_and(|author| author.canonical() == to), "to {to}");
        }
        // what nobody but the desk could open stays out of the journal
        if let Input::Mail { message, .. } = input
            && message.subject_is_secret
        {
            // but for what an organisation says of itself, so that it stands on the list
            let of_the_list = |event: &&Event| matches!(event.what, What::Member { .. });
            let events: Vec<&Event> = decision.events.iter().filter(|event| !of_the_list(event)).collect();
            prop_assert!(!serde_json::to_string(&events).unwrap().contains(CANARY));
        }
        Ok(decision)
    }

    /// What carries anything of a report is encrypted.
    fn assert_confidential(&self, letter: &Letter) -> Result<(), TestCaseError> {
        let said = match &letter.body {
            Body::Acknowledgement(_, body) => serde_json::to_string(body).unwrap(),
            Body::Status(_, body) => serde_json::to_string(body).unwrap(),
            Body::Membership(_, body) => {
                let encrypted = letter.protection == Protection::Encrypted;
                prop_assert_eq!(encrypted, !body.certificates.is_empty());
                prop_assert!(encrypted || (body.token.is_none() && body.member.is_empty()), "others read it");
                serde_json::to_string(body).unwrap()
            }
            // what a person writes to the reporter is as confidential as the report was
            Body::Answer(occasion, _) if !occasion.about.came_encrypted() => String::new(),
            Body::Answer(..)
            | Body::Relay(..)
            | Body::Warning(_)
            | Body::Digest(_)
            | Body::Note(..)
            | Body::Results(..)
            | Body::Reminder(..)
            | Body::Notice(..)
            | Body::Proposal(..) => CANARY.to_owned(),
        };
        prop_assert!(letter.protection == Protection::Encrypted || !said.contains(CANARY), "{said}");
        prop_assert!(letter.to.name.is_none(), "nothing that a stranger wrote is in its header");
        Ok(())
    }

    fn mail(&mut self, written: Written) -> Result<(), TestCaseError> {
        let (message, denied) = self.arriving(written);
        let facts = self.facts(&message);
        let input = Input::Mail { message: Arc::clone(&message), received_at: self.now };
        let decision = self.decides(&facts, &input)?;
        let recorded: Vec<&Event> =
            decision.events.iter().filter(|event| matches!(event.what, What::MailRecorded { .. })).collect();
        prop_assert_eq!(recorded.len(), 1, "nothing is dropped, nothing is there twice");
        let What::MailRecorded { mail, pending, .. } = &recorded[0].what else { unreachable!() };
        prop_assert_eq!(mail, &message.digest);

        let answers: Vec<&Letter> =
            decision.letters.iter().filter(|letter| letter.kind() != LetterKind::Relay).collect();
        prop_assert!(answers.len() <= 1 || message.author().is_none());
        for answer in &answers {
            prop_assert!(message.return_path != ReturnPath::Null);
            prop_assert!(message.marks.auto_submitted.as_deref().is_none_or(|auto| auto == "no"));
            let own_list = !self.policy.own_lists.is_empty() && message.marks.list_ids == [OWN_LIST];
            prop_assert!(message.marks.list.is_empty() || own_list);
            prop_assert!(message.marks.report.is_none() && message.marks.robots.is_empty());
            prop_assert!(!answer.to.canonical().starts_with("security"), "from ourselves");
        }
        let foreign = facts.sightings.iter().any(|(sighting, by_author)| {
            let same = message.author().is_some_and(|author| {
                sighting.from.as_ref().is_some_and(|from| from.address.eq_ignore_ascii_case(&author.address))
            });
            !by_author && !same
        });
        prop_assert!(!foreign || answers.is_empty(), "somebody else's ciphertext");

        // who names one of our letters has it
        let of_a_server = facts.returned.is_some();
        let stranger = facts.case.as_ref().is_some_and(|case| !self.takes_part(case, &message, denied));
        if stranger {
            prop_assert_eq!(*pending, !of_a_server && !facts.own_letter);
            prop_assert!(answers.is_empty(), "a stranger hears nothing");
            prop_assert!(
                !decision.events.iter().any(|event| Case::open(event).is_some()),
                "nor opens a case"
            );
        } else {
            prop_assert!(!pending);
        }
        if *pending {
            let moves = |event: &&Event| {
                !matches!(
                    event.what,
                    What::MailRecorded { .. } | What::LetterHeld { kind: LetterKind::Relay, .. }
                )
            };
            let moved: Vec<&Event> = decision.events.iter().filter(moves).collect();
            prop_assert!(moved.is_empty(), "a stranger moves something: {moved:?}");
        }
        for letter in decision.letters.iter().filter(|letter| letter.kind() != LetterKind::Membership) {
            let occasion = letter.occasion().unwrap();
            prop_assert_eq!(
                &occasion.about.digest,
                &message.digest,
                "a letter is about the mail that caused it"
            );
            if let Body::Relay(_, relay) = &letter.body {
                let coordinator = self.policy.coordinators().any(|person| person.mailbox == letter.to);
                prop_assert!(coordinator && relay.pending == *pending && relay.withheld == foreign);
            }
        }
        self.mails.insert(message.digest.clone(), message);
        self.happens(decision);
        Ok(())
    }

    fn release(&mut self, posting: Posting) -> Result<(), TestCaseError> {
        let about = posting.about.as_ref().and_then(|mail| self.mails.get(mail)).cloned();
        let facts = Facts {
            case: posting.case.as_ref().and_then(|id| self.cases.get(id)).cloned(),
            ..Facts::default()
        };
        let (id, to) = (posting.id.clone(), posting.to.clone());
        let decision = self.decides(
            &facts,
            &Input::Release(Released { posting: Box::new(posting), about, text: None, member: None }),
        )?;
        for letter in &decision.letters {
            prop_assert_eq!(
                (&letter.id, &letter.to.canonical()),
                (&id, &to.canonical()),
                "it is the letter that was held"
            );
        }
        self.happens(decision);
        Ok(())
    }

    fn split(&mut self, case: Case, index: &Index) -> Result<(), TestCaseError> {
        let Some(mail) = (!case.mails.is_empty()).then(|| index.get(&case.mails).mail.clone()) else {
            return Ok(());
        };
        let message = Arc::clone(&self.mails[&mail]);
        let stays = |other: &CaseMail| {
            other.mail != mail && (other.pending || thread::tells_of_it(&case, other, &self.policy))
        };
        let only = !case.mails.iter().any(stays);
        let next_number = u32::try_from(self.cases.len()).unwrap() + 1;
        let command = Command::Split(mail.as_str().to_owned());
        let ordered = Ordered { mails: vec![message], ..ordered(command, &case) };
        let ordered = Some(Box::new(ordered));
        let facts = Facts { case: Some(case), next_number, ordered, ..Facts::default() };
        let decision = obey(&facts, &self.policy, self.now).unwrap_or_default().0;
        let kinds =
            |wanted: fn(&What) -> bool| decision.events.iter().filter(|event| wanted(&event.what)).count();
        let opened = kinds(|what| matches!(what, What::CaseOpened { .. }));
        let recorded = kinds(|what| matches!(what, What::MailRecorded { .. }));
        let moved = kinds(|what| matches!(what, What::MailMoved { .. }));
        prop_assert_eq!([opened, recorded, moved], [usize::from(!only); 3]);
        let relays_only = decision.letters.iter().all(|letter| letter.kind() == LetterKind::Relay);
        prop_assert!(relays_only, "its author is written to when a person says so");
        self.happens(decision);
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Mail(written) => self.mail(*written)?,
            Step::Delivery(letter, outcome) => {
                let Some(posting) = self.posting(&letter).filter(|posting| posting.bytes.is_some()) else {
                    return Ok(());
                };
                let words = "a server's words".to_owned();
                let outcome = match outcome {
                    0 => Outcome::Accepted(words),
                    1 => Outcome::Transient(words),
                    _ => Outcome::Permanent(words),
                };
                let decision = self
                    .decides(&Facts::default(), &Input::Delivery { posting: Box::new(posting), outcome })?;
                prop_assert!(decision.letters.is_empty() && decision.events.len() <= 1);
                self.happens(decision);
            }
            Step::Hold(letter) => {
                // a person stops whatever has not left
                let Some(posting) = self.posting(&letter) else { return Ok(()) };
                let reason = "a person's".to_owned();
                let decision =
                    self.decides(&Facts::default(), &Input::Hold { posting: Box::new(posting), reason })?;
                self.happens(decision);
            }
            Step::Release(letter) => {
                if let Some(posting) = self.posting(&letter) {
                    self.release(posting)?;
                }
            }
            Step::Merge(from, into) => {
                let (Some(from), Some(into)) = (self.case(&from), self.case(&into)) else { return Ok(()) };
                let into = self.followed(&into.id).unwrap().id.clone();
                let goes_on = self.cases.get(&into).cloned();
                let others = goes_on.iter().cloned().collect();
                let ordered = Ordered { others, goes_on, ..ordered(Command::Merge(into), &from) };
                let facts = Facts { ordered: Some(Box::new(ordered)), ..Facts::default() };
                let decision = obey(&facts, &self.policy, self.now).unwrap_or_default().0;
                prop_assert!(decision.letters.is_empty());
                self.happens(decision);
            }
            Step::Split(case, mail) => {
                if let Some(case) = self.case(&case).filter(|case| case.merged_into.is_none()) {
                    self.split(case, &mail)?;
                }
            }
            Step::Later(seconds) => self.now += SignedDuration::from_secs(seconds),
        }
        self.assert_lawful()
    }

    /// What holds at every moment.
    fn assert_lawful(&self) -> Result<(), TestCaseError> {
        for (id, case) in &self.cases {
            prop_assert!(
                self.acknowledged.get(id).is_none_or(|count| *count <= 1),
                "{id} is acknowledged once"
            );
            for (place, letter) in case.letters.iter().enumerate() {
                prop_assert_eq!(&letter.id, &LetterId::new(id, place + 1), "in order, without a gap");
                prop_assert_eq!(letter.state, self.postings[&letter.id].state);
            }
            let out = |letter: &&Posting| {
                letter.case.as_ref() == Some(id)
                    && letter.kind == LetterKind::Acknowledgement
                    && matches!(letter.state, LetterState::Active | LetterState::Deferred | LetterState::Sent)
            };
            prop_assert!(self.postings.values().filter(out).count() <= 1);
        }
        Ok(())
    }
}

/// One command about a case, as the command line gives it.
fn ordered(command: Command, case: &Case) -> Ordered {
    let order = Order { case: Some(case.id.clone()), commands: vec![command], ..Order::default() };
    Ordered { case: Some(case.clone()), ..Ordered::new(Ok(order), None) }
}

fn concern() -> impl Strategy<Value = Concern> {
    (0_usize..200, any::<bool>()).prop_map(|(number, public)| Concern {
        key: format!("key/{number}/{public}"),
        text: if public { format!("{number} expires") } else { format!("{CANARY} {number}") },
        public,
    })
}

fn line() -> impl Strategy<Value = Line> {
    Just(Line {
        at: "2026-11-20 23:00Z".to_owned(),
        case: None,
        kind: "report".to_owned(),
        from: None,
        subject: Some(CANARY.to_owned()),
        why: "list-id".to_owned(),
        release: None,
    })
}

/// Whatever a mail might say of itself.
fn anything() -> impl Strategy<Value = Message> {
    (any::<(Option<String>, String, Vec<String>, String)>(), "\\PC{0,200}", mail()).prop_map(
        |((subject, text, parents, address), more, written)| Message {
            subject,
            text: text + &more,
            parents,
            recipients: vec![address.clone()],
            from: vec![Mailbox::bare(address)],
            ..written.message
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_whatever_happens(policy in policy(), steps in vec(step(), 1..40)) {
        let mut model = Model::new(policy);
        for step in steps {
            model.step(step)?;
        }
    }

    /// The desk's own letters: to coordinators, and in the clear only what everybody may read.
    #[test]
    fn a_look_tells_nobody_what_is_not_for_him(
        policy in policy(),
        concerns in vec(concern(), 0..80),
        lines in vec(line(), 0..3),
        reachable in vec(select(TEAM.to_vec()), 0..3),
        desk_letters in 0_u32..100,
    ) {
        let reachable: BTreeSet<String> = reachable.into_iter().map(str::to_owned).collect();
        let facts = Facts {
            concerns,
            unanswered: Agenda {
                is_due: true,
                covered: lines.iter().map(|_| named(1)).collect(),
                daily: Daily { lines, ..Daily::default() },
            },
            reachable: reachable.iter().cloned().collect(),
            desk_letters,
            ..Facts::default()
        };
        let decision = decide(&facts, &Input::Look, &policy, start());
        for (place, letter) in decision.letters.iter().enumerate() {
            prop_assert!(policy.coordinators().any(|person| person.mailbox == letter.to));
            let number = desk_letters + u32::try_from(place).unwrap() + 1;
            prop_assert_eq!(&letter.id, &LetterId::of_desk("EX", number));
            let encrypted = letter.protection == Protection::Encrypted;
            prop_assert_eq!(encrypted, reachable.contains(&letter.to.canonical()));
            match &letter.body {
                Body::Warning(lines) => {
                    prop_assert!(!lines.is_empty() && lines.len() <= 51);
                    prop_assert!(encrypted || !lines.iter().any(|line| line.contains(CANARY)));
                }
                Body::Digest(daily) => prop_assert!(encrypted && **daily == facts.unanswered.daily),
                _ => prop_assert!(false, "a look writes of no case"),
            }
        }
        // what is noted as told was told
        let told = decision.events.iter().filter_map(|event| match &event.what {
            What::Told { concerns } => Some(concerns),
            _ => None,
        });
        let text_of = |key: &String| facts.concerns.iter().find(|concern| concern.key == *key).unwrap();
        let all_can = policy.coordinators().any(|person| reachable.contains(&person.mailbox.canonical()));
        for key in told.flatten() {
            prop_assert!(all_can || text_of(key).public, "{key} was told to nobody");
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(message in anything(), policy in policy(), in_thread in any::<bool>()) {
        let judged = intake::judge(&message, &policy, in_thread);
        prop_assert!(!(in_thread && judged.opens_case));
        words::read(message.subject.as_deref(), &message.text);
        words::delivery_failed(&message.text);
        report::read(&message, &policy);
        thread::asks_for_status(&message);
        thread::named(&message, &policy);
        thread::ids(&message, &policy.desk);
        let facts = Facts { next_number: 1, ..Facts::default() };
        let input = Input::Mail { message: Arc::new(message), received_at: start() };
        let decision = decide(&facts, &input, &policy, start());
        prop_assert!(!decision.events.is_empty());
    }
}
