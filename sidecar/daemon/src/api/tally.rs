//! Counts what is lent and borrowed: who, which model, how long, how many tokens. Looks at an answer's pieces as they
//! pass and keeps nothing of them.

use bytes::Bytes;
use http::StatusCode;
use myownmesh_control::types::{ActivityKind, UsageDirection};
use myownmesh_mesh::{DeviceId, NetworkId};
use tokio::time::Instant;

use crate::activity::{Activity, Told};
use crate::ledger::{Amount, Entry, Ledger, RequestName};
use crate::scan::number_behind;
use crate::sse;
use crate::text::quotable;

/// Whose model answers whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Another device uses this one.
    Lent,
    /// This device uses another one.
    Borrowed,
}

/// One request on its way. What came of it is told when it is dropped, however it ended.
pub(super) struct Tally {
    activity: Activity,
    ledger: Option<(Ledger, RequestName)>,
    network: Option<NetworkId>,
    direction: Direction,
    device: (DeviceId, String),
    model: String,
    began: Instant,
    /// Events with a piece of an answer; nearly always one token each.
    pieces: u64,
    /// As the engine counts.
    counted: Option<u64>,
    /// Tokens of the question, as the engine counts.
    prompt: Option<u64>,
    complete: bool,
    /// Whether it was served, once the head of an answer tells.
    served: Option<bool>,
}

impl Tally {
    /// A request that begins now.
    pub(super) fn begin(
        activity: Activity,
        network: Option<NetworkId>,
        direction: Direction,
        device: (DeviceId, String),
        model: &str,
    ) -> Self {
        Self {
            activity,
            ledger: None,
            network,
            direction,
            device,
            model: quotable(model),
            began: Instant::now(),
            pieces: 0,
            counted: None,
            prompt: None,
            complete: false,
            served: None,
        }
    }

    /// Has it written into the ledger as well, under the name that both devices know.
    pub(super) fn in_ledger(mut self, ledger: &Ledger, request: RequestName) -> Self {
        self.ledger = Some((ledger.clone(), request));
        self
    }

    /// It is served from now on; until now it waited.
    pub(super) fn starts(&mut self) {
        self.began = Instant::now();
    }

    /// The head of the answer. A refusal was no use of anything.
    pub(super) fn head(&mut self, status: StatusCode) {
        self.served = Some(status.is_success());
    }

    /// Some whole events of a stream.
    pub(super) fn events(&mut self, events: &Bytes) {
        for line in events.split(|byte| *byte == b'\n') {
            let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { continue };
            if data == sse::DONE.as_bytes() {
                self.complete = true;
            } else if !data.starts_with(b"{\"error\"") {
                self.pieces += 1;
                self.usage(data);
            }
        }
    }

    /// An answer that is no stream.
    pub(super) fn whole(&mut self, body: &Bytes) {
        self.usage(body);
        self.complete = true;
    }

    fn usage(&mut self, json: &[u8]) {
        self.counted = number_behind(b"\"completion_tokens\":", json).or(self.counted);
        self.prompt = number_behind(b"\"prompt_tokens\":", json).or(self.prompt);
    }

    fn sentence(&self) -> String {
        let (device, model) = (&self.device.1, &self.model);
        let what = match self.direction {
            Direction::Lent => format!("{device} used {model} on this device"),
            Direction::Borrowed => format!("This device used {model} on {device}"),
        };
        let tokens = match self.counted.unwrap_or(self.pieces) {
            0 => String::new(),
            1 => "1 token in ".to_owned(),
            tokens => format!("{tokens} tokens in "),
        };
        let end = if self.complete { "" } else { ", then it ended early" };
        format!("{what}: {tokens}{:.1} s{end}.", self.began.elapsed().as_secs_f64())
    }
}

impl Tally {
    /// Whether it is known that it was served. A stream of another device may begin while the request still waits there:
    /// until its first word nothing was used.
    fn was_served(&self) -> bool {
        let spoke = self.direction == Direction::Lent || self.complete || self.pieces > 0;
        self.served == Some(true) && spoke
    }

    fn entry(&self, request: RequestName) -> Entry {
        Entry {
            direction: match self.direction {
                Direction::Lent => UsageDirection::Lent,
                Direction::Borrowed => UsageDirection::Borrowed,
            },
            network: self.network,
            device: self.device.clone(),
            request,
            model: self.model.clone(),
            amount: Amount {
                tokens: self.counted.unwrap_or(self.pieces),
                prompt: self.prompt.unwrap_or_default(),
                seconds: self.began.elapsed().as_secs_f64(),
            },
            sure: self.was_served(),
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        // A refusal was no use of anything. Of what was given up before a word came, only the other device may know.
        let in_ledger = match self.direction {
            Direction::Lent => self.served == Some(true),
            Direction::Borrowed => self.served != Some(false),
        };
        if let Some((ledger, request)) = self.ledger.take().filter(|_| in_ledger) {
            ledger.tell(self.entry(request));
        }
        if self.was_served() {
            let (id, name) = self.device.clone();
            self.activity.tell(Told::new(self.network, ActivityKind::Lending, self.sentence()).about(id, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::ActivityFilter;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::events::Events;
    use crate::store::Store;

    #[tokio::test]
    async fn each_use_is_told_once_and_without_a_word_of_it() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let activity = Activity::start(store, Events::new(), CancellationToken::new()).await.expect("started");
        let device = || (DeviceId::of_secret(&[2; 32]), "Lap".to_owned());
        let begin = |direction| Tally::begin(activity.clone(), None, direction, device(), "chain");
        let mut lent = begin(Direction::Lent);
        lent.head(StatusCode::OK);
        lent.events(&Bytes::from_static(b"data: {\"content\":\"secret\"}\n\ndata: {\"content\":\"words\"}\n\n"));
        lent.events(&Bytes::from_static(b"data: [DONE]\n\n"));
        drop(lent);
        let mut broken = begin(Direction::Borrowed);
        broken.head(StatusCode::OK);
        broken.events(&Bytes::from_static(b"data: {\"content\":\"secret\"}\n\n"));
        drop(broken);
        let mut refused = begin(Direction::Borrowed);
        refused.head(StatusCode::SERVICE_UNAVAILABLE);
        drop(refused);
        let mut waited = begin(Direction::Borrowed);
        waited.head(StatusCode::OK);
        waited.events(&Bytes::from_static(b": myownmesh {}\n\ndata: {\"error\":{\"code\":\"busy\"}}\n\n"));
        drop(waited);
        let entries = activity.list(None, None, ActivityFilter::default()).await.expect("listed");
        let texts: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].starts_with("This device used chain on Lap: 1 token in "), "{texts:?}");
        assert!(texts[0].ends_with(" s, then it ended early."), "{texts:?}");
        assert!(texts[1].starts_with("Lap used chain on this device: 2 tokens in "), "{texts:?}");
        assert!(!texts.concat().contains("secret"));
    }
}
