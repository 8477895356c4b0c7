//! What each member may do on this device: kept here, told to nobody, and enforced where a request comes in.
//!
//! A member may do everything until a person here says otherwise. Its device id is what counts, so a device that was
//! removed and comes back finds what was said of it before.

use std::collections::HashSet;
use std::sync::Arc;

use myownmesh_control::types::MemberScope;
use myownmesh_mesh::{DeviceId, NetworkId};
use rusqlite::params;
use tokio::sync::watch;

use crate::store::{Store, StoreError};

/// All scopes, in the order of the contract.
pub(crate) const ALL: [MemberScope; 5] =
    [MemberScope::Chat, MemberScope::Files, MemberScope::Transcribe, MemberScope::Conversations, MemberScope::Models];

/// What is turned off.
type Off = HashSet<(NetworkId, DeviceId, MemberScope)>;

/// A member may not do something here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} turned off {} for this device. Ask its owner to turn it on again.", what(*.scope))]
pub(crate) struct ScopeRefusal {
    /// What this device is called.
    pub(crate) host: String,
    /// What it may not do.
    pub(crate) scope: MemberScope,
}

/// The handle; clones share it.
#[derive(Clone)]
pub(crate) struct Scopes {
    store: Store,
    off: Arc<watch::Sender<Off>>,
}

impl Scopes {
    /// Reads what is kept.
    pub(crate) async fn start(store: Store) -> Result<Self, StoreError> {
        let rows = store
            .call(|connection| {
                let mut statement = connection.prepare("SELECT network, device, scope FROM scopes_off")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                Ok(rows.collect::<Result<Vec<(String, String, String)>, _>>()?)
            })
            .await?;
        let read = |(network, device, scope): (String, String, String)| {
            let read = network.parse().ok().zip(device.parse().ok()).zip(parse(&scope));
            if read.is_none() {
                tracing::warn!(device, scope, "what a member may not do here cannot be read and is left out");
            }
            read.map(|((network, device), scope)| (network, device, scope))
        };
        let off = rows.into_iter().filter_map(read).collect();
        Ok(Self { store, off: Arc::new(watch::Sender::new(off)) })
    }

    /// Whether a member may do something.
    pub(crate) fn allow(&self, network: NetworkId, device: DeviceId, scope: MemberScope) -> bool {
        !self.off.borrow().contains(&(network, device, scope))
    }

    /// Everything a member may do.
    pub(crate) fn of(&self, network: NetworkId, device: DeviceId) -> Vec<MemberScope> {
        ALL.into_iter().filter(|scope| self.allow(network, device, *scope)).collect()
    }

    /// Completes when a member may not do something; at once if it may not now.
    pub(crate) async fn turned_off(&self, network: NetworkId, device: DeviceId, scope: MemberScope) {
        let mut off = self.off.subscribe();
        // The sender lives as long as this handle, so the wait cannot fail.
        let _ = off.wait_for(|off| off.contains(&(network, device, scope))).await;
    }

    /// Lets a member do something, or no longer. What it does of that now ends at once.
    pub(crate) async fn set(
        &self,
        network: NetworkId,
        device: DeviceId,
        scope: MemberScope,
        on: bool,
    ) -> Result<(), StoreError> {
        let sql = if on {
            "DELETE FROM scopes_off WHERE network = ?1 AND device = ?2 AND scope = ?3"
        } else {
            "INSERT OR IGNORE INTO scopes_off (network, device, scope) VALUES (?1, ?2, ?3)"
        };
        let (key, member) = (network.to_string(), device.to_string());
        self.store.call(move |connection| Ok(connection.execute(sql, params![key, member, name(scope)])?)).await?;
        self.off.send_modify(|off| {
            if on {
                off.remove(&(network, device, scope));
            } else {
                off.insert((network, device, scope));
            }
        });
        Ok(())
    }

