//! Tests of the model as a whole.

use super::*;

fn azm8() -> Model {
    Model::new(Product::Azm8, 1)
}

impl Model {
    fn level(&self, name: &str) -> f64 {
        self.decibels(self.find(name).expect(name))
    }

    #[track_caller]
    fn set(&mut self, name: &str, val: f64) -> Vec<String> {
        let param = self.find(name).expect(name);
        self.change(param, Change::Replace, &Given::Val(val)).expect(name);
        self.take_changes().iter().map(Param::to_string).collect()
    }
}

/// At a moment when every source but the one that is not plugged in sounds.
fn loud() -> Model {
    let mut model = azm8();
    for second in 1..10_000 {
        model.advance(Duration::from_secs(second));
        if (0..13).all(|source| model.music.level(source) > -60.0) {
            return model;
        }
    }
    panic!("never are all sources heard at once")
}

#[test]
fn gains_and_mutes_are_heard_at_the_meters() {
    let mut model = loud();
    let source = model.level("SourceMeter_0");
    assert!((model.level("ZoneMeter_0") - (source - 3.0)).abs() < 0.011, "a zone at −3 dB");
    model.set("SourceGain_0", -10.0);
    assert!((model.level("SourceMeter_0") - (source - 10.0)).abs() < 0.011);
    assert!((model.level("ZoneMeter_0") - (source - 13.0)).abs() < 0.011);
    model.set("ZoneGain_0", -80.0);
    assert_eq!(model.level("ZoneMeter_0"), -80.0);
    model.set("ZoneGain_0", 0.0);
    model.set("SourceMute_0", 1.0);
    assert_eq!((model.level("SourceMeter_0"), model.level("ZoneMeter_0")), (-80.0, -80.0));
    model.set("ZoneSource_0", 1.0);
    assert_eq!(model.level("ZoneMeter_0"), model.level("SourceMeter_1"));
    model.set("ZoneMute_0", 1.0);
    assert_eq!(model.level("ZoneMeter_0"), -80.0);
    model.set("ZoneMute_0", 0.0);
    model.set("ZoneSource_0", -1.0);
    assert_eq!(model.level("ZoneMeter_0"), -80.0, "it plays nothing");
}

#[test]
fn a_mix_is_its_loudest_source_and_a_group_its_loudest_zone() {
    let mut model = loud();
    assert_eq!(model.level("MixMeter_14"), model.level("SourceMeter_0").max(model.level("SourceMeter_8")));
    model.set("Mix_14_SourceMute_0", 1.0);
    assert_eq!(model.level("MixMeter_14"), model.level("SourceMeter_8"));
    model.set("Mix_14_SourceGain_8", -7.0);
    assert!((model.level("MixMeter_14") - (model.level("SourceMeter_8") - 7.0)).abs() < 0.011);
    for group in 0..8 {
        let zones = [group, (group + 1) % 8].map(|zone| model.level(&format!("ZoneMeter_{zone}")));
        assert_eq!(model.level(&format!("GroupMeter_{group}")), zones[0].max(zones[1]), "group {group}");
    }
}

#[test]
fn a_combined_group_plays_its_source_in_its_zones() {
    let mut model = loud();
    model.set("GroupSource_0", 4.0);
    assert!((model.level("ZoneMeter_0") - (model.level("SourceMeter_0") - 3.0)).abs() < 0.011);
    model.set("GroupCombine_0", 1.0);
    assert!((model.level("ZoneMeter_0") - (model.level("SourceMeter_4") - 3.0)).abs() < 0.011);
    assert!((model.level("ZoneMeter_1") - (model.level("SourceMeter_4") - 6.0)).abs() < 0.011);
    model.set("GroupMute_0", 1.0);
    assert_eq!(model.level("ZoneMeter_1"), -80.0);
}

#[test]
fn combining_a_group_uncombines_those_that_share_a_zone() {
    let mut model = azm8();
    assert_eq!(
        model.set("GroupCombine_0", 1.0),
        ["GroupActive_0", "GroupCombine_0", "ZoneGrouped_0", "ZoneActive_0", "ZoneGrouped_1", "ZoneActive_1"]
    );
    model.set("GroupActive_4", 1.0);
    // Zone 1 goes from group 0 to group 1, zone 0 is on its own, zone 2 is new; group 4 is none of their business.
    let changes = model.set("GroupActive_1", 1.0);
    assert_eq!(changes[..4], ["GroupActive_0", "GroupCombine_0", "GroupActive_1", "GroupCombine_1"]);
    assert_eq!(changes[4..], ["ZoneGrouped_0", "ZoneActive_0", "ZoneGrouped_2", "ZoneActive_2"]);
    let on = |name: &str| model.value(model.find(name).expect(name)) == Value::Number(1);
    assert!(!on("GroupActive_0") && on("GroupActive_1") && on("GroupCombine_1") && on("GroupCombine_4"));
    assert!(!on("ZoneGrouped_0") && on("ZoneGrouped_1") && on("ZoneActive_2") && on("ZoneActive_5"));
}

#[test]
fn only_another_value_is_a_change_but_an_action_always_is() {
    let mut model = azm8();
    assert_eq!(model.set("ZoneMute_0", 1.0), ["ZoneMute_0"]);
    assert!(model.set("ZoneMute_0", 1.0).is_empty());
    assert_eq!(model.set("PlayMessage_3", 1.0), ["PlayMessage_3"]);
    assert_eq!(model.set("PlayMessage_3", 1.0), ["PlayMessage_3"]);
    assert_eq!(model.set("RecallGpoPreset_3", 0.0), ["RecallGpoPreset_3", "GpoState_0", "GpoState_1"]);
}

#[test]
fn what_is_read_only_stays() {
    let mut model = azm8();
    for name in ["ZoneMeter_0", "ZoneName_0", "ZoneGrouped_0", "KeepAlive", "FirmwareVersion", "GpoState_0"] {
        let param = model.find(name).expect(name);
        assert_eq!(model.change(param, Change::Replace, &Given::Val(1.0)), Err(Refusal::ReadOnly), "{name}");
    }
    let gain = model.find("ZoneGain_0").expect("a gain");
    assert_eq!(model.change(gain, Change::Replace, &Given::Str("x".into())), Err(Refusal::BadValue));
    assert!(model.take_changes().is_empty());
}

#[test]
fn a_name_changes_at_the_processor() {
    let mut model = azm8();
    let name = model.find("ZoneName_0").expect("a name");
    assert_eq!(model.entry(name, Format::Str), r#"{"param":"ZoneName_0","str":"Patio"}"#);
    model.rename(name, "Deck");
    assert_eq!(model.take_changes(), [name]);
    assert_eq!(model.entry(name, Format::Str), r#"{"param":"ZoneName_0","str":"Deck"}"#);
}

#[test]
fn an_azm4_works_with_its_own_numbers() {
    let mut model = Model::new(Product::Azm4, 1);
    assert_eq!(model.value(model.find("ZoneSource_3").expect("a zone")), Value::Number(8), "its first mix");
    assert_eq!(model.find("ZoneGain_4"), None);
    model.set("ZoneSource_3", 99.0);
    assert_eq!(model.value(Param::ZoneSource(3)), Value::Number(11), "its last mix");
}
