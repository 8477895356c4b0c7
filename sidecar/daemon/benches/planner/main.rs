//! What the planner predicted of answers, beside what they took.
//!
//! `npm run bench -- planner` runs it. Two real daemons on loopback: *desk* lends a small and a medium model in real
//! llama-servers, *laptop* borrows them and begins without having learned anything. Questions and answers have lengths from short to
//! long in an order that looks random and is always the same; each begins with other words, so that no engine knows it
//! already. Every answer tells what was predicted before it was asked; the error is how far off that was, as a share of what it took.

#[path = "../parts/daemon.rs"]
mod daemon;
#[path = "../parts/engine.rs"]
mod engine;
#[path = "../parts/machine.rs"]
mod machine;
#[path = "../parts/stats.rs"]
mod stats;

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use daemon::Daemon;
use engine::{Engine, lend};
use serde_json::Value;
use stats::{median, percentile};

/// Questions to a model, and how many words the longest may have: a model that is as slow as those that people run gets fewer
/// and shorter ones, so that the run ends.
struct Run {
    questions: usize,
    words: usize,
}

const RUNS: [Run; 2] = [Run { questions: 60, words: 240 }, Run { questions: 25, words: 48 }];
/// Those of them that count as the beginning, while rates are learned.
const BEGINNING: usize = 5;

/// What was predicted of an answer, and what it took, in milliseconds.
#[derive(Clone, Copy)]
struct Answer {
    first: (f64, f64),
    total: (f64, f64),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // `cargo test --benches` asks for a list or a quick pass; a benchmark is neither.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return Ok(());
    }
    rustls::crypto::ring::default_provider().install_default().ok().context("install the TLS provider")?;
    let engines = [
        Engine::start("small", "../../models/demo/myownllm-demo.gguf", 65_536).await?,
        Engine::start("medium", "../../out/bench/medium.gguf", 65_536).await?,
    ];
    let (desk, mut laptop) = lend(&engines).await?;
    let lender = desk.ready["device_id"].as_str().context("the daemon has no id")?;
    println!("Machine: {}; llama-server with one thread\n", machine::describe());
    println!(
        "| model | answers | first word, median error | 90 % below | took (p50) | whole, median error | 90 % below |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (engine, run) in engines.iter().zip(&RUNS) {
        laptop.wait_for_model(engine.model).await?;
        let mut answers = Vec::new();
        for number in 0..run.questions {
            answers.push(ask(&laptop, lender, engine.model, number, run.words).await?);
        }
        let (beginning, rest) = answers.split_at(BEGINNING);
        row(engine.model, "the first", beginning);
        row(engine.model, "the rest", rest);
    }
    laptop.stop().await?;
    laptop.start_again().await?;
    for (engine, run) in engines.iter().zip(&RUNS) {
        laptop.wait_for_model(engine.model).await?;
        let mut answers = Vec::new();
        for number in run.questions..run.questions + BEGINNING {
            answers.push(ask(&laptop, lender, engine.model, number, run.words).await?);
        }
        row(engine.model, "after a restart, the first", &answers);
    }
    println!("\nCPU time of the asking daemon since its restart: {:.1} s", machine::cpu_seconds(laptop.pid));
    laptop.stop().await?;
    desk.stop().await
}

/// Asks a question whose length, and whose answer's, follow from its number.
async fn ask(laptop: &Daemon, lender: &str, model: &str, number: usize, words: usize) -> Result<Answer> {
    // A full period of 64: each length comes once in 64 questions.
    let place = (number * 29 + 11) % 64;
    let mut prompt = format!("Number {number}, {place} reasons.");
    for word in 0..place * words / 64 {
        write!(prompt, " word{}", (word * 7 + number * 13) % 97)?;
    }
    let tokens = (8 + (number * 37) % 48).to_string();
    let done = laptop.command(&["chat", &prompt, "--via", lender, "--model", model, "--max-tokens", &tokens]).await?;
    ensure!(done["type"] == "done", "no answer: {done}");
    let number = |name: &str| done[name].as_f64().with_context(|| format!("no {name}: {done}"));
    Ok(Answer {
        first: (predicted(&done, "predicted_first_token_ms")?, number("first_token_ms")?),
        total: (predicted(&done, "predicted_total_ms")?, number("total_ms")?),
    })
}

/// A model of unknown size has no prediction before its first answer: as if it took no time.
fn predicted(done: &Value, name: &str) -> Result<f64> {
    if done[name].is_null() { Ok(0.0) } else { done[name].as_f64().context("not a number") }
}

fn row(model: &str, which: &str, answers: &[Answer]) {
    let errors = |of: fn(&Answer) -> (f64, f64)| -> Vec<f64> {
        answers.iter().map(of).map(|(predicted, took)| (predicted - took).abs() / took * 100.0).collect()
    };
    let (first, total) = (errors(|answer| answer.first), errors(|answer| answer.total));
    let took: Vec<f64> = answers.iter().map(|answer| answer.first.1).collect();
    println!(
        "| `{model}` | {which} {} | {:.0} % | {:.0} % | {:.0} ms | {:.0} % | {:.0} % |",
        answers.len(),
        median(&first),
        percentile(&first, 0.9),
        median(&took),
        median(&total),
        percentile(&total, 0.9)
    );
}
