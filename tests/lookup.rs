//! The door for questions, against web servers that answer well, badly, or not at all.
//!
//! The servers are real ones with TLS, on loopback; the names they have are known to the look-up alone.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use openpgp::cert::{CertBuilder, UserIDRevocationBuilder};
use openpgp::packet::user_attribute::{Image, Subpacket};
use openpgp::packet::{Packet, UserAttribute, UserID, signature::SignatureBuilder};
use openpgp::serialize::SerializeInto;
use openpgp::types::{ReasonForRevocation, SignatureType};
use openpgp::{Cert, KeyHandle};
use psirtd::clock::Clock;
use psirtd::keyring::{encryption_keys, policy};
use psirtd::lookup::{Found, LookupError, Reach, Settings, look_up};
use sequoia_openpgp as openpgp;

use crate::support::free_port;
use crate::support::tls::Authority;
use crate::support::web::{Does, Web, http, internet, ok};

const ADA: &str = "Ada@example.org";
const ADVANCED: &str = "openpgpkey.example.org";
const DIRECT: &str = "example.org";
/// SHA-1 of `ada` in z-base-32.
const HU: &str = "huin1uygftjfco69ypidm11zuqef9jyy?l=Ada";

/// Asks for Ada where only the advanced host exists, and does this.
async fn ask(does: Does) -> Result<Found, LookupError> {
    ask_within(does, |_| ()).await
}

async fn ask_within(does: Does, change: impl FnOnce(&mut Settings)) -> Result<Found, LookupError> {
    let authority = Authority::new();
    let web = Web::start(&authority, ADVANCED, does).await;
    let mut settings = internet(&authority, &[(ADVANCED, &[web.address])]);
    change(&mut settings);
    look_up(ADA, &settings).await
}

fn certificate(user_ids: &[&str]) -> Cert {
    let mut builder = CertBuilder::new().add_signing_subkey().add_transport_encryption_subkey();
    for user in user_ids {
        builder = builder.add_userid(*user);
    }
    builder.generate().unwrap().0
}

fn public(cert: &Cert) -> Vec<u8> {
    cert.clone().strip_secret_key_material().to_vec().unwrap()
}

fn user_ids(cert: &Cert) -> Vec<String> {
    cert.userids().map(|user| String::from_utf8(user.userid().value().to_vec()).unwrap()).collect()
}

/// Mail can be encrypted to it now.
fn is_usable(cert: &Cert) -> bool {
    let now: Timestamp = Clock::System.now();
    encryption_keys(cert, &policy(now), now).is_ok()
}

