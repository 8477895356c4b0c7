//! Applies the settings of the active network while everything runs: relays, the lookup server, the local network.
//!
//! One actor follows the roster and the endpoint. It publishes [`Ways`] for those who dial, and a [`ReachPicture`] for
//! those who show. Another network, or other settings, come as a new roster like any other change, so there is nothing
//! that could be left over from the network before.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use iroh::address_lookup::{AddressLookup, AddressLookupBuilder, EndpointData, PkarrPublisher, PkarrResolver};
use iroh::{Endpoint, RelayUrl, Watcher as _};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::endpoint;
use super::hello::Places;
use super::links::Links;
use super::nearby::{Announcement, Found, Nearby};
use super::outlet::{Outlet, Permit};
use super::relays::Relays;
use crate::api::{NearbyInfo, RelayInfo};
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::settings::NetworkSettings;
use crate::roster::{Roster, RosterWatch};

/// How often the actor looks at what time brings.
const TICK: Duration = Duration::from_secs(1);
/// A lookup ends within this time.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(4);

/// How devices of the active network may be reached now.
#[derive(Clone, Default)]
pub(crate) struct Ways {
    /// The network that these hold for.
    pub(crate) network: Option<NetworkId>,
    /// Through these relays, and no other.
    pub(crate) relays: Vec<RelayUrl>,
    /// Relays that still carry links and will not for long.
    leaving: Vec<RelayUrl>,
    /// Only at addresses of the local network.
    pub(crate) local_only: bool,
    /// Where members publish their places.
    lookup: Option<Arc<dyn AddressLookup>>,
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, relays, leaving, local_only, lookup } = self;
        f.debug_struct("Ways")
            .field("network", network)
            .field("relays", relays)
            .field("leaving", leaving)
            .field("local_only", local_only)
            .field("lookup", lookup)
            .finish()
    }
}

impl Ways {
    /// Whether links can go through this relay.
    pub(crate) fn carries(&self, relay: &RelayUrl) -> bool {
        self.relays.contains(relay) || self.leaving.contains(relay)
    }

    /// Whether there is a lookup server to ask.
    pub(crate) fn can_look_up(&self) -> bool {
        self.lookup.is_some()
    }

    /// Asks the lookup server where `device` is; nothing when it does not know, or does not answer.
    pub(crate) async fn look_up(&self, device: DeviceId) -> Places {
        let found = self.lookup.as_ref().and_then(|lookup| lookup.resolve(device.into()));
        let Some(mut found) = found else { return Places::default() };
        match tokio::time::timeout(LOOKUP_TIMEOUT, found.next()).await {
            Ok(Some(Ok(item))) => self.fit(&Places::of(item.into_endpoint_addr().addrs)),
            Ok(Some(Err(error))) => {
                tracing::debug!(device = %device.short(), %error, "the lookup server does not know a device");
                Places::default()
            }
            Ok(None) | Err(_) => Places::default(),
        }
    }

    /// Of these places those that may be used.
    pub(crate) fn fit(&self, places: &Places) -> Places {
        places.only(|addr| !self.local_only || endpoint::is_local(addr), |relay| self.relays.contains(relay))
    }

    fn same(&self, other: &Self) -> bool {
        let lookup = match (&self.lookup, &other.lookup) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        lookup
            && self.network == other.network
            && self.relays == other.relays
            && self.leaving == other.leaving
            && self.local_only == other.local_only
    }
}

/// What screens show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReachPicture {
    /// See [`crate::MeshSnapshot::relays`].
    pub(crate) relays: Vec<RelayInfo>,
    /// See [`crate::MeshSnapshot::nearby`].
    pub(crate) nearby: Vec<NearbyInfo>,
    /// Multicast DNS is wanted and cannot work, because.
    pub(crate) mdns_fault: Option<String>,
}

/// What the actor is given once.
pub(crate) struct Setup {
    pub(crate) endpoint: Endpoint,
    pub(crate) outlet: Outlet,
    pub(crate) roster: RosterWatch,
    pub(crate) links: Links,
    pub(crate) me: DeviceId,
    /// A relay of this device's own.
    pub(crate) relay: Option<RelayUrl>,
    /// Whether multicast DNS is used at all.
    pub(crate) mdns: bool,
    pub(crate) ways: watch::Sender<Ways>,
    pub(crate) stop: CancellationToken,
}

