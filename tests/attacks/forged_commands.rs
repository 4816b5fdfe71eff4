//! Commands in the name of Ada: each way to make the desk do what she never said, here and now.
//!
//! The case stays as it is, the reporter hears nothing, and Ada, to whom nobody can lie about it, hears that somebody tried, and why it
//! was in vain. Where the mail leads to a case, its timeline says so, and the other coordinator reads the mail.

use std::time::Duration;

use jiff::SignedDuration;
use psirtd::control::Question;
use psirtd::domain::command::order;
use psirtd::keyring;
use sequoia_openpgp as openpgp;
use serde_json::Value;

use openpgp::packet::signature::subpacket::{NotationDataFlags, Subpacket, SubpacketValue};
use openpgp::parse::Parse;
use openpgp::serialize::MarshalInto;
use openpgp::types::{ReasonForRevocation, SymmetricAlgorithm};
use openpgp::{Cert, PacketPile};

use super::multipart;
use super::packets::{self, by, dearmored};
use crate::support::desk::{Desk, Letter, pgp_mime};
use crate::support::time_at_work;

const CASE: &str = "EX-2026-0001";
const ADA: &str = "Ada Coordinator <ada@example.org>";
/// What the attacker would like the desk to do.
const ORDER: &str = "!case EX-2026-0001\n!reply\n\nWe will not fix it, publish it.\n";
const PLAIN: &str = "Content-Type: text/plain; charset=utf-8";

/// Two coordinators, a maintainer, Rita's report on a Friday afternoon.
fn desk() -> Desk {
    desk_with("")
}

fn desk_with(lines: &str) -> Desk {
    let desk = Desk::builder().otto().max().desk(lines).open();
    desk.receives(&report("r-1@example.net", "Heap overflow"));
    assert_eq!(told(&desk.letters()), ["acknowledgement to rita", "relay to ada", "relay to otto"]);
    desk
}

fn report(id: &str, subject: &str) -> String {
    format!(
        "From: Rita Reporter <rita@example.net>\nTo: security@example.org\nSubject: {subject}\nMessage-ID: <{id}>\n\n\
         A crafted tile makes the parser write behind its buffer.\n"
    )
}

fn told(letters: &[Letter]) -> Vec<String> {
    let reader = |to: &str| to.split('@').next().unwrap().to_owned();
    letters.iter().map(|letter| format!("{} to {}", letter.kind, reader(&letter.to))).collect()
}

fn case(desk: &Desk) -> Value {
    desk.ask(&Question::Case(CASE.to_owned()))
}

/// All that a command could change.
fn state(desk: &Desk) -> Value {
    let mut case = case(desk);
    let fields = case.as_object_mut().unwrap();
    for field in ["timeline", "mails", "mail_list", "letters"] {
        fields.remove(field);
    }
    case
}

/// A mail with this author outside any case's thread, around an entity.
fn mail(from: &str, number: usize, entity: &str) -> String {
    format!(
        "From: {from}\nTo: security@example.org\nSubject: order\nMessage-ID: <forged-{number}@example.org>\n\
         MIME-Version: 1.0\n{entity}"
    )
}

/// The same in the thread of Rita's case.
fn in_thread(mail: &str) -> String {
    format!("In-Reply-To: <r-1@example.net>\n{mail}")
}

fn text(body: &str) -> String {
    format!("{PLAIN}\n\n{body}")
}

/// Each of these mails leads to no case: Ada alone hears of it.
#[track_caller]
fn in_vain(desk: &Desk, mail: &str, why: &str) {
    let letters = refused(desk, mail);
    assert_eq!(told(&letters), ["results to ada"], "{why}");
    let text = letters[0].text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(why), "{why} is not in\n{text}");
    assert!(letters[0].encrypted && text.contains("Nothing was done"), "{text}");
    assert!(!text.contains("publish it"), "what somebody wrote is not repeated: {text}");
}

#[track_caller]
fn refused(desk: &Desk, mail: &str) -> Vec<Letter> {
    let before = state(desk);
    let cases = desk.cases().len();
    desk.receives(mail);
    assert_eq!(state(desk), before);
    assert_eq!(desk.cases().len(), cases, "no case of its own");
    desk.letters()
}

/// Shown once for a desk, so that what fails above fails for its own reason: the same, rightly signed, is done.
#[track_caller]
fn is_done(desk: &Desk, mail: &str) {
    desk.receives(mail);
    assert_eq!(told(&desk.letters()), ["answer to rita", "note to otto", "results to ada"]);
}

