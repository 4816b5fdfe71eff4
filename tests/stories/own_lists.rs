//! The desk behind a mailing list of its own: Rita writes to the list, and it is Rita who is answered.

use crate::support::desk::Desk;
use psirtd::control::Question;

/// What these stories look at in a relay.
const NAMES: [&str; 5] = ["From:", "Kind:", "Signature:", "Noticed:", "Answer:"];

/// The desk's address is a Google Group.
const BEHIND_GOOGLE: &str = "[inbox]\nown_lists = [\"security@example.org\"]\n";
const BEHIND_MAILMAN: &str = "[inbox]\nown_lists = [\"security@lists.example.org\"]\n";

const REPORT: &str = "A crafted tile makes the parser write behind its buffer.\n";

/// What Rita's mail has as she sent it.
const HERS: &str = "\
From: Rita Reporter <rita@example.net>
To: security@example.org
Subject: Heap overflow in the tile parser
Date: Fri, 20 Nov 2026 22:58:00 +0000
Message-ID: <tile-1@example.net>
";

/// What a Google Group adds.
const GOOGLES: &str = "\
Return-Path: <security+bncBC123@example.org>
X-Original-Sender: rita@example.net
Precedence: list
Mailing-list: list security@example.org; contact security+owners@example.org
List-ID: <security.example.org>
X-Google-Group-Id: 123456789012
List-Post: <https://groups.google.com/a/example.org/group/security/post>, <mailto:security@example.org>
List-Help: <https://support.google.com/a/example.org/bin/topic.py?topic=25838>
List-Archive: <https://groups.google.com/a/example.org/group/security/>
List-Unsubscribe: <mailto:googlegroups-manage+123456789012+unsubscribe@googlegroups.com>
";

const GOOGLES_FOOTER: &str = "
--
You received this message because you are subscribed to the Google Groups \"Security\" group.
";

/// The domain of this sender forbids others to write in its name: the group writes in its own.
fn rewritten_by_google(fields: &str) -> String {
    let from = "From: \"'Rita' via Security\" <security@example.org>";
    let header = HERS.replace("From: Rita Reporter <rita@example.net>", from);
    format!("{GOOGLES}{header}{fields}\n{REPORT}{GOOGLES_FOOTER}")
}

const ORIGINALLY_RITAS: &str = "\
Reply-To: Rita Reporter <rita@example.net>
X-Original-From: Rita Reporter <rita@example.net>
";

/// What a Mailman adds.
const MAILMANS: &str = "\
Return-Path: <security-bounces@lists.example.org>
X-BeenThere: security@lists.example.org
X-Mailman-Version: 2.1.39
Precedence: list
List-Id: Security reports <security.lists.example.org>
List-Unsubscribe: <https://lists.example.org/options/security>,
 <mailto:security-request@lists.example.org?subject=unsubscribe>
List-Post: <mailto:security@lists.example.org>
List-Help: <mailto:security-request@lists.example.org?subject=help>
Errors-To: security-bounces@lists.example.org
Sender: \"Security\" <security-bounces@lists.example.org>
";

fn rewritten_by_mailman(reply_to: &str) -> String {
    let from = "From: Rita Reporter via Security <security@lists.example.org>";
    let header = HERS.replace("From: Rita Reporter <rita@example.net>", from);
    format!("{MAILMANS}{header}Reply-To: {reply_to}\n\n{REPORT}")
}

fn behind(lists: &str) -> Desk {
    Desk::builder().toml(lists).open()
}

/// What follows from one mail.
fn told(lists: &str, mail: &str) -> String {
    let desk = behind(lists);
    desk.receives(mail);
    format!("cases: {}\n{}", desk.cases().len(), desk.told(&NAMES))
}

