//! A door of the desk does not work, and its coordinators hear of it.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use psirtd::domain::concern::{Door, Silence};

const WHY: &str = "the server refused the login: [AUTHENTICATIONFAILED]; check user and password";

fn silent(door: Door, since: &str, why: Option<&str>) -> Silence {
    Silence { door, since: since.parse().unwrap(), why: why.map(str::to_owned) }
}

fn inbox(since: &str) -> Silence {
    silent(Door::Inbox(Some("INBOX".to_owned())), since, Some(WHY))
}

/// Who is written to since last asked, whether it is encrypted, and of which doors it tells.
fn told(desk: &Desk) -> Vec<String> {
    let line = |letter: Letter| {
        let text = letter.text().replace('\n', " ");
        let doors = ["inbox INBOX", "inbox Junk", "outbox"];
        let doors = doors.into_iter().filter(|door| text.contains(&format!("the {door} has not worked")));
        let (doors, protection) = (doors.collect::<Vec<_>>().join(", "), ["signed", "encrypted"]);
        format!("{} ({}): {doors}", letter.to, protection[usize::from(letter.encrypted)])
    };
    desk.letters().into_iter().map(line).collect()
}

/// Nobody at the desk's provider lets it in for three days. Ada, who has a certificate, and Otto, of whom there is none, hear of it
/// once a day, however often psirtd looks, and although it is started anew in between.
#[test]
fn a_silence_is_told_once_a_day_to_whoever_there_is() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.clock_to("2026-11-20T23:00:00Z");
    desk.letters(); // of the certificate that is missing
    let since = "2026-11-20T23:10:00Z";
    let both = ["ada@example.org (encrypted): inbox INBOX", "otto@example.org (signed): inbox INBOX"];
    desk.silent_at("2026-11-20T23:25:30Z", &[inbox(since)]);
    assert_eq!(told(&desk), both);
    for quiet in ["2026-11-20T23:40:30Z", "2026-11-21T00:10:30Z", "2026-11-21T23:05:30Z"] {
        desk.silent_at(quiet, &[inbox(since)]);
        assert_eq!(told(&desk), [""; 0], "{quiet}");
    }
    desk.silent_at("2026-11-21T23:10:30Z", &[inbox(since)]);
    assert_eq!(told(&desk), both, "it lasts");
    desk.restarts();
    desk.silent_at("2026-11-21T23:55:00Z", &[inbox("2026-11-21T23:30:00Z")]);
    assert_eq!(told(&desk), [""; 0], "a new start is no new silence");
    let junk = silent(Door::Inbox(Some("Junk".to_owned())), "2026-11-22T08:00:00Z", None);
    desk.silent_at("2026-11-22T08:16:00Z", &[inbox("2026-11-21T23:30:00Z"), junk]);
    assert_eq!(told(&desk), both.map(|line| line.replace("INBOX", "Junk")), "another folder");
}

/// What the coordinator reads.
#[test]
fn the_letter_about_a_silence_says_what_is_the_matter_and_what_to_do() {
    let desk = Desk::new();
    let refused = Some("the server takes no letters: Connection refused (os error 111)");
    let outbox = silent(Door::Outbox, "2026-11-20T23:09:00Z", refused);
    desk.silent_at("2026-11-20T23:25:30Z", &[inbox("2026-11-20T23:10:00Z"), outbox]);
    let letter = desk.letter();
    assert_eq!((letter.kind.as_str(), letter.encrypted), ("warning", true));
    insta::assert_snapshot!(letter.text(), @"
    The desk needs a person:

      * the inbox INBOX has not worked since Fri, 20 Nov 2026 15:10 PST (2026-11-20 23:10 UTC): the server refused the login: [AUTHENTICATIONFAILED]; check user and password. psirtd goes on trying; mail that arrives there is not seen meanwhile. More: psirtd check --online
      * the outbox has not worked since Fri, 20 Nov 2026 15:09 PST (2026-11-20 23:09 UTC): the server takes no letters: Connection refused (os error 111). psirtd goes on trying; letters wait meanwhile, as this one did. More: psirtd check --online

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check
    ");
    assert_eq!(desk.ask(&Question::Outbox)[0]["state"], "sent");
}
