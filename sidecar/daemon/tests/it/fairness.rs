//! Load: four members, 64 requests, one of them greedy, at one device that does two at once. Its engine is a stand-in that
//! keeps its pace whatever else the machine does, so that shares can be compared to the tenth.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::unfold;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::lending::LendingApiClient;
use myownmesh_control::types::{EngineSpec, LendingRules};
use serde_json::{Value, json};

use crate::harness::shared::family;
use crate::harness::story::{offers, question, read_on};
use crate::harness::{Daemon, Stream, process, web};

/// Requests of each member; the first one is greedy.
const REQUESTS: [usize; 4] = [28, 12, 12, 12];
/// How far a share may be from the fair one.
const WITHIN: f64 = 0.1;
/// What memory may grow by from one round to the next, in kilobytes: allocators keep some.
const GROWTH_KB: usize = 6 * 1024;

/// Tokens of an answer, and the time between two.
const TOKENS: u64 = 50;
const PACE: Duration = Duration::from_millis(4);

/// An engine whose one model, `metronome`, says as many words as it is asked for, one every [`PACE`].
async fn metronome() -> String {
    let models = get(async || Json(json!({"object": "list", "data": [{"id": "metronome", "object": "model"}]})));
    let app = Router::new().route("/v1/models", models).route("/v1/chat/completions", post(tick));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // It ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn tick(Json(body): Json<Value>) -> Response {
    let most = body["max_tokens"].as_u64().unwrap_or(u64::MAX);
    let events = unfold((0, tokio::time::interval(PACE)), move |(said, mut clock)| async move {
        if said > most {
            return None;
        }
        clock.tick().await;
        let text = if said == most {
            let end =
                json!({"choices": [{"delta": {}, "finish_reason": "length"}], "usage": {"completion_tokens": said}});
            format!("data: {end}\n\ndata: [DONE]\n\n")
        } else {
            format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "tick "}}]}))
        };
        Some((Ok::<_, Infallible>(text), (said + 1, clock)))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

/// When an answer was given.
#[derive(Clone, Copy, Debug)]
struct Served {
    member: usize,
    from: Instant,
    to: Instant,
}

/// One request, from its first word to its last.
async fn served(api: String, member: usize) -> Served {
    let body = json!({
        "model": "Desk/metronome", "max_tokens": TOKENS, "stream": true,
        "messages": [{"role": "user", "content": "Hello"}],
    });
    let answer = web().post(format!("{api}/chat/completions")).json(&body).send().await.expect("it is answered");
    let mut stream = Stream::new(answer);
    stream.next().await.expect("a first word");
    let from = Instant::now();
    stream.text().await;
    Served { member, from, to: Instant::now() }
}

/// All 64 wait while the owner uses both places; then they are served, the owner once more among them.
async fn round(desk: &Daemon, members: &[Daemon]) -> Vec<Served> {
    let own =
        [read_on(desk, question("local", "metronome")).await, read_on(desk, question("local", "metronome")).await];
    let mut requests = tokio::task::JoinSet::new();
    for (member, count) in REQUESTS.into_iter().enumerate() {
        for _ in 0..count {
            requests.spawn(served(members[member].api().to_owned(), member));
        }
        let entered: usize = REQUESTS[..=member].iter().sum();
        desk.until("all that wait", async |control| {
            let lending = control.lend_show().await.expect("shown");
            assert!(lending.running.is_empty(), "somebody is served before the owner");
            (lending.waiting.len() == entered).then_some(())
        })
        .await;
    }
    let began = Instant::now();
    for answer in own {
        desk.control.answer_stop(answer).await.expect("it can be stopped");
    }
    desk.until("some being served", async |control| {
        let lending = control.lend_show().await.expect("shown");
        (lending.running.len() == 2 && lending.waiting.len() < 60).then_some(())
    })
    .await;
    let asked = Instant::now();
    let own = read_on(desk, question("local", "metronome")).await;
    let waited = asked.elapsed();
    let waiting = desk.control.lend_show().await.expect("shown").waiting.len();
    assert!(waiting > 30, "the owner was served with {waiting} waiting");
    desk.control.answer_stop(own).await.expect("it can be stopped");
    let mut all = Vec::new();
    while let Some(served) = requests.join_next().await {
        all.push(served.expect("nothing is lost"));
    }
    println!("64 requests in {:.1} s; the owner's first word after {waited:?}", began.elapsed().as_secs_f64());
    all
}

/// Seconds that each member was served, as long as all of them wanted more.
fn shares(all: &[Served]) -> [f64; 4] {
    let last = |member| all.iter().filter(|served| served.member == member).map(|served| served.from).max();
    let end = (0..REQUESTS.len()).filter_map(last).min().expect("some");
    let mut shares = [0.0; 4];
    for served in all {
        let time = served.to.min(end).saturating_duration_since(served.from);
        shares[served.member] += time.as_secs_f64();
    }
    shares
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greedy_member_gets_its_share_and_no_more() {
    let mut members = family(["Desk", "Lap", "Pad", "Box", "Tab"]).await;
    let desk = members.remove(0);
    let spec = EngineSpec { url: metronome().await, kind: None, key: None };
    desk.control.engine_add(spec).await.expect("it answers");
    desk.control.lend_set(LendingRules { concurrent: Some(2), ..LendingRules::default() }).await.expect("set");
    for member in &members {
        offers(member, &desk, "metronome").await;
    }
    // Summed up over the rounds: what is under way at the end of each belongs to nobody yet.
    let (mut memory, mut sums) = (Vec::new(), [0.0; 4]);
    for _ in 0..3 {
        let all = round(&desk, &members).await;
        assert_eq!(all.len(), REQUESTS.iter().sum::<usize>(), "nothing is lost");
        let shares = shares(&all);
        println!("shares of service: {shares:.2?} s");
        for (sum, share) in sums.iter_mut().zip(shares) {
            *sum += share;
        }
        desk.until("nobody left", async |control| {
            let lending = control.lend_show().await.expect("shown");
            (lending.running.is_empty() && lending.waiting.is_empty()).then_some(())
        })
        .await;
        memory.push(process::held(desk.pid()).memory_kb);
    }
    let fair = sums.iter().sum::<f64>() / 4.0;
    println!("shares of service in all: {sums:.2?} s, fair {fair:.2} s");
    for share in sums {
        assert!((share - fair).abs() <= fair * WITHIN, "{sums:?} are not within a tenth of {fair}");
    }
    println!("memory of the host after each round: {memory:?} kB");
    assert!(memory[2] <= memory[1] + GROWTH_KB, "memory grows: {memory:?} kB");
    let usage = desk.control.usage(None).await.expect("read");
    assert_eq!((usage.lent.requests, usage.lent.tokens), (3 * 64, 3 * 64 * TOKENS), "every one is in the ledger");
}
