//! `key create`, `key list`, `key revoke`.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{ApiKey, KeyScope, NewApiKey};

use super::Context;
use super::args::KeyAction;
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{now, relative};

/// Runs a `key` command.
pub(super) async fn run(action: KeyAction, context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    match action {
        KeyAction::Create { name, scopes } => {
            let scopes = scopes.into_iter().map(KeyScope::from).collect::<Vec<_>>();
            let key = client.key_create(name, Some(scopes).filter(|scopes| !scopes.is_empty())).await?;
            context.out.document(&key, |_, key| describe(key))
        }
        KeyAction::List => {
            let keys = client.key_list().await?;
            let api = client.local_api().await?;
            context.out.document(&keys[..], |out, keys| {
                let asks = if api.key_required { "asks for a key" } else { "needs no key" };
                format!("{}\n\nThe local API at {} {asks}.", table(out, keys), printable(&api.openai_url))
            })
        }
        KeyAction::Revoke { name } => {
            let key = client.key_revoke(name).await?;
            context.out.document(&key, |_, key| format!("The key {} no longer works.", printable(&key.name)))
        }
    }
}

fn describe(key: &NewApiKey) -> String {
    format!(
        "{}\n\nThis is the key {}. It is shown this once: put it where it is needed now. Programs send it as \
         \"Authorization: Bearer KEY\" or \"x-api-key: KEY\".",
        key.secret,
        printable(&key.name),
    )
}

fn table(out: Output, keys: &[ApiKey]) -> String {
    if keys.is_empty() {
        return "There is no key. Make one with `myownmesh key create NAME`.".to_owned();
    }
    let mut table = Table::new(&["NAME", "FOR", "MADE", "LAST USED"]);
    for key in keys {
        table.styled([
            (key.name.clone(), Style::Strong),
            (key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "), Style::Plain),
            (relative(key.created_at, now()), Style::Plain),
            (key.last_used_at.map_or_else(|| "never".to_owned(), |at| relative(at, now())), Style::Plain),
        ]);
    }
    table.render(out.colour())
}
