//! `lend ...` and `usage`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::api::lending::LendingApiClient;
use myownmesh_control::types::{
    Lending, LendingHours, LendingRules, LentRequest, MemberRules, Usage, UsageDirection, UsageRow, UsageTotal,
};
use serde::Serialize;

use super::args::{LendAction, LendMemberArgs, LendSetArgs, UsageArgs};
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{now, relative};
use super::{Context, misuse};

/// How things stand with lending, with what programs look for first at the top.
#[derive(Serialize)]
struct Shown {
    paused: bool,
    until: Option<i64>,
    #[serde(flatten)]
    lending: Lending,
}

impl From<Lending> for Shown {
    fn from(lending: Lending) -> Self {
        Self { paused: lending.pause.is_some(), until: lending.pause.and_then(|pause| pause.until), lending }
    }
}

/// Runs a `lend` command. Each prints how things stand afterwards.
pub(super) async fn run(action: LendAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let lending = match action {
        LendAction::Show => client.lend_show().await?,
        LendAction::Pause { duration, now } => client.lend_pause(duration, now).await?,
        LendAction::Resume => client.lend_resume().await?,
        LendAction::Set(args) => {
            let rules = set(args, client.lend_show().await?.rules);
            client.lend_set(rules).await?
        }
        LendAction::Member(args) => {
            let device = client.device_show(args.device.clone()).await?;
            let members = client.lend_show().await?.members;
            let before = members.into_iter().find(|member| member.device_id == device.device_id);
            let before = before.unwrap_or(MemberRules { device_id: device.device_id, ..MemberRules::default() });
            client.lend_member(member(args, before)?).await?
        }
    };
    context.out.document(&Shown::from(lending), |out, shown| describe(out, &shown.lending))
}

fn set(args: LendSetArgs, mut rules: LendingRules) -> LendingRules {
    let LendSetArgs { limits, only_idle, only_mains, owner_first, owner_stops_guests } = args;
    limits.apply(&mut rules.concurrent, &mut rules.tokens_per_day, &mut rules.models, &mut rules.hours);
    rules.only_idle = only_idle.unwrap_or(rules.only_idle);
    rules.only_mains = only_mains.unwrap_or(rules.only_mains);
    rules.owner_first = owner_first.unwrap_or(rules.owner_first);
    rules.owner_stops_guests = owner_stops_guests.unwrap_or(rules.owner_stops_guests);
    rules
}

fn member(args: LendMemberArgs, mut rules: MemberRules) -> Result<MemberRules, Failure> {
    if args.no_limits {
        return Ok(MemberRules { device_id: rules.device_id, ..MemberRules::default() });
    }
    if args.limits_are_none() {
        return Err(misuse("Name a limit, for example --tokens-per-day 5000, or lift all with --no-limits."));
    }
    args.limits.apply(&mut rules.concurrent, &mut rules.tokens_per_day, &mut rules.models, &mut rules.hours);
    Ok(rules)
}

/// Shows what was lent and borrowed.
pub(super) async fn usage(args: UsageArgs, context: &Context) -> Result<(), Failure> {
    let usage = context.connect().await?.usage(args.since).await?;
    context.out.document(&usage, table)
}

fn describe(out: Output, lending: &Lending) -> String {
    let Lending { closed, rules, members, running, waiting, .. } = lending;
    let state = closed.as_deref().map_or_else(|| "This device lends.".to_owned(), printable);
    let mut text = format!("{state}\n\nRules      {}", listed(for_everybody(rules)));
    for rules in members {
        let limits = limits(rules.concurrent, rules.tokens_per_day, rules.models.as_deref(), rules.hours);
        text.push_str(&format!("\n{}  {}", printable(&rules.device_name), listed(limits)));
    }
    for (heading, requests) in [("Served", running), ("Waiting", waiting)] {
        if !requests.is_empty() {
            text.push_str(&format!("\n\n{heading}\n{}", requests_table(out, requests)));
        }
    }
    text
}

