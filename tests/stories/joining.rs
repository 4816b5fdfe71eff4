//! An organisation asks to join the distributors' list: what it hears, what the coordinators see, who vouches for it.

use psirtd::domain::distributor::{Change, Member, MemberId, State};
use psirtd::domain::event::{Event, What};
use psirtd::domain::message::Mailbox;
use psirtd::domain::signature::{Certificate, Source};

use crate::support::desk::{Desk, Letter};

const CASE: &str = "EX-2026-0001";
const ACME: &str = "security@acme.example";
const GNARL: &str = "psirt@gnarl.example";
const ANSWERS: &str = "\
Organisation: Acme Linux

1. Acme Linux ships it since 2011: https://acme.example/packages
2. About 40000 users, few of them ours.
3. https://acme.example/security lists 120 advisories.
4. We build from source.
5. 40 patches last year.
";

fn desk() -> Desk {
    Desk::builder().toml("[distributors]\naddress = \"distributors@example.org\"\n").open()
}

/// A mail to the list in the clear.
fn request(from: &str, id: &str, text: &str) -> String {
    format!(
        "From: {from}\nTo: distributors@example.org\nSubject: We would like to join\nMessage-ID: <{id}@acme.example>\n\n{text}"
    )
}

/// The same with a key attached.
fn request_with_key(desk: &Desk, from: &str, key: &str, id: &str, text: &str) -> String {
    let key = desk.exported(key);
    format!(
        "From: {from}\nTo: distributors@example.org\nSubject: We would like to join\nMessage-ID: <{id}@acme.example>\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n{text}\n--b\n\
         Content-Type: application/pgp-keys; name=\"key.asc\"\nContent-Disposition: attachment; filename=\"key.asc\"\n\n{key}\n--b--\n"
    )
}

/// Encrypted to the desk, and signed by the key of `signer`, in the thread of a letter.
fn signed(desk: &Desk, from: &str, signer: &str, thread: &str, id: &str, text: &str) -> String {
    let outside = format!(
        "From: {from}\nTo: security@example.org\nSubject: ...\nMessage-ID: <{id}@{}>\nIn-Reply-To: {thread}\n",
        from.split('@').nth(1).unwrap()
    );
    let inside = format!("Content-Type: text/plain; charset=utf-8\n\n{text}");
    desk.encrypted_mail_to(&outside, &inside, "security@example.org", signer)
}

/// A member that is on the list for a year.
fn is_member(desk: &Desk, id: &str, organisation: &str, address: &str, fingerprint: &str) {
    let certificate = Certificate {
        fingerprint: fingerprint.to_owned(),
        source: Source::Roster,
        armored: desk.exported(address),
    };
    let since = "2025-11-20T23:00:00Z".parse().unwrap();
    let id = MemberId::typed(id).unwrap();
    let known = Member {
        addresses: vec![Mailbox::bare(address)],
        proven: vec![(fingerprint.to_owned(), since)],
        certificates: vec![certificate],
        accepted: Some(("1".to_owned(), since)),
        ..Member::new(id.clone(), organisation.to_owned(), State::Active, since)
    };
    let change = Box::new(Change::Added { known: Box::new(known) });
    let what = What::Member { member: id, change, by: "operator".to_owned() };
    desk.remembers(vec![Event { at: desk.now(), case: None, what }]);
}

fn read(letter: &Letter) -> String {
    let protection = if letter.encrypted { "encrypted" } else { "signed" };
    let subject = letter.protected("Subject").unwrap();
    format!("{} to {} ({protection})\nSubject: {subject}\n\n{}", letter.kind, letter.to, letter.text())
}

/// The lines of a relay that show the form.
fn form(letter: &Letter) -> String {
    assert_eq!(letter.kind, "relay");
    let text = letter.text();
    let lines = text.lines().skip_while(|line| !line.starts_with("Application:"));
    let mut form: Vec<&str> = Vec::new();
    for line in lines {
        if !form.is_empty() && !line.starts_with(' ') {
            break;
        }
        form.push(line.get(13..).unwrap_or_default());
    }
    form.join("\n")
}

