//! What a second look at certificates, replays and warnings found. Each of these fails as long as its bug is there.

use crate::support::desk::{Desk, pgp_mime};
use psirtd::control::Question;
use psirtd::domain::message::Mailbox;
use psirtd::keyring;
use sequoia_openpgp as openpgp;

use openpgp::Cert;
use openpgp::parse::Parse;

const WORDS: &str = "The session tokens are made from the clock";
const INSIDE: &str = "\
Content-Type: text/plain; charset=utf-8; protected-headers=\"v1\"; hp=\"cipher\"
Subject: Session tokens are predictable

The session tokens are made from the clock: remote attackers can guess them.
";

fn sams_report(desk: &Desk) -> String {
    desk.encrypted_mail("From: Sam <sam@example.com>\nSubject: ...\nMessage-ID: <s-1@example.com>", INSIDE)
}

/// The ciphertext of a PGP/MIME mail, as a block of text.
fn block(mail: &str) -> &str {
    let end = "-----END PGP MESSAGE-----\n";
    let start = mail.find("-----BEGIN PGP MESSAGE-----").unwrap();
    &mail[start..mail.find(end).unwrap() + end.len()]
}

/// A mail in the clear with an Autocrypt field for this key of Nora's.
fn from_nora(desk: &Desk, id: &str, key: Option<&str>) -> String {
    let field = key.map_or_else(String::new, |key| {
        format!("Autocrypt: addr=nora@example.net; keydata={}\n", desk.autocrypt_key(key))
    });
    format!("{field}From: Nora <nora@example.net>\nMessage-ID: <{id}@example.net>\n\nA heap overflow.\n")
}

/// A mail in the clear with a certificate attached.
fn with_key(from: &str, id: &str, armored: &str) -> String {
    format!(
        "From: {from}\nMessage-ID: <{id}@example.net>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=k\n\n\
         --k\nContent-Type: text/plain\n\nHello.\n--k\nContent-Type: application/pgp-keys\n\n{armored}\n--k--\n"
    )
}

/// The first certificate remembered for an address, which is in use.
fn in_use(desk: &Desk, address: &str) -> String {
    desk.ask(&Question::Seen(address.to_owned()))[0]["certificate"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_withheld(desk: &Desk) {
    let letters = desk.letters();
    let kinds: Vec<String> =
        letters.iter().map(|letter| format!("{} to {}", letter.kind, letter.to)).collect();
    assert_eq!(kinds, ["relay to ada@example.org"]);
    assert!(!letters[0].text().contains(WORDS), "{}", letters[0].text());
}

/// In front of Sam's ciphertext stands one of her own that she sent before: `facts::sighting` looks at the first one only.
#[test]
fn a_replay_behind_a_ciphertext_of_her_own() {
    let desk = Desk::new();
    let sams = sams_report(&desk);
    desk.receives(&sams);
    let head = "From: Nora <nora@example.net>\nSubject: ...\nMessage-ID: <n-1@example.net>";
    let hers = desk.encrypted_mail(head, "Content-Type: text/plain\n\nHello.\n");
    desk.receives(&hers);
    desk.letters();
    desk.receives(&format!(
        "From: Nora <nora@example.net>\nMessage-ID: <n-2@example.net>\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain\n\n{}\n--o\n\
         Content-Type: text/plain\n\n{}\n--o--\n",
        block(&hers),
        block(&sams)
    ));
    assert_withheld(&desk);
}

/// Her own signature is around Sam's ciphertext, and `decide::replayed` takes it for the ciphertext's.
#[test]
fn a_replay_inside_a_signature_of_her_own() {
    let forwarded = |sams: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=q\n\n--q\nContent-Type: text/plain\n\nHello.\n--q\n\
             Content-Type: message/rfc822\n\n{sams}\n--q--\n"
        )
    };
    let inline = |sams: &str| format!("Content-Type: text/plain\n\nHello.\n\n{}", block(sams));
    let shapes: [&dyn Fn(&str) -> String; 2] = [&forwarded, &inline];
    for shape in shapes {
        let desk = Desk::new();
        let sams = sams_report(&desk);
        desk.receives(&sams);
        desk.receives(&from_nora(&desk, "n-0", Some("nora@example.net")));
        desk.letters();
        let entity = shape(&sams);
        let signature = desk.signature_over(&entity, "nora@example.net");
        desk.receives(&format!(
            "From: Nora <nora@example.net>\nMessage-ID: <n-1@example.net>\nMIME-Version: 1.0\nContent-Type: \
             multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=s\n\n--s\n{entity}\n--s\n\
             Content-Type: application/pgp-signature\n\n{signature}\n--s--\n"
        ));
        assert_withheld(&desk);
    }
}

