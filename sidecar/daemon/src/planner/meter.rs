//! Times one answer as it passes, and gives what it learned to [`Rates`] when it is dropped, however the answer ended.
//! Looks at the pieces and keeps numbers only.

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;

use super::predict::tokens_in;
use super::rates::{Key, Rates, Sample, Timings};
use crate::scan::holds;

/// How near to its end an answer tells what it cost, in bytes.
const COST_WITHIN: usize = 8192;

/// One answer that is being timed.
pub(crate) struct Meter {
    rates: Rates,
    key: Key,
    asked: Instant,
    sample: Sample,
    first: Option<Instant>,
    last: Instant,
    pieces: u32,
    counted: Option<u32>,
    fine: bool,
    cut: bool,
    done: bool,
}

/// What the end of an answer tells of its cost.
#[derive(Deserialize)]
struct Cost {
    usage: Option<Usage>,
    timings: Option<Timings>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u32>,
}

impl Meter {
    /// An answer that is asked for now, with a request of so many bytes.
    pub(crate) fn begin(rates: Rates, key: Key, rtt_ms: f64, loaded: bool, request: usize) -> Self {
        let now = Instant::now();
        let sample = Sample { rtt_ms, loaded, expected_prompt: tokens_in(request), ..Sample::default() };
        Self {
            rates,
            key,
            asked: now,
            sample,
            first: None,
            last: now,
            pieces: 0,
            counted: None,
            fine: false,
            cut: false,
            done: false,
        }
    }

    /// The head of the answer.
    pub(crate) fn head(&mut self, status: StatusCode) {
        self.fine = status.is_success();
    }

    /// Some whole events of a stream.
    pub(crate) fn events(&mut self, events: &Bytes) {
        for line in events.split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data:") {
                self.data(data.trim_ascii());
            } else if self.first.is_none() && line.starts_with(b":") {
                self.aside(line);
            }
        }
    }

    /// A word at the side: who waits for others is not slow, and what loads was not loaded.
    fn aside(&mut self, line: &[u8]) {
        if holds(line, b"\"queued\"") {
            self.asked = Instant::now();
        } else if holds(line, b"\"loading\"") {
            self.sample.loaded = false;
        }
    }

    fn data(&mut self, data: &[u8]) {
        if data == crate::sse::DONE.as_bytes() {
            self.done = true;
            return;
        }
        if data.starts_with(b"{\"error\"") {
            self.fine = false;
            return;
        }
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.pieces = self.pieces.saturating_add(1);
        // Only the last chunks tell a cost or an end by the limit; others are not looked at more closely.
        if holds(data, b"\"finish_reason\":\"length\"") {
            self.cut = true;
        }
        if holds(data, b"\"usage\":{") || holds(data, b"\"timings\":{") {
            self.cost(data);
        }
    }

    /// An answer that is no stream.
    pub(crate) fn whole(&mut self, body: &Bytes) {
        self.done = true;
        if body.len() <= COST_WITHIN * 16 {
            self.cost(body);
        }
        // How long it took says nothing about the first word.
        self.first = None;
    }

    fn cost(&mut self, json: &[u8]) {
        let Ok(cost) = serde_json::from_slice::<Cost>(json) else { return };
        self.sample.timings = cost.timings.or(self.sample.timings);
        if let Some(usage) = cost.usage {
            self.counted = usage.completion_tokens.or(self.counted);
            self.sample.prompt = usage.prompt_tokens.or(self.sample.prompt);
            self.sample.cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // An answer that was cut off after its first words still says how fast they came.
        if !self.fine || (self.first.is_none() && !self.done) {
            return;
        }
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        self.sample.first_ms = self.first.map(|first| ms(self.asked, first));
        self.sample.rest_ms = self.first.map_or(0.0, |first| ms(first, self.last));
        self.sample.answer = self.counted.unwrap_or(self.pieces);
        self.sample.complete = self.done && !self.cut;
        self.rates.learn(self.key.clone(), &self.sample);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use myownmesh_mesh::DeviceId;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::planner::rates::Rate;
    use crate::store::Store;

    async fn metered(run: impl AsyncFnOnce(&mut Meter)) -> Option<Rate> {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let rates = Rates::start(store, CancellationToken::new()).await.expect("started");
        tokio::time::pause();
        let device = DeviceId::of_secret(&[3; 32]);
        let mut meter = Meter::begin(rates.clone(), (device, "m".to_owned()), 4.0, true, 400);
        run(&mut meter).await;
        drop(meter);
        tokio::time::resume();
        rates.of(device, ["m"].into_iter()).remove("m")
    }

    async fn after(ms: u64, meter: &mut Meter, events: &'static str) {
        tokio::time::advance(Duration::from_millis(ms)).await;
        meter.events(&Bytes::from_static(events.as_bytes()));
    }

    #[tokio::test]
    async fn a_stream_is_timed_without_its_waiting() {
        let rate = metered(async |meter| {
            meter.head(StatusCode::OK);
            after(9000, meter, ": myownmesh {\"queued\":1,\"wait_ms\":100}\n\n").await;
            after(104, meter, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n").await;
            for _ in 0..9 {
                after(20, meter, "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n").await;
            }
            after(0, meter, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":10}}\n\n")
                .await;
            after(0, meter, "data: [DONE]\n\n").await;
        })
        .await
        .expect("learned");
        let about = |value: Option<f64>, expected: f64| value.is_some_and(|value| (value - expected).abs() < 2.0);
        assert!(
            about(rate.overhead.value(), 50.0) && about(rate.prefill.value(), 1.0) && about(rate.decode.value(), 20.0),
            "{rate:?}"
        );
        assert_eq!(rate.answer.value(), Some(10.0));
        // 250 bytes of question in four each, and a template of eight.
        assert!(rate.prompt_scale.value().is_some_and(|scale| (scale - 50.0 / 70.5).abs() < 0.01), "{rate:?}");
    }

    #[tokio::test]
    async fn the_engine_knows_better() {
        let rate = metered(async |meter| {
            meter.head(StatusCode::OK);
            after(500, meter, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n").await;
            let last = "data: {\"choices\":[{\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":40},\
                        \"timings\":{\"prompt_n\":50,\"prompt_ms\":100.0,\"predicted_n\":40,\"predicted_ms\":400.0,\"more\":1}}\n\ndata: [DONE]\n\n";
            after(5000, meter, last).await;
        })
        .await
        .expect("learned");
        assert_eq!((rate.prefill.value(), rate.decode.value()), (Some(2.0), Some(10.0)));
        assert_eq!(rate.answer.value(), None, "it was cut at the limit");
    }

    #[tokio::test]
    async fn what_was_no_answer_teaches_nothing() {
        let refused = metered(async |meter| meter.head(StatusCode::SERVICE_UNAVAILABLE)).await;
        assert_eq!(refused, None);
        let broken = metered(async |meter| {
            meter.head(StatusCode::OK);
            after(5, meter, "data: {\"error\":{\"message\":\"x\"}}\n\n").await;
        });
        assert_eq!(broken.await, None);
        let silent = metered(async |meter| meter.head(StatusCode::OK)).await;
        assert_eq!(silent, None);
    }
}
