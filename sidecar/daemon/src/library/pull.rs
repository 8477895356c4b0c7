//! Follows what Ollama fetches, as a download like any other.

use myownmesh_compute::{Compute, EngineId, Pull, Pulled};
use myownmesh_control::types::{ModelGetEvent, ModelGetState};
use tokio::time::Instant;

use super::get::failed;
use super::underway::Telling;
use crate::convert::IntoControl;
use crate::streams::Stream;

/// What Ollama is called as a source.
pub(super) const OLLAMA: &str = "ollama";
/// What Ollama says while it compares what arrived with its hash.
const VERIFYING: &str = "verifying sha256 digest";

/// Tells what becomes of it; the end of `stream` ends it in Ollama as well, which keeps what it has. The last event is
/// `done`, `paused` or `error`.
pub(super) async fn follow(
    (id, mut pull): (EngineId, Pull),
    model: String,
    compute: Compute,
    mut telling: Telling,
    stream: Stream<ModelGetEvent>,
) {
    let (mut last, mut rate) = (Pulled::default(), Rate::new());
    loop {
        let next = tokio::select! {
            biased;
            () = stream.cancel.cancelled() => {
                let Pulled { bytes, total, .. } = last;
                stream.ring.push(ModelGetEvent::Paused { bytes, total });
                return;
            }
            next = pull.next() => next,
        };
        match next {
            Ok(Some(pulled)) if pulled.done => {
                stream.ring.push(done(pulled, &id, &model, &compute).await);
                return;
            }
            Ok(Some(pulled)) => {
                telling.tell(pulled.bytes, pulled.total);
                let state = match (&*pulled.status, pulled.total) {
                    (VERIFYING, _) => ModelGetState::Verifying,
                    (_, None) => ModelGetState::Asking,
                    _ => ModelGetState::Downloading,
                };
                stream.ring.push(ModelGetEvent::Progress {
                    variant: model.clone(),
                    source: OLLAMA.to_owned(),
                    state,
                    bytes: pulled.bytes,
                    total: pulled.total,
                    rate: rate.of(pulled.bytes, Instant::now()),
                });
                last = pulled;
            }
            // It was done before, and said so.
            Ok(None) => return,
            Err(error) => {
                stream.ring.push(failed(error.into_control()));
                return;
            }
        }
    }
}

async fn done(pulled: Pulled, id: &EngineId, model: &str, compute: &Compute) -> ModelGetEvent {
    if let Err(error) = compute.test_engine(id.clone()).await {
        tracing::info!(%error, "Ollama has fetched a model and does not list it yet");
    }
    let named = |found: &&myownmesh_compute::ModelInfo| {
        found.engine == *id && (found.id == model || found.id.strip_suffix(":latest") == Some(model))
    };
    let offered = compute.snapshot().models.iter().find(named).map(|found| found.id.clone());
    ModelGetEvent::Done {
        variant: model.to_owned(),
        model: offered,
        // Ollama keeps it where it likes.
        path: String::new(),
        sha256: pulled.sha256.unwrap_or_default(),
        files: Vec::new(),
        note: None,
    }
}

/// Bytes a second lately.
struct Rate {
    before: Option<(Instant, u64)>,
    now: u64,
}

impl Rate {
    fn new() -> Self {
        Self { before: None, now: 0 }
    }

    fn of(&mut self, bytes: u64, at: Instant) -> u64 {
        let (since, from) = *self.before.get_or_insert((at, bytes));
        let millis = u64::try_from(at.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        // Over about a second: Ollama speaks several times in each.
        if millis >= 1000 {
            self.now = bytes.saturating_sub(from).saturating_mul(1000) / millis;
            self.before = Some((at, bytes));
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_is_of_the_last_second() {
        let (mut rate, begin) = (Rate::new(), Instant::now());
        let mut at = |millis, bytes| rate.of(bytes, begin + Duration::from_millis(millis));
        assert_eq!([at(0, 500), at(400, 900), at(1000, 2500), at(1500, 9000), at(3000, 2500)], [0, 0, 2000, 2000, 0]);
    }
}