/// Fields of the encrypted header that do not stand outside are decrypted text.
#[test]
fn ids_of_a_protected_header_stay_secret() {
    let desk = Desk::new();
    let inside = "Content-Type: text/plain; hp=\"cipher\"\nSubject: S\nMessage-ID: <CANARY-one@x>\n\
                  In-Reply-To: <CANARY-two@x>\nReferences: <CANARY-two@x>\n\nHello.\n";
    let head = "From: Nora <nora@example.net>\nSubject: ...\nMessage-ID: <n-1@example.net>";
    desk.receives(&desk.encrypted_mail(head, inside));
    for letter in desk.letters() {
        assert!(!letter.outside.contains("CANARY"), "{}: {}", letter.kind, letter.outside);
    }
    let journal = std::fs::read(desk.state().join("journal")).unwrap();
    assert!(!String::from_utf8_lossy(&journal).contains("CANARY"));
}

/// She revokes what the desk remembers. `keyring::choose` drops what cannot be used, so that it is forgotten at once.
#[test]
fn a_revocation_is_remembered() {
    let desk = Desk::new();
    let born = "2026-11-01T00:00:00Z".parse().unwrap();
    let secret = keyring::generate(&Mailbox::bare("vera@example.net"), born, true).unwrap();
    let cert = Cert::from_bytes(secret.as_bytes()).unwrap();
    let public = |cert: &Cert| keyring::armored(&cert.clone().strip_secret_key_material()).unwrap();
    desk.receives(&with_key("Vera <vera@example.net>", "v-1", &public(&cert)));
    let mut pair = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let revocation = openpgp::cert::CertRevocationBuilder::new()
        .set_reason_for_revocation(openpgp::types::ReasonForRevocation::KeyCompromised, b"stolen")
        .unwrap()
        .set_signature_creation_time(keyring::system_time("2026-11-20T12:00:00Z".parse().unwrap()))
        .unwrap()
        .build(&mut pair, &cert, None)
        .unwrap();
    let revoked = cert.clone().insert_packets(revocation).unwrap().0;
    desk.receives(&with_key("Vera <vera@example.net>", "v-2", &public(&revoked)));
    let remembered = Cert::from_bytes(in_use(&desk, "vera@example.net").as_bytes()).unwrap();
    assert_eq!(remembered.primary_key().self_revocations().count(), 1);
}

/// Anybody can fill the four places for her address; then a person cannot accept her new certificate any more.
#[test]
fn strangers_cannot_keep_her_new_certificate_out() {
    let desk = Desk::new();
    desk.receives(&from_nora(&desk, "n-1", Some("nora@example.net")));
    for id in ["a-1", "a-2", "a-3"] {
        let key = desk.makes_a_key("Nora Newcomer <nora@example.net>");
        desk.receives(&from_nora(&desk, id, Some(&key)));
    }
    let new = desk.makes_a_key("Nora Newcomer <nora@example.net>");
    desk.receives(&from_nora(&desk, "n-2", Some(&new)));
    let accept = Question::Accept { address: "nora@example.net".to_owned(), fingerprint: new };
    desk.tries(&accept).unwrap();
}

