//! Which addresses have a directory, and where it is.
//!
//! # What it is for
//! Everything that is not plainly a mailbox at a public domain is refused here, before the first packet is sent.
//!
//! # Invariants
//! * An [`Address`] has one `@`, a local part without blanks, quotes and control characters, and a domain of at least two
//!   labels in its ASCII form. No IP address in any notation, no port, no path, no name that is private by definition.
//! * Two addresses are equal when their domains are, and their local parts but for the case of ASCII letters: as the
//!   directory itself sees it.
//!
//! # Standards
//! draft-koch-openpgp-webkey-service §3.1; UTS 46 for international domains; RFC 6761, 6762, 7686, 8375, 9476 and ICANN's
//! `internal` for names that are not public.

use sequoia_net::wkd::{Url, Variant};

use crate::lookup::LookupError;

/// RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_PART: usize = 64;
/// The longest name of the DNS, less `openpgpkey.`.
const MAX_DOMAIN: usize = 242;
/// Where no public directory can be.
const NOT_PUBLIC: [&str; 9] =
    ["localhost", "local", "internal", "onion", "alt", "invalid", "arpa", "localdomain", "lan"];

/// An address that may have a directory.
#[derive(Debug, Clone)]
pub(super) struct Address {
    local_part: String,
    /// In its ASCII form, lower case.
    domain: String,
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local_part.eq_ignore_ascii_case(&other.local_part)
    }
}

impl Address {
    /// Reads an address, or says why it cannot have a directory.
    pub(super) fn parse(address: &str) -> Result<Self, &'static str> {
        let (local_part, domain) = address.split_once('@').ok_or("it has no domain")?;
        if local_part.is_empty() || local_part.len() > MAX_LOCAL_PART {
            return Err("its local part is empty or too long");
        }
        let odd = |c: char| c.is_control() || c.is_whitespace() || "\"\\<>()[],;:@".contains(c);
        if local_part.contains(odd) {
            return Err("its local part has characters that no mailbox has");
        }
        Ok(Self { local_part: local_part.to_owned(), domain: ascii(domain)? })
    }

    /// The host of a method.
    pub(super) fn host(&self, method: Variant) -> String {
        match method {
            Variant::Advanced => format!("openpgpkey.{}", self.domain),
            Variant::Direct => self.domain.clone(),
        }
    }

    /// Where the method keeps the certificates of this address.
    pub(super) fn url(&self, method: Variant) -> Result<String, LookupError> {
        Url::from(format!("{}@{}", self.local_part, self.domain))
            .map(|url| url.build(method))
            .map_err(|_| LookupError::Address("it has no URL"))
    }
}

