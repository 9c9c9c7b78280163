//! What an AZM8 hears: meters that move like music and speech. Pure; told the time.
//!
//! ```text
//! voice ──notes, phrases, pauses──▶ signal ──attack, release──▶ source ──loudest──▶ mix
//!                                                                  └──────┬──────────┘
//!                                                                 routed, plus a gain ──▶ zone ──loudest──▶ group
//! ```

use std::time::Duration;

use atlas::{CentiDb, Kind, MeterId};

/// How many sources an AZM8 has; they are numbered from 0.
pub const SOURCES: usize = 14;
/// How many mixes; they are numbered on from the sources: 14 … 21.
pub const MIXES: usize = 8;
/// How many zones; numbered from 0.
pub const ZONES: usize = 8;
/// How many groups; numbered from 0.
pub const GROUPS: usize = 8;

/// The model moves in steps of this length.
const TICK: Duration = Duration::from_millis(10);
/// The most steps of one [`Azm8::advance`], one minute: after a longer gap the music goes on from where it was.
const MAX_TICKS: u128 = 6_000;

/// The bottom and the top of every meter, in dB.
const SILENCE: f64 = -80.0;
const FULL: f64 = 0.0;
/// How far a meter rises in one tick at most, in dB: 600 dB/s.
const ATTACK: f64 = 6.0;
/// How far it falls in one tick at most, in dB: 20 dB/s.
const RELEASE: f64 = 0.2;

/// The first source that is a microphone; those before it play music.
const FIRST_MICROPHONE: usize = 8;
/// Nothing is plugged in here.
const UNPLUGGED: usize = SOURCES - 1;

/// What each zone plays, and the zone's gain in dB. 14 and up are mixes. The last zone plays nothing.
const ROUTES: [Option<(usize, f64)>; ZONES] = [
    Some((0, -3.0)),
    Some((1, -6.0)),
    Some((2, 0.0)),
    Some((14, -4.5)),
    Some((17, -9.0)),
    Some((3, -12.25)),
    Some((8, 0.0)),
    None,
];

/// A model of an AZM8 whose meters move like music. The same seed and time give the same levels, however often it was
/// advanced on the way.
pub struct Azm8 {
    dice: Dice,
    /// Where the model stands, in ticks since the start.
    tick: u64,
    /// The time it was told that belongs to `tick`, since the start.
    at: Duration,
    players: [Player; SOURCES],
}

impl Azm8 {
    /// An AZM8 at its start, all silent. The seed decides all that will be heard.
    pub fn new(seed: u64) -> Azm8 {
        let mut dice = Dice(seed);
        let players = std::array::from_fn(|source| Player::new(source, &mut dice));
        Azm8 { dice, tick: 0, at: Duration::ZERO, players }
    }

    /// Moves all meters on to `now`, the time since the start. A time that lies back changes nothing.
    pub fn advance(&mut self, now: Duration) {
        let ticks = now.saturating_sub(self.at).as_nanos() / TICK.as_nanos();
        for _ in 0..ticks.min(MAX_TICKS) {
            self.tick += 1;
            for player in &mut self.players {
                player.step(self.tick, &mut self.dice);
            }
        }
        self.at = if ticks > MAX_TICKS { now } else { self.at + TICK * ticks as u32 };
    }

    /// The level of every meter: sources, mixes, zones, groups, each by its index.
    pub fn levels(&self) -> impl Iterator<Item = (MeterId, CentiDb)> + use<> {
        let sources = self.players.each_ref().map(|player| player.level);
        let mixes: [f64; MIXES] = std::array::from_fn(|mix| {
            let microphone = FIRST_MICROPHONE + mix % (UNPLUGGED - FIRST_MICROPHONE);
            f64::max(sources[mix], sources[microphone])
        });
        let zones = ROUTES.map(|route| match route {
            Some((input, gain)) => {
                let level = if input < SOURCES { sources[input] } else { mixes[input - SOURCES] };
                if level > SILENCE { level + gain } else { SILENCE }
            }
            None => SILENCE,
        });
        let groups: [f64; GROUPS] =
            std::array::from_fn(|group| f64::max(zones[group], zones[(group + 1) % ZONES]));
        meters(Kind::Source, 0, sources)
            .chain(meters(Kind::Mix, SOURCES as u8, mixes))
            .chain(meters(Kind::Zone, 0, zones))
            .chain(meters(Kind::Group, 0, groups))
    }
}

