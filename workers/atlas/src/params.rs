//! The table of parameters: what they are called, which values they take, who may set them.
//!
//! Which indices exist is the processor's own configuration and is asked, not counted. A parameter that is not in the
//! table may exist all the same: it is sent as it is.

mod aspect;

use std::ops::RangeInclusive;

use crate::control::{Format, Value};

pub use aspect::{Aspect, ParamId};

/// Which values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// −80 … 0 dB, which is 0 … 100 %.
    Decibel,
    /// 0 or 1.
    Switch,
    /// −1 for none, else the number of a source or mix; how many there are is the processor's affair.
    Source,
    /// 0 … as many as there are, less one.
    Number,
    /// Text.
    Text,
    /// Any value triggers it.
    Trigger,
}

/// How a parameter's updates come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Over the connection.
    Tcp,
    /// As datagrams to port 3131.
    Udp,
    /// There are none: it can be asked for.
    Nothing,
}

/// What the manual says of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its name, without an index.
    pub name: &'static str,
    /// Its values.
    pub range: Range,
    /// How its updates come.
    pub via: Via,
    /// Nobody can set it.
    pub read_only: bool,
    /// Its name ends in `_` and an index.
    pub indexed: bool,
}

const fn of(name: &'static str, range: Range) -> Spec {
    Spec { name, range, via: Via::Tcp, read_only: false, indexed: true }
}

const fn told(name: &'static str, range: Range) -> Spec {
    Spec { read_only: true, ..of(name, range) }
}

const fn meter(name: &'static str) -> Spec {
    Spec { via: Via::Udp, ..told(name, Range::Decibel) }
}

/// Every parameter of the manual's message table (ATS006993 Rev B). Where table and text of the manual differ in a name,
/// both are here.
pub const TABLE: [Spec; 38] = [
    of("SourceGain", Range::Decibel),
    of("MixGain", Range::Decibel),
    of("ZoneGain", Range::Decibel),
    of("GroupGain", Range::Decibel),
    meter("SourceMeter"),
    meter("MixMeter"),
    meter("ZoneMeter"),
    meter("GroupMeter"),
    of("SourceMute", Range::Switch),
    of("MixMute", Range::Switch),
    of("ZoneMute", Range::Switch),
    of("GroupMute", Range::Switch),
    told("SourceName", Range::Text),
    told("MixName", Range::Text),
    told("ZoneName", Range::Text),
    told("GroupName", Range::Text),
    of("ZoneSource", Range::Source),
    of("GroupSource", Range::Source),
    told("ZoneGrouped", Range::Switch),
    told("ZoneActive", Range::Switch),
    of("GroupActive", Range::Switch),
    of("GroupCombine", Range::Switch),
    // Behind `Mix_14_`: the sources of one mix (firmware 3.0 and later).
    Spec { name: "Mix_N_SourceGain", ..of("", Range::Decibel) },
    Spec { name: "Mix_N_SourceMute", ..of("", Range::Switch) },
    told("MessageName", Range::Text),
    told("RoutineName", Range::Text),
    told("SceneName", Range::Text),
    told("GpoPresetName", Range::Text),
    told("BellScheduleName", Range::Text),
    of("PlayMessage", Range::Trigger),
    of("RecallRoutine", Range::Trigger),
    of("RecallScene", Range::Trigger),
    of("RecallGpoPreset", Range::Trigger),
    Spec { indexed: false, ..of("TodaysBellSchedule", Range::Number) },
    told("LoudNoise", Range::Switch),
    told("GpoState", Range::Switch),
    Spec { indexed: false, ..told("FirmwareVersion", Range::Text) },
    Spec { indexed: false, via: Via::Nothing, ..told("KeepAlive", Range::Text) },
];

/// What the table says of a parameter, `ZoneGain_0` or `Mix_14_SourceGain_0`; None if it is not there, or has an index
/// where it should have none.
pub fn spec(param: &str) -> Option<&'static Spec> {
    let (name, index) = match param.rsplit_once('_') {
        Some((name, index)) if is_index(index) => (name, true),
        Some(_) | None => (param, false),
    };
    let of_mix = name.strip_prefix("Mix_").and_then(|rest| rest.split_once('_'));
    TABLE.iter().find(|spec| {
        let same = match (of_mix, spec.name.strip_prefix("Mix_N_")) {
            (Some((mix, name)), Some(known)) => is_index(mix) && name == known,
            (None, None) => name == spec.name,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && spec.indexed == index
    })
}

