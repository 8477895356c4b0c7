//! The seam between the crates: types of mesh and compute become those of the control contract, and every error becomes
//! a code and a sentence.
//!
//! `network` holds what concerns networks and the ways into them, `decision` puts governing decisions into words,
//! `hardware` is what a device is made of, `documents` what devices keep in step, `library` the models that can be had.

mod decision;
mod documents;
mod hardware;
mod library;
mod network;

use myownmesh_compute::{self as compute, ComputeError};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types as control;
use myownmesh_mesh::{self as mesh, MeshError};

use crate::card::{Card, CardModel};
use crate::config::ConfigError;
use crate::conversations::ConversationError;
use crate::engines::SavedEngineError;
use crate::home::HomeError;
use crate::identity::IdentityError;
use crate::keys::KeyError;
use crate::route::Offer;
use crate::store::StoreError;

pub(crate) use decision::{Names, decision};
pub(crate) use documents::*;
pub(crate) use hardware::{hardware, lasting_hardware};
pub(crate) use library::{model_fit, model_purpose};
pub(crate) use network::*;

/// The code of a mesh error.
pub(crate) fn mesh_code(kind: mesh::ErrorKind) -> ErrorCode {
    use mesh::ErrorKind as Kind;
    match kind {
        Kind::InvalidArgument => ErrorCode::InvalidArgument,
        Kind::NotFound => ErrorCode::NotFound,
        Kind::Conflict => ErrorCode::Conflict,
        Kind::NotAllowed => ErrorCode::NotAllowed,
        Kind::NoNetwork => ErrorCode::NoNetwork,
        Kind::InvalidInvite => ErrorCode::InvalidInvite,
        Kind::InviteExpired => ErrorCode::InviteExpired,
        Kind::InviteUsedUp => ErrorCode::InviteUsedUp,
        Kind::Denied => ErrorCode::Denied,
        Kind::KnockExpired => ErrorCode::KnockExpired,
        Kind::CodeMismatch => ErrorCode::CodeMismatch,
        Kind::RateLimited => ErrorCode::RateLimited,
        Kind::Unreachable => ErrorCode::Unreachable,
        Kind::NotMember => ErrorCode::NotMember,
        Kind::VersionMismatch => ErrorCode::VersionMismatch,
        Kind::Cancelled => ErrorCode::Cancelled,
        Kind::TooLarge => ErrorCode::TooLarge,
        Kind::TimedOut => ErrorCode::TimedOut,
        Kind::PortInUse => ErrorCode::PortInUse,
        Kind::Storage => ErrorCode::HomeUnusable,
        _ => ErrorCode::Internal,
    }
}

/// The code of a compute error.
pub(crate) fn compute_code(kind: compute::ErrorKind) -> ErrorCode {
    use compute::ErrorKind as Kind;
    match kind {
        Kind::InvalidUrl | Kind::InvalidKey | Kind::InvalidId | Kind::Unsupported => ErrorCode::InvalidArgument,
        Kind::EngineUnreachable | Kind::EngineSlow => ErrorCode::EngineUnreachable,
        Kind::EngineBadAnswer => ErrorCode::EngineBadAnswer,
        Kind::EngineUnauthorized | Kind::EngineFailed => ErrorCode::EngineFailed,
        Kind::EngineNotFound => ErrorCode::NotFound,
        Kind::EngineExists => ErrorCode::Conflict,
        Kind::ModelNotFound => ErrorCode::ModelNotFound,
        Kind::ModelFailed => ErrorCode::ModelFailed,
        _ => ErrorCode::Internal,
    }
}

/// An error of this daemon for the control boundary.
pub(crate) trait IntoControl {
    /// Code and sentence.
    fn into_control(self) -> ControlError;
}

/// `?` on foreign errors in functions that answer at the control boundary.
pub(crate) trait OrControl<T> {
    /// Turns the error into code and sentence.
    fn or_control(self) -> Result<T, ControlError>;
}

impl<T, E: IntoControl> OrControl<T> for Result<T, E> {
    fn or_control(self) -> Result<T, ControlError> {
        self.map_err(IntoControl::into_control)
    }
}

impl IntoControl for MeshError {
    fn into_control(self) -> ControlError {
        ControlError::new(mesh_code(self.kind()), self.to_string())
    }
}

impl IntoControl for ComputeError {
    fn into_control(self) -> ControlError {
        ControlError::new(compute_code(self.kind()), self.to_string())
    }
}

impl IntoControl for StoreError {
    fn into_control(self) -> ControlError {
        ControlError::new(ErrorCode::HomeUnusable, self.to_string())
    }
}

impl IntoControl for HomeError {
    fn into_control(self) -> ControlError {
        let code = match self {
            Self::InUse { .. } => ErrorCode::HomeInUse,
            Self::Unusable { .. } => ErrorCode::HomeUnusable,
        };
        ControlError::new(code, self.to_string())
    }
}

impl IntoControl for IdentityError {
    fn into_control(self) -> ControlError {
        let code = match self {
            Self::BadPolicy(_) => ErrorCode::InvalidArgument,
            _ => ErrorCode::HomeUnusable,
        };
        ControlError::new(code, self.to_string())
    }
}

impl IntoControl for ConfigError {
    fn into_control(self) -> ControlError {
        ControlError::new(ErrorCode::HomeUnusable, self.to_string())
    }
}

impl IntoControl for SavedEngineError {
    fn into_control(self) -> ControlError {
        ControlError::new(ErrorCode::HomeUnusable, self.to_string())
    }
}

