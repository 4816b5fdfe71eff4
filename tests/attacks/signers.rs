//! Signatures over the whole mail, which is not Sam's all the same: by another's key, by a key that says it is his, by one
//! that was his, or with a digest that can be forged.

use super::packets::{self, by, primary_pair, signing_pair, to_desk};
use super::{MALLORY, SAM, header, keyring_with, mail_around, new_key, now, opened, opened_with, people};
use jiff::SignedDuration;
use psirtd::domain::message::Message;
use psirtd::domain::signature::Signature;
use psirtd::keyring;
use psirtd::open::open;
use sequoia_openpgp as openpgp;

use openpgp::cert::{CertBuilder, CipherSuite};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::signature::subpacket::{Subpacket, SubpacketValue};
use openpgp::packet::{Signature as Packet, UserID};
use openpgp::parse::Parse;
use openpgp::serialize::MarshalInto;
use openpgp::types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use openpgp::{Cert, PacketPile};

const TEXT: &str = "Content-Type: text/plain\n\nPlease publish it.\n";

/// A mail from Sam with this signature over its entity.
fn signed_by_packet(signature: &[u8]) -> String {
    format!("{}\n{}", header(SAM), packets::signed_entity(TEXT, signature))
}

/// The entity as it is signed.
fn text() -> String {
    TEXT.replace('\n', "\r\n")
}

/// Mails from Sam signed by a certificate: detached, around the text, and inside the encryption.
fn mails_signed_by(cert: &Cert) -> [String; 3] {
    let entity = format!("{}\n{}", header(SAM), by(cert).entity(TEXT));
    let inline = format!("{}\n\n{}", header(SAM), by(cert).cleartext("Please publish it.\n"));
    [entity, inline, mail_around(SAM, &to_desk(&by(cert).message(TEXT)))]
}

#[track_caller]
fn assert_never_good(cert: &Cert, held: &[&Cert], attack: &str) {
    for mail in mails_signed_by(cert) {
        let message = opened_with(&mail, held);
        assert_ne!(message.signature.word(), "good", "{attack}: {:?}", message.signature);
    }
}

fn with_packets(cert: &Cert, packets: impl IntoIterator<Item = openpgp::Packet>) -> Cert {
    cert.clone().insert_packets(packets.into_iter().collect::<Vec<_>>()).unwrap().0
}

#[test]
fn good_signature_by_another_person() {
    assert_never_good(&people().mallory, &[&people().sam, &people().mallory], "mallory's");
    assert_never_good(&people().stranger, &[&people().sam], "a stranger's");
    assert_never_good(&people().desk, &[&people().sam], "the desk's own");
    let own = opened(&format!("{}\n{}", header(MALLORY), by(&people().mallory).entity(TEXT)));
    assert_eq!(own.signature.word(), "good", "hers in her own mail");
}

/// The certificate that comes with the mail says that it is Sam's. So can everybody's.
#[test]
fn certificate_brought_along() {
    let false_sam = new_key("sam@example.com");
    let key = packets::armored_key(&MarshalInto::to_vec(&false_sam).unwrap());
    let body: String =
        key.lines().skip_while(|line| !line.is_empty()).take_while(|line| !line.starts_with('=')).collect();
    let signed = by(&false_sam).entity(&super::multipart(
        "mixed",
        "inner",
        &[TEXT, &format!("Content-Type: application/pgp-keys\n\n{key}")],
    ));
    let message =
        opened(&format!("Autocrypt: addr=sam@example.com; keydata={body}\n{}\n{signed}", header(SAM)));
    assert!(!message.offered_certs.is_empty());
    assert_eq!(message.signature.word(), "unknown-key");
}

