//! The task that owns the daemon: attach if one runs, else start one; watch it; find it again; end what was started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use myownmesh_control::client::{self, ControlClient};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::home::Home;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep, timeout};

use super::budget::{STARTS, StartBudget, WINDOW};
use super::process::{self, END_WITHIN, Launcher, Process};
use super::version::Version;
use super::{Request, ShellPhase, ShellState};

/// Waits between two tries to attach: from the first to the second, doubling.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a daemon that somebody else runs may be away (a restart, an update) before the app starts its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a failed or unfitting daemon is looked at again; somebody may have mended it.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// How often what the daemon left lying around is tidied up.
const TIDY: Duration = Duration::from_secs(60);

/// Called with every new state.
pub(super) type Announce = Box<dyn Fn(ShellState) + Send + Sync>;

/// Why there is no connection.
enum Obstacle {
    Mismatch(Version),
    Failed(ControlError),
}

/// Owns the daemon. See the module.
pub(super) struct Supervisor {
    inbox: mpsc::Receiver<Request>,
    screen: Screen,
    link: Link,
}

/// Tells others where we are.
struct Screen {
    state: watch::Sender<ShellState>,
    client: watch::Sender<Option<Arc<ControlClient>>>,
    announce: Announce,
}

/// The connection's other end.
struct Link {
    home: Home,
    launcher: Launcher,
    api_port: Option<u16>,
    process: Option<Process>,
    budget: StartBudget,
}

/// Why waiting ended early.
enum Interruption {
    /// Somebody wants something.
    Asked(Request),
    /// Every handle is gone: the app ends without a word.
    Abandoned,
}

/// What to do next.
enum Next {
    /// Attach, with this much patience, and start a daemon if there is none.
    Bring { patience: Duration },
    /// Look now and then whether one has come up that fits.
    Look,
}

impl Supervisor {
    pub(super) fn new(
        home: Home,
        launcher: Launcher,
        inbox: mpsc::Receiver<Request>,
        announce: Announce,
    ) -> (Self, watch::Receiver<ShellState>, watch::Receiver<Option<Arc<ControlClient>>>) {
        let (state, states) = watch::channel(ShellState {
            state: ShellPhase::Starting,
            message: "Looking for the daemon of this device.".to_owned(),
            code: None,
            expected: Version::expected().to_string(),
            found: None,
            log_path: None,
        });
        let (client, clients) = watch::channel(None);
        let link = Link { home, launcher, api_port: None, process: None, budget: StartBudget::default() };
        (Self { inbox, screen: Screen { state, client, announce }, link }, states, clients)
    }

    /// Runs until the app shuts down.
    pub(super) async fn run(mut self) {
        let mut next = Next::Bring { patience: Duration::ZERO };
        loop {
            let interruption = match self.attempt(&next).await {
                Ok(Ok(client)) => {
                    self.screen.attached(&client, self.link.log_path());
                    let interruption = self.until_lost(&client).await;
                    next = Next::Bring { patience: PATIENCE };
                    interruption
                }
                Ok(Err(obstacle)) => {
                    self.screen.obstacle(obstacle, self.link.log_path());
                    next = Next::Look;
                    continue;
                }
                Err(interruption) => Some(interruption),
            };
            match interruption {
                None => self.screen.say(ShellPhase::Lost, "The connection to the daemon was lost. Looking for it."),
                Some(Interruption::Asked(Request::Restart { api_port, done })) => {
                    self.screen.say(ShellPhase::Starting, "Restarting the daemon.");
                    self.link.api_port = api_port;
                    self.link.budget.refill();
                    let cleared = self.link.clear().await;
                    next = Next::Bring { patience: Duration::ZERO };
                    // Nobody waits for the answer any more if the window was reloaded.
                    let _ = done.send(cleared);
                }
                Some(Interruption::Asked(Request::Shutdown { done })) => {
                    self.link.end().await;
                    let _ = done.send(());
                    return;
                }
                Some(Interruption::Abandoned) => {
                    self.link.end().await;
                    return;
                }
            }
        }
    }

    /// Waits for the loss of the connection (`None`) or for somebody who wants something.
    async fn until_lost(&mut self, client: &ControlClient) -> Option<Interruption> {
        let mut tidy = interval(TIDY);
        let interruption = loop {
            tokio::select! {
                biased;
                request = self.inbox.recv() => break Some(request.into()),
                _ = client.on_disconnect() => break None,
                _ = tidy.tick() => self.link.tidy(),
            }
        };
        self.screen.client.send_replace(None);
        interruption
    }

    /// One try, unless somebody wants something in between.
    async fn attempt(&mut self, next: &Next) -> Result<Result<Arc<ControlClient>, Obstacle>, Interruption> {
        let Self { inbox, screen, link } = self;
        tokio::select! {
            biased;
            request = inbox.recv() => Err(request.into()),
            outcome = link.bring_up(next, screen) => Ok(outcome),
        }
    }
}

impl From<Option<Request>> for Interruption {
    fn from(request: Option<Request>) -> Self {
        request.map_or(Self::Abandoned, Self::Asked)
    }
}

impl Screen {
    fn show(&self, state: ShellState) {
        let changed = self.state.send_if_modified(|shown| {
            let changed = *shown != state;
            if changed {
                tracing::info!(state = ?state.state, "{}", state.message);
                *shown = state;
            }
            changed
        });
        if changed {
            (self.announce)(self.state.borrow().clone());
        }
    }

