//! Questions to engines over plain HTTP. Each has a connection of its own, driven by whoever reads the answer: a word
//! passes from the engine's connection to the reader without a task in between. Why none is used again: see
//! [`Clients`](crate::client::Clients).

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::client::{AGENT, CONNECT, Failure, Pieces};
use crate::{EngineUrl, Secret};

/// Sends JSON to `path` below `url`, which begins with `http:`, and gives the head of the answer.
pub(crate) async fn post(
    url: &EngineUrl,
    path: &str,
    key: Option<&Secret>,
    body: Bytes,
) -> Result<Response<Pieces>, Failure> {
    let target = url.join(path);
    let mut request = Request::post(target.path()).body(Full::new(body)).map_err(|error| Failure::unsent(&error))?;
    *request.headers_mut() = headers(target.authority(), key).map_err(|error| Failure::unsent(&error))?;
    let io = connected(&target).await?;
    let answered = myownmesh_http1::request(io, &myownmesh_http1::Builder::new(), request, ()).await;
    let (head, body) = answered.map_err(|error| Failure::unsent(&error))?.into_parts();
    let pieces = body.into_data_stream().map_err(|error| Failure::unsent(&error));
    Ok(Response::from_parts(head, pieces.boxed()))
}

/// A number is an address, and there is nothing to look up or to try; of a name all addresses are tried.
async fn connected(target: &Url) -> Result<TokioIo<TcpStream>, Failure> {
    let number = target.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    if let Some(address) = number.zip(target.port_or_known_default()) {
        let stream = timeout(CONNECT, TcpStream::connect(address)).await.unwrap_or_else(|late| Err(late.into()));
        let stream = stream.map_err(|error| Failure::unconnected(&error))?;
        stream.set_nodelay(true).map_err(|error| Failure::unconnected(&error))?;
        return Ok(TokioIo::new(stream));
    }
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    let uri: Uri = target.as_str().parse().map_err(|error| Failure::unsent(&error))?;
    connector.oneshot(uri).await.map_err(|error| Failure::unconnected(&error))
}

fn headers(host: &str, key: Option<&Secret>) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(host)?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(key) = key {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post as posted;

    use super::*;

    /// What the address `host` with the port of an engine answers.
    async fn asked(host: &str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let told = |headers: HeaderMap, body: String| async move { format!("{:?} {body}", headers[HOST]) };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/base/ask", posted(told))).await });
        let url = EngineUrl::parse(&format!("http://{host}:{port}/base")).expect("an address");
        let answer = post(&url, "/ask", None, Bytes::from_static(b"{}")).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let pieces: Vec<Bytes> = answer.into_body().try_collect().await.expect("all of it");
        String::from_utf8(pieces.concat()).expect("text").replace(&port.to_string(), "PORT")
    }

    #[tokio::test]
    async fn an_engine_is_asked_by_its_number_and_by_its_name() {
        assert_eq!(asked("127.0.0.1").await, "\"127.0.0.1:PORT\" {}");
        assert_eq!(asked("localhost").await, "\"localhost:PORT\" {}");
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_an_answer_that_is_none() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = EngineUrl::parse(&listener.local_addr().expect("an address").to_string()).expect("an address");
        drop(listener);
        for url in [url, EngineUrl::parse("http://nobody.invalid").expect("an address")] {
            let failed = post(&url, "/ask", None, Bytes::new()).await.err().expect("nothing listens");
            assert!(failed.connecting, "{failed:?}");
            assert!(failed.into_unsent(&url).to_string().contains(&url.to_string()));
        }
    }
}
