//! The `myownmesh` daemon: it composes the mesh (who is in, how to reach them) with compute (what this device can
//! run) and shows the result on three doors: the control socket for the app and the command line, the local
//! OpenAI-compatible API, and the service offered to other members of the network.
//!
//! [`serve::run`] is the whole life of a daemon: start order, ready, one ordered shutdown. Everything else is private
//! to it. The command line in the binary talks to a running daemon through `myownmesh_control` alone.

pub mod options;
pub mod serve;
