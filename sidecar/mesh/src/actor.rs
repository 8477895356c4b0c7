//! The mesh's own actor: owns the store, the active network and the pictures made of them.
//!
//! Everybody talks to it by [`Command`]s; it publishes the [`Roster`] for those who check membership and the
//! [`MeshSnapshot`] for those who show it. It never waits for a peer: whatever takes time runs in a task that reports
//! back by a command. SQLite is called in place: every call here touches a few kilobytes by key in WAL mode, which
//! costs less than handing it to another thread.
//!
//! - `networks`: found, use, leave, forget, rename, adopt
//! - `members`: admit, roles, names, invites
//! - `governance`: kind, settings, decisions, removals and who has confirmed them
//! - `intake`: records that other members send
//! - `peers`: links that come and go, what other members ask for, their cards
//! - `picture`: roster and snapshot
//! - `start`: puts all of it together, and takes it apart in order

mod governance;
mod intake;
mod members;
mod networks;
mod peers;
mod picture;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use iroh::{Endpoint, SecretKey};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::governance::is_settled;
pub(crate) use self::start::start;
use crate::api::{
    DecisionInfo, InviteInfo, InviteOptions, KnockInfo, LinkState, MemberInfo, MeshEvent, MeshSnapshot, NetworkInfo,
    Removal, SettingsPatch,
};
use crate::error::MeshError;
use crate::ledger::Ledger;
use crate::mesh::JoinProgress;
use crate::net::hello::Places;
use crate::net::join::Target;
use crate::net::knock::Knocks;
use crate::net::links::{LinkTable, Links};
use crate::net::reach::{Reach, ReachPicture};
use crate::net::refusals::Refusals;
use crate::net::sync::{CardPush, Push};
use crate::proto::Millis;
use crate::proto::hlc::Clock;
use crate::proto::ids::{DeviceId, InviteId, NetworkId, RecordId};
use crate::proto::knock::{Admission, Board, Bundle, Decide, PendingKnock, Verdict};
use crate::proto::name::{DeviceName, NetworkName};
use crate::proto::reconcile::{RecordSet, Refused};
use crate::proto::record::{Admit, NetworkKind, Record, Role, Via};
use crate::proto::spread::{self, Spread};
use crate::roster::Roster;
use crate::store::Store;

/// Where a command's answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, MeshError>>;

/// What an admission gives back.
pub(crate) struct Admitted {
    /// For the guest.
    pub(crate) bundle: Bundle,
    /// For whoever approved.
    pub(crate) member: MemberInfo,
}

/// A removal that was written.
pub(crate) struct RemovalBegun {
    /// The network.
    pub(crate) network: NetworkId,
    /// The removal.
    pub(crate) record: RecordId,
    /// Members that were linked at that time.
    pub(crate) online: BTreeSet<DeviceId>,
}

