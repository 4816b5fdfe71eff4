//! Holds the tokens of the manifest against what was seen of a mail.

use psirtd::domain::message::Encryption;
use psirtd::domain::signature::Signature;

use crate::corpus::{Check, Row, Seen, Verdict, squeezed};

pub(super) const DECRYPT: &str = "decrypt";
pub(super) const NOT_GOOD: &str = "not good";
pub(super) const NO_ANSWER: &str = "no answer";
pub(super) const NO_ANSWER_HARD: &str = "no answer (hard)";
pub(super) const FLAGGED: &str = "flagged";

/// Judges every token of a row, and what the row says by its silence: nothing but what it calls good is good.
pub(super) fn judge(row: &Row, seen: &Seen) -> Verdict {
    let mut verdict = Verdict::default();
    for token in &row.expectations {
        match judged(token, row, seen) {
            Judged::As(check) => verdict.checks.push(check),
            Judged::Elsewhere => {}
            Judged::Not => verdict.unjudged.push(token.clone()),
        }
    }
    if !row.says("sig=good") && !row.says("sig=either") {
        verdict.checks.retain(|check| check.name != NOT_GOOD);
        verdict.checks.push(not_good(seen));
    }
    verdict
}

enum Judged {
    As(Check),
    /// By the harness, for every row.
    Elsewhere,
    Not,
}

fn check(name: &'static str, holds: bool, found: String) -> Judged {
    Judged::As(Check { name, holds, found })
}

fn not_good(seen: &Seen) -> Check {
    let signature = &seen.message.signature;
    let holds = !matches!(signature, Signature::Good(_));
    Check { name: NOT_GOOD, holds, found: format!("{signature:?} {:?}", seen.message.problems) }
}

fn judged(token: &str, row: &Row, seen: &Seen) -> Judged {
    let message = &seen.message;
    let subject = message.subject.clone().unwrap_or_default();
    let said = quoted(token).unwrap_or_default();
    match token.split_once(['=', '@', '~', ' ', ':', '!']).map_or(token, |(name, _)| name) {
        "store" | "thread" | "no-plaintext-leak" => Judged::Elsewhere,
        "no-auto-reply" => {
            let name = if row.hard { NO_ANSWER_HARD } else { NO_ANSWER };
            check(name, seen.intake.why_no_answer.is_some(), format!("{:?}", message.subject))
        }
        "ack" => match token {
            "ack=ok" => check("answer", seen.intake.why_no_answer.is_none(), format!("{:?}", seen.intake)),
            // the corpus takes no side
            _ => Judged::Elsewhere,
        },
        "class" => {
            let kinds: &[&str] = match token.trim_start_matches("class=") {
                "bounce" => &["bounce"],
                "auto-notification" => &["automatic", "list"],
                "report-other" => &["automatic", "bounce", "report"],
                _ => &["automatic"],
            };
            let name = if row.hard { "kind (hard)" } else { "kind" };
            check(name, kinds.contains(&seen.intake.kind.word()), format!("{token}: {:?}", seen.intake))
        }
        "decrypt" | "decrypt-optional" | "plain" | "decrypts" | "attached" if !token.contains("sig=") => {
            // what begins with a header is the oracle's word for the entity, not for its text
            let is_header = ["Content-T", "From:"].iter().any(|field| said.starts_with(field));
            let found = format!("{said:?} is not in {:?} ({:?})", message.text, message.problem);
            let opened = message.decrypted && (is_header || seen.contains(&said));
            match row.says("decrypt-optional") {
                true => check("decrypt or flag", opened || message.problem.is_some(), found),
                false => check(DECRYPT, opened, found),
            }
        }
        "no-decrypt" | "must" | "TB" => undecryptable(token, row, seen),
        "sig" | "sig-partial" | "sig-signer" | "crypto-valid-by" | "signed-only" => {
            signature(token, row, seen)
        }
        "inner" | "outer" | "attached" => around(token, seen),
        "subject-protected" | "subject" => {
            let labelled = said_of_forwarded(seen, &format!("\"{said}\""));
            check("subject", labelled || same(&subject, &said), subject)
        }
        "subj" => {
            let protected = message.subject_is_secret && said == "...";
            check("subject", protected || same(&subject, &said), subject)
        }
        "from" => {
            let from: Vec<&str> = message.from.iter().map(|from| from.address.as_str()).collect();
            let from = from.join(", ");
            check("from", from.eq_ignore_ascii_case(token.trim_start_matches("from=")), from)
        }
        "text" => check("text", seen.contains(&said), message.text.clone()),
        "autocrypt" | "key" | "multiple" => {
            let offered = seen.header.offered_certs.len();
            let wanted = !token.contains("ignore");
            check("autocrypt", (offered > 0) == wanted, format!("{token}: {offered} certificates"))
        }
        _ => Judged::Not,
    }
}

