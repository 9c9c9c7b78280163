//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::layout::{Layout, Lines};
use super::model::{Deed, Model, Pane, Talk, UnderWay};
use super::order::{Order, Told};
use crate::amount::Scale;
use crate::cli::progress::Course;

/// The keys, and what they do; as the help shows them.
pub(super) const KEYS: [(&str, &str); 11] = [
    ("↑ ↓ or k j", "select a worker or role; scroll meters and log lines"),
    ("PgUp PgDn", "the same by a page; Home and End go to the ends"),
    ("Tab", "next pane: workers, meters, log lines"),
    ("r", "restart the selected worker or role, at once"),
    ("R", "reload: read the configuration, replace every worker"),
    ("+ -", "one worker more, one fewer"),
    ("y", "yes, do it; any other key: no"),
    ("Esc", "close a question, a message, or this help"),
    ("?", "this help"),
    ("Ctrl-Z", "back to the shell for a while; `fg` comes back"),
    ("q Ctrl-C", "quit; the cluster goes on, and so does what was ordered"),
];

impl Model {
    /// What a key asks for.
    pub(super) fn on_key(&mut self, key: KeyEvent) -> Option<Deed> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Deed::Quit),
                KeyCode::Char('z') => Some(Deed::Suspend),
                _ => None,
            };
        }
        match self.talk.take() {
            Some(Talk::Asked(order)) => return self.on_answer(order, key.code),
            // What was told has been read; the key does what it does all the same.
            Some(Talk::Told(_)) | None => {}
        }
        if std::mem::take(&mut self.help) {
            return None;
        }
        match key.code {
            KeyCode::Char('q') => return Some(Deed::Quit),
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('r') => self.ask_restart(),
            KeyCode::Char('R') => self.ask(Order::Reload),
            KeyCode::Char('+') => self.ask(Order::Scale(Scale::Up(1))),
            KeyCode::Char('-') => self.ask(Order::Scale(Scale::Down(1))),
            KeyCode::Tab => self.pane = self.next_pane(1),
            KeyCode::BackTab => self.pane = self.next_pane(2),
            code => self.travel(code),
        }
        None
    }

    fn on_answer(&mut self, order: Order, code: KeyCode) -> Option<Deed> {
        if !matches!(code, KeyCode::Char('y' | 'Y')) {
            self.talk = Some(Talk::Told(Told::well(format!("not done: {}", order.name()))));
            return None;
        }
        let course = Course::new(order.wait(), self.alive().cloned());
        self.under_way = Some(UnderWay { order: order.clone(), since: self.now, course });
        Some(Deed::Give(order))
    }

    fn ask_restart(&mut self) {
        match self.chosen.clone() {
            Some(id) => self.ask(Order::Restart(id)),
            None => self.refuse("restart: nothing is selected"),
        }
    }

    fn ask(&mut self, order: Order) {
        if let Some(UnderWay { order, .. }) = &self.under_way {
            let line = format!("{} is still running; one order at a time", order.name());
            self.refuse(&line);
        } else if self.alive().is_none() {
            self.refuse("the cluster is not reached: nothing can be ordered");
        } else {
            self.talk = Some(Talk::Asked(order));
        }
    }

    fn refuse(&mut self, line: &str) {
        self.talk = Some(Talk::Told(Told::wrong(line, None)));
    }

    fn next_pane(&self, steps: usize) -> Pane {
        const PANES: [Pane; 3] = [Pane::Workers, Pane::Meters, Pane::Lines];
        let at = PANES.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        PANES[(at + steps) % PANES.len()]
    }

    /// Up and down in the pane that is chosen.
    fn travel(&mut self, code: KeyCode) {
        let layout = Layout::of(self);
        let Lines { all, shown } = layout.lines(self, self.pane);
        let page = shown.max(1);
        let at = match self.pane {
            Pane::Workers => self.row(),
            Pane::Meters => self.meters_above,
            Pane::Lines => self.lines_below,
        };
        let last = match self.pane {
            Pane::Workers => all.saturating_sub(1),
            Pane::Meters | Pane::Lines => all.saturating_sub(shown),
        };
        // Log lines are counted from below.
        let (back, ahead) = if self.pane == Pane::Lines { (1, -1) } else { (-1, 1) };
        let ends = if self.pane == Pane::Lines { (last, 0) } else { (0, last) };
        let moved = |by: isize| at.saturating_add_signed(by).min(last);
        let page = isize::try_from(page).unwrap_or(isize::MAX);
        let to = match code {
            KeyCode::Up | KeyCode::Char('k') => moved(back),
            KeyCode::Down | KeyCode::Char('j') => moved(ahead),
            KeyCode::PageUp => moved(back * page),
            KeyCode::PageDown => moved(ahead * page),
            KeyCode::Home | KeyCode::Char('g') => ends.0,
            KeyCode::End | KeyCode::Char('G') => ends.1,
            _ => return,
        };
        match self.pane {
            // While no cluster is reached there are no rows, and whoever was chosen is so when it is back.
            Pane::Workers => self.chosen = self.ids().get(to).cloned().or(self.chosen.take()),
            Pane::Meters => self.meters_above = to,
            Pane::Lines => self.lines_below = to,
        }
    }
}
