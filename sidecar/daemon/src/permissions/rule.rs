//! What is set for a tool: a rule and what it is confined to, and which of two settings is the stricter.

use myownmesh_control::types::{self, Rule};
use serde::{Deserialize, Serialize};

use super::limits::{LimitError, Limits};

/// A rule and its limits. Whatever lets nothing through is one and the same setting: deny, without limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) struct Setting {
    rule: Rule,
    limits: Limits,
}

impl Setting {
    /// Nothing at all.
    pub(crate) const fn deny() -> Self {
        Self { rule: Rule::Deny, limits: Limits::none() }
    }

    /// A rule within limits.
    pub(crate) fn new(rule: Rule, limits: Limits) -> Self {
        if rule == Rule::Deny || limits.is_nothing() { Self::deny() } else { Self { rule, limits } }
    }

    /// The rule.
    pub(crate) fn rule(&self) -> Rule {
        self.rule
    }

    /// What it is confined to.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The stricter of both: the smaller rule, within the limits of both. It commutes, associates, and a setting with
    /// itself is itself, so the order in which settings are put together does not matter.
    pub(crate) fn meet(&self, other: &Self) -> Self {
        Self::new(self.rule.min(other.rule), self.limits.meet(&other.limits))
    }

    /// Whether it lets through nothing that `other` does not.
    pub(crate) fn tightens(&self, other: &Self) -> bool {
        self.meet(other) == *self
    }
}

/// A setting as it is written down: the JSON of a statement, and of what this device keeps.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    /// The rule.
    pub(super) rule: Rule,
    /// What it is confined to. Under deny they have no effect, and are those to return to.
    #[serde(default)]
    pub(super) limits: types::Limits,
}

impl From<Setting> for Written {
    fn from(setting: Setting) -> Self {
        Self { rule: setting.rule, limits: types::Limits::from(&setting.limits) }
    }
}

impl TryFrom<Written> for Setting {
    type Error = LimitError;

    fn try_from(written: Written) -> Result<Self, LimitError> {
        Ok(Self::new(written.rule, Limits::read(&written.limits)?))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::limits;
    use super::*;

    /// Any setting.
    pub(in super::super) fn any() -> impl Strategy<Value = Setting> {
        let rule = prop::sample::select(vec![Rule::Deny, Rule::Ask, Rule::Allow]);
        (rule, limits::tests::any()).prop_map(|(rule, limits)| Setting::new(rule, limits))
    }

    /// Allow within these folders.
    fn within(folders: &[&str]) -> Setting {
        let folders = folders.iter().map(|&folder| folder.to_owned()).collect();
        let limits = Limits::parse(&types::Limits { folders, ..types::Limits::default() }).expect("limits");
        Setting::new(Rule::Allow, limits)
    }

    #[test]
    fn limits_without_anything_in_common_deny() {
        assert_eq!(within(&["/a"]).meet(&within(&["/b"])), Setting::deny());
        assert_eq!(within(&["/a"]).meet(&within(&["/a/b", "/c"])), within(&["/a/b"]));
        let ask = Setting::new(Rule::Ask, Limits::default());
        assert_eq!(ask.meet(&within(&["/a"])).rule(), Rule::Ask);
        assert!(!ask.tightens(&within(&["/a"])) && !within(&["/a"]).tightens(&ask), "neither is the stricter");
    }

    proptest! {
        #[test]
        fn the_meet_is_the_stricter_of_both(a in any(), b in any(), c in any()) {
            let both = a.meet(&b);
            prop_assert_eq!(&both, &b.meet(&a));
            prop_assert_eq!(both.meet(&c), a.meet(&b.meet(&c)));
            prop_assert_eq!(a.meet(&a), a.clone());
            prop_assert!(both.tightens(&a) && both.tightens(&b));
            prop_assert!(Setting::deny().tightens(&a));
            // Nothing stricter than both is looser than their meet.
            if c.tightens(&a) && c.tightens(&b) {
                prop_assert!(c.tightens(&both));
            }
        }

        #[test]
        fn a_setting_reads_back(setting in any()) {
            let json = serde_json::to_string(&setting).expect("plain data");
            prop_assert_eq!(serde_json::from_str::<Setting>(&json).expect("read"), setting);
        }
    }
}
