//! The MyOwnLLM app. Everything is in the library; this file embeds the built UI and starts it.
#![cfg_attr(all(not(debug_assertions), target_os = "windows"), windows_subsystem = "windows")]

#[cfg(ui_missing)]
compile_error!(
    "The UI is not built, so there is nothing to embed. Run `npm run build`, which does everything in order."
);

#[cfg(not(ui_missing))]
fn main() -> std::process::ExitCode {
    myownllm_shell::run(tauri::generate_context!())
}

#[cfg(ui_missing)]
fn main() {}
