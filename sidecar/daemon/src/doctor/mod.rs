//! The staged checks: this device first, then each member from "is it known" to "does it answer"; or the way to one
//! member alone; or, before joining, the way to the network of an invite. A stage that an earlier failure makes
//! pointless is left out. `mask` makes the report that can be shown to others.

mod mask;

use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{DoctorCause, DoctorCheck, DoctorReport, Phase};
use myownmesh_mesh::{DeviceId, MeshSnapshot, ProbeCause, ProbeCheck, ProbeReport};
use serde::Deserialize;

use self::mask::Mask;
use crate::control::invites;
use crate::daemon::Daemon;
use crate::phase::phase;
use crate::platform;
use crate::text::listed;

/// How long a device may take to list its models.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Largest list of models that is read, in bytes.
const MAX_LIST: usize = 1024 * 1024;

/// Examines this device and every other member, or the way to the device or the invite that `target` names.
pub(crate) async fn examine(daemon: &Daemon, target: Option<&str>) -> Result<DoctorReport, ControlError> {
    let mesh = daemon.picture();
    let mut mask = known(daemon, &mesh);
    let checks = match target {
        Some(link) if link.contains("://") => {
            let invite = invites::parse(link)?;
            let payload = invite.payload();
            mask.network(&payload.network.to_string(), payload.name.as_str());
            mask.device(&payload.inviter.to_string(), "");
            stages(daemon.mesh.probe_invite(&invite).await)
        }
        Some(_) if mesh.active.is_none() => vec![network_check(daemon)],
        _ => {
            let chosen = target.map(|text| daemon.find_device(text)).transpose()?;
            examine_members(daemon, &mesh, chosen).await
        }
    };
    let report = report(&checks, &mut mask);
    Ok(DoctorReport { checks, report })
}

async fn examine_members(daemon: &Daemon, mesh: &MeshSnapshot, chosen: Option<DeviceId>) -> Vec<DoctorCheck> {
    // Whoever is no member any more reaches nobody; the check of the network says so.
    let member = mesh.networks.iter().any(|network| network.active && network.role.is_some());
    let others: Vec<_> = mesh
        .members
        .iter()
        .filter(|_| member)
        .filter(|member| !member.this_device && chosen.is_none_or(|id| id == member.device_id))
        .map(|member| (member.device_id, member.name.to_string()))
        .collect();
    let mut checks = Vec::new();
    // What this device has of its own is no obstacle on the way to another one.
    if chosen.is_none_or(|id| id == mesh.device_id) {
        checks.extend([daemon_check(daemon), engine_check(daemon), network_check(daemon)]);
    } else if !member {
        checks.push(network_check(daemon));
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
    checks
}

/// Everything that the sentences may name. This device is "Device 1".
fn known(daemon: &Daemon, mesh: &MeshSnapshot) -> Mask {
    let mut mask = Mask::default();
    mask.device(&mesh.device_id.to_string(), mesh.device_name.as_str());
    for member in &mesh.members {
        mask.device(&member.device_id.to_string(), member.name.as_str());
    }
    for knock in &mesh.knocks {
        mask.device(&knock.device_id.to_string(), knock.device_name.as_str());
    }
    for found in &mesh.nearby {
        mask.device(&found.device_id.to_string(), found.name.as_str());
    }
    for network in &mesh.networks {
        mask.network(&network.id.to_string(), network.name.as_str());
        if let Some(by) = network.removed.as_ref().and_then(|removed| removed.by.as_ref()) {
            mask.word(by.as_str(), "(a device)");
        }
    }
    for network in mesh.nearby.iter().filter_map(|found| found.network.as_ref()) {
        mask.network(&network.id.to_string(), network.name.as_str());
    }
    mask.word(&daemon.config.folder().to_string_lossy(), "(home)");
    mask
}

/// The checks as text, without anything that tells whose they are.
fn report(checks: &[DoctorCheck], mask: &mut Mask) -> String {
    let mut lines = vec![
        format!("MyOwnLLM {} on {}", myownmesh_control::VERSION, platform::os_name()),
        "Keys, addresses and names are masked.".to_owned(),
        String::new(),
    ];
    for check in checks {
        let verdict = if check.ok { "ok  " } else { "FAIL" };
        let cause = check.cause.and_then(|cause| serde_json::to_value(cause).ok());
        let cause = cause.as_ref().and_then(|cause| cause.as_str()).map_or_else(String::new, |c| format!(" [{c}]"));
        lines.push(format!("{verdict}  {}{cause}: {}", check.name, mask.apply(&check.detail)));
        lines.extend(check.fix.iter().map(|fix| format!("      {}", mask.apply(fix))));
    }
    lines.join("\n")
}

fn passed(name: &str, detail: impl Into<String>) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), ok: true, detail: detail.into(), fix: None, cause: None }
}

