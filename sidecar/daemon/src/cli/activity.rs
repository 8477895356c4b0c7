//! `activity`: what happened in the networks of this device.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{ActivityEntry, ActivityFilter, ActivityKind};

use super::Context;
use super::args::ActivityArgs;
use super::output::{Failure, Output, Style, Table};
use super::units::{now, relative};

/// Lists activities, newest first.
pub(super) async fn list(args: ActivityArgs, context: &Context) -> Result<(), Failure> {
    let ActivityArgs { kinds, device, search, since, limit, before } = args;
    let since = since.map(|seconds| now() - i64::from(seconds) * 1000);
    let filter = ActivityFilter { kinds, device, search, since, before, limit };
    let entries = context.connect().await?.activity_list(filter).await?;
    context.out.document(&entries[..], table)
}

fn table(out: Output, entries: &[ActivityEntry]) -> String {
    if entries.is_empty() {
        return "Nothing of that kind happened.".to_owned();
    }
    let mut table = Table::new(&["NUMBER", "WHEN", "KIND", "WHAT"]);
    for entry in entries {
        let (kind, style) = kind_word(entry.kind);
        table.styled([
            (entry.id.to_string(), Style::Quiet),
            (relative(entry.at, now()), Style::Quiet),
            (kind.to_owned(), style),
            (entry.text.clone(), Style::Plain),
        ]);
    }
    table.render(out.colour())
}

fn kind_word(kind: ActivityKind) -> (&'static str, Style) {
    match kind {
        ActivityKind::Knock => ("knock", Style::Waiting),
        ActivityKind::Member => ("member", Style::Plain),
        ActivityKind::Network => ("network", Style::Plain),
        ActivityKind::Invite => ("invite", Style::Plain),
        ActivityKind::Connection => ("connection", Style::Quiet),
        ActivityKind::Lending => ("lending", Style::Plain),
        ActivityKind::Security => ("security", Style::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_are_listed_and_cannot_command_the_terminal() {
        let entry = ActivityEntry {
            id: 7,
            at: now(),
            network_id: None,
            kind: ActivityKind::Security,
            device_id: None,
            device_name: None,
            text: "A stranger\u{1b}[2J knocked.".to_owned(),
        };
        assert_eq!(
            table(Output::new(true), &[entry]),
            "NUMBER  WHEN  KIND      WHAT\n7       now   security  A stranger[2J knocked."
        );
    }
}
