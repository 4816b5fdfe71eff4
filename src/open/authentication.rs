//! What the fields that servers write on a mail's way say: `Authentication-Results` and `Received`, as facts.
//!
//! # What it is for
//! [`results`] and [`received_by`] read one field each; whose word counts is decided in `domain/trust.rs`, from the order of
//! the fields. So what is read here may be forged, and what cannot be read must not look better than it is.
//!
//! # Invariants
//! * Never fails and costs little: a value is read up to [`MAX_VALUE`], a token up to [`MAX_TOKEN`].
//! * What leaves this file is lower case, display-safe and on one line.
//! * Text in comments and quotes is never structure. A field that is too long, or in which a comment or quote does not end,
//!   keeps its authserv-id and loses all its results: somebody may have smuggled in what opened it, to hide a result.
//! * A field has an authserv-id only if its first part is nothing else: a border that removes forged fields reads by the
//!   standard, and would have left what merely resembles one.
//!
//! # Standards
//! RFC 8601 §2.2 (of it, versions and reasons are skipped), RFC 5322 §3.2 (comments, quotes) and §3.6.7 (`Received`); Exchange
//! Online's own form: no authserv-id, bare domains between the results, parameters without a dot.

use crate::domain::trust::{AuthenticationResults, MethodResult, Trace};
use crate::open::header::clean_line;

/// No more bytes of a field are read than this.
const MAX_VALUE: usize = 16 * 1024;
/// No more results of a field are read than this.
const MAX_RESULTS: usize = 50;
/// No more properties of a result are read than this.
const MAX_PROPERTIES: usize = 30;
/// No more characters of a token are kept than this; a domain is shorter.
const MAX_TOKEN: usize = 255;
/// A name with comments or spaces around its dot and slash has no more parts than this.
const MAX_NAME_PARTS: usize = 5;

/// No more of the trace is read: what counts of it is at the top.
const MAX_TRACE: usize = 60;

/// What the servers on its way wrote, from the top.
pub(super) fn trace(parsed: &mail_parser::Message<'_>) -> Vec<Trace> {
    let fields = parsed.headers_raw().filter_map(|(name, value)| {
        if name.eq_ignore_ascii_case("received") {
            return Some(Trace::Received { by: received_by(value) });
        }
        let results = name.eq_ignore_ascii_case("authentication-results").then(|| results(value));
        results.flatten().map(Trace::Results)
    });
    fields.take(MAX_TRACE).collect()
}

/// Reads the value of an `Authentication-Results` field; nothing if it holds nothing but comments and spaces.
fn results(value: &str) -> Option<AuthenticationResults> {
    let field = Field::read(value);
    let mut parts = field.tokens.split(|token| *token == Token::Semicolon);
    let first = parts.next().filter(|_| !field.tokens.is_empty())?;
    let (authserv_id, exchange) = (authserv_id(first), method(first));
    let known = field.whole && (authserv_id.is_some() || exchange.is_some());
    let methods = exchange.into_iter().chain(parts.filter_map(method));
    let results = if known { methods.take(MAX_RESULTS).collect() } else { Vec::new() };
    Some(AuthenticationResults { authserv_id, results, broken: !field.whole })
}

/// The host that a `Received` field says it was written by.
fn received_by(value: &str) -> Option<String> {
    let field = Field::read(value);
    if field.whole {
        let words = field.tokens.iter().take_while(|token| **token != Token::Semicolon);
        return host(words.map(|token| match token {
            Token::Word(text, true) => text.as_str(),
            _ => "",
        }));
    }
    // A sender may greet with half a quote. If that hid the border's field, a forged one below would pass for it.
    let words = cut(value).0.split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';'));
    host(words.filter(|word| !word.is_empty()))
}

/// What follows the last “by”: a sender may greet with that word, but writes nothing behind the server's own.
fn host<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut found, mut before) = (None, "");
    for word in words {
        // qmail-scanner: "by mx.example.org by uid 89"
        if before.eq_ignore_ascii_case("by") && word != "uid" {
            found = Some(word);
        }
        before = word;
    }
    let host: String = tidy(found?).chars().take(MAX_TOKEN).collect();
    Some(host.strip_suffix('.').unwrap_or(&host).to_owned()).filter(|host| !host.is_empty())
}

