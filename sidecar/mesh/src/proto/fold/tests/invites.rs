//! Pre-approved invites.

use super::*;
use crate::proto::{
    invite::InviteSecret,
    knock::InviteProblem,
    record::{Admit, InviteGrant},
};

const SECRET: InviteSecret = InviteSecret::from_bytes([5; 16]);

fn grant(role: Role, uses: u32) -> Body {
    Body::Invite(InviteGrant { key: SECRET.key(), role, uses, expires_at: 10_000 })
}

/// An admission of `device` by the invite, proved by the holder of `secret` for `proven`.
fn enter_with(log: &Log, secret: InviteSecret, device: u8, proven: u8, role: Role) -> Body {
    let via = Via::Invite { id: SECRET.id(), proof: secret.prove(log.network, id(proven)) };
    Body::Admit(Admit { device: id(device), name: name("new"), os: "linux".into(), role, via })
}

fn enter(log: &Log, device: u8) -> Body {
    enter_with(log, SECRET, device, device, Role::Member)
}

/// 0 founded, 1 is a member, and 0 made an invite.
fn log(kind: NetworkKind, role: Role, uses: u32) -> Log {
    let mut log = Log::new(kind);
    log.say(0, admit(1, Role::Member));
    log.say(0, grant(role, uses));
    log
}

#[test]
fn any_member_who_may_admit_honours_an_invite() {
    let mut log = log(NetworkKind::Open, Role::Member, 2);
    let body = enter(&log, 2);
    log.say(1, body);
    assert_eq!(log.members(), [0, 1, 2]);
    let membership = log.fold();
    assert_eq!(membership.invites[&SECRET.id()].uses_left(), 1);
    assert_eq!(membership.invites[&SECRET.id()].used_by, [id(2)]);
}

#[test]
fn a_member_of_a_closed_network_may_not() {
    let mut log = log(NetworkKind::Closed, Role::Member, 2);
    let body = enter(&log, 2);
    let record = log.say(1, body);
    log.assert_void(&record, Void::Invite);
}

#[test]
fn uses_are_counted_in_one_order_for_all() {
    let mut log = log(NetworkKind::Open, Role::Member, 1);
    let (second, first) = (enter(&log, 3), enter(&log, 2));
    let second = log.say_at(0, 3000, second);
    let first = log.say_at(1, 2000, first);
    log.assert_counts(&first);
    log.assert_void(&second, Void::Invite);
}

#[test]
fn expired_revoked_and_unknown_invites_do_not_admit() {
    let mut expired = log(NetworkKind::Open, Role::Member, 5);
    let body = enter(&expired, 2);
    let record = expired.say_at(1, 10_000, body);
    expired.assert_void(&record, Void::Invite);

    let mut revoked = log(NetworkKind::Open, Role::Member, 5);
    revoked.say(0, revoke(SECRET.id()));
    let body = enter(&revoked, 2);
    let record = revoked.say(1, body);
    revoked.assert_void(&record, Void::Invite);
    assert_eq!(revoked.fold().invites[&SECRET.id()].uses_left(), 0);

    let mut unknown = Log::new(NetworkKind::Open);
    let body = enter(&unknown, 2);
    let record = unknown.say(0, body);
    unknown.assert_void(&record, Void::Invite);
}

#[test]
fn a_proof_is_bound_to_its_device_its_network_and_its_secret() {
    let mut log = log(NetworkKind::Open, Role::Member, 5);
    let other_network = Log::new(NetworkKind::Closed);
    let forged = [
        enter_with(&log, SECRET, 3, 2, Role::Member),
        enter_with(&log, InviteSecret::from_bytes([6; 16]), 3, 3, Role::Member),
        enter_with(&other_network, SECRET, 3, 3, Role::Member),
    ];
    for body in forged {
        let record = log.say(1, body);
        log.assert_void(&record, Void::Invite);
    }
}

#[test]
fn nobody_hands_out_more_than_they_hold_or_the_invite_says() {
    let mut log = log(NetworkKind::Open, Role::Manager, 5);
    let body = enter_with(&log, SECRET, 2, 2, Role::Manager);
    let by_member = log.say(1, body.clone());
    log.assert_void(&by_member, Void::Invite);
    let more = enter_with(&log, SECRET, 2, 2, Role::Owner);
    let more = log.say(0, more);
    log.assert_void(&more, Void::NoAuthority);
    log.say(0, body);
    assert_eq!(log.fold().role(id(2)), Some(Role::Manager));
}

#[test]
fn members_invite_members_only_and_only_their_own_invite_can_be_revoked_by_them() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say(0, admit(2, Role::Member));
    let too_much = log.say(1, grant(Role::Manager, 1));
    log.assert_void(&too_much, Void::NoAuthority);
    log.say(1, grant(Role::Member, 1));
    let again = log.say(2, grant(Role::Member, 100));
    log.assert_void(&again, Void::NoEffect);
    let foreign = log.say(2, revoke(SECRET.id()));
    log.assert_void(&foreign, Void::NoAuthority);
    let own = log.say(1, revoke(SECRET.id()));
    log.assert_counts(&own);
}

#[test]
fn an_invite_is_as_good_as_its_maker_when_it_is_used() {
    let mut log = Log::new(NetworkKind::Open);
    log.say(0, admit(1, Role::Member));
    log.say(1, grant(Role::Member, 5));
    log.say(0, remove(1, 1));
    let body = enter(&log, 2);
    let record = log.say(0, body);
    log.assert_void(&record, Void::Invite);
}

#[test]
fn a_removed_device_needs_a_person_to_come_back() {
    let mut log = log(NetworkKind::Open, Role::Member, 5);
    let body = enter(&log, 1);
    log.say(0, remove(1, 0));
    let record = log.say(0, body);
    log.assert_void(&record, Void::Invite);
    log.say(0, admit(1, Role::Member));
    assert_eq!(log.members(), [0, 1]);
}

#[test]
fn the_check_before_admitting_says_what_is_wrong() {
    let mut log = log(NetworkKind::Open, Role::Member, 1);
    let check = |log: &Log, by: u8, guest: u8, at: Millis| {
        log.fold().check_invite(id(by), id(guest), SECRET.id(), &SECRET.prove(log.network, id(guest)), at)
    };
    assert_eq!(check(&log, 1, 2, 5000), Ok(Role::Member));
    assert_eq!(check(&log, 1, 2, 10_000), Err(InviteProblem::Expired));
    assert_eq!(check(&log, 7, 2, 5000), Err(InviteProblem::NotHere));
    let foreign = SECRET.prove(log.network, id(9));
    assert_eq!(log.fold().check_invite(id(1), id(2), SECRET.id(), &foreign, 0), Err(InviteProblem::BadProof));
    let unknown = InviteId::from_bytes([0; 8]);
    assert_eq!(log.fold().check_invite(id(1), id(2), unknown, &foreign, 0), Err(InviteProblem::Unknown));
    let body = enter(&log, 2);
    log.say(1, body);
    assert_eq!(check(&log, 1, 3, 5000), Err(InviteProblem::UsedUp));
    log.say(0, revoke(SECRET.id()));
    assert_eq!(check(&log, 1, 3, 5000), Err(InviteProblem::Revoked));
}
