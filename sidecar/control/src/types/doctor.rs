//! The staged checks of the doctor.

use serde::{Deserialize, Serialize};
use specta::Type;

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DoctorReport {
    /// The checks, in order; a check that could not run because an earlier one failed is left out.
    pub checks: Vec<DoctorCheck>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct DoctorCheck {
    /// Stable name, for example `reachable`.
    pub name: String,
    /// Whether it passed.
    pub ok: bool,
    /// What was seen, as a sentence.
    pub detail: String,
    /// What to do; `null` when it passed.
    pub fix: Option<String>,
}
