//! The command line as a script uses it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::place::Place;
use super::{in_time, process};

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) out: String,
    /// Its error stream.
    pub(crate) err: String,
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).expect("the output is text"),
            err: String::from_utf8(output.stderr).expect("the error stream is text"),
        }
    }
}

impl Output {
    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        let lines: Vec<&str> = self.out.lines().collect();
        assert_eq!(lines.len(), 1, "not one document: {self:?}");
        serde_json::from_str(lines[0]).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON documents on standard output, one per line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        self.out.lines().map(parse).collect()
    }
}

/// Runs a command to its end.
pub(crate) async fn cli<const N: usize>(place: &Place, arguments: [&str; N]) -> Output {
    let output = place.command().args(arguments).stdin(Stdio::null()).output();
    in_time("the command", output).await.expect("it can be started").into()
}

/// Runs a command with `--json` that must succeed; gives its document.
pub(crate) async fn ok<const N: usize>(place: &Place, arguments: [&str; N]) -> Value {
    let output = cli_json(place, arguments).await;
    assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
    output.json()
}

/// Runs a command with `--json` that must be refused; gives the code and the sentence.
pub(crate) async fn refused<const N: usize>(place: &Place, arguments: [&str; N]) -> (String, String) {
    let output = cli_json(place, arguments).await;
    assert_eq!(output.code, 1, "{arguments:?}: {output:?}");
    let document = output.lines().pop().unwrap_or_else(|| panic!("{arguments:?} said nothing: {output:?}"));
    let text = |name: &str| document["error"][name].as_str().unwrap_or_else(|| panic!("{output:?}")).to_owned();
    (text("code"), text("message"))
}

/// Runs a command with `--json` to its end.
pub(crate) async fn cli_json<const N: usize>(place: &Place, arguments: [&str; N]) -> Output {
    let output = place.command().arg("--json").args(arguments).stdin(Stdio::null()).output();
    in_time("the command", output).await.expect("it can be started").into()
}

/// Runs a command with `--json` and something on its standard input.
pub(crate) async fn cli_with_input<const N: usize>(place: &Place, arguments: [&str; N], input: &[u8]) -> Output {
    let mut command = place.command();
    command.arg("--json").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it can be started");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).await.expect("it reads its input");
    drop(stdin);
    in_time("the command", child.wait_with_output()).await.expect("it ends").into()
}

/// A command with `--json` that runs beside the test.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start<const N: usize>(place: &Place, arguments: [&str; N]) -> Self {
        let mut command = place.command();
        command.arg("--json").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it can be started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next line of its output.
    pub(crate) async fn line(&mut self) -> Value {
        let line = in_time("a line of the command", self.lines.next_line()).await.expect("it can be read");
        serde_json::from_str(&line.expect("the output goes on")).expect("a line is JSON")
    }

    /// The next line of its output, should there be one within `limit`.
    pub(crate) async fn line_within(&mut self, limit: Duration) -> Option<Value> {
        tokio::time::timeout(limit, self.line()).await.ok()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        process::signal(self.child.id().expect("it runs"), signal);
    }

    /// Waits for its end; gives its exit code.
    pub(crate) async fn end(mut self) -> i32 {
        let status = in_time("the end of the command", self.child.wait()).await.expect("it ends");
        status.code().unwrap_or(-1)
    }
}
