//! What a device is made of.

use myownmesh_compute as compute;
use myownmesh_control::types as control;

/// The whole: what stays and what changes.
pub(crate) fn hardware(hardware: &compute::Hardware, readings: &compute::Readings) -> control::Hardware {
    control::Hardware {
        battery: readings.battery.map(battery),
        readings: Some(control::Readings {
            busy_percent: readings.load.busy_percent(),
            threads_percent: readings.load.threads_percent.clone(),
            load_hundredths: readings.load.average_hundredths,
            memory_available_bytes: readings.memory_available_bytes,
            disk: readings
                .disk
                .map(|disk| control::Disk { free_bytes: disk.free_bytes, total_bytes: disk.total_bytes }),
        }),
        ..lasting_hardware(hardware)
    }
}

/// What stays the same, fit to be published: it does not change with every percent of a battery.
pub(crate) fn lasting_hardware(hardware: &compute::Hardware) -> control::Hardware {
    let compute::Cpu { name, architecture, cores, threads } = &hardware.cpu;
    control::Hardware {
        cpu: control::Cpu {
            name: name.clone(),
            architecture: (*architecture).to_owned(),
            cores: *cores,
            threads: *threads,
        },
        memory_bytes: hardware.memory_bytes,
        gpus: hardware.gpus.iter().map(gpu).collect(),
        npu: hardware.npu.clone(),
        battery: None,
        readings: None,
    }
}

fn gpu(gpu: &compute::Gpu) -> control::Gpu {
    control::Gpu {
        name: gpu.name.clone(),
        vendor: gpu.vendor.as_str().to_owned(),
        vram_bytes: gpu.vram_bytes,
        unified: gpu.unified,
    }
}

fn battery(battery: compute::Battery) -> control::Battery {
    control::Battery { percent: battery.percent, on_mains: battery.on_mains }
}
