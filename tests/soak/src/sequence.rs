//! What comes next: in rounds, each kind of fault once alone before any comes again, and pairs among them.

use std::fmt;

use crate::dice::Dice;
use crate::faults::FAULTS;

/// Pairs in each round.
const PAIRS: usize = 10;

/// Rows of [`FAULTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    One(usize),
    /// In the same moment.
    Two([usize; 2]),
}

impl Step {
    pub(crate) fn rows(&self) -> &[usize] {
        match self {
            Step::One(row) => std::slice::from_ref(row),
            Step::Two(rows) => rows,
        }
    }
}

/// `reload by SIGHUP + SIGKILL`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.rows().iter().map(|&row| FAULTS[row].name).collect();
        f.write_str(&names.join(" + "))
    }
}

/// What the seed makes of the faults; it has no end.
pub(crate) struct Sequence {
    seed: u64,
    number: u64,
    /// The next one last.
    round: Vec<Step>,
    /// Rows that are yet to be in a pair before any is again, the next one last.
    deck: Vec<usize>,
}

impl Sequence {
    pub(crate) fn new(seed: u64) -> Sequence {
        Sequence { seed, number: 0, round: Vec::new(), deck: Vec::new() }
    }

    fn shuffle_round(&mut self) {
        // Numbers of rounds count from the top: they never meet those of faults.
        let mut dice = Dice::new(self.seed, u64::MAX - self.number);
        self.round = (0..FAULTS.len()).map(Step::One).collect();
        for _ in 0..PAIRS {
            let pair = self.draw_pair(&mut dice);
            self.round.push(Step::Two(pair));
        }
        dice.shuffle(&mut self.round);
    }

    /// The next kind of the deck, with the next one that goes with it.
    fn draw_pair(&mut self, dice: &mut Dice) -> [usize; 2] {
        if self.deck.len() < 2 {
            self.deck = (0..FAULTS.len()).filter(|&row| FAULTS[row].goes_with_any()).collect();
            dice.shuffle(&mut self.deck);
        }
        let first = self.deck.pop().expect("two at least");
        let fits = |row: &usize| FAULTS[*row].goes_with(&FAULTS[first]);
        match self.deck.iter().rposition(fits) {
            Some(place) => [first, self.deck.remove(place)],
            None => [first, (0..FAULTS.len()).find(fits).expect("most go with any other")],
        }
    }
}

impl Iterator for Sequence {
    /// What is done, and the dice it is performed with.
    type Item = (Step, Dice);

    fn next(&mut self) -> Option<(Step, Dice)> {
        if self.round.is_empty() {
            self.shuffle_round();
        }
        let dice = Dice::new(self.seed, self.number);
        self.number += 1;
        self.round.pop().map(|step| (step, dice))
    }
}

/// Says what comes in the first two rounds.
pub(crate) fn tell(seed: u64) {
    println!("seed {seed}");
    for (number, (step, _)) in Sequence::new(seed).take(2 * (FAULTS.len() + PAIRS)).enumerate() {
        println!("{:4}  {step}", number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const ROUND: usize = FAULTS.len() + PAIRS;

    fn steps(seed: u64, count: usize) -> Vec<Step> {
        Sequence::new(seed).take(count).map(|(step, _)| step).collect()
    }

    #[test]
    fn each_kind_comes_alone_once_in_each_round() {
        for round in steps(7, 5 * ROUND).chunks(ROUND) {
            let alone = round.iter().filter(|step| matches!(step, Step::One(_))).map(Step::rows);
            assert_eq!(alone.collect::<BTreeSet<_>>().len(), FAULTS.len());
        }
    }

    #[test]
    fn pairs_go_together_and_every_kind_comes_in_some() {
        let steps = steps(3, 6 * ROUND);
        let pairs: Vec<_> =
            steps.iter().filter(|step| matches!(step, Step::Two(_))).map(Step::rows).collect();
        assert_eq!(pairs.len(), 6 * PAIRS);
        assert!(pairs.iter().all(|pair| FAULTS[pair[0]].goes_with(&FAULTS[pair[1]])));
        let companions = FAULTS.iter().filter(|fault| fault.goes_with_any()).count();
        assert_eq!(pairs.concat().iter().collect::<BTreeSet<_>>().len(), companions);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(steps(1, 90), steps(1, 90));
        assert_ne!(steps(1, 90), steps(2, 90));
        let luck = |seed| -> Vec<usize> {
            Sequence::new(seed).take(60).map(|(_, mut dice)| dice.below(64)).collect()
        };
        assert_eq!(luck(1), luck(1));
        assert_ne!(luck(1), luck(2));
    }
}