/// Mallory's certificate is held, and has gained a user id with Sam's address that she never signed, or no longer stands by.
/// A certificate of his is not held, or is: it makes no difference.
#[test]
fn user_id_that_does_not_count() {
    let mallory = &people().mallory;
    let user = UserID::from(SAM);
    let unsigned = packets::with_unsigned_user_id(mallory, SAM);
    let by_another = {
        let mut stranger = primary_pair(&people().stranger);
        let signature = user
            .certify(
                &mut stranger,
                mallory,
                SignatureType::GenericCertification,
                HashAlgorithm::SHA512,
                keyring::system_time(now()),
            )
            .unwrap();
        with_packets(mallory, [openpgp::Packet::from(user.clone()), signature.into()])
    };
    let revoked = {
        let mut pair = primary_pair(mallory);
        let at = keyring::system_time(now() - SignedDuration::from_hours(48));
        let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
            .set_signature_creation_time(at)
            .unwrap();
        let binding = user.bind(&mut pair, mallory, binding).unwrap();
        let revocation = openpgp::cert::UserIDRevocationBuilder::new()
            .set_signature_creation_time(keyring::system_time(now() - SignedDuration::from_hours(24)))
            .unwrap()
            .set_reason_for_revocation(ReasonForRevocation::UIDRetired, b"not mine")
            .unwrap()
            .build(&mut pair, mallory, &user, None)
            .unwrap();
        with_packets(mallory, [openpgp::Packet::from(user.clone()), binding.into(), revocation.into()])
    };
    let expired = {
        let mut pair = primary_pair(mallory);
        let at = keyring::system_time(now() - SignedDuration::from_hours(48));
        let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
            .set_signature_creation_time(at)
            .unwrap()
            .set_signature_validity_period(std::time::Duration::from_secs(3600))
            .unwrap();
        let binding = user.bind(&mut pair, mallory, binding).unwrap();
        with_packets(mallory, [openpgp::Packet::from(user.clone()), binding.into()])
    };
    let mut believed = Vec::new();
    for (cert, attack) in [
        (unsigned, "unsigned"),
        (by_another, "signed by another"),
        (revoked, "revoked"),
        (expired, "expired"),
    ] {
        for held in [vec![&cert], vec![&people().sam, &cert]] {
            let mails = mails_signed_by(&cert);
            let good = |mail: &String| opened_with(mail, &held).signature.word() == "good";
            believed.extend(mails.iter().filter(|mail| good(mail)).map(|_| (attack, held.len())));
        }
    }
    assert!(believed.is_empty(), "user id, and how many certificates were held: {believed:?}");
}

fn revoked(cert: &Cert, reason: ReasonForRevocation) -> Cert {
    let revocation = openpgp::cert::CertRevocationBuilder::new()
        .set_signature_creation_time(keyring::system_time(now() - SignedDuration::from_hours(24)))
        .unwrap()
        .set_reason_for_revocation(reason, b"")
        .unwrap()
        .build(&mut primary_pair(cert), cert, None)
        .unwrap();
    with_packets(cert, [revocation.into()])
}

#[test]
fn signature_of_a_revoked_key() {
    let sam = &people().sam;
    for reason in [
        ReasonForRevocation::KeyCompromised,
        ReasonForRevocation::KeyRetired,
        ReasonForRevocation::Unspecified,
    ] {
        assert_never_good(sam, &[&revoked(sam, reason)], &reason.to_string());
    }
    let subkey = sam.keys().subkeys().find(|key| key.key().pk_algo().for_signing()).unwrap();
    let revocation = openpgp::cert::SubkeyRevocationBuilder::new()
        .set_signature_creation_time(keyring::system_time(now() - SignedDuration::from_hours(24)))
        .unwrap()
        .set_reason_for_revocation(ReasonForRevocation::KeyCompromised, b"")
        .unwrap()
        .build(&mut primary_pair(sam), sam, subkey.key(), None)
        .unwrap();
    assert_never_good(sam, &[&with_packets(sam, [revocation.into()])], "signing subkey revoked");
}

/// A key for Sam, 31 days old, with this validity; its primary key certifies only.
fn sams_key(validity: Option<std::time::Duration>) -> Cert {
    let builder = CertBuilder::new()
        .add_userid(SAM)
        .set_cipher_suite(CipherSuite::Cv25519)
        .set_creation_time(Some(keyring::system_time(now() - SignedDuration::from_hours(31 * 24))))
        .set_validity_period(validity)
        .set_primary_key_flags(KeyFlags::empty().set_certification())
        .add_signing_subkey()
        .add_transport_encryption_subkey();
    builder.generate().unwrap().0
}