/// The id, if the part is an id, or an id and a version.
fn authserv_id(part: &[Token]) -> Option<String> {
    let id = match part {
        [Token::Word(id, _)] => id,
        [Token::Word(id, _), Token::Word(version, true)] if version.chars().all(|c| c.is_ascii_digit()) => id,
        _ => return None,
    };
    Some(tidy(id)).filter(|id| !id.is_empty())
}

/// The result in one part; nothing if the part does not begin with one, as Exchange's bare domains do not.
fn method(part: &[Token]) -> Option<MethodResult> {
    let mut groups = part.split(|token| *token == Token::Equals).peekable();
    let first = groups.next()?;
    // all of it, or else the part begins with something unknown
    let method = name(first).filter(|(_, parts)| *parts == first.len())?.0;
    let method = method.split('/').next().filter(|method| is_keyword(method))?.to_owned();
    let mut result = None;
    let mut properties = Vec::new();
    let mut property: Option<String> = None;
    while let Some(group) = groups.next() {
        let (value, next) = value(group, groups.peek().is_none());
        if result.is_none() {
            result = Some(tidy(value));
        } else if let Some(property) = property.take().filter(|_| properties.len() < MAX_PROPERTIES) {
            properties.push((property, tidy(value)));
        }
        property = name(next).map(|(name, _)| name).filter(|name| is_property(name));
    }
    Some(MethodResult { method, result: result?, properties })
}

/// Splits what stands between two equals signs into the value of the first and what the second belongs to.
fn value(group: &[Token], last: bool) -> (&str, &[Token]) {
    match group {
        // "smtp.mailfrom= smtp.helo=…" has a property without a value
        [_] if !last => ("", group),
        [Token::Word(text, _), rest @ ..] => (text, rest),
        _ => ("", &[]),
    }
}

/// The name at the end of the words, lower case, and of how many words it is: spaces and comments may stand around its dot
/// and slash.
fn name(words: &[Token]) -> Option<(String, usize)> {
    let mut parts: Vec<&str> = Vec::new();
    for word in words.iter().rev().take(MAX_NAME_PARTS) {
        let Token::Word(text, true) = word else { break };
        if parts.last().is_some_and(|next| !next.starts_with(['.', '/']) && !text.ends_with(['.', '/'])) {
            break;
        }
        parts.push(text);
    }
    let name = parts.iter().rev().copied().collect::<String>().to_ascii_lowercase();
    (name.len() <= MAX_TOKEN).then_some((name, parts.len()))
}

