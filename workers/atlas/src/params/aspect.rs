//! What a source, mix, zone or group has: its parameters, without a string in between.

use std::fmt;

use crate::control::Format;
use crate::{INDICES, Kind, MeterId};

/// One thing that can be subscribed of a source, mix, zone or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Aspect {
    /// Its level; over UDP.
    Meter = 0,
    /// What people call it.
    Name = 1,
    /// Whether it is muted.
    Mute = 2,
    /// Its gain in dB.
    Gain = 3,
    /// What a zone or group plays.
    Source = 4,
    /// Whether a zone is in a group, in the words of the manual's table.
    Grouped = 5,
    /// Whether a zone is in a group, or a group is combined, in the words of the manual's text.
    Active = 6,
    /// Whether a group is combined, in the words of the manual's table.
    Combine = 7,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Aspect; 8] = [
        Aspect::Meter,
        Aspect::Name,
        Aspect::Mute,
        Aspect::Gain,
        Aspect::Source,
        Aspect::Grouped,
        Aspect::Active,
        Aspect::Combine,
    ];

    const fn name(self) -> &'static str {
        match self {
            Aspect::Meter => "Meter",
            Aspect::Name => "Name",
            Aspect::Mute => "Mute",
            Aspect::Gain => "Gain",
            Aspect::Source => "Source",
            Aspect::Grouped => "Grouped",
            Aspect::Active => "Active",
            Aspect::Combine => "Combine",
        }
    }

    /// Whether a thing of that kind has it.
    pub const fn is_of(self, kind: Kind) -> bool {
        match (self, kind) {
            (Aspect::Meter | Aspect::Name | Aspect::Mute | Aspect::Gain, _)
            | (Aspect::Source | Aspect::Active, Kind::Zone | Kind::Group)
            | (Aspect::Grouped, Kind::Zone)
            | (Aspect::Combine, Kind::Group) => true,
            (Aspect::Source | Aspect::Active, Kind::Source | Kind::Mix)
            | (Aspect::Grouped, Kind::Source | Kind::Mix | Kind::Group)
            | (Aspect::Combine, Kind::Source | Kind::Mix | Kind::Zone) => false,
        }
    }

    /// The form in which it is subscribed.
    pub const fn format(self) -> Format {
        match self {
            Aspect::Name => Format::Str,
            Aspect::Meter
            | Aspect::Mute
            | Aspect::Gain
            | Aspect::Source
            | Aspect::Grouped
            | Aspect::Active
            | Aspect::Combine => Format::Val,
        }
    }
}

/// A parameter of a source, mix, zone or group. Displays as its name: `ZoneGain_0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId {
    /// Whose.
    pub of: MeterId,
    /// Which.
    pub aspect: Aspect,
}

impl ParamId {
    /// How many there can be.
    pub const COUNT: usize = MeterId::COUNT * Aspect::ALL.len();

    /// Its place among all, below [`COUNT`](ParamId::COUNT).
    pub const fn ordinal(self) -> usize {
        self.of.ordinal() * Aspect::ALL.len() + self.aspect as usize
    }

    /// The parameter of that name.
    pub fn named(name: &str) -> Option<ParamId> {
        let (name, index) = name.rsplit_once('_')?;
        let index: u8 = index.parse().ok().filter(|number: &u8| number.to_string() == index)?;
        let kind = Kind::ALL.into_iter().find(|kind| name.starts_with(prefix(*kind)))?;
        let rest = name.strip_prefix(prefix(kind))?;
        let aspect = Aspect::ALL.into_iter().find(|aspect| aspect.name() == rest)?;
        let exists = usize::from(index) < INDICES && aspect.is_of(kind);
        exists.then_some(ParamId { of: MeterId { kind, index }, aspect })
    }
}

const fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => "Source",
        Kind::Mix => "Mix",
        Kind::Zone => "Zone",
        Kind::Group => "Group",
    }
}

impl fmt::Display for ParamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}_{}", prefix(self.of.kind), self.aspect.name(), self.of.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::spec;

    #[test]
    fn every_parameter_is_found_by_its_name_and_stands_in_the_table() {
        let mut seen = [false; ParamId::COUNT];
        for kind in Kind::ALL {
            for aspect in Aspect::ALL.into_iter().filter(|aspect| aspect.is_of(kind)) {
                for index in 0..INDICES as u8 {
                    let id = ParamId { of: MeterId { kind, index }, aspect };
                    assert_eq!(ParamId::named(&id.to_string()), Some(id));
                    assert!(!std::mem::replace(&mut seen[id.ordinal()], true));
                    assert_eq!(spec(&id.to_string()).unwrap().format(), aspect.format(), "{id}");
                }
            }
        }
        let meter = MeterId { kind: Kind::Zone, index: 3 };
        assert_eq!(ParamId { of: meter, aspect: Aspect::Meter }.to_string(), meter.to_string());
    }

    #[test]
    fn other_names_are_no_parameters() {
        for name in [
            "ZoneMeter",
            "ZoneMeter_64",
            "ZoneMeter_01",
            "ZoneMeter_+1",
            "ZoneCombine_0",
            "SourceSource_0",
            "Mix_14_SourceGain_0",
            "KeepAlive",
            "",
        ] {
            assert_eq!(ParamId::named(name), None, "{name}");
        }
    }
}
