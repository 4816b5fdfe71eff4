//! What members of the distributors' list read, and what coordinators read before: each letter in its main forms, word for word.

use crate::stories::replies::{CASE, List, named};
use crate::support::desk::{Desk, Letter};
use psirtd::domain::distributor::Change;

/// The longest line that every mail program shows as one.
const WIDEST: usize = 76;

const NOTICE: &str = "\
A length in the header of a tile is trusted. Whoever can upload a tile can
write behind the buffer, and run code as the user of the server.

Versions: 0.10 to 0.12
Mitigation: set max_tile = 0.
";

/// As a mail program shows it.
#[track_caller]
fn read(letter: &Letter) -> String {
    assert!(letter.encrypted, "{}", letter.kind);
    assert_eq!(letter.header("Subject"), Some("[...]"), "nothing shows on the way");
    let fields = letter.outside.lines().chain(letter.inside.lines().take_while(|line| !line.is_empty()));
    let of_a_list = |field: &str| field.starts_with("List-") || field.starts_with("Precedence");
    assert_eq!(
        fields.filter(|field| of_a_list(field)).count(),
        0,
        "a letter to one member, not a list's mail"
    );
    let text = letter.text();
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > WIDEST).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(!text.contains("\n\n\n"), "an empty line too many: {text}");
    format!("{} to {}\nSubject: {}\n\n{text}", letter.kind, letter.to, letter.protected("Subject").unwrap())
}

/// The letter to somebody among these.
#[track_caller]
fn to<'l>(letters: &'l [Letter], whom: &str) -> &'l Letter {
    let told: Vec<String> = letters.iter().map(named).collect();
    letters.iter().find(|letter| named(letter) == whom).unwrap_or_else(|| panic!("{told:?}"))
}

/// What Ada proposes and Otto approves: the proposal as both read it, and everything that goes out then.
fn by_two(list: &List, order: &str, number: u32) -> ([String; 2], Vec<Letter>) {
    list.desk.receives(order);
    let letters = list.desk.letters();
    let shown = ["ada", "otto"].map(|who| read(to(&letters, &format!("proposal to {who}"))));
    list.says("otto", &format!("!approve {number}"));
    (shown, list.desk.letters())
}

fn order(list: &List, body: &str) -> String {
    list.desk.orders("ada", CASE, body)
}

/// The same mail with a patch attached.
fn with_a_patch(list: &List, body: &str) -> String {
    let inside = format!(
        "Content-Type: multipart/mixed; boundary=\"b\"; protected-headers=\"v1\"\nSubject: Re: [{CASE}] x\n\n\
         --b\nContent-Type: text/plain; charset=utf-8\n\n{body}\n--b\n\
         Content-Type: text/x-diff; name=\"fix.patch\"\nContent-Disposition: attachment; filename=\"fix.patch\"\n\n\
         -len = header.len\n+len = min(header.len, room)\n--b--\n"
    );
    let outside =
        "From: ada@example.org\nTo: security@example.org\nSubject: ...\nMessage-ID: <patch@example.org>\n";
    list.desk.encrypted_mail(outside, &inside)
}

/// An agreed end, a policy that can be read somewhere, a patch, copies that are told apart, a member in another zone.
fn with_everything() -> List {
    let lines = "policy = \"2\"\npolicy_page = \"https://example.org/EMBARGO.md\"\n\
                 marks = [[\"Please\", \"Kindly\"], [\"keep\", \"hold\"], [\"this in confidence.\"]]\n";
    let list = List::with(Desk::builder().otto(), lines);
    let zone = |zone: &str| Change::Zone { zone: zone.to_owned() };
    list.desk.members_become([("acme", zone("Europe/Berlin")), ("bolt", zone("America/Los_Angeles"))]);
    list.says("ada", "!embargo 2026-12-15 07:00");
    list.says("ada", "!embargo agree");
    list.told();
    list
}

