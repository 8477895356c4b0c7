//! A daemon that the app started: its process, its first words, its log and its end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::client;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::home::Home;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

/// Makes the command that starts the daemon, without its arguments.
pub type Launcher = Box<dyn Fn() -> Result<Command, ControlError> + Send + Sync>;

/// How long a daemon may take until it says that it is ready. A locked keychain can hold it up for a while.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long an ordered end may take before the process is killed.
pub(super) const END_WITHIN: Duration = Duration::from_secs(3);

/// Size at which what it wrote to standard error is thrown away, in bytes. The daemon keeps a bounded log of its own.
const MOST_WORDS: u64 = 4 * 1024 * 1024;

/// How many of the last lines of its log a person gets to read.
const LAST_LINES: usize = 8;

/// The first line on a daemon's standard output: it is ready, or it says why not.
#[derive(Deserialize)]
#[serde(untagged)]
enum FirstLine {
    Ready { event: String },
    Refused { error: ControlError },
}

/// A daemon that the app started. Dropping it leaves the process alone; [`Process::end`] ends it.
pub(super) struct Process {
    child: Child,
    /// Kept open while the daemon lives: a daemon whose output is closed cannot speak.
    stdout: Option<BufReader<ChildStdout>>,
    log: Option<Log>,
    said: Said,
}

/// What a daemon writes to standard error: its log from this start on, and what a crash says that no log records.
struct Log {
    path: PathBuf,
    file: File,
}

/// What a daemon has said so far; it decides how it is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing: it holds nothing yet, and there is nobody to ask.
    Nothing,
    /// That it is ready: the control socket of the home is its own.
    Ready,
    /// That it cannot run: it is ending. The home may belong to another daemon, which must not be asked in its place.
    No,
}

impl Process {
    /// Starts `myownmesh serve` for `home`. Its log goes to a file of its own, so that it outlives the app if it must.
    pub(super) fn start(mut command: Command, home: &Home, api_port: Option<u16>) -> Result<Self, ControlError> {
        command.arg("--home").arg(home.path()).args(["serve", "--json"]);
        if let Some(port) = api_port {
            command.arg("--api-port").arg(port.to_string());
        }
        let log = Log::open(home);
        let stderr = match &log {
            Ok(log) => log.file.try_clone().map_or_else(|_| Stdio::null(), Stdio::from),
            // The daemon itself will say what is wrong with the home.
            Err(_) => Stdio::null(),
        };
        // Colours are for terminals.
        command.env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        platform::detach_from_terminal(&mut command);
        let program = PathBuf::from(command.get_program());
        let mut child = tokio::process::Command::from(command).spawn().map_err(|error| {
            let message = format!("The daemon {} could not be started: {error}.", program.display());
            ControlError::new(ErrorCode::Internal, message)
        })?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { child, stdout, log: log.ok(), said: Said::Nothing })
    }

    /// Waits for its first words.
    ///
    /// # Errors
    /// What the daemon itself says, word for word; else what its log says.
    pub(super) async fn ready(&mut self) -> Result<(), ControlError> {
        let mut line = String::new();
        let Some(stdout) = &mut self.stdout else { return Ok(()) };
        match timeout(READY_WITHIN, stdout.read_line(&mut line)).await {
            Err(_) => {
                let seconds = READY_WITHIN.as_secs();
                let message =
                    format!("The daemon was started and is not ready after {seconds} s. {}", self.last_words());
                Err(ControlError::new(ErrorCode::TimedOut, message))
            }
            Ok(Err(error)) => {
                Err(ControlError::new(ErrorCode::Internal, format!("The daemon cannot be heard: {error}.")))
            }
            Ok(Ok(0)) => Err(self.ended_early().await),
            Ok(Ok(_)) => {
                let outcome = understand(&line);
                self.said = if outcome.is_ok() { Said::Ready } else { Said::No };
                outcome
            }
        }
    }

    async fn ended_early(&mut self) -> ControlError {
        let how = match timeout(END_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => format!("The daemon ended before it was ready ({status})."),
            _ => "The daemon closed its output before it was ready.".to_owned(),
        };
        ControlError::new(ErrorCode::Internal, format!("{how} {}", self.last_words()))
    }

    /// Where its log is.
    pub(super) fn log(&self) -> Option<&Path> {
        self.log.as_ref().map(|log| log.path.as_path())
    }

    /// Keeps its standard error from growing for ever.
    pub(super) fn trim_log(&self) {
        let Some(log) = &self.log else { return };
        let trimmed =
            log.file.metadata().and_then(|data| if data.len() > MOST_WORDS { log.file.set_len(0) } else { Ok(()) });
        if let Err(error) = trimmed {
            tracing::debug!("the daemon's standard error cannot be trimmed: {error}");
        }
    }

    /// Whether the process is gone.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// The end of its log, as part of a sentence for a person.
    pub(super) fn last_words(&self) -> String {
        let text = self.log().and_then(|log| fs::read(log).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(LAST_LINES).collect();
        if lines.is_empty() {
            return "It left no word in its log. Try again.".to_owned();
        }
        let lines: Vec<&str> = lines.into_iter().rev().collect();
        format!("Its last words:\n{}", lines.join("\n"))
    }

    /// The ordered end: it is asked, it gets [`END_WITHIN`], and only then it is killed.
    pub(super) async fn end(mut self, home: &Home) {
        if self.has_ended() || (self.said != Said::Nothing && self.ends_in_order(home).await) {
            return;
        }
        tracing::warn!("the daemon did not end by itself and is killed");
        if let Err(error) = self.child.kill().await {
            tracing::warn!("the daemon could not be killed: {error}");
        }
    }

    async fn ends_in_order(&mut self, home: &Home) -> bool {
        let ending = async {
            if self.said == Said::Ready
                && let Err(error) = ask_to_stop(home).await
            {
                tracing::warn!("the daemon could not be asked to end: {error}");
            }
            self.child.wait().await.is_ok()
        };
        matches!(timeout(END_WITHIN, ending).await, Ok(true))
    }
}

