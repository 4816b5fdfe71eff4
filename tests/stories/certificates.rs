//! Certificates that come by mail: remembered at first sight, never replaced in silence; and those that run out.

use crate::support::desk::Desk;
use psirtd::control::Question;

const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Subject: Session tokens are predictable

The session tokens are made from the clock: remote attackers can guess them.
";

/// The header of a mail from Nora, with an Autocrypt field for this key.
fn from_nora(desk: &Desk, id: &str, key: Option<&str>) -> String {
    let field = key.map_or_else(String::new, |key| {
        format!("Autocrypt: addr=nora@example.net; keydata={}\n", desk.autocrypt_key(key))
    });
    format!("{field}From: Nora Newcomer <nora@example.net>\nSubject: ...\nMessage-ID: <{id}@example.net>")
}

fn line<'t>(text: &'t str, name: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(name)).unwrap_or("-")
}

/// What Ada reads of the signature of the last mail, and whether Nora was answered encrypted.
fn told(desk: &Desk) -> (String, Option<bool>) {
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap();
    let text = desk.redacted(&relay.text());
    let lines = ["Signature:", "Signed by:", "Noticed:"].map(|name| line(&text, name));
    let answer = letters.iter().find(|letter| letter.kind == "acknowledgement");
    (lines.join("\n"), answer.map(|letter| letter.encrypted))
}

/// Her certificate comes with her first mail. Her second one brings none: the desk knows it.
#[test]
fn a_certificate_is_remembered() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(&from_nora(&desk, "n-1", Some("nora@example.net")), INSIDE));
    let (lines, encrypted) = told(&desk);
    insta::assert_snapshot!(lines, @"
    Signature:   right, by the certificate that this mail brings along
    Signed by:   [fingerprint of nora], first seen
    -
    ");
    assert_eq!(encrypted, Some(true));

    desk.receives(&desk.encrypted_mail(&from_nora(&desk, "n-2", None), INSIDE));
    let (lines, encrypted) = told(&desk);
    insta::assert_snapshot!(lines, @"
    Signature:   good, over the whole mail, made 2026-11-20 23:00Z
    Signed by:   [fingerprint of nora], seen before
    -
    ");
    assert_eq!(encrypted, Some(true));
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    insta::assert_snapshot!(desk.redacted(case["timeline"][2]["what"].as_str().unwrap()), @"certificate [fingerprint of nora] of nora@example.net from the Autocrypt field: remembered");

    // it survives a restart
    desk.restarts();
    desk.receives(&desk.encrypted_mail(&from_nora(&desk, "n-3", None), INSIDE));
    assert_eq!(told(&desk), (lines.clone(), encrypted));

    // it comes again, as it does with every mail: nothing new
    desk.receives(&desk.encrypted_mail(&from_nora(&desk, "n-4", Some("nora@example.net")), INSIDE));
    assert_eq!(told(&desk), (lines, encrypted));
    let case = desk.ask(&Question::Case("EX-2026-0004".to_owned()));
    assert!(!case["timeline"].to_string().contains("certificate"), "{}", case["timeline"]);
}

/// "Mailto: me your secrets": somebody writes in her name, with a key of his own. It replaces nothing, and Ada is told. When
/// Nora says on the telephone that it is hers after all, a person lets it be used.
#[test]
fn a_second_certificate_waits_for_a_person() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(&from_nora(&desk, "n-1", Some("nora@example.net")), INSIDE));
    let first = desk.letters();
    let new = desk.makes_a_key("Nora Newcomer <nora@example.net>");
    let mail = |id| from_nora(&desk, id, Some(&new));
    desk.receives(&desk.encrypted_mail_to(&mail("n-2"), INSIDE, "security@example.org", &new));
    let letters = desk.letters();
    let relay = letters[1].text().replace(&new, "[the new one]");
    assert_eq!(line(&relay, "Signature:"), "Signature:   by a key not held for this sender");
    assert_eq!(
        line(&relay, "Noticed:"),
        "Noticed:     it offers another certificate than the desk holds: [the new one]"
    );
    assert!(first[0].encrypted && letters[0].encrypted, "both are answered to her first certificate");
    assert_eq!(letters[0].encrypted_to(), first[0].encrypted_to());

    let seen = desk.ask(&Question::Seen("nora@example.net".to_owned()));
    assert_eq!((&seen[1]["fingerprint"], &seen[1]["in_use"]), (&new.as_str().into(), &false.into()));
    let accept = |fingerprint: &str| Question::Accept {
        address: "Nora@example.net".to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let unknown = desk.tries(&accept("0123")).unwrap_err();
    assert_eq!(
        unknown,
        "no certificate 0123 was seen for Nora@example.net; see “psirtd key seen Nora@example.net”"
    );
    desk.ask(&accept(&new.to_lowercase()));
    desk.receives(&desk.encrypted_mail_to(&mail("n-3"), INSIDE, "security@example.org", &new));
    let letters = desk.letters();
    assert_eq!(
        line(&letters[1].text(), "Signature:"),
        "Signature:   good, over the whole mail, made 2026-11-20 23:00Z"
    );
    assert_ne!(letters[0].encrypted_to(), first[0].encrypted_to());
}

