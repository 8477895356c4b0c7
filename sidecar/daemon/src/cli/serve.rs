//! `serve`: runs the daemon in this process.

use std::num::NonZero;

use myownmesh::serve::{self, Ready, ServeOptions};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use super::Context;
use super::args::ServeArgs;
use super::output::{Failure, printable};

/// The first line of `serve --json`.
#[derive(Serialize)]
struct ReadyLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    ready: &'a Ready,
}

/// The runtime of a daemon, with one worker for every second processor, four at most. It passes bytes on and seldom
/// computes (the database and what reads files have threads of their own), while an engine beside it wants every
/// processor; and a word that one worker hands to another wakes a thread first. On two processors, with one worker instead
/// of two, a peer's first word comes a fifth of a millisecond sooner (docs/PERFORMANCE.md).
pub(super) fn runtime() -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = (processors / 2).clamp(1, 4);
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// Serves until the daemon is asked to end.
pub(super) async fn run(args: ServeArgs, context: &Context) -> Result<(), Failure> {
    let out = context.out;
    let serving = serve::run(options(args, context), move |ready| {
        // A daemon whose starter stopped reading serves all the same.
        let _ = out.document(&ReadyLine { event: "ready", ready }, |_, line| describe(line.ready));
    });
    // The whole daemon is in this one future: too much for the stack of every other command.
    Box::pin(serving).await?;
    Ok(())
}

fn options(args: ServeArgs, context: &Context) -> ServeOptions {
    ServeOptions {
        home: context.home.clone(),
        api_port: args.api_port,
        api_listen: args.api_listen,
        listen: args.listen,
        relay: args.relay,
        mdns: !args.no_mdns,
        engines: args.engines,
        builtin_engine: !args.no_builtin_engine,
        device_name: args.device_name,
        #[cfg(debug_assertions)]
        bridge_port: args.bridge_port,
        #[cfg(not(debug_assertions))]
        bridge_port: None,
    }
}

fn describe(ready: &Ready) -> String {
    let mut text = format!(
        "Serving as {} (version {}).\nLocal API  {}\nListens    {}\nDevice     {}",
        printable(&ready.device_name),
        ready.version,
        ready.api,
        ready.listen.join(", "),
        ready.device_id,
    );
    if let Some(bridge) = &ready.bridge {
        text.push_str(&format!("\nBridge     {bridge}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        Ready {
            version: "0.1.0".to_owned(),
            device_id: "ab".repeat(32),
            device_name: "Desk".to_owned(),
            api: "http://127.0.0.1:1473/v1".to_owned(),
            control: "/h/run/control.sock".into(),
            listen: vec!["127.0.0.1:5000".to_owned()],
            bridge: None,
        }
    }

    #[test]
    fn programs_read_one_flat_line() {
        let line = serde_json::to_value(ReadyLine { event: "ready", ready: &ready() }).expect("serialises");
        assert_eq!(line["event"], "ready");
        assert_eq!(line["api"], "http://127.0.0.1:1473/v1");
        assert_eq!(line["listen"][0], "127.0.0.1:5000");
        assert!(line.get("bridge").is_none());
    }

    #[test]
    fn people_read_where_it_is() {
        assert!(
            describe(&ready()).starts_with("Serving as Desk (version 0.1.0).\nLocal API  http://127.0.0.1:1473/v1\n")
        );
    }
}
