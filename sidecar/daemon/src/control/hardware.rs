//! What this device is made of.

use std::time::Duration;

use myownmesh_compute::{Gauge, Hardware, HardwareRoots};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types as control;

use crate::convert;
use crate::daemon::Daemon;

/// How long the system's drivers may take to tell. One that hangs must not hold the answer for ever.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn read(daemon: &Daemon) -> Result<control::Hardware, ControlError> {
    let models = daemon.facts.models.clone();
    in_time(move || {
        let roots = HardwareRoots::default();
        // The first look comes first: reading the hardware takes some of the time until the second.
        let mut gauge = Gauge::new(roots.clone(), models);
        convert::hardware(&Hardware::read(&roots), &gauge.read())
    })
    .await
}

/// What `judge` makes of this device's hardware.
pub(super) async fn look<T: Send + 'static>(
    judge: impl FnOnce(&Hardware) -> T + Send + 'static,
) -> Result<T, ControlError> {
    in_time(|| judge(&Hardware::read(&HardwareRoots::default()))).await
}

async fn in_time<T: Send + 'static>(reading: impl FnOnce() -> T + Send + 'static) -> Result<T, ControlError> {
    let reading = tokio::task::spawn_blocking(reading);
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => {
            tracing::error!(%error, "reading the hardware ended badly");
            let message = "The hardware cannot be read; the daemon's log tells why. Please report this.";
            Err(ControlError::new(ErrorCode::Internal, message))
        }
        Err(_) => {
            let message = "The drivers of this device do not answer. Ask again; if it stays so, restart the device.";
            Err(ControlError::new(ErrorCode::TimedOut, message))
        }
    }
}
