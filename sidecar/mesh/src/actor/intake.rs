//! Records that other members send: which of them are taken in.

use std::collections::BTreeSet;

use super::Actor;
use crate::clock::now_ms;
use crate::error::MeshError;
use crate::net::hello::Places;
use crate::net::refusals::Attempt;
use crate::net::sync::Push;
use crate::proto::Millis;
use crate::proto::ids::{DeviceId, NetworkId, RecordId};
use crate::proto::record::{Body, Record, RecordError};

impl Actor {
    /// Takes in records that a member sent.
    pub(super) async fn peer_records(
        &mut self,
        from: DeviceId,
        network: NetworkId,
        push: Push,
    ) -> Result<(), MeshError> {
        let now = now_ms();
        let mut fresh = self.read_new(from, network, &push.records)?;
        fresh.retain(|record| {
            let believed = self.is_of_this_day(record, now);
            if !believed {
                self.refused.add(record.id(), record.hlc().believed_from());
            }
            believed
        });
        let added = self.store.insert_all(&fresh, now)?;
        if added.is_empty() {
            for peer in push.peers {
                let places = Places::new(peer.addresses, peer.relay);
                if self.name_of(peer.device).is_some() && peer.device != self.me {
                    self.learn(network, peer.device, &places).await;
                }
            }
        } else {
            self.take_effect(&added, push.peers, Some(from)).await;
        }
        Ok(())
    }

    /// Those of `records` that are new here and within their author's share, checked. What is known, and what is beyond
    /// a share, is passed over before its signature is looked at: that is what a flood would cost.
    fn read_new(&mut self, from: DeviceId, network: NetworkId, records: &[Vec<u8>]) -> Result<Vec<Record>, MeshError> {
        let (ledger, now) = (self.ledger_of(network)?, now_ms());
        let (membership, mut shares) = (ledger.membership().clone(), ledger.shares().clone());
        let is_new = |id: &RecordId| !ledger.contains(id) && !self.refused.contains(id, now);
        let (mut new, mut odd) = (Vec::new(), Vec::new());
        for bytes in records {
            let id = Record::id_in(bytes);
            if id.is_none_or(|id| is_new(&id)) {
                match id.zip(Record::author_in(bytes)) {
                    Some((id, author)) => new.push((id, author, bytes)),
                    None => odd.push(bytes),
                }
            }
        }
        let known = |device| membership.is_member(device) || membership.former.contains_key(&device);
        // Members first: they may say who the others are.
        new.sort_by_key(|(_, author, _)| !known(*author));
        let (mut fresh, mut beyond) = (Vec::new(), Vec::new());
        let mut admitted: BTreeSet<DeviceId> = BTreeSet::new();
        let read = |bytes: &[u8]| match Record::decode_for(network, bytes) {
            Ok(record) if matches!(record.body(), Body::Document(_)) => {
                Err(RecordError::OutOfBounds("it is a document, and no part of a membership"))
            }
            Ok(record) => Ok(Some(record)),
            // Understood once this device is updated; it is offered again then.
            Err(RecordError::NewerVersion(_)) => Ok(None),
            Err(error) => Err(error),
        };
        let outcome = odd.into_iter().try_for_each(|bytes| read(bytes).map(drop)).and_then(|()| {
            for (id, author, bytes) in new {
                let belongs = |device| known(device) || admitted.contains(&device);
                let belonging = belongs(author);
                if !shares.take(author, bytes.len(), belongs) {
                    beyond.push((id, author, belonging));
                } else if let Some(record) = read(bytes)? {
                    if let Body::Admit(admit) = record.body()
                        && belonging
                    {
                        admitted.insert(admit.device);
                    }
                    fresh.push(record);
                }
            }
            Ok(())
        });
        for (id, author, belonging) in beyond {
            // A stranger may turn out to be a member; then its records are taken.
            if belonging {
                self.refused.add(id, Millis::MAX);
            }
            self.refusals.tell(if belonging { author } else { from }, Attempt::RecordFlood);
        }
        match outcome {
            Ok(()) => Ok(fresh),
            Err(error) => {
                if let Some(attempt) = Attempt::of_record(&error) {
                    self.refusals.tell(from, attempt);
                }
                Err(MeshError::Protocol(error.to_string()))
            }
        }
    }

    /// Whether the clock of a record can be believed; notes it. The caller remembers until when one is refused.
    pub(super) fn is_of_this_day(&mut self, record: &Record, now: Millis) -> bool {
        let Err(error) = self.clock.observe(record.hlc(), now) else { return true };
        tracing::debug!(author = %record.author().short(), %error, "refused a record for now");
        self.refusals.tell(record.author(), Attempt::FutureRecord);
        false
    }
}
