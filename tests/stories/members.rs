//! The distributors' list, as coordinators keep it: by signed mail and on the command line.

use crate::support::desk::{Desk, Letter};
use psirtd::control::Question;
use psirtd::pipeline::roll::SHOWN_ALONE;
use serde_json::Value;

const LIST: &str = "[distributors]\naddress = \"distributors@example.org\"\n";

/// Ada and Otto coordinate, Max maintains; four eyes are on.
fn desk() -> Desk {
    Desk::builder().otto().max().toml(LIST).open()
}

/// Ada alone coordinates: one pair of eyes has to be enough.
fn small_desk() -> Desk {
    Desk::builder().toml(LIST).open()
}

/// A signed mail of somebody of the team that names no case.
fn says(desk: &Desk, who: &str, body: &str) -> Vec<Letter> {
    desk.receives(&desk.orders(who, "the list", body));
    desk.letters()
}

/// What whoever wrote it is answered.
#[track_caller]
fn answered(desk: &Desk, who: &str, body: &str) -> String {
    let letters = says(desk, who, body);
    let results = letters.iter().find(|letter| letter.kind == "results").expect("an answer");
    assert_eq!((results.to.as_str(), results.encrypted), (format!("{who}@example.org").as_str(), true));
    results.text()
}

/// A key of an organisation, made by GnuPG's side of the desk; its certificate, armored.
fn key_of(desk: &Desk, organisation: &str) -> (String, String) {
    let fingerprint = desk.makes_a_key(&format!("{organisation} Security <security@{organisation}.example>"));
    let armored = desk.exported(&fingerprint);
    (fingerprint, armored)
}

fn members(desk: &Desk) -> Vec<Value> {
    desk.ask(&Question::Members { id: None }).as_array().unwrap().clone()
}

fn on_the_line(desk: &Desk, line: &str, text: Option<&str>) -> Result<String, String> {
    let (line, text) = (line.to_owned(), text.map(str::to_owned));
    let told = desk.tries(&Question::Do { case: None, line, text, attachments: Vec::new() })?;
    Ok(told.as_str().unwrap().to_owned())
}

/// As `psirtd members export` prints it.
fn exported(desk: &Desk) -> String {
    let mut all = members(desk);
    for member in &mut all {
        let fields = member.as_object_mut().unwrap();
        SHOWN_ALONE.iter().for_each(|field| drop(fields.remove(*field)));
        for certificate in fields["certificates"].as_array_mut().unwrap() {
            let certificate = certificate.as_object_mut().unwrap();
            ["expires", "problem"].iter().for_each(|field| drop(certificate.remove(*field)));
        }
    }
    Value::from(all).to_string()
}

#[test]
fn a_coordinator_puts_an_organisation_on_the_list_by_mail() {
    let desk = desk();
    let (fingerprint, armored) = key_of(&desk, "acme");
    let told =
        answered(&desk, "ada", &format!("!members add acme security@acme.example Acme Linux\n\n{armored}"));
    assert!(told.contains("acme is on the list"), "{told}");
    let acme = &members(&desk)[0];
    assert_eq!((acme["id"].as_str(), acme["state"].as_str()), (Some("acme"), Some("active")));
    assert_eq!(acme["key"]["fingerprint"], fingerprint);
    assert_eq!(acme["history"][0]["who"], "ada@example.org");
    // what the certificate says of a signature counts from now on
    let told = answered(&desk, "otto", "!members show acme\n");
    for fact in
        ["acme  active since 2026-11-20", "Acme Linux", "security@acme.example", &fingerprint, "not accepted"]
    {
        assert!(told.contains(fact), "{fact}\n{told}");
    }
    let told = answered(&desk, "otto", "!members zone acme Europe/Berlin\n!members attest acme\n");
    assert!(told.contains("accepts embargo policy 1"), "{told}");
    let acme = &members(&desk)[0];
    assert_eq!((acme["zone"].as_str(), acme["policy"].as_str()), (Some("Europe/Berlin"), Some("1")));
}

#[test]
fn who_is_on_the_list_is_in_no_mail() {
    let desk = desk();
    for organisation in ["acme", "beta"] {
        let (_, armored) = key_of(&desk, organisation);
        let line = format!("members add {organisation} security@{organisation}.example");
        on_the_line(&desk, &line, Some(&armored)).unwrap();
    }
    for line in ["!members list", "!members export", "!members import\n\n[]"] {
        let told = answered(&desk, "ada", &format!("{line}\n"));
        assert!(told.contains("the list of members is never in a mail: psirtd members"), "{told}");
        assert!(!told.contains("acme") && !told.contains("beta"), "{told}");
    }
    let told = answered(&desk, "ada", "!members show acme\n");
    assert!(told.contains("security@acme.example") && !told.contains("beta"), "{told}");
    // whoever only maintains hears nothing of it
    let told = answered(&desk, "max", "!members show acme\n");
    assert!(
        told.contains("!members is for coordinators") && !told.contains("security@acme.example"),
        "{told}"
    );
}

