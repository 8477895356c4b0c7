//! Devices, networks, membership and connections. Knows nothing of language models.
//!
//! [`Mesh`] is a handle to one actor that owns this device's networks: the signed records, the membership folded from
//! them, the knocks that wait, and the links to other members. What a device offers to members is an [`axum::Router`]
//! given in [`MeshConfig`]; requests of members reach it over encrypted streams after a membership check, with an
//! [`Asker`] extension that tells who asks. [`Mesh::request`] is the other end of that.
//!
//! - [`proto`]: values, codecs, folds and state machines, free of input and output
//! - `store`: what is kept in the device's database
//! - `net`: iroh endpoint, links, HTTP over streams, knocks
//! - `mesh`, `actor`: the handle, and the actor that composes all of it

mod actor;
mod api;
mod clock;
mod decisions;
mod error;
mod ledger;
mod mesh;
mod net;
pub mod proto;
mod roster;
mod store;

pub use crate::api::{
    Asker, ConnectionInfo, DecisionInfo, DecisionKind, DenyKind, Document, DocumentEdit, InviteInfo, InviteOptions,
    JoinStep, KnockInfo, KnockOutcome, LinkLoss, LinkState, MemberInfo, MeshConfig, MeshEvent, MeshSnapshot,
    NearbyInfo, NearbyNetwork, NetworkInfo, PathKind, ProbeCause, ProbeCheck, ProbeReport, RelayInfo, RelayState,
    Removal, Removed, SettingsPatch, SyncDevice, SyncInfo, SyncState,
};
pub use crate::error::{ErrorKind, MeshError};
pub use crate::mesh::{JoinProgress, Mesh};
pub use crate::proto::code::Code;
pub use crate::proto::document::{Collection, DocumentError, DocumentId, MAX_NETWORK_BYTES, MAX_VALUE_BYTES};
pub use crate::proto::hlc::Hlc;
pub use crate::proto::ids::{DeviceId, InviteId, KnockId, NetworkId, RecordId};
pub use crate::proto::invite::{Invite, InviteError};
pub use crate::proto::knock::InviteProblem;
pub use crate::proto::name::{DeviceName, NameError, NetworkName};
pub use crate::proto::record::{NetworkKind, Role};
pub use crate::proto::settings::{MAX_RELAYS, NetworkSettings, SettingsError};
pub use iroh::RelayUrl;
