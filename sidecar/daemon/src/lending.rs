//! What this device does for others: its lending policy per network, and the one place that enforces it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use myownmesh_control::types::Accepting;
use myownmesh_mesh::{DeviceId, NetworkId};
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::store::{Store, StoreError};

type Policies = HashMap<String, Accepting>;

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Lending {
    store: Store,
    policies: Arc<watch::Sender<Policies>>,
    /// The one place of the policy `limited`.
    single: Arc<Semaphore>,
}

/// Leave to serve one request; held until its answer has ended.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held to be dropped")] Option<OwnedSemaphorePermit>);

/// A request of another device is not served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The policy is `busy`.
    #[error("This device is not accepting requests of others now. Ask its owner, or choose another device.")]
    Busy,
    /// The policy is `limited` and it serves somebody.
    #[error(
        "This device serves one request of others at a time and is busy with one. Try again in a moment, or choose another device."
    )]
    Occupied,
}

/// What runs and waits here for members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueLoad {
    /// Requests that run.
    #[serde(default)]
    pub(crate) running: u32,
    /// Requests that wait.
    #[serde(default)]
    pub(crate) waiting: u32,
    /// How long one more would wait, in milliseconds.
    #[serde(default)]
    pub(crate) wait_ms: u64,
}

/// A request of a member that wants to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// The network it comes through.
    pub(crate) network: NetworkId,
    /// Who asks.
    pub(crate) device: DeviceId,
    /// Its name.
    pub(crate) name: String,
    /// The model it asks.
    pub(crate) model: String,
}

/// What a waiting request is told.
#[derive(Debug)]
pub(crate) enum Turn {
    /// So many go first; how long that may take, where it is known.
    Queued {
        /// How many.
        ahead: u32,
        /// How long.
        wait: Option<Duration>,
    },
    /// It is served now.
    Go(Permit),
}

/// A request's place among those that wait; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Waiting {
    permit: Option<Permit>,
}

impl Waiting {
    /// Its turn, or how many go first as often as that changes. Nothing more comes after [`Turn::Go`] or a refusal.
    pub(crate) async fn next(&mut self) -> Result<Turn, Refusal> {
        match self.permit.take() {
            Some(permit) => Ok(Turn::Go(permit)),
            None => std::future::pending().await,
        }
    }
}

impl Permit {
    /// Waits until the answer is to end early, and tells why.
    pub(crate) async fn ended(&self) -> Refusal {
        std::future::pending().await
    }
}

impl Lending {
    /// Gives a member's request a place, unless it cannot be served at all.
    pub(crate) fn enter(&self, guest: &Guest) -> Result<Waiting, Refusal> {
        Ok(Waiting { permit: Some(self.admit(guest.network)?) })
    }

    /// Reads the saved policies.
    pub(crate) async fn start(store: Store) -> Result<Self, StoreError> {
        let policies = store
            .call(|connection| {
                let mut statement = connection.prepare("SELECT network, accepting FROM lending")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
                Ok(rows.collect::<Result<Vec<(String, String)>, _>>()?)
            })
            .await?;
        let policies = policies.into_iter().filter_map(|(network, text)| Some((network, parse(&text)?))).collect();
        Ok(Self { store, policies: Arc::new(watch::Sender::new(policies)), single: Arc::new(Semaphore::new(1)) })
    }

    /// The policy on a network.
    pub(crate) fn policy(&self, network: Option<NetworkId>) -> Accepting {
        let Some(network) = network else { return Accepting::default() };
        self.policies.borrow().get(&network.to_string()).copied().unwrap_or_default()
    }

    /// Changes the policy on a network. Requests that are being served go on.
    pub(crate) async fn set(&self, network: NetworkId, accepting: Accepting) -> Result<(), StoreError> {
        let (key, text) = (network.to_string(), name(accepting));
        self.store
            .call(move |connection| {
                let sql = "INSERT INTO lending (network, accepting) VALUES (?1, ?2)
                           ON CONFLICT (network) DO UPDATE SET accepting = excluded.accepting";
                Ok(connection.execute(sql, [key.as_str(), text])?)
            })
            .await?;
        self.policies.send_modify(|policies| {
            policies.insert(network.to_string(), accepting);
        });
        Ok(())
    }

    /// What runs and waits here for members.
    #[expect(clippy::unused_self, reason = "nothing waits yet")]
    pub(crate) fn load(&self) -> QueueLoad {
        QueueLoad::default()
    }

    /// Changes whenever a policy does.
    pub(crate) fn watch(&self) -> watch::Receiver<Policies> {
        self.policies.subscribe()
    }

    /// Leave for one request that came through `network`.
    pub(crate) fn admit(&self, network: NetworkId) -> Result<Permit, Refusal> {
        match self.policy(Some(network)) {
            Accepting::Available => Ok(Permit(None)),
            Accepting::Limited => {
                let place = Arc::clone(&self.single).try_acquire_owned();
                place.map(|place| Permit(Some(place))).map_err(|_| Refusal::Occupied)
            }
            Accepting::Busy => Err(Refusal::Busy),
        }
    }
}

fn name(accepting: Accepting) -> &'static str {
    match accepting {
        Accepting::Available => "available",
        Accepting::Limited => "limited",
        Accepting::Busy => "busy",
    }
}

fn parse(text: &str) -> Option<Accepting> {
    let deserializer: serde::de::value::StrDeserializer<'_, ValueError> = text.into_deserializer();
    Accepting::deserialize(deserializer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_policy_is_kept_and_obeyed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (home, other) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let (store, _) = Store::open(&path).expect("opened");
        let lending = Lending::start(store).await.expect("started");
        lending.admit(home).expect("available by default");
        for accepting in [Accepting::Available, Accepting::Limited, Accepting::Busy] {
            assert_eq!(parse(name(accepting)), Some(accepting));
            lending.set(home, accepting).await.expect("set");
        }
        assert_eq!(lending.admit(home).expect_err("busy"), Refusal::Busy);
        lending.admit(other).expect("another network, another policy");
        lending.set(home, Accepting::Limited).await.expect("set");
        let one = lending.admit(home).expect("the first");
        assert_eq!(lending.admit(home).expect_err("the second"), Refusal::Occupied);
        drop(one);
        lending.admit(home).expect("free again");
        drop(lending);
        let (store, _) = Store::open(&path).expect("opened");
        let lending = Lending::start(store).await.expect("started");
        assert_eq!(lending.policy(Some(home)), Accepting::Limited);
        assert_eq!(lending.policy(None), Accepting::Available);
    }
}