/// Signatures that only claim to be hers are merged into what the desk remembers, up to just below `MAX_CERTIFICATE`: her own
/// renewal has no room left.
#[test]
fn garbage_on_a_certificate_cannot_keep_its_renewal_out() {
    use openpgp::Packet;
    use openpgp::packet::signature::{SignatureBuilder, subpacket::NotationDataFlags};
    let desk = Desk::new();
    let nora = "Nora <nora@example.net>";
    let hers = desk.exported("nora@example.net");
    desk.receives(&with_key(nora, "n-1", &hers));
    let cert = Cert::from_bytes(hers.as_bytes()).unwrap();
    let user = cert.userids().next().unwrap();
    let his = keyring::generate(&Mailbox::bare("m@example.net"), desk.now(), true).unwrap();
    let his = Cert::from_bytes(his.as_bytes()).unwrap();
    let mut pair = his.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let mut packets: Vec<Packet> = cert.clone().into_packets().collect();
    let place = packets.iter().position(|packet| matches!(packet, Packet::UserID(_))).unwrap() + 1;
    let mut poisoned = String::new();
    for number in 0_u32.. {
        let template = SignatureBuilder::from(user.self_signatures().next().unwrap().clone());
        let forged = template
            .set_notation("x@example.net", number.to_be_bytes(), NotationDataFlags::empty(), false)
            .and_then(|forged| forged.set_issuer_fingerprint(cert.fingerprint()))
            .and_then(|forged| forged.set_issuer(cert.keyid()))
            .and_then(|forged| {
                forged.sign_userid_binding(&mut pair, cert.primary_key().key(), user.userid())
            });
        packets.insert(place, forged.unwrap().into());
        let next = keyring::armored(&Cert::from_packets(packets.clone().into_iter()).unwrap()).unwrap();
        if next.len() > 32 * 1024 {
            break;
        }
        poisoned = next;
    }
    desk.receives(&with_key(nora, "m-1", &poisoned));
    let before = in_use(&desk, "nora@example.net");
    desk.renews("nora@example.net");
    desk.receives(&with_key(nora, "n-2", &desk.exported("nora@example.net")));
    assert_ne!(in_use(&desk, "nora@example.net"), before, "her renewal is taken in");
}

/// Both mails are opened with what was remembered before the batch; the second one writes the old certificate back.
#[test]
fn a_mail_in_the_same_batch_does_not_undo_a_renewal() {
    let desk = Desk::new();
    desk.receives(&from_nora(&desk, "n-1", Some("nora@example.net")));
    let before = in_use(&desk, "nora@example.net");
    desk.renews("nora@example.net");
    let renewed = from_nora(&desk, "n-2", Some("nora@example.net"));
    desk.receives_together(&[&renewed, &from_nora(&desk, "n-3", None)]);
    assert_ne!(in_use(&desk, "nora@example.net"), before);
}

/// What the configuration says of Sam wins, whatever is accepted: then that must not be said to have been done.
#[test]
fn accepting_a_certificate_for_a_pinned_address_does_something_or_says_no() {
    let desk = Desk::new();
    let new = desk.makes_a_key("Sam Secret <sam@example.com>");
    let key = desk.autocrypt_key(&new);
    let head = |id: &str| {
        format!(
            "Autocrypt: addr=sam@example.com; keydata={key}\nFrom: Sam <sam@example.com>\nMessage-ID: <{id}@example.com>"
        )
    };
    desk.receives(&desk.encrypted_mail_to(&head("x-1"), INSIDE, "security@example.org", &new));
    let accept = Question::Accept { address: "sam@example.com".to_owned(), fingerprint: new.clone() };
    if desk.tries(&accept).is_err() {
        return;
    }
    desk.letters();
    desk.receives(&desk.encrypted_mail_to(&head("x-2"), INSIDE, "security@example.org", &new));
    assert!(desk.letters()[1].text().contains("Signature:   good"));
}

