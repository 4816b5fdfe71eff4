//! The distributors' list as JSON: as `psirtd members` shows it, and as it goes out to a file and comes back.
//!
//! # The file
//! `psirtd members export` prints an array with an object for each member, `psirtd members import FILE` takes it. One that is written
//! by hand needs `id`, `addresses` and `certificates` alone:
//!
//! ```text
//! id            its name: small letters, digits and hyphens
//! organisation  what it calls itself                             (its name)
//! state         applied | active | suspended | removed           (active)
//! since         since when, as every time in RFC 3339            (now)
//! addresses     its role addresses; notices go to the first
//! zone          its time zone, an IANA name, or null             (null)
//! certificates  each an armored text, or {armored, fingerprint, proven_at}; proven_at is null as long as it has not shown that it
//!               holds the key                                    (proven_at: now, by your word)
//! policy        the version of the embargo policy that it accepted, with accepted_at
//! criteria      [{number, evidence, reviewed_by, met}]
//! vouch         {by, policy, at, mail}, or null
//! strikes       [{case, at, by}]
//! attest_by     it attests again by then; null for never         (as for one that is added now)
//! ```
//!
//! # Invariants
//! * What goes out comes back the same; nothing of its history, nor of an application that is under way.
//! * Whatever is wrong with a file is told at once, each with its place: `[3].certificates[0]`.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::domain::case::CaseId;
use crate::domain::distributor::{Criterion, Member, MemberId, State, Strike, Vouch};
use crate::domain::message::{Digest, Mailbox};
use crate::domain::signature::Certificate;
use crate::keyring;
use crate::pipeline::distributors::listed;
use crate::pipeline::workers::in_parallel;

/// The fields that only `members list` and `show` have.
pub const SHOWN_ALONE: [&str; 4] = ["key", "application", "history", "proposals"];

/// Members as they are shown.
pub fn shown(members: &[Member], now: Timestamp) -> Vec<Value> {
    in_parallel(members, |member| member_json(member, now))
}

fn member_json(member: &Member, now: Timestamp) -> Value {
    let certificates: Vec<Value> =
        member.certificates.iter().map(|certificate| certificate_json(member, certificate, now)).collect();
    // the one that lasts longest, or else the first with what is wrong with it
    let lasts =
        |one: &&Value| (one["problem"].is_null(), one["expires"].is_null(), one["expires"].to_string());
    let best = certificates.iter().max_by_key(lasts);
    let best = match best.filter(|best| best["problem"].is_null()).or(certificates.first()) {
        Some(best) => {
            json!({ "fingerprint": best["fingerprint"], "expires": best["expires"], "problem": best["problem"] })
        }
        None => json!({ "fingerprint": null, "expires": null, "problem": "it has no certificate" }),
    };
    let addresses: Vec<&str> = member.addresses.iter().map(|it| it.address.as_str()).collect();
    let criteria = member.criteria.iter().map(|it| {
        let (by, met) = it.reviewed.as_ref().map_or((None, None), |(by, met)| (Some(by), Some(*met)));
        json!({ "number": it.number, "evidence": it.evidence, "reviewed_by": by, "met": met })
    });
    let vouch = member.vouch.as_ref();
    let vouch = vouch.map(|it| json!({ "by": it.by, "policy": it.policy, "at": it.at, "mail": it.mail }));
    let strikes = member.strikes.iter().map(|it| json!({ "case": it.case, "at": it.at, "by": it.by }));
    let history = member.history.iter().map(|(at, what, who)| json!({ "at": at, "what": what, "who": who }));
    let application = member.application.as_ref();
    let application = application.map(|(case, at)| json!({ "case": case, "at": at }));
    json!({
        "id": member.id,
        "organisation": member.organisation,
        "state": member.state.word(),
        "since": member.since,
        "addresses": addresses,
        "zone": member.zone,
        "key": best,
        "certificates": certificates,
        "policy": member.accepted.as_ref().map(|(version, _)| version),
        "accepted_at": member.accepted.as_ref().map(|(_, at)| at),
        "criteria": criteria.collect::<Vec<_>>(),
        "vouch": vouch,
        "strikes": strikes.collect::<Vec<_>>(),
        "attest_by": member.attest_by,
        "application": application,
        "history": history.collect::<Vec<_>>(),
    })
}

