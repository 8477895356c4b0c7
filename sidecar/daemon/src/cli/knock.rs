//! `knocks`, `approve`, `deny`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::types::{DenyKind, DeviceSummary, Knock};
use serde::Serialize;

use super::args::{ApproveArgs, DenyArgs};
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{now, relative};
use super::{Context, pick};

/// A knock and what became of it.
#[derive(Serialize)]
struct Decision {
    #[serde(flatten)]
    knock: Knock,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceSummary>,
}

/// Lists the knocks that wait.
pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let knocks = context.connect().await?.knock_list().await?;
    context.out.document(&knocks[..], table)
}

/// Admits a device.
pub(super) async fn approve(args: ApproveArgs, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let knock = find(&client, &args.knock).await?;
    let device = client.knock_approve(knock.id.clone(), args.role, args.code).await?;
    let decision = Decision { knock, outcome: "approved", device: Some(device) };
    context.out.document(&decision, |_, decision| {
        let Knock { device_name, network, .. } = &decision.knock;
        format!("{} is now a member of {}.", printable(device_name), printable(network))
    })
}

/// Turns a device down.
pub(super) async fn deny(args: DenyArgs, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let knock = find(&client, &args.knock).await?;
    client.knock_deny(knock.id.clone(), DenyKind::Denied, args.reason).await?;
    let decision = Decision { knock, outcome: "denied", device: None };
    context
        .out
        .document(&decision, |_, decision| format!("{} was turned down.", printable(&decision.knock.device_name)))
}

async fn find(client: &ControlClient, name: &str) -> Result<Knock, Failure> {
    let knocks = client.knock_list().await?;
    Ok(pick(&knocks, name, |knock| vec![&knock.id, &knock.device_name, &knock.device_id], "knock", "knocks")?.clone())
}

fn table(out: Output, knocks: &[Knock]) -> String {
    if knocks.is_empty() {
        return "Nobody is knocking.".to_owned();
    }
    let mut table = Table::new(&["ID", "DEVICE", "SYSTEM", "CODE", "CAME", "EXPIRES", ""]);
    for knock in knocks {
        let via = knock.via.as_ref().map(|name| format!("at {name}"));
        let warning = knock.resembles.as_ref().map(|name| format!("its name resembles {name}"));
        let style = if warning.is_some() { Style::Bad } else { Style::Quiet };
        let note: Vec<String> = warning.into_iter().chain(via).collect();
        table.styled([
            (knock.id.clone(), Style::Plain),
            (knock.device_name.clone(), Style::Strong),
            (knock.os.clone(), Style::Plain),
            (knock.code.clone(), Style::Strong),
            (relative(knock.at, now()), Style::Plain),
            (relative(knock.expires_at, now()), Style::Plain),
            (note.join(", "), style),
        ]);
    }
    table.render(out.colour())
}
