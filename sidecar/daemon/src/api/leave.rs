//! What members ask of this device is served as long as a person here lets them: a scope that is turned off refuses what
//! comes, and ends what runs. So does the end of the place that the rules of lending gave it.

use futures_util::StreamExt;
use futures_util::stream::unfold;
use myownmesh_control::types::MemberScope;
use myownmesh_mesh::Asker;

use super::relay::Pieces;
use super::{Api, ApiError};
use crate::lending::Permit;
use crate::scopes::{ScopeRefusal, Scopes};

/// A member's leave to do something here, good until it is turned off.
pub(super) struct Leave {
    scopes: Scopes,
    asker: Asker,
    refusal: ScopeRefusal,
    permit: Option<Permit>,
}

impl Api {
    /// The leave of a member, if it has one now.
    pub(super) fn leave(&self, asker: &Asker, scope: MemberScope) -> Result<Leave, ApiError> {
        let host =
            self.mesh.get().map_or_else(|| "That device".to_owned(), |mesh| mesh.snapshot().device_name.to_string());
        let refusal = ScopeRefusal { host, scope };
        if !self.scopes.allow(asker.network, asker.device_id, scope) {
            return Err(refusal.into());
        }
        Ok(Leave { scopes: self.scopes.clone(), asker: asker.clone(), refusal, permit: None })
    }
}

impl Leave {
    /// The same, good as long as this place among those that are served as well.
    pub(super) fn with(self, permit: Permit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// Waits until it ends, and tells why.
    pub(super) async fn ended(&self) -> ApiError {
        let place_ends = async {
            match &self.permit {
                Some(permit) => permit.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.scopes.turned_off(self.asker.network, self.asker.device_id, self.refusal.scope) => {
                self.refusal.clone().into()
            }
            refusal = place_ends => refusal.into(),
        }
    }

    /// Gives pieces as long as it lasts.
    pub(super) fn hold(self, pieces: Pieces) -> Pieces {
        let held = unfold(Some((self, pieces)), |held| async move {
            let (leave, mut pieces) = held?;
            let piece = tokio::select! {
                biased;
                error = leave.ended() => return Some((Err(error), None)),
                piece = pieces.next() => piece?,
            };
            Some((piece, Some((leave, pieces))))
        });
        held.boxed()
    }
}
