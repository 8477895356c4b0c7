//! The rules of docs/PROTOCOL.md, one test each, then properties over random logs.

mod invites;
mod properties;

use std::sync::LazyLock;

use iroh::SecretKey;

use super::*;
use crate::proto::record::{Admit, Body, DeviceInfo, Genesis, Policy, Remove, Rename, RevokeInvite, SetRole};
use crate::proto::settings::NetworkSettings;

pub(in crate::proto) fn secret(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n + 1; 32])
}

/// Device `n`. Deriving a key takes milliseconds in a debug build, so the first ones are kept.
pub(in crate::proto) fn id(n: u8) -> DeviceId {
    static IDS: LazyLock<[DeviceId; 10]> =
        LazyLock::new(|| [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|n| secret(n).public().into()));
    IDS[usize::from(n)]
}

pub(in crate::proto) fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).expect("a name")
}

pub(in crate::proto) fn admit(device: u8, role: Role) -> Body {
    let via = Via::Knock;
    Body::Admit(Admit { device: id(device), name: name(&format!("device {device}")), os: "linux".into(), role, via })
}

pub(in crate::proto) fn remove(device: u8, last_seq: u64) -> Body {
    Body::Remove(Remove { device: id(device), last_seq })
}

pub(in crate::proto) fn set_role(device: u8, role: Role, last_seq: u64) -> Body {
    Body::Role(SetRole { device: id(device), role, last_seq })
}

fn close(honours: &[(u8, u64)]) -> Body {
    let mut honours: Vec<(DeviceId, u64)> = honours.iter().map(|(device, seq)| (id(*device), *seq)).collect();
    honours.sort_unstable();
    Body::Policy(Policy { kind: NetworkKind::Closed, honours })
}

pub(in crate::proto) fn info(text: &str) -> Body {
    Body::DeviceInfo(DeviceInfo { name: name(text), os: "linux".into() })
}

/// A log in the making. Device 0 founded the network at time 1000.
#[derive(Clone)]
pub(in crate::proto) struct Log {
    pub(in crate::proto) network: NetworkId,
    pub(in crate::proto) records: Vec<Record>,
    seqs: [u64; 256],
    now: u64,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.records).finish()
    }
}

impl Log {
    pub(in crate::proto) fn new(kind: NetworkKind) -> Self {
        let genesis = Genesis {
            name: NetworkName::parse("Home").expect("a name"),
            kind,
            founder_name: name("device 0"),
            founder_os: "linux".into(),
            nonce: [7; 16],
        };
        let record = Record::found(&secret(0), Hlc::at(1000), genesis).expect("a record");
        let mut seqs = [0; 256];
        seqs[0] = 1;
        Self { network: record.network(), records: vec![record], seqs, now: 1000 }
    }

    /// The next record of `author`, ten milliseconds after the one before.
    pub(in crate::proto) fn say(&mut self, author: u8, body: Body) -> Record {
        self.now += 10;
        self.say_at(author, self.now, body)
    }

    /// The next record of `author`, whatever the time.
    pub(in crate::proto) fn say_at(&mut self, author: u8, ms: u64, body: Body) -> Record {
        let seq = &mut self.seqs[usize::from(author)];
        *seq += 1;
        let record = Record::unsigned(id(author), self.network, *seq, Hlc::at(ms), body);
        self.records.push(record.clone());
        record
    }

    pub(in crate::proto) fn say_as(&mut self, author: u8, seq: u64, ms: u64, body: Body) -> Record {
        let record = Record::unsigned(id(author), self.network, seq, Hlc::at(ms), body);
        self.records.push(record.clone());
        record
    }

    pub(in crate::proto) fn seq(&self, author: u8) -> u64 {
        self.seqs[usize::from(author)]
    }

    pub(in crate::proto) fn fold(&self) -> Membership {
        fold(self.network, &self.records).expect("a network")
    }

    /// The devices that are members, in the order of their numbers.
    fn members(&self) -> Vec<u8> {
        let membership = self.fold();
        (0..10).filter(|n| membership.is_member(id(*n))).collect()
    }

