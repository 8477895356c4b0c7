//! The local API as programs call it.

use std::sync::OnceLock;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

/// An HTTP client.
pub(crate) fn web() -> reqwest::Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Checks that an answer is a refusal in OpenAI's form; gives its status, its code and its sentence.
pub(crate) async fn api_error(response: reqwest::Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("the answer can be read");
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} with {text:?}"));
    let error = &document["error"];
    let message = error["message"].as_str().unwrap_or_else(|| panic!("no sentence in {text}")).to_owned();
    assert!(error["type"].is_string(), "no type in {text}");
    (status, error["code"].as_str().unwrap_or_default().to_owned(), message)
}

/// Server-sent events of an answer.
pub(crate) struct Stream {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    rest: String,
}

impl Stream {
    /// Reads the events of a successful answer.
    pub(crate) fn new(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        Self { body: response.bytes_stream().boxed(), rest: String::new() }
    }

    /// The data of the next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data:")).map(|data| data.trim().to_owned());
                self.rest = rest.to_owned();
                match data {
                    Some(data) => return Some(data),
                    None => continue,
                }
            }
            let bytes = in_time("the next event", self.body.next()).await?.expect("the stream can be read");
            self.rest += &String::from_utf8(bytes.to_vec()).expect("events are text").replace("\r\n", "\n");
        }
    }

    /// The whole text, up to `[DONE]`.
    pub(crate) async fn text(mut self) -> String {
        let mut text = String::new();
        loop {
            let data = self.next().await.expect("a stream ends with [DONE]");
            if data == "[DONE]" {
                return text;
            }
            let event: Value = serde_json::from_str(&data).expect("an event is JSON");
            text += event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
        }
    }
}

/// Sends bytes to an address as they are; gives the status line of the answer.
pub(crate) async fn raw(address: &str, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("it can be reached");
        stream.write_all(request.as_bytes()).await.expect("it can be written");
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
    };
    in_time("an answer", exchange).await
}
