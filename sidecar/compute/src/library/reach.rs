//! Where a hub may lead. A hub answers with redirects, and a name can mean any address: without care, whoever runs one
//! could make this device ask its own router or another program on it.
//!
//! From a base address that a person chose, redirects may lead to public addresses; to private ones only on the base's
//! own host (a mirror in the office); to this machine only when the base itself is this machine; to addresses that are no
//! host's (link-local ones, where clouds keep secrets) never. Names are held to it when they are resolved, by the one
//! answer that is then connected to, so that a second answer cannot differ.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::url::is_loopback;

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Anywhere in the internet.
    Public,
    /// In somebody's own network.
    Private,
    /// This machine.
    Loopback,
    /// No host that a hub could lead to.
    Nowhere,
}

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => place_v6(address),
    }
}

/// By IANA's registry of special-purpose addresses. 198.18.0.0/15 counts as public: proxies on people's devices answer
/// with it for every name and carry the connection on themselves.
fn place_v4(address: Ipv4Addr) -> Place {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Place::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Place::Private,
        (0 | 224.., ..) | (169, 254, _) | (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) => Place::Nowhere,
        _ => Place::Public,
    }
}

fn place_v6(address: Ipv6Addr) -> Place {
    let v4 = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        place_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Loopback,
        // IPv4 in other clothes: mapped, translated (NAT64), tunnelled (6to4).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        // Teredo and documentation.
        [0x2001, 0 | 0xdb8, ..] => Place::Nowhere,
        [0x2000..=0x3fff, ..] => Place::Public,
        [0xfc00..=0xfdff, ..] => Place::Private,
        _ => Place::Nowhere,
    }
}

/// An address or a name leads where it must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotPublic {
    /// The host it was about.
    pub(super) host: String,
}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a public address", self.host)
    }
}

impl Error for NotPublic {}

/// Where a base address may lead. Also the resolver of the client that goes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    host: String,
    loopback: bool,
}

impl Reach {
    /// From this base.
    pub(super) fn of(base: &Url) -> Self {
        Self { host: base.host_str().unwrap_or_default().to_owned(), loopback: is_loopback(base) }
    }

    /// Holds a host that is written as a number to the rule; names are held to it when they are resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), NotPublic> {
        let host = url.host_str().unwrap_or_default();
        let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { return Ok(()) };
        if self.allows(host, address) { Ok(()) } else { Err(NotPublic { host: host.to_owned() }) }
    }

    fn allows(&self, host: &str, address: IpAddr) -> bool {
        match place(address) {
            Place::Public => true,
            Place::Private => host == self.host,
            Place::Loopback => self.loopback,
            Place::Nowhere => false,
        }
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|at| reach.allows(&host, at.ip())).collect();
            if allowed.is_empty() {
                return Err(NotPublic { host }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn reach(base: &str) -> Reach {
        Reach::of(&Url::parse(base).expect("an address"))
    }

    fn leads(reach: &Reach, to: &str) -> bool {
        reach.check(&Url::parse(to).expect("an address")).is_ok()
    }

    const ELSEWHERE: [&str; 14] = [
        "http://127.0.0.1/",
        "http://127.1.2.3:8080/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
        "http://[::ffff:192.168.0.1]/",
    ];
    const NEVER: [&str; 9] = [
        "http://0.0.0.0/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::]/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[ff02::1]/",
        "http://[::127.0.0.1]/",
        "http://192.0.2.1/",
    ];
    const PUBLIC: [&str; 4] =
        ["http://1.1.1.1/", "https://[2606:4700::1111]/", "http://172.32.0.1/", "https://cdn.example.org/"];

    #[test]
    fn a_public_hub_leads_to_public_addresses_only() {
        let hub = reach("https://hub.example.org/");
        ELSEWHERE.iter().chain(&NEVER).for_each(|to| assert!(!leads(&hub, to), "{to}"));
        PUBLIC.iter().for_each(|to| assert!(leads(&hub, to), "{to}"));
    }

    #[test]
    fn a_hub_in_the_office_leads_to_itself() {
        let hub = reach("http://192.168.1.1:8080/");
        assert!(leads(&hub, "http://192.168.1.1:9090/cdn"), "another port of the same host");
        assert!(!leads(&hub, "http://192.168.1.2/") && !leads(&hub, "http://127.0.0.1/"));
        PUBLIC.iter().for_each(|to| assert!(leads(&hub, to), "{to}"));
        NEVER.iter().for_each(|to| assert!(!leads(&hub, to), "{to}"));
    }

    #[test]
    fn a_hub_on_this_machine_leads_to_this_machine() {
        for base in ["http://127.0.0.1:8080/", "http://localhost:8080/", "http://[::1]:8080/"] {
            let hub = reach(base);
            assert!(leads(&hub, "http://127.0.0.1:9090/") && leads(&hub, "http://[::1]/"), "{base}");
            assert!(!leads(&hub, "http://192.168.1.1/"), "{base}");
            NEVER.iter().for_each(|to| assert!(!leads(&hub, to), "{to}"));
        }
    }

    #[tokio::test]
    async fn a_name_is_held_to_what_it_resolves_to() {
        let localhost = || Name::from_str("localhost").expect("a name");
        let error = reach("https://hub.example.org/").resolve(localhost()).await.err().expect("refused");
        assert_eq!(error.downcast_ref(), Some(&NotPublic { host: "localhost".to_owned() }));
        let mut found = reach("http://127.0.0.1:1/").resolve(localhost()).await.expect("allowed");
        assert!(found.all(|at| at.ip().is_loopback()));
        let own_name = reach("https://localhost.example.org/");
        assert!(!own_name.allows("localhost.example.org", IpAddr::from([127, 0, 0, 1])), "a name that turns inwards");
        assert!(own_name.allows("localhost.example.org", IpAddr::from([10, 0, 0, 1])), "a mirror by its name");
    }
}