#[test]
fn a_google_group_that_rewrites() {
    let desk = behind(BEHIND_GOOGLE);
    desk.receives(&rewritten_by_google(ORIGINALLY_RITAS));
    let letters = desk.letters();
    let acknowledgement = &letters[0];
    assert_eq!(
        (acknowledgement.header("To"), acknowledgement.header("In-Reply-To")),
        (Some("<rita@example.net>"), Some("<tile-1@example.net>"))
    );
    assert_eq!(acknowledgement.header("Cc"), None);
    insta::assert_snapshot!(letters[1].text(), @r#"
    new report in case EX-2026-0001

    From:        Rita Reporter <rita@example.net>
    Received:    Fri, 20 Nov 2026 15:00 PST (2026-11-20 23:00 UTC)
    Subject:     Heap overflow in the tile parser
    Kind:        report
    Encryption:  none: the mail came in the clear
    Signature:   none
    Noticed:     a list of the desk had written its own From: 'Rita' via Security <security@example.org>
    Hint:        priority (heap overflow)
    Lacks:       steps, surface, other-projects
    Due:         first-response by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 plan by Wed, 25 Nov 2026 23:59 PST (2026-11-26 07:59 UTC)
                 disclosure by Thu, 10 Dec 2026 23:59 PST (2026-12-11 07:59 UTC)

    ------------------------------------------------------ the mail ------

    A crafted tile makes the parser write behind its buffer.

    --
    You received this message because you are subscribed to the Google Groups "Security" group.
    "#);
    assert_eq!(letters.len(), 2);
    assert_eq!(desk.cases()[0]["reporter"], "rita@example.net");
}

/// The domain of another sender forbids nothing.
#[test]
fn a_google_group_that_does_not_rewrite() {
    let mail = format!("{GOOGLES}{HERS}\n{REPORT}{GOOGLES_FOOTER}");
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &mail), @"
    cases: 1
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
    ");
}

