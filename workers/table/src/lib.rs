//! The meter table and the two-faced counters.
//!
//! Both live in memory that other processes write: every word is an atomic, every segment begins with magic, layout
//! version and size ([`Foreign`] says which of them is wrong), and what is read is input, not truth. No function here
//! panics on a word's value, waits for a writer, or takes a lock that a crash could leave held.

mod blame;
pub mod counters;
mod layout;
mod link;
mod reader;
mod recorders;
mod writer;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

pub use layout::{
    BYTES, INDICES, KIND_NAMES, KIND_PARAMS, KINDS, PROCESSORS, Place, STORE_BYTES, check, head,
};
pub use link::{LinkWriter, NAME_BYTES};
pub use reader::{ConnectionState, Meter, Processor, Reader};
pub use writer::Writer;

/// A segment as something to read from.
pub trait Words {
    /// The word at `word`, loaded with acquire ordering; 0 where there is none.
    fn load(&self, word: usize) -> u64;
    /// How many words there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Words for [AtomicU64] {
    fn load(&self, word: usize) -> u64 {
        self.get(word).map_or(0, |cell| cell.load(Ordering::Acquire))
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl<W: Words + ?Sized> Words for &W {
    fn load(&self, word: usize) -> u64 {
        (**self).load(word)
    }

    fn len(&self) -> usize {
        (**self).len()
    }
}

/// Why a segment is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Fewer bytes are mapped than its layout needs.
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes the layout needs.
        need: usize,
    },
    /// Its first word is another one.
    Magic {
        /// The word found.
        found: u64,
    },
    /// Its layout has another version.
    Layout {
        /// The version found.
        found: u32,
        /// The version this program knows.
        known: u32,
    },
    /// Its head tells another size.
    Size {
        /// The size its head tells.
        found: u64,
        /// The size it should have.
        expected: u64,
    },
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Short { have, need } => write!(f, "{have} bytes are mapped where {need} are needed"),
            Foreign::Magic { found } => {
                write!(f, "it begins with {found:#018x}, which is not its magic number")
            }
            Foreign::Layout { found, known } => {
                write!(f, "its layout is version {found}, this program knows {known}")
            }
            Foreign::Size { found, expected } => {
                write!(f, "it says it has {found} bytes, expected were {expected}")
            }
        }
    }
}

impl std::error::Error for Foreign {}

/// The first three words of any segment: what it is, the version of its layout, its size.
struct Head {
    magic: u64,
    version: u32,
    bytes: u64,
}

impl Head {
    const MAGIC: usize = 0;
    const LAYOUT: usize = 1;
    const BYTES: usize = 2;

    fn words(&self) -> [u64; 3] {
        [self.magic, u64::from(self.version) << 32, self.bytes]
    }

    /// Compares with what stands in `words`, of which at least `need` bytes must be there.
    fn check(&self, words: &(impl Words + ?Sized), need: usize) -> Result<(), Foreign> {
        let have = words.len().saturating_mul(8);
        if have < need {
            return Err(Foreign::Short { have, need });
        }
        let found = words.load(Self::MAGIC);
        if found != self.magic {
            return Err(Foreign::Magic { found });
        }
        let found = (words.load(Self::LAYOUT) >> 32) as u32;
        if found != self.version {
            return Err(Foreign::Layout { found, known: self.version });
        }
        let found = words.load(Self::BYTES);
        if found != self.bytes {
            return Err(Foreign::Size { found, expected: self.bytes });
        }
        Ok(())
    }
}

/// The start of a fresh table, keyed at random, so that nobody can choose addresses that collide.
#[must_use]
pub fn fresh_head() -> Vec<u8> {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    head([random(), random()])
}

/// The bytes of a segment that begins with `words`.
fn image(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
