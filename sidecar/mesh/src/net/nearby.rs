//! The local network: who is there, and what this device says of itself, by multicast DNS.
//!
//! Everything heard here is what somebody on the same Wi-Fi claims, without proof: names are cleaned, all of it is
//! bounded, and addresses are only hints for a dial that proves the device's key. What a device announces is its id and
//! addresses, its name, and, where the network's settings say so, the network's id and name; a device in no network
//! announces nothing and only listens.
//!
//! The announcement is the user data of iroh's mDNS record, a TXT string of at most 245 bytes: the digit `1`, then
//! base64url (without padding) of the postcard of [`Text`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, UdpSocket};
use std::pin::Pin;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures_util::{Stream, StreamExt as _};
use iroh::address_lookup::{AddressLookup as _, EndpointData, EndpointInfo, UserData};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::hello::Places;
use crate::api::{NearbyInfo, NearbyNetwork};
use crate::clock::now_ms;
use crate::proto::Millis;
use crate::proto::ids::{DeviceId, NetworkId};
use crate::proto::name::{DeviceName, NetworkName};

/// The DNS-SD service: `<device id>._myownmesh._udp.local`.
const SERVICE: &str = "myownmesh";
/// How often the local network is asked. A device is missed after about three times as long.
const CADENCE: Duration = Duration::from_secs(2);
/// Most devices that are kept.
const MAX_DEVICES: usize = 64;
/// Most bytes of each name in an announcement; longer ones are cut.
const MAX_NETWORK_NAME: usize = 80;
const MAX_DEVICE_NAME: usize = 56;
/// The first byte of an announcement.
const VERSION: &str = "1";
/// What was heard by an earlier listener and not again within this time is gone.
const CONFIRM: Duration = Duration::from_secs(15);
/// Listening begins anew this often: events that were lost to a flood cannot be missed for longer.
const RENEW: Duration = Duration::from_secs(600);
/// How often it is tried again after it could not be started.
const RETRY: Duration = Duration::from_secs(5);
/// The group and port of multicast DNS (RFC 6762).
const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);

/// What this device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Its name.
    pub(crate) name: DeviceName,
    /// The network that may be knocked at.
    pub(crate) network: Option<(NetworkId, NetworkName)>,
}

/// [`Announcement`] as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    name: String,
    network: Option<(NetworkId, String)>,
}

impl Announcement {
    fn encode(&self) -> Option<UserData> {
        let text = Text {
            name: cut(self.name.as_str(), MAX_DEVICE_NAME).to_owned(),
            network: self.network.as_ref().map(|(id, name)| (*id, cut(name.as_str(), MAX_NETWORK_NAME).to_owned())),
        };
        let bytes = postcard::to_stdvec(&text).ok()?;
        UserData::try_from(format!("{VERSION}{}", BASE64URL_NOPAD.encode(&bytes))).ok()
    }

    fn decode(data: &UserData) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(data.as_ref().strip_prefix(VERSION)?.as_bytes()).ok()?;
        let text: Text = postcard::from_bytes(&bytes).ok()?;
        let name = DeviceName::parse(&text.name).ok()?;
        let network = text.network.and_then(|(id, name)| Some((id, NetworkName::parse(&name).ok()?)));
        Some(Self { name, network })
    }
}

/// The longest beginning of `text` that fits.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// A device on the local network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it says, if that could be read.
    pub(crate) announcement: Option<Announcement>,
    /// Where it says it is.
    pub(crate) places: Places,
    /// When it was first heard in this run.
    since: Millis,
    /// Which listener heard it last.
    listener: u64,
}

/// Devices on the local network.
pub(crate) type Found = BTreeMap<DeviceId, Seen>;

struct Running {
    service: MdnsAddressLookup,
    events: Pin<Box<dyn Stream<Item = DiscoveryEvent> + Send>>,
    since: Instant,
}