#[test]
fn no_two_members_share_an_address_or_a_certificate() {
    let desk = desk();
    let (_, acme) = key_of(&desk, "acme");
    let (_, beta) = key_of(&desk, "beta");
    let otto = desk.exported("otto@example.org");
    let own = desk.exported("security@example.org");
    let add = |line: &str, text: &str| on_the_line(&desk, line, Some(text));
    add("members add acme security@acme.example", &acme).unwrap();
    for (line, text, why) in [
        ("members add other security@acme.example", beta.as_str(), "is an address of acme"),
        ("members add other x@other.example", acme.as_str(), "is acme's"),
        ("members add other x@other.example", "no key", "no OpenPGP certificate in the text"),
        ("members add other ada@example.org", beta.as_str(), "is an address of the team"),
        ("members add other distributors@example.org", beta.as_str(), "is the desk's own address"),
        ("members add other x@other.example", otto.as_str(), "is otto@example.org's"),
        ("members add other x@other.example", own.as_str(), "is security@example.org's"),
    ] {
        let told = add(line, text).unwrap_err();
        assert!(told.contains(why), "{line}: {told}");
    }
    let two = format!("{acme}\n{beta}");
    assert!(add("members add other x@other.example", &two).unwrap_err().contains("2 certificates"));
    assert_eq!(members(&desk).len(), 1);
}

#[test]
fn a_removal_needs_a_second_coordinator() {
    let desk = desk();
    let (_, armored) = key_of(&desk, "acme");
    on_the_line(&desk, "members add acme security@acme.example Acme Linux", Some(&armored)).unwrap();
    let letters = says(&desk, "ada", "!members remove acme\n\nIt let two notices leak.\n");
    let shown: Vec<&Letter> = letters.iter().filter(|letter| letter.kind == "proposal").collect();
    let to: Vec<&str> = shown.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, ["ada@example.org", "otto@example.org"]);
    let text = shown[1].text();
    for told in ["remove acme from the list", "Acme Linux", "It let two notices leak.", "!approve 1"] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    assert_eq!(members(&desk)[0]["state"], "active");
    let told = answered(&desk, "ada", "!approve 1\n");
    assert!(told.contains("you propose it yourself"), "{told}");
    let told = on_the_line(&desk, "approve 1", None).unwrap_err();
    assert!(told.contains("the command line signs nothing"), "{told}");
    let told = answered(&desk, "otto", "!approve 1\n");
    assert!(told.contains("acme is removed"), "{told}");
    assert_eq!(members(&desk)[0]["state"], "removed");
    // it does not come back by a word
    for (line, why) in
        [("members resume acme", "acme is removed"), ("members zone acme UTC", "by a new application")]
    {
        assert!(on_the_line(&desk, line, None).unwrap_err().contains(why), "{line}");
    }
    on_the_line(&desk, "members add acme security@acme.example", Some(&armored)).unwrap();
    assert_eq!(members(&desk)[0]["state"], "active");
}

#[test]
fn the_list_goes_out_to_a_file_and_comes_back_the_same() {
    let one = small_desk();
    for organisation in ["acme", "beta", "gamma"] {
        let (_, armored) = key_of(&one, organisation);
        let line =
            format!("members add {organisation} security@{organisation}.example The {organisation} OS");
        on_the_line(&one, &line, Some(&armored)).unwrap();
    }
    for line in [
        "members zone acme Europe/Berlin",
        "members attest acme",
        "members suspend beta",
        "members remove gamma",
    ] {
        on_the_line(&one, line, None).unwrap();
    }
    let file = exported(&one);
    let other = small_desk();
    let told = on_the_line(&other, "members import", Some(&file)).unwrap();
    assert_eq!(told, "members: 3 new, 0 changed, 0 as they were");
    assert_eq!(exported(&other), file);
    let again = on_the_line(&other, "members import", Some(&file)).unwrap();
    assert_eq!(again, "members: 0 new, 0 changed, 3 as they were");
    let states = |desk: &Desk| {
        members(desk).iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&other), ["active", "suspended", "removed"]);
    // all of it, or nothing
    let mut wrong: Value = serde_json::from_str(&file).unwrap();
    wrong[0]["organisation"] = "Acme, renamed".into();
    wrong[1]["addresses"][0] = "ada@example.org".into();
    let told = on_the_line(&other, "members import", Some(&wrong.to_string())).unwrap_err();
    assert!(told.contains("[1] beta: ada@example.org is an address of the team"), "{told}");
    assert_eq!(exported(&other), file);
    // a restart, and an index made anew, change nothing
    other.restarts();
    assert_eq!(exported(&other), file);
}

#[test]
fn coordinators_hear_in_time_of_a_members_key() {
    let desk = desk();
    let (_, armored) = key_of(&desk, "acme");
    on_the_line(&desk, "members add acme security@acme.example", Some(&armored)).unwrap();
    let expires = members(&desk)[0]["key"]["expires"].as_str().unwrap().to_owned();
    desk.clock_to("2026-11-21T23:00:00Z");
    assert!(!desk.letters().iter().any(|letter| letter.text().contains("acme")));
    let expires: jiff::Timestamp = expires.parse().unwrap();
    desk.clock_to(&(expires - jiff::SignedDuration::from_hours(24 * 6)).to_string());
    let warned = desk.letters();
    let told: Vec<&Letter> = warned.iter().filter(|it| it.text().contains("the member acme")).collect();
    assert_eq!(told.len(), 2, "each coordinator, once");
    assert!(told.iter().all(|letter| letter.encrypted && letter.kind == "warning"));
}
