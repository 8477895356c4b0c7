//! All permissions at one moment, as the contract shows them.

use std::collections::{BTreeMap, BTreeSet};

use myownmesh_control::types::{self, Permission, PermissionProposal, PermissionTrust, Rule};
use myownmesh_mesh::{DeviceId, Hlc, MeshSnapshot, NetworkInfo, NetworkKind};

use super::error::PermissionError;
use super::fold::{Here, Looser, Outcome, State, fold};
use super::limits::Limits;
use super::reason::reason;
use super::rows::Kept;
use super::rule::Setting;
use super::statement::Statement;
use super::tool::Tool;
use crate::convert::Names;
use crate::text::quotable;

/// The network around this device, from a picture of the mesh.
pub(super) fn here(mesh: &MeshSnapshot, network: &NetworkInfo, kept: &Kept) -> Here {
    Here {
        me: mesh.device_id,
        closed: network.kind == NetworkKind::Closed,
        roles: mesh.members.iter().map(|member| (member.device_id, member.role)).collect(),
        trusted: kept.trusted.clone(),
    }
}

/// What holds for every tool, and on what grounds.
pub(super) struct View {
    here: Here,
    statements: BTreeMap<Tool, Vec<Statement>>,
    outcomes: BTreeMap<Tool, Outcome>,
}

impl View {
    /// Folds all tools.
    pub(super) fn new(here: Here, statements: BTreeMap<Tool, Vec<Statement>>, kept: &Kept) -> Self {
        let tools: BTreeSet<Tool> =
            Tool::BUILT_IN.into_iter().chain(statements.keys().cloned()).chain(kept.states.keys().cloned()).collect();
        let outcome = |tool: Tool| {
            let said = statements.get(&tool).map(Vec::as_slice).unwrap_or_default();
            let state = kept.states.get(&tool).cloned().unwrap_or_else(|| State::start(&tool));
            let outcome = fold(said, &here, state);
            (tool, outcome)
        };
        let outcomes = tools.into_iter().map(outcome).collect();
        Self { here, statements, outcomes }
    }

    /// What holds for a tool, also for one that nobody has spoken about.
    pub(super) fn outcome(&self, tool: &Tool) -> Outcome {
        let outcome = self.outcomes.get(tool).cloned();
        outcome.unwrap_or_else(|| fold(&[], &self.here, State::start(tool)))
    }

    /// The states that differ from what is kept.
    pub(super) fn changed(&self, kept: &Kept) -> Vec<(Tool, State)> {
        let differs = |tool: &Tool, state: &State| match kept.states.get(tool) {
            Some(before) => before != state,
            None => *state != State::start(tool),
        };
        let states = self.outcomes.iter().filter(|(tool, outcome)| differs(tool, &outcome.state));
        states.map(|(tool, outcome)| (tool.clone(), outcome.state.clone())).collect()
    }

    /// Every device that is named somewhere.
    pub(super) fn authors(&self) -> BTreeSet<DeviceId> {
        let states = self.outcomes.values().map(|outcome| &outcome.state);
        let held = states
            .flat_map(|state| state.held.iter().map(|held| held.at.author).chain(state.base.at.map(|at| at.author)));
        held.collect()
    }

    /// The latest time that anybody has said anything at.
    pub(super) fn latest(&self) -> Hlc {
        self.statements.values().flatten().map(|statement| statement.at.hlc).max().unwrap_or_default()
    }

    /// This device's own statement about a tool.
    pub(super) fn own(&self, tool: &Tool) -> Option<&Statement> {
        self.statements.get(tool)?.iter().find(|statement| statement.at.author == self.here.me)
    }

    /// How many tools of MCP servers this device has spoken about.
    pub(super) fn own_mcp_tools(&self) -> usize {
        let own = |(tool, said): &(&Tool, &Vec<Statement>)| {
            matches!(tool, Tool::Mcp { .. }) && said.iter().any(|statement| statement.at.author == self.here.me)
        };
        self.statements.iter().filter(own).count()
    }