/// A certificate that looks right, and cannot be encrypted to, was remembered for the author: he is told nothing at all.
#[test]
fn a_certificate_nobody_can_encrypt_to_does_not_cost_the_acknowledgement() {
    use openpgp::packet::key::{Key4, PublicParts, SubordinateRole};
    use openpgp::packet::{Key, signature::SignatureBuilder};
    use openpgp::types::{KeyFlags, SignatureType};
    let desk = Desk::new();
    let born = keyring::system_time("2026-11-01T00:00:00Z".parse().unwrap());
    let made = openpgp::cert::CertBuilder::new().set_creation_time(Some(born));
    let (cert, _) = made.add_userid("nora@example.net").generate().unwrap();
    let mut pair = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    // all points of this key's curve lead to nothing
    let null: Key<PublicParts, SubordinateRole> =
        Key4::<PublicParts, SubordinateRole>::import_public_cv25519(&[0; 32], None, None, born)
            .unwrap()
            .into();
    let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_signature_creation_time(born)
        .and_then(|binding| binding.set_key_flags(KeyFlags::empty().set_transport_encryption()))
        .and_then(|binding| null.bind(&mut pair, &cert, binding))
        .unwrap();
    let cert = cert.insert_packets(vec![openpgp::Packet::from(null), binding.into()]).unwrap().0;
    let key = keyring::armored(&cert.strip_secret_key_material()).unwrap();
    desk.receives(&with_key("Nora <nora@example.net>", "m-1", &key));
    desk.letters();
    desk.receives(&desk.encrypted_mail(
        "From: Nora <nora@example.net>\nSubject: ...\nMessage-ID: <n-1@example.net>",
        INSIDE,
    ));
    assert!(desk.letters().iter().any(|letter| letter.kind == "acknowledgement"));
}

/// Who hears nothing takes a number all the same, and the next letter but one gets it a second time.
#[test]
fn every_warning_has_a_name_of_its_own() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.coordinators_swap();
    desk.restarts();
    desk.clock_to("2026-11-20T23:10:00Z");
    let rita = |id: &str| {
        format!(
            "From: rita@example.net\nMessage-ID: <{id}@example.net>\nPrecedence: bulk\n\nA heap overflow.\n"
        )
    };
    desk.receives(&rita("r-1"));
    desk.set_clock("2026-11-21T02:00:00Z".parse().unwrap());
    desk.receives(&rita("r-2"));
    let key = desk.makes_a_key("Otto Coordinator <otto@example.org>");
    desk.gets_ottos_certificate();
    desk.replaces_certificate("otto", &key);
    desk.restarts();
    desk.clock_to("2028-10-10T00:00:00Z");
    let outbox = desk.ask(&Question::Outbox);
    let warnings = outbox.as_array().unwrap().iter().filter(|letter| letter["kind"] == "warning");
    for letter in warnings {
        let sent = std::fs::read_to_string(
            desk.outbox().join("new").join(format!("{}.eml", letter["id"].as_str().unwrap())),
        );
        let to = letter["to"].as_str().unwrap();
        assert!(sent.unwrap().contains(&format!("<{to}>")), "{letter}");
        assert_eq!(letter["attempts"], 1, "{letter}");
    }
}

/// The desk's key ran out: the warnings cannot be sent either. When it is replaced, somebody hears of what waits.
#[test]
fn a_warning_that_was_held_is_told_when_it_can_be() {
    let desk = Desk::new();
    let key = desk.dir().join("desk.key.asc");
    let good = std::fs::read(&key).unwrap();
    let born = "2026-11-01T00:00:00Z".parse().unwrap();
    let short = keyring::generate(&Mailbox::bare("security@example.org"), born, true).unwrap();
    // whoever takes another key keeps the one before it: what was encrypted to it is opened with it, the store's data key too
    let old_keys = desk.dir().join("old-keys");
    std::fs::create_dir(&old_keys).unwrap();
    std::fs::write(old_keys.join("good.asc"), &good).unwrap();
    std::fs::write(&key, short.as_bytes()).unwrap();
    desk.restarts();
    desk.set_clock("2029-01-02T00:00:00Z".parse().unwrap());
    desk.receives("From: rita@example.net\nMessage-ID: <r-1@example.net>\n\nA heap overflow.\n");
    std::fs::rename(old_keys.join("good.asc"), &key).unwrap();
    std::fs::write(old_keys.join("short.asc"), short.as_bytes()).unwrap();
    desk.restarts();
    desk.clock_to("2029-01-02T03:00:00Z");
    assert!(desk.letters().iter().any(|letter| letter.kind == "warning"));
}

