use myownmesh_control::types::Rule;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::rule;
use super::*;

const ME: u8 = 0;
const TRUSTED: u8 = 1;

fn device(n: u8) -> DeviceId {
    DeviceId::of_secret(&[n + 1; 32])
}

fn setting(rule: Rule) -> Setting {
    Setting::new(rule, Limits::none())
}

fn said(author: u8, ms: u64, setting: Setting) -> Statement {
    let mut record = [author; 32];
    record[..8].copy_from_slice(&ms.to_le_bytes());
    Statement {
        record: RecordId::from_bytes(record),
        at: Stamp { hlc: Hlc::at(ms), author: device(author) },
        limits: setting.limits().clone(),
        setting,
    }
}

/// An open network of four devices, of which this one trusts nobody.
fn here() -> Here {
    let roles = (0..4).map(|n| (device(n), if n == ME { Role::Owner } else { Role::Member })).collect();
    Here { me: device(ME), closed: false, roles, trusted: BTreeMap::new() }
}

/// What holds after each of these came, the latest of each device standing.
fn after(here: &Here, mut state: State, said: &[Statement]) -> Outcome {
    let mut standing: BTreeMap<DeviceId, Statement> = BTreeMap::new();
    let mut outcome = fold(&[], here, state.clone());
    for statement in said {
        standing.insert(statement.at.author, statement.clone());
        let now: Vec<_> = standing.values().cloned().collect();
        outcome = fold(&now, here, state);
        state = outcome.state.clone();
    }
    outcome
}

fn ask() -> State {
    State::of(setting(Rule::Ask), How::Start)
}

#[test]
fn a_device_starts_careful() {
    let outcome = fold(&[], &here(), State::start(&Tool::Shell));
    assert_eq!((outcome.setting, outcome.looser), (Setting::deny(), None));
    assert_eq!(fold(&[], &here(), State::lost()).setting, Setting::deny());
}

#[test]
fn what_tightens_applies_and_what_loosens_waits() {
    let deny = said(2, 10, Setting::deny());
    let outcome = after(&here(), ask(), std::slice::from_ref(&deny));
    assert_eq!((outcome.setting, outcome.looser), (Setting::deny(), None));
    let allow = said(3, 5, setting(Rule::Allow));
    let outcome = after(&here(), ask(), std::slice::from_ref(&allow));
    assert_eq!(outcome.setting, setting(Rule::Ask));
    assert_eq!(outcome.proposal().expect("it waits").statement, allow);
    // The earlier yes waits no longer once there is a later no.
    let outcome = after(&here(), ask(), &[allow, deny]);
    assert_eq!((outcome.setting, outcome.looser), (Setting::deny(), None));
}

#[test]
fn taking_back_is_loosening() {
    let outcome = after(&here(), ask(), &[said(2, 10, Setting::deny()), said(2, 20, setting(Rule::Ask))]);
    assert_eq!(outcome.setting, Setting::deny());
    let proposal = outcome.proposal().expect("it waits");
    assert_eq!((proposal.statement.at.author, &proposal.would), (device(2), &setting(Rule::Ask)));
    let mut state = outcome.state.clone();
    state.agree(&proposal.statement, How::Accepted);
    let accepted = fold(std::slice::from_ref(&proposal.statement), &here(), state);
    assert_eq!((accepted.setting, accepted.looser), (setting(Rule::Ask), None));
}

#[test]
fn limits_loosen_and_tighten_as_rules_do() {
    let within = |folders: &[&str]| {
        let folders = folders.iter().map(|&folder| folder.to_owned()).collect();
        let given = myownmesh_control::types::Limits { folders, ..Default::default() };
        Setting::new(Rule::Ask, Limits::parse(&given).expect("limits"))
    };
    let outcome = after(&here(), ask(), &[said(2, 1, within(&["/a", "/b"])), said(3, 2, within(&["/a/b", "/c"]))]);
    assert_eq!((outcome.setting, outcome.looser.is_some()), (within(&["/a/b"]), true));
    let outcome = after(&here(), ask(), &[said(2, 1, within(&["/a"])), said(3, 2, within(&["/b"]))]);
    assert_eq!(outcome.setting, Setting::deny(), "nothing in common");
}