fn certificate_json(member: &Member, certificate: &Certificate, now: Timestamp) -> Value {
    let good = keyring::condition(certificate, now);
    let proven = member.proven.iter().find(|(known, _)| *known == certificate.fingerprint);
    json!({
        "fingerprint": certificate.fingerprint,
        "expires": good.as_ref().ok().copied().flatten(),
        "problem": good.err(),
        "proven_at": proven.map(|(_, at)| at),
        "armored": certificate.armored,
    })
}

/// Reads a file. `attest_days`: after so many days whoever says nothing else attests again.
pub(super) fn read(text: &str, attest_days: Option<u32>, now: Timestamp) -> Result<Vec<Member>, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let Value::Array(entries) = json else {
        return Err("an array of members is expected, as “psirtd members export” prints it".to_owned());
    };
    let attest_by = attest_days.and_then(|days| {
        now.checked_add(SignedDuration::from_hours(i64::from(days).saturating_mul(24))).ok()
    });
    let places: Vec<(usize, Value)> = entries.into_iter().enumerate().collect();
    let read = in_parallel(&places, |(place, entry)| {
        let mut wrong = Vec::new();
        let member = match entry {
            Value::Object(fields) => {
                let mut entry = Entry::new(format!("[{place}]"), fields, &mut wrong);
                let member = member(&mut entry, attest_by, now);
                entry.finish();
                member
            }
            _ => {
                wrong.push(format!("[{place}]: an object is expected"));
                None
            }
        };
        (member, wrong)
    });
    let wrong: Vec<String> = read.iter().flat_map(|(_, wrong)| wrong.clone()).collect();
    match wrong.is_empty() {
        true => Ok(read.into_iter().filter_map(|(member, _)| member).collect()),
        false => Err(format!("nothing is imported:\n{}", wrong.join("\n"))),
    }
}

/// An object of the file, and what is wrong with it.
struct Entry<'v, 'w> {
    place: String,
    fields: &'v Map<String, Value>,
    asked: BTreeSet<&'static str>,
    wrong: &'w mut Vec<String>,
}

impl<'v, 'w> Entry<'v, 'w> {
    fn new(place: String, fields: &'v Map<String, Value>, wrong: &'w mut Vec<String>) -> Self {
        Self { place, fields, asked: BTreeSet::new(), wrong }
    }

    /// The value of a field, unless it is null.
    fn ask(&mut self, name: &'static str) -> Option<&'v Value> {
        self.asked.insert(name);
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Makes something of a text, or notes why not.
    fn text<T>(&mut self, name: &'static str, make: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.ask(name)?;
        let made = value.as_str().ok_or_else(|| "a text is expected".to_owned()).and_then(make);
        made.map_err(|why| self.say(name, &why)).ok()
    }

    /// A text that must be there.
    fn needed<T>(&mut self, name: &'static str, make: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.ask(name).is_none() {
            self.say(name, "missing");
        }
        self.text(name, make)
    }

    fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        self.text(name, time)
    }

    /// The entries of a list, each with its place.
    fn list(&mut self, name: &'static str) -> Vec<(String, &'v Value)> {
        let Some(value) = self.ask(name) else { return Vec::new() };
        let Some(list) = value.as_array() else {
            self.say(name, "a list is expected");
            return Vec::new();
        };
        list.iter().enumerate().map(|(at, entry)| (format!("{}.{name}[{at}]", self.place), entry)).collect()
    }

