//! Puts the mesh together, and takes it apart in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iroh::{Endpoint, SecretKey};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Actor;
use super::documents::Documents;
use crate::api::{MeshConfig, MeshSnapshot};
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::mesh::Inner;
use crate::net::knock::Knocks;
use crate::net::links::Links;
use crate::net::outlet::Outlet;
use crate::net::reach::{self, Reach, Ways};
use crate::net::refusals::Refusals;
use crate::net::serve::Gate;
use crate::net::{accept, endpoint, knock, links, routes};
use crate::proto::hlc::Clock;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::name::DeviceName;
use crate::proto::reconcile::Refused;
use crate::proto::spread::Spread;
use crate::roster::Roster;
use crate::store::Store;

/// Commands that may wait.
const INBOX: usize = 256;
/// Events a slow reader may be behind.
const EVENTS: usize = 256;
/// The endpoint's farewell to its peers ends within this time.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1_200);

/// Starts everything and returns what the handle needs.
pub(crate) async fn start(config: MeshConfig) -> Result<Inner, MeshError> {
    let secret = SecretKey::from_bytes(&config.secret);
    let me = DeviceId::from(secret.public());
    let store = Store::open(config.database, me)?;
    let clock = Clock::starting_at(store.latest_hlc()?);
    let active = store.networks()?.into_iter().find(|network| network.active).map(|network| network.id);
    let last = last_listen(&store, active, me)?;
    let (roster, roster_watch) = watch::channel(Arc::new(Roster::default()));
    let (listen, relay) = (config.listen, config.relay);
    let (events, _) = broadcast::channel(EVENTS);
    let stops = Stops::default();
    let (refusals, refusals_run) = Refusals::start(roster_watch.clone(), events.clone(), stops.actor.clone());
    let (elsewhere, elsewhere_watch) = watch::channel(Arc::default());
    let door = endpoint::MembersOnly::new(roster_watch.clone(), elsewhere_watch, refusals.clone());
    let outlet = Outlet::start(stops.reach.clone()).await.map_err(|error| MeshError::Bind(error.to_string()))?;
    let setup = endpoint::Setup { secret: config.secret, outlet: outlet.clone(), door };
    let endpoint = match endpoint::bind(setup, &listen, &last).await {
        Ok(endpoint) => endpoint,
        Err(error) => {
            stops.all();
            return Err(error);
        }
    };
    let (ways, ways_watch) = watch::channel(Ways::default());

    let (inbox, commands) = mpsc::channel(INBOX);
    let router = routes::routes(inbox.clone()).merge(config.service);
    let (links, links_run) = Links::start(links::Setup {
        endpoint: endpoint.clone(),
        roster: roster_watch.clone(),
        gate: Gate::new(roster_watch.clone(), router, refusals.clone()),
        name: config.device_name.clone(),
        app_version: config.app_version.clone(),
        ways: ways_watch,
        stop: stops.links.clone(),
    });
    let (reach, reach_run) = Reach::start(reach::Setup {
        endpoint: endpoint.clone(),
        outlet,
        roster: roster_watch.clone(),
        links: links.clone(),
        me,
        relay,
        mdns: config.mdns,
        ways,
        stop: stops.reach.clone(),
    });
    let (knocks, knocks_run) = Knocks::start(knock::Setup {
        me,
        name: config.device_name.clone(),
        roster: roster_watch.clone(),
        mesh: inbox.clone(),
        events: events.clone(),
        refusals: refusals.clone(),
        table: links.table(),
        stop: stops.knocks.clone(),
    });
    let empty = blank(me, &config.device_name, &endpoint);
    let (snapshot, snapshot_watch) = watch::channel(Arc::new(empty));
    let mut actor = Actor {
        clock,
        secret,
        me,
        name: config.device_name,
        os: config.os,
        app_version: config.app_version,
        started_at: now_ms(),
        endpoint: endpoint.clone(),
        store,
        saved: BTreeMap::new(),
        active: None,
        kept: BTreeMap::new(),
        elsewhere,
        met: BTreeMap::new(),
        refused: Refused::default(),
        hearsay: BTreeMap::new(),
        spread: Spread::new(me),
        documents: Documents::none(me),
        cuts: Vec::new(),
        card: None,
        table: Arc::default(),
        table_watch: links.table(),
        waiting: knocks.waiting(),
        links: links.clone(),
        reach: reach.clone(),
        reach_watch: reach.picture(),
        knocks: knocks.clone(),
        roster,
        snapshot,
        events: events.clone(),
        refusals,
        inbox: inbox.clone(),
        commands,
        tasks: JoinSet::new(),
        stop: stops.actor.clone(),
    };
    // The links' actor must run before the first network is made active: its inbox is bounded.
    let (links_task, knocks_task) = (tokio::spawn(links_run), tokio::spawn(knocks_run));
    let reach_task = tokio::spawn(reach_run);
    if let Err(error) = actor.restore(active).await {
        stops.all();
        endpoint.close().await;
        return Err(error);
    }
    let accept = accept::run(endpoint.clone(), links.clone(), knocks.clone(), stops.accept.clone());
    // No newcomers, then nothing that looks for others, no knocks, no links, no state, and last the sockets.
    let order = [
        (stops.accept, tokio::spawn(accept)),
        (stops.reach, reach_task),
        (stops.knocks, knocks_task),
        (stops.links, links_task),
        (stops.actor.clone(), tokio::spawn(actor.run())),
        (stops.actor, tokio::spawn(refusals_run)),
    ];
    let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(stop_in_order(stop.clone(), order, endpoint, stopped.clone()));
    Ok(Inner {
        device_id: me,
        inbox,
        snapshot: snapshot_watch,
        events,
        links,
        reach,
        knocks,
        roster: roster_watch,
        stop: stop.drop_guard(),
        stopped,
    })
}

