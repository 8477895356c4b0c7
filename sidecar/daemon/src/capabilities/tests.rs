//! What is told of this device, and what is believed of others.

use myownmesh_compute::{EngineId, EngineInfo, EngineKind, ModelInfo, Purpose};
use myownmesh_control::types::{Battery, Cpu, Gpu};
use serde_json::json;

use super::*;

fn engine_info(id: &str, state: compute::EngineState) -> EngineInfo {
    EngineInfo {
        id: EngineId::parse(id).expect("an id"),
        kind: EngineKind::OpenAi,
        url: Some("http://10.0.0.7:8080/secret/path".to_owned()),
        state,
        reason: None,
        models: Vec::new(),
        builtin: false,
    }
}

fn model_info(id: &str, engine: &str, state: compute::ModelState) -> ModelInfo {
    ModelInfo {
        percent: None,
        id: id.to_owned(),
        engine: EngineId::parse(engine).expect("an id"),
        state,
        reason: None,
        context_length: Some(2048),
        size_bytes: Some(2_000_000),
        demo: false,
        purpose: Purpose::Chat,
    }
}

fn snapshot(engine: compute::EngineState, model: Option<compute::ModelState>) -> ComputeSnapshot {
    ComputeSnapshot {
        engines: vec![engine_info("one", engine)],
        models: model.map(|state| model_info("tiny", "one", state)).into_iter().collect(),
    }
}

fn parts() -> Parts {
    let hardware = Hardware {
        cpu: Cpu { name: "Fast".to_owned(), architecture: "x86_64".to_owned(), cores: Some(4), threads: 8 },
        memory_bytes: 16_000_000_000,
        gpus: vec![Gpu { name: "G".to_owned(), vendor: "nvidia".to_owned(), vram_bytes: Some(8), unified: false }],
        npu: Some("N".to_owned()),
        battery: Some(Battery { percent: None, on_mains: true }),
        readings: None,
    };
    Parts { hardware: Some(hardware), microphone: Some(true) }
}

fn of(snapshot: &ComputeSnapshot, before: Option<&Abilities>) -> Abilities {
    Abilities::of(snapshot, &parts(), Accepting::Limited, before)
}

#[test]
fn what_is_told_reads_back() {
    let abilities = of(&snapshot(compute::EngineState::Ready, Some(compute::ModelState::Ready)), None);
    let bytes = abilities.to_bytes();
    assert_eq!(Abilities::read(&bytes), Some(abilities.clone()));
    assert_eq!(abilities.engines[0].models[0].state, ModelState::Available);
    let text = String::from_utf8(bytes).expect("JSON");
    assert!(!text.contains("10.0.0.7"), "the address of an engine is its own business: {text}");
}

#[test]
fn loading_a_model_and_restarting_the_app_are_no_news() {
    use compute::{EngineState, ModelState};
    let before = of(&snapshot(EngineState::Idle, Some(ModelState::Available)), None);
    for state in [ModelState::Loading, ModelState::Ready] {
        assert_eq!(of(&snapshot(EngineState::Ready, Some(state)), None), before, "{state:?}");
    }
    assert_eq!(of(&snapshot(EngineState::Starting, None), Some(&before)), before);
    assert_ne!(of(&snapshot(EngineState::Failed, None), Some(&before)), before);
    let new = of(&snapshot(EngineState::Starting, None), None);
    assert_eq!(new.engines[0].state, myownmesh_control::types::EngineState::Starting);
}

#[test]
fn more_models_than_fit_are_cut() {
    let mut many = snapshot(compute::EngineState::Ready, None);
    many.engines.push(engine_info("two", compute::EngineState::Ready));
    for engine in ["one", "two"] {
        let models = (0..MAX_MODELS + 10).map(|n| format!("{n}-{}", "x".repeat(200)));
        many.models.extend(models.map(|id| model_info(&id, engine, compute::ModelState::Ready)));
    }
    let bytes = of(&many, None).to_bytes();
    assert!(bytes.len() <= MAX_VALUE_BYTES);
    let read = Abilities::read(&bytes).expect("a statement");
    assert!(read.engines.iter().all(|engine| engine.models.len() > 100), "both lose, not one");
}

