//! The figures as a table for people and as JSON for programs, the targets beside them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::stats::{median, percentile};

/// What must hold: this figure of the row is below `limit`.
pub(crate) struct Target {
    pub(crate) limit: f64,
    pub(crate) of: Figure,
}

/// Which figure of a row a target speaks of.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Figure {
    P95,
    Most,
}

/// One row: what was measured, how often, and how it came out.
struct Row {
    what: String,
    unit: &'static str,
    samples: Vec<f64>,
    target: Option<Target>,
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// Milliseconds from `start` to `end`; 0 when it came first.
pub(crate) fn ms(start: Instant, end: Instant) -> f64 {
    end.saturating_duration_since(start).as_secs_f64() * 1e3
}

/// Milliseconds.
pub(crate) const MS: &str = "ms";

/// The usual targets are about the slowest but a few.
pub(crate) fn p95_below(limit: Duration) -> Target {
    Target { limit: limit.as_secs_f64() * 1e3, of: Figure::P95 }
}

/// For promises that hold each time.
pub(crate) fn always_below(limit: f64) -> Target {
    Target { limit, of: Figure::Most }
}

impl Report {
    /// Adds a row and prints it.
    pub(crate) fn add(&mut self, what: &str, unit: &'static str, samples: Vec<f64>, target: Option<Target>) {
        if self.rows.is_empty() {
            println!("| measured | unit | n | p50 | p95 | most | target | |");
            println!("|---|---|---|---|---|---|---|---|");
        }
        let row = Row { what: what.to_owned(), unit, samples, target };
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Whether every target was met.
    pub(crate) fn all_met(&self) -> bool {
        self.rows.iter().all(|row| row.met() != Some(false))
    }

    /// The middle value of a row, for ratios between rows.
    pub(crate) fn p50(&self, what: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.what == what).map(|row| median(&row.samples))
    }

    /// Writes everything to `path`.
    pub(crate) fn save(&self, path: &Path, machine: &str) -> Result<()> {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let document = json!({ "machine": machine, "rows": rows });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{document:#}\n")).with_context(|| format!("write {}", path.display()))
    }
}

impl Row {
    fn figure(&self, which: Figure) -> f64 {
        percentile(&self.samples, if which == Figure::P95 { 0.95 } else { 1.0 })
    }

    fn met(&self) -> Option<bool> {
        self.target.as_ref().map(|target| self.figure(target.of) < target.limit)
    }

    fn line(&self) -> String {
        let target = self.target.as_ref().map_or(String::new(), |target| {
            let of = if target.of == Figure::P95 { "p95" } else { "all" };
            format!("{of} < {} {}", target.limit, self.unit)
        });
        let met = self.met().map_or("", |met| if met { "met" } else { "MISSED" });
        let [p50, p95, most] = [0.5, 0.95, 1.0].map(|q| rounded(percentile(&self.samples, q)));
        format!(
            "| {} | {} | {} | {p50} | {p95} | {most} | {target} | {met} |",
            self.what,
            self.unit,
            self.samples.len()
        )
    }

    fn json(&self) -> Value {
        json!({
            "measured": self.what, "unit": self.unit, "n": self.samples.len(),
            "p50": percentile(&self.samples, 0.5), "p95": percentile(&self.samples, 0.95), "most": percentile(&self.samples, 1.0),
            "target": self.target.as_ref().map(|target| json!({
                "figure": if target.of == Figure::P95 { "p95" } else { "most" }, "below": target.limit,
            })),
            "met": self.met(),
            "samples": self.samples,
        })
    }
}

fn rounded(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
