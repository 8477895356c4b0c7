//! What a link costs by each way over it: a peer's model, plain HTTP to its llama-server, and the same through an SSH
//! tunnel. Part of `npm run bench -- links`.
//!
//! The llama-server runs on one node and is asked from the other, where this binary plays the client. Requests to the
//! three alternate in one run. The client opens a connection for every request, as llama-server ends it after each
//! stream; that costs plain HTTP a round trip over the link, and the other two ways one on their own device.

use std::path::Path;
use std::process::{Command as Plain, Stdio};
use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::EngineSpec;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::harness::story::{self, offers};
use crate::harness::{fixture, in_time, llama_server, web};
use crate::load::{Target, first_token, stream_tokens};
use crate::net::{Net, Quality, address};
use crate::stats::{median, percentile};

/// The model; it writes until it is told to stop.
const MODEL: &str = "endless";
/// Where llama-server listens on its node.
const ENGINE_PORT: u16 = 8_081;
/// Where the SSH server listens on that node, and the tunnel's near end on the other.
const SSH_PORT: u16 = 2_222;
const TUNNEL_PORT: u16 = 8_082;
/// Questions by each way over each link.
const QUESTIONS: usize = 40;
/// Streams for the rate, and tokens of each.
const RATE_ROUNDS: usize = 5;
const RATE_TOKENS: u32 = 400;
/// Debian's place for it; it insists on being started by its full path.
const SSH_SERVER: &str = "/usr/sbin/sshd";

/// Prints the table.
pub(crate) async fn run() {
    let net = Net::new(2);
    let _engine = engine(&net).await;
    let (desk, lap) = (net.place(0, "Desk").start().await, net.place(1, "Lap").start().await);
    let spec = EngineSpec { url: format!("http://127.0.0.1:{ENGINE_PORT}"), kind: None, key: None };
    desk.control.engine_add(spec).await.expect("it answers");
    story::pair(&desk, &lap).await;
    offers(&lap, &desk, MODEL).await;
    let folder = tempfile::tempdir().expect("a folder");
    let tunnel = Tunnel::dig(&net, folder.path()).await;
    let mut ways = vec![
        format!("plain HTTP=http://{}:{ENGINE_PORT}/v1={MODEL}", address(0)),
        format!("a peer's model={}=Desk/{MODEL}", lap.api()),
    ];
    match &tunnel {
        Ok(_) => ways.insert(1, format!("SSH tunnel=http://127.0.0.1:{TUNNEL_PORT}/v1={MODEL}")),
        Err(why) => println!("No SSH tunnel is compared with: {why}.\n"),
    }
    println!("| link (round trip) | way | first word p50 | p95 | tokens/s | of plain HTTP |");
    println!("|---|---|---|---|---|---|");
    for (name, each_way) in [("none", 0), ("20 ms", 10), ("80 ms", 40)] {
        net.set(Quality::delay(each_way));
        let mut words = net.starter(1).into_iter();
        let mut client = Command::new(words.next().expect("a program"));
        client.args(words).arg(std::env::current_exe().expect("this program")).args(["be-client", name]).args(&ways);
        let client = client.stdin(Stdio::null()).kill_on_drop(true).status();
        let ended = tokio::time::timeout(Duration::from_secs(300), client).await.expect("in time");
        assert!(ended.expect("it can be started").success(), "the client failed");
    }
}

/// The client's part, on its own node: asks by all ways in turn and prints a line for each.
pub(crate) async fn ask(mut arguments: impl Iterator<Item = String>) {
    // The first one counts, a second one is no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let link = arguments.next().expect("the name of the link");
    let ways: Vec<String> = arguments.collect();
    let targets: Vec<Target> = ways
        .iter()
        .map(|way| {
            let [name, base, model] = way.split('=').collect::<Vec<_>>()[..] else { panic!("no way: {way}") };
            Target::new(name, base, model, None)
        })
        .collect();
    let (mut first, mut rates) = (vec![Vec::new(); targets.len()], vec![Vec::new(); targets.len()]);
    // The first two rounds let congestion control and the round trip settle.
    for round in 0..QUESTIONS + 2 {
        for step in 0..targets.len() {
            let which = (round + step) % targets.len();
            let took = first_token(&targets[which], round).await.expect("an answer");
            if round >= 2 {
                first[which].push(took.as_secs_f64() * 1e3);
            }
        }
    }
    for round in 0..RATE_ROUNDS {
        for step in 0..targets.len() {
            let which = (round + step) % targets.len();
            let load = stream_tokens(&targets[which], 1, RATE_TOKENS).await.expect("an answer");
            rates[which].push(f64::from(load.tokens) / load.wall.as_secs_f64());
        }
    }
    for (which, target) in targets.iter().enumerate() {
        let ratios: Vec<f64> = rates[which].iter().zip(&rates[0]).map(|(own, plain)| own / plain).collect();
        println!(
            "| {link} | {} | {:.1} ms | {:.1} ms | {:.0} | {:.1} % |",
            target.name,
            percentile(&first[which], 0.5),
            percentile(&first[which], 0.95),
            median(&rates[which]),
            median(&ratios) * 100.0
        );
    }
}

