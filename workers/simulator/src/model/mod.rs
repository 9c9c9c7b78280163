//! What a processor knows and how it changes: every parameter's value. Pure; told the time.
//!
//! ```text
//! music ─▶ source ──gain, mute─▶ meter ─┬─▶ mix ──gain, mute─▶ meter ─┐
//!                                       └──────────── routed ─────────┴─▶ zone ──gain, mute─▶ meter ──loudest─▶ group
//! ```

mod metering;
mod param;
mod product;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use atlas::{CentiDb, Kind};

pub use param::{Access, Nature, Param, Thing};
pub use product::{Product, Shape};
pub use value::{Change, Format, Given, Value};

use crate::music::{self, Music};

/// The longest text of a parameter, in bytes.
pub const MAX_TEXT: usize = 256;

/// What a third party may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The parameter cannot be changed.
    ReadOnly,
    /// What was given is no value for it.
    BadValue,
}

/// A processor's parameters and their values.
pub struct Model {
    shape: Shape,
    music: Music,
    /// Every parameter there is. Of `GroupActive` and `GroupCombine`, which are one thing, the second is kept; what a zone
    /// being grouped follows from is kept, not that.
    values: BTreeMap<Param, Value>,
    names: HashMap<String, Param>,
    /// Whose subscribers are to be told, in the order of the changes; each once, but actions each time.
    changed: Vec<Param>,
}

/// What a zone plays at first: a source, or one of the mixes counted from 0; and its gain in dB. The last plays nothing.
const ROUTES: [Option<(Input, f64)>; 8] = [
    Some((Input::Source(0), -3.0)),
    Some((Input::Source(1), -6.0)),
    Some((Input::Source(2), 0.0)),
    Some((Input::Mix(0), -4.5)),
    Some((Input::Mix(3), -9.0)),
    Some((Input::Source(3), -12.25)),
    Some((Input::Source(8), 0.0)),
    None,
];

#[derive(Clone, Copy)]
enum Input {
    Source(u8),
    Mix(u8),
}

/// As people call their rooms and players, with what a careless reader of JSON trips over.
const SOURCE_NAMES: [&str; 14] = [
    "Juke box",
    "Patio Band",
    "TV 1",
    "TV 2",
    "DJ booth",
    "Café radio",
    "Stage \"left\"",
    "Streaming",
    "Microphone bar",
    "Microphone stage",
    "Page",
    "Host stand",
    "Wireless 1",
    "Spare",
];
const ZONE_NAMES: [&str; 8] =
    ["Patio", "Bar", "Dining \"North\"", "Terrasse d'été", "Kitchen", "Restrooms", "Stage", "Storage"];

impl Model {
    /// A processor as it comes out of its configuration. The seed decides what it will hear.
    #[must_use]
    pub fn new(product: Product, seed: u64) -> Model {
        let shape = product.shape();
        let all = Param::all(shape);
        let names = all.iter().map(|param| (param.to_string(), *param)).collect();
        let values = all.into_iter().map(|param| (param, first_value(param, shape))).collect();
        let music = Music::new(seed, shape.sources);
        let mut model = Model { shape, music, values, names, changed: Vec::new() };
        model.measure();
        model
    }

