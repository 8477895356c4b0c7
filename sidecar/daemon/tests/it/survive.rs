//! Answers that outlive the device, the engine or the daemon that gives them.
//!
//! The models count from one to ten again and again, so that every lost, doubled or wrong word shows: `endless` in
//! llama-server, as fast as it can, and `count` in a stand-in that takes its time.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client::ControlClient;
use myownmesh_control::types::{AnswerEvent, AnswerItem, ChatRequest, Seam, WaitState};
use rustix::process::Signal;
use serde_json::json;

use crate::harness::story::{self, first_words, offers, question};
use crate::harness::{COUNT, Daemon, Mock, Place, Stream, cli_json, follow, process, web};

/// How long an answer of these tests is, in words.
const WORDS: u32 = 600;
/// The promise is five seconds until a device counts as gone, and two until the next word; the rest is for a machine
/// that runs other tests as well.
const NEXT_WORD: Duration = Duration::from_secs(12);

/// The text of so many words.
fn counted(words: u32) -> String {
    COUNT.iter().copied().cycle().take(usize::try_from(words).expect("few")).collect()
}

/// A question whose answer has so many words.
fn long(via: &str, model: &str, words: u32) -> ChatRequest {
    ChatRequest { max_tokens: Some(words), ..question(via, model) }
}

/// A device with a slow engine.
async fn slow(name: &str) -> Daemon {
    let engine = Mock::counting().await;
    Place::new(name).with(["--engine", &engine.url]).start().await
}

/// Brings two devices that have `model` and one that asks into one network.
async fn trio(desk: Daemon, attic: Daemon, model: &str) -> [Daemon; 3] {
    let lap = Place::new("Lap").start().await;
    story::pair(&desk, &attic).await;
    story::admit(&desk, &lap).await;
    story::online(&lap, &attic).await;
    offers(&lap, &desk, model).await;
    offers(&lap, &attic, model).await;
    [desk, attic, lap]
}

/// What came of an answer.
#[derive(Default)]
struct Told {
    device: String,
    text: String,
    seams: Vec<Seam>,
    waits: Vec<WaitState>,
    /// From the fault to the first word after it.
    next_word: Option<Duration>,
}

/// Follows an answer to its end; causes the `fault` when `after` words are there.
async fn through(daemon: &Daemon, request: ChatRequest, after: usize, mut fault: impl FnMut(&str)) -> Told {
    let words = request.max_tokens;
    let id = daemon.control.chat_start(request).await.expect("it can be asked");
    let items = daemon.control.answer_events(id, 0).await.expect("the answer can be followed");
    let (mut told, mut at) = (Told::default(), None::<Instant>);
    follow(items, |item: AnswerItem| {
        match item.event {
            AnswerEvent::Route { device_id, .. } => told.device = device_id,
            AnswerEvent::Delta { text } => {
                told.text.push_str(&text);
                if !told.seams.is_empty() && told.next_word.is_none() {
                    told.next_word = at.map(|at| at.elapsed());
                }
                if at.is_none() && told.text.split_whitespace().count() >= after {
                    at = Some(Instant::now());
                    fault(&told.device);
                }
            }
            AnswerEvent::Seam { seam } => {
                assert_eq!(usize::try_from(seam.at), Ok(told.text.len()), "the seam is where the text is");
                told.seams.push(seam);
            }
            AnswerEvent::Waiting { state, .. } => told.waits.push(state),
            AnswerEvent::Done { text, tokens, .. } => {
                assert!(text == told.text, "the end repeats what came");
                assert_eq!(Some(tokens), words);
                return ControlFlow::Break(());
            }
            AnswerEvent::Error { message, .. } => panic!("it ended early: {message}; {:?}", told.seams),
            AnswerEvent::Thinking { .. } => {}
        }
        ControlFlow::Continue(())
    })
    .await;
    told
}

/// Where in an answer the fault comes, in words.
const STAGES: [usize; 3] = [1, WORDS as usize / 2, WORDS as usize - 50];

