//! Which products are simulated, and how much each one has.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A product. The amplified ones share the firmware, and so the parameters, of their smaller siblings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Product {
    /// Four zones.
    Azm4,
    /// Eight zones.
    #[default]
    Azm8,
    /// Four zones, amplified.
    Azmp4,
    /// Eight zones, amplified.
    Azmp8,
}

impl Product {
    /// Every product.
    pub const ALL: [Product; 4] = [Product::Azm4, Product::Azm8, Product::Azmp4, Product::Azmp8];

    /// Its name on the command line: `azm8`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Product::Azm4 => "azm4",
            Product::Azm8 => "azm8",
            Product::Azmp4 => "azmp4",
            Product::Azmp8 => "azmp8",
        }
    }

    /// What it has. Where mixes begin was seen on both; how many sources and mixes an AZM4 has is inferred from that.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Product::Azm4 | Product::Azmp4 => Shape { sources: 8, mixes: 4, zones: 4, groups: 4 },
            Product::Azm8 | Product::Azmp8 => Shape { sources: 14, mixes: 8, zones: 8, groups: 8 },
        }
    }
}

/// As people write it: `AZM8`.
impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().to_ascii_uppercase())
    }
}

/// In small or capital letters.
impl FromStr for Product {
    type Err = ();

    fn from_str(text: &str) -> Result<Product, ()> {
        Product::ALL.into_iter().find(|product| product.name().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// How many of what a configured processor has. What is the same on every product is a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Numbered from 0.
    pub sources: u8,
    /// Numbered on from the sources.
    pub mixes: u8,
    /// Numbered from 0.
    pub zones: u8,
    /// Numbered from 0.
    pub groups: u8,
}

impl Shape {
    /// Messages that can be played.
    pub const MESSAGES: u8 = 8;
    /// Routines that can be recalled.
    pub const ROUTINES: u8 = 4;
    /// Scenes that can be recalled.
    pub const SCENES: u8 = 6;
    /// Presets of the outputs.
    pub const GPO_PRESETS: u8 = 4;
    /// Outputs.
    pub const GPOS: u8 = 2;
    /// Bell schedules.
    pub const BELL_SCHEDULES: u8 = 3;

    /// The numbers of the mixes.
    #[must_use]
    pub const fn mix_numbers(self) -> Range<u8> {
        self.sources..self.sources + self.mixes
    }

    /// The two zones of a group: its own and the next, so that neighbouring groups share one.
    #[must_use]
    pub const fn zones_of(self, group: u8) -> [u8; 2] {
        [group % self.zones, (group + 1) % self.zones]
    }

    /// Whether two groups share a zone.
    #[must_use]
    pub fn overlap(self, one: u8, other: u8) -> bool {
        self.zones_of(one).iter().any(|zone| self.zones_of(other).contains(zone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_found_by_name_and_have_their_numbers() {
        for product in Product::ALL {
            assert_eq!(product.name().parse(), Ok(product));
            assert_eq!(product.to_string().parse(), Ok(product));
        }
        assert_eq!("azm9".parse::<Product>(), Err(()));
        assert_eq!(Product::Azm8.shape().mix_numbers(), 14..22);
        assert_eq!(Product::Azm4.shape().mix_numbers(), 8..12);
    }

    #[test]
    fn groups_share_zones_with_their_neighbours_alone() {
        let shape = Product::Azm8.shape();
        assert!(shape.overlap(0, 1) && shape.overlap(7, 0) && shape.overlap(3, 3));
        assert!(!shape.overlap(0, 2) && !shape.overlap(1, 7));
    }
}
