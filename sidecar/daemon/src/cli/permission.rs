//! `permission ...`: what tools may do on this device, and what waits for its person.

use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{Limits, Permission, PermissionProposal, PermissionTrust, Rule};

use super::Context;
use super::args::{PermissionAction, PermissionSetArgs};
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{now, relative};

/// Shortest beginning of a proposal's id that is shown; long enough to be unique among those that wait.
const SHOWN_ID: usize = 10;

/// Runs a `permission` command.
pub(super) async fn run(action: PermissionAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let permission = match action {
        PermissionAction::List => return context.out.document(&client.permission_list().await?[..], table),
        PermissionAction::Proposals => return context.out.document(&client.permission_proposals().await?[..], waiting),
        PermissionAction::Trust { device: Some(device), on: Some(on) } => {
            let trust = client.permission_trust(device, on).await?;
            return context.out.document(&trust, |_, trust| trust_sentence(trust));
        }
        PermissionAction::Trust { .. } => {
            return context.out.document(&client.permission_trusted().await?[..], trusted);
        }
        PermissionAction::Set(PermissionSetArgs { tool, rule, limits }) => {
            client.permission_set(tool, rule, limits.limits()).await?
        }
        PermissionAction::Explain { tool } => client.permission_explain(tool).await?,
        PermissionAction::Accept { id } => client.permission_accept(id).await?,
        PermissionAction::Decline { id } => client.permission_decline(id).await?,
    };
    context.out.document(&permission, describe)
}

fn table(out: Output, permissions: &[Permission]) -> String {
    let mut table = Table::new(&["TOOL", "RULE", "LIMITS", "WHY"]);
    for permission in permissions {
        let (rule, style) = rule_word(permission.rule);
        table.styled([
            (permission.tool.clone(), Style::Strong),
            (rule.to_owned(), style),
            (limits(&permission.limits), Style::Plain),
            (permission.reason.clone(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn describe(_: Output, permission: &Permission) -> String {
    let mut lines = vec![format!("{}  {}", printable(&permission.tool), printable(&permission.reason))];
    let limits = limits(&permission.limits);
    if !limits.is_empty() {
        lines.push(format!("Confined to {}.", printable(&limits)));
    }
    if let Some(proposal) = &permission.proposal {
        let id: String = proposal.id.chars().take(SHOWN_ID).collect();
        lines.push(format!(
            "`myownmesh permission accept {id}` lets the proposal hold here, `decline {id}` keeps it out."
        ));
    }
    lines.join("\n")
}

fn waiting(out: Output, proposals: &[PermissionProposal]) -> String {
    if proposals.is_empty() {
        return "Nothing waits for you.".to_owned();
    }
    let mut table = Table::new(&["ID", "TOOL", "NOW", "PROPOSED", "LIMITS", "BY", "WHEN"]);
    for proposal in proposals {
        let ((now_word, now_style), (word, style)) = (rule_word(proposal.now), rule_word(proposal.rule));
        table.styled([
            (proposal.id.chars().take(SHOWN_ID).collect(), Style::Plain),
            (proposal.tool.clone(), Style::Strong),
            (now_word.to_owned(), now_style),
            (word.to_owned(), style),
            (limits(&proposal.limits), Style::Plain),
            (proposal.device_name.clone(), Style::Plain),
            (relative(proposal.at, now()), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn trusted(out: Output, devices: &[PermissionTrust]) -> String {
    if devices.is_empty() {
        return "No other device is a member.".to_owned();
    }
    let mut table = Table::new(&["DEVICE", "TRUSTED", "ID"]);
    for device in devices {
        let (word, style) = if device.trusted { ("yes", Style::Waiting) } else { ("no", Style::Plain) };
        table.styled([
            (device.device_name.clone(), Style::Strong),
            (word.to_owned(), style),
            (device.device_id.chars().take(SHOWN_ID).collect(), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn trust_sentence(trust: &PermissionTrust) -> String {
    let name = printable(&trust.device_name);
    if trust.trusted {
        format!("Looser rules that {name} sets from now on hold here without asking.")
    } else {
        format!("Looser rules of {name} wait for you.")
    }
}

fn limits(limits: &Limits) -> String {
    let lists = [&limits.folders, &limits.commands, &limits.hosts];
    lists.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn rule_word(rule: Rule) -> (&'static str, Style) {
    match rule {
        Rule::Deny => ("deny", Style::Good),
        Rule::Ask => ("ask", Style::Plain),
        Rule::Allow => ("allow", Style::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Permission {
        let limits = Limits { commands: vec!["git status".to_owned(), "ls".to_owned()], ..Limits::default() };
        let proposal = PermissionProposal {
            id: "0123456789abcdef".to_owned(),
            tool: "shell".to_owned(),
            rule: Rule::Allow,
            limits: Limits::default(),
            now: Rule::Ask,
            device_id: "ab".repeat(32),
            device_name: "Lap\u{1b}[2Jtop".to_owned(),
            at: now(),
        };
        Permission {
            tool: "shell".to_owned(),
            rule: Rule::Ask,
            limits,
            reason: "Ask: nobody has set it here\u{7}.".to_owned(),
            set_by: None,
            set_by_name: None,
            set_at: None,
            proposal: Some(proposal),
        }
    }

    #[test]
    fn rules_are_listed_with_their_reasons() {
        assert_eq!(
            table(Output::new(true), &[shell()]),
            "TOOL   RULE  LIMITS          WHY\nshell  ask   git status, ls  Ask: nobody has set it here."
        );
        assert_eq!(
            describe(Output::new(true), &shell()),
            "shell  Ask: nobody has set it here.\nConfined to git status, ls.\n`myownmesh permission accept 0123456789` lets \
             the proposal hold here, `decline 0123456789` keeps it out."
        );
    }

    #[test]
    fn proposals_and_trust_are_listed() {
        let proposals: Vec<_> = shell().proposal.into_iter().collect();
        assert_eq!(
            waiting(Output::new(true), &proposals),
            "ID          TOOL   NOW  PROPOSED  LIMITS  BY         WHEN\n0123456789  shell  ask  allow             Lap[2Jtop  now"
        );
        assert_eq!(waiting(Output::new(true), &[]), "Nothing waits for you.");
        let lap = PermissionTrust { device_id: "ab".repeat(32), device_name: "Lap".to_owned(), trusted: true };
        assert_eq!(
            trusted(Output::new(true), std::slice::from_ref(&lap)),
            "DEVICE  TRUSTED  ID\nLap     yes      ababababab"
        );
        assert!(trust_sentence(&lap).contains("from now on"));
    }
}
