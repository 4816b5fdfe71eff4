//! A notice to many members: everybody gets their own copy, whatever becomes of the others, and however often psirtd dies on the way.
//!
//! The real daemon. The SMTP server is a fake, because it has to refuse, put off and hang by the address, which a real one does not.
//! Of every hundred members one has an expired key, one a revoked one, one is put off (451), one refused (550), one hangs.
//!
//! `make test` runs a short form, `make fanout` the long one: `PSIRTD_FANOUT_MEMBERS` says how many members. A table says what it costs,
//! beside one process of `gpg --encrypt --sign` a member.

use crate::servers::desk::{DESK, Desk, RITA, holds, keys, program, report};
use crate::support::gpg::Gpg;
use crate::support::{happens_every, wait_until};
use psirtd::clock::Clock;
use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::{CertBuilder, CipherSuite};
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::types::ReasonForRevocation;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// In the short form.
const FEW: usize = 100;
/// Times that psirtd is killed on the way, unless `PSIRTD_FANOUT_KILLS` says otherwise.
const KILLS: usize = 10;
/// A thousand letters take as long as the machine is busy.
const LONG: Duration = Duration::from_secs(1800);
/// Only these many have RSA keys: making one takes a while.
const RSA_EVERY: usize = 20;
/// What the daemon may need at most, however many members there are. MiB.
const MEMORY: u64 = 400;
const CANARY: &str = "canary: the length field of a tile is trusted";

/// What is wrong with a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Well,
    Expired,
    Revoked,
    PutOff,
    Refused,
    Hangs,
}

fn fate(number: usize) -> Fate {
    match number % 100 {
        11 => Fate::Expired,
        23 => Fate::Revoked,
        37 => Fate::PutOff,
        59 => Fate::Refused,
        83 => Fate::Hangs,
        _ => Fate::Well,
    }
}

fn address(number: usize) -> String {
    format!("security@m{number:04}.example")
}

struct Someone {
    number: usize,
    cert: Cert,
}

/// Makes the keys, on all threads.
fn members(many: usize) -> Vec<Someone> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let made = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= many {
                        return;
                    }
                    let one = Someone { number, cert: certificate(number) };
                    made.lock().unwrap().push(one);
                }
            });
        }
    });
    let mut made = made.into_inner().unwrap();
    made.sort_by_key(|one| one.number);
    made
}

fn certificate(number: usize) -> Cert {
    let suite = if number.is_multiple_of(RSA_EVERY) { CipherSuite::RSA3k } else { CipherSuite::Cv25519 };
    let year = Duration::from_secs(365 * 24 * 3600);
    let now = std::time::SystemTime::from(Clock::System.now());
    let mut builder = CertBuilder::general_purpose(Some(format!("M <{}>", address(number))));
    builder = builder.set_cipher_suite(suite).set_creation_time(now - year);
    if fate(number) == Fate::Expired {
        builder = builder.set_validity_period(Duration::from_secs(3600));
    }
    let (cert, _) = builder.generate().unwrap();
    match fate(number) {
        Fate::Revoked => {
            let mut signer =
                cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
            let revocation = cert.revoke(&mut signer, ReasonForRevocation::KeyRetired, b"left").unwrap();
            cert.insert_packets(revocation).unwrap().0
        }
        _ => cert,
    }
}

/// What the SMTP server took: by address, the mails.
type Taken = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

/// An SMTP server that takes letters, but for those whose address says otherwise.
fn sink() -> (u16, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Taken::default();
    let inside = taken.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let taken = inside.clone();
            // a client that is killed ends its conversation
            std::thread::spawn(move || drop(converse(stream, &taken)));
        }
    });
    (port, taken)
}

fn converse(stream: TcpStream, taken: &Taken) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut write = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let mut to = String::new();
    let mut say = |text: &str| write.write_all(format!("{text}\r\n").as_bytes());
    say("220 sink ESMTP")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "EHLO" => say("250-sink\r\n250 8BITMIME")?,
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let number = to.strip_prefix("security@m").and_then(|rest| rest.split('.').next());
                match number.and_then(|number| number.parse().ok()).map(fate) {
                    Some(Fate::PutOff) => say("451 4.3.0 come again later")?,
                    Some(Fate::Refused) => say("550 5.1.1 nobody of that name")?,
                    Some(Fate::Hangs) => {
                        let mut nothing = String::new();
                        // until the client has gone
                        lines.read_line(&mut nothing)?;
                        return Ok(());
                    }
                    _ => say("250 2.1.5 Ok")?,
                }
            }
            "DATA" => {
                say("354 go ahead")?;
                let mut mail = Vec::new();
                loop {
                    let mut line = Vec::new();
                    lines.read_until(b'\n', &mut line)?;
                    // a client that was killed in the middle has sent nothing
                    if line.is_empty() {
                        return Ok(());
                    }
                    if line == b".\r\n" {
                        break;
                    }
                    mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                }
                taken.lock().unwrap().entry(to.clone()).or_default().push(mail);
                say("250 2.0.0 Ok: taken")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 2.0.0 Ok")?,
        }
    }
}

