//! From the bytes of one datagram to readings.

use crate::cursor::{Cursor, Name};
use crate::number;
use crate::param::Param;
use crate::plain;
use crate::{CentiDb, Kind, Malformed, MeterId, Reading};

/// The longest datagram that is parsed, in bytes.
pub const MAX_DATAGRAM: usize = 4096;

/// Room for every reading of any datagram: each one comes from a JSON object of its own, objects do not overlap, and
/// none that makes a reading is shorter than this one (no meter's name is shorter, an escape only lengthens it).
const MAX_READINGS: usize = MAX_DATAGRAM / r#"{"param":"MixMeter_0","val":0}"#.len();

/// A place among the readings fits a byte.
const _: () = assert!(MAX_READINGS <= 256);

/// What a valid datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It carries at least one meter's level.
    Meter,
    /// It carries no level, but the answer to a keep-alive.
    KeepAlive,
    /// Neither.
    Other,
}

/// A valid datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed<'r> {
    /// What it is.
    pub class: Class,
    /// The levels it carries, each meter once: the last level that it names. In the order of first mention.
    pub readings: &'r [Reading],
    /// Whether an update named a meter whose index is 64 or more. Such an entry is no reading and no error.
    pub index_out_of_range: bool,
}

/// A parser with its scratch space: made once, then it never allocates. About 1 kB.
#[derive(Clone, Debug)]
pub struct Parser {
    pub(crate) readings: [Reading; MAX_READINGS],
    /// How many of `readings` the datagram has so far, those of the object under way included.
    len: usize,
    /// Where in `readings` a meter stands; means something only for meters already seen.
    places: [u8; MeterId::COUNT],
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// A parser that has seen nothing.
    pub fn new() -> Parser {
        let blank = Reading { meter: MeterId { kind: Kind::Source, index: 0 }, level: CentiDb::SILENCE };
        Parser { readings: [blank; MAX_READINGS], len: 0, places: [0; MeterId::COUNT] }
    }

    /// Parses one datagram: JSON values one after another, in any form that JSON allows.
    ///
    /// All of it is valid, or none of it is delivered. Never panics, whatever the bytes are.
    pub fn parse(&mut self, datagram: &[u8]) -> Result<Parsed<'_>, Malformed> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(Malformed::TooLong);
        }
        match plain::scan(datagram, &mut self.readings) {
            Some(len) => {
                let readings = &self.readings[..len];
                Ok(Parsed { class: Class::Meter, readings, index_out_of_range: false })
            }
            None => self.parse_any(datagram),
        }
    }

    /// As [`Parser::parse`], in the form that JSON allows.
    pub(crate) fn parse_any(&mut self, datagram: &[u8]) -> Result<Parsed<'_>, Malformed> {
        self.len = 0;
        let mut found = Findings::default();
        let mut cursor = Cursor::new(datagram);
        let mut empty = true;
        loop {
            match cursor.token() {
                b'{' => found.add(self.message(&mut cursor)?),
                b'[' | b'"' => cursor.skip_value(0)?,
                _ if cursor.is_at_end() => break,
                _ => {
                    cursor.skip_value(0)?;
                    // What does not show its own end must be followed by white space or by what shows its beginning.
                    if !matches!(cursor.peek(), b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'[' | b'{')
                        && !cursor.is_at_end()
                    {
                        return Err(Malformed::Json);
                    }
                }
            }
            empty = false;
        }
        if empty {
            return Err(Malformed::Empty);
        }
        if let Some(fault) = found.fault {
            return Err(fault);
        }
        self.keep_last_of_each_meter();
        let class = match (self.len, found.keep_alive) {
            (1.., _) => Class::Meter,
            (0, true) => Class::KeepAlive,
            (0, false) => Class::Other,
        };
        Ok(Parsed {
            class,
            readings: &self.readings[..self.len],
            index_out_of_range: found.index_out_of_range,
        })
    }

    /// A top-level object. Its readings stay only if it turns out to be an update.
    #[inline(always)]
    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<Findings, Malformed> {
        let start = self.len;
        let mut method = Method::Other;
        let mut params = Findings::default();
        let mut result = Findings::default();
        let mut more = cursor.begin(b'}');
        while more {
            match cursor.key(&MEMBERS, Member::Other)? {
                Member::Method => method = Method::scan(cursor)?,
                Member::Params => {
                    // The last of several replaces the others, readings and all.
                    self.len = start;
                    params = self.entries(cursor)?;
                }
                Member::Result => {
                    let end = self.len;
                    result = self.entries(cursor)?;
                    self.len = end;
                }
                // Any version will do; the usual one is passed at once.
                Member::Version if cursor.take(&VERSION) => {}
                Member::Version | Member::Other => cursor.skip_value(1)?,
            }
            more = cursor.goes_on(b'}')?;
        }
        let (update, answer) = (method == Method::Update, method == Method::GetResp);
        if !update {
            self.len = start;
        }
        Ok(Findings {
            fault: params.fault.filter(|_| update),
            index_out_of_range: params.index_out_of_range && update,
            keep_alive: params.keep_alive && answer || result.keep_alive,
        })
    }

    /// The value of `params` or `result`: one entry, an array with entries in it, or anything else, which says nothing.
    #[inline(always)]
    fn entries(&mut self, cursor: &mut Cursor<'_>) -> Result<Findings, Malformed> {
        let mut found = Findings::default();
        match cursor.token() {
            b'{' => *cursor = self.entry(*cursor, 2, &mut found)?,
            b'[' => {
                let mut more = cursor.begin(b']');
                while more {
                    match cursor.token() {
                        b'{' => *cursor = self.entry(*cursor, 3, &mut found)?,
                        _ => cursor.skip_value(2)?,
                    }
                    more = cursor.goes_on(b']')?;
                }
            }
            _ => cursor.skip_value(1)?,
        }
        Ok(found)
    }

    /// One parameter and its value: an object, the `depth`th around its members. Not inlined, and the cursor by value:
    /// so the compiler keeps the cursor in registers (a third faster).
    #[inline(never)]
    fn entry<'d>(
        &mut self,
        mut cursor: Cursor<'d>,
        depth: u32,
        found: &mut Findings,
    ) -> Result<Cursor<'d>, Malformed> {
        let mut param = Param::Other;
        let mut val = Level::Absent;
        let mut pct = Level::Absent;
        let mut more = cursor.begin(b'}');
        while more {
            match cursor.key(&FIELDS, Field::Other)? {
                Field::Param => param = Param::scan(&mut cursor, depth)?,
                Field::Val => val = Level::scan(&mut cursor, depth)?,
                Field::Pct => pct = Level::scan(&mut cursor, depth)?,
                Field::Other => cursor.skip_value(depth)?,
            }
            more = cursor.goes_on(b'}')?;
        }
        match (param, val, pct) {
            (Param::Meter(meter), Level::Number(db), _) => self.push(meter, CentiDb::from_db(db)),
            (Param::Meter(meter), Level::Absent, Level::Number(pct)) => {
                self.push(meter, CentiDb::from_pct(pct))
            }
            (Param::Meter(_), Level::Absent, Level::Absent) => found.blame(Malformed::NoLevel),
            (Param::Meter(_), Level::Bad, _) | (Param::Meter(_), Level::Absent, Level::Bad) => {
                found.blame(Malformed::BadLevel);
            }
            (Param::OutOfRange, _, _) => found.index_out_of_range = true,
            (Param::KeepAlive, _, _) => found.keep_alive = true,
            (Param::Other, _, _) => {}
        }
        Ok(cursor)
    }

    #[inline(always)]
    fn push(&mut self, meter: MeterId, level: CentiDb) {
        self.readings[self.len] = Reading { meter, level };
        self.len += 1;
    }

    /// Leaves one reading of each meter: its last level, in the place of its first mention.
    fn keep_last_of_each_meter(&mut self) {
        if self.len < 2 {
            return;
        }
        let mut seen = [false; MeterId::COUNT];
        let mut kept = 0;
        for next in 0..self.len {
            let reading = self.readings[next];
            let meter = reading.meter.ordinal();
            if seen[meter] {
                self.readings[usize::from(self.places[meter])].level = reading.level;
            } else {
                seen[meter] = true;
                self.places[meter] = kept as u8;
                self.readings[kept] = reading;
                kept += 1;
            }
        }
        self.len = kept;
    }
}

