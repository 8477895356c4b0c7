//! How long a person waits for the first word from another device, by the link between them: `npm run bench -- links`.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::AnswerEvent;

use crate::harness::story::{self, offers, question};
use crate::harness::{Daemon, follow};
use crate::net::{Net, Quality};

/// Questions over each link.
const QUESTIONS: usize = 40;

/// Prints the table.
pub(crate) async fn run() {
    println!("The first word of the app's own chat, by the link\n");
    let net = Net::new(2);
    let places = (net.place(0, "Desk").model("chain"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "chain").await;
    println!("| link | first word p50 | p95 | whole answer p50 | p95 |");
    println!("|---|---|---|---|---|");
    let bad = Quality { loss: 0.05, jitter: Duration::from_millis(10), ..Quality::delay(20) };
    let links = [
        ("no delay", Quality::delay(0)),
        ("20 ms each way", Quality::delay(20)),
        ("100 ms each way", Quality::delay(100)),
        ("20 ms each way, up to 10 ms more, 5 % lost", bad),
    ];
    for (name, quality) in links {
        net.set(quality);
        // The first one lets congestion control and the round trip settle.
        ask(&lap).await;
        let (mut first, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..QUESTIONS {
            let (word, end) = ask(&lap).await;
            first.push(word);
            whole.push(end);
        }
        let figures = [percentile(&mut first, 50), percentile(&mut first, 95), percentile(&mut whole, 50)];
        let figures = figures.map(|time| format!("{:.1} ms", time.as_secs_f64() * 1e3)).join(" | ");
        println!("| {name} | {figures} | {:.1} ms |", percentile(&mut whole, 95).as_secs_f64() * 1e3);
    }
}

/// From the question to the first word, and to the end.
async fn ask(daemon: &Daemon) -> (Duration, Duration) {
    let asked = Instant::now();
    let answer = daemon.control.chat_start(question("Desk", "chain")).await.expect("it can be asked");
    let items = daemon.control.answer_events(answer, 0).await.expect("the answer can be followed");
    let mut first = None;
    follow(items, |item| match item.event {
        AnswerEvent::Delta { .. } => {
            first.get_or_insert_with(|| asked.elapsed());
            ControlFlow::Continue(())
        }
        AnswerEvent::Done { .. } => ControlFlow::Break(()),
        AnswerEvent::Error { message, .. } => panic!("no answer: {message}"),
        _ => ControlFlow::Continue(()),
    })
    .await;
    (first.expect("there were words"), asked.elapsed())
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}