fn is_keyword(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn is_property(name: &str) -> bool {
    name.split_once('.').is_some_and(|(kind, name)| is_keyword(kind) && is_keyword(name))
}

fn tidy(text: &str) -> String {
    clean_line(text).to_ascii_lowercase()
}

/// As much of the value as is read, and whether that is all of it.
fn cut(value: &str) -> (&str, bool) {
    // a character has up to four bytes
    let mut ends = (MAX_VALUE.saturating_sub(3)..=MAX_VALUE).rev();
    let kept = if value.len() <= MAX_VALUE { Some(value) } else { ends.find_map(|end| value.get(..end)) };
    (kept.unwrap_or_default(), value.len() <= MAX_VALUE)
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// Whether it is bare: nothing of it was quoted, so that it may be a name.
    Word(String, bool),
    Equals,
    Semicolon,
}

/// A field's value in tokens, without comments.
#[derive(Default)]
struct Field {
    tokens: Vec<Token>,
    /// Nothing was cut off, and every comment and quote ends.
    whole: bool,
    /// The next character continues the last token.
    open: bool,
    /// No space since an equals sign: a further one belongs to the value (`smtp.mailfrom=prvs=…`).
    in_value: bool,
}

impl Field {
    fn read(value: &str) -> Self {
        let (value, whole) = cut(value);
        let mut field = Self { whole, ..Self::default() };
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match c {
                '(' => {
                    field.end();
                    field.whole &= skip_comment(&mut chars);
                }
                '"' => field.whole &= field.quoted(&mut chars),
                ';' => field.sign(Token::Semicolon),
                '=' if !field.in_value => {
                    field.sign(Token::Equals);
                    field.in_value = true;
                }
                c if c == ')' || c.is_ascii_whitespace() => field.end(),
                c => field.push(c, true),
            }
        }
        field
    }

    fn sign(&mut self, sign: Token) {
        self.end();
        self.tokens.push(sign);
    }

    fn end(&mut self) {
        (self.open, self.in_value) = (false, false);
    }

    fn push(&mut self, c: char, is_bare: bool) {
        // of bytes, because they need not be counted
        if let Some(word) = self.word(is_bare).filter(|word| word.len() < MAX_TOKEN) {
            word.push(c);
        }
    }

    /// The word that goes on here, or a new one.
    fn word(&mut self, is_bare: bool) -> Option<&mut String> {
        if !std::mem::replace(&mut self.open, true) {
            self.tokens.push(Token::Word(String::new(), true));
        }
        let Some(Token::Word(text, bare)) = self.tokens.last_mut() else { return None };
        *bare &= is_bare;
        Some(text)
    }

    /// Reads up to the closing quote; false if there is none.
    fn quoted(&mut self, chars: &mut std::str::Chars<'_>) -> bool {
        // an empty one is a word, too
        self.word(false);
        while let Some(c) = chars.next() {
            match c {
                '"' => return true,
                '\\' => chars.next().into_iter().for_each(|c| self.push(c, false)),
                c => self.push(c, false),
            }
        }
        false
    }
}

