//! The contract between the MyOwnLLM app and the `myownmesh` daemon.
//!
//! One documented JSON-RPC trait ([`api::ControlApi`]), the plain data it carries ([`types`]), one error shape
//! ([`error::ControlError`]) and the client that speaks it over the control socket ([`client`]). The daemon
//! implements the trait; the shell and the command line call it; `ui/src/ipc/bindings.ts` is generated from it.
//!
//! This crate holds no policy and imports no other crate of the workspace. Identifiers are plain strings here, because
//! this is the boundary: the daemon parses them once into its own types.
//!
//! Conventions of every type: field names are `snake_case`; times are milliseconds since the Unix epoch; durations name
//! their unit (`rtt_ms`); sizes are bytes.

pub mod api;
pub mod client;
pub mod error;
pub mod home;
pub mod types;

/// Version of this build. Daemon, shell and command line carry the same one.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Number of the control contract. It rises when an older client could misread a newer daemon; additions do not raise it.
pub const CONTROL_PROTOCOL: u32 = 1;

/// Largest JSON-RPC message in either direction, in bytes. Both ends use it: a message over the limit kills the
/// connection, so callers check sizes before they send.
pub const MAX_MESSAGE_BYTES: u32 = 40 * 1024 * 1024;
