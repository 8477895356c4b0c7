//! `join`: knocks by an invite or at a device nearby, shows the code, and with `--wait` follows the knock to its end.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::error::ErrorCode;
use myownmesh_control::types::{JoinEvent, JoinItem};

use super::Context;
use super::args::JoinArgs;
use super::output::{FAILED, Failure, INTERRUPTED, Output, Style, paint, printable};
use super::signals::interrupted;
use super::stream::follow;

/// How long the daemon may take to say that it knocked, or why not, before a join without `--wait` gives up.
const KNOCK_LIMIT: Duration = Duration::from_secs(60);

/// Joins a network. Programs get one line per milestone: `knocking`, then `joined` or an error.
pub(super) async fn run(args: JoinArgs, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let id = match (args.nearby, args.invite) {
        (Some(device), _) => client.nearby_join(device).await?,
        (None, invite) => client.join_start(invite.unwrap_or_default()).await?,
    };
    let out = context.out;
    let to_the_end = args.wait.is_some();
    let limit = args.wait.map_or(KNOCK_LIMIT, |seconds| Duration::from_secs(seconds.into()));
    let mut knocking = false;
    let steps = follow(
        &client,
        async |after| client.join_events(id.clone(), after).await,
        |item: &JoinItem| item.seq,
        |item| {
            knocking |= matches!(item.event, JoinEvent::Knocking { .. });
            show(out, &item, to_the_end)
        },
    );
    let ended = {
        let steps = pin!(steps);
        tokio::select! {
            result = tokio::time::timeout(limit, steps) => Some(result),
            () = interrupted() => None,
        }
    };
    match ended {
        Some(Ok(result)) => result?,
        Some(Err(_)) if knocking => Err(Failure::new(
            ErrorCode::TimedOut,
            format!(
                "Nobody answered the knock within {} s. It still waits on the other screen; `myownmesh network list` \
                 shows the network once it is approved.",
                limit.as_secs()
            ),
        )),
        Some(Err(_)) => {
            client.join_stop(id).await?;
            Err(Failure::new(
                ErrorCode::TimedOut,
                "No device of that network could be reached in time. Check that one of them is on, and try again.",
            ))
        }
        None => {
            client.join_stop(id).await?;
            out.aside("The knock was withdrawn.");
            Err(Failure::Reported(INTERRUPTED))
        }
    }
}

type Step = ControlFlow<Result<(), Failure>>;

/// Prints a step and tells whether it was the last that this command waits for.
fn show(out: Output, item: &JoinItem, to_the_end: bool) -> Result<Step, Failure> {
    if out.is_json() && !matches!(item.event, JoinEvent::Finding { .. } | JoinEvent::Connected { .. }) {
        out.json_line(item)?;
    }
    match &item.event {
        JoinEvent::Finding { network } => out.aside(&format!("Looking for {} ...", printable(network))),
        JoinEvent::Connected { device_name } => out.aside(&format!("Found {}.", printable(device_name))),
        JoinEvent::Knocking { code, invite, .. } => {
            invite.iter().for_each(|problem| out.aside(&printable(problem)));
            if !out.is_json() {
                let code = paint(out.colour(), Style::Strong, &printable(code));
                out.line(&format!("Knocking. Your code is {code}: it must be the same on the other screen."))?;
            }
            if !to_the_end {
                out.aside("The knock waits for an answer; `myownmesh network list` shows when you are in.");
                return Ok(ControlFlow::Break(Ok(())));
            }
        }
        JoinEvent::Joined { network, .. } => {
            if !out.is_json() {
                out.line(&format!("Joined {}.", printable(network)))?;
            }
            return Ok(ControlFlow::Break(Ok(())));
        }
        JoinEvent::Failed { error } => {
            out.aside(&printable(&error.message));
            return Ok(ControlFlow::Break(Err(Failure::Reported(FAILED))));
        }
    }
    Ok(ControlFlow::Continue(()))
}
