//! Keys as they were pressed: a slow line tears what an arrow sends, ESC and `[A`, into an Esc and two letters.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// How long the rest of a key may be behind its ESC; an Esc that was pressed is told so much later.
const LATE: Duration = Duration::from_millis(200);
/// No key sends more.
const MOST: usize = 16;

/// The next events, usually one, from `next`: it waits for so long, or without an end, and gives None where none came.
pub(super) fn read(
    mut next: impl FnMut(Option<Duration>) -> io::Result<Option<Event>>,
) -> io::Result<Vec<Event>> {
    let Some(mut first) = next(None)? else { return Ok(Vec::new()) };
    let mut read = Vec::new();
    let begin = loop {
        if code(&first) != Some(KeyCode::Esc) {
            read.push(first);
            return Ok(read);
        }
        match next(Some(LATE))? {
            Some(event) => match code(&event) {
                Some(KeyCode::Char(begin @ ('[' | 'O'))) => break begin,
                // The one before was pressed; this one may begin a key.
                _ => read.push(std::mem::replace(&mut first, event)),
            },
            None => {
                read.push(first);
                return Ok(read);
            }
        }
    };
    let mut rest = String::new();
    while rest.len() < MOST {
        let Some(event) = next(Some(LATE))? else { break };
        let Some(KeyCode::Char(c)) = code(&event) else {
            // The terminal has another size.
            read.push(event);
            break;
        };
        rest.push(c);
        if begin == 'O' || matches!(c, '@'..='~') {
            read.extend(key(&rest));
            break;
        }
    }
    Ok(read)
}

fn code(event: &Event) -> Option<KeyCode> {
    match event {
        Event::Key(key) => Some(key.code),
        _ => None,
    }
}

/// What stands behind `ESC [` or `ESC O`, of the keys that do something here. Modifiers make no difference.
fn key(rest: &str) -> Option<Event> {
    let code = match rest.chars().last()? {
        'A' => KeyCode::Up,
        'B' => KeyCode::Down,
        'H' => KeyCode::Home,
        'F' => KeyCode::End,
        'Z' => KeyCode::BackTab,
        '~' => match rest.split([';', '~']).next()? {
            "1" | "7" => KeyCode::Home,
            "4" | "8" => KeyCode::End,
            "5" => KeyCode::PageUp,
            "6" => KeyCode::PageDown,
            _ => return None,
        },
        _ => return None,
    };
    Some(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// What is read where these keys came one by one, and then, after a while, an `x`.
    fn read_all(keys: &str) -> Vec<KeyCode> {
        let of = |c| if c == '\u{1b}' { KeyCode::Esc } else { KeyCode::Char(c) };
        let mut keys: VecDeque<KeyCode> = keys.chars().map(of).collect();
        let mut codes = Vec::new();
        while codes.last() != Some(&KeyCode::Char('x')) {
            let events = read(|within| {
                let key = keys.pop_front().or_else(|| within.is_none().then_some(KeyCode::Char('x')));
                Ok(key.map(|code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE))))
            });
            codes.extend(events.unwrap().iter().filter_map(code));
        }
        codes.pop();
        codes
    }

    #[test]
    fn a_key_that_came_in_pieces_is_that_key() {
        let keys = [
            ("\u{1b}[A", KeyCode::Up),
            ("\u{1b}OB", KeyCode::Down),
            ("\u{1b}[1;5A", KeyCode::Up),
            ("\u{1b}[H", KeyCode::Home),
            ("\u{1b}[4~", KeyCode::End),
            ("\u{1b}[5~", KeyCode::PageUp),
            ("\u{1b}[6;2~", KeyCode::PageDown),
            ("\u{1b}[Z", KeyCode::BackTab),
        ];
        for (pieces, key) in keys {
            assert_eq!(read_all(pieces), [key], "{pieces:?}");
        }
    }

    #[test]
    fn what_is_no_key_of_ours_does_nothing_not_even_by_its_letters() {
        for pieces in ["\u{1b}OR", "\u{1b}[15~", "\u{1b}[D", "\u{1b}[", "\u{1b}[1;5", "\u{1b}O"] {
            assert_eq!(read_all(pieces), [], "{pieces:?}");
        }
    }

    #[test]
    fn an_esc_is_one_where_no_key_follows() {
        assert_eq!(read_all("\u{1b}"), [KeyCode::Esc]);
        assert_eq!(read_all("\u{1b}y"), [KeyCode::Esc, KeyCode::Char('y')]);
        assert_eq!(read_all("q"), [KeyCode::Char('q')]);
        assert_eq!(read_all("\u{1b}\u{1b}"), [KeyCode::Esc, KeyCode::Esc]);
        assert_eq!(read_all("\u{1b}\u{1b}[A"), [KeyCode::Esc, KeyCode::Up], "the first one was pressed");
    }
}
