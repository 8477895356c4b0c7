//! Tauri's build step, and a clear word when the UI that is to be embedded has not been built.

use std::path::Path;

const UI: &str = "../ui/dist";

fn main() {
    println!("cargo:rustc-check-cfg=cfg(ui_missing)");
    let embeds_ui = std::env::var_os("CARGO_FEATURE_CUSTOM_PROTOCOL").is_some();
    if embeds_ui {
        println!("cargo:rerun-if-changed={UI}");
        if !Path::new(UI).join("index.html").is_file() {
            println!("cargo:rustc-cfg=ui_missing");
        }
    }
    println!("cargo:rerun-if-changed=../.myownmesh-rev");
    tauri_build::build();
}
