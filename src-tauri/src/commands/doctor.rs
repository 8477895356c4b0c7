//! The staged checks.

use myownmesh_control::types::DoctorReport;

delegate! {
    /// Runs the staged checks, on this device or against a member.
    doctor(device: Option<String>) -> DoctorReport;
}
