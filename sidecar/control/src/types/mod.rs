//! The plain data of the contract, one file per area.

mod activity;
mod chat;
mod compute;
mod conversation;
mod device;
mod doctor;
mod event;
mod key;
mod network;
mod status;

pub use activity::*;
pub use chat::*;
pub use compute::*;
pub use conversation::*;
pub use device::*;
pub use doctor::*;
pub use event::*;
pub use key::*;
pub use network::*;
pub use status::*;
