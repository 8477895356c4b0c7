//! The client of the benchmarks: one new connection per request on every path, so all pay the same for it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use serde_json::json;

/// How long an answer may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// One way to reach the model.
pub(crate) struct Target {
    /// What the table calls it.
    pub(crate) name: String,
    url: String,
    model: String,
    key: Option<String>,
    http: reqwest::Client,
}

/// What a rate run measured.
pub(crate) struct Load {
    /// Tokens that all streams received after their first.
    pub(crate) tokens: u32,
    /// From the first token of the first stream to the last of the last.
    pub(crate) wall: Duration,
}

impl Target {
    pub(crate) fn new(name: &str, base: &str, model: &str, key: Option<&str>) -> Self {
        let http =
            reqwest::Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().expect("a plain client");
        Self {
            name: name.to_owned(),
            url: format!("{base}/chat/completions"),
            model: model.to_owned(),
            key: key.map(str::to_owned),
            http,
        }
    }

    async fn ask(&self, question: &str, max_tokens: u32) -> Result<reqwest::Response> {
        let body = json!({
            "model": self.model, "stream": true, "max_tokens": max_tokens, "temperature": 0,
            "ignore_eos": true, "messages": [{"role": "user", "content": question}],
        });
        let mut request = self.http.post(&self.url).json(&body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.context("send the question")?;
        ensure!(
            response.status().is_success(),
            "{} answered {}: {}",
            self.url,
            response.status(),
            response.text().await?
        );
        Ok(response)
    }
}

/// Counts the text events in a chunk of server-sent events; events are never split by the engine's own writes, and a
/// split one is counted where its marker lies.
fn text_events(chunk: &[u8]) -> u32 {
    let marker = b"\"content\":\"";
    u32::try_from(chunk.windows(marker.len()).filter(|window| window == marker).count()).unwrap_or(u32::MAX)
}

/// Time from sending a fresh question to its first text.
///
/// The question begins with its number, so that no two begin alike.
pub(crate) async fn first_token(target: &Target, number: usize) -> Result<Duration> {
    let started = Instant::now();
    let mut stream = target.ask(&format!("{number:05} is the question"), 4).await?.bytes_stream();
    let mut first = None;
    while let Some(chunk) = stream.next().await {
        if text_events(&chunk?) > 0 && first.is_none() {
            first = Some(started.elapsed());
        }
    }
    first.context("the answer had no text")
}

/// Runs `streams` answers of `max_tokens` each at once.
pub(crate) async fn stream_tokens(target: &Target, streams: usize, max_tokens: u32) -> Result<Load> {
    let runs = try_join_all((0..streams).map(|index| one_stream(target, index, max_tokens))).await?;
    let begin = runs.iter().map(|run| run.1).min().context("no stream ran")?;
    let end = runs.iter().map(|run| run.2).max().context("no stream ran")?;
    Ok(Load { tokens: runs.iter().map(|run| run.0 - 1).sum(), wall: end - begin })
}

async fn one_stream(target: &Target, index: usize, max_tokens: u32) -> Result<(u32, Instant, Instant)> {
    let mut stream = target.ask(&format!("stream {index}"), max_tokens).await?.bytes_stream();
    let (mut tokens, mut first, mut last) = (0, None, Instant::now());
    while let Some(chunk) = stream.next().await {
        let count = text_events(&chunk?);
        if count > 0 {
            last = Instant::now();
            first.get_or_insert(last);
            tokens += count;
        }
    }
    // A model past its end writes bytes that are no text on their own; they come with the next token's event.
    ensure!(tokens >= max_tokens * 3 / 4, "a stream ended after {tokens} of {max_tokens} tokens");
    Ok((tokens, first.context("a stream had no text")?, last))
}
