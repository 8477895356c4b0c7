//! How the version of another device differs from the one here, in a sentence.

use std::cmp::Ordering;

use super::Abilities;
use crate::text::listed;

/// How many features a sentence names.
const NAMED: usize = 4;

/// The difference between `here` and `there`; `None` where there is none.
pub(crate) fn difference(here: &Abilities, there: &Abilities) -> Option<String> {
    let (ours, theirs) = (&here.app_version, &there.app_version);
    let only_there = lacking(there, here);
    let only_here = lacking(here, there);
    let version = match order(theirs, ours) {
        _ if ours == theirs && here.protocol == there.protocol => None,
        _ if ours == theirs => Some(format!("It speaks protocol {}, this device {}.", there.protocol, here.protocol)),
        Some(Ordering::Greater) => Some(format!("It runs a newer version: {theirs}, and this device {ours}.")),
        Some(Ordering::Less) => Some(format!("It runs an older version: {theirs}, and this device {ours}.")),
        Some(Ordering::Equal) | None => Some(format!("It runs another version: {theirs}, and this device {ours}.")),
    };
    let update = |where_to: &str| if version.is_some() { format!(" Update it {where_to}.") } else { String::new() };
    let there_only = only_there.map(|names| format!("This device does not know {names}.{}", update("here")));
    let here_only = only_here.map(|names| format!("It does not know {names}.{}", update("there")));
    let parts: Vec<String> = [version.clone(), there_only, here_only].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// What `has` understands and `lacks` does not, listed.
fn lacking(has: &Abilities, lacks: &Abilities) -> Option<String> {
    let names = has.features.iter().filter(|name| !lacks.features.contains(name));
    let names: Vec<_> = names.map(|name| name.replace('_', " ")).collect();
    (!names.is_empty()).then(|| listed(&names, NAMED))
}

/// How two versions compare by their numbers; `None` when one of them has none.
fn order(a: &str, b: &str) -> Option<Ordering> {
    Some(numbers(a)?.cmp(&numbers(b)?))
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abilities(version: &str, features: &[&str]) -> Abilities {
        Abilities {
            app_version: version.to_owned(),
            protocol: 1,
            features: features.iter().map(|&name| name.to_owned()).collect(),
            ..Abilities::default()
        }
    }

    fn told(ours: (&str, &[&str]), theirs: (&str, &[&str])) -> Option<String> {
        difference(&abilities(ours.0, ours.1), &abilities(theirs.0, theirs.1))
    }

    #[test]
    fn equal_versions_do_not_differ() {
        assert_eq!(told(("0.1.0", &["chat"]), ("0.1.0", &["chat"])), None);
    }

    #[test]
    fn a_newer_and_an_older_version_are_told_with_what_follows() {
        assert_eq!(
            told(("0.9.0", &["chat"]), ("0.10.0", &["chat", "file_transfer", "speech"])).as_deref(),
            Some(
                "It runs a newer version: 0.10.0, and this device 0.9.0. This device does not know file transfer and \
                 speech. Update it here."
            )
        );
        assert_eq!(
            told(("1.0.0", &["chat", "prompts"]), ("0.1.0", &["chat"])).as_deref(),
            Some("It runs an older version: 0.1.0, and this device 1.0.0. It does not know prompts. Update it there.")
        );
        assert_eq!(
            told(("1.0.0-dev", &[]), ("odd", &[])).as_deref(),
            Some("It runs another version: odd, and this device 1.0.0-dev.")
        );
    }

    #[test]
    fn the_same_version_can_lack_something() {
        assert_eq!(told(("1.0.0", &["chat"]), ("1.0.0", &[])).as_deref(), Some("It does not know chat."));
        let there = Abilities { protocol: 2, ..abilities("1.0.0", &[]) };
        assert_eq!(
            difference(&abilities("1.0.0", &[]), &there).as_deref(),
            Some("It speaks protocol 2, this device 1.")
        );
    }
}
