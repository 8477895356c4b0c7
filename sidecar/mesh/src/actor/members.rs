//! Members: admit, roles, names, invites. Every change is a record; this file decides whether this device may
//! write it and what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::networks::peer_address;
use super::{Actor, Admitted};
use crate::api::{InviteInfo, InviteOptions, MemberInfo, MeshEvent};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::hello::Places;
use crate::net::refusals::Attempt;
use crate::net::sync::{Push, pack};
use crate::proto::fold::{InviteState, Membership, Void};
use crate::proto::ids::{DeviceId, InviteId, NetworkId};
use crate::proto::invite::{Invite, InviteSecret, Payload};
use crate::proto::knock::{Bundle, PeerAddress, PendingKnock};
use crate::proto::name::DeviceName;
use crate::proto::record::{Admit, Body, InviteGrant, MAX_INVITE_USES, Record, RevokeInvite, Role, SetRole, Via};
use crate::store::SavedInvite;

/// How long an invite works unless told otherwise: one day.
const INVITE_MS: i64 = 24 * 60 * 60 * 1000;
/// Devices whose places are remembered before their admission is heard of.
const MAX_HEARSAY: usize = 256;
/// The longest an invite may work: one year.
const MAX_INVITE_MS: i64 = 365 * INVITE_MS;

impl Actor {
    /// Signs and keeps a record of this device, and lets it take effect: here, and on linked members.
    pub(super) async fn write(&mut self, network: NetworkId, body: Body) -> Result<Record, MeshError> {
        self.write_with(network, body, Vec::new()).await
    }

    async fn write_with(
        &mut self,
        network: NetworkId,
        body: Body,
        peers: Vec<PeerAddress>,
    ) -> Result<Record, MeshError> {
        let now = now_ms();
        let (secret, hlc) = (&self.secret, self.clock.tick(now));
        let record = self.store.write(network, now, |seq| Record::sign(secret, network, seq, hlc, body))?;
        if self.ledger_of(network).is_ok() {
            self.take_effect(std::slice::from_ref(&record), peers, None).await;
        } else if let Some(membership) = self.store.membership(network)? {
            self.store.set_network_name(network, &membership.name)?;
            let info = self.network_info(&membership, false);
            self.saved.insert(network, info);
        }
        Ok(record)
    }

    /// Lets stored records take effect: fold, cut who was removed, let in who was admitted, tell everybody else.
    pub(super) async fn take_effect(&mut self, added: &[Record], peers: Vec<PeerAddress>, from: Option<DeviceId>) {
        let Some(ledger) = &mut self.active else { return };
        let before = ledger.add(added);
        let after = ledger.membership().clone();
        for (author, attempt) in Attempt::of_added(added, &before, &after) {
            self.refusals.tell(author, attempt);
        }
        let network = after.network;
        let known: BTreeSet<DeviceId> = after.members.keys().copied().filter(|device| *device != self.me).collect();
        let push = Push { records: added.iter().map(|record| record.as_bytes().to_vec()).collect(), peers };
        let bytes = pack(&push);
        for (device, gone) in before.members.iter().filter(|(device, _)| !after.is_member(**device)) {
            self.met.remove(device);
            if let Err(error) = self.store.forget_peer(network, *device) {
                tracing::warn!(%error, "a removed device's addresses could not be deleted");
            }
            if *device != self.me {
                let cut = self.links.farewell(*device, bytes.clone()).await;
                self.cuts.push(cut);
            }
            self.tell(MeshEvent::MemberRemoved { device_id: *device, name: gone.name.clone() });
        }
        for peer in push.peers.iter().filter(|peer| known.contains(&peer.device)) {
            let places = Places::new(peer.addresses.clone(), peer.relay.clone());
            self.learn(network, peer.device, &places).await;
        }
        for device in after.members.keys().filter(|device| !before.is_member(**device)) {
            if let Some(places) = self.hearsay.remove(device) {
                self.learn(network, *device, &places).await;
            }
        }
        if before.name != after.name
            && let Err(error) = self.store.set_network_name(network, &after.name)
        {
            tracing::warn!(%error, "the network's new name could not be kept");
        }
        self.note_active();
        self.publish_roster();
        for (device, member) in after.members.iter().filter(|(device, _)| !before.is_member(**device)) {
            self.tell(MeshEvent::MemberAdded { device_id: *device, name: member.name.clone() });
        }
        self.tell_decisions(added, &before, &after);
        self.documents_follow(&before, &after);
        // First, so that nothing that is being sent delays a removal.
        if added.iter().any(|record| matches!(record.body(), Body::Remove(_))) {
            self.ask_all_to_confirm();
        }
        let urgent = added.iter().any(|record| record.body().takes_power());
        self.push_records(network, &bytes, from, urgent);
    }