/// Whether this is an index as processors write them: decimal, no sign, no leading zeros.
fn is_index(text: &str) -> bool {
    let canonical = text == "0" || !text.starts_with('0');
    canonical && (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Spec {
    /// The form in which its value is usually asked for.
    pub fn format(&self) -> Format {
        match self.range {
            Range::Text => Format::Str,
            Range::Decibel | Range::Switch | Range::Source | Range::Number | Range::Trigger => Format::Val,
        }
    }

    /// Whether it can be set to this.
    ///
    /// # Errors
    /// What is allowed.
    pub fn check_set(&self, value: &Value) -> Result<(), &'static str> {
        let fits = match (self.range, value) {
            (Range::Trigger, _) | (Range::Text, Value::Str(_)) => true,
            (Range::Decibel, Value::Val(number)) => (-80.0..=0.0).contains(number),
            (Range::Switch, Value::Val(number)) => whole(*number, 0.0..=1.0),
            (Range::Source, Value::Val(number)) => whole(*number, -1.0..=MOST),
            (Range::Number, Value::Val(number)) => whole(*number, 0.0..=MOST),
            (Range::Decibel, Value::Pct(number)) => (0.0..=100.0).contains(number),
            // Percents are of a range.
            (Range::Text | Range::Switch | Range::Source | Range::Number, Value::Pct(_))
            | (Range::Text, Value::Val(_))
            | (Range::Decibel | Range::Switch | Range::Source | Range::Number, Value::Str(_)) => false,
        };
        let allowed = match self.range {
            Range::Decibel => "-80 to 0 dB, or 0% to 100%",
            Range::Switch => "0 or 1",
            Range::Source => "-1 (none) or the number of a source or mix",
            Range::Number => "a whole number from 0 on",
            Range::Text => "text",
            Range::Trigger => "anything",
        };
        if fits { Ok(()) } else { Err(allowed) }
    }

    /// Whether it can be changed by so much: no more than its range is wide.
    ///
    /// # Errors
    /// What is allowed.
    pub fn check_bump(&self, value: &Value) -> Result<(), &'static str> {
        let fits = match (self.range, value) {
            (Range::Trigger | Range::Text, _) | (_, Value::Str(_)) => false,
            (Range::Decibel, Value::Val(number)) => (-80.0..=80.0).contains(number),
            (Range::Switch, Value::Val(number)) => whole(*number, -1.0..=1.0),
            (Range::Source | Range::Number, Value::Val(number)) => whole(*number, -MOST..=MOST),
            (Range::Decibel, Value::Pct(number)) => (-100.0..=100.0).contains(number),
            (Range::Switch | Range::Source | Range::Number, Value::Pct(_)) => false,
        };
        let allowed = match self.range {
            Range::Decibel => "-80 to 80 dB, or -100% to 100%",
            Range::Switch => "-1 to 1",
            Range::Source | Range::Number => "a whole number",
            Range::Text | Range::Trigger => "nothing: it has no number to change",
        };
        if fits { Ok(()) } else { Err(allowed) }
    }
}

/// Above every number that a processor can have.
const MOST: f64 = 65_535.0;

fn whole(number: f64, range: RangeInclusive<f64>) -> bool {
    number.fract() == 0.0 && range.contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_name_and_index() {
        let name = |param| spec(param).map(|spec| spec.name);
        for known in
            ["ZoneGain_0", "MixMeter_14", "SourceName_13", "GroupCombine_6", "FirmwareVersion", "KeepAlive"]
        {
            assert!(name(known).is_some_and(|name| known.starts_with(name)), "{known}");
        }
        assert_eq!(name("Mix_14_SourceGain_0"), Some("Mix_N_SourceGain"));
        assert_eq!(name("Mix_14_SourceMute_13"), Some("Mix_N_SourceMute"));
        for unknown in [
            "ZoneGain",
            "ZoneGain_",
            "ZoneGain_01",
            "ZoneGain_-1",
            "ZoneGain_x",
            "FirmwareVersion_0",
            "zonegain_0",
            "Mix_N_SourceGain_0",
            "Mix_x_SourceGain_0",
            "Mix_14_ZoneGain_0",
            "Mix_14_SourceGain",
            "",
            "_",
            "_0",
            "ZoneGain_123456",
        ] {
            assert_eq!(name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_name_is_there_once() {
        let mut names = TABLE.map(|spec| spec.name);
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]));
    }

    #[test]
    fn what_is_out_of_range_is_told_what_is_allowed() {
        let set = |param, value| spec(param).unwrap().check_set(&value);
        for (param, value) in [
            ("ZoneGain_0", Value::Val(-80.0)),
            ("ZoneGain_0", Value::Val(-23.5)),
            ("ZoneGain_0", Value::Pct(100.0)),
            ("ZoneMute_0", Value::Val(1.0)),
            ("ZoneSource_0", Value::Val(-1.0)),
            ("ZoneSource_0", Value::Val(21.0)),
            ("PlayMessage_3", Value::Str("x".into())),
            ("TodaysBellSchedule", Value::Val(9.0)),
        ] {
            assert_eq!(set(param, value), Ok(()), "{param}");
        }
        for (param, value, allowed) in [
            ("ZoneGain_0", Value::Val(0.5), "-80 to 0 dB, or 0% to 100%"),
            ("ZoneGain_0", Value::Val(f64::NAN), "-80 to 0 dB, or 0% to 100%"),
            ("ZoneGain_0", Value::Pct(-74.0), "-80 to 0 dB, or 0% to 100%"),
            ("ZoneGain_0", Value::Str("loud".into()), "-80 to 0 dB, or 0% to 100%"),
            ("ZoneMute_0", Value::Val(0.5), "0 or 1"),
            ("ZoneMute_0", Value::Val(2.0), "0 or 1"),
            ("ZoneMute_0", Value::Pct(50.0), "0 or 1"),
            ("ZoneSource_0", Value::Pct(50.0), "-1 (none) or the number of a source or mix"),
            ("TodaysBellSchedule", Value::Pct(0.0), "a whole number from 0 on"),
            ("ZoneSource_0", Value::Val(-2.0), "-1 (none) or the number of a source or mix"),
        ] {
            assert_eq!(set(param, value), Err(allowed), "{param}");
        }
        let bump = |param, value| spec(param).unwrap().check_bump(&value);
        assert_eq!(bump("ZoneGain_0", Value::Val(3.0)), Ok(()));
        assert_eq!(bump("ZoneGain_0", Value::Val(81.0)), Err("-80 to 80 dB, or -100% to 100%"));
        assert_eq!(bump("ZoneMute_0", Value::Pct(100.0)), Err("-1 to 1"));
        assert_eq!(bump("ZoneSource_0", Value::Pct(1.0)), Err("a whole number"));
        assert_eq!(bump("PlayMessage_0", Value::Val(1.0)), Err("nothing: it has no number to change"));
    }
}
