//! The life of a daemon: start order, ready, one ordered shutdown.
//!
//! Start: lock, log, configuration, port, identity, database, engines, mesh, and only then the doors through which
//! others come in. End: the same backwards.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use myownmesh_compute::library::{DownloadError, HubUrl};
use myownmesh_compute::{Compute, ComputeConfig, EngineSpec, EngineUrl};
use myownmesh_control::VERSION;
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::types::Event;
use myownmesh_mesh::{DeviceName, Mesh, MeshConfig, RelayUrl};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::Activity;
use crate::api::{self, Api, Door, Parts, Requests};
use crate::catalogue::Showing;
use crate::chat::Answers;
use crate::config::{Config, ConfigFile};
use crate::control::Control;
use crate::control::socket::{self, Rpc, RpcEnd};
use crate::conversations::Conversations;
use crate::convert::OrControl;
use crate::daemon::{Daemon, Facts};
use crate::engines::SavedEngines;
use crate::events::Events;
use crate::home::HeldHome;
use crate::identity::{self, SecretsPolicy};
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::lending::Lending;
use crate::library::{Catalogues, Lent, Library, Notes};
use crate::options::DEFAULT_API_PORT;
pub use crate::options::{Ready, RelayChoice, ServeOptions};
use crate::permissions::Permissions;
use crate::planner::{Machine, Rates};
use crate::prompts::Prompts;
use crate::scopes::Scopes;
use crate::store::{self, Store};
use crate::streams::Streams;
use crate::text::{quotable, sentence};
use crate::{builtin, feeds, log, platform};

/// How many steps of one attempt to join are kept; there are about five.
const KEPT_STEPS: usize = 64;
/// How long answers and local connections get to say their last words.
const LAST_WORDS: Duration = Duration::from_millis(400);
/// How long engines and links get to end; both promise less than two seconds.
const PARTS_TIME: Duration = Duration::from_millis(2100);

/// Runs a daemon until it is asked to end (SIGTERM, SIGINT, `daemon_stop`); calls `ready` once, when it serves.
///
/// # Errors
/// What kept it from starting, as a sentence with the next step: [`ErrorCode::HomeInUse`],
/// [`ErrorCode::HomeUnusable`], [`ErrorCode::PortInUse`], [`ErrorCode::InvalidArgument`], ...
pub async fn run(options: ServeOptions, ready: impl FnOnce(&Ready) + Send) -> Result<(), ControlError> {
    // iroh builds reqwest without a default: whoever comes first installs one, a second time is no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let home = HeldHome::take(options.home.clone()).or_control()?;
    log::start(&home.join("logs"));
    let asked_to_end = tokio::spawn(asked_to_end());
    // Boxed: it holds every part while it starts them, and this future is held by others.
    let running = Box::pin(Running::start(home, &options)).await?;
    ready(&running.ready);
    tracing::info!(device = running.ready.device_id, api = running.ready.api, "ready");
    let stop = running.daemon.stop.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        _ = asked_to_end => running.daemon.events.push(Event::Stopping),
    }
    running.shut_down().await;
    Ok(())
}

/// Completes when the system asks for the end; a system that cannot ask leaves that to `daemon_stop`.
async fn asked_to_end() {
    if let Err(error) = platform::asked_to_end().await {
        tracing::warn!(%error, "signals are not heard; stop the daemon with `myownmesh stop`");
        std::future::pending::<()>().await;
    }
}

/// What is settled before anything runs: flags over configuration over defaults.
struct Settings {
    device_name: DeviceName,
    api: Door,
    key_required: bool,
    listen: Vec<SocketAddr>,
    relay: Option<RelayUrl>,
    hub: HubUrl,
}