/// See the module's head.
pub(crate) struct Nearby {
    me: DeviceId,
    /// Whether this device uses multicast DNS at all, and whether the network does.
    allowed: bool,
    enabled: bool,
    announcement: Option<Announcement>,
    data: EndpointData,
    members: BTreeSet<DeviceId>,
    running: Option<Running>,
    /// Number of the listener.
    listener: u64,
    retry_at: Instant,
    fault: Option<String>,
    seen: Found,
    news: BTreeMap<DeviceId, Places>,
}

impl Nearby {
    /// Silent until enabled.
    pub(crate) fn new(me: DeviceId, allowed: bool) -> Self {
        Self {
            me,
            allowed,
            enabled: false,
            announcement: None,
            data: EndpointData::default(),
            members: BTreeSet::new(),
            running: None,
            listener: 0,
            retry_at: Instant::now(),
            fault: None,
            seen: Found::new(),
            news: BTreeMap::new(),
        }
    }

    /// Whether the active network uses multicast DNS.
    pub(crate) fn enable(&mut self, enabled: bool) {
        self.enabled = enabled && self.allowed;
        if !self.enabled {
            self.running = None;
            self.fault = None;
            for (device, _) in std::mem::take(&mut self.seen) {
                self.news.insert(device, Places::default());
            }
        }
    }

    /// What to say from now on.
    pub(crate) fn announce(&mut self, announcement: Option<Announcement>) {
        if self.announcement != announcement {
            self.announcement = announcement;
            // A record that was taken back has to be gone, not only overwritten.
            self.begin_anew();
        }
    }

    /// Whose places are of use.
    pub(crate) fn members(&mut self, members: BTreeSet<DeviceId>) {
        if self.members != members {
            let fresh = members.difference(&self.members);
            let news = fresh.filter_map(|device| Some((*device, self.seen.get(device)?.places.clone())));
            self.news.extend(news.collect::<Vec<_>>());
            self.members = members;
        }
    }

    /// The interfaces may be others now: groups are joined anew.
    pub(crate) fn network_changed(&mut self) {
        self.begin_anew();
    }

    /// This device is here now.
    pub(crate) fn moved(&mut self, data: EndpointData) {
        self.data = data;
        self.publish();
    }

    fn begin_anew(&mut self) {
        self.running = None;
        self.retry_at = Instant::now();
    }

    fn publish(&self) {
        let (Some(running), Some(announcement)) = (&self.running, &self.announcement) else { return };
        let mut data = self.data.clone();
        data.set_user_data(announcement.encode());
        running.service.publish(&data);
    }

    /// Starts to listen, if that is due.
    pub(crate) async fn settle(&mut self) {
        if !self.enabled || self.running.is_some() || Instant::now() < self.retry_at {
            return;
        }
        self.retry_at = Instant::now() + RETRY;
        self.fault = multicast_fault();
        if self.fault.is_some() {
            return;
        }
        let service = MdnsAddressLookup::builder()
            .service_name(SERVICE)
            .discovery_cadence(CADENCE)
            .advertise(self.announcement.is_some())
            .build(self.me.into());
        match service {
            Ok(service) => {
                let events = Box::pin(service.subscribe().await);
                self.listener += 1;
                self.running = Some(Running { service, events, since: Instant::now() });
                self.publish();
            }
            Err(error) => {
                tracing::warn!(%error, "the local network cannot be listened to");
                self.fault = Some(format!("The local network cannot be listened to: {error}."));
            }
        }
    }