fn desk(smtp: u16) -> Desk {
    let desk = Desk::on_maildirs(&["ada"], "plus_address = true");
    let toml = format!(
        "[desk]\nname = \"Example Security\"\naddress = \"{DESK}\"\ncase_prefix = \"EX\"\nkey = \"desk.key.asc\"\n\
         state = \"state\"\nplus_address = true\n[inbox.maildir]\npath = \"inbox\"\n\
         [outbox.smtp]\nhost = \"127.0.0.1\"\nport = {smtp}\ntls = \"none\"\n\
         [[person]]\nname = \"ada\"\naddress = \"ada@example.org\"\nroles = [\"coordinator\"]\ncert = \"ada.asc\"\n\
         [distributors]\naddress = \"distributors@example.org\"\n"
    );
    desk.write("psirtd.toml", toml.as_bytes());
    desk
}

/// As `psirtd members export` writes it.
fn roster(members: &[Someone]) -> Value {
    members
        .iter()
        .map(|one| {
            let armored = String::from_utf8(one.cert.armored().to_vec().unwrap()).unwrap();
            json!({ "id": format!("m{:04}", one.number), "organisation": format!("Member {}", one.number),
                    "addresses": [address(one.number)], "certificates": [armored] })
        })
        .collect()
}

#[track_caller]
fn done(desk: &Desk, arguments: &[&str]) -> String {
    let (code, said, complaint) = desk.says(arguments);
    assert_eq!(code, 0, "{arguments:?}: {complaint}");
    said
}

fn accepted(desk: &Desk) -> BTreeMap<String, u64> {
    let case = desk.case(&desk.case_id(1));
    let states = case["notices"][0]["states"].as_object().cloned().unwrap_or_default();
    states.iter().map(|(state, count)| (state.clone(), count.as_u64().unwrap())).collect()
}

