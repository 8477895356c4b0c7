//! A man in the middle who really relays: he knocks at the real host as a guest, and is the host of the real guest.
//!
//! What he cannot have is one code on both screens: docs/SECURITY.md has the sum.

use std::net::Ipv4Addr;

use myownmesh_mesh::proto::code::{Code, Nonce, Transcript};
use myownmesh_mesh::proto::frame::{self, FrameDecoder};
use myownmesh_mesh::proto::invite::Payload;
use myownmesh_mesh::proto::knock::{GuestFrame, HostFrame, KNOCK_ALPN};
use myownmesh_mesh::{DenyKind, Invite, InviteId, JoinStep, Role};

use super::liar::*;
use crate::support::*;

/// One relayed knock, up to the moment when both screens show a code.
struct Relayed {
    on_host: Code,
    on_guest: Code,
    /// He computed what the guest shows before he had to reveal to the host.
    known: Code,
    progress: myownmesh_mesh::JoinProgress,
    knocking: Knocking,
    _guest: Device,
    _middle: Liar,
}

/// What he does with the nonces that are his to choose.
#[derive(Clone, Copy)]
enum Cunning {
    /// Passes on what he is sent, where he may.
    Relay,
    /// Takes random ones.
    Random,
}

async fn relay(host: &Device, seed: u8, cunning: Cunning) -> Relayed {
    let network = network_of(host);
    let middle = Liar::with([seed; 32], Ipv4Addr::LOCALHOST, &[KNOCK_ALPN]).await;
    // His invite: the right network, his own device. The real one cannot be altered, its maker has signed it.
    let payload = Payload {
        network,
        name: host.mesh.snapshot().networks[0].name.clone(),
        inviter: middle.id(),
        addresses: middle.endpoint.bound_sockets(),
        relays: Vec::new(),
        expires_at: i64::MAX,
        id: InviteId::from_bytes([seed; 8]),
        secret: None,
        others: Vec::new(),
    };
    let invite = Invite::sign(&middle.secret, payload).unwrap();
    let guest = Device::start("Phone", seed + 100).await;
    let mut progress = guest.mesh.join(invite).await.unwrap();

    // Towards the guest he is the host.
    let connection = middle.endpoint.accept().await.unwrap().await.unwrap();
    let (mut to_guest, mut from_guest) = connection.accept_bi().await.unwrap();
    let mut frames = FrameDecoder::new(1 << 20);
    let mut hear = async || loop {
        if let Some(frame) = frames.next::<GuestFrame>().unwrap() {
            return frame;
        }
        frames.push(&from_guest.read_chunk(1 << 16).await.unwrap().unwrap()).unwrap();
    };
    let GuestFrame::Hello(heard) = hear().await else { panic!("no hello") };

    // Towards the host he is the guest: he has to commit now, with his own key.
    let mine = Nonce(rand::random());
    let hello = middle.hello(network, &heard.device_name, mine);
    let mut knocking = middle.knock(host, hello).await;
    let host_nonce = knocking.challenge().await;

    // He has to answer the guest before the guest reveals.
    let to_show = match cunning {
        Cunning::Relay => host_nonce,
        Cunning::Random => Nonce(rand::random()),
    };
    let challenge = HostFrame::Challenge { nonce: to_show, device_name: host.name.to_owned() };
    to_guest.write_all(&frame::encode(&challenge, 1 << 20).unwrap()).await.unwrap();
    let GuestFrame::Reveal { nonce: guest_nonce } = hear().await else { panic!("no reveal") };
    let known = Transcript { network, host: middle.id(), guest: guest.id(), host_nonce: to_show, guest_nonce }.code();

    // Now he knows everything. What he committed to is what he can reveal.
    knocking.say(&GuestFrame::Reveal { nonce: mine }).await;
    assert!(matches!(knocking.answer().await, HostFrame::Waiting { .. }));
    let waiting = HostFrame::Waiting { expires_in_ms: 300_000, invite: None };
    to_guest.write_all(&frame::encode(&waiting, 1 << 20).unwrap()).await.unwrap();
    let on_guest = until_knocking(&mut progress).await;
    let shown = host.until(|it| it.knocks.iter().any(|knock| knock.device_id == middle.id())).await;
    let on_host = shown.knocks.iter().find(|knock| knock.device_id == middle.id()).unwrap().code;
    // Kept alive by the test: a stream that is dropped would end the guest's knock.
    tokio::spawn(async move {
        connection.closed().await;
        drop((to_guest, from_guest));
    });
    Relayed { on_host, on_guest, known, progress, knocking, _guest: guest, _middle: middle }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaying_man_in_the_middle_cannot_make_the_codes_agree() {
    let scene = Scene::new().await;
    for (seed, cunning) in (20..28).zip([Cunning::Relay, Cunning::Random].into_iter().cycle()) {
        let mut run = Box::pin(relay(&scene.host, seed, cunning)).await;
        assert_eq!(run.known, run.on_guest, "he knows what the guest's screen shows");
        assert_ne!(run.on_host, run.on_guest, "run {seed}");
        println!("run {seed}: host shows {}, guest shows {}", run.on_host, run.on_guest);
        // Who types what the guest's screen shows lets nobody in, and a person who sees the difference says so.
        let knocks = scene.host.mesh.snapshot().knocks.clone();
        let knock = knocks.iter().find(|knock| knock.code == run.on_host).unwrap();
        let approved = scene.host.mesh.approve(knock.id, Role::Member, Some(run.on_guest)).await;
        assert!(matches!(approved, Err(myownmesh_mesh::MeshError::CodeMismatch)), "{approved:?}");
        scene.host.mesh.deny(knock.id, DenyKind::CodesDiffer, None).await.unwrap();
        assert!(matches!(run.knocking.answer().await, HostFrame::Denied { .. }));
        run.progress.cancel();
        assert!(matches!(last(&mut run.progress).await, JoinStep::Failed(_)));
    }
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grinding_for_a_code_comes_too_late() {
    let mut scene = Scene::new().await;
    // He wants the first character to be the one that the guest's screen shows. That is 32 tries, a blink; but he may
    // only try once the other side's nonce is out, and then he is committed.
    let middle = Liar::new(40).await;
    let (committed, target) = (Nonce([1; 32]), "7");
    let mut knocking = middle.knock(&scene.host, middle.hello(scene.network, "Phone", committed)).await;
    let host_nonce = knocking.challenge().await;
    let mut tries = 0u64;
    let ground = loop {
        tries += 1;
        let mut nonce = Nonce([2; 32]);
        nonce.0[..8].copy_from_slice(&tries.to_be_bytes());
        if knocking.code(scene.network, middle.id(), host_nonce, nonce).compact().starts_with(target) {
            break nonce;
        }
    };
    println!("one character ground in {tries} tries");
    knocking.say(&GuestFrame::Reveal { nonce: ground }).await;
    assert!(is_fault(&knocking.answer().await), "another nonce than he committed to");
    scene.told(middle.id(), "in a way that the app never does").await;
    // Nor does it help to have ground before: the host's nonce is new at every knock, and he gets three of them.
    let mut shown = Vec::new();
    let patient = Liar::new(41).await;
    loop {
        let mut knocking = patient.knock(&scene.host, patient.hello(scene.network, "Phone", committed)).await;
        match knocking.answer().await {
            HostFrame::Challenge { nonce, .. } => shown.push(nonce),
            HostFrame::Busy { retry_after_ms } if retry_after_ms > 60_000 => break,
            HostFrame::Busy { retry_after_ms } => {
                tokio::time::sleep(std::time::Duration::from_millis(retry_after_ms)).await;
            }
            other => panic!("{other:?}"),
        }
        knocking.connection.close(0_u32.into(), b"");
    }
    assert_eq!(shown.len(), 3, "three attempts, then minutes of waiting");
    assert!(shown[0] != shown[1] && shown[1] != shown[2] && shown[0] != shown[2]);
    scene.told(patient.id(), "too often").await;
    scene.unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_leads_to_its_maker_and_nobody_else() {
    let scene = Scene::new().await;
    // Somebody who sits at the address that the host's invite names, and answers there.
    let middle = Liar::with([42; 32], Ipv4Addr::LOCALHOST, &[KNOCK_ALPN]).await;
    let accepting = middle.endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            assert!(incoming.await.is_err(), "the guest took him for the host");
        }
    });
    let real = scene.host.invite().await;
    let addresses = middle.endpoint.bound_sockets();
    let diverted = Payload { addresses, others: Vec::new(), ..real.payload().clone() };
    // Only the host can sign what names the host; this is what a forged DNS answer or a stolen address amounts to.
    let host_key = iroh::SecretKey::from_bytes(&[1; 32]);
    let invite = Invite::sign(&host_key, diverted.clone()).unwrap();
    let guest = Device::start("Phone", 43).await;
    let mut progress = guest.mesh.join(invite).await.unwrap();
    assert!(matches!(last(&mut progress).await, JoinStep::Failed(_)));
    assert!(Invite::sign(&middle.secret, diverted).is_err());
    // And an invite that was altered on its way is damaged, whatever was altered.
    let link = real.link().to_owned();
    for at in "myownllm://join/".len()..link.len() {
        let mut bytes = link.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        assert!(altered.parse::<Invite>().is_err(), "character {at}");
    }
    scene.unharmed().await;
}
