//! What the mesh means, free of input and output.
//!
//! Everything here is a value, a codec, a pure function or a state machine `handle(event, now) -> effects`.
//! Time comes in as milliseconds since the Unix epoch ([`Millis`]), randomness as arguments, and nothing here knows
//! of sockets, files or tasks; `net` drives it and `store` keeps it. The rules in words: docs/PROTOCOL.md.

pub mod code;
pub mod document;
pub mod fold;
pub mod frame;
pub mod hlc;
pub mod ids;
pub mod invite;
pub mod knock;
pub mod limits;
pub mod name;
pub mod quota;
pub mod reconcile;
pub mod record;
pub mod settings;
pub mod spread;
pub mod welcome;

/// Milliseconds since the Unix epoch.
pub type Millis = i64;
