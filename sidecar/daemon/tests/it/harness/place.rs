//! A device's home for one test: its folder, its models, and what `serve` is told.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::cli::Output;
use super::daemon::Daemon;
use super::{BINARY, fixture, in_time, llama_server};

/// A home, and how a daemon is started in it. Clones are the same home.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: Arc<TempDir>,
    home: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
    builtin: bool,
    api_port: u16,
    listen: String,
    /// What `serve` is told about finding others, and what starts it; for tests that do not run on loopback.
    pub(crate) discovery: Vec<String>,
    pub(crate) starter: Vec<String>,
}

impl Place {
    /// An empty home for a device of this name, without an engine.
    pub(crate) fn new(device_name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().join("home");
        let arguments = ["--device-name", device_name].map(str::to_owned).to_vec();
        let listen = "127.0.0.1:0".to_owned();
        Self {
            folder: Arc::new(folder),
            home,
            arguments,
            variables: Vec::new(),
            builtin: false,
            api_port: 0,
            listen,
            discovery: ["--relay", "none", "--no-mdns"].map(str::to_owned).to_vec(),
            starter: Vec::new(),
        }
    }

    /// Uses this folder as the home, which need not be possible.
    pub(crate) fn at(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = home.into();
        self
    }

    /// Asks for this port for the local API.
    pub(crate) fn api_port(mut self, port: u16) -> Self {
        self.api_port = port;
        self
    }

    /// Asks for this address for other devices.
    pub(crate) fn listen(mut self, address: impl ToString) -> Self {
        self.listen = address.to_string();
        self
    }

    /// Adds a test model, and the built-in engine to run it.
    pub(crate) fn model(mut self, name: &str) -> Self {
        self.builtin = true;
        self.add_model(name);
        self
    }

    /// Uses the built-in engine, whatever models there are.
    pub(crate) fn builtin(mut self) -> Self {
        self.builtin = true;
        self
    }

    /// Adds arguments to `serve`.
    pub(crate) fn with<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// Sets an environment variable of the daemon.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Puts a test model into the models folder.
    pub(crate) fn add_model(&self, name: &str) {
        let folder = self.home.join("models");
        std::fs::create_dir_all(&folder).expect("the models folder can be made");
        std::fs::copy(fixture(name), folder.join(format!("{name}.gguf"))).expect("the model can be copied");
    }

    /// The home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Where the daemon's error stream goes.
    pub(crate) fn error_log(&self) -> PathBuf {
        self.folder.path().join("stderr.log")
    }

    /// Everything the daemon has written for people: its error stream and its log files.
    pub(crate) fn logs(&self) -> String {
        let mut text = std::fs::read_to_string(self.error_log()).unwrap_or_default();
        for entry in std::fs::read_dir(self.file("logs")).into_iter().flatten().flatten() {
            text += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap_or_default());
        }
        text
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) async fn start(&self) -> Daemon {
        Daemon::start(self).await
    }

    /// Starts a daemon that must refuse to serve; gives its error.
    pub(crate) async fn refusal(&self) -> Value {
        let child = self.serve().stdout(Stdio::piped()).output();
        let output = Output::from(in_time("the refusal", child).await.expect("it can be started"));
        assert_eq!(output.code, 1, "{output:?}");
        let error = output.json()["error"].clone();
        assert!(error["message"].as_str().is_some_and(|text| text.ends_with('.')), "not a sentence: {error}");
        error
    }

    /// The command that serves this home.
    pub(crate) fn serve(&self) -> Command {
        let mut command = self.command_by(&self.starter);
        command.args(["serve", "--json"]).args(&self.discovery);
        command.args(["--api-port", &self.api_port.to_string(), "--listen", &self.listen]);
        if !self.builtin {
            command.arg("--no-builtin-engine");
        }
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        let log = std::fs::File::options().create(true).append(true).open(self.error_log());
        command.stdin(Stdio::null()).stderr(log.expect("the log can be made")).kill_on_drop(true);
        command
    }

    /// The command line for this home.
    pub(crate) fn command(&self) -> Command {
        self.command_by(&[])
    }

    /// The same, run by another program (`ip netns exec ...`), which must become it rather than start it.
    fn command_by(&self, starter: &[String]) -> Command {
        let mut words = starter.iter().map(String::as_str).chain([BINARY]);
        let mut command = Command::new(words.next().unwrap_or(BINARY));
        command
            .args(words)
            .arg("--home")
            .arg(&self.home)
            .env("MYOWNMESH_SECRETS", "file")
            .env("MYOWNMESH_ENGINE_THREADS", "1")
            .env("MYOWNLLM_LLAMA_SERVER", llama_server())
            .env_remove("MYOWNMESH_HOME")
            .env_remove("NO_COLOR")
            .kill_on_drop(true);
        command
    }
}
