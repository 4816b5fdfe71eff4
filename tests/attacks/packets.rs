//! OpenPGP packets made by hand: what no honest program writes.

use std::io::Write;

use psirtd::keyring;
use sequoia_openpgp as openpgp;

use openpgp::armor;
use openpgp::crypto::symmetric::{BlockCipherMode, Encryptor as Cipher, PaddingMode};
use openpgp::crypto::{KeyPair, SessionKey};
use openpgp::packet::key::{PublicParts, UnspecifiedRole};
use openpgp::packet::signature::SignatureBuilder;
use openpgp::packet::{Key, PKESK, pkesk::PKESK3};
use openpgp::policy::StandardPolicy;
use openpgp::serialize::MarshalInto;
use openpgp::serialize::stream::{Armorer, Compressor, Encryptor, LiteralWriter, Message, Recipient, Signer};
use openpgp::types::{CompressionAlgorithm, Features, HashAlgorithm, SignatureType, SymmetricAlgorithm};
use openpgp::{Cert, Packet};

use super::now;

/// Tags of packets (RFC 9580 §5).
pub(super) const PKESK_TAG: u8 = 1;
pub(super) const SIGNATURE_TAG: u8 = 2;
pub(super) const SKESK_TAG: u8 = 3;
pub(super) const ONE_PASS_TAG: u8 = 4;
pub(super) const COMPRESSED_TAG: u8 = 8;
pub(super) const SED_TAG: u8 = 9;
pub(super) const MARKER_TAG: u8 = 10;
pub(super) const LITERAL_TAG: u8 = 11;
pub(super) const SEIP_TAG: u8 = 18;
pub(super) const PADDING_TAG: u8 = 21;

/// A packet in the present format, with a length of five octets.
pub(super) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0xC0 | tag, 0xFF], &length[..], body].concat()
}

/// A packet in the format of the nineties.
pub(super) fn old_frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0x80 | tag << 2 | 2], &length[..], body].concat()
}

/// A packet in pieces: the first of 512 octets, then of 2 to the power `exponent` each, and the rest.
pub(super) fn pieces(tag: u8, body: &[u8], exponent: u8) -> Vec<u8> {
    let mut packet = vec![0xC0 | tag, 0xE0 | 9];
    let (first, rest) = body.split_at(512);
    packet.extend(first);
    let chunks = rest.chunks_exact(1 << exponent);
    let last = chunks.remainder();
    for chunk in chunks {
        packet.push(0xE0 | exponent);
        packet.extend(chunk);
    }
    packet.push(0xFF);
    packet.extend(u32::try_from(last.len()).unwrap().to_be_bytes());
    [packet, last.to_vec()].concat()
}

/// Takes a row of packets apart: tag and body of each, however framed.
pub(super) fn split(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut packets = Vec::new();
    while let [first, rest @ ..] = bytes {
        let number = |octets: &[u8]| octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
        if first & 0x40 == 0 {
            let octets = 1 << (first & 3);
            let length = number(&rest[..octets]);
            packets.push((first >> 2 & 15, rest[octets..][..length].to_vec()));
            bytes = &rest[octets + length..];
            continue;
        }
        let mut body = Vec::new();
        bytes = rest;
        loop {
            let (length, octets, partial) = match bytes[0] {
                short @ 0..=191 => (usize::from(short), 1, false),
                255 => (number(&bytes[1..5]), 5, false),
                power @ 224.. => (1 << (power & 31), 1, true),
                high => (((usize::from(high) - 192) << 8) + usize::from(bytes[1]) + 192, 2, false),
            };
            body.extend(&bytes[octets..octets + length]);
            bytes = &bytes[octets + length..];
            if !partial {
                break;
            }
        }
        packets.push((first & 63, body));
    }
    packets
}

/// The body of the first packet with this tag.
pub(super) fn body_of(message: &[u8], tag: u8) -> Vec<u8> {
    split(message).into_iter().find(|(found, _)| *found == tag).unwrap().1
}

/// The packets, framed anew, with one body put in place of that of the packet with this tag.
pub(super) fn with_body(message: &[u8], tag: u8, body: &[u8]) -> Vec<u8> {
    let packets = split(message).into_iter();
    packets.flat_map(|(found, old)| frame(found, if found == tag { body } else { &old })).collect()
}

/// A literal packet.
pub(super) fn literal(text: &str) -> Vec<u8> {
    named_literal("", text)
}

/// A literal packet with a file name.
pub(super) fn named_literal(name: &str, text: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    frame(LITERAL_TAG, &[b"b", &[length], name.as_bytes(), &[0; 4], text.as_bytes()].concat())
}

