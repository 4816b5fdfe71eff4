//! From a name to a protected connection, without a way into a private network.
//!
//! # Invariants
//! * A name is resolved once, as an absolute name: no search list of the system is tried.
//! * One address that is not allowed refuses the name. (Public names with a private address are what an attack looks like,
//!   or a mistake nobody should depend on.)
//! * A name that does not exist is told from a resolver that failed.
//! * The certificate is checked for the name, against the system's authorities.
//! * A system resolver cannot be interrupted: when the time is over it may still hold a thread, as long as its own timeouts.
//!
//! # Standards
//! RFC 6890 and the IANA registries of special-purpose addresses; RFC 6052 (NAT64), RFC 6761, RFC 9525.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::lookup::{LookupError, Reach, in_background};
use crate::tls;

const HTTPS: u16 = 443;
/// So many addresses of a host are tried, each for so long: one that swallows packets must not eat all the time there is.
const MAX_TRIED: usize = 4;
const ONE_TRY: Duration = Duration::from_secs(3);

/// A host that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    name: String,
    /// Every one was checked.
    addresses: Vec<SocketAddr>,
}

impl Host {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Resolves a name; `None` when there is no such host.
pub(super) async fn find(name: String, reach: &Reach) -> Result<Option<Host>, LookupError> {
    let addresses = match reach {
        Reach::Public => {
            let asked = name.clone();
            in_background(move || resolve(&asked)).await?
        }
        Reach::Loopback(net) => match net.hosts.get(&name) {
            Some(none) if none.is_empty() => Err(()),
            known => Ok(known.cloned().unwrap_or_default()),
        },
    };
    let addresses = addresses.map_err(|()| LookupError::Unresolved(name.clone()))?;
    if let Some(wrong) = addresses.iter().find(|address| !allowed(reach, address.ip())) {
        return Err(LookupError::NotPublic(name, wrong.ip()));
    }
    Ok((!addresses.is_empty()).then_some(Host { name, addresses }))
}

/// Asks the system. No address at all when there is no such host; an error when nobody knows.
fn resolve(name: &str) -> Result<Vec<SocketAddr>, ()> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    // the final dot keeps the system from trying the name below its own domains
    let found = match dns_lookup::getaddrinfo(Some(&format!("{name}.")), None, Some(hints)) {
        Ok(found) => found,
        Err(error) => {
            return match error.kind() {
                LookupErrorKind::NoName | LookupErrorKind::NoData => Ok(Vec::new()),
                _ => Err(()),
            };
        }
    };
    found.map(|found| Ok(SocketAddr::new(found.map_err(|_| ())?.sockaddr.ip(), HTTPS))).collect()
}

/// Connects to the host at one of the addresses that were checked, and makes sure that it is the host.
pub(super) async fn connect(host: &Host, reach: &Reach) -> Result<TlsStream<TcpStream>, LookupError> {
    let config = client(reach).await?;
    let name = ServerName::try_from(host.name.clone())
        .map_err(|_| LookupError::Tls(host.name.clone(), "no certificate can have this name"))?;
    let mut last = std::io::ErrorKind::AddrNotAvailable;
    for address in host.addresses.iter().take(MAX_TRIED) {
        match tokio::time::timeout(ONE_TRY, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let secured = TlsConnector::from(config).connect(name, stream).await;
                return secured.map_err(|error| LookupError::Tls(host.name.clone(), reason(&error)));
            }
            Ok(Err(error)) => last = error.kind(),
            Err(_) => last = std::io::ErrorKind::TimedOut,
        }
    }
    Err(LookupError::Unreachable(host.name.clone(), last))
}

async fn client(reach: &Reach) -> Result<Arc<ClientConfig>, LookupError> {
    let authorities = match reach {
        Reach::Public => Vec::new(),
        Reach::Loopback(net) => net.authorities.clone(),
    };
    in_background(move || tls::client(&authorities)).await?.map_err(LookupError::Broken)
}

/// Why TLS failed, in our own words: a certificate may say anything about itself.
fn reason(error: &std::io::Error) -> &'static str {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            NotValidForName | NotValidForNameContext { .. } => "its certificate is for others",
            Expired | ExpiredContext { .. } => "its certificate has expired",
            UnknownIssuer => "nobody known vouches for its certificate",
            _ => "its certificate is not valid",
        },
        Some(_) => "it speaks no TLS that is understood",
        None => "the connection broke off",
    }
}

fn allowed(reach: &Reach, address: IpAddr) -> bool {
    match reach {
        Reach::Public => is_public(address),
        Reach::Loopback(_) => address.is_loopback(),
    }
}