    #[track_caller]
    fn assert_void(&self, record: &Record, why: Void) {
        let membership = self.fold();
        assert_eq!(membership.void.get(&record.id()), Some(&why));
        assert!(!membership.counted.contains(&record.id()));
    }

    #[track_caller]
    fn assert_counts(&self, record: &Record) {
        let membership = self.fold();
        assert_eq!(membership.void.get(&record.id()), None);
        assert!(membership.counted.contains(&record.id()));
    }
}

#[test]
fn the_founder_is_the_first_owner() {
    let membership = Log::new(NetworkKind::Closed).fold();
    assert_eq!(membership.role(id(0)), Some(Role::Owner));
    assert_eq!((membership.founder, membership.founded_at()), (id(0), 1000));
    assert_eq!((membership.name.as_str(), membership.kind), ("Home", NetworkKind::Closed));
    assert_eq!(membership.head(id(0)), 1);
}

#[test]
fn without_its_genesis_record_there_is_no_network() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    assert_eq!(fold(log.network, &log.records[1..]), None);
    let other = Log::new(NetworkKind::Closed);
    assert_eq!(fold(other.network, &log.records), None);
}

#[test]
fn records_of_other_networks_are_passed_over() {
    let mut log = Log::new(NetworkKind::Open);
    let mut other = Log::new(NetworkKind::Closed);
    other.say(0, admit(1, Role::Member));
    let before = log.fold();
    log.records.extend(other.records);
    assert_eq!(log.fold(), before);
}

#[test]
fn in_an_open_network_any_member_admits_members() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say(1, admit(2, Role::Member));
    let manager = log.say(2, admit(3, Role::Manager));
    let stranger = log.say(5, admit(6, Role::Member));
    assert_eq!(log.members(), [0, 1, 2]);
    log.assert_void(&manager, Void::NoAuthority);
    log.assert_void(&stranger, Void::NotMember);
}

#[test]
fn in_a_closed_network_owners_and_managers_admit() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Manager));
    log.say(1, admit(2, Role::Member));
    let by_member = log.say(2, admit(3, Role::Member));
    let too_high = log.say(1, admit(3, Role::Manager));
    assert_eq!(log.members(), [0, 1, 2]);
    log.assert_void(&by_member, Void::NoAuthority);
    log.assert_void(&too_high, Void::NoAuthority);
}

#[test]
fn a_device_cannot_admit_itself_or_be_admitted_twice() {
    let mut log = Log::new(NetworkKind::Open);
    let own = log.say(1, admit(1, Role::Owner));
    log.say(0, admit(1, Role::Member));
    let again = log.say(0, admit(1, Role::Owner));
    assert_eq!(log.fold().role(id(1)), Some(Role::Member));
    log.assert_void(&own, Void::NotMember);
    log.assert_void(&again, Void::NoEffect);
}

fn settings(relay: &str) -> Body {
    Body::Settings(NetworkSettings { relays: vec![relay.to_owned()], ..NetworkSettings::default() })
}

#[test]
fn a_back_dated_admission_takes_nothing_from_what_an_owner_grants() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Manager));
    let granted = log.say(0, admit(2, Role::Manager));
    let ms = granted.hlc().ms - 1;
    let early = log.say_as(1, 2, ms, admit(2, Role::Member));
    let removed = log.say(1, remove(2, 0));
    assert!(early.hlc() < granted.hlc());
    assert_eq!(log.fold().role(id(2)), Some(Role::Manager));
    log.assert_void(&removed, Void::NoAuthority);
}

#[test]
fn owners_set_how_devices_reach_each_other_and_nobody_else_does() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Manager));
    log.say(0, admit(2, Role::Member));
    for author in [1, 2, 5] {
        let record = log.say(author, settings("http://evil.example/"));
        log.assert_void(&record, if author == 5 { Void::NotMember } else { Void::NoAuthority });
    }
    assert_eq!(log.fold().settings, NetworkSettings::default());
    log.say(0, settings("http://relay.example/"));
    assert_eq!(log.fold().settings.relays, ["http://relay.example/"]);
}

