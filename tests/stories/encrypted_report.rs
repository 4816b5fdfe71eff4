//! Sam and Nora report encrypted. The desk holds Sam's certificate, and none of Nora's.

use crate::support::desk::{Desk, pgp_mime};

const SAM_OUTSIDE: &str = "\
From: Sam Secret <sam@example.com>
To: security@example.org
Subject: ...
Date: Fri, 20 Nov 2026 22:58:00 +0000
Message-ID: <s-1@example.com>";

const NORA_OUTSIDE: &str = "\
From: Nora Newcomer <nora@example.net>
To: security@example.org
Subject: ...
Date: Fri, 20 Nov 2026 22:58:00 +0000
Message-ID: <n-1@example.net>";

const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Subject: Session tokens are predictable

The session tokens are made from the clock: remote attackers can guess them.
PoC: log in and try. No other project is involved.
";

/// His signature is good, so the desk's answer is for his eyes only.
#[test]
fn sam_is_answered_encrypted() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(SAM_OUTSIDE, INSIDE));
    insta::assert_snapshot!(desk.snapshot(), @r#"
    ======== acknowledgement EX-2026-0001.1 to sam@example.com, encrypted and signed
    From: "Example Project Security" <security@example.org>
    To: <sam@example.com>
    Subject: [...]
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <s-1@example.com>
    References: <s-1@example.com>
    Auto-Submitted: auto-replied
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="boundary-1"
    -------- encrypted and signed:
    From: "Example Project Security" <security@example.org>
    To: <sam@example.com>
    Subject: Auto: [EX-2026-0001] we have your report
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <s-1@example.com>
    References: <s-1@example.com>
    Auto-Submitted: auto-replied
    HP-Outer: From: "Example Project Security" <security@example.org>
    HP-Outer: To: <sam@example.com>
    HP-Outer: Subject: [...]
    HP-Outer: Date: Fri, 20 Nov 2026 23:00:00 +0000
    HP-Outer: Message-ID: <letter-1>
    HP-Outer: In-Reply-To: <s-1@example.com>
    HP-Outer: References: <s-1@example.com>
    HP-Outer: Auto-Submitted: auto-replied
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="cipher"
    Content-Transfer-Encoding: 7bit

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

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    Our OpenPGP key is
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org

    ======== relay EX-2026-0001.2 to ada@example.org, encrypted and signed
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [...]
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-2>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="boundary-2"
    -------- encrypted and signed:
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [EX-2026-0001] Session tokens are predictable
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-2>
    Auto-Submitted: auto-generated
    HP-Outer: From: "Example Project Security" <security@example.org>
    HP-Outer: To: "Ada Coordinator" <ada@example.org>
    HP-Outer: Subject: [...]
    HP-Outer: Date: Fri, 20 Nov 2026 23:00:00 +0000
    HP-Outer: Message-ID: <letter-2>
    HP-Outer: Auto-Submitted: auto-generated
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="cipher"
    Content-Transfer-Encoding: quoted-printable

    new report in case EX-2026-0001

    From:        Sam Secret <sam@example.com>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Session tokens are predictable
    Kind:        report
    Encryption:  the whole mail was encrypted to the desk
    Signature:   good, over the whole mail, made 2026-11-20 23:00Z
    Signed by:   [fingerprint of sam], pinned
    Hint:        priority (predictable)
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    The session tokens are made from the clock: remote attackers can guess them.
    PoC: log in and try. No other project is involved.
    "#);
}

/// What was encrypted stays so: the subject is not on the disk, and nobody who lists the cases reads it.
#[test]
fn sams_subject_is_not_kept() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(SAM_OUTSIDE, INSIDE));
    assert_eq!(desk.cases()[0]["subject"], serde_json::Value::Null);
}

