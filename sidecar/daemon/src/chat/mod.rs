//! Questions of the app and the command line: a request is checked, written down, routed and asked; what comes back
//! becomes the numbered events of an answer.
//!
//! `request` checks and builds the OpenAI request, `progress` turns the stream that answers it into events, `record`
//! keeps both in a conversation. `plan` tells where a question would run, and asks several devices at once.

mod plan;
mod progress;
mod record;
mod request;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use http::{Response, header};
use myownmesh_compute::OpenAiPath;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{AnswerEvent, ChatRequest, Event, Message};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::progress::{End, Progress};
use self::record::Record;
use crate::api::{Api, ApiError, Find};
use crate::conversations::{ConversationError, Conversations, Draft, Scope};
use crate::convert::OrControl;
use crate::devices;
use crate::events::Events;
use crate::route::{self, Via};
use crate::sse::Cutter;
use crate::streams::{Stream, Streams};

/// How many events of an answer are kept for readers that come back. The last one carries the whole text anyway.
const KEPT_EVENTS: usize = 65_536;
/// Largest error body of another device or an engine that is read, in bytes.
const MAX_ERROR: usize = 64 * 1024;
/// How often an answer is written down while it comes.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// How long an answer that nobody keeps goes on unread: before its first reader, and after its last.
const UNREAD: Duration = Duration::from_secs(10);
const ABANDONED: Duration = Duration::from_millis(250);

/// The answers of this daemon; clones share them.
#[derive(Clone)]
pub(crate) struct Answers {
    streams: Streams<AnswerEvent>,
    api: Api,
    conversations: Conversations,
    events: Events,
    /// The daemon is ending.
    stop: CancellationToken,
}

/// One question, ready to be asked.
struct Job {
    request: ChatRequest,
    via: Via,
    history: Vec<Message>,
    /// The answer that it goes on with.
    begun: Option<Message>,
}

impl Answers {
    /// `stop` ends all answers; what they have by then stays in their conversations.
    pub(crate) fn new(api: Api, conversations: Conversations, events: Events, stop: CancellationToken) -> Self {
        Self { streams: Streams::start(KEPT_EVENTS, stop.clone()), api, conversations, events, stop }
    }

    /// Asks; returns the answer's id. What is wrong with the request itself is told at once, everything later is the
    /// answer's last event.
    pub(crate) async fn start(&self, scope: Scope, request: ChatRequest) -> Result<String, ControlError> {
        request::check(&request)?;
        plan::can_be_answered(&request)?;
        let via = self.via(request.via.as_deref())?;
        let topic = request.conversation.clone();
        let draft = match topic.clone() {
            None => None,
            Some(id) => Some(self.draft(scope, id, &request).await.or_control()?),
        };
        let (message, history, begun) =
            draft.map(|draft| (Some(draft.message), draft.history, draft.begun)).unwrap_or_default();
        let record = Record::new(self.conversations.clone(), message);
        let kept = record.is_kept();
        let (answers, job) = (self.clone(), Job { request, via, history, begun });
        let id = self.streams.spawn(topic, |stream| answers.run(job, record, stream)).await;
        if kept {
            self.events.push(Event::ConversationsChanged);
        }
        Ok(id)
    }

    /// Writes the question down, or opens the answer that is gone on with.
    async fn draft(&self, scope: Scope, id: String, request: &ChatRequest) -> Result<Draft, ConversationError> {
        match request.continue_message.clone() {
            Some(message) => self.conversations.reopen(scope, id, message).await,
            None => self.conversations.draft(scope, id, request.prompt.clone(), request.replace_from.clone()).await,
        }
    }

