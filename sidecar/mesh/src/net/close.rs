//! Why a connection was closed: the application codes of QUIC's `CONNECTION_CLOSE`, and the sentences people read.

use iroh::endpoint::{Connection, ConnectionError, VarInt};

/// A reason for closing a connection, as it stands on the wire. Codes are added, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum CloseCode {
    /// All was said.
    Done = 0,
    /// The other side is no member of the active network here.
    NotMember = 1,
    /// Another network is active here.
    OtherNetwork = 2,
    /// This side leaves the network.
    Left = 3,
    /// The other side was removed from the network.
    Removed = 4,
    /// Another connection between the same two devices replaces this one.
    Replaced = 5,
    /// The other side broke the protocol.
    Protocol = 6,
    /// Too many connections from there.
    Busy = 7,
    /// This side is shutting down.
    Shutdown = 8,
    /// The other side took too long.
    TooSlow = 9,
    /// The protocol versions do not fit.
    Version = 10,
}

impl CloseCode {
    const ALL: [Self; 11] = [
        Self::Done,
        Self::NotMember,
        Self::OtherNetwork,
        Self::Left,
        Self::Removed,
        Self::Replaced,
        Self::Protocol,
        Self::Busy,
        Self::Shutdown,
        Self::TooSlow,
        Self::Version,
    ];

    /// The number on the wire.
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    /// The text on the wire, for logs of the other side.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotMember => "not a member of this network",
            Self::OtherNetwork => "another network is active here",
            Self::Left => "left the network",
            Self::Removed => "removed from the network",
            Self::Replaced => "replaced by another connection",
            Self::Protocol => "protocol broken",
            Self::Busy => "too many connections",
            Self::Shutdown => "shutting down",
            Self::TooSlow => "too slow",
            Self::Version => "protocol version not supported",
        }
    }

    /// Closes `connection` for this reason.
    pub(crate) fn close(self, connection: &Connection) {
        connection.close(self.code(), self.text().as_bytes());
    }

    /// The reason the other side gave, if it closed the connection and the code is known.
    pub(crate) fn of(error: &ConnectionError) -> Option<Self> {
        let ConnectionError::ApplicationClosed(close) = error else { return None };
        Self::ALL.into_iter().find(|code| code.code() == close.error_code)
    }
}

/// What a lost connection to a member means, as a sentence about that device.
pub(crate) fn sentence(error: &ConnectionError) -> String {
    match (CloseCode::of(error), error) {
        (Some(code), _) => sentence_of(code),
        (None, ConnectionError::TimedOut) => "It stopped answering.".to_owned(),
        (None, ConnectionError::Reset) => "It was restarted.".to_owned(),
        (None, _) => "The connection was lost.".to_owned(),
    }
}

/// What it means that another device closed a connection for this reason, as a sentence about that device.
pub(crate) fn sentence_of(code: CloseCode) -> String {
    match code {
        CloseCode::NotMember | CloseCode::Removed => "It does not count this device as a member of the network.",
        CloseCode::OtherNetwork => "Another network is active there now.",
        CloseCode::Left => "It left the network for now.",
        CloseCode::Shutdown => "MyOwnLLM was closed there.",
        CloseCode::Version => "It runs a version that does not fit this one. Update the older app.",
        CloseCode::Busy => "It has too many connections right now.",
        code => return format!("It closed the connection ({}).", code.text()),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire_never_change() {
        let numbers: Vec<u32> = CloseCode::ALL.iter().map(|code| *code as u32).collect();
        assert_eq!(numbers, (0..=10).collect::<Vec<_>>());
        assert_eq!(CloseCode::Removed as u32, 4);
        assert_eq!(CloseCode::Shutdown as u32, 8);
    }
}
