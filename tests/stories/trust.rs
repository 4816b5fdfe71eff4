//! What the organisation's own server says about senders: whom it calls forged is not answered, and nothing of his is lost.

use crate::support::desk::Desk;
use psirtd::control::Question;
use serde_json::json;

/// What these stories look at in a relay.
const NAMES: [&str; 6] = ["UNVERIFIED", "From:", "Kind:", "Sender:", "Signature:", "Answer:"];

/// The server in front of the mailbox is mx.example.org.
const BORDER: &str = "[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\n";
/// Behind it there is a content filter.
const BORDER_AND_FILTER: &str =
    "[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\nreceived_by = \"mx.example.org\"\n";
const EXCHANGE: &str = "[inbox.authentication]\nform = \"exchange-online\"\n";

const BY_THE_BORDER: &str = "\
Received: from mail.example.net (mail.example.net [192.0.2.7])
 by mx.example.org (Postfix) with ESMTPS id 4XyZ; Fri, 20 Nov 2026 22:59:00 +0000
";
const BY_THE_FILTER: &str = "\
Received: from mx.example.org (mx.example.org [198.51.100.1])
 by filter.example.org with ESMTP id 17; Fri, 20 Nov 2026 22:59:01 +0000
";
const BY_ITS_SENDER: &str = "\
Received: from laptop.example.net (laptop.example.net [192.0.2.99])
 by mail.example.net with ESMTPSA id 1; Fri, 20 Nov 2026 22:58:00 +0000
";

/// The field of a server that checked a mail whose From is at example.net.
fn results(server: &str, dmarc: &str) -> String {
    format!(
        "Authentication-Results: {server};\n\tspf=pass smtp.mailfrom=rita@example.net;\n\
         \tdmarc={dmarc} (p=reject dis=none) header.from=example.net\n"
    )
}

fn ours(dmarc: &str) -> String {
    results("mx.example.org", dmarc)
}

/// Rita's report below these fields.
fn report(trace: &str) -> String {
    format!(
        "{trace}From: Rita Reporter <rita@example.net>\nTo: security@example.org\nSubject: Heap overflow\n\
         Message-ID: <r-1@example.net>\n\nA crafted tile makes the parser write behind its buffer.\n"
    )
}

/// What goes out for a mail.
fn told(config: &str, mail: &str) -> String {
    let desk = Desk::builder().toml(config).open();
    desk.receives(mail);
    assert_eq!(desk.cases().len(), 1);
    desk.told(&NAMES)
}

