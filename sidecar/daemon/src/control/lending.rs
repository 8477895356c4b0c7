//! The fourth part of the contract, answered: lending and what was lent and borrowed.

use jsonrpsee::core::async_trait;
use myownmesh_control::api::lending::LendingApiServer;
use myownmesh_control::error::ControlError;
use myownmesh_control::types::{Lending, LendingRules, MemberRules, Usage};

use super::{Control, not_yet};

#[async_trait]
impl LendingApiServer for Control {
    async fn lend_show(&self) -> Result<Lending, ControlError> {
        Err(not_yet())
    }

    async fn lend_set(&self, _rules: LendingRules) -> Result<Lending, ControlError> {
        Err(not_yet())
    }

    async fn lend_member(&self, _rules: MemberRules) -> Result<Lending, ControlError> {
        Err(not_yet())
    }

    async fn lend_pause(&self, _seconds: Option<u32>, _at_once: bool) -> Result<Lending, ControlError> {
        Err(not_yet())
    }

    async fn lend_resume(&self) -> Result<Lending, ControlError> {
        Err(not_yet())
    }

    async fn usage(&self, _since: Option<i64>) -> Result<Usage, ControlError> {
        Err(not_yet())
    }
}
