//! Mails that want to look as if Sam had signed them: his true signature, taken from another mail of his, covers something
//! that stands in this one. "Good" is for a signature over the whole mail by the one who says From.

use super::packets::{self, by, by_all, named_literal, to_desk};
use super::{MALLORY, SAM, header, mail_around, mixed, multipart, opened, people};

/// What Sam once signed.
const SIGNED: &str = "Content-Type: text/plain; charset=utf-8\n\nPlease publish it.\n";
/// What Mallory adds.
const UNSIGNED: &str = "Content-Type: text/plain\n\nOn Monday, on all lists.\n";
/// The same, for mail programs that show HTML first.
const UNSIGNED_HTML: &str = "Content-Type: text/html\n\n<p>On Monday, on all lists.</p>\n";

/// Sam's signed entity, with its frame.
fn signed() -> String {
    by(&people().sam).entity(SIGNED)
}

/// A mail whose body is this entity.
fn mail(from: &str, entity: &str) -> String {
    format!("{}\n{entity}", header(from))
}

#[track_caller]
fn assert_not_good(mail: &str, attack: &str) {
    let message = opened(mail);
    assert_ne!(message.signature.word(), "good", "{attack}: {}", message.text);
}

/// What the attacks below misuse is a signature that is good as it is.
#[test]
fn what_sam_signed_whole_is_good() {
    let message = opened(&mail(SAM, &signed()));
    assert_eq!((message.signature.word(), message.text.trim()), ("good", "Please publish it."));
    let inline =
        opened(&format!("{}\n\n{}", header(SAM), by(&people().sam).cleartext("Please publish it.\n")));
    assert_eq!(inline.signature.word(), "good");
    let inside = opened(&mail_around(SAM, &to_desk(&by(&people().sam).message(SIGNED))));
    assert_eq!((inside.signature.word(), inside.decrypted), ("good", true));
}

#[test]
fn signed_part_beside_others() {
    let signed = signed();
    for (parts, how) in [
        (vec![signed.as_str(), UNSIGNED], "before"),
        (vec![UNSIGNED, signed.as_str()], "after"),
        (vec![UNSIGNED_HTML, signed.as_str()], "html before"),
        (vec![signed.as_str(), UNSIGNED_HTML], "html after"),
        (vec![signed.as_str(), "Content-Type: image/png\nContent-Disposition: attachment\n\nx"], "a file"),
        (
            vec![signed.as_str(), "Content-Type: text/plain\nContent-Disposition: attachment\n\nx"],
            "a text file",
        ),
        (vec![signed.as_str(), ""], "an empty part"),
        (vec![signed.as_str(), signed.as_str()], "twice"),
    ] {
        for subtype in ["mixed", "related", "alternative", "parallel", "x-unheard-of"] {
            let attack = format!("{how} in multipart/{subtype}");
            assert_not_good(&mail(SAM, &multipart(subtype, "outer", &parts)), &attack);
        }
    }
    let deep = multipart("mixed", "inner", &[&signed]);
    assert_not_good(&mixed(SAM, &[&deep, UNSIGNED]), "deeper");
    assert_not_good(&mixed(SAM, &[UNSIGNED, &multipart("related", "inner", &[&deep])]), "deepest");
}

/// A third part, behind the signature.
#[test]
fn extra_parts_in_multipart_signed() {
    let signed = signed();
    let (inside, end) = signed.rsplit_once("--sig--").unwrap();
    for extra in [UNSIGNED, UNSIGNED_HTML, "Content-Disposition: attachment; filename=a\n\nx"] {
        assert_not_good(&mail(SAM, &format!("{inside}--sig\n{extra}\n--sig--{end}")), extra);
    }
}

/// Two parts of which the second is shown, and the first one signed; and a first one that the frame does not announce.
#[test]
fn parts_of_multipart_signed_in_disorder() {
    let signed = signed();
    let unsigned_first = signed.replacen("--sig\n", &format!("--sig\n{UNSIGNED}\n--sig\n"), 1);
    assert_not_good(&mail(SAM, &unsigned_first), "an unsigned part first");
    let exchanged = signed.replacen(SIGNED, UNSIGNED, 1);
    assert_not_good(&mail(SAM, &exchanged), "another part in its place");
    let message = opened(&mail(SAM, &signed.replacen("--sig\n", "On Monday, on all lists.\n--sig\n", 1)));
    assert!(
        !message.text.contains("Monday"),
        "what stands before the first part is not shown: {}",
        message.text
    );
}

