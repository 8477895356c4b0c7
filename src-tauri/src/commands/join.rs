//! Joining a network. Its steps arrive through `join_stream`.

delegate! {
    /// Starts joining by an invite; follow it with `join_stream`.
    join_start(invite: String) -> String;
    /// Withdraws a knock.
    join_stop(id: String) -> ();
}
