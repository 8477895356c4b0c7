//! Events of the mesh, kept as activities.

use std::collections::HashMap;
use std::time::Duration;

use myownmesh_control::types::ActivityKind;
use myownmesh_mesh::{DecisionInfo, DeviceId, MeshEvent, MeshSnapshot, NetworkId};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use crate::activity::{Activity, Teller, Told};
use crate::daemon::Daemon;

/// Events that come this closely together share one look at the decisions.
const GATHER: Duration = Duration::from_millis(50);
/// Most events that are told together.
const MOST: usize = 1024;

/// Keeps what happens until the mesh ends.
pub(super) async fn keep(daemon: &Daemon) {
    let mut events = daemon.mesh.events();
    let mut names = Names::default();
    let mut teller = {
        let mesh = daemon.picture();
        names.look(&mesh, &daemon.activity);
        arrivals(&mesh, &daemon.activity);
        Teller::new(&mesh)
    };
    let mut pictures = daemon.mesh.watch();
    let mut gathered = Vec::new();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => gathered.push(event),
                Err(RecvError::Lagged(missed)) => missed_some(&daemon.activity, missed),
                Err(RecvError::Closed) => return,
            },
            changed = pictures.changed() => {
                if changed.is_err() {
                    return;
                }
                names.look(&pictures.borrow_and_update().clone(), &daemon.activity);
                continue;
            }
        }
        // Taken as they come: the mesh holds back only so many for a slow reader.
        let until = Instant::now() + GATHER;
        while gathered.len() < MOST {
            match timeout_at(until, events.recv()).await {
                Ok(Ok(event)) => gathered.push(event),
                Ok(Err(RecvError::Lagged(missed))) => missed_some(&daemon.activity, missed),
                Ok(Err(RecvError::Closed)) | Err(_) => break,
            }
        }
        tell(daemon, &mut teller, &std::mem::take(&mut gathered)).await;
    }
}

async fn tell(daemon: &Daemon, teller: &mut Teller, events: &[MeshEvent]) {
    let mesh = daemon.picture();
    let decisions: Vec<DecisionInfo> = match mesh.active {
        Some(network) if events.iter().any(Teller::wants_decisions) => {
            // Without them the sentence says less; nothing is lost.
            daemon.mesh.decisions(network).await.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    for event in events {
        if let MeshEvent::NetworkChanged { active: Some(network) } = event {
            daemon.activity.joined(*network);
        }
        if let Some(told) = teller.tell(event, &mesh, &decisions) {
            daemon.activity.tell(told);
        }
    }
}

/// The start of the daemon, in the network that was active when it last ended.
fn arrivals(mesh: &MeshSnapshot, activity: &Activity) {
    let active = mesh.networks.iter().find(|network| Some(network.id) == mesh.active);
    if let Some(network) = active {
        let text = format!("The daemon started in {}.", network.name);
        activity.tell(Told::new(mesh.active, ActivityKind::Network, text));
    }
}

fn missed_some(activity: &Activity, missed: u64) {
    let text = format!("So much happened at once that {missed} events were not kept.");
    activity.tell(Told::new(None, ActivityKind::Security, text));
}

/// Devices that are called differently now. The mesh tells no event of it: names are part of its picture.
#[derive(Default)]
struct Names {
    network: Option<NetworkId>,
    known: HashMap<DeviceId, String>,
}

impl Names {
    fn look(&mut self, mesh: &MeshSnapshot, activity: &Activity) {
        if self.network != mesh.active {
            self.network = mesh.active;
            self.known.clear();
        }
        for member in &mesh.members {
            let name = member.name.as_str();
            match self.known.get(&member.device_id) {
                Some(before) if before == name => {}
                Some(before) => {
                    let text = format!("{before} is called {name} now.");
                    let told = Told::new(mesh.active, ActivityKind::Member, text);
                    activity.tell(told.about(member.device_id, name));
                    self.known.insert(member.device_id, name.to_owned());
                }
                None => drop(self.known.insert(member.device_id, name.to_owned())),
            }
        }
    }
}
