//! Lending: rules, pause, and what was lent and borrowed.

use myownmesh_control::types::{Lending, LendingRules, MemberRules, Usage};

delegate! { lending:
    /// How things stand with lending on the active network.
    lend_show() -> Lending;
    /// Replaces the rules for everybody.
    lend_set(rules: LendingRules) -> Lending;
    /// Replaces the rules for one member.
    lend_member(rules: MemberRules) -> Lending;
    /// Lends nothing more for a while.
    lend_pause(seconds: Option<u32>, at_once: bool) -> Lending;
    /// Ends the pause.
    lend_resume() -> Lending;
    /// What was lent and borrowed.
    usage(since: Option<i64>) -> Usage;
}
