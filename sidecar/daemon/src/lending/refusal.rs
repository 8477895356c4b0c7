//! Why a member's request is not served now, or no longer, each as a sentence it is told.

use myownmesh_control::types::LendingPause;

use super::pause;
use super::queue::{Full, MOST_OF_ONE, MOST_WAITING};
use super::rules::Closed;
use crate::text::now_ms;

/// A request of another device is not served, or its answer ends early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub(crate) struct Refusal {
    /// What the device that lends is called.
    pub(super) host: String,
    /// Why.
    pub(super) why: Why,
}

/// The reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The policy is `busy`.
    Busy,
    /// Lending is paused.
    Paused(LendingPause),
    /// A rule says no.
    Closed(Closed),
    /// Too many wait.
    Full,
    /// Too many of this member wait.
    TooMany,
    /// A pause ended the answer.
    CutByPause,
    /// The owner's own request ended the answer.
    CutByOwner,
}

impl Refusal {
    /// Whether it is about the model rather than the moment.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self.why, Why::Closed(Closed::Model(_)))
    }

    /// The policy is `busy`.
    #[cfg(test)]
    pub(crate) fn busy(host: &str) -> Self {
        Self { host: host.to_owned(), why: Why::Busy }
    }

    fn told(&self) -> String {
        let host = &self.host;
        match &self.why {
            Why::Busy => {
                format!("{host} is not accepting requests of others now. Ask its owner, or choose another device.")
            }
            Why::Paused(pause) => {
                let lasting = pause::lasting(*pause, now_ms());
                let then = if pause.until.is_some() { "Ask again then" } else { "Ask its owner" };
                format!("{host} has paused lending{lasting}. {then}, or choose another device.")
            }
            Why::Closed(closed) => closed.told(host),
            Why::Full => format!(
                "{MOST_WAITING} requests wait at {host} already, which is the most. Ask again in a while, or choose \
                 another device."
            ),
            Why::TooMany => format!(
                "{MOST_OF_ONE} requests of this device wait at {host} already, which is the most. Ask again when some \
                 have ended, or choose another device."
            ),
            Why::CutByPause => {
                format!("{host} has paused lending, which ended this answer. Choose another device, or ask its owner.")
            }
            Why::CutByOwner => format!(
                "The owner of {host} uses it now, which ended this answer. Ask again in a while, or choose another \
                 device."
            ),
        }
    }
}

impl From<Full> for Why {
    fn from(full: Full) -> Self {
        match full {
            Full::All => Self::Full,
            Full::Member => Self::TooMany,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_sentence_with_the_next_step() {
        let until = Some(now_ms() + 3_600_000);
        for why in [
            Why::Busy,
            Why::Paused(LendingPause { until: None, at_once: true }),
            Why::Paused(LendingPause { until, at_once: false }),
            Why::Closed(Closed::InUse),
            Why::Full,
            Why::TooMany,
            Why::CutByPause,
            Why::CutByOwner,
        ] {
            let text = Refusal { host: "Desk".to_owned(), why }.to_string();
            assert!(text.contains("Desk") && text.ends_with('.') && text.contains(". "), "{text}");
        }
        let hour = Why::Paused(LendingPause { until, at_once: false });
        let text = Refusal { host: "Desk".to_owned(), why: hour }.to_string();
        assert_eq!(text, "Desk has paused lending for 60 min more. Ask again then, or choose another device.");
    }
}