/// What can be asked of the actor.
pub(crate) enum Command {
    CreateNetwork {
        name: NetworkName,
        kind: NetworkKind,
        reply: Reply<NetworkInfo>,
    },
    UseNetwork {
        network: NetworkId,
        reply: Reply<NetworkInfo>,
    },
    LeaveNetwork {
        reply: Reply<()>,
    },
    ForgetNetwork {
        network: NetworkId,
        reply: Reply<()>,
    },
    RenameNetwork {
        network: NetworkId,
        name: NetworkName,
        reply: Reply<NetworkInfo>,
    },
    CreateInvite {
        options: InviteOptions,
        reply: Reply<InviteInfo>,
    },
    Invites {
        reply: Reply<Vec<InviteInfo>>,
    },
    RevokeInvite {
        invite: InviteId,
        reply: Reply<()>,
    },
    /// Knock at a network.
    Join {
        target: Box<Target>,
        reply: Reply<JoinProgress>,
    },
    SetNetworkKind {
        network: NetworkId,
        kind: NetworkKind,
        reply: Reply<NetworkInfo>,
    },
    SetNetworkSettings {
        network: NetworkId,
        patch: Box<SettingsPatch>,
        reply: Reply<NetworkInfo>,
    },
    Decisions {
        network: NetworkId,
        reply: Reply<Vec<DecisionInfo>>,
    },
    RemoveDevice {
        device: DeviceId,
        reply: Reply<RemovalBegun>,
    },
    /// How far a removal is.
    RemovalOf {
        network: NetworkId,
        record: RecordId,
        reply: Reply<Removal>,
    },
    /// A member has confirmed removals.
    Acknowledged {
        network: NetworkId,
        by: DeviceId,
        records: Vec<RecordId>,
    },
    SetRole {
        device: DeviceId,
        role: Role,
        reply: Reply<MemberInfo>,
    },
    RenameDevice {
        name: DeviceName,
        reply: Reply<()>,
    },
    PublishCard {
        card: serde_json::Value,
        reply: Reply<()>,
    },
    /// Whether any place of this device is known.
    Places {
        device: DeviceId,
        reply: Reply<bool>,
    },
    /// A join task is through: keep the network and make it the active one.
    Adopt {
        admission: Box<Admission>,
        reply: Reply<NetworkInfo>,
    },
    /// The knock actor has a decision: write it.
    Admit {
        knock: Box<PendingKnock>,
        role: Role,
        via: Via,
        reply: Reply<Admitted>,
    },
    /// Another member decided about a knock here, and signed this record: keep it.
    AdmitSigned {
        knock: Box<PendingKnock>,
        record: Box<Record>,
        reply: Reply<Admitted>,
    },
    /// A person here approves a knock at another member: sign, and tell nobody yet.
    SignApproval {
        network: NetworkId,
        admit: Box<Admit>,
        reply: Reply<Record>,
    },
    /// That member took the record.
    KeepApproval {
        record: Box<Record>,
        reply: Reply<MemberInfo>,
    },
    /// A member tells what waits at it.
    PeerBoard {
        from: DeviceId,
        network: NetworkId,
        board: Board,
        reply: Reply<()>,
    },
    /// A member has decided about a knock here.
    PeerDecide {
        by: DeviceId,
        network: NetworkId,
        decide: Decide,
        reply: Reply<Verdict>,
    },
    /// A former member asks by which records it was removed.
    RemovalsOf {
        device: DeviceId,
        reply: Reply<Vec<Vec<u8>>>,
    },
    /// A member that lost its records knocks.
    BundleFor {
        device: DeviceId,
        reply: Reply<Bundle>,
    },
    /// A member sent records.
    PeerRecords {
        from: DeviceId,
        network: NetworkId,
        push: Push,
        reply: Reply<()>,
    },
    /// A member asks for records.
    PeerFetch {
        network: NetworkId,
        ids: Vec<RecordId>,
        reply: Reply<Bytes>,
    },
    /// A member reconciles.
    PeerReconcile {
        network: NetworkId,
        message: Bytes,
        reply: Reply<Bytes>,
    },
    /// A member sent its card.
    PeerCard {
        from: DeviceId,
        network: NetworkId,
        push: CardPush,
        reply: Reply<()>,
    },
    /// A task reconciles with a member: the set as it is.
    RecordSet {
        network: NetworkId,
        reply: Reply<Arc<RecordSet>>,
    },
    /// A push or a comparison of records is over.
    Spread {
        network: NetworkId,
        event: spread::Event,
    },
    /// Which of these a reconciliation should fetch.
    Wanted {
        network: NetworkId,
        ids: Vec<RecordId>,
        reply: Reply<Vec<RecordId>>,
    },
}

/// What is known of a member beside its records.
#[derive(Clone, Default)]
struct Met {
    places: Places,
    version: Option<String>,
    card: Option<(u64, Arc<serde_json::Value>)>,
    last_seen: Option<Millis>,
}

