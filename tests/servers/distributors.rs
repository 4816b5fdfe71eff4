//! The distributors' list from an application to the disclosure, over real servers: five members, each with a GnuPG of its own.
//!
//! Each mail to a member is opened with that member's key, and with no other member's. Every byte that left is searched for the other
//! members' names, addresses and key ids.

use super::desk::{ADA, BEN, DESK, Desk, Plan, RITA, SOON, holds, keys};
use crate::support::dovecot::Dovecot;
use crate::support::gpg::Gpg;
use crate::support::postfix::Postfix;
use crate::support::wait_until;
use sequoia_openpgp::armor::{Kind, Reader, ReaderMode};
use std::io::Read as _;

const LIST: &str = "distributors@example.org";
const CANARY: &str = "the length field of a tile is trusted";
/// Name on the list, organisation, role address, time zone.
const MEMBERS: [(&str, &str, &str, &str); 5] = [
    ("acme", "Acme Linux", "security@acme.example", "Europe/Berlin"),
    ("bolt", "Bolt Systems", "psirt@bolt.example", "Asia/Tokyo"),
    ("core", "Core Distribution", "security@core.example", "America/New_York"),
    ("dune", "Dune OS", "cert@dune.example", "UTC"),
    ("elm", "Elm Packages", "security-team@elm.example", "Australia/Adelaide"),
];

/// Somebody with a GnuPG of their own.
struct Correspondent {
    gpg: Gpg,
    name: &'static str,
    address: &'static str,
    fingerprint: String,
}

/// What somebody was sent, opened.
struct Opened {
    raw: Vec<u8>,
    text: String,
    message_id: String,
}

impl Correspondent {
    fn new(name: &'static str, address: &'static str) -> Correspondent {
        let gpg = Gpg::new();
        let fingerprint = gpg.generate(&format!("{name} <{address}>"));
        gpg.import(&keys().desk_public);
        Correspondent { gpg, name, address, fingerprint }
    }

    /// A coordinator, whose key the configuration names.
    fn coordinator(place: usize, name: &'static str, address: &'static str) -> Correspondent {
        let gpg = Gpg::new();
        gpg.import(&keys().coordinators[place].0);
        gpg.import(&keys().desk_public);
        Correspondent { gpg, name, address, fingerprint: String::new() }
    }

    /// A mail to the desk, signed and encrypted, with a protected subject.
    fn writes(&self, to: &str, subject: &str, answers: Option<&str>, body: &str) -> Vec<u8> {
        self.encloses(to, subject, answers, body, "")
    }