    /// The same, of objects.
    fn objects<T>(&mut self, name: &'static str, make: impl Fn(&mut Entry<'_, '_>) -> Option<T>) -> Vec<T> {
        let mut made = Vec::new();
        for (place, value) in self.list(name) {
            match value {
                Value::Object(fields) => {
                    let mut entry = Entry::new(place, fields, self.wrong);
                    made.extend(make(&mut entry));
                    entry.finish();
                }
                _ => self.wrong.push(format!("{place}: an object is expected")),
            }
        }
        made
    }

    fn say(&mut self, name: &str, what: &str) {
        self.wrong.push(format!("{}.{name}: {what}", self.place));
    }

    /// Everything has been asked for: the rest is unknown.
    fn finish(self) {
        let Self { place, fields, asked, wrong } = self;
        for name in fields.keys().filter(|name| !asked.contains(name.as_str())) {
            let known = asked.iter().copied().collect::<Vec<_>>().join(", ");
            wrong.push(format!("{place}.{name}: unknown; known here: {known}"));
        }
    }
}

fn member(entry: &mut Entry<'_, '_>, attest_by: Option<Timestamp>, now: Timestamp) -> Option<Member> {
    let id = entry.needed("id", MemberId::typed);
    let organisation = entry.text("organisation", line);
    let state = entry.text("state", |word| {
        let all = [State::Applied, State::Active, State::Suspended, State::Removed];
        let found = all.into_iter().find(|state| state.word() == word);
        found.ok_or_else(|| format!("“{word}” is no state: {}", all.map(State::word).join(", ")))
    });
    let since = entry.time("since");
    let zone = entry.text("zone", |zone| match TimeZone::get(zone) {
        Ok(_) => Ok(zone.to_owned()),
        Err(_) => Err(format!("“{zone}” is no IANA time zone")),
    });
    let mut addresses = Vec::new();
    for (place, address) in entry.list("addresses") {
        match address.as_str() {
            Some(address) => addresses.push(Mailbox::bare(address)),
            None => entry.wrong.push(format!("{place}: a text is expected")),
        }
    }
    if entry.fields.get("addresses").is_none_or(|it| it.as_array().is_some_and(Vec::is_empty)) {
        entry.say("addresses", "missing: where do notices go?");
    }
    let (mut certificates, mut proven) = (Vec::new(), Vec::new());
    for (place, value) in entry.list("certificates") {
        if let Some((certificate, at)) = certificate(place, value, now, entry.wrong) {
            proven.extend(at.map(|at| (certificate.fingerprint.clone(), at)));
            certificates.push(certificate);
        }
    }
    let policy = entry.text("policy", line);
    let accepted_at = entry.time("accepted_at");
    let criteria = entry.objects("criteria", criterion);
    let vouch = vouch(entry);
    let strikes = entry.objects("strikes", |entry| {
        let case = entry.needed("case", |case| Ok(CaseId::typed(case)));
        let (at, by) = (entry.needed("at", time), entry.needed("by", line));
        Some(Strike { case: case?, at: at?, by: by? })
    });
    let says_when = entry.fields.contains_key("attest_by");
    let attests = entry.time("attest_by");
    let id = id?;
    let organisation = organisation.unwrap_or_else(|| id.to_string());
    Some(Member {
        addresses,
        certificates,
        zone,
        criteria,
        vouch,
        accepted: policy.map(|policy| (policy, accepted_at.unwrap_or(now))),
        proven,
        strikes,
        attest_by: if says_when { attests } else { attest_by },
        ..Member::new(id, organisation, state.unwrap_or(State::Active), since.unwrap_or(now))
    })
}

fn criterion(entry: &mut Entry<'_, '_>) -> Option<Criterion> {
    let number = entry.ask("number").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    if number.is_none_or(|number| number == 0) {
        entry.say("number", "a number is expected, counted from 1");
    }
    let evidence = entry.needed("evidence", |text| Ok(text.to_owned()));
    let by = entry.text("reviewed_by", line);
    let met = entry.ask("met").and_then(Value::as_bool);
    if by.is_some() != met.is_some() {
        entry.say("met", "true or false, together with reviewed_by");
    }
    Some(Criterion { number: number?, evidence: evidence?, reviewed: by.zip(met) })
}

