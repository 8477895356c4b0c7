//! Engines under measurement, and how daemons come by them.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

use crate::daemon::{Daemon, poll};

/// A llama-server of the benchmark's own, with room for 32 streams.
pub(crate) struct Engine {
    pub(crate) model: &'static str,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) child: Child,
}

impl Engine {
    /// Starts one for the weights at `path`, relative to this crate; all streams share `context` tokens.
    pub(crate) async fn start(model: &'static str, path: &str, context: u32) -> Result<Self> {
        let binary = std::env::var_os("MYOWNLLM_LLAMA_SERVER")
            .context("MYOWNLLM_LLAMA_SERVER names no llama-server; use `npm run bench`")?;
        let weights = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let key = "bench".to_owned();
        let child = Command::new(binary)
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "-t",
                "1",
                "-np",
                "32",
                "-c",
                &context.to_string(),
                "--alias",
                model,
                "-m",
            ])
            .arg(weights)
            .env("LLAMA_API_KEY", &key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start llama-server")?;
        let mut engine = Self { model, url: format!("http://127.0.0.1:{port}/v1"), key, child };
        let health = format!("http://127.0.0.1:{port}/health");
        poll("llama-server is ready", || async {
            reqwest::get(&health).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await?;
        ensure!(
            engine.child.try_wait()?.is_none(),
            "another program answers in place of llama-server, which has ended"
        );
        Ok(engine)
    }
}

/// Two linked devices: *desk*, which lends what `engines` run, and *laptop*, which borrows.
pub(crate) async fn lend(engines: &[Engine]) -> Result<(Daemon, Daemon)> {
    let desk = Daemon::start("Desk").await?;
    for engine in engines {
        desk.add_engine(engine).await?;
    }
    desk.command(&["network", "create", "bench"]).await?;
    let laptop = Daemon::start("Laptop").await?;
    let invite = desk.command(&["invite", "--approved"]).await?;
    let link = invite["invite"].as_str().context("the invite has no link")?;
    laptop.command(&["join", link, "--wait", "20"]).await?;
    Ok((desk, laptop))
}

/// What benchmarks with engines ask of their daemons.
impl Daemon {
    /// Lends the model of `engine`.
    pub(crate) async fn add_engine(&self, engine: &Engine) -> Result<()> {
        let mut child = self
            .cli(&["engine", "add", &engine.url, "--key-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        tokio::io::AsyncWriteExt::write_all(&mut stdin, engine.key.as_bytes()).await?;
        drop(stdin);
        ensure!(child.wait().await?.success(), "the engine was not added");
        Ok(())
    }

    /// Waits until `model` can be reached from this device.
    pub(crate) async fn wait_for_model(&self, model: &str) -> Result<()> {
        poll("the model is reachable", || async {
            let models = self.command(&["models"]).await.unwrap_or_default();
            models.as_array().is_some_and(|list| list.iter().any(|entry| entry["id"] == model))
        })
        .await
    }
}
