//! When the matter of a case becomes public: proposed, consented to, decided, moved, reminded of, lifted.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use serde_json::{Value, json};

const CASE: &str = "EX-2026-0001";
const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Subject: Session tokens are predictable

The session tokens are made from the clock: remote attackers can guess them.
";

/// Two coordinators, and Sam's encrypted report on Friday, 20 November, 15:00 at the desk.
fn desk() -> Desk {
    with_policy(PATIENT)
}

/// No other clock runs out meanwhile.
const PATIENT: &str = "\
first_response = \"200 days\"
plan = \"200 days\"
status_update = \"200 days\"
disclosure = \"200 days\"
escalation = \"nora@example.net\"
";

fn with_policy(lines: &str) -> Desk {
    let desk = Desk::builder().otto().policy(lines).open();
    desk.receives(&desk.encrypted_mail(&outside(1, None), INSIDE));
    desk.letters();
    desk
}

fn outside(number: u32, answers: Option<&str>) -> String {
    let answers = answers.map_or_else(String::new, |id| format!("\nIn-Reply-To: {id}"));
    format!(
        "From: Sam Secret <sam@example.com>\nTo: security@example.org\nSubject: ...\nMessage-ID: <s-{number}@example.com>{answers}"
    )
}

/// Sam answers a letter, encrypted and signed.
fn answer(desk: &Desk, number: u32, text: &str) -> String {
    let inside = format!("Content-Type: text/plain; charset=utf-8\n\n{text}\n");
    desk.encrypted_mail(&outside(number, Some("<s-1@example.com>")), &inside)
}

fn told(letters: &[Letter]) -> Vec<String> {
    let reader = |to: &str| to.split('@').next().unwrap().to_owned();
    letters.iter().map(|letter| format!("{} to {}", letter.kind, reader(&letter.to))).collect()
}

/// The reminders since last asked, by reader, and the first lines of the first.
fn reminded(desk: &Desk) -> (Vec<String>, String) {
    let letters: Vec<Letter> = desk.letters();
    let reminders = letters.iter().filter(|letter| ["reminder", "warning"].contains(&letter.kind.as_str()));
    let about: Vec<&Letter> = reminders
        .filter(|letter| letter.kind == "warning" || letter.text().contains("  embargo  "))
        .collect();
    let text = about.first().map_or_else(String::new, |letter| letter.text());
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains("  embargo  ")).take(4).collect();
    let readers = about.iter().map(|letter| letter.to.split('@').next().unwrap().to_owned());
    (readers.collect(), lines.join("\n"))
}

fn embargo(desk: &Desk) -> Value {
    desk.ask(&Question::Case(CASE.to_owned()))["embargo"].clone()
}

