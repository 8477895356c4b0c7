//! Answers in Ollama's words: one JSON document a line, the last one with the numbers. No IO.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::super::ApiError;
use super::super::edge::Teller;
use super::super::reply::{Call, Calls, Finish, Piece, Timings, Usage};
use super::super::shape::Shape;
use super::super::stamp;

/// Which of the two routes is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `message: {role, content}`.
    Chat,
    /// `response`.
    Generate,
}

/// Tells one answer.
pub(super) struct Telling {
    form: Form,
    model: String,
    asked: Instant,
    first: Option<Instant>,
    calls: Calls,
    finish: Option<Finish>,
    usage: Option<Usage>,
    timings: Option<Timings>,
    /// Events with text, where the engine does not count.
    pieces: u64,
}

impl Telling {
    /// An answer of `model` to a question that came at `asked`.
    pub(super) fn new(form: Form, model: String, asked: Instant) -> Self {
        Self {
            form,
            model,
            asked,
            first: None,
            calls: Calls::default(),
            finish: None,
            usage: None,
            timings: None,
            pieces: 0,
        }
    }

    /// The whole answer as one document.
    pub(super) fn whole(mut self, mut piece: Piece) -> Result<Value, ApiError> {
        let (text, thinking) = (std::mem::take(&mut piece.text), std::mem::take(&mut piece.thinking));
        let logprobs = piece.logprobs.take();
        self.take(&piece)?;
        let mut document = self.said(&text, &thinking, logprobs);
        self.with_calls(&mut document)?;
        self.close(&mut document);
        Ok(Value::Object(document))
    }

    fn take(&mut self, piece: &Piece) -> Result<(), ApiError> {
        for call in &piece.calls {
            self.calls.take(call)?;
        }
        self.finish = piece.finish.or(self.finish);
        self.usage = piece.usage.or(self.usage);
        self.timings = piece.timings.or(self.timings);
        Ok(())
    }

    /// A document with this much of the answer.
    fn said(&self, text: &str, thinking: &str, logprobs: Option<Value>) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("model".to_owned(), self.model.clone().into());
        document.insert("created_at".to_owned(), stamp::now().into());
        let mut said = Map::new();
        let key = match self.form {
            Form::Chat => "content",
            Form::Generate => "response",
        };
        said.insert(key.to_owned(), text.into());
        if !thinking.is_empty() {
            said.insert("thinking".to_owned(), thinking.into());
        }
        match self.form {
            Form::Chat => {
                said.insert("role".to_owned(), "assistant".into());
                document.insert("message".to_owned(), said.into());
            }
            Form::Generate => document.append(&mut said),
        }
        if let Some(logprobs) = logprobs {
            document.insert("logprobs".to_owned(), logprobs);
        }
        document.insert("done".to_owned(), false.into());
        document
    }

    /// Adds the tool calls, which Ollama tells whole.
    fn with_calls(&self, document: &mut Map<String, Value>) -> Result<(), ApiError> {
        let calls: Vec<Value> = self.calls.all().iter().map(call).collect::<Result<_, _>>()?;
        if calls.is_empty() {
            return Ok(());
        }
        let place = match document.get_mut("message") {
            Some(Value::Object(message)) => message,
            _ => document,
        };
        place.insert("tool_calls".to_owned(), calls.into());
        Ok(())
    }

    /// Adds what the last document has.
    fn close(&self, document: &mut Map<String, Value>) {
        let reason = match self.finish {
            Some(Finish::Length) => "length",
            Some(Finish::Filter) => "content_filter",
            _ => "stop",
        };
        document.insert("done".to_owned(), true.into());
        document.insert("done_reason".to_owned(), reason.into());
        let usage = self.usage.unwrap_or_default();
        let counted = if self.usage.is_some() { usage.completion_tokens } else { self.pieces };
        let times = Times::measured(self.asked.elapsed(), self.first.map(|first| first - self.asked), self.timings);
        document.insert("total_duration".to_owned(), times.total.into());
        document.insert("load_duration".to_owned(), times.load.into());
        document.insert("prompt_eval_count".to_owned(), usage.prompt_tokens.into());
        document.insert("prompt_eval_duration".to_owned(), times.prompt.into());
        document.insert("eval_count".to_owned(), counted.into());
        document.insert("eval_duration".to_owned(), times.eval.into());
    }
}

fn call(call: &Call) -> Result<Value, ApiError> {
    Ok(json!({ "id": call.id, "function": { "name": call.name, "arguments": call.input()? } }))
}

/// Where the time went, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    total: u64,
    load: u64,
    prompt: u64,
    eval: u64,
}

