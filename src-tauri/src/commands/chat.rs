//! Questions. Their answers arrive through `answer_stream`.

use myownmesh_control::types::{ChatRequest, FanOutAnswer, RoutePlan};

delegate! {
    /// Asks a question; follow the answer with `answer_stream`.
    chat_start(request: ChatRequest) -> String;
    /// Where a question would run, without running it.
    chat_plan(request: ChatRequest) -> RoutePlan;
    /// Asks several devices the same question; follow each answer with `answer_stream`.
    chat_fan_out(request: ChatRequest, count: u32) -> Vec<FanOutAnswer>;
    /// Cancels an answer where it runs; what was written stays.
    answer_stop(id: String) -> ();
}
