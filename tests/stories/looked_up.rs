//! Certificates that are looked up: the desk asks the directory of a stranger's domain, on a small Internet of its own.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::desk::{Desk, Lookups};
use crate::support::tls::Authority;
use crate::support::wait_until;
use crate::support::web::{Does, Web, http, internet, ok};
use psirtd::control::Question;
use sequoia_openpgp::Cert;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::serialize::SerializeInto;
use serde_json::Value;
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(30);

const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Subject: Session tokens are predictable

The session tokens are made from the clock: remote attackers can guess them.
";

/// The Internet: the directory of Nora's domain, and that of Mia's, who has nothing to do with her.
struct Net {
    authority: Authority,
    nora: SocketAddr,
    mia: Web,
}

/// The desk, its Internet, and the web server of Nora's domain.
fn desk_and_directory(does: Does) -> (Desk, Net, Web) {
    let desk = Desk::new();
    let key = desk.makes_a_key("Mia <mia@example.info>");
    let authority = Authority::new();
    let mia = ok(&published(&desk, &key));
    let mia = desk.runtime().block_on(Web::start(&authority, "openpgpkey.example.info", mia));
    let web = desk.runtime().block_on(Web::start(&authority, "openpgpkey.example.net", does));
    let net = Net { authority, nora: web.address, mia };
    (desk, net, web)
}

fn lookups<'d>(desk: &'d Desk, net: &Net) -> Lookups<'d> {
    let hosts: [(&str, &[SocketAddr]); 2] =
        [("openpgpkey.example.net", &[net.nora]), ("openpgpkey.example.info", &[net.mia.address])];
    desk.looks_up(internet(&net.authority, &hosts))
}

/// A certificate as a directory publishes it.
fn published(desk: &Desk, key: &str) -> Vec<u8> {
    Cert::from_bytes(&desk.public(key)).unwrap().to_vec().unwrap()
}

/// A mail from Nora, signed by this key, which it does not bring along.
fn mail(desk: &Desk, id: &str, key: &str) -> String {
    let header =
        format!("From: Nora Newcomer <nora@example.net>\nSubject: ...\nMessage-ID: <{id}@example.net>");
    desk.encrypted_mail_to(&header, INSIDE, "security@example.org", key)
}

/// The desk asks one directory after the other: what Mia's answers is known after what was asked before.
fn all_is_asked(desk: &Desk) {
    let header = "From: Mia <mia@example.info>\nSubject: ...\nMessage-ID: <m@example.info>";
    desk.receives(&desk.encrypted_mail_to(header, INSIDE, "security@example.org", "mia@example.info"));
    let case = desk.cases().last().unwrap()["id"].as_str().unwrap().to_owned();
    wait_until("Mia's certificate is found", SOON, || verdict(desk, &case, 0).0 == "good");
}

/// Verdict and standing of a mail of a case.
fn verdict(desk: &Desk, case: &str, mail: usize) -> (String, String) {
    let case = desk.ask(&Question::Case(case.to_owned()));
    let mail = &case["mail_list"][mail];
    let word = |name: &str| mail[name].as_str().unwrap_or("-").to_owned();
    (word("verdict"), word("standing"))
}

fn words(verdict: &str, standing: &str) -> (String, String) {
    (verdict.to_owned(), standing.to_owned())
}