#[test]
fn command_without_a_signature() {
    let desk = desk();
    in_vain(&desk, &mail(ADA, 1, &text(ORDER)), "it is not signed");
    // in the thread of the case the others read it, and the timeline keeps it
    let letters = refused(&desk, &in_thread(&mail(ADA, 2, &text(ORDER))));
    assert_eq!(told(&letters), ["relay to otto", "results to ada"]);
    let relay = letters[0].text();
    assert!(relay.contains("REFUSED as commands: it is not signed"), "{relay}");
    let timeline = case(&desk)["timeline"].to_string();
    assert!(timeline.contains("REFUSED reply: it is not signed"), "{timeline}");
    is_done(&desk, &desk.signed_orders(ADA, "ada@example.org", "", ORDER));
}

/// What authenticates a domain authenticates no person.
#[test]
fn command_with_dmarc_instead_of_a_signature() {
    let desk = Desk::builder()
        .otto()
        .max()
        .toml("[inbox.authentication]\nauthserv_id = [\"mx.example.org\"]\nreceived_by = \"mx.example.org\"")
        .open();
    desk.receives(&report("r-1@example.net", "Heap overflow"));
    desk.letters();
    let vouched = "Authentication-Results: mx.example.org; dmarc=pass header.from=example.org\n\
                   Received: from mail.example.org by mx.example.org; Fri, 20 Nov 2026 22:59:00 +0000\n";
    in_vain(&desk, &format!("{vouched}{}", mail(ADA, 1, &text(ORDER))), "it is not signed");
}

#[test]
fn command_signed_by_a_stranger_with_her_name() {
    let desk = desk();
    let false_ada = desk.makes_a_key(ADA);
    let entity = text(ORDER);
    in_vain(
        &desk,
        &desk.signed_orders(ADA, &false_ada, "", ORDER),
        "a key that the configuration does not name",
    );
    let key = desk.public(&false_ada);
    let body: String = String::from_utf8(key)
        .unwrap()
        .lines()
        .skip_while(|line| !line.is_empty())
        .take_while(|line| !line.starts_with('='))
        .collect();
    let offered = format!(
        "Autocrypt: addr=ada@example.org; keydata={body}\n{}",
        mail(ADA, 2, &signed(&desk, &entity, &false_ada))
    );
    in_vain(&desk, &offered, "a key that the configuration does not name");
}

/// The signature of an entity, by whom you like, and the frame of both.
fn signed(desk: &Desk, entity: &str, signer: &str) -> String {
    packets::signed_entity(entity, &dearmored(&desk.signature_over(entity, signer)))
}

#[test]
fn command_signed_by_another_person_of_the_team() {
    let desk = desk();
    for (number, signer) in (1..).zip(["max@example.org", "otto@example.org", "security@example.org"]) {
        let why = match signer {
            "security@example.org" => "signed by a",
            _ => "it is signed by somebody else than its author",
        };
        if signer == "security@example.org" {
            continue; // GnuPG has no secret key of the desk
        }
        in_vain(&desk, &mail(ADA, number, &signed(&desk, &text(ORDER), signer)), why);
    }
}

/// A certificate for reporters says of itself that it is Otto's; the configuration names none for him.
#[test]
fn command_signed_by_a_certificate_that_says_it_is_a_coordinators() {
    let desk = Desk::builder().otto_without_certificate().max().open();
    let false_otto = desk.makes_a_key("Otto Coordinator <otto@example.org>");
    std::fs::write(desk.dir().join("reporters/otto.asc"), desk.public(&false_otto)).unwrap();
    desk.restarts();
    desk.receives(&report("r-1@example.net", "Heap overflow"));
    desk.letters();
    let order = desk.signed_orders("otto@example.org", &false_otto, "", ORDER);
    let letters = refused(&desk, &in_thread(&order));
    assert_eq!(told(&letters)[0], "relay to ada");
    let relay = letters[0].text();
    assert!(relay.contains("does not name for its author"), "{relay}");
}

#[test]
fn command_in_a_part_of_the_mail_that_is_signed() {
    let desk = desk();
    let her = || signed(&desk, &text(ORDER), "ada@example.org");
    let footer = text("-- \nA footer.\n");
    for (number, parts) in (1..).zip([vec![her(), footer.clone()], vec![text("\n"), her()]]) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        in_vain(&desk, &mail(ADA, number, &multipart("mixed", "outer", &parts)), "not over the whole mail");
    }
    // a third part inside the frame
    let inside = her().replace("\n--sig--\n", &format!("\n--sig\n{footer}\n--sig--\n"));
    in_vain(&desk, &mail(ADA, 3, &inside), "not over the whole mail");
    // commands before what she signed, which itself says nothing of the kind
    let hello = signed(&desk, &text("Hello.\n"), "ada@example.org");
    let before = multipart("mixed", "outer", &[&text(ORDER), &hello]);
    in_vain(&desk, &mail(ADA, 4, &before), "not over the whole mail");
    let alternative = multipart("alternative", "outer", &[&hello, &text(ORDER)]);
    in_vain(&desk, &mail(ADA, 5, &alternative), "it is not signed");
}

