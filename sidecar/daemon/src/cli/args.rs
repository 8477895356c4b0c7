//! The words and flags of the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use myownmesh::serve::RelayChoice;
use myownmesh_control::types::{Accepting, EngineKind, Role};
use serde::de::DeserializeOwned;

use super::units::parse_duration;

mod documents;
mod key;
mod lend;
mod library;
mod look;
mod network;
mod permission;
mod route;

pub(crate) use self::documents::{CatalogueArgs, PromptAction, PromptSetArgs, SyncAction};
pub(crate) use self::key::KeyAction;
pub(crate) use self::lend::{LendAction, LendMemberArgs, LendSetArgs, UsageArgs};
pub(crate) use self::library::ModelAction;
pub(crate) use self::look::{ActivityArgs, DoctorArgs};
pub(crate) use self::network::NetworkAction;
pub(crate) use self::permission::{PermissionAction, PermissionSetArgs, ScopeArgs};
pub(crate) use self::route::RouteArgs;

/// Your devices as one private pool of AI: the daemon and its command line.
#[derive(Debug, Parser)]
#[command(
    name = "myownmesh",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        myownmesh serve                               run the daemon\n  \
        myownmesh network create Home                 found a network\n  \
        myownmesh invite                              make a link for the next device\n  \
        myownmesh join myownllm://join/... --wait 300 knock from that device\n  \
        myownmesh chat \"Hello\" --via Desk             ask a model on another device\n\n\
        Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon is running."
)]
pub(crate) struct Cli {
    /// Folder of this device; else `MYOWNMESH_HOME`, else the platform's data folder.
    #[arg(long, global = true, value_name = "DIR", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON: one document, or one per line for commands that stream.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon in the foreground; Ctrl-C or SIGTERM ends it cleanly.
    #[command(after_help = "Examples:\n  myownmesh serve\n  myownmesh serve --api-port 0 --listen 127.0.0.1:0 --json")]
    Serve(ServeArgs),
    /// Show the daemon, the active network, its phase and why.
    Status,
    /// Found, list, inspect, switch, govern, leave, forget or rename networks.
    #[command(subcommand)]
    Network(NetworkAction),
    /// Make a link that lets another device find the active network; list or revoke such links.
    #[command(after_help = "Examples:\n  myownmesh invite\n  myownmesh invite --approved --uses 3 --expires 7d\n  \
                            myownmesh invite revoke 7f3a")]
    Invite(InviteArgs),
    /// Knock at the network an invite leads to or a device nearby announces, or enter on a pre-approved invite.
    #[command(
        after_help = "Examples:\n  myownmesh join myownllm://join/... --wait 300\n  myownmesh join --nearby Desk"
    )]
    Join(JoinArgs),
    /// List devices that announce themselves on the local network, and what they announce.
    Nearby,
    /// List the relays in use and whether they answer.
    Relays,
    /// List what flows between this device and each linked member.
    Connections,
    /// List what happened: who came, went, decided, lent, borrowed, and what was refused.
    #[command(after_help = "Examples:\n  myownmesh activity --since 24h\n  \
                            myownmesh activity --kind security --kind knock\n  \
                            myownmesh activity --json --limit 1000 > activity.json")]
    Activity(ActivityArgs),
    /// List knocks that wait for a decision.
    Knocks,
    /// Admit a knocking device, after comparing the codes on both screens.
    #[command(after_help = "Example:\n  myownmesh approve Laptop --code 7K2M9Q")]
    Approve(ApproveArgs),
    /// Turn a knocking device down.
    #[command(after_help = "Example:\n  myownmesh deny Laptop --reason \"Not today\"")]
    Deny(DenyArgs),
    /// List the members of the active network, how they are reached and what they lend.
    Devices,
    /// Show, remove or change one member, or name this device.
    #[command(subcommand)]
    Device(DeviceAction),
    /// Show or set whether this device serves the others.
    #[command(after_help = "Examples:\n  myownmesh accepting\n  myownmesh accepting busy")]
    Accepting(AcceptingArgs),
    /// Show, pause or change what this device lends to the members of its networks.
    #[command(subcommand)]
    Lend(LendAction),
    /// Show what was lent and borrowed on the active network, by device and model.
    #[command(after_help = "Examples:\n  myownmesh usage\n  myownmesh usage --since 7d\n  \
                            myownmesh usage --since 2026-11-01")]
    Usage(UsageArgs),
    /// Show what this device is made of and how busy it is.
    Hardware,
    /// List the local compute backends.
    Engines,
    /// Add, remove or test a local compute backend.
    #[command(subcommand)]
    Engine(EngineAction),
    /// List every model that can be reached now, here and on other devices.
    Models,
    /// Search the catalogue of open models; download, import or delete a model.
    #[command(subcommand)]
    Model(ModelAction),
    /// Ask a model and stream its answer; Ctrl-C cancels it where it runs.
    #[command(
        after_help = "Examples:\n  myownmesh chat \"What can you do?\"\n  myownmesh chat \"Hello\" --via Desk\n  \
                            myownmesh chat \"Hello\" --plan\n  myownmesh chat \"Hello\" --fan-out 3\n  \
                            git diff | myownmesh chat - --system \"Review this change.\" --purpose code"
    )]
    Chat(ChatArgs),
    /// List, make, show, rename, move, hide, delete or restore conversations of the active network.
    #[command(subcommand)]
    Conversation(ConversationAction),
    /// List, show, change, order, import or export the prompts that the devices of the network share.
    #[command(subcommand)]
    Prompt(PromptAction),
    /// Show or set whether documents keep in step with the other devices, and how far each is.
    #[command(subcommand)]
    Sync(SyncAction),
    /// Show what devices show of their conversations, or set whether this one does.
    #[command(after_help = "Examples:\n  myownmesh catalogue\n  myownmesh catalogue on")]
    Catalogue(CatalogueArgs),
    /// List what devices say they can do: engines, models, hardware, version.
    Capabilities,
    /// List, set, explain and answer what tools may do on this device.
    #[command(subcommand)]
    Permission(PermissionAction),
    /// Show or set what a member may do on this device.
    #[command(after_help = "Examples:\n  myownmesh scope Laptop\n  myownmesh scope Laptop chat off")]
    Scope(ScopeArgs),
    /// Print everything that happens, as it happens.
    Events,
    /// Check step by step what works and what does not, with cause and fix.
    #[command(after_help = "Examples:\n  myownmesh doctor\n  myownmesh doctor Desk --masked\n  \
                            myownmesh doctor myownllm://join/...")]
    Doctor(DoctorArgs),
    /// Ask the daemon to finish and exit.
    Stop,
    /// Make, list or revoke keys for the local API.
    #[command(subcommand, after_help = "Examples:\n  myownmesh key create editor\n  myownmesh key revoke editor")]
    Key(KeyAction),
}

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Port of the local API on 127.0.0.1, 1473 when not given; 0 picks a free one.
    #[arg(long, value_name = "N")]
    pub(crate) api_port: Option<u16>,
    /// Address of this device that the local API listens on; beyond loopback it asks for a key.
    #[arg(long, value_name = "IP")]
    pub(crate) api_listen: Option<IpAddr>,
    /// Address for other devices; port 0 picks a free one.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Relay for devices that cannot reach each other directly, or `none`.
    #[arg(long, value_name = "URL|none")]
    pub(crate) relay: Option<RelayChoice>,
    /// Do not look for devices on the local network.
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// Use this OpenAI-compatible or Ollama engine as well. Can be given more than once.
    #[arg(long = "engine", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) engines: Vec<String>,
    /// Do not start the built-in engine.
    #[arg(long)]
    pub(crate) no_builtin_engine: bool,
    /// Name of this device as others see it.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) device_name: Option<String>,
    /// Port of the WebSocket bridge that a browser uses during development.
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) bridge_port: Option<u16>,
}

