//! The local API as its owner sees it: where it is, what it is asked, its keys.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{ApiKey, KeyScope, LocalApi, NewApiKey};

use crate::convert::OrControl;
use crate::daemon::Daemon;
use crate::keys::KeyName;

/// How programs reach it.
pub(super) fn local_api(daemon: &Daemon) -> LocalApi {
    let openai_url = daemon.facts.api_url.clone();
    LocalApi {
        base_url: openai_url.strip_suffix("/v1").unwrap_or(&openai_url).to_owned(),
        openai_url,
        key_required: daemon.keys.required(),
        beyond_loopback: daemon.facts.api_beyond_loopback,
    }
}

pub(super) async fn create(
    daemon: &Daemon,
    name: &str,
    scopes: Option<Vec<KeyScope>>,
) -> Result<NewApiKey, ControlError> {
    daemon.keys.create(KeyName::parse(name).or_control()?, scopes).await.or_control()
}

pub(super) async fn revoke(daemon: &Daemon, name: &str) -> Result<ApiKey, ControlError> {
    daemon.keys.revoke(KeyName::parse(name).or_control()?).await.or_control()
}
