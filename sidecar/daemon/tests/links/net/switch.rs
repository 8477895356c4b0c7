//! Carries IP packets between TUN devices as links between them allow. A thread with a runtime of its own, so that a test
//! which computes or blocks does not slow the links down.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tun_rs::{AsyncDevice, SyncDevice};

use super::wire::Wire;

/// Which device has which address, and how the links between them are. Nodes are told by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Who has an address.
    pub(crate) owners: HashMap<Ipv4Addr, usize>,
    /// The links, each direction by itself; where there is none, it is perfect.
    wires: HashMap<(usize, usize), Wire>,
    /// Addresses outside the net that somebody tried to reach.
    pub(crate) strays: BTreeSet<Ipv4Addr>,
}

impl Plan {
    /// One direction of a link.
    pub(crate) fn wire(&mut self, from: usize, to: usize) -> &mut Wire {
        self.wires.entry((from, to)).or_default()
    }

    /// Where a packet goes.
    fn targets(&mut self, from: usize, to: Ipv4Addr, nodes: usize) -> Vec<usize> {
        if to.is_multicast() || to.is_broadcast() || to == super::BROADCAST {
            return (0..nodes).filter(|&node| node != from).collect();
        }
        let owner = self.owners.get(&to).copied();
        if owner.is_none() && !super::within_net(to) {
            self.strays.insert(to);
        }
        owner.into_iter().filter(|&node| node != from).collect()
    }
}

/// A running switch. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Switch {
    plan: Arc<Mutex<Plan>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Starts to carry packets between these devices; a node's number is its device's place in the list.
    pub(crate) fn start(devices: Vec<SyncDevice>) -> Self {
        let (plan, stop) = (Arc::new(Mutex::new(Plan::default())), CancellationToken::new());
        let (shared, stopped) = (plan.clone(), stop.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = run(devices, shared) => {}
                }
            });
        });
        Self { plan, stop, thread: Some(thread) }
    }

    /// The plan, to be looked at or changed. Changes hold from the next packet on.
    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        lock(&self.plan)
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It has told its own panic; a second one here would hide it.
            let _ = thread.join();
        }
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A packet on its way, ordered by its arrival.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    at: Instant,
    number: u64,
    from: usize,
    to: usize,
    packet: Vec<u8>,
}

async fn run(devices: Vec<SyncDevice>, plan: Arc<Mutex<Plan>>) {
    let open = |device| Arc::new(AsyncDevice::new(device).expect("a device can be waited for"));
    let devices: Vec<Arc<AsyncDevice>> = devices.into_iter().map(open).collect();
    let (sender, inbox) = mpsc::unbounded_channel();
    for (node, device) in devices.iter().enumerate() {
        tokio::spawn(collect(node, devices.len(), device.clone(), plan.clone(), sender.clone()));
    }
    drop(sender);
    deliver(inbox, &devices, &plan).await;
}

/// Takes what a node sends, and decides when it arrives where.
async fn collect(
    from: usize,
    nodes: usize,
    device: Arc<AsyncDevice>,
    plan: Arc<Mutex<Plan>>,
    parcels: mpsc::UnboundedSender<Parcel>,
) {
    let (mut buffer, mut number) = (vec![0; 65_536], 0);
    // A device ends with its namespace.
    while let Ok(length) = device.recv(&mut buffer).await {
        let packet = &buffer[..length];
        let Some(to) = destination(packet) else { continue };
        let now = Instant::now();
        let mut plan = lock(&plan);
        for target in plan.targets(from, to, nodes) {
            if let Some(at) = plan.wire(from, target).carry(now, length, &mut rand::rng()) {
                number += 1;
                let _ = parcels.send(Parcel { at, number, from, to: target, packet: packet.to_vec() });
            }
        }
    }
}

/// Hands packets over when their time has come. What is on a link while it is cut is lost.
async fn deliver(mut inbox: mpsc::UnboundedReceiver<Parcel>, devices: &[Arc<AsyncDevice>], plan: &Mutex<Plan>) {
    let mut waiting: BinaryHeap<Reverse<Parcel>> = BinaryHeap::new();
    loop {
        let next = waiting.peek().map(|Reverse(parcel)| parcel.at);
        let due = async {
            match next {
                Some(at) if at > Instant::now() => tokio::time::sleep_until(at.into()).await,
                Some(_) => {}
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due => {
                let Some(Reverse(parcel)) = waiting.pop() else { continue };
                if !lock(plan).wire(parcel.from, parcel.to).cut {
                    // A full or vanished device loses it, as a network card would.
                    let _: io::Result<usize> = devices[parcel.to].try_send(&parcel.packet);
                }
            }
            parcel = inbox.recv() => match parcel {
                Some(parcel) => waiting.push(Reverse(parcel)),
                None => return,
            },
        }
    }
}

/// Where an IPv4 packet wants to go; `None` for anything else.
fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let (version, address) = (packet.first()? >> 4, packet.get(16..20)?);
    (version == 4).then(|| Ipv4Addr::new(address[0], address[1], address[2], address[3]))
}