impl Settings {
    fn settle(options: &ServeOptions, config: &Config, warnings: &mut Vec<String>) -> Result<Self, ControlError> {
        let invalid = |message: String| ControlError::new(ErrorCode::InvalidArgument, message);
        let device_name = match (&options.device_name, &config.device_name) {
            (Some(given), _) => DeviceName::parse(given).map_err(|error| invalid(sentence(&error)))?,
            (None, Some(saved)) => DeviceName::parse(saved).or_else(|error| {
                warnings.push(format!("device_name in config.toml is left out: {error}."));
                default_name()
            })?,
            (None, None) => default_name()?,
        };
        let relay = match options.relay.as_ref().or(config.relay.as_ref()) {
            None | Some(RelayChoice::Off) => None,
            Some(RelayChoice::Url(url)) => {
                Some(url.parse().map_err(|_| invalid(format!("\"{}\" is not the URL of a relay.", quotable(url))))?)
            }
        };
        let api = Door {
            ip: options.api_listen.or(config.api_listen).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port: options.api_port.or(config.api_port).unwrap_or(DEFAULT_API_PORT),
        };
        // Whoever reaches the network could use it otherwise.
        let key_required = !api.ip.is_loopback() || config.api_requires_key == Some(true);
        let listen = options.listen.or(config.listen).into_iter().collect();
        let hub = match &config.hub {
            Some(hub) => hub.clone(),
            None => HubUrl::parse(HubUrl::DEFAULT).map_err(DownloadError::from).or_control()?,
        };
        Ok(Self { device_name, api, key_required, listen, relay, hub })
    }
}

fn default_name() -> Result<DeviceName, ControlError> {
    let host = platform::host_name().and_then(|name| DeviceName::parse(&name).ok());
    host.map_or_else(|| DeviceName::parse(&format!("{} device", platform::os_name())), Ok)
        .map_err(|error| ControlError::new(ErrorCode::Internal, sentence(&error)))
}

async fn bind_api(door: Door) -> Result<(TcpListener, Door), ControlError> {
    let Door { ip, port } = door;
    let bound = async {
        let listener = api::bind(ip, port).await?;
        let port = listener.local_addr()?.port();
        Ok::<_, io::Error>((listener, Door { ip, port }))
    };
    bound.await.map_err(|error| {
        let cause = if error.kind() == io::ErrorKind::AddrInUse { "is taken by another program" } else { "cannot be used" };
        let message = format!(
            "Port {port} of the local API at {ip} {cause} ({error}). Stop that program, or start with --api-port 0 for any free port."
        );
        ControlError::new(ErrorCode::PortInUse, message)
    })
}

/// Where programs of this device find the API.
fn api_url(door: Door) -> String {
    let ip = if door.ip.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { door.ip };
    format!("http://{}/v1", SocketAddr::new(ip, door.port))
}

/// The engines to begin with: saved ones, then those of the command line that are not among them.
fn engine_specs(saved: Vec<EngineSpec>, urls: &[String]) -> Result<Vec<EngineSpec>, ControlError> {
    let mut specs = saved;
    for url in urls {
        let spec = EngineSpec::from_url(EngineUrl::parse(url).or_control()?);
        if specs.iter().all(|known| known.id != spec.id && known.url != spec.url) {
            specs.push(spec);
        }
    }
    Ok(specs)
}

/// A daemon that serves.
struct Running {
    daemon: Arc<Daemon>,
    ready: Ready,
    store: Store,
    /// Local API and feeds; they end by the stop.
    tasks: TaskTracker,
    /// Listeners of the control contract; they end by being dropped.
    doors: tokio::task::JoinSet<()>,
    rpc_end: RpcEnd,
    socket: PathBuf,
    home: HeldHome,
}

