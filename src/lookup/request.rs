//! One request, one answer, and an end to both.
//!
//! # Invariants
//! * Status 200 is an answer, 404 and 410 a no, everything else an error. No redirect is followed, no body of an error read.
//! * No more than the cap is kept of a body, whether its length is announced or it comes in chunks; of a header no more
//!   than [`MAX_HEADER`]. The time is the caller's.
//! * The connection ends with the answer.
//!
//! # Standards
//! RFC 9110, RFC 9112, by hyper.

use std::convert::Infallible;
use std::future::pending;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::lookup::LookupError;

/// The status line and all fields, in bytes; and how many fields.
const MAX_HEADER: usize = 16 << 10;
const MAX_FIELDS: usize = 64;
/// Always the same, for everybody, for ever.
const AGENT: &str = "psirtd";
const BROKE_OFF: &str = "it broke off";

/// Asks for what is at this URL of the host.
pub(super) async fn get<S>(stream: S, host: &str, url: &str, max_bytes: usize) -> Result<Vec<u8>, LookupError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: hyper::Error| LookupError::Http(host.to_owned(), reason(&error));
    let request = request(host, url)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEADER)
        .max_header_size(MAX_HEADER)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        read(response, host, max_bytes).await
    };
    // the connection moves the bytes; when it is over, what it moved is still to be read
    let driver = async {
        let _ = connection.await;
        pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        never = driver => match never {},
    }
}

fn request(host: &str, url: &str) -> Result<Request<Empty<Bytes>>, LookupError> {
    let uri: Uri = url.parse().map_err(|_| LookupError::Address("it has no URL"))?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    Request::get(target)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/octet-stream, */*")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| LookupError::Broken(error.to_string()))
}

async fn read(response: Response<Incoming>, host: &str, max_bytes: usize) -> Result<Vec<u8>, LookupError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(LookupError::Unpublished),
        status if status.is_redirection() => return Err(LookupError::Redirect(host.to_owned())),
        status => return Err(LookupError::Status(host.to_owned(), status.as_u16())),
    }
    let body = response.into_body();
    let too_large = || LookupError::TooLarge(host.to_owned(), max_bytes);
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > max_bytes) {
        return Err(too_large());
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(LookupError::Http(host.to_owned(), BROKE_OFF)),
    }
}

fn reason(error: &hyper::Error) -> &'static str {
    if error.is_parse() { "it is no HTTP, or its header is too large" } else { BROKE_OFF }
}
