//! The `myownmesh` daemon: it composes the mesh (who is in, how to reach them) with compute (what this device can
//! run) and shows the result on three doors: the control socket for the app and the command line, the local
//! OpenAI-compatible API, and the service offered to other members of the network.
//!
//! [`serve::run`] is the whole life of a daemon: start order, ready, one ordered shutdown. Everything else is private
//! to it. The command line in the binary talks to a running daemon through `myownmesh_control` alone.
//!
//! - The home: `home`, `config`, `identity`, `secrets`, `keys`, `store`, `log`, `files`
//! - What it does: `api`, `route` and `planner` (who answers what), `chat`, `conversations`, `lending`, `ledger`, `card`, `doctor`,
//!   `library`
//! - What it keeps in step with the others: `prompts`, `capabilities`, `catalogue`, in the `collections` of the mesh
//! - What may be done here: `permissions` (by tools), `scopes` (by members)
//! - What it tells: `control` (the contract), `events`, `feeds`, `phase`, on `ring` and `streams`

mod activity;
mod api;
mod builtin;
mod capabilities;
mod card;
mod catalogue;
mod chat;
mod collections;
mod config;
mod control;
mod conversations;
mod convert;
mod daemon;
mod devices;
mod doctor;
mod engines;
mod events;
mod feeds;
mod files;
mod home;
mod identity;
mod keys;
mod ledger;
mod lending;
mod library;
mod log;
pub mod options;
mod permissions;
mod phase;
mod planner;
mod platform;
mod prompts;
mod ring;
mod route;
mod scan;
mod scopes;
mod secrets;
pub mod serve;
mod sse;
mod store;
mod streams;
mod text;