    /// Remembers where devices are that are no members yet as far as this device has heard: their places can arrive
    /// before the records that admit them.
    pub(super) fn overhear(&mut self, network: NetworkId, peers: &[PeerAddress]) {
        let Ok(membership) = self.ledger_of(network).map(|ledger| ledger.membership().clone()) else { return };
        for peer in peers.iter().filter(|peer| !membership.is_member(peer.device)) {
            if self.hearsay.len() >= MAX_HEARSAY {
                break;
            }
            self.hearsay.insert(peer.device, Places::new(peer.addresses.iter().copied(), peer.relay.clone()));
        }
    }

    /// Keeps where a member may be found as somebody else tells, behind what it told itself, and tries there.
    pub(super) async fn learn(&mut self, network: NetworkId, device: DeviceId, places: &Places) {
        if places.is_empty() {
            return;
        }
        let met = self.met.entry(device).or_default();
        let merged = met.places.merged(places);
        if merged != met.places {
            met.places = merged;
            if let Err(error) = self.store.set_peer_address(network, &peer_address(device, &met.places)) {
                tracing::warn!(%error, "a device's addresses could not be kept");
            }
        }
        self.links.learn(device, places.clone()).await;
    }

    /// Writes a knock's admission and gathers what the newcomer gets.
    pub(super) async fn admit(&mut self, knock: PendingKnock, role: Role, via: Via) -> Result<Admitted, MeshError> {
        let network = self.ledger()?.network();
        let places = Places::new(knock.addresses.iter().copied(), None);
        let admit = Admit { device: knock.device, name: knock.name, os: knock.os, role, via };
        let peers = vec![peer_address(knock.device, &places)];
        let record = self.write_with(network, Body::Admit(admit), peers).await?;
        let membership = self.ledger()?.membership().clone();
        let Some(member) = membership.members.get(&knock.device) else {
            let why = membership.void.get(&record.id()).map_or_else(String::new, Void::to_string);
            return Err(MeshError::Conflict(format!("The approval does not count: {why}. Let it knock again.")));
        };
        let member = self.member_info(knock.device, member);
        Ok(Admitted { bundle: self.bundle(knock.device)?, member })
    }

    /// Keeps the admission that another member signed, if it counts, and gathers what the newcomer gets.
    pub(super) async fn admit_signed(&mut self, knock: PendingKnock, record: Record) -> Result<Admitted, MeshError> {
        let now = now_ms();
        let ledger = self.ledger_of(record.network())?;
        if !ledger.contains(&record.id()) {
            let mut trial = ledger.clone();
            trial.add(std::slice::from_ref(&record));
            let in_time = self.clock.observe(record.hlc(), now).is_ok();
            if !in_time || !trial.membership().counted.contains(&record.id()) {
                self.refusals.tell(record.author(), Attempt::NoAuthority);
                return Err(MeshError::NotAllowed("The approval of the other member does not count.".to_owned()));
            }
            let added = self.store.insert_all(std::slice::from_ref(&record), now)?;
            let peers = vec![peer_address(knock.device, &Places::new(knock.addresses.iter().copied(), None))];
            self.take_effect(&added, peers, None).await;
        }
        let member = self.member_by(&record)?;
        Ok(Admitted { bundle: self.bundle(knock.device)?, member })
    }

    /// Signs the admission of a device that knocks at another member. It takes effect only when that member has taken
    /// it; until then the record is nowhere but in its answer, and its number is spent.
    pub(super) fn sign_approval(&mut self, network: NetworkId, admit: Admit) -> Result<Record, MeshError> {
        let membership = self.ledger_of(network)?.membership();
        if !membership.may_grant(self.me, admit.role) {
            return Err(MeshError::NotAllowed(
                "This device may not admit others with that role. Ask an owner of the network.".to_owned(),
            ));
        }
        let seq = self.store.spend_number(network)?;
        let hlc = self.clock.tick(now_ms());
        Record::sign(&self.secret, network, seq, hlc, Body::Admit(admit))
            .map_err(|error| MeshError::InvalidArgument(format!("This cannot be recorded: {error}.")))
    }