    fn say(&self, state: ShellPhase, message: &str) {
        let shown = self.state.borrow().clone();
        self.show(ShellState { state, message: message.to_owned(), code: None, found: None, ..shown });
    }

    fn attached(&self, client: &Arc<ControlClient>, log_path: Option<String>) {
        // The connection first: whoever hears of the state may use it at once.
        self.client.send_replace(Some(Arc::clone(client)));
        let expected = Version::expected().to_string();
        let message = format!("Connected to the daemon {expected}.");
        self.show(ShellState {
            state: ShellPhase::Attached,
            message,
            code: None,
            found: Some(expected.clone()),
            expected,
            log_path,
        });
    }

    fn obstacle(&self, obstacle: Obstacle, log_path: Option<String>) {
        let expected = Version::expected().to_string();
        self.show(match obstacle {
            Obstacle::Mismatch(found) => ShellState {
                state: ShellPhase::Mismatch,
                message: format!(
                    "The daemon that runs here is version {found}; this app needs {expected}. \
                     Restart the daemon to use the one that came with the app; if that does not help, install the app again."
                ),
                code: Some(ErrorCode::VersionMismatch),
                expected,
                found: Some(found.to_string()),
                log_path,
            },
            Obstacle::Failed(error) => ShellState {
                state: ShellPhase::Failed,
                message: error.message,
                code: Some(error.code),
                expected,
                found: None,
                log_path,
            },
        });
    }
}

impl Link {
    /// Attaches; starts a daemon where `next` says so.
    async fn bring_up(&mut self, next: &Next, screen: &Screen) -> Result<Arc<ControlClient>, Obstacle> {
        match next {
            Next::Look => loop {
                sleep(LOOK_AGAIN).await;
                if let Some(client) = self.attach().await? {
                    return Ok(client);
                }
            },
            Next::Bring { patience } => match self.attach_within(*patience).await? {
                Some(client) => Ok(client),
                None => self.start(screen).await,
            },
        }
    }

    /// A connection to a daemon that runs and fits; `None` when none runs.
    async fn attach(&self) -> Result<Option<Arc<ControlClient>>, Obstacle> {
        let Ok(client) = client::connect(&self.home).await else { return Ok(None) };
        let found = Version::ask(&client).await.map_err(Obstacle::Failed)?;
        if found == Version::expected() { Ok(Some(Arc::new(client))) } else { Err(Obstacle::Mismatch(found)) }
    }

    /// Attaches, trying again for as long as `patience` lasts and our own daemon, if there is one, has not ended.
    async fn attach_within(&mut self, patience: Duration) -> Result<Option<Arc<ControlClient>>, Obstacle> {
        let deadline = Instant::now() + patience;
        let (mut wait, longest) = RETRY;
        loop {
            let attached = self.attach().await?;
            let ended = self.process.as_mut().is_some_and(Process::has_ended);
            if attached.is_some() || ended || Instant::now() >= deadline {
                return Ok(attached);
            }
            sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
    }

    async fn start(&mut self, screen: &Screen) -> Result<Arc<ControlClient>, Obstacle> {
        let last_words = self.process.as_ref().map(Process::last_words);
        self.end().await;
        if !self.budget.take(Instant::now()) {
            return Err(Obstacle::Failed(ControlError::new(
                ErrorCode::Internal,
                format!(
                    "The daemon ended {STARTS} times within {} minutes and is not started again by itself. Restart it, or look at its log. {}",
                    WINDOW.as_secs() / 60,
                    last_words.unwrap_or_default()
                ),
            )));
        }
        screen.say(ShellPhase::Starting, "Starting the daemon.");
        let command = (self.launcher)().map_err(Obstacle::Failed)?;
        // Kept before the first wait: a request in between must find it and end it.
        let process =
            self.process.insert(Process::start(command, &self.home, self.api_port).map_err(Obstacle::Failed)?);
        let ready = process.ready().await;
        match ready {
            Ok(()) => {}
            // Somebody else started one at the same moment: theirs is as good.
            Err(error) if error.code == ErrorCode::HomeInUse => {
                self.end().await;
                return self.attach_within(PATIENCE).await?.ok_or(Obstacle::Failed(error));
            }
            Err(error) => return Err(Obstacle::Failed(error)),
        }
        self.attach_within(END_WITHIN).await?.ok_or_else(|| {
            let message = "The daemon says that it is ready, and its control socket cannot be reached. Restart it.";
            Obstacle::Failed(ControlError::new(ErrorCode::NoDaemon, message))
        })
    }

    /// Ends a daemon that we started, and none that we did not.
    async fn end(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(&self.home).await;
        }
    }

    /// Ends whichever daemon runs for this home: a person asked for it.
    async fn clear(&mut self) -> Result<(), ControlError> {
        self.end().await;
        let Ok(client) = client::connect(&self.home).await else { return Ok(()) };
        process::ask_to_stop(&self.home).await?;
        timeout(END_WITHIN, client.on_disconnect()).await.map(drop).map_err(|_| {
            let message = "The daemon that runs for this home does not end. End it yourself, then try again.";
            ControlError::new(ErrorCode::TimedOut, message)
        })
    }

    fn tidy(&self) {
        if let Some(process) = &self.process {
            process.trim_log();
        }
    }

    fn log_path(&self) -> Option<String> {
        self.process.as_ref().and_then(Process::log).map(|path| path.display().to_string())
    }
}
