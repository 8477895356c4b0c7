//! `chat --plan`: where a question would run, and why there. And what was predicted beside what came of it.

use myownmesh_control::api::ControlApiClient;
use myownmesh_control::types::{ChatRequest, PlannedRoute, RoutePlan};

use super::Context;
use super::output::{Failure, Output, Style, Table, printable};
use super::units::{size, span};

/// Shows the plan.
pub(super) async fn show(request: ChatRequest, context: &Context) -> Result<(), Failure> {
    let plan = context.connect().await?.chat_plan(request).await?;
    context.out.document(&plan, describe)
}

fn describe(out: Output, plan: &RoutePlan) -> String {
    let mut table = Table::new(&["DEVICE", "MODEL", "FIRST WORD", "IN ALL", "MEMORY", "QUEUE", "WHY"]);
    table.styled(row(&plan.chosen, Style::Strong));
    for route in &plan.alternatives {
        table.styled(row(route, if route.usable { Style::Plain } else { Style::Quiet }));
    }
    table.render(out.colour())
}

fn row(route: &PlannedRoute, style: Style) -> [(String, Style); 7] {
    let time = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), span);
    let model = match (route.model.is_empty(), route.demo) {
        (true, _) => "-".to_owned(),
        (false, true) => format!("{} (demo)", printable(&route.model)),
        (false, false) => printable(&route.model),
    };
    [
        printable(&route.device_name),
        model,
        time(route.first_token_ms),
        time(route.total_ms),
        route.memory_bytes.map_or_else(|| "-".to_owned(), size),
        route.queue.to_string(),
        printable(&route.reason),
    ]
    .map(|text| (text, style))
}

/// What was predicted for the first word and for the whole, and what the whole took, to stand at the end of a line.
pub(super) fn expected(predicted: (Option<f64>, Option<f64>), total_ms: f64) -> String {
    match predicted {
        (Some(first), Some(all)) => {
            format!(" · {} in all · predicted {} and {}", span(total_ms), span(first), span(all))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str) -> PlannedRoute {
        PlannedRoute {
            device_id: "d".to_owned(),
            device_name: name.to_owned(),
            this_device: false,
            model: "qwen3".to_owned(),
            demo: false,
            usable: true,
            first_token_ms: Some(310.4),
            total_ms: Some(4_200.0),
            memory_bytes: Some(5_200_000_000),
            queue: 2,
            loaded: true,
            reason: "It is the soonest.".to_owned(),
        }
    }

    #[test]
    fn a_plan_is_a_table_with_reasons() {
        let away = PlannedRoute {
            model: String::new(),
            usable: false,
            first_token_ms: None,
            total_ms: None,
            memory_bytes: None,
            queue: 0,
            reason: "It cannot be reached now.".to_owned(),
            ..route("Lap")
        };
        let plan = RoutePlan { chosen: route("Desk"), alternatives: vec![away] };
        assert_eq!(
            describe(Output::new(true), &plan),
            "DEVICE  MODEL  FIRST WORD  IN ALL  MEMORY  QUEUE  WHY\n\
             Desk    qwen3  310 ms      4.2 s   5.2 GB  2      It is the soonest.\n\
             Lap     -      -           -       -       0      It cannot be reached now."
        );
    }

    #[test]
    fn a_prediction_stands_beside_what_came_of_it() {
        assert_eq!(expected((Some(40.0), Some(1_500.0)), 1_234.0), " · 1.2 s in all · predicted 40 ms and 1.5 s");
        assert_eq!(expected((None, None), 5.0), "");
    }
}