    fn encloses(&self, to: &str, subject: &str, answers: Option<&str>, body: &str, patch: &str) -> Vec<u8> {
        let id = super::desk::message_id();
        let threads =
            answers.map_or_else(String::new, |id| format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
        let date = jiff::fmt::rfc2822::to_string(
            &psirtd::clock::Clock::System.now().to_zoned(jiff::tz::TimeZone::UTC),
        )
        .unwrap();
        let header = format!(
            "From: {} <{}>\r\nTo: {to}\r\nMessage-ID: {id}\r\nDate: {date}\r\n{threads}",
            self.name, self.address
        );
        let body = body.replace('\n', "\r\n");
        let plain = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n");
        let inner = match patch {
            "" => format!(
                "{header}Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8; protected-headers=\"v1\"\r\n\r\n{body}\r\n"
            ),
            patch => format!(
                "{header}Subject: {subject}\r\nContent-Type: multipart/mixed; boundary=\"m\"; protected-headers=\"v1\"\r\n\r\n--m\r\n{plain}\
                 --m\r\nContent-Type: text/x-patch; name=\"fix.patch\"\r\nContent-Disposition: attachment; filename=\"fix.patch\"\r\n\r\n{}\r\n--m--\r\n",
                patch.replace('\n', "\r\n")
            ),
        };
        let ciphertext = self.gpg.encrypt_sign(inner.as_bytes(), DESK, self.address);
        let ciphertext = String::from_utf8(ciphertext).unwrap().replace('\n', "\r\n");
        format!(
            "{header}Subject: ...\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; \
             boundary=\"b\"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n\
             --b\r\nContent-Type: application/octet-stream\r\n\r\n{ciphertext}\r\n--b--\r\n"
        )
        .into_bytes()
    }

    /// What GnuPG makes of a mail, if it can open it; the desk must have signed it.
    fn opens(&self, raw: &[u8]) -> Option<String> {
        let text = String::from_utf8(raw.to_vec()).unwrap();
        let begin = text.find("-----BEGIN PGP MESSAGE-----")?;
        let opened = self.gpg.decrypt(&text.as_bytes()[begin..]);
        if !opened.encrypted_with_mdc_or_aead() {
            return None;
        }
        assert_eq!(opened.good_signature_by().as_deref(), Some(keys().desk_fingerprint.as_str()));
        let mail = mail_parser::MessageParser::default().parse(&opened.plaintext).unwrap();
        let attached = mail.attachments().map(|part| String::from_utf8_lossy(part.contents()).into_owned());
        let attached: String = attached.collect();
        let text = String::from_utf8(opened.plaintext.clone()).unwrap();
        Some([text.replace("=\r\n", "").replace("\r\n", "\n"), attached].concat())
    }
}

/// The servers, the desk, the people.
struct Town {
    desk: Desk,
    smtp: Postfix,
    imap: Dovecot,
    ada: Correspondent,
    ben: Correspondent,
    rita: Correspondent,
    members: Vec<Correspondent>,
}

impl Town {
    fn new() -> Town {
        let imap = Dovecot::start();
        let mut users = vec![DESK, ADA, BEN, RITA];
        users.extend(MEMBERS.iter().map(|(_, _, address, _)| *address));
        let smtp = Postfix::builder().alias(LIST, DESK).start(&imap, &users);
        let more = "\n[distributors]\naddress = \"distributors@example.org\"\npolicy = \"2026-11\"\n\
                    policy_page = \"https://example.org/EMBARGO.md\"\nat_least = \"1 days\"\nnot_on = []\n";
        let desk = Desk::new(&Plan { plus_address: true, more, ..Plan::of(&imap, &smtp) });
        desk.start();
        let members =
            MEMBERS.iter().map(|(_, organisation, address, _)| Correspondent::new(organisation, address));
        Town {
            members: members.collect(),
            ada: Correspondent::coordinator(0, "ada", ADA),
            ben: Correspondent::coordinator(1, "ben", BEN),
            rita: Correspondent::new("Rita", RITA),
            desk,
            smtp,
            imap,
        }
    }

    /// A mail is handed in, and everything that follows from it has left.
    #[track_caller]
    fn sends(&self, from: &Correspondent, to: &str, mail: &[u8]) {
        self.smtp.hand_in(from.address, to, mail);
        self.settles();
    }

    #[track_caller]
    fn settles(&self) {
        let waits = |letter: &serde_json::Value| letter["state"] == "active";
        let is_unwritten = |case: &serde_json::Value| {
            case["notices"].as_array().unwrap().iter().any(|notice| notice["unwritten"] != 0)
        };
        // what was on its way from one of these places to another meanwhile would have been counted
        wait_until("everything is quiet", SOON, || {
            let before = self.counted();
            let (_, letters, cases) = &before;
            self.smtp.is_idle()
                && super::desk::count(&self.imap, DESK, "INBOX") == 0
                && !letters.iter().any(waits)
                && !cases.iter().any(is_unwritten)
                && before == self.counted()
        });
    }

    /// How many mails everybody has, the letters of the desk, and its cases.
    fn counted(&self) -> (usize, Vec<serde_json::Value>, Vec<serde_json::Value>) {
        let case = |case: &serde_json::Value| self.desk.case(case["id"].as_str().unwrap());
        let read = super::desk::count(&self.imap, DESK, "Processed");
        (self.all_mails().len() + read, self.desk.outbox(), self.desk.cases().iter().map(case).collect())
    }

    /// Every mail that left, with its reader.
    fn all_mails(&self) -> Vec<(&'static str, Vec<u8>)> {
        let readers = [ADA, BEN, RITA].into_iter().chain(MEMBERS.iter().map(|member| member.2));
        readers
            .flat_map(|who| self.imap.mails(who, "INBOX").into_iter().map(move |(_, raw)| (who, raw)))
            .collect()
    }

    /// The last mail that somebody got, opened.
    #[track_caller]
    fn last(&self, who: &Correspondent) -> Opened {
        let opened: Vec<Opened> = self.all(who);
        opened.into_iter().next_back().unwrap_or_else(|| panic!("{} has no mail", who.address))
    }

    fn all(&self, who: &Correspondent) -> Vec<Opened> {
        // in the order in which they came; their names know no more of that than the second
        let mails = self.imap.mails(who.address, "INBOX");
        let open = |(_, raw): (_, Vec<u8>)| {
            let text = who.opens(&raw)?;
            let head = String::from_utf8(raw.clone()).unwrap();
            let message_id = head.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
            Some(Opened { message_id: message_id.trim().to_owned(), text, raw })
        };
        mails.into_iter().filter_map(open).collect()
    }