/// Ada said it once. It arrives again: as it was on another way, in another frame, in an envelope.
#[test]
fn command_sent_again() {
    let desk = desk();
    let entity = text(ORDER);
    let signature = dearmored(&desk.signature_over(&entity, "ada@example.org"));
    let around = |number, signature: &[u8]| mail(ADA, number, &packets::signed_entity(&entity, signature));
    is_done(&desk, &around(1, &signature));

    const USED: &str = "its signature has been used";
    let received = "Received: from mallory.example.net by mx.example.org; Fri, 20 Nov 2026 22:59:00 +0000\n";
    in_vain(&desk, &format!("{received}{}", around(2, &signature)), USED);
    let renamed =
        around(3, &signature).replace("boundary=\"sig\"", "boundary=\"gis\"").replace("--sig", "--gis");
    in_vain(&desk, &renamed, USED);

    // what is not signed of the signature says something else now
    let mut changed = packet(&signature);
    let notation = openpgp::packet::signature::subpacket::NotationData::new(
        "mallory@example.net",
        "x",
        NotationDataFlags::empty(),
    );
    changed
        .unhashed_area_mut()
        .add(Subpacket::new(SubpacketValue::NotationData(notation), false).unwrap())
        .unwrap();
    let changed = MarshalInto::to_vec(&openpgp::Packet::from(changed)).unwrap();
    assert_ne!(changed, signature);
    in_vain(&desk, &around(4, &changed), USED);
    // twice the same, and beside one that is none
    in_vain(&desk, &around(5, &[signature.clone(), signature.clone()].concat()), USED);
    let nora = dearmored(&desk.signature_over(&entity, "nora@example.net"));
    for (number, both) in (6..).zip([[signature.clone(), nora.clone()], [nora, signature.clone()]]) {
        in_vain(&desk, &around(number, &both.concat()), USED);
    }
    // in the sealed envelope of somebody else, signed by her or by nobody
    let inner = packets::signed_entity(&entity, &signature);
    let outside = |number: usize| {
        format!(
            "From: {ADA}\nTo: security@example.org\nSubject: ...\nMessage-ID: <forged-{number}@example.org>"
        )
    };
    let by_nora = desk.encrypted_mail_to(&outside(8), &inner, "security@example.org", "nora@example.net");
    in_vain(&desk, &by_nora, USED);
    in_vain(&desk, &pgp_mime(&outside(9), &sealed(&desk, &inner)), USED);
    // and after a restart, from a new index
    desk.steps_aside();
    std::fs::remove_dir_all(desk.state().join("index")).unwrap();
    desk.comes_back();
    in_vain(&desk, &around(10, &signature), USED);
}

fn packet(bytes: &[u8]) -> openpgp::packet::Signature {
    match PacketPile::from_bytes(bytes).unwrap().into_children().next() {
        Some(openpgp::Packet::Signature(signature)) => signature,
        other => panic!("{other:?}"),
    }
}

/// Encrypted to the desk by nobody who says who he is.
fn sealed(desk: &Desk, inside: &str) -> String {
    let cert = keyring::certificate(&desk.public("security@example.org")).unwrap();
    let key = packets::session_key();
    let literal = packets::literal(&inside.replace('\n', "\r\n"));
    let message = [
        packets::pkesk(&key, SymmetricAlgorithm::AES256, &cert),
        packets::seip(&key, &packets::with_digest(&literal)),
    ];
    packets::armored(&message.concat())
}

/// Ada's program signs with two keys. Whoever takes one of the signatures away has not made another command.
#[test]
fn command_sent_again_without_one_of_its_signatures() {
    let desk = desk();
    let entity = text(ORDER);
    let first = dearmored(&desk.signature_over(&entity, "ada@example.org"));
    desk.set_clock(desk.now() + SignedDuration::from_secs(2));
    let second = dearmored(&desk.signature_over(&entity, "ada@example.org"));
    let around = |number, signature: &[u8]| mail(ADA, number, &packets::signed_entity(&entity, signature));
    is_done(&desk, &around(1, &[first.clone(), second.clone()].concat()));
    in_vain(&desk, &around(2, &second), "its signature has been used");
    in_vain(&desk, &around(3, &first), "its signature has been used");
}

/// Both come at the same moment, under two Message-IDs.
#[test]
fn command_sent_twice_at_once() {
    let desk = desk();
    let inner = signed(&desk, &text(ORDER), "ada@example.org");
    desk.receives_together(&[&mail(ADA, 1, &inner), &mail(ADA, 2, &inner)]);
    let letters = desk.letters();
    let count = |wanted: &str| told(&letters).iter().filter(|it| *it == wanted).count();
    assert_eq!((count("answer to rita"), count("results to ada")), (1, 2), "{:?}", told(&letters));
}

