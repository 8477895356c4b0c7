//! Keys for the local API.

use myownmesh_control::error::ControlError;
use myownmesh_control::types::{ApiKey, NewApiKey};

use crate::convert::OrControl;
use crate::daemon::Daemon;
use crate::keys::KeyName;

pub(super) async fn create(daemon: &Daemon, name: &str) -> Result<NewApiKey, ControlError> {
    daemon.keys.create(KeyName::parse(name).or_control()?).await.or_control()
}

pub(super) async fn revoke(daemon: &Daemon, name: &str) -> Result<ApiKey, ControlError> {
    daemon.keys.revoke(KeyName::parse(name).or_control()?).await.or_control()
}