#[test]
fn a_mailman_that_rewrites() {
    let mail = rewritten_by_mailman("Rita Reporter <rita@example.net>");
    insta::assert_snapshot!(told(BEHIND_MAILMAN, &mail), @"
    cases: 1
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
        Noticed:     a list of the desk had written its own From: Rita Reporter via Security <security@lists.example.org>
    ");
}

/// The list may be named by what its List-Id says, as well.
#[test]
fn a_list_named_by_its_id() {
    let mail = rewritten_by_mailman("Rita Reporter <rita@example.net>");
    let by_id = BEHIND_MAILMAN.replace("security@lists", "security.lists");
    assert_eq!(told(&by_id, &mail), told(BEHIND_MAILMAN, &mail));
}

/// Reply-To names the list and Rita: who wrote the mail is not clear, so nobody is answered and a person looks.
#[test]
fn a_mailman_that_adds_itself_to_reply_to() {
    let mail = rewritten_by_mailman("security@lists.example.org, Rita Reporter <rita@example.net>");
    insta::assert_snapshot!(told(BEHIND_MAILMAN, &mail), @"
    cases: 1
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
        Noticed:     a list of the desk had written its own From: Rita Reporter via Security <security@lists.example.org>
    ");
}

/// A Microsoft 365 group passes mails on as they are, with a List-Id or without.
#[test]
fn a_microsoft_group() {
    let mail = format!("{HERS}\n{REPORT}");
    let group = "[inbox]\nown_lists = [\"security@example.onmicrosoft.com\"]\n";
    insta::assert_snapshot!(told(group, &mail), @"
    cases: 1
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
    ");
    let listed = format!("List-Id: Security <security.example.onmicrosoft.com>\n{mail}");
    assert_eq!(told(group, &listed), told(group, &mail));
}

/// The signature stands for the author whom the list hides.
#[test]
fn sams_signature_through_a_list_that_rewrites() {
    let desk = behind(BEHIND_GOOGLE);
    let outside = format!(
        "{GOOGLES}From: \"'Sam Secret' via Security\" <security@example.org>\nTo: security@example.org\n\
         Subject: ...\nMessage-ID: <s-1@example.com>\nReply-To: Sam Secret <sam@example.com>\n\
         X-Original-From: Sam Secret <sam@example.com>"
    );
    let inside = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"
From: Sam Secret <sam@example.com>
Subject: Session tokens are predictable

The session tokens are made from the clock.
";
    desk.receives(&desk.encrypted_mail_to(&outside, inside, "security@example.org", "sam@example.com"));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to sam@example.com (encrypted)
    relay to ada@example.org (encrypted)
        From:        Sam Secret <sam@example.com>
        Kind:        report
        Signature:   good, over the whole mail, made 2026-11-20 23:00Z
        Noticed:     a list of the desk had written its own From: 'Sam Secret' via Security <security@example.org>
    ");
    let case = desk.ask(&Question::Case("EX-2026-0001".to_owned()));
    assert_eq!(case["mail_list"][0]["verdict"], "good");
    assert_eq!(case["reporter"], "sam@example.com");
}

/// A mail that Sam signed and did not encrypt: the list's footer stands beside what he signed.
#[test]
fn sams_signature_beside_the_footer_of_a_list() {
    let desk = behind(BEHIND_MAILMAN);
    let signed = format!("Content-Type: text/plain; charset=utf-8\n\n{REPORT}");
    let signature = desk.signature_over(&signed, "sam@example.com");
    let mail = format!(
        "{MAILMANS}From: Sam Secret via Security <security@lists.example.org>\n\
         Reply-To: Sam Secret <sam@example.com>\nMessage-ID: <s-1@example.com>\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"list\"\n\n--list\n\
         Content-Type: multipart/signed; micalg=\"pgp-sha512\"; protocol=\"application/pgp-signature\"; \
         boundary=\"sam\"\n\n--sam\n{signed}\n--sam\n\
         Content-Type: application/pgp-signature\n\n{signature}\n--sam--\n\n--list\n\
         Content-Type: text/plain\n\nSecurity mailing list\n--list--\n"
    );
    desk.receives(&mail);
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to sam@example.com (signed)
    relay to ada@example.org (encrypted)
        From:        Sam Secret <sam@example.com>
        Kind:        report
        Signature:   right, but over a part of the mail only
        Noticed:     a list of the desk had written its own From: Sam Secret via Security <security@lists.example.org>
    ");
}

/// Nobody told the desk of its list: the report is a case, and a person may send the acknowledgement.
#[test]
fn a_list_that_is_not_configured() {
    let desk = Desk::new();
    desk.receives(&format!("{GOOGLES}{HERS}\n{REPORT}"));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        list
        Signature:   none
        Answer:      none was sent (list-id)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    desk.ask(&Question::Release("EX-2026-0001.1".to_owned()));
    insta::assert_snapshot!(desk.outgoing(), @"acknowledgement to rita@example.net (signed; <letter-1>; answers <tile-1@example.net>): Auto: [EX-2026-0001] we have your report");
}

/// And if the list hides Rita, there is nobody to answer.
#[test]
fn a_list_that_is_not_configured_and_rewrites() {
    insta::assert_snapshot!(told("", &rewritten_by_google(ORIGINALLY_RITAS)), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        'Rita' via Security <security@example.org>
        Kind:        list
        Signature:   none
        Answer:      none was sent (list-id)
    ");
}

/// The desk is subscribed to another list, too.
#[test]
fn a_foreign_list() {
    let mail = format!("{HERS}List-Id: Developers <developers.lists.example.net>\n\n{REPORT}");
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &mail), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        list
        Signature:   none
        Answer:      none was sent (list-id)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
}

/// Somebody subscribed the desk's list to another one: what the other list wrote counts, and hides whoever wrote.
#[test]
fn an_own_and_a_foreign_list() {
    let other = "List-Id: Developers <developers.lists.example.net>\n";
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &format!("{GOOGLES}{other}{HERS}\n{REPORT}")), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        list
        Signature:   none
        Answer:      none was sent (list-id)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    let rewritten = rewritten_by_google(ORIGINALLY_RITAS);
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &format!("{other}{rewritten}")), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        'Rita' via Security <security@example.org>
        Kind:        list
        Signature:   none
        Answer:      none was sent (list-id)
    ");
}

/// A mail that came through no list: its author is whom From names.
#[test]
fn x_original_from_in_a_direct_mail() {
    let direct = |from: &str, list: &str| {
        let mail = format!(
            "{list}From: {from}\nTo: security@example.org\nSubject: Heap overflow\nMessage-ID: <m-1@example.com>\n\
             {ORIGINALLY_RITAS}\n{REPORT}"
        );
        told(BEHIND_GOOGLE, &mail)
    };
    insta::assert_snapshot!(direct("Mallory <mallory@example.com>", ""), @"
    cases: 1
    acknowledgement to mallory@example.com (signed)
    relay to ada@example.org (encrypted)
        From:        Mallory <mallory@example.com>
        Kind:        report
        Signature:   none
    ");
    insta::assert_snapshot!(direct("security@example.org", ""), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        security@example.org
        Kind:        report
        Signature:   none
        Answer:      none was sent (from the desk itself)
    ");
    // not even with the list's own mark: From is not the list's
    insta::assert_snapshot!(direct("Mallory <mallory@example.com>", "List-Id: <security.example.org>\n"), @"
    cases: 1
    acknowledgement to mallory@example.com (signed)
    relay to ada@example.org (encrypted)
        From:        Mallory <mallory@example.com>
        Kind:        report
        Signature:   none
    ");
}

/// Two authors: the list says in Reply-To whom it means, or it does not.
#[test]
fn x_original_from_with_two_mailboxes() {
    let two = "X-Original-From: Rita <rita@example.net>, Sam <sam@example.com>\n";
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &rewritten_by_google(two)), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        'Rita' via Security <security@example.org>
        Kind:        report
        Signature:   none
        Answer:      none was sent (from the desk itself)
    ");
    let and_reply_to = rewritten_by_google(&format!("{two}Reply-To: Rita <rita@example.net>\n"));
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &and_reply_to), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        'Rita' via Security <security@example.org>
        Kind:        report
        Signature:   none
        Answer:      none was sent (from the desk itself)
    ");
}

/// Rita writes to the list, and to the desk in Cc: her report comes twice, once with the list's footer.
#[test]
fn a_report_comes_directly_and_through_the_list() {
    let direct = format!("{HERS}\n{REPORT}");
    let listed = rewritten_by_google(ORIGINALLY_RITAS);
    let desk = behind(BEHIND_GOOGLE);
    desk.receives(&direct);
    desk.receives(&listed);
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        reply
        Signature:   none
        Noticed:     a copy of a mail of this case, changed on its way (a list's footer?)
        Noticed:     a list of the desk had written its own From: 'Rita' via Security <security@example.org>
        Answer:      none was sent (follow-up of a case)
    ");
    assert_eq!(desk.cases().len(), 1);

    let desk = behind(BEHIND_GOOGLE);
    desk.receives(&listed);
    desk.receives(&direct);
    insta::assert_snapshot!(desk.told(&NAMES), @"
    acknowledgement to rita@example.net (signed)
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        report
        Signature:   none
        Noticed:     a list of the desk had written its own From: 'Rita' via Security <security@example.org>
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        reply
        Signature:   none
        Noticed:     a copy of a mail of this case, changed on its way (a list's footer?)
        Answer:      none was sent (follow-up of a case)
    ");
    assert_eq!(desk.cases().len(), 1);
}

/// Rita goes on writing to the list, and the list goes on writing for her.
#[test]
fn a_follow_up_through_the_list() {
    let desk = behind(BEHIND_GOOGLE);
    desk.receives(&rewritten_by_google(ORIGINALLY_RITAS));
    let id = desk.letters()[0].header("Message-ID").unwrap().to_owned();
    let fields = format!("{ORIGINALLY_RITAS}In-Reply-To: {id}\n");
    desk.receives(&rewritten_by_google(&fields).replace("tile-1@", "tile-2@").replace("behind", "before"));
    insta::assert_snapshot!(desk.told(&NAMES), @"
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        reply
        Signature:   none
        Noticed:     a list of the desk had written its own From: 'Rita' via Security <security@example.org>
        Answer:      none was sent (follow-up of a case)
    ");
    let mail = &desk.ask(&Question::Case("EX-2026-0001".to_owned()))["mail_list"][1];
    assert_eq!((&mail["from"], &mail["pending"]), (&"rita@example.net".into(), &false.into()));
}

/// The way through the list forbids an answer, the direct one does not: whichever comes first, Rita hears of it once.
#[test]
fn a_copy_that_must_not_be_answered() {
    let direct = format!("{HERS}\n{REPORT}");
    let listed = format!("List-Id: <security.example.org>\n{HERS}\n{REPORT}\n--\nSecurity mailing list\n");
    for mails in [[&listed, &direct], [&direct, &listed]] {
        let desk = Desk::new();
        for mail in mails {
            desk.receives(mail);
        }
        let letters = desk.letters();
        let acknowledgements = letters.iter().filter(|letter| letter.kind == "acknowledgement");
        assert_eq!(
            acknowledgements.map(|letter| letter.to.as_str()).collect::<Vec<_>>(),
            ["rita@example.net"]
        );
        assert_eq!(desk.cases().len(), 1);
        let again = desk.tries(&Question::Release("EX-2026-0001.1".to_owned()));
        assert!(again.is_err(), "{again:?}");
        assert_eq!(desk.outgoing(), "no letters");
    }
}

/// What the author's machine wrote is the author's doing, through whatever list it came.
#[test]
fn a_machine_behind_the_list() {
    let scanner = rewritten_by_google(&format!("{ORIGINALLY_RITAS}Auto-Submitted: auto-generated\n"));
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &scanner), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        Rita Reporter <rita@example.net>
        Kind:        automatic (notification)
        Signature:   none
        Noticed:     a list of the desk had written its own From: 'Rita' via Security <security@example.org>
        Answer:      none was sent (auto-submitted: auto-generated)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    let vacation = rewritten_by_google(&format!("{ORIGINALLY_RITAS}Auto-Submitted: auto-replied\n"));
    insta::assert_snapshot!(told(BEHIND_GOOGLE, &vacation), @"
    cases: 0
    no letters
    ");
}

/// The list itself writes to the desk: of a mail that did not arrive, and of one that waits for its moderator.
#[test]
fn the_list_itself_writes() {
    let bounce = "\
Return-Path: <>
From: mailman@lists.example.org
To: security-owner@lists.example.org
Subject: Bounce action notification
Message-ID: <mailman.1@lists.example.org>
MIME-Version: 1.0
List-Id: Security reports <security.lists.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"

--b

A subscription was disabled.
--b
Content-Type: message/delivery-status

Final-Recipient: rfc822; otto@example.org
Action: failed
--b--
";
    insta::assert_snapshot!(told(BEHIND_MAILMAN, bounce), @"
    cases: 0
    no letters
    ");
    let moderator = "\
Return-Path: <security-bounces@lists.example.org>
From: security-owner@lists.example.org
To: security-owner@lists.example.org
Subject: 1 Security moderator request(s) waiting
Message-ID: <mailman.2@lists.example.org>
Precedence: bulk
X-List-Administrivia: yes
List-Id: Security reports <security.lists.example.org>

The security@lists.example.org mailing list has 1 request(s) waiting for your consideration.
";
    insta::assert_snapshot!(told(BEHIND_MAILMAN, moderator), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        security-owner@lists.example.org
        Kind:        report
        Signature:   none
        Answer:      none was sent (robot address: security-owner)
                     to answer From: psirtd outbox release EX-2026-0001.1
    ");
    let itself = moderator.replace("From: security-owner@", "From: security@");
    insta::assert_snapshot!(told(BEHIND_MAILMAN, &itself), @"
    cases: 1
    relay to ada@example.org (encrypted)
        From:        security@lists.example.org
        Kind:        report
        Signature:   none
        Answer:      none was sent (from the desk itself)
    ");
}
