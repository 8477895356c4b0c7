//! An engine we did not start: known by its address, asked again and again what it has.
//!
//! State owned by the actor, without IO: the actor asks, and tells the result with the time.

use std::time::{Duration, Instant};

use crate::config::Tuning;
use crate::forward::Signs;
use crate::probe::Probe;
use crate::{ComputeError, EngineInfo, EngineKind, EngineSpec, EngineState, ModelInfo};

/// One engine and what is known of it.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) spec: EngineSpec,
    /// Found on this device, not added by a person: listed only while it answers.
    pub(crate) discovered: bool,
    /// What its answers show of it being alive.
    pub(crate) signs: Signs,
    /// Tells a late answer about an engine that was removed and added again from a current one.
    pub(crate) generation: u64,
    pub(crate) models: Vec<ModelInfo>,
    kind: Option<EngineKind>,
    state: EngineState,
    reason: Option<String>,
    failures: u32,
    /// None while it is being asked.
    next: Option<Instant>,
}

impl External {
    /// Not heard from yet; to be asked at once.
    pub(crate) fn new(spec: EngineSpec, discovered: bool, generation: u64, now: Instant) -> Self {
        let kind = spec.kind;
        Self {
            spec,
            discovered,
            signs: Signs::default(),
            generation,
            models: Vec::new(),
            kind,
            state: EngineState::Starting,
            reason: None,
            failures: 0,
            next: Some(now),
        }
    }

    /// When it is to be asked next; none while an answer is awaited.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// It is being asked now.
    pub(crate) fn asking(&mut self) {
        self.next = None;
    }

    /// What it answered.
    pub(crate) fn answered(&mut self, answer: &Result<Probe, ComputeError>, now: Instant, tuning: &Tuning) {
        match answer {
            Ok(probe) => {
                self.failures = 0;
                self.kind = Some(probe.kind);
                self.state = EngineState::Ready;
                self.reason = None;
                self.models.clone_from(&probe.models);
                self.next = Some(now + tuning.poll);
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                // Ollama may be started at any moment, and asking this device costs nothing.
                let rest = if self.discovered { tuning.poll } else { pause(self.failures, tuning) };
                self.next = Some(now + rest);
                // An engine that computes may answer late once; its models are still there.
                let busy = matches!(error, ComputeError::Slow { .. }) && self.failures == 1;
                if !(busy && self.state == EngineState::Ready) {
                    self.state = EngineState::Failed;
                    self.reason = Some(error.to_string());
                    self.models.clear();
                }
            }
        }
    }

    /// Whether readers see it.
    pub(crate) fn listed(&self) -> bool {
        !self.discovered || self.state == EngineState::Ready
    }

    /// Whether it has the model. Ollama's `name` means `name:latest`.
    pub(crate) fn has(&self, model: &str) -> bool {
        self.models.iter().any(|known| known.id == model || known.id.strip_suffix(":latest") == Some(model))
    }

    /// A path that it answers at once whatever it works on; none for an engine that may be able to do one thing only.
    pub(crate) fn vital(&self) -> Option<&'static str> {
        match self.kind? {
            EngineKind::LlamaServer => Some("/health"),
            EngineKind::Ollama => Some("/api/version"),
            EngineKind::OpenAi => None,
        }
    }

    /// The engine as a reader sees it.
    pub(crate) fn info(&self) -> EngineInfo {
        EngineInfo {
            id: self.spec.id.clone(),
            kind: self.kind.unwrap_or(EngineKind::OpenAi),
            url: Some(self.spec.url.to_string()),
            state: self.state,
            reason: self.reason.clone(),
            models: self.models.iter().map(|model| model.id.clone()).collect(),
            builtin: false,
        }
    }
}

/// The pause after so many failures in a row: doubled each time, up to the longest.
fn pause(failures: u32, tuning: &Tuning) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    tuning.poll.saturating_mul(1 << doublings).min(tuning.poll_down_max.max(tuning.poll))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineUrl, ModelState, Purpose};

    fn engine(discovered: bool, now: Instant) -> External {
        let spec = EngineSpec::from_url(EngineUrl::parse("127.0.0.1:9").expect("an address"));
        External::new(spec, discovered, 0, now)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands for what a probe returns")]
    fn good(engine: &External) -> Result<Probe, ComputeError> {
        let model = ModelInfo {
            id: "llama3:latest".to_owned(),
            engine: engine.spec.id.clone(),
            state: ModelState::Available,
            reason: None,
            percent: None,
            context_length: None,
            size_bytes: None,
            demo: false,
            purpose: Purpose::Chat,
        };
        Ok(Probe { kind: EngineKind::Ollama, models: vec![model] })
    }

    fn gone(engine: &External) -> Result<Probe, ComputeError> {
        Err(ComputeError::Unreachable { url: engine.spec.url.clone(), cause: "refused".to_owned() })
    }

    #[test]
    fn an_engine_that_is_down_is_asked_less_and_less() {
        let (now, tuning) = (Instant::now(), Tuning::default());
        let mut engine = engine(false, now);
        let answer = gone(&engine);
        let mut pauses = Vec::new();
        for _ in 0..5 {
            engine.asking();
            assert_eq!(engine.due(), None);
            engine.answered(&answer, now, &tuning);
            pauses.push((engine.due().expect("a time") - now).as_secs());
        }
        assert_eq!(pauses, [5, 10, 20, 30, 30]);
        let answer = good(&engine);
        engine.answered(&answer, now, &tuning);
        assert_eq!(engine.due(), Some(now + tuning.poll));
    }

    #[test]
    fn one_late_answer_does_not_take_the_models_away() {
        let (now, tuning) = (Instant::now(), Tuning::default());
        let mut engine = engine(false, now);
        let answer = good(&engine);
        engine.answered(&answer, now, &tuning);
        let slow = Err(ComputeError::Slow { url: engine.spec.url.clone(), after: tuning.probe });
        engine.answered(&slow, now, &tuning);
        assert_eq!(engine.info().state, EngineState::Ready);
        assert!(engine.has("llama3") && engine.has("llama3:latest") && !engine.has("llama"));
        engine.answered(&slow, now, &tuning);
        assert_eq!(engine.info().state, EngineState::Failed);
        assert!(!engine.has("llama3"));
    }

    #[test]
    fn a_discovered_engine_is_listed_only_while_it_answers() {
        let (now, tuning) = (Instant::now(), Tuning::default());
        let mut engine = engine(true, now);
        assert!(!engine.listed());
        let (up, down) = (good(&engine), gone(&engine));
        engine.answered(&up, now, &tuning);
        assert!(engine.listed());
        engine.answered(&down, now, &tuning);
        assert!(!engine.listed());
    }
}