#[test]
fn of_two_settings_the_later_one_holds_as_a_whole_whatever_came_first() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Owner));
    log.say_at(1, 5_001, settings("http://late.example/"));
    log.say_at(0, 5_000, Body::Settings(NetworkSettings { air_gapped: true, ..NetworkSettings::default() }));
    let expected = NetworkSettings { relays: vec!["http://late.example/".into()], ..NetworkSettings::default() };
    assert_eq!(log.fold().settings, expected, "no mixture of both");
    // At one instant the greater device id wins: it is judged last.
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Owner));
    log.say_at(0, 5_000, settings("http://zero.example/"));
    log.say_at(1, 5_000, settings("http://one.example/"));
    let winner = if id(0) > id(1) { "http://zero.example/" } else { "http://one.example/" };
    assert_eq!(log.fold().settings.relays, [winner]);
}

#[test]
fn a_removed_owner_sets_nothing_by_back_dating() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Owner));
    log.say_at(1, 2_000, settings("http://honoured.example/"));
    log.say_at(0, 6_000, remove(1, 1));
    let back_dated = log.say_at(1, 3_000, settings("http://evil.example/"));
    log.assert_void(&back_dated, Void::NotMember);
    assert_eq!(log.fold().settings.relays, ["http://honoured.example/"]);
}

#[test]
fn only_owners_govern() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Manager));
    log.say(0, admit(2, Role::Member));
    let rename = Body::Rename(Rename { name: NetworkName::parse("Mine").expect("a name") });
    for author in [1, 2] {
        for body in [rename.clone(), close(&[]), set_role(author, Role::Owner, 0), set_role(0, Role::Member, 0)] {
            let record = log.say(author, body);
            log.assert_void(&record, Void::NoAuthority);
        }
    }
    log.say(0, rename);
    log.say(0, close(&[]));
    log.say(0, set_role(2, Role::Owner, 0));
    let membership = log.fold();
    assert_eq!((membership.name.as_str(), membership.kind), ("Mine", NetworkKind::Closed));
    assert_eq!(membership.role(id(2)), Some(Role::Owner));
}

#[test]
fn managers_remove_members_and_nobody_above() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Manager));
    log.say(0, admit(2, Role::Manager));
    log.say(0, admit(3, Role::Member));
    log.say(0, admit(4, Role::Member));
    let refused = [log.say(1, remove(2, 0)), log.say(1, remove(0, 1)), log.say(3, remove(4, 0))];
    log.say(1, remove(3, 1));
    assert_eq!(log.members(), [0, 1, 2, 4]);
    for record in refused {
        log.assert_void(&record, Void::NoAuthority);
    }
}

#[test]
fn nothing_a_removed_device_signs_later_or_back_dates_counts() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    let honoured = log.say(1, info("laptop"));
    let removal = log.say_at(0, 5000, remove(1, 1));
    let back_dated = log.say_at(1, 2000, admit(2, Role::Member));
    let accomplice = log.say_at(2, 2500, admit(3, Role::Member));
    let later = log.say_at(1, 6000, admit(4, Role::Member));
    assert_eq!(log.members(), [0]);
    log.assert_counts(&honoured);
    log.assert_counts(&removal);
    for record in [back_dated, accomplice, later] {
        log.assert_void(&record, Void::NotMember);
    }
    assert_eq!(log.fold().former[&id(1)].by, id(0));
}

#[test]
fn a_removal_is_final_until_a_new_admission() {
    let mut log = Log::new(NetworkKind::Open);
    let first = log.say(0, admit(1, Role::Member));
    log.say(0, remove(1, 0));
    log.records.push(first);
    assert_eq!(log.members(), [0], "a replayed admission is the old one");
    let between = log.say(1, admit(2, Role::Member));
    log.say(0, admit(1, Role::Member));
    let after = log.say(1, admit(3, Role::Member));
    assert_eq!(log.members(), [0, 1, 3]);
    log.assert_void(&between, Void::NotMember);
    log.assert_counts(&after);
    assert!(log.fold().former.is_empty());
}

