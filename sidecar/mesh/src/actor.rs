//! The mesh's own actor: owns the store, the active network and the pictures made of them.
//!
//! Everybody talks to it by [`Command`]s; it publishes the [`Roster`] for those who check membership and the
//! [`MeshSnapshot`] for those who show it. It never waits for a peer: whatever takes time runs in a task that reports
//! back by a command. SQLite is called in place: every call here touches a few kilobytes by key in WAL mode, which
//! costs less than handing it to another thread.
//!
//! - `commands`: what can be asked, and what carries it out
//! - `networks`: found, use, leave, forget, rename, adopt
//! - `members`: admit, roles, names, invites
//! - `governance`: kind, settings, decisions, removals and who has confirmed them
//! - `documents`: what is kept in step besides membership
//! - `intake`: records that other members send
//! - `peers`: links that come and go, what other members ask for, their cards
//! - `picture`: roster and snapshot
//! - `start`: puts all of it together, and takes it apart in order

mod commands;
mod documents;
mod governance;
mod intake;
mod members;
mod networks;
mod peers;
mod picture;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iroh::{Endpoint, SecretKey};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::commands::{Command, KnockCommand, MemberCommand, NetworkCommand};
pub(crate) use self::documents::DocumentCommand;
use self::documents::Documents;
pub(crate) use self::governance::is_settled;
pub(crate) use self::start::start;
use crate::api::{KnockInfo, LinkState, MemberInfo, MeshEvent, MeshSnapshot, NetworkInfo};
use crate::error::MeshError;
use crate::ledger::Ledger;
use crate::net::hello::Places;
use crate::net::knock::Knocks;
use crate::net::links::{LinkTable, Links};
use crate::net::reach::{Reach, ReachPicture};
use crate::net::refusals::Refusals;
use crate::net::sync::CardPush;
use crate::proto::Millis;
use crate::proto::hlc::Clock;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::knock::Bundle;
use crate::proto::name::DeviceName;
use crate::proto::reconcile::Refused;
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
    documents: Documents,
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
            let due = self.spread.deadline().into_iter().chain(self.documents.deadline()).min();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(command) = self.commands.recv() => self.handle(command).await,
                Ok(()) = self.table_watch.changed() => self.links_changed(),
                Ok(()) = self.waiting.changed() => {}
                Ok(()) = self.reach_watch.changed() => {}
                () = crate::clock::sleep_until(due.unwrap_or_default()), if due.is_some() => {
                    self.spread(spread::Event::Tick);
                    self.documents_tick();
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
        self.settle_documents();
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
