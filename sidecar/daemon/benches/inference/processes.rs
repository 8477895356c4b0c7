//! The real processes under measurement: a llama-server and daemons, each with a home of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::PATIENCE;

/// A llama-server of the benchmark's own, with room for 32 streams.
pub(crate) struct Engine {
    pub(crate) model: &'static str,
    pub(crate) url: String,
    pub(crate) key: String,
    _child: Child,
}

impl Engine {
    /// Starts one for the weights at `path`, relative to this crate.
    pub(crate) async fn start(model: &'static str, path: &str) -> Result<Self> {
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
                "65536",
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
        let health = format!("http://127.0.0.1:{port}/health");
        poll("llama-server is ready", || async {
            reqwest::get(&health).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await?;
        Ok(Self { model, url: format!("http://127.0.0.1:{port}/v1"), key, _child: child })
    }
}

/// A `myownmesh serve` with a temporary home.
pub(crate) struct Daemon {
    pub(crate) api: String,
    pub(crate) pid: u32,
    name: &'static str,
    home: tempfile::TempDir,
    child: Child,
}

impl Daemon {
    /// Starts a daemon that lends the models of `engines`.
    pub(crate) async fn start(name: &'static str, engines: &[Engine]) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let (child, ready) = spawn(name, &home).await?;
        let daemon =
            Self { api: text(&ready, "api")?, pid: child.id().context("the daemon ended at once")?, name, home, child };
        for engine in engines {
            daemon.add_engine(engine).await?;
        }
        Ok(daemon)
    }

    /// Starts the daemon of the same home again, after [`Daemon::stop`].
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        let (child, ready) = spawn(self.name, &self.home).await?;
        self.api = text(&ready, "api")?;
        self.pid = child.id().context("the daemon ended at once")?;
        self.child = child;
        Ok(())
    }

    async fn add_engine(&self, engine: &Engine) -> Result<()> {
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

    fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_myownmesh"));
        command.arg("--home").arg(self.home.path()).arg("--json").args(arguments);
        command
    }

    /// Runs a command line that prints one JSON document.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Result<Value> {
        let lines = self.command_lines(arguments).await?;
        lines.into_iter().next_back().context("the command printed nothing")
    }

    /// Runs a command line that prints JSON lines.
    pub(crate) async fn command_lines(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let output = self.cli(arguments).output().await?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "`{}` failed: {text}", arguments.join(" "));
        let whole = serde_json::from_str(&text).map(|document| vec![document]);
        whole.or_else(|_| text.lines().map(serde_json::from_str).collect()).context("the command did not print JSON")
    }

    /// Waits until `model` can be reached from this device.
    pub(crate) async fn wait_for_model(&self, model: &str) -> Result<()> {
        poll("the model is reachable", || async {
            let models = self.command(&["models"]).await.unwrap_or_default();
            models.as_array().is_some_and(|list| list.iter().any(|entry| entry["id"] == model))
        })
        .await
    }

    /// Waits until the member `name` counts as away here.
    pub(crate) async fn wait_for_absence(&self, name: &str) -> Result<()> {
        poll("the other device is away", || async {
            let devices = self.command(&["devices"]).await.unwrap_or_default();
            devices
                .as_array()
                .is_some_and(|list| list.iter().any(|entry| entry["name"] == name && entry["state"] != "online"))
        })
        .await
    }

    /// Ends the daemon in order.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.command(&["stop"]).await?;
        poll("the daemon has ended", || async { !std::path::Path::new(&format!("/proc/{}/exe", self.pid)).exists() })
            .await
    }
}

async fn spawn(name: &str, home: &tempfile::TempDir) -> Result<(Child, Value)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_myownmesh"))
        .arg("--home")
        .arg(home.path())
        .args([
            "--json",
            "serve",
            "--api-port",
            "0",
            "--listen",
            "127.0.0.1:0",
            "--relay",
            "none",
            "--no-mdns",
            "--no-builtin-engine",
        ])
        .args(["--device-name", name])
        .env("MYOWNMESH_SECRETS", "file")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("start the daemon")?;
    let stdout = child.stdout.take().context("no stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.context("the daemon is not ready")??;
    let ready: Value = serde_json::from_str(&line.context("the daemon ended before it was ready")?)?;
    ensure!(ready["event"] == "ready", "the daemon did not start: {ready}");
    // Whatever it prints later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, ready))
}

fn text(value: &Value, field: &str) -> Result<String> {
    Ok(value[field].as_str().with_context(|| format!("no {field} in {value}"))?.to_owned())
}

/// Asks `condition` every few milliseconds until it holds.
async fn poll<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) -> Result<()> {
    let started = Instant::now();
    while !condition().await {
        if started.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain until {what}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// User and system CPU time of a process so far, in seconds, from `/proc/PID/stat` (fields 14 and 15, in 1/100 s).
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
