//! Who may do what. Every check the fold makes, and every check a device makes before it writes a record, is here.

use iroh::Signature;

use super::{Membership, Void};
use crate::proto::{
    Millis,
    ids::{DeviceId, InviteId},
    knock::InviteProblem,
    record::{NetworkKind, Role},
};

impl Membership {
    /// Whether `by` may admit devices: owners and managers always, plain members while the network is open.
    pub fn may_admit(&self, by: DeviceId) -> bool {
        match self.role(by) {
            Some(Role::Owner | Role::Manager) => true,
            Some(Role::Member) => self.kind == NetworkKind::Open,
            None => false,
        }
    }

    /// Whether `by` may admit devices as `role` on its own decision: owners as anything, others as plain members.
    pub fn may_grant(&self, by: DeviceId, role: Role) -> bool {
        self.may_admit(by) && (role == Role::Member || self.role(by) == Some(Role::Owner))
    }

    /// Whether `by` may remove `device`: owners anybody else, managers plain members.
    ///
    /// Removing oneself is leaving, which has its own record.
    pub fn may_remove(&self, by: DeviceId, device: DeviceId) -> Result<(), Void> {
        let (Some(mine), Some(theirs)) = (self.role(by), self.role(device)) else { return Err(Void::NoEffect) };
        let allowed = match mine {
            Role::Owner => true,
            Role::Manager => theirs == Role::Member,
            Role::Member => false,
        };
        if allowed && by != device { Ok(()) } else { Err(Void::NoAuthority) }
    }

    /// Whether `by` may give `device` this role: owners may, as long as an owner remains.
    pub fn may_set_role(&self, by: DeviceId, device: DeviceId, role: Role) -> Result<(), Void> {
        if self.role(by) != Some(Role::Owner) {
            return Err(Void::NoAuthority);
        }
        match self.role(device) {
            None => Err(Void::NoEffect),
            Some(now) if now == role => Err(Void::NoEffect),
            Some(Role::Owner) if self.owners() == 1 => Err(Void::LastOwner),
            Some(_) => Ok(()),
        }
    }

    /// Whether `device` may leave: the last owner only when nobody else is left.
    pub fn may_leave(&self, device: DeviceId) -> Result<(), Void> {
        match self.role(device) {
            None => Err(Void::NotMember),
            Some(Role::Owner) if self.owners() == 1 && self.members.len() > 1 => Err(Void::LastOwner),
            Some(_) => Ok(()),
        }
    }

    /// Whether `by` may rename the network or change its kind: owners may.
    pub fn may_govern(&self, by: DeviceId) -> bool {
        self.role(by) == Some(Role::Owner)
    }

    /// Whether `by` may revoke this invite: its maker, owners and managers.
    pub fn may_revoke(&self, by: DeviceId, id: InviteId) -> Result<(), Void> {
        let invite = self.invites.get(&id).ok_or(Void::NoEffect)?;
        let allowed = match self.role(by) {
            Some(Role::Owner | Role::Manager) => true,
            Some(Role::Member) => invite.inviter == by,
            None => false,
        };
        if allowed { Ok(()) } else { Err(Void::NoAuthority) }
    }

    /// Whether invite `id` lets `by` admit `guest` at time `at` without a person, and as what.
    ///
    /// An invite is as good as its maker is when it is used; nobody hands out more than they hold; each device enters
    /// by an invite once; and one that was removed needs a person to come back.
    pub fn check_invite(
        &self,
        by: DeviceId,
        guest: DeviceId,
        id: InviteId,
        proof: &Signature,
        at: Millis,
    ) -> Result<Role, InviteProblem> {
        let invite = self.invites.get(&id).ok_or(InviteProblem::Unknown)?;
        let role = invite.grant.role;
        if invite.revoked || !self.may_grant(invite.inviter, role) {
            return Err(InviteProblem::Revoked);
        }
        if at >= invite.grant.expires_at {
            return Err(InviteProblem::Expired);
        }
        if invite.uses_left() == 0 || invite.used_by.contains(&guest) {
            return Err(InviteProblem::UsedUp);
        }
        if self.former.get(&guest).is_some_and(|former| former.by != guest) {
            return Err(InviteProblem::Revoked);
        }
        if !self.may_admit(by) || self.role(by) < Some(role) {
            return Err(InviteProblem::NotHere);
        }
        if invite.grant.key.verify(self.network, guest, proof) { Ok(role) } else { Err(InviteProblem::BadProof) }
    }

    /// How many owners there are.
    pub fn owners(&self) -> usize {
        self.members.values().filter(|member| member.role == Role::Owner).count()
    }
}
