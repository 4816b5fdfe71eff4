//! Few bytes that unpack to many. Measured in a process of its own: what `psirtd explain` has used at most, in memory.
//!
//! The process is ended when it uses more than a gigabyte of addresses or twenty seconds of a processor, so that a bomb that
//! goes off hurts nobody else. The figures are printed.

use super::packets::{self, COMPRESSED_TAG, literal};
use super::{SAM, header, mail_around, mixed, multipart, people};
use psirtd::keyring;
use sequoia_openpgp::parse::{PacketParser, PacketParserResult, Parse};
use sequoia_openpgp::types::CompressionAlgorithm;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Addresses, in KiB.
const ADDRESSES: u32 = 1_000_000;
/// What may be in memory at most, in KiB.
const MEMORY: u64 = 300_000;
/// Of the processor's time, in seconds: a guard against what never ends, in an unoptimised build.
const SECONDS: u32 = 20;

/// What `psirtd explain` says of a mail; panics when that cost too much.
#[track_caller]
pub(super) fn explained(name: &str, mail: &str) -> Value {
    weighed(name, mail).unwrap_or_else(|cost| panic!("{cost}"))
}

/// The same, or what it cost.
#[allow(clippy::disallowed_methods)] // it is the time that is printed
pub(super) fn weighed(name: &str, mail: &str) -> Result<Value, String> {
    let dir = tempfile::tempdir().unwrap();
    let [file, key, cert] = ["mail.eml", "desk.asc", "sam.asc"].map(|name| dir.path().join(name));
    std::fs::write(&file, mail.replace('\n', "\r\n")).unwrap();
    std::fs::write(&key, packets::secret_of(&people().desk)).unwrap();
    std::fs::write(&cert, keyring::armored(&people().sam).unwrap()).unwrap();
    let start = Instant::now();
    // the second mail is standard input: the process waits for it, and can be looked at, when it has done with the first
    let limits = format!("ulimit -v {ADDRESSES} && ulimit -t {SECONDS} && exec \"$@\"");
    let mut process = Command::new("sh")
        .args(["-c", &limits, "sh", env!("CARGO_BIN_EXE_psirtd")])
        .args(["explain", "--json", "--key"])
        .arg(&key)
        .arg("--cert")
        .args([&cert, &file])
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let took = start.elapsed();
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    drop(process.stdin.take());
    let mut complaint = String::new();
    process.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    let end = process.wait().unwrap();
    if line.is_empty() {
        return Err(format!("{name}: it died after {took:.1?}: {end} {complaint}"));
    }
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{name}: mail of {} KiB, peak {} MiB, {took:.1?}", mail.len() / 1024, peak / 1024);
    if peak > MEMORY {
        return Err(format!("{name}: {peak} KiB"));
    }
    Ok(serde_json::from_str(&line).unwrap())
}

/// As a block in the text, as a file, and encrypted to the desk.
fn assert_harmless(name: &str, bomb: &[u8]) {
    let armored = packets::armored(bomb);
    let file = format!(
        "Content-Type: application/octet-stream; name=a.gpg\nContent-Disposition: attachment\n\n{armored}"
    );
    for (frame, mail) in [
        ("in the text", format!("{}\n\n{armored}", header(SAM))),
        ("as a file", mixed(SAM, &["\nsee the file", &file])),
        ("encrypted", mail_around(SAM, &packets::to_desk(bomb))),
    ] {
        let seen = explained(&format!("{name}, {frame}"), &mail);
        let problem = seen["problem"].as_str().unwrap_or_default().to_owned() + &seen["problems"].to_string();
        assert!(
            ["unpacks to more", "damaged", "nested", "not taken apart"]
                .iter()
                .any(|why| problem.contains(why)),
            "{name}, {frame}: {problem}"
        );
        assert!(seen["text"].as_str().unwrap().len() < 10_000);
    }
}

fn zeros(megabytes: usize) -> Vec<u8> {
    literal(&"\0".repeat(megabytes << 20))
}

#[test]
fn compression_bombs() {
    for algorithm in [CompressionAlgorithm::Zip, CompressionAlgorithm::Zlib] {
        assert_harmless(&format!("{algorithm}"), &packets::compressed(algorithm, &zeros(200)));
    }
}

/// Packed again, a megabyte is a kilobyte, and a gigabyte too.
#[test]
fn nested_compression() {
    let mut bomb = packets::compressed(CompressionAlgorithm::Zlib, &zeros(200));
    for layers in 2..=40 {
        bomb = packets::compressed(CompressionAlgorithm::Zip, &bomb);
        if [2, 5, 15, 40].contains(&layers) {
            assert_harmless(&format!("{layers} layers"), &bomb);
        }
    }
}