/// Nobody knows how to encrypt to Nora: the answer is readable on the way, and therefore says nothing of her mail.
#[test]
fn nora_is_answered_in_the_clear() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail(NORA_OUTSIDE, INSIDE));
    let letters = desk.letters();
    insta::assert_snapshot!(desk.shown(&letters[0]), @r#"
    ======== acknowledgement EX-2026-0001.1 to nora@example.net, signed
    From: "Example Project Security" <security@example.org>
    To: <nora@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <n-1@example.net>
    References: <n-1@example.net>
    Auto-Submitted: auto-replied
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/signed; micalg="pgp-sha512"; protocol="application/pgp-signature"; boundary="boundary-1"
    -------- signed:
    From: "Example Project Security" <security@example.org>
    To: <nora@example.net>
    Subject: Auto: [EX-2026-0001] we have your report
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    In-Reply-To: <n-1@example.net>
    References: <n-1@example.net>
    Auto-Submitted: auto-replied
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="clear"
    Content-Transfer-Encoding: 7bit

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

    Please answer in this thread, and please keep the matter confidential until
    we have agreed on a date with you.

    Our OpenPGP key is
    [fingerprint of security]

    [public key of the desk]

    --
    Example Project Security
    security@example.org
    "#);
    let acknowledgement = String::from_utf8(letters[0].raw.clone()).unwrap().to_lowercase();
    for hers in ["session", "token", "predictable", "clock", "guess"] {
        assert!(!acknowledgement.contains(hers), "{hers}");
    }
    insta::assert_snapshot!(desk.redacted(&letters[1].text()), @"
    new report in case EX-2026-0001

    From:        Nora Newcomer <nora@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Session tokens are predictable
    Kind:        report
    Encryption:  the whole mail was encrypted to the desk
    Signature:   by a key not held for this sender
    Signed by:   [fingerprint of a subkey of nora]
    Hint:        priority (predictable)
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    The session tokens are made from the clock: remote attackers can guess them.
    PoC: log in and try. No other project is involved.
    ");
}

/// Her next mail program sends her certificate along (Autocrypt): now she is answered encrypted. Her signature is right, but
/// not good: a certificate that comes with a mail proves nothing about whose it is.
#[test]
fn nora_offers_her_certificate() {
    let desk = Desk::new();
    let key = desk.autocrypt_key("nora@example.net");
    let outside = format!("Autocrypt: addr=nora@example.net; keydata={key}\n{NORA_OUTSIDE}");
    desk.receives(&desk.encrypted_mail(&outside, INSIDE));
    let letters = desk.letters();
    assert_eq!((letters[0].kind.as_str(), letters[0].encrypted), ("acknowledgement", true));
    let relay = desk.redacted(&letters[1].text());
    assert!(relay.contains("Signature:   right, by the certificate that this mail brings along"), "{relay}");
    assert!(relay.contains("Signed by:   [fingerprint of nora], first seen"), "{relay}");
}

/// A certificate for another address than the one in From opens no door.
#[test]
fn nora_offers_the_certificate_of_somebody_else() {
    let desk = Desk::new();
    let key = desk.autocrypt_key("otto@example.org");
    let outside = format!("Autocrypt: addr=nora@example.net; keydata={key}\n{NORA_OUTSIDE}");
    desk.receives(&desk.encrypted_mail(&outside, INSIDE));
    insta::assert_snapshot!(desk.outgoing(), @r"
    acknowledgement to nora@example.net (signed; <letter-1>; answers <n-1@example.net>): Auto: [EX-2026-0001] we have your report
    relay to ada@example.org (encrypted; <letter-2>; answers nothing): [EX-2026-0001] Session tokens are predictable
    ");
}

/// Nora signs a mail that says it is Sam's.
#[test]
fn a_signature_by_another_is_not_sams() {
    let desk = Desk::new();
    desk.receives(&desk.encrypted_mail_to(SAM_OUTSIDE, INSIDE, "security@example.org", "nora@example.net"));
    let relay = desk.letters().remove(1).text();
    let signature = relay.lines().find(|line| line.starts_with("Signature:")).unwrap();
    insta::assert_snapshot!(desk.redacted(signature), @"Signature:   by a key not held for this sender");
}

/// The report is encrypted to Ada's key instead of the desk's. The desk cannot open it, and loses nothing of it: it asks to
/// send it again, and Ada gets the ciphertext.
#[test]
fn a_report_the_desk_cannot_open() {
    let desk = Desk::new();
    let mail = desk.encrypted_mail_to(SAM_OUTSIDE, INSIDE, "ada@example.org", "sam@example.com");
    desk.receives(&mail);
    let letters = desk.letters();
    insta::assert_snapshot!(desk.redacted(&letters[0].text()), @"
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
    ");
    let attachments = letters[1].attachments();
    let size = format!("{} bytes", attachments[0].1.len());
    insta::assert_snapshot!(desk.shown(&letters[1]).replace(&size, "N bytes"), @r#"
    ======== relay EX-2026-0001.2 to ada@example.org, encrypted and signed
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [...]
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply
    Autocrypt: addr=security@example.org; keydata=[public key of the desk]
    MIME-Version: 1.0
    Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="boundary-1"
    -------- encrypted and signed:
    From: "Example Project Security" <security@example.org>
    To: "Ada Coordinator" <ada@example.org>
    Subject: [EX-2026-0001] ...
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    Auto-Submitted: auto-generated
    HP-Outer: From: "Example Project Security" <security@example.org>
    HP-Outer: To: "Ada Coordinator" <ada@example.org>
    HP-Outer: Subject: [...]
    HP-Outer: Date: Fri, 20 Nov 2026 23:00:00 +0000
    HP-Outer: Message-ID: <letter-1>
    HP-Outer: Auto-Submitted: auto-generated
    Content-Type: multipart/mixed; protected-headers="v1"; hp="cipher"; boundary="boundary-2"

    ---- part
    Content-Type: text/plain; charset="utf-8"
    Content-Transfer-Encoding: quoted-printable

    new report in case EX-2026-0001

    From:        Sam Secret <sam@example.com>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     ...
    Kind:        report
    Encryption:  encrypted, and the desk could not open it
    Signature:   none
    Certificate: [fingerprint of sam], pinned
    Not opened:  no secret key for this message
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)
    Attached:    encrypted.asc (application/octet-stream, N bytes)

    ------------------------------------------------------ the mail ------

    (no readable text)
    ---- part
    Content-Type: application/octet-stream; name="encrypted.asc"
    Content-Disposition: attachment; filename="encrypted.asc"
    Content-Transfer-Encoding: base64

    [N bytes]
    "#);
    assert_eq!(attachments.len(), 1);
    let kept = String::from_utf8(attachments[0].1.clone()).unwrap().replace("\r\n", "\n");
    assert!(kept.starts_with("-----BEGIN PGP MESSAGE-----"));
    assert!(mail.contains(kept.trim()), "the ciphertext as it came");
    assert_eq!(desk.cases().len(), 1);
}

/// Somebody changed the ciphertext on its way: nothing of it is believed.
#[test]
fn a_damaged_ciphertext() {
    let desk = Desk::new();
    let ciphertext = desk.encrypted_mail(SAM_OUTSIDE, INSIDE);
    let armor = &ciphertext[ciphertext.find("-----BEGIN PGP").unwrap()..ciphertext.find("--pgp--").unwrap()];
    let mut lines: Vec<&str> = armor.lines().collect();
    lines.retain(|line| !line.starts_with('=')); // the checksum of the armor
    let middle = lines.len() / 2;
    let changed: String = lines[middle].chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    lines[middle] = &changed;
    desk.receives(&pgp_mime(SAM_OUTSIDE, &lines.join("\n")));
    let letters = desk.letters();
    let relay = letters[1].text();
    // in which words depends on what GnuPG happened to write there
    assert!(
        relay.contains(
            "
Not opened:  "
        ),
        "{relay}"
    );
    assert!(!relay.contains("session tokens"));
    assert_eq!(letters[1].attachments().len(), 1);
}

/// Sam's program encrypts bare text, where a MIME entity should be: its first line is no header, and not lost.
#[test]
fn bare_text_is_encrypted() {
    let desk = Desk::new();
    let bare = "Note: the tokens are guessable.\n\nSteps: try the clock.\n";
    desk.receives(&desk.encrypted_mail(SAM_OUTSIDE, bare));
    let relay = desk.letters().remove(1).text();
    assert!(relay.trim_end().ends_with(&format!("------\n\n{}", bare.trim_end())), "{relay}");
}