#[test]
fn a_notice_without_a_date() {
    let list = List::open();
    let ([ada, otto], letters) = by_two(&list, &order(&list, &format!("!notice\n\n{NOTICE}")), 1);
    insta::assert_snapshot!(ada, @"
    proposal to ada@example.org
    Subject: [EX-2026-0001] proposal 1: TLP:AMBER notice to 3 members

    You propose, and nothing was done yet:

        TLP:AMBER notice to 3 members

    Another coordinator has to approve it, with a signed mail to this desk that
    begins with the line

        !approve 1

    To take it back: !withdraw 1

    Members who would get it: 3
      * TLP:AMBER
      * no date of disclosure is agreed

    ---------------------------------------- this goes to the members ------

    A length in the header of a tile is trusted. Whoever can upload a tile can
    write behind the buffer, and run code as the user of the server.

    Versions: 0.10 to 0.12
    Mitigation: set max_tile = 0.
    ");
    insta::assert_snapshot!(otto, @"
    proposal to otto@example.org
    Subject: [EX-2026-0001] proposal 1: TLP:AMBER notice to 3 members

    ada@example.org proposes, and nothing was done yet:

        TLP:AMBER notice to 3 members

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 1

    To have it not done: !withdraw 1

    Members who would get it: 3
      * TLP:AMBER
      * no date of disclosure is agreed

    ---------------------------------------- this goes to the members ------

    A length in the header of a tile is trusted. Whoever can upload a tile can
    write behind the buffer, and run code as the user of the server.

    Versions: 0.10 to 0.12
    Mitigation: set max_tile = 0.
    ");
    insta::assert_snapshot!(read(to(&letters, "notice to acme-security")), @"
    notice to acme-security@acme.example
    Subject: [EMBARGOED] TLP:AMBER [EX-2026-0001] vulnerability notice

    TLP:AMBER

    This is EMBARGOED. Until the embargo is over, and whatever the label allows
    besides, do not make it public, pass it on, or hint at it beyond those of
    your own team who need to know and have agreed to the same terms. Use it to
    prepare the update for your users, and for nothing else.
    Embargo policy, version 1.

    No date is agreed yet: until you hear of one, the embargo stands.

    What we ask of you:
      * Confirm that you have it: answer, signed, with the word “received”.
      * When a date is named, say whether you agree: answer, signed, with the
        word “agree” or “disagree”.
      * Plan your update, test the fix, and tell us what you find.

    If anything of it gets out, tell us at once: answer, signed, with the word
    “leak” as the first line, then exactly what got out, to whom, and when.

    ------------------------------------------------------- TLP:AMBER ------

    A length in the header of a tile is trusted. Whoever can upload a tile can
    write behind the buffer, and run code as the user of the server.

    Versions: 0.10 to 0.12
    Mitigation: set max_tile = 0.

    ------------------------------------------------------------------------

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");
}

#[test]
fn a_notice_with_everything() {
    let list = with_everything();
    let notice = with_a_patch(&list, &format!("!notice TLP:AMBER+STRICT\n\n{NOTICE}"));
    let ([_, otto], letters) = by_two(&list, &notice, 1);
    insta::assert_snapshot!(otto, @"
    proposal to otto@example.org
    Subject: [EX-2026-0001] proposal 1: TLP:AMBER+STRICT notice to 3 members

    ada@example.org proposes, and nothing was done yet:

        TLP:AMBER+STRICT notice to 3 members

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 1

    To have it not done: !withdraw 1

    Members who would get it: 3
      * TLP:AMBER+STRICT
      * embargo agreed until Tuesday, 2026-12-15 15:00 UTC = Tuesday, 2026-12-15
        07:00 PST
      * each copy has a sentence by which it is known, such as “Please keep this
        in confidence.”, and says so

    Before you decide:
      * embargo policy 2 is not accepted by acme (version 1), bolt (version 1),
        core (version 1)

    Attached, as it would be sent:
      * fix.patch (text/x-diff, 47 bytes)

    ---------------------------------------- this goes to the members ------

    A length in the header of a tile is trusted. Whoever can upload a tile can
    write behind the buffer, and run code as the user of the server.

    Versions: 0.10 to 0.12
    Mitigation: set max_tile = 0.
    ");
    insta::assert_snapshot!(read(to(&letters, "notice to acme-security")), @"
    notice to acme-security@acme.example
    Subject: [EMBARGOED] TLP:AMBER+STRICT [EX-2026-0001] vulnerability notice

    TLP:AMBER+STRICT

    This is EMBARGOED. Until the embargo is over, and whatever the label allows
    besides, do not make it public, pass it on, or hint at it beyond those of
    your own team who need to know and have agreed to the same terms. Use it to
    prepare the update for your users, and for nothing else.
    Embargo policy, version 2: https://example.org/EMBARGO.md

    The embargo ends:
        Tuesday, 2026-12-15 15:00 UTC
        Tuesday, 2026-12-15 07:00 PST
        Tuesday, 2026-12-15 16:00 CET

    What we ask of you:
      * Confirm that you have it: answer, signed, with the word “received”.
      * When a date is named, say whether you agree: answer, signed, with the
        word “agree” or “disagree”.
      * Plan your update, test the fix, and tell us what you find.

    If anything of it gets out, tell us at once: answer, signed, with the word
    “leak” as the first line, then exactly what got out, to whom, and when.

    ------------------------------------------------ TLP:AMBER+STRICT ------

    A length in the header of a tile is trusted. Whoever can upload a tile can
    write behind the buffer, and run code as the user of the server.

    Versions: 0.10 to 0.12
    Mitigation: set max_tile = 0.

    ------------------------------------------------------------------------

    Attached, TLP:AMBER+STRICT, too:
      * fix.patch (text/x-diff, 47 bytes)

    Please keep this in confidence.

    The copies of this notice differ in their words: a leak can be traced.

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");
    let bolt = to(&letters, "notice to bolt-security").text();
    let until = bolt.lines().skip_while(|line| !line.starts_with("The embargo")).take(4);
    insta::assert_snapshot!(until.collect::<Vec<_>>().join("\n"), @"
    The embargo ends:
        Tuesday, 2026-12-15 15:00 UTC
        Tuesday, 2026-12-15 07:00 PST
    ");
}

#[test]
fn what_follows_a_notice() {
    let list = with_everything();
    let (_, copies) = by_two(&list, &order(&list, &format!("!notice\n\n{NOTICE}")), 1);
    let (_, letters) = by_two(&list, &order(&list, "!update TLP:GREEN\n\nThe fix is in 0.12.1.\n"), 2);
    insta::assert_snapshot!(read(to(&letters, "notice to acme-security")), @"
    notice to acme-security@acme.example
    Subject: [EMBARGOED] TLP:GREEN [EX-2026-0001] update

    TLP:GREEN

    This is EMBARGOED. Until the embargo is over, and whatever the label allows
    besides, do not make it public, pass it on, or hint at it beyond those of
    your own team who need to know and have agreed to the same terms. Use it to
    prepare the update for your users, and for nothing else.
    Embargo policy, version 2: https://example.org/EMBARGO.md

    The embargo ends:
        Tuesday, 2026-12-15 15:00 UTC
        Tuesday, 2026-12-15 07:00 PST
        Tuesday, 2026-12-15 16:00 CET

    What we ask of you:
      * Confirm that you have it: answer, signed, with the word “received”.
      * When a date is named, say whether you agree: answer, signed, with the
        word “agree” or “disagree”.
      * Plan your update, test the fix, and tell us what you find.

    If anything of it gets out, tell us at once: answer, signed, with the word
    “leak” as the first line, then exactly what got out, to whom, and when.

    ------------------------------------------------------- TLP:GREEN ------

    The fix is in 0.12.1.

    ------------------------------------------------------------------------

    Please keep this in confidence.

    The copies of this notice differ in their words: a leak can be traced.

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");

    let acme = to(&copies, "notice to acme-security");
    list.answers("acme", acme, "The same parser is in libtile-go.");
    list.told();
    let mail = list.case()["mail_list"].as_array().unwrap().last().unwrap()["mail"].clone();
    let share = format!("!share-with-members {}", &mail.as_str().unwrap()[..12]);
    let ([_, otto], letters) = by_two(&list, &order(&list, &share), 3);
    insta::assert_snapshot!(otto, @"
    proposal to otto@example.org
    Subject: [EX-2026-0001] proposal 3: TLP:AMBER mail of a member to 2 members

    ada@example.org proposes, and nothing was done yet:

        TLP:AMBER mail of a member to 2 members

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 3

    To have it not done: !withdraw 3

    Members who would get it: 2
      * TLP:AMBER
      * a mail of acme, which does not get it
      * its author is not named

    Before you decide:
      * the text itself may tell who wrote it: read it with that in mind

    ---------------------------------------- this goes to the members ------

    The same parser is in libtile-go.
    ");
    insta::assert_snapshot!(read(to(&letters, "notice to bolt-security")), @"
    notice to bolt-security@bolt.example
    Subject: [EMBARGOED] TLP:AMBER [EX-2026-0001] from another distributor

    TLP:AMBER

    This is EMBARGOED. Until the embargo is over, and whatever the label allows
    besides, do not make it public, pass it on, or hint at it beyond those of
    your own team who need to know and have agreed to the same terms. Use it to
    prepare the update for your users, and for nothing else.
    Embargo policy, version 2: https://example.org/EMBARGO.md

    The embargo ends:
        Tuesday, 2026-12-15 15:00 UTC
        Tuesday, 2026-12-15 07:00 PST

    What we ask of you:
      * Confirm that you have it: answer, signed, with the word “received”.
      * When a date is named, say whether you agree: answer, signed, with the
        word “agree” or “disagree”.
      * Plan your update, test the fix, and tell us what you find.

    If anything of it gets out, tell us at once: answer, signed, with the word
    “leak” as the first line, then exactly what got out, to whom, and when.

    ------------------------------------------------------- TLP:AMBER ------

    A distributor writes:

    The same parser is in libtile-go.

    ------------------------------------------------------------------------

    Please keep this in confidence.

    The copies of this notice differ in their words: a leak can be traced.

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");

    let moved = "!embargo 2026-12-21 15:00 Europe/Berlin because not-tested\n\nThe fix has to be tested.\n";
    let ([_, otto], letters) = by_two(&list, &order(&list, moved), 4);
    insta::assert_snapshot!(otto, @"
    proposal to otto@example.org
    Subject: =?us-ascii?Q?[EX-2026-0001]_proposal_4:_move_the_embargo_to_2026-?= =?us-ascii?Q?12-21_14:00_UTC:_the_solution_is_not_well_tested_yet?=

    ada@example.org proposes, and nothing was done yet:

        move the embargo to 2026-12-21 14:00 UTC: the solution is not well
        tested yet

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 4

    To have it not done: !withdraw 4

    Members who would get it: 3
      * new end: Monday, 2026-12-21 14:00 UTC
      * new end: Monday, 2026-12-21 06:00 PST
      * was: Tuesday, 2026-12-15 15:00 UTC
      * was: Tuesday, 2026-12-15 07:00 PST
      * because the solution is not well tested yet
      * to the end that stands: no answer yet: rita@example.net, 3 members
      * what the members get are the desk's own words

    --------------------------------------- this goes to the reporter ------

    The fix has to be tested.
    ");
    insta::assert_snapshot!(read(to(&letters, "notice to acme-security")), @"
    notice to acme-security@acme.example
    Subject: [EMBARGOED] TLP:AMBER [EX-2026-0001] the embargo

    TLP:AMBER

    This is EMBARGOED. Until the embargo is over, and whatever the label allows
    besides, do not make it public, pass it on, or hint at it beyond those of
    your own team who need to know and have agreed to the same terms. Use it to
    prepare the update for your users, and for nothing else.
    Embargo policy, version 2: https://example.org/EMBARGO.md

    The embargo ends (it was moved):
        Monday, 2026-12-21 14:00 UTC
        Monday, 2026-12-21 06:00 PST
        Monday, 2026-12-21 15:00 CET
    It was moved because the solution is not well tested yet.

    What we ask of you:
      * Confirm that you have it: answer, signed, with the word “received”.
      * When a date is named, say whether you agree: answer, signed, with the
        word “agree” or “disagree”.
      * Plan your update, test the fix, and tell us what you find.

    If anything of it gets out, tell us at once: answer, signed, with the word
    “leak” as the first line, then exactly what got out, to whom, and when.

    Please keep this in confidence.

    The copies of this notice differ in their words: a leak can be traced.

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");

    list.desk.have_joined(&["dune"]);
    let ([_, otto], letters) = by_two(&list, &order(&list, "!release-to dune"), 5);
    insta::assert_snapshot!(otto, @"
    proposal to otto@example.org
    Subject: [EX-2026-0001] proposal 5: release the case to dune

    ada@example.org proposes, and nothing was done yet:

        release the case to dune

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 5

    To have it not done: !withdraw 5

    Members who would get it: 1
      * notice 1 (TLP:AMBER), first sent Fri, 20 Nov 2026 15:00 PST (2026-11-20
        23:00 UTC)
      * update 2 (TLP:GREEN), first sent Fri, 20 Nov 2026 15:00 PST (2026-11-20
        23:00 UTC)
      * shared 3 (TLP:AMBER), first sent Fri, 20 Nov 2026 15:00 PST (2026-11-20
        23:00 UTC)
      * embargo 4 (TLP:AMBER), first sent Fri, 20 Nov 2026 15:00 PST (2026-11-20
        23:00 UTC)
    ");
    assert_eq!(letters.iter().filter(|letter| letter.kind == "notice").count(), 4);

    list.desk.clock_to("2026-12-21T14:00:00Z");
    list.told();
    let ([ada, _], letters) = by_two(&list, &order(&list, "!embargo lift\n\nThank you, Rita.\n"), 6);
    insta::assert_snapshot!(ada, @"
    proposal to ada@example.org
    Subject: [EX-2026-0001] proposal 6: lift the embargo

    You propose, and nothing was done yet:

        lift the embargo

    Another coordinator has to approve it, with a signed mail to this desk that
    begins with the line

        !approve 6

    To take it back: !withdraw 6

    Members who would get it: 4
      * its end: Monday, 2026-12-21 14:00 UTC
      * its end: Monday, 2026-12-21 06:00 PST
      * to the end that stands: no answer yet: rita@example.net, 4 members
      * what the members get are the desk's own words

    Before you decide:
      * the case is triaged, not fixed

    --------------------------------------- this goes to the reporter ------

    Thank you, Rita.
    ");
    insta::assert_snapshot!(read(to(&letters, "notice to acme-security")), @"
    notice to acme-security@acme.example
    Subject: TLP:CLEAR [EX-2026-0001] the embargo is over

    TLP:CLEAR

    The embargo of case EX-2026-0001 is over.
    You may publish your updates and your own advisories now.

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");
}

#[test]
fn a_matter_that_is_public_before_its_day() {
    let (list, _) = List::noticed();
    list.says("ada", "!public https://example.com/tweet");
    let letters = list.desk.letters();
    insta::assert_snapshot!(read(to(&letters, "notice to acme-security")), @"
    notice to acme-security@acme.example
    Subject: TLP:CLEAR [EX-2026-0001] the embargo is over

    TLP:CLEAR

    The embargo of case EX-2026-0001 is over: the matter is publicly known.
    You may publish your updates and your own advisories now.

    The public reads of it at
    https://example.com/tweet

    Answers to this mail reach the security team, and no other distributor.

    --
    Example Project Security
    security@example.org
    ");
}

#[test]
fn a_leak_that_is_laid_to_a_member() {
    let (list, _) = List::noticed();
    let leak = "!leak stands core\n\nThe patch was in the public tracker, 14:00 to 14:20 UTC.\n";
    let ([_, otto], letters) = by_two(&list, &order(&list, leak), 2);
    insta::assert_snapshot!(otto, @"
    proposal to otto@example.org
    Subject: [EX-2026-0001] proposal 2: warn core of a leak

    ada@example.org proposes, and nothing was done yet:

        warn core of a leak

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 2

    To have it not done: !withdraw 2

    Members who would get it: 1
      * a warning to core: what is said here, and what the policy says of leaks

    ----------------------------------------- this goes to the member ------

    The patch was in the public tracker, 14:00 to 14:20 UTC.
    ");
    insta::assert_snapshot!(read(to(&letters, "membership to core-security")), @"
    membership to core-security@core.example
    Subject: [EX-2026-0001] a leak at your side: please answer at once

    Hello,

    Core Linux is a member of our distributors' list, and something of case
    EX-2026-0001 has got out. As far as we know, it got out at your side:

    The patch was in the public tracker, 14:00 to 14:20 UTC.

    Please tell us at once, in an encrypted and signed answer to this mail:
      * exactly what got out, to whom, and when;
      * who else may have it by that;
      * what you do so that it does not happen again.

    If you find that it did not get out at your side, tell us that, and how you
    know.

    This is a first warning. Our embargo policy, version 1, asks whoever is on
    the list to keep what it is sent to those of its own team who need to know,
    and to tell us of any leak at once. Distributors whose leaks continue are
    removed from the list for good.

    --
    Example Project Security
    security@example.org
    ");
    list.desk.receives(&order(&list, "!leak stands core\n\nAgain, on the next day.\n"));
    let letters = list.desk.letters();
    insta::assert_snapshot!(read(to(&letters, "proposal to ada")), @"
    proposal to ada@example.org
    Subject: [EX-2026-0001] proposal 3: remove core from the list

    You propose, and nothing was done yet:

        remove core from the list

    Another coordinator has to approve it, with a signed mail to this desk that
    begins with the line

        !approve 3

    To take it back: !withdraw 3

      * a leak of case EX-2026-0001 was laid to it on 2026-11-20
      * core gets nothing any more
    ");
}

/// Where one coordinator is enough, what goes to many is shown all the same.
#[test]
fn a_notice_of_one_alone() {
    let list = List::of(Desk::builder());
    list.says("ada", "!notice\n\nA length is trusted.\n");
    insta::assert_snapshot!(read(to(&list.desk.letters(), "proposal to ada")), @"
    proposal to ada@example.org
    Subject: [EX-2026-0001] proposal 1: TLP:AMBER notice to 3 members

    You propose, and nothing was done yet:

        TLP:AMBER notice to 3 members

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 1

    To have it not done: !withdraw 1

    Members who would get it: 3
      * TLP:AMBER
      * no date of disclosure is agreed

    ---------------------------------------- this goes to the members ------

    A length is trusted.
    ");
}