fn seen(desk: &Desk, address: &str) -> Vec<(String, String, bool)> {
    let seen = desk.ask(&Question::Seen(address.to_owned()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let seen = seen.as_array().unwrap().iter();
    seen.map(|one| (text(&one["fingerprint"]), text(&one["source"]), one["in_use"] == true)).collect()
}

fn timeline(desk: &Desk, case: &str) -> Vec<String> {
    let case = desk.ask(&Question::Case(case.to_owned()));
    let entries = case["timeline"].as_array().unwrap().iter();
    entries.map(|entry| desk.redacted(entry["what"].as_str().unwrap())).collect()
}

/// What Ada reads of the signature of the last mail.
fn told(desk: &Desk) -> String {
    let letters = desk.letters();
    let relay = letters.iter().rfind(|letter| letter.kind == "relay").unwrap();
    let text = desk.redacted(&relay.text());
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or("-").to_owned();
    ["Signature:", "Signed by:", "Noticed:"].map(line).join("\n")
}

/// Her domain publishes the certificate that made the signature: the case says so, and her next mail is good from the start.
#[test]
fn a_certificate_is_found_in_the_directory() {
    let (desk, mut net, _) = desk_and_directory(Does::Nothing);
    let right = ok(&published(&desk, "nora@example.net"));
    let web = desk.runtime().block_on(Web::start(&net.authority, "openpgpkey.example.net", right));
    net.nora = web.address;
    let door = lookups(&desk, &net);
    desk.receives(&mail(&desk, "n-1", "nora@example.net"));
    insta::assert_snapshot!(told(&desk), @"
    Signature:   by a key not held for this sender
    Signed by:   [fingerprint of a subkey of nora]
    -
    ");
    wait_until("it is found", SOON, || verdict(&desk, "EX-2026-0001", 0) == words("good", "looked-up"));
    let found: Vec<String> = timeline(&desk, "EX-2026-0001")
        .into_iter()
        .filter(|what| what.contains("certificate") || what.contains("signature"))
        .collect();
    insta::assert_snapshot!(found.join("\n"), @"
    certificate [fingerprint of nora] of nora@example.net from the Web Key Directory: remembered
    signature checked again: good (looked-up)
    ");
    assert_eq!(web.heard().len(), 1);

    desk.receives(&mail(&desk, "n-2", "nora@example.net"));
    insta::assert_snapshot!(told(&desk), @"
    Signature:   good, over the whole mail, made 2026-11-20 23:00Z
    Signed by:   [fingerprint of nora], looked up
    -
    ");
    assert_eq!(verdict(&desk, "EX-2026-0002", 0), words("good", "looked-up"));
    assert_eq!(web.heard().len(), 1, "it is known: nobody is asked");
    door.close();

    // it survives a restart
    desk.restarts();
    desk.receives(&mail(&desk, "n-3", "nora@example.net"));
    assert_eq!(verdict(&desk, "EX-2026-0003", 0), words("good", "looked-up"));
    assert_eq!(verdict(&desk, "EX-2026-0001", 0), words("good", "looked-up"));
}

/// The answer to her next mail is encrypted to what was found.
#[test]
fn an_author_is_answered_with_what_was_found() {
    let (desk, mut net, _) = desk_and_directory(Does::Nothing);
    let right = ok(&published(&desk, "nora@example.net"));
    net.nora = desk.runtime().block_on(Web::start(&net.authority, "openpgpkey.example.net", right)).address;
    let door = lookups(&desk, &net);
    let encrypted = || {
        let letters = desk.letters();
        letters.iter().find(|letter| letter.kind == "acknowledgement").unwrap().encrypted
    };
    desk.receives(&mail(&desk, "n-1", "nora@example.net"));
    assert!(!encrypted(), "the answer did not wait for the directory");
    wait_until("it is found", SOON, || verdict(&desk, "EX-2026-0001", 0).0 == "good");
    desk.receives(&mail(&desk, "n-2", "nora@example.net"));
    assert!(encrypted());
    door.close();
}

/// Her domain publishes a certificate, but not the one that signed: it says nothing about this mail.
#[test]
fn the_directory_has_another_certificate() {
    let (desk, mut net, _) = desk_and_directory(Does::Nothing);
    let hers = ok(&published(&desk, "nora@example.net"));
    let web = desk.runtime().block_on(Web::start(&net.authority, "openpgpkey.example.net", hers));
    net.nora = web.address;
    let other = desk.makes_a_key("Nora Newcomer <nora@example.net>");
    let door = lookups(&desk, &net);
    desk.receives(&mail(&desk, "n-1", &other));
    all_is_asked(&desk);
    assert_eq!(web.heard().len(), 1, "it was asked");
    assert_eq!(seen(&desk, "nora@example.net"), []);
    assert_eq!(verdict(&desk, "EX-2026-0001", 0), words("unknown-key", "-"));
    assert!(!timeline(&desk, "EX-2026-0001").iter().any(|what| what.contains("certificate")));
    door.close();
}

/// Nobody answers there. The log says so, and does not say of whom.
#[test]
fn the_directory_is_down() {
    let (desk, mut net, _) = desk_and_directory(Does::Nothing);
    let gone = async { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    net.nora = desk.runtime().block_on(gone);
    let door = lookups(&desk, &net);
    desk.receives(&mail(&desk, "n-1", "nora@example.net"));
    all_is_asked(&desk);
    assert_eq!(seen(&desk, "nora@example.net"), []);
    assert_eq!(verdict(&desk, "EX-2026-0001", 0), words("unknown-key", "-"));
    let log = door.log();
    assert!(log.contains("no certificate looked up") && log.contains("openpgpkey.example.net"), "{log}");
    for word in ["nora", "Nora", "mia", "Mia"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    door.close();
}

/// An hour has to pass before an address is asked about again.
#[test]
fn an_address_is_asked_about_once_an_hour() {
    let (desk, net, web) = desk_and_directory(Does::Says(http("404 Not Found", b"")));
    let door = lookups(&desk, &net);
    for number in 1..=3 {
        desk.receives(&mail(&desk, &format!("n-{number}"), "nora@example.net"));
    }
    let shouted = mail(&desk, "n-4", "nora@example.net")
        .replace("nora@example.net>\nSubject", "NORA@Example.NET>\nSubject");
    desk.receives(&shouted);
    all_is_asked(&desk);
    assert_eq!(web.heard().len(), 1);

    desk.clock_to("2026-11-20T23:59:59Z");
    desk.receives(&mail(&desk, "n-5", "nora@example.net"));
    desk.clock_to("2026-11-21T00:00:00Z");
    desk.receives(&mail(&desk, "n-6", "nora@example.net"));
    wait_until("it is asked again", SOON, || web.heard().len() == 2);
    desk.receives(&mail(&desk, "n-7", "nora@example.net"));
    let others = "From: Nora's brother <nick@example.net>\nSubject: ...\nMessage-ID: <x@example.net>";
    desk.receives(&desk.encrypted_mail_to(others, INSIDE, "security@example.org", "nora@example.net"));
    wait_until("her brother is asked about", SOON, || web.heard().len() == 3);
    let asked: Vec<bool> = web.heard().iter().map(|asked| asked.contains("?l=nora ")).collect();
    assert_eq!(asked, [true, true, false]);
    door.close();
}

/// The desk remembers Nora's certificate. Another one that her domain publishes is laid beside it, for a person to decide.
#[test]
fn what_is_remembered_is_never_replaced() {
    let (desk, mut net, _) = desk_and_directory(Does::Nothing);
    let key = desk.autocrypt_key("nora@example.net");
    let header = format!(
        "Autocrypt: addr=nora@example.net; keydata={key}\nFrom: Nora <nora@example.net>\nMessage-ID: <n-1@example.net>"
    );
    desk.receives(&desk.encrypted_mail(&header, INSIDE));
    let first = seen(&desk, "nora@example.net");
    assert_eq!((first.len(), first[0].1.as_str(), first[0].2), (1, "Autocrypt field", true));

    let other = desk.makes_a_key("Nora Newcomer <nora@example.net>");
    let theirs = ok(&published(&desk, &other));
    let web = desk.runtime().block_on(Web::start(&net.authority, "openpgpkey.example.net", theirs));
    net.nora = web.address;
    let door = lookups(&desk, &net);
    desk.receives(&mail(&desk, "n-2", &other));
    all_is_asked(&desk);
    assert_eq!(web.heard().len(), 1);
    let beside = (other.clone(), "Web Key Directory".to_owned(), false);
    assert_eq!(seen(&desk, "nora@example.net"), [first[0].clone(), beside.clone()]);
    assert_eq!(verdict(&desk, "EX-2026-0002", 0), words("unknown-key", "-"));
    let said = timeline(&desk, "EX-2026-0002");
    let about = said.iter().find(|what| what.contains("certificate")).unwrap().replace(&other, "[other]");
    insta::assert_snapshot!(about, @"certificate [other] of nora@example.net from the Web Key Directory: NOT used, the desk holds another (psirtd key accept nora@example.net [other])");

    // an hour later it is found again, which is no news
    desk.clock_to("2026-11-21T01:00:00Z");
    desk.receives(&mail(&desk, "n-3", &other));
    wait_until("it is asked again", SOON, || web.heard().len() == 2);
    desk.letters();
    desk.receives(&mail(&desk, "n-4", &first[0].0));
    assert!(told(&desk).contains("good"), "hers is still hers");
    door.close();
    assert_eq!(seen(&desk, "nora@example.net"), [first[0].clone(), beside]);
}

/// Sam's certificate is pinned. What his domain publishes beside it changes nothing, and is not said to be in use.
#[test]
fn what_is_pinned_is_never_replaced() {
    let (desk, net, _) = desk_and_directory(Does::Nothing);
    let other = desk.makes_a_key("Sam Secret <sam@example.com>");
    let theirs = ok(&published(&desk, &other));
    let web = desk.runtime().block_on(Web::start(&net.authority, "openpgpkey.example.com", theirs));
    let hosts: [(&str, &[SocketAddr]); 2] =
        [("openpgpkey.example.com", &[web.address]), ("openpgpkey.example.info", &[net.mia.address])];
    let door = desk.looks_up(internet(&net.authority, &hosts));
    let header = "From: Sam <sam@example.com>\nSubject: ...\nMessage-ID: <s-1@example.com>";
    desk.receives(&desk.encrypted_mail_to(header, INSIDE, "security@example.org", &other));
    all_is_asked(&desk);
    let (verdict, standing) = verdict(&desk, "EX-2026-0001", 0);
    assert_ne!(verdict, "good");
    assert_eq!(standing, "-");
    let said: Vec<String> = timeline(&desk, "EX-2026-0001")
        .iter()
        .map(|what| what.replace(&other, "[other]"))
        .filter(|what| what.contains("certificate") || what.contains("signature"))
        .collect();
    assert!(!said.iter().any(|what| what.contains(": remembered")), "{said:?}");
    assert_eq!(verdict, "unknown-key", "by a key not held for this sender: {said:?}");
    assert!(!seen(&desk, "sam@example.com").iter().any(|(_, _, in_use)| *in_use));
    door.close();
}

/// The certificate shows that the signature is not right: that is what is known of the mail from now on.
#[test]
fn a_signature_that_a_looked_up_certificate_shows_to_be_broken_is_said_to_be() {
    let (desk, mut net, _) = desk_and_directory(Does::Nothing);
    let hers = ok(&published(&desk, "nora@example.net"));
    let web = desk.runtime().block_on(Web::start(&net.authority, "openpgpkey.example.net", hers));
    net.nora = web.address;
    let door = lookups(&desk, &net);
    let signature = desk.signature_over("Content-Type: text/plain\n\nSomething else.\n", "nora@example.net");
    desk.receives(&format!(
        "From: Nora <nora@example.net>\nMessage-ID: <n-1@example.net>\nMIME-Version: 1.0\nContent-Type: \
         multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=s\n\n--s\n\
         Content-Type: text/plain\n\nA heap overflow.\n\n--s\n\
         Content-Type: application/pgp-signature\n\n{signature}\n--s--\n"
    ));
    wait_until("it is remembered", SOON, || !seen(&desk, "nora@example.net").is_empty());
    all_is_asked(&desk);
    assert_eq!(verdict(&desk, "EX-2026-0001", 0), words("broken", "-"));
    door.close();
}
