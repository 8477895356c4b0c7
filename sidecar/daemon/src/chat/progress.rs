//! An answer as it grows: chunks of the model's stream go in, numbered events come out, and at the end the numbers that
//! a person sees below it.

use http::StatusCode;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{AnswerDetails, AnswerEvent, Message, Seam, WaitState};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::record::Record;
use crate::api::{ApiError, Side};
use crate::conversations::ANSWERING;
use crate::planner::Prediction;
use crate::ring::Ring;
use crate::route::Route;
use crate::sse;

/// Largest answer, in bytes; a longer one ends as if the model had reached its limit.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// How an answer ended.
pub(super) enum End {
    /// The model said all it had to say.
    Complete,
    /// The person stopped it.
    Cancelled,
    /// The daemon is ending.
    Interrupted,
    /// Something broke.
    Failed(ApiError),
}

/// The state of one answer.
pub(super) struct Progress {
    ring: Ring<AnswerEvent>,
    record: Record,
    route: Option<Route>,
    text: String,
    thinking: String,
    /// What was taken since the last event.
    fresh: Fresh,
    asked: Instant,
    first: Option<Instant>,
    last: Instant,
    pieces: u32,
    /// Tokens before the last seam.
    before: u32,
    seams: Vec<Seam>,
    /// It goes on with an earlier text, and nothing has come yet.
    continued: bool,
    counted: Option<u32>,
    finish_reason: Option<String>,
    done: bool,
    unsaved: bool,
}

#[derive(Default)]
struct Fresh {
    text: String,
    thinking: String,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    /// In a stream.
    delta: Option<Words>,
    /// In an answer that is no stream.
    message: Option<Words>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Words {
    content: Option<String>,
    #[serde(alias = "reasoning")]
    reasoning_content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: Option<u32>,
}

impl Progress {
    /// An answer that is being asked for now.
    pub(super) fn new(ring: Ring<AnswerEvent>, record: Record, begun: Option<&Message>) -> Self {
        let now = Instant::now();
        let text = begun.map(|begun| begun.text.clone()).unwrap_or_default();
        let earlier = begun.and_then(|begun| begun.answer.as_ref());
        Self {
            ring,
            record,
            route: None,
            continued: !text.is_empty(),
            text,
            thinking: begun.and_then(|begun| begun.thinking.clone()).unwrap_or_default(),
            fresh: Fresh::default(),
            asked: now,
            first: None,
            last: now,
            pieces: 0,
            before: earlier.and_then(|answer| answer.tokens).unwrap_or(0),
            seams: earlier.map(|answer| answer.seams.clone()).unwrap_or_default(),
            counted: None,
            finish_reason: None,
            done: false,
            unsaved: false,
        }
    }

    /// It is being asked there.
    pub(super) fn route(&mut self, route: &Route) {
        self.ring.push(AnswerEvent::Route {
            device_id: route.device.to_string(),
            device_name: route.device_name.clone(),
            model: route.model.clone(),
            demo: route.demo,
            this_device: route.this_device,
            predicted_first_token_ms: route.predicted.map(|predicted| predicted.first_ms),
            predicted_total_ms: route.predicted.map(|predicted| predicted.total_ms),
        });
        self.route = Some(route.clone());
        self.unsaved = true;
    }

    /// Takes whole events and comments.
    pub(super) fn take_events(&mut self, events: &[u8]) -> Result<(), ApiError> {
        for event in sse::each(events) {
            if event.starts_with(b":") {
                if let Some(side) = Side::read(event) {
                    self.side(side);
                }
                continue;
            }
            for data in sse::data(event) {
                self.take(&data)?;
            }
        }
        Ok(())
    }

    /// What is told besides the words.
    pub(super) fn side(&mut self, side: Side) {
        let (state, position, percent, wait_ms) = match side {
            Side::Heartbeat => return,
            Side::Queued { ahead, wait_ms } => (WaitState::Queued, Some(ahead), None, wait_ms),
            Side::Loading { percent } => (WaitState::Loading, None, percent, None),
            Side::Prefill { percent } => (WaitState::Prefill, None, percent, None),
            Side::Reconnecting => (WaitState::Reconnecting, None, None, None),
            Side::Seam(seam) => return self.seam(seam),
        };
        self.flush();
        self.ring.push(AnswerEvent::Waiting { state, position, percent, wait_ms });
    }