    /// Keeps an approval of this device that the other member has taken.
    pub(super) async fn keep_approval(&mut self, record: Record) -> Result<MemberInfo, MeshError> {
        self.ledger_of(record.network())?;
        let added = self.store.insert_all(std::slice::from_ref(&record), now_ms())?;
        if !added.is_empty() {
            self.take_effect(&added, Vec::new(), None).await;
        }
        self.member_by(&record)
    }

    /// The member that the admission `record` made.
    fn member_by(&self, record: &Record) -> Result<MemberInfo, MeshError> {
        let membership = self.ledger_of(record.network())?.membership();
        let Body::Admit(Admit { device, .. }) = record.body() else { return Err(MeshError::NotMember) };
        let member = membership.members.get(device).ok_or(MeshError::NotMember)?;
        Ok(self.member_info(*device, member))
    }

    /// All records, and where the members are, for `guest`.
    pub(super) fn bundle(&self, guest: DeviceId) -> Result<Bundle, MeshError> {
        let ledger = self.ledger()?;
        let others = self.met.iter().filter(|(device, met)| **device != guest && !met.places.is_empty());
        let mut peers: Vec<PeerAddress> = others.map(|(device, met)| peer_address(*device, &met.places)).collect();
        peers.push(peer_address(self.me, &self.reach.own_places()));
        Ok(Bundle { records: ledger.all_bytes(), peers })
    }

    pub(super) async fn set_role(&mut self, device: DeviceId, role: Role) -> Result<MemberInfo, MeshError> {
        let membership = self.ledger()?.membership().clone();
        let now = membership.role(device).ok_or(MeshError::NotMember)?;
        if now != role {
            allowed(membership.may_set_role(self.me, device, role), "change roles")?;
            let last_seq = membership.head(device);
            self.write(membership.network, Body::Role(SetRole { device, role, last_seq })).await?;
        }
        let membership = self.ledger()?.membership().clone();
        let member = membership.members.get(&device).ok_or(MeshError::NotMember)?;
        Ok(self.member_info(device, member))
    }

    /// Renames this device, in every network that it is a member of.
    pub(super) async fn rename_device(&mut self, name: DeviceName) -> Result<(), MeshError> {
        self.name = name.clone();
        self.links.named(name.clone()).await;
        self.knocks.named(name).await;
        let member_of: Vec<NetworkId> =
            self.saved.values().filter(|info| info.role.is_some()).map(|info| info.id).collect();
        for network in member_of {
            self.write(network, Body::DeviceInfo(self.device_info())).await?;
        }
        Ok(())
    }

    pub(super) async fn create_invite(&mut self, options: InviteOptions) -> Result<InviteInfo, MeshError> {
        let membership = self.ledger()?.membership().clone();
        let role = options.role.unwrap_or(Role::Member);
        if !options.approved && (options.role.is_some() || options.uses.is_some()) {
            return Err(MeshError::InvalidArgument(
                "A role and a number of uses belong to an invite that admits: add `--approved`, or leave them out."
                    .to_owned(),
            ));
        }
        if !membership.may_grant(self.me, role) {
            return Err(MeshError::NotAllowed(
                "This device may not admit others like that. Ask an owner of the network.".to_owned(),
            ));
        }
        let now = now_ms();
        let expires_at = now + expiry_ms(options.expires_in)?;
        let secret = options.approved.then(|| InviteSecret::from_bytes(rand::random()));
        let places = self.reach.own_places();
        if places.is_empty() {
            return Err(MeshError::Conflict(
                "This device has no network address that others could reach. Connect it to a network first.".to_owned(),
            ));
        }
        let payload = Payload {
            network: membership.network,
            name: membership.name.clone(),
            inviter: self.me,
            addresses: places.addresses().to_vec(),
            relays: self.invited_relays(&places),
            expires_at,
            id: secret.map_or_else(|| InviteId::from_bytes(rand::random()), |secret| secret.id()),
            secret,
            others: self.other_doors(&membership)?,
        };
        let invite = Invite::sign(&self.secret, payload)?;
        if let Some(secret) = secret {
            let uses = options.uses.unwrap_or(1);
            if !(1..=MAX_INVITE_USES).contains(&uses) {
                return Err(MeshError::InvalidArgument(format!(
                    "An invite admits from 1 to {MAX_INVITE_USES} devices, not {uses}."
                )));
            }
            let grant = InviteGrant { key: secret.key(), role, uses, expires_at };
            self.write(membership.network, Body::Invite(grant)).await?;
        }
        self.store.save_invite(&invite, now)?;
        let membership = self.ledger()?.membership();
        Ok(invite_info(SavedInvite { invite, created_at: now, revoked: false }, membership))
    }

