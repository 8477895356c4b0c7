//! `sync`, `catalogue` and `capabilities`: how documents keep in step, what devices show and can do.

use myownmesh_control::api::documents::DocumentsApiClient;
use myownmesh_control::types::{
    Accepting, Capabilities, Catalogue, DeviceSync, EngineCapability, Hardware, SyncState, SyncStatus,
};

use super::Context;
use super::args::{CatalogueArgs, SyncAction};
use super::output::{Failure, Output, Style, Table, paint, printable};
use super::units::{binary, now, relative, size};

/// Runs a `sync` command.
pub(super) async fn run(action: SyncAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let status = match action {
        SyncAction::Status => client.sync_status().await?,
        SyncAction::On => client.sync_set(true).await?,
        SyncAction::Off => client.sync_set(false).await?,
    };
    context.out.document(&status, standing)
}

/// Shows what devices show of their conversations, or sets whether this one does.
pub(super) async fn catalogue(args: CatalogueArgs, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let catalogue = match args.show {
        Some(on) => client.catalogue_show(on).await?,
        None => client.catalogue().await?,
    };
    context.out.document(&catalogue, shown)
}

/// Lists what devices say they can do.
pub(super) async fn capabilities(context: &Context) -> Result<(), Failure> {
    let list = context.connect().await?.capability_list().await?;
    context.out.document(&list[..], abilities)
}

fn standing(out: Output, status: &SyncStatus) -> String {
    let switch = if status.auto_gossip {
        "on: prompts, permissions, capabilities and catalogues keep in step with the other devices."
    } else {
        "off: none of them leaves or enters this device. Asking models of other devices still works."
    };
    let head = printable(&format!(
        "Gossip of {} is {switch}\n{} records, {} of {}.",
        status.network,
        status.records,
        binary(status.bytes),
        binary(status.limit_bytes)
    ));
    if status.devices.is_empty() {
        return format!("{head}\n\nNo other device is a member.");
    }
    let mut table = Table::new(&["DEVICE", "SYNC", ""]);
    for device in &status.devices {
        let (state, style) = state_word(device);
        table.styled([
            (device.device_name.clone(), Style::Strong),
            (state, style),
            (device.reason.clone(), Style::Quiet),
        ]);
    }
    format!("{head}\n\n{}", table.render(out.colour()))
}

fn state_word(device: &DeviceSync) -> (String, Style) {
    match device.state {
        SyncState::Equal => ("equal".to_owned(), Style::Good),
        SyncState::Behind => (format!("{} behind", device.behind), Style::Waiting),
        SyncState::Comparing => ("comparing".to_owned(), Style::Waiting),
        SyncState::Off => ("off".to_owned(), Style::Quiet),
        SyncState::Unsupported => ("unsupported".to_owned(), Style::Bad),
        SyncState::Unknown => ("unknown".to_owned(), Style::Quiet),
    }
}

fn shown(out: Output, catalogue: &Catalogue) -> String {
    let head = if catalogue.showing {
        "The titles of this device's conversations are shown to the network."
    } else {
        "The titles of this device's conversations are not shown to the network. `myownmesh catalogue on` shows them."
    };
    if catalogue.conversations.is_empty() {
        return format!("{head}\n\nNo device shows a conversation.");
    }
    let mut table = Table::new(&["DEVICE", "FOLDER", "TITLE", "CHANGED", "SIZE"]);
    for conversation in &catalogue.conversations {
        table.styled([
            (conversation.device_name.clone(), Style::Plain),
            (conversation.folder.clone().unwrap_or_default(), Style::Quiet),
            (conversation.title.clone(), Style::Strong),
            (relative(conversation.updated_at, now()), Style::Plain),
            (size(conversation.size_bytes), Style::Quiet),
        ]);
    }
    format!("{head}\n\n{}", table.render(out.colour()))
}

fn abilities(out: Output, list: &[Capabilities]) -> String {
    if list.is_empty() {
        return "No device has said yet what it can do.".to_owned();
    }
    list.iter().map(|device| describe(out, device)).collect::<Vec<_>>().join("\n\n")
}

