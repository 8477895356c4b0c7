//! Keeps web pages away from the local API. Any page can make a browser send requests to 127.0.0.1, and by DNS
//! rebinding even under its own name; a program of this device names us by our own host and sends no foreign origin.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri, header};

use super::ApiError;

/// Lets requests of programs through.
pub(super) async fn check(port: u16, request: Request, next: Next) -> Response {
    match admit(port, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            tracing::info!(path = request.uri().path(), %error, "a request was refused");
            error.into_response()
        }
    }
}

fn admit(port: u16, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok());
    let named = host.is_some_and(|host| is_ours(host, port)) && hosts.next().is_none();
    if !named || uri.authority().is_some_and(|authority| !is_ours(authority.as_str(), port)) {
        return Err(ApiError::foreign(
            "This API answers only under 127.0.0.1, localhost or [::1] with its own port. Use that address.",
        ));
    }
    let foreign_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        !origin.strip_prefix("http://").is_some_and(|authority| is_ours(authority, port))
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

/// Whether `authority` is one of our own names with our port.
fn is_ours(authority: &str, port: u16) -> bool {
    let (host, given) = match authority.rsplit_once(':') {
        Some((host, given)) if !given.ends_with(']') => (host, given.parse().ok()),
        _ => (authority, Some(80)),
    };
    given == Some(port) && (host.eq_ignore_ascii_case("localhost") || matches!(host, "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn admitted(method: &str, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header");
            map.append(name, value.parse().expect("a value"));
        }
        let (method, uri) = (method.parse().expect("a method"), uri.parse().expect("a target"));
        admit(1473, &method, &uri, &map).is_ok()
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
