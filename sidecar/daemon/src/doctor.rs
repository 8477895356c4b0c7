//! The staged checks: this device first, then each member from "is it known" to "does it answer"; or the way to one
//! member alone. A stage that an earlier failure makes pointless is left out.

use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{DoctorCheck, DoctorReport, Phase};
use myownmesh_mesh::{DeviceId, ProbeCheck};
use serde::Deserialize;

use crate::daemon::Daemon;
use crate::phase::phase;
use crate::text::listed;

/// How long a device may take to list its models.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Largest list of models that is read, in bytes.
const MAX_LIST: usize = 1024 * 1024;

/// Examines this device and every other member, or the way to `device`.
pub(crate) async fn examine(daemon: &Daemon, device: Option<&str>) -> Result<DoctorReport, ControlError> {
    let mesh = daemon.picture();
    let chosen = device.map(|text| daemon.find_device(text)).transpose()?;
    let others: Vec<_> = mesh
        .members
        .iter()
        .filter(|member| !member.this_device && chosen.is_none_or(|id| id == member.device_id))
        .map(|member| (member.device_id, member.name.to_string()))
        .collect();
    let mut checks = Vec::new();
    // What this device has of its own is no obstacle on the way to another one.
    if chosen.is_none_or(|id| id == mesh.device_id) {
        checks.extend([daemon_check(daemon), engine_check(daemon), network_check(daemon)]);
    }
    let several = others.len() > 1;
    let examined = join_all(others.into_iter().map(|(id, name)| async move {
        let checks = examine_device(daemon, id).await;
        checks.into_iter().map(move |mut check| {
            if several {
                check.detail = format!("{name}: {}", check.detail);
            }
            check
        })
    }));
    checks.extend(examined.await.into_iter().flatten());
    Ok(DoctorReport { checks, report: String::new() })
}

fn passed(name: &str, detail: impl Into<String>) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), ok: true, detail: detail.into(), fix: None, cause: None }
}

fn failed(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), ok: false, detail: detail.into(), fix: Some(fix.into()), cause: None }
}

fn daemon_check(daemon: &Daemon) -> DoctorCheck {
    let facts = &daemon.facts;
    let detail = format!("Version {} runs, its local API is {}.", myownmesh_control::VERSION, facts.api_url);
    match facts.warnings.as_slice() {
        [] => passed("daemon", detail),
        warnings => failed(
            "daemon",
            format!("{detail} {}", warnings.join(" ")),
            "Mend what the warning names, then restart the daemon.",
        ),
    }
}

fn engine_check(daemon: &Daemon) -> DoctorCheck {
    let compute = daemon.compute.snapshot();
    let broken: Vec<String> = compute
        .engines
        .iter()
        .filter(|engine| engine.state == myownmesh_compute::EngineState::Failed)
        .map(|engine| format!("{}: {}", engine.id, engine.reason.as_deref().unwrap_or("it does not answer.")))
        .collect();
    let models: Vec<String> = crate::card::Card::of(&compute, daemon.lending.policy(None))
        .models
        .into_iter()
        .filter(crate::card::CardModel::usable)
        .map(|model| model.id)
        .collect();
    if !broken.is_empty() {
        let fix = "Start that engine or remove it: `myownmesh engine test ID` asks it again.";
        return failed("engine", broken.join(" "), fix);
    }
    if models.is_empty() {
        let fix =
            "Put a GGUF file into the models folder, start Ollama, or add an engine with `myownmesh engine add URL`.";
        return failed("engine", "This device has no model; it can only use those of other devices.", fix);
    }
    passed("engine", format!("Models here: {}.", listed(&models, 5)))
}

fn network_check(daemon: &Daemon) -> DoctorCheck {
    let (phase, reason) = phase(&daemon.picture());
    match phase {
        Phase::NoNetwork => failed("network", reason, "Found a network, or join one with an invite."),
        Phase::Trouble => failed("network", reason, "Look at the checks of the devices below."),
        _ => passed("network", reason),
    }
}

fn stage(name: &str, check: ProbeCheck) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), ok: check.ok, detail: check.detail, fix: check.fix, cause: None }
}

async fn examine_device(daemon: &Daemon, device: DeviceId) -> Vec<DoctorCheck> {
    let report = daemon.mesh.probe(device).await;
    let mut checks = vec![stage("found", report.found)];
    checks.extend(report.reachable.map(|check| stage("reachable", check)));
    checks.extend(report.direct.map(|check| stage("direct", check)));
    let admitted = report.admitted.as_ref().is_some_and(|check| check.ok);
    checks.extend(report.admitted.map(|check| stage("admitted", check)));
    if admitted {
        checks.push(answering(daemon, device).await);
    }
    checks
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<serde::de::IgnoredAny>,
}

async fn answering(daemon: &Daemon, device: DeviceId) -> DoctorCheck {
    let asked = async {
        let request = Request::get("/v1/models").body(Body::empty()).map_err(|error| error.to_string())?;
        let answer = daemon.mesh.request(device, request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = axum::body::to_bytes(Body::new(answer.into_body()), MAX_LIST).await;
        let body = body.map_err(|_| "Its answer broke off.".to_owned())?;
        match serde_json::from_slice::<Listed>(&body) {
            Ok(list) if status.is_success() => Ok(list.data.len()),
            _ => Err(format!("It answered with status {}.", status.as_u16())),
        }
    };
    let fix = "Look at its own doctor, and see that both run the same version.";
    match tokio::time::timeout(ANSWER_TIME, asked).await {
        Ok(Ok(0)) => failed("answering", "It answers, but lends no model.", "Add an engine or a model there."),
        Ok(Ok(count)) => passed("answering", format!("It lends {count} model{}.", if count == 1 { "" } else { "s" })),
        Ok(Err(reason)) => failed("answering", reason, fix),
        Err(_) => failed("answering", "It did not answer within 5 s.", fix),
    }
}