#[tokio::test]
async fn the_right_certificate_is_found() {
    let ada = certificate(&["Ada Lovelace <ada@example.org>"]);
    let authority = Authority::new();
    let web = Web::start(&authority, ADVANCED, ok(&public(&ada))).await;
    let found = look_up(ADA, &internet(&authority, &[(ADVANCED, &[web.address])])).await.unwrap();
    let path = format!("/.well-known/openpgpkey/example.org/hu/{HU}");
    assert_eq!(found.url, format!("https://{ADVANCED}{path}"));
    assert_eq!(found.certs.iter().map(Cert::fingerprint).collect::<Vec<_>>(), [ada.fingerprint()]);
    assert!(is_usable(&found.certs[0]));
    // this, and nothing else, is said
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {ADVANCED}\r\nuser-agent: psirtd\r\n\
         accept: application/octet-stream, */*\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(web.heard(), [request]);
}

#[tokio::test]
async fn an_answer_may_come_in_chunks_armored_or_until_the_end() {
    let ada = certificate(&["<ada@example.org>"]);
    let body = public(&ada);
    let mut chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(100) {
        chunks.extend(format!("{:x};extension\r\n", chunk.len()).bytes());
        chunks.extend(chunk.iter().chain(b"\r\n"));
    }
    chunks.extend(b"0\r\nTrailer: x\r\n\r\n");
    let until_the_end = [b"HTTP/1.0 200 OK\r\n\r\n", body.as_slice()].concat();
    let armored = http("200 OK", &ada.armored().to_vec().unwrap());
    let continued = [b"HTTP/1.1 103 Early Hints\r\n\r\n".as_slice(), &http("200 OK", &body)].concat();
    for answer in [chunks, until_the_end, armored, continued] {
        let found = ask(Does::Says(answer)).await.unwrap();
        assert_eq!(found.certs[0].fingerprint(), ada.fingerprint());
    }
}

#[tokio::test]
async fn the_direct_method_is_for_domains_without_the_host() {
    let authority = Authority::new();
    let ada = certificate(&["<ada@example.org>"]);
    let direct = Web::start(&authority, DIRECT, ok(&public(&ada))).await;
    let settings = internet(&authority, &[(DIRECT, &[direct.address])]);
    let found = look_up(ADA, &settings).await.unwrap();
    assert_eq!(found.url, format!("https://{DIRECT}/.well-known/openpgpkey/hu/{HU}"));
    assert_eq!(found.certs[0].fingerprint(), ada.fingerprint());
    assert_eq!(direct.heard().len(), 1);
    // neither host exists
    let nowhere = look_up(ADA, &internet(&authority, &[])).await;
    assert_eq!(nowhere.unwrap_err(), LookupError::NoHost(DIRECT.to_owned()));
}

#[tokio::test]
async fn what_the_advanced_host_does_is_final() {
    let authority = Authority::new();
    let direct = Web::start(&authority, DIRECT, ok(&public(&certificate(&["<ada@example.org>"])))).await;
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let says = |answer: Vec<u8>| Web::start(&authority, ADVANCED, Does::Says(answer));
    let [no, broken, other] = [
        says(http("404 Not Found", b"")).await.address,
        says(http("503 Busy", b"")).await.address,
        Web::start(&authority, "mail.example.org", ok(b"")).await.address,
    ];
    let host = || ADVANCED.to_owned();
    let cases: [(&[SocketAddr], LookupError); 5] = [
        (&[no], LookupError::Unpublished),
        (&[broken], LookupError::Status(host(), 503)),
        (&[other], LookupError::Tls(host(), "its certificate is for others")),
        (&[gone], LookupError::Unreachable(host(), std::io::ErrorKind::ConnectionRefused)),
        (&[], LookupError::Unresolved(host())),
    ];
    for (at, expected) in cases {
        let settings = internet(&authority, &[(ADVANCED, at), (DIRECT, &[direct.address])]);
        assert_eq!(look_up(ADA, &settings).await.unwrap_err(), expected);
    }
    assert_eq!(direct.heard(), [""; 0], "the direct method must not be tried");
}

#[tokio::test]
async fn another_address_of_the_host_is_tried_when_one_is_dead() {
    let authority = Authority::new();
    let web = Web::start(&authority, ADVANCED, ok(&public(&certificate(&["<ada@example.org>"])))).await;
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let settings = internet(&authority, &[(ADVANCED, &[gone, web.address])]);
    assert!(look_up(ADA, &settings).await.is_ok());
}

#[tokio::test]
async fn certificates_of_others_are_not_adas() {
    let other = LookupError::OtherAddress(ADVANCED.to_owned());
    for user in [
        "Eve <eve@example.org>",
        "Ada <ada@example.org.evil.example>",
        "Ada <xada@example.org>",
        "ada@example.org <eve@example.org>",
        "Ada <ada@example.com>",
        "Ada",
    ] {
        assert_eq!(ask(ok(&public(&certificate(&[user])))).await.unwrap_err(), other, "{user}");
    }
    // a user id that the key never certified
    let eve = certificate(&["<eve@example.org>"]).strip_secret_key_material();
    let (forged, _) = eve.insert_packets([Packet::from(UserID::from("<ada@example.org>"))]).unwrap();
    assert_eq!(ask(ok(&forged.to_vec().unwrap())).await.unwrap_err(), other);
}

#[tokio::test]
async fn statuses() {
    let status = |status| LookupError::Status(ADVANCED.to_owned(), status);
    for (answer, expected, may_pass) in [
        ("404 Not Found", LookupError::Unpublished, false),
        ("410 Gone", LookupError::Unpublished, false),
        ("204 No Content", status(204), false),
        ("206 Partial Content", status(206), false),
        ("401 Unauthorized", status(401), false),
        ("429 Too Many Requests", status(429), true),
        ("500 Internal Server Error", status(500), true),
    ] {
        let error = ask(Does::Says(http(answer, b""))).await.unwrap_err();
        assert_eq!((error.may_pass(), error), (may_pass, expected));
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let authority = Authority::new();
    let elsewhere =
        Web::start(&authority, "localhost", ok(&public(&certificate(&["<ada@example.org>"])))).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let places = [format!("https://localhost:{}/", elsewhere.address.port()), "/hu/x".to_owned()];
        for place in places {
            let answer = format!("HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
            let web = Web::start(&authority, ADVANCED, Does::Says(answer.into_bytes())).await;
            let settings = internet(
                &authority,
                &[
                    (ADVANCED, &[web.address]),
                    ("localhost", &[elsewhere.address]),
                    (DIRECT, &[elsewhere.address]),
                ],
            );
            let error = look_up(ADA, &settings).await.unwrap_err();
            assert_eq!(error, LookupError::Redirect(ADVANCED.to_owned()));
            assert_eq!(web.heard().len(), 1);
        }
    }
    assert_eq!(elsewhere.heard(), [""; 0]);
}

#[tokio::test]
async fn no_more_is_read_than_allowed() {
    let too_large = LookupError::TooLarge(ADVANCED.to_owned(), 256 << 10);
    let endless = |head: &str, again: &[u8]| Does::Repeats(head.into(), again.to_vec(), Duration::ZERO);
    let chunk = [b"1000\r\n".as_slice(), &[0; 0x1000], b"\r\n"].concat();
    for does in [
        Does::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n".to_vec()),
        Does::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n".to_vec()),
        endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunk),
        endless("HTTP/1.0 200 OK\r\n\r\n", &[0; 4096]),
    ] {
        assert_eq!(ask(does).await.unwrap_err(), too_large);
    }
    // more than can be counted, less than nothing, two lengths
    for length in ["18446744073709551616", "-1", "5\r\nContent-Length: 6"] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello!");
        let error = ask(Does::Says(answer.into_bytes())).await.unwrap_err();
        assert!(matches!(error, LookupError::Http(..)), "{length}: {error}");
    }
    // exactly as much is allowed
    let body = public(&certificate(&["<ada@example.org>"]));
    assert!(ask_within(ok(&body), |settings| settings.max_bytes = body.len()).await.is_ok());
    let short = ask_within(ok(&body), |settings| settings.max_bytes = body.len() - 1).await;
    assert_eq!(short.unwrap_err(), LookupError::TooLarge(ADVANCED.to_owned(), body.len() - 1));
}

#[tokio::test]
async fn endless_headers_end() {
    let endless = |head: &str, again: &[u8]| Does::Repeats(head.into(), again.to_vec(), Duration::ZERO);
    let many: String = (0..65).map(|n| format!("x-{n}: y\r\n")).collect();
    for does in [
        endless("HTTP/1.1 200 OK\r\nx: ", b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        endless("HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        endless(
            "HTTP/1.1 200 ",
            b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
        ),
        endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", &[b'x'; 256]),
        endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
        Does::Says(format!("HTTP/1.1 200 OK\r\n{many}\r\n").into_bytes()),
    ] {
        let error = ask(does).await.unwrap_err();
        assert!(matches!(error, LookupError::Http(..)), "{error}");
    }
}

#[tokio::test]
async fn slow_servers_are_left() {
    let limit = Duration::from_millis(700);
    let drips =
        |head: &str, again: &[u8]| Does::Repeats(head.into(), again.into(), Duration::from_millis(30));
    for does in [
        drips("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", b"x"),
        drips("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        drips("HTTP/1.1 200 OK\r\n", b"x"),
        drips("", b"HTTP/1.1 100 Continue\r\n\r\n"),
        Does::Repeats(Vec::new(), Vec::new(), Duration::from_millis(30)),
        Does::Nothing,
    ] {
        let asked = ask_within(does, |settings| settings.timeout = limit);
        let error = tokio::time::timeout(Duration::from_secs(15), asked).await.expect("an end").unwrap_err();
        assert_eq!(error, LookupError::Timeout(limit));
        assert_eq!(error.to_string(), "the look-up was not over within 0.7 s");
    }
}

#[tokio::test]
async fn garbage_is_no_certificate() {
    // a literal packet, and one that never ends
    let message = b"\xcb\x0bb\x00\x00\x00\x00\x00hello".to_vec();
    let truncated = {
        let body = public(&certificate(&["<ada@example.org>"]));
        body[..body.len() / 3].to_vec()
    };
    for body in
        [b"".to_vec(), b"<!doctype html><p>Not here".to_vec(), vec![0xff; 1000], vec![0x99; 5000], message]
    {
        let error = ask(ok(&body)).await.unwrap_err();
        assert_eq!(error, LookupError::NotACertificate(ADVANCED.to_owned()), "{body:02x?}");
    }
    assert!(ask(ok(&truncated)).await.is_err());
    for answer in [b"220 mail.example.org ESMTP\r\n".to_vec(), b"\0\0\0\r\n\r\n".to_vec(), Vec::new()] {
        let error = ask(Does::Says(answer)).await.unwrap_err();
        assert!(matches!(error, LookupError::Http(..)), "{error}");
    }
    let broken_off = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf".to_vec();
    let error = ask(Does::Says(broken_off)).await.unwrap_err();
    assert_eq!(error, LookupError::Http(ADVANCED.to_owned(), "it broke off"));
}

#[tokio::test]
async fn only_what_is_needed_is_kept() {
    let eve = certificate(&["<eve@example.org>"]);
    let names: Vec<String> = (0..40).map(|n| format!("Ada <ada{n}@example.org>")).collect();
    let mut users: Vec<&str> = names.iter().map(String::as_str).collect();
    users.extend(["Ada <ada@example.org>", "ADA@example.org", "Ada <ada@example.com>", "Ada Lovelace"]);
    let cert = certificate(&users);
    let photo = UserAttribute::new(&[Subpacket::Image(Image::JPEG(vec![7; 5000].into()))]).unwrap();
    let mut signer = eve.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let mut packets = vec![Packet::from(photo.clone())];
    for user in cert.userids() {
        let builder = SignatureBuilder::new(SignatureType::GenericCertification);
        packets.push(user.userid().bind(&mut signer, &cert, builder).unwrap().into());
    }
    let (cert, _) = cert.insert_packets(packets).unwrap();
    let found = ask(ok(&public(&cert))).await.unwrap();
    let kept = &found.certs[0];
    assert_eq!(found.certs.len(), 1);
    assert_eq!(kept.fingerprint(), cert.fingerprint());
    let mut left = user_ids(kept);
    left.sort();
    assert_eq!(left, ["ADA@example.org", "Ada <ada@example.org>"]);
    assert_eq!(kept.user_attributes().count(), 0);
    assert_eq!(kept.keys().count(), cert.keys().count());
    let foreign = KeyHandle::from(eve.fingerprint());
    for packet in kept.clone().into_packets() {
        if let Packet::Signature(signature) = packet {
            assert!(!signature.get_issuers().iter().any(|issuer| issuer.aliases(&foreign)));
        }
    }
    assert!(is_usable(kept));
}

#[tokio::test]
async fn revocations_are_kept() {
    let (cert, revocation) = CertBuilder::general_purpose(Some("<ada@example.org>")).generate().unwrap();
    let (revoked, _) = cert.insert_packets([Packet::from(revocation)]).unwrap();
    let fresh = certificate(&["Ada <ada@example.org>"]);
    let found = ask(ok(&[public(&revoked), public(&fresh)].concat())).await.unwrap();
    assert_eq!(found.certs.iter().map(is_usable).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_retired_user_id_is_nobodys() {
    let cert = certificate(&["<ada@example.org>", "<ada@home.example>"]);
    let mut signer = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let user = cert.userids().find(|user| user.userid().value() == b"<ada@example.org>").unwrap();
    let revocation = UserIDRevocationBuilder::new()
        .set_reason_for_revocation(ReasonForRevocation::UIDRetired, b"left")
        .unwrap()
        .build(&mut signer, &cert, user.userid(), None)
        .unwrap();
    let (cert, _) = cert.insert_packets([Packet::from(revocation)]).unwrap();
    let error = ask(ok(&public(&cert))).await.unwrap_err();
    assert_eq!(error, LookupError::OtherAddress(ADVANCED.to_owned()));
}

#[tokio::test]
async fn a_keyring_gives_a_few_at_most() {
    let mut body = Vec::new();
    for n in 0..10 {
        body.extend(public(&certificate(&[&format!("<ada{n}@example.org>")])));
        body.extend(public(&certificate(&["<ada@example.org>"])));
    }
    let found = ask(ok(&body)).await.unwrap();
    assert_eq!(found.certs.len(), 4);
    assert!(found.certs.iter().all(|cert| user_ids(cert) == ["<ada@example.org>"]));
}

#[tokio::test]
async fn a_flooded_certificate_is_not_read() {
    let flood = (0..1000).map(|n| Packet::from(UserID::from(format!("<ada{n}@example.org>"))));
    let cert = certificate(&["<ada@example.org>"]).strip_secret_key_material();
    let (flooded, _) = cert.insert_packets(flood).unwrap();
    let error = ask(ok(&flooded.to_vec().unwrap())).await.unwrap_err();
    assert_eq!(error, LookupError::NotACertificate(ADVANCED.to_owned()));
}

#[tokio::test]
async fn a_published_secret_key_is_refused() {
    let secret = certificate(&["<ada@example.org>"]);
    let fine = public(&certificate(&["<ada@example.org>"]));
    let body = secret.as_tsk().to_vec().unwrap();
    for body in [body.clone(), [fine, body].concat(), secret.as_tsk().armored().to_vec().unwrap()] {
        let error = ask(ok(&body)).await.unwrap_err();
        assert_eq!(error, LookupError::Secret(ADVANCED.to_owned()));
    }
}

#[tokio::test]
async fn without_tls_there_is_no_answer() {
    let plain = http("200 OK", &public(&certificate(&["<ada@example.org>"])));
    let error = ask(Does::Greets(plain)).await.unwrap_err();
    assert_eq!(error, LookupError::Tls(ADVANCED.to_owned(), "it speaks no TLS that is understood"));
}

#[tokio::test]
async fn the_certificate_must_be_for_the_name_and_by_an_authority() {
    let authority = Authority::new();
    let body = public(&certificate(&["<ada@example.org>"]));
    for name in ["example.org", "openpgpkey.example.com", "127.0.0.1", "*.org"] {
        let web = Web::start(&authority, name, ok(&body)).await;
        let settings = internet(&authority, &[(ADVANCED, &[web.address])]);
        let error = look_up(ADA, &settings).await.unwrap_err();
        let why = "its certificate is for others";
        assert_eq!(error, LookupError::Tls(ADVANCED.to_owned(), why), "{name}");
        assert_eq!(web.heard(), [""], "nothing may be asked of {name}");
    }
    let web = Web::start(&Authority::new(), ADVANCED, ok(&body)).await;
    let settings = internet(&authority, &[(ADVANCED, &[web.address])]);
    let error = look_up(ADA, &settings).await.unwrap_err();
    assert!(matches!(error, LookupError::Tls(..)), "{error}");
}

#[tokio::test]
async fn an_international_domain_is_one_however_it_is_written() {
    let authority = Authority::new();
    let host = "openpgpkey.xn--bcher-kva.example";
    for user in ["Ada <ada@bücher.example>", "Ada <ada@xn--bcher-kva.example>"] {
        let web = Web::start(&authority, host, ok(&public(&certificate(&[user])))).await;
        let settings = internet(&authority, &[(host, &[web.address])]);
        for address in ["ada@bücher.example", "ada@XN--BCHER-KVA.example"] {
            let found = look_up(address, &settings).await.unwrap();
            assert_eq!(user_ids(&found.certs[0]), [user]);
        }
        assert!(web.heard()[0].starts_with("GET /.well-known/openpgpkey/xn--bcher-kva.example/hu/"));
    }
}

#[tokio::test]
async fn private_networks_are_not_entered() {
    let authority = Authority::new();
    let web = Web::start(&authority, ADVANCED, ok(b"")).await;
    let private: SocketAddr = "10.0.0.1:443".parse().unwrap();
    // one of two is enough to be refused, and the other method is no way round
    let settings = internet(&authority, &[(ADVANCED, &[web.address, private]), (DIRECT, &[web.address])]);
    let error = look_up(ADA, &settings).await.unwrap_err();
    assert_eq!(error, LookupError::NotPublic(ADVANCED.to_owned(), private.ip()));
    assert_eq!(web.heard(), [""; 0]);
    assert!(matches!(Settings::default().reach, Reach::Public));
}

#[tokio::test]
async fn hostile_addresses_are_refused_before_anything_is_asked() {
    let settings = Settings { timeout: Duration::from_secs(60), ..Settings::default() };
    for address in
        ["ada", "ada@localhost", "ada@[127.0.0.1]", "ada@127.0.0.1", "ada@example.org:80", "a@b@example.org"]
    {
        let error = look_up(address, &settings).await.unwrap_err();
        assert!(matches!(error, LookupError::Address(_)), "{address}: {error}");
        assert!(!error.may_pass());
    }
}
