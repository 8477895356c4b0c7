//! One llama-server process with one model, from start to end: one task owns it and reports what happens.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::supervisor::Ending;
use super::tail::LogTail;
use crate::platform::{Spawner, ask_to_end, describe_exit};
use crate::{EngineUrl, Secret};

/// A child that does not answer for so long stands still.
const ALIVE: Duration = Duration::from_millis(2500);
/// How often /health is asked while a model loads.
const HEALTH_EVERY: Duration = Duration::from_millis(20);
/// How long stderr is read after the process ended.
const DRAIN: Duration = Duration::from_millis(200);
/// When a child that was asked to end is asked again. llama-server loses a SIGTERM that comes just as it gets ready,
/// and waits for clients that do not read; a second one makes it leave at once.
const ASK_AGAIN: Duration = Duration::from_millis(300);
/// What llama-server says when it listens, in every version that knows `--port 0`; the port follows.
const LISTENING: &str = "listening on http://127.0.0.1:";
/// Prompt cache in main memory, in MiB. llama-server's own default is 8192, too much for a device that does other work.
const PROMPT_CACHE_MIB: &str = "512";

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) model: String,
    pub(crate) generation: u64,
    pub(crate) binary: PathBuf,
    pub(crate) file: PathBuf,
    pub(crate) run_dir: PathBuf,
    pub(crate) threads: Option<u16>,
    /// Tokens; none to let llama-server choose.
    pub(crate) context: Option<u32>,
    pub(crate) embedding: bool,
    /// How long loading may take.
    pub(crate) load: Duration,
    /// How long it may take to end by itself.
    pub(crate) grace: Duration,
}

/// A child that answers.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) url: EngineUrl,
    pub(crate) key: Secret,
    pub(crate) ended: ExitWatch,
    /// Has it looked after: whoever waits for it has heard nothing for a while.
    pub(crate) doubt: Arc<Notify>,
}

/// Becomes `Some` when the child has ended.
pub(crate) type ExitWatch = watch::Receiver<Option<Arc<ExitReport>>>;

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExitReport {
    /// Words that follow its name: "was killed by signal 9".
    pub(crate) cause: String,
    /// The lines of stderr worth telling.
    pub(crate) tail: Vec<String>,
    /// Whether to start it again; none when it was told to end.
    pub(crate) ending: Option<Ending>,
}

/// What a child's task reports to the actor.
#[derive(Debug)]
pub(crate) struct ChildEvent {
    pub(crate) model: String,
    pub(crate) generation: u64,
    pub(crate) what: ChildNews,
}

/// See [`ChildEvent`].
#[derive(Debug)]
pub(crate) enum ChildNews {
    Ready(Running),
    Ended(Arc<ExitReport>),
}

/// Starts the child and stays with it until it has ended. The exit is reported to the actor first and to the watch
/// after it, so that whoever saw the watch change finds the actor informed.
pub(crate) async fn run(
    plan: Plan,
    spawner: Spawner,
    client: reqwest::Client,
    stop: CancellationToken,
    events: mpsc::Sender<ChildEvent>,
) {
    let (ended, watch) = watch::channel(None);
    let key = Secret::random();
    let report = match spawner.spawn(command(&plan, &key)).await {
        Ok(mut child) => {
            tracing::info!(model = plan.model, pid = child.id(), "llama-server started");
            let stderr = child.stderr.take();
            let (tail, doubt) = (LogTail::default(), Arc::default());
            let task = Task { plan: &plan, client, key, watch, events: &events, tail, port: None, doubt };
            task.attend(child, stderr, stop).await
        }
        Err(error) => ExitReport {
            cause: format!("could not be started from {} ({error})", plan.binary.display()),
            tail: Vec::new(),
            ending: Some(Ending::Refused),
        },
    };
    tracing::info!(model = plan.model, cause = report.cause, asked = report.ending.is_none(), "llama-server ended");
    let report = Arc::new(report);
    let what = ChildNews::Ended(report.clone());
    // The actor is gone only when everything ends.
    let _ = events.send(ChildEvent { model: plan.model, generation: plan.generation, what }).await;
    ended.send_replace(Some(report));
}

