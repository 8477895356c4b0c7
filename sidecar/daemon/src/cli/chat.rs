//! `chat`: asks, streams the answer, and cancels it where it runs when the person or the system interrupts.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{AnswerEvent, AnswerItem, ChatRequest};
use tokio::io::AsyncReadExt;

use super::Context;
use super::args::ChatArgs;
use super::output::{Failure, INTERRUPTED, Output, Style, paint, printable};
use super::plan::expected;
use super::signals::interrupted;
use super::stream::{follow, last_line};
use super::{fan_out, plan};

/// Longest prompt read from standard input, in bytes: the limit of a request body.
const PROMPT_LIMIT: u64 = 32 * 1024 * 1024;

/// How long a cancelled answer may take to say its last word.
const LAST_WORD_LIMIT: Duration = Duration::from_secs(2);

/// Asks and prints the answer as it comes.
pub(super) async fn run(args: ChatArgs, context: &Context) -> Result<(), Failure> {
    if args.route.plan {
        return plan::show(request(args, context).await?, context).await;
    }
    let fan_out = args.route.fan_out;
    let asked = async {
        let request = request(args, context).await?;
        match fan_out {
            Some(count) => fan_out::run(request, count, context).await,
            None => answer(request, context).await,
        }
    };
    asked.await.map_err(|failure| match failure {
        Failure::Refused(error) if context.out.is_json() && error.code != ErrorCode::NoDaemon => {
            last_line(context.out, &error)
        }
        other => other,
    })
}

async fn request(args: ChatArgs, context: &Context) -> Result<ChatRequest, Failure> {
    let prompt = match args.prompt {
        None => String::new(),
        Some(prompt) if prompt == "-" => read_prompt().await?,
        Some(prompt) => prompt,
    };
    let continue_message = match &args.conversation {
        Some(conversation) if args.goes_on => Some(last_message(&context.connect().await?, conversation).await?),
        _ => None,
    };
    Ok(ChatRequest {
        policy: args.route.policy(),
        purpose: args.route.purpose,
        prompt,
        continue_message,
        via: Some(args.via),
        model: args.model,
        system: args.system,
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        conversation: args.conversation,
        ..ChatRequest::default()
    })
}

async fn answer(request: ChatRequest, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let id = client.chat_start(request).await?;
    let mut printer = Printer::new(context.out);
    let items = follow(
        &client,
        async |after| client.answer_events(id.clone(), after).await,
        |item: &AnswerItem| item.seq,
        |item| printer.show(item),
    );
    let mut items = pin!(items);
    let ended = tokio::select! {
        result = &mut items => Some(result),
        () = interrupted() => None,
    };
    match ended {
        Some(Ok(result)) => result,
        Some(Err(failure)) => {
            if matches!(failure, Failure::Reported(_)) {
                // Our reader is gone: do not let the rest be computed.
                client.answer_stop(id.clone()).await?;
            }
            Err(failure)
        }
        None => {
            client.answer_stop(id.clone()).await?;
            // Whatever it says last, it was interrupted.
            let _ = tokio::time::timeout(LAST_WORD_LIMIT, items).await;
            Err(Failure::Reported(INTERRUPTED))
        }
    }
}

/// The last message of a conversation; whether it can be gone on with is for the daemon to say.
async fn last_message(client: &ControlClient, conversation: &str) -> Result<String, Failure> {
    let open = client.conversation_open(conversation.to_owned()).await?;
    open.messages.last().map(|message| message.id.clone()).ok_or_else(|| {
        Failure::new(ErrorCode::InvalidArgument, "This conversation has no answer yet that could be continued.")
    })
}

async fn read_prompt() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = tokio::io::stdin().take(PROMPT_LIMIT + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| {
        Failure::new(ErrorCode::InvalidArgument, format!("The question cannot be read from standard input: {error}."))
    })?;
    if bytes.len() as u64 > PROMPT_LIMIT {
        return Err(Failure::new(ErrorCode::TooLarge, "The question is larger than 32 MB. Ask about a part of it."));
    }
    let prompt = String::from_utf8(bytes)
        .map_err(|_| Failure::new(ErrorCode::InvalidArgument, "The question is not text. Give it as UTF-8."))?;
    if prompt.trim().is_empty() {
        return Err(Failure::new(ErrorCode::InvalidArgument, "The question on standard input is empty."));
    }
    Ok(prompt)
}