/// These levels in dB as meters of one kind, numbered from `first`.
fn meters<const N: usize>(
    kind: Kind,
    first: u8,
    levels: [f64; N],
) -> impl Iterator<Item = (MeterId, CentiDb)> {
    (first..)
        .zip(levels)
        .map(move |(index, level)| (MeterId { kind, index }, CentiDb::from_db(level.clamp(SILENCE, FULL))))
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
    fn new(source: usize, dice: &mut Dice) -> Player {
        let voice = match source {
            UNPLUGGED => None,
            FIRST_MICROPHONE.. => Some(&SPEECH),
            _ => Some(&MUSIC),
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

    /// The levels of one meter every 50 ms, for so many seconds.
    fn listen(seed: u64, seconds: u32) -> Vec<Vec<(MeterId, CentiDb)>> {
        let mut azm8 = Azm8::new(seed);
        (1..=seconds * 20)
            .map(|step| {
                azm8.advance(Duration::from_millis(50) * step);
                azm8.levels().collect()
            })
            .collect()
    }

    /// The course of each meter, in dB.
    fn courses(seed: u64, seconds: u32) -> Vec<(MeterId, Vec<f64>)> {
        let moments = listen(seed, seconds);
        (0..moments[0].len())
            .map(|place| {
                (moments[0][place].0, moments.iter().map(|moment| moment[place].1.to_db()).collect())
            })
            .collect()
    }

    fn is_silent(meter: MeterId) -> bool {
        match meter.kind {
            Kind::Source => usize::from(meter.index) == UNPLUGGED,
            Kind::Zone => ROUTES[usize::from(meter.index)].is_none(),
            Kind::Mix | Kind::Group => false,
        }
    }

    #[test]
    fn it_has_the_meters_of_an_azm8() {
        let meters: Vec<String> = Azm8::new(1).levels().map(|(meter, _)| meter.to_string()).collect();
        assert_eq!(meters.len(), SOURCES + MIXES + ZONES + GROUPS);
        for (place, name) in
            [(0, "SourceMeter_0"), (13, "SourceMeter_13"), (14, "MixMeter_14"), (21, "MixMeter_21")]
        {
            assert_eq!(meters[place], name);
        }
        for (place, name) in
            [(22, "ZoneMeter_0"), (29, "ZoneMeter_7"), (30, "GroupMeter_0"), (37, "GroupMeter_7")]
        {
            assert_eq!(meters[place], name);
        }
    }

    #[test]
    fn levels_stay_in_range_move_and_fall_silent() {
        for seed in 0..20 {
            for (meter, course) in courses(seed, 240) {
                assert!(
                    course.iter().all(|level| (SILENCE..=FULL).contains(level)),
                    "{meter} of seed {seed}"
                );
                let loud = course.iter().filter(|level| **level > -40.0).count();
                let silent = course.iter().filter(|level| **level == SILENCE).count();
                if is_silent(meter) {
                    assert_eq!(silent, course.len(), "{meter} of seed {seed} is heard");
                } else {
                    assert!(loud * 20 > course.len(), "{meter} of seed {seed} is hardly heard");
                }
                if meter.kind == Kind::Source {
                    assert!(silent > 0, "{meter} of seed {seed} never pauses");
                }
            }
        }
    }

    #[test]
    fn sources_move_as_meters_do() {
        for (meter, course) in courses(7, 120).into_iter().filter(|(meter, _)| meter.kind == Kind::Source) {
            let steps: Vec<f64> = course.windows(2).map(|pair| pair[1] - pair[0]).collect();
            // 20 dB/s and 600 dB/s over 50 ms, and what rounding to 0.01 dB adds.
            assert!(steps.iter().all(|step| (-1.011..=30.011).contains(step)), "{meter} jumps");
            let moving = steps.iter().filter(|step| step.abs() > 0.1).count();
            assert!(is_silent(meter) || moving * 4 > steps.len(), "{meter} stands still");
        }
    }

    #[test]
    fn a_paused_source_falls_to_silence_and_stays_there() {
        let mut azm8 = Azm8::new(3);
        azm8.advance(Duration::from_secs(6));
        for player in &mut azm8.players {
            player.playing = false;
            player.phrase_end = u64::MAX;
        }
        azm8.advance(Duration::from_secs(10));
        assert!(azm8.levels().all(|(_, level)| level == CentiDb::SILENCE));
        azm8.advance(Duration::from_secs(60));
        assert!(azm8.levels().all(|(_, level)| level == CentiDb::SILENCE));
    }

    #[test]
    fn zones_follow_their_inputs_and_groups_their_loudest_zone() {
        for moment in listen(11, 60) {
            let level = |kind, index: usize| {
                let meter = MeterId { kind, index: index as u8 };
                moment.iter().find(|(other, _)| *other == meter).expect("a meter").1
            };
            for (zone, route) in ROUTES.into_iter().enumerate() {
                let Some((input, gain)) = route else { continue };
                let input = level(if input < SOURCES { Kind::Source } else { Kind::Mix }, input).to_db();
                let expected = if input > SILENCE { (input + gain).max(SILENCE) } else { SILENCE };
                assert!((level(Kind::Zone, zone).to_db() - expected).abs() < 0.011, "zone {zone}");
            }
            for group in 0..GROUPS {
                let loudest = level(Kind::Zone, group).max(level(Kind::Zone, (group + 1) % ZONES));
                assert_eq!(level(Kind::Group, group), loudest, "group {group}");
            }
        }
    }

    #[test]
    fn the_seed_decides_and_the_steps_do_not_matter() {
        let at_once = |seed| {
            let mut azm8 = Azm8::new(seed);
            azm8.advance(Duration::from_secs(45));
            azm8.levels().collect::<Vec<_>>()
        };
        assert_eq!(at_once(5), at_once(5));
        assert_eq!(&at_once(5), listen(5, 45).last().expect("a moment"));
        assert_ne!(at_once(5), at_once(6));
    }

    #[test]
    fn time_that_stands_or_jumps_does_no_harm() {
        let mut azm8 = Azm8::new(9);
        azm8.advance(Duration::from_secs(20));
        let before: Vec<_> = azm8.levels().collect();
        azm8.advance(Duration::from_secs(20));
        azm8.advance(Duration::from_secs(3));
        assert_eq!(before, azm8.levels().collect::<Vec<_>>());
        azm8.advance(Duration::MAX);
        azm8.advance(Duration::MAX);
        assert!(azm8.levels().all(|(_, level)| (CentiDb::SILENCE..=CentiDb::FULL).contains(&level)));
    }
}