    /// The limits that stay when a rule is set without any: those that hold, and under deny those that this device had.
    pub(super) fn limits(&self, tool: &Tool) -> Limits {
        let setting = self.outcome(tool).setting;
        match setting.rule() {
            Rule::Deny => self.own(tool).map(|own| own.limits.clone()).unwrap_or_default(),
            Rule::Ask | Rule::Allow => setting.limits().clone(),
        }
    }

    /// Whether this device may set a tool so: a plain member of a closed network only tightens.
    pub(super) fn may_set(&self, tool: &Tool, setting: &Setting) -> bool {
        self.here.may_propose(self.here.me) || setting.tightens(&self.outcome(tool).setting)
    }

    /// The members but this device, and whether they are trusted.
    pub(super) fn trusted(&self, names: &Names) -> Vec<PermissionTrust> {
        let others = self.here.roles.keys().filter(|device| **device != self.here.me);
        let mut trusted: Vec<_> = others.map(|device| self.trust(*device, names)).collect();
        trusted.sort_by_key(|one| (one.device_name.to_lowercase(), one.device_id.clone()));
        trusted
    }

    /// Whether a device is trusted.
    pub(super) fn trust(&self, device: DeviceId, names: &Names) -> PermissionTrust {
        let trusted = self.here.trusted.contains_key(&device);
        PermissionTrust { device_id: device.to_string(), device_name: names.of_device(device), trusted }
    }

    /// Whether trust in a device would change anything.
    pub(super) fn may_propose(&self, device: DeviceId) -> bool {
        self.here.may_propose(device)
    }

    /// All tools.
    pub(super) fn permissions(&self, names: &Names, now: i64) -> Vec<Permission> {
        self.outcomes.iter().map(|(tool, outcome)| permission(tool, outcome, names, now)).collect()
    }

    /// One tool.
    pub(super) fn permission(&self, tool: &Tool, names: &Names, now: i64) -> Permission {
        permission(tool, &self.outcome(tool), names, now)
    }

    /// The proposal whose id begins like this.
    pub(super) fn find_proposal(&self, id: &str) -> Result<(Tool, Statement), PermissionError> {
        let id = id.trim().to_lowercase();
        let waiting = self.outcomes.iter().filter_map(|(tool, outcome)| Some((tool, outcome.proposal()?)));
        let mut fits = waiting
            .filter(|(_, looser)| !id.is_empty() && looser.statement.record.to_string().starts_with(&id))
            .map(|(tool, looser)| (tool.clone(), looser.statement.clone()));
        match (fits.next(), fits.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(PermissionError::SeveralProposals(quotable(&id))),
            (None, _) => Err(PermissionError::NoProposal(quotable(&id))),
        }
    }
}

fn permission(tool: &Tool, outcome: &Outcome, names: &Names, now: i64) -> Permission {
    let reason = reason(outcome, names, now);
    Permission {
        tool: tool.to_string(),
        rule: outcome.setting.rule(),
        limits: types::Limits::from(outcome.setting.limits()),
        reason: reason.text,
        set_by: reason.set.map(|set| set.author.to_string()),
        set_by_name: reason.set.map(|set| names.of_device(set.author)),
        set_at: reason.set.map(|set| set.hlc.millis()),
        proposal: outcome.proposal().map(|looser| proposal(tool, outcome, looser, names)),
    }
}

fn proposal(tool: &Tool, outcome: &Outcome, looser: &Looser, names: &Names) -> PermissionProposal {
    let Looser { statement, would, .. } = looser;
    PermissionProposal {
        id: statement.record.to_string(),
        tool: tool.to_string(),
        rule: would.rule(),
        limits: types::Limits::from(would.limits()),
        now: outcome.setting.rule(),
        device_id: statement.at.author.to_string(),
        device_name: names.of_device(statement.at.author),
        at: statement.at.hlc.millis(),
    }
}
