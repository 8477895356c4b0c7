//! Processors for neural networks, as Linux lists them: the kernel's `accel` devices.

use super::named;
use super::tree::Tree;

/// Kernel drivers of such processors, and their names for people.
const DRIVERS: [(&str, &str); 6] = [
    ("intel_vpu", "Intel NPU"),
    ("amdxdna", "AMD XDNA NPU"),
    ("rocket", "Rockchip NPU"),
    ("ethosu", "Arm Ethos-U NPU"),
    ("habanalabs", "Intel Gaudi"),
    ("qaic", "Qualcomm Cloud AI"),
];

/// The name of the first one; none where there is none.
pub(crate) fn npu(tree: Tree<'_>) -> Option<String> {
    let first = |folder: &str| tree.names(folder).into_iter().find(|name| name.starts_with("accel"));
    match first("sys/class/accel") {
        Some(node) => {
            let driver = tree.property(&format!("sys/class/accel/{node}/device/uevent"), "DRIVER").unwrap_or_default();
            let known = DRIVERS.iter().find(|(name, _)| *name == driver).map(|(_, name)| (*name).to_owned());
            known.or_else(|| Some(format!("NPU ({})", named(&driver)?))).or_else(|| Some("NPU".to_owned()))
        }
        // A container may see the device and not the kernel's description of it.
        None => first("dev/accel").map(|_| "NPU".to_owned()),
    }
}
