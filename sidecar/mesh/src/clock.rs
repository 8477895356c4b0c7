//! The wall clock, read in one place; everything under [`proto`](crate::proto) gets it as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::proto::Millis;

/// Milliseconds since the Unix epoch; 0 for a clock before it.
pub(crate) fn now_ms() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Waits until the system clock reads `at`, or about that: it may be set while this waits.
pub(crate) async fn sleep_until(at: Millis) {
    let left = u64::try_from(at.saturating_sub(now_ms())).unwrap_or(0);
    tokio::time::sleep(std::time::Duration::from_millis(left)).await;
}
