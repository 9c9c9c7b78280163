//! What a processor's sources hear: signals that move like music and speech. Pure; told the time.
//!
//! ```text
//! voice ──notes, phrases, pauses──▶ signal ──attack, release──▶ source
//! ```

use std::time::Duration;

/// The bottom of every meter, in dB.
pub const SILENCE: f64 = -80.0;
/// The top of every meter, in dB.
pub const FULL: f64 = 0.0;

/// The music moves in steps of this length.
pub const TICK: Duration = Duration::from_millis(10);
/// The most steps of one [`Music::advance`], one minute: after a longer gap the music goes on from where it was.
const MAX_TICKS: u128 = 6_000;

/// How far a signal rises in one tick at most, in dB: 600 dB/s.
const ATTACK: f64 = 6.0;
/// How far it falls in one tick at most, in dB: 20 dB/s.
const RELEASE: f64 = 0.2;

/// The first source that is a microphone; those before it play music.
#[must_use]
pub const fn first_microphone(sources: u8) -> u8 {
    (sources as u16 * 4 / 7) as u8
}

/// Nothing is plugged in at the last source.
#[must_use]
pub const fn unplugged(sources: u8) -> u8 {
    sources.saturating_sub(1)
}

/// Sources whose signals move like music. The same seed and time give the same levels, however often it was advanced on
/// the way.
pub struct Music {
    dice: Dice,
    /// Where the music stands, in ticks since the start.
    tick: u64,
    /// The time it was told that belongs to `tick`, since the start.
    at: Duration,
    players: Vec<Player>,
}

impl Music {
    /// So many sources at their start, all silent. The seed decides all that will be heard.
    #[must_use]
    pub fn new(seed: u64, sources: u8) -> Music {
        let mut dice = Dice(seed);
        let players = (0..sources).map(|source| Player::new(source, sources, &mut dice)).collect();
        Music { dice, tick: 0, at: Duration::ZERO, players }
    }

    /// Moves all signals on to `now`, the time since the start; tells whether they moved. A time that lies back changes
    /// nothing.
    pub fn advance(&mut self, now: Duration) -> bool {
        let ticks = now.saturating_sub(self.at).as_nanos() / TICK.as_nanos();
        for _ in 0..ticks.min(MAX_TICKS) {
            self.tick += 1;
            for player in &mut self.players {
                player.step(self.tick, &mut self.dice);
            }
        }
        self.at = if ticks > MAX_TICKS { now } else { self.at + TICK * ticks as u32 };
        ticks > 0
    }

    /// The signal of a source in dB, −80 … 0, before any gain; silence where there is no such source.
    #[must_use]
    pub fn level(&self, source: u8) -> f64 {
        self.players.get(usize::from(source)).map_or(SILENCE, |player| player.level)
    }
}

/// What a kind of programme sounds like. Each pair is the range that dice choose from; times in seconds.
struct Voice {
    /// From one note to the next.
    beat: (f64, f64),
    /// How long a note sounds, as a part of its beat.
    length: (f64, f64),
    /// How loud notes are, in dB below the player's loudness.
    accent: (f64, f64),
    /// What sounds between notes, in dB below the player's loudness.
    bed: f64,
    phrase: (f64, f64),
    pause: (f64, f64),
}

const MUSIC: Voice = Voice {
    beat: (0.24, 0.26),
    length: (0.3, 0.7),
    accent: (0.0, 9.0),
    bed: 18.0,
    phrase: (8.0, 40.0),
    pause: (4.5, 9.0),
};

const SPEECH: Voice = Voice {
    beat: (0.12, 0.45),
    length: (0.5, 0.9),
    accent: (0.0, 14.0),
    bed: 40.0,
    phrase: (2.0, 7.0),
    pause: (5.0, 20.0),
};

/// One source: a voice that plays phrases of notes and pauses between them, and its meter. Times are in ticks.
struct Player {
    /// None where nothing is plugged in.
    voice: Option<&'static Voice>,
    /// Of its loudest notes, in dB.
    loudness: f64,
    /// This player's beat, as a part of its voice's: its tempo.
    tempo: f64,
    playing: bool,
    phrase_end: u64,
    beat_end: u64,
    note_end: u64,
    /// The level of the note of this beat, in dB.
    note: f64,
    /// What the meter shows, in dB.
    level: f64,
}

impl Player {
    fn new(source: u8, sources: u8, dice: &mut Dice) -> Player {
        let voice = if source == unplugged(sources) {
            None
        } else if source >= first_microphone(sources) {
            Some(&SPEECH)
        } else {
            Some(&MUSIC)
        };
        Player {
            voice,
            loudness: dice.between((-16.0, -2.0)),
            tempo: dice.between((0.8, 1.4)),
            playing: false,
            phrase_end: dice.ticks((0.0, 3.0)),
            beat_end: 0,
            note_end: 0,
            note: SILENCE,
            level: SILENCE,
        }
    }