/// What stands in a part of a datagram beside its readings.
#[derive(Clone, Copy, Default)]
struct Findings {
    /// The first thing wrong with it, if it is an update.
    fault: Option<Malformed>,
    index_out_of_range: bool,
    keep_alive: bool,
}

impl Findings {
    /// Only the first fault is told.
    fn blame(&mut self, fault: Malformed) {
        self.fault.get_or_insert(fault);
    }

    fn add(&mut self, more: Findings) {
        self.fault = self.fault.or(more.fault);
        self.index_out_of_range |= more.index_out_of_range;
        self.keep_alive |= more.keep_alive;
    }
}

/// What a message is made of, as far as it matters.
#[derive(Clone, Copy)]
enum Member {
    Version,
    Method,
    Params,
    Result,
    Other,
}

/// In the order in which processors write them.
const MEMBERS: [(Name, Member); 4] = [
    (Name::quoted(r#""jsonrpc""#), Member::Version),
    (Name::quoted(r#""method""#), Member::Method),
    (Name::quoted(r#""params""#), Member::Params),
    (Name::quoted(r#""result""#), Member::Result),
];

const VERSION: Name = Name::quoted(r#""2.0""#);

/// What an entry is made of, as far as it matters.
#[derive(Clone, Copy)]
enum Field {
    Param,
    Val,
    Pct,
    Other,
}

/// In the order in which processors write them.
const FIELDS: [(Name, Field); 3] = [
    (Name::quoted(r#""param""#), Field::Param),
    (Name::quoted(r#""val""#), Field::Val),
    (Name::quoted(r#""pct""#), Field::Pct),
];

/// A message's `method`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Update,
    GetResp,
    Other,
}

const METHODS: [(Name, Method); 2] =
    [(Name::quoted(r#""update""#), Method::Update), (Name::quoted(r#""getResp""#), Method::GetResp)];

impl Method {
    #[inline(always)]
    fn scan(cursor: &mut Cursor<'_>) -> Result<Method, Malformed> {
        match cursor.token() {
            b'"' => Ok(cursor.one_of(&METHODS)?.unwrap_or(Method::Other)),
            _ => cursor.skip_value(1).map(|()| Method::Other),
        }
    }
}

/// An entry's `val` or `pct`.
#[derive(Clone, Copy)]
enum Level {
    Absent,
    Number(f64),
    /// Present, but not a number.
    Bad,
}

impl Level {
    #[inline(always)]
    fn scan(cursor: &mut Cursor<'_>, depth: u32) -> Result<Level, Malformed> {
        match cursor.token() {
            b'-' | b'0'..=b'9' => number::scan(cursor).map(Level::Number),
            _ => cursor.skip_value(depth).map(|()| Level::Bad),
        }
    }
}