/// Sam's certificate is pinned. What a mail in his name brings along is never used.
#[test]
fn a_pinned_certificate_stays() {
    let desk = Desk::new();
    let new = desk.makes_a_key("Sam Secret <sam@example.com>");
    let key = desk.autocrypt_key(&new);
    let outside = format!(
        "Autocrypt: addr=sam@example.com; keydata={key}\nFrom: Sam <sam@example.com>\nMessage-ID: <x@example.com>"
    );
    desk.receives(&desk.encrypted_mail_to(&outside, INSIDE, "security@example.org", &new));
    let letters = desk.letters();
    let relay = letters[1].text();
    assert_eq!(line(&relay, "Signature:"), "Signature:   by a key not held for this sender");
    assert!(line(&relay, "Noticed:").contains("another certificate"), "{relay}");
    assert_eq!(
        desk.ask(&Question::Seen("sam@example.com".to_owned())),
        serde_json::json!([]),
        "nor remembered"
    );
    desk.receives(&desk.encrypted_mail("From: sam@example.com\nMessage-ID: <y@example.com>", INSIDE));
    assert_eq!(desk.letters()[0].encrypted_to(), letters[0].encrypted_to());
}

/// While Sam's certificate is pinned, somebody mails another one in his name. It is not in use, and does not come into use
/// when the pin is taken away.
#[test]
fn what_was_offered_beside_a_pin_is_never_in_use_by_itself() {
    let desk = Desk::new();
    let new = desk.makes_a_key("Sam Secret <sam@example.com>");
    let key = desk.autocrypt_key(&new);
    let offering = |id: &str| {
        let outside = format!(
            "Autocrypt: addr=sam@example.com; keydata={key}\nFrom: Sam <sam@example.com>\nMessage-ID: <{id}@example.com>"
        );
        desk.encrypted_mail_to(&outside, INSIDE, "security@example.org", &new)
    };
    desk.receives(&offering("x-1"));
    let seen = desk.ask(&Question::Seen("sam@example.com".to_owned()));
    let in_use = seen.as_array().unwrap().iter().filter(|one| one["in_use"] == true).count();

    std::fs::remove_file(desk.dir().join("reporters/sam.asc")).unwrap();
    desk.restarts();
    desk.letters();
    desk.receives(&desk.encrypted_mail_to(
        "From: Sam <sam@example.com>\nMessage-ID: <x-2@example.com>",
        INSIDE,
        "security@example.org",
        &new,
    ));
    let told = told(&desk).0.replace(&new, "[the other one]");
    assert_eq!(
        (in_use, told.lines().next()),
        (0, Some("Signature:   by a key not held for this sender")),
        "{told}"
    );
}

