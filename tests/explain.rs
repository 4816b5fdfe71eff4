//! What `psirtd explain` tells of mails that people and machines write: forty of them, by hand.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{err, key, out, psirtd};

const CONFIG: &str = r#"
[desk]
name = "Example Project Security"
address = "security@example.org"
case_prefix = "EX"
key = "desk.key.asc"
state = "state"
plus_address = true

[inbox]
own_lists = ["security@lists.example.org"]

[inbox.authentication]
authserv_id = ["mx.example.org"]

[inbox.maildir]
path = "inbox"

[outbox.maildir]
path = "outbox"

[policy]
supported = ["0.12", "0.11"]

[distributors]
address = "distributors@example.org"

[[person]]
name = "Ada"
address = "ada@example.org"
roles = ["coordinator"]
cert = "ada.asc"
"#;

const KINDS: [&str; 8] = ["report", "reply", "command", "automatic", "bounce", "list", "membership", "junk"];

fn desk() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("desk.key.asc"), key("Desk", "security@example.org")).unwrap();
    fs::write(dir.path().join("ada.asc"), key("Ada", "ada@example.org")).unwrap();
    fs::write(dir.path().join("psirtd.toml"), CONFIG).unwrap();
    dir
}

/// What is told of each mail, in their order.
fn explained(dir: &Path, mails: &[String]) -> Vec<Value> {
    let names: Vec<String> = (0..mails.len()).map(|number| format!("{number}.eml")).collect();
    for (name, mail) in names.iter().zip(mails) {
        fs::write(dir.join(name), mail).unwrap();
    }
    let mut arguments = vec!["--config", "psirtd.toml", "explain", "--json"];
    arguments.extend(names.iter().map(String::as_str));
    let output = psirtd(dir, &arguments);
    assert!(output.status.success(), "{}", err(&output));
    out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A mail to the desk: who wrote it, further fields, its text.
fn mail(from: &str, fields: &str, text: &str) -> String {
    let subject = if fields.contains("Subject:") { "" } else { "Subject: Heap overflow in the parser\n" };
    let to = if fields.contains("To:") { "" } else { "To: security@example.org\n" };
    let fields = if fields.is_empty() { String::new() } else { format!("{fields}\n") };
    format!("From: {from}\n{to}{subject}Message-ID: <1@example.net>\n{fields}\n{text}\n")
}

/// From Rita, who writes what people write.
fn rita(fields: &str) -> String {
    mail("rita@example.net", fields, "A crafted file makes it write behind a buffer.")
}

/// Somebody's program answers while he is away, or so it seems.
fn away(fields: &str, text: &str) -> String {
    mail("vera@example.net", fields, text)
}

/// `multipart/report` of that type.
fn machine_report(from: &str, subject: &str, report: &str, status: &str) -> String {
    let fields = format!(
        "Subject: {subject}\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type={report}; boundary=b"
    );
    let text = format!(
        "--b\n\nThis is what became of your mail.\n--b\nContent-Type: message/{report}\n\n{status}\n--b--"
    );
    mail(from, &fields, &text)
}

fn dmarc(result: &str) -> String {
    format!(
        "Authentication-Results: mx.example.org; {result}\nReceived: from x.example by mx.example.org; Fri, 20 Nov 2026 15:00:00 +0000"
    )
}

/// Name, mail, kind and sort, why there is or is not an answer, doubt.
type Row = (&'static str, String, &'static str, &'static str, &'static str);

const ANSWERED: &str =
    "a case, and an acknowledgement to rita@example.net: one author, and no sign of a machine";
const READS_LIKE_A_NOTE: &str = "a case, but no answer: reads like an automatic reply";

fn people() -> Vec<Row> {
    let list = "List-Id: Security <security.lists.example.org>\nPrecedence: list";
    let pgp = "MIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b";
    let ciphertext = "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\n\
         -----BEGIN PGP MESSAGE-----\n\nhF4DAAAAAAAAAAASAQdA\n=AAAA\n-----END PGP MESSAGE-----\n--b--";
    vec![
        ("a person", rita(""), "report", ANSWERED, ""),
        ("a person whom nobody vouches for", rita(&dmarc("spf=pass")), "report", ANSWERED, ""),
        ("dmarc=pass", rita(&dmarc("dmarc=pass header.from=example.net")), "report", ANSWERED, ""),
        (
            "dmarc=fail",
            rita(&dmarc("dmarc=fail header.from=example.net")),
            "report",
            "a case, but no answer: dmarc=fail for example.net by mx.example.org",
            "",
        ),
        (
            "dmarc=fail of somebody whose word does not count",
            rita("Authentication-Results: mx.example.com; dmarc=fail header.from=example.net"),
            "report",
            ANSWERED,
            "",
        ),
        ("through an own list", rita(list), "report", ANSWERED, ""),
        (
            "rewritten by an own list",
            mail(
                "Rita via Security <security@lists.example.org>",
                &format!("{list}\nReply-To: Rita <rita@example.net>"),
                "It crashes.",
            ),
            "report",
            ANSWERED,
            "",
        ),
        (
            "rewritten by an own list that names nobody",
            mail("Rita via Security <security@lists.example.org>", list, "It crashes."),
            "report",
            "a case, but no answer: from the desk itself",
            "",
        ),
        (
            "From names two",
            mail("rita@example.net, sam@example.com", "", "It crashes."),
            "report",
            "a case, but no answer: From names 2 mailboxes",
            "",
        ),
        (
            "From names nobody",
            mail("", "", "It crashes."),
            "report",
            "a case, but no answer: From names 0 mailboxes",
            "",
        ),
        (
            "encrypted, and nobody has the key",
            mail("rita@example.net", pgp, ciphertext),
            "report",
            ANSWERED,
            "",
        ),
        // explain knows no mail but this one: in the mailbox it would be a reply, or somebody else's ciphertext
        ("in the thread of an unknown mail", rita("In-Reply-To: <2@example.net>"), "report", ANSWERED, ""),
        (
            "speaks of bounces",
            rita("Subject: Re: Undelivered Mail Returned to Sender"),
            "report",
            ANSWERED,
            "",
        ),
        (
            "a member of the team reports",
            mail("ada@example.org", "", "It crashes."),
            "report",
            "a case, and an acknowledgement to ada@example.org: one author, and no sign of a machine",
            "",
        ),
        (
            "a member of the team commands",
            mail("ada@example.org", "", "\n!take"),
            "command",
            "neither case nor answer: a command",
            "",
        ),
        ("a stranger commands", mail("rita@example.net", "", "!take"), "report", ANSWERED, ""),
        (
            "a distributor wants to join",
            rita("To: distributors@example.org"),
            "membership",
            "a case, and what is understood and missing, to rita@example.net: a request to join the list",
            "",
        ),
        (
            "to the distributors, and to the desk",
            rita("To: distributors@example.org, security@example.org"),
            "report",
            ANSWERED,
            "",
        ),
        ("junk", rita("X-Spam-Flag: YES"), "junk", "a case, but no answer: marked as junk", ""),
        ("not junk", rita("X-Spam-Status: No, score=-1"), "report", ANSWERED, ""),
        (
            "a mailing list of others",
            rita("List-Id: <devel.example.com>"),
            "list",
            "a case, but no answer: list-id",
            "",
        ),
        (
            "51 servers",
            rita(&["Received: by x.example"; 51].join("\n")),
            "report",
            "a case, but no answer: 51 hops: a mail loop",
            "",
        ),
    ]
}

fn machines() -> Vec<Row> {
    let in_subject = |subject: &str| away(&format!("Subject: {subject}"), "I answer when I am back.");
    vec![
        (
            "vacation, as RFC 3834 wants it",
            away("Auto-Submitted: auto-replied", "I am away."),
            "automatic vacation",
            "neither case nor answer: auto-submitted: auto-replied",
            "",
        ),
        (
            "vacation in English",
            in_subject("Out of office: Heap overflow"),
            "automatic vacation",
            READS_LIKE_A_NOTE,
            "it reads like an absence note (English: “out of office”)",
        ),
        (
            "vacation in German",
            in_subject("Abwesenheitsnotiz: Heap overflow"),
            "automatic vacation",
            READS_LIKE_A_NOTE,
            "it reads like an absence note (German: “abwesenheitsnotiz”)",
        ),
        (
            "vacation in French",
            in_subject("=?utf-8?Q?R=C3=A9ponse_automatique?= : Heap overflow"),
            "automatic vacation",
            READS_LIKE_A_NOTE,
            "it reads like an absence note (French: “réponse automatique”)",
        ),
        (
            "vacation in Spanish",
            in_subject("=?utf-8?Q?Respuesta_autom=C3=A1tica?=: Heap overflow"),
            "automatic vacation",
            READS_LIKE_A_NOTE,
            "it reads like an absence note (Spanish: “respuesta automática”)",
        ),
        (
            "vacation in Japanese",
            in_subject("=?utf-8?B?6Ieq5YuV5b+c562U?=: Heap overflow"),
            "automatic vacation",
            READS_LIKE_A_NOTE,
            "it reads like an absence note (Japanese: “自動応答”)",
        ),
        (
            "vacation by its text alone",
            away("", "Ich bin derzeit nicht im Büro."),
            "report",
            READS_LIKE_A_NOTE,
            "it reads like an absence note (German: “ich bin derzeit nicht im büro”)",
        ),
        (
            "vacation with a header of another age",
            away("Subject: Out of office: Heap overflow\nPrecedence: junk", "I am away."),
            "automatic vacation",
            "neither case nor answer: precedence: junk",
            "it reads like an absence note (English: “out of office”)",
        ),
        (
            "a bounce",
            machine_report(
                "MAILER-DAEMON@mx.example.net",
                "Undelivered Mail Returned to Sender",
                "delivery-status",
                "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; gone@example.net\nAction: failed\nStatus: 5.1.1",
            ),
            "bounce",
            "neither case nor answer: multipart/report: delivery-status",
            "",
        ),
        (
            "a receipt",
            machine_report(
                "vera@example.net",
                "Read: your report",
                "disposition-notification",
                "Final-Recipient: rfc822; vera@example.net\nDisposition: manual-action/MDN-sent-manually; displayed",
            ),
            "automatic receipt",
            "neither case nor answer: multipart/report: disposition-notification",
            "",
        ),
        (
            "a complaint",
            machine_report(
                "abuse@isp.example",
                "Abuse report",
                "feedback-report",
                "Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1",
            ),
            "automatic complaint",
            "neither case nor answer: multipart/report: feedback-report",
            "",
        ),
        (
            "null return-path",
            format!("Return-Path: <>\n{}", rita("")),
            "automatic notification",
            "a case, but no answer: null return-path",
            "",
        ),
        (
            "a scanner",
            rita("Auto-Submitted: auto-generated"),
            "automatic notification",
            "a case, but no answer: auto-submitted: auto-generated",
            "",
        ),
        (
            "a robot's address",
            mail("no-reply@scanner.example", "", "It crashes."),
            "report",
            "a case, but no answer: robot address: no-reply",
            "",
        ),
        (
            "wants no answer",
            rita("X-Auto-Response-Suppress: All"),
            "report",
            "a case, but no answer: x-auto-response-suppress: all",
            "",
        ),
        (
            "the desk itself",
            mail("Security@Example.org", "", "It crashes."),
            "report",
            "a case, but no answer: from the desk itself",
            "",
        ),
        (
            "the address of a letter",
            mail("security+0123456789abcdef0123456789abcdef@example.org", "", "It crashes."),
            "report",
            "a case, but no answer: from the desk itself",
            "",
        ),
        (
            "the distributors' list",
            mail("distributors@example.org", "", "It crashes."),
            "report",
            "a case, but no answer: from the desk itself",
            "",
        ),
        (
            "a ticket system",
            mail("help@example.com", "RT-Ticket: example.com #12\nPrecedence: bulk", "A new ticket."),
            "automatic ticket",
            "a case, but no answer: precedence: bulk",
            "",
        ),
        (
            "a help desk without any header",
            mail("help@example.com", "", "We have received your request. Your ticket number is 12."),
            "report",
            "a case, but no answer: reads like a help desk's receipt",
            "it reads like a help desk's receipt (English: “we have received your request”)",
        ),
        (
            "Bugzilla",
            mail(
                "bugzilla@bugs.example.com",
                "Subject: [Bug 12] New: Heap overflow\nX-Bugzilla-Reason: CC\nX-Bugzilla-Type: new",
                "It crashes.",
            ),
            "automatic ticket",
            "a case, but no answer: ticket system: x-bugzilla-reason",
            "",
        ),
        (
            "GitHub",
            mail(
                "Rita <notifications@github.com>",
                "List-ID: example/parser <parser.example.github.com>\nX-GitHub-Reason: mention\nPrecedence: list",
                "It crashes.",
            ),
            "list",
            "a case, but no answer: list-id",
            "",
        ),
        (
            "a bounty platform",
            mail(
                "Bounties <no-reply@bounty.example>",
                "Subject: [report #12] Heap overflow\nFeedback-ID: 1:bounty",
                "Rita submitted a report.",
            ),
            "automatic notification",
            "a case, but no answer: feedback-id",
            "",
        ),
    ]
}

#[test]
fn one_line_says_why_there_is_an_answer_or_none() {
    let rows = [people(), machines()].concat();
    let mails: Vec<String> = rows.iter().map(|(_, mail, ..)| mail.clone()).collect();
    let seen = explained(desk().path(), &mails);
    assert_eq!(seen.len(), rows.len());
    let mut wrong = Vec::new();
    for ((name, _, kind, because, doubt), seen) in rows.iter().zip(&seen) {
        let text = |key: &str| seen[key].as_str().unwrap_or_default();
        let told = (
            [text("kind"), text("sort")].join(" ").trim().to_owned(),
            text("because"),
            text("doubt"),
            (&seen["opens_case"], &seen["answer"]),
        );
        let answer = because.starts_with("a case, and ");
        let opens = json!(because.starts_with("a case, "));
        if told != ((*kind).to_owned(), because, doubt, (&opens, &json!(answer))) {
            wrong.push(format!("{name}\n  {told:?}\n  instead of {kind}: {because} ({doubt})"));
        }
        assert!(KINDS.contains(&text("kind")), "{name}: {seen}");
        assert_eq!(seen["why_no_answer"].is_null(), answer, "{name}: {seen}");
        let letters = seen["letters"].as_array().unwrap().iter();
        let is_answer = |kind: &serde_json::Value| kind == "acknowledgement" || kind == "membership";
        let answers = letters.filter(|letter| is_answer(&letter["kind"])).count();
        assert_eq!(answers, usize::from(answer), "{name}: {seen}");
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn a_person_reads_the_same_line() {
    let dir = desk();
    fs::write(dir.path().join("a.eml"), rita("X-Spam-Flag: YES")).unwrap();
    let sheet = out(&psirtd(dir.path(), &["--config", "psirtd.toml", "explain", "a.eml"]));
    assert!(sheet.lines().any(|line| line == "a.eml: a case, but no answer: marked as junk"), "{sheet}");
}

#[test]
fn explain_says_what_a_report_tells_and_lacks() {
    let poor = mail("rita@example.net", "Subject: hello", "There is a hole.");
    let good = mail(
        "Rita Reporter <rita@example.net>",
        "Subject: SQL injection in version 0.11.2",
        "Steps to reproduce:\n1. send the request below\n\nAn unauthenticated visitor reads every table; the library libfoo is \
         involved. It is on Twitter already. Python 3.11 was used.",
    );
    let old = mail(
        "rita@example.net",
        "Subject: hello",
        "My name is Rita. Versions 0.8 and 0.9.1 hang when the file below is uploaded. This is a feature request, too.",
    );
    let seen = explained(desk().path(), &[poor, good, old]);
    let told = |seen: &Value| ["present", "missing", "hints", "versions"].map(|key| seen[key].clone());
    assert_eq!(
        told(&seen[0]),
        [
            json!({}),
            json!(["identity", "steps", "effects", "surface", "other-projects"]),
            json!({}),
            json!([])
        ]
    );
    assert_eq!(
        told(&seen[1]),
        [
            json!({
                "identity": "From: Rita Reporter", "steps": "to reproduce", "effects": "inject*",
                "surface": "unauthenticated", "other-projects": "the library"
            }),
            json!([]),
            json!({ "public": "on twitter", "priority": "sql injection" }),
            json!([{ "number": "0.11.2", "supported": true }])
        ]
    );
    assert_eq!(
        told(&seen[2]),
        [
            json!({ "identity": "my name is", "effects": "hang*" }),
            json!(["steps", "surface", "other-projects"]),
            json!({ "availability": "hang*", "not-security": "feature request", "unsupported": "0.8, 0.9.1" }),
            json!([{ "number": "0.8", "supported": false }, { "number": "0.9.1", "supported": false }])
        ]
    );
}