    /// Deletes what is kept of a network that this device forgets.
    pub(crate) async fn forget_network(&self, network: NetworkId) -> Result<(), StoreError> {
        let key = network.to_string();
        self.store
            .call(move |connection| Ok(connection.execute("DELETE FROM scopes_off WHERE network = ?1", [key])?))
            .await?;
        self.off.send_modify(|off| off.retain(|(of, _, _)| *of != network));
        Ok(())
    }
}

/// What a scope lets a member do, as the object of a sentence.
pub(crate) fn what(scope: MemberScope) -> &'static str {
    match scope {
        MemberScope::Chat => "asking its models",
        MemberScope::Files => "sending and fetching files",
        MemberScope::Transcribe => "turning speech into text",
        MemberScope::Conversations => "seeing and moving conversations",
        MemberScope::Models => "seeing and copying its models",
    }
}

fn name(scope: MemberScope) -> &'static str {
    match scope {
        MemberScope::Chat => "chat",
        MemberScope::Files => "files",
        MemberScope::Transcribe => "transcribe",
        MemberScope::Conversations => "conversations",
        MemberScope::Models => "models",
    }
}

fn parse(text: &str) -> Option<MemberScope> {
    ALL.into_iter().find(|scope| name(*scope) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_member_may_do_everything_until_somebody_says_otherwise() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("device.sqlite");
        let (home, other) = (NetworkId::from_bytes([1; 32]), NetworkId::from_bytes([2; 32]));
        let [lap, pad] = [1, 2].map(|n| DeviceId::of_secret(&[n; 32]));
        let (store, _) = Store::open(&path).expect("opened");
        let scopes = Scopes::start(store).await.expect("started");
        assert_eq!(scopes.of(home, lap), ALL);
        for scope in ALL {
            scopes.set(home, lap, scope, false).await.expect("set");
            assert!(!scopes.allow(home, lap, scope));
        }
        assert!(scopes.of(home, lap).is_empty());
        assert_eq!(
            (scopes.of(home, pad), scopes.of(other, lap)),
            (ALL.to_vec(), ALL.to_vec()),
            "nobody and nowhere else"
        );
        scopes.set(home, lap, MemberScope::Files, true).await.expect("set");
        scopes.set(other, lap, MemberScope::Chat, false).await.expect("set");
        drop(scopes);
        let (store, _) = Store::open(&path).expect("opened again");
        store
            .call(|connection| Ok(connection.execute("INSERT INTO scopes_off VALUES ('x', 'y', 'fly')", [])?))
            .await
            .expect("a row that cannot be read");
        let scopes = Scopes::start(store).await.expect("started again");
        assert_eq!(scopes.of(home, lap), [MemberScope::Files]);
        scopes.forget_network(home).await.expect("forgotten");
        assert_eq!((scopes.of(home, lap).len(), scopes.of(other, lap).len()), (5, 4));
    }

    #[tokio::test]
    async fn whoever_is_doing_it_hears_at_once() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, _) = Store::open(&folder.path().join("device.sqlite")).expect("opened");
        let scopes = Scopes::start(store).await.expect("started");
        let (home, lap) = (NetworkId::from_bytes([1; 32]), DeviceId::of_secret(&[1; 32]));
        let waiting = tokio::spawn({
            let scopes = scopes.clone();
            async move { scopes.turned_off(home, lap, MemberScope::Chat).await }
        });
        scopes.set(home, lap, MemberScope::Files, false).await.expect("set");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "another scope");
        scopes.set(home, lap, MemberScope::Chat, false).await.expect("set");
        waiting.await.expect("told");
    }

    #[test]
    fn every_scope_has_a_name_and_a_sentence() {
        for scope in ALL {
            assert_eq!(parse(name(scope)), Some(scope));
            assert_eq!(serde_json::to_value(scope).expect("plain data"), name(scope), "as the contract calls it");
            let refusal = ScopeRefusal { host: "Desk".to_owned(), scope }.to_string();
            assert!(refusal.starts_with("Desk turned off ") && refusal.ends_with('.'), "{refusal}");
        }
    }
}