struct Actor {
    secret: SecretKey,
    me: DeviceId,
    name: DeviceName,
    os: String,
    app_version: String,
    started_at: Millis,
    endpoint: Endpoint,
    store: Store,
    clock: Clock,
    /// Every saved network as it is shown.
    saved: BTreeMap<NetworkId, NetworkInfo>,
    active: Option<Ledger>,
    /// Members of the saved networks, as last known.
    kept: BTreeMap<NetworkId, BTreeSet<DeviceId>>,
    /// Those of networks that are not active: no strangers, and not served now.
    elsewhere: watch::Sender<Arc<BTreeSet<DeviceId>>>,
    /// Members of the active network.
    met: BTreeMap<DeviceId, Met>,
    refused: Refused,
    /// Where devices are of whose admission this one has not heard yet.
    hearsay: BTreeMap<DeviceId, Places>,
    spread: Spread,
    /// Devices being cut off; each token is cancelled once that is done.
    cuts: Vec<CancellationToken>,
    card: Option<CardPush>,
    links: Links,
    reach: Reach,
    reach_watch: watch::Receiver<Arc<ReachPicture>>,
    knocks: Knocks,
    /// The links as they were last looked at.
    table: Arc<LinkTable>,
    table_watch: watch::Receiver<Arc<LinkTable>>,
    waiting: watch::Receiver<Arc<Vec<KnockInfo>>>,
    roster: watch::Sender<Arc<Roster>>,
    snapshot: watch::Sender<Arc<MeshSnapshot>>,
    events: broadcast::Sender<MeshEvent>,
    refusals: Refusals,
    inbox: mpsc::Sender<Command>,
    commands: mpsc::Receiver<Command>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Actor {
    #[tracing::instrument(name = "mesh", skip_all, fields(device = %self.me.short()))]
    async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            let due = self.spread.deadline();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(command) = self.commands.recv() => self.handle(command).await,
                Ok(()) = self.table_watch.changed() => self.links_changed(),
                Ok(()) = self.waiting.changed() => {}
                Ok(()) = self.reach_watch.changed() => {}
                () = crate::clock::sleep_until(due.unwrap_or_default()), if due.is_some() => {
                    self.spread(spread::Event::Tick);
                    continue;
                }
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Err(error) = done && error.is_panic() {
                        tracing::error!(%error, "a task of the mesh failed");
                    }
                    continue;
                }
            }
            self.publish_snapshot();
        }
        self.tasks.shutdown().await;
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::CreateNetwork { name, kind, reply } => {
                let done = self.create_network(name, kind).await;
                self.publish_then(reply, done);
            }
            Command::UseNetwork { network, reply } => {
                let done = self.use_network(network).await;
                self.publish_then(reply, done);
            }
            Command::LeaveNetwork { reply } => {
                let done = self.leave_network();
                self.publish_then(reply, done);
            }
            Command::ForgetNetwork { network, reply } => {
                let done = self.forget_network(network);
                self.publish_snapshot();
                match done {
                    // The state has changed; only the word to the others takes time.
                    Ok(word) => drop(self.tasks.spawn(async move {
                        word.await;
                        answer(reply, Ok(()));
                    })),
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Command::RenameNetwork { network, name, reply } => {
                let done = self.rename_network(network, name).await;
                self.publish_then(reply, done);
            }
            Command::CreateInvite { options, reply } => {
                let done = self.create_invite(options).await;
                self.publish_then(reply, done);
            }
            Command::Invites { reply } => answer(reply, self.invites()),
            Command::RevokeInvite { invite, reply } => {
                let done = self.revoke_invite(invite).await;
                self.publish_then(reply, done);
            }
            Command::Join { target, reply } => {
                let done = self.join(*target).await;
                self.publish_then(reply, done);
            }
            Command::SetNetworkKind { network, kind, reply } => {
                let done = self.set_network_kind(network, kind).await;
                self.publish_then(reply, done);
            }
            Command::SetNetworkSettings { network, patch, reply } => {
                let done = self.set_network_settings(network, *patch).await;
                self.publish_then(reply, done);
            }
            Command::Decisions { network, reply } => answer(reply, self.decisions(network)),
            Command::RemoveDevice { device, reply } => {
                let done = self.remove_device(device).await;
                self.answer_when_cut(reply, done);
            }
            Command::RemovalOf { network, record, reply } => answer(reply, self.removal(network, record)),
            Command::Acknowledged { network, by, records } => self.acknowledged(network, by, &records),
            Command::SetRole { device, role, reply } => {
                let done = self.set_role(device, role).await;
                self.publish_then(reply, done);
            }
            Command::RenameDevice { name, reply } => {
                let done = self.rename_device(name).await;
                self.publish_then(reply, done);
            }
            Command::PublishCard { card, reply } => {
                let done = self.publish_card(card);
                self.publish_then(reply, done);
            }
            Command::Places { device, reply } => answer(reply, Ok(self.knows_places(device))),
            Command::Adopt { admission, reply } => {
                let done = self.adopt(*admission).await;
                self.publish_then(reply, done);
            }
            Command::Admit { knock, role, via, reply } => {
                let done = self.admit(*knock, role, via).await;
                self.publish_then(reply, done);
            }
            Command::AdmitSigned { knock, record, reply } => {
                let done = self.admit_signed(*knock, *record).await;
                self.publish_then(reply, done);
            }
            Command::SignApproval { network, admit, reply } => answer(reply, self.sign_approval(network, *admit)),
            Command::KeepApproval { record, reply } => {
                let done = self.keep_approval(*record).await;
                self.publish_then(reply, done);
            }
            Command::PeerBoard { from, network, board, reply } => match self.ledger_of(network) {
                Ok(_) => self.knocks.board(from, board, reply),
                Err(error) => answer(reply, Err(error)),
            },
            Command::PeerDecide { by, network, decide, reply } => match self.ledger_of(network) {
                Ok(_) => self.knocks.decide_for(by, decide, reply),
                Err(error) => answer(reply, Err(error)),
            },
            Command::RemovalsOf { device, reply } => answer(reply, self.removals_of(device)),
            Command::BundleFor { device, reply } => answer(reply, self.bundle(device)),
            Command::PeerRecords { from, network, push, reply } => {
                self.overhear(network, &push.peers);
                let done = self.peer_records(from, network, push).await;
                // The sender takes the answer for a confirmation of the removals in it.
                self.answer_when_cut(reply, done);
            }
            Command::PeerFetch { network, ids, reply } => answer(reply, self.peer_fetch(network, &ids)),
            Command::PeerReconcile { network, message, reply } => {
                answer(reply, self.peer_reconcile(network, &message));
            }
            Command::PeerCard { from, network, push, reply } => {
                let done = self.peer_card(from, network, push);
                self.publish_then(reply, done);
            }
            Command::RecordSet { network, reply } => answer(reply, self.ledger_of(network).map(|it| it.set().clone())),
            Command::Spread { network, event } if self.ledger_of(network).is_ok() => self.spread(event),
            Command::Spread { .. } => {}
            Command::Wanted { network, ids, reply } => answer(reply, self.wanted(network, ids)),
        }
    }

    /// Answers a command that changed something: whoever has the answer also sees the change.
    fn publish_then<T>(&mut self, reply: Reply<T>, outcome: Result<T, MeshError>) {
        self.publish_snapshot();
        answer(reply, outcome);
    }

    /// The active network, if it is `network`.
    fn ledger_of(&self, network: NetworkId) -> Result<&Ledger, MeshError> {
        self.active.as_ref().filter(|ledger| ledger.network() == network).ok_or(MeshError::NoNetwork)
    }

    /// The active network.
    fn ledger(&self) -> Result<&Ledger, MeshError> {
        self.active.as_ref().ok_or(MeshError::NoNetwork)
    }

    /// Tells listeners; having none is fine.
    fn tell(&self, event: MeshEvent) {
        let _ = self.events.send(event);
    }
}

/// An answer that nobody waits for any more is dropped.
fn answer<T>(reply: Reply<T>, outcome: Result<T, MeshError>) {
    let _ = reply.send(outcome);
}