#[test]
fn the_last_owner_stays() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    let refused = [log.say(0, Body::Leave), log.say(0, set_role(0, Role::Member, 9))];
    for record in &refused {
        log.assert_void(record, Void::LastOwner);
    }
    log.say(0, set_role(1, Role::Owner, 0));
    log.say(0, Body::Leave);
    let refused = [log.say(1, set_role(1, Role::Manager, 0)), log.say(1, remove(1, 0))];
    log.assert_void(&refused[0], Void::LastOwner);
    log.assert_void(&refused[1], Void::NoAuthority);
    assert_eq!(log.members(), [1]);
    log.say(1, Body::Leave);
    assert_eq!(log.members(), [0; 0], "the last device of all may leave");
}

#[test]
fn of_two_owners_who_demote_each_other_one_remains() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Owner));
    log.say_at(0, 5001, set_role(1, Role::Member, 0));
    log.say_at(1, 5000, set_role(0, Role::Member, 2));
    let membership = log.fold();
    assert_eq!((membership.role(id(0)), membership.role(id(1))), (Some(Role::Owner), Some(Role::Member)));
}

#[test]
fn of_two_owners_who_remove_each_other_unseen_the_senior_stays_whatever_the_clocks_say() {
    for (senior_at, junior_at) in [(5000, 6000), (6000, 5000)] {
        let mut log = Log::new(NetworkKind::Closed);
        log.say(0, admit(1, Role::Owner));
        log.say_at(0, senior_at, remove(1, 0));
        let junior = log.say_at(1, junior_at, remove(0, 2));
        assert_eq!(log.members(), [0]);
        log.assert_void(&junior, Void::NotMember);
    }
}

#[test]
fn a_junior_owner_can_remove_a_senior_one() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Owner));
    log.say(0, admit(2, Role::Member));
    log.say_at(1, 5000, remove(0, log.seq(0)));
    // The removed founder has seen it, and strikes back: later, and back-dated.
    let later = log.say_at(0, 6000, remove(1, log.seq(1)));
    assert_eq!(log.members(), [1, 2]);
    log.assert_void(&later, Void::NotMember);
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Owner));
    log.say_at(1, 5000, remove(0, log.seq(0)));
    let back_dated = log.say_at(0, 4000, remove(1, 1));
    assert_eq!(log.members(), [1], "it honours the removal, which then holds");
    log.assert_void(&back_dated, Void::NotMember);
}

#[test]
fn a_removed_owner_cannot_void_what_others_did() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Owner));
    log.say(0, admit(2, Role::Member));
    let admission = log.say_at(2, 2000, admit(3, Role::Member));
    log.say_at(0, 5000, remove(1, 0));
    // Signed after its own removal, back-dated or not, it names a number below the admission.
    for at in [1900, 6000] {
        let mut log = Log { records: log.records.clone(), ..Log::new(NetworkKind::Open) };
        log.say_at(1, at, remove(2, 0));
        assert_eq!(log.members(), [0, 2, 3]);
        log.assert_counts(&admission);
    }
}

#[test]
fn a_ring_of_three_removals_is_broken_by_seniority() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Owner));
    log.say(0, admit(2, Role::Owner));
    let base = log.seq(0);
    log.say_at(0, 5003, remove(1, 0));
    log.say_at(1, 5002, remove(2, 0));
    log.say_at(2, 5001, remove(0, base));
    // The founder's stands and voids that of 1, so 2 was never removed, and its removal of the founder comes next.
    assert_eq!(log.members(), [2]);
}

#[test]
fn a_removal_cannot_unravel_where_its_own_power_comes_from() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Owner));
    let promotion = log.say(0, admit(2, Role::Owner));
    let removal = log.say_at(2, 5000, remove(0, 1));
    log.assert_counts(&promotion);
    log.assert_counts(&removal);
    assert_eq!(log.members(), [1, 2]);
}

#[test]
fn a_lowered_role_judges_what_is_back_dated() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Manager));
    let fine = log.say(1, admit(2, Role::Member));
    log.say_at(0, 5000, set_role(1, Role::Member, 1));
    let back_dated = log.say_at(1, 2000, admit(3, Role::Member));
    assert_eq!(log.members(), [0, 1, 2]);
    log.assert_counts(&fine);
    log.assert_void(&back_dated, Void::NoAuthority);
}

