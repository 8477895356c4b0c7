//! Where a device sits on the PCI bus, and what the system's list of PCI ids calls it.

use super::named;
use super::tree::Tree;

/// Where distributions keep the list (<https://pci-ids.ucw.cz>).
const LISTS: [&str; 3] = ["usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids", "usr/share/pci.ids"];
/// The list has 1.5 MB; this much of it is read, in bytes.
const MAX_LIST: u64 = 8 << 20;

/// A place on the bus, written `0000:01:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) domain: u32,
    pub(super) bus: u8,
    pub(super) device: u8,
    pub(super) function: u8,
}

impl Address {
    /// Reads an address; NVIDIA writes the domain with eight digits, the kernel with four.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rest, function) = text.trim().rsplit_once('.')?;
        let mut parts = rest.split(':');
        let (domain, bus, device) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let byte = |text| u8::from_str_radix(text, 16).ok();
        Some(Self {
            domain: u32::from_str_radix(domain, 16).ok()?,
            bus: byte(bus)?,
            device: byte(device)?,
            function: byte(function)?,
        })
    }
}

/// The name of a device in the list: what it is sold as when the list tells (in brackets), else its chip.
pub(super) fn device_name(tree: Tree<'_>, vendor: u16, device: u16) -> Option<String> {
    let list = LISTS.iter().find_map(|path| tree.text_up_to(path, MAX_LIST))?;
    let (vendor, device) = (format!("{vendor:04x}  "), format!("\t{device:04x}  "));
    let devices = list.lines().skip_while(|line| !line.starts_with(&vendor)).skip(1);
    let mut devices = devices.take_while(|line| line.starts_with(['\t', '#']));
    let name = devices.find_map(|line| line.strip_prefix(&device))?;
    let sold_as = name.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(inside, _)| inside);
    named(sold_as.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_written() {
        let at = Address { domain: 0, bus: 0x41, device: 0, function: 1 };
        assert_eq!(Address::parse("0000:41:00.1"), Some(at));
        assert_eq!(Address::parse("00000000:41:00.1\n"), Some(at));
        for odd in ["", "41:00.1", "0:0:0:0.0", "0000:41:00", "0000:441:00.1", "zz:41:00.1", "0000:41:00.-1"] {
            assert_eq!(Address::parse(odd), None, "{odd}");
        }
    }
}
