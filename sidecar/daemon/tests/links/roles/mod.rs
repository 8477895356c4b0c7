//! This binary, told to be something other than tests: above all what else runs on a node.

mod engine;
mod relay;

use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) use self::engine::word;
use crate::harness::in_time;
use crate::net::{Net, address, missing};

/// Plays the role that the first argument names, until it is killed; `None` when it names none.
pub(crate) fn play(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    let role = arguments.next()?;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address = || -> SocketAddr { arguments.next().and_then(|text| text.parse().ok()).expect("an address") };
    match &*role {
        "be-relay" => runtime().block_on(relay::serve({ address }())),
        "measure" => runtime().block_on(async {
            if let Some(why) = missing() {
                println!("Not measured here: {why}.");
                return;
            }
            crate::measure::run().await;
            println!();
            crate::compare::run().await;
        }),
        "be-client" => runtime().block_on(crate::compare::ask(arguments)),
        "await" => runtime().block_on(crate::compare::listening(&arguments.next().expect("a place"))),
        "be-engine" => runtime().block_on(engine::serve({ address }())),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// A program on a node. Dropping it kills it.
pub(crate) struct Player {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    /// Starts a relay on a node; its URL comes with it.
    pub(crate) async fn relay(net: &Net, node: usize) -> (Self, String) {
        let address = SocketAddr::from((address(node), relay::PORT));
        (Self::start(net, node, "be-relay", address).await, format!("http://{address}"))
    }

    /// Starts an engine with the model `talk` on a node: it says a word every now and then, for ever.
    pub(crate) async fn engine(net: &Net, node: usize) -> Self {
        Self::start(net, node, "be-engine", engine::ADDRESS).await
    }

    async fn start(net: &Net, node: usize, role: &str, address: SocketAddr) -> Self {
        let mut words = net.starter(node).into_iter();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg(std::env::current_exe().expect("this program")).args([role, &address.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it can be started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut player = Self { child, lines };
        assert_eq!(player.line().await, "ready");
        player
    }

    /// The next thing it tells.
    pub(crate) async fn line(&mut self) -> String {
        let line = in_time("a line of the program", self.lines.next_line()).await.expect("it can be read");
        line.expect("the program runs")
    }

    /// Kills it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

/// URL of the engine on its own node.
pub(crate) fn engine_url() -> String {
    format!("http://{}", engine::ADDRESS)
}