/// A certificate runs out: the coordinators are told 60, 30 and 7 days before, once each; then the letters to it are held,
/// which is told as well, and the others are served.
#[test]
fn a_certificate_runs_out() {
    let desk = Desk::builder().otto_without_certificate().open();
    let key = desk.makes_a_key("Otto Coordinator <otto@example.org>");
    desk.replaces_certificate("otto", &key);
    desk.gets_ottos_certificate();
    desk.restarts();
    let mut said = String::new();
    for day in
        ["2028-09-22", "2028-09-23", "2028-09-24", "2028-10-23", "2028-11-15", "2028-11-16", "2028-11-23"]
    {
        desk.clock_to(&format!("{day}T09:00:00Z"));
        for letter in desk.letters() {
            let about = letter.text().replace(&key, "[Otto's]");
            said += &format!("{day} to {} ({}): {}\n", letter.to, letter.encrypted, line(&about, "  * "));
        }
    }
    insta::assert_snapshot!(said, @"
    2028-09-23 to ada@example.org (true):   * the certificate [Otto's] of otto@example.org expires on 2028-11-21
    2028-09-23 to otto@example.org (true):   * the certificate [Otto's] of otto@example.org expires on 2028-11-21
    2028-10-23 to ada@example.org (true):   * the certificate [Otto's] of otto@example.org expires on 2028-11-21
    2028-10-23 to otto@example.org (true):   * the certificate [Otto's] of otto@example.org expires on 2028-11-21
    2028-11-15 to ada@example.org (true):   * the certificate [Otto's] of otto@example.org expires on 2028-11-21
    2028-11-15 to otto@example.org (true):   * the certificate [Otto's] of otto@example.org expires on 2028-11-21
    2028-11-23 to ada@example.org (true):   * the certificate [Otto's] of otto@example.org cannot be used: it expired on 2028-11-21
    2028-11-23 to otto@example.org (false):   * the certificate [Otto's] of otto@example.org cannot be used: it expired on 2028-11-21
    ");

    desk.receives("From: rita@example.net\nMessage-ID: <r@example.net>\n\nA heap overflow.\n");
    let letters = desk.letters();
    let mut got: Vec<_> = letters.iter().map(|letter| (letter.kind.as_str(), letter.to.as_str())).collect();
    got.sort_unstable();
    assert_eq!(
        got,
        [
            ("acknowledgement", "rita@example.net"),
            ("relay", "ada@example.org"),
            ("warning", "ada@example.org")
        ]
    );
    let warning = letters.iter().find(|letter| letter.kind == "warning").unwrap().text();
    insta::assert_snapshot!(line(&warning, "  * ").replace(&key, "[Otto's]"), @"  * the relay EX-2028-0001.3 to otto@example.org is held: the certificate [Otto's] of otto@example.org cannot be used: it expired on 2028-11-21");
}

/// A stranger sends what Sam sent, to hear what it says. He hears nothing, and Ada is not made to believe that it is his.
#[test]
fn a_ciphertext_of_somebody_else() {
    let desk = Desk::new();
    let mail = desk
        .encrypted_mail("From: Sam <sam@example.com>\nSubject: ...\nMessage-ID: <s-1@example.com>", INSIDE);
    desk.receives(&mail);
    desk.letters();
    let (_, body) = mail.split_once("MIME-Version").unwrap();
    desk.receives(&format!(
        "From: Mallory <mallory@example.net>\nSubject: Hi\nMessage-ID: <m-1@example.net>\nMIME-Version{body}"
    ));
    let letters = desk.letters();
    assert_eq!(letters.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["ada@example.org"]);
    insta::assert_snapshot!(desk.redacted(&letters[0].text()), @"
    new report in case EX-2026-0002

    From:        Mallory <mallory@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     (none)
    Kind:        report
    Encryption:  the whole mail was encrypted to the desk
    Signature:   right, but by a key held for somebody else
    Signed by:   [fingerprint of sam]
    Noticed:     REPLAYED: the same ciphertext came before in case EX-2026-0001, from sam@example.com; whoever sent it now need not know what it says, so that it is not repeated here
    Answer:      none was sent (somebody else's ciphertext)
                 to answer From: psirtd outbox release EX-2026-0002.1
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    (not repeated)
    ");
    let entity = String::from_utf8(letters[0].entity().to_vec()).unwrap();
    assert!(!entity.contains("predictable") && !entity.contains("clock"), "{entity}");

    // he who wrote it may send it again
    desk.receives(&format!(
        "From: Sam <sam@example.com>\nSubject: ...\nMessage-ID: <s-2@example.com>\nMIME-Version{body}"
    ));
    let letters = desk.letters();
    assert_eq!(letters.len(), 2);
    insta::assert_snapshot!(line(&letters[1].text(), "Noticed:"), @"Noticed:     the same ciphertext came before in case EX-2026-0001, from sam@example.com");
    assert!(letters[1].text().contains("made from the clock"));
}
