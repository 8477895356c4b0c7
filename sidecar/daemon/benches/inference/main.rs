//! What the mesh costs: the same llama-server asked directly, through this device's API, and through a peer's.
//!
//! `npm run bench -- inference` runs it, with `--model=small` for that model alone. Three llama-servers of its own, each with
//! one model, serve everyone; two real daemons on loopback share them: *desk* lends, *laptop* borrows. Requests to the three
//! paths alternate inside one run, so the machine's drift hits all alike, and what counts are the differences and ratios
//! between the paths.
//!
//! While words come the engines have a processor of their own, as those of people have a GPU, and client and both daemons share
//! the others; until the first word, where one waits for the other, all share all. With `--together` they always do, as on a
//! device that computes on its processor; with `--apart` never.

#[path = "../parts/cores.rs"]
mod cores;
#[path = "../parts/daemon.rs"]
mod daemon;
#[path = "../parts/engine.rs"]
mod engine;
#[path = "../parts/load.rs"]
mod load;
#[path = "../parts/machine.rs"]
mod machine;
#[path = "../parts/stats.rs"]
mod stats;

use std::time::Instant;

use anyhow::{Context, Result};
use cores::Cores;
use daemon::{Daemon, poll};
use engine::{Engine, lend};
use load::{Load, Target, first_token, stream_tokens};
use machine::cpu_seconds;
use stats::{median, percentile};

/// First-token samples per path.
const FIRST_TOKEN_SAMPLES: usize = 600;
/// How often a rate is measured per path (the median counts): for one stream, whose rate swings most, and for more at once;
/// and tokens of each stream, of which more streams share up to a quarter.
const RATES: Rates = Rates { rounds: 101, rounds_of_many: 41, tokens: 768 };
/// The same for a model that writes a hundred times slower.
const MEDIUM_RATES: Rates = Rates { rounds: 61, rounds_of_many: 31, tokens: 96 };
/// How often the known device is started again.
const RESTARTS: usize = 7;
/// A model of hand-set weights that costs its engine next to nothing: what is left is transport, at its worst.
const TINY: &str = "tiny";
/// The demo model, still some fifty times faster than what people run, with its end of answer switched off.
const SMALL: &str = "small";
/// Weights that keep an engine as busy as those that people run: some fifty tokens a second on one core.
const MEDIUM: &str = "medium";

/// How a rate is measured.
#[derive(Clone, Copy)]
struct Rates {
    rounds: usize,
    rounds_of_many: usize,
    tokens: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // `cargo test --benches` asks for a list or a quick pass; a benchmark is neither.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return Ok(());
    }
    rustls::crypto::ring::default_provider().install_default().ok().context("install the TLS provider")?;
    let machine = machine::describe();
    let flag = |name: &str| std::env::args().any(|argument| argument == name);
    let (always_together, always_apart) = (flag("--together"), flag("--apart"));
    let engines = [
        Engine::start(TINY, "../compute/fixtures/endless.gguf", 65_536).await?,
        Engine::start(SMALL, "../../models/demo/myownllm-demo.gguf", 65_536).await?,
        Engine::start(MEDIUM, "../../out/bench/medium.gguf", 16_384).await?,
    ];
    let (desk, mut laptop) = lend(&engines).await?;
    // As many as are asked at once below; by default four of a member's requests run and the others wait.
    desk.command(&["lend", "set", "--concurrent", "32"]).await?;
    for engine in &engines {
        laptop.wait_for_model(engine.model).await?;
    }
    println!("Machine: {machine}; llama-server with one thread\n");
    let daemons = [desk.pid, laptop.pid];
    let engine_pids = engines.iter().filter_map(|engine| engine.child.id()).collect();
    let cores = Cores::of(engine_pids, daemons.to_vec())?;
    let named: Vec<String> =
        std::env::args().filter_map(|argument| argument.strip_prefix("--model=").map(str::to_owned)).collect();
    for engine in engines.iter().filter(|engine| named.is_empty() || named.iter().any(|name| name == engine.model)) {
        let targets = [
            Target::new("direct to llama-server", &engine.url, engine.model, Some(&engine.key)),
            Target::new("this device's API", desk.api()?, engine.model, None),
            Target::new("a peer's model", laptop.api()?, &format!("Desk/{}", engine.model), None),
        ];
        println!("## Model `{}`\n", engine.model);
        if always_apart {
            cores.apart()?;
        }
        first_token_table(&targets).await?;
        if !always_together {
            cores.apart()?;
        }
        for streams in [1, 8, 32] {
            let rates = if engine.model == MEDIUM { MEDIUM_RATES } else { RATES };
            rate_table(&targets, streams, daemons, rates).await?;
        }
        cores.together()?;
    }
    restart_table(&mut laptop, &desk).await?;
    laptop.stop().await?;
    desk.stop().await
}

