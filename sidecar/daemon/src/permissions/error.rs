//! Why a permission could not be shown or changed.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_mesh::MeshError;

use super::limits::LimitError;
use super::statement::MAX_MCP_TOOLS;
use super::tool::BadTool;
use crate::convert::IntoControl;
use crate::store::StoreError;

/// The error of this module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PermissionError {
    /// No such tool.
    #[error(transparent)]
    Tool(#[from] BadTool),
    /// A limit that means nothing.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// More tools than one device may speak about.
    #[error("This device has set rules for {MAX_MCP_TOOLS} tools of MCP servers, which is the most.")]
    TooManyTools,
    /// No proposal has this id.
    #[error(
        "No proposal \"{0}\" waits here; it may have been answered, or its device has changed its mind. `myownmesh \
         permission proposals` shows those that wait."
    )]
    NoProposal(String),
    /// Several have.
    #[error("\"{0}\" fits several proposals. Write more of its id; `myownmesh permission proposals` shows them.")]
    SeveralProposals(String),
    /// A plain member of a closed network would loosen something.
    #[error(
        "{network} is a closed network, in which plain members only make rules stricter. Ask an owner or manager to set \
         this; then it waits here for you to accept."
    )]
    OnlyTighten {
        /// Its name.
        network: String,
    },
    /// A plain member of a closed network cannot be trusted with more.
    #[error(
        "{device} is a plain member of a closed network, where that loosens nothing. Make it a manager first, or accept \
         what managers propose."
    )]
    PlainMember {
        /// Its name.
        device: String,
    },
    /// This device needs no trust in itself.
    #[error("What is set on this device holds here anyway. Name another device.")]
    OwnDevice,
    /// The mesh refused or failed.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon is ending.
    #[error("The daemon is shutting down. Try again when it is back.")]
    Closed,
}

impl IntoControl for PermissionError {
    fn into_control(self) -> ControlError {
        let code = match self {
            Self::Mesh(error) => return error.into_control(),
            Self::Store(error) => return error.into_control(),
            Self::Tool(_) | Self::Limit(_) | Self::TooManyTools | Self::OwnDevice => ErrorCode::InvalidArgument,
            Self::NoProposal(_) => ErrorCode::NotFound,
            Self::SeveralProposals(_) => ErrorCode::Ambiguous,
            Self::OnlyTighten { .. } | Self::PlainMember { .. } => ErrorCode::NotAllowed,
            Self::Closed => ErrorCode::Cancelled,
        };
        ControlError::new(code, self.to_string())
    }
}
