//! Engines and models: what this device can compute with, and how a request gets there.
//!
//! An *engine* is a local compute backend. Three kinds are spoken to: [Ollama](EngineKind::Ollama), anything with
//! [OpenAI's HTTP API](EngineKind::OpenAi), and [llama-server](EngineKind::LlamaServer), which this crate also runs
//! itself as the built-in engine: one child process per loaded model, started by the first request that needs it.
//!
//! [`Compute`] is the handle. Behind it one actor (`actor`) owns all state; `external` holds what is known of engines
//! we did not start, `builtin` runs our own children, `probe` and `client` ask engines questions, `forward` and `direct` stream
//! answers. The crate knows nothing of devices, networks or the people who use them.
//!
//! [`Hardware`] tells what this device is made of, a [`Gauge`] how busy it is; [`library`] knows which open models there
//! are, how well they fit, and how to get them.
//!
//! ```no_run
//! # async fn example() -> Result<(), myownmesh_compute::ComputeError> {
//! use myownmesh_compute::{BuiltinConfig, Compute, ComputeConfig, OpenAiPath};
//!
//! let builtin = BuiltinConfig { model_dirs: vec!["models".into()], run_dir: "run".into(), ..Default::default() };
//! let compute = Compute::start(ComputeConfig { builtin: Some(builtin), ..Default::default() }).await?;
//! let body = r#"{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}"#;
//! let answer = compute.forward(OpenAiPath::ChatCompletions, "tiny", body.into()).await?;
//! println!("{} answers with {}", answer.engine, answer.status);
//! compute.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod actor;
mod builtin;
mod client;
mod compute;
mod config;
mod direct;
mod error;
mod external;
mod forward;
mod gguf;
mod hardware;
pub mod library;
mod ollama;
mod platform;
mod probe;
mod types;
mod url;

pub use builtin::{DEMO_MODEL, model_id};
pub use compute::Compute;
pub use config::{BuiltinConfig, ComputeConfig, EngineSpec};
pub use error::{ComputeError, ErrorKind};
pub use forward::{EngineBody, EngineResponse, OpenAiPath};
pub use hardware::{Battery, Cpu, Disk, Gauge, Gpu, GpuVendor, Hardware, HardwareRoots, Load, Readings};
pub use ollama::{Pull, Pulled};
pub use types::{
    ComputeSnapshot, EngineId, EngineInfo, EngineKind, EngineState, ModelInfo, ModelState, Purpose, Secret, Used,
};
pub use url::EngineUrl;