fn command(plan: &Plan, key: &Secret) -> Command {
    let mut command = Command::new(&plan.binary);
    for (name, _) in std::env::vars_os() {
        // Its settings are ours to choose, not those of the shell that started the daemon; and keys are not for it.
        if name.to_string_lossy().starts_with("LLAMA_") || name == "MYOWNMESH_HUB_TOKEN" {
            command.env_remove(name);
        }
    }
    command
        .args(["--host", "127.0.0.1", "--port", "0", "--jinja", "--alias", &plan.model, "--model"])
        .arg(&plan.file)
        // Neither is on the command line: the key because others can read that, the cache because older versions
        // refuse options they do not know.
        .env("LLAMA_API_KEY", key.expose())
        .env("LLAMA_ARG_CACHE_RAM", PROMPT_CACHE_MIB)
        .current_dir(&plan.run_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(threads) = plan.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    if let Some(context) = plan.context {
        command.args(["--ctx-size", &context.to_string()]);
    }
    if plan.embedding {
        command.arg("--embeddings");
    }
    command
}

struct Task<'a> {
    plan: &'a Plan,
    client: reqwest::Client,
    key: Secret,
    watch: ExitWatch,
    events: &'a mpsc::Sender<ChildEvent>,
    tail: LogTail,
    port: Option<u16>,
    doubt: Arc<Notify>,
}

type Health = Pin<Box<dyn Future<Output = EngineUrl> + Send>>;
/// Whether it answered in time.
type Alive = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Why a running child is being ended.
enum Ends {
    Asked,
    NeverReady,
    StandsStill,
}

