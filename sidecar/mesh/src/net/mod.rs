//! The network side: iroh endpoint, links to members, HTTP over streams, knocks.
//!
//! Two protocols are spoken and no other: [`MESH_ALPN`](crate::proto::welcome::MESH_ALPN) among members and [`KNOCK_ALPN`](crate::proto::knock::KNOCK_ALPN), the only thing a stranger can
//! open. State lives in actors ([`links`], [`knock`]) that report to the mesh's own actor; nothing here decides policy.

pub(crate) mod accept;
pub(crate) mod close;
pub(crate) mod endpoint;
pub(crate) mod hello;
pub(crate) mod http;
pub(crate) mod join;
pub(crate) mod knock;
pub(crate) mod leave;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod nearby;
pub(crate) mod outlet;
mod pulse;
pub(crate) mod reach;
pub(crate) mod refusals;
mod relays;
pub(crate) mod routes;
pub(crate) mod serve;
pub(crate) mod sync;
pub(crate) mod why;
pub(crate) mod wire;
