//! Graphics processors of a Linux machine: NVIDIA's by its driver, all others by the kernel's list of render nodes.
//!
//! A render node (`/sys/class/drm/renderD128`) is what computes; chips that only draw a screen (of servers, of virtual
//! machines) have none and are rightly left out. Sources: the kernel's documentation of `amdgpu` (`mem_info_vram_total`)
//! and of DRM.

use std::path::Path;

use super::pci::{Address, device_name};
use super::tree::Tree;
use super::{Gpu, GpuVendor, named, nvidia, plausible};

/// AMD's graphics inside a processor are given this much of the working memory or less, in bytes, and work in the rest
/// as well. Cards with so little are too old for `amdgpu`. When somebody sets aside more in the firmware it counts as
/// memory of its own: the rest of the system no longer has it.
const AMD_CARVED_OUT: u64 = 1 << 30;
/// Where Intel's graphics inside a processor always sit; its cards sit elsewhere.
const INTEL_INSIDE: Address = Address { domain: 0, bus: 0, device: 2, function: 0 };
/// Drivers of graphics inside other chips: by the beginning of the driver's name, the maker and the name for people.
const INSIDE_CHIPS: [(&str, &str, &str); 9] = [
    ("asahi", "apple", "Apple graphics"),
    ("panfrost", "arm", "Arm Mali graphics"),
    ("panthor", "arm", "Arm Mali graphics"),
    ("lima", "arm", "Arm Mali graphics"),
    ("msm", "qualcomm", "Qualcomm Adreno graphics"),
    ("adreno", "qualcomm", "Qualcomm Adreno graphics"),
    ("v3d", "broadcom", "Broadcom VideoCore graphics"),
    ("vc4", "broadcom", "Broadcom VideoCore graphics"),
    ("etnaviv", "vivante", "Vivante graphics"),
];

/// All that compute, NVIDIA's first.
pub(crate) fn gpus(tree: Tree<'_>, nvml: &Path) -> Vec<Gpu> {
    let known = nvidia::found(tree, nvml);
    let is_known = |at: Option<Address>| at.is_some() && known.iter().any(|card| card.address == at);
    let mut gpus: Vec<Gpu> = known.iter().map(|card| card.gpu.clone()).collect();
    for node in tree.names("sys/class/drm") {
        if !node.starts_with("renderD") {
            continue;
        }
        let device = format!("sys/class/drm/{node}/device");
        let address = tree.property(&format!("{device}/uevent"), "PCI_SLOT_NAME").and_then(|at| Address::parse(&at));
        if is_known(address) {
            continue;
        }
        let found = match tree.hex(&format!("{device}/vendor")) {
            Some(vendor) => Some(on_pci(tree, &device, vendor, address)),
            None => inside_chip(tree, &device),
        };
        gpus.extend(found);
    }
    gpus
}

fn on_pci(tree: Tree<'_>, device: &str, number: u16, address: Option<Address>) -> Gpu {
    let vendor = GpuVendor::of_pci(number);
    let bytes = |file: &str| tree.number(&format!("{device}/{file}")).and_then(plausible);
    let (vram_bytes, unified) = match vendor {
        GpuVendor::Amd => {
            let own = bytes("mem_info_vram_total");
            (own, own.is_some_and(|own| own <= AMD_CARVED_OUT))
        }
        // The driver does not tell the memory of Intel's cards here.
        GpuVendor::Intel => (None, address == Some(INTEL_INSIDE)),
        GpuVendor::Nvidia => (None, false),
        GpuVendor::Apple | GpuVendor::Other(_) => (None, true),
    };
    let told = tree.text(&format!("{device}/product_name")).and_then(|name| named(&name));
    let listed = || device_name(tree, number, tree.hex(&format!("{device}/device"))?);
    let name = told.or_else(listed).map_or_else(
        || {
            let driver = tree.property(&format!("{device}/uevent"), "DRIVER").and_then(|driver| named(&driver));
            driver.map_or_else(
                || format!("{} graphics", vendor.proper()),
                |driver| format!("{} graphics ({driver})", vendor.proper()),
            )
        },
        |name| if name.starts_with(vendor.proper()) { name } else { format!("{} {name}", vendor.proper()) },
    );
    Gpu { name, vendor, vram_bytes, unified }
}

fn inside_chip(tree: Tree<'_>, device: &str) -> Option<Gpu> {
    let driver = tree.property(&format!("{device}/uevent"), "DRIVER")?;
    let (_, maker, name) = INSIDE_CHIPS.iter().find(|(begin, ..)| driver.starts_with(begin))?;
    let vendor = if *maker == "apple" { GpuVendor::Apple } else { GpuVendor::Other((*maker).to_owned()) };
    Some(Gpu { name: (*name).to_owned(), vendor, vram_bytes: None, unified: true })
}