    /// The parameter of that name, if this processor has it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Param> {
        self.names.get(name).copied()
    }

    /// How many of what it has.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What the parameter holds.
    #[must_use]
    pub fn nature(&self, param: Param) -> Nature {
        param.nature(self.shape)
    }

    /// The format a client means that names none.
    #[must_use]
    pub fn usual_format(&self, param: Param) -> Format {
        Format::usual(self.nature(param))
    }

    /// The value now; meters as of the last [`advance`](Model::advance).
    #[must_use]
    pub fn value(&self, param: Param) -> Value {
        match param {
            Param::ZoneGrouped(zone) | Param::ZoneActive(zone) => {
                Value::Number(i16::from(self.group_of(zone).is_some()))
            }
            Param::GroupActive(group) => Value::Number(i16::from(self.is_on(Param::GroupCombine(group)))),
            other => self.values.get(&other).cloned().unwrap_or(Value::Number(0)),
        }
    }

    /// The entry of a message with this parameter's value: `{"param":"ZoneGain_0","val":-3}`.
    #[must_use]
    pub fn entry(&self, param: Param, format: Format) -> String {
        let (format, value) = self.value(param).written(self.nature(param), format);
        format!(r#"{{"param":"{param}","{}":{value}}}"#, format.key())
    }

    /// Changes a parameter as a third party may; values out of range are clamped. Who is to be told of it is in
    /// [`take_changes`](Model::take_changes).
    ///
    /// # Errors
    /// When the parameter is read-only, or what is given is no value for it.
    pub fn change(&mut self, param: Param, change: Change, given: &Given) -> Result<(), Refusal> {
        if param.access() != Access::Full {
            return Err(Refusal::ReadOnly);
        }
        let nature = self.nature(param);
        let value = self.value(param).changed(nature, change, given).ok_or(Refusal::BadValue)?;
        match param {
            Param::GroupActive(group) | Param::GroupCombine(group) => {
                self.combine(group, value != Value::Number(0));
            }
            Param::Action(thing, index) => {
                self.values.insert(param, value);
                // Set off again is news again.
                self.changed.push(param);
                if thing == Thing::GpoPreset {
                    for gpo in 0..Shape::GPOS {
                        self.put(Param::GpoState(gpo), Value::Number(i16::from(index >> gpo & 1)));
                    }
                }
            }
            other => self.put(other, value),
        }
        self.measure();
        Ok(())
    }

    /// Gives a parameter that holds text another text, as somebody at the processor does. Tells whether it did: others are
    /// left alone, and so is a text of more than [`MAX_TEXT`] bytes.
    pub fn rename(&mut self, param: Param, text: &str) -> bool {
        let fits = self.nature(param) == Nature::Text && text.len() <= MAX_TEXT;
        if fits {
            self.put(param, Value::Text(text.to_owned()));
        }
        fits
    }

    /// Whose values changed or who were set off since this was asked last. Meters are not among them: they always change.
    pub fn take_changes(&mut self) -> Vec<Param> {
        std::mem::take(&mut self.changed)
    }

    /// Moves the music on to `now`, the time since the start, and the meters with it.
    pub fn advance(&mut self, now: Duration) {
        if self.music.advance(now) {
            self.measure();
        }
    }

    /// Combines a group, which uncombines those that share a zone with it; or uncombines it.
    fn combine(&mut self, group: u8, on: bool) {
        let zones: Vec<bool> = (0..self.shape.zones).map(|zone| self.group_of(zone).is_some()).collect();
        for other in 0..self.shape.groups {
            let combined = self.is_on(Param::GroupCombine(other));
            let wanted =
                if other == group { on } else { combined && !(on && self.shape.overlap(group, other)) };
            if wanted != combined {
                self.values.insert(Param::GroupCombine(other), Value::Number(i16::from(wanted)));
                self.note(Param::GroupActive(other));
                self.note(Param::GroupCombine(other));
            }
        }
        for (zone, before) in (0..).zip(zones) {
            if self.group_of(zone).is_some() != before {
                self.note(Param::ZoneGrouped(zone));
                self.note(Param::ZoneActive(zone));
            }
        }
    }

    /// The combined group that a zone is in.
    fn group_of(&self, zone: u8) -> Option<u8> {
        (0..self.shape.groups).find(|&group| {
            self.is_on(Param::GroupCombine(group)) && self.shape.zones_of(group).contains(&zone)
        })
    }

    /// Stores a value; notes it if it is another one.
    fn put(&mut self, param: Param, value: Value) {
        if self.values.get(&param) != Some(&value) {
            self.values.insert(param, value);
            self.note(param);
        }
    }

    fn note(&mut self, param: Param) {
        if !self.changed.contains(&param) {
            self.changed.push(param);
        }
    }

    fn is_on(&self, param: Param) -> bool {
        self.number(param) != 0
    }

    fn number(&self, param: Param) -> i16 {
        match self.values.get(&param) {
            Some(Value::Number(number)) => *number,
            Some(Value::Decibels(_) | Value::Text(_)) | None => 0,
        }
    }

    fn decibels(&self, param: Param) -> f64 {
        match self.values.get(&param) {
            Some(Value::Decibels(level)) => level.to_db(),
            Some(Value::Number(_) | Value::Text(_)) | None => music::SILENCE,
        }
    }
}

/// What the configuration says of a parameter.
fn first_value(param: Param, shape: Shape) -> Value {
    let route = |zone: u8| ROUTES.get(usize::from(zone)).copied().flatten();
    let text = |text: &str| Value::Text(text.to_owned());
    match param {
        Param::Gain(Kind::Zone, zone) => {
            Value::Decibels(CentiDb::from_db(route(zone).map_or(0.0, |(_, gain)| gain)))
        }
        Param::Gain(..) | Param::MixSourceGain(..) => Value::Decibels(CentiDb::FULL),
        Param::Meter(..) => Value::Decibels(CentiDb::SILENCE),
        Param::MixSourceMute(mix, source) => {
            let nth = mix - shape.sources;
            let microphones = music::unplugged(shape.sources) - music::first_microphone(shape.sources);
            let microphone = music::first_microphone(shape.sources) + nth % microphones;
            Value::Number(i16::from(source != nth && source != microphone))
        }
        Param::ZoneSource(zone) => Value::Number(match route(zone) {
            Some((Input::Source(source), _)) => i16::from(source),
            Some((Input::Mix(mix), _)) => i16::from(shape.sources + mix),
            None => -1,
        }),
        Param::GroupSource(_) => Value::Number(-1),
        Param::Name(Kind::Source, i) => text(SOURCE_NAMES[usize::from(i) % SOURCE_NAMES.len()]),
        Param::Name(Kind::Zone, i) => text(ZONE_NAMES[usize::from(i) % ZONE_NAMES.len()]),
        Param::Name(Kind::Mix, i) => text(&format!("Mix {}", i - shape.sources + 1)),
        Param::Name(Kind::Group, i) => text(&format!("Group {}", i + 1)),
        Param::Label(thing, i) => text(&format!("{} {}", thing.word(), i + 1)),
        Param::FirmwareVersion => text("3.5.0"),
        Param::KeepAlive => text("OK"),
        Param::Mute(..)
        | Param::ZoneGrouped(_)
        | Param::ZoneActive(_)
        | Param::GroupActive(_)
        | Param::GroupCombine(_)
        | Param::Action(..)
        | Param::LoudNoise(_)
        | Param::GpoState(_)
        | Param::TodaysBellSchedule => Value::Number(0),
    }
}

#[cfg(test)]
mod tests;
