//! Which fault comes next: in rounds, each kind once before any comes again.

use crate::dice::Dice;
use crate::faults::FAULTS;

/// What the seed makes of the faults; it has no end.
pub(crate) struct Sequence {
    seed: u64,
    number: u64,
    /// Rows of [`FAULTS`], the next one last.
    round: Vec<usize>,
}

impl Sequence {
    pub(crate) fn new(seed: u64) -> Sequence {
        Sequence { seed, number: 0, round: Vec::new() }
    }
}

impl Iterator for Sequence {
    /// A row of [`FAULTS`], and the dice it is performed with.
    type Item = (usize, Dice);

    fn next(&mut self) -> Option<(usize, Dice)> {
        if self.round.is_empty() {
            self.round = (0..FAULTS.len()).collect();
            // Numbers of rounds count from the top: they never meet those of faults.
            Dice::new(self.seed, u64::MAX - self.number).shuffle(&mut self.round);
        }
        let dice = Dice::new(self.seed, self.number);
        self.number += 1;
        self.round.pop().map(|row| (row, dice))
    }
}

/// Says which faults come in the first two rounds.
pub(crate) fn tell(seed: u64) {
    println!("seed {seed}");
    for (number, (row, _)) in Sequence::new(seed).take(2 * FAULTS.len()).enumerate() {
        println!("{:4}  {}", number + 1, FAULTS[row].name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn rows(seed: u64, count: usize) -> Vec<usize> {
        Sequence::new(seed).take(count).map(|(row, _)| row).collect()
    }

    #[test]
    fn each_kind_comes_once_in_each_round() {
        for round in rows(7, 5 * FAULTS.len()).chunks(FAULTS.len()) {
            assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), FAULTS.len());
        }
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(rows(1, 60), rows(1, 60));
        assert_ne!(rows(1, 60), rows(2, 60));
        let luck = |seed| -> Vec<usize> {
            Sequence::new(seed).take(60).map(|(_, mut dice)| dice.below(64)).collect()
        };
        assert_eq!(luck(1), luck(1));
        assert_ne!(luck(1), luck(2));
    }
}
