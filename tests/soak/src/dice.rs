//! Chance that can be repeated.

/// Splitmix64: the same seed and number, the same throws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Each number has dice of its own: what one fault throws does not change the next one's luck.
    pub(crate) fn new(seed: u64, number: u64) -> Dice {
        let mut dice = Dice(seed);
        let start = dice.throw() ^ number.wrapping_mul(0xD134_2543_DE82_EF95);
        Dice(start)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Dice of their own for something that goes on beside.
    pub(crate) fn another(&mut self) -> Dice {
        Dice(self.throw())
    }

    /// One of 0 … `count` - 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.throw() % count as u64) as usize
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Any order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }
}