/// May the Internet have a host there? What tunnels or translates to an IPv4 address is as public as that one, if it is in
/// use at all.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let private = match v4.octets() {
        [0 | 10 | 127, ..] => true,     // this network, private, loopback
        [100, b, ..] => b & 0xc0 == 64, // 100.64/10, shared by the customers of a provider
        [169, 254, ..] => true,         // link-local, and the metadata of clouds
        [172, b, ..] => b & 0xf0 == 16, // 172.16/12, private
        [192, 0, 0 | 2, _] => true,     // protocol assignments, documentation
        [192, 88, 99, _] => true,       // 6to4 relays, withdrawn
        [192, 168, ..] => true,         // private
        [198, b, c, _] => b & 0xfe == 18 || (b, c) == (51, 100), // benchmarks, documentation
        [203, 0, 113, _] => true,       // documentation
        [a, ..] => a >= 224,            // multicast, reserved, broadcast
    };
    !private
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    // NAT64 by its well-known prefix: what a network without IPv4 sees of the Internet
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() {
        let [[w, x], [y, z]] = [high.to_be_bytes(), low.to_be_bytes()];
        return is_public_v4(Ipv4Addr::new(w, x, y, z));
    }
    // only 2000::/3 is given out: not ::, ::1, v4-mapped, 64:ff9b:1::/48, 100::/64, fc00::/7, fe80::/10, ff00::/8
    let given_out = a & 0xe000 == 0x2000;
    let special = match a {
        0x2001 => b < 0x200 || b == 0xdb8, // protocol assignments with Teredo and benchmarks; documentation
        0x2002 => true,                    // 6to4
        0x3fff => b < 0x1000,              // documentation
        _ => false,
    };
    given_out && !special
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::Loopback;

    #[test]
    fn private_addresses_are_not_public() {
        let refused = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.255.255.254 \
            169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.254 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 \
            192.168.0.1 192.168.255.254 198.18.0.1 198.19.255.254 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 \
            240.0.0.1 255.255.255.255 \
            :: ::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::7f00:1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 \
            64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:0:1::808:808 100::1 2001::1 2001:0:102:304:: 2001:2::1 \
            2001:10::1 2001:20::1 2001:1ff:: 2001:db8::1 2002:7f00:1::1 2002:808:808::1 3fff::1 3fff:fff:: 4000::1 \
            5f00::1 fc00::1 fd12:3456::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 1fff::1";
        for address in refused.split_whitespace() {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_public() {
        let accepted = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 \
            169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.0 192.167.255.255 192.169.0.0 \
            198.17.255.255 198.20.0.0 198.51.99.1 198.51.101.1 203.0.112.1 203.0.114.1 223.255.255.255 \
            2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2a00:1450::1 3fff:1000:: 2001:db7::1 \
            2001:db9::1 64:ff9b::8.8.8.8";
        for address in accepted.split_whitespace() {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_table_agrees_with_the_standard_library() {
        for high in 0..=u16::MAX {
            let [a, b] = high.to_be_bytes();
            let v4 = Ipv4Addr::new(a, b, 7, 9);
            let special = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || v4.is_broadcast();
            assert!(!(special && is_public_v4(v4)), "{v4}");
            let v6 = Ipv6Addr::new(high, 0, 0, 0, 0, 0, 0, 9);
            let special = v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local();
            assert!(!(special && is_public_v6(v6)), "{v6}");
        }
    }

    /// What the system's files and resolvers say of these needs no network.
    #[tokio::test]
    async fn the_public_reach_stops_at_the_machine() {
        for name in ["127.0.0.1", "localhost"] {
            let found = find(name.to_owned(), &Reach::Public).await;
            assert!(!matches!(found, Ok(Some(_))), "{name}: {found:?}");
        }
    }

    #[tokio::test]
    async fn one_address_that_is_not_allowed_refuses_the_name() {
        let name = "example.org".to_owned();
        let [here, there] = ["127.0.0.1:443", "10.0.0.1:443"].map(|address| address.parse().unwrap());
        let reach = |addresses: Vec<SocketAddr>| {
            Reach::Loopback(Loopback { hosts: [(name.clone(), addresses)].into(), ..Loopback::default() })
        };
        let host = Host { name: name.clone(), addresses: vec![here] };
        assert_eq!(find(name.clone(), &reach(vec![here])).await, Ok(Some(host)));
        let refused = find(name.clone(), &reach(vec![here, there])).await;
        assert_eq!(refused, Err(LookupError::NotPublic(name.clone(), there.ip())));
        assert_eq!(find(name.clone(), &reach(vec![])).await, Err(LookupError::Unresolved(name.clone())));
        assert_eq!(find("example.com".to_owned(), &reach(vec![here])).await, Ok(None));
    }
}
