//! Whether a daemon fits this app: `.myownmesh-rev`, the one line that the shell and the build check it against (ADR 1).

use std::fmt;

use jsonrpsee::core::client::ClientT;
use jsonrpsee::rpc_params;
use myownmesh_control::client::ControlClient;
use myownmesh_control::error::ControlError;
use serde::Deserialize;

const REV: &str = include_str!("../../../.myownmesh-rev");

/// What a daemon is, or should be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Version {
    /// Version of the daemon, for example `0.1.0`.
    version: String,
    /// Number of the control contract it speaks.
    protocol: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (control protocol {})", self.version, self.protocol)
    }
}

impl Version {
    /// What this app was built for.
    pub(super) fn expected() -> Self {
        // A line that cannot be read fits no daemon, and the test below keeps it from being committed.
        Self::parse(REV).unwrap_or_else(|| Self { version: REV.trim().to_owned(), protocol: 0 })
    }

    fn parse(line: &str) -> Option<Self> {
        let (version, protocol) = line.trim().split_once(' ')?;
        Some(Self { version: version.to_owned(), protocol: protocol.parse().ok()? })
    }

    /// What the daemon says of itself. Reads two fields only: the rest of the answer may be of another version.
    pub(super) async fn ask(client: &ControlClient) -> Result<Self, ControlError> {
        Ok(client.request("status", rpc_params![]).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_line_is_the_contract_of_this_build() {
        let built =
            Version { version: myownmesh_control::VERSION.to_owned(), protocol: myownmesh_control::CONTROL_PROTOCOL };
        assert_eq!(Version::parse(REV), Some(built), ".myownmesh-rev must be `VERSION PROTOCOL` of sidecar/control");
    }

    #[test]
    fn a_damaged_line_fits_nothing() {
        for line in ["", "0.1.0", "0.1.0 x", "0.1.0  1", "1"] {
            assert_eq!(Version::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn unknown_fields_of_a_newer_daemon_are_no_obstacle() {
        let newer = r#"{"version":"9.0.0","protocol":7,"phase":"dreaming","peers":{}}"#;
        let found: Version = serde_json::from_str(newer).unwrap();
        assert_eq!(found.to_string(), "9.0.0 (control protocol 7)");
    }
}