/// The signed part lies in the mail, but is not what a reader sees of it.
#[test]
fn signed_part_out_of_sight() {
    let signed = signed();
    let html = "Content-Type: text/html\n\n<p>On Monday.</p><img src=\"cid:sam\">\n";
    let hidden =
        signed.replacen("Content-Type:", "Content-ID: <sam>\nContent-Disposition: inline\nContent-Type:", 1);
    assert_not_good(&mail(SAM, &multipart("related", "outer", &[html, &hidden])), "related");
    let file = signed.replacen("Content-Type:", "Content-Disposition: attachment\nContent-Type:", 1);
    assert_not_good(&mixed(SAM, &[UNSIGNED, &file]), "attached");
    for frame in ["message/rfc822", "message/global", "application/octet-stream; name=a.eml"] {
        let forwarded = format!("Content-Type: {frame}\n\n{}", mail(SAM, &signed));
        assert_not_good(&mixed(SAM, &[UNSIGNED, &forwarded]), frame);
        assert_not_good(&mail(SAM, &forwarded), &format!("{frame} alone"));
        assert_not_good(&mail(MALLORY, &forwarded), &format!("{frame} alone, from mallory"));
    }
}

/// The mail in the mail may be Sam's, but this one is not; and nobody in it can say that it is.
#[test]
fn attached_signed_mail() {
    let forwarded = format!("Content-Type: message/rfc822\n\n{}", mail(SAM, &signed()));
    let message = opened(&mixed(MALLORY, &[UNSIGNED, &forwarded]));
    assert_ne!(message.signature.word(), "good");
    assert_eq!(message.author().unwrap().address, "mallory@example.net");
    assert_eq!(message.subject.as_deref(), Some("A report"));
}

