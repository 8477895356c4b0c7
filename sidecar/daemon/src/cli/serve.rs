//! `serve`: runs the daemon in this process.

use myownmesh::serve::{self, Ready, ServeOptions};
use serde::Serialize;

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
