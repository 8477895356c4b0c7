//! A small internet of its own for each test: nodes are network namespaces, each with one device, and every two of them
//! have a link whose delay, jitter, loss and rate can be changed, and which can be cut and mended, while everything runs.
//!
//! Packets to anywhere else are dropped and remembered, so a test can tell that nobody tried to reach the internet.

mod namespace;
mod switch;
mod wire;

use std::net::Ipv4Addr;

use rustix::process::geteuid;

pub(crate) use self::wire::Quality;

use self::namespace::Namespace;
use self::switch::Switch;
use crate::harness::Place;

/// To all nodes.
pub(crate) const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 255);

/// Whether an address is one of a net's own.
fn within_net(address: Ipv4Addr) -> bool {
    address.octets()[..3] == [10, 87, 0]
}

/// The first address of a node.
pub(crate) fn address(node: usize) -> Ipv4Addr {
    let last = u8::try_from(node + 1).expect("few nodes");
    Ipv4Addr::new(10, 87, 0, last)
}

/// Why nets cannot be made on this machine; `None` where they can.
pub(crate) fn missing() -> Option<String> {
    if !geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    namespace::sweep();
    Namespace::new().err()
}

/// Nodes and the links between them. Dropping it removes its namespaces.
pub(crate) struct Net {
    switch: Switch,
    nodes: Vec<Namespace>,
}

impl Net {
    /// A net of this many nodes, all of which reach each other without delay. A node's number tells its address.
    pub(crate) fn new(nodes: usize) -> Self {
        let made: Result<(Vec<Namespace>, Vec<_>), String> = (0..nodes).map(|_| Namespace::new()).collect();
        let (nodes, devices) = made.unwrap_or_else(|error| panic!("{error}"));
        let net = Self { switch: Switch::start(devices), nodes };
        (0..net.nodes.len()).for_each(|node| net.add(node, address(node)));
        net
    }

    /// Gives a node an address.
    pub(crate) fn add(&self, node: usize, address: Ipv4Addr) {
        assert!(within_net(address), "{address}");
        self.switch.plan().owners.insert(address, node);
        self.nodes[node].add(address);
    }

    /// Takes an address from a node.
    pub(crate) fn remove(&self, node: usize, address: Ipv4Addr) {
        self.switch.plan().owners.remove(&address);
        self.nodes[node].remove(address);
    }

    /// Leaves a node only the route to its neighbours: none to the internet, and none for multicast.
    pub(crate) fn isolate(&self, node: usize) {
        self.nodes[node].forget_default();
    }

    /// A home whose daemon will run on a node and can be reached at all its addresses. It uses neither relay nor mDNS.
    pub(crate) fn place(&self, node: usize, device_name: &str) -> Place {
        let mut place = Place::new(device_name).listen("0.0.0.0:0");
        place.starter = self.starter(node);
        place
    }

    /// What runs a program on a node.
    pub(crate) fn starter(&self, node: usize) -> Vec<String> {
        self.nodes[node].starter()
    }

    /// The link between two nodes.
    pub(crate) fn link(&self, one: usize, other: usize) -> Link<'_> {
        assert!(one != other && one.max(other) < self.nodes.len(), "no such link");
        Link { switch: &self.switch, ends: (one, other) }
    }

    /// The links between a node and all others.
    pub(crate) fn links(&self, node: usize) -> impl Iterator<Item = Link<'_>> {
        (0..self.nodes.len()).filter(move |&other| other != node).map(move |other| self.link(node, other))
    }

    /// Gives all links this quality.
    pub(crate) fn set(&self, quality: Quality) {
        (0..self.nodes.len()).flat_map(|node| self.links(node)).for_each(|link| link.set(quality));
    }

    /// Fails when somebody has tried to reach an address outside.
    pub(crate) fn assert_closed(&self) {
        let strays = &self.switch.plan().strays;
        assert!(strays.is_empty(), "somebody tried to reach {strays:?}");
    }
}

/// A link between two nodes, both directions.
#[derive(Clone, Copy)]
pub(crate) struct Link<'a> {
    switch: &'a Switch,
    ends: (usize, usize),
}

impl Link<'_> {
    /// Changes its quality.
    pub(crate) fn set(self, quality: Quality) {
        self.each(|wire| wire.quality = quality);
    }

    /// Loses every packet from now on.
    pub(crate) fn cut(self) {
        self.each(|wire| wire.cut = true);
    }

    /// Ends the cut.
    pub(crate) fn mend(self) {
        self.each(|wire| wire.cut = false);
    }

    fn each(self, change: impl Fn(&mut wire::Wire)) {
        let (one, other) = self.ends;
        let mut plan = self.switch.plan();
        change(plan.wire(one, other));
        change(plan.wire(other, one));
    }
}
