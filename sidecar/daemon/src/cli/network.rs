//! `network ...`

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Decision, Network, NetworkKind};

use super::Context;
use super::args::NetworkAction;
use super::device::role_word;
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{now, relative};

/// Runs a `network` command. Each prints the network it was about, as it is afterwards.
pub(super) async fn run(action: NetworkAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let network = match action {
        NetworkAction::List => {
            let networks = client.network_list().await?;
            return context.out.document(&networks[..], list);
        }
        NetworkAction::Create { name, closed } => {
            let kind = if closed { NetworkKind::Closed } else { NetworkKind::Open };
            client.network_create(name, kind).await?
        }
        NetworkAction::Show { name } => client.network_show(name).await?,
        NetworkAction::Use { name } => client.network_use(name).await?,
        NetworkAction::Leave => {
            let network = client.network_show(None).await?;
            client.network_leave().await?;
            Network { active: false, ..network }
        }
        NetworkAction::Forget { name } => {
            let network = client.network_show(Some(name)).await?;
            client.network_forget(network.id.clone()).await?;
            Network { active: false, ..network }
        }
        NetworkAction::Rename { name, new } => client.network_rename(name, new).await?,
        NetworkAction::Kind { kind, name } => {
            let name = client.network_show(name).await?.id;
            client.network_kind(name, kind).await?
        }
        NetworkAction::Settings { name, changes } => {
            let mut network = client.network_show(name).await?;
            if let Some(patch) = changes.patch() {
                network = client.network_settings(network.id, patch).await?;
            }
            return context.out.document(&network, settings);
        }
        NetworkAction::Decisions { name } => {
            let decisions = client.decision_list(name).await?;
            return context.out.document(&decisions[..], decided);
        }
    };
    context.out.document(&network, describe)
}

fn list(out: Output, networks: &[Network]) -> String {
    if networks.is_empty() {
        return "No network yet. Found one with `myownmesh network create NAME`, or join one with `myownmesh join`."
            .to_owned();
    }
    let mut table = Table::new(&["NAME", "ACTIVE", "ROLE", "KIND", "MEMBERS", "ID"]);
    for network in networks {
        let active = if network.active { ("active", Style::Good) } else { ("", Style::Plain) };
        table.styled([
            (network.name.clone(), Style::Strong),
            (active.0.to_owned(), active.1),
            (role(network).to_owned(), Style::Plain),
            (kind_word(network.kind).to_owned(), Style::Plain),
            (network.members.to_string(), Style::Plain),
            (network.id.chars().take(12).collect(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn describe(_: Output, network: &Network) -> String {
    let admits = match network.kind {
        NetworkKind::Open => "every member may admit devices",
        NetworkKind::Closed => "owners and managers admit devices",
    };
    let members = if network.members == 1 { "1 member".to_owned() } else { format!("{} members", network.members) };
    let ended = network.ended.as_ref().map_or_else(String::new, |ended| format!("{}\n\n", printable(ended)));
    format!(
        "{}{}\n\n{ended}Role     {}\nKind     {}: {admits}\nMembers  {members}\nFounded  {}\nId       {}",
        printable(&network.name),
        if network.active { " (active)" } else { "" },
        role(network),
        kind_word(network.kind),
        relative(network.founded_at, now()),
        network.id,
    )
}

fn settings(_: Output, network: &Network) -> String {
    let settings = &network.settings;
    let relays = if settings.relays.is_empty() { "none".to_owned() } else { printable(&settings.relays.join(", ")) };
    let overruled = if settings.air_gapped { " (not used: air-gapped)" } else { "" };
    let on = |on| if on { "on" } else { "off" };
    format!(
        "{}\n\nRelays      {relays}{overruled}\nLookup      {}{overruled}\nNearby      {}: members find each other by \
         multicast DNS\nAnnounced   {}: devices nearby see its name and can knock\nAir-gapped  {}: nothing beyond the \
         local network is contacted",
        printable(&network.name),
        settings.lookup.as_deref().map_or_else(|| "off".to_owned(), printable),
        on(settings.mdns),
        on(settings.announce),
        on(settings.air_gapped),
    )
}

fn decided(out: Output, decisions: &[Decision]) -> String {
    let mut table = Table::new(&["WHEN", "BY", "WHAT", ""]);
    for decision in decisions {
        let note = match &decision.why_not {
            Some(reason) => (format!("Does not count: {reason}"), Style::Bad),
            None if !decision.waiting.is_empty() => {
                (format!("Not yet heard by {}.", decision.waiting.join(", ")), Style::Waiting)
            }
            None if !decision.acknowledged.is_empty() => {
                (format!("Confirmed by {}.", decision.acknowledged.join(", ")), Style::Quiet)
            }
            None => (String::new(), Style::Plain),
        };
        table.styled([
            (relative(decision.at, now()), Style::Quiet),
            (decision.author.clone(), Style::Strong),
            (decision.text.clone(), Style::Plain),
            note,
        ]);
    }
    table.render(out.colour())
}

fn role(network: &Network) -> &'static str {
    network.role.map_or("removed", role_word)
}

fn kind_word(kind: NetworkKind) -> &'static str {
    match kind {
        NetworkKind::Open => "open",
        NetworkKind::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::Role;

    use super::*;

    #[test]
    fn networks_are_listed_in_columns() {
        let home = Network {
            id: "a1b2c3d4e5f60718".to_owned(),
            name: "Home".to_owned(),
            active: true,
            role: Some(Role::Owner),
            kind: NetworkKind::Open,
            members: 3,
            founded_at: 0,
            settings: myownmesh_control::types::NetworkSettings::default(),
            ended: None,
        };
        let lab = Network { name: "Lab".to_owned(), active: false, role: None, members: 12, ..home.clone() };
        assert_eq!(
            list(Output::new(true), &[home, lab]),
            "NAME  ACTIVE  ROLE     KIND  MEMBERS  ID\n\
             Home  active  owner    open  3        a1b2c3d4e5f6\n\
             Lab           removed  open  12       a1b2c3d4e5f6"
        );
    }
}
