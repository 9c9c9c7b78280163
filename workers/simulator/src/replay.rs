//! A recording that is sent again, round and round, while somebody is connected. Pure; told the time.
//!
//! Answers are left out: who asked then is not who is connected now, and ids of the two may be the same.

use std::time::Duration;

use atlas::capture::{From, Record};

/// Between the end of a recording and its next beginning.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a recording stands.
#[derive(Debug)]
pub struct Replay {
    records: Vec<Record>,
    /// When this round began; None while nobody listens.
    began: Option<Duration>,
    next: usize,
}

impl Replay {
    /// Not begun.
    #[must_use]
    pub fn new(mut records: Vec<Record>) -> Replay {
        records.retain(|record| record.from == From::Udp || !is_answer(&record.bytes));
        Replay { records, began: None, next: 0 }
    }

    /// Somebody listens: it begins, if it has not.
    pub fn begin(&mut self, now: Duration) {
        self.began.get_or_insert(now);
    }

    /// Nobody listens any more.
    pub fn stop(&mut self) {
        (self.began, self.next) = (None, 0);
    }

    /// The next record, once its time has come.
    pub fn poll(&mut self, now: Duration) -> Option<&Record> {
        if self.deadline()? > now {
            return None;
        }
        if self.next == self.records.len() {
            self.next = 0;
            self.began = Some(now);
        }
        let record = self.records.get(self.next)?;
        self.next += 1;
        Some(record)
    }

    /// When the next record goes out.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let after = match self.records.get(self.next) {
            Some(record) => record.at,
            None => self.records.last()?.at.saturating_add(PAUSE),
        };
        Some(self.began?.saturating_add(after))
    }
}

/// Whether a line bears the id of a request.
fn is_answer(line: &[u8]) -> bool {
    /// `null` is no id.
    #[derive(serde::Deserialize)]
    struct Answer {
        id: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Answer>(line).is_ok_and(|answer| answer.id.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_sent_in_its_time_round_and_round() {
        let ms = Duration::from_millis;
        let record = |at, text: &str| Record { at: ms(at), from: From::Udp, bytes: text.into() };
        let mut replay = Replay::new(vec![record(10, "a"), record(30, "b")]);
        assert_eq!((replay.deadline(), replay.poll(ms(999))), (None, None));
        replay.begin(ms(100));
        let mut sent = Vec::new();
        while sent.len() < 5 {
            let due = replay.deadline().expect("it goes on");
            assert_eq!(replay.poll(due - ms(1)), None);
            sent.push((due.as_millis(), replay.poll(due).expect("due").bytes.clone()));
        }
        let sent: Vec<_> = sent.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
        assert_eq!(sent[..2], [(110, &b"a"[..]), (130, b"b")]);
        assert_eq!(sent[2].1, b"a");
        replay.stop();
        assert_eq!(replay.deadline(), None);
        let mut empty = Replay::new(Vec::new());
        empty.begin(ms(0));
        assert_eq!((empty.deadline(), empty.poll(ms(0))), (None, None));
    }
}
