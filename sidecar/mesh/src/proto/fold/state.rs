//! Applies one record to a membership.

use std::collections::{BTreeMap, BTreeSet};

use super::{Former, InviteState, Member, Membership, Term, Void};
use crate::proto::{
    ids::DeviceId,
    record::{Admit, Body, Genesis, InviteGrant, Record, Remove, Role, SetRole, Via},
    settings::NetworkSettings,
};

impl Membership {
    /// The state right after the genesis record.
    pub(super) fn founded(record: &Record, genesis: &Genesis) -> Self {
        let founder = record.author();
        let member = Member {
            name: genesis.founder_name.clone(),
            os: genesis.founder_os.clone(),
            role: Role::Owner,
            admitted_at: record.hlc(),
            admitted_by: founder,
            via: None,
            standing: 0,
        };
        Self {
            network: record.network(),
            name: genesis.name.clone(),
            kind: genesis.kind,
            settings: NetworkSettings::default(),
            founder,
            founded_at: record.hlc(),
            members: BTreeMap::from([(founder, member)]),
            former: BTreeMap::new(),
            terms: BTreeMap::from([(founder, vec![Term { last_seq: None }])]),
            invites: BTreeMap::new(),
            equivocations: Vec::new(),
            counted: BTreeSet::from([record.id()]),
            void: BTreeMap::new(),
            heads: BTreeMap::new(),
            next_standing: 1,
        }
    }

    /// Applies `record`, or says why it does not count. Changes nothing in that case.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), Void> {
        let author = record.author();
        if !self.is_member(author) {
            return Err(Void::NotMember);
        }
        match record.body() {
            Body::Genesis(_) => return Err(Void::Genesis),
            Body::Admit(admit) => self.admit(record, admit)?,
            Body::Remove(Remove { device, last_seq }) => {
                self.may_remove(author, *device)?;
                self.end(*device, record, *last_seq);
            }
            Body::Leave => {
                self.may_leave(author)?;
                self.end(author, record, record.seq());
            }
            Body::Role(SetRole { device, role, .. }) => {
                self.may_set_role(author, *device, *role)?;
                self.set_role(*device, *role);
            }
            Body::Rename(rename) => {
                ensure(self.may_govern(author))?;
                self.name = rename.name.clone();
            }
            Body::Policy(policy) => {
                ensure(self.may_govern(author))?;
                self.kind = policy.kind;
            }
            Body::Settings(settings) => {
                ensure(self.may_govern(author))?;
                self.settings = settings.clone();
            }
            Body::DeviceInfo(info) => {
                if let Some(member) = self.members.get_mut(&author) {
                    member.name = info.name.clone();
                    member.os = info.os.clone();
                }
            }
            Body::Invite(grant) => self.add_invite(author, grant)?,
            Body::RevokeInvite(revoke) => {
                self.may_revoke(author, revoke.id)?;
                if let Some(invite) = self.invites.get_mut(&revoke.id) {
                    invite.revoked = true;
                }
            }
            // Documents are folded by themselves.
            Body::Document(_) | Body::Unknown { .. } => {}
        }
        Ok(())
    }

    fn admit(&mut self, record: &Record, admit: &Admit) -> Result<(), Void> {
        let (author, device) = (record.author(), admit.device);
        if let Some(member) = self.members.get(&device) {
            // Somebody else may have admitted it as less, perhaps back-dated for that purpose: what an owner grants holds.
            let overtaken = member.admitted_by != author && admit.role > member.role;
            if !(overtaken && self.may_govern(author) && admit.via == Via::Knock) {
                return Err(Void::NoEffect);
            }
            self.set_role(device, admit.role);
            return Ok(());
        }
        match &admit.via {
            Via::Knock => ensure(self.may_grant(author, admit.role))?,
            Via::Invite { id, proof } => {
                let at = record.hlc().millis();
                let role = self.check_invite(author, device, *id, proof, at).map_err(|_| Void::Invite)?;
                ensure(role == admit.role)?;
                if let Some(invite) = self.invites.get_mut(id) {
                    invite.used_by.push(device);
                }
            }
        }
        let standing = self.take_standing();
        let member = Member {
            name: admit.name.clone(),
            os: admit.os.clone(),
            role: admit.role,
            admitted_at: record.hlc(),
            admitted_by: author,
            via: Some(admit.via),
            standing,
        };
        self.former.remove(&device);
        self.terms.entry(device).or_default().push(Term { last_seq: None });
        self.members.insert(device, member);
        Ok(())
    }

    fn end(&mut self, device: DeviceId, record: &Record, last_seq: u64) {
        if let Some(member) = self.members.remove(&device) {
            if let Some(term) = self.terms.get_mut(&device).and_then(|terms| terms.last_mut()) {
                term.last_seq = Some(last_seq);
            }
            let former = Former { name: member.name, ended_at: record.hlc(), by: record.author() };
            self.former.insert(device, former);
        }
    }

    fn set_role(&mut self, device: DeviceId, role: Role) {
        let standing = self.take_standing();
        if let Some(member) = self.members.get_mut(&device) {
            member.role = role;
            member.standing = standing;
        }
    }

    fn add_invite(&mut self, author: DeviceId, grant: &InviteGrant) -> Result<(), Void> {
        ensure(self.may_grant(author, grant.role))?;
        let id = grant.key.id();
        if self.invites.contains_key(&id) {
            return Err(Void::NoEffect);
        }
        let invite = InviteState { inviter: author, grant: grant.clone(), used_by: Vec::new(), revoked: false };
        self.invites.insert(id, invite);
        Ok(())
    }

    fn take_standing(&mut self) -> u32 {
        let standing = self.next_standing;
        self.next_standing = standing.saturating_add(1);
        standing
    }
}

fn ensure(allowed: bool) -> Result<(), Void> {
    if allowed { Ok(()) } else { Err(Void::NoAuthority) }
}
