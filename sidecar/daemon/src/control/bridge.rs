//! The bridge for browsers, in development builds only: the control contract over WebSocket on the loopback address.
//!
//! Its URL carries a random token, and a page may use it only from a loopback origin and under a loopback name, so a
//! page of another site, or one that rebinds its name, gets nowhere even if it guessed the port.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, Request, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::socket::Rpc;

/// Opens the bridge; returns its URL and the future that serves it.
pub(crate) async fn open(rpc: Rpc, port: u16) -> io::Result<(String, impl Future<Output = ()> + Send)> {
    let listener = Arc::new(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?);
    let port = listener.local_addr()?.port();
    let token: Arc<str> = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>()).into();
    let url = format!("ws://127.0.0.1:{port}/?token={token}");
    let accept = move || {
        let listener = Arc::clone(&listener);
        async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    };
    let admit = move |request: &Request<Incoming>| admit(request.headers(), request.uri().query(), &token);
    Ok((url, rpc.accept(accept, admit)))
}

fn admit(headers: &HeaderMap, query: Option<&str>, token: &str) -> Result<(), &'static str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !text(header::HOST).is_some_and(is_loopback) {
        return Err("The bridge answers only under 127.0.0.1, localhost or [::1].");
    }
    let origin_fits = |origin: &str| origin.strip_prefix("http://").is_some_and(is_loopback);
    if headers.contains_key(header::ORIGIN) && !text(header::ORIGIN).is_some_and(origin_fits) {
        return Err("Only pages served from this device may use the bridge.");
    }
    let given = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("token="));
    // Compared by hash: the comparison of hashes takes the same time wherever they differ.
    if given.is_none_or(|given| blake3::hash(given.as_bytes()) != blake3::hash(token.as_bytes())) {
        return Err("The token is missing or wrong. Use the whole URL that the daemon printed.");
    }
    Ok(())
}

/// Whether `authority` is a loopback name, whatever the port.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_pages_with_the_token_are_let_in() {
        let admitted = |host: &str, origin: Option<&str>, query: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("a value"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().expect("a value"));
            }
            admit(&headers, query, "secret").is_ok()
        };
        let token = Some("token=secret");
        assert!(admitted("127.0.0.1:5", Some("http://localhost:5173"), token));
        assert!(admitted("localhost:5", None, Some("a=b&token=secret")));
        assert!(admitted("[::1]", Some("http://[::1]:3"), token));
        for (host, origin, query) in [
            ("evil.example:5", None, token),
            ("127.0.0.1.evil.example", None, token),
            ("127.0.0.1:5", Some("http://evil.example"), token),
            ("127.0.0.1:5", Some("https://localhost.evil.example"), token),
            ("127.0.0.1:5", Some("null"), token),
            ("127.0.0.1:5", None, None),
            ("127.0.0.1:5", None, Some("token=")),
            ("127.0.0.1:5", None, Some("token=secre")),
            ("127.0.0.1:5", None, Some("xtoken=secret")),
        ] {
            assert!(!admitted(host, origin, query), "{host} {origin:?} {query:?}");
        }
    }
}