impl Running {
    async fn start(home: HeldHome, options: &ServeOptions) -> Result<Self, ControlError> {
        let stop = CancellationToken::new();
        let config_file = ConfigFile::at(home.join("config.toml"));
        let (config, mut warnings) = config_file.load().or_control()?;
        let settings = Settings::settle(options, &config, &mut warnings)?;
        let (listener, door) = bind_api(settings.api).await?;

        let policy = SecretsPolicy::parse(std::env::var("MYOWNMESH_SECRETS").ok().as_deref()).or_control()?;
        let identity = identity::load(home.path(), policy).await.or_control()?;
        let database = home.join("device.sqlite");
        let (store, told) = Store::open(&database).or_control()?;
        warnings.extend(told);
        let engines = SavedEngines::new(store.clone(), identity.secrets.clone());
        let (saved, told) = engines.load().await.or_control()?;
        warnings.extend(told);
        let lending = Lending::start(store.clone()).await.or_control()?;
        let scopes = Scopes::start(store.clone()).await.or_control()?;
        let conversations = Conversations::start(store.clone()).await.or_control()?;
        let showing = Showing::start(store.clone()).await.or_control()?;
        let notes = Notes::start(store.clone()).await.or_control()?;
        let keys = Keys::start(store.clone(), settings.key_required).await.or_control()?;

        let builtin = options.builtin_engine.then(|| builtin::config(home.path(), |name| std::env::var_os(name)));
        let builtin = builtin.map(|engine| builtin::with_settings(engine, &config, &notes));
        let engine_specs = engine_specs(saved, &options.engines)?;
        let compute = ComputeConfig { engines: engine_specs, builtin, discover_ollama: true };
        let compute = Compute::start(compute).await.or_control()?;
        let events = Events::new();
        let activity = Activity::start(store.clone(), events.clone(), stop.clone()).await.or_control()?;
        let ledger = Ledger::start(store.clone(), lending.clone(), events.clone(), stop.clone()).await.or_control()?;
        let rates = Rates::start(store.clone(), stop.clone()).await.or_control()?;
        let machine = Machine::follow(stop.clone());
        let api = Api::new(Parts {
            compute: compute.clone(),
            lending: lending.clone(),
            scopes: scopes.clone(),
            activity: activity.clone(),
            ledger: ledger.clone(),
            rates: rates.clone(),
            machine: machine.clone(),
        });
        let catalogues = Catalogues::start(store.clone(), home.join("catalogues")).await.or_control()?;
        let lent = Lent::new(home.join("models"), store.clone(), catalogues.clone(), stop.clone());
        let mesh = Mesh::start(MeshConfig {
            secret: identity.secret,
            device_name: settings.device_name,
            os: platform::os_name().to_owned(),
            app_version: VERSION.to_owned(),
            listen: settings.listen,
            relay: settings.relay,
            mdns: options.mdns,
            database: store::connect(&database).or_control()?,
            service: api.service().merge(api::model_files(api.clone(), lent.clone())),
        })
        .await
        .or_control()?;
        api.connect(mesh.clone());

        let facts = Facts {
            identity_store: identity.secrets.place(),
            api_url: api_url(door),
            api_beyond_loopback: !door.ip.is_loopback(),
            models: home.join("models"),
            warnings,
        };
        let daemon = Arc::new(Daemon {
            permissions: Permissions::start(
                store.clone(),
                mesh.clone(),
                events.clone(),
                activity.clone(),
                stop.clone(),
            ),
            answers: Answers::new(api.clone(), conversations.clone(), events.clone(), stop.clone()),
            activity,
            notices: watch::Sender::new(Vec::new()),
            joins: Streams::start(KEPT_STEPS, stop.clone()),
            library: Library::start(
                (compute.clone(), mesh.clone()),
                (notes, lent, catalogues),
                facts.models.clone(),
                settings.hub,
                stop.clone(),
            ),
            config: config_file,
            prompts: Prompts::new(mesh.clone()),
            showing,
            mesh,
            compute,
            api,
            lending,
            machine,
            rates,
            ledger,
            scopes,
            conversations,
            engines,
            requests: Requests::start(events.clone(), stop.clone()),
            keys,
            events,
            facts,
            stop,
        });
        Self::open_doors(daemon, home, store, (listener, door), options).await
    }

