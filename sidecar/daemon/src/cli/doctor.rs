//! `doctor`: staged checks with cause and fix.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::DoctorReport;
use serde_json::json;

use super::Context;
use super::args::DoctorArgs;
use super::output::{Failure, Output, Style, paint, printable};

/// Runs the checks and prints them. A failed check is an answer, so the command itself succeeds.
pub(super) async fn run(args: DoctorArgs, context: &Context) -> Result<(), Failure> {
    let report = context.connect().await?.doctor(args.target).await?;
    if args.masked {
        let masked = json!({ "report": report.report });
        return context.out.document(&masked, |_, _| printable(&report.report));
    }
    context.out.document(&report, describe)
}

fn describe(out: Output, report: &DoctorReport) -> String {
    let mut lines = Vec::new();
    for check in &report.checks {
        let (mark, style) = if check.ok { ("ok  ", Style::Good) } else { ("FAIL", Style::Bad) };
        let mark = paint(out.colour(), style, mark);
        lines.push(format!("{mark}  {}: {}", printable(&check.name), printable(&check.detail)));
        lines.extend(check.fix.iter().map(|fix| format!("      {}", printable(fix))));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use myownmesh_control::types::DoctorCheck;

    use super::*;

    #[test]
    fn a_failed_check_comes_with_its_fix() {
        let check = |name: &str, ok, fix: Option<&str>| DoctorCheck {
            name: name.to_owned(),
            ok,
            detail: "Seen.".to_owned(),
            fix: fix.map(str::to_owned),
            cause: None,
        };
        let checks = vec![check("found", true, None), check("reachable", false, Some("Wake it."))];
        let report = DoctorReport { checks, report: String::new() };
        assert_eq!(describe(Output::new(true), &report), "ok    found: Seen.\nFAIL  reachable: Seen.\n      Wake it.");
    }
}
