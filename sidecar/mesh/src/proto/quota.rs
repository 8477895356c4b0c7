//! How much one device may have others keep: a share of records and bytes for each author of a network.
//!
//! A record is kept by every member for years, so a member that lies could fill everybody's disk. Its share is far more
//! than an honest device needs; what is beyond it is refused here, and told. Two members may then keep different parts
//! of a liar's surplus, and would judge them differently: that is the liar's own word against itself, and ends with its
//! removal. Everybody who was never a member shares one small share: their records say nothing unless an admission is on
//! its way, and that brings them a share of their own.

use std::collections::BTreeMap;

use super::{ids::DeviceId, record::Record};

/// Most records of one author that are kept: nine years of three a day.
pub const MAX_RECORDS: usize = 10_000;
/// Most bytes of one author's records.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most records of all who were never a member together.
pub const MAX_FOREIGN_RECORDS: usize = 256;
/// Most bytes of theirs.
pub const MAX_FOREIGN_BYTES: usize = 1024 * 1024;

/// What is kept of one author.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    records: usize,
    bytes: usize,
}

impl Share {
    fn plus(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }

    fn of(bytes: usize) -> Self {
        Self { records: 1, bytes }
    }
}

/// What is kept of each author.
#[derive(Debug, Clone, Default)]
pub struct Shares {
    authors: BTreeMap<DeviceId, Share>,
}

impl Shares {
    /// Counts a record that is kept, whatever it comes to.
    pub fn count(&mut self, record: &Record) {
        let share = self.authors.entry(record.author()).or_default();
        *share = share.plus(Share::of(record.as_bytes().len()));
    }

    /// Counts a record of this author and size if there is room for it, and tells whether there was. `belongs` says of a
    /// device whether it is, was, or is about to become a member.
    pub fn take(&mut self, author: DeviceId, bytes: usize, belongs: impl Fn(DeviceId) -> bool) -> bool {
        let share = Share::of(bytes);
        let (used, most_records, most_bytes) = if belongs(author) {
            (self.authors.get(&author).copied().unwrap_or_default(), MAX_RECORDS, MAX_BYTES)
        } else {
            let foreign = self.authors.iter().filter(|(author, _)| !belongs(**author));
            let used = foreign.fold(Share::default(), |sum, (_, share)| sum.plus(*share));
            (used, MAX_FOREIGN_RECORDS, MAX_FOREIGN_BYTES)
        };
        let after = used.plus(share);
        let room = after.records <= most_records && after.bytes <= most_bytes;
        if room {
            let share_before = self.authors.entry(author).or_default();
            *share_before = share_before.plus(share);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(seed: u8) -> DeviceId {
        DeviceId::of_secret(&[seed; 32])
    }

    #[test]
    fn an_author_has_a_share_of_records_and_of_bytes() {
        let (many, other, large) = (device(1), device(2), device(3));
        let mut shares = Shares::default();
        let kept = (0..20_000).filter(|_| shares.take(many, 200, |_| true)).count();
        assert_eq!(kept, MAX_RECORDS);
        assert!(shares.take(other, 200, |_| true), "others have their own");
        let kept = (0..20_000).filter(|_| shares.take(large, 16_000, |_| true)).count();
        assert_eq!(kept, MAX_BYTES / 16_000);
        assert!(shares.take(large, 200, |_| true), "a small one still fits");
    }

    #[test]
    fn who_was_never_a_member_shares_one_small_share() {
        let mut shares = Shares::default();
        let strangers: Vec<DeviceId> = (10..60).map(device).collect();
        let (known, newcomer) = (device(1), strangers[3]);
        let member = |author| author == known;
        let kept = strangers.iter().cycle().take(500).filter(|author| shares.take(**author, 200, member)).count();
        assert_eq!(kept, MAX_FOREIGN_RECORDS);
        assert!(shares.take(known, 200, member), "members are not affected");
        assert!(shares.take(newcomer, 200, |author| author == newcomer), "an admission brings a share");
    }
}
