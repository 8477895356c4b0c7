//! A network namespace with one TUN device: what a machine with one network card is to a process in it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tun_rs::{DeviceBuilder, SyncDevice};

/// Names start with it, then comes the number of the process that made them.
const PREFIX: &str = "myownmesh-links-";
/// The device in each namespace.
const DEVICE: &str = "link0";

/// A namespace. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace, and the outer end of its device.
    pub(crate) fn new() -> Result<(Self, SyncDevice), String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        ip(&["netns", "add", &name])?;
        // From here on it is removed again, whatever fails.
        let namespace = Self { name };
        let outside = format!("mlt{}x{number}", std::process::id());
        let device = DeviceBuilder::new().name(&outside).enable(false).build_sync();
        let device = device.map_err(|error| format!("a TUN device cannot be made: {error}"))?;
        ip(&["link", "set", &outside, "netns", &namespace.name, "name", DEVICE])?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        namespace.ip(&["link", "set", DEVICE, "up"])?;
        Ok((namespace, device))
    }

    /// Gives it an address, and the route to all others through it.
    pub(crate) fn add(&self, address: Ipv4Addr) {
        self.ip(&["addr", "add", &format!("{address}/24"), "dev", DEVICE]).expect("an address can be added");
        // Whatever is outside leaves through the device too, where it is seen; and multicast finds its way.
        self.ip(&["route", "replace", "default", "dev", DEVICE, "src", &address.to_string()]).expect("a route");
    }

    /// Removes the route to everything that has none of its own.
    pub(crate) fn forget_default(&self) {
        self.ip(&["route", "del", "default"]).expect("there is one");
    }

    /// Takes an address away.
    pub(crate) fn remove(&self, address: Ipv4Addr) {
        self.ip(&["addr", "del", &format!("{address}/24"), "dev", DEVICE]).expect("an address can be removed");
    }

    /// What runs a program inside, and becomes it.
    pub(crate) fn starter(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_owned).to_vec()
    }

    fn ip(&self, arguments: &[&str]) -> Result<(), String> {
        ip(&[&["-n", &self.name], arguments].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            eprintln!("{error}");
        }
    }
}

/// Removes what test processes that were killed have left behind.
pub(crate) fn sweep() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // Another test may have been quicker.
            let _ = ip(&["netns", "del", &name.to_string_lossy()]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("`ip` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`ip {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
