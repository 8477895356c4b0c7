//! Prompts, how far devices are, what they can do and show.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types as control;
use myownmesh_mesh as mesh;

use super::{IntoControl, Names};
use crate::capabilities::{Abilities, difference};
use crate::conversations::Showable;
use crate::prompts::{FileError, Kept, PromptError, Version};

impl IntoControl for PromptError {
    fn into_control(self) -> ControlError {
        let code = match &self {
            Self::NotFound(_) | Self::NoHistory(_) | Self::NoVersion(_) => ErrorCode::NotFound,
            Self::AmbiguousVersion(_) => ErrorCode::Ambiguous,
            Self::DeletedVersion | Self::NoEarlierVersion => ErrorCode::Conflict,
            Self::TooLong { .. } | Self::TooLarge { .. } | Self::File(FileError::TooLarge { .. }) => {
                ErrorCode::TooLarge
            }
            Self::File(FileError::TooMany { .. }) | Self::LargeExport { .. } => ErrorCode::TooLarge,
            Self::Interrupted => ErrorCode::Internal,
            Self::Mesh(error) => super::mesh_code(error.kind()),
            _ => ErrorCode::InvalidArgument,
        };
        ControlError::new(code, self.to_string())
    }
}

/// A prompt.
pub(crate) fn prompt(kept: Kept, names: &Names) -> control::Prompt {
    let variable = |one: crate::prompts::Variable| control::PromptVariable {
        name: one.name,
        label: one.label,
        default: one.default,
    };
    control::Prompt {
        id: kept.id.to_string(),
        label: kept.text.label,
        body: kept.text.body,
        variables: kept.text.variables.into_iter().map(variable).collect(),
        suggested_tools: kept.text.suggested_tools,
        user_text: kept.text.user_text,
        order: kept.order,
        updated_at: kept.at,
        device_id: kept.author.to_string(),
        device_name: names.of_device(kept.author),
    }
}

/// A version of a prompt.
pub(crate) fn prompt_version(version: Version, names: &Names) -> control::PromptVersion {
    let deleted = version.text.is_none();
    let text = version.text.map(|(text, _)| text).unwrap_or_default();
    control::PromptVersion {
        version: version.record.to_string(),
        at: version.at,
        device_id: version.author.to_string(),
        device_name: names.of_device(version.author),
        deleted,
        label: text.label,
        body: text.body,
        current: version.current,
    }
}

/// How far one member is; `on` says whether the gossip is on here.
pub(crate) fn device_sync(device: &mesh::SyncDevice, on: bool, names: &Names) -> control::DeviceSync {
    use mesh::SyncState as State;
    let state = match device.state {
        State::Equal => control::SyncState::Equal,
        State::Behind => control::SyncState::Behind,
        State::Comparing => control::SyncState::Comparing,
        State::Off => control::SyncState::Off,
        State::Unsupported => control::SyncState::Unsupported,
        State::Unknown => control::SyncState::Unknown,
    };
    control::DeviceSync {
        device_id: device.device_id.to_string(),
        device_name: names.of_device(device.device_id),
        online: device.online,
        state,
        behind: device.behind,
        reason: sync_reason(device, on),
    }
}

fn sync_reason(device: &mesh::SyncDevice, on: bool) -> String {
    use mesh::SyncState as State;
    let records = if device.behind == 1 { "1 record".to_owned() } else { format!("{} records", device.behind) };
    match device.state {
        State::Equal if device.online => "It has everything.".to_owned(),
        State::Equal => "It had everything when it was last connected.".to_owned(),
        State::Behind if device.online => format!("{records} behind; it is getting them."),
        State::Behind => format!("{records} behind; it gets them when it is connected."),
        State::Comparing => "It is being compared.".to_owned(),
        State::Off if !on => "Switched off here.".to_owned(),
        State::Off => "Switched off there.".to_owned(),
        State::Unsupported => "Its version keeps no documents in step. Update the app there.".to_owned(),
        State::Unknown => "It has not been met yet; it is compared when it is connected.".to_owned(),
    }
}

/// What a device says it can do. `own` is what this one says, to tell the difference.
pub(crate) fn capabilities(
    device: &mesh::MemberInfo,
    at: i64,
    told: Abilities,
    own: Option<&Abilities>,
) -> control::Capabilities {
    control::Capabilities {
        device_id: device.device_id.to_string(),
        device_name: device.name.to_string(),
        this_device: device.this_device,
        updated_at: at,
        difference: own.and_then(|own| difference(own, &told)),
        app_version: told.app_version,
        protocol: told.protocol,
        features: told.features,
        hardware: told.hardware,
        engines: told.engines,
        transcription: told.transcription,
        microphone: told.microphone,
        accepting: told.accepting,
    }
}

/// A conversation that a device shows.
pub(crate) fn shown(device: &mesh::MemberInfo, conversation: Showable) -> control::ShownConversation {
    control::ShownConversation {
        device_id: device.device_id.to_string(),
        device_name: device.name.to_string(),
        id: conversation.id,
        title: conversation.title,
        folder: conversation.folder,
        updated_at: conversation.updated_at,
        size_bytes: conversation.bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_device_is_reads_as_a_sentence() {
        use mesh::SyncState as State;
        let told = |state, online, behind, on| {
            let device_id = mesh::DeviceId::of_secret(&[1; 32]);
            sync_reason(&mesh::SyncDevice { device_id, online, state, behind }, on)
        };
        assert_eq!(told(State::Equal, true, 0, true), "It has everything.");
        assert_eq!(told(State::Behind, false, 1, true), "1 record behind; it gets them when it is connected.");
        assert_eq!(told(State::Behind, true, 3, true), "3 records behind; it is getting them.");
        assert_eq!(told(State::Off, true, 0, false), "Switched off here.");
        assert_eq!(told(State::Off, true, 0, true), "Switched off there.");
    }
}
