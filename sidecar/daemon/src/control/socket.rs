//! The control socket: JSON-RPC over WebSocket on a socket (a named pipe on Windows) that only this user can reach.

use std::future::{Future, ready};
use std::io;
use std::path::Path;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, Methods, Server, ServerConfig, ServerHandle, StopHandle, TowerServiceBuilder,
    serve_with_graceful_shutdown, stop_channel,
};
use myownmesh_control::MAX_MESSAGE_BYTES;
use myownmesh_control::api::ControlApiServer;
use myownmesh_control::api::documents::DocumentsApiServer;
use myownmesh_control::api::lending::LendingApiServer;
use myownmesh_control::api::library::LibraryApiServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;
use tower::layer::util::Identity;
use tower::{BoxError, Service as _, service_fn};

use super::Control;

/// Most clients at once: windows, command lines, scripts.
const MAX_CLIENTS: u32 = 256;
/// Pause after a failed accept: the process is out of file descriptors, say.
const BREATHER: Duration = Duration::from_millis(50);
/// How long clients get to read the last words.
const GRACE: Duration = Duration::from_millis(200);

/// The contract as a service for connections of any kind.
#[derive(Clone)]
pub(crate) struct Rpc {
    methods: Methods,
    builder: TowerServiceBuilder<Identity, Identity>,
    stop: StopHandle,
    connections: TaskTracker,
}

/// Ends all connections.
pub(crate) struct RpcEnd {
    handle: ServerHandle,
    connections: TaskTracker,
}

impl Rpc {
    /// Serves `control`.
    pub(crate) fn new(control: Control) -> (Self, RpcEnd) {
        let config = ServerConfig::builder()
            .ws_only()
            .max_request_body_size(MAX_MESSAGE_BYTES)
            .max_response_body_size(MAX_MESSAGE_BYTES)
            .max_connections(MAX_CLIENTS)
            .set_batch_request_config(BatchRequestConfig::Limit(64))
            .build();
        let (stop, handle) = stop_channel();
        let connections = TaskTracker::new();
        let mut methods: Methods = ControlApiServer::into_rpc(control.clone()).into();
        // The names are fixed when this is compiled, and every test that starts a daemon passes here.
        methods.merge(DocumentsApiServer::into_rpc(control.clone())).expect("no two requests have one name");
        methods.merge(LendingApiServer::into_rpc(control.clone())).expect("no two requests have one name");
        methods.merge(LibraryApiServer::into_rpc(control)).expect("no two requests have one name");
        let rpc = Self {
            methods,
            builder: Server::builder().set_config(config).to_service_builder(),
            stop,
            connections: connections.clone(),
        };
        (rpc, RpcEnd { handle, connections })
    }

    /// Serves one connection; `admit` looks at its first request and may refuse it with a sentence.
    pub(super) fn serve<I>(
        &self,
        stream: I,
        admit: impl Fn(&Request<Incoming>) -> Result<(), &'static str> + Clone + Send + 'static,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let rpc = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let admitted = admit(&request);
            let mut service = rpc.builder.clone().build(rpc.methods.clone(), rpc.stop.clone());
            // Named, so that the compiler sees one error type through both arms.
            let answer: BoxFuture<'static, Result<Response<HttpBody>, BoxError>> = match admitted {
                Ok(()) => service.call(request),
                Err(message) => Box::pin(ready(Ok(refusal(message)))),
            };
            answer
        });
        let stopped = self.stop.clone().shutdown();
        let served = serve_with_graceful_shutdown(stream, service, stopped);
        // Mapped, not awaited in a block: the compiler cannot prove such a block `Send`.
        self.connections.spawn(served.map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(%error, "a control connection ended early");
            }
        }));
    }

    /// Takes connections from `accept` for ever.
    pub(super) async fn accept<I, F>(
        self,
        mut accept: impl FnMut() -> F,
        admit: impl Fn(&Request<Incoming>) -> Result<(), &'static str> + Clone + Send + 'static,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = io::Result<I>>,
    {
        loop {
            match accept().await {
                Ok(stream) => self.serve(stream, admit.clone()),
                Err(error) => {
                    tracing::warn!(%error, "a control connection could not be taken");
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    }
}

fn refusal(message: &str) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(format!("{message}\n")));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

impl RpcEnd {
    /// Ends what is left within moments.
    pub(crate) async fn end(self) {
        // Fails only when it was stopped before.
        let _ = self.handle.stop();
        self.connections.close();
        // Whoever does not read is cut when the process ends.
        let _ = tokio::time::timeout(GRACE, self.connections.wait()).await;
    }
}

/// Serves the socket at `path` until the returned future is dropped. The socket is there when this returns.
pub(crate) fn listen(rpc: Rpc, path: &Path) -> io::Result<impl Future<Output = ()> + Send + use<>> {
    platform::listen(rpc, path)
}

/// Unix runs in the tests; the Windows half is small and compiles only there.
mod platform {
    use std::future::Future;
    use std::io;
    use std::path::Path;

    use super::Rpc;

    #[cfg(unix)]
    pub(super) fn listen(rpc: Rpc, path: &Path) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        let listener = std::sync::Arc::new(tokio::net::UnixListener::bind(path)?);
        // Its folder keeps others out already; this says so on the socket itself.
        crate::platform::make_private_file(path)?;
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(path)?);
        let accept = move || {
            let listener = std::sync::Arc::clone(&listener);
            async move {
                loop {
                    let (stream, _) = listener.accept().await?;
                    // Modes can be changed by mistake; who is at the other end cannot.
                    match stream.peer_cred() {
                        Ok(peer) if peer.uid() == owner || peer.uid() == 0 => return Ok(stream),
                        Ok(peer) => tracing::warn!(uid = peer.uid(), "another user at the control socket was refused"),
                        Err(error) => tracing::warn!(%error, "a client that cannot be told was refused"),
                    }
                }
            }
        };
        Ok(rpc.accept(accept, |_| Ok(())))
    }

    #[cfg(windows)]
    pub(super) fn listen(rpc: Rpc, path: &Path) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        use tokio::net::windows::named_pipe::ServerOptions;
        let name = path.as_os_str().to_owned();
        // The default access list lets in this user, administrators and the system.
        let mut waiting =
            Some(ServerOptions::new().first_pipe_instance(true).reject_remote_clients(true).create(&name)?);
        let accept = move || {
            let pipe =
                waiting.take().map_or_else(|| ServerOptions::new().reject_remote_clients(true).create(&name), Ok);
            async move {
                let pipe = pipe?;
                pipe.connect().await?;
                Ok(pipe)
            }
        };
        Ok(rpc.accept(accept, |_| Ok(())))
    }
}
