//! The command line: every request the app can make, for people and for programs.
//!
//! One file per area; each command connects to the daemon of its home, asks, and prints. `--json` prints exactly one
//! document, or one per line for commands that stream. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no
//! daemon runs for this home.

mod activity;
mod args;
mod chat;
mod conversation;
mod device;
mod doctor;
mod engine;
mod events;
mod fan_out;
mod hardware;
mod invite;
mod join;
mod key;
mod knock;
mod lend;
mod library;
mod model;
mod nearby;
mod network;
mod output;
mod permission;
mod plan;
mod prompt;
mod scope;
mod serve;
mod signals;
mod status;
mod stream;
mod sync;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use myownmesh_control::client::{self, ControlClient};
use myownmesh_control::error::{ControlError, ErrorCode};
use myownmesh_control::home::Home;
use serde_json::json;

use self::args::{Cli, Command};
use self::output::{FAILED, Failure, Output, USAGE};

/// What every command needs: the home it works on and where it prints.
struct Context {
    home: Home,
    out: Output,
}

impl Context {
    /// Connects to the daemon of this home.
    async fn connect(&self) -> Result<ControlClient, Failure> {
        Ok(client::connect(&self.home).await?)
    }
}

/// Parses the command line, runs the command, and gives its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(wrong_usage(&error)),
    };
    let out = Output::new(cli.json);
    let code = match run(cli, out) {
        Ok(()) => 0,
        Err(failure) => out.failure(&failure),
    };
    ExitCode::from(code)
}

fn run(cli: Cli, out: Output) -> Result<(), Failure> {
    let home =
        Home::find(cli.home.as_deref()).map_err(|error| Failure::new(ErrorCode::HomeUnusable, error.to_string()))?;
    let context = Context { home, out };
    let built = match cli.command {
        Command::Serve(_) => serve::runtime(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime =
        built.map_err(|error| Failure::new(ErrorCode::Internal, format!("The program cannot start: {error}.")))?;
    let result = runtime.block_on(dispatch(cli.command, &context));
    // A read of standard input that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, context).await,
        Command::Status => status::show(context).await,
        Command::Stop => status::stop(context).await,
        Command::Key(action) => key::run(action, context).await,
        Command::Network(action) => network::run(action, context).await,
        Command::Invite(args) => invite::run(args, context).await,
        Command::Join(args) => join::run(args, context).await,
        Command::Nearby => nearby::devices(context).await,
        Command::Relays => nearby::relays(context).await,
        Command::Connections => nearby::connections(context).await,
        Command::Activity(args) => activity::list(args, context).await,
        Command::Knocks => knock::list(context).await,
        Command::Approve(args) => knock::approve(args, context).await,
        Command::Deny(args) => knock::deny(args, context).await,
        Command::Devices => device::list(context).await,
        Command::Device(action) => device::run(action, context).await,
        Command::Accepting(args) => device::accepting(args, context).await,
        Command::Lend(action) => lend::run(action, context).await,
        Command::Usage(args) => lend::usage(args, context).await,
        Command::Hardware => hardware::show(context).await,
        Command::Engines => engine::list(context).await,
        Command::Engine(action) => engine::run(action, context).await,
        Command::Models => model::list(context).await,
        Command::Model(action) => library::run(action, context).await,
        Command::Chat(args) => chat::run(args, context).await,
        Command::Conversation(action) => conversation::run(action, context).await,
        Command::Prompt(action) => prompt::run(action, context).await,
        Command::Sync(action) => sync::run(action, context).await,
        Command::Catalogue(args) => sync::catalogue(args, context).await,
        Command::Capabilities => sync::capabilities(context).await,
        Command::Permission(action) => permission::run(action, context).await,
        Command::Scope(args) => scope::run(args, context).await,
        Command::Events => events::run(context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
    }
}

/// Prints help, the version, or what is wrong with the command line, and tells the exit code.
fn wrong_usage(error: &clap::Error) -> u8 {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if !error.use_stderr() {
        return if error.print().is_ok() { 0 } else { FAILED };
    }
    if json {
        let message = usage_sentence(error);
        // `usage` is not one of the daemon's codes: such a command line never reaches a daemon.
        let document = json!({ "error": { "code": "usage", "message": message } });
        let _ = Output::new(true).json_line(&document);
    } else {
        let _ = error.print();
    }
    USAGE
}

/// clap's explanation without its hints: the first paragraph, on one line.
fn usage_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or(&text);
    let words: Vec<&str> = first.trim_start_matches("error: ").split_whitespace().collect();
    words.join(" ")
}

/// A wrong use that clap cannot see by itself.
fn misuse(message: &str) -> Failure {
    let error = Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message);
    Failure::Reported(wrong_usage(&error))
}

/// The one of `items` that `name` means: by exact key, else by a unique prefix of one.
///
/// `keys` gives what an item may be called; `what` names the kind of thing in the sentence, `list` the command that
/// shows them.
fn pick<'a, T>(
    items: &'a [T],
    name: &str,
    keys: impl Fn(&'a T) -> Vec<&'a str>,
    what: &str,
    list: &str,
) -> Result<&'a T, ControlError> {
    let exact: Vec<&T> = items.iter().filter(|item| keys(item).contains(&name)).collect();
    let starts = |item: &&'a T| keys(item).iter().any(|key| key.starts_with(name));
    let found = if exact.is_empty() && !name.is_empty() { items.iter().filter(starts).collect() } else { exact };
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(ControlError::new(
            ErrorCode::NotFound,
            format!("There is no {what} called \"{name}\". `myownmesh {list}` shows them."),
        )),
        several => {
            let ids: Vec<&str> = several.iter().filter_map(|&item| keys(item).first().copied()).collect();
            let message = format!("\"{name}\" fits several: {}. Name one by its id.", ids.join(", "));
            Err(ControlError::new(ErrorCode::Ambiguous, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THINGS: [(&str, &str); 4] = [("k1a", "Desk"), ("k2b", "Lap"), ("k2c", "Phone"), ("k3d", "Phone")];

    fn find(name: &str) -> Result<&'static str, ErrorCode> {
        let keys = |thing: &'static (&'static str, &'static str)| vec![thing.0, thing.1];
        pick(&THINGS, name, keys, "knock", "knocks").map(|thing| thing.0).map_err(|error| error.code)
    }

    #[test]
    fn a_thing_is_found_by_id_prefix_or_name() {
        assert_eq!(find("k1a"), Ok("k1a"));
        assert_eq!(find("k1"), Ok("k1a"));
        assert_eq!(find("Lap"), Ok("k2b"));
    }

    #[test]
    fn what_fits_several_or_none_is_refused() {
        assert_eq!(find("k2"), Err(ErrorCode::Ambiguous));
        assert_eq!(find("Phone"), Err(ErrorCode::Ambiguous));
        assert_eq!(find("nobody"), Err(ErrorCode::NotFound));
        assert_eq!(find(""), Err(ErrorCode::NotFound));
    }

    #[test]
    fn a_usage_error_is_one_sentence() {
        let error = Cli::try_parse_from(["myownmesh", "join"]).expect_err("the invite is missing");
        assert_eq!(usage_sentence(&error), "the following required arguments were not provided: <INVITE>");
    }
}
