//! The ways in: invites, joining, knocks and the decision on them.

use std::time::Duration;

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::{self as control, DenyKind, DeviceSummary, Event, JoinEvent, Knock, Role};
use myownmesh_mesh::{Code, InviteError, InviteId, InviteInfo, JoinProgress, KnockId, MeshError};

use super::networks;
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
    daemon.events.push(Event::InvitesChanged);
    Ok(convert::invite(&made))
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
    revoked.map(convert::invite).ok_or_else(|| MeshError::UnknownInvite.into_control())
}

/// Begins to join and returns at once; what follows is a stream.
pub(super) async fn join(daemon: &Daemon, invite: &str) -> Result<String, ControlError> {
    let invite = invite.parse().map_err(|error: InviteError| {
        let code = match error {
            InviteError::Expired => ErrorCode::InviteExpired,
            InviteError::NewerVersion(_) => ErrorCode::VersionMismatch,
            _ => ErrorCode::InvalidInvite,
        };
        ControlError::new(code, sentence(&error))
    })?;
    let progress = daemon.mesh.join(invite).await.or_control()?;
    Ok(daemon.joins.spawn(None, |stream| follow(progress, stream)).await)
}

async fn follow(mut progress: JoinProgress, stream: Stream<JoinEvent>) {
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
