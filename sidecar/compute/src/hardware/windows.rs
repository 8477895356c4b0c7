//! What Windows tells, by one PowerShell script that prints one JSON document.

use serde::Deserialize;
use serde_json::Value;

use super::{Battery, Gpu, GpuVendor, named, plausible};

/// Asks the registry for display adapters (`Win32_VideoController` counts memory in 32 bits and stops at 4 GB), the
/// device tree for neural processors, and WMI for the battery.
#[cfg(target_os = "windows")]
pub(crate) const SCRIPT: &str = r"$c='HKLM:\SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}\0*'
$g=@(Get-ItemProperty $c -ErrorAction SilentlyContinue | ForEach-Object { @{ name=$_.DriverDesc; id=$_.MatchingDeviceId; memory=[string]$_.'HardwareInformation.qwMemorySize' } })
$n=@(Get-PnpDevice -Class ComputeAccelerator -PresentOnly -Status OK -ErrorAction SilentlyContinue | ForEach-Object { $_.FriendlyName })
$b=@(Get-CimInstance Win32_Battery -ErrorAction SilentlyContinue | ForEach-Object { @{ percent=$_.EstimatedChargeRemaining; status=$_.BatteryStatus } })
@{ adapters=$g; npus=$n; batteries=$b } | ConvertTo-Json -Depth 4 -Compress";

/// What the script prints.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Told {
    #[serde(default)]
    adapters: Vec<Value>,
    #[serde(default)]
    npus: Vec<Value>,
    #[serde(default)]
    batteries: Vec<Value>,
}

impl Told {
    /// Reads it; nothing when it is not what was asked for.
    pub(crate) fn read(told: &str) -> Self {
        serde_json::from_str(told.trim().trim_start_matches('\u{feff}')).unwrap_or_default()
    }
}

/// The graphics processors on the PCI bus; remote desktops and the like are left out.
pub(crate) fn gpus(told: &Told) -> Vec<Gpu> {
    told.adapters.iter().filter_map(gpu).collect()
}

fn gpu(entry: &Value) -> Option<Gpu> {
    let id = entry["id"].as_str()?.to_lowercase();
    let number = id.strip_prefix("pci\\ven_")?.get(..4)?;
    let vendor = GpuVendor::of_pci(u16::from_str_radix(number, 16).ok()?);
    let vram_bytes = entry["memory"].as_str().and_then(|text| text.parse().ok()).and_then(plausible);
    // Intel's and AMD's graphics inside a processor are given 128 MB to 1 GB and work in the rest of the memory too.
    let unified = vendor != GpuVendor::Nvidia && vram_bytes.is_none_or(|own| own <= 1 << 30);
    Some(Gpu { name: named(entry["name"].as_str()?)?, vendor, vram_bytes, unified })
}

/// The name of the first neural processor.
pub(crate) fn npu(told: &Told) -> Option<String> {
    told.npus.iter().find_map(|name| named(name.as_str()?))
}

/// The battery. A status of 1 says that it is being used up (`Win32_Battery`); all others that there is mains.
pub(crate) fn battery(told: &Told) -> Option<Battery> {
    let first = told.batteries.first()?;
    let percent = first["percent"].as_u64().and_then(|percent| u8::try_from(percent.min(100)).ok());
    Some(Battery { percent, on_mains: first["status"].as_u64() != Some(1) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn adapters_are_read_from_the_registry() {
        let told = Told::read(
            "\u{feff}{\"adapters\":[{\"name\":\"NVIDIA GeForce RTX 4070\",\"id\":\"PCI\\\\VEN_10DE&DEV_2786\",\"memory\":\"12878610432\"},\
             {\"name\":\"Intel(R) Iris(R) Xe Graphics\",\"id\":\"pci\\\\ven_8086&dev_46a6\",\"memory\":\"134217728\"},\
             {\"name\":\"Microsoft Remote Display Adapter\",\"id\":\"rdpidd_indirectdisplay\",\"memory\":\"\"}],\
             \"npus\":[\"Intel(R) AI Boost\"],\"batteries\":[{\"percent\":76,\"status\":1}]}\r\n",
        );
        let gpus = gpus(&told);
        let rows: Vec<_> = gpus.iter().map(|gpu| (gpu.vendor.as_str(), gpu.vram_bytes, gpu.unified)).collect();
        assert_eq!(rows, [("nvidia", Some(12_878_610_432), false), ("intel", Some(134_217_728), true)]);
        assert_eq!(npu(&told).as_deref(), Some("Intel(R) AI Boost"));
        assert_eq!(battery(&told), Some(Battery { percent: Some(76), on_mains: false }));
        assert_eq!(battery(&Told::read("{}")), None);
    }

    proptest! {
        #[test]
        fn odd_answers_never_panic(told in "\\PC{0,200}", id in "\\PC{0,12}", memory in "\\PC{0,30}") {
            Told::read(&told);
            let entry = serde_json::json!({ "name": told, "id": format!("pci\\ven_{id}"), "memory": memory });
            gpus(&Told { adapters: vec![entry], ..Told::default() });
        }
    }
}
