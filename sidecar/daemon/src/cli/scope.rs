//! `scope`: what a member may do on this device.

use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{MemberScope, MemberScopes};

use super::Context;
use super::args::ScopeArgs;
use super::output::{Failure, Output, Style, Table};

/// Shows or changes what a member may do here.
pub(super) async fn run(args: ScopeArgs, context: &Context) -> Result<(), Failure> {
    let ScopeArgs { device, scope, on } = args;
    let client = context.connect().await?;
    let scopes = match (scope, on) {
        (Some(scope), Some(on)) => client.scope_set(device, scope, on).await?,
        _ => client.scope_show(device).await?,
    };
    context.out.document(&scopes, table)
}

fn table(out: Output, member: &MemberScopes) -> String {
    let mut table = Table::new(&["SCOPE", "", "WHAT IT LETS THE DEVICE DO HERE"]);
    for (scope, word, what) in [
        (MemberScope::Chat, "chat", "ask the models of this device"),
        (MemberScope::Files, "files", "send and fetch files"),
        (MemberScope::Transcribe, "transcribe", "have speech turned into text"),
        (MemberScope::Conversations, "conversations", "see and move conversations"),
        (MemberScope::Models, "models", "see which models are here, and copy them"),
    ] {
        let (switch, style) = if member.scopes.contains(&scope) { ("on", Style::Good) } else { ("off", Style::Bad) };
        table.styled([(word.to_owned(), Style::Strong), (switch.to_owned(), style), (what.to_owned(), Style::Quiet)]);
    }
    table.render(out.colour())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_shown() {
        let member = MemberScopes {
            device_id: "ab".repeat(32),
            device_name: "Lap".to_owned(),
            scopes: vec![MemberScope::Chat, MemberScope::Models],
        };
        let text = table(Output::new(true), &member);
        let switches: Vec<_> = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(switches, ["on", "off", "off", "off", "on"], "{text}");
    }
}
