//! What the datagrams say.
//!
//! All datagrams of one sender have one length, so that a segmented send can carry many: only digits change from one to
//! the next.

use std::io::Write as _;

/// Most meters in one datagram.
pub const MAX_METERS: usize = 256;
/// A sequence number is written above this, so that all have ten digits.
pub const NUMBER_BASE: u64 = 1_000_000_000;

const KINDS: [&str; 4] = ["Zone", "Source", "Mix", "Group"];
/// Meters of one kind.
const INDICES: usize = 64;
/// Levels go from -10.00 to -79.99 dB: always four digits.
const LEVELS: u64 = 7000;
const QUIETEST: u64 = 1000;
/// Where the number of a text goes.
const SEQ: &str = "{seq}";

/// The kind of datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An update of so many meters, as an Atmosphere processor pushes it.
    Meters {
        /// How many, 1 … [`MAX_METERS`].
        meters: usize,
        /// With `,"seq":N` behind the meters, [`NUMBER_BASE`] added.
        numbered: bool,
    },
    /// A text; each `{seq}` in it becomes the sequence number, [`NUMBER_BASE`] added.
    Text(String),
}

/// A datagram whose digits are filled in for each one sent.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    /// Where five characters of a level stand: `dd.dd`.
    levels: Vec<usize>,
    /// Where ten digits of the number stand.
    numbers: Vec<usize>,
}

impl Payload {
    /// The datagrams of a sender. Senders of one processor differ by `variant`, the number of their first meter.
    #[must_use]
    pub fn template(&self, variant: usize) -> Template {
        match self {
            Payload::Meters { meters, numbered } => update(*meters, *numbered, variant),
            Payload::Text(text) => Template::of_text(text),
        }
    }
}

fn update(meters: usize, numbered: bool, variant: usize) -> Template {
    let mut template = Template {
        bytes: br#"{"jsonrpc":"2.0","method":"update","params":["#.to_vec(),
        levels: Vec::new(),
        numbers: Vec::new(),
    };
    for meter in (variant..).take(meters) {
        let meter = meter % MAX_METERS;
        let (kind, index) = (KINDS[meter / INDICES], meter % INDICES);
        let comma = if template.levels.is_empty() { "" } else { "," };
        // Writing into a Vec cannot fail.
        let _ = write!(template.bytes, r#"{comma}{{"param":"{kind}Meter_{index}","val":-"#);
        template.levels.push(template.bytes.len());
        template.bytes.extend_from_slice(b"00.00}");
    }
    template.bytes.push(b']');
    if numbered {
        template.bytes.extend_from_slice(br#","seq":"#);
        template.numbers.push(template.bytes.len());
        template.bytes.extend_from_slice(&[b'0'; 10]);
    }
    template.bytes.push(b'}');
    template
}

impl Template {
    fn of_text(text: &str) -> Template {
        let mut template = Template { bytes: Vec::new(), levels: Vec::new(), numbers: Vec::new() };
        let mut parts = text.split(SEQ);
        template.bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
        for part in parts {
            template.numbers.push(template.bytes.len());
            template.bytes.extend_from_slice(&[b'0'; 10]);
            template.bytes.extend_from_slice(part.as_bytes());
        }
        template
    }

    /// Length of each datagram in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes datagram `seq` into `place`.
    ///
    /// # Panics
    /// If `place` has another length than [`Template::bytes`].
    pub fn render(&self, seq: u64, place: &mut [u8]) {
        place.copy_from_slice(&self.bytes);
        for (meter, &at) in (0u64..).zip(&self.levels) {
            let level = QUIETEST + (seq + 37 * meter) % LEVELS;
            digits(level / 100, &mut place[at..at + 2]);
            digits(level % 100, &mut place[at + 3..at + 5]);
        }
        for &at in &self.numbers {
            digits(NUMBER_BASE + seq % (9 * NUMBER_BASE), &mut place[at..at + 10]);
        }
    }
}

/// Decimal digits, right-aligned, the lowest last.
fn digits(mut number: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(payload: &Payload, variant: usize, seq: u64) -> String {
        let template = payload.template(variant);
        let mut bytes = vec![0; template.bytes()];
        template.render(seq, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_meter_is_what_a_processor_sends() {
        assert_eq!(
            datagram(&Payload::Meters { meters: 1, numbered: false }, 3, 1234),
            r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_3","val":-22.34}]}"#
        );
    }

    #[test]
    fn any_number_of_meters_is_valid_json_with_levels_of_the_range() {
        for (meters, variant) in [(1, 0), (32, 0), (64, 63), (MAX_METERS, 17)] {
            for seq in [0, 6999, 7000, u64::MAX / 2] {
                let text = datagram(&Payload::Meters { meters, numbered: true }, variant, seq);
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                let params = json["params"].as_array().unwrap();
                assert_eq!(
                    (params.len(), json["seq"].as_u64().unwrap()),
                    (meters, NUMBER_BASE + seq % (9 * NUMBER_BASE))
                );
                assert!(
                    params.iter().all(|one| (-80.0..=-10.0).contains(&one["val"].as_f64().unwrap())),
                    "{text}"
                );
                let mut names: Vec<_> = params.iter().map(|one| one["param"].as_str().unwrap()).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), meters, "each meter once");
            }
        }
    }

    #[test]
    fn a_text_has_its_number_wherever_it_asks_for_it() {
        let text = Payload::Text("<{seq}|{seq}>".into());
        assert_eq!(datagram(&text, 0, 42), "<1000000042|1000000042>");
        assert_eq!(datagram(&Payload::Text("plain".into()), 5, 42), "plain");
        assert_eq!(datagram(&Payload::Text(String::new()), 0, 0), "");
    }
}