#[test]
fn a_person_here_has_the_last_word() {
    let said = [said(2, 10, Setting::deny()), said(ME, 20, setting(Rule::Allow)), said(3, 15, Setting::deny())];
    let outcome = after(&here(), ask(), &said);
    assert_eq!((outcome.setting, outcome.looser), (setting(Rule::Allow), None));
    assert_eq!(outcome.state.base.how, How::Own);
    assert!(outcome.state.held.is_empty());
}

#[test]
fn trust_counts_from_when_it_was_given() {
    let mut here = here();
    here.trusted.insert(device(TRUSTED), Hlc::at(50));
    let before = after(&here, ask(), &[said(TRUSTED, 50, setting(Rule::Allow))]);
    assert_eq!((&before.setting, before.proposal().is_some()), (&setting(Rule::Ask), true));
    let since = after(&here, before.state, &[said(TRUSTED, 51, setting(Rule::Allow))]);
    assert_eq!((since.setting, since.looser, since.state.base.how), (setting(Rule::Allow), None, How::Trusted));
    // A device that is no member any more is trusted with nothing.
    here.roles.remove(&device(TRUSTED));
    let gone = after(&here, ask(), &[said(TRUSTED, 51, setting(Rule::Allow))]);
    assert_eq!((gone.setting, gone.looser), (setting(Rule::Ask), None));
}

#[test]
fn in_a_closed_network_plain_members_only_tighten() {
    let mut here = here();
    here.closed = true;
    here.trusted.insert(device(TRUSTED), Hlc::at(0));
    for author in [TRUSTED, 2] {
        let loosened = after(&here, ask(), &[said(author, 9, setting(Rule::Allow))]);
        assert_eq!((loosened.setting, loosened.looser), (setting(Rule::Ask), None), "{author}");
        let tightened = after(&here, ask(), &[said(author, 9, Setting::deny())]);
        assert_eq!(tightened.setting, Setting::deny(), "{author}");
    }
    here.roles.insert(device(2), Role::Manager);
    assert!(after(&here, ask(), &[said(2, 9, setting(Rule::Allow))]).proposal().is_some());
    here.roles.insert(device(TRUSTED), Role::Owner);
    assert_eq!(after(&here, ask(), &[said(TRUSTED, 9, setting(Rule::Allow))]).setting, setting(Rule::Allow));
    // What a plain member has said later stays in force, so accepting the other one would change nothing.
    let blocked = after(&here, ask(), &[said(2, 9, setting(Rule::Allow)), said(3, 10, setting(Rule::Ask))]);
    assert_eq!(blocked.looser, None);
}

#[test]
fn what_was_declined_stays_declined_until_it_is_said_anew() {
    let allow = said(2, 10, setting(Rule::Allow));
    let mut state = ask();
    state.declined.insert(allow.record);
    let outcome = after(&here(), state.clone(), std::slice::from_ref(&allow));
    assert!(outcome.proposal().is_none() && outcome.looser.is_some_and(|looser| looser.declined));
    let anew = after(&here(), state, &[allow, said(2, 11, setting(Rule::Allow))]);
    assert!(anew.proposal().is_some());
    assert!(anew.state.declined.is_empty(), "nothing is remembered of what stands no more");
}

#[test]
fn what_is_held_is_bounded_and_only_grows_stricter() {
    let within = |n: u64| {
        let given = myownmesh_control::types::Limits {
            folders: vec![format!("/{n}"), "/all".to_owned()],
            ..Default::default()
        };
        Setting::new(Rule::Ask, Limits::parse(&given).expect("limits"))
    };
    let flood: Vec<_> = (1..200).map(|n| said(2, n, within(n))).collect();
    let outcome = after(&here(), ask(), &flood);
    assert!(outcome.state.held.len() <= MAX_HELD);
    flood.iter().for_each(|statement| assert!(outcome.setting.tightens(&statement.setting)));
    let json = serde_json::to_string(&outcome.state).expect("plain data");
    assert_eq!(serde_json::from_str::<State>(&json).expect("read"), outcome.state);
}

