//! Web servers with TLS on loopback, and the small Internet in which they have names.
//!
//! ```ignore
//! let authority = Authority::new();
//! let web = Web::start(&authority, "openpgpkey.example.org", ok(&certificate)).await;
//! let settings = internet(&authority, &[("openpgpkey.example.org", &[web.address])]);
//! look_up("ada@example.org", &settings).await;
//! assert_eq!(web.heard().len(), 1);
//! ```

use super::tls::Authority;
use psirtd::lookup::{Loopback, Reach, Settings};
use psirtd::tls;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a server does with every connection.
#[derive(Clone)]
pub enum Does {
    /// Says this once it has heard a request, and hangs up.
    Says(Vec<u8>),
    /// Says the first, and the second again and again, with a pause.
    Repeats(Vec<u8>, Vec<u8>, Duration),
    /// The same without TLS, before anything is asked.
    Greets(Vec<u8>),
    /// Takes the connection and is silent.
    Nothing,
}

/// A host: where it listens, and what it was asked.
pub struct Web {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub async fn start(authority: &Authority, name: &str, does: Does) -> Web {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, log) = (acceptor(authority, name), heard.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                log.lock().unwrap().push(String::new());
                tokio::spawn(converse(stream, acceptor.clone(), does.clone(), log.clone()));
            }
        });
        Web { address, heard }
    }

    /// What it was asked, a connection an entry.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn acceptor(authority: &Authority, name: &str) -> TlsAcceptor {
    let identity = authority.issue(&[name]);
    let certs = tls::authorities(identity.cert_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(certs, key).unwrap()))
}

async fn converse(mut stream: TcpStream, acceptor: TlsAcceptor, does: Does, log: Arc<Mutex<Vec<String>>>) {
    match does {
        Does::Nothing => std::future::pending().await,
        Does::Greets(greeting) => {
            let _ = stream.write_all(&greeting).await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
        Does::Says(answer) => {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            hear(&mut stream, &log).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
        Does::Repeats(first, again, pause) => {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            hear(&mut stream, &log).await;
            let mut open = stream.write_all(&first).await.is_ok();
            while open {
                open = stream.write_all(&again).await.is_ok() && stream.flush().await.is_ok();
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn hear(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
    *log.lock().unwrap().last_mut().unwrap() = String::from_utf8(request).unwrap();
}

/// An Internet of these hosts.
pub fn internet(authority: &Authority, hosts: &[(&str, &[SocketAddr])]) -> Settings {
    let hosts: BTreeMap<_, _> = hosts.iter().map(|(name, at)| (name.to_string(), at.to_vec())).collect();
    let authorities = tls::authorities(authority.ca_pem().as_bytes()).unwrap();
    let reach = Reach::Loopback(Loopback { hosts, authorities });
    Settings { timeout: Duration::from_secs(20), reach, ..Settings::default() }
}

/// An answer with this status and body.
pub fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    answer
}

pub fn ok(body: &[u8]) -> Does {
    Does::Says(http("200 OK", body))
}
