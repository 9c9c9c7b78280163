//! The top of the screen: which cluster this is, how it is, what it has counted.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::list_text::{listen, state_style, sums};
use crate::cli::monit::layout::notice_lines;
use crate::cli::monit::model::Model;
use crate::cli::terminal::{Look, Style};
use crate::cli::text::{clean, cut, grouped, seconds, width};
use crate::wire::{Cluster, List};

const NAME: &str = "atlas-cluster";

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let name = |rest: &str| (format!("{NAME}{rest} "), Some(Style::Bold));
    let Some(list) = model.alive() else {
        pen.write(area, 0, &[name(""), ("not reached".into(), Some(Style::Red))]);
        return;
    };
    let cluster = &list.cluster;
    let name = name(&format!(" {}", clean(&cluster.version)));
    let state = (clean(&cluster.state), Some(state_style(&cluster.state)));
    let room = usize::from(area.width).saturating_sub(width(&name.0) + width(&state.0));
    let facts = (cut(&facts(cluster), room), None);
    pen.write(area, 0, &[name, state, facts]);
    let dropped = list.cluster.totals.dropped.is_some_and(|dropped| dropped > 0);
    pen.text(area, 1, &totals(list, model), dropped.then_some(Style::Yellow));
    for (at, line) in notice_lines(model).iter().enumerate() {
        pen.text(area, 2 + at, line, Some(Style::Yellow));
    }
}

/// What stands behind the state; shorter than `list` has it, so that 80 columns hold an address.
fn facts(cluster: &Cluster) -> String {
    let Cluster { pid, generation, .. } = cluster;
    format!("  pid {pid}  gen {generation}  up {}  on {}", seconds(cluster.uptime_s), listen(cluster))
}

fn totals(list: &List, model: &Model) -> String {
    let plain = Look { terminal: true, colour: false, columns: 0, rows: 0 };
    let sums = sums(&list.cluster.totals, &plain);
    // A worker whose rate is not known would make the sum too small.
    let known = list.workers.iter().map(|worker| model.rates.get(&worker.id).copied());
    let rate = known.sum::<Option<f64>>().map(|rate| format!("{}/s  ", grouped(rate.round() as u64)));
    rate.unwrap_or_default() + sums.trim_end()
}