    /// What ended early goes on where it is asked now.
    fn continue_here(&mut self) {
        let Some(route) = &self.route else { return };
        let seam = Seam {
            at: 0,
            device_id: route.device.to_string(),
            device_name: route.device_name.clone(),
            model: route.model.clone(),
            reason: "The answer had ended early.".to_owned(),
        };
        self.seam(seam);
    }

    /// Another device, or another attempt, goes on.
    fn seam(&mut self, seam: Seam) {
        self.flush();
        let seam = Seam { at: u32::try_from(self.text.len()).unwrap_or(u32::MAX), ..seam };
        self.before += self.counted.take().unwrap_or(self.pieces);
        self.pieces = 0;
        if let Some(route) = &mut self.route {
            route.device_name.clone_from(&seam.device_name);
            route.model.clone_from(&seam.model);
            if let Ok(device) = seam.device_id.parse() {
                route.device = device;
            }
        }
        self.ring.push(AnswerEvent::Seam { seam: seam.clone() });
        self.seams.push(seam);
        self.unsaved = true;
    }

    /// Takes the data of one event.
    pub(super) fn take(&mut self, data: &str) -> Result<(), ApiError> {
        if data == sse::DONE {
            self.done = true;
            return Ok(());
        }
        self.take_chunk(data.as_bytes())
    }

    /// Takes an answer that came in one piece.
    pub(super) fn take_whole(&mut self, body: &[u8]) -> Result<(), ApiError> {
        self.take_chunk(body)?;
        self.flush();
        self.done = true;
        Ok(())
    }

    fn take_chunk(&mut self, data: &[u8]) -> Result<(), ApiError> {
        let chunk: Chunk = serde_json::from_slice(data).map_err(|_| {
            ApiError::new(
                ErrorCode::EngineBadAnswer,
                "The engine's answer cannot be read. Try another model or engine.",
            )
        })?;
        if chunk.error.is_some_and(|error| !error.is_null()) {
            return Err(ApiError::from_answer(StatusCode::BAD_GATEWAY, data));
        }
        self.counted = chunk.usage.and_then(|usage| usage.completion_tokens).or(self.counted);
        for choice in chunk.choices {
            if let Some(words) = choice.delta.or(choice.message) {
                self.add(words);
            }
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        if self.text.len() + self.thinking.len() > MAX_TEXT {
            self.finish_reason = Some("length".to_owned());
            self.done = true;
        }
        Ok(())
    }

    fn add(&mut self, words: Words) {
        let thinking = words.reasoning_content.unwrap_or_default();
        let text = words.content.unwrap_or_default();
        if thinking.is_empty() && text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.continued) {
            self.continue_here();
        }
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.pieces += 1;
        self.unsaved = true;
        if !thinking.is_empty() {
            self.flush_text();
            self.thinking.push_str(&thinking);
            self.fresh.thinking.push_str(&thinking);
        }
        if !text.is_empty() {
            self.flush_thinking();
            self.text.push_str(&text);
            self.fresh.text.push_str(&text);
        }
    }

    /// Tells readers what was taken. Pieces that came together are told together.
    pub(super) fn flush(&mut self) {
        self.flush_thinking();
        self.flush_text();
    }

    fn flush_thinking(&mut self) {
        if !self.fresh.thinking.is_empty() {
            self.ring.push(AnswerEvent::Thinking { text: std::mem::take(&mut self.fresh.thinking) });
        }
    }

    fn flush_text(&mut self) {
        if !self.fresh.text.is_empty() {
            self.ring.push(AnswerEvent::Delta { text: std::mem::take(&mut self.fresh.text) });
        }
    }

    /// Whether the stream came to its proper end.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether something is not written down yet.
    pub(super) fn is_unsaved(&self) -> bool {
        self.unsaved && self.record.is_kept()
    }

    /// Writes down what there is.
    pub(super) async fn save(&mut self) {
        self.unsaved = false;
        self.write(ANSWERING, None, false).await;
    }

