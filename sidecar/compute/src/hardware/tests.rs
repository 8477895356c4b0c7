use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const LAPTOP: &str = include_str!("../../fixtures/hardware/laptop.tree");
const AMD_DESKTOP: &str = include_str!("../../fixtures/hardware/amd-desktop.tree");
const NVIDIA: &str = include_str!("../../fixtures/hardware/nvidia.tree");
const BOARD: &str = include_str!("../../fixtures/hardware/board.tree");

/// Another machine's files.
struct Machine(TempDir);

impl Machine {
    fn empty() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// From the text of a fixture: a line `== path` begins each file; what comes before the first is for people.
    fn of(text: &str) -> Self {
        let machine = Self::empty();
        for file in text.split("== ").skip(1) {
            let (path, content) = file.split_once('\n').expect("a path on a line of its own");
            machine.put(path, content);
        }
        machine
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        fs::write(path, content).expect("written");
    }

    /// What is found in it, without NVIDIA's library.
    fn roots(&self) -> HardwareRoots {
        HardwareRoots { root: self.0.path().to_owned(), nvml: self.0.path().join("no-such-library.so") }
    }

    fn hardware(&self) -> Hardware {
        Hardware::read(&self.roots())
    }

    fn battery(&self) -> Option<Battery> {
        super::battery(Tree::new(self.0.path()))
    }
}

fn rows(hardware: &Hardware) -> Vec<(&str, &str, Option<u64>, bool)> {
    hardware.gpus.iter().map(|gpu| (gpu.name.as_str(), gpu.vendor.as_str(), gpu.vram_bytes, gpu.unified)).collect()
}

#[test]
fn this_machine_has_a_processor_and_memory() {
    let hardware = Hardware::read(&HardwareRoots::default());
    assert!(hardware.cpu.threads > 0 && !hardware.cpu.name.is_empty(), "{hardware:?}");
    assert_eq!(hardware.cpu.architecture, std::env::consts::ARCH);
    assert!(hardware.memory_bytes > 64 << 20, "{hardware:?}");
}

#[test]
fn a_laptop() {
    let laptop = Machine::of(LAPTOP);
    let hardware = laptop.hardware();
    assert_eq!(rows(&hardware), [("Intel Arc Graphics", "intel", None, true)]);
    assert_eq!(hardware.npu.as_deref(), Some("Intel NPU"));
    // 40 % of 20 Wh and all of 60 Wh; the empty bay and the mouse do not count.
    assert_eq!(laptop.battery(), Some(Battery { percent: Some(85), on_mains: true }));
    laptop.put("sys/class/power_supply/AC/online", "0\n");
    assert_eq!(laptop.battery(), Some(Battery { percent: Some(85), on_mains: false }));
}

#[test]
fn a_desktop_of_amd() {
    let desktop = Machine::of(AMD_DESKTOP);
    let hardware = desktop.hardware();
    let card = "AMD Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M";
    assert_eq!(
        rows(&hardware),
        [(card, "amd", Some(25_753_026_560), false), ("AMD graphics (amdgpu)", "amd", Some(536_870_912), true)]
    );
    assert_eq!(hardware.npu.as_deref(), Some("AMD XDNA NPU"));
    assert_eq!(desktop.battery(), None);
}

#[test]
fn cards_of_nvidia_without_their_library() {
    let hardware = Machine::of(NVIDIA).hardware();
    assert_eq!(
        rows(&hardware),
        [("NVIDIA GeForce RTX 3090", "nvidia", None, false), ("NVIDIA Tesla T4", "nvidia", None, false)]
    );
    assert_eq!(hardware.npu, None);
}

#[test]
fn cards_of_nvidia_with_their_library() {
    let machine = Machine::of(NVIDIA);
    let library = machine.0.path().join("nvml.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hardware/nvml.c");
    // Building this crate's dependencies needs a C compiler as well.
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    let built = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.expect("a C compiler").success());
    let hardware = Hardware::read(&HardwareRoots { nvml: library, ..machine.roots() });
    assert_eq!(
        rows(&hardware),
        [("NVIDIA H100 80GB HBM3", "nvidia", Some(85_520_809_984), false), ("NVIDIA GB10", "nvidia", None, true)]
    );
}

#[test]
fn a_small_board() {
    let hardware = Machine::of(BOARD).hardware();
    assert_eq!(rows(&hardware), [("Arm Mali graphics", "arm", None, true)]);
    assert_eq!(hardware.npu.as_deref(), Some("Rockchip NPU"));
}

#[test]
fn an_npu_without_a_known_driver_is_there_all_the_same() {
    let machine = Machine::empty();
    assert_eq!(machine.hardware().npu, None);
    machine.put("dev/accel/accel0", "");
    assert_eq!(machine.hardware().npu.as_deref(), Some("NPU"));
    machine.put("sys/class/accel/accel0/device/uevent", "DRIVER=newdrv\n");
    assert_eq!(machine.hardware().npu.as_deref(), Some("NPU (newdrv)"));
}

#[test]
fn a_battery_that_tells_little() {
    let machine = Machine::empty();
    machine.put("sys/class/power_supply/BAT0/type", "Battery");
    assert_eq!(machine.battery(), Some(Battery { percent: None, on_mains: true }));
    machine.put("sys/class/power_supply/BAT0/status", "Discharging");
    machine.put("sys/class/power_supply/BAT0/charge_now", "1");
    machine.put("sys/class/power_supply/BAT0/charge_full", "3");
    assert_eq!(machine.battery(), Some(Battery { percent: Some(33), on_mains: false }));
}

