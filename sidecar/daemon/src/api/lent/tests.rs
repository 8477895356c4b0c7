//! What an answer promises to its asker, and refuses everybody else.

use axum::body::BodyDataStream;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{once, pending, unfold};
use http::HeaderValue;
use myownmesh_mesh::{DeviceName, Role};
use tokio_util::sync::CancellationToken;

use super::work::Step;
use super::*;
use crate::api::side::Side;

const ID: &str = "0123456789abcdef";

fn asker(device: u8, network: u8) -> Asker {
    Asker {
        device_id: DeviceId::of_secret(&[device; 32]),
        name: DeviceName::parse("Lap").expect("a name"),
        role: Role::Member,
        network: NetworkId::from_bytes([network; 32]),
    }
}

fn headers(last: &str) -> HeaderMap {
    [(LAST_EVENT, HeaderValue::from_str(last).expect("a value"))].into_iter().collect()
}

/// An answer whose work is a test's: steps go in, and it tells when the work was dropped.
struct Answer {
    lent: Lent,
    steps: mpsc::Sender<Step>,
    ended: CancellationToken,
    loss: LinkLoss,
    body: BodyDataStream,
}

impl Answer {
    async fn begin() -> Self {
        let (lent, loss, ended) = (Lent::default(), LinkLoss::default(), CancellationToken::new());
        let (steps, told) = mpsc::channel(16);
        let dropped = ended.clone().drop_guard();
        let work = unfold((told, dropped), |(mut told, dropped)| async move {
            let step = told.recv().await?;
            Some((step, (told, dropped)))
        });
        steps.send(event("one")).await.expect("taken");
        let asker = asker(1, 1);
        let begun = lent.answer(&asker, ID, loss.clone(), || Ok(work.boxed()));
        let response = begun.await.expect("it begins");
        assert_eq!(response.headers()[ANSWER], ID);
        let body = response.into_body().into_data_stream();
        Self { lent: lent.clone(), steps, ended, loss, body }
    }

    async fn resume(&self, asker: &Asker, last: &str) -> Result<BodyDataStream, ApiError> {
        let response = self.lent.resume(asker, ID, &headers(last), LinkLoss::default()).await?;
        Ok(response.into_body().into_data_stream())
    }
}

fn event(text: &str) -> Step {
    Step::Events(Bytes::from(format!("data: {text}\n\n")))
}

async fn next(body: &mut BodyDataStream) -> String {
    loop {
        let piece = body.next().await.expect("it goes on").expect("a piece");
        if !piece.starts_with(b":") {
            return String::from_utf8(piece.to_vec()).expect("text");
        }
    }
}