fn failed(name: &str, cause: Option<DoctorCause>, detail: impl Into<String>, fix: impl Into<String>) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), ok: false, detail: detail.into(), fix: Some(fix.into()), cause }
}

/// The mesh's causes, for programs. One that this version does not know stays without a name.
fn cause(cause: ProbeCause) -> Option<DoctorCause> {
    Some(match cause {
        ProbeCause::Unknown => DoctorCause::Unknown,
        ProbeCause::MulticastMissing => DoctorCause::MulticastMissing,
        ProbeCause::NoRoute => DoctorCause::NoRoute,
        ProbeCause::RelayRefused => DoctorCause::RelayRefused,
        ProbeCause::WrongNetwork => DoctorCause::WrongNetwork,
        ProbeCause::NotAdmitted => DoctorCause::NotAdmitted,
        ProbeCause::VersionMismatch => DoctorCause::VersionTooOld,
        ProbeCause::ClockOff => DoctorCause::ClockOff,
        ProbeCause::Relayed => DoctorCause::Relayed,
        ProbeCause::InviteExpired => DoctorCause::InviteExpired,
        _ => return None,
    })
}

fn daemon_check(daemon: &Daemon) -> DoctorCheck {
    let facts = &daemon.facts;
    let detail = format!("Version {} runs, its local API is {}.", myownmesh_control::VERSION, facts.api_url);
    match facts.warnings.as_slice() {
        [] => passed("daemon", detail),
        warnings => failed(
            "daemon",
            None,
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
        return failed("engine", Some(DoctorCause::EngineDown), broken.join(" "), fix);
    }
    if models.is_empty() {
        let fix =
            "Put a GGUF file into the models folder, start Ollama, or add an engine with `myownmesh engine add URL`.";
        let detail = "This device has no model; it can only use those of other devices.";
        return failed("engine", Some(DoctorCause::NoModel), detail, fix);
    }
    passed("engine", format!("Models here: {}.", listed(&models, 5)))
}

fn network_check(daemon: &Daemon) -> DoctorCheck {
    let mesh = daemon.picture();
    let (phase, reason) = phase(&mesh);
    let removed = mesh.networks.iter().any(|network| network.active && network.role.is_none());
    match phase {
        Phase::NoNetwork => {
            let fix = "Found a network, join one with an invite, or switch to a saved one.";
            failed("network", Some(DoctorCause::NoNetwork), reason, fix)
        }
        Phase::Trouble if removed => {
            let fix = "Ask for a new invite and knock again, or forget the network.";
            failed("network", Some(DoctorCause::NotAdmitted), reason, fix)
        }
        Phase::Trouble => failed("network", None, reason, "Look at the checks of the devices below."),
        _ => passed("network", reason),
    }
}

fn stage(name: &str, check: ProbeCheck) -> DoctorCheck {
    let cause = check.cause.and_then(cause);
    DoctorCheck { name: name.to_owned(), ok: check.ok, detail: check.detail, fix: check.fix, cause }
}

fn stages(report: ProbeReport) -> Vec<DoctorCheck> {
    let mut checks = vec![stage("found", report.found)];
    checks.extend(report.reachable.map(|check| stage("reachable", check)));
    checks.extend(report.direct.map(|check| stage("direct", check)));
    checks.extend(report.admitted.map(|check| stage("admitted", check)));
    checks
}

async fn examine_device(daemon: &Daemon, device: DeviceId) -> Vec<DoctorCheck> {
    let report = daemon.mesh.probe(device).await;
    let admitted = report.admitted.as_ref().is_some_and(|check| check.ok);
    let mut checks = stages(report);
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
    let down = |reason: &str| {
        let fix = "Look at its own doctor: `myownmesh doctor` there tells what its engine needs.";
        failed("answering", Some(DoctorCause::EngineDown), reason, fix)
    };
    match tokio::time::timeout(ANSWER_TIME, asked).await {
        Ok(Ok(0)) => {
            let fix = "Add an engine or a model there, or start the engine it has.";
            failed("answering", Some(DoctorCause::NoModel), "It answers, but lends no model.", fix)
        }
        Ok(Ok(count)) => passed("answering", format!("It lends {count} model{}.", if count == 1 { "" } else { "s" })),
        Ok(Err(reason)) => down(&reason),
        Err(_) => down("It did not answer within 5 s."),
    }
}