#[tokio::test]
async fn another_device_goes_on_when_one_is_killed() {
    for stage in STAGES {
        let [desk, attic, lap] = trio(slow("Desk").await, slow("Attic").await, "count").await;
        let hosts = [desk, attic];
        let told = through(&lap, long("auto", "count", WORDS), stage, |device| {
            let host = hosts.iter().find(|host| host.id() == device).expect("one of them answers");
            process::signal(host.pid(), Signal::KILL);
        })
        .await;
        eprintln!("killed after {stage} words: the next word came after {:?}; {:?}", told.next_word, told.seams);
        assert!(told.text == counted(WORDS), "words are missing or doubled");
        assert_eq!(told.seams.len(), 1, "{:?}", told.seams);
        assert_ne!(told.seams[0].device_id, told.device);
        assert!(told.next_word.is_some_and(|took| took < NEXT_WORD), "{:?}", told.next_word);
        for host in hosts {
            host.kill().await;
        }
    }
}

#[tokio::test]
async fn another_device_goes_on_when_one_stands_still() {
    let [desk, attic, lap] = trio(slow("Desk").await, slow("Attic").await, "count").await;
    let hosts = [&desk, &attic];
    let told = through(&lap, long("auto", "count", WORDS), STAGES[1], |device| {
        let host = hosts.iter().find(|host| host.id() == device).expect("one of them answers");
        process::signal(host.pid(), Signal::STOP);
    })
    .await;
    eprintln!("stopped: the next word came after {:?}; waits {:?}", told.next_word, told.waits);
    hosts.iter().for_each(|host| process::signal(host.pid(), Signal::CONT));
    assert!(told.text == counted(WORDS), "words are missing or doubled");
    assert_eq!(told.seams.len(), 1, "{:?}", told.seams);
    assert!(told.next_word.is_some_and(|took| took < NEXT_WORD), "{:?}", told.next_word);
}

/// As many words as llama-server needs to be caught in the middle.
const MANY: u32 = 6000;

#[tokio::test]
async fn another_device_goes_on_when_an_engine_is_killed() {
    let (desk, attic) = (Place::new("Desk").model("endless"), Place::new("Attic").model("endless"));
    let [desk, attic, lap] = trio(desk.start().await, attic.start().await, "endless").await;
    let hosts = [&desk, &attic];
    // Both have it loaded, so that what is measured is the change and not the loading.
    for host in hosts {
        let id = first_words(host, question("local", "endless")).await;
        host.control.answer_stop(id).await.expect("it can be stopped");
    }
    let told = through(&lap, long("auto", "endless", MANY), 1, |device| {
        let host = hosts.iter().find(|host| host.id() == device).expect("one of them answers");
        process::engines(host.pid()).iter().for_each(|engine| process::signal(engine.pid, Signal::KILL));
    })
    .await;
    eprintln!("engine killed: the next word came after {:?}; {:?}", told.next_word, told.seams);
    assert!(told.text == counted(MANY), "words are missing or doubled");
    assert_eq!(told.seams.len(), 1, "{:?}", told.seams);
    assert_ne!(told.seams[0].device_id, told.device);
    assert!(told.next_word.is_some_and(|took| took < NEXT_WORD), "{:?}", told.next_word);
}

/// Nobody else has the model: the engine is started again, and the same device goes on.
#[tokio::test]
async fn an_engine_that_is_killed_goes_on_where_it_was() {
    let (desk, lap) = (Place::new("Desk").model("endless").start().await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "endless").await;
    for (daemon, via) in [(&desk, "local"), (&lap, "Desk")] {
        let told = through(daemon, long(via, "endless", MANY), 1, |_| {
            process::engines(desk.pid()).iter().for_each(|engine| process::signal(engine.pid, Signal::KILL));
        })
        .await;
        eprintln!("{via}: the next word came after {:?}; {:?}", told.next_word, told.seams);
        assert!(told.text == counted(MANY), "words are missing or doubled");
        assert_eq!(told.seams.len(), 1, "{:?}", told.seams);
        assert_eq!(told.seams[0].device_id, desk.id());
    }
}

