//! `events`: everything that happens, as it happens.

use std::ops::ControlFlow;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{DeviceState, Event, EventItem, Rule};

use super::Context;
use super::output::{Failure, INTERRUPTED, printable};
use super::signals::interrupted;
use super::status::phase_word;
use super::stream::follow;

/// Prints events until the daemon ends or the person interrupts.
pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let out = context.out;
    let items = follow(
        &client,
        async |after| client.events(after).await,
        |item: &EventItem| item.seq,
        |item| {
            if out.is_json() {
                out.json_line(&item)?;
            } else {
                out.line(&sentence(&item.event))?;
            }
            Ok(if item.event == Event::Stopping { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        },
    );
    tokio::select! {
        result = items => result,
        () = interrupted() => Err(Failure::Reported(INTERRUPTED)),
    }
}

fn sentence(event: &Event) -> String {
    let text = match event {
        Event::Missed => "Some events were missed.".to_owned(),
        Event::Phase { phase, reason } => format!("Phase: {}. {reason}", phase_word(*phase).0),
        Event::NetworksChanged => "Networks changed.".to_owned(),
        Event::DevicesChanged => "Devices changed.".to_owned(),
        Event::Device { name, state, reason, .. } => {
            let state = match state {
                DeviceState::Online => "online",
                DeviceState::Connecting => "being reached",
                DeviceState::Away => "away",
            };
            format!("{name} is {state}. {reason}")
        }
        Event::EnginesChanged => "Engines changed.".to_owned(),
        Event::ModelsChanged => "Models changed.".to_owned(),
        Event::ConversationsChanged => "Conversations changed.".to_owned(),
        Event::InvitesChanged => "Invites changed.".to_owned(),
        Event::Knock { knock } => {
            format!("{} ({}) knocks with the code {}.", knock.device_name, knock.os, knock.code)
        }
        Event::KnockEnded { device_name, outcome, decided_by, .. } => {
            let by = decided_by.as_ref().map_or_else(String::new, |name| format!(" by {name}"));
            format!("The knock of {device_name} was {outcome}{by}.")
        }
        Event::NearbyChanged => "Devices nearby changed.".to_owned(),
        Event::RelaysChanged => "Relays changed.".to_owned(),
        Event::DecisionsChanged => "Decisions changed.".to_owned(),
        Event::ActivityChanged => "Something was added to the activities.".to_owned(),
        Event::PromptsChanged => "Prompts changed.".to_owned(),
        Event::PermissionsChanged => "Permissions changed.".to_owned(),
        Event::Proposal { proposal } => {
            let rule = match proposal.rule {
                Rule::Deny => "deny",
                Rule::Ask => "ask for",
                Rule::Allow => "allow",
            };
            format!(
                "{} proposes to {rule} {}. `myownmesh permission proposals` shows it.",
                proposal.device_name, proposal.tool
            )
        }
        Event::CapabilitiesChanged => "What devices can do changed.".to_owned(),
        Event::CatalogueChanged => "What devices show of their conversations changed.".to_owned(),
        Event::SyncChanged => "How far devices are changed.".to_owned(),
        Event::LendingChanged => "What this device lends changed.".to_owned(),
        Event::UsageChanged => "Something was lent or borrowed.".to_owned(),
        Event::ApiRequestsChanged => "Requests at the local API changed.".to_owned(),
        Event::ShelfChanged => "Models of this device changed.".to_owned(),
        Event::Stopping => "The daemon is ending.".to_owned(),
    };
    printable(&text).replace('\n', " ")
}