    /// Writes down how it ended and tells readers, in this order: who reads the end finds it kept.
    pub(super) async fn finish(mut self, end: End) {
        self.flush();
        let (reason, failed) = match end {
            End::Complete => (self.finish_reason.clone().unwrap_or_else(|| "stop".to_owned()), None),
            End::Cancelled => ("cancelled".to_owned(), None),
            End::Interrupted => {
                let message = "The daemon was stopped while this was being answered. Ask again.";
                ("interrupted".to_owned(), Some(ControlError::new(ErrorCode::Cancelled, message)))
            }
            End::Failed(error) => {
                tracing::info!(%error, "an answer failed");
                ("failed".to_owned(), Some(ControlError::from(error)))
            }
        };
        self.write(&reason, failed.as_ref().map(|error| error.message.clone()), true).await;
        let event = if let Some(error) = failed {
            AnswerEvent::Error { code: error.code, message: error.message }
        } else {
            let (device_id, model) = self.where_from();
            AnswerEvent::Done {
                tokens: self.tokens(),
                first_token_ms: self.first_token_ms(),
                tokens_per_s: self.tokens_per_s(),
                total_ms: self.total_ms(),
                predicted_first_token_ms: self.predicted().map(|predicted| predicted.first_ms),
                predicted_total_ms: self.predicted().map(|predicted| predicted.total_ms),
                finish_reason: reason,
                text: self.text,
                model,
                device_id,
            }
        };
        self.ring.push(event);
    }

    async fn write(&self, finish_reason: &str, error: Option<String>, complete: bool) {
        let route = self.route.as_ref();
        let details = AnswerDetails {
            device_id: route.map(|route| route.device.to_string()),
            device_name: route.map(|route| route.device_name.clone()),
            model: route.map(|route| route.model.clone()),
            demo: route.is_some_and(|route| route.demo),
            tokens: Some(self.tokens()).filter(|_| self.first.is_some() || self.before > 0),
            first_token_ms: self.first_token_ms(),
            tokens_per_s: self.tokens_per_s(),
            finish_reason: finish_reason.to_owned(),
            error,
            total_ms: complete.then(|| self.total_ms()),
            predicted_first_token_ms: self.predicted().map(|predicted| predicted.first_ms),
            predicted_total_ms: self.predicted().map(|predicted| predicted.total_ms),
            seams: self.seams.clone(),
        };
        let thinking = Some(self.thinking.as_str()).filter(|text| !text.is_empty());
        self.record.write(&self.text, thinking, details, complete).await;
    }

    /// What the answer was expected to take.
    fn predicted(&self) -> Option<Prediction> {
        self.route.as_ref().and_then(|route| route.predicted)
    }

    fn where_from(&self) -> (String, String) {
        self.route.as_ref().map(|route| (route.device.to_string(), route.model.clone())).unwrap_or_default()
    }

    fn tokens(&self) -> u32 {
        self.before + self.counted.unwrap_or(self.pieces)
    }

    fn first_token_ms(&self) -> Option<f64> {
        self.first.map(|first| first.duration_since(self.asked).as_secs_f64() * 1000.0)
    }

    /// From the question to now.
    fn total_ms(&self) -> f64 {
        self.asked.elapsed().as_secs_f64() * 1000.0
    }