impl Task<'_> {
    async fn attend(
        mut self,
        mut child: Child,
        mut stderr: Option<ChildStderr>,
        stop: CancellationToken,
    ) -> ExitReport {
        let deadline = Instant::now() + self.plan.load;
        let (mut ready, mut ends, mut kill_at, mut ask_again) = (false, None, deadline, None);
        let mut health: Option<Health> = None;
        let mut alive: Option<Alive> = None;
        let doubt = self.doubt.clone();
        let mut buffer = [0; 4096];
        let status = loop {
            tokio::select! {
                biased;
                status = child.wait() => break status,
                () = stop.cancelled(), if ends.is_none() => {
                    ask_to_end(&mut child);
                    ends = Some(Ends::Asked);
                    ask_again = Some(Instant::now() + ASK_AGAIN);
                    kill_at = Instant::now() + self.plan.grace;
                }
                () = sleep_until(ask_again.unwrap_or(kill_at)), if ask_again.is_some() => {
                    ask_to_end(&mut child);
                    ask_again = None;
                }
                () = sleep_until(kill_at), if ends.is_some() || !ready => {
                    if let Err(error) = child.start_kill() {
                        tracing::warn!(%error, "cannot end llama-server");
                    }
                    ends = ends.or(Some(Ends::NeverReady));
                    // SIGKILL cannot be refused; asking once more does no harm.
                    kill_at = Instant::now() + self.plan.grace;
                }
                url = wait_for(health.as_mut()), if health.is_some() => {
                    health = None;
                    ready = true;
                    self.tell_ready(url).await;
                }
                () = doubt.notified(), if ready && ends.is_none() && alive.is_none() => {
                    alive = self.port.map(|port| self.alive(port));
                }
                is_alive = wait_for(alive.as_mut()), if alive.is_some() => {
                    alive = None;
                    if !is_alive && ends.is_none() {
                        // It takes no request to end, so it is not asked to; see `kill_at` above.
                        (ends, kill_at) = (Some(Ends::StandsStill), Instant::now());
                    }
                }
                read = read_some(stderr.as_mut(), &mut buffer), if stderr.is_some() => match read {
                    Some(bytes) => {
                        self.take(bytes);
                        if health.is_none() && !ready {
                            health = self.port.map(|port| self.health(port));
                        }
                    }
                    None => stderr = None,
                },
            }
        };
        self.drain(stderr, &mut buffer).await;
        self.report(status, ready, ends)
    }

    fn take(&mut self, bytes: &[u8]) {
        let (port, model) = (&mut self.port, &self.plan.model);
        self.tail.push(bytes, |line| {
            tracing::trace!(model, line, "llama-server");
            if port.is_none() {
                *port = listening_port(line);
            }
        });
    }

    /// Asks /health until it says yes. It has no end of its own: the caller's deadline ends it.
    fn health(&self, port: u16) -> Health {
        let client = self.client.clone();
        Box::pin(async move {
            let text = format!("http://127.0.0.1:{port}");
            loop {
                let Ok(url) = EngineUrl::parse(&text) else { return std::future::pending().await };
                let asked = client.get(url.join("/health")).timeout(Duration::from_secs(1)).send().await;
                if asked.is_ok_and(|answer| answer.status().is_success()) {
                    return url;
                }
                sleep(HEALTH_EVERY).await;
            }
        })
    }

    /// Whether it answers anything. It does so beside its work, however much that is.
    fn alive(&self, port: u16) -> Alive {
        let asked = self.client.get(format!("http://127.0.0.1:{port}/health")).timeout(ALIVE).send();
        Box::pin(async move { asked.await.is_ok() })
    }

    async fn tell_ready(&self, url: EngineUrl) {
        let running = Running { url, key: self.key.clone(), ended: self.watch.clone(), doubt: self.doubt.clone() };
        let what = ChildNews::Ready(running);
        let event = ChildEvent { model: self.plan.model.clone(), generation: self.plan.generation, what };
        // The actor is gone only when everything ends, and then `stop` comes next.
        let _ = self.events.send(event).await;
    }

    /// Reads what the process wrote last. A grandchild could hold the pipe open, hence the limit.
    async fn drain(&mut self, mut stderr: Option<ChildStderr>, buffer: &mut [u8; 4096]) {
        let end = Instant::now() + DRAIN;
        while stderr.is_some() {
            tokio::select! {
                read = read_some(stderr.as_mut(), buffer) => match read {
                    Some(bytes) => self.take(bytes),
                    None => stderr = None,
                },
                () = sleep_until(end) => stderr = None,
            }
        }
        self.tail.finish();
    }

    fn report(self, status: std::io::Result<std::process::ExitStatus>, ready: bool, ends: Option<Ends>) -> ExitReport {
        let (cause, by_signal) = match (&ends, status) {
            (Some(Ends::Asked), _) => ("was told to end".to_owned(), false),
            (Some(Ends::NeverReady), _) => {
                (format!("was not ready after {} s and was ended", self.plan.load.as_secs_f32()), false)
            }
            (Some(Ends::StandsStill), _) => ("stood still and was ended".to_owned(), true),
            (None, Ok(status)) => describe_exit(status),
            (None, Err(error)) => (format!("was lost ({error})"), true),
        };
        let ending = match ends {
            Some(Ends::Asked) => None,
            Some(Ends::NeverReady) => Some(Ending::Refused),
            Some(Ends::StandsStill) => Some(Ending::Crashed),
            None if ready || by_signal => Some(Ending::Crashed),
            None => Some(Ending::Refused),
        };
        ExitReport { cause, tail: self.tail.telling(), ending }
    }
}

/// The port in a line like `... listening on http://127.0.0.1:45119`.
fn listening_port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once(LISTENING)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|port| *port != 0)
}

async fn wait_for<T>(asked: Option<&mut Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

/// The next bytes; none at the end.
async fn read_some<'b>(stderr: Option<&mut ChildStderr>, buffer: &'b mut [u8; 4096]) -> Option<&'b [u8]> {
    let read = stderr?.read(buffer).await.ok()?;
    if read == 0 { None } else { Some(&buffer[..read]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_log() {
        for (line, port) in [
            ("0.00.010.989 I srv  llama_server: listening on http://127.0.0.1:45119", Some(45119)),
            ("main: server is listening on http://127.0.0.1:8123 - starting the main loop", Some(8123)),
            ("listening on http://127.0.0.1:0", None),
            ("listening on http://127.0.0.1:99999", None),
            ("listening on http://0.0.0.0:80", None),
            ("", None),
        ] {
            assert_eq!(listening_port(line), port, "{line}");
        }
    }
}
