//! The plain data of the contract, one file per area.

mod activity;
mod chat;
mod compute;
mod conversation;
mod device;
mod doctor;
mod event;
mod hardware;
mod key;
mod lending;
mod library;
mod network;
mod permission;
mod prompt;
mod status;
mod sync;

pub use activity::*;
pub use chat::*;
pub use compute::*;
pub use conversation::*;
pub use device::*;
pub use doctor::*;
pub use event::*;
pub use hardware::*;
pub use key::*;
pub use lending::*;
pub use library::*;
pub use network::*;
pub use permission::*;
pub use prompt::*;
pub use status::*;
pub use sync::*;