/// Programs that know nothing of seams just see the text go on.
#[tokio::test]
async fn programs_see_the_text_go_on() {
    let desk = Place::new("Desk").model("endless").start().await;
    let body = json!({"model": "endless", "stream": true, "max_tokens": MANY,
        "messages": [{"role": "user", "content": "Count"}]});
    let url = format!("{}/chat/completions", desk.api());
    let mut stream = Stream::new(web().post(url).json(&body).send().await.expect("an answer"));
    let opening = stream.next().await.expect("it streams");
    assert!(opening.contains("\"role\":\"assistant\""), "{opening}");
    process::engines(desk.pid()).iter().for_each(|engine| process::signal(engine.pid, Signal::KILL));
    let mut openings = 0;
    let mut text = String::new();
    while let Some(data) = stream.next().await.filter(|data| data != "[DONE]") {
        let event: serde_json::Value = serde_json::from_str(&data).expect("an event is JSON");
        let delta = &event["choices"][0]["delta"];
        openings += u32::from(delta["role"].is_string());
        text += delta["content"].as_str().unwrap_or_default();
    }
    assert!(text == counted(MANY), "words are missing or doubled");
    assert_eq!(openings, 0, "an answer is opened once");
}

/// A lender that was restarted has forgotten the answer, and goes on with it all the same.
#[tokio::test]
async fn a_lender_that_comes_back_goes_on() {
    let (desk, lap) = (slow("Desk").await, Place::new("Lap").start().await);
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, "count").await;
    let place = desk.place.clone();
    let answer = first_words(&lap, long("Desk", "count", WORDS)).await;
    desk.kill().await;
    let items = lap.control.answer_events(answer.clone(), 0).await.expect("it can be followed");
    follow(items, |item: AnswerItem| match item.event {
        AnswerEvent::Waiting { state: WaitState::Reconnecting, .. } => ControlFlow::Break(()),
        AnswerEvent::Error { message, .. } => panic!("it ended early: {message}"),
        _ => ControlFlow::Continue(()),
    })
    .await;
    let desk = place.start().await;
    let items = lap.control.answer_events(answer, 0).await.expect("it can be followed");
    let (text, seams) = follow(items, {
        let mut seams = 0;
        move |item: AnswerItem| match item.event {
            AnswerEvent::Done { text, .. } => ControlFlow::Break((text, seams)),
            AnswerEvent::Error { message, .. } => panic!("it ended early: {message}"),
            AnswerEvent::Seam { seam } => {
                assert_eq!(seam.device_name, "Desk");
                seams += 1;
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    })
    .await;
    assert!(text == counted(WORDS), "words are missing or doubled");
    assert_eq!(seams, 1);
    drop(desk);
}

/// What a crash left of an answer is gone on with, in the same message.
#[tokio::test]
async fn an_answer_that_a_crash_interrupted_can_be_continued() {
    let desk = slow("Desk").await;
    let place = desk.place.clone();
    let talk = desk.control.conversation_create().await.expect("it can be made").id;
    let asked = ChatRequest { conversation: Some(talk.clone()), ..long("local", "count", WORDS) };
    first_words(&desk, asked).await;
    let kept = async |control: &ControlClient| {
        let open = control.conversation_open(talk.clone()).await.expect("it can be opened");
        open.messages.into_iter().next_back().filter(|message| !message.text.is_empty())
    };
    desk.until("a part of it being kept", kept).await;
    desk.kill().await;

    let desk = place.start().await;
    let before = kept(&desk.control).await.expect("it is kept");
    let words = u32::try_from(before.text.split_whitespace().count()).expect("few");
    assert!(before.text == counted(words) && words < WORDS, "{words} words");
    assert_eq!(before.answer.as_ref().map(|answer| answer.finish_reason.as_str()), Some("interrupted"));
    let model = ["--via=local", "--model=count", "--max-tokens=50"];
    let told = cli_json(&place, ["chat", "--conversation", &talk, "--continue", model[0], model[1], model[2]]).await;
    assert_eq!(told.code, 0, "{told:?}");

    let after = kept(&desk.control).await.expect("it is kept");
    assert_eq!(after.id, before.id, "it is the same message");
    assert!(after.text == counted(words + 50), "words are missing or doubled");
    let answer = after.answer.expect("it was answered");
    assert_eq!(answer.finish_reason, "length");
    let seams: Vec<_> = answer.seams.iter().map(|seam| seam.at).collect();
    assert_eq!(seams, [u32::try_from(before.text.len()).expect("short")]);
}
