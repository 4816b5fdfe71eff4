//! What members wrote goes to others, a member joins late, something gets out: who hears what, and who had been sent what.

use crate::stories::replies::{CASE, List, named};
use crate::support::desk::{Desk, Letter, member_address};
use psirtd::control::Question;
use psirtd::domain::distributor::Change;
use serde_json::{Value, json};

/// The beginning of the digest of the latest mail of the case.
fn latest_mail(list: &List) -> String {
    let case = list.case();
    let mail = case["mail_list"].as_array().unwrap().last().unwrap()["mail"].as_str().unwrap().to_owned();
    mail[..12].to_owned()
}

/// What Ada hears of her commands.
#[track_caller]
fn results(letters: &[Letter]) -> String {
    let results = letters.iter().find(|letter| letter.kind == "results").expect("results");
    results.text().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn readers<'l>(letters: &'l [Letter], kind: &str) -> Vec<&'l str> {
    let of_kind = letters.iter().filter(|letter| letter.kind == kind);
    of_kind.map(|letter| letter.to.split('@').next().unwrap()).collect()
}

/// The ledger: `acme: 1 accepted, 2 waiting`.
fn ledger(list: &List, at: Option<&str>) -> Vec<String> {
    let at = at.map(|at| at.parse().unwrap());
    let ledger = list.desk.ask(&Question::Exposure { case: CASE.to_owned(), at });
    let members = ledger["members"].as_array().unwrap().iter();
    let told = members.map(|member| {
        let notices = member["notices"].as_array().unwrap().iter();
        let notices: Vec<String> =
            notices.map(|it| format!("{} {}", it["number"], it["state"].as_str().unwrap())).collect();
        format!("{}: {}", member["member"].as_str().unwrap(), notices.join(", "))
    });
    told.collect()
}

#[test]
fn what_a_member_wrote_goes_to_the_others_without_its_name() {
    let (list, copies) = List::noticed();
    list.answers("acme", &copies[0], "The same parser is in libtile-go, which you may ship, too.");
    list.told();
    let mail = latest_mail(&list);
    list.says("ada", &format!("!share-with-members {mail}"));
    let letters = list.desk.letters();
    assert_eq!(readers(&letters, "proposal"), ["ada", "otto"]);
    assert_eq!(readers(&letters, "notice"), [""; 0], "nothing goes before another one approves");
    let proposal = letters.iter().find(|letter| named(letter) == "proposal to otto").unwrap().text();
    assert!(proposal.contains("its author is not named"), "{proposal}");
    assert!(proposal.contains("the text itself may tell who wrote it"), "{proposal}");
    assert!(proposal.contains("The same parser is in libtile-go"), "{proposal}");
    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    assert_eq!(readers(&letters, "notice"), ["bolt-security", "core-security"]);
    for copy in letters.iter().filter(|letter| letter.kind == "notice") {
        assert!(
            copy.text().contains("A distributor writes:\n\nThe same parser is in libtile-go"),
            "{}",
            copy.text()
        );
        let all = format!("{}{}", copy.outside, copy.inside).to_lowercase();
        assert!(!all.contains("acme"), "{all}");
    }
}

#[test]
fn a_text_that_tells_whose_it_is_goes_named_or_not_at_all() {
    let (list, copies) = List::noticed();
    for text in [
        "Fixed in our tree.\n-- \nacme   LINUX security",
        "See https://git.acme.example/1",
        "Mail acme-security@acme.example",
    ] {
        list.answers("acme", &copies[0], text);
        list.told();
        list.says("ada", &format!("!share-with-members {}", latest_mail(&list)));
        let letters = list.desk.letters();
        assert!(results(&letters).contains("the mail tells by itself who wrote it"), "{}", results(&letters));
        assert_eq!(readers(&letters, "proposal"), [""; 0], "{text}");
    }
    list.answers("acme", &copies[0], "TLP:RED\nFixed in our tree, says Acme Linux.");
    list.told();
    list.says("ada", &format!("!share-with-members {} named", latest_mail(&list)));
    let letters = list.desk.letters();
    let proposal = letters.iter().find(|letter| named(letter) == "proposal to otto").unwrap().text();
    assert!(proposal.contains("named as its author: Acme Linux"), "{proposal}");
    assert!(proposal.contains("its author wrote TLP:RED into it"), "{proposal}");
    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    let copy = letters.iter().find(|letter| letter.kind == "notice").unwrap().text();
    assert!(copy.contains("Acme Linux writes:"), "{copy}");
}