impl IntoControl for KeyError {
    fn into_control(self) -> ControlError {
        let code = match &self {
            Self::BadName | Self::ForNothing => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Taken(_) | Self::TooMany => ErrorCode::Conflict,
            Self::Store(_) => ErrorCode::HomeUnusable,
        };
        ControlError::new(code, self.to_string())
    }
}

impl IntoControl for ConversationError {
    fn into_control(self) -> ControlError {
        let code = match &self {
            Self::NotFound | Self::NoMessage => ErrorCode::NotFound,
            Self::Answering => ErrorCode::Conflict,
            Self::BadTitle | Self::BadFolder | Self::BadCount | Self::NotContinued => ErrorCode::InvalidArgument,
            Self::Store(_) => ErrorCode::HomeUnusable,
        };
        ControlError::new(code, self.to_string())
    }
}

/// A role of the mesh.
pub(crate) fn role(role: mesh::Role) -> control::Role {
    match role {
        mesh::Role::Owner => control::Role::Owner,
        mesh::Role::Manager => control::Role::Manager,
        mesh::Role::Member => control::Role::Member,
    }
}

/// A role for the mesh.
pub(crate) fn mesh_role(role: control::Role) -> mesh::Role {
    match role {
        control::Role::Owner => mesh::Role::Owner,
        control::Role::Manager => mesh::Role::Manager,
        control::Role::Member => mesh::Role::Member,
    }
}

/// Whether a device can be reached.
pub(crate) fn device_state(link: &mesh::LinkState) -> control::DeviceState {
    match link {
        mesh::LinkState::Online { .. } => control::DeviceState::Online,
        mesh::LinkState::Connecting { .. } => control::DeviceState::Connecting,
        mesh::LinkState::Away { .. } => control::DeviceState::Away,
    }
}

/// A member of the active network. `own` is this device's card, which it does not get from the mesh.
pub(crate) fn device(member: &mesh::MemberInfo, own: &Card) -> control::DeviceSummary {
    let read;
    let card = if member.this_device {
        own
    } else {
        read = member.card.as_deref().map(Card::read).unwrap_or_default();
        &read
    };
    let (path, rtt_ms) = match &member.link {
        _ if member.this_device => (None, None),
        mesh::LinkState::Online { path, rtt_ms, .. } => (Some(path_kind(*path)), Some(*rtt_ms)),
        mesh::LinkState::Connecting { .. } | mesh::LinkState::Away { .. } => (None, None),
    };
    control::DeviceSummary {
        device_id: member.device_id.to_string(),
        name: member.name.to_string(),
        os: member.os.clone(),
        this_device: member.this_device,
        role: role(member.role),
        state: if member.this_device { control::DeviceState::Online } else { device_state(&member.link) },
        reason: if member.this_device { "This device.".to_owned() } else { member.link.reason() },
        path,
        rtt_ms,
        models: card.models.iter().filter(|model| model.usable()).map(|model| model.id.clone()).collect(),
        accepting: card.accepting,
        version: member.version.clone(),
        last_seen: member.last_seen,
    }
}

/// How a device is reached.
pub(crate) fn path_kind(path: mesh::PathKind) -> control::PathKind {
    match path {
        mesh::PathKind::Direct => control::PathKind::Direct,
        mesh::PathKind::Relay => control::PathKind::Relay,
    }
}

/// An engine of this device.
pub(crate) fn engine(engine: &compute::EngineInfo) -> control::Engine {
    use compute::EngineState as State;
    control::Engine {
        id: engine.id.to_string(),
        kind: match engine.kind {
            compute::EngineKind::Ollama => control::EngineKind::Ollama,
            compute::EngineKind::OpenAi => control::EngineKind::OpenAi,
            compute::EngineKind::LlamaServer => control::EngineKind::LlamaServer,
        },
        url: engine.url.clone(),
        state: match engine.state {
            State::Starting => control::EngineState::Starting,
            State::Ready | State::Idle => control::EngineState::Ready,
            State::Failed => control::EngineState::Failed,
        },
        reason: engine.reason.clone().unwrap_or_else(|| {
            match engine.state {
                State::Starting => "It is being asked.",
                State::Ready => "It answers.",
                State::Idle => "It starts with the first question.",
                State::Failed => "It does not work; test it again to learn why.",
            }
            .to_owned()
        }),
        models: engine.models.clone(),
        builtin: engine.builtin,
    }
}

/// The kind of an engine to add.
pub(crate) fn engine_kind(kind: control::EngineKind) -> compute::EngineKind {
    match kind {
        control::EngineKind::Ollama => compute::EngineKind::Ollama,
        control::EngineKind::OpenAi => compute::EngineKind::OpenAi,
        control::EngineKind::LlamaServer => compute::EngineKind::LlamaServer,
    }
}

/// Where a model stands.
pub(crate) fn model_state(state: compute::ModelState) -> control::ModelState {
    use compute::ModelState as State;
    match state {
        State::Available => control::ModelState::Available,
        State::Downloading => control::ModelState::Downloading,
        State::Loading => control::ModelState::Loading,
        State::Ready => control::ModelState::Ready,
        State::Failed => control::ModelState::Failed,
    }
}

/// A model that a device offers; `reason` says why it failed.
pub(crate) fn model(offer: &Offer, model: &CardModel, reason: Option<String>) -> control::Model {
    control::Model {
        id: model.id.clone(),
        device: offer.device.to_string(),
        device_name: offer.name.clone(),
        this_device: offer.this_device,
        engine: model.engine.clone(),
        state: model_state(model.state),
        reason,
        percent: model.percent,
        context_length: model.context_length,
        size_bytes: model.size_bytes,
        demo: model.demo,
    }
}
