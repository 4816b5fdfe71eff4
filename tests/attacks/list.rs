//! Ways to get on the distributors' list wrongly: each is refused, with its reason, and leaves the applicant as far from the list as
//! before.
//!
//! Acme Linux has applied and answered everything. Gnarl is on the list; Oldie is suspended, Gone is removed. Most of this is held
//! against the core alone; what the keyring and the store decide goes through a whole desk.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use psirtd::domain::application::{OnRoster, lacks, read};
use psirtd::domain::case::{Case, CaseId};
use psirtd::domain::decide::{Decision, Facts, Input, Offered, decide};
use psirtd::domain::distributor::{Challenge, Change, Criterion, Member, MemberId, Roster, State, Vouch};
use psirtd::domain::event::What;
use psirtd::domain::letter::{Body, Membership, Protection};
use psirtd::domain::message::{Digest, Mailbox, Message};
use psirtd::domain::policy::distributors::Distributors;
use psirtd::domain::policy::{Person, Policy, Role};
use psirtd::domain::signature::{Certificate, Signature, Source, Standing, Verified};
use psirtd::domain::trust::{AuthenticationResults, Border, Form, MethodResult, Trace, Verdict};

use crate::support::desk::{Desk, Letter};

const LIST: &str = "distributors@example.org";
const ACME: &str = "security@acme.example";
const GNARL: &str = "psirt@gnarl.example";
const WORDS: &str = "keyproof-00112233445566778899aabbccddeeff";
const ANSWERS: &str = "Organisation: Acme Linux\n\n1. a\n2. b\n3. c\n4. d\n5. e\n";
/// Whose key is good, and whose vouch is an active member's.
const ON_ROSTER: OnRoster = OnRoster { key: Ok(None), vouch_stands: true };

fn now() -> Timestamp {
    "2026-11-20T23:00:00Z".parse().unwrap()
}

fn policy() -> Policy {
    Policy {
        case_prefix: "EX".to_owned(),
        border: Some(Border {
            form: Form::Rfc8601(vec!["mx.example.org".to_owned()]),
            received_by: None,
            answer_failing: false,
        }),
        people: vec![Person { mailbox: Mailbox::bare("ada@example.org"), roles: vec![Role::Coordinator] }],
        distributors: Distributors { address: Some(LIST.to_owned()), ..Distributors::default() },
        ..Policy::new(Mailbox::bare("security@example.org"))
    }
}

fn certificate(of: &str) -> Certificate {
    Certificate { fingerprint: key(of), source: Source::Attached, armored: String::new() }
}

fn key(of: &str) -> String {
    format!("KEY-OF-{}", of.to_uppercase())
}

fn id(name: &str) -> MemberId {
    MemberId::typed(name).unwrap()
}

fn member(name: &str, address: &str, state: State) -> Member {
    let answer = |number| Criterion { number, evidence: "yes".to_owned(), reviewed: None };
    Member {
        addresses: vec![Mailbox::bare(address)],
        certificates: vec![certificate(name)],
        proven: vec![(key(name), now())],
        application: Some((CaseId::new("EX", 2026, 1), now())),
        criteria: (1..=5).map(answer).collect(),
        accepted: Some(("1".to_owned(), now())),
        ..Member::new(id(name), name.to_owned(), state, now())
    }
}

/// What the desk knows.
struct World {
    members: Vec<Member>,
    case: Case,
    used: bool,
    offered: Vec<Offered>,
}

/// What came of a mail.
struct Outcome {
    decision: Decision,
    members: Vec<Member>,
}