/// Reads a daemon's first line.
fn understand(line: &str) -> Result<(), ControlError> {
    match serde_json::from_str(line) {
        Ok(FirstLine::Ready { event }) if event == "ready" => Ok(()),
        Ok(FirstLine::Refused { error }) => Err(error),
        Ok(FirstLine::Ready { .. }) | Err(_) => {
            let said: String = line.trim().chars().take(200).collect();
            Err(ControlError::new(
                ErrorCode::VersionMismatch,
                format!(
                    "The daemon says something that this app does not understand: {said}. App and daemon are of \
                     different versions: install both from the same release."
                ),
            ))
        }
    }
}

/// Asks the daemon of `home` to finish and exit.
pub(super) async fn ask_to_stop(home: &Home) -> Result<(), ControlError> {
    Ok(client::connect(home).await?.daemon_stop().await?)
}

impl Log {
    /// A fresh file inside the home, next to the daemon's own log; the one before is kept beside it.
    fn open(home: &Home) -> io::Result<Self> {
        let folder = home.path().join("logs");
        platform::make_private_folder(&folder)?;
        let path = folder.join("daemon.stderr.log");
        match fs::rename(&path, folder.join("daemon.stderr.old.log")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Appending, so that a daemon goes on at the beginning after the file was trimmed.
        let file = File::options().create(true).append(true).open(&path)?;
        Ok(Self { path, file })
    }
}

/// What differs between systems. Unix runs in the tests; the Windows half is small and compiles only there.
mod platform {
    use std::io;
    use std::path::Path;
    use std::process::Command;

    /// Ctrl-C in the terminal reaches the app alone, and the app ends the daemon in order.
    #[cfg(unix)]
    pub(super) fn detach_from_terminal(command: &mut Command) {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }

    #[cfg(not(unix))]
    pub(super) fn detach_from_terminal(_command: &mut Command) {}

    /// The home is entered by its user only; it may be us who make it.
    #[cfg(unix)]
    pub(super) fn make_private_folder(folder: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    #[cfg(not(unix))]
    pub(super) fn make_private_folder(folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }
}
