//! What is in a mail reaches Ada whole, and does nothing on its way.

use crate::support::desk::Desk;

/// There is no plain text: Ada gets its words, and the original as an attachment that no program opens by itself.
#[test]
fn html_only() {
    let desk = Desk::new();
    let html = "<html><body><p>A <b>heap</b> overflow.</p><script>alert(1)</script>\
                <img src=\"https://tracker.example/pixel\"></body></html>";
    desk.receives(&format!(
        "\
From: Rita Reporter <rita@example.net>
Subject: Heap overflow
Message-ID: <html-1@example.net>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

{html}
"
    ));
    let letters = desk.letters();
    insta::assert_snapshot!(desk.shown(&letters[1]), @r#"
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
    Subject: [EX-2026-0001] Heap overflow
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

    From:        Rita Reporter <rita@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Heap overflow
    Kind:        report
    Encryption:  none: the mail came in the clear
    Signature:   none
    Hint:        priority (heap overflow)
    Lacks:       steps, surface, other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)
    Attached:    body.html (application/octet-stream, 124 bytes)

    ------------------------------------------------------ the mail ------

    A heap overflow.
    ---- part
    Content-Type: application/octet-stream; name="body.html"
    Content-Disposition: attachment; filename="body.html"
    Content-Transfer-Encoding: base64

    [124 bytes]
    "#);
    let attachments = letters[1].attachments();
    assert_eq!(attachments[0].0, "body.html");
    assert_eq!(String::from_utf8(attachments[0].1.clone()).unwrap().trim_end(), html);
}

/// A name that would climb out of a folder, and one that would end its line. The bytes arrive as they were sent.
#[test]
fn attachments_with_hostile_names() {
    let desk = Desk::new();
    desk.receives(
        "\
From: Rita Reporter <rita@example.net>
Subject: =?utf-8?Q?Heap_overflow=0D=0ABcc:_everybody@example.com?=
Message-ID: <names-1@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"b\"

--b

See the files.
--b
Content-Type: application/octet-stream; name=\"../../etc/passwd\"
Content-Disposition: attachment; filename=\"../../etc/passwd\"
Content-Transfer-Encoding: base64

AAECAwQF/w==
--b
Content-Type: text/html; name=\"=?utf-8?Q?a=0D=0AX-Evil:_yes=0D=0A=0D=0Abody.html?=\"
Content-Disposition: attachment; filename=\"=?utf-8?Q?a=0D=0AX-Evil:_yes=0D=0A=0D=0Abody.html?=\"
Content-Transfer-Encoding: base64

PHNjcmlwdD4=
--b
Content-Type: text/plain; charset=utf-8
Content-Disposition: attachment; filename*=utf-8''..%5C..%5Cautoexec%E2%80%AEtxt.bat
Content-Transfer-Encoding: base64

ZWNobyBoaQ0KZWNobyBoYQo=
--b--
",
    );
    let letters = desk.letters();
    insta::assert_snapshot!(desk.shown(&letters[1]), @r#"
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
    Subject: [EX-2026-0001] Heap overflow Bcc: everybody@example.com
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

    From:        Rita Reporter <rita@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Heap overflow Bcc: everybody@example.com
    Kind:        report
    Encryption:  none: the mail came in the clear
    Signature:   none
    Hint:        priority (heap overflow)
    Lacks:       other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)
    Attached:    ../../etc/passwd (application/octet-stream, 7 bytes)
                 a X-Evil: yes body.html (text/html, 8 bytes)
                 ..\..\autoexectxt.bat (text/plain, 17 bytes)

    ------------------------------------------------------ the mail ------

    See the files.
    ---- part
    Content-Type: application/octet-stream; name="passwd"
    Content-Disposition: attachment; filename="passwd"
    Content-Transfer-Encoding: base64

    [7 bytes]
    ---- part
    Content-Type: application/octet-stream; name="a X-Evil: yes body.html"
    Content-Disposition: attachment; filename="a X-Evil: yes body.html"
    Content-Transfer-Encoding: base64

    [8 bytes]
    ---- part
    Content-Type: application/octet-stream; name="autoexectxt.bat"
    Content-Disposition: attachment; filename="autoexectxt.bat"
    Content-Transfer-Encoding: base64

    [17 bytes]
    "#);
    let bytes: Vec<Vec<u8>> = letters[1].attachments().into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, [&b"\x00\x01\x02\x03\x04\x05\xff"[..], b"<script>", b"echo hi\r\necho ha\n"]);
    for letter in &letters {
        assert!(letter.header("Bcc").is_none() && letter.protected("Bcc").is_none());
        for (name, _) in letter.attachments() {
            assert!(
                !name.contains(['/', '\\', '\r', '\n', '\u{202e}']) && !name.starts_with('.'),
                "{name:?}"
            );
        }
    }
}