impl World {
    /// Acme lacks a vouch, and nothing else.
    fn new() -> Self {
        let mut case = None;
        let request = Message {
            from: vec![Mailbox::bare(ACME)],
            recipients: vec![LIST.to_owned()],
            message_id: Some("a-1@acme.example".to_owned()),
            ..Message::default()
        };
        let facts = Facts { next_number: 1, ..Facts::default() };
        let input = Input::Mail { message: Arc::new(request), received_at: now() };
        for event in decide(&facts, &input, &policy(), now()).events {
            match &mut case {
                None => case = Case::open(&event),
                Some(case) => case.apply(&event),
            }
        }
        let members = vec![
            member("acme", ACME, State::Applied),
            member("gnarl", GNARL, State::Active),
            member("gone", "security@gone.example", State::Removed),
            member("oldie", "security@oldie.example", State::Suspended),
        ];
        Self { members, case: case.unwrap(), used: false, offered: Vec::new() }
    }

    fn acme(&mut self) -> &mut Member {
        self.members.iter_mut().find(|member| member.id == id("acme")).unwrap()
    }

    /// Acme's key is not proven yet: the words are under way.
    fn challenged(mut self) -> Self {
        let acme = self.acme();
        acme.proven.clear();
        acme.challenge = Some(Challenge { fingerprint: key("acme"), token: WORDS.to_owned(), at: now() });
        acme.vouch =
            Some(Vouch { by: id("gnarl"), policy: "1".to_owned(), at: now(), mail: Digest::default() });
        self
    }

    /// A mail in the thread of the application, or of a new case.
    fn receives(&self, message: Message, in_thread: bool) -> Outcome {
        let facts = Facts {
            case: in_thread.then(|| self.case.clone()),
            roster: Some(Arc::new(self.roster())),
            token: "f".repeat(32),
            offered: self.offered.clone(),
            signature_used: self.used,
            next_number: 2,
            ..Facts::default()
        };
        let input = Input::Mail { message: Arc::new(message), received_at: now() };
        let decision = decide(&facts, &input, &policy(), now());
        let mut members = self.members.clone();
        for event in &decision.events {
            let What::Member { member: id, .. } = &event.what else { continue };
            match members.iter_mut().find(|member| member.id == *id) {
                Some(member) => member.apply(event),
                None => members.extend(Member::begin(event)),
            }
        }
        Outcome { decision, members }
    }

    fn roster(&self) -> Roster {
        let key = |member: &Member| {
            let proven = member.certificates.iter().any(|it| member.holds(&it.fingerprint));
            (member.id.clone(), if proven { Ok(None) } else { Err("it has no certificate".to_owned()) })
        };
        Roster { members: self.members.clone(), keys: self.members.iter().map(key).collect() }
    }
}

impl Outcome {
    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id(name))
    }

    /// What Ada reads.
    fn told(&self) -> String {
        let relays = self.decision.letters.iter().filter_map(|letter| match &letter.body {
            Body::Relay(_, relay) => Some((letter, relay)),
            _ => None,
        });
        let forms = relays.map(|(letter, relay)| {
            assert_eq!(
                (letter.protection, letter.to.address.as_str()),
                (Protection::Encrypted, "ada@example.org")
            );
            relay.form.join("\n")
        });
        forms.collect::<Vec<_>>().join("\n")
    }

    /// The letter that the author gets, and to whom it is encrypted.
    fn answer(&self) -> Option<&Membership> {
        let answers = self.decision.letters.iter().filter_map(|letter| match &letter.body {
            Body::Membership(_, body) => Some((letter, body.as_ref())),
            _ => None,
        });
        let answers: Vec<_> = answers.collect();
        assert!(answers.len() <= 1);
        let (letter, body) = answers.first()?;
        let encrypted = letter.protection == Protection::Encrypted;
        assert_eq!(encrypted, !body.certificates.is_empty());
        assert!(body.token.is_none() || encrypted, "the words of a challenge in the clear");
        Some(body)
    }

    fn opens_a_case(&self) -> bool {
        self.decision.events.iter().any(|event| matches!(event.what, What::CaseOpened { .. }))
    }

    /// Acme is as it was: nobody vouches for it, and it cannot be approved.
    #[track_caller]
    fn is_not_vouched(&self, why: &str) {
        let acme = self.member("acme").unwrap();
        assert_eq!(acme.vouch, None);
        let lacks = lacks(acme, &policy().distributors, &ON_ROSTER);
        assert_eq!(lacks, ["nobody has vouched for it"]);
        assert!(self.told().contains("IS REFUSED"), "{}", self.told());
        assert!(self.told().contains(why), "{}", self.told());
        let refused = self.decision.events.iter().any(|event| {
            matches!(&event.what, What::Commanded { refused: Some(reason), .. } if reason.contains(why))
        });
        assert!(refused, "it stands in the case's story: {:?}", self.decision.events);
    }

    /// The key of the applicant is as little proven as before.
    #[track_caller]
    fn is_not_proven(&self, why: &str) {
        let acme = self.member("acme").unwrap();
        assert_eq!(acme.proven, []);
        assert_eq!(acme.challenge.as_ref().map(|challenge| challenge.token.as_str()), Some(WORDS));
        let lacks = lacks(acme, &policy().distributors, &ON_ROSTER);
        assert_eq!(lacks, ["it has not shown that it holds the key of a certificate"]);
        assert!(self.told().contains(&format!("THE KEY IS NOT PROVEN: {why}")), "{}", self.told());
        assert_eq!(self.answer(), None, "whoever tries hears nothing");
    }
}

