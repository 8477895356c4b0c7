//! The card: what a device shows the members of its network it can do. The mesh carries it without reading it; here it
//! is made from what compute knows, and read from others with the caution due to text from outside.

use myownmesh_compute::{ComputeSnapshot, ModelInfo, ModelState, Purpose};
use myownmesh_control::types::Accepting;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lending::QueueLoad;
use crate::library::Underway;
use crate::planner::Machine;

/// Largest card that is published, in bytes; the mesh takes 64 KiB.
const MAX_BYTES: usize = 60 * 1024;
/// Most models that are read from another device's card.
const MAX_MODELS: usize = 512;
/// Most requests and longest wait that are believed of another device; a wait of an hour is as good as for ever.
const MAX_QUEUE: u32 = 10_000;
const MAX_WAIT_MS: u64 = 3_600_000;
/// Longest model id that is read, in bytes.
const MAX_ID: usize = 256;

/// What a device lends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Card {
    /// Its models.
    pub(crate) models: Vec<CardModel>,
    /// Its lending policy.
    pub(crate) accepting: Accepting,
    /// What runs and waits there for members.
    pub(crate) queue: QueueLoad,
    /// What it works with, as soon as it knows.
    pub(crate) machine: Option<Machine>,
    /// Names of what else it can do; none yet.
    pub(crate) features: Vec<String>,
}

/// One model on a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardModel {
    /// Its id there.
    pub(crate) id: String,
    /// Id of its engine there.
    #[serde(default)]
    pub(crate) engine: String,
    /// Tokens of context, when known.
    #[serde(default)]
    pub(crate) context_length: Option<u32>,
    /// Size of its weights in bytes, when known.
    #[serde(default)]
    pub(crate) size_bytes: Option<u64>,
    /// Whether it is the demo model.
    #[serde(default)]
    pub(crate) demo: bool,
    /// Whether it can answer.
    #[serde(default = "available")]
    pub(crate) state: ModelState,
    /// How far it is, 0 to 100; of one that is being loaded or downloaded, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) percent: Option<u8>,
    /// What it is for.
    #[serde(default = "chat")]
    pub(crate) purpose: Purpose,
}

fn available() -> ModelState {
    ModelState::Available
}

fn chat() -> Purpose {
    Purpose::Chat
}

impl From<&ModelInfo> for CardModel {
    fn from(model: &ModelInfo) -> Self {
        Self {
            id: model.id.clone(),
            engine: model.engine.to_string(),
            context_length: model.context_length,
            size_bytes: model.size_bytes,
            demo: model.demo,
            state: model.state,
            percent: model.percent,
            purpose: model.purpose,
        }
    }
}

impl From<&Underway> for CardModel {
    fn from(coming: &Underway) -> Self {
        Self {
            id: coming.model.clone(),
            engine: coming.engine.clone(),
            context_length: None,
            size_bytes: coming.size_bytes,
            demo: false,
            state: ModelState::Downloading,
            percent: coming.percent,
            purpose: Purpose::Chat,
        }
    }
}

impl Card {
    /// This device's card.
    pub(crate) fn of(compute: &ComputeSnapshot, accepting: Accepting) -> Self {
        let models = compute.models.iter().filter(|model| model.id.len() <= MAX_ID).map(CardModel::from).collect();
        Self { models, accepting, ..Self::default() }
    }

    /// Adds what is on its way to this device.
    pub(crate) fn coming(&mut self, underway: &[Underway]) {
        for coming in underway {
            let known = self.models.iter().any(|model| model.id == coming.model && model.engine == coming.engine);
            if !known && coming.model.len() <= MAX_ID {
                self.models.push(CardModel::from(coming));
            }
        }
    }

    /// The card as the mesh carries it. Models beyond what fits are left out, the last first.
    pub(crate) fn to_value(&self) -> Value {
        let mut card = self.clone();
        loop {
            // A card is plain data: it always serialises.
            let value = serde_json::to_value(&card).unwrap_or_default();
            let excess = value.to_string().len().saturating_sub(MAX_BYTES);
            if excess == 0 || card.models.is_empty() {
                return value;
            }
            // An entry takes at most a few hundred bytes: this many go at once.
            let keep = card.models.len().saturating_sub((excess / 512).max(1));
            card.models.truncate(keep);
        }
    }

