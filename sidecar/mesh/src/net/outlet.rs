//! The one way from the endpoint to servers: relays and the lookup server.
//!
//! The endpoint is told to reach every server through this proxy, which listens on loopback, asks for a password, and
//! opens only to the servers that the settings name at that moment. So "nothing contacts the internet unless a setting
//! says so" does not depend on what a library does on its own, and a relay that is struck from the settings is cut off
//! at once: iroh itself would stay connected to the last relay for ever. UDP does not pass here: it goes to other devices,
//! and to a relay that is set, to ask for the address this device is seen at. What passes is encrypted end to end in any
//! case.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use iroh::RelayUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Most bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// A head must have come, and a server must have answered, within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most connections at once.
const MAX_CONNECTIONS: usize = 64;

/// A server: host in lower case without brackets, and port.
pub(crate) type Target = (String, u16);

/// Who may be reached.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Allowed {
    /// By the settings.
    standing: BTreeSet<Target>,
    /// For a while, with the number of those who asked.
    permits: BTreeMap<Target, usize>,
}

impl Allowed {
    fn contains(&self, target: &Target) -> bool {
        self.standing.contains(target) || self.permits.contains_key(target)
    }
}

/// Handle to the proxy. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    url: RelayUrl,
    allowed: watch::Sender<Allowed>,
}

/// Lets servers be reached until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    targets: Vec<Target>,
    allowed: watch::Sender<Allowed>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.allowed.send_modify(|allowed| {
            for target in &self.targets {
                if let Some(count) = allowed.permits.get_mut(target) {
                    *count -= 1;
                    if *count == 0 {
                        allowed.permits.remove(target);
                    }
                }
            }
        });
    }
}

impl Outlet {
    /// Starts the proxy, closed to everything; it ends with `stop`.
    pub(crate) async fn start(stop: CancellationToken) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let password = HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let address = listener.local_addr()?;
        let url = format!("http://mesh:{password}@{address}").parse::<RelayUrl>().map_err(io::Error::other)?;
        let (allowed, watching) = watch::channel(Allowed::default());
        let login: Arc<str> = format!("Basic {}", BASE64.encode(format!("mesh:{password}").as_bytes())).into();
        tokio::spawn(run(listener, watching, login, stop));
        Ok(Self { url, allowed })
    }

    /// The proxy's own address, with its password.
    pub(crate) fn url(&self) -> &RelayUrl {
        &self.url
    }

    /// From now on exactly these servers may be reached; connections to others are cut.
    pub(crate) fn set(&self, servers: impl IntoIterator<Item = RelayUrl>) {
        let standing: BTreeSet<Target> = servers.into_iter().filter_map(|url| target_of(&url)).collect();
        self.allowed.send_if_modified(|allowed| {
            let changed = allowed.standing != standing;
            allowed.standing = standing;
            changed
        });
    }

    /// Lets these servers be reached beside the others until the permit is dropped: a person opened an invite.
    pub(crate) fn permit(&self, servers: impl IntoIterator<Item = RelayUrl>) -> Permit {
        let targets: Vec<Target> = servers.into_iter().filter_map(|url| target_of(&url)).collect();
        self.allowed.send_modify(|allowed| {
            for target in &targets {
                *allowed.permits.entry(target.clone()).or_default() += 1;
            }
        });
        Permit { targets, allowed: self.allowed.clone() }
    }

    /// Whether this server may be reached now.
    #[cfg(test)]
    pub(crate) fn allows(&self, url: &RelayUrl) -> bool {
        target_of(url).is_some_and(|target| self.allowed.borrow().contains(&target))
    }
}

/// Host and port of a server's address.
pub(crate) fn target_of(url: &RelayUrl) -> Option<Target> {
    let host = url.host_str()?.trim_matches(['[', ']']).to_ascii_lowercase();
    Some((host, url.port_or_known_default()?))
}

async fn run(listener: TcpListener, allowed: watch::Receiver<Allowed>, login: Arc<str>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, allowed.clone(), login.clone()));
                }
                Err(error) => {
                    // Out of file handles, most likely; trying again at once would only burn the processor.
                    tracing::warn!(%error, "the way out to servers is blocked for a moment");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

async fn serve(mut client: TcpStream, mut allowed: watch::Receiver<Allowed>, login: Arc<str>) {
    let Ok(Ok((head, rest))) = tokio::time::timeout(PATIENCE, read_head(&mut client)).await else { return };
    let Some(request) = Request::parse(&head) else { return refuse(&mut client, "400 Bad Request").await };
    if request.login != Some(&*login) {
        return refuse(&mut client, "407 Proxy Authentication Required").await;
    }
    if !allowed.borrow().contains(&request.target) {
        tracing::debug!(server = request.target.0, "kept from a server that no setting names");
        return refuse(&mut client, "403 Forbidden").await;
    }
    let (host, port) = (request.target.0.as_str(), request.target.1);
    let connected = tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await;
    let Ok(Ok(mut server)) = connected else { return refuse(&mut client, "502 Bad Gateway").await };
    // Small frames of one conversation; waiting to fill packets would only add delay.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let begun = if request.tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() && rest.is_empty()
    } else {
        server.write_all(request.forwarded.as_bytes()).await.is_ok() && server.write_all(&rest).await.is_ok()
    };
    if begun {
        let target = request.target.clone();
        tokio::select! {
            _ = allowed.wait_for(|allowed| !allowed.contains(&target)) => {}
            _ = copy_bidirectional(&mut client, &mut server) => {}
        }
    }
}

