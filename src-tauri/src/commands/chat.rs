//! Questions. Their answers arrive through `answer_stream`.

use myownmesh_control::types::ChatRequest;

delegate! {
    /// Asks a question; follow the answer with `answer_stream`.
    chat_start(request: ChatRequest) -> String;
    /// Cancels an answer where it runs; what was written stays.
    answer_stop(id: String) -> ();
}