/// What nobody could be told counts as told.
#[test]
fn what_nobody_was_told_is_told_later() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.otto_is_alone();
    desk.restarts();
    desk.clock_to("2026-11-20T23:10:00Z");
    desk.receives(
        "From: rita@example.net\nMessage-ID: <r-1@example.net>\nPrecedence: bulk\n\nA heap overflow.\n",
    );
    desk.letters();
    desk.gets_ottos_certificate();
    desk.restarts();
    desk.clock_to("2026-11-21T02:00:00Z");
    let letters = desk.letters();
    assert!(letters.iter().any(|letter| letter.text().contains("the relay EX-2026-0001.2 to otto")));
}

/// An alias, a list, somebody's forwarding brings a warning back: it is the desk's own letter, no report.
#[test]
fn a_warning_that_comes_back_opens_no_case() {
    let desk = Desk::builder().otto_without_certificate().open();
    desk.clock_to("2026-11-20T23:30:00Z");
    for warning in desk.letters() {
        desk.receives_bytes(&[b"Received: by x\r\n", warning.raw.as_slice()].concat());
    }
    assert_eq!(desk.cases().len(), 0);
}

/// Of the desk's key it is the signing subkey that every letter needs.
#[test]
fn a_signing_subkey_that_expires_is_warned_of() {
    use openpgp::serialize::SerializeInto;
    use openpgp::types::KeyFlags;
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let born = keyring::system_time("2026-01-01T00:00:00Z".parse().unwrap());
    let (cert, _) = openpgp::cert::CertBuilder::new()
        .set_creation_time(Some(born))
        .set_primary_key_flags(KeyFlags::empty().set_certification())
        .add_userid("security@example.org")
        .add_subkey(KeyFlags::empty().set_signing(), Some(day * 330), None)
        .add_subkey(KeyFlags::empty().set_transport_encryption(), None, None)
        .generate()
        .unwrap();
    let mut keys = keyring::Keyring::new();
    keys.add_secret_keys(&cert.as_tsk().armored().to_vec().unwrap(), None).unwrap();
    let validity = |at: &str| keyring::validities(&keys, std::iter::empty(), at.parse().unwrap()).remove(0);
    assert!(validity("2026-11-20T00:00:00Z").expires.is_some(), "it expires within the week");
    let after = "2026-11-28T00:00:00Z";
    assert!(keys.signer(after.parse().unwrap()).is_err());
    assert!(validity(after).unusable.is_some(), "no letter can be signed");
}

/// So that nothing above is blamed for a helper: PGP/MIME itself is caught.
#[test]
fn a_plain_replay_is_caught() {
    let desk = Desk::new();
    let sams = sams_report(&desk);
    desk.receives(&sams);
    desk.letters();
    desk.receives(&pgp_mime("From: Nora <nora@example.net>\nMessage-ID: <n-1@example.net>", block(&sams)));
    assert_withheld(&desk);
}