#[test]
fn only_what_is_shown_to_be_a_members_is_shared() {
    let (list, copies) = List::noticed();
    let unsigned = crate::stories::replies::Mail {
        from: "acme",
        signer: None,
        parents: copies[0].header("Message-ID").unwrap(),
        text: "Remove the patch.",
    };
    list.receives(&unsigned);
    list.told();
    let told =
        list.desk.is_told(CASE, &format!("share-with-members {}", latest_mail(&list)), None).unwrap_err();
    assert!(told.contains("is not shown to be of a member"), "{told}");
    let first = list.case()["mail_list"][0]["mail"].as_str().unwrap()[..12].to_owned();
    let told = list.desk.is_told(CASE, &format!("share-with-members {first}"), None).unwrap_err();
    assert!(told.contains("is not shown to be of a member"), "the reporter's own words: {told}");
    let told = list.desk.is_told(CASE, "share-with-members 000000000000", None).unwrap_err();
    assert!(told.contains("there is no mail 000000000000"), "{told}");
}

#[test]
fn who_joins_late_gets_nothing_before_it_is_released_by_name() {
    let (list, _) = List::noticed();
    list.desk.have_joined(&["dune", "elba"]);
    list.says("ada", "!update TLP:AMBER+STRICT\n\nHere is the fix.\n");
    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    assert_eq!(readers(&letters, "notice"), ["acme-security", "bolt-security", "core-security"]);
    assert_eq!(ledger(&list, None).len(), 3);

    list.desk.clock_to("2026-11-21T08:00:00Z");
    list.says("ada", "!release-to dune");
    let letters = list.desk.letters();
    let proposal = letters.iter().find(|letter| named(letter) == "proposal to otto").unwrap().text();
    assert!(proposal.contains("release the case to dune"), "{proposal}");
    assert!(proposal.contains("* notice 1 (TLP:AMBER), first sent "), "{proposal}");
    assert!(proposal.contains("* update 2 (TLP:AMBER+STRICT), first sent "), "{proposal}");
    list.says("ada", "!release-to elba");
    // both before the copies of either are written
    let approvals = [3, 4].map(|number| list.desk.orders("otto", CASE, &format!("!approve {number}")));
    list.desk.letters();
    list.desk.receives_together(&[&approvals[0], &approvals[1]]);
    let letters = list.desk.letters();
    let copies: Vec<(&str, &str)> = letters
        .iter()
        .filter(|letter| letter.kind == "notice")
        .map(|letter| (letter.id.as_str(), letter.to.split('-').next().unwrap()))
        .collect();
    let mut sorted = copies.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            ("EX-2026-0001-N1.4", "dune"),
            ("EX-2026-0001-N1.5", "elba"),
            ("EX-2026-0001-N2.4", "dune"),
            ("EX-2026-0001-N2.5", "elba")
        ]
    );
    let of_dune: Vec<&str> = copies.iter().filter(|(_, to)| *to == "dune").map(|(id, _)| *id).collect();
    assert_eq!(of_dune, ["EX-2026-0001-N1.4", "EX-2026-0001-N2.4"], "in order");
    let told = list.desk.is_told(CASE, "release-to dune", None).unwrap_err();
    assert!(told.contains("is released to dune already"), "{told}");
    assert_eq!(ledger(&list, None)[3..], ["dune: 1 accepted, 2 accepted", "elba: 1 accepted, 2 accepted"]);
}

#[test]
fn a_leak_is_laid_to_a_member_first_a_warning_then_a_proposal_to_remove_it() {
    let (list, copies) = List::noticed();
    list.answers("acme", &copies[0], "received");
    list.told();
    list.says("ada", "!leak stands core\n\nThe patch was in core's public tracker, 14:00 to 14:20 UTC.\n");
    let letters = list.desk.letters();
    assert_eq!(readers(&letters, "note"), ["otto"], "the reporter and the members hear nothing");
    assert_eq!(readers(&letters, "proposal"), ["ada", "otto"]);
    assert_eq!(letters.len(), 4, "{:?}", letters.iter().map(named).collect::<Vec<_>>());
    let told = results(&letters);
    assert!(
        told.contains(
            "LEAK through core: the embargo stands; until now 3 members might know of it, and 3 of them had been sent something; notice 1 \
             (TLP:AMBER): 2 accepted, 1 confirmed (by name: psirtd exposure EX-2026-0001)"
        ),
        "{told}"
    );
    assert!(!told.contains("acme") && !told.contains("bolt"), "the list is in no mail: {told}");
    assert!(list.case()["public_since"].is_null());

    list.says("otto", "!approve 2");
    let letters = list.desk.letters();
    let warning = letters.iter().find(|letter| letter.kind == "membership").unwrap();
    assert_eq!(warning.to, member_address("core"));
    assert!(warning.encrypted);
    let text = warning.text();
    assert!(text.contains("The patch was in core's public tracker, 14:00 to 14:20 UTC."), "{text}");
    assert!(text.contains("exactly what got out, to whom, and when"), "{text}");
    assert!(text.contains("are\nremoved from the list for good"), "{text}");

    // its answer is in the thread of the case
    list.answers("core", warning, "It was us. We have closed the tracker.");
    assert_eq!(list.told(), ["relay to ada", "relay to otto"]);

    list.says("ada", "!leak stands core\n\nAgain, on the next day.\n");
    let letters = list.desk.letters();
    let proposal = letters.iter().find(|letter| named(letter) == "proposal to otto").unwrap().text();
    assert!(proposal.contains("remove core from the list"), "{proposal}");
    assert!(proposal.contains("a leak of case EX-2026-0001 was laid to it on 2026-11-20"), "{proposal}");
    assert_eq!(readers(&letters, "membership"), [""; 0]);
    let leaks = list.desk.ask(&Question::Exposure { case: CASE.to_owned(), at: None })["leaks"].clone();
    assert_eq!(
        leaks.as_array().unwrap().iter().map(|leak| leak["member"].clone()).collect::<Vec<Value>>(),
        ["core", "core"]
    );
}