fn for_everybody(rules: &LendingRules) -> Vec<String> {
    let mut all = limits(rules.concurrent, rules.tokens_per_day, rules.models.as_deref(), rules.hours);
    for (holds, text) in [
        (rules.only_idle, "only while nobody uses this device"),
        (rules.only_mains, "only on mains power"),
        (!rules.owner_first, "own requests wait like others"),
        (rules.owner_stops_guests, "own requests end those of members"),
    ] {
        if holds {
            all.push(text.to_owned());
        }
    }
    all
}

fn limits(
    concurrent: Option<u32>,
    tokens: Option<u64>,
    models: Option<&[String]>,
    hours: Option<LendingHours>,
) -> Vec<String> {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    [
        concurrent.map(|most| format!("{most} at once")),
        tokens.map(|most| format!("{most} tokens a day each")),
        models.map(|models| format!("only {}", printable(&models.join(", ")))),
        hours.map(|hours| format!("from {} to {}", clock(hours.from), clock(hours.to))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn listed(limits: Vec<String>) -> String {
    if limits.is_empty() { "no limits".to_owned() } else { limits.join("; ") }
}

fn requests_table(out: Output, requests: &[LentRequest]) -> String {
    let mut table = Table::new(&["DEVICE", "MODEL", "SINCE"]);
    for request in requests {
        table.styled([
            (request.device_name.clone(), Style::Strong),
            (request.model.clone(), Style::Plain),
            (relative(request.since, now()), Style::Quiet),
        ]);
    }
    table.render(out.colour())
}

fn table(out: Output, usage: &Usage) -> String {
    if usage.rows.is_empty() {
        return "Nothing was lent or borrowed in this time.".to_owned();
    }
    let mut table = Table::new(&["", "DEVICE", "MODEL", "REQUESTS", "TOKENS", "SECONDS", "AGREED"]);
    for row in &usage.rows {
        let UsageRow { direction, device_name, model, requests, tokens, seconds, agreed, .. } = row;
        let direction = match direction {
            UsageDirection::Lent => "lent to",
            UsageDirection::Borrowed => "borrowed from",
        };
        let (agreed, style) = if *agreed { ("yes", Style::Good) } else { ("not yet", Style::Waiting) };
        table.styled([
            (direction.to_owned(), Style::Quiet),
            (device_name.clone(), Style::Strong),
            (model.clone(), Style::Plain),
            (requests.to_string(), Style::Plain),
            (tokens.to_string(), Style::Plain),
            (format!("{seconds:.1}"), Style::Plain),
            (agreed.to_owned(), style),
        ]);
    }
    let total = |sum: &UsageTotal| format!("{} tokens in {} requests, {:.1} s", sum.tokens, sum.requests, sum.seconds);
    format!("{}\n\nLent      {}\nBorrowed  {}", table.render(out.colour()), total(&usage.lent), total(&usage.borrowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_a_line() {
        let rules = LendingRules {
            concurrent: Some(2),
            hours: Some(LendingHours { from: 1320, to: 420 }),
            only_mains: true,
            ..LendingRules::default()
        };
        assert_eq!(listed(for_everybody(&rules)), "2 at once; from 22:00 to 07:00; only on mains power");
        assert_eq!(listed(for_everybody(&LendingRules::default())), "no limits");
    }

    #[test]
    fn usage_is_listed_with_its_totals() {
        let row = UsageRow {
            direction: UsageDirection::Borrowed,
            device_id: "ab".to_owned(),
            device_name: "Desk".to_owned(),
            model: "chain".to_owned(),
            requests: 2,
            tokens: 30,
            seconds: 1.25,
            agreed: true,
        };
        let sum = UsageTotal { requests: 2, tokens: 30, seconds: 1.25 };
        let usage = Usage { since: 0, rows: vec![row], lent: UsageTotal::default(), borrowed: sum };
        let text = table(Output::new(true), &usage);
        assert!(text.contains("borrowed from  Desk    chain  2         30      1.2      yes"), "{text}");
        assert!(text.ends_with("Borrowed  30 tokens in 2 requests, 1.2 s"), "{text}");
    }
}