/// User ids with her address, and subkeys, that nobody bound to her key are kept all the same: her renewal has no room left.
#[test]
fn what_is_not_bound_to_a_certificate_cannot_keep_its_renewal_out() {
    use openpgp::Packet;
    use openpgp::packet::UserID;
    let nora = "Nora <nora@example.net>";
    let stuffed_with_user_ids = |cert: &Cert, number: u32| -> Vec<Packet> {
        let ids = (0..number)
            .map(|n| Packet::from(UserID::from(format!("{n}{} <nora@example.net>", "x".repeat(60)))));
        cert.clone().into_packets().chain(ids).collect()
    };
    let stuffed_with_subkeys = |cert: &Cert, number: u32| -> Vec<Packet> {
        use openpgp::packet::key::{Key4, PublicParts, SubordinateRole};
        let keys = (0..number).map(|n| {
            let mut point = [7; 32];
            point[..4].copy_from_slice(&n.to_be_bytes());
            let born = keyring::system_time("2026-11-01T00:00:00Z".parse().unwrap());
            let key = Key4::<PublicParts, SubordinateRole>::import_public_cv25519(&point, None, None, born)
                .unwrap();
            Packet::from(openpgp::packet::Key::from(key))
        });
        cert.clone().into_packets().chain(keys).collect()
    };
    type Shape<'s> = &'s dyn Fn(&Cert, u32) -> Vec<Packet>;
    let shapes: [(&str, Shape<'_>); 2] =
        [("user ids", &stuffed_with_user_ids), ("subkeys", &stuffed_with_subkeys)];
    for (shape, stuffed) in shapes {
        let desk = Desk::new();
        let hers = desk.exported("nora@example.net");
        desk.receives(&with_key(nora, "n-1", &hers));
        let cert = Cert::from_bytes(hers.as_bytes()).unwrap();
        let armored = |number| {
            keyring::armored(&Cert::from_packets(stuffed(&cert, number).into_iter()).unwrap()).unwrap()
        };
        let most = (1..2000).take_while(|number| armored(*number).len() <= 32 * 1024).last().unwrap();
        desk.receives(&with_key(nora, "m-1", &armored(most)));
        let before = in_use(&desk, "nora@example.net");
        desk.renews("nora@example.net");
        desk.receives(&with_key(nora, "n-2", &desk.exported("nora@example.net")));
        assert!(in_use(&desk, "nora@example.net") != before, "{shape}: her renewal is taken in");
    }
}

/// Both mails are opened with what was remembered before the batch: what the second one brings anew replaces what the first one
/// brought, instead of joining it. The second one can be anybody's, with an older copy from a key server.
#[test]
fn a_revocation_survives_another_renewal_in_the_same_batch() {
    let desk = Desk::new();
    let born = "2026-11-01T00:00:00Z".parse().unwrap();
    let secret = keyring::generate(&Mailbox::bare("vera@example.net"), born, true).unwrap();
    let cert = Cert::from_bytes(secret.as_bytes()).unwrap();
    let public = |cert: &Cert| keyring::armored(&cert.clone().strip_secret_key_material()).unwrap();
    let at = keyring::system_time("2026-11-20T12:00:00Z".parse().unwrap());
    let pair = || cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let revocation = openpgp::cert::CertRevocationBuilder::new()
        .set_reason_for_revocation(openpgp::types::ReasonForRevocation::KeyCompromised, b"stolen")
        .unwrap()
        .set_signature_creation_time(at)
        .unwrap()
        .build(&mut pair(), &cert, None)
        .unwrap();
    let revoked = cert.clone().insert_packets(revocation).unwrap().0;
    let policy = keyring::policy(desk.now());
    let longer = cert
        .set_expiration_time(
            &policy,
            Some(at),
            &mut pair(),
            Some(at + std::time::Duration::from_secs(1 << 27)),
        )
        .unwrap();
    let longer = cert.clone().insert_packets(longer).unwrap().0;
    let vera = |id: &str, cert: &Cert| with_key("Vera <vera@example.net>", id, &public(cert));
    desk.receives(&vera("v-1", &cert));
    desk.receives_together(&[&vera("v-2", &revoked), &vera("m-1", &longer)]);
    let remembered = Cert::from_bytes(in_use(&desk, "vera@example.net").as_bytes()).unwrap();
    assert_eq!(remembered.primary_key().self_revocations().count(), 1);
}

/// The field holds the certificate as it was, the attachment as it is: only the first of the two is looked at.
#[test]
fn a_renewal_beside_an_older_copy_is_taken_in() {
    let desk = Desk::new();
    desk.receives(&from_nora(&desk, "n-1", Some("nora@example.net")));
    let before = in_use(&desk, "nora@example.net");
    let older = desk.autocrypt_key("nora@example.net");
    desk.renews("nora@example.net");
    let mail = with_key("Nora <nora@example.net>", "n-2", &desk.exported("nora@example.net"));
    desk.receives(&format!("Autocrypt: addr=nora@example.net; keydata={older}\n{mail}"));
    assert!(in_use(&desk, "nora@example.net") != before, "her renewal is taken in");
}