/// Waits to be asked, then ends every task and waits for it, one after the other, and closes the sockets.
async fn stop_in_order(
    asked: CancellationToken,
    order: [(CancellationToken, JoinHandle<()>); 6],
    endpoint: Endpoint,
    stopped: CancellationToken,
) {
    asked.cancelled().await;
    for (stop, task) in order {
        stop.cancel();
        // A task that panicked has ended as well.
        let _ = task.await;
    }
    if tokio::time::timeout(CLOSE_TIMEOUT, endpoint.close()).await.is_err() {
        tracing::warn!("the sockets did not close in time");
    }
    stopped.cancel();
}

/// The picture before anything was loaded.
fn blank(me: DeviceId, name: &DeviceName, endpoint: &Endpoint) -> MeshSnapshot {
    MeshSnapshot {
        device_id: me,
        device_name: name.clone(),
        listen: endpoint.bound_sockets(),
        networks: Vec::new(),
        active: None,
        members: Vec::new(),
        knocks: Vec::new(),
        nearby: Vec::new(),
        relays: Vec::new(),
    }
}

#[derive(Default)]
struct Stops {
    accept: CancellationToken,
    reach: CancellationToken,
    knocks: CancellationToken,
    links: CancellationToken,
    actor: CancellationToken,
}

impl Stops {
    fn all(&self) {
        for stop in [&self.accept, &self.reach, &self.knocks, &self.links, &self.actor] {
            stop.cancel();
        }
    }
}

/// The sockets of the last run: kept as this device's own entry among the peers.
fn last_listen(store: &Store, active: Option<NetworkId>, me: DeviceId) -> Result<Vec<SocketAddr>, MeshError> {
    let Some(network) = active else { return Ok(Vec::new()) };
    let own = store.peers(network)?.into_iter().find(|(device, _)| *device == me);
    Ok(own.and_then(|(_, peer)| peer.address).map_or_else(Vec::new, |address| address.addresses))
}