/// A llama-server on the first node, open to the other.
async fn engine(net: &Net) -> Child {
    let mut words = net.starter(0).into_iter();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).arg(llama_server()).args(["--host", "0.0.0.0", "--threads", "1", "--parallel", "2"]);
    command.args(["--port", &ENGINE_PORT.to_string(), "--alias", MODEL, "--model"]).arg(fixture(MODEL));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().expect("llama-server can be started");
    listens(net, 0, &format!("http://127.0.0.1:{ENGINE_PORT}/health")).await;
    child
}

/// Waits until something on a node takes connections at an address, or answers a URL well.
async fn listens(net: &Net, node: usize, place: &str) {
    let mut words = net.starter(node).into_iter();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).arg(std::env::current_exe().expect("this program")).args(["await", place]);
    let ended = in_time("the program", command.kill_on_drop(true).status()).await;
    assert!(ended.expect("it can be started").success());
}

/// Waits until something on this node takes connections at an address, or answers a URL well.
pub(crate) async fn listening(place: &str) {
    let ready = async || {
        if place.starts_with("http:") {
            return web().get(place).send().await.is_ok_and(|answer| answer.status().is_success());
        }
        TcpStream::connect(place).await.is_ok()
    };
    while !ready().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An SSH server on the first node, and a tunnel to it from the other.
struct Tunnel {
    _server: Child,
    _client: Child,
}

impl Tunnel {
    async fn dig(net: &Net, folder: &Path) -> Result<Self, String> {
        if !Path::new(SSH_SERVER).exists() {
            return Err("openssh-server is not installed".to_owned());
        }
        // It drops its rights into this folder.
        std::fs::create_dir_all("/run/sshd").map_err(|error| format!("/run/sshd cannot be made: {error}"))?;
        for name in ["host", "guest"] {
            let made =
                Plain::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(name)).status();
            made.ok().filter(std::process::ExitStatus::success).ok_or("ssh-keygen failed")?;
        }
        let settings = format!(
            "Port {SSH_PORT}\nHostKey {0}/host\nAuthorizedKeysFile {0}/guest.pub\nStrictModes no\nUsePAM no\n\
             PidFile {0}/pid\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nAllowTcpForwarding yes\n",
            folder.display()
        );
        std::fs::write(folder.join("sshd_config"), settings).map_err(|error| error.to_string())?;
        let start = |node: usize, program: &[&str]| {
            let mut words = net.starter(node).into_iter();
            let mut command = Command::new(words.next().expect("a program"));
            command.args(words).args(program);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            command.spawn().map_err(|error| format!("{} cannot be started: {error}", program[0]))
        };
        let path = |name: &str| folder.join(name).display().to_string();
        let server = start(0, &[SSH_SERVER, "-D", "-f", &path("sshd_config")])?;
        listens(net, 0, &format!("127.0.0.1:{SSH_PORT}")).await;
        let forward = format!("127.0.0.1:{TUNNEL_PORT}:127.0.0.1:{ENGINE_PORT}");
        let host = format!("root@{}", address(0));
        let (port, key) = (SSH_PORT.to_string(), path("guest"));
        let options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"];
        let way = ["-N", "-p", &port, "-i", &key, "-L", &forward, &host];
        let client = start(1, &[&["ssh"], &options[..], &way[..]].concat())?;
        listens(net, 1, &format!("127.0.0.1:{TUNNEL_PORT}")).await;
        Ok(Self { _server: server, _client: client })
    }
}
