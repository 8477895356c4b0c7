//! The one error of this crate. Every variant reads as a sentence that ends with what to do next; [`MeshError::kind`]
//! is the stable reason programs decide by.

use std::net::SocketAddr;

use crate::proto::invite::InviteError;
use crate::proto::knock::DecideError;
use crate::store::StoreError;

/// Why the mesh refused or failed, for people (`Display`) and for programs ([`MeshError::kind`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// An argument is malformed or out of range; the text is a whole sentence.
    #[error("{0}")]
    InvalidArgument(String),
    /// No saved network has this id.
    #[error("This device knows no such network. `myownmesh network list` shows the saved ones.")]
    UnknownNetwork,
    /// No pending knock has this id.
    #[error("There is no such knock: it was answered, withdrawn or expired. `myownmesh knocks` shows those that wait.")]
    UnknownKnock,
    /// No invite has this id.
    #[error("There is no such invite. `myownmesh invite list` shows those that work.")]
    UnknownInvite,
    /// No network is active.
    #[error("No network is active. Create one, join one, or switch to a saved one first.")]
    NoNetwork,
    /// The state forbids it now; the text is a whole sentence.
    #[error("{0}")]
    Conflict(String),
    /// This device's role does not allow it; the text is a whole sentence.
    #[error("{0}")]
    NotAllowed(String),
    /// The invite cannot be used; the text is a whole sentence.
    #[error("{0}")]
    InvalidInvite(String),
    /// The invite's time is over.
    #[error("This invite has expired. Ask for a new one.")]
    InviteExpired,
    /// The invite was revoked or used up.
    #[error("This invite was revoked or is used up. Ask for a new one.")]
    InviteUsedUp,
    /// The other side denied the knock.
    #[error("The other device said no{}", reason.as_deref().map_or_else(|| ". Ask its owner, then knock again.".to_owned(), |text| format!(": {text}")))]
    Denied {
        /// What its owner wrote, cleaned of control characters.
        reason: Option<String>,
    },
    /// The person there said that the codes differ.
    #[error(
        "The person at the other device saw a different code, so the knock was refused: somebody may be in between. Make a new invite and try again on a network you trust."
    )]
    CodesDiffer,
    /// Nobody answered the knock in time.
    #[error("Nobody answered the knock in time. Ask the other person to open the app, then knock again.")]
    KnockExpired,
    /// The code given with an approval is not the code of the knock.
    #[error(
        "This is not the code of that knock, so nothing was approved. Compare it with the other screen; if it really differs, deny the knock."
    )]
    CodeMismatch,
    /// The other side asked for patience.
    #[error("The other device wants no more knocks for now. Wait {} s, then try again.", retry_after_ms.div_ceil(1000).max(1))]
    RateLimited {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// Nobody answered at the addresses of an invite.
    #[error(
        "No device of the network answered at {addresses}. Check that the device that made the invite is on and on the same network as this one, then try again."
    )]
    NobodyAnswered {
        /// The addresses tried, for people.
        addresses: String,
    },
    /// A device cannot be reached now; the text says which and why.
    #[error("{0}")]
    Unreachable(String),
    /// The connection was lost before the answer began; the text says to which device. Nothing runs there any more, so
    /// asking once more is safe.
    #[error("{0}")]
    Lost(String),
    /// The device is not a member of the active network.
    #[error("That device is not a member of the active network. `myownmesh devices` shows the members.")]
    NotMember,
    /// This device was removed from the network.
    #[error("This device was removed from the network. Knock again to come back.")]
    Removed,
    /// The other side speaks another version of the protocol.
    #[error("The two devices run versions that do not understand each other. Update the older app, then try again.")]
    VersionMismatch,
    /// The person cancelled it.
    #[error("Cancelled.")]
    Cancelled,
    /// Something is larger than its limit; the text is a whole sentence.
    #[error("{0}")]
    TooLarge(String),
    /// Took too long; the text is a whole sentence.
    #[error("{0}")]
    TimedOut(String),
    /// A listen address is taken.
    #[error(
        "The address {0} is taken by another program. Choose another one with `--listen`, or port 0 for any free one."
    )]
    PortInUse(SocketAddr),
    /// The network sockets could not be opened.
    #[error("The network could not be opened: {0}. Check the `--listen` addresses.")]
    Bind(String),
    /// The database failed.
    #[error("The mesh could not keep its data: {0}.")]
    Storage(String),
    /// The other side broke the protocol.
    #[error("The other device answered something unexpected: {0}. Check that both run the same version.")]
    Protocol(String),
    /// The mesh is shutting down.
    #[error("The mesh has stopped. Start the daemon again.")]
    Stopped,
}

