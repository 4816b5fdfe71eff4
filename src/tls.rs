//! How connections to the mail servers are protected.
//!
//! # Invariants
//! * Certificates are always checked, against the system's authorities and the one of the configuration.
//! * STARTTLS is required where it is configured: there is no way back to plain text.
//! * No protection at all is for loopback addresses only; the configuration refuses it elsewhere.
//!
//! # Standards
//! RFC 8314, RFC 9525, by rustls (TLS 1.2 and 1.3).

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// With the first byte.
    Implicit,
    /// After STARTTLS, which the server must offer.
    StartTls,
    /// Never: loopback only.
    None,
}

/// Is this host surely the machine itself?
pub fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || literal.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The certificates of a PEM file.
pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("it holds no PEM certificate".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("it is no PEM file: {error}")),
    }
}

/// A client that trusts the system's authorities and these.
pub fn client(authorities: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    for authority in authorities {
        roots
            .add(authority.clone())
            .map_err(|error| format!("the CA certificate cannot be used: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
