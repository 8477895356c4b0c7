//! The fourth part of the contract, answered: lending and what was lent and borrowed.

use jsonrpsee::core::async_trait;
use myownmesh_control::api::lending::LendingApiServer;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{ActivityKind, Event, Lending, LendingHours, LendingRules, MemberRules, Usage};
use myownmesh_mesh::NetworkId;

use super::{Control, networks};
use crate::activity::Told;
use crate::convert::OrControl;
use crate::daemon::Daemon;
use crate::text::now_ms;

/// What is told of usage when nobody says since when: 30 days, in milliseconds.
const USED: i64 = 30 * 24 * 60 * 60 * 1000;
/// Most models a rule names.
const MOST_MODELS: usize = 256;
/// Longest id of a model, in bytes.
const MAX_ID: usize = 256;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

#[async_trait]
impl LendingApiServer for Control {
    async fn lend_show(&self) -> Result<Lending, ControlError> {
        Ok(self.daemon.lending.show(active(&self.daemon)?))
    }

    async fn lend_set(&self, rules: LendingRules) -> Result<Lending, ControlError> {
        let network = active(&self.daemon)?;
        check(rules.concurrent, rules.tokens_per_day, rules.models.as_deref(), rules.hours)?;
        self.daemon.lending.set_rules(network, rules).await.or_control()?;
        Ok(changed(&self.daemon, network, "The rules of lending were changed."))
    }

    async fn lend_member(&self, mut rules: MemberRules) -> Result<Lending, ControlError> {
        let network = active(&self.daemon)?;
        check(rules.concurrent, rules.tokens_per_day, rules.models.as_deref(), rules.hours)?;
        let device = self.daemon.find_device(&rules.device_id)?;
        let mesh = self.daemon.picture();
        if device == mesh.device_id {
            return Err(invalid("These rules are about other members. This device's own requests go first anyway."));
        }
        let name = mesh.member(device).map_or_else(|| device.short(), |member| member.name.to_string());
        (rules.device_id, rules.device_name) = (device.to_string(), name.clone());
        self.daemon.lending.set_member(network, device, rules).await.or_control()?;
        Ok(changed(&self.daemon, network, &format!("The rules of lending to {name} were changed.")))
    }

    async fn lend_pause(&self, seconds: Option<u32>, at_once: bool) -> Result<Lending, ControlError> {
        let network = active(&self.daemon)?;
        if seconds == Some(0) {
            return Err(invalid("A pause lasts a second at least. Leave the time out to end it yourself."));
        }
        self.daemon.lending.pause(seconds, at_once).await.or_control()?;
        let cut = if at_once { "; running answers were ended" } else { "" };
        Ok(changed(&self.daemon, network, &format!("Lending was paused{cut}.")))
    }

    async fn lend_resume(&self) -> Result<Lending, ControlError> {
        let network = active(&self.daemon)?;
        if self.daemon.lending.resume().await.or_control()? {
            return Ok(changed(&self.daemon, network, "Lending goes on."));
        }
        Ok(self.daemon.lending.show(network))
    }

    async fn usage(&self, since: Option<i64>) -> Result<Usage, ControlError> {
        let since = since.unwrap_or_else(|| now_ms() - USED);
        self.daemon.ledger.usage(self.daemon.picture().active, since).await.or_control()
    }
}

fn active(daemon: &Daemon) -> Result<NetworkId, ControlError> {
    Ok(networks::active(&daemon.picture())?.id)
}

/// Tells what was done, and how things stand now.
fn changed(daemon: &Daemon, network: NetworkId, text: &str) -> Lending {
    daemon.activity.tell(Told::new(Some(network), ActivityKind::Lending, text));
    daemon.events.push(Event::DevicesChanged);
    daemon.lending.show(network)
}

fn invalid(message: &str) -> ControlError {
    ControlError::new(ErrorCode::InvalidArgument, message)
}

fn check(
    concurrent: Option<u32>,
    tokens: Option<u64>,
    models: Option<&[String]>,
    hours: Option<LendingHours>,
) -> Result<(), ControlError> {
    if concurrent == Some(0) || tokens == Some(0) || models.is_some_and(<[String]>::is_empty) {
        return Err(invalid(
            "A limit of nothing lends nothing. Leave it out to lift it; to lend nothing, set accepting to busy.",
        ));
    }
    if tokens.is_some_and(|tokens| i64::try_from(tokens).is_err()) {
        return Err(invalid("So many tokens are no limit. Leave it out."));
    }
    let odd = |model: &String| model.is_empty() || model.len() > MAX_ID || model.chars().any(char::is_control);
    if models.is_some_and(|models| models.len() > MOST_MODELS || models.iter().any(odd)) {
        return Err(invalid("Name at most 256 models, each by its id as `myownmesh models` shows it."));
    }
    if hours.is_some_and(|hours| hours.from >= DAY || hours.to >= DAY || hours.from == hours.to) {
        return Err(invalid("Hours begin and end at different minutes of a day, from 0 to 1439."));
    }
    Ok(())
}
