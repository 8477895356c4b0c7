//! The ways in: invites, joining, knocks and the decision on them.

use std::time::Duration;

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{self as control, ActivityKind, DenyKind, DeviceSummary, Event, JoinEvent, Knock, Role};
use myownmesh_mesh::{Code, Invite, InviteError, InviteId, InviteInfo, JoinProgress, KnockId, MeshError, NetworkId};

use super::networks;
use crate::activity::{Activity, Told};
use crate::convert::{self, IntoControl, OrControl};
use crate::daemon::Daemon;
use crate::streams::Stream;
use crate::text::{now_ms, sentence};

/// Longest reason of a denial, in characters.
const MAX_REASON: usize = 200;

pub(super) async fn create(daemon: &Daemon, options: control::InviteOptions) -> Result<control::Invite, ControlError> {
    networks::active(&daemon.picture())?;
    let options = myownmesh_mesh::InviteOptions {
        expires_in: options.expires_in_s.map(|seconds| Duration::from_secs(seconds.into())),
        approved: options.approved,
        role: options.role.map(convert::mesh_role),
        uses: options.uses,
    };
    let made = daemon.mesh.create_invite(options).await.or_control()?;
    // One that also admits is a decision of the network, and told as such.
    if !made.approved {
        told(daemon, Some(made.network), ActivityKind::Invite, format!("This device made the invite {}.", made.id));
    }
    daemon.events.push(Event::InvitesChanged);
    Ok(convert::invite(&made))
}

fn told(daemon: &Daemon, network: Option<NetworkId>, kind: ActivityKind, text: String) {
    daemon.activity.tell(Told::new(network, kind, text));
}

pub(super) async fn list(daemon: &Daemon) -> Result<Vec<control::Invite>, ControlError> {
    let now = now_ms();
    let works = |invite: &&InviteInfo| !invite.revoked && invite.expires_at > now && invite.uses_left != Some(0);
    Ok(daemon.mesh.invites().await.or_control()?.iter().filter(works).map(convert::invite).collect())
}

pub(super) async fn revoke(daemon: &Daemon, id: &str) -> Result<control::Invite, ControlError> {
    let id: InviteId = id.trim().parse().map_err(|_| MeshError::UnknownInvite.into_control())?;
    daemon.mesh.revoke_invite(id).await.or_control()?;
    daemon.events.push(Event::InvitesChanged);
    let invites = daemon.mesh.invites().await.or_control()?;
    let revoked = invites.iter().find(|invite| invite.id == id);
    if let Some(revoked) = revoked.filter(|invite| !invite.approved) {
        told(daemon, Some(revoked.network), ActivityKind::Invite, format!("This device revoked the invite {id}."));
    }
    revoked.map(convert::invite).ok_or_else(|| MeshError::UnknownInvite.into_control())
}

/// Reads a link.
pub(crate) fn parse(invite: &str) -> Result<Invite, ControlError> {
    invite.parse().map_err(|error: InviteError| {
        let code = match error {
            InviteError::Expired => ErrorCode::InviteExpired,
            InviteError::NewerVersion(_) => ErrorCode::VersionMismatch,
            _ => ErrorCode::InvalidInvite,
        };
        ControlError::new(code, sentence(&error))
    })
}

/// Begins to join and returns at once; what follows is a stream.
pub(super) async fn join(daemon: &Daemon, invite: &str) -> Result<String, ControlError> {
    let invite = parse(invite)?;
    let progress = daemon.mesh.join(invite).await.or_control()?;
    Ok(follow_join(daemon, progress).await)
}

/// Makes a stream of an attempt to join; gives its id.
pub(super) async fn follow_join(daemon: &Daemon, progress: JoinProgress) -> String {
    let activity = daemon.activity.clone();
    daemon.joins.spawn(None, |stream| follow(progress, stream, activity)).await
}

async fn follow(mut progress: JoinProgress, stream: Stream<JoinEvent>, activity: Activity) {
    let mut network = "a network".to_owned();
    loop {
        let step = tokio::select! {
            biased;
            () = stream.cancel.cancelled() => None,
            step = progress.next() => step,
        };
        // Dropping the progress withdraws the knock.
        let event =
            step.map_or_else(|| JoinEvent::Failed { error: MeshError::Cancelled.into_control() }, convert::join_event);
        let last = matches!(event, JoinEvent::Joined { .. } | JoinEvent::Failed { .. });
        match &event {
            JoinEvent::Finding { network: name } => network.clone_from(name),
            JoinEvent::Joined { network: name, network_id } => {
                let joined = network_id.parse().ok();
                // It may be forgotten and joined again.
                joined.into_iter().for_each(|id| activity.joined(id));
                let text = format!("This device joined {name}.");
                activity.tell(Told::new(joined, ActivityKind::Network, text));
            }
            JoinEvent::Failed { error } => {
                let text = format!("This device did not join {network}. {}", error.message);
                activity.tell(Told::new(None, ActivityKind::Knock, text));
            }
            JoinEvent::Connected { .. } | JoinEvent::Knocking { .. } => {}
        }
        stream.ring.push(event);
        if last {
            return;
        }
    }
}

pub(super) async fn find_join(daemon: &Daemon, id: &str) -> Result<Stream<JoinEvent>, ControlError> {
    let gone = "There is no such attempt to join any more. Start it again with the invite.";
    daemon.joins.find(id).await.ok_or_else(|| ControlError::new(ErrorCode::NotFound, gone))
}

pub(super) async fn stop_join(daemon: &Daemon, id: &str) -> Result<(), ControlError> {
    find_join(daemon, id).await?.cancel.cancel();
    Ok(())
}

pub(super) fn knocks(daemon: &Daemon) -> Vec<Knock> {
    let mesh = daemon.picture();
    mesh.knocks.iter().map(|knock| convert::knock(knock, &mesh.networks)).collect()
}

fn knock_id(id: &str) -> Result<KnockId, ControlError> {
    id.trim().parse().map_err(|_| MeshError::UnknownKnock.into_control())
}

pub(super) async fn approve(
    daemon: &Daemon,
    id: &str,
    role: Option<Role>,
    code: Option<&str>,
) -> Result<DeviceSummary, ControlError> {
    let knock = knock_id(id)?;
    // A code of the wrong form is a wrong code.
    let code: Option<Code> =
        code.map(|text| text.parse().map_err(|_| MeshError::CodeMismatch.into_control())).transpose()?;
    let role = convert::mesh_role(role.unwrap_or(Role::Member));
    let member = daemon.mesh.approve(knock, role, code).await.or_control()?;
    Ok(convert::device(&member, &daemon.card(&daemon.picture())))
}

pub(super) async fn deny(
    daemon: &Daemon,
    id: &str,
    kind: DenyKind,
    reason: Option<String>,
) -> Result<(), ControlError> {
    let reason = reason.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if reason.as_ref().is_some_and(|text| text.chars().count() > MAX_REASON) {
        let message = format!("The reason is too long: {MAX_REASON} characters are the most.");
        return Err(ControlError::new(ErrorCode::InvalidArgument, message));
    }
    daemon.mesh.deny(knock_id(id)?, convert::deny_kind(kind), reason).await.or_control()
}