fn good(of: &str) -> Signature {
    good_at(of, now())
}

fn good_at(of: &str, at: Timestamp) -> Signature {
    Signature::Good(Verified::mint(key(of), Standing::Pinned, at, Digest::from_bytes(&[9; 32]), false))
}

fn mail(from: &str, text: &str, signature: Signature) -> Message {
    Message {
        digest: Digest::from_bytes(&[7; 32]),
        from: vec![Mailbox::bare(from)],
        recipients: vec!["security@example.org".to_owned()],
        message_id: Some("x-1@example.net".to_owned()),
        text: text.to_owned(),
        signature,
        ..Message::default()
    }
}

fn vouch(from: &str, signature: Signature) -> Message {
    mail(from, "vouch acme 1\n\nThey are good people.\n", signature)
}

/// What the attacks below are measured against.
#[test]
fn an_honest_vouch_and_an_honest_proof_count() {
    let done = World::new().receives(vouch(GNARL, good("gnarl")), true);
    assert_eq!(done.member("acme").unwrap().vouch.as_ref().unwrap().by, id("gnarl"));
    assert_eq!(lacks(done.member("acme").unwrap(), &policy().distributors, &ON_ROSTER), Vec::<String>::new());
    assert_eq!(done.member("acme").unwrap().state, State::Applied, "a coordinator approves");
    assert_eq!(done.answer().unwrap().topic, "vouch");
    assert!(!done.opens_a_case());

    let proof = mail(ACME, &format!("Here:\n{WORDS}\n\n> quoted\n"), good("acme"));
    let done = World::new().challenged().receives(proof, true);
    assert!(done.member("acme").unwrap().holds(&key("acme")));
    assert_eq!(done.member("acme").unwrap().challenge, None);
    let used =
        done.decision.events.iter().any(
            |event| matches!(&event.what, What::Member { change, .. } if !change.signatures().is_empty()),
        );
    assert!(used, "the signature is used up");
}

#[test]
fn nobody_vouches_for_himself() {
    let done = World::new().receives(vouch(ACME, good("acme")), true);
    done.is_not_vouched("nobody vouches for the own organisation");
    assert_eq!(done.answer().unwrap().topic, "vouch-refused");

    // an applicant for another one
    let mut world = World::new();
    world.members.push(member("bold", "security@bold.example", State::Applied));
    let done = world.receives(vouch("security@bold.example", good("bold")), true);
    done.is_not_vouched("whoever vouches is no active member (applied)");
}