#[test]
fn a_hostile_machine_does_no_harm() {
    let machine = Machine::empty();
    let cards: [(&str, &[u8]); 6] = [
        ("renderD128", b"99999999999999999999999999"),
        ("renderD129", b"-1"),
        ("renderD130", b"\xff\xfe\x00"),
        ("renderD131", b""),
        ("renderD132", b"18446744073709551615"),
        ("renderD133", b"0x10"),
    ];
    for (node, number) in cards {
        let device = format!("sys/class/drm/{node}/device");
        machine.put(&format!("{device}/vendor"), "0x1002");
        machine.put(&format!("{device}/mem_info_vram_total"), number);
        machine.put(&format!("{device}/product_name"), b"\x1b[31mRadeon\xff\n\tof \xe2\x80\xae doom");
    }
    machine.put("sys/class/drm/renderD200/device/vendor", vec![b'f'; 1 << 20]);
    // A folder where a file should be, a pipe that nobody writes to, a link to itself.
    fs::create_dir_all(machine.0.path().join("sys/class/drm/renderD201/device/vendor")).expect("made");
    let pipe = machine.0.path().join("sys/class/drm/renderD202/device");
    fs::create_dir_all(&pipe).expect("made");
    assert!(Command::new("mkfifo").arg(pipe.join("vendor")).status().expect("mkfifo").success());
    std::os::unix::fs::symlink("uevent", pipe.join("uevent")).expect("linked");
    machine.put("proc/driver/nvidia/gpus/x/information", vec![0xff; 1 << 20]);
    machine.put("sys/class/accel/accel\u{202e}/device/uevent", b"DRIVER=\x1b]0;\x07\n");
    machine.put("sys/class/power_supply/BAT0/type", "Battery");
    machine.put("sys/class/power_supply/BAT0/capacity", "4000000000");
    machine.put("sys/class/power_supply/BAT0/energy_full", u64::MAX.to_string());
    machine.put("sys/class/power_supply/BAT1/type", "Battery");
    machine.put("sys/class/power_supply/BAT1/energy_now", u64::MAX.to_string());
    machine.put("sys/class/power_supply/BAT1/energy_full", u64::MAX.to_string());

    let hardware = machine.hardware();
    assert_eq!(hardware.gpus.len(), 7, "{hardware:?}");
    assert!(hardware.gpus.iter().all(|gpu| gpu.vram_bytes.is_none()), "{hardware:?}");
    assert!(hardware.gpus.iter().any(|gpu| gpu.name == "AMD [31mRadeon\u{fffd} of doom"), "{hardware:?}");
    let names = hardware.gpus.iter().map(|gpu| &gpu.name).chain(hardware.npu.as_ref());
    names.for_each(|name| assert!(name.chars().count() <= MAX_NAME + 20 && !name.chars().any(hides), "{name:?}"));
    assert_eq!(machine.battery(), Some(Battery { percent: Some(100), on_mains: true }));
}

#[test]
fn more_cards_than_anybody_has_are_cut() {
    let machine = Machine::empty();
    for node in 0..1_000 {
        machine.put(&format!("sys/class/drm/renderD{node}/device/vendor"), "0x8086");
    }
    assert_eq!(machine.hardware().gpus.len(), MAX_GPUS);
}

/// Files that a reader looks at, to be filled with anything.
const FILES: [&str; 16] = [
    "sys/class/drm/renderD128/device/vendor",
    "sys/class/drm/renderD128/device/device",
    "sys/class/drm/renderD128/device/uevent",
    "sys/class/drm/renderD128/device/product_name",
    "sys/class/drm/renderD128/device/mem_info_vram_total",
    "usr/share/misc/pci.ids",
    "proc/driver/nvidia/gpus/0000:01:00.0/information",
    "sys/class/accel/accel0/device/uevent",
    "sys/class/power_supply/A/type",
    "sys/class/power_supply/A/online",
    "sys/class/power_supply/B/capacity",
    "sys/class/power_supply/B/energy_now",
    "sys/class/power_supply/B/energy_full",
    "sys/class/power_supply/B/status",
    "sys/class/power_supply/B/present",
    "sys/class/power_supply/B/scope",
];

/// Texts that lead a reader further.
const TEXTS: [&str; 9] =
    ["0x1002", "0x8086", "0x10de", "0x1af4", "Battery", "Mains", "Discharging", "DRIVER=amdgpu", "-5"];

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(&TEXTS[..]).prop_map(|text| text.as_bytes().to_vec()),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        "[A-Za-z: \t\n=.0-9\\[\\]]{0,60}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_files_say_nothing_panics_and_all_is_bounded(contents in prop::collection::vec(content(), FILES.len())) {
        let machine = Machine::empty();
        machine.put("sys/class/power_supply/B/type", "Battery");
        FILES.iter().zip(contents).for_each(|(path, content)| machine.put(path, content));
        let tree = Tree::new(machine.0.path());
        let gpus = super::gpus(tree, &machine.roots().nvml);
        prop_assert!(gpus.len() <= 2);
        for gpu in &gpus {
            prop_assert!(gpu.vram_bytes.is_none_or(|bytes| (1..=MAX_MEMORY).contains(&bytes)));
            prop_assert!(gpu.name.chars().count() <= MAX_NAME + 20 && !gpu.name.chars().any(hides));
        }
        prop_assert!(npu(tree).is_none_or(|name| name.chars().count() <= MAX_NAME + 20));
        prop_assert!(super::battery(tree).is_none_or(|battery| battery.percent.is_none_or(|percent| percent <= 100)));
    }
}
