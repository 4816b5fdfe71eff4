//! Every letter as its reader reads it: whom it is from, its subject, its text.

use crate::support::desk::{Desk, Letter};
use psirtd::domain::letter::LetterKind;
use psirtd::seal::template::sample;
use std::collections::BTreeSet;
use std::fs;

const KINDS: [LetterKind; 5] = [
    LetterKind::Acknowledgement,
    LetterKind::Status,
    LetterKind::Relay,
    LetterKind::Warning,
    LetterKind::Digest,
];

/// A report that says little.
const REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Crash
Message-ID: <r-1@example.net>

It crashes.
";

/// A report that says everything the written process asks for.
const WHOLE_REPORT: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Message-ID: <r-1@example.net>

Steps to reproduce: upload the attached tile.
Effect: heap overflow in version 0.12 on Linux, x86_64.
Attack surface: remote attackers can exploit it without logging in.
No other projects are affected.

Rita Reporter, Example University
";

const STATUS: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Re: Crash
Message-ID: <r-2@example.net>
In-Reply-To: <r-1@example.net>

status
";

/// What the written process says besides, all of it.
const PROCESS: &str = "first_response = \"24 hours\"\nplan = \"1 business day\"\n\
                       public_tracker = \"https://example.org/issues\"\nprocess = \"https://example.org/SECURITY.md\"";

/// As a mail program shows it.
fn read(desk: &Desk, letter: &Letter) -> String {
    let protection = if letter.encrypted { "encrypted and signed" } else { "signed" };
    let [from, to, subject] = ["From", "To", "Subject"].map(|name| letter.protected(name).unwrap());
    let head = format!("From:    {from}\nTo:      {to}\nSubject: {subject}\n({protection})");
    desk.redacted(&format!("{head}\n\n{}", letter.text()))
}

/// The one letter of this kind among those since the last look.
#[track_caller]
fn one(desk: &Desk, kind: &str) -> String {
    let letters = desk.letters();
    let of_kind: Vec<_> = letters.iter().filter(|letter| letter.kind == kind).collect();
    assert_eq!(of_kind.len(), 1, "{:?}", letters.iter().map(|letter| &letter.kind).collect::<Vec<_>>());
    read(desk, of_kind[0])
}

/// What Rita gets for a mail.
fn acknowledged(desk: &Desk, mail: &str) -> String {
    desk.receives(mail);
    one(desk, "acknowledgement")
}