#[test]
fn her_domain_stands_behind_her_mail() {
    insta::assert_snapshot!(told(BORDER, &report(&(ours("pass") + BY_THE_BORDER + BY_ITS_SENDER))), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=pass for example.net by mx.example.org
        Signature:   none
    ");
}

/// Her domain says nothing about its mail, as most of them.
#[test]
fn her_domain_says_nothing() {
    insta::assert_snapshot!(told(BORDER, &report(&(ours("none") + BY_THE_BORDER))), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=none for example.net by mx.example.org
        Signature:   none
    ");
}

#[test]
fn her_domain_says_that_it_is_forged() {
    let desk = Desk::builder().toml(BORDER).open();
    desk.receives(&report(&(ours("fail") + BY_THE_BORDER + BY_ITS_SENDER)));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    let why = "dmarc=fail for example.net by mx.example.org";
    assert_eq!(case["mail_list"][0]["trust"], json!({ "verdict": "fail", "why": why }));
    assert_eq!(case["not_acknowledged"], why);
    desk.ask(&Question::Release("EX-2026-0001.1".to_owned()));
    insta::assert_snapshot!(desk.outgoing(), @"acknowledgement to rita@example.net (signed; <letter-1>; answers <r-1@example.net>): Auto: [EX-2026-0001] we have your report");
}

#[test]
fn a_desk_that_answers_all_the_same() {
    let config = format!("{BORDER}answer_failing = true\n");
    insta::assert_snapshot!(told(&config, &report(&(ours("fail") + BY_THE_BORDER))), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
    ");
}

/// Whoever wrote the mail wrote that our server had found it genuine.
#[test]
fn a_forged_field_below_the_border() {
    let forged = ours("pass");
    // our server found otherwise
    let mail = report(&(ours("fail") + BY_THE_BORDER + &forged + BY_ITS_SENDER));
    insta::assert_snapshot!(told(BORDER, &mail), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    // our server said nothing
    let mail = report(&(BY_THE_BORDER.to_owned() + BY_ITS_SENDER + &forged));
    insta::assert_snapshot!(told(BORDER, &mail), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      no Authentication-Results of mx.example.org
        Signature:   none
    ");
}

/// With a filter behind the border, the border's own field stands below two servers' names.
#[test]
fn a_filter_behind_the_border() {
    let mail = |dmarc: &str, forged: &str| {
        let trace = [BY_THE_FILTER, &ours(dmarc), BY_THE_BORDER, BY_ITS_SENDER, forged].concat();
        report(&trace)
    };
    insta::assert_snapshot!(told(BORDER_AND_FILTER, &mail("fail", "")), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    assert_eq!(
        told(BORDER_AND_FILTER, &mail("fail", &ours("pass"))),
        told(BORDER_AND_FILTER, &mail("fail", "")),
        "what is below does not count"
    );
    // a mail that never passed the border
    let inside = report(&(ours("fail") + BY_THE_FILTER));
    insta::assert_snapshot!(told(BORDER_AND_FILTER, &inside), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      no Received by mx.example.org
        Signature:   none
    ");
}

/// Another server's word is nobody's.
#[test]
fn a_field_of_another_server() {
    let mail = report(&(results("mx.example.com", "fail") + BY_THE_BORDER));
    insta::assert_snapshot!(told(BORDER, &mail), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      no Authentication-Results of mx.example.org
        Signature:   none
    ");
    // and it does not hide ours
    let mail = report(&(results("mx.example.com", "pass") + &ours("fail") + BY_THE_BORDER));
    insta::assert_snapshot!(told(BORDER, &mail), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
}

/// Microsoft's servers name nobody, and put their names above what they found.
#[test]
fn exchange_online() {
    let found = |dmarc: &str| {
        format!(
            "Received: from BN1.example.prod.outlook.com (2603::1) by BN2.example.prod.outlook.com (2603::2);\n \
             Fri, 20 Nov 2026 22:59:02 +0000\n\
             Received: from EDGE.example.prod.outlook.com (2603::3) by BN1.example.prod.outlook.com (2603::1);\n \
             Fri, 20 Nov 2026 22:59:01 +0000\n\
             Authentication-Results: spf=fail (sender IP is 192.0.2.7)\n smtp.mailfrom=example.net; dkim=none (message not signed)\n \
             header.d=none;dmarc={dmarc} action=oreject\n header.from=example.net;compauth=fail reason=000\n\
             {BY_ITS_SENDER}"
        )
    };
    insta::assert_snapshot!(told(EXCHANGE, &report(&found("fail"))), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by Exchange Online
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by Exchange Online)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    insta::assert_snapshot!(told(EXCHANGE, &report(&found("bestguesspass"))), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=bestguesspass for example.net by Exchange Online
        Signature:   none
    ");
    // what another server wrote on its way in
    insta::assert_snapshot!(told(EXCHANGE, &report(&(ours("fail") + BY_THE_BORDER))), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      no Authentication-Results of Exchange Online
        Signature:   none
    ");
}

/// Nobody said whose word counts: nobody's does, and nothing is said about it.
#[test]
fn a_desk_that_asks_nobody() {
    let desk = Desk::new();
    desk.receives(&report(&(ours("fail") + BY_THE_BORDER)));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
    ");
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    assert_eq!(case["mail_list"][0]["trust"], json!(null));
}

const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"
Subject: Session tokens are predictable

The session tokens are made from the clock.
";

/// A mail from Sam that his domain disowns, signed by this key.
fn sams(desk: &Desk, fields: &str, signer: &str) -> String {
    let results = ours("fail").replace("example.net", "example.com");
    let outside =
        format!("{results}{BY_THE_BORDER}From: Sam Secret <sam@example.com>\nSubject: ...\n{fields}");
    desk.encrypted_mail_to(&outside, INSIDE, "security@example.org", signer)
}

/// A server on the way broke what his domain checks; the desk knows his key better.
#[test]
fn a_good_signature_says_more() {
    let desk = Desk::builder().toml(BORDER).open();
    desk.receives(&sams(&desk, "Message-ID: <s-1@example.com>", "sam@example.com"));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to sam@example.com (encrypted)
    relay to ada@example.org (encrypted)
        From:        Sam Secret <sam@example.com>
        Kind:        report
        Sender:      dmarc=fail for example.com by mx.example.org
        Signature:   good, over the whole mail, made 2026-11-20 23:00Z
    ");
    desk.receives(&sams(&desk, "Message-ID: <s-2@example.com>", "nora@example.net"));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        Sam Secret <sam@example.com>
        Kind:        report
        Sender:      dmarc=fail for example.com by mx.example.org
        Signature:   by a key not held for this sender
        Answer:      none was sent (dmarc=fail for example.com by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0002.1
    ");
}

/// Somebody knows the thread of Rita's report and writes in her name.
#[test]
fn a_forged_mail_in_her_thread() {
    let desk = Desk::builder().toml(BORDER).open();
    desk.receives(&report(&(ours("pass") + BY_THE_BORDER)));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=pass for example.net by mx.example.org
        Signature:   none
    ");
    let reply = |dmarc: &str, number: u32| {
        format!(
            "{}{BY_THE_BORDER}From: Rita Reporter <rita@example.net>\nSubject: Re: Heap overflow\n\
             Message-ID: <r-{number}@example.net>\nIn-Reply-To: <r-1@example.net>\n\nstatus\n",
            ours(dmarc)
        )
    };
    desk.receives(&reply("fail", 2));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        UNVERIFIED follow-up in case EX-2026-0001
        From:        Rita Reporter <rita@example.net>
        Kind:        reply
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
    ");
    assert_eq!(desk.cases().len(), 1);
    let mail =
        |number: usize| desk.ask(&Question::Case("EX-2026-0001".to_owned()))["mail_list"][number].clone();
    assert_eq!((&mail(0)["pending"], &mail(1)["pending"]), (&json!(false), &json!(true)));
    // she herself is answered
    desk.receives(&reply("pass", 3));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    status to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        reply
        Sender:      dmarc=pass for example.net by mx.example.org
        Signature:   none
        Answer:      where the case stands (EX-2026-0001.4), as its author asked
    ");
}

/// His domain disowns his second mail, too; his key does not.
#[test]
fn a_signed_mail_in_his_thread() {
    let desk = Desk::builder().toml(BORDER).open();
    desk.receives(&sams(&desk, "Message-ID: <s-1@example.com>", "sam@example.com"));
    desk.receives(&sams(
        &desk,
        "Message-ID: <s-2@example.com>\nIn-Reply-To: <s-1@example.com>",
        "sam@example.com",
    ));
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    assert_eq!(case["mail_list"][1]["pending"], false);
}

/// A forwarder broke one copy of her report, and the other came directly: she is answered.
#[test]
fn a_copy_that_looks_forged() {
    let desk = Desk::builder().toml(BORDER).open();
    desk.receives(&(report(&(ours("fail") + BY_THE_BORDER)) + "\n--\nforwarded by example.com\n"));
    desk.receives(&report(&(ours("pass") + BY_THE_BORDER)));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0001.1
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        reply
        Sender:      dmarc=pass for example.net by mx.example.org
        Signature:   none
    ");
    assert_eq!(desk.cases().len(), 1);
}

/// The desk's own list writes in its own name: what our server says is about the list, and nothing about Rita. A list that writes
/// in hers makes her mail look forged.
#[test]
fn behind_an_own_list() {
    let config = format!("[inbox]\nown_lists = [\"security@lists.example.org\"]\n{BORDER}");
    let list = "List-Id: <security.lists.example.org>\nReply-To: Rita Reporter <rita@example.net>\n";
    let rewritten =
        report(&(ours("pass").replace("example.net", "lists.example.org") + BY_THE_BORDER + list)).replace(
            "From: Rita Reporter <rita@example.net>",
            "From: Rita via Security <security@lists.example.org>",
        );
    insta::assert_snapshot!(told(&config, &rewritten), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=pass is for lists.example.org, not for example.net
        Signature:   none
    ");
    insta::assert_snapshot!(told(&config, &report(&(ours("fail") + BY_THE_BORDER + list))), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Sender:      dmarc=fail for example.net by mx.example.org
        Signature:   none
        Answer:      none was sent (dmarc=fail for example.net by mx.example.org)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
}
