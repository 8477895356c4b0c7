//! Answers that are read on after the link was cut, with not a word lost or doubled.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::lending::LendingApiClient;
use myownmesh_control::types::{AnswerEvent, AnswerItem, ChatRequest, LendingRules};

use crate::harness::story::{self, offers, question};
use crate::harness::{Daemon, follow};
use crate::net::{Net, Quality};
use crate::roles::{Player, engine_url, word};

/// The promise is a second; the rest is for a machine that does other things as well.
const RESUMED: Duration = Duration::from_secs(4);

/// Two devices over a link, the first of which has a slow engine.
async fn pair(net: &Net) -> (Player, Daemon, Daemon) {
    net.set(Quality::delay(10));
    let engine = Player::engine(net, 0).await;
    let places = (net.place(0, "Desk").with(["--engine", &engine_url()]), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "talk").await;
    (engine, desk, lap)
}

fn expected(words: u32) -> String {
    (0..u64::from(words)).map(word).collect()
}

fn long(words: u32) -> ChatRequest {
    ChatRequest { max_tokens: Some(words), ..question("Desk", "talk") }
}

pub(crate) async fn an_answer_is_read_on_after_a_cut() {
    let net = Net::new(2);
    let (_engine, _desk, lap) = pair(&net).await;
    for seconds in [2, 5, 30] {
        // Longer than the cut, so that it is in the middle.
        let words = 50 * (seconds + 4);
        let id = lap.control.chat_start(long(words)).await.expect("it can be asked");
        let mut items = lap.control.answer_events(id.clone(), 0).await.expect("it can be followed");
        let mut text = String::new();
        while text.len() < 100 {
            let item = items.next().await.expect("it goes on").expect("an item");
            if let AnswerEvent::Delta { text: more } = item.event {
                text.push_str(&more);
            }
        }
        net.link(0, 1).cut();
        tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
        // What was on its way when it was cut has come; from here on nothing does.
        while let Ok(item) = tokio::time::timeout(Duration::ZERO, items.next()).await {
            match item.expect("it goes on").expect("an item").event {
                AnswerEvent::Delta { text: more } => text.push_str(&more),
                AnswerEvent::Error { message, .. } => panic!("it ended early: {message}"),
                _ => {}
            }
        }
        net.link(0, 1).mend();
        let mended = Instant::now();
        let mut resumed = None;
        let whole = follow(items, |item: AnswerItem| match item.event {
            AnswerEvent::Delta { text: more } => {
                resumed.get_or_insert(mended.elapsed());
                text.push_str(&more);
                ControlFlow::Continue(())
            }
            AnswerEvent::Done { text, .. } => ControlFlow::Break(text),
            AnswerEvent::Error { message, .. } => panic!("it ended early: {message}"),
            AnswerEvent::Seam { seam } => panic!("nobody else has it: {seam:?}"),
            _ => ControlFlow::Continue(()),
        })
        .await;
        println!("cut for {seconds} s: read on {resumed:?} after the link was back");
        assert!(whole == expected(words) && whole == text, "words are missing or doubled");
        assert!(resumed.is_some_and(|took| took < RESUMED), "read on after {resumed:?}");
    }
}

pub(crate) async fn a_hundred_answers_live_through_a_flap() {
    const WORDS: u32 = 400;
    let net = Net::new(2);
    let (_engine, desk, lap) = pair(&net).await;
    let rules = LendingRules { concurrent: Some(100), ..LendingRules::default() };
    desk.control.lend_set(rules).await.expect("all at once");
    let answer = async || {
        let id = lap.control.chat_start(long(WORDS)).await.expect("it can be asked");
        let items = lap.control.answer_events(id, 0).await.expect("it can be followed");
        follow(items, |item: AnswerItem| match item.event {
            AnswerEvent::Done { text, .. } => ControlFlow::Break(text),
            AnswerEvent::Error { message, .. } => panic!("it ended early: {message}"),
            AnswerEvent::Seam { seam } => panic!("nobody else has it: {seam:?}"),
            _ => ControlFlow::Continue(()),
        })
        .await
    };
    let flap = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        net.link(0, 1).cut();
        tokio::time::sleep(Duration::from_secs(3)).await;
        net.link(0, 1).mend();
    };
    let (texts, ()) = tokio::join!(join_all((0..100).map(|_| answer())), flap);
    let expected = expected(WORDS);
    let whole = texts.iter().filter(|text| **text == expected).count();
    assert_eq!(whole, 100, "words are missing or doubled");
}