fn vouch(entry: &mut Entry<'_, '_>) -> Option<Vouch> {
    let value = entry.ask("vouch")?;
    let Some(fields) = value.as_object() else {
        entry.say("vouch", "an object is expected");
        return None;
    };
    let place = format!("{}.vouch", entry.place);
    let mut inner = Entry::new(place, fields, entry.wrong);
    let (by, policy) = (inner.needed("by", MemberId::typed), inner.needed("policy", line));
    let (at, mail) = (inner.needed("at", time), inner.needed("mail", digest));
    inner.finish();
    Some(Vouch { by: by?, policy: policy?, at: at?, mail: mail? })
}

/// A certificate, and since when it is known to be the member's.
fn certificate(
    place: String,
    value: &Value,
    now: Timestamp,
    wrong: &mut Vec<String>,
) -> Option<(Certificate, Option<Timestamp>)> {
    if let Some(armored) = value.as_str() {
        let read = armored_certificate(armored);
        return read.map_err(|why| wrong.push(format!("{place}: {why}"))).ok().map(|it| (it, Some(now)));
    }
    let Some(fields) = value.as_object() else {
        wrong.push(format!("{place}: an armored text is expected, or an object"));
        return None;
    };
    let mut entry = Entry::new(place, fields, wrong);
    let certificate = entry.needed("armored", armored_certificate);
    let proven = match entry.fields.contains_key("proven_at") {
        true => entry.time("proven_at"),
        false => Some(now),
    };
    let named = entry.text("fingerprint", |text| Ok(text.replace(' ', "").to_uppercase()));
    if let (Some(named), Some(certificate)) = (named, &certificate)
        && named != certificate.fingerprint
    {
        entry.say("fingerprint", &format!("the certificate's own is {}", certificate.fingerprint));
    }
    entry.finish();
    certificate.map(|certificate| (certificate, proven))
}

fn armored_certificate(text: &str) -> Result<Certificate, String> {
    let certs = keyring::certificates(text.as_bytes()).map_err(|error| error.to_string())?;
    match certs.as_slice() {
        [only] => listed(only).ok_or_else(|| "it cannot be written".to_owned()),
        several => Err(format!("{} certificates: one in a text, please", several.len())),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("“{text}” is no time, such as 2026-11-20T23:00:00Z"))
}