#[test]
fn the_same_organisation_does_not_vouch() {
    let mut world = World::new();
    world.members.push(member("other", "psirt@eu.acme.example", State::Active));
    let same_domain = world.receives(vouch("psirt@eu.acme.example", good("other")), true);
    same_domain.is_not_vouched("another organisation has to vouch: it is of the same domain, acme.example");
    assert!(same_domain.answer().unwrap().lines[0].contains("another organisation has to vouch"));

    let same_name =
        Member { organisation: "ACME, Inc.".to_owned(), ..member("b", "psirt@b.example", State::Active) };
    world.members.push(same_name);
    let done = world.receives(vouch("psirt@b.example", good("b")), true);
    done.is_not_vouched("an organisation of the same name");

    let mut same_key = member("c", "psirt@c.example", State::Active);
    same_key.certificates.push(certificate("acme"));
    world.members.push(same_key);
    world.receives(vouch("psirt@c.example", good("c")), true).is_not_vouched("the same certificate");
}

#[test]
fn a_vouch_is_used_once() {
    let world = World { used: true, ..World::new() };
    world.receives(vouch(GNARL, good("gnarl")), true).is_not_vouched("its signature has been used");
    let old = good_at("gnarl", now() - SignedDuration::from_hours(25));
    World::new().receives(vouch(GNARL, old), true).is_not_vouched("it was signed 25 hours before it arrived");
    let elsewhere = Message {
        signed_recipients: Some(vec!["security@other.example".to_owned()]),
        ..vouch(GNARL, good("gnarl"))
    };
    World::new().receives(elsewhere, true).is_not_vouched("it was written to somebody else than this desk");
}

#[test]
fn a_vouch_is_bound_to_the_policy_in_force() {
    let other = mail(GNARL, "vouch acme 2\n", good("gnarl"));
    World::new()
        .receives(other, true)
        .is_not_vouched("it is for another version of the embargo policy than 1");
    // and one that was given under an earlier version does not outlive it
    let done = World::new().receives(vouch(GNARL, good("gnarl")), true);
    let newer = Distributors { policy: "2".to_owned(), ..policy().distributors };
    let lacking = lacks(done.member("acme").unwrap(), &newer, &ON_ROSTER);
    let expected = [
        "the vouch is for version 1 of the embargo policy, not 2",
        "it has accepted version 1 of the embargo policy, and 2 is in force",
    ];
    assert_eq!(lacking, expected);
}

#[test]
fn whoever_is_suspended_or_removed_does_not_vouch_and_hears_nothing() {
    for (name, state) in [("oldie", "suspended"), ("gone", "removed")] {
        let from = format!("security@{name}.example");
        let done = World::new().receives(vouch(&from, good(name)), true);
        done.is_not_vouched(&format!("whoever vouches is no active member ({state})"));
        assert_eq!(done.answer(), None, "{name}");
    }
}

#[test]
fn a_domain_is_no_signature() {
    // the border says that it is Gnarl's, and that changes nothing: no signature, no word
    let dmarc = MethodResult {
        method: "dmarc".to_owned(),
        result: "pass".to_owned(),
        properties: vec![("header.from".to_owned(), "gnarl.example".to_owned())],
    };
    let field = AuthenticationResults {
        authserv_id: Some("mx.example.org".to_owned()),
        results: vec![dmarc],
        broken: false,
    };
    let unsigned = Message { trace: vec![Trace::Results(field)], ..vouch(GNARL, Signature::None) };
    let done = World::new().receives(unsigned, true);
    done.is_not_vouched("it is not signed");
    let passes = done.decision.events.iter().any(|event| {
        let What::MailRecorded { trust: Some(trust), .. } = &event.what else { return false };
        trust.verdict == Verdict::Pass
    });
    assert!(passes);
    let partial = Signature::Partial { signer: Some(key("gnarl")) };
    World::new()
        .receives(vouch(GNARL, partial), true)
        .is_not_vouched("its signature is not over the whole mail");
}

