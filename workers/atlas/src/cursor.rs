//! A place in the datagram, and the steps of JSON over it.
//!
//! What counts as JSON is what serde_json's `StreamDeserializer` accepts, byte for byte; tests hold the two together.

use crate::Malformed;
use crate::number;
use crate::text::{self, Text};

/// How many arrays and objects may be open at once.
const MAX_DEPTH: u32 = 127;

/// A name that is looked for, ASCII, in the quotes in which it is mostly written.
pub(crate) struct Name(&'static str);

impl Name {
    /// The name whose JSON is `quoted`; it needs no escapes.
    pub(crate) const fn quoted(quoted: &'static str) -> Name {
        Name(quoted)
    }

    fn plain(&self) -> &'static str {
        self.0.trim_matches('"')
    }
}

/// A place in the datagram. Every step goes forward, none allocates, none recurses.
///
/// The steps of the usual datagram are inlined; those that are not take the cursor by value and give it back, so that
/// it stays in registers.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'d> {
    /// What is still ahead.
    pub(crate) rest: &'d [u8],
}

impl<'d> Cursor<'d> {
    pub(crate) fn new(bytes: &'d [u8]) -> Cursor<'d> {
        Cursor { rest: bytes }
    }

    /// The byte here, or 0 at the end: outside of a string a 0 is valid nowhere, so both lead to a refusal.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// The byte here after white space is skipped, or 0 at the end.
    #[inline(always)]
    pub(crate) fn token(&mut self) -> u8 {
        loop {
            match self.peek() {
                byte if byte > b' ' => return byte,
                b' ' | b'\t' | b'\r' | b'\n' => self.step(1),
                byte => return byte,
            }
        }
    }

    /// Steps over `count` bytes, or to the end if there are fewer.
    #[inline(always)]
    pub(crate) fn step(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or(&[]);
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was stepped over since `rest` was ahead.
    pub(crate) fn since(&self, rest: &'d [u8]) -> &'d [u8] {
        rest.get(..rest.len() - self.rest.len()).unwrap_or(&[])
    }

    /// Steps over `byte`, which must be the next token.
    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.token() != byte {
            return Err(Malformed::Json);
        }
        self.step(1);
        Ok(())
    }

    /// Steps over the string that must come next.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Text<'d>, Malformed> {
        let (cursor, text) = self.after_string()?;
        *self = cursor;
        Ok(text)
    }

    #[inline(never)]
    fn after_string(mut self) -> Result<(Cursor<'d>, Text<'d>), Malformed> {
        self.expect(b'"')?;
        let text = text::scan(&mut self)?;
        Ok((self, text))
    }

    /// Steps over the string that must come next; says which of `names` it is, if any.
    #[inline(always)]
    pub(crate) fn one_of<T: Copy>(&mut self, names: &[(Name, T)]) -> Result<Option<T>, Malformed> {
        // As good as every string is one of them, written plainly: then nothing need be searched for its end.
        for (name, meaning) in names {
            if self.take(name) {
                return Ok(Some(*meaning));
            }
        }
        let text = self.string()?;
        Ok(names.iter().find(|(name, _)| text.is(name.plain())).map(|&(_, meaning)| meaning))
    }

    /// Steps over the string `name`, if it stands right here and is written plainly.
    #[inline(always)]
    pub(crate) fn take(&mut self, name: &Name) -> bool {
        let Some(rest) = self.rest.strip_prefix(name.0.as_bytes()) else { return false };
        self.rest = rest;
        true
    }

    /// Steps over the key that must come next and its colon; says which of `names` it is, `other` if none.
    #[inline(always)]
    pub(crate) fn key<T: Copy>(&mut self, names: &[(Name, T)], other: T) -> Result<T, Malformed> {
        self.token();
        let key = self.one_of(names)?;
        self.expect(b':')?;
        Ok(key.unwrap_or(other))
    }

    /// Steps into the array or object that begins here and says true; or over it, if it is empty. `end` is what ends it.
    #[inline(always)]
    pub(crate) fn begin(&mut self, end: u8) -> bool {
        self.step(1);
        let empty = self.token() == end;
        if empty {
            self.step(1);
        }
        !empty
    }

    /// Steps over the comma behind an element and says true; or over the end of its array or object.
    #[inline(always)]
    pub(crate) fn goes_on(&mut self, end: u8) -> Result<bool, Malformed> {
        match self.token() {
            b',' => {
                self.step(1);
                Ok(true)
            }
            byte if byte == end => {
                self.step(1);
                Ok(false)
            }
            _ => Err(Malformed::Json),
        }
    }

    /// Steps over any value. `depth` arrays and objects are open around it.
    #[inline(always)]
    pub(crate) fn skip_value(&mut self, depth: u32) -> Result<(), Malformed> {
        *self = self.after_value(depth)?;
        Ok(())
    }

    #[inline(never)]
    fn after_value(mut self, depth: u32) -> Result<Cursor<'d>, Malformed> {
        let mut open = Nesting { depth, floor: depth, objects: 0 };
        loop {
            match self.token() {
                b'{' => {
                    open.push(true)?;
                    if self.begin(b'}') {
                        self.skip_key()?;
                        continue;
                    }
                    open.pop();
                }
                b'[' => {
                    open.push(false)?;
                    if self.begin(b']') {
                        continue;
                    }
                    open.pop();
                }
                _ => self.skip_scalar()?,
            }
            if !self.skip_ends(&mut open)? {
                return Ok(self);
            }
        }
    }

    fn skip_key(&mut self) -> Result<(), Malformed> {
        self.string()?;
        self.expect(b':')
    }

    /// After a value: steps over the ends that follow it, then on to the next value and says true; false if all is closed.
    fn skip_ends(&mut self, open: &mut Nesting) -> Result<bool, Malformed> {
        while let Some(in_object) = open.top() {
            let end = if in_object { b'}' } else { b']' };
            if self.goes_on(end)? {
                if in_object {
                    self.skip_key()?;
                }
                return Ok(true);
            }
            open.pop();
        }
        Ok(false)
    }

    /// Steps over a string, a number, `true`, `false` or `null`.
    fn skip_scalar(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => number::scan(self).map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(Malformed::Json),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        self.rest = self.rest.strip_prefix(word).ok_or(Malformed::Json)?;
        Ok(())
    }
}

/// Which arrays and objects are open: a stack of bits.
struct Nesting {
    depth: u32,
    /// The depth at which the skipped value itself stands.
    floor: u32,
    /// Bit `n` tells whether what is open at depth `n + 1` is an object. 127 of 128 are used.
    objects: u128,
}

impl Nesting {
    fn push(&mut self, object: bool) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        self.objects = self.objects & !(1 << self.depth) | u128::from(object) << self.depth;
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
    }

    /// Whether the innermost that is open is an object; none if the skipped value is complete.
    fn top(&self) -> Option<bool> {
        (self.depth > self.floor).then(|| self.objects >> (self.depth - 1) & 1 == 1)
    }
}