    /// Another device's card. What is malformed or too much is left out; nothing fails.
    pub(crate) fn read(value: &Value) -> Self {
        let entries = value.get("models").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let models = entries.iter().take(MAX_MODELS).filter_map(|entry| CardModel::deserialize(entry).ok());
        Self {
            models: models.filter(CardModel::is_plausible).collect(),
            accepting: value.get("accepting").and_then(|v| Accepting::deserialize(v).ok()).unwrap_or_default(),
            queue: value.get("queue").and_then(|v| QueueLoad::deserialize(v).ok()).map(believed).unwrap_or_default(),
            machine: value.get("machine").and_then(|v| Machine::deserialize(v).ok()).map(Machine::bounded),
            features: Vec::new(),
        }
    }
}

/// A queue of another device, within what is believed.
fn believed(queue: QueueLoad) -> QueueLoad {
    QueueLoad {
        running: queue.running.min(MAX_QUEUE),
        waiting: queue.waiting.min(MAX_QUEUE),
        wait_ms: queue.wait_ms.min(MAX_WAIT_MS),
    }
}

impl CardModel {
    fn is_plausible(&self) -> bool {
        let plain = |text: &str| text.len() <= MAX_ID && !text.chars().any(char::is_control);
        !self.id.is_empty()
            && plain(&self.id)
            && plain(&self.engine)
            && self.percent.is_none_or(|percent| percent <= 100)
    }

    /// Whether it is there, and not on its way.
    pub(crate) fn is_here(&self) -> bool {
        self.state != ModelState::Downloading
    }

    /// Whether a request for it can be expected to work.
    pub(crate) fn usable(&self) -> bool {
        !matches!(self.state, ModelState::Failed | ModelState::Downloading)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(id: String) -> CardModel {
        CardModel {
            id,
            engine: "builtin".to_owned(),
            context_length: Some(2048),
            size_bytes: Some(2_000_000),
            demo: false,
            state: ModelState::Ready,
            percent: None,
            purpose: Purpose::Chat,
        }
    }

    #[test]
    fn a_card_reads_back() {
        let card = Card {
            models: vec![model("a/b:c".to_owned())],
            accepting: Accepting::Limited,
            queue: QueueLoad { running: 2, waiting: 1, wait_ms: 900 },
            machine: Some(Machine { threads: 8, npu: true, on_battery: true, ..Machine::default() }),
            features: vec![],
        };
        assert_eq!(Card::read(&card.to_value()), card);
    }

    #[test]
    fn a_large_card_is_cut() {
        let models = (0..2000).map(|n| model(format!("{n}-{}", "x".repeat(100)))).collect();
        let value = Card { models, ..Card::default() }.to_value();
        assert!(value.to_string().len() <= MAX_BYTES);
        assert!(Card::read(&value).models.len() > 100);
    }

    #[test]
    fn a_hostile_card_does_no_harm() {
        for odd in [json!(null), json!([]), json!("x"), json!({"models": 3}), json!({"accepting": "never"})] {
            assert_eq!(Card::read(&odd), Card::default());
        }
        let most = json!({"queue": {"running": u32::MAX, "wait_ms": u64::MAX}, "machine": {"threads": u32::MAX}});
        let card = Card::read(&most);
        assert_eq!((card.queue.running, card.queue.wait_ms), (MAX_QUEUE, MAX_WAIT_MS));
        assert!(card.machine.is_some_and(|machine| machine.threads < 10_000));
        for odd in [json!({"queue": -1}), json!({"queue": {"running": -1}}), json!({"machine": {"graphics": "huge"}})] {
            assert_eq!(Card::read(&odd), Card::default(), "{odd}");
        }
        let entries = vec![
            json!({"id": "good", "later": {"field": true}}),
            json!({"id": ""}),
            json!({"id": "x".repeat(300)}),
            json!({"id": "a\u{0}b"}),
            json!({"id": 7}),
            json!({"id": "odd state", "state": "melted"}),
            json!({"id": "odd percent", "state": "loading", "percent": 101}),
            json!("text"),
        ];
        let card = Card::read(&json!({"models": entries}));
        assert_eq!(card.models.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["good"]);
        let many: Vec<_> = (0..5000).map(|n| json!({"id": n.to_string()})).collect();
        assert_eq!(Card::read(&json!({"models": many})).models.len(), MAX_MODELS);
    }
}
