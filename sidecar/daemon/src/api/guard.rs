//! Keeps web pages away from the local API. Any page can make a browser send requests to 127.0.0.1, and by DNS
//! rebinding even under its own name; a program of this device names us by our own host and sends no foreign origin.
//! Where a key is required, it is asked for here as well.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri, header};
use myownmesh_control::types::KeyScope;

use super::requests::Requests;
use super::{ApiError, body};
use crate::keys::Keys;

/// Where the local API listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door {
    /// The address of this device.
    pub(crate) ip: IpAddr,
    /// The port.
    pub(crate) port: u16,
}

/// Lets requests of programs through.
pub(super) async fn check(door: Door, keys: &Keys, requests: &Requests, request: Request, next: Next) -> Response {
    let scope = scope(request.uri().path());
    let admitted = admit(door, request.method(), request.uri(), request.headers())
        .and_then(|()| keys.admit(request.headers(), scope).map_err(ApiError::key));
    match admitted {
        Ok(key) => requests.watch(key, request, next).await,
        Err(error) => {
            tracing::info!(path = request.uri().path(), %error, "a request was refused");
            let (parts, body) = request.into_parts();
            body::discard(&parts.headers, body).await;
            error.into_response()
        }
    }
}

fn admit(door: Door, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok());
    let named = host.is_some_and(|host| is_ours(host, door)) && hosts.next().is_none();
    if !named || uri.authority().is_some_and(|authority| !is_ours(authority.as_str(), door)) {
        return Err(ApiError::foreign(
            "This API answers only under the number of its address (or localhost) with its own port. Use that address.",
        ));
    }
    let foreign_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        !origin.strip_prefix("http://").is_some_and(|authority| is_ours(authority, door))
    });
    let cross_site =
        headers.get("sec-fetch-site").is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    if foreign_origin || cross_site {
        return Err(ApiError::foreign("Web pages may not use this API. Call it from a program on this device."));
    }
    if method == Method::OPTIONS {
        return Err(ApiError::wrong_method());
    }
    Ok(())
}

/// What a key must be for to be used at this path; none for what tells nothing.
fn scope(path: &str) -> Option<KeyScope> {
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match path {
        "/" | "/api/version" => None,
        "/v1/embeddings" | "/api/embed" | "/api/embeddings" => Some(KeyScope::Embeddings),
        "/api/tags" | "/api/ps" | "/api/show" => Some(KeyScope::Models),
        _ if under("/v1/models") => Some(KeyScope::Models),
        _ => Some(KeyScope::Chat),
    }
}

/// Whether `authority` is one of our own names with our port. Beyond loopback a number is a name of ours as well: what
/// rebinds is a name.
fn is_ours(authority: &str, door: Door) -> bool {
    let (host, given) = match authority.rsplit_once(':') {
        Some((host, given)) if !given.ends_with(']') => (host, given.parse().ok()),
        _ => (authority, Some(80)),
    };
    let loopback = host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]");
    given == Some(door.port) && (loopback || is_number_of(host, door.ip))
}

fn is_number_of(host: &str, ip: IpAddr) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let number: Option<IpAddr> = bare.parse().ok();
    !ip.is_loopback() && number.is_some_and(|number| ip.is_unspecified() || number == ip)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn admitted(method: &str, uri: &str, headers: &[(&str, &str)]) -> bool {
        admitted_at("127.0.0.1", method, uri, headers)
    }

    fn admitted_at(ip: &str, method: &str, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header");
            map.append(name, value.parse().expect("a value"));
        }
        let (method, uri) = (method.parse().expect("a method"), uri.parse().expect("a target"));
        admit(Door { ip: ip.parse().expect("an address"), port: 1473 }, &method, &uri, &map).is_ok()
    }

    #[test]
    fn our_own_names_are_let_in() {
        for host in ["127.0.0.1:1473", "localhost:1473", "LocalHost:1473", "[::1]:1473"] {
            assert!(admitted("GET", "/v1/models", &[("host", host)]), "{host}");
            let origin = format!("http://{host}");
            assert!(admitted("POST", "/v1/models", &[("host", host), ("origin", &origin)]), "{origin}");
        }
        let fetch = [("host", "localhost:1473"), ("sec-fetch-site", "none")];
        assert!(admitted("GET", "/", &fetch));
    }

    #[test]
    fn beyond_loopback_a_number_is_a_name_of_ours() {
        for (ip, host, fine) in [
            ("0.0.0.0", "192.168.1.5:1473", true),
            ("0.0.0.0", "localhost:1473", true),
            ("0.0.0.0", "desk.example:1473", false),
            ("0.0.0.0", "192.168.1.5:80", false),
            ("192.168.1.5", "192.168.1.5:1473", true),
            ("192.168.1.5", "192.168.1.6:1473", false),
            ("::", "[fd00::1]:1473", true),
            ("127.0.0.1", "192.168.1.5:1473", false),
        ] {
            assert_eq!(admitted_at(ip, "GET", "/v1/models", &[("host", host)]), fine, "{ip} {host}");
            let origin = format!("http://{host}");
            let page = [("host", "localhost:1473"), ("origin", origin.as_str())];
            assert_eq!(admitted_at(ip, "GET", "/v1/models", &page), fine, "{ip} {origin}");
        }
    }

    #[test]
    fn every_path_has_its_scope() {
        for (path, wanted) in [
            ("/", None),
            ("/api/version", None),
            ("/v1/models", Some(KeyScope::Models)),
            ("/v1/models/a/b", Some(KeyScope::Models)),
            ("/api/tags", Some(KeyScope::Models)),
            ("/v1/embeddings", Some(KeyScope::Embeddings)),
            ("/api/embed", Some(KeyScope::Embeddings)),
            ("/v1/chat/completions", Some(KeyScope::Chat)),
            ("/v1/messages", Some(KeyScope::Chat)),
            ("/v1/modelsx", Some(KeyScope::Chat)),
            ("/whatever", Some(KeyScope::Chat)),
        ] {
            assert_eq!(scope(path), wanted, "{path}");
        }
    }

    #[test]
    fn foreign_hosts_and_origins_are_refused() {
        let ours = ("host", "127.0.0.1:1473");
        let refused: &[&[(&str, &str)]] = &[
            &[],
            &[("host", "")],
            &[("host", "evil.example:1473")],
            &[("host", "127.0.0.1")],
            &[("host", "127.0.0.1:80")],
            &[("host", "[::1]")],
            &[("host", "127.0.0.1.evil.example:1473")],
            &[("host", "localhost:1473"), ("host", "evil.example")],
            &[ours, ("origin", "https://evil.example")],
            &[ours, ("origin", "http://evil.example:1473")],
            &[ours, ("origin", "http://localhost:3000")],
            &[ours, ("origin", "https://localhost:1473")],
            &[ours, ("origin", "null")],
            &[ours, ("origin", "http://127.0.0.1:1473"), ("origin", "https://evil.example")],
            &[ours, ("sec-fetch-site", "cross-site")],
            &[ours, ("sec-fetch-site", "same-site")],
        ];
        for headers in refused {
            assert!(!admitted("GET", "/v1/models", headers), "{headers:?}");
        }
        assert!(!admitted("OPTIONS", "/v1/chat/completions", &[ours]), "no preflight succeeds");
        assert!(!admitted("GET", "http://evil.example/v1/models", &[ours]));
    }
}