#[test]
fn command_of_another_time() {
    let desk = desk();
    let order = |number, entity: &str| mail(ADA, number, entity);
    let old = signed(&desk, &text(ORDER), "ada@example.org");
    desk.set_clock(desk.now() + SignedDuration::from_hours(24 * 8));
    in_vain(&desk, &order(1, &old), "hours before it arrived");
    let fresh = signed(&desk, &text(ORDER), "ada@example.org");
    desk.set_clock(desk.now() - SignedDuration::from_hours(2));
    in_vain(&desk, &order(2, &fresh), "its signature is not valid");
}

/// The mail had lain in the mailbox before the time at which it says it was signed: it is refused, and is used up by that.
#[test]
fn command_that_was_refused_is_not_done_later() {
    let desk = desk();
    let arrived = desk.now();
    desk.set_clock(arrived + SignedDuration::from_hours(3));
    let entity = signed(&desk, &text(ORDER), "ada@example.org");
    let before = state(&desk);
    desk.receives_late(&mail(ADA, 1, &entity), arrived);
    assert_eq!(state(&desk), before);
    let letter = desk.letter();
    assert!(letter.text().contains("signed in the future"), "{}", letter.text());
    in_vain(&desk, &mail(ADA, 2, &entity), "its signature has been used");
}

/// She retired the key an hour ago, or it expired: whoever holds it can write any time into a signature.
#[test]
fn command_by_a_key_that_is_not_valid_any_more() {
    for reason in [ReasonForRevocation::KeyCompromised, ReasonForRevocation::KeyRetired] {
        let desk = desk();
        let ada = desk.secret_key("ada@example.org");
        desk.set_clock(desk.now() + SignedDuration::from_hours(2));
        desk.learns_of("ada", &revoked(&desk, &ada, reason));
        desk.restarts();
        // signed, by its own word, two hours ago
        let order = mail(ADA, 1, &by(&ada).entity(&text(ORDER)));
        let before = state(&desk);
        desk.receives(&order);
        assert_eq!(state(&desk), before, "{reason}");
        let letters = desk.letters();
        assert!(
            letters.iter().all(|letter| letter.to != "rita@example.net"),
            "{reason}: {:?}",
            told(&letters)
        );
    }
}

fn revoked(desk: &Desk, cert: &Cert, reason: ReasonForRevocation) -> Cert {
    let at = keyring::system_time(desk.now() - SignedDuration::from_hours(1));
    let revocation = openpgp::cert::CertRevocationBuilder::new()
        .set_signature_creation_time(at)
        .unwrap()
        .set_reason_for_revocation(reason, b"")
        .unwrap()
        .build(&mut packets::primary_pair(cert), cert, None)
        .unwrap();
    cert.clone()
        .strip_secret_key_material()
        .insert_packets(vec![openpgp::Packet::from(revocation)])
        .unwrap()
        .0
}

/// Only what was signed names the case.
#[test]
fn command_whose_case_is_named_outside_the_signature() {
    let desk = desk();
    let order = "!reply\n\nWe will not fix it, publish it.\n";
    let inner = |number: usize, header: &str| {
        let order = format!("{order}{number}\n");
        signed(&desk, &format!("{PLAIN}{header}\n\n{order}"), "ada@example.org")
    };
    let named = |number, entity: &str| {
        mail(ADA, number, entity).replace("Subject: order", &format!("Subject: Re: [{CASE}]"))
    };
    in_vain_verified(&desk, &named(1, &inner(1, "")), "no case is named in what is signed");
    // she signed another subject
    let other = inner(2, "; protected-headers=\"v1\"\nSubject: Hello");
    in_vain_verified(&desk, &named(2, &other), "no case is named in what is signed");
    // in a sealed envelope of somebody else, whose header names it
    let outside = |number: usize| {
        format!(
            "From: {ADA}\nTo: security@example.org\nSubject: ...\nMessage-ID: <forged-{number}@example.org>"
        )
    };
    for (number, protected) in [(3, "protected-headers=\"v1\""), (4, "hp=\"cipher\"")] {
        let hers = inner(number, "");
        let (head, body) = hers.split_once("\n\n").unwrap();
        let wrapped = format!("{head}; {protected}\nSubject: Re: [{CASE}] x\nFrom: {ADA}\n\n{body}");
        in_vain_verified(&desk, &pgp_mime(&outside(number), &sealed(&desk, &wrapped)), "no case is named");
        let wrapper = format!(
            "Content-Type: message/rfc822; forwarded=no; {protected}\n\nSubject: Re: [{CASE}] x\n{}",
            inner(number + 10, "")
        );
        let letters = refused(&desk, &pgp_mime(&outside(number + 10), &sealed(&desk, &wrapper)));
        assert!(!told(&letters).contains(&"answer to rita".to_owned()));
    }
}

/// The same of what she did sign: it is not under doubt, but nothing is done.
#[track_caller]
fn in_vain_verified(desk: &Desk, mail: &str, why: &str) {
    in_vain(desk, mail, why);
}

