//! Which device a person means: by its id, a unique prefix of it, or its unique name.

use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_mesh::DeviceId;

use crate::text::{listed, quotable};

/// Shortest prefix of an id that counts as one.
const MIN_PREFIX: usize = 4;

/// No device, or several, have this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceRefError {
    /// None.
    #[error("There is no device \"{0}\" in this network. `myownmesh devices` shows the members.")]
    Unknown(String),
    /// Several.
    #[error("\"{name}\" fits several devices: {fits}. Name one by its id.")]
    Ambiguous {
        /// What was given.
        name: String,
        /// The devices it fits, listed.
        fits: String,
    },
}

impl From<DeviceRefError> for ControlError {
    fn from(error: DeviceRefError) -> Self {
        let code = match error {
            DeviceRefError::Unknown(_) => ErrorCode::NotFound,
            DeviceRefError::Ambiguous { .. } => ErrorCode::Ambiguous,
        };
        Self::new(code, error.to_string())
    }
}

/// The device that `text` names: an exact id, else an exact name, else a name in other case, else a prefix of an id.
pub(crate) fn find<'a>(
    devices: impl Iterator<Item = (DeviceId, &'a str)> + Clone,
    text: &str,
) -> Result<DeviceId, DeviceRefError> {
    let text = text.trim();
    let lower = text.to_lowercase();
    if let Ok(id) = text.parse::<DeviceId>()
        && devices.clone().any(|(known, _)| known == id)
    {
        return Ok(id);
    }
    #[expect(clippy::type_complexity, reason = "three tests in a row, used on the next line")]
    let tests: [&dyn Fn(&DeviceId, &str) -> bool; 3] =
        [&|_, name| name == text, &|_, name| name.to_lowercase() == lower, &|id, _| {
            lower.len() >= MIN_PREFIX && id.to_string().starts_with(&lower)
        }];
    for fits in tests {
        let found: Vec<_> = devices.clone().filter(|(id, name)| fits(id, name)).collect();
        match found.as_slice() {
            [] => {}
            [(id, _)] => return Ok(*id),
            several => {
                let fits: Vec<_> = several.iter().map(|(id, name)| format!("{name} ({})", id.short())).collect();
                return Err(DeviceRefError::Ambiguous { name: quotable(text), fits: listed(&fits, 4) });
            }
        }
    }
    Err(DeviceRefError::Unknown(quotable(text)))
}

/// What the local API calls a device in `DEVICE/MODEL`: its name when that is unique, else the start of its id.
pub(crate) fn label<'a>(devices: impl Iterator<Item = (DeviceId, &'a str)>, id: DeviceId, name: &str) -> String {
    let same = devices.filter(|(other, known)| *other != id && known.to_lowercase() == name.to_lowercase()).count();
    if same == 0 { name.to_owned() } else { id.short() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_id_name_and_prefix() {
        let [desk, lap, twin] = [1, 2, 3].map(|n| DeviceId::of_secret(&[n; 32]));
        let all = [(desk, "Desk"), (lap, "Lap top"), (twin, "desk")];
        let find = |text: &str| find(all.iter().copied(), text);
        assert_eq!(find(&desk.to_string()), Ok(desk));
        assert_eq!(find(&desk.to_string()[..8]), Ok(desk));
        assert_eq!(find("Desk"), Ok(desk));
        assert_eq!(find("desk"), Ok(twin));
        assert!(matches!(find("DESK"), Err(DeviceRefError::Ambiguous { .. })));
        assert_eq!(find(" LAP TOP "), Ok(lap));
        for none in ["", "a", "Phone", &lap.to_string()[..3]] {
            assert!(matches!(find(none), Err(DeviceRefError::Unknown(_))), "{none}");
        }
        let stranger = DeviceId::of_secret(&[9; 32]).to_string();
        assert!(matches!(find(&stranger), Err(DeviceRefError::Unknown(_))));
        assert_eq!(label(all.iter().copied(), lap, "Lap top"), "Lap top");
        assert_eq!(label(all.iter().copied(), desk, "Desk"), desk.short());
    }
}
