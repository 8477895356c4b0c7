//! Which daemon the app starts: the one that `MYOWNLLM_MESH_BIN` names, else the one that lies beside the app.

use std::path::Path;
use std::process::Command;

use myownmesh_control::error::{ControlError, ErrorCode};
use tauri::AppHandle;
use tauri_plugin_shell::ShellExt;

use super::process::Launcher;

/// Environment variable that names another daemon than the one beside the app.
pub const BINARY_VARIABLE: &str = "MYOWNLLM_MESH_BIN";

/// The daemon's program, as it lies beside the app in `target/debug` and in the bundle.
const SIDECAR: &str = "myownmesh";

/// Looks anew at every start, so that a daemon that was built meanwhile is found.
pub fn launcher(app: AppHandle) -> Launcher {
    Box::new(move || {
        let named = std::env::var_os(BINARY_VARIABLE).filter(|name| !name.is_empty());
        let shell = app.shell();
        let command: Command = match &named {
            Some(path) => shell.command(path).into(),
            None => shell.sidecar(SIDECAR).map_err(|error| missing(&error.to_string()))?.into(),
        };
        let program = Path::new(command.get_program());
        if program.is_file() {
            return Ok(command);
        }
        Err(match named {
            Some(_) => ControlError::new(
                ErrorCode::NotFound,
                format!(
                    "{BINARY_VARIABLE} names {}, and there is no such file. Correct it, or unset it to use the app's own daemon.",
                    program.display()
                ),
            ),
            None => missing(&format!("{} does not exist", program.display())),
        })
    })
}

fn missing(cause: &str) -> ControlError {
    ControlError::new(
        ErrorCode::NotFound,
        format!(
            "The daemon that belongs to this app is missing ({cause}). Install the app again, or build it with `npm run build`."
        ),
    )
}
