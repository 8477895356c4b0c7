//! The daemon itself.

use myownmesh_control::types::Status;

delegate! {
    /// The daemon's state in one answer.
    status() -> Status;
    /// Asks the daemon to finish and exit. Answers before it does.
    daemon_stop() -> ();
}
