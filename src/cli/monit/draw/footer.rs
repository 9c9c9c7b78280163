//! The bottom of the screen: what is asked or told, then the keys.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::monit::model::{Model, Talk, UnderWay};
use crate::cli::terminal::Style;
use crate::cli::text::width;

/// As many of them as there is room for.
const KEYS: [&str; 3] = [
    "q quit  ↑↓ select  Tab next pane  r restart  R reload  + - scale  ? help",
    "q quit  ↑↓ Tab r R + -  ? help",
    "q quit  ? help",
];

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let said = said(model);
    for (y, (line, style)) in said.iter().enumerate() {
        pen.text(area, y, line, *style);
    }
    let fits = |keys: &&&str| width(keys) <= usize::from(area.width);
    let keys = match model.talk {
        Some(Talk::Asked(_)) => "y yes, do it   any other key: no",
        _ if model.help => "any key goes back",
        _ => KEYS.iter().find(fits).unwrap_or(&KEYS[2]),
    };
    pen.text(area, usize::from(area.height).saturating_sub(1), keys, Some(Style::Dim));
}

/// What stands above the keys.
fn said(model: &Model) -> Vec<(String, Option<Style>)> {
    match (&model.talk, &model.under_way) {
        (Some(Talk::Asked(order)), _) => {
            let question = model.alive().map(|list| order.question(list));
            question.into_iter().map(|question| (question, Some(Style::Bold))).collect()
        }
        (Some(Talk::Told(told)), _) => {
            let style = if told.well { Style::Green } else { Style::Red };
            let hint = told.hint.iter().map(|hint| (format!("hint: {hint}"), None));
            std::iter::once((told.line.clone(), Some(style))).chain(hint).collect()
        }
        (None, Some(UnderWay { since, course, .. })) => {
            let step = model.alive().and_then(|list| course.step(list));
            let step = step.as_deref().unwrap_or("it is under way");
            let waited = model.now.saturating_sub(*since);
            vec![(course.told(step, waited, usize::from(model.size.0)), Some(Style::Yellow))]
        }
        (None, None) => Vec::new(),
    }
}