    fn step(&mut self, now: u64, dice: &mut Dice) {
        let Some(voice) = self.voice else { return };
        if now >= self.phrase_end {
            self.playing = !self.playing;
            self.phrase_end = now + dice.ticks(if self.playing { voice.phrase } else { voice.pause });
        }
        if self.playing && now >= self.beat_end {
            let beat = dice.between(voice.beat) * self.tempo;
            self.beat_end = now + ticks(beat);
            self.note_end = now + ticks(beat * dice.between(voice.length));
            self.note = self.loudness - dice.between(voice.accent);
        }
        let signal = match (self.playing, now < self.note_end) {
            (true, true) => self.note,
            (true, false) => self.loudness - voice.bed,
            (false, _) => SILENCE,
        };
        self.level = signal.clamp(self.level - RELEASE, self.level + ATTACK).clamp(SILENCE, FULL);
    }
}

/// Seconds in ticks.
fn ticks(seconds: f64) -> u64 {
    (seconds / TICK.as_secs_f64()) as u64
}

/// Random numbers that a seed repeats: splitmix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn between(&mut self, (low, high): (f64, f64)) -> f64 {
        // 53 bits: as many as an f64 holds.
        let part = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        low + part * (high - low)
    }

    fn ticks(&mut self, seconds: (f64, f64)) -> u64 {
        ticks(self.between(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: u8 = 14;

    /// The level of each source every 50 ms, for so many seconds.
    fn listen(seed: u64, seconds: u32) -> Vec<Vec<f64>> {
        let mut music = Music::new(seed, SOURCES);
        (1..=seconds * 20)
            .map(|step| {
                music.advance(Duration::from_millis(50) * step);
                levels(&music)
            })
            .collect()
    }

    fn levels(music: &Music) -> Vec<f64> {
        (0..SOURCES).map(|source| music.level(source)).collect()
    }

    /// The course of each source.
    fn courses(seed: u64, seconds: u32) -> Vec<Vec<f64>> {
        let moments = listen(seed, seconds);
        (0..usize::from(SOURCES)).map(|place| moments.iter().map(|moment| moment[place]).collect()).collect()
    }

    #[test]
    fn levels_stay_in_range_move_and_fall_silent() {
        for seed in 0..20 {
            for (source, course) in (0..).zip(courses(seed, 240)) {
                let all = |test: fn(&f64) -> bool| course.iter().filter(|level| test(level)).count();
                assert_eq!(
                    all(|level| (SILENCE..=FULL).contains(level)),
                    course.len(),
                    "{source} of seed {seed}"
                );
                let silent = all(|level| *level == SILENCE);
                if source == unplugged(SOURCES) {
                    assert_eq!(silent, course.len(), "{source} of seed {seed} is heard");
                } else {
                    assert!(
                        all(|level| *level > -40.0) * 20 > course.len(),
                        "{source} of seed {seed} is hardly heard"
                    );
                    assert!(silent > 0, "{source} of seed {seed} never pauses");
                }
            }
        }
    }

    #[test]
    fn sources_move_as_meters_do() {
        for (source, course) in (0..).zip(courses(7, 120)) {
            let steps: Vec<f64> = course.windows(2).map(|pair| pair[1] - pair[0]).collect();
            // 20 dB/s and 600 dB/s over 50 ms.
            assert!(steps.iter().all(|step| (-1.001..=30.001).contains(step)), "{source} jumps");
            let moving = steps.iter().filter(|step| step.abs() > 0.1).count();
            assert!(source == unplugged(SOURCES) || moving * 4 > steps.len(), "{source} stands still");
        }
    }

    #[test]
    fn a_paused_source_falls_to_silence_and_stays_there() {
        let mut music = Music::new(3, SOURCES);
        music.advance(Duration::from_secs(6));
        for player in &mut music.players {
            player.playing = false;
            player.phrase_end = u64::MAX;
        }
        music.advance(Duration::from_secs(10));
        assert!(levels(&music).iter().all(|level| *level == SILENCE));
        music.advance(Duration::from_secs(60));
        assert!(levels(&music).iter().all(|level| *level == SILENCE));
    }

    #[test]
    fn the_seed_decides_and_the_steps_do_not_matter() {
        let at_once = |seed| {
            let mut music = Music::new(seed, SOURCES);
            music.advance(Duration::from_secs(45));
            levels(&music)
        };
        assert_eq!(at_once(5), at_once(5));
        assert_eq!(&at_once(5), listen(5, 45).last().expect("a moment"));
        assert_ne!(at_once(5), at_once(6));
    }

    #[test]
    fn time_that_stands_or_jumps_does_no_harm() {
        let mut music = Music::new(9, SOURCES);
        assert!(music.advance(Duration::from_secs(20)));
        let before = levels(&music);
        assert!(!music.advance(Duration::from_secs(20)));
        assert!(!music.advance(Duration::from_secs(3)));
        assert_eq!(before, levels(&music));
        music.advance(Duration::MAX);
        music.advance(Duration::MAX);
        assert!(levels(&music).iter().all(|level| (SILENCE..=FULL).contains(level)));
    }

    #[test]
    fn a_source_that_is_not_there_is_silent() {
        assert_eq!(Music::new(1, 8).level(8), SILENCE);
        assert_eq!((first_microphone(14), first_microphone(8)), (8, 4));
    }
}