/// The ASCII form of a domain that the public DNS may know.
fn ascii(domain: &str) -> Result<String, &'static str> {
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| "its domain is no domain name")?;
    let Some((_, last)) = ascii.rsplit_once('.') else {
        return Err("its domain has one label only");
    };
    if ascii.len() > MAX_DOMAIN {
        return Err("its domain is too long");
    }
    // resolvers read 127.1, 0x7f.1 and the like as addresses
    if last.is_empty() || last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("its domain is no name of the public DNS");
    }
    if NOT_PUBLIC.contains(&last) {
        return Err("its domain is private by definition");
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_are_those_of_the_draft() {
        let joe = Address::parse("Joe.Doe@Example.ORG").unwrap();
        let hu = "iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe";
        assert_eq!(
            joe.url(Variant::Advanced).unwrap(),
            format!("https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/{hu}")
        );
        assert_eq!(
            joe.url(Variant::Direct).unwrap(),
            format!("https://example.org/.well-known/openpgpkey/hu/{hu}")
        );
        assert_eq!(joe.host(Variant::Advanced), "openpgpkey.example.org");
        assert_eq!(joe.host(Variant::Direct), "example.org");
    }

    /// Independently computed: SHA-1 and z-base-32 of the lower-case local part.
    #[test]
    fn the_hash_is_over_the_lower_case_of_ascii_letters_alone() {
        let hu = |address: &str| {
            let url = Address::parse(address).unwrap().url(Variant::Direct).unwrap();
            url.rsplit_once('/').unwrap().1.to_owned()
        };
        let vectors = [
            ("Joe.Doe", "iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe"),
            ("joe.doe", "iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=joe.doe"),
            ("security", "t5s8ztdbon8yzntexy6oz5y48etqsnbb?l=security"),
            ("a", "o556ep94wsu93ak7dzqmu4zk7e5zc37a?l=a"),
            ("jörg", "h8ghzysw1a49fnopr45hii67zzgshjt8?l=j%C3%B6rg"),
            ("JÖRG", "w77p6y3jz34qfi4fgwkgaw3oeumka146?l=J%C3%96RG"),
        ];
        for (local_part, expected) in vectors {
            assert_eq!(hu(&format!("{local_part}@example.org")), expected);
        }
    }

    #[test]
    fn what_is_special_in_a_url_is_encoded() {
        let url = Address::parse("a+b&c=d%e?f#g/../h@example.org").unwrap().url(Variant::Direct).unwrap();
        let query = url.split_once("?l=").unwrap().1;
        assert_eq!(query, "a%2Bb%26c%3Dd%25e%3Ff%23g%2F..%2Fh");
    }

    #[test]
    fn international_domains_are_asked_for_in_ascii() {
        let jorg = Address::parse("jörg@BÜCHER.example.org").unwrap();
        assert_eq!(jorg.host(Variant::Direct), "xn--bcher-kva.example.org");
        assert_eq!(jorg, Address::parse("jörg@xn--bcher-kva.Example.org").unwrap());
        assert!(jorg.url(Variant::Direct).unwrap().ends_with("?l=j%C3%B6rg"));
        // a full-width full stop is a full stop
        assert_eq!(Address::parse("a@example。org").unwrap().domain, "example.org");
    }

    #[test]
    fn only_the_case_of_ascii_letters_does_not_matter() {
        let ada = Address::parse("Ada@example.org").unwrap();
        assert_eq!(ada, Address::parse("aDA@EXAMPLE.org").unwrap());
        assert_ne!(ada, Address::parse("ada@mail.example.org").unwrap());
        assert_ne!(ada, Address::parse("ada@example.org.uk").unwrap());
        assert_ne!(Address::parse("Äda@example.org").unwrap(), Address::parse("äda@example.org").unwrap());
    }

    #[test]
    fn hostile_domains_are_refused() {
        let hostile = [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@localhost",
            "ada@LOCALHOST",
            "ada@mail.localhost",
            "ada@printer.local",
            "ada@metadata.google.internal",
            "ada@duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion",
            "ada@1.0.0.127.in-addr.arpa",
            "ada@intranet",
            "ada@[127.0.0.1]",
            "ada@[IPv6:::1]",
            "ada@::1",
            "ada@127.0.0.1",
            "ada@127.1",
            "ada@2130706433",
            "ada@0x7f.0x1",
            "ada@0177.0.0.01",
            "ada@①②⑦.0.0.1",
            "ada@example.org:8443",
            "ada@user@example.org",
            "ada@user:secret@example.org",
            "ada@example.org/..",
            "ada@example.org?x",
            "ada@example.org#x",
            "ada@example.org\\x",
            "ada@example.org%2f",
            "ada@exa mple.org",
            "ada@example.org\r\nHost: x",
            "ada@example.org\0",
            "ada@example..org",
            "ada@.example.org",
            "ada@example.org.",
            "ada@-x.example.org",
            "ada@x_y.example.org",
            "ada@xn--a.example.org",
            "a b@example.org",
            "a\nb@example.org",
            "\"a b\"@example.org",
            "<ada@example.org>",
        ];
        for address in hostile {
            assert!(Address::parse(address).is_err(), "{address:?}");
        }
        for long in [format!("{}@example.org", "a".repeat(65)), format!("a@{}org", "abc.".repeat(62))] {
            assert!(Address::parse(&long).is_err(), "{long}");
        }
    }
}