/// Prints an answer item by item: JSON lines, or text with a quiet line of numbers on the error stream.
struct Printer {
    out: Output,
    route: Option<(String, bool)>,
    thinking: bool,
    at_line_start: bool,
}

impl Printer {
    fn new(out: Output) -> Self {
        Self { out, route: None, thinking: false, at_line_start: true }
    }

    /// Prints one item; breaks with the outcome at the last one.
    fn show(&mut self, item: AnswerItem) -> Result<ControlFlow<Result<(), Failure>>, Failure> {
        if self.out.is_json() {
            return self.show_json(&item);
        }
        match item.event {
            AnswerEvent::Route { device_name, demo, .. } => self.route = Some((device_name, demo)),
            AnswerEvent::Thinking { text } => {
                // Only where it can be told from the answer.
                if self.out.colour() {
                    self.thinking = true;
                    self.write(&paint(true, Style::Quiet, &printable(&text)), &text)?;
                }
            }
            // Numbers and waits are told at the end.
            AnswerEvent::Waiting { .. } => {}
            AnswerEvent::Seam { seam } => {
                self.end_line()?;
                let (device, reason) = (printable(&seam.device_name), printable(&seam.reason));
                self.out.aside(&format!("{reason} {device} goes on."));
            }
            AnswerEvent::Delta { text } => {
                if std::mem::take(&mut self.thinking) {
                    self.end_line()?;
                }
                self.write(&printable(&text), &text)?;
            }
            AnswerEvent::Done {
                model,
                tokens,
                first_token_ms,
                tokens_per_s,
                finish_reason,
                total_ms,
                predicted_first_token_ms,
                predicted_total_ms,
                ..
            } => {
                self.end_line()?;
                let summary = self.summary(&model, tokens, first_token_ms, tokens_per_s, &finish_reason);
                let predicted = (predicted_first_token_ms, predicted_total_ms);
                self.out.aside(&format!("{summary}{}", expected(predicted, total_ms)));
                return Ok(ControlFlow::Break(Ok(())));
            }
            AnswerEvent::Error { code, message } => {
                self.end_line()?;
                return Err(Failure::new(code, message));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn show_json(&self, item: &AnswerItem) -> Result<ControlFlow<Result<(), Failure>>, Failure> {
        if let AnswerEvent::Error { code, message } = &item.event {
            return Err(Failure::new(*code, message.clone()));
        }
        self.out.json_line(item)?;
        Ok(match item.event {
            AnswerEvent::Done { .. } => ControlFlow::Break(Ok(())),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Writes `shown`, which stands for `text`.
    fn write(&mut self, shown: &str, text: &str) -> Result<(), Failure> {
        if !text.is_empty() {
            self.at_line_start = text.ends_with('\n');
        }
        self.out.raw(shown)
    }

    fn end_line(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.at_line_start, true) { Ok(()) } else { self.out.raw("\n") }
    }

    fn summary(
        &self,
        model: &str,
        tokens: u32,
        first_token_ms: Option<f64>,
        tokens_per_s: Option<f64>,
        finish_reason: &str,
    ) -> String {
        let mut parts = Vec::new();
        let demo = self.route.as_ref().is_some_and(|(_, demo)| *demo);
        parts.extend(self.route.iter().map(|(device, _)| printable(device)));
        parts.push(format!("{}{}", printable(model), if demo { " (demo: knows only this app)" } else { "" }));
        parts.push(format!("{tokens} tokens"));
        parts.extend(first_token_ms.map(|ms| format!("first after {ms:.0} ms")));
        parts.extend(tokens_per_s.map(|rate| format!("{rate:.0} per second")));
        match finish_reason {
            "length" => parts.push("cut at the limit".to_owned()),
            "cancelled" => parts.push("cancelled".to_owned()),
            _ => {}
        }
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_who_answered_and_how_fast() {
        let mut printer = Printer::new(Output::new(true));
        assert_eq!(printer.summary("chain", 3, None, None, "stop"), "chain · 3 tokens");
        printer.route = Some(("Desk".to_owned(), true));
        assert_eq!(
            printer.summary("demo", 42, Some(12.4), Some(310.2), "length"),
            "Desk · demo (demo: knows only this app) · 42 tokens · first after 12 ms · 310 per second · cut at the limit"
        );
    }
}