#[test]
fn a_later_version_is_understood_as_far_as_it_goes() {
    let told = json!({
        "app_version": "9.0.0", "protocol": 3, "features": ["chat", "holograms"], "smell": true,
        "hardware": {"cpu": {"name": "Q", "architecture": "q", "cores": null, "threads": 2, "qubits": 9}, "memory_bytes": 5, "fans": 2},
        "engines": [
            {"id": "a", "kind": "openai", "state": "ready", "colour": "red",
             "models": [{"id": "m", "state": "available", "mood": 1}, {"id": "n", "state": "dreaming"}]},
            {"id": "b", "kind": "telepathy", "state": "ready", "models": []}
        ],
        "accepting": "sometimes"
    });
    let read = Abilities::read(told.to_string().as_bytes()).expect("a statement");
    assert_eq!((read.app_version.as_str(), read.protocol, read.accepting), ("9.0.0", 3, Accepting::Available));
    assert_eq!(read.features, ["chat", "holograms"]);
    let hardware = read.hardware.expect("told");
    assert_eq!((hardware.cpu.name.as_str(), hardware.memory_bytes, hardware.gpus.len()), ("Q", 5, 0));
    assert_eq!((read.engines.len(), read.engines[0].models.len()), (1, 1));
}

#[test]
fn a_hostile_statement_does_no_harm() {
    for nothing in [json!(null), json!([]), json!({}), json!({"app_version": 1}), json!("x")] {
        assert_eq!(Abilities::read(nothing.to_string().as_bytes()), None, "{nothing}");
    }
    for garbage in [&b""[..], b"\xff", b"{\"app_version\":\"1\"", &[b'['; 100_000]] {
        assert_eq!(Abilities::read(garbage), None);
    }
    let long = "x".repeat(300);
    let gpu = json!({"name": "\u{202e}evil\u{7}", "vendor": long, "vram_bytes": null, "unified": false});
    let told = json!({
        "app_version": "1\u{202e}.0\u{1b}[2J", "protocol": -1, "transcription": "yes", "microphone": 3,
        "features": ["ok", "Not Ok", "\u{202e}", 7, long, "ok"],
        "hardware": {"cpu": {"name": long, "architecture": "a", "cores": 1, "threads": 1}, "gpus": vec![gpu; 40],
                     "battery": {"percent": 7, "on_mains": false}},
        "engines": [
            {"id": "\u{202e}a", "kind": "openai", "state": "ready", "models": []},
            {"id": "", "kind": "openai", "state": "ready"}, "text", {"id": long},
            {"id": "a", "kind": "openai", "state": "ready", "models": [{"id": "m\u{0}", "state": "ready"}, {"id": 4}, [], null]}
        ]
    });
    let read = Abilities::read(told.to_string().as_bytes()).expect("a statement");
    assert_eq!((read.app_version.as_str(), read.protocol), ("1.0[2J", 0));
    assert_eq!((read.transcription, read.microphone), (false, None));
    assert_eq!(read.features, ["ok"]);
    let hardware = read.hardware.expect("told");
    assert_eq!(hardware.battery, Some(Battery { percent: None, on_mains: false }));
    assert_eq!((hardware.gpus.len(), hardware.gpus[0].name.as_str()), (MAX_GPUS, "evil"));
    assert!(hardware.gpus[0].vendor.len() <= MAX_NAME && hardware.cpu.name.len() <= MAX_NAME);
    assert_eq!((read.engines.len(), read.engines[0].models.len()), (1, 0));
    let engines: Vec<_> = (0..500).map(|n| json!({"id": n.to_string(), "kind": "openai", "state": "ready"})).collect();
    let many = json!({"app_version": "1", "engines": engines});
    assert_eq!(Abilities::read(many.to_string().as_bytes()).expect("a statement").engines.len(), MAX_ENGINES);
}
