//! Documents as people make and look at them: what tests of prompts, gossip and catalogues share.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{InviteOptions, Prompt, PromptDraft, SyncState};

use super::story::{found, invite, knock, online, outcome};
use super::{Daemon, Place};

/// Devices of one network, the first its founder, each seeing each.
pub(crate) async fn family<const N: usize>(names: [&str; N]) -> Vec<Daemon> {
    let mut devices = Vec::new();
    for name in names {
        let device = Place::new(name).start().await;
        match devices.first() {
            None => found(&device, "Home").await,
            Some(founder) => let_in(founder, &device).await,
        }
        devices.push(device);
    }
    for one in &devices {
        for other in devices.iter().filter(|other| other.id() != one.id()) {
            online(one, other).await;
        }
    }
    devices
}

/// Lets `guest` in by an invite that admits at once.
pub(crate) async fn let_in(host: &Daemon, guest: &Daemon) {
    let link = invite(host, InviteOptions { approved: true, ..InviteOptions::default() }).await;
    let join = knock(guest, &link).await;
    outcome(guest, &join).await.expect("the invite admits");
    online(host, guest).await;
}

/// Makes a prompt, or changes its text.
pub(crate) async fn write(device: &Daemon, id: &str, body: &str) -> Prompt {
    let draft = PromptDraft {
        id: Some(id.to_owned()),
        label: Some(format!("The {id}")),
        body: Some(body.to_owned()),
        ..PromptDraft::default()
    };
    device.control.prompt_set(draft).await.expect("it can be written")
}

/// The prompts of a device.
pub(crate) async fn prompts(device: &Daemon) -> Vec<Prompt> {
    device.control.prompt_list(None).await.expect("prompts can be listed")
}

/// Waits until a prompt says this on a device; `None`: until it is gone.
pub(crate) async fn says(device: &Daemon, id: &str, body: Option<&str>) {
    device
        .until(&format!("{id} saying {body:?} on {}", device.ready["device_name"]), async |control| {
            let list = control.prompt_list(None).await.expect("prompts can be listed");
            let found = list.iter().find(|prompt| prompt.id == id).map(|prompt| prompt.body.as_str());
            (found == body).then_some(())
        })
        .await;
}

/// Waits until all devices have the same prompts, to the last field, and gives them.
pub(crate) async fn agreed(devices: &[Daemon]) -> Vec<Prompt> {
    loop {
        let first = prompts(&devices[0]).await;
        for device in &devices[1..] {
            let name = &device.ready["device_name"];
            let same = async |control: &myownmesh_control::client::ControlClient| {
                let list = control.prompt_list(None).await.expect("prompts can be listed");
                (list == first).then_some(())
            };
            device.until(&format!("{name} having what the first device has"), same).await;
        }
        if prompts(&devices[0]).await == first {
            return first;
        }
    }
}

/// Waits until `device` knows that `other` has everything, or what else it is.
pub(crate) async fn synced(device: &Daemon, other: &Daemon, state: SyncState) {
    device
        .until(&format!("{} being {state:?}", other.ready["device_name"]), async |control| {
            let status = control.sync_status().await.expect("a status");
            status.devices.into_iter().find(|one| one.device_id == other.id() && one.state == state)
        })
        .await;
}

/// Turns the gossip of a device on or off.
pub(crate) async fn gossip(device: &Daemon, on: bool) {
    let status = device.control.sync_set(on).await.expect("it can be switched");
    assert_eq!(status.auto_gossip, on);
}

/// Texts of all versions of a prompt, the present one first; empty for a deletion.
pub(crate) async fn versions(device: &Daemon, id: &str) -> Vec<String> {
    let history = device.control.prompt_history(id.to_owned()).await.expect("a history");
    assert!(history[0].current && history[1..].iter().all(|version| !version.current), "{history:?}");
    history.into_iter().map(|version| version.body).collect()
}

/// Waits until a device is back in the network of this name.
pub(crate) async fn back_in(device: &Daemon, network: &str, others: &[&Daemon]) {
    device.control.network_use(network.to_owned()).await.expect("it is saved");
    for other in others {
        online(device, other).await;
    }
}
