//! Integration tests: the built-in engine with the real llama-server, and engines on loopback, kind and hostile.
//!
//! The real llama-server is the one `npm run engine` finds or builds; without it these tests fail and say so.

mod external;
mod hostile;
mod memory;
mod support;

mod builtin;
#[cfg(target_os = "linux")]
mod children;
