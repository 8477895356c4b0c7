//! What the command line prints: one JSON document, or text for a person.
//!
//! Everything that came from elsewhere (names, answers, reasons) passes [`printable`] before it reaches a terminal, so a
//! peer cannot move the cursor or repaint the screen.

use std::io::{self, IsTerminal, Write};

use myownmesh_control::error::{ControlError, ErrorCode};
use serde::Serialize;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

/// Exit code when somebody refused or something failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code of a wrong command line.
pub(crate) const USAGE: u8 = 2;
/// Exit code when no daemon runs for the home.
pub(crate) const NO_DAEMON: u8 = 3;
/// Exit code after Ctrl-C, as shells count it.
pub(crate) const INTERRUPTED: u8 = 130;
/// Exit code when the reader of our output went away, as shells count it.
pub(crate) const READER_GONE: u8 = 141;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon, or this side, refused; not printed yet.
    Refused(ControlError),
    /// It failed with this exit code, and what there was to say has been printed.
    Reported(u8),
}

impl Failure {
    /// A refusal of `code` with the sentence a person reads.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(ControlError::new(code, message))
    }
}

impl<E: Into<ControlError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// The exit code that belongs to an error.
pub(crate) fn exit_code(error: &ControlError) -> u8 {
    if error.code == ErrorCode::NoDaemon { NO_DAEMON } else { FAILED }
}

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    /// Output for this process: colours only on a terminal, and never when `NO_COLOR` is set.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colour: !json && wanted && io::stdout().is_terminal() }
    }

    /// Whether programs read this output.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether colours are wanted.
    pub(crate) fn colour(self) -> bool {
        self.colour
    }

    /// Prints `value` as JSON, or what `human` makes of it.
    pub(crate) fn document<T: Serialize + ?Sized>(
        self,
        value: &T,
        human: impl FnOnce(Self, &T) -> String,
    ) -> Result<(), Failure> {
        if self.json { self.json_line(value) } else { self.line(&human(self, value)) }
    }

    /// Prints one line of JSON.
    pub(crate) fn json_line<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(ErrorCode::Internal, format!("This cannot be written as JSON: {error}.")))?;
        self.raw(&format!("{text}\n"))
    }

    /// Prints text for a person, and a line end if it has none.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        self.raw(&format!("{}\n", text.strip_suffix('\n').unwrap_or(text)))
    }

    /// Writes `text` as it is, and shows it at once.
    #[expect(clippy::unused_self, reason = "writing goes through the output, whatever it needs for it")]
    pub(crate) fn raw(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Reported(READER_GONE),
            _ => Failure::new(ErrorCode::Internal, format!("The output cannot be written: {error}.")),
        })
    }

    /// Says something beside the output; silent for programs.
    pub(crate) fn aside(self, text: &str) {
        if !self.json {
            // Nothing is left to tell when even the error stream is closed.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Prints a failure in the form its reader expects and tells the exit code.
    pub(crate) fn failure(self, failure: &Failure) -> u8 {
        match failure {
            Failure::Reported(code) => *code,
            Failure::Refused(error) => {
                if self.json {
                    // The exit code tells a program whose pipe is closed.
                    let _ = self.json_line(&json!({ "error": error }));
                } else {
                    self.aside(&printable(&error.message));
                }
                exit_code(error)
            }
        }
    }
}

/// `text` without characters that command a terminal; line ends and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || is_direction(*c))).collect()
}

/// Characters that turn the direction of text around, and can make one name look like another.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How a piece of text stands out on a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Plain,
    /// Names and headings.
    Strong,
    /// Works.
    Good,
    /// Not yet, or limited.
    Waiting,
    /// Does not work.
    Bad,
    /// Details.
    Quiet,
}

/// `text` in `style`, when colours are wanted.
pub(crate) fn paint(colour: bool, style: Style, text: &str) -> String {
    let number = match style {
        Style::Plain => return text.to_owned(),
        Style::Strong => "1",
        Style::Good => "32",
        Style::Waiting => "33",
        Style::Bad => "31",
        Style::Quiet => "2",
    };
    if colour { format!("\u{1b}[{number}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Rows in aligned columns under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// An empty table with these headings.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of plain cells.
    #[cfg(test)]
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.styled(cells.map(|cell| (cell.to_owned(), Style::Plain)));
    }

    /// Adds a row whose cells carry their style. Each cell is made safe to print and brought to one line.
    pub(crate) fn styled<const N: usize>(&mut self, cells: [(String, Style); N]) {
        let clean = |(text, style): (String, Style)| (printable(&text).replace(['\n', '\t'], " "), style);
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// The table as lines; the last column is not padded.
    pub(crate) fn render(&self, colour: bool) -> String {
        let widths = self.widths();
        let headings = self.headings.iter().map(|&heading| (heading.to_owned(), Style::Quiet)).collect();
        std::iter::once(&headings)
            .chain(&self.rows)
            .map(|row: &Vec<(String, Style)>| render_row(row, &widths, colour))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.width()).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.width());
            }
        }
        widths
    }
}

fn render_row(row: &[(String, Style)], widths: &[usize], colour: bool) -> String {
    let last = row.len().saturating_sub(1);
    let mut line = String::new();
    for (column, ((text, style), width)) in row.iter().zip(widths).enumerate() {
        line.push_str(&paint(colour, *style, text));
        if column < last {
            line.push_str(&" ".repeat(width.saturating_sub(text.width()) + 2));
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_wide_and_narrow_text() {
        let mut table = Table::new(&["NAME", "STATE", "WHY"]);
        table.row(["Desk", "online", ""]);
        table.row(["書斎のMac", "away", "asleep since noon"]);
        assert_eq!(
            table.render(false),
            "NAME       STATE   WHY\n\
             Desk       online\n\
             書斎のMac  away    asleep since noon"
        );
    }

    #[test]
    fn an_empty_table_is_its_headings() {
        assert_eq!(Table::new(&["ID", "NAME"]).render(false), "ID  NAME");
    }

    #[test]
    fn colour_leaves_the_alignment_alone() {
        let mut table = Table::new(&["A", "B"]);
        table.styled([("yes".to_owned(), Style::Good), ("x".to_owned(), Style::Plain)]);
        assert_eq!(table.render(true), "\u{1b}[2mA\u{1b}[0m    \u{1b}[2mB\u{1b}[0m\n\u{1b}[32myes\u{1b}[0m  x");
    }

    #[test]
    fn text_from_elsewhere_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{7}b\u{202e}c\n\td"), "a[2Jbc\n\td");
        let mut table = Table::new(&["NAME"]);
        table.row(["one\ntwo\u{9b}"]);
        assert_eq!(table.render(false), "NAME\none two");
    }

    #[test]
    fn only_a_missing_daemon_exits_with_three() {
        assert_eq!(exit_code(&ControlError::new(ErrorCode::NoDaemon, "")), 3);
        assert_eq!(exit_code(&ControlError::new(ErrorCode::NotFound, "")), 1);
    }
}