fn line(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || text.contains(char::is_control) {
        false => Ok(text.to_owned()),
        true => Err("one line of text is expected".to_owned()),
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map_while(|at| text.get(at..at.saturating_add(2)).and_then(|it| u8::from_str_radix(it, 16).ok()))
        .collect();
    match bytes.len() == 32 && text.len() == 64 {
        true => Ok(Digest::from_bytes(&bytes)),
        false => Err("the digest of a mail is expected: 64 hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T23:00:00Z".parse().unwrap()
    }

    fn armored(address: &str) -> String {
        let secret = keyring::generate(&Mailbox::bare(address), now(), true).unwrap();
        let cert = keyring::certificate(secret.as_bytes()).unwrap().strip_secret_key_material();
        keyring::armored(&cert).unwrap()
    }

    /// As `psirtd members export` prints it.
    fn exported(members: &[Member]) -> Value {
        let mut all = shown(members, now());
        for member in &mut all {
            let fields = member.as_object_mut().unwrap();
            SHOWN_ALONE.iter().for_each(|field| drop(fields.remove(*field)));
            for certificate in fields["certificates"].as_array_mut().unwrap() {
                let certificate = certificate.as_object_mut().unwrap();
                ["expires", "problem"].iter().for_each(|field| drop(certificate.remove(*field)));
            }
        }
        all.into()
    }

    #[test]
    fn what_goes_out_comes_back_the_same() {
        let certificate = armored_certificate(&armored("security@acme.example")).unwrap();
        let unproven = armored_certificate(&armored("psirt@acme.example")).unwrap();
        let by = MemberId::typed("beta").unwrap();
        let mail = Digest::from_bytes(&[7; 32]);
        let member = Member {
            addresses: vec![Mailbox::bare("security@acme.example"), Mailbox::bare("psirt@acme.example")],
            proven: vec![(certificate.fingerprint.clone(), now())],
            certificates: vec![certificate, unproven],
            zone: Some("Europe/Berlin".to_owned()),
            criteria: vec![
                Criterion {
                    number: 1,
                    evidence: "Since\n1999.".to_owned(),
                    reviewed: Some(("ada".to_owned(), true)),
                },
                Criterion { number: 3, evidence: "See https://acme.example".to_owned(), reviewed: None },
            ],
            vouch: Some(Vouch { by, policy: "1".to_owned(), at: now(), mail }),
            accepted: Some(("1".to_owned(), now())),
            strikes: vec![Strike { case: CaseId::new("EX", 2026, 1), at: now(), by: "ada".to_owned() }],
            ..Member::new(
                MemberId::typed("acme-linux").unwrap(),
                "Acme “Linux” GmbH".to_owned(),
                State::Suspended,
                now(),
            )
        };
        let text = exported(std::slice::from_ref(&member)).to_string();
        assert_eq!(read(&text, Some(365), now()).unwrap(), [member]);
    }

    #[test]
    fn what_a_person_writes_by_hand_is_enough() {
        let text = json!([{ "id": "Acme", "addresses": ["security@acme.example"],
                            "certificates": [armored("security@acme.example")] }]);
        let read = read(&text.to_string(), Some(365), now()).unwrap();
        let acme = &read[0];
        assert_eq!(
            (acme.id.as_str(), acme.organisation.as_str(), acme.state),
            ("acme", "acme", State::Active)
        );
        assert!(acme.holds(&acme.certificates[0].fingerprint));
        assert_eq!(acme.attest_by, "2027-11-20T23:00:00Z".parse().ok());
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        assert!(read("{", None, now()).unwrap_err().starts_with("this is no JSON"));
        assert!(read("{}", None, now()).unwrap_err().starts_with("an array of members is expected"));
        let text = json!([
            { "id": "a b", "addresses": [], "certificates": ["x", 7], "colour": "blue" },
            7,
            { "id": "beta", "addresses": ["security@beta.example", 1], "state": "friend", "since": "today",
              "criteria": [{ "number": 0, "evidence": "x", "met": true }], "strikes": [{ "at": "2026-11-20T23:00:00Z" }],
              "vouch": { "by": "acme", "policy": "1", "at": "2026-11-20T23:00:00Z", "mail": "x" }, "zone": "Mars/Olympus",
              "certificates": [{ "fingerprint": "x" }] },
        ]);
        let wrong = read(&text.to_string(), None, now()).unwrap_err();
        for told in [
            "[0].id: “a b” cannot name a member",
            "[0].addresses: missing",
            "[0].certificates[0]: no OpenPGP certificate in it",
            "[0].certificates[1]: an armored text is expected",
            "[0].colour: unknown; known here: accepted_at, ",
            "[1]: an object is expected",
            "[2].addresses[1]: a text is expected",
            "[2].state: “friend” is no state: applied, active, suspended, removed",
            "[2].since: “today” is no time",
            "[2].criteria[0].number: a number is expected",
            "[2].criteria[0].met: true or false, together with reviewed_by",
            "[2].strikes[0].case: missing",
            "[2].strikes[0].by: missing",
            "[2].vouch.mail: the digest of a mail is expected",
            "[2].zone: “Mars/Olympus” is no IANA time zone",
            "[2].certificates[0].armored: missing",
        ] {
            assert!(wrong.contains(told), "{told}\n{wrong}");
        }
    }
}
