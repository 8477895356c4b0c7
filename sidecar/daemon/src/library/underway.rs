//! Downloads that run now, as others see them: what comes, and how far it is in steps that are worth telling.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Steps that are told, in percent.
const STEP: u64 = 5;
/// How often a step is told at most.
const PACE: Duration = Duration::from_secs(1);

/// A model on its way to this device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Underway {
    /// Its variant in the catalogue; none for one that is not of it.
    pub(crate) variant: Option<String>,
    /// Id that it will be offered under.
    pub(crate) model: String,
    /// Id of the engine that will have it.
    pub(crate) engine: String,
    /// Its size, once that is known.
    pub(crate) size_bytes: Option<u64>,
    /// How far it is, in steps of 5; none until its size is known.
    pub(crate) percent: Option<u8>,
}

/// All of them. Clones share the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllUnderway {
    list: Arc<watch::Sender<BTreeMap<String, Underway>>>,
}

impl AllUnderway {
    /// What comes now.
    pub(crate) fn list(&self) -> Vec<Underway> {
        self.list.borrow().values().cloned().collect()
    }

    /// Changes whenever the list does.
    pub(crate) fn watch(&self) -> watch::Receiver<BTreeMap<String, Underway>> {
        self.list.subscribe()
    }

    /// Puts one on the list, until what is returned is dropped.
    pub(crate) fn begin(&self, key: String, what: Underway) -> Telling {
        self.list.send_modify(|list| drop(list.insert(key.clone(), what)));
        Telling { all: self.clone(), key, told: None }
    }
}

/// Tells how far a download is.
pub(crate) struct Telling {
    all: AllUnderway,
    key: String,
    told: Option<Instant>,
}

impl Telling {
    /// So many bytes are here of so many.
    pub(crate) fn tell(&mut self, bytes: u64, total: Option<u64>) {
        let percent = total.filter(|total| *total > 0).map(|total| {
            let hundredths = u128::from(bytes.min(total)) * 100 / u128::from(total);
            u64::try_from(hundredths).unwrap_or(0) / STEP * STEP
        });
        let percent = percent.and_then(|percent| u8::try_from(percent).ok());
        let known = self.all.list.borrow().get(&self.key).is_some_and(|what| what.size_bytes.is_some());
        if known && self.told.is_some_and(|told| told.elapsed() < PACE) {
            return;
        }
        let changed = self.all.list.send_if_modified(|list| {
            let Some(what) = list.get_mut(&self.key) else { return false };
            let changed = (what.percent, what.size_bytes) != (percent, total);
            (what.percent, what.size_bytes) = (percent, total);
            changed
        });
        if changed {
            self.told = Some(Instant::now());
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.all.list.send_modify(|list| drop(list.remove(&self.key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn steps_are_told_and_not_too_often() {
        let all = AllUnderway::default();
        let what = Underway {
            variant: None,
            model: "tiny".to_owned(),
            engine: "builtin".to_owned(),
            size_bytes: None,
            percent: None,
        };
        let mut telling = all.begin("tiny-q8".to_owned(), what);
        let mut watch = all.watch();
        let mut said = |bytes, total| {
            telling.tell(bytes, total);
            watch.has_changed().expect("it lives").then(|| watch.borrow_and_update()["tiny-q8"].percent)
        };
        assert_eq!(said(0, None), None, "nothing is known");
        assert_eq!(said(0, Some(1000)), Some(Some(0)));
        assert_eq!(said(500, Some(1000)), None, "a moment later");
        tokio::time::advance(PACE).await;
        assert_eq!(said(549, Some(1000)), Some(Some(50)));
        tokio::time::advance(PACE).await;
        assert_eq!(said(549, Some(1000)), None, "the same step");
        assert_eq!(said(2000, Some(1000)), Some(Some(100)));
        drop(telling);
        assert!(all.list().is_empty());
    }
}