/// A hundred messages in one mail, each within what the mail may unpack to.
#[test]
fn many_small_bombs() {
    let bomb =
        packets::armored(&packets::to_desk(&packets::compressed(CompressionAlgorithm::Zip, &zeros(1))));
    let parts = vec![format!("\n{bomb}"); 100];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    explained("a hundred parts", &mixed(SAM, &parts));
    explained("a hundred blocks", &format!("{}\n\n{}", header(SAM), bomb.repeat(100)));
    let deep = (0..10).fold(multipart("mixed", "b", &parts), |inner, number| {
        multipart("mixed", &format!("b{number}"), &["Content-Type: message/rfc822\n", &inner])
    });
    explained("a hundred parts in mails", &format!("{}\n{deep}", header(SAM)));
}

/// A large mail may unpack to more: as much as that is, it must not be kept many times over.
#[test]
fn as_much_as_a_mail_may_unpack_to() {
    let unread = format!("Content-Type: application/octet-stream\n\n{}", "unread\n".repeat(400_000));
    let much = "All of it matters.\r\n".repeat(3_000_000);
    for (name, entity) in [
        ("text", format!("Content-Type: text/plain\r\n\r\n{much}")),
        ("html", format!("Content-Type: text/html\r\n\r\n<p>{much}")),
        ("file", format!("Content-Type: application/octet-stream\r\n\r\n{much}")),
        ("no entity", much),
    ] {
        let bomb = packets::to_desk(&packets::compressed(CompressionAlgorithm::Zip, &literal(&entity)));
        let inner =
            crate::support::desk::pgp_mime("X: x", &packets::armored(&bomb)).replacen("X: x\n", "", 1);
        let seen = explained(&format!("60 MB of {name}"), &mixed(SAM, &[&inner, &unread]));
        assert_eq!(seen["decrypted"], true, "{}", seen["problem"]);
    }
}

/// It unpacks to itself, and that again to itself: each layer is as long as the one around it, so that no ratio gives it away.
#[test]
fn compression_quine() {
    let quine = quine();
    let PacketParserResult::Some(mut packet) = PacketParser::from_bytes(&quine).unwrap() else {
        panic!("no packet")
    };
    let mut unpacked = Vec::new();
    packet.read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, quine, "it unpacks to itself");
    assert_harmless("quine", &quine);
}

/// A packet whose content, unpacked, is the packet itself, after Russ Cox ("Zip Files All the Way Down", 2010). Deflate has two
/// instructions: "the next n octets are these" and "the last n octets again". Each is written in five octets here.
fn quine() -> Vec<u8> {
    let these = |octets: usize| {
        let length = u16::try_from(octets).unwrap();
        [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes()].concat()
    };
    let (nothing, l1, l4, r4) = (these(0), these(5), these(20), again(20));
    // an old packet of deflated data without a length, and instructions that do nothing until it is long enough for `again`
    let head = [&[0x80 | COMPRESSED_TAG << 2 | 3, 1], &nothing[..], &nothing].concat();
    let (l_head, r_head) = (these(5 + head.len()), again(5 + head.len()));
    // the same at the end, and the last of all
    let tail = [&nothing[..], &nothing, &[1, 0, 0, 0xFF, 0xFF]].concat();
    let (l_tail, r_tail) = (these(5 + tail.len()), again(5 + tail.len()));
    let lines: [&[&[u8]]; 13] = [
        &[&head],
        &[&l_head, &head, &l_head],
        &[&r_head],
        &[&l1, &r_head],
        &[&l1, &l1],
        &[&l4, &r_head, &l1, &l1, &l4],
        &[&r4],
        &[&l4, &r4, &l4, &r4, &l4],
        &[&r4],
        &[&l4, &r4, &nothing, &nothing, &l_tail],
        &[&r4],
        &[&nothing, &nothing, &l_tail, &r_tail, &tail],
        &[&r_tail, &tail],
    ];
    lines.iter().flat_map(|line| line.concat()).collect()
}

/// "The last 17 to 20 octets again": two halves from the same distance, in the fixed code of Deflate.
fn again(octets: usize) -> Vec<u8> {
    let number = |value: usize, bits: usize| (0..bits).rev().map(move |bit| value >> bit & 1 == 1);
    let distance = |value: usize| number(8, 5).chain((0..3).map(move |bit| (value - 17) >> bit & 1 == 1));
    let half = |length: usize| number(length - 2, 7).chain(distance(octets));
    let bits = [false, true, false].into_iter().chain(half(octets / 2)).chain(half(octets - octets / 2));
    let bits: Vec<bool> = bits.chain([false; 7]).collect();
    assert_eq!(bits.len(), 40);
    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | u8::from(*bit))).collect()
}