    /// Tokens after the first over the time since the first.
    fn tokens_per_s(&self) -> Option<f64> {
        let seconds = self.last.duration_since(self.first?).as_secs_f64();
        let tokens = self.tokens().checked_sub(1).filter(|tokens| *tokens > 0)?;
        (seconds > 0.0).then(|| f64::from(tokens) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use myownmesh_mesh::DeviceId;

    use super::*;
    use crate::conversations::Conversations;
    use crate::ring::Batch;
    use crate::store::Store;

    async fn fresh() -> (tempfile::TempDir, Ring<AnswerEvent>, Progress) {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let conversations = Conversations::start(store).await.expect("started");
        let ring = Ring::new(1, 100);
        let progress = Progress::new(ring.clone(), Record::new(conversations, None), None);
        (folder, ring, progress)
    }

    async fn events(ring: &Ring<AnswerEvent>) -> Vec<AnswerEvent> {
        ring.close();
        let mut reader = ring.read(0);
        let mut events = Vec::new();
        while let Batch::Items(items) = reader.next().await {
            events.extend(items.into_iter().map(|(_, event)| event));
        }
        events
    }

    fn delta(text: &str) -> AnswerEvent {
        AnswerEvent::Delta { text: text.to_owned() }
    }

    fn route() -> Route {
        Route {
            device: DeviceId::of_secret(&[1; 32]),
            device_name: "Desk".to_owned(),
            this_device: false,
            model: "m".to_owned(),
            demo: false,
            rtt_ms: 1.0,
            loaded: true,
            predicted: Some(Prediction { first_ms: 25.0, total_ms: 600.0, ..Prediction::default() }),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_becomes_events_and_numbers() {
        let (_folder, ring, mut progress) = fresh().await;
        progress.route(&route());
        tokio::time::advance(Duration::from_millis(20)).await;
        progress.take(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#).expect("role");
        progress.take(r#"{"choices":[{"delta":{"reasoning_content":"Hm"}}]}"#).expect("thinking");
        progress.take(r#"{"choices":[{"delta":{"content":"He"}}]}"#).expect("text");
        progress.take(r#"{"choices":[{"delta":{"content":"llo"}}]}"#).expect("text");
        progress.flush();
        tokio::time::advance(Duration::from_millis(500)).await;
        progress.take(r#"{"choices":[{"delta":{"content":"!"},"finish_reason":"length"}]}"#).expect("text");
        progress.take(r#"{"choices":[],"usage":{"completion_tokens":11}}"#).expect("usage");
        progress.take("[DONE]").expect("end");
        assert!(progress.is_done());
        progress.finish(End::Complete).await;
        let events = events(&ring).await;
        assert!(matches!(&events[0], AnswerEvent::Route { this_device: false, .. }));
        assert_eq!(events[1], AnswerEvent::Thinking { text: "Hm".to_owned() });
        assert_eq!(events[2..4], [delta("Hello"), delta("!")]);
        let AnswerEvent::Done {
            text,
            tokens,
            first_token_ms,
            tokens_per_s,
            finish_reason,
            model,
            predicted_first_token_ms,
            predicted_total_ms,
            ..
        } = &events[4]
        else {
            panic!("no end: {events:?}")
        };
        assert_eq!((text.as_str(), *tokens, finish_reason.as_str(), model.as_str()), ("Hello!", 11, "length", "m"));
        assert!(first_token_ms.is_some_and(|ms| (ms - 20.0).abs() < 2.0), "{first_token_ms:?}");
        assert!(tokens_per_s.is_some_and(|rate| (rate - 20.0).abs() < 1.0), "{tokens_per_s:?}");
        assert_eq!((*predicted_first_token_ms, *predicted_total_ms), (Some(25.0), Some(600.0)));
    }

    #[tokio::test]
    async fn what_breaks_ends_in_an_error() {
        for (data, code) in [
            ("nonsense", ErrorCode::EngineBadAnswer),
            (r#"{"error":{"message":"It died.","code":"engine_failed"}}"#, ErrorCode::EngineFailed),
            (r#"{"error":{"message":"It is gone.","code":"unreachable"}}"#, ErrorCode::Unreachable),
        ] {
            let (_folder, ring, mut progress) = fresh().await;
            progress.take(r#"{"choices":[{"delta":{"content":"Once"}}]}"#).expect("text");
            let error = progress.take(data).expect_err("broken");
            progress.finish(End::Failed(error)).await;
            let events = events(&ring).await;
            assert_eq!(events[0], delta("Once"), "nothing is lost");
            assert!(matches!(&events[1], AnswerEvent::Error { code: got, .. } if *got == code), "{events:?}");
        }
    }

    #[tokio::test]
    async fn a_cancelled_answer_keeps_its_text() {
        let (_folder, ring, mut progress) = fresh().await;
        progress.take(r#"{"choices":[{"delta":{"content":"Once"}}]}"#).expect("text");
        progress.finish(End::Cancelled).await;
        let last = events(&ring).await.pop();
        assert!(
            matches!(&last, Some(AnswerEvent::Done { text, finish_reason, .. }) if text == "Once" && finish_reason == "cancelled"),
            "{last:?}"
        );
    }

    #[tokio::test]
    async fn an_answer_without_a_stream_is_read_too() {
        let (_folder, ring, mut progress) = fresh().await;
        let body =
            br#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}"#;
        progress.take_whole(body).expect("read");
        progress.finish(End::Complete).await;
        assert_eq!(events(&ring).await[0], delta("Hi"));
    }

    #[tokio::test]
    async fn an_endless_answer_ends() {
        let (_folder, _ring, mut progress) = fresh().await;
        let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(1024 * 1024));
        for _ in 0..5 {
            progress.take(&chunk).expect("text");
        }
        assert!(progress.is_done());
    }
}
