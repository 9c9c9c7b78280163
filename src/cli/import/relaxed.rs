//! JSON as PM2 takes it, with comments and commas at an end, made JSON; every character keeps its place, for errors.

/// The text with blanks in place of what JSON does not know.
pub(super) fn strict(text: &str) -> String {
    let mut strict: Vec<char> = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    // The last comma, as long as nothing but blanks and comments follows.
    let mut comma = None;
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('"', _) => {
                comma = None;
                strict.push(c);
                while let Some(c) = rest.next() {
                    strict.push(c);
                    match c {
                        '"' => break,
                        '\\' => strict.extend(rest.next()),
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => {
                strict.push(' ');
                while let Some(c) = rest.next_if(|c| *c != '\n') {
                    strict.push(blank(c));
                }
            }
            ('/', Some('*')) => {
                strict.extend([' ', ' ']);
                rest.next();
                let mut before = ' ';
                for c in rest.by_ref() {
                    strict.push(blank(c));
                    if (before, c) == ('*', '/') {
                        break;
                    }
                    before = c;
                }
            }
            (',', _) => {
                comma = Some(strict.len());
                strict.push(c);
            }
            (c, _) => {
                if let (']' | '}', Some(at)) = (c, comma) {
                    strict[at] = ' ';
                }
                if !c.is_whitespace() {
                    comma = None;
                }
                strict.push(c);
            }
        }
    }
    strict.into_iter().collect()
}

fn blank(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_last_commas_go_and_texts_stay() {
        for (text, expected) in [
            ("{\"a\": 1, // one\n}", "{\"a\": 1        \n}"),
            ("[1, /* two,\n ]*/ ]", "[1         \n     ]"),
            (r#"{"a": "// \" /* ,]", }"#, r#"{"a": "// \" /* ,]"  }"#),
            ("[1,,]", "[1, ]"),
            ("/", "/"),
            ("/*", "  "),
            ("\"a", "\"a"),
            ("\"\\", "\"\\"),
        ] {
            assert_eq!(strict(text), expected, "{text}");
        }
    }
}
