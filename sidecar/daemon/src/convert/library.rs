//! The model library: how well models fit, and what goes wrong with downloads.

use myownmesh_compute::library::{DownloadError, Fit, HubError, ModelPurpose};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types as control;

use super::IntoControl;
use crate::library::{KeepError, LibraryError};

/// What a model is good for.
pub(crate) fn model_purpose(purpose: ModelPurpose) -> control::ModelPurpose {
    match purpose {
        ModelPurpose::Chat => control::ModelPurpose::Chat,
        ModelPurpose::Code => control::ModelPurpose::Code,
        ModelPurpose::Vision => control::ModelPurpose::Vision,
        ModelPurpose::Embeddings => control::ModelPurpose::Embeddings,
        ModelPurpose::Speech => control::ModelPurpose::Speech,
    }
}

/// How well a model fits.
pub(crate) fn model_fit(fit: Fit) -> control::ModelFit {
    match fit {
        Fit::Recommended => control::ModelFit::Recommended,
        Fit::Fits => control::ModelFit::Fits,
        Fit::Tight => control::ModelFit::Tight,
        Fit::TooBig => control::ModelFit::TooBig,
    }
}

impl IntoControl for LibraryError {
    fn into_control(self) -> ControlError {
        let code = match self {
            Self::Unknown { .. } | Self::NotKept { .. } | Self::NoDownload => ErrorCode::NotFound,
            Self::Coming { .. } => ErrorCode::Conflict,
            Self::TooBig { .. } => ErrorCode::TooLarge,
            Self::FromHere => ErrorCode::InvalidArgument,
            Self::Download(error) => return error.into_control(),
        };
        ControlError::new(code, self.to_string())
    }
}

impl IntoControl for KeepError {
    fn into_control(self) -> ControlError {
        let code = match self {
            Self::NotHere { .. } => ErrorCode::NotFound,
            Self::Downloading { .. } | Self::Taken { .. } => ErrorCode::Conflict,
            Self::Name { .. } | Self::NotAModel { .. } => ErrorCode::InvalidArgument,
            Self::Disk { .. } => ErrorCode::HomeUnusable,
        };
        ControlError::new(code, self.to_string())
    }
}

impl IntoControl for DownloadError {
    fn into_control(self) -> ControlError {
        let code = match &self {
            Self::Hub(HubError::NotFound { .. }) => ErrorCode::NotFound,
            Self::Hub(HubError::Refused { .. }) => ErrorCode::NotAllowed,
            Self::Hub(HubError::Busy { .. }) => ErrorCode::RateLimited,
            Self::Hub(HubError::Unreachable { .. }) => ErrorCode::Unreachable,
            Self::Hub(HubError::Silent { .. }) => ErrorCode::TimedOut,
            Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::NoRoom { .. } => ErrorCode::DiskFull,
            Self::Disk { .. } => ErrorCode::HomeUnusable,
            Self::InTheWay { .. } | Self::Running { .. } => ErrorCode::Conflict,
            Self::Nothing | Self::SameName { .. } | Self::OddName { .. } => ErrorCode::InvalidArgument,
            _ => ErrorCode::DownloadFailed,
        };
        ControlError::new(code, self.to_string())
    }
}
