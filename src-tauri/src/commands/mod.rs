//! What the UI can ask: one file per control area, one line per command.
//!
//! Each command has the name, the parameters and the types of its method in `myownmesh_control::api`, and delegates to
//! the generated client; a wrong type does not compile. Streams and the shell's own commands are in
//! [`stream`] and [`shell`].

/// Turns `name(parameter: Type) -> Answer` into a typed Tauri command that asks the daemon.
macro_rules! delegate {
    (documents: $($body:tt)+) => {
        delegate! { @ myownmesh_control::api::documents::DocumentsApiClient, $($body)+ }
    };
    (library: $($body:tt)+) => {
        delegate! { @ myownmesh_control::api::library::LibraryApiClient, $($body)+ }
    };
    (lending: $($body:tt)+) => {
        delegate! { @ myownmesh_control::api::lending::LendingApiClient, $($body)+ }
    };
    (@ $client:path, $($(#[$doc:meta])* $name:ident($($parameter:ident: $type:ty),* $(,)?) -> $answer:ty;)+) => {$(
        $(#[$doc])*
        #[tauri::command]
        #[specta::specta]
        pub async fn $name(
            daemon: tauri::State<'_, $crate::daemon::Daemon>,
            $($parameter: $type,)*
        ) -> Result<$answer, myownmesh_control::error::ControlError> {
            use $client as _;
            Ok(daemon.client()?.$name($($parameter),*).await?)
        }
    )+};
    ($($body:tt)+) => {
        delegate! { @ myownmesh_control::api::ControlApiClient, $($body)+ }
    };
}

pub mod activity;
pub mod chat;
pub mod compute;
pub mod conversation;
pub mod device;
pub mod doctor;
pub mod invite;
pub mod join;
pub mod key;
pub mod knock;
pub mod lending;
pub mod library;
pub mod network;
pub mod permission;
pub mod prompt;
pub mod shell;
pub mod status;
pub mod stream;
pub mod sync;