#[test]
fn the_key_of_somebody_else_does_not_vouch() {
    let signed = |signature| World::new().receives(vouch(GNARL, signature), true);
    let by = || key("acme");
    signed(Signature::OtherAddress { signer: by() })
        .is_not_vouched("signed by somebody else than its author");
    signed(Signature::UnknownKey { signer: Some(by()) }).is_not_vouched("by a key that is not its author's");
    // a certificate that the desk remembers for the address, and that was never proven
    signed(good("acme")).is_not_vouched("signed by another certificate than the one that is proven");
    let offered = Signature::Offered { signer: by() };
    signed(offered).is_not_vouched("signed by another certificate than the one that is proven");
    let lapsed = Verified::mint(key("gnarl"), Standing::Pinned, now(), Digest::from_bytes(&[9; 32]), false);
    signed(Signature::Good(lapsed.by_a_lapsed_key(true))).is_not_vouched("its key is expired or revoked");
}

#[test]
fn whoever_does_not_wait_is_not_vouched_for_and_nobody_learns_who_is_on_the_list() {
    let mut world = World::new();
    world.members.push(member("known", "security@known.example", State::Active));
    let lines = |named: &str| {
        let done = world.receives(mail(GNARL, &format!("vouch {named} 1\n"), good("gnarl")), false);
        done.is_not_vouched(named);
        let told = done.answer().unwrap().lines.join("\n");
        assert!(done.member(named).is_none_or(|member| member.vouch.is_none()));
        told.replace(named, "NAMED")
    };
    let unknown = lines("nobody");
    assert_eq!(unknown, "no organisation of the name NAMED waits to be vouched for");
    for named in ["known", "oldie", "gone"] {
        assert_eq!(lines(named), unknown, "{named}");
    }
}

#[test]
fn a_vouch_for_one_does_not_serve_another() {
    let mut world = World::new();
    world.members.push(member("bold", "security@bold.example", State::Applied));
    // in Acme's thread, and for Bold
    let done = world.receives(mail(GNARL, "vouch bold 1\n", good("gnarl")), true);
    assert_eq!(done.member("acme").unwrap().vouch, None);
    assert!(done.member("bold").unwrap().vouch.is_some());
    // the words below the first line are nobody's vouch
    let both = mail(GNARL, "vouch bold 1\nvouch acme 1\n", good("gnarl"));
    assert_eq!(world.receives(both, true).member("acme").unwrap().vouch, None);
    // nor what is quoted
    let quoted = mail(GNARL, "No!\n\n> vouch acme 1\n", good("gnarl"));
    assert_eq!(world.receives(quoted, true).member("acme").unwrap().vouch, None);
}

#[test]
fn a_stranger_does_not_vouch() {
    let done = World::new().receives(vouch("mallory@mallory.example", good("mallory")), false);
    assert!(done.opens_a_case(), "a person looks at it");
    assert!(done.told().contains("a vouch by somebody who is not on the list"), "{}", done.told());
    assert_eq!(done.member("acme").unwrap().vouch, None);
    assert_eq!(done.answer(), None);
}

