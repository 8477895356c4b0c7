//! Knocks and their decision.

use myownmesh_control::types::{DenyKind, DeviceSummary, Knock, Role};

delegate! {
    /// Knocks that wait for a decision.
    knock_list() -> Vec<Knock>;
    /// Admits a knocking device. `code`, when given, must equal the knock's.
    knock_approve(id: String, role: Option<Role>, code: Option<String>) -> DeviceSummary;
    /// Turns a knocking device down.
    knock_deny(id: String, kind: DenyKind, reason: Option<String>) -> ();
}
