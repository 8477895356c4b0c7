//! Members who sign what they may not, or send what nobody signed.

use myownmesh_mesh::proto::fold::Void;
use myownmesh_mesh::proto::ids::InviteId;
use myownmesh_mesh::proto::invite::InviteSecret;
use myownmesh_mesh::proto::record::{
    Admit, Body, DeviceInfo, InviteGrant, MAX_INVITE_USES, Policy, Record, Remove, Rename, SetRole, Via,
};
use myownmesh_mesh::proto::welcome::MESH_ALPN;
use myownmesh_mesh::{
    DecisionKind, DeviceId, DeviceName, InviteOptions, NetworkId, NetworkKind, NetworkName, NetworkSettings, Role,
};

use super::liar::*;
use crate::support::*;

/// Bytes of a record before its author's key: the version and the network.
const AUTHOR_AT: usize = 33;
const SIGN_CONTEXT: &[u8] = b"myownmesh record signature v1\0";

fn name(text: &str) -> DeviceName {
    DeviceName::parse(text).unwrap()
}

fn rename(text: &str) -> Body {
    Body::Rename(Rename { name: NetworkName::parse(text).unwrap() })
}

fn admit(device: DeviceId, role: Role) -> Body {
    let (name, os) = (name("Accomplice"), "Linux".to_owned());
    Body::Admit(Admit { device, name, os, role, via: Via::Knock })
}

