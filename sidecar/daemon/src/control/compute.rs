//! Engines of this device, and the models that can be reached.

use myownmesh_compute::{EngineId, EngineSpec, EngineUrl, Secret};
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{self as control, Engine, Model};

use crate::card::CardModel;
use crate::convert::{self, OrControl};
use crate::daemon::Daemon;

pub(super) fn engines(daemon: &Daemon) -> Vec<Engine> {
    daemon.compute.snapshot().engines.iter().map(convert::engine).collect()
}

pub(super) async fn add(daemon: &Daemon, spec: control::EngineSpec) -> Result<Engine, ControlError> {
    let mut made = EngineSpec::from_url(EngineUrl::parse(&spec.url).or_control()?);
    made.kind = spec.kind.map(convert::engine_kind);
    made.key = spec.key.as_deref().map(Secret::parse).transpose().or_control()?;
    let info = daemon.compute.add_engine(made.clone()).await.or_control()?;
    // What it turned out to be need not be found out again.
    made.kind = Some(info.kind);
    if let Err(error) = daemon.engines.save(&made).await.or_control() {
        // Not saved is not added: it would be gone after a restart without a word.
        daemon.compute.remove_engine(made.id).await.or_control()?;
        return Err(error);
    }
    Ok(convert::engine(&info))
}

pub(super) async fn remove(daemon: &Daemon, id: &str) -> Result<(), ControlError> {
    let id = EngineId::parse(id.trim()).or_control()?;
    daemon.compute.remove_engine(id.clone()).await.or_control()?;
    daemon.engines.forget(&id).await.or_control()
}

pub(super) async fn test(daemon: &Daemon, id: &str) -> Result<Engine, ControlError> {
    let id = EngineId::parse(id.trim()).or_control()?;
    Ok(convert::engine(&daemon.compute.test_engine(id).await.or_control()?))
}

pub(super) fn models(daemon: &Daemon) -> Vec<Model> {
    let compute = daemon.compute.snapshot();
    let why = |id: &str, engine: &str| {
        let mut here = compute.models.iter().filter(|model| model.id == id && model.engine.as_str() == engine);
        here.find_map(|model| model.reason.clone())
    };
    let mut models = Vec::new();
    for offer in daemon.api.offers().iter().filter(|offer| offer.rtt_ms.is_some()) {
        models.extend(offer.models.iter().map(|model| {
            let reason = if offer.this_device { why(&model.id, &model.engine) } else { None };
            convert::model(offer, model, reason)
        }));
        if offer.this_device {
            let coming = daemon.library.underway().list();
            let coming = coming.iter().map(CardModel::from).filter(|coming| {
                offer.models.iter().all(|model| (&model.id, &model.engine) != (&coming.id, &coming.engine))
            });
            models.extend(coming.map(|coming| convert::model(offer, &coming, None)));
        }
    }
    models
}