    /// Somebody of the team says something in the case; it must be done.
    #[track_caller]
    fn says(&self, who: &Correspondent, body: &str) -> String {
        self.says_with(who, body, "")
    }

    #[track_caller]
    fn says_with(&self, who: &Correspondent, body: &str, patch: &str) -> String {
        let mail = who.encloses(DESK, &format!("[{}] order", self.case()), None, body, patch);
        self.sends(who, DESK, &mail);
        let results: Vec<Opened> = self
            .all(who)
            .into_iter()
            .filter(|mail| mail.text.contains("] done: ") || mail.text.contains("NOT done: "))
            .collect();
        let result = results.last().unwrap_or_else(|| panic!("{body}: no answer"));
        assert!(
            result.text.contains("] done: ") || result.text.contains("Subject: done"),
            "{body}: {}",
            result.text
        );
        result.text.clone()
    }

    /// Somebody answers what they got last.
    #[track_caller]
    fn answers(&self, who: &Correspondent, body: &str) {
        let last = self.last(who);
        let mail = who.writes(DESK, "Re: ...", Some(&last.message_id), body);
        self.sends(who, DESK, &mail);
    }

    fn psirtd(&self, arguments: &[&str]) -> String {
        let (code, said, complaint) = self.desk.says(arguments);
        assert_eq!(code, 0, "{arguments:?}: {complaint}");
        said
    }

    /// The application is the first case, the report the second.
    fn case(&self) -> String {
        self.desk.case_id(2)
    }