impl Times {
    /// The engine's own times where it tells them; the rest of the whole is loading, queueing and the way. Otherwise the
    /// first word is where the question ends.
    fn measured(total: Duration, first: Option<Duration>, timings: Option<Timings>) -> Self {
        let whole = nanoseconds(total);
        let (prompt, eval) = match (timings, first) {
            (Some(told), _) => (of_ms(told.prompt_ms), of_ms(told.predicted_ms)),
            (None, Some(first)) => (nanoseconds(first), whole.saturating_sub(nanoseconds(first))),
            (None, None) => (0, whole),
        };
        Self { total: whole, load: whole.saturating_sub(prompt).saturating_sub(eval), prompt, eval }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn of_ms(ms: f64) -> u64 {
    Duration::try_from_secs_f64(ms / 1000.0).map_or(0, nanoseconds)
}

fn line(document: Map<String, Value>) -> String {
    format!("{}\n", Value::Object(document))
}

impl Teller for Telling {
    const CONTENT_TYPE: &'static str = "application/x-ndjson";

    fn begin(&mut self) -> String {
        String::new()
    }

    fn piece(&mut self, piece: Piece) -> Result<String, ApiError> {
        self.take(&piece)?;
        if piece.text.is_empty() && piece.thinking.is_empty() && piece.logprobs.is_none() {
            return Ok(String::new());
        }
        self.first.get_or_insert_with(Instant::now);
        self.pieces += 1;
        Ok(line(self.said(&piece.text, &piece.thinking, piece.logprobs)))
    }

    fn end(&mut self) -> Result<String, ApiError> {
        let mut text = String::new();
        if !self.calls.all().is_empty() {
            let mut document = self.said("", "", None);
            self.with_calls(&mut document)?;
            text = line(document);
        }
        let mut last = self.said("", "", None);
        self.close(&mut last);
        Ok(text + &line(last))
    }

    fn failed(&mut self, error: &ApiError) -> String {
        format!("{}\n", Shape::Ollama.json(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(value: Value) -> Piece {
        Piece::read(value.to_string().as_bytes()).expect("a chunk")
    }

    fn lines(text: &str) -> Vec<Value> {
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn telling(form: Form) -> Telling {
        Telling::new(form, "m".to_owned(), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_told_line_by_line() {
        let mut telling = telling(Form::Chat);
        let role = telling.piece(piece(json!({"choices": [{"delta": {"role": "assistant", "content": null}}]})));
        assert_eq!(role.expect("fine"), "");
        tokio::time::advance(Duration::from_millis(20)).await;
        let said = telling.piece(piece(json!({"choices": [{"delta": {"content": "Hi"}}]}))).expect("fine");
        let said = lines(&said);
        assert_eq!(said[0]["message"], json!({"role": "assistant", "content": "Hi"}));
        assert_eq!((&said[0]["done"], &said[0]["model"]), (&json!(false), &json!("m")));
        tokio::time::advance(Duration::from_millis(30)).await;
        telling.piece(piece(json!({"choices": [{"delta": {}, "finish_reason": "length"}]}))).expect("fine");
        telling
            .piece(piece(json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}})))
            .expect("fine");
        let last = lines(&telling.end().expect("fine"));
        assert_eq!(last.len(), 1);
        assert_eq!((&last[0]["done"], &last[0]["done_reason"]), (&json!(true), &json!("length")));
        assert_eq!((&last[0]["prompt_eval_count"], &last[0]["eval_count"]), (&json!(5), &json!(1)));
        assert_eq!(last[0]["total_duration"], 50_000_000);
        assert_eq!(
            (&last[0]["prompt_eval_duration"], &last[0]["eval_duration"]),
            (&json!(20_000_000), &json!(30_000_000))
        );
        let error = lines(&telling.failed(&ApiError::broke_off()));
        assert_eq!(error[0], json!({"error": ApiError::broke_off().to_string()}));
    }

    #[tokio::test(start_paused = true)]
    async fn tool_calls_are_told_whole() {
        let mut telling = telling(Form::Chat);
        let part = |arguments: &str, id: Option<&str>| {
            let function = json!({"name": id.map(|_| "f"), "arguments": arguments});
            let delta = json!({"tool_calls": [{"index": 0, "id": id, "function": function}]});
            piece(json!({"choices": [{"delta": delta}]}))
        };
        assert_eq!(telling.piece(part("{\"x\"", Some("a"))).expect("fine"), "");
        assert_eq!(telling.piece(part(":1}", None)).expect("fine"), "");
        let told = lines(&telling.end().expect("fine"));
        let call = json!([{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]);
        assert_eq!(told[0]["message"]["tool_calls"], call);
        assert_eq!(told[1]["done"], true);
        let mut cut = self::telling(Form::Chat);
        cut.piece(part("{\"x\"", Some("a"))).expect("fine");
        assert!(cut.end().is_err(), "half a call is none");
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_is_one_document() {
        let told = piece(json!({
            "choices": [{"message": {"content": "Hi", "reasoning_content": "Hm"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 3}, "timings": {"prompt_ms": 1.5, "predicted_ms": 2.0},
        }));
        let telling = telling(Form::Generate);
        tokio::time::advance(Duration::from_millis(10)).await;
        let document = telling.whole(told).expect("fine");
        assert_eq!((&document["response"], &document["thinking"]), (&json!("Hi"), &json!("Hm")));
        assert_eq!(document["prompt_eval_duration"], 1_500_000);
        assert_eq!(document["load_duration"], 6_500_000, "what is not computing is loading");
        assert_eq!((&document["done"], &document["done_reason"]), (&json!(true), &json!("stop")));
    }

    #[test]
    fn absurd_times_do_no_harm() {
        for ms in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let times =
                Times::measured(Duration::from_secs(1), None, Some(Timings { prompt_ms: ms, predicted_ms: ms }));
            assert_eq!((times.total, times.prompt, times.eval), (1_000_000_000, 0, 0));
        }
    }
}