    /// The last part of the start: from here on others can come in.
    async fn open_doors(
        daemon: Arc<Daemon>,
        home: HeldHome,
        store: Store,
        (listener, door): (TcpListener, Door),
        options: &ServeOptions,
    ) -> Result<Self, ControlError> {
        let tasks = TaskTracker::new();
        feeds::start(&daemon, &tasks);
        tasks.spawn(api::serve(
            listener,
            daemon.api.local(door, daemon.keys.clone(), daemon.requests.clone()),
            daemon.stop.clone(),
        ));
        let (rpc, rpc_end) = Rpc::new(Control::new(Arc::clone(&daemon)));
        let mut doors = tokio::task::JoinSet::new();
        let bridge = open_bridge(&rpc, options.bridge_port, &mut doors).await?;
        let socket = home.socket_path().or_control()?;
        let serving = socket::listen(rpc, &socket).map_err(|error| {
            let message = format!("The control socket {} cannot be made: {error}.", socket.display());
            ControlError::new(ErrorCode::HomeUnusable, message)
        })?;
        doors.spawn(serving);
        home.announce(&socket).or_control()?;
        let mesh = daemon.picture();
        let ready = Ready {
            version: VERSION.to_owned(),
            device_id: mesh.device_id.to_string(),
            device_name: mesh.device_name.to_string(),
            api: daemon.facts.api_url.clone(),
            control: socket.clone(),
            listen: mesh.listen.iter().map(ToString::to_string).collect(),
            bridge,
        };
        for warning in &daemon.facts.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { daemon, ready, store, tasks, doors, rpc_end, socket, home })
    }

    /// The one way down, under three seconds: no new work, last words, engines and links, clients, home.
    async fn shut_down(mut self) {
        tracing::info!("stopping");
        self.doors.shutdown().await;
        self.daemon.stop.cancel();
        let last_words = async {
            self.daemon.answers.ended().await;
            self.daemon.joins.ended().await;
            self.daemon.library.ended().await;
            self.daemon.activity.ended().await;
            self.daemon.rates.ended().await;
            self.daemon.ledger.ended().await;
            self.tasks.close();
            self.tasks.wait().await;
        };
        in_time("answers", LAST_WORDS, last_words).await;
        let mesh = in_time("links", PARTS_TIME, self.daemon.mesh.shutdown());
        let compute = in_time("engines", PARTS_TIME, self.daemon.compute.clone().shutdown());
        tokio::join!(mesh, compute);
        if let Err(error) = self.store.settle().await {
            tracing::warn!(%error, "the database was left as it is");
        }
        // Clients see the connection close only now, so that its end means that the home is free.
        self.home.withdraw(&self.socket);
        self.rpc_end.end().await;
        tracing::info!("stopped");
    }
}

async fn in_time(what: &str, limit: Duration, end: impl Future<Output = ()>) {
    if tokio::time::timeout(limit, end).await.is_err() {
        tracing::warn!(what, "did not end in time and is cut off");
    }
}

#[cfg(debug_assertions)]
async fn open_bridge(
    rpc: &Rpc,
    port: Option<u16>,
    doors: &mut tokio::task::JoinSet<()>,
) -> Result<Option<String>, ControlError> {
    let Some(port) = port else { return Ok(None) };
    let opened = crate::control::bridge::open(rpc.clone(), port).await;
    let (url, serving) = opened.map_err(|error| {
        let message =
            format!("Port {port} of the bridge cannot be used ({error}). Choose another, or 0 for any free one.");
        ControlError::new(ErrorCode::PortInUse, message)
    })?;
    doors.spawn(serving);
    Ok(Some(url))
}

#[cfg(not(debug_assertions))]
async fn open_bridge(
    _rpc: &Rpc,
    port: Option<u16>,
    _doors: &mut tokio::task::JoinSet<()>,
) -> Result<Option<String>, ControlError> {
    match port {
        None => Ok(None),
        Some(_) => Err(ControlError::new(ErrorCode::InvalidArgument, "The bridge exists in development builds only.")),
    }
}
