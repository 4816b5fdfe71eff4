//! What the coordinators are told of the desk itself, by the daemon on its own account.

use super::desk::{ADA, BEN, Desk, RITA, SOON, keys, parts, report};
use crate::support::gpg::Gpg;
use crate::support::wait_until;
use jiff::{SignedDuration, Timestamp};
use psirtd::clock::Clock;
use psirtd::domain::message::Mailbox;
use psirtd::keyring;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A key for Ada that expires in so many days; its secret part, its fingerprint, and the day.
fn key_of_ada(days: i32) -> (String, String, String) {
    let ada = Mailbox { name: Some("Ada".to_owned()), address: ADA.to_owned() };
    let now = Clock::System.now();
    // as long as every fresh key lives
    let life = |born: Timestamp| {
        let secret = keyring::generate(&ada, born, true).unwrap();
        let expires = keyring::expires(&keyring::certificate(secret.as_bytes()).unwrap(), born).unwrap();
        expires.duration_since(born)
    };
    let born = now + DAY * days - life(now);
    let secret = keyring::generate(&ada, born, true).unwrap();
    let cert = keyring::certificate(secret.as_bytes()).unwrap();
    let expires = keyring::expires(&cert, now).unwrap();
    (secret.to_string(), cert.fingerprint().to_hex(), expires.strftime("%Y-%m-%d").to_string())
}

/// The warnings in the outbox, as their readers read them: to whom, whether encrypted, and the lines.
fn warnings(desk: &Desk, gpg: &Gpg) -> Vec<(String, bool, Vec<String>)> {
    let delivered = desk.delivered();
    let sent = desk.outbox().into_iter().filter(|letter| letter["kind"] == "warning");
    sent.map(|letter| {
        let file = format!("{}.eml", letter["id"].as_str().unwrap());
        let raw = &delivered.iter().find(|(name, _)| *name == file).expect("it was sent").1;
        let encrypted = String::from_utf8_lossy(raw).contains("multipart/encrypted");
        let parts = parts(raw);
        let text = if encrypted {
            let opened = gpg.decrypt(&parts[1]);
            assert_eq!(opened.good_signature_by().as_ref(), Some(&keys().desk_fingerprint));
            opened.plaintext
        } else {
            parts[0].clone()
        };
        let text = String::from_utf8(text).unwrap().replace("=\r\n", "").replace("\r\n", "\n");
        let lines = text.lines().filter_map(|line| line.strip_prefix("  * ")).map(str::to_owned).collect();
        (letter["to"].as_str().unwrap().to_owned(), encrypted, lines)
    })
    .collect()
}

/// Ada's certificate expires in twenty days. She is told at the start, once. Then Ben, who has none, becomes a coordinator, and
/// a relay to him is held: Ada is told both, and nothing for a second time.
#[test]
fn the_daemon_warns_the_coordinators_once() {
    let (secret, fingerprint, day) = key_of_ada(20);
    let gpg = Gpg::new();
    gpg.import(secret.as_bytes());
    gpg.import(&keys().desk_public);
    let desk = Desk::on_maildirs(&["ada"], "");
    desk.write("ada.asc", secret.as_bytes());
    let expires = format!("the certificate {fingerprint} of {ADA} expires on {day}");

    let (code, said, complaint) = desk.says(&["check"]);
    assert_eq!((code, complaint.as_str()), (0, ""));
    assert!(said.lines().any(|line| line == format!("warn  {expires}")), "{said}");
    let (_, said, _) = desk.says(&["check", "--json"]);
    let checked: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&checked["ok"], &checked["warnings"]), (&true.into(), &serde_json::json!([expires])));

    desk.start();
    let count = |desk: &Desk| desk.outbox().iter().filter(|letter| letter["kind"] == "warning").count();
    wait_until("a warning is written", SOON, || count(&desk) > 0);
    desk.await_letters();
    assert_eq!(warnings(&desk, &gpg), [(ADA.to_owned(), true, vec![expires])]);
    assert!(!desk.log().contains(ADA), "{}", desk.log());
    desk.stop();

    // at the next start there is something else to tell: it is seen that it was looked, and that nothing is told again
    std::fs::remove_file(desk.dir().join("ben.asc")).unwrap();
    desk.rewrite_on_maildirs(&["ada", "ben"], "");
    desk.start();
    wait_until("warnings are written", SOON, || count(&desk) > 1);
    desk.await_letters();
    let lacks = format!("letters to {BEN} are held: there is no certificate to encrypt them to");
    let about_ben = [(ADA.to_owned(), true, vec![lacks.clone()]), (BEN.to_owned(), false, vec![lacks])];
    assert_eq!(warnings(&desk, &gpg)[1..], about_ben);

    desk.deliver("report", &report(RITA, "A report", "It crashes."));
    desk.await_cases(1);
    wait_until("Ada is told of the letter", SOON, || count(&desk) > 3);
    desk.await_letters();
    let held = desk.letter("relay", BEN)["id"].as_str().unwrap().to_owned();
    let told = warnings(&desk, &gpg);
    let about_letter = format!("the relay {held} to {BEN} is held: no certificate for {BEN}");
    assert_eq!(told[3..], [(ADA.to_owned(), true, vec![about_letter])], "and Ben hears nothing of a case");
    desk.stop();
}