async fn refuse(client: &mut TcpStream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever does not read it has gone away.
    let _ = client.write_all(answer.as_bytes()).await;
}

/// Reads up to the empty line; returns the head, and what came behind it.
async fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = String::from_utf8(bytes).map_err(io::Error::other)?;
            return Ok((head, rest));
        }
        if bytes.len() > MAX_HEAD || stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// A request to the proxy.
struct Request<'a> {
    target: Target,
    /// `CONNECT`: everything behind the head belongs to the server.
    tunnel: bool,
    login: Option<&'a str>,
    /// What the server gets to see instead of the head.
    forwarded: String,
}

impl<'a> Request<'a> {
    fn parse(head: &'a str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, uri, version) = (first.next()?, first.next()?, first.next()?);
        let tunnel = method == "CONNECT";
        let url: RelayUrl = if tunnel { format!("http://{uri}").parse().ok()? } else { uri.parse().ok()? };
        if url.scheme() != "http" {
            return None;
        }
        let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut forwarded = format!("{method} {}{query} {version}\r\n", url.path());
        let mut login = None;
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("proxy-authorization") {
                login = Some(value.trim());
            } else if !name.eq_ignore_ascii_case("proxy-connection") {
                forwarded.push_str(line);
                forwarded.push_str("\r\n");
            }
        }
        forwarded.push_str("\r\n");
        Some(Self { target: target_of(&url)?, tunnel, login, forwarded })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RelayUrl {
        text.parse().expect("a URL")
    }

    /// A server that answers every connection with one line, and then echoes.
    async fn echo() -> RelayUrl {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        url(&format!("http://{address}"))
    }

    fn login(outlet: &Outlet) -> String {
        let secret = format!("mesh:{}", outlet.url().password().expect("a password"));
        format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(secret.as_bytes()))
    }

    async fn ask(outlet: &Outlet, request: &str) -> (TcpStream, String) {
        let mut stream =
            TcpStream::connect(("127.0.0.1", outlet.url().port().expect("a port"))).await.expect("the outlet");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut bytes = vec![0; 1024];
        let read = stream.read(&mut bytes).await.expect("an answer");
        bytes.truncate(read);
        (stream, String::from_utf8(bytes).expect("text"))
    }

    fn connect_to(server: &RelayUrl, login: &str) -> String {
        let (host, port) = target_of(server).expect("a target");
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n")
    }

    #[tokio::test]
    async fn only_servers_that_are_named_are_reached_and_only_with_the_password() {
        let stop = CancellationToken::new();
        let outlet = Outlet::start(stop.clone()).await.expect("an outlet");
        let server = echo().await;
        let login = login(&outlet);
        assert!(ask(&outlet, &connect_to(&server, &login)).await.1.starts_with("HTTP/1.1 403"));
        outlet.set([server.clone()]);
        assert!(ask(&outlet, &connect_to(&server, "")).await.1.starts_with("HTTP/1.1 407"));
        let (mut stream, answer) = ask(&outlet, &connect_to(&server, &login)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        stream.write_all(b"hello").await.expect("sent");
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.expect("echoed");
        assert_eq!(&bytes, b"hello");
        // Struck from the settings, it is cut off at once.
        outlet.set([]);
        assert_eq!(stream.read(&mut bytes).await.unwrap_or(0), 0);
        assert!(!outlet.allows(&server));
        stop.cancel();
    }

    #[tokio::test]
    async fn a_permit_lasts_as_long_as_it_is_held() {
        let outlet = Outlet::start(CancellationToken::new()).await.expect("an outlet");
        let server = url("https://Relay.example/");
        let (one, two) = (outlet.permit([server.clone()]), outlet.permit([server.clone()]));
        drop(one);
        assert!(outlet.allows(&url("https://relay.example:443")));
        assert!(!outlet.allows(&url("http://relay.example")));
        drop(two);
        assert!(!outlet.allows(&server));
    }

    #[tokio::test]
    async fn plain_requests_are_passed_on_without_the_password() {
        let outlet = Outlet::start(CancellationToken::new()).await.expect("an outlet");
        let server = echo().await;
        outlet.set([server.clone()]);
        let request = format!("GET {server}ping?a=b HTTP/1.1\r\nHost: x\r\n{}\r\n", login(&outlet));
        assert_eq!(ask(&outlet, &request).await.1, "GET /ping?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        let outlet = Outlet::start(CancellationToken::new()).await.expect("an outlet");
        for nonsense in ["\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "CONNECT :: HTTP/1.1\r\n\r\n"] {
            let (_, answer) = ask(&outlet, nonsense).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{nonsense:?}: {answer}");
        }
    }
}