/// She wrote it to another desk. (Of what says nowhere to whom it was written, the desk cannot know.)
#[test]
fn command_written_to_another_desk() {
    let desk = desk();
    let header = "; protected-headers=\"v1\"\nTo: security@example.com\nSubject: x";
    let entity = signed(&desk, &format!("{PLAIN}{header}\n\n{ORDER}"), "ada@example.org");
    in_vain(&desk, &mail(ADA, 1, &entity), "it was written to somebody else than this desk");
    let ada = desk.secret_key("ada@example.org");
    let nora = keyring::certificate(&desk.public("nora@example.net")).unwrap();
    let signing = packets::Signing { intended: Some(&nora), ..by(&ada) };
    in_vain(&desk, &mail(ADA, 2, &signing.entity(&text(ORDER))), "it was written to somebody else");
}

/// What she passes on, quotes, shows or attaches is not said by her. Of such a mail nothing is done, and it is no command at all.
#[test]
fn command_that_she_only_passes_on() {
    let desk = desk();
    let quoted: String = ORDER.lines().map(|line| format!("> {line}\n")).collect();
    let forwarded =
        format!("Content-Type: message/rfc822\n\n{}", mail("mallory@example.net", 9, &text(ORDER)));
    let attached =
        format!("Content-Type: text/plain; name=\"x.txt\"\nContent-Disposition: attachment\n\n{ORDER}");
    let html: String = ORDER.lines().map(|line| format!("<p>{line}</p>")).collect();
    let entities = [
        text(&format!("On Friday, Rita wrote:\n{quoted}")),
        text(&format!("{quoted}\nSo what?\n")),
        text(&format!("Look:\n\n-------- Forwarded Message --------\nFrom: Rita\n\n{ORDER}")),
        text(&format!("```\n{ORDER}```\n")),
        text(&format!("-- \n{ORDER}")),
        multipart("mixed", "inner", &[&text("Look.\n"), &forwarded]),
        multipart("mixed", "inner", &[&forwarded]),
        multipart("mixed", "inner", &[&text("\n"), &attached]),
        multipart("alternative", "inner", &[&text("Look.\n"), &format!("Content-Type: text/html\n\n{html}")]),
    ];
    for (number, entity) in (1..).zip(&entities) {
        let before = state(&desk);
        desk.receives(&in_thread(&mail(ADA, number, &signed(&desk, entity, "ada@example.org"))));
        let after = state(&desk);
        assert_eq!(
            (&after["phase"], &after["deadlines"]),
            (&before["phase"], &before["deadlines"]),
            "{entity}"
        );
        let letters = desk.letters();
        assert_eq!(told(&letters), ["relay to otto"], "{entity}");
    }
}

/// In HTML it is not seen what is quoted: it would read like hers.
#[test]
fn command_that_she_quotes_in_html() {
    let desk = desk();
    let html: String = ORDER.lines().map(|line| format!("<p>{line}</p>")).collect();
    let header = "Content-Type: text/html; charset=utf-8";
    let quoted = format!("{header}\n\n<blockquote type=\"cite\">{html}</blockquote><p>So what?</p>\n");
    in_vain(&desk, &mail(ADA, 1, &signed(&desk, &quoted, "ada@example.org")), "plain text");
    let before = state(&desk);
    let below = format!("{header}\n\n<p>On Friday, Rita wrote:</p><blockquote>{html}</blockquote>\n");
    desk.receives(&in_thread(&mail(ADA, 2, &signed(&desk, &below, "ada@example.org"))));
    assert_eq!(state(&desk), before);
    assert_eq!(told(&desk.letters()), ["relay to otto"]);
}

/// Her program has broken the line that it quotes, so that its end stands below it as if it were hers. Rita chose where it breaks.
#[test]
fn command_torn_from_a_quotation() {
    let desk = desk();
    let torn = format!(
        "On Friday, Rita wrote:\n> a very long line that a mail program breaks where it has seventy-two\n{}",
        "!reply We will not fix it, publish it.\n> and so on\n\nSo what?\n"
    );
    let header = format!("; protected-headers=\"v1\"\nSubject: Re: [{CASE}] Heap overflow");
    let entity = format!("{PLAIN}{header}\n\n{}", torn.replace("!reply We", "!reject spam\n> We"));
    let letters = refused(&desk, &mail(ADA, 1, &signed(&desk, &entity, "ada@example.org")));
    assert_eq!(told(&letters), ["results to ada"]);
    let text = letters[0].text();
    assert!(text.contains("directly below a quotation"), "{text}");
}