/// What a question whose work tells these steps, each so long after the one before, is answered with, and after what time.
async fn answered(steps: Vec<(Duration, Step)>) -> (Result<Response<Body>, ApiError>, Duration) {
    let work = unfold(steps.into_iter(), |mut steps| async move {
        let (after, step) = steps.next()?;
        tokio::time::sleep(after).await;
        Some((step, steps))
    });
    let asked = tokio::time::Instant::now();
    let answer = Lent::default().answer(&asker(1, 1), ID, LinkLoss::default(), || Ok(work.boxed())).await;
    (answer, asked.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_beginning_does_not_wait_for_a_late_first_word() {
    let late = Duration::from_millis(300);
    let (answer, took) = answered(vec![(Duration::ZERO, Step::Begins), (late, event("one"))]).await;
    assert_eq!(took, SOON);
    let mut body = answer.expect("a stream").into_body().into_data_stream();
    assert_eq!(next(&mut body).await, "id: 1\ndata: one\n\n");
    assert!(body.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_fails_soon_is_a_refusal_and_what_fails_later_is_told_in_the_stream() {
    let failed = || Step::Failed(ApiError::broke_off());
    for (after, refused) in [(SOON / 2, true), (SOON * 2, false)] {
        let (answer, _) = answered(vec![(Duration::ZERO, Step::Begins), (after, failed())]).await;
        match answer {
            Err(error) => assert!(refused && error == ApiError::broke_off(), "{error}"),
            Ok(stream) => {
                let told = next(&mut stream.into_body().into_data_stream()).await;
                assert!(!refused && told.contains("broke off"), "{told}");
            }
        }
    }
}

/// Does something while the connection of a reader goes on, as it does; nothing is told on it but its end.
async fn beside<T>(body: &mut BodyDataStream, something: impl Future<Output = T>) -> T {
    let mut something = std::pin::pin!(something);
    tokio::select! {
        biased;
        done = &mut something => return done,
        told = body.next() => assert!(told.is_none(), "its reader was told {told:?}"),
    }
    something.await
}

#[tokio::test]
async fn a_reader_that_was_lost_misses_nothing() {
    let mut answer = Answer::begin().await;
    assert_eq!(next(&mut answer.body).await, "id: 1\ndata: one\n\n");
    answer.steps.send(event("two")).await.expect("taken");
    assert_eq!(next(&mut answer.body).await, "id: 2\ndata: two\n\n");
    answer.loss.note();
    answer.body = Body::empty().into_data_stream();
    answer.steps.send(Step::Events(Bytes::from("data: three\n\ndata: four\n\n"))).await.expect("it goes on alone");
    // The second one was on its way when the link was lost.
    let mut again = answer.resume(&asker(1, 1), "1").await.expect("it waits");
    for (number, text) in [(2, "two"), (3, "three"), (4, "four")] {
        assert_eq!(next(&mut again).await, format!("id: {number}\ndata: {text}\n\n"));
    }
    // Whoever comes next takes the place of the one before.
    let mut third = beside(&mut again, answer.resume(&asker(1, 1), "3")).await.expect("it runs");
    assert_eq!(next(&mut third).await, "id: 4\ndata: four\n\n");
    assert!(again.next().await.is_none(), "the one before gets no more");
    drop(again);
    assert!(!answer.ended.is_cancelled());
    drop(third);
    answer.ended.cancelled().await;
}

#[tokio::test]
async fn nobody_reads_the_answer_of_another() {
    let mut answer = Answer::begin().await;
    next(&mut answer.body).await;
    for stranger in [asker(2, 1), asker(1, 2)] {
        let refused = answer.resume(&stranger, "0").await.expect_err("it is not theirs");
        assert_eq!(refused.status(), http::StatusCode::NOT_FOUND);
        let own =
            answer.lent.answer(&stranger, ID, LinkLoss::default(), || Ok(once(async { event("own") }).boxed())).await;
        assert_eq!(next(&mut own.expect("a new one").into_body().into_data_stream()).await, "id: 1\ndata: own\n\n");
    }
    answer.steps.send(event("two")).await.expect("taken");
    assert_eq!(next(&mut answer.body).await, "id: 2\ndata: two\n\n", "its reader was not disturbed");
}

#[tokio::test]
async fn numbers_that_never_were_lead_nowhere() {
    let mut answer = Answer::begin().await;
    next(&mut answer.body).await;
    for (last, status) in
        [("2", 404), ("18446744073709551615", 404), ("18446744073709551616", 400), ("-1", 400), ("x", 400)]
    {
        let (lap, headers) = (asker(1, 1), headers(last));
        let resumed = answer.lent.resume(&lap, ID, &headers, LinkLoss::default());
        let refused = beside(&mut answer.body, resumed).await.expect_err("nothing is there");
        assert_eq!(refused.status().as_u16(), status, "{last}");
    }
    for id in ["", "short", "../../../../../etc/passwd", &"x".repeat(65)] {
        let refused = answer.lent.resume(&asker(1, 1), id, &HeaderMap::new(), LinkLoss::default()).await;
        assert_eq!(refused.expect_err("no id").status().as_u16(), 400, "{id}");
    }
    answer.steps.send(event("two")).await.expect("taken");
    assert_eq!(next(&mut answer.body).await, "id: 2\ndata: two\n\n", "its reader was not disturbed");
}

#[tokio::test]
async fn a_reader_that_wants_no_more_ends_the_work() {
    let mut answer = Answer::begin().await;
    next(&mut answer.body).await;
    drop(answer.body);
    answer.ended.cancelled().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_never_comes_back_is_waited_for_so_long() {
    let mut answer = Answer::begin().await;
    next(&mut answer.body).await;
    answer.loss.note();
    answer.body = Body::empty().into_data_stream();
    tokio::time::sleep(PATIENCE / 2).await;
    assert!(!answer.ended.is_cancelled());
    tokio::time::timeout(PATIENCE, answer.ended.cancelled()).await.expect("it ends");
    let refused = answer.resume(&asker(1, 1), "1").await.expect_err("it is gone");
    assert_eq!(refused.status(), http::StatusCode::NOT_FOUND);
}

/// A member that asks much and goes away makes this device hold only so much.
#[tokio::test]
async fn without_a_reader_the_engine_waits_when_the_log_is_full() {
    let mut answer = Answer::begin().await;
    next(&mut answer.body).await;
    answer.loss.note();
    answer.body = Body::empty().into_data_stream();
    let much = "x".repeat(64 * 1024);
    let mut taken = 0;
    while tokio::time::timeout(Duration::from_millis(300), answer.steps.send(event(&much))).await.is_ok() {
        taken += much.len();
        assert!(taken < 2 * (KEEP + AWAY), "it takes whatever comes");
    }
    assert!(taken > KEEP, "{taken} bytes are little for a reader that comes back");
    let mut again = answer.resume(&asker(1, 1), "1").await.expect("it waits");
    let sending = answer.steps.send(event("last"));
    let reading = async { while !next(&mut again).await.ends_with("data: last\n\n") {} };
    let (sent, ()) = tokio::join!(sending, reading);
    sent.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_to_be_none() {
    let mut answer = Answer::begin().await;
    next(&mut answer.body).await;
    for _ in 0..3 {
        let piece = answer.body.next().await.expect("it goes on").expect("a piece");
        assert_eq!(Side::read(&piece), Some(Side::Heartbeat));
    }
}

#[tokio::test]
async fn answers_that_were_heard_make_room_and_those_that_run_do_not() {
    let (lent, lap) = (Lent::default(), asker(1, 1));
    let begin = async |number: usize, ends: bool| {
        let end = once(async { event("[DONE]") });
        let work = move || Ok(if ends { end.boxed() } else { end.chain(pending()).boxed() });
        lent.answer(&lap, &format!("{number:016}"), LinkLoss::default(), work).await
    };
    // Many more than are kept, one after another: each is heard to its end.
    for number in 0..MOST + 100 {
        let response = begin(number, true).await.expect("there is room");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        assert!(body.ends_with(b"data: [DONE]\n\n"), "{number}");
    }
    let mut running = Vec::new();
    for number in 0..MOST {
        running.push(begin(MOST + 100 + number, false).await.expect("what was heard makes room"));
    }
    let refused = begin(2 * MOST + 200, false).await.expect_err("none of those that run does");
    assert!(refused.to_string().contains("too many answers"), "{refused}");
    let first = lent.resume(&lap, &format!("{:016}", 0), &headers("0"), LinkLoss::default()).await;
    assert!(first.is_err(), "the oldest has made room");
    drop(running);
}
