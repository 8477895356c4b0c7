//! Membership over links that take their time.

use crate::harness::story;
use crate::net::{Net, Quality};
use crate::steps::seen;

/// Holds the emulator to its word, and the devices to theirs.
pub(crate) async fn the_delay_of_a_link_is_what_devices_tell() {
    let net = Net::new(2);
    net.set(Quality::delay(20));
    let places = (net.place(0, "Desk"), net.place(1, "Lap"));
    let (desk, lap) = tokio::join!(places.0.start(), places.1.start());
    story::pair(&desk, &lap).await;
    let rtt = seen(&lap, &desk).await.rtt_ms.expect("it is connected");
    assert!((39.0..100.0).contains(&rtt), "{rtt} ms on a link of twice 20 ms");
    net.assert_closed();
}