#[test]
fn command_of_two_authors() {
    let desk = desk();
    let hers = |from: &str, number| mail(from, number, &signed(&desk, &text(ORDER), "ada@example.org"));
    for (number, from) in (1..).zip([
        "Ada Coordinator <ada@example.org>, Mallory <mallory@example.net>",
        "\"ada@example.org\" <mallory@example.net>",
        "\"Ada Coordinator <ada@example.org>\" <mallory@example.net>",
        "ada@example.org@mallory.example.net",
    ]) {
        let before = state(&desk);
        desk.receives(&in_thread(&hers(from, number)));
        assert_eq!(state(&desk), before, "{from}");
        let letters = desk.letters();
        assert!(letters.iter().all(|letter| letter.kind == "relay"), "{from}: {:?}", told(&letters));
    }
}

/// One of the desk's own lists puts its address in the place of the author's: who it says it was must have signed.
#[test]
fn command_through_a_list_that_hides_its_author() {
    let desk = Desk::builder().otto().max().toml("[inbox]\nown_lists = [\"team@lists.example.org\"]").open();
    desk.receives(&report("r-1@example.net", "Heap overflow"));
    desk.letters();
    let listed = |number, who: &str, entity: &str| {
        let list = format!("List-Id: <team.lists.example.org>\nReply-To: {who}\nX-Original-From: {who}\n");
        format!("{list}{}", mail("team@lists.example.org", number, entity))
    };
    in_vain(&desk, &listed(1, "ada@example.org", &text(ORDER)), "it is not signed");
    let by_max = signed(&desk, &text(ORDER), "max@example.org");
    in_vain(&desk, &listed(2, "ada@example.org", &by_max), "it is signed by somebody else than its author");
}

/// Before the disk was lost it may have been carried out.
#[test]
fn command_from_before_the_desk_was_restored() {
    let desk = desk();
    let before = state(&desk);
    let entity = signed(&desk, &text(ORDER), "ada@example.org");
    desk.receives_again_after_a_restore(&mail(ADA, 1, &entity));
    assert_eq!(state(&desk), before);
    let letter = desk.letter();
    assert!(letter.text().contains("before this desk was restored"), "{}", letter.text());
    in_vain(&desk, &mail(ADA, 2, &entity), "its signature has been used");
}

/// The desk's own words, sent back to it.
#[test]
fn command_made_of_the_desks_own_letters() {
    let desk = desk();
    desk.receives(&desk.signed_orders(ADA, "ada@example.org", "", "!case EX-2026-0001\n!show\n"));
    let results = desk.letter();
    let own = String::from_utf8(results.raw.clone()).unwrap().replace("\r\n", "\n");
    let before = state(&desk);
    desk.receives(&own);
    // as a letter of the desk, and as one whose From is hers
    let renamed = own.replacen("\nMessage-ID: <", "\nMessage-ID: <x", 1).replace("From: ", "X: ");
    desk.receives(&format!("From: {ADA}\n{renamed}"));
    assert_eq!(state(&desk), before);
    assert!(desk.letters().iter().all(|letter| letter.kind == "relay"));
}

/// To Max a case that is not shared with him does not exist, whatever he names, and whatever mail he says he answers.
#[test]
fn command_of_a_maintainer_about_a_case_that_is_not_his() {
    let say = |desk: &Desk, case: &str, thread: bool, body: &str, signed: bool| {
        let entity = text(&format!("!case {case}\n{body}"));
        let entity = if signed { self::signed(desk, &entity, "max@example.org") } else { entity };
        let order = mail("max@example.org", 7, &entity);
        refused(desk, &if thread { in_thread(&order) } else { order })
    };
    for body in ["!show\n", "!note\n\nHello.\n", "!fixing\n", "!close\n"] {
        for thread in [false, true] {
            let (desk, empty) = (desk(), desk());
            let there = say(&desk, CASE, thread, body, true);
            let nowhere = say(&empty, "EX-2026-0002", thread, body, true);
            let hears = |letters: &[Letter]| {
                let max: Vec<&Letter> =
                    letters.iter().filter(|letter| letter.to == "max@example.org").collect();
                assert_eq!(max.len(), 1, "{:?}", told(letters));
                let shown = format!("{}\n{}\n{:?}", max[0].text(), max[0].id, max[0].protected("Subject"));
                shown.replace("EX-2026-0002", CASE)
            };
            assert_eq!(hears(&there), hears(&nowhere), "{body} {thread}");
            assert_eq!(told(&there), told(&nowhere), "{body} {thread}");
            assert!(hears(&there).contains(&format!("there is no case {CASE}")), "{}", hears(&there));
            assert!(!hears(&there).contains("Heap overflow"));
            if !thread {
                assert!(!case(&desk)["timeline"].to_string().contains("REFUSED"));
            }
        }
    }
    // nor does he hear of it by a mail that he has not signed
    let desk = desk();
    let letters = say(&desk, CASE, true, "!show\n", false);
    let hears = letters.iter().find(|letter| letter.to == "max@example.org").unwrap();
    assert!(!hears.protected("Subject").unwrap().contains(CASE), "{:?}", hears.protected("Subject"));
    assert!(!hears.id.contains(CASE), "{}", hears.id);
}