/// A From with a display name that pretends to be a header.
#[test]
fn a_hostile_display_name() {
    let desk = Desk::new();
    desk.receives(
        "\
From: =?utf-8?Q?Rita=0D=0ABcc:_everybody@example.com=0D=0A?= <rita@example.net>
Subject: Heap overflow
Message-ID: <from-1@example.net>

A heap overflow.
",
    );
    let letters = desk.letters();
    assert_eq!(letters[0].header("Bcc"), None);
    insta::assert_snapshot!(letters[0].header("To").unwrap(), @"<rita@example.net>");
}

/// Nothing that a mail reader would call a mail; Ada sees it all the same, without what would play with her terminal.
#[test]
fn rubbish_becomes_a_case() {
    let desk = Desk::new();
    desk.receives_bytes(b"\x00\xff\xfe heap overflow \x1b[2J");
    insta::assert_snapshot!(desk.snapshot(), @r#"
    ======== relay EX-2026-0001.1 to ada@example.org, encrypted and signed
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
    Subject: [EX-2026-0001] (no subject)
    Date: Fri, 20 Nov 2026 23:00:00 +0000
    Message-ID: <letter-1>
    Auto-Submitted: auto-generated
    HP-Outer: From: "Example Project Security" <security@example.org>
    HP-Outer: To: "Ada Coordinator" <ada@example.org>
    HP-Outer: Subject: [...]
    HP-Outer: Date: Fri, 20 Nov 2026 23:00:00 +0000
    HP-Outer: Message-ID: <letter-1>
    HP-Outer: Auto-Submitted: auto-generated
    Content-Type: text/plain; charset="utf-8"; protected-headers="v1"; hp="cipher"
    Content-Transfer-Encoding: quoted-printable

    new report in case EX-2026-0001

    From:        nobody: the mail names no author
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     (none)
    Kind:        report
    Encryption:  none: the mail came in the clear
    Signature:   none
    Noticed:     no header that a mail would have: all of it is taken for text
    Answer:      none was sent (From names 0 mailboxes)
    Hint:        priority (heap overflow)
    Lacks:       identity, steps, surface, other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    �� heap overflow [2J
    "#);
    desk.receives_bytes(b"");
    assert_eq!(desk.cases().len(), 2);
}

/// mail-parser takes mails in mails apart without a limit, and forgets them by recursion: the process died of it.
#[test]
fn a_hundred_thousand_mails_in_each_other() {
    let desk = Desk::new();
    let head = "From: rita@example.net\r\nMessage-ID: <deep@example.net>\r\n";
    for (number, frame) in
        ["Content-Type: message/rfc822\r\n\r\n", "content-type: MESSAGE / (c)\r\n\tGLOBAL\n\n"]
            .iter()
            .enumerate()
    {
        let mut mail = head.replace("deep", &format!("deep-{number}"));
        mail += &frame.repeat(100_000);
        desk.receives_bytes(mail.as_bytes());
        assert_eq!(desk.cases().len(), number + 1);
    }
}

/// A few kilobytes of zeros, packed, were unpacked as often as they stood in the mail, until the memory was full.
#[test]
fn a_mail_that_unpacks_to_gigabytes() {
    let desk = Desk::new();
    let bomb = compressed(&vec![0; 50 << 20]);
    let mail =
        "From: rita@example.net\r\nMessage-ID: <bomb@example.net>\r\n\r\n".to_owned() + &bomb.repeat(16);
    desk.receives_bytes(mail.as_bytes());
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
    assert!(relay.contains("Not opened:  it unpacks to more than its size allows"), "{relay}");
}

/// An OpenPGP message that is compressed only.
fn compressed(text: &[u8]) -> String {
    use sequoia_openpgp::serialize::stream::{Armorer, Compressor, LiteralWriter, Message};
    use std::io::Write;
    let mut sink = Vec::new();
    let message =
        Armorer::new(Message::new(&mut sink)).kind(sequoia_openpgp::armor::Kind::Message).build().unwrap();
    let message =
        Compressor::new(message).algo(sequoia_openpgp::types::CompressionAlgorithm::Zip).build().unwrap();
    let mut message = LiteralWriter::new(message).build().unwrap();
    message.write_all(text).unwrap();
    message.finalize().unwrap();
    String::from_utf8(sink).unwrap()
}

/// The acknowledgement asked for what a report lacks: whoever sent a ciphertext of somebody else learnt what it says.
#[test]
fn an_acknowledgement_tells_nothing_about_a_ciphertext() {
    let desk = Desk::new();
    let acknowledgement = |number: usize, text: &str| {
        let outside =
            format!("From: Nora <nora@example.net>\nSubject: ...\nMessage-ID: <n-{number}@example.net>");
        let mail = desk.encrypted_mail(&outside, &format!("Content-Type: text/plain\n\n{text}\n"));
        desk.receives(&mail);
        let letters = desk.letters();
        let letter = letters.iter().find(|letter| letter.kind == "acknowledgement").unwrap();
        letter.text().replace(&format!("EX-2026-000{number}"), "CASE")
    };
    let nothing = acknowledgement(1, "Hello.");
    let much = acknowledgement(
        2,
        "I am a researcher. Steps to reproduce: 1. A remote attacker can crash the library.",
    );
    assert_eq!(nothing, much);
}

#[test]
fn an_acknowledgement_shows_no_name_that_its_reader_may_not_have_written() {
    let desk = Desk::new();
    let ids: String = (0..100).map(|n| format!(" <{n}@example.net>\n")).collect();
    desk.receives(&format!(
        "From: Buy now at evil.example <rita@example.net>\nReferences:{ids}Message-ID: <r@example.net>\n\nHello.\n"
    ));
    let letter = desk.letters().remove(0);
    assert_eq!(letter.header("To"), Some("<rita@example.net>"));
    assert!(!String::from_utf8_lossy(&letter.raw).contains("evil.example"));
    assert_eq!(letter.header("References").unwrap().split_whitespace().count(), 20);
}

/// The form that is not shown brought an attachment along, under the signature of the one that is.
#[test]
fn a_signed_text_does_not_vouch_for_the_attachments_of_its_other_form() {
    let desk = Desk::new();
    let outside = "From: sam@example.com\nMessage-ID: <s@example.com>";
    let mail = desk.encrypted_mail(outside, "A heap overflow.\n");
    let (from, to) = (mail.find("-----BEGIN PGP").unwrap(), mail.find("-----END PGP").unwrap());
    let signed = format!("{}-----END PGP MESSAGE-----\n", &mail[from..to]);
    desk.receives(&format!(
        "From: Sam <sam@example.com>\nMessage-ID: <s@example.com>\n\
         Content-Type: multipart/alternative; boundary=a\n\n--a\n\n{signed}\n--a\n\
         Content-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\n<p>x\n--r\n\
         Content-Type: application/pdf; name=\"evil.pdf\"\nContent-Disposition: attachment\n\nevil\n--r--\n--a--\n"
    ));
    let letters = desk.letters();
    let relay = letters.iter().find(|letter| letter.kind == "relay").unwrap().text();
    assert!(relay.contains("Signature:   right, but over a part of the mail only"), "{relay}");
}

/// Sequoia panics when an encrypted packet ends too early.
#[test]
fn a_ciphertext_cut_short_is_acknowledged() {
    let desk = Desk::new();
    let outside = "From: rita@example.net\nSubject: cut\nMessage-ID: <cut@example.net>";
    let whole = desk.encrypted_mail_to(outside, "Hello.\n", "security@example.org", "nora@example.net");
    let (head, armor) = whole.split_once("MESSAGE-----\n").unwrap();
    let lines: Vec<&str> = armor.lines().skip_while(|line| !line.is_empty()).skip(1).collect();
    for kept in 1..lines.len() {
        let mail = format!("{head}MESSAGE-----\n\n{}\n-----END PGP MESSAGE-----\n", lines[..kept].join("\n"));
        desk.receives(&mail.replace("cut@", &format!("cut-{kept}@")));
        let kinds: Vec<String> = desk.letters().into_iter().map(|letter| letter.kind).collect();
        assert_eq!(kinds, ["acknowledgement", "relay"], "{kept} lines");
    }
}
