//! Keeps lending in step with what changes by itself: the clock, the mains, the load, the end of a pause.

use std::time::Duration;

use myownmesh_compute::{Gauge, HardwareRoots};
use tokio::time::{Instant, sleep_until};

use super::{Lending, rows};
use crate::text::now_ms;

/// How often is looked while a rule asks for it.
const LOOK: Duration = Duration::from_secs(5);
/// How often the clock is compared with UTC otherwise: people travel, summers end.
const SELDOM: Duration = Duration::from_secs(60);
/// A device is in use when its processor is busier than this, in percent,
const LOADED: u8 = 60;
/// and no longer when it is less busy than this.
const FREE: u8 = 40;

/// Reads whether this machine draws from the mains, and how busy its processor is, in percent.
async fn read(gauge: &mut Option<Gauge>) -> Option<(bool, u8)> {
    let taken = gauge.take();
    let reading = tokio::task::spawn_blocking(move || {
        let mut gauge = taken.unwrap_or_else(|| Gauge::new(HardwareRoots::default(), std::env::temp_dir()));
        let readings = gauge.read();
        // Without a battery there is nothing but the mains.
        let on_mains = readings.battery.is_none_or(|battery| battery.on_mains);
        (gauge, on_mains, readings.load.busy_percent())
    });
    let (used, on_mains, busy) = reading.await.ok()?;
    *gauge = Some(used);
    Some((on_mains, busy))
}

/// Whether the device counts as in use: between the two marks it stays as it was, and what members ask here is no use of
/// its own.
pub(super) fn loaded(before: bool, busy: u8, lending: bool) -> bool {
    match busy {
        _ if lending => before,
        busy if busy > LOADED => true,
        busy if busy < FREE => false,
        _ => before,
    }
}

impl Lending {
    /// Looks around until it is dropped.
    pub(crate) async fn keep(&self) {
        let mut changed = self.rules_changed.subscribe();
        let mut gauge = None;
        loop {
            changed.mark_unchanged();
            let ((clock, machine), due) = self.with(|state, _| (state.looks_around(), state.due()));
            self.look_around(machine, &mut gauge).await;
            let pace = if clock || machine { LOOK } else { SELDOM };
            let due = due.map(|due| Duration::from_millis(u64::try_from(due - now_ms()).unwrap_or(0)));
            let wake = Instant::now() + due.map_or(pace, |due| due.min(pace));
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Looks at the clock, and at the machine where a rule asks for it; then everything is what it allows.
    async fn look_around(&self, at_machine: bool, gauge: &mut Option<Gauge>) {
        let clock = self.store.call(|connection| rows::clock_ahead(connection)).await;
        let machine = if at_machine { read(gauge).await } else { None };
        self.alter(|state, _| {
            match clock {
                Ok(ahead) => state.around.clock_ahead = ahead,
                Err(error) => tracing::warn!(%error, "the clock could not be compared with UTC"),
            }
            if let Some((on_mains, busy)) = machine {
                state.around.on_mains = on_mains;
                state.around.loaded = loaded(state.around.loaded, busy, state.is_lending());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_of_members_and_small_changes_do_not_count() {
        assert!(loaded(false, 61, false) && !loaded(false, 60, false));
        assert!(!loaded(true, 39, false) && loaded(true, 40, false));
        assert!(!loaded(false, 100, true) && loaded(true, 0, true), "as it was before they came");
    }
}