/// It was valid for thirty days, until the day before.
pub(super) fn expired_key_of_sam() -> Cert {
    sams_key(Some(std::time::Duration::from_secs(30 * 24 * 3600)))
}

#[test]
fn signature_of_an_expired_key() {
    let expired = expired_key_of_sam();
    assert_never_good(&expired, &[&expired], "expired the day before");
    let valid = sams_key(Some(std::time::Duration::from_secs(300 * 24 * 3600)));
    assert_eq!(opened_with(&mails_signed_by(&valid)[0], &[&valid]).signature.word(), "good");
}

/// The primary key may certify, not sign; and a key that may only encrypt is none either.
#[test]
fn signature_of_a_key_that_must_not_sign() {
    let cert = sams_key(None);
    let signature = SignatureBuilder::new(SignatureType::Binary)
        .set_signature_creation_time(keyring::system_time(now()))
        .unwrap()
        .sign_message(&mut primary_pair(&cert), text())
        .unwrap();
    let message = opened_with(&signed_by_packet(&serialized(signature)), &[&cert]);
    assert_ne!(message.signature.word(), "good");
}

/// A subkey that never agreed to belong to this certificate: anybody can adopt Sam's signing key, and claim what he signed.
#[test]
fn adopted_signing_subkey() {
    let (sam, mallory) = (&people().sam, &people().mallory);
    let his = sam.keys().subkeys().find(|key| key.key().pk_algo().for_signing()).unwrap();
    let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_signature_creation_time(keyring::system_time(now() - SignedDuration::from_hours(24)))
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_signing())
        .unwrap();
    let key = his.key().clone();
    let binding = key.bind(&mut primary_pair(mallory), mallory, binding).unwrap();
    let adopting = with_packets(mallory, [openpgp::Packet::from(key.parts_into_public()), binding.into()]);
    let mail = format!("{}\n{}", header(MALLORY), by(sam).entity(TEXT));
    let message = opened_with(&mail, &[&adopting]);
    assert_ne!(message.signature.word(), "good", "what Sam signed is Mallory's now");
    let message = opened_with(&format!("{}\n{}", header(SAM), by(sam).entity(TEXT)), &[&adopting, sam]);
    assert_eq!(message.signature.word(), "good", "and Sam's no more");
}

fn serialized(signature: Packet) -> Vec<u8> {
    MarshalInto::to_vec(&openpgp::Packet::from(signature)).unwrap()
}

/// Two texts with one SHA-1 digest can be made: Sam signs the one, Mallory sends the other.
#[test]
fn sha1_data_signature() {
    let sam = &people().sam;
    for hash in [HashAlgorithm::SHA1, HashAlgorithm::RipeMD] {
        let at = keyring::system_time(now());
        let builder = SignatureBuilder::new(SignatureType::Binary).set_hash_algo(hash);
        let builder = builder.set_signature_creation_time(at).unwrap();
        let Ok(signature) = builder.sign_message(&mut signing_pair(sam), text()) else { continue };
        let message = opened(&signed_by_packet(&serialized(signature)));
        assert_eq!(message.signature.word(), "bad", "{hash}");
        assert!(matches!(&message.signature, Signature::Bad { why, .. } if !why.is_empty()));
    }
    let in_message = packets::Signing { hash: HashAlgorithm::SHA1, ..by(sam) }.message(TEXT);
    assert_eq!(opened(&mail_around(SAM, &to_desk(&in_message))).signature.word(), "bad");
}