    /// The relay that this device is connected to, then those it may be connected to when somebody comes: one that was
    /// set a moment ago is not connected yet.
    fn invited_relays(&self, places: &Places) -> Vec<String> {
        let mut relays: Vec<String> = places.relay().map(str::to_owned).into_iter().collect();
        for relay in self.reach.ways().relays.iter().map(ToString::to_string) {
            if !relays.contains(&relay) {
                relays.push(relay);
            }
        }
        relays
    }

    pub(super) fn invites(&self) -> Result<Vec<InviteInfo>, MeshError> {
        let membership = self.ledger()?.membership();
        let saved = self.store.invites(membership.network)?;
        let mut invites: Vec<_> = saved.into_iter().map(|invite| invite_info(invite, membership)).collect();
        let here: BTreeSet<InviteId> = invites.iter().map(|invite| invite.id).collect();
        let elsewhere = membership
            .invites
            .iter()
            .filter(|(id, granted)| !here.contains(id) && membership.is_member(granted.inviter));
        invites.extend(elsewhere.map(|(id, granted)| granted_info(*id, granted, membership)));
        Ok(invites)
    }

    pub(super) async fn revoke_invite(&mut self, invite: InviteId) -> Result<(), MeshError> {
        let membership = self.ledger()?.membership().clone();
        let granted = membership.invites.get(&invite);
        if granted.is_some_and(|granted| !granted.revoked) {
            allowed(membership.may_revoke(self.me, invite), "revoke this invite")?;
            self.write(membership.network, Body::RevokeInvite(RevokeInvite { id: invite })).await?;
        }
        let made_here = self.store.revoke_invite(invite)?;
        if made_here || granted.is_some() { Ok(()) } else { Err(MeshError::UnknownInvite) }
    }
}

fn expiry_ms(wanted: Option<std::time::Duration>) -> Result<i64, MeshError> {
    let Some(wanted) = wanted else { return Ok(INVITE_MS) };
    let ms = i64::try_from(wanted.as_millis()).unwrap_or(i64::MAX);
    if (1_000..=MAX_INVITE_MS).contains(&ms) {
        Ok(ms)
    } else {
        Err(MeshError::InvalidArgument("An invite works for at least a second and at most a year.".to_owned()))
    }
}

pub(super) fn allowed(verdict: Result<(), Void>, what: &str) -> Result<(), MeshError> {
    verdict.map_err(|void| match void {
        Void::NoEffect | Void::NotMember => MeshError::NotMember,
        Void::LastOwner => MeshError::Conflict("The network needs an owner. Name another one first.".to_owned()),
        _ => MeshError::NotAllowed(format!("This device may not {what}. Ask an owner of the network.")),
    })
}

/// A pre-approved invite that another member made: whoever holds its link may enter here too.
fn granted_info(id: InviteId, granted: &InviteState, membership: &Membership) -> InviteInfo {
    InviteInfo {
        id,
        link: String::new(),
        network: membership.network,
        network_name: membership.name.clone(),
        approved: true,
        role: granted.grant.role,
        created_at: 0,
        expires_at: granted.grant.expires_at,
        uses_left: Some(granted.uses_left()),
        revoked: granted.revoked,
        by: crate::decisions::name_of(membership, granted.inviter),
    }
}

fn invite_info(saved: SavedInvite, membership: &Arc<Membership>) -> InviteInfo {
    let payload = saved.invite.payload();
    let granted = membership.invites.get(&payload.id);
    InviteInfo {
        id: payload.id,
        link: saved.invite.link().to_owned(),
        network: payload.network,
        network_name: payload.name.clone(),
        approved: saved.invite.is_approved(),
        role: granted.map_or(Role::Member, |granted| granted.grant.role),
        created_at: saved.created_at,
        expires_at: payload.expires_at,
        uses_left: granted.map(InviteState::uses_left),
        revoked: saved.revoked || granted.is_some_and(|granted| granted.revoked),
        by: None,
    }
}