/// What the victim says of a record that it keeps.
fn verdict(scene: &Scene, record: &Record) -> Option<Void> {
    let membership = believed(&scene.host, scene.network);
    assert!(!membership.counted.contains(&record.id()), "it counts: {record:?}");
    membership.void.get(&record.id()).copied()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_author_is_refused() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    // The owner's name, the liar's signature.
    let honest = scene.liar.record(scene.network, scene.next_seq(), now(), rename("Mine")).as_bytes().to_vec();
    let mut signed = honest[..honest.len() - 64].to_vec();
    signed[AUTHOR_AT..AUTHOR_AT + 32].copy_from_slice(scene.host.id().as_bytes());
    let signature = scene.liar.secret.sign(&[SIGN_CONTEXT, &signed].concat());
    let forged = [signed.clone(), signature.to_bytes().to_vec()].concat();
    assert_eq!(link.push(&[forged]).await, 400);
    scene.told(scene.liar.id(), "not signed by the device").await;
    // The owner's name, and the signature of something that the owner did sign.
    let genuine = kept(&scene.host, scene.network).into_iter().find(|it| it.author() == scene.host.id()).unwrap();
    let stolen = &genuine.as_bytes()[genuine.as_bytes().len() - 64..];
    assert_eq!(link.push(&[[signed, stolen.to_vec()].concat()]).await, 400);
    // The owner's own record, one bit of it changed; every byte of it is under the signature.
    let bytes = genuine.as_bytes();
    for at in 0..bytes.len() {
        let mut altered = bytes.to_vec();
        altered[at] ^= 1;
        assert!(Record::decode_for(scene.network, &altered).is_err(), "byte {at}");
    }
    // A good record in one push with a forged one does not lend it credit.
    assert_eq!(
        link.push(&[bytes.to_vec(), {
            let mut it = bytes.to_vec();
            it[60] ^= 1;
            it
        }])
        .await,
        400
    );
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_admission_admits_nobody() {
    let mut scene = Scene::of(NetworkKind::Closed).await;
    let link = scene.link().await;
    let accomplice = Liar::new(66).await;
    // A plain member of a closed network, and then a stranger whose record a member carries.
    let by_member = scene.liar.record(scene.network, scene.next_seq(), now(), admit(accomplice.id(), Role::Member));
    assert_eq!(link.push(&[by_member.as_bytes().to_vec()]).await, 204);
    scene.told(scene.liar.id(), "may not make").await;
    assert_eq!(verdict(&scene, &by_member), Some(Void::NoAuthority));
    let by_stranger = accomplice.record(scene.network, 1, now(), admit(accomplice.id(), Role::Owner));
    link.push(&[by_stranger.as_bytes().to_vec()]).await;
    scene.told(accomplice.id(), "not a member").await;
    scene.unharmed().await;
    // The one who was to profit is still a stranger.
    if let Ok(connection) = accomplice.connect(&scene.host, MESH_ALPN).await {
        assert_eq!(close_code(&connection).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_replayed_from_another_network_is_refused() {
    let mut scene = Scene::new().await;
    // The accomplice is a proper member of another network of the same owner.
    let accomplice = Liar::new(66).await;
    let elsewhere =
        scene.host.mesh.create_network(NetworkName::parse("Work").unwrap(), NetworkKind::Open).await.unwrap();
    let guest = Device::start("Phone", 66).await;
    join(&scene.host, &guest).await;
    guest.mesh.shutdown().await;
    let there = kept(&scene.host, elsewhere.id);
    let genuine = there.iter().find(|it| matches!(it.body(), Body::Admit(_))).unwrap().as_bytes().to_vec();
    scene.host.mesh.use_network(scene.network).await.unwrap();
    scene.host.until_linked(&[scene.honest.id()]).await;

    let link = scene.link().await;
    assert_eq!(link.push(std::slice::from_ref(&genuine)).await, 400);
    scene.told(scene.liar.id(), "another network").await;
    // The other network's genesis is no way in either.
    let genesis = there.iter().find(|it| matches!(it.body(), Body::Genesis(_))).unwrap().as_bytes().to_vec();
    assert_eq!(link.push(&[genesis]).await, 400);
    // Rewritten to speak of this network it is no longer the owner's.
    let mut moved = genuine;
    moved[1..33].copy_from_slice(scene.network.as_bytes());
    assert_eq!(link.push(&[moved]).await, 400);
    scene.told(scene.liar.id(), "not signed by the device").await;
    assert!(!believed(&scene.host, scene.network).is_member(accomplice.id()));
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_device_cannot_back_date() {
    let mut scene = Scene::new().await;
    let (seq, long_ago) = (scene.next_seq(), now());
    let thief = Liar::new(66).await;
    let mole = Device::start("Mole", 4).await;
    join(&scene.host, &mole).await;
    mole.mesh.shutdown().await;
    scene.host.mesh.remove_device(scene.liar.id()).await.unwrap();
    scene.host.until(|picture| picture.member(scene.liar.id()).is_none()).await;
    scene.look_again();
    // Signed after the removal, dated before it; a member who is in league brings it.
    let link = Liar::new(4).await.link(&scene.host, scene.network).await;
    let records = [
        scene.liar.record(scene.network, seq, long_ago, admit(thief.id(), Role::Member)),
        scene.liar.record(
            scene.network,
            seq + 1,
            long_ago + 1,
            Body::DeviceInfo(DeviceInfo { name: name("Still here"), os: String::new() }),
        ),
    ];
    for record in &records {
        assert_eq!(link.push(&[record.as_bytes().to_vec()]).await, 204);
        assert_eq!(verdict(&scene, record), Some(Void::NotMember));
    }
    scene.told(scene.liar.id(), "not a member").await;
    scene.unharmed().await;
    for device in [&scene.liar, &thief] {
        if let Ok(connection) = device.connect(&scene.host, MESH_ALPN).await {
            assert_eq!(close_code(&connection).await, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_themselves_more_than_they_have() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let (me, owner, honest) = (scene.liar.id(), scene.host.id(), scene.honest.id());
    let secret = InviteSecret::from_bytes([5; 16]);
    let grant = InviteGrant { key: secret.key(), role: Role::Owner, uses: MAX_INVITE_USES, expires_at: i64::MAX };
    let settings =
        NetworkSettings { relays: vec!["https://relay.attacker.example".into()], ..NetworkSettings::default() };
    let attempts = [
        Body::Role(SetRole { device: me, role: Role::Owner, last_seq: 0 }),
        Body::Role(SetRole { device: me, role: Role::Manager, last_seq: 0 }),
        Body::Role(SetRole { device: owner, role: Role::Member, last_seq: 0 }),
        Body::Remove(Remove { device: owner, last_seq: 0 }),
        Body::Remove(Remove { device: honest, last_seq: 0 }),
        Body::Remove(Remove { device: me, last_seq: u64::MAX }),
        admit(Liar::new(66).await.id(), Role::Owner),
        admit(me, Role::Owner),
        rename("Mine"),
        Body::Policy(Policy { kind: NetworkKind::Closed, honours: Vec::new() }),
        Body::Settings(settings),
        Body::Invite(grant),
    ];
    let start = scene.next_seq();
    for (at, body) in (0..).zip(attempts) {
        let record = scene.liar.record(scene.network, start + at, now() + at, body);
        link.push(&[record.as_bytes().to_vec()]).await;
        assert!(verdict(&scene, &record).is_some(), "{record:?}");
    }
    scene.told(me, "may not make").await;
    scene.unharmed().await;
    assert!(believed(&scene.host, scene.network).invites.is_empty());
    // Nor may it end what others were promised.
    let options = InviteOptions { approved: true, ..InviteOptions::default() };
    let invite = scene.host.mesh.create_invite(options).await.unwrap();
    scene.look_again();
    revoke(&scene, &link, invite.id, start + 50).await;
    assert_eq!(scene.host.mesh.invites().await.unwrap()[0].uses_left, Some(1));
    scene.unharmed().await;
}

async fn revoke(scene: &Scene, link: &Linked, id: InviteId, seq: u64) {
    use myownmesh_mesh::proto::record::RevokeInvite;
    let record = scene.liar.record(scene.network, seq, now() + 100, Body::RevokeInvite(RevokeInvite { id }));
    link.push(&[record.as_bytes().to_vec()]).await;
    assert_eq!(verdict(scene, &record), Some(Void::NoAuthority));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_number_used_twice_is_shown() {
    let mut scene = Scene::new().await;
    let link = scene.link().await;
    let (seq, at) = (scene.next_seq(), now());
    let said = |text: &str| {
        let body = Body::DeviceInfo(DeviceInfo { name: name(text), os: "Linux".to_owned() });
        scene.liar.record(scene.network, seq, at, body)
    };
    let (one, other) = (said("Laptop"), said("Lap top"));
    // One version to one member, the other to another; they compare notes by themselves.
    assert_eq!(link.push(&[one.as_bytes().to_vec()]).await, 204);
    let second = scene.liar.link(&scene.honest, scene.network).await;
    assert_eq!(second.push(&[other.as_bytes().to_vec()]).await, 204);
    scene.told(scene.liar.id(), "two different records").await;
    let both = || {
        let of = |device| believed(device, scene.network).equivocations;
        (of(&scene.host), of(&scene.honest))
    };
    let (here, there) = both();
    assert_eq!(here.len(), 1);
    assert_eq!((here[0].author, here[0].seq), (scene.liar.id(), seq));
    assert_eq!(here, there, "both drop the same one");
    assert_eq!(scene.host.mesh.snapshot().members.len(), 3);
    // The owner finds it among the decisions.
    let decisions = scene.host.mesh.decisions(scene.network).await.unwrap();
    let shown = decisions.iter().find(|it| it.what == DecisionKind::Equivocated { seq }).unwrap();
    assert_eq!(shown.author, scene.liar.id());
    assert_eq!(scene.honest.text(scene.host.id(), "/who").await.unwrap(), "Desk Member");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_nobody_founded_cannot_be_slipped_in() {
    let scene = Scene::new().await;
    let link = scene.link().await;
    let elsewhere = NetworkId::from_bytes([9; 32]);
    let record = scene.liar.record(elsewhere, 1, now(), rename("Nowhere"));
    assert_eq!(link.push(&[record.as_bytes().to_vec()]).await, 400);
    assert_eq!(scene.host.mesh.snapshot().networks.len(), 1);
    scene.unharmed().await;
}
