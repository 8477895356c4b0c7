//! Another member of the network as a source of model files. Nothing it says is believed; see [`Holder`].

use axum::body::Body;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use myownmesh_compute::EngineId;
use myownmesh_compute::library::{FileName, HeldBytes, Holder, HolderError, Offered};
use myownmesh_mesh::{DeviceId, LinkState, MemberInfo, Mesh, MeshError, MeshSnapshot, PathKind};
use serde_json::Value;

use super::lent::LentFile;
use crate::api::ApiError;
use crate::card::Card;

/// Largest answer that lists files, in bytes.
const MAX_LIST: usize = 64 * 1024;
/// A member at most this far away, on a direct path, is asked before the hub.
const NEAR_MS: f64 = 50.0;
/// Most members that are asked before the hub.
const MAX_NEAR: usize = 3;

/// The path of a variant's files.
pub(crate) const PATH: &str = "/mesh/v1/models";

/// A member, and the variant that is wanted of it.
#[derive(Clone)]
pub(super) struct Member {
    mesh: Mesh,
    device: DeviceId,
    name: String,
    variant: String,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("device", &self.device).field("variant", &self.variant).finish_non_exhaustive()
    }
}

impl Member {
    pub(super) fn new(mesh: &Mesh, device: DeviceId, variant: &str) -> Self {
        let picture = mesh.snapshot();
        let name = picture.member(device).map_or_else(|| device.short(), |member| member.name.to_string());
        Self { mesh: mesh.clone(), device, name, variant: variant.to_owned() }
    }

    async fn get(&self, path: &str, range: Option<String>) -> Result<http::Response<Body>, HolderError> {
        let mut request = Request::get(path);
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let request = request.body(axum::body::Body::empty());
        let request = request.map_err(|error| HolderError::Refused(format!("It cannot be asked ({error}).")))?;
        let answer = self.mesh.request(self.device, request).await.map_err(|error| match error {
            MeshError::NotMember => HolderError::Refused(error.to_string()),
            error => HolderError::Away(plain(&error.to_string())),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = Limited::new(answer.into_body(), MAX_LIST).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let told = ApiError::from_answer(status, &body).to_string();
        Err(match status {
            StatusCode::SERVICE_UNAVAILABLE => HolderError::Away(plain(&told)),
            StatusCode::NOT_FOUND => HolderError::Missing,
            _ => HolderError::Refused(told),
        })
    }
}

impl Holder for Member {
    fn name(&self) -> &str {
        &self.name
    }

    fn files(&self) -> BoxFuture<'_, Result<Vec<Offered>, HolderError>> {
        Box::pin(async move {
            let answer = self.get(&format!("{PATH}/{}", self.variant), None).await?;
            let body = Limited::new(answer.into_body(), MAX_LIST).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return HolderError::Nonsense(format!("it lists more than {MAX_LIST} bytes of files"));
                }
                HolderError::Away(error.to_string())
            })?;
            Ok(read(&body.to_bytes()))
        })
    }

    fn open<'a>(&'a self, file: &'a FileName, from: u64, to: u64) -> BoxFuture<'a, Result<HeldBytes, HolderError>> {
        Box::pin(async move {
            let path = format!("{PATH}/{}/{}", self.variant, escaped(file.as_str()));
            let answer = self.get(&path, Some(format!("bytes={from}-{}", to.saturating_sub(1)))).await?;
            let begins = answer.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let begins = begins.and_then(|text| text.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok());
            if answer.status() != StatusCode::PARTIAL_CONTENT || begins != Some(from) {
                return Err(HolderError::Nonsense("it sends another part than the one asked for".to_owned()));
            }
            let pieces = answer.into_body().into_data_stream();
            Ok(pieces.map(|piece| piece.map_err(|error| plain(&error.to_string()))).boxed())
        })
    }
}

/// What a member lists. What is malformed is left out.
fn read(body: &[u8]) -> Vec<Offered> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let entries = value["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let files = entries.iter().filter_map(|entry| serde_json::from_value::<LentFile>(entry.clone()).ok());
    files.map(|LentFile { name, size, sha256 }| Offered { name, size_bytes: size, sha256 }).collect()
}

/// A file name as a segment of a path: everything but letters, digits, `-`, `.` and `_` is escaped.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let bytes =
        name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    bytes.collect()
}

/// A sentence as a part of another.
fn plain(sentence: &str) -> String {
    sentence.trim_end_matches('.').to_owned()
}

/// The members that have `model` and are near enough to be asked before the hub, the nearest first.
pub(super) fn near(mesh: &MeshSnapshot, model: &str) -> Vec<DeviceId> {
    let mut found: Vec<(f64, DeviceId)> = mesh.members.iter().filter_map(|member| near_with(member, model)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().take(MAX_NEAR).map(|(_, device)| device).collect()
}

fn near_with(member: &MemberInfo, model: &str) -> Option<(f64, DeviceId)> {
    let LinkState::Online { path: PathKind::Direct, rtt_ms, .. } = &member.link else { return None };
    let card = member.card.as_deref().map(Card::read)?;
    let builtin = EngineId::builtin();
    let has = card.models.iter().any(|entry| entry.id == model && entry.engine == builtin.as_str() && entry.is_here());
    (!member.this_device && has && *rtt_ms <= NEAR_MS).then_some((*rtt_ms, member.device_id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hostile_list_does_no_harm() {
        let hash = "a".repeat(64);
        let list = json!({ "files": [
            { "name": "good.gguf", "size": 5, "sha256": hash, "later": true },
            { "name": "../up.gguf", "size": 5, "sha256": hash },
            { "name": "/etc/passwd", "size": 5, "sha256": hash },
            { "name": "a\\b.gguf", "size": 5, "sha256": hash },
            { "name": ".hidden", "size": 5, "sha256": hash },
            { "name": "good.gguf", "size": -5, "sha256": hash },
            { "name": "good.gguf", "size": 5, "sha256": "short" },
            { "name": 7 }, "text", null,
        ]});
        let files = read(list.to_string().as_bytes());
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["good.gguf"]);
        for odd in ["", "null", "[]", "{\"files\":{}}", "\u{0}", "{\"files\":[[]]}"] {
            assert!(read(odd.as_bytes()).is_empty(), "{odd}");
        }
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(escaped("Qwen3-0.6B-Q8_0.gguf"), "Qwen3-0.6B-Q8_0.gguf");
        assert_eq!(escaped("a b%2e#?é.gguf"), "a%20b%252e%23%3F%C3%A9.gguf");
    }
}
