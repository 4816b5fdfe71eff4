//! Whether the domain of a mail's author stands behind the mail, as the organisation's own border server found.
//!
//! # What it is for
//! The desk cannot check SPF any more when it reads a mail, and DKIM only as long as the keys are there. The server that took
//! the mail in from outside has checked both, and wrote what it found into the header. [`judge`] decides whether what
//! stands there is that server's word, and what it is worth for the author that the mail names.
//!
//! # Whose word counts
//! A header is written from the bottom up, and all of it that is not the border's may be the attacker's. So:
//! * Without a [`Border`] nothing counts.
//! * [`Form::Rfc8601`]: only fields of a configured authserv-id count, compared without regard to case; of those only the
//!   topmost, and only inside the trusted zone at the top of the header:
//!   * With `received_by`, the zone ends at the first `Received` below the topmost `Received` whose `by` is that host.
//!     Fields directly below that one are still inside, because some borders (Gmail) write their results below their own
//!     `Received`. Without such a `Received` there is no zone, and no verdict.
//!   * Without it, the zone is everything above the second `Received`. A border that is not the last server (behind it a
//!     content filter, a mailbox store) puts itself out of that zone: it needs `received_by`.
//! * [`Form::ExchangeOnline`]: it names no authserv-id and adds many `Received` above its results, so what counts is the
//!   topmost of all `Authentication-Results`, if it names no id and begins with `spf`. Exchange writes that only where mail
//!   comes in from outside, and `received_by` says nothing there. In the other form a field without an id never counts.
//! * Either way the border must remove what comes in under its name (RFC 8601 §5): a forged field at the top of a mail for
//!   which the border wrote none would lie inside the zone.
//!
//! # What it is worth
//! Only the method `dmarc` is asked: it is the one that speaks of the domain in From. All `dmarc` results of the field must
//! agree, and so must all domains they name, because two that do not agree are the mark of a field into which something
//! was smuggled.
//! * `pass`, for the very domain of the author: [`Verdict::Pass`]. A parent or a subdomain is another domain.
//! * `fail`, for that domain or for one that is not named: [`Verdict::Fail`].
//! * Anything else (`none`, `temperror`, `bestguesspass`, for somebody else, no single author): [`Verdict::None`].
//!
//! # Invariants
//! * Pure: no clock, no network, no log. The same header and border always give the same verdict.
//! * Nothing below the zone, and no field of another id, changes the verdict.
//! * The verdict is about a domain, never about a person.
//!
//! # Standards
//! RFC 8601 (§2.2 the field, §5 and §7.1 forged ones), RFC 7489 and its successor RFC 9989 (DMARC).

use serde::{Deserialize, Serialize};

/// `why` shows no more characters of a token than this.
const MAX_SHOWN: usize = 100;

/// One entry of the header's trace; a trace is in the order of the header, the newest on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// A `Received` field.
    Received {
        /// The host that received, lower case, if the field names one.
        by: Option<String>,
    },
    /// An `Authentication-Results` field.
    Results(AuthenticationResults),
}

/// What an `Authentication-Results` field says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthenticationResults {
    /// Who says so, lower case; nobody in Exchange Online's form.
    pub authserv_id: Option<String>,
    /// What was checked, in the order of the field.
    pub results: Vec<MethodResult>,
    /// A quote or a comment in it does not end: what stands in it may be a sender's.
    pub broken: bool,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodResult {
    /// What was checked, lower case: `spf`, `dkim`, `dmarc` and others.
    pub method: String,
    /// What it found, lower case: `pass`, `fail`, `none` and others.
    pub result: String,
    /// For what, lower case: `("header.from", "example.net")`.
    pub properties: Vec<(String, String)>,
}

impl MethodResult {
    /// The domains in From that the result says it is for; one, if it is well-formed.
    fn domains(&self) -> impl Iterator<Item = &str> {
        let all = self.properties.iter();
        all.filter(|(name, _)| name == "header.from").map(|(_, domain)| domain.as_str())
    }
}

