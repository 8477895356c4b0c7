//! Links that break in every ordinary way, and what people see meanwhile.

use std::time::Duration;

use myownmesh_control::types::DeviceState::Away;

use crate::harness::SENTENCE;
use crate::harness::story::{self, offers, online, question};
use crate::net::{Net, Quality};
use crate::steps::{Diary, answered, seen};

pub(crate) async fn a_short_cut_heals_by_itself() {
    let net = Net::new(2);
    net.set(Quality::delay(10));
    let places = (net.place(0, "Desk").model("chain"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    net.link(0, 1).cut();
    tokio::time::sleep(Duration::from_secs(5)).await;
    net.link(0, 1).mend();
    // The devices may or may not have lost each other; either way they end together, and it works.
    desk.until("an answer", async |_| {
        online(&lap, &desk).await;
        online(&desk, &lap).await;
        let answer = crate::harness::cli_json(&lap.place, ["chat", "Hello", "--via", "Desk"]).await;
        (answer.code == 0).then_some(())
    })
    .await;
}

pub(crate) async fn an_answer_streams_over_a_bad_link() {
    let net = Net::new(2);
    let places = (net.place(0, "Desk").model("chain"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    let bad = Quality { jitter: Duration::from_millis(10), loss: 0.05, rate: Some(2e6), ..Quality::delay(50) };
    net.link(0, 1).set(bad);
    let mut diary = Diary::open(&lap).await;
    for _ in 0..10 {
        assert_eq!(answered(&lap, question("Desk", "chain")).await, SENTENCE);
    }
    let lost = diary
        .so_far()
        .await
        .into_iter()
        .find(|event| matches!(event, myownmesh_control::types::Event::Device { state: Away, .. }));
    assert_eq!(lost, None, "the link held");
    // What is shown may lag a quarter behind; see what is noise to people.
    lap.until("the round trip of the link", async |_| seen(&lap, &desk).await.rtt_ms.filter(|rtt| *rtt > 75.0)).await;
}
