//! A real daemon under measurement: a process with a home of its own, on loopback, without an engine of its own.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// How long anything may take before the run is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A `myownmesh serve` with a temporary home.
pub(crate) struct Daemon {
    /// What it said when it was ready: `device_id`, `api` and so on.
    pub(crate) ready: Value,
    pub(crate) pid: u32,
    pub(crate) home: tempfile::TempDir,
    name: String,
    child: Child,
}

impl Daemon {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let (child, ready) = spawn(name, &home).await?;
        Ok(Self { ready, pid: pid(&child)?, home, name: name.to_owned(), child })
    }

    /// Starts the daemon of the same home again, after [`Daemon::stop`].
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        (self.child, self.ready) = spawn(&self.name, &self.home).await?;
        self.pid = pid(&self.child)?;
        Ok(())
    }

    /// A command line for this daemon.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_myownmesh"));
        command.arg("--home").arg(self.home.path()).arg("--json").args(arguments);
        command
    }

    /// Runs a command line and returns its last JSON document.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.cli(arguments).output().await?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "`{}` failed: {text}", arguments.join(" "));
        let last = text.lines().next_back().unwrap_or_default();
        serde_json::from_str(&text).or_else(|_| serde_json::from_str(last)).context("the command did not print JSON")
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
        .args(["--json", "serve", "--api-port", "0", "--listen", "127.0.0.1:0", "--relay", "none", "--no-mdns"])
        .args(["--no-builtin-engine", "--device-name", name])
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

fn pid(child: &Child) -> Result<u32> {
    child.id().context("the daemon ended at once")
}

/// Asks `condition` every few milliseconds until it holds.
pub(crate) async fn poll<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) -> Result<()> {
    let started = Instant::now();
    while !condition().await {
        if started.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain until {what}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
