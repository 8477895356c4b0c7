//! `hardware`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{Battery, Cpu, Gpu, Hardware, Readings};

use super::Context;
use super::output::{Failure, Output, Style, paint, printable};
use super::units::size;

/// Shows what this device is made of.
pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    let hardware = context.connect().await?.hardware().await?;
    context.out.document(&hardware, describe)
}

fn describe(out: Output, hardware: &Hardware) -> String {
    let now = hardware.readings.as_ref();
    let mut lines = vec![("Processor", processor(&hardware.cpu)), ("Memory", memory(hardware.memory_bytes, now))];
    lines.extend(hardware.gpus.iter().map(|gpu| ("Graphics", graphics(gpu))));
    if hardware.gpus.is_empty() {
        lines.push(("Graphics", "none that computes".to_owned()));
    }
    lines.push(("NPU", hardware.npu.as_deref().map_or_else(|| "none".to_owned(), printable)));
    lines.push(("Power", hardware.battery.map_or_else(|| "mains, no battery".to_owned(), power)));
    if let Some(now) = now {
        lines.push(("Busy", busy(now, hardware.cpu.threads)));
        lines.extend(now.disk.map(|disk| {
            ("Disk", format!("{} free of {}, where models are kept", size(disk.free_bytes), size(disk.total_bytes)))
        }));
    }
    let line =
        |(name, text): (&str, String)| format!("{}{text}", paint(out.colour(), Style::Quiet, &format!("{name:<11}")));
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn processor(cpu: &Cpu) -> String {
    let parts = match (cpu.cores, cpu.threads) {
        (Some(cores), threads) if cores != threads => format!("{}, {}", count(cores, "core"), count(threads, "thread")),
        (Some(cores), _) => count(cores, "core"),
        (None, threads) => count(threads, "thread"),
    };
    let architecture = printable(&cpu.architecture);
    let name = printable(&cpu.name);
    if name == architecture { format!("{name}, {parts}") } else { format!("{name} ({architecture}), {parts}") }
}

fn count(number: u32, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn memory(total: u64, now: Option<&Readings>) -> String {
    match now {
        Some(now) => format!("{}, {} available", size(total), size(now.memory_available_bytes)),
        None => size(total),
    }
}

fn graphics(gpu: &Gpu) -> String {
    let memory = match (gpu.vram_bytes, gpu.unified) {
        (_, true) => "shares the working memory".to_owned(),
        (Some(bytes), false) => size(bytes),
        (None, false) => "memory unknown".to_owned(),
    };
    format!("{}, {memory}", printable(&gpu.name))
}

fn power(battery: Battery) -> String {
    let charge = battery.percent.map_or_else(|| "of unknown charge".to_owned(), |percent| format!("at {percent} %"));
    if battery.on_mains { format!("mains, battery {charge}") } else { format!("battery {charge}") }
}

fn busy(now: &Readings, threads: u32) -> String {
    let load = now.load_hundredths.map(|load| {
        let (whole, part) = (load / 100, load % 100);
        format!(", load {whole}.{part:02} on {}", count(threads, "thread"))
    });
    format!("{} %{}", now.busy_percent, load.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::Disk;

    use super::*;

    #[test]
    fn a_laptop_is_described() {
        let laptop = Hardware {
            cpu: Cpu {
                name: "Intel Core Ultra 7 155H".to_owned(),
                architecture: "x86_64".to_owned(),
                cores: Some(16),
                threads: 22,
            },
            memory_bytes: 32_000_000_000,
            gpus: vec![
                Gpu {
                    name: "NVIDIA \u{1b}[1mRTX".to_owned(),
                    vendor: "nvidia".to_owned(),
                    vram_bytes: Some(8_585_740_288),
                    unified: false,
                },
                Gpu {
                    name: "Intel Arc Graphics".to_owned(),
                    vendor: "intel".to_owned(),
                    vram_bytes: None,
                    unified: true,
                },
            ],
            npu: Some("Intel NPU".to_owned()),
            battery: Some(Battery { percent: Some(85), on_mains: false }),
            readings: Some(Readings {
                busy_percent: 7,
                threads_percent: vec![7; 22],
                load_hundredths: Some(105),
                memory_available_bytes: 21_000_000_000,
                disk: Some(Disk { free_bytes: 400_000_000_000, total_bytes: 1_000_000_000_000 }),
            }),
        };
        assert_eq!(
            describe(Output::new(true), &laptop),
            "Processor  Intel Core Ultra 7 155H (x86_64), 16 cores, 22 threads\n\
             Memory     32.0 GB, 21.0 GB available\n\
             Graphics   NVIDIA [1mRTX, 8.6 GB\n\
             Graphics   Intel Arc Graphics, shares the working memory\n\
             NPU        Intel NPU\n\
             Power      battery at 85 %\n\
             Busy       7 %, load 1.05 on 22 threads\n\
             Disk       400.0 GB free of 1.0 TB, where models are kept"
        );
    }

    #[test]
    fn a_board_that_tells_little_is_described() {
        let cpu = Cpu { name: "aarch64".to_owned(), architecture: "aarch64".to_owned(), cores: None, threads: 1 };
        let board = Hardware { cpu, memory_bytes: 1_000_000_000, ..Hardware::default() };
        assert_eq!(
            describe(Output::new(true), &board),
            "Processor  aarch64, 1 thread\nMemory     1.0 GB\nGraphics   none that computes\nNPU        none\n\
             Power      mains, no battery"
        );
    }
}