/// Something packed, in a packet that says so.
pub(super) fn compressed(algorithm: CompressionAlgorithm, content: &[u8]) -> Vec<u8> {
    let mut sink = Vec::new();
    let mut message = Compressor::new(Message::new(&mut sink)).algo(algorithm).build().unwrap();
    message.write_all(content).unwrap();
    message.finalize().unwrap();
    sink
}

/// A fresh session key for AES-256.
pub(super) fn session_key() -> SessionKey {
    SessionKey::new(32).unwrap()
}

/// A session key for a certificate, which claims to be for this cipher.
pub(super) fn pkesk(key: &SessionKey, algorithm: SymmetricAlgorithm, to: &Cert) -> Vec<u8> {
    let packet = PKESK3::for_recipient(algorithm, key, &encryption_key(to)).unwrap();
    MarshalInto::to_vec(&Packet::from(PKESK::from(packet))).unwrap()
}

fn encryption_key(cert: &Cert) -> Key<PublicParts, UnspecifiedRole> {
    let policy = StandardPolicy::new();
    let keys = cert.keys().with_policy(&policy, keyring::system_time(now())).for_transport_encryption();
    keys.into_iter().next().unwrap().key().clone().role_into_unspecified()
}

/// AES-256 in OpenPGP's form of CFB.
fn cfb(key: &SessionKey, iv: Option<&[u8]>, plain: &[u8]) -> Vec<u8> {
    let mode = BlockCipherMode::CFB;
    let mut cipher =
        Cipher::new(SymmetricAlgorithm::AES256, mode, PaddingMode::None, key, iv, Vec::new()).unwrap();
    cipher.write_all(plain).unwrap();
    cipher.finalize().unwrap()
}

/// What comes before the content: a random block, whose last two octets are repeated.
const PREFIX: &[u8; 18] = b"a random block!!!!";

/// What is in an encrypted packet with integrity protection: prefix, content, and their digest if it is asked for.
pub(super) fn with_digest(content: &[u8]) -> Vec<u8> {
    let mut plain = [PREFIX, content, &[0xD3, 0x14]].concat();
    let mut hash = HashAlgorithm::SHA1.context().unwrap().for_digest();
    hash.update(&plain);
    plain.extend(hash.into_digest().unwrap());
    plain
}

/// The same without the digest.
pub(super) fn without_digest(content: &[u8]) -> Vec<u8> {
    [PREFIX, content].concat()
}

/// An encrypted packet with integrity protection (tag 18, version 1) around anything.
pub(super) fn seip(key: &SessionKey, plain: &[u8]) -> Vec<u8> {
    frame(SEIP_TAG, &[&[1], &cfb(key, None, plain)[..]].concat())
}

/// An encrypted packet without integrity protection (tag 9).
pub(super) fn sed(key: &SessionKey, content: &[u8]) -> Vec<u8> {
    let head = cfb(key, None, PREFIX);
    let tail = cfb(key, Some(&head[2..]), content);
    frame(SED_TAG, &[head, tail].concat())
}

/// A message to the desk, as every program writes it: the content may be any packets.
pub(super) fn to_desk(content: &[u8]) -> Vec<u8> {
    let key = session_key();
    let session = pkesk(&key, SymmetricAlgorithm::AES256, &super::people().desk);
    [session, seip(&key, &with_digest(content))].concat()
}

/// A message to the desk in the newest form (tag 18, version 2): authenticated chunks of 4 KiB.
pub(super) fn to_desk_in_chunks(text: &str) -> Vec<u8> {
    let key = encryption_key(&super::people().desk);
    let recipient = Recipient::new(Features::sequoia(), key.key_handle(), &key);
    let mut sink = Vec::new();
    let message = Encryptor::for_recipients(Message::new(&mut sink), [recipient]).build().unwrap();
    let mut message = LiteralWriter::new(message).build().unwrap();
    message.write_all(text.as_bytes()).unwrap();
    message.finalize().unwrap();
    sink
}

/// How something is signed.
pub(super) struct Signing<'c> {
    /// Whose keys sign, the innermost last.
    pub(super) by: Vec<&'c Cert>,
    /// With which digest.
    pub(super) hash: HashAlgorithm,
    /// For whom.
    pub(super) intended: Option<&'c Cert>,
}

/// By one person, as every program does it.
pub(super) fn by(cert: &Cert) -> Signing<'_> {
    by_all(&[cert])
}

/// By several, side by side.
pub(super) fn by_all<'c>(certs: &[&'c Cert]) -> Signing<'c> {
    Signing { by: certs.to_vec(), hash: HashAlgorithm::SHA512, intended: None }
}