#[test]
fn a_challenge_is_answered_by_the_key_that_it_asks_for() {
    let proof = |from: &str, text: &str, signature| {
        World::new().challenged().receives(mail(from, text, signature), true)
    };
    let words = format!("{WORDS}\n");
    proof(ACME, &words, Signature::None).is_not_proven("it is not signed");
    proof(ACME, &words, good("gnarl")).is_not_proven("it is signed by another certificate");
    proof(ACME, &words, Signature::OtherAddress { signer: key("gnarl") })
        .is_not_proven("it is signed by somebody else");
    let older = "keyproof-ffffffffffffffffffffffffffffffff\n";
    proof(ACME, older, good("acme")).is_not_proven("the words are those of an older challenge");
    let used = World { used: true, ..World::new().challenged() };
    used.receives(mail(ACME, &words, good("acme")), true).is_not_proven("its signature has been used");

    // the words of somebody else's
    let mut world = World::new().challenged();
    let mut bold = member("bold", "security@bold.example", State::Applied);
    let theirs = "keyproof-abababababababababababababababab";
    bold.challenge = Some(Challenge { fingerprint: key("bold"), token: theirs.to_owned(), at: now() });
    world.members.push(bold);
    let done = world.receives(mail(ACME, theirs, good("acme")), true);
    done.is_not_proven("the words are those of somebody else's challenge");

    // quoted, they are nobody's word: a program that answers for somebody who is away quotes, too
    let quoted = proof(ACME, &format!("I am away.\n\n> {WORDS}\n"), good("acme"));
    assert_eq!(quoted.member("acme").unwrap().proven, []);
    let html = Message { reads_html: true, ..mail(ACME, &words, good("acme")) };
    World::new().challenged().receives(html, true).is_not_proven("in HTML");

    // by a stranger, who knows the words, and in another thread
    let stranger = proof("mallory@mallory.example", &words, good("mallory"));
    assert_eq!(stranger.member("acme").unwrap().proven, []);
    let outside = World::new().challenged().receives(mail(ACME, &words, Signature::None), false);
    assert_eq!(outside.member("acme").unwrap().proven, []);
}

/// Who has proven a key does not lose it to whoever writes in his name.
#[test]
fn a_proven_key_makes_no_room_for_another() {
    let mut world = World::new();
    world.offered = vec![Offered { fingerprint: key("mallory"), certificate: Ok(certificate("mallory")) }];
    let done = world.receives(mail(ACME, "Use this one.\n", Signature::None), true);
    assert_eq!(done.member("acme").unwrap().certificates, [certificate("acme")]);
    assert_eq!(done.answer(), None);
    assert!(
        done.told().contains("it holds a proven one, and this mail is not signed by that"),
        "{}",
        done.told()
    );
    let signed = world.receives(mail(ACME, "Use this one.\n", good("acme")), true);
    assert_eq!(signed.answer().unwrap().certificates, [certificate("mallory")], "to that one alone");
}

fn request(from: &str, text: &str) -> Message {
    let recipients = vec![LIST.to_owned()];
    Message { recipients, ..mail(from, text, Signature::None) }
}

#[test]
fn a_personal_address_is_said_to_be_one() {
    let world = World { members: Vec::new(), ..World::new() };
    for (from, why) in [
        ("lena@acme.example", "personal address: nothing in it says that a role reads it"),
        ("security@gmail.com", "personal address: gmail.com gives addresses to everybody"),
    ] {
        let done = world.receives(request(from, ANSWERS), false);
        let [member] = done.members.as_slice() else { panic!("one application") };
        assert!(lacks(member, &policy().distributors, &ON_ROSTER).contains(&why.to_owned()));
        assert!(done.told().contains(&format!("{from}: {why}")), "{}", done.told());
        assert!(done.answer().unwrap().lines.iter().any(|line| line.contains(why)));
    }
}

#[test]
fn the_criteria_pasted_are_no_answers() {
    let criteria = policy().distributors.criteria;
    let pasted: Vec<String> =
        criteria.iter().zip(1..).map(|(it, number)| format!("{number}. {}", it.text)).collect();
    let text = format!("Organisation: Acme Linux\n\n{}\n", pasted.join("\n"));
    let world = World { members: Vec::new(), ..World::new() };
    let done = world.receives(request(ACME, &text), false);
    let [member] = done.members.as_slice() else { panic!("one application") };
    assert_eq!(member.criteria, []);
    let lacking = lacks(member, &policy().distributors, &ON_ROSTER);
    for number in 1..=5 {
        assert!(lacking.contains(&format!("criterion {number} is not answered")), "{lacking:?}");
        assert!(done.answer().unwrap().lines[number - 1].contains("MISSING"));
    }
    assert_eq!(read(&request(ACME, &text), &policy().distributors).missing, [1, 2, 3, 4, 5]);
}