#[test]
fn a_leak_that_ends_the_embargo_is_told_to_everyone_concerned_at_once() {
    let (list, _) = List::noticed();
    list.desk.have_joined(&["dune"]);
    list.says("ada", "!share");
    list.told();
    list.says("ada", "!leak ends\n\nA tweet shows the patch: https://example.com/1\n");
    let letters = list.desk.letters();
    let mut told: Vec<String> = letters.iter().map(named).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "answer to rita",
            "note to max",
            "note to otto",
            "notice to acme-security",
            "notice to bolt-security",
            "notice to core-security",
            "results to ada"
        ],
        "but nobody who never knew of it"
    );
    for letter in letters.iter().filter(|letter| ["notice", "answer"].contains(&letter.kind.as_str())) {
        assert!(!letter.text().contains("tweet"), "how it got out is the coordinators': {}", letter.text());
    }
    let otto = letters.iter().find(|letter| named(letter) == "note to otto").unwrap().text();
    for part in ["The embargo is over, and the publication is due now.", "LEAK: ", "A tweet shows the patch"]
    {
        assert!(otto.contains(part), "{part}: {otto}");
    }
    let max = letters.iter().find(|letter| named(letter) == "note to max").unwrap().text();
    assert!(max.contains("The embargo is over") && !max.contains("tweet"), "{max}");
    assert!(!list.case()["public_since"].is_null());
    let told = list.desk.is_told(CASE, "leak ends", Some("Again.")).unwrap_err();
    assert_eq!(told, "the embargo is over already: say !leak stands");
    let told = list.desk.is_told(CASE, "release-to dune", None).unwrap_err();
    assert!(told.contains("the matter is public"), "{told}");
}

#[test]
fn nothing_is_laid_to_who_was_sent_nothing() {
    let (list, _) = List::noticed();
    list.desk.have_joined(&["dune"]);
    let said = |line: &str| list.desk.is_told(CASE, line, Some("A tweet.")).unwrap_err();
    assert!(said("leak stands dune").contains("dune was sent nothing of case EX-2026-0001"));
    assert!(said("leak stands nobody").contains("there is no member nobody"));
    let told = list.desk.is_told(CASE, "leak stands", None).unwrap_err();
    assert!(told.contains("needs a text"), "{told}");
    assert_eq!(list.desk.ask(&Question::Exposure { case: CASE.to_owned(), at: None })["leaks"], json!([]));
}

#[test]
fn the_ledger_tells_what_had_left_by_a_time() {
    let (list, copies) = List::noticed();
    list.desk.clock_to("2026-11-21T08:00:00Z");
    list.answers("acme", &copies[0], "received");
    list.desk.clock_to("2026-11-21T09:00:00Z");
    list.says("ada", "!update\n\nHere is the fix.\n");
    list.says("otto", "!approve 2");
    assert_eq!(ledger(&list, Some("2026-11-20T22:59:59Z")), [""; 0], "before the notice nobody knew");
    assert_eq!(
        ledger(&list, Some("2026-11-21T07:59:59Z")),
        ["acme: 1 accepted", "bolt: 1 accepted", "core: 1 accepted"]
    );
    assert_eq!(
        ledger(&list, Some("2026-11-21T08:30:00Z")),
        ["acme: 1 confirmed", "bolt: 1 accepted", "core: 1 accepted"]
    );
    assert_eq!(ledger(&list, None)[0], "acme: 1 confirmed, 2 accepted");
}

#[test]
fn where_one_pair_of_eyes_is_enough_a_warning_goes_at_once() {
    let list = List::of(Desk::builder());
    list.says("ada", "!notice\n\nA length is trusted.\n");
    list.says("ada", "!approve 1");
    list.told();
    list.says("ada", "!leak stands core\n\nIt was in their tracker.\n");
    let letters = list.desk.letters();
    let told: Vec<String> = letters.iter().map(named).collect();
    assert_eq!(told, ["membership to core-security", "results to ada"]);
    assert!(letters[0].text().contains("It was in their tracker."), "{}", letters[0].text());
    // one that gets nothing is not warned either
    list.desk.members_become([("bolt", Change::Suspended { why: None })]);
    list.says("ada", "!leak stands bolt\n\nIn theirs, too.\n");
    let letters = list.desk.letters();
    assert!(results(&letters).contains("bolt is suspended, and gets no warning"), "{}", results(&letters));
    assert_eq!(letters.len(), 1);
}
