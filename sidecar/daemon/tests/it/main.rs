//! The daemon as people and programs meet it: real processes, real llama-server, real connections on loopback.
//!
//! * `join`: knocking, approving, denying, restarting, pre-approved invites; the whole story through the command line
//! * `invites`: links that are malformed, truncated, foreign, expired, revoked or used up
//! * `trust`: who answers a knock, removals and who has heard of them, what owners govern, what is kept, other users
//! * `switching`: from one network to another, under load, in the middle of things
//! * `members`: three devices; strangers and removed devices at the door
//! * `remote`: answers from another device, cancelling them, losing the asker, models that appear
//! * `engines`: engines that die, lie, stay silent or cannot load their model
//! * `hardware`: what a device says it is made of
//! * `library`: models that can be had, and downloads that pause, go on, and are refused
//! * `api`: the local API given bad requests
//! * `apis`: the APIs besides OpenAI's, here and through a peer; leaving them
//! * `keys`: keys for the local API
//! * `origins`: web pages that try the local API or the bridge
//! * `life`: locks, ports, signals; nothing is left behind
//! * `damage`: broken files are set aside or left alone, never overwritten
//! * `secrets`: keys appear nowhere
//! * `command`: exit codes and forms of output of the command line
//! * `hello`: the first question after the first start
//! * `conversations`: what is kept, and for how long
//! * `prompts`: made, ordered, deleted, brought back; files of them; whatever is in them stays text
//! * `gossip`: documents of up to five daemons that keep in step; the switch; removals; crashes
//! * `catalogue`: what devices show each other of their conversations, and what they can do
//! * `permissions`: rules of tools: what tightens at once, what waits, for whom, and why
//! * `planner`: where questions run, told before they are asked; several devices asked at once
//! * `requests`: the local API as its owner sees it: who asks what, what keys are for, clients that leave
//! * `fairness`: four members, one of them greedy, at one device
//! * `lending`: whose turn it is, pauses, limits, and what both sides count
//! * `survive`: answers that outlive the device or the engine that gives them
//! * `scopes`: what a member may do here, and how it ends
//!
//! The processes are looked up in `/proc`, so this binary is for Linux.
#![cfg(target_os = "linux")]

mod api;
mod apis;
mod catalogue;
mod command;
mod conversations;
mod copies;
mod damage;
mod engines;
mod fairness;
mod gossip;
mod hardware;
mod harness;
mod hello;
mod invites;
mod join;
mod keys;
mod lending;
mod library;
mod life;
mod members;
mod origins;
mod permissions;
mod planner;
mod prompts;
mod pulls;
mod remote;
mod requests;
mod scopes;
mod secrets;
mod shelf;
mod sources;
mod survive;
mod switching;
mod trust;
