//! `chat --fan-out`: several devices answer the same question, each in a block of its own; an interruption stops all.

use std::ops::ControlFlow;

use futures_util::future::join_all;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{AnswerEvent, AnswerItem, ChatRequest, FanOutAnswer};

use super::Context;
use super::output::{FAILED, Failure, INTERRUPTED, Output, Style, paint, printable};
use super::plan::expected;
use super::signals::interrupted;
use super::stream::follow;
use super::units::span;

/// Asks, and prints what each says: JSON lines as they come, or a block for each when it is complete.
pub(super) async fn run(request: ChatRequest, count: u32, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let answers = client.chat_fan_out(request, count).await?;
    let reading = join_all(answers.iter().map(|answer| read(&client, answer, context.out)));
    let ended = tokio::select! {
        ended = reading => ended,
        () = interrupted() => {
            stop(&client, &answers).await?;
            return Err(Failure::Reported(INTERRUPTED));
        }
    };
    let (mut answered, mut failed) = (false, None);
    for result in ended {
        match result {
            Ok(fine) => answered |= fine,
            Err(failure) => failed = Some(failure),
        }
    }
    match failed {
        Some(failure) => {
            // Our reader is gone, or the daemon: do not let the rest be computed.
            stop(&client, &answers).await?;
            Err(failure)
        }
        None if answered => Ok(()),
        None => Err(Failure::Reported(FAILED)),
    }
}

async fn stop(client: &ControlClient, answers: &[FanOutAnswer]) -> Result<(), Failure> {
    for result in join_all(answers.iter().map(|answer| client.answer_stop(answer.id.clone()))).await {
        match result.map_err(ControlError::from) {
            // It ended by itself.
            Err(error) if error.code == ErrorCode::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Prints one answer; whether it is one.
async fn read(client: &ControlClient, answer: &FanOutAnswer, out: Output) -> Result<bool, Failure> {
    follow(
        client,
        async |after| client.answer_events(answer.id.clone(), after).await,
        |item: &AnswerItem| item.seq,
        |item| {
            if out.is_json() {
                out.json_line(&line(&item, answer)?)?;
            } else if let Some(block) = block(out, &item.event, answer) {
                out.line(&block)?;
            }
            Ok(match item.event {
                AnswerEvent::Done { .. } => ControlFlow::Break(true),
                AnswerEvent::Error { .. } => ControlFlow::Break(false),
                _ => ControlFlow::Continue(()),
            })
        },
    )
    .await
}

/// An event as a line that says whose it is.
fn line(item: &AnswerItem, answer: &FanOutAnswer) -> Result<serde_json::Value, Failure> {
    let mut line = serde_json::to_value(item)
        .map_err(|error| Failure::new(ErrorCode::Internal, format!("This cannot be written as JSON: {error}.")))?;
    line["device_id"] = answer.device_id.clone().into();
    Ok(line)
}

/// A complete answer as a block.
fn block(out: Output, event: &AnswerEvent, answer: &FanOutAnswer) -> Option<String> {
    let head = paint(
        out.colour(),
        Style::Strong,
        &format!("{} · {}", printable(&answer.device_name), printable(&answer.model)),
    );
    match event {
        AnswerEvent::Done {
            text,
            tokens,
            first_token_ms,
            total_ms,
            predicted_first_token_ms,
            predicted_total_ms,
            ..
        } => {
            let predicted = expected((*predicted_first_token_ms, *predicted_total_ms), *total_ms);
            let all = if predicted.is_empty() { format!(" · {} in all", span(*total_ms)) } else { predicted };
            let first = first_token_ms.map(|ms| format!(" · first after {}", span(ms))).unwrap_or_default();
            let numbers = paint(out.colour(), Style::Quiet, &format!("{tokens} tokens{first}{all}"));
            Some(format!("{head}\n{}\n{numbers}\n\n", printable(text.trim_end())))
        }
        AnswerEvent::Error { message, .. } => Some(format!("{head}\n{}\n\n", printable(message))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> FanOutAnswer {
        FanOutAnswer {
            id: "a".to_owned(),
            device_id: "d1".to_owned(),
            device_name: "Desk".to_owned(),
            this_device: false,
            model: "chain".to_owned(),
        }
    }

    #[test]
    fn each_answer_says_whose_it_is() {
        let delta = AnswerItem { seq: 2, event: AnswerEvent::Delta { text: "Hi".to_owned() } };
        let line = line(&delta, &answer()).expect("JSON");
        assert_eq!(line, serde_json::json!({"seq": 2, "type": "delta", "text": "Hi", "device_id": "d1"}));
        let out = Output::new(true);
        assert_eq!(block(out, &delta.event, &answer()), None);
        let done = AnswerEvent::Done {
            text: "Hi\n".to_owned(),
            model: "chain".to_owned(),
            device_id: "d1".to_owned(),
            tokens: 1,
            first_token_ms: Some(12.0),
            tokens_per_s: None,
            total_ms: 1_300.0,
            predicted_first_token_ms: Some(15.0),
            predicted_total_ms: Some(1_200.0),
            finish_reason: "stop".to_owned(),
        };
        assert_eq!(
            block(out, &done, &answer()).expect("a block"),
            "Desk · chain\nHi\n1 tokens · first after 12 ms · 1.3 s in all · predicted 15 ms and 1.2 s\n\n"
        );
    }
}