#[test]
fn command_that_only_a_coordinator_may_give() {
    let desk = desk();
    desk.does(CASE, "share");
    desk.letters();
    for (number, line) in
        (1..).zip(["close", "accept", "merge EX-2026-0001", "release EX-2026-0001.1", "share"])
    {
        let entity = text(&format!("!case {CASE}\n!note\n!{line}\n\nHello.\n"));
        let entity = if ["accept", "close", "share"].contains(&line) {
            text(&format!("!case {CASE}\n!fixing\n!{line}\n"))
        } else {
            entity
        };
        let letters =
            refused(&desk, &mail("max@example.org", number, &signed(&desk, &entity, "max@example.org")));
        assert_eq!(told(&letters), ["results to max"], "{line}");
        assert!(letters[0].text().contains("is for coordinators"), "{}", letters[0].text());
    }
    // the open cases are those that he may see
    desk.receives(&report("r-2@example.net", "Another one"));
    desk.letters();
    let entity = signed(&desk, &text("!list\n"), "max@example.org");
    desk.receives(&mail("max@example.org", 20, &entity));
    let list = desk.letter().text();
    assert!(list.contains(CASE) && !list.contains("EX-2026-0002"), "{list}");
}

/// Nothing is done of a mail of which a part cannot be done; and the numbers of letters have no gap.
#[test]
fn command_that_is_right_by_half() {
    let desk = desk();
    for (number, body) in (1..).zip([
        "!take\n!reply\n!reopen\n\nWe look.\n",
        "!reply\n!release EX-2026-0001.77\n\nWe look.\n",
        "!accept\n!accept\n\nYes.\n",
        "!share\n!merge EX-2026-0009\n\nFor you.\n",
        "!priority high\n!affects\n",
    ]) {
        let entity = text(&format!("!case {CASE}\n{body}"));
        let letters = refused(&desk, &mail(ADA, number, &signed(&desk, &entity, "ada@example.org")));
        assert_eq!(told(&letters), ["results to ada"], "{body}");
        assert_eq!(letters[0].id, format!("{CASE}.{}", number + 3), "{body}");
    }
}

/// A command that names no case, in the thread of one: its answer gets a number of its own.
#[test]
fn command_in_a_thread_does_not_take_the_number_of_another_letter() {
    let desk = desk();
    desk.receives(&in_thread(&mail(ADA, 1, &signed(&desk, &text("!help\n"), "ada@example.org"))));
    let letter = desk.letter();
    assert_eq!((letter.kind.as_str(), letter.to.as_str()), ("results", "ada@example.org"));
    assert_ne!(letter.id, format!("{CASE}.1"), "which is Rita's acknowledgement");
    let first = desk.ask(&Question::Letter(format!("{CASE}.1")));
    assert_eq!((&first["kind"], &first["to"]), (&"acknowledgement".into(), &"rita@example.net".into()));
}

/// Two mails taken out at once are two cases; a letter let go twice goes once.
#[test]
fn command_that_is_said_twice_in_one_mail() {
    let desk = desk();
    for number in [2, 3] {
        desk.receives(&in_thread(&report(&format!("r-{number}@example.net"), "Something else")));
    }
    desk.letters();
    let list = case(&desk)["mail_list"].as_array().unwrap().clone();
    let mails: Vec<String> =
        list.iter().map(|mail| mail["mail"].as_str().unwrap()[..12].to_owned()).collect();
    assert_eq!(mails.len(), 3);
    let entity = text(&format!("!case {CASE}\n!split {}\n!split {}\n", mails[1], mails[2]));
    desk.receives(&mail(ADA, 9, &signed(&desk, &entity, "ada@example.org")));
    let ids: Vec<String> = desk.cases().iter().map(|case| case["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}: {}", desk.letters().last().unwrap().text());
}

/// The command comes together with the mail that it is about.
#[test]
fn command_in_one_batch_with_the_mail_it_is_about() {
    let desk = Desk::builder().otto().max().open();
    let order = ORDER.replace(CASE, "EX-2026-0002");
    let forged = mail(ADA, 1, &text(&order));
    let right = mail(ADA, 2, &signed(&desk, &text(&order), "ada@example.org"));
    // the first case is that of the mail which keeps the desk busy
    desk.receives_together(&[&report("r-1@example.net", "Heap overflow"), &forged, &right]);
    let letters = desk.letters();
    let to_rita: Vec<String> = told(&letters).into_iter().filter(|it| it.ends_with("to rita")).collect();
    assert_eq!(to_rita, ["acknowledgement to rita", "answer to rita"]);
    let mut ids: Vec<&String> = letters.iter().map(|letter| &letter.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), letters.len());
}