/// Flags and actions of `invite`.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    #[command(flatten)]
    pub(crate) options: InviteFlags,
    #[command(subcommand)]
    pub(crate) action: Option<InviteAction>,
}

/// What the new invite should be.
#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct InviteFlags {
    /// Also admit: whoever holds the link needs no approval.
    #[arg(long)]
    pub(crate) approved: bool,
    /// Role of the devices it admits.
    #[arg(long, requires = "approved", value_parser = word::<Role>(&ROLES))]
    pub(crate) role: Option<Role>,
    /// How many devices it admits.
    #[arg(long, value_name = "N", requires = "approved", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) uses: Option<u32>,
    /// How long it works, for example 30s, 15m, 24h or 7d; a day when not given.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) expires: Option<u32>,
}

/// What `invite` does besides making one.
#[derive(Debug, Subcommand)]
pub(crate) enum InviteAction {
    /// List the invites that still work.
    List,
    /// End an invite.
    Revoke {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

/// Arguments of `join`.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The link, `myownllm://join/...`.
    #[arg(required_unless_present = "nearby", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) invite: Option<String>,
    /// Knock at the network that this device nearby announces: its id, a unique prefix of it, or its name.
    #[arg(long, value_name = "DEVICE", conflicts_with = "invite", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) nearby: Option<String>,
    /// Follow the knock to its end, for at most this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) wait: Option<u32>,
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The knock: its id, a unique prefix of it, or the name of the device.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) knock: String,
    /// Role of the new member.
    #[arg(long, value_parser = word::<Role>(&ROLES))]
    pub(crate) role: Option<Role>,
    /// Refuse unless the knock carries this code.
    #[arg(long)]
    pub(crate) code: Option<String>,
}