/// Statements of some devices, each device's in the order it made them.
fn sequences() -> impl Strategy<Value = Vec<Vec<Statement>>> {
    let sequence = |author: u8| {
        prop::collection::btree_map(0_u64..12, rule::tests::any(), 0..4).prop_map(move |said_at| {
            said_at.into_iter().map(|(ms, setting)| said(author, ms, setting)).collect::<Vec<_>>()
        })
    };
    (sequence(ME), sequence(TRUSTED), sequence(2), sequence(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

/// One order in which they may arrive.
fn interleaved(mut sequences: Vec<Vec<Statement>>, picks: &[Index]) -> Vec<Statement> {
    let mut arrived = Vec::new();
    let mut picks = picks.iter().cycle();
    loop {
        sequences.retain(|sequence| !sequence.is_empty());
        let (Some(pick), false) = (picks.next(), sequences.is_empty()) else { return arrived };
        let at = pick.index(sequences.len());
        arrived.push(sequences[at].remove(0));
    }
}

fn order() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 16)
}

/// Any network around this device: closed or not, some roles, with or without trust.
fn networks() -> impl Strategy<Value = Here> {
    let role = || prop::option::of(prop::sample::select(vec![Role::Owner, Role::Manager, Role::Member]));
    (any::<bool>(), [role(), role(), role(), role()], prop::option::of(0_u64..12)).prop_map(|(closed, roles, since)| {
        let roles = (0..).zip(roles).filter_map(|(n, role)| Some((device(n), role?))).collect();
        let trusted = since.map(|since| (device(TRUSTED), Hlc::at(since))).into_iter().collect();
        Here { me: device(ME), closed, roles, trusted }
    })
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(said in sequences(), one in order(), two in order(), here in networks()) {
        let one = after(&here, ask(), &interleaved(said.clone(), &one));
        let two = after(&here, ask(), &interleaved(said, &two));
        prop_assert_eq!(one, two);
    }

    #[test]
    fn folding_again_changes_nothing(said in sequences(), order in order(), here in networks()) {
        let said = interleaved(said, &order);
        let once = after(&here, ask(), &said);
        let mut standing: BTreeMap<DeviceId, Statement> = BTreeMap::new();
        for statement in said {
            standing.insert(statement.at.author, statement);
        }
        let standing: Vec<_> = standing.into_values().collect();
        prop_assert_eq!(fold(&standing, &here, once.state.clone()), once);
    }

    #[test]
    fn nobody_else_loosens_anything(
        standing in prop::collection::vec((prop::collection::vec((1_u8..4, 0_u64..6, rule::tests::any()), 0..5), networks()), 1..6),
        start in rule::tests::any(),
    ) {
        // Whatever stands, falls, is contradicted or removed, whoever gets which role: without trust nothing loosens.
        let (mut state, mut before) = (State::of(start.clone(), How::Start), start);
        for (all, mut here) in standing {
            here.trusted.clear();
            let all: Vec<_> = all.into_iter().map(|(author, ms, setting)| said(author, ms, setting)).collect();
            let outcome = fold(&all, &here, state);
            prop_assert!(outcome.setting.tightens(&before));
            (state, before) = (outcome.state, outcome.setting);
        }
    }

    #[test]
    fn what_tightens_applies_at_once(said in sequences(), order in order(), here in networks(), last in rule::tests::any()) {
        let said_before = interleaved(said, &order);
        let before = after(&here, ask(), &said_before);
        for author in [2_u8, 3] {
            let mut here = here.clone();
            here.trusted.clear();
            let statement = super::tests::said(author, 100, last.clone());
            let outcome = fold(&[statement], &here, before.state.clone());
            prop_assert!(outcome.setting.tightens(&last));
        }
    }

    #[test]
    fn a_proposal_loosens_and_only_as_far_as_it_says(said in sequences(), order in order(), here in networks()) {
        let said = interleaved(said, &order);
        let outcome = after(&here, ask(), &said);
        if let Some(looser) = outcome.proposal() {
            prop_assert!(here.may_propose(looser.statement.at.author));
            prop_assert!(!looser.would.tightens(&outcome.setting));
            prop_assert!(looser.would.tightens(&looser.statement.setting));
            let mut state = outcome.state.clone();
            state.agree(&looser.statement, How::Accepted);
            let mut standing: BTreeMap<DeviceId, Statement> = BTreeMap::new();
            said.iter().for_each(|one| drop(standing.insert(one.at.author, one.clone())));
            let standing: Vec<_> = standing.into_values().collect();
            prop_assert_eq!(fold(&standing, &here, state).setting, looser.would.clone());
        }
    }
}
