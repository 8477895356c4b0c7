//! Battery and mains, as Linux tells under `/sys/class/power_supply` (the kernel's `sysfs-class-power`).

use super::Battery;
use super::tree::Tree;

/// One battery: how full it is and how much it can hold, in its own unit.
struct Cell {
    percent: u64,
    capacity: Option<u64>,
}

/// The battery of the device, several as one; none where there is none.
pub(crate) fn battery(tree: Tree<'_>) -> Option<Battery> {
    let mut cells = Vec::new();
    let (mut batteries, mut discharging, mut mains) = (0_usize, false, None);
    for name in tree.names("sys/class/power_supply") {
        let file = |file: &str| format!("sys/class/power_supply/{name}/{file}");
        let kind = tree.text(&file("type")).unwrap_or_default();
        match kind.as_str() {
            // A mouse or a headset has one too.
            "Battery" if tree.text(&file("scope")).as_deref() != Some("Device") => {
                // A bay without a battery.
                if tree.number(&file("present")) == Some(0) {
                    continue;
                }
                batteries += 1;
                discharging |= tree.text(&file("status")).as_deref() == Some("Discharging");
                cells.extend(cell(|name| tree.number(&file(name))));
            }
            "Mains" | "USB" | "Wireless" => {
                let online = tree.number(&file("online")).is_some_and(|online| online > 0);
                mains = Some(mains.unwrap_or(false) || online);
            }
            _ => {}
        }
    }
    (batteries > 0).then(|| Battery { percent: together(&cells), on_mains: mains.unwrap_or(!discharging) })
}

fn cell(number: impl Fn(&str) -> Option<u64>) -> Option<Cell> {
    let full = number("energy_full").or_else(|| number("charge_full")).filter(|full| *full > 0);
    let now = number("energy_now").or_else(|| number("charge_now"));
    let counted = || Some(u64::try_from(u128::from(now?) * 100 / u128::from(full?)).unwrap_or(100));
    let percent = number("capacity").or_else(counted)?.min(100);
    Some(Cell { percent, capacity: full })
}

/// How full all are together: by what each can hold when all tell that, else each counts the same.
fn together(cells: &[Cell]) -> Option<u8> {
    let weights: Option<Vec<u64>> = cells.iter().map(|cell| cell.capacity).collect();
    let weights = weights.unwrap_or_else(|| vec![1; cells.len()]);
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let held: u128 =
        cells.iter().zip(&weights).map(|(cell, weight)| u128::from(cell.percent) * u128::from(*weight)).sum();
    u8::try_from(held.checked_div(total)?).ok()
}
