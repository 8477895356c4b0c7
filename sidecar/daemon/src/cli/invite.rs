//! `invite`, `invite list`, `invite revoke`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Invite, InviteOptions};

use super::args::{InviteAction, InviteArgs, InviteFlags};
use super::output::{Failure, Output, Style, Table};
use super::units::{now, relative};
use super::{Context, misuse, pick};

/// Makes, lists or revokes invites.
pub(super) async fn run(args: InviteArgs, context: &Context) -> Result<(), Failure> {
    if args.action.is_some() && args.options != InviteFlags::default() {
        return Err(misuse("these flags make an invite: leave `list` or `revoke` away, or the flags"));
    }
    let client = context.connect().await?;
    match args.action {
        None => {
            let InviteFlags { approved, role, uses, expires } = args.options;
            let options = InviteOptions { approved, role, uses, expires_in_s: expires };
            let invite = client.invite_create(options).await?;
            context.out.document(&invite, |_, invite| describe(invite))
        }
        Some(InviteAction::List) => {
            let invites = client.invite_list().await?;
            context.out.document(&invites[..], list)
        }
        Some(InviteAction::Revoke { id }) => {
            let invites = client.invite_list().await?;
            let id = pick(&invites, &id, |invite| vec![&invite.id], "invite", "invite list")?.id.clone();
            let invite = client.invite_revoke(id).await?;
            context.out.document(&invite, |_, invite| format!("Invite {} no longer works.", invite.id))
        }
    }
}

fn describe(invite: &Invite) -> String {
    let admits = match (invite.approved, invite.uses_left) {
        (false, _) => "It finds the network; whoever comes knocks and waits for your approval.".to_owned(),
        (true, Some(1)) => "It admits one device without a question: send it only to whom you mean.".to_owned(),
        (true, Some(uses)) => format!("It admits {uses} devices without a question: send it only to whom you mean."),
        (true, None) => "It admits without a question: send it only to whom you mean.".to_owned(),
    };
    format!(
        "{}\n\n{admits}\nIt works for {}. Its id is {}.",
        invite.invite.as_deref().unwrap_or("(made on another device)"),
        relative(invite.expires_at, now()).trim_start_matches("in "),
        invite.id,
    )
}

/// Its link, or who has it.
fn made(invite: &Invite) -> String {
    let by = || invite.by.as_deref().map_or_else(|| "made elsewhere".to_owned(), |by| format!("made by {by}"));
    invite.invite.clone().unwrap_or_else(by)
}

fn list(out: Output, invites: &[Invite]) -> String {
    if invites.is_empty() {
        return "No invite is open. Make one with `myownmesh invite`.".to_owned();
    }
    let mut table = Table::new(&["ID", "ADMITS", "USES LEFT", "EXPIRES", "INVITE"]);
    for invite in invites {
        let uses = invite.uses_left.map_or_else(|| "any".to_owned(), |uses| uses.to_string());
        table.styled([
            (invite.id.clone(), Style::Strong),
            (if invite.approved { "yes" } else { "after a knock" }.to_owned(), Style::Plain),
            (uses, Style::Plain),
            (relative(invite.expires_at, now()), Style::Plain),
            (made(invite), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}