/// Handle to what the actor publishes, and to the way out.
#[derive(Clone)]
pub(crate) struct Reach {
    /// Taken back at the end: whoever still holds a handle then must not hold the sockets.
    endpoint: watch::Receiver<Option<Endpoint>>,
    outlet: Outlet,
    ways: watch::Receiver<Ways>,
    picture: watch::Receiver<Arc<ReachPicture>>,
    nearby: watch::Receiver<Arc<Found>>,
}

impl Reach {
    /// Starts the actor; the future ends after `stop` was cancelled.
    pub(crate) fn start(setup: Setup) -> (Self, impl Future<Output = ()> + Send) {
        let (picture, picture_watch) = watch::channel(Arc::default());
        let (nearby, nearby_watch) = watch::channel(Arc::default());
        let Setup { endpoint, outlet, roster, links, me, relay, mdns, ways, stop } = setup;
        let (lent, borrowed) = watch::channel(Some(endpoint.clone()));
        let handle = Self {
            endpoint: borrowed,
            outlet: outlet.clone(),
            ways: ways.subscribe(),
            picture: picture_watch,
            nearby: nearby_watch,
        };
        let actor = Actor {
            relays: Relays::new(endpoint.clone(), outlet, relay.clone()),
            nearby: Nearby::new(me, mdns),
            own_relay: relay,
            applied: None,
            publisher: None,
            own: Places::default(),
            endpoint,
            roster,
            links,
            me,
            ways,
            picture,
            found: nearby,
            stop,
        };
        let run = async move {
            actor.run().await;
            lent.send_replace(None);
        };
        (handle, run)
    }

    /// The endpoint itself; `None` once this device is stopping.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.borrow().clone()
    }

    /// Where others can find this device now, as far as they may know.
    pub(crate) fn own_places(&self) -> Places {
        self.endpoint().map(|endpoint| endpoint::own_places(&endpoint, &self.ways.borrow())).unwrap_or_default()
    }

    /// How members may be reached now.
    pub(crate) fn ways(&self) -> Ways {
        self.ways.borrow().clone()
    }

    /// Lets a relay be used beside those of the settings while the permit is held: a person opened an invite.
    pub(crate) fn permit<'a>(&self, relays: impl IntoIterator<Item = &'a str>) -> Permit {
        self.outlet.permit(relays.into_iter().filter_map(|url| url.parse().ok()))
    }

    /// For screens.
    pub(crate) fn picture(&self) -> watch::Receiver<Arc<ReachPicture>> {
        self.picture.clone()
    }

    /// Where the nearby devices are, and what they announce.
    pub(crate) fn nearby(&self) -> Arc<Found> {
        self.nearby.borrow().clone()
    }
}

/// What is in force.
#[derive(PartialEq)]
struct Applied {
    network: Option<NetworkId>,
    settings: NetworkSettings,
}

struct Actor {
    endpoint: Endpoint,
    roster: RosterWatch,
    links: Links,
    me: DeviceId,
    own_relay: Option<RelayUrl>,
    relays: Relays,
    nearby: Nearby,
    applied: Option<Applied>,
    publisher: Option<Arc<dyn AddressLookup>>,
    /// Where this device is, as others may know.
    own: Places,
    ways: watch::Sender<Ways>,
    picture: watch::Sender<Arc<ReachPicture>>,
    found: watch::Sender<Arc<Found>>,
    stop: CancellationToken,
}

