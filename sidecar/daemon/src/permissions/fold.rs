//! What holds for one tool on this device: a pure function of what the devices have said, who they are now, and what a
//! person here has agreed to.
//!
//! - The **base** is what somebody here has agreed to last: by setting it, by accepting it, or by trusting who said it.
//! - What others have said **since** is held, each statement that a later and stricter one does not cover. It is held even
//!   when its author takes it back: taking back is loosening.
//! - What **holds** is the stricter of base and all that is held. So a statement that tightens applies at once, whatever
//!   order statements arrive in, and one that loosens changes nothing until it becomes the base.
//! - The latest statement of somebody who may propose is a **proposal** if making it the base would loosen what holds.
//!
//! Why it is so: docs/adr/0009-permissions.md.

use std::collections::{BTreeMap, BTreeSet};

use myownmesh_mesh::{DeviceId, Hlc, RecordId, Role};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::rule::Setting;
use super::statement::{Stamp, Statement};
use super::tool::Tool;

/// Most statements that are held for one tool. Beyond it the two oldest are held as one, at the later time, which is
/// stricter than each.
const MAX_HELD: usize = 32;

/// The network around this device, as far as rules depend on it.
#[derive(Clone, Debug)]
pub(super) struct Here {
    /// This device.
    pub(super) me: DeviceId,
    /// Whether only owners and managers govern.
    pub(super) closed: bool,
    /// The members now.
    pub(super) roles: BTreeMap<DeviceId, Role>,
    /// Whom a person here trusts with looser rules, and since when.
    pub(super) trusted: BTreeMap<DeviceId, Hlc>,
}

impl Here {
    /// Whether what a device says may loosen anything: it is a member, and in a closed network more than a plain one.
    pub(super) fn may_propose(&self, device: DeviceId) -> bool {
        self.roles.get(&device).is_some_and(|role| !self.closed || *role != Role::Member)
    }

    /// How a statement is agreed to without anybody being asked; none when somebody has to be.
    fn agreed(&self, statement: &Statement) -> Option<How> {
        let Stamp { hlc, author } = statement.at;
        if author == self.me {
            return Some(How::Own);
        }
        let trusted = self.trusted.get(&author).is_some_and(|since| hlc > *since);
        (trusted && self.may_propose(author)).then_some(How::Trusted)
    }
}

/// How the base came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// Nobody has said anything; it is how every device starts.
    Start,
    /// What was kept of it cannot be read.
    Lost,
    /// Set on this device.
    Own,
    /// A person here accepted it.
    Accepted,
    /// Said by a device that is trusted with it.
    Trusted,
}

/// What somebody here has agreed to last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// What it sets.
    pub(super) setting: Setting,
    /// The statement's time and author; none before the first.
    pub(super) at: Option<Stamp>,
    /// How it came about.
    pub(super) how: How,
}

/// Something that others have said since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// What it sets.
    pub(super) setting: Setting,
    /// When, and who.
    pub(super) at: Stamp,
}

/// What this device keeps of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// What was agreed to.
    pub(super) base: Base,
    /// What was said since, oldest first.
    pub(super) held: Vec<Held>,
    /// Proposals that were turned down and still stand.
    #[serde(default)]
    pub(super) declined: BTreeSet<RecordId>,
}

impl State {
    /// Before anybody has said anything.
    pub(super) fn start(tool: &Tool) -> Self {
        Self::of(Setting::new(tool.start(), Limits::none()), How::Start)
    }

    /// When what was kept cannot be read: nobody knows how strict it was.
    pub(super) fn lost() -> Self {
        Self::of(Setting::deny(), How::Lost)
    }

    fn of(setting: Setting, how: How) -> Self {
        Self { base: Base { setting, at: None, how }, held: Vec::new(), declined: BTreeSet::new() }
    }

    /// Agrees to a statement.
    pub(super) fn agree(&mut self, statement: &Statement, how: How) {
        self.base = Base { setting: statement.setting.clone(), at: Some(statement.at), how };
        self.held.retain(|held| held.at > statement.at);
    }

    /// Whether a statement is later than what was agreed to.
    fn is_news(&self, statement: &Statement) -> bool {
        Some(statement.at) > self.base.at
    }

    /// Holds what was said since.
    fn hold<'a>(&mut self, statements: impl Iterator<Item = &'a Statement>) {
        let mut all: BTreeMap<Stamp, Setting> = self.held.drain(..).map(|held| (held.at, held.setting)).collect();
        for Statement { at, setting, .. } in statements {
            // A device that says two things at one time lies: the stricter of them counts.
            let both = all.get(at).map_or_else(|| setting.clone(), |held| held.meet(setting));
            all.insert(*at, both);
        }
        // From the latest back: what a later and stricter one covers adds nothing, now or after anything is agreed to.
        let mut kept: Vec<Held> = Vec::new();
        for (at, setting) in all.into_iter().rev() {
            if !kept.iter().any(|later| later.setting.tightens(&setting)) {
                kept.push(Held { setting, at });
            }
        }
        while kept.len() > MAX_HELD
            && let Some(oldest) = kept.pop()
            && let Some(next) = kept.last_mut()
        {
            next.setting = next.setting.meet(&oldest.setting);
        }
        kept.reverse();
        self.held = kept;
    }

    /// What holds.
    fn effective(&self) -> Setting {
        self.held.iter().fold(self.base.setting.clone(), |setting, held| setting.meet(&held.setting))
    }
}

/// What holds for a tool, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What is to be kept.
    pub(super) state: State,
    /// What holds.
    pub(super) setting: Setting,
    /// The latest statement that would loosen it, and what would hold then.
    pub(super) looser: Option<Looser>,
}

/// A statement that would loosen what holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looser {
    /// The statement.
    pub(super) statement: Statement,
    /// What would hold if it were accepted.
    pub(super) would: Setting,
    /// Whether a person here has turned it down.
    pub(super) declined: bool,
}

impl Outcome {
    /// The statement that waits for a person.
    pub(super) fn proposal(&self) -> Option<&Looser> {
        self.looser.as_ref().filter(|looser| !looser.declined)
    }
}

/// What holds for a tool, from the statements about it that stand, and what was kept.
pub(super) fn fold(statements: &[Statement], here: &Here, mut state: State) -> Outcome {
    let agreed = statements.iter().filter_map(|statement| Some((statement, here.agreed(statement)?)));
    if let Some((statement, how)) = agreed.max_by_key(|(statement, _)| statement.at)
        && state.is_news(statement)
    {
        state.agree(statement, how);
    }
    let base = state.base.at;
    state.hold(statements.iter().filter(|statement| Some(statement.at) > base));
    let standing: BTreeSet<RecordId> = statements.iter().map(|statement| statement.record).collect();
    state.declined.retain(|record| standing.contains(record));
    let setting = state.effective();
    let looser = looser(statements, here, &state, &setting);
    Outcome { state, setting, looser }
}

fn looser(statements: &[Statement], here: &Here, state: &State, setting: &Setting) -> Option<Looser> {
    let speakers = statements.iter().filter(|statement| here.may_propose(statement.at.author));
    let statement = speakers.max_by_key(|statement| statement.at)?;
    if statement.at.author == here.me || !state.is_news(statement) {
        return None;
    }
    let mut accepted = state.clone();
    accepted.agree(statement, How::Accepted);
    let would = accepted.effective();
    (!would.tightens(setting)).then(|| Looser {
        statement: statement.clone(),
        would,
        declined: state.declined.contains(&statement.record),
    })
}

#[cfg(test)]
mod tests;
