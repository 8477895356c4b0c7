//! Capabilities: what a device can do, as a document that the members of its network keep.
//!
//! This is not the card (`card`). A card is live: a device shows it over each link, with what it serves at this moment,
//! and it goes with the link; questions are routed by it, also while the gossip is switched off. Capabilities are kept:
//! they say what a device is made of and what its app understands, also while it is away, so nothing in them changes by
//! itself, not even whether a model is in memory. The feed in `feeds` publishes them when they changed.
//!
//! A peer's statement is read with caution, and whatever a later version adds is ignored.

mod difference;

use std::collections::BTreeSet;
use std::time::Duration;

use myownmesh_compute::{self as compute, ComputeSnapshot, Gauge, HardwareRoots};
use myownmesh_control::VERSION;
use myownmesh_control::types::{Accepting, Battery, EngineCapability, Hardware, ModelCapability, ModelState};
use myownmesh_mesh::MAX_VALUE_BYTES;
use myownmesh_mesh::proto::welcome::PROTOCOL;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::text::clean_cut;
use crate::{convert, platform};

pub(crate) use difference::difference;

/// What this version understands, by the names that other versions see.
const FEATURES: [&str; 5] = ["capabilities", "catalogue", "chat", "permissions", "prompts"];

/// Most engines that are read from another device.
const MAX_ENGINES: usize = 64;
/// Most models of one engine that are read or told.
const MAX_MODELS: usize = 512;
/// Most graphics processors that are read.
const MAX_GPUS: usize = 16;
/// Most features that are read.
const MAX_FEATURES: usize = 64;
/// Longest id of an engine or a model, in bytes.
const MAX_ID: usize = 256;
/// How long the system's drivers may take to tell.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest name of a part, a version or a feature, in characters.
const MAX_NAME: usize = 120;

/// What a device says it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Abilities {
    /// Version of its app.
    pub(crate) app_version: String,
    /// Number of the protocol it speaks with other devices.
    pub(crate) protocol: u32,
    /// Names of what it understands, sorted.
    pub(crate) features: Vec<String>,
    /// What it is made of.
    pub(crate) hardware: Option<Hardware>,
    /// Its engines and their models.
    pub(crate) engines: Vec<EngineCapability>,
    /// Whether it turns speech into text.
    pub(crate) transcription: bool,
    /// Whether it has a microphone, where the system tells.
    pub(crate) microphone: Option<bool>,
    /// Its lending policy.
    pub(crate) accepting: Accepting,
}

/// What stays the same while a device runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// What it is made of.
    pub(crate) hardware: Option<Hardware>,
    /// Whether it has a microphone.
    pub(crate) microphone: Option<bool>,
}

impl Parts {
    /// Those of this device.
    pub(crate) async fn read() -> Self {
        let reading = in_background(|| {
            let mut hardware = convert::lasting_hardware(&compute::Hardware::read(&HardwareRoots::default()));
            hardware.battery = battery();
            Self { hardware: Some(hardware), microphone: platform::microphone() }
        });
        reading.await.unwrap_or_default()
    }

    /// Looks at the battery again, where there is one. Nothing tells when a plug is pulled, so this is done whenever
    /// something else is about to be told.
    pub(crate) async fn look_again(&mut self) {
        let Some(hardware) = self.hardware.as_mut().filter(|hardware| hardware.battery.is_some()) else { return };
        if let Some(battery) = in_background(battery).await {
            hardware.battery = battery;
        }
    }
}

/// Asks the system; `None` when it fails or does not answer: a driver that hangs must not hold up what is told.
pub(crate) async fn in_background<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(read)).await {
        Ok(Ok(read)) => Some(read),
        Ok(Err(error)) => {
            tracing::error!(%error, "reading the hardware ended badly");
            None
        }
        Err(_) => {
            tracing::warn!("the drivers of this device do not answer; what they know of its hardware is not told");
            None
        }
    }
}

/// The battery without what changes by itself.
fn battery() -> Option<Battery> {
    let battery = Gauge::new(HardwareRoots::default(), ".").read().battery?;
    Some(Battery { percent: None, on_mains: battery.on_mains })
}

impl Abilities {
    /// What this device can do. `before` is what it said last: an engine that is being started is told as it was, so that
    /// a restart of the app is no news.
    pub(crate) fn of(compute: &ComputeSnapshot, parts: &Parts, accepting: Accepting, before: Option<&Self>) -> Self {
        let known = |id: &str| before.and_then(|before| before.engines.iter().find(|engine| engine.id == id));
        let told = |engine: &compute::EngineInfo| match engine.state {
            compute::EngineState::Starting => {
                known(engine.id.as_str()).cloned().unwrap_or_else(|| told(compute, engine))
            }
            _ => told(compute, engine),
        };
        Self {
            app_version: VERSION.to_owned(),
            protocol: PROTOCOL.into(),
            features: FEATURES.map(str::to_owned).to_vec(),
            hardware: parts.hardware.clone(),
            engines: compute.engines.iter().map(told).collect(),
            transcription: false,
            microphone: parts.microphone,
            accepting,
        }
    }

