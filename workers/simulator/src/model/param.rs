//! The parameters: what each one is called, what it holds, who may change it.

use std::fmt;

use atlas::Kind;

use super::product::Shape;

/// A parameter of a processor. Displays as its name: `ZoneGain_0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Param {
    /// `SourceGain_0`, …
    Gain(Kind, u8),
    /// `SourceMeter_0`, …
    Meter(Kind, u8),
    /// `SourceMute_0`, …
    Mute(Kind, u8),
    /// `SourceName_0`, …
    Name(Kind, u8),
    /// `Mix_14_SourceGain_0`: mix, source.
    MixSourceGain(u8, u8),
    /// `Mix_14_SourceMute_0`: mix, source.
    MixSourceMute(u8, u8),
    /// `ZoneSource_0`.
    ZoneSource(u8),
    /// `GroupSource_0`.
    GroupSource(u8),
    /// `ZoneGrouped_0`: what the manual's table calls it.
    ZoneGrouped(u8),
    /// `ZoneActive_0`: what its text calls the same.
    ZoneActive(u8),
    /// `GroupActive_0`: what the manual's table calls it.
    GroupActive(u8),
    /// `GroupCombine_0`: what a screenshot calls the same.
    GroupCombine(u8),
    /// `MessageName_0`, …
    Label(Thing, u8),
    /// `PlayMessage_0`, …; a bell schedule has none.
    Action(Thing, u8),
    /// `LoudNoise_0`.
    LoudNoise(u8),
    /// `GpoState_0`.
    GpoState(u8),
    /// `TodaysBellSchedule`.
    TodaysBellSchedule,
    /// `FirmwareVersion`.
    FirmwareVersion,
    /// `KeepAlive`.
    KeepAlive,
}

/// What has a name and, but for the bell schedules, can be set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// Played.
    Message,
    /// Recalled.
    Routine,
    /// Recalled.
    Scene,
    /// Recalled.
    GpoPreset,
    /// Chosen by `TodaysBellSchedule`.
    BellSchedule,
}

impl Thing {
    /// What its name's parameter is called.
    const fn label(self) -> &'static str {
        match self {
            Thing::Message => "MessageName",
            Thing::Routine => "RoutineName",
            Thing::Scene => "SceneName",
            Thing::GpoPreset => "GpoPresetName",
            Thing::BellSchedule => "BellScheduleName",
        }
    }

    /// What sets it off.
    const fn action(self) -> &'static str {
        match self {
            Thing::Message => "PlayMessage",
            Thing::Routine => "RecallRoutine",
            Thing::Scene => "RecallScene",
            Thing::GpoPreset => "RecallGpoPreset",
            Thing::BellSchedule => "RecallBellSchedule",
        }
    }

    /// What people call one of them.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Thing::Message => "Message",
            Thing::Routine => "Routine",
            Thing::Scene => "Scene",
            Thing::GpoPreset => "GPO preset",
            Thing::BellSchedule => "Bell schedule",
        }
    }
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// −80 … 0 dB.
    Decibels,
    /// A whole number.
    Number {
        /// The least there is.
        low: i16,
        /// The greatest there is.
        high: i16,
    },
    /// Whatever is set sets it off.
    Action,
    /// Text.
    Text,
}

/// What may be done with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All of it.
    Full,
    /// No set and no bmp.
    ReadOnly,
    /// Nothing but get.
    GetOnly,
}

const SWITCH: Nature = Nature::Number { low: 0, high: 1 };

impl Param {
    /// Every parameter that a processor of this shape has.
    #[must_use]
    pub fn all(shape: Shape) -> Vec<Param> {
        let mut all = vec![Param::TodaysBellSchedule, Param::FirmwareVersion, Param::KeepAlive];
        for (kind, numbers) in [
            (Kind::Source, 0..shape.sources),
            (Kind::Mix, shape.mix_numbers()),
            (Kind::Zone, 0..shape.zones),
            (Kind::Group, 0..shape.groups),
        ] {
            for i in numbers {
                all.extend([
                    Param::Gain(kind, i),
                    Param::Meter(kind, i),
                    Param::Mute(kind, i),
                    Param::Name(kind, i),
                ]);
            }
        }
        for mix in shape.mix_numbers() {
            all.extend((0..shape.sources).map(|source| Param::MixSourceGain(mix, source)));
            all.extend((0..shape.sources).map(|source| Param::MixSourceMute(mix, source)));
        }
        for zone in 0..shape.zones {
            let of_zone = [Param::ZoneSource, Param::ZoneGrouped, Param::ZoneActive, Param::LoudNoise];
            all.extend(of_zone.map(|param| param(zone)));
        }
        for group in 0..shape.groups {
            all.extend(
                [Param::GroupSource, Param::GroupActive, Param::GroupCombine].map(|param| param(group)),
            );
        }
        for (thing, count) in [
            (Thing::Message, Shape::MESSAGES),
            (Thing::Routine, Shape::ROUTINES),
            (Thing::Scene, Shape::SCENES),
            (Thing::GpoPreset, Shape::GPO_PRESETS),
        ] {
            all.extend((0..count).flat_map(|i| [Param::Label(thing, i), Param::Action(thing, i)]));
        }
        all.extend((0..Shape::BELL_SCHEDULES).map(|i| Param::Label(Thing::BellSchedule, i)));
        all.extend((0..Shape::GPOS).map(Param::GpoState));
        all
    }

