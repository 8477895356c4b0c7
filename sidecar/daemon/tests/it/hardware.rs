//! What a device says it is made of.

use serde_json::Value;

use crate::harness::{Place, cli, ok};

/// A number of the document.
fn number(document: &Value, path: &str) -> u64 {
    document.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {path} in {document}"))
}

#[tokio::test]
async fn a_device_tells_what_it_is_made_of() {
    let desk = Place::new("Desk");
    let _host = desk.start().await;
    let hardware = ok(&desk, ["hardware"]).await;
    for field in ["cpu", "memory_bytes", "gpus", "npu", "battery"] {
        assert!(hardware.get(field).is_some(), "no {field} in {hardware}");
    }
    let threads = std::thread::available_parallelism().expect("the system tells").get() as u64;
    assert_eq!(number(&hardware, "/cpu/threads"), threads);
    assert_eq!(hardware["cpu"]["architecture"], std::env::consts::ARCH);
    assert!(hardware["cpu"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{hardware}");
    let (memory, available) =
        (number(&hardware, "/memory_bytes"), number(&hardware, "/readings/memory_available_bytes"));
    assert!(0 < available && available <= memory, "{hardware}");
    assert!(number(&hardware, "/readings/busy_percent") <= 100);
    let (free, total) =
        (number(&hardware, "/readings/disk/free_bytes"), number(&hardware, "/readings/disk/total_bytes"));
    assert!(0 < free && free <= total, "{hardware}");

    let plain = cli(&desk, ["hardware"]).await;
    assert_eq!(plain.code, 0, "{plain:?}");
    for word in
        ["Processor  ", "Memory     ", "Graphics   ", "NPU        ", "Power      ", "Busy       ", "Disk       "]
    {
        assert!(plain.out.contains(word), "no {word} in {}", plain.out);
    }
}