/// Who applies under the name of a member gets another one, and a person is told.
#[test]
fn a_name_that_is_taken_is_nobody_elses() {
    let mut world = World::new();
    world.members.retain(|member| member.id != id("acme"));
    let gnarl = world.members[0].clone();
    let done = world.receives(request("security@evil.example", "Organisation: Gnarl\n"), false);
    assert_eq!(done.member("gnarl").unwrap(), &gnarl);
    // a number behind the name would tell the applicant that somebody has it
    assert_eq!(done.member("evil-example").unwrap().state, State::Applied);
    let of_its_domain = world.receives(request("security@gnarl.example", "Organisation: Gnarl\n"), false);
    assert_eq!(of_its_domain.member("gnarl-2").unwrap().state, State::Applied);
    assert!(done.told().contains("IT CLAIMS THE NAME of gnarl (active)"), "{}", done.told());
    assert!(!done.answer().unwrap().lines.join("").contains("gnarl"), "and nobody else is");
}

/// A member that writes to the list's address, or whoever writes in its name, does not begin anew.
#[test]
fn whoever_is_on_the_list_does_not_apply() {
    for from in [GNARL, "security@oldie.example", ACME] {
        let world = World::new();
        let done = world.receives(request(from, ANSWERS), false);
        assert_eq!(done.members, world.members, "{from}");
        assert_eq!(done.answer(), None, "{from}");
    }
}

/// What somebody else encrypted is not told to whoever sends it on, under a key of his own.
#[test]
fn a_ciphertext_that_is_sent_on_tells_nothing() {
    use psirtd::domain::message::Encryption;
    let mut world = World { members: Vec::new(), ..World::new() };
    world.offered = vec![Offered { fingerprint: key("mallory"), certificate: Ok(certificate("mallory")) }];
    let stolen = Message {
        encryption: Encryption::Whole,
        decrypted: true,
        ..request("psirt@mallory.example", ANSWERS)
    };
    let told = serde_json::to_string(world.receives(stolen.clone(), false).answer().unwrap()).unwrap();
    assert!(!told.contains("Acme") && !told.contains("acme") && !told.contains("answered"), "{told}");
    let own = Message { signature: Signature::Offered { signer: key("mallory") }, ..stolen };
    let told = serde_json::to_string(world.receives(own, false).answer().unwrap()).unwrap();
    assert!(told.contains("Acme Linux") && told.contains("answered"), "{told}");
}

// ---- through a whole desk

fn desk() -> Desk {
    Desk::builder().toml(&format!("[distributors]\naddress = \"{LIST}\"\n")).open()
}

fn with_key(key: &str, from: &str, id: &str) -> String {
    format!(
        "From: {from}\nTo: {LIST}\nSubject: Joining\nMessage-ID: <{id}@acme.example>\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n{ANSWERS}\n--b\n\
         Content-Type: application/pgp-keys\n\n{key}\n--b--\n"
    )
}

/// What Ada reads of it; and the answer, which asks for a key and has no words to prove one.
#[track_caller]
fn is_not_taken(desk: &Desk, mail: &str, why: &str) {
    desk.receives(mail);
    let letters = desk.letters();
    let of = |kind: &str| letters.iter().find(|letter| letter.kind == kind).map(Letter::text);
    let relay = of("relay").unwrap();
    assert!(relay.contains("NOT TAKEN, certificate") && relay.contains(why), "{relay}");
    assert!(relay.contains("no OpenPGP certificate"), "{relay}");
    let answer = of("membership").unwrap();
    assert!(answer.contains("NEEDED: your OpenPGP certificate") && !answer.contains("keyproof-"), "{answer}");
}