#[test]
fn an_acknowledgement_of_a_report_that_says_little() {
    insta::assert_snapshot!(acknowledged(&Desk::new(), REPORT), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    (signed)

    Hello,

    thank you for writing to Example Project Security.
    Your mail has arrived and is kept as case EX-2026-0001.

    This message was written by a machine. What happens next:

      * A person of the security team answers you within 3 business days:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * You hear how we plan to investigate, and of possible workarounds:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    To understand your report sooner, it would help us to know:

      * the steps to reproduce it (scripts, screenshots, logs help)
      * how it affects the use of the project: the attack surface
      * which other projects or dependencies are involved

    Just answer this mail. If your report says so already, there is no need to.

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    To write to us encrypted, use our OpenPGP key
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

#[test]
fn an_acknowledgement_of_a_whole_report() {
    let desk = Desk::builder().policy(PROCESS).open();
    insta::assert_snapshot!(acknowledged(&desk, WHOLE_REPORT), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    (signed)

    Hello,

    thank you for writing to Example Project Security.
    Your mail has arrived and is kept as case EX-2026-0001.

    This message was written by a machine. What happens next:

      * A person of the security team answers you within 24 hours:
        by Saturday, 21 November 2026, 15:00 PST
        (2026-11-21 23:00 UTC).
      * You hear how we plan to investigate, and of possible workarounds:
        by Monday, 23 November 2026, 23:59 PST
        (2026-11-24 07:59 UTC).
      * The whole process: https://example.org/SECURITY.md

    Bugs without an impact on security are better off in the public tracker:
    https://example.org/issues

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    To write to us encrypted, use our OpenPGP key
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

const SAMS: &str = "From: Sam Secret <sam@example.com>\nSubject: ...\nMessage-ID: <s-1@example.com>";

/// Sam's report lacks much, and says so to nobody but Sam.
#[test]
fn an_encrypted_acknowledgement() {
    let desk = Desk::new();
    let mail = desk.encrypted_mail(SAMS, "Content-Type: text/plain\n\nIt crashes.\n");
    insta::assert_snapshot!(acknowledged(&desk, &mail), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <sam@example.com>
    Subject: Auto: [EX-2026-0001] we have your report
    (encrypted and signed)

    Hello,

    thank you for writing to Example Project Security.
    Your mail has arrived and is kept as case EX-2026-0001.

    This message was written by a machine. What happens next:

      * A person of the security team answers you within 3 business days:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * You hear how we plan to investigate, and of possible workarounds:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    To understand your report sooner, it would help us to know:

      * the steps to reproduce it (scripts, screenshots, logs help)
      * how it affects the use of the project: the attack surface
      * which other projects or dependencies are involved

    Just answer this mail. If your report says so already, there is no need to.

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    Our OpenPGP key is
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

/// Encrypted to a key that the desk does not have.
#[test]
fn an_acknowledgement_of_what_could_not_be_opened() {
    let desk = Desk::new();
    let inside = "Content-Type: text/plain\n\nIt crashes.\n";
    let mail = desk.encrypted_mail_to(SAMS, inside, "nora@example.net", "sam@example.com");
    insta::assert_snapshot!(acknowledged(&desk, &mail), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <sam@example.com>
    Subject: Auto: [EX-2026-0001] we have your report
    (encrypted and signed)

    Hello,

    thank you for writing to Example Project Security.
    Your mail has arrived and is kept as case EX-2026-0001.

    This message was written by a machine. What happens next:

      * A person of the security team answers you within 3 business days:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * You hear how we plan to investigate, and of possible workarounds:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    Your mail is encrypted or built in a way that our desk cannot open by
    itself. It is kept as it is. Please send it again, encrypted to our key,
    which is named below.

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    To write to us encrypted, use our OpenPGP key
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

/// A mail of 80 MB, of which the desk read the header.
#[test]
fn an_acknowledgement_of_what_is_too_large() {
    let desk = Desk::new();
    let header = REPORT.split("\n\n").next().unwrap();
    desk.receives_header(&format!("{header}\n\n"), 80_000_000);
    insta::assert_snapshot!(one(&desk, "acknowledgement"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    (signed)

    Hello,

    thank you for writing to Example Project Security.
    Your mail has arrived and is kept as case EX-2026-0001.

    This message was written by a machine. What happens next:

      * A person of the security team answers you within 3 business days:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * You hear how we plan to investigate, and of possible workarounds:
        by Wednesday, 25 November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    Your mail is larger than our desk takes in by itself. A person looks at it
    in the mailbox; a smaller mail (a link, or compressed logs) helps us.

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    To write to us encrypted, use our OpenPGP key
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

/// One of something is said as one.
#[test]
fn a_promise_of_one_day() {
    let within = |language: &str, before: &str| {
        let desk = Desk::builder().desk(&format!("language = \"{language}\""));
        let desk = desk.policy("first_response = \"1 business day\"").open();
        let text = acknowledged(&desk, REPORT);
        text.split(before).nth(1).unwrap().split(" PST").next().unwrap().to_owned()
    };
    insta::assert_snapshot!(within("en", "answers you "), @"
    within 1 business day:
        by Monday, 23 November 2026, 23:59
    ");
    insta::assert_snapshot!(within("de", "antwortet Ihnen "), @"
    innerhalb von 1 Werktag:
        bis Montag, 23. November 2026, 23:59
    ");
}

#[test]
fn a_german_acknowledgement() {
    let desk = Desk::builder().desk("language = \"de\"").time_zone("Europe/Berlin").policy(PROCESS).open();
    insta::assert_snapshot!(acknowledged(&desk, REPORT), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] Ihre Meldung ist angekommen
    (signed)

    Guten Tag,

    danke für Ihre Nachricht an Example Project Security.
    Sie ist angekommen und wird als Fall EX-2026-0001 geführt.

    Diese Antwort hat eine Maschine geschrieben. So geht es weiter:

      * Ein Mensch aus dem Sicherheitsteam antwortet Ihnen innerhalb von 24 Stunden:
        bis Sonntag, 22. November 2026, 00:00 CET
        (2026-11-21 23:00 UTC).
      * Sie erfahren, wie wir der Sache nachgehen, und was man bis dahin tun kann:
        bis Montag, 23. November 2026, 23:59 CET
        (2026-11-23 22:59 UTC).
      * Der ganze Ablauf: https://example.org/SECURITY.md

    Damit wir Ihre Meldung schneller verstehen, hilft uns noch:

      * wie es sich nachstellen lässt (Skripte, Bildschirmfotos, Protokolle)
      * wie es die Nutzung des Projekts betrifft: wer kann es ausnutzen
      * welche anderen Projekte oder Bibliotheken beteiligt sind

    Antworten Sie einfach auf diese Nachricht. Steht es schon in Ihrer Meldung,
    ist nichts weiter nötig.

    Fehler ohne Auswirkung auf die Sicherheit gehören in die öffentliche Liste:
    https://example.org/issues

    Bitte antworten Sie in diesem Mailwechsel, und bitte behandeln Sie die Sache
    vertraulich, bis wir mit Ihnen einen Zeitpunkt vereinbart haben.

    Um uns verschlüsselt zu schreiben, nehmen Sie unseren OpenPGP-Schlüssel
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

/// A desk that has no zone of its own.
#[test]
fn a_german_acknowledgement_in_utc() {
    let desk = Desk::builder().desk("language = \"de\"").time_zone("UTC").open();
    insta::assert_snapshot!(acknowledged(&desk, WHOLE_REPORT), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] Ihre Meldung ist angekommen
    (signed)

    Guten Tag,

    danke für Ihre Nachricht an Example Project Security.
    Sie ist angekommen und wird als Fall EX-2026-0001 geführt.

    Diese Antwort hat eine Maschine geschrieben. So geht es weiter:

      * Ein Mensch aus dem Sicherheitsteam antwortet Ihnen innerhalb von 3 Werktagen:
        bis Mittwoch, 25. November 2026, 23:59 UTC.
      * Sie erfahren, wie wir der Sache nachgehen, und was man bis dahin tun kann:
        bis Mittwoch, 25. November 2026, 23:59 UTC.

    Bitte antworten Sie in diesem Mailwechsel, und bitte behandeln Sie die Sache
    vertraulich, bis wir mit Ihnen einen Zeitpunkt vereinbart haben.

    Um uns verschlüsselt zu schreiben, nehmen Sie unseren OpenPGP-Schlüssel
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

#[test]
fn a_german_acknowledgement_of_what_could_not_be_opened() {
    let desk = Desk::builder().desk("language = \"de\"").open();
    let inside = "Content-Type: text/plain\n\nIt crashes.\n";
    let mail = desk.encrypted_mail_to(SAMS, inside, "nora@example.net", "sam@example.com");
    insta::assert_snapshot!(acknowledged(&desk, &mail), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <sam@example.com>
    Subject: Auto: [EX-2026-0001] Ihre Meldung ist angekommen
    (encrypted and signed)

    Guten Tag,

    danke für Ihre Nachricht an Example Project Security.
    Sie ist angekommen und wird als Fall EX-2026-0001 geführt.

    Diese Antwort hat eine Maschine geschrieben. So geht es weiter:

      * Ein Mensch aus dem Sicherheitsteam antwortet Ihnen innerhalb von 3 Werktagen:
        bis Mittwoch, 25. November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * Sie erfahren, wie wir der Sache nachgehen, und was man bis dahin tun kann:
        bis Mittwoch, 25. November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    Ihre Nachricht ist so verschlüsselt oder aufgebaut, dass sie sich hier nicht
    automatisch öffnen lässt. Sie wird aufbewahrt, wie sie ist. Bitte senden Sie
    sie noch einmal, verschlüsselt mit unserem Schlüssel, der unten steht.

    Bitte antworten Sie in diesem Mailwechsel, und bitte behandeln Sie die Sache
    vertraulich, bis wir mit Ihnen einen Zeitpunkt vereinbart haben.

    Um uns verschlüsselt zu schreiben, nehmen Sie unseren OpenPGP-Schlüssel
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

#[test]
fn a_german_acknowledgement_of_what_is_too_large() {
    let desk = Desk::builder().desk("language = \"de\"").open();
    desk.receives_header(&format!("{}\n\n", REPORT.split("\n\n").next().unwrap()), 80_000_000);
    insta::assert_snapshot!(one(&desk, "acknowledgement"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] Ihre Meldung ist angekommen
    (signed)

    Guten Tag,

    danke für Ihre Nachricht an Example Project Security.
    Sie ist angekommen und wird als Fall EX-2026-0001 geführt.

    Diese Antwort hat eine Maschine geschrieben. So geht es weiter:

      * Ein Mensch aus dem Sicherheitsteam antwortet Ihnen innerhalb von 3 Werktagen:
        bis Mittwoch, 25. November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).
      * Sie erfahren, wie wir der Sache nachgehen, und was man bis dahin tun kann:
        bis Mittwoch, 25. November 2026, 23:59 PST
        (2026-11-26 07:59 UTC).

    Ihre Nachricht ist zu groß, um automatisch aufgenommen zu werden. Ein Mensch
    sieht sie sich dort an, wo sie liegt; eine kleinere Nachricht (ein Verweis,
    gepackte Protokolle) hilft uns.

    Bitte antworten Sie in diesem Mailwechsel, und bitte behandeln Sie die Sache
    vertraulich, bis wir mit Ihnen einen Zeitpunkt vereinbart haben.

    Um uns verschlüsselt zu schreiben, nehmen Sie unseren OpenPGP-Schlüssel
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
}

/// Rita asks at this time.
fn status(desk: &Desk, at: &str) -> String {
    desk.receives(REPORT);
    desk.clock_to(at);
    desk.letters();
    desk.receives(STATUS);
    one(desk, "status")
}

#[test]
fn a_status_in_time() {
    insta::assert_snapshot!(status(&Desk::new(), "2026-11-21T10:00:00Z"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] status
    (signed)

    Hello,

    you asked for the status of case EX-2026-0001. This message was written by
    a machine.

    Stage:  received; it is with the security team
    Next:   a person of the security team answers you, by
            Wednesday, 25 November 2026, 23:59 PST (2026-11-26 07:59 UTC)

    To write to the team, just answer this mail.

    --
    Example Project Security
    security@example.org
    "#);
}

/// Every promise is broken.
#[test]
fn a_status_when_it_is_late() {
    insta::assert_snapshot!(status(&Desk::new(), "2026-12-24T10:00:00Z"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] status
    (signed)

    Hello,

    you asked for the status of case EX-2026-0001. This message was written by
    a machine.

    Stage:  received; it is with the security team
    Due:    the first answer of a person of the security team,
            since Wednesday, 25 November 2026, 23:59 PST (2026-11-26 07:59 UTC).
            If you have not had it, we are late, and sorry.

    To write to the team, just answer this mail.

    --
    Example Project Security
    security@example.org
    "#);
}

#[test]
fn a_german_status() {
    let desk = || Desk::builder().desk("language = \"de\"").time_zone("Europe/Berlin").open();
    insta::assert_snapshot!(status(&desk(), "2026-11-21T10:00:00Z"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] Stand
    (signed)

    Guten Tag,

    Sie haben nach dem Stand von Fall EX-2026-0001 gefragt. Diese Antwort hat
    eine Maschine geschrieben.

    Stand:     eingegangen; Ihre Meldung liegt beim Sicherheitsteam
    Weiter:    ein Mensch aus dem Sicherheitsteam antwortet Ihnen, bis
               Mittwoch, 25. November 2026, 23:59 CET (2026-11-25 22:59 UTC)

    Um dem Team zu schreiben, antworten Sie einfach auf diese Nachricht.

    --
    Example Project Security
    security@example.org
    "#);
    insta::assert_snapshot!(status(&desk(), "2026-12-24T10:00:00Z"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] Stand
    (signed)

    Guten Tag,

    Sie haben nach dem Stand von Fall EX-2026-0001 gefragt. Diese Antwort hat
    eine Maschine geschrieben.

    Stand:     eingegangen; Ihre Meldung liegt beim Sicherheitsteam
    Fällig:    die erste Antwort eines Menschen aus dem Sicherheitsteam,
               seit Mittwoch, 25. November 2026, 23:59 CET (2026-11-25 22:59 UTC).
               Haben Sie nichts gehört, sind wir zu spät; das tut uns leid.

    Um dem Team zu schreiben, antworten Sie einfach auf diese Nachricht.

    --
    Example Project Security
    security@example.org
    "#);
}

#[test]
fn a_german_status_in_utc() {
    let desk = Desk::builder().desk("language = \"de\"").time_zone("UTC").open();
    insta::assert_snapshot!(status(&desk, "2026-11-21T10:00:00Z"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: Auto: [EX-2026-0001] Stand
    (signed)

    Guten Tag,

    Sie haben nach dem Stand von Fall EX-2026-0001 gefragt. Diese Antwort hat
    eine Maschine geschrieben.

    Stand:     eingegangen; Ihre Meldung liegt beim Sicherheitsteam
    Weiter:    ein Mensch aus dem Sicherheitsteam antwortet Ihnen, bis
               Mittwoch, 25. November 2026, 23:59 UTC

    Um dem Team zu schreiben, antworten Sie einfach auf diese Nachricht.

    --
    Example Project Security
    security@example.org
    "#);
}

/// Sam asks inside the encryption, and is answered there.
#[test]
fn an_encrypted_status() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(SAMS, "Content-Type: text/plain\n\nIt crashes.\n"));
    desk.letters();
    let again = SAMS.replace("s-1@", "s-2@") + "\nIn-Reply-To: <s-1@example.com>";
    desk.receives(&desk.encrypted_mail(&again, "Content-Type: text/plain\n\nStatus?\n"));
    insta::assert_snapshot!(one(&desk, "status"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <sam@example.com>
    Subject: Auto: [EX-2026-0001] status
    (encrypted and signed)

    Hello,

    you asked for the status of case EX-2026-0001. This message was written by
    a machine.

    Stage:  received; it is with the security team
    Next:   a person of the security team answers you, by
            Wednesday, 25 November 2026, 23:59 PST (2026-11-26 07:59 UTC)

    To write to the team, just answer this mail.

    --
    Example Project Security
    security@example.org
    "#);
}

/// The relay of the mail that asked says what its author was told.
#[test]
fn a_relay_of_a_mail_that_asks_for_the_status() {
    let desk = Desk::new();
    desk.receives(REPORT);
    desk.letters();
    desk.receives(STATUS);
    insta::assert_snapshot!(one(&desk, "relay"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      "Ada Coordinator" <ada@example.org>
    Subject: [EX-2026-0001] Re: Crash
    (encrypted and signed)

    follow-up in case EX-2026-0001

    From:        Rita Reporter <rita@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Re: Crash
    Kind:        reply
    Encryption:  none: the mail came in the clear
    Signature:   none
    Answer:      where the case stands (EX-2026-0001.3), as its author asked
    Lacks:       steps, surface, other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    status
    "#);
}

/// Otto has no certificate: Ada reads which letter waits, he himself only that letters do.
#[test]
fn warnings() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.receives(REPORT);
    desk.clock_to("2026-11-20T23:15:00Z");
    let letters = desk.letters();
    let warnings: Vec<_> = letters.iter().filter(|letter| letter.kind == "warning").collect();
    let read: Vec<String> = warnings.iter().map(|letter| read(&desk, letter)).collect();
    insta::assert_snapshot!(read.join("\n========\n\n"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      "Ada Coordinator" <ada@example.org>
    Subject: [Example Project Security] 2 things need a person
    (encrypted and signed)

    The desk needs a person:

      * letters to otto@example.org are held: there is no certificate to encrypt them to
      * the relay EX-2026-0001.3 to otto@example.org is held: no certificate for otto@example.org

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check

    ========

    From:    "Example Project Security" <security@example.org>
    To:      "Otto Coordinator" <otto@example.org>
    Subject: [Example Project Security] 1 thing needs a person
    (signed)

    The desk needs a person:

      * letters to otto@example.org are held: there is no certificate to encrypt them to

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check
    "#);
}

#[test]
fn a_warning_of_a_flood() {
    let desk = Desk::builder().toml("[limits]\nper_hour = 1\n").open();
    desk.receives(REPORT);
    desk.letters();
    desk.clock_to("2026-11-20T23:15:00Z");
    insta::assert_snapshot!(one(&desk, "warning"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      "Ada Coordinator" <ada@example.org>
    Subject: [Example Project Security] 1 thing needs a person
    (encrypted and signed)

    The desk needs a person:

      * automatic answers have stopped (limit: 1 answer within this hour); acknowledgements wait: psirtd outbox

    Letters that wait: psirtd outbox. A certificate is replaced in the
    configuration, which psirtd reads when it starts; then the letter goes with:
    psirtd outbox release LETTER
    The desk as a whole: psirtd check
    "#);
}

#[test]
fn a_digest() {
    let desk = Desk::new();
    let scan = "From: scan@example.net\nSubject: 3 findings\nMessage-ID: <scan@example.net>\nAuto-Submitted: auto-generated\n\nA heap overflow.\n";
    desk.receives(scan);
    desk.clock_to("2026-11-20T23:30:00Z");
    desk.receives(
        &scan
            .replace("auto-generated", "auto-replied")
            .replace("<scan@", "<away@")
            .replace("3 findings", "I am away"),
    );
    desk.letters();
    desk.clock_to("2026-11-21T17:00:00Z");
    insta::assert_snapshot!(one(&desk, "digest"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      "Ada Coordinator" <ada@example.org>
    Subject: [Example Project Security] 2 not answered
    (encrypted and signed)

    These mails got no automatic answer since the last list. Is there a report
    among them? Then its author may have heard nothing yet.

    2026-11-20 23:00Z  EX-2026-0001  automatic, notification
        From:    scan@example.net
        Subject: 3 findings
        Why:     auto-submitted: auto-generated
        Answer:  psirtd outbox release EX-2026-0001.1

    2026-11-20 23:30Z  (no case)  automatic, vacation
        From:    scan@example.net
        Subject: I am away
        Why:     auto-submitted: auto-replied
    "#);
}

/// With addresses of their own, letters of a case are answered under them; those of the desk itself are not.
#[test]
fn letters_are_answered_under_an_address_of_their_own() {
    let desk = Desk::builder().desk("plus_address = true").otto_without_certificate().open();
    desk.receives(REPORT);
    desk.clock_to("2026-11-20T23:15:00Z");
    let letters = desk.letters();
    for letter in &letters {
        let id = letter.header("Message-ID").unwrap();
        let token = id.trim_start_matches("<psirtd.").split('@').next().unwrap();
        let address = format!("\"Example Project Security\" <security+{token}@example.org>");
        let expected = (letter.kind != "warning").then_some(address.as_str());
        let found = (letter.header("Reply-To"), letter.protected("Reply-To"));
        assert_eq!(found, (expected, expected), "{}", letter.kind);
    }
    let of_a_case = letters.iter().filter(|letter| letter.kind != "warning").count();
    assert_eq!((letters.len(), of_a_case), (4, 2));
}

/// A desk says it in its own words, and in its language where it has none.
#[test]
fn a_template_of_ones_own() {
    let desk = Desk::builder().desk("language = \"de\"\ntemplates = \"templates\"").open();
    // it is found by the next start
    fs::create_dir(desk.dir().join("templates")).unwrap();
    fs::write(desk.dir().join("templates/status.txt"), "Subject: {{ case }}\n\nIt is {{ phase }}.\n")
        .unwrap();
    desk.restarts();
    desk.receives(REPORT);
    assert!(one(&desk, "acknowledgement").contains("Guten Tag,"));
    desk.receives(STATUS);
    insta::assert_snapshot!(one(&desk, "status"), @r#"
    From:    "Example Project Security" <security@example.org>
    To:      <rita@example.net>
    Subject: EX-2026-0001
    (signed)

    It is received.
    "#);
}

/// What the check of a template takes for granted is there when the letter is written.
#[test]
fn every_variable_is_there_when_a_letter_is_written() {
    let desk = Desk::builder().desk("templates = \"templates\"").otto_without_certificate().open();
    fs::create_dir(desk.dir().join("templates")).unwrap();
    for kind in KINDS {
        let sample = serde_json::to_value(sample(kind)).unwrap();
        let fields = sample.as_object().unwrap().keys();
        let text: String = fields.map(|field| format!("{field} {{{{ {field} }}}}\n")).collect();
        let file = desk.dir().join(format!("templates/{}.txt", kind.word()));
        fs::write(file, format!("Subject: {}\n\n{text}", kind.word())).unwrap();
    }
    desk.restarts();
    desk.receives(REPORT);
    desk.receives(STATUS);
    desk.receives(
        "From: scan@example.net\nMessage-ID: <scan@example.net>\nAuto-Submitted: auto-generated\n\nx\n",
    );
    desk.clock_to("2026-11-21T17:00:00Z");
    let written: BTreeSet<String> = desk
        .letters()
        .iter()
        .map(|letter| {
            assert_eq!(letter.protected("Subject"), Some(letter.kind.as_str()));
            letter.kind.clone()
        })
        .collect();
    assert_eq!(written, KINDS.map(|kind| kind.word().to_owned()).into());
}