#[test]
fn a_notice_reaches_each_member_whatever_becomes_of_the_others() {
    let many = std::env::var("PSIRTD_FANOUT_MEMBERS").map_or(FEW, |members| members.parse().unwrap());
    let members = members(many);
    let (smtp, taken) = sink();
    let desk = desk(smtp);
    desk.write("members.json", roster(&members).to_string().as_bytes());
    desk.write("notice.txt", CANARY.as_bytes());
    desk.write("fix.patch", "--- a/tile.c\n+++ b/tile.c\n".repeat(100).as_bytes());
    desk.deliver("report", &report(RITA, "Heap overflow", "It crashes."));
    desk.start_saying(&["run"]);
    desk.await_cases(1);
    let path = |name: &str| desk.dir().join(name).to_str().unwrap().to_owned();
    done(&desk, &["members", "import", &path("members.json")]);
    let case = desk.case_id(1);
    let told =
        done(&desk, &["do", &case, "notice", "--text", &path("notice.txt"), "--attach", &path("fix.patch")]);
    let of = |wanted: &[Fate]| members.iter().filter(|one| wanted.contains(&fate(one.number))).count();
    assert!(told.contains(&format!("{} get nothing", of(&[Fate::Expired, Fate::Revoked]))), "{told}");
    let before = Clock::System.now();
    done(&desk, &["do", &case, "approve", "1"]);
    let kills = std::env::var("PSIRTD_FANOUT_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let memory = killed_on_the_way(&desk, &taken, of(&[Fate::Well]), kills);
    let took = Clock::System.now().duration_since(before).as_secs_f64();
    println!(
        "fan-out: {} members, {} served within {took:.1} s with {kills} kills on the way, peak memory {memory} MiB",
        many,
        of(&[Fate::Well])
    );
    wait_until("the refused ones are known", LONG, || {
        accepted(&desk).get("bounced").copied() == Some(of(&[Fate::Refused]) as u64)
    });
    let states = accepted(&desk);
    assert_eq!(states.get("accepted").copied(), Some(of(&[Fate::Well]) as u64), "{states:?}");
    each_has_their_own(&members, &taken);
    assert!(memory < MEMORY, "{memory} MiB");
    if many > FEW {
        beside_gpg(&members);
    }
}

/// Everybody is served in the end; returns the most memory of all lives, in MiB.
fn killed_on_the_way(desk: &Desk, taken: &Taken, well: usize, kills: usize) -> u64 {
    let arrived = || {
        let taken = taken.lock().unwrap();
        taken.keys().filter(|to| to.starts_with("security@m")).count()
    };
    let mut memory = 0;
    for kill in 1..=kills {
        let far = well * kill / (kills + 1);
        wait_until("some more have arrived", LONG, || arrived() >= far);
        memory = memory.max(desk.peak_memory());
        desk.kill();
        desk.start_saying(&["run"]);
    }
    let all = || arrived() >= well && accepted(desk).get("accepted").copied().unwrap_or(0) >= well as u64;
    assert!(happens_every(Duration::from_millis(200), LONG, all), "{} of {well} have arrived", arrived());
    memory.max(desk.peak_memory())
}

/// Their own, encrypted to their own key, under one Message-ID; whoever must not get anything got nothing.
fn each_has_their_own(members: &[Someone], taken: &Taken) {
    let taken = taken.lock().unwrap();
    let mut ids = BTreeSet::new();
    let mut twice = 0;
    for one in members {
        let mails = taken.get(&address(one.number)).map_or(&[][..], Vec::as_slice);
        if fate(one.number) != Fate::Well {
            assert!(mails.is_empty(), "{:?} {}", fate(one.number), one.number);
            continue;
        }
        let (first, more) = mails.split_first().unwrap_or_else(|| panic!("{} has nothing", one.number));
        assert!(more.iter().all(|mail| mail == first), "{} has two different mails", one.number);
        twice += usize::from(!more.is_empty());
        let text = String::from_utf8(first.clone()).unwrap();
        let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned();
        assert!(ids.insert(id), "two members have the same Message-ID");
        assert!(!holds(first, CANARY));
        let keys: BTreeSet<String> = one.cert.keys().map(|key| key.key().keyid().to_hex()).collect();
        let readers = readers(&text);
        assert!(!readers.is_empty() && readers.iter().all(|reader| keys.contains(reader)), "{readers:?}");
    }
    println!(
        "fan-out: {} copies, each under a Message-ID of its own; {twice} arrived more than once",
        ids.len()
    );
}

/// To whose keys the mail is encrypted, as it says itself.
fn readers(mail: &str) -> Vec<String> {
    use sequoia_openpgp::parse::{PacketParser, PacketParserResult, Parse};
    let begin = mail.find("-----BEGIN PGP MESSAGE-----").unwrap();
    let mut readers = Vec::new();
    let mut packets = PacketParser::from_bytes(&mail.as_bytes()[begin..]).unwrap();
    while let PacketParserResult::Some(packet) = packets {
        if let sequoia_openpgp::Packet::PKESK(pkesk) = &packet.packet {
            readers.extend(pkesk.recipient().map(|id| sequoia_openpgp::KeyID::from(&id).to_hex()));
        }
        packets = packet.next().unwrap().1;
    }
    readers
}

/// The same with one process of GnuPG a member.
fn beside_gpg(members: &[Someone]) {
    let gpg = Gpg::new();
    gpg.import(&keys().desk_secret);
    let well: Vec<&Someone> = members.iter().filter(|one| fate(one.number) == Fate::Well).collect();
    let all: Vec<u8> = well.iter().flat_map(|one| one.cert.to_vec().unwrap()).collect();
    gpg.import(&all);
    let text = [CANARY.to_owned(), "--- a/tile.c\n+++ b/tile.c\n".repeat(100)].concat();
    let before = Clock::System.now();
    for one in &well {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(gpg.home())
            .args(["--batch", "--trust-model", "always", "--armor", "--sign", "--encrypt", "-u", DESK, "-r"])
            .arg(one.cert.fingerprint().to_hex())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{}", one.number);
    }
    let took = Clock::System.now().duration_since(before).as_secs_f64();
    println!("fan-out: gpg --encrypt --sign, one process a member: {} members in {took:.1} s", well.len());
    println!("fan-out: by {}", program().display());
}
