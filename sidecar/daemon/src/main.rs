//! The `myownmesh` binary: the daemon (`serve`) and the command line that talks to it.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
