//! What macOS tells: `system_profiler` about graphics, `pmset` about the battery.

use serde_json::Value;

use super::{Battery, Gpu, GpuVendor, named, plausible};

/// Reads `system_profiler SPDisplaysDataType -json`.
pub(crate) fn gpus(told: &str) -> Vec<Gpu> {
    let document: Value = serde_json::from_str(told).unwrap_or_default();
    let entries = document["SPDisplaysDataType"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(gpu).collect()
}

fn gpu(entry: &Value) -> Option<Gpu> {
    let name = ["sppci_model", "_name"].iter().find_map(|key| named(entry[*key].as_str()?))?;
    let maker = entry["spdisplays_vendor"].as_str().unwrap_or_default().to_lowercase();
    let vendor = match [("apple", GpuVendor::Apple), ("nvidia", GpuVendor::Nvidia), ("intel", GpuVendor::Intel)]
        .into_iter()
        .find(|(word, _)| maker.contains(word))
    {
        Some((_, vendor)) => vendor,
        None if maker.contains("amd") || maker.contains("1002") => GpuVendor::Amd,
        None => GpuVendor::Other("unknown".to_owned()),
    };
    let vram_bytes = entry["spdisplays_vram"].as_str().and_then(bytes);
    // Only cards tell memory of their own; Apple's chips tell none and Intel's tell what they share.
    Some(Gpu { name, vendor, vram_bytes, unified: vram_bytes.is_none() })
}

/// Reads `8 GB` or `1536 MB`.
fn bytes(text: &str) -> Option<u64> {
    let (count, unit) = text.trim().split_once(' ')?;
    let shift = match unit {
        "MB" => 20,
        "GB" => 30,
        _ => return None,
    };
    plausible(count.parse::<u64>().ok()?.checked_mul(1 << shift)?)
}

/// Reads `pmset -g batt`: a line that names the source, then one per battery.
pub(crate) fn battery(told: &str) -> Option<Battery> {
    let line = told.lines().find(|line| line.contains("InternalBattery"))?;
    let before = line.split_once('%').map(|(before, _)| before).unwrap_or_default();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let percent = digits.parse::<u64>().ok().and_then(|percent| u8::try_from(percent.min(100)).ok());
    Some(Battery { percent, on_mains: told.contains("'AC Power'") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_chip_shares_the_memory_and_a_card_has_its_own() {
        let told = r#"{"SPDisplaysDataType":[
            {"_name":"Apple M2","sppci_model":"Apple M2","sppci_cores":"10","spdisplays_vendor":"sppci_vendor_Apple"},
            {"_name":"AMD Radeon Pro 5500M","sppci_model":"AMD Radeon Pro 5500M","spdisplays_vendor":"AMD (0x1002)","spdisplays_vram":"8 GB"},
            {"_name":"Intel UHD Graphics 630","spdisplays_vendor":"Intel","spdisplays_vram_shared":"1536 MB"}]}"#;
        let gpus = gpus(told);
        let rows: Vec<_> =
            gpus.iter().map(|gpu| (gpu.name.as_str(), gpu.vendor.as_str(), gpu.vram_bytes, gpu.unified)).collect();
        assert_eq!(
            rows,
            [
                ("Apple M2", "apple", None, true),
                ("AMD Radeon Pro 5500M", "amd", Some(8 << 30), false),
                ("Intel UHD Graphics 630", "intel", None, true),
            ]
        );
    }

    #[test]
    fn the_battery_is_read_from_what_people_read() {
        let told = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1234)\t85%; discharging; 3:20 remaining present: true\n";
        assert_eq!(battery(told), Some(Battery { percent: Some(85), on_mains: false }));
        assert_eq!(battery("Now drawing from 'AC Power'\n"), None);
        let odd = "Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t(removed)";
        assert_eq!(battery(odd), Some(Battery { percent: None, on_mains: true }));
    }

    proptest! {
        #[test]
        fn odd_answers_never_panic(told in "(\\PC|\n){0,200}", percent in "[0-9]{0,30}") {
            gpus(&told);
            battery(&told);
            let line = format!("InternalBattery {percent}%{told}");
            prop_assert!(battery(&line).expect("a battery").percent.is_none_or(|percent| percent <= 100));
        }
    }
}