/// Skips to the end of a comment; false if it has none.
fn skip_comment(chars: &mut std::str::Chars<'_>) -> bool {
    let mut depth = 1_u32;
    while let Some(c) = chars.next() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '\\' => drop(chars.next()),
            _ => {}
        }
        if depth == 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A field per line (¶ is a fold, ␀ a NUL), and what is read from it below.
    const FIELDS: &str = r#"
        mx.google.com;¶ dkim=pass header.i=@example.net header.b=Ab+/9x;¶ spf=pass (google.com: domain of a@example.net designates 192.0.2.1 as permitted sender) smtp.mailfrom=a@example.net;¶ dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=Example.NET
        mx.google.com: dkim=pass header.i=@example.net header.b=ab+/9x; spf=pass smtp.mailfrom=a@example.net; dmarc=pass header.from=example.net
        mx.example.org; dmarc=fail (p=reject dis=none) header.from=example.net
        mx.example.org: dmarc=fail header.from=example.net
        MX.example.org;¶dkim=pass (2048-bit key; unprotected) header.d=example.net header.b="SE;A=0a";¶dkim-atps=neutral
        mx.example.org: dkim=pass header.d=example.net header.b=se;a=0a; dkim-atps=neutral
        mx4.messagingengine.com; dmarc=pass policy.policy-from=p (p=none,d=none,d.eval=none) header.from=example.net; spf=pass smtp.mailfrom="" smtp.helo=a.example.net
        mx4.messagingengine.com: dmarc=pass policy.policy-from=p header.from=example.net; spf=pass smtp.mailfrom= smtp.helo=a.example.net
        spf=pass (sender IP is 192.30.252.194)¶ smtp.mailfrom=github.com; hotmail.com; dkim=test (signature was verified)¶ header.d=github.com;hotmail.com; dmarc=pass action=none header.from=github.com
        ?: spf=pass smtp.mailfrom=github.com; dkim=test header.d=github.com; dmarc=pass header.from=github.com
        spf=none (sender IP is ) smtp.mailfrom=<>;dmarc=bestguesspass action=none header.from=example.net;compauth=pass reason=109
        ?: spf=none smtp.mailfrom=<>; dmarc=bestguesspass header.from=example.net; compauth=pass
        a.yahoo.com; dmarc=success(p=REJECT) header.from=yahoo.com; spf=pass smtp.mailfrom=b+a=c.example@d.example smtp.mail= smtp.helo=x;
        a.yahoo.com: dmarc=success header.from=yahoo.com; spf=pass smtp.mailfrom=b+a=c.example@d.example smtp.mail= smtp.helo=x
        example.org 1; none
        example.org:
        foo.example.net (foobar) 1 (baz);¶dkim (Because I like it) / 1 (One yay) = (wait for it) fail¶policy (A dot can go here) . (like that) expired¶(this surprised me) = (as I wasn't expecting it) 1362471462
        foo.example.net: dkim=fail policy.expired=1362471462
        "mx.\example.org" ; dmarc/1=pass reason="x; dmarc=fail" header.from="exa␀mple.net"
        mx.example.org: dmarc=pass header.from=example.net
        id; a.b=c; x dmarc=pass; "dmarc"=pass; (a (b) \) ; dmarc=pass) spf=pass header.d="" )x; =; ;
        id: spf=pass header.d=
        mx.example dmarc=pass; dmarc=pass
        ?:
        mx.example; dmarc=pass header.from=a.example; spf=x (((
        mx.example:
        mx.example; dmarc=pass header.from=a.example; spf="x
        mx.example:"#;

    fn told(field: &AuthenticationResults) -> String {
        let told = |one: &MethodResult| {
            let pairs = one.properties.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("{}={}{}", one.method, one.result, pairs.collect::<String>())
        };
        let all = field.results.iter().map(told).collect::<Vec<_>>().join("; ");
        format!("{}: {all}", field.authserv_id.as_deref().unwrap_or("?"))
    }

    #[test]
    fn fields_of_the_world_and_of_its_underworld() {
        for pair in FIELDS.trim().lines().map(str::trim).collect::<Vec<_>>().chunks(2) {
            let value = pair[0].replace('¶', "\r\n\t").replace('␀', "\0");
            assert_eq!(told(&results(&value).unwrap()).trim(), pair[1], "{value}");
        }
        assert_eq!(results(" (only this) "), None);
    }

    #[test]
    fn a_field_is_read_up_to_its_bounds() {
        let read = |value: &str| results(value).unwrap();
        assert_eq!(told(&read(&format!("id; dmarc=pass;{}", "é".repeat(MAX_VALUE)))), "id: ");
        assert_eq!(read(&format!("id{}", ";spf=pass".repeat(99))).results.len(), MAX_RESULTS);
        assert_eq!(read(&format!("a=b{}", " c.d=e".repeat(99))).results[0].properties.len(), MAX_PROPERTIES);
        assert_eq!(read(&format!("a={}", "x".repeat(999))).results[0].result.len(), MAX_TOKEN);
    }

    #[test]
    fn the_receiving_host_is_behind_the_last_by() {
        for (value, host) in [
            (
                "from a (by x)\n\tby MX.Example.org. (Postfix) for <\"a by x\"@b>; by x",
                Some("mx.example.org"),
            ),
            ("by 2002:a05::b0 with SMTP id g1csp; Mon", Some("2002:a05::b0")),
            ("from by by mx.example.org", Some("mx.example.org")),
            ("from \" (a) by mx.example.org (Postfix)", Some("mx.example.org")),
            ("from a by mx.example.org by uid 89 with qmail-scanner", Some("mx.example.org")),
            ("(qmail 1 invoked by uid 8061); Mon", None),
        ] {
            assert_eq!(received_by(value).as_deref(), host, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_little_and_clean_text(
            value in prop_oneof![".*", "([a-c;=()\"\\\\./ \n\0é\u{202e}]|dmarc=pass ?){0,400}"],
            often in 1_usize..200,
        ) {
            let value = value.repeat(often);
            let safe = |text: &String| text.chars().count() <= MAX_TOKEN && tidy(text) == *text;
            let field = results(&value).unwrap_or_default();
            prop_assert!(received_by(&value).iter().chain(&field.authserv_id).all(safe));
            for MethodResult { method, result, properties } in &field.results {
                prop_assert!(properties.iter().flat_map(|(name, value)| [name, value]).chain([method, result]).all(safe));
            }
        }
    }
}
