//! From the music through gains, mutes and routes to the levels of the meters.

use atlas::{CentiDb, Kind};

use super::{Model, Param, Value};
use crate::music::{FULL, SILENCE};

impl Model {
    /// Computes every meter anew.
    pub(super) fn measure(&mut self) {
        let shape = self.shape;
        for source in 0..shape.sources {
            let level = self.after(Kind::Source, source, self.music.level(source));
            self.show(Kind::Source, source, level);
        }
        for mix in shape.mix_numbers() {
            let played = (0..shape.sources).filter(|&source| !self.is_on(Param::MixSourceMute(mix, source)));
            let inputs = played.map(|source| {
                amplified(self.meter(Kind::Source, source), self.decibels(Param::MixSourceGain(mix, source)))
            });
            let level = self.after(Kind::Mix, mix, inputs.fold(SILENCE, f64::max));
            self.show(Kind::Mix, mix, level);
        }
        for zone in 0..shape.zones {
            let level = self.zone(zone);
            self.show(Kind::Zone, zone, level);
        }
        for group in 0..shape.groups {
            let zones = shape.zones_of(group).map(|zone| self.meter(Kind::Zone, zone));
            self.show(Kind::Group, group, zones.into_iter().fold(SILENCE, f64::max));
        }
    }

    /// A zone plays its own source; in a combined group the group's, if that has one, under the group's gain and mute too.
    fn zone(&self, zone: u8) -> f64 {
        let group = self.group_of(zone);
        let of_group =
            group.map(|group| self.number(Param::GroupSource(group))).filter(|&source| source >= 0);
        let source = of_group.unwrap_or_else(|| self.number(Param::ZoneSource(zone)));
        let input = match u8::try_from(source) {
            Err(_) => SILENCE,
            Ok(source) if source < self.shape.sources => self.meter(Kind::Source, source),
            Ok(mix) => self.meter(Kind::Mix, mix),
        };
        let level = self.after(Kind::Zone, zone, input);
        group.map_or(level, |group| self.after(Kind::Group, group, level))
    }

    /// A level behind the gain and the mute of one of a kind.
    fn after(&self, kind: Kind, index: u8, level: f64) -> f64 {
        if self.is_on(Param::Mute(kind, index)) {
            return SILENCE;
        }
        amplified(level, self.decibels(Param::Gain(kind, index)))
    }

    fn meter(&self, kind: Kind, index: u8) -> f64 {
        self.decibels(Param::Meter(kind, index))
    }

    fn show(&mut self, kind: Kind, index: u8, level: f64) {
        let level = CentiDb::from_db(level.clamp(SILENCE, FULL));
        self.values.insert(Param::Meter(kind, index), Value::Decibels(level));
    }
}

/// Silence stays silent, and a gain at its bottom is silence.
fn amplified(level: f64, gain: f64) -> f64 {
    if level <= SILENCE || gain <= SILENCE { SILENCE } else { (level + gain).clamp(SILENCE, FULL) }
}
