//! How the screen looks: what is known in, cells out.

mod footer;
mod header;
mod help;
mod lines;
mod meters;
mod pen;
mod workers;

use ratatui::Frame;

use super::layout::{LEAST, Layout};
use super::model::Model;
use pen::Pen;

/// Draws what is known on the whole of `frame`.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let mut pen = Pen::new(frame.buffer_mut(), model.colour);
    let (columns, rows) = model.size;
    if columns < LEAST.0 || rows < LEAST.1 {
        let line = format!("too small: {columns}×{rows}; it needs {}×{}, q quits", LEAST.0, LEAST.1);
        pen.wrapped(pen.area(), &line, None);
        return;
    }
    let layout = Layout::of(model);
    header::draw(&mut pen, layout.header, model);
    if model.help {
        let height = layout.footer.y.saturating_sub(layout.workers.y);
        help::draw(&mut pen, ratatui::layout::Rect { height, ..layout.workers });
    } else {
        workers::draw(&mut pen, layout.workers, model);
        meters::draw(&mut pen, layout.meters, model, &layout);
        lines::draw(&mut pen, layout.lines, model);
    }
    footer::draw(&mut pen, layout.footer, model);
}