    /// The value of the document. Models beyond what fits are left out, the last first.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut abilities = self.clone();
        loop {
            // Plain data: it always serialises.
            let bytes = serde_json::to_vec(&abilities).unwrap_or_default();
            let excess = bytes.len().saturating_sub(MAX_VALUE_BYTES);
            let longest = abilities.engines.iter_mut().max_by_key(|engine| engine.models.len());
            let Some(engine) = longest.filter(|engine| excess > 0 && !engine.models.is_empty()) else { return bytes };
            // An entry takes at most a few hundred bytes: this many go at once.
            let keep = engine.models.len().saturating_sub((excess / 512).max(1));
            engine.models.truncate(keep);
        }
    }

    /// Another device's statement; `None` when it is none. What is malformed or too much is left out.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(value) else { return None };
        let app_version: String = field(&mut fields, "app_version")?;
        let features: BTreeSet<_> =
            list(&mut fields, "features").iter().filter_map(feature).take(MAX_FEATURES).collect();
        let engines = list(&mut fields, "engines").into_iter().filter_map(engine);
        Some(Self {
            app_version: clean_cut(&app_version, MAX_NAME),
            protocol: field(&mut fields, "protocol").unwrap_or_default(),
            features: features.into_iter().collect(),
            engines: engines.take(MAX_ENGINES).collect(),
            hardware: fields.remove("hardware").and_then(hardware),
            transcription: field(&mut fields, "transcription").unwrap_or_default(),
            microphone: field(&mut fields, "microphone"),
            accepting: field(&mut fields, "accepting").unwrap_or_default(),
        })
    }
}

/// An engine of this device. Its address is its own business, and whether a model is in memory changes all the time.
fn told(compute: &ComputeSnapshot, engine: &compute::EngineInfo) -> EngineCapability {
    let shown = convert::engine(engine);
    let models = compute.models.iter().filter(|model| model.engine == engine.id && model.id.len() <= MAX_ID);
    let models = models.map(|model| ModelCapability {
        id: model.id.clone(),
        state: match model.state {
            compute::ModelState::Failed => ModelState::Failed,
            _ => ModelState::Available,
        },
        context_length: model.context_length,
        size_bytes: model.size_bytes,
    });
    EngineCapability { id: shown.id, kind: shown.kind, state: shown.state, models: models.take(MAX_MODELS).collect() }
}

/// Takes a field out; `None` when it is not there, or not what it should be.
fn field<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Option<T> {
    serde_json::from_value(fields.remove(name)?).ok()
}

/// Takes a list out; an empty one when there is none.
fn list(fields: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    field(fields, name).unwrap_or_default()
}

fn feature(name: &Value) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = name.as_str().filter(|name| (1..=MAX_NAME).contains(&name.len()) && name.chars().all(plain))?;
    Some(name.to_owned())
}

fn engine(value: Value) -> Option<EngineCapability> {
    let Value::Object(mut fields) = value else { return None };
    let models = list(&mut fields, "models").into_iter().filter_map(model);
    Some(EngineCapability {
        id: field(&mut fields, "id").filter(is_id)?,
        kind: field(&mut fields, "kind")?,
        state: field(&mut fields, "state")?,
        models: models.take(MAX_MODELS).collect(),
    })
}

fn model(value: Value) -> Option<ModelCapability> {
    let Value::Object(mut fields) = value else { return None };
    Some(ModelCapability {
        id: field(&mut fields, "id").filter(is_id)?,
        state: field(&mut fields, "state")?,
        context_length: field(&mut fields, "context_length"),
        size_bytes: field(&mut fields, "size_bytes"),
    })
}

fn is_id(id: &String) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && clean_cut(id, MAX_ID) == *id
}

/// What a device is made of. Fields it does not tell are as if nothing was there.
fn hardware(value: Value) -> Option<Hardware> {
    let Value::Object(told) = value else { return None };
    // Plain data: it always serialises.
    let mut fields = serde_json::to_value(Hardware::default()).unwrap_or_default();
    let known = fields.as_object_mut()?;
    for (name, value) in told {
        if let Some(known) = known.get_mut(&name) {
            *known = value;
        }
    }
    let mut hardware: Hardware = serde_json::from_value(fields).ok()?;
    let short = |text: &mut String| *text = clean_cut(text, MAX_NAME);
    short(&mut hardware.cpu.name);
    short(&mut hardware.cpu.architecture);
    hardware.gpus.truncate(MAX_GPUS);
    for gpu in &mut hardware.gpus {
        short(&mut gpu.name);
        short(&mut gpu.vendor);
    }
    hardware.npu.iter_mut().for_each(short);
    // What changes all the time has no place in a statement that is kept.
    hardware.readings = None;
    hardware.battery.iter_mut().for_each(|battery| battery.percent = None);
    Some(hardware)
}

#[cfg(test)]
mod tests;