fn describe(out: Output, device: &Capabilities) -> String {
    let own = if device.this_device { " (this device)" } else { "" };
    let heading = paint(out.colour(), Style::Strong, &printable(&format!("{}{own}", device.device_name)));
    let accepting = match device.accepting {
        Accepting::Available => "every member",
        Accepting::Limited => "one request of others at a time",
        Accepting::Busy => "nobody else",
    };
    let known = |word: Option<bool>| match word {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not told",
    };
    let mut lines = vec![
        format!("Version        {}, protocol {}", device.app_version, device.protocol),
        format!("Told           {}", relative(device.updated_at, now())),
        format!("Understands    {}", device.features.join(", ")),
        format!("Serves         {accepting}"),
        format!("Transcription  {}", known(Some(device.transcription))),
        format!("Microphone     {}", known(device.microphone)),
    ];
    lines.extend(device.hardware.iter().flat_map(hardware));
    lines.extend(device.engines.iter().map(engine));
    lines.extend(device.difference.iter().map(|text| format!("Difference     {text}")));
    format!("{heading}\n{}", printable(&lines.join("\n")))
}

fn hardware(hardware: &Hardware) -> Vec<String> {
    let cpu = &hardware.cpu;
    let mut lines = vec![
        format!("Processor      {}, {}, {} threads", cpu.name, cpu.architecture, cpu.threads),
        format!("Memory         {}", size(hardware.memory_bytes)),
    ];
    lines.extend(hardware.gpus.iter().map(|gpu| {
        let memory = match gpu.vram_bytes {
            _ if gpu.unified => ", shares the memory".to_owned(),
            Some(bytes) => format!(", {}", size(bytes)),
            None => String::new(),
        };
        format!("Graphics       {}{memory}", gpu.name)
    }));
    lines.extend(hardware.npu.iter().map(|name| format!("NPU            {name}")));
    lines.extend(
        hardware.battery.iter().map(|battery| {
            format!("Battery        yes, {}", if battery.on_mains { "on mains" } else { "not on mains" })
        }),
    );
    lines
}

fn engine(engine: &EngineCapability) -> String {
    let models: Vec<_> = engine.models.iter().map(|model| model.id.as_str()).collect();
    let models = if models.is_empty() { "no models".to_owned() } else { models.join(", ") };
    format!("Engine         {}: {models}", engine.id)
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::ShownConversation;

    use super::*;

    #[test]
    fn the_switch_and_each_device_are_told() {
        let device = DeviceSync {
            device_id: "0".repeat(64),
            device_name: "Lap".to_owned(),
            online: false,
            state: SyncState::Behind,
            behind: 3,
            reason: "3 records behind; it gets them when it is connected.".to_owned(),
        };
        let status = SyncStatus {
            network: "Home".to_owned(),
            network_id: "1".repeat(64),
            auto_gossip: true,
            records: 12,
            bytes: 3_400,
            limit_bytes: 20_971_520,
            devices: vec![device],
        };
        assert_eq!(
            standing(Output::new(true), &status),
            "Gossip of Home is on: prompts, permissions, capabilities and catalogues keep in step with the other \
             devices.\n12 records, 3.3 KB of 20 MB.\n\nDEVICE  SYNC\n\
             Lap     3 behind  3 records behind; it gets them when it is connected."
        );
        let off = SyncStatus { auto_gossip: false, devices: Vec::new(), ..status };
        assert!(standing(Output::new(true), &off).contains("is off: none of them leaves or enters"));
    }

    #[test]
    fn what_is_shown_is_listed_and_cannot_command_the_terminal() {
        let conversation = ShownConversation {
            device_id: "0".repeat(64),
            device_name: "Lap".to_owned(),
            id: "c".to_owned(),
            title: "Plans\u{1b}[2J".to_owned(),
            folder: Some("Work".to_owned()),
            updated_at: now(),
            size_bytes: 1_200,
        };
        let catalogue = Catalogue { showing: true, conversations: vec![conversation] };
        let text = shown(Output::new(true), &catalogue);
        assert!(text.ends_with("Lap     Work    Plans[2J  now      1.2 kB"), "{text}");
    }

    #[test]
    fn what_a_device_can_do_is_described() {
        let device = Capabilities {
            device_id: "0".repeat(64),
            device_name: "Desk".to_owned(),
            this_device: false,
            updated_at: now(),
            app_version: "9.0.0".to_owned(),
            protocol: 1,
            features: vec!["chat".to_owned(), "prompts".to_owned()],
            hardware: None,
            engines: Vec::new(),
            transcription: false,
            microphone: None,
            accepting: Accepting::Busy,
            difference: Some("It runs a newer version.".to_owned()),
        };
        assert_eq!(
            describe(Output::new(true), &device),
            "Desk\nVersion        9.0.0, protocol 1\nTold           now\nUnderstands    chat, prompts\n\
             Serves         nobody else\nTranscription  no\nMicrophone     not told\n\
             Difference     It runs a newer version."
        );
    }
}