/// In which form the border writes its results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// As the standard says, under one of these authserv-ids.
    Rfc8601(Vec<String>),
    /// As Exchange Online does, without an authserv-id.
    ExchangeOnline,
}

/// The server that takes mail in from outside, and how to know its word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Border {
    /// In which form it writes.
    pub form: Form,
    /// Its name in `Received`.
    pub received_by: Option<String>,
    /// Mail with the verdict [`Verdict::Fail`] is answered all the same. Not asked here.
    pub answer_failing: bool,
}

/// Whether the author's domain stands behind the mail.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does.
    Pass,
    /// It does not.
    Fail,
    /// Nobody knows.
    None,
}

impl Verdict {
    /// The verdict's own word: `pass`, `fail` or `none`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::None => "none",
        }
    }
}

/// A verdict with its reason.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The verdict.
    pub verdict: Verdict,
    /// One short line for people.
    pub why: String,
}

impl Trust {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self { verdict, why: why.into() }
    }

    fn none(why: impl Into<String>) -> Self {
        Self::new(Verdict::None, why)
    }
}

/// What the trace says of the author's domain, as far as it is the border's word. See the head of this file for the rules.
pub fn judge(trace: &[Trace], author_domain: Option<&str>, border: Option<&Border>) -> Trust {
    let Some(border) = border else {
        return Trust::none("nobody checks: inbox.authentication is not configured");
    };
    let author = match author_domain.map(str::to_ascii_lowercase) {
        Some(author) if !author.is_empty() => author,
        _ => return Trust::none("From names no single author with a domain"),
    };
    match border_results(trace, border) {
        Ok(field) => {
            let by = field.authserv_id.as_deref().unwrap_or("Exchange Online");
            if field.broken {
                // a sender's address is quoted in it: so a failure could be hidden
                return Trust::new(
                    Verdict::Fail,
                    format!("the Authentication-Results of {by} cannot be read"),
                );
            }
            weigh(&field.results, &author, by)
        }
        Err(why) => Trust::none(why),
    }
}

/// The one field that is the border's word, or why there is none.
fn border_results<'a>(trace: &'a [Trace], border: &Border) -> Result<&'a AuthenticationResults, String> {
    match &border.form {
        Form::ExchangeOnline => fields(trace)
            .next()
            .filter(|field| is_of_exchange(field))
            .ok_or_else(|| "no Authentication-Results of Exchange Online".to_owned()),
        Form::Rfc8601(ids) => fields(zone(trace, border.received_by.as_deref())?)
            .find(|field| is_of(field, ids))
            .ok_or_else(|| format!("no Authentication-Results of {}", ids.join(" or "))),
    }
}

fn fields(trace: &[Trace]) -> impl Iterator<Item = &AuthenticationResults> {
    trace.iter().filter_map(|entry| match entry {
        Trace::Results(field) => Some(field),
        Trace::Received { .. } => None,
    })
}

fn is_of(field: &AuthenticationResults, ids: &[String]) -> bool {
    field.authserv_id.as_ref().is_some_and(|id| ids.iter().any(|ours| ours.eq_ignore_ascii_case(id)))
}

/// What Exchange writes where mail leaves it, or stays inside, begins with `dkim`: that is no border's word.
fn is_of_exchange(field: &AuthenticationResults) -> bool {
    field.authserv_id.is_none() && field.results.first().is_some_and(|first| first.method == "spf")
}

/// The part of the trace that no sender can have written.
fn zone<'a>(trace: &'a [Trace], received_by: Option<&str>) -> Result<&'a [Trace], String> {
    let is_border = |by: &Option<String>| match (received_by, by) {
        (Some(border), Some(by)) => host(by).eq_ignore_ascii_case(host(border)),
        (Some(_), None) => false,
        // the last server is the border
        (None, _) => true,
    };
    let mut passed = false;
    for (index, entry) in trace.iter().enumerate() {
        match entry {
            Trace::Received { .. } if passed => return Ok(trace.get(..index).unwrap_or_default()),
            Trace::Received { by } => passed = is_border(by),
            Trace::Results(_) => {}
        }
    }
    match received_by {
        Some(border) if !passed => Err(format!("no Received by {border}")),
        _ => Ok(trace),
    }
}