/// Whoever forges many gets the desk to write few; and Ada hears all the same what becomes of hers.
#[test]
fn command_forged_many_times() {
    let desk = desk();
    let before = state(&desk);
    let mut letters = Vec::new();
    for number in 1..=45 {
        desk.receives(&in_thread(&mail(ADA, number, &text(&format!("{ORDER}{number}\n")))));
        letters.extend(desk.letters());
    }
    assert_eq!(state(&desk), before);
    let count = |wanted: &str| told(&letters).iter().filter(|it| *it == wanted).count();
    assert_eq!(count("results to ada"), 20);
    assert!(count("relay to otto") <= 31, "{}", count("relay to otto"));
    is_done(&desk, &mail(ADA, 99, &signed(&desk, &text(ORDER), "ada@example.org")));
}

/// Mallory's mail has Sam's ciphertext in it, and what it says does not travel under her name: nor when the case is shared by mail.
#[test]
fn command_does_not_pass_on_what_was_replayed() {
    let desk = Desk::builder().otto().max().open();
    let outside = |from: &str, id: &str| {
        format!("From: {from}\nTo: security@example.org\nSubject: ...\nMessage-ID: <{id}>")
    };
    let sams = desk.encrypted_mail(&outside(super::SAM, "m-1@example.com"), &text(super::SECRET));
    desk.receives(&sams);
    desk.receives(&pgp_mime(
        &outside(super::MALLORY, "m-2@example.net"),
        &packets::armored(&dearmored(&sams)),
    ));
    desk.letters();
    let entity = signed(&desk, &text("!case EX-2026-0002\n!share\n"), "ada@example.org");
    desk.receives(&mail(ADA, 1, &entity));
    let letters = desk.letters();
    assert_eq!(told(&letters), ["relay to max", "results to ada"]);
    let relay = letters[0].text();
    assert!(!relay.contains(super::SECRET), "{relay}");
    assert!(
        letters[0]
            .attachments()
            .iter()
            .all(|(_, bytes)| !String::from_utf8_lossy(bytes).contains(super::SECRET))
    );
}

/// Ada's own mail to Rita, with the desk in Cc, is an answer, once: whoever sends it again, to whatever case, stops no clock.
#[test]
fn answer_sent_again() {
    let desk = desk();
    let entity = signed(&desk, &text("We look at it.\n"), "ada@example.org");
    let answer = |number, parent: &str| {
        let mail = in_thread(&mail(ADA, number, &entity)).replace("r-1@example.net", parent);
        mail.replace("To: security@example.org", "To: rita@example.net\nCc: security@example.org")
    };
    desk.receives(&answer(1, "r-1@example.net"));
    assert_eq!(
        (told(&desk.letters()), &state(&desk)["phase"]),
        (vec!["relay to otto".to_owned()], &"triaged".into())
    );
    desk.receives(&report("r-2@example.net", "Another one"));
    desk.letters();
    let other = |desk: &Desk| desk.ask(&Question::Case("EX-2026-0002".to_owned()))["deadlines"].clone();
    let before = (state(&desk)["deadlines"].clone(), other(&desk));
    desk.set_clock(desk.now() + SignedDuration::from_hours(1));
    for (number, parent) in [(2, "r-1@example.net"), (3, "r-2@example.net")] {
        desk.receives(&answer(number, parent));
        let after = (state(&desk)["deadlines"].clone(), other(&desk));
        let due = |all: &Value| {
            all.as_array()
                .unwrap()
                .iter()
                .map(|it| (it["due"].clone(), it["met_at"].clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!((due(&after.0), due(&after.1)), (due(&before.0), due(&before.1)), "{parent}");
        let relay = desk.letter();
        assert!(
            relay
                .text()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains("its signature has been used"),
            "{}",
            relay.text()
        );
    }
}

/// As long as a text may be: reading it takes no time worth the name, and what is kept of it is short.
#[test]
#[allow(clippy::disallowed_methods)] // it is the time that counts
fn command_mail_made_to_be_slow() {
    let times = |line: &str| line.repeat(256 * 1024 / line.len());
    for hostile in [
        times("!\n"),
        times("!take\n"),
        times("x\n>\n"),
        format!("!take\n\n{}", times("x\n>\n")),
        format!("!reply\n\n{}", times("from:\n")),
        format!("!reply\n\n{}", times("-----\n")),
        times("```\n>\n"),
        format!("!{}", times("x")),
        times("!case EX-2026-0001\n"),
    ] {
        let begun = time_at_work();
        let _ = order::has_commands(&hostile, true);
        let read = order::read(&hostile, Some(&times("[EX-2026-0001]")), "EX");
        let took = time_at_work() - begun;
        assert!(took < Duration::from_secs(2), "{took:?}: {:?}", hostile.get(..20));
        assert!(order::words(&read).len() <= 21, "{:?}: {}", hostile.get(..20), order::words(&read).len());
    }
}