    /// The answer with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Stream<AnswerEvent>, ControlError> {
        let gone = "There is no such answer any more. What was kept of it is in its conversation.";
        self.streams.find(id).await.ok_or_else(|| ControlError::new(ErrorCode::NotFound, gone))
    }

    /// Which conversations are being answered: conversation to answer id.
    pub(crate) async fn running(&self) -> HashMap<String, String> {
        self.streams.running().await
    }

    /// Waits until all answers have ended; call it after the stop.
    pub(crate) async fn ended(&self) {
        self.streams.ended().await;
    }

    fn via(&self, via: Option<&str>) -> Result<Via, ControlError> {
        match via.unwrap_or("auto") {
            "auto" => Ok(Via::Auto),
            "local" => Ok(Via::Local),
            device => {
                let offers = self.api.offers();
                let names = offers.iter().map(|offer| (offer.device, offer.name.as_str()));
                Ok(Via::Device(devices::find(names, device)?))
            }
        }
    }

    async fn run(self, job: Job, record: Record, stream: Stream<AnswerEvent>) {
        let kept = record.is_kept();
        let readers = stream.ring.readers();
        let mut progress = Progress::new(stream.ring, record, job.begun.as_ref());
        let end = tokio::select! {
            biased;
            () = stream.cancel.cancelled() => {
                if self.stop.is_cancelled() { End::Interrupted } else { End::Cancelled }
            }
            () = abandoned(readers), if !kept => End::Cancelled,
            asked = self.ask(&job, &mut progress) => asked.map_or_else(End::Failed, |()| End::Complete),
        };
        progress.finish(end).await;
        if kept {
            self.events.push(Event::ConversationsChanged);
        }
    }

    async fn ask(&self, job: &Job, progress: &mut Progress) -> Result<(), ApiError> {
        let asked = plan::asked(job.via, &job.request, &job.history);
        let find: Find = Arc::new(move |offers| route::resolve_ask(&asked, offers));
        let routes = self.api.routes(|offers| find(offers)).await?;
        let question = request::question(&job.request, &job.history, job.begun.as_ref(), &routes[0].model)?;
        let path = OpenAiPath::ChatCompletions;
        let response = self.api.ask(&routes, &find, path, &question, &mut |route| progress.route(route)).await?;
        read(response, progress).await
    }
}

/// Reads a whole answer.
async fn read(response: Response<Body>, progress: &mut Progress) -> Result<(), ApiError> {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_stream = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    if !status.is_success() {
        let body = axum::body::to_bytes(response.into_body(), MAX_ERROR).await.unwrap_or_default();
        return Err(ApiError::from_answer(status, &body));
    }
    let mut pieces = response.into_body().into_data_stream();
    let mut cutter = Cutter::default();
    let mut save_at = Instant::now() + SAVE_EVERY;
    loop {
        let piece = tokio::select! {
            biased;
            piece = pieces.next() => piece,
            () = sleep_until(save_at), if progress.is_unsaved() => {
                progress.save().await;
                save_at = Instant::now() + SAVE_EVERY;
                continue;
            }
        };
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| broke_off())?;
        if !is_stream {
            return progress.take_whole(&piece);
        }
        let events = cutter.push(piece).map_err(|_| broke_off())?;
        progress.take_events(&events)?;
        progress.flush();
        if progress.is_done() {
            break;
        }
        if progress.is_unsaved() && Instant::now() >= save_at {
            progress.save().await;
            save_at = Instant::now() + SAVE_EVERY;
        }
    }
    if progress.is_done() { Ok(()) } else { Err(broke_off()) }
}

fn broke_off() -> ApiError {
    ApiError::new(ErrorCode::EngineFailed, "The answer broke off before it was complete. Ask again.")
}

/// Completes when nobody has read for so long that nobody will.
async fn abandoned(mut readers: watch::Receiver<usize>) {
    let mut patience = UNREAD;
    loop {
        match timeout(patience, readers.wait_for(|readers| *readers > 0)).await {
            Ok(Ok(_)) => patience = ABANDONED,
            Ok(Err(_)) | Err(_) => return,
        }
        if readers.wait_for(|readers| *readers == 0).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_abandoned_only_for_good() {
        let readers = watch::Sender::new(0);
        let waiting = tokio::spawn(abandoned(readers.subscribe()));
        tokio::time::sleep(UNREAD / 2).await;
        readers.send_replace(1);
        tokio::time::sleep(UNREAD * 3).await;
        readers.send_replace(0);
        tokio::time::sleep(ABANDONED / 2).await;
        readers.send_replace(1);
        tokio::time::sleep(UNREAD).await;
        assert!(!waiting.is_finished(), "somebody came back");
        readers.send_replace(0);
        tokio::time::sleep(ABANDONED * 2).await;
        assert!(waiting.is_finished());
    }
}