/// A name may be written with the dot of the root.
fn host(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// What the results are worth for the author.
fn weigh(results: &[MethodResult], author: &str, by: &str) -> Trust {
    let dmarc: Vec<&MethodResult> = results.iter().filter(|result| result.method == "dmarc").collect();
    let Some(word) = dmarc.first().map(|first| first.result.as_str()) else {
        return Trust::none(format!("{by} says nothing about dmarc"));
    };
    if let Some(other) = dmarc.iter().find(|result| result.result != word) {
        return Trust::none(format!(
            "dmarc={} and dmarc={} by {by} contradict",
            shown(word),
            shown(&other.result)
        ));
    }
    let for_whom = shown(author);
    let verdict = match word {
        "pass" => Verdict::Pass,
        "fail" => Verdict::Fail,
        _ => return Trust::none(format!("dmarc={} for {for_whom} by {by}", shown(word))),
    };
    let mut domains = dmarc.iter().flat_map(|result| result.domains());
    if let Some(other) = domains.find(|domain| !domain.eq_ignore_ascii_case(author)) {
        return Trust::none(format!("dmarc={word} is for {}, not for {for_whom}", shown(other)));
    }
    // a pass must say for whom; a fail is a warning even if it does not
    if verdict == Verdict::Pass && dmarc.iter().any(|result| result.domains().next().is_none()) {
        return Trust::none(format!("dmarc=pass by {by} does not say for which domain"));
    }
    Trust::new(verdict, format!("dmarc={word} for {for_whom} by {by}"))
}

fn shown(token: &str) -> String {
    token.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `by mx.example.org`, `by ?`, or a field: `id: dmarc=pass a.example b.example, dmarc=fail`, with `?` for no id.
    fn entry(text: &str) -> Trace {
        let known = |name: &str| Some(name.to_owned()).filter(|name| name != "?");
        if let Some(by) = text.strip_prefix("by ") {
            return Trace::Received { by: known(by) };
        }
        let (id, results) = text.split_once(':').unwrap();
        let result = |text: &str| {
            let (method, rest) = text.trim().split_once('=').unwrap();
            let mut words = rest.split(' ').map(str::to_owned);
            let result = words.next().unwrap();
            let properties = words.map(|domain| ("header.from".to_owned(), domain)).collect();
            MethodResult { method: method.to_owned(), result, properties }
        };
        let results = results.split(',').filter(|text| !text.trim().is_empty()).map(result).collect();
        Trace::Results(AuthenticationResults { authserv_id: known(id), results, broken: false })
    }

    fn trace(text: &str) -> Vec<Trace> {
        text.split('|').map(str::trim).filter(|text| !text.is_empty()).map(entry).collect()
    }

    fn rfc(received_by: Option<&str>) -> Border {
        let form = Form::Rfc8601(vec!["mx.example.org".to_owned(), "MX2.Example.org".to_owned()]);
        Border { form, received_by: received_by.map(str::to_owned), answer_failing: false }
    }

    fn exchange() -> Border {
        Border { form: Form::ExchangeOnline, received_by: None, answer_failing: false }
    }

    fn told(text: &str, border: &Border) -> String {
        let Trust { verdict, why } = judge(&trace(text), Some("Example.net"), Some(border));
        format!("{}: {why}", verdict.word())
    }

    #[test]
    fn the_topmost_field_in_the_zone_counts() {
        let (last, named) = (rfc(None), rfc(Some("IN.example.org.")));
        let (pass, fail) = (
            "pass: dmarc=pass for example.net by mx.example.org",
            "fail: dmarc=fail for example.net by mx.example.org",
        );
        let (no_field, no_border) = (
            "none: no Authentication-Results of mx.example.org or MX2.Example.org",
            "none: no Received by IN.example.org.",
        );
        let (good, bad) =
            ("mx.example.org: dmarc=pass example.net", "mx.example.org: dmarc=fail example.net");
        for (text, border, said) in [
            // Postfix with OpenDMARC: above its own Received, or directly below
            (format!("{good} | by in.example.org | by evil.example"), &last, pass),
            (format!("by in.example.org | {good} | by evil.example"), &last, pass),
            // a forged second field, one below the border, and one that only the sender wrote
            (format!("{bad} | {good} | by in.example.org | {good}"), &last, fail),
            (format!("{bad} | by in.example.org | by evil.example | {good}"), &last, fail),
            (format!("by in.example.org | by evil.example | {good}"), &last, no_field),
            (format!("by in.example.org | by ? | {good}"), &last, no_field),
            // other ids, and none, are passed over
            (format!("evil.example: dmarc=fail example.net | ?: spf=fail | {good} | by x"), &last, pass),
            (
                "MX2.example.org: dmarc=pass example.net".to_owned(),
                &last,
                "pass: dmarc=pass for example.net by MX2.example.org",
            ),
            // Gmail: a server behind the border, and results below the border's own Received
            (format!("by store | by ? | by in.example.org | {good} | by evil.example"), &named, pass),
            (format!("by store | by in.example.org | {good} | by evil.example"), &last, no_field),
            (format!("by store | {good} | by in.example.org | {bad} | by evil.example"), &named, pass),
            (format!("by in.example.org | by in.example.org | {good}"), &named, no_field),
            (format!("by in.example.org | by evil.example | by in.example.org | {good}"), &named, no_field),
            // without the border's Received nobody knows who wrote what
            (format!("{good} | by store | by evil.example"), &named, no_border),
            (good.to_owned(), &named, no_border),
            (String::new(), &last, no_field),
        ] {
            assert_eq!(told(&text, border), said, "{text} {border:?}");
        }
    }

    #[test]
    fn exchange_is_the_topmost_of_all_fields() {
        let other = "none: no Authentication-Results of Exchange Online";
        for (text, said) in [
            (
                "by a | by b | ?: spf=pass, dkim=test, dmarc=pass example.net, compauth=pass | by c",
                "pass: dmarc=pass for example.net by Exchange Online",
            ),
            (
                "?: spf=fail, dmarc=fail example.net | ?: spf=pass, dmarc=pass example.net",
                "fail: dmarc=fail for example.net by Exchange Online",
            ),
            (
                "?: spf=none, dmarc=bestguesspass example.net",
                "none: dmarc=bestguesspass for example.net by Exchange Online",
            ),
            // what Exchange writes where mail goes out
            ("?: dkim=none, dmarc=pass example.net", other),
            ("mx.example.org: spf=pass, dmarc=pass example.net | ?: spf=pass, dmarc=pass example.net", other),
            ("?: | ?: spf=pass, dmarc=pass example.net", other),
            ("by a", other),
        ] {
            assert_eq!(told(text, &exchange()), said, "{text}");
        }
        assert!(told("?: spf=pass, dmarc=pass example.net", &rfc(None)).starts_with("none: no"));
    }

    #[test]
    fn only_dmarc_for_the_very_domain_counts() {
        for (results, said) in [
            ("dkim=pass, spf=pass", "none: mx.example.org says nothing about dmarc"),
            ("", "none: mx.example.org says nothing about dmarc"),
            (
                "dmarc=pass lists.example.org",
                "none: dmarc=pass is for lists.example.org, not for example.net",
            ),
            ("dmarc=pass a.example.net", "none: dmarc=pass is for a.example.net, not for example.net"),
            ("dmarc=pass net", "none: dmarc=pass is for net, not for example.net"),
            ("dmarc=pass", "none: dmarc=pass by mx.example.org does not say for which domain"),
            (
                "dmarc=pass example.net evil.example",
                "none: dmarc=pass is for evil.example, not for example.net",
            ),
            ("dmarc=pass EXAMPLE.net", "pass: dmarc=pass for example.net by mx.example.org"),
            ("dmarc=fail", "fail: dmarc=fail for example.net by mx.example.org"),
            ("dmarc=fail evil.example", "none: dmarc=fail is for evil.example, not for example.net"),
            ("dmarc=none example.net", "none: dmarc=none for example.net by mx.example.org"),
            ("dmarc=success example.net", "none: dmarc=success for example.net by mx.example.org"),
            (
                "dmarc=pass example.net, spf=fail, dmarc=pass example.net",
                "pass: dmarc=pass for example.net by mx.example.org",
            ),
            (
                "dmarc=pass example.net, dmarc=pass",
                "none: dmarc=pass by mx.example.org does not say for which domain",
            ),
            (
                "dmarc=pass example.net, dmarc=fail example.net",
                "none: dmarc=pass and dmarc=fail by mx.example.org contradict",
            ),
            (
                "dmarc=fail example.net, dmarc=pass example.net",
                "none: dmarc=fail and dmarc=pass by mx.example.org contradict",
            ),
        ] {
            assert_eq!(told(&format!("mx.example.org: {results}"), &rfc(None)), said, "{results}");
        }
    }

    #[test]
    fn without_a_border_or_an_author_there_is_no_verdict() {
        let trace = trace("mx.example.org: dmarc=pass example.net, dmarc=pass");
        let nobody = judge(&trace, Some("example.net"), None);
        assert_eq!(nobody, Trust::none("nobody checks: inbox.authentication is not configured"));
        for author in [None, Some("")] {
            assert_eq!(judge(&trace, author, Some(&rfc(None))).verdict, Verdict::None);
        }
    }

    /// Names are drawn as one letter, because a dot in a pattern is any character.
    fn drawn(text: &str) -> Trace {
        let names = [('U', "mx.example.org"), ('V', "mx2.example.org"), ('I', "in.example.org")];
        let names = names.into_iter().chain([('N', "example.net"), ('E', "evil.example")]);
        entry(&names.fold(text.to_owned(), |text, (letter, name)| text.replace(letter, name)))
    }

    fn entries() -> impl Strategy<Value = Vec<Trace>> {
        let one = prop_oneof!["by [IE?]", "[UVE?]: (spf=pass, )?dmarc=(pass|fail|none)( [NE])?"];
        prop::collection::vec(one.prop_map(|text| drawn(&text)), 0..8)
    }

    fn borders() -> impl Strategy<Value = Border> {
        prop::sample::select(vec![rfc(None), rfc(Some("in.example.org")), exchange()])
    }

    fn verdict(trace: &[Trace], border: &Border) -> Trust {
        judge(trace, Some("example.net"), Some(border))
    }

    proptest! {
        #[test]
        fn a_field_of_another_id_changes_nothing(
            mut trace in entries(),
            at in 0_usize..9,
            result in "(spf=pass, )?dmarc=(pass|fail) N",
            named in any::<bool>(),
        ) {
            let border = rfc(Some("in.example.org").filter(|_| named));
            let before = verdict(&trace, &border);
            for id in ["E", "?"] {
                trace.insert(at.min(trace.len()), drawn(&format!("{id}: {result}")));
                prop_assert_eq!(&verdict(&trace, &border), &before);
            }
        }

        #[test]
        fn what_is_below_the_zone_changes_nothing(
            above in entries(),
            inside in entries(),
            below in entries(),
            border in borders(),
        ) {
            let begin = entry("by in.example.org");
            let end = match border.form {
                Form::ExchangeOnline => entry("evil.example:"),
                Form::Rfc8601(_) => entry("by evil.example"),
            };
            let short: Vec<Trace> = above.into_iter().chain([begin]).chain(inside).chain([end]).collect();
            let long: Vec<Trace> = short.iter().cloned().chain(below).collect();
            prop_assert_eq!(verdict(&short, &border), verdict(&long, &border));
        }

        #[test]
        fn a_pass_is_written_in_the_trace(trace in entries(), border in borders()) {
            let trust = verdict(&trace, &border);
            prop_assert!(trust.why.len() < 200 && !trust.why.contains('\n'));
            if trust.verdict == Verdict::Pass {
                let says_so = |one: &MethodResult| one.result == "pass" && one.domains().eq(["example.net"]);
                let mut all = fields(&trace).flat_map(|field| &field.results);
                prop_assert!(all.any(says_so));
            }
        }
    }
}