fn token(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| line.starts_with("keyproof-"));
    line.expect("a challenge").to_owned()
}

#[test]
fn a_request_without_a_key_is_answered_in_the_clear_and_repeats_nothing() {
    let desk = desk();
    desk.receives(&request(
        "Lena Lead <security@acme.example>",
        "a-1",
        "Organisation: Acme Linux\n\n1. Secret words.\n",
    ));
    let letters = desk.letters();
    insta::assert_snapshot!(read(&letters[0]), @"
    membership to security@acme.example (signed)
    Subject: Auto: [EX-2026-0001] your application to our distributors' list

    Hello,

    thank you for asking to join our distributors' list. Your request is kept
    as case EX-2026-0001. This message was written by a machine; a person
    decides. This is what we understand so far:

      * (1) Be an active distributor of the project.
        answered; a person looks at it
      * (2) Have a user base that is not limited to your own organization.
        MISSING: please say how you meet it
      * (3) Have a publicly verifiable track record up to the present day of
        fixing security issues.
        MISSING: please say how you meet it
      * (4) Not be a downstream or rebuild of another distributor.
        MISSING: please say how you meet it
      * (5) Be a participant and active contributor in the community.
        MISSING: please say how you meet it
      * (6) Accept the Embargo Policy.
        met: your request is the acceptance
      * (7) Have someone who is already on the list vouch for the person
        requesting membership on behalf of your distribution.
        MISSING: somebody has to vouch for you, see below

    To answer a criterion, reply to this mail and put its number first:

        1. How you meet the first criterion, with links that show it.

    With your request you have accepted version 1 of our embargo policy.

    NEEDED: your OpenPGP certificate. What we send to the list is encrypted to
    each member alone. Please answer this mail and attach the public key of
    the address you write from. We then ask you to show that you hold it, and
    tell you what whoever vouches for you has to write.

    --
    Example Project Security
    security@example.org
    ");
    assert_eq!(letters[0].header("Auto-Submitted"), Some("auto-replied"));
    for secret in ["Acme Linux", "acme-linux", "Secret", "Lena"] {
        assert!(!String::from_utf8(letters[0].raw.clone()).unwrap().contains(secret), "{secret}");
    }
    insta::assert_snapshot!(form(&letters[1]), @"
    acme-linux (Acme Linux), applied since 2026-11-20
    1. Be an active distributor of the project. answered “Secret words.”
    2. Have a user base that is not limited to your own organization. MISSING
    3. Have a publicly verifiable track record up to the present day of fixing security issues. MISSING
    4. Not be a downstream or rebuild of another distributor. MISSING
    5. Be a participant and active contributor in the community. MISSING
    6. Accept the Embargo Policy. version 1, 2026-11-20
    7. Have someone who is already on the list vouch for the person requesting membership on behalf of your distribution. NOBODY VOUCHES FOR IT YET
    security@acme.example: role address
    no OpenPGP certificate
    lacks: criterion 2 is not answered; criterion 3 is not answered; criterion 4 is not answered; criterion 5 is not answered; nobody has vouched for it; it has not shown that it holds the key of a certificate
    ");
    assert_eq!(letters.len(), 2);
}

#[test]
fn from_the_request_to_the_form_that_lacks_nothing() {
    let desk = desk();
    let gnarl = desk.makes_a_key("Gnarl PSIRT <psirt@gnarl.example>");
    let acme = desk.makes_a_key("Acme Security <security@acme.example>");
    is_member(&desk, "gnarl", "Gnarl", GNARL, &gnarl);
    desk.receives(&request_with_key(&desk, ACME, ACME, "a-1", ANSWERS));
    let letters = desk.letters();
    assert!(letters[0].encrypted);
    let text = letters[0].text();
    let words = token(&text);
    insta::assert_snapshot!(read(&letters[0]).replace(&words, "[words]"), @"
    membership to security@acme.example (encrypted)
    Subject: Auto: [EX-2026-0001] your application to our distributors' list

    Hello,

    thank you for asking to join our distributors' list. Your request is kept
    as case EX-2026-0001. This message was written by a machine; a person
    decides. This is what we understand so far:

      Organisation: Acme Linux
      Name of your application: acme-linux

      * (1) Be an active distributor of the project.
        answered; a person looks at it
      * (2) Have a user base that is not limited to your own organization.
        answered; a person looks at it
      * (3) Have a publicly verifiable track record up to the present day of
        fixing security issues.
        answered; a person looks at it
      * (4) Not be a downstream or rebuild of another distributor.
        answered; a person looks at it
      * (5) Be a participant and active contributor in the community.
        answered; a person looks at it
      * (6) Accept the Embargo Policy.
        met: your request is the acceptance
      * (7) Have someone who is already on the list vouch for the person
        requesting membership on behalf of your distribution.
        MISSING: somebody has to vouch for you, see below

    To answer a criterion, reply to this mail and put its number first:

        1. How you meet the first criterion, with links that show it.

    With your request you have accepted version 1 of our embargo policy.

    To show that you hold the key that this mail is encrypted to, answer this
    mail, signed by that very key, with this line in your own words (not as a
    quotation):

        [words]

    Whoever vouches for you is a member of the list from another organisation,
    and sends a signed mail to security@example.org whose first line is

        vouch acme-linux 1

    --
    Example Project Security
    security@example.org
    ");
    let shown = |letter: &Letter| form(letter).replace(&acme, "[Acme's key]");
    insta::assert_snapshot!(shown(&letters[1]), @"
    acme-linux (Acme Linux), applied since 2026-11-20
    1. Be an active distributor of the project. answered “Acme Linux ships it since 2011: https://acme.example/packages”
    2. Have a user base that is not limited to your own organization. answered “About 40000 users, few of them ours.”
    3. Have a publicly verifiable track record up to the present day of fixing security issues. answered “https://acme.example/security lists 120 advisories.”
    4. Not be a downstream or rebuild of another distributor. answered “We build from source.”
    5. Be a participant and active contributor in the community. answered “40 patches last year.”
    6. Accept the Embargo Policy. version 1, 2026-11-20
    7. Have someone who is already on the list vouch for the person requesting membership on behalf of your distribution. NOBODY VOUCHES FOR IT YET
    security@acme.example: role address
    key [Acme's key]: NOT PROVEN
    lacks: nobody has vouched for it; it has not shown that it holds the key of a certificate
    ");

    // the key
    let thread = letters[0].header("Message-ID").unwrap().to_owned();
    desk.receives(&signed(&desk, ACME, ACME, &thread, "a-2", &format!("Here it is:\n{words}\n")));
    let letters = desk.letters();
    insta::assert_snapshot!(read(&letters[0]), @"
    membership to security@acme.example (encrypted)
    Subject: Auto: [EX-2026-0001] your application to our distributors' list

    Hello,

    thank you for asking to join our distributors' list. Your request is kept
    as case EX-2026-0001. This message was written by a machine; a person
    decides. This is what we understand so far:

      Organisation: Acme Linux
      Name of your application: acme-linux

      * (1) Be an active distributor of the project.
        answered; a person looks at it
      * (2) Have a user base that is not limited to your own organization.
        answered; a person looks at it
      * (3) Have a publicly verifiable track record up to the present day of
        fixing security issues.
        answered; a person looks at it
      * (4) Not be a downstream or rebuild of another distributor.
        answered; a person looks at it
      * (5) Be a participant and active contributor in the community.
        answered; a person looks at it
      * (6) Accept the Embargo Policy.
        met: your request is the acceptance
      * (7) Have someone who is already on the list vouch for the person
        requesting membership on behalf of your distribution.
        MISSING: somebody has to vouch for you, see below
      * Your OpenPGP key
        met: you have shown that you hold it

    To answer a criterion, reply to this mail and put its number first:

        1. How you meet the first criterion, with links that show it.

    With your request you have accepted version 1 of our embargo policy.

    Whoever vouches for you is a member of the list from another organisation,
    and sends a signed mail to security@example.org whose first line is

        vouch acme-linux 1

    --
    Example Project Security
    security@example.org
    ");
    assert!(
        shown(&letters[1]).contains("key [Acme's key]: proven\nlacks: nobody has vouched for it"),
        "{}",
        shown(&letters[1])
    );

    // the vouch, in no thread
    desk.receives(&signed(
        &desk,
        GNARL,
        GNARL,
        "<none@gnarl.example>",
        "g-1",
        "vouch acme-linux 1\n\nWe know them well.\n",
    ));
    let letters = desk.letters();
    insta::assert_snapshot!(read(&letters[0]), @"
    membership to psirt@gnarl.example (encrypted)
    Subject: Auto: [EX-2026-0001] your vouch counts

    Hello,

    you have vouched for acme-linux, under version 1 of the embargo policy.
    A coordinator decides on the application. Thank you.

    This message was written by a machine. If you have questions, answer it:
    a person reads that.

    --
    Example Project Security
    security@example.org
    ");
    assert_eq!(letters[0].to, GNARL);
    let relay = letters[1].text();
    assert!(relay.starts_with("vouch in case EX-2026-0001\n"), "{relay}");
    insta::assert_snapshot!(shown(&letters[1]), @"
    acme-linux (Acme Linux), applied since 2026-11-20
    1. Be an active distributor of the project. answered “Acme Linux ships it since 2011: https://acme.example/packages”
    2. Have a user base that is not limited to your own organization. answered “About 40000 users, few of them ours.”
    3. Have a publicly verifiable track record up to the present day of fixing security issues. answered “https://acme.example/security lists 120 advisories.”
    4. Not be a downstream or rebuild of another distributor. answered “We build from source.”
    5. Be a participant and active contributor in the community. answered “40 patches last year.”
    6. Accept the Embargo Policy. version 1, 2026-11-20
    7. Have someone who is already on the list vouch for the person requesting membership on behalf of your distribution. gnarl vouches for it, since 2026-11-20
    security@acme.example: role address
    key [Acme's key]: proven
    nothing is lacking: psirtd members approve acme-linux
    ");
    assert_eq!(desk.cases().len(), 1, "a vouch opens no case");
    assert_eq!(desk.cases()[0]["id"], CASE);
}

#[test]
fn what_was_missing_is_answered_later() {
    let desk = desk();
    desk.makes_a_key("Acme Security <security@acme.example>");
    desk.receives(&request_with_key(&desk, ACME, ACME, "a-1", "Organisation: Acme\n\n1. Yes.\n"));
    let letters = desk.letters();
    let thread = letters[0].header("Message-ID").unwrap().to_owned();
    let mail = format!(
        "From: {ACME}\nTo: security@example.org\nMessage-ID: <a-2@acme.example>\nIn-Reply-To: {thread}\n\n3. Here: https://acme.example/security\n\n> 2. quoted\n"
    );
    desk.receives(&mail);
    let letters = desk.letters();
    let text = letters[0].text();
    assert!(
        letters[0].encrypted
            && text.contains(
                "record up to the present day of\n    fixing security issues.\n    answered; a person looks at it"
            ),
        "{text}"
    );
    assert!(
        text.contains("Have a user base that is not limited to your own organization.\n    MISSING"),
        "{text}"
    );
    assert!(
        form(&letters[1]).contains("answered “Here: https://acme.example/security”"),
        "{}",
        form(&letters[1])
    );
    // who says nothing new hears nothing by itself
    desk.receives(
        &mail.replace("a-2", "a-3").replace("3. Here: https://acme.example/security", "Thank you."),
    );
    assert_eq!(desk.letter().kind, "relay");
    // and a stranger in the thread moves nothing
    desk.receives(
        &mail.replace("a-2", "a-4").replace(ACME, "mallory@example.net").replace("3. Here", "4. Here"),
    );
    let relay = desk.letter();
    assert!(relay.text().starts_with("UNVERIFIED"), "{}", relay.text());
    assert!(!relay.text().contains("Application:"));
}

#[test]
fn machines_and_lists_hear_nothing_and_a_second_request_is_a_persons() {
    let desk = desk();
    let list = request(ACME, "a-1", ANSWERS).replace("Subject:", "List-Id: <x.acme.example>\nSubject:");
    desk.receives(&list);
    let relay = desk.letter();
    assert!(relay.text().contains("Answer:      none was sent (list-id)"), "{}", relay.text());
    assert!(form(&relay).starts_with("acme-linux (Acme Linux), applied"), "{}", form(&relay));
    desk.receives(&request(ACME, "a-2", ANSWERS));
    let relay = desk.letter();
    assert_eq!(
        form(&relay),
        "acme-linux has applied already, case EX-2026-0001: merge it, if it belongs there"
    );
    desk.receives(&request("ada@example.org", "a-3", ANSWERS));
    assert_eq!(desk.letters().len(), 0, "Ada's own mail is not relayed to Ada");
    desk.receives(&request("mailer-daemon@acme.example", "a-4", ANSWERS));
    assert_eq!(desk.letters().iter().filter(|letter| letter.kind == "membership").count(), 0);
}

#[test]
fn nobody_who_applies_is_forgotten() {
    let desk = desk();
    desk.receives(&request(ACME, "a-1", ANSWERS));
    desk.letters();
    let told = |at: &str| {
        desk.clock_to(at);
        let letters = desk.letters();
        let warnings = letters.iter().filter(|letter| letter.kind == "warning");
        let lines: Vec<String> = warnings
            .inspect(|warning| assert!(warning.encrypted))
            .flat_map(|warning| warning.text().lines().map(str::to_owned).collect::<Vec<_>>())
            .filter(|line| line.contains("acme-linux"))
            .collect();
        lines.len()
    };
    assert_eq!(told("2026-12-03T23:00:00Z"), 0, "13 days");
    assert!(told("2026-12-04T23:01:00Z") > 0, "14 days");
    assert_eq!(told("2026-12-05T23:01:00Z"), 0, "once");
    assert!(told("2026-12-18T23:01:00Z") > 0, "28 days");
}

#[test]
fn a_member_is_asked_to_attest_again_in_time() {
    let desk = desk();
    let gnarl = desk.makes_a_key("Gnarl PSIRT <psirt@gnarl.example>");
    is_member(&desk, "gnarl", "Gnarl", GNARL, &gnarl);
    let change = Box::new(Change::Attested {
        policy: "1".to_owned(),
        attest_by: Some("2027-01-31T00:00:00Z".parse().unwrap()),
    });
    let what = What::Member { member: MemberId::typed("gnarl").unwrap(), change, by: "operator".to_owned() };
    desk.remembers(vec![Event { at: desk.now(), case: None, what }]);
    let told = |at: &str| {
        desk.clock_to(at);
        let letters = desk.letters();
        let text: String = letters.iter().filter(|it| it.kind == "warning").map(Letter::text).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(!told("2026-12-30T00:00:00Z").contains("gnarl"));
    assert!(told("2027-01-02T00:00:00Z").contains("gnarl has to attest again by 2027-01-31"));
    assert!(!told("2027-01-20T00:00:00Z").contains("gnarl"), "once");
    assert!(told("2027-01-31T00:01:00Z").contains("gnarl should have attested again by 2027-01-31"));
    assert!(told("2027-02-14T00:01:00Z").contains("gnarl should have attested again"));
}

/// Whoever may get copies that differ hears of it before it joins.
#[test]
fn that_copies_differ_is_said_before_anybody_joins() {
    let list = "[distributors]\naddress = \"distributors@example.org\"\n";
    for (marks, said) in
        [("", false), ("marks = [[\"Please\", \"Kindly\"], [\"confirm.\", \"answer.\"]]\n", true)]
    {
        let desk = Desk::builder().toml(&format!("{list}{marks}")).open();
        desk.receives(
            "From: Vera <security@acme.example>\nTo: distributors@example.org\nSubject: Request\n\
             Message-ID: <v-1@acme.example>\n\n1. We ship it.\n",
        );
        let letters = desk.letters();
        let answer = letters.iter().find(|letter| letter.to == "security@acme.example").unwrap();
        assert_eq!(answer.text().contains("differ in their words"), said, "{}", answer.text());
    }
}