/// Time to the first token of each path, and what each adds to the direct one, sample by sample.
async fn first_token_table(targets: &[Target; 3]) -> Result<()> {
    let mut samples: [Vec<f64>; 3] = Default::default();
    for round in 0..FIRST_TOKEN_SAMPLES + 10 {
        // The order rotates, so no path always follows the same one.
        for step in 0..targets.len() {
            let which = (round + step) % targets.len();
            // A question of its own for each: an engine knows the beginning of what it was asked before.
            let took = first_token(&targets[which], round * targets.len() + step).await?;
            if round >= 10 {
                samples[which].push(took.as_secs_f64() * 1e3);
            }
        }
    }
    println!("First token, {FIRST_TOKEN_SAMPLES} requests per path, in turn (ms)\n");
    println!("| path | p50 | p95 | added at p50 | added at p95 |");
    println!("|---|---|---|---|---|");
    for (target, own) in targets.iter().zip(&samples) {
        let added = |q| percentile(own, q) - percentile(&samples[0], q);
        println!(
            "| {} | {:.2} | {:.2} | {:+.2} | {:+.2} |",
            target.name,
            percentile(own, 0.5),
            percentile(own, 0.95),
            added(0.5),
            added(0.95)
        );
    }
    println!();
    Ok(())
}

/// Tokens per second of each path with `streams` at once, relative to the direct path of the same round, and CPU time.
async fn rate_table(targets: &[Target; 3], streams: usize, daemons: [u32; 2], of: Rates) -> Result<()> {
    let mut rates: [Vec<f64>; 3] = Default::default();
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let mut cpu: [Vec<f64>; 3] = Default::default();
    let rounds = if streams == 1 { of.rounds } else { of.rounds_of_many };
    for round in 0..=rounds {
        let mut of_round = [0.0; 3];
        for step in 0..targets.len() {
            let which = (round + step) % targets.len();
            let before = daemons.map(cpu_seconds);
            let Load { tokens, wall } =
                stream_tokens(&targets[which], streams, of.tokens / u32::try_from(streams.min(4))?).await?;
            let used: f64 = daemons.map(cpu_seconds).iter().zip(before).map(|(now, then)| now - then).sum();
            of_round[which] = f64::from(tokens) / wall.as_secs_f64();
            if round > 0 {
                rates[which].push(of_round[which]);
                cpu[which].push(used * 1e6 / f64::from(tokens));
            }
        }
        if round > 0 {
            for which in 0..targets.len() {
                ratios[which].push(of_round[which] / of_round[0]);
            }
        }
    }
    println!("Tokens per second, streams at once: {streams}, median of {rounds} rounds in turn\n");
    println!("| path | tokens/s | of direct | daemons' CPU per token (µs) |");
    println!("|---|---|---|---|");
    for (which, target) in targets.iter().enumerate() {
        println!(
            "| {} | {:.0} | {:.1} % | {:.0} |",
            target.name,
            median(&rates[which]),
            median(&ratios[which]) * 100.0,
            median(&cpu[which])
        );
    }
    println!();
    Ok(())
}

/// From starting a known device's daemon to the first token of an answer from its peer.
async fn restart_table(laptop: &mut Daemon, desk: &Daemon) -> Result<()> {
    let mut took = Vec::new();
    for round in 0..RESTARTS {
        laptop.stop().await?;
        desk.wait_for_absence("Laptop").await?;
        let started = Instant::now();
        laptop.start_again().await?;
        let target = Target::new("", laptop.api()?, &format!("Desk/{TINY}"), None);
        first_token(&target, round).await.context("the first remote answer after a start")?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    println!("From starting a known device to its first remote token, {RESTARTS} starts (ms)\n");
    println!("| p50 | slowest |\n|---|---|\n| {:.0} | {:.0} |\n", median(&took), percentile(&took, 1.0));
    Ok(())
}

/// What this benchmark asks of its daemons besides.
impl Daemon {
    /// Base URL of its local API.
    fn api(&self) -> Result<&str> {
        self.ready["api"].as_str().context("the daemon has no local API")
    }

    /// Waits until the member `name` counts as away here.
    async fn wait_for_absence(&self, name: &str) -> Result<()> {
        poll("the other device is away", || async {
            let devices = self.command(&["devices"]).await.unwrap_or_default();
            devices
                .as_array()
                .is_some_and(|list| list.iter().any(|entry| entry["name"] == name && entry["state"] != "online"))
        })
        .await
    }
}