#[test]
fn a_raised_role_holds_from_then_on() {
    let mut log = Log::new(NetworkKind::Closed);
    log.say(0, admit(1, Role::Member));
    let early = log.say_at(1, 1500, admit(2, Role::Member));
    log.say_at(0, 2000, set_role(1, Role::Manager, 0));
    log.say_at(1, 2500, admit(3, Role::Member));
    assert_eq!(log.members(), [0, 1, 3]);
    log.assert_void(&early, Void::NoAuthority);
}

#[test]
fn closing_a_network_names_what_it_honours_of_plain_members() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say(1, admit(2, Role::Member));
    let honours = log.fold().honours_when_closing();
    assert_eq!(honours, [(id(1), 1)]);
    log.say_at(0, 5000, close(&[(1, 1)]));
    let back_dated = [log.say_at(1, 2000, admit(3, Role::Member)), log.say_at(2, 2000, admit(4, Role::Member))];
    assert_eq!(log.members(), [0, 1, 2]);
    for record in &back_dated {
        log.assert_void(record, Void::NoAuthority);
    }
}

#[test]
fn a_second_record_of_one_number_does_not_count_and_is_reported() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    let kept = log.say_as(1, 1, 2000, admit(2, Role::Member));
    let dropped = log.say_as(1, 1, 2001, admit(3, Role::Member));
    assert_eq!(log.members(), [0, 1, 2]);
    log.assert_void(&dropped, Void::Equivocation);
    let expected = Equivocation { author: id(1), seq: 1, kept: kept.id(), dropped: dropped.id() };
    assert_eq!(log.fold().equivocations, [expected]);
}

#[test]
fn the_clock_of_an_author_only_rises() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say_at(1, 5000, info("laptop"));
    let back_dated = log.say_at(1, 4999, admit(2, Role::Member));
    let fine = log.say_at(1, 5001, admit(3, Role::Member));
    log.assert_void(&back_dated, Void::BackDated);
    log.assert_counts(&fine);
}

#[test]
fn a_missing_number_does_not_hold_up_the_rest() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    let later = log.say_as(1, 40, 2000, admit(2, Role::Member));
    log.assert_counts(&later);
    assert_eq!(log.fold().head(id(1)), 40);
}

#[test]
fn kinds_of_later_versions_count_in_sequence_and_say_nothing() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    let before = log.fold();
    let unknown = log.say(1, Body::Unknown { kind: 99, payload: vec![1, 2, 3] });
    let stranger = log.say(5, Body::Unknown { kind: 99, payload: vec![] });
    let after = log.fold();
    assert_eq!(after.members, before.members);
    assert_eq!(after.head(id(1)), 1);
    log.assert_counts(&unknown);
    log.assert_void(&stranger, Void::NotMember);
    log.say(0, remove(1, 0));
    let cut_off = log.say_at(1, 1100, Body::Unknown { kind: 99, payload: vec![] });
    log.assert_void(&cut_off, Void::NotMember);
    log.assert_void(&unknown, Void::NotMember);
}

#[test]
fn a_device_describes_itself_and_look_alikes_are_found() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say(1, info("Kitchen"));
    let membership = log.fold();
    assert_eq!(membership.members[&id(1)].name.as_str(), "Kitchen");
    let resembled = membership.resembled(&name("\u{41A}itchen"), id(5));
    assert_eq!(resembled.map(|(device, _)| device), Some(id(1)));
    assert_eq!(membership.resembled(&name("Kitchen"), id(1)), None, "not oneself");
}

#[test]
fn two_members_who_admit_the_same_device_agree_on_the_first() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say_at(1, 2001, admit(2, Role::Member));
    log.say_at(0, 2000, admit(2, Role::Manager));
    let membership = log.fold();
    assert_eq!(membership.role(id(2)), Some(Role::Manager));
    assert_eq!(membership.members[&id(2)].admitted_by, id(0));
}

pub(in crate::proto) fn revoke(id: InviteId) -> Body {
    Body::RevokeInvite(RevokeInvite { id })
}