impl Actor {
    async fn run(mut self) {
        let stop = self.stop.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut home = self.endpoint.home_relay_status();
        let mut addrs = self.endpoint.watch_addr();
        self.follow_roster().await;
        loop {
            self.nearby.settle().await;
            {
                let home = pin!(home.updated());
                let addrs = pin!(addrs.updated());
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    Ok(()) = self.roster.changed() => self.follow_roster().await,
                    Ok(home) = home => self.relays.home_changed(home),
                    Ok(_) = addrs => self.nearby.network_changed(),
                    () = self.nearby.heard() => {}
                    () = self.relays.checked() => {}
                    _ = tick.tick() => {
                        if self.relays.tick().await {
                            let old = self.ways.borrow().clone();
                            self.set_ways(Ways { leaving: self.relays.leaving(), ..old });
                        }
                        self.nearby.tick();
                    }
                }
            }
            self.tell_own_places().await;
            self.tell_found().await;
            self.publish();
        }
    }

    async fn follow_roster(&mut self) {
        let roster = self.roster.borrow_and_update().clone();
        let settings = roster.membership.as_ref().map_or_else(NetworkSettings::default, |it| it.settings.clone());
        let applied = Applied { network: roster.network, settings };
        if self.applied.as_ref() != Some(&applied) {
            self.apply(&applied).await;
            self.applied = Some(applied);
        }
        self.nearby.announce(self.announcement(&roster));
        let members = roster.members.keys().copied().collect();
        self.nearby.members(members);
    }

    async fn apply(&mut self, now: &Applied) {
        let settings = &now.settings;
        let own = self.own_relay.iter().filter(|_| !settings.air_gapped).cloned();
        let mut wanted: Vec<RelayUrl> = Vec::new();
        for url in settings.active_relays().iter().filter_map(|url| url.parse().ok()).chain(own) {
            if !wanted.contains(&url) {
                wanted.push(url);
            }
        }
        let lookup = settings.active_lookup().and_then(|url| url.parse::<RelayUrl>().ok());
        // Another network begins with a clean cut; within one, links move over.
        let gently = self.applied.as_ref().is_some_and(|old| old.network == now.network) && !settings.air_gapped;
        self.relays.apply(wanted, lookup.clone(), gently).await;
        let same_lookup = self
            .applied
            .as_ref()
            .is_some_and(|old| old.network == now.network && old.settings.active_lookup() == settings.active_lookup());
        let resolver = if same_lookup { self.ways.borrow().lookup.clone() } else { self.use_lookup(lookup) };
        let local_only = settings.air_gapped;
        self.set_ways(Ways { network: now.network, local_only, lookup: resolver, ..self.relay_ways() });
        self.nearby.enable(settings.mdns);
        self.own = Places::default();
    }

    fn relay_ways(&self) -> Ways {
        Ways { relays: self.relays.usable(), leaving: self.relays.leaving(), ..Ways::default() }
    }

    fn set_ways(&self, ways: Ways) {
        self.ways.send_if_modified(|old| {
            let changed = !old.same(&ways);
            *old = ways;
            changed
        });
    }

    /// Publishes at, and asks, this server from now on.
    fn use_lookup(&mut self, server: Option<RelayUrl>) -> Option<Arc<dyn AddressLookup>> {
        self.publisher = None;
        let server = server?;
        let publisher = PkarrPublisher::builder(server.clone().into())
            .addr_filter(iroh::address_lookup::AddrFilter::unfiltered())
            .into_address_lookup(&self.endpoint);
        let resolver = PkarrResolver::builder(server.into()).into_address_lookup(&self.endpoint);
        match (publisher, resolver) {
            (Ok(publisher), Ok(resolver)) => {
                self.publisher = Some(Arc::new(publisher));
                Some(Arc::new(resolver))
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "the lookup server cannot be used");
                None
            }
        }
    }

    /// What this device says of itself on the local network; nothing while it is in no network.
    fn announcement(&self, roster: &Roster) -> Option<Announcement> {
        let membership = roster.membership.as_ref()?;
        let own = membership.members.get(&self.me)?;
        let network = membership.settings.announce.then(|| (membership.network, membership.name.clone()));
        Some(Announcement { name: own.name.clone(), network })
    }

    /// Tells the lookup server, the local network and linked members where this device is, if that has changed.
    async fn tell_own_places(&mut self) {
        let own = endpoint::own_places(&self.endpoint, &self.ways.borrow());
        if own == self.own {
            return;
        }
        self.own = own;
        let data = EndpointData::from_iter(self.own.transport_addrs());
        if let Some(publisher) = &self.publisher {
            publisher.publish(&data);
        }
        self.nearby.moved(data);
        self.links.moved().await;
    }

    /// Passes on where members are on the local network.
    async fn tell_found(&mut self) {
        for (device, places) in self.nearby.take_news() {
            self.links.nearby(device, places).await;
        }
    }

    fn publish(&mut self) {
        let picture = ReachPicture {
            relays: self.relays.info(),
            nearby: self.nearby.infos(),
            mdns_fault: self.nearby.fault().map(str::to_owned),
        };
        set(&self.picture, picture);
        set(&self.found, self.nearby.found());
    }
}

/// Publishes `new` if it is another value.
fn set<T: PartialEq>(sender: &watch::Sender<Arc<T>>, new: T) {
    sender.send_if_modified(|old| {
        let changed = **old != new;
        if changed {
            *old = Arc::new(new);
        }
        changed
    });
}
