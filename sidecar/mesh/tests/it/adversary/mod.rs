//! A client that speaks the protocol and lies. Every lie is refused, told, and harmless: what the victim shows, keeps
//! and believes is the same afterwards, and an honest request still gets its answer.
//!
//! - `liar`: the client, over raw endpoints, with nothing but public types; and what is looked at on the victim
//! - `records`: members who forge, replay, back-date, promote themselves, contradict themselves
//! - `documents`: documents that are forged, foreign, too many, too large, or none
//! - `excess`: too much, too large, too far in the future
//! - `elsewhere`: networks that are none of the asker's business, and devices that are no members yet
//! - `knocks`: replayed knocks, replayed invites, look-alike names
//! - `flood`: a thousand keys at the door, from a process of their own
//! - `middle`: a man in the middle who really relays
//! - `passed`: knocks that a lying member passes on, and decisions that it may not make
//! - `slow`: connections that trickle, and random bytes, on every stream there is
//! - `codecs`: random and mutilated bytes at every decoder
//!
//! Another account of the same computer at the control socket is tried in the daemon's own tests (`trust`).

mod codecs;
mod documents;
mod elsewhere;
mod excess;
mod flood;
mod knocks;
mod liar;
mod middle;
mod passed;
mod records;
mod slow;