    /// What it holds on a processor of this shape.
    #[must_use]
    pub fn nature(self, shape: Shape) -> Nature {
        match self {
            Param::Gain(..) | Param::Meter(..) | Param::MixSourceGain(..) => Nature::Decibels,
            Param::Mute(..)
            | Param::MixSourceMute(..)
            | Param::ZoneGrouped(_)
            | Param::ZoneActive(_)
            | Param::GroupActive(_)
            | Param::GroupCombine(_)
            | Param::LoudNoise(_)
            | Param::GpoState(_) => SWITCH,
            // Mixes are numbers of that kind too; inferred.
            Param::ZoneSource(_) | Param::GroupSource(_) => {
                Nature::Number { low: -1, high: i16::from(shape.mix_numbers().end) - 1 }
            }
            Param::TodaysBellSchedule => {
                Nature::Number { low: 0, high: i16::from(Shape::BELL_SCHEDULES) - 1 }
            }
            Param::Action(..) => Nature::Action,
            Param::Name(..) | Param::Label(..) | Param::FirmwareVersion | Param::KeepAlive => Nature::Text,
        }
    }

    /// What a third party may do with it.
    #[must_use]
    pub fn access(self) -> Access {
        match self {
            Param::Gain(..)
            | Param::Mute(..)
            | Param::MixSourceGain(..)
            | Param::MixSourceMute(..)
            | Param::ZoneSource(_)
            | Param::GroupSource(_)
            | Param::GroupActive(_)
            | Param::GroupCombine(_)
            | Param::Action(..)
            | Param::TodaysBellSchedule => Access::Full,
            Param::Meter(..)
            | Param::Name(..)
            | Param::ZoneGrouped(_)
            | Param::ZoneActive(_)
            | Param::Label(..)
            | Param::LoudNoise(_)
            | Param::GpoState(_)
            | Param::FirmwareVersion => Access::ReadOnly,
            Param::KeepAlive => Access::GetOnly,
        }
    }

    /// Whether its updates go by UDP.
    #[must_use]
    pub fn is_meter(self) -> bool {
        matches!(self, Param::Meter(..))
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Param::Gain(kind, i) => write!(f, "{}Gain_{i}", word(*kind)),
            Param::Meter(kind, i) => write!(f, "{}_{i}", kind.meter_name()),
            Param::Mute(kind, i) => write!(f, "{}Mute_{i}", word(*kind)),
            Param::Name(kind, i) => write!(f, "{}Name_{i}", word(*kind)),
            Param::MixSourceGain(mix, i) => write!(f, "Mix_{mix}_SourceGain_{i}"),
            Param::MixSourceMute(mix, i) => write!(f, "Mix_{mix}_SourceMute_{i}"),
            Param::ZoneSource(i) => write!(f, "ZoneSource_{i}"),
            Param::GroupSource(i) => write!(f, "GroupSource_{i}"),
            Param::ZoneGrouped(i) => write!(f, "ZoneGrouped_{i}"),
            Param::ZoneActive(i) => write!(f, "ZoneActive_{i}"),
            Param::GroupActive(i) => write!(f, "GroupActive_{i}"),
            Param::GroupCombine(i) => write!(f, "GroupCombine_{i}"),
            Param::Label(thing, i) => write!(f, "{}_{i}", thing.label()),
            Param::Action(thing, i) => write!(f, "{}_{i}", thing.action()),
            Param::LoudNoise(i) => write!(f, "LoudNoise_{i}"),
            Param::GpoState(i) => write!(f, "GpoState_{i}"),
            Param::TodaysBellSchedule => f.write_str("TodaysBellSchedule"),
            Param::FirmwareVersion => f.write_str("FirmwareVersion"),
            Param::KeepAlive => f.write_str("KeepAlive"),
        }
    }
}

/// What the parameters of a kind begin with.
pub(super) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => "Source",
        Kind::Mix => "Mix",
        Kind::Zone => "Zone",
        Kind::Group => "Group",
    }
}

#[cfg(test)]
mod tests {
    use super::super::product::Product;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_azm8_has_what_the_facts_say() {
        let all = Param::all(Product::Azm8.shape());
        let names: BTreeSet<String> = all.iter().map(Param::to_string).collect();
        assert_eq!(names.len(), all.len(), "each name once");
        for there in [
            "SourceGain_13",
            "MixMeter_14",
            "MixMeter_21",
            "ZoneName_7",
            "GroupMute_0",
            "Mix_14_SourceGain_0",
            "Mix_21_SourceMute_13",
            "ZoneGrouped_0",
            "ZoneActive_0",
            "GroupActive_7",
            "GroupCombine_7",
            "PlayMessage_0",
            "RecallGpoPreset_0",
            "BellScheduleName_2",
            "TodaysBellSchedule",
            "KeepAlive",
        ] {
            assert!(names.contains(there), "{there}");
        }
        for absent in ["SourceGain_14", "MixMeter_0", "MixMeter_13", "ZoneGain_8", "RecallBellSchedule_0"] {
            assert!(!names.contains(absent), "{absent}");
        }
        assert_eq!(all.iter().filter(|param| param.is_meter()).count(), 38);
    }

    #[test]
    fn an_azm4s_mixes_begin_at_8() {
        let names: Vec<String> =
            Param::all(Product::Azm4.shape()).iter().map(|param| param.to_string()).collect();
        for there in ["MixName_8", "MixName_11", "ZoneName_3", "SourceName_7"] {
            assert!(names.iter().any(|name| name == there), "{there}");
        }
        for absent in ["MixName_7", "MixName_14", "ZoneName_4", "SourceName_8"] {
            assert!(!names.iter().any(|name| name == absent), "{absent}");
        }
    }
}