    fn states(&self, notice: usize) -> Vec<(String, String)> {
        let case = self.desk.case(&self.case());
        let recipients = case["notices"][notice]["recipients"].as_array().unwrap().clone();
        let mut states: Vec<(String, String)> = recipients
            .iter()
            .map(|one| {
                (one["member"].as_str().unwrap().to_owned(), one["state"].as_str().unwrap().to_owned())
            })
            .collect();
        states.sort();
        states
    }
}

/// Acme is on the list already, and so are three others; Bolt asks to join.
fn list_is_made(town: &Town) {
    for (place, (id, organisation, address, zone)) in
        MEMBERS.iter().enumerate().filter(|(_, member)| member.0 != "bolt")
    {
        let file = town.desk.dir().join(format!("{id}.asc"));
        std::fs::write(&file, town.members[place].gpg.export_public(address)).unwrap();
        town.psirtd(&["members", "add", id, address, organisation, "--text", file.to_str().unwrap()]);
        town.psirtd(&["members", "zone", id, zone]);
    }
    let bolt = &town.members[1];
    let request = "Organisation: Bolt Systems\n\n1. We ship your project in Bolt 7 to everybody who wants it.\n\
                   2. About forty thousand installations outside of our house.\n\
                   3. https://bolt.example/advisories, since 2016.\n4. We build from your source, from nobody else's.\n\
                   5. Three of us send patches, see your history.\n6. We accept it.\n7. Acme Linux will vouch for us.\n";
    let key = String::from_utf8(bolt.gpg.export_public(bolt.address)).unwrap();
    let mail = bolt.encloses(LIST, "Request to join", None, request, "");
    let mail = with_key(&mail, &key);
    town.sends(bolt, LIST, &mail);
    let challenge = town.last(bolt).text;
    assert!(challenge.contains("vouch bolt-systems 2026-11"), "{challenge}");
    let token = challenge.split_whitespace().find(|word| word.starts_with("keyproof-"));
    let token = token.unwrap_or_else(|| panic!("no words to give back: {challenge}"));
    town.answers(bolt, token);
    let acme = &town.members[0];
    let vouch = acme.writes(DESK, "A vouch", None, "vouch bolt-systems 2026-11\n");
    town.sends(acme, DESK, &vouch);
    let mail = town.ada.writes(DESK, "order", None, "!members approve bolt-systems\n");
    town.sends(&town.ada, DESK, &mail);
    let shown = town.psirtd(&["members", "show", "bolt-systems"]);
    assert!(shown.contains("active"), "{shown}");
    assert!(
        town.all(bolt)
            .iter()
            .any(|mail| mail.text.contains("is on our distributors' list now, as bolt-systems"))
    );
}

/// The mail with an Autocrypt-like key attached, beside the ciphertext: as a field, which needs no other structure.
fn with_key(mail: &[u8], key: &str) -> Vec<u8> {
    let mut reader = Reader::from_bytes(key.as_bytes(), ReaderMode::Tolerant(Some(Kind::PublicKey)));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    use base64::Engine as _;
    let data = base64::prelude::BASE64_STANDARD.encode(&bytes);
    let address = MEMBERS[1].2;
    let folded = data
        .as_bytes()
        .chunks(70)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect::<Vec<_>>()
        .join("\r\n ");
    [format!("Autocrypt: addr={address}; prefer-encrypt=mutual; keydata=\r\n {folded}\r\n").as_bytes(), mail]
        .concat()
}

#[test]
fn from_an_application_to_the_disclosure_with_five_members() {
    let town = Town::new();
    list_is_made(&town);
    // the application was the first case
    let report =
        town.rita.writes(DESK, "Heap overflow", None, &format!("It crashes: {CANARY}.\n1. open it\n"));
    let rita_key = String::from_utf8(town.rita.gpg.export_public(RITA)).unwrap();
    let report = with_key_of(&report, &rita_key, RITA);
    town.sends(&town.rita, DESK, &report);
    let case = town.desk.cases().iter().map(|case| case["id"].as_str().unwrap().to_owned()).max().unwrap();
    assert_eq!(case, town.case());
    story(&town);
}

fn with_key_of(mail: &[u8], key: &str, address: &str) -> Vec<u8> {
    let mail = with_key(mail, key);
    String::from_utf8(mail).unwrap().replacen(MEMBERS[1].2, address, 1).into_bytes()
}

fn story(town: &Town) {
    let (ada, ben, rita) = (&town.ada, &town.ben, &town.rita);
    town.says(ada, "!take\n!accept\n\nYou are right.\n");
    let day = psirtd::clock::Clock::System.now() + jiff::SignedDuration::from_hours(10 * 24);
    let end = day.to_zoned(jiff::tz::TimeZone::UTC).date().at(15, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
    let end = end.unwrap().timestamp();
    let day = day.strftime("%Y-%m-%d").to_string();
    town.says(ada, &format!("!embargo {day} 15:00 UTC\n"));
    town.answers(rita, "agree\n");
    town.says(ada, "!embargo agree\n");
    // the first word, with a patch, approved by another coordinator
    let patch = "--- a/tile.c\n+++ b/tile.c\n@@ -1 +1 @@\n-len = get();\n+len = checked(get());\n";
    let told =
        town.says_with(ada, &format!("!notice TLP:AMBER\n\nThe parser trusts a length: {CANARY}.\n"), patch);
    assert!(told.contains("proposal 1"), "{told}");
    assert_eq!(town.all(&town.members[0]).iter().filter(|mail| mail.text.contains(CANARY)).count(), 0);
    let shown = town.last(ben).text;
    for part in [CANARY, "Members who would get it: 5", "fix.patch", "!approve 1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    town.says(ben, "!approve 1\n");
    each_opens_their_own(town, 1, &["TLP:AMBER", CANARY, "fix.patch", "checked(get())", &day]);
    // the same instant, where each of them is: in summer that is another hour
    for (member, winter, summer) in [(0, "16:00 CET", "17:00 CEST"), (2, "10:00 EST", "11:00 EDT")] {
        let zone = jiff::tz::TimeZone::get(MEMBERS[member].3).unwrap();
        let there = if zone.to_offset_info(end).dst().is_dst() { summer } else { winter };
        let text = town.last(&town.members[member]).text;
        assert!(text.contains("15:00 UTC") && text.contains(there), "{there}: {text}");
    }
    // what they say
    for member in &town.members {
        town.answers(member, "received\nagree\n");
    }
    let confirmed: Vec<(String, String)> = town.states(0);
    assert!(confirmed.iter().all(|(_, state)| state == "confirmed"), "{confirmed:?}");
    let question = "Does it concern the branch 0.11, too? We at the office wonder.\n";
    town.answers(&town.members[2], question);
    assert!(town.last(ada).text.contains("branch 0.11"));
    for other in [0, 1, 3, 4] {
        assert!(!town.all(&town.members[other]).iter().any(|mail| mail.text.contains("branch 0.11")));
    }
    // it is moved, for a reason, by two
    let later = psirtd::clock::Clock::System.now() + jiff::SignedDuration::from_hours(12 * 24);
    let later = later.strftime("%Y-%m-%d").to_string();
    let told = town.says(ada, &format!("!embargo {later} 15:00 UTC because not-tested\n"));
    let number = proposal_in(&told);
    town.says(ben, &format!("!approve {number}\n"));
    each_opens_their_own(town, 2, &[&later]);
    // the disclosure
    town.says(ada, "!fixed 0.12.3\n");
    let told = town.says(ada, "!embargo lift\n");
    let number = proposal_in(&told);
    town.says(ben, &format!("!approve {number}\n"));
    each_opens_their_own(town, 3, &["The embargo of case", "is over"]);
    assert!(town.last(rita).text.contains(&town.case()));
    nobody_learns_of_another(town);
}

fn proposal_in(told: &str) -> String {
    let (_, rest) = told.split_once("proposal ").unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect()
}

/// Twenty-five attempts, five of which succeed: the newest mail of each member, by the key of each.
#[track_caller]
fn each_opens_their_own(town: &Town, notice: usize, parts: &[&str]) {
    let mut opened = 0;
    for (place, member) in town.members.iter().enumerate() {
        let newest = town.last(member);
        for (other, reader) in town.members.iter().enumerate() {
            match reader.opens(&newest.raw) {
                Some(text) if place == other => {
                    opened += 1;
                    for part in parts {
                        assert!(
                            text.contains(part),
                            "notice {notice} to {}: {part} is not in {text}",
                            member.name
                        );
                    }
                }
                Some(_) => panic!("{} opens what {} was sent", reader.name, member.name),
                None => assert_ne!(place, other, "{} cannot open what it was sent", member.name),
            }
        }
        let head = String::from_utf8(newest.raw.clone()).unwrap();
        let return_path = head.lines().find_map(|line| line.strip_prefix("Return-Path: ")).unwrap();
        let token = newest.message_id.trim_start_matches("<psirtd.").split('@').next().unwrap().to_owned();
        assert_eq!(return_path.trim(), format!("<security+{token}@example.org>"));
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("list-")), "{head}");
    }
    assert_eq!(opened, 5);
    let ids: std::collections::BTreeSet<String> =
        town.members.iter().map(|member| town.last(member).message_id).collect();
    assert_eq!(ids.len(), 5, "each has a Message-ID of its own");
}

/// Names, addresses and key ids of the other members are in no byte that left, whether in the clear or opened.
#[track_caller]
fn nobody_learns_of_another(town: &Town) {
    let mut searched = 0;
    for (place, member) in town.members.iter().enumerate() {
        for mail in town.all(member) {
            let ciphertext = dearmored(&mail.raw);
            for (other, (_, organisation, address, _)) in
                MEMBERS.iter().enumerate().filter(|(other, _)| *other != place)
            {
                let fingerprint = &town.members[other].fingerprint;
                let domain = address.split('@').next_back().unwrap();
                // whoever asked to join heard who may vouch from nobody; whoever vouched named whom it vouched for
                let vouched = place == 0 && other == 1;
                for secret in [*organisation, *address, domain, fingerprint, &fingerprint[24..]] {
                    let named = holds(mail.text.as_bytes(), secret) || holds(&mail.raw, secret);
                    assert!(!named || vouched, "{} hears of {secret}: {}", member.name, mail.text);
                }
                for id in key_ids(&town.members[other]) {
                    assert!(!ciphertext.windows(8).any(|window| window == id), "a key id of {organisation}");
                }
                searched += 1;
            }
        }
    }
    assert!(searched >= 5 * 4 * 3, "{searched} searches");
    // what the team and the reporter were sent is searched from outside
    for (_, raw) in town.all_mails().iter().filter(|(who, _)| [ADA, BEN, RITA].contains(who)) {
        for (_, organisation, address, _) in MEMBERS {
            assert!(!holds(raw, address) && !holds(raw, organisation));
        }
    }
}

fn dearmored(raw: &[u8]) -> Vec<u8> {
    let mut reader = Reader::from_bytes(raw, ReaderMode::Tolerant(Some(Kind::Message)));
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The key ids of all keys of somebody, as bytes.
fn key_ids(who: &Correspondent) -> Vec<[u8; 8]> {
    let listed = String::from_utf8(who.gpg.command(&["--list-keys", "--with-colons", who.address])).unwrap();
    let ids = listed.lines().filter(|line| line.starts_with("pub:") || line.starts_with("sub:"));
    ids.map(|line| {
        let id = line.split(':').nth(4).unwrap();
        let byte = |place: usize| u8::from_str_radix(&id[place * 2..place * 2 + 2], 16).unwrap();
        std::array::from_fn(byte)
    })
    .collect()
}