    /// Waits for something to be heard, and takes note of it; for ever while nothing listens.
    pub(crate) async fn heard(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        match running.events.next().await {
            Some(DiscoveryEvent::Discovered { endpoint_info, .. }) => self.note(&endpoint_info),
            Some(DiscoveryEvent::Expired { endpoint_id }) => self.forget(endpoint_id.into()),
            Some(_) => {}
            None => {
                self.running = None;
                self.retry_at = Instant::now() + RETRY;
            }
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self) {
        let Some(running) = &self.running else { return };
        if running.since.elapsed() >= CONFIRM {
            let listener = self.listener;
            let gone: Vec<DeviceId> =
                self.seen.iter().filter(|(_, seen)| seen.listener != listener).map(|(device, _)| *device).collect();
            gone.into_iter().for_each(|device| self.forget(device));
        }
        if running_for(self.running.as_ref()) >= RENEW {
            self.begin_anew();
        }
    }

    fn note(&mut self, info: &EndpointInfo) {
        let device = DeviceId::from(info.endpoint_id);
        if device == self.me || !self.make_room(device) {
            return;
        }
        let relay = info.relay_urls().next().map(ToString::to_string);
        let places = Places::new(info.ip_addrs().copied(), relay);
        let seen = Seen {
            announcement: info.user_data().and_then(Announcement::decode),
            places: places.clone(),
            since: self.seen.get(&device).map_or_else(now_ms, |seen| seen.since),
            listener: self.listener,
        };
        let moved = self.seen.insert(device, seen).is_none_or(|old| old.places != places);
        if moved && self.members.contains(&device) {
            self.news.insert(device, places);
        }
    }

    /// Whether `device` fits in. Members are worth more than strangers.
    fn make_room(&mut self, device: DeviceId) -> bool {
        if self.seen.contains_key(&device) || self.seen.len() < MAX_DEVICES {
            return true;
        }
        let stranger = self.seen.keys().find(|seen| !self.members.contains(seen)).copied();
        match stranger {
            Some(stranger) if self.members.contains(&device) => {
                self.seen.remove(&stranger);
                true
            }
            _ => false,
        }
    }

    fn forget(&mut self, device: DeviceId) {
        if self.seen.remove(&device).is_some() && self.members.contains(&device) {
            self.news.insert(device, Places::default());
        }
    }

    /// Members whose places have changed since the last call; empty ones are gone.
    pub(crate) fn take_news(&mut self) -> BTreeMap<DeviceId, Places> {
        std::mem::take(&mut self.news)
    }

    /// Who is there, for screens.
    pub(crate) fn infos(&self) -> Vec<NearbyInfo> {
        let info = |(device, seen): (&DeviceId, &Seen)| {
            let Announcement { name, network } = seen.announcement.clone()?;
            let network = network.map(|(id, name)| NearbyNetwork { id, name });
            Some(NearbyInfo { device_id: *device, name, network, since: seen.since })
        };
        let mut infos: Vec<NearbyInfo> = self.seen.iter().filter_map(info).collect();
        infos.sort_by(|a, b| (&a.name, a.device_id).cmp(&(&b.name, b.device_id)));
        infos
    }

    /// Who is there, and where.
    pub(crate) fn found(&self) -> Found {
        self.seen.clone()
    }

    /// Why nothing can be found, as a sentence.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

fn running_for(running: Option<&Running>) -> Duration {
    running.map_or(Duration::ZERO, |running| running.since.elapsed())
}

/// Why multicast cannot work here: without a route the packets go nowhere, and nobody says so. Sends nothing.
fn multicast_fault() -> Option<String> {
    let looked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect(GROUP));
    looked
        .err()
        .map(|_| "There is no multicast route here, so devices on the local network cannot be found.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(seed: u8) -> DeviceId {
        DeviceId::from(iroh::SecretKey::from_bytes(&[seed; 32]).public())
    }

    fn numbered(number: u32) -> DeviceId {
        let mut seed = [9; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        DeviceId::from(iroh::SecretKey::from_bytes(&seed).public())
    }

    fn heard(device: DeviceId, user_data: Option<UserData>, port: u16) -> EndpointInfo {
        let mut data = EndpointData::from_iter([iroh::TransportAddr::Ip(([10, 0, 0, 1], port).into())]);
        data.set_user_data(user_data);
        EndpointInfo::from_parts(device.into(), data)
    }

    fn home(name: &str) -> Announcement {
        let network = Some((NetworkId::from_bytes([7; 32]), NetworkName::parse("Home").expect("a name")));
        Announcement { name: DeviceName::parse(name).expect("a name"), network }
    }

    #[test]
    fn the_announcement_has_a_golden_text() {
        let text = home("Attic").encode().expect("fits");
        assert_eq!(
            text.as_ref(),
            format!("1{}", BASE64URL_NOPAD.encode(&[&b"\x05Attic\x01"[..], &[7; 32], b"\x04Home"].concat()))
        );
        assert_eq!(Announcement::decode(&text), Some(home("Attic")));
    }

    #[test]
    fn the_longest_names_are_cut_to_fit() {
        let long = "\u{1F600}".repeat(60);
        let announcement = Announcement {
            name: DeviceName::parse(&long).expect("a name"),
            network: Some((NetworkId::from_bytes([7; 32]), NetworkName::parse(&long).expect("a name"))),
        };
        let text = announcement.encode().expect("fits");
        let read = Announcement::decode(&text).expect("reads back");
        assert_eq!(read.name.as_str(), "\u{1F600}".repeat(MAX_DEVICE_NAME / 4));
        assert_eq!(read.network.expect("a network").1.as_str(), "\u{1F600}".repeat(MAX_NETWORK_NAME / 4));
    }

    #[test]
    fn what_strangers_claim_is_cleaned_or_left_out() {
        let claim = |name: &str| {
            let text =
                Text { name: name.to_owned(), network: Some((NetworkId::from_bytes([7; 32]), "\u{202e}".into())) };
            let bytes = postcard::to_stdvec(&text).expect("encoded");
            UserData::try_from(format!("1{}", BASE64URL_NOPAD.encode(&bytes))).expect("fits")
        };
        let read = Announcement::decode(&claim("At\u{202e}tic\n")).expect("a name");
        assert_eq!((read.name.as_str(), read.network), ("Attic", None));
        assert_eq!(Announcement::decode(&claim("\u{200b}")), None);
        for nonsense in ["", "1", "2AAAA", "1%%%", "1AAAA", "hello"] {
            assert_eq!(Announcement::decode(&nonsense.parse().expect("short")), None, "{nonsense}");
        }
        let mut nearby = Nearby::new(device(1), true);
        nearby.note(&heard(device(2), Some("nonsense".parse().expect("short")), 1));
        nearby.note(&heard(device(1), home("Myself").encode(), 1));
        assert!(nearby.infos().is_empty());
    }

    #[test]
    fn a_flood_is_bounded_and_members_still_get_in() {
        let mut nearby = Nearby::new(device(1), true);
        for number in 0..1_000 {
            nearby.note(&heard(numbered(number), home("Attic").encode(), 1));
        }
        assert_eq!(nearby.infos().len(), MAX_DEVICES);
        nearby.members([device(2)].into());
        nearby.note(&heard(device(2), home("Laptop").encode(), 5));
        assert_eq!(nearby.infos().len(), MAX_DEVICES);
        assert_eq!(nearby.take_news().into_keys().collect::<Vec<_>>(), [device(2)]);
        nearby.forget(device(2));
        assert!(nearby.take_news()[&device(2)].is_empty());
    }

    #[test]
    fn only_changed_places_of_members_are_news() {
        let mut nearby = Nearby::new(device(1), true);
        nearby.note(&heard(device(2), home("Laptop").encode(), 5));
        assert!(nearby.take_news().is_empty());
        nearby.members([device(2)].into());
        assert_eq!(nearby.take_news().len(), 1);
        nearby.note(&heard(device(2), home("Laptop 2").encode(), 5));
        assert!(nearby.take_news().is_empty());
        nearby.note(&heard(device(2), home("Laptop 2").encode(), 6));
        assert_eq!(nearby.take_news().len(), 1);
    }
}
