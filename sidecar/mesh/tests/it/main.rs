//! Several meshes in one process, on loopback, with real sockets and real encryption.
//!
//! - `documents`: prompts and the like converge, survive, stay apart, and stop where the switch says so
//! - `golden_log`: a log of the first version still means what it meant
//! - `governance`: removals and who confirmed them, kind, settings, decisions
//! - `knocks`: knocks that other members answer
//! - `adversary`: a client that speaks the protocol and lies
//! - `lookup`: members that find each other by a pkarr relay
//! - `members`: members that misbehave
//! - `simulation`: hundreds of devices in virtual time: records always end up everywhere
//! - `story`: found, invite, knock, approve, use; deny; restart; a third device; removal
//! - `nearby`: members and networks on the local network
//! - `probe`: what the doctor is told, stage by stage
//! - `relays`: relays of the network, and settings that change while everything runs
//! - `requests`: streams, cancel, many at once, dead peers
//! - `strangers`: what somebody who is no member can do, which is nothing
//! - `switching`: switch, leave, forget, join meanwhile
//! - `support`: devices for tests

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod adversary;
mod documents;
mod golden_log;
mod governance;
mod knocks;
mod lookup;
mod members;
mod nearby;
mod probe;
mod relays;
mod requests;
mod simulation;
mod story;
mod strangers;
mod support;
mod switching;
