//! Questions to engines over plain HTTP. Each has a connection of its own, driven by whoever reads the answer: a word
//! passes from the engine's connection to the reader without a task in between.
//!
//! llama-server promises keep-alive after a streamed answer and closes all the same, so a connection that is used again
//! fails in a quarter of all cases.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::connect::HttpConnector;
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
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    let target = url.join(path);
    let uri: Uri = target.as_str().parse().map_err(|error| Failure::unsent(&error))?;
    let mut request = Request::post(uri.path()).body(Full::new(body)).map_err(|error| Failure::unsent(&error))?;
    *request.headers_mut() = headers(target.authority(), key).map_err(|error| Failure::unsent(&error))?;
    let io = connector.oneshot(uri).await.map_err(|error| Failure::unconnected(&error))?;
    let answered = myownmesh_http1::request(io, &myownmesh_http1::Builder::new(), request, ()).await;
    let (head, body) = answered.map_err(|error| Failure::unsent(&error))?.into_parts();
    let pieces = body.into_data_stream().map_err(|error| Failure::unsent(&error));
    Ok(Response::from_parts(head, pieces.boxed()))
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