impl Signing<'_> {
    fn signer<'m>(&self, message: Message<'m>) -> Signer<'m> {
        let template = SignatureBuilder::new(SignatureType::Binary);
        let mut pairs = self.by.iter().map(|cert| signing_pair(cert));
        let mut signer = Signer::with_template(message, pairs.next().unwrap(), template).unwrap();
        for pair in pairs {
            signer = signer.add_signer(pair).unwrap();
        }
        if let Some(cert) = self.intended {
            signer = signer.add_intended_recipient(cert);
        }
        signer.creation_time(keyring::system_time(now())).hash_algo(self.hash).unwrap()
    }

    /// One-pass signature, literal, signature.
    pub(super) fn message(&self, text: &str) -> Vec<u8> {
        let mut sink = Vec::new();
        let message = self.signer(Message::new(&mut sink)).build().unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        message.write_all(text.as_bytes()).unwrap();
        message.finalize().unwrap();
        sink
    }

    /// The same around any other packets.
    pub(super) fn around(&self, content: &[u8]) -> Vec<u8> {
        let mut sink = Vec::new();
        let mut message = self.signer(Message::new(&mut sink)).build().unwrap();
        message.write_all(content).unwrap();
        message.finalize().unwrap();
        sink
    }

    /// A signature packet of its own.
    pub(super) fn detached(&self, data: &[u8]) -> Vec<u8> {
        let mut sink = Vec::new();
        let mut message = self.signer(Message::new(&mut sink)).detached().build().unwrap();
        message.write_all(data).unwrap();
        message.finalize().unwrap();
        sink
    }

    /// Readable text between two frames.
    pub(super) fn cleartext(&self, text: &str) -> String {
        let mut sink = Vec::new();
        let mut message = self.signer(Message::new(&mut sink)).cleartext().build().unwrap();
        message.write_all(text.as_bytes()).unwrap();
        message.finalize().unwrap();
        String::from_utf8(sink).unwrap()
    }

    /// A `multipart/signed` of an entity (written with LF) and the signature over it.
    pub(super) fn entity(&self, entity: &str) -> String {
        let signature = self.detached(entity.replace('\n', "\r\n").as_bytes());
        signed_entity(entity, &signature)
    }
}

/// A `multipart/signed` of an entity and any signature.
pub(super) fn signed_entity(entity: &str, signature: &[u8]) -> String {
    let signature = armored_as(armor::Kind::Signature, signature);
    format!(
        "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512; boundary=\"sig\"\n\n\
         --sig\n{entity}\n--sig\nContent-Type: application/pgp-signature\n\n{signature}\n--sig--\n"
    )
}

/// The pair that signs data for a certificate, whatever has become of it since.
pub(super) fn signing_pair(cert: &Cert) -> KeyPair {
    let policy = StandardPolicy::new();
    let at = keyring::system_time(now() - jiff::SignedDuration::from_hours(30 * 24));
    let keys = cert.keys().secret().with_policy(&policy, at).for_signing();
    keys.into_iter().next().unwrap().key().clone().into_keypair().unwrap()
}

/// The pair that certifies.
pub(super) fn primary_pair(cert: &Cert) -> KeyPair {
    cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap()
}

/// The certificate with a further user id, as anybody could add it: without a signature.
pub(super) fn with_unsigned_user_id(cert: &Cert, name: &str) -> Cert {
    cert.clone().insert_packets([Packet::from(openpgp::packet::UserID::from(name))]).unwrap().0
}

/// An OpenPGP message in armor.
pub(super) fn armored(message: &[u8]) -> String {
    armored_as(armor::Kind::Message, message)
}

/// A certificate in armor.
pub(super) fn armored_key(bytes: &[u8]) -> String {
    armored_as(armor::Kind::PublicKey, bytes)
}

fn armored_as(kind: armor::Kind, bytes: &[u8]) -> String {
    let mut sink = Vec::new();
    let mut message = Armorer::new(Message::new(&mut sink)).kind(kind).build().unwrap();
    message.write_all(bytes).unwrap();
    message.finalize().unwrap();
    String::from_utf8(sink).unwrap()
}

/// The bytes in an armor, wherever it stands in a text.
pub(super) fn dearmored(text: &str) -> Vec<u8> {
    let start = text.find("-----BEGIN PGP").unwrap();
    let mut bytes = Vec::new();
    let mut reader = armor::Reader::from_bytes(&text.as_bytes()[start..], armor::ReaderMode::VeryTolerant);
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    bytes
}

/// A secret key, armored.
pub(super) fn secret_of(cert: &Cert) -> String {
    String::from_utf8(cert.as_tsk().armored().to_vec().unwrap()).unwrap()
}

/// Base64 in lines, as a mail carries a binary file.
pub(super) fn base64(bytes: &[u8]) -> String {
    let armor = armored(bytes);
    let (_, body) = armor.split_once("\n\n").unwrap();
    body.lines().take_while(|line| !line.starts_with(['=', '-'])).map(|line| format!("{line}\n")).collect()
}