/// The unhashed area of a signature is not signed: it may name anybody as the issuer, and any time.
#[test]
fn forged_issuer_in_the_unhashed_area() {
    let (sam, mallory) = (&people().sam, &people().mallory);
    let made = packets::body_of(&by(mallory).detached(text().as_bytes()), packets::SIGNATURE_TAG);
    let packet = packets::frame(packets::SIGNATURE_TAG, &made);
    let signature = || match PacketPile::from_bytes(&packet).unwrap().into_children().next() {
        Some(openpgp::Packet::Signature(signature)) => signature,
        other => panic!("{other:?}"),
    };
    let his = signing_pair(sam).public().fingerprint();
    for (fingerprint, cert) in [(his.clone(), "his subkey"), (sam.fingerprint(), "his certificate")] {
        let mut forged = signature();
        let area = forged.unhashed_area_mut();
        area.replace(Subpacket::new(SubpacketValue::IssuerFingerprint(fingerprint.clone()), false).unwrap())
            .unwrap();
        area.replace(Subpacket::new(SubpacketValue::Issuer(fingerprint.into()), false).unwrap()).unwrap();
        for held in [vec![sam], vec![sam, mallory], vec![mallory, sam]] {
            let message = opened_with(&signed_by_packet(&serialized(forged.clone())), &held);
            assert_ne!(message.signature.word(), "good", "{cert}: {:?}", message.signature);
            let hers = message.signature.signer() == Some(his.to_hex().as_str());
            assert!(!hers || message.signature.word() == "bad", "{cert}: {:?}", message.signature);
        }
    }
}

/// Sam wrote it to Mallory, encrypted and signed, and says inside for whom. She encrypts it anew, to the desk.
#[test]
fn surreptitious_forwarding() {
    let (sam, mallory, desk) = (&people().sam, &people().mallory, &people().desk);
    let signing = |cert| packets::Signing { intended: Some(cert), ..by(sam) };
    let meant_for_us = opened(&mail_around(SAM, &to_desk(&signing(desk).message(TEXT))));
    assert_eq!(meant_for_us.signature.word(), "good");
    let forwarded = opened(&mail_around(SAM, &to_desk(&signing(mallory).message(TEXT))));
    assert_ne!(forwarded.signature.word(), "good", "it was meant for Mallory");
    let entity = format!("{}\n{}", header(SAM), signing(mallory).entity(TEXT));
    assert_ne!(opened(&entity).signature.word(), "good", "detached");
}

/// A signature from before the key was made, and from next week.
#[test]
fn signature_of_another_time() {
    for days in [-400, 7] {
        let at = keyring::system_time(now() + SignedDuration::from_hours(24 * days));
        let signature = SignatureBuilder::new(SignatureType::Binary)
            .set_signature_creation_time(at)
            .unwrap()
            .sign_message(&mut signing_pair(&people().sam), text())
            .unwrap();
        assert_ne!(opened(&signed_by_packet(&serialized(signature))).signature.word(), "good", "{days} days");
    }
}

/// Sam signed other things than mails: a certification, a revocation, a standalone signature. None of them is about this text.
#[test]
fn signature_of_another_type() {
    let sam = &people().sam;
    let packets: Vec<Packet> =
        sam.userids().flat_map(|user| user.signatures().cloned().collect::<Vec<_>>()).collect();
    assert!(!packets.is_empty());
    let builder = || {
        SignatureBuilder::new(SignatureType::Standalone)
            .set_signature_creation_time(keyring::system_time(now()))
            .unwrap()
    };
    let standalone = builder().sign_standalone(&mut signing_pair(sam)).unwrap();
    let timestamp =
        builder().set_type(SignatureType::Timestamp).sign_timestamp(&mut signing_pair(sam)).unwrap();
    for signature in packets.into_iter().chain([standalone, timestamp]) {
        let kind = signature.typ();
        assert_ne!(opened(&signed_by_packet(&serialized(signature))).signature.word(), "good", "{kind}");
    }
}

/// Where a signature should be, there is none, or something else; nothing there is not "nothing wrong".
#[test]
fn no_signature_where_one_is_announced() {
    let other = packets::literal("x");
    let cut = &by(&people().sam).detached(text().as_bytes())[..40];
    for (packet, how) in
        [(&b""[..], "empty"), (&other, "a literal"), (cut, "cut"), (&b"\xFF\xFF\xFF"[..], "rubbish")]
    {
        let message: Message = open(
            signed_by_packet(packet).replace('\n', "\r\n").as_bytes(),
            &keyring_with(&[&people().sam]),
            now(),
        );
        assert_ne!(message.signature.word(), "good", "{how}");
    }
}
