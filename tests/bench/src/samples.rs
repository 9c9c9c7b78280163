//! What was measured, as it lies in `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::Spread;

/// What a sample is a value of. The unit stands in the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// CPU of a datagram; `x` is the rate.
    CpuNs,
    /// What was lost of it, in parts of 1; `x` is the rate.
    LostAtRate,
    /// System calls of a datagram; `x` is the rate.
    Calls,
    /// The highest rate that is sustained.
    HighestRate,
    /// What is lost at twice that rate, in parts of 1.
    LostAtTwice,
    /// The rate that the sender reached then.
    TwiceRate,
    /// From send to visible; `x` is the percentile times 10.
    LatencyUs,
    /// From the start until all are online.
    StartMs,
    /// A reload of all.
    ReloadMs,
    /// From SIGKILL until the replacement reads.
    KillMs,
    /// Proportional set size of the whole.
    MemoryBytes,
    /// Of the supervisor alone (PM2: of its daemon).
    SupervisorBytes,
    /// Of one worker.
    WorkerBytes,
    /// Context switches a second while nothing happens.
    WakeUps,
    /// CPU of a datagram; `x` is the number of workers.
    ByWorkersNs,
    /// `x` is the number of senders.
    BySendersNs,
    /// `x` is the number of processors.
    ByProcessorsNs,
    /// `x` is the number of meters in a datagram.
    ByMetersNs,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) figure: Figure,
    /// Whose it is: a name of the roster.
    pub(crate) subject: String,
    /// What the figure's description says; 0 where it says nothing.
    pub(crate) x: u64,
    /// The round it was measured in.
    pub(crate) round: u32,
    pub(crate) value: f64,
}

/// The machine, and what ran on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Receive buffer that everybody asked for, in bytes.
    pub(crate) room: usize,
    /// Versions of the peers, by name.
    pub(crate) versions: BTreeMap<String, String>,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) schema: u32,
    pub(crate) machine: Machine,
    /// RFC 3339, UTC.
    pub(crate) date: String,
    /// What was typed.
    pub(crate) command: String,
    /// The commit that was measured.
    pub(crate) commit: String,
    pub(crate) rounds: u32,
    /// How long it took.
    pub(crate) seconds: u64,
    pub(crate) samples: Vec<Sample>,
}

impl Results {
    /// Median and spread over the rounds.
    pub(crate) fn spread(&self, figure: Figure, subject: &str, x: u64) -> Option<Spread> {
        let values: Vec<f64> = self.of(figure, subject, x).map(|sample| sample.value).collect();
        Spread::of(&values)
    }

    /// Median of the ratios to `base`, round by round: what drifts between rounds drifts for both.
    pub(crate) fn ratio(&self, figure: Figure, subject: &str, base: &str, x: u64) -> Option<Spread> {
        let mean_of = |name: &str, round: u32| {
            let values: Vec<f64> =
                self.of(figure, name, x).filter(|s| s.round == round).map(|s| s.value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let ratios: Vec<f64> = (0..self.rounds)
            .filter_map(|round| {
                Some(mean_of(subject, round)? / mean_of(base, round).filter(|base| *base > 0.0)?)
            })
            .collect();
        Spread::of(&ratios)
    }

    /// The values of `x` that were measured.
    pub(crate) fn xs(&self, figure: Figure) -> Vec<u64> {
        let mut xs: Vec<u64> = self.samples.iter().filter(|s| s.figure == figure).map(|s| s.x).collect();
        xs.sort_unstable();
        xs.dedup();
        xs
    }

    fn of<'a>(&'a self, figure: Figure, subject: &'a str, x: u64) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |s| s.figure == figure && s.subject == subject && s.x == x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let sample = |subject: &str, round, value| Sample {
            figure: Figure::CpuNs,
            subject: subject.into(),
            x: 5,
            round,
            value,
        };
        let samples =
            [("a", 0, 10.0), ("b", 0, 20.0), ("a", 1, 100.0), ("b", 1, 250.0), ("a", 2, 1.0), ("b", 2, 2.0)];
        let samples = samples.map(|(subject, round, value)| sample(subject, round, value)).to_vec();
        Results { rounds: 3, samples, ..Results::default() }
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let ratio = results().ratio(Figure::CpuNs, "b", "a", 5).unwrap();
        assert_eq!(ratio, Spread { median: 2.0, least: 2.0, most: 2.5 });
        assert_eq!(results().ratio(Figure::CpuNs, "b", "nobody", 5), None);
    }

    #[test]
    fn a_spread_is_of_one_figure_one_subject_one_x() {
        assert_eq!(
            results().spread(Figure::CpuNs, "a", 5),
            Some(Spread { median: 10.0, least: 1.0, most: 100.0 })
        );
        assert_eq!((results().spread(Figure::CpuNs, "a", 6), results().xs(Figure::CpuNs)), (None, vec![5]));
    }

    #[test]
    fn results_come_back_from_their_file() {
        let text = serde_json::to_string(&results()).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results());
    }
}