/// What cannot be opened is flagged; where Thunderbird is more lenient, it may also be opened.
fn undecryptable(token: &str, row: &Row, seen: &Seen) -> Judged {
    if token.starts_with("TB repairs") {
        return check(DECRYPT, seen.message.decrypted, token.to_owned());
    }
    let lenient = row.expectations.iter().find(|token| token.contains("decrypt optional"));
    let words = lenient.and_then(|token| quoted(token));
    let opened = words.is_some_and(|words| seen.message.decrypted && seen.contains(&words));
    let flagged = !seen.message.decrypted && seen.message.problem.is_some();
    check(FLAGGED, flagged || opened, format!("{token}: {:?}", seen.message.problem))
}

fn signature(token: &str, row: &Row, seen: &Seen) -> Judged {
    let signature = &seen.message.signature;
    let by = signature.signer().unwrap_or_default();
    let found = || format!("{token}: {signature:?} {:?}", seen.message.problems);
    let good = matches!(signature, Signature::Good(_));
    if let Some(rest) = token.strip_prefix("sig=good") {
        // by somebody else than From: right, but not good
        if row.says("sig-signer!=From") {
            return Judged::As(not_good(seen));
        }
        let key = rest.rsplit_once(':').map_or("", |(_, key)| key);
        let known = good || matches!(signature, Signature::Partial { .. });
        return match rest.starts_with("(inner)") {
            true => check("good inside", known && by.ends_with(key), found()),
            false => check("good", good && by.ends_with(key), found()),
        };
    }
    match token {
        // a broken reader takes it for good, a strict one for bad
        _ if token.starts_with("sig=either") => Judged::Elsewhere,
        _ if token.starts_with("sig=unknown") => {
            // three levels down is a mail in this one
            let inside = token.matches('.').count() >= 2 && said_of_forwarded(seen, "signature: unknown-key");
            check("unknown key", inside || signature.word() == "unknown-key", found())
        }
        _ if token.starts_with("sig=bad") => check("bad", signature.word() == "bad", found()),
        "sig=none" => check("no signature", signature.word() == "none", found()),
        "signed-only PGP MESSAGE block" => check(
            "signed only",
            seen.message.encryption == Encryption::None && signature.word() != "none",
            found(),
        ),
        // over a part, by a part of a mail that may be signed all the same
        _ if token.starts_with("sig=none@") && row.says("sig=good") => Judged::Elsewhere,
        _ => Judged::As(not_good(seen)),
    }
}

/// What is said of the outer mail, of the encrypted one in it, of the attached one.
fn around(token: &str, seen: &Seen) -> Judged {
    let message = &seen.message;
    let found = || format!("{token}: {:?} {:?}", message.encryption, message.signature);
    match token {
        "outer not encrypted" => check("outer", message.encryption != Encryption::Whole, found()),
        "inner sig=unknown-key" => check("unknown key", message.signature.word() == "unknown-key", found()),
        "attached eml sig=good" => {
            let partial = matches!(message.signature, Signature::Partial { .. });
            check("good inside", partial, found())
        }
        _ if token.starts_with("outer sig=none") => Judged::As(not_good(seen)),
        _ => Judged::Not,
    }
}

/// The label of a forwarded mail has these words.
fn said_of_forwarded(seen: &Seen, words: &str) -> bool {
    seen.message.text.lines().any(|line| line.starts_with("[forwarded mail: ") && line.contains(words))
}

/// The oracle drops quotation marks and ends after a hundred characters.
fn same(subject: &str, oracle: &str) -> bool {
    let subject = squeezed(&subject.replace('"', ""));
    let oracle = squeezed(oracle);
    subject == oracle || (oracle.chars().count() >= 90 && subject.starts_with(&oracle))
}

/// What stands in quotation marks.
pub(super) fn quoted(token: &str) -> Option<String> {
    let (_, rest) = token.split_once('"')?;
    Some(rest.rsplit_once('"').map_or(rest, |(inside, _)| inside).to_owned())
}