/// Stable reason of a [`MeshError`], for programs. Added to, never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is malformed or out of range.
    InvalidArgument,
    /// What the request names does not exist.
    NotFound,
    /// The state forbids it now.
    Conflict,
    /// This device's role does not allow it.
    NotAllowed,
    /// No network is active.
    NoNetwork,
    /// The invite is malformed, foreign or not for this network.
    InvalidInvite,
    /// The invite's time is over.
    InviteExpired,
    /// The invite was revoked or used up.
    InviteUsedUp,
    /// The other side denied the knock.
    Denied,
    /// Nobody answered the knock in time.
    KnockExpired,
    /// The code given is not the code of the knock.
    CodeMismatch,
    /// The other side asked for patience.
    RateLimited,
    /// The device cannot be reached now.
    Unreachable,
    /// The device, or this one, is not a member.
    NotMember,
    /// The other side speaks another version or broke the protocol.
    VersionMismatch,
    /// Cancelled by the person.
    Cancelled,
    /// Larger than the limit.
    TooLarge,
    /// Took too long.
    TimedOut,
    /// A listen address is taken or unusable.
    PortInUse,
    /// The database cannot be used.
    Storage,
    /// The mesh has stopped.
    Stopped,
}

impl MeshError {
    /// The stable reason.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidArgument(_) => ErrorKind::InvalidArgument,
            Self::UnknownNetwork | Self::UnknownKnock | Self::UnknownInvite => ErrorKind::NotFound,
            Self::NoNetwork => ErrorKind::NoNetwork,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::NotAllowed(_) => ErrorKind::NotAllowed,
            Self::InvalidInvite(_) => ErrorKind::InvalidInvite,
            Self::InviteExpired => ErrorKind::InviteExpired,
            Self::InviteUsedUp => ErrorKind::InviteUsedUp,
            Self::Denied { .. } | Self::CodesDiffer => ErrorKind::Denied,
            Self::KnockExpired => ErrorKind::KnockExpired,
            Self::CodeMismatch => ErrorKind::CodeMismatch,
            Self::RateLimited { .. } => ErrorKind::RateLimited,
            Self::NobodyAnswered { .. } | Self::Unreachable(_) | Self::Lost(_) => ErrorKind::Unreachable,
            Self::NotMember | Self::Removed => ErrorKind::NotMember,
            Self::VersionMismatch | Self::Protocol(_) => ErrorKind::VersionMismatch,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::PortInUse(_) | Self::Bind(_) => ErrorKind::PortInUse,
            Self::Storage(_) => ErrorKind::Storage,
            Self::Stopped => ErrorKind::Stopped,
        }
    }
}

impl From<StoreError> for MeshError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownNetwork => Self::UnknownNetwork,
            StoreError::Record(error) => Self::InvalidArgument(format!("This cannot be recorded: {error}.")),
            other => Self::Storage(other.to_string()),
        }
    }
}

impl From<InviteError> for MeshError {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::Expired => Self::InviteExpired,
            other => Self::InvalidInvite(sentence(&other.to_string())),
        }
    }
}

impl From<DecideError> for MeshError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Gone => Self::UnknownKnock,
            DecideError::CodesDiffer => Self::CodeMismatch,
            DecideError::Deciding | DecideError::Decided { .. } => Self::Conflict(sentence(&error.to_string())),
            DecideError::MayNotGrant => Self::NotAllowed(sentence(&error.to_string())),
        }
    }
}

/// A clause of the protocol layer as a sentence: capital first, full stop last.
fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if clause.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_carries_its_reason() {
        let error = MeshError::Denied { reason: Some("not today".to_owned()) };
        assert_eq!(error.to_string(), "The other device said no: not today");
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(MeshError::Denied { reason: None }.to_string().contains("knock again"));
    }

    #[test]
    fn patience_is_told_in_whole_seconds() {
        assert!(MeshError::RateLimited { retry_after_ms: 1 }.to_string().contains("Wait 1 s"));
        assert!(MeshError::RateLimited { retry_after_ms: 2_001 }.to_string().contains("Wait 3 s"));
    }
}