#[test]
fn the_key_of_somebody_else_is_not_taken() {
    let desk = desk();
    desk.makes_a_key("Mallory <mallory@mallory.example>");
    let mallorys = desk.exported("mallory@mallory.example");
    is_not_taken(
        &desk,
        &with_key(&mallorys, ACME, "a-1"),
        "none of its user ids is that of security@acme.example",
    );
    let adas = desk.exported("ada@example.org");
    is_not_taken(
        &desk,
        &with_key(&adas, "psirt@bold.example", "b-1"),
        "the configuration holds it for somebody else",
    );
}

/// Bold's key bears Acme's address, too, and Acme has offered it first.
#[test]
fn the_key_of_another_applicant_is_not_taken() {
    let mut world = World::new();
    world.offered = vec![Offered { fingerprint: key("gnarl"), certificate: Ok(certificate("gnarl")) }];
    let done = world.receives(request("security@bold.example", "Organisation: Bold\n"), false);
    assert_eq!(done.member("bold").unwrap().certificates, []);
    assert!(done.told().contains("it is that of gnarl (active)"), "{}", done.told());
    let answer = done.answer().unwrap();
    assert!(answer.asks_key && answer.token.is_none());
    assert!(!answer.lines.join("").contains("gnarl"), "whose it is, is nobody's business");
}

/// Gnarl, with a key that GnuPG has from now on, is put on the list.
fn gnarl_joins(desk: &Desk) {
    let gnarl = desk.makes_a_key("Gnarl PSIRT <psirt@gnarl.example>");
    let held =
        Certificate { fingerprint: gnarl.clone(), source: Source::Roster, armored: desk.exported(GNARL) };
    let known = Member {
        certificates: vec![held],
        proven: vec![(gnarl, now())],
        application: None,
        ..member("gnarl", GNARL, State::Active)
    };
    desk.members_become([("gnarl", Change::Added { known: Box::new(known) })]);
}

/// The very bytes again, and in another mail: the store knows the signature.
#[test]
fn a_vouch_that_is_sent_again_does_not_count_for_who_applies_again() {
    let desk = desk();
    gnarl_joins(&desk);
    let apply = |number: u32| {
        desk.receives(&format!(
            "From: {ACME}\nTo: {LIST}\nMessage-ID: <a-{number}@acme.example>\n\n{ANSWERS}"
        ));
        desk.letters();
    };
    apply(1);
    let signed = desk.signed_orders(GNARL, GNARL, "", "vouch acme-linux 1\n");
    let relay = |mail: &str| {
        desk.receives(mail);
        desk.letters().iter().find(|letter| letter.kind == "relay").unwrap().text()
    };
    assert!(relay(&signed).contains("gnarl vouches for it"));
    // refused by a person, Acme applies again
    desk.members_become([("acme-linux", Change::Removed { why: None })]);
    apply(2);
    let again = signed.replace("<order-", "<again-");
    let told = relay(&again);
    assert!(told.contains("THE VOUCH OF gnarl IS REFUSED: its signature has been used"), "{told}");
    assert!(told.contains("NOBODY VOUCHES FOR IT YET"), "{told}");
}

/// Mallory writes under Gnarl's address, and signs with a key that says it is Gnarl's.
#[test]
fn a_key_that_says_it_is_a_members_does_not_vouch() {
    let desk = desk();
    gnarl_joins(&desk);
    desk.receives(&format!("From: {ACME}\nTo: {LIST}\nMessage-ID: <a-1@acme.example>\n\n{ANSWERS}"));
    desk.letters();
    let false_key = desk.makes_a_key("Gnarl PSIRT <psirt@gnarl.example>");
    desk.receives(&desk.signed_orders(GNARL, &false_key, "", "vouch acme-linux 1\n"));
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
    assert!(relay.contains("THE VOUCH OF gnarl IS REFUSED: it is signed by"), "{relay}");
    assert!(relay.contains("NOBODY VOUCHES FOR IT YET"), "{relay}");
    let told = letters.iter().find(|letter| letter.kind == "membership").unwrap();
    assert!(told.encrypted && told.text().contains("It does not count"), "{}", told.text());
}
