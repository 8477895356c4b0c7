//! The typed boundary to the UI: which commands and events exist, and `ui/src/ipc/bindings.ts` that says so to TypeScript.
//!
//! `npm run bindings` writes the file; the test below fails when it no longer fits the code.

use tauri::Wry;
use tauri_specta::{Builder, ErrorHandlingMode, collect_commands, collect_events};

use crate::commands;
use crate::daemon::ShellState;
use crate::links::OpenedLink;
use crate::notify::OpenedKnock;

/// Every command and event of the app.
pub fn builder() -> Builder<Wry> {
    Builder::new()
        .commands(collect_commands![
            commands::status::status,
            commands::status::daemon_stop,
            commands::network::network_create,
            commands::network::network_list,
            commands::network::network_show,
            commands::network::network_use,
            commands::network::network_leave,
            commands::network::network_forget,
            commands::network::network_rename,
            commands::network::network_kind,
            commands::network::network_settings,
            commands::network::decision_list,
            commands::network::nearby_list,
            commands::network::nearby_join,
            commands::network::relay_list,
            commands::activity::activity_list,
            commands::invite::invite_create,
            commands::invite::invite_list,
            commands::invite::invite_revoke,
            commands::join::join_start,
            commands::join::join_stop,
            commands::knock::knock_list,
            commands::knock::knock_approve,
            commands::knock::knock_deny,
            commands::device::device_list,
            commands::device::device_show,
            commands::device::device_remove,
            commands::device::device_role,
            commands::device::device_name,
            commands::device::connection_list,
            commands::device::accepting_set,
            commands::compute::engine_list,
            commands::compute::engine_add,
            commands::compute::engine_remove,
            commands::compute::engine_test,
            commands::compute::model_list,
            commands::library::model_search,
            commands::library::model_get_start,
            commands::library::model_get_stop,
            commands::library::model_remove,
            commands::library::model_import,
            commands::library::model_shelf,
            commands::library::model_pin,
            commands::library::model_load,
            commands::library::model_unload,
            commands::library::catalogue_source,
            commands::lending::lend_show,
            commands::lending::lend_set,
            commands::lending::lend_member,
            commands::lending::lend_pause,
            commands::lending::lend_resume,
            commands::lending::usage,
            commands::chat::chat_start,
            commands::chat::chat_plan,
            commands::chat::chat_fan_out,
            commands::chat::answer_stop,
            commands::conversation::conversation_list,
            commands::conversation::conversation_create,
            commands::conversation::conversation_open,
            commands::conversation::conversation_rename,
            commands::conversation::conversation_delete,
            commands::conversation::conversation_restore,
            commands::conversation::conversation_move,
            commands::conversation::conversation_private,
            commands::prompt::prompt_list,
            commands::prompt::prompt_show,
            commands::prompt::prompt_set,
            commands::prompt::prompt_duplicate,
            commands::prompt::prompt_move,
            commands::prompt::prompt_delete,
            commands::prompt::prompt_history,
            commands::prompt::prompt_restore,
            commands::prompt::prompt_import,
            commands::prompt::prompt_export,
            commands::permission::permission_list,
            commands::permission::permission_set,
            commands::permission::permission_explain,
            commands::permission::permission_proposals,
            commands::permission::permission_accept,
            commands::permission::permission_decline,
            commands::permission::permission_trust,
            commands::permission::permission_trusted,
            commands::permission::scope_show,
            commands::permission::scope_set,
            commands::sync::sync_status,
            commands::sync::sync_set,
            commands::sync::capability_list,
            commands::sync::catalogue,
            commands::sync::catalogue_show,
            commands::compute::hardware,
            commands::doctor::doctor,
            commands::key::key_create,
            commands::key::key_list,
            commands::key::local_api,
            commands::key::api_request_list,
            commands::key::key_revoke,
            commands::stream::events_stream,
            commands::stream::answer_stream,
            commands::stream::join_stream,
            commands::stream::model_get_stream,
            commands::stream::stream_stop,
            commands::shell::shell_state,
            commands::shell::daemon_restart,
            commands::shell::open_link,
            commands::shell::save_file,
            commands::shell::pick_model,
            commands::shell::pending_link,
        ])
        .events(collect_events![ShellState, OpenedLink, OpenedKnock])
        .error_handling(ErrorHandlingMode::Result)
        // Times and sizes stay far below 2^53.
        .dangerously_cast_bigints_to_number()
        // One TypeScript type per Rust type, for both directions.
        .disable_serde_phases()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use specta_typescript::Typescript;

    /// Set to write the file instead of comparing it.
    const WRITE: &str = "MYOWNLLM_WRITE_BINDINGS";
    const HEADER: &str =
        "// Generated from the Rust contract by `npm run bindings`. Do not edit.\n/* eslint-disable */\n";

    #[test]
    fn the_bindings_fit_the_code() {
        let folder = tempfile::tempdir().unwrap();
        let generated = folder.path().join("bindings.ts");
        super::builder().export(Typescript::default().header(HEADER), &generated).unwrap();
        let generated = fs::read_to_string(generated).unwrap();

        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/src/ipc/bindings.ts");
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all(committed.parent().unwrap()).unwrap();
            fs::write(&committed, generated).unwrap();
            return;
        }
        let committed = fs::read_to_string(committed).unwrap_or_default();
        // Not assert_eq: printing both files would hide the sentence that helps.
        assert!(committed == generated, "ui/src/ipc/bindings.ts does not fit the Rust code. Run `npm run bindings`.");
    }
}