/// Arguments of `deny`.
#[derive(Debug, Args)]
pub(crate) struct DenyArgs {
    /// The knock: its id, a unique prefix of it, or the name of the device.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) knock: String,
    /// What the other screen will read.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// What `device` does.
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceAction {
    /// Show one member.
    Show {
        /// Id, unique prefix of it, or name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        device: String,
    },
    /// Remove a member; its running work ends at once.
    Remove {
        /// Id, unique prefix of it, or name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        device: String,
    },
    /// Change a member's role.
    Role {
        /// Id, unique prefix of it, or name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        device: String,
        /// The new role.
        #[arg(value_parser = word::<Role>(&ROLES))]
        role: Role,
    },
    /// Name this device.
    Name {
        /// The new name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
}

/// Arguments of `accepting`.
#[derive(Debug, Args)]
pub(crate) struct AcceptingArgs {
    /// Serve all, one request of others at a time, or nobody else; shown when not given.
    #[arg(value_parser = word::<Accepting>(&["available", "limited", "busy"]))]
    pub(crate) policy: Option<Accepting>,
}

/// What `engine` does.
#[derive(Debug, Subcommand)]
pub(crate) enum EngineAction {
    /// Add an engine after asking it who it is.
    #[command(after_help = "Examples:\n  myownmesh engine add http://127.0.0.1:11434\n  \
                            myownmesh engine add https://api.example.com/v1 --key-stdin < key.txt")]
    Add {
        /// Its base URL, with or without /v1.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        url: String,
        /// What it speaks; found out when not given.
        #[arg(long, value_parser = word::<EngineKind>(&["ollama", "openai", "llama-server"]))]
        kind: Option<EngineKind>,
        /// Read its key from standard input, so that it shows in no list of processes.
        #[arg(long)]
        key_stdin: bool,
    },
    /// Remove an engine.
    Remove {
        /// Its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Ask an engine again and show what it says.
    Test {
        /// Its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

/// Arguments of `chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// What to ask; `-` reads it from standard input.
    #[arg(value_parser = NonEmptyStringValueParser::new(), required_unless_present = "goes_on")]
    pub(crate) prompt: Option<String>,
    /// Where it runs.
    #[arg(long, value_name = "auto|local|DEVICE", default_value = "auto", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) via: String,
    /// Model to ask; the best one on the route when not given.
    #[arg(long, value_name = "M", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,
    /// What the model is told before the question.
    #[arg(long, value_name = "S")]
    pub(crate) system: Option<String>,
    /// Most tokens to answer with.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2.
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub(crate) temperature: Option<f32>,
    /// Conversation to continue and to keep question and answer in.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) conversation: Option<String>,
    #[command(flatten)]
    pub(crate) route: RouteArgs,
    /// Go on with the last answer of the conversation, which ended early.
    #[arg(long = "continue", requires = "conversation", conflicts_with_all = ["prompt", "system"])]
    pub(crate) goes_on: bool,
}

/// What `conversation` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ConversationAction {
    /// List conversations, newest first.
    List {
        /// Only those with this text in their title or messages.
        search: Option<String>,
    },
    /// Make an empty conversation, to use with `chat --conversation`.
    Create,
    /// Show a conversation with its messages.
    Show {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Rename a conversation.
    Rename {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// The new title.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        title: String,
    },
    /// Put conversations into a folder, or out of all folders; all that are named, or none.
    #[command(after_help = "Examples:\n  myownmesh conversation move ID1 ID2 --folder Work\n  \
                            myownmesh conversation move ID1 --no-folder")]
    Move {
        /// Their ids, or unique prefixes of them.
        #[arg(required = true, value_parser = NonEmptyStringValueParser::new())]
        ids: Vec<String>,
        /// The folder.
        #[arg(long, value_name = "NAME", required_unless_present = "no_folder", conflicts_with = "no_folder")]
        folder: Option<String>,
        /// Out of all folders.
        #[arg(long)]
        no_folder: bool,
    },
    /// Keep a conversation out of the catalogue of this device, or let it in again.
    Private {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Whether it is kept out.
        #[arg(value_name = "on|off", action = ArgAction::Set, value_parser = network::switch())]
        on: bool,
    },
    /// Delete a conversation; `restore` brings it back within 30 days.
    Delete {
        /// Its id, or a unique prefix of it.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// Undo a deletion.
    Restore {
        /// Its id.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

const ROLES: [&str; 3] = ["owner", "manager", "member"];

/// A parser for one of `words`, which are the names the contract gives the values of `T`.
fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value::<T>(serde_json::Value::String(word)))
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        _ => Err("it is a number from 0 to 2, for example 0.7".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("myownmesh").chain(line.split(' ')))
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands() {
                assert!(sub.get_about().is_some(), "{} has no description", sub.get_name());
                check(sub);
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn json_and_home_stand_before_or_after_the_command() {
        for line in ["--json --home /h status", "status --json --home /h", "--home /h status --json"] {
            let cli = parse(line).expect(line);
            assert!(cli.json, "{line}");
            assert_eq!(cli.home, Some(PathBuf::from("/h")), "{line}");
        }
        assert!(parse("invite list --json").expect("a listing").json);
        assert!(parse("invite --json list").expect("a listing").json);
    }

    #[test]
    fn every_line_of_the_contract_parses() {
        let lines = "key create editor\nkey list\nkey revoke editor\nserve --api-listen 0.0.0.0\n\
                     serve --api-port 0 --listen 127.0.0.1:0 --relay none --no-mdns --engine http://a --engine http://b \
                     --no-builtin-engine --device-name Desk\nstatus\nnetwork create Home --closed\nnetwork list\n\
                     network show\nnetwork show Home\nnetwork use Home\nnetwork leave\nnetwork forget Home\n\
                     network rename Home Lab\ninvite\ninvite --approved --role member --uses 3 --expires 24h\n\
                     invite list\ninvite revoke 1a\njoin myownllm://join/x --wait 5\nknocks\n\
                     approve k --role member --code ABC123\ndeny k --reason no\ndevices\ndevice show D\n\
                     device remove D\ndevice role D manager\ndevice name D\naccepting\naccepting limited\nengines\n\
                     engine add http://x --kind llama-server --key-stdin\nengine remove e\nengine test e\nmodels\n\
                     model search\nmodel search qwen3 8b\nmodel get m\nmodel get m --from hub\nmodel rm m\nmodel import f\n\
                     chat hi --via local --model m --system s --max-tokens 5 --temperature 0.5 --conversation c\n\
                     chat hi --plan --prefer here --require gpu --require npu --family qwen3 --purpose code\n\
                     chat hi --fan-out 3 --prefer others\n\
                     events\ndoctor\ndoctor D --masked\nstop\nconversation list\nconversation show c\n\
                     conversation move a b --folder Work\nconversation move a --no-folder\n\
                     conversation private a on\nconversation private a off\n\
                     prompt list\nprompt list text\nprompt show a\nprompt set a --label L --body TEXT\n\
                     prompt set --label L --body - --user-text U --variable n --variable m=d --tool shell\n\
                     prompt set a --body -x --no-tools\nprompt duplicate a\nprompt move a\n\
                     prompt move a --before b\nprompt delete a\nprompt history a\nprompt restore a\n\
                     prompt restore a 1f\nprompt import f\nprompt import - --format markdown\nprompt export\n\
                     prompt export a b --format json --output f\nsync status\nsync on\nsync off\ncatalogue\n\
                     catalogue on\ncapabilities\n\
                     network settings\nnetwork settings Home --relay https://a --relay https://b --lookup off\n\
                     network settings --no-relays --mdns off --announce on --air-gapped off\n\
                     network kind closed\nnetwork kind open Home\nnetwork decisions\nnetwork decisions Home\n\
                     nearby\njoin --nearby D --wait 5\nrelays\nconnections\nactivity\n\
                     permission list\npermission set shell deny\npermission set read_file allow --folder /a --folder /b\n\
                     permission set shell ask --command ls\npermission set fetch_url ask --host a.org\n\
                     permission set shell ask --no-limits\npermission explain mcp:s/t\npermission proposals\n\
                     permission accept 1a\npermission decline 1a\npermission trust\npermission trust D on\n\
                     lend show\nlend pause\nlend pause 1h --now\nlend resume\nlend set --concurrent 2 --hours 22:00-07:00\n\
                     lend set --no-hours --only-mains on --model a --model b --owner-first off\n\
                     lend member D --tokens-per-day 5\nlend member D --no-limits\nusage\nusage --since 7d\n\
                     usage --since 2026-11-01\n\
                     scope D\nscope D chat off\nscope D models on\n\
                     activity --kind knock --kind security --device D --search T --since 24h --limit 5 --before 9";
        for line in lines.lines() {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        let lines = [
            "serve --api-port 65536",
            "serve --listen nowhere",
            "serve --api-listen everywhere",
            "key create",
            "serve --relay ftp://x",
            "invite --uses 0 --approved",
            "invite --uses 2",
            "invite --expires tomorrow",
            "join x --wait 0",
            "accepting maybe",
            "device role D king",
            "engine add u --kind other",
            "chat hi --temperature 3",
            "chat hi --fan-out 0",
            "chat hi --fan-out 9",
            "chat hi --fan-out 2 --plan",
            "chat hi --fan-out 2 --conversation c",
            "chat hi --prefer me",
            "chat hi --require fpga",
            "chat hi --purpose poetry",
            "chat hi --temperature NaN",
            "chat hi --max-tokens 0",
            "prompt",
            "prompt set a --variable =x",
            "prompt set a --tool x --no-tools",
            "prompt import f --format yaml",
            "conversation move --folder Work",
            "conversation move a",
            "conversation move a --folder Work --no-folder",
            "conversation private a maybe",
            "sync",
            "sync maybe",
            "catalogue maybe",
            "join myownllm://join/x --nearby D",
            "network settings --relay https://a --no-relays",
            "network settings --mdns maybe",
            "network kind ajar",
            "activity --kind gossip",
            "activity --limit 1001",
            "activity --since yesterday",
            "permission set shell",
            "permission set shell maybe",
            "permission set shell ask --folder /a --no-limits",
            "permission trust D",
            "permission trust D maybe",
            "lend",
            "lend pause tomorrow",
            "lend set --concurrent 0",
            "lend set --hours 9",
            "lend set --hours 09:00-10:00 --no-hours",
            "lend member",
            "lend member D --no-limits --concurrent 1",
            "usage --since yesterday",
            "scope",
            "scope D chat",
            "scope D fly on",
            "model get",
            "model get m --from",
            "",
        ];
        for line in lines {
            assert!(parse(line).is_err(), "{line:?} was accepted");
        }
    }
}
