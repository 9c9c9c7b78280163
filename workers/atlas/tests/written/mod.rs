//! JSON before it is bytes, and how a sender may write it: order, white space, escapes, forms of numbers.

use proptest::prelude::*;

/// A value whose form is still open.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    /// A number, `true`, `false` or `null`, as written.
    Bare(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The choices a sender makes while writing, repeatable by its seed.
pub(crate) struct Writer {
    seed: u64,
    /// Of 256: how often there is white space where it may be.
    spaced: u64,
    /// Of 256: how often a character is escaped that need not be.
    escaped: u64,
    pub(crate) out: Vec<u8>,
}

impl Writer {
    /// Every fourth seed writes tightly, every fourth without needless escapes.
    pub(crate) fn new(seed: u64) -> Writer {
        let spaced = [0, 20, 100, 20][seed as usize % 4];
        let escaped = [0, 0, 10, 128][seed as usize / 4 % 4];
        Writer { seed, spaced, escaped, out: Vec::new() }
    }

    /// The next number below `limit`, by splitmix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.seed ^ self.seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % limit
    }

    fn space(&mut self) {
        while self.below(256) < self.spaced {
            let space = b" \t\r\n"[self.below(4) as usize];
            self.out.push(space);
        }
    }

    fn token(&mut self, token: &str) {
        self.space();
        self.out.extend_from_slice(token.as_bytes());
        self.space();
    }

    pub(crate) fn value(&mut self, json: &Json) {
        match json {
            Json::Bare(bare) => self.token(bare),
            Json::Text(text) => self.text(text),
            Json::Array(elements) => {
                self.token("[");
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        self.token(",");
                    }
                    self.value(element);
                }
                self.token("]");
            }
            Json::Object(members) => {
                self.token("{");
                for (place, (key, value)) in members.iter().enumerate() {
                    if place > 0 {
                        self.token(",");
                    }
                    self.text(key);
                    self.token(":");
                    self.value(value);
                }
                self.token("}");
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.space();
        self.out.push(b'"');
        for character in text.chars() {
            let short = "\"\"\\\\//b\x08f\x0Cn\nr\rt\t"
                .as_bytes()
                .chunks(2)
                .find(|pair| char::from(pair[1]) == character);
            let must = character < ' ' || character == '"' || character == '\\';
            let escape = must || self.below(256) < self.escaped;
            match (escape, short) {
                (false, _) => self.out.extend_from_slice(character.to_string().as_bytes()),
                (true, Some(pair)) if self.below(2) == 0 => self.out.extend_from_slice(&[b'\\', pair[0]]),
                (true, _) => {
                    let upper = self.below(2) == 0;
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let hex = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                        self.out.extend_from_slice(hex.as_bytes());
                    }
                }
            }
        }
        self.out.push(b'"');
        self.space();
    }
}

/// Numbers in every form JSON knows, some out of range.
pub(crate) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => r"-(0|[1-7]?[0-9]|80)(\.[0-9]{1,3})?",
        4 => r"-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
        1 => r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
        1 => r"-?[1-9][0-9]{300,420}([eE]-[34][0-9]{2})?",
        1 => r"-?0\.0{0,400}[0-9]{1,20}([eE][+-]?[0-9]{1,3})?",
        1 => any::<f64>().prop_filter_map("a JSON number", |number| number.is_finite().then(|| format!("{number:e}"))),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
    ]
}

fn bare() -> impl Strategy<Value = Json> {
    prop_oneof![8 => number(), 1 => "true|false|null"].prop_map(Json::Bare)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "(Source|Mix|Zone|Group)(Meter|Gain)_[0-9]{0,3}",
        1 => "(update|getResp|KeepAlive|OK|val|2.0)",
        1 => "[ -~]{0,20}",
        1 => any::<String>(),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "(jsonrpc|method|params|result|param|val|pct|str|fmt|id)", 1 => text()]
}

/// Any JSON, of no shape in particular.
pub(crate) fn anything() -> impl Strategy<Value = Json> {
    prop_oneof![bare(), text().prop_map(Json::Text)].prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((key(), inner), 0..6).prop_map(Json::Object),
        ]
    })
}

/// An entry of `params`: most of them a meter with a level, its keys in any order, some twice.
fn entry() -> impl Strategy<Value = Json> {
    let name = prop_oneof![
        12 => r"(Source|Mix|Zone|Group)Meter_([0-9]|[1-5][0-9]|6[0-3])",
        2 => r"(Source|Mix|Zone|Group)Meter_[0-9]{1,3}",
        1 => Just("KeepAlive".to_owned()),
        1 => text(),
    ];
    let level = || prop_oneof![60 => number().prop_map(Json::Bare), 1 => anything()];
    let main = prop_oneof![
        12 => (name.prop_map(Json::Text), prop_oneof![16 => Just("val"), 4 => Just("pct"), 1 => Just("str")], level())
            .prop_map(|(name, key, level)| vec![("param".to_owned(), name), (key.to_owned(), level)]),
        1 => Just(Vec::new()),
    ];
    let extra = prop::collection::vec((key(), anything()), 0..2);
    let extra = prop_oneof![6 => Just(Vec::new()), 1 => extra];
    (main, extra).prop_map(|(main, extra)| [main, extra].concat()).prop_shuffle().prop_map(Json::Object)
}

fn params() -> impl Strategy<Value = Json> {
    let element = || prop_oneof![20 => entry(), 1 => anything()];
    prop_oneof![4 => prop::collection::vec(element(), 0..5).prop_map(Json::Array), 4 => entry(), 1 => anything()]
}

/// A message: most of them an update, its keys in any order, some twice.
fn message() -> impl Strategy<Value = Json> {
    let method = prop_oneof![12 => "update", 3 => "getResp", 1 => text()];
    let main = (method, params()).prop_map(|(method, params)| {
        vec![("method".to_owned(), Json::Text(method)), ("params".to_owned(), params)]
    });
    let extra = prop_oneof![
        3 => (Just("jsonrpc".to_owned()), Just(Json::Text("2.0".to_owned()))),
        1 => (Just("result".to_owned()), params()),
        1 => (Just("params".to_owned()), params()),
        1 => (key(), anything()),
    ];
    (main, prop::collection::vec(extra, 0..3))
        .prop_map(|(main, extra)| [main, extra].concat())
        .prop_shuffle()
        .prop_map(Json::Object)
}

/// A datagram: one message or several, other values between them, written in a sender's own way.
pub(crate) fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![9 => message(), 1 => anything()];
    let values =
        prop_oneof![3 => prop::collection::vec(value, 1..4), 1 => message().prop_map(|one| vec![one])];
    (values, any::<u64>()).prop_map(|(values, seed)| {
        let mut writer = Writer::new(seed);
        values.iter().for_each(|value| writer.value(value));
        writer.out
    })
}