/// What a relay, or results, say in the one line that has this word.
#[track_caller]
fn line_with(letter: &Letter, word: &str) -> String {
    let text = letter.text();
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.contains(word)).collect();
    let own = lines.iter().enumerate().take_while(|(at, line)| *at == 0 || line.starts_with("   "));
    own.map(|(_, line)| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Ada says it by mail; the results that she gets, and the other letters.
fn ada_says(desk: &Desk, body: &str) -> (String, Vec<Letter>) {
    says(desk, "ada", body)
}

fn says(desk: &Desk, who: &str, body: &str) -> (String, Vec<Letter>) {
    desk.receives(&desk.orders(who, CASE, body));
    let (results, others): (Vec<Letter>, Vec<Letter>) =
        desk.letters().into_iter().partition(|letter| letter.kind == "results");
    let results = results.iter().map(Letter::text).collect::<Vec<_>>().join("\n");
    (results, others)
}

#[test]
fn an_embargo_from_its_proposal_to_its_end() {
    let desk = desk();
    let (results, letters) = ada_says(&desk, "!embargo 2026-12-15 07:00\n");
    assert_eq!(told(&letters), ["note to otto", "answer to sam"]);
    assert!(letters.iter().all(|letter| letter.encrypted));
    insta::assert_snapshot!(results, @"
    Done in case EX-2026-0001:

      * embargo proposed: it ends Tuesday, 2026-12-15 15:00 UTC = Tuesday, 2026-12-15 07:00 PST; word of the embargo to the reporter, sam@example.com; told: otto@example.org
    ");
    insta::assert_snapshot!(letters[0].text(), @"
    Internal note in case EX-2026-0001, by ada@example.org

    Nothing of it goes to the reporter. To answer the team, answer this mail; to
    write to the reporter, begin your signed mail with a line !reply.

    ------------------------------------------------------ the note ------

    An end of the embargo is proposed; the team has not decided yet.

        Tuesday, 2026-12-15 15:00 UTC
        Tuesday, 2026-12-15 07:00 PST
    ");
    insta::assert_snapshot!(letters[1].text(), @"
    Hello,

    this is about the day on which the matter becomes public that you reported.

    We propose that it becomes public on

        2026-12-15 15:00 UTC
        Tuesday, 15 December 2026, 07:00 PST

    Please keep it confidential until then, and tell us whether you agree: answer
    this mail, signed with your OpenPGP key, with one of these as its first line:

        agree 2026-12-15
        disagree 2026-12-15

    An answer that is not signed is read, but does not count as either.

    --
    Example Project Security
    security@example.org
    ");

    // Sam agrees; unsigned it would not count, and said again it counts once
    desk.set_clock("2026-11-21T10:00:00Z".parse().unwrap());
    let yes = answer(&desk, 2, "I agree to 2026-12-15.\n\nSam");
    desk.receives(&yes);
    let letters = desk.letters();
    assert_eq!(told(&letters), ["relay to ada", "relay to otto"]);
    insta::assert_snapshot!(line_with(&letters[0], "agrees to"), @"Noticed:     agrees to the end of the embargo, Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC): recorded");
    desk.receives(&yes.replace("s-2@", "s-3@"));
    insta::assert_snapshot!(line_with(&desk.letters()[0], "not counted"), @"Noticed:     an answer to the embargo? it says “agree”, but its signature has been used: a mail that was sent again: not counted");
    let now = embargo(&desk);
    assert_eq!(now["consents"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&now["consents"][0]["who"], &now["consents"][0]["agrees"], &now["consents"][0]["at"]),
        (&json!("sam@example.com"), &json!(true), &json!("2026-11-21T10:00:00Z"))
    );
    assert_eq!(
        (&now["state"], &now["until"], &now["desk_time"]),
        (
            &json!("proposed"),
            &json!("2026-12-15T15:00:00Z"),
            &json!("Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC)")
        )
    );

    // the team decides
    let (results, letters) = ada_says(&desk, "!embargo agree\n\nWe publish on that Tuesday.\n");
    assert_eq!(told(&letters), ["note to otto", "answer to sam", "note to otto"]);
    insta::assert_snapshot!(results, @"
    Done in case EX-2026-0001:

      * embargo agreed: it ends Tuesday, 2026-12-15 15:00 UTC = Tuesday, 2026-12-15 07:00 PST; agreed: sam@example.com; word of the embargo to the reporter, sam@example.com; told: otto@example.org

    ---------------------------------------- this goes to the reporter ------

    We publish on that Tuesday.
    ");
    assert!(
        letters[1]
            .text()
            .contains("We publish on that Tuesday.\n\nThe team has decided that it becomes public on")
    );

    // a move needs a reason, and another coordinator
    let (results, letters) = ada_says(&desk, "!embargo 2026-12-21 15:00 Europe/Berlin\n");
    assert_eq!(told(&letters), [""; 0]);
    insta::assert_snapshot!(results, @"
    Nothing was done of what you said:

      * !embargo: its end is agreed: to move it, say why, with “because REASON”: not-understood (the bug or the fix is not yet fully understood), not-tested (the solution is not well tested yet), distributors (the distributors need the time), ready (everything is ready earlier)

    !help lists what can be said.
    ");
    let (results, letters) = ada_says(
        &desk,
        "!embargo 2026-12-21 15:00 Europe/Berlin because not-tested\n\nThe fix has to be tested.\n",
    );
    assert_eq!(told(&letters), ["proposal to ada", "proposal to otto"]);
    insta::assert_snapshot!(results, @"
    Done in case EX-2026-0001:

      * proposal 1: move the embargo to 2026-12-21 14:00 UTC: the solution is not well tested yet; nothing goes before another coordinator says !approve 1; members may have a notice from Sat, 21 Nov 2026 06:00 PST (2026-11-21 14:00 UTC) on
    ");
    insta::assert_snapshot!(letters[1].text(), @"
    ada@example.org proposes, and nothing was done yet:

        move the embargo to 2026-12-21 14:00 UTC: the solution is not well
        tested yet

    To have it done exactly as it stands here, send a signed mail to this desk
    that begins with the line

        !approve 1

    To have it not done: !withdraw 1

      * new end: Monday, 2026-12-21 14:00 UTC
      * new end: Monday, 2026-12-21 06:00 PST
      * was: Tuesday, 2026-12-15 15:00 UTC
      * was: Tuesday, 2026-12-15 07:00 PST
      * because the solution is not well tested yet
      * to the end that stands: agreed: sam@example.com

    --------------------------------------- this goes to the reporter ------

    The fix has to be tested.
    ");
    assert_eq!(embargo(&desk)["state"], "agreed", "nothing was done yet");
    let (results, letters) = ada_says(&desk, "!approve 1\n");
    assert!(results.contains("another coordinator has to approve"), "{results}");
    assert_eq!(told(&letters), [""; 0]);
    let (results, letters) = says(&desk, "otto", "!approve 1\n");
    assert_eq!(told(&letters), ["note to ada", "answer to sam", "note to ada"]);
    insta::assert_snapshot!(results, @"
    Done in case EX-2026-0001:

      * proposal 1 approved: embargo moved: it ends Monday, 2026-12-21 14:00 UTC = Monday, 2026-12-21 06:00 PST; word of the embargo to the reporter, sam@example.com; told: ada@example.org

    ---------------------------------------- this goes to the reporter ------

    The fix has to be tested.
    ");
    insta::assert_snapshot!(letters[1].text(), @"
    The fix has to be tested.

    The day was moved. It becomes public on

        2026-12-21 14:00 UTC
        Monday, 21 December 2026, 06:00 PST

    because the solution is not well tested yet.

    Please keep it confidential until then, and tell us whether you agree: answer
    this mail, signed with your OpenPGP key, with one of these as its first line:

        agree 2026-12-21
        disagree 2026-12-21

    An answer that is not signed is read, but does not count as either.

    --
    Example Project Security
    security@example.org
    ");
    let now = embargo(&desk);
    assert_eq!((&now["state"], &now["until"]), (&json!("revised"), &json!("2026-12-21T14:00:00Z")));
    assert_eq!(now["consents"], json!([]), "who agreed to another day is asked anew");
    let revision = &now["revisions"][0];
    assert_eq!(
        (&revision["reason"], &revision["by"]),
        (&json!("not-tested"), &json!("ada@example.org, otto@example.org"))
    );

    // a week, a day, the instant, and what nobody has lifted
    desk.clock_to("2026-12-14T13:59:00Z");
    assert_eq!(reminded(&desk).0, [""; 0]);
    let mut said = String::new();
    for at in [
        "2026-12-14T14:00:00Z",
        "2026-12-14T20:00:00Z",
        "2026-12-20T14:00:00Z",
        "2026-12-21T14:00:00Z",
        "2026-12-21T14:15:00Z",
        "2026-12-21T15:00:00Z",
        "2026-12-21T23:00:00Z",
        "2026-12-22T17:00:00Z",
    ] {
        desk.clock_to(at);
        let (readers, text) = reminded(&desk);
        said += &format!("{at}: {}\n{text}\n", readers.join(", "));
    }
    insta::assert_snapshot!(said, @"
    2026-12-14T14:00:00Z: ada, otto
    EX-2026-0001  embargo  ends in a week, or less
        is due:  Mon, 21 Dec 2026 06:00 PST (2026-12-21 14:00 UTC)
        wanted:   the publication, and !embargo lift
        owner:    nobody: !take
    2026-12-14T20:00:00Z: 

    2026-12-20T14:00:00Z: ada, otto
    EX-2026-0001  embargo  ends in a day, or less
        is due:  Mon, 21 Dec 2026 06:00 PST (2026-12-21 14:00 UTC)
        wanted:   the publication, and !embargo lift
        owner:    nobody: !take
    2026-12-21T14:00:00Z: ada, otto
    EX-2026-0001  embargo  ENDS NOW
        is due:  Mon, 21 Dec 2026 06:00 PST (2026-12-21 14:00 UTC)
        wanted:   the publication, and !embargo lift
        owner:    nobody: !take
    2026-12-21T14:15:00Z: 

    2026-12-21T15:00:00Z: ada, otto, nora
    EX-2026-0001  embargo  LATE: over, and not lifted
        was due:  Mon, 21 Dec 2026 06:00 PST (2026-12-21 14:00 UTC)
        wanted:   the publication, and !embargo lift
        owner:    nobody: !take
    2026-12-21T23:00:00Z: 

    2026-12-22T17:00:00Z: ada, otto, nora
    EX-2026-0001  embargo  LATE: over, and not lifted
        was due:  Mon, 21 Dec 2026 06:00 PST (2026-12-21 14:00 UTC)
        wanted:   the publication, and !embargo lift
        owner:    nobody: !take
    ");

    // over, as agreed
    desk.does(CASE, "fixed 0.12.3");
    let (results, letters) = ada_says(&desk, "!embargo lift\n");
    assert_eq!(told(&letters), ["proposal to ada", "proposal to otto"]);
    insta::assert_snapshot!(results, @"
    Done in case EX-2026-0001:

      * proposal 2: lift the embargo; nothing goes before another coordinator says !approve 2
    ");
    let (results, letters) = says(&desk, "otto", "!approve 2\n");
    assert_eq!(told(&letters), ["note to ada", "answer to sam"]);
    insta::assert_snapshot!(results, @"
    Done in case EX-2026-0001:

      * proposal 2 approved: embargo lifted; word of the embargo to the reporter, sam@example.com; told: ada@example.org
    ");
    insta::assert_snapshot!(letters[1].text(), @"
    Hello,

    this is about the day on which the matter becomes public that you reported.

    The embargo is over: the matter is public, or may be made public by anybody,
    you included. Thank you for your patience.

    --
    Example Project Security
    security@example.org
    ");
    desk.clock_to("2026-12-23T18:00:00Z");
    assert_eq!(reminded(&desk).0, [""; 0]);
    let case = desk.ask(&Question::Case(CASE.to_owned()));
    assert_eq!((&case["phase"], &case["embargo"]["state"]), (&json!("disclosed"), &json!("lifted")));

    // the same after the index was made anew
    desk.steps_aside();
    std::fs::remove_dir_all(desk.state().join("index")).unwrap();
    desk.comes_back();
    assert_eq!(desk.ask(&Question::Case(CASE.to_owned())), case);
    let again = desk.is_told(CASE, "embargo 2027-01-12 07:00", None).unwrap_err();
    assert!(again.contains("the embargo is over since"), "{again}");
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let desk = desk();
    let refused = |line: &str| desk.is_told(CASE, line, None).unwrap_err();
    insta::assert_snapshot!(refused("embargo agree"), @"nothing is proposed yet: embargo DATE TIME [ZONE]");
    insta::assert_snapshot!(refused("embargo 2026-12-15 15:00 Europe/Bielefeld"), @"“Europe/Bielefeld” is no time zone: write UTC, or a name like Europe/Berlin, or nothing for the desk's");
    insta::assert_snapshot!(refused("embargo 2027-03-14 02:30"), @"no clock in America/Los_Angeles shows 2027-03-14 02:30: it is put forward then; name the time in UTC, 2027-03-14 09:30 UTC or 2027-03-14 10:30 UTC");
    insta::assert_snapshot!(refused("embargo 2027-03-13 02:30"), @"Saturday, 2027-03-13 is 113 days after the report came, and 90 is the most: Thursday, 2027-02-18 is the last day; Saturday, 2027-03-13 is no day on which it ends: not on Friday, Saturday, Sunday, or a holiday; at that time Thursday, 2027-02-18 would fit");
    insta::assert_snapshot!(refused("embargo 2026-12-15 07:00 because ready"), @"nothing is agreed yet: what is proposed needs no reason");
    assert_eq!(desk.snapshot(), "no letters");
    // while it is only proposed it is changed without a reason, and said in whatever zone
    desk.does(CASE, "embargo 2026-12-15 15:00 utc");
    desk.does(CASE, "embargo 2026-12-16 15:00 Europe/Berlin");
    insta::assert_snapshot!(refused("embargo 2026-12-16 06:00"), @"that is its end already");
    let now = embargo(&desk);
    assert_eq!((&now["state"], &now["until"]), (&json!("proposed"), &json!("2026-12-16T14:00:00Z")));
    desk.letters();
    // one end a mail: which of the zones would be meant?
    let (results, letters) =
        ada_says(&desk, "!embargo 2026-12-15 15:00 UTC\n!embargo 2026-12-17 15:00 Europe/Berlin\n");
    assert!(results.contains("name one in a mail"), "{results}");
    assert_eq!(told(&letters), [""; 0]);
    // the date is no conversation: a person still has to answer
    let case = desk.ask(&Question::Case(CASE.to_owned()));
    let first =
        case["deadlines"].as_array().unwrap().iter().find(|it| it["kind"] == "first-response").unwrap();
    assert_eq!(first["state"], "running");
    insta::assert_snapshot!(desk.does(CASE, "close"), @"case EX-2026-0001 is closed; its embargo was not lifted, and nobody is reminded of it any more");
}

#[test]
fn what_is_not_signed_by_him_for_this_day_does_not_count() {
    let desk = desk();
    // signed before anything was proposed, and kept by somebody
    let early = answer(&desk, 9, "agree");
    desk.set_clock("2026-11-21T00:00:00Z".parse().unwrap());
    desk.does(CASE, "embargo 2026-12-15 07:00");
    desk.letters();
    desk.set_clock("2026-11-21T01:00:00Z".parse().unwrap());
    let noticed = |mail: &str| {
        desk.receives(mail);
        line_with(&desk.letters()[0], "embargo")
    };
    insta::assert_snapshot!(noticed(&early), @"Noticed:     an answer to the embargo? it says “agree”, but it was signed before this end of the embargo was named: not counted");
    let unsigned = format!("{}\n\nagree 2026-12-15\n", outside(2, Some("<s-1@example.com>")));
    insta::assert_snapshot!(noticed(&unsigned), @"Noticed:     an answer to the embargo? it says “agree”, but is not signed: not counted");
    insta::assert_snapshot!(noticed(&answer(&desk, 3, "agree 2026-12-16")), @"Noticed:     an answer to the embargo? it says “agree” to 2026-12-16, and the embargo ends Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC): not counted");
    insta::assert_snapshot!(noticed(&answer(&desk, 4, "agree, if you name me")), @"Noticed:     an answer to the embargo? its first line says more than “agree” or “disagree”: not counted");
    let by_nora = desk.encrypted_mail_to(
        &outside(5, Some("<s-1@example.com>")),
        "Content-Type: text/plain\n\nagree\n",
        "security@example.org",
        "nora@example.net",
    );
    insta::assert_snapshot!(noticed(&by_nora), @"Noticed:     an answer to the embargo? it says “agree”, but its signature is worth nothing (unknown-key): not counted");
    assert_eq!(embargo(&desk)["consents"], json!([]));
    // what he quotes is not his; what he says later counts
    insta::assert_snapshot!(noticed(&answer(&desk, 6, "> agree 2026-12-15\n\ndisagree")), @"Noticed:     does NOT agree to the end of the embargo, Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC): recorded");
    insta::assert_snapshot!(noticed(&answer(&desk, 7, "agree")), @"Noticed:     agrees to the end of the embargo, Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC): recorded");
    assert_eq!(embargo(&desk)["consents"].as_array().unwrap().len(), 1);
    let shown = desk.does(CASE, "show");
    let shown: Vec<&str> =
        shown.lines().filter(|line| line.starts_with("embargo") || line.starts_with("its end")).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    embargo        proposed, Tue, 15 Dec 2026 07:00 PST (2026-12-15 15:00 UTC)
    its end        agreed: sam@example.com
    ");
    desk.letters();
    // known to the public: it is over, whoever agreed to what
    desk.does(CASE, "public https://example.com/blog");
    assert_eq!(told(&desk.letters()), ["note to ada", "note to otto", "answer to sam"]);
    assert_eq!(embargo(&desk)["state"], "broken");
    desk.receives(&answer(&desk, 8, "disagree"));
    assert_eq!(embargo(&desk)["consents"].as_array().unwrap().len(), 1, "nothing is asked any more");
}

/// One coordinator is enough where there is only one.
#[test]
fn alone_she_moves_it_at_once() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(&outside(1, None), INSIDE));
    desk.does(CASE, "embargo 2026-12-15 07:00");
    desk.does(CASE, "embargo agree");
    desk.letters();
    let told_her = desk.writes(CASE, "embargo 2026-12-14 07:00 because ready", "We are ready.");
    insta::assert_snapshot!(told_her, @"embargo moved: it ends Monday, 2026-12-14 15:00 UTC = Monday, 2026-12-14 07:00 PST; word of the embargo to the reporter, sam@example.com; told: ada@example.org");
    assert_eq!(told(&desk.letters()), ["note to ada", "answer to sam", "note to ada"]);
    insta::assert_snapshot!(desk.does(CASE, "embargo lift"), @"embargo lifted; word of the embargo to the reporter, sam@example.com; told: ada@example.org; its end has not come yet; the case is triaged, not fixed");
    assert_eq!(embargo(&desk)["state"], "lifted");
}
