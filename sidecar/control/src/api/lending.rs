//! The requests about lending: rules, pause, and what was lent and borrowed. A trait of its own, at the same socket.

use jsonrpsee::proc_macros::rpc;

use crate::error::ControlError;
use crate::types::{Lending, LendingRules, MemberRules, Usage};

/// What this device lends. The trait generates `LendingApiServer` for the daemon and `LendingApiClient` for everyone
/// else.
#[rpc(server, client)]
pub trait LendingApi {
    /// How things stand with lending on the active network.
    #[method(name = "lend_show", param_kind = map)]
    async fn lend_show(&self) -> Result<Lending, ControlError>;

    /// Replaces the rules for everybody on the active network.
    #[method(name = "lend_set", param_kind = map)]
    async fn lend_set(&self, rules: LendingRules) -> Result<Lending, ControlError>;

    /// Replaces the rules for one member; rules without a limit end them. `device_name` is not read.
    #[method(name = "lend_member", param_kind = map)]
    async fn lend_member(&self, rules: MemberRules) -> Result<Lending, ControlError>;

    /// Lends nothing more on any network: for so many seconds, or until `lend_resume`. Running answers end at once, or
    /// are let end.
    #[method(name = "lend_pause", param_kind = map)]
    async fn lend_pause(&self, seconds: Option<u32>, at_once: bool) -> Result<Lending, ControlError>;

    /// Ends the pause.
    #[method(name = "lend_resume", param_kind = map)]
    async fn lend_resume(&self) -> Result<Lending, ControlError>;

    /// What was lent and borrowed from `since` on (milliseconds since 1970); in the last 30 days when not given.
    #[method(name = "usage", param_kind = map)]
    async fn usage(&self, since: Option<i64>) -> Result<Usage, ControlError>;
}