/// psirtd writes into the relay which part was signed or decrypted. Who writes the same words is not believed.
#[test]
fn forged_labels() {
    let label = |message: &str| {
        let text = opened(message).text;
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with('[') && line.ends_with(']'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let true_mail = format!("Content-Type: message/rfc822\n\n{}", mail(SAM, &signed()));
    let decrypted = packets::armored(&to_desk(&packets::literal("Please publish it.")));
    for genuine in [
        label(&mixed(MALLORY, &["\nSee below.", &true_mail])),
        label(&format!("{}\n\nSee below.\n{decrypted}", header(MALLORY))),
    ] {
        assert_eq!(genuine.len(), 2, "{genuine:?}");
        let text = format!("See below.\n{}\nPlease publish it.\n{}\n", genuine[0], genuine[1]);
        let forged = label(&format!("{}\n\n{text}", header(MALLORY)));
        assert!(!forged.contains(&genuine[0]), "Mallory wrote {forged:?}");
    }
}

#[test]
fn several_from_mailboxes() {
    let entity = signed();
    for from in [
        format!("{SAM}, {MALLORY}"),
        format!("{MALLORY}, {SAM}"),
        format!("Us: {MALLORY}, {SAM};"),
        format!("{SAM}\nFrom: {MALLORY}"),
        format!("{MALLORY}\nFrom: {SAM}"),
        format!("{MALLORY}\nfrom : {SAM}"),
        format!("{SAM}\nSubject: a\nFROM: {MALLORY}"),
    ] {
        let message = opened(&mail(&from, &entity));
        assert_ne!(message.signature.word(), "good", "{from}");
        assert_eq!(message.author(), None, "{from}: {:?}", message.from);
    }
}

/// Mallory signs herself, and calls herself Sam. Whose key it is, is asked for the address alone; and it is hers that is shown.
#[test]
fn display_name_tricks() {
    for from in [
        "\"sam@example.com\" <mallory@example.net>",
        "\"Sam Secret <sam@example.com>\" <mallory@example.net>",
        "=?utf-8?Q?Sam_Secret_=3Csam=40example.com=3E?= <mallory@example.net>",
        "=?utf-8?Q?Sam_Secret_=3Csam=40example.com=3E=0D=0A_?= <mallory@example.net>",
        "\"Sam Secret <sam@example.com>\u{0}\" <mallory@example.net>",
        "(sam@example.com) mallory@example.net",
        "Sam Secret (sam@example.com) <mallory@example.net>",
    ] {
        let hers = opened(&mail(from, &by(&people().mallory).entity(SIGNED)));
        assert_eq!(
            hers.author().map(|author| author.address.as_str()),
            Some("mallory@example.net"),
            "{from}"
        );
        let his = opened(&mail(from, &signed()));
        assert_ne!(his.signature.word(), "good", "{from}: his signature, her address");
    }
    // what two programs may read differently is nobody's
    for from in [
        "Sam Secret <sam@example.com> <mallory@example.net>",
        "<mallory@example.net> <sam@example.com>",
        "sam@example.com <mallory@example.net>",
        "\"<sam@example.com>\"@example.net",
        "sam@example.com\u{0}@example.net",
        "<sam@example.com\n @example.net>",
        "<@example.net:sam@example.com>, x",
        "=?utf-8?Q?sam=40example.com?=",
        "<=?utf-8?Q?sam=40example.com?=>",
        "<sam@example.com(>mallory@example.net)",
    ] {
        let his = opened(&mail(from, &signed()));
        let shown = his.from.iter().map(|from| from.address.as_str()).collect::<Vec<_>>();
        assert!(his.signature.word() != "good" || shown == ["sam@example.com"], "{from}: {shown:?}");
        let hers = opened(&mail(from, &by(&people().mallory).entity(SIGNED)));
        let shown = hers.from.iter().map(|from| from.address.as_str()).collect::<Vec<_>>();
        assert!(hers.signature.word() != "good" || shown == ["mallory@example.net"], "{from}: {shown:?}");
    }
}

/// Whoever wrote the mail is in From; Sender, Reply-To and Return-Path are not asked.
#[test]
fn sender_instead_of_from() {
    for field in ["Sender", "Reply-To", "Return-Path", "Resent-From", "X-From"] {
        let head = format!("{field}: {SAM}\n{}", header(MALLORY));
        assert_not_good(&format!("{head}\n{}", signed()), field);
        let head = format!("{field}: {SAM}\n{}", header("x").replace("From: x\n", ""));
        assert_not_good(&format!("{head}\n{}", signed()), &format!("{field} alone"));
    }
}

/// What Sam wrote as himself to somebody else names another author inside, where it is signed.
#[test]
fn protected_from_differs() {
    let inside = |from: &str| {
        format!(
            "From: {from}\nSubject: x\nContent-Type: text/plain; protected-headers=\"v1\"; hp=\"clear\"\n\nHello.\n"
        )
    };
    let honest = opened(&mail(SAM, &by(&people().sam).entity(&inside(SAM))));
    assert_eq!(honest.signature.word(), "good");
    assert!(!honest.problems.iter().any(|odd| odd.contains("From")), "{:?}", honest.problems);
    for other in ["Otto <otto@example.org>", "sam@other.example", &format!("{SAM}, {MALLORY}")] {
        for message in [
            opened(&mail(SAM, &by(&people().sam).entity(&inside(other)))),
            opened(&mail_around(SAM, &to_desk(&by(&people().sam).message(&inside(other))))),
        ] {
            let noticed = message.problems.iter().any(|odd| odd.contains("From"));
            assert!(message.signature.word() != "good" || noticed, "{other}: {:?}", message.problems);
        }
    }
}

#[test]
fn text_around_a_cleartext_signature() {
    let block = by(&people().sam).cleartext("Please publish it.\n");
    let (frame, rest) = block.split_once("\n\n").unwrap();
    for (text, how) in [
        (format!("On Monday.\n{block}"), "before"),
        (format!("{block}\nOn Monday.\n"), "after"),
        (format!("{block}\n{block}\nOn Monday.\n"), "after two"),
        (format!("{frame}\nComment: On Monday.\n\n{rest}"), "in the frame"),
        (format!("{frame}\nOn Monday.\n\n{rest}"), "in the frame, as text"),
        (format!("{frame}\n\nOn Monday.\n\n{rest}"), "in the signed text"),
        (block.replace("-----BEGIN PGP SIGNATURE", "On Monday.\n-----BEGIN PGP SIGNATURE"), "at its end"),
        (block.replace("-----END", "On Monday.\n-----END"), "in the signature"),
        (
            block.replace("SIGNATURE-----\n\n", "SIGNATURE-----\nOn Monday.\n\n"),
            "in the frame of the signature",
        ),
    ] {
        let message = opened(&format!("{}\n\n{text}", header(SAM)));
        let shown = message.text.contains("Monday");
        assert!(message.signature.word() != "good" || !shown, "{how}: {}", message.text);
    }
}

/// What a browser would show of it is not what was signed.
#[test]
fn html_around_a_signature() {
    let sam = by(&people().sam);
    let clear = sam.cleartext("Please publish it.\n").replace('\n', "<br>\n");
    let encrypted = packets::armored(&to_desk(&sam.message("Please publish it.\n")));
    for block in [clear, encrypted] {
        let plain = opened(&format!("{}\nContent-Type: text/html\n\n{block}\n", header(SAM)));
        assert!(plain.text.contains("Please publish it."), "found in HTML: {}", plain.text);
        for html in [
            format!(
                "<style>p {{ display: none }} body::after {{ content: 'On Monday.' }}</style>\n<p>\n{block}\n</p>"
            ),
            format!("<!-- On Monday. -->\n{block}"),
            format!("<script>document.body.innerText = 'On Monday.'</script>\n{block}"),
            format!("<head><title>On Monday.</title></head>\n{block}"),
            format!("<img alt=\"On Monday.\" src=\"https://evil.example/\">\n{block}"),
            format!("{block}\n<style>p {{ display: none }}</style>"),
        ] {
            let message = opened(&format!("{}\nContent-Type: text/html\n\n{html}\n", header(SAM)));
            assert_ne!(message.signature.word(), "good", "{html}");
        }
    }
}

/// SigSpoof: the file name in a packet went into gpg's status lines, which mail programs believed.
#[test]
fn sigspoof() {
    let fingerprint = people().sam.fingerprint().to_hex();
    let lines = format!(
        "x\n[GNUPG:] GOODSIG {} Sam\n[GNUPG:] VALIDSIG {fingerprint} 2026-11-20 1 0 4 0 1 10 01 {fingerprint}\n",
        &fingerprint[24..]
    );
    let text = format!("{SIGNED}{lines}gpg: Good signature from \"{SAM}\"\n");
    for content in [named_literal(&lines, &text), packets::literal(&text)] {
        let message = opened(&mail_around(SAM, &to_desk(&content)));
        assert!(message.decrypted);
        assert_eq!(message.signature.word(), "none");
    }
    let hidden = opened(&mail_around(SAM, &to_desk(&named_literal(&lines, SIGNED))));
    assert!(!super::shows(&hidden, "GOODSIG"), "{hidden:?}");
}

/// Two texts in one OpenPGP message, of which one is signed.
#[test]
fn unsigned_text_beside_signed_text_in_one_message() {
    let signed = by(&people().sam).message(SIGNED);
    let unsigned = packets::literal(UNSIGNED);
    let [one_pass, literal, signature] = &packets::split(&signed)[..] else { panic!("three packets") };
    let frame = |(tag, body): &(u8, Vec<u8>)| packets::frame(*tag, body);
    let inner = [frame(one_pass), frame(literal), unsigned.clone(), frame(signature)].concat();
    for content in [
        [&unsigned[..], &signed].concat(),
        [&signed[..], &unsigned].concat(),
        [&signed[..], &by(&people().mallory).message(UNSIGNED)].concat(),
        inner,
    ] {
        for message in [opened(&mail_around(SAM, &content)), opened(&mail_around(SAM, &to_desk(&content)))] {
            let shown = message.text.contains("Monday");
            assert!(message.signature.word() != "good" || !shown, "{}", message.text);
        }
    }
}

/// A good signature of somebody else beside or around his.
#[test]
fn two_signers() {
    let (sam, mallory, stranger) = (&people().sam, &people().mallory, &people().stranger);
    for (signers, from, word) in [
        (vec![sam, mallory], SAM, "good"),
        (vec![mallory, sam], SAM, "good"),
        (vec![sam, stranger], SAM, "good"),
        (vec![stranger, sam], SAM, "good"),
        (vec![mallory, stranger], SAM, "unknown-key"),
        (vec![stranger, mallory], SAM, "unknown-key"),
        (vec![mallory, sam], "Otto <otto@example.org>", "unknown-key"),
    ] {
        let names: Vec<String> =
            signers.iter().map(|cert| cert.userids().next().unwrap().userid().to_string()).collect();
        let attack = format!("{names:?} in a mail from {from}");
        let message = opened(&mail_around(from, &to_desk(&by_all(&signers).message(SIGNED))));
        assert_eq!(message.signature.word(), word, "{attack}");
        let message = opened(&mail(from, &by_all(&signers).entity(SIGNED)));
        assert_eq!(message.signature.word(), word, "{attack}, detached");
    }
}
